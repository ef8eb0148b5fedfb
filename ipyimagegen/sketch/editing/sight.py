"""What sketch sees in a picture: where it is busy, where its subject is, what is plain ground.

It looks at a few thousand pixels; lengths are in units of the short edge, as in `layout`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import accumulate

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from ipyimagegen.sketch.drawing.canvas import RGB
from ipyimagegen.sketch.drawing.mending import mend

LOOK = 96  # pixels along the long edge that are looked at
PLAIN = 14  # levels by which the middle one of the border's pixels strays from their mean, at most
TOLERANCE = 48  # and any pixel of the ground
NEAR = 8  # looked-at pixels between parts of one subject
STEP = 11  # and from one looked-at pixel to the next


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in units of the short edge."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Subject:
    """What the picture shows: its box, and where its top is."""

    box: Box
    crown: float
    cells: Image.Image


@dataclass(frozen=True, slots=True)
class Sight:
    """A picture as it was looked at; `sums` are the running sums of how busy it is, row by row."""

    columns: int
    rows: int
    unit: float
    sums: tuple[tuple[float, ...], ...]
    subject: Subject | None

    @classmethod
    def of(cls, image: Image.Image) -> Sight:
        """Look at a picture (RGB)."""
        few = image.copy()
        few.thumbnail((LOOK, LOOK), Image.Resampling.BOX)
        apart = _apart(few)
        edges = few.filter(ImageFilter.FIND_EDGES).convert("L")
        edges.paste(0, (0, 0, few.width, 1))  # the filter leaves the outermost pixels as they are
        edges.paste(0, (0, few.height - 1, few.width, few.height))
        edges.paste(0, (0, 0, 1, few.height))
        edges.paste(0, (few.width - 1, 0, few.width, few.height))
        busy = ImageChops.add(edges, apart.point([v * 7 // 10 for v in range(256)])).tobytes()
        sums = [(0.0,) * (few.width + 1)]
        for j in range(few.height):
            row = accumulate(busy[j * few.width : (j + 1) * few.width], initial=0.0)
            sums.append(tuple(a + b for a, b in zip(sums[-1], row, strict=True)))
        return cls(few.width, few.height, min(few.size), tuple(sums), _subject(apart))

    def busy(self, box: Box) -> float:
        """Return how busy the picture is in the box, 0..255 on average."""
        x0, x1 = (self._clip((box.x + d) * self.unit, self.columns) for d in (0, box.width))
        y0, y1 = (self._clip((box.y + d) * self.unit, self.rows) for d in (0, box.height))
        if x0 == x1 or y0 == y1:
            return 255.0
        sums = self.sums
        total = sums[y1][x1] - sums[y0][x1] - sums[y1][x0] + sums[y0][x0]
        return total / ((x1 - x0) * (y1 - y0))

    @staticmethod
    def _clip(value: float, limit: int) -> int:
        return min(max(round(value), 0), limit)


def _apart(few: Image.Image) -> Image.Image:
    """Return (L) how much each pixel differs from both ends of its row: ground runs through."""
    width = few.width
    rim = max(2, width // 16)
    best: Image.Image | None = None
    for x in (0, width - rim):
        end = few.crop((x, 0, x + rim, few.height)).resize((1, few.height), Image.Resampling.BOX)
        red, green, blue = ImageChops.difference(few, end.resize(few.size)).split()
        apart = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        best = ImageChops.darker(best, apart) if best else apart
    assert best is not None
    return best


def _subject(apart: Image.Image) -> Subject | None:
    """Return what stands apart from its rows: the weightiest area near the middle, and what adjoins it."""
    values, (width, height) = apart.tobytes(), apart.size
    bound = max(26, int(sorted(values)[len(values) * 19 // 20] * 0.4))
    todo = {k for k, v in enumerate(values) if v >= bound}
    areas: list[tuple[float, set[int]]] = []
    while todo:
        area = _connected(todo, width)
        areas.append((sum(values[k] * _central(k, width, height) for k in area), area))
    areas.sort(key=lambda weighed: (-weighed[0], min(weighed[1])))
    best: set[int] = set()
    for weight, area in areas:
        if not best or (weight > 0.1 * areas[0][0] and _adjoin(best, area, width, NEAR)):
            best |= area
    if not 0.012 * len(values) <= len(best) <= 0.75 * len(values):
        return None
    columns, rows = sorted(k % width for k in best), sorted(k // width for k in best)
    unit, last = min(width, height), len(best) - 1
    # a fiftieth at each end is whiskers
    x0, x1, y0, y1 = (
        columns[last // 50],
        columns[last - last // 50],
        rows[last // 50],
        rows[last - last // 50],
    )
    high = [k % width for k in best if k // width <= y0 + (y1 - y0) * 0.2]
    box = Box(x0 / unit, y0 / unit, (x1 + 1 - x0) / unit, (y1 + 1 - y0) / unit)
    return Subject(box, (sum(high) / len(high) + 0.5) / unit, _closed(best, apart.size))


def _adjoin(one: set[int], other: set[int], width: int, most: int) -> bool:
    """Return whether the boxes of two areas are so near to each other, and overlap across."""
    (a0, a1, b0, b1), (c0, c1, d0, d1) = _bounds(one, width), _bounds(other, width)
    return max(a0, c0) < min(a1, c1) and max(b0, d0) - min(b1, d1) <= most


def _bounds(area: set[int], width: int) -> tuple[int, int, int, int]:
    columns, rows = {k % width for k in area}, {k // width for k in area}
    return min(columns), max(columns), min(rows), max(rows)


def _closed(area: set[int], size: tuple[int, int]) -> Image.Image:
    """Return the area as a picture (L), its gaps closed and its holes filled."""
    width, height = size
    cells = Image.frombytes("L", size, bytes(255 if k in area else 0 for k in range(width * height)))
    frame = Image.new("L", (width + 2 * NEAR, height + 2 * NEAR))
    frame.paste(cells, (NEAR, NEAR))
    frame = frame.filter(ImageFilter.MaxFilter(NEAR | 1)).filter(ImageFilter.MinFilter(NEAR | 1))
    ImageDraw.floodfill(frame, (0, 0), 128)
    filled = frame.point([255 if v != 128 else 0 for v in range(256)])
    return filled.crop((NEAR, NEAR, NEAR + width, NEAR + height))


def cut(image: Image.Image, subject: Subject) -> Image.Image:
    """Return the subject's outline (L) at the size of the picture, as sharp as the picture has it."""
    cells = subject.cells
    near = cells.filter(ImageFilter.MaxFilter(3)).resize(image.size, Image.Resampling.BILINEAR)
    core = cells.filter(ImageFilter.MinFilter(5)).resize(image.size, Image.Resampling.BILINEAR)
    calm = image.filter(ImageFilter.GaussianBlur(min(image.size) / 700))
    edge = ImageChops.darker(near, _apart(calm).point([max(0, min(255, (v - 34) * 9)) for v in range(256)]))
    whole = ImageChops.lighter(core, edge)
    return whole.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(3))  # without slivers


