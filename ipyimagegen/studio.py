"""The parts put together: plan, numbers, jobs, results. Everything that a door can ask for is here.

A magic, a Python call and the panel differ only in how they get typed options and where they
paint; all of them come through `Studio.carry_out`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipyimagegen import catalog, homes, inputs, recovery, saving, typed, wire, work
from ipyimagegen.archive import History
from ipyimagegen.arrivals import Thumbs, Tools
from ipyimagegen.errors import CallError, ImagineError, StoreError
from ipyimagegen.ids import run_of
from ipyimagegen.keychain import Keychain
from ipyimagegen.keys import Variables
from ipyimagegen.ledger import Ledger
from ipyimagegen.options import DEFAULT
from ipyimagegen.plan import SKETCH, Plan, Planned, Settings, Surroundings, build, look_up
from ipyimagegen.records import Input, PictureState, Run
from ipyimagegen.results import Generation, Image
from ipyimagegen.safe import short
from ipyimagegen.store import Store
from ipyimagegen.typed import Typed
from ipyimagegen.waiting import Hold, Painter, unsent, wait_for

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.doctor import Report
    from ipyimagegen.rows import Endpoint

UNAUTHORIZED = 401


class Studio:
    """A server to ask, a store to keep, settings to follow.

    `endpoint` is the default one (a name or a base URL), `home` the folder of the store, `settings`
    what is configured, or a function that says so at each call. `ask` prompts for a key where a
    person is there to answer. Studios share nothing but the files of their stores.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        home: str | Path | None = None,
        *,
        settings: Settings | Callable[[], Settings] | None = None,
        environ: Mapping[str, str] | None = None,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._settings: Settings | Callable[[], Settings] = settings or Settings()
        self._environ = Variables(os.environ if environ is None else environ)
        self.keys = Keychain(self._environ, ask, self._known_endpoints)
        self._home = home
        self.cell: Callable[[], object] = lambda: None  # what tells the running cell from others
        self.painter: Callable[[Generation], None] | None = None
        self.watchers: list[Callable[[Run], None]] = []  # told of each run that ends or is shown again
        self._told_passing = False
        self._history = History(self)
        self._begin()
        _renew_after_fork(self)

    def _begin(self) -> None:
        """Begin a session: what belongs to one process, made anew in a fork."""
        self.ledger = Ledger(lambda: self.store)
        self._gates: dict[tuple[str, int], work.Gate] = {}
        self._thumbs: Thumbs = {}
        self._starting = threading.Lock()

    @cached_property
    def home(self) -> Path:
        """The folder of the store."""
        return homes.folder(self._home, self._environ)

    @cached_property
    def store(self) -> Store:
        """The files."""
        return Store(self.home)

    # What is configured

    @property
    def settings(self) -> Settings:
        """The settings in force. Raises InvalidOption for a bad one."""
        settings = self._settings() if callable(self._settings) else self._settings
        if self._endpoint and not settings.options.get("endpoint"):
            settings = replace(settings, options={**settings.options, "endpoint": self._endpoint})
        return settings

    def configure(self, settings: Callable[[], Settings] | None, *, ask: Callable[[str], str] | None) -> None:
        """Follow these settings from now on, and ask for keys this way; None for neither."""
        self._settings = settings or Settings()
        self.keys.ask = ask

    @property
    def embed(self) -> str:
        """`preview` or `original`: what a notebook keeps of a picture."""
        return self.settings.embed

    def passing(self) -> str | None:
        """Return, once, that the store does not outlive this machine, and the cure; else None."""
        if self._told_passing:
            return None
        self._told_passing = True
        return homes.passing(self.home, self._environ)

    def key_source(self, endpoint: Endpoint) -> str | None:
        """Return where the key of an endpoint comes from, or None; never any part of it."""
        return self.keys.source(endpoint)

    def _known_endpoints(self) -> tuple[Endpoint, ...]:
        """Return all endpoints, or those of the table while the settings are wrong: keys are theirs too."""
        try:
            return self.endpoints()
        except ImagineError:
            return catalog.endpoints({}, {})

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all endpoints that have a name here."""
        return catalog.endpoints(self.settings.endpoints, self._environ)

    def default_endpoint(self) -> Endpoint:
        """Return the endpoint that a cell without options asks."""
        settings = self.settings
        configured = settings.options.get("endpoint")
        chosen = catalog.default_endpoint(
            None,
            str(configured) if configured else None,
            self._environ,
            settings.endpoints,
            lambda one: self.key_source(one) is not None,
        )
        return chosen or catalog.endpoint(SKETCH, settings.endpoints, self._environ)

    @property
    def history(self) -> History:
        """What was asked so far."""
        self.take_in_left()
        return self._history

    def take_in_left(self) -> None:
        """Take in what lies in the spool because its process was killed, or its disk was full.

        Looked for whenever somebody asks or looks back; usually there is nothing.
        """
        recovery.take_in_left(self.store, self.ledger.in_flight, self.endpoint_of, lambda: self._tools)

    # Asking

    def find(self, text: str) -> tuple[Run, int | None]:
        """Return the run of an id, and the number of the picture if it names one. Raises NotInHistory."""
        with self.keys.discreet():
            self.take_in_left()
            return self.ledger.find(text)

    def imagine(self, prompt: str, **options: Any) -> Generation:
        """Return the pictures for a prompt. See `ipyimagegen.imagine`."""
        with self.keys.discreet():
            return self.carry_out(self.plan(typed.from_call(prompt, options)))

    @unsent
    def plan(self, asked: Typed) -> Plan:
        """Return what would be sent, reused and spent. Nothing is sent; addresses of pictures are fetched."""
        self.keys.refuse(f"{asked.prompt} {dict(asked.extra)}")  # before any address is fetched
        self.take_in_left()
        timeout = asked.options.get("timeout")
        if self.offline:
            asked = replace(asked, options={**asked.options, "offline": True})
        attached = inputs.attach(
            asked.pictures,
            self,
            offline=asked.options.get("offline") is True,
            seconds=inputs.FETCH if timeout in (None, DEFAULT) else float(timeout or 0),
        )
        mask = attached.mask.input if attached.mask else None
        try:
            plan = build(asked, self._surroundings(), tuple(one.input for one in attached.images), mask)
        except CallError as doubt:
            if doubt.run:
                self.ledger.recall(doubt.run)
            raise
        for call in plan.calls:
            self.keys.refuse_in(call.request)
        plan = inputs.fit(plan, attached)
        for call in plan.to_send:
            catalog.check_transport(call.endpoint, has_key=self.key_source(call.endpoint) is not None)
        if "save" in plan.local:
            saving.check(str(plan.local["save"]))
        return plan

    @property
    def offline(self) -> bool:
        """Whether the environment says so."""
        return self._environ.get("IPYIMAGEGEN_OFFLINE", "0") not in ("", "0")

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            settings=self.settings,
            past=self.ledger,
            environ=self._environ,
            has_key=lambda one: self.key_source(one) is not None,
        )

    def carry_out(self, plan: Plan, painter: Painter | None = None, *, in_cell: bool = True) -> Generation:
        """Carry a plan of one call out and return its result.

        `in_cell` says whether it counts among the calls of the running cell, which have a cap.
        Raises MissingKey, OverBudget, StoreError before sending; CallError when no picture came;
        Detached when the wait was interrupted or its time is over: the call itself goes on.
        """
        planned = plan.calls[0]
        timeout = plan.local.get("timeout")
        seconds = float(timeout) if timeout is not None else None
        with Hold() as hold:
            found = planned.reused or self._job(plan, hold, self.cell() if in_cell else None)
            if isinstance(found, Run):
                return self._reuse(found, planned, painter, seconds, offline=bool(plan.local.get("offline")))
            wait_for(found, planned, painter, seconds, hold)
        if found.error:
            if isinstance(found.error, CallError) and found.error.status == UNAUTHORIZED:
                self.keys.forget()
            raise found.error
        return self.generation(found.run)

    @unsent
    def _job(self, plan: Plan, hold: Hold, cell: object) -> work.Job | Run:
        """Return the job for the call: the one in flight for the same request, or a new one.

        What was in flight when the plan was made may have finished since; so the history is asked
        once more, under the lock that keeps two threads from paying for the same.
        """
        planned, settings = plan.to_send[0], self.settings
        with self._starting:
            if not plan.local.get("new") and (live := self.ledger.live(planned.request)):
                return live
            known = {run.id for run in self.ledger.with_identity(planned.request.identity)}
            if stored := look_up(planned, plan.local, self._surroundings()):
                return stored
            self.ledger.check_caps(plan, settings, cell)  # before a key is asked for
            secret = self.keys.secret(planned.endpoint)
            catalog.check_transport(planned.endpoint, has_key=secret is not None)
            need = planned.request.count * (8 << 20)  # bytes: a generous picture each
            self.store.probe(need + sum(map(len, planned.files.values())))
            gate = self._gate(planned.endpoint, settings.max_parallel)
            carry = work.call(planned, secret, gate, self._tools, known)
            hold.take()  # until somebody waits for it
            return self._begun(plan, carry, cell)

    def _begun(self, plan: Plan, carry: Callable[[work.Job], Run], cell: object) -> work.Job:
        """Take a number for the call, and begin it."""
        (run,) = self.ledger.take(plan, self.settings, cell)
        job = work.Job(run, carry, self._told, control=self._tools.control())
        self.ledger.add(job)
        try:
            job.start()
        except BaseException:  # no thread to be had; nothing was sent
            self.ledger.settle(job)
            raise
        return job

    def _told(self, job: work.Job) -> None:
        self._thumbs = dict(job.thumbs)  # those of the newest job only: they are large
        self.ledger.settle(job)
        self._tell(job.run)

    def _tell(self, run: Run) -> None:
        for watcher in tuple(self.watchers):
            watcher(run)

    def _gate(self, endpoint: Endpoint, parallel: int) -> work.Gate:
        return self._gates.setdefault((endpoint.base_url, parallel), work.Gate(parallel))

    @cached_property
    def _tools(self) -> Tools:
        from ipyimagegen.sketch.app import create_app  # noqa: PLC0415 - only when something is sent

        sketch = catalog.endpoint(SKETCH, {}, {})
        return Tools(store=self.store, mounts={sketch.base_url: create_app()})

    @unsent
    def _reuse(
        self, run: Run, planned: Planned, painter: Painter | None, timeout: float | None, *, offline: bool
    ) -> Generation:
        run = self.ledger.as_it_is(self.fetch(run, planned, painter, timeout, offline=offline))
        if error := work.error_of(run):
            self.ledger.recall(run.id)
            raise error
        with suppress(StoreError):  # what is stored is shown, also where nothing can be written
            _, again = self.ledger.show(run)
            if again:
                self.store.create(again)
        self._tell(run)
        return self.generation(run, reused=True)

    def fetch(
        self,
        run: Run,
        planned: Planned | None = None,
        painter: Painter | None = None,
        timeout: float | None = None,
        *,
        offline: bool = False,
    ) -> Run:
        """Return the run with its pending downloads fetched, as far as that is possible now."""
        endpoint = self.endpoint_of(run)
        here = endpoint.name == SKETCH or catalog.is_loopback(endpoint)
        pending = any(one.state is PictureState.URL_PENDING for one in run.pictures)
        if not pending or ((offline or self.offline) and not here):
            return run
        carry, control = work.fetch(endpoint, self._tools), self._tools.control()
        job = work.Job(run, carry, self._told, control=control, recorded=True)
        job.start()
        wait_for(job, planned, painter, timeout)
        return job.run

    def endpoint_named(self, name_or_url: str) -> Endpoint:
        """Return the endpoint of a name or base URL. Raises InvalidOption."""
        return catalog.endpoint(name_or_url, self.settings.endpoints, self._environ)

    def endpoint_of(self, run: Run) -> Endpoint:
        """Return the endpoint that a run asked."""
        return catalog.endpoint_of(run.request, self.settings.endpoints, self._environ)

    def doctor(self, endpoint: str | None = None, *, offline: bool = False) -> Report:
        """Return what works and what does not, at no cost: see `%imagine_doctor`."""
        from ipyimagegen.doctor import examine  # noqa: PLC0415 - only when something is wrong

        mounts, offline = (lambda: self._tools.mounts), offline or self.offline
        return examine(self, endpoint, environ=self._environ, mounts=mounts, offline=offline)

    # Results

    def generation(self, run: Run, *, reused: bool = False) -> Generation:
        """Return a stored run as users hold it."""
        images = []
        for picture in run.shown:
            path = self.store.path(picture.sha256 or "")
            if path:
                images.append(Image(run, picture, path, self))
        number = self.ledger.number(run.id)
        return Generation(run, images, number=number, reused=reused, handle=self)

    def named(self, one: Input) -> str:
        """Return what a picture is called that an edit began with: one of ours by id and first words."""
        run = self.store.run(run_of(one.parent)) if one.parent else None
        known = run is not None and not run.forgotten
        return f"{one.parent} {short(run.request.prompt, 30)!r}" if run and known else one.name

    def thumb(self, sha256: str, edge: int) -> PilImage | None:
        """Return the small picture made while a file was checked, if it is still there."""
        return self._thumbs.get((sha256, edge))

    def display(self, generation: Generation) -> None:
        """Show a result as the front end does."""
        if self.painter is None:
            raise NotImplementedError
        self.painter(generation)

    def rerun(self, run: Run, prompt: str | None = None, **options: Any) -> Generation:
        """Ask the same again, from the run's own options; with nothing changed, ask and pay again."""
        with self.keys.discreet():
            changed = typed.from_call(run.request.prompt if prompt is None else prompt, options)
            return self.carry_out(self.plan(self.again(run, changed)))

    def edit(self, run: Run, image: Image, prompt: str, options: Mapping[str, Any]) -> Generation:
        """Edit a picture of a run, asking its server and model unless others are named."""
        with self.keys.discreet():
            return self.carry_out(self.plan(typed.edit(run, image, prompt, options)))

    def again(self, run: Run, changed: Typed) -> Typed:
        """Return the stored request of a run as typed options, with those of `changed` over them."""
        endpoint = changed.options.get("endpoint")
        same = endpoint is None or self._asks(str(endpoint), run)
        return typed.again(run, changed, same_server=same)

    def _asks(self, endpoint: str, run: Run) -> bool:
        return self.endpoint_named(endpoint).base_url == run.request.base_url

    def calls(self, plan: Plan) -> list[wire.Call]:
        """Return the requests of a plan exactly as they would be sent, without a key."""
        return [wire.write(one.request, one.sent, one.endpoint, one.files) for one in plan.calls]


def _renew_after_fork(studio: Studio) -> None:
    """Let a fork begin a session of its own: locks, jobs and numbers are the parent's."""
    if not hasattr(os, "register_at_fork"):
        return
    found = weakref.ref(studio)

    def renew() -> None:
        if (one := found()) is not None:
            one.ledger.forsake()
            one._begin()  # noqa: SLF001 - this module's own

    os.register_at_fork(after_in_child=renew)
