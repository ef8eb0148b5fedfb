"""Keep keys out of everything: text that never shows itself, and one redactor for what comes from outside.

A key is `Hidden` from the moment it is read: its repr, `str` and format show nothing. Code that has to look
at the clear text is `sealed`: no frame of it is on a traceback that leaves it.

A server may echo a key raw, cut, masked, URL- or JSON-escaped, as HTML entities, or inside base64. The
redactor works on runs of characters, so a part of a key is found like the whole.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any, Never, ParamSpec, TypeVar
from urllib.parse import quote

from ipyimagegen.safe import TEXT_LIMIT, plain

P = ParamSpec("P")
T = TypeVar("T")

REDACTED = "[key]"
RUN = 8  # characters of a key in a row: fewer say nothing of it
CODED = 10  # characters of base64 that eight characters alone decide
WHOLE = 4  # shorter dummies are left in texts: replacing every "a" hides nothing and spoils the text
_PIECE, _STEP = 5, 4  # a run of eight holds five characters that begin at a multiple of four
_LONG = 512  # characters of base64 in a row: an image, which by chance holds no key


class Hidden(str):
    """A text that shows itself nowhere: not in a repr, `str`, format, copy or pickle.

    `"Bearer " + hidden` is how it is used; the result is put into `Hidden` again.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise TypeError("a key is not copied or pickled")


