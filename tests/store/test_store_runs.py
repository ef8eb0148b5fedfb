"""Runs are stored and read; the work of other processes and versions is respected."""

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raising import raising
from store_samples import SESSION, ids, run

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.request import Input, PreparedRequest, Request
from ipyimagegen.core.run import (
    Cost,
    ErrorInfo,
    ImageRecord,
    ImageState,
    Job,
    Mismatch,
    Run,
    Status,
    to_json,
)
from ipyimagegen.store import Disk, Store
from ipyimagegen.store.index import Entry, Query
from ipyimagegen.store.store import SAMPLE


def test_nothing_is_touched_before_it_is_needed(store):
    assert store.runs() == store.find_identical("x") == store.runs(number=1) == []
    assert store.run("1120-k7f2/1") is None
    assert store.path("0" * 64) is None
    assert not store.home.exists()


def test_sessions_are_taken_once(store):
    taken = {store.new_session(date(2025, 11, 20)) for _ in range(50)}
    assert len(taken) == 50
    assert all(len(name) == 9 and name.startswith("1120-") for name in taken)
    assert all((store.home / "records" / name).is_dir() for name in taken)


def test_a_run_is_written_and_replaced(store):
    store.create(run())
    assert store.run(f"{SESSION}/1") == run()
    store.update(run(status=Status.DONE))
    assert store.run(f"{SESSION}/1").status is Status.DONE
    assert list(store.home.glob("spool/*")) == list(store.home.glob("unindexed/*")) == []


def test_a_number_is_taken_once(store):
    store.create(run())
    with pytest.raises(StoreError, match="1120-k7f2/1"):
        store.create(run(prompt="another"))
    assert store.run(f"{SESSION}/1").request.prompt == "a red fox"
    assert len(store.runs()) == 1


@pytest.mark.parametrize(
    "text",
    ["", "/", "3", "1120-k7f2", "1120-k7f2/", "1120-k7f2/x", "1120-k7f2/-1", "1120-k7f2/01", "../../etc/1"],
)
def test_text_that_is_not_a_lasting_id_is_not_a_run(store, text):
    store.create(run())
    assert store.run(text) is None


def test_queries(store):
    store.create(run(1, "A Red FOX", model="dall-e-3"))
    store.create(run(2, "一只红狐狸在雪地里"))
    store.create(run(3, "100% of a_b", sent=PreparedRequest(model="dall-e-3")))
    store.create(run(2, "a red fox", session="1121-aaaa", created=9000.0))
    assert ids(store.runs()) == ["1121-aaaa/2", "1120-k7f2/3", "1120-k7f2/2", "1120-k7f2/1"]
    assert ids(store.runs(limit=1)) == ["1121-aaaa/2"]
    assert ids(store.runs(model="dall-e-3")) == ["1120-k7f2/3", "1120-k7f2/1"]
    assert ids(store.runs(search="red fox")) == ["1121-aaaa/2", "1120-k7f2/1"]
    assert ids(store.runs(search="狐狸")) == ["1120-k7f2/2"]
    assert ids(store.runs(search="red", model="dall-e-3")) == ["1120-k7f2/1"]
    assert ids(store.runs(search="%")) == ids(store.runs(search="_")) == ["1120-k7f2/3"]
    assert ids(store.runs(number=2)) == ["1121-aaaa/2", "1120-k7f2/2"]
    assert ids(store.runs(number=2, limit=1)) == ["1121-aaaa/2"]


def test_look_up_by_hash(store):
    first, again = run(1), run(2)
    store.create(first)
    store.create(again)
    store.create(run(3, reused_from="1120-k7f2/2"))
    elsewhere = first.request
    elsewhere = Request(endpoint="other", base_url="https://other.example/v1", prompt=elsewhere.prompt)
    store.create(run(4, request=elsewhere, identity=elsewhere.identity))
    assert ids(store.find_identical(first.identity)) == ["1120-k7f2/2", "1120-k7f2/1"]
    assert ids(store.find_same_question(first.request.question)) == [
        "1120-k7f2/4",
        "1120-k7f2/2",
        "1120-k7f2/1",
    ]
    assert store.find_identical("") == store.find_same_question("") == []


