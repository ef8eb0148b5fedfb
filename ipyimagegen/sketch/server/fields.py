"""The fields of a request: the table is the contract, `check_fields` applies it; and faults on request."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ipyimagegen.sketch.server.replies import HttpReply, Refusal, join_words

SHORTEST_EDGE, LONGEST_EDGE = 64, 4096
MOST_PIXELS = 16_777_216
PROMPT = 32_000  # characters
FAULTS = ("slow:SECONDS", "429", "refusal", "wrong_size", "fewer", "cut")
LONGEST_WAIT = 60.0  # seconds
KEEP_ALIVE = 4.0  # seconds between comments of a slow stream
TYPES: dict[str, tuple[Any, str]] = {
    "text": (str, "a string"),
    "choice": (str, "a string"),
    "size": (str, "a string such as '1024x1024'"),
    "integer": (int, "an integer"),
    "flag": (bool, "a boolean"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """The rule of a field: its kind (see TYPES), its default, and its choices or bounds.

    Bounds are characters of a text, values of an integer.
    """

    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None


GENERATION: Mapping[str, Field] = {
    "prompt": Field("text", "", least=1, most=PROMPT),
    "model": Field("text", "sketch"),
    "n": Field("integer", 1, least=1, most=10),
    "size": Field("size", (1024, 1024)),
    "seed": Field("integer", 0, least=-1, most=2**63 - 1),
    "quality": Field("choice", "auto", ("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd")),
    "style": Field("choice", None, ("vivid", "natural")),
    "background": Field("choice", "auto", ("auto", "opaque", "transparent")),
    "output_format": Field("choice", "png", ("png", "jpeg", "webp")),
    "output_compression": Field("integer", None, most=100),
    "moderation": Field("choice", "auto", ("auto", "low")),
    "response_format": Field("choice", "b64_json", ("b64_json", "url")),
    "user": Field("text", ""),
    "negative_prompt": Field("text", "", most=PROMPT),
    "stream": Field("flag", False),
    "partial_images": Field("integer", 0, most=3),
    "fault": Field("fault"),
}

# an edit without a size takes that of its first image
EDIT: Mapping[str, Field] = {
    **GENERATION,
    "size": Field("size"),
    "input_fidelity": Field("choice", None, ("high", "low")),
}


def check_fields(body: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return every field of the table, checked or by default; null counts as not sent. Raises Refusal."""
    for name in body:
        if name not in fields:
            raise Refusal(f"Unknown parameter: '{name[:80]}'.", param=name[:80], code="unknown_parameter")
    if body.get("prompt") is None:
        code = "missing_required_parameter"
        raise Refusal("Missing required parameter: 'prompt'.", param="prompt", code=code)
    values = {
        name: field.default if body.get(name) is None else _check(name, body[name], field)
        for name, field in fields.items()
    }
    output_format, compression = values["output_format"], values["output_compression"]
    if output_format == "png" and compression not in (None, 100):
        message = "Compression less than 100 is not supported for PNG output format"
        raise _refuse("output_compression", message)
    if output_format == "jpeg" and values["background"] == "transparent":
        raise _refuse("background", "Transparent background is not supported for JPEG output format")
    return values


def _check(name: str, value: Any, field: Field) -> Any:
    """Return the value as it is used. Raises Refusal."""
    if field.kind == "fault":
        return _check_fault(name, value)
    expected, words = TYPES[field.kind]
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is int):
        got = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
        received = got.get(type(value), "an object")
        message = f"Invalid type for '{name}': expected {words}, but got {received} instead."
        raise Refusal(message, param=name, code="invalid_type")
    if field.kind == "size":
        return field.default if value == "auto" else _check_size(name, value)
    if field.kind == "choice" and value not in field.choices:
        supported = f"Supported values are: {join_words(field.choices)}."
        raise _refuse(name, f"Invalid value: '{value[:80]}'. {supported}")
    if field.kind == "text":
        _check_text(name, value, field)
    if field.kind == "integer":
        if value < field.least:
            limit = f"Expected a value >= {field.least}."
            raise _refuse(name, f"Invalid '{name}': integer below minimum value. {limit}")
        if field.most is not None and value > field.most:
            limit = f"Expected a value <= {field.most}."
            raise _refuse(name, f"Invalid '{name}': integer above maximum value. {limit}")
    return value


