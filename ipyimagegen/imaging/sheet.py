"""Lay images out as a contact sheet: white, thin gaps, each label under its image.

Images of a sheet have one height and flow from left to right, so that any mix of formats keeps its
order and none is cropped. Transparent images lie on a light checkerboard.
"""

from __future__ import annotations

import bisect
import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from PIL import Image, ImageDraw

from ipyimagegen.imaging import lettering

Size = tuple[int, int]

PAPER, HAIRLINE, DASHES, INK, SOFT = "#ffffff", "#e4e6ea", "#b6bcc6", "#3c424b", "#7a828e"
CHECKS = ("#ffffff", "#edeff2")
CHECK = 12  # pixels: the edge of a check
MARGIN, GAP, NARROW = 6, 8, 44  # pixels: around the sheet, between tiles, the room that a label needs
NOTE = 300  # characters of the reason why an image is missing


@dataclass(frozen=True)
class Tile:
    """An image, or the reason why there is none, and what stands under it."""

    image: Image.Image | None
    size: Size  # pixels, before it is scaled
    label: str
    note: str


@dataclass(frozen=True)
class Layout:
    """Where everything stands on a sheet of at most `edge` pixels.

    `rows` are the sizes of its images, `strip` is the height under a row for its labels, `letters`
    the height of their font, all in pixels.
    """

    edge: int
    rows: Sequence[Sequence[Size]]
    strip: int
    letters: int

    @property
    def size(self) -> Size:
        """Width and height of the sheet."""
        width = max(map(_across, self.rows))
        height = sum(max(tall for _, tall in row) + self.strip for row in self.rows)
        return width + 2 * MARGIN, height + GAP * (len(self.rows) - 1) + 2 * MARGIN

    def fits(self, rows: int) -> bool:
        """Whether the sheet is not larger than it may be, and has at most so many rows."""
        return max(self.size) <= self.edge and len(self.rows) <= rows


def compose(
    thumbs: Sequence[Image.Image | None],
    labels: Sequence[str],
    notes: Sequence[str],
    edge: int,
    rows: int | None = None,
) -> Image.Image:
    """Return one image alone, or all on a sheet in at most so many rows, as RGB of at most `edge` pixels.

    Raises ValueError when there are none.
    """
    if not thumbs:
        raise ValueError("There is nothing to show.")
    if len(thumbs) == 1 and thumbs[0] is not None:
        return _opaque(thumbs[0], scaled(thumbs[0].size, edge, edge))
    tiles = list(tiles_of(thumbs, labels, notes, edge))
    # The tallest images that fit: what fits at one height fits at any lower one.
    most = rows or len(tiles)
    layouts = partial(_layout, tiles, edge=edge)
    shrink = bisect.bisect_left(range(edge), True, key=lambda less: layouts(edge - less).fits(most))
    return _paint(tiles, _layout(tiles, max(1, edge - shrink), edge))


