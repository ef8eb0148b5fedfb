"""Plots and other drawings in thin ink on one light ground: kept readable where their ground goes dark."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from ipyimagegen.sketch.drawing.canvas import gradient, luminance, rgb
from ipyimagegen.sketch.drawing.mending import mend

ALIKE = 10  # levels that the ground may stray
MOSTLY = 0.45  # of the picture is ground
LIGHT = 190  # luminance of a light ground
INKED = 0.004  # of the picture is thin ink at least
DIM = 105, 150  # luminance of a ground in another light: below the first, ink becomes light
BLACK = 90, 98  # and of another ground, on which ink keeps its colour as long as it can
DEEP = 0.66  # of its brightness is left to a dim ground, for the sake of the ink
COARSE = 240  # pixels of the short edge at which thin is told from fat


@dataclass(frozen=True, slots=True)
class Ink:
    """What stands on the ground (L), and what of it is thin."""

    whole: Image.Image
    thin: Image.Image


def ink(image: Image.Image) -> Ink | None:
    """Return the ink of a picture (RGB) on one light ground, None if it is none in thin ink."""
    few = image.resize((96, 96), Image.Resampling.NEAREST)
    counts: dict[tuple[int, ...], int] = {}
    for count, colour in few.getcolors(96 * 96) or []:
        assert isinstance(colour, tuple)
        counts[colour] = count
    ground = max(counts, key=lambda colour: (counts[colour], colour))
    if counts[ground] < MOSTLY * 96 * 96 or luminance((ground[0], ground[1], ground[2])) < LIGHT:
        return None
    bands = ImageChops.difference(image, Image.new("RGB", image.size, ground)).split()
    apart = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    apart = apart.point([max(0, min(255, (v - ALIKE) * 3)) for v in range(256)])
    few = apart.reduce(max(1, min(image.size) // COARSE))
    width = max(5, min(few.size) // 40 | 1)
    fat = few.filter(ImageFilter.MinFilter(width)).filter(ImageFilter.MaxFilter(width + 2))
    thin = ImageChops.subtract(apart, fat.resize(image.size, Image.Resampling.BILINEAR))
    inked = sum(thin.histogram()[128:])
    return Ink(apart, thin) if inked >= INKED * image.width * image.height else None


def lightened(image: Image.Image) -> Image.Image:
    """Return the colours with light and dark exchanged, each keeping its hue."""
    bands = image.split()
    most = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    least = ImageChops.darker(ImageChops.darker(bands[0], bands[1]), bands[2])
    # 255 - most - least + band; most - band is what a channel lacks
    return Image.merge(
        "RGB",
        [ImageChops.subtract(ImageChops.invert(least), ImageChops.subtract(most, band)) for band in bands],
    )


def readable(after: Image.Image, before: Image.Image, bounds: tuple[int, int]) -> Image.Image:
    """Return a plot after a change, its thin ink lightened where its ground has become dark."""
    found = ink(before)
    if found is None:
        return after
    covered = found.whole.filter(ImageFilter.MaxFilter(3)).point([0] * 20 + [255] * 236)
    ground = mend(after, covered).convert("L").filter(ImageFilter.BoxBlur(min(after.size) / 40))
    low, high = bounds
    dark = ground.point([max(0, min(255, (high - v) * 255 // (high - low))) for v in range(256)])
    if bounds == DIM:
        bare = ImageChops.multiply(dark, ImageChops.invert(found.whole))
        after = Image.composite(ImageEnhance.Brightness(after).enhance(DEEP), after, bare)
    return Image.composite(lightened(before), after, ImageChops.multiply(dark, found.thin))


def neon(image: Image.Image, thin: Image.Image) -> Image.Image:
    """Return a plot as neon tubes on the dark, its lettering sharp."""
    unit = min(image.size) / 1024
    glowing = gradient(image.size, [rgb(c) for c in ("#ff7ab8", "#d59bff", "#7fc4ff", "#6df2e2")])
    bright = ImageEnhance.Color(lightened(image)).enhance(1.6)
    pale = bright.convert("HSV").split()[1].point([max(0, 255 - v * 4) for v in range(256)])
    tubes = Image.composite(ImageChops.multiply(bright, glowing), bright, pale)
    night = gradient(image.size, [rgb(c) for c in ("#160f33", "#0d0a24")])
    page = Image.composite(tubes, night, thin)
    fat = ImageChops.subtract(lightened(image).convert("L").point([0] * 40 + [255] * 216), thin)
    page = Image.composite(Image.blend(night, bright, 0.45), page, fat)
    light = Image.composite(tubes, Image.new("RGB", image.size), thin)
    for radius, share in ((5, 0.55), (16, 0.7), (40, 0.5)):
        halo = light.filter(ImageFilter.GaussianBlur(radius * unit))
        page = ImageChops.screen(page, halo.point([int(v * share) for v in range(256)] * 3))
    return page
