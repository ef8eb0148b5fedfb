"""THE table of options: each is declared here, once.

Everything else is a projection of this table: validation (`normalise`), the magics' arguments,
`%config Imagine`, the wire's field names, completion, the README's table. What a particular
model or server allows is not said here: that is a row in the catalog.

Two classes hold the two kinds of options: `SentOptions` (they go on the wire, and only when set) and
`LocalOptions` (they never leave this machine). Unset is None; the word `default` unsets what is configured.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeAlias

from ipyimagegen.core.errors import InvalidOption, suggest_name
from ipyimagegen.core.text import truncate

Json: TypeAlias = Any
Value: TypeAlias = str | int | float | bool
Values: TypeAlias = Value | tuple[Value, ...]  # a tuple is a sweep: one run for each

DEFAULT = "default"
SIZE_WORDS = ("auto", "square", "landscape", "portrait")


class Kind(StrEnum):
    """What a value looks like; decides how it is read and refused."""

    TEXT = "text"
    NAME = "name"  # text that may stand in a list, such as a model
    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"  # one of `choices`
    WORD = "word"  # like a choice, but servers have words of their own: `choices` are suggestions
    SIZE = "size"
    RATIO = "ratio"
    FLAG = "flag"
    INPUT = "input"  # an image: an id, URL, variable or path
    OBJECT = "object"  # a variable, taken as it is


@dataclass(frozen=True, kw_only=True)
class Option:
    """What is declared of one option.

    `low` and `high` bound numbers (inclusive). `short` is a one-letter flag. `identity` says whether
    two requests that differ in this option alone are different requests. `config` says whether
    `%config Imagine` has it as a default. `dear` says how dear it is to change between two calls, such
    as a model that a server has to load: the dearest axis of a sweep is the outer one.
    """

    name: str = ""
    help: str
    kind: Kind
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    short: str = ""
    metavar: str = ""
    identity: bool = True
    config: bool = True
    repeats: bool = False
    sent: bool = False
    dear: int = 1

    @property
    def flag(self) -> str:
        """The long flag, as `--aspect-ratio`."""
        return "--" + self.name.rstrip("_").replace("_", "-")

    @property
    def lists(self) -> bool:
        """Whether a value may be a list, one run for each element."""
        alone = (Kind.TEXT, Kind.INPUT, Kind.FLAG, Kind.OBJECT)
        return self.kind not in alone and (self.sent or self.kind is Kind.NAME)


def _option(**declared: Any) -> Any:
    return field(default=None, metadata={"option": Option(**declared)})


@dataclass(frozen=True, kw_only=True)
class SentOptions:
    """The options that go on the wire, under the API's own names, and only when set."""

    model: str | None = _option(kind=Kind.NAME, short="-m", help="model to ask", metavar="NAME", dear=4)
    size: str | None = _option(
        kind=Kind.SIZE,
        choices=SIZE_WORDS,
        help="WIDTHxHEIGHT in pixels, or auto, square, landscape, portrait",
        metavar="WxH",
        dear=3,
    )
    aspect_ratio: str | None = _option(
        kind=Kind.RATIO,
        choices=("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9"),
        help="width to height; becomes the nearest size where a server takes only sizes",
        metavar="W:H",
        dear=3,
    )
    n: int | None = _option(
        kind=Kind.INTEGER, low=1, high=128, short="-n", help="images in one call", metavar="N"
    )
    seed: int | None = _option(
        kind=Kind.INTEGER,
        low=-1,
        high=2**63 - 1,
        dear=0,
        help="same seed, same image, where the server honours it; -1 is random",
        metavar="N",
    )
    quality: str | None = _option(
        kind=Kind.WORD,
        choices=("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"),
        help="effort, and price",
    )
    style: str | None = _option(
        kind=Kind.WORD, choices=("vivid", "natural"), help="look of the image (dall-e-3, sketch)"
    )
    background: str | None = _option(
        kind=Kind.CHOICE, choices=("auto", "transparent", "opaque"), help="behind the subject"
    )
    output_format: str | None = _option(
        kind=Kind.CHOICE, choices=("png", "jpeg", "webp"), help="file format of the images"
    )
    output_compression: int | None = _option(
        kind=Kind.INTEGER, low=0, high=100, help="0 to 100, for jpeg and webp", metavar="N"
    )
    moderation: str | None = _option(
        kind=Kind.CHOICE, choices=("auto", "low"), help="how strictly the server filters"
    )
    response_format: str | None = _option(
        kind=Kind.CHOICE,
        choices=("b64_json", "url"),
        identity=False,
        help="how the server hands images over; both are stored alike",
    )
    input_fidelity: str | None = _option(
        kind=Kind.CHOICE, choices=("low", "high"), help="how closely an edit keeps to its input"
    )
    negative_prompt: str | None = _option(
        kind=Kind.TEXT, help="what should not be in the image", metavar="TEXT"
    )
    guidance_scale: float | None = _option(
        kind=Kind.NUMBER, low=0, high=100, help="how closely to follow the prompt", metavar="X"
    )
    watermark: bool | None = _option(kind=Kind.FLAG, help="the server's visible watermark")
    stream: bool | None = _option(kind=Kind.FLAG, identity=False, help="show partial images while waiting")
    partial_images: int | None = _option(
        kind=Kind.INTEGER,
        low=0,
        high=3,
        identity=False,
        help="how many partial images; implies --stream",
        metavar="N",
    )
    user: str | None = _option(
        kind=Kind.TEXT, identity=False, help="an end user's id, for the server's own statistics", metavar="ID"
    )


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """Images that go with the prompt; they turn the call into an edit. Only their words are read here."""

    image: str | None = _option(
        kind=Kind.INPUT,
        repeats=True,
        config=False,
        help="image to edit: @ID, variable, path or URL; repeatable",
        metavar="X",
    )
    mask: str | None = _option(
        kind=Kind.INPUT, config=False, help="where to edit: an image, or x,y,w,h", metavar="X"
    )


