"""Read the structure of an image file before any decoder does: size, wholeness, cost of decoding.

A scan takes time in proportion to the file and bounded memory: it stops at the first limit that is
exceeded. Decoders and Pillow's own parsers receive only files that pass.

Sources: PNG specification (third edition) 5 and 11.3; ITU-T T.81 annex B; the WebP container specification;
the GIF89a specification. For AVIF see `avif.py`.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, NamedTuple

from ipyimagegen.core.formats import HEAD, sniff
from ipyimagegen.core.messages import Message, _
from ipyimagegen.imaging.avif import walk_avif

CUT = _("is cut short: its end is missing")
DAMAGED = _("is damaged")

_MIB = 1 << 20
# Megapixels that are decoded. libwebp holds 16 bytes for each pixel and cannot decode to a smaller size:
# 40 megapixels take 650 MiB, 32 take 520.
_MEGAPIXELS = {"image/png": 40, "image/jpeg": 40, "image/webp": 32, "image/gif": 40, "image/avif": 40}
# Scans of a JPEG times its megapixels. A dense scan takes 1 to 6 ms for each megapixel, so that 800 take
# at most 5 s. Encoders write 10 scans for RGB and 18 for CMYK: both pass at 40 megapixels.
_SCANNED_MEGAPIXELS = 800


class _Limit(NamedTuple):
    """The most of something in a file that is decoded, and the complaint about a file with more."""

    most: int
    complaint: Message


# Each limit with an honest maximum and the cost that it bounds, for files of 64 MiB on a machine with two
# cores. Pillow parses metadata in Python: a few microseconds for each piece, whatever its size.
LIMITS = {
    # PNG and WebP chunks, JPEG segments and fill bytes, images and extensions of a GIF, boxes of an AVIF
    # file and the pieces of its coded images. 64 MiB in the usual IDAT chunks of 8 KiB
    # are 8,192. Pillow takes 4 to 8 us for each: half a second at the limit, 30 s for 5 million.
    "pieces": _Limit(65_536, _("has more than 65,536 chunks or segments")),
    # Encoders write 1 to 18. See also the limit on scans times megapixels.
    "scans": _Limit(64, _("has more than 64 scans")),
    # A second header contradicts the first, or is a trick.
    "headers": _Limit(1, _("has more than one image header")),
    # Data of a GIF come in blocks of at most 255 bytes: 64 MiB take 262,144. Pillow takes 1 us for each.
    "blocks": _Limit(524_288, _("has more than 524,288 blocks of data")),
    # Images and metadata in an AVIF file, each listed twice. A decoder compares each number with all others.
    "items": _Limit(2048, _("has more than 1,024 items")),
    # Parts of an item of an AVIF file that say nothing by themselves, so that only a decoder puts them
    # together.
    "parts": _Limit(0, _("has an item in several parts")),
    # Pixels of all frames that are coded in an AVIF file, shown or not: colour, transparency, a thumbnail. A
    # dense megapixel takes 0.15 s.
    "coded pixels": _Limit(96_000_000, _("has more than 96 megapixels of coded frames")),
    "large frames": _Limit(0, _("may have a coded frame of more than 40 megapixels")),
    # PNG text and ICC profiles, as stored and again inflated. The workflow of a user interface takes
    # a few MiB. Pillow holds each text four times: 64 MiB at the limit.
    "text": _Limit(16 * _MIB, _("has more than 16 MiB of text")),
    # A JPEG segment holds 64 KiB. Pillow joins segments in quadratic time: 32 GiB are copied for 64 MiB.
    "metadata": _Limit(_MIB, _("has more than 1 MiB of metadata")),
    # Values may overlap, so that 64 KiB stand for 350 MiB, which Pillow copies out.
    "metadata values": _Limit(_MIB, _("has metadata that unfolds to more than 1 MiB")),
    # Four tables take 520 bytes. Pillow takes 3 us for each table of 65 bytes: 3 s for 64 MiB.
    "tables": _Limit(64 * 1024, _("has more than 64 KiB of quantization tables")),
    # The palette is the largest PNG chunk of a fixed form, 768 bytes.
    "palette": _Limit(4096, _("has a palette or header field of more than 4 KiB")),
}


@dataclass(frozen=True)
class Scan:
    """The structure of a file that is decoded: PNG, JPEG, WebP, GIF or AVIF.

    `width` and `height` are those of the header in pixels, before a rotation by EXIF, and 0 where it cannot
    be read. `frames` is the number of frames of a whole animation, 0 for a still image. `flaw` is CUT or
    DAMAGED, and empty for a whole file. `refusal` is why the file must not be decoded at any size, such as
    "has more than 64 scans"; empty when it may be. `excess` is why it is not decoded unless the user asks for
    it, by its structure or size. `late` is whether EXIF data may follow the pixels or the coding is rare, so
    that only decoding shows what the file is.
    """

    mime: str
    width: int = 0
    height: int = 0
    flaw: str = ""
    refusal: str = ""
    excess: str = ""
    late: bool = False
    frames: int = 0


def scan_file(file: BinaryIO) -> Scan | None:
    """Return the scan of a file, or None for a format that is not decoded.

    Raises OSError when the file cannot be read; nothing in it raises.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    mime = sniff(file.read(HEAD))
    if mime not in _WALKERS:
        return None
    walk, refusal = Walk(file, length), ""
    try:
        try:
            _WALKERS[mime](walk)
        except (EOFError, struct.error):  # ends inside a field
            walk.cut()
        for block in filter(None, [bytes(walk.exif), *walk.directories]):
            walk.count("metadata values", _measure_values(block))
    except _LimitExceeded as exceeded:
        refusal = LIMITS[exceeded.args[0]].complaint
    width, height = walk.width, walk.height
    if not width or not height:
        refusal = refusal or _("has a header that is damaged or cut short")
    excess, scans, limit = "", walk.counts["scans"], _MEGAPIXELS[mime]
    if width * height > limit * 1_000_000:
        excess = _("{size} px, more than {limit} megapixels", size=f"{width}×{height}", limit=limit)
    elif refusal:
        excess = _("{problem}; it is stored, not decoded", problem=refusal)
    elif width * height * scans > _SCANNED_MEGAPIXELS * 1_000_000:
        excess = _(
            "has {scans} scans of {megapixels} megapixels; it is stored, not decoded",
            scans=scans,
            megapixels=f"{width * height / 1e6:.0f}",
        )
    frames = walk.frames if walk.frames > 1 and not walk.flaw else 0
    return Scan(mime, width, height, walk.flaw, refusal, excess, walk.late, frames)


