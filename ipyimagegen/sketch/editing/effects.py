"""Effects on a finished image: another hour, weather or season, tints and adjustments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from ipyimagegen.sketch.drawing import palette
from ipyimagegen.sketch.drawing.canvas import add_glow, make_curve, make_gradient, mend
from ipyimagegen.sketch.drawing.figures import paint_thing
from ipyimagegen.sketch.drawing.landscapes import LAYERS, PLACES, Landscape
from ipyimagegen.sketch.drawing.palette import RGB, WHITE, Skin, luminance, mix, to_rgb
from ipyimagegen.sketch.editing.analysis import Box, ImageAnalysis, find_ink

SHADE = to_rgb("#0c0c18")
DIM_GROUND = 105, 150  # luminance of a ground in another light: below the first, ink becomes light
NEW_GROUND = 90, 98  # and of another ground, on which ink keeps its colour as long as possible
Levels = tuple[tuple[float, float], ...]


def scale_levels(image: Image.Image, *lines: tuple[float, float]) -> Image.Image:
    """Return the image with each channel times a factor plus an offset, channel by channel."""
    table = [max(0, min(255, int(v * factor + offset + 0.5))) for factor, offset in lines for v in range(256)]
    return image.point(table)


@dataclass(frozen=True, slots=True)
class LitImage:
    """The image (RGB) with what lights need to know.

    `moon` is whether moon and sun may be painted, `sky` whether anything may stand in the sky.
    """

    image: Image.Image
    analysis: ImageAnalysis
    rng: Random
    detail: float
    moon: bool = True
    sky: bool = True


Light = Callable[[LitImage], Image.Image]
Painter = Callable[[Landscape], None]


def _make_light(place: str, saturation: float, levels: Levels, *layers: str) -> Light:
    """Return a plain light: a saturation, the levels of each channel, and layers of a place over them."""

    def light(lit: LitImage) -> Image.Image:
        image = ImageEnhance.Color(lit.image).enhance(saturation)
        return _paint_over(lit, scale_levels(image, *levels), *(LAYERS[name] for name in layers), place=place)

    return light


def _paint_over(
    lit: LitImage, image: Image.Image, *painters: Painter, place: str = "field", time: str = ""
) -> Image.Image:
    """Return the image with layers of a landscape over it; other pixels stay as they are."""
    sharp = 2 if image.width * image.height <= 4_500_000 else 1
    large = image.resize((image.width * sharp, image.height * sharp), Image.Resampling.NEAREST)
    land = Landscape(large, lit.rng, PLACES[place], time, lit.detail)
    for paint in painters:
        paint(land)
    return large.reduce(sharp) if sharp > 1 else large


def _find_calm_place(lit: LitImage, size: float, bottom: float) -> tuple[float, float]:
    """Return the calmest place (its centre) for something of that size above `bottom`, a share."""
    analysis = lit.analysis
    width, height = analysis.columns / analysis.unit, analysis.rows / analysis.unit
    places = [
        (x * width, size * 0.7 + y * max(height * bottom - size * 1.4, 0.0))
        for x in (0.16, 0.3, 0.5, 0.7, 0.84)
        for y in (0.0, 0.5, 1.0)
    ]
    lit.rng.shuffle(places)

    def cost(place: tuple[float, float]) -> float:
        box = Box(place[0] - size / 2, place[1] - size / 2, size, size)
        return analysis.measure_busy(box) + 40 * place[1] / height

    return min(places, key=cost)


def _find_sky(image: Image.Image) -> Image.Image:
    """Return (L) where stars may stand: high up, and where the image is calm."""
    edges = image.filter(ImageFilter.FIND_EDGES).convert("L").point(make_curve(lambda v: v * 6))
    calm = edges.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.BoxBlur(min(image.size) / 60))
    calm = calm.point(make_curve(lambda v: (90 - v) * 5))
    high = Image.linear_gradient("L").resize(image.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(calm, high.point(make_curve(lambda v: (150 - v) * 4)))


def light_night(lit: LitImage) -> Image.Image:
    """Return the image in blue dark, with stars in the calm of the sky, and the moon."""
    dim = ImageEnhance.Color(lit.image).enhance(0.62)
    image = dim = scale_levels(dim, (0.29, 4), (0.35, 9), (0.52, 30))
    if lit.sky:
        starry = _paint_over(lit, dim, LAYERS["stars"], time="night")
        image = Image.composite(starry, dim, _find_sky(lit.image))
    if lit.sky and lit.moon:
        size, unit = 0.15, min(image.size)
        x, y = _find_calm_place(lit, size * 1.6, 0.42)
        add_glow(image, (x * unit, y * unit), size * unit * 1.7, to_rgb("#f7efcf"), 0.5)
        skin = Skin(to_rgb("#efe2b4"), to_rgb("#fdf6dc"))
        image = _paint_over(lit, image, lambda land: paint_thing(land.pen.at(x, y, size), "moon", skin))
    return image


def light_sunset(lit: LitImage) -> Image.Image:
    """Return the image in low orange light under a violet sky, and the sun."""
    warm = scale_levels(lit.image, (0.98, 10), (0.8, 2), (0.68, 6))
    wash = make_gradient(warm.size, palette.to_rgbs("#5a4a94 #d0648a #ff9a58 #e8743f #7a3a4a"))
    image = Image.blend(ImageChops.soft_light(warm, wash), ImageChops.multiply(warm, wash), 0.3)
    image = Image.blend(image, wash, 0.16)
    if lit.sky and lit.moon:
        unit, size = min(image.size), 0.13
        x, y = _find_calm_place(lit, size * 1.8, 0.62)
        add_glow(image, (x * unit, y * unit), unit * 0.75, to_rgb("#ffd28a"), 0.75)
        image = _paint_over(lit, image, lambda land: land.pen.disc(x, y, size / 2, to_rgb("#fff0c4")))
    return image


def light_underwater(lit: LitImage) -> Image.Image:
    """Return the image in blue-green depth, with rays and bubbles."""
    depth = make_gradient(lit.image.size, palette.to_rgbs("#a8ecec #4fb3cc #1d5f94 #143f70"))
    image = Image.blend(ImageChops.multiply(lit.image, depth), depth, 0.2)
    layers = LAYERS["rays"], LAYERS["bubbles"], LAYERS["bubbles"]
    return _paint_over(lit, image, *layers, place="underwater")


def light_space(lit: LitImage) -> Image.Image:
    """Return the image by night without a ground: nebulae, stars all over, two planets."""
    dim = scale_levels(ImageEnhance.Color(lit.image).enhance(0.8), (0.4, 8), (0.36, 4), (0.56, 34))
    dark = Image.new("RGB", dim.size, to_rgb("#0a0c22"))
    image = ImageChops.screen(dim, _paint_over(lit, dark, LAYERS["nebula"], LAYERS["stars"], place="space"))
    return _paint_over(lit, image, LAYERS["planets"], place="space")


_SNOW = _make_light("snow", 0.62, ((0.78, 34), (0.81, 40), (0.82, 50)), "snowfall", "snowfall")
LIGHTS: dict[str, Light] = {
    "night": light_night,
    "sunset": light_sunset,
    "underwater": light_underwater,
    "space": light_space,
    "day": _make_light("field", 1.18, ((1.12, 14), (1.12, 12), (1.08, 8))),
    "rain": _make_light("rain", 0.5, ((0.66, 12), (0.72, 16), (0.8, 26)), "rain", "rain"),
    "snowfall": _SNOW,
    "snow": _SNOW,
    "fog": _make_light("rain", 0.6, ((0.6, 92), (0.6, 96), (0.6, 98)), "fog"),
    "autumn": _make_light("autumn", 1.1, ((1.08, 12), (0.94, 2), (0.74, 0)), "leaves"),
}


def keep_ink_readable(after: Image.Image, before: Image.Image, bounds: tuple[int, int]) -> Image.Image:
    """Return a plot after a change, its thin ink lightened where its ground has become dark."""
    ink, thin = find_ink(before)
    if ink is None or thin is None:
        return after
    covered = ink.filter(ImageFilter.MaxFilter(3)).point([0] * 20 + [255] * 236)
    ground = mend(after, covered).convert("L").filter(ImageFilter.BoxBlur(min(after.size) / 40))
    low, high = bounds
    dark = ground.point(make_curve(lambda v: (high - v) * 255 // (high - low)))
    if bounds == DIM_GROUND:
        bare = ImageChops.multiply(dark, ImageChops.invert(ink))
        after = Image.composite(ImageEnhance.Brightness(after).enhance(0.66), after, bare)
    return Image.composite(_exchange_lightness(before), after, ImageChops.multiply(dark, thin))


def _exchange_lightness(image: Image.Image) -> Image.Image:
    """Return the colours with light and dark exchanged, each keeping its hue."""
    bands = image.split()
    most = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    least = ImageChops.darker(ImageChops.darker(bands[0], bands[1]), bands[2])
    # 255 - most - least + band; most - band is what a channel lacks
    lacks = [ImageChops.subtract(most, band) for band in bands]
    return Image.merge("RGB", [ImageChops.subtract(ImageChops.invert(least), lack) for lack in lacks])


def tint(image: Image.Image, colours: Sequence[RGB], share: float) -> Image.Image:
    """Return the image with a share (0..1) of itself in tones of the colours, from dark to light."""
    tones = sorted(colours, key=luminance)
    middle = tones[len(tones) // 2]
    place = int(min(max(luminance(middle), 70), 185))  # its own brightness keeps its place
    grey = ImageOps.autocontrast(ImageOps.grayscale(image), cutoff=0.5)
    black, white = mix(tones[0], SHADE, 0.6), mix(tones[-1], WHITE, 0.6)
    return Image.blend(image, ImageOps.colorize(grey, black, white, mid=middle, midpoint=place), share)


ADJUSTMENTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "warmer": lambda image: scale_levels(image, (1.06, 14), (1.0, 4), (0.8, -4)),
    "cooler": lambda image: scale_levels(image, (0.8, -4), (0.98, 2), (1.06, 16)),
    "brighter": lambda image: image.point([int(255 * (v / 255) ** 0.62 + 0.5) for v in range(256)] * 3),
    "darker": lambda image: image.point([int(255 * (v / 255) ** 1.6 * 0.86 + 0.5) for v in range(256)] * 3),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.4),
    "colourful": lambda image: ImageEnhance.Color(image).enhance(1.5),
    "soft": lambda image: image.filter(ImageFilter.GaussianBlur(min(image.size) / 90)),
    "mirrored": ImageOps.mirror,
}
