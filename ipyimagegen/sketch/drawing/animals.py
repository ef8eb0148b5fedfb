"""Animals on land: each fills the unit square around the origin and stands at y = 0.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import mirror, mix, path, rgb
from ipyimagegen.sketch.drawing.faces import PINK, both, eyes, smile
from ipyimagegen.sketch.drawing.palette import CREAM, INK, WHITE

if TYPE_CHECKING:
    from ipyimagegen.sketch.drawing.canvas import RGB, Pen
    from ipyimagegen.sketch.drawing.palette import Skin


def fox(pen: Pen, skin: Skin) -> None:
    """Paint one that sits with its tail around it."""
    fur, sock = skin.main, skin.deep
    pen.ribbon(path("8,43 26,44 38.5,32 40,14 33,-2"), [0.1, 0.16, 0.2, 0.19, 0.02], fur)
    pen.soft(path("33,-2.5 28,5 30.2,21 34,15.5 37.5,22 41.5,16 46,23 48.6,15 45,6"), CREAM, 0.12)
    pen.blob(path("-3,-14 -16,6 -22,32 -20,47 -3,50 17,49 24,36 14,6"), fur)
    pen.oval(0.135, 0.37, 0.115, 0.125, skin.dark)
    pen.blob(path("-14,0 -13,14 -9,22 -6,31 -3,25 0,31 3,22 8,13 8,0"), CREAM)
    for x in (-0.095, 0.035):
        pen.ribbon([(x, 0.24), (x, 0.36), (x - 0.003, 0.455)], [0.075, 0.085, 0.075], fur)
        pen.ribbon([(x, 0.36), (x, 0.42), (x - 0.003, 0.463)], [0.05, 0.083, 0.075], sock)
        pen.oval(x - 0.006, 0.478, 0.05, 0.026, sock)
    pen.oval(0.17, 0.478, 0.075, 0.027, sock)
    _fox_head(pen.at(-0.03, -0.19), skin)


def _fox_head(pen: Pen, skin: Skin) -> None:
    both(pen, path("-20.5,-4 -22.5,-31 -3,-13"), skin.main, 0.12)
    both(pen, path("-19,-10 -20,-26 -9,-15"), skin.deep, 0.2)
    outline = path("0,-15.5 -12,-13.5 -20,-4 -29,7.5 -15,13 -5,19 0,21.5")
    pen.soft([*outline, *mirror(reversed(outline[1:-1]))], skin.main, 0.3)
    cheek = path("0,3 -5,8.5 -13,3 -20,5.5 -28.2,7.5 -15,12.8 -5,18.7 0,21.3")
    pen.soft([*cheek, *mirror(reversed(cheek[1:-1]))], CREAM, 0.3)
    pen.soft(path("-5,9 0,-2 5,9 0,17"), skin.main, 0.3)
    eyes(pen, 0, 0.025, 0.105, 0.026)
    pen.oval(0, 0.178, 0.036, 0.026, INK)
    pen.oval(-0.01, 0.168, 0.01, 0.006, mix(INK, WHITE, 0.6))
    for half in pen.sides():
        half.oval(0.165, 0.088, 0.03, 0.018, mix(CREAM, PINK, 0.6))


def cat(pen: Pen, skin: Skin) -> None:
    """Sits upright, tail curled beside it."""
    light = skin.second
    pen.stroke(path("12,44 30,46 38,34 33,20 38,8"), 0.075, skin.dark)
    pen.blob(path("0,-10 -15,5 -23,32 -20,48 0,50 20,48 23,32 15,5"), skin.main)
    pen.blob(path("0,0 -9,8 -10,24 0,32 10,24 9,8"), light)
    for x in (-0.07, 0.07):
        pen.ribbon([(x, 0.26), (x, 0.38), (x, 0.46)], [0.08, 0.1, 0.1], skin.main)
        pen.oval(x, 0.472, 0.062, 0.034, light)
    pen.stroke(path("0,36 0,45"), 0.008, skin.dark)
    both(pen, path("-23,-12 -22,-43 -3,-27"), skin.main, 0.1)
    both(pen, path("-19.5,-20 -19.5,-36 -10,-27"), PINK, 0.15)
    pen.blob(path("0,-32 -16,-29 -25,-15 -17,0 0,4 17,0 25,-15 16,-29"), skin.main)
    for x in (-0.05, 0.0, 0.05):
        pen.ribbon([(x, -0.315), (x * 0.9, -0.25)], [0.026, 0.008], skin.dark)
    pen.blob(path("0,-10 -7,-7 -10,-3 0,2.5 10,-3 7,-7"), light)
    eyes(pen, 0, -0.145, 0.105, 0.032, ink=skin.ink)
    pen.soft(path("-2.4,-9 2.4,-9 0,-6.5"), PINK, 0.3)
    smile(pen, 0, -0.065, 0.045)
    for half in pen.sides():
        for dy in (-0.02, 0.015):
            half.stroke([(0.13, -0.06 + dy * 0.5), (0.3, -0.075 + dy * 2)], 0.007, skin.deep)


def dog(pen: Pen, skin: Skin) -> None:
    """Sits, tongue out, ears hanging."""
    pen.stroke(path("15,42 28,36 33,22"), 0.07, skin.main)
    pen.blob(path("0,-10 -15,5 -22,32 -20,48 0,50 20,48 22,32 15,5"), skin.main)
    pen.blob(path("0,-2 -10,8 -10,25 0,34 10,25 10,8"), skin.second)
    for half in pen.sides():
        half.oval(0.175, 0.4, 0.075, 0.1, skin.dark)
        half.ribbon(path("7.5,24 7.5,38 7.5,46"), [0.08, 0.1, 0.1], skin.main)
        half.oval(0.08, 0.472, 0.066, 0.034, skin.second)
    pen.ribbon(
        path("-15,0 0,3.5 15,0"),
        [0.05, 0.05, 0.05],
        rgb("#d8453e") if not skin.said else rgb("#2f6fd0"),
    )
    pen.disc(0, 0.065, 0.03, rgb("#f2c14b"))
    pen.blob(path("0,-42 -15,-37 -21,-20 -16,-5 0,1 16,-5 21,-20 15,-37"), skin.main)
    pen.blob(path("0,-36 -3.5,-24 -11,-12 -10,-3 0,0 10,-3 11,-12 3.5,-24"), skin.second)
    for half in pen.sides():
        half.blob(path("12,-39 22,-37 29,-18 25,-4 18,-13"), skin.deep)
    eyes(pen, 0, -0.2, 0.095, 0.028, ink=skin.ink)
    pen.blob(path("-3.5,-4 -3,3.5 0,5.5 3,3.5 3.5,-4"), rgb("#ea6f7c"))
    pen.oval(0, -0.115, 0.05, 0.035, INK)
    pen.oval(-0.014, -0.128, 0.014, 0.008, mix(INK, WHITE, 0.6))
    smile(pen, 0, -0.075, 0.065)


def rabbit(pen: Pen, skin: Skin) -> None:
    """Sits upright, long ears."""
    pen.disc(0.2, 0.4, 0.075, CREAM)
    for half in pen.sides():
        ear = half.at(0.085, -0.18, turn=9)
        ear.oval(0, -0.16, 0.062, 0.2, skin.main)
        ear.oval(0, -0.15, 0.032, 0.15, mix(skin.main, PINK, 0.7))
    pen.blob(path("0,0 -16,12 -22,34 -18,48 0,50 18,48 22,34 16,12"), skin.main)
    pen.blob(path("0,12 -10,20 -11,36 0,45 11,36 10,20"), skin.second)
    for half in pen.sides():
        half.oval(0.13, 0.465, 0.1, 0.04, skin.light)
        half.oval(0.07, 0.26, 0.04, 0.075, skin.light, turn=20)
    pen.blob(path("0,-22 -13,-19 -20,-5 -14,9 0,13 14,9 20,-5 13,-19"), skin.main)
    for half in pen.sides():
        half.oval(0.135, 0.035, 0.035, 0.022, mix(skin.main, PINK, 0.7))
        half.oval(0.035, 0.055, 0.045, 0.036, skin.second)
    eyes(pen, 0, -0.035, 0.1, 0.028, ink=skin.ink)
    pen.soft(path("-2.4,1.5 2.4,1.5 0,4.2"), rgb("#e0787f"), 0.3)
    pen.box(-0.02, 0.083, 0.018, 0.03, WHITE, r=0.004)
    pen.box(0.002, 0.083, 0.018, 0.03, WHITE, r=0.004)


def bear(pen: Pen, skin: Skin) -> None:
    """Sits facing us."""
    _bear(pen, skin.main, skin.second, skin.main, skin.ink, patch=None)


def panda(pen: Pen, skin: Skin) -> None:
    """Sits facing us, black and white."""
    dark = skin.main if skin.said else rgb("#33323c")
    _bear(pen, CREAM, CREAM, dark, INK, patch=dark)


def _bear(pen: Pen, fur: RGB, muzzle: RGB, limbs: RGB, ink: RGB, *, patch: RGB | None) -> None:
    shade = mix(limbs, rgb("#1a1030"), 0.16)
    for half in pen.sides():
        half.disc(0.17, -0.38, 0.085, limbs)
        half.disc(0.17, -0.375, 0.045, mix(muzzle, shade, 0.3) if patch is None else shade)
    pen.blob(path("0,-8 -20,5 -29,28 -22,47 0,50 22,47 29,28 20,5"), fur)
    pen.oval(0, 0.26, 0.16, 0.19, mix(fur, muzzle, 0.8))
    for half in pen.sides():
        half.oval(0.24, 0.14, 0.075, 0.15, shade, turn=-24)
        half.oval(0.21, 0.43, 0.115, 0.085, limbs)
        half.oval(0.225, 0.435, 0.06, 0.05, mix(limbs, CREAM, 0.5))
    pen.blob(path("0,-44 -17,-40 -26,-22 -18,-5 0,0 18,-5 26,-22 17,-40"), fur)
    pen.oval(0, -0.12, 0.12, 0.09, muzzle)
    for half in pen.sides():
        if patch:
            half.oval(0.11, -0.23, 0.052, 0.068, patch, turn=28)
        half.oval(0.17, -0.13, 0.036, 0.022, mix(fur, PINK, 0.55))
    eyes(pen, 0, -0.23, 0.1, 0.026, ink=rgb("#f6f3ec") if patch else ink)
    pen.oval(0, -0.155, 0.046, 0.033, INK)
    smile(pen, 0, -0.12, 0.05)


def elephant(pen: Pen, skin: Skin) -> None:
    """Stands in profile, looking left."""
    pen.stroke(path("40,2 46,12 45,24"), 0.022, skin.dark)
    for x, shade in ((-0.06, skin.dark), (0.24, skin.dark), (0.06, skin.main), (0.36, skin.main)):
        pen.box(x - 0.065, 0.15, 0.13, 0.35, shade, r=0.04)
        for dx in (-0.035, 0.0, 0.035):
            pen.oval(x + dx, 0.49, 0.016, 0.014, skin.pale)
    pen.blob(path("-14,-10 5,-25 30,-22 43,-2 41,24 20,32 0,30 -12,16"), skin.main)
    pen.ribbon(
        path("-30,-8 -38,10 -37,28 -43,40 -49,38"),
        [0.19, 0.12, 0.085, 0.07, 0.05],
        skin.main,
    )
    pen.ribbon(path("-29,8 -34,18 -42,20"), [0.05, 0.04, 0.012], CREAM)
    pen.blob(path("-20,-36 -36,-28 -40,-10 -32,8 -16,10 -6,-6 -8,-27"), skin.main)
    pen.blob(path("-12,-30 6,-33 16,-16 10,6 -3,14 -13,0 -17,-15"), skin.dark)
    pen.blob(path("-8,-23 4,-25 10,-13 6,2 -2,7 -9,-3"), mix(skin.dark, PINK, 0.5))
    pen.disc(-0.27, -0.12, 0.026, INK)
    pen.disc(-0.278, -0.13, 0.01, WHITE)
