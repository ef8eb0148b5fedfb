"""Overwrite keys in a file that a server sent, without a decoder and without changing its length.

In a PNG, JPEG or WebP file only what is not pixels is searched: texts, EXIF, profiles, what stands behind
the end. There a key becomes as many `*`, and the checksum of a PNG chunk is computed anew; pixels stay as
they came. Any other file is searched whole.

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
from ipyimagegen.imaging.pieces import EOI, FRAMES, SOS, jpeg_pieces, png_pieces, webp_pieces

SEARCHED = 4 << 20  # bytes of one file that are searched for parts of keys; behind them for whole ones
UNPACKED = 16 << 20  # bytes of all compressed texts; an image with more is not decoded either
PIECES = 65_536  # chunks or segments; an image with more is not decoded, and its rest is searched as one
BLOCK = 1 << 20
_OVERLAP = 512

Span = tuple[int, int]


def mask_keys(path: Path, redactor: Redactor) -> bool:
    """Overwrite keys in the file at `path`, in place; return whether there were any. Raises OSError."""
    if not redactor.knows_keys:
        return False
    with path.open("r+b") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        finder = _FINDERS.get(sniff(file.read(16)) or "", _find_nothing)
        return _Masker(file, length, redactor).mask(finder)


class _Masker:
    """Masks keys in one open file."""

    def __init__(self, file: BinaryIO, length: int, redactor: Redactor) -> None:
        self.file, self.length = file, length
        self._redactor = redactor
        self._unpacked = 0  # bytes of compressed texts so far

    def mask(self, find: Callable[[_Masker], Iterator[tuple[bytes, Span, int]]]) -> bool:
        """Mask the pieces that `find` yields and what is behind them; return whether there were keys."""
        found, end = False, 0
        try:
            for kind, span, end in islice(find(self), PIECES):  # noqa: B007 - `end` is where the rest begins
                found |= self._mask_piece(kind, span)
        except EOFError:  # cut in the middle of a header
            pass
        return self._mask_blocks((end, self.length)) or found

    def _mask_piece(self, kind: bytes, span: Span) -> bool:
        start, end = span
        found = self._mask_blocks(span)
        if kind in _PACKED:
            found |= self._mask_packed(kind, span)
        if found and kind:
            self.file.seek(start - 4)
            self._write(end, zlib.crc32(self.file.read(end - start + 4)).to_bytes(4, "big"))
        return found

    def _mask_blocks(self, span: Span) -> bool:
        """Mask keys between two offsets, in overlapping blocks; return whether there were any."""
        found, (start, end) = False, span
        for at in range(start, min(end, self.length), BLOCK):
            self.file.seek(at)
            before = self.file.read(min(at + BLOCK + _OVERLAP, end) - at)
            after = self._masked(before, parts=at + len(before) <= SEARCHED)
            if after != before:
                self._write(at, after)
                found = True
        return found

    def _mask_packed(self, kind: bytes, span: Span) -> bool:
        """Overwrite a compressed text with a key in it."""
        start, end = span
        self.file.seek(start)
        body = self.file.read(end - start)
        begin = _PACKED[kind](body)
        text = _unpack(body[begin:], UNPACKED - self._unpacked)
        self._unpacked += len(text)
        if self._masked(text, parts=self._unpacked <= SEARCHED) == text:
            return False
        self._write(start + begin, b"*" * (len(body) - begin))
        return True

    def _masked(self, data: bytes, *, parts: bool) -> bytes:
        """Return bytes with `*` in place of keys, also of keys in UTF-16, as EXIF has its comments."""
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
        self.file.seek(at)
        self.file.write(data)


# What is searched in each format: the type of a chunk with a checksum, the span, and where the piece ends.


def _find_in_png(masker: _Masker) -> Iterator[tuple[bytes, Span, int]]:
    for kind, start, end in png_pieces(masker.file):
        if end + 4 > masker.length:
            return
        yield kind, (start, start) if kind in _PNG_PIXELS else (start, end), end + 4


def _find_in_jpeg(masker: _Masker) -> Iterator[tuple[bytes, Span, int]]:
    for marker, start, end in jpeg_pieces(masker.file):
        yield b"", (start, start) if marker in _JPEG_PIXELS else (start, end), end
        if marker == EOI:
            return


def _find_in_webp(masker: _Masker) -> Iterator[tuple[bytes, Span, int]]:
    end = 12
    for kind, start, end in webp_pieces(masker.file, masker.length):
        yield b"", (start, start) if kind in _WEBP_PIXELS else (start - 8, end), end


def _find_nothing(_: _Masker) -> Iterator[tuple[bytes, Span, int]]:
    return iter(())


_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT")
_JPEG_PIXELS = {*FRAMES, SOS, 0xDB, 0xDD}
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"ANIM")
_FINDERS: Mapping[str, Callable[[_Masker], Iterator[tuple[bytes, Span, int]]]] = MappingProxyType(
    {"image/png": _find_in_png, "image/jpeg": _find_in_jpeg, "image/webp": _find_in_webp}
)


# Compressed texts of a PNG


def _behind_method(chunk: bytes) -> int:
    """Return where the compressed text begins: behind the keyword, its end and the method."""
    return chunk.find(b"\0") + 2


def _behind_languages(chunk: bytes) -> int:
    """Return where the text begins: behind the keyword, flag, method, language and translated keyword."""
    language = chunk.find(b"\0") + 3
    return chunk.find(b"\0", chunk.find(b"\0", language) + 1) + 1


_PACKED = {b"zTXt": _behind_method, b"iCCP": _behind_method, b"iTXt": _behind_languages}


def _unpack(stream: bytes, most: int) -> bytes:
    """Return a compressed text, at most so many bytes of it; nothing where it is not compressed."""
    try:
        return zlib.decompressobj().decompress(stream, most) if most > 0 else b""
    except zlib.error:
        return b""
