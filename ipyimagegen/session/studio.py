"""The parts put together: plan, numbers, jobs, results. Everything that a door can ask for is here.

A magic, a Python call and the panel differ only in how they get typed options and where they
paint; all of them come through `Studio.carry_out`.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipyimagegen import catalog, client
from ipyimagegen.core import user_input
from ipyimagegen.core.errors import CallError, ImagineError, InvalidOption, OverBudget, StoreError
from ipyimagegen.core.hosts import is_offline
from ipyimagegen.core.ids import to_run_id
from ipyimagegen.core.plan import SKETCH, Plan, PlannedCall, Settings
from ipyimagegen.core.run import ImageState, Input, Run, Status
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.results import Generation, Image, Result, Sweep, saving
from ipyimagegen.session import inputs
from ipyimagegen.session.batch import gather_final, gather_sweep
from ipyimagegen.session.call import fetch_pending, make_error
from ipyimagegen.session.credentials import Keychain
from ipyimagegen.session.history import History
from ipyimagegen.session.keys import Environment
from ipyimagegen.session.ledger import Ledger
from ipyimagegen.session.planning import RequestContext, build_plan
from ipyimagegen.session.processing import CallContext
from ipyimagegen.session.recovery import Recovery
from ipyimagegen.session.scheduler import Scheduler
from ipyimagegen.session.trust import Trust
from ipyimagegen.session.waiting import HeldInterrupts, ProgressDisplay, mark_unsent, wait_for
from ipyimagegen.store import Store, location

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.session.diagnostics import Report

UNAUTHORIZED = 401


class Studio:
    """A server to ask, a store to keep, settings to follow.

    `find_endpoint` is the default one (a name or a base URL), `home` the folder of the store, `settings`
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
        self._environ = Environment(environ)
        self.keys = Keychain(self._environ, ask, self._known_endpoints)
        self._home = location.find_folder_or_reason(home, self._environ)
        self.cell: Callable[[], object] = lambda: None  # what tells the running cell from others
        self.painter: Callable[[Result], None] | None = None
        self.watchers: list[Callable[[Run], None]] = []  # told of each run that ends or is shown again
        self._told_passing = False
        self._trust = Trust()
        self._history = History(self)
        self._begin()
        _renew_after_fork(self)

    def _begin(self) -> None:
        """Begin a session: what belongs to one process, made anew in a fork."""
        self.ledger = Ledger(lambda: self.store)
        self._scheduler = Scheduler(self, self._tell)
        self._recovery = Recovery(self)

    @cached_property
    def home(self) -> Path:
        """The folder of the store. Raises InvalidOption when the one that was set cannot be used."""
        if isinstance(self._home, str):
            raise InvalidOption(self._home)
        return self._home or location.find_user_folder()

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
        """`preview` or `original`: what a notebook keeps of an image."""
        return self.settings.embed

    def passing(self) -> str | None:
        """Return, once, that the store does not outlive this machine or is open to others; else None."""
        if self._told_passing:
            return None
        self._told_passing = True
        notes = [location.describe_impermanence(self.home, self._environ)]
        if not self.store.is_private():
            notes += [
                f"Other users of this machine can read {self.home}: its file system keeps no permissions."
            ]
        return "\n".join(filter(None, notes)) or None

    def key_source(self, endpoint: Endpoint) -> str | None:
        """Return where the key of an endpoint comes from, or None; never any part of it."""
        return self.keys.source(endpoint)

    def _known_endpoints(self) -> tuple[Endpoint, ...]:
        """Return all endpoints, or those of the table while the settings are wrong: keys are theirs too."""
        try:
            return self.endpoints()
        except ImagineError:
            return catalog.list_endpoints({}, {})

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all endpoints that have a name here."""
        return catalog.list_endpoints(self.settings.endpoints, self._environ)

    def default_endpoint(self) -> Endpoint:
        """Return the endpoint that a cell without options asks."""
        settings = self.settings
        configured = settings.options.get("endpoint")
        chosen = catalog.find_default_endpoint(
            None,
            str(configured) if configured else None,
            self._environ,
            settings.endpoints,
            lambda one: self.key_source(one) is not None,
        )
        return chosen or catalog.find_endpoint(SKETCH, settings.endpoints, self._environ)

    @property
    def history(self) -> History:
        """What was asked so far."""
        self.take_in_left()
        return self._history

    def take_in_left(self) -> None:
        """Take in what lies in the spool because its process was killed, or its disk was full.

        Looked for whenever somebody asks or looks back; usually there is nothing.
        """
        self._recovery.start()

    # Asking

    def find(self, text: str) -> tuple[Run, int | None]:
        """Return the run of an id, and the number of the image if it names one. Raises NotInHistory."""
        with self.keys.discreet():
            self.take_in_left()
            return self.ledger.find(text)

    def imagine(self, prompt: str | Sequence[str], **options: Any) -> Generation | Sweep:
        """Return the images for a prompt, or for many. See `ipyimagegen.imagine`."""
        with self.keys.discreet():
            return self.carry_out(self.plan(user_input.from_call(prompt, options)))

    @mark_unsent
    def plan(self, asked: UserInput) -> Plan:
        """Return what would be sent, reused and spent. Nothing is sent; addresses of images are fetched."""
        self.keys.refuse(f"{asked.prompt} {dict(asked.extra)}")  # before any address is fetched
        self.take_in_left()
        timeout = asked.options.get("timeout")
        if self.offline:
            asked = replace(asked, options={**asked.options, "offline": True})
        attached = inputs.resolve_inputs(
            asked.inputs,
            self,
            offline=asked.options.get("offline") is True,
            seconds=float(timeout) if isinstance(timeout, (int, float)) else inputs.FETCH,
        )
        mask = attached.mask.input if attached.mask else None
        try:
            plan = build_plan(asked, self.context(), tuple(one.input for one in attached.images), mask)
        except CallError as doubt:
            if doubt.run:
                self.ledger.recall(doubt.run)
            raise
        self.keys.refuse_in([call.request for call in plan.calls])
        plan = inputs.fit_plan(plan, attached)
        self._trust.check(asked, plan.to_send, self.settings, self._environ)
        for call in plan.to_send:
            catalog.check_transport(call.endpoint, has_key=self.key_source(call.endpoint) is not None)
        if "save" in plan.local:
            saving.check_template(str(plan.local["save"]))
            if plan.to_send:  # told before anything is paid for
                saving.check_place(str(plan.local["save"]))
        return plan

    @property
    def offline(self) -> bool:
        """Whether the environment says so."""
        return is_offline(self._environ)

    def context(self) -> RequestContext:
        """Return what a plan depends on besides what was typed."""
        return RequestContext(
            settings=self.settings,
            ledger=self.ledger,
            environ=self._environ,
            has_key=lambda one: self.key_source(one) is not None,
        )

    def carry_out(
        self, plan: Plan, painter: ProgressDisplay | None = None, *, in_cell: bool = True
    ) -> Generation | Sweep:
        """Carry a plan out and return its result: a Sweep where it has axes.

        `in_cell` says whether it counts among the calls of the running cell, which have a cap.
        Raises MissingKey, OverBudget, StoreError before sending; CallError when no image came;
        Detached when the wait was interrupted or its time is over: the call itself goes on.
        """
        timeout = plan.local.get("timeout")
        seconds = float(timeout) if timeout is not None else None
        began = time.monotonic()
        ends = None if seconds is None else began + seconds
        if painter and plan.axes and plan.to_send:
            painter.planned(plan)
        with HeldInterrupts() as hold:
            batch = self._scheduler.start(plan, hold, self.cell() if in_cell else None, ends)
            batch.snapshot = partial(gather_sweep, batch, self)
            wait_for(batch, painter, seconds, hold, began)
        for call in batch.calls:
            if isinstance(call.error, CallError) and call.error.status == UNAUTHORIZED:
                self.keys.forget(call.planned.endpoint)
        if batch.error:
            raise batch.error
        offline = bool(plan.local.get("offline"))
        if plan.axes:
            return gather_final(batch, self, ends, offline=offline)
        (call,) = batch.calls
        if call.cached:
            return self.reuse(call.cached, painter, seconds, offline=offline)
        return self.generation(call.run)

    def _tell(self, run: Run) -> None:
        for watcher in tuple(self.watchers):
            watcher(run)

    @cached_property
    def tools(self) -> CallContext:
        """What every job needs."""
        from ipyimagegen.sketch.app import create_app  # noqa: PLC0415 - only when something is sent

        sketch = catalog.find_endpoint(SKETCH, {}, {})
        return CallContext(
            store=self.store, mounts={sketch.base_url: create_app()}, redactor=self.keys.redactor_for
        )

    @mark_unsent
    def reuse(
        self,
        run: Run,
        painter: ProgressDisplay | None = None,
        timeout: float | None = None,
        *,
        offline: bool,
    ) -> Generation:
        """Return what is stored of a run, its pending downloads fetched. Raises CallError for nothing."""
        run = self.ledger.as_it_is(self.fetch(run, painter, timeout, offline=offline))
        if error := make_error(run):
            self.ledger.recall(run.id)
            raise error
        with suppress(StoreError):  # what is stored is shown, also where nothing can be written
            _, again = self.ledger.show(run)
            if again:
                self.store.create(again)
        self._tell(run)
        return self.generation(run, reused=True)

    def reread(self, run: Run) -> Run:
        """Return the run with what is left of its response taken in, also where a reader of it died."""
        if run.status is Status.PENDING or any(one.unstored for one in run.images):
            self._recovery.retry(run)
        return self.store.run(run.id) or run

    def fetch(
        self,
        run: Run,
        painter: ProgressDisplay | None = None,
        timeout: float | None = None,
        *,
        offline: bool = False,
    ) -> Run:
        """Return the run with its pending downloads fetched, as far as that is possible now."""
        if not any(one.state is ImageState.URL_PENDING for one in run.images):
            return run
        try:
            endpoint, trusted = self.endpoint_of(run), self.trusts(run.request.base_url)
        except InvalidOption:  # somebody edited the record, or a setting is wrong: what is stored is shown
            return run
        tools = replace(self.tools, offline=offline or self.offline)
        planned = PlannedCall(
            request=run.request, sent=run.sent, endpoint=endpoint, estimate=run.cost, reused=run
        )
        batch = self._scheduler.fetch(
            planned,
            partial(
                fetch_pending,
                endpoint=endpoint,
                context=tools,
                redactor=self.keys.redactor_of(endpoint),
                trusted=trusted,
            ),
        )
        wait_for(batch, painter, timeout)
        return batch.calls[0].run

    def endpoint_named(self, name_or_url: str) -> Endpoint:
        """Return the endpoint of a name or base URL. Raises InvalidOption."""
        return catalog.find_endpoint(name_or_url, self.settings.endpoints, self._environ)

    def endpoint_of(self, run: Run) -> Endpoint:
        """Return the endpoint that a run asked."""
        return catalog.find_endpoint_of_request(run.request, self.settings.endpoints, self._environ)

    def trusts(self, base_url: str) -> bool:
        """Say whether the user configured or named a server. Raises InvalidOption for a bad setting."""
        return base_url in self._trust.base_urls(self.settings, self._environ)

    def doctor(self, endpoint: str | None = None, *, offline: bool = False) -> Report:
        """Return what works and what does not, at no cost: see `%imagine_doctor`."""
        from ipyimagegen.session.diagnostics import examine  # noqa: PLC0415 - only when something is wrong

        mounts, offline = (lambda: self.tools.mounts), offline or self.offline
        return examine(self, endpoint, environ=self._environ, mounts=mounts, offline=offline)

    # Results

    def generation(self, run: Run, *, reused: bool = False, error: str | None = None) -> Generation:
        """Return a stored run as users hold it; `error` says why it has no image."""
        images = []
        for image in run.shown:
            path = self.store.path(image.sha256 or "")
            if path:
                images.append(Image(run, image, path, self))
        number = self.ledger.number(run.id)
        return Generation(run, images, number=number, reused=reused, error=error, handle=self)

    def named(self, one: Input) -> str:
        """Return what an image is called that an edit began with: one of ours by id and first words."""
        run = self.store.run(to_run_id(one.parent)) if one.parent else None
        known = run is not None and not run.forgotten
        return f"{one.parent} {truncate(run.request.prompt, 30)!r}" if run and known else one.name

    def thumb(self, image: Image, edge: int) -> PilImage | None:
        """Return a small image: the one made while the file was checked, if it is still there."""
        return self._scheduler.thumb(image.sha256, image.path, edge)

    def display(self, result: Result) -> None:
        """Show a result as the front end does."""
        if self.painter is None:
            raise NotImplementedError
        self.painter(result)

    def rerun(
        self, run: Run, prompt: str | Sequence[str] | None = None, **options: Any
    ) -> Generation | Sweep:
        """Ask the same again, from the run's own options; with nothing changed, ask and pay again."""
        with self.keys.discreet():
            changed = user_input.from_call(run.request.prompt if prompt is None else prompt, options)
            return self.carry_out(self.plan(self.again(run, changed)))

    def edit(self, run: Run, image: Image, prompt: str, options: Mapping[str, Any]) -> Generation | Sweep:
        """Edit an image of a run, asking its server and model unless others are named."""
        with self.keys.discreet():
            return self.carry_out(self.plan(user_input.from_image(run, image, prompt, options)))

    def again(self, run: Run, changed: UserInput) -> UserInput:
        """Return the stored request of a run as typed options, with those of `changed` over them."""
        endpoint = changed.options.get("endpoint")
        same = endpoint is None or (isinstance(endpoint, str) and self._asks(endpoint, run))
        return user_input.from_run(run, changed, same_server=same)

    def _asks(self, endpoint: str, run: Run) -> bool:
        return self.endpoint_named(endpoint).base_url == run.request.base_url

    def over(self, plan: Plan, *, in_cell: bool = True) -> str | None:
        """Return why a plan is more than the settings allow, or None; see `carry_out`."""
        try:
            self.ledger.check_caps(plan.new, self.settings, self.cell() if in_cell else None)
        except OverBudget as fault:
            return str(fault)
        return None

    def calls(self, plan: Plan) -> list[client.HttpCall]:
        """Return the requests of a plan exactly as they would be sent, without a key."""
        return [client.write_call(one.request, one.sent, one.endpoint, one.files) for one in plan.calls]


def _renew_after_fork(studio: Studio) -> None:
    """Let a fork begin a session of its own: locks, jobs and numbers are the parent's."""
    if not hasattr(os, "register_at_fork"):
        return
    found = weakref.ref(studio)

    def renew() -> None:
        if (one := found()) is not None:
            one.ledger.abandon_after_fork()
            one._begin()  # noqa: SLF001 - this module's own

    os.register_at_fork(after_in_child=renew)
