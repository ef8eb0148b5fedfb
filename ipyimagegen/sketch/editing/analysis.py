"""Analysis of an image: where it is busy, where its subject is, what is plain ground, what is thin ink.

It looks at a few thousand pixels. Lengths are in units of the short edge, as in `layout`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import accumulate

from PIL import Image, ImageChops, ImageFilter, ImageStat

from ipyimagegen.sketch.drawing.canvas import make_curve, mend
from ipyimagegen.sketch.drawing.palette import RGB, luminance

LONG_EDGE = 96  # pixels of the reduced image
NEAR = 8  # of its pixels, between parts of a subject
PLAIN = 14  # levels by which half of the border's pixels may stray from their median
TOLERANCE = 48  # levels by which any pixel of the ground may stray
INK_GROUND = 0.45, 190  # share and luminance of the ground of an ink drawing, at least


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in units of the short edge."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Subject:
    """What an image shows: its box, the x of its top, and its area in the reduced image (L)."""

    box: Box
    crown: float
    area: Image.Image


@dataclass(frozen=True, slots=True)
class ImageAnalysis:
    """The size of the reduced image, running sums of how busy it is, row by row, and its subject."""

    columns: int
    rows: int
    sums: tuple[tuple[float, ...], ...]
    subject: Subject | None

    @classmethod
    def of(cls, image: Image.Image) -> ImageAnalysis:
        """Analyse an image (RGB)."""
        few = _reduce(image, LONG_EDGE)
        apart = _compare_with_row_ends(few)
        edges = Image.new("L", few.size)
        inner = (1, 1, few.width - 1, few.height - 1)  # the filter leaves the outermost pixels as they are
        if few.width > 2 and few.height > 2:
            edges.paste(few.filter(ImageFilter.FIND_EDGES).convert("L").crop(inner), inner)
        busy = ImageChops.add(edges, apart.point([v * 7 // 10 for v in range(256)])).tobytes()
        sums = [(0.0,) * (few.width + 1)]
        for j in range(few.height):
            row = accumulate(busy[j * few.width : (j + 1) * few.width], initial=0.0)
            sums.append(tuple(a + b for a, b in zip(sums[-1], row, strict=True)))
        return cls(few.width, few.height, tuple(sums), _find_subject(apart))

    @property
    def unit(self) -> int:
        """The short edge of the reduced image, pixels."""
        return min(self.columns, self.rows)

    def measure_busy(self, box: Box) -> float:
        """Return how busy the image is in the box, 0..255 on average."""
        x0, x1 = (min(max(round((box.x + d) * self.unit), 0), self.columns) for d in (0, box.width))
        y0, y1 = (min(max(round((box.y + d) * self.unit), 0), self.rows) for d in (0, box.height))
        if x0 == x1 or y0 == y1:
            return 255.0
        sums = self.sums
        return (sums[y1][x1] - sums[y0][x1] - sums[y1][x0] + sums[y0][x0]) / ((x1 - x0) * (y1 - y0))


def _reduce(image: Image.Image, long_edge: int) -> Image.Image:
    few = image.copy()
    few.thumbnail((long_edge, long_edge), Image.Resampling.BOX)
    return few


def compare(a: Image.Image, b: Image.Image) -> Image.Image:
    """Return (L) by how many levels two RGB images differ, in the band where they differ most."""
    red, green, blue = ImageChops.difference(a, b).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def _compare_with_row_ends(few: Image.Image) -> Image.Image:
    """Return (L) how much each pixel differs from both ends of its row: ground runs through."""
    rim = max(2, few.width // 16)
    sides = []
    for x in (0, few.width - rim):
        end = few.crop((x, 0, x + rim, few.height)).resize((1, few.height), Image.Resampling.BOX)
        sides.append(compare(few, end.resize(few.size)))
    return ImageChops.darker(sides[0], sides[1])


def _find_subject(apart: Image.Image) -> Subject | None:
    """Return what stands apart from its rows: the weightiest area near the middle, and what adjoins it."""
    values, (width, height) = apart.tobytes(), apart.size
    bound = max(26, int(sorted(values)[len(values) * 19 // 20] * 0.4))
    todo = {k for k, v in enumerate(values) if v >= bound}
    areas: list[tuple[float, set[int]]] = []
    while todo:
        area = _grow(todo, width)
        areas.append((sum(values[k] * _weigh_place(k, width, height) for k in area), area))
    areas.sort(key=lambda weighed: (-weighed[0], min(weighed[1])))
    best: set[int] = set()
    for weight, area in areas:
        if not best or (weight > 0.1 * areas[0][0] and _adjoin(best, area, width)):
            best |= area
    if not 0.012 * len(values) <= len(best) <= 0.75 * len(values):
        return None
    columns, rows = sorted(k % width for k in best), sorted(k // width for k in best)
    unit, last = min(width, height), len(best) - 1
    low, high = last // 50, last - last // 50  # a fiftieth at each end is whiskers
    x0, x1, y0, y1 = columns[low], columns[high], rows[low], rows[high]
    top = [k % width for k in best if k // width <= y0 + (y1 - y0) * 0.2]
    box = Box(x0 / unit, y0 / unit, (x1 + 1 - x0) / unit, (y1 + 1 - y0) / unit)
    cells = _to_mask(best, apart.size)
    closed = cells.filter(ImageFilter.MaxFilter(NEAR | 1)).filter(ImageFilter.MinFilter(NEAR | 1))
    return Subject(box, (sum(top) / len(top) + 0.5) / unit, closed)


def _adjoin(first: set[int], second: set[int], width: int) -> bool:
    """Return whether two areas overlap across, and are near to each other up and down."""
    a, c = ({k % width for k in area} for area in (first, second))
    b, d = ({k // width for k in area} for area in (first, second))
    return max(min(a), min(c)) < min(max(a), max(c)) and max(min(b), min(d)) - min(max(b), max(d)) <= NEAR


def _weigh_place(k: int, width: int, height: int) -> float:
    x, y = (k % width + 0.5) / width - 0.5, (k // width + 0.5) / height - 0.5
    return max(0.05, 1 - 2.2 * math.hypot(x, y))


def _grow(todo: set[int], width: int) -> set[int]:
    """Take a connected area out of `todo`, from its first pixel on."""
    start = min(todo)
    todo.remove(start)
    reached, queue = {start}, deque([start])
    while queue:
        k = queue.popleft()
        for other in (k - width, k + width, k - 1 if k % width else -1, k + 1 if (k + 1) % width else -1):
            if other in todo:
                todo.remove(other)
                reached.add(other)
                queue.append(other)
    return reached


def _to_mask(area: set[int], size: tuple[int, int]) -> Image.Image:
    return Image.frombytes("L", size, bytes(255 if k in area else 0 for k in range(size[0] * size[1])))


def find_ground(image: Image.Image) -> Image.Image | None:
    """Return the plain ground around the subject (L, 255 is ground), None if it is not plain."""
    few = _reduce(image, 2 * LONG_EDGE)
    width, height = few.size
    rim = Image.new("L", few.size, 255)
    rim.paste(0, (1, 1, width - 1, height - 1))
    red, green, blue = (round(value) for value in ImageStat.Stat(few, rim).median)
    apart = compare(few, Image.new("RGB", few.size, (red, green, blue)))
    plain = apart.point([255] * (TOLERANCE + 1) + [0] * (255 - TOLERANCE))
    if ImageStat.Stat(apart, rim).median[0] > PLAIN or ImageStat.Stat(plain, rim).mean[0] < 0.8 * 255:
        return None
    values = apart.tobytes()
    todo = {k for k, value in enumerate(values) if value <= TOLERANCE}
    reached: set[int] = set()
    while todo:
        area = _grow(todo, width)
        if any(k % width in (0, width - 1) or k // width in (0, height - 1) for k in area):
            reached |= area
    if not 0.08 * len(values) <= len(reached) <= 0.99 * len(values):
        return None
    coarse = _to_mask(reached, few.size)
    wide = coarse.filter(ImageFilter.MaxFilter(7)).resize(image.size, Image.Resampling.BILINEAR)
    filled = mend(few, ImageChops.invert(coarse)).resize(image.size, Image.Resampling.BILINEAR)
    near = compare(image, filled).point(make_curve(lambda v: (72 - v) * 5))
    return ImageChops.darker(wide.point(make_curve(lambda v: v * 3)), near)


def find_ink(image: Image.Image) -> tuple[Image.Image | None, Image.Image | None]:
    """Return what stands on the even light ground of a plot (L), and what of it is thin; None for others."""
    few = image.resize((96, 96), Image.Resampling.NEAREST)
    counts: dict[RGB, int] = {colour: count for count, colour in few.getcolors(96 * 96) or []}  # type: ignore[misc]
    ground = max(counts, key=lambda colour: (counts[colour], colour))
    if counts[ground] < INK_GROUND[0] * 96 * 96 or luminance(ground) < INK_GROUND[1]:
        return None, None
    apart = compare(image, Image.new("RGB", image.size, ground)).point(make_curve(lambda v: (v - 10) * 3))
    few = apart.reduce(max(1, min(image.size) // 240))
    width = max(5, min(few.size) // 40 | 1)
    fat = few.filter(ImageFilter.MinFilter(width)).filter(ImageFilter.MaxFilter(width + 2))
    thin = ImageChops.subtract(apart, fat.resize(image.size, Image.Resampling.BILINEAR))
    inked = sum(thin.histogram()[128:])
    return (apart, thin) if inked >= 0.004 * image.width * image.height else (None, None)