def test_the_status_is_that_of_the_record(store):
    store.create(run())
    path = store.home / "records" / SESSION / "1.json"
    path.write_text(path.read_text().replace("pending", "refused"))
    assert [record.status for record in store.runs()] == [Status.REFUSED]
    assert [record.status for record in store.find_identical(run().identity)] == [Status.REFUSED]


@pytest.mark.parametrize(
    "prompt", ["\ud800 lone", "nul \0 end", "x" * 100_000, "'; DROP TABLE runs; --", "\u202e rtl"]
)
def test_any_prompt_is_kept_as_it_is(store, prompt):
    store.create(run(1, prompt))
    store.create(run(2, "other"))
    assert store.run(f"{SESSION}/1").request.prompt == prompt
    assert ids(store.runs(search=prompt)) == [f"{SESSION}/1"]


def test_unknown_members_are_ignored(store):
    store.create(run())
    path = store.home / "records" / SESSION / "1.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "novelty": [1], "request": {**data["request"], "later": {"a": 1}}}))
    assert store.run(f"{SESSION}/1") == run()


def test_a_newer_record_is_read_and_never_written(store):
    store.create(run())
    path = store.home / "records" / SESSION / "1.json"
    data = json.loads(path.read_text())
    data["schema"] = 99
    data["request"]["options"] = {"unheard_of": 1}
    path.write_text(json.dumps(data))
    before = path.read_bytes()
    (store.home / "index.sqlite").unlink()
    assert ids(store.runs()) == [f"{SESSION}/1"]
    with raising(StoreError, f"{SESSION}/1"):
        store.update(run(status=Status.DONE))
    with raising(StoreError, f"{SESSION}/1"):
        store.forget([f"{SESSION}/1"])
    with raising(StoreError, f"{SESSION}/1"):
        store.update(store.run(f"{SESSION}/1"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"session": 1}', "\xff", '{"request": "x"}', "[" * 100_000],
)
def test_an_invalid_record_is_left_out(store, text):
    store.create(run(1))
    (store.home / "records" / SESSION / "2.json").write_text(text, encoding="latin-1")
    for name in ("notes.txt", "x.json", "3.json.bak"):
        (store.home / "records" / SESSION / name).write_text(text, encoding="latin-1")
    (store.home / "records" / "not a session").mkdir()
    (store.home / "index.sqlite").unlink()
    assert ids(store.runs()) == [f"{SESSION}/1"]
    assert store.run(f"{SESSION}/2") is None


ODD = {
    "created": ["NaN", "Infinity", "1e999", '"soon"', "null", "9" * 400],
    "identity": ["7", "[1]", '"\\ud800"', "null"],
    "number": ["99999999999999999999999", '"2"', "true"],
    "request": ["[]", '{"endpoint": 1, "base_url": 2, "prompt": ["a"]}', '{"prompt": "a"}'],
    "sent": ['"x"', "[]"],
    "status": ['"later"', "5"],
}


@pytest.mark.parametrize(("member", "value"), [(name, value) for name in ODD for value in ODD[name]])
def test_an_odd_record_does_not_stop_the_others(store, member, value):
    store.create(run(1))
    folder = store.home / "records" / SESSION
    data = json.loads((folder / "1.json").read_text())
    text = json.dumps({**data, "number": 2, member: "HERE"}).replace('"HERE"', value)
    (folder / "2.json").write_text(text)
    (folder / "99999999999999999999999.json").write_text(text)
    (store.home / "index.sqlite").unlink()
    store.create(run(3))
    for records in (store.runs(), store.runs(search="fox"), store.find_identical(run().identity)):
        assert {f"{SESSION}/1", f"{SESSION}/3"} <= set(ids(records))
    connection = sqlite3.connect(store.home / "index.sqlite")
    assert connection.execute("SELECT count(*) FROM runs").fetchone()[0] >= 2
    connection.close()


