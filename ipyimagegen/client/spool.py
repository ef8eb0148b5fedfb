"""Keep a response of any size on disk, without keys, and read it with little memory.

A response is JSON around base64 images. The long strings are lifted out while it is scanned: what is left,
the skeleton, is a small JSON text in which each long string is a `Slice` of the file. A response that was cut
keeps every member that arrived whole.
"""

from __future__ import annotations

import binascii
import contextlib
import json
import re
import secrets
import string
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from ipyimagegen.core.formats import sniff
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.text import sanitize

BLOCK = 1 << 18  # bytes that are read at once
LIFTED = 16384  # longer strings are lifted; 128 shorter ones still make a small skeleton
HEAD = 1024  # bytes of a lifted string that the skeleton keeps
WINDOW = 512  # bytes in which a key that arrives in two chunks is found
SKELETON = 4 << 20  # bytes
VALUES = 100_000  # JSON values in a skeleton; a response with 128 images has some thousands
DIGITS = 4300  # of a number; Python reads no longer ones
DEPTH = 32  # of nesting; responses have four
IMAGE_LIMIT = 64 << 20  # decoded bytes of an image
RESPONSE_LIMIT = 256 << 20  # decoded bytes of a response


def limit_response(n: int) -> int:
    """Return how many bytes a response of `n` images may have: base64 is 4/3, and 1 MiB for the rest."""
    return min(IMAGE_LIMIT * max(n, 1), RESPONSE_LIMIT) * 4 // 3 + (1 << 20)


@dataclass(frozen=True)
class Slice:
    """A long JSON string, still escaped, at bytes `start` to `stop` of the spool; `head` is its beginning."""

    start: int
    stop: int
    head: str = field(repr=False)


class TooLarge(Exception):
    """The response is larger than any response of so many images can be."""


class Spool:
    """The response on disk as it arrives, without keys: `*` stands in their place.

    An image is written as it is: its texts are searched when it is stored. No server sends a response twice:
    where the disk fails twice, it continues in the file that `fallback` returns, and `path` is that. Raises
    OSError when there is none, or it fails too.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        redactor: Redactor = NO_KEYS,
        fallback: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self.path = path
        self.size = 0
        self._limit = limit
        self._fallback = fallback
        self._redactor = redactor
        self._received = self._written = b""  # the last bytes: a key may continue in the next chunk
        self._file: BinaryIO
        try:
            self._file = path.open("wb")
        except OSError:
            try:
                self._file = path.open("wb")
            except OSError as error:
                self._move(error)

    def write(self, chunk: bytes) -> bytes:
        """Append `chunk` and return what the file got. Raises TooLarge, or OSError when the disk does."""
        if not self.size and sniff(chunk):
            self._redactor = NO_KEYS
        before = len(self._received)
        received = self._received + chunk
        data = self._redactor.mask(received)
        if data[:before] != self._written:  # what is masked stays masked
            self._written = bytes(
                old if old == ord("*") else new for old, new in zip(self._written, data, strict=False)
            )
            self._file.seek(self.size - before)
            self._append(self._written)
        data = data[before:]
        try:
            self._append(data)
        except OSError as error:
            try:
                self._file.seek(self.size)  # a part of it may be there
                self._file.truncate()
                self._append(data)
            except OSError:
                self._move(error)
                self._append(data)
        self.size += len(data)
        self._received, self._written = received[-WINDOW:], (self._written + data)[-WINDOW:]
        if self.size > self._limit:
            raise TooLarge
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file. Raises OSError."""
        self._file.close()

    def _move(self, error: OSError) -> None:
        """Continue in the fallback, with a copy of what has arrived. Raises `error` where there is none."""
        fallback = self._fallback()
        if fallback is None:
            raise error from None
        old, file = self.path, fallback.open("wb")
        if self.size:
            for block in read_blocks(old, stop=self.size):
                file.write(block)
            with contextlib.suppress(OSError):  # closing tries once more to write what failed
                self._file.close()
        self._file, self.path, self._fallback = file, fallback, lambda: None
        with contextlib.suppress(OSError):
            old.unlink()

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()  # what was delivered outlives a process that is killed


def describe_disk_failure(error: OSError) -> Message:
    """Return why a file could not be written, as the end of a sentence."""
    return _("could not be written to disk: {reason}", reason=sanitize(error.strerror or "error", 80))


