"""Made things and people: each fills the unit square around the origin and stands at y = 0.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.canvas import mix, rgb
from ipyimagegen.sketch.palette import CREAM, INK, WHITE

if TYPE_CHECKING:
    from ipyimagegen.sketch.canvas import Pen
    from ipyimagegen.sketch.palette import Skin

GLASS = rgb("#bfe2ee")
LAMP = rgb("#ffd873")
WOOD = rgb("#8d5f42")
STEEL = rgb("#aab4c0")


def house(pen: Pen, skin: Skin) -> None:
    """A gabled house; the colour is the walls', the second the roof's."""
    wall, roof = skin.main, skin.second
    pen.box(0.16, -0.42, 0.09, 0.24, mix(roof, INK, 0.25))
    pen.box(0.145, -0.44, 0.12, 0.045, mix(roof, INK, 0.4))
    pen.box(-0.33, -0.12, 0.66, 0.62, wall)
    pen.box(0.12, -0.12, 0.21, 0.62, mix(wall, INK, 0.08))
    pen.soft([(-0.44, -0.06), (0, -0.46), (0.44, -0.06)], roof, 0.04)
    pen.soft([(0, -0.46), (0.44, -0.06), (0.2, -0.06)], mix(roof, INK, 0.12), 0.04)
    pen.disc(0, -0.2, 0.062, CREAM)
    pen.disc(0, -0.2, 0.046, LAMP)
    pen.box(-0.075, 0.2, 0.15, 0.3, WOOD, 0.02)
    pen.disc(0.045, 0.36, 0.014, LAMP)
    for x in (-0.255, 0.125):
        pen.box(x - 0.012, 0.058, 0.154, 0.164, CREAM, 0.012)
        pen.box(x, 0.07, 0.13, 0.14, LAMP)
        pen.box(x + 0.058, 0.07, 0.014, 0.14, CREAM)
        pen.box(x, 0.133, 0.13, 0.014, CREAM)
    pen.box(-0.11, 0.47, 0.22, 0.03, mix(wall, INK, 0.25))


def lighthouse(pen: Pen, skin: Skin) -> None:
    """A striped tower with a lit lamp; beams are translucent."""
    for side in (-1, 1):
        pen.polygon([(side * 0.05, -0.33), (side * 0.5, -0.45), (side * 0.5, -0.2)], (*LAMP, 90))
    pen.blob(
        [(-0.34, 0.5), (-0.28, 0.4), (-0.1, 0.37), (0.14, 0.38), (0.3, 0.42), (0.36, 0.5)], rgb("#6d6a72")
    )
    half = ((0.4, 0.155), (0.27, 0.14), (0.14, 0.125), (0.01, 0.11), (-0.12, 0.096), (-0.24, 0.083))
    for i, ((y0, w0), (y1, w1)) in enumerate(zip(half, half[1:], strict=False)):
        fill = CREAM if i % 2 else skin.main
        pen.polygon([(-w0, y0), (w0, y0), (w1, y1), (-w1, y1)], fill)
        pen.polygon([(w0 * 0.35, y0), (w0, y0), (w1, y1), (w1 * 0.35, y1)], mix(fill, INK, 0.13))
    pen.box(-0.13, -0.26, 0.26, 0.035, skin.deep, 0.01)
    pen.box(-0.07, -0.39, 0.14, 0.13, LAMP)
    pen.box(-0.01, -0.39, 0.02, 0.13, skin.deep)
    pen.soft([(-0.1, -0.38), (0, -0.49), (0.1, -0.38)], skin.deep, 0.1)
    pen.box(-0.04, 0.26, 0.08, 0.14, INK, 0.04)
    pen.box(-0.028, 0.04, 0.056, 0.07, INK, 0.02)


def car(pen: Pen, skin: Skin) -> None:
    """A small car in profile, driving left."""
    pen.oval(0, 0.485, 0.44, 0.03, (*INK, 60))
    pen.blob(
        [(-0.25, 0.1), (-0.16, -0.11), (-0.06, -0.16), (0.14, -0.16), (0.25, -0.1), (0.33, 0.1)], skin.main
    )
    pen.soft([(-0.195, 0.08), (-0.12, -0.09), (-0.005, -0.105), (-0.005, 0.08)], GLASS, 0.16)
    pen.soft([(0.03, 0.08), (0.03, -0.105), (0.16, -0.1), (0.25, 0.08)], GLASS, 0.16)
    pen.soft([(-0.15, 0.08), (-0.1, -0.02), (-0.06, -0.02), (-0.11, 0.08)], WHITE, 0.1)
    pen.blob(
        [
            (-0.48, 0.2),
            (-0.44, 0.1),
            (-0.26, 0.06),
            (0.3, 0.06),
            (0.45, 0.11),
            (0.48, 0.24),
            (0.45, 0.34),
            (-0.45, 0.35),
        ],
        skin.main,
    )
    pen.box(-0.46, 0.25, 0.92, 0.11, skin.dark, 0.05)
    pen.box(0.045, 0.13, 0.07, 0.022, skin.deep, 0.011)
    pen.oval(-0.44, 0.19, 0.03, 0.04, LAMP)
    pen.oval(0.455, 0.2, 0.02, 0.04, rgb("#e4574c"))
    for x in (-0.26, 0.27):
        pen.disc(x, 0.35, 0.14, INK)
        pen.disc(x, 0.35, 0.075, STEEL)
        pen.disc(x, 0.35, 0.03, INK)


def boat(pen: Pen, skin: Skin) -> None:
    """A sailing boat; the colour is the sail's, the second the hull's."""
    pen.box(-0.022, -0.46, 0.034, 0.74, WOOD, 0.01)
    pen.polygon([(0.03, -0.44), (0.1, -0.26), (0.3, 0.06), (0.36, 0.2), (0.03, 0.2)], skin.main)
    pen.polygon([(0.03, 0.05), (0.29, 0.05), (0.36, 0.2), (0.03, 0.2)], skin.dark)
    pen.blob([(-0.05, -0.38), (-0.05, 0.19), (-0.32, 0.19), (-0.18, -0.08)], skin.light)
    pen.soft([(-0.005, -0.49), (0.14, -0.455), (-0.005, -0.41)], rgb("#e4574c"), 0.1)
    pen.soft([(-0.46, 0.25), (0.48, 0.25), (0.3, 0.48), (-0.3, 0.48)], skin.second, 0.13)
    pen.polygon([(-0.43, 0.285), (0.445, 0.285), (0.42, 0.33), (-0.4, 0.33)], CREAM)
    for x in (-0.18, 0.0, 0.18):
        pen.disc(x, 0.4, 0.026, CREAM)


def rocket(pen: Pen, skin: Skin) -> None:
    """Flies straight up on its flame."""
    pen.blob([(-0.09, 0.26), (-0.11, 0.36), (0, 0.5), (0.11, 0.36), (0.09, 0.26)], rgb("#f2862b"))
    pen.blob([(-0.05, 0.26), (-0.055, 0.33), (0, 0.42), (0.055, 0.33), (0.05, 0.26)], LAMP)
    for side in (-1, 1):
        pen.blob(
            [(side * 0.12, 0.02), (side * 0.27, 0.17), (side * 0.27, 0.33), (side * 0.11, 0.24)], skin.second
        )
    body = [
        (0, -0.5),
        (-0.12, -0.32),
        (-0.165, -0.05),
        (-0.11, 0.26),
        (0.11, 0.26),
        (0.165, -0.05),
        (0.12, -0.32),
    ]
    pen.soft(body, skin.main, 0.35)
    pen.soft(
        [(0.02, -0.44), (0.12, -0.3), (0.165, -0.05), (0.11, 0.26), (0.045, 0.26), (0.085, -0.05)],
        skin.dark,
        0.25,
    )
    pen.blob(
        [(0, -0.5), (-0.065, -0.41), (-0.105, -0.31), (0, -0.285), (0.105, -0.31), (0.065, -0.41)],
        skin.second,
    )
    pen.disc(0, -0.09, 0.085, skin.deep)
    pen.disc(0, -0.09, 0.064, GLASS)
    pen.oval(-0.02, -0.115, 0.02, 0.014, WHITE)
    pen.box(-0.1, 0.235, 0.2, 0.04, skin.deep, 0.015)
    pen.oval(0, 0.15, 0.022, 0.1, skin.second)


def robot(pen: Pen, skin: Skin) -> None:
    """Stands facing us."""
    joint = mix(STEEL, INK, 0.3)
    for side in (-1, 1):
        pen.box(side * 0.11 - 0.045, 0.32, 0.09, 0.14, joint)
        pen.box(side * 0.12 - 0.085, 0.43, 0.17, 0.07, skin.deep, 0.03)
        pen.stroke([(side * 0.24, 0.06), (side * 0.32, 0.17), (side * 0.32, 0.26)], 0.055, joint)
        pen.disc(side * 0.32, 0.29, 0.06, skin.dark)
        pen.box(side * 0.26 - 0.035, -0.28, 0.07, 0.13, joint, 0.02)
    pen.stroke([(0, -0.38), (0, -0.45)], 0.022, joint)
    pen.disc(0, -0.465, 0.035, rgb("#e4574c") if not skin.said else LAMP)
    pen.box(-0.07, -0.1, 0.14, 0.1, joint)
    pen.box(-0.22, -0.03, 0.44, 0.37, skin.main, 0.06)
    pen.box(-0.13, 0.05, 0.26, 0.17, skin.pale, 0.03)
    for i, colour in enumerate(("#e4574c", "#f7cb3b", "#3fae63")):
        pen.disc(-0.07 + i * 0.07, 0.1, 0.023, rgb(colour))
    pen.box(-0.09, 0.155, 0.18, 0.025, skin.dark, 0.01)
    pen.box(-0.25, -0.39, 0.5, 0.32, skin.main, 0.08)
    pen.box(-0.19, -0.34, 0.38, 0.2, skin.deep, 0.07)
    for side in (-1, 1):
        pen.disc(side * 0.09, -0.25, 0.045, rgb("#9be8e0"))
        pen.disc(side * 0.09 + 0.012, -0.265, 0.014, WHITE)
    pen.ribbon([(-0.05, -0.185), (0, -0.168), (0.05, -0.185)], [0.014] * 3, rgb("#9be8e0"))


def person(pen: Pen, skin: Skin) -> None:
    """A child in a coat, waving; the colour is the coat's."""
    face, hair = rgb("#e8b48c"), rgb("#4a3328")
    for side in (-1, 1):
        pen.box(side * 0.065 - 0.045, 0.27, 0.09, 0.2, skin.second, 0.02)
        pen.oval(side * 0.075, 0.475, 0.075, 0.03, INK)
    pen.stroke([(0.12, 0.0), (0.24, -0.06), (0.29, -0.2)], 0.075, skin.dark)
    pen.disc(0.295, -0.235, 0.045, face)
    pen.stroke([(-0.12, 0.0), (-0.21, 0.1), (-0.22, 0.22)], 0.075, skin.dark)
    pen.disc(-0.22, 0.25, 0.043, face)
    pen.blob(
        [
            (0, -0.08),
            (-0.13, -0.04),
            (-0.19, 0.3),
            (-0.1, 0.335),
            (0, 0.34),
            (0.1, 0.335),
            (0.19, 0.3),
            (0.13, -0.04),
        ],
        skin.main,
    )
    for y in (0.05, 0.14, 0.23):
        pen.disc(0, y, 0.014, skin.pale)
    pen.disc(0, -0.27, 0.205, hair)
    pen.blob(
        [(-0.19, -0.3), (-0.22, -0.12), (-0.15, -0.07), (0.15, -0.07), (0.22, -0.12), (0.19, -0.3)], hair
    )
    pen.blob(
        [
            (0, -0.38),
            (-0.14, -0.34),
            (-0.165, -0.22),
            (-0.1, -0.09),
            (0, -0.06),
            (0.1, -0.09),
            (0.165, -0.22),
            (0.14, -0.34),
        ],
        face,
    )
    pen.blob(
        [(-0.17, -0.28), (-0.1, -0.44), (0.1, -0.44), (0.17, -0.28), (0.06, -0.34), (-0.06, -0.31)], hair
    )
    for side in (-1, 1):
        pen.oval(side * 0.07, -0.215, 0.02, 0.027, INK)
        pen.oval(side * 0.105, -0.155, 0.028, 0.018, rgb("#e58f78"))
    pen.ribbon([(-0.04, -0.145), (0, -0.125), (0.04, -0.145)], [0.013] * 3, rgb("#a04a3f"))


