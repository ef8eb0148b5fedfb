"""Faults of disks, indexes and other processes, with real disks, indexes and processes."""

import errno
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from store_samples import SESSION, files, ids, run

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.run import Status
from ipyimagegen.store import Disk, Store
from ipyimagegen.store.files import MARGIN
from ipyimagegen.store.health import inspect_store

PNG = b"\x89PNG\r\n\x1a\n" + b"image" * 100


def keep(store, data=PNG):
    return store.keep([data[:50], data[50:]], cap=9999)


def elsewhere(store, code, **options):
    """Start a process that has `store`, `run` and `keep`, and runs this code."""
    start = f"""
        import os, signal, sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from store_samples import run
        from test_store_faults import keep
        from ipyimagegen.store import Store
        store = Store(Path({str(store.home)!r}), wait=20)
    """
    code = textwrap.dedent(start) + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", code], **options)


# The folder


def test_a_probe_leaves_nothing(store):
    store.probe(1000)
    assert files(store) == []


@pytest.mark.parametrize("folder", ["images", "records", "quarantine", "unindexed"])
def test_a_folder_that_takes_no_file_is_reported_before_paying(store, folder):
    store.probe(1000)
    (store.home / folder).write_text("in the way")
    with pytest.raises(StoreError, match=folder):
        store.probe(1000)
    assert folder in inspect_store(store.home).trouble


def test_a_home_that_cannot_be_made_is_reported_before_paying(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "home")
    for attempt in (store.probe, lambda: store.create(run()), lambda: keep(store), store.spool):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert str(store.home) in str(caught.value)
        assert "IPYIMAGEGEN_HOME" in str(caught.value)
    assert store.runs() == []


def test_a_home_that_is_a_file(tmp_path):
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(StoreError, match="IPYIMAGEGEN_HOME"):
        Store(tmp_path / "home").probe()


def test_no_room_is_reported_before_paying(store):
    with pytest.raises(StoreError, match=re.escape(str(store.home))):
        store.probe(1 << 60)
    assert MARGIN > 0


def test_a_home_that_vanished_is_made_again(store):
    store.create(run(1))
    for path in sorted(store.home.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    store.home.rmdir()
    store.create(run(2))
    assert ids(store.runs()) == [f"{SESSION}/2"]


# The disk


class Failing:
    """Stands for os.write, os.fsync or os.replace; the call of that number fails."""

    def __init__(self, call, nth, code):
        self.call, self.left, self.code = call, nth, code

    def __call__(self, *arguments):
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, os.strerror(self.code))
        return self.call(*arguments)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
def test_no_half_file_whichever_call_fails(tmp_path, name, code):
    """All that a run writes, with one failing call after another until none fails."""
    nth, faults = 0, ["none yet"]
    while faults:
        nth += 1
        home = tmp_path / str(nth)
        store = Store(home, disk=Disk(home, **{name: Failing(getattr(os, name), nth, code)}))
        faults = [fault for fault in (attempt(step, store) for step in STEPS) if fault]
        assert all(os.strerror(code) in fault for fault in faults)
        assert not list(home.glob("spool/*"))
        assert [path.read_bytes() for path in home.glob("images/*/*")] in ([], [PNG])
        runs = Store(home).runs()
        assert len(runs) == sum(1 for _ in home.glob("records/*/*.json")) <= 1
    assert [record.status for record in runs] == [Status.DONE]
    assert nth > 2


