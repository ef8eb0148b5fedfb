"""Count what decoders and parsers of image files spend time and memory on, up to a limit for each."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

_MIB = 1 << 20


class _Limit(NamedTuple):
    """The most of something that is decoded, and what a file with more of it is said to have."""

    most: int
    words: str


# Each limit with an honest maximum and the cost that it bounds, for files of 64 MiB on a machine with two
# cores. Pillow parses metadata in Python: a few microseconds for each piece, whatever its size.
LIMITS: Mapping[str, _Limit] = MappingProxyType(
    {
        # PNG chunks, WebP chunks, JPEG segments and fill bytes. 64 MiB in the usual IDAT chunks of 8 KiB
        # are 8,192. Pillow takes 4 to 8 us for each: half a second at the limit, 30 s for 5 million.
        "pieces": _Limit(65_536, "more than 65,536 chunks or segments"),
        # Encoders write 1 to 18. See also the limit on scans times megapixels.
        "scans": _Limit(64, "more than 64 scans"),
        # A second header contradicts the first, or is a trick.
        "headers": _Limit(1, "more than one image header"),
        # PNG text and ICC profiles, as stored and again inflated. The workflow of a user interface takes
        # a few MiB. Pillow holds each text four times: 64 MiB at the limit.
        "text": _Limit(16 * _MIB, "more than 16 MiB of text"),
        # A JPEG segment holds 64 KiB. Pillow joins segments in quadratic time: 32 GiB are copied for 64 MiB.
        "metadata": _Limit(_MIB, "more than 1 MiB of EXIF, MPF or Photoshop metadata"),
        # Values may overlap, so that 64 KiB stand for 350 MiB, which Pillow copies out.
        "metadata values": _Limit(_MIB, "metadata that unfolds to more than 1 MiB"),
        # Four tables take 520 bytes. Pillow takes 3 us for each table of 65 bytes: 3 s for 64 MiB.
        "tables": _Limit(64 * 1024, "more than 64 KiB of quantization tables"),
        # The palette is the largest PNG chunk of a fixed form, 768 bytes.
        "palette": _Limit(4096, "a palette or header field of more than 4 KiB"),
    }
)


class LimitExceeded(Exception):
    """The file holds more of something than is decoded; the text says "has more than …"."""


def check(what: str, amount: int) -> None:
    """Raise LimitExceeded when there is more of something than is decoded."""
    if amount > LIMITS[what].most:
        raise LimitExceeded(f"has {LIMITS[what].words}")


@dataclass
class Walk:
    """A walk through one file: where it reads, what it found, and how much of each limit is used."""

    file: BinaryIO
    length: int
    width: int = 0
    height: int = 0
    flaw: str = ""
    late: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    exif: bytearray = field(default_factory=bytearray)  # of all segments of a JPEG, which decoders join
    directories: list[bytes] = field(default_factory=list)  # other blocks of EXIF and MPF

    def count(self, what: str, amount: int = 1) -> None:
        """Add to what is counted. Raises LimitExceeded."""
        self.counts[what] += amount
        check(what, self.counts[what])

    def read(self, length: int) -> bytes:
        """Return exactly so many bytes. Raises EOFError."""
        data = self.file.read(length)
        if len(data) < length:
            raise EOFError
        return data

    def check_directories(self) -> None:
        """Raise LimitExceeded when the values of the EXIF and MPF blocks take too much memory."""
        for block in [bytes(self.exif), *self.directories]:
            self.count("metadata values", value_bytes(block))


# Bytes of a value of each TIFF type; of types that do not exist nothing is read.
_UNITS = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8)
_MARKS = re.compile(rb"(?:Exif\0\0)*")
_MOST_MARKS = 60  # bytes; there is one mark of 6, and broken writers repeat it


def value_bytes(block: bytes) -> int:
    """Return how many bytes the values in the first directory of an EXIF or MPF block take, copied out."""
    marks = _MARKS.match(block)
    assert marks
    if marks.end() > _MOST_MARKS:  # Pillow strips them one by one, in quadratic time
        return LIMITS["metadata values"].most + 1
    block = block[marks.end() :]
    order = "<" if block.startswith(b"II") else ">"
    if block[2:4] in (b"\x2b\0", b"\0\x2b"):  # BigTIFF, in which no camera writes
        return LIMITS["metadata values"].most + 1
    total = 0
    try:
        (at,) = struct.unpack_from(f"{order}I", block, 4)
        (entries,) = struct.unpack_from(f"{order}H", block, at)
        for entry in range(entries):
            kind, values = struct.unpack_from(f"{order}2xHI", block, at + 2 + 12 * entry)
            unit = _UNITS[kind] if kind < len(_UNITS) else 0
            total += min(unit * values, len(block))
    except struct.error:  # Pillow stops here as well
        pass
    return total
