"""What the words of `--image` and `--mask` stand for: an id, an address, a variable, a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.ids import parse_id as read_id
from ipyimagegen.core.options import DEFAULT, INPUTS
from ipyimagegen.core.template import Name, fill, lookup, parse, suggest_variable
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import InputRef, InputRefs
from ipyimagegen.session.inputs import ADDRESS, BOX, exists

_NUMBER = re.compile(r"-?\d+(\.\d+)?|\d{4}-[a-z0-9]{4}/\d+(\.\d+)?")
_FIRST = re.compile(r"[^\W\d]\w*")


def resolve_arguments(words: Mapping[str, tuple[str, ...]], names: Mapping[str, Any]) -> InputRefs:
    """Return the images that the words stand for; `default` stands for none. Raises InvalidInput."""
    return {
        name: tuple(resolve_argument(one, names, INPUTS[name].flag) for one in some if one != DEFAULT)
        for name, some in words.items()
    }


def resolve_argument(text: str, names: Mapping[str, Any], flag: str) -> InputRef:
    """Return what one word stands for. What could be a variable and a file is refused: InvalidInput."""
    parts = parse(text.strip())
    if len(parts) == 1 and isinstance(parts[0], Name) and not (parts[0].spec or parts[0].conversion):
        return InputRef(lookup(parts[0].path, names), parts[0].path)
    filled = any(isinstance(one, Name) for one in parts)
    text = fill(parts, names).strip() if filled else text.strip()
    if text.startswith("@"):
        return InputRef(read_id(text), text)
    if ADDRESS.match(text):
        return InputRef(text, "the address")
    if flag == "--mask" and BOX.fullmatch(text):
        return InputRef(text, "the box")
    if filled:  # what was filled in is not read a second time as a variable
        return InputRef(Path(text).expanduser(), truncate(text, 60))
    return _variable_or_file(text, names, flag)


def _variable_or_file(text: str, names: Mapping[str, Any], flag: str) -> InputRef:
    path = Path(text).expanduser()
    variable = _variable(text, names)
    if variable and exists(path):
        both = f"{flag} {text} is a variable and a file"
        raise InvalidInput(f"{both}: write {{{text}}} for the variable, ./{text} for the file.")
    if variable:
        return InputRef(lookup(variable, names), variable)
    if not exists(path) and (problem := _slip(text, names, flag)):
        raise InvalidInput(f"{flag} {truncate(text, 60)}: {problem} Nothing was sent.")
    return InputRef(path, truncate(text, 60))


def _slip(text: str, names: Mapping[str, Any], flag: str) -> str:
    """Return what was meant by a word that is neither a variable nor a file, if that can be told."""
    if _NUMBER.fullmatch(text):
        return f"an image of the history is written @{text}."
    if _FIRST.fullmatch(text):
        return f"there is neither a variable nor a file of that name.{suggest_variable(text, names)}"
    if "," in text and flag == "--mask":
        return "a box is four whole numbers without blanks, such as --mask 10,20,30,40."
    first = _FIRST.match(text.lstrip("{"))
    if first and first[0] in names:
        return "only names, dots and [index] are read here; assign it to a variable first."
    return "write --image once for each image." if "," in text else ""


def _variable(text: str, names: Mapping[str, Any]) -> str | None:
    """Return the text when it is written like a variable, and the first name in it is one."""
    parts = parse("{" + text + "}")
    written = len(parts) == 1 and isinstance(parts[0], Name) and parts[0].path == text
    first = _FIRST.match(text)
    return text if written and first and first[0] in names else None
