"""The labelled contact sheet of a sweep: a strip along one axis, or rows and columns of two.

All cells are alike, so that what differs is the images. A label stands on the sheet in full or not
at all: where one of an axis cannot, the whole axis becomes letters, and a legend says what they mean.
"""

from __future__ import annotations

import math
import statistics
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from PIL import Image, ImageDraw

from ipyimagegen.imaging import encoding, lettering
from ipyimagegen.imaging.sheet import (
    GAP,
    HAIRLINE,
    INK,
    MARGIN,
    NARROW,
    PAPER,
    Size,
    Tile,
    place,
    scaled,
    tiles_of,
)
from ipyimagegen.imaging.values import EDGE, ContactSheet

LETTERS = 13  # pixels: the height of the font, however small the tiles
LINE = lettering.step(LETTERS)
UNDER = 4  # pixels: under the title, and under the columns' headings
SMALL, LEAST = 96, 24  # pixels: room for a reason, and the smallest tiles that are made to save bytes
WORTH = 0.7  # of a tile's edge: what labels in full may cost
# Of width to height: what a cell may have, beyond which nobody asks for images.
RATIOS = (1 / 3, 1 / 2, 9 / 16, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 16 / 9, 2.0, 3.0)


@dataclass(frozen=True)
class Axis:
    """The labels of one direction, as given and as drawn.

    `one` and `two` are how wide all are in one line and in two, in pixels: infinitely when one of them
    cannot be drawn in full, or when two could not be told apart.
    """

    labels: Sequence[str]
    shown: Sequence[str]
    one: float
    two: float

    def fits(self, lines: int, width: float) -> bool:
        """Whether every label stands in so many lines of that width."""
        return (0, self.one, self.two)[lines] <= width


@dataclass(frozen=True)
class Page:
    """What goes on one sheet of at most `edge` pixels; a strip when there are no rows.

    A cell is `ratio` times as wide as high, and not larger than `most`: nothing is enlarged.
    """

    tiles: Sequence[Tile]
    rows: Axis
    columns: Axis
    title: str  # or what stands for it, where it cannot be drawn in full
    edge: int
    ratio: float
    most: Size

    @property
    def room(self) -> int:
        """How wide the sheet is between its margins, in pixels."""
        return self.edge - 2 * MARGIN


@dataclass(frozen=True)
class Layout:
    """How many cells stand side by side, how wide they are, and what room an image has.

    Columns' labels take `lines`: in a strip each under its tile, in a grid above all rows; there the
    rows' stand above each.
    """

    across: int
    cell: int
    tile: Size
    lines: int
    whole: bool  # whether the columns' labels are written in full
    worth: tuple[float, int]  # how good it is to look at: large tiles, labels in full, few rows


def contact(
    tiles: Sequence[Image.Image | None],
    rows: Sequence[str],
    columns: Sequence[str],
    notes: Sequence[str],
    *,
    title: str,
    mark: str,
    edge: int,
    limit: int,
) -> ContactSheet:
    """See `imaging.contact`."""
    page = _page(tiles, (rows, columns), notes, (title, mark), edge)
    tall = edge
    while True:  # the quality goes down first, then the tiles get smaller; the letters stay
        layout = _layout(page, tall)
        image = _paint(page, layout)
        preview = encoding.packed(image, limit)
        if len(preview.data) <= limit or tall <= LEAST:
            break
        saved = max(0.7, min(0.95, (limit / len(preview.data)) ** 0.5))  # bytes go with the area, roughly
        tall = max(LEAST, int(max(layout.tile) * saved))
    if len(preview.data) > limit or max(image.size) > edge:
        preview = encoding.encode(image.resize(scaled(image.size, edge, edge)), limit)
    named = [(mark, title)] if title and page.title == mark else []
    return ContactSheet(preview=preview, legend=(*named, *_legend(page, layout)))


@lru_cache(64)
def tile_edge(rows: int, columns: int, edge: int = EDGE) -> int:
    """See `imaging.tile_edge`: of all usual ratios, and with labels of one line."""
    columns = max(1, columns)
    page = _page([None] * max(1, rows) * columns, (["1"] * rows, ["1"] * columns), (), ("", ""), edge)
    return max(max(_layout(replace(page, ratio=ratio), edge).tile) for ratio in RATIOS)


