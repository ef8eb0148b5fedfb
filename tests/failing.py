"""File-system calls that go wrong: the nth one below a folder fails, or its process dies at it.

    with Calls(home, nth=7, fate=fails(errno.ENOSPC)) as calls:
        Store(home, disk=calls.disk()).create(run)
    calls.met  # the name of the call that it was, or None: there were fewer

Everything by which our modules reach the disk is counted: the functions of `os` (which pathlib calls),
files opened for reading and writing, and the statements given to SQLite.
"""

import builtins
import errno
import io
import os
import signal
import sqlite3
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from ipyimagegen.store import Disk

MAKING = frozenset({"create", "write", "fsync", "settle", "replace", "link", "mkdir", "sqlite"})
READING = frozenset({"open", "read", "stat", "listdir"})
TAKING = frozenset({"unlink", "close"})
ALL = MAKING | READING | TAKING

SHUT = sqlite3.SQLITE_READONLY

# Which calls the system can answer so, and what SQLite makes of it.
ANSWERS = {
    errno.ENOSPC: (MAKING, sqlite3.SQLITE_FULL),
    errno.EIO: (ALL, sqlite3.SQLITE_IOERR),
    errno.EINTR: (frozenset({"create", "open", "write", "read", "fsync", "close"}), sqlite3.SQLITE_IOERR),
    errno.EMFILE: (frozenset({"create", "open", "listdir", "sqlite"}), sqlite3.SQLITE_CANTOPEN),
    errno.EACCES: (frozenset({"create", "open", "mkdir", "replace", "link", "unlink", "sqlite"}), SHUT),
}


class Death(BaseException):
    """Stands for the end of a process: after it no call does anything any more."""


@dataclass(frozen=True)
class Fate:
    """What happens at the nth call of one of the kinds in `at`: `meet` gets the call, done when called.

    `lasts`: at every later one as well.
    """

    meet: object
    at: frozenset = ALL
    lasts: bool = False


def fails(code, *, lasts=False):
    """The call fails with this code of the system; a write has written a part before."""
    at, sqlite_code = ANSWERS[code]
    return Fate(lambda call: _fail(call, code, sqlite_code), at, lasts)


def _fail(call, code, sqlite_code):
    if call.kind == "sqlite":
        raise sqlite_error(sqlite_code)
    call.half()
    raise OSError(code, os.strerror(code), call.path)


def sqlite_fails(code):
    """A statement of SQLite fails with this code of its own."""

    def meet(call):
        raise sqlite_error(code)

    return Fate(meet, frozenset({"sqlite"}))


def sqlite_error(code):
    """Return the exception that Python makes of a code of SQLite."""
    damaged = code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    made = (sqlite3.DatabaseError if damaged else sqlite3.OperationalError)(f"SQLite says {code}")
    made.sqlite_errorcode = code
    return made


def raises(kind, *, after=False):
    """The call is not done, or done, and an exception of this kind is raised."""

    def meet(call):
        if after:
            call()
        raise kind

    return Fate(meet)


def dies():
    """The process ends right before the call, as far as the disk can see."""
    return Fate(raises(Death).meet, MAKING | TAKING, lasts=True)


def kills():
    """The process is killed right before the call: what is read changes nothing, so it does not count."""
    return Fate(lambda _: os.kill(os.getpid(), signal.SIGKILL), MAKING | TAKING)


@dataclass(frozen=True)
class Call:
    """One call on its way: its kind, its path, and how to do it whole or by half."""

    kind: str
    path: str
    do: object
    half: object

    def __call__(self):
        return self.do()


class Calls:
    """Counts the calls below `home`; the nth meets its fate.

    `kinds` lists all that were counted, `log` kind, path and source of all that there were.
    """

    def __init__(self, home, nth=0, fate=None):
        self.home = os.fspath(home)
        self.nth = nth
        self.fate = fate or Fate(None)
        self.kinds, self.log = [], []
        self.met = None
        self.dead = False
        self._lock = threading.Lock()
        self._files = {}
        self._stack = ExitStack()

    def disk(self, **others):
        """Return a disk whose calls are counted; it never waits."""
        seams = {"write": os.write, "fsync": os.fsync, "replace": os.replace, "sleep": lambda _: None}
        return Disk(Path(self.home), **{**seams, **others})

    def __enter__(self):
        for name, made in _WRAPPERS.items():
            if hasattr(os, name):
                self._stack.enter_context(patch.object(os, name, made(self, getattr(os, name))))
        for module in (io, builtins):
            self._stack.enter_context(patch.object(module, "open", _opening(self, module.open)))
        self._stack.enter_context(patch.object(sqlite3, "connect", _connecting(self, sqlite3.connect)))
        return self

    def __exit__(self, *_):
        self._stack.close()

    def below(self, path):
        """Say whether a path is one of ours."""
        if isinstance(path, int):
            return path in self._files
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self.home)

    def absolute(self, path, folder):
        """Return a path that is relative to an open folder as one from the root."""
        _, above = self._files.get(folder, (None, None))
        return path if above is None else os.path.join(above, path)

    def meet(self, kind, path, do, half=lambda: None, source=None):
        """Do a call, or let it meet its fate."""
        with self._lock:
            self.log.append((kind, os.fspath(path), source))
            counts = kind in self.fate.at
            if counts:
                self.kinds.append(kind)
            at = len(self.kinds)
            mine = counts and (at == self.nth or (self.fate.lasts and self.met is not None))
            if mine and self.met is None:
                self.met = kind
        if self.dead and kind != "close":
            raise Death
        if kind == "close":  # whatever is said of it, the descriptor is gone
            done, do = do(), lambda: done
        if not mine or self.dead:
            return do()
        try:
            return self.fate.meet(Call(kind, os.fspath(path), do, half))
        except Death:
            self.dead = True
            raise


