"""`%config Imagine`: the settings, made from the table of options.

The traits are untyped: IPython's `%config` swallows a validation error, so a bad value is refused when a
cell uses it.
"""

from __future__ import annotations

from typing import Any

from traitlets import Any as Untyped
from traitlets.config import Configurable

from ipyimagegen.core.options import OPTIONS, Kind, Option
from ipyimagegen.core.settings import Settings

_DEFAULTS = Settings()
_KINDS = {Kind.INTEGER: "a whole number", Kind.NUMBER: "a number", Kind.FLAG: "True or False"}
_HELP = {
    "endpoints": 'your own servers: {"lab": {"base_url": "https://…/v1", "key_env": "LAB_KEY"}}',
    "reuse": "show the stored result of an identical request, at no cost (True or False)",
    "embed": "what the notebook file holds: preview (at most 100 KiB) or original",
    "max_parallel": "calls to one endpoint at the same time",
    "max_calls": "paid calls in one cell",
    "max_images": "paid images in one session",
}


def _describe(option: Option) -> str:
    """Return the help of an option with its type or its choices."""
    choices = ", ".join(option.choices) if option.kind in (Kind.CHOICE, Kind.WORD) else ""
    kind = choices or _KINDS.get(option.kind, "text")
    return f"{option.help} ({kind})"


_OPTIONS = {name: _describe(option) for name, option in OPTIONS.items() if option.config}


def _read_values(self: Configurable) -> dict[str, Any]:
    """Return the arguments of `Settings`."""
    options = {name: getattr(self, name) for name in _OPTIONS}
    return {
        "options": {name: value for name, value in options.items() if value is not None},
        **{name: getattr(self, name) for name in _HELP},
    }


Imagine: Any = type(
    "Imagine",
    (Configurable,),
    {
        "__doc__": "Settings of %%imagine. An option that is None is not sent.",
        "read_values": _read_values,
        **{
            name: Untyped(getattr(_DEFAULTS, name, None), allow_none=True, help=help_).tag(config=True)
            for name, help_ in (_OPTIONS | _HELP).items()
        },
    },
)
