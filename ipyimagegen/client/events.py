"""An event stream as the JSON body it stands for, so that one reader does for both.

OpenAI: image_generation.partial_image, .completed, the same with image_edit; no [DONE] is promised.
Ark: .partial_succeeded is a finished image, .partial_failed one that failed, .completed has usage
alone, then [DONE]. vLLM-Omni: {type: "image", data: […]}, then [DONE]. An error may come in the midst
of a 200. What an event means is said by its data's `type` first, then by its `event:` line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ipyimagegen.client.reply import Slice, blocks, lift
from ipyimagegen.core.options import Json

Span = tuple[int, int]

HEAD = 256  # bytes of a line that are looked at: its field, and an event's name
LINES = 1000  # of data in one event
_SHORT = 4096  # bytes of data that is no JSON
_STREAM = re.compile(rb"(?:data|event|id|retry)?:")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Event:
    """One event: its name, and where the file has its lines of data; `whole` unless the end cut it."""

    name: str
    spans: tuple[Span, ...]
    whole: bool = True


class Splitter:
    """Splits a stream, in whatever pieces it comes, into its events; no data is held in memory."""

    def __init__(self) -> None:
        self._at = 0  # bytes read
        self._start = 0  # of the line that is being read
        self._head = b""
        self._after_cr = False
        self._name: str | None = None  # until a line says it, be that an empty one
        self._spans: list[Span] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that end in `chunk`."""
        if not chunk:
            return
        if self._after_cr and chunk.startswith(b"\n"):  # the second half of a line's end
            chunk = chunk[1:]
            self._at += 1
            self._start += 1
        ends = b"\n" in chunk or b"\r" in chunk  # the two searches are much faster than the splitting
        for piece in chunk.splitlines(keepends=True) if ends else (chunk,):
            self._head += piece[: max(HEAD - len(self._head), 0)]
            self._at += len(piece)
            self._after_cr = piece.endswith(b"\r")
            text = piece.rstrip(b"\r\n") if piece.endswith((b"\r", b"\n")) else None
            if text is None:
                continue
            ended = self._line(self._at - len(piece) + len(text))
            self._start, self._head = self._at, b""
            if ended:
                name, spans = self._name or "", tuple(self._spans)
                self._name, self._spans = None, []
                if 0 < len(spans) <= LINES:
                    yield Event(name, spans)

    def rest(self) -> Event | None:
        """Return what the end of the stream cut, None when it ended between two events."""
        comment = self._head.startswith(b":")
        self._line(self._at)
        pending = self._name is not None or self._spans or (self._head and not comment)
        return Event(self._name or "", tuple(self._spans), whole=False) if pending else None

    def _line(self, stop: int) -> bool:
        """Take in the line up to `stop`; say whether it was the blank one that ends an event."""
        bom = len(_BOM) if self._start == 0 and self._head.startswith(_BOM) else 0
        head = self._head[bom : stop - self._start]
        field, colon, value = head.partition(b":")
        blank = value[:1] == b" "
        if field == b"event":
            self._name = value[blank:].decode("utf-8", "replace")
        elif field == b"data" and len(self._spans) <= LINES:
            begin = self._start + bom + len(field) + len(colon) + blank
            self._spans.append((begin, stop))
        return not head


def is_stream(path: Path) -> bool:
    """Say whether a file begins like server-sent events and not like JSON. Raises OSError."""
    head = b""
    for block in blocks(path):
        head = (head + block).removeprefix(_BOM).lstrip()
        if len(head) >= 8:
            break
    return bool(_STREAM.match(head))


@dataclass(frozen=True)
class Said:
    """The data of an event: `kind` is its type, `size` what it takes in memory; `done`: it was [DONE]."""

    kind: str = ""
    value: Mapping[str, Json] | None = None
    whole: bool = True
    size: int = 0
    done: bool = False

    @property
    def error(self) -> Json:
        """What went wrong, or None."""
        value = self.value or {}
        if self.kind == "error" and not value.get("error"):
            return {k: v for k, v in value.items() if k != "type"} or "no reason given"
        return value.get("error") or None

    @property
    def failures(self) -> list[Json]:
        """The errors of single items."""
        if self.kind.endswith("partial_failed"):
            return [self.error]
        return [one["error"] for one in self._items if one.get("error")]

    @property
    def images(self) -> list[Mapping[str, Json]]:
        """The items with an image, each with `partial` true or false."""
        value = self.value or {}
        items = [value, *({**value, "data": None, **one} for one in self._items)]
        return [{**one, "partial": self._partial(one)} for one in items if _holds_image(one)]

    @property
    def _items(self) -> list[Mapping[str, Json]]:
        data = (self.value or {}).get("data")
        return [one for one in (data if isinstance(data, list) else [data]) if isinstance(one, Mapping)]

    def _partial(self, item: Mapping[str, Json]) -> bool:
        if "data" in item:  # a list is what a plain reply has
            return "partial" in self.kind
        if not self.kind:
            return "partial_image_index" in item or not self.whole
        return not self.kind.endswith(("completed", "complete", "succeeded"))


def _holds_image(item: Mapping[str, Json]) -> bool:
    return any(
        isinstance(one, Slice) or (isinstance(one, str) and bool(one.strip()))
        for one in (item.get("b64_json"), item.get("url"))
    )


def said(event: Event, path: Path) -> Iterator[Said]:
    """Yield what an event says: one thing, or one a line where a server leaves out the blank lines.

    Nothing for data that nobody can read. Raises OSError.
    """
    together = _said(event, event.spans, path)
    if together or len(event.spans) == 1:
        yield from [together] if together else []
        return
    for span in event.spans:
        if one := _said(event, (span,), path):
            yield one


def _said(event: Event, spans: tuple[Span, ...], path: Path) -> Said | None:
    if sum(stop - start for start, stop in spans) <= _SHORT:
        text = b"".join(_joined(spans, path)).decode("utf-8", "replace").strip()
        if text == "[DONE]":
            return Said(done=True)
        if event.name == "error" and event.whole and not text.startswith("{"):
            return Said(kind="error", value={"error": text or "no reason given"}, size=len(text))
    try:
        skeleton = lift(_joined(spans, path))
        value, whole = skeleton.load(lambda at: _place(at, spans))
    except ValueError:
        return None
    if not isinstance(value, Mapping) or (event.whole and not whole):
        return None
    named = value.get("type")
    kind = named if isinstance(named, str) and named else event.name
    return Said(kind=kind, value=value, whole=whole, size=len(skeleton.text))


def _joined(spans: tuple[Span, ...], path: Path) -> Iterator[bytes]:
    for number, (start, stop) in enumerate(spans):
        if number:
            yield b"\n"
        yield from blocks(path, start, stop)


def _place(at: int, spans: tuple[Span, ...]) -> int:
    """Return where in the file the offset `at` of joined lines is."""
    for start, stop in spans:
        if at <= stop - start:
            return start + at
        at -= stop - start + 1
    raise ValueError("no such offset")
