"""One call over the network, exactly once: whatever happens becomes an `Outcome`, never an exception."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial as given
from pathlib import Path
from typing import Protocol

import requests

from ipyimagegen.client.answers import found_in
from ipyimagegen.client.bodies import encoded
from ipyimagegen.client.causes import bad_certificate, describe, disk, unusable
from ipyimagegen.client.connections import NO_MOUNTS, Key, Mounts, send
from ipyimagegen.client.control import CancelToken, Deadline
from ipyimagegen.client.decoding import read_chunks
from ipyimagegen.client.dialects import HttpCall
from ipyimagegen.client.dialling import Reach
from ipyimagegen.client.faults import BODY, classify, fault, leads_to, read_body
from ipyimagegen.client.found import ResponseImage
from ipyimagegen.client.outcome import LONGEST, Outcome, Timeouts, make_not_sent, retry_after, spoken
from ipyimagegen.client.previews import Previews
from ipyimagegen.client.reply import Spool, TooLarge, cap
from ipyimagegen.client.spooled import StoredResponse
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.redact import HiddenText, Redactor
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


class Secret(Protocol):
    """A key that is shown only to the origin it belongs to."""

    def reveal(self, url: str) -> HiddenText | None:
        """Return the key if `url` is of its origin, else None."""


def exchange(
    call: HttpCall,
    endpoint: Endpoint,
    secret: Secret | None,
    *,
    spool: Path,
    control: CancelToken,
    idempotency_key: str,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    mounts: Mounts = NO_MOUNTS,
    partial: Callable[[ResponseImage], None] | None = None,
    spare: Callable[[], Path | None] = lambda: None,
    redactor: Redactor | None = None,
    offline: bool = False,
) -> Outcome:
    """Post `call` once and return what became of it; raises nothing that a network or server can cause.

    The reply is spooled to `spool`, a path of the caller's, or to what `spare` returns when the disk
    takes no more there; it is kept while the outcome names it.
    `mounts` maps address prefixes to WSGI applications that answer in this process. `partial` is
    called in this thread with each image of an event stream as soon as it is there, finished or
    not, four times a second at most; the last finished one comes with the outcome alone. Its argument
    is for the time of the call; what it raises ends the calling, not the exchange. `redactor` knows the
    keys that the response is searched for; None: the call's own. `offline` allows loopback alone.
    """
    key = secret.reveal(call.url) if secret else None
    if secret and key is None:
        return make_not_sent("The key belongs to another server; nothing was sent.")
    control.begin(timeouts.whole)
    with Deadline(control, timeouts.whole) as watch:
        if control.cancelled:
            return make_not_sent("Given up before it was sent.")
        one = _Exchange(
            call=call,
            endpoint=endpoint,
            key=key,
            redactor=redactor or Redactor([key] if key else []),
            watch=watch,
            timeouts=timeouts,
            spool=spool,
            spare=spare,
            partial=partial,
            reach=Reach(offline=offline),
        )
        return one.run(idempotency_key, mounts)


@dataclass(frozen=True, kw_only=True)
class _Exchange:
    """The steps of one exchange, and what they share."""

    call: HttpCall
    endpoint: Endpoint
    key: HiddenText | None
    redactor: Redactor
    watch: Deadline
    timeouts: Timeouts
    spool: Path
    spare: Callable[[], Path | None]
    partial: Callable[[ResponseImage], None] | None
    reach: Reach

    @property
    def name(self) -> str:
        """What messages call the server."""
        return sanitize(self.endpoint.name, 80)

    @property
    def place(self) -> str:
        """The server with its address, and whether a proxy stands before it: where to look for the fault."""
        address = ""
        with contextlib.suppress(ValueError):  # what is malformed is told as that
            address = sanitize(to_origin(self.call.url), 120)
        at = f" at {address}" if self.name not in address else ""
        return f"{self.name}{at if address else ''}{' through the proxy' if self.watch.proxied else ''}"

    def run(self, idempotency_key: str, mounts: Mounts) -> Outcome:
        try:
            kind, data = encoded(self.call.body, form=self.call.form, boundary=idempotency_key)
            request = requests.Request(
                self.call.method,
                self.call.url,
                headers={
                    "Accept": f"{'text/event-stream, ' if self.call.streams else ''}application/json",
                    "Content-Type": kind,
                    "Idempotency-Key": idempotency_key,
                    **self.call.headers,
                },
                data=data,
                auth=Key(self.call.key_header, self.key),
            )
            timeout = (min(self.timeouts.connect, self.timeouts.whole), self.timeouts.idle)
            session, response = send(self.watch, request, timeout=timeout, mounts=mounts, reach=self.reach)
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            return self.failed(error)
        with session, response:
            headers = {k.lower(): v for k, v in response.headers.items()}
            if 200 <= response.status_code < 300:
                return self.received(response, headers)
            return self.refused(response, headers)

    def failed(self, error: Exception) -> Outcome:
        """Return the outcome of an exchange that brought no status line."""
        stopped = self.stopped()
        if self.watch.control.progress.sent:
            what = stopped or f"No answer from {self.name}: {describe(error)}."
            return Outcome(status=Status.UNKNOWN, fault=ErrorInfo(message=what))
        what = stopped or f"Could not reach {self.place}: {describe(error)}."
        final = bad_certificate(error) or unusable(error) or bool(stopped)
        return make_not_sent(what, final=final)

    def stopped(self) -> str:
        if self.watch.control.cancelled:
            return "Given up."
        return f"No answer from {self.name} within {self.timeouts.whole:g} s." if self.watch.expired else ""

    def refused(self, response: requests.Response, headers: Mapping[str, str]) -> Outcome:
        """Return the outcome of a status other than 2xx; its body is read as far as it is needed."""
        raw, status = bytearray(), response.status_code
        try:
            for chunk in read_chunks(response, self.watch):
                raw += chunk
                if len(raw) >= BODY:
                    break
        except Exception:  # noqa: BLE001, S110 - the status is known; what came of the body has to do
            pass
        said = fault(read_body(bytes(raw)), status, self.redactor)
        wait = retry_after(headers)
        kind = classify(status, said.code)
        message = f"{self.name} answered {status}: {said.message.removeprefix(f'{status} ')}"
        if kind is Status.RATE_LIMITED and wait and wait > LONGEST:
            message = f"{message.rstrip('.')}. It asks to wait {spoken(wait)}."
        if status < 400 and (place := leads_to(self.call.url, headers.get("location"), self.redactor)):
            message += f". It leads to {place}, which was not asked: if it is right, set it as the base URL."
        return Outcome(
            status=kind,
            fault=ErrorInfo(message=message, code=said.code, status=status),
            request_id=self.request_id(headers),
            retry_after=wait,
            final=headers.get("x-should-retry", "").lower() == "false",
        )

    def received(self, response: requests.Response, headers: Mapping[str, str]) -> Outcome:
        """Return the outcome of a 2xx: the body spooled, then read."""
        path, trouble = self.spooled(response)
        spooled = StoredResponse(
            path=path,
            n=self.call.n,
            endpoint=self.endpoint,
            trouble=trouble,
            redactor=self.redactor,
            control=self.watch.control,
        )
        outcome, _ = spooled.outcome(headers, response.status_code)
        return replace(outcome, request_id=self.request_id(headers))

    def spooled(self, response: requests.Response) -> tuple[Path, str]:
        """Write the body to the spool as it comes; return where it is, and what went wrong, or nothing."""
        spool, trouble = None, ""
        try:
            with Spool(self.spool, cap(self.call.n), self.redactor, self.spare) as spool:
                previews = self.previews(spool)
                for chunk in read_chunks(response, self.watch):
                    written = spool.write(chunk)
                    if previews:
                        previews.feed(written)
        except TooLarge:
            images = "an image" if self.call.n == 1 else f"{self.call.n} images"
            trouble = f"The answer of {self.name} is larger than {images} can be"
        except OSError as error:  # the disk's: urllib3 gives the network's other types
            trouble = f"The answer {disk(error)}"
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            trouble = f"The answer of {self.name} did not arrive whole: {describe(error)}"
        return spool.path if spool else self.spool, self.stopped().rstrip(".") or trouble

    def previews(self, spool: Spool) -> Previews | None:
        """Return what tells of the images on their way, if somebody listens."""
        if self.partial is None:
            return None
        look = given(found_in, spool=self.spool, endpoint=self.endpoint, redactor=self.redactor)
        return Previews(self.partial, look, spool=spool, n=self.call.n, clock=self.watch.control.clock)

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        said = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), "")
        return self.redactor.clean(said, 200) or None
