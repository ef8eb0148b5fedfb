"""Read an event stream as the JSON body that it stands for, so that the same reader serves both.

OpenAI: image_generation.partial_image, .completed, the same with image_edit; no [DONE] is promised.
Ark: .partial_succeeded is a finished image, .partial_failed an item that failed, .completed has usage alone,
then [DONE]. vLLM-Omni: {type: "image", data: […]}, then [DONE]. An error may come in the midst of a 200.
The meaning of an event is given by its data's `type` first, then by its `event:` line.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ipyimagegen.client.cancel import CancelToken, Stopped
from ipyimagegen.client.dialects import OPENAI, Dialect
from ipyimagegen.client.reasons import read_reason, states_error
from ipyimagegen.client.search import FACTS, Item, find_images
from ipyimagegen.client.spool import SKELETON, Spool, load_json, read_blocks
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import Json

Span: TypeAlias = tuple[int, int]

HEAD = 256  # bytes of a line that are examined: its field, and an event's name
LINES = 1000  # of data in an event
EVENTS = 100_000  # of a stream; servers that report each step send some thousands
PER_SECOND = 4  # previews; the newest wins
_SHORT = 4096  # bytes of data that is no JSON
_STREAM = re.compile(rb"(?!data:image/)(?:data|event|id|retry)?:")
_BOM = b"\xef\xbb\xbf"
_PADDING = re.compile(rb"(?:\xef\xbb\xbf|\s++|:[^\r\n]*+[\r\n])*+")
# The ends of the types of events whose image is finished.
_FINISHED = ("completed", "complete", "succeeded", "done", "finished")


@dataclass(frozen=True)
class EventLines:
    """An event: its name, and where its lines of data are in the file; `whole` unless the end cut it."""

    name: str
    spans: tuple[Span, ...]
    whole: bool = True


class StreamSplitter:
    """Splits a stream, in chunks of any size, into its events; no data is held in memory."""

    def __init__(self) -> None:
        self._at = 0  # bytes read
        self._start = 0  # of the line that is being read
        self._head = b""
        self._after_cr = False
        self._name: str | None = None  # until a line sets it, possibly to ""
        self._spans: list[Span] = []

    def feed(self, chunk: bytes) -> Iterator[EventLines]:
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
            if not piece.endswith((b"\r", b"\n")):
                continue
            ended = self._read_line(self._at - len(piece) + len(piece.rstrip(b"\r\n")))
            self._start, self._head = self._at, b""
            if ended:
                name, spans = self._name or "", tuple(self._spans)
                self._name, self._spans = None, []
                if 0 < len(spans) <= LINES:
                    yield EventLines(name, spans)

    def finish(self) -> EventLines | None:
        """Return the event that the end of the stream cut, None when it ended between two events."""
        comment = self._head.startswith(b":")
        self._read_line(self._at)
        pending = self._name is not None or self._spans or (self._head and not comment)
        return EventLines(self._name or "", tuple(self._spans), whole=False) if pending else None

    def _read_line(self, stop: int) -> bool:
        """Read the line up to `stop`; return whether it is the blank line that ends an event."""
        bom = len(_BOM) if self._start == 0 and self._head.startswith(_BOM) else 0
        head = self._head[bom : stop - self._start]
        name, colon, value = head.partition(b":")
        blank = value[:1] == b" "
        if name == b"event":
            self._name = value[blank:].decode("utf-8", "replace")
        elif name == b"data" and len(self._spans) <= LINES:
            begin = self._start + bom + len(name) + len(colon) + blank
            self._spans.append((begin, stop))
        return not head


@dataclass(frozen=True, kw_only=True)
class Event:
    """The data of an event: `kind` is its type, `size` what it takes in memory; `done`: it was [DONE].

    `images` are those of `find_images`, each with `partial` true or false, `failures` the errors of single
    items, and `error` is that of the whole stream or of its item.
    """

    kind: str = ""
    value: Mapping[str, Json] = field(default_factory=dict)
    whole: bool = True
    size: int = 0
    done: bool = False
    images: Sequence[Item] = ()
    failures: Sequence[Json] = ()
    error: Json = None


def find_start(path: Path) -> tuple[int, bool]:
    """Return where the JSON or the events of a response begin, and whether it is a stream.

    Blank lines and comments, which keep a connection open, may precede both. Raises OSError.
    """
    start, head, commented = 0, b"", False
    for block in read_blocks(path):
        head += block
        padding = _PADDING.match(head)
        skipped = padding.end() if padding else 0
        commented |= b":" in head[: skipped + 1]
        start, head = start + skipped, head[skipped:]
        if head.startswith(b":"):  # a comment that goes on
            start, head = start + len(head) - 1, b":"
        elif len(head) >= HEAD:
            break
    return start, bool(_STREAM.match(head)) or (commented and not head.startswith((b"{", b"[")))


def read_events(lines: EventLines, path: Path, dialect: Dialect = OPENAI) -> Iterator[Event]:
    """Yield the values of an event: there are several where a server leaves out the blank lines.

    Yields nothing for data that is no JSON. Raises OSError.
    """
    if event := _load_event(lines, lines.spans, path, dialect):
        yield event
    elif len(lines.spans) > 1:
        for span in lines.spans:
            if event := _load_event(lines, (span,), path, dialect):
                yield event


def _load_event(lines: EventLines, spans: tuple[Span, ...], path: Path, dialect: Dialect) -> Event | None:
    if sum(stop - start for start, stop in spans) <= _SHORT:
        text = b"".join(_join_lines(spans, path)).decode("utf-8", "replace").strip()
        if text == "[DONE]":
            return Event(done=True)
        if lines.name == "error" and lines.whole and not text.startswith("{"):
            return Event(kind="error", error=text or _("no reason given"), size=len(text))
    try:
        values, whole, size = load_json(_join_lines(spans, path), lambda at: _locate(at, spans))
    except ValueError:
        return None
    value = values[0] if len(values) == 1 else None
    if not isinstance(value, Mapping) or (lines.whole and not whole):
        return None
    kind = value.get("type")
    value = value if isinstance(kind, str) and kind else {**value, "type": lines.name}
    return _read_event(_convert(value, dialect.read_event), whole=whole, size=size)


def _read_event(value: Json, *, whole: bool, size: int) -> Event | None:
    """Return what an event in OpenAI's form means, None for what is none."""
    if not isinstance(value, Mapping):
        return None
    kind, data = str(value.get("type") or ""), value.get("data")
    response = value.get("response")  # of the Responses API's events
    holders = (value, response) if isinstance(response, Mapping) else (value,)
    error = next((holder["error"] for holder in holders if states_error(holder.get("error"))), None)
    if kind == "error" and error is None:
        error = {k: v for k, v in value.items() if k != "type"} or _("no reason given")
    items = [item for item in (data if isinstance(data, list) else [data]) if isinstance(item, Mapping)]
    if kind.endswith("partial_failed"):
        failures = [error]
    else:
        failures = [item["error"] for item in items if states_error(item.get("error"))]
    if "data" in value:  # a list, as in a plain response
        partial = "partial" in kind
    elif kind:
        partial = not kind.endswith(_FINISHED)
    else:
        partial = "partial_image_index" in value or not whole
    facts = {name: value[name] for name in FACTS if name in value}
    images = [
        {**facts, **image, "partial": partial or image["partial"] is True} for image in find_images(value)
    ]
    return Event(
        kind=kind, value=value, whole=whole, size=size, images=images, failures=failures, error=error
    )


