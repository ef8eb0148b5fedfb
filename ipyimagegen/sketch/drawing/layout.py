"""Where figures stand: a scene and a frame in, placements out; pure, far to near.

Units: the short edge of the picture is 1. Counts are kept exactly and nothing overlaps so far
that it could not be counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.shapes import TURNING
from ipyimagegen.sketch.drawing.things import THINGS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from ipyimagegen.sketch.reading.reading import Figure

SIZES = {"small": 0.62, "large": 1.35}


@dataclass(frozen=True, slots=True)
class Placed:
    """One figure at (x, y), its centre; `index` counts within its kind."""

    figure: Figure
    index: int
    x: float
    y: float
    size: float
    turn: float = 0.0
    flip: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """The picture's extent, its horizon, and whether there is a landscape at all."""

    width: float
    height: float
    horizon: float
    landscape: bool = False


Item = tuple["Figure", int]


def arrange(figures: Sequence[Figure], frame: Frame, rng: Random) -> list[Placed]:
    """Return every single figure with its place."""
    groups: dict[str, list[Item]] = {"horizon": [], "sky": [], "air": [], "ground": []}
    for figure in figures:
        row = THINGS.get(figure.name)
        where = "ground" if row and row.where == "water" else row.where if row else "air"
        groups[where].extend((figure, i) for i in range(figure.count or rng.randint(3, 5)))
    standing = _stand(groups["ground"], frame, rng, aside=bool(groups["horizon"]))
    floor = _floor(standing, frame, heavenly={f.name for f, _ in groups["air"]} <= {"star", "crescent"})
    return [
        *_range(groups["horizon"], frame, rng),
        *_hang(groups["sky"], frame, rng, alone=not (standing or groups["air"] or groups["horizon"])),
        *sorted(standing, key=lambda p: p.y + p.size / 2),
        *_scatter(groups["air"], (0.07, 0.07, frame.width - 0.07, floor), rng),
    ]


def _floor(standing: list[Placed], frame: Frame, *, heavenly: bool) -> float:
    """Return how far down things may fly: over the heads of those that stand, stars above the horizon."""
    if standing:
        heads = min(p.y - p.size / 2 for p in standing)
        return min(frame.height * 0.55, max(heads + 0.06, frame.height * 0.3))
    return frame.horizon if frame.landscape and heavenly else frame.height * 0.9


def _weight(item: Item) -> float:
    row = THINGS.get(item[0].name)
    return (row.size if row else 0.8) * SIZES.get(item[0].size, 1.0)


