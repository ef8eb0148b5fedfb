"""Where figures stand: a scene's figures in, placements in units of the short edge out, the far ones first.

Counts are kept, and figures overlap so little that they can be counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from ipyimagegen.sketch.drawing.figures import THINGS, Placed
from ipyimagegen.sketch.reading.prompts import Figure

SCALES = {"small": 0.62, "large": 1.35}
_TILTED = ["square", "triangle", "star", "hexagon", "pentagon", "octagon", "line", "cross", "rectangle"]
TILTS = {**dict.fromkeys(_TILTED, 16), "butterfly": 8, "rocket": 8}  # degrees at most


@dataclass(frozen=True, slots=True)
class Frame:
    """The image's extent, its horizon, and whether there is a landscape."""

    width: float
    height: float
    horizon: float
    landscape: bool = False


Item = tuple[Figure, int]


def arrange_figures(figures: Sequence[Figure], frame: Frame, rng: Random) -> list[Placed]:
    """Return every figure of every kind with its place."""
    groups: dict[str, list[Item]] = {"horizon": [], "sky": [], "air": [], "ground": []}
    for figure in figures:
        where = THINGS[figure.name].where if figure.name in THINGS else "air"
        items = ((figure, i) for i in range(figure.count or rng.randint(3, 5)))
        groups["ground" if where == "water" else where].extend(items)
    standing = _place_on_ground(groups["ground"], frame, rng, aside=bool(groups["horizon"]))
    floor = _find_floor(standing, frame, stars={f.name for f, _ in groups["air"]} <= {"star", "crescent"})
    alone = not (standing or groups["air"] or groups["horizon"])
    return [
        *_place_on_horizon(groups["horizon"], frame, rng),
        *_place_in_sky(groups["sky"], frame, rng, alone=alone),
        *sorted(standing, key=lambda placed: placed.y + placed.size / 2),
        *_scatter(groups["air"], (0.07, 0.07, frame.width - 0.07, floor), rng),
    ]


def _find_floor(standing: list[Placed], frame: Frame, *, stars: bool) -> float:
    """Return how far down things may fly: over the heads of those that stand, stars above the horizon."""
    if standing:
        heads = min(placed.y - placed.size / 2 for placed in standing)
        return min(frame.height * 0.55, max(heads + 0.06, frame.height * 0.3))
    return frame.horizon if frame.landscape and stars else frame.height * 0.9


def _weigh(item: Item) -> float:
    thing = THINGS.get(item[0].name)
    return (thing.size if thing else 0.8) * SCALES.get(item[0].size, 1.0)