def _convert(value: Json, read: Callable[[Json], Json]) -> Json:
    """Return a value in OpenAI's form, or as it is where the dialect fails: a paid response is never lost."""
    with contextlib.suppress(Exception):
        return read(value)
    return value


def _join_lines(spans: tuple[Span, ...], path: Path) -> Iterator[bytes]:
    for number, (start, stop) in enumerate(spans):
        if number:
            yield b"\n"
        yield from read_blocks(path, start, stop)


def _locate(at: int, spans: tuple[Span, ...]) -> int:
    """Return where in the file the offset `at` of joined lines is."""
    for start, stop in spans:
        if at <= stop - start:
            return start + at
        at -= stop - start + 1
    raise ValueError("no such offset")


# The whole stream


def load_body(
    path: Path, n: int, dialect: Dialect = OPENAI, *, clean: bool, token: CancelToken | None = None
) -> tuple[Json, bool]:
    """Return the JSON of a response in OpenAI's form, and whether it is whole.

    `n` images were requested; `clean` means that the connection ended as it should. Raises ValueError for
    what is neither JSON nor a stream, OSError when the file cannot be read, Stopped when `token` is over
    before the end of the file.
    """
    start, is_stream = find_start(path)
    stream = _StreamBody(n)
    if not is_stream:
        blocks = _read_until_over(path, token, start)
        values, whole, size = load_json(blocks, lambda at: start + at)
        if len(values) == 1:
            return _convert(values[0], dialect.read_body), whole
        for value in values:  # a line of JSON for each step
            event_whole = whole or value is not values[-1]
            event = _read_event(
                _convert(value, dialect.read_event), whole=event_whole, size=size // len(values)
            )
            if event and not stream.add(event):
                break
        return stream.to_body(), whole
    for event in _read_all(path, _read_until_over(path, token), dialect):
        if not stream.add(event):
            break
    return stream.to_body(), stream.is_whole(clean=clean)