def scan_bytes(data: bytes) -> Scan | None:
    """Return the scan of a file's bytes; see `scan_file`."""
    return scan_file(BytesIO(data))


class _LimitExceeded(Exception):
    """The file holds more of something than is decoded; the argument is the name of the limit."""


@dataclass
class Walk:
    """A walk through a file: what was read, and how much of each limit is used."""

    file: BinaryIO
    length: int
    width: int = 0
    height: int = 0
    flaw: str = ""
    late: bool = False
    frames: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    exif: bytearray = field(default_factory=bytearray)  # of all segments of a JPEG, which decoders join
    directories: list[bytes] = field(default_factory=list)  # other blocks of EXIF and MPF

    def count(self, limit: str, amount: int = 1) -> None:
        """Add to what is counted. Raises _LimitExceeded."""
        self.counts[limit] += amount
        if self.counts[limit] > LIMITS[limit].most:
            raise _LimitExceeded(limit)

    def cut(self) -> None:
        """Note that the file ends too early."""
        self.flaw = self.flaw or CUT

    def read_directory(self, length: int) -> None:
        """Keep a block of EXIF or MPF, to be measured at the end. Raises EOFError, _LimitExceeded."""
        self.count("metadata", length)
        self.directories.append(_read(self.file, length))


def _read(file: BinaryIO, length: int) -> bytes:
    """Return exactly `length` bytes. Raises EOFError."""
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data


# The generators of this module yield the type of a piece and the offsets of its body, as decoders find them.
# They read headers only. A body may reach beyond the end of the file; EOFError is raised where the file ends
# inside a header.

# PNG

_BLOCK = 64 * 1024  # bytes read at once for a checksum
_FIXED = (b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"acTL", b"fcTL")
_MAY_ORIENT = (b"XML:com.adobe.xmp", b"Raw profile type ")  # keywords of texts
_DENSEST = 1032  # bytes that a byte of deflate can stand for
# What precedes a text: its keyword, and a flag of compression where that is optional.
TEXT_HEADS = {
    b"tEXt": re.compile(rb"([^\0]*)\0()"),
    b"zTXt": re.compile(rb"([^\0]*)\0().", re.DOTALL),
    b"iCCP": re.compile(rb"([^\0]*)\0().", re.DOTALL),
    b"iTXt": re.compile(rb"([^\0]*)\0(.).[^\0]*\0[^\0]*\0", re.DOTALL),
}


