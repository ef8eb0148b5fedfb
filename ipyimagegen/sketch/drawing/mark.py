"""The small "sketch" mark in a corner of every image, its letters drawn as strokes: no font is needed."""

from __future__ import annotations

import math

from PIL import Image, ImageChops, ImageFilter, ImageStat

from ipyimagegen.sketch.drawing.canvas import INK, WHITE, Pen, Point, luminance

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
ALIKE = 0.6  # of 1: how far a corner correlates with the letters if they are there
SHARP = 4  # supersampling: the letters are small


def measure_mark(image: Image.Image) -> tuple[int, int]:
    """Return width and height of the mark on an image, pixels."""
    height, pad = _measure_letters(image)
    width = sum(advance + GAP for advance, _ in LETTERS.values()) * height - GAP * height
    return int(width + 2 * pad + 0.5), int(height + 1.6 * pad + 0.5)


def _measure_letters(image: Image.Image) -> tuple[float, float]:
    height = max(7.0, min(image.size) * 0.019)
    return height, height * 0.5


def _find_corner(image: Image.Image) -> tuple[int, int]:
    """Return the upper left corner of the mark in the lower right of the image."""
    box, margin = measure_mark(image), max(2, int(min(image.size) * 0.014))
    return image.width - box[0] - margin, image.height - box[1] - margin


def add_mark(image: Image.Image, corner: tuple[int, int] | None = None) -> None:
    """Put the mark into the image (RGB or RGBA), in place.

    `corner` is its upper left corner in pixels; without it the mark goes to the lower right.
    """
    corner = corner or _find_corner(image)
    width, height = box = measure_mark(image)
    area = (*corner, corner[0] + width, corner[1] + height)
    behind = image.crop(area).convert("RGB")
    red, green, blue = (int(mean) for mean in ImageStat.Stat(behind).mean)
    dark = luminance((red, green, blue)) < 128
    if image.mode == "RGBA" and image.getpixel(corner)[3] == 0:  # type: ignore[index]
        dark = False
    letters, plate = (WHITE, INK) if dark else (INK, WHITE)
    shape = _draw_plate(image)
    image.paste(Image.new("RGB", box, plate), corner, shape.point(lambda v: v * 0.62))
    if image.mode == "RGBA":  # a paste through a mask mixes alpha too: the mark must be seen on nothing
        alpha = image.getchannel("A")
        shown = shape.point([v * 235 // 255 for v in range(256)])
        alpha.paste(ImageChops.lighter(alpha.crop(area), shown), corner)
        image.putalpha(alpha)
    image.paste(Image.new("RGB", box, letters), corner, _draw_letters(image))


def remove_mark(image: Image.Image) -> Image.Image:
    """Return the image (RGB or RGBA) without its mark, if it has one in the lower right.

    An image that is put into another would bring a second mark along.
    """
    corner, box = _find_corner(image), measure_mark(image)
    if min(corner) < 0:
        return image
    area = (*corner, corner[0] + box[0], corner[1] + box[1])
    if _correlate(image.crop(area).convert("L"), _draw_letters(image)) < ALIKE:
        return image
    plate = Image.new("L", image.size)
    plate.paste(_draw_plate(image).point([0] + [255] * 255), corner)
    clean = mend(image.convert("RGB"), plate)
    if image.mode == "RGBA":
        alpha = image.getchannel("A")
        around = alpha.crop((area[0] - 1, area[1] - 1, area[2] + 1, area[3] + 1))
        around.paste(0, (1, 1, around.width - 1, around.height - 1))
        if not around.histogram()[255]:  # nothing solid is about it
            alpha.paste(0, area)
        clean.putalpha(alpha)
    return clean


def _correlate(one: Image.Image, other: Image.Image) -> float:
    """Return the absolute correlation of two grey images, 0..1."""
    pairs = list(zip(one.tobytes(), other.tobytes(), strict=True))
    means = sum(a for a, _ in pairs) / len(pairs), sum(b for _, b in pairs) / len(pairs)
    both = sum((a - means[0]) * (b - means[1]) for a, b in pairs)
    spreads = sum((a - means[0]) ** 2 for a, _ in pairs) * sum((b - means[1]) ** 2 for _, b in pairs)
    return abs(both) / math.sqrt(spreads) if spreads else 0.0


def _draw_plate(image: Image.Image) -> Image.Image:
    width, height = measure_mark(image)
    mask, pen = _start_mask(width, height)
    pen.box(0, 0, width, height, WHITE, r=_measure_letters(image)[1])
    return mask.reduce(SHARP)


def _draw_letters(image: Image.Image) -> Image.Image:
    height, pad = _measure_letters(image)
    mask, pen = _start_mask(*measure_mark(image))
    pen = pen.at(pad, pad * 0.8, height)
    x = 0.0
    for advance, strokes in LETTERS.values():
        for stroke in strokes:
            pen.at(x, 0).stroke(stroke, 0.135, WHITE)
        x += advance + GAP
    return mask.reduce(SHARP)


def _start_mask(width: int, height: int) -> tuple[Image.Image, Pen]:
    mask = Image.new("L", (width * SHARP, height * SHARP))
    return mask, Pen.on(Image.new("RGB", (1, 1)), SHARP, mask)


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
