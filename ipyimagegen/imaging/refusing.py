"""How this room says no to an image: what it is, what would be taken, that nothing was sent."""

from __future__ import annotations

from pathlib import Path

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.text import sanitize, truncate

TAKEN = (
    "a path, bytes, a Pillow image, a NumPy array, a tensor, a matplotlib figure or axes, or an"
    " IPython.display.Image"
)


def refused(name: str, what: str) -> InvalidInput:
    """Return the error that begins with the image's name, to be raised outside of `except`."""
    label = sanitize(name, 200)
    if label.startswith("the "):  # nobody gave it a name
        label = label.capitalize()
    return InvalidInput(f"{label} {what} Nothing was sent.")


def labelled(name: str, path: Path) -> str:
    """Return `name` with the path that it holds, unless it says so itself."""
    return name if path.name in name else f"{name} ({truncate(str(path), 120)})"


def typed(thing: object) -> str:
    """Return the type of a value as a person would write it, such as `pandas.DataFrame`."""
    kind = type(thing)
    top = kind.__module__.partition(".")[0]
    return truncate(kind.__qualname__ if top in ("builtins", "__main__") else f"{top}.{kind.__qualname__}")


def cause(error: BaseException) -> str:
    """Return a foreign error as a few harmless words."""
    words = truncate(getattr(error, "strerror", None) or str(error), 120).rstrip(".")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def article(noun: str) -> str:
    """Return `noun` with a or an."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def indexed(name: str, depth: int = 1) -> str:
    """Return how to choose the first of several: `x[0]`, or the variable's own name with [0]."""
    if name.startswith("{") and name.endswith("}"):
        return name[:-1] + "[0]" * depth + "}"
    return (name if name.isidentifier() else "x") + "[0]" * depth