@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    """The options that stay here."""

    endpoint: str | None = _option(
        kind=Kind.NAME,
        help="server to ask: a name of %imagine_endpoints, or a base URL",
        metavar="NAME|URL",
        dear=5,
    )
    as_: str | None = _option(
        kind=Kind.TEXT, config=False, help="variable to bind the result to", metavar="NAME"
    )
    save: str | None = _option(
        kind=Kind.TEXT, config=False, help="file to save to, such as out/{model}-{index}", metavar="PATH"
    )
    new: bool | None = _option(
        kind=Kind.FLAG, config=False, help="ask again, and pay again, though the result is stored"
    )
    retry: bool | None = _option(
        kind=Kind.FLAG, config=False, help="ask again what has an unknown outcome and may have been billed"
    )
    offline: bool | None = _option(
        kind=Kind.FLAG, config=False, help="only the store, sketch and this machine"
    )
    dry_run: bool | None = _option(
        kind=Kind.FLAG, config=False, help="show the request and what it may cost; send nothing"
    )
    timeout: float | None = _option(
        kind=Kind.NUMBER, low=0.1, high=86400, help="seconds the cell waits for", metavar="SECONDS"
    )
    executor: object = _option(
        kind=Kind.OBJECT,
        config=False,
        help="run the calls on this concurrent.futures.Executor, such as a cluster's",
        metavar="NAME",
    )
    send_key: bool | None = _option(
        kind=Kind.FLAG, config=False, help="let the key travel to where the executor runs the calls"
    )
    raw: bool | None = _option(kind=Kind.FLAG, config=False, help="send the prompt as typed, braces and all")


def _declared(table: type, *, sent: bool) -> dict[str, Option]:
    found = {}
    for one in fields(table):
        assert one.default is not MISSING  # unset is None, for every option
        declared: Option = one.metadata["option"]
        found[one.name] = Option(**{**vars(declared), "name": one.name, "sent": sent})
    return found


SENT: Mapping[str, Option] = _declared(SentOptions, sent=True)
INPUTS: Mapping[str, Option] = _declared(InputOptions, sent=True)
LOCAL: Mapping[str, Option] = _declared(LocalOptions, sent=False)
OPTIONS: Mapping[str, Option] = {**SENT, **INPUTS, **LOCAL}

# Full-width forms and curly quotes that Chinese keyboards and editors put where ASCII is meant.
_AS_MEANT = str.maketrans("０１２３４５６７８９：×ｘＸ，．｜＝－＊", "0123456789:xxX,.|=-*", "“”‘’")
_SIZE = re.compile(r"\s*(\d{1,6})\s*[xX*]\s*(\d{1,6})\s*")
_TIER = re.compile(r"\d{1,2}[kK]")
_RATIO = re.compile(r"\s*(\d{1,5}(?:\.\d+)?)\s*:\s*(\d{1,5}(?:\.\d+)?)\s*")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def to_half_width(text: str) -> str:
    """Return `text` with full-width digits and signs, and curly quotes, as ASCII."""
    return text.translate(_AS_MEANT)


def parse_size(text: str) -> tuple[int, int] | None:
    """Return width and height of `WIDTHxHEIGHT` in pixels; None for anything else, such as a word or `2K`."""
    match = _SIZE.fullmatch(to_half_width(text))
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    return (width, height) if width and height else None


