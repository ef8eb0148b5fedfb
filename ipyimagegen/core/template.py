r"""Prompt templates: names in braces, alternatives, and every other brace left alone.

One pass turns a template into parts. `{name}`, `{obj.attr}`, `{table[key]}` are names, with `!r` and
`:format` as in f-strings, names in the format included. `{red|blue}` is a group of alternatives.
`{{` and `}}` are literal braces. Everything else stays as typed: JSON, code, Python keywords, and
LaTeX groups (right after `\word`, `^`, `_` or another such group). A value that was filled in is never
looked at again.
"""

from __future__ import annotations

import keyword
import numbers
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

from ipyimagegen.core.errors import InvalidInput, suggest_name


@dataclass(frozen=True)
class Literal:
    """Text that is sent as it stands."""

    text: str


@dataclass(frozen=True)
class Name:
    """A name to be filled in; `source` is the group as typed, braces included."""

    source: str
    path: str
    conversion: str = ""
    spec: str = ""


@dataclass(frozen=True)
class Alternatives:
    """A group of alternatives, one run for each."""

    source: str
    choices: tuple[str, ...]


LONGEST = 1_000_000  # characters of a prompt; beyond it is a pasted file
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
    for literal, pieces in groupby(_pieces(template), key=lambda piece: isinstance(piece, Literal)):
        if literal:
            parts.append(Literal("".join(piece.text for piece in pieces if isinstance(piece, Literal))))
        else:
            parts += pieces
    return tuple(parts)


def _pieces(template: str) -> Iterator[Part]:
    still_open: list[str] = []  # "{" stays as typed, "{{" becomes "{"
    at, latex_end, ends = 0, -1, _ends_of_groups(template)
    while at < len(template):
        start = at
        if template[at] == "{" and (end := _latex_end(template, at, latex_end, ends)):
            at = latex_end = end
            yield Literal(template[start:end])
        elif group := _group(template, at):
            at += len(group.source)
            yield group
        elif template[at] == "{":
            still_open.append("{{" if template.startswith("{{", at) else "{")
            at += len(still_open[-1])
            yield Literal("{")
        elif template[at] == "}":
            # The end of JSON such as {"a": {"b": 1}} closes two single braces.
            opened = still_open.pop() if still_open else "{{"
            at += 2 if opened == "{{" and template.startswith("}}", at) else 1
            yield Literal("}")
        else:
            at = _next_brace(template, at)
            yield Literal(template[start:at])


def _next_brace(template: str, at: int) -> int:
    found = _BRACE.search(template, at)
    return found.start() if found else len(template)


