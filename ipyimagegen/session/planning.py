"""Make a plan from the user's input: nothing is sent, written or numbered here.

The order matters: typed options over configured ones, names filled in, checked against the catalog,
**identity taken**, and only then translated. A change in our tables never makes an old request a new request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipyimagegen import catalog, client
from ipyimagegen.catalog import Registry
from ipyimagegen.core import template
from ipyimagegen.core.axes import PROMPT, Axis, expand, label_points
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import InvalidInput, InvalidOption, MissingKey, OutcomeUnknown
from ipyimagegen.core.messages import Message, OptionName, Remedy, Setting, _, ngettext
from ipyimagegen.core.options import DEFAULT, OPTIONS, SENT, Value, normalise
from ipyimagegen.core.plan import SKETCH, SKETCH_NOTE, Plan, PlannedCall
from ipyimagegen.core.request import Input, Request, check_extra, copy_plain
from ipyimagegen.core.run import Job, Run, Status
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.text import list_some, sanitize, truncate
from ipyimagegen.core.user_input import UserInput

if TYPE_CHECKING:
    from ipyimagegen.session.ledger import Ledger

LONGEST_CALL = 900  # seconds: a call that is pending for longer was cut off
USE_SKETCH = OptionName("endpoint", SKETCH)


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """What a plan depends on besides the user's input, resolved once per cell, call or click.

    `named` maps base URLs that the user named in this session to the parameters of their addresses.
    """

    settings: Settings
    registry: Registry
    ledger: Ledger
    has_key: Callable[[Endpoint], bool]
    named: Mapping[str, Mapping[str, str]]

    def list_queries(self) -> Mapping[str, Mapping[str, str]]:
        """Return the base URLs that the user configured or named, with the parameters of their addresses.

        Raises InvalidOption for an invalid address.
        """
        chosen = self.settings.options.get("endpoint")
        return {**self.named, **self.registry.list_queries(str(chosen) if chosen else None)}


def build_plan(
    user: UserInput, context: RequestContext, inputs: tuple[Input, ...] = (), mask: Input | None = None
) -> Plan:
    """Return the plan for the user's input and the images that go with it.

    Raises InvalidOption, InvalidInput, MissingKey, and OutcomeUnknown where there is only a single call.
    """
    axes, points = expand(user)
    pairs = [_plan_call(point, context, inputs, mask) for point in points]
    calls, local = tuple(call for call, _local in pairs), pairs[0][1]
    if not axes and calls[0].unknown_outcome and not local.get("dry_run"):
        raise calls[0].unknown_outcome
    if axes:
        _check_distinct(axes, calls)
    if local.get("offline"):
        _check_local(axes, calls)
    if local.get("send_key") and user.executor is None:
        raise InvalidOption(
            _(
                "{send_key} requires {executor}: without it the calls are sent from this machine.",
                send_key=OptionName("send_key", True),
                executor=OptionName("executor"),
            )
        )
    chosen = "endpoint" in {axis.name for axis in axes}
    if not chosen and len({call.endpoint.base_url for call in calls if call.asks or call.reused}) > 1:
        _check_mixed(calls)
    return Plan(
        calls=calls,
        settings=context.settings,
        local={name: value for name, value in local.items() if name != "endpoint"},
        axes=axes,
        executor=user.executor,
        prompt=_fill_shared(user, axes, raw=bool(local.get("raw"))),
        notes=user.notes,
    )


def _check_mixed(calls: Sequence[PlannedCall]) -> None:
    """Raise MissingKey where the history has some results from servers, and sketch would draw the rest."""
    names = [call.endpoint.name for call in calls if call.reused and call.endpoint.name != SKETCH]
    if names and any(call.asks for call in calls):
        raise MissingKey(
            _(
                "{count} of {total} results are in the history, from {endpoints}, and no API key is set for "
                "the rest. Nothing was sent. Set the key and use {endpoint}, or draw all with {sketch}.",
                count=len(names),
                total=len(calls),
                endpoints=list(dict.fromkeys(names)),
                endpoint=OptionName("endpoint", names[0]),
                sketch=USE_SKETCH,
            )
        )


def _check_distinct(axes: tuple[Axis, ...], calls: Sequence[PlannedCall]) -> None:
    """Raise InvalidOption where two combinations of a sweep are the same request."""
    first_indexes: dict[str, int] = {}
    names = label_points(axes)
    for index, call in enumerate(calls):
        first = first_indexes.setdefault(call.request.identity, index)
        if first != index:
            raise InvalidOption(
                _(
                    "{first!r} and {second!r} are the same request. Nothing was sent. Remove one of them; "
                    "{new} sends the same request again.",
                    first=truncate(names[first], 80),
                    second=truncate(names[index], 80),
                    new=OptionName("new", True),
                )
            )


def _check_local(axes: tuple[Axis, ...], calls: Sequence[PlannedCall]) -> None:
    """Raise InvalidOption where a request would go beyond this machine."""
    remote = {
        name: call.endpoint
        for name, call in zip(label_points(axes), calls, strict=True)
        if call.asks and call.endpoint.name != SKETCH and not catalog.is_loopback(call.endpoint)
    }
    if not remote:
        return
    values = {
        "endpoints": list(dict.fromkeys(endpoint.name for endpoint in remote.values())),
        "count": len(remote),
        "total": len(calls),
        "names": list_some(list(remote)),
        "offline": OptionName("offline", True),
        "sketch": USE_SKETCH,
    }
    if axes:
        raise InvalidOption(
            _(
                "Offline: {count} of {total} results ({names}) are not in the history, and {endpoints} is "
                "not on this machine. Remove {offline}, or use {sketch}.",
                **values,
            )
        )
    raise InvalidOption(
        _(
            "Offline: this request is not in the history, and {endpoints} is not on this machine. "
            "Remove {offline}, or use {sketch}.",
            **values,
        )
    )


def _plan_call(
    user: UserInput, context: RequestContext, inputs: tuple[Input, ...], mask: Input | None
) -> tuple[PlannedCall, dict[str, Value]]:
    """Return the call of a single request, and its local options."""
    options, configured = merge(user, context.settings)
    local = {name: value for name, value in options.items() if not OPTIONS[name].sent}
    check_extra(user.extra)
    draft = Request(
        operation="edits" if inputs else "generations",
        endpoint="",
        base_url="",
        model=str(options["model"]) if "model" in options else None,
        prompt=_fill_prompt(user, raw=bool(local.get("raw"))),
        template=str(user.prompt) if user.namespace is not None else None,
        options={name: value for name, value in options.items() if name in SENT and name != "model"},
        extra=copy_plain(dict(user.extra)),  # what is sent stays what was identified
        inputs=inputs,
        mask=mask,
    )
    endpoint, cached = _choose_endpoint(draft, configured, user, context, local)
    call = _translate(draft, endpoint, configured, user, local)
    if endpoint.free and endpoint.name != SKETCH and context.ledger.has_cost(call.request):
        call = _translate(draft, replace(endpoint, free=False), configured, user, local)
    try:
        call = replace(call, reused=cached or look_up(call, local, context.settings, context.ledger))
    except OutcomeUnknown as error:
        call = replace(call, unknown_outcome=error.with_traceback(None))
    if call.asks and local.get("retry"):
        call = replace(call, second_job=_find_job(call, context.ledger))
    if call.asks and not local.get("new"):
        call = replace(call, in_flight=context.ledger.live(call.request) is not None)
    return call, local


def merge(user: UserInput, settings: Settings) -> tuple[dict[str, Value], frozenset[str]]:
    """Return typed options over configured ones, and the names of those that are only configured.

    Raises InvalidOption naming the setting for an invalid configured value.
    """
    configured: dict[str, Value] = {}
    typed = {name: value for name, value in user.options.items() if not isinstance(value, tuple)}
    overridden = set(typed)
    if overridden & {"size", "aspect_ratio"}:
        overridden |= {"size", "aspect_ratio"}  # they count as a single option here
    for name, value in settings.options.items():
        ignored = user.alone and name in SENT
        if value is not None and name not in overridden and not ignored:
            configured[name] = _read_configured(name, value)
    merged = {name: value for name, value in {**configured, **typed}.items() if value != DEFAULT}
    return merged, frozenset(merged.keys() - typed.keys())


def _read_configured(name: str, value: object) -> Value:
    try:
        return normalise(name, value)
    except InvalidOption as error:
        problem = error.args[0]
    raise InvalidOption(_("{setting}: {problem}", setting=Setting(name), problem=problem))


def _fill_shared(user: UserInput, axes: Sequence[Axis], *, raw: bool) -> str:
    """Return the prompt of all calls: names filled in, and what differs between them as typed."""
    if not isinstance(user.prompt, str):
        return " | ".join(str(prompt) for axis in axes if axis.name == PROMPT for prompt in axis.values)
    groups = template.list_groups(template.parse(user.prompt))
    return _fill_prompt(replace(user, chosen=tuple(group.source for group in groups)), raw=raw)


def _fill_prompt(user: UserInput, *, raw: bool) -> str:
    text = str(user.prompt)
    if user.namespace is not None and not raw:
        text = template.fill(template.choose(template.parse(text), user.chosen), user.namespace)
    text = text.strip()
    if not text:
        raise InvalidInput(_("The prompt is empty. Nothing was sent. Describe the image."))
    if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidInput(
            _("The prompt contains a NUL or a lone surrogate. Nothing was sent. Remove this character.")
        )
    if len(text) > template.LONGEST:
        raise InvalidInput(
            _(
                "The prompt has {count} characters; at most {limit} can be sent. Nothing was sent. "
                "Use a shorter prompt.",
                count=f"{len(text):,}",
                limit=f"{template.LONGEST:,}",
            )
        )
    return text


def _choose_endpoint(
    draft: Request,
    configured: frozenset[str],
    user: UserInput,
    context: RequestContext,
    local: Mapping[str, Value],
) -> tuple[Endpoint, Run | None]:
    """Return the endpoint, and a stored result where no endpoint was chosen and the history has it."""
    registry = context.registry
    if user.like and "endpoint" not in user.options:  # whatever is configured
        return registry.find_of_request(user.like.request, context.list_queries()), None
    named = local.get("endpoint")
    if endpoint := registry.find_default(str(named) if named else None, context.has_key):
        return endpoint, None
    owner = registry.find_owner(draft.model or "")
    if context.settings.reuse and not local.get("new"):
        for run in _find_results(draft, configured, owner, context.ledger):
            return registry.find_of_request(run.request), run
    if draft.model and draft.model != SKETCH:
        raise MissingKey(
            _(
                "{model} requires a server, and no API key is set. Nothing was sent. Set {variable}, choose "
                "another server with {endpoint}, or draw offline with {sketch}.",
                model=draft.model,
                variable=owner.key_env[0] if owner.key_env else _("an API key"),
                endpoint=OptionName("endpoint"),
                sketch=USE_SKETCH,
            )
        )
    return registry.find(SKETCH), None


def _find_results(
    draft: Request, configured: frozenset[str], owner: Endpoint, ledger: Ledger
) -> Iterator[Run]:
    """Yield stored results of the request from any server but sketch, the newest first.

    The request is looked up as it stands, and without the options that the model's usual server ignores.
    """
    drafts = [draft]
    with suppress(InvalidOption, InvalidInput):
        capabilities = catalog.find_capabilities(draft, owner)
        drafts.append(catalog.check(draft, capabilities, configured=configured & SENT.keys())[0])
    for question in dict.fromkeys(request.question for request in drafts):
        for run in ledger.find_same_question(question):
            if run.request.endpoint != SKETCH and run.status is Status.DONE and ledger.usable(run):
                yield run


def _translate(
    draft: Request,
    endpoint: Endpoint,
    configured: frozenset[str],
    user: UserInput,
    local: Mapping[str, Value],
) -> PlannedCall:
    """Return the checked request for that endpoint, with what is sent to it."""
    request = replace(draft, endpoint=endpoint.name, base_url=endpoint.base_url, dialect=endpoint.dialect)
    capabilities = catalog.find_capabilities(request, endpoint)
    request, notes = catalog.check(request, capabilities, configured=configured & SENT.keys())
    sent = catalog.translate(request, capabilities)
    rerun = user.rerun_of
    known = not draft.model or endpoint.name == SKETCH or catalog.find_model(draft.model)
    if not known and endpoint.vendor and (near := catalog.suggest_model(draft.model or "")):
        notes += (
            _("{model} is not in the catalog and was sent as typed; {near} is", model=draft.model, near=near),
        )
    if endpoint.name == SKETCH:
        notes += (SKETCH_NOTE,)
        seed = request.extra.get("seed", request.options.get("seed"))
        if (local.get("new") or (rerun and rerun.identity == request.identity)) and seed != -1:
            notes += (_("the same request draws the same image"),)
    return PlannedCall(
        request=request,
        sent=replace(sent, notes=(*user.notes, *notes, *sent.notes)),
        endpoint=endpoint,
        estimate=catalog.estimate_cost(sent, request, capabilities),
        seconds=capabilities.row.seconds,
        retirement=catalog.describe_retirement(capabilities),
        rerun_of=rerun.id if rerun else None,
        force=bool(local.get("new")),
    )


def look_up(call: PlannedCall, local: Mapping[str, Value], settings: Settings, ledger: Ledger) -> Run | None:
    """Return the newest stored result. Raises OutcomeUnknown where sending again may be billed twice."""
    if local.get("new"):
        return None
    in_flight = ledger.in_flight()  # before the records: what ends between the two is in neither
    unknown: Run | None = None
    for run in ledger.find_identical(call.request.identity):
        if run.status is Status.DONE and not settings.reuse:
            continue
        if run.status is Status.DONE and ledger.usable(run):
            return run
        if run.status in (Status.PENDING, Status.UNKNOWN, Status.DONE) and run.id not in in_flight:
            unknown = unknown or run
    if not unknown or local.get("retry"):
        return None
    if unknown.job and unknown.awaits_job and client.find_poll_url(unknown.job, call.endpoint):
        return unknown  # the server is asked for its result, at no cost
    if call.endpoint.free:
        return None
    if not unknown.awaits_job and ledger.has_response(unknown):
        message = _(
            "A response to this request is stored and not read yet ({run}). Nothing was sent.", run=unknown.id
        )
        raise OutcomeUnknown(message, run=unknown.id, billed=None, remedy=Remedy.SHOW)
    message = _describe_job(unknown, unknown.job) if unknown.job else _describe_unknown(unknown)
    raise OutcomeUnknown(message, run=unknown.id, billed=None, remedy=unknown.remedy)


def _find_job(call: PlannedCall, ledger: Ledger) -> str:
    """Return the id of an unfinished job of the same request, or ""."""
    runs = ledger.find_identical(call.request.identity)
    return next((run.job.id for run in runs if run.job and run.awaits_job), "")


def _describe_job(run: Run, job: Job) -> Message:
    if not job.failed:
        return _(
            "{endpoint} accepted this request before, as job {job} ({run}). Nothing was sent.",
            endpoint=sanitize(run.request.endpoint, 80),
            job=job.id,
            run=run.id,
        )
    reason = run.error.message.rstrip(".") if run.error else job.status
    return _("{reason} ({run}). Nothing was sent.", reason=reason, run=run.id)


def _describe_unknown(run: Run) -> Message:
    if run.status is Status.DONE and any(image.unstored for image in run.images):
        return _("The result of this request ({run}) cannot be read yet. Nothing was sent.", run=run.id)
    if run.status is Status.DONE and any(image.whole for image in run.images):
        return _(
            "The files of the result of this request ({run}) are missing in the store, or damaged. "
            "Nothing was sent.",
            run=run.id,
        )
    if run.status is Status.DONE:
        return _("No image of the result of this request ({run}) can be shown. Nothing was sent.", run=run.id)
    if run.status is Status.PENDING and time.time() - run.created < LONGEST_CALL:
        return _(
            "This request ({run}) is in progress in another kernel, or was cut off when its kernel ended.",
            run=run.id,
        )
    if run.shown:
        return ngettext(
            "The outcome of this request is unknown ({run}); {count} image arrived. Nothing was sent.",
            "The outcome of this request is unknown ({run}); {count} images arrived. Nothing was sent.",
            len(run.shown),
            run=run.id,
        )
    return _("This request was sent before and its outcome is unknown ({run}). Nothing was sent.", run=run.id)
