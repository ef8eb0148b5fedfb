"""Whether a server answers: one free question, asked in the way of an image, and never a POST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urlsplit

import requests

from ipyimagegen.client.causes import bad_certificate, describe
from ipyimagegen.client.connections import NO_MOUNTS, Key, Mounts, proxy_for, send
from ipyimagegen.client.control import CancelToken, Deadline
from ipyimagegen.client.decoding import read_chunks
from ipyimagegen.client.dialects import DIALECTS
from ipyimagegen.client.dialling import Reach
from ipyimagegen.client.faults import fault, leads_to, read_body
from ipyimagegen.client.outcome import until
from ipyimagegen.client.transport import Secret
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import Redactor
from ipyimagegen.core.text import sanitize

ROUTE = "/models"  # every known server has it or answers that it has not; it is free everywhere
HEAD = 8 << 10  # bytes of an answer that are looked at
SECONDS = 10.0
NO_PROXY = "an address that is none"


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What a server showed of itself; its texts are plain and without keys.

    `proxy`: scheme, host and port of the one in the way. `reached`: connected, and the certificate
    accepted where there is one; else `said` is why not, and `untrusted` that it is the certificate.
    `status` is None without an answer. `said` is what a refusal says, `leads_to` the address of a
    redirect, which is not followed. `speaks`: the body looks like an API's. `ahead` is by how many
    seconds the server's clock is before ours, NaN where it tells no time. `seconds`: until the answer.
    """

    proxy: str | None
    reached: bool
    untrusted: bool = False
    status: int | None = None
    said: str = ""
    leads_to: str = ""
    speaks: bool = False
    ahead: float = float("nan")
    seconds: float = 0.0


def probe(
    endpoint: Endpoint,
    secret: Secret | None,
    *,
    mounts: Mounts = NO_MOUNTS,
    seconds: float = SECONDS,
    redactor: Redactor | None = None,
    offline: bool = False,
) -> ProbeResult:
    """Ask for the list of models and return what came of it; raises nothing that a network can cause.

    The key goes to its own origin only. `mounts` and `offline` are as those of `exchange`.
    """
    query = f"?{urlencode(endpoint.query)}" if endpoint.query else ""
    url = f"{endpoint.base_url.rstrip('/')}{ROUTE}{query}"
    key = secret.reveal(url) if secret else None
    request = requests.Request(
        "GET",
        url,
        headers={"Accept": "application/json", "Cache-Control": "no-cache"},  # a cache would tell old time
        auth=Key(DIALECTS[endpoint.dialect].key_header, key),
    )
    proxy = None if any(url.startswith(prefix) for prefix in mounts) else _proxy(url)
    late = f"no answer within {seconds:g} s"
    with Deadline(control := CancelToken(), seconds) as watch:
        try:
            reach = Reach(offline=offline)
            session, response = send(watch, request, timeout=(seconds, seconds), mounts=mounts, reach=reach)
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            why, untrusted = late if watch.expired else describe(error), bad_certificate(error)
            return ProbeResult(proxy=proxy, reached=control.progress.sent, untrusted=untrusted, said=why)
        with session, response:
            if watch.expired:  # shut down in the middle of its head, an answer looks whole
                return ProbeResult(proxy=proxy, reached=True, said=late)
            known = redactor or Redactor([key] if key else [])
            spent = seconds - watch.left  # before the body is read
            return replace(_shown(response, url, proxy, known, watch), seconds=spent)


def _shown(
    response: requests.Response, url: str, proxy: str | None, redactor: Redactor, watch: Deadline
) -> ProbeResult:
    ahead = until(response.headers.get("Date", ""))  # before the body, which may take its time
    body = _begun(response, watch)
    redirected = 300 <= response.status_code < 400
    return ProbeResult(
        proxy=proxy,
        reached=True,
        status=response.status_code,
        said=_said(response.status_code, body, redactor),
        leads_to=leads_to(url, response.headers.get("Location"), redactor) if redirected else "",
        speaks=isinstance(body, (Mapping, list)) or str(body).lstrip()[:1] in ("{", "["),
        ahead=ahead,
    )


def _proxy(url: str) -> str | None:
    """Return the proxy that requests takes for an address, never its user and password."""
    try:
        found = proxy_for(url)
        if not found:
            return None
        whole = found if "://" in found else f"http://{found}"
        clear = ("@" in found) == ("@" in urlsplit(whole).netloc)  # a sign in a password may end it early
        return sanitize(to_origin(whole), 80) if clear else NO_PROXY
    except ValueError:
        return NO_PROXY


def _begun(response: requests.Response, watch: Deadline) -> Json:
    """Return the beginning of the body: as JSON if that is whole, else as text."""
    raw = bytearray()
    try:
        for chunk in read_chunks(response, watch, HEAD):
            raw += chunk
            if len(raw) >= HEAD:
                break
    except Exception:  # noqa: BLE001, S110 - the status is known; what came of the body has to do
        pass
    return read_body(bytes(raw[:HEAD]))


def _said(status: int, body: Json, redactor: Redactor) -> str:
    """Return what a refusal says; gateways send some with 200."""
    refused = isinstance(body, Mapping) and (body.get("error") or body.get("success") is False)
    return fault(body, status, redactor).message if status >= 400 or refused else ""
