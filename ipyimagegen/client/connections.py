"""Sessions whose sockets can be shut down from outside, without retries, netrc, cookies or redirects."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_environ_proxies, select_proxy

from ipyimagegen.client.control import Deadline
from ipyimagegen.client.decoding import ACCEPTED
from ipyimagegen.client.dialling import ANYWHERE, Reach
from ipyimagegen.client.local import LocalAdapter
from ipyimagegen.core.endpoints import to_origin
from ipyimagegen.core.hosts import is_loopback_host
from ipyimagegen.core.redact import HiddenText

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Dial: TypeAlias = Callable[[str, int, float | None], socket.socket]
Mounts: TypeAlias = Mapping[str, "WSGIApplication"]
NO_MOUNTS: Mounts = MappingProxyType({})


class Key(AuthBase):
    """Puts a header on at sending; without one it still keeps requests from making one of a URL's user."""

    def __init__(self, name: str = "", value: HiddenText | None = None) -> None:
        self._name = name
        self._value = HiddenText("Bearer " + value) if value and name == "Authorization" else value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return `request` with the header."""
        if self._value:
            request.headers[self._name] = self._value
        return request


class WatchedAdapter(HTTPAdapter):
    """An adapter whose connections report to a watch; `dial` replaces how they connect.

    The pool managers get connection classes of ours: every version of requests sends through these, while
    the method that asks them for a pool has had three names.
    """

    def __init__(self, watch: Deadline, idle: float, dial: Dial | None = None) -> None:
        self._watch, self._idle, self._dial = watch, idle, dial
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the manager of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._watch_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the manager of the connections through a proxy."""
        return self._watch_pools(super().proxy_manager_for(*args, **kwargs))

    def _watch_pools(self, manager: Any) -> Any:
        manager.pool_classes_by_scheme = {
            scheme: self._watched_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }
        return manager

    def _watched_pool(self, pool: Any) -> Any:
        connection = _watched(pool.ConnectionCls, self._watch, self._idle, self._dial)
        return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class Final(http.client.HTTPResponse):
    """A response that 102, 103 and the like announce, and are not: http.client passes over 100 alone."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # a test guards the private name
        return version, HTTPStatus.CONTINUE if 100 <= status < 200 else status, reason


def _watched(base: Any, watch: Deadline, idle: float, dial: Dial | None) -> Any:
    """Return the connection class `base` with its socket handed to `watch`.

    `_new_conn` is urllib3's private name for making the TCP connection; a test guards it.
    """

    class Watched(base):  # type: ignore[misc]  # urllib3 has one class for each scheme and proxy
        response_class = Final

        def _new_conn(self) -> socket.socket:
            made = dial(self.host, self.port, self.timeout) if dial else super()._new_conn()
            watch.opened(made)
            return made

        def connect(self) -> None:
            super().connect()
            # Until here nothing but TLS and a proxy's CONNECT went out.
            watch.sending()
            # urllib3 leaves the connect timeout on while sending: too short for large inputs.
            self.sock.settimeout(idle)

    return Watched


def _proxies(url: str) -> dict[str, str]:
    """Return the environment's proxies for an address; there are none before this machine itself.

    A key may go there unencrypted because it stays here; through a proxy it would leave.
    """
    return {} if is_loopback_host(urlsplit(url).hostname or "") else get_environ_proxies(url)


def proxy_for(url: str) -> str | None:
    """Return the address of the proxy that stands before an address, if one does."""
    return select_proxy(url, _proxies(url))


def _dial(url: str, reach: Reach, *, proxied: bool) -> Dial | None:
    """Return how to connect for a URL, None as urllib3 does. Raises Blocked or OSError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not reach.restricts(host):
        return None
    if proxied:
        reach.addresses(host, parts.port or 443)
        return None
    return reach.dial


def send(
    watch: Deadline,
    request: requests.Request,
    *,
    timeout: tuple[float, float],
    mounts: Mounts,
    reach: Reach = ANYWHERE,
) -> tuple[requests.Session, requests.Response]:
    """Send `request` once over a fresh connection and return the session and the answer's head.

    The caller closes both. The adapter is called directly: `Session.send` would read the whole body
    of a redirect. Behind a proxy the addresses of `reach` are checked here, but the proxy connects.
    Raises Blocked, and what requests and urllib3 raise.
    """
    to_origin(request.url or "")  # whose host parsers read differently is refused, whatever urllib3 does
    session = requests.Session()
    session.trust_env = False  # what counts of the environment is below; .netrc is not asked
    session.headers["User-Agent"] = "ipyimagegen"
    session.headers["Accept-Encoding"] = ACCEPTED
    for prefix, app in mounts.items():
        session.mount(prefix, LocalAdapter(app, watch.sending))
    try:
        prepared = session.prepare_request(request)
        url = prepared.url or ""
        proxies = _proxies(url)
        watch.proxied = select_proxy(url, proxies) is not None
        mounted = any(url.startswith(prefix) for prefix in mounts)
        dial = None if mounted else _dial(url, reach, proxied=watch.proxied)
        adapter = WatchedAdapter(watch, timeout[1], dial)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        sent_by = session.get_adapter(url)
        return session, sent_by.send(prepared, stream=True, timeout=timeout, verify=verify, proxies=proxies)
    except BaseException:
        session.close()
        raise