def clear(image: Image.Image, outline: Image.Image) -> bool:
    """Return whether the outline (L) runs along edges of the picture, as that of a subject does."""
    solid = outline.point([0] * 128 + [255] * 128)
    rim = ImageChops.subtract(solid.filter(ImageFilter.MaxFilter(5)), solid.filter(ImageFilter.MinFilter(5)))
    edges = image.filter(ImageFilter.FIND_EDGES).convert("L").filter(ImageFilter.MaxFilter(5))
    there = ImageChops.darker(rim, edges.point([0] * 31 + [255] * 225))
    return there.histogram()[255] > 0.6 * rim.histogram()[255]


def _central(k: int, width: int, height: int) -> float:
    x, y = (k % width + 0.5) / width - 0.5, (k // width + 0.5) / height - 0.5
    return max(0.05, 1 - 2.2 * math.hypot(x, y))


def _connected(todo: set[int], width: int) -> set[int]:
    """Take one connected area out of `todo`."""
    start = min(todo)
    todo.remove(start)
    found, queue = {start}, deque([start])
    while queue:
        k = queue.popleft()
        near = (k - width, k + width, k - 1 if k % width else -1, k + 1 if (k + 1) % width else -1)
        for other in near:
            if other in todo:
                todo.remove(other)
                found.add(other)
                queue.append(other)
    return found


def ground(image: Image.Image) -> Image.Image | None:
    """Return the plain ground around the subject (L, 255 is ground), None if it is not plain."""
    few = image.copy()
    few.thumbnail((2 * LOOK, 2 * LOOK), Image.Resampling.BOX)
    pixels: list[RGB] = list(zip(*[iter(few.tobytes())] * 3, strict=True))
    width, height = few.size
    rim = [k for k in range(len(pixels)) if k % width in (0, width - 1) or k // width in (0, height - 1)]
    mean = _usual([pixels[k] for k in rim])
    start = [k for k in rim if _far(pixels[k], mean) <= TOLERANCE]
    if len(start) < 0.8 * len(rim) or _middle([_far(pixels[k], mean) for k in rim]) > PLAIN:
        return None
    reached, queue = set(start), deque(start)
    while queue:
        k = queue.popleft()
        near = (k - width, k + width, k - 1 if k % width else -1, k + 1 if (k + 1) % width else -1)
        for other in near:
            if (
                0 <= other < len(pixels)
                and other not in reached
                and _far(pixels[other], mean) <= TOLERANCE
                and _far(pixels[other], pixels[k]) <= STEP
            ):
                reached.add(other)
                queue.append(other)
    reached |= _enclosed(pixels, reached, mean, width)
    if not 0.08 * len(pixels) <= len(reached) <= 0.99 * len(pixels):
        return None
    coarse = Image.frombytes("L", few.size, bytes(255 if k in reached else 0 for k in range(len(pixels))))
    wide = coarse.filter(ImageFilter.MaxFilter(7)).resize(image.size, Image.Resampling.BILINEAR)
    wide = wide.point([min(255, v * 3) for v in range(256)])
    plain = mend(few, ImageChops.invert(coarse)).resize(image.size, Image.Resampling.BILINEAR)
    red, green, blue = ImageChops.difference(image, plain).split()
    apart = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return ImageChops.darker(wide, apart.point([max(0, min(255, (72 - v) * 5)) for v in range(256)]))


def _enclosed(pixels: list[RGB], reached: set[int], mean: RGB, width: int) -> set[int]:
    """Return large areas of the same ground that something encloses, such as the inside of a plot's axes."""
    todo = {k for k in range(len(pixels)) if k not in reached and _far(pixels[k], mean) <= STEP}
    found: set[int] = set()
    while todo:
        area = _connected(todo, width)
        if len(area) > 0.005 * len(pixels):
            found |= area
    return found


def _middle(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


def _usual(colours: list[RGB]) -> RGB:
    """Return the mean of the most frequent among similar colours."""
    groups: dict[tuple[int, ...], list[RGB]] = {}
    for colour in colours:
        groups.setdefault(tuple(v // 32 for v in colour), []).append(colour)
    most = max(groups.values(), key=len)
    red, green, blue = (sum(c[i] for c in most) // len(most) for i in range(3))
    return red, green, blue


def _far(a: RGB, b: RGB) -> int:
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]), abs(a[2] - b[2]))
