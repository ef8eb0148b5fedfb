"""The variables of the code that calls a magic: its locals, then its globals, as an f-string sees them."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

_MACHINERY = ("IPython", "ipyimagegen")  # packages whose frames stand between a magic and its caller
_IS_FUNCTION = inspect.CO_OPTIMIZED  # the flag of code whose locals are no dictionary


class Variables(ChainMap[str, Any]):
    """The locals and globals of a piece of code.

    `hidden` holds the names of variables in enclosing functions that the code does not capture. A global of
    the same name is a different variable, and is left out.
    """

    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Scope:
    """The variables that a piece of code reads, and the dictionary in which its statements bind names."""

    names: Variables
    target: MutableMapping[str, Any]


def find_scope(shell: InteractiveShell) -> Scope:
    """Return the scope of the code that called a magic: a cell, a script, a function of any module.

    IPython itself hands over the locals for line magics alone, and the globals for none.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to the caller's variables
    while frame and _is_machinery(frame, shell):
        frame = frame.f_back
    if frame is None:  # called by nothing but IPython
        return Scope(Variables(shell.user_ns), shell.user_ns)
    if not frame.f_code.co_flags & _IS_FUNCTION:
        return Scope(Variables(frame.f_locals, frame.f_globals), frame.f_locals)
    hidden = _list_hidden(frame)
    seen = {name: value for name, value in frame.f_globals.items() if name not in hidden}
    names = Variables(dict(frame.f_locals), seen)
    names.hidden = hidden
    return Scope(names, frame.f_globals)


def _is_machinery(frame: FrameType, shell: InteractiveShell) -> bool:
    package = str(frame.f_globals.get("__name__")).partition(".")[0]
    return package in _MACHINERY or frame.f_locals.get("self") is shell


def _list_hidden(frame: FrameType) -> frozenset[str]:
    """Return the variables of the functions around a nested function.

    Its frame holds those alone that its own code uses. A global of the same name is another variable.
    """
    code = frame.f_code
    if "<locals>" not in code.co_qualname:
        return frozenset()
    source = "".join(linecache.getlines(code.co_filename, frame.f_globals))
    try:
        whole = compile(source, code.co_filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):  # of a file that was edited since
        return frozenset()
    around = next((outer for inner, outer in _walk_code(whole, ()) if _is_same(inner, code)), ())
    return frozenset(name for outer in around for name in (*outer.co_varnames, *outer.co_cellvars))


def _walk_code(
    code: CodeType, outer: tuple[CodeType, ...]
) -> Iterator[tuple[CodeType, tuple[CodeType, ...]]]:
    """Yield each piece of code inside, and the functions around it."""
    yield code, outer
    around = (*outer, code) if code.co_flags & _IS_FUNCTION else outer
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _walk_code(constant, around)


def _is_same(code: CodeType, other: CodeType) -> bool:
    return (code.co_qualname, code.co_firstlineno) == (other.co_qualname, other.co_firstlineno)
