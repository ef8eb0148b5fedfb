"""The room where pictures are opened: what is in a file, and what a notebook shows of it.

Everything that comes in is hostile until proven: the format is known by its first bytes, the size
by its header, and only then is it decoded. Pillow is loaded by the first call that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen.imaging.headers import MEGAPIXELS, SUFFIX, sniff, suffix_of
from ipyimagegen.imaging.values import EDGE, LIMIT, Inspected, Preview

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "EDGE",
    "LIMIT",
    "MEGAPIXELS",
    "SUFFIX",
    "Inspected",
    "Preview",
    "as_png",
    "edge_of",
    "inspect",
    "opened",
    "preview",
    "sniff",
    "suffix_of",
]


def inspect(path: Path, *, edge: int = EDGE) -> Inspected:
    """Say what is in the file, with a thumbnail of at most `edge` pixels; see `Inspected`.

    Raises OSError when the file cannot be read; whatever is in it raises nothing.
    """
    from ipyimagegen.imaging import reading  # noqa: PLC0415 - brings Pillow

    return reading.inspect(path, edge)


def preview(
    thumbs: Sequence[Image | None],
    labels: Sequence[str] = (),
    notes: Sequence[str] = (),
    *,
    edge: int = EDGE,
    limit: int = LIMIT,
) -> Preview:
    """Return one picture to show for these: itself, or a contact sheet in reading order.

    `labels` stand under the tiles; `notes` say, tile by tile, why a picture is missing (None in
    `thumbs`). At most `edge` pixels and `limit` bytes, whatever comes; the same input gives the same
    bytes. Raises ValueError when there are no thumbs.
    """
    from ipyimagegen.imaging import encoding, sheet  # noqa: PLC0415 - brings Pillow

    return encoding.encode(sheet.compose(thumbs, labels, notes, edge), limit)


def edge_of(count: int) -> int:
    """Return how large the thumbs of so many pictures are, in pixels: tiles of a sheet are small."""
    return EDGE if count <= 1 else EDGE // 2


def opened(data: bytes) -> Image:
    """Return a file's bytes as a Pillow image of its own size and mode, decoded.

    Raises OSError for what is not a PNG, JPEG or WebP.
    """
    from PIL import Image  # noqa: PLC0415 - brings Pillow

    with Image.open(BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
        image.load()
        return image


def as_png(data: bytes) -> bytes:
    """Return a PNG, JPEG or WebP file as a PNG file of the same pixels. Raises OSError."""
    from PIL import Image  # noqa: PLC0415 - brings Pillow

    out = BytesIO()
    with Image.open(BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
        image.save(out, "PNG")
    return out.getvalue()
