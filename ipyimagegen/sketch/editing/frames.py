"""Thin ornamental frames for pictures of whose prompt nothing was understood: they cover only the rim."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from ipyimagegen.sketch.drawing.canvas import Pen, luminance, mix
from ipyimagegen.sketch.drawing.palette import INK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    from ipyimagegen.sketch.drawing.canvas import RGB, Point

SHARP = 3
REACH = 0.064  # of the short edge: nothing is drawn further inside


@dataclass(frozen=True, slots=True)
class Rim:
    """The picture in units of its short edge, and the colours: the darkest is that of the lines."""

    pen: Pen
    width: float
    height: float
    colours: Sequence[RGB]

    def line(self, inset: float, thick: float, colour: RGB) -> None:
        """Draw a rectangle of lines."""
        w, h = self.width, self.height
        for x, y, right, bottom in (
            (inset, inset, w - inset, inset + thick), (inset, h - inset - thick, w - inset, h - inset),
            (inset, inset, inset + thick, h - inset), (w - inset - thick, inset, w - inset, h - inset),
        ):  # fmt: skip
            self.pen.polygon([(x, y), (right, y), (right, bottom), (x, bottom)], colour)

    def along(self, inset: float, step: float) -> Iterator[tuple[Point, RGB]]:
        """Yield evenly spaced places along all sides, the colours in turn."""
        spans = self.width - 2 * inset, self.height - 2 * inset
        columns, rows = (max(2, round(span / step)) for span in spans)
        k = 0
        for i in range(columns + 1):
            for y in (inset, self.height - inset):
                yield (inset + spans[0] * i / columns, y), self.colours[k % len(self.colours)]
            k += 1
        for j in range(1, rows):
            for x in (inset, self.width - inset):
                yield (x, inset + spans[1] * j / rows), self.colours[k % len(self.colours)]
            k += 1

    def corners(self) -> Iterator[Point]:
        """Yield the four corners."""
        for x in (0.0, self.width):
            for y in (0.0, self.height):
                yield x, y


def ruled(rim: Rim) -> None:
    """Draw two lines, with quarter discs in the corners."""
    rim.line(0.0, 0.007, rim.colours[0])
    rim.line(0.012, 0.003, rim.colours[1])
    for x, y in rim.corners():
        for radius, colour in ((0.062, rim.colours[2]), (0.044, rim.colours[1]), (0.026, rim.colours[0])):
            rim.pen.disc(x, y, radius, colour)


def beaded(rim: Rim) -> None:
    """Draw a line with beads on it."""
    rim.line(0.007, 0.002, rim.colours[0])
    for (x, y), colour in rim.along(0.008, 0.036):
        rim.pen.disc(x, y, 0.0065, colour)


def bunting(rim: Rim) -> None:
    """Draw small triangles that point inwards."""
    rim.line(0.0, 0.004, rim.colours[0])
    for (x, y), colour in rim.along(0.003, 0.026):
        tip = 0.013
        if y in (0.003, rim.height - 0.003):
            tip = tip if y < rim.height / 2 else -tip
            rim.pen.polygon([(x - 0.01, y), (x + 0.01, y), (x, y + tip)], colour)
        else:
            tip = tip if x < rim.width / 2 else -tip
            rim.pen.polygon([(x, y - 0.01), (x, y + 0.01), (x + tip, y)], colour)


def stitched(rim: Rim) -> None:
    """Draw a band with a row of diamonds."""
    rim.line(0.0, 0.014, mix(rim.colours[-1], rim.colours[1], 0.12))
    rim.line(0.014, 0.0022, rim.colours[0])
    for (x, y), colour in rim.along(0.007, 0.026):
        rim.pen.polygon([(x - 0.01, y), (x, y - 0.0055), (x + 0.01, y), (x, y + 0.0055)], colour)


FRAMES: tuple[Callable[[Rim], None], ...] = (ruled, beaded, bunting, stitched)


def framed(image: Image.Image, colours: Sequence[RGB], rng: Random) -> Image.Image:
    """Return the picture (RGB) in a frame of one kind; what is inside stays exactly as it was."""
    tones = sorted(colours, key=luminance)
    tones = [mix(tones[0], INK, 0.3), *tones[1:]]
    kind = rng.choice(FRAMES)
    page = image.copy()
    unit = min(image.size)
    reach = math.ceil(unit * REACH)
    w, h = image.size
    for box in (
        (0, 0, w, reach), (0, h - reach, w, h),
        (0, reach, reach, h - reach), (w - reach, reach, w, h - reach),
    ):  # fmt: skip
        part = image.crop(box)
        large = part.resize((part.width * SHARP, part.height * SHARP), Image.Resampling.NEAREST)
        pen = Pen.on(large, unit * SHARP).at(-box[0] / unit, -box[1] / unit)
        kind(Rim(pen, w / unit, h / unit, tones))
        page.paste(large.reduce(SHARP), box[:2])
    return page
