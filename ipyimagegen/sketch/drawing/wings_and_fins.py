"""Birds, butterflies, fish and whales: each fills the unit square around the origin and stands at y = 0.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import mix, path, rgb
from ipyimagegen.sketch.drawing.faces import BEAK, PINK, both, eyes
from ipyimagegen.sketch.drawing.palette import CREAM, INK, WHITE

if TYPE_CHECKING:
    from ipyimagegen.sketch.drawing.canvas import Pen
    from ipyimagegen.sketch.drawing.palette import Skin


def bird(pen: Pen, skin: Skin) -> None:
    """Perches in profile, looking left."""
    for x in (-0.02, 0.08):
        pen.stroke([(x, 0.3), (x - 0.01, 0.46)], 0.022, BEAK)
        pen.stroke([(x - 0.07, 0.488), (x - 0.01, 0.465), (x + 0.05, 0.488)], 0.02, BEAK)
    pen.soft(path("16,12 47,-2 46,10 18,30"), skin.deep, 0.15)
    pen.soft(path("-30,-20 -46,-11.5 -30,-6"), BEAK, 0.12)
    pen.blob(path("-13,-36 -29,-28 -32,-10 -26,14 -8,33 14,32 28,14 18,-4 3,-26"), skin.main)
    pen.blob(path("-30,-3 -26,15 -8,32.5 8,32 -2,12 -16,-2"), skin.second)
    pen.blob(path("-4,0 -6,16 6,25 30,14 37,5 16,-3"), skin.dark)
    for i in range(3):
        pen.stroke(
            [(0.05 + i * 0.07, 0.17 - i * 0.02), (0.13 + i * 0.07, 0.13 - i * 0.02)], 0.014, skin.light
        )
    pen.disc(-0.19, -0.19, 0.036, INK)
    pen.disc(-0.2, -0.205, 0.013, WHITE)
    pen.oval(-0.17, -0.1, 0.036, 0.024, mix(skin.main, PINK, 0.6))


def owl(pen: Pen, skin: Skin) -> None:
    """Faces us with great eyes."""
    both(pen, path("-24,-22 -27,-46 -6,-36"), skin.main, 0.15)
    pen.blob(path("0,-40 -22,-33 -30,-5 -28,28 -13,46 13,46 28,28 30,-5 22,-33"), skin.main)
    pen.blob(path("0,0 -16,6 -17,30 0,43 17,30 16,6"), skin.second)
    for row in range(3):
        for i in range(3 - row % 2):
            x = (i - (2 - row % 2) / 2) * 0.1
            pen.ribbon(
                [(x - 0.035, 0.12 + row * 0.09), (x, 0.155 + row * 0.09), (x + 0.035, 0.12 + row * 0.09)],
                [0.014] * 3,
                skin.main,
            )
    for half in pen.sides():
        half.blob(path("25,-2 19,18 22,38 32,20 33,4"), skin.dark)
        half.disc(0.115, -0.16, 0.135, skin.second)
        half.disc(0.115, -0.16, 0.1, rgb("#f6c544"))
        half.disc(0.108, -0.16, 0.062, INK)
        half.disc(0.108 + 0.022, -0.185, 0.02, WHITE)
        for dx in (-0.04, 0.0, 0.04):
            half.oval(0.11 + dx, 0.465, 0.02, 0.035, BEAK)
    pen.soft(path("-4,-9 4,-9 0,2"), BEAK, 0.2)


def duck(pen: Pen, skin: Skin) -> None:
    """In profile, looking left."""
    for x in (-0.02, 0.1):
        pen.stroke([(x, 0.36), (x, 0.47)], 0.03, BEAK)
        pen.soft([(x - 0.09, 0.5), (x + 0.03, 0.5), (x, 0.455)], BEAK, 0.2)
    pen.soft(path("-26,-23 -47,-17 -46,-12 -26,-12"), BEAK, 0.25)
    pen.blob(path("-24,10 -24,30 -5,42 22,40 40,20 45,2 30,10 10,6 -8,0"), skin.main)
    pen.blob(path("-20,-40 -33,-28 -30,-12 -22,2 -22,20 -2,18 -2,0 0,-16 -6,-35"), skin.main)
    pen.blob(path("-2,13 2,28 18,30 34,15 20,12"), skin.dark)
    pen.disc(-0.2, -0.23, 0.034, INK)
    pen.disc(-0.21, -0.243, 0.012, WHITE)


def penguin(pen: Pen, skin: Skin) -> None:
    """Stands facing us."""
    for half in pen.sides():
        half.oval(0.1, 0.465, 0.09, 0.036, BEAK)
        half.oval(0.245, 0.12, 0.055, 0.2, skin.deep, turn=-16)
    pen.blob(path("0,-46 -17,-38 -22,-14 -26,20 -16,43 0,46.5 16,43 26,20 22,-14 17,-38"), skin.main)
    pen.blob(path("0,-8 -14,-4 -19,20 -10,40 0,43 10,40 19,20 14,-4"), CREAM)
    for half in pen.sides():
        half.oval(0.075, -0.24, 0.085, 0.1, CREAM)
        half.oval(0.12, -0.155, 0.03, 0.02, mix(CREAM, PINK, 0.8))
    pen.blob(path("-13,-12 0,-6 13,-12 0,-18"), CREAM)
    eyes(pen, 0, -0.24, 0.075, 0.026)
    pen.soft(path("-4.5,-20 4.5,-20 0,-13"), BEAK, 0.25)


def fish(pen: Pen, skin: Skin) -> None:
    """Swims to the left."""
    pen.blob(path("20,0 34,-20 48,-24 42,0 48,24 34,20"), skin.dark)
    pen.blob(path("-10,-20 2,-36 20,-30 20,-10"), skin.dark)
    pen.blob(path("-5,20 3,33 14,28 12,12"), skin.dark)
    pen.blob(path("-46,2 -36,-16 -12,-25 12,-17 30,0 12,17 -12,24 -36,17"), skin.main)
    for x, h in ((-0.14, 0.22), (0.02, 0.19), (0.15, 0.12)):
        pen.ribbon([(x, -h), (x + 0.045, 0), (x, h)], [0.02, 0.06, 0.02], skin.second)
    pen.blob(path("-12,2 -2,-2 6,8 -5,12"), skin.dark)
    pen.disc(-0.29, -0.06, 0.062, WHITE)
    pen.disc(-0.3, -0.055, 0.036, INK)
    pen.disc(-0.312, -0.07, 0.013, WHITE)
    pen.stroke(path("-44.5,6 -39,7.5 -36,5.5"), 0.014, skin.deep)


def whale(pen: Pen, skin: Skin) -> None:
    """Swims to the left, spouting."""
    spray = rgb("#bfe3f2")
    for points in (path("-12,-20 -13,-36 -24,-42"), path("-12,-20 -11,-36 0,-42")):
        pen.stroke(points, 0.03, spray)
    pen.disc(-0.28, -0.36, 0.02, spray)
    pen.disc(0.04, -0.36, 0.02, spray)
    pen.blob(path("36,-2 30,-20 38,-27 42,-20 50,-24 50,-10 44,2"), skin.dark)
    pen.blob(path("-48,10 -42,-12 -20,-24 6,-16 26,0 38,-8 45,-4 40,14 22,29 -10,36 -38,30"), skin.main)
    pen.blob(path("-47.5,12 -30,16 -5,16 14,24 10,31.5 -10,35.5 -38,30"), skin.second)
    for i in range(4):
        pen.stroke([(-0.38 + i * 0.1, 0.21), (-0.34 + i * 0.1, 0.29)], 0.012, skin.light)
    pen.blob(path("-6,16 4,24 10,40 -2,36 -10,24"), skin.dark)
    pen.disc(-0.28, 0.05, 0.03, INK)
    pen.disc(-0.289, 0.04, 0.011, WHITE)


def butterfly(pen: Pen, skin: Skin) -> None:
    """Wings spread, seen from above."""
    for half in pen.sides():
        half.blob(path("0,2 12,-30 36,-42 46,-24 34,0"), skin.main)
        half.blob(path("0,2 30,2 37,22 22,40 8,26"), skin.second)
        half.blob(path("8,-6 18,-26 32,-32 36,-20 26,-6"), skin.light)
        half.disc(0.3, -0.23, 0.045, skin.deep)
        half.disc(0.22, 0.2, 0.06, skin.light)
        half.disc(0.22, 0.2, 0.028, skin.deep)
        half.stroke(path("0,-20 5,-33 12,-39"), 0.014, INK)
        half.disc(0.12, -0.39, 0.018, INK)
    pen.ribbon(path("0,-20 0,2 0,30"), [0.06, 0.075, 0.025], INK)
    pen.disc(0, -0.21, 0.045, INK)