def _stand(items: list[Item], frame: Frame, rng: Random, *, aside: bool = False) -> list[Placed]:
    """Rows on the ground, as few as keep the figures large; tall things stand behind small ones."""
    if not items:
        return []
    rng.shuffle(items)
    items.sort(key=_weight, reverse=True)
    best: list[list[Item]] = []
    reach = 0.0
    for count in range(1, min(6, len(items)) + 1):
        rows = [items[len(items) * k // count : len(items) * (k + 1) // count] for k in range(count)]
        size = min(_row_size(row, frame, count) for row in rows)
        if size > reach * 1.15:
            best, reach = rows, size
    placed: list[Placed] = []
    lean = rng.choice((0.14, 0.86)) if aside else rng.uniform(0.36, 0.64)
    for k, row in enumerate(best):
        rng.shuffle(row)
        share = lean if len(best) == 1 else float(k % 2)
        placed.extend(_row(row, frame, rng, depth=(k + 1) / len(best), size=reach, share=share))
    return placed


def _row_size(row: list[Item], frame: Frame, rows: int) -> float:
    weights = [_weight(item) for item in row]
    stagger = max(weights) * 0.5 if rows > 1 else 0.0
    tallest = frame.height * (0.74 if rows == 1 else 0.78 / rows)
    return min(0.6, 0.9 * frame.width / (sum(weights) + stagger), tallest / max(weights))


def _row(
    row: list[Item], frame: Frame, rng: Random, *, depth: float, size: float, share: float
) -> list[Placed]:
    """One row; `share` of the free room is left of it, so that rows stand in the gaps of each other."""
    weights = [_weight(item) * size for item in row]
    room = frame.width * 0.94 - sum(weights)
    gap = room / (len(row) + 0.5)
    x = frame.width * 0.03 + (room * share if len(row) == 1 else gap * (0.3 + 0.9 * share))
    foot = frame.horizon + (frame.height * 0.9 - frame.horizon) * depth
    placed: list[Placed] = []
    for item, weight in zip(row, weights, strict=True):
        back = max(0.0, weight - 0.62) * 0.16 + rng.uniform(0, 0.022)
        y = max(foot - back - weight / 2, weight / 2 + 0.02)
        sway = gap * rng.uniform(-0.2, 0.2) if len(row) > 1 else 0.0
        placed.append(Placed(*item, x + weight / 2 + sway, y, weight, flip=rng.random() < 0.5))
        x += weight + gap
    return placed


def _range(items: list[Item], frame: Frame, rng: Random) -> list[Placed]:
    """Mountains along the horizon, each seen whole."""
    if not items:
        return []
    step = frame.width / len(items)
    placed = []
    for k, item in enumerate(items):
        size = (
            min(step * 1.05, frame.horizon * 0.95, 0.95)
            * rng.uniform(0.82, 1.0)
            * SIZES.get(item[0].size, 1.0)
        )
        x = step * (k + 0.5) + step * rng.uniform(-0.06, 0.06)
        placed.append(Placed(*item, x, frame.horizon + 0.04 - size / 2, size, flip=rng.random() < 0.5))
    return placed


def _hang(items: list[Item], frame: Frame, rng: Random, *, alone: bool) -> list[Placed]:
    """Sun, moon and clouds, high up."""
    if not items:
        return []
    if alone:
        return _scatter(items, (0.06, 0.06, frame.width - 0.06, frame.height * 0.74), rng)
    step = frame.width / len(items)
    rng.shuffle(items)
    placed = []
    for k, item in enumerate(items):
        size = min(step * 0.85, frame.horizon * 0.42) * min(_weight(item), 1.0)
        side = rng.uniform(-0.3, 0.3) if len(items) > 1 else rng.choice((-0.3, 0.3))
        x = step * (k + 0.5 + side * (0.4 if len(items) > 1 else 1))
        y = size / 2 + 0.04 + rng.random() * frame.horizon * 0.12
        placed.append(Placed(*item, min(max(x, size / 2), frame.width - size / 2), y, size))
    return placed


def _scatter(items: list[Item], box: tuple[float, float, float, float], rng: Random) -> list[Placed]:
    """Spread figures over a box: each takes the best of many random places; sizes shrink until all fit."""
    if not items:
        return []
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if len(items) == 1:
        size = min(0.62 * _weight(items[0]) / 0.8, height, width)
        x = x0 + width * 0.5 + rng.uniform(-0.5, 0.5) * (width - size) * 0.5
        y = y0 + height * 0.5 + rng.uniform(-0.5, 0.5) * (height - size) * 0.5
        return [_turned(Placed(*items[0], x, y, size), rng)]
    size = min(0.86 * math.sqrt(width * height / len(items)), 0.46, height)
    while True:
        placed = _try(items, box, size, rng)
        if placed:
            return [_turned(p, rng) for p in placed]
        size *= 0.94


def _try(
    items: list[Item], box: tuple[float, float, float, float], size: float, rng: Random
) -> list[Placed] | None:
    x0, y0, x1, y1 = box
    placed: list[Placed] = []
    for item in items:
        own = size * min(_weight(item) / 0.8, 1.25) * rng.uniform(0.86, 1.0)
        best, spare = None, 0.0
        for _ in range(40):
            x = x0 + own / 2 + rng.random() * max(x1 - x0 - own, 0.0)
            y = y0 + own / 2 + rng.random() * max(y1 - y0 - own, 0.0)
            free = min((math.dist((x, y), (p.x, p.y)) - (own + p.size) * 0.5 for p in placed), default=1.0)
            if free > max(spare, own * 0.07):
                best, spare = Placed(*item, x, y, own), free
        if best is None:
            return None
        placed.append(best)
    return placed


def _turned(placed: Placed, rng: Random) -> Placed:
    """Tilt what may be tilted, a little."""
    name = placed.figure.name
    turn = (
        rng.uniform(-16, 16)
        if name in TURNING
        else rng.uniform(-8, 8)
        if name in {"butterfly", "rocket"}
        else 0.0
    )
    flip = name in {"fish", "butterfly"} and rng.random() < 0.5
    return Placed(placed.figure, placed.index, placed.x, placed.y, placed.size, round(turn, 3), flip)
