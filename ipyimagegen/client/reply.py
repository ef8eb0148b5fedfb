"""Read a reply of any size with little memory.

A reply is JSON around base64 images. The long strings are lifted out while it is scanned: what is
left, the skeleton, is a small JSON text in which each long string is a `Slice` of the file. A reply
that was cut keeps every member that arrived whole.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import string
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from ipyimagegen.core.formats import sniff
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor

BLOCK = 1 << 18  # bytes that are read at once
LIFTED = 16384  # longer strings are lifted; 128 shorter ones still make a small skeleton
HEAD = 1024
WINDOW = 512  # bytes in which a key that comes in two chunks is found
MASK = ord("*")
SKELETON = 4 << 20
VALUES = 100_000  # JSON values in a skeleton; a reply of 128 images has some thousands
IMAGE_LIMIT = 64 << 20  # decoded bytes of one image
REPLY = 256 << 20  # decoded bytes of one reply


def cap(n: int) -> int:
    """Return how many bytes a reply of `n` images may have: base64 is 4/3, and 1 MiB for the rest."""
    return min(IMAGE_LIMIT * max(n, 1), REPLY) * 4 // 3 + (1 << 20)


def most_items(n: int) -> int:
    """Return how many images of a reply are taken when `n` were asked for."""
    return max(2 * n, 16)


@dataclass(frozen=True)
class Slice:
    """A long JSON string, still escaped, at bytes `start` to `stop` of the spool; `head` is its beginning."""

    start: int
    stop: int
    head: str = field(repr=False)


class TooLarge(Exception):
    """The reply is larger than any reply of so many images can be."""


class Spool:
    """The response on disk as it arrives, without keys: `*` stands in their place.

    What is an image is written as it comes: its texts are searched when it is stored. Nobody sends the
    response again: where the disk fails twice it goes on in the file that `spare` names, and `path` is
    that. Raises OSError when there is none, or it fails too.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        redactor: Redactor = NO_KEYS,
        spare: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self.path = path
        self.size = 0
        self._limit = limit
        self._spare = spare
        self._redactor = redactor
        self._came = self._wrote = b""  # the last bytes: a key may go on in the next chunk
        self._file: BinaryIO
        try:
            self._file = path.open("wb")
        except OSError:
            try:
                self._file = path.open("wb")
            except OSError as fault:
                self._move(fault)

    def write(self, chunk: bytes) -> bytes:
        """Append `chunk` and return what the file got. Raises TooLarge, or OSError when the disk does."""
        if not self.size and begins_as_image(chunk):
            self._redactor = NO_KEYS
        before = len(self._came)
        came = self._came + chunk
        data = self._redactor.mask(came)
        if data[:before] != self._wrote:
            self._overwrite(bytes(map(_masked, self._wrote, data)))
        data = data[before:]
        self._put(data)
        self._came, self._wrote = came[-WINDOW:], (self._wrote + data)[-WINDOW:]
        if self.size > self._limit:
            raise TooLarge
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file. Raises OSError."""
        self._file.close()

    def _overwrite(self, data: bytes) -> None:
        """Replace the last bytes of the file."""
        self._file.seek(self.size - len(data))
        self._append(data)
        self._wrote = data

    def _put(self, data: bytes) -> None:
        try:
            self._append(data)
        except OSError as fault:
            try:
                self._file.seek(self.size)  # a part of it may be there
                self._file.truncate()
                self._append(data)
            except OSError:
                self._move(fault)
                self._append(data)
        self.size += len(data)

    def _move(self, fault: OSError) -> None:
        """Go on in the spare file, with what came so far; raises `fault` where there is none."""
        spare = self._spare()
        if spare is None:
            raise fault from None
        old, file = self.path, spare.open("wb")
        if self.size:
            for block in blocks(old, stop=self.size):
                file.write(block)
            with contextlib.suppress(OSError):  # it tries once more to write what it could not
                self._file.close()
        self._file, self.path, self._spare = file, spare, lambda: None
        with contextlib.suppress(OSError):
            old.unlink()

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()  # what was delivered outlives a process that is killed


def _masked(before: int, now: int) -> int:
    return before if before == MASK else now


def begins_as_image(head: bytes) -> bool:
    """Return whether bytes begin as a PNG, JPEG or WebP file does."""
    return sniff(head) is not None


def blocks(path: Path, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file between two offsets, 256 KiB at a time."""
    with path.open("rb") as file:
        file.seek(start)
        left = (path.stat().st_size if stop is None else stop) - start
        while left > 0 and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


