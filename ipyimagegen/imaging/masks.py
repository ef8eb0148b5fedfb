"""Read masks in any form, convert them for a server, and measure changes outside them.

Inside the package a mask is a PNG of mode L: 255 may change, 0 may not.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageFilter

from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.options import to_half_width
from ipyimagegen.core.text import truncate
from ipyimagegen.core.variables import get_shape, probe
from ipyimagegen.imaging.errors import add_path, attempt, refuse, to_label
from ipyimagegen.imaging.inputs import decode_input
from ipyimagegen.imaging.inspection import flatten_mode, open_image
from ipyimagegen.imaging.normalize import (
    EncodedImage,
    encode_file,
    encode_within,
    to_eight_bits,
    to_ready_mode,
    to_size_text,
)
from ipyimagegen.imaging.scan import scan_bytes

_MOST_BYTES = 4_000_000  # that servers accept of a mask
_MOST_SHADES = 0.25  # share of pixels between black and white: soft edges have less, photographs more
_CONVENTION = _("White, True or transparent pixels may change.")

_TOLERANCE = 8  # of 255: what a good JPEG does to a pixel
_RATIO_TOLERANCE = 0.02  # sides are whole numbers
_STRIP = 256  # rows compared at once
_BORDER = 3  # pixels around a scaled mask: as far as a scaled pixel takes from its neighbours

_Size = tuple[int, int]
_Box = tuple[int, int, int, int]


def read_mask(
    thing: object, size: _Size, name: str = "the mask", *, scaled_from: _Size | None = None
) -> EncodedImage:
    """Return what may change of an image of `size` (width, height), as PNG of mode L: 255 may, 0 not.

    `thing` is a box (`x,y,w,h` in pixels from the top left, as text or four numbers) or whatever
    `encode_input` takes: transparent pixels may change where there are any, otherwise white pixels. When
    the image was scaled, `scaled_from` is its size before, for which the mask was made. Raises
    InvalidInput for another size, and when nothing may change.
    """
    natural, label = scaled_from or size, to_label(name)
    box = _read_box(thing, label)
    label = add_path(label, thing) if isinstance(thing, Path) else label
    notes: tuple[Message, ...] = ()
    if box is not None:
        image = _draw_box(box, natural, label)
    else:
        image, notes = _read_image(thing, natural, label)
    low, high = image.getextrema()
    if not high:
        message = _("{image} allows no pixel to change. {convention}", image=label, convention=_CONVENTION)
        raise refuse(message)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    return replace(_encode(image), notes=(*notes, _("everything may change")) if low else notes)


def convert_mask(mask: EncodedImage, style: str) -> EncodedImage:
    """Return a mask as a server reads it: "alpha" (RGBA, transparent may change) or "white" (L, 255).

    Raises ValueError for another style.
    """
    if style not in ("alpha", "white"):
        raise ValueError(f"A mask has no style {style!r}: alpha or white.")
    if style == "white":
        return mask
    image = decode_input(mask.data, "The mask")
    alpha = image.point(lambda value: 255 - value)
    return replace(_encode(Image.merge("RGBA", (image, image, image, alpha))), notes=mask.notes)


def to_mask_image(data: bytes, size: _Size) -> Image.Image:
    """Return a mask as a Pillow image of mode 1, from a bit for each pixel, row by row: 0 is unchanged.

    The leftmost pixel is the highest bit; each row fills whole bytes. Raises ValueError when the number
    of bytes does not fit the size.
    """
    return Image.frombytes("1", size, data)


def measure_changed_outside(before: bytes, after: Path, mask: bytes) -> float | None:
    """Return the share (0.0 to 1.0) of the pixels outside the mask that a server changed.

    `mask` is what `read_mask` returned. A pixel is changed when a channel differs by more than 8 of 255. A
    returned image of the same ratio is compared in its own size. None when nothing can be compared.
    """
    try:
        holes = _decode_flat(mask).convert("L")
        sent, returned = _decode_flat(before), _decode_flat(after.read_bytes())
    except Exception:  # noqa: BLE001 - decoders of hostile files raise anything
        return None
    ratio = (sent.width * returned.height) / (sent.height * returned.width)
    if holes.size != sent.size or abs(ratio - 1) > _RATIO_TOLERANCE:
        return None
    outside = _select_outside(holes, returned.size)
    count = outside.histogram()[255]
    if not count:
        return None
    if sent.size != returned.size:
        sent = sent.resize(returned.size, Image.Resampling.LANCZOS)
    return sum(_count_changed(sent, returned, outside)) / count


# Reading


def _encode(image: Image.Image) -> EncodedImage:
    mask = encode_within(image)
    if len(mask.data) > _MOST_BYTES:  # ten times slower, for masks of noise
        mask = replace(mask, data=encode_file(image, compress_level=9))
    return mask


def _read_box(thing: Any, label: str) -> _Box | None:
    """Return x, y, width and height when `thing` is a box, or None. Raises InvalidInput for half a box."""
    if isinstance(thing, str):
        numbers = [_to_int(part) for part in to_half_width(thing).strip().strip("()[]").split(",")]
    elif isinstance(thing, (list, tuple)) or get_shape(thing) == (4,):
        elements = attempt(lambda: list(thing))[0] or []
        numbers = [_to_int(item) for item in elements]
        if not any(
            isinstance(item, (int, float)) or probe(item, "__index__") is not None for item in elements
        ):
            return None  # images or axes: not meant as a box
    else:
        return None
    match numbers:
        case [int(x), int(y), int(width), int(height)]:
            return x, y, width, height
    message = _(
        "{image} is not a box: expected four whole numbers x,y,w,h in pixels, such as 0,0,256,256.",
        image=_add_text(label, truncate(attempt(lambda: str(thing))[0] or "", 40).strip("()[]"), "{} ({})"),
    )
    raise refuse(message)


def _to_int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    return attempt(lambda: int(value) if isinstance(value, str) else operator.index(value))[0]


def _add_text(label: str, text: str, form: str) -> str:
    return label if text in label else form.format(label, text)


def _draw_box(box: _Box, size: _Size, label: str) -> Image.Image:
    x, y, width, height = box
    label = _add_text(label, ",".join(map(str, box)), "{} {}")
    if width <= 0 or height <= 0:
        raise refuse(
            _("{image} is a box without area: x,y,w,h are left, top, width and height.", image=label)
        )
    if x < 0 or y < 0 or x + width > size[0] or y + height > size[1]:
        message = _(
            "{image} reaches outside the image, which is {size} pixels.", image=label, size=to_size_text(size)
        )
        raise refuse(message)
    image = Image.new("L", size)
    image.paste(255, (x, y, x + width, y + height))
    return image


def _read_image(thing: object, size: _Size, label: str) -> tuple[Image.Image, tuple[Message, ...]]:
    """Return any image as what may change, 255 or 0, and notes on what was done."""
    image = decode_input(thing, label)
    if image.size != size:
        message = _(
            "{image} is {size} pixels, but the image to edit is {expected}. Use the same size.",
            image=label,
            size=to_size_text(image.size),
            expected=to_size_text(size),
        )
        raise refuse(message)
    if image.has_transparency_data:
        image = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        alpha = image.getchannel("A")
        if alpha.histogram()[255] < size[0] * size[1]:
            return alpha.point(lambda value: 255 * (value < 128)), _describe_cut(alpha)
        if image.convert("RGB").getcolors(1):
            return Image.new("L", size), ()  # a single opaque colour: no hole
    reduced, notes = to_eight_bits(to_ready_mode(image, label)[0])
    grey = reduced.convert("L")
    half = 1 if grey.getextrema() in ((0, 1), (1, 1)) else 128  # labels: 0 and 1
    if half > 1 and sum(grey.histogram()[48:208]) > _MOST_SHADES * size[0] * size[1]:
        message = _(
            "{image} is an image of many shades, not a mask. {convention}",
            image=label,
            convention=_CONVENTION,
        )
        raise refuse(message)
    cut = _describe_cut(grey) if half > 1 else ()
    return grey.point(lambda value: 255 * (value >= half)), (*notes, *cut) if cut else ()


def _describe_cut(grey: Image.Image) -> tuple[Message, ...]:
    """Return a note on a mask that is neither black nor white everywhere, but for the noise of a JPEG."""
    if not any(grey.histogram()[_TOLERANCE + 1 : 255 - _TOLERANCE]):
        return ()
    return (_("soft edges were cut at one half: a pixel may change or not"),)


# Measuring


def _decode_flat(data: bytes) -> Image.Image:
    """Return a file as it is shown, RGB or RGBA. Raises ValueError for a format that is not decoded."""
    scan = scan_bytes(data)
    if scan is None or scan.excess or scan.flaw:
        raise ValueError("not to be decoded")
    return flatten_mode(open_image(data))[0]


def _select_outside(mask: Image.Image, size: _Size) -> Image.Image:
    """Return 255 where nothing was to change, in that size; the border of the mask does not count."""
    if mask.size == size:
        return mask.point(lambda value: 255 * (value == 0))
    large = mask.resize(size, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    # A white pixel of 49 still leaves 5 after the blur.
    return large.filter(ImageFilter.BoxBlur(_BORDER)).point(lambda value: 255 * (value == 0))


def _count_changed(sent: Image.Image, returned: Image.Image, outside: Image.Image) -> Iterator[int]:
    """Yield the number of pixels of each strip in which a channel changed: comparing takes several copies."""
    width, height = returned.size
    for top in range(0, height, _STRIP):
        box = (0, top, width, min(top + _STRIP, height))
        before, after = sent.crop(box), returned.crop(box)
        if before.mode != after.mode:
            before, after = before.convert("RGBA"), after.convert("RGBA")
        if before.mode == "RGBA":  # what is wholly transparent has no colour
            before, after = before.convert("RGBa"), after.convert("RGBa")
        difference = functools.reduce(ImageChops.lighter, ImageChops.difference(before, after).split())
        changed = difference.point(lambda value: 255 * (value > _TOLERANCE))
        yield changed.histogram(mask=outside.crop(box))[255]
