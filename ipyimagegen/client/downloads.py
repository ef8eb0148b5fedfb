"""Fetch an image by the address that a server gave: an address from a stranger, so nothing is trusted.

No key, cookie or netrc goes along. Each hop is https to a public address, checked at connecting, so
that a name cannot change its mind; what the call was posted to may serve its own images.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from ipyimagegen.client.causes import describe, disk, unusable
from ipyimagegen.client.connections import NO_MOUNTS, Key, Mounts, send
from ipyimagegen.client.control import CancelToken, Deadline
from ipyimagegen.client.decoding import read_chunks
from ipyimagegen.client.dialling import Blocked, Reach, Resolver, resolve
from ipyimagegen.client.reply import IMAGE_LIMIT, Spool, TooLarge
from ipyimagegen.core.endpoints import Endpoint, to_origin
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
    control: CancelToken,
    cap: int = IMAGE_LIMIT,
    resolver: Resolver = resolve,
    mounts: Mounts = NO_MOUNTS,
    whole: float = WHOLE,
    redactor: Redactor = NO_KEYS,
    offline: bool = False,
) -> ErrorInfo | None:
    """Fetch `url` into the file `into`; return None, or why it could not be had.

    At most `cap` bytes and `whole` seconds, or until the control's deadline, three tries when the network
    or a 5xx fails, three redirects. `endpoint` may serve its own URLs, wherever it is; without one the
    URL is a stranger's. Nothing is raised and no partial file stays. `offline` allows loopback alone.
    """
    fault = ErrorInfo(message="Given up.")
    with Deadline(control, max(min(whole, control.left), 0)) as watch:
        fetch = _Fetch(
            endpoint=endpoint,
            watch=watch,
            into=into,
            cap=cap,
            reach=Reach(offline=offline, resolver=resolver),
            mounts=mounts,
            redactor=redactor,
        )
        for attempt in range(TRIES):
            if attempt and control.wait(min(0.5 * attempt, max(watch.left, 0))):
                break
            if watch.stopped:
                break
            found, again = fetch.run(url)
            if found is None:
                return None
            fault = found
            if not again:
                break
    with contextlib.suppress(OSError):
        into.unlink(missing_ok=True)
    return replace(fault, message=redactor.redact(fault.message))


@dataclass(frozen=True, kw_only=True)
class _Fetch:
    """One try of a download, hop by hop."""

    endpoint: Endpoint | None
    watch: Deadline
    into: Path
    cap: int
    reach: Reach
    mounts: Mounts
    redactor: Redactor

    def run(self, url: str) -> tuple[ErrorInfo | None, bool]:
        """Return why it failed (None: it did not), and whether another try makes sense."""
        try:
            for _ in range(HOPS + 1):
                target, fault, again = self.hop(url)
                if target is None:
                    return fault, again
                url = urljoin(url, target)
                if self.redactor.holds_part(url):
                    return ErrorInfo(
                        message="The image URL redirects to one that contains the key; it was not fetched."
                    ), False
            return ErrorInfo(message="The image URL redirects too often."), False
        except Blocked as error:
            return ErrorInfo(message=f"{error}."), False
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            return ErrorInfo(message=f"The image could not be fetched: {describe(error)}."), not unusable(
                error
            )

    def hop(self, url: str) -> tuple[str | None, ErrorInfo | None, bool]:
        """Ask one address; return where it redirects to, or why it failed and whether to try again."""
        reach = replace(self.reach, stranger=not _is_own(url, self.endpoint))
        request = requests.Request("GET", url, headers={"Accept": "image/*,*/*;q=0.1"}, auth=Key())
        session, response = send(
            self.watch, request, timeout=(CONNECT, IDLE), mounts=self.mounts, reach=reach
        )
        with session, response:
            status = response.status_code
            if 300 <= status < 400 and response.headers.get("Location"):
                return response.headers["Location"], None, False
            if status != requests.codes.ok:
                said = f"The image could not be fetched: {urlsplit(url).hostname} answered {status}."
                return None, ErrorInfo(message=said, status=status), status >= 500
            return None, self.kept(response), False

    def kept(self, response: requests.Response) -> ErrorInfo | None:
        """Write the body to the file. Raises what urllib3 raises when it is cut."""
        try:
            with Spool(self.into, self.cap, self.redactor) as file:
                for chunk in read_chunks(response, self.watch):
                    file.write(chunk)
        except TooLarge:
            return ErrorInfo(message=f"The image is larger than {self.cap >> 20} MiB.")
        except OSError as error:  # the disk's: urllib3 gives the network's other types
            return ErrorInfo(message=f"The image {disk(error)}.")
        if self.watch.stopped:
            raise TimeoutError
        return None if file.size else ErrorInfo(message="The image URL returned nothing.")


def _is_own(url: str, endpoint: Endpoint | None) -> bool:
    """Return whether a URL is of the endpoint's own origin. Raises Blocked for what is never fetched."""
    try:
        parts, place = urlsplit(url), to_origin(url)
        own = endpoint is not None and place == to_origin(endpoint.base_url)
    except ValueError:
        raise Blocked("The image URL is malformed") from None
    if parts.username is not None or parts.password is not None:
        raise Blocked("The image URL contains a user name or password; it was not fetched")
    if parts.scheme != "https" and not (own and parts.scheme == "http"):
        raise Blocked("The image URL is not https; it was not fetched")
    return own
