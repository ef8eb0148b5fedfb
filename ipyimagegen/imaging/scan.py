"""Read the structure of an image file before any decoder does: size, wholeness, and what decoding would cost.

A scan takes time in proportion to the file and bounded memory: it stops at the first limit that is
exceeded. Decoders and Pillow's own parsers see only files that pass.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from ipyimagegen.core.formats import sniff
from ipyimagegen.imaging.headers import MEGAPIXELS
from ipyimagegen.imaging.scan_formats import CUT, DAMAGED, WALKERS
from ipyimagegen.imaging.scan_limits import LimitExceeded, Walk

__all__ = ["CUT", "DAMAGED", "Scan", "scan", "scan_bytes", "scan_path"]

# Megapixels that are decoded, where fewer than `MEGAPIXELS`. libwebp holds 16 bytes for each pixel, and
# cannot decode to a smaller size: 40 megapixels take 650 MiB, 32 take 520.
_FEWER: Mapping[str, int] = MappingProxyType({"image/webp": 32})
# Scans of a JPEG times its megapixels. A dense scan takes 1 to 6 ms for each megapixel, so that 800 take
# at most 5 s. Encoders write 10 scans for RGB and 18 for CMYK: both pass at 40 megapixels.
_SCANNED = 800


@dataclass(frozen=True)
class Scan:
    """What the structure of a PNG, JPEG or WebP file says.

    `width` and `height` are in pixels, 0 where the header cannot be read. `flaw` is CUT or DAMAGED, and
    empty for a whole file. `refusal` says in plain words, such as "has more than 64 scans", why the file
    must not be decoded at any size; empty when it may be. `late` says that facts (EXIF) may stand behind
    the pixels or that the coding is a rare one, so that only decoding tells. `scans` is the number of
    passes over the pixels in which a JPEG is coded.
    """

    mime: str
    width: int = 0
    height: int = 0
    flaw: str = ""
    refusal: str = ""
    late: bool = False
    scans: int = 0

    @property
    def whole(self) -> bool:
        """Whether the file is complete and its checksums match."""
        return not self.flaw

    @property
    def excess(self) -> str:
        """Why the file is not decoded, by its structure or size; empty when it is."""
        most = _FEWER.get(self.mime, MEGAPIXELS)
        pixels = self.width * self.height
        if pixels > most * 1_000_000:
            return f"{self.width}×{self.height} px, over {most} megapixels"
        if self.refusal:
            return f"{self.refusal}; it is stored, not decoded"
        if pixels * self.scans > _SCANNED * 1_000_000:
            return f"has {self.scans} scans of {pixels / 1e6:.0f} megapixels; it is stored, not decoded"
        return ""


def scan(file: BinaryIO) -> Scan | None:
    """Return the scan of a PNG, JPEG or WebP file, or None for any other file.

    Raises OSError when the file cannot be read; nothing in it raises.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    mime = sniff(file.read(16))
    if mime is None:
        return None
    walk, refusal = Walk(file, length), ""
    try:
        try:
            WALKERS[mime](walk)
        except (EOFError, struct.error):  # ends in the middle of a field
            walk.flaw = walk.flaw or CUT
        walk.check_directories()
    except LimitExceeded as exceeded:
        refusal = str(exceeded)
    if not walk.width or not walk.height:
        refusal = refusal or "has a header that is damaged or cut short"
    return Scan(mime, walk.width, walk.height, walk.flaw, refusal, walk.late, walk.counts["scans"])


def scan_bytes(data: bytes) -> Scan | None:
    """Return the scan of a file's bytes; see `scan`."""
    return scan(BytesIO(data))


def scan_path(path: Path) -> Scan | None:
    """Return the scan of the file at `path`; see `scan`."""
    with path.open("rb") as file:
        return scan(file)
