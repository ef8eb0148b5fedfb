"""From what was typed to a plan.

Nothing is sent, written or numbered here. The order matters: typed over configured, names filled in,
checked against the catalog, **identity taken**, and only then translated; so that a change in our
tables never makes an old question a new one. A plan is one of many calls: a sweep has them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipyimagegen import catalog
from ipyimagegen.core import template as prompt
from ipyimagegen.core.axes import Axis, expand, label_points
from ipyimagegen.core.errors import InvalidInput, InvalidOption, MissingKey, OutcomeUnknown
from ipyimagegen.core.extra import check_extra, check_key
from ipyimagegen.core.image_count import check_count
from ipyimagegen.core.options import DEFAULT, OPTIONS, SENT, Value, normalise
from ipyimagegen.core.plan import SKETCH, Plan, PlannedCall, Settings
from ipyimagegen.core.run import Input, Request, Run, Status
from ipyimagegen.core.text import list_some, truncate
from ipyimagegen.core.user_input import UserInput

if TYPE_CHECKING:  # its many dataclasses take a tenth of the time that loading may take
    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.session.ledger import Ledger

LONGEST_CALL = 900  # seconds: a call that is pending for longer was cut off


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    """What a plan depends on besides the user's input: settings, history, environment, keys."""

    settings: Settings
    ledger: Ledger
    environ: Mapping[str, str]
    has_key: Callable[[Endpoint], bool]


def build_plan(
    typed: UserInput, context: RequestContext, inputs: tuple[Input, ...] = (), mask: Input | None = None
) -> Plan:
    """Return the plan for what was typed and the images that go with it.

    Raises InvalidOption, InvalidInput, MissingKey, and OutcomeUnknown where there is but one call.
    """
    axes, points = expand(typed)
    built = [_build(point, context, inputs, mask) for point in points]
    calls, local = tuple(call for call, _ in built), built[0][1]
    if not axes and calls[0].unknown_outcome and not local.get("dry_run"):
        raise calls[0].unknown_outcome
    _check_distinct(axes, calls)
    if local.get("offline"):
        _check_here(axes, calls)
    if local.get("send_key") and typed.executor is None:
        raise InvalidOption("--send-key goes with --executor; without one the calls are sent from here.")
    chosen = "endpoint" in {one.name for one in axes}
    if not chosen and len({call.endpoint.base_url for call in calls if call.asks or call.reused}) > 1:
        _check_mixed(calls)
    return Plan(
        calls=calls,
        local={k: v for k, v in local.items() if k != "endpoint"},
        axes=axes,
        executor=typed.executor,
        prompt=typed.prompt if isinstance(typed.prompt, str) else " | ".join(typed.prompt),
    )


def _check_mixed(calls: Sequence[PlannedCall]) -> None:
    """Raise MissingKey where the history has some from servers, and sketch would draw the rest."""
    names = [call.endpoint.name for call in calls if call.reused and call.endpoint.name != SKETCH]
    if names and any(call.asks for call in calls):
        raise MissingKey(
            f"{len(names)} of {len(calls)} are in the history from {' and '.join(dict.fromkeys(names))}; "
            f"no key is set to ask for the rest. Set it with --endpoint {names[0]}, "
            "or draw all with --endpoint sketch. Nothing was sent."
        )


def _check_distinct(axes: tuple[Axis, ...], calls: Sequence[PlannedCall]) -> None:
    """Raise InvalidOption where two combinations of a sweep are one request."""
    seen: dict[str, int] = {}
    names = label_points(axes)
    for place, call in enumerate(calls):
        first = seen.setdefault(call.request.identity, place)
        if first != place:
            twins = f"{truncate(names[first], 80)!r} and {truncate(names[place], 80)!r}"
            raise InvalidOption(
                f"{twins} are the same request; nothing was sent. "
                "Take one out; a second take of the same is a cell of its own, with --new."
            )


def _check_here(axes: tuple[Axis, ...], calls: Sequence[PlannedCall]) -> None:
    """Raise InvalidOption where a server that is not on this machine would be asked."""
    away = {
        name: call.endpoint
        for name, call in zip(label_points(axes), calls, strict=True)
        if call.asks and call.endpoint.name != SKETCH and not catalog.is_loopback(call.endpoint)
    }
    if away:
        servers = " and ".join(dict.fromkeys(one.name for one in away.values()))
        lacking = f"{len(away)} of {len(calls)} ({list_some(list(away))})" if axes else "this request"
        raise InvalidOption(
            f"Offline: the history lacks {lacking}, and {servers} would be asked beyond this machine. "
            "Take --offline away, or ask --endpoint sketch."
        )


