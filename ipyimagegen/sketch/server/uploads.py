"""The images of an edit, opened: PNG, JPEG and WebP by their bytes, whatever their declared type."""

from __future__ import annotations

import io

from PIL import Image, ImageOps, UnidentifiedImageError

from ipyimagegen.sketch.server.replies import Refusal, refuse_value
from ipyimagegen.sketch.server.request_bodies import EditBody

MOST_BYTES = 50 << 20  # of an image, as in the API
MOST_PIXELS = 40_000_000  # of an image
ALL_PIXELS = 4 * MOST_PIXELS  # of the images of an edit
SCANS, SCANNED = 64, 800_000_000  # of a JPEG, and scans times pixels: each scan passes over all of them
ORIENTATION = 0x0112  # the EXIF tag
INSET = 2048  # pixels an edge of every image but the first: they come into it smaller


def open_images(body: EditBody) -> tuple[list[Image.Image], Image.Image | None, int]:
    """Return the images of the body, its mask, and the number of pixels sent. Raises Refusal.

    The images are RGB, or RGBA where they have an alpha channel; the mask (L) is 255 where to edit: where the
    mask of the body is wholly transparent, or in the box around the marks of its markup.
    Photographs are turned as their EXIF data requires; a mask may have the size before or after the turn.
    """
    body.check_images()
    if len(body.guides) > 1:
        raise refuse_value("markup", "'markup' and 'mask' cannot be combined.")
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
        if not k and body.guides:
            mask = _open_guide(*body.guides.popitem(), image)
    return images, mask, pixels


def _open_guide(name: str, data: bytes, first: Image.Image) -> Image.Image:
    """Return where a mask or a markup says to edit the first image (L)."""
    guide = _open(data, name)
    if not guide.has_transparency_data:
        raise _refuse_guide(name, "missing alpha channel. It says where to edit")
    turned = ImageOps.exif_transpose(first)
    if guide.size not in (first.size, turned.size):
        sizes = f"the {name} is {guide.width}x{guide.height}, the first image {turned.width}x{turned.height}"
        raise _refuse_guide(name, f"{name} size does not match image size: {sizes}")
    alpha = guide.convert("RGBA").getchannel("A")
    if guide.size != turned.size:
        alpha.getexif()[ORIENTATION] = first.getexif()[ORIENTATION]
        alpha = ImageOps.exif_transpose(alpha)
    if name == "mask":
        return alpha.point([255] + [0] * 255)
    if alpha.getextrema()[0] == 255:
        raise _refuse_guide(name, "it has no transparent pixels")
    marked = Image.new("L", alpha.size)
    marked.paste(255, alpha.getbbox() or (0, 0, 0, 0))
    return marked


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
    return refuse_value(name, f"Invalid image file '{name}': {why}.", "invalid_image_file")


def _refuse_guide(name: str, why: str) -> Refusal:
    return refuse_value(name, f"Invalid {name} image format - {why}.", f"invalid_{name}_image_format")
