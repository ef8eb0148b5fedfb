"""Find the chunks of PNG and WebP files and the segments of JPEG files, as decoders do.

Only headers are read. Each generator yields the type of a piece and the offsets of its body, which may
reach beyond the end of the file. It raises EOFError where the file ends inside a header.

Sources: PNG specification (third edition) 5; ITU-T T.81 annex B; the WebP container specification.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

SOS, EOI = 0xDA, 0xD9  # the start of coded pixels, and the end of the image
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # segments that hold the size
SEGMENTS = {*FRAMES, 0xC4, 0xCC, *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE}
STANDALONE = (0x01, *range(0xD0, 0xD8), 0xFF)  # markers without a segment; 0xFF is a fill byte
# What ends coded pixels, in libjpeg too: any marker but stuffing, restarts and fill bytes.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MOST_SEARCHED = 64 * 1024  # bytes searched for a marker at once


def iterate_png(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk up to IEND; a checksum of four bytes follows each."""
    at, kind = 8, b""
    while kind != b"IEND":
        file.seek(at)
        length, kind = struct.unpack(">I4s", read_exactly(file, 8))
        yield kind, at + 8, at + 8 + length
        at += 12 + length


def iterate_jpeg(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of each segment, without the coded pixels.

    Markers without a segment have an empty body. The first marker that is neither in `SEGMENTS` nor in
    `STANDALONE`, such as `EOI`, is the last.
    """
    at, scanned = 2, False
    while True:
        at = _find_marker(file, at) if scanned else at
        file.seek(at)
        lead, marker = read_exactly(file, 2)
        if lead != 0xFF:
            return
        at += 1 if marker == 0xFF else 2
        if marker not in SEGMENTS:
            yield marker, at, at
            if marker in STANDALONE:
                continue
            return
        (length,) = struct.unpack(">H", read_exactly(file, 2))
        end = at + max(length, 2)
        yield marker, at + 2, end
        at, scanned = end, scanned or marker == SOS


def iterate_webp(file: BinaryIO, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk that begins before `stop`."""
    at = 12
    while at + 8 <= stop:
        file.seek(at)
        kind, length = struct.unpack("<4sI", read_exactly(file, 8))
        yield kind, at + 8, at + 8 + length
        at += 8 + length + (length & 1)


def read_exactly(file: BinaryIO, length: int) -> bytes:
    """Return exactly `length` bytes. Raises EOFError."""
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data


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
