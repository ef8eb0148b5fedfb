"""Fetch an image by the URL that a server sent: a URL from a stranger, so nothing is trusted.

No key, cookie or netrc is sent. Each hop is https to a public address, checked while connecting, so that a
name cannot change its address in between; the server of the call may serve its own images.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from ipyimagegen.client.cancel import CancelToken, Deadline
from ipyimagegen.client.connections import (
    NO_MOUNTS,
    AddressPolicy,
    BlockedAddress,
    Mounts,
    Resolver,
    read_chunks,
    resolve,
    send,
)
from ipyimagegen.client.errors import describe_failure, is_unusable_request
from ipyimagegen.client.spool import IMAGE_LIMIT, Spool, TooLarge, describe_disk_failure
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo

HOPS = 3
TRIES = 3
CONNECT, IDLE, WHOLE = 10.0, 30.0, 300.0  # seconds


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
) -> ErrorInfo | None:
    """Fetch `url` into the file `into`; return None, or why that failed.

    At most `cap` bytes and `whole` seconds, or until the deadline of `token`; three tries when the network
    fails or the server answers 5xx, three redirects. `endpoint` may serve its own URLs, wherever it is;
    without an endpoint the URL is a stranger's. Nothing is raised and no partial file stays. `offline` allows
    loopback alone.
    """
    error, repeatable = ErrorInfo(message=_("Cancelled.")), True
    policy = AddressPolicy(offline=offline, resolver=resolver)
    with Deadline(token, whole) as deadline:
        for number in range(TRIES):
            if number and (not repeatable or token.wait(min(0.5 * number, max(deadline.left, 0)))):
                break
            if deadline.stopped:
                break
            try:
                response = _open(url, endpoint, deadline, redactor, mounts=mounts, policy=policy)
                with contextlib.closing(response.connection), response:
                    _save(response, deadline, into, cap, redactor)
            except _NotFetched as failure:
                error, repeatable = failure.error, failure.repeatable
            except BlockedAddress as blocked:
                error, repeatable = ErrorInfo(message=_("{problem}.", problem=blocked.args[0])), False
            except Exception as foreign:  # noqa: BLE001 - every foreign exception becomes a value here
                reason, repeatable = describe_failure(foreign), not is_unusable_request(foreign)
                error = ErrorInfo(message=_("The image could not be fetched: {reason}.", reason=reason))
            else:
                return None
    with contextlib.suppress(OSError):
        into.unlink(missing_ok=True)
    clear = redactor.redact(error.message)
    return error if clear == error.message else replace(error, message=clear)


def _open(
    url: str,
    endpoint: Endpoint | None,
    deadline: Deadline,
    redactor: Redactor,
    *,
    mounts: Mounts,
    policy: AddressPolicy,
) -> requests.Response:
    """Return the response with the image, hop by hop. Raises _NotFetched, and what `send` raises."""
    for _hop in range(HOPS + 1):
        response = send(
            deadline,
            "GET",
            url,
            headers={"Accept": "image/*,*/*;q=0.1"},
            timeout=(CONNECT, IDLE),
            mounts=mounts,
            policy=replace(policy, public_only=not _is_own(url, endpoint)),
        )
        status, target = response.status_code, response.headers.get("Location")
        if status == HTTPStatus.OK:
            return response
        response.close()
        response.connection.close()
        if not (300 <= status < 400 and target):
            host = urlsplit(url).hostname
            problem = _("The image could not be fetched: {host} answered {status}.", host=host, status=status)
            raise _NotFetched(problem, status, repeatable=status >= 500)
        url = urljoin(url, target)
        if redactor.holds_part(url):
            problem = _("The image URL redirects to a URL that contains the key; it was not fetched.")
            raise _NotFetched(problem)
    raise _NotFetched(_("The image URL redirects too often."))


def _save(response: requests.Response, deadline: Deadline, into: Path, cap: int, redactor: Redactor) -> None:
    """Write a body to the file. Raises _NotFetched, and what urllib3 raises when the body is cut."""
    problem = None
    try:
        with Spool(into, cap, redactor) as file:
            for chunk in read_chunks(response, deadline):
                file.write(chunk)
    except TooLarge:
        problem = _("The image is larger than {size} MiB.", size=cap >> 20)
    except OSError as error:  # the disk's: urllib3 gives the network's other types
        problem = _("The image {problem}.", problem=describe_disk_failure(error))
    if problem:
        raise _NotFetched(problem)
    if deadline.stopped:
        raise TimeoutError
    if not file.size:
        raise _NotFetched(_("The image URL returned nothing."))


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
