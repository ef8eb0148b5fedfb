"""Send an HTTP request over a fresh connection and read its body: no retries, netrc, cookies or redirects.

`AddressPolicy` decides by the address that is connected to, not by its name. Bodies are decompressed here
with little memory: urllib3 before 2.6 decompresses whatever a read returns in a single step, so that a few
kilobytes can become gigabytes. Here a step gives at most `BLOCK` bytes, so that a cap on the size can stop
it.
"""

from __future__ import annotations

import codecs
import contextlib
import http.client
import io
import math
import os
import re
import socket
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import ConnectTimeoutError, DecodeError

from ipyimagegen.client.cancel import Deadline
from ipyimagegen.client.spool import BLOCK
from ipyimagegen.client.wsgi import WsgiAdapter
from ipyimagegen.core.endpoints import to_origin
from ipyimagegen.core.formats import identify
from ipyimagegen.core.hosts import (
    LOCALHOST,
    LOOPBACK,
    is_loopback_address,
    is_loopback_host,
    is_public,
    parse_address,
)
from ipyimagegen.core.messages import _
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

HOPS = 3  # redirects of a GET that are followed
# Routers and NATs of clouds forget a connection that is silent for one to six minutes, and tell nobody.
# macOS calls the first option by the second name; a system that lacks one uses its own value.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5}


def keep_alive(connected: socket.socket) -> None:
    """Let the system probe a connection that is silent for a minute, and end one that is dead."""
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        with contextlib.suppress(OSError, AttributeError):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


_UNSENDABLE = re.compile(r"[^!-~]+")  # blanks, control characters, and what is not ASCII


def join_url(base: str, reference: str) -> str:
    """Return the absolute URL of a reference, spelled as it is given wherever that is possible.

    `urljoin` drops empty parts and resolves dots. Raises ValueError.
    """
    parts = urlsplit(base)
    if re.match(r"[a-z][a-z0-9+.-]*:", reference, re.IGNORECASE):
        return reference
    if reference.startswith("//"):
        return f"{parts.scheme}:{reference}"
    if reference.startswith("/"):
        return f"{parts.scheme}://{parts.netloc}{reference}"
    return urljoin(base, reference)


def to_request_target(url: str) -> str:
    """Return the path and query of a URL, byte for byte as given: a signature covers their spelling.

    requests and urllib3 would write `%7E` as `~`, and `%2f` as `%2F`. Only what a request line cannot hold
    is escaped.
    """
    after = url.partition("#")[0].partition("://")[2]
    path = after[len(re.split("[/?]", after, maxsplit=1)[0]) :]
    target = path if path.startswith("/") else f"/{path}"
    return _UNSENDABLE.sub(lambda match: quote(match[0], safe="", errors="replace"), target)


class StoppableAdapter(HTTPAdapter):
    """An adapter for a request of `url` alone, whose connections are registered with a deadline.

    `policy` decides where direct connections lead. The pool managers get connection classes of ours: every
    version of requests sends through these, while the method that requests a pool from them has had three
    names.
    """

    def __init__(self, url: str, deadline: Deadline, idle: float | None, policy: AddressPolicy) -> None:
        super().__init__(max_retries=0)
        self._url, self._deadline, self._idle = url, deadline, idle
        self._replace_classes(self.poolmanager, policy)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Return the manager of the connections through a proxy, wherever that is."""
        return self._replace_classes(super().proxy_manager_for(*args, **kwargs), None)

    def _replace_classes(self, manager: Any, policy: AddressPolicy | None) -> Any:
        """Make the manager's connections register their sockets with the deadline.

        `_new_conn` is urllib3's private name for making the TCP connection; a test guards it.
        """
        deadline, idle, target = self._deadline, self._idle, to_request_target(self._url)

        classes = {}
        for scheme, pool in manager.pool_classes_by_scheme.items():

            class StoppableConnection(pool.ConnectionCls):  # type: ignore[name-defined,misc]
                response_class = FinalResponse

                def _new_conn(self) -> socket.socket:
                    checked = policy and policy.connect(self.host, self.port, self.timeout)
                    connected: socket.socket = checked or super()._new_conn()
                    keep_alive(connected)
                    deadline.add_connection(connected)
                    return connected

                def connect(self) -> None:
                    super().connect()
                    # Until here nothing but TLS and a proxy's CONNECT went out.
                    deadline.mark_sent()
                    # urllib3 leaves the connect timeout on while sending: too short for large inputs.
                    self.sock.settimeout(idle)

                def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
                    # A proxy gets whole URLs where it does not pass TLS on.
                    origin = "" if url.startswith("/") else to_origin(url)
                    super().putrequest(method, origin + target, *args, **kwargs)

            classes[scheme] = type(pool.__name__, (pool,), {"ConnectionCls": StoppableConnection})
        manager.pool_classes_by_scheme = classes
        return manager


_LARGEST_HEAD = 1 << 20  # bytes
_MOST_HEADERS = 90  # besides those of the framing; http.client refuses more than 100 lines
_LONGEST_HEADER = 60_000  # bytes; http.client refuses more than 65,536
_FRAMING = ("transfer-encoding", "content-length", "content-encoding", "connection", "location")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_HEADER = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]++)[ \t]*+:([^\n]*+)", re.MULTILINE)
_BREAKS = re.compile(rb"[\r\0]+")


# What a chunk begins with, behind the end of the one before; it may be cut.
_CHUNK = re.compile(rb"(?:\r?\n)?(?:[0-9A-Fa-f]{1,16}[ \t]*(?:[;\r\n]|\Z)|\Z)|\r?\Z")
_OLD = ("HTTP/1.0", "HTTP/0.9")


class FinalResponse(http.client.HTTPResponse):
    """The response after 102, 103 and other interim ones, with headers and a body that http.client can read.

    http.client skips 100 alone. It refuses many or long header lines, and ignores all headers after a line
    that is none; without their `Transfer-Encoding` the body is misread. So it gets the lines that are
    headers. A chunked body with anything but a chunk where a chunk begins is read as it is: some gateways
    join the chunks and leave the header.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connected = self.fp

    def begin(self) -> None:
        """Read the status line and the headers."""
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = self._connected

    def _read_status(self) -> tuple[str, int, str]:  # a test guards the name
        self.fp = self._connected
        version, status, reason = super()._read_status()  # type: ignore[misc]
        self.fp = io.BufferedReader(io.BytesIO(read_header_lines(self._connected)))
        version = version if version in _OLD else "HTTP/1.1"  # some write HTTP/2 in plain text
        return version, HTTPStatus.CONTINUE if 100 <= status < 200 else status, reason

    def read1(self, n: int = -1) -> bytes:
        """Return a part of the body, b"" at its end."""
        if self.chunked and self.fp and not self.chunk_left and not _CHUNK.match(self.fp.peek(1)):
            length = self.headers.get("Content-Length") if self.chunk_left is None else None
            self.chunked, self.length = False, None if length is None else int(length)
        return super().read1(n)


