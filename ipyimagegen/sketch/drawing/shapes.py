"""Plain shapes: each is centred on the origin and fits the unit circle of diameter 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import mix, path
from ipyimagegen.sketch.drawing.palette import WHITE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipyimagegen.sketch.drawing.canvas import Pen, Point
    from ipyimagegen.sketch.drawing.palette import Skin


def _regular(sides: int, *, inner: float = 0.0, start: float = 0.0) -> list[Point]:
    """Paint a regular polygon, or a star whose inner corners lie at `inner` of the radius."""
    count = sides * 2 if inner else sides
    points: list[Point] = []
    for i in range(count):
        angle = 2 * math.pi * i / count + math.radians(start)
        r = 0.5 * (inner if inner and i % 2 else 1)
        points.append((r * math.sin(angle), -r * math.cos(angle)))
    return points


def _polygon(points: Sequence[Point], roundness: float = 0.05) -> Callable[[Pen, Skin], None]:
    def paint(pen: Pen, skin: Skin) -> None:
        pen.soft(points, skin.main, roundness)

    return paint


def circle(pen: Pen, skin: Skin) -> None:
    """Paint a disc."""
    pen.disc(0, 0, 0.48, skin.main)


def ellipse(pen: Pen, skin: Skin) -> None:
    """Paint an ellipse, wider than high."""
    pen.oval(0, 0, 0.5, 0.31, skin.main)


def heart(pen: Pen, skin: Skin) -> None:
    """Paint a heart from the classic curve."""
    points: list[Point] = []
    for i in range(64):
        t = 2 * math.pi * i / 64
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 34, -y / 34 - 0.04))
    pen.polygon(points, skin.main)


def ring(pen: Pen, skin: Skin) -> None:
    """Paint a ring: one band, so that what lies behind shows through."""
    steps = 96
    turn = [2 * math.pi * i / steps for i in range(steps + 1)]
    outer = [(0.48 * math.sin(a), -0.48 * math.cos(a)) for a in turn]
    inner = [(0.31 * math.sin(a), -0.31 * math.cos(a)) for a in reversed(turn)]
    pen.polygon([*outer, *inner], skin.main)


def crescent(pen: Pen, skin: Skin) -> None:
    """Paint a waxing moon."""
    steps = 40
    outer = [
        (0.46 * math.sin(a), -0.46 * math.cos(a))
        for a in (math.pi * (1.16 * i / steps + 0.92) for i in range(steps + 1))
    ]
    (x0, y0), (x1, y1) = outer[-1], outer[0]
    inner = []
    for i in range(steps + 1):
        t = i / steps
        bow = 0.19 * math.sin(math.pi * t)
        inner.append((x0 + (x1 - x0) * t - bow, y0 + (y1 - y0) * t))
    pen.at(0.16, 0, turn=-18).polygon([*outer, *inner], skin.main)


def cube(pen: Pen, skin: Skin) -> None:
    """Paint a cube seen from above one corner."""
    a, b = 0.43, 0.25
    pen.polygon([(0, -0.5), (a, -b), (0, 0), (-a, -b)], skin.light)
    pen.polygon([(-a, -b), (0, 0), (0, 0.5), (-a, b)], skin.main)
    pen.polygon([(a, -b), (0, 0), (0, 0.5), (a, b)], skin.dark)


def sphere(pen: Pen, skin: Skin) -> None:
    """Paint a shaded ball."""
    pen.disc(0, 0, 0.47, skin.dark)
    for i in range(1, 7):
        pen.disc(-0.012 * i, -0.014 * i, 0.47 - 0.025 * i, mix(skin.dark, skin.main, i / 6))
    for i in range(1, 5):
        pen.oval(-0.15, -0.18, 0.15 - 0.03 * i, 0.12 - 0.025 * i, mix(skin.main, WHITE, 0.14 * i), turn=-40)


SHAPES: dict[str, Callable[[Pen, Skin], None]] = {
    "circle": circle,
    "square": _polygon(path("-40,-40 40,-40 40,40 -40,40"), 0.03),
    "triangle": _polygon(path("0,-45 48,38 -48,38"), 0.03),
    "rectangle": _polygon(path("-50,-29 50,-29 50,29 -50,29"), 0.02),
    "star": _polygon(_regular(5, inner=0.46), 0.08),
    "heart": heart,
    "hexagon": _polygon(_regular(6), 0.04),
    "pentagon": _polygon(_regular(5), 0.04),
    "octagon": _polygon(_regular(8, start=22.5), 0.04),
    "diamond": _polygon(path("0,-50 36,0 0,50 -36,0"), 0.03),
    "ellipse": ellipse,
    "ring": ring,
    "line": _polygon(path("-50,-3.5 50,-3.5 50,3.5 -50,3.5"), 0.04),
    "cross": _polygon(path(
        "-15,-46 15,-46 15,-15 46,-15 46,15 15,15 "
        "15,46 -15,46 -15,15 -46,15 -46,-15 -15,-15"
    ), 0.06),
    "arrow": _polygon(path("-48,-13 8,-13 8,-33 48,0 8,33 8,13 -48,13"), 0.05),
    "crescent": crescent,
    "cube": cube,
    "sphere": sphere,
}  # fmt: skip

TURNING = frozenset(
    {"square", "triangle", "star", "hexagon", "pentagon", "octagon", "line", "cross", "rectangle"}
)
