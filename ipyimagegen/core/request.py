"""A request: what was asked, its identity, its further fields, and how many images it may bring.

A `Request` is what was asked, a `PreparedRequest` what goes to the server after translation.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.messages import Message, OptionName, _
from ipyimagegen.core.options import SENT, Json, to_half_width, to_plain


@dataclass(frozen=True, kw_only=True)
class Input:
    """An image that goes with the prompt; its bytes are in the store under their hash.

    `label` is what a caption calls it; an image of our own has its `parent` instead, so that no record
    repeats a prompt that may be forgotten. `pixels` is the hash of its pixels where the file is our own
    encoding of a variable: the same image is recognised even if a newer encoder writes other bytes.
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
        return self.label or self.parent or _("the image")

    @property
    def identity(self) -> str:
        """The hash by which the same image is recognised."""
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

    @cached_property
    def identity(self) -> str:
        """The hash by which the same request is recognised (hex SHA-256)."""
        return self._hash(self.base_url)

    @property
    def question(self) -> str:
        """The same hash without the server."""
        return self._hash(None)

    def _hash(self, base_url: str | None) -> str:
        parts = {
            "version": 1,
            "base_url": base_url,
            "operation": self.operation,
            "model": self.model or "default",
            "prompt": self.prompt.strip(),
            "options": {k: v for k, v in self.options.items() if k not in SENT or SENT[k].identity},
            "extra": dict(self.extra),
            "inputs": [image.identity for image in self.inputs],
            "mask": self.mask.identity if self.mask else None,
        }
        parts = unify(parts)
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def count(self) -> int:
        """The largest number of images that it may bring: the largest that a server may read in any field."""
        options = {name: value for name, value in self.options.items() if name not in self.extra}
        counts = [self.fewest, *_find_counts(options), *_find_counts(self.extra)]
        return min(max(counts), MOST_IMAGES)

    @property
    def fewest(self) -> int:
        """The number of images that `n` itself asks for: other fields may only bound their number."""
        return min(read_count(self.extra.get("n", self.options.get("n"))) or 1, MOST_IMAGES)


def unify(value: Any) -> Any:
    """Return a value whose texts have line ends and composed characters of one kind: they look the same."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n"))
    if isinstance(value, Mapping):
        return {key: unify(member) for key, member in value.items()}
    return [unify(member) for member in value] if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, kw_only=True)
class PreparedRequest:
    """What goes to the server: the model's name there, translated options, and what captions say of it.

    `options` holds option names and values after translation; the dialect merges `extra` over them.
    `inputs` and `mask` are the images in the form that this server takes. `notes` are sentences for the
    caption; `unsent` names options that were not sent.
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


# Further fields, which `--set key=value` and `extra` name. They are sent as they are.

MOST_VALUES = 100_000
MOST_TEXT = 64 << 20  # characters; images that are sent as base64 fit
DEPTH = 32  # levels of nested values
MOST_KEY = 1000  # characters
_INTEGER_BITS = 4096  # no server reads longer numbers as JSON, and writing them takes long
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEY = re.compile(r"[\w.\-]{1,100}")


def read_setting(text: str) -> tuple[str, Json]:
    """Return the key and value of `--set key=value`; the value is JSON if it is valid JSON, else text.

    Raises InvalidOption, also for a value that looks like a JSON object or list and is invalid: the line
    took its quotes off, and it would reach the server as a meaningless string.
    """
    equals = re.search("[=＝]", text)
    key, value = (to_half_width(text[: equals.start()]), text[equals.end() :]) if equals else ("", "")
    if re.fullmatch(r"[-+.\deE]+", to_half_width(value)):
        value = to_half_width(value)
    if not key:
        raise InvalidOption(_("{extra} takes key=value, not {text!r}.", extra=OptionName("extra"), text=text))
    setting: Json = value
    problem: Message | None = None
    try:
        setting = json.loads(value, parse_constant=int)  # refuses NaN and Infinity: they are not JSON
    except ValueError:
        if value.startswith(("{", "[")):
            problem = _(
                "{key} is not valid JSON: {value}. Put the whole in single quotes: {example}",
                key=key[:60],
                value=value[:60],
                example=f"'{key[:60]}={{\"a\": 1}}'",
            )
    except RecursionError:
        problem = _describe_limits(key[:60])
    if problem:
        raise _refuse_extra(problem)
    check_extra({key: setting})
    return key, setting


def check_extra(extra: Mapping[str, Json]) -> None:
    """Raise InvalidOption where further fields cannot be sent, or ask for no possible number of images."""
    check_values(extra)
    for key, value in extra.items():
        if not _KEY.fullmatch(key):
            raise _refuse_extra(_("use letters, digits, _, - and dots in the key {key!r}", key=key[:60]))
        count = read_count(value)
        if _simplify(key) == "n" and (count is None or count > MOST_IMAGES):
            given = repr(value) if isinstance(value, (str, float, int)) else type(value).__name__
            raise _refuse_extra(
                _(
                    "{key} is {value}; use a whole number from 1 to {most:,}",
                    key=key[:20],
                    value=f"{value:,}" if count and count < 10**12 else given[:40],
                    most=MOST_IMAGES,
                )
            )


