"""A disk, an index and files that fail: nothing half, nothing lost, nothing paid in vain."""

import contextlib
import ctypes
import errno
import json
import os
import sqlite3
import struct
import subprocess
import sys

import pytest
from failing import MAKING, Calls, Fate, fails
from lab import PAINTED
from loopback import image_bytes
from sockets import images, reply

from ipyimagegen.core.run import Status
from ipyimagegen.store import Disk, Store

WHOLE = reply(images(of=PAINTED))


def on(lab, disk=None, wait=10.0):
    """Let this session reach its store by a disk."""
    lab.studio.store = Store(lab.home, wait=wait, disk=disk)
    lab.tools(store=lab.studio.store)


def again(lab):
    """Begin a new session with the same server."""
    lab.new_session()
    lab.shell.run_cell(lab.configured)


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "for good"])
def test_48_disk_fails_at_the_nth_write(lab, monkeypatch, lasts):
    def answer(conn, seen):
        number = int(json.loads(seen.body)["prompt"].rpartition(" ")[2])
        conn.sendall(reply(images(2, of=painted[number])))

    painted = {nth: [image_bytes(40 + k, 30, (nth, 9, k)) for k in range(2)] for nth in range(1, 200)}
    full, broken = (Fate(fails(code).meet, MAKING, lasts) for code in (errno.ENOSPC, errno.EIO))
    monkeypatch.setattr("tempfile.tempdir", str(lab.artefacts))  # where the refuge is
    lab.serve(answer)
    nth, met = 0, "none yet"
    while met:
        nth += 1
        again(lab)
        lab.cell("%imagine_history --all")  # takes in what no disk took
        with Calls(lab.home, nth, full if nth % 2 else broken) as calls:
            on(lab, calls.disk(), wait=0.2)
            before = lab.posts
            cell = lab.cell(f"%imagine -n 2 a red fox {nth}")
            lab._settled()
        met = calls.met
        paid = lab.posts - before
        assert ("tiles: " in cell.texts) == len(cell.images) == paid, (
            nth,
            met,
            cell.texts,
        )  # both are shown
        assert paid or "No space left" in cell.texts or "Input/output" in cell.texts, (nth, met, cell.texts)
    assert nth > 50
    again(lab)  # and the disk is whole: what was shown is there, the rest is asked for now
    lab.shell.run_cell("%config Imagine.max_calls = 100")
    lab.cell(
        f"for k in range(1, {nth + 1}):\n    get_ipython().run_line_magic('imagine', f'-n 2 a red fox {{k}}')"
    )
    statuses = [run.status for run in lab.runs]
    assert set(statuses) <= {Status.DONE, Status.NOT_SENT}
    delivered = [image for k in range(1, nth + 1) for image in painted[k]]
    lab.check(statuses, nth, delivered=delivered, images=nth, within=20)
    assert bool(list(lab.artefacts.glob("ipyimagegen-*/*/spool/*.reply"))) == lasts


@contextlib.contextmanager
def permissions_hold():
    """Let permissions hold for root too: this thread, and those that it starts, do not override them."""
    libc, head = ctypes.CDLL(None, use_errno=True), struct.pack("Ii", 0x20080522, 0)
    held = ctypes.create_string_buffer(24)
    assert libc.capget(head, held) == 0, os.strerror(ctypes.get_errno())
    effective, *rest = struct.unpack("6I", held.raw)
    libc.capset(head, struct.pack("6I", effective & ~0b110, *rest))  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    try:
        yield
    finally:
        libc.capset(head, held.raw)


