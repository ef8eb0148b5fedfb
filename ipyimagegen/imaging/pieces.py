"""Find the chunks of PNG and WebP files and the segments of JPEG files, as far as decoders do.

Nothing but headers is read. Each generator yields what a piece is and the offsets of its body; it raises
EOFError where the file ends in the middle of a header. The body may reach beyond the end of the file.

Sources: PNG specification (third edition) 5; ITU-T T.81 annex B; the WebP container specification.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

_BLOCK = 64 * 1024  # bytes read at once
SOS, EOI = 0xDA, 0xD9  # the start of coded pixels, and the end of the image
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # segments that hold the size
SEGMENTS = {*FRAMES, 0xC4, 0xCC, *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE}
ALONE = (0x01, *range(0xD0, 0xD8), 0xFF)  # markers without a segment; 0xFF is a fill byte
# What ends a run of coded pixels, for libjpeg as well: any marker but stuffing, restarts and fill bytes.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def png_pieces(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk up to IEND; a checksum of four bytes follows each."""
    at, kind = 8, b""
    while kind != b"IEND":
        file.seek(at)
        length, kind = struct.unpack(">I4s", _read(file, 8))
        yield kind, at + 8, at + 8 + length
        at += 12 + length


def jpeg_pieces(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment, up to one that is none of `SEGMENTS` or `ALONE`.

    Such a marker, as `EOI` is one, comes last; markers without a segment have an empty body. Coded pixels
    are passed over.
    """
    at, scanned = 2, False
    while True:
        at = _find_marker(file, at) if scanned else at
        file.seek(at)
        lead, marker = _read(file, 2)
        if lead != 0xFF:
            return
        at += 1 if marker == 0xFF else 2
        if marker in ALONE:
            yield marker, at, at
            continue
        if marker not in SEGMENTS:
            yield marker, at, at
            return
        (length,) = struct.unpack(">H", _read(file, 2))
        end = at + max(length, 2)
        yield marker, at + 2, end
        at, scanned = end, scanned or marker == SOS


def webp_pieces(file: BinaryIO, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk that begins before `stop`."""
    at = 12
    while at + 8 <= stop:
        file.seek(at)
        kind, length = struct.unpack("<4sI", _read(file, 8))
        yield kind, at + 8, at + 8 + length
        at += 8 + length + (length & 1)


def _read(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _find_marker(file: BinaryIO, at: int) -> int:
    """Return where the next marker stands at or behind `at`. Raises EOFError."""
    size = 512  # most gaps are short when there are many
    while True:
        file.seek(at)
        block = file.read(size)
        found = _MARKER.search(block)
        if found:
            return at + found.start()
        if len(block) < size:
            raise EOFError
        at += size - 1  # the last byte may begin a marker
        size = min(2 * size, _BLOCK)
