r"""Prompt templates: names in braces and alternatives; every other brace stays as typed.

A single pass splits a template into parts, in this order: `{{` and `}}` are literal braces, `{red|blue}` is
a group of alternatives, `{name}`, `{obj.attr}`, `{table[key]}`, `{table.loc[row, column]}` are names, with
`!r` and `:format` as in f-strings, names in the format included. Python's own parser reads them, so that
names of every script and keys mean what they mean in Python; nothing is evaluated or called. Another
expression that uses a variable, such as `{x+1}`, is an error. Everything else stays as typed: JSON, code,
Python keywords, and LaTeX groups (right after a backslash, `\word`, `^`, `_` or another such group). A
filled-in value is never expanded.
"""

from __future__ import annotations

import ast
import builtins
import numbers
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from ipyimagegen.core.errors import ImagineError, InvalidInput
from ipyimagegen.core.messages import OptionName, _
from ipyimagegen.core.variables import (
    MAY_BEGIN,
    describe_object,
    get_first_name,
    has_text,
    is_path,
    lookup,
    parse_expression,
    refuse_source,
)


@dataclass(frozen=True)
class Literal:
    """Text that is sent as it is."""

    text: str


@dataclass(frozen=True)
class Name:
    """A name to fill in; `source` is the group as typed, braces included.

    An `optional` one stays as typed where there is no such variable: it may be text or code.
    """

    source: str
    path: str
    conversion: str = ""
    spec: str = ""
    optional: bool = False

    def exists(self, namespace: Mapping[str, Any]) -> bool:
        """Return whether there is a variable of its first name."""
        return get_first_name(self.path) in namespace


@dataclass(frozen=True)
class Expression:
    """Python in braces that is not filled in: an error where one of `names` is a variable, else text."""

    source: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Alternatives:
    """A group of alternatives, a run for each."""

    source: str
    choices: tuple[str, ...]


LONGEST = 1_000_000  # characters of a prompt; anything longer is a pasted file
_LONGEST_SPEC = 200  # characters of a format
_CHECKED = 1000  # elements of a list that are looked at
_LONGEST_NAME = 500  # characters of an expression, so that a text of many open braces is read in linear time
Part: TypeAlias = Literal | Name | Expression | Alternatives

_CLOSING = {"{": "}", "｛": "｝"}  # Chinese keyboards put the full-width ones
_LEXEME = re.compile(r"""'(?:[^'\\\n]|\\[^\n]){0,200}'|"(?:[^"\\\n]|\\[^\n]){0,200}"|[^\n]""")
# The format mini-language, or a date format: what else follows a colon may be text, such as CSS.
_SPEC = re.compile(
    r"(?:[^{}\n]?[<>=^])?[-+ ]?z?#?0?\d*[,_]?(?:\.\d+)?[bcdeEfFgGnosxX%]?|[^{}\n]*%[a-zA-Z][^{}\n]*"
)
_NESTED = re.compile(r"\{([^{}\n]*)\}")
_TAIL = r"(?:!([rsa]) *)?(?::((?:[^{{}}\n]|\{{[^{{}}\n]*\}}){{0,200}}))?{close}"
_TAILS = {closing: re.compile(_TAIL.format(close=closing)) for closing in _CLOSING.values()}
_ALTERNATIVES = re.compile(r"""\{([^{}"'\\:;=\[\]\n|｜]*+[|｜][^{}"'\\:;=\[\]\n]*+)\}""")
_COMMAS = re.compile(r"(?<![\\}\w^]){[\w -]+(?:[,，、][\w -]+)+}")
_LATEX_BEFORE = re.compile(r"(?:\\[A-Za-z]*|[\^_])\Z")
_BRACE = re.compile("[{}]")
_SPECIAL = re.compile("[{}｛]")
_INDEX = re.compile(r"""(?<=[\w\])])\[(?:'[^'\n]*'|"[^"\n]*"|[^][{}'"\n]){1,200}\]""")
_ADDRESS = re.compile(r"\bat 0x[0-9A-Fa-f]+>")  # in the text of an object that has none
_FORMS = "{name}, {obj.attr}, {table[key]}, {table.loc[row, column]}"
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
            special = _SPECIAL.search(template, at + (2 if template.startswith("｛｛", at) else 1))
            at = special.start() if special else len(template)
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


def _match_group(template: str, at: int) -> Name | Expression | Alternatives | None:
    if template.startswith(("{{", "｛｛"), at):
        return None
    if match := _ALTERNATIVES.match(template, at):
        return Alternatives(match[0], tuple(re.split("[|｜]", match[1])))
    return _match_name(template, at)


