"""A request: what was asked, what goes to the server, further fields as given, and how many images.

A `Request` is what was asked, a `PreparedRequest` what goes to the server after translation.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.options import SENT, Json


@dataclass(frozen=True, kw_only=True)
class Input:
    """An image that goes with the prompt; its bytes are in the store under their hash.

    `label` is what a caption calls it; one of our own has its `parent` instead, so that no record
    repeats a prompt that may be forgotten.
    `pixels` is the hash of its pixels where the file is our own encoding of a variable: the same
    image is known again though a newer encoder writes other bytes.
    """

    sha256: str
    mime: str
    width: int
    height: int
    label: str = ""
    parent: str | None = None  # lasting id of the image it came from, as 1120-k7f2/3.1
    pixels: str | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.label or self.parent or "the image"

    @property
    def identity(self) -> str:
        """The hash by which the same image is known again."""
        return self.pixels or self.sha256


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked: options as typed or configured, normalised, not yet translated."""

    operation: str = "generations"
    endpoint: str
    base_url: str
    dialect: str = "openai"
    model: str | None = None
    prompt: str
    template: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    mask: Input | None = None

    @property
    def identity(self) -> str:
        """The hash by which the same request is known again (hex SHA-256)."""
        return self._hash(self.base_url)

    @property
    def question(self) -> str:
        """Like `identity`, whatever server was asked."""
        return self._hash(None)

    def _hash(self, base_url: str | None) -> str:
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

        known = {
            "version": 1,
            "base_url": base_url,
            "operation": self.operation,
            "model": self.model or "default",
            "prompt": self.prompt.strip(),
            "options": {k: v for k, v in self.options.items() if k not in SENT or SENT[k].identity},
            "extra": dict(self.extra),
            "inputs": [one.identity for one in self.inputs],
            "mask": self.mask.identity if self.mask else None,
        }
        text = json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def count(self) -> int:
        """How many images were asked for at most; one unless told otherwise."""
        return count_images(self.options, self.extra)

    @property
    def fewest(self) -> int:
        """How many images `n` itself asked for: other fields may only bound their number."""
        return count_asked(self.options, self.extra)


@dataclass(frozen=True, kw_only=True)
class PreparedRequest:
    """What goes to the server: the model's name there, translated options, and what to say of it.

    `options` holds option names and values after translation; `extra` is merged over them by the
    dialect. `inputs` and `mask` are the images in the form that this server takes. `notes` are
    sentences for the caption; `unsent` names options that were kept back.
    """

    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    mask: Input | None = None
    idempotency_key: str = ""
    attempts: int = 0
    request_id: str | None = None
    body: Mapping[str, Json] = field(default_factory=dict)


MOST_VALUES = 100_000
MOST_TEXT = 64 << 20  # characters; images that are sent as base64 fit
DEPTH = 32  # levels of nested values
MOST_KEY = 1000  # characters
_INTEGER_BITS = 4096  # no server reads longer numbers as JSON, and writing them takes long
_KINDS = "text, finite numbers, True, False, None, lists and mappings of these"
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEY = re.compile(r"[\w.\-]{1,100}")


def check_key(key: str) -> None:
    """Raise InvalidOption when a key of `--set` or `extra` could be more than a field's name."""
    if not _KEY.fullmatch(key):
        raise InvalidOption(
            f"--set {key[:60]!r}: a key is letters, digits, _, - and dots. Write it so; nothing was sent."
        )


def read_setting(text: str) -> tuple[str, Json]:
    """Return the key and value of `--set key=value`; the value is JSON if it is JSON.

    Raises InvalidOption. What looks like a JSON object or list and is none is refused: its quotes
    were taken off by the line, and it would reach the server as a meaningless string.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidOption(f"--set takes key=value, not {text!r}.")
    check_key(key)
    setting: Json = value
    try:
        setting = json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        problem = _not_json(key, value, fault)
    else:
        problem = ""
    if problem:
        raise InvalidOption(problem)
    check_extra({key: setting})
    return key, setting


def _not_json(key: str, value: str, fault: Exception) -> str:
    """Return why a value is refused that is no JSON, or nothing where it is text."""
    if isinstance(fault, RecursionError):
        return _too_large(key)
    if value[:1] not in ("{", "["):
        return ""
    quoted = f"--set '{key}={{\"a\": 1}}'"
    return f"--set {key}: {value[:60]} is not valid JSON. Put the whole in single quotes: {quoted}"


def check_extra(extra: Mapping[str, Json]) -> None:
    """Raise InvalidOption where `extra` holds what cannot be sent as JSON, or more than a request takes.

    Nothing is copied or written before it is known to be small: a list may hold itself, or one list many
    times over.
    """
    waiting = [(value, str(key)[:60], 1) for key, value in extra.items()]
    values, text = len(waiting), 0
    while waiting:
        value, where, depth = waiting.pop()
        nested = isinstance(value, (dict, list, tuple))
        values += len(value) if nested else 0
        text += len(value) if isinstance(value, str) else 0
        if values > MOST_VALUES or text > MOST_TEXT or (nested and depth > DEPTH):
            raise InvalidOption(_too_large(where))
        if problem := "" if nested else _scalar_problem(value):
            raise InvalidOption(f"extra: {where} {problem}; nothing was sent. Use {_KINDS}.")
        if isinstance(value, dict):
            _check_keys(value, where)
            value = value.values()
        waiting += [(part, where, depth + 1) for part in value] if nested else []


def _too_large(where: str) -> str:
    return (
        f"extra: {where} is nested too deeply or too large; nothing was sent. "
        f"Use at most {DEPTH} levels, {MOST_VALUES:,} values and {MOST_TEXT >> 20} MiB of text."
    )


def _check_keys(fields: Mapping[Json, Json], where: str) -> None:
    for key in fields:
        if not isinstance(key, str) or len(key) > MOST_KEY or _SURROGATE.search(key):
            raise InvalidOption(
                f"Invalid extra: a key of {where} is {key!r:.40}. Use text. Nothing was sent."
            )


def _scalar_problem(value: Json) -> str:
    """Return why a value that holds no others cannot be sent as JSON, or nothing."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return "holds half a character (a lone surrogate)" if _SURROGATE.search(value) else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"is {value}, which JSON cannot hold"
    if isinstance(value, int):
        return "is a number of too many digits" if value.bit_length() > _INTEGER_BITS else ""
    return f"is of type {type(value).__name__}, which JSON cannot hold"


