"""Plants and what is in the sky: each fills the unit square around the origin, plants stand at y = 0.5."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import mix, path, rgb
from ipyimagegen.sketch.drawing.palette import CREAM, WHITE

if TYPE_CHECKING:
    from ipyimagegen.sketch.drawing.canvas import Pen
    from ipyimagegen.sketch.drawing.palette import Skin

BARK = rgb("#7a5238")
LEAF = rgb("#4d9a56")


def tree(pen: Pen, skin: Skin) -> None:
    """Paint a broad-leaved tree."""
    pen.ribbon(path("0,50 0.5,30 0,2"), [0.13, 0.085, 0.06], BARK)
    pen.ribbon(path("0,22 9,10 15,0"), [0.05, 0.04, 0.02], BARK)
    for x, y, r in (
        (-0.2, -0.02, 0.19),
        (0.21, -0.03, 0.18),
        (0, 0.03, 0.19),
        (-0.12, -0.22, 0.2),
        (0.13, -0.22, 0.19),
    ):
        pen.disc(x, y, r, skin.main if y < 0 else skin.dark)
    pen.disc(0.02, -0.28, 0.2, skin.main)
    for x, y, r in ((-0.17, -0.26, 0.075), (0.02, -0.36, 0.085), (-0.25, -0.06, 0.055), (0.13, -0.18, 0.06)):
        pen.disc(x, y, r, skin.light)
    for x, y in ((0.02, -0.1), (0.25, -0.04), (-0.1, 0.0)):
        pen.oval(x, y, 0.045, 0.025, skin.dark)


def pine(pen: Pen, skin: Skin) -> None:
    """Paint a conifer in four tiers."""
    pen.box(-0.04, 0.34, 0.08, 0.16, BARK)
    for i, (top, base, half) in enumerate(
        ((0.02, 0.4, 0.33), (-0.15, 0.22, 0.27), (-0.32, 0.03, 0.205), (-0.5, -0.15, 0.14))
    ):
        tone = mix(skin.dark, skin.light, i * 0.18)
        pen.soft([(0, top), (-half, base), (0, base + 0.03), (half, base)], tone, 0.09)
        pen.soft([(0, top), (0.03, base + 0.03), (half, base)], mix(tone, skin.deep, 0.2), 0.09)


def cactus(pen: Pen, skin: Skin) -> None:
    """Paint a saguaro in flower."""
    for points in (path("-8,20 -27,16 -30,-5"), path("8,10 26,6 29,-18")):
        pen.stroke(points, 0.13, skin.dark)
    pen.stroke(path("0,48 0,10 0,-34"), 0.22, skin.main)
    for x in (-0.05, 0.0, 0.05):
        pen.stroke([(x, 0.46), (x, -0.32)], 0.01, skin.light)
    pen.box(-0.2, 0.46, 0.4, 0.04, mix(skin.main, BARK, 0.7), r=0.02)
    for dx, dy in ((-0.05, -0.44), (0.05, -0.44), (0, -0.48)):
        pen.disc(dx, dy, 0.035, rgb("#ef6f9a"))


def flower(pen: Pen, skin: Skin) -> None:
    """Paint a flower on its stem."""
    pen.ribbon(path("2,50 3,25 0,-10"), [0.035, 0.03, 0.03], LEAF)
    pen.blob(path("3,35 10,18 28,13 22,28"), LEAF)
    pen.blob(path("3,42 -6,26 -24,22 -17,36"), mix(LEAF, WHITE, 0.15))
    for ring, (count, r, tone) in enumerate(((8, 0.2, skin.dark), (8, 0.17, skin.main))):
        for i in range(count):
            angle = 360 * (i + ring / 2) / count
            pen.at(0, -0.2, turn=angle).oval(0, -r, 0.075, 0.115, tone)
    pen.disc(0, -0.2, 0.1, skin.second)
    pen.disc(-0.02, -0.22, 0.06, mix(skin.second, WHITE, 0.25))


def mushroom(pen: Pen, skin: Skin) -> None:
    """Paint a toadstool."""
    pen.blob(path("-10,2 -10,25 -17,47 0,50 17,47 10,25 10,2"), CREAM)
    pen.blob(path("3,5 5,25 6,49 17,47 10,25 10,2"), mix(CREAM, BARK, 0.2))
    pen.oval(0, 0.07, 0.36, 0.075, mix(CREAM, BARK, 0.3))
    pen.blob(path("-45,4 -37,-23 -16,-41 10,-42 35,-26 45,3 20,3 0,2 -20,4"), skin.main)
    pen.blob(path("12,-41.5 30,-18 32,2 45,3 35,-26"), skin.dark)
    for x, y, rx, ry in (
        (-0.19, -0.2, 0.085, 0.08),
        (0.08, -0.3, 0.06, 0.05),
        (0.17, -0.09, 0.075, 0.07),
        (-0.05, -0.04, 0.05, 0.042),
        (-0.33, -0.03, 0.042, 0.045),
    ):
        pen.oval(x, y, rx, ry, CREAM)


def sun(pen: Pen, skin: Skin) -> None:
    """Paint a sun with rays."""
    for i in range(12):
        ray = pen.at(0, 0, turn=30 * i)
        ray.soft(
            [(-0.05, -0.31), (0.05, -0.31), (0, -0.49 if i % 2 else -0.43)],
            skin.light if i % 2 else skin.main,
            0.12,
        )
    pen.disc(0, 0, 0.28, skin.main)
    pen.disc(-0.03, -0.03, 0.225, mix(skin.main, WHITE, 0.2))


def moon(pen: Pen, skin: Skin) -> None:
    """Paint a full moon with its seas."""
    pen.disc(0, 0, 0.45, skin.main)
    pen.disc(-0.03, -0.03, 0.41, skin.light)
    for x, y, r in (
        (-0.15, -0.12, 0.095),
        (0.13, 0.14, 0.12),
        (0.18, -0.19, 0.06),
        (-0.17, 0.2, 0.06),
        (0.0, -0.28, 0.04),
    ):
        pen.disc(x, y, r, mix(skin.main, skin.light, 0.35))


def cloud(pen: Pen, skin: Skin) -> None:
    """Paint a fair-weather cloud."""
    shade = mix(skin.main, rgb("#7f9cc0"), 0.16)
    for x, y, r in ((-0.27, 0.08, 0.15), (-0.08, -0.04, 0.21), (0.14, -0.01, 0.18), (0.31, 0.09, 0.14)):
        pen.disc(x, y + 0.02, r, shade)
    pen.box(-0.42, 0.05, 0.87, 0.2, shade, r=0.1)
    for x, y, r in ((-0.27, 0.05, 0.14), (-0.08, -0.07, 0.2), (0.14, -0.035, 0.17), (0.31, 0.06, 0.125)):
        pen.disc(x, y, r, skin.main)
    pen.box(-0.4, 0.04, 0.83, 0.15, skin.main, r=0.075)


def mountain(pen: Pen, skin: Skin) -> None:
    """Paint a snow-capped peak."""
    pen.polygon(path("-60,50 -30,2 -20,-6 0,-45 14,-22 24,-12 36,10 60,50"), skin.main)
    pen.polygon(path("0,-45 14,-22 24,-12 36,10 60,50 12,50 16,20 3,2 7,-20"), skin.dark)
    pen.polygon(path("0,-45 -12.5,-20 -7.5,-14 -3,-20 3,-10 7,-20"), WHITE)
    pen.polygon(path("0,-45 7,-20 3,-10 9,-15 14,-10 19,-16.5 14,-22"), rgb("#d5e2f0"))


def wave_points(
    x0: float, x1: float, y: float, height: float, length: float, *, phase: float
) -> list[tuple[float, float]]:
    """Return the crest line of a regular sea."""
    steps = max(int((x1 - x0) / length * 10), 8)
    return [
        (x, y + height * math.sin(2 * math.pi * (x / length + phase)))
        for x in (x0 + (x1 - x0) * i / steps for i in range(steps + 1))
    ]
