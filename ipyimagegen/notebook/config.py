"""`%config Imagine`: the settings, projected from the table of options.

The traits are untyped: IPython's `%config` swallows a validation error, so a bad value is refused at
its use instead, where the cell can fail.
"""

from __future__ import annotations

from typing import Any

from traitlets import Any as Untyped
from traitlets.config import Configurable

from ipyimagegen.core.options import OPTIONS
from ipyimagegen.core.plan import Settings

_OPTIONS = {name: option for name, option in OPTIONS.items() if option.config}
_OTHERS = {
    "endpoints": ({}, 'your own servers, {"lab": {"base_url": "https://…/v1", "key_env": "LAB_KEY"}}'),
    "reuse": (True, "show a stored result instead of asking, and paying, again"),
    "embed": ("preview", "what the notebook file keeps: preview (at most 100 KiB) or original"),
    "max_parallel": (4, "calls to one endpoint at once"),
    "max_calls": (16, "paid calls in one cell"),
    "max_images": (100, "paid images in one session"),
}


def _traits() -> dict[str, Any]:
    of_options = {
        name: Untyped(None, allow_none=True, help=option.help).tag(config=True)
        for name, option in _OPTIONS.items()
    }
    return {
        **of_options,
        **{name: Untyped(default, help=told).tag(config=True) for name, (default, told) in _OTHERS.items()},
    }


def _settings(self: Configurable) -> Settings:
    """Return what is configured now. Raises InvalidOption for what is no setting."""
    others = {name: getattr(self, name) for name in _OTHERS}
    options = {name: getattr(self, name) for name in _OPTIONS}
    return Settings(options={k: v for k, v in options.items() if v is not None}, **others)


_DOC = "Settings of the cell magic %%imagine. An option that is None is not sent."
Imagine: Any = type("Imagine", (Configurable,), {"__doc__": _DOC, "settings": _settings, **_traits()})
