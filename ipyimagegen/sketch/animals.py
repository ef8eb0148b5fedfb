"""Animals: each fills the unit square around the origin and stands at y = 0.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.canvas import mirror, mix, rgb
from ipyimagegen.sketch.palette import CREAM, INK, WHITE

if TYPE_CHECKING:
    from ipyimagegen.sketch.canvas import RGB, Pen, Point
    from ipyimagegen.sketch.palette import Skin

PINK = rgb("#f2a2a0")
BEAK = rgb("#f2a13a")


def _eyes(pen: Pen, x: float, y: float, gap: float, r: float, ink: RGB = INK) -> None:
    """Two round eyes with a spark, centred on (x, y)."""
    for side in (-1, 1):
        pen.oval(x + side * gap, y, r, r * 1.25, ink)
        pen.disc(x + side * gap + r * 0.3, y - r * 0.45, r * 0.36, WHITE if ink == INK else INK)


def _both(pen: Pen, points: list[Point], axis: float, fill: RGB, roundness: float = 0.25) -> None:
    """A soft polygon and its mirror image."""
    pen.soft(points, fill, roundness)
    pen.soft(mirror(points, axis), fill, roundness)


def _smile(pen: Pen, x: float, y: float, w: float, ink: RGB = INK) -> None:
    for side in (-1, 1):
        pen.stroke([(x, y), (x + side * w * 0.5, y + w * 0.32), (x + side * w, y + w * 0.1)], w * 0.16, ink)


def fox(pen: Pen, skin: Skin) -> None:
    """Sits with its tail around it."""
    fur, sock = skin.main, skin.deep
    pen.ribbon(
        [(0.08, 0.43), (0.26, 0.44), (0.385, 0.32), (0.40, 0.14), (0.33, -0.02)],
        [0.1, 0.16, 0.2, 0.19, 0.02],
        fur,
    )
    pen.ribbon([(0.395, 0.2), (0.392, 0.1), (0.33, -0.025)], [0.196, 0.165, 0.0], CREAM)
    pen.polygon(
        [
            (0.297, 0.2),
            (0.33, 0.155),
            (0.365, 0.215),
            (0.4, 0.155),
            (0.44, 0.215),
            (0.493, 0.18),
            (0.48, 0.24),
            (0.3, 0.24),
        ],
        fur,
    )
    pen.blob(
        [
            (-0.03, -0.14),
            (-0.16, 0.06),
            (-0.22, 0.32),
            (-0.2, 0.47),
            (-0.03, 0.5),
            (0.17, 0.49),
            (0.24, 0.36),
            (0.14, 0.06),
        ],
        fur,
    )
    pen.oval(0.135, 0.37, 0.115, 0.125, skin.dark)
    pen.blob(
        [
            (-0.14, 0.0),
            (-0.13, 0.14),
            (-0.09, 0.22),
            (-0.06, 0.31),
            (-0.03, 0.25),
            (0.0, 0.31),
            (0.03, 0.22),
            (0.08, 0.13),
            (0.08, 0.0),
        ],
        CREAM,
    )
    for x in (-0.095, 0.035):
        pen.ribbon([(x, 0.24), (x, 0.36), (x - 0.003, 0.455)], [0.075, 0.085, 0.075], fur)
        pen.ribbon([(x, 0.36), (x, 0.42), (x - 0.003, 0.463)], [0.05, 0.083, 0.075], sock)
        pen.oval(x - 0.006, 0.478, 0.05, 0.026, sock)
    pen.oval(0.17, 0.478, 0.075, 0.027, sock)
    _fox_head(pen.at(-0.03, -0.19), skin)


def _fox_head(pen: Pen, skin: Skin) -> None:
    _both(pen, [(-0.205, -0.04), (-0.225, -0.31), (-0.03, -0.13)], 0, skin.main, 0.12)
    _both(pen, [(-0.19, -0.1), (-0.2, -0.26), (-0.09, -0.15)], 0, skin.deep, 0.2)
    half = [
        (0.0, -0.155),
        (-0.12, -0.135),
        (-0.2, -0.04),
        (-0.29, 0.075),
        (-0.15, 0.13),
        (-0.05, 0.19),
        (0.0, 0.215),
    ]
    pen.soft([*half, *mirror(reversed(half[1:-1]))], skin.main, 0.3)
    cheek = [
        (0.0, 0.03),
        (-0.05, 0.085),
        (-0.13, 0.03),
        (-0.2, 0.055),
        (-0.282, 0.075),
        (-0.15, 0.128),
        (-0.05, 0.187),
        (0.0, 0.213),
    ]
    pen.soft([*cheek, *mirror(reversed(cheek[1:-1]))], CREAM, 0.3)
    pen.soft([(-0.05, 0.09), (0.0, -0.02), (0.05, 0.09), (0.0, 0.17)], skin.main, 0.3)
    _eyes(pen, 0, 0.025, 0.105, 0.026)
    pen.oval(0, 0.178, 0.036, 0.026, INK)
    pen.oval(-0.01, 0.168, 0.01, 0.006, mix(INK, WHITE, 0.6))
    for side in (-1, 1):
        pen.oval(side * 0.165, 0.088, 0.03, 0.018, mix(CREAM, PINK, 0.6))


def cat(pen: Pen, skin: Skin) -> None:
    """Sits upright, tail curled beside it."""
    light = skin.second
    pen.stroke([(0.12, 0.44), (0.3, 0.46), (0.38, 0.34), (0.33, 0.2), (0.38, 0.08)], 0.075, skin.dark)
    pen.blob(
        [
            (0, -0.1),
            (-0.15, 0.05),
            (-0.23, 0.32),
            (-0.2, 0.48),
            (0, 0.5),
            (0.2, 0.48),
            (0.23, 0.32),
            (0.15, 0.05),
        ],
        skin.main,
    )
    pen.blob([(0, 0.0), (-0.09, 0.08), (-0.1, 0.24), (0, 0.32), (0.1, 0.24), (0.09, 0.08)], light)
    for x in (-0.07, 0.07):
        pen.ribbon([(x, 0.26), (x, 0.38), (x, 0.46)], [0.08, 0.1, 0.1], skin.main)
        pen.oval(x, 0.472, 0.062, 0.034, light)
    pen.stroke([(0, 0.36), (0, 0.45)], 0.008, skin.dark)
    _both(pen, [(-0.23, -0.12), (-0.22, -0.43), (-0.03, -0.27)], 0, skin.main, 0.1)
    _both(pen, [(-0.195, -0.2), (-0.195, -0.36), (-0.1, -0.27)], 0, PINK, 0.15)
    pen.blob(
        [
            (0, -0.32),
            (-0.16, -0.29),
            (-0.25, -0.15),
            (-0.17, 0.0),
            (0, 0.04),
            (0.17, 0.0),
            (0.25, -0.15),
            (0.16, -0.29),
        ],
        skin.main,
    )
    for x in (-0.05, 0.0, 0.05):
        pen.ribbon([(x, -0.315), (x * 0.9, -0.25)], [0.026, 0.008], skin.dark)
    pen.blob([(0, -0.1), (-0.07, -0.07), (-0.1, -0.03), (0, 0.025), (0.1, -0.03), (0.07, -0.07)], light)
    _eyes(pen, 0, -0.145, 0.105, 0.032, skin.ink)
    pen.soft([(-0.024, -0.09), (0.024, -0.09), (0, -0.065)], PINK, 0.3)
    _smile(pen, 0, -0.065, 0.045)
    for side in (-1, 1):
        for dy in (-0.02, 0.015):
            pen.stroke([(side * 0.13, -0.06 + dy * 0.5), (side * 0.3, -0.075 + dy * 2)], 0.007, skin.deep)


def dog(pen: Pen, skin: Skin) -> None:
    """Sits, tongue out, ears hanging."""
    pen.stroke([(0.15, 0.42), (0.28, 0.36), (0.33, 0.22)], 0.07, skin.main)
    pen.blob(
        [
            (0, -0.1),
            (-0.15, 0.05),
            (-0.22, 0.32),
            (-0.2, 0.48),
            (0, 0.5),
            (0.2, 0.48),
            (0.22, 0.32),
            (0.15, 0.05),
        ],
        skin.main,
    )
    pen.blob([(0, -0.02), (-0.1, 0.08), (-0.1, 0.25), (0, 0.34), (0.1, 0.25), (0.1, 0.08)], skin.second)
    for side in (-1, 1):
        pen.oval(side * 0.175, 0.4, 0.075, 0.1, skin.dark)
        pen.ribbon(
            [(side * 0.075, 0.24), (side * 0.075, 0.38), (side * 0.075, 0.46)], [0.08, 0.1, 0.1], skin.main
        )
        pen.oval(side * 0.08, 0.472, 0.066, 0.034, skin.second)
    pen.ribbon(
        [(-0.15, 0.0), (0, 0.035), (0.15, 0.0)],
        [0.05, 0.05, 0.05],
        rgb("#d8453e") if not skin.said else rgb("#2f6fd0"),
    )
    pen.disc(0, 0.065, 0.03, rgb("#f2c14b"))
    pen.blob(
        [
            (0, -0.42),
            (-0.15, -0.37),
            (-0.21, -0.2),
            (-0.16, -0.05),
            (0, 0.01),
            (0.16, -0.05),
            (0.21, -0.2),
            (0.15, -0.37),
        ],
        skin.main,
    )
    pen.blob(
        [
            (0, -0.36),
            (-0.035, -0.24),
            (-0.11, -0.12),
            (-0.1, -0.03),
            (0, 0.0),
            (0.1, -0.03),
            (0.11, -0.12),
            (0.035, -0.24),
        ],
        skin.second,
    )
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.12, -0.39),
                (side * 0.22, -0.37),
                (side * 0.29, -0.18),
                (side * 0.25, -0.04),
                (side * 0.18, -0.13),
            ],
            skin.deep,
        )
    _eyes(pen, 0, -0.2, 0.095, 0.028, skin.ink)
    pen.blob([(-0.035, -0.04), (-0.03, 0.035), (0, 0.055), (0.03, 0.035), (0.035, -0.04)], rgb("#ea6f7c"))
    pen.oval(0, -0.115, 0.05, 0.035, INK)
    pen.oval(-0.014, -0.128, 0.014, 0.008, mix(INK, WHITE, 0.6))
    _smile(pen, 0, -0.075, 0.065)


def rabbit(pen: Pen, skin: Skin) -> None:
    """Sits upright, long ears."""
    pen.disc(0.2, 0.4, 0.075, CREAM)
    for side in (-1, 1):
        ear = pen.at(side * 0.085, -0.18, turn=side * 9)
        ear.oval(0, -0.16, 0.062, 0.2, skin.main)
        ear.oval(0, -0.15, 0.032, 0.15, mix(skin.main, PINK, 0.7))
    pen.blob(
        [
            (0, 0.0),
            (-0.16, 0.12),
            (-0.22, 0.34),
            (-0.18, 0.48),
            (0, 0.5),
            (0.18, 0.48),
            (0.22, 0.34),
            (0.16, 0.12),
        ],
        skin.main,
    )
    pen.blob([(0, 0.12), (-0.1, 0.2), (-0.11, 0.36), (0, 0.45), (0.11, 0.36), (0.1, 0.2)], skin.second)
    for side in (-1, 1):
        pen.oval(side * 0.13, 0.465, 0.1, 0.04, skin.light)
        pen.oval(side * 0.07, 0.26, 0.04, 0.075, skin.light, turn=side * 20)
    pen.blob(
        [
            (0, -0.22),
            (-0.13, -0.19),
            (-0.2, -0.05),
            (-0.14, 0.09),
            (0, 0.13),
            (0.14, 0.09),
            (0.2, -0.05),
            (0.13, -0.19),
        ],
        skin.main,
    )
    for side in (-1, 1):
        pen.oval(side * 0.135, 0.035, 0.035, 0.022, mix(skin.main, PINK, 0.7))
        pen.oval(side * 0.035, 0.055, 0.045, 0.036, skin.second)
    _eyes(pen, 0, -0.035, 0.1, 0.028, skin.ink)
    pen.soft([(-0.024, 0.015), (0.024, 0.015), (0, 0.042)], rgb("#e0787f"), 0.3)
    pen.box(-0.02, 0.083, 0.018, 0.03, WHITE, 0.004)
    pen.box(0.002, 0.083, 0.018, 0.03, WHITE, 0.004)


def bear(pen: Pen, skin: Skin) -> None:
    """Sits facing us."""
    _bear(pen, skin.main, skin.second, skin.main, skin.ink, None)


def panda(pen: Pen, skin: Skin) -> None:
    """Sits facing us, black and white."""
    dark = skin.main if skin.said else rgb("#33323c")
    _bear(pen, CREAM, CREAM, dark, INK, dark)


def _bear(pen: Pen, fur: RGB, muzzle: RGB, limbs: RGB, ink: RGB, patch: RGB | None) -> None:
    shade = mix(limbs, rgb("#1a1030"), 0.16)
    for side in (-1, 1):
        pen.disc(side * 0.17, -0.38, 0.085, limbs)
        pen.disc(side * 0.17, -0.375, 0.045, mix(muzzle, shade, 0.3) if patch is None else shade)
    pen.blob(
        [
            (0, -0.08),
            (-0.2, 0.05),
            (-0.29, 0.28),
            (-0.22, 0.47),
            (0, 0.5),
            (0.22, 0.47),
            (0.29, 0.28),
            (0.2, 0.05),
        ],
        fur,
    )
    pen.oval(0, 0.26, 0.16, 0.19, mix(fur, muzzle, 0.8))
    for side in (-1, 1):
        pen.oval(side * 0.24, 0.14, 0.075, 0.15, shade, turn=side * -24)
        pen.oval(side * 0.21, 0.43, 0.115, 0.085, limbs)
        pen.oval(side * 0.225, 0.435, 0.06, 0.05, mix(limbs, CREAM, 0.5))
    pen.blob(
        [
            (0, -0.44),
            (-0.17, -0.4),
            (-0.26, -0.22),
            (-0.18, -0.05),
            (0, 0.0),
            (0.18, -0.05),
            (0.26, -0.22),
            (0.17, -0.4),
        ],
        fur,
    )
    pen.oval(0, -0.12, 0.12, 0.09, muzzle)
    for side in (-1, 1):
        if patch:
            pen.oval(side * 0.11, -0.23, 0.052, 0.068, patch, turn=side * 28)
        pen.oval(side * 0.17, -0.13, 0.036, 0.022, mix(fur, PINK, 0.55))
    _eyes(pen, 0, -0.23, 0.1, 0.026, rgb("#f6f3ec") if patch else ink)
    pen.oval(0, -0.155, 0.046, 0.033, INK)
    _smile(pen, 0, -0.12, 0.05)


def bird(pen: Pen, skin: Skin) -> None:
    """Perches in profile, looking left."""
    for x in (-0.02, 0.08):
        pen.stroke([(x, 0.3), (x - 0.01, 0.46)], 0.022, BEAK)
        pen.stroke([(x - 0.07, 0.488), (x - 0.01, 0.465), (x + 0.05, 0.488)], 0.02, BEAK)
    pen.soft([(0.16, 0.12), (0.47, -0.02), (0.46, 0.1), (0.18, 0.3)], skin.deep, 0.15)
    pen.soft([(-0.3, -0.2), (-0.46, -0.115), (-0.3, -0.06)], BEAK, 0.12)
    pen.blob(
        [
            (-0.13, -0.36),
            (-0.29, -0.28),
            (-0.32, -0.1),
            (-0.26, 0.14),
            (-0.08, 0.33),
            (0.14, 0.32),
            (0.28, 0.14),
            (0.18, -0.04),
            (0.03, -0.26),
        ],
        skin.main,
    )
    pen.blob(
        [(-0.3, -0.03), (-0.26, 0.15), (-0.08, 0.325), (0.08, 0.32), (-0.02, 0.12), (-0.16, -0.02)],
        skin.second,
    )
    pen.blob([(-0.04, 0.0), (-0.06, 0.16), (0.06, 0.25), (0.3, 0.14), (0.37, 0.05), (0.16, -0.03)], skin.dark)
    for i in range(3):
        pen.stroke(
            [(0.05 + i * 0.07, 0.17 - i * 0.02), (0.13 + i * 0.07, 0.13 - i * 0.02)], 0.014, skin.light
        )
    pen.disc(-0.19, -0.19, 0.036, INK)
    pen.disc(-0.2, -0.205, 0.013, WHITE)
    pen.oval(-0.17, -0.1, 0.036, 0.024, mix(skin.main, PINK, 0.6))


def owl(pen: Pen, skin: Skin) -> None:
    """Faces us with great eyes."""
    _both(pen, [(-0.24, -0.22), (-0.27, -0.46), (-0.06, -0.36)], 0, skin.main, 0.15)
    pen.blob(
        [
            (0, -0.4),
            (-0.22, -0.33),
            (-0.3, -0.05),
            (-0.28, 0.28),
            (-0.13, 0.46),
            (0.13, 0.46),
            (0.28, 0.28),
            (0.3, -0.05),
            (0.22, -0.33),
        ],
        skin.main,
    )
    pen.blob([(0, 0.0), (-0.16, 0.06), (-0.17, 0.3), (0, 0.43), (0.17, 0.3), (0.16, 0.06)], skin.second)
    for row in range(3):
        for i in range(3 - row % 2):
            x = (i - (2 - row % 2) / 2) * 0.1
            pen.ribbon(
                [(x - 0.035, 0.12 + row * 0.09), (x, 0.155 + row * 0.09), (x + 0.035, 0.12 + row * 0.09)],
                [0.014] * 3,
                skin.main,
            )
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.25, -0.02),
                (side * 0.19, 0.18),
                (side * 0.22, 0.38),
                (side * 0.32, 0.2),
                (side * 0.33, 0.04),
            ],
            skin.dark,
        )
        pen.disc(side * 0.115, -0.16, 0.135, skin.second)
        pen.disc(side * 0.115, -0.16, 0.1, rgb("#f6c544"))
        pen.disc(side * 0.108, -0.16, 0.062, INK)
        pen.disc(side * 0.108 + 0.022, -0.185, 0.02, WHITE)
        for dx in (-0.04, 0.0, 0.04):
            pen.oval(side * 0.11 + dx, 0.465, 0.02, 0.035, BEAK)
    pen.soft([(-0.04, -0.09), (0.04, -0.09), (0, 0.02)], BEAK, 0.2)


def duck(pen: Pen, skin: Skin) -> None:
    """In profile, looking left."""
    for x in (-0.02, 0.1):
        pen.stroke([(x, 0.36), (x, 0.47)], 0.03, BEAK)
        pen.soft([(x - 0.09, 0.5), (x + 0.03, 0.5), (x, 0.455)], BEAK, 0.2)
    pen.soft([(-0.26, -0.23), (-0.47, -0.17), (-0.46, -0.12), (-0.26, -0.12)], BEAK, 0.25)
    pen.blob(
        [
            (-0.24, 0.1),
            (-0.24, 0.3),
            (-0.05, 0.42),
            (0.22, 0.4),
            (0.4, 0.2),
            (0.45, 0.02),
            (0.3, 0.1),
            (0.1, 0.06),
            (-0.08, 0.0),
        ],
        skin.main,
    )
    pen.blob(
        [
            (-0.2, -0.4),
            (-0.33, -0.28),
            (-0.3, -0.12),
            (-0.22, 0.02),
            (-0.22, 0.2),
            (-0.02, 0.18),
            (-0.02, 0.0),
            (0.0, -0.16),
            (-0.06, -0.35),
        ],
        skin.main,
    )
    pen.blob([(-0.02, 0.13), (0.02, 0.28), (0.18, 0.3), (0.34, 0.15), (0.2, 0.12)], skin.dark)
    pen.disc(-0.2, -0.23, 0.034, INK)
    pen.disc(-0.21, -0.243, 0.012, WHITE)


def penguin(pen: Pen, skin: Skin) -> None:
    """Stands facing us."""
    for side in (-1, 1):
        pen.oval(side * 0.1, 0.465, 0.09, 0.036, BEAK)
        pen.oval(side * 0.245, 0.12, 0.055, 0.2, skin.deep, turn=side * -16)
    pen.blob(
        [
            (0, -0.46),
            (-0.17, -0.38),
            (-0.22, -0.14),
            (-0.26, 0.2),
            (-0.16, 0.43),
            (0, 0.465),
            (0.16, 0.43),
            (0.26, 0.2),
            (0.22, -0.14),
            (0.17, -0.38),
        ],
        skin.main,
    )
    pen.blob(
        [
            (0, -0.08),
            (-0.14, -0.04),
            (-0.19, 0.2),
            (-0.1, 0.4),
            (0, 0.43),
            (0.1, 0.4),
            (0.19, 0.2),
            (0.14, -0.04),
        ],
        CREAM,
    )
    for side in (-1, 1):
        pen.oval(side * 0.075, -0.24, 0.085, 0.1, CREAM)
        pen.oval(side * 0.12, -0.155, 0.03, 0.02, mix(CREAM, PINK, 0.8))
    pen.blob([(-0.13, -0.12), (0, -0.06), (0.13, -0.12), (0, -0.18)], CREAM)
    _eyes(pen, 0, -0.24, 0.075, 0.026)
    pen.soft([(-0.045, -0.2), (0.045, -0.2), (0, -0.13)], BEAK, 0.25)


def fish(pen: Pen, skin: Skin) -> None:
    """Swims to the left."""
    pen.blob([(0.2, 0.0), (0.34, -0.2), (0.48, -0.24), (0.42, 0.0), (0.48, 0.24), (0.34, 0.2)], skin.dark)
    pen.blob([(-0.1, -0.2), (0.02, -0.36), (0.2, -0.3), (0.2, -0.1)], skin.dark)
    pen.blob([(-0.05, 0.2), (0.03, 0.33), (0.14, 0.28), (0.12, 0.12)], skin.dark)
    pen.blob(
        [
            (-0.46, 0.02),
            (-0.36, -0.16),
            (-0.12, -0.25),
            (0.12, -0.17),
            (0.3, 0.0),
            (0.12, 0.17),
            (-0.12, 0.24),
            (-0.36, 0.17),
        ],
        skin.main,
    )
    for x, h in ((-0.14, 0.22), (0.02, 0.19), (0.15, 0.12)):
        pen.ribbon([(x, -h), (x + 0.045, 0), (x, h)], [0.02, 0.06, 0.02], skin.second)
    pen.blob([(-0.12, 0.02), (-0.02, -0.02), (0.06, 0.08), (-0.05, 0.12)], skin.dark)
    pen.disc(-0.29, -0.06, 0.062, WHITE)
    pen.disc(-0.3, -0.055, 0.036, INK)
    pen.disc(-0.312, -0.07, 0.013, WHITE)
    pen.stroke([(-0.445, 0.06), (-0.39, 0.075), (-0.36, 0.055)], 0.014, skin.deep)


def whale(pen: Pen, skin: Skin) -> None:
    """Swims to the left, spouting."""
    spray = rgb("#bfe3f2")
    for points in (
        [(-0.12, -0.2), (-0.13, -0.36), (-0.24, -0.42)],
        [(-0.12, -0.2), (-0.11, -0.36), (0.0, -0.42)],
    ):
        pen.stroke(points, 0.03, spray)
    pen.disc(-0.28, -0.36, 0.02, spray)
    pen.disc(0.04, -0.36, 0.02, spray)
    pen.blob(
        [(0.36, -0.02), (0.3, -0.2), (0.38, -0.27), (0.42, -0.2), (0.5, -0.24), (0.5, -0.1), (0.44, 0.02)],
        skin.dark,
    )
    pen.blob(
        [
            (-0.48, 0.1),
            (-0.42, -0.12),
            (-0.2, -0.24),
            (0.06, -0.16),
            (0.26, 0.0),
            (0.38, -0.08),
            (0.45, -0.04),
            (0.4, 0.14),
            (0.22, 0.29),
            (-0.1, 0.36),
            (-0.38, 0.3),
        ],
        skin.main,
    )
    pen.blob(
        [
            (-0.475, 0.12),
            (-0.3, 0.16),
            (-0.05, 0.16),
            (0.14, 0.24),
            (0.1, 0.315),
            (-0.1, 0.355),
            (-0.38, 0.3),
        ],
        skin.second,
    )
    for i in range(4):
        pen.stroke([(-0.38 + i * 0.1, 0.21), (-0.34 + i * 0.1, 0.29)], 0.012, skin.light)
    pen.blob([(-0.06, 0.16), (0.04, 0.24), (0.1, 0.4), (-0.02, 0.36), (-0.1, 0.24)], skin.dark)
    pen.disc(-0.28, 0.05, 0.03, INK)
    pen.disc(-0.289, 0.04, 0.011, WHITE)


def elephant(pen: Pen, skin: Skin) -> None:
    """Stands in profile, looking left."""
    pen.stroke([(0.4, 0.02), (0.46, 0.12), (0.45, 0.24)], 0.022, skin.dark)
    for x, shade in ((-0.06, skin.dark), (0.24, skin.dark), (0.06, skin.main), (0.36, skin.main)):
        pen.box(x - 0.065, 0.15, 0.13, 0.35, shade, 0.04)
        for dx in (-0.035, 0.0, 0.035):
            pen.oval(x + dx, 0.49, 0.016, 0.014, skin.pale)
    pen.blob(
        [
            (-0.14, -0.1),
            (0.05, -0.25),
            (0.3, -0.22),
            (0.43, -0.02),
            (0.41, 0.24),
            (0.2, 0.32),
            (0.0, 0.3),
            (-0.12, 0.16),
        ],
        skin.main,
    )
    pen.ribbon(
        [(-0.3, -0.08), (-0.38, 0.1), (-0.37, 0.28), (-0.43, 0.4), (-0.49, 0.38)],
        [0.19, 0.12, 0.085, 0.07, 0.05],
        skin.main,
    )
    pen.ribbon([(-0.29, 0.08), (-0.34, 0.18), (-0.42, 0.2)], [0.05, 0.04, 0.012], CREAM)
    pen.blob(
        [
            (-0.2, -0.36),
            (-0.36, -0.28),
            (-0.4, -0.1),
            (-0.32, 0.08),
            (-0.16, 0.1),
            (-0.06, -0.06),
            (-0.08, -0.27),
        ],
        skin.main,
    )
    pen.blob(
        [
            (-0.12, -0.3),
            (0.06, -0.33),
            (0.16, -0.16),
            (0.1, 0.06),
            (-0.03, 0.14),
            (-0.13, 0.0),
            (-0.17, -0.15),
        ],
        skin.dark,
    )
    pen.blob(
        [(-0.08, -0.23), (0.04, -0.25), (0.1, -0.13), (0.06, 0.02), (-0.02, 0.07), (-0.09, -0.03)],
        mix(skin.dark, PINK, 0.5),
    )
    pen.disc(-0.27, -0.12, 0.026, INK)
    pen.disc(-0.278, -0.13, 0.01, WHITE)


def butterfly(pen: Pen, skin: Skin) -> None:
    """Wings spread, seen from above."""
    for side in (-1, 1):
        pen.blob(
            [(0, 0.02), (side * 0.12, -0.3), (side * 0.36, -0.42), (side * 0.46, -0.24), (side * 0.34, 0.0)],
            skin.main,
        )
        pen.blob(
            [(0, 0.02), (side * 0.3, 0.02), (side * 0.37, 0.22), (side * 0.22, 0.4), (side * 0.08, 0.26)],
            skin.second,
        )
        pen.blob(
            [
                (side * 0.08, -0.06),
                (side * 0.18, -0.26),
                (side * 0.32, -0.32),
                (side * 0.36, -0.2),
                (side * 0.26, -0.06),
            ],
            skin.light,
        )
        pen.disc(side * 0.3, -0.23, 0.045, skin.deep)
        pen.disc(side * 0.22, 0.2, 0.06, skin.light)
        pen.disc(side * 0.22, 0.2, 0.028, skin.deep)
        pen.stroke([(0, -0.2), (side * 0.05, -0.33), (side * 0.12, -0.39)], 0.014, INK)
        pen.disc(side * 0.12, -0.39, 0.018, INK)
    pen.ribbon([(0, -0.2), (0, 0.02), (0, 0.3)], [0.06, 0.075, 0.025], INK)
    pen.disc(0, -0.21, 0.045, INK)
