"""The index of the records: a SQLite file that may be lost at any time.

No connection outlives a call. Journal DELETE, because WAL corrupts on network homes; 0.1 ms to open.

A database of ours carries a mark, SQLite's `application_id`, from its first page on. A database without it
belongs to another program and is not changed. A file that is not a database is moved aside under a free
name. Only a file with the mark is ever deleted.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from ipyimagegen.core.run import Run, to_json
from ipyimagegen.core.text import fold
from ipyimagegen.store.files import delete_file, is_link, is_own_file
from ipyimagegen.store.records import INVALID, Key

T = TypeVar("T")
VERSION = 2
_MARK = 0x69706967  # "ipig", as PRAGMA application_id
_ASIDE = re.compile(r"index(\.[0-9]+)?\.damaged")
_BESIDE = ("-journal", "-wal", "-shm")  # of SQLite, after the name of the database
_MAGIC, _FRACTIONS = b"SQLite format 3\0", b"\x40\x20\x20"  # at 0 and at 21 of the header of any database
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
STEP = 0.2  # seconds that SQLite waits for a lock at a time: meanwhile no interrupt is noticed

# Prompts have a table of their own, in order of time: a search reads a narrow table once, newest first.
_TABLES = (
    "DROP TABLE IF EXISTS runs",
    "DROP TABLE IF EXISTS prompts",
    """CREATE TABLE runs (
        session TEXT, number INTEGER, created REAL, identity TEXT, question TEXT, model TEXT, endpoint TEXT,
        reused INTEGER, forgotten INTEGER, status TEXT, requested INTEGER, received INTEGER, cost TEXT,
        PRIMARY KEY (session, number)
    ) WITHOUT ROWID""",
    """CREATE TABLE prompts (
        created REAL, session TEXT, number INTEGER, prompt TEXT,
        PRIMARY KEY (created, session, number)
    ) WITHOUT ROWID""",
)
_INDEXES = (
    "CREATE INDEX by_time ON runs (created)",
    "CREATE INDEX by_number ON runs (number, created)",
    "CREATE INDEX by_identity ON runs (identity, created) WHERE identity <> ''",
    "CREATE INDEX by_question ON runs (question, created) WHERE question <> ''",
)

# A fork while another thread is inside SQLite would leave its locks closed in the child for ever.
SQLITE_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=SQLITE_LOCK.acquire, after_in_parent=SQLITE_LOCK.release, after_in_child=SQLITE_LOCK.release
    )


class Unusable(Exception):
    """The index cannot be searched now, or take a run; the record files can."""


class Entry(NamedTuple):
    """A row of the index: what is sought, what never changes first, and what counts for the spending.

    The hashes are empty where the run must not be found by them (a reuse, or forgotten); `prompt` is
    folded, and empty when forgotten. `cost` is JSON without its source.
    """

    session: str
    number: int
    created: float
    identity: str
    question: str
    model: str
    endpoint: str
    reused: bool
    forgotten: bool
    status: str
    requested: int
    received: int
    cost: str
    prompt: str

    @classmethod
    def from_run(cls, run: Run) -> Entry:
        """Return the entry of a run."""
        hidden = run.forgotten or run.reused_from is not None
        return cls(
            session=run.session,
            number=run.number,
            created=float(run.created),
            identity="" if hidden else to_sql_text(run.identity),
            question="" if hidden else compute_hash(run, "question"),
            model=to_sql_text(run.request.model or run.sent.model or ""),
            endpoint=to_sql_text(run.request.endpoint),
            reused=run.reused_from is not None,
            forgotten=run.forgotten,
            status=str(run.status),
            requested=_count_requested(run),
            received=len(run.shown),
            cost=to_sql_text(json.dumps(to_json(replace(run.cost, source="", date="")))),
            prompt="" if run.forgotten else fold(to_sql_text(run.request.prompt)),
        )

    @property
    def charge(self) -> Charge:
        """What it adds to the spending."""
        month = time.strftime("%Y-%m", time.localtime(self.created))
        return Charge(month, *(getattr(self, name) for name in _CHARGED))


class Charge(NamedTuple):
    """What a run adds to the spending; `month` is local, as 2026-11. A reuse adds nothing but itself."""

    month: str
    endpoint: str
    reused: bool
    forgotten: bool
    status: str
    requested: int
    received: int
    cost: str


_FIXED = Entry._fields[:7]  # never change
_CHARGED = Charge._fields[1:]


def _count_requested(run: Run) -> int:
    try:
        return run.request.count
    except INVALID:
        return 1


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which runs, and how many at most, the newest first; unset members restrict nothing.

    `since` and `before` are in seconds since the epoch; `since` is included.
    """

    session: str | None = None
    number: int | None = None
    model: str | None = None
    endpoint: str | None = None
    identity: str | None = None
    question: str | None = None
    search: str | None = None
    since: float | None = None
    before: float | None = None
    originals: bool = False  # without runs that only reused another, and without forgotten ones
    remembered: bool = False  # without forgotten ones
    limit: int | None = None

    def matches(self, entry: Entry) -> bool:
        """Return whether an entry is among the runs sought."""
        sought = (self.session, self.number, self.identity, self.question)
        values = (entry.session, entry.number, entry.identity, entry.question)
        names = ((self.model, entry.model), (self.endpoint, entry.endpoint))
        return (
            all(want is None or want == value for want, value in zip(sought, values, strict=True))
            and all(want is None or want.lower() == value.lower() for want, value in names)
            and (self.since is None or entry.created >= self.since)
            and (self.before is None or entry.created < self.before)
            and not (self.originals and entry.identity == "")
            and not (self.remembered and entry.forgotten)
            and fold(to_sql_text(self.search or "")) in entry.prompt
        )

    def select(self, entries: Iterable[Entry]) -> list[Key]:
        """Return the keys of the entries sought, in order."""
        rows = sorted(((e.created, e.session, e.number) for e in entries if self.matches(e)), reverse=True)
        return [(session, number) for _, session, number in rows[: self.limit]]

    def write_sql(self) -> tuple[str, list[str | float]]:
        """Return the tables and conditions of a statement, and the values for its placeholders."""
        sought: dict[str, str | float | None] = {
            "session = ?": self.session,
            "number = ?": self.number,
            "model = ? COLLATE NOCASE": self.model,
            "endpoint = ? COLLATE NOCASE": self.endpoint,
            "created >= ?": self.since,
            "created < ?": self.before,
            "identity <> ?": "" if self.originals else None,
            "forgotten = ?": 0 if self.remembered else None,
            "identity = ? AND identity <> ''": self.identity,
            "question = ? AND question <> ''": self.question,
        }
        conditions = {sql: value for sql, value in sought.items() if value is not None}
        tables = "runs"
        if self.search:
            tables = "prompts NATURAL JOIN runs" if conditions else "prompts"
            conditions["instr(prompt, ?)"] = fold(to_sql_text(self.search))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        values = [to_sql_text(value) if isinstance(value, str) else value for value in conditions.values()]
        return tables + where, values


