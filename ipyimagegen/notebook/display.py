"""Painting: one status line while a call runs, then, in its place, the picture, and a caption under it.

Everything is a plain `image/png`, `image/jpeg` or `text/plain` output, so that it looks the same in
every front end and in what is made from the notebook.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from ipyimagegen import imaging
from ipyimagegen.caption import DOT
from ipyimagegen.comparison import Comparison
from ipyimagegen.plan import Planned
from ipyimagegen.results import Bundle, Generation, Image, bundle, framed
from ipyimagegen.safe import short, visible
from ipyimagegen.work import Job

_EVERY = 0.25  # seconds between two updates of the status line


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


def status(planned: Planned) -> str:
    """Return what stands before the elapsed time: endpoint, model, estimate."""
    words = [short(planned.endpoint.name)]
    if planned.sent.model and planned.sent.model != planned.endpoint.name:
        words.append(short(planned.sent.model))
    words.append(str(planned.estimate))
    if planned.seconds:
        words.append(f"takes about {planned.seconds[0]:g}–{planned.seconds[1]:g} s")
    return DOT.join(words)


class Screen:
    """Where the cells of one shell paint. Remembers what the running cell has shown."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._cell = -1
        self._shown: set[str] = set()

    def show_once(self, generation: Generation) -> None:
        """Show a result, unless the running cell has shown it: `Out` and `_` are set all the same."""
        if not self._seen(generation):
            Painter(self).result(generation)

    def _seen(self, generation: Generation) -> bool:
        return self._cell == self.shell.execution_count and generation.id in self._shown

    def mark(self, generation: Generation) -> None:
        """Remember that the running cell has shown this result."""
        if self._cell != self.shell.execution_count:
            self._cell, self._shown = self.shell.execution_count, set()
        self._shown.add(generation.id)


class Painter:
    """The outputs of one call in one cell: places, each painted anew until the result is there.

    While it waits: the status line; with a stream the newest picture, and the status line under it.
    Then, in the same places, the result and its caption.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._notebook = is_notebook(screen.shell)
        self._watched = is_watched(screen.shell)
        self._ids: list[str] = []
        self._partial: bytes | None = None
        self._painted = False  # a partial picture stands in the first place
        self._last = 0.0

    def working(self, planned: Planned, job: Job) -> None:
        """Show how far it is, at most four times a second, where somebody sees it."""
        now = time.monotonic()
        if self._watched and now - self._last >= _EVERY:
            self._last = now
            self._show(planned, job.elapsed, job.partial)

    def failed(self, planned: Planned, job: Job) -> None:
        """Leave a last status line; the error that follows says the rest."""
        if self._ids or (self._watched and not self._notebook):
            self._show(planned, job.elapsed, None)
            self._end()

    def result(self, generation: Generation) -> None:
        """Show the picture in place of the status line, and the caption under it."""
        caption: Bundle = ({"text/plain": generation.caption}, {})
        if self._notebook:
            shown = generation.bundles() if generation else [({"text/plain": repr(generation)}, {})]
            for place, made in enumerate([*shown, caption]):
                self._put(place, made)
        else:
            self._end()
            print("\n".join(str(one.path) for one in generation))  # noqa: T201 - a terminal has no pictures
            _display(*caption)

    def _show(self, planned: Planned, elapsed: float, partial: bytes | None) -> None:
        line = f"{status(planned)}{DOT}{elapsed:.1f} s"
        if self._notebook:
            if partial is not None and partial is not self._partial:
                self._partial = partial
                if made := imaging.glimpse(partial):
                    self._painted = True
                    self._put(0, framed(made, "a partial picture", planned.request.prompt))
            self._put(1 if self._painted else 0, ({"text/plain": line}, {}))
        elif sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

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


def show_in(cell: Mapping[str, Any], generation: Generation) -> None:
    """Show a result among the outputs of a cell that has ended. `cell` is the message that began it.

    For a thread of its own: what it shows from then on stands there.
    """
    publisher: Any = InteractiveShell.instance().display_pub
    # Before ipykernel 7.2 the parent of every thread is set.
    getattr(publisher, "set_thread_parent", publisher.set_parent)(cell)
    for made in [*generation.bundles(), ({"text/plain": generation.caption}, {})]:
        _display(*made)


def picture(shown: Generation | Image | imaging.Preview, name: str = "contact sheet") -> None:
    """Show a picture without a caption; `name` is what a sheet is called where it cannot be seen."""
    if isinstance(shown, imaging.Preview):
        _display(*bundle(shown.data, shown.mime, (shown.width, shown.height), name, name))
    else:
        _display(*shown._repr_mimebundle_())


def comparison(shown: Comparison) -> None:
    """Show runs side by side, and under them what differs."""
    picture(shown.sheet, shown.name)
    text(shown.text)


def text(words: str) -> None:
    """Show plain text as one output."""
    _display({"text/plain": words}, {})


def _display(data: dict[str, Any], metadata: dict[str, Any], **how: Any) -> None:
    data = {**data, "text/plain": visible(data["text/plain"])}
    display(data, metadata=metadata, raw=True, **how)  # type: ignore[no-untyped-call]
