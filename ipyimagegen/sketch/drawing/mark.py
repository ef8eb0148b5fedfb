"""The small "sketch" mark in a corner, its letters drawn as strokes: the same without any font."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageStat

from ipyimagegen.sketch.drawing.canvas import Pen, Point, luminance
from ipyimagegen.sketch.drawing.mending import mend
from ipyimagegen.sketch.drawing.palette import INK, WHITE

# strokes of each letter; x to the right, baseline y = 1, x-height y = 0.4, ascender y = 0
LETTERS: dict[str, tuple[float, tuple[tuple[Point, ...], ...]]] = {
    "s": (0.42, (((0.4, 0.48), (0.22, 0.4), (0.05, 0.53), (0.22, 0.68), (0.4, 0.84),
        (0.2, 1.0), (0.02, 0.91)),)),
    "k": (0.44, (((0.05, 0.0), (0.05, 1.0)), ((0.4, 0.42), (0.08, 0.72)), ((0.18, 0.64), (0.43, 1.0)))),
    "e": (0.48, (((0.05, 0.7), (0.45, 0.7), (0.4, 0.5), (0.25, 0.4), (0.08, 0.5),
        (0.03, 0.7), (0.1, 0.92), (0.27, 1.0), (0.44, 0.9)),)),
    "t": (0.36, (((0.16, 0.12), (0.16, 0.82), (0.24, 0.99), (0.37, 0.95)), ((0.0, 0.42), (0.34, 0.42)))),
    "c": (0.42, (((0.42, 0.5), (0.25, 0.4), (0.07, 0.51), (0.03, 0.7), (0.1, 0.92),
        (0.26, 1.0), (0.43, 0.9)),)),
    "h": (0.44, (((0.05, 0.0), (0.05, 1.0)), ((0.05, 0.62), (0.22, 0.4), (0.4, 0.52), (0.42, 1.0)))),
}  # fmt: skip
GAP = 0.2
ALIKE = 0.6  # of 1: how far a corner goes with the letters if they stand there
SHARP = 4  # supersampling: the letters are small


def extent(picture: Image.Image) -> tuple[int, int]:
    """Return width and height of the mark on the picture, pixels."""
    height, pad = _sizes(picture)
    width = sum(advance + GAP for advance, _ in LETTERS.values()) * height - GAP * height
    return int(width + 2 * pad + 0.5), int(height + 1.6 * pad + 0.5)


def _sizes(picture: Image.Image) -> tuple[float, float]:
    height = max(7.0, min(picture.size) * 0.019)
    return height, height * 0.5


def _place(picture: Image.Image) -> tuple[int, int]:
    """Return the upper left corner of the mark in the lower right of the picture."""
    box, margin = extent(picture), max(2, int(min(picture.size) * 0.014))
    return picture.width - box[0] - margin, picture.height - box[1] - margin


def unsigned(picture: Image.Image) -> Image.Image:
    """Return the picture (RGB or RGBA) without its mark, if it has one in the lower right.

    A picture that comes into another would bring a second one along.
    """
    corner, box = _place(picture), extent(picture)
    if min(corner) < 0:
        return picture
    area = (*corner, corner[0] + box[0], corner[1] + box[1])
    height, pad = _sizes(picture)
    if _alike(picture.crop(area).convert("L"), _letters(box, height, pad)) < ALIKE:
        return picture
    plate = Image.new("L", picture.size)
    plate.paste(_plate(box, pad).point([0] + [255] * 255), corner)
    clean = mend(picture.convert("RGB"), plate)
    if picture.mode == "RGBA":
        alpha = picture.getchannel("A")
        around = alpha.crop((area[0] - 1, area[1] - 1, area[2] + 1, area[3] + 1))
        around.paste(0, (1, 1, around.width - 1, around.height - 1))
        if not around.histogram()[255]:  # nothing solid is about it
            alpha.paste(0, area)
        clean.putalpha(alpha)
    return clean


def _alike(one: Image.Image, other: Image.Image) -> float:
    """Return how far two grey pictures go together or against each other, 0..1."""
    pairs = list(zip(one.tobytes(), other.tobytes(), strict=True))
    means = sum(a for a, _ in pairs) / len(pairs), sum(b for _, b in pairs) / len(pairs)
    both = sum((a - means[0]) * (b - means[1]) for a, b in pairs)
    spreads = sum((a - means[0]) ** 2 for a, _ in pairs) * sum((b - means[1]) ** 2 for _, b in pairs)
    return abs(both) / math.sqrt(spreads) if spreads else 0.0


def stamp(picture: Image.Image, corner: tuple[int, int] | None = None) -> None:
    """Put the mark into the picture, in place; RGB or RGBA.

    `corner` is its upper left one, in pixels; without it, the mark goes to the lower right.
    """
    (height, pad), box = _sizes(picture), extent(picture)
    corner = corner or _place(picture)
    behind = picture.crop((*corner, corner[0] + box[0], corner[1] + box[1])).convert("RGB")
    dark = luminance(tuple(int(v) for v in ImageStat.Stat(behind).mean)) < 128  # type: ignore[arg-type]
    if (
        picture.mode == "RGBA"
        and picture.crop((*corner, corner[0] + 1, corner[1] + 1)).getchannel("A").getextrema()[1] == 0
    ):
        dark = False
    letters, plate = (WHITE, INK) if dark else (INK, WHITE)
    picture.paste(Image.new("RGB", box, plate), corner, _plate(box, pad).point(lambda v: v * 0.62))
    if picture.mode == "RGBA":  # a paste through a mask mixes alpha too: the mark must be seen on nothing
        alpha = picture.getchannel("A")
        there = alpha.crop((*corner, corner[0] + box[0], corner[1] + box[1]))
        shown = _plate(box, pad).point([v * 235 // 255 for v in range(256)])
        alpha.paste(ImageChops.lighter(there, shown), corner)
        picture.putalpha(alpha)
    picture.paste(Image.new("RGB", box, letters), corner, _letters(box, height, pad))


def _plate(box: tuple[int, int], pad: float) -> Image.Image:
    mask = Image.new("L", (box[0] * SHARP, box[1] * SHARP))
    Pen.on(Image.new("RGB", (1, 1)), SHARP, mask).box(0, 0, box[0], box[1], WHITE, r=pad)
    return mask.reduce(SHARP)


def _letters(box: tuple[int, int], height: float, pad: float) -> Image.Image:
    mask = Image.new("L", (box[0] * SHARP, box[1] * SHARP))
    pen = Pen.on(Image.new("RGB", (1, 1)), SHARP, mask).at(pad, pad * 0.8, height)
    x = 0.0
    for advance, strokes in LETTERS.values():
        for stroke in strokes:
            pen.at(x, 0).stroke(stroke, 0.135, WHITE)
        x += advance + GAP
    return mask.reduce(SHARP)
