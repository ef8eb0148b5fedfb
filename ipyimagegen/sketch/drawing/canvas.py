"""A pen that paints flat shapes: user units in, whole pixels out, the same on every machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RGB = tuple[int, int, int]
Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

STEPS = 8  # segments per curve: enough at the sizes that one curve takes


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """Return `a` with `share` (0..1) of `b` in it."""
    return (
        int(a[0] + (b[0] - a[0]) * share + 0.5),
        int(a[1] + (b[1] - a[1]) * share + 0.5),
        int(a[2] + (b[2] - a[2]) * share + 0.5),
    )


def fade(colour: RGB, alpha: float) -> Colour:
    """Return the colour with an opacity of 0..1."""
    return (*colour, int(alpha * 255 + 0.5))


def luminance(colour: Colour) -> float:
    """Return the perceived brightness, 0..255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def rgb(text: str) -> RGB:
    """Return the colour of `#rrggbb`."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def smooth(points: Sequence[Point], *, closed: bool) -> list[Point]:
    """Return a Catmull-Rom curve through the points."""
    count = len(points)
    spans = count if closed else count - 1
    curve: list[Point] = []
    for i in range(spans):
        if closed:
            p = [points[(i + k - 1) % count] for k in range(4)]
        else:
            p = [points[min(max(i + k - 1, 0), count - 1)] for k in range(4)]
        curve.extend(_catmull(p, step / STEPS) for step in range(STEPS))
    return curve if closed else [*curve, points[-1]]


def _catmull(p: Sequence[Point], t: float) -> Point:
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
    count = len(points)
    out: list[Point] = []
    for i, corner in enumerate(points):
        start = _between(corner, points[i - 1], roundness)
        end = _between(corner, points[(i + 1) % count], roundness)
        for step in range(STEPS + 1):
            t = step / STEPS
            out.append(_between(_between(start, corner, t), _between(corner, end, t), t))
    return out


def _between(a: Point, b: Point, t: float) -> Point:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


@cache
def path(text: str) -> tuple[Point, ...]:
    """Return the points of "x,y x,y …", written in hundredths of a unit."""
    pairs = (pair.split(",") for pair in text.split())
    return tuple((float(x) / 100, float(y) / 100) for x, y in pairs)


def mirror(points: Iterable[Point], axis: float = 0.0) -> list[Point]:
    """Return the points reflected in the vertical line x = axis."""
    return [(2 * axis - x, y) for x, y in points]


def ring_points(
    x: float, y: float, rx: float, ry: float, *, turn: float = 0.0, sides: int = 48
) -> list[Point]:
    """Return points on an ellipse, the first at the top; `turn` in degrees."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    out: list[Point] = []
    for i in range(sides):
        angle = 2 * math.pi * i / sides
        u, v = rx * math.sin(angle), -ry * math.cos(angle)
        out.append((x + u * cos - v * sin, y + u * sin + v * cos))
    return out


@dataclass(frozen=True, slots=True)
class Pen:
    """Paints in its own units through a similarity transform.

    `inks` are the surfaces that get every shape: the picture (RGB, so that translucent colours
    blend), and, where the background stays transparent, the mask of what was painted opaquely.
    """

    inks: tuple[ImageDraw.ImageDraw, ...]
    xx: float
    xy: float
    yx: float
    yy: float
    dx: float
    dy: float

    @classmethod
    def on(cls, picture: Image.Image, scale: float, mask: Image.Image | None = None) -> Pen:
        """Return a pen whose unit is `scale` pixels, origin at the top left."""
        inks = [ImageDraw.Draw(picture, "RGBA")]
        if mask is not None:
            inks.append(ImageDraw.Draw(mask))
        return cls(tuple(inks), scale, 0.0, 0.0, scale, 0.0, 0.0)

    def at(self, x: float, y: float, size: float = 1.0, *, turn: float = 0.0, flip: bool = False) -> Pen:
        """Return a pen with its origin at (x, y), its unit `size`, turned by degrees, mirrored on request."""
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

    def sides(self) -> tuple[Pen, Pen]:
        """Return the mirrored pen and the pen itself, for what comes in pairs."""
        return self.at(0, 0, flip=True), self

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
        pixels = [self._pixel(p) for p in points]
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
        """Fill an ellipse."""
        sides = 64 if max(rx, ry) * self.unit > 40 else 24
        if max(rx, ry) * self.unit > 400:
            sides = 160
        self.polygon(ring_points(x, y, rx, ry, turn=turn, sides=sides), fill)

    def disc(self, x: float, y: float, r: float, fill: Colour) -> None:
        """Fill a circle."""
        self.oval(x, y, r, r, fill)

    def box(self, x: float, y: float, w: float, h: float, fill: Colour, *, r: float = 0.0) -> None:
        """Fill a rectangle given by its top left corner and size, with corners of radius `r`."""
        if r <= 0:
            self.polygon([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], fill)
            return
        r = min(r, w / 2, h / 2)
        points: list[Point] = []
        corners = (
            (x + w - r, y + r, 0),
            (x + w - r, y + h - r, 90),
            (x + r, y + h - r, 180),
            (x + r, y + r, 270),
        )
        for cx, cy, start in corners:
            for step in range(STEPS + 1):
                angle = math.radians(start + 90 * step / STEPS)
                points.append((cx + r * math.sin(angle), cy - r * math.cos(angle)))
        self.polygon(points, fill)

    def ribbon(self, points: Sequence[Point], widths: Sequence[float], fill: Colour) -> None:
        """Fill a smooth band along the points, of the given full widths, with round ends."""
        curve = smooth([*points], closed=False)
        sizes = [w for w, _ in smooth([(w, 0.0) for w in widths], closed=False)]
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


def gradient(size: tuple[int, int], colours: Sequence[RGB]) -> Image.Image:
    """Return an RGB picture that runs from the first colour (top) to the last (bottom)."""
    rows = 256
    column = bytearray()
    for i in range(rows):
        place = i / (rows - 1) * (len(colours) - 1)
        index = min(int(place), len(colours) - 2)
        column.extend(mix(colours[index], colours[index + 1], place - index))
    return Image.frombytes("RGB", (1, rows), bytes(column)).resize(size, Image.Resampling.BILINEAR)


def glow(picture: Image.Image, centre: Point, radius: float, colour: RGB, strength: float) -> None:
    """Lighten the picture around a point, in place; pixels, `strength` 0..1."""
    side = max(int(radius * 2), 2)
    halo = Image.radial_gradient("L").resize((side, side), Image.Resampling.BILINEAR)
    halo = halo.point([int(max(0.0, 1 - v / 180) ** 2 * 255 * strength) for v in range(256)])
    corner = (int(centre[0] - side / 2), int(centre[1] - side / 2))
    picture.paste(Image.new("RGB", (side, side), colour), corner, halo)