def find_option(name: str) -> Option:
    """Return the option of that snake_case name.

    Raises InvalidOption, naming the nearest right one.
    """
    if name in OPTIONS:
        return OPTIONS[name]
    raise InvalidOption(f"There is no option {name!r}.{suggest_name(name, OPTIONS)}")


def normalise(name: str, value: object) -> Value:
    """Return `value` as option `name` keeps it: the one check of syntax, for every door.

    Raises InvalidOption with the option, the value and the right ones. `default` comes back as is.
    """
    option = find_option(name)
    if isinstance(value, str):
        text = value if option.kind in (Kind.TEXT, Kind.INPUT) else to_half_width(value).strip()
        if text == DEFAULT:
            return DEFAULT
        return _READ[option.kind](option, text)
    if isinstance(value, (list, tuple)):
        raise InvalidOption(f"{option.flag} takes one value in this place, not a list.")
    return _check_python(option, value)


def _check_python(option: Option, value: object) -> Value:
    if option.kind is Kind.FLAG:
        if isinstance(value, bool):
            return value
    elif option.kind in (Kind.INTEGER, Kind.NUMBER) and not isinstance(value, bool):
        # NumPy's numbers are numbers here, and are kept as Python's own.
        if hasattr(value, "__index__"):
            return _bounded(option, value.__index__())
        if hasattr(value, "__float__") and option.kind is Kind.NUMBER:
            return _bounded(option, float(value))
    elif option.kind in (Kind.SIZE, Kind.RATIO) and not isinstance(value, (bool, int, float, bytes)):
        return _READ[option.kind](option, str(value))
    kind, given = type(value).__name__, repr(value)
    shown = f"{given} ({kind})" if isinstance(value, (int, float)) and len(given) < 24 else kind
    raise InvalidOption(f"{option.flag} takes {_article(option)}, not {shown}.")


def _article(option: Option) -> str:
    nouns = {
        Kind.INTEGER: "a whole number",
        Kind.NUMBER: "a number",
        Kind.FLAG: "True or False",
        Kind.SIZE: "one text such as '1024x1024'",  # not a pair of numbers, which is a list
    }
    return nouns.get(option.kind, f"text such as {option.choices[0]!r}" if option.choices else "text")


def _read_text(option: Option, text: str) -> str:
    if not text.strip():
        raise InvalidOption(f"{option.flag} is empty.")
    if option.name == "as_" and (not text.isidentifier() or keyword.iskeyword(text)):
        raise InvalidOption(f"--as takes a variable name, not {text!r}.")
    if option.kind is not Kind.INPUT and _BREAKS.search(text):
        raise InvalidOption(f"{option.flag} contains a line break or control character. {_ONE_LINE}")
    return text


def _read_word(option: Option, text: str) -> str:
    known = _read_text(option, text).lower()
    return known if known in option.choices else text


def _read_choice(option: Option, text: str) -> str:
    if text.lower() in option.choices:
        return text.lower()
    raise InvalidOption(
        f"{option.flag} {text!r} is none of {', '.join(option.choices)}.{suggest_name(text, option.choices)}"
    )


def _read_number(option: Option, text: str) -> int | float:
    try:
        number = float(text) if option.kind is Kind.NUMBER else int(text)
    except ValueError:
        lists = " Lists are written 1,2,3 and 1..4 in a cell, and [1, 2] in a variable or in Python."
        hint = lists if option.lists else ""
        raise InvalidOption(f"{option.flag} takes {_article(option)}, not {text!r}.{hint}") from None
    return _bounded(option, number)


def _plain(bound: float) -> str:
    return f"{bound:,.0f}" if bound == int(bound) else f"{bound:g}"


def _bounded(option: Option, number: float) -> int | float:
    low, high = option.low, option.high
    assert low is not None  # every number is declared with its bounds
    assert high is not None
    if low <= number <= high:  # not so for what is not a number
        return float(number) if option.kind is Kind.NUMBER else number
    given = str(number) if len(str(number)) < 24 else "That number"
    raise InvalidOption(f"{option.flag}: {given} is outside {_plain(low)} to {_plain(high)}.")


def _read_size(option: Option, text: str) -> str:
    if text.lower() in SIZE_WORDS:
        return text.lower()
    if _TIER.fullmatch(text):
        return text.upper()  # Seedream's "2K"
    if pixels := parse_size(text):
        return f"{pixels[0]}x{pixels[1]}"
    is_ratio = _RATIO.fullmatch(text)
    hint = " For a ratio there is --aspect-ratio." if is_ratio else suggest_name(text, SIZE_WORDS)
    raise InvalidOption(
        f"{option.flag} {text!r} is no size: WIDTHxHEIGHT such as 1024x1024, "
        f"or {', '.join(SIZE_WORDS)}.{hint}"
    )


