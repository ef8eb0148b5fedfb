"""The requests of one panel: one is carried out, the others wait their turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from ipyimagegen.batch import Batch
from ipyimagegen.errors import OutcomeUnknown
from ipyimagegen.notebook.thread import Thread
from ipyimagegen.plan import Plan
from ipyimagegen.results import Generation, Sweep
from ipyimagegen.studio import Studio
from ipyimagegen.typed import Typed


class Listener(Protocol):
    """Who is told how it goes; called by the thread that asks."""

    def changed(self) -> None:
        """Hear that something begins to run, or to wait, or has ended."""

    def progress(self, batch: Batch) -> None:
        """Hear of the calls in flight, about five times a second."""

    def brought(self, result: Generation | Sweep, plan: Plan) -> None:
        """Hear of a result."""

    def guarded(self, work: Callable[[], None]) -> None:
        """Do it, and tell what goes wrong."""


class Asking:
    """What runs, what waits, and what may be asked again by an explicit word."""

    def __init__(self, studio: Studio, listener: Listener) -> None:
        self._studio, self._listener = studio, listener
        self._lock = threading.Lock()
        self._thread = Thread("imagine panel: ask")
        self._waiting: list[tuple[Typed, Plan]] = []
        self._running: Plan | None = None
        self._doubtful: Typed | None = None  # what was refused, or ended, as an unknown outcome
        self._given_up = False

    @property
    def running(self) -> bool:
        """Whether something is under way."""
        return self._running is not None or bool(self._waiting)

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def plan(self, asked: Typed) -> Plan:
        """Return what a button asks for: another picture, as --new does, though one is stored."""
        plan = self._studio.plan(asked)
        if all(call.reused for call in plan.calls) and not plan.local.get("offline"):
            plan = self._studio.plan(_with(asked, "new"))
        return plan

    def ask(self, asked: Typed) -> bool:
        """Ask for it when its turn comes; return False, asking nothing, when the same is under way already.

        Raises what a plan raises.
        """
        self._doubtful = None
        with self._remembered(asked):
            plan = self.plan(asked)
        wanted = _identities(plan)
        with self._lock:
            mine = [*(one for _, one in self._waiting), *([self._running] if self._running else [])]
            live = (self._studio.ledger.live(call.request) for call in plan.to_send)
            if any(wanted == _identities(one) for one in mine) or (plan.to_send and all(live)):
                return False
            self._waiting.append((asked, plan))
        self._thread.do(self._next)
        return True

    def again(self) -> bool:
        """Ask once more for what has an unknown outcome, though it may be billed twice; see `ask`."""
        return self._doubtful is not None and self.ask(_with(self._doubtful, "retry"))

    def close(self) -> None:
        """Drop what waits; what runs goes on."""
        with self._lock:
            self._waiting.clear()
        self._thread.end()

    def cancel(self) -> int:
        """Give up what runs, and what waits; return how many waited."""
        with self._lock:
            waited = len(self._waiting)
            self._waiting.clear()
            self._given_up = self._running is not None
        return waited

    @contextmanager
    def _remembered(self, asked: Typed) -> Iterator[None]:
        try:
            yield
        except OutcomeUnknown:
            self._doubtful = asked
            raise

    def _next(self) -> None:
        with self._lock:
            if not self._waiting:
                return
            asked, self._running = self._waiting.pop(0)
            plan, self._given_up = self._running, False
        try:
            self._listener.changed()
            self._listener.guarded(lambda: self._carry_out(asked, plan))
        finally:
            with self._lock:
                self._running = None
            self._listener.changed()

    def _carry_out(self, asked: Typed, plan: Plan) -> None:
        with self._remembered(asked):
            result = self._studio.carry_out(plan, self, in_cell=False)
        self._listener.brought(result, plan)

    def planned(self, plan: Plan) -> None:
        """Leave it to the status line."""

    def working(self, batch: Batch) -> None:
        """Hear of the calls, as their painter; Cancel takes effect here."""
        if self._given_up:
            batch.cancel()
        self._listener.progress(batch)

    def failed(self, batch: Batch) -> None:
        """Leave it to the error."""


def _identities(plan: Plan) -> list[str]:
    return [call.request.identity for call in plan.calls]


def _with(asked: Typed, flag: str) -> Typed:
    return replace(asked, options={**asked.options, flag: True})