def sealed(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that looks at keys: what it raises shows none of its frames.

    IPython's verbose tracebacks print the variables of each frame, also those of an interrupt. The
    arguments of the function itself must be `Hidden` or harmless.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised again below, without its frames
            problem = error
        problem.__traceback__ = problem.__context__ = problem.__cause__ = None
        raise problem

    return run


class Redactor:
    """Finds the given keys in whatever comes from outside, and takes them out.

    `Redactor()` knows no key; it still takes out what looks like one. Its repr shows nothing.
    """

    __slots__ = ("_coded", "_dummies", "_needles", "_raw", "_spellings")

    @sealed
    def __init__(self, keys: Iterable[str] = ()) -> None:
        texts = {text for key in keys for text in (str.__str__(key), _as_bytes(key)) if len(text) >= WHOLE}
        cores = {core for text in texts for core in _cores(text)}
        long = {text for text in texts if len(text) >= RUN}
        self._raw = _Grams(RUN, long)
        self._coded = _Grams(CODED, cores)
        self._dummies = tuple(map(Hidden, (texts - long) | {core for core in cores if len(core) < CODED}))
        self._spellings = tuple({Hidden(form) for text in long for form in _spellings(text)})
        self._needles = tuple(Hidden(text[1:-1]) for text in long)

    def __repr__(self) -> str:
        return "<redactor>"

    @sealed
    def holds(self, text: str) -> bool:
        """Return whether a text holds what looks like a key, or one of the keys whole, in any spelling."""
        return _looks_like_key(text) or self.holds_known(text)

    @sealed
    def holds_known(self, text: str) -> bool:
        """Return whether a text holds one of the keys whole, in any spelling."""
        return any(form in text for form in self._spellings)

    @sealed
    def holds_part(self, text: str) -> bool:
        """Return whether a text holds eight characters of one of the keys in a row, in any spelling."""
        return bool(self._spans(text))

    @sealed
    def redact(self, text: str) -> str:
        """Return a text without keys: of a key no eight characters in a row stay, in any spelling."""
        spans = self._spans(text, self._dummies)
        kept: list[str] = []
        end = 0
        for start, stop in sorted(spans):
            if start > end or not kept:
                kept += [text[end:start], REDACTED]
            end = max(end, stop)
        return _without_shapes("".join(kept) + text[end:])

    def clean(self, text: object, limit: int = TEXT_LIMIT) -> str:
        """Return outside text as `plain` does, without keys.

        Keys are searched for when nothing invisible splits one any more; what is cut afterwards holds none.
        """
        return plain(self.redact(plain(text)), limit)

    @property
    def knows_keys(self) -> bool:
        """Whether there is anything to look for in `mask`."""
        return bool(self._needles)

    @sealed
    def mask(self, data: bytes, *, parts: bool = True) -> bytes:
        """Return bytes of the same length with `*` in place of keys.

        In long runs of base64 only a key in clear is looked for: they are images, whose own texts are
        searched when the image is stored. Without `parts` that is so everywhere, which is fifty times as
        fast.
        """
        if not self._needles or not data:
            return data
        text = data.decode("latin-1")
        masked: bytearray | None = None
        for start, stop, is_long in _segments(data, text) if parts else [(0, len(text), True)]:
            part = text[start:stop]
            if is_long and not any(needle in part for needle in self._needles):
                continue
            for first, last in self._raw.spans(part) if is_long else self._spans(part):
                masked = masked or bytearray(data)
                masked[start + first : start + last] = b"*" * (last - first)
        return data if masked is None else bytes(masked)

    def _spans(self, text: str, dummies: Iterable[str] = ()) -> set[tuple[int, int]]:
        """Return where keys, and whole dummies, stand in a text, in any reading of it."""
        spans: set[tuple[int, int]] = set()
        if not self._needles and not dummies:
            return spans
        for reading, begins in _readings(text):
            standard = reading.translate(_URL_SAFE)
            found = [*self._raw.spans(reading), *self._coded.spans(standard)]
            for dummy in dummies:
                found += _occurrences(dummy, reading)
                found += _occurrences(dummy, standard)
            spans.update((begins[start], begins[stop]) for start, stop in found)
        return spans


class _Grams:
    """Every run of `size` characters of some texts, and the pieces by which a run is found."""

    __slots__ = ("_pieces", "_runs", "_size")

    def __init__(self, size: int, texts: Iterable[str]) -> None:
        self._size = size
        self._runs = frozenset(run for text in texts for run in _runs(text, size))
        self._pieces = frozenset(piece for run in self._runs for piece in _runs(run, _PIECE))

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where such a run stands in a text; the time grows with the length of the text alone."""
        pieces, runs, size = self._pieces, self._runs, self._size
        if not runs:
            return
        for at in range(0, len(text) - _PIECE + 1, _STEP):
            if text[at : at + _PIECE] in pieces:
                for start in range(max(at + _PIECE - size, 0), at + 1):
                    if text[start : start + size] in runs:
                        yield start, start + size


def _runs(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(len(text) - size + 1))


def _occurrences(word: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(word)
    while at >= 0:
        yield at, at + len(word)
        at = text.find(word, at + len(word))


def _as_bytes(key: str) -> str:
    """Return a key as its UTF-8 bytes read one by one, as `mask` reads what comes."""
    return key.encode("utf-8", "surrogateescape").decode("latin-1")


# One escape: JSON's (\u002f, \/), a URL's (%2F), or HTML's (&#47; &#x2f;).
_ESCAPE = re.compile(
    r"""\\u00([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|&\#x([0-9a-fA-F]{2});|&\#([0-9]{2,3});|\\([\\/"'])""",
    re.VERBOSE,
)
_URL_SAFE = str.maketrans("-_", "+/")


def _readings(text: str) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield the text as it is, and its escapes taken off once and twice; and where each character begins."""
    begins: Sequence[int] = range(len(text) + 1)
    yield text, begins
    for _ in range(2):
        if not _ESCAPE.search(text):
            return
        text, begins = _unescaped(text, begins)
        yield text, begins


def _unescaped(text: str, begins: Sequence[int]) -> tuple[str, Sequence[int]]:
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        in_hex = match[1] or match[2] or match[3]
        code = int(in_hex, 16) if in_hex else int(match[4]) if match[4] else None
        parts += [text[end : match.start()], match[5] if code is None else chr(code)]
        places += begins[end : match.start() + 1]
        end = match.end()
    return "".join(parts) + text[end:], [*places, *begins[end:]]


def _cores(text: str) -> Iterator[str]:
    """Yield the characters of base64 that a text alone decides, for each place in a group of three."""
    raw = text.encode("utf-8", "surrogateescape")
    for before in range(3):
        coded = base64.b64encode(bytes(before) + raw).decode()
        core = coded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(core) >= RUN:
            yield core


_MARKUP = ("<>&", "<>&'+", "<>&'=")  # what Go, .NET and Java write as \u003c for the sake of HTML


def _spellings(text: str) -> set[str]:
    """Return how a whole key is written: raw, URL-, JSON- and base64-escaped."""
    url = {quote(text, safe, errors="surrogateescape") for safe in ("", "/")}
    url |= {re.sub("%..", lambda match: match[0].lower(), spelling) for spelling in url}
    in_json = json.dumps(text)[1:-1]
    escaped = {re.sub(f"[{marks}]", _code(form), in_json) for marks in _MARKUP for form in ("04x", "04X")}
    cores = {*_cores(text)}
    cores |= {core.replace("+", "-").replace("/", "_") for core in cores}
    return {text, in_json, in_json.replace("/", "\\/")} | url | escaped | cores


def _code(form: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"\\u{ord(match[0]):{form}}"


# What keys of known servers look like; a key behind a name has a digit, or any long word would be one.
_SHAPE = re.compile(
    r"\b(?:sk|pk|xai)-[A-Za-z0-9*_\-.]{12,}"
    r"|\b(?:sk|pk|xai|gsk|r8|hf|tgp)_[A-Za-z0-9*]{16,}"
    r"|\bAIza[A-Za-z0-9_\-]{20,}"
)
_NAMED = re.compile(
    r"\b[Bb]earer\s+([A-Za-z0-9_\-.=+/]{12,})|(?i:\bapi[-_ ]?key\W{1,3}([A-Za-z0-9_\-.]{16,}))"
)
_CUT = re.compile(r"\b(?:(?:sk|pk|xai|gsk|r8|hf|tgp)[-_]|AIza)[A-Za-z0-9*_\-.]{4,}…\Z")
_END = 256  # characters at the end in which the beginning of a key that was cut is looked for
_DIGIT = re.compile(r"\d")


def _looks_like_key(text: str) -> bool:
    named = any(_DIGIT.search(match[1] or match[2]) for match in _NAMED.finditer(text))
    return named or bool(_SHAPE.search(text)) or bool(_CUT.search(text[-_END:]))


def _without_shapes(text: str) -> str:
    text = _SHAPE.sub(REDACTED, _NAMED.sub(_marked, text))
    return text[:-_END] + _CUT.sub(REDACTED, text[-_END:])


def _marked(match: re.Match[str]) -> str:
    return REDACTED if _DIGIT.search(match[1] or match[2]) else match[0]


_IMAGE = re.compile(rf"[A-Za-z0-9+/=_\\-]{{{_LONG},}}+")
_IMAGE_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_\\-"


def _segments(data: bytes, text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield where long runs of base64 stand, and what is between them."""
    if len(text) >= _LONG and not data.translate(None, _IMAGE_BYTES):  # ten times as fast as the search
        yield 0, len(text), True
        return
    end = 0
    for match in _IMAGE.finditer(text):
        if match.start() > end:
            yield end, match.start(), False
        yield match.start(), match.end(), True
        end = match.end()
    if end < len(text):
        yield end, len(text), False


NO_KEYS = Redactor()
