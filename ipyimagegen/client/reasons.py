"""Read why a server delivers no image, out of any body: of an error, or of a 200 without an image.

Servers write the reason into members of many names, into objects and lists inside of these, as JSON or as a
Python dictionary inside a text, behind a prefix such as "litellm.BadRequestError: ". One walk finds them all:
it looks at names and at nothing else, so that an unknown envelope is read like a known one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import TypeAlias

from ipyimagegen.client.search import FACTS, fold_name
from ipyimagegen.client.spool import Slice
from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.text import TEXT_LIMIT, truncate

BODY = 64 << 10  # bytes of an error body that are read
MESSAGE = 300  # characters
_DEPTH = 48  # levels of nesting, those of JSON inside of texts included
_FINDINGS = 256  # texts, codes and times of a body that are looked at
_TEXTS = 16  # texts of them that are compared with each other
_STARTS = 4  # places in a text at which JSON may begin
_CODE = 80  # characters


class _Kind(Enum):
    """What a finding of the walk is."""

    TEXT = auto()  # a sentence about the failure
    NAME = auto()  # a single word in place of a sentence
    SPEECH = auto()  # what a model says, or a heading
    CODE = auto()
    TYPE = auto()  # a code that other things than failures have, too
    STATE = auto()
    CATEGORY = auto()  # of forbidden content, which matched
    WAIT = auto()  # until another try may succeed


_Finding: TypeAlias = tuple[_Kind, str]

# The members that are read, best first; their names are compared without case and punctuation.
_MEMBERS: Mapping[str, _Kind] = {
    **dict.fromkeys(("error", "errors", "message", "msg", "errormessage", "errormsg", "errmsg"), _Kind.TEXT),
    **dict.fromkeys(("statusmsg", "statusmessage", "detail", "details", "description"), _Kind.TEXT),
    **dict.fromkeys(("errordescription", "failreason", "failurereason", "failedreason"), _Kind.TEXT),
    **dict.fromkeys(("reason", "refusal", "blockreasonmessage", "finishmessage", "raw"), _Kind.TEXT),
    **dict.fromkeys(("title", "text", "content"), _Kind.SPEECH),
    **dict.fromkeys(("code", "errorkey", "errorcode", "errcode", "statuscode"), _Kind.CODE),
    "type": _Kind.TYPE,
    **dict.fromkeys(("finishreason", "blockreason", "status", "state"), _Kind.STATE),
    **dict.fromkeys(("contentfilterresults", "contentfilterresult", "categories"), _Kind.CATEGORY),
    **dict.fromkeys(("moderationdetails", "safetyratings"), _Kind.CATEGORY),
    **dict.fromkeys(("retrydelay", "retryafter", "retryafterms"), _Kind.WAIT),
}
_RANKS = {name: rank for rank, name in enumerate(_MEMBERS)}
_NAMING = ("error", "reason", "failreason")  # of these, a single word is the name of a failure
_ECHOES = ("input", "inputs", "prompt", "request", "parameters", "headers")  # of what was sent
_MATCHED = ("filtered", "detected", "blocked", "flagged")  # members that say that a category matched
# What a response states besides its images and their failure.
_FACTS = {*map(fold_name, FACTS), "createdat", "object", "usage", "requestid", "traceid", "time", "timings"}
_NO_REASON = re.compile(
    r"(?i)(?:success(?:ful(?:ly)?)?|succeeded|ok(?:ay)?|done|completed?|finished|stop|created|null|none"
    r"|undefined|true|false|0|200|(?:操作|请求)?成功)[.!。]?"
)


@dataclass(frozen=True, kw_only=True)
class Reason:
    """What a body says about a failure, inert and without keys.

    `text` has at most `MESSAGE` characters and is "" where nothing is said; then `quote` is the beginning of
    the body without the usual facts of a response. `codes` are best first. `words` are all texts and codes, a
    line each, to be searched. `wait` is the seconds after which another try may succeed. `page`: the body is
    an HTML page, whose whole text is among `words`.
    """

    text: str = ""
    quote: str = ""
    codes: tuple[str, ...] = ()
    words: str = ""
    wait: float | None = None
    page: bool = False


def parse_body(raw: bytes) -> Json:
    """Return an error body as JSON if it is JSON, else as text; "" for what is neither."""
    text = raw[:BODY].decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return "" if len(_UNREADABLE.findall(text[:MESSAGE])) * 8 > len(text[:MESSAGE]) else text


_UNREADABLE = re.compile(r"[\0-\x08\x0e-\x1f\ufffd]")  # what bytes that are no text become


def read_reason(body: Json, redactor: Redactor = NO_KEYS) -> Reason:
    """Return what a body, parsed JSON or text, says about a failure."""
    findings: dict[_Kind, list[str]] = {kind: [] for kind in _Kind}
    codes: list[str] = []
    for kind, text in islice(_walk(body, _Kind.TEXT), _FINDINGS):
        is_code = kind in (_Kind.CODE, _Kind.TYPE)
        plain = truncate(_make_plain(text, redactor), _CODE if is_code else TEXT_LIMIT)
        if _is_reason(plain):
            findings[kind].append(plain)
            codes += [plain] if is_code else []
    codes += findings[_Kind.NAME]
    texts = list(_drop_repeated((findings[_Kind.TEXT] or findings[_Kind.SPEECH])[:_TEXTS]))
    words = [*findings[_Kind.NAME], *findings[_Kind.CODE], *findings[_Kind.STATE]]
    message = (
        "; ".join(texts) or next((word for word in words if not word.isdigit()), "") or "".join(words[:1])
    )
    if matches := [match for match in dict.fromkeys(findings[_Kind.CATEGORY]) if match not in message]:
        message = f"{message.rstrip('.')} ({', '.join(matches)})".strip()
    page = (
        redactor.clean(_strip_tags(body[:BODY]), TEXT_LIMIT)
        if isinstance(body, str) and is_page(body)
        else ""
    )
    waits = [*findings[_Kind.WAIT], *(match[0] for text in texts for match in _AGAIN.finditer(text))]
    return Reason(
        text=redactor.clean(message, MESSAGE),
        quote="" if message else _quote(body, redactor),
        codes=tuple(dict.fromkeys(codes)),
        words="\n".join((*codes, *findings[_Kind.STATE], *texts, *filter(None, (page,)))),
        wait=next(filter(None, map(_parse_duration, waits)), None),
        page=bool(page),
    )


def _is_reason(text: str) -> bool:
    return bool(text.strip()) and not _NO_REASON.fullmatch(text.strip())


def states_error(value: Json) -> bool:
    """Return whether the member `error` of a response states anything; many servers send an empty one."""
    if not value:
        return False
    reason = read_reason(value)
    return bool(reason.text or reason.quote)


def _quote(body: Json, redactor: Redactor) -> str:
    """Return the beginning of a body, or "" where it states nothing but the usual facts of a response."""
    rest = _drop_facts(body)
    pieces, length = [rest] if isinstance(rest, str) else [], 0
    with suppress(RecursionError):
        for piece in _ENCODER.iterencode(rest) if isinstance(rest, (Mapping, list)) else ():
            pieces.append(piece)
            length += len(piece)
            if length > 4 * MESSAGE:  # what follows the beginning costs nothing
                break
    return redactor.clean(_make_plain("".join(pieces), redactor), MESSAGE)


_ENCODER = json.JSONEncoder(ensure_ascii=False)


def _drop_facts(value: Json, depth: int = _DEPTH) -> Json:
    """Return a value without the facts that a response states anyway; None where nothing is left."""
    if isinstance(value, (Mapping, list)) and not depth:
        return None
    if isinstance(value, Mapping):
        members = ((name, member) for name, member in value.items() if fold_name(name) not in _FACTS)
        left = ((name, _drop_facts(member, depth - 1)) for name, member in members)
        return {name: rest for name, rest in left if rest is not None} or None
    if isinstance(value, list):
        return [rest for item in value if (rest := _drop_facts(item, depth - 1)) is not None] or None
    text = _write(value)
    return (value if isinstance(value, (int, float)) else text) if _is_reason(text) else None


# The walk


def _walk(value: Json, kind: _Kind | None, name: str = "", depth: int = _DEPTH) -> Iterator[_Finding]:
    """Yield what stands in a member; `kind` is None where a text there says nothing."""
    if not depth:
        return
    if kind is _Kind.CATEGORY:
        yield from ((kind, match) for match in _list_categories(value))
    elif isinstance(value, Mapping):
        yield from _walk_members(value, depth)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, kind, name, depth - 1)
    elif kind in (_Kind.TEXT, _Kind.SPEECH) and isinstance(value, (str, Slice)):
        text = _write(value)
        if name == "refusal":
            yield _Kind.STATE, name
        if name in _NAMING and not _SENTENCE.search(text.strip()):
            yield _Kind.NAME, text
        else:
            yield from _read_text(text, kind, depth)
    elif kind and (text := _write(value)):
        yield kind, f"{text}ms" if name.endswith("ms") else text


_SENTENCE = re.compile(r"[\s{<]|[^\x00-\x7f]")  # what no code has


def _walk_members(members: Mapping[str, Json], depth: int) -> Iterator[_Finding]:
    path, message = members.get("loc"), members.get("msg")
    if isinstance(path, list) and isinstance(message, str):  # FastAPI's
        yield _Kind.TEXT, f"{'.'.join(map(_write, path[:9]))}: {message}"
        return
    folded = {fold_name(name): member for name, member in members.items()}
    nsfw = folded.get("hasnsfwconcepts")  # of diffusers: a flag for each image
    if isinstance(nsfw, list) and True in nsfw:
        yield _Kind.STATE, "has_nsfw_concepts"
    for name in sorted(folded, key=lambda name: _RANKS.get(name, len(_RANKS))):
        if name not in _ECHOES:
            yield from _walk(folded[name], _MEMBERS.get(name), name, depth - 1)


def _write(value: Json) -> str:
    """Return a text, or a number that means something, as text; "" for other values."""
    value = value.head if isinstance(value, Slice) else value
    if isinstance(value, str):
        return value
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if is_number and -1e18 < value < 1e18 else ""


def _list_categories(value: Json) -> list[str]:
    """Return the categories that matched: of Azure's and Gemini's tables, of OpenAI's list of matches."""
    if isinstance(value, Mapping) and (inner := value.get("categories")):
        matches, stage = _list_categories(inner), _write(value.get("moderation_stage"))
        return [f"{stage}: {match}" if stage else match for match in matches[:1]] + matches[1:]
    if isinstance(value, Mapping):
        return [name for name, member in value.items() if member is True or _is_matched(member)]
    items = value if isinstance(value, list) else ()
    named = (item.get("category") if _is_matched(item) else item for item in items)
    return [name for name in named if isinstance(name, str)]


