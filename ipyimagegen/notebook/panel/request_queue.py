"""The requests of a panel: the first is carried out, the others wait for their turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipyimagegen.core.background import run_in_background
from ipyimagegen.core.errors import ImagineError, OutcomeUnknown
from ipyimagegen.core.messages import Remedy, ngettext
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.notebook.fronts import PANEL
from ipyimagegen.session.scheduler import Batch
from ipyimagegen.session.studio import Studio

if TYPE_CHECKING:
    from ipyimagegen.notebook.panel.widget import Panel


class Worker:
    """Runs tasks in order in a daemon thread, which lives while there are tasks.

    A task reports its own errors; what it raises is dropped.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._running = False

    def submit(self, task: Callable[[], None]) -> None:
        """Run the task when those before it are done."""
        with self._lock:
            self._tasks.append(task)
            if not self._running:
                run_in_background(self._run_all, self._name)
                self._running = True

    def _run_all(self) -> None:
        while True:
            with self._lock:
                if not self._tasks:
                    self._running = False
                    return
                task = self._tasks.popleft()
            with suppress(Exception):
                task()


@dataclass(frozen=True)
class UnknownOutcome:
    """A request, and those of its calls whose outcome is unknown."""

    user_input: UserInput
    calls: tuple[PlannedCall, ...] = ()

    def __str__(self) -> str:
        count, free = len(self.calls), all(call.endpoint.free for call in self.calls)
        message = ngettext(
            "{count} call has an unknown outcome.", "{count} calls have an unknown outcome.", count
        )
        error = OutcomeUnknown(message, billed=False if free else None, remedy=Remedy.RETRY)
        error.front = PANEL
        return str(error)


class RequestQueue:
    """What runs, what waits, and what Retry sends again. It paints the progress of a panel."""

    def __init__(self, studio: Studio, panel: Panel) -> None:
        self._studio, self._panel = studio, panel
        self._lock = threading.Lock()
        self._worker = Worker("panel requests")
        self._waiting: list[tuple[UserInput, Plan]] = []
        self._running: Plan | None = None
        self._batch: Batch | None = None  # of what runs; None while all of it is cached
        self._cancelled = False
        self.unknown_outcome: UnknownOutcome | None = None  # of what ended last, or was refused

    @property
    def running(self) -> bool:
        """Whether a request runs or waits."""
        return self._running is not None or bool(self._waiting)

    @property
    def queued(self) -> int:
        """The number of requests that wait."""
        return len(self._waiting)

    def plan(self, user_input: UserInput) -> Plan:
        """Return the plan of Generate: where everything is cached, a new request for all of it."""
        plan = self._studio.plan(user_input)
        if all(call.reused and not call.reused.awaits_job for call in plan.calls) and not plan.local.get(
            "offline"
        ):
            plan = self._studio.plan(_set(user_input, "new"))
        return plan

    def submit(self, user_input: UserInput) -> bool:
        """Queue a request. Return False, and queue nothing, when the same request is in progress.

        Raises what `Studio.plan` raises.
        """
        try:
            plan = self.plan(user_input)
        except OutcomeUnknown:
            self.unknown_outcome = UnknownOutcome(user_input)
            raise
        return self._queue(user_input, plan)

    def retry(self) -> bool:
        """Queue again the calls of unknown outcome, which may bill them twice; see `submit`."""
        unknown, self.unknown_outcome = self.unknown_outcome, None
        if unknown is None:
            return False
        plan = self._studio.plan(_set(unknown.user_input, "retry"))
        if not plan.to_send:  # each has an older cached result: send again only what is unknown
            new_plan = self._studio.plan(_set(unknown.user_input, "new"))
            identities = _get_identities(unknown.calls)
            pairs = zip(plan.calls, new_plan.calls, strict=True)
            calls = (new if new.request.identity in identities else cached for cached, new in pairs)
            plan = replace(new_plan, calls=tuple(calls))
        return self._queue(unknown.user_input, plan)

    def _queue(self, user_input: UserInput, plan: Plan) -> bool:
        identities = _get_identities(plan.calls)
        with self._lock:
            plans = [*(waiting for _, waiting in self._waiting), *([self._running] if self._running else [])]
            live = (self._studio.ledger.live(call.request) for call in plan.to_send)
            queued = any(identities == _get_identities(other.calls) for other in plans)
            if queued or (plan.to_send and all(live)):
                return False
            self._waiting.append((user_input, plan))
        self._worker.submit(self._run_next)
        return True

    def drop_waiting(self) -> int:
        """Drop what waits, and return how many requests that were; what runs goes on."""
        with self._lock:
            count = len(self._waiting)
            self._waiting.clear()
        return count

    def cancel(self) -> int:
        """Cancel what runs, and drop what waits; return how many requests waited."""
        with self._lock:
            self._cancelled = self._running is not None
        return self.drop_waiting()

    def _run_next(self) -> None:
        with self._lock:
            if not self._waiting:
                return
            user_input, plan = self._waiting.pop(0)
            self._running, self._cancelled, self._batch = plan, False, None
        try:
            self._panel.post_state()
            self._panel.guard(lambda: self._carry_out(user_input, plan))
        finally:
            with self._lock:
                self._running = None
            self._panel.post_state()

    def _carry_out(self, user_input: UserInput, plan: Plan) -> None:
        self.unknown_outcome = None  # of the request before: Retry belongs to the message beside it
        try:
            result = self._studio.carry_out(plan, self, in_cell=False)
        except OutcomeUnknown:
            self.unknown_outcome = UnknownOutcome(user_input, self._list_unknown(plan) or plan.calls)
            raise
        except ImagineError as error:
            if calls := self._list_unknown(plan):  # the error is about another call
                self.unknown_outcome = UnknownOutcome(user_input, calls)
                error.front = PANEL
                raise OutcomeUnknown(f"{error}\n{self.unknown_outcome}", billed=None) from None
            raise
        calls = self._list_unknown(plan)
        self.unknown_outcome = UnknownOutcome(user_input, calls) if calls else None
        self._panel.show_result(result, plan)

    def _list_unknown(self, plan: Plan) -> tuple[PlannedCall, ...]:
        """Return the calls of a plan that has ended whose outcome is unknown."""
        if self._batch is None:
            return tuple(call for call in plan.calls if call.unknown_outcome)
        calls = self._batch.calls
        return tuple(call.planned for call in calls if isinstance(call.error, OutcomeUnknown))

    # Progress: see `session.waiting.ProgressDisplay`

    def planned(self, plan: Plan) -> None:
        """Show the plan of a sweep, or of a second job."""
        self._panel.show_plan(plan)

    def working(self, batch: Batch) -> None:
        """Show how far the calls are; Cancel takes effect here."""
        self._batch = batch
        if self._cancelled:
            batch.cancel()
        self._panel.show_progress(batch)

    def failed(self, batch: Batch) -> None:
        """Keep the calls; the panel shows the error itself."""
        self._batch = batch


def _get_identities(calls: Iterable[PlannedCall]) -> frozenset[str]:
    return frozenset(call.request.identity for call in calls)


def _set(user_input: UserInput, flag: str) -> UserInput:
    return replace(user_input, options={**user_input.options, flag: True})
