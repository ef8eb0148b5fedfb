"""Overwrite API keys in a file that a server sent, without a decoder and without changing its length.

In a PNG, JPEG or WebP file everything but the pixels is searched: texts, EXIF, profiles, what follows the
end. A key becomes as many `*`, and the checksum of a PNG chunk is computed anew. Any other file is
searched whole.

Sources: PNG specification (third edition) 11.3; CIPA DC-008 (EXIF) for comments in UTF-16.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from ipyimagegen.core.formats import sniff
from ipyimagegen.core.redact import Redactor
from ipyimagegen.imaging.pieces import EOI, FRAMES, SOS, iterate_jpeg, iterate_png, iterate_webp

_MOST_FOR_PARTS = 4 << 20  # bytes of a file that are searched for parts of keys; the rest for whole keys
_MOST_INFLATED = 16 << 20  # bytes of all compressed texts; an image with more is not decoded either
_MOST_PIECES = 65_536  # an image with more is not decoded, and its rest is searched as a single piece
_BLOCK = 1 << 20
_OVERLAP = 512

_Span = tuple[int, int]
_Piece = tuple[bytes, _Span, int]  # type of a PNG chunk or b"", what is searched, where the piece ends


def mask_keys(path: Path, redactor: Redactor) -> bool:
    """Overwrite keys in the file at `path`, in place; return whether there were any. Raises OSError."""
    if not redactor.knows_keys:
        return False
    with path.open("r+b") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        mime = sniff(file.read(16))
        pieces = _FINDERS[mime](file, length) if mime else iter(())
        return _KeyMasker(file, length, redactor).mask(pieces)


class _KeyMasker:
    """Masks keys in an open file. Each method that masks returns whether there were any."""

    def __init__(self, file: BinaryIO, length: int, redactor: Redactor) -> None:
        self._file, self._length = file, length
        self._redactor = redactor
        self._inflated = 0  # bytes of compressed texts so far

    def mask(self, pieces: Iterator[_Piece]) -> bool:
        """Mask the pieces and what follows them."""
        masked, end = False, 0
        try:
            for kind, span, end in islice(pieces, _MOST_PIECES):  # noqa: B007 - the rest begins at `end`
                masked |= self._mask_piece(kind, span)
        except EOFError:  # cut inside a header
            pass
        return self._mask_blocks((end, self._length)) or masked

    def _mask_piece(self, kind: bytes, span: _Span) -> bool:
        start, end = span
        masked = self._mask_blocks(span)
        if kind in _TEXT_OFFSETS:
            masked |= self._mask_compressed(kind, span)
        if masked and kind:
            self._file.seek(start - 4)
            self._write(end, zlib.crc32(self._file.read(end - start + 4)).to_bytes(4, "big"))
        return masked

    def _mask_blocks(self, span: _Span) -> bool:
        """Mask keys between two offsets, in overlapping blocks."""
        masked, (start, end) = False, span
        for at in range(start, min(end, self._length), _BLOCK):
            self._file.seek(at)
            before = self._file.read(min(at + _BLOCK + _OVERLAP, end) - at)
            after = self._mask_bytes(before, parts=at + len(before) <= _MOST_FOR_PARTS)
            if after != before:
                self._write(at, after)
                masked = True
        return masked

    def _mask_compressed(self, kind: bytes, span: _Span) -> bool:
        """Overwrite the whole compressed text of a chunk if it holds a key."""
        start, end = span
        self._file.seek(start)
        body = self._file.read(end - start)
        begin = _TEXT_OFFSETS[kind](body)
        text = _inflate(body[begin:], _MOST_INFLATED - self._inflated)
        self._inflated += len(text)
        if self._mask_bytes(text, parts=self._inflated <= _MOST_FOR_PARTS) == text:
            return False
        self._write(start + begin, b"*" * (len(body) - begin))
        return True

    def _mask_bytes(self, data: bytes, *, parts: bool) -> bytes:
        """Return bytes with `*` in place of keys, also of keys in UTF-16, as EXIF comments are."""
        data = self._redactor.mask(data, parts=parts)
        if b"\0" not in data:
            return data
        dense = data.replace(b"\0", b"")
        masked = self._redactor.mask(dense, parts=parts)
        if masked == dense:
            return data
        result = bytearray(data)
        for at, byte in zip((at for at, byte in enumerate(data) if byte), masked, strict=True):
            result[at] = byte
        return bytes(result)

    def _write(self, at: int, data: bytes) -> None:
        self._file.seek(at)
        self._file.write(data)


# What is searched in each format

_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT")
_JPEG_PIXELS = {*FRAMES, SOS, 0xDB, 0xDD}
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"ANIM")


def _find_in_png(file: BinaryIO, length: int) -> Iterator[_Piece]:
    for kind, start, end in iterate_png(file):
        if end + 4 > length:
            return
        yield kind, (start, start) if kind in _PNG_PIXELS else (start, end), end + 4


def _find_in_jpeg(file: BinaryIO, _length: int) -> Iterator[_Piece]:
    for marker, start, end in iterate_jpeg(file):
        yield b"", (start, start) if marker in _JPEG_PIXELS else (start, end), end
        if marker == EOI:
            return


def _find_in_webp(file: BinaryIO, length: int) -> Iterator[_Piece]:
    for kind, start, end in iterate_webp(file, length):
        yield b"", (start, start) if kind in _WEBP_PIXELS else (start - 8, end), end


_FINDERS: Mapping[str, Callable[[BinaryIO, int], Iterator[_Piece]]] = MappingProxyType(
    {"image/png": _find_in_png, "image/jpeg": _find_in_jpeg, "image/webp": _find_in_webp}
)

# Compressed texts of a PNG


def _skip_method(chunk: bytes) -> int:
    """Return the offset of the compressed text, after keyword, separator and method."""
    return chunk.find(b"\0") + 2


def _skip_languages(chunk: bytes) -> int:
    """Return the offset of the text, after keyword, flag, method, language and translated keyword."""
    language = chunk.find(b"\0") + 3
    return chunk.find(b"\0", chunk.find(b"\0", language) + 1) + 1


_TEXT_OFFSETS = {b"zTXt": _skip_method, b"iCCP": _skip_method, b"iTXt": _skip_languages}


def _inflate(stream: bytes, limit: int) -> bytes:
    """Return at most `limit` bytes of a compressed text; nothing where it is not compressed."""
    try:
        return zlib.decompressobj().decompress(stream, limit) if limit > 0 else b""
    except zlib.error:
        return b""
