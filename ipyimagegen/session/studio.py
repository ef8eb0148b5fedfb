"""The studio: plan requests, carry them out, return results. All front doors use it.

A magic, a Python call and the panel differ only in how they obtain a `UserInput` and where they show
progress; all of them call `Studio.plan` and `Studio.carry_out`.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ipyimagegen import catalog, client
from ipyimagegen.catalog import Registry
from ipyimagegen.core import user_input
from ipyimagegen.core.errors import (
    CallError,
    Detached,
    ImagineError,
    InvalidOption,
    MissingKey,
    NotSent,
    OverBudget,
    StoreError,
)
from ipyimagegen.core.hosts import is_offline
from ipyimagegen.core.messages import OptionName, _
from ipyimagegen.core.plan import SKETCH, Plan
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import ImageState, Run, Status, to_run_id
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import UserInput
from ipyimagegen.results import Generation, Image, Pending, Result, Returned, saving
from ipyimagegen.session import inputs
from ipyimagegen.session.call import make_error
from ipyimagegen.session.credentials import Keychain
from ipyimagegen.session.diagnostics import Report, examine
from ipyimagegen.session.history import History
from ipyimagegen.session.keys import Environment
from ipyimagegen.session.ledger import Ledger
from ipyimagegen.session.planning import RequestContext, build_plan
from ipyimagegen.session.probing import list_server_models
from ipyimagegen.session.processing import CallContext
from ipyimagegen.session.recovery import Recovery
from ipyimagegen.session.scheduler import Scheduler
from ipyimagegen.session.waiting import (
    HeldInterrupts,
    ProgressDisplay,
    gather_final,
    gather_sweep,
    mark_unsent,
    show_status_line,
    wait_at_exit,
    wait_for,
)
from ipyimagegen.sketch import create_app
from ipyimagegen.store import Store, location

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.session.scheduler import Batch

UNAUTHORIZED = 401


class Studio:
    """Endpoints, a store and settings: everything that a request needs.

    `endpoint` is the default endpoint (a name or a base URL), `home` the folder of the store, `settings` the
    configuration or a function that returns it, `environ` the environment, `ask` a function that prompts for
    an API key. Studios share nothing but the files of their stores.

        Studio("https://gpu.example/v1").imagine("a red fox", n=2)
    """

    # A method that connects a new studio to the front end in which it is created; the package sets it.
    front_end: ClassVar[Callable[..., object] | None] = None

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
        self._registry: tuple[tuple[str | None, ...], Registry] | None = None
        self.keys = Keychain(self._environ, ask, self._known_endpoints)
        self._home = location.find_folder_or_reason(home, self._environ)
        self.cell: Callable[[], object] = lambda: None  # identifies the running cell
        self.painter: Callable[[Result | Pending], None] | None = None
        self.progress: Callable[[bool | None], AbstractContextManager[ProgressDisplay | None]] = (
            show_status_line
        )
        self.outlast = (
            wait_at_exit  # lets a program, or a cell that nobody watches, last as long as its calls
        )
        self.watchers: list[Callable[[Run], None]] = []  # called with each run that ends or is shown again
        self._warned_of_store = False
        self._named: dict[str, Mapping[str, str]] = {}  # base URLs named in this session, and their queries
        self._history = History(self)
        if self.front_end:
            self.front_end()
        self.start_session()
        _renew_after_fork(self)

    def start_session(self) -> None:
        """Create what belongs to a process, also in a fork."""
        self.ledger = Ledger(lambda: self.store)
        self._scheduler = Scheduler(self, self._notify)
        self._recovery = Recovery(self)

    @cached_property
    def home(self) -> Path:
        """The folder of the store. Raises InvalidOption when the configured folder cannot be used."""
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
        """The current settings. Raises InvalidOption for an invalid setting."""
        settings = self._settings() if callable(self._settings) else self._settings
        if self._endpoint and not settings.options.get("endpoint"):
            settings = replace(settings, options={**settings.options, "endpoint": self._endpoint})
        return settings

    def configure(self, settings: Callable[[], Settings] | None, *, ask: Callable[[str], str] | None) -> None:
        """Use these settings and this prompt for keys from now on."""
        self._settings = settings or Settings()
        self.keys.ask = ask

    @property
    def embed(self) -> str:
        """`preview` or `original`: what a notebook stores of an image."""
        return self.settings.embed

    def warn_of_store(self) -> str | None:
        """Return, once, that the store does not outlive this machine or is readable to others; else None."""
        if self._warned_of_store:
            return None
        self._warned_of_store = True
        notes = [location.describe_impermanence(self.home, self._environ)]
        if not self.store.is_private():
            text = _(
                "Other users of this machine can read {home}: its file system has no permissions.",
                home=self.home,
            )
            notes.append(text)
        return "\n".join(filter(None, notes)) or None

    @property
    def registry(self) -> Registry:
        """The endpoints in effect; built again where settings or environment changed."""
        entries = self.settings.endpoints
        sources = (repr(entries), *map(self._environ.get, catalog.ADDRESS_VARIABLES))
        if self._registry is None or self._registry[0] != sources:
            self._registry = (sources, Registry(entries, self._environ))
        return self._registry[1]

    def _known_endpoints(self) -> Iterable[Endpoint]:
        """Return all endpoints, or only the built-in ones while a setting is invalid."""
        try:
            return self.registry
        except ImagineError:
            return Registry()

    def default_endpoint(self) -> Endpoint:
        """Return the endpoint of a request that names none."""
        configured = self.settings.options.get("endpoint")
        chosen = self.registry.find_default(str(configured) if configured else None, self.keys.holds)
        return chosen or self.registry.find(SKETCH)

    @property
    def history(self) -> History:
        """The runs so far."""
        self.recover_responses()
        return self._history

    def recover_responses(self) -> None:
        """Recover responses whose process was killed, or whose disk was full; usually there are none."""
        self._recovery.start()

    # Requests

    def find(self, text: str, *, wait: bool = False) -> tuple[Run, int | None]:
        """Return the run of an id, and the number of the image if it names an image; see `Ledger.find`."""
        with self.keys.discreet():
            self.recover_responses()
            return self.ledger.find(text, wait=wait)

    def find_all(self, text: str, *, wait: bool = False) -> list[tuple[Run, int | None]]:
        """Return the runs of ids and ranges, as `find`; blanks or commas separate them."""
        with self.keys.discreet():
            self.recover_responses()
            return self.ledger.find_all(text, wait=wait)

    def imagine(self, prompt: str | Iterable[str], **options: Any) -> Returned:
        """Return the images of a prompt, a sweep, or the plan of a dry run. See `ipyimagegen.imagine`."""
        with self.keys.discreet():
            return self._answer(user_input.from_call(prompt, options))

    def _answer(self, user: UserInput) -> Returned:
        """Return what a Python call returns, and show its progress."""
        plan = self.plan(user)
        if plan.local.get("dry_run"):
            return replace(plan, excess=self.describe_excess(plan))
        if plan.local.get("wait") is False:
            return self.start(plan)
        with self.progress(user.progress) as painter:
            return self.carry_out(plan, painter)

    @mark_unsent
    def plan(self, user: UserInput) -> Plan:
        """Return what would be sent, reused and spent. Nothing is sent; URLs of input images are fetched."""
        self.keys.refuse(f"{user.prompt} {dict(user.extra)}")  # before any URL is fetched
        self.recover_responses()
        context = self.context()
        timeout = user.options.get("timeout")
        if self.offline:
            user = replace(user, options={**user.options, "offline": True})
        resolved = inputs.resolve_inputs(
            user.inputs,
            self,
            offline=user.options.get("offline") is True,
            seconds=float(timeout) if isinstance(timeout, (int, float)) else inputs.FETCH,
        )
        mask = resolved.mask.input if resolved.mask else None
        try:
            plan = build_plan(user, context, tuple(image.input for image in resolved.images), mask)
        except CallError as error:
            if error.run:
                self.ledger.recall(error.run)
            raise
        self.keys.refuse_in([call.request for call in plan.calls])
        plan = inputs.fit_plan(plan, resolved)
        named = user.like is None or "endpoint" in user.options
        self._check_servers([call.endpoint for call in plan.to_send], context, named=named)
        if "save" in plan.local:
            template = saving.read_template(plan.local["save"])
            if plan.to_send:  # checked before anything is paid for
                saving.check_place(template)
        return plan

    def _check_servers(self, endpoints: Sequence[Endpoint], context: RequestContext, *, named: bool) -> None:
        """Raise InvalidOption for a server that only a stored record names, and for a key sent in the clear.

        `named` says that the user chose the servers.
        """
        if named:
            self._named |= {endpoint.base_url: endpoint.query for endpoint in endpoints}
        for endpoint in endpoints:
            if not self._trusts(endpoint.base_url, context):
                raise InvalidOption(
                    _(
                        "The record names the server {server}, which is not configured here. Nothing was "
                        "sent.\nTo send the request there, use {endpoint}.",
                        server=truncate(endpoint.base_url, 120),
                        endpoint=OptionName("endpoint", endpoint.base_url),
                    )
                )
            catalog.check_address(endpoint)
            catalog.check_transport(endpoint, has_key=context.has_key(endpoint))

    def trusts(self, base_url: str) -> bool:
        """Return whether the user configured or named a server. Raises InvalidOption for a bad setting."""
        return self._trusts(base_url, self.context())

    def _trusts(self, base_url: str, context: RequestContext) -> bool:
        return base_url in context.list_queries()

    @property
    def offline(self) -> bool:
        """Whether the environment allows only this machine."""
        return is_offline(self._environ)

    def context(self) -> RequestContext:
        """Return what a plan depends on besides the user's input."""
        return RequestContext(
            settings=self.settings,
            registry=self.registry,
            ledger=self.ledger,
            has_key=self.keys.holds,
            named=self._named,
        )

    def carry_out(
        self, plan: Plan, painter: ProgressDisplay | None = None, *, in_cell: bool = True
    ) -> Result:
        """Carry a plan out and return its result: a Sweep where it has axes.

        `in_cell` says whether it counts among the calls of the running cell, which have a cap.
        Raises MissingKey, OverBudget, StoreError before anything is sent; CallError when no image came;
        Detached when the wait was interrupted or timed out: the call itself goes on.
        """
        timeout, offline = plan.local.get("timeout"), bool(plan.local.get("offline"))
        seconds = float(timeout) if timeout is not None else None
        if not plan.axes and (stored := plan.calls[0].reused):
            return self.reuse(stored, painter, seconds, offline=offline)
        began = time.monotonic()
        ends = None if seconds is None else began + seconds
        if painter and plan.to_send and (plan.axes or plan.calls[0].second_job):
            painter.planned(plan)
        with HeldInterrupts() as hold:
            batch = self._scheduler.start(plan, hold, self.cell() if in_cell else None, ends)
            batch.snapshot = partial(gather_sweep, batch, self)
            wait_for(batch, painter, seconds, hold, began)
        return self._gather(batch, painter, seconds, ends)

    def start(self, plan: Plan, *, in_cell: bool = True) -> Pending:
        """Start the calls of a plan and return the result to come.

        Raises MissingKey, OverBudget, StoreError before anything is sent.
        """
        timeout = plan.local.get("timeout")
        ends = None if timeout is None else time.monotonic() + float(timeout)
        with HeldInterrupts() as hold:
            batch = self._scheduler.start(plan, hold, self.cell() if in_cell else None, ends)
            batch.snapshot = partial(gather_sweep, batch, self)
        self.outlast(self.ledger.wait_for_all)

        def gather() -> Result:
            if isinstance(batch.error, Detached):  # it was cancelled: nobody was interrupted here
                message: str = batch.error.args[0]
                raise NotSent(message, billed=False, remedy=batch.error.remedy)
            with self.keys.discreet():
                return self._gather(batch)

        return Pending(batch, gather, self.painter)

    def _gather(
        self,
        batch: Batch,
        painter: ProgressDisplay | None = None,
        timeout: float | None = None,
        ends: float | None = None,
    ) -> Result:
        """Return the result of calls that have settled. Raises the error of calls without an image."""
        offline = bool(batch.plan.local.get("offline"))
        for call in batch.calls:
            if isinstance(call.error, CallError) and call.error.status == UNAUTHORIZED:
                self.keys.forget(call.planned.endpoint)
        if batch.error:
            raise batch.error
        if batch.plan.axes:
            return gather_final(batch, self, ends, offline=offline)
        (call,) = batch.calls
        if call.cached:
            return self.reuse(call.cached, painter, timeout, offline=offline)
        return self.generation(call.run)

    def _notify(self, run: Run) -> None:
        for watcher in tuple(self.watchers):
            watcher(run)

    @cached_property
    def tools(self) -> CallContext:
        """What every call needs."""
        sketch = Registry().find(SKETCH)
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
        """Return a stored result, its pending downloads fetched. Raises CallError when it has no image."""
        self.ledger.recall(run.id)
        run = self.ledger.as_it_is(self.fetch(run, painter, timeout, offline=offline))
        if error := make_error(run):
            raise error
        with suppress(StoreError):  # a stored result is shown, also where nothing can be written
            again = self.ledger.show(run)
            if again:
                self.store.create(again)
        self._notify(run)
        return self.generation(run, reused=True)

    def reread(self, run: Run) -> Run:
        """Return the run with the rest of its response recovered, also where its reader died."""
        if run.status is Status.PENDING or any(image.unstored for image in run.images):
            self._recovery.retry(run)
        return self.store.run(run.id) or run

    def fetch(
        self,
        run: Run,
        painter: ProgressDisplay | None = None,
        timeout: float | None = None,
        *,
        offline: bool = False,
        patient: bool = True,
    ) -> Run:
        """Return the run with what it still awaits, as far as that is possible now: its job, its downloads.

        Unless `patient`, a job is asked for only once.
        """
        if not run.awaits_job and not any(image.state is ImageState.URL_PENDING for image in run.images):
            return run
        try:
            endpoint, trusted = self.registry.find_of_request(run.request), self.trusts(run.request.base_url)
        except InvalidOption:  # an edited record or an invalid setting: the stored images are shown
            return run
        credentials = None
        with suppress(InvalidOption, MissingKey):  # a download rarely needs a key
            if trusted:
                own = self.keys.find(endpoint)
                catalog.check_transport(endpoint, has_key=bool(own.secrets))
                credentials = own
        if run.awaits_job and trusted and credentials is None:
            return run
        context = replace(self.tools, offline=offline or self.offline, patient=patient)
        batch = self._scheduler.fetch(run, endpoint, credentials, context, trusted=trusted)
        wait_for(batch, painter, timeout)
        return batch.calls[0].run

    def doctor(self, endpoint: str | None = None, *, offline: bool = False) -> Report:
        """Return the diagnostics, at no cost: see `%imagine_doctor`."""
        mounts, offline = (lambda: self.tools.mounts), offline or self.offline
        return examine(self, endpoint, environ=self._environ, mounts=mounts, offline=offline)

    def list_models(self, endpoint: str | None = None) -> tuple[Endpoint, tuple[client.ListedModel, ...]]:
        """Return an endpoint, the default unless named, and the models that it lists itself, at no cost."""
        with self.keys.discreet():
            return list_server_models(self, endpoint, mounts=lambda: self.tools.mounts, offline=self.offline)

    # Results

    def generation(
        self, run: Run, *, reused: bool = False, failure: ImagineError | str | None = None
    ) -> Generation:
        """Return a stored run as users hold it; `failure` is why it has no image."""
        images = []
        for image in run.shown:
            path = self.store.path(image.sha256 or "")
            if path:
                images.append(Image(run, image, path, self))
        number = self.ledger.number(run.id)
        return Generation(run, tuple(images), number=number, reused=reused, failure=failure, handle=self)

    def name_input(self, image: Input) -> str:
        """Return the name of an input image; of ours, by its id and the first words of its prompt."""
        run = self.store.run(to_run_id(image.parent)) if image.parent else None
        known = run is not None and not run.forgotten
        return f"{image.parent} {truncate(run.request.prompt, 30)!r}" if run and known else image.name

    def thumb(self, image: Image, edge: int) -> PilImage | None:
        """Return the thumbnail of an image."""
        return self._scheduler.thumb(image.sha256, image.path, edge)

    def display(self, result: Result) -> None:
        """Show a result as the front end does."""
        if self.painter is None:
            raise NotImplementedError
        self.painter(result)

    def rerun(self, run: Run, prompt: str | Sequence[str] | None = None, **options: Any) -> Returned:
        """Run a request again with changed options; unchanged, it is a new, billed request."""
        with self.keys.discreet():
            changed = user_input.from_call(run.request.prompt if prompt is None else prompt, options)
            return self._answer(self.again(run, changed))

    def edit(self, run: Run, image: Image, prompt: str, options: Mapping[str, Any]) -> Returned:
        """Edit an image of a run, with its server and model unless others are named."""
        with self.keys.discreet():
            return self._answer(user_input.from_image(run, image, prompt, options))

    def again(self, run: Run, changed: UserInput) -> UserInput:
        """Return the stored request of a run as user input, with the options of `changed` over it."""
        endpoint = changed.options.get("endpoint")
        same = endpoint is None or (
            isinstance(endpoint, str) and self.registry.find(endpoint).base_url == run.request.base_url
        )
        return user_input.from_run(run, changed, same_server=same)

    def describe_excess(self, plan: Plan, *, in_cell: bool = True) -> str | None:
        """Return why a plan exceeds the settings, or None; see `carry_out`."""
        try:
            self.ledger.check_caps(plan.new, self.settings, self.cell() if in_cell else None)
        except OverBudget as error:
            message: str = error.args[0]
            return message
        return None

    def write_calls(self, plan: Plan) -> list[client.HttpCall]:
        """Return the HTTP calls of a plan exactly as they would be sent, without a key."""
        return [client.write_call(call.request, call.sent, call.endpoint, call.files) for call in plan.calls]


def _renew_after_fork(studio: Studio) -> None:
    """Start a new session in a fork: locks, calls and numbers belong to the parent."""
    if not hasattr(os, "register_at_fork"):
        return
    reference = weakref.ref(studio)

    def renew() -> None:
        if (studio := reference()) is not None:
            studio.ledger.abandon_after_fork()
            studio.start_session()

    os.register_at_fork(after_in_child=renew)
