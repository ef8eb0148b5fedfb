"""Further fields of a request, as `--set key=value` and `extra` name them: sent as they are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.options import Json

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
