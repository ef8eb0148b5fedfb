"""Send a call over the network, exactly once: whatever happens becomes an `Outcome`, never an exception."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial as bind
from pathlib import Path

import requests

from ipyimagegen.client.body import encode_body
from ipyimagegen.client.cancel import CancelToken, Deadline, Timeouts
from ipyimagegen.client.connections import (
    NO_MOUNTS,
    AddressPolicy,
    KeyHeader,
    Mounts,
    read_chunks,
    read_head,
    send,
)
from ipyimagegen.client.dialects import DIALECTS, OPENAI, HttpCall
from ipyimagegen.client.errors import BODY, classify_status, find_redirect, parse_body, parse_error
from ipyimagegen.client.failures import describe_failure, is_bad_certificate, is_unusable_request
from ipyimagegen.client.outcome import Outcome, StoredResponse, make_not_sent
from ipyimagegen.client.response import ResponseImage, make_image
from ipyimagegen.client.retry import LONGEST, format_wait, parse_retry_after
from ipyimagegen.client.spool import Spool, TooLarge, describe_disk_failure, limit_response
from ipyimagegen.client.streaming import Previews
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.messages import Message, _, ngettext
from ipyimagegen.core.redact import ApiKey, HiddenText, Redactor
from ipyimagegen.core.run import ErrorInfo, Status
from ipyimagegen.core.text import sanitize

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
    secret: ApiKey | None,
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
    """Post `call` once and return what became of it; raises nothing that a network or server can cause.

    The response is spooled to `spool`, a path of the caller's, or to what `fallback` returns when the disk
    takes no more there; it is kept while the outcome names it. `mounts` maps URL prefixes to WSGI
    applications that run in this process. `partial` is called in this thread with each image of an event
    stream as soon as it has arrived, finished or not, four times a second at most; the last finished image
    comes with the outcome alone. Its argument is valid during the call; what it raises ends the previews, not
    the exchange. `redactor` knows the keys that the response is searched for; None: the call's own. `offline`
    allows loopback alone.
    """
    key = secret.reveal(call.url) if secret else None
    if secret and key is None:
        return make_not_sent(_("The key belongs to another server; nothing was sent."))
    token.start(timeouts.whole)
    with Deadline(token) as deadline:
        if token.cancelled:
            return make_not_sent(_("Given up before it was sent."))
        return _Exchange(
            call=call,
            endpoint=endpoint,
            key=key,
            redactor=redactor or Redactor([key] if key else []),
            deadline=deadline,
            timeouts=timeouts,
            spool=spool,
            fallback=fallback,
            partial=partial,
            policy=AddressPolicy(offline=offline),
        ).run(idempotency_key, mounts)


@dataclass(frozen=True, kw_only=True)
class _Exchange:
    """The steps of an exchange, and what they share."""

    call: HttpCall
    endpoint: Endpoint
    key: HiddenText | None
    redactor: Redactor
    deadline: Deadline
    timeouts: Timeouts
    spool: Path
    fallback: Callable[[], Path | None]
    partial: Callable[[ResponseImage], None] | None
    policy: AddressPolicy

    @property
    def server(self) -> str:
        """What messages call the server."""
        return sanitize(self.endpoint.name, 80)

    @property
    def server_at_url(self) -> str:
        """The server with its origin: where to look for the cause."""
        with contextlib.suppress(ValueError):  # a malformed URL has a message of its own
            origin = sanitize(to_origin(self.call.url), 120)
            if self.server not in origin:
                return _("{server} at {url}", server=self.server, url=origin)
        return self.server

    def run(self, idempotency_key: str, mounts: Mounts) -> Outcome:
        try:
            content_type, data = encode_body(self.call.body, form=self.call.form, boundary=idempotency_key)
            request = requests.Request(
                "POST",
                self.call.url,
                headers={
                    "Accept": f"{'text/event-stream, ' if self.call.streams else ''}application/json",
                    "Content-Type": content_type,
                    "Idempotency-Key": idempotency_key,
                },
                data=data,
                auth=KeyHeader(self.call.key_header, self.key),
            )
            timeout = (min(self.timeouts.connect, self.timeouts.whole), self.timeouts.idle)
            session, response = send(
                self.deadline, request, timeout=timeout, mounts=mounts, policy=self.policy
            )
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            return self.make_failed(error)
        with session, response:
            headers = {k.lower(): v for k, v in response.headers.items()}
            if 200 <= response.status_code < 300:
                return self.make_received(response, headers)
            return self.make_refused(response, headers)

    def make_failed(self, error: Exception) -> Outcome:
        """Return the outcome of an exchange without a status line."""
        stopped = self.explain_stop()
        reason = describe_failure(error)
        if self.deadline.token.sent:
            message = _("No answer from {server}: {reason}.", server=self.server, reason=reason)
            message = _("{problem}.", problem=stopped) if stopped else message
            return Outcome(status=Status.UNKNOWN, error=ErrorInfo(message=message))
        server = self.server_at_url
        if stopped:
            message = _("{problem}.", problem=stopped)
        elif self.deadline.proxied:
            message = _("Could not reach {server} through the proxy: {reason}.", server=server, reason=reason)
        else:
            message = _("Could not reach {server}: {reason}.", server=server, reason=reason)
        final = is_bad_certificate(error) or is_unusable_request(error) or stopped is not None
        return make_not_sent(message, final=final)

    def explain_stop(self) -> Message | None:
        """Return why the exchange was stopped, without a full stop; None: it was not."""
        if self.deadline.token.cancelled:
            return _("Given up")
        if not self.deadline.expired:
            return None
        return _(
            "No answer from {server} within {time} s", server=self.server, time=f"{self.timeouts.whole:g}"
        )

    def make_refused(self, response: requests.Response, headers: Mapping[str, str]) -> Outcome:
        """Return the outcome of a status other than 2xx; its body is read as far as needed."""
        status, body = response.status_code, parse_body(read_head(response, self.deadline, BODY))
        error = parse_error(body, status, self.redactor)
        wait = parse_retry_after(headers)
        return Outcome(
            status=classify_status(status, error.code),
            error=replace(error, message=self.describe_refusal(error, headers, wait)),
            request_id=self.find_request_id(headers),
            retry_after=wait,
            final=headers.get("x-should-retry", "").lower() == "false",
        )

    def describe_refusal(self, error: ErrorInfo, headers: Mapping[str, str], wait: float | None) -> Message:
        server, status = self.server, error.status or 0
        reason = error.message.removeprefix(f"{status} ")
        if wait and wait > LONGEST and classify_status(status, error.code) is Status.RATE_LIMITED:
            return _(
                "{server} answered {status}: {reason}. It requests a wait of {time}.",
                server=server,
                status=status,
                reason=reason.rstrip("."),
                time=format_wait(wait),
            )
        location = headers.get("location") if status < 400 else None
        if url := find_redirect(self.call.url, location, self.redactor):
            return _(
                "{server} answered {status}: {reason}. It redirects to {url}, which was not contacted: "
                "if that is right, set it as the base URL.",
                server=server,
                status=status,
                reason=reason,
                url=url,
            )
        return _("{server} answered {status}: {reason}", server=server, status=status, reason=reason)

    def make_received(self, response: requests.Response, headers: Mapping[str, str]) -> Outcome:
        """Return the outcome of a 2xx: the body spooled, then read."""
        path, problem = self.write_spool(response)
        stored = StoredResponse(
            path=path,
            n=self.call.n,
            endpoint=self.endpoint,
            problem=problem,
            redactor=self.redactor,
            token=self.deadline.token,
        )
        outcome, _whole = stored.read(headers, response.status_code)
        return replace(outcome, request_id=self.find_request_id(headers))

    def write_spool(self, response: requests.Response) -> tuple[Path, str]:
        """Write the body to disk as it arrives; return where it is, and what went wrong, or ""."""
        spool, problem = None, ""
        try:
            with Spool(self.spool, limit_response(self.call.n), self.redactor, self.fallback) as spool:
                previews = self.make_previews(spool)
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
            reason = describe_failure(error)
            problem = _("The response of {server} is incomplete: {reason}", server=self.server, reason=reason)
        return spool.path if spool else self.spool, self.explain_stop() or problem

    def make_previews(self, spool: Spool) -> Previews | None:
        """Return the previews of the images in a stream, None where nobody shows them."""
        if self.partial is None:
            return None
        make = bind(make_image, spool=self.spool, endpoint=self.endpoint, redactor=self.redactor)
        dialect, clock = DIALECTS.get(self.endpoint.dialect, OPENAI), self.deadline.token.clock
        return Previews(self.partial, make, dialect, spool=spool, n=self.call.n, clock=clock)

    def find_request_id(self, headers: Mapping[str, str]) -> str | None:
        request_id = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), "")
        return self.redactor.clean(request_id, 200) or None
