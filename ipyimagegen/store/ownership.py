"""What belongs to this user and this package, and may therefore be deleted.

A file is deleted only if it is ours by place (a known folder that is a real folder, not a link), by its
whole name (the caller compares it with the pattern of that folder), and by kind (a regular file that
belongs to this user). Everything else is left as it is. Where the system can do that, the check and the
deletion use the same open folder: nobody can put a link in its place in between.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_BY_DESCRIPTOR = os.name != "nt"  # the system opens folders, and names files relative to them


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


def is_private_folder(folder: Path) -> bool:
    """Return whether this is a real folder of this user that nobody else can enter."""
    try:
        info = folder.lstat()
    except OSError:
        return False
    if is_link(info) or not stat.S_ISDIR(info.st_mode):
        return False
    return os.name == "nt" or (belongs_to_user(info) and not info.st_mode & 0o077)


def check_folder(folder: Path, root: Path, *, close: bool) -> None:
    """Raise OSError for a folder below `root` in which other users may have put something.

    `close` first takes from them the right to write where the folder is this user's. A folder whose file
    system keeps no owners and modes, such as a folder that a container shares with its host, is accepted.
    """
    if os.name == "nt":
        return
    info = folder.stat()
    mine = belongs_to_user(info)
    if info.st_mode & stat.S_IWOTH and mine and close:
        with suppress(OSError):
            folder.chmod(stat.S_IMODE(info.st_mode) & ~stat.S_IWOTH)
    problem = ""
    if info.st_mode & stat.S_IWOTH and not mine:
        problem = "other users can write into this folder"
    elif not mine and info.st_uid not in (0, root.stat().st_uid):
        problem = "this folder belongs to another user"
    if problem and _keeps_modes(folder):
        raise PermissionError(errno.EACCES, problem, str(folder))


def _keeps_modes(folder: Path) -> bool:
    """Return whether a new file in a folder belongs to this user alone."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            info = os.fstat(file.fileno())
    except OSError:
        return True
    return belongs_to_user(info) and not info.st_mode & 0o077


def leads_through_link(root: str, parts: Sequence[str]) -> bool:
    """Return whether a path of these parts below `root` is a link, or lies behind a link.

    Paths are text here: this runs for each file that is read. Raises OSError for a link that
    leads anywhere but to a folder of this user.
    """
    linked, path = False, root
    for part in parts:
        path = os.path.join(path, part)  # as text, see above
        try:
            if not is_link(os.lstat(path)):
                continue
        except (FileNotFoundError, NotADirectoryError):
            break
        linked = True
        if not _leads_to_own_folder(Path(path)):
            raise OSError(errno.ELOOP, "a link that does not lead to a folder of yours", path)
    return linked


def _leads_to_own_folder(link: Path) -> bool:
    if not link.exists():
        return False
    target = link.stat()
    return stat.S_ISDIR(target.st_mode) and belongs_to_user(target)


def make_private_folder(folder: Path) -> bool:
    """Make a folder for this user alone; return whether there is such a folder now."""
    with suppress(OSError):
        folder.mkdir(mode=0o700)
    return is_private_folder(folder)


def delete_file(root: Path, name: Path) -> bool:
    """Delete the file `name` below `root`; return False where it stays because it is not this user's.

    `root` and all folders in `name` must be real folders. A missing file counts as deleted. Raises OSError
    when the system does not delete it.
    """
    try:
        with _open_parent(root, name.parent) as (folder, at):
            info = os.stat(at / name.name, dir_fd=folder, follow_symlinks=False)
            if not is_own_file(info):
                return False
            os.unlink(at / name.name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except _Elsewhere:
        return False
    return True


def delete_old_files(folder: Path, pattern: re.Pattern[str], seconds: float) -> None:
    """Delete the files of a private folder whose whole name matches and that are older than `seconds`."""
    if not is_private_folder(folder):
        return
    with suppress(OSError):
        oldest = time.time() - seconds
        for path in folder.iterdir():
            if pattern.fullmatch(path.name) and path.lstat().st_mtime < oldest:
                delete_file(folder, Path(path.name))


class _Elsewhere(Exception):
    """Something on the path to a file is a link, or not a folder."""


@contextmanager
def _open_parent(root: Path, name: Path) -> Iterator[tuple[int | None, Path]]:
    """Open the folder `name` below `root` without following a link: its descriptor, and a path from there."""
    if not _BY_DESCRIPTOR:
        for folder in (root, *(root / parent for parent in reversed([name, *name.parents]))):
            info = folder.lstat()
            if is_link(info) or not stat.S_ISDIR(info.st_mode):
                raise _Elsewhere
        yield None, root / name
        return
    with ExitStack() as stack:
        descriptor = None
        for part in (str(root), *name.parts):
            descriptor = _open_folder(part, descriptor)
            stack.callback(_close, descriptor)
        yield descriptor, Path()


def _close(descriptor: int) -> None:
    with suppress(OSError):  # nothing was written to a folder
        os.close(descriptor)


def _open_folder(folder: str, above: int | None) -> int:
    try:
        return os.open(folder, _FOLDER, dir_fd=above)
    except FileNotFoundError:
        raise
    except OSError:
        info = os.stat(folder, dir_fd=above, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            raise
    raise _Elsewhere