def read_header_lines(file: BinaryIO) -> bytes:
    """Read the head of a response; return its header lines, the most important first, at most 90.

    Cookies are left out, and lines that are no header, or too long to be of use. Raises
    http.client.HTTPException for a head without an end.
    """
    head = bytearray()
    while (line := file.readline(_LARGEST_HEAD)) not in (b"\r\n", b"\n", b""):
        head += line
        if len(head) >= _LARGEST_HEAD:
            raise http.client.HTTPException("the head of the response has no end")
    framing: dict[str, bytes] = {}
    others: list[bytes] = []
    for header in _HEADER.finditer(_FOLD.sub(b" ", head)):
        name, value = header[1].decode().lower(), _BREAKS.sub(b" ", header[2]).strip()
        if name == "transfer-encoding" and value.lower().endswith(b"chunked"):
            value = b"chunked"  # http.client knows it alone, and not behind another coding
        line = header[1] + b": " + value + b"\r\n"
        if name == "set-cookie" or len(line) > _LONGEST_HEADER:
            continue
        if name not in _FRAMING and len(others) < _MOST_HEADERS:
            others.append(line)
        elif name in _FRAMING and (name != "content-length" or value.isdigit()):
            framing.setdefault(name, line)  # of two lengths urllib3 takes none
    return b"".join([*framing.values(), *others, b"\r\n"])


def send(
    deadline: Deadline,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    data: bytes | None = None,
    secrets: Mapping[str, str] = MappingProxyType({}),
    timeout: tuple[float, float],
    mounts: Mounts,
    policy: AddressPolicy,
) -> requests.Response:
    """Send a request once over a fresh connection; return the response with its body unread.

    `secrets` are headers that replace others. The caller closes the response and its `connection`. `mounts`
    maps URL prefixes to WSGI applications that run in this process. There is no session, so no cookie, no
    .netrc and no redirect. Behind a proxy the addresses are checked here, but the proxy connects. Raises
    BlockedAddress, and what requests and urllib3 raise.
    """
    origin = to_origin(url)  # a host that parsers read differently is refused, whatever urllib3 does
    app = next((app for prefix, app in mounts.items() if url.startswith(prefix)), None)

    def add_secrets(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        # Without any too: else requests makes a header of the user in a URL.
        prepared.headers.update(secrets)
        return prepared

    headers = {"User-Agent": "ipyimagegen", "Accept-Encoding": ACCEPTED, **headers}
    place = url if app else f"{origin}/"  # the adapter writes the rest: requests would respell it
    prepared = requests.Request(method, place, headers=headers, data=data, auth=add_secrets).prepare()
    if app:
        return WsgiAdapter(app, deadline.mark_sent).send(prepared)
    parts = urlsplit(prepared.url or "")
    host = parts.hostname or ""
    # No proxy before this machine: a key may go there unencrypted because it stays here.
    proxies = {} if is_loopback_host(host) else get_environ_proxies(origin)
    deadline.proxy = select_proxy(origin, proxies)
    if deadline.proxy:
        policy.list_addresses(host, parts.port or 443)
    verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    connect, idle = timeout[0], None if math.isinf(timeout[1]) else timeout[1]
    adapter = StoppableAdapter(url, deadline, idle, policy)
    limits: Any = connect, idle
    try:
        return adapter.send(prepared, stream=True, timeout=limits, verify=verify, proxies=proxies)
    except BaseException:
        adapter.close()
        raise


# Reading

ACCEPTED = "gzip, deflate"  # the value of Accept-Encoding
NESTED = 2  # encodings of a body; no server applies more
_HEAD = 1 << 12  # bytes of a valid header of compressed data
_PLAIN = 64  # bytes that show whether a body is text
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\f\r"))
_GZIP, _ZLIB, _DEFLATE = 31, 15, -15  # zlib's `wbits`
# What a label may mean; some servers call bare deflate so, and some labels name the wrong one.
_FORMATS = {
    "gzip": (_GZIP, _ZLIB),
    "x-gzip": (_GZIP, _ZLIB),
    "deflate": (_ZLIB, _GZIP, _DEFLATE),
}
# What a body begins with, whatever its label is: no text and no image does.
_MARKS = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "compress": b"\x1f\x9d",
    "x-compress": b"",
    "br": b"",
}


