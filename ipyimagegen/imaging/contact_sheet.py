"""Show several images together: a contact sheet with a label for each image, or for rows and columns.

All cells have the same size, so that what differs is the images. They are in reading order, none is
cropped or enlarged, and transparent images lie on a light checkerboard.
"""

from __future__ import annotations

import itertools
import math
import statistics
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from PIL import Image, ImageDraw

from ipyimagegen.core.messages import _
from ipyimagegen.imaging.lettering import (
    draw_lines,
    measure_breadths,
    measure_line,
    to_exact,
    to_legible,
    wrap,
    wrap_evenly,
)
from ipyimagegen.imaging.preview import (
    EDGE,
    LIMIT,
    Preview,
    encode_preview,
    encode_size,
    make_opaque,
    scale_into,
)

FONT_SIZE = 13  # pixels, however small the tiles are
LINE = measure_line(FONT_SIZE)
UNDER_HEADINGS = 4  # pixels: under the title, and under the columns' headings
_MARGIN, _GAP, _NARROW = 6, 8, 44  # pixels: around the sheet, between cells, the least width of a label
_SMALL, _SMALLEST = 96, 24  # pixels: room for a reason, and the smallest tiles that are made to save bytes
_LONGEST_NOTE = 300  # characters
_WORTH = 0.7  # of a tile's edge: what labels in full may cost
# Width to height of a cell; no model offers more extreme ratios.
_RATIOS = (1 / 3, 1 / 2, 9 / 16, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 16 / 9, 2.0, 3.0)
_PAPER, _HAIRLINE, _DASHES, _INK, _SOFT = "#ffffff", "#e4e6ea", "#b6bcc6", "#3c424b", "#7a828e"

_Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ContactSheet:
    """The labelled sheet of a sweep, and what its letters stand for.

    `legend` is (letter, label) of each axis whose labels do not stand on the sheet themselves: first
    the title under its mark, then columns, then rows. Empty when everything stands on the sheet.
    """

    preview: Preview
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Axis:
    """The labels of a direction, as given and as drawn.

    `widths` are the pixels that all of them need in no line, one line and two lines: infinite when a label
    cannot be drawn in full, or when two labels would look the same.
    """

    labels: Sequence[str]
    drawn: Sequence[str]
    widths: tuple[float, float, float]


@dataclass(frozen=True)
class _Page:
    """The content of a sheet of at most `edge` pixels; a strip when there are no rows.

    `notes` are why images are missing. `shapes` counts the images of each ratio of width to height. A tile
    is not larger than `largest`. Labels of a strip that do not fit become letters, or are cut when they are
    `cuttable`. A strip has at most `most_rows`.
    """

    images: Sequence[Image.Image | None]
    notes: Sequence[str]
    rows: _Axis
    columns: _Axis
    edge: int
    shapes: Counter[float]
    largest: _Size
    title: str  # or its mark, where it cannot be drawn in full
    cuttable: bool
    most_rows: int

    @property
    def room(self) -> int:
        """Pixels between the margins."""
        return self.edge - 2 * _MARGIN


@dataclass(frozen=True)
class _Layout:
    """The number of cells side by side, their width, and the room of an image, in pixels.

    Columns' labels take `lines`: in a strip each under its tile, in a grid above all rows; there the
    rows' labels stand above each row.
    """

    across: int
    cell: int
    tile: _Size
    lines: int
    whole: bool  # whether the columns' labels fit
    worth: tuple[float, int]  # how good it looks: large images, labels in full, few rows


def make_preview(
    thumbs: Sequence[Image.Image | None],
    labels: Sequence[str] = (),
    notes: Sequence[str] = (),
    *,
    edge: int = EDGE,
    limit: int = LIMIT,
    rows: int | None = None,
) -> Preview:
    """Return a single image to show for these: itself, or a contact sheet in reading order.

    `labels` stand under the tiles, cut where they are too long. `notes` are, tile by tile, why an image is
    missing (None in `thumbs`). At most `edge` pixels and `limit` bytes for any content, and at most so many
    `rows`; the same input gives the same bytes. Raises ValueError when there are no thumbs.
    """
    if len(thumbs) == 1 and thumbs[0] is not None:
        return encode_preview(make_opaque(thumbs[0], scale_into(thumbs[0].size, (edge, edge))), limit)
    return _draw_within(_make_strip(thumbs, labels, notes, edge, rows), limit)[0]