@pytest.mark.parametrize(
    "odd",
    [
        {"elapsed": "soon"},
        {"images": ["x"]},
        {"images": [{"index": 1, "width": "<img>"}]},
        {"sent": {"unsent": [1]}},
        {"cost": {"amount": "<b>"}},
        {"response": "x"},
    ],
)
def test_a_record_with_a_member_of_another_type_is_left_out(store, odd):
    store.create(run(1))
    path = store.home / "records" / SESSION / "1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **odd}))
    assert store.run(f"{SESSION}/1") is None


def test_a_damaged_record_does_not_make_every_search_read_all_records(tmp_path):
    class Counting(Disk):
        def read(self, path):
            read.append(path)
            return super().read(path)

    read = []
    store = Store(tmp_path, disk=Counting(tmp_path))
    for number in range(1, 31):
        store.create(run(number))
    (tmp_path / "records" / SESSION / "7.json").write_text("")
    (tmp_path / "index.sqlite").unlink()
    store.runs()
    for _ in range(2):  # as after a restart
        read.clear()
        assert Store(tmp_path, disk=Counting(tmp_path)).find_identical("f" * 64) == []
        assert len(read) <= 1 + SAMPLE


def test_a_search_with_surrogates_finds_nothing(store):
    store.create(run(1))
    assert store.find_identical("\ud800") == store.runs(model="\0") == store.runs(search="\ud800") == []


def test_a_record_under_a_wrong_name_is_left_out(store):
    store.create(run(1))
    folder = store.home / "records" / SESSION
    (folder / "2.json").write_bytes((folder / "1.json").read_bytes())
    (store.home / "index.sqlite").unlink()
    assert ids(store.runs()) == [f"{SESSION}/1"]


def test_deleted_records_make_room_for_others(store):
    for number in range(1, 6):
        store.create(run(number))
    for number in (3, 4, 5):
        (store.home / "records" / SESSION / f"{number}.json").unlink()
    assert ids(store.runs(limit=2)) == [f"{SESSION}/2", f"{SESSION}/1"]


def test_a_store_can_be_pickled(store):
    store.create(run())
    assert ids(pickle.loads(pickle.dumps(store)).runs()) == [f"{SESSION}/1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_inherits_nothing(store):
    store.create(run(1))
    descriptors = "/proc/self/fd" if os.path.exists("/proc/self/fd") else "/dev/fd"
    before = set(os.listdir(descriptors))
    child = os.fork()
    if child == 0:
        store.create(run(2))
        os._exit(0)
    store.create(run(3))
    assert os.waitpid(child, 0)[1] == 0
    assert len(store.runs()) == 3
    assert set(os.listdir(descriptors)) <= before  # what other tests left may be closed meanwhile


def test_threads_at_once(store):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: store.create(run(number)), range(1, 65)))
        list(pool.map(lambda number: store.update(run(number, status=Status.DONE)), range(1, 65)))
    assert [record.status for record in store.runs()] == [Status.DONE] * 64
    assert [record.number for record in store.runs()] == list(range(64, 0, -1))


