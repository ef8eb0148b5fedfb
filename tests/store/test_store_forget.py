"""Forgetting deletes the words and the images, and leaves number, time and cost."""

import sqlite3

import pytest
from store_samples import SESSION, files, ids, run

from ipyimagegen.core.request import Input, PreparedRequest, Request
from ipyimagegen.core.run import Cost, ErrorInfo, ImageRecord, Job, Mismatch, Status

SECRET = "my grandmother's kitchen"


def image(store, text, index=1):
    kept = store.keep([b"\x89PNG\r\n\x1a\n" + text.encode()], cap=999)
    return ImageRecord(index=index, sha256=kept.sha256, mime="image/png", revised_prompt=SECRET)


def source(kept):
    return Input(sha256=kept.sha256, mime="image/png", width=1, height=1, label=SECRET)


def full(store, number=1, **changes):
    request = Request(
        endpoint="openai",
        base_url="https://api.example/v1",
        model="m",
        prompt=SECRET,
        template=SECRET,
        options={"negative_prompt": SECRET},
        extra={"style": SECRET},
        inputs=(source(image(store, "input")),),
        mask=source(image(store, "mask")),
    )
    made = {
        "request": request,
        "identity": request.identity,
        "status": Status.DONE,
        "elapsed": 4.5,
        "sent": PreparedRequest(model="m", body={"prompt": SECRET}, notes=(SECRET,)),
        "images": (image(store, "output"),),
        "response": {"revised": SECRET},
        "mismatches": (Mismatch(subject=SECRET, asked="1", got="2"),),
        "cost": Cost(amount=0.04, currency="USD", basis="table"),
        "job": Job(id=SECRET, url=f"https://gpu.example/{SECRET}"),
        "error": ErrorInfo(message=SECRET, code="odd"),
    }
    return run(number, **{**made, **changes})


def everything(store):
    return b"".join(path.read_bytes() for path in store.home.rglob("*") if path.is_file())


def test_words_and_images_go_number_time_and_cost_stay(store):
    record = full(store)
    store.create(record)
    assert SECRET.encode() in everything(store)
    assert store.forget([record.id]) == 1
    left = store.run(record.id)
    assert (left.number, left.created, left.elapsed, left.status) == (1, record.created, 4.5, Status.DONE)
    assert (left.cost, left.forgotten, left.images) == (record.cost, True, ())
    assert files(store) == [f"records/{SESSION}/1.json"]
    assert SECRET.encode() not in everything(store)
    assert record.identity.encode() not in everything(store)
    assert ids(store.runs()) == [record.id]
    assert store.runs(search="kitchen") == store.find_identical(record.identity) == []
    assert store.find_identical(left.identity) == []


def test_forgetting_twice_and_forgetting_nothing(store):
    store.create(full(store))
    assert store.forget([f"{SESSION}/1"]) == 1
    assert store.forget([f"{SESSION}/1", f"{SESSION}/7", "nonsense"]) == 0
    assert store.forget([]) == 0


def test_files_that_another_run_uses_stay(store):
    shared = image(store, "shared")
    store.create(run(1, images=(shared, image(store, "own", 2))))
    store.create(run(2, images=(shared,)))
    store.create(run(3, request=Request(endpoint="e", base_url="b", prompt="p", inputs=(source(shared),))))
    store.forget([f"{SESSION}/1"])
    assert store.verify(shared.sha256)
    assert len(list(store.home.glob("images/*/*"))) == 1
    store.forget([f"{SESSION}/2"])
    assert store.verify(shared.sha256)
    store.forget([f"{SESSION}/3"])
    assert store.path(shared.sha256) is None


def test_files_that_only_the_forgotten_share_go_with_them(store):
    shared = image(store, "shared")
    for number in (1, 2):
        store.create(run(number, images=(shared,)))
    assert store.forget([f"{SESSION}/1", f"{SESSION}/2"]) == 2
    assert store.path(shared.sha256) is None


def test_a_run_that_is_forgotten_while_in_flight_stays_forgotten(store):
    store.create(run())
    store.forget([f"{SESSION}/1"])
    late = image(store, "late")
    store.update(run(status=Status.DONE, elapsed=9.0, images=(late,)))
    left = store.run(f"{SESSION}/1")
    assert (left.forgotten, left.status, left.elapsed, left.images) == (True, Status.DONE, 9.0, ())
    assert store.path(late.sha256) is None
    assert store.runs(search="fox") == []


def test_the_index_forgets_once_it_can(store):
    store.create(run(1, SECRET))
    index = sqlite3.connect(store.home / "index.sqlite", isolation_level=None)
    index.execute("BEGIN IMMEDIATE")
    store.forget([f"{SESSION}/1"])
    assert store.runs(search="kitchen") == []
    index.execute("ROLLBACK")
    index.close()
    assert store.runs(search="kitchen") == []
    assert SECRET.encode() not in everything(store)


def test_the_same_bytes_that_come_anew_outlive_a_forgetting_that_was_cut_off(store, monkeypatch):
    record = full(store)
    store.create(record)
    monkeypatch.setattr(store, "_catch_up", lambda _noted: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.forget([record.id])
    monkeypatch.undo()
    again = image(store, "output")  # of a run whose record does not mention it yet
    assert store.runs() == [store.run(record.id)]
    assert store.verify(again.sha256)
    assert store.path(record.request.mask.sha256) is None


def test_a_damaged_index_that_was_moved_aside_goes_too(store):
    store.create(run(1, SECRET))
    index = store.home / "index.sqlite"
    data = index.read_bytes()
    index.write_bytes(data[:100] + b"garbage" * 600 + data)  # its header carries the mark
    assert len(store.runs()) == 1
    assert SECRET.encode() in (store.home / "index.damaged").read_bytes()
    store.forget([f"{SESSION}/1"])
    assert SECRET.encode() not in everything(store)
