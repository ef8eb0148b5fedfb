"""Count what is in the chunks of PNG and WebP files and in the segments of JPEG files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ipyimagegen.imaging.pieces import (
    ALONE,
    EOI,
    FRAMES,
    SEGMENTS,
    SOS,
    jpeg_pieces,
    png_pieces,
    webp_pieces,
)
from ipyimagegen.imaging.scan_limits import LIMITS, Walk, check

CUT = "is cut short: its end is missing. Fetch or save it again."
DAMAGED = "is damaged. Fetch or save it again."

_BLOCK = 64 * 1024  # bytes read at once
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_FIXED = (b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"acTL", b"fcTL")
# Keywords of PNG texts that may hold an orientation.
_TURNS = (b"XML:com.adobe.xmp", b"Raw profile type ")
_PROFILE = (b"exif", b"Raw profile type exif")
_DENSEST = 1032  # bytes that one byte of deflate can stand for


def _walk_png(walk: Walk) -> None:
    pixels = False
    for kind, start, end in png_pieces(walk.file):
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
        _read_chunk(walk, kind, end - start, behind=pixels)
        # A bit of the first letter says that a decoder cannot do without the chunk.
        if not kind[0] & 0x20 and _crc(walk, start - 4, end - start + 4) != int.from_bytes(
            walk.read(4), "big"
        ):
            walk.flaw = DAMAGED
    if not pixels:
        walk.flaw = DAMAGED


def _read_chunk(walk: Walk, kind: bytes, length: int, *, behind: bool) -> None:
    if kind in _FIXED:
        check("palette", length)
    elif kind == b"eXIf":
        walk.late |= behind
        _read_directory(walk, length)
    elif kind in _TEXTS:
        walk.count("text", length)
        body = walk.read(length)
        walk.late |= behind and body.startswith(_TURNS)
        keyword, _, rest = body.partition(b"\0")
        text = _inflated(walk, kind, rest)
        if keyword in _PROFILE:
            walk.count("metadata", len(text) // 2)
            walk.directories.append(_profile(keyword, text))


def _read_directory(walk: Walk, length: int) -> None:
    walk.count("metadata", length)
    walk.directories.append(walk.read(length))


def _inflated(walk: Walk, kind: bytes, rest: bytes) -> bytes:
    """Return what stands behind the keyword of a text or profile, inflated where it is compressed."""
    if kind == b"tEXt":
        return rest
    if kind == b"iTXt":
        text = rest[2:].split(b"\0", 2)[-1]
        if rest[:1] in (b"", b"\0"):
            return text
        rest = b"\0" + text
    left = LIMITS["text"].most - walk.counts["text"]
    try:
        text = zlib.decompressobj().decompress(rest[1:], left + 1)
    except zlib.error:
        walk.count("text", min(_DENSEST * len(rest), left // 2))  # it may have been inflated up to its end
        return b""
    walk.count("text", len(text))
    return text


def _profile(keyword: bytes, text: bytes) -> bytes:
    """Return the EXIF block in a PNG text: as it is, or in hexadecimal behind three lines."""
    if keyword == b"exif":
        return text
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return b""


def _crc(walk: Walk, at: int, length: int) -> int:
    walk.file.seek(at)
    crc = 0
    while length:
        block = walk.read(min(length, _BLOCK))
        crc = zlib.crc32(block, crc)
        length -= len(block)
    return crc


_COMMON = (0xC0, 0xC1, 0xC2)  # the frames that every decoder reads: baseline, extended, progressive
_DQT = 0xDB


def _walk_jpeg(walk: Walk) -> None:
    for marker, start, end in jpeg_pieces(walk.file):
        walk.count("pieces")
        if marker in ALONE:
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
    if not walk.counts["scans"]:  # Pillow would go on; behind the first scan libjpeg stops as well
        walk.width = walk.height = 0


def _read_segment(walk: Walk, marker: int, length: int) -> None:
    if marker in FRAMES:
        if walk.counts["headers"]:
            walk.flaw = DAMAGED
        walk.count("headers")
        walk.height, walk.width = struct.unpack(">xHH", walk.read(5))
        walk.late = marker not in _COMMON
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
            _read_directory(walk, length - 4)
        elif head == b"Photoshop 3.0\0":
            walk.count("metadata", length)


_WEBP_HEADERS = {b"VP8X": 10, b"VP8L": 5, b"VP8 ": 10}  # bytes up to the size of the image


def _walk_webp(walk: Walk) -> None:
    walk.file.seek(4)
    whole = 8 + int.from_bytes(walk.read(4), "little")
    for kind, start, end in webp_pieces(walk.file, min(whole, walk.length)):
        walk.count("pieces")
        if start == 20:
            walk.width, walk.height = _webp_size(kind, walk.read(_WEBP_HEADERS.get(kind, 0)))
            walk.file.seek(start)
        if kind == b"EXIF" and end <= walk.length:
            _read_directory(walk, end - start)
    if whole > walk.length:
        walk.flaw = CUT


def _webp_size(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


WALKERS: Mapping[str, Callable[[Walk], None]] = MappingProxyType(
    {"image/png": _walk_png, "image/jpeg": _walk_jpeg, "image/webp": _walk_webp}
)