def _ends_of_groups(template: str) -> Mapping[int, int]:
    """Return where each group in braces ends, by where it begins."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for brace in _BRACE.finditer(template):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            ends[opened.pop()] = brace.end()
    return ends


def _latex_end(template: str, at: int, latex_end: int, ends: Mapping[int, int]) -> int | None:
    """Return where the LaTeX group that opens at `at` ends, or None when it is none."""
    if at != latex_end and not _LATEX_BEFORE.search(template, max(0, at - 40), at):
        return None
    return ends.get(at)


def _group(template: str, at: int) -> Name | Alternatives | None:
    if template.startswith("{{", at):
        return None
    if (found := _name(template, at)) and not keyword.iskeyword(_first(found[1])):
        return Name(found[0], found[1], found[2] or "", found[3] or "")
    if found := _ALTERNATIVES.match(template, at):
        return Alternatives(found[0], tuple(c.strip() for c in re.split("[|｜]", found[1])))
    return None


def find_name_end(text: str, at: int) -> int | None:
    """Return where a name in braces, or an index in brackets after one, ends that begins at `at`."""
    found = _name(text, at) or _QUOTED_INDEX.match(text, at)
    return found.end() if found else None


def _name(text: str, at: int) -> re.Match[str] | None:
    found = _NAME.match(text, at)
    return found if found and re.fullmatch(_SPEC, _NESTED.sub("1", found[3] or "")) else None


def _first(path: str) -> str:
    return re.match(_IDENTIFIER, path)[0]  # type: ignore[index]  # a path begins with one


def list_groups(parts: tuple[Part, ...]) -> tuple[Alternatives, ...]:
    """Return the groups of alternatives, in order."""
    return tuple(part for part in parts if isinstance(part, Alternatives))


def looks_like_alternatives(parts: tuple[Part, ...]) -> bool:
    """Say whether braces with bars, or words and commas, are left as typed: alternatives may be meant."""
    texts = [part.text for part in parts if isinstance(part, Literal)]
    bars = any(map(re.compile("[|｜]").search, texts)) and any(map(re.compile("[{｛]").search, texts))
    return bars or any(_COMMAS.search(text) for text in texts)


def choose(parts: tuple[Part, ...], chosen: tuple[str, ...]) -> tuple[Part, ...]:
    """Return the parts with one choice in place of each group of alternatives, in order."""
    left = iter(chosen)
    return tuple(Literal(next(left)) if isinstance(part, Alternatives) else part for part in parts)


def fill(parts: tuple[Part, ...], namespace: Mapping[str, Any]) -> str:
    """Return the final text. Raises InvalidInput for a name that does not exist or cannot be shown.

    Alternatives must have been chosen before; those that are left raise InvalidInput.
    """
    texts, room = [], LONGEST
    for part in parts:
        texts.append(_text(part, namespace))
        room -= len(texts[-1])
        if room < 0:
            raise InvalidInput(
                f"The text has more than {LONGEST:,} characters once its names are filled in; "
                "nothing was sent. Use shorter values."
            )
    return "".join(texts)


def _text(part: Part, namespace: Mapping[str, Any]) -> str:
    if isinstance(part, Literal):
        return part.text
    if isinstance(part, Alternatives):
        raise InvalidInput(
            f"{part.source} stands for several; choose one here, or send the braces as typed with --raw."
        )
    value = lookup(part.path, namespace, source=part.source)
    try:
        spec = _NESTED.sub(
            lambda name: _formatted(lookup(name[1], namespace, source=part.source), "", part.source),
            part.spec,
        )
        if part.conversion:
            _check_size(value, part.source)
            value = _CONVERSIONS[part.conversion](value)
        return _formatted(value, spec, part.source)
    except InvalidInput:
        raise
    except Exception as fault:  # noqa: BLE001 - a user's __format__ may raise anything
        problem = f"{part.source} cannot be written as text: {type(fault).__name__}: {fault}."
    raise InvalidInput(problem + _as_typed(part.source))


def _formatted(value: object, spec: str, source: str) -> str:
    """Return the formatted value. Raises InvalidInput where that would be too long, before it is made."""
    widths = re.findall(r"\d+", spec)
    if len(spec) > _LONGEST_SPEC or any(len(digits) > 9 or int(digits) > LONGEST for digits in widths):
        raise InvalidInput(
            f"{source} asks for more than {LONGEST:,} characters; nothing was sent. Use a smaller width."
        )
    if spec and isinstance(value, numbers.Number) and hasattr(value, "adjusted"):  # a Decimal, spelled out
        _check_room(LONGEST - abs(value.adjusted()), source)
    _check_size(value, source)
    return format(value, spec)


def _check_size(value: object, source: str) -> None:
    """Raise InvalidInput where the text of a value would be too long: it is looked at, never written.

    A list may hold one list many times over.
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
            f"{source} is longer than {LONGEST:,} characters; nothing was sent. Use a part of it."
        )


def lookup(path: str, namespace: Mapping[str, Any], *, source: str = "") -> Any:
    """Return the object at `path`, such as `fox[1].size`; nothing is evaluated or called.

    Raises InvalidInput naming a near match and how to send the braces as typed.
    """
    source = source or path
    walked = _first(path)
    value = _variable(walked, namespace, source)
    for step in _STEP.findall(path, len(walked)):
        try:
            key = step[1:] if step[0] == "." else _key(step[1:-1], namespace, source)
            value = getattr(value, key) if step[0] == "." else value[key]
        except InvalidInput:
            raise
        except Exception as fault:  # noqa: BLE001 - a user's property may raise anything
            near = suggest_name(key, _names_of(value, step)) if isinstance(key, str) else ""
            problem = f"{source}: {walked} has no {step} ({type(fault).__name__}).{near}"
        else:
            walked += step
            continue
        raise InvalidInput(problem + _as_typed(source))
    return value


def _names_of(value: object, step: str) -> list[str]:
    if step[0] == ".":
        return [name for name in dir(value) if not name.startswith("_")]
    return [key for key in value if isinstance(key, str)] if isinstance(value, Mapping) else []


def _key(text: str, namespace: Mapping[str, Any], source: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    if text.lstrip("-").isdigit():
        return int(text)
    if text not in namespace:
        told = f"{source}: there is no variable {text!r}; the text is written [{text!r}]."
        raise InvalidInput(told + _as_typed(source))
    return namespace[text]


def _variable(name: str, namespace: Mapping[str, Any], source: str) -> Any:
    if name in namespace:
        return namespace[name]
    near = suggest_variable(name, namespace)
    raise InvalidInput(f"{source}: there is no variable {name!r}.{near}{_as_typed(source)}")


def suggest_variable(name: str, namespace: Mapping[str, Any]) -> str:
    """Return " Did you mean …?" for a variable of a like name, or nothing; see `suggest_name`."""
    # Not `open` and `exit`, which are in every shell: nobody means a function.
    return suggest_name(name, (n for n in namespace if n[:1] != "_" and not callable(namespace[n])))


def _as_typed(source: str) -> str:
    doubled = source.replace("{", "{{").replace("}", "}}")
    return f" To send it as typed: {doubled}, or --raw." if source.startswith("{") else ""
