"""Send a call over the network, exactly once: whatever happens becomes an `Outcome`, never an exception.

`probe` finds out whether a server answers, by a free request that goes the same way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import requests

from ipyimagegen.client.body import HttpCall
from ipyimagegen.client.cancel import CancelToken, Deadline, Timeouts
from ipyimagegen.client.connections import (
    HOPS,
    NO_MOUNTS,
    AddressPolicy,
    Mounts,
    UnsupportedEncoding,
    read_chunks,
    send,
)
from ipyimagegen.client.dialects import DIALECTS, OPENAI, Dialect, write_models_url
from ipyimagegen.client.endings import ErrorEnd, SpooledEnd
from ipyimagegen.client.errors import (
    SILENT,
    classify_status,
    describe_failure,
    explain_reason,
    find_base_url,
    find_other_slash,
    find_own_redirect,
    find_redirect,
    is_bad_certificate,
    is_unusable_request,
    parse_error,
)
from ipyimagegen.client.listing import ListedModel, parse_models
from ipyimagegen.client.reasons import BODY, is_page, parse_body, read_reason, states_error
from ipyimagegen.client.response import Outcome, ResponseImage, StoredResponse, make_image, make_not_sent
from ipyimagegen.client.retry import LONGEST, count_seconds_until, format_wait, parse_retry_after
from ipyimagegen.client.search import Item
from ipyimagegen.client.spool import Spool, TooLarge, describe_disk_failure, limit_response
from ipyimagegen.client.streaming import Previews
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.messages import Message, Remedy, _, ngettext
from ipyimagegen.core.redact import NO_KEYS, Credentials, Redactor
from ipyimagegen.core.run import ErrorInfo, Status
from ipyimagegen.core.text import sanitize

STATE_IDLE = 60.0  # seconds without a byte of an answer that costs a server nothing
_REQUEST_IDS = (
    "x-request-id",
    "x-oneapi-request-id",
    "x-api-request-id",
    "apim-request-id",
    "x-litellm-call-id",
    "x-tt-logid",
    "request-id",
)


def exchange(
    call: HttpCall,
    endpoint: Endpoint,
    credentials: Credentials | None,
    *,
    spool: Path,
    token: CancelToken,
    idempotency_key: str,
    timeouts: Timeouts = Timeouts(),
    mounts: Mounts = NO_MOUNTS,
    partial: Callable[[ResponseImage], None] | None = None,
    fallback: Callable[[], Path | None] = lambda: None,
    redactor: Redactor | None = None,
    offline: bool = False,
) -> Outcome:
    """Send `call` once and return what became of it; raises nothing that a network or server can cause.

    The response is spooled to `spool`, a path of the caller's, or to what `fallback` returns when the disk
    takes no more there; it is kept while the outcome names it. `mounts` maps URL prefixes to WSGI
    applications that run in this process. `partial` is called in this thread with each image of an event
    stream as soon as it has arrived, finished or not, four times a second at most; the last finished image
    comes with the outcome alone. Its argument is valid during the call; what it raises ends the previews, not
    the exchange. `redactor` knows the keys that the response is searched for; None: the call's own. `offline`
    allows loopback alone.
    """
    own = credentials or Credentials()
    if own.reveal(call.url, call.key_header) is None:
        return make_not_sent(_("The key belongs to another server; nothing was sent."))
    if call.method == "POST":  # what follows belongs to the same call
        token.start(timeouts.whole)
    else:
        timeouts = replace(timeouts, idle=min(timeouts.idle, STATE_IDLE))
    with Deadline(token) as deadline:
        if token.cancelled:
            return make_not_sent(_("Cancelled before it was sent."))
        return _Exchange(
            call=call,
            endpoint=endpoint,
            redactor=redactor or Redactor(key.clear for key in own.secrets),
            deadline=deadline,
            timeouts=timeouts,
            spool=spool,
            fallback=fallback,
            partial=partial,
        ).run(own, idempotency_key, mounts, AddressPolicy(offline=offline))


@dataclass(frozen=True, kw_only=True)
class _Exchange:
    """The steps of an exchange, and what they share."""

    call: HttpCall
    endpoint: Endpoint
    redactor: Redactor
    deadline: Deadline
    timeouts: Timeouts
    spool: Path
    fallback: Callable[[], Path | None]
    partial: Callable[[ResponseImage], None] | None

    @property
    def server(self) -> str:
        """What messages call the server."""
        return sanitize(self.endpoint.name, 80)

    @property
    def dialect(self) -> Dialect:
        """How the response is read."""
        return DIALECTS.get(self.endpoint.dialect, OPENAI)

    def run(
        self, credentials: Credentials, idempotency_key: str, mounts: Mounts, policy: AddressPolicy
    ) -> Outcome:
        call, timeouts, url = self.call, self.timeouts, self.call.url
        try:
            accept = f"{'text/event-stream, ' if call.streams else ''}application/json"
            sent, data = {"Accept": accept, **call.headers}, None
            if call.method == "POST":
                content_type, data = call.encode(boundary=idempotency_key)
                sent |= {"Content-Type": content_type, "Idempotency-Key": idempotency_key}
            request = partial(
                send,
                self.deadline,
                call.method,
                headers=sent,
                data=data,
                secrets=credentials.reveal(url, call.key_header) or {},
                timeout=(min(timeouts.connect, timeouts.whole), timeouts.idle),
                mounts=mounts,
                policy=policy,
            )
            response = request(url=url)
            # A GET is free, so it goes where it is sent; a POST may have been executed.
            find, hops = (find_other_slash, 1) if call.method == "POST" else (find_own_redirect, HOPS)
            for _hop in range(hops):
                target = find(url, response.status_code, response.headers.get("Location"))
                if not target:
                    break
                response.close()
                response.connection.close()
                self.deadline.token.sent, url = False, target
                response = request(url=url)
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            return self.make_failed(error)
        with contextlib.closing(response.connection), response:
            headers = {k.lower(): v for k, v in response.headers.items()}
            if not 200 <= response.status_code < 300:
                outcome = self.make_refused(response, headers, url)
            else:
                path, problem = self.write_spool(response)
                stored = StoredResponse(
                    path=path,
                    n=call.n,
                    endpoint=self.endpoint,
                    problem=problem,
                    redactor=self.redactor,
                    token=self.deadline.token,
                )
                outcome, _whole = stored.read(headers, response.status_code)
                outcome = replace(outcome, retry_after=parse_retry_after(headers))
        request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), "")
        return replace(outcome, request_id=self.redactor.clean(request_id, 200) or None)

    def make_failed(self, error: Exception) -> Outcome:
        """Return the outcome of an exchange without a status line."""
        stopped = self.explain_stop()
        reason = self.describe(error)
        if self.deadline.token.sent:
            message = _("No answer from {server}: {reason}.", server=self.server, reason=reason)
            message = _("{problem}.", problem=stopped) if stopped else message
            return Outcome(status=Status.UNKNOWN, error=ErrorInfo(message=message))
        server = self.server  # with its origin, where to look for the cause
        with contextlib.suppress(ValueError):  # a malformed URL has a message of its own
            origin = sanitize(to_origin(self.call.url), 120)
            server = server if server in origin else _("{server} at {url}", server=server, url=origin)
        if stopped:
            message = _("{problem}.", problem=stopped)
        elif self.deadline.proxy:
            message = _("Could not reach {server} through the proxy: {reason}.", server=server, reason=reason)
        else:
            message = _("Could not reach {server}: {reason}.", server=server, reason=reason)
        final = is_bad_certificate(error) or is_unusable_request(error) or stopped is not None
        return make_not_sent(message, final=final)

    def explain_stop(self) -> Message | None:
        """Return why the exchange was stopped, without a full stop; None: it was not."""
        if self.deadline.token.cancelled:
            return _("Cancelled")
        if not self.deadline.expired:
            return None
        return _(
            "{server} did not finish within {time} s, its call_timeout",
            server=self.server,
            time=f"{self.timeouts.whole:g}",
        )

    def describe(self, error: Exception) -> Message:
        """Return why the connection failed; the setting that limits the silence of a POST is named."""
        reason = describe_failure(error)
        if reason != SILENT or not self.deadline.token.sent or self.call.method != "POST":
            return reason
        return _("it was silent for {time} s, its idle_timeout", time=f"{self.timeouts.idle:g}")

    def make_refused(self, response: requests.Response, headers: Mapping[str, str], url: str) -> Outcome:
        """Return the outcome of a status other than 2xx from `url`; its body is read as far as needed."""
        status, (raw, unread) = response.status_code, read_head(response, self.deadline, BODY)
        stated = read_reason(unread or parse_body(raw), self.redactor)
        error, wait = explain_reason(stated, status), parse_retry_after(headers) or stated.wait
        kind = classify_status(status, error)
        server, reason = self.server, error.message.removeprefix(f"{status} ")
        location = headers.get("location") if status < 400 else None
        if find_other_slash(url, status, location):
            kind = Status.REFUSED
        if wait and wait > LONGEST and kind is Status.RATE_LIMITED:
            message = _(
                "{server} answered {status}: {reason}. It asks to wait {time}.",
                server=server,
                status=status,
                reason=reason.rstrip("."),
                time=format_wait(wait),
            )
        elif target := find_redirect(url, location, self.redactor):
            base = find_base_url(self.call.url, target, self.endpoint.base_url)
            message = _(
                "{server} answered {status}: {reason}. It redirects to {url}, which was not contacted.{hint}",
                server=server,
                status=status,
                reason=reason,
                url=target,
                hint=_(" If that is right, set {base} as the base URL.", base=base) if base else "",
            )
        else:
            message = _("{server} answered {status}: {reason}", server=server, status=status, reason=reason)
        return Outcome(
            status=kind,
            error=replace(error, message=message),
            retry_after=wait,
            final=headers.get("x-should-retry", "").lower() == "false",
        )

    def write_spool(self, response: requests.Response) -> tuple[Path, str]:
        """Write the body to disk as it arrives; return where it is, and what went wrong, or ""."""
        spool, problem = None, ""
        try:
            with Spool(self.spool, limit_response(self.call.n), self.redactor, self.fallback) as spool:
                self.deadline.end_when(SpooledEnd(spool, self.call.n, self.dialect))
                previews = self.make_previews(spool) if self.partial else None
                for chunk in read_chunks(response, self.deadline):
                    written = spool.write(chunk)
                    if previews:
                        previews.feed(written)
        except TooLarge:
            problem = ngettext(
                "The response of {server} is larger than an image can be",
                "The response of {server} is larger than {count} images can be",
                self.call.n,
                server=self.server,
            )
        except OSError as error:  # the disk's: urllib3 gives the network's other types
            problem = _("The response {problem}", problem=describe_disk_failure(error))
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            reason = self.describe(error)
            problem = _("The response of {server} is incomplete: {reason}", server=self.server, reason=reason)
        return spool.path if spool else self.spool, self.explain_stop() or problem

    def make_previews(self, spool: Spool) -> Previews:
        """Return the previews of the images in a stream."""

        def show(item: Item) -> None:
            if self.partial:
                self.partial(make_image(item, spool.path, self.endpoint, self.redactor))

        return Previews(show, self.dialect, spool=spool, n=self.call.n, clock=self.deadline.token.clock)


def read_head(response: requests.Response, deadline: Deadline, size: int) -> tuple[bytes, Message | None]:
    """Return the first bytes of a body, as many as arrive, and why they mean nothing. Raises nothing."""
    head = bytearray()
    deadline.end_when(ErrorEnd(head))
    with contextlib.suppress(Exception):  # what came before counts
        try:
            for chunk in read_chunks(response, deadline, size):
                head += chunk
                if len(head) >= size:
                    break
        except UnsupportedEncoding as error:
            name = sanitize(error, 40)
            return b"", _("the reason is compressed as {name}, which was not requested", name=name)
    return bytes(head[:size]), None


# Outcomes that travel between processes


@dataclass(frozen=True, kw_only=True)
class PackedOutcome:
    """An outcome without its file, and the bytes of that file; None where there was none."""

    outcome: Outcome
    response: bytes | None = field(default=None, repr=False)


def pack_outcome(outcome: Outcome) -> PackedOutcome:
    """Return the outcome with its response in memory. Raises OSError when that cannot be read."""
    if outcome.spool is None:
        return PackedOutcome(outcome=outcome)
    return PackedOutcome(outcome=outcome, response=outcome.spool.read_bytes())


def unpack_outcome(
    packed: PackedOutcome, spool: Path, fallback: Callable[[], Path | None], redactor: Redactor = NO_KEYS
) -> Outcome:
    """Return the outcome with its response in the file `spool`, or in what `fallback` returns."""
    outcome = replace(packed.outcome, spool=None)
    if packed.response is not None:
        try:
            with Spool(spool, len(packed.response), redactor, fallback) as file:
                file.write(packed.response)
        except OSError as error:
            problem = _("The response {problem}.", problem=describe_disk_failure(error))
            return replace(outcome, status=Status.UNKNOWN, answer=None, error=ErrorInfo(message=problem))
        answer = outcome.answer
        if answer:
            images = (replace(image, spool=image.spool and file.path) for image in answer.images)
            answer = replace(answer, images=tuple(images))
        outcome = replace(outcome, answer=answer, spool=file.path)
    redacted: Outcome = _redact(outcome, redactor)
    return redacted


def _redact(value: Any, redactor: Redactor) -> Any:
    """Return an outcome without keys in its texts: where it was made only the key of its call was known."""
    if type(value) in (str, Message):
        clear = redactor.redact(value)
        return value if clear == value else clear
    if isinstance(value, Mapping):
        return {name: _redact(member, redactor) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_redact(member, redactor) for member in value)
    if is_dataclass(value) and not isinstance(value, type):
        # The bytes of an image are searched when it is stored.
        names = (member.name for member in fields(value) if member.name != "base64")
        return replace(value, **{name: _redact(getattr(value, name), redactor) for name in names})
    return value


# Whether a server answers

LIST = 4 << 20  # bytes of a list of models that are read
Form: TypeAlias = Literal["empty", "json", "page", "text"]


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """What a server showed of itself; its texts are plain and without keys.

    `proxy`: scheme, host and port of the proxy in the way. `reached`: connected, and the certificate accepted
    where TLS is used; else `message` is why not, and `untrusted` that it is the certificate. `route` is what
    was requested. `status` is None without a response. `refused`: by its status, or with 200 by its body;
    `message` is the reason, or what a response without a list says, and `remedy` what it calls for.
    `redirect` is the target of a redirect, which is not followed. `form` is what the body looks like;
    `models` is the list, None where there is none. `clock_offset` is by how many seconds the server's clock
    is ahead of ours, NaN where it sends no time. `seconds`: until the response.
    """

    proxy: str | None
    reached: bool
    untrusted: bool = False
    route: str = ""
    status: int | None = None
    refused: bool = False
    message: str = ""
    remedy: Remedy | None = None
    redirect: str = ""
    form: Form = "empty"
    models: tuple[ListedModel, ...] | None = None
    clock_offset: float = float("nan")
    seconds: float = 0.0


_PROBE_HEADERS = {"Accept": "application/json", "Cache-Control": "no-cache"}  # a cache sends an old time


def probe(
    endpoint: Endpoint,
    credentials: Credentials | None,
    *,
    seconds: float,
    mounts: Mounts = NO_MOUNTS,
    redactor: Redactor | None = None,
    offline: bool = False,
) -> ProbeResult:
    """Request the list of models and return what came of it; raises nothing that a network can cause.

    It is no POST, and free everywhere: every known server has the list or answers that it has none. The key
    goes to its own origin only. `mounts`, `redactor` and `offline` are as those of `exchange`.
    """
    dialect, url = DIALECTS.get(endpoint.dialect, OPENAI), write_models_url(endpoint)
    own = credentials or Credentials()
    redactor = redactor or Redactor(key.clear for key in own.secrets)
    late = _("no answer within {time} s", time=f"{seconds:g}")
    with Deadline(token := CancelToken(), seconds) as deadline:
        try:
            response = send(
                deadline,
                "GET",
                url,
                headers=_PROBE_HEADERS,
                secrets=own.reveal(url, dialect.key_header) or {},
                timeout=(seconds, seconds),
                mounts=mounts,
                policy=AddressPolicy(offline=offline),
            )
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            reason = late if deadline.expired else describe_failure(error)
            untrusted = is_bad_certificate(error)
            proxy = _name_proxy(deadline.proxy)
            return ProbeResult(proxy=proxy, reached=token.sent, untrusted=untrusted, message=reason)
        proxy = _name_proxy(deadline.proxy)
        with contextlib.closing(response.connection), response:
            if deadline.expired:  # shut down in the middle of its head, a response looks whole
                return ProbeResult(proxy=proxy, reached=True, message=late)
            # Both before the body, which may take its time.
            spent, headers = seconds - deadline.left, response.headers
            clock_offset = count_seconds_until(headers.get("Date", ""))
            status, (raw, unread) = response.status_code, read_head(response, deadline, LIST)
    models, body = parse_models(raw, redactor) if status < 300 else None, unread or parse_body(raw)
    # Gateways send some refusals with 200.
    failed = isinstance(body, Mapping) and (states_error(body.get("error")) or body.get("success") is False)
    refused = status >= 400 or (status < 300 and failed)
    explains = refused or (models is None and status < 300 and isinstance(body, Mapping))
    refusal = parse_error(body, status if status >= 400 else None, redactor) if explains else None
    if models and dialect.models.startswith("/images"):  # a list of image models alone
        models = tuple(replace(model, makes_images=True) for model in models)
    return ProbeResult(
        proxy=proxy,
        reached=True,
        route=dialect.models,
        status=status,
        refused=refused,
        message=refusal.message if refusal else "",
        remedy=refusal.remedy if refusal else None,
        redirect=find_redirect(url, headers.get("Location"), redactor) if 300 <= status < 400 else "",
        form=_find_form(raw),
        models=None if refused else models,
        clock_offset=clock_offset,
        seconds=spent,
    )


def _find_form(raw: bytes) -> Form:
    """Return what a body looks like."""
    text = raw[:BODY].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith(("{", "[")):
        return "json"
    if is_page(text):
        return "page"
    return "text" if text else "empty"


def _name_proxy(address: str | None) -> str | None:
    """Return the origin of a proxy, never its user and password."""
    if not address:
        return None
    proxy = address if "://" in address else f"http://{address}"
    with contextlib.suppress(ValueError):
        if ("@" in address) == ("@" in urlsplit(proxy).netloc):  # a sign in a password may end it early
            return sanitize(to_origin(proxy), 80)
    return _("an invalid address")