def compute_hash(run: Run, name: Literal["identity", "question"]) -> str:
    """Return a hash of a run's request, whatever its record claims; empty where it has none."""
    try:
        return str(getattr(run.request, name))
    except INVALID:
        return ""


def to_sql_text(text: object) -> str:
    """Return text that SQLite can hold: no lone surrogates, no NUL."""
    return str(text).replace("\0", " ").encode(errors="replace").decode()


class Index:
    """The index at `path`; `everything` yields an entry of each record, `wait` is in seconds.

    Its methods raise Unusable when the file is locked, was written by a newer version or another program, or
    cannot be used for another reason. A missing, empty or damaged file is rebuilt first.
    """

    def __init__(self, path: Path, everything: Callable[[], Iterable[Entry]], wait: float = 10.0) -> None:
        self.path = path
        self.everything = everything
        self.wait = wait
        self._short_until = 0.0  # the time until which waits are short

    def is_private(self) -> bool:
        """Return whether other users cannot read the index; they can where the file system has no modes."""
        with suppress(OSError), SQLITE_LOCK:
            is_open = os.name != "nt" and self.path.lstat().st_mode & 0o077
            return not (is_open and read_state(self.path) == "ours")
        return True

    def find(self, query: Query) -> list[Key]:
        """Return the keys of the runs sought, in order."""
        source, values = query.write_sql()
        order = "ORDER BY created DESC, session DESC, number DESC LIMIT ?"
        statement = f"SELECT session, number FROM {source} {order}"
        limit = -1 if query.limit is None else query.limit
        return self._execute(lambda connection: connection.execute(statement, [*values, limit]).fetchall())

    def count(self, query: Query) -> int:
        """Return how many runs a query seeks, whatever its limit."""
        source, values = query.write_sql()
        statement = f"SELECT count(*) FROM {source}"
        return int(self._execute(lambda connection: connection.execute(statement, values).fetchone()[0]))

    def list_charges(self, query: Query) -> Counter[Charge]:
        """Return what the runs sought add to the spending, and how many add the same."""
        source, values = query.write_sql()
        names = ", ".join(_CHARGED)
        month = "strftime('%Y-%m', created, 'unixepoch', 'localtime')"
        group = f"GROUP BY month, {names}"
        statement = f"SELECT count(*), {month} AS month, {names} FROM {source} {group}"
        rows = self._execute(lambda connection: connection.execute(statement, values).fetchall())
        return Counter({Charge(*charge): count for count, *charge in rows})

    def list_numbers(self) -> dict[str, set[str]]:
        """Return the numbers of the runs in the index, as text, by session."""
        # In order of time, as `find` reads it: where locks do nothing, an index may lack rows of its table.
        statement = "SELECT session, number FROM runs ORDER BY created"
        numbers: dict[str, set[str]] = {}
        for session, number in self._execute(lambda connection: connection.execute(statement).fetchall()):
            numbers.setdefault(session, set()).add(str(number))
        return numbers

    def has(self, entries: Iterable[Entry]) -> bool:
        """Return whether these entries are in the index; only what never changes is compared."""
        names, places = ", ".join(_FIXED), ", ".join("?" * len(_FIXED))
        statement = f"SELECT count(*) FROM runs WHERE ({names}) = ({places})"

        def check(connection: sqlite3.Connection) -> bool:
            return all(connection.execute(statement, entry[: len(_FIXED)]).fetchone()[0] for entry in entries)

        return self._execute(check)

    def add(self, entries: Callable[[], Iterable[Entry]]) -> None:
        """Add or replace entries; `entries` is called once nobody else can write."""

        def put(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                _insert(connection, entries())

        self._execute(put)

    def rebuild(self) -> None:
        """Build the index again from all records."""
        self._execute(lambda connection: self._build(connection, known=VERSION))

    def delete_damaged(self) -> None:
        """Delete the damaged indexes that were moved aside, if they are ours: they hold prompts."""
        with suppress(OSError), SQLITE_LOCK:
            for path in list_aside(self.path.parent):
                if read_state(path) == "ours":
                    for suffix in (*_BESIDE, ""):
                        delete_file(path.parent, Path(f"{path.name}{suffix}"))

    def _execute(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work; repeat it while another process holds the index, or once it was moved aside."""
        # A cell waits long once; until the lock may be gone, later attempts are short.
        wait = min(self.wait, 0.05) if time.monotonic() < self._short_until else self.wait
        until, repairs = time.monotonic() + wait, 0
        while True:
            inode, left = _read_inode(self.path), until - time.monotonic()
            try:
                with SQLITE_LOCK, self._connect(min(max(left, 0), STEP)) as connection:
                    return work(connection)
            except sqlite3.Error as error:
                fault = error
            code = find_code(fault)
            if code in DAMAGED and repairs < 3:
                self._move_aside(inode)
                repairs += 1
            elif code == sqlite3.SQLITE_BUSY and left > STEP:
                time.sleep(0.01)  # some locks are reported at once
            else:
                break
        if code not in DAMAGED:
            self._short_until = time.monotonic() + self.wait
        raise Unusable(str(fault)) from fault

    @contextmanager
    def _connect(self, wait: float) -> Iterator[sqlite3.Connection]:
        """Open the index, made, marked or rebuilt first where it has to be."""
        try:
            state = read_state(self.path)
            if state in ("missing", "empty", "ours"):
                _make_private(self.path)
        except OSError as error:
            raise Unusable(str(error)) from error
        if state == "no database":
            raise NoDatabase
        if state in ("foreign", "unreadable"):
            raise Unusable(f"{self.path} is not an index of ipyimagegen, or belongs to another user.")
        with closing(sqlite3.connect(self.path, timeout=wait, isolation_level=None)) as connection:
            # What is forgotten is overwritten, not only unlinked.
            connection.executescript("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;")
            if state != "ours":  # marked before anything else is in it
                (mark,) = connection.execute("PRAGMA application_id").fetchone()
                (pages,) = connection.execute("PRAGMA page_count").fetchone()
                if mark != _MARK and pages:
                    raise Unusable("Another program has created a database in the place of the index.")
                connection.execute(f"PRAGMA application_id = {_MARK}")
            version = read_version(connection)
            if version > VERSION:
                raise Unusable("The index was written by a newer version.")
            if version < VERSION:
                self._build(connection, known=version)
            yield connection

    def _build(self, connection: sqlite3.Connection, known: int) -> None:
        connection.execute("PRAGMA journal_mode = DELETE")
        with _transaction(connection):
            if read_version(connection) > known:  # another process was faster
                return
            for statement in _TABLES:
                connection.execute(statement)
            _insert(connection, sorted(self.everything()))
            for statement in _INDEXES:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _move_aside(self, inode: int) -> None:
        """Move a damaged file aside with what SQLite left beside it, unless another process has done so.

        An older index that was moved aside is deleted first if it carries the mark; nothing else is replaced.
        """
        with suppress(OSError), SQLITE_LOCK:
            if _read_inode(self.path) != inode or read_state(self.path) not in ("ours", "no database"):
                return
            self.delete_damaged()
            for number in itertools.count():
                aside = self.path.with_name(f"index.{number}.damaged" if number else "index.damaged")
                if not any(os.path.lexists(f"{aside}{suffix}") for suffix in ("", *_BESIDE)):
                    break
            for suffix in (*_BESIDE, ""):  # the journal first: SQLite would replay it into the next index
                if os.path.lexists(f"{self.path}{suffix}"):
                    _rename_new(Path(f"{self.path}{suffix}"), Path(f"{aside}{suffix}"))


class NoDatabase(sqlite3.DatabaseError):
    """The file in the place of the index is not a database; SQLite has not opened it."""

    sqlite_errorcode = sqlite3.SQLITE_NOTADB


def _read_inode(path: Path) -> int:
    try:
        return path.lstat().st_ino
    except OSError:
        return 0


def read_version(connection: sqlite3.Connection) -> int:
    """Return the version that wrote the index, 0 where none did yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def find_code(error: sqlite3.Error) -> int:
    """Return the code of an error: its class tells nothing, "locked" and "damaged" share it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


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


def _insert(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    places = ", ".join("?" * (len(Entry._fields) - 1))
    for e in entries:
        connection.execute(f"INSERT OR REPLACE INTO runs VALUES ({places})", e[:-1])
        place = (e.created, e.session, e.number)
        if e.prompt:
            connection.execute("INSERT OR REPLACE INTO prompts VALUES (?, ?, ?, ?)", (*place, e.prompt))
        else:
            connection.execute("DELETE FROM prompts WHERE (created, session, number) = (?, ?, ?)", place)


# The file


def read_state(path: Path) -> str:
    """Return missing, empty, ours, foreign, no database, or unreadable; raises OSError.

    Call it while holding `SQLITE_LOCK`: closing a file releases the locks that SQLite has on it.
    """
    stray = any(os.path.lexists(f"{path}{suffix}") for suffix in _BESIDE)  # first: the index is made first
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
    return "ours" if int.from_bytes(header[68:72]) == _MARK else "foreign"


def _make_private(path: Path) -> None:
    """Make an empty index that only this user can read, or the existing index private; raises OSError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600))
    except FileExistsError:
        mode = path.lstat().st_mode
        if os.name == "nt" or not mode & 0o077:
            return
        file = os.open(path, os.O_RDONLY | _NOFOLLOW)
        try:
            with suppress(OSError):  # a file system without modes; see `Index.is_private`
                os.fchmod(file, stat.S_IMODE(mode) & ~0o077)
        finally:
            os.close(file)


def list_aside(home: Path) -> list[Path]:
    """Return the indexes that were moved aside."""
    with suppress(OSError):
        return [path for path in home.iterdir() if _ASIDE.fullmatch(path.name)]
    return []


def _rename_new(source: Path, target: Path) -> None:
    """Rename a file to a name that nothing has; raises FileExistsError."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o600))
    try:
        source.replace(target)
    except BaseException:
        target.unlink()
        raise
