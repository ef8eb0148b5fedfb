"""Refuse an input image: name it, describe what it is, and turn foreign errors into a few words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ipyimagegen.core.errors import ImagineError, InvalidInput
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.text import sanitize, truncate

T = TypeVar("T")


def refuse(message: Message) -> InvalidInput:
    """Return the error to raise, outside of any `except` block."""
    return InvalidInput(_("{problem} Nothing was sent.", problem=message))


def to_label(name: str) -> str:
    """Return a name of an image as it begins a sentence."""
    label = sanitize(name, 200)
    return label.capitalize() if label.startswith("the ") else label  # "the image": it has no name


def add_path(label: str, path: Path) -> str:
    """Return the label with the path that it stands for, unless it contains it."""
    return label if path.name in label else f"{label} ({truncate(str(path), 120)})"


def attempt(call: Callable[[], T]) -> tuple[T | None, str]:
    """Return what foreign code returns, and its error in a few harmless words; empty where it succeeds.

    An error of ours is raised.
    """
    try:
        return call(), ""
    except ImagineError:
        raise
    except Exception as error:  # noqa: BLE001 - decoders and libraries raise anything
        return None, describe_error(error)


def describe_error(error: BaseException) -> str:
    """Return a foreign error as a few harmless words."""
    words = truncate(getattr(error, "strerror", None) or str(error), 120).rstrip(".")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
