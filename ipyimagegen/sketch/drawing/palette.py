"""Colours: the named ones, the skin of a thing, and palettes that go well together."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

from ipyimagegen.sketch.drawing.canvas import RGB, luminance, mix, rgb

INK = rgb("#2b2a38")
CREAM = rgb("#fff8ec")
WHITE = rgb("#ffffff")

NAMED = {
    "red": "#dc3a34", "orange": "#f2862b", "yellow": "#f7cb3b", "green": "#3f9d56", "teal": "#1f8a8a",
    "cyan": "#35bfd6", "turquoise": "#3cc4b4", "blue": "#2f6fd0", "navy": "#1f3264", "purple": "#7d45a8",
    "violet": "#9b7bd4", "magenta": "#cf2f8d", "pink": "#f48fb1", "brown": "#8a5a3b", "beige": "#eeddbb",
    "black": "#2a2930", "white": "#fbf9f4", "grey": "#8f949c", "silver": "#c3c9d1", "gold": "#dfa92c",
    "maroon": "#7e2436", "olive": "#84862f", "lime": "#a4d037", "mint": "#9fdcc0", "coral": "#f7806b",
    "indigo": "#44419e",
}  # fmt: skip

PALETTES = (
    "#264653 #2a9d8f #e9c46a #f4a261 #e76f51 #f6efe0",
    "#22223b #4a4e69 #9a8c98 #c9ada7 #f2e9e4 #d97d54",
    "#0b3954 #087e8b #bfd7ea #ff5a5f #f2c57c #faf3e7",
    "#355070 #6d597a #b56576 #e56b6f #eaac8b #fbeee0",
    "#283618 #606c38 #a3b18a #dda15e #bc6c25 #fefae0",
    "#1d3557 #457b9d #a8dadc #e63946 #f4b860 #f1faee",
    "#3d405b #81b29a #f2cc8f #e07a5f #c8553d #f4f1de",
    "#2d3047 #419d78 #e0a458 #c04abc #ffdbb5 #fff7ec",
    "#14342b #60935d #bbdf91 #f5cb5c #ee964b #f7f7e8",
    "#5f0f40 #9a031e #fb8b24 #e36414 #0f4c5c #fdf0d5",
)


def named(name: str) -> RGB:
    """Return the colour of a name such as "light blue"."""
    shade, _, base = name.rpartition(" ")
    colour = rgb(NAMED[base])
    if shade == "light":
        return mix(colour, WHITE, 0.5)
    if shade == "dark":
        return mix(colour, rgb("#0a0a14"), 0.42)
    return saturate(colour, 1.25) if shade == "bright" else colour


def saturate(colour: RGB, factor: float) -> RGB:
    """Return the colour with its saturation times `factor`."""
    h, lightness, s = colorsys.rgb_to_hls(*(c / 255 for c in colour))
    r, g, b = colorsys.hls_to_rgb(h, lightness, min(1.0, s * factor))
    return int(r * 255 + 0.5), int(g * 255 + 0.5), int(b * 255 + 0.5)


def nearest(colour: RGB) -> str:
    """Return the name of the nearest plain colour."""
    return min(
        NAMED, key=lambda name: sum((a - b) ** 2 for a, b in zip(rgb(NAMED[name]), colour, strict=True))
    )


@dataclass(frozen=True, slots=True)
class Skin:
    """The colours of one thing: `main` as asked for or its own, `second` where two were asked for."""

    main: RGB
    second: RGB
    said: bool = False

    @property
    def light(self) -> RGB:
        """A lighter tone of the main colour."""
        return mix(self.main, WHITE, 0.32)

    @property
    def pale(self) -> RGB:
        """A tint of the main colour, nearly white."""
        return mix(self.main, CREAM, 0.8)

    @property
    def dark(self) -> RGB:
        """A darker tone of the main colour."""
        return mix(self.main, rgb("#1a1030"), 0.2)

    @property
    def deep(self) -> RGB:
        """A much darker tone of the main colour."""
        return mix(self.main, rgb("#1a1030"), 0.55)

    @property
    def ink(self) -> RGB:
        """Eyes and noses: dark, or light on a dark face."""
        return INK if luminance(self.main) > 60 else rgb("#f3ead8")
