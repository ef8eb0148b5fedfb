"""Words in columns, as a fixed-width font shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ipyimagegen.core.text import truncate

_CELL = 80  # characters


def format_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of words in columns, left-aligned."""
    cells = [[truncate(cell, _CELL) for cell in row] for row in rows]
    widths = [max(map(measure_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(pad, row, widths)).rstrip() for row in cells)


def pad(text: str, to: int) -> str:
    """Return the text with blanks behind it, so many columns wide."""
    return text + " " * (to - measure_width(text))


def measure_width(text: str) -> int:
    """Return columns on a screen: Chinese characters take two."""
    return sum(2 if "\u1100" <= c <= "\uffe6" and c not in "·–…" else 1 for c in text)
