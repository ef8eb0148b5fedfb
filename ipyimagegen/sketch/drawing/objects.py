"""Made things and people: each fills the unit square around the origin and stands at y = 0.5."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import mix, path, rgb
from ipyimagegen.sketch.drawing.palette import CREAM, INK, WHITE

if TYPE_CHECKING:
    from ipyimagegen.sketch.drawing.canvas import Pen
    from ipyimagegen.sketch.drawing.palette import Skin

GLASS = rgb("#bfe2ee")
LAMP = rgb("#ffd873")
WOOD = rgb("#8d5f42")
STEEL = rgb("#aab4c0")


def house(pen: Pen, skin: Skin) -> None:
    """Paint a gabled house; the colour is the walls', the second the roof's."""
    wall, roof = skin.main, skin.second
    pen.box(0.16, -0.42, 0.09, 0.24, mix(roof, INK, 0.25))
    pen.box(0.145, -0.44, 0.12, 0.045, mix(roof, INK, 0.4))
    pen.box(-0.33, -0.12, 0.66, 0.62, wall)
    pen.box(0.12, -0.12, 0.21, 0.62, mix(wall, INK, 0.08))
    pen.soft(path("-44,-6 0,-46 44,-6"), roof, 0.04)
    pen.soft(path("0,-46 44,-6 20,-6"), mix(roof, INK, 0.12), 0.04)
    pen.disc(0, -0.2, 0.062, CREAM)
    pen.disc(0, -0.2, 0.046, LAMP)
    pen.box(-0.075, 0.2, 0.15, 0.3, WOOD, r=0.02)
    pen.disc(0.045, 0.36, 0.014, LAMP)
    for x in (-0.255, 0.125):
        pen.box(x - 0.012, 0.058, 0.154, 0.164, CREAM, r=0.012)
        pen.box(x, 0.07, 0.13, 0.14, LAMP)
        pen.box(x + 0.058, 0.07, 0.014, 0.14, CREAM)
        pen.box(x, 0.133, 0.13, 0.014, CREAM)
    pen.box(-0.11, 0.47, 0.22, 0.03, mix(wall, INK, 0.25))


def lighthouse(pen: Pen, skin: Skin) -> None:
    """Paint a striped tower with a lit lamp; beams are translucent."""
    for half in pen.sides():
        for step in range(24):  # it fades with the distance
            reach = 0.18 + step * 0.02
            spread = (reach - 0.05) * 0.28
            half.polygon([(0.05, -0.33), (reach, -0.33 - spread), (reach, -0.33 + spread)], (*LAMP, 8))
    pen.blob(path("-34,50 -28,40 -10,37 14,38 30,42 36,50"), rgb("#6d6a72"))
    steps = ((0.4, 0.155), (0.27, 0.14), (0.14, 0.125), (0.01, 0.11), (-0.12, 0.096), (-0.24, 0.083))
    for i, ((y0, w0), (y1, w1)) in enumerate(pairwise(steps)):
        fill = CREAM if i % 2 else skin.main
        pen.polygon([(-w0, y0), (w0, y0), (w1, y1), (-w1, y1)], fill)
        pen.polygon([(w0 * 0.35, y0), (w0, y0), (w1, y1), (w1 * 0.35, y1)], mix(fill, INK, 0.13))
    pen.box(-0.13, -0.26, 0.26, 0.035, skin.deep, r=0.01)
    pen.box(-0.07, -0.39, 0.14, 0.13, LAMP)
    pen.box(-0.01, -0.39, 0.02, 0.13, skin.deep)
    pen.soft(path("-10,-38 0,-49 10,-38"), skin.deep, 0.1)
    pen.box(-0.04, 0.26, 0.08, 0.14, INK, r=0.04)
    pen.box(-0.028, 0.04, 0.056, 0.07, INK, r=0.02)


def car(pen: Pen, skin: Skin) -> None:
    """Paint a small car in profile, driving left."""
    pen.oval(0, 0.485, 0.44, 0.03, (*INK, 60))
    pen.blob(path("-25,10 -16,-11 -6,-16 14,-16 25,-10 33,10"), skin.main)
    pen.soft(path("-19.5,8 -12,-9 -0.5,-10.5 -0.5,8"), GLASS, 0.16)
    pen.soft(path("3,8 3,-10.5 16,-10 25,8"), GLASS, 0.16)
    pen.soft(path("-15,8 -10,-2 -6,-2 -11,8"), WHITE, 0.1)
    pen.blob(path("-48,20 -44,10 -26,6 30,6 45,11 48,24 45,34 -45,35"), skin.main)
    pen.box(-0.46, 0.25, 0.92, 0.11, skin.dark, r=0.05)
    pen.box(0.045, 0.13, 0.07, 0.022, skin.deep, r=0.011)
    pen.oval(-0.44, 0.19, 0.03, 0.04, LAMP)
    pen.oval(0.455, 0.2, 0.02, 0.04, rgb("#e4574c"))
    for x in (-0.26, 0.27):
        pen.disc(x, 0.35, 0.14, INK)
        pen.disc(x, 0.35, 0.075, STEEL)
        pen.disc(x, 0.35, 0.03, INK)


def boat(pen: Pen, skin: Skin) -> None:
    """Paint a sailing boat; the colour is the sail's, the second the hull's."""
    pen.box(-0.022, -0.46, 0.034, 0.74, WOOD, r=0.01)
    pen.polygon(path("3,-44 10,-26 30,6 36,20 3,20"), skin.main)
    pen.polygon(path("3,5 29,5 36,20 3,20"), skin.dark)
    pen.blob(path("-5,-38 -5,19 -32,19 -18,-8"), skin.light)
    pen.soft(path("-0.5,-49 14,-45.5 -0.5,-41"), rgb("#e4574c"), 0.1)
    pen.soft(path("-46,25 48,25 30,48 -30,48"), skin.second, 0.13)
    pen.polygon(path("-43,28.5 44.5,28.5 42,33 -40,33"), CREAM)
    for x in (-0.18, 0.0, 0.18):
        pen.disc(x, 0.4, 0.026, CREAM)


def rocket(pen: Pen, skin: Skin) -> None:
    """Flies straight up on its flame."""
    pen.blob(path("-9,26 -11,36 0,50 11,36 9,26"), rgb("#f2862b"))
    pen.blob(path("-5,26 -5.5,33 0,42 5.5,33 5,26"), LAMP)
    for half in pen.sides():
        half.blob(path("12,2 27,17 27,33 11,24"), skin.second)
    body = path("0,-50 -12,-32 -16.5,-5 -11,26 11,26 16.5,-5 12,-32")
    pen.soft(body, skin.main, 0.35)
    pen.soft(
        path("2,-44 12,-30 16.5,-5 11,26 4.5,26 8.5,-5"),
        skin.dark,
        0.25,
    )
    pen.blob(path("0,-50 -6.5,-41 -10.5,-31 0,-28.5 10.5,-31 6.5,-41"), skin.second)
    pen.disc(0, -0.09, 0.085, skin.deep)
    pen.disc(0, -0.09, 0.064, GLASS)
    pen.oval(-0.02, -0.115, 0.02, 0.014, WHITE)
    pen.box(-0.1, 0.235, 0.2, 0.04, skin.deep, r=0.015)
    pen.oval(0, 0.15, 0.022, 0.1, skin.second)


def robot(pen: Pen, skin: Skin) -> None:
    """Stands facing us."""
    joint = mix(STEEL, INK, 0.3)
    for half in pen.sides():
        half.box(0.11 - 0.045, 0.32, 0.09, 0.14, joint)
        half.box(0.12 - 0.085, 0.43, 0.17, 0.07, skin.deep, r=0.03)
        half.stroke(path("24,6 32,17 32,26"), 0.055, joint)
        half.disc(0.32, 0.29, 0.06, skin.dark)
        half.box(0.26 - 0.035, -0.28, 0.07, 0.13, joint, r=0.02)
    pen.stroke(path("0,-38 0,-45"), 0.022, joint)
    pen.disc(0, -0.465, 0.035, rgb("#e4574c") if not skin.said else LAMP)
    pen.box(-0.07, -0.1, 0.14, 0.1, joint)
    pen.box(-0.22, -0.03, 0.44, 0.37, skin.main, r=0.06)
    pen.box(-0.13, 0.05, 0.26, 0.17, skin.pale, r=0.03)
    for i, colour in enumerate(("#e4574c", "#f7cb3b", "#3fae63")):
        pen.disc(-0.07 + i * 0.07, 0.1, 0.023, rgb(colour))
    pen.box(-0.09, 0.155, 0.18, 0.025, skin.dark, r=0.01)
    pen.box(-0.25, -0.39, 0.5, 0.32, skin.main, r=0.08)
    pen.box(-0.19, -0.34, 0.38, 0.2, skin.deep, r=0.07)
    for half in pen.sides():
        half.disc(0.09, -0.25, 0.045, rgb("#9be8e0"))
        half.disc(0.09 + 0.012, -0.265, 0.014, WHITE)
    pen.ribbon(path("-5,-18.5 0,-16.8 5,-18.5"), [0.014] * 3, rgb("#9be8e0"))


def person(pen: Pen, skin: Skin) -> None:
    """Paint a child in a coat, waving; the colour is the coat's."""
    face, hair = rgb("#e8b48c"), rgb("#4a3328")
    for half in pen.sides():
        half.box(0.065 - 0.045, 0.27, 0.09, 0.2, skin.second, r=0.02)
        half.oval(0.075, 0.475, 0.075, 0.03, INK)
    pen.stroke(path("12,0 24,-6 29,-20"), 0.075, skin.dark)
    pen.disc(0.295, -0.235, 0.045, face)
    pen.stroke(path("-12,0 -21,10 -22,22"), 0.075, skin.dark)
    pen.disc(-0.22, 0.25, 0.043, face)
    pen.blob(path("0,-8 -13,-4 -19,30 -10,33.5 0,34 10,33.5 19,30 13,-4"), skin.main)
    for y in (0.05, 0.14, 0.23):
        pen.disc(0, y, 0.014, skin.pale)
    pen.disc(0, -0.27, 0.205, hair)
    pen.blob(path("-19,-30 -22,-12 -15,-7 15,-7 22,-12 19,-30"), hair)
    pen.blob(path("0,-38 -14,-34 -16.5,-22 -10,-9 0,-6 10,-9 16.5,-22 14,-34"), face)
    pen.blob(path("-17,-28 -10,-44 10,-44 17,-28 6,-34 -6,-31"), hair)
    for half in pen.sides():
        half.oval(0.07, -0.215, 0.02, 0.027, INK)
        half.oval(0.105, -0.155, 0.028, 0.018, rgb("#e58f78"))
    pen.ribbon(path("-4,-14.5 0,-12.5 4,-14.5"), [0.013] * 3, rgb("#a04a3f"))


