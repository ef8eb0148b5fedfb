"""Fetch an image by the URL that a server sent: a URL from a stranger, so nothing is trusted.

No cookie or netrc is sent. Each hop is https to a public address, checked while connecting, so that a name
cannot change its address in between. The server of the call may serve its own images, and may ask for its
key; then it gets it, at its very origin and never after a redirect from elsewhere.

Another port of the server's host is not its origin. A server on this machine or in its network is often a
gateway that passes on what a stranger sent; a URL at another port would be a request to some other program
here, such as a notebook server or a browser's debugger. So it is shown to the user instead.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests

from ipyimagegen.client.cancel import CancelToken, Deadline
from ipyimagegen.client.connections import (
    HOPS,
    NO_MOUNTS,
    AddressPolicy,
    BlockedAddress,
    Mounts,
    Resolver,
    is_text,
    join_url,
    read_chunks,
    resolve,
    send,
)
from ipyimagegen.client.dialects import DIALECTS, OPENAI
from ipyimagegen.client.endings import SpooledEnd
from ipyimagegen.client.errors import describe_failure, is_unusable_request
from ipyimagegen.client.response import find_bare_image, is_whole_image
from ipyimagegen.client.spool import IMAGE_LIMIT, Spool, TooLarge, describe_disk_failure, read_blocks
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.hosts import is_own_name
from ipyimagegen.core.messages import Message, Remedy, _
from ipyimagegen.core.redact import NO_KEYS, Credentials, Redactor
from ipyimagegen.core.run import ErrorInfo

TRIES = 3
CONNECT, IDLE, WHOLE = 10.0, 30.0, 300.0  # seconds
FRESH = 30.0  # seconds in which a storage may not know yet what it is to serve
_NOT_YET = (HTTPStatus.NOT_FOUND, HTTPStatus.TOO_EARLY)
_PAUSE = 2.0  # seconds between two tries of a fresh URL
_KEY_WANTED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class _NotFetched(Exception):
    """The image was not fetched; `repeatable` means that another try makes sense."""

    def __init__(self, message: Message, status: int | None = None, *, repeatable: bool = False) -> None:
        super().__init__(message)
        self.error = ErrorInfo(message=message, status=status)
        self.repeatable = repeatable


def download(
    url: str,
    endpoint: Endpoint | None,
    *,
    into: Path,
    token: CancelToken,
    cap: int = IMAGE_LIMIT,
    resolver: Resolver = resolve,
    mounts: Mounts = NO_MOUNTS,
    whole: float = WHOLE,
    redactor: Redactor = NO_KEYS,
    offline: bool = False,
    credentials: Credentials | None = None,
    fresh_until: float = -math.inf,
) -> ErrorInfo | None:
    """Fetch `url` into the file `into`; return None, or why that failed.

    At most `cap` bytes and `whole` seconds, or until the deadline of `token`; three tries when the network
    fails or the server answers 5xx, three redirects. A URL that is not there yet is tried until
    `fresh_until` on the clock of `token`. `endpoint` may serve its own URLs, wherever it is; without an
    endpoint the URL is a stranger's. Nothing is raised and no partial file stays. `offline` allows loopback
    alone. A text is refused unless it is an image as base64. The error has the remedy ASK_B64 where the URL
    is never fetched.
    """
    error, number = ErrorInfo(message=_("Cancelled.")), 0
    policy = AddressPolicy(offline=offline, resolver=resolver)
    with Deadline(token, whole) as deadline:
        while not deadline.stopped:
            try:
                hops = _Hops(endpoint, deadline, redactor, mounts, policy, credentials or Credentials())
                response = hops.open(url)
                with contextlib.closing(response.connection), response:
                    _save(response, deadline, into, cap, redactor)
            except _NotFetched as failure:
                error, repeatable = failure.error, failure.repeatable
            except BlockedAddress as blocked:
                error, repeatable = ErrorInfo(message=_("{problem}.", problem=blocked.args[0])), False
                error = replace(error, remedy=None if offline else Remedy.ASK_B64)
            except Exception as foreign:  # noqa: BLE001 - every foreign exception becomes a value here
                reason, repeatable = describe_failure(foreign), not is_unusable_request(foreign)
                error = ErrorInfo(message=_("The image could not be fetched: {reason}.", reason=reason))
            else:
                return None
            early = error.status in _NOT_YET and token.clock() < fresh_until
            number += not early
            pause = _PAUSE if early else 0.5 * number
            if not early and (not repeatable or number == TRIES):
                break
            if token.wait(min(pause, max(deadline.left, 0))):
                break
    if correct_origin(url, endpoint) != url and not offline:  # as it was given it is not fetched
        error = replace(error, remedy=Remedy.ASK_B64)
    with contextlib.suppress(OSError):
        into.unlink(missing_ok=True)
    clear = redactor.redact(error.message)
    return error if clear == error.message else replace(error, message=clear)


@dataclass(frozen=True)
class _Hops:
    """The way from a URL to its image."""

    endpoint: Endpoint | None
    deadline: Deadline
    redactor: Redactor
    mounts: Mounts
    policy: AddressPolicy
    credentials: Credentials

    def open(self, url: str) -> requests.Response:
        """Return the response with the image. Raises _NotFetched, BlockedAddress, and what `send` raises."""
        at_home = True  # until a redirect led to another server
        for _hop in range(HOPS + 1):
            url = correct_origin(url, self.endpoint)
            own = _is_own(url, self.endpoint)
            at_home &= own
            response = self._request(url, {}, own=own)
            if response.status_code in _KEY_WANTED and at_home and (secrets := self._reveal(url)):
                _close(response)
                response = self._request(url, secrets, own=own)
            status, target = response.status_code, response.headers.get("Location")
            if status == HTTPStatus.OK:
                return response
            _close(response)
            if not (300 <= status < 400 and target):
                host = urlsplit(url).hostname
                problem = _(
                    "The image could not be fetched: {host} answered {status}.", host=host, status=status
                )
                raise _NotFetched(problem, status, repeatable=status >= 500)
            url = join_url(url, target)
            if self.redactor.holds_part(url):
                problem = _("The image URL redirects to a URL that contains the key; it was not fetched.")
                raise _NotFetched(problem)
        raise _NotFetched(_("The image URL redirects too often."))

    def _reveal(self, url: str) -> Mapping[str, str] | None:
        dialect = DIALECTS.get(self.endpoint.dialect, OPENAI) if self.endpoint else OPENAI
        return self.credentials.reveal(url, dialect.key_header)

    def _request(self, url: str, secrets: Mapping[str, str], *, own: bool) -> requests.Response:
        return send(
            self.deadline,
            "GET",
            url,
            headers={"Accept": "image/*,*/*;q=0.1"},
            secrets=secrets,
            timeout=(CONNECT, IDLE),
            mounts=self.mounts,
            policy=replace(self.policy, public_only=not own),
        )


def _close(response: requests.Response) -> None:
    response.close()
    response.connection.close()


def correct_origin(url: str, endpoint: Endpoint | None) -> str:
    """Return a URL at the endpoint's own origin where the server calls itself by another name there.

    That is another name of this machine, or 0.0.0.0, at the same port. Any other http URL at the endpoint's
    host becomes https: a server behind a proxy that adds TLS may not know that it has it. Raises nothing.
    """
    if endpoint is None:
        return url
    try:
        parts, own = urlsplit(url), urlsplit(endpoint.base_url)
        origin, own_origin = to_origin(url), to_origin(endpoint.base_url)
        host, own_host = parts.hostname or "", own.hostname or ""
        same = (parts.scheme, parts.port) == (own.scheme, own.port) and parts.username is None
    except ValueError:
        return url
    rest = url.partition("://")[2].removeprefix(parts.netloc)
    if same and is_own_name(host, own_host):
        return own_origin + rest
    if parts.scheme == "http" and host == own_host and origin != own_origin:
        return f"https://{parts.netloc.removesuffix(':80')}{rest}"
    return url


def _save(response: requests.Response, deadline: Deadline, into: Path, cap: int, redactor: Redactor) -> None:
    """Write a body to the file. Raises _NotFetched, and what urllib3 raises when the body is cut."""
    problem = None
    try:
        with Spool(into, cap, redactor) as file:
            deadline.end_when(SpooledEnd(file, 1))
            for chunk in read_chunks(response, deadline):
                file.write(chunk)
    except TooLarge:
        problem = _("The image is larger than {size} MiB.", size=cap >> 20)
    except OSError as error:  # the disk's: urllib3 gives the network's other types
        problem = _("The image {problem}.", problem=describe_disk_failure(error))
    except Exception:
        image = find_bare_image(into)
        if image is None or not is_whole_image(image):
            raise
    if problem:
        raise _NotFetched(problem)
    if deadline.stopped:
        raise TimeoutError
    if not file.size:
        raise _NotFetched(_("The image URL returned nothing."))
    labelled = response.headers.get("Content-Type", "").lower().startswith("image/")  # then it is kept
    if not labelled and find_bare_image(into) is None and is_text(next(read_blocks(into))):
        raise _NotFetched(_("The image URL returned text in place of an image."))


def _is_own(url: str, endpoint: Endpoint | None) -> bool:
    """Return whether a URL is of the endpoint's own origin. Raises BlockedAddress."""
    try:
        parts, origin = urlsplit(url), to_origin(url)
        own = endpoint is not None and origin == to_origin(endpoint.base_url)
    except ValueError:
        raise BlockedAddress(_("The image URL is malformed")) from None
    if parts.username is not None or parts.password is not None:
        raise BlockedAddress(_("The image URL contains a user name or password; it was not fetched"))
    if parts.scheme != "https" and not (own and parts.scheme == "http"):
        raise BlockedAddress(_("The image URL is not https; it was not fetched"))
    return own
