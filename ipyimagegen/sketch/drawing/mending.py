"""Filling an area from what surrounds it, as if nothing had been there."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageFilter


def mend(image: Image.Image, area: Image.Image) -> Image.Image:
    """Return the picture (RGB) with the area (L, 255 where to fill) grown over smoothly from its rim.

    The known pixels are averaged into ever smaller pictures until nothing is unknown, and what is
    unknown is taken from the next smaller one on the way back.
    """
    known = ImageChops.invert(area).point([0] * 255 + [255])
    level = image.convert("RGBA")
    level.putalpha(known)
    steps = [level]
    while level.getchannel("A").getextrema()[0] == 0 and max(level.size) > 1:
        half = max(1, (level.width + 1) // 2), max(1, (level.height + 1) // 2)
        level = level.resize(half, Image.Resampling.BOX)
        level.putalpha(level.getchannel("A").point([0] + [255] * 255))
        steps.append(level)
    filled = steps.pop().convert("RGB")
    for level in reversed(steps):
        up = filled.resize(level.size, Image.Resampling.BILINEAR)
        unknown = level.getchannel("A").point([255] + [0] * 255)
        filled = Image.composite(up, level.convert("RGB"), unknown)
    smooth = filled.filter(ImageFilter.GaussianBlur(min(image.size) / 120))
    return Image.composite(smooth, image, area.point([0] * 255 + [255]))