def snowman(pen: Pen, skin: Skin) -> None:
    """Two balls of snow, a scarf, a carrot."""
    body = skin.main if skin.said else rgb("#f7fafd")
    shade = mix(body, rgb("#7fa3cc"), 0.3)
    for half in pen.sides():
        half.stroke(path("20,8 32,-2 42,-8"), 0.022, WOOD)
        half.stroke(path("34,-3.5 37,-12"), 0.018, WOOD)
    pen.oval(0, 0.22, 0.27, 0.27, shade)
    pen.oval(-0.02, 0.205, 0.245, 0.245, body)
    pen.oval(0, -0.18, 0.19, 0.19, shade)
    pen.oval(-0.015, -0.19, 0.172, 0.172, body)
    pen.ribbon(path("-15,-5 0,0 15,-5"), [0.065] * 3, rgb("#d8453e"))
    pen.ribbon(path("9,-1 12,8 10,16"), [0.06, 0.065, 0.07], rgb("#b83a38"))
    for y in (0.12, 0.22, 0.32):
        pen.disc(-0.02, y, 0.021, INK)
    for x in (-0.075, 0.045):
        pen.disc(x, -0.225, 0.023, INK)
    pen.soft(path("-2,-19.5 -20,-15 -1,-15"), rgb("#f2862b"), 0.12)
    pen.box(-0.19, -0.37, 0.36, 0.04, INK, r=0.018)
    pen.box(-0.12, -0.5, 0.22, 0.15, INK, r=0.015)
    pen.box(-0.12, -0.405, 0.22, 0.035, rgb("#d8453e"))


