"""Read the structure of an image file before any decoder does: size, wholeness, cost of decoding.

A scan takes time in proportion to the file and bounded memory: it stops at the first limit that is
exceeded. Decoders and Pillow's own parsers receive only files that pass.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from ipyimagegen.core.formats import sniff
from ipyimagegen.core.messages import Message, _
from ipyimagegen.imaging.pieces import (
    EOI,
    FRAMES,
    SEGMENTS,
    SOS,
    STANDALONE,
    iterate_jpeg,
    iterate_png,
    iterate_webp,
    read_exactly,
)

CUT = _("is cut short: its end is missing")
DAMAGED = _("is damaged")

_MIB = 1 << 20
# Megapixels that are decoded. libwebp holds 16 bytes for each pixel and cannot decode to a smaller size:
# 40 megapixels take 650 MiB, 32 take 520.
_MEGAPIXELS: Mapping[str, int] = MappingProxyType({"image/png": 40, "image/jpeg": 40, "image/webp": 32})
# Scans of a JPEG times its megapixels. A dense scan takes 1 to 6 ms for each megapixel, so that 800 take
# at most 5 s. Encoders write 10 scans for RGB and 18 for CMYK: both pass at 40 megapixels.
_SCANNED_MEGAPIXELS = 800


class _Limit(NamedTuple):
    """The most of something in a file that is decoded, and the complaint about a file with more."""

    most: int
    complaint: Message


# Each limit with an honest maximum and the cost that it bounds, for files of 64 MiB on a machine with two
# cores. Pillow parses metadata in Python: a few microseconds for each piece, whatever its size.
_LIMITS: Mapping[str, _Limit] = MappingProxyType(
    {
        # PNG chunks, WebP chunks, JPEG segments and fill bytes. 64 MiB in the usual IDAT chunks of 8 KiB
        # are 8,192. Pillow takes 4 to 8 us for each: half a second at the limit, 30 s for 5 million.
        "pieces": _Limit(65_536, _("has more than 65,536 chunks or segments")),
        # Encoders write 1 to 18. See also the limit on scans times megapixels.
        "scans": _Limit(64, _("has more than 64 scans")),
        # A second header contradicts the first, or is a trick.
        "headers": _Limit(1, _("has more than one image header")),
        # PNG text and ICC profiles, as stored and again inflated. The workflow of a user interface takes
        # a few MiB. Pillow holds each text four times: 64 MiB at the limit.
        "text": _Limit(16 * _MIB, _("has more than 16 MiB of text")),
        # A JPEG segment holds 64 KiB. Pillow joins segments in quadratic time: 32 GiB are copied for 64 MiB.
        "metadata": _Limit(_MIB, _("has more than 1 MiB of EXIF, MPF or Photoshop metadata")),
        # Values may overlap, so that 64 KiB stand for 350 MiB, which Pillow copies out.
        "metadata values": _Limit(_MIB, _("has metadata that unfolds to more than 1 MiB")),
        # Four tables take 520 bytes. Pillow takes 3 us for each table of 65 bytes: 3 s for 64 MiB.
        "tables": _Limit(64 * 1024, _("has more than 64 KiB of quantization tables")),
        # The palette is the largest PNG chunk of a fixed form, 768 bytes.
        "palette": _Limit(4096, _("has a palette or header field of more than 4 KiB")),
    }
)


@dataclass(frozen=True)
class Scan:
    """The structure of a PNG, JPEG or WebP file.

    `width` and `height` are in pixels, 0 where the header cannot be read. `flaw` is CUT or DAMAGED, and
    empty for a whole file. `refusal` is why the file must not be decoded at any size, such as "has more
    than 64 scans"; empty when it may be. `late` is whether EXIF data may follow the pixels or the coding
    is rare, so that only decoding shows what the file is. `scans` is the number of passes over the
    pixels in which a JPEG is coded.
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
        pixels, limit = self.width * self.height, _MEGAPIXELS[self.mime]
        if pixels > limit * 1_000_000:
            size = f"{self.width}×{self.height}"
            return _("{size} px, more than {limit} megapixels", size=size, limit=limit)
        if self.refusal:
            return _("{problem}; it is stored, not decoded", problem=self.refusal)
        if pixels * self.scans > _SCANNED_MEGAPIXELS * 1_000_000:
            return _(
                "has {scans} scans of {megapixels} megapixels; it is stored, not decoded",
                scans=self.scans,
                megapixels=f"{pixels / 1e6:.0f}",
            )
        return ""


