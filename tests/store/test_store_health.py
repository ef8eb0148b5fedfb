"""The health of a store, inspected without changing a byte of it."""

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest
from store_samples import run

from ipyimagegen.store import Disk, Store
from ipyimagegen.store.health import inspect_store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "home", wait=0.2)
    for number in (1, 2, 3):
        store.create(run(number))
    return store


def everything(home):
    """Return every path in the folder above the home with its bytes and time of change."""
    above = next(folder for folder in home.parents if folder.is_dir())
    return {
        path: (path.read_bytes() if path.is_file() else b"", path.lstat().st_mtime_ns)
        for path in sorted([above, *above.rglob("*")])
    }


def look(home, **options):
    """Inspect a store, and check that this is quick and leaves no trace, not even a time."""
    before = everything(home)
    began = time.monotonic()
    health = inspect_store(home, **options)
    assert time.monotonic() - began < 4
    assert everything(home) == before
    return health


def test_a_healthy_store(store):
    health = look(store.home)
    assert (health.trouble, health.index, health.runs) == ("", "ok", 3)
    assert (health.unindexed, health.spool, health.quarantine, health.aside) == (0, (0, 0), (0, 0), False)
    assert health.roomy
    assert health.free == pytest.approx(shutil.disk_usage(store.home).free, abs=1 << 30)


def test_a_home_that_is_not_yet_there_is_not_made(tmp_path):
    health = look(tmp_path / "deep" / "home")
    assert (health.trouble, health.index, health.runs) == ("", "missing", None)
    assert health.free


def test_what_lies_about_is_counted(store):
    for name, size in (("spool/a.part", 10), ("spool/b.part", 20), ("quarantine/c.bin", 5)):
        (store.home / name).parent.mkdir(exist_ok=True)
        (store.home / name).write_bytes(bytes(size))
    (store.home / "unindexed" / "1120-k7f2.9").touch()
    (store.home / "index.damaged").touch()
    health = look(store.home)
    assert (health.spool, health.quarantine) == ((2, 30), (1, 5))
    assert (health.unindexed, health.aside) == (1, True)


# The folder


@pytest.mark.parametrize("below", ["file", "file/home"])
def test_a_file_in_the_way(tmp_path, below):
    (tmp_path / "file").write_text("in the way")
    health = look(tmp_path / below)
    assert "IPYIMAGEGEN_HOME" in health.trouble
    assert str(tmp_path / below) in health.trouble


def test_a_link_to_nowhere(tmp_path):
    (tmp_path / "home").symlink_to(tmp_path / "gone" / "away")
    assert "No such file" in look(tmp_path / "home").trouble


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_disk_that_takes_nothing(store, call, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    assert os.strerror(code) in look(store.home, disk=Disk(store.home, **{call: fail})).trouble


def test_a_process_that_may_write_nothing(store, quick):
    """The system limits the size of files: nothing is written."""
    code = f"""
        import resource
        from pathlib import Path
        from ipyimagegen.store.health import inspect_store
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, {resource.RLIM_INFINITY}))
        print(inspect_store(Path({str(store.home)!r})).trouble)
    """
    before = everything(store.home)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=quick,  # Python looks for a folder of temporary files there too
    )
    assert "File too large" in done.stdout
    assert everything(store.home) == before


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write anywhere")
def test_a_folder_without_permission(store):
    """Root inspects without the powers of root."""
    code = f"""
        from pathlib import Path
        from ipyimagegen.store.health import inspect_store
        print(inspect_store(Path({str(store.home)!r})))
    """
    weak = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    inside = [path for path in (store.home, *store.home.rglob("*")) if path.is_dir()]
    (store.home / "index.sqlite").chmod(0o444)
    for folder in inside:
        folder.chmod(0o555)
    try:
        before = everything(store.home)
        command = [*weak, sys.executable, "-c", textwrap.dedent(code)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert everything(store.home) == before
    finally:
        for folder in inside:
            folder.chmod(0o700)
    assert "Permission denied" in done.stdout
    assert "index='read-only', runs=3" in done.stdout


def test_a_disk_that_is_nearly_full(store, monkeypatch):
    usage = shutil.disk_usage(store.home)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50 << 20))
    health = look(store.home)
    assert (health.trouble, health.roomy, health.free) == ("", False, 50 << 20)