def balloon(pen: Pen, skin: Skin) -> None:
    """Paint a balloon on its string."""
    pen.stroke(path("0,18 3,28 -3,38 1,50"), 0.012, mix(INK, WHITE, 0.35))
    pen.soft(path("-4,19.5 0,13 4,19.5"), skin.dark, 0.15)
    pen.blob(path("0,-50 -20,-43 -28,-22 -20,0 0,15.5 20,0 28,-22 20,-43"), skin.main)
    pen.blob(path("12,-44 24,-26 17,-2 0,14 20,0 28,-22 20,-43"), skin.dark)
    pen.oval(-0.12, -0.31, 0.045, 0.085, skin.light, turn=24)


def apple(pen: Pen, skin: Skin) -> None:
    """Paint an apple with its leaf."""
    pen.blob(path("0,-20 -18,-29 -38,-18 -41,8 -28,38 -10,49 0,46 10,49 28,38 41,8 38,-18 18,-29"), skin.main)
    pen.blob(path("20,-28.5 33,-10 32,15 18,38 5,47 10,49 28,38 41,8 38,-18"), skin.dark)
    pen.oval(-0.24, -0.04, 0.05, 0.1, skin.light, turn=22)
    pen.oval(0, -0.205, 0.09, 0.03, skin.deep)
    pen.ribbon(path("0,-20 1,-33 7,-43"), [0.028, 0.03, 0.042], WOOD)
    pen.blob(path("4,-32 14,-46 32,-46 24,-33"), rgb("#4f9d4a"))


