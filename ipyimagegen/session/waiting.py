"""Wait for calls and gather their results: an interrupt ends the wait, and nothing is left half done."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import TYPE_CHECKING, ParamSpec, Protocol, Self, TypeVar

from ipyimagegen.core.background import POLL
from ipyimagegen.core.errors import Detached, ImagineError, StoreError
from ipyimagegen.core.messages import Remedy, _, join
from ipyimagegen.core.plan import Plan
from ipyimagegen.core.text import list_some
from ipyimagegen.results import Generation, Sweep

if TYPE_CHECKING:
    from ipyimagegen.session.call import Call
    from ipyimagegen.session.scheduler import Batch
    from ipyimagegen.session.studio import Studio

INTERVAL = 0.25  # seconds between two updates of a status line
CLEAR_LINE = "\r\x1b[K"  # of a terminal
STEP = 0.02  # seconds between two looks at calls that are withdrawn
WITHDRAWAL = 0.5  # seconds that calls which are not sent yet get to end
STOPPED_BEFORE = _("Stopped. Nothing was sent.")
P = ParamSpec("P")
T = TypeVar("T")


class ProgressDisplay(Protocol):
    """Where a front door shows the progress of calls."""

    def planned(self, plan: Plan) -> None:
        """Show the plan of a sweep, or of a second job, before the first call."""

    def working(self, batch: Batch) -> None:
        """Show the progress of the calls and the results so far; called about five times a second."""

    def failed(self, batch: Batch) -> None:
        """Show the results of a batch that failed or was stopped; the error itself is raised."""


class StatusLine:
    """The progress of a call on a line of stderr, for Python outside of IPython."""

    def __init__(self) -> None:
        self._updates = sys.stderr.isatty()  # else the line is written once
        self._last_update = 0.0

    def planned(self, plan: Plan) -> None:
        """Write the plan."""
        self._write(plan.summary)

    def working(self, batch: Batch) -> None:
        """Write the plan and the seconds so far, at most four times a second."""
        if not self._last_update or (self._updates and time.monotonic() - self._last_update >= INTERVAL):
            endpoints = list_some(list(dict.fromkeys(call.endpoint.name for call in batch.plan.calls)))
            parts = [endpoints, batch.plan.summary]
            if batch.plan.axes:
                done = sum(call.has_images for call in batch.calls)
                parts.append(_("{done} of {total}", done=done, total=len(batch.calls)))
            self._write(join([*parts, f"{batch.elapsed:.1f} s"]))

    def failed(self, batch: Batch) -> None:
        """Leave the line as it is: the error follows."""

    def clear(self) -> None:
        """Remove the line where that is possible."""
        if self._updates and self._last_update:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()

    def _write(self, line: str) -> None:
        self._last_update = time.monotonic()
        sys.stderr.write(f"{CLEAR_LINE}{line}" if self._updates else f"{line}\n")
        sys.stderr.flush()


@contextmanager
def show_status_line(shown: bool | None) -> Iterator[ProgressDisplay | None]:
    """Show the progress of a Python call on stderr if that is asked for."""
    line = StatusLine() if shown else None
    try:
        yield line
    finally:
        if line:
            line.clear()


class HeldInterrupts:
    """Interrupts, held back from `take` to `release` or the end of the context.

    So no call is left half started.
    """

    def __init__(self) -> None:
        self.received: list[tuple[int, FrameType | None]] = []
        self._before: Callable[[int, FrameType | None], object] | None = None

    def __enter__(self) -> Self:
        return self

    def take(self) -> None:
        """Hold interrupts back from now on; Python interrupts the main thread alone."""
        before = signal.getsignal(signal.SIGINT)
        if callable(before) and threading.current_thread() is threading.main_thread():
            self._before = before
            signal.signal(signal.SIGINT, lambda number, frame: self.received.append((number, frame)))

    def release(self, *_exception: object) -> None:
        """Let interrupts through again, a held interrupt at once."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGINT, before)
            received, self.received = self.received, []
            if received:
                before(*received[-1])

    __exit__ = release


def wait_for(
    batch: Batch,
    painter: ProgressDisplay | None,
    timeout: float | None,
    hold: HeldInterrupts | None = None,
    began: float | None = None,
) -> None:
    """Wait until all calls have settled, and show their progress; their errors are left to the caller.

    Raises Detached when the wait is interrupted, or takes more than `timeout` seconds since `began`
    (`time.monotonic`) or now: calls that were sent go on, the rest of a sweep is not sent.
    """
    began = time.monotonic() if began is None else began
    stopped = halted = False
    with hold or HeldInterrupts() as interrupts:
        try:
            interrupts.release()
            if painter and batch.plan.axes and (batch.new or not batch.settled):
                painter.working(batch)  # at least once for every sweep, also for a sweep that is over at once
            while not batch.wait(POLL):
                if painter:
                    painter.working(batch)
                if timeout is not None and time.monotonic() - began > timeout:
                    break
        except KeyboardInterrupt:
            stopped = True
        finally:
            interrupts.take()  # a second interrupt does not disturb what follows the first
            halted = not batch.settled
            if halted:
                batch.stop()
                _wait_for_withdrawn(batch)
        ended = batch.settled and not stopped and not (halted and batch.plan.axes)
        if ended and not batch.error:
            return
        if painter:
            painter.failed(batch)
        if not ended:
            interrupts.received.clear()
            raise _make_detached(batch, timeout, interrupted=stopped)


