"""What the bytes of a file say before anything is decoded: format, size, and whether it is whole."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

MEGAPIXELS = 40  # more than this is kept, and never decoded
SUFFIX: Mapping[str, str] = MappingProxyType(
    {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}
)

_PNG = b"\x89PNG\r\n\x1a\n"
_IEND = b"IEND\xaeB`\x82"
_EOI = b"\xff\xd9"
_TAIL = 64 * 1024  # bytes in which the end mark is looked for: some writers append to a picture
_SEGMENTS = 2000  # a JPEG with more segments before its size is no picture


@dataclass(frozen=True)
class Header:
    """Format, size in pixels, and whether the end of the file is there."""

    mime: str
    width: int
    height: int
    whole: bool


def sniff(head: bytes) -> str | None:
    """Return the MIME type that the first bytes (16 are enough) prove, or None."""
    if head.startswith(_PNG):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def suffix_of(head: bytes) -> str | None:
    """Return the file name suffix that the first bytes prove, such as `.png`, or None."""
    return SUFFIX.get(sniff(head) or "")


def read_header(path: Path) -> Header | None:
    """Return the header of a PNG, JPEG or WebP file, or None when it is none or makes no sense."""
    with path.open("rb") as file:
        mime = sniff(file.read(16))
        if mime is None:
            return None
        length = os.fstat(file.fileno()).st_size
        try:
            size, whole = _READERS[mime](file, length)
        except struct.error:  # ends in the middle of its header
            return None
    return Header(mime, *size, whole) if all(size) else None


def _png(file: BinaryIO, length: int) -> tuple[tuple[int, int], bool]:
    file.seek(12)
    kind, width, height = struct.unpack(">4sII", file.read(12))
    return (width, height) if kind == b"IHDR" else (0, 0), _IEND in _tail(file, length)


def _jpeg(file: BinaryIO, length: int) -> tuple[tuple[int, int], bool]:
    file.seek(2)
    for _ in range(_SEGMENTS):
        lead, marker = struct.unpack(">BB", file.read(2))
        if lead != 0xFF:
            break
        if marker == 0xFF:  # a fill byte
            file.seek(-1, os.SEEK_CUR)
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # these stand alone
            continue
        (size,) = struct.unpack(">H", file.read(2))
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack(">xHH", file.read(5))
            return (width, height), _EOI in _tail(file, length)
        file.seek(max(size - 2, 0), os.SEEK_CUR)
    return (0, 0), False


def _webp(file: BinaryIO, length: int) -> tuple[tuple[int, int], bool]:
    file.seek(4)
    (riff,) = struct.unpack("<I", file.read(4))
    file.seek(12)
    kind, body = struct.unpack("<4s4x10s", file.read(18))
    width = height = 0
    if kind == b"VP8X":
        width, height = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    elif kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (one & 0x3FFF for one in struct.unpack("<HH", body[6:10]))
    return (width, height), length >= riff + 8


def _tail(file: BinaryIO, length: int) -> bytes:
    file.seek(max(length - _TAIL, 0))
    return file.read()


_READERS = {"image/png": _png, "image/jpeg": _jpeg, "image/webp": _webp}
