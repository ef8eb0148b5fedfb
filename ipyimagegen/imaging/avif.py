"""Read the structure of an AVIF file: the size of what is shown, and what decoding it takes.

What a box claims is not what a decoder decodes: a small image may be coded as a large one, or as thousands of
frames of which the last is shown. So the coded frames of every image are counted, with the size in their own
header.

Sources: ISO/IEC 14496-12 (boxes, tracks), ISO/IEC 23008-12 (items), the AV1 specification 5.3 to 5.9 (coded
frames), the AVIF specification.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from ipyimagegen.imaging.scan import Walk

_FOLDERS = (b"trak", b"mdia", b"minf", b"stbl")  # boxes that hold each other
_FULL = 4  # bytes of version and flags, with which many boxes begin
_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6  # types of what an AV1 image consists of
_SEQUENCE_HEADER = 64  # bytes: the size is known after fewer
_LARGEST = 40_000_000  # pixels of a frame


@dataclass
class _Items:
    """The images and other parts of a file, by number."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # start and end in the file
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)  # by number of the property
    properties: dict[int, list[int]] = field(default_factory=dict)


@dataclass
class _Track:
    """A track of an animation: its size, its number of frames, and where the first frame is."""

    width: int = 0
    height: int = 0
    frames: int = 0
    start: int = 0
    length: int = 0