def _is_matched(item: Json) -> bool:
    return isinstance(item, Mapping) and any(item.get(name) is True for name in _MATCHED)


# JSON inside of texts

_DECODER = json.JSONDecoder(strict=False)
_START = re.compile(r"[{\[]")
_EXCEPTION = re.compile(r"[\w.]*(?:Error|Exception)\b:?")
_WORD = re.compile(r"[^\W\d_]{2,}")


def _read_text(text: str, kind: _Kind, depth: int) -> Iterator[_Finding]:
    """Yield what JSON in a text says, and the text where that says nothing or follows a sentence."""
    prefix, inner = ("", None) if is_page(text) else _split_json(text)
    if inner is None and '\\"' in text and depth > 1:  # JSON that was escaped once more
        yield from _read_text(_ESCAPED.sub(r"\1", text), kind, depth - 1)
        return
    findings = [*islice(_walk(inner, None, depth=depth - 1), _FINDINGS)]
    if not any(finding[0] is _Kind.TEXT for finding in findings):
        yield kind, text
    elif len(_WORD.findall(_EXCEPTION.sub(" ", prefix))) > 2:
        yield kind, prefix.rstrip(" -:,")
    yield from findings


_ESCAPED = re.compile(r'\\(["\\/])')


def _split_json(text: str) -> tuple[str, Json]:
    """Return what stands before an object, or a list of objects, in a text, and that; None for none."""
    for start in islice(_START.finditer(text), _STARTS):
        for read in (str, _to_json):
            try:
                value, _end = _DECODER.raw_decode(read(text[start.start() :]))
            except (ValueError, RecursionError):
                continue
            if isinstance(value, Mapping) or (value and isinstance(value[0], Mapping)):
                return text[: start.start()], value
    return text, None