def test_49_home_that_cannot_be_written(lab):
    lab.serve(WHOLE)
    for home in (lab.artefacts / "file" / "home", lab.artefacts / "file"):
        (lab.artefacts / "file").write_text("in the way")
        lab.home, kept = home, lab.home
        again(lab)
        assert "IPYIMAGEGEN_HOME" in lab.cell().texts
        lab.home = kept
    assert lab.posts == 0
    again(lab)
    lab.cell()
    for path in (lab.home, *lab.home.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    again(lab)
    with permissions_hold():
        assert "Permission denied" in lab.cell("%imagine a cat").texts
        shown = lab.cell()
    for path in (lab.home, *lab.home.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    assert len(shown.images) == 1  # what is stored is shown all the same
    lab.check(Status.DONE, 1, delivered=PAINTED[:1], at=-2)


HOLD = """
import sqlite3, sys
index = sqlite3.connect(sys.argv[1], isolation_level=None)
index.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
input()
"""


def test_50_index_locked_by_another_process(lab):
    lab.serve(WHOLE)
    lab.cell("%imagine a cat")
    index, pipes = lab.home / "index.sqlite", {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    before = index.stat().st_ino
    with subprocess.Popen([sys.executable, "-c", HOLD, str(index)], **pipes) as holder:
        assert holder.stdout.readline() == b"held\n"
        again(lab)
        on(lab, wait=0.5)
        assert len(lab.cell().images) == 1
        assert len(lab.cell("%imagine a cat").images) == 1
        assert lab.posts == 2
        holder.communicate(b"\n")
    assert index.stat().st_ino == before
    assert not index.with_suffix(".damaged").exists()
    lab.cell("%imagine_history --all --search fox")
    lab.check([Status.DONE] * 3, 2, "a red fox", delivered=PAINTED[:1])


DAMAGE = {
    "empty": lambda data: b"",
    "corrupt": lambda data: data[:4096] + b"\xff" * (len(data) - 4096),
    "no index at all": lambda data: b"garbage" * 1000,
    "cut": lambda data: data[: len(data) // 2],
}


@pytest.mark.parametrize("damage", [*DAMAGE, "newer"])
def test_51_index_corrupt_empty_or_newer(lab, damage):
    lab.serve(WHOLE)
    for prompt in ("a red fox", "a cat"):
        lab.cell(f"%imagine {prompt}")
    index = lab.home / "index.sqlite"
    if damage == "newer":
        with contextlib.closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        index.write_bytes(DAMAGE[damage](index.read_bytes()))
    left = index.read_bytes()
    again(lab)
    for prompt in ("a red fox", "a dog", "a red fox"):
        assert len(lab.cell(f"%imagine {prompt}").images) == 1
    assert lab.posts == 3
    aside = index.with_suffix(".damaged")
    assert aside.exists() is (damage not in ("empty", "newer"))
    assert (index.read_bytes() == left) is (damage == "newer")
    moved = aside.stat().st_mtime_ns if aside.exists() else None
    assert len(lab.cell("%imagine_history --all --search fox").images) == 1
    assert moved == (aside.stat().st_mtime_ns if aside.exists() else None)
    lab.check([Status.DONE] * 4, 3, "a red fox", delivered=PAINTED[:1])


NO_LOCKS = """
import sqlite3, sys
connect = sqlite3.connect
sqlite3.connect = lambda path, **how: connect(f"file:{path}?vfs=unix-none", uri=True, **how)
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("%load_ext ipyimagegen").raise_error()
shell.run_cell(sys.argv[1] + "\\n%config Imagine.max_calls = 100").raise_error()
for number in range(50):
    shell.run_cell(f"fox = %imagine fox {sys.argv[2]}-{number}").raise_error()
"""


def test_52_locks_that_do_nothing(lab, monkeypatch):
    lab.serve(WHOLE)
    command, writers = [sys.executable, "-c", NO_LOCKS, lab.configured], []
    for k in range(4):  # IPython's own history does not bear four that begin it at once
        monkeypatch.setenv("IPYTHONDIR", str(lab.artefacts / f"ipython-{k}"))
        writers.append(subprocess.Popen([*command, str(k)], stdout=subprocess.PIPE))
    assert [(writer.communicate(timeout=120), writer.returncode)[1] for writer in writers] == [0] * 4
    assert len(list(lab.home.glob("images/*/*"))) == 1
    assert len(list(lab.home.glob("records/*/*.json"))) == 200
    lab.cell("%imagine fox 3-49")
    lab.check([Status.DONE] * 201, 200, delivered=PAINTED[:1])


def test_53_a_flipped_bit_in_a_image(lab):
    lab.serve(WHOLE)
    first = lab.cell()
    (path,) = lab.home.glob("images/*/*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again(lab)
    (run,) = lab.runs
    assert lab.cell().error.run == run.id
    shown = lab.cell(f"%imagine_show {run.id}")
    assert shown.images == []
    for code in ("pil", "save('fox')"):
        lab.shell.run_cell("from ipyimagegen import StoreError, history")
        assert f"{run.id}.1" in lab.cell(BYTES.format(id=run.id, code=code)).printed
    assert not list(lab.folder.glob("fox*"))
    assert lab.posts == 1  # nobody is asked for it again
    assert lab.cell("%imagine --retry a red fox").images == first.images
    lab.check([Status.DONE] * 2, 2, delivered=PAINTED[:1])


BYTES = """
try:
    history[{id!r}][0].{code}
except StoreError as fault:
    print(fault)
"""


def test_54_replace_fails_as_on_windows(lab):
    tries = {}

    def replace(part, path):
        tries[path] = tries.get(path, 0) + 1
        if tries[path] <= 3:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        os.replace(part, path)

    lab.serve(WHOLE)
    on(lab, Disk(lab.home, replace=replace))
    cell = lab.cell()
    assert set(tries.values()) == {4}
    lab.check(Status.DONE, 1, delivered=PAINTED[:1], within=2.5)
    assert cell.seconds > 0.35  # it did wait
