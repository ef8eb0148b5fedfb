"""Where connections may go: decided by the address that is connected to, not by the name."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from urllib3.exceptions import ConnectTimeoutError

from ipyimagegen.core.hosts import (
    LOCALHOST,
    LOOPBACK,
    is_loopback_address,
    is_loopback_host,
    is_public,
    parse_address,
)
from ipyimagegen.core.text import sanitize

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]

PRIVATE = "The image URL leads into a private network; it was not fetched"


class Blocked(ValueError):
    """The address is not one to connect to; the text is ours."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the numeric addresses of a host. Raises OSError."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)]


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Which addresses a connection may be made to.

    A host that is meant as this machine is only ever connected to loopback. `offline` leaves nothing
    else, and looks no name up. `stranger` marks a URL that the user did not configure: only the public
    Internet is left.
    """

    offline: bool = False
    stranger: bool = False
    resolver: Resolver = resolve

    def restricts(self, host: str) -> bool:
        """Return whether the addresses of a host have to be checked."""
        return self.offline or self.stranger or is_loopback_host(host)

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses to connect to for a restricted host. Raises Blocked or OSError."""
        here = is_loopback_host(host)
        if self.offline and not here:
            raise Blocked(f"Offline: {sanitize(host, 80)} was not contacted")
        if self.stranger and here:
            raise Blocked(PRIVATE)
        found = self._look_up(host, port, here=here)
        if not found or not all(map(is_public if self.stranger else is_loopback_address, found)):
            raise Blocked(PRIVATE if self.stranger else f"{sanitize(host, 80)} does not lead to this machine")
        return found

    def _look_up(self, host: str, port: int, *, here: bool) -> Sequence[str]:
        if address := parse_address(host):
            return (str(address),)
        if here and (self.offline or host.rstrip(".").casefold() == LOCALHOST):
            return LOOPBACK
        try:
            return self.resolver(host, port)
        except OSError:  # few systems know names below localhost: RFC 6761 says where they lead
            if here:
                return LOOPBACK
            raise

    def dial(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """Return a connection to the first address that answers.

        Raises Blocked, OSError or ConnectTimeoutError.
        """
        faults: list[OSError] = []
        for address in self.addresses(host, port):
            try:
                connected = socket.create_connection((address, port), timeout)
            except OSError as fault:
                faults.append(fault)
            else:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as urllib3 does
                return connected
        if isinstance(faults[0], TimeoutError):
            raise ConnectTimeoutError("no connection in time")
        raise faults[0]


ANYWHERE = Reach()
