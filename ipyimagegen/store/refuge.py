"""A second place for what was paid for, where the disk of the history takes no more.

It is a folder among the system's temporary files that only its owner can read. What lies there goes
into the history as soon as that can be written again.
"""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISDIR
from zlib import crc32

from ipyimagegen.store.disk import Disk


def refuge(home: Path) -> Disk | None:
    """Return the second place of a store, or None where there is none to be trusted."""
    import tempfile  # noqa: PLC0415 - brings more than loading has need of

    user = os.getuid() if hasattr(os, "getuid") else 0  # elsewhere the temporary folder is the user's own
    try:
        owned = Path(tempfile.gettempdir(), f"ipyimagegen-{user}")
    except OSError:
        return None
    if not _private(owned, user):
        return None
    return Disk(owned / f"{crc32(os.fsencode(home.absolute())):08x}")


def _private(folder: Path, user: int) -> bool:
    """Say whether nobody else has put something there, or could."""
    try:
        there = folder.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return S_ISDIR(there.st_mode) and (os.name == "nt" or (there.st_uid, there.st_mode & 0o077) == (user, 0))
