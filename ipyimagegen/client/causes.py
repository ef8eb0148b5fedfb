"""Why a connection failed, in a sentence of ours: the texts of requests and urllib3 are never shown.

Their exceptions hold the request with its key, addresses with a proxy's password, object ids.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator

import requests
from urllib3 import exceptions as u3

from ipyimagegen.client.decoding import UnsupportedEncoding
from ipyimagegen.client.dialling import Blocked
from ipyimagegen.core.text import sanitize


def bad_certificate(error: BaseException) -> bool:
    """Say whether the server's certificate was refused; asking again would change nothing."""
    return any(isinstance(one, ssl.SSLCertVerificationError) for one in _chain(error))


def unusable(error: BaseException) -> bool:
    """Say whether the request itself cannot be sent: a malformed address or header, a proxy of no use."""
    return isinstance(error, (ValueError, TypeError))  # as requests' InvalidURL, InvalidHeader, … are


def describe(error: BaseException) -> str:
    """Return what happened, as the end of a sentence."""
    chain = list(_chain(error))
    for part, ours in _TEXTS.items():
        if any(part in str(one) for one in chain):
            return ours
    for kind, words in _WORDS:
        for one in chain:
            if isinstance(one, kind):
                return words if isinstance(words, str) else words(one)
    return "the connection failed"


def disk(error: OSError) -> str:
    """Return why a file could not be written, as the end of a sentence."""
    return f"could not be written to disk: {sanitize(error.strerror or 'error', 80)}"


def _certificate(error: BaseException) -> str:
    reason = sanitize(getattr(error, "verify_message", ""), 120).rstrip(".")
    cure = "; REQUESTS_CA_BUNDLE may name a file of certificates to trust"
    unknown = getattr(error, "verify_code", 0) in _UNKNOWN_ISSUERS
    return f"its certificate is not trusted{f' ({reason})' if reason else ''}{cure if unknown else ''}"


def _no_tls(error: BaseException) -> str:
    plain_http = getattr(error, "reason", None) in _NO_TLS_AT_ALL
    return (
        f"no secure connection could be made{' (should its address begin with http:?)' if plain_http else ''}"
    )


def _proxy(error: BaseException) -> str:
    answered = next((found[1] for one in _chain(error) if (found := _TUNNEL.match(str(one)))), None)
    if answered == "407":
        return "the proxy wants a name and a password (407)"
    return "the proxy refused the connection" + (f" ({answered})" if answered else "")


def _encoding(error: BaseException) -> str:
    name = next(str(cause) for cause in _chain(error) if isinstance(cause, UnsupportedEncoding))
    return f"it is compressed as {sanitize(name, 40)}, which was not requested"


_UNKNOWN_ISSUERS = (18, 19, 20, 21)  # OpenSSL's: self-signed, or signed by nobody that is known here
_NO_TLS_AT_ALL = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")  # of OpenSSL 3.0, and of 3.2
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # http.client's own text

# What has no kind of its own: a part of requests' text, and ours.
_TEXTS = {
    "SOCKS support": "a SOCKS proxy is set, which needs PySocks (pip install pysocks)",
    "CA certificate bundle": "the file of certificates that REQUESTS_CA_BUNDLE names does not exist",
}
# In this order: the first kind that is anywhere in the chain of causes gives the words.
_WORDS = (
    (Blocked, str),
    (ssl.SSLCertVerificationError, _certificate),
    (u3.NameResolutionError, "its name was not found"),
    (socket.gaierror, "its name was not found"),
    (u3.ProxyError, _proxy),
    (ConnectionRefusedError, "the connection was refused"),
    (u3.NewConnectionError, "no connection could be made"),  # before its base, ConnectTimeoutError
    (u3.ConnectTimeoutError, "no connection in time"),
    (ssl.SSLError, _no_tls),
    (u3.ReadTimeoutError, "it was silent for too long"),
    (UnsupportedEncoding, _encoding),
    (u3.DecodeError, "it is damaged"),
    (u3.IncompleteRead, "it was cut short"),
    (TimeoutError, "it was silent for too long"),
    (http.client.RemoteDisconnected, "the connection was closed"),
    (ConnectionResetError, "the connection was reset"),
    (BrokenPipeError, "the connection was reset"),
    (u3.ProtocolError, "the connection was closed"),
    (requests.exceptions.InvalidHeader, "a header is malformed"),
    (requests.exceptions.InvalidProxyURL, "the proxy's address is malformed"),
    (ValueError, "the address is malformed"),  # as requests' InvalidURL, MissingSchema, … are
)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and all that it was made of, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
