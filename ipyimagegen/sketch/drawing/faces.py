"""Eyes, smiles and pairs: what the animals share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import rgb
from ipyimagegen.sketch.drawing.palette import INK, WHITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipyimagegen.sketch.drawing.canvas import RGB, Pen, Point

PINK = rgb("#f2a2a0")
BEAK = rgb("#f2a13a")
AMBER = rgb("#f3c64f")


def eyes(pen: Pen, x: float, y: float, gap: float, r: float, *, ink: RGB = INK) -> None:
    """Two round eyes with a spark, centred on (x, y); on a dark face they are amber."""
    for side in (-1, 1):
        if ink != INK:
            pen.oval(x + side * gap, y, r * 1.3, r * 1.5, AMBER)
        pen.oval(x + side * gap, y, r, r * 1.25, INK)
        pen.disc(x + side * gap + r * 0.3, y - r * 0.45, r * 0.36, WHITE)


def both(pen: Pen, points: Sequence[Point], fill: RGB, roundness: float = 0.25) -> None:
    """Paint a soft polygon and its mirror image."""
    for half in pen.sides():
        half.soft(points, fill, roundness)


def smile(pen: Pen, x: float, y: float, w: float, ink: RGB = INK) -> None:
    """Paint a smile under a nose at (x, y), `w` to each side."""
    for side in (-1, 1):
        pen.stroke([(x, y), (x + side * w * 0.5, y + w * 0.32), (x + side * w, y + w * 0.1)], w * 0.16, ink)
