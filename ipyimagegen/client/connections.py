"""Send an HTTP request over a fresh connection and read its body: no retries, netrc, cookies or redirects.

`AddressPolicy` decides by the address that is connected to, not by its name. Bodies are decompressed here
with little memory: urllib3 before 2.6 decompresses whatever a read returns in a single step, so that a few
kilobytes can become gigabytes. Here a step gives at most `BLOCK` bytes, so that a cap on the size can stop
it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import ConnectTimeoutError, DecodeError

from ipyimagegen.client.cancel import Deadline
from ipyimagegen.client.spool import BLOCK
from ipyimagegen.client.wsgi import WsgiAdapter
from ipyimagegen.core.endpoints import to_origin
from ipyimagegen.core.hosts import (
    LOCALHOST,
    LOOPBACK,
    is_loopback_address,
    is_loopback_host,
    is_public,
    parse_address,
)
from ipyimagegen.core.messages import _
from ipyimagegen.core.redact import HiddenText
from ipyimagegen.core.text import sanitize

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]
Mounts: TypeAlias = Mapping[str, "WSGIApplication"]
NO_MOUNTS: Mounts = MappingProxyType({})

# Where connections may lead


class BlockedAddress(ValueError):
    """An address that is not connected to; its only argument is a message of ours without a full stop."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the numeric addresses of a host. Raises OSError."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)]


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """Which addresses a connection may lead to.

    A host that is meant as this machine is only ever connected to loopback. `offline` allows nothing else,
    and looks no name up. `public_only` is for URLs that the user did not configure: only the public
    Internet is allowed.
    """

    offline: bool = False
    public_only: bool = False
    resolver: Resolver = resolve

    def list_addresses(self, host: str, port: int) -> Sequence[str] | None:
        """Return the addresses that may be connected to, None: any. Raises BlockedAddress or OSError."""
        local = is_loopback_host(host)
        if not (local or self.offline or self.public_only):
            return None
        private = _("The image URL leads into a private network; it was not fetched")
        if self.offline and not local:
            raise BlockedAddress(_("Offline: {host} was not contacted", host=sanitize(host, 80)))
        if self.public_only and local:
            raise BlockedAddress(private)
        addresses: Sequence[str] = LOOPBACK
        if address := parse_address(host):
            addresses = (str(address),)
        elif not (local and (self.offline or host.rstrip(".").casefold() == LOCALHOST)):
            try:
                addresses = self.resolver(host, port)
            except OSError:  # few systems know names below localhost: RFC 6761 defines where they lead
                if not local:
                    raise
        if not addresses or not all(map(is_public if self.public_only else is_loopback_address, addresses)):
            elsewhere = _("{host} does not lead to this machine", host=sanitize(host, 80))
            raise BlockedAddress(private if self.public_only else elsewhere)
        return addresses

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket | None:
        """Return a connection to the first address that accepts it, None: connect to any.

        Raises BlockedAddress, OSError or ConnectTimeoutError.
        """
        errors: list[OSError] = []
        addresses = self.list_addresses(host, port)
        if addresses is None:
            return None
        for address in addresses:
            try:
                connected = socket.create_connection((address, port), timeout)
            except OSError as error:
                errors.append(error)
            else:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as urllib3 does
                return connected
        if isinstance(errors[0], TimeoutError):
            raise ConnectTimeoutError("no connection in time")
        raise errors[0]


# Sending


class StoppableAdapter(HTTPAdapter):
    """An adapter that registers its connections with a deadline; `policy` decides where direct ones lead.

    The pool managers get connection classes of ours: every version of requests sends through these, while
    the method that requests a pool from them has had three names.
    """

    def __init__(self, deadline: Deadline, idle: float, policy: AddressPolicy) -> None:
        super().__init__(max_retries=0)
        self._deadline, self._idle = deadline, idle
        self._replace_classes(self.poolmanager, policy)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the manager of the connections through a proxy, wherever that is."""
        return self._replace_classes(super().proxy_manager_for(*args, **kwargs), None)

    def _replace_classes(self, manager: Any, policy: AddressPolicy | None) -> Any:
        """Make the manager's connections register their sockets with the deadline.

        `_new_conn` is urllib3's private name for making the TCP connection; a test guards it.
        """
        deadline, idle = self._deadline, self._idle

        classes = {}
        for scheme, pool in manager.pool_classes_by_scheme.items():

            class StoppableConnection(pool.ConnectionCls):  # type: ignore[name-defined,misc]
                response_class = FinalResponse

                def _new_conn(self) -> socket.socket:
                    checked = policy and policy.connect(self.host, self.port, self.timeout)
                    connected: socket.socket = checked or super()._new_conn()
                    deadline.add_connection(connected)
                    return connected

                def connect(self) -> None:
                    super().connect()
                    # Until here nothing but TLS and a proxy's CONNECT went out.
                    deadline.mark_sent()
                    # urllib3 leaves the connect timeout on while sending: too short for large inputs.
                    self.sock.settimeout(idle)

            classes[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": StoppableConnection})
        manager.pool_classes_by_scheme = classes
        return manager


class FinalResponse(http.client.HTTPResponse):
    """The response after 102, 103 and other interim ones: http.client skips 100 alone."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]  # a test guards the name
        return version, HTTPStatus.CONTINUE if 100 <= status < 200 else status, reason