def scan_file(file: BinaryIO) -> Scan | None:
    """Return the scan of a PNG, JPEG or WebP file, or None for any other file.

    Raises OSError when the file cannot be read; nothing in it raises.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    mime = sniff(file.read(16))
    if mime is None:
        return None
    walk, refusal = _Walk(file, length), ""
    try:
        try:
            _WALKERS[mime](walk)
        except (EOFError, struct.error):  # ends inside a field
            walk.flaw = walk.flaw or CUT
        walk.check_directories()
    except _LimitExceeded as exceeded:
        refusal = _LIMITS[exceeded.args[0]].complaint
    if not walk.width or not walk.height:
        refusal = refusal or _("has a header that is damaged or cut short")
    return Scan(mime, walk.width, walk.height, walk.flaw, refusal, walk.late, walk.counts["scans"])


def scan_bytes(data: bytes) -> Scan | None:
    """Return the scan of a file's bytes; see `scan_file`."""
    return scan_file(BytesIO(data))


def scan_path(path: Path) -> Scan | None:
    """Return the scan of the file at `path`; see `scan_file`."""
    with path.open("rb") as file:
        return scan_file(file)


class _LimitExceeded(Exception):
    """The file holds more of something than is decoded; the argument is the name of the limit."""


def _check(limit: str, amount: int) -> None:
    if amount > _LIMITS[limit].most:
        raise _LimitExceeded(limit)


@dataclass
class _Walk:
    """A walk through a file: what was read, and how much of each limit is used."""

    file: BinaryIO
    length: int
    width: int = 0
    height: int = 0
    flaw: str = ""
    late: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    exif: bytearray = field(default_factory=bytearray)  # of all segments of a JPEG, which decoders join
    directories: list[bytes] = field(default_factory=list)  # other blocks of EXIF and MPF

    def count(self, limit: str, amount: int = 1) -> None:
        """Add to what is counted. Raises _LimitExceeded."""
        self.counts[limit] += amount
        _check(limit, self.counts[limit])

    def read(self, length: int) -> bytes:
        return read_exactly(self.file, length)

    def read_directory(self, length: int) -> None:
        self.count("metadata", length)
        self.directories.append(self.read(length))

    def check_directories(self) -> None:
        """Raise _LimitExceeded when the values of the EXIF and MPF blocks take too much memory."""
        for block in [bytes(self.exif), *self.directories]:
            self.count("metadata values", _measure_values(block))


# PNG

_BLOCK = 64 * 1024  # bytes read at once for a checksum
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_FIXED = (b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"acTL", b"fcTL")
_MAY_ORIENT = (b"XML:com.adobe.xmp", b"Raw profile type ")  # keywords of texts
_EXIF_KEYWORDS = (b"exif", b"Raw profile type exif")
_DENSEST = 1032  # bytes that a byte of deflate can stand for


def _walk_png(walk: _Walk) -> None:
    pixels = False
    for kind, start, end in iterate_png(walk.file):
        first = start == 16
        walk.count("pieces")
        if first is not (kind == b"IHDR"):
            walk.flaw = DAMAGED
            if first:
                return
        if kind == b"IHDR":
            walk.count("headers")
            walk.width, walk.height = struct.unpack(">II", walk.read(8))
        pixels = pixels or kind == b"IDAT"
        if end + 4 > walk.length:
            raise EOFError
        walk.file.seek(start)
        _read_chunk(walk, kind, end - start, late=pixels)
        critical = not kind[0] & 0x20
        if critical and _compute_crc(walk, start - 4, end) != int.from_bytes(walk.read(4), "big"):
            walk.flaw = DAMAGED
    if not pixels:
        walk.flaw = DAMAGED


