"""Start the calls of a plan: each request once, within the caps, with its key, and with room to store it.

A lock here prevents two threads from starting the same request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen import catalog, imaging
from ipyimagegen.core.background import run_in_background
from ipyimagegen.core.errors import Detached, OutcomeUnknown
from ipyimagegen.core.messages import Remedy, _
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.redact import ApiKey
from ipyimagegen.core.run import Run
from ipyimagegen.core.settings import Settings
from ipyimagegen.results import measure_shape
from ipyimagegen.session.batch import Batch
from ipyimagegen.session.call import Call, send_call
from ipyimagegen.session.executors import ExecutorTransport
from ipyimagegen.session.limiter import Limiter, Permit
from ipyimagegen.session.planning import look_up
from ipyimagegen.session.processing import Thumbs, load_modules
from ipyimagegen.session.waiting import HeldInterrupts, mark_unsent

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.session.studio import Studio

ROOM = 8 << 20  # bytes: a generous image
KEPT = 192  # small images: of the sheets that a cell shows, whose tiles may hold several
AT_ONCE = 64  # images for which there has to be room before a sweep begins; it says when there is none left


class Scheduler:
    """Starts calls for a studio; `tell` gets the run of every call that ends."""

    def __init__(self, studio: Studio, tell: Callable[[Run], None]) -> None:
        self._studio, self._tell = studio, tell
        self._limiters: dict[str, Limiter] = {}
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
        studio = self._studio
        settings = studio.settings
        exchange = self._find_exchange(plan)
        with self._starting:
            calls = [self._find_call(planned, plan) for planned in plan.calls]
            new = [call for call in calls if call.is_new]
            works = self._prepare(plan, new, settings, cell, exchange)
            if new and ends is not None and time.monotonic() > ends:
                raise Detached(_("The time was over before anything was sent."), remedy=Remedy.RUN_AGAIN)
            if new:
                hold.take()  # until somebody waits for it
                self._thumbs.clear()
            numbered = [call.planned for call in calls if call.is_new or not call.planned.asks]
            runs = studio.ledger.take(numbered, settings, cell)
            for call, run, work in zip(new, runs, works, strict=True):
                studio.ledger.add(call.prepare(run, studio.tools.control(), work, self._finish))
            for call in calls:  # in the order of the plan, as the next time
                studio.ledger.recall(call.planned.answered or call.run.id)
            batch = Batch(replace(plan, calls=tuple(call.planned for call in calls)), calls, new)
            batch.start(
                lambda call: self._find_limiter(call.planned.endpoint, settings.max_parallel),
                studio.ledger.settle,
            )
            return batch

    def _find_call(self, planned: PlannedCall, plan: Plan) -> Call:
        """Return the call in flight or the cached result of a request, or a new call."""
        if planned.reused:
            return Call(planned, cached=planned.reused)
        ledger = self._studio.ledger
        if not plan.local.get("new") and (call := ledger.live(planned.request)):
            call.shared = True
            call.token.attach()
            return call
        # Listed before the history is read: what another notebook adds meanwhile is a rival.
        known = frozenset(run.id for run in ledger.find_identical(planned.request.identity))
        try:
            cached = look_up(planned, plan.local, plan.settings, self._studio.ledger)
        except OutcomeUnknown as error:
            if not plan.axes:
                raise
            return Call(replace(planned, unknown_outcome=error.with_traceback(None)))
        return Call(replace(planned, reused=cached, unknown_outcome=None), cached=cached, known=known)

    def _prepare(
        self,
        plan: Plan,
        new: list[Call],
        settings: Settings,
        cell: object,
        exchange: ExecutorTransport | None,
    ) -> list[Callable[[Call, Permit | None], Run]]:
        """Return the work of each new call, when there are budget, keys and disk space for all."""
        if not new:
            return []
        if plan.executor is not None and exchange is None:
            raise Detached(_("The call in flight has just ended. Nothing was sent."), remedy=Remedy.RUN_AGAIN)
        studio, planned = self._studio, [call.planned for call in new]
        studio.ledger.check_caps(planned, settings, cell)  # before a key is asked for
        endpoints = {call.endpoint.base_url: call.endpoint for call in planned}
        local = exchange is None or bool(plan.local.get("send_key"))  # else the workers find the key
        keys = {url: self._find_key(endpoint) if local else None for url, endpoint in endpoints.items()}
        files = {sha256: data for call in planned for sha256, data in call.files.items()}
        images = min(sum(call.request.count for call in planned), max(AT_ONCE, planned[0].request.count))
        studio.store.probe(images * ROOM + sum(map(len, files.values())))
        load_modules()
        return [
            partial(
                send_call,
                key=keys[call.endpoint.base_url],
                limiter=self._find_limiter(call.endpoint, settings.max_parallel),
                context=replace(studio.tools, offline=bool(plan.local.get("offline"))),
                edge=imaging.measure_tile_edge(*measure_shape(plan.axes)) if plan.axes else None,
                exchange=exchange,
            )
            for call in planned
        ]

    def _find_exchange(self, plan: Plan) -> ExecutorTransport | None:
        """Return the transport of the plan's executor once it has shown that it works, or None."""
        if plan.executor is None or not plan.new:  # an executor busy with what is waited for does not answer
            return None
        transport = ExecutorTransport(plan.executor, send_key=bool(plan.local.get("send_key")))
        timeout = plan.local.get("timeout")
        transport.check([call.endpoint for call in plan.new], *([float(timeout)] if timeout else []))
        return transport

    def _find_key(self, endpoint: Endpoint) -> ApiKey | None:
        key = self._studio.keys.secret(endpoint)
        catalog.check_transport(endpoint, has_key=key is not None)
        return key

    def _find_limiter(self, endpoint: Endpoint, parallel: int) -> Limiter:
        limiter = self._limiters.setdefault(endpoint.base_url, Limiter())
        limiter.parallel = parallel
        return limiter

    def _finish(self, call: Call) -> None:
        if len(self._thumbs) < KEPT:
            self._thumbs.update(call.thumbs)
        call.thumbs.clear()
        self._studio.ledger.settle(call)
        self._tell(call.run)

    def fetch(self, planned: PlannedCall, work: Callable[[Call, Permit | None], Run]) -> Batch:
        """Return the call that fetches the pending downloads of a stored run, started."""
        assert planned.reused is not None
        load_modules()
        call = Call(replace(planned, reused=None)).prepare(
            planned.reused, self._studio.tools.control(), work, self._finish
        )
        call.recorded = True
        run_in_background(call.carry_out, f"fetch {call.run.id}")
        return Batch(Plan(calls=(planned,)), [call])

    def thumb(self, sha256: str, path: Path, edge: int) -> PilImage | None:
        """Return the thumbnail made while a file was checked, or make it now."""
        thumb = self._thumbs.get((sha256, edge))
        if thumb is None and (thumb := imaging.inspect(path, edge=edge).thumb) and len(self._thumbs) < KEPT:
            self._thumbs[sha256, edge] = thumb
        return thumb
