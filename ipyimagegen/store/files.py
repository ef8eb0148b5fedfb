"""The files of a store: which there are, how they are written whole or not at all, and what may be deleted.

HOME may be a folder that holds other things too, and an archive may bring anything. What `FILES` does not
name is not read, replaced or deleted.

A file is deleted only if it is ours by place (a known folder that is a real folder, not a link), by its
whole name, and by kind (a regular file that belongs to this user). Everything else is left as it is. Where
the system can do that, the check and the deletion use the same open folder: nobody can put a link in its
place in between.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.formats import FORMATS
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.run import SESSION as _SESSION

MARGIN = 64 << 20  # bytes that stay free beside what a call may bring
DAY = 86_400.0  # seconds
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.75, 1.0)  # seconds between attempts to reach a file: 2.5 in all
BLOCK = 1 << 20  # bytes that are copied at a time
T = TypeVar("T")
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_FOLDER = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
)
_NO_FOLDER = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)  # from opening a link or a file as a folder

_NUMBER = r"(?:0|[1-9][0-9]{0,15})"
_HASH = r"[0-9a-f]{64}"
_IMAGE = "|".join(file_format.suffixes[0][1:] for file_format in FORMATS)

SESSION = re.compile(_SESSION)
NUMBER = re.compile(_NUMBER)
HASH = re.compile(_HASH)
# A response that is being received, or the mark of its reader.
RESPONSE = re.compile(rf"[0-9a-f]{{32}}\.({_SESSION})\.({_NUMBER})\.reply(?:\.claim)?")

# By folder the pattern of the whole names in it. `spool` of the fallback holds whole images too.
FILES: Mapping[str, re.Pattern[str]] = {
    folder: re.compile(pattern)
    for folder, pattern in {
        "images": rf"([0-9a-f]{{2}})/\1[0-9a-f]{{62}}\.(?:{_IMAGE})",
        "quarantine": rf"{_HASH}\.bin",
        "records": rf"{_SESSION}/{_NUMBER}\.json",
        "unindexed": rf"{_SESSION}\.{_NUMBER}",
        "spool": rf"[0-9a-f]{{32}}\.part|{RESPONSE.pattern}|{_HASH}\.(?:{_IMAGE}|bin)",
    }.items()
}
# Every file of this folder is deleted again, and nothing is deleted through a link: it cannot be a link.
UNLINKED = "unindexed"


_IN_THE_WAY, _NO_ACCESS = _("Move away what is there"), _("Grant access there")
_CURES: Mapping[int | None, Message] = {
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EACCES: _NO_ACCESS,
    errno.EPERM: _NO_ACCESS,
    errno.ENOSPC: _("Free some space there"),
}


class Occupied(StoreError):
    """The name of a new file is taken by a file that the store must not replace."""


@dataclass(frozen=True)
class Disk:
    """The system calls that can fail, and what is built of them. Its methods raise OSError.

    `home` may be a link or lie behind a link: it is resolved here, once. Inside it a link is followed only
    to a folder of the same user, and no file is deleted or replaced through it. `spool` is the folder of
    files that are not yet whole.
    """

    home: Path
    write: Callable[[int, memoryview], int] = os.write
    fsync: Callable[[int], None] = os.fsync
    replace: Callable[[Path, Path], None] = os.replace
    sleep: Callable[[float], None] = time.sleep
    spool: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", _resolve_home(self.home))
        object.__setattr__(self, "spool", self.home / "spool")

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn an OSError into a StoreError that names the folder and the cure."""
        try:
            yield
        except OSError as error:
            raise self.explain(error) from error

    def explain(self, error: OSError) -> StoreError:
        """Return what to report for an error of the system: its cause, the folder and the cure."""
        reason = error.strerror or str(error)
        return StoreError(
            _(
                "The history in {home} cannot be used: {reason}.\n"
                "{cure}, or set IPYIMAGEGEN_HOME to another folder.",
                home=self.home,
                reason=f"{reason} ({error.filename})" if error.filename else reason,
                cure=_CURES.get(error.errno, _("Free some space or grant access there")),
            )
        )

    # Checks

    def check_folders(self, *, close: bool = False) -> None:
        """Raise OSError when a folder of the store is something else, or is not the user's.

        `close` takes from others the right to write into the user's folders.
        """
        if self.home.is_dir():
            check_folder(self.home, self.home, close=close)
        for path in (self.home / name for name in FILES):
            self.is_linked(path)
            if not os.path.lexists(path):
                continue
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            check_folder(path, self.home, close=close)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def is_linked(self, path: Path) -> bool:
        """Return whether a path in HOME is a link or lies behind a link; outside of HOME nothing does.

        Raises OSError for a link that leads anywhere but to a folder of this user.
        """
        linked, place = False, str(self.home)  # as text: this runs for each file that is read
        if not str(path).startswith(place + os.sep):
            return False
        for part in path.parts[len(self.home.parts) :]:
            place = os.path.join(place, part)
            try:
                if not is_link(os.lstat(place)):
                    continue
            except (FileNotFoundError, NotADirectoryError):
                break
            linked = True
            with suppress(FileNotFoundError, NotADirectoryError):
                target = os.stat(place)
                if stat.S_ISDIR(target.st_mode) and belongs_to_user(target):
                    continue
            raise OSError(errno.ELOOP, "a link that does not lead to a folder of yours", place)
        if linked and path.is_relative_to(self.home / UNLINKED):
            raise OSError(errno.ELOOP, "a link to a folder in which files are deleted", str(path))
        return linked

    # Reading

    def read(self, path: Path) -> bytes | None:
        """Return what a file holds, or None when there is none."""
        self.is_linked(path.parent)
        try:
            return self._retry_denied(path.read_bytes) if stat.S_ISREG(path.lstat().st_mode) else None
        except _ABSENT:
            return None

    def list_files(self, folder: Path, start: str = "") -> list[Path]:
        """Return the files of the store in a folder whose names begin with `start`."""
        paths = (folder / name for name in self.list_names(folder) if name.startswith(start))
        return [path for path in paths if self.is_file(path)]

    def is_file(self, path: Path) -> bool:
        """Return whether a file exists that has the place, the name and the kind of files of the store."""
        with suppress(*_ABSENT):
            return self._has_store_name(path) and stat.S_ISREG(path.lstat().st_mode)
        return False

    def list_names(self, folder: Path) -> list[str]:
        """Return the names of what is in a folder; nothing when there is none."""
        self.is_linked(folder)
        try:
            return os.listdir(folder)  # a hundred thousand paths take a tenth of a second
        except _ABSENT:
            return []

    # Writing

    def append(self, file: int, data: bytes) -> None:
        """Write all of `data` to an open file."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(file, rest) :]

    @contextmanager
    def create_part(self, folder: Path | None = None) -> Iterator[tuple[int, Path]]:
        """Open a new file under a name of its own, in the spool or another folder: descriptor and path.

        When the block ends its bytes are on the disk; when the block fails the file is gone.
        """
        folder = folder or self.spool
        self.make_folder(folder)
        part = folder / f"{os.urandom(16).hex()}.part"
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with _delete_on_failure(part):
            try:
                yield file, part
                self.fsync(file)
            except BaseException:
                with suppress(OSError):
                    os.close(file)
                raise
            os.close(file)  # some network folders report here what they could not write

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
            try:
                os.link(part, path)
            except FileExistsError:
                return False
            except OSError:  # a file system without links: the file is empty for a moment
                if not self.create_exclusive(path):
                    return False
                with _delete_on_failure(path):
                    self._rename(part, path)
            with _delete_on_failure(path):
                self.fsync_dir(path.parent)
        finally:
            with suppress(OSError):
                part.unlink()
        return True

    def create_exclusive(self, path: Path) -> bool:
        """Create an empty file; return False when the file exists."""
        self.make_folder(path.parent)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with _delete_on_failure(path):
            os.close(file)
        return True

    def move(self, part: Path, path: Path, *, known: bool = False) -> None:
        """Give a finished file its final name, replacing what has it; `part` is gone in any case.

        Raises Occupied for a file that is not the store's to replace. `known`: the content of that file
        proved that the store wrote it, so that it is replaced whoever owns it and wherever links lead.
        """
        with _delete_on_failure(part):
            self.make_folder(path.parent)
            linked = self.is_linked(path.parent)
            with suppress(*_ABSENT):
                info = path.lstat()
                own = not linked and self._has_store_name(path) and is_own_file(info)
                if not (stat.S_ISREG(info.st_mode) if known else own):
                    raise Occupied(
                        _(
                            "{path} was not replaced: it is a link, behind a link, or another user's file.",
                            path=path,
                        )
                    )
            self._rename(part, path)
        self.fsync_dir(path.parent)

    def _has_store_name(self, path: Path) -> bool:
        folder, _separator, name = path.relative_to(self.home).as_posix().partition("/")
        return folder in FILES and FILES[folder].fullmatch(name) is not None

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
        return self._has_store_name(path) and delete_file(self.home, path.relative_to(self.home))

    def make_folder(self, folder: Path) -> None:
        """Make a folder, and those above it that are missing, private to the user."""
        self.is_linked(folder)
        if not folder.is_dir():
            self.make_folder(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
            self.fsync_dir(folder.parent)

    def fsync_dir(self, folder: Path) -> None:
        """Bring the names in a folder to the disk, where the system can do that."""
        if os.name == "nt":
            return
        file = os.open(folder, os.O_RDONLY)
        try:
            self.fsync(file)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems
                raise
        finally:
            os.close(file)


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


# Ownership


def belongs_to_user(info: os.stat_result) -> bool:
    """Return whether a file or folder belongs to the user of this process; on Windows always."""
    return not hasattr(os, "geteuid") or info.st_uid == os.geteuid()


def is_own_file(info: os.stat_result) -> bool:
    """Return whether this is a regular file of this user; `info` comes from lstat."""
    return stat.S_ISREG(info.st_mode) and belongs_to_user(info)


def is_link(info: os.stat_result) -> bool:
    """Return whether this is a link, or a junction of Windows; `info` comes from lstat."""
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)
    return stat.S_ISLNK(info.st_mode) or getattr(info, "st_reparse_tag", 0) == junction


def _is_folder(info: os.stat_result) -> bool:
    return stat.S_ISDIR(info.st_mode) and not is_link(info)


def is_private_folder(folder: Path) -> bool:
    """Return whether this is a real folder of this user that nobody else can enter."""
    try:
        info = folder.lstat()
    except OSError:
        return False
    closed = os.name == "nt" or (belongs_to_user(info) and not info.st_mode & 0o077)
    return closed and _is_folder(info)


def make_private_folder(folder: Path) -> bool:
    """Make a folder for this user alone; return whether there is such a folder now."""
    with suppress(OSError):
        folder.mkdir(mode=0o700)
    return is_private_folder(folder)


def check_folder(folder: Path, root: Path, *, close: bool) -> None:
    """Raise OSError for a folder below `root` in which other users may have put something.

    `close` first takes from them the right to write where the folder is this user's. A folder whose file
    system keeps no owners and modes, such as a folder that a container shares with its host, is accepted.
    """
    if os.name == "nt":
        return
    info = folder.stat()
    open_to_others = bool(info.st_mode & stat.S_IWOTH)
    if belongs_to_user(info):
        if open_to_others and close:
            with suppress(OSError):
                folder.chmod(stat.S_IMODE(info.st_mode) & ~stat.S_IWOTH)
        return
    if open_to_others:
        problem = "other users can write into this folder"
    elif info.st_uid not in (0, root.stat().st_uid):
        problem = "this folder belongs to another user"
    else:
        return
    with suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
        new = os.fstat(file.fileno())
        if not belongs_to_user(new) or new.st_mode & 0o077:
            return
    raise PermissionError(errno.EACCES, problem, str(folder))


def delete_file(root: Path, name: Path) -> bool:
    """Delete the file `name` below `root`; return False where it stays because it is not this user's.

    `root` and all folders in `name` must be real folders. A missing file counts as deleted. Raises OSError
    when the system does not delete it.
    """
    try:
        with ExitStack() as stack:
            folder, path = None, root / name
            if os.name != "nt":
                path = Path(name.name)
                for part in (str(root), *name.parent.parts):
                    folder = os.open(part, _FOLDER, dir_fd=folder)
                    stack.callback(_close, folder)
            elif not all(_is_folder((root / above).lstat()) for above in name.parents):
                return False
            if not is_own_file(os.stat(path, dir_fd=folder, follow_symlinks=False)):
                return False
            os.unlink(path, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        return False
    return True


def _close(folder: int) -> None:
    with suppress(OSError):  # nothing was written to it
        os.close(folder)


def delete_old_files(folder: Path, pattern: re.Pattern[str], seconds: float) -> None:
    """Delete the files of a private folder whose whole name matches and that are older than `seconds`."""
    if not is_private_folder(folder):
        return
    with suppress(OSError):
        oldest = time.time() - seconds
        for path in folder.iterdir():
            if pattern.fullmatch(path.name) and path.lstat().st_mtime < oldest:
                delete_file(folder, Path(path.name))
