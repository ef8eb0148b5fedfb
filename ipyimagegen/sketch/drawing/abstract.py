"""Abstract compositions for prompts that name nothing known: one of several families, few good colours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import Pen, gradient, luminance, mix, rgb
from ipyimagegen.sketch.drawing.palette import PALETTES, WHITE, named, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from PIL import Image

    from ipyimagegen.sketch.drawing.canvas import RGB


@dataclass(frozen=True, slots=True)
class Page:
    """What a family paints on, in units of the short edge; the first colour is the ground's."""

    pen: Pen
    width: float
    height: float
    colours: Sequence[RGB]
    rng: Random
    detail: float


def compose(
    picture: Image.Image,
    scale: float,
    rng: Random,
    *,
    asked: Sequence[str],
    avoid: frozenset[str],
    detail: float,
) -> list[RGB]:
    """Paint a composition over the whole picture, in the colours asked for if any; return its colours."""
    width, height = picture.width / scale, picture.height / scale
    colours = palette(rng, asked, avoid)
    picture.paste(gradient(picture.size, (colours[0], mix(colours[0], colours[1], 0.14))))
    family = rng.choice(FAMILIES)
    family(Page(Pen.on(picture, scale), width, height, colours, rng, detail))
    return colours


def palette(rng: Random, asked: Sequence[str], avoid: frozenset[str]) -> list[RGB]:
    """Return a ground colour, light, and at least four others."""
    if asked:
        own = [named(name) for name in asked]
        tones = [mix(c, WHITE, share) for share in (0.0, 0.35, 0.6) for c in own] + [
            mix(c, rgb("#171a30"), 0.4) for c in own
        ]
        return [mix(own[0], WHITE, 0.86), *tones]
    palettes = [[rgb(c) for c in row.split()] for row in PALETTES]
    kept = [row for row in palettes if not any(nearest(c) in avoid for c in row)] or palettes
    row = rng.choice(kept)
    ground = max(row, key=luminance)
    rest = [c for c in row if c != ground]
    rng.shuffle(rest)
    return [ground, *rest]


def hills(page: Page) -> None:
    """Layered hills under a disc."""
    tones = sorted(page.colours[1:], key=luminance, reverse=True)
    x, r = page.width * page.rng.choice((0.3, 0.36, 0.64, 0.7)), page.rng.uniform(0.13, 0.2)
    page.pen.disc(x, page.height * page.rng.uniform(0.26, 0.36), r, page.rng.choice(page.colours[1:4]))
    layers = 5 + round(2 * min(page.detail, 1.5))
    for k in range(layers):
        base = page.height * (0.42 + 0.56 * k / layers)
        waves = [
            (
                page.rng.uniform(0.02, 0.07) / (j + 1),
                page.rng.random(),
                0.7 * (j + 1) * page.rng.uniform(0.8, 1.2),
            )
            for j in range(3)
        ]
        crest = [
            (
                i / 80 * page.width,
                base + sum(a * math.sin(2 * math.pi * (i / 80 * page.width * f + p)) for a, p, f in waves),
            )
            for i in range(81)
        ]
        place = k / (layers - 1) * (len(tones) - 1)
        low = min(int(place), len(tones) - 2)
        page.pen.polygon(
            [*crest, (page.width, page.height), (0, page.height)],
            mix(tones[low], tones[low + 1], place - low),
        )


def packing(page: Page) -> None:
    """Circles of many sizes that never touch, some ringed, some halved."""
    found: list[tuple[float, float, float]] = []
    for _ in range(int(2200 * page.detail)):
        x, y = page.rng.random() * page.width, page.rng.random() * page.height
        room = min((math.dist((x, y), (a, b)) - c for a, b, c in found), default=0.24)
        r = min(
            room - 0.008,
            page.rng.choice((0.06, 0.1, 0.24)),
            x - 0.03,
            y - 0.03,
            page.width - 0.03 - x,
            page.height - 0.03 - y,
        )
        if r > 0.012:
            found.append((x, y, r))
    for x, y, r in found:
        colour, other = page.rng.choice(page.colours[1:]), page.rng.choice(page.colours[1:])
        page.pen.disc(x, y, r, colour)
        kind = page.rng.random()
        if r > 0.035 and kind < 0.3:
            page.pen.disc(x, y, r * 0.66, page.colours[0])
            page.pen.disc(x, y, r * 0.36, other)
        elif r > 0.035 and kind < 0.55:
            turn = page.rng.random() * math.tau
            half = [
                (x + r * math.cos(turn + math.pi * i / 32), y + r * math.sin(turn + math.pi * i / 32))
                for i in range(33)
            ]
            page.pen.polygon(half, other)


def arcs(page: Page) -> None:
    """Paint a grid of quarter circles, discs and leaves, as Bauhaus weavers laid them out."""
    rows = max(3, round(page.height * page.rng.choice((4, 5, 6)) * min(page.detail, 1.4)))
    cell = page.height / rows
    columns = math.ceil(page.width / cell)
    start = (page.width - columns * cell) / 2
    for j in range(rows):
        for i in range(columns):
            x, y = start + i * cell, j * cell
            back, front = page.rng.sample(list(page.colours), 2)
            page.pen.box(x, y, cell + 0.002, cell + 0.002, back)
            tile = page.pen.at(x + cell / 2, y + cell / 2, cell, turn=90 * page.rng.randrange(4))
            _tile(tile, page.rng.randrange(5), front, back)


