"""Writing that survives: whole files under their final names, or nothing."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ipyimagegen.core.errors import StoreError
from ipyimagegen.store.layout import FILES, UNLINKED, is_store_file
from ipyimagegen.store.ownership import check_folder, delete_file, is_own_file, leads_through_link

MARGIN = 64 << 20  # bytes that stay free beside what a call may bring
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.75, 1.0)  # seconds between tries to reach a file: 2.5 in all
BLOCK = 1 << 20  # bytes that are copied at a time
T = TypeVar("T")
CURE = "Make room or give access there, or set IPYIMAGEGEN_HOME to another folder."
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class Occupied(StoreError):
    """A file has the name of a new one, and is not the store's to replace."""


@dataclass(frozen=True)
class Disk:
    """The calls that can fail, and what is built of them. Its methods raise StoreError.

    `home` may be a link or lie behind one: it is resolved here, once. Inside it a link is followed only to
    a folder of the same user, and no file is deleted or replaced through it (see `ownership`).
    """

    home: Path
    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    replace: Callable[[Path, Path], None] = os.replace
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", _resolved(self.home))

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn an OSError into a StoreError that names the folder and the cure."""
        try:
            yield
        except OSError as error:
            why = error.strerror or str(error)
            why += f" ({error.filename})" if error.filename else ""
            raise StoreError(f"The history in {self.home} cannot be used: {why}.\n{CURE}") from error

    @property
    def scratch(self) -> Path:
        """The folder of files that are not yet whole."""
        return self.home / "spool"

    def part(self, name: str = "part") -> Path:
        """Return a name in that folder that no other file has."""
        return self.scratch / f"{os.urandom(16).hex()}.{name}"

    def probe(self, need: int) -> None:
        """Raise StoreError unless files can be written and `need` bytes have room."""
        self.admit(close=True)
        with self.fresh() as (file, part):
            self.append(file, b"probe")
        with self.told():
            part.unlink()
            free = shutil.disk_usage(self.home).free
        if free < need + MARGIN:
            room = f"{free >> 20:,} MiB are free, {need + MARGIN >> 20:,} MiB are needed"
            raise StoreError(f"The history in {self.home} has no room: {room}.\n{CURE}")

    def admit(self, *, close: bool = False) -> None:
        """Raise StoreError when something else is where a folder should be, or a folder is not the user's.

        `close` takes the right to write into the user's folders from others.
        """
        with self.told():
            if self.home.is_dir():
                check_folder(self.home, self.home, close=close)
            for path in (self.home / name for name in FILES):
                self.is_linked(path)
                if path.is_dir():
                    check_folder(path, self.home, close=close)
                if os.path.lexists(path) and not path.is_dir():
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
                if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def append(self, file: int, data: bytes) -> None:
        """Write all of `data` to an open file."""
        rest = memoryview(data)
        with self.told():
            while rest:
                rest = rest[self.write(file, rest) :]

    @contextmanager
    def fresh(self, folder: Path | None = None) -> Iterator[tuple[int, Path]]:
        """Open a new file with a name of its own, in the scratch folder or another: its descriptor and path.

        When the block ends its bytes are on the disk; when the block fails the file is gone.
        """
        self.make(folder or self.scratch)
        part = (folder or self.scratch) / self.part().name
        with self.told():
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with _undone(part):
            try:
                yield file, part
                with self.told():
                    self.fsync(file)
            finally:
                with self.told():  # some network folders tell here what they could not write
                    os.close(file)

    def put(self, path: Path, data: bytes, *, known: bool = False) -> None:
        """Make `path` hold `data`: at any time it has the old content or the new, never a part.

        `known` as for `move`.
        """
        with self.fresh() as (file, part):
            self.append(file, data)
        self.move(part, path, known=known)

    def put_new(self, path: Path, data: bytes) -> bool:
        """Make a file that holds `data` where there is none; return False when there is one.

        When it fails there is none.
        """
        with self.fresh() as (file, part):
            self.append(file, data)
        try:
            self.make(path.parent)
            if not self._named(part, path):
                return False
            with _undone(path):
                self.settle(path.parent)
        finally:
            with suppress(OSError):
                part.unlink()
        return True

    def _named(self, part: Path, path: Path) -> bool:
        """Give a finished file a name, unless something has it; return whether nothing had."""
        try:
            os.link(part, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links: empty for a moment
            if not self.claim(path):
                return False
            with _undone(path), self.told():
                self._rename(part, path)
        return True

    def move(self, part: Path, path: Path, *, known: bool = False) -> None:
        """Give a finished file its final name, replacing what has it; `part` is gone in any case.

        Raises Occupied for a file that is not the store's to replace. `known`: the content of that file
        proved that the store wrote it, so that it is replaced whoever owns it and wherever links lead.
        """
        with _undone(part):
            self.make(path.parent)
            if not self._is_replaceable(path, known=known):
                raise Occupied(f"{path} is not replaced: it is another user's, a link, or behind a link.")
            with self.told():
                self._rename(part, path)
        self.settle(path.parent)

    def _rename(self, part: Path, path: Path) -> None:
        """Rename a finished file; where a link leads to another disk, copy it there first."""
        try:
            self._patiently(lambda: self.replace(part, path))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with self.fresh(path.parent) as (file, near), part.open("rb") as source:
                while block := source.read(BLOCK):
                    self.append(file, block)
            with _undone(near):
                self._patiently(lambda: self.replace(near, path))
            part.unlink()

    def _patiently(self, call: Callable[[], T]) -> T:
        """Try for a while: on Windows a file is out of reach while another process has it."""
        for pause in PAUSES:
            try:
                return call()
            except PermissionError:
                self.sleep(pause)
        return call()

    def is_linked(self, path: Path) -> bool:
        """Return whether a path in HOME leads through a link; raises StoreError for a refused link."""
        root = str(self.home)
        if not str(path).startswith(root + os.sep):  # HOME, or above it
            return False
        parts = path.parts[len(self.home.parts) :]
        with self.told():
            linked = leads_through_link(root, parts)
            if linked and parts[0] == UNLINKED:
                raise OSError(errno.ELOOP, "a link to a folder in which files are deleted", str(path))
        return linked

    def read(self, path: Path) -> bytes | None:
        """Return what a file holds, or None when there is none; raises StoreError when nobody can tell."""
        self.is_linked(path.parent)
        with self.told():
            try:
                return self._patiently(path.read_bytes) if stat.S_ISREG(path.lstat().st_mode) else None
            except _ABSENT:
                return None

    def files(self, folder: Path) -> list[Path]:
        """Return the files of the store in a folder; raises StoreError when nobody can tell."""
        return [path for path in self.listed(folder) if self._is_ours(path)]

    def is_file(self, path: Path) -> bool:
        """Return whether a file of the store is there; raises StoreError when nobody can tell."""
        self.is_linked(path.parent)
        return self._is_ours(path)

    def _is_ours(self, path: Path) -> bool:
        """Return whether a path has the place, the name and the kind of a file of the store."""
        with self.told():
            try:
                return self._has_name(path) and stat.S_ISREG(path.lstat().st_mode)
            except _ABSENT:
                return False

    def _has_name(self, path: Path) -> bool:
        return is_store_file(path.relative_to(self.home))

    def listed(self, folder: Path) -> list[Path]:
        """Return what is in a folder, nothing when there is none; raises StoreError when nobody can tell."""
        return [folder / name for name in self.names(folder)]

    def names(self, folder: Path) -> list[str]:
        """Return the names of what is in a folder, as `listed`."""
        self.is_linked(folder)
        with self.told():
            try:
                return os.listdir(folder)  # noqa: PTH208 - a hundred thousand paths take a tenth of a second
            except _ABSENT:
                return []

    def delete(self, path: Path) -> bool:
        """Delete a file of the store; return False where it stays because it is not the store's to delete."""
        with self.told():
            return self._has_name(path) and delete_file(self.home, path.relative_to(self.home))

    def _is_replaceable(self, path: Path, *, known: bool) -> bool:
        """Return whether nothing is there, or a file that the store may replace."""
        linked = self.is_linked(path.parent)
        with self.told():
            try:
                info = path.lstat()
            except _ABSENT:
                return True
        if known:
            return stat.S_ISREG(info.st_mode)
        return not linked and self._has_name(path) and is_own_file(info)

    def make(self, folder: Path) -> None:
        """Make a folder, and those above it that are missing, private to the user."""
        self.is_linked(folder)
        with self.told():
            if folder.is_dir():
                return
        self.make(folder.parent)
        with self.told():
            folder.mkdir(mode=0o700, exist_ok=True)
        self.settle(folder.parent)

    def claim(self, path: Path) -> bool:
        """Create an empty file; return False when there is one already."""
        self.make(path.parent)
        with self.told():
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return False
        with _undone(path), self.told():
            os.close(file)
        return True

    def settle(self, folder: Path) -> None:
        """Bring the names in a folder to the disk, where the system can do that."""
        if os.name == "nt":
            return
        with self.told():
            file = os.open(folder, os.O_RDONLY)
            try:
                self.fsync(file)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
                    raise
            finally:
                os.close(file)


@contextmanager
def _undone(path: Path) -> Iterator[None]:
    """Delete the file when the block fails."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _resolved(home: Path) -> Path:
    """Return the real path of a store; a link to nowhere stays as it is: its disk may not be mounted."""
    real = Path(os.path.realpath(home))
    if real == home:
        return home
    try:
        dangling = any(path.is_symlink() and not path.exists() for path in (home, *home.parents))
    except OSError:  # whoever needs the folder is told
        return home
    return home if dangling else real
