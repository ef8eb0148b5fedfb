"""Why a call failed, in our own words: what a server's error says and means, and what broke a connection.

The texts of requests and urllib3 are never shown: they hold the request with its key, URLs with a proxy's
password, object ids.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import requests
from urllib3 import exceptions as u3

from ipyimagegen.client.connections import BlockedAddress, UnsupportedEncoding
from ipyimagegen.client.spool import is_too_deep
from ipyimagegen.core.endpoints import to_origin
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Status
from ipyimagegen.core.text import sanitize

BODY = 64 << 10  # bytes of an error body that are read
MESSAGE = 300  # characters

# Refusals whatever the status: OpenAI reports quota with 429, new-api model_not_found with 503.
FINAL_CODES = (
    "insufficient_quota",
    "insufficient_user_quota",
    "billing_hard_limit_reached",
    "model_not_found",
)
_FINAL = re.compile(rf"\b(?:{'|'.join(FINAL_CODES)})\b")
# A refusal that came with 200, where other servers use 4xx. What Ark finds in its output was made.
_REFUSAL = re.compile(
    r"(?i)moderation|content_(?:policy|filter)|^input\w+sensitive|^(?:invalid|unsupported|unknown_parameter)"
)


def classify_status(status: int, code: str | None) -> Status:
    """Return what an HTTP status other than 2xx means for the call."""
    if code in FINAL_CODES:
        return Status.REFUSED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Status.RATE_LIMITED
    refused = 400 <= status < 500 and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT)
    return Status.REFUSED if refused else Status.UNKNOWN


def classify_error_in_200(code: str | None) -> Status:
    """Return what the error of a whole response of 200 means for the call: refused, or unknown."""
    return Status.REFUSED if code in FINAL_CODES or _REFUSAL.search(code or "") else Status.UNKNOWN


def parse_error(body: Json, status: int | None = None, redactor: Redactor = NO_KEYS) -> ErrorInfo:
    """Return the error in a body: parsed JSON of any known envelope, or text.

    Envelopes: {error: {message, type, code}}, {error: text}, {error: code, message}, {detail: text,
    list or object}, {message}, the same in a list; HTML and text. The message is inert and redacted.
    """
    text, candidates = _open_envelope(body)
    message = redactor.clean(_extract_page_text(text), MESSAGE)
    codes = [
        redactor.clean(code, 80)
        for code in candidates
        if isinstance(code, (str, int, float)) and code not in ("", 0)
    ]
    # A gateway that replaces the code by the status leaves the word in the type or the message.
    final = next((code for code in codes if code in FINAL_CODES), None)
    final = final or next(iter(_FINAL.findall(message)), None)
    code = final or next((code for code in codes if not code.isdigit()), None) or next(iter(codes), None)
    if not message and status is not None:
        message = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return ErrorInfo(message=message or code or _("no reason given"), code=code, status=status)


def parse_body(raw: bytes) -> Json:
    """Return an error body as JSON if it is JSON, else as text."""
    text = raw[:BODY].decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _open_envelope(body: Json, depth: int = 8) -> tuple[str, tuple[Json, ...]]:
    """Return the message and the candidates for a code, best first; envelopes are nested in few others."""
    if not depth or not isinstance(body, (Mapping, list)):
        return (str(body) if depth and body is not None else "", ())
    if isinstance(body, list):
        nested = body and isinstance(body[0], Mapping)
        return _open_envelope(body[0], depth - 1) if nested else (_join_details(body), ())
    own = (body.get("code"), body.get("type"))
    for inner in (body.get("error"), body.get("detail"), body.get("errors")):
        if isinstance(inner, Mapping):
            text, codes = _open_envelope(inner, depth - 1)
            return (text, (*codes, *own))
        if isinstance(inner, list) and inner:
            return (_join_details(inner), own)
        if isinstance(inner, str) and inner:
            message = body.get("message")
            return (message, (*own, inner)) if isinstance(message, str) and message else (inner, own)
    text = next((v for k in ("message", "msg", "title") if isinstance(v := body.get(k), str) and v), "")
    return (text + _describe_moderation(body.get("moderation_details")), own)


def _join_details(items: list[Json]) -> str:
    """Return FastAPI's list of {loc, msg} as a text."""
    texts = []
    for item in items[:5] if not is_too_deep(items[:5]) else ():
        if isinstance(item, Mapping):
            path = item.get("loc")
            location = ".".join(map(str, path)) + ": " if isinstance(path, list) else ""
            texts.append(location + str(item.get("msg") or item.get("message") or ""))
        else:
            texts.append(str(item))
    return "; ".join(texts)