def make_tile(thumbs: Sequence[Image.Image], edge: int) -> Image.Image | None:
    """Return several images as a sheet of at most `edge` pixels, a single image as it is, else None."""
    if len(thumbs) < 2:
        return thumbs[0] if thumbs else None
    page = _make_strip(thumbs, (), (), edge)
    image = _paint(page, _choose_layout(page, edge))
    return make_opaque(image, scale_into(image.size, (edge, edge)))


def make_contact_sheet(
    tiles: Sequence[Image.Image | None],
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
    tile. `notes` are, tile by tile, why it is missing (None in `tiles`). When a label cannot be drawn in
    full, all labels of its axis become letters and a `title` becomes its `mark`; the legend is what they
    stand for. At most `edge` pixels and `limit` bytes; the same input gives the same bytes. Raises
    ValueError when there are no tiles.
    """
    page = _make_grid(tiles, rows, columns, notes, title=title, mark=mark, edge=edge)
    preview, layout = _draw_within(page, limit)
    legend = [(mark, title)] if title and page.title == mark else []
    for axis, texts in zip((page.columns, page.rows), _choose_labels(page, layout), strict=True):
        if texts is not axis.drawn:
            legend += zip(texts, axis.labels, strict=True)
    return ContactSheet(preview=preview, legend=tuple(legend))


@lru_cache(64)
def measure_tile_edge(rows: int, columns: int) -> int:
    """Return the longest edge in pixels that a tile of such a contact sheet can have.

    With `rows` 0 it is a strip of `columns` tiles.
    """
    columns = max(1, columns)
    page = _make_grid([None] * max(1, rows) * columns, ["1"] * rows, ["1"] * columns)
    return max(max(_choose_layout(replace(page, shapes=Counter([ratio])), EDGE).tile) for ratio in _RATIOS)


# Pages


def _make_strip(
    images: Sequence[Image.Image | None],
    labels: Sequence[str],
    notes: Sequence[str],
    edge: int,
    most_rows: int | None = None,
) -> _Page:
    drawn = [
        to_legible(label, str(ordinal)) if label else ""
        for ordinal, label in enumerate(_pad(labels, len(images)), 1)
    ]
    columns = _make_axis(drawn, exact=False)
    return _make_page(images, notes, _make_axis(()), columns, edge, cuttable=True, most_rows=most_rows)


def _make_grid(
    images: Sequence[Image.Image | None],
    rows: Sequence[str],
    columns: Sequence[str],
    notes: Sequence[str] = (),
    *,
    title: str = "",
    mark: str = "",
    edge: int = EDGE,
) -> _Page:
    across = max(len(columns), -(-len(images) // len(rows))) if rows else len(images)
    missing = across * max(1, len(rows)) - len(images)
    heading = _make_axis([title])
    return _make_page(
        [*images, *[None] * missing] if images else [],
        notes,
        _make_axis(rows),
        _make_axis(_pad(columns, across)),
        edge,
        title=heading.drawn[0] if heading.widths[1] <= edge - 2 * _MARGIN else mark,
    )


def _make_page(
    images: Sequence[Image.Image | None],
    notes: Sequence[str],
    rows: _Axis,
    columns: _Axis,
    edge: int,
    *,
    title: str = "",
    cuttable: bool = False,
    most_rows: int | None = None,
) -> _Page:
    if not images:
        raise ValueError("There is nothing to show.")
    sizes = [image.size for image in images if image is not None]
    widths, heights = [size[0] for size in sizes], [size[1] for size in sizes]
    ratios = [max(_RATIOS[0], min(_RATIOS[-1], width / height)) for width, height in sizes]
    vacant = edge * 2 // 3 if cuttable else edge
    no_image = str(_("no image"))
    return _Page(
        images=images,
        notes=[to_legible(note, no_image, _LONGEST_NOTE) or no_image for note in _pad(notes, len(images))],
        rows=rows,
        columns=columns,
        edge=edge,
        shapes=Counter(ratios or [1.0]),
        largest=(max(_SMALL, *widths), max(_SMALL, *heights)) if sizes else (vacant, vacant),
        title=title,
        cuttable=cuttable,
        most_rows=most_rows or len(images),
    )


def _pad(texts: Sequence[str], count: int) -> list[str]:
    return [*texts[:count], *[""] * (count - len(texts))]


def _make_axis(labels: Sequence[str], *, exact: bool = True) -> _Axis:
    drawn: Sequence[str] = labels
    if exact:
        # No letter is narrower than two pixels, so that a longer label does not fit in two lines.
        texts = [to_exact(label, FONT_SIZE) if len(label) < EDGE else None for label in labels]
        drawn = [text for text in texts if text is not None]
        if len(drawn) < len(labels) or len(set(drawn)) < len(set(labels)):
            return _Axis(labels, labels, (0, math.inf, math.inf))
    breadths = [measure_breadths(text, FONT_SIZE) for text in drawn]
    whole, halves = (max((math.ceil(pair[n]) for pair in breadths), default=0) for n in (0, 1))
    return _Axis(labels, drawn, (0, whole, halves))


# Layout


def _draw_within(page: _Page, limit: int) -> tuple[Preview, _Layout]:
    """Draw the page in at most `limit` bytes.

    The quality is reduced first, then the tiles; the letters keep their size.
    """
    tallest = page.edge
    while True:
        layout = _choose_layout(page, tallest)
        image = _paint(page, layout)
        preview = encode_size(image, limit)
        if len(preview.data) <= limit or tallest <= _SMALLEST:
            break
        share = (limit / len(preview.data)) ** 0.5  # bytes go with the area, roughly
        tallest = max(_SMALLEST, int(max(layout.tile) * max(0.7, min(0.95, share))))
    if len(preview.data) > limit or max(image.size) > page.edge:
        preview = encode_preview(make_opaque(image, scale_into(image.size, (page.edge, page.edge))), limit)
    return preview, layout


def _choose_layout(page: _Page, tallest: int) -> _Layout:
    """Return the best layout of the page with tiles of at most `tallest` pixels."""
    count = len(page.images)
    widths = [len(page.columns.labels)] if page.rows.labels else range(-(-count // page.most_rows), count + 1)
    line_counts = (1, 2) if any(page.columns.labels) else (0,)
    shapes = list(page.shapes.elements())
    ratios = sorted({min(shapes), statistics.median(shapes), max(shapes)})
    choices = itertools.product(ratios, widths, line_counts)
    layouts = [_lay_out(page, tallest, ratio, across, lines) for ratio, across, lines in choices]
    return max(layouts, key=lambda layout: layout.worth)


def _lay_out(page: _Page, tallest: int, ratio: float, across: int, lines: int) -> _Layout:
    """Return the layout with so many cells of that ratio side by side, and so many lines for each label."""
    room = (page.room - _GAP * (across - 1)) // across
    down = -(-len(page.images) // across)
    text = _measure_head(page, lines) + LINE * down * (1 if page.rows.labels else lines)
    height = (page.room - text - _GAP * (down - 1)) / down
    width = min(room, height * ratio, tallest, tallest * ratio)
    tile = max(1, int(min(width, page.largest[0]))), max(1, int(min(width / ratio, page.largest[1])))
    whole = page.columns.widths[lines] <= room
    need = page.columns.widths[lines] if whole else room if page.cuttable else min(room, _NARROW)
    area = sum(count * min(tile[0], tile[1] * shape) ** 2 / shape for shape, count in page.shapes.items())
    worth = math.sqrt(area) * (1 if whole else _WORTH), across
    return _Layout(across, max(tile[0], int(need)), tile, lines, whole, worth)


def _measure_head(page: _Page, lines: int) -> int:
    """Return the height of title and columns' headings above the first row, in pixels."""
    heights = (bool(page.title), lines if page.rows.labels else 0)
    return sum(LINE * count + UNDER_HEADINGS for count in heights if count)


# Labels


def _choose_labels(page: _Page, layout: _Layout) -> tuple[Sequence[str], Sequence[str]]:
    """Return the texts of columns and rows: labels, or letters; numbers for rows where both need them."""
    whole = layout.whole or page.cuttable
    columns = page.columns.drawn if whole else [_to_letters(n) for n in range(len(page.columns.labels))]
    if page.rows.widths[1] <= page.room:
        return columns, page.rows.drawn
    return columns, [_to_letters(n) if whole else str(n + 1) for n in range(len(page.rows.labels))]


def _to_letters(ordinal: int) -> str:
    """Return A, B … Z, AA, AB … for 0, 1 …, as spreadsheets do."""
    before, last = divmod(ordinal, 26)
    return (_to_letters(before - 1) if before else "") + string.ascii_uppercase[last]


# Drawing


def _paint(page: _Page, layout: _Layout) -> Image.Image:
    """Draw the title, the columns' headings, and row after row."""
    columns, rows = _choose_labels(page, layout)
    headings = [math.ceil(measure_breadths(text, FONT_SIZE)[0]) for text in (page.title, *rows)]
    width = max(layout.across * (layout.cell + _GAP) - _GAP, *headings)
    head = _measure_head(page, layout.lines)
    step = layout.tile[1] + LINE * (1 if rows else layout.lines) + _GAP
    down = -(-len(page.images) // layout.across)
    sheet = Image.new("RGB", (width + 2 * _MARGIN, head + down * step - _GAP + 2 * _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for text, y in ((page.title, 0), *((text, head + n * step) for n, text in enumerate(rows))):
        start = (_MARGIN, _MARGIN + y + LINE / 2)
        draw_lines(draw, start, [text], width=width, size=FONT_SIZE, ink=_INK, anchor="lm")
    if rows and layout.lines:
        under = _MARGIN + head - UNDER_HEADINGS / 2
        draw.line((_MARGIN, under, _MARGIN + width, under), fill=_HAIRLINE)
    for ordinal, image in enumerate(page.images):
        left = _MARGIN + ordinal % layout.across * (layout.cell + _GAP)
        top = _MARGIN + head + ordinal // layout.across * step + (LINE if rows else 0)
        base = top + layout.tile[1]
        size = layout.tile if image is None else scale_into(image.size, layout.tile)
        # Each image is beside its label: below it in a grid, above it in a strip.
        at = (left + (layout.cell - size[0]) // 2, top if rows else base - size[1])
        if image is None:
            _paint_note(draw, page.notes[ordinal], at, size)
        else:
            # A white image still has an edge.
            draw.rectangle((at[0] - 1, at[1] - 1, at[0] + size[0], at[1] + size[1]), outline=_HAIRLINE)
            sheet.paste(make_opaque(image, size), at)
        if rows and ordinal >= layout.across:
            continue
        text = columns[ordinal]
        lines = wrap_evenly(text, layout.cell, FONT_SIZE) if layout.lines > 1 else [text]
        half = LINE * len(lines) / 2
        middle = (left + layout.cell / 2, _MARGIN + head - UNDER_HEADINGS - half if rows else base + half)
        draw_lines(draw, middle, lines, width=layout.cell, size=FONT_SIZE, ink=_INK)
    return sheet


def _paint_note(draw: ImageDraw.ImageDraw, note: str, at: _Size, size: _Size, dash: int = 6) -> None:
    """Draw a dashed frame in that size around the reason why an image is missing."""
    left, top, right, bottom = at[0], at[1], at[0] + size[0] - 1, at[1] + size[1] - 1
    for x in range(left, right, 2 * dash):
        for y in (top, bottom):
            draw.line((x, y, min(x + dash, right), y), fill=_DASHES)
    for y in range(top, bottom, 2 * dash):
        for x in (left, right):
            draw.line((x, y, x, min(y + dash, bottom)), fill=_DASHES)
    font_size = max(11, min(FONT_SIZE, size[1] // 12))
    width, most = size[0] - 12, (size[1] - 8) // measure_line(font_size)
    lines = wrap(note, width, most, font_size)
    middle = (at[0] + size[0] / 2, at[1] + size[1] / 2)
    draw_lines(draw, middle, lines, width=width, size=font_size, ink=_SOFT)
