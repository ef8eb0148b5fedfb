"""Replies that lie in the spool because nobody lived to read them, or no disk took them."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from loopback import b64, image_bytes, records
from raising import raising
from studios import make_studio
from words import MESSAGES

from ipyimagegen.core import errors as e
from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import ImageRecord, ImageState, Status
from ipyimagegen.store import Disk, Store

IMAGES = [image_bytes(64, 48, (40 * i, 90, 10)) for i in range(2)]
BODY = json.dumps({"created": 1, "data": [{"b64_json": b64(image)} for image in IMAGES]}).encode()

CAPTION = MESSAGES["caption"]


@pytest.fixture
def server(serve):
    return serve(lambda seen: (200, {}, BODY))


@pytest.fixture
def left(home, server):
    """Return a function that leaves a reply as a process does that is killed before it reads it."""

    def leave(body=BODY, age=0):
        studio = make_studio(home, server)
        done = studio.imagine("a fox", n=2)
        pending = studio.store.run(done.id).replace(
            status=Status.PENDING, images=(), response={}, mismatches=()
        )
        studio.store.update(pending)
        for image in done:
            image.path.unlink()
        spool = studio.store.spool(pending)
        spool.write_bytes(body)
        os.utime(spool, (time.time() - age,) * 2)
        return done.id, spool

    return leave


def looked(home, server):
    """Look back as a fresh session does, and return the only record."""
    list(make_studio(home, server).history.search("fox"))
    return next(iter(records(home).values()))


def test_a_whole_reply_is_taken_in_at_once(home, server, left):
    run_id, _ = left()
    assert looked(home, server)["status"] == "done"
    again = make_studio(home, server).imagine("a fox", n=2)
    assert (again.id, again.reused, len(again)) == (run_id, True, 2)
    assert [image.bytes for image in again] == IMAGES
    assert CAPTION["read later"] in again.caption
    assert len(server.posts) == 1


def test_what_is_left_during_a_session_is_taken_in_when_it_is_asked_for(home, server, left):
    one = make_studio(home, server)
    one.imagine("a cat", n=2)
    run_id, _ = left()
    assert one.imagine("a fox", n=2).id == run_id
    assert len(server.posts) == 2


def test_one_that_may_still_grow_is_left(home, server, left):
    left(BODY[:-50], age=300)
    assert looked(home, server)["status"] == "pending"
    with pytest.raises(e.OutcomeUnknown):
        make_studio(home, server).imagine("a fox", n=2)
    assert len(server.posts) == 1


def test_one_that_was_cut_gives_what_arrived_whole(home, server, left):
    _, spool = left(BODY[:-50], age=700)
    record = looked(home, server)
    assert record["status"] == "unknown"
    assert [image["state"] for image in record["images"]] == ["stored"]
    assert (home / "quarantine" / f"{record['raw']}.bin").read_bytes() == BODY[:-50]
    assert spool.exists()  # whoever wrote it may be about to read it
    with raising(e.OutcomeUnknown, 1, remedy=Remedy.SHOW_KEPT):
        make_studio(home, server).imagine("a fox", n=2)
    shown = make_studio(home, server).history[record["session"] + "/1"]
    assert shown[0].bytes == IMAGES[0]


def test_a_call_in_flight_here_is_nobody_elses(home, server, left, monkeypatch):
    run_id, _ = left()
    studio = make_studio(home, server)
    monkeypatch.setattr(studio.ledger, "in_flight", lambda: frozenset({run_id}))
    list(studio.history.search("fox"))
    assert next(iter(records(home).values()))["status"] == "pending"


def test_addresses_are_fetched_when_somebody_wants_to_see_them(home, serve):
    image = serve(lambda seen: (200, {"Content-Type": "image/png"}, IMAGES[0]))
    url = image.base_url + "/1.png"
    server = serve(lambda seen: (200, {}, {"data": [{"url": url}]}))
    server.requests.clear()
    studio = make_studio(home, server)
    # The address is of another port, so it is not fetched and stays pending: what a kill leaves is alike.
    with raising(e.CallError, remedy=Remedy.ASK_B64):
        studio.imagine("a fox", n=2)
    run = studio.store.runs()[0]
    studio.store.update(run.replace(status=Status.PENDING, images=(), response={}, mismatches=()))
    studio.store.spool(run).write_bytes(json.dumps({"data": [{"url": url}]}).encode())
    record = looked(home, server)
    assert [image["state"] for image in record["images"]] == ["url_pending"]
    assert image.requests == []


def test_what_no_disk_took_is_taken_in_when_there_is_room(home, server):
    studio = make_studio(home, server)
    full = []

    def write(file, data):
        if full and os.fstat(file).st_size == 0 and bytes(data[:4]) == b"\x89PNG":
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(file, data)

    studio.store = Store(home, disk=Disk(home, write=write))
    full.append(True)
    for turn in range(3):  # looked at again while nothing is mended
        made = studio.imagine("a fox", n=2)
        assert [image.bytes for image in made] == IMAGES
        assert CAPTION["shown from a copy"] in made.caption
        assert made.reused == (turn > 0)
    (record,) = [record for record in records(home).values() if not record.get("reused_from")]
    assert {image["state"] for image in record["images"]} == {"unwritten"}
    (spool,) = home.glob("spool/*.reply")
    assert spool.read_bytes() == BODY
    again = make_studio(home, server).imagine("a fox", n=2)
    assert [image.bytes for image in again] == IMAGES
    assert {image.path.parent.parent for image in again} == {home / "images"}
    assert again.caption.count(CAPTION["read later"]) == 1
    assert CAPTION["shown from a copy"] not in again.caption
    assert len(server.posts) == 1


def test_what_neither_disk_nor_refuge_took_is_kept_as_the_reply(home, server, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(home))  # the one disk that there is
    studio = make_studio(home, server)

    def write(file, data):
        if bytes(data[:4]) == b"\x89PNG":
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(file, data)

    full = Disk(home, write=write)
    studio.store = Store(home, disk=full)
    monkeypatch.setattr(
        "ipyimagegen.store.blobs.find_fallback", lambda *_, **__: replace(full, home=home / "aside")
    )
    with raising(e.CallError, remedy=Remedy.FREE_SPACE):
        studio.imagine("a fox", n=2)
    with raising(e.OutcomeUnknown, remedy=Remedy.SHOW):
        studio.imagine("a fox", n=2)
    assert [image.bytes for image in make_studio(home, server).imagine("a fox", n=2)] == IMAGES
    assert len(server.posts) == 1


def test_a_reply_that_no_disk_takes_stays_in_the_spool(home, serve):
    cut = {"Content-Length": str(len(BODY)), "Connection": "close"}
    studio = make_studio(home, serve(lambda seen: (200, cut, BODY[:80])))

    def write(file, data):
        if bytes(data[:10]) == BODY[:10]:  # too large for the room that is left, as records are not
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(file, data)

    studio.store = Store(home, disk=Disk(home, write=write))
    with pytest.raises(e.OutcomeUnknown):
        studio.imagine("a fox", n=2)
    assert next(iter(records(home).values()))["status"] == "unknown"
    (spool,) = home.glob("spool/*.reply")
    assert spool.read_bytes() == BODY[:80]


def test_a_reply_whose_record_was_edited_stops_no_other_cell(home, server, left):
    run_id, spool = left()
    path = home / "records" / f"{run_id}.json"
    path.write_text(path.read_text().replace(server.base_url, "http://[lab"))
    assert len(make_studio(home, server).imagine("a cat", n=2)) == 2
    assert records(home)[run_id]["status"] == "pending"
    assert spool.read_bytes() == BODY


def test_forgetting_takes_the_reply_too(home, server, left):
    run_id, spool = left(BODY[:-50])
    make_studio(home, server).history.forget(run_id)
    assert not spool.exists()
    assert records(home)[run_id]["forgotten"] is True


NOBODYS = f"{'0' * 32}.part"


def test_a_reply_is_deleted_after_a_day_when_nothing_of_it_is_wanted(home, server, left):
    _, spool = left(age=90_000)
    (home / "spool" / NOBODYS).write_bytes(b"x")
    os.utime(home / "spool" / NOBODYS, (time.time() - 90_000,) * 2)
    studio = make_studio(home, server)
    studio.store.spool()
    assert spool.exists()  # its images are not in the store yet
    assert not (home / "spool" / NOBODYS).exists()
    list(studio.history.search("fox"))
    studio.store.spool()
    assert not spool.exists()


@pytest.mark.parametrize(
    "name", ["x.reply", "x.1121-abcd.reply", "x.1121-abcd.1x.reply", "x...reply", "x.1121-abcd.99.reply"]
)
def test_other_files_in_the_spool_are_passed_over(home, server, left, name):
    left()
    (home / "spool" / name).write_bytes(BODY)
    assert looked(home, server)["status"] == "done"


# In the background, and once


@pytest.fixture
def held(home, server, monkeypatch):
    """Return a studio that takes nothing in before an event, and the event."""
    go = threading.Event()

    def write(file, data):
        if threading.current_thread().name == "imagine: recovery":
            assert go.wait(60)
        return os.write(file, data)

    monkeypatch.setattr("ipyimagegen.session.recovery.WAIT", 0.05)
    studio = make_studio(home, server)
    studio.store = Store(home, disk=Disk(home, write=write))
    yield studio, go
    go.set()


def becomes(home, status):
    """Wait until the only record has a status."""
    until = time.monotonic() + 30
    while (state := next(iter(records(home).values()))["status"]) != status and time.monotonic() < until:
        time.sleep(0.01)
    return state == status


def test_what_takes_long_is_taken_in_behind_the_cells(home, server, left, held):
    left()
    studio, go = held
    assert [run.status for run in studio.history.search("fox")] == ["pending"]
    assert studio.imagine("a hat", endpoint="sketch", size="64x64")
    go.set()
    assert becomes(home, "done")


def test_a_response_that_ended_one_reader_is_read_by_nobody_unasked(home, server, left):
    run_id, spool = left()
    killed = make_studio(home, server)
    assert killed.store.claim(spool)  # and nothing more: it was killed while it read
    for _ in range(2):
        assert looked(home, server)["status"] == "pending"
    asked = make_studio(home, server)
    run = asked.reread(asked.find(run_id)[0])  # as %imagine_show does
    assert (run.status, len(run.shown)) == (Status.DONE, 2)
    assert not spool.with_name(f"{spool.name}.claim").exists()


def test_show_reads_what_a_cell_says_it_reads(home, server, left):
    """Also where the response was read in part, and its reader died."""
    run_id, spool = left()
    studio = make_studio(home, server)
    run = studio.store.run(run_id)
    unread = tuple(ImageRecord(index=index, state=ImageState.UNREAD) for index in (1, 2))
    studio.store.update(run.replace(status=Status.DONE, images=unread))
    assert studio.store.claim(spool)
    with raising(e.CallError, run=run_id, remedy=Remedy.SHOW):
        make_studio(home, server).imagine("a fox", n=2)
    asked = make_studio(home, server)
    assert len(asked.reread(asked.find(run_id)[0]).shown) == 2


def test_an_ordinary_end_of_the_process_leaves_no_mark(home, server, left):
    _, spool = left(json.dumps({"data": [{"b64_json": b64(IMAGES[0])}] * 2}).encode())
    code = (
        "import sys, threading, time\n"
        "from ipyimagegen import Studio\nfrom ipyimagegen.session import recovery\n"
        "recovery.WAIT = 0\n"
        "begun = threading.Event()\n"
        "recovery._recover = lambda *_: (begun.set(), time.sleep(600))\n"
        f"studio = Studio('sketch', {str(home)!r}, environ={{}})\n"
        "studio.recover_responses()\n"
        "assert begun.wait(60)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert not spool.with_name(f"{spool.name}.claim").exists()
    assert looked(home, server)["status"] == "done"


def test_the_mark_of_a_reader_stays_as_long_as_the_response(home, server, left):
    run_id, spool = left()
    studio = make_studio(home, server)
    assert studio.store.claim(spool)
    claim = spool.with_name(f"{spool.name}.claim")
    for path in (spool, claim):
        os.utime(path, (time.time() - 3 * 86_400,) * 2)
    studio.imagine("a cat")  # tidies up
    assert (spool.exists(), claim.exists()) == (True, True)
    looked(home, server)
    assert studio.store.run(run_id).status is Status.PENDING


def test_forgetting_does_not_wait_for_what_is_taken_in(home, server, left, held):
    run_id, spool = left()
    studio, go = held
    studio.history.forget(run_id)
    assert not spool.exists()
    go.set()
    assert becomes(home, "pending")  # its record says so, and nothing of what was asked
    for thread in threading.enumerate():
        if thread.name == "imagine: recovery":
            thread.join(30)
    record = next(iter(records(home).values()))
    assert record["forgotten"]
    assert "fox" not in json.dumps(record)
    assert not [path for path in (home / "images").rglob("*") if path.is_file()]
