"""The fields of a request and the rule of each: the table is the contract, `check` only applies it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ipyimagegen.sketch.server.faults import Fault
from ipyimagegen.sketch.server.replies import Refusal, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

EDGES = 64, 4096
PIXELS = 16_777_216
PROMPT = 32_000


class Rule(Protocol):
    """Turns a value from outside into the value that is used, or refuses it."""

    @property
    def default(self) -> Any:
        """The value of a field that was not sent."""

    def __call__(self, name: str, value: Any) -> Any:
        """Return the value; raise Refusal."""


def _type(name: str, value: Any, wanted: str) -> Refusal:
    got = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
    found = got.get(type(value), "an object")
    message = f"Invalid type for '{name}': expected {wanted}, but got {found} instead."
    return Refusal(message, param=name, code="invalid_type")


def _value(name: str, message: str) -> Refusal:
    return Refusal(message, param=name, code="invalid_value")


@dataclass(frozen=True, slots=True)
class Text:
    """A string, of at most `most` characters if given."""

    default: str = ""
    most: int | None = None
    empty: bool = True

    def __call__(self, name: str, value: Any) -> str:
        """Return the text."""
        if not isinstance(value, str):
            raise _type(name, value, "a string")
        if self.most is not None and len(value) > self.most:
            limit = f"Expected at most {self.most} characters, got {len(value)}."
            raise _value(name, f"Invalid '{name}': string too long. {limit}")
        if not self.empty and not value.strip():
            raise _value(name, f"Invalid '{name}': empty string. Expected at least 1 character.")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    choices: tuple[str, ...]
    default: str | None = None

    def __call__(self, name: str, value: Any) -> str:
        """Return the word."""
        if not isinstance(value, str):
            raise _type(name, value, f"one of {listed(self.choices)}")
        if value not in self.choices:
            raise _value(
                name, f"Invalid value: '{value[:80]}'. Supported values are: {listed(self.choices)}."
            )
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds; in a form it comes as digits."""

    least: int
    most: int
    default: int | None = None

    def __call__(self, name: str, value: Any) -> int:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise _type(name, value, "an integer")
        if value < self.least:
            raise _value(
                name, f"Invalid '{name}': integer below minimum value. Expected a value >= {self.least}."
            )
        if value > self.most:
            raise _value(
                name, f"Invalid '{name}': integer above maximum value. Expected a value <= {self.most}."
            )
        return value


@dataclass(frozen=True, slots=True)
class Size:
    """WIDTHxHEIGHT in pixels, or auto."""

    default: tuple[int, int] | None = (1024, 1024)

    def __call__(self, name: str, value: Any) -> tuple[int, int] | None:
        """Return width and height, the default for auto."""
        if not isinstance(value, str):
            raise _type(name, value, "a string such as '1024x1024'")
        if value == "auto":
            return self.default
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value)
        if not match:
            message = "Expected 'auto' or WIDTHxHEIGHT, such as '1024x1024'."
            raise _value(name, f"Invalid value: '{value[:80]}'. {message}")
        width, height = int(match[1]), int(match[2])
        if not all(EDGES[0] <= edge <= EDGES[1] for edge in (width, height)) or width * height > PIXELS:
            message = f"Each edge is {EDGES[0]} to {EDGES[1]} pixels, the area at most {PIXELS}."
            raise _value(name, f"Invalid value: '{value}'. {message}")
        return width, height


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false; in a form it comes as that word."""

    default: bool = False

    def __call__(self, name: str, value: Any) -> bool:
        """Return the flag."""
        if not isinstance(value, bool):
            raise _type(name, value, "a boolean")
        return value


GENERATION: Mapping[str, Rule] = {
    "prompt": Text(most=PROMPT, empty=False),
    "model": Text("sketch"),
    "n": Whole(1, 10, 1),
    "size": Size(),
    "seed": Whole(-1, 2**63 - 1, 0),
    "quality": Choice(("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"), "auto"),
    "style": Choice(("vivid", "natural")),
    "background": Choice(("auto", "opaque", "transparent"), "auto"),
    "output_format": Choice(("png", "jpeg", "webp"), "png"),
    "output_compression": Whole(0, 100),
    "moderation": Choice(("auto", "low"), "auto"),
    "response_format": Choice(("b64_json", "url"), "b64_json"),
    "user": Text(),
    "negative_prompt": Text(most=PROMPT),
    "stream": Flag(),
    "partial_images": Whole(0, 3, 0),
    "fault": Fault(),
}

# an edit that names no size takes that of its first picture
EDIT: Mapping[str, Rule] = {
    **GENERATION,
    "size": Size(None),
    "input_fidelity": Choice(("high", "low")),
}


def fitting(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size nearest to that of a picture that sketch draws, its ratio kept as far as can be."""
    low, high = EDGES
    scale = min(1.0, high / max(size))
    scale = max(scale, min(low / min(size), high / max(size)))
    width, height = (min(max(round(edge * scale), low), high) for edge in size)
    return width, height


def from_text(text: str, rule: Rule) -> Any:
    """Return what a form's text stands for: a number or flag where the rule wants one, else the text."""
    if isinstance(rule, Whole) and re.fullmatch(r"-?\d{1,20}", text, re.ASCII):
        return int(text)
    if isinstance(rule, Flag):
        return {"true": True, "false": False}.get(text.lower(), text)
    return text


def check(body: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Return every field of the table, checked or by default; a null counts as not sent. Raises Refusal."""
    for name in body:
        if name not in rules:
            raise Refusal(f"Unknown parameter: '{name[:80]}'.", param=name[:80], code="unknown_parameter")
    if body.get("prompt") is None:
        raise Refusal(
            "Missing required parameter: 'prompt'.", param="prompt", code="missing_required_parameter"
        )
    given = {
        name: rule.default if body.get(name) is None else rule(name, body[name])
        for name, rule in rules.items()
    }
    _agree(given)
    return given


def _agree(given: Mapping[str, Any]) -> None:
    """Refuse what no single field can tell."""
    kind, compression = given["output_format"], given["output_compression"]
    if kind == "png" and compression not in (None, 100):
        raise _value("output_compression", "Compression less than 100 is not supported for PNG output format")
    if kind == "jpeg" and given["background"] == "transparent":
        raise _value("background", "Transparent background is not supported for JPEG output format")
