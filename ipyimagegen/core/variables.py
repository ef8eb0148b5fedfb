"""Variables by their path, such as `fox[1].size`, as Python reads it; nothing is evaluated or called."""

from __future__ import annotations

import ast
import inspect
import numbers
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from types import ModuleType
from typing import Any

from ipyimagegen.core.errors import ImagineError, InvalidInput, suggest_name
from ipyimagegen.core.messages import Message, OptionName, _

MAY_BEGIN = re.compile(r"\s*+(?:[^\W\d]|[^\x00-\x7f\s]|['\"])")
_CURLY_QUOTES = str.maketrans("“”‘’", "\"\"''")
_SHOWN_BY = ("savefig", "get_figure", "_repr_mimebundle_", "_repr_html_")  # of figures, widgets, tables


def lookup(path: str, namespace: Mapping[str, Any], *, source: str = "") -> Any:
    """Return the object at `path`, such as `fox[1].size`; nothing is evaluated or called.

    Raises InvalidInput with a near match and how to send the braces as typed.
    """
    node = parse_expression(path)
    assert node is not None  # a path was parsed before
    return _follow(node, path, namespace, source or path)


def _follow(node: ast.expr, path: str, namespace: Mapping[str, Any], source: str) -> Any:
    """Return the object at a part of a path."""
    if isinstance(node, ast.Name):
        if node.id in namespace:
            return namespace[node.id]
        hint = suggest_variable(node.id, namespace)
        problem = _("{source}: there is no variable {name!r}.{hint}", source=source, name=node.id, hint=hint)
        raise refuse_source(problem, source)
    assert isinstance(node, (ast.Attribute, ast.Subscript))  # see `is_path`
    value = _follow(node.value, path, namespace, source)
    key = node.attr if isinstance(node, ast.Attribute) else _read_key(node.slice, namespace, source)
    try:
        return getattr(value, node.attr) if isinstance(node, ast.Attribute) else value[key]
    except ImagineError:  # of a result of ours, such as a call in the background that failed
        raise
    except Exception as error:  # noqa: BLE001 - a user's property may raise anything
        kind = type(error).__name__
    walked = ast.get_source_segment(path, node.value) or ""
    step = (ast.get_source_segment(path, node) or "").removeprefix(walked)
    problem = _(
        "{source}: {walked} has no {step} ({kind}).{hint}",
        source=source,
        walked=walked,
        step=step,
        kind=kind,
        hint=suggest_name(key, _list_steps(value, step)) if isinstance(key, str) else "",
    )
    raise refuse_source(problem, source)


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
            raise refuse_source(missing, source)
    return ast.literal_eval(node)  # a text or a number


def _list_steps(value: object, step: str) -> list[str]:
    """Return the attributes of a value, or its keys, of the kind that `step` is."""
    with suppress(Exception):  # a user's __dir__ or __iter__ may raise anything
        if step[0] == ".":
            return [name for name in dir(value) if not name.startswith("_")]
        return [key for key in value if isinstance(key, str)] if isinstance(value, Mapping) else []
    return []


def suggest_variable(name: str, namespace: Mapping[str, Any]) -> str:
    """Return a hint at a variable that may be meant, or nothing.

    It has a similar name, or it is one of a function around the code, which cannot see it (`hidden`).
    """
    if name in getattr(namespace, "hidden", ()):
        return _(" It is a variable of an enclosing function. Assign it to a local variable first.")
    # Not `open` and `exit`, which are in every shell: nobody means a function.
    return suggest_name(name, (n for n in namespace if n[:1] != "_" and not callable(namespace[n])))


def read_path(text: str) -> str | None:
    """Return a text that is a name with attributes and keys, as `lookup` takes it; None for other texts."""
    return text if MAY_BEGIN.match(text) and is_path(parse_expression(text)) else None


def get_first_name(text: str) -> str | None:
    """Return the name that an expression begins with, as Python normalises it."""
    node = parse_expression(text)
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


@lru_cache(maxsize=256)
def parse_expression(text: str) -> ast.expr | None:
    """Return a Python expression, or None for other text. Curly quotes are quotes, if there are no others."""
    if not set("'\"") & set(text):
        text = text.translate(_CURLY_QUOTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about backslashes in the text
            return ast.parse(re.sub(r"(?<![=!<>])\s*=$", "", text), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def is_path(node: ast.expr | None) -> bool:
    """Return whether an expression is a name with attributes and keys."""
    match node:
        case ast.Name():
            return True
        case ast.Attribute(value=value):
            return is_path(value)
        case ast.Subscript(value=value, slice=key):
            return is_path(value) and _is_key(key)
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


def has_text(value: object) -> bool:
    """Return whether a value has a text of its own. No library is imported to find out."""
    if isinstance(value, (str, numbers.Number)):
        return True
    if (
        isinstance(value, (ModuleType, type, bytes, bytearray))
        or inspect.isroutine(value)
        or get_shape(value)
    ):
        return False
    if _is_shown_by(value, *_SHOWN_BY) and probe(value, "__float__") is None:
        return False
    is_plain, is_callable = type(value).__str__ is object.__str__, callable(value)
    if is_plain and is_callable:
        return False
    return not ((is_plain or is_callable) and re.fullmatch("(?s)<.*>", str(value)))


def probe(value: object, name: str) -> Any:
    """Return an attribute of an object of any library; None where it has none, or where reading it raises."""
    with suppress(Exception):
        return getattr(value, name, None)
    return None


def get_shape(value: object) -> tuple[int, ...] | None:
    """Return the shape of an array or table, None for others; a single number of NumPy has ()."""
    shape = probe(value, "shape")
    return shape if isinstance(shape, tuple) else None


def _is_shown_by(value: object, *methods: str) -> bool:
    return any(probe(value, method) is not None for method in methods)


def describe_object(value: object, path: str, source: str) -> Message:
    """Return what is wrong with a value that is no text, and what may be meant."""
    if value is None:
        return _("{source} is None.", source=source)
    hint: str = ""
    if isinstance(probe(value, "prompt"), str):  # a result of ours, which this layer does not know
        hint = _(
            " Use {image} for the image, or {prompt} for its prompt.",
            image=OptionName("image", path),
            prompt=f"{{{path}.prompt}}",
        )
    elif shape := get_shape(value):
        part = ".iloc[0, 0]" if len(shape) > 1 else ".iloc[0]"
        example = f"{{{path}{list((0,) * len(shape)) if probe(value, 'iloc') is None else part}}}"
        hint = _(" {example} is its first value.", example=example)
    elif _is_shown_by(value, *_SHOWN_BY[:2]) and not isinstance(value, ModuleType):
        hint = _(" Use {image} for an image.", image=OptionName("image", path))
    kind = type(value).__name__
    return _(
        "{source} is not text; its value has the type {kind}.{hint}", source=source, kind=kind, hint=hint
    )


def refuse_source(problem: Message, source: str) -> InvalidInput:
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