def _read_until_over(path: Path, token: CancelToken | None, start: int = 0) -> Iterator[bytes]:
    """Yield the blocks of a file; the first block takes no time that matters. Raises Stopped."""
    for number, block in enumerate(read_blocks(path, start)):
        if number and token and token.over:
            raise Stopped
        yield block


def _read_all(path: Path, blocks: Iterable[bytes], dialect: Dialect) -> Iterator[Event]:
    splitter, left = StreamSplitter(), EVENTS
    for block in blocks:
        for lines in splitter.feed(block):
            left -= 1  # an event that is no JSON takes its time as well
            if left < 0:
                yield Event(whole=False)
                return
            yield from read_events(lines, path, dialect)
    if cut := splitter.finish():
        yield from tuple(read_events(cut, path, dialect)) or (Event(whole=False),)


class _StreamBody:
    """What is kept of a stream: finished images, the newest partial image, errors, and the facts."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._finished: list[Item] = []
        self._partial: Item | None = None  # until a finished image follows
        self._failures: list[Json] = []
        self._error: Json = None
        self._other: Mapping[str, Json] = {}  # the newest event without an image
        self._facts: dict[str, Json] = {}
        self._room = SKELETON
        self._ended = self._counted = self._cut = False

    def add(self, event: Event) -> bool:
        """Add an event; return whether the stream goes on."""
        if event.done:
            self._ended = True
            return False
        self._cut |= not event.whole
        self._other = self._other if event.images else event.value
        images, failures = event.images, event.failures
        finished = [image for image in images if not image["partial"]]
        self._finished += finished
        if images:
            self._partial = images[-1] if images[-1]["partial"] else None
        if finished:  # Ark may send more than were requested, or fewer: only its own end counts
            self._counted = not event.kind.endswith("succeeded")
        self._failures += failures
        if event.error is not None and not failures:
            self._error = event.error
        facts = _select_facts(event.value)
        if images:  # each finished image has usage of its own; an event without an image has the total
            more = facts.get("usage") if finished else None
            facts["usage"] = _add_usage(self._facts.get("usage"), more)
        self._facts |= facts
        # Ark's last event has no image, and nothing else shows that it is the last. The Responses API has an
        # event of such a name before that with the image.
        last = event.kind.endswith(".completed") and not event.kind.endswith("_call.completed")
        self._ended |= event.whole and last and not images
        self._room -= event.size if failures or finished or event.error else 0
        full = self._room <= 0
        self._cut |= full
        return not full

    def is_whole(self, *, clean: bool) -> bool:
        """Return whether the stream reached its end.

        The API sends no [DONE]: the last image that was requested is the end, or, when a server makes fewer,
        a connection that ended well after a finished image.
        """
        settled = len(self._finished) + len(self._failures)
        ended_well = clean and not self._cut and self._partial is None
        enough = self._counted and (settled >= self._n or ended_well)
        reason = clean and not self._cut and not settled and read_reason(self._other).text
        return self._ended or self._error is not None or enough or bool(reason)

    def to_body(self) -> Json:
        """Return what a plain response would contain."""
        complete = self._counted and len(self._finished) >= self._n
        partial = [] if self._partial is None or complete else [self._partial]
        failed = [{"error": error} for error in self._failures]
        data = [*self._finished, *partial, *failed]
        other = {} if data or self._error is not None else self._other
        return {**other, **self._facts, "data": data, "error": self._error}


def _select_facts(value: Mapping[str, Json]) -> dict[str, Json]:
    """Return what an event states of the whole response; what it states of its image stays with the image."""
    response = value.get("response")  # of the Responses API's last event
    stated = {**response, **value} if isinstance(response, Mapping) else value
    facts = {name: stated.get(name) for name in ("created", "model", "id", "usage")}
    facts["created"] = facts["created"] or stated.get("created_at")
    return {k: v for k, v in facts.items() if v}


def _add_usage(total: Json, more: Json, depth: int = 2) -> Json:
    """Return the sum of two usages; a count that only a single usage has stays as it is."""
    if depth and isinstance(total, Mapping) and isinstance(more, Mapping):
        return {**total, **{k: _add_usage(total.get(k), v, depth - 1) for k, v in more.items()}}
    numbers = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in (total, more))
    return total + more if numbers else total if more is None else more


class Previews:
    """Reads what goes into a spool and shows the item of each image whose event is whole.

    The last finished image of `n` is not shown: it comes with the answer. An error in here, or in `show`,
    ends the previews and nothing else.
    """

    def __init__(
        self,
        show: Callable[[Item], None],
        dialect: Dialect = OPENAI,
        *,
        spool: Spool,
        n: int,
        clock: Callable[[], float],
    ) -> None:
        self._show, self._dialect, self._spool, self._clock = show, dialect, spool, clock
        self._left = n
        self._splitter = StreamSplitter()
        self._shown_at: deque[float] = deque(maxlen=PER_SECOND)
        self._waiting: Item | None = None
        self._events = 0
        self._over = False

    def feed(self, written: bytes) -> None:
        """Read what the spool's file got; raises nothing."""
        if self._over:
            return
        with contextlib.suppress(Exception):  # previews never decide about the call
            self._read(written)
            return
        self._over, self._waiting = True, None

    def _read(self, written: bytes) -> None:
        self._pass_on(self._waiting)
        for lines in self._splitter.feed(written):
            self._events += 1
            for event in read_events(lines, self._spool.path, self._dialect):
                self._over |= event.done or self._events > EVENTS
                for image in event.images if not self._over else ():
                    self._left -= not image["partial"] and not event.kind.endswith("succeeded")
                    if self._left > 0 or image["partial"]:
                        self._pass_on(image)

    def _pass_on(self, image: Item | None) -> None:
        """Show an image now or, when it is too early, with the next event."""
        if image is None:
            return
        now = self._clock()
        if len(self._shown_at) == PER_SECOND and now - self._shown_at[0] < 1:
            self._waiting = image
            return
        self._shown_at.append(now)
        self._waiting = None
        self._show(image)
