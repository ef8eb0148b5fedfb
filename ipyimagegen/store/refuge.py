"""A second place for what was paid for, where the disk of the history takes no more.

It is a folder among the system's temporary files that only its owner can read. What lies there goes
into the history as soon as that can be written again.
"""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

from ipyimagegen.ownership import is_private_folder, make_private_folder
from ipyimagegen.store.disk import Disk


def refuge(home: Path, *, make: bool = False) -> Disk | None:
    """Return the second place of a store, or None where there is none, or none to be trusted.

    The folder of temporary files is everybody's, and the names in it are known: somebody else may have
    put a folder or a link there. `make` makes the place where there is none.
    """
    import tempfile  # noqa: PLC0415 - brings more than loading has need of

    user = os.getuid() if hasattr(os, "getuid") else 0  # elsewhere the temporary folder is the user's own
    try:
        shared = Path(tempfile.gettempdir()).resolve()
    except OSError:
        return None
    owned = shared / f"ipyimagegen-{user}"
    place = owned / f"{crc32(os.fsencode(home)):08x}"
    check = make_private_folder if make else is_private_folder
    return Disk(place) if check(owned) and check(place) else None