def _page(
    images: Sequence[Image.Image | None],
    axes: tuple[Sequence[str], Sequence[str]],
    notes: Sequence[str],
    titles: tuple[str, str],
    edge: int,
) -> Page:
    if not images:
        raise ValueError("There is nothing to show.")
    rows, columns = axes
    across = max(len(columns), -(-len(images) // len(rows))) if rows else len(images)
    every = [*images, *[None] * (across * max(1, len(rows)) - len(images))]
    heads = [*columns[:across], *[""] * (across - len(columns))]
    known = [image.size for image in images if image is not None]
    usual = statistics.median(width / height for width, height in known) if known else 1.0
    top = _axis(titles[:1], edge)
    return Page(
        tiles=list(tiles_of(every, (), notes, edge)),
        rows=_axis(rows, edge),
        columns=_axis(heads, edge),
        title=top.shown[0] if top.fits(1, edge - 2 * MARGIN) else titles[1],
        edge=edge,
        ratio=max(RATIOS[0], min(RATIOS[-1], usual)),
        most=(
            max([SMALL, *(width for width, _ in known)] if known else [edge]),
            max([SMALL, *(height for _, height in known)] if known else [edge]),
        ),
    )


def _axis(labels: Sequence[str], edge: int) -> Axis:
    # No letter is narrower than two pixels, so what is longer fits in no two lines.
    shown = [lettering.whole(label, LETTERS) if len(label) < edge else None for label in labels]
    drawn = [text for text in shown if text is not None]
    if len(drawn) < len(labels) or len(set(drawn)) < len(set(labels)):
        return Axis(labels, labels, math.inf, math.inf)
    breadths = [lettering.breadths(text, LETTERS) for text in drawn]
    one, two = (max((math.ceil(both[n]) for both in breadths), default=0) for n in (0, 1))
    return Axis(labels, drawn, one, two)


def _layout(page: Page, tall: int) -> Layout:
    """Return the best way to lay the page out with tiles of at most `tall` pixels."""
    ways = [len(page.columns.labels)] if page.rows.labels else range(1, len(page.tiles) + 1)
    lines = (1, 2) if any(page.columns.labels) else (0,)
    return max(
        (_laid(page, tall, way, some) for way in ways for some in lines), key=lambda layout: layout.worth
    )


def _laid(page: Page, tall: int, across: int, lines: int) -> Layout:
    """Return the layout with so many cells side by side, and so many lines for the label of each."""
    room = (page.room - GAP * (across - 1)) // across
    down = -(-len(page.tiles) // across)
    text = _head(page, lines) + LINE * down * (1 if page.rows.labels else lines)
    high = (page.room - text - GAP * (down - 1)) / down
    width = min(
        room, high * page.ratio, max(page.most[0], page.most[1] * page.ratio), tall, tall * page.ratio
    )
    tile = max(1, int(width)), max(1, int(width / page.ratio))
    whole = page.columns.fits(lines, room)
    need = (0, page.columns.one, page.columns.two)[lines] if whole else min(room, NARROW)
    worth = tile[0] * (1 if whole else WORTH), across
    return Layout(
        across=across, cell=max(tile[0], int(need)), tile=tile, lines=lines, whole=whole, worth=worth
    )


def _head(page: Page, lines: int) -> int:
    """Return how high title and columns' headings stand above the first row, in pixels."""
    return sum(LINE * some + UNDER for some in (bool(page.title), lines if page.rows.labels else 0) if some)


def _marks(axis: Axis, *, numbered: bool = False) -> Sequence[str]:
    return [str(n + 1) if numbered else _letters(n) for n in range(len(axis.labels))]


def _letters(ordinal: int) -> str:
    """Return A, B … Z, AA, AB … for 0, 1 …, as spreadsheets do."""
    before, last = divmod(ordinal, 26)
    return (_letters(before - 1) if before else "") + string.ascii_uppercase[last]


def _written(page: Page, layout: Layout) -> tuple[Sequence[str], Sequence[str]]:
    """Return what stands for columns and rows: their labels, or letters; numbers where both need them."""
    columns = page.columns.shown if layout.whole else _marks(page.columns)
    if page.rows.fits(1, page.room):
        return columns, page.rows.shown
    return columns, _marks(page.rows, numbered=not layout.whole)


def _legend(page: Page, layout: Layout) -> Iterator[tuple[str, str]]:
    for axis, written in zip((page.columns, page.rows), _written(page, layout), strict=True):
        if written is not axis.shown:
            yield from zip(written, axis.labels, strict=True)


def _paint(page: Page, layout: Layout) -> Image.Image:
    """Draw the title, the columns' headings, and row after row."""
    columns, rows = _written(page, layout)
    texts = [lettering.breadths(text, LETTERS)[0] for text in (page.title, *rows)]
    width = max(layout.across * (layout.cell + GAP) - GAP, *map(math.ceil, texts))
    head = _head(page, layout.lines)
    high = layout.tile[1] + LINE * (1 if rows else layout.lines) + GAP
    down = -(-len(page.tiles) // layout.across)
    sheet = Image.new("RGB", (width + 2 * MARGIN, head + down * high - GAP + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for text, y in ((page.title, 0), *((text, head + n * high) for n, text in enumerate(rows))):
        start = (MARGIN, MARGIN + y + LINE / 2)
        lettering.centred(draw, start, [text], width=width, size=LETTERS, ink=INK, anchor="lm")
    if rows and layout.lines:
        under = MARGIN + head - UNDER / 2
        draw.line((MARGIN, under, MARGIN + width, under), fill=HAIRLINE)
    for ordinal, tile in enumerate(page.tiles):
        left = MARGIN + ordinal % layout.across * (layout.cell + GAP)
        top = MARGIN + head + ordinal // layout.across * high + (LINE if rows else 0)
        base = top + layout.tile[1]
        size = layout.tile if tile.image is None else scaled(tile.size, *layout.tile)
        # Each image stands at its label: that is above it in a grid, and under it in a strip.
        at = (left + (layout.cell - size[0]) // 2, top if rows else base - size[1])
        place(sheet, tile, at, size, max(11, min(LETTERS, size[1] // 12)))
        if rows and ordinal >= layout.across:
            continue
        lines = lettering.even(columns[ordinal], layout.cell, LETTERS)
        half = LINE * len(lines) / 2
        middle = (left + layout.cell / 2, MARGIN + head - UNDER - half if rows else base + half)
        lettering.centred(draw, middle, lines, width=layout.cell, size=LETTERS, ink=INK)
    return sheet
