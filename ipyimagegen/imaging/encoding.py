"""Make the bytes of a preview, within a limit that holds whatever the image is."""

from __future__ import annotations

import io

from PIL import Image

from ipyimagegen.imaging.values import Preview

QUALITIES = (88, 80, 72, 64, 55, 45)
FLAT = 8192  # colours: drawings and charts have fewer, photographs never do


def encode(image: Image.Image, limit: int) -> Preview:
    """Return the RGB image as JPEG, or as PNG where that is smaller, in at most `limit` bytes.

    The quality goes down first, then the size.
    """
    best = packed(image, limit)
    while len(best.data) > limit:
        scale = max(0.8, min(0.95, (limit / len(best.data)) ** 0.5))  # bytes go with the area, roughly
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        if size == image.size:
            raise ValueError(f"No preview fits in {limit} bytes.")
        image = image.resize(size, Image.Resampling.BILINEAR)
        best = _preview(image, _jpeg(image, QUALITIES[-1]), "image/jpeg")
    return best


def packed(image: Image.Image, limit: int) -> Preview:
    """Return the RGB image in its own size and the best quality that fits, else in the lowest."""
    best = _jpeg(image, QUALITIES[0])
    if image.getcolors(FLAT) is not None:
        drawing = _png(image)
        if len(drawing) <= min(limit, len(best)):
            return _preview(image, drawing, "image/png")
    for quality in QUALITIES[1:]:
        if len(best) <= limit:
            break
        best = _jpeg(image, quality)
    return _preview(image, best, "image/jpeg")


def _preview(image: Image.Image, data: bytes, mime: str) -> Preview:
    return Preview(data=data, mime=mime, width=image.width, height=image.height)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
