"""Colours, and a pen that fills flat shapes: user units in, whole pixels out, the same on every machine."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

RGB = tuple[int, int, int]
Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

STEPS = 8  # segments per curve: enough at the sizes that one curve takes


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

NAMED = {
    "red": "#dc3a34", "orange": "#f2862b", "yellow": "#f7cb3b", "green": "#3f9d56", "teal": "#1f8a8a",
    "cyan": "#35bfd6", "turquoise": "#3cc4b4", "blue": "#2f6fd0", "navy": "#1f3264", "purple": "#7d45a8",
    "violet": "#9b7bd4", "magenta": "#cf2f8d", "pink": "#f48fb1", "brown": "#8a5a3b", "beige": "#eeddbb",
    "black": "#2a2930", "white": "#fbf9f4", "grey": "#8f949c", "silver": "#c3c9d1", "gold": "#dfa92c",
    "maroon": "#7e2436", "olive": "#84862f", "lime": "#a4d037", "mint": "#9fdcc0", "coral": "#f7806b",
    "indigo": "#44419e",
}  # fmt: skip


def find_colour(name: str) -> RGB:
    """Return the colour of a name such as "light blue"."""
    shade, _, base = name.rpartition(" ")
    colour = to_rgb(NAMED[base])
    if shade == "light":
        return mix(colour, WHITE, 0.5)
    if shade == "dark":
        return mix(colour, to_rgb("#0a0a14"), 0.42)
    return _saturate(colour, 1.25) if shade == "bright" else colour


def _saturate(colour: RGB, factor: float) -> RGB:
    h, lightness, s = colorsys.rgb_to_hls(*(c / 255 for c in colour))
    r, g, b = colorsys.hls_to_rgb(h, lightness, min(1.0, s * factor))
    return int(r * 255 + 0.5), int(g * 255 + 0.5), int(b * 255 + 0.5)


def find_name(colour: RGB) -> str:
    """Return the name of the nearest plain colour."""
    return min(
        NAMED, key=lambda name: sum((a - b) ** 2 for a, b in zip(to_rgb(NAMED[name]), colour, strict=True))
    )


@dataclass(frozen=True, slots=True)
class Skin:
    """The colours of one figure; `chosen` is whether the prompt names them."""

    main: RGB
    second: RGB
    chosen: bool = False

    def tone(self, name: str) -> RGB:
        """Return one of the colours: main, second, light, pale, dark, deep or eye."""
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


def smooth(points: Sequence[Point], *, closed: bool) -> list[Point]:
    """Return a Catmull-Rom curve through the points."""
    count = len(points)
    curve: list[Point] = []
    for i in range(count if closed else count - 1):
        if closed:
            p = [points[(i + k - 1) % count] for k in range(4)]
        else:
            p = [points[min(max(i + k - 1, 0), count - 1)] for k in range(4)]
        curve.extend(_interpolate(p, step / STEPS) for step in range(STEPS))
    return curve if closed else [*curve, points[-1]]


def _interpolate(p: Sequence[Point], t: float) -> Point:
    a = -0.5 * t + t * t - 0.5 * t**3
    b = 1 - 2.5 * t * t + 1.5 * t**3
    c = 0.5 * t + 2 * t * t - 1.5 * t**3
    d = -0.5 * t * t + 0.5 * t**3
    return (
        a * p[0][0] + b * p[1][0] + c * p[2][0] + d * p[3][0],
        a * p[0][1] + b * p[1][1] + c * p[2][1] + d * p[3][1],
    )


def soften(points: Sequence[Point], roundness: float) -> list[Point]:
    """Return the polygon with each corner rounded over `roundness` (0..0.5) of its edges."""
    softened: list[Point] = []
    for i, corner in enumerate(points):
        start = _lerp(corner, points[i - 1], roundness)
        end = _lerp(corner, points[(i + 1) % len(points)], roundness)
        for step in range(STEPS + 1):
            t = step / STEPS
            softened.append(_lerp(_lerp(start, corner, t), _lerp(corner, end, t), t))
    return softened


def _lerp(a: Point, b: Point, t: float) -> Point:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def trace_arc(x: float, y: float, r: float, start: float, end: float, *, steps: int) -> list[Point]:
    """Return points on a circle between two angles in radians; 0 is to the right, positive is down."""
    angles = (start + (end - start) * i / steps for i in range(steps + 1))
    return [(x + r * math.cos(angle), y + r * math.sin(angle)) for angle in angles]


@dataclass(frozen=True, slots=True)
class Pen:
    """Paints in its own units through a similarity transform.

    `inks` are the surfaces that get every shape: the image (RGB, so that translucent colours blend), and,
    where the background stays transparent, the mask of what was painted opaquely.
    """

    inks: tuple[ImageDraw.ImageDraw, ...]
    xx: float
    xy: float
    yx: float
    yy: float
    dx: float
    dy: float

    @classmethod
    def on(cls, image: Image.Image, scale: float, mask: Image.Image | None = None) -> Pen:
        """Return a pen whose unit is `scale` pixels, origin at the top left."""
        inks = [ImageDraw.Draw(image, "RGBA")]
        if mask is not None:
            inks.append(ImageDraw.Draw(mask))
        return cls(tuple(inks), scale, 0.0, 0.0, scale, 0.0, 0.0)

    def at(self, x: float, y: float, size: float = 1.0, *, turn: float = 0.0, flip: bool = False) -> Pen:
        """Return a pen with its origin at (x, y), its unit `size`, turned by degrees, mirrored if `flip`."""
        cos, sin = size * math.cos(math.radians(turn)), size * math.sin(math.radians(turn))
        side = -1.0 if flip else 1.0
        return replace(
            self,
            xx=(self.xx * cos + self.xy * sin) * side,
            xy=self.xy * cos - self.xx * sin,
            yx=(self.yx * cos + self.yy * sin) * side,
            yy=self.yy * cos - self.yx * sin,
            dx=self.xx * x + self.xy * y + self.dx,
            dy=self.yx * x + self.yy * y + self.dy,
        )

    @property
    def unit(self) -> float:
        """Pixels of one unit."""
        return math.hypot(self.xx, self.yx)

    def _pixel(self, point: Point) -> tuple[int, int]:
        # rounded twice: the first hides the last bits in which libm differs between platforms
        x, y = point
        return (
            math.floor(round(self.xx * x + self.xy * y + self.dx, 3) + 0.5),
            math.floor(round(self.yx * x + self.yy * y + self.dy, 3) + 0.5),
        )

    def polygon(self, points: Iterable[Point], fill: Colour) -> None:
        """Fill the polygon."""
        pixels = [self._pixel(point) for point in points]
        self.inks[0].polygon(pixels, fill=fill)
        if len(fill) == 3 or fill[3] > 200:
            for ink in self.inks[1:]:
                ink.polygon(pixels, fill=255)

    def blob(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill the smooth closed curve through the points."""
        self.polygon(smooth(points, closed=True), fill)

    def soft(self, points: Sequence[Point], fill: Colour, roundness: float = 0.2) -> None:
        """Fill the polygon with rounded corners."""
        self.polygon(soften(points, roundness), fill)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour, *, turn: float = 0.0) -> None:
        """Fill an ellipse; `turn` in degrees."""
        radius = max(rx, ry) * self.unit
        sides = 160 if radius > 400 else 64 if radius > 40 else 24
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        points: list[Point] = []
        for i in range(sides):
            angle = 2 * math.pi * i / sides
            u, v = rx * math.sin(angle), -ry * math.cos(angle)
            points.append((x + u * cos - v * sin, y + u * sin + v * cos))
        self.polygon(points, fill)

    def disc(self, x: float, y: float, r: float, fill: Colour) -> None:
        """Fill a circle."""
        self.oval(x, y, r, r, fill)

    def box(self, x: float, y: float, w: float, h: float, fill: Colour, *, r: float = 0.0) -> None:
        """Fill a rectangle given by its top left corner and size, with corners of radius `r`."""
        if not r:
            self.polygon([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], fill)
            return
        r = min(r, w / 2, h / 2)
        corners = ((x + w - r, y + r), (x + w - r, y + h - r), (x + r, y + h - r), (x + r, y + r))
        points: list[Point] = []
        for k, (cx, cy) in enumerate(corners):
            for step in range(STEPS + 1):
                angle = math.radians(90 * k + 90 * step / STEPS)
                points.append((cx + r * math.sin(angle), cy - r * math.cos(angle)))
        self.polygon(points, fill)

    def ribbon(self, points: Sequence[Point], widths: Sequence[float], fill: Colour) -> None:
        """Fill a smooth band along the points, of the given full widths, with round ends."""
        curve = smooth([*points], closed=False)
        sizes = [width for width, _ in smooth([(width, 0.0) for width in widths], closed=False)]
        left: list[Point] = []
        right: list[Point] = []
        for i, (x, y) in enumerate(curve):
            (ax, ay), (bx, by) = curve[max(i - 1, 0)], curve[min(i + 1, len(curve) - 1)]
            length = math.hypot(bx - ax, by - ay) or 1.0
            nx, ny = -(by - ay) / length * sizes[i] / 2, (bx - ax) / length * sizes[i] / 2
            left.append((x + nx, y + ny))
            right.append((x - nx, y - ny))
        self.polygon([*left, *reversed(right)], fill)
        if len(fill) == 3:
            for (x, y), size in ((curve[0], sizes[0]), (curve[-1], sizes[-1])):
                self.disc(x, y, size / 2, fill)

    def stroke(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """Draw a smooth line of one width with round ends."""
        self.ribbon(points, [width] * len(points), fill)

    def ring(self, x: float, y: float, r: float, width: float, fill: Colour, *, steps: int = 96) -> None:
        """Draw a circle as a line of a width inside radius `r`; what lies inside it stays as it is."""
        outer, inner = (trace_arc(x, y, radius, 0, math.tau, steps=steps) for radius in (r, r - width))
        self.polygon([*outer, *reversed(inner)], fill)


def make_gradient(size: tuple[int, int], colours: Sequence[RGB]) -> Image.Image:
    """Return an RGB image that runs from the first colour (top) to the last (bottom)."""
    rows = 256
    column = bytearray()
    for i in range(rows):
        column.extend(mix_along(colours, i / (rows - 1)))
    return Image.frombytes("RGB", (1, rows), bytes(column)).resize(size, Image.Resampling.BILINEAR)


def add_glow(image: Image.Image, centre: Point, radius: float, colour: RGB, strength: float) -> None:
    """Lighten the image around a point, in place; pixels, `strength` 0..1."""
    side = max(int(radius * 2), 2)
    halo = Image.radial_gradient("L").resize((side, side), Image.Resampling.BILINEAR)
    halo = halo.point([int(max(0.0, 1 - v / 180) ** 2 * 255 * strength) for v in range(256)])
    corner = (int(centre[0] - side / 2), int(centre[1] - side / 2))
    image.paste(Image.new("RGB", (side, side), colour), corner, halo)


def make_curve(function: Callable[[int], float]) -> list[int]:
    """Return a table for `Image.point`: the function of each level 0..255, cut to whole levels."""
    return [max(0, min(255, int(function(v)))) for v in range(256)]
