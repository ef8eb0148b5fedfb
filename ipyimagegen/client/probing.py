"""Find out whether a server answers: a free request, sent in the way of an image call, and never a POST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urlsplit

import requests

from ipyimagegen.client.cancel import CancelToken, Deadline
from ipyimagegen.client.connections import (
    NO_MOUNTS,
    AddressPolicy,
    KeyHeader,
    Mounts,
    find_proxy,
    read_head,
    send,
)
from ipyimagegen.client.dialects import DIALECTS
from ipyimagegen.client.errors import find_redirect, parse_body, parse_error
from ipyimagegen.client.failures import describe_failure, is_bad_certificate
from ipyimagegen.client.retry import count_seconds_until
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.messages import _
from ipyimagegen.core.redact import ApiKey, Redactor
from ipyimagegen.core.text import sanitize

ROUTE = "/models"  # every known server has it or answers that it has not; it is free everywhere
HEAD = 8 << 10  # bytes of a body that are read
SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What a server showed of itself; its texts are plain and without keys.

    `proxy`: scheme, host and port of the proxy in the way. `reached`: connected, and the certificate accepted
    where TLS is used; else `message` is why not, and `untrusted` that it is the certificate. `status` is
    None without a response. `message` is the reason of a refusal, `redirect` the target of a redirect, which
    is not followed. `is_api`: the body looks like an API's. `clock_offset` is by how many seconds the
    server's clock is ahead of ours, NaN where it sends no time. `seconds`: until the response.
    """

    proxy: str | None
    reached: bool
    untrusted: bool = False
    status: int | None = None
    message: str = ""
    redirect: str = ""
    is_api: bool = False
    clock_offset: float = float("nan")
    seconds: float = 0.0


def probe(
    endpoint: Endpoint,
    secret: ApiKey | None,
    *,
    mounts: Mounts = NO_MOUNTS,
    seconds: float = SECONDS,
    redactor: Redactor | None = None,
    offline: bool = False,
) -> ProbeResult:
    """Request the list of models and return what came of it; raises nothing that a network can cause.

    The key goes to its own origin only. `mounts` and `offline` are as those of `exchange`.
    """
    query = f"?{urlencode(endpoint.query)}" if endpoint.query else ""
    url = f"{endpoint.base_url.rstrip('/')}{ROUTE}{query}"
    key = secret.reveal(url) if secret else None
    request = requests.Request(
        "GET",
        url,
        headers={"Accept": "application/json", "Cache-Control": "no-cache"},  # a cache would send an old time
        auth=KeyHeader(DIALECTS[endpoint.dialect].key_header, key),
    )
    proxy = None if any(url.startswith(prefix) for prefix in mounts) else _describe_proxy(url)
    late = _("no answer within {time} s", time=f"{seconds:g}")
    with Deadline(token := CancelToken(), seconds) as deadline:
        try:
            policy, timeout = AddressPolicy(offline=offline), (seconds, seconds)
            session, response = send(deadline, request, timeout=timeout, mounts=mounts, policy=policy)
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            reason = late if deadline.expired else describe_failure(error)
            untrusted = is_bad_certificate(error)
            return ProbeResult(proxy=proxy, reached=token.sent, untrusted=untrusted, message=reason)
        with session, response:
            if deadline.expired:  # shut down in the middle of its head, a response looks whole
                return ProbeResult(proxy=proxy, reached=True, message=late)
            spent = seconds - deadline.left  # before the body is read
            known = redactor or Redactor([key] if key else [])
            return replace(_make_result(response, url, known, deadline), proxy=proxy, seconds=spent)


def _make_result(
    response: requests.Response, url: str, redactor: Redactor, deadline: Deadline
) -> ProbeResult:
    status = response.status_code
    clock_offset = count_seconds_until(
        response.headers.get("Date", "")
    )  # before the body, which may take its time
    body = parse_body(read_head(response, deadline, HEAD))
    # Gateways send some refusals with 200.
    refused = isinstance(body, Mapping) and (body.get("error") or body.get("success") is False)
    redirected = 300 <= status < 400
    return ProbeResult(
        proxy=None,
        reached=True,
        status=status,
        message=parse_error(body, status, redactor).message if status >= 400 or refused else "",
        redirect=find_redirect(url, response.headers.get("Location"), redactor) if redirected else "",
        is_api=isinstance(body, (Mapping, list)) or str(body).lstrip()[:1] in ("{", "["),
        clock_offset=clock_offset,
    )


def _describe_proxy(url: str) -> str | None:
    """Return the origin of the proxy for a URL, never its user and password."""
    try:
        address = find_proxy(url)
        if not address:
            return None
        proxy = address if "://" in address else f"http://{address}"
        if ("@" in address) == ("@" in urlsplit(proxy).netloc):  # a sign in a password may end it early
            return sanitize(to_origin(proxy), 80)
    except ValueError:
        pass
    return _("an invalid address")