# The kind of file system


MOUNTS = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:30 / {home} rw,relatime shared:7 master:1 - nfs4 server:/home rw,vers=4.2
31 27 0:31 / {home}/deep/er rw - tmpfs tmpfs rw
32 27 0:32 / {home}x rw - cifs //server/x rw
a line that is none
"""


@pytest.mark.parametrize(
    ("below", "kind"), [("home", "nfs4"), ("homex", "cifs"), ("home/deep", "nfs4"), ("home/deep/er", "tmpfs")]
)
def test_the_nearest_mount_above_counts(tmp_path, below, kind):
    (tmp_path / below).mkdir(parents=True)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(home=tmp_path / "home"))
    assert look(tmp_path / below, mounts=mounts).kind == kind
    assert look(tmp_path / "other", mounts=mounts).kind == "ext4"


def test_of_two_mounts_on_one_place_the_later_counts_and_blanks_are_read(tmp_path):
    (tmp_path / "my home").mkdir()
    mounts = tmp_path / "mountinfo"
    where = str(tmp_path / "my\\040home")
    mounts.write_text(f"1 0 0:1 / {where} rw - ext4 a rw\n2 1 0:2 / {where} rw - fuse.sshfs b rw\n")
    assert look(tmp_path / "my home", mounts=mounts).kind == "fuse.sshfs"


def test_without_a_list_of_mounts_the_kind_is_unknown(tmp_path):
    assert look(tmp_path / "home", mounts=tmp_path / "none").kind is None


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells")
def test_the_kind_is_what_stat_reports(tmp_path):
    stat = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True)
    same = {"ext2/ext3": ("ext2", "ext3", "ext4"), "overlayfs": ("overlay",)}
    assert look(tmp_path / "home").kind in same.get(stat.stdout.strip(), (stat.stdout.strip(),))


# The index


@pytest.mark.parametrize("content", [b"", None])
def test_an_index_that_is_missing_or_empty(store, content):
    path = store.home / "index.sqlite"
    path.unlink() if content is None else path.write_bytes(content)
    assert look(store.home).index == "missing"
    assert not (store.home / "index.damaged").exists()


def test_an_index_of_a_newer_version(store):
    with sqlite3.connect(store.home / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert look(store.home).index == "newer"


def overwrite(path):
    path.write_bytes(b"not a database, and long enough to be examined" * 200)


def cut(path):
    path.write_bytes(path.read_bytes()[:-4096])


def damage_inside(path):
    data = bytearray(path.read_bytes())
    data[8192:8300] = b"\xff" * 108
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [overwrite, cut, damage_inside])
def test_a_damaged_index_stays_as_it_is(store, spoil):
    spoil(store.home / "index.sqlite")
    health = look(store.home)
    assert (health.index, health.runs, health.aside) == ("damaged", None, False)


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_an_index_that_another_process_holds(store, mode):
    code = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        f"connection.execute('BEGIN {mode}')\nprint('held', flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(store.home / "index.sqlite")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        health = look(store.home)
        holder.stdin.close()
    assert health.index == "locked"
    assert look(store.home).index == "ok"


def test_a_write_that_was_cut_off_is_not_replayed(store):
    code = (
        "import os, signal, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.executescript('PRAGMA cache_size = 1; BEGIN; DELETE FROM runs;')\n"
        "connection.executemany('INSERT INTO runs (session, number, created, identity) VALUES (?, ?, 0, ?)',"
        " ((str(i), i, 'x' * 900) for i in range(500)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", code, str(store.home / "index.sqlite")]
    subprocess.run(command, check=False)
    journal = store.home / "index.sqlite-journal"
    assert journal.stat().st_size
    assert look(store.home).index == "cut off"
    assert len(store.runs()) == 3  # replays it
    assert not journal.exists()
    assert look(store.home).runs == 3


def test_an_index_that_is_a_folder(store):
    (store.home / "index.sqlite").unlink()
    (store.home / "index.sqlite").mkdir()
    assert look(store.home).index == "unreadable"
