"""How the tiles of a sweep fall onto contact sheets: a strip, rows and columns, or pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, product

from ipyimagegen.core.axes import Axis
from ipyimagegen.core.text import DOT

ROWS, COLUMNS = 6, 8  # of one sheet, so that its tiles can be seen in a notebook
STRIP = ROWS * COLUMNS
SHEETS, TILES = 4, 64  # that a cell shows at most


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One contact sheet: the calls that stand on it, row by row, by their place in the sweep.

    A strip has no rows: `columns` are then the labels of its tiles, which flow. `title` holds what the
    outer axes are on this page.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...] = ()
    title: str = ""
    calls: tuple[int, ...]


def sheets(axes: Sequence[Axis]) -> tuple[Sheet, ...]:
    """Return the sheets of a sweep in order; a page for each combination of the axes before the last two.

    What is larger than a sheet goes on, on the next.
    """
    *outer, columns = [axis.labels for axis in axes]
    if not outer:
        size = _even(len(columns), STRIP)
        return tuple(
            Sheet(columns=columns[at : at + size], calls=tuple(range(at, min(at + size, len(columns)))))
            for at in range(0, len(columns), size)
        )
    *pages, rows = outer
    size = len(rows) * len(columns)
    high, wide = _even(len(rows), ROWS), _even(len(columns), COLUMNS)
    return tuple(
        Sheet(
            title=DOT.join(titles),
            rows=rows[down : down + high],
            columns=columns[across : across + wide],
            calls=tuple(
                number * size + row * len(columns) + column
                for row in range(down, min(down + high, len(rows)))
                for column in range(across, min(across + wide, len(columns)))
            ),
        )
        for number, titles in enumerate(product(*pages))
        for down in range(0, len(rows), high)
        for across in range(0, len(columns), wide)
    )


def _even(count: int, most: int) -> int:
    """Return into parts of which size so many fall, none larger than `most` and all about alike."""
    return -(-count // -(-count // most))


def shown_at_once(made: Sequence[Sheet]) -> int:
    """Return how many of the sheets a cell shows: together they are as small as one, and each can be read."""
    so_far = accumulate(len(one.calls) for one in made[:SHEETS])
    return max(1, sum(tiles <= TILES for tiles in so_far))


def measure_shape(axes: Sequence[Axis]) -> tuple[int, int]:
    """Return rows and columns of the first sheet; a strip has no rows."""
    first = sheets(axes[-2:])[0]
    return len(first.rows), len(first.columns)
