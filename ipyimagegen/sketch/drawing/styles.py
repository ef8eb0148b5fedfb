"""Styles: each turns the flat picture into one that looks painted, drawn or printed.

A style takes and returns a `Print`, RGB with, where the background is transparent, its alpha.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps, ImageStat

from ipyimagegen.sketch.drawing.canvas import rgb
from ipyimagegen.sketch.drawing.paper import PAPER, RICE, Print, clouds, deckle, gather, grain, tint, wobble

if TYPE_CHECKING:
    from collections.abc import Callable


def watercolour(picture: Print) -> Print:
    """Washes on rough paper: bent outlines, blooms, pigment along the edges, a ragged border."""
    picture = wobble(wobble(picture, 22, 0.0075), 64, 0.0028)
    image, size, unit = picture.image, picture.image.size, picture.edge / 1024
    paper = Image.new("RGB", size, PAPER)
    image = ImageEnhance.Color(image).enhance(1.12)
    image = Image.blend(image, paper, 0.12)
    soft = image.filter(ImageFilter.GaussianBlur(5 * unit))
    bleed = clouds(size, 9, picture.rng).point([max(0, min(150, (v - 160) * 3)) for v in range(256)])
    image = Image.composite(soft, image, bleed)
    blooms = ImageChops.blend(clouds(size, 5, picture.rng), clouds(size, 17, picture.rng), 0.42)
    image = Image.composite(
        Image.blend(image, paper, 0.4),
        image,
        blooms.point([max(0, min(255, (v - 84) * 2)) for v in range(256)]),
    )
    if picture.alpha is None:
        image = Image.composite(image, paper, deckle(picture))
    image = gather(image, 5 * unit, 0.62)
    image = gather(image, 1.6 * unit, 0.5)
    speckle = ImageChops.multiply(grain(size, picture.rng, 12), grain(size, picture.rng, 6, 300))
    return replace(picture, image=ImageChops.multiply(image, tint(speckle)))


def _hatching(picture: Print, angle: float, gap: float) -> Image.Image:
    """Return a sheet (L) of pencil strokes at an angle of degrees, neither level nor upright."""
    width, height = picture.image.size
    sheet = Image.new("L", (width, height), 255)
    graphite = ImageDraw.Draw(sheet)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    reach = (width * abs(sin) + height * abs(cos)) / 2
    for k in range(int(2 * reach / gap) + 1):
        offset = -reach + k * gap + picture.rng.uniform(-gap, gap) * 0.35
        # the part of the line that lies on the sheet
        across = sorted((side * width / 2 + offset * sin) / cos for side in (-1, 1))
        down = sorted((side * height / 2 - offset * cos) / sin for side in (-1, 1))
        along, end = max(across[0], down[0]) - gap, min(across[1], down[1])
        while along < end:
            length = max(24.0, picture.edge * picture.rng.uniform(0.05, 0.16))
            ends = []
            for t in (along, along + length * 0.94):
                bend = offset + picture.rng.uniform(-gap, gap) * 0.3
                x, y = width / 2 + t * cos - bend * sin, height / 2 + t * sin + bend * cos
                ends.append((round(round(x, 3)), round(round(y, 3))))
            tone = picture.rng.choice((70, 95, 120, 150))
            graphite.line(ends, fill=tone, width=max(1, round(gap * 0.42)))
            along += length
    return sheet.filter(ImageFilter.GaussianBlur(0.7))


def pencil(picture: Print) -> Print:
    """Hatching and outlines: coloured pencils where colours were asked for, graphite otherwise."""
    picture = wobble(picture, 30, 0.003)
    size, unit = picture.image.size, picture.edge / 1024
    grey = ImageOps.autocontrast(ImageOps.grayscale(picture.image), cutoff=1)
    grey = grey.point([int(255 * (v / 255) ** 0.72) for v in range(256)])
    gap = max(3.0, 6.5 * unit)
    sheets = [
        (_hatching(picture, -52, gap), 205),
        (_hatching(picture, -34, gap), 120),
        (_hatching(picture, 40, gap * 0.8), 62),
    ]
    tone = Image.new("L", size, 255)
    for sheet, level in sheets:
        depth = grey.point([max(0, min(255, int((level + 40 - v) * 2.4))) for v in range(256)])
        tone = ImageChops.darker(tone, Image.composite(sheet, Image.new("L", size, 255), depth))
    edges = picture.image.filter(ImageFilter.GaussianBlur(1.2 * unit + 0.3)).filter(ImageFilter.FIND_EDGES)
    outline = ImageOps.invert(ImageOps.grayscale(edges).point([min(235, v * 7) for v in range(256)]))
    ImageDraw.Draw(outline).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=255, width=3)
    lines = ImageChops.multiply(tone.point([int(255 - (255 - v) * 0.8) for v in range(256)]), outline)
    paper = Image.new("RGB", size, PAPER)
    if picture.coloured:
        crayon = Image.composite(
            Image.blend(picture.image, paper, 0.22),
            Image.blend(picture.image, paper, 0.62),
            ImageOps.invert(tone),
        )
        image = ImageChops.multiply(crayon, tint(outline))
    else:
        image = ImageChops.multiply(
            ImageOps.colorize(lines, rgb("#3a3a40"), PAPER),
            tint(grey.point([200 + v * 55 // 255 for v in range(256)])),
        )
    return replace(picture, image=ImageChops.multiply(image, tint(grain(size, picture.rng, 22))))


STROKES = ((0.05, 1800, 0, 6), (0.026, 4200, 0, 14), (0.011, 9000, 7, 255), (0.006, 9000, 26, 255))


def oil(picture: Print) -> Print:
    """Paint thick strokes in the colours beneath: coarse where it is calm, fine where there is detail."""
    vivid = ImageEnhance.Color(picture.image).enhance(1.18)
    source = vivid.filter(ImageFilter.GaussianBlur(picture.edge / 900))
    width, height = source.size
    flow = clouds(source.size, 4, picture.rng).tobytes()
    busy = ImageOps.grayscale(source.filter(ImageFilter.FIND_EDGES))
    calm = busy.filter(ImageFilter.BoxBlur(picture.edge / 100)).tobytes()
    colours, canvas = source.tobytes(), source.copy()
    brush = ImageDraw.Draw(canvas)
    density = min(width * height / picture.edge**2, 4.0) * min(picture.detail, 1.6)
    for length, count, least, most in STROKES:
        reach = length * picture.edge / 2
        for _ in range(int(count * density)):
            x, y = int(picture.rng.random() * width), int(picture.rng.random() * height)
            lift, here = picture.rng.randrange(-13, 14), y * width + x
            if not least <= calm[here] <= most:
                continue
            angle = flow[here] / 255 * math.pi * 1.6
            dx, dy = round(math.cos(angle) * reach, 3), round(math.sin(angle) * reach * 0.8, 3)
            red, green, blue = (max(0, min(255, c + lift)) for c in colours[here * 3 : here * 3 + 3])
            ends = [(round(x - dx), round(y - dy)), (round(x + dx), round(y + dy))]
            brush.line(ends, fill=(red, green, blue), width=max(1, round(reach * 0.55)))
    relief = ImageOps.grayscale(canvas).filter(ImageFilter.EMBOSS)
    relief = relief.point([128 + int((v - 128) * 0.4) for v in range(256)])
    image = ImageChops.overlay(canvas.filter(ImageFilter.GaussianBlur(picture.edge / 1500)), tint(relief))
    return replace(picture, image=image)


def pixel(picture: Print) -> Print:
    """Large pixels in few colours."""
    size = picture.image.size
    fine = 96 if picture.detail > 1 else 72
    grid = (max(8, size[0] * fine // picture.edge), max(8, size[1] * fine // picture.edge))
    small = picture.image.resize(grid, Image.Resampling.BOX)
    small = ImageEnhance.Color(small).enhance(1.15)
    small = small.quantize(28, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    alpha = picture.alpha
    if alpha:
        alpha = (
            alpha.resize(grid, Image.Resampling.BOX)
            .point([0] * 128 + [255] * 128)
            .resize(size, Image.Resampling.NEAREST)
        )
    return replace(picture, image=small.resize(size, Image.Resampling.NEAREST), alpha=alpha)


def ink(picture: Print) -> Print:
    """Washes of black ink on rice paper; colours that were asked for stay as pale tints."""
    picture = wobble(wobble(picture, 16, 0.01), 60, 0.0035)
    size, unit = picture.image.size, picture.edge / 1024
    grey = ImageOps.autocontrast(ImageOps.grayscale(picture.image), cutoff=2)
    grey = grey.point([int(255 * (v / 255) ** 0.8) for v in range(256)])
    wash = ImageOps.colorize(grey, rgb("#1d1f24"), RICE, mid=rgb("#8d8b86"))
    if picture.coloured:
        wash = Image.blend(
            wash,
            ImageChops.multiply(ImageEnhance.Color(picture.image).enhance(1.2), Image.new("RGB", size, RICE)),
            0.72,
        )
    soft = wash.filter(ImageFilter.GaussianBlur(7 * unit))
    wash = Image.composite(
        soft, wash, clouds(size, 5, picture.rng).point([max(0, min(255, (v - 150) * 3)) for v in range(256)])
    )
    rice = Image.new("RGB", size, RICE)
    dry = ImageChops.blend(clouds(size, 4, picture.rng), clouds(size, 22, picture.rng), 0.4)
    wash = Image.composite(
        Image.blend(wash, rice, 0.42), wash, dry.point([max(0, min(255, (v - 100) * 2)) for v in range(256)])
    )
    if picture.alpha is None:
        wash = Image.composite(wash, rice, deckle(picture))
    wash = gather(gather(wash, 6 * unit, 0.7), 2 * unit, 0.6)
    return replace(picture, image=ImageChops.multiply(wash, tint(grain(size, picture.rng, 14))))


def neon(picture: Print) -> Print:
    """Glowing outlines on the dark."""
    size, unit = picture.image.size, picture.edge / 1024
    lively = ImageEnhance.Color(picture.image).enhance(1.9)
    edges = picture.image.filter(ImageFilter.GaussianBlur(1.5 * unit)).filter(ImageFilter.FIND_EDGES)
    red, green, blue = edges.split()
    mask = ImageChops.lighter(ImageChops.lighter(red, green), blue).filter(ImageFilter.MaxFilter(5))
    mask = mask.point([max(0, min(255, (v - 7) * 6)) for v in range(256)])
    ImageDraw.Draw(mask).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=0, width=5)
    bright = lively.filter(ImageFilter.MaxFilter(5))
    bright = bright.point([min(255, int(v * 1.9 + 10)) for v in range(256)] * 3)
    tubes = Image.composite(bright, Image.new("RGB", size), mask)
    # a light picture is dimmed more, so that the tubes are always the brightest
    dim = min(1.0, 70 / (ImageStat.Stat(ImageOps.grayscale(picture.image)).mean[0] + 1))
    image = ImageChops.multiply(
        lively, Image.new("RGB", size, (int(96 * dim), int(80 * dim), int(128 * dim)))
    )
    image = ImageChops.screen(image, tubes)
    for radius, share in ((4, 0.9), (14, 0.8), (40, 0.7)):
        halo = tubes.filter(ImageFilter.GaussianBlur(radius * unit))
        image = ImageChops.screen(image, halo.point([min(255, int(v * share)) for v in range(256)] * 3))
    return replace(picture, image=image)


def mono(picture: Print) -> Print:
    """Black and white."""
    return replace(
        picture, image=ImageOps.autocontrast(ImageOps.grayscale(picture.image), cutoff=0.5).convert("RGB")
    )


def sepia(picture: Print) -> Print:
    """Return it as an old photograph."""
    grey = ImageOps.autocontrast(ImageOps.grayscale(picture.image), cutoff=1)
    toned = ImageOps.colorize(grey, rgb("#2f2117"), rgb("#f8ecd4"), mid=rgb("#a98660"))
    return replace(picture, image=ImageChops.multiply(toned, tint(grain(toned.size, picture.rng, 14))))


def flat(picture: Print) -> Print:
    """As drawn."""
    return picture


STYLES: dict[str, Callable[[Print], Print]] = {
    style.__name__: style for style in (watercolour, pencil, oil, pixel, ink, neon, mono, sepia, flat)
}
