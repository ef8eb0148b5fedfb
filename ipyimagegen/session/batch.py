"""The calls of a plan: a single call, or the many of a sweep, started as their servers have room."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING

from ipyimagegen.core.background import run_in_background
from ipyimagegen.core.errors import Detached, ImagineError
from ipyimagegen.core.messages import Remedy, _
from ipyimagegen.core.plan import Plan
from ipyimagegen.results import Generation, Sweep
from ipyimagegen.session.call import STOPPED, Call
from ipyimagegen.session.limiter import Limiter

if TYPE_CHECKING:
    from ipyimagegen.session.studio import Studio

AHEAD = 2  # threads for each call that a server takes at once: some store while others are sent


class Batch:
    """The calls of a plan, in its order; `new` are those that this batch sends itself."""

    def __init__(self, plan: Plan, calls: Sequence[Call], new: Sequence[Call] = ()) -> None:
        self.plan, self.calls, self.new = plan, tuple(calls), tuple(new)
        self.snapshot: Callable[[], Sweep] | None = None  # the results so far, as a sweep
        self._first = 0  # the calls before it have settled
        self._lock = threading.Lock()
        self._queues: list[deque[Call]] = []
        self._forget: Callable[[Call], None] = lambda _call: None

    def start(self, find_limiter: Callable[[Call], Limiter], forget: Callable[[Call], None]) -> None:
        """Start the new calls as their limiters allow; `forget` gets each that is not started after all."""
        self._forget = forget
        queues: dict[Limiter, deque[Call]] = {}
        for call in self.new:
            queues.setdefault(find_limiter(call), deque()).append(call)
        self._queues = list(queues.values())
        if len(self.new) == 1:  # its clock also counts the wait for a permit
            self.new[0].begin()
        for limiter, queue in queues.items():
            work = partial(self._work_off, queue, limiter, threading.Lock())
            threads: list[threading.Thread] = []
            try:
                for _thread in range(min(len(queue), AHEAD * limiter.parallel)):
                    threads.append(run_in_background(work, "calls"))  # noqa: PERF401 - some may start
            except RuntimeError as error:  # the system has no thread left; those that run do the work
                if not threads:
                    self._call_off(queue, _("Not sent: {cause}.", cause=str(error).rstrip(".")))

    def _work_off(self, queue: deque[Call], limiter: Limiter, turn: threading.Lock) -> None:
        """Carry out the calls of a server in order, each as soon as it may be sent."""
        while True:
            with turn:
                permit = limiter.acquire(lambda: not queue)
                with self._lock:
                    call = queue.popleft() if queue else None
            if call is None:
                permit.give()
                return
            call.carry_out(permit)

    def _call_off(self, queue: deque[Call], reason: str) -> None:
        """Empty a queue; every call in it ends unsent, the last first, so that numbers are given back."""
        with self._lock:
            calls = list(queue)
            queue.clear()
            for call in reversed(calls):
                self._forget(call)  # first, so that nobody waits for it from now on
                call.call_off(Detached(reason, remedy=Remedy.RUN_AGAIN))

    def stop(self) -> None:
        """Send no more: neither what waits here nor what an executor has not begun."""
        for queue in self._queues:
            self._call_off(queue, STOPPED)
        if self.plan.axes:  # a single call goes on
            for call in self.calls:
                if not call.settled and not call.shared:
                    call.token.detach()

    def cancel(self) -> None:
        """Give up what was begun, and begin no more."""
        self.stop()
        for call in self.calls:
            if not call.settled:
                call.token.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait that long at most; return whether all calls have settled."""
        call = self._find_unsettled()
        return call is None or (call.wait(seconds) and self.settled)

    def _find_unsettled(self) -> Call | None:
        """Return the first call that has not settled; those before it are not looked at again."""
        while self._first < len(self.calls) and self.calls[self._first].settled:
            self._first += 1
        return self.calls[self._first] if self._first < len(self.calls) else None

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen."""
        return self._find_unsettled() is None

    @property
    def is_taking_back(self) -> bool:
        """Whether some call that is not to be sent any more may still end unsent."""
        remote = self.plan.executor is not None
        left = [call for call in self.calls if not call.settled and call.token.detached]
        return any(remote or not call.sending for call in left)

    @property
    def error(self) -> ImagineError | None:
        """Why there is nothing at all to show, once all calls have settled."""
        if not self.settled:
            return None
        # Lists: an interrupt that comes while Python closes a generator is lost.
        errors = [call.error for call in self.calls if call.error]
        if not errors or [call for call in self.calls if call.has_images or call.cached]:
            return None
        billed = [call.error for call in self.calls if call.error and call.may_be_billed]
        error = (billed or errors)[0]
        if len(self.calls) == 1:
            return error
        values = {"count": len(self.calls), "billed": len(billed), "error": error.args[0]}
        message = _("None of {count} calls returned an image. The first: {error}", **values)
        if billed:
            message = _(
                "None of {count} calls returned an image; {billed} may have been billed. The first: {error}",
                **values,
            )
        error = copy(error)
        error.args = (message,)
        return error

    @property
    def elapsed(self) -> float:
        """Seconds since the first of its calls began, here or in an earlier cell."""
        return max((call.elapsed for call in self.calls), default=0.0)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that it may still take, judged by what it took so far; None while that is not known."""
        sent = [call for call in self.calls if not call.cached and not call.planned.unknown_outcome]
        settled = sum(call.settled for call in sent)
        return self.elapsed / settled * (len(sent) - settled) if settled else None

    @property
    def partial(self) -> bytes | None:
        """The newest partial image of a single call's stream, as it came."""
        return None if self.plan.axes else self.calls[0].partial


def gather_sweep(batch: Batch, studio: Studio, results: Sequence[Generation] | None = None) -> Sweep:
    """Return a sweep as it is now, or of these results."""
    new = set(batch.new)
    sent = {
        index: call.planned.estimate
        for index, call in enumerate(batch.calls)
        if call in new and not call.unsent and call.run.sent.attempts
    }
    generations = results or [_to_generation(call, studio) for call in batch.calls]
    return Sweep(batch.plan.axes, generations, prompt=batch.plan.prompt, estimates=sent, handle=studio)


def gather_final(batch: Batch, studio: Studio, ends: float | None, *, offline: bool) -> Sweep:
    """Return a sweep whose calls have settled: pending downloads of stored results are fetched until `ends`.

    Raises Detached when that is interrupted or takes longer, and the last error when nothing can be shown.
    """
    results: list[Generation] = []
    last_error: ImagineError | None = None
    for call in batch.calls:
        if call.cached is None:
            results.append(_to_generation(call, studio))
            continue
        left = None if ends is None else max(ends - time.monotonic(), 0.0)
        try:
            results.append(studio.reuse(call.cached, None, left, offline=offline))
        except Detached:
            stopped = _("Stopped. The images so far are in the history.")
            last_error = Detached(stopped, remedy=Remedy.RUN_AGAIN)
            break
        except ImagineError as error:
            last_error = error
            results.append(studio.generation(call.cached.replace(images=()), failure=error))
    if last_error and (isinstance(last_error, Detached) or not any(results)):
        raise last_error
    return gather_sweep(batch, studio, results)


def _to_generation(call: Call, studio: Studio) -> Generation:
    if call.has_images or (call.cached and not call.error):
        return studio.generation(call.run, reused=call.cached is not None)
    status = "in progress" if call.has_begun else "waiting"
    run = call.run if call.planned.unknown_outcome is None else studio.store.run(call.planned.answered or "")
    assert run is not None  # a request of unknown outcome has a record
    return studio.generation(run.replace(images=()), failure=call.error or status)
