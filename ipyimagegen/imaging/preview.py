"""Make the small image that a notebook shows and saves, within a limit of bytes for any content."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

EDGE = 768  # pixels: the longest edge of a preview
LIMIT = 100 * 1024  # bytes of a preview, so that a saved notebook stays small
_QUALITIES = (88, 80, 72, 64, 55, 45)
_FEW_COLOURS = 8192  # drawings and charts have fewer, photographs never do
_CHECKS = ((255, 255, 255), (237, 239, 242))
_CHECK = 12  # pixels: the edge of a square of the checkerboard


@dataclass(frozen=True, kw_only=True)
class Preview:
    """An image for a notebook: its bytes, image/jpeg or image/png, and its size in pixels."""

    data: bytes
    mime: str
    width: int
    height: int


def choose_edge(count: int) -> int:
    """Return the edge in pixels of the thumbnails of `count` images: tiles of a sheet are small."""
    return EDGE if count <= 1 else EDGE // 2


def scale_into(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """Return `size` scaled down into that room; nothing is enlarged."""
    scale = min(1.0, room[0] / size[0], room[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def encode_preview(image: Image.Image, limit: int) -> Preview:
    """Return the RGB image as JPEG, or as PNG where that is smaller, in at most `limit` bytes.

    The quality is reduced first, then the size. Raises ValueError when no size fits.
    """
    preview = encode_size(image, limit)
    while len(preview.data) > limit:
        scale = max(0.8, min(0.95, (limit / len(preview.data)) ** 0.5))  # bytes go with the area, roughly
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        if size == image.size:
            raise ValueError(f"No preview fits in {limit} bytes.")
        image = image.resize(size, Image.Resampling.BILINEAR)
        preview = _encode(image, "JPEG", _QUALITIES[-1])
    return preview


def encode_size(image: Image.Image, limit: int) -> Preview:
    """Return the RGB image in its own size and the best quality that fits, else in the lowest."""
    preview = _encode(image, "JPEG", _QUALITIES[0])
    if image.getcolors(_FEW_COLOURS) is not None:
        drawing = _encode(image, "PNG")
        if len(drawing.data) <= min(limit, len(preview.data)):
            return drawing
    for quality in _QUALITIES[1:]:
        if len(preview.data) <= limit:
            break
        preview = _encode(image, "JPEG", quality)
    return preview


def make_opaque(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the image in that size as RGB, on a light checkerboard where it is transparent."""
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if image.mode == "RGB":
        return image
    board = _draw_checkerboard(size)
    board.paste(image, mask=image.getchannel("A"))
    return board


def _encode(image: Image.Image, form: str, quality: int = 0) -> Preview:
    out = io.BytesIO()
    image.save(out, form, **({"quality": quality} if quality else {}))
    return Preview(data=out.getvalue(), mime=f"image/{form.lower()}", width=image.width, height=image.height)


def _draw_checkerboard(size: tuple[int, int]) -> Image.Image:
    across, down = size[0] // _CHECK + 1, size[1] // _CHECK + 1
    pattern = bytes((x + y) % 2 for y in range(down) for x in range(across))
    checks = Image.frombytes("P", (across, down), pattern)
    checks.putpalette([channel for colour in _CHECKS for channel in colour])
    large = checks.resize((across * _CHECK, down * _CHECK), Image.Resampling.NEAREST)
    return large.crop((0, 0, *size)).convert("RGB")
