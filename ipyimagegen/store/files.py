"""The files of a store: which there are, and how they are written whole or not at all.

HOME may be a folder that holds other things too, and an archive may bring anything. What `FILES` does not
name is not read, replaced or deleted.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.messages import _
from ipyimagegen.core.run import SESSION as _SESSION
from ipyimagegen.store.ownership import check_folder, delete_file, is_own_file, leads_through_link

MARGIN = 64 << 20  # bytes that stay free beside what a call may bring
DAY = 86_400.0  # seconds
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.75, 1.0)  # seconds between attempts to reach a file: 2.5 in all
BLOCK = 1 << 20  # bytes that are copied at a time
T = TypeVar("T")
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

_NUMBER = r"(?:0|[1-9][0-9]{0,15})"
_HASH = r"[0-9a-f]{64}"
_IMAGE = r"(?:png|jpg|webp|gif|avif)"

SESSION = re.compile(_SESSION)
NUMBER = re.compile(_NUMBER)
HASH = re.compile(_HASH)
# A response that is being received, or the mark of its reader.
RESPONSE = re.compile(rf"[0-9a-f]{{32}}\.({_SESSION})\.({_NUMBER})\.reply(?:\.claim)?")

# By folder the pattern of the whole names in it. `spool` of the fallback holds whole images too.
FILES: Mapping[str, re.Pattern[str]] = {
    folder: re.compile(pattern)
    for folder, pattern in {
        "images": rf"([0-9a-f]{{2}})/\1[0-9a-f]{{62}}\.{_IMAGE}",
        "quarantine": rf"{_HASH}\.bin",
        "records": rf"{_SESSION}/{_NUMBER}\.json",
        "unindexed": rf"{_SESSION}\.{_NUMBER}",
        "spool": rf"[0-9a-f]{{32}}\.part|{RESPONSE.pattern}|{_HASH}\.(?:{_IMAGE}|bin)",
    }.items()
}
# Every file of this folder is deleted again, and nothing is deleted through a link: it cannot be a link.
UNLINKED = "unindexed"


class Occupied(StoreError):
    """The name of a new file is taken by a file that the store must not replace."""


@dataclass(frozen=True)
class Disk:
    """The system calls that can fail, and what is built of them. Its methods raise StoreError.

    `home` may be a link or lie behind a link: it is resolved here, once. Inside it a link is followed only
    to a folder of the same user, and no file is deleted or replaced through it (see `ownership`).
    """

    home: Path
    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    replace: Callable[[Path, Path], None] = os.replace
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", _resolve_home(self.home))

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn an OSError into a StoreError that names the folder and the cure."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(
                _(
                    "The history in {home} cannot be used: {reason}.\n"
                    "Free some space or grant access there, or set IPYIMAGEGEN_HOME to another folder.",
                    home=self.home,
                    reason=f"{reason} ({error.filename})" if error.filename else reason,
                )
            ) from error

    @property
    def spool(self) -> Path:
        """The folder of files that are not yet whole."""
        return self.home / "spool"

    def make_spool_path(self, name: str = "part") -> Path:
        """Return a path in the spool that no other file has."""
        return self.spool / f"{os.urandom(16).hex()}.{name}"

    # Checks

    def probe(self, need: int) -> None:
        """Raise StoreError unless files can be written and `need` bytes fit."""
        self.check_folders(close=True)
        with self.create_part() as (file, part):
            self.append(file, b"probe")
        with self.translate_errors():
            part.unlink()
            free = shutil.disk_usage(self.home).free
        if free < need + MARGIN:
            raise StoreError(
                _(
                    "The history in {home} has no room: {free} MiB are free, {need} MiB are needed.\n"
                    "Free some space there, or set IPYIMAGEGEN_HOME to another folder.",
                    home=self.home,
                    free=f"{free >> 20:,}",
                    need=f"{need + MARGIN >> 20:,}",
                )
            )

    def check_folders(self, *, close: bool = False) -> None:
        """Raise StoreError when a folder of the store is something else, or is not the user's.

        `close` takes from others the right to write into the user's folders.
        """
        with self.translate_errors():
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

    def is_linked(self, path: Path) -> bool:
        """Return whether a path in HOME leads through a link; raises StoreError for a refused link."""
        root = str(self.home)
        if not str(path).startswith(root + os.sep):  # HOME, or above it
            return False
        parts = path.parts[len(self.home.parts) :]
        with self.translate_errors():
            linked = leads_through_link(root, parts)
            if linked and parts[0] == UNLINKED:
                raise OSError(errno.ELOOP, "a link to a folder in which files are deleted", str(path))
        return linked

    # Reading

    def read(self, path: Path) -> bytes | None:
        """Return what a file holds, or None when there is none."""
        self.is_linked(path.parent)
        with self.translate_errors():
            try:
                return self._retry_denied(path.read_bytes) if stat.S_ISREG(path.lstat().st_mode) else None
            except _ABSENT:
                return None

    def is_file(self, path: Path) -> bool:
        """Return whether a file of the store is there."""
        self.is_linked(path.parent)
        return self._is_store_file(path)

    def list_files(self, folder: Path) -> list[Path]:
        """Return the files of the store in a folder."""
        return [path for path in self.list_paths(folder) if self._is_store_file(path)]

    def list_paths(self, folder: Path) -> list[Path]:
        """Return what is in a folder; nothing when there is none."""
        return [folder / name for name in self.list_names(folder)]

    def list_names(self, folder: Path) -> list[str]:
        """Return the names of what is in a folder; nothing when there is none."""
        self.is_linked(folder)
        with self.translate_errors():
            try:
                return os.listdir(folder)  # a hundred thousand paths take a tenth of a second
            except _ABSENT:
                return []

    # Writing

    def append(self, file: int, data: bytes) -> None:
        """Write all of `data` to an open file."""
        rest = memoryview(data)
        with self.translate_errors():
            while rest:
                rest = rest[self.write(file, rest) :]

    @contextmanager
    def create_part(self, folder: Path | None = None) -> Iterator[tuple[int, Path]]:
        """Open a new file under a name of its own, in the spool or another folder: descriptor and path.

        When the block ends its bytes are on the disk; when the block fails the file is gone.
        """
        self.make_folder(folder or self.spool)
        part = (folder or self.spool) / self.make_spool_path().name
        with self.translate_errors():
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with _delete_on_failure(part):
            try:
                yield file, part
                with self.translate_errors():
                    self.fsync(file)
            finally:
                with self.translate_errors():  # some network folders report here what they could not write
                    os.close(file)

    def put(self, path: Path, data: bytes, *, known: bool = False) -> None:
        """Make `path` hold `data`: at any time it has the old content or the new, never a part.

        `known` as for `move`.
        """
        with self.create_part() as (file, part):
            self.append(file, data)
        self.move(part, path, known=known)

    def put_exclusive(self, path: Path, data: bytes) -> bool:
        """Make a file that holds `data`; return False when the file exists. A failure leaves none."""
        with self.create_part() as (file, part):
            self.append(file, data)
        try:
            self.make_folder(path.parent)
            if not self._name_exclusive(part, path):
                return False
            with _delete_on_failure(path):
                self.fsync_dir(path.parent)
        finally:
            with suppress(OSError):
                part.unlink()
        return True

    def _name_exclusive(self, part: Path, path: Path) -> bool:
        """Give a finished file a name, unless something has it; return whether nothing had."""
        try:
            os.link(part, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links: empty for a moment
            if not self.create_exclusive(path):
                return False
            with _delete_on_failure(path), self.translate_errors():
                self._rename(part, path)
        return True

    def create_exclusive(self, path: Path) -> bool:
        """Create an empty file; return False when the file exists."""
        self.make_folder(path.parent)
        with self.translate_errors():
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return False
        with _delete_on_failure(path), self.translate_errors():
            os.close(file)
        return True

    def move(self, part: Path, path: Path, *, known: bool = False) -> None:
        """Give a finished file its final name, replacing what has it; `part` is gone in any case.

        Raises Occupied for a file that is not the store's to replace. `known`: the content of that file
        proved that the store wrote it, so that it is replaced whoever owns it and wherever links lead.
        """
        with _delete_on_failure(part):
            self.make_folder(path.parent)
            if not self._is_replaceable(path, known=known):
                raise Occupied(
                    _(
                        "{path} was not replaced: it is a link, behind a link, or another user's file.",
                        path=path,
                    )
                )
            with self.translate_errors():
                self._rename(part, path)
        self.fsync_dir(path.parent)

    def _rename(self, part: Path, path: Path) -> None:
        """Rename a finished file; where a link leads to another disk, copy it there first."""
        try:
            self._retry_denied(lambda: self.replace(part, path))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            with self.create_part(path.parent) as (file, near), part.open("rb") as source:
                while block := source.read(BLOCK):
                    self.append(file, block)
            with _delete_on_failure(near):
                self._retry_denied(lambda: self.replace(near, path))
            part.unlink()

    def _retry_denied(self, call: Callable[[], T]) -> T:
        """Repeat a call for a while: on Windows a file is out of reach while another process has it."""
        for pause in PAUSES:
            try:
                return call()
            except PermissionError:
                self.sleep(pause)
        return call()

    def delete(self, path: Path) -> bool:
        """Delete a file of the store; return False where it stays because it is not the store's to delete."""
        with self.translate_errors():
            return self._has_store_name(path) and delete_file(self.home, path.relative_to(self.home))

    def make_folder(self, folder: Path) -> None:
        """Make a folder, and those above it that are missing, private to the user."""
        self.is_linked(folder)
        with self.translate_errors():
            if folder.is_dir():
                return
        self.make_folder(folder.parent)
        with self.translate_errors():
            folder.mkdir(mode=0o700, exist_ok=True)
        self.fsync_dir(folder.parent)

    def fsync_dir(self, folder: Path) -> None:
        """Bring the names in a folder to the disk, where the system can do that."""
        if os.name == "nt":
            return
        with self.translate_errors():
            file = os.open(folder, os.O_RDONLY)
            try:
                self.fsync(file)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
                    raise
            finally:
                os.close(file)

    def _is_store_file(self, path: Path) -> bool:
        """Return whether a path has the place, the name and the kind of a file of the store."""
        with self.translate_errors():
            try:
                return self._has_store_name(path) and stat.S_ISREG(path.lstat().st_mode)
            except _ABSENT:
                return False

    def _has_store_name(self, path: Path) -> bool:
        folder, _separator, name = path.relative_to(self.home).as_posix().partition("/")
        return folder in FILES and FILES[folder].fullmatch(name) is not None

    def _is_replaceable(self, path: Path, *, known: bool) -> bool:
        """Return whether nothing is there, or a file that the store may replace."""
        linked = self.is_linked(path.parent)
        with self.translate_errors():
            try:
                info = path.lstat()
            except _ABSENT:
                return True
        if known:
            return stat.S_ISREG(info.st_mode)
        return not linked and self._has_store_name(path) and is_own_file(info)


@contextmanager
def _delete_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _resolve_home(home: Path) -> Path:
    """Return the real path of a store; a link to nowhere stays as it is: its disk may not be mounted."""
    real = Path(os.path.realpath(home))
    if real == home:
        return home
    try:
        dangling = any(path.is_symlink() and not path.exists() for path in (home, *home.parents))
    except OSError:  # reported when the folder is needed
        return home
    return home if dangling else real
