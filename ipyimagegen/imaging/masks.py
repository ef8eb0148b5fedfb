"""Read a mask, in whatever form it comes, to its one meaning: what may change."""

from __future__ import annotations

import operator
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from ipyimagegen.core.options import to_half_width
from ipyimagegen.core.text import truncate
from ipyimagegen.imaging import modes, packing, sources
from ipyimagegen.imaging.refusing import labelled, refused
from ipyimagegen.imaging.values import EncodedImage

MOST_BYTES = 4_000_000  # what servers take of a mask
READ_AS = "White, True or transparent is what may change."
ALL = "everything may change"
SHADES = 0.25  # share of pixels between black and white: soft edges have less, photographs more
Size = tuple[int, int]
Box = tuple[int, int, int, int]


def mask(thing: object, size: Size, name: str, scaled_from: Size | None) -> EncodedImage:
    """Return the mask as PNG of mode L; see `ipyimagegen.imaging.mask`."""
    natural = scaled_from or size
    box = _box(thing, name)
    name = labelled(name, thing) if isinstance(thing, Path) else name
    image = _drawn(box, natural, name) if box is not None else _read(thing, natural, name)
    low, high = image.getextrema()
    if not high:
        raise refused(name, f"leaves nothing to change. {READ_AS}")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    done = _packed(image)
    return replace(done, notes=(ALL,)) if low else done


def mask_as(one: EncodedImage, style: str) -> EncodedImage:
    """Return the mask in a server's form; see `ipyimagegen.imaging.mask_as`."""
    if style not in ("alpha", "white"):
        raise ValueError(f"A mask has no style {style!r}: alpha or white.")
    if style == "white":
        return one
    image = sources.image(one.data, "the mask")
    form = Image.merge("RGBA", (image, image, image, image.point(lambda value: 255 - value)))
    return replace(_packed(form), notes=one.notes)


def _packed(image: Image.Image) -> EncodedImage:
    data = packing.encoded(image)
    if len(data) > MOST_BYTES:  # ten times slower, for what noise is in a mask
        data = packing.encoded(image, compress_level=9)
    pixels = packing.hashed(image)
    return EncodedImage(data=data, mime="image/png", width=image.width, height=image.height, pixels=pixels)


def _box(thing: Any, name: str) -> Box | None:
    """Return x, y, width and height when `thing` is a box, or None. Raises InvalidInput for half a box."""
    if isinstance(thing, str):
        numbers: list[Any] = [_whole(one) for one in to_half_width(thing).strip().strip("()[]").split(",")]
    elif isinstance(thing, (list, tuple)) or getattr(thing, "shape", None) == (4,):
        numbers = [_whole(one) for one in thing]
        if not any(isinstance(one, (int, float)) or hasattr(one, "__index__") for one in thing):
            return None  # images, axes: not for a box at all
    else:
        return None
    if len(numbers) != 4 or None in numbers:
        told = truncate(str(thing), 40).strip("()[]")
        label = name if told in name else f"{name} ({told})"
        raise refused(label, "is no box: four whole numbers x,y,w,h in pixels, such as 0,0,256,256.")
    return (numbers[0], numbers[1], numbers[2], numbers[3])


def _whole(value: Any) -> int | None:
    """Return a whole number as Python's own, None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        return None


def _drawn(box: Box, size: Size, name: str) -> Image.Image:
    x, y, width, height = box
    told = ",".join(map(str, box))
    label = name if told in name else f"{name} {told}"
    if width <= 0 or height <= 0:
        raise refused(label, "is a box without area: x,y,w,h are left, top, width and height.")
    if x < 0 or y < 0 or x + width > size[0] or y + height > size[1]:
        raise refused(label, f"reaches outside the image, which is {size[0]}x{size[1]} pixels.")
    image = Image.new("L", size)
    image.paste(255, (x, y, x + width, y + height))
    return image


def _read(thing: object, size: Size, name: str) -> Image.Image:
    """Return any image as what may change: 255 or 0."""
    image = sources.image(thing, name)
    if image.size != size:
        found, wanted = (f"{one[0]}x{one[1]}" for one in (image.size, size))
        raise refused(
            name, f"is {found} pixels, and the image that it is for is {wanted}. Give both one size."
        )
    if image.has_transparency_data:
        image = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.histogram()[255] < size[0] * size[1]:
            return alpha.point(lambda value: 255 * (value < 128))
        if image.convert("RGB").getcolors(1):
            return Image.new("L", size)  # somebody forgot to cut the hole
    grey = _grey(image, name)
    half = 1 if grey.getextrema() in ((0, 1), (1, 1)) else 128  # labels: 0 and 1
    if half > 1 and sum(grey.histogram()[48:208]) > SHADES * size[0] * size[1]:
        raise refused(name, f"is an image of many shades, no mask. {READ_AS}")
    return grey.point(lambda value: 255 * (value >= half))


def _grey(image: Image.Image, name: str) -> Image.Image:
    problem = ""
    try:
        image = modes.ready(image)[0]
    except ValueError as error:
        problem = str(error)
    if problem:
        raise refused(name, problem)
    return modes.shallow(image).convert("L")
