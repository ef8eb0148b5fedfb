"""Which files a store has: the folder, and the pattern of the whole names in it.

HOME may be a folder that holds other things too, and an archive may bring anything. What is not named
here is not read, replaced or deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ipyimagegen.core.ids import SESSION as _SESSION

_NUMBER = r"(?:0|[1-9][0-9]{0,15})"
_HASH = r"[0-9a-f]{64}"
_IMAGE = r"(?:png|jpg|webp|gif|avif)"

SESSION = re.compile(_SESSION)
NUMBER = re.compile(_NUMBER)
HASH = re.compile(_HASH)
# A response on its way, or the mark of its reader.
REPLY = re.compile(rf"[0-9a-f]{{32}}\.({_SESSION})\.({_NUMBER})\.reply(?:\.claim)?")

# In `spool` of the second place whole images lie as well.
FILES: Mapping[str, re.Pattern[str]] = {
    folder: re.compile(pattern)
    for folder, pattern in {
        "images": rf"([0-9a-f]{{2}})/\1[0-9a-f]{{62}}\.{_IMAGE}",
        "quarantine": rf"{_HASH}\.bin",
        "records": rf"{_SESSION}/{_NUMBER}\.json",
        "unindexed": rf"{_SESSION}\.{_NUMBER}",
        "spool": rf"[0-9a-f]{{32}}\.part|{REPLY.pattern}|{_HASH}\.(?:{_IMAGE}|bin)",
    }.items()
}
# Every file of this folder is deleted again, so that it cannot be a link: nothing is deleted through one.
UNLINKED = "unindexed"


def is_store_file(name: Path) -> bool:
    """Return whether a path, relative to HOME, has the place and the whole name of a file of a store."""
    folder, _, rest = name.as_posix().partition("/")
    return folder in FILES and FILES[folder].fullmatch(rest) is not None
