"""Overwrite API keys in a file that a server sent, without a decoder and without changing its length.

In a PNG, JPEG or WebP file everything but the pixels is searched: texts, EXIF, profiles, what follows the
end. A key becomes as many `*`, and the checksum of a PNG chunk is computed anew. Any other file is
searched whole.

Source: CIPA DC-008 (EXIF) for comments in UTF-16.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from ipyimagegen.core.formats import sniff
from ipyimagegen.core.redact import Redactor
from ipyimagegen.imaging.scan import (
    FRAMES,
    LIMITS,
    SOS,
    TEXT_HEADS,
    iterate_jpeg,
    iterate_png,
    iterate_webp,
    split_text,
)

_MOST_FOR_PARTS = 4 << 20  # bytes of a file that are searched for parts of keys; the rest for whole keys
_BLOCK = 1 << 20
_OVERLAP = 512

_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT")
_JPEG_PIXELS = {*FRAMES, SOS, 0xDB, 0xDD}
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"ANIM")


def mask_keys(path: Path, redactor: Redactor) -> bool:
    """Overwrite keys in the file at `path`, in place; return whether there were any. Raises OSError."""
    if not redactor.knows_keys:
        return False
    with path.open("r+b") as file:
        return _KeyMasker(file, redactor).mask_file()


def _iterate_pieces(file: BinaryIO, length: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield type of a PNG chunk or b"", start and end of what is searched, and where the piece ends."""
    file.seek(0)
    match sniff(file.read(16)):
        case "image/png":
            for kind, start, end in iterate_png(file):
                if end + 4 > length:
                    return
                yield kind, start, start if kind in _PNG_PIXELS else end, end + 4
        case "image/jpeg":
            for marker, start, end in iterate_jpeg(file):
                yield b"", start, start if marker in _JPEG_PIXELS else end, end
        case "image/webp":
            for kind, start, end in iterate_webp(file, length):
                yield b"", start - 8, start - 8 if kind in _WEBP_PIXELS else end, end


class _KeyMasker:
    """Masks keys in an open file. The methods `mask_…` return whether there were any."""

    def __init__(self, file: BinaryIO, redactor: Redactor) -> None:
        self._file, self._redactor = file, redactor
        self._length = file.seek(0, os.SEEK_END)
        self._inflated = 0  # bytes of compressed texts so far

    def mask_file(self) -> bool:
        """Mask the pieces and what follows them."""
        masked, rest = False, 0
        # An image with more pieces is not decoded, and its rest is searched as a single piece.
        pieces = islice(_iterate_pieces(self._file, self._length), LIMITS["pieces"].most)
        try:
            for kind, start, end, rest in pieces:  # noqa: B007 - where the last piece ends
                changed = self._mask_blocks(start, end)
                if kind in TEXT_HEADS:
                    changed |= self._mask_compressed(kind, start, end)
                if changed and kind:
                    self._file.seek(start - 4)
                    self._write(end, zlib.crc32(self._file.read(end - start + 4)).to_bytes(4, "big"))
                masked |= changed
        except EOFError:  # cut inside a header
            pass
        return self._mask_blocks(rest, self._length) or masked

    def _mask_blocks(self, start: int, end: int) -> bool:
        """Mask keys between two offsets, in overlapping blocks."""
        masked = False
        for at in range(start, min(end, self._length), _BLOCK):
            self._file.seek(at)
            before = self._file.read(min(at + _BLOCK + _OVERLAP, end) - at)
            after = self._mask_bytes(before, parts=at + len(before) <= _MOST_FOR_PARTS)
            if after != before:
                self._write(at, after)
                masked = True
        return masked

    def _mask_compressed(self, kind: bytes, start: int, end: int) -> bool:
        """Overwrite the whole compressed text of a chunk if it holds a key."""
        self._file.seek(start)
        body = self._file.read(end - start)
        _keyword, begin, compressed = split_text(kind, body)
        if not compressed:
            return False
        left = LIMITS["text"].most - self._inflated
        try:
            text = zlib.decompressobj().decompress(body[begin:], left) if left > 0 else b""
        except zlib.error:  # not compressed, although the chunk says so
            return False
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