def _match_name(text: str, at: int) -> Name | Expression | None:
    """Return the name or the expression in the braces that open there, if any."""
    closing = _CLOSING.get(text[at : at + 1])
    end = _find_expression_end(text, at + 1) if closing and MAY_BEGIN.match(text, at + 1) else -1
    tail = _TAILS[closing].match(text, end) if closing and end > 0 else None
    if tail is None:
        return None
    typed, source = text[at + 1 : end], text[at : tail.end()]
    tree, conversion, spec = parse_expression(typed.strip()), tail[1] or "", tail[2] or ""
    if not is_path(tree) or typed.rstrip()[-1] == "=":  # {x=} of an f-string
        names = _list_used(tree) if closing == "}" and "{" not in typed else ()
        return Expression(source, names) if names else None
    if any(not is_path(parse_expression(name)) for name in _NESTED.findall(spec)):
        return None
    is_usual, is_text = _SPEC.fullmatch(_NESTED.sub("1", spec)), spec[:1].isspace()
    if (not is_usual and is_text) or ("{" in spec and (is_text or not is_usual)):
        return None  # {sky: {colour}} is text with a name in it
    optional = closing == "｝" or not is_usual or is_text or typed != typed.strip()
    return Name(source, typed.strip(), conversion, spec, optional)


def _find_expression_end(text: str, at: int) -> int:
    """Return where the expression ends that begins there, at a brace, format or conversion; else -1."""
    depth, stop = 0, at + _LONGEST_NAME
    while at < stop and (lexeme := _LEXEME.match(text, at)):
        char = lexeme[0]
        if char in "{}｛｝" or (
            depth <= 0 and (char == ":" or (char == "!" and text[at + 1 : at + 2] != "="))
        ):
            return at
        if char == "#":  # a comment in Python; in text a colour
            return -1
        depth += (char in "([") - (char in ")]")
        at = lexeme.end()
    return -1


def _list_used(tree: ast.expr | None) -> tuple[str, ...]:
    """Return the names that mark an expression as Python if any of them is a variable.

    This is the name that the expression begins with. For a built-in function and a method of a text, such as
    `len(items)` and `", ".join(items)`, every name in the expression counts.
    """
    if tree is None:
        return ()
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    first = [name.id for name in names if name.col_offset == 0]
    if first and not hasattr(builtins, first[0]):
        return tuple(first)
    is_method = isinstance(tree, ast.Call) and isinstance(tree.func, ast.Attribute)
    return tuple(name.id for name in names) if first or is_method else ()


def find_name_end(text: str, at: int) -> int | None:
    """Return the end of a name in braces, or of an index in brackets after a name, that begins at `at`."""
    if name := _match_name(text, at):
        return at + len(name.source)
    match = _INDEX.match(text, at)
    return match.end() if match and is_path(parse_expression(f"x{match[0]}")) else None


def list_groups(parts: tuple[Part, ...]) -> tuple[Alternatives, ...]:
    """Return the groups of alternatives, in order."""
    return tuple(part for part in parts if isinstance(part, Alternatives))


def looks_like_alternatives(parts: tuple[Part, ...]) -> bool:
    """Return whether literal text has braces with bars or commas, so that alternatives may be meant."""
    texts = [part.text if isinstance(part, Literal) else part.source for part in parts if _is_text(part)]
    bars = any(map(re.compile("[|｜]").search, texts)) and any(map(re.compile("[{｛]").search, texts))
    return bars or any(_COMMAS.search(text) for text in texts)


def _is_text(part: Part) -> TypeGuard[Literal | Expression]:
    return isinstance(part, (Literal, Expression))


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
    if isinstance(part, Expression):
        if any(name in namespace for name in part.names):
            raise _refuse_expression(part.source)
        return part.source
    if part.optional and not part.exists(namespace):
        return part.source
    return _write_value(lookup(part.path, namespace, source=part.source), part, namespace)


def _write_value(value: object, part: Name, namespace: Mapping[str, Any]) -> str:
    """Return a value as text, as an f-string writes it. Raises InvalidInput."""
    try:
        _check_text(value, part)
        spec = _NESTED.sub(
            lambda name: _format(lookup(name[1], namespace, source=part.source), "", part.source), part.spec
        )
        converted = value
        if part.conversion:
            _check_size(value, part.source)
            converted = _CONVERSIONS[part.conversion](value)
        text = _format(converted, spec, part.source)
    except ImagineError:
        raise
    except Exception as error:  # noqa: BLE001 - a user's __format__ may raise anything
        problem = _(
            "{source} cannot be written as text: {kind}: {error}.",
            source=part.source,
            kind=type(error).__name__,
            error=str(error),
        )
    else:
        if isinstance(value, str) or not _ADDRESS.search(text):
            return text
        problem = describe_object(value, part.path, part.source)
    raise refuse_source(problem, part.source)


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


def _check_text(value: object, name: Name) -> None:
    """Raise InvalidInput for a value that is no text, also in a list: an image, a function, a table.

    Numbers, dates, paths and the like have a text of their own.
    """
    if value is None:
        raise refuse_source(describe_object(value, name.path, name.source), name.source)
    waiting, seen = deque([value]), set[int]()
    while waiting and len(seen) < _CHECKED:
        part = waiting.popleft()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, (list, tuple, set, frozenset, deque)):
            waiting += part
        elif not has_text(part):
            path = name.path if part is value else f"{name.path}[0]"
            raise refuse_source(describe_object(part, path, name.source), name.source)


def _refuse_expression(source: str) -> InvalidInput:
    problem = _(
        "{source} is an expression. Only {forms} are filled in, with !r and :format. Assign the value to a "
        "variable first.",
        source=source,
        forms=_FORMS,
    )
    return refuse_source(problem, source)
