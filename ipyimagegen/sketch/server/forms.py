"""multipart/form-data taken apart: boundaries by `bytes.find`, the few header lines by `email`.

The `email` package would parse the whole body too, at 26 ms a megabyte; this takes a thousandth of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.utils import collapse_rfc2231_value
from typing import TYPE_CHECKING

from ipyimagegen.sketch.server.replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 100  # parts of one form: 16 pictures, a mask, and all the fields there are
HEAD = 8192  # bytes of a part's header lines
_END = re.compile(rb"(--)?[ \t]*(\r\n|\Z)")


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form: its name, and its value as it came."""

    name: str
    data: bytes


def is_form(content_type: str) -> bool:
    """Return whether a body of that type is a form with parts."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def parts(raw: bytes, content_type: str) -> list[Part]:
    """Return the fields of the form in order. Raises Refusal for a body that is no whole form."""
    found: list[Part] = []
    start = -1
    for before, after, last in _delimiters(raw, b"--" + _boundary(content_type)):
        if start >= 0:
            found.append(_part(raw, start, before))
        if last:
            return found
        if len(found) == MOST:
            raise _broken(f"it has more than {MOST} parts")
        start = after
    raise _broken("it ends before its closing boundary" if found or start >= 0 else "it has no boundary")


def _delimiters(raw: bytes, mark: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield for each boundary line: where what is before it ends, where the next begins, if it closes.

    A line that only begins like a boundary belongs to the content.
    """
    place = 0
    while (found := raw.find(mark, place)) >= 0:
        place = found + len(mark)
        line = _END.match(raw, place)
        opens = found == 0 or raw.startswith(b"\r\n", found - 2)
        if opens and line:
            yield max(found - 2, 0), line.end(), bool(line[1])


def _part(raw: bytes, start: int, end: int) -> Part:
    # two bytes back: a part without header lines has only the empty one
    stop = raw.find(b"\r\n\r\n", start - 2, min(end + 2, start + HEAD))
    if stop < 0:
        raise _broken("a part has no end of its header lines")
    head = HeaderParser().parsestr(raw[start : max(stop, start)].decode("utf-8", "replace"))
    name = head.get_param("name", header="content-disposition")
    if not name:
        raise _broken("a part has no name")
    return Part(collapse_rfc2231_value(name), raw[stop + 4 : end])


def _boundary(content_type: str) -> bytes:
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_boundary()
    if not boundary:
        raise _broken("its Content-Type names no boundary")
    return boundary.encode("latin-1", "replace")


def _broken(why: str) -> Refusal:
    return Refusal(f"We could not parse the multipart form of your request: {why}.")
