"""Describe in our own words why a connection failed, as the end of a sentence.

The texts of requests and urllib3 are never shown: they hold the request with its key, URLs with a proxy's
password, object ids.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator

import requests
from urllib3 import exceptions as u3

from ipyimagegen.client.connections import BlockedAddress, UnsupportedEncoding
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.text import sanitize


def is_bad_certificate(error: BaseException) -> bool:
    """Return whether the server's certificate was refused; another try would change nothing."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _list_causes(error))


def is_unusable_request(error: BaseException) -> bool:
    """Return whether the request itself cannot be sent: a malformed URL or header, an unusable proxy."""
    return isinstance(error, (ValueError, TypeError))  # as requests' InvalidURL, InvalidHeader, … are


def describe_failure(error: BaseException) -> Message:
    """Return why a connection failed."""
    causes = list(_list_causes(error))
    for part, reason in _BY_TEXT.items():
        if any(part in str(cause) for cause in causes):
            return reason
    for kind, reason_of in _BY_KIND:
        for cause in causes:
            if isinstance(cause, kind):
                return reason_of if isinstance(reason_of, Message) else reason_of(cause)
    return _("the connection failed")


def _describe_certificate(error: BaseException) -> Message:
    reason = sanitize(getattr(error, "verify_message", ""), 120).rstrip(".") or _("no reason given")
    if getattr(error, "verify_code", 0) in _UNKNOWN_ISSUERS:
        return _(
            "its certificate is not trusted ({reason}); REQUESTS_CA_BUNDLE may name a file of certificates "
            "to trust",
            reason=reason,
        )
    return _("its certificate is not trusted ({reason})", reason=reason)


def _describe_tls(error: BaseException) -> Message:
    if getattr(error, "reason", None) in _NO_TLS_AT_ALL:
        return _("no secure connection could be made (should its address begin with http:?)")
    return _("no secure connection could be made")


def _describe_proxy(error: BaseException) -> Message:
    matches = (_TUNNEL.match(str(cause)) for cause in _list_causes(error))
    status = next((match[1] for match in matches if match), None)
    if status == "407":
        return _("the proxy requires a user name and a password (407)")
    if status:
        return _("the proxy refused the connection ({status})", status=status)
    return _("the proxy refused the connection")


def _describe_encoding(error: BaseException) -> Message:
    return _("it is compressed as {name}, which was not requested", name=sanitize(error, 40))


_UNKNOWN_ISSUERS = (18, 19, 20, 21)  # OpenSSL's: self-signed, or signed by an unknown issuer
_NO_TLS_AT_ALL = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")  # of OpenSSL 3.0, and of 3.2
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # http.client's own text

# What has no kind of its own: a part of requests' text, and ours.
_BY_TEXT = {
    "SOCKS support": _("a SOCKS proxy is set, which requires PySocks (pip install pysocks)"),
    "CA certificate bundle": _("the file of certificates that REQUESTS_CA_BUNDLE names does not exist"),
}
# In this order: the first kind that is anywhere in the chain of causes gives the reason.
_BY_KIND: tuple[tuple[type[BaseException], Message | Callable[[BaseException], Message]], ...] = (
    (BlockedAddress, lambda error: error.args[0]),
    (ssl.SSLCertVerificationError, _describe_certificate),
    (u3.NameResolutionError, _("its name was not found")),
    (socket.gaierror, _("its name was not found")),
    (u3.ProxyError, _describe_proxy),
    (ConnectionRefusedError, _("the connection was refused")),
    (u3.NewConnectionError, _("no connection could be made")),  # before its base, ConnectTimeoutError
    (u3.ConnectTimeoutError, _("no connection in time")),
    (ssl.SSLError, _describe_tls),
    (u3.ReadTimeoutError, _("it was silent for too long")),
    (UnsupportedEncoding, _describe_encoding),
    (u3.DecodeError, _("it is damaged")),
    (u3.IncompleteRead, _("it was cut short")),
    (TimeoutError, _("it was silent for too long")),
    (http.client.RemoteDisconnected, _("the connection was closed")),
    (ConnectionResetError, _("the connection was reset")),
    (BrokenPipeError, _("the connection was reset")),
    (u3.ProtocolError, _("the connection was closed")),
    (requests.exceptions.InvalidHeader, _("a header is malformed")),
    (requests.exceptions.InvalidProxyURL, _("the address of the proxy is malformed")),
    (ValueError, _("the address is malformed")),  # as requests' InvalidURL, MissingSchema, … are
)


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and all that it was made of, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