class UnsupportedEncoding(DecodeError):
    """The body is compressed in a way that was not requested; its text is the name of the encoding."""


def read_chunks(response: requests.Response, deadline: Deadline, size: int = BLOCK) -> Iterator[bytes]:
    """Yield the decoded body as it arrives, until it ends or `deadline` is stopped.

    A body that does not begin as its Content-Encoding requires is read as it is: some gateways decompress
    and leave the header, others compress without it. Raises what urllib3 raises, and UnsupportedEncoding at
    the end of a body that was yielded undecoded.
    """
    names = [name.strip().lower() for name in response.headers.get("Content-Encoding", "").split(",")]
    chunks = iter(partial(response.raw.read1, size, decode_content=False), b"")
    for chunk in decode(chunks, names):
        if chunk:
            yield chunk
        if deadline.stopped:
            return


def decode(chunks: Iterator[bytes], names: Sequence[str]) -> Iterator[bytes]:
    """Yield chunks without the encodings of these names, some of them empty; see `read_chunks`."""
    compressed = [name for name in names if name in _FORMATS or name in _MARKS]
    head = b""
    for chunk in chunks:
        head += chunk
        if not any(mark.startswith(head) for mark in _MARKS.values()):
            break
    marked = [name for name, mark in _MARKS.items() if mark and head.startswith(mark)]
    chunks = chain([head], chunks)
    if marked == ["gzip"] and not any(name in _FORMATS for name in compressed):
        compressed = marked
    elif marked and marked != ["gzip"]:
        compressed = [*compressed, *marked]
    if len(compressed) > NESTED or any(name not in _FORMATS for name in compressed):
        yield from _pass_through(chunks, ", ".join(dict.fromkeys(compressed))[:80])
        return
    if len(compressed) == 1:
        compressed = ["gzip", *compressed]  # some gateways compress what is compressed, and say so once
    for name in reversed(compressed):
        chunks = _decompress(chunks, name)
    yield from chunks


def _pass_through(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield `chunks` unchanged. Raises UnsupportedEncoding at the end if they are no text and no image."""
    head = b""
    for chunk in chunks:
        head = head if len(head) >= _PLAIN else head + chunk[:_PLAIN]
        yield chunk
    if not _is_plain(head):
        raise UnsupportedEncoding(name)


def _decompress(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the decompressed chunks, some of them empty.

    Damaged data is yielded as it is. Raises DecodeError after it.
    """
    head, bits = _find_format(chunks, name)
    chunks = chain([head], chunks)
    if bits is None:
        yield from chunks
        return
    decompressor, padded, data = zlib.decompressobj(bits), False, b""
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
        if padded:
            return
    else:
        return
    yield data
    yield from chunks
    raise DecodeError("the compressed data is damaged")


def _find_format(chunks: Iterator[bytes], name: str) -> tuple[bytes, int | None]:
    """Return the beginning of the body and the `wbits` that decompress it, None if it is not compressed."""
    head = b""
    for chunk in chunks:
        head += chunk
        for bits in _FORMATS[name]:
            if bits < 0 and _is_plain(head):  # bare deflate has no mark, and text may pass for it
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
    """Return whether the beginning of a body is text or an image."""
    return is_text(head) or identify(head) is not None


def is_text(head: bytes) -> bool:
    """Return whether the beginning of a body is text."""
    head = head[:_PLAIN]
    try:
        codecs.utf_8_decode(head, "strict", False)  # the end may cut a character
    except UnicodeDecodeError:
        return False
    return len(head.translate(None, _CONTROLS)) == len(head)
