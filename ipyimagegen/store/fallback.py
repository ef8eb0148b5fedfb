"""The fallback: a second place for what was paid for, where the disk of the history is full.

It is a folder among the system's temporary files that only its owner can read. What lies there goes
into the history as soon as that can be written again.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from zlib import crc32

from ipyimagegen.store.files import Disk
from ipyimagegen.store.ownership import is_private_folder, make_private_folder


def find_fallback(home: Path) -> Disk | None:
    """Return the fallback of a store, which may not exist yet, or None where no place can be trusted.

    The folder of temporary files is everybody's, and the names in it are known: somebody else may have
    put a folder or a link there.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0  # elsewhere the temporary folder is the user's own
    try:
        shared = Path(tempfile.gettempdir()).resolve()
    except OSError:
        return None
    owned = shared / f"ipyimagegen-{user}"
    place = owned / f"{crc32(os.fsencode(home)):08x}"
    trusted = all(is_private_folder(folder) or not os.path.lexists(folder) for folder in (owned, place))
    return Disk(place) if trusted else None


def make_fallback(disk: Disk) -> bool:
    """Make the folders of a fallback; return False when somebody else has put something there meanwhile."""
    return make_private_folder(disk.home.parent) and make_private_folder(disk.home)
