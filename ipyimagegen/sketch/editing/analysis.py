"""Analysis of an image: where it is busy, where its subject is, what is plain ground, what is thin ink.

It looks at a few thousand pixels. Lengths are in units of the short edge, as in `layout`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageFilter

from ipyimagegen.sketch.drawing.canvas import luminance, make_curve
from ipyimagegen.sketch.drawing.mark import mend

if TYPE_CHECKING:
    from ipyimagegen.sketch.drawing.canvas import RGB

LONG_EDGE = 96  # pixels of the reduced image
NEAR = 8  # of its pixels, between parts of one subject
PLAIN = 14  # levels by which the middle one of the border's pixels strays from their mean, at most
TOLERANCE = 48  # and any pixel of the ground
STEP = 11  # and from a pixel to the next
INK_GROUND = 0.45, 190  # share and luminance of the ground of an ink drawing, at least
INKED = 0.004  # share of thin ink, at least


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
        x0, x1 = (_clip((box.x + d) * self.unit, self.columns) for d in (0, box.width))
        y0, y1 = (_clip((box.y + d) * self.unit, self.rows) for d in (0, box.height))
        if x0 == x1 or y0 == y1:
            return 255.0
        sums = self.sums
        return (sums[y1][x1] - sums[y0][x1] - sums[y1][x0] + sums[y0][x0]) / ((x1 - x0) * (y1 - y0))


def _reduce(image: Image.Image, long_edge: int) -> Image.Image:
    few = image.copy()
    few.thumbnail((long_edge, long_edge), Image.Resampling.BOX)
    return few


def _clip(value: float, limit: int) -> int:
    return min(max(round(value), 0), limit)


def compare(one: Image.Image, other: Image.Image) -> Image.Image:
    """Return (L) by how many levels two RGB images differ, in the band where they differ most."""
    red, green, blue = ImageChops.difference(one, other).split()
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
        start = min(todo)
        todo.remove(start)
        area = _grow([start], todo, width)
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
    cells = Image.frombytes("L", apart.size, bytes(255 if k in best else 0 for k in range(len(values))))
    closed = cells.filter(ImageFilter.MaxFilter(NEAR | 1)).filter(ImageFilter.MinFilter(NEAR | 1))
    return Subject(box, (sum(top) / len(top) + 0.5) / unit, closed)


def _adjoin(one: set[int], other: set[int], width: int) -> bool:
    """Return whether the boxes of two areas are near to each other, and overlap across."""
    (a0, a1, b0, b1), (c0, c1, d0, d1) = _find_bounds(one, width), _find_bounds(other, width)
    return max(a0, c0) < min(a1, c1) and max(b0, d0) - min(b1, d1) <= NEAR


def _find_bounds(area: set[int], width: int) -> tuple[int, int, int, int]:
    columns, rows = {k % width for k in area}, {k // width for k in area}
    return min(columns), max(columns), min(rows), max(rows)


def _weigh_place(k: int, width: int, height: int) -> float:
    x, y = (k % width + 0.5) / width - 0.5, (k // width + 0.5) / height - 0.5
    return max(0.05, 1 - 2.2 * math.hypot(x, y))


def _grow(
    start: list[int], todo: set[int], width: int, near: Callable[[int, int], bool] = lambda *_: True
) -> set[int]:
    """Return the connected pixels from `start` on, taken out of `todo`; `near` compares two neighbours."""
    reached, queue = set(start), deque(start)
    while queue:
        k = queue.popleft()
        for other in (k - width, k + width, k - 1 if k % width else -1, k + 1 if (k + 1) % width else -1):
            if other in todo and near(k, other):
                todo.remove(other)
                reached.add(other)
                queue.append(other)
    return reached


def find_ground(image: Image.Image) -> Image.Image | None:
    """Return the plain ground around the subject (L, 255 is ground), None if it is not plain."""
    few = _reduce(image, 2 * LONG_EDGE)
    width, height = few.size
    pixels: list[RGB] = list(zip(*[iter(few.tobytes())] * 3, strict=True))
    rim = [k for k in range(len(pixels)) if k % width in (0, width - 1) or k // width in (0, height - 1)]
    mean = _find_usual([pixels[k] for k in rim])
    far = [_measure_difference(pixel, mean) for pixel in pixels]
    start = [k for k in rim if far[k] <= TOLERANCE]
    if len(start) < 0.8 * len(rim) or sorted(far[k] for k in rim)[len(rim) // 2] > PLAIN:
        return None
    todo = {k for k in range(len(pixels)) if far[k] <= TOLERANCE} - set(start)
    reached = _grow(start, todo, width, lambda a, b: _measure_difference(pixels[a], pixels[b]) <= STEP)
    enclosed = {k for k in todo if far[k] <= STEP}  # such as the inside of a plot's axes
    while enclosed:
        area = _grow([enclosed.pop()], enclosed, width)
        if len(area) > 0.005 * len(pixels):
            reached |= area
    if not 0.08 * len(pixels) <= len(reached) <= 0.99 * len(pixels):
        return None
    coarse = Image.frombytes("L", few.size, bytes(255 if k in reached else 0 for k in range(len(pixels))))
    wide = coarse.filter(ImageFilter.MaxFilter(7)).resize(image.size, Image.Resampling.BILINEAR)
    plain = mend(few, ImageChops.invert(coarse)).resize(image.size, Image.Resampling.BILINEAR)
    apart = compare(image, plain).point(make_curve(lambda v: (72 - v) * 5))
    return ImageChops.darker(wide.point(make_curve(lambda v: v * 3)), apart)


def _find_usual(colours: list[RGB]) -> RGB:
    """Return the mean of the most frequent among similar colours."""
    groups: dict[tuple[int, ...], list[RGB]] = {}
    for colour in colours:
        groups.setdefault(tuple(v // 32 for v in colour), []).append(colour)
    most = max(groups.values(), key=len)
    red, green, blue = (sum(colour[i] for colour in most) // len(most) for i in range(3))
    return red, green, blue


def _measure_difference(a: RGB, b: RGB) -> int:
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]), abs(a[2] - b[2]))


@dataclass(frozen=True, slots=True)
class Ink:
    """What stands on the ground of a plot (L), and what of it is thin."""

    whole: Image.Image
    thin: Image.Image


def find_ink(image: Image.Image) -> Ink | None:
    """Return the ink of a plot or another drawing in thin ink on an even light ground, None if it is none."""
    few = image.resize((96, 96), Image.Resampling.NEAREST)
    counts: dict[RGB, int] = {colour: count for count, colour in few.getcolors(96 * 96) or []}  # type: ignore[misc]
    ground = max(counts, key=lambda colour: (counts[colour], colour))
    if counts[ground] < INK_GROUND[0] * 96 * 96 or luminance(ground) < INK_GROUND[1]:
        return None
    apart = compare(image, Image.new("RGB", image.size, ground)).point(make_curve(lambda v: (v - 10) * 3))
    few = apart.reduce(max(1, min(image.size) // 240))
    width = max(5, min(few.size) // 40 | 1)
    fat = few.filter(ImageFilter.MinFilter(width)).filter(ImageFilter.MaxFilter(width + 2))
    thin = ImageChops.subtract(apart, fat.resize(image.size, Image.Resampling.BILINEAR))
    inked = sum(thin.histogram()[128:])
    return Ink(apart, thin) if inked >= INKED * image.width * image.height else None