def _no_constant(word: str) -> Json:
    raise ValueError(word)  # NaN and Infinity are no JSON; they stay text


MOST = 10_000  # images of one request; no server makes as many
_DEPTH = 4  # levels of nested fields that are searched
# Other servers' names of `n`, as `_plain` writes them.
_NAMES = frozenset(
    {
        "n",
        "num",
        "count",
        "number",
        "quantity",
        "samples",
        "nimages",
        "nsamples",
        "niter",
        "numimages",
        "numimage",
        "numoutputs",
        "numsamples",
        "numimagesperprompt",
        "imagesperprompt",
        "numberofimages",
        "numberofoutputs",
        "numberresults",
        "imagecount",
        "imagesnum",
        "imagenum",
        "samplecount",
        "outputcount",
        "batchsize",
        "batchcount",
        "maximages",
    }
)
# Fields whose value is a word, and how many images a server makes then: Ark makes up to 15 by itself.
_WORDS: Mapping[str, Mapping[str, int]] = {"sequentialimagegeneration": {"auto": 15}}


def read_count(value: Json) -> int | None:
    """Return the whole number from 1 that a server may read in `value`, None where there is none.

    A server may accept 3.0, "3", " 3 ", "1e2" and digits of other scripts. True is no number here.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = value if isinstance(value, int) else float(value)
    except ValueError:
        return None
    whole = isinstance(number, int) or (math.isfinite(number) and number == int(number))
    return int(number) if whole and number >= 1 else None


def count_images(options: Mapping[str, Json], extra: Mapping[str, Json]) -> int:
    """Return how many images a request may bring: the largest number that a server may read; 1 without any.

    `extra` holds further fields, and replaces the option of the same name.
    """
    others = {key: value for key, value in options.items() if key not in extra}
    counts = [count_asked(options, extra), *_counts(others), *_counts(extra)]
    return min(max(counts), MOST)


def count_asked(options: Mapping[str, Json], extra: Mapping[str, Json]) -> int:
    """Return how many images the field `n` itself asks for; 1 without it."""
    return min(read_count(extra.get("n", options.get("n"))) or 1, MOST)


def check_count(extra: Mapping[str, Json]) -> None:
    """Raise InvalidOption where a field `n` of `extra` is no whole number from 1 to `MOST`."""
    for key, value in extra.items():
        if _plain(key) != "n":
            continue
        count = read_count(value)
        if count is None or count > MOST:
            given = repr(value) if isinstance(value, (str, float, bool)) else type(value).__name__
            shown = f"{value:,}" if count and count < 10**12 else given[:40]
            raise InvalidOption(
                f"Invalid --set {key[:20]}: {shown}. Use a whole number from 1 to {MOST:,}. Nothing was sent."
            )


def _counts(fields: Mapping[str, Json], depth: int = _DEPTH) -> Iterator[int]:
    """Yield the numbers of images that `fields` name, in nested fields too."""
    for key, value in fields.items():
        name = _plain(key)
        if name in _NAMES and (count := read_count(value)):
            yield count
        if isinstance(value, str) and (count := _WORDS.get(name, {}).get(value.strip().lower())):
            yield count
        for inner in _nested(value) if depth > 1 else ():
            yield from _counts(inner, depth - 1)


def _nested(value: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the mappings that a value is or holds; Xinference takes further fields as a text of JSON."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    for part in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(part, Mapping):
            yield part


def _plain(key: object) -> str:
    """Return the last part of a field's name as servers compare it that ignore case and signs."""
    last = unicodedata.normalize("NFKC", str(key)).casefold().rpartition(".")[2]
    return last.replace("_", "").replace("-", "")
