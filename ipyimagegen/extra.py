"""Further fields of a request, as `--set key=value` and `extra` name them: sent as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from ipyimagegen.errors import InvalidOption
from ipyimagegen.options import Json

DEEPEST = 32  # lists and objects within each other
_KEY = re.compile(r"[\w.\-]{1,100}")


def check_key(key: str) -> None:
    """Raise InvalidOption when a key of `--set` or `extra` could be more than a field's name."""
    if not _KEY.fullmatch(key):
        raise InvalidOption(
            f"--set {key[:60]!r}: a key is letters, digits, _, - and dots. Write it so; nothing was sent."
        )


def check_depth(value: Json, levels: int = DEEPEST) -> None:
    """Raise InvalidOption for a value that is nested more deeply than a record keeps."""
    if not isinstance(value, (Mapping, list, tuple)):
        return
    if not levels:
        raise InvalidOption(f"--set: a value is nested deeper than {DEEPEST} levels; nothing was sent.")
    for member in value.values() if isinstance(value, Mapping) else value:
        check_depth(member, levels - 1)


def read_setting(text: str) -> tuple[str, Json]:
    """Return the key and value of `--set key=value`; the value is JSON if it is JSON.

    Raises InvalidOption. What looks like a JSON object or list and is none is refused: its quotes
    were taken off by the line, and it would reach the server as a meaningless string.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidOption(f"--set takes key=value, not {text!r}.")
    check_key(key)
    try:
        return key, json.loads(value, parse_constant=_no_constant)
    except ValueError:
        if value[:1] in ("{", "["):
            raise InvalidOption(
                f"--set {key}: {value[:60]} is no JSON. Put the whole in single quotes: "
                f"--set '{key}={{\"a\": 1}}'"
            ) from None
        return key, value


def _no_constant(word: str) -> Json:
    raise ValueError(word)  # NaN and Infinity are no JSON; they stay text