# A string as Python writes it, closed or not, and its other constants; possessive against backtracking.
_PYTHON = re.compile(
    r"""'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|\b(?:True|False|None)\b""", re.DOTALL
)
_CONSTANTS = {"True": "true", "False": "false", "None": "null"}
_PYTHON_ESCAPE = re.compile(r"""\\x([0-9a-fA-F]{2})|\\'|\\.|(")""", re.DOTALL)


def _to_json(text: str) -> str:
    """Return a Python dictionary, which gateways write into messages, as JSON."""

    def convert_escape(match: re.Match[str]) -> str:
        if match[1]:
            return rf"\u00{match[1]}"
        return "'" if match[0] == r"\'" else r"\"" if match[2] else match[0]

    def convert(match: re.Match[str]) -> str:
        token = match[0]
        return _CONSTANTS.get(token) or f'"{_PYTHON_ESCAPE.sub(convert_escape, token[1:-1])}"'

    return _PYTHON.sub(convert, text)


# Plain text

_UNICODE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_QUOTE = re.compile(r"""\\+(["'])""")
_BREAK = re.compile(r"\\+[nrt]")
_BACKSLASH = re.compile(r"\\+")


def _make_plain(text: str, redactor: Redactor) -> str:
    """Return a text without keys, markup of a page, and escapes; a key that these hid goes as well."""
    text = redactor.clean(_extract_page_text(text))
    if "\\" in text:
        if _QUOTE.search(text) or _UNICODE.search(text):  # JSON that could not be parsed, such as cut JSON
            text = _BREAK.sub(
                " ", _QUOTE.sub(r"\1", _UNICODE.sub(lambda match: chr(int(match[1], 16)), text))
            )
        text = redactor.clean(_BACKSLASH.sub("/", text))  # of a path on Windows
    return text