def _read_ratio(option: Option, text: str) -> str:
    found = _RATIO.fullmatch(text)
    if found and float(found[1]) and float(found[2]):
        return f"{_shortest(found[1])}:{_shortest(found[2])}"
    hint = " For pixels there is --size." if parse_size(text) else ""
    raise InvalidOption(f"{option.flag} {text!r} is no ratio such as 16:9.{hint}")


def _shortest(number: str) -> str:
    """Return a number without zeros that say nothing: 9.50 is 9.5, 99999.99 stays."""
    whole, _, part = number.partition(".")
    part = "".join(str(int(digit)) for digit in part).rstrip("0")
    return f"{int(whole)}.{part}" if part else f"{int(whole)}"


def _read_flag(option: Option, text: str) -> bool:
    if text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    raise InvalidOption(f"{option.flag} takes no value, or =true, =false, =default; not {text!r}.")


def _read_object(option: Option, text: str) -> Value:
    raise InvalidOption(f"{option.flag} takes a variable, not the text {text[:40]!r}.")


_READ = {
    Kind.TEXT: _read_text,
    Kind.NAME: _read_text,
    Kind.INPUT: _read_text,
    Kind.WORD: _read_word,
    Kind.CHOICE: _read_choice,
    Kind.INTEGER: _read_number,
    Kind.NUMBER: _read_number,
    Kind.SIZE: _read_size,
    Kind.RATIO: _read_ratio,
    Kind.FLAG: _read_flag,
    Kind.OBJECT: _read_object,
}


_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ONE_LINE = "Write it on one line; nothing was sent."


MOST = 10_000  # runs of one sweep, and values of one option
_RANGE = re.compile(r"\s*(-?\d{1,19})\s*\.\.\s*(-?\d{1,19})\s*")


def list_elements(thing: Any) -> list[Any] | None:
    """Return the elements of a list, tuple, range, one-dimensional array or series, else None."""
    if isinstance(thing, (list, tuple, range)):
        return list(thing[: MOST + 1])
    if not hasattr(thing, "tolist"):
        return None
    with suppress(Exception):  # what has no first elements is small, or no list
        thing = thing[: MOST + 1]
    told = thing.tolist()
    return told if isinstance(told, list) else None


def read_values(name: str, thing: object) -> Values:
    """Return what code gave for option `name`: one value, or several of a list. Raises InvalidOption."""
    several = list_elements(thing) if find_option(name).lists else None
    return normalise(name, thing) if several is None else normalise_all(name, several)


def parse_values(name: str, pieces: Sequence[str], value: Callable[[str], object] = str) -> Values:
    """Return what was typed for option `name`, split at commas; `1..4` counts. Raises InvalidOption.

    `value` returns what a piece stands for, such as the list that a variable holds. That is never looked
    at again: only what was typed is a range.
    """
    found: list[object] = []
    alone = len(pieces) == 1
    for piece in pieces:
        meant = value(piece)
        if (several := list_elements(meant)) is not None:
            alone = False
            found += several
        else:
            found += expand_range(name, piece) if meant == piece else [meant]
        if len(found) > MOST:
            raise InvalidOption(
                f"{find_option(name).flag} has more than {MOST:,} values; nothing was sent. Give fewer."
            )
    return normalise(name, found[0]) if alone and len(found) == 1 else normalise_all(name, found)


def normalise_all(name: str, several: Sequence[object]) -> tuple[Value, ...]:
    """Return the elements of a list, each as option `name` keeps it. Raises InvalidOption."""
    flag = find_option(name).flag
    if not several:
        raise InvalidOption(f"{flag} is an empty list; nothing was sent.")
    if len(several) > MOST:
        raise InvalidOption(f"{flag} has more than {MOST:,} values; nothing was sent. Give fewer.")
    if any(isinstance(one, str) and not one.strip() for one in several):
        raise InvalidOption(
            f"{flag}: the list has an empty place. Write it without blanks: 1,2,3 or low,high."
        )
    return tuple(normalise(name, one) for one in several)


def expand_range(name: str, piece: str) -> Iterator[object]:
    """Yield what one piece of a typed list stands for: itself, or the whole numbers of `1..4`."""
    found = (
        _RANGE.fullmatch(to_half_width(piece))
        if find_option(name).kind in (Kind.INTEGER, Kind.NUMBER)
        else None
    )
    if found is None:
        yield piece
        return
    first, last = int(found[1]), int(found[2])
    if abs(last - first) >= MOST:
        given = f"{find_option(name).flag} {truncate(piece, 40)}"
        raise InvalidOption(f"{given} has more than {MOST:,} values; nothing was sent. Give fewer.")
    yield from range(first, last + 1) if first <= last else range(first, last - 1, -1)
