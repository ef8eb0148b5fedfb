"""Start the calls of a plan: each request once, within the caps, with its key, and with room to store it.

`Scheduler` decides what has to be sent, under a lock that prevents two threads from starting the same
request. A `Batch` carries the calls of a plan out in background threads, as the `Limiter` of each server
allows.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen import catalog, client, imaging
from ipyimagegen.core.background import POLL, run_in_background
from ipyimagegen.core.errors import Detached, ImagineError, OutcomeUnknown
from ipyimagegen.core.messages import Remedy, _
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.run import Job, Run
from ipyimagegen.results import Sweep, measure_shape
from ipyimagegen.session.call import STOPPED, Call, finish_job, send_call
from ipyimagegen.session.executors import PROBE_SECONDS, ExecutorTransport
from ipyimagegen.session.planning import look_up
from ipyimagegen.session.processing import CallContext, ResponseProcessor, Thumbs
from ipyimagegen.session.waiting import HeldInterrupts, mark_unsent

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.core.redact import Credentials
    from ipyimagegen.session.studio import Studio

AHEAD = 2  # threads for each call that a server takes at once: some store while others are sent
# Images processed at once: a slot more than there are cores, since an image waits for the disk.
PROCESSING_SLOTS = (os.cpu_count() or 1) + 1
PATIENCE = 1.0  # seconds for which processing lets calls be sent first
ROOM = 8 << 20  # bytes: a generous image
KEPT = 192  # small images: of the sheets that a cell shows, whose tiles may hold several
AT_ONCE = 64  # images for which there has to be room before a sweep begins; it says when there is none left


class Limiter:
    """What the calls to a server share: how many run at once, in which order, and the pause after a 429."""

    def __init__(self) -> None:
        self.parallel = 1
        self._running = 0
        self._queue: deque[ExitStack] = deque()
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._resume_at = 0.0
        self._about_to_send, self._free_slots = 0, PROCESSING_SLOTS
        self._slot_freed = threading.Condition(lock)

    def acquire(self, given_up: Callable[[], bool]) -> ExitStack:
        """Wait in the order of arrival for a permit to send, and return it; its closing lets the next run.

        A call that is given up gets a permit that does not count.
        """
        permit = ExitStack()
        with self._changed:
            self._queue.append(permit)
            while (self._queue[0] is not permit or self._running >= self.parallel) and not given_up():
                self._changed.wait(POLL)
            if self._queue[0] is permit and self._running < self.parallel:
                self._running += 1
                permit.callback(self._release)
            self._queue.remove(permit)
            self._changed.notify_all()
        return permit

    def _release(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def back_off(self, token: client.CancelToken, seconds: float) -> None:
        """Hold back every call to this server for that many seconds."""
        with self._changed:
            self._resume_at = max(self._resume_at, token.clock() + seconds)

    def wait_for_back_off(self, token: client.CancelToken) -> None:
        """Wait until calls may be sent, or this call is not to be sent any more."""
        while (left := self._resume_at - token.clock()) > 0 and not token.wait_to_send(min(left, POLL)):
            pass

    @contextmanager
    def prepare_sending(self) -> Iterator[None]:
        """Hold back the processing of images while a call is prepared and sent."""
        with self._changed:
            self._about_to_send += 1
        try:
            yield
        finally:
            with self._changed:
                self._about_to_send -= 1
                self._slot_freed.notify(self._free_slots)

    @contextmanager
    def processing_slot(self) -> Iterator[None]:
        """Wait for a slot to process an image in, and hold it.

        Calls that are about to be sent come first, for a while: images can be processed while the server
        works.
        """
        patient_until = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                sends_next = self._about_to_send or (self._queue and self._running < self.parallel)
                if self._free_slots and (not sends_next or time.monotonic() >= patient_until):
                    break
                self._slot_freed.wait(POLL)
            self._free_slots -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free_slots += 1
                self._slot_freed.notify()


class Batch:
    """The calls of a plan, in its order; `new` are those that this batch sends itself."""

    def __init__(self, plan: Plan, calls: Sequence[Call], new: Sequence[Call] = ()) -> None:
        self.plan, self.calls, self.new = plan, tuple(calls), tuple(new)
        self.snapshot: Callable[[], Sweep] | None = None  # the results so far, as a sweep
        self._first = 0  # the calls before it have settled
        self._cancelled = False
        self._lock = threading.Lock()
        self._queues: Mapping[Limiter, deque[Call]] = {}
        self._forget: Callable[[Call], None]

    def start(self, queues: Mapping[Limiter, deque[Call]], forget: Callable[[Call], None]) -> None:
        """Start the new calls as their limiters allow; `forget` gets each that is not started after all."""
        self._queues, self._forget = queues, forget
        if len(self.new) == 1:  # its clock also counts the wait for a permit
            self.new[0].began = self.new[0].token.clock()
        for limiter, queue in queues.items():
            work = partial(self._work_off, queue, limiter, threading.Lock())
            threads: list[threading.Thread] = []
            try:
                for _thread in range(min(len(queue), AHEAD * limiter.parallel)):
                    threads.append(run_in_background(work, "calls"))  # noqa: PERF401 - some may start
            except RuntimeError as error:  # the system has no thread left; those that run do the work
                if not threads:
                    reason = _("Not sent: {cause}.", cause=str(error).rstrip("."))
                    self._call_off(queue, reason, keep_shared=False)

    def _work_off(self, queue: deque[Call], limiter: Limiter, turn: threading.Lock) -> None:
        """Carry out the calls of a server in order, each as soon as it may be sent."""
        while True:
            with turn:
                permit = limiter.acquire(lambda: not queue)
                with self._lock:
                    call = queue.popleft() if queue else None
            if call is None:
                permit.close()
                return
            call.carry_out(permit)

    def _call_off(self, queue: deque[Call], reason: str, *, keep_shared: bool) -> None:
        """End the calls of a queue unsent, the last first, so that numbers are given back."""
        with self._lock:
            calls = list(queue)
            kept = {call for call in calls if keep_shared and call.shared}
            queue.clear()
            queue.extend(call for call in calls if call in kept)
            for call in reversed(calls):
                if call in kept:
                    continue
                self._forget(call)  # first, so that nobody waits for it from now on
                call.call_off(Detached(reason, remedy=Remedy.RUN_AGAIN))

    def stop(self) -> None:
        """Stop sending: calls that wait here, and calls that an executor has not begun.

        Calls that another batch waits for, too, go on.
        """
        for queue in self._queues.values():
            self._call_off(queue, STOPPED, keep_shared=True)
        if self.plan.axes:  # a single call goes on
            for call in self.calls:
                if not call.settled and not call.shared:
                    call.token.detach()

    def cancel(self) -> None:
        """Cancel the calls that have begun, and start no others, as `stop`."""
        self.stop()
        if self._cancelled:
            return
        self._cancelled = True
        for call in self.calls:
            if not call.settled and not call.shared:
                call.token.cancel()
            call.holders -= 1

    def wait(self, seconds: float) -> bool:
        """Wait that long at most; return whether all calls have settled."""
        if self.settled:
            return True
        first = min(self._first, len(self.calls) - 1)  # another thread may have looked meanwhile
        return self.calls[first].wait(seconds) and self.settled

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen; calls that have settled are not looked at again."""
        first = self._first
        while first < len(self.calls) and self.calls[first].settled:
            first += 1
        self._first = first
        return first == len(self.calls)

    @property
    def is_taking_back(self) -> bool:
        """Whether some call that is not to be sent any more may still end unsent."""
        remote = self.plan.executor is not None
        left = [call for call in self.calls if not call.settled and call.token.detached]
        return any(remote or not call.sending for call in left)

    @property
    def error(self) -> ImagineError | None:
        """Why there is nothing at all to show, once all calls have settled."""
        # Lists: an interrupt that comes while Python closes a generator is lost.
        errors = [call.error for call in self.calls if call.error] if self.settled else []
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
    def job(self) -> Job | None:
        """The job of a single call, while it is asked for."""
        return None if self.plan.axes else self.calls[0].job

    @property
    def partial(self) -> bytes | None:
        """The newest partial image of a single call's stream, as it came."""
        return None if self.plan.axes else self.calls[0].partial


