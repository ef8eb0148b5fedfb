"""The fields of a request: fields.toml is the contract, `check_fields` applies it; and faults on request."""

from __future__ import annotations

import math
import re
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from ipyimagegen.sketch.server.replies import HttpReply, Refusal, join_words, refuse_missing, refuse_value

USUAL_SIZE = 1024, 1024
SHORTEST_EDGE, LONGEST_EDGE = 64, 4096
MOST_PIXELS = 16_777_216
FAULTS = ("slow:SECONDS", "429", "429:TIMES", "refusal", "wrong_size", "fewer", "cut")
LONGEST_WAIT = 60.0  # seconds
KEEP_ALIVE = 4.0  # seconds between comments of a slow stream
TYPES: Mapping[str, tuple[Any, str]] = {"integer": (int, "an integer"), "flag": (bool, "a boolean")}


@dataclass(frozen=True, slots=True)
class Field:
    """The rule of a field, as fields.toml explains it; `kind`: text, choice, size, fault, or one of TYPES."""

    kind: str
    default: Any = None
    choices: tuple[str, ...] = ()
    least: int = 0
    most: float = math.inf
    edit: bool = False


_TABLE = tomllib.loads(files(__package__).joinpath("fields.toml").read_text(encoding="utf-8"))
EDIT = {name: Field(**row) for name, row in _TABLE["fields"].items()}
GENERATION = {name: field for name, field in EDIT.items() if not field.edit}


def find_model_row(model: str) -> Mapping[str, Any] | None:
    """Return what is known of a model of OpenAI's, None for another."""
    rows = _TABLE["models"]
    row = next((row for name, row in rows.items() if model.startswith(name)), None)
    return row and {**rows.get(row.get("base"), {}), **row}


def check_fields(body: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return every field of the table, checked or by default; null counts as not sent. Raises Refusal.

    A field that the model does not have is refused, as OpenAI does.
    """
    row = find_model_row(str(body.get("model"))) or {}
    for name in body:
        if name not in fields or name in row.get("refused", ()):
            known = name in fields and name == "input_fidelity"
            code = "invalid_input_fidelity_model" if known else "unknown_parameter"
            raise refuse_value(name[:80], f"Unknown parameter: '{name[:80]}'.", code)
    if body.get("prompt") is None:
        raise refuse_missing("prompt")
    fields = {name: replace(field, **row.get(name, {})) for name, field in fields.items()}
    values = {
        name: field.default if body.get(name) is None else _check(name, body[name], field)
        for name, field in fields.items()
    }
    _check_format(values, {name for name, value in body.items() if value is not None})
    return values


def _check_format(values: Mapping[str, Any], sent: set[str]) -> None:
    """Raise Refusal for what the format does not support; `sent` are the fields that are not by default."""
    output_format = values["output_format"]
    if output_format in {"png", "gif"} and values["output_compression"] not in (None, 100):
        message = f"Compression less than 100 is not supported for {output_format.upper()} output format"
        raise refuse_value("output_compression", message)
    if output_format in {"jpeg", "gif"} and values["background"] == "transparent":
        message = f"Transparent background is not supported for {output_format.upper()} output format"
        raise refuse_value("background", message)
    if output_format == "gif" and values["stream"]:
        raise refuse_value("stream", "Streaming is not supported for GIF output format")
    for name in sorted({"frame_count", "frame_duration_ms"} & sent) if output_format != "gif" else ():
        raise refuse_value(name, f"'{name}' is only supported for GIF output format")


def _check(name: str, value: Any, field: Field) -> Any:
    """Return the value as it is used. Raises Refusal."""
    if field.kind == "fault":
        return _check_fault(name, value)
    expected, words = TYPES.get(field.kind, (str, "a string"))
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is int):
        got = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
        received = got.get(type(value), "an object")
        message = f"Invalid type for '{name}': expected {words}, but got {received} instead."
        raise refuse_value(name, message, "invalid_type")
    if field.kind == "size":
        return None if value == "auto" else _check_size(name, value)
    if field.kind == "choice" and value not in field.choices:
        supported = f"Supported values are: {join_words(field.choices)}."
        raise refuse_value(name, f"Invalid value: '{value[:80]}'. {supported}")
    if field.kind == "text":
        _check_text(name, value, field)
    if field.kind == "integer" and value < field.least:
        limit = f"Expected a value >= {field.least}."
        raise refuse_value(name, f"Invalid '{name}': integer below minimum value. {limit}")
    if field.kind == "integer" and value > field.most:
        limit = f"Expected a value <= {field.most}."
        raise refuse_value(name, f"Invalid '{name}': integer above maximum value. {limit}")
    return value


def _check_text(name: str, value: str, field: Field) -> None:
    if len(value) > field.most:
        limit = f"Expected at most {field.most} characters, got {len(value)}."
        raise refuse_value(name, f"Invalid '{name}': string too long. {limit}")
    if field.least and not value.strip():
        raise refuse_value(name, f"Invalid '{name}': empty string. Expected at least 1 character.")


def _check_size(name: str, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", value, re.ASCII)
    if not match:
        message = "Expected 'auto' or WIDTHxHEIGHT, such as '1024x1024'."
        raise refuse_value(name, f"Invalid value: '{value[:80]}'. {message}")
    width, height = int(match[1]), int(match[2])
    edges = min(width, height) >= SHORTEST_EDGE and max(width, height) <= LONGEST_EDGE
    if not edges or width * height > MOST_PIXELS:
        limits = f"Each edge is {SHORTEST_EDGE} to {LONGEST_EDGE} pixels, the area at most {MOST_PIXELS}."
        raise refuse_value(name, f"Invalid value: '{value}'. {limits}")
    return width, height


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
    """What a server does wrong on request, for lessons and tests: a name of FAULTS, "" for nothing.

    `times` is how often a call is refused with 429 before it succeeds.
    """

    name: str = ""
    seconds: float = 0.0
    times: float = math.inf

    @classmethod
    def from_text(cls, text: str) -> Fault:
        """Return the fault. Raises ValueError for an unknown fault."""
        word, _, number = text.partition(":")
        if text in FAULTS and ":" not in text:
            return cls(text)
        if re.fullmatch("429:[1-9][0-9]?", text):
            return cls(word, times=int(number))
        seconds = float(number) if word == "slow" else math.nan
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"Invalid fault {text!r}: choose {', '.join(FAULTS)}")
        return cls(word, min(seconds, LONGEST_WAIT))

    def check_request(self, count_before: Callable[[], int]) -> None:
        """Refuse what is refused before anything is drawn. Raises Refusal.

        `count_before` returns how often the same call has come before.
        """
        if self.name == "429" and (self.times == math.inf or count_before() % (self.times + 1) < self.times):
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
    raise refuse_value(name, message)