def _wait_for_withdrawn(batch: Batch) -> None:
    """Wait a moment, so that the message counts the calls that will not be sent."""
    until = time.monotonic() + WITHDRAWAL
    while batch.is_taking_back and (left := until - time.monotonic()) > 0:
        batch.wait(min(left, STEP))


def _make_detached(batch: Batch, timeout: float | None, *, interrupted: bool) -> Detached:
    """Return the error of a wait that ended early; a second interrupt gives the calls up."""
    if all(call.began is None for call in batch.calls):
        return Detached(STOPPED_BEFORE, remedy=Remedy.RUN_AGAIN)
    cancelled = set()
    for call in batch.calls:
        if interrupted and call.interrupted and not call.settled:
            call.token.cancel()
            cancelled.add(call)
        call.interrupted |= interrupted
    if batch.plan.axes:
        return _make_sweep_detached(batch, timeout, cancelled, interrupted=interrupted)
    (call,) = batch.calls
    endpoint, run = call.run.request.endpoint, call.run.id
    if call.settled:
        return Detached(_("Stopped waiting. The call {run} has ended.", run=run), remedy=Remedy.RUN_AGAIN)
    if cancelled:
        message = _("Stopped waiting for {endpoint} and abandoned the call.", endpoint=endpoint)
        return Detached(message, billed=None, remedy=call.run.remedy, run=run)
    if interrupted:
        message = _(
            "Stopped waiting for {endpoint}. The call {run} goes on; a second interrupt gives it up.",
            endpoint=endpoint,
            run=run,
        )
    else:
        message = _(
            "Stopped waiting for {endpoint} after {seconds} s. The call {run} goes on.",
            endpoint=endpoint,
            seconds=f"{timeout:g}",
            run=run,
        )
    return Detached(message, billed=None, remedy=Remedy.WAIT, run=run)


def _make_sweep_detached(
    batch: Batch, timeout: float | None, cancelled: set[Call], *, interrupted: bool
) -> Detached:
    remote = batch.plan.executor is not None
    counts = Counter(_find_fate(call, cancelled, remote=remote) for call in batch.calls)
    fates = {  # in the order of the message
        "done": _("{count} done", count=counts["done"]),
        "cancelled": _("{count} cancelled", count=counts["cancelled"]),
        "in progress": _("{count} in progress", count=counts["in progress"]),
        "unknown": _("{count} that may have been billed", count=counts["unknown"]),
        "failed": _("{count} failed", count=counts["failed"]),
        "not sent": _("{count} not sent", count=counts["not sent"]),
    }
    listed = [message for fate, message in fates.items() if counts[fate]]
    if interrupted:
        message = _("Stopped. Of {total} calls: {counts}.", total=len(batch.calls), counts=listed)
    else:
        message = _(
            "Stopped after {seconds} s. Of {total} calls: {counts}.",
            seconds=f"{timeout:g}",
            total=len(batch.calls),
            counts=listed,
        )
    unknown = counts["cancelled"] or counts["unknown"]
    remedy = Remedy.RETRY_UNKNOWN if unknown else Remedy.RUN_MISSING
    return Detached(message, billed=None if unknown else False, remedy=remedy)


def _find_fate(call: Call, cancelled: set[Call], *, remote: bool) -> str:
    """Return what has become of a call by now; it may be ending at this moment."""
    if not call.settled:
        if call in cancelled:
            return "cancelled"
        return "not sent" if call.token.detached and not call.sending and not remote else "in progress"
    if call.has_images:
        return "done"
    if call.unsent:
        return "not sent"
    return "unknown" if call.may_be_billed else "failed"


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
    status = "waiting" if call.began is None else "in progress"
    run = call.run if call.planned.unknown_outcome is None else studio.store.run(call.planned.answered or "")
    assert run is not None  # a request of unknown outcome has a record
    return studio.generation(run.replace(images=()), failure=call.error or status)


def wait_at_exit(wait: Callable[[], None]) -> None:
    """Wait once more, and once only, when the program ends."""
    atexit.unregister(wait)
    atexit.register(wait)


def mark_unsent(work: Callable[P, T]) -> Callable[P, T]:
    """State that nothing was sent in the error of an interrupt, or of a store that cannot be used."""

    @wraps(work)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except Detached:
            raise
        except KeyboardInterrupt:
            ended: ImagineError = Detached(STOPPED_BEFORE, remedy=Remedy.RUN_AGAIN)
        except StoreError as fault:
            ended = fault.unsent()
        raise ended

    return inner