def snowman(pen: Pen, skin: Skin) -> None:
    """Two balls of snow, a scarf, a carrot."""
    body = skin.main if skin.said else rgb("#f7fafd")
    shade = mix(body, rgb("#7fa3cc"), 0.3)
    for side in (-1, 1):
        pen.stroke([(side * 0.2, 0.08), (side * 0.32, -0.02), (side * 0.42, -0.08)], 0.022, WOOD)
        pen.stroke([(side * 0.34, -0.035), (side * 0.37, -0.12)], 0.018, WOOD)
    pen.oval(0, 0.22, 0.27, 0.27, shade)
    pen.oval(-0.02, 0.205, 0.245, 0.245, body)
    pen.oval(0, -0.18, 0.19, 0.19, shade)
    pen.oval(-0.015, -0.19, 0.172, 0.172, body)
    pen.ribbon([(-0.15, -0.05), (0, 0.0), (0.15, -0.05)], [0.065] * 3, rgb("#d8453e"))
    pen.ribbon([(0.09, -0.01), (0.12, 0.08), (0.1, 0.16)], [0.06, 0.065, 0.07], rgb("#b83a38"))
    for y in (0.12, 0.22, 0.32):
        pen.disc(-0.02, y, 0.021, INK)
    for x in (-0.075, 0.045):
        pen.disc(x, -0.225, 0.023, INK)
    pen.soft([(-0.02, -0.195), (-0.2, -0.15), (-0.01, -0.15)], rgb("#f2862b"), 0.12)
    pen.box(-0.19, -0.37, 0.36, 0.04, INK, 0.018)
    pen.box(-0.12, -0.5, 0.22, 0.15, INK, 0.015)
    pen.box(-0.12, -0.405, 0.22, 0.035, rgb("#d8453e"))


