"""A pen that fills flat shapes: user units in, whole pixels out, the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from ipyimagegen.sketch.drawing.palette import RGB, Colour, mix_along

Point = tuple[float, float]

STEPS = 8  # segments per curve: enough at the sizes that a curve takes


def smooth(points: Sequence[Point], *, closed: bool) -> list[Point]:
    """Return a Catmull-Rom curve through the points."""
    count = len(points)
    curve: list[Point] = []
    for i in range(count if closed else count - 1):
        places = range(i - 1, i + 3)
        p = [points[k % count if closed else min(max(k, 0), count - 1)] for k in places]
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
        """Pixels of a unit."""
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
        """Draw a smooth line of constant width with round ends."""
        self.ribbon(points, [width] * len(points), fill)

    def ring(self, x: float, y: float, r: float, width: float, fill: Colour, *, steps: int = 96) -> None:
        """Draw a circle as a line of a width inside radius `r`; what lies inside it stays as it is."""
        outer, inner = (trace_arc(x, y, radius, 0, math.tau, steps=steps) for radius in (r, r - width))
        self.polygon([*outer, *reversed(inner)], fill)


def make_gradient(size: tuple[int, int], colours: Sequence[RGB]) -> Image.Image:
    """Return an RGB image that runs from the first colour (top) to the last (bottom)."""
    column = bytes(level for i in range(256) for level in mix_along(colours, i / 255))
    return Image.frombytes("RGB", (1, 256), column).resize(size, Image.Resampling.BILINEAR)


def add_glow(image: Image.Image, centre: Point, radius: float, colour: RGB, strength: float) -> None:
    """Lighten the image around a point, in place; pixels, `strength` 0..1."""
    side = max(int(radius * 2), 2)
    halo = Image.radial_gradient("L").resize((side, side), Image.Resampling.BILINEAR)
    halo = halo.point([int(max(0.0, 1 - v / 180) ** 2 * 255 * strength) for v in range(256)])
    corner = (int(centre[0] - side / 2), int(centre[1] - side / 2))
    image.paste(Image.new("RGB", (side, side), colour), corner, halo)


def mend(image: Image.Image, area: Image.Image) -> Image.Image:
    """Return the image (RGB) with the area (L, 255 where to fill) filled smoothly from its surroundings.

    The known pixels are averaged into ever smaller images until nothing is unknown; what is unknown is
    taken from the next smaller image on the way back.
    """
    known = ImageChops.invert(area).point([0] * 255 + [255])
    level = image.convert("RGBA")
    level.putalpha(known)
    levels = [level]
    while level.getchannel("A").getextrema()[0] == 0 and max(level.size) > 1:
        half = max(1, (level.width + 1) // 2), max(1, (level.height + 1) // 2)
        level = level.resize(half, Image.Resampling.BOX)
        level.putalpha(level.getchannel("A").point([0] + [255] * 255))
        levels.append(level)
    filled = levels.pop().convert("RGB")
    for level in reversed(levels):
        larger = filled.resize(level.size, Image.Resampling.BILINEAR)
        unknown = level.getchannel("A").point([255] + [0] * 255)
        filled = Image.composite(larger, level.convert("RGB"), unknown)
    smooth = filled.filter(ImageFilter.GaussianBlur(min(image.size) / 120))
    return Image.composite(smooth, image, area.point([0] * 255 + [255]))


def make_curve(function: Callable[[int], float]) -> list[int]:
    """Return a table for `Image.point`: the function of each level 0..255, cut to whole levels."""
    return [max(0, min(255, int(function(v)))) for v in range(256)]
