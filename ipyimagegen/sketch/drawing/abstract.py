"""Abstract compositions for prompts without a known word: one of seven families, few good colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from ipyimagegen.sketch.drawing import palette
from ipyimagegen.sketch.drawing.canvas import Pen, make_gradient, trace_arc
from ipyimagegen.sketch.drawing.palette import RGB, WHITE, luminance, mix, mix_along, to_rgb


@dataclass(frozen=True, slots=True)
class Page:
    """What a family paints on, in units of the short edge; the first colour is the ground's."""

    pen: Pen
    width: float
    height: float
    colours: Sequence[RGB]
    rng: Random
    detail: float

    def colour(self, k: int) -> RGB:
        """Return a colour other than the ground's, by turns."""
        return self.colours[1 + k % (len(self.colours) - 1)]


def paint_abstract(
    image: Image.Image, rng: Random, *, named: Sequence[str], avoid: frozenset[str], detail: float
) -> None:
    """Paint a composition over the whole image, in the named colours if there are any."""
    colours = choose_palette(rng, named, avoid)
    image.paste(make_gradient(image.size, (colours[0], mix(colours[0], colours[1], 0.14))))
    scale = min(image.size)
    family = rng.choice(FAMILIES)
    family(Page(Pen.on(image, scale), image.width / scale, image.height / scale, colours, rng, detail))


def choose_palette(rng: Random, named: Sequence[str], avoid: frozenset[str]) -> list[RGB]:
    """Return a ground colour, light, and at least four others."""
    if named:
        own = [palette.find_colour(name) for name in named]
        tones = [mix(colour, WHITE, share) for share in (0.0, 0.35, 0.6) for colour in own]
        return [mix(own[0], WHITE, 0.86), *tones, *(mix(colour, to_rgb("#171a30"), 0.4) for colour in own)]
    palettes = [palette.to_rgbs(row) for row in palette.COMBINATIONS]
    free = [row for row in palettes if not any(palette.find_name(colour) in avoid for colour in row)]
    row = rng.choice(free or palettes)
    ground = max(row, key=luminance)
    others = [colour for colour in row if colour != ground]
    rng.shuffle(others)
    return [ground, *others]


def _paint_hills(page: Page) -> None:
    rng = page.rng
    tones = sorted(page.colours[1:], key=luminance, reverse=True)
    x, r = page.width * rng.choice((0.3, 0.36, 0.64, 0.7)), rng.uniform(0.13, 0.2)
    page.pen.disc(x, page.height * rng.uniform(0.26, 0.36), r, rng.choice(page.colours[1:4]))
    layers = 5 + round(2 * min(page.detail, 1.5))
    for k in range(layers):
        base = page.height * (0.42 + 0.56 * k / layers)
        waves = [
            (rng.uniform(0.02, 0.07) / j, rng.random(), 0.7 * j * rng.uniform(0.8, 1.2)) for j in (1, 2, 3)
        ]
        crest = []
        for i in range(81):
            x = i / 80 * page.width
            crest.append((x, base + sum(a * math.sin(2 * math.pi * (x * f + p)) for a, p, f in waves)))
        fill = mix_along(tones, k / (layers - 1))
        page.pen.polygon([*crest, (page.width, page.height), (0, page.height)], fill)


def _paint_circles(page: Page) -> None:
    """Paint circles of many sizes that never touch, some ringed, some halved."""
    rng = page.rng
    circles: list[tuple[float, float, float]] = []
    for _ in range(int(2200 * page.detail)):
        x, y = rng.random() * page.width, rng.random() * page.height
        room = min((math.dist((x, y), (a, b)) - c for a, b, c in circles), default=0.24) - 0.008
        rim = min(x, y, page.width - x, page.height - y) - 0.03
        r = min(room, rng.choice((0.06, 0.1, 0.24)), rim)
        if r > 0.012:
            circles.append((x, y, r))
    for x, y, r in circles:
        colour, other = rng.choice(page.colours[1:]), rng.choice(page.colours[1:])
        page.pen.disc(x, y, r, colour)
        kind = rng.random()
        if r > 0.035 and kind < 0.3:
            page.pen.disc(x, y, r * 0.66, page.colours[0])
            page.pen.disc(x, y, r * 0.36, other)
        elif r > 0.035 and kind < 0.55:
            turn = rng.random() * math.tau
            page.pen.polygon(trace_arc(x, y, r, turn, turn + math.pi, steps=32), other)


def _paint_tiles(page: Page) -> None:
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
            _paint_tile(tile, page.rng.randrange(5), front, back)