def read_blocks(path: Path, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file between two offsets, 256 KiB at a time."""
    with path.open("rb") as file:
        file.seek(start)
        left = (path.stat().st_size if stop is None else stop) - start
        while left > 0 and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            yield block


# Its JSON


def load_json(
    blocks: Iterable[bytes], locate: Callable[[int], int] = lambda at: at, lifted: int = LIFTED
) -> tuple[Sequence[Json], bool, int]:
    """Return the values of a JSON text, whether they are whole, and the size of what is in memory of them.

    Usually there is one value; some servers send a line for each step. What follows that is no JSON is
    passed over. A `Slice` stands for each string longer than `lifted` bytes; `locate` maps its offsets in
    the text to those in the file. Raises ValueError for what is no JSON.
    """
    text, slices, nonce = _lift(blocks, locate, lifted)
    size = len(text) + HEAD * len(slices)
    decoder = json.JSONDecoder(
        object_hook=lambda value: slices[value[nonce]] if nonce in value else value,
        # Python reads no longer numbers, and they mean nothing.
        parse_int=lambda digits: int(digits) if len(digits) <= DIGITS else None,
        parse_constant=lambda _name: None,
        strict=False,  # some servers leave line breaks in strings as they are
    )
    values: list[Json] = []
    try:
        at = 0
        while value_start := _VALUE.match(text, at):
            try:
                value, at = decoder.raw_decode(text, value_start.end() - 1)
            except ValueError:
                rest = text[at:].lstrip()
                with contextlib.suppress(ValueError):
                    return [*values, decoder.decode(_TRAILING_COMMA.sub("", rest))], True, size
                for candidate in _close_cut_json(rest):
                    with contextlib.suppress(ValueError):
                        return [*values, decoder.decode(candidate)], False, size
                break
            values.append(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not values:
        raise ValueError("no JSON")
    return values, True, size


_TRAILING_COMMA = re.compile(r",(?=\s*+[}\]])")
_VALUE = re.compile(r"\s*+[{\[]")


# The rest of a string: anything but its end; possessive, so that the engine does not backtrack.
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


def _lift(blocks: Iterable[bytes], locate: Callable[[int], int], lifted: int) -> tuple[str, list[Slice], str]:
    """Return a JSON text without its long strings, and without a string that the end cuts.

    The object {nonce: number} stands for each slice: no server can forge the nonce. Raises ValueError for
    more JSON than images need.
    """
    nonce = secrets.token_hex(8)
    slices: list[Slice] = []
    out, held = bytearray(), bytearray()
    inside = escaped = False
    offset = start = 0
    for block in blocks:
        at = 0
        while at < len(block):
            if not inside:
                quote = block.find(b'"', at)
                out += block[at : quote if quote >= 0 else None]
                at = quote + 1 if quote >= 0 else len(block)
                inside, start = quote >= 0, offset + at
                held.clear()
            else:
                end = _find_end(block, at + escaped)
                held += block[at : min(end, at + max(lifted + 1 - len(held), 0))]
                escaped = block[end : end + 1] == b"\\"
                inside = block[end : end + 1] != b'"'
                if escaped and len(held) <= lifted:
                    held += b"\\"
                if not inside and offset + end - start > lifted:
                    out += b'{"%s":%d}' % (nonce.encode(), len(slices))
                    slices.append(Slice(locate(start), locate(offset + end), _decode_head(held)))
                elif not inside:
                    out += b'"' + held + b'"'
                at = end + 1
            if len(out) + HEAD * len(slices) > SKELETON:
                raise ValueError("more JSON than images need")
        offset += len(block)
    if sum(map(out.count, (b",", b"{", b"["))) > VALUES:
        raise ValueError("more JSON than images need")
    return out.removeprefix(BOM_UTF8).decode("utf-8", "replace"), slices, nonce


def _find_end(block: bytes, at: int) -> int:
    """Return where the string that continues at `at` ends: at its quote, a cut escape, or the block's end."""
    quote = block.find(b'"', at)
    end = quote if quote >= 0 else len(block)
    if block.find(b"\\", at, end) < 0:
        return end  # base64 as most servers write it does not need the slower search
    inside = _INSIDE.match(block, at)
    return inside.end() if inside else at


def _decode_head(raw: bytearray) -> str:
    """Return the beginning of an escaped string, unescaped, without an escape that is cut."""
    text = raw[:HEAD].decode("utf-8", "ignore")
    for dropped in range(7):
        try:
            return str(json.loads(f'"{text[: len(text) - dropped]}"', strict=False))
        except ValueError:
            continue
    return ""


_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],]', re.DOTALL)
_SCALAR = string.ascii_letters + string.digits + "+-."


