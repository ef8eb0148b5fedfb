"""Overwrite keys in a file that a server sent, without a decoder and without changing its length.

In a PNG, JPEG or WebP file only what is not pixels is searched: texts, EXIF, profiles, what stands behind
the end. There a key becomes as many `*`, and the checksum of a PNG chunk is computed anew; pixels stay as
they came. Any other file is searched whole.

Sources: PNG specification (third edition) 5 and 11.3; ITU-T T.81 annex B; the WebP container specification.
"""

from __future__ import annotations

import mmap
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from ipyimagegen.imaging.headers import sniff
from ipyimagegen.redact import Redactor

SEARCHED = 4 << 20  # bytes of one file that are searched for parts of keys; behind them for whole ones
UNPACKED = 16 << 20  # bytes of all compressed texts; an image with more is not decoded either
PIECES = 65_536  # chunks or segments; an image with more is not decoded, and its rest is searched as one
BLOCK = 1 << 20
_OVERLAP = 512

Span = tuple[int, int]
Data = mmap.mmap | bytearray


def mask_keys(path: Path, redactor: Redactor) -> bool:
    """Overwrite keys in the file at `path`, in place; return whether there were any. Raises OSError."""
    if not redactor.knows_keys or not path.stat().st_size:
        return False
    with path.open("r+b") as file:
        try:
            data: Data = mmap.mmap(file.fileno(), 0)
        except OSError:  # some network and FUSE file systems map no files
            data = bytearray(file.read())
        found = _mask_all(data, redactor)
        if found and isinstance(data, bytearray):
            file.seek(0)
            file.write(data)
        if isinstance(data, mmap.mmap):
            data.close()
        return found


def _mask_all(data: Data, redactor: Redactor) -> bool:
    mime = sniff(bytes(data[:16]))
    if mime == "image/png":
        return _mask_png(data, redactor)
    spans = _FINDERS[mime](data) if mime in _FINDERS else _blocks(0, len(data))
    return _mask(data, spans, redactor)


def _mask(data: Data, spans: Iterable[Span], redactor: Redactor) -> bool:
    """Overwrite keys between these offsets; return whether there were any."""
    found = False
    for start, stop in spans:
        before = bytes(data[start:stop])
        after = _masked(before, redactor, parts=stop <= SEARCHED)
        if after != before:
            data[start:stop] = after
            found = True
    return found


def _masked(data: bytes, redactor: Redactor, *, parts: bool) -> bytes:
    """Return bytes with `*` in place of keys, also of keys in UTF-16, as EXIF has its comments."""
    data = redactor.mask(data, parts=parts)
    if b"\0" not in data:
        return data
    dense = data.replace(b"\0", b"")
    masked = redactor.mask(dense, parts=parts)
    if masked == dense:
        return data
    places = (at for at, byte in enumerate(data) if byte)
    result = bytearray(data)
    for at, byte in zip(places, masked, strict=True):
        result[at] = byte
    return bytes(result)


def _blocks(start: int, stop: int) -> Iterator[Span]:
    """Yield overlapping blocks, so that a key on a border is whole in one of them."""
    for at in range(start, stop, BLOCK):
        yield at, min(at + BLOCK + _OVERLAP, stop)


# PNG

_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT")


def _mask_png(data: Data, redactor: Redactor) -> bool:
    found, at, unpacked = False, 8, 0
    for _ in range(PIECES):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if kind not in _PIXELS:
            start, stop = at + 8, end - 4
            masked = _mask(data, _blocks(start, stop), redactor)
            if kind in _PACKED:
                start += _PACKED[kind](bytes(data[start:stop]))
                text = _unpacked(bytes(data[start:stop]), UNPACKED - unpacked)
                unpacked += len(text)
                if _masked(text, redactor, parts=unpacked <= SEARCHED) != text:
                    data[start:stop] = b"*" * (stop - start)
                    masked = True
            if masked:
                struct.pack_into(">I", data, stop, zlib.crc32(data[at + 4 : stop]))
                found = True
        at = end
        if kind == b"IEND":
            break
    return _mask(data, _blocks(at, len(data)), redactor) or found


def _behind_method(chunk: bytes) -> int:
    """Return where the compressed text begins: behind the keyword, its end and the method."""
    return chunk.find(b"\0") + 2


def _behind_languages(chunk: bytes) -> int:
    """Return where the text begins: behind the keyword, flag, method, language and translated keyword."""
    language = chunk.find(b"\0") + 3
    return chunk.find(b"\0", chunk.find(b"\0", language) + 1) + 1


_PACKED = {b"zTXt": _behind_method, b"iCCP": _behind_method, b"iTXt": _behind_languages}


def _unpacked(stream: bytes, most: int) -> bytes:
    """Return a compressed text, at most so many bytes of it; nothing where it is not compressed."""
    try:
        return zlib.decompressobj().decompress(stream, most) if most > 0 else b""
    except zlib.error:
        return b""


# JPEG and WebP

_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")  # not inside of coded pixels
_SOS, _EOI, _FRAMES = 0xDA, 0xD9, (*range(0xC0, 0xD0), 0xDB, 0xDD)


def _jpeg_spans(data: Data) -> Iterator[Span]:
    at = 2
    for _ in range(PIECES):
        match = _MARKER.search(data, at)
        if match is None or match.end() + 2 > len(data):
            return
        marker = match[0][-1]
        if marker == _EOI:
            at = match.end()
            break
        (length,) = struct.unpack_from(">H", data, match.end())
        end = min(match.end() + max(length, 2), len(data))
        if marker not in (*_FRAMES, _SOS):
            yield match.end() + 2, end
        at = end
    yield from _blocks(at, len(data))


_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"ANIM")


def _webp_spans(data: Data) -> Iterator[Span]:
    at = 12
    for _ in range(PIECES):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        end = min(at + 8 + length, len(data))
        if kind not in _WEBP_PIXELS:
            yield from _blocks(at, end)  # with its name: behind the end it may be anything
        at = end + (length & 1)
    yield from _blocks(at, len(data))


_FINDERS: Mapping[str | None, Callable[[Data], Iterator[Span]]] = MappingProxyType(
    {"image/jpeg": _jpeg_spans, "image/webp": _webp_spans}
)