def _drop_repeated(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts that no other text contains, each once."""
    folded = {text.casefold().strip(" .!"): text for text in texts}
    for own, text in folded.items():
        if not any(own in other for other in folded if other is not own):
            yield text


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
    return title[1] if title and title[1].strip() else _strip_tags(text)


def _strip_tags(page: str) -> str:
    return _TAG.sub(" ", _HIDDEN.sub(" ", page))


# Times to wait

_TIME = (
    r"\d{1,9}(?:\.\d{1,9})?\s?(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?|秒|分钟?|小时)"
)
_TIMES = rf"(?:{_TIME}\s?){{1,4}}(?![a-z])"  # a longer row would be searched from each of its times
_AGAIN = re.compile(rf"(?i)(?:(?:re)?try|wait)(?: again)?(?: in| after| for)?\s{_TIMES}|{_TIMES}[之以]?后")
_PART = re.compile(r"(?i)(\d+(?:\.\d+)?)\s?(ms|milli|[smh秒分小])")
_UNITS = {"ms": 0.001, "milli": 0.001, "s": 1, "秒": 1, "m": 60, "分": 60, "h": 3600, "小": 3600}


def _parse_duration(text: str) -> float | None:
    """Return the seconds in `8s`, `1.5s`, `250ms`, `1m2s` or `8`; None where there are none."""
    with suppress(ValueError):
        seconds = float(text)
        return seconds if 0 < seconds < math.inf else None
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(text)) or None
