"""Prove that a PNG, JPEG or WebP file is whole from its structure alone, without decoding a pixel."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

_EOI = b"\xff\xd9"
_BASELINE = (0xC0, 0xC1, 0xC2)  # the frames that every decoder reads: baseline, extended, progressive
# Keywords of texts in a PNG that may hold an orientation.
_TURNS = (b"XML:com.adobe.xmp", b"Raw profile type ")
CUT = "is cut short: its end is missing. Fetch or save it again."
DAMAGED = "is damaged. Fetch or save it again."


@dataclass(frozen=True)
class Structure:
    """What the structure of a file says: its size in pixels, and what is wrong with it.

    `flaw` is empty for a whole file. `late` says that facts (EXIF) may stand behind the pixels or
    that the coding is a rare one, so that only decoding tells.
    """

    width: int = 0
    height: int = 0
    flaw: str = ""
    late: bool = False


def structure(data: bytes, kind: str) -> Structure:
    """Return the structure of a file of that kind: PNG, JPEG or WEBP."""
    try:
        return _READERS[kind](data)
    except (struct.error, IndexError):  # ends in the middle of a field
        return Structure(flaw=CUT)


def _png(data: bytes) -> Structure:
    view, at, first, late, pixels = memoryview(data), 8, True, False, False
    width = height = 0
    while True:
        length, kind = struct.unpack_from(">I4s", view, at)
        end = at + 12 + length
        if end > len(data):
            return Structure(width, height, CUT)
        (crc,) = struct.unpack_from(">I", view, end - 4)
        # A bit of the first letter tells what a decoder cannot do without.
        if not kind[0] & 0x20 and zlib.crc32(view[at + 4 : end - 4]) != crc:
            return Structure(width, height, DAMAGED)
        if first is not (kind == b"IHDR"):
            return Structure(width, height, DAMAGED)
        if first:
            width, height = struct.unpack_from(">II", view, at + 8)
            first = False
        elif kind == b"IDAT":
            pixels = True
        elif kind == b"IEND":
            return Structure(width, height, "" if pixels else DAMAGED, late)
        elif pixels and (kind == b"eXIf" or data[at + 8 : at + 40].startswith(_TURNS)):
            late = True
        at = end


def _jpeg(data: bytes) -> Structure:
    at, width, height, late = 2, 0, 0, False
    while True:
        if data[at] != 0xFF:
            return Structure(width, height, DAMAGED)
        marker = data[at + 1]
        at += 1 if marker == 0xFF else 2  # a fill byte
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD8:  # these stand alone
            continue
        if marker == 0xD9:
            return Structure(width, height, DAMAGED)
        (length,) = struct.unpack_from(">H", data, at)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack_from(">HH", data, at + 3)
            late = marker not in _BASELINE
        if marker == 0xDA:  # the pixels: FF D9 cannot occur within them
            whole = data.rfind(_EOI, at + length) >= 0
            return Structure(width, height, "" if whole else CUT, late)
        at += max(length, 2)


def _webp(data: bytes) -> Structure:
    riff, kind, _ = struct.unpack_from("<4xI4x4s14s", data)  # as far as any of the three has its size
    width = height = 0
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (one & 0x3FFF for one in struct.unpack_from("<HH", data, 26))
    return Structure(width, height, CUT if len(data) < riff + 8 else "")


_READERS = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp}
