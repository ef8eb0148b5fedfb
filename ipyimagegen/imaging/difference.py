"""Measure what a server changed where it was told to change nothing."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageChops, ImageFilter

from ipyimagegen.imaging.opening import decoded, opened
from ipyimagegen.imaging.reading import flat
from ipyimagegen.imaging.scan import scan_bytes

TOLERANCE = 8  # of 255: what a good JPEG does to a pixel
RATIO = 0.02  # how far the ratio of sides may be off, since sides are whole numbers
ROWS = 256  # compared at once
BORDER = 3  # pixels around a scaled mask: as far as a scaled pixel takes from its neighbours


def changed_outside(before: bytes, after: Path, mask: bytes) -> float | None:
    """Return the share of changed pixels; see `ipyimagegen.imaging.changed_outside`."""
    try:
        holes = _decoded(mask).convert("L")
        given, returned = _decoded(before), _decoded(after.read_bytes())
    except Exception:  # noqa: BLE001 - decoders of hostile files raise anything
        return None
    if holes.size != given.size or not _alike(given.size, returned.size):
        return None
    outside = _outside(holes, returned.size)
    count = outside.histogram()[255]
    if not count:
        return None
    if given.size != returned.size:
        given = given.resize(returned.size, Image.Resampling.LANCZOS)
    return sum(_changed_in_strips(given, returned, outside)) / count


def _decoded(data: bytes) -> Image.Image:
    """Return a PNG, JPEG or WebP file as it is shown, RGB or RGBA. Raises ValueError for any other."""
    scan = scan_bytes(data)
    if scan is None or scan.excess:
        raise ValueError("not to be decoded")
    one = opened(data, "the image")
    return flat(decoded(one, "the image")[0])[0]


def _alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= RATIO


def _outside(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return 255 where nothing was to change, in that size; what borders on the mask does not count."""
    if mask.size == size:
        return mask.point(lambda value: 255 * (value == 0))
    large = mask.resize(size, Image.Resampling.BOX).point(lambda value: 255 * (value > 0))
    # One white pixel of 49 still leaves 5 after the blur.
    return large.filter(ImageFilter.BoxBlur(BORDER)).point(lambda value: 255 * (value == 0))


def _changed_in_strips(given: Image.Image, returned: Image.Image, outside: Image.Image) -> Iterator[int]:
    """Yield how many pixels changed, strip by strip: comparing takes several copies."""
    width, height = returned.size
    for top in range(0, height, ROWS):
        box = (0, top, width, min(top + ROWS, height))
        yield _changed(given.crop(box), returned.crop(box)).histogram(mask=outside.crop(box))[255]


def _changed(one: Image.Image, other: Image.Image) -> Image.Image:
    """Return 255 where a channel of the two differs by more than `TOLERANCE`, as mode L."""
    if one.mode != other.mode:
        one, other = one.convert("RGBA"), other.convert("RGBA")
    if one.mode == "RGBA":  # what is wholly transparent has no colour
        one, other = one.convert("RGBa"), other.convert("RGBa")
    most = functools.reduce(ImageChops.lighter, ImageChops.difference(one, other).split())
    return most.point(lambda value: 255 * (value > TOLERANCE))