def _build(
    typed: UserInput, context: RequestContext, inputs: tuple[Input, ...], mask: Input | None
) -> tuple[PlannedCall, dict[str, Value]]:
    """Return the call of a single request, and its local options."""
    options, configured = merge(typed, context.settings)
    local = {k: v for k, v in options.items() if not OPTIONS[k].sent}
    draft = Request(
        operation="edits" if inputs else "generations",
        endpoint="",
        base_url="",
        model=str(options["model"]) if "model" in options else None,
        prompt=_final_prompt(typed, raw=bool(local.get("raw"))),
        template=str(typed.prompt) if typed.namespace is not None else None,
        options={k: v for k, v in options.items() if k in SENT and k != "model"},
        extra=dict(typed.extra),
        inputs=inputs,
        mask=mask,
    )
    _check_values(draft)
    endpoint, stored = _choose(draft, configured, typed, context, local)
    call = _planned(draft, endpoint, configured, typed, local)
    try:
        call = replace(call, reused=stored or look_up(call, local, context))
    except OutcomeUnknown as doubt:
        call = replace(call, unknown_outcome=doubt.with_traceback(None))
    if call.asks and not local.get("new"):
        call = replace(call, in_flight=context.ledger.live(call.request) is not None)
    return call, local


def merge(typed: UserInput, settings: Settings) -> tuple[dict[str, Value], frozenset[str]]:
    """Return typed options over configured ones, and the names of those that are only configured.

    Raises InvalidOption naming the `%config` line for a configured value that is none.
    """
    base: dict[str, Value] = {}
    single = {name: value for name, value in typed.options.items() if not isinstance(value, tuple)}
    overridden = set(single)
    if overridden & {"size", "aspect_ratio"}:
        overridden |= {"size", "aspect_ratio"}  # they count as one option here
    for name, value in settings.options.items():
        stays = typed.alone and name in SENT
        if value is not None and name not in overridden and not stays:
            base[name] = _configured(name, value)
    merged = {k: v for k, v in {**base, **single}.items() if v != DEFAULT}
    return merged, frozenset(merged.keys() - single.keys())


def _configured(name: str, value: object) -> Value:
    try:
        return normalise(name, value)
    except InvalidOption as fault:
        problem = str(fault)
    raise InvalidOption(f"%config Imagine.{name}: {problem}")


def _final_prompt(typed: UserInput, *, raw: bool) -> str:
    text = str(typed.prompt)
    if typed.namespace is not None and not raw:
        text = prompt.fill(prompt.choose(prompt.parse(text), typed.chosen), typed.namespace)
    text = text.strip()
    if not text:
        raise InvalidInput("The prompt is empty; nothing was sent. Write what the image is to show.")
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInput(
            "The prompt holds a NUL or half a character (a lone surrogate); nothing was sent. Take it out."
        )
    if len(text) > prompt.LONGEST:
        raise InvalidInput(
            f"The prompt has {len(text):,} characters; nothing was sent. Write at most {prompt.LONGEST:,}."
        )
    return text


def _check_values(draft: Request) -> None:
    """Raise InvalidOption for further fields that cannot be sent, or name no number of images."""
    for key in draft.extra:
        check_key(key)
    check_extra(draft.extra)
    check_count(draft.extra)


def _choose(
    draft: Request,
    configured: frozenset[str],
    typed: UserInput,
    context: RequestContext,
    local: Mapping[str, Value],
) -> tuple[Endpoint, Run | None]:
    """Return the endpoint to ask, and the stored run when none was chosen and one answers."""
    own, environ = context.settings.endpoints, context.environ
    named = local.get("endpoint")
    if typed.like and "endpoint" not in typed.options:  # whatever is configured
        return catalog.find_endpoint_of_request(typed.like.request, own, environ), None
    chosen = catalog.find_default_endpoint(str(named) if named else None, None, environ, own, context.has_key)
    if chosen:
        return chosen, None
    owner = catalog.find_owner(draft.model or "", own, environ)
    if context.settings.reuse and not local.get("new"):
        for run in _answered(draft, configured, owner, context.ledger):
            return catalog.find_endpoint_of_request(run.request, own, environ), run
    if draft.model and draft.model != SKETCH:
        variable = owner.key_env[0] if owner.key_env else "a key"
        raise MissingKey(
            f"{draft.model} needs a server and no key is set: set {variable}, name another server "
            "with --endpoint, or draw offline with --endpoint sketch. Nothing was sent."
        )
    return catalog.find_endpoint(SKETCH, own, environ), None


