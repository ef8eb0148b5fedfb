"""Beginning the calls of a plan: each request once, within the caps, with its key, and with room to store it.

What two threads could do at the same moment is done under one lock here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ipyimagegen import catalog, imaging
from ipyimagegen.core.api_key import ApiKey
from ipyimagegen.core.errors import Detached, OutcomeUnknown
from ipyimagegen.core.plan import Plan, PlannedCall, Settings
from ipyimagegen.core.run import Run
from ipyimagegen.results import measure_shape
from ipyimagegen.session import call as work
from ipyimagegen.session.arrivals import CallContext, Thumbs
from ipyimagegen.session.batch import Batch, CallSlot
from ipyimagegen.session.credentials import Keychain
from ipyimagegen.session.ledger import Ledger
from ipyimagegen.session.limiter import Limiter
from ipyimagegen.session.planning import Surroundings, look_up
from ipyimagegen.session.waiting import HeldInterrupts, mark_unsent
from ipyimagegen.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.session.executors import ExecutorTransport

ROOM = 8 << 20  # bytes: a generous image
KEPT = 192  # small images: of the sheets that a cell shows, whose tiles may hold several
AT_ONCE = 64  # images for which there has to be room before a sweep begins; it says when there is none left


class House(Protocol):
    """What sending needs of a studio."""

    keys: Keychain
    ledger: Ledger

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def store(self) -> Store:
        """The files."""

    @property
    def tools(self) -> CallContext:
        """What every job needs."""

    def surroundings(self) -> Surroundings:
        """Return what a plan depends on besides what was typed."""


class Scheduler:
    """Begins calls for one studio. `told` hears of every run that ends. A fork gets a new one."""

    def __init__(self, house: House, told: Callable[[Run], None]) -> None:
        self._house, self._tell = house, told
        self._gates: dict[str, Limiter] = {}
        self._starting = threading.Lock()
        self._thumbs: Thumbs = {}  # of what was begun last: they are large

    @mark_unsent
    def begin(self, plan: Plan, hold: HeldInterrupts, cell: object, ends: float | None = None) -> Batch:
        """Return the calls of the plan, begun, or what answers them in their place.

        What was in flight when the plan was made may have finished since; so the history is asked
        once more, under the lock that keeps two threads from paying for the same. Interrupts are held
        back from here on where something was begun. Raises MissingKey, OverBudget, StoreError, or
        Detached when it is past `ends` (of `time.monotonic`) before that; then nothing was sent.
        """
        settings = self._house.settings
        exchange = self._exchange(plan)
        with self._starting:
            slots = [self._slot(call, plan) for call in plan.calls]
            missing = [slot for slot in slots if not slot.job and slot.planned.asks]
            carries = self._ready(plan, missing, settings, cell, exchange)
            if missing and ends is not None and time.monotonic() > ends:
                raise Detached("The time was over before anything was sent: run the cell again.")
            if missing:
                hold.take()  # until somebody waits for it
            runs = self._house.ledger.take([slot.planned for slot in slots if not slot.job], settings, cell)
            jobs = {
                slot.planned.request.identity: self._job(run, carry)
                for slot, run, carry in zip(missing, runs, carries, strict=True)
            }
            slots = [replace(slot, job=slot.job or jobs.get(slot.planned.request.identity)) for slot in slots]
            for slot in slots:  # in their order, those under way before among them, as the next time
                if shown := slot.job.run.id if slot.job else slot.planned.answered:
                    self._house.ledger.recall(shown)
            plan = replace(plan, calls=tuple(slot.planned for slot in slots))
            batch = Batch(plan, slots)
            self._begin(batch, list(jobs.values()), settings)
            return batch

    def _slot(self, call: PlannedCall, plan: Plan) -> CallSlot:
        """Return the call with what answers it now: a job in flight, or what is stored."""
        if call.reused:
            return CallSlot(planned=call, stored=call.reused)
        if not plan.local.get("new") and (live := self._house.ledger.live(call.request)):
            live.shared = True
            live.control.attach()
            return CallSlot(planned=call, job=live, joined=True)
        # Before the history is asked: what another notebook adds meanwhile is a rival.
        known = frozenset(run.id for run in self._house.ledger.with_identity(call.request.identity))
        try:
            stored = look_up(call, plan.local, self._house.surroundings())
        except OutcomeUnknown as doubt:
            if not plan.axes:
                raise
            return CallSlot(planned=replace(call, unknown_outcome=doubt.with_traceback(None)))
        return CallSlot(
            planned=replace(call, reused=stored, unknown_outcome=None), stored=stored, known=known
        )

    def _ready(
        self,
        plan: Plan,
        missing: list[CallSlot],
        settings: Settings,
        cell: object,
        exchange: ExecutorTransport | None,
    ) -> list[Callable[[work.Job], Run]]:
        """Return the work of what is to be sent, when there are budget, keys and room for all."""
        if not missing:
            return []
        if plan.executor is not None and exchange is None:
            raise Detached("What was under way has just ended: run the cell again. Nothing was sent now.")
        house, calls = self._house, [slot.planned for slot in missing]
        house.ledger.check_caps(calls, settings, cell)  # before a key is asked for
        servers = {call.endpoint.base_url: call.endpoint for call in calls}
        here = exchange is None or bool(plan.local.get("send_key"))  # else the key is found where it runs
        secrets = {url: self._secret(endpoint) if here else None for url, endpoint in servers.items()}
        files = {sha256: data for call in calls for sha256, data in call.files.items()}
        images = min(sum(call.request.count for call in calls), max(AT_ONCE, calls[0].request.count))
        house.store.probe(images * ROOM + sum(map(len, files.values())))
        tools = replace(house.tools, offline=bool(plan.local.get("offline")))
        edge = imaging.measure_tile_edge(*measure_shape(plan.axes)) if plan.axes else None
        return [
            work.call(
                slot.planned,
                secrets[slot.planned.endpoint.base_url],
                self._gate(slot.planned.endpoint, settings.max_parallel),
                tools,
                slot.known,
                edge=edge,
                exchange=exchange,
            )
            for slot in missing
        ]

    def _exchange(self, plan: Plan) -> ExecutorTransport | None:
        """Return what sends the calls elsewhere, once it has shown that it can, or None."""
        if plan.executor is None:
            return None
        from ipyimagegen.session.executors import ExecutorTransport  # noqa: PLC0415 - only where there is an executor

        through = ExecutorTransport(plan.executor, send_key=bool(plan.local.get("send_key")))
        asked = [call.endpoint for call in plan.new]
        if not asked:  # an executor that is busy with what is waited for would not answer
            return None
        timeout = plan.local.get("timeout")
        through.check(asked, *([float(timeout)] if timeout else []))
        return through

    def _secret(self, endpoint: Endpoint) -> ApiKey | None:
        secret = self._house.keys.secret(endpoint)
        catalog.check_transport(endpoint, has_key=secret is not None)
        return secret

    def _gate(self, endpoint: Endpoint, parallel: int) -> Limiter:
        gate = self._gates.setdefault(endpoint.base_url, Limiter())
        gate.parallel = parallel
        return gate

    def _job(self, run: Run, carry: Callable[[work.Job], Run]) -> work.Job:
        job = work.Job(run, carry, self._ended, control=self._house.tools.control())
        self._house.ledger.add(job)
        return job

    def _begin(self, batch: Batch, jobs: list[work.Job], settings: Settings) -> None:
        if jobs:
            self._thumbs.clear()
        parallel = settings.max_parallel
        gate = {slot.job: self._gate(slot.planned.endpoint, parallel) for slot in batch.slots if slot.job}
        batch.begin(jobs, gate.__getitem__, self._house.ledger.settle)

    def _ended(self, job: work.Job) -> None:
        if len(self._thumbs) < KEPT:
            self._thumbs.update(job.thumbs)
        job.thumbs.clear()
        self._house.ledger.settle(job)
        self._tell(job.run)

    def fetch(self, planned: PlannedCall, carry: Callable[[work.Job], Run]) -> Batch:
        """Return the work of fetching what a stored run could not download, begun."""
        assert planned.reused is not None
        control = self._house.tools.control()
        job = work.Job(planned.reused, carry, self._ended, control=control, recorded=True)
        job.start()
        return Batch(Plan(calls=(planned,)), [CallSlot(planned=planned, job=job)])

    def thumb(self, sha256: str, path: Path, edge: int) -> PilImage | None:
        """Return the small image made while a file was checked, or make it now."""
        kept = self._thumbs.get((sha256, edge))
        if kept is None and (kept := imaging.inspect(path, edge=edge).thumb) and len(self._thumbs) < KEPT:
            self._thumbs[sha256, edge] = kept
        return kept
