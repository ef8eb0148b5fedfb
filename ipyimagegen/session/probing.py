"""Ask a server for its list of models, which is free, and say what its answer means."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from ipyimagegen import catalog, client
from ipyimagegen.core.background import POLL, run_in_background
from ipyimagegen.core.errors import InvalidOption, NotSent, RequestRefused
from ipyimagegen.core.messages import Message, Remedy, Setting, _
from ipyimagegen.core.plan import SKETCH
from ipyimagegen.core.text import truncate

if TYPE_CHECKING:
    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.core.redact import Credentials
    from ipyimagegen.session.studio import Studio

T = TypeVar("T")
SERVER_SECONDS = 10.0  # that a server may take
LONGEST_REPLY = 160  # characters of a server's own text


class State(StrEnum):
    """How something is; `unknown` is what was not or could not be checked."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of the work. Raises TimeoutError: name servers and network folders may hang."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            future.set_exception(error)

    run_in_background(run, "check")
    ends = time.monotonic() + seconds
    while not future.done() and time.monotonic() < ends:
        wait((future,), timeout=POLL)
    return future.result(timeout=0)


def probe_server(
    endpoint: Endpoint,
    credentials: Credentials | None,
    studio: Studio,
    *,
    mounts: Mapping[str, Any],
    offline: bool,
) -> client.ProbeResult:
    """Return what the server answers to a free question. Raises TimeoutError."""
    redactor = studio.keys.redactor_for(credentials)

    def probe() -> client.ProbeResult:
        return client.probe(
            endpoint, credentials, seconds=SERVER_SECONDS, mounts=mounts, redactor=redactor, offline=offline
        )

    return run_within(SERVER_SECONDS + 2, probe)


def list_server_models(
    studio: Studio, named: str | None, *, mounts: Callable[[], Mapping[str, Any]], offline: bool
) -> tuple[Endpoint, tuple[client.ListedModel, ...]]:
    """Return the endpoint and the models that it lists itself.

    Raises InvalidOption for a wrong name or setting, and offline; NotSent where no answer came,
    RequestRefused where the answer is no list.
    """
    endpoint = studio.registry.find(named) if named else studio.default_endpoint()
    own = studio.keys.find(endpoint)
    catalog.check_transport(endpoint, has_key=bool(own.secrets))
    in_process = endpoint.name == SKETCH
    if offline and not in_process and not catalog.is_loopback(endpoint):
        raise InvalidOption(
            _("Offline: {endpoint} is not on this machine. Nothing was sent.", endpoint=endpoint.name)
        )
    server, probe = truncate(endpoint.name), None
    with suppress(TimeoutError):
        probe = probe_server(endpoint, own, studio, mounts=mounts() if in_process else {}, offline=offline)
    if probe is None or probe.status is None:
        reason = probe.message if probe else _("no answer within {time} s", time=f"{SERVER_SECONDS:g}")
        message = _("No list came from {server}: {reason}.", server=server, reason=reason)
        raise NotSent(message, remedy=Remedy.DIAGNOSE)
    if probe.models is None:
        _state, meaning = describe_answer(probe, endpoint, has_key=bool(own.secrets))
        raise RequestRefused(
            _(
                "{server} answered {status} to GET {route}: {meaning}",
                server=server,
                status=probe.status,
                route=probe.route,
                meaning=meaning,
            ),
            status=probe.status,
        )
    return endpoint, probe.models


# The meaning of a status that is not about keys.
_MEANINGS: Mapping[int, tuple[State, Message]] = {
    404: (
        State.UNKNOWN,
        _(
            "the server has no list of models, or the base URL is incomplete: most end in /v1. "
            "If images come, it is right"
        ),
    ),
    **dict.fromkeys(
        (405, 501), (State.UNKNOWN, _("the server has no list of models, which images do not need"))
    ),
    407: (State.PROBLEM, _("the proxy requires a user name and password")),
    429: (State.WARNING, _("the server limits requests, or a quota is used up. Wait, or add credit")),
}
# The meaning of a refusal whose cause is known.
_BY_REMEDY: Mapping[Remedy | None, Message] = {
    Remedy.CHANGE_ENDPOINT: _("the server does not serve this country or region. Choose another endpoint"),
    Remedy.CHECK_NETWORK: _(
        "a proxy or firewall seems to have refused it. Check the proxy, use another network or ask the "
        "administrator"
    ),
}
_REFUSED = State.WARNING, _("the server refused the question, and may refuse images for the same reason")
_FAILING = State.PROBLEM, _("the server fails; try again later")


def describe_answer(probe: client.ProbeResult, endpoint: Endpoint, *, has_key: bool) -> tuple[State, Message]:
    """Return what a response to the question means, with what to do and the server's own text."""
    state, meaning = _interpret(probe, endpoint, has_key=has_key)
    if reply := truncate(probe.message, LONGEST_REPLY):
        meaning = _("{answer}. The server's text: {reply}", answer=meaning, reply=reply)
    return state, meaning


def _interpret(probe: client.ProbeResult, endpoint: Endpoint, *, has_key: bool) -> tuple[State, Message]:
    status = probe.status or 0
    if status == 403 and (meaning := _BY_REMEDY.get(probe.remedy)):
        return State.PROBLEM, meaning
    if status >= 300:
        return _interpret_refusal(probe, status, endpoint, has_key=has_key)
    if probe.models is not None:
        return State.OK, _("the key was not refused") if has_key else _("the server answers")
    if probe.refused:
        return State.PROBLEM, _("the server refused the question in a response of 200")
    match probe.form:
        case "page":
            text = _("a web page instead of an API. Check the base URL: most end in /v1")
        case "text":
            text = _("a text instead of an API. Check the base URL: most end in /v1")
        case "empty":
            text = _("an empty response instead of a list of models. Check the base URL: most end in /v1")
        case _:
            text = _("no list of models that can be read. Check the base URL: most end in /v1")
    return State.WARNING, text


def _interpret_refusal(
    probe: client.ProbeResult, status: int, endpoint: Endpoint, *, has_key: bool
) -> tuple[State, Message]:
    names = " or ".join(endpoint.key_env)
    if status < 400:
        remedy = _("Set the base URL of that server")
        url = probe.redirect or _("another URL")
        return State.PROBLEM, _("redirected to {url}. {remedy}", url=url, remedy=remedy)
    refused = status in (400, 401, 403) and (status == 401 or probe.remedy is Remedy.CHECK_KEY)
    if has_key and refused:
        return State.PROBLEM, _("the key was refused. Check that it is a key of this server, and valid")
    if status not in (401, 403):
        return _MEANINGS.get(status, _REFUSED if status < 500 else _FAILING)
    if has_key:
        return State.PROBLEM, _("access was refused: check the key, and what its account may use")
    if names:
        return State.PROBLEM, _("refused without a key. Set {names}", names=names)
    entry = {endpoint.name: {"base_url": endpoint.base_url, "key_env": "MY_KEY"}}
    setting = Setting("endpoints", entry)
    return State.PROBLEM, _("refused without a key. Name its variable: {setting}", setting=setting)
