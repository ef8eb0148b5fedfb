"""What the words of `--image` and `--mask` stand for: an id, a URL, a variable or a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.messages import Message, OptionName, _
from ipyimagegen.core.options import DEFAULT, INPUTS
from ipyimagegen.core.run import parse_id
from ipyimagegen.core.template import Name, fill, lookup, parse, suggest_variable
from ipyimagegen.core.text import truncate
from ipyimagegen.core.user_input import InputRef, InputRefs
from ipyimagegen.notebook.front import BY_FLAG
from ipyimagegen.session.inputs import ADDRESS, BOX, exists

_SHOWN = 60  # characters of a word
_ID = re.compile(r"-?\d+(\.\d+)?|\d{4}-[a-z0-9]{4}/\d+(\.\d+)?")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")


def resolve_arguments(words: Mapping[str, tuple[str, ...]], names: Mapping[str, Any]) -> InputRefs:
    """Return the images that the words stand for; `default` stands for none. Raises InvalidInput."""
    return {
        name: tuple(
            resolve_argument(word, names, INPUTS[name].flag) for word in option_words if word != DEFAULT
        )
        for name, option_words in words.items()
    }


def resolve_argument(text: str, names: Mapping[str, Any], flag: str) -> InputRef:
    """Return the image that a word stands for.

    Raises InvalidInput for a word that could be both a variable and a file, or is neither.
    """
    text = text.strip()
    parts = parse(text)
    if len(parts) == 1 and isinstance(parts[0], Name) and not (parts[0].spec or parts[0].conversion):
        return InputRef(lookup(parts[0].path, names), parts[0].path)
    has_names = any(isinstance(part, Name) for part in parts)
    if has_names:
        text = fill(parts, names).strip()
    if text.startswith("@"):
        return InputRef(parse_id(text), text)
    if ADDRESS.match(text):
        return InputRef(text, _("the URL"))
    if flag == INPUTS["mask"].flag and BOX.fullmatch(text):
        return InputRef(text, _("the box"))
    if has_names:  # a value that was filled in is never read as a variable
        return InputRef(Path(text).expanduser(), truncate(text, _SHOWN))
    return _find_variable_or_file(text, names, flag)


def _find_variable_or_file(text: str, names: Mapping[str, Any], flag: str) -> InputRef:
    path, option = Path(text).expanduser(), OptionName(BY_FLAG[flag].name)
    if _is_variable(text, names):
        if exists(path):
            raise InvalidInput(
                _(
                    "{option} {text} is a variable and a file. Write {variable} for the variable, "
                    "{path} for the file. Nothing was sent.",
                    option=option,
                    text=text,
                    variable=f"{{{text}}}",
                    path=f"./{text}",
                )
            )
        return InputRef(lookup(text, names), text)
    if not exists(path) and (problem := _explain(text, names, flag)):
        shown = truncate(text, _SHOWN)
        raise InvalidInput(
            _("{option} {text}: {problem} Nothing was sent.", option=option, text=shown, problem=problem)
        )
    return InputRef(path, truncate(text, _SHOWN))


def _explain(text: str, names: Mapping[str, Any], flag: str) -> Message | None:
    """Return what is wrong with a word that is neither a variable nor a file, if that is clear."""
    if _ID.fullmatch(text):
        return _("write {id} for an image of the history.", id=f"@{text}")
    if _IDENTIFIER.fullmatch(text):
        suggestion = suggest_variable(text, names)
        return _("no variable and no file has that name.{suggestion}", suggestion=suggestion)
    if "," in text and flag == INPUTS["mask"].flag:
        box = OptionName("mask", "10,20,30,40")
        return _("a box is four whole numbers without blanks, such as {box}.", box=box)
    first = _IDENTIFIER.match(text.lstrip("{"))
    if first and first[0] in names:
        return _("only names, dots and [index] are supported. Assign the value to a variable first.")
    return _("write {option} once for each image.", option=OptionName("image")) if "," in text else None


def _is_variable(text: str, names: Mapping[str, Any]) -> bool:
    """Return whether the text is written like a variable whose first name exists."""
    parts = parse("{" + text + "}")
    first = _IDENTIFIER.match(text)
    is_name = len(parts) == 1 and isinstance(parts[0], Name) and parts[0].path == text
    return is_name and first is not None and first[0] in names
