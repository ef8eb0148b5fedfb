"""Painting: one status line while a call runs, then, in its place, the image, and a caption under it.

Everything is a plain `image/png`, `image/jpeg` or `text/plain` output, so that it looks the same in
every front end and in what is made from the notebook.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from ipyimagegen import imaging
from ipyimagegen.core import costs
from ipyimagegen.core.endpoints import to_host
from ipyimagegen.core.messages import render
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.text import DOT, escape_hidden, truncate
from ipyimagegen.notebook.messages import CELL
from ipyimagegen.results import Bundle, Generation, Image, Result, frame_bundle, make_bundle
from ipyimagegen.results.compare import Comparison
from ipyimagegen.session.batch import Batch

_EVERY = 0.25  # seconds between two updates of the status line
PLAN = 0.8  # seconds for which a plan stands before the first status line
_SHEET = 1.0  # seconds, at least, between two of a sheet that fills up
_SHARE = 10  # times what drawing it took last: the rest of the time is for the images


def is_notebook(shell: InteractiveShell) -> bool:
    """Say whether a front end shows rich outputs: a kernel runs this shell."""
    return hasattr(shell, "kernel")


def is_watched(shell: InteractiveShell) -> bool:
    """Say whether a person is there: a front end that can ask, or a terminal.

    What runs notebooks unattended (nbclient, nbval) says that it cannot; nbval also keeps a status
    line as an output of its own, because it knows no updates.
    """
    if isinstance(shell.display_pub, CapturingDisplayPublisher):
        return False  # %%capture keeps every update as an output of its own
    if is_notebook(shell):
        return bool(getattr(shell.kernel, "_allow_stdin", False))  # type: ignore[attr-defined]
    return sys.stdin.isatty()


def write_status(batch: Batch) -> str:
    """Return what stands before the elapsed time: endpoint, model, estimate; how far a sweep is."""
    if not batch.plan.axes:
        return _asked(batch.plan.calls[0])
    endpoints = dict.fromkeys(truncate(one.endpoint.name) for one in batch.plan.calls)
    reused = sum(call.cached is not None for call in batch.calls)
    unsent = sum(call.unsent for call in batch.calls)
    failed = sum(call.settled and not call.has_images for call in batch.calls) - unsent
    estimates = [call.planned.estimate for call in batch.calls if call.planned.asks]
    words = [", ".join(endpoints), *_key_goes_to(batch.plan.calls), costs.format_costs(estimates)]
    words += [f"{sum(call.has_images for call in batch.calls)} of {len(batch.calls)}"]
    words += [f"{reused} from history"] if reused else []
    words += [f"{failed} failed"] if failed else []
    words += [f"{unsent} not sent"] if unsent else []
    left = batch.seconds_left
    words += [f"about {left:.0f} s left"] if left and not unsent else []
    return DOT.join(words)


def _asked(planned: PlannedCall) -> str:
    words = [truncate(planned.endpoint.name)]
    if planned.sent.model and planned.sent.model != planned.endpoint.name:
        words.append(truncate(planned.sent.model))
    words += _key_goes_to([planned])
    words.append(str(planned.estimate))
    if planned.seconds:
        words.append(f"takes about {planned.seconds[0]:g}–{planned.seconds[1]:g} s")
    return DOT.join(words)


def _key_goes_to(calls: Iterable[PlannedCall]) -> list[str]:
    """Return the hosts that get the key of another server, because the user's entry allows it."""
    hosts = dict.fromkeys(to_host(call.endpoint.base_url) for call in calls if call.endpoint.allow_key)
    return [f"key sent to {', '.join(truncate(host, 80) for host in hosts)}"] if hosts else []


