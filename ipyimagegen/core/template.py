r"""Prompt templates: names in braces and alternatives; every other brace stays as typed.

A single pass splits a template into parts. `{name}`, `{obj.attr}`, `{table[key]}` are names, with `!r` and
`:format` as in f-strings, names in the format included. `{red|blue}` is a group of alternatives.
`{{` and `}}` are literal braces. Everything else stays as typed: JSON, code, Python keywords, and
LaTeX groups (right after `\word`, `^`, `_` or another such group). A filled-in value is never expanded.
"""

from __future__ import annotations

import keyword
import numbers
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ipyimagegen.core.errors import InvalidInput, suggest_name
from ipyimagegen.core.messages import Message, OptionName, _


@dataclass(frozen=True)
class Literal:
    """Text that is sent as it is."""

    text: str


@dataclass(frozen=True)
class Name:
    """A name to fill in; `source` is the group as typed, braces included."""

    source: str
    path: str
    conversion: str = ""
    spec: str = ""


@dataclass(frozen=True)
class Alternatives:
    """A group of alternatives, a run for each."""

    source: str
    choices: tuple[str, ...]


LONGEST = 1_000_000  # characters of a prompt; anything longer is a pasted file
_LONGEST_SPEC = 200  # characters of a format
Part: TypeAlias = Literal | Name | Alternatives

_IDENTIFIER = r"[^\W\d]\w*"
_TRAILER = rf"\.{_IDENTIFIER}|\[(?:-?\d+|{_IDENTIFIER}|'[^'\n]*'|\"[^\"\n]*\")\]"
_PATH = rf"{_IDENTIFIER}(?:{_TRAILER})*"
# The format mini-language, or a date format: what else follows a colon is text, such as CSS.
_SPEC = r"(?:[^{}\n]?[<>=^])?[-+ ]?z?#?0?\d*[,_]?(?:\.\d+)?[bcdeEfFgGnosxX%]?|[^{}\n]*%[a-zA-Z][^{}\n]*"
_FORMAT = rf"(?! \{{)(?:[^{{}}\n]|\{{{_PATH}\}})*"  # {sky: {colour}} is text with a name in it
_NAME = re.compile(rf"\{{({_PATH})(?:!([rsa]))?(?::({_FORMAT}))?\}}")
_NESTED = re.compile(rf"\{{({_PATH})\}}")
_ALTERNATIVES = re.compile(r"""\{([^{}"'\\:;=\[\]\n|｜]*+[|｜][^{}"'\\:;=\[\]\n]*+)\}""")
_COMMAS = re.compile(r"(?<![\\}\w^]){[\w -]+(?:[,，、][\w -]+)+}")
_LATEX_BEFORE = re.compile(r"(?:\\[A-Za-z]+|[\^_])\Z")
_BRACE = re.compile("[{}]")
_STEP = re.compile(_TRAILER)
_QUOTED_INDEX = re.compile(r"(?<=[\w\])])\[(?:'[^'\n]*'|\"[^\"\n]*\")\]")
_CONVERSIONS: Mapping[str, Callable[[object], str]] = {"r": repr, "s": str, "a": ascii}


def parse(template: str) -> tuple[Part, ...]:
    """Return the parts of `template`, doubled braces already single in its literals."""
    parts: list[Part] = []
    literal: list[str] = []
    still_open: list[str] = []  # "{" stays as typed, "{{" becomes "{"
    at, latex_end, ends = 0, -1, _find_group_ends(template)
    while at < len(template):
        start = at
        if at in ends and (at == latex_end or _LATEX_BEFORE.search(template, max(0, at - 40), at)):
            at = latex_end = ends[at]
            literal.append(template[start:at])
        elif group := _match_group(template, at):
            at += len(group.source)
            parts += [Literal("".join(literal)), group] if literal else [group]
            literal = []
        elif template[at] == "{":
            still_open.append("{{" if template.startswith("{{", at) else "{")
            at += len(still_open[-1])
            literal.append("{")
        elif template[at] == "}":
            # The end of JSON such as {"a": {"b": 1}} closes two single braces.
            opened = still_open.pop() if still_open else "{{"
            at += 2 if opened == "{{" and template.startswith("}}", at) else 1
            literal.append("}")
        else:
            brace = _BRACE.search(template, at)
            at = brace.start() if brace else len(template)
            literal.append(template[start:at])
    return (*parts, Literal("".join(literal))) if literal else tuple(parts)