def check_values(fields: Mapping[str, Json]) -> None:
    """Raise InvalidOption where a value cannot be sent as JSON, or is more than a request takes.

    Nothing is copied or written before it is known to be small: a list may hold itself, or the same list many
    times over.
    """
    waiting = [(value, str(key)[:60], 1) for key, value in fields.items()]
    values, text = len(waiting), 0
    while waiting:
        value, where, depth = waiting.pop()
        value = to_plain(value)
        nested = isinstance(value, (dict, list, tuple))
        values += len(value) if nested else 0
        text += len(value) if isinstance(value, str) else 0
        if values > MOST_VALUES or text > MOST_TEXT or (nested and depth > DEPTH):
            raise _refuse_extra(_describe_limits(where))
        if not nested and (problem := _find_problem(value)):
            raise _refuse_extra(
                _(
                    "{where} {problem}; use text, finite numbers, True, False, None, lists and mappings "
                    "of these",
                    where=where,
                    problem=problem,
                )
            )
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str) or len(key) > MOST_KEY or _SURROGATE.search(key):
                    raise _refuse_extra(
                        _("a key of {where} is {key}; use text", where=where, key=f"{key!r:.40}")
                    )
            value = value.values()
        waiting += [(part, where, depth + 1) for part in value] if nested else []


def copy_plain(value: Json) -> Json:
    """Return a copy of checked values, with Python's own values for those of other libraries."""
    if isinstance(value, dict):
        return {str.__str__(key): copy_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [copy_plain(item) for item in value]
    return to_plain(value)


def _find_problem(value: Json) -> Message | None:
    """Return why a value that holds no others cannot be sent as JSON, or None."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _("holds half a character (a lone surrogate)") if _SURROGATE.search(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else _("is {value}, which JSON cannot hold", value=value)
    if isinstance(value, int):
        return _("is a number of too many digits") if value.bit_length() > _INTEGER_BITS else None
    return _("is of type {kind}, which JSON cannot hold", kind=type(value).__name__)


def _describe_limits(where: str) -> Message:
    return _(
        "{where} is nested too deeply or too large; use at most {depth} levels, {values:,} values "
        "and {text} MiB of text",
        where=where,
        depth=DEPTH,
        values=MOST_VALUES,
        text=MOST_TEXT >> 20,
    )


def _refuse_extra(problem: Message) -> InvalidOption:
    return InvalidOption(
        _("Invalid {extra}: {problem}. Nothing was sent.", extra=OptionName("extra"), problem=problem)
    )


# How many images a request may bring, in whatever spelling a server may read their number.

MOST_IMAGES = 10_000  # of a request; no server makes as many
_COUNT_DEPTH = 4  # levels of nested fields that are searched
# Other servers' names of `n`, as `_simplify` writes them.
_COUNT_NAMES = re.compile(
    "n|num|count|number|quantity|samples|nimages|nsamples|niter|numimages|numimage|numoutputs|numsamples"
    "|numimagesperprompt|imagesperprompt|numberofimages|numberofoutputs|numberresults|imagecount|imagesnum"
    "|imagenum|samplecount|outputcount|batchsize|batchcount|maximages"
)
# Fields whose value is a word, and how many images a server makes then: Ark makes up to 15 by itself.
_COUNT_WORDS: Mapping[str, Mapping[str, int]] = {"sequentialimagegeneration": {"auto": 15}}


def read_count(value: Json) -> int | None:
    """Return the whole number from 1 that a server may read in `value`, None where there is none.

    A server may accept 3.0, "3", " 3 ", "1e2" and digits of other scripts. True is not a number here.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = value if isinstance(value, int) else float(value)
    except ValueError:
        return None
    whole = isinstance(number, int) or (math.isfinite(number) and number == int(number))
    return int(number) if whole and number >= 1 else None


def _find_counts(fields: Mapping[str, Json], depth: int = _COUNT_DEPTH) -> Iterator[int]:
    """Yield the numbers of images that `fields` name, in nested fields too."""
    for key, value in fields.items():
        name = _simplify(key)
        if _COUNT_NAMES.fullmatch(name) and (count := read_count(value)):
            yield count
        if isinstance(value, str) and (count := _COUNT_WORDS.get(name, {}).get(value.strip().lower())):
            yield count
        if depth == 1:
            continue
        nested = value
        if isinstance(value, str) and value.lstrip().startswith("{"):  # so Xinference takes further fields
            with suppress(ValueError, RecursionError):
                nested = json.loads(value)
        for part in nested if isinstance(nested, (list, tuple)) else [nested]:
            if isinstance(part, Mapping):
                yield from _find_counts(part, depth - 1)


def _simplify(key: object) -> str:
    """Return the last part of a field's name as servers compare it that ignore case and signs."""
    last = unicodedata.normalize("NFKC", str(key)).casefold().rpartition(".")[2]
    return last.replace("_", "").replace("-", "")
