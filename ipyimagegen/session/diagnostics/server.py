"""The server that a cell would ask: its key, the way to it, and what it says to a free question."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ipyimagegen import catalog, client
from ipyimagegen.core.endpoints import to_host
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.plan import SKETCH, Settings
from ipyimagegen.core.text import DOT, truncate
from ipyimagegen.session.credentials import Keychain
from ipyimagegen.session.diagnostics.findings import Finding, State
from ipyimagegen.session.diagnostics.visit import Visit, guarded, within

if TYPE_CHECKING:
    from ipyimagegen.core.api_key import ApiKey
    from ipyimagegen.core.endpoints import Endpoint

SECONDS = 10.0  # that a server may take
MINUTE = 60.0
SAID = 160  # characters of a refusal: enough to know it by


def look(visit: Visit) -> Iterator[Finding]:
    """Yield what is found of the endpoint that was named, or that is asked by default."""
    try:
        settings = visit.patient.settings
    except InvalidOption:  # was told of
        yield Finding("endpoint", State.UNKNOWN, "not looked at while a setting is wrong")
        return
    if visit.named:
        endpoint, why = catalog.find_endpoint(visit.named, settings.endpoints, visit.environ), ""
    else:
        endpoint = visit.patient.default_endpoint()
        why = f" ({_why(settings, visit.environ, endpoint)})"
    yield Finding("endpoint", State.OK, DOT.join([endpoint.name, _address(endpoint)]) + why)
    key, secret = _key(endpoint, visit.patient.keys)
    yield key
    here = endpoint.name == SKETCH or catalog.is_loopback(endpoint)
    if visit.offline and not here:
        yield Finding("host", State.UNKNOWN, "offline: not looked at")
        return
    yield from guarded("host", lambda: _asked(endpoint, secret, visit))


def _why(settings: Settings, environ: Mapping[str, str], endpoint: Endpoint) -> str:
    """Return what made this endpoint the default one."""
    if settings.options.get("endpoint"):
        return "as configured"
    named = next((name for name in ("IPYIMAGEGEN_ENDPOINT", "IPYIMAGEGEN_BASE_URL") if environ.get(name)), "")
    if named:
        return f"as {named} says"
    return (
        "as its key is set" if endpoint.name != SKETCH else "as nothing is configured, and no OPENAI_API_KEY"
    )


def _address(endpoint: Endpoint) -> str:
    if endpoint.name == SKETCH:
        return "built in; no model draws"
    return f"{endpoint.base_url}{DOT}dialect {endpoint.dialect}"


def _key(endpoint: Endpoint, keys: Keychain) -> tuple[Finding, ApiKey | None]:
    """Return what is told of the key, and the key if an image would be asked for with it."""
    if not endpoint.key_env:
        return Finding("key", State.OK, "none needed"), None
    try:
        secret = keys.held(endpoint)
        catalog.check_transport(endpoint, has_key=secret is not None)
    except InvalidOption as fault:
        return Finding("key", State.PROBLEM, str(fault)), None
    if secret is None:
        names = " or ".join(endpoint.key_env)
        if endpoint.key_optional:
            return Finding("key", State.OK, f"none set in {names}, which is optional"), None
        where = "in the environment or in a .env file beside the notebook"
        return Finding("key", State.PROBLEM, f"none: set {names} {where}"), None
    place = keys.source(endpoint) or "typed in this session"
    place += " (environment)" if place in endpoint.key_env else ""
    if endpoint.allow_key:
        place += f", the key of another server: {to_host(endpoint.base_url)} gets it, as allow_key says"
    if endpoint.base_url.startswith("http:") and not catalog.is_loopback(endpoint):
        return Finding("key", State.WARNING, f"{place}; it travels unencrypted, as allow_http says"), secret
    return Finding("key", State.WARNING if endpoint.allow_key else State.OK, place), secret


def _asked(endpoint: Endpoint, secret: ApiKey | None, visit: Visit) -> Iterator[Finding]:
    mounts = visit.mounts() if endpoint.name == SKETCH else {}
    probe = within(
        SECONDS + 2,
        lambda: client.probe(endpoint, secret, mounts=mounts, seconds=SECONDS, offline=visit.offline),
    )
    if mounts and endpoint.base_url in mounts:
        yield Finding("host", State.OK, "in this process, without a network")
        yield _answered(probe, keyed=False)
        return
    yield _reached(endpoint, probe)
    if probe.reached:
        yield _answered(probe, keyed=secret is not None)
    yield _clock(probe.ahead)


def _reached(endpoint: Endpoint, probe: client.ProbeResult) -> Finding:
    way = f"through the proxy {probe.proxy}" if probe.proxy else "no proxy"
    if not probe.reached:
        cure = "Check the address, the network and the proxy."
        if probe.untrusted:
            cure = "Is this machine's date right? A company's own certificates go into REQUESTS_CA_BUNDLE."
        elif catalog.is_loopback(endpoint):
            cure = "Is the server running, and on that port?"
        return Finding("host", State.PROBLEM, f"not reached, {way}: {probe.said}. {cure}")
    trusted = ", certificate trusted" if endpoint.base_url.startswith("https:") else ""
    return Finding("host", State.OK, f"reached, {way}{trusted}")


# What a status means, but for what is told of keys.
_MEANT: Mapping[int, tuple[State, str]] = {
    **dict.fromkeys(
        (404, 405, 501),
        (State.UNKNOWN, "it has no list of models, or the base URL is not whole: most end in /v1"),
    ),
    407: (State.PROBLEM, "the proxy wants a user and password"),
    429: (State.WARNING, "it asks for patience, or a quota is used up"),
}
_REFUSES = State.UNKNOWN, "it refuses"
_TROUBLED = State.PROBLEM, "the server is in trouble; try later"


def _answered(probe: client.ProbeResult, *, keyed: bool) -> Finding:
    if probe.status is None:
        return Finding("answer", State.PROBLEM, f"none: {probe.said}")
    state, meant = _meaning(probe, probe.status, keyed=keyed)
    told = f"{probe.status} to GET /models after {probe.seconds * 1000:.0f} ms: {meant}"
    return Finding("answer", state, told + (f". It says: {truncate(probe.said, SAID)}" if probe.said else ""))


def _meaning(probe: client.ProbeResult, status: int, *, keyed: bool) -> tuple[State, str]:
    if status < 300:
        return _welcomed(probe, keyed=keyed)
    if status < 400:
        where = f" at {probe.leads_to}" if probe.leads_to else ""
        return State.PROBLEM, f"it wants to be asked elsewhere{where}; give the base URL that answers itself"
    if status in (401, 403):
        return State.PROBLEM, "it refuses the key" if keyed else "it refuses without a key"
    return _MEANT.get(status, _REFUSES if status < 500 else _TROUBLED)


def _welcomed(probe: client.ProbeResult, *, keyed: bool) -> tuple[State, str]:
    if probe.said:
        return State.PROBLEM, "and yet it refuses"
    if not probe.speaks:
        return State.WARNING, "a page and no API; is the base URL whole? Most end in /v1"
    return State.OK, "the key was not refused" if keyed else "it answers"


def _clock(ahead: float) -> Finding:
    if math.isnan(ahead):
        now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        return Finding("clock", State.UNKNOWN, f"{now} UTC here; no server told the time to compare it with")
    if abs(ahead) <= MINUTE:
        return Finding("clock", State.OK, "within a minute of the server's")
    minutes = abs(ahead) / MINUTE
    span = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"
    side = "behind" if ahead > 0 else "ahead of"
    harm = "certificates, waiting times and dates go wrong until it is set"
    return Finding("clock", State.WARNING, f"{span} {side} the server's: {harm}")
