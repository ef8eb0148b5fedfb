"""How a store is: looked at, and nothing changed, made, mended or waited for."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ipyimagegen.core.errors import StoreError
from ipyimagegen.store.disk import MARGIN, Disk
from ipyimagegen.store.index import INSIDE, VERSION, damaged, version_of
from ipyimagegen.store.indexfile import list_aside, state_of
from ipyimagegen.store.refuge import find_fallback

MOUNTS = Path("/proc/self/mountinfo")  # Linux alone has it
LOCK = 1.0  # seconds that another process may hold the index before it is called locked
CHECK = 2.0  # seconds that the index is looked through
STEPS = 10_000  # of SQLite's machine between two looks at the clock
IMAGE = 8 << 20  # bytes: a generous one


@dataclass(frozen=True, kw_only=True)
class StoreHealth:
    """What was found.

    `trouble`: why nothing can be written, or nothing. `free`: bytes, None where nobody tells; `roomy`
    that an image has room. `kind`: of the file system, None where the system does not tell. `index` is
    ok, missing, newer, damaged, foreign (another program's or another user's), locked, cut off, read-only
    or unreadable; `runs` counts those in it. `unindexed` counts records that it may not have. `spool`, with
    the refuge, and `quarantine` are numbers of files and bytes. `aside`: a damaged index that was put out
    of the way lies there.
    """

    trouble: str
    free: int | None
    roomy: bool
    kind: str | None
    index: str
    runs: int | None
    unindexed: int
    spool: tuple[int, int]
    quarantine: tuple[int, int]
    aside: bool


def inspect_store(home: Path, *, disk: Disk | None = None, mounts: Path = MOUNTS) -> StoreHealth:
    """Look at the store in `home`, which need not be there. Raises nothing that a disk can cause."""
    disk = disk or Disk(home)
    home = disk.home
    there = next((one for one in (disk.scratch, *disk.scratch.parents) if os.path.lexists(one)), home)
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(there).free
    index, runs = _index(home / "index.sqlite")
    return StoreHealth(
        trouble=_trouble(disk, there),
        free=free,
        roomy=free is None or free >= MARGIN + IMAGE,
        kind=_kind(there, mounts),
        index=index,
        runs=runs,
        unindexed=len(_listed(home / "unindexed")),
        spool=_weighed(disk.scratch, *([aside.scratch] if (aside := find_fallback(home)) else [])),
        quarantine=_weighed(home / "quarantine"),
        aside=_has_aside(home),
    )


def _trouble(disk: Disk, folder: Path) -> str:
    """Write a file that has no name, where the system can do that, and goes when it is closed."""
    try:
        disk.admit()
        with disk.told(), tempfile.TemporaryFile(dir=folder) as file:
            disk.append(file.fileno(), b"probe")
            disk.fsync(file.fileno())
    except StoreError as error:
        return str(error)
    return ""


def _listed(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing when there is none."""
    with suppress(OSError):  # not there, or no folder
        return list(folder.iterdir())
    return []


def _has_aside(home: Path) -> bool:
    with suppress(OSError):
        return any(list_aside(home))
    return False


_OCTAL = re.compile(r"\\([0-7]{3})")


def _kind(folder: Path, mounts: Path) -> str | None:
    """Return the kind of the file system that a folder lies in: of the nearest mount above, the newest.

    A line is `36 35 98:0 /root /mount options - ext4 /dev/sda …`, blanks written as octals.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        whole = folder.resolve()
    except (OSError, RuntimeError):
        return None
    nearest, kind = -1, None
    for line in lines:
        before, _, after = line.partition(" - ")
        if len(fields := before.split(" ")) > 4 and after:
            mount = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4]))
            if len(mount.parts) >= nearest and whole.is_relative_to(mount):
                nearest, kind = len(mount.parts), after.split(" ")[0]
    return kind


def _weighed(*folders: Path) -> tuple[int, int]:
    """Return how many files are in some folders, and their bytes."""
    sizes = []
    for path in (path for folder in folders for path in _listed(folder)):
        with suppress(OSError):
            sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


def _index(path: Path) -> tuple[str, int | None]:
    """Return how the index is, and how many runs are in it.

    It is opened without leave to make it. A journal beside it is a write that was cut off, or goes on:
    opened for reading only, nobody plays it back.
    """
    try:
        with INSIDE:
            state = state_of(path)
    except OSError:
        state = "unreadable"
    if state != "ours":
        return {"empty": "missing", "no database": "damaged"}.get(state, state), None
    journal = os.path.lexists(f"{path}-journal")
    address = f"{path.as_uri()}?mode={'ro' if journal else 'rw'}"
    try:
        with (
            INSIDE,
            closing(sqlite3.connect(address, uri=True, timeout=LOCK, isolation_level=None)) as connection,
        ):
            index, runs = _looked_through(connection, writing=not journal)
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        said = {sqlite3.SQLITE_BUSY: "locked", sqlite3.SQLITE_READONLY: "cut off"}  # it would play it back
        return "damaged" if damaged(error) else said.get(code, "unreadable"), None
    return (index if index != "ok" or os.access(path, os.W_OK) else "read-only"), runs


def _looked_through(connection: sqlite3.Connection, *, writing: bool) -> tuple[str, int | None]:
    version = version_of(connection)
    if version != VERSION:
        return ("newer" if version > VERSION else "missing"), None
    ends = time.monotonic() + CHECK
    connection.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
    with suppress(sqlite3.OperationalError):  # too large to be looked through in the time
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            return "damaged", None
    connection.set_progress_handler(None, 0)
    (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    if writing:  # takes the lock of a writer, and changes nothing
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return "ok", int(runs)
