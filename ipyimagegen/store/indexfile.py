"""The file of the index: whose it is, and how it is made and put aside.

A database of ours carries a mark, SQLite's `application_id`, from its first page on. One without it is
another program's and is left alone. What is no database is put aside under a name of its own, and only
what carries the mark is ever deleted.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ipyimagegen.store.ownership import delete_file, is_link, is_own_file

MARK = 0x69706967  # "ipig", as PRAGMA application_id
ASIDE = re.compile(r"index(\.[0-9]+)?\.damaged")
BESIDE = ("-journal", "-wal", "-shm")  # of SQLite, after the name of the database
_MAGIC, _FRACTIONS = b"SQLite format 3\0", b"\x40\x20\x20"  # at 0 and at 21 of the header of any database
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def state_of(path: Path) -> str:
    """Return missing, empty, ours, foreign, no database, or unreadable; raises OSError.

    Call it inside the lock of all connections: to close a file gives up the locks that SQLite has on it.
    """
    stray = any(os.path.lexists(f"{path}{suffix}") for suffix in BESIDE)  # first: the index is made first
    try:
        info = path.lstat()
    except FileNotFoundError:
        return "no database" if stray else "missing"
    if not is_own_file(info):
        return "foreign" if is_link(info) or stat.S_ISREG(info.st_mode) else "unreadable"
    file = os.open(path, os.O_RDONLY | _NOFOLLOW)
    try:
        header = os.read(file, 100)
    finally:
        os.close(file)
    if not info.st_size:
        return "empty"
    if not header.startswith(_MAGIC) or header[21:24] != _FRACTIONS:
        return "no database"
    return "ours" if int.from_bytes(header[68:72]) == MARK else "foreign"


def make_private(path: Path) -> None:
    """Make an empty index that only this user can read, or close the one that is there; raises OSError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600))
    except FileExistsError:
        mode = path.lstat().st_mode
        if os.name == "nt" or not mode & 0o077:
            return
        file = os.open(path, os.O_RDONLY | _NOFOLLOW)
        try:
            with suppress(OSError):  # a file system without modes; `Store.is_private` tells
                os.fchmod(file, stat.S_IMODE(mode) & ~0o077)
        finally:
            os.close(file)


def put_aside(path: Path) -> None:
    """Rename an index that cannot be used, and what SQLite left beside it; raises OSError.

    An older one that was put aside is deleted first if it carries the mark; nothing else is replaced.
    """
    delete_aside(path.parent)
    for number in itertools.count():
        aside = path.with_name(f"index.{number}.damaged" if number else "index.damaged")
        if not any(os.path.lexists(f"{aside}{suffix}") for suffix in ("", *BESIDE)):
            break
    for suffix in (*BESIDE, ""):  # a journal first: it would be played into the next index
        if os.path.lexists(f"{path}{suffix}"):
            _rename_new(Path(f"{path}{suffix}"), Path(f"{aside}{suffix}"))


def delete_aside(home: Path) -> None:
    """Delete the damaged indexes that were put aside, if they are ours: they hold prompts."""
    for path in list_aside(home):
        if state_of(path) == "ours":
            for suffix in (*BESIDE, ""):
                delete_file(home, Path(f"{path.name}{suffix}"))


def list_aside(home: Path) -> Iterator[Path]:
    """Yield the indexes that were put aside."""
    with suppress(FileNotFoundError):
        yield from (path for path in list(home.iterdir()) if ASIDE.fullmatch(path.name))


def _rename_new(source: Path, target: Path) -> None:
    """Rename a file to a name that nothing has; raises FileExistsError."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600))
    try:
        source.replace(target)
    except BaseException:
        target.unlink()
        raise
