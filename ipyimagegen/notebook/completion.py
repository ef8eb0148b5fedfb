"""Completion in magic lines: options, values, models, endpoints, ids and variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from ipyimagegen import catalog, imaging
from ipyimagegen.core.errors import ImagineError
from ipyimagegen.core.options import Kind
from ipyimagegen.notebook.fronts import BY_FLAG, HELP, NEGATED, SETTING
from ipyimagegen.notebook.help_text import PAGES
from ipyimagegen.notebook.parser import NOTHING
from ipyimagegen.notebook.tokenizer import write_word
from ipyimagegen.session.inputs import SUFFIXES
from ipyimagegen.session.studio import Studio

_MAGIC = re.compile(r"(?:^|=)\s*%%?(imagine(?:_\w+)?)\s+(.*)$")
_BODY = re.compile(r"\s*%%imagine(?:_rerun)?\b")
_OPEN_BRACE = re.compile(r"\{([^\W\d]\w*)?$")


def complete(until: str, whole: str, studio: Studio, names: Mapping[str, Any]) -> tuple[str, list[str], bool]:
    """Return the fragment before the cursor, what it may become, and whether the line is ours.

    `until` is the text before the cursor, `whole` the whole cell.
    """
    line = until.rpartition("\n")[2]
    magic = _MAGIC.search(line)
    if (magic or _BODY.match(whole)) and (brace := _OPEN_BRACE.search(line)):
        fragment = brace[1] or ""
        candidates = _filter(fragment, (name for name in names if name[0] != "_"))
        return fragment, candidates, bool(magic or candidates)
    if not magic:
        return "", [], False
    fragment, words = _complete_word(magic[1], magic[2], studio, names)
    return fragment, _filter(fragment, words), True


def _complete_word(
    magic: str, line: str, studio: Studio, names: Mapping[str, Any]
) -> tuple[str, Iterable[str]]:
    """Return the last word of a line, as far as it is completed, and its candidates."""
    page = PAGES.get(magic)
    *before, fragment = re.split(r"\s+", line)
    flag, equals, value = fragment.partition("=")
    words = "endpoints" if "--server" in (*before, flag) else page.words if page else ""
    if equals and flag == "--server":
        return value, _list_names(words, studio)
    if not (equals and flag in BY_FLAG):
        if fragment.startswith("-"):
            options = [*BY_FLAG, *NEGATED, SETTING] if page and page.options else []
            return fragment, [*options, *(page.own if page else ()), *HELP]
        flag, value = before[-1] if before else "", fragment
        if flag not in BY_FLAG or BY_FLAG[flag].kind is Kind.FLAG:
            return fragment, _list_names(words, studio)
    if BY_FLAG[flag].lists:
        value = value.rpartition(",")[2]
    return value, list_values(flag, studio, names, value)


def _filter(fragment: str, candidates: Iterable[str]) -> list[str]:
    return sorted({candidate for candidate in candidates if candidate.startswith(fragment)})


def list_values(
    flag: str, studio: Studio, names: Mapping[str, Any] = NOTHING, fragment: str = ""
) -> list[str]:
    """Return the values of an option: models, endpoints, its choices, or ids, variables and image files."""
    option = BY_FLAG[flag]
    if option.name in ("model", "endpoint"):
        return _list_names(f"{option.name}s", studio)
    if option.kind is Kind.OBJECT:
        return [name for name, value in names.items() if name[0] != "_" and hasattr(value, "submit")]
    if option.kind is Kind.INPUT:
        variables = [name for name, value in names.items() if _may_be_image(name, value)]
        return [*(f"@{number}" for number in _list_names("ids", studio)), *variables, *_list_files(fragment)]
    return list(option.choices)


def _list_names(kind: str, studio: Studio) -> list[str]:
    """Return the names of a kind of words: ids, models or endpoints."""
    match kind:
        case "ids":
            return [str(number) for number, _run in studio.ledger.numbered()]
        case "models":
            return [model.name for model in catalog.load_models()]
        case "endpoints":
            with suppress(ImagineError):  # the next cell reports a bad setting
                return [endpoint.name for endpoint in studio.registry]
    return []


def _list_files(fragment: str) -> list[str]:
    """Return the image files and folders whose path begins like that; none before a letter is typed."""
    if not fragment or fragment[0] in "@{":
        return []
    folder, name = os.path.split(fragment)
    try:
        paths = sorted(imaging.expand_path(folder or ".").iterdir())
    except OSError:
        return []
    paths = [path for path in paths if path.name.startswith(name) and not path.name.startswith(".")]
    prefix = fragment.removesuffix(name)  # as typed: "./" and "~" stay
    return [
        write_word(f"{prefix}{path.name}{'/' if path.is_dir() else ''}")
        for path in paths
        if path.is_dir() or path.suffix.lower() in SUFFIXES
    ]


def _may_be_image(name: str, value: object) -> bool:
    """Return whether a variable is worth offering: no module, function, number or name of IPython's."""
    if name.startswith("_") or name in ("In", "Out") or callable(value):
        return False
    return not isinstance(value, (ModuleType, int, float, complex))