@dataclass(frozen=True)
class Skeleton:
    """JSON text without its long strings: {nonce: [start, stop, head]} stands for each."""

    text: str
    nonce: str  # what a server sends cannot pass for a slice

    def load(self, place: Callable[[int], int] = lambda at: at) -> tuple[Json, bool]:
        """Return the value, and whether it came whole; `place` says where in the file an offset is.

        Raises ValueError for what is no JSON.
        """
        if not self.text.lstrip().startswith(("{", "[")):
            raise ValueError("no JSON")

        def slices(value: dict[str, Json]) -> Json:
            if self.nonce not in value:
                return value
            start, stop, head = value[self.nonce]
            return Slice(place(start), place(stop), head)

        def value(text: str) -> Json:
            return json.loads(text, object_hook=slices, parse_int=_integer, parse_constant=lambda _: None)

        try:
            try:
                return value(self.text), True
            except ValueError:
                for candidate in _mended(self.text):
                    with contextlib.suppress(ValueError):
                        return value(candidate), False
                raise
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _integer(digits: str) -> int | None:
    """Return the number, None for one that is too long to mean anything."""
    return int(digits) if len(digits) <= DIGITS else None


def too_deep(value: Json) -> bool:
    """Return whether values are nested in more than `DEPTH` levels."""
    level = [value]
    for _ in range(DEPTH + 1):
        inner = (v.values() if isinstance(v, dict) else v if isinstance(v, list) else () for v in level)
        level = [part for parts in inner for part in parts if isinstance(part, (dict, list))]
        if not level:
            return False
    return True


def parse(text: Iterable[bytes], lifted: int = LIFTED) -> tuple[Json, bool]:
    """Return the JSON value with a `Slice` for each longer string, and whether it came whole.

    Raises ValueError for what is no JSON, or has too large a skeleton.
    """
    return lift(text, lifted).load()


# The rest of a string: anything but its end; possessive, so that the engine keeps no way back.
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


def lift(text: Iterable[bytes], lifted: int = LIFTED) -> Skeleton:
    """Return the skeleton of `text`, without a string that the end cuts. Raises ValueError if it is large."""
    nonce = secrets.token_hex(8)
    out, held = bytearray(), bytearray()
    inside = escaped = False
    offset = start = 0
    for block in text:
        at = 0
        while at < len(block):
            if not inside:
                quote = block.find(b'"', at)
                out += block[at : quote if quote >= 0 else None]
                at = quote + 1 if quote >= 0 else len(block)
                inside, start = quote >= 0, offset + at
                held.clear()
            else:
                end = _end(block, at + escaped)
                held += block[at : min(end, at + max(lifted + 1 - len(held), 0))]
                escaped = block[end : end + 1] == b"\\"
                inside = block[end : end + 1] != b'"'
                if escaped and len(held) <= lifted:
                    held += b"\\"
                if not inside:
                    long = offset + end - start > lifted
                    out += _lifted(held, start, offset + end, nonce) if long else b'"' + held + b'"'
                at = end + 1
            if len(out) > SKELETON:
                raise ValueError("more JSON than images need")
        offset += len(block)
    if sum(map(out.count, (b",", b"{", b"["))) > VALUES:
        raise ValueError("more JSON than images need")
    return Skeleton(out.removeprefix(BOM_UTF8).decode("utf-8", "replace"), nonce)


def _end(block: bytes, at: int) -> int:
    """Return where the string that goes on at `at` ends: at its quote, a cut escape, or the block's end."""
    quote = block.find(b'"', at)
    end = quote if quote >= 0 else len(block)
    if block.find(b"\\", at, end) < 0:
        return end  # base64 as most servers write it: no need for the slower way
    found = _INSIDE.match(block, at)
    return found.end() if found else at


def _lifted(held: bytearray, start: int, stop: int, nonce: str) -> bytes:
    return json.dumps({nonce: [start, stop, _head(held)]}).encode()


def _head(raw: bytearray) -> str:
    """Return the beginning of an escaped string, unescaped; an escape that the cut split is dropped."""
    text = raw[:HEAD].decode("utf-8", "ignore")
    for dropped in range(7):
        try:
            return str(json.loads(f'"{text[: len(text) - dropped]}"', strict=False))
        except ValueError:
            continue
    return ""


_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],]', re.DOTALL)
_SCALAR = string.ascii_letters + string.digits + "+-."
DIGITS = 4300  # of a number; Python reads no longer ones
DEPTH = 32  # of nesting; replies have four


def _mended(skeleton: str) -> Iterator[str]:
    """Yield texts that close a cut JSON, the one that keeps most first."""
    closers: list[str] = []
    end, closing = 0, ""
    for found in _MARKS.finditer(skeleton):
        mark = found[0]
        if mark in "{[":
            closers.append("}" if mark == "{" else "]")
        elif mark in "}]" and closers:
            closers.pop()
        if len(closers) > DEPTH:
            return
        if len(mark) == 1:  # no string: up to here all members are whole
            end = found.start() if mark == "," else found.end()
            closing = "".join(reversed(closers))
    # Of a number or a word that the text ends with there may be more.
    yield skeleton.rstrip(_SCALAR) + "".join(reversed(closers))
    yield skeleton[:end] + closing
