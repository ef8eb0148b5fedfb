"""The requests of one panel: one is carried out, the others wait their turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from ipyimagegen.core.errors import ImagineError, OutcomeUnknown
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.text import format_count
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.notebook.panel.worker import Thread
from ipyimagegen.results import Generation, Sweep
from ipyimagegen.session.batch import Batch
from ipyimagegen.session.studio import Studio


class Listener(Protocol):
    """Who is told how it goes; called by the thread that asks."""

    def changed(self) -> None:
        """Hear that something begins to run, or to wait, or has ended."""

    def planned(self, plan: Plan) -> None:
        """Hear of a sweep that is about to begin."""

    def progress(self, batch: Batch) -> None:
        """Hear of the calls in flight, about five times a second."""

    def brought(self, result: Generation | Sweep, plan: Plan) -> None:
        """Hear of a result."""

    def guarded(self, work: Callable[[], None]) -> None:
        """Do it, and tell what goes wrong."""


@dataclass(frozen=True)
class Doubt:
    """What was asked, and those of its calls whose outcome is unknown."""

    asked: UserInput
    calls: tuple[PlannedCall, ...] = ()

    def __str__(self) -> str:
        bill = "" if all(call.endpoint.free for call in self.calls) else ", perhaps billed"
        return f"{format_count(len(self.calls), 'call')} of unknown outcome{bill}: --retry asks again."


class RequestQueue:
    """What runs, what waits, and what may be asked again by an explicit word."""

    def __init__(self, studio: Studio, listener: Listener) -> None:
        self._studio, self._listener = studio, listener
        self._lock = threading.Lock()
        self._thread = Thread("imagine panel: ask")
        self._waiting: list[tuple[UserInput, Plan]] = []
        self._running: Plan | None = None
        self._batch: Batch | None = None  # the calls of what runs, unless all was there
        self._given_up = False
        self.unknown_outcome: Doubt | None = None  # of what ended last, or was refused

    @property
    def running(self) -> bool:
        """Whether something is under way."""
        return self._running is not None or bool(self._waiting)

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def plan(self, asked: UserInput) -> Plan:
        """Return what a button asks for: all of it anew, as --new does, where all of it is stored."""
        plan = self._studio.plan(asked)
        if all(call.reused for call in plan.calls) and not plan.local.get("offline"):
            plan = self._studio.plan(_with(asked, "new"))
        return plan

    def ask(self, asked: UserInput) -> bool:
        """Ask for it when its turn comes; return False, asking nothing, when the same is under way already.

        Raises what a plan raises.
        """
        try:
            plan = self.plan(asked)
        except OutcomeUnknown:
            self.unknown_outcome = Doubt(asked)
            raise
        return self._queue(asked, plan)

    def again(self) -> bool:
        """Ask once more for what has an unknown outcome, though it may be billed twice; see `ask`."""
        doubt, self.unknown_outcome = self.unknown_outcome, None
        if doubt is None:
            return False
        plan = self._studio.plan(_with(doubt.asked, "retry"))
        if not plan.to_send:  # older answers to all of it: only what is in doubt is asked, and paid, anew
            fresh, doubtful = self._studio.plan(_with(doubt.asked, "new")), _identities(doubt.calls)
            pairs = zip(plan.calls, fresh.calls, strict=True)
            calls = (new if new.request.identity in doubtful else old for old, new in pairs)
            plan = replace(fresh, calls=tuple(calls))
        return self._queue(doubt.asked, plan)

    def _queue(self, asked: UserInput, plan: Plan) -> bool:
        wanted = _identities(plan.calls)
        with self._lock:
            mine = [*(one for _, one in self._waiting), *([self._running] if self._running else [])]
            live = (self._studio.ledger.live(call.request) for call in plan.to_send)
            if any(wanted == _identities(one.calls) for one in mine) or (plan.to_send and all(live)):
                return False
            self._waiting.append((asked, plan))
        self._thread.do(self._next)
        return True

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

    def _next(self) -> None:
        with self._lock:
            if not self._waiting:
                return
            asked, self._running = self._waiting.pop(0)
            plan, self._given_up, self._batch = self._running, False, None
        try:
            self._listener.changed()
            self._listener.guarded(lambda: self._carry_out(asked, plan))
        finally:
            with self._lock:
                self._running = None
            self._listener.changed()

    def _carry_out(self, asked: UserInput, plan: Plan) -> None:
        self.unknown_outcome = None  # of what went before: a button stands beside what is told of this
        try:
            result = self._studio.carry_out(plan, self, in_cell=False)
        except OutcomeUnknown:
            self.unknown_outcome = Doubt(asked, self._in_doubt(plan) or plan.calls)
            raise
        except ImagineError as fault:
            if calls := self._in_doubt(plan):  # the first of them says nothing of the others
                self.unknown_outcome = Doubt(asked, calls)
                raise OutcomeUnknown(f"{fault}\n{self.unknown_outcome}") from None
            raise
        calls = self._in_doubt(plan)
        self.unknown_outcome = Doubt(asked, calls) if calls else None
        self._listener.brought(result, plan)

    def _in_doubt(self, plan: Plan) -> tuple[PlannedCall, ...]:
        """Return the calls of what ended whose outcome is unknown."""
        if self._batch is None:
            return tuple(call for call in plan.calls if call.unknown_outcome)
        calls = self._batch.calls
        return tuple(call.planned for call in calls if isinstance(call.error, OutcomeUnknown))

    def planned(self, plan: Plan) -> None:
        """Hear what a sweep is about to ask for."""
        self._listener.planned(plan)

    def working(self, batch: Batch) -> None:
        """Hear of the calls, as their painter; Cancel takes effect here."""
        self._batch = batch
        if self._given_up:
            batch.cancel()
        self._listener.progress(batch)

    def failed(self, batch: Batch) -> None:
        """Leave it to the error."""
        self._batch = batch


def _identities(calls: Iterable[PlannedCall]) -> frozenset[str]:
    return frozenset(call.request.identity for call in calls)


def _with(asked: UserInput, flag: str) -> UserInput:
    return replace(asked, options={**asked.options, flag: True})
