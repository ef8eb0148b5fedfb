"""The pictures of an edit, opened: PNG, JPEG and WebP by their bytes, whatever they are declared as."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageOps, UnidentifiedImageError

from ipyimagegen.sketch.server.replies import Refusal

if TYPE_CHECKING:
    from ipyimagegen.sketch.server.bodies import Body

BYTES = 50 << 20  # of one picture, as the API has it
PIXELS = 40_000_000
ALL_PIXELS = 4 * PIXELS  # of the images of one edit
SCANS, SCANNED = 64, 800_000_000  # of a JPEG, and scans times pixels: each scan passes over all of them
KINDS = ("PNG", "JPEG", "WEBP")
INSET = 2048  # pixels an edge that are kept of every picture but the first: they come into it smaller


@dataclass(frozen=True, slots=True)
class Originals:
    """Pictures as RGB, or RGBA where they have an alpha channel; `mask` (L) is 255 where to edit.

    `areas` are the pictures' own pixels, before any reduction.
    """

    images: tuple[Image.Image, ...]
    mask: Image.Image | None
    areas: tuple[int, ...]


def opened(body: Body) -> Originals:
    """Return the pictures of the body and its mask. Raises Refusal.

    Photos are turned as their EXIF data says; a mask may have the size before or after the turn.
    """
    many = len(body.pictures) > 1
    raw = _open(body.pictures[0], f"{body.image}[0]" if many else body.image)
    images, areas = [_plain(raw)], [raw.width * raw.height]
    for k, data in enumerate(body.pictures[1:], 1):
        other = _open(data, f"{body.image}[{k}]")
        areas.append(other.width * other.height)
        if sum(areas) > ALL_PIXELS:
            raise _refused(f"{body.image}[{k}]", f"at most {ALL_PIXELS} pixels are taken in one edit")
        other.thumbnail((INSET, INSET))
        images.append(_plain(other))
    mask = None if body.mask is None else _mask(body.mask, raw)
    return Originals(tuple(images), mask, tuple(areas))


def _mask(data: bytes, first: Image.Image) -> Image.Image:
    """Return where the mask is wholly transparent: there, and only there, is edited."""
    mask = _open(data, "mask")
    if not mask.has_transparency_data:
        raise _bad_mask("mask image missing alpha channel. Transparent pixels are edited, others are kept")
    turned = ImageOps.exif_transpose(first)
    if mask.size not in (first.size, turned.size):
        sizes = f"the mask is {mask.width}x{mask.height}, the first image {turned.width}x{turned.height}"
        raise _bad_mask(f"mask size does not match image size: {sizes}")
    alpha = mask.convert("RGBA").getchannel("A")
    if mask.size != turned.size:
        alpha.info = {}
        alpha = alpha.transpose(_TURNS[first.getexif()[0x0112]])
    return alpha.point([255] + [0] * 255)


_TURNS = {
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _open(data: bytes, name: str) -> Image.Image:
    """Return the picture, loaded. Raises Refusal."""
    if len(data) > BYTES:
        raise _refused(name, f"it has {len(data)} bytes, at most {BYTES} are taken")
    why = "not a whole PNG, JPEG or WebP picture"
    try:
        image = Image.open(io.BytesIO(data), formats=KINDS)
        pixels, scans = image.width * image.height, data.count(b"\xff\xda") if image.format == "JPEG" else 0
        if scans > SCANS or scans * pixels > SCANNED:
            why = f"{scans} scans of {pixels} pixels take too long to decode"
        elif pixels <= PIXELS:
            image.load()
            # a PNG without its end is loaded without error
            if image.format != "PNG" or b"IEND\xaeB`\x82" in data:
                return image
        else:
            why = f"{image.width}x{image.height} pixels, at most {PIXELS} are taken"
    except Image.DecompressionBombError:
        why = f"at most {PIXELS} pixels are taken"
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, IndexError):
        pass
    raise _refused(name, why)


def _plain(image: Image.Image) -> Image.Image:
    """Return the picture upright, 8 bits a channel, RGB or RGBA."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a channel
        image = image.convert("I").point(lambda v: v * (1 / 256)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _refused(name: str, why: str) -> Refusal:
    return Refusal(f"Invalid image file '{name}': {why}.", param=name, code="invalid_image_file")


def _bad_mask(why: str) -> Refusal:
    message = f"Invalid mask image format - {why}."
    return Refusal(message, param="mask", code="invalid_mask_image_format")
