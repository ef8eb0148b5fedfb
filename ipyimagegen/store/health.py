"""The health of a store, inspected without changing, making, repairing or waiting for anything."""

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

from ipyimagegen.core.run import Run, Status
from ipyimagegen.store.blobs import find_fallback
from ipyimagegen.store.files import MARGIN, Disk
from ipyimagegen.store.index import (
    DAMAGED,
    SQLITE_LOCK,
    VERSION,
    find_code,
    list_aside,
    read_state,
    read_version,
)
from ipyimagegen.store.records import Records

MOUNTS = Path("/proc/self/mountinfo")  # on Linux only
LOCK = 1.0  # seconds that another process may hold the index before it is called locked
CHECK = 2.0  # seconds that the check of the index may take
STEPS = 10_000  # instructions of SQLite between two looks at the clock
IMAGE = 8 << 20  # bytes of a large image


@dataclass(frozen=True, kw_only=True)
class StoreHealth:
    """The state of a store.

    `trouble`: why nothing can be written; empty where it can. `free`: bytes, None where unknown. `roomy`: an
    image fits. `kind`: of the file system, None where unknown. `index`: ok, missing, newer, damaged, foreign
    (another program's or another user's), locked, cut off, read-only or unreadable. `runs`: how many are in
    the index. `unindexed`: how many records it may lack. `spool` (with the fallback) and `quarantine`:
    numbers of files and bytes. `aside`: a damaged index was moved aside and is still there. `damaged`: how
    many records cannot be read. `unknown`: the ids of runs whose outcome is unknown, and that no later run of
    the same request settled; `jobs`: those of them whose job at the server may still end with an image.
    `counted`: all records were read in the time.
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
    damaged: int
    unknown: tuple[str, ...]
    jobs: tuple[str, ...]
    counted: bool


def inspect_store(home: Path, *, disk: Disk | None = None, mounts: Path = MOUNTS) -> StoreHealth:
    """Return the state of the store in `home`, which need not exist. Never fails because of a disk."""
    disk = disk or Disk(home)
    home = disk.home
    folder = next((path for path in (disk.spool, *disk.spool.parents) if os.path.lexists(path)), home)
    fallback = find_fallback(home)
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
    index, runs = _inspect_index(home / "index.sqlite")
    damaged, unknown, counted = _count_records(disk)
    return StoreHealth(
        trouble=_find_trouble(disk, folder),
        free=free,
        roomy=free is None or free >= MARGIN + IMAGE,
        kind=_find_file_system(folder, mounts),
        index=index,
        runs=runs,
        unindexed=len(_list_paths(home / "unindexed")),
        spool=_measure(disk.spool, *([fallback.spool] if fallback else [])),
        quarantine=_measure(home / "quarantine"),
        aside=bool(list_aside(home)),
        damaged=damaged,
        unknown=tuple(run.id for run in unknown),
        jobs=tuple(run.id for run in unknown if run.awaits_job),
        counted=counted,
    )


def _find_trouble(disk: Disk, folder: Path) -> str:
    """Return why no file can be written; it has no name, where the system allows that."""
    try:
        disk.check_folders()
        with tempfile.TemporaryFile(dir=folder) as file:
            disk.append(file.fileno(), b"probe")
            disk.fsync(file.fileno())
    except OSError as error:
        return str(disk.explain(error))
    return ""


def _list_paths(folder: Path) -> list[Path]:
    with suppress(OSError):  # missing, or not a folder
        return list(folder.iterdir())
    return []


_OCTAL = re.compile(r"\\([0-7]{3})")


def _find_file_system(folder: Path, mounts: Path) -> str | None:
    """Return the kind of file system that holds a folder: of the nearest mount above, the newest.

    A line is `36 35 98:0 /root /mount options - ext4 /dev/sda …`, blanks written as octals.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        resolved = folder.resolve()
    except (OSError, RuntimeError):
        return None
    nearest, kind = -1, None
    for line in lines:
        before, _, after = line.partition(" - ")
        if len(fields := before.split(" ")) > 4 and after:
            mount = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
            if len(mount.parts) >= nearest and resolved.is_relative_to(mount):
                nearest, kind = len(mount.parts), after.split(" ")[0]
    return kind


def _count_records(disk: Disk) -> tuple[int, list[Run], bool]:
    """Return how many records cannot be read, the runs of unknown outcome, and whether all were read in time.

    A run that a later run of the same request settled is left out.
    """
    records, ends, damaged = Records(disk), time.monotonic() + CHECK, 0
    settled: dict[str, float] = {}
    unknown: list[Run] = []
    with suppress(OSError):
        for key in records.list_keys():
            if time.monotonic() > ends:
                break
            run = None
            with suppress(OSError):
                run = records.read(key)
            if run is None:
                damaged += 1
            elif run.status is Status.DONE:
                settled[run.identity] = max(run.created, settled.get(run.identity, 0))
            elif run.status in (Status.UNKNOWN, Status.PENDING) and not run.forgotten:
                unknown.append(run)
    unknown = [run for run in unknown if settled.get(run.identity, 0) < run.created]
    return damaged, sorted(unknown, key=lambda run: run.created), time.monotonic() <= ends


def _measure(*folders: Path) -> tuple[int, int]:
    """Return how many files are in the folders, and their bytes."""
    sizes = []
    for path in (path for folder in folders for path in _list_paths(folder)):
        with suppress(OSError):
            sizes.append(path.stat().st_size)
    return len(sizes), sum(sizes)


def _inspect_index(path: Path) -> tuple[str, int | None]:
    """Return the state of the index, and how many runs are in it.

    It is opened so that SQLite cannot create it. A journal beside it belongs to a write that was cut off or
    goes on: opened for reading only, SQLite does not replay it.
    """
    try:
        with SQLITE_LOCK:
            state = read_state(path)
    except OSError:
        state = "unreadable"
    if state != "ours":
        return {"empty": "missing", "no database": "damaged"}.get(state, state), None
    journal = os.path.lexists(f"{path}-journal")
    address = f"{path.as_uri()}?mode={'ro' if journal else 'rw'}"
    try:
        with (
            SQLITE_LOCK,
            closing(sqlite3.connect(address, uri=True, timeout=LOCK, isolation_level=None)) as connection,
        ):
            index, runs = _check_index(connection, writing=not journal)
    except sqlite3.Error as error:
        states = dict.fromkeys(DAMAGED, "damaged")
        states |= {sqlite3.SQLITE_BUSY: "locked", sqlite3.SQLITE_READONLY: "cut off"}  # needs a replay
        return states.get(find_code(error), "unreadable"), None
    return (index if index != "ok" or os.access(path, os.W_OK) else "read-only"), runs


def _check_index(connection: sqlite3.Connection, *, writing: bool) -> tuple[str, int | None]:
    version = read_version(connection)
    if version != VERSION:
        return ("newer" if version > VERSION else "missing"), None
    ends = time.monotonic() + CHECK
    connection.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
    with suppress(sqlite3.OperationalError):  # too large to be checked in the time
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            return "damaged", None
    connection.set_progress_handler(None, 0)
    (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    if writing:  # takes the lock of a writer and changes nothing
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return "ok", int(runs)
