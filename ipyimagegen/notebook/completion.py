"""Completion in magic lines: options, values, models, endpoints, ids and variables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from IPython.core import completer as ipython_completer
from IPython.core.completer import IPCompleter

from ipyimagegen import catalog
from ipyimagegen.core.errors import ImagineError
from ipyimagegen.core.options import Kind
from ipyimagegen.notebook.parser import BY_FLAG, HELP, NEGATED, NOTHING, SETTING
from ipyimagegen.notebook.tokenizer import write_word
from ipyimagegen.session.inputs import SUFFIXES
from ipyimagegen.session.studio import Studio

_MAGIC = re.compile(r"(?:^|=)\s*(%%?)(imagine(?:_\w+)?)\s+(.*)$")
_BODY = re.compile(r"\s*%%imagine(?:_rerun)?\b")
_VARIABLE = re.compile(r"\{([^\W\d]\w*)?$")
_TAKES_IDS = ("imagine_history", "imagine_show", "imagine_rerun", "imagine_compare", "imagine_forget")
_TAKES_OPTIONS = ("imagine", "imagine_rerun")
# From the text up to the cursor and the whole cell: the fragment to complete and its candidates.
Find: TypeAlias = Callable[[str, str], tuple[str, list[str]]]


def register_matcher(
    completer: IPCompleter,
    studio: Callable[[], Studio],
    names: Callable[[], Mapping[str, Any]],
    flags: Mapping[str, Iterable[str]],
) -> Callable[[], None]:
    """Add a matcher to a shell's completer and return the function that removes it.

    `flags` are the own flags of each magic. Before IPython 8.6 there is no `context_matcher`. A matcher
    then gets the last token alone, and only the line of the cursor can be read from the completer.
    """

    def find(until: str, whole: str) -> tuple[str, list[str]]:
        return complete(until, whole, studio(), names(), flags)

    has_contexts = hasattr(ipython_completer, "context_matcher")
    matcher = _context_matcher(find) if has_contexts else _token_matcher(completer, find)
    completer.custom_matchers.append(matcher)
    return lambda: completer.custom_matchers.remove(matcher)


def _context_matcher(find: Find) -> Any:
    from IPython.core.completer import (  # noqa: PLC0415 - new in IPython 8.6
        CompletionContext,
        SimpleCompletion,
        context_matcher,
    )

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython's
    def imagine_matcher(context: CompletionContext) -> dict[str, Any]:
        fragment, found = find(context.text_until_cursor, context.full_text)
        return {
            "completions": [SimpleCompletion(text=candidate, type="option") for candidate in found],
            "suppress": bool(found) or _MAGIC.search(context.line_with_cursor) is not None,
            "matched_fragment": fragment,
        }

    return imagine_matcher


def _token_matcher(completer: IPCompleter, find: Find) -> Callable[[str], list[str]]:
    """Return a matcher for IPython before 8.6: what it returns replaces `token`."""

    def imagine_matcher(token: str) -> list[str]:
        line = completer.text_until_cursor
        fragment, found = find(line, line)
        kept = len(fragment) - len(token)  # of the fragment, what stands before the token stays
        return [candidate[kept:] if kept >= 0 else fragment for candidate in found]

    return imagine_matcher


def complete(
    until: str, whole: str, studio: Studio, names: Mapping[str, Any], flags: Mapping[str, Iterable[str]]
) -> tuple[str, list[str]]:
    """Return the fragment before the cursor that is completed, and what it may become."""
    line = until.rpartition("\n")[2]
    magic = _MAGIC.search(line)
    if (magic or _BODY.match(whole)) and (found := _VARIABLE.search(line)):
        return found[1] or "", _starting(found[1] or "", (n for n in names if n[0] != "_"))
    if not magic:
        return "", []
    *before, fragment = re.split(r"\s+", magic[3])
    flag, equals, value = fragment.partition("=")
    if equals and flag in BY_FLAG:
        value = _last_of(flag, value)
        return value, _starting(value, values(flag, studio, names, value))
    if fragment.startswith("-"):
        return fragment, _starting(fragment, _flags(magic[2], flags))
    if before and before[-1] in BY_FLAG and BY_FLAG[before[-1]].kind is not Kind.FLAG:
        fragment = _last_of(before[-1], fragment)
        return fragment, _starting(fragment, values(before[-1], studio, names, fragment))
    return fragment, _starting(fragment, _words(magic[2], studio))


def _last_of(flag: str, value: str) -> str:
    """Return what is being typed of a value: of a list its last part."""
    return value.rpartition(",")[2] if BY_FLAG[flag].lists else value


def values(flag: str, studio: Studio, names: Mapping[str, Any] = NOTHING, begun: str = "") -> list[str]:
    """Return what an option may be set to: models, endpoints, its choices, or what holds an image.

    Images are ids, variables, and files that go on from what is `begun`.
    """
    option = BY_FLAG[flag]
    if option.name == "model":
        return [one.name for one in catalog.load_models()]
    if option.name == "endpoint":
        return _endpoints(studio)
    if option.kind is Kind.OBJECT:
        return [name for name, value in names.items() if name[0] != "_" and hasattr(value, "submit")]
    if option.kind is Kind.INPUT:
        variables = [name for name, value in names.items() if _may_be_image(name, value)]
        return [*(f"@{one}" for one in _ids(studio)), *variables, *_files(begun)]
    return list(option.choices)


def _flags(magic: str, own: Mapping[str, Iterable[str]]) -> list[str]:
    mine = [*own.get(magic, ()), *HELP]
    return [*BY_FLAG, *NEGATED, SETTING, *mine] if magic in _TAKES_OPTIONS else mine


def _words(magic: str, studio: Studio) -> list[str]:
    if magic in _TAKES_IDS:
        return _ids(studio)
    if magic == "imagine_doctor":
        return _endpoints(studio)
    return [one.name for one in catalog.load_models()] if magic == "imagine_models" else []


def _ids(studio: Studio) -> list[str]:
    return [str(number) for number, _ in studio.ledger.numbered()]


def _files(begun: str) -> list[str]:
    """Return the image files and folders whose path begins like that; none before a letter is typed."""
    if not begun or begun[0] in "@{":
        return []
    folder, name = os.path.split(begun)
    try:
        found = sorted(Path(folder or ".").expanduser().iterdir())
    except OSError:
        return []
    starting = (one for one in found if one.name.startswith(name) and not one.name.startswith("."))
    kept = (one for one in starting if one.is_dir() or one.suffix.lower() in SUFFIXES)
    return [write_word(os.path.join(folder, one.name) + ("/" if one.is_dir() else "")) for one in kept]  # noqa: PTH118 - as typed


def _may_be_image(name: str, value: object) -> bool:
    """Say whether a variable is worth offering: no module, function, number, or name of IPython's own."""
    if name.startswith("_") or name in ("In", "Out") or callable(value):
        return False
    return not isinstance(value, (ModuleType, int, float, complex))


def _endpoints(studio: Studio) -> list[str]:
    try:
        return [one.name for one in studio.endpoints()]
    except ImagineError:  # a bad setting is told by the next cell, not while typing
        return []


def _starting(fragment: str, candidates: Iterable[str]) -> list[str]:
    return sorted({one for one in candidates if one.startswith(fragment)})
