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
from ipyimagegen.notebook.tokenizer import QUOTES, write_word
from ipyimagegen.results import Generation, Image, Pending, Sweep
from ipyimagegen.session.inputs import SUFFIXES
from ipyimagegen.session.studio import Studio

_MAGIC = re.compile(r"(?:^|=)\s*%%?(imagine(?:_\w+)?)\s+(.*)$")
_BODY = re.compile(r"\s*%%imagine(?:_rerun)?\b")
_LASTING = re.compile(r"\d{2}")  # the beginning of a lasting id
_RECENT = 100  # runs whose lasting ids are offered
_VALUES = ("--session",)  # flags whose value may be left out
_WORD = re.compile(r"""(?:"[^"]*(?:"|$)|'[^']*(?:'|$)|[^\s"'])+""")
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
    own = page.own if page else {}
    *before, fragment = _split_words(line)
    flag, equals, value = fragment.partition("=")
    words = "endpoints" if "--server" in (*before, flag) else page.words if page else ""
    if not (equals and (flag in BY_FLAG or flag in own)):
        if fragment.startswith("-"):
            options = [*BY_FLAG, *NEGATED, SETTING] if page and page.options else []
            return fragment, [*options, *own, *HELP]
        flag, value = before[-1] if before else "", fragment
    if flag in own and (own[flag] or equals or flag in _VALUES):
        return value, _list_own_values(flag, words, studio)
    if flag not in BY_FLAG or BY_FLAG[flag].kind is Kind.FLAG or not (page and page.options):
        if words == "ids":
            value = re.split("[,，]", value)[-1]
        return value, _list_names(words, studio, names, value)
    if BY_FLAG[flag].lists:
        value = value.rpartition(",")[2]
    return value, list_values(flag, studio, names, value)


def _list_own_values(flag: str, words: str, studio: Studio) -> list[str]:
    """Return the values of a flag that only some magics have."""
    match flag:
        case "-m" | "--model" | "--endpoint":
            return _list_names(f"{BY_FLAG[flag].name}s", studio)
        case "--server":
            return _list_names(words, studio)
        case "--since" | "--before":
            return ["today", "yesterday", "7d", "30d"]
        case "--session":
            return list(dict.fromkeys(run_id.partition("/")[0] for run_id in _list_lasting_ids(studio)))
    return []


def _list_lasting_ids(studio: Studio) -> list[str]:
    """Return the lasting ids of the newest runs, of all sessions."""
    with suppress(ImagineError):  # the next cell reports a store that cannot be read
        return [run.id for run in studio.store.runs(limit=_RECENT, remembered=True)]
    return []


def _split_words(line: str) -> list[str]:
    """Return the words of a line as typed, the last as far as it is typed: its quote may be open."""
    words, end = [], 0
    for match in _WORD.finditer(line):
        words.append(match[0])
        end = match.end()
    return words if end == len(line) and words else [*words, ""]


def _filter(fragment: str, candidates: Iterable[str]) -> list[str]:
    """Return the candidates that begin like the fragment, whichever of them is quoted."""
    typed = _unquote(fragment)
    return sorted({candidate for candidate in candidates if _unquote(candidate).startswith(typed)})


def _unquote(word: str) -> str:
    return re.sub("[\"']", "", word)


def list_values(
    flag: str, studio: Studio, names: Mapping[str, Any] = NOTHING, fragment: str = ""
) -> list[str]:
    """Return the values of an option: models, endpoints, its choices, or ids, variables and image files."""
    option = BY_FLAG[flag]
    if option.name in ("model", "endpoint"):
        return _list_names(f"{option.name}s", studio)
    if option.kind is Kind.OBJECT:
        return [name for name, value in names.items() if name[0] != "_" and hasattr(type(value), "submit")]
    if option.kind is Kind.INPUT:
        variables = [name for name, value in names.items() if _may_be_image(name, value)]
        return [*(f"@{number}" for number in _list_names("ids", studio)), *variables, *_list_files(fragment)]
    if option.name == "save":
        return _list_files(fragment)
    return list(option.choices)


def _list_names(
    kind: str, studio: Studio, names: Mapping[str, Any] = NOTHING, fragment: str = ""
) -> list[str]:
    """Return the names of a kind of words: models, endpoints, or ids with the variables that hold results.

    Lasting ids are offered once the first of their digits are typed.
    """
    match kind:
        case "ids":
            numbers = [str(number) for number, _run in studio.ledger.numbered()]
            results = [
                name
                for name, value in names.items()
                if name[0] != "_" and isinstance(value, (Generation, Image, Pending, Sweep))
            ]
            return [*numbers, *results, *(_list_lasting_ids(studio) if _LASTING.match(fragment) else [])]
        case "models":
            return [model.name for model in catalog.load_models()]
        case "endpoints":
            with suppress(ImagineError):  # the next cell reports a bad setting
                return [endpoint.name for endpoint in studio.registry]
    return []


def _list_files(fragment: str) -> list[str]:
    """Return the image files and folders whose path begins like that; none before a letter is typed.

    A path with blanks is quoted; the quote of a folder stays open for what follows.
    """
    quote = fragment[:1] if fragment[:1] in QUOTES else ""
    typed = _unquote(fragment)
    if not typed or typed[0] in "@{":
        return []
    folder, name = os.path.split(typed)
    try:
        paths = sorted(imaging.expand_path(folder or ".").iterdir())
    except OSError:
        return []
    paths = [path for path in paths if path.name.startswith(name) and not path.name.startswith(".")]
    prefix = typed.removesuffix(name)  # as typed: "./" and "~" stay
    words = []
    for path in paths:
        text = f"{prefix}{path.name}"
        written = write_word(text)
        if quote and quote not in text:
            written = f"{quote}{text}{quote}"
        if path.is_dir():
            words.append(f"{written[:-1]}/" if written != text else f"{text}/")
        elif path.suffix.lower() in SUFFIXES:
            words.append(written)
    return words


def _may_be_image(name: str, value: object) -> bool:
    """Return whether a variable is worth offering: no module, function, number or name of IPython's."""
    if name.startswith("_") or name in ("In", "Out") or callable(value):
        return False
    return not isinstance(value, (ModuleType, int, float, complex))
