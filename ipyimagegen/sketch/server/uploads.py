"""The images of an edit, opened: PNG, JPEG and WebP by their bytes, whatever their declared type."""

from __future__ import annotations

import io

from PIL import Image, ImageOps, UnidentifiedImageError

from ipyimagegen.sketch.server.replies import Refusal
from ipyimagegen.sketch.server.request_bodies import EditBody

MOST_BYTES = 50 << 20  # of an image, as in the API
MOST_PIXELS = 40_000_000  # of an image
ALL_PIXELS = 4 * MOST_PIXELS  # of the images of an edit
SCANS, SCANNED = 64, 800_000_000  # of a JPEG, and scans times pixels: each scan passes over all of them
ORIENTATION = 0x0112  # the EXIF tag
INSET = 2048  # pixels an edge of every image but the first: they come into it smaller


def open_images(body: EditBody) -> tuple[list[Image.Image], Image.Image | None, int]:
    """Return the images of the body, its mask, and the number of pixels sent. Raises Refusal.

    The images are RGB, or RGBA where they have an alpha channel; the mask (L) is 255 where to edit.
    Photographs are turned as their EXIF data requires; a mask may have the size before or after the turn.
    """
    body.check_images()
    images, pixels, mask = [], 0, None
    for k, data in enumerate(body.images):
        name = f"{body.image}[{k}]" if len(body.images) > 1 else body.image
        image = _open(data, name)
        pixels += image.width * image.height
        if pixels > ALL_PIXELS:
            raise _refuse_image(name, f"an edit takes at most {ALL_PIXELS} pixels")
        if k:
            image.thumbnail((INSET, INSET))
        images.append(_normalize(image))
        if not k and body.mask is not None:
            mask = _open_mask(body.mask, image)
    return images, mask, pixels


def _open_mask(data: bytes, first: Image.Image) -> Image.Image:
    """Return where the mask is wholly transparent: only these pixels are edited."""
    mask = _open(data, "mask")
    if not mask.has_transparency_data:
        raise _refuse_mask("mask image missing alpha channel. Transparent pixels are edited, others are kept")
    turned = ImageOps.exif_transpose(first)
    if mask.size not in (first.size, turned.size):
        sizes = f"the mask is {mask.width}x{mask.height}, the first image {turned.width}x{turned.height}"
        raise _refuse_mask(f"mask size does not match image size: {sizes}")
    alpha = mask.convert("RGBA").getchannel("A")
    if mask.size != turned.size:
        alpha.getexif()[ORIENTATION] = first.getexif()[ORIENTATION]
        alpha = ImageOps.exif_transpose(alpha)
    return alpha.point([255] + [0] * 255)


def _open(data: bytes, name: str) -> Image.Image:
    """Return the image, loaded. Raises Refusal."""
    if len(data) > MOST_BYTES:
        raise _refuse_image(name, f"it has {len(data)} bytes, at most {MOST_BYTES} are accepted")
    why = "not a whole PNG, JPEG or WebP image"
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
        pixels, scans = image.width * image.height, data.count(b"\xff\xda") if image.format == "JPEG" else 0
        if pixels > MOST_PIXELS:
            why = f"{image.width}x{image.height} pixels, at most {MOST_PIXELS} are accepted"
        elif scans > SCANS or scans * pixels > SCANNED:
            why = f"{scans} scans of {pixels} pixels take too long to decode"
        else:
            image.load()
            # a PNG without its end is loaded without error
            if image.format != "PNG" or b"IEND\xaeB`\x82" in data:
                return image
    except Image.DecompressionBombError:
        why = f"at most {MOST_PIXELS} pixels are accepted"
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, IndexError):
        pass
    raise _refuse_image(name, why)


def _normalize(image: Image.Image) -> Image.Image:
    """Return the image upright, 8 bits a channel, RGB or RGBA."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a channel
        image = image.convert("I").point(lambda v: v * (1 / 256)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _refuse_image(name: str, why: str) -> Refusal:
    return Refusal(f"Invalid image file '{name}': {why}.", param=name, code="invalid_image_file")


def _refuse_mask(why: str) -> Refusal:
    message = f"Invalid mask image format - {why}."
    return Refusal(message, param="mask", code="invalid_mask_image_format")
