"""An image as a reply holds it: base64 in the spool or in the JSON, or an address."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ipyimagegen.client.reply import IMAGE_LIMIT, Slice, blocks
from ipyimagegen.core.options import Json


@dataclass(frozen=True, kw_only=True)
class ResponseImage:
    """One image of a reply.

    `base64` is text (or a slice of `spool`), `url` an absolute address; either may be None, and where
    both are there the base64 comes first and the address is the way out when it is bad. `facts` are
    what the item says of itself: size, output_format, quality, background, seed, mime. `note` says
    why there is neither. `partial`: not finished, from a stream that goes on or was cut.
    `bare`: the spool is the image itself.
    """

    base64: str | Slice | None = field(default=None, repr=False)
    spool: Path | None = None
    url: str | None = None
    revised_prompt: str | None = None
    facts: Mapping[str, Json] = field(default_factory=dict)
    note: str = ""
    partial: bool = False
    bare: bool = False

    @property
    def delivered(self) -> bool:
        """Whether its bytes came, so that `chunks` has some."""
        return self.bare or self.base64 is not None

    def chunks(self) -> Iterator[bytes]:
        """Yield the image's bytes, some 192 KiB at a time.

        Raises ValueError for bad base64, or more than 64 MiB, after yielding what was good; OSError
        when the spool cannot be read.
        """
        if self.bare:
            assert self.spool is not None
            return blocks(self.spool)
        if isinstance(self.base64, Slice):
            assert self.spool is not None
            text = _unescaped(blocks(self.spool, self.base64.start, self.base64.stop))
        else:
            text = iter([(self.base64 or "").encode("ascii", "replace")])
        return _decoded(_without_prefix(text))


def _unescaped(text: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield the text of a JSON string without its escapes: PHP writes \/, .NET writes \u002B."""
    held = b""
    for block in text:
        joined = held + block
        cut = _finished(joined)
        held = joined[cut:]
        yield _ESCAPE.sub(_meant, joined[:cut]) if b"\\" in joined else joined[:cut]
    if held:
        yield held  # no escape, so no base64 either: said by the decoder


_ESCAPE = re.compile(rb"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_BLANKS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _finished(text: bytes) -> int:
    """Return where an escape begins that the end of `text` cuts, or its length."""
    last = text.rfind(b"\\", max(len(text) - 5, 0))
    if last < 0:
        return len(text)
    before = text[: last + 1]
    escapes = (len(before) - len(before.rstrip(b"\\"))) % 2 == 1
    rest = text[last + 1 :]
    whole = rest and (rest[:1] != b"u" or len(rest) >= 5)
    return last if escapes and not whole else len(text)


def _meant(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if len(code) == 5:
        return chr(int(code[1:], 16)).encode("utf-8", "replace")
    return _BLANKS.get(code, code)


def _without_prefix(text: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text without its `data:image/png;base64,`."""
    first = next(text, b"").lstrip()
    yield first.partition(b",")[2] if first[:5].lower() == b"data:" else first
    yield from text


_PLAIN = bytes.maketrans(b"-_", b"+/")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def _decoded(text: Iterable[bytes]) -> Iterator[bytes]:
    held, size = b"", 0
    for block in text:
        held += block
        padding = held.find(b"=")
        cut = (padding if padding >= 0 else len(held)) // 4 * 4
        try:
            good = binascii.a2b_base64(held[:cut], strict_mode=True)
        except binascii.Error:  # looked for only now: searching takes longer than decoding
            held = _spelled(held)
            wrong = _NO_BASE64.search(held)
            cut = (wrong.start() if wrong else len(held)) // 4 * 4
            good = binascii.a2b_base64(held[:cut])
        held = _spelled(held[cut:])
        size += len(good)
        if size > IMAGE_LIMIT:
            raise ValueError("the image is larger than 64 MiB")
        if good:
            yield good
        if len(held) > 4:
            raise ValueError("the base64 of the image is damaged")
    yield from _last(held, size)


def _spelled(text: bytes) -> bytes:
    """Return the text without blanks, and in the plain alphabet where it has the URL-safe one."""
    return text.translate(_PLAIN, b" \t\r\n")


def _last(held: bytes, size: int) -> Iterator[bytes]:
    """Yield the bytes of the last group, whose padding may be missing."""
    digits = held.rstrip(b"=")
    if len(digits) == 1 or len(held) > 4 or _NO_BASE64.search(digits) or (held and not digits):
        raise ValueError("the base64 of the image is damaged")
    if digits:
        yield binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    elif not size:
        raise ValueError("the image is empty")