def _iterate_boxes(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the body of each box between two offsets.

    The last may end beyond `stop`; what is no box ends the list. Raises struct.error where the file ends
    inside the head of a box.
    """
    while start + 8 <= stop:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        body = start + 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            body += 8
        end = start + size if size else stop
        if end < body:
            return
        yield kind, body, end
        start = end


def walk_avif(walk: Walk) -> None:
    """Read the boxes, and count the coded frames of every image and of the first frame of each track."""
    file, sequence = walk.file, False
    items, tracks = _Items(), list[_Track]()
    for kind, start, end in _iterate_boxes(file, 0, walk.length):
        walk.count("pieces")
        if end > walk.length and kind in (b"meta", b"moov", b"mdat"):
            walk.cut()
        if kind == b"ftyp":
            file.seek(start)
            sequence = file.read(4) == b"avis"
        elif kind == b"meta":
            _read_items(walk, items, start + _FULL, end)
        elif kind == b"moov":
            _read_tracks(walk, tracks, start, end)
    shown = items.properties.get(items.primary, [])
    walk.width, walk.height = next((items.sizes[n] for n in shown if n in items.sizes), (0, 0))
    if sequence and tracks:
        walk.width, walk.height = tracks[0].width, tracks[0].height
        walk.frames = tracks[0].frames
    for number, kind in items.kinds.items():
        _read_item(walk, kind, items.extents.get(number, []))
    for track in tracks:
        _count_frames(walk, [(track.start, track.start + track.length)])


class _Fields:
    """The numbers in the body of a box, one after another."""

    def __init__(self, walk: Walk, start: int, end: int) -> None:
        walk.count("metadata", end - start)
        walk.file.seek(start)
        self._data = walk.file.read(end - start)
        self._at = 0
        self.version, self.flags = self.take(1), self.take(3)

    def take(self, size: int) -> int:
        """Return the next number, of so many bytes. Raises EOFError."""
        self._at += size
        if self._at > len(self._data):
            raise EOFError
        return int.from_bytes(self._data[self._at - size : self._at], "big")


# Items


def _read_items(walk: Walk, items: _Items, start: int, stop: int) -> None:
    stored = 0  # where the data are that stand in the box itself
    locations: _Fields | None = None
    for kind, body, end in _iterate_boxes(walk.file, start, stop):
        walk.count("pieces")
        match kind:
            case b"pitm":
                fields = _Fields(walk, body, end)
                items.primary = fields.take(4 if fields.version else 2)
            case b"iinf":
                count = 4 if _Fields(walk, body, body + _FULL).version else 2
                _read_kinds(walk, items, body + _FULL + count, end)
            case b"iprp":
                _read_properties(walk, items, body, end)
            case b"iloc":
                locations = _Fields(walk, body, end)
            case b"idat":
                stored = body
    if locations:
        _read_locations(walk, items, locations, stored)


def _read_kinds(walk: Walk, items: _Items, start: int, stop: int) -> None:
    for kind, body, end in _iterate_boxes(walk.file, start, stop):
        walk.count("items")
        if kind == b"infe":
            fields = _Fields(walk, body, end)
            number = fields.take(4 if fields.version > 2 else 2)
            fields.take(2)
            items.kinds[number] = fields.take(4).to_bytes(4, "big")


def _read_properties(walk: Walk, items: _Items, start: int, stop: int) -> None:
    for kind, body, end in _iterate_boxes(walk.file, start, stop):
        walk.count("pieces")
        if kind == b"ipco":
            for number, (sort, first, last) in enumerate(_iterate_boxes(walk.file, body, end), 1):
                walk.count("pieces")
                if sort == b"ispe":
                    fields = _Fields(walk, first, last)
                    items.sizes[number] = fields.take(4), fields.take(4)
        elif kind == b"ipma":
            fields = _Fields(walk, body, end)
            wide = fields.flags & 1
            for _entry in range(fields.take(4)):
                walk.count("pieces")
                item = fields.take(4 if fields.version else 2)
                numbers = [fields.take(2 if wide else 1) for _property in range(fields.take(1))]
                items.properties[item] = [number & (0x7FFF if wide else 0x7F) for number in numbers]


def _read_locations(walk: Walk, items: _Items, fields: _Fields, stored: int) -> None:
    lengths, more = fields.take(1), fields.take(1)
    indexed = more & 15 if fields.version else 0
    for _item in range(fields.take(4 if fields.version > 1 else 2)):
        walk.count("items")
        number = fields.take(4 if fields.version > 1 else 2)
        method = fields.take(2) & 15 if fields.version else 0
        fields.take(2)
        base = fields.take(more >> 4) + (stored if method == 1 else 0)
        extents = items.extents.setdefault(number, [])
        for _extent in range(fields.take(2)):
            walk.count("pieces")
            fields.take(indexed)
            start = base + fields.take(lengths >> 4)
            extents.append((start, start + fields.take(lengths & 15)))


def _read_item(walk: Walk, kind: bytes, extents: list[tuple[int, int]]) -> None:
    if any(end > walk.length for _start, end in extents):
        walk.cut()
    if kind == b"av01":
        _count_frames(walk, extents)
    elif kind == b"Exif":
        walk.count("parts", len(extents) - 1)
        for start, end in extents:
            walk.file.seek(start + 4)  # behind the offset of the block
            walk.read_directory(max(min(end, walk.length) - start - 4, 0))
    elif kind == b"mime":
        walk.count("text", sum(end - start for start, end in extents))


# Tracks


def _read_tracks(walk: Walk, tracks: list[_Track], start: int, stop: int, depth: int = 0) -> None:
    for kind, body, end in _iterate_boxes(walk.file, start, stop):
        walk.count("pieces")
        if kind == b"trak":
            tracks.append(_Track())
        if kind in _FOLDERS[depth : depth + 1]:
            _read_tracks(walk, tracks, body, end, depth + 1)
        if not tracks:
            continue
        track = tracks[-1]
        match kind:
            case b"tkhd":
                walk.file.seek(end - 8)
                track.width, track.height = (size >> 16 for size in struct.unpack(">II", walk.file.read(8)))
            case b"stsz":
                fields = _Fields(walk, body, end)
                track.length, track.frames = fields.take(4), fields.take(4)
                track.length = track.length or fields.take(4)
            case b"stco" | b"co64":
                fields = _Fields(walk, body, end)
                fields.take(4)
                track.start = fields.take(4 if kind == b"stco" else 8)


# Coded frames


def _count_frames(walk: Walk, extents: list[tuple[int, int]]) -> None:
    """Count the pixels of all frames of an image, shown or not. Raises EOFError."""
    pixels, file = 0, walk.file
    for start, end in extents:
        at = start
        while at < min(end, walk.length):
            walk.count("pieces")
            file.seek(at)
            (head,) = file.read(1)
            if head & 4:  # a byte for layers
                file.seek(1, os.SEEK_CUR)
            size = _read_size(file) if head & 2 else end - file.tell()
            at = file.tell() + size
            kind = head >> 3 & 15
            if kind == _SEQUENCE:
                pixels = _measure_sequence(file.read(_SEQUENCE_HEADER))
            elif kind in (_FRAME_HEADER, _FRAME):
                walk.count("coded pixels", pixels)
                walk.count("large frames", int(pixels > _LARGEST))
        # A piece that goes on in the next extent could hide what follows it.
        walk.count("parts", int(at != end and len(extents) > 1))


def _read_size(file: BinaryIO) -> int:
    """Return a number whose bytes have seven bits each, the lowest first. Raises EOFError."""
    size = 0
    for place in range(8):
        byte = file.read(1)
        if not byte:
            raise EOFError
        size |= (byte[0] & 127) << 7 * place
        if byte[0] < 128:
            break
    return size


class _Bits:
    """The bits of a header, one after another; zeros follow its end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big") << 512, 8 * len(data) + 512

    def take(self, count: int) -> int:
        self._left -= count
        return self._value >> max(self._left, 0) & (1 << count) - 1


def _measure_sequence(data: bytes) -> int:
    """Return the pixels that a frame has at most by its sequence header."""
    bits = _Bits(data)
    bits.take(4)  # profile, still picture
    reduced = bits.take(1)
    if reduced:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(across) + 1, bits.take(down) + 1
    # Where the header is not reduced, a frame may name any size that its field can hold.
    return width * height if reduced else 1 << across + down


def _skip_operating_points(bits: _Bits) -> None:
    delays = models = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):  # equal intervals, a number in a code without fixed length
            zeros = 0
            while zeros < 32 and not bits.take(1):
                zeros += 1
            bits.take(zeros)
        models = bits.take(1)
        if models:
            delays = bits.take(5) + 1
            bits.take(42)
    initial = bits.take(1)
    for _point in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if models and bits.take(1):
            bits.take(2 * delays + 1)
        if initial and bits.take(1):
            bits.take(4)
