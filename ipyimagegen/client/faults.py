"""What a server's refusal says, whatever its envelope, and what that makes of the call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from ipyimagegen.client.reply import too_deep
from ipyimagegen.core.endpoints import to_origin
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Status

BODY = 64 << 10  # bytes of an error body that are looked at
MESSAGE = 300

# Refusals whatever the status: OpenAI says quota with 429, new-api says model_not_found with 503.
FINAL_CODES = (
    "insufficient_quota",
    "insufficient_user_quota",
    "billing_hard_limit_reached",
    "model_not_found",
)
_FINAL = re.compile(rf"\b(?:{'|'.join(FINAL_CODES)})\b")


def classify(status: int, code: str | None) -> Status:
    """Return what an HTTP status other than 2xx means for the call."""
    if code in FINAL_CODES:
        return Status.REFUSED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Status.RATE_LIMITED
    refused = 400 <= status < 500 and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT)
    return Status.REFUSED if refused else Status.UNKNOWN


def fault(body: Json, status: int | None = None, redactor: Redactor = NO_KEYS) -> ErrorInfo:
    """Return what an error body says: parsed JSON of any known envelope, or text.

    Envelopes: {error: {message, type, code}}, {error: text}, {error: code, message}, {detail: text,
    list or object}, {message}, the same in a list; HTML and text. The message is inert and redacted.
    """
    words, codes = _envelope(body)
    message = redactor.clean(_text_of(words), MESSAGE)
    named = [
        redactor.clean(code, 80)
        for code in codes
        if isinstance(code, (str, int, float)) and code not in ("", 0)
    ]
    # A gateway that replaces the code by the status leaves the word in the type or the message.
    final = next((c for c in named if c in FINAL_CODES), None) or next(iter(_FINAL.findall(message)), None)
    code = final or next((c for c in named if not c.isdigit()), None) or next(iter(named), None)
    if not message and status is not None:
        message = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return ErrorInfo(message=message or code or "no reason given", code=code, status=status)


def read_body(raw: bytes) -> Json:
    """Return an error body as JSON if it is JSON, else as text."""
    text = raw[:BODY].decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _envelope(body: Json, depth: int = 8) -> tuple[str, tuple[Json, ...]]:
    """Return the message and the candidates for a code, best first; envelopes stand in few others."""
    if not depth or not isinstance(body, (Mapping, list)):
        return (str(body) if depth and body is not None else "", ())
    if isinstance(body, list):
        return _envelope(body[0], depth - 1) if body and isinstance(body[0], Mapping) else (_listed(body), ())
    own = (body.get("code"), body.get("type"))
    for inner in (body.get("error"), body.get("detail"), body.get("errors")):
        if isinstance(inner, Mapping):
            words, codes = _envelope(inner, depth - 1)
            return (words, (*codes, *own))
        if isinstance(inner, list) and inner:
            return (_listed(inner), own)
        if isinstance(inner, str) and inner:
            said = body.get("message")
            return (said, (*own, inner)) if isinstance(said, str) and said else (inner, own)
    words = next((v for k in ("message", "msg", "title") if isinstance(v := body.get(k), str) and v), "")
    return (words + _moderation(body.get("moderation_details")), own)


def _listed(items: list[Json]) -> str:
    """Return FastAPI's list of {loc, msg} as one text."""
    said = []
    for item in items[:5] if not too_deep(items[:5]) else ():
        if isinstance(item, Mapping):
            place = item.get("loc")
            where = ".".join(map(str, place)) + ": " if isinstance(place, list) else ""
            said.append(where + str(item.get("msg") or item.get("message") or ""))
        else:
            said.append(str(item))
    return "; ".join(said)


def _moderation(details: Json) -> str:
    """Return OpenAI's moderation_details as an addition to the message."""
    if not isinstance(details, Mapping) or too_deep(details):
        return ""
    named = details.get("categories")
    kinds = ", ".join(map(str, named)) if isinstance(named, list) else ""
    stage = details.get("moderation_stage")
    return f" ({stage}: {kinds})" if kinds else ""


# None of these looks beyond the next "<" before it matches: a page of opening tags alone takes no longer.
_PAGE = re.compile(r"\s*+<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)
_TITLE = re.compile(r"<title\b[^<>]*>([^<]*)<", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b.*?(?:</\1\b[^<>]*>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def _text_of(words: str) -> str:
    """Return what a page says: its title if it is a whole page; other text as it is."""
    words = words[:BODY]
    if not _PAGE.match(words):
        return words
    title = _TITLE.search(words)
    return title[1] if title and title[1].strip() else _TAG.sub(" ", _HIDDEN.sub(" ", words))


def leads_to(url: str, location: str | None, redactor: Redactor = NO_KEYS) -> str:
    """Return where a redirect leads, without query and password; nothing for what is no address."""
    try:
        place = urljoin(url, location or "")
        return redactor.clean(f"{to_origin(place)}{urlsplit(place).path}", 200) if location else ""
    except ValueError:
        return ""
