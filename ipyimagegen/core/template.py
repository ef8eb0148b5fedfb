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
import inspect
import numbers
import re
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeAlias, TypeGuard

from ipyimagegen.core.errors import InvalidInput, suggest_name
from ipyimagegen.core.messages import Message, OptionName, _


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
_MAY_BEGIN = re.compile(r"\s*+(?:[^\W\d]|[^\x00-\x7f\s]|['\"])")
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
_CURLY_QUOTES = str.maketrans("“”‘’", "\"\"''")
_ADDRESS = re.compile(r"\bat 0x[0-9A-Fa-f]+>")  # in the text of an object that has none
_SHOWN_BY = ("savefig", "get_figure", "_repr_mimebundle_", "_repr_html_")  # of figures, widgets, tables
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
    end = _find_expression_end(text, at + 1) if closing and _MAY_BEGIN.match(text, at + 1) else -1
    tail = _TAILS[closing].match(text, end) if closing and end > 0 else None
    if tail is None:
        return None
    typed, source = text[at + 1 : end], text[at : tail.end()]
    tree, conversion, spec = _parse_expression(typed.strip()), tail[1] or "", tail[2] or ""
    if not _is_path(tree) or typed.rstrip()[-1] == "=":  # {x=} of an f-string
        names = _list_used(tree) if closing == "}" and "{" not in typed else ()
        return Expression(source, names) if names else None
    if any(not _is_path(_parse_expression(name)) for name in _NESTED.findall(spec)):
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