def _check_text(name: str, value: str, field: Field) -> None:
    if field.most is not None and len(value) > field.most:
        limit = f"Expected at most {field.most} characters, got {len(value)}."
        raise _refuse(name, f"Invalid '{name}': string too long. {limit}")
    if field.least and not value.strip():
        raise _refuse(name, f"Invalid '{name}': empty string. Expected at least 1 character.")


def _check_size(name: str, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value, re.ASCII)
    if not match:
        message = "Expected 'auto' or WIDTHxHEIGHT, such as '1024x1024'."
        raise _refuse(name, f"Invalid value: '{value[:80]}'. {message}")
    width, height = int(match[1]), int(match[2])
    edges = min(width, height) >= SHORTEST_EDGE and max(width, height) <= LONGEST_EDGE
    if not edges or width * height > MOST_PIXELS:
        limits = f"Each edge is {SHORTEST_EDGE} to {LONGEST_EDGE} pixels, the area at most {MOST_PIXELS}."
        raise _refuse(name, f"Invalid value: '{value}'. {limits}")
    return width, height


def _refuse(name: str, message: str) -> Refusal:
    return Refusal(message, param=name, code="invalid_value")


def fit_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size nearest to that of an image that sketch draws, its ratio kept as far as possible."""
    scale = min(1.0, LONGEST_EDGE / max(size))
    scale = max(scale, min(SHORTEST_EDGE / min(size), LONGEST_EDGE / max(size)))
    width, height = (min(max(round(edge * scale), SHORTEST_EDGE), LONGEST_EDGE) for edge in size)
    return width, height


def convert_text(text: str, field: Field) -> Any:
    """Return the value of a form's text: a number or a flag where the field requires it, else the text."""
    if field.kind == "integer" and re.fullmatch(r"-?\d{1,20}", text, re.ASCII):
        return int(text)
    if field.kind == "flag":
        return {"true": True, "false": False}.get(text.lower(), text)
    return text


@dataclass(frozen=True, slots=True)
class Fault:
    """What a server does wrong on request, for lessons and tests: a name of FAULTS, "" for nothing."""

    name: str = ""
    seconds: float = 0.0

    @classmethod
    def from_text(cls, text: str) -> Fault:
        """Return the fault. Raises ValueError for an unknown fault."""
        word, _, number = text.partition(":")
        if text in FAULTS[1:]:
            return cls(text)
        seconds = float(number) if word == "slow" else math.nan
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"Invalid fault {text!r}: choose {', '.join(FAULTS)}")
        return cls(word, min(seconds, LONGEST_WAIT))

    def check_request(self) -> None:
        """Refuse what is refused before anything is drawn. Raises Refusal."""
        if self.name == "429":
            raise Refusal(
                "Rate limit reached for images per minute. Please try again in 1s.",
                status=429, kind="requests", code="rate_limit_exceeded", headers={"Retry-After": "1"},
            )  # fmt: skip
        if self.name == "refusal":
            details = {"moderation_stage": "input", "categories": ["sketch_fault"]}
            raise Refusal(
                "Your request was rejected by the safety system.",
                kind="image_generation_user_error", code="moderation_blocked",
                details={"moderation_details": details},
            )  # fmt: skip

    def wait(self, share: float = 1.0) -> Iterator[bytes]:
        """Wait a share of the time of a slow call; yield a comment of a stream every few seconds."""
        left = self.seconds * share
        while left > 0:
            threading.Event().wait(min(left, KEEP_ALIVE))
            left -= KEEP_ALIVE
            if left > 0:
                yield b": keep-alive\n\n"

    def change_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size that is drawn: half as wide if it is wrong, or twice where that is too small."""
        width, height = size
        return (width // 2 if width >= 128 else width * 2, height) if self.name == "wrong_size" else size

    def cut(self, reply: HttpReply) -> HttpReply:
        """Return the reply as it goes out; cut, it announces more bytes than follow."""
        if self.name != "cut":
            return reply
        whole = b"".join(reply.body)
        return replace(reply, body=(whole[: len(whole) // 2],), length=len(whole))


def _check_fault(name: str, value: Any) -> Fault:
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    try:
        return Fault.from_text(text)  # --set fault=429 is read as a number
    except ValueError:
        pass
    message = f"Invalid value: '{str(value)[:80]}'. Supported values are: {join_words(FAULTS)}."
    raise _refuse(name, message)
