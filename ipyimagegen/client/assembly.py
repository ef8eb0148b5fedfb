"""The body of a reply, read from its file: JSON as it is, or the JSON that an event stream stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ipyimagegen.client.control import CancelToken, Stopped
from ipyimagegen.client.events import Said, Splitter, is_stream, said
from ipyimagegen.client.reply import SKELETON, blocks, parse
from ipyimagegen.core.options import Json

EVENTS = 100_000  # of one stream; servers that tell each step send some thousands


def body(path: Path, n: int, *, clean: bool, control: CancelToken | None = None) -> tuple[Json, bool]:
    """Return the JSON of a reply, and whether it came to its end.

    `n` images were asked for; `clean` says that the connection ended as it should. Raises ValueError
    for what is neither JSON nor a stream, OSError when the file cannot be read, Stopped when `control` is
    over before the end of the file.
    """
    pieces = _until_over(path, control)
    if not is_stream(path):
        return parse(pieces)
    kept = _Kept(n)
    for one in _all(path, pieces):
        if not kept.add(one):
            break
    return kept.body(), kept.ended(clean=clean)


def _until_over(path: Path, control: CancelToken | None) -> Iterator[bytes]:
    """Yield the blocks of a file; the first one takes no time that matters. Raises Stopped."""
    for number, block in enumerate(blocks(path)):
        if number and control and control.over:
            raise Stopped
        yield block


def _all(path: Path, pieces: Iterable[bytes]) -> Iterator[Said]:
    splitter, left = Splitter(), EVENTS
    for block in pieces:
        for event in splitter.feed(block):
            left -= 1  # what nobody can read takes its time as well
            if left < 0:
                yield Said(whole=False)
                return
            yield from said(event, path)
    if rest := splitter.rest():
        yield from tuple(said(rest, path)) or (Said(whole=False),)


class _Kept:
    """What is kept of a stream: finished images, the newest partial one, what failed, and the facts."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._finished: list[Mapping[str, Json]] = []
        self._partial: Mapping[str, Json] | None = None  # until a finished one follows
        self._failed: list[Json] = []
        self._error: Json = None
        self._facts: dict[str, Json] = {}
        self._room = SKELETON
        self._ended = self._counted = self._cut = False

    def add(self, one: Said) -> bool:
        """Take in what an event says; return whether the stream goes on."""
        if one.done:
            self._ended = True
            return False
        self._cut |= not one.whole
        images, failures = one.images, one.failures
        for image in images:
            self._image(image, one)
        finished = any(not image["partial"] for image in images)
        self._failed += failures
        if one.error is not None and not failures:
            self._error = one.error
        said = _facts(one.value or {})
        if images:  # each finished one says its own; an event without one says the whole
            more = said.get("usage") if finished else None
            said["usage"] = _sum(self._facts.get("usage"), more)
        self._facts |= said
        # Ark's last event has no image, and none but Ark makes this known otherwise.
        self._ended |= one.whole and one.kind.endswith(".completed") and not images
        kept = failures or finished or one.error
        self._room -= one.size if kept else 0
        full = self._room <= 0
        self._cut |= full
        return not full

    def _image(self, image: Mapping[str, Json], one: Said) -> None:
        if image["partial"]:
            self._partial = image
            return
        self._finished.append(image)
        self._partial = None
        # With Ark there may be more than were asked for, or fewer: only its own end counts.
        self._counted = not one.kind.endswith("succeeded")

    def ended(self, *, clean: bool) -> bool:
        """Return whether the stream came to its end.

        The API sends no [DONE]: the last image that was asked for is the end, or, when a server
        makes fewer, a connection that ended well after a finished one.
        """
        settled = len(self._finished) + len(self._failed)
        well = clean and not self._cut and self._partial is None
        return self._ended or self._error is not None or (self._counted and (settled >= self._n or well))

    def body(self) -> Json:
        """Return what a plain reply would hold."""
        everything = self._counted and len(self._finished) >= self._n
        partial = [] if self._partial is None or everything else [self._partial]
        failed = [{"error": one} for one in self._failed]
        return {**self._facts, "data": [*self._finished, *partial, *failed], "error": self._error}


def _facts(value: Mapping[str, Json]) -> dict[str, Json]:
    """Return what an event says of the whole reply; what it says of its image stays with that."""
    said = {name: value.get(name) for name in ("created", "model", "id", "usage")}
    said["created"] = said["created"] or value.get("created_at")
    return {k: v for k, v in said.items() if v}


def _sum(one: Json, other: Json, depth: int = 2) -> Json:
    """Return the counts of two usages added up; what only one of them has stays as it is."""
    if depth and isinstance(one, Mapping) and isinstance(other, Mapping):
        return {**one, **{k: _sum(one.get(k), v, depth - 1) for k, v in other.items()}}
    numbers = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in (one, other))
    return one + other if numbers else one if other is None else other
