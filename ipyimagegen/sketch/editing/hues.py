"""Colours of a finished picture shifted: tints, and the adjustments by name. Each takes and returns RGB."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps, ImageStat

from ipyimagegen.sketch.drawing.canvas import gradient, luminance, mix, rgb
from ipyimagegen.sketch.drawing.palette import WHITE, named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipyimagegen.sketch.drawing.canvas import RGB
    from ipyimagegen.sketch.drawing.paper import Print

SHADE = rgb("#0c0c18")
CALM = 512  # pixels of the short edge at which noise is taken out


def levels(image: Image.Image, *lines: tuple[float, float]) -> Image.Image:
    """Return the picture with each channel times a factor plus an offset, channel by channel."""
    table = [max(0, min(255, int(v * factor + offset + 0.5))) for factor, offset in lines for v in range(256)]
    return image.point(table)


def tinted(image: Image.Image, colours: Sequence[str]) -> Image.Image:
    """Return the picture in the tones of one colour, or from the darkest to the lightest of several."""
    grey = ImageOps.autocontrast(ImageOps.grayscale(image), cutoff=0.5)
    tones = sorted((named(name) for name in colours), key=luminance)
    if len(tones) == 1:
        toned = _one(grey, tones[0])
        return Image.blend(image, toned, 0.86)
    middle = tones[len(tones) // 2] if len(tones) > 2 else mix(tones[0], tones[-1], 0.5)
    toned = ImageOps.colorize(grey, mix(tones[0], SHADE, 0.35), mix(tones[-1], WHITE, 0.25), mid=middle)
    return Image.blend(image, toned, 0.9)


def _one(grey: Image.Image, tone: RGB) -> Image.Image:
    """Return the grey picture in one colour, whose own brightness keeps its place."""
    place = int(min(max(luminance(tone), 70), 185))
    return ImageOps.colorize(grey, mix(tone, SHADE, 0.82), mix(tone, WHITE, 0.86), mid=tone, midpoint=place)


def warmer(image: Image.Image) -> Image.Image:
    """Towards candlelight."""
    return levels(image, (1.06, 14), (1.0, 4), (0.8, -4))


def cooler(image: Image.Image) -> Image.Image:
    """Towards moonlight."""
    return levels(image, (0.8, -4), (0.98, 2), (1.06, 16))


def brighter(image: Image.Image) -> Image.Image:
    """Lift the middle tones."""
    return image.point([int(255 * (v / 255) ** 0.62 + 0.5) for v in range(256)] * 3)


def darker(image: Image.Image) -> Image.Image:
    """Lower the middle tones."""
    return image.point([int(255 * (v / 255) ** 1.6 * 0.86 + 0.5) for v in range(256)] * 3)


def contrast(image: Image.Image) -> Image.Image:
    """Drive light and dark apart."""
    return ImageEnhance.Contrast(ImageOps.autocontrast(image, cutoff=0.5)).enhance(1.18)


def colourful(image: Image.Image) -> Image.Image:
    """Make every colour stronger."""
    return ImageEnhance.Color(image).enhance(1.5)


def faded(image: Image.Image) -> Image.Image:
    """As if it had hung in the sun."""
    return levels(ImageEnhance.Color(image).enhance(0.42), *[(0.8, 44)] * 3)


def soft(image: Image.Image) -> Image.Image:
    """Blur it, and let its lights bloom."""
    edge = min(image.size)
    blurred = image.filter(ImageFilter.GaussianBlur(edge / 90))
    return Image.blend(blurred, ImageChops.screen(blurred, blurred), 0.22)


def crisp(image: Image.Image) -> Image.Image:
    """Sharpen it."""
    return image.filter(ImageFilter.UnsharpMask(max(1.0, min(image.size) / 400), 170, 2))


def negative(image: Image.Image) -> Image.Image:
    """Swap light and dark."""
    return ImageOps.invert(image)


def mirrored(image: Image.Image) -> Image.Image:
    """Swap left and right."""
    return ImageOps.mirror(image)


def upturned(image: Image.Image) -> Image.Image:
    """Swap top and bottom."""
    return ImageOps.flip(image)


ADJUST: dict[str, Callable[[Image.Image], Image.Image]] = {
    adjust.__name__: adjust
    for adjust in (
        warmer, cooler, brighter, darker, contrast, colourful,
        faded, soft, crisp, negative, mirrored, upturned,
    )
}  # fmt: skip

MOVING = frozenset({"mirrored", "upturned"})  # these move pixels, so the transparency moves with them


def poster(picture: Print) -> Print:
    """Flat areas in few colours."""
    if _light(picture.image):  # a plot: lines would be lost
        few = ImageOps.posterize(ImageEnhance.Color(picture.image).enhance(1.3), 3)
        return replace(picture, image=levels(few, *[(255 / 224, 0)] * 3))
    return replace(picture, image=_calmed(ImageEnhance.Color(picture.image).enhance(1.15), 12))


def _calmed(image: Image.Image, colours: int) -> Image.Image:
    """Return the picture in even areas of few colours, without its noise."""
    shrink = min(1.0, CALM / min(image.size))
    small = image.resize((max(1, round(image.width * shrink)), max(1, round(image.height * shrink))))
    small = small.filter(ImageFilter.MedianFilter(5))
    few = small.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    return few.filter(ImageFilter.ModeFilter(5)).resize(image.size, Image.Resampling.BICUBIC)


def prepared(image: Image.Image, style: str) -> Image.Image:
    """Return a picture from outside as a style can use it: calm, thin lines kept, lights coloured."""
    edge = min(image.size)
    if style == "neon":
        if not _light(image):
            image = _calmed(image, 20)
        glowing = gradient(image.size, [rgb(c) for c in ("#ff4fa0", "#b45cff", "#3fa8ff", "#37e6d0")])
        dim = 0.5 if _light(image) else 0.85  # on white, tubes would be white too
        _, saturation, value = image.convert("HSV").split()
        pale = ImageChops.multiply(
            saturation.point([max(0, 255 - v * 4) for v in range(256)]),
            value.point([max(0, min(255, (v - 60) * 2)) for v in range(256)]),
        )
        pale = pale.filter(ImageFilter.GaussianBlur(edge / 50))
        return Image.composite(levels(ImageChops.multiply(image, glowing), *[(dim, 0)] * 3), image, pale)
    if style == "pencil" and not _light(image):
        return image.filter(ImageFilter.MedianFilter(3)).filter(ImageFilter.GaussianBlur(edge / 900))
    if style == "pixel" and _light(image):
        return image.filter(ImageFilter.MinFilter(max(3, edge // 160 | 1)))
    return image


def _light(image: Image.Image) -> bool:
    """Return whether the picture is mostly white, as plots are."""
    return ImageStat.Stat(ImageOps.grayscale(image)).mean[0] > 215