class Screen:
    """Where the cells of one shell paint. Remembers what the running cell has shown."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._cell = -1
        self._shown: set[Result] = set()

    def show_once(self, result: Result) -> None:
        """Show a result, unless the running cell has shown it: `Out` and `_` are set all the same."""
        if self._cell != self.shell.execution_count or result not in self._shown:
            Painter(self).result(result)

    def mark(self, result: Result) -> None:
        """Remember that the running cell has shown this result."""
        if self._cell != self.shell.execution_count:
            self._cell, self._shown = self.shell.execution_count, set()
        self._shown.add(result)


class Painter:
    """The outputs of one request in one cell: places, each painted anew until the result is there.

    While it waits: the status line; with a stream the newest image, with a sweep its sheet as far as it
    is filled, and the status line under it. Then, in the same places, the result and its caption.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._notebook = is_notebook(screen.shell)
        self._watched = is_watched(screen.shell)
        self._ids: list[str] = []
        self._partial: bytes | None = None
        self._painted = False  # an image stands in the first place
        self._last = 0.0
        self._came = 0  # images on the sheet that was painted last
        self._next_sheet = 0.0

    def planned(self, plan: Plan) -> None:
        """Show the plan of a sweep in the place of the status line, for long enough to be seen."""
        if self._watched:
            self._last = time.monotonic() + PLAN - _EVERY
            self._line(render(str(plan), CELL))

    def working(self, batch: Batch) -> None:
        """Show how far it is, at most four times a second, where somebody sees it."""
        now = time.monotonic()
        if self._watched and now - self._last >= _EVERY:
            self._last = now
            self._show(batch)

    def failed(self, batch: Batch) -> None:
        """Leave a last status line, and of a sweep what came; the error that follows says the rest."""
        if self._ids or (self._watched and not self._notebook):
            self._next_sheet = 0.0
            self._show(batch)
            self._end()

    def result(self, result: Result) -> None:
        """Show the image in place of the status line, and the caption under it."""
        caption: Bundle = ({"text/plain": result.write_caption(CELL)}, {})
        if self._notebook:
            for place, made in enumerate([*result.to_bundles(), caption]):
                self._put(place, made)
        else:
            self._end()
            print("\n".join(map(str, result.files)))  # noqa: T201 - a terminal has no images
            _display(*caption)

    def _show(self, batch: Batch) -> None:
        if self._notebook and (made := self._sheet(batch) or self._glimpse(batch)):
            self._painted = True
            self._put(0, made)
        self._line(f"{write_status(batch)}{DOT}{batch.elapsed:.1f} s")

    def _line(self, line: str) -> None:
        if self._notebook:
            self._put(1 if self._painted else 0, ({"text/plain": line}, {}))
        elif sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    def _glimpse(self, batch: Batch) -> Bundle | None:
        """Return the newest image of a stream, once."""
        partial = batch.partial
        if partial is None or partial is self._partial:
            return None
        self._partial = partial
        made = imaging.preview_partial(partial)
        return frame_bundle(made, "a partial image", batch.plan.calls[0].request.prompt) if made else None

    def _sheet(self, batch: Batch) -> Bundle | None:
        """Return the first sheet of a sweep when there is more on it, for a tenth of the time at most."""
        came, now = sum(call.settled for call in batch.calls), time.monotonic()
        if not batch.plan.axes or batch.snapshot is None or came == self._came or now < self._next_sheet:
            return None
        self._came, made = came, batch.snapshot().pages[0].bundle
        self._next_sheet = time.monotonic() + max(_SHEET, _SHARE * (time.monotonic() - now))
        return made

    def _put(self, place: int, made: Bundle) -> None:
        """Paint in a place, counted from 0; only a place that was painted before is painted over."""
        if place < len(self._ids):
            _display(*made, display_id=self._ids[place], update=True)
        elif not self._watched:
            _display(*made)  # nothing will be painted over it
        else:
            self._ids.append(os.urandom(16).hex())
            _display(*made, display_id=self._ids[place])

    def _end(self) -> None:
        if not self._notebook and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")


def show_in(cell: Mapping[str, Any], result: Result) -> None:
    """Show a result among the outputs of a cell that has ended. `cell` is the message that began it.

    For a thread of its own: what it shows from then on stands there.
    """
    publisher: Any = InteractiveShell.instance().display_pub
    # Before ipykernel 7.2 the parent of every thread is set.
    getattr(publisher, "set_thread_parent", publisher.set_parent)(cell)
    for made in [*result.to_bundles(), ({"text/plain": result.write_caption(CELL)}, {})]:
        _display(*made)


def show_image(shown: Generation | Image | imaging.Preview, name: str = "contact sheet") -> None:
    """Show an image without a caption; `name` is what a sheet is called where it cannot be seen."""
    if isinstance(shown, imaging.Preview):
        _display(*make_bundle(shown.data, shown.mime, (shown.width, shown.height), name, name))
    else:
        _display(*shown._repr_mimebundle_())


def show_comparison(shown: Comparison) -> None:
    """Show runs side by side, and under them what differs."""
    show_image(shown.sheet, shown.name)
    show_text(shown.text)


def show_text(words: str) -> None:
    """Show plain text as one output."""
    _display({"text/plain": words}, {})


def _display(data: dict[str, Any], metadata: dict[str, Any], **how: Any) -> None:
    data = {**data, "text/plain": escape_hidden(data["text/plain"])}
    display(data, metadata=metadata, raw=True, **how)  # type: ignore[no-untyped-call]