def _answered(draft: Request, configured: frozenset[str], owner: Endpoint, ledger: Ledger) -> Iterator[Run]:
    """Yield stored results of the question from any server but sketch, the newest first.

    The question is tried as it stands, and without what the model's usual server would leave out.
    """
    asked = [draft]
    with suppress(InvalidOption, InvalidInput):
        asked.append(catalog.check(draft, owner, configured=configured & SENT.keys())[0])
    for question in dict.fromkeys(one.question for one in asked):
        for run in ledger.find_same_question(question):
            if run.request.endpoint != SKETCH and run.status is Status.DONE and ledger.usable(run):
                yield run


def _planned(
    draft: Request,
    endpoint: Endpoint,
    configured: frozenset[str],
    typed: UserInput,
    local: Mapping[str, Value],
) -> PlannedCall:
    request = replace(draft, endpoint=endpoint.name, base_url=endpoint.base_url, dialect=endpoint.dialect)
    request, notes = catalog.check(request, endpoint, configured=configured & SENT.keys())
    sent = catalog.translate(request, endpoint)
    rerun = typed.rerun_of
    known = not draft.model or endpoint.name == SKETCH or catalog.find_model(draft.model)
    if not known and endpoint.vendor and (near := catalog.suggest_model(draft.model or "")):
        notes += (f"{draft.model} is not in the catalog, {near} is; it was sent as typed",)
    if endpoint.name == SKETCH:
        again = local.get("new") or (rerun and rerun.identity == request.identity)
        notes += (
            "no model drew this: the built-in sketch engine did",
            *(("the same request draws the same image",) if again and not _random(request) else ()),
        )
    return PlannedCall(
        request=request,
        sent=replace(sent, notes=(*typed.notes, *notes, *sent.notes)),
        endpoint=endpoint,
        estimate=catalog.estimate_cost(sent, request, endpoint),
        seconds=catalog.estimate_seconds(sent, request, endpoint),
        rerun_of=rerun.id if rerun else None,
        force=bool(local.get("new")),
    )


def _random(request: Request) -> bool:
    return bool(request.extra.get("seed", request.options.get("seed")) == -1)


def look_up(call: PlannedCall, local: Mapping[str, Value], context: RequestContext) -> Run | None:
    """Return the newest stored result. Raises OutcomeUnknown when asking again may pay twice."""
    if local.get("new"):
        return None
    in_flight = context.ledger.in_flight()  # before the records: what ends between the two is in neither
    doubtful: Run | None = None
    for run in context.ledger.find_identical(call.request.identity):
        if run.status is Status.DONE and not context.settings.reuse:
            continue
        if run.status is Status.DONE and context.ledger.usable(run):
            return run
        if run.status in (Status.PENDING, Status.UNKNOWN, Status.DONE) and run.id not in in_flight:
            doubtful = doubtful or run
    if doubtful and not call.endpoint.free and not local.get("retry"):
        why = (
            f"{_doubt(doubtful)}\n"
            f"Nothing was sent now; --retry asks again, %imagine_show {doubtful.id} shows it."
        )
        if context.ledger.has_response(doubtful):
            why = (
                f"A response to this request is stored and not read yet ({doubtful.id}). Nothing was sent.\n"
                f"Run the cell again in a moment, at no cost, or read it with %imagine_show {doubtful.id}."
            )
        raise OutcomeUnknown(why, run=doubtful.id, billed=None)
    return None


def _doubt(run: Run) -> str:
    if run.status is Status.DONE:
        kept = any(image.unstored for image in run.images)
        how = "the response is stored until it can be read" if kept else "no image of it can be shown"
        return f"This request was answered before ({run.id}), but {how}."
    if run.status is Status.PENDING and time.time() - run.created < LONGEST_CALL:
        where = f"is under way in another notebook, or was cut off there ({run.id})"
        return f"This request {where}: it may have been billed."
    came = f"; images of it that arrived: {len(run.shown)}" if run.shown else ""
    return (
        f"This request was sent before ({run.id}) and its outcome is unknown: it may have been billed{came}."
    )