def send(
    deadline: Deadline,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    data: bytes | None = None,
    key: HiddenText | None = None,
    key_header: str = "Authorization",
    timeout: tuple[float, float],
    mounts: Mounts,
    policy: AddressPolicy,
) -> requests.Response:
    """Send a request once over a fresh connection; return the response with its body unread.

    The caller closes it and its `connection`. `mounts` maps URL prefixes to WSGI applications that run in
    this process. There is no session, so no cookie, no .netrc and no redirect. Behind a proxy the addresses
    are checked here, but the proxy connects. Raises BlockedAddress, and what requests and urllib3 raise.
    """
    to_origin(url)  # a host that parsers read differently is refused, whatever urllib3 does

    def add_key(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        # Without a key too: else requests makes a header of the user in a URL.
        if key:
            prepared.headers[key_header] = (
                HiddenText("Bearer " + key) if key_header == "Authorization" else key
            )
        return prepared

    headers = {"User-Agent": "ipyimagegen", "Accept-Encoding": ACCEPTED, **headers}
    prepared = requests.Request(method, url, headers=headers, data=data, auth=add_key).prepare()
    url = prepared.url or ""
    for prefix, app in mounts.items():
        if url.startswith(prefix):
            return WsgiAdapter(app, deadline.mark_sent).send(prepared)
    parts = urlsplit(url)
    host = parts.hostname or ""
    # No proxy before this machine: a key may go there unencrypted because it stays here.
    proxies = {} if is_loopback_host(host) else get_environ_proxies(url)
    deadline.proxy = select_proxy(url, proxies)
    if deadline.proxy:
        policy.list_addresses(host, parts.port or 443)
    verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    adapter = StoppableAdapter(deadline, timeout[1], policy)
    try:
        return adapter.send(prepared, stream=True, timeout=timeout, verify=verify, proxies=proxies)
    except BaseException:
        adapter.close()
        raise


# Reading

ACCEPTED = "gzip, deflate"  # the value of Accept-Encoding
NESTED = 2  # encodings of a body; no server applies more
_HEAD = 1 << 12  # bytes of a valid header of compressed data
_TEXT = frozenset(b"\t\n\r" + bytes(range(32, 127)))
_IMAGES = (b"\x89P", b"\xff\xd8", b"\0\0")  # PNG, JPEG, AVIF; other formats begin with letters
_GZIP, _ZLIB, _DEFLATE = 31, 15, -15  # zlib's `wbits`
_FORMATS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _DEFLATE)}  # some servers mean the last
_UNSUPPORTED = ("br", "zstd", "compress", "x-compress")


class UnsupportedEncoding(DecodeError):
    """The body is compressed in a way that was not requested; its text is the name of the encoding."""


def read_chunks(response: requests.Response, deadline: Deadline, size: int = BLOCK) -> Iterator[bytes]:
    """Yield the decoded body as it arrives, until it ends or `deadline` is stopped.

    A body that does not begin as its Content-Encoding requires is read as it is: some gateways decompress
    and leave the header. Raises what urllib3 raises, and UnsupportedEncoding at the end of a body that was
    yielded undecoded.
    """
    names = [name.strip().lower() for name in response.headers.get("Content-Encoding", "").split(",")]
    compressed = [name for name in names if name in _FORMATS or name in _UNSUPPORTED]
    chunks = iter(partial(response.raw.read1, size, decode_content=False), b"")
    if len(compressed) > NESTED or any(name in _UNSUPPORTED for name in compressed):
        chunks = _pass_through(chunks, ", ".join(compressed)[:80])
    else:
        for name in reversed(compressed):
            chunks = _decompress(chunks, name)
    for chunk in chunks:
        if chunk:
            yield chunk
        if deadline.stopped:
            return


def read_head(response: requests.Response, deadline: Deadline, size: int) -> bytes:
    """Return the first bytes of a body; where it fails, those before. Raises nothing."""
    head = bytearray()
    with contextlib.suppress(Exception):
        for chunk in read_chunks(response, deadline, size):
            head += chunk
            if len(head) >= size:
                break
    return bytes(head[:size])


def _pass_through(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield `chunks` unchanged. Raises UnsupportedEncoding at the end if they are no text and no image."""
    head = b""
    for chunk in chunks:
        head = head if len(head) > 1 else head + chunk[:2]
        yield chunk
    if not _is_plain(head[:2]):
        raise UnsupportedEncoding(name)


def _decompress(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the decompressed chunks, some of them empty. Raises DecodeError for damaged data."""
    head, bits = _find_format(chunks, name)
    chunks = chain([head], chunks)
    if bits is None:
        yield from chunks
        return
    decompressor, padded = zlib.decompressobj(bits), False
    try:
        for chunk in chunks:
            data = chunk
            while data:
                if decompressor.eof:  # what follows is padding, or the next member of a gzip file
                    decompressor, padded = zlib.decompressobj(_GZIP), True
                yield decompressor.decompress(data, BLOCK)
                data = decompressor.unconsumed_tail or decompressor.unused_data
        yield decompressor.flush()  # less than a block: all input has been consumed
    except zlib.error:
        if not padded:
            raise DecodeError("the compressed data is damaged") from None


def _find_format(chunks: Iterator[bytes], name: str) -> tuple[bytes, int | None]:
    """Return the beginning of the body and the `wbits` that decompress it, None if it is not compressed."""
    head = b""
    for chunk in chunks:
        head += chunk
        for bits in _FORMATS[name]:
            if bits < 0 and _is_plain(head[:2]):  # bare deflate has no mark, and text may pass for it
                continue
            trial = zlib.decompressobj(bits)
            with contextlib.suppress(zlib.error):
                if trial.decompress(head, 1) or trial.eof or len(head) > _HEAD:
                    return head, bits
                break  # it may be, and more has to be read
        else:
            return head, None
    return head, None


def _is_plain(head: bytes) -> bool:
    """Return whether two bytes begin a text or an image, where compressed data has no mark of its own."""
    return head in _IMAGES or all(byte in _TEXT for byte in head)
