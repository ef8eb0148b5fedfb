"""Waiting for a call: only who waits is interrupted, the call goes on, and nothing is torn apart."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import ParamSpec, Protocol, Self, TypeVar

from ipyimagegen.errors import Detached, ImagineError, StoreError
from ipyimagegen.plan import Planned
from ipyimagegen.work import Job

POLL = 0.2  # seconds that the waiting thread sleeps at a time, so that an interrupt ends it soon
P = ParamSpec("P")
T = TypeVar("T")


class Painter(Protocol):
    """Where a door shows what goes on while it waits."""

    def working(self, planned: Planned, job: Job) -> None:
        """Show the status of a call in flight, and the newest picture of its stream if there is one.

        Called about five times a second. The picture is a file as the server sent it, not yet opened.
        """

    def failed(self, planned: Planned, job: Job) -> None:
        """Show that no picture came; the error itself is raised."""


class Hold:
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def wait_for(
    job: Job,
    planned: Planned | None,
    painter: Painter | None,
    timeout: float | None,
    hold: Hold | None = None,
) -> None:
    """Wait, and paint, until the job has finished; its error is left to the caller.

    Raises Detached when that is interrupted, or took more than `timeout` seconds.
    """
    after, began, stopped = "", time.monotonic(), False
    try:
        if hold:
            hold.release()
        while not job.wait(POLL):
            if painter and planned:
                painter.working(planned, job)
            if timeout is not None and time.monotonic() - began > timeout:
                after = f" after {timeout:g} s"
                break
    except KeyboardInterrupt:
        stopped = True
    else:
        if job.finished and not job.error:
            return
    if painter and planned:
        painter.failed(planned, job)
    if stopped or not job.finished:
        raise _detached(job, after, stopped=stopped)


def _detached(job: Job, after: str = "", *, stopped: bool) -> Detached:
    """Return what is told to a person who waits no longer; the second interrupt gives the call up."""
    lands = f"its pictures land in the history as {job.run.id}. Run the cell again to wait."
    told = f"The call goes on while this Python runs; {lands}"
    if job.finished:
        told = f"The call {job.run.id} has ended: run the cell again to show what it brought."
    elif stopped and job.interrupted:
        job.cancel()
        told = "The call was given up; what was sent may have been billed: --retry asks again."
    job.interrupted |= stopped
    return Detached(f"Stopped waiting for {job.run.request.endpoint}{after}.\n{told}")


def unsent(work: Callable[P, T]) -> Callable[P, T]:
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