def tiles_of(
    thumbs: Sequence[Image.Image | None], labels: Sequence[str], notes: Sequence[str], edge: int
) -> Iterator[Tile]:
    """Yield each image with its label and its note in characters that can be drawn."""
    known = [image.size for image in thumbs if image is not None] or [(edge * 2 // 3, edge * 2 // 3)]
    usual = (int(statistics.median(w for w, _ in known)), int(statistics.median(h for _, h in known)))
    rows = itertools.zip_longest(thumbs, labels[: len(thumbs)], notes[: len(thumbs)])
    for ordinal, (image, label, note) in enumerate(rows, 1):
        text = lettering.legible(label, str(ordinal)) if label else ""
        why = lettering.legible(note or "", "no image", NOTE) or "no image"
        yield Tile(image, image.size if image is not None else usual, text, why)


def _layout(tiles: Sequence[Tile], tall: int, edge: int) -> Layout:
    """Fill rows from left to right with images of that height; one that is too wide gets lower."""
    room = edge - 2 * MARGIN
    letters = max(11, min(15, tall // 12))
    rows: list[list[Size]] = [[]]
    used = 0
    for tile in tiles:
        size = scaled(tile.size, room, tall)
        if rows[-1] and used + _cell(size) > room:
            rows.append([])
            used = 0
        rows[-1].append(size)
        used += _cell(size) + GAP
    return Layout(edge, rows, lettering.step(letters) if any(tile.label for tile in tiles) else 0, letters)


def scaled(size: Size, width: int, height: int) -> Size:
    """Return `size` scaled down into that room; nothing is enlarged."""
    scale = min(1.0, width / size[0], height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _across(row: Sequence[Size]) -> int:
    return sum(map(_cell, row)) + GAP * (len(row) - 1)


def _cell(size: Size) -> int:
    return max(size[0], NARROW)


def _paint(tiles: Sequence[Tile], layout: Layout) -> Image.Image:
    sheet = Image.new("RGB", layout.size, PAPER)
    draw = ImageDraw.Draw(sheet)
    following = iter(tiles)
    base = MARGIN
    for row in layout.rows:
        base += max(tall for _, tall in row)  # images of a row stand on one line, labels under it
        left = (sheet.width - _across(row)) // 2
        for size in row:
            tile, cell = next(following), _cell(size)
            place(sheet, tile, (left + (cell - size[0]) // 2, base - size[1]), size, layout.letters)
            middle = (left + cell / 2, base + layout.strip / 2)
            lettering.centred(draw, middle, [tile.label], width=cell, size=layout.letters, ink=INK)
            left += cell + GAP
        base += layout.strip + GAP
    return sheet


def place(sheet: Image.Image, tile: Tile, at: Size, size: Size, letters: int) -> None:
    """Put an image there in that size, or a dashed frame around the reason why there is none."""
    draw = ImageDraw.Draw(sheet)
    if tile.image is not None:
        # A white image still has an edge.
        draw.rectangle((at[0] - 1, at[1] - 1, at[0] + size[0], at[1] + size[1]), outline=HAIRLINE)
        sheet.paste(_opaque(tile.image, size), at)
        return
    _dashed(draw, at, size)
    width, most = size[0] - 12, (size[1] - 8) // lettering.step(letters)
    lines = lettering.wrapped(tile.note, width, most, letters)
    middle = (at[0] + size[0] / 2, at[1] + size[1] / 2)
    lettering.centred(draw, middle, lines, width=width, size=letters, ink=SOFT)


def _dashed(draw: ImageDraw.ImageDraw, at: Size, size: Size, dash: int = 6) -> None:
    left, top, right, bottom = at[0], at[1], at[0] + size[0] - 1, at[1] + size[1] - 1
    for x in range(left, right, 2 * dash):
        for y in (top, bottom):
            draw.line((x, y, min(x + dash, right), y), fill=DASHES)
    for y in range(top, bottom, 2 * dash):
        for x in (left, right):
            draw.line((x, y, x, min(y + dash, bottom)), fill=DASHES)


def _opaque(image: Image.Image, size: Size) -> Image.Image:
    """Return the image in that size as RGB, on a checkerboard where it is transparent."""
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if image.mode == "RGB":
        return image
    board = _checkerboard(size)
    board.paste(image, mask=image.getchannel("A"))
    return board


def _checkerboard(size: Size) -> Image.Image:
    across, down = size[0] // CHECK + 1, size[1] // CHECK + 1
    pattern = bytes((x + y) % 2 for y in range(down) for x in range(across))
    checks = Image.frombytes("P", (across, down), pattern)
    checks.putpalette([int(colour[i : i + 2], 16) for colour in CHECKS for i in (1, 3, 5)])
    large = checks.resize((across * CHECK, down * CHECK), Image.Resampling.NEAREST)
    return large.crop((0, 0, *size)).convert("RGB")