def _by_path(kind):
    def wrapper(calls, real):
        def call(path, *rest, **named):
            where = calls.absolute(path, named.get("dir_fd"))
            if not calls.below(where):
                return real(path, *rest, **named)
            name, source = (rest[0], os.fspath(path)) if kind in ("link", "replace") else (where, None)
            return calls.meet(kind, name, lambda: real(path, *rest, **named), source=source)

        return call

    return wrapper


def _os_open(calls, real):
    def call(path, flags, *rest, **named):
        where = calls.absolute(path, named.get("dir_fd"))
        if not calls.below(where):
            return real(path, flags, *rest, **named)
        kind = "create" if flags & os.O_CREAT else "open"
        file = calls.meet(kind, where, lambda: real(path, flags, *rest, **named))
        calls._files[file] = ("settle" if kind == "open" else "fsync", where)
        return file

    return call


def _of_file(kind):
    def wrapper(calls, real):
        def call(file, *rest):
            if file not in calls._files:
                return real(file, *rest)
            sort, path = calls._files[file]
            if kind == "close":
                del calls._files[file]

            def half():
                if kind == "write" and len(rest[0]) > 1:
                    real(file, rest[0][: len(rest[0]) // 2])

            sort = sort if kind == "fsync" else kind
            return calls.meet(sort, path, lambda: real(file, *rest), half)

        return call

    return wrapper


def _opening(calls, real):
    def call(path, mode="r", *rest, **named):
        if not calls.below(path) or isinstance(path, int) or mode not in ("rb", "wb"):
            return real(path, mode, *rest, **named)
        kind = "create" if mode == "wb" else "open"
        raw = calls.meet(kind, path, lambda: _Raw(calls, path, mode))
        return io.BufferedReader(raw) if mode == "rb" else io.BufferedWriter(raw)

    return call


class _Raw(io.FileIO):
    """A file whose reading, writing and closing is counted."""

    def __init__(self, calls, path, mode):
        super().__init__(path, mode)
        self.calls, self.path = calls, os.fspath(path)

    def readinto(self, buffer):
        return self.calls.meet("read", self.path, lambda: super(_Raw, self).readinto(buffer))

    def readall(self):
        return self.calls.meet("read", self.path, super().readall)

    def write(self, data):
        def half():
            super(_Raw, self).write(bytes(data)[: len(data) // 2])

        return self.calls.meet("write", self.path, lambda: super(_Raw, self).write(data), half)

    def close(self):
        if self.closed or not self.writable():  # closing what was read cannot fail
            super().close()
        else:
            self.calls.meet("close", self.path, super().close)


def _connecting(calls, real):
    def call(path, *rest, **named):
        if not calls.below(path):
            return real(path, *rest, **named)
        made = calls.meet("sqlite", path, lambda: real(path, *rest, factory=_Connection, **named))
        made.calls, made.path = calls, os.fspath(path)
        return made

    return call


class _Connection(sqlite3.Connection):
    """A connection whose statements are counted."""

    def execute(self, *statement):
        return self.calls.meet("sqlite", self.path, lambda: super(_Connection, self).execute(*statement))

    def executescript(self, script):
        return self.calls.meet("sqlite", self.path, lambda: super(_Connection, self).executescript(script))


_WRAPPERS = {
    "open": _os_open,
    "write": _of_file("write"),
    "fsync": _of_file("fsync"),
    "close": _of_file("close"),
    "replace": _by_path("replace"),
    "link": _by_path("link"),
    "mkdir": _by_path("mkdir"),
    "unlink": _by_path("unlink"),
    "stat": _by_path("stat"),
    "statvfs": _by_path("stat"),
    "listdir": _by_path("listdir"),
    "scandir": _by_path("listdir"),
}
