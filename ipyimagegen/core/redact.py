"""Keep keys out of everything: text that never shows itself, and one redactor for what comes from outside.

A key is `HiddenText` from the moment that it is read: repr, `str` and format show nothing. Code that looks
at the clear text is decorated with `hide_frames`: no frame of it is on a traceback that leaves it.

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

from ipyimagegen.core.text import TEXT_LIMIT, sanitize

P = ParamSpec("P")
T = TypeVar("T")

REDACTED = "[key]"
RUN = 8  # characters of a key in a row: fewer say nothing of it
CODED = 10  # characters of base64 that eight characters alone decide
WHOLE = 4  # shorter dummies are left in texts: replacing every "a" hides nothing and spoils the text
_FOUR = 4
_LONG = 512  # characters of base64 in a row: an image, which by chance holds no key


class HiddenText(str):
    """A text that shows itself nowhere: not in a repr, `str`, format, copy or pickle.

    `"Bearer " + hidden` is how it is used; the result is put into `HiddenText` again.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise TypeError("a key is not copied or pickled")


def hide_frames(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that looks at keys: what it raises shows none of its frames.

    IPython's verbose tracebacks print the variables of each frame, also those of an interrupt. The
    arguments of the function itself must be `HiddenText` or harmless.
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

    Parts of a key that stand in `public` texts, such as the name of a server, say nothing of it: they stay,
    or a key with words in it would spoil the URLs of images. `Redactor()` knows no key; it still takes out
    what looks like one. Its repr shows nothing.
    """

    __slots__ = ("_coded", "_dummies", "_needles", "_raw", "_spellings")

    @hide_frames
    def __init__(self, keys: Iterable[str] = (), public: Iterable[str] = ()) -> None:
        texts = {text for key in keys for text in (str.__str__(key), _as_bytes(key)) if len(text) >= WHOLE}
        cores = {core for text in texts for core in _cores(text)}
        long = {text for text in texts if len(text) >= RUN}
        self._raw = _Runs(RUN, long, public)
        self._coded = _Runs(CODED, cores)
        self._dummies = tuple(map(HiddenText, (texts - long) | {core for core in cores if len(core) < CODED}))
        self._spellings = tuple({HiddenText(form) for text in long for form in _spellings(text)})
        self._needles = tuple(HiddenText(text[1:-1]) for text in long)

    def __repr__(self) -> str:
        return "<redactor>"

    @hide_frames
    def holds(self, text: str) -> bool:
        """Return whether a text holds what looks like a key, or one of the keys whole, in any spelling."""
        return _looks_like_key(text) or self.holds_known(text)

    @hide_frames
    def holds_known(self, text: str) -> bool:
        """Return whether a text holds one of the keys whole, in any spelling."""
        return any(form in text for form in self._spellings)

    @hide_frames
    def holds_part(self, text: str) -> bool:
        """Return whether a text holds eight characters of one of the keys in a row, in any spelling."""
        return bool(self._spans(text))

    @hide_frames
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
        """Return outside text as `sanitize` does, without keys.

        Keys are searched for when nothing invisible splits one any more; what is cut afterwards holds none.
        """
        return sanitize(self.redact(sanitize(text)), limit)

    @property
    def knows_keys(self) -> bool:
        """Whether there is anything to look for in `mask`."""
        return bool(self._needles)

    @hide_frames
    def mask(self, data: bytes, *, parts: bool = True) -> bytes:
        """Return bytes of the same length with `*` in place of keys.

        In base64 that begins as an image does, and in long runs of it, only a key in clear is looked for:
        the texts of an image are searched when it is stored. Without `parts` that is so everywhere, which
        is fifty times as fast.
        """
        if not self._needles or not data:
            return data
        text = data.decode("latin-1")
        masked: bytearray | None = None
        for start, stop, is_long in _segments(data, text) if parts else [(0, len(text), True)]:
            part = text[start:stop]
            if is_long and not any(needle in part for needle in self._needles):
                continue
            for first, last in self._raw.spans(part, _numbers(part)) if is_long else self._spans(part):
                masked = masked or bytearray(data)
                masked[start + first : start + last] = b"*" * (last - first)
        return data if masked is None else bytes(masked)

    def _spans(self, text: str, dummies: Iterable[str] = ()) -> set[tuple[int, int]]:
        """Return where keys, and whole dummies, stand in a text, in any reading of it."""
        spans: set[tuple[int, int]] = set()
        if not self._needles and not dummies:
            return spans
        spans.update(self._found(text, dummies))
        for start, stop in _escaped(text):
            reading = text[start:stop]
            begins: Sequence[int] = range(start, stop + 1)
            for _ in range(2):
                reading, begins = _unescaped(reading, begins)
                spans.update((begins[first], begins[last]) for first, last in self._found(reading, dummies))
        return spans

    def _found(self, text: str, dummies: Iterable[str]) -> Iterator[tuple[int, int]]:
        """Yield where keys stand in a text as it is."""
        numbers = _numbers(text)
        yield from self._raw.spans(text, numbers)
        if not self._coded.are_missing(numbers):
            yield from self._coded.spans(text.translate(_URL_SAFE), numbers)
        for dummy in dummies:
            yield from _occurrences(dummy, text)
            yield from _occurrences(dummy, text.translate(_URL_SAFE))


class _Runs:
    """Every run of `size` characters of some texts.

    A run of eight holds four characters that begin at a multiple of four, so four at a time are looked
    up, as one number: that is linear, and fast enough for all that a server may send.
    """

    __slots__ = ("_fours", "_runs", "_size")

    def __init__(self, size: int, texts: Iterable[str], public: Iterable[str] = ()) -> None:
        runs = set()
        for text in texts:
            known = [place for place in public if text not in place]  # a whole key is secret anywhere
            every = {text[at : at + size] for at in range(len(text) - size + 1)}
            runs |= {run for run in every if not any(run in place for place in known)}
        spelled = runs | {run.translate(_IN_URLS) for run in runs} if size == CODED else runs
        fours = {run[at : at + _FOUR] for run in spelled for at in range(size - _FOUR + 1)}
        self._size = size
        self._runs = frozenset(runs)
        self._fours = frozenset(_numbers("".join(fours)))

    def are_missing(self, numbers: memoryview) -> bool:
        """Return whether a text, given as numbers, certainly holds none of them."""
        return self._fours.isdisjoint(numbers)

    def spans(self, text: str, numbers: memoryview) -> Iterator[tuple[int, int]]:
        """Yield where a run stands in a text, which is also given as numbers."""
        fours, runs, size = self._fours, self._runs, self._size
        if self.are_missing(numbers):
            return
        for at in [_FOUR * place for place, number in enumerate(numbers) if number in fours]:
            for start in range(max(at + _FOUR - size, 0), at + 1):
                if text[start : start + size] in runs:
                    yield start, start + size


def _numbers(text: str) -> memoryview:
    """Return each four characters of a text as one number; those beyond Latin-1 count as question marks."""
    raw = text.encode("latin-1", "replace")
    return memoryview(raw)[: len(raw) // _FOUR * _FOUR].cast("I")


def _occurrences(word: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(word)
    while at >= 0:
        yield at, at + len(word)
        at = text.find(word, at + len(word))


def _encoded(key: str) -> bytes:
    """Return a key as UTF-8; bytes of an environment variable that are none stay as they are."""
    try:
        return key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        pass
    return key.encode("utf-8", "replace")


def _as_bytes(key: str) -> str:
    """Return a key as its UTF-8 bytes read one by one, as `mask` reads what comes."""
    return _encoded(key).decode("latin-1")


# One escape: JSON's (\u002f, \/), a URL's (%2F), or HTML's (&#47; &#x2f;).
_ESCAPE = re.compile(
    r"""\\u00([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|&\#x([0-9a-fA-F]{2});?|&\#([0-9]{2,3});?|\\([\\/"'])""",
    re.VERBOSE,
)
_MARKS = ("\\", "%", "&#")
_AROUND = 256  # characters: more than an escaped run takes, and than most keys have
_URL_SAFE, _IN_URLS = str.maketrans("-_", "+/"), str.maketrans("+/", "-_")


def _escaped(text: str) -> Iterator[tuple[int, int]]:
    """Yield the parts of a text in which escapes may spell a key: around each escape, overlaps merged."""
    if not any(mark in text for mark in _MARKS):
        return
    start = stop = 0
    for match in _ESCAPE.finditer(text):
        if match.start() > stop + _AROUND:
            if stop:
                yield start, stop
            start = max(match.start() - _AROUND, 0)
        stop = min(match.end() + _AROUND, len(text))
    if stop:
        yield start, stop


def _unescaped(text: str, begins: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Return a text with its escapes taken off once, and where each character begins."""
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
    raw = _encoded(text)
    for before in range(3):
        coded = base64.b64encode(bytes(before) + raw).decode()
        core = coded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(core) >= RUN:
            yield core


_MARKUP = ("<>&", "<>&'+", "<>&'=")  # what Go, .NET and Java write as \u003c for the sake of HTML


def _spellings(text: str) -> set[str]:
    """Return how a whole key is written: raw, URL-, JSON- and base64-escaped."""
    url = {quote(_encoded(text), safe) for safe in ("", "/")}
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


_CODE = r"[A-Za-z0-9+/=_\\-]"
_IMAGE = re.compile(rf"(?<!{_CODE})(?:(?:iVBORw0KGgo|\\?/9j\\?/|UklGR){_CODE}*+|{_CODE}{{{_LONG},}}+)")
_IMAGE_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_\\-"


def _segments(data: bytes, text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield where images stand as base64, or any long run of it, and what is between them."""
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
