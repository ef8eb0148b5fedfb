"""The room where images are opened: what is in a file, what a notebook shows of it, what is sent.

Everything that comes in is hostile until proven: the format is known by its first bytes, the size
by its header, and only then is it decoded. Pillow is loaded by the first call that needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen.core.formats import find_suffix, sniff
from ipyimagegen.imaging.headers import MEGAPIXELS
from ipyimagegen.imaging.values import EDGE, LIMIT, ContactSheet, EncodedImage, ImageInfo, Preview

if TYPE_CHECKING:
    from PIL.Image import Image

    from ipyimagegen.core.redact import Redactor

__all__ = [
    "EDGE",
    "LIMIT",
    "MEGAPIXELS",
    "ContactSheet",
    "EncodedImage",
    "ImageInfo",
    "Preview",
    "choose_edge",
    "convert_mask",
    "encode_input",
    "find_suffix",
    "fit_input",
    "inspect",
    "make_contact_sheet",
    "make_preview",
    "make_tile",
    "mask_keys",
    "measure_changed_outside",
    "measure_tile_edge",
    "open_image",
    "preview_partial",
    "read_mask",
    "sniff",
    "to_mask_image",
    "to_png",
]


def inspect(path: Path, *, edge: int = EDGE) -> ImageInfo:
    """Say what is in the file, with a thumbnail of at most `edge` pixels; see `ImageInfo`.

    Raises OSError when the file cannot be read; whatever is in it raises nothing.
    """
    from ipyimagegen.imaging import reading  # noqa: PLC0415 - brings Pillow

    return reading.inspect(path, edge)


def mask_keys(path: Path, redactor: Redactor) -> bool:
    """Overwrite keys in the texts of a file that came, in place; return whether there were any."""
    from ipyimagegen.imaging import metadata  # noqa: PLC0415 - only where something came

    return metadata.mask_keys(path, redactor)


def make_preview(
    thumbs: Sequence[Image | None],
    labels: Sequence[str] = (),
    notes: Sequence[str] = (),
    *,
    edge: int = EDGE,
    limit: int = LIMIT,
    rows: int | None = None,
) -> Preview:
    """Return one image to show for these: itself, or a contact sheet in reading order.

    `labels` stand under the tiles; `notes` say, tile by tile, why an image is missing (None in
    `thumbs`). At most `edge` pixels and `limit` bytes, whatever comes, and at most so many `rows`; the
    same input gives the same bytes. Raises ValueError when there are no thumbs.
    """
    from ipyimagegen.imaging import encoding, sheet  # noqa: PLC0415 - brings Pillow

    return encoding.encode(sheet.compose(thumbs, labels, notes, edge, rows), limit)


def make_tile(thumbs: Sequence[Image], edge: int) -> Image | None:
    """Return several images as one of at most `edge` pixels, one as it is, and None for none."""
    if len(thumbs) < 2:
        return thumbs[0] if thumbs else None
    from ipyimagegen.imaging import sheet  # noqa: PLC0415 - brings Pillow

    return sheet.compose(thumbs, (), (), edge)


def make_contact_sheet(
    tiles: Sequence[Image | None],
    rows: Sequence[str],
    columns: Sequence[str],
    notes: Sequence[str] = (),
    *,
    title: str = "",
    mark: str = "",
    edge: int = EDGE,
    limit: int = LIMIT,
) -> ContactSheet:
    """Return the labelled sheet of a sweep: a strip of tiles when there are no `rows`, else a grid.

    `tiles` come row by row. `columns` are the headings of the columns, of a strip the label of each
    tile; `notes` say, tile by tile, why there is none (None in `tiles`). Labels that cannot be drawn
    in full become letters, a `title` becomes its `mark`, and the legend says what they stand for. At
    most `edge` pixels and `limit` bytes; the same input gives the same bytes. Raises ValueError when
    there are no tiles.
    """
    from ipyimagegen.imaging import contacts  # noqa: PLC0415 - brings Pillow

    return contacts.contact(tiles, rows, columns, notes, title=title, mark=mark, edge=edge, limit=limit)


def measure_tile_edge(rows: int, columns: int) -> int:
    """Return how large a tile of such a sheet can get, in pixels of its longest edge.

    With `rows` 0 it is a strip of `columns` tiles.
    """
    from ipyimagegen.imaging import contacts  # noqa: PLC0415 - brings Pillow

    return contacts.tile_edge(rows, columns)


def preview_partial(data: bytes) -> Preview | None:
    """Return an image on its way as it can be shown, or None when there is nothing to be seen yet.

    A partial image over some megapixels is left out: it is decoded while somebody waits.
    """
    from ipyimagegen.imaging import reading  # noqa: PLC0415 - brings Pillow

    thumb = reading.small(data, EDGE)
    return None if thumb is None else make_preview([thumb])


def choose_edge(count: int) -> int:
    """Return how large the thumbs of so many images are, in pixels: tiles of a sheet are small."""
    return EDGE if count <= 1 else EDGE // 2


def open_image(data: bytes) -> Image:
    """Return a file's bytes as a Pillow image of its own size and mode, decoded.

    Raises OSError for what is not a PNG, JPEG or WebP, or too costly to decode.
    """
    from ipyimagegen.imaging import reading  # noqa: PLC0415 - brings Pillow

    with reading.opened(data) as image:
        image.load()
        return image


def to_png(data: bytes) -> bytes:
    """Return a PNG, JPEG or WebP file as a PNG file of the same pixels. Raises OSError, like `open_image`."""
    from ipyimagegen.imaging import reading  # noqa: PLC0415 - brings Pillow

    out = BytesIO()
    with reading.opened(data) as image:
        image.save(out, "PNG")
    return out.getvalue()


def encode_input(thing: object, name: str = "the image") -> EncodedImage:
    """Return a user's image ready to be sent: a whole upright PNG, JPEG or WebP file.

    `thing` is bytes or a path, a Pillow image, an array of shape (height, width), with 1, 3 or 4
    channels last or first, a tensor, a matplotlib figure or axes, or an IPython Image. A file that can
    go as it is keeps its own bytes; anything else becomes PNG without loss, scaled only above 50 MB
    or 40 megapixels. `name` is what the user called it. Raises InvalidInput, beginning with `name`.
    """
    from ipyimagegen.imaging import sources  # noqa: PLC0415 - brings Pillow

    return sources.source(thing, name)


def fit_input(
    one: EncodedImage, formats: tuple[str, ...], limit: int, *, square: bool = False, name: str = "the image"
) -> EncodedImage:
    """Return the image as one server takes it: one of `formats` (png, jpeg, webp), `limit` bytes.

    The same object when it fits already. Else without loss where a format allows it, JPEG on white
    where only that is left, and scaled down; the notes say each. Raises InvalidInput when it is not
    square and must be.
    """
    from ipyimagegen.imaging import packing  # noqa: PLC0415 - brings Pillow

    return packing.fitted(one, formats, limit, square=square, name=name)


def read_mask(
    thing: object,
    size: tuple[int, int],
    name: str = "the mask",
    *,
    scaled_from: tuple[int, int] | None = None,
) -> EncodedImage:
    """Return what may change of an image of `size` (width, height), as PNG of mode L: 255 may, 0 not.

    `thing` is a box (`x,y,w,h` in pixels from the top left, as text or four numbers) or whatever
    `encode_input` takes: transparent pixels may change where there are any, else white ones. When the
    image was scaled, `scaled_from` is its size before, for which the mask was made. Raises
    InvalidInput for another size, and when nothing may change.
    """
    from ipyimagegen.imaging import masks  # noqa: PLC0415 - brings Pillow

    return masks.mask(thing, size, name, scaled_from)


def to_mask_image(data: bytes, size: tuple[int, int]) -> Image:
    """Return a mask as a Pillow image of mode 1, from a bit for each pixel, row by row: 0 is kept.

    The leftmost is the highest bit; each row is filled up to whole bytes. Raises ValueError when there
    are not as many as pixels.
    """
    from PIL import Image as Pillow  # noqa: PLC0415 - brings Pillow

    return Pillow.frombytes("1", size, data)


def convert_mask(one: EncodedImage, style: str) -> EncodedImage:
    """Return a mask as a server reads it: "alpha" (RGBA, transparent may change) or "white" (L, 255).

    Raises ValueError for another style.
    """
    from ipyimagegen.imaging import masks  # noqa: PLC0415 - brings Pillow

    return masks.mask_as(one, style)


def measure_changed_outside(before: bytes, after: Path, read_mask: bytes) -> float | None:
    """Return the share (0.0 to 1.0) of the pixels outside the mask that a server changed.

    `mask` is what `read_mask` returned. A pixel is changed when a channel differs by more than 8 of 255. A
    returned image of the same ratio is compared in its own size. None when nothing can be compared.
    """
    from ipyimagegen.imaging import difference  # noqa: PLC0415 - brings Pillow

    return difference.changed_outside(before, after, read_mask)