text = st.text(min_size=1, max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
number = st.integers(0, 10_000)
hash_ = st.text("0123456789abcdef", min_size=64, max_size=64)
inputs = st.builds(Input, sha256=hash_, mime=text, width=number, height=number, label=st.text(max_size=5))
scalars = st.dictionaries(st.sampled_from(["size", "seed", "quality"]), text | number, max_size=3)
requests = st.builds(
    Request,
    endpoint=text,
    base_url=text,
    model=st.none() | text,
    prompt=text,
    template=st.none() | text,
    options=scalars,
    inputs=st.lists(inputs, max_size=2).map(tuple),
    mask=st.none() | inputs,
)
images = st.builds(
    ImageRecord,
    index=st.integers(1, 9),
    state=st.sampled_from(ImageState),
    sha256=st.none() | hash_,
    bytes=number,
    alpha=st.none() | st.booleans(),
    note=st.text(max_size=9),
)
runs = st.builds(
    Run,
    session=st.just(SESSION),
    number=st.just(1),
    identity=hash_,
    request=requests,
    created=st.floats(0, 1e10),
    status=st.sampled_from(Status),
    elapsed=st.none() | st.floats(0, 1e5),
    sent=st.builds(
        PreparedRequest, model=st.none() | text, options=scalars, notes=st.lists(text, max_size=2).map(tuple)
    ),
    images=st.lists(images, max_size=3).map(tuple),
    mismatches=st.lists(st.builds(Mismatch, subject=text, asked=text, got=text), max_size=2).map(tuple),
    cost=st.builds(Cost, amount=st.none() | st.floats(0, 99), currency=st.sampled_from(["", "USD"])),
    job=st.none() | st.builds(Job, id=text, url=st.none() | text, status=text),
    error=st.none() | st.builds(ErrorInfo, message=text, code=st.none() | text, status=st.none() | number),
    reused_from=st.none() | text,
    forgotten=st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(record=runs)
def test_a_run_survives_the_store(tmp_path_factory, record):
    store = Store(tmp_path_factory.mktemp("home"))
    store.create(record)
    assert store.run(record.id) == record
    assert store.runs() == [record]


words = st.sampled_from(["", "fox", "FOX", "狐狸", "ß", "ss", "a_b", "%", "\0", "\ud800", "İ", "é"])
prompts = st.lists(words, min_size=1, max_size=4).map(" ".join).filter(bool)
queries = st.builds(
    Query,
    number=st.sampled_from([None, 1, 2]),
    model=st.sampled_from([None, "m"]),
    search=st.none() | words,
    limit=st.sampled_from([None, 0, 1, 3]),
)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(prompts, st.sampled_from([None, "m"]), st.integers(0, 3)), max_size=6),
    st.lists(queries, max_size=9),
)
def test_the_index_and_the_files_agree(tmp_path_factory, kept, asked):
    store = Store(tmp_path_factory.mktemp("home"))
    for turn, (prompt, model, clock) in enumerate(kept):
        session = SESSION if turn % 2 else "1121-aaaa"
        store.create(run(turn + 1, prompt, session, model=model, created=float(clock)))
    for query in asked:
        assert [(record.session, record.number) for record in store.find(query)] == query.select(
            map(Entry.from_run, store.runs())
        )


def test_an_image_that_is_stored_stays_stored(store):
    """Two processes may fetch the same URL; the slower process failed."""
    fetched = ImageRecord(index=1, state=ImageState.STORED, sha256="a" * 64, url="https://x.example/1.png")
    store.create(run(1))
    store.update(run(1, status=Status.DONE, images=(fetched,)))
    late = replace(fetched, state=ImageState.URL_PENDING, sha256=None)
    store.update(run(1, status=Status.DONE, images=(late,)))
    assert store.run(f"{SESSION}/1").images == (fetched,)


QUERIES = [
    Query(),
    Query(originals=True),
    Query(remembered=True),
    Query(endpoint="LAB"),
    Query(endpoint="openai", model="M2"),
    Query(model="m2", search="owl", originals=True),
    Query(session="1121-aaaa", since=1002.0),
    Query(before=1003.0, search="FOX"),
    Query(since=1002.0, before=1004.0, endpoint="lab"),
    Query(session="9999-zzzz"),
]