def _describe_moderation(details: Json) -> str:
    """Return OpenAI's moderation_details as an addition to the message."""
    if not isinstance(details, Mapping) or is_too_deep(details):
        return ""
    categories = details.get("categories")
    names = ", ".join(map(str, categories)) if isinstance(categories, list) else ""
    return f" ({details.get('moderation_stage')}: {names})" if names else ""


# None of these looks beyond the next "<" before it matches: a page of opening tags alone takes no longer.
_PAGE = re.compile(r"\s*+<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^<>]*>([^<]*)<", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b.*?(?:</\1\b[^<>]*>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def is_page(text: str) -> bool:
    """Return whether a text begins as an HTML page does."""
    return _PAGE.match(text) is not None


def _extract_page_text(text: str) -> str:
    """Return the title of an HTML page, or its text where there is none; other text as it is."""
    text = text[:BODY]
    if not is_page(text):
        return text
    title = _TITLE.search(text)
    return title[1] if title and title[1].strip() else _TAG.sub(" ", _HIDDEN.sub(" ", text))


def find_redirect(url: str, location: str | None, redactor: Redactor = NO_KEYS) -> str:
    """Return where a redirect leads, without query and password; "" for what is no URL."""
    try:
        target = urljoin(url, location or "")
        return redactor.clean(f"{to_origin(target)}{urlsplit(target).path}", 200) if location else ""
    except ValueError:
        return ""


# Connections


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


_UNKNOWN_ISSUERS = (18, 19, 20, 21)  # OpenSSL's: self-signed, or signed by an unknown issuer
_NO_TLS_AT_ALL = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")  # of OpenSSL 3.0, and of 3.2
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")  # http.client's own text

# What has no kind of its own: a part of requests' text, and ours.
_BY_TEXT = {
    "SOCKS support": _("a SOCKS proxy is set, which requires PySocks (pip install pysocks)"),
    "CA certificate bundle": _("the file of certificates that REQUESTS_CA_BUNDLE names does not exist"),
}
# In this order: the first kind that is anywhere in the chain of causes gives the reason.
_Kind: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
_BY_KIND: tuple[tuple[_Kind, Message | Callable[[BaseException], Message]], ...] = (
    (BlockedAddress, lambda error: error.args[0]),
    (ssl.SSLCertVerificationError, _describe_certificate),
    ((u3.NameResolutionError, socket.gaierror), _("its name was not found")),
    (u3.ProxyError, _describe_proxy),
    (ConnectionRefusedError, _("the connection was refused")),
    (u3.NewConnectionError, _("no connection could be made")),  # before its base, ConnectTimeoutError
    (u3.ConnectTimeoutError, _("no connection in time")),
    (ssl.SSLError, _describe_tls),
    (u3.ReadTimeoutError, _("it was silent for too long")),
    (
        UnsupportedEncoding,
        lambda error: _("it is compressed as {name}, which was not requested", name=sanitize(error, 40)),
    ),
    (u3.DecodeError, _("it is damaged")),
    (u3.IncompleteRead, _("it was cut short")),
    (TimeoutError, _("it was silent for too long")),
    (http.client.RemoteDisconnected, _("the connection was closed")),
    ((ConnectionResetError, BrokenPipeError), _("the connection was reset")),
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
