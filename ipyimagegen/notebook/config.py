"""`%config Imagine`: the settings, made from the table of options.

The traits take any value: IPython's `%config` swallows a validation error. A wrong value is named at once,
and refused when a cell uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from traitlets import Any as Untyped
from traitlets import observe
from traitlets.config import Configurable

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.messages import Setting, _, render
from ipyimagegen.core.options import OPTIONS, Kind, Option, normalise
from ipyimagegen.core.settings import Settings
from ipyimagegen.notebook.fronts import CELL

_DEFAULTS = Settings()
# What `%config` prints as the type of a setting, and how its help describes the values.
_KINDS = {
    Kind.INTEGER: ("Integer", "a whole number from {low:,} to {high:,}"),
    Kind.NUMBER: ("Float", "a number from {low:,} to {high:,}"),
    Kind.FLAG: ("Bool", "True or False"),
    Kind.CHOICE: ("Choice", "{choices}"),
    Kind.WORD: ("Text", "{choices}, or a word of the server's own"),
    Kind.SIZE: ("Text", '"1024x1536", "2K", {choices}, or a tuple such as (1024, 1536)'),
    Kind.RATIO: ("Text", "such as {choices}"),
    Kind.NAME: ("Text", "text"),
    Kind.TEXT: ("Text", "text"),
}
_OTHERS = {
    "endpoints": ("Dict", 'your own servers: {"lab": {"base_url": "https://…/v1", "key_env": "LAB_KEY"}}'),
    "reuse": ("Bool", "show the stored result of an identical request, at no cost (True or False)"),
    "embed": ("Choice", 'what the notebook file holds: "preview" (at most 100 KiB) or "original"'),
    "max_parallel": ("Integer", "calls to one endpoint at the same time (a whole number from 1)"),
    "max_calls": ("Integer", "paid calls in one cell (a whole number from 0)"),
    "max_images": ("Integer", "paid images in one session (a whole number from 0)"),
}


def _describe(option: Option) -> tuple[str, str]:
    """Return the type of an option and its help with the values that it takes."""
    kind, values = _KINDS[option.kind]
    choices = ", ".join(f'"{choice}"' for choice in option.choices)
    return kind, f"{option.help} ({values.format(choices=choices, low=option.low, high=option.high)})"


_OPTIONS = {name: _describe(option) for name, option in OPTIONS.items() if option.config}


def _read_values(self: Configurable) -> dict[str, Any]:
    """Return the arguments of `Settings`."""
    options = {name: getattr(self, name) for name in _OPTIONS}
    return {
        "options": {name: value for name, value in options.items() if value is not None},
        **{name: getattr(self, name) for name in _OTHERS},
    }


def _name_problem(_self: Configurable, change: Any) -> None:
    """Write what is wrong with a value that has just been set."""
    if change.new is None or change.new == change.old:
        return
    try:
        _check(change.name, change.new)
    except InvalidOption as error:
        problem = error.args[0]
        if change.name in _OPTIONS:
            problem = _("{setting}: {problem}", setting=Setting(change.name), problem=problem)
        sys.stderr.write(render(problem, CELL) + "\n")


def _check(name: str, value: Any) -> None:
    """Raise InvalidOption for a wrong value of a setting."""
    if name in _OPTIONS:
        normalise(name, value)
        return
    values: dict[str, Any] = {name: value}
    Settings(**values)
    if name == "endpoints" and value:
        from ipyimagegen.catalog import Registry  # noqa: PLC0415 - read by those who set their own

        Registry(value)


def _make_trait(name: str, kind: str, help_: str) -> Any:
    """Return a trait that takes any value; `%config` prints the name of its class as its type."""
    trait: Callable[..., Any] = type(kind, (Untyped,), {})
    return trait(getattr(_DEFAULTS, name, None), allow_none=True, help=help_).tag(config=True)


Imagine: Any = type(
    "Imagine",
    (Configurable,),
    {
        "__doc__": "Settings of %%imagine. An option that is None is not sent.",
        "read_values": _read_values,
        "_name_problem": observe(*_OPTIONS, *_OTHERS)(_name_problem),
        **{name: _make_trait(name, *description) for name, description in (_OPTIONS | _OTHERS).items()},
    },
)