def fill(store):
    """Store runs of every kind, in two sessions."""
    for number in range(1, 5):
        made = run(number, f"{'an owl' if number % 2 else 'a red fox'} {number}", model=f"m{number}")
        other = replace(made, session="1121-aaaa", request=replace(made.request, endpoint="lab"))
        done = Cost(amount=number / 100, currency="USD", basis="table")
        store.create(made.replace(status=Status.DONE, cost=done))
        store.create(other.replace(status=Status.UNKNOWN, identity=other.request.identity))
    store.create(run(5, reused_from=f"{SESSION}/1"))
    store.forget([f"{SESSION}/2"])


def test_the_index_and_the_files_answer_alike(tmp_path):
    store, other = Store(tmp_path / "indexed"), Store(tmp_path / "files", wait=0.0)
    other.home.mkdir()
    with sqlite3.connect(other.home / "index.sqlite") as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    fill(store)
    fill(other)
    for query in QUERIES:
        assert ids(store.find(query)) == ids(other.find(query)), query
        assert store.count(query) == other.count(query) == len(store.find(query)), query
        assert store.list_charges(query) == other.list_charges(query), query
        assert store.list_charges(query).total() == store.count(query)
    assert ids(store.find(Query(endpoint="LAB"))) == [f"1121-aaaa/{number}" for number in (4, 3, 2, 1)]
    assert store.count(replace(QUERIES[0], limit=2)) == 9


def test_the_spending_follows_the_state_of_a_run(store):
    pending = run(1, status=Status.PENDING)
    store.create(pending)
    (charge,) = store.list_charges(Query())
    assert (charge.status, json.loads(charge.cost)["basis"]) == ("pending", "unknown")
    image = ImageRecord(index=1, sha256="0" * 64, mime="image/png")
    cost = Cost(amount=0.04, currency="USD", basis="table", source="there", date="2026-11-29")
    store.update(pending.replace(status=Status.DONE, cost=cost, images=(image,)))
    (charge,) = store.list_charges(Query())
    assert (charge.status, charge.requested, charge.received) == ("done", 1, 1)
    assert json.loads(charge.cost) == to_json(replace(cost, source="", date=""))
    assert not list((store.home / "unindexed").iterdir())
    store.forget([pending.id])
    (charge,) = store.list_charges(Query())
    assert (charge.forgotten, charge.status, charge.received) == (True, "done", 0)


def test_the_spending_survives_a_kill_between_record_and_index(store):
    store.create(run(1))
    done = run(1, status=Status.DONE, cost=Cost(amount=1, currency="USD", basis="server"))
    code = (
        "import os, pickle, signal, sys\n"
        "from ipyimagegen.store.index import Index\n"
        "Index.add = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store, run = pickle.load(sys.stdin.buffer)\n"
        "store.update(run)"
    )
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps((store, done)), check=False)
    assert store.run(done.id) == done
    (charge,) = Store(store.home).list_charges(Query())
    assert (charge.status, json.loads(charge.cost)["amount"]) == ("done", 1)


def test_what_forgetting_would_delete_is_counted(store):
    shared, own, other = (store.keep([data], cap=999) for data in (b"\x89PNG1", b"\x89PNG22", b"\x89PNG333"))
    images = [ImageRecord(index=k, sha256=kept.sha256) for k, kept in enumerate((shared, own, other), 1)]
    store.create(run(1, images=(images[0], images[1])))
    store.create(run(2, images=(images[2],)))
    store.create(run(3, images=(images[0],)))
    deletion = store.preview_forget([f"{SESSION}/1", f"{SESSION}/2"])
    assert sorted(ids(deletion.runs)) == [f"{SESSION}/1", f"{SESSION}/2"]
    assert (deletion.files, deletion.bytes) == (2, 13)
    assert all(store.path(kept.sha256) for kept in (shared, own, other))
    store.forget(ids(deletion.runs))
    assert store.path(shared.sha256)
    assert not store.path(own.sha256)
    assert not store.path(other.sha256)
