"""The calls of one plan under way: one, or the many of a sweep, begun as their servers have places."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass

from ipyimagegen.core.errors import CallError, Detached, ImagineError, StoreError
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.run import Run, Status
from ipyimagegen.results import Sweep
from ipyimagegen.session.call import NOT_SENT, Job
from ipyimagegen.session.limiter import Limiter

AHEAD = 2  # times what a server takes at once: calls that have begun, those among them that are being stored


@dataclass(frozen=True, kw_only=True)
class CallSlot:
    """The place of one call: a job that asks, or what answers it without asking.

    `known` are the ids of the runs of the same request that there were before; `joined` says that the
    job was under way already.
    """

    planned: PlannedCall
    job: Job | None = None
    stored: Run | None = None
    known: frozenset[str] = frozenset()
    joined: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen."""
        return self.job is None or self.job.finished

    @property
    def run(self) -> Run | None:
        """The newest record, if there is one yet."""
        return self.job.run if self.job else self.stored

    @property
    def status(self) -> str:
        """What stands in its place until then."""
        return "under way" if self.job and self.job.elapsed else "waiting"

    @property
    def error(self) -> ImagineError | None:
        """Why it brought no image, once it is known."""
        return self.job.error if self.job else self.planned.unknown_outcome

    @property
    def doubtful(self) -> bool:
        """Whether it ended without an image and may have cost something."""
        if isinstance(self.error, CallError):
            return self.error.billed is not False
        sent = self.job is not None and self.job.run.sent.attempts > 0
        return isinstance(self.error, StoreError) and sent and not self.planned.endpoint.free

    @property
    def unsent(self) -> bool:
        """Whether it was not begun after all."""
        taken_back = self.job and self.job.control.detached and self.job.run.status is Status.NOT_SENT
        return isinstance(self.error, Detached) or bool(self.error and taken_back)

    @property
    def came(self) -> bool:
        """Whether there are images."""
        return self.settled and self.run is not None and bool(self.run.shown) and not self.error


class Batch:
    """The slots of a plan, in its order."""

    def __init__(self, plan: Plan, slots: Sequence[CallSlot]) -> None:
        self.plan, self.slots = plan, tuple(slots)
        self._jobs = [slot.job for slot in slots if slot.job]
        self._first = 0  # those before it have finished
        self._lock = threading.Lock()
        self._queues: list[deque[Job]] = []
        self._call_off: Callable[[Job], None] = lambda _: None
        self.seen: Callable[[], Sweep] | None = None  # what came so far, as a sweep that can be shown

    def begin(
        self, jobs: Sequence[Job], gate: Callable[[Job], Limiter], call_off: Callable[[Job], None]
    ) -> None:
        """Begin these of its jobs, as their gates let them; `call_off` hears of each that is not begun."""
        self._call_off = call_off
        if len(jobs) == 1:
            self._start(jobs[0])
            return
        by_gate: dict[Limiter, deque[Job]] = {}
        for job in jobs:
            by_gate.setdefault(gate(job), deque()).append(job)
        self._queues = list(by_gate.values())
        for one, queue in by_gate.items():
            feeder = threading.Thread(
                target=self._feed, args=(one, queue), name="imagine: sweep", daemon=True
            )
            try:
                feeder.start()
            except RuntimeError as fault:  # no thread to be had; other servers may have theirs
                self._give_back(reversed(queue), f"not sent: {fault}")
                queue.clear()

    def _feed(self, gate: Limiter, queue: deque[Job]) -> None:
        """Begin the jobs of one server in order, each as soon as it can be sent."""
        room = threading.Semaphore(AHEAD * gate.parallel)
        while queue:
            room.acquire()
            permit = gate.permit(lambda: not queue)
            with self._lock:
                if not queue:
                    permit.give()
                    return
                job = queue.popleft()
                job.permit, job.ended = permit, room.release
                if not self._start(job):
                    permit.give()
                    room.release()

    def _start(self, job: Job) -> bool:
        """Begin a job; say whether there was a thread to be had."""
        try:
            job.start()
        except RuntimeError as fault:
            self._give_back([job], f"not sent: {fault}\nNothing was billed: run the cell again.")
            return False
        return True

    def _give_back(self, jobs: Iterable[Job], why: str) -> None:
        for job in jobs:
            self._call_off(job)  # first, so that nobody waits for it from now on
            job.call_off(Detached(why))

    def stop(self) -> None:
        """Send no more: what was not begun, what waits to be sent, and what an executor has not begun."""
        with self._lock:
            left = [job for queue in self._queues for job in queue]
            for queue in self._queues:
                queue.clear()
            self._give_back(reversed(left), NOT_SENT)
        if self.plan.axes:  # a single call goes on
            for slot in self.slots:
                if slot.job and not slot.job.shared:
                    slot.job.control.detach()

    def cancel(self) -> None:
        """Give up what was begun, and begin no more."""
        self.stop()
        for slot in self.slots:
            if slot.job:
                slot.job.cancel()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; say whether everything is settled."""
        job = self._unsettled()
        return job is None or (job.wait(seconds) and self.settled)

    def _unsettled(self) -> Job | None:
        """Return the first job that has not finished; those before it are not looked at again."""
        at = self._first
        while at < len(self._jobs) and self._jobs[at].finished:
            at += 1
        self._first = at
        return self._jobs[at] if at < len(self._jobs) else None

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen."""
        return self._unsettled() is None

    @property
    def taking_back(self) -> bool:
        """Whether some call that is not to be sent any more may still end as one that was not."""
        elsewhere = self.plan.executor is not None
        left = [job for job in self._jobs if job.control.detached and not job.finished]
        return any(elsewhere or not job.leaving for job in left)

    @property
    def error(self) -> ImagineError | None:
        """Why there is nothing at all to show, once all is settled."""
        if not self.settled:
            return None
        # Lists: an interrupt that comes while Python closes a generator is lost.
        errors = [slot.error for slot in self.slots if slot.error]
        if not errors or [slot for slot in self.slots if slot.came or slot.stored]:
            return None
        doubtful = [slot.error for slot in self.slots if slot.error and slot.doubtful]
        error = (doubtful or errors)[0]
        if len(self.slots) > 1:
            told = f"; {len(doubtful)} may have been billed" if doubtful else ""
            error = copy(error)
            error.args = (f"None of {len(self.slots)} came{told}; the first: {error}",)
        return error

    @property
    def elapsed(self) -> float:
        """Seconds since the first of its calls was begun, here or in an earlier cell."""
        return max((slot.job.elapsed for slot in self.slots if slot.job), default=0.0)

    @property
    def left(self) -> float | None:
        """Seconds that it may still take, by what it took so far; None while that is not known."""
        asked = [slot for slot in self.slots if slot.job]
        done = sum(slot.settled for slot in asked)
        return self.elapsed / done * (len(asked) - done) if done else None

    @property
    def partial(self) -> bytes | None:
        """The newest image of a single call's stream, as it came."""
        job = self.slots[0].job
        return job.partial if job and not self.plan.axes else None