def _place_on_ground(items: list[Item], frame: Frame, rng: Random, *, aside: bool) -> list[Placed]:
    """Place rows on the ground, as few as keep the figures large, the tall ones behind the small ones."""
    if not items:
        return []
    rng.shuffle(items)
    items.sort(key=_weigh, reverse=True)
    best: list[list[Item]] = []
    reach = 0.0
    for count in range(1, min(6, len(items)) + 1):
        rows = [items[len(items) * k // count : len(items) * (k + 1) // count] for k in range(count)]
        size = min(_measure_row(row, frame, count) for row in rows)
        if size > reach * 1.15:
            best, reach = rows, size
    placed: list[Placed] = []
    lean = rng.choice((0.14, 0.86)) if aside else rng.uniform(0.36, 0.64)
    for k, row in enumerate(best):
        rng.shuffle(row)
        share = lean if len(best) == 1 else float(k % 2)
        placed.extend(_place_row(row, frame, rng, depth=(k + 1) / len(best), size=reach, share=share))
    return placed


def _measure_row(row: list[Item], frame: Frame, rows: int) -> float:
    weights = [_weigh(item) for item in row]
    stagger = max(weights) * 0.5 if rows > 1 else 0.0
    tallest = frame.height * (0.74 if rows == 1 else 0.78 / rows)
    return min(0.6, 0.9 * frame.width / (sum(weights) + stagger), tallest / max(weights))


def _place_row(
    row: list[Item], frame: Frame, rng: Random, *, depth: float, size: float, share: float
) -> list[Placed]:
    """Place a row; `share` of the free room is left of it, so that rows stand in each other's gaps."""
    weights = [_weigh(item) * size for item in row]
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


def _place_on_horizon(items: list[Item], frame: Frame, rng: Random) -> list[Placed]:
    """Place mountains along the horizon, each seen whole."""
    placed = []
    for k, item in enumerate(items):
        step = frame.width / len(items)
        size = min(step * 1.05, frame.horizon * 0.95, 0.95) * rng.uniform(0.82, 1.0)
        size *= SCALES.get(item[0].size, 1.0)
        x = step * (k + 0.5) + step * rng.uniform(-0.06, 0.06)
        placed.append(Placed(*item, x, frame.horizon + 0.04 - size / 2, size, flip=rng.random() < 0.5))
    return placed


def _place_in_sky(items: list[Item], frame: Frame, rng: Random, *, alone: bool) -> list[Placed]:
    """Place sun, moon and clouds, high up."""
    if alone:
        return _scatter(items, (0.06, 0.06, frame.width - 0.06, frame.height * 0.74), rng)
    rng.shuffle(items)
    placed = []
    for k, item in enumerate(items):
        step = frame.width / len(items)
        size = min(step * 0.85, frame.horizon * 0.42) * min(_weigh(item), 1.0)
        side = rng.uniform(-0.3, 0.3) if len(items) > 1 else rng.choice((-0.3, 0.3))
        x = step * (k + 0.5 + side * (0.4 if len(items) > 1 else 1))
        y = size / 2 + 0.04 + rng.random() * frame.horizon * 0.12
        placed.append(Placed(*item, min(max(x, size / 2), frame.width - size / 2), y, size))
    return placed


def _scatter(items: list[Item], box: tuple[float, float, float, float], rng: Random) -> list[Placed]:
    """Spread figures over a box; their size shrinks until all have a place."""
    if not items:
        return []
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if len(items) == 1:
        size = min(0.62 * _weigh(items[0]) / 0.8, height, width)
        x = x0 + width * 0.5 + rng.uniform(-0.5, 0.5) * (width - size) * 0.5
        y = y0 + height * 0.5 + rng.uniform(-0.5, 0.5) * (height - size) * 0.5
        return [_tilt(Placed(*items[0], x, y, size), rng)]
    size = min(0.86 * math.sqrt(width * height / len(items)), 0.46, height)
    while not (placed := _place_apart(items, box, size, rng)):
        size *= 0.94
    return [_tilt(item, rng) for item in placed]


def _place_apart(
    items: list[Item], box: tuple[float, float, float, float], size: float, rng: Random
) -> list[Placed]:
    """Give each figure the freest of many random places; return nothing where a figure finds none."""
    x0, y0, x1, y1 = box
    placed: list[Placed] = []
    for item in items:
        own = size * min(_weigh(item) / 0.8, 1.25) * rng.uniform(0.86, 1.0)
        best, most = None, own * 0.07
        for _ in range(40):
            x = x0 + own / 2 + rng.random() * max(x1 - x0 - own, 0.0)
            y = y0 + own / 2 + rng.random() * max(y1 - y0 - own, 0.0)
            free = min((math.dist((x, y), (p.x, p.y)) - (own + p.size) * 0.5 for p in placed), default=1.0)
            if free > most:
                best, most = Placed(*item, x, y, own), free
        if best is None:
            return []
        placed.append(best)
    return placed


def _tilt(placed: Placed, rng: Random) -> Placed:
    """Tilt what may be tilted, a little."""
    name = placed.figure.name
    most = TILTS.get(name)
    turn = rng.uniform(-most, most) if most else 0.0
    flip = name in {"fish", "butterfly"} and rng.random() < 0.5
    return replace(placed, turn=round(turn, 3), flip=flip)