def test_a_file_system_without_links_will_do(store, monkeypatch):
    def link(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    store.create(run())
    with pytest.raises(StoreError, match=f"{SESSION}/1"):
        store.create(run(prompt="another"))
    assert store.runs() == [run()]
    assert files(store) == [f"records/{SESSION}/1.json"]


STEPS = (
    lambda store: store.create(run()),
    lambda store: store.keep([PNG], cap=9999),
    lambda store: store.update(run(status=Status.DONE)),
)


def attempt(step, store):
    try:
        step(store)
    except StoreError as error:
        return str(error)


def test_partial_writes_are_carried_on(tmp_path):
    store = Store(tmp_path, disk=Disk(tmp_path, write=lambda file, data: os.write(file, data[:7])))
    assert store.path(keep(store).sha256).read_bytes() == PNG


def locked_file(times):
    """Stands for os.replace on Windows, while somebody has the file open."""
    left = [times]

    def replace(part, path):
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(errno.EACCES, "Access is denied")
        os.replace(part, path)

    return replace


def test_replace_is_tried_again(tmp_path):
    pauses = []
    store = Store(tmp_path, disk=Disk(tmp_path, replace=locked_file(3), sleep=pauses.append))
    store.create(run())
    store.update(run(status=Status.DONE))
    assert len(pauses) == 3
    assert store.run(f"{SESSION}/1") == run(status=Status.DONE)


def test_replace_is_given_up_in_time(tmp_path):
    pauses = []
    store = Store(tmp_path, disk=Disk(tmp_path, replace=locked_file(99), sleep=pauses.append))
    with pytest.raises(StoreError, match="denied"):
        keep(store)
    assert sum(pauses) == pytest.approx(2.5)
    assert files(store) == []


# The index


def test_a_deleted_index_is_made_again(store):
    store.create(run())
    (store.home / "index.sqlite").unlink()
    assert ids(store.runs(search="fox")) == [f"{SESSION}/1"]


DAMAGE = {
    "empty": lambda data: b"",
    "garbage": lambda data: b"garbage" * 1000,
    "half": lambda data: data[: len(data) // 2],
    "pages": lambda data: data[:4096] + b"\xff" * (len(data) - 4096),
    "header": lambda data: b"SQLite format 3\0" + b"\xff" * 5000,
}


@pytest.mark.parametrize("reader", [True, False])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_moved_once_and_made_again(store, damage, reader):
    for number in range(1, 40):
        store.create(run(number, f"fox {number}"))
    index = store.home / "index.sqlite"
    index.write_bytes(DAMAGE[damage](index.read_bytes()))
    if not reader:
        store.create(run(40, "fox 40"))
    count = 39 if reader else 40
    assert len(store.runs(search="fox")) == len(store.runs()) == count
    aside = store.home / "index.damaged"
    assert aside.exists() is (damage != "empty")
    moved = aside.stat().st_mtime_ns if aside.exists() else 0
    store.create(run(41))
    assert len(store.runs()) == count + 1
    assert moved == (aside.stat().st_mtime_ns if aside.exists() else 0)


def test_a_newer_index_is_left_alone(store):
    store.create(run(1))
    index = store.home / "index.sqlite"
    with sqlite3.connect(index) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = index.read_bytes()
    store.create(run(2))
    store.update(run(2, status=Status.DONE))
    assert ids(store.runs(search="fox")) == [f"{SESSION}/2", f"{SESSION}/1"]
    assert ids(store.find_identical(run().identity)) == [f"{SESSION}/2", f"{SESSION}/1"]
    assert index.read_bytes() == before
    assert files(store)[-1] == f"unindexed/{SESSION}.2"  # for the newer version to find


def test_an_index_that_is_a_folder_is_not_needed(store):
    (store.home / "index.sqlite").mkdir(parents=True)
    store.create(run())
    assert ids(store.runs()) == [f"{SESSION}/1"]


def test_a_locked_index_is_neither_damaged_nor_needed(store):
    store.create(run(1))
    holder = elsewhere(
        store,
        """
        import sqlite3
        index = sqlite3.connect(store.home / "index.sqlite", isolation_level=None)
        index.execute("BEGIN EXCLUSIVE")
        print("locked", flush=True)
        sys.stdin.read()
        """,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"locked\n"
    kept = keep(store)
    store.create(run(2))
    store.update(run(2, status=Status.DONE))
    assert ids(store.runs()) == [f"{SESSION}/2", f"{SESSION}/1"]
    holder.communicate()
    assert not (store.home / "index.damaged").exists()
    assert store.verify(kept.sha256)
    assert [record.status for record in store.runs(search="fox")] == [Status.DONE, Status.PENDING]
    assert not list(store.home.glob("unindexed/*"))


def test_a_missing_index_file_and_a_noted_record_without_a_file(store):
    store.create(run(1))
    note = store.home / "unindexed" / f"{SESSION}.9"
    note.touch()
    assert len(store.runs()) == 1
    assert note.exists()  # its writer may be about to write the record
    os.utime(note, (time.time() - 90000, time.time() - 90000))
    assert len(store.runs()) == 1
    assert not note.exists()


# Other processes


def test_writers_at_once_lose_nothing(store):
    """Four processes, 50 runs each, one and the same image."""
    code = """
        session = store.new_session(__import__("datetime").date(2025, 11, 20))
        for number in range(1, 51):
            store.create(run(number, session=session))
            keep(store)
            store.update(run(number, session=session, status="done"))
    """
    writers = [elsewhere(store, code) for _ in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    assert len(list(store.home.glob("images/*/*"))) == 1
    assert len(list(store.home.glob("records/*/*.json"))) == 200
    assert len(store.find_identical(run().identity)) == 200
    assert {record.status for record in store.runs()} == {Status.DONE}
    assert not list(store.home.glob("spool/*"))


def test_writers_whose_locks_do_nothing_lose_no_record(store):
    """As on a network folder without locks: the index may break, the files may not."""
    code = """
        import sqlite3
        from ipyimagegen.store import index
        connect = sqlite3.connect
        index.sqlite3.connect = lambda path, **o: connect(f"file:{path}?vfs=unix-none", uri=True, **o)
        session = store.new_session(__import__("datetime").date(2025, 11, 20))
        for number in range(1, 51):
            store.create(run(number, session=session))
            keep(store)
            store.update(run(number, session=session, status="done"))
    """
    writers = [elsewhere(store, code) for _ in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    assert [store.verify(path.stem) for path in store.home.glob("images/*/*")] == [True]
    assert not list(store.home.glob("spool/*"))
    (store.home / "index.sqlite").unlink(missing_ok=True)
    runs = store.find_identical(run().identity)
    assert len(runs) == len(list(store.home.glob("records/*/*"))) == 200
    assert {record.status for record in runs} == {Status.DONE}


def test_a_number_is_taken_once_by_processes_at_once(store):
    code = f"""
        from ipyimagegen.core.errors import StoreError
        taken = 0
        for number in range(1, 31):
            try:
                store.create(run(number, session={SESSION!r}))
                taken += 1
            except StoreError:
                pass
        print(taken)
    """
    writers = [elsewhere(store, code, stdout=subprocess.PIPE) for _ in range(2)]
    assert sum(int(writer.communicate(timeout=60)[0]) for writer in writers) == 30
    assert len(store.runs()) == 30


# Where a process may be killed: right before a call of this name.
PLACES = [
    "store._records.create",
    "store._index.add",
    "store._journal.remove",
    "store.disk.move",
    "store._records.update",
    "os.replace",
    "os.fsync",
]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill")
@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize("place", PLACES)
def test_what_was_written_before_a_kill_is_found(store, place, nth):
    """The process is killed right before the nth call of that place."""
    code = f"""
        import functools, itertools
        from ipyimagegen.store import Disk
        count = itertools.count(1)

        def deadly(call):
            def called(*arguments):
                if next(count) == {nth}:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments)
            return called

        place = {place!r}
        if place.startswith("os."):
            name = place[3:]
            store = Store(store.home, disk=Disk(store.home, **{{name: deadly(getattr(os, name))}}))
        else:
            owner, _, name = place.rpartition(".")
            owner = eval(owner)
            object.__setattr__(owner, name, deadly(getattr(owner, name)))
        for number in (1, 2):
            store.create(run(number))
            print("created", flush=True)
            kept = keep(store, b"\\x89PNG\\r\\n\\x1a\\n" + bytes(number) * 100)
            print("kept", kept.sha256, flush=True)
            store.update(run(number, status="done"))
            print("done", flush=True)
    """
    printed, _ = elsewhere(store, code, stdout=subprocess.PIPE, text=True).communicate(timeout=60)
    words = printed.split()
    records = store.runs()
    assert len(records) >= words.count("created")
    assert sum(record.status is Status.DONE for record in records) >= words.count("done")
    assert ids(records) == ids(store.runs(search="fox"))
    assert len(records) == sum(path.stat().st_size > 0 for path in store.home.glob("records/*/*.json"))
    assert all(store.verify(words[at + 1]) for at, word in enumerate(words) if word == "kept")
    assert all(store.verify(path.stem) for path in store.home.glob("images/*/*"))