def _paint_tile(pen: Pen, kind: int, front: RGB, back: RGB) -> None:
    if kind in (0, 1):
        quarters = ((1.0, front), (0.75, back), (0.5, front), (0.25, back))
        for r, fill in quarters if kind else quarters[:1]:
            pen.polygon([(-0.5, -0.5), *trace_arc(-0.5, -0.5, r, 0, math.pi / 2, steps=32)], fill)
    elif kind == 2:
        pen.disc(0, 0, 0.36, front)
        pen.disc(0, 0, 0.14, back)
    elif kind == 3:
        bow = trace_arc(-0.5, -0.5, 1, 0, math.pi / 2, steps=24)
        pen.polygon([*bow, *((-x, -y) for x, y in bow)], front)
    else:
        pen.polygon([(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5)], front)


def _paint_mosaic(page: Page) -> None:
    """Paint triangles on a bent grid, their colours drifting across the image."""
    rng = page.rng
    cell = 0.13 / min(page.detail, 1.5)
    columns, rows = math.ceil(page.width / cell) + 1, math.ceil(page.height / cell) + 1
    bend = cell * 0.36
    nodes = {
        (i, j): ((i - 0.5) * cell + rng.uniform(-bend, bend), (j - 0.5) * cell + rng.uniform(-bend, bend))
        for i in range(columns + 2)
        for j in range(rows + 2)
    }
    tones = sorted(page.colours, key=luminance)
    lean = rng.uniform(-0.6, 0.6)
    for i in range(columns + 1):
        for j in range(rows + 1):
            corners = [nodes[i, j], nodes[i + 1, j], nodes[i + 1, j + 1], nodes[i, j + 1]]
            x, y = corners[0]
            split = rng.random() < 0.5
            for triangle in ((0, 1, 2), (0, 2, 3)) if split else ((0, 1, 3), (1, 2, 3)):
                place = 1 - y / page.height + lean * (x / page.width - 0.5) + rng.uniform(-0.16, 0.16)
                fill = mix_along(tones, min(max(place, 0.0), 0.999))
                page.pen.polygon([corners[k] for k in triangle], fill)


def _paint_fans(page: Page) -> None:
    """Paint rows of fans, the old pattern of the sea."""
    r = 0.125 / min(max(page.detail, 0.8), 1.3)
    for j in range(math.ceil(page.height / (r / 2)) + 4):
        x, y = 0.0 if j % 2 else -r, j * r / 2
        while x < page.width + r:
            colour = page.colour(page.rng.randrange(2) if page.rng.random() < 0.86 else 2)
            for k, share in enumerate((1.0, 0.8, 0.6, 0.4, 0.2)):
                fill = page.colours[0] if k % 2 else mix(colour, page.colours[0], 0.1 * k)
                page.pen.disc(x, y + r * 0.5, r * share, fill)
            x += 2 * r


def _paint_ribbons(page: Page) -> None:
    rng = page.rng
    count = 9 + round(3 * page.detail)
    phases = [(rng.uniform(0.05, 0.12) / k, rng.random(), 0.45 * k) for k in (1, 2, 3)]
    band = page.height * 1.5 / count
    for k in range(count):
        y = page.height * -0.25 + band * (k + 0.5)
        shift = k * rng.uniform(0.015, 0.03)
        points = []
        for i in range(15):
            x = i / 14 * page.width
            swell = sum(a * math.sin(2 * math.pi * (x * f + p + shift)) for a, p, f in phases)
            points.append((-0.1 + (page.width + 0.2) * i / 14, y + swell))
        page.pen.ribbon(points, [band * rng.uniform(0.55, 0.95) for _ in points], page.colour(k))
        if k % 3 == 1:
            page.pen.stroke(points, band * 0.16, page.colours[0])


def _paint_orbits(page: Page) -> None:
    rng = page.rng
    for k in range(4 + round(page.detail)):
        x, y = page.width * rng.uniform(0.12, 0.88), page.height * rng.uniform(0.12, 0.88)
        r = rng.uniform(0.16, 0.38)
        page.pen.disc(x, y, r, (*page.colour(k), 205))
        for extra in range(rng.randrange(3)):
            page.pen.ring(x, y, r * (1.14 + 0.12 * extra), 0.006, page.colour(k), steps=120)
    for _ in range(round(5 * page.detail)):
        x, y = page.width * rng.uniform(0.08, 0.92), page.height * rng.uniform(0.08, 0.92)
        page.pen.disc(x, y, rng.uniform(0.008, 0.02), rng.choice(page.colours[1:]))


FAMILIES: tuple[Callable[[Page], None], ...] = (
    _paint_hills, _paint_circles, _paint_tiles, _paint_mosaic, _paint_fans, _paint_ribbons, _paint_orbits,
)  # fmt: skip
