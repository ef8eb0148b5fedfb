"""Keep API keys out of everything: text that hides itself, and a redactor for text from outside.

A key is `HiddenText` as soon as it is read: repr, `str` and format show nothing. An `ApiKey` shows it to its
own server only. Code that reads the clear text is decorated with `hide_frames`: a traceback that leaves it
has none of its frames.

A server may echo a key raw, cut, masked, URL- or JSON-escaped, as HTML entities, or inside base64. The
redactor works on runs of characters, so it finds a part of a key like the whole.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Never, ParamSpec, TypeVar

from ipyimagegen.core.endpoints import AUTHORIZATION, to_origin
from ipyimagegen.core.text import TEXT_LIMIT, sanitize

P = ParamSpec("P")
T = TypeVar("T")

REDACTED = "[key]"
RUN = 8  # characters of a key in a row; fewer reveal nothing
CODED = 10  # characters of base64 that eight characters determine
WHOLE = 4  # shorter dummy keys stay in texts: replacing every "a" hides nothing and spoils the text
_FOUR = 4
_LONG = 512  # characters of base64 in a row: an image, which does not hold a key by chance


class HiddenText(str):
    """A text that is not shown by repr, `str` or format, and refuses to be copied or pickled.

    It is used as `"Bearer " + hidden`; the result is put into `HiddenText` again.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise TypeError("a key is not copied or pickled")


# A blank, a quote or a line break in a key is always a slip of copying; other text is no header.
_POSSIBLE = re.compile(r"[!#-&(-_a-~]+")


class ApiKey:
    """A key bound to the origin of a URL; no repr shows it, and it cannot be copied or pickled.

    `clear` is the key whatever the URL: for the redactor alone.
    """

    __slots__ = ("clear", "origin")

    def __init__(self, value: str, base_url: str) -> None:
        self.clear = HiddenText(str.__str__(value))
        self.origin = to_origin(base_url)

    def reveal(self, url: str) -> HiddenText | None:
        """Return the key if `url` is of its origin, else None."""
        return self.clear if self.belongs_to(url) else None

    def belongs_to(self, url: str) -> bool:
        """Return whether `url` is of the key's origin."""
        try:
            return to_origin(url) == self.origin
        except ValueError:
            return False

    @property
    def possible(self) -> bool:
        """Whether it can be a key at all: no blank, quote, line break, or other text that no header takes."""
        return bool(_POSSIBLE.fullmatch(self.clear))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKey) and (self.origin, self.clear) == (other.origin, other.clear)

    def __hash__(self) -> int:
        return hash((self.origin, self.clear))

    def __repr__(self) -> str:
        return f"<key for {getattr(self, 'origin', '')}>"  # an interrupt may come before it has an origin

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise TypeError("a key is not copied or pickled")


_SCHEME = re.compile(r"(?:basic|bearer|token|digest|apikey|key)[ \t]+", re.IGNORECASE)