class Scheduler:
    """Starts calls for a studio; `notify` gets the run of every call that ends."""

    def __init__(self, studio: Studio, notify: Callable[[Run], None]) -> None:
        self._studio, self._notify = studio, notify
        self._limiters: defaultdict[str, Limiter] = defaultdict(Limiter)  # by base URL
        self._starting = threading.Lock()
        self._thumbs: Thumbs = {}  # of the newest calls alone: they are large

    @mark_unsent
    def start(self, plan: Plan, hold: HeldInterrupts, cell: object, ends: float | None = None) -> Batch:
        """Return the calls of the plan, started, or what makes them needless.

        What was in flight when the plan was made may have finished since; so the history is read once more,
        under the lock that keeps two threads from paying for the same request. Interrupts are held back from
        the moment something is started. Raises MissingKey, OverBudget, StoreError, or Detached when
        `time.monotonic` is past `ends` before that; then nothing was sent.
        """
        ledger = self._studio.ledger
        exchange = None
        if plan.executor is not None and plan.new:  # one that is busy with what is waited for does not answer
            exchange = ExecutorTransport(plan.executor, send_key=bool(plan.local.get("send_key")))
            timeout = plan.local.get("timeout")
            seconds = min(float(timeout), PROBE_SECONDS) if timeout else PROBE_SECONDS
            exchange.check([call.endpoint for call in plan.new], seconds)
        with self._starting:
            calls = [self._find_call(planned, plan) for planned in plan.calls]
            new = [call for call in calls if call.work is None and not call.settled]
            queues = self._prepare(plan, new, cell, exchange) if new else {}
            if new and ends is not None and time.monotonic() > ends:
                raise Detached(_("The time was over before anything was sent."), remedy=Remedy.RUN_AGAIN)
            if new:
                hold.take()  # until somebody waits for it
                self._thumbs.clear()
            to_start = set(new)
            for call in calls:  # in the order of the plan, as the next time
                if call in to_start:
                    ledger.take(call, cell)
                else:
                    ledger.recall(call.planned.answered or call.run.id)
            batch = Batch(replace(plan, calls=tuple(call.planned for call in calls)), calls, new)
            batch.start(queues, ledger.settle)
            return batch

    def _find_call(self, planned: PlannedCall, plan: Plan) -> Call:
        """Return the call in flight or the cached result of a request, or a new call."""
        ledger = self._studio.ledger
        if planned.reused:
            return Call(planned, cached=planned.reused)
        if not plan.local.get("new") and (call := ledger.live(planned.request)):
            call.holders += 1
            call.token.attach()
            return call
        # Listed before the history is read: what another notebook adds meanwhile is a rival.
        known = frozenset(run.id for run in self._studio.store.find_identical(planned.request.identity))
        try:
            cached = look_up(planned, plan.local, plan.settings, ledger)
        except OutcomeUnknown as error:
            if not plan.axes:
                raise
            return Call(replace(planned, unknown_outcome=error.with_traceback(None)))
        return Call(replace(planned, reused=cached, unknown_outcome=None), cached=cached, known=known)

    def _prepare(
        self,
        plan: Plan,
        new: Sequence[Call],
        cell: object,
        exchange: ExecutorTransport | None,
    ) -> Mapping[Limiter, deque[Call]]:
        """Give the new calls work if budget, keys and disk space suffice for all; return their queues."""
        if plan.executor is not None and exchange is None:
            raise Detached(_("The call in flight has just ended. Nothing was sent."), remedy=Remedy.RUN_AGAIN)
        studio, planned = self._studio, [call.planned for call in new]
        studio.ledger.check_caps(planned, studio.settings, cell)  # as they are now; before a key is asked for
        credentials: dict[str, Credentials | None] = {}
        for url, endpoint in {call.endpoint.base_url: call.endpoint for call in planned}.items():
            here = exchange is None or plan.local.get("send_key")  # else the workers find the key
            credentials[url] = own = studio.keys.obtain(endpoint) if here else None
            catalog.check_transport(endpoint, has_key=bool(own and own.secrets))
        files = {sha256: data for call in planned for sha256, data in call.files.items()}
        images = min(sum(call.request.count for call in planned), max(AT_ONCE, planned[0].request.count))
        studio.store.probe(images * ROOM + sum(map(len, files.values())))
        tools = replace(studio.tools, offline=bool(plan.local.get("offline")))
        edge = imaging.measure_tile_edge(*measure_shape(plan.axes)) if plan.axes else None
        queues: dict[Limiter, deque[Call]] = {}
        for call in new:
            url = call.planned.endpoint.base_url
            limiter = self._limiters[url]
            limiter.parallel = plan.settings.max_parallel
            queues.setdefault(limiter, deque()).append(call)
            call.token, call.done = tools.control(), self._finish
            call.work = partial(
                send_call,
                credentials=credentials[url],
                limiter=limiter,
                context=tools,
                edge=edge,
                exchange=exchange or client.exchange,
            )
        return queues

    def _finish(self, call: Call) -> None:
        if len(self._thumbs) < KEPT:
            self._thumbs.update(call.thumbs)
        call.thumbs.clear()
        self._studio.ledger.settle(call)
        self._notify(call.run)

    def fetch(
        self,
        run: Run,
        endpoint: Endpoint,
        credentials: Credentials | None,
        context: CallContext,
        *,
        trusted: bool,
    ) -> Batch:
        """Return the call that fetches what a stored run still awaits, started: its job, pending downloads.

        `trusted` is whether the user configured the endpoint, see `ResponseProcessor`.
        """
        call = Call(PlannedCall(request=run.request, sent=run.sent, endpoint=endpoint, estimate=run.cost))
        call.run, call.recorded = run, True
        call.token, call.done = context.control(), self._finish
        call.token.start(context.timeouts.limit(endpoint).whole)
        processor = ResponseProcessor(
            context=context,
            endpoint=endpoint,
            token=call.token,
            redactor=self._studio.keys.redactor_of(endpoint),
            credentials=credentials,
            thumbs=call.thumbs,
            trusted=trusted,
        )
        call.work = lambda call, _permit: processor.fetch_pending(finish_job(call, processor, credentials))
        if run.awaits_job:
            self._studio.ledger.resume(call)
        run_in_background(partial(call.carry_out, ExitStack()), f"fetch {run.id}")
        return Batch(Plan(calls=(call.planned,)), [call])

    def thumb(self, sha256: str, path: Path, edge: int) -> PilImage | None:
        """Return the thumbnail made while a file was checked, or make it now."""
        thumb = self._thumbs.get((sha256, edge))
        if thumb is None and (thumb := imaging.inspect(path, edge=edge).thumb) and len(self._thumbs) < KEPT:
            self._thumbs[sha256, edge] = thumb
        return thumb