def _close_cut_json(skeleton: str) -> Iterator[str]:
    """Yield texts that close a cut JSON, beginning with the text that keeps most of it."""
    closers: list[str] = []
    end, closing = 0, ""
    for match in _MARKS.finditer(skeleton):
        mark = match[0]
        if mark in "{[":
            closers.append("}" if mark == "{" else "]")
        elif mark in "}]" and closers:
            closers.pop()
        if len(closers) > DEPTH:
            return
        if len(mark) == 1:  # no string: up to here all members are whole
            end = match.start() if mark == "," else match.end()
            closing = "".join(reversed(closers))
    # A number or a word at the end of the text may be cut.
    yield skeleton.rstrip(_SCALAR) + "".join(reversed(closers))
    yield skeleton[:end] + closing


# Its base64, as servers write it

_ESCAPE = re.compile(rb"\\(u[0-9a-fA-F]{4}|[^u])", re.DOTALL)
_CUT_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_UNESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"?"}  # no base64 has the last
_PLAIN = bytes.maketrans(b"-_", b"+/")
_BLANK = b" \t\r\n"
# A data URL: the whole text, of any type, or an image's inside of prose, and what ends it there.
_DATA_URL = re.compile(rb"\Adata:[^,]{0,200},|\bdata:image/[\w.+-]{1,40};base64,", re.IGNORECASE)
_PROSE = re.compile(rb"[^A-Za-z0-9+/=_-]")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def decode_base64(blocks: Iterable[bytes], *, escaped: bool = False) -> Iterator[bytes]:
    r"""Yield the bytes of an image, some 192 KiB at a time.

    The text may be a data URL, also inside of prose, have blanks, the URL-safe alphabet, no padding, and,
    where `escaped`, the escapes of JSON: PHP writes \/, .NET writes \u002B. Raises ValueError for damaged
    text and for more than `IMAGE_LIMIT` bytes, after yielding what was good.
    """
    held, size = b"", 0
    for text in _select_base64(blocks, escaped=escaped):
        data, held = _decode_groups(held + text)
        size += len(data)
        if size > IMAGE_LIMIT:
            raise ValueError(_("the image is larger than 64 MiB"))
        if data:
            yield data
        if len(held) > 4:
            break
    digits = held.rstrip(b"=")  # of the last group, whose padding may be missing
    if len(digits) == 1 or len(held) > 4 or _NO_BASE64.search(digits) or (held and not digits):
        raise ValueError(_("the base64 of the image is damaged"))
    if digits:
        yield binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    elif not size:
        raise ValueError(_("the image is empty"))


def _select_base64(blocks: Iterable[bytes], *, escaped: bool) -> Iterator[bytes]:
    """Yield the text without escapes, the head of a data URL, and the prose around it."""
    cut_escape, begun, in_prose = b"", False, False
    for block in blocks:
        text = cut_escape + block
        cut_escape = b""
        if escaped and b"\\" in text:
            text, cut_escape = _unescape(text)
        if not begun:
            begun, text = True, text.lstrip()
            if head := _DATA_URL.search(text, 0, 2 * HEAD):
                in_prose, text = head.start() > 0, text[head.end() :]
        if in_prose and (end := _PROSE.search(text)):
            yield text[: end.start()]
            return
        yield text
    yield cut_escape


def sniff_base64(text: str) -> str | None:
    """Return the MIME type of an image whose base64 begins so, None for any other text."""
    digits = "".join(text[:64].split()).encode("ascii", "replace").translate(_PLAIN)[:24]
    try:
        return sniff(binascii.a2b_base64(digits, strict_mode=True))
    except binascii.Error:
        return None


def _decode_groups(text: bytes) -> tuple[bytes, bytes]:
    """Return the bytes of the whole groups before what is no base64, and the rest of the text."""
    padding = text.find(b"=")
    cut = (padding if padding >= 0 else len(text)) // 4 * 4
    try:
        data = binascii.a2b_base64(text[:cut], strict_mode=True)
    except binascii.Error:  # searched for only now: searching takes longer than decoding
        text = text.translate(_PLAIN, _BLANK)
        wrong = _NO_BASE64.search(text)
        cut = (wrong.start() if wrong else len(text)) // 4 * 4
        data = binascii.a2b_base64(text[:cut])
    return data, text[cut:].translate(_PLAIN, _BLANK)


def _unescape(text: bytes) -> tuple[bytes, bytes]:
    """Return the text without its escapes, and the escape that its end cuts."""

    def decode(escape: re.Match[bytes]) -> bytes:
        code = escape[1]
        if len(code) == 5:
            return chr(int(code[1:], 16)).encode("utf-8", "replace")
        return _UNESCAPED.get(code, code)

    text = _ESCAPE.sub(decode, text)
    cut = _CUT_ESCAPE.search(text, max(len(text) - 5, 0))
    return (text[: cut.start()], text[cut.start() :]) if cut else (text, b"")
