"""A second place for what was paid for, where the disk of the history takes no more.

It is a folder among the system's temporary files that only its owner can read. What lies there goes
into the history as soon as that can be written again.
"""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

from ipyimagegen.store.disk import Disk
from ipyimagegen.store.ownership import is_private_folder, make_private_folder


def find_fallback(home: Path) -> Disk | None:
    """Return the second place of a store, which may not be made yet, or None where none is to be trusted.

    The folder of temporary files is everybody's, and the names in it are known: somebody else may have
    put a folder or a link there.
    """
    import tempfile  # noqa: PLC0415 - brings more than loading has need of

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
    """Make the folders of a second place; return False when somebody else was faster."""
    return make_private_folder(disk.home.parent) and make_private_folder(disk.home)
