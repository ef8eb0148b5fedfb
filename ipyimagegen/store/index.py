"""The index of the records: one SQLite file that may be lost at any time.

No connection outlives a call. Journal DELETE, because WAL corrupts on network homes; 0.1 ms to open.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ipyimagegen.store import indexfile
from ipyimagegen.store.entries import Entry, Query, Unusable, clean, fold
from ipyimagegen.store.records import Key

T = TypeVar("T")
VERSION = 1
STEP = 0.2  # seconds that SQLite waits for a lock at a time: while it does, no interrupt is heard

# Prompts lie apart and in order of time: a search reads them once, narrow, newest first.
_TABLES = """
DROP TABLE IF EXISTS runs;
DROP TABLE IF EXISTS prompts;
CREATE TABLE runs (
    session TEXT, number INTEGER, created REAL, identity TEXT, question TEXT, model TEXT,
    PRIMARY KEY (session, number)
) WITHOUT ROWID;
CREATE TABLE prompts (
    created REAL, session TEXT, number INTEGER, prompt TEXT,
    PRIMARY KEY (created, session, number)
) WITHOUT ROWID;
"""
_INDEXES = """
CREATE INDEX by_time ON runs (created);
CREATE INDEX by_number ON runs (number, created);
CREATE INDEX by_identity ON runs (identity, created) WHERE identity <> '';
CREATE INDEX by_question ON runs (question, created) WHERE question <> '';
"""


# A fork while another thread is inside SQLite would leave its locks closed in the child for ever.
INSIDE = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=INSIDE.acquire, after_in_parent=INSIDE.release, after_in_child=INSIDE.release)


@dataclass(frozen=True)
class Index:
    """The index at `path`; `everything` yields an entry of each record, `wait` is in seconds.

    Its methods raise Unusable when the file is locked, written by a newer version, another program's, or
    cannot be used for another reason; a missing, empty or damaged one is rebuilt on the way.
    """

    path: Path
    everything: Callable[[], Iterable[Entry]]
    wait: float = 10.0
    _rest: list[float] = field(default_factory=lambda: [0.0], compare=False)  # until when waits are short

    def find(self, query: Query) -> list[Key]:
        """Return session and number of the runs asked for, in order."""
        statement, values = _select(query)
        return self._do(lambda connection: connection.execute(statement, values).fetchall())

    def numbers(self) -> dict[str, set[str]]:
        """Return the numbers of the runs that it knows, as text, by session."""
        # In order of time, as `find` reads it: where locks do nothing, an index may lack rows of its table.
        statement = "SELECT session, number FROM runs ORDER BY created"
        found: dict[str, set[str]] = {}
        for session, number in self._do(lambda connection: connection.execute(statement).fetchall()):
            found.setdefault(session, set()).add(str(number))
        return found

    def agrees(self, entries: Iterable[Entry]) -> bool:
        """Return whether it has these entries just so; their prompts are not looked at."""
        statement = """SELECT count(*) FROM runs
            WHERE (session, number, created, identity, question, model) = (?, ?, ?, ?, ?, ?)"""

        def check(connection: sqlite3.Connection) -> bool:
            return all(connection.execute(statement, entry[:6]).fetchone()[0] for entry in entries)

        return self._do(check)

    def add(self, entries: Callable[[], Iterable[Entry]]) -> None:
        """Put entries in, or in place of older ones; they are read once nobody else can write."""

        def put(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                _insert(connection, entries())

        self._do(put)

    def rebuild(self) -> None:
        """Read all records again."""
        self._do(lambda connection: self._build(connection, known=VERSION))

    def tidy(self) -> None:
        """Delete the damaged files that were put aside: they may hold what is to be forgotten."""
        with suppress(OSError), INSIDE:
            indexfile.delete_aside(self.path.parent)

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        for _ in range(3):
            seen = _inode(self.path)
            try:
                return self._patiently(work)
            except OSError as error:
                raise Unusable(str(error)) from error
            except sqlite3.Error as error:
                fault = error
            if not damaged(fault):
                self._rest[0] = time.monotonic() + self.wait
                break
            self._move_aside(seen)
        raise Unusable(str(fault)) from fault

    def _patiently(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Wait for as long as another process may hold the index."""
        # One long wait is enough for a cell: after it, only a short look until the lock may be gone.
        wait = min(self.wait, 0.05) if time.monotonic() < self._rest[0] else self.wait
        until = time.monotonic() + wait
        while True:
            left = until - time.monotonic()
            try:
                with INSIDE, closing(self._connected(min(max(left, 0), STEP))) as connection:
                    return work(connection)
            except sqlite3.OperationalError as error:
                if left <= STEP or not _busy(error):
                    raise
            time.sleep(0.01)  # some locks are told of at once

    def _connected(self, wait: float) -> sqlite3.Connection:
        state = indexfile.state_of(self.path)
        if state == "no database":
            raise NoDatabase
        if state in ("foreign", "unreadable"):
            raise Unusable(f"{self.path} is not an index of ipyimagegen, or another user's: left alone.")
        indexfile.make_private(self.path)
        connection = sqlite3.connect(self.path, timeout=wait, isolation_level=None)
        try:
            self._prepare(connection, marked=state == "ours")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, *, marked: bool) -> None:
        # What is forgotten is overwritten, not only unlinked.
        connection.executescript("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
        if not marked:
            _mark(connection)
        version = version_of(connection)
        if version < VERSION:
            self._build(connection, known=version)
        elif version > VERSION:
            raise Unusable("The index was written by a newer version.")

    def _build(self, connection: sqlite3.Connection, known: int) -> None:
        connection.execute("PRAGMA journal_mode = DELETE")
        with _transaction(connection):
            if version_of(connection) > known:  # another process was faster
                return
            _script(connection, _TABLES)
            _insert(connection, sorted(self.everything()))
            _script(connection, _INDEXES)
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _move_aside(self, seen: int) -> None:
        """Put a damaged file out of the way, unless another process has done so meanwhile."""
        with suppress(OSError), INSIDE:
            if _inode(self.path) == seen and indexfile.state_of(self.path) in ("ours", "no database"):
                indexfile.put_aside(self.path)


class NoDatabase(sqlite3.DatabaseError):
    """What lies in the place of the index is no database; found out without letting SQLite open it."""

    sqlite_errorcode = sqlite3.SQLITE_NOTADB


def _mark(connection: sqlite3.Connection) -> None:
    """Mark an empty database as ours, before anything else is in it."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if mark != indexfile.MARK and pages:
        raise Unusable("Another program has made a database in the place of the index.")
    if mark != indexfile.MARK:
        connection.execute(f"PRAGMA application_id = {indexfile.MARK}")


def _inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except OSError:
        return 0


def version_of(connection: sqlite3.Connection) -> int:
    """Return which version of ours wrote the index, 0 where none did yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def damaged(error: sqlite3.Error) -> bool:
    """Say so by the code, never by the class: "locked" and "damaged" are both DatabaseError."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _script(connection: sqlite3.Connection, script: str) -> None:
    for statement in script.split(";"):  # executescript would commit first
        connection.execute(statement)


def _insert(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    for e in entries:
        connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", e[:6])
        place = (e.created, e.session, e.number)
        if e.prompt:
            connection.execute("INSERT OR REPLACE INTO prompts VALUES (?, ?, ?, ?)", (*place, e.prompt))
        else:
            connection.execute("DELETE FROM prompts WHERE (created, session, number) = (?, ?, ?)", place)


def _select(query: Query) -> tuple[str, list[str | int]]:
    asked: dict[str, str | int | None] = {
        "session = ?": query.session,
        "session <> ?": query.other_than,
        "number = ?": query.number,
        "model = ?": query.model,
        "identity <> ?": "" if query.originals else None,
        "identity = ? AND identity <> ''": query.identity,
        "question = ? AND question <> ''": query.question,
    }
    conditions = {sql: value for sql, value in asked.items() if value is not None}
    table = "runs"
    if query.search:
        table = "prompts NATURAL JOIN runs" if conditions else "prompts"
        conditions["instr(prompt, ?)"] = fold(query.search)
    order = "DESC" if query.newest_first else "ASC"
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    limit = -1 if query.limit is None else query.limit
    by = ", ".join(f"{column} {order}" for column in ("created", "session", "number"))
    statement = f"SELECT session, number FROM {table} {where}ORDER BY {by} LIMIT ?"  # noqa: S608 - all from here
    values = [clean(value) if isinstance(value, str) else value for value in conditions.values()]
    return statement, [*values, limit]
