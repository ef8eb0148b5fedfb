"""Fetch a picture by the address that a server gave: an address from a stranger, so nothing is trusted.

No key, cookie or netrc goes along. Each hop is https to a public address, checked at connecting, so
that a name cannot change its mind; what the call was posted to may serve its own pictures.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import requests

from ipyimagegen.records import Fault
from ipyimagegen.rows import Endpoint, origin
from ipyimagegen.wire.causes import describe, disk, unusable
from ipyimagegen.wire.connections import NO_MOUNTS, Dial, Key, Mounts, proxy_for, send
from ipyimagegen.wire.control import Control, Watch
from ipyimagegen.wire.reply import BLOCK, PICTURE, Spool, TooLarge

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]

HOPS = 3
TRIES = 3
CONNECT, IDLE, WHOLE = 10.0, 30.0, 300.0  # seconds


class _Blocked(Exception):
    """The address is not one to fetch from; its text is ours."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the numeric addresses of a host. Raises OSError."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def download(
    url: str,
    endpoint: Endpoint,
    *,
    into: Path,
    control: Control,
    cap: int = PICTURE,
    resolver: Resolver = resolve,
    mounts: Mounts = NO_MOUNTS,
    whole: float = WHOLE,
) -> Fault | None:
    """Fetch `url` into the file `into`; return None, or why it could not be had.

    At most `cap` bytes and `whole` seconds, or until the control's deadline, three tries when the network
    or a 5xx fails, three redirects. Nothing is raised and no partial file stays. Behind a proxy the names
    are resolved and checked here, but the proxy connects.
    """
    fault = Fault(message="Given up.")
    with Watch(control, max(min(whole, control.left), 0)) as watch:
        fetch = _Fetch(endpoint=endpoint, watch=watch, into=into, cap=cap, resolver=resolver, mounts=mounts)
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
    return fault


@dataclass(frozen=True, kw_only=True)
class _Fetch:
    """One try of a download, hop by hop."""

    endpoint: Endpoint
    watch: Watch
    into: Path
    cap: int
    resolver: Resolver
    mounts: Mounts

    def run(self, url: str) -> tuple[Fault | None, bool]:
        """Return why it failed (None: it did not), and whether another try makes sense."""
        try:
            for _ in range(HOPS + 1):
                target, fault, again = self.hop(url)
                if target is None:
                    return fault, again
                url = urljoin(url, target)
            return Fault(message="The picture's address redirects too often."), False
        except _Blocked as error:
            return Fault(message=str(error)), False
        except Exception as error:  # noqa: BLE001 - every foreign exception becomes a value here
            return Fault(message=f"The picture could not be fetched: {describe(error)}."), not unusable(error)

    def hop(self, url: str) -> tuple[str | None, Fault | None, bool]:
        """Ask one address; return where it redirects to, or why it failed and whether to try again."""
        blocked: list[_Blocked] = []
        request = requests.Request("GET", url, headers={"Accept": "image/*,*/*;q=0.1"}, auth=Key())
        try:
            session, response = send(
                self.watch,
                request,
                timeout=(CONNECT, IDLE),
                mounts=self.mounts,
                dial=self.checked(url, blocked),
            )
        except Exception:
            if blocked:
                raise blocked[0] from None
            raise
        with session, response:
            status = response.status_code
            if 300 <= status < 400 and response.headers.get("Location"):
                return response.headers["Location"], None, False
            if status != requests.codes.ok:
                said = f"The picture could not be fetched: {urlsplit(url).hostname} answered {status}."
                return None, Fault(message=said, status=status), status >= 500
            return None, self.kept(response), False

    def kept(self, response: requests.Response) -> Fault | None:
        """Write the body to the file. Raises what urllib3 raises when it is cut."""
        try:
            with Spool(self.into, self.cap) as file:
                while chunk := response.raw.read1(BLOCK, decode_content=True):
                    file.write(chunk)
        except TooLarge:
            return Fault(message=f"The picture is larger than {self.cap >> 20} MiB.")
        except OSError as error:  # the disk's: urllib3 gives the network's other types
            return Fault(message=f"The picture {disk(error)}.")
        if self.watch.stopped:
            raise TimeoutError
        return None if file.size else Fault(message="The picture's address holds nothing.")

    def checked(self, url: str, blocked: list[_Blocked]) -> Dial | None:
        """Return how to connect for `url`: only to addresses that were checked. Raises _Blocked."""
        own = _allowed(url, self.endpoint)
        if own or any(url.startswith(prefix) for prefix in self.mounts):
            return None
        host = urlsplit(url).hostname or ""
        if proxy_for(url):
            self.public(host, urlsplit(url).port or 443)
            return None

        def dial(host: str, port: int, timeout: float | None) -> socket.socket:
            try:
                return _connect(self.public(host, port), port, timeout)
            except _Blocked as error:
                blocked.append(error)
                raise OSError("blocked") from None

        return dial

    def public(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host. Raises _Blocked when one of them is not public."""
        addresses = self.resolver(host, port)
        if not addresses or not all(map(is_public, addresses)):
            raise _Blocked("The picture's address leads into a private network; it is not fetched.")
        return addresses


def _connect(addresses: Sequence[str], port: int, timeout: float | None) -> socket.socket:
    """Return a connection to the first address that answers. Raises OSError."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return socket.create_connection((address, port), timeout)
    return socket.create_connection((addresses[-1], port), timeout)


def _allowed(url: str, endpoint: Endpoint) -> bool:
    """Return whether `url` is of the endpoint's own origin. Raises _Blocked for what is never fetched."""
    try:
        parts, place = urlsplit(url), origin(url)
        own = place == origin(endpoint.base_url)
    except ValueError:
        raise _Blocked("The picture's address is malformed.") from None
    if parts.username is not None or parts.password is not None:
        raise _Blocked("The picture's address contains a user name or password; it is not fetched.")
    if parts.scheme != "https" and not (own and parts.scheme == "http"):
        raise _Blocked("The picture's address is not https; it is not fetched.")
    return own


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Not for the public either, though `is_global` says so in some versions of Python.
_RESERVED = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "::/96", "fec0::/10")))


def is_public(address: str) -> bool:
    """Say whether a numeric address is on the public Internet, also when it is wrapped in IPv6.

    Not public: loopback, private, link-local (clouds' metadata), shared, reserved, multicast.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    reserved = any(ip in network for network in _RESERVED)
    return ip.is_global and not ip.is_multicast and not reserved