def _drop_scheme(value: HiddenText) -> HiddenText:
    """Return the value of a header without a word such as Bearer before it."""
    scheme = _SCHEME.match(value)
    return HiddenText(value[scheme.end() :]) if scheme else value


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the server of an endpoint gets with each request: its key, and headers of the user's own.

    All of it belongs to `origin`. The value of a header is `HiddenText` where it is secret; credentials with
    a secret cannot be pickled.
    """

    origin: str = ""
    key: ApiKey | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> tuple[ApiKey, ...]:
        """The key, and the secret part of each header, as texts are searched for them."""
        hidden = [value for value in self.headers.values() if isinstance(value, HiddenText)]
        return (
            *((self.key,) if self.key else ()),
            *(ApiKey(_drop_scheme(value), self.origin) for value in hidden),
        )

    def reveal(self, url: str, key_header: str) -> Mapping[str, str] | None:
        """Return the headers for a URL, None where it is of another origin."""
        if not self.key and not self.headers:
            return {}
        try:
            if to_origin(url) != self.origin:
                return None
        except ValueError:
            return None
        if self.key is None:
            return self.headers
        bearer = key_header.lower() == AUTHORIZATION
        key = HiddenText("Bearer " + self.key.clear) if bearer else self.key.clear
        return {key_header: key, **self.headers}


def hide_frames(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function that reads keys: the traceback of what it raises has none of its frames.

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
    """Finds the given keys in text and bytes from outside, and removes them.

    Parts of a key that occur in `public` texts, such as the name of a server, reveal nothing: they stay,
    or a key with words in it would spoil the URLs of images. `Redactor()` knows no key; it still removes
    what looks like a key. Its repr shows nothing.
    """

    __slots__ = ("_coded", "_cores", "_dummies", "_needles", "_raw", "_whole")

    @hide_frames
    def __init__(self, keys: Iterable[str] = (), public: Iterable[str] = ()) -> None:
        # Each key as it is, and as `mask` reads it: each UTF-8 byte as a character.
        spelled = [text for key in keys for text in (str.__str__(key), _encode(key).decode("latin-1"))]
        texts = {text for text in spelled if len(text) >= WHOLE}
        cores = {core for text in texts for core in _list_cores(text)}
        long = {text for text in texts if len(text) >= RUN}
        self._raw = _Runs(RUN, long, public)
        self._coded = _Runs(CODED, cores)
        self._dummies = tuple(map(HiddenText, (texts - long) | {core for core in cores if len(core) < CODED}))
        read = {_ESCAPE.sub(_decode_escape, text) for text in long}  # a key may hold a %2F of its own
        self._whole = tuple(map(HiddenText, long | {text for text in read if len(text) >= RUN}))
        self._cores = tuple(HiddenText(core) for text in long for core in _list_cores(text))
        self._needles = tuple(HiddenText(text[1:-1]) for text in long)

    def __repr__(self) -> str:
        return "<redactor>"

    @hide_frames
    def holds(self, text: str) -> bool:
        """Return whether a text holds what looks like a key, or a whole known key, in any spelling."""
        named = any(_DIGIT.search(match[1] or match[2]) for match in _NAMED.finditer(text))
        shaped = named or _SHAPE.search(text) or _CUT.search(text[-_END:])
        return bool(shaped) or self.holds_known(text)

    @hide_frames
    def holds_known(self, text: str) -> bool:
        """Return whether a text holds a whole known key, in any spelling."""
        for _ in range(3):
            in_base64 = text.translate(_URL_SAFE)
            if any(key in text for key in self._whole) or any(core in in_base64 for core in self._cores):
                return True
            text = _ESCAPE.sub(_decode_escape, text)
        return False

    @hide_frames
    def holds_part(self, text: str) -> bool:
        """Return whether a text holds eight characters of a known key in a row, in any spelling."""
        return bool(self._find_spans(text))

    @hide_frames
    def redact(self, text: str) -> str:
        """Return a text without keys: no eight characters of a key in a row remain, in any spelling."""
        pieces: list[str] = []
        end = 0
        for start, stop in sorted(self._find_spans(text, self._dummies)):
            if start > end or not pieces:
                pieces += [text[end:start], REDACTED]
            end = max(end, stop)
        text = _NAMED.sub(_redact_named, "".join(pieces) + text[end:])
        text = _SHAPE.sub(REDACTED, text)
        return text[:-_END] + _CUT.sub(REDACTED, text[-_END:])

    def clean(self, text: object, limit: int = TEXT_LIMIT) -> str:
        """Return outside text as `sanitize` does, without keys.

        Keys are searched for once invisible characters no longer split them, and before the text is cut.
        """
        return sanitize(self.redact(sanitize(text)), limit)

    @property
    def knows_keys(self) -> bool:
        """Whether `mask` has anything to search for."""
        return bool(self._needles)

    @hide_frames
    def mask(self, data: bytes, *, parts: bool = True) -> bytes:
        """Return bytes of the same length with `*` in place of keys.

        In base64 that begins like an image, and in long runs of base64, only clear keys are searched for:
        the texts of an image are searched when it is stored. Without `parts` that holds everywhere, which
        is fifty times as fast.
        """
        if not self._needles or not data:
            return data
        text = data.decode("latin-1")
        masked: bytearray | None = None
        for start, stop, is_long in _split_images(data, text) if parts else [(0, len(text), True)]:
            part = text[start:stop]
            if is_long and not any(needle in part for needle in self._needles):
                continue
            for first, last in (
                self._raw.find_spans(part, _to_numbers(part)) if is_long else self._find_spans(part)
            ):
                masked = masked or bytearray(data)
                masked[start + first : start + last] = b"*" * (last - first)
        return data if masked is None else bytes(masked)

    def _find_spans(self, text: str, dummies: Iterable[str] = ()) -> set[tuple[int, int]]:
        """Return where keys, and whole dummies, are in a text, in any decoding of it."""
        spans: set[tuple[int, int]] = set()
        if not self._needles and not dummies:
            return spans
        spans.update(self._find(text, dummies))
        for start, stop in _find_escapes(text):
            reading = text[start:stop]
            begins: Sequence[int] = range(start, stop + 1)
            for _ in range(2):
                reading, begins = _unescape(reading, begins)
                spans.update((begins[first], begins[last]) for first, last in self._find(reading, dummies))
        return spans

    def _find(self, text: str, dummies: Iterable[str]) -> Iterator[tuple[int, int]]:
        """Yield where keys are in a text as it is."""
        numbers = _to_numbers(text)
        yield from self._raw.find_spans(text, numbers)
        yield from self._coded.find_spans(text, numbers)
        for dummy in dummies:
            yield from _find_all(dummy, text)
            yield from _find_all(dummy, text.translate(_URL_SAFE))


class _Runs:
    """Every run of `size` characters of some texts.

    A run of eight holds four characters that begin at a multiple of four. Four characters at a time are
    looked up as a number: this is linear, and fast enough for all that a server may send.
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
        self._fours = frozenset(_to_numbers("".join(fours)))

    def find_spans(self, text: str, numbers: memoryview) -> Iterator[tuple[int, int]]:
        """Yield where a run is in a text, which is also given as numbers."""
        fours, runs, size = self._fours, self._runs, self._size
        if fours.isdisjoint(numbers):
            return
        if size == CODED:
            text = text.translate(_URL_SAFE)
        for at in [_FOUR * place for place, number in enumerate(numbers) if number in fours]:
            for start in range(max(at + _FOUR - size, 0), at + 1):
                if text[start : start + size] in runs:
                    yield start, start + size


