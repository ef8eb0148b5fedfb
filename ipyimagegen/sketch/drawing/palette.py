"""Colours: their arithmetic, the named ones, and the skins of figures."""

from __future__ import annotations

import colorsys
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

RGB = tuple[int, int, int]
Colour = tuple[int, int, int] | tuple[int, int, int, int]


def to_rgb(text: str) -> RGB:
    """Return the colour of `#rrggbb`."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def to_rgbs(text: str) -> list[RGB]:
    """Return the colours of "#rrggbb #rrggbb ..."."""
    return [to_rgb(word) for word in text.split()]


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """Return `a` with `share` (0..1) of `b` in it."""
    return (
        int(a[0] + (b[0] - a[0]) * share + 0.5),
        int(a[1] + (b[1] - a[1]) * share + 0.5),
        int(a[2] + (b[2] - a[2]) * share + 0.5),
    )


def mix_along(colours: Sequence[RGB], place: float) -> RGB:
    """Return the colour at a place of 0..1 on the way from the first colour to the last."""
    place *= len(colours) - 1
    index = min(int(place), len(colours) - 2)
    return mix(colours[index], colours[index + 1], place - index)


def fade(colour: RGB, alpha: float) -> Colour:
    """Return the colour with an opacity of 0..1."""
    return (*colour, int(alpha * 255 + 0.5))


def luminance(colour: Colour) -> float:
    """Return the perceived brightness, 0..255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


INK = to_rgb("#2b2a38")
CREAM = to_rgb("#fff8ec")
WHITE = to_rgb("#ffffff")
DARKEST = to_rgb("#1a1030")

_TABLE = tomllib.loads(files(__package__).joinpath("palette.toml").read_text(encoding="utf-8"))
NAMED: dict[str, str] = _TABLE["named"]
COMBINATIONS: list[str] = _TABLE["combinations"]  # colours that go well together


def find_colour(name: str) -> RGB:
    """Return the colour of a name such as "light blue"."""
    shade, _, base = name.rpartition(" ")
    colour = to_rgb(NAMED[base])
    if shade == "light":
        return mix(colour, WHITE, 0.5)
    if shade == "dark":
        return mix(colour, to_rgb("#0a0a14"), 0.42)
    if shade == "bright":
        h, lightness, s = colorsys.rgb_to_hls(*(c / 255 for c in colour))
        r, g, b = colorsys.hls_to_rgb(h, lightness, min(1.0, s * 1.25))
        colour = int(r * 255 + 0.5), int(g * 255 + 0.5), int(b * 255 + 0.5)
    return colour


def find_name(colour: RGB) -> str:
    """Return the name of the nearest plain colour."""
    return min(NAMED, key=lambda name: math.dist(to_rgb(NAMED[name]), colour))


@dataclass(frozen=True, slots=True)
class Skin:
    """The colours of a figure; `chosen` is whether the prompt names them."""

    main: RGB
    second: RGB
    chosen: bool = False

    def tone(self, name: str) -> RGB:
        """Return a colour by its name: main, second, light, pale, dark, deep or eye."""
        if name == "second":
            return self.second
        if name == "eye":  # dark, or light on a dark face
            return INK if luminance(self.main) > 60 else to_rgb("#f3ead8")
        other, share = TONES[name]
        return mix(self.main, other, share)


TONES = {
    "main": (WHITE, 0.0),
    "light": (WHITE, 0.32),
    "pale": (CREAM, 0.8),
    "dark": (DARKEST, 0.2),
    "deep": (DARKEST, 0.55),
}