def balloon(pen: Pen, skin: Skin) -> None:
    """A balloon on its string."""
    pen.stroke([(0, 0.18), (0.03, 0.28), (-0.03, 0.38), (0.01, 0.5)], 0.012, mix(INK, WHITE, 0.35))
    pen.soft([(-0.04, 0.195), (0, 0.13), (0.04, 0.195)], skin.dark, 0.15)
    pen.blob(
        [
            (0, -0.5),
            (-0.2, -0.43),
            (-0.28, -0.22),
            (-0.2, 0.0),
            (0, 0.155),
            (0.2, 0.0),
            (0.28, -0.22),
            (0.2, -0.43),
        ],
        skin.main,
    )
    pen.blob(
        [(0.12, -0.44), (0.24, -0.26), (0.17, -0.02), (0.0, 0.14), (0.2, 0.0), (0.28, -0.22), (0.2, -0.43)],
        skin.dark,
    )
    pen.oval(-0.12, -0.31, 0.045, 0.085, skin.light, turn=24)


def apple(pen: Pen, skin: Skin) -> None:
    """An apple with its leaf."""
    pen.blob(
        [
            (0, -0.2),
            (-0.18, -0.29),
            (-0.38, -0.18),
            (-0.41, 0.08),
            (-0.28, 0.38),
            (-0.1, 0.49),
            (0, 0.46),
            (0.1, 0.49),
            (0.28, 0.38),
            (0.41, 0.08),
            (0.38, -0.18),
            (0.18, -0.29),
        ],
        skin.main,
    )
    pen.blob(
        [
            (0.2, -0.285),
            (0.33, -0.1),
            (0.32, 0.15),
            (0.18, 0.38),
            (0.05, 0.47),
            (0.1, 0.49),
            (0.28, 0.38),
            (0.41, 0.08),
            (0.38, -0.18),
        ],
        skin.dark,
    )
    pen.oval(-0.24, -0.04, 0.05, 0.1, skin.light, turn=22)
    pen.oval(0, -0.205, 0.09, 0.03, skin.deep)
    pen.ribbon([(0, -0.2), (0.01, -0.33), (0.07, -0.43)], [0.028, 0.03, 0.042], WOOD)
    pen.blob([(0.04, -0.32), (0.14, -0.46), (0.32, -0.46), (0.24, -0.33)], rgb("#4f9d4a"))


