"""Waiting for a call: only who waits is interrupted, the call goes on, and nothing is torn apart."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import ParamSpec, Protocol, Self, TypeVar

from ipyimagegen.core.errors import Detached, ImagineError, StoreError
from ipyimagegen.core.plan import Plan
from ipyimagegen.core.text import format_count
from ipyimagegen.session.batch import Batch, CallSlot

STEP = 0.02  # seconds between two looks at what is being taken back
POLL = 0.2  # seconds that the waiting thread sleeps at a time, so that an interrupt ends it soon
TAKING_BACK = 0.5  # seconds in which calls that were not sent yet are taken back
P = ParamSpec("P")
T = TypeVar("T")


class ProgressDisplay(Protocol):
    """Where a door shows what goes on while it waits."""

    def planned(self, plan: Plan) -> None:
        """Show what a sweep is about to ask for, before the first call."""

    def working(self, batch: Batch) -> None:
        """Show how far the calls in flight are, and what came so far.

        Called about five times a second, for a sweep at once.
        """

    def failed(self, batch: Batch) -> None:
        """Show that no image came, or what came of a sweep that was stopped; the error itself is raised."""


class HeldInterrupts:
    """Interrupts, held back from `take` to `release`: a call half begun would be one that nobody knows of.

    Leaving the context releases them too.
    """

    def __init__(self) -> None:
        self._heard: list[tuple[int, FrameType | None]] = []
        self._before: Callable[[int, FrameType | None], object] | None = None

    def take(self) -> None:
        """Hold them back from now on; Python interrupts the main thread alone."""
        before = signal.getsignal(signal.SIGINT)
        if callable(before) and threading.current_thread() is threading.main_thread():
            self._before = before
            signal.signal(signal.SIGINT, lambda number, frame: self._heard.append((number, frame)))

    def release(self) -> None:
        """Let them through, the one that came meanwhile at once."""
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGINT, before)
            if self._heard:
                before(*self._heard.pop())

    def forget(self) -> None:
        """Drop what came meanwhile: it asked for what is done already."""
        self._heard.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def wait_for(
    batch: Batch,
    painter: ProgressDisplay | None,
    timeout: float | None,
    hold: HeldInterrupts | None = None,
    began: float | None = None,
) -> None:
    """Wait, and paint, until all calls are settled; their errors are left to the caller.

    Raises Detached when that is interrupted, or takes more than `timeout` seconds, from `began` on (by
    `time.monotonic`) or from now: what was sent goes on, the rest of a sweep is not sent.
    """
    stopped = halted = False
    with HeldInterrupts() as tail:  # what has to be done behind an interrupt is not torn by another
        try:
            if hold:
                hold.release()
            _watch(batch, painter, timeout, time.monotonic() if began is None else began)
        except KeyboardInterrupt:
            stopped = True
        finally:
            tail.take()
            halted = not batch.settled
            if halted:
                batch.stop()
                _wait_for_what_is_taken_back(batch)
        ended = batch.settled and not stopped and not (halted and batch.plan.axes)
        if ended and not batch.error:
            return
        if painter:
            painter.failed(batch)
        if not ended:
            tail.forget()
            raise _detached(batch, "" if stopped else f" after {timeout:g} s", stopped=stopped)


def _wait_for_what_is_taken_back(batch: Batch) -> None:
    """Wait a moment, so that what is told counts what will not be sent."""
    until = time.monotonic() + TAKING_BACK
    while batch.taking_back and (left := until - time.monotonic()) > 0:
        batch.wait(min(left, STEP))


def _watch(batch: Batch, painter: ProgressDisplay | None, timeout: float | None, began: float) -> None:
    """Paint until all calls are settled, or the time is over."""
    if painter and batch.plan.axes and [slot for slot in batch.slots if slot.job]:
        painter.working(batch)  # it hears of every sweep, also of one that is over at once
    while not batch.wait(POLL):
        if painter:
            painter.working(batch)
        if timeout is not None and time.monotonic() - began > timeout:
            return


def _detached(batch: Batch, after: str = "", *, stopped: bool) -> Detached:
    """Return what is told to a person who waits no longer; the second interrupt gives the calls up."""
    jobs = [slot.job for slot in batch.slots if slot.job]
    if not jobs:
        return Detached("Stopped. Nothing was sent, nothing billed: run the cell again.")
    given_up: list[CallSlot] = []
    for slot in batch.slots:
        if slot.job and stopped and slot.job.interrupted and not slot.settled:
            slot.job.cancel()
            given_up.append(slot)
    for job in jobs:
        job.interrupted |= stopped
    if batch.plan.axes:
        return _detached_sweep(batch, after, given_up)
    (job,) = jobs
    lands = f"its images land in the history as {job.run.id}. Run the cell again to wait."
    told = f"The call goes on while this Python runs; {lands}"
    if job.finished:
        told = f"The call {job.run.id} has ended: run the cell again to show what it brought."
    elif given_up:
        told = "The call was given up; what was sent may have been billed: --retry asks again."
    return Detached(f"Stopped waiting for {job.run.request.endpoint}{after}.\n{told}")


def _detached_sweep(batch: Batch, after: str, given_up: list[CallSlot]) -> Detached:
    elsewhere = batch.plan.executor is not None
    ways = Counter(_way(slot, given_up, elsewhere=elsewhere) for slot in batch.slots)
    given, doubtful = ways["given up"], ways["may have been billed"]
    told = [f"{ways['came']} of {len(batch.slots)} came"]
    told += [f"{format_count(ways[way], 'call')} {way}" for way in ("given up", "under way") if ways[way]]
    told += [f"{ways[way]} {way}" for way in ("may have been billed", "failed", "not sent") if ways[way]]
    again = "Run the cell again: it asks only for what is missing."
    if given:
        again = "What was given up may have been billed: --retry asks for it again, too."
    elif doubtful:
        again = "Run the cell again: it asks for the rest; for what may have been billed only with --retry."
    return Detached(f"Stopped{after}: {', '.join(told)}.\n{again}")


def _way(slot: CallSlot, given_up: list[CallSlot], *, elsewhere: bool) -> str:
    """Return what has become of a call by now; it may be ending at this moment."""
    if not slot.settled:
        assert slot.job is not None
        if slot in given_up:
            return "given up"
        kept_back = slot.job.control.detached and not slot.job.leaving and not elsewhere
        return "not sent" if kept_back else "under way"
    if slot.came:
        return "came"
    if slot.unsent:
        return "not sent"
    return "may have been billed" if slot.doubtful else "failed"


def mark_unsent(work: Callable[P, T]) -> Callable[P, T]:
    """Let an interrupt of this work, or a store that cannot be used, say that nothing was sent."""

    @wraps(work)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except Detached:
            raise
        except KeyboardInterrupt:
            ended: ImagineError = Detached("Stopped. Nothing was sent, nothing billed: run the cell again.")
        except StoreError as fault:
            ended = fault.unsent()
        raise ended

    return inner
