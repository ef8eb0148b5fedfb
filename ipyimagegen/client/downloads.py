"""Fetch an image by the URL that a server sent: a URL from a stranger, so nothing is trusted.

No key, cookie or netrc is sent. Each hop is https to a public address, checked while connecting, so that a
name cannot change its address in between; the server of the call may serve its own images.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from ipyimagegen.client.cancel import CancelToken, Deadline
from ipyimagegen.client.connections import (
    NO_MOUNTS,
    AddressPolicy,
    BlockedAddress,
    KeyHeader,
    Mounts,
    Resolver,
    read_chunks,
    resolve,
    send,
)
from ipyimagegen.client.errors import redact_error
from ipyimagegen.client.failures import describe_failure, is_unusable_request
from ipyimagegen.client.spool import IMAGE_LIMIT, Spool, TooLarge, describe_disk_failure
from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.messages import _
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo

HOPS = 3
TRIES = 3
CONNECT, IDLE, WHOLE = 10.0, 30.0, 300.0  # seconds


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
    error = ErrorInfo(message=_("Given up."))
    with Deadline(token, whole) as deadline:
        attempt = _Attempt(
            endpoint=endpoint,
            deadline=deadline,
            into=into,
            cap=cap,
            policy=AddressPolicy(offline=offline, resolver=resolver),
            mounts=mounts,
            redactor=redactor,
        )
        for number in range(TRIES):
            if number and token.wait(min(0.5 * number, max(deadline.left, 0))):
                break
            if deadline.stopped:
                break
            newest, repeatable = attempt.run(url)
            if newest is None:
                return None
            error = newest
            if not repeatable:
                break
    with contextlib.suppress(OSError):
        into.unlink(missing_ok=True)
    return redact_error(error, redactor)


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """An attempt at a download, hop by hop."""

    endpoint: Endpoint | None
    deadline: Deadline
    into: Path
    cap: int
    policy: AddressPolicy
    mounts: Mounts
    redactor: Redactor

    def run(self, url: str) -> tuple[ErrorInfo | None, bool]:
        """Return why it failed (None: it did not), and whether another try makes sense."""
        try:
            for _hop in range(HOPS + 1):
                target, error, repeatable = self.request(url)
                if target is None:
                    return error, repeatable
                url = urljoin(url, target)
                if self.redactor.holds_part(url):
                    problem = _("The image URL redirects to a URL that contains the key; it was not fetched.")
                    return ErrorInfo(message=problem), False
            return ErrorInfo(message=_("The image URL redirects too often.")), False
        except BlockedAddress as error:
            return ErrorInfo(message=_("{problem}.", problem=error.args[0])), False
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            problem = _("The image could not be fetched: {reason}.", reason=describe_failure(error))
            return ErrorInfo(message=problem), not is_unusable_request(error)

    def request(self, url: str) -> tuple[str | None, ErrorInfo | None, bool]:
        """Request a URL; return where it redirects to, or why it failed and whether to try again."""
        policy = replace(self.policy, public_only=not _is_own(url, self.endpoint))
        request = requests.Request("GET", url, headers={"Accept": "image/*,*/*;q=0.1"}, auth=KeyHeader())
        session, response = send(
            self.deadline, request, timeout=(CONNECT, IDLE), mounts=self.mounts, policy=policy
        )
        with session, response:
            status = response.status_code
            if 300 <= status < 400 and response.headers.get("Location"):
                return response.headers["Location"], None, False
            if status != requests.codes.ok:
                host = urlsplit(url).hostname
                problem = _(
                    "The image could not be fetched: {host} answered {status}.", host=host, status=status
                )
                return None, ErrorInfo(message=problem, status=status), status >= 500
            return None, self.save(response), False

    def save(self, response: requests.Response) -> ErrorInfo | None:
        """Write the body to the file. Raises what urllib3 raises when it is cut."""
        try:
            with Spool(self.into, self.cap, self.redactor) as file:
                for chunk in read_chunks(response, self.deadline):
                    file.write(chunk)
        except TooLarge:
            return ErrorInfo(message=_("The image is larger than {size} MiB.", size=self.cap >> 20))
        except OSError as error:  # the disk's: urllib3 gives the network's other types
            return ErrorInfo(message=_("The image {problem}.", problem=describe_disk_failure(error)))
        if self.deadline.stopped:
            raise TimeoutError
        return None if file.size else ErrorInfo(message=_("The image URL returned nothing."))


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