def cup(pen: Pen, skin: Skin) -> None:
    """A steaming cup on its saucer."""
    for x in (-0.12, 0.0, 0.12):
        pen.ribbon(
            [(x, -0.16), (x - 0.035, -0.26), (x + 0.03, -0.36), (x, -0.46)],
            [0.01, 0.028, 0.026, 0.006],
            rgb("#dfe3e6"),
        )
    pen.oval(0, 0.43, 0.4, 0.06, skin.dark)
    pen.oval(0, 0.415, 0.4, 0.055, skin.light)
    pen.blob([(0.22, -0.02), (0.4, -0.04), (0.45, 0.1), (0.36, 0.24), (0.2, 0.28)], skin.dark)
    pen.blob([(0.24, 0.04), (0.35, 0.03), (0.38, 0.1), (0.32, 0.18), (0.22, 0.2)], skin.pale)
    pen.blob(
        [(-0.29, -0.1), (-0.27, 0.18), (-0.17, 0.38), (0, 0.42), (0.17, 0.38), (0.27, 0.18), (0.29, -0.1)],
        skin.main,
    )
    pen.oval(0, -0.1, 0.29, 0.065, skin.light)
    pen.oval(0, -0.093, 0.25, 0.048, rgb("#6b4128"))
    pen.ribbon([(-0.21, 0.05), (-0.19, 0.2), (-0.13, 0.31)], [0.02, 0.034, 0.012], skin.light)