def _quarter(pen: Pen, r: float, fill: RGB) -> None:
    turn = [math.pi / 2 * i / 32 for i in range(33)]
    pen.polygon([(-0.5, -0.5), *((-0.5 + r * math.cos(a), -0.5 + r * math.sin(a)) for a in turn)], fill)


def _tile(pen: Pen, kind: int, front: RGB, back: RGB) -> None:
    if kind == 0:
        _quarter(pen, 1.0, front)
    elif kind == 1:
        for r, fill in ((1.0, front), (0.75, back), (0.5, front), (0.25, back)):
            _quarter(pen, r, fill)
    elif kind == 2:
        pen.disc(0, 0, 0.36, front)
        pen.disc(0, 0, 0.14, back)
    elif kind == 3:
        bow = [(-0.5 + math.cos(a), -0.5 + math.sin(a)) for a in (math.pi / 2 * i / 24 for i in range(25))]
        pen.polygon([*bow, *((-x, -y) for x, y in bow)], front)
    else:
        pen.polygon([(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5)], front)


def mosaic(page: Page) -> None:
    """Triangles on a bent grid, their page.colours drifting across the picture."""
    cell = 0.13 / min(page.detail, 1.5)
    columns, rows = math.ceil(page.width / cell) + 1, math.ceil(page.height / cell) + 1
    bend = cell * 0.36
    node = {
        (i, j): (
            (i - 0.5) * cell + page.rng.uniform(-bend, bend),
            (j - 0.5) * cell + page.rng.uniform(-bend, bend),
        )
        for i in range(columns + 2)
        for j in range(rows + 2)
    }
    tones = sorted(page.colours, key=luminance)
    lean = page.rng.uniform(-0.6, 0.6)
    for i in range(columns + 1):
        for j in range(rows + 1):
            corners = [node[i, j], node[i + 1, j], node[i + 1, j + 1], node[i, j + 1]]
            split = page.rng.random() < 0.5
            for triangle in ((0, 1, 2), (0, 2, 3)) if split else ((0, 1, 3), (1, 2, 3)):
                place = (
                    1
                    - corners[0][1] / page.height
                    + lean * (corners[0][0] / page.width - 0.5)
                    + page.rng.uniform(-0.16, 0.16)
                )
                place = min(max(place, 0.0), 0.999) * (len(tones) - 1)
                fill = mix(tones[int(place)], tones[int(place) + 1], place - int(place))
                page.pen.polygon([corners[k] for k in triangle], fill)


def waves(page: Page) -> None:
    """Rows of fans, the old pattern of the sea."""
    r = 0.125 / min(max(page.detail, 0.8), 1.3)
    rows = math.ceil(page.height / (r / 2)) + 4
    accents = list(page.colours[1:])
    for j in range(rows):
        y = j * r / 2
        x = -r + (r if j % 2 else 0)
        while x < page.width + r:
            first = accents[page.rng.randrange(2)] if page.rng.random() < 0.86 else accents[2 % len(accents)]
            for k, share in enumerate((1.0, 0.8, 0.6, 0.4, 0.2)):
                page.pen.disc(
                    x,
                    y + r * 0.5,
                    r * share,
                    page.colours[0] if k % 2 else mix(first, page.colours[0], 0.1 * k),
                )
            x += 2 * r


def ribbons(page: Page) -> None:
    """Broad bands that flow side by side."""
    count = 9 + round(3 * page.detail)
    phases = [(page.rng.uniform(0.05, 0.12) / k, page.rng.random(), 0.45 * k) for k in (1, 2, 3)]
    band = page.height * 1.5 / count
    for k in range(count):
        y = page.height * -0.25 + band * (k + 0.5)
        shift = k * page.rng.uniform(0.015, 0.03)
        points = [
            (
                -0.1 + (page.width + 0.2) * i / 14,
                y
                + sum(
                    a * math.sin(2 * math.pi * ((i / 14 * page.width) * f + p + shift)) for a, p, f in phases
                ),
            )
            for i in range(15)
        ]
        colour = page.colours[1 + k % (len(page.colours) - 1)]
        page.pen.ribbon(points, [band * page.rng.uniform(0.55, 0.95) for _ in points], colour)
        if k % 3 == 1:
            page.pen.ribbon(points, [band * 0.16] * len(points), page.colours[0])


def orbits(page: Page) -> None:
    """Large overlapping discs and thin rings, with their common areas in mixed page.colours."""
    for k in range(4 + round(page.detail)):
        x, y, r = (
            page.width * page.rng.uniform(0.12, 0.88),
            page.height * page.rng.uniform(0.12, 0.88),
            page.rng.uniform(0.16, 0.38),
        )
        colour = page.colours[1 + k % (len(page.colours) - 1)]
        page.pen.disc(x, y, r, (*colour, 205))
        for extra in range(page.rng.randrange(3)):
            ring = r * (1.14 + 0.12 * extra)
            turn = [math.tau * i / 120 for i in range(121)]
            outer = [(x + ring * math.cos(a), y + ring * math.sin(a)) for a in turn]
            inner = [
                (x + (ring - 0.006) * math.cos(a), y + (ring - 0.006) * math.sin(a)) for a in reversed(turn)
            ]
            page.pen.polygon([*outer, *inner], colour)
    for _ in range(round(5 * page.detail)):
        page.pen.disc(
            page.width * page.rng.uniform(0.08, 0.92),
            page.height * page.rng.uniform(0.08, 0.92),
            page.rng.uniform(0.008, 0.02),
            page.rng.choice(page.colours[1:]),
        )


FAMILIES: tuple[Callable[[Page], None], ...] = (
    hills, packing, arcs, mosaic, waves, ribbons, orbits,
)  # fmt: skip