def cup(pen: Pen, skin: Skin) -> None:
    """Paint a steaming cup on its saucer."""
    for x in (-0.12, 0.0, 0.12):
        pen.ribbon(
            [(x, -0.16), (x - 0.035, -0.26), (x + 0.03, -0.36), (x, -0.46)],
            [0.01, 0.028, 0.026, 0.006],
            rgb("#dfe3e6"),
        )
    pen.oval(0, 0.43, 0.4, 0.06, skin.dark)
    pen.oval(0, 0.415, 0.4, 0.055, skin.light)
    pen.blob(path("22,-2 40,-4 45,10 36,24 20,28"), skin.dark)
    pen.blob(path("24,4 35,3 38,10 32,18 22,20"), skin.pale)
    pen.blob(path("-29,-10 -27,18 -17,38 0,42 17,38 27,18 29,-10"), skin.main)
    pen.oval(0, -0.1, 0.29, 0.065, skin.light)
    pen.oval(0, -0.093, 0.25, 0.048, rgb("#6b4128"))
    pen.ribbon(path("-21,5 -19,20 -13,31"), [0.02, 0.034, 0.012], skin.light)


def hat(pen: Pen, skin: Skin) -> None:
    """Paint a hat with a brim and a band."""
    pen.oval(0, 0.36, 0.47, 0.11, skin.dark)
    pen.oval(0, 0.33, 0.47, 0.1, skin.main)
    pen.blob(path("-27,33 -27,5 -20,-20 0,-17 20,-20 27,5 27,33 0,39"), skin.main)
    pen.blob(path("-27.5,19 -27.5,32 0,39 27.5,32 27.5,19 0,25"), skin.deep if skin.said else skin.second)


def cake(pen: Pen, skin: Skin) -> None:
    """Paint a birthday cake with three candles."""
    sponge, icing = rgb("#e9c08d"), skin.main
    pen.oval(0, 0.45, 0.46, 0.05, rgb("#d5d9df"))
    for x, y, w, h in ((-0.36, 0.13, 0.72, 0.31), (-0.24, -0.13, 0.48, 0.27)):
        pen.box(x, y, w, h, sponge, r=0.03)
        pen.box(x, y + h * 0.58, w, 0.032, skin.pale)
        pen.box(x - 0.012, y - 0.03, w + 0.024, 0.085, icing, r=0.04)
        for i in range(6):
            drop = 0.05 if i % 2 else 0.025
            pen.box(x + 0.01 + i * (w - 0.02) / 6, y, (w - 0.02) / 6, 0.075 + drop, icing, r=0.05)
    for x, colour in ((-0.14, "#4f8fd8"), (0, "#f2a13a"), (0.14, "#5fb37a")):
        pen.box(x - 0.018, -0.32, 0.036, 0.17, rgb(colour), r=0.01)
        pen.blob([(x, -0.45), (x - 0.032, -0.37), (x, -0.33), (x + 0.032, -0.37)], rgb("#f2862b"))
        pen.blob([(x, -0.41), (x - 0.016, -0.365), (x, -0.34), (x + 0.016, -0.365)], LAMP)


def book(pen: Pen, skin: Skin) -> None:
    """Paint an open book."""
    pen.soft(
        path("-48,-16 -2,-10 2,-10 48,-16 48,36 0,45 -48,36"),
        skin.main,
        0.04,
    )
    for half in pen.sides():
        half.blob(path("0,-13 14,-24 32,-26 45,-22 44,28 30,24 12,27 0,38"), CREAM)
        for i in range(5):
            y = -0.12 + i * 0.075
            half.stroke(
                [(0.08, y), (0.22, y - 0.06), ((0.37 - 0.1 * (i == 4)), y - 0.055)],
                0.016,
                rgb("#b9ab98"),
            )
    pen.stroke(path("0,-13 0,38"), 0.012, rgb("#b9ab98"))
    pen.polygon(path("10,25 16,25 16,50 13,46 10,50"), skin.second)


def umbrella(pen: Pen, skin: Skin) -> None:
    """Paint an open umbrella."""
    pen.stroke(path("0,-10 0,20 0,40 5,47.5 12,46 13,39"), 0.03, WOOD)
    pen.polygon(path("-0.7,-50 0.7,-50 1.6,-40 -1.6,-40"), WOOD)
    edges = [-0.47, -0.28, -0.1, 0.1, 0.28, 0.47]
    for i, (a, b) in enumerate(pairwise(edges)):
        middle = (a + b) / 2
        points = [
            (a, 0.03),
            (a * 0.9, -0.14),
            (a * 0.6, -0.33),
            (0, -0.43),
            (b * 0.6, -0.33),
            (b * 0.9, -0.14),
            (b, 0.03),
            (middle, -0.05),
        ]
        pen.polygon(points, skin.main if i % 2 == 0 else skin.second)