def hat(pen: Pen, skin: Skin) -> None:
    """A hat with a brim and a band."""
    pen.oval(0, 0.36, 0.47, 0.11, skin.dark)
    pen.oval(0, 0.33, 0.47, 0.1, skin.main)
    pen.blob(
        [
            (-0.27, 0.33),
            (-0.27, 0.05),
            (-0.2, -0.2),
            (0, -0.17),
            (0.2, -0.2),
            (0.27, 0.05),
            (0.27, 0.33),
            (0, 0.39),
        ],
        skin.main,
    )
    pen.blob(
        [(-0.275, 0.19), (-0.275, 0.32), (0, 0.39), (0.275, 0.32), (0.275, 0.19), (0, 0.25)],
        skin.deep if skin.said else skin.second,
    )


def cake(pen: Pen, skin: Skin) -> None:
    """A birthday cake with three candles."""
    sponge, icing = rgb("#e9c08d"), skin.main
    pen.oval(0, 0.45, 0.46, 0.05, rgb("#d5d9df"))
    for x, y, w, h in ((-0.36, 0.13, 0.72, 0.31), (-0.24, -0.13, 0.48, 0.27)):
        pen.box(x, y, w, h, sponge, 0.03)
        pen.box(x, y + h * 0.58, w, 0.032, skin.pale)
        pen.box(x - 0.012, y - 0.03, w + 0.024, 0.085, icing, 0.04)
        for i in range(6):
            drop = 0.05 if i % 2 else 0.025
            pen.box(x + 0.01 + i * (w - 0.02) / 6, y, (w - 0.02) / 6, 0.075 + drop, icing, 0.05)
    for x, colour in ((-0.14, "#4f8fd8"), (0, "#f2a13a"), (0.14, "#5fb37a")):
        pen.box(x - 0.018, -0.32, 0.036, 0.17, rgb(colour), 0.01)
        pen.blob([(x, -0.45), (x - 0.032, -0.37), (x, -0.33), (x + 0.032, -0.37)], rgb("#f2862b"))
        pen.blob([(x, -0.41), (x - 0.016, -0.365), (x, -0.34), (x + 0.016, -0.365)], LAMP)


def book(pen: Pen, skin: Skin) -> None:
    """An open book."""
    pen.soft(
        [(-0.48, -0.16), (-0.02, -0.1), (0.02, -0.1), (0.48, -0.16), (0.48, 0.36), (0, 0.45), (-0.48, 0.36)],
        skin.main,
        0.04,
    )
    for side in (-1, 1):
        pen.blob(
            [
                (0, -0.13),
                (side * 0.14, -0.24),
                (side * 0.32, -0.26),
                (side * 0.45, -0.22),
                (side * 0.44, 0.28),
                (side * 0.3, 0.24),
                (side * 0.12, 0.27),
                (0, 0.38),
            ],
            rgb("#ece2cf") if side > 0 else CREAM,
        )
        for i in range(5):
            y = -0.12 + i * 0.075
            pen.stroke(
                [(side * 0.08, y), (side * 0.22, y - 0.06), (side * (0.37 - 0.1 * (i == 4)), y - 0.055)],
                0.016,
                rgb("#b9ab98"),
            )
    pen.stroke([(0, -0.13), (0, 0.38)], 0.012, rgb("#b9ab98"))
    pen.polygon([(0.1, 0.25), (0.16, 0.25), (0.16, 0.5), (0.13, 0.46), (0.1, 0.5)], skin.second)


def umbrella(pen: Pen, skin: Skin) -> None:
    """An open umbrella."""
    pen.stroke([(0, -0.1), (0, 0.2), (0, 0.4), (0.05, 0.475), (0.12, 0.46), (0.13, 0.39)], 0.03, WOOD)
    pen.polygon([(-0.007, -0.5), (0.007, -0.5), (0.016, -0.4), (-0.016, -0.4)], WOOD)
    edges = [-0.47, -0.28, -0.1, 0.1, 0.28, 0.47]
    for i, (a, b) in enumerate(zip(edges, edges[1:], strict=False)):
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
