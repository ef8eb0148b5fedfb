"""Read a file of the user's: never one that blocks, is too large, or is no file."""

from __future__ import annotations

import itertools
import os
import stat
import unicodedata
from pathlib import Path

from ipyimagegen.core.errors import suggest_name
from ipyimagegen.core.text import truncate
from ipyimagegen.imaging.refusing import cause, labelled, refused

MOST_BYTES = 512 * 1024 * 1024  # a larger file is refused unread
_LISTED = 5000  # names of a folder among which a near one is looked for


def read(path: Path, name: str) -> bytes:
    """Return the bytes of the file. Raises InvalidInput, saying what is there instead."""
    path = _expanded(path)
    label = labelled(name, path)
    found, problem = _stat(path)
    if found is None and (other := _spelled(path)) is not None:
        path = other
        found, problem = _stat(path)
    if found is None:
        raise refused(label, problem)
    if stat.S_ISDIR(found.st_mode):
        raise refused(label, "is a folder; choose an image in it.")
    if not stat.S_ISREG(found.st_mode):
        raise refused(label, "is no ordinary file.")
    check_bytes(found.st_size, label)
    data = b""
    try:
        data = path.read_bytes()
    except PermissionError:
        problem = "may not be read: no permission."
    except OSError as error:
        problem = f"cannot be read ({cause(error)})."
    if problem:
        raise refused(label, problem)
    return data


def check_bytes(length: int, name: str) -> None:
    """Raise InvalidInput when so many bytes are never read."""
    if length > MOST_BYTES:
        raise refused(
            name,
            f"has {length / 1e6:,.0f} MB; at most {MOST_BYTES / 1e6:,.0f} MB are read. Give a smaller one.",
        )


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user, or no home
        return path


def _stat(path: Path) -> tuple[os.stat_result | None, str]:
    try:
        return path.stat(), ""
    except (FileNotFoundError, NotADirectoryError):
        return None, _missing(path)
    except PermissionError:
        return None, "may not be read: no permission."
    except (OSError, ValueError) as error:  # too long, a loop of links, a NUL
        return None, f"is no path that can be read ({cause(error)})."


def _missing(path: Path) -> str:
    folder = path.parent
    try:
        names = [entry.name for entry in itertools.islice(os.scandir(folder), _LISTED)]
    except NotADirectoryError:
        return f"does not exist: {truncate(str(folder))} is no folder."
    except OSError:
        return f"does not exist: there is no folder {truncate(str(folder))}."
    near = truncate(suggest_name(path.name, names), 160)
    return f"does not exist in {truncate(str(folder.absolute()))}.{' ' if near else ''}{near}"


def _spelled(path: Path) -> Path | None:
    """Return the path in the other spelling of its accents, if that exists: systems differ."""
    for form in ("NFC", "NFD"):
        other = Path(unicodedata.normalize(form, str(path)))
        try:
            if other != path and other.exists():
                return other
        except (OSError, ValueError):
            return None
    return None
