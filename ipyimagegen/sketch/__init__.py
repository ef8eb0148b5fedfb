"""The built-in picture engine: draws from a prompt without any model, offline and deterministically.

`draw`, `edit` and `encode` are the engine, `create_app` is the same engine as a WSGI application that
speaks the OpenAI Images API. Nothing is imported before it is used, Pillow least of all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipyimagegen.sketch.app import create_app
    from ipyimagegen.sketch.editing import edit
    from ipyimagegen.sketch.engine import draw, encode

__all__ = ["create_app", "draw", "edit", "encode"]

_HOME = {"create_app": "app", "draw": "engine", "edit": "editing", "encode": "engine"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
