"""Read what a server's error says, in any known envelope, and what it means for the call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from ipyimagegen.client.spool import is_too_deep
from ipyimagegen.core.endpoints import to_origin
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Status

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


def redact_error(error: ErrorInfo, redactor: Redactor) -> ErrorInfo:
    """Return an error without keys; a message in which there is none stays the same object."""
    clear = redactor.redact(error.message)
    return error if clear == error.message else replace(error, message=clear)


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