def _read_chunk(walk: _Walk, kind: bytes, length: int, *, late: bool) -> None:
    if kind in _FIXED:
        _check("palette", length)
    elif kind == b"eXIf":
        walk.late |= late
        walk.read_directory(length)
    elif kind in _TEXTS:
        walk.count("text", length)
        body = walk.read(length)
        walk.late |= late and body.startswith(_MAY_ORIENT)
        keyword, _separator, rest = body.partition(b"\0")
        text = _inflate(walk, kind, rest)
        if keyword in _EXIF_KEYWORDS:
            walk.count("metadata", len(text) // 2)
            walk.directories.append(text if keyword == b"exif" else _decode_hex_profile(text))


def _inflate(walk: _Walk, kind: bytes, rest: bytes) -> bytes:
    """Return what follows the keyword of a text or profile, inflated where it is compressed."""
    if kind == b"tEXt":
        return rest
    if kind == b"iTXt":
        text = rest[2:].split(b"\0", 2)[-1]
        if rest[:1] in (b"", b"\0"):
            return text
        rest = b"\0" + text
    left = _LIMITS["text"].most - walk.counts["text"]
    try:
        text = zlib.decompressobj().decompress(rest[1:], left + 1)
    except zlib.error:
        walk.count("text", min(_DENSEST * len(rest), left // 2))  # decoders may inflate most of it too
        return b""
    walk.count("text", len(text))
    return text


def _decode_hex_profile(text: bytes) -> bytes:
    """Return the EXIF block that a text holds in hexadecimal, after three lines."""
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return b""


def _compute_crc(walk: _Walk, start: int, end: int) -> int:
    walk.file.seek(start)
    crc = 0
    for at in range(start, end, _BLOCK):
        crc = zlib.crc32(walk.read(min(_BLOCK, end - at)), crc)
    return crc


# JPEG

_COMMON_FRAMES = (0xC0, 0xC1, 0xC2)  # that every decoder reads: baseline, extended, progressive
_DQT = 0xDB


def _walk_jpeg(walk: _Walk) -> None:
    for marker, start, end in iterate_jpeg(walk.file):
        walk.count("pieces")
        if marker in STANDALONE:
            continue
        if marker == EOI and walk.counts["scans"]:
            return
        if marker not in SEGMENTS:
            break
        walk.file.seek(start)
        _read_segment(walk, marker, end - start)
        if end > walk.length:
            raise EOFError
    walk.flaw = DAMAGED
    if not walk.counts["scans"]:  # Pillow would go on; after the first scan libjpeg stops as well
        walk.width = walk.height = 0


def _read_segment(walk: _Walk, marker: int, length: int) -> None:
    if marker in FRAMES:
        if walk.counts["headers"]:
            walk.flaw = DAMAGED
        walk.count("headers")
        walk.height, walk.width = struct.unpack(">xHH", walk.read(5))
        walk.late = marker not in _COMMON_FRAMES
    elif marker == SOS:
        walk.count("scans")
    elif marker == _DQT:
        walk.count("tables", length)
    elif marker in (0xE1, 0xE2, 0xED) and length > 4:
        head = walk.read(min(length, 14))
        walk.file.seek(-len(head), 1)
        if head.startswith(b"Exif\0\0"):
            walk.count("metadata", length)
            walk.exif += walk.read(length)[6 if walk.exif else 0 :]
        elif head.startswith(b"MPF\0"):
            walk.read(4)
            walk.read_directory(length - 4)
        elif head == b"Photoshop 3.0\0":
            walk.count("metadata", length)


# WebP

_WEBP_HEADERS = {b"VP8X": 10, b"VP8L": 5, b"VP8 ": 10}  # bytes up to the size of the image


def _walk_webp(walk: _Walk) -> None:
    walk.file.seek(4)
    whole = 8 + int.from_bytes(walk.read(4), "little")
    for kind, start, end in iterate_webp(walk.file, min(whole, walk.length)):
        walk.count("pieces")
        if start == 20:
            walk.width, walk.height = _read_webp_size(kind, walk.read(_WEBP_HEADERS.get(kind, 0)))
            walk.file.seek(start)
        if kind == b"EXIF" and end <= walk.length:
            walk.read_directory(end - start)
    if whole > walk.length:
        walk.flaw = CUT


def _read_webp_size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


_WALKERS: Mapping[str, Callable[[_Walk], None]] = MappingProxyType(
    {"image/png": _walk_png, "image/jpeg": _walk_jpeg, "image/webp": _walk_webp}
)

# EXIF and MPF

_UNITS = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8)  # bytes of a value of each TIFF type
_EXIF_MARKS = re.compile(rb"(?:Exif\0\0)*")
_MOST_EXIF_MARKS = 60  # bytes; a mark has 6, and broken writers repeat it


def _measure_values(block: bytes) -> int:
    """Return how many bytes the values in the first directory of an EXIF or MPF block take, copied out."""
    marks = _EXIF_MARKS.match(block)
    assert marks
    if marks.end() > _MOST_EXIF_MARKS:  # Pillow strips each mark separately, in quadratic time
        return _LIMITS["metadata values"].most + 1
    block = block[marks.end() :]
    order = "<" if block.startswith(b"II") else ">"
    if block[2:4] in (b"\x2b\0", b"\0\x2b"):  # BigTIFF, which no camera writes
        return _LIMITS["metadata values"].most + 1
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