def _to_numbers(text: str) -> memoryview:
    """Return each four characters of a text as a number; those beyond Latin-1 count as question marks."""
    raw = text.encode("latin-1", "replace")
    return memoryview(raw)[: len(raw) // _FOUR * _FOUR].cast("I")


def _find_all(word: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(word)
    while at >= 0:
        yield at, at + len(word)
        at = text.find(word, at + len(word))


def _encode(key: str) -> bytes:
    """Return a key as UTF-8; invalid bytes of an environment variable stay as they are."""
    try:
        return key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        pass
    return key.encode("utf-8", "replace")


# An escape: JSON's (\u002f, \/), a URL's (%2F), or HTML's (&#47; &#x2f;).
_ESCAPE = re.compile(
    r"""\\u([0-9a-fA-F]{4})|%([0-9a-fA-F]{2})|&\#x([0-9a-fA-F]{2});?|&\#([0-9]{2,3});?|\\([\\/"'])""",
    re.VERBOSE,
)
_MARKS = ("\\", "%", "&#")
_AROUND = 256  # characters: more than an escaped run takes, and than most keys have
_URL_SAFE, _IN_URLS = str.maketrans("-_", "+/"), str.maketrans("+/", "-_")


def _find_escapes(text: str) -> Iterator[tuple[int, int]]:
    """Yield the parts of a text around each escape, in which a key may be escaped; overlaps are merged."""
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


def _decode_escape(match: re.Match[str]) -> str:
    in_hex = match[1] or match[2] or match[3]
    return chr(int(in_hex, 16)) if in_hex else chr(int(match[4])) if match[4] else match[5]


def _unescape(text: str, begins: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Return a text with its escapes decoded once, and where each character begins."""
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        parts += [text[end : match.start()], _decode_escape(match)]
        places += begins[end : match.start() + 1]
        end = match.end()
    return "".join(parts) + text[end:], [*places, *begins[end:]]


def _list_cores(text: str) -> Iterator[str]:
    """Yield the characters of base64 that a text determines, for each offset in a group of three bytes."""
    raw = _encode(text)
    for before in range(3):
        coded = base64.b64encode(bytes(before) + raw).decode()
        core = coded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(core) >= RUN:
            yield core


# The shapes of known servers' keys. A key after a name has a digit: otherwise any long word would match.
_SHAPE = re.compile(
    r"\b(?:sk|pk|xai)-[A-Za-z0-9*_\-.]{12,}"
    r"|\b(?:sk|pk|xai|gsk|r8|hf|tgp)_[A-Za-z0-9*]{16,}"
    r"|\bAIza[A-Za-z0-9_\-]{20,}"
)
_NAMED = re.compile(
    r"\b[Bb]earer\s+([A-Za-z0-9_\-.=+/]{12,})|(?i:\bapi[-_ ]?key\W{1,3}([A-Za-z0-9_\-.]{16,}))"
)
_CUT = re.compile(r"\b(?:(?:sk|pk|xai|gsk|r8|hf|tgp)[-_]|AIza)[A-Za-z0-9*_\-.]{4,}…\Z")
_END = 256  # characters at the end that are searched for the beginning of a key that was cut
_DIGIT = re.compile(r"\d")


def _redact_named(match: re.Match[str]) -> str:
    return REDACTED if _DIGIT.search(match[1] or match[2]) else match[0]


_CODE = r"[A-Za-z0-9+/=_\\-]"
_IMAGE = re.compile(rf"(?<!{_CODE})(?:(?:iVBORw0KGgo|\\?/9j\\?/|UklGR){_CODE}*+|{_CODE}{{{_LONG},}}+)")
_IMAGE_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_\\-"


def _split_images(data: bytes, text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield the spans of images as base64, or of any long run of it (True), and between them (False)."""
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