@lru_cache(maxsize=256)
def _parse_expression(text: str) -> ast.expr | None:
    """Return a Python expression, or None for other text. Curly quotes are quotes, if there are no others."""
    if not set("'\"") & set(text):
        text = text.translate(_CURLY_QUOTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about backslashes in the text
            return ast.parse(re.sub(r"(?<![=!<>])\s*=$", "", text), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_path(node: ast.expr | None) -> bool:
    """Return whether an expression is a name with attributes and keys."""
    match node:
        case ast.Name():
            return True
        case ast.Attribute(value=value):
            return _is_path(value)
        case ast.Subscript(value=value, slice=key):
            return _is_path(value) and _is_key(key)
    return False


def _is_key(node: ast.expr) -> bool:
    """Return whether a key is quoted text, a number, a name or a tuple of them."""
    match node:
        case ast.Tuple(elts=parts):
            return all(map(_is_key, parts))
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return True
        case ast.Constant(value=str() | int() | float() | None):
            return True
    return isinstance(node, ast.Name)


def _list_used(tree: ast.expr | None) -> tuple[str, ...]:
    """Return the names of which one, if it is a variable, tells that an expression is meant as such.

    It is the name that the expression begins with, or for a built-in function or a method of a text, such as
    `len(items)` and `", ".join(items)`, any name in it.
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
    return match.end() if match and _is_path(_parse_expression(f"x{match[0]}")) else None


def read_path(text: str) -> str | None:
    """Return a text that is a name with attributes and keys, as `lookup` takes it; None for other texts."""
    return text if _MAY_BEGIN.match(text) and _is_path(_parse_expression(text)) else None


def get_first_name(text: str) -> str | None:
    """Return the name that an expression begins with, as Python normalises it."""
    node = _parse_expression(text)
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


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
    except InvalidInput:
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
        problem = _describe_object(value, part.path, part.source)
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
    node = _parse_expression(path)
    assert node is not None  # a path was parsed before
    return _walk(node, path, namespace, source or path)


def _walk(node: ast.expr, path: str, namespace: Mapping[str, Any], source: str) -> Any:
    """Return the object at a part of a path."""
    if isinstance(node, ast.Name):
        if node.id in namespace:
            return namespace[node.id]
        hint = suggest_variable(node.id, namespace)
        problem = _("{source}: there is no variable {name!r}.{hint}", source=source, name=node.id, hint=hint)
        raise _refuse(problem, source)
    assert isinstance(node, (ast.Attribute, ast.Subscript))  # see `_is_path`
    value = _walk(node.value, path, namespace, source)
    key = node.attr if isinstance(node, ast.Attribute) else _read_key(node.slice, namespace, source)
    try:
        return getattr(value, node.attr) if isinstance(node, ast.Attribute) else value[key]
    except Exception as error:  # noqa: BLE001 - a user's property may raise anything
        walked = ast.get_source_segment(path, node.value) or ""
        step = (ast.get_source_segment(path, node) or "").removeprefix(walked)
        problem = _(
            "{source}: {walked} has no {step} ({kind}).{hint}",
            source=source,
            walked=walked,
            step=step,
            kind=type(error).__name__,
            hint=suggest_name(key, _list_names(value, step)) if isinstance(key, str) else "",
        )
    raise _refuse(problem, source)


def _list_names(value: object, step: str) -> list[str]:
    if step[0] == ".":
        return [name for name in dir(value) if not name.startswith("_")]
    return [key for key in value if isinstance(key, str)] if isinstance(value, Mapping) else []


def _read_key(node: ast.expr, namespace: Mapping[str, Any], source: str) -> Any:
    match node:
        case ast.Tuple(elts=parts):
            return tuple(_read_key(part, namespace, source) for part in parts)
        case ast.Name(id=name) if name in namespace:
            return namespace[name]
        case ast.Name(id=name):
            missing = _(
                "{source}: there is no variable {text!r}; the text is written [{text!r}].",
                source=source,
                text=name,
            )
            raise _refuse(missing, source)
    return ast.literal_eval(node)  # a text or a number


def suggest_variable(name: str, namespace: Mapping[str, Any]) -> str:
    """Return a hint at a variable that may be meant, or nothing.

    It has a similar name, or it is one of a function around the code, which cannot see it (`hidden`).
    """
    if name in getattr(namespace, "hidden", ()):
        return _(" The function around has one; assign it to a variable of the inner function first.")
    # Not `open` and `exit`, which are in every shell: nobody means a function.
    return suggest_name(name, (n for n in namespace if n[:1] != "_" and not callable(namespace[n])))


def _check_text(value: object, name: Name) -> None:
    """Raise InvalidInput for a value that is no text, also in a list: an image, a function, a table.

    Numbers, dates, paths and the like have a text of their own.
    """
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
        elif not _has_text(part):
            path = name.path if part is value else f"{name.path}[0]"
            raise _refuse(_describe_object(part, path, name.source), name.source)


def _has_text(value: object) -> bool:
    """Return whether a value has a text of its own. No library is imported to find out."""
    if isinstance(value, (str, numbers.Number)):
        return True
    if (
        isinstance(value, (ModuleType, type, bytes, bytearray))
        or inspect.isroutine(value)
        or _get_shape(value)
    ):
        return False
    if any(hasattr(value, method) for method in _SHOWN_BY) and not hasattr(value, "__float__"):
        return False
    is_plain, is_callable = type(value).__str__ is object.__str__, callable(value)
    if is_plain and is_callable:
        return False
    return not ((is_plain or is_callable) and re.fullmatch("(?s)<.*>", str(value)))


def _get_shape(value: object) -> tuple[int, ...]:
    """Return the shape of an array or table, nothing for others; a single number of NumPy has ()."""
    shape = getattr(value, "shape", ())
    return shape if isinstance(shape, tuple) else ()


def _describe_object(value: object, path: str, source: str) -> Message:
    """Return what is wrong with a value that is no text, and what may be meant."""
    hint: str = ""
    if isinstance(getattr(value, "prompt", None), str):  # a result of ours, which this layer does not know
        hint = _(
            " Use {image} for the image, or {prompt} for its prompt.",
            image=OptionName("image", path),
            prompt=f"{{{path}.prompt}}",
        )
    elif shape := _get_shape(value):
        part = ".iloc[0, 0]" if len(shape) > 1 else ".iloc[0]"
        example = f"{{{path}{part if hasattr(value, 'iloc') else list((0,) * len(shape))}}}"
        hint = _(" {example} is its first value.", example=example)
    elif any(hasattr(value, method) for method in _SHOWN_BY[:2]):
        hint = _(" Use {image} for an image.", image=OptionName("image", path))
    kind = type(value).__name__
    return _(
        "{source} is not text; its value has the type {kind}.{hint}", source=source, kind=kind, hint=hint
    )


def _refuse_expression(source: str) -> InvalidInput:
    problem = _(
        "{source} is an expression. Only {forms} are filled in, with !r and :format. Assign the value to a "
        "variable first.",
        source=source,
        forms=_FORMS,
    )
    return _refuse(problem, source)


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