def iterate_png(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk up to IEND; a checksum of four bytes follows each."""
    at, kind = 8, b""
    while kind != b"IEND":
        file.seek(at)
        length, kind = struct.unpack(">I4s", _read(file, 8))
        yield kind, at + 8, at + 8 + length
        at += 12 + length


def split_text(kind: bytes, body: bytes) -> tuple[bytes, int, bool]:
    """Return the keyword of a chunk of `TEXT_HEADS`, where its text begins, and whether it is compressed.

    A damaged chunk has no text: it begins at the end.
    """
    head = TEXT_HEADS[kind].match(body)
    if head is None:
        return b"", len(body), False
    return head[1], head.end(), kind in (b"zTXt", b"iCCP") or head[2] > b"\0"


def _walk_png(walk: Walk) -> None:
    pixels, file = False, walk.file
    for kind, start, end in iterate_png(file):
        first = start == 16
        walk.count("pieces")
        if first is not (kind == b"IHDR"):
            walk.flaw = DAMAGED
            if first:
                return
        if kind == b"IHDR":
            walk.count("headers")
            walk.width, walk.height = struct.unpack(">II", _read(file, 8))
        pixels = pixels or kind == b"IDAT"
        if end + 4 > walk.length:
            raise EOFError
        file.seek(start)
        _read_chunk(walk, kind, end - start, late=pixels)
        if not kind[0] & 0x20:  # a critical chunk
            file.seek(start)
            crc = zlib.crc32(kind)
            for at in range(start, end, _BLOCK):
                crc = zlib.crc32(_read(file, min(_BLOCK, end - at)), crc)
            if crc != int.from_bytes(_read(file, 4), "big"):
                walk.flaw = DAMAGED
    if not pixels:
        walk.flaw = DAMAGED


def _read_chunk(walk: Walk, kind: bytes, length: int, *, late: bool) -> None:
    """Count what decoders read besides the pixels, texts as they are inflated, and note EXIF blocks."""
    walk.frames += kind == b"fcTL"
    if kind in _FIXED and length > LIMITS["palette"].most:
        raise _LimitExceeded("palette")
    if kind == b"eXIf":
        walk.late |= late
        walk.read_directory(length)
    if kind not in TEXT_HEADS:
        return
    walk.count("text", length)
    body = _read(walk.file, length)
    walk.late |= late and body.startswith(_MAY_ORIENT)
    keyword, start, compressed = split_text(kind, body)
    text = body[start:]
    if compressed:
        left = LIMITS["text"].most - walk.counts["text"]
        try:
            text = zlib.decompressobj().decompress(text, left + 1)
        except zlib.error:
            walk.count("text", min(_DENSEST * len(text), left // 2))  # decoders may inflate most of it too
            return
        walk.count("text", len(text))
    if keyword in (b"exif", b"Raw profile type exif"):
        walk.count("metadata", len(text) // 2)
        walk.directories.append(text if keyword == b"exif" else _decode_hex_profile(text))


def _decode_hex_profile(text: bytes) -> bytes:
    """Return the EXIF block that a text holds in hexadecimal, after three lines."""
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return b""


# JPEG

SOS, _EOI, _DQT = 0xDA, 0xD9, 0xDB  # the start of coded pixels, the end of the image, a quantization table
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # segments that hold the size
_COMMON_FRAMES = (0xC0, 0xC1, 0xC2)  # that every decoder reads: baseline, extended, progressive
_SEGMENTS = {*FRAMES, 0xC4, 0xCC, *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE}
_STANDALONE = (0x01, *range(0xD0, 0xD8), 0xFF)  # markers without a segment; 0xFF is a fill byte
# What ends coded pixels, in libjpeg too: any marker but stuffing, restarts and fill bytes.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MOST_SEARCHED = 64 * 1024  # bytes searched for a marker at once


def iterate_jpeg(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment, without the coded pixels.

    Markers without a segment have an empty body. The first marker that is not known, or the end of the
    image, is the last.
    """
    at, scanned = 2, False
    while True:
        at = _find_marker(file, at) if scanned else at
        file.seek(at)
        lead, marker = _read(file, 2)
        if lead != 0xFF:
            return
        at += 1 if marker == 0xFF else 2
        if marker not in _SEGMENTS:
            yield marker, at, at
            if marker in _STANDALONE:
                continue
            return
        end = at + max(int.from_bytes(_read(file, 2), "big"), 2)
        yield marker, at + 2, end
        at, scanned = end, scanned or marker == SOS


def _find_marker(file: BinaryIO, at: int) -> int:
    """Return the offset of the next marker at or behind `at`. Raises EOFError."""
    size = 512  # most gaps are short when there are many
    while True:
        file.seek(at)
        block = file.read(size)
        marker = _MARKER.search(block)
        if marker:
            return at + marker.start()
        if len(block) < size:
            raise EOFError
        at += size - 1  # the last byte may begin a marker
        size = min(2 * size, _MOST_SEARCHED)


def _walk_jpeg(walk: Walk) -> None:
    for marker, start, end in iterate_jpeg(walk.file):
        walk.count("pieces")
        if marker in _STANDALONE:
            continue
        if marker == _EOI and walk.counts["scans"]:
            return
        if marker not in _SEGMENTS:
            break
        walk.file.seek(start)
        _read_segment(walk, marker, end - start)
        if end > walk.length:
            raise EOFError
    walk.flaw = DAMAGED
    if not walk.counts["scans"]:  # Pillow would go on; after the first scan libjpeg stops as well
        walk.width = walk.height = 0


def _read_segment(walk: Walk, marker: int, length: int) -> None:
    if marker in FRAMES:
        if walk.counts["headers"]:
            walk.flaw = DAMAGED
        walk.count("headers")
        walk.height, walk.width = struct.unpack(">xHH", _read(walk.file, 5))
        walk.late = marker not in _COMMON_FRAMES
    elif marker == SOS:
        walk.count("scans")
    elif marker == _DQT:
        walk.count("tables", length)
    elif marker in (0xE1, 0xE2, 0xED) and length > 4:
        head = _read(walk.file, min(length, 14))
        walk.file.seek(-len(head), os.SEEK_CUR)
        if head.startswith(b"Exif\0\0"):
            walk.count("metadata", length)
            walk.exif += _read(walk.file, length)[6 if walk.exif else 0 :]
        elif head.startswith(b"MPF\0"):
            walk.file.seek(4, os.SEEK_CUR)
            walk.read_directory(length - 4)
        elif head == b"Photoshop 3.0\0":
            walk.count("metadata", length)


# WebP

_WEBP_HEADERS = {b"VP8X": 10, b"VP8L": 5, b"VP8 ": 10}  # bytes up to the size of the image


def iterate_webp(file: BinaryIO, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk that begins before `stop`."""
    at = 12
    while at + 8 <= stop:
        file.seek(at)
        kind, length = struct.unpack("<4sI", _read(file, 8))
        yield kind, at + 8, at + 8 + length
        at += 8 + length + (length & 1)


def _walk_webp(walk: Walk) -> None:
    walk.file.seek(4)
    whole = 8 + int.from_bytes(_read(walk.file, 4), "little")
    for kind, start, end in iterate_webp(walk.file, min(whole, walk.length)):
        walk.count("pieces")
        if start == 20:
            walk.width, walk.height = _read_webp_size(kind, _read(walk.file, _WEBP_HEADERS.get(kind, 0)))
            walk.file.seek(start)
        walk.frames += kind == b"ANMF"
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


# GIF

_GIF_IMAGE, _GIF_EXTENSION, _GIF_END, _GIF_PADDING = 0x2C, 0x21, 0x3B, 0x00


def _walk_gif(walk: Walk) -> None:
    file = walk.file
    file.seek(6)
    walk.width, walk.height, flags = struct.unpack("<HHBxx", _read(file, 7))
    _skip_palette(file, flags)
    while (mark := _read(file, 1)[0]) != _GIF_END:
        walk.count("pieces")
        if mark == _GIF_EXTENSION:
            _read(file, 1)
            length = _skip_blocks(walk)
            walk.count("text", 0 if walk.frames else length)  # what follows the first image is not read
        elif mark == _GIF_IMAGE:
            left, top, width, height, flags = struct.unpack("<HHHHB", _read(file, 9))
            if not walk.frames:  # an image may be larger than the screen, which then grows
                walk.width, walk.height = max(walk.width, left + width), max(walk.height, top + height)
            _skip_palette(file, flags)
            _read(file, 1)
            _skip_blocks(walk)
            walk.frames += 1
        elif mark != _GIF_PADDING:
            walk.flaw = DAMAGED
            return
    if not walk.frames:
        walk.flaw = DAMAGED


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        _read(file, 6 << (flags & 7))


def _skip_blocks(walk: Walk) -> int:
    """Go behind the blocks that begin here, up to the empty one; return their bytes. Raises EOFError."""
    length = 0
    while size := _read(walk.file, 1)[0]:
        walk.count("blocks")
        walk.file.seek(size, os.SEEK_CUR)
        length += size
    return length


_WALKERS = {
    "image/png": _walk_png,
    "image/jpeg": _walk_jpeg,
    "image/webp": _walk_webp,
    "image/gif": _walk_gif,
    "image/avif": walk_avif,
}
DECODED = tuple(_WALKERS)  # the formats that are decoded, by MIME type

# EXIF and MPF

_UNITS = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8)  # bytes of a value of each TIFF type
_EXIF_MARKS = re.compile(rb"(?:Exif\0\0)*")
_MOST_EXIF_MARKS = 60  # bytes; a mark has 6, and broken writers repeat it


def _measure_values(block: bytes) -> int:
    """Return how many bytes the values in the first directory of an EXIF or MPF block take, copied out."""
    marks = _EXIF_MARKS.match(block)
    assert marks
    if marks.end() > _MOST_EXIF_MARKS:  # Pillow strips each mark separately, in quadratic time
        return LIMITS["metadata values"].most + 1
    block = block[marks.end() :]
    order = "<" if block.startswith(b"II") else ">"
    if block[2:4] in (b"\x2b\0", b"\0\x2b"):  # BigTIFF, which no camera writes
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