def _find_group_ends(template: str) -> Mapping[int, int]:
    """Return the end of each group in braces, by its start."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(template):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            ends[opened.pop()] = brace.end()
    return ends


def _match_group(template: str, at: int) -> Name | Alternatives | None:
    if template.startswith("{{", at):
        return None
    if (match := _match_name(template, at)) and not keyword.iskeyword(_get_first(match[1])):
        return Name(match[0], match[1], match[2] or "", match[3] or "")
    if match := _ALTERNATIVES.match(template, at):
        return Alternatives(match[0], tuple(re.split("[|｜]", match[1])))
    return None


def find_name_end(text: str, at: int) -> int | None:
    """Return the end of a name in braces, or of an index in brackets after a name, that begins at `at`."""
    match = _match_name(text, at) or _QUOTED_INDEX.match(text, at)
    return match.end() if match else None


def _match_name(text: str, at: int) -> re.Match[str] | None:
    match = _NAME.match(text, at)
    return match if match and re.fullmatch(_SPEC, _NESTED.sub("1", match[3] or "")) else None


def _get_first(path: str) -> str:
    return re.match(_IDENTIFIER, path)[0]  # type: ignore[index]  # a path begins with an identifier


def list_groups(parts: tuple[Part, ...]) -> tuple[Alternatives, ...]:
    """Return the groups of alternatives, in order."""
    return tuple(part for part in parts if isinstance(part, Alternatives))


def looks_like_alternatives(parts: tuple[Part, ...]) -> bool:
    """Return whether literal text has braces with bars or commas, so that alternatives may be meant."""
    texts = [part.text for part in parts if isinstance(part, Literal)]
    bars = any(map(re.compile("[|｜]").search, texts)) and any(map(re.compile("[{｛]").search, texts))
    return bars or any(_COMMAS.search(text) for text in texts)


def choose(parts: tuple[Part, ...], chosen: tuple[str, ...]) -> tuple[Part, ...]:
    """Return the parts with a choice in place of each group of alternatives, in order."""
    choices = iter(chosen)
    return tuple(Literal(next(choices)) if isinstance(part, Alternatives) else part for part in parts)


def fill(parts: tuple[Part, ...], namespace: Mapping[str, Any]) -> str:
    """Return the final text. Raises InvalidInput for a name that does not exist or cannot be shown.

    Alternatives have to be chosen before; those that are left raise InvalidInput.
    """
    texts, room = [], LONGEST
    for part in parts:
        texts.append(_to_text(part, namespace))
        room -= len(texts[-1])
        _check_room(room, _("The text with its names filled in"))
    return "".join(texts)


def _to_text(part: Part, namespace: Mapping[str, Any]) -> str:
    if isinstance(part, Literal):
        return part.text
    if isinstance(part, Alternatives):
        raise InvalidInput(
            _(
                "{source} stands for several texts. Choose a single one here, or use {raw} to send the "
                "braces as typed.",
                source=part.source,
                raw=OptionName("raw", True),
            )
        )
    value = lookup(part.path, namespace, source=part.source)
    try:
        spec = _NESTED.sub(
            lambda name: _format(lookup(name[1], namespace, source=part.source), "", part.source), part.spec
        )
        if part.conversion:
            _check_size(value, part.source)
            value = _CONVERSIONS[part.conversion](value)
        return _format(value, spec, part.source)
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001 - a user's __format__ may raise anything
        problem = _(
            "{source} cannot be written as text: {kind}: {error}.",
            source=part.source,
            kind=type(error).__name__,
            error=str(error),
        )
    raise _refuse(problem, part.source)


def _format(value: object, spec: str, source: str) -> str:
    """Return the formatted value. Raises InvalidInput for a text that is too long, before it is made."""
    widths = re.findall(r"\d+", spec)
    if len(spec) > _LONGEST_SPEC or any(len(digits) > 9 or int(digits) > LONGEST for digits in widths):
        _check_room(-1, source)
    if spec and isinstance(value, numbers.Number) and hasattr(value, "adjusted"):  # a Decimal, spelled out
        _check_room(LONGEST - abs(value.adjusted()), source)
    _check_size(value, source)
    return format(value, spec)


def _check_size(value: object, source: str) -> None:
    """Raise InvalidInput for a value whose text would be too long, without writing it.

    A list may hold the same list many times over.
    """
    waiting, room = [value], LONGEST
    while waiting:
        part = waiting.pop()
        if isinstance(part, int):
            room -= part.bit_length()  # digits of the binary form, the longest
        elif isinstance(part, (str, bytes, bytearray)):
            room -= len(part)
        elif isinstance(part, (dict, list, tuple, set, frozenset, deque)):
            room -= 2 + 3 * len(part)  # brackets, and for each element a comma, a blank and a character
        _check_room(room, source)
        if isinstance(part, dict):
            waiting += [inner for pair in part.items() for inner in pair]
        elif isinstance(part, (list, tuple, set, frozenset, deque)):
            waiting += part


def _check_room(room: int, source: str) -> None:
    if room < 0:
        raise InvalidInput(
            _(
                "{source} is longer than {most:,} characters; nothing was sent. Use a part of it.",
                source=source,
                most=LONGEST,
            )
        )


def lookup(path: str, namespace: Mapping[str, Any], *, source: str = "") -> Any:
    """Return the object at `path`, such as `fox[1].size`; nothing is evaluated or called.

    Raises InvalidInput with a near match and how to send the braces as typed.
    """
    source = source or path
    walked = _get_first(path)
    if walked not in namespace:
        hint = suggest_variable(walked, namespace)
        problem = _("{source}: there is no variable {name!r}.{hint}", source=source, name=walked, hint=hint)
        raise _refuse(problem, source)
    value = namespace[walked]
    for step in _STEP.findall(path, len(walked)):
        try:
            key = step[1:] if step[0] == "." else _read_key(step[1:-1], namespace, source)
            value = getattr(value, key) if step[0] == "." else value[key]
        except InvalidInput:
            raise
        except Exception as error:  # noqa: BLE001 - a user's property may raise anything
            problem = _(
                "{source}: {walked} has no {step} ({kind}).{hint}",
                source=source,
                walked=walked,
                step=step,
                kind=type(error).__name__,
                hint=suggest_name(key, _list_names(value, step)) if isinstance(key, str) else "",
            )
        else:
            walked += step
            continue
        raise _refuse(problem, source)
    return value


def _list_names(value: object, step: str) -> list[str]:
    if step[0] == ".":
        return [name for name in dir(value) if not name.startswith("_")]
    return [key for key in value if isinstance(key, str)] if isinstance(value, Mapping) else []


def _read_key(text: str, namespace: Mapping[str, Any], source: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    if text.lstrip("-").isdigit():
        return int(text)
    if text in namespace:
        return namespace[text]
    missing = _(
        "{source}: there is no variable {text!r}; the text is written [{text!r}].", source=source, text=text
    )
    raise _refuse(missing, source)


def suggest_variable(name: str, namespace: Mapping[str, Any]) -> str:
    """Return " Did you mean …?" for a variable of a similar name, or nothing; see `suggest_name`."""
    # Not `open` and `exit`, which are in every shell: nobody means a function.
    return suggest_name(name, (n for n in namespace if n[:1] != "_" and not callable(namespace[n])))


def _refuse(problem: Message, source: str) -> InvalidInput:
    """Return the error with how to send a group in braces as typed."""
    if not source.startswith("{"):
        return InvalidInput(problem)
    return InvalidInput(
        _(
            "{problem} To send it as typed, write {doubled} or use {raw}.",
            problem=problem,
            doubled=source.replace("{", "{{").replace("}", "}}"),
            raw=OptionName("raw", True),
        )
    )
