"""Where the figures of an edit go in an image that is there already, and painting them there.

Without a mask each kind looks for a calm place at its height; a hat looks for a head. With a mask a single
figure fills the mask's area as far as its outline lets it; several are arranged in its box.
"""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

from PIL import Image, ImageChops, ImageStat

from ipyimagegen.sketch.drawing.canvas import Pen, add_glow
from ipyimagegen.sketch.drawing.engine import RandomStreams
from ipyimagegen.sketch.drawing.figures import THINGS, Placed, choose_skin, paint_figure
from ipyimagegen.sketch.drawing.layout import SCALES, Frame, arrange_figures
from ipyimagegen.sketch.editing.analysis import Box, ImageAnalysis
from ipyimagegen.sketch.reading.prompts import Figure, Scene

OUTLINE = 128  # pixels of a unit of the drawing that shows a figure's outline
SIZES = {"sky": 0.36, "air": 0.42, "horizon": 0.42, "water": 0.36, "ground": 0.4}


def paint_figures(
    image: Image.Image, alpha: Image.Image | None, placed: list[Placed], scene: Scene, streams: RandomStreams
) -> None:
    """Paint figures on an image (RGB) and where it is opaque (L), in place; a unit is its short edge."""
    unit = min(image.size)
    for item in placed:
        x, y, reach = item.x * unit, item.y * unit, item.size * unit * 0.64
        left, top = max(0, int(x - reach)), max(0, int(y - reach))
        box = left, top, min(image.width, int(x + reach) + 2), min(image.height, int(y + reach) + 2)
        if box[0] >= box[2] or box[1] >= box[3]:
            continue
        if item.figure.name in {"sun", "moon"}:
            colour = choose_skin(item.figure.name, item.figure.colours).tone("light")
            around = image.crop(box).resize((1, 1), Image.Resampling.BOX).convert("L").tobytes()[0]
            add_glow(image, (x, y), reach * 1.25, colour, max(0.0, 0.6 - around / 340))
        sharp = max(1, min(4, int(math.sqrt(2_400_000 / ((box[2] - box[0]) * (box[3] - box[1]))))))
        part = image.crop(box)
        large = part.resize((part.width * sharp, part.height * sharp), Image.Resampling.NEAREST)
        mask = Image.new("L", large.size)
        pens = tuple(Pen.on(large, unit * sharp, ink).at(-left / unit, -top / unit) for ink in (mask, None))
        paint_figure(pens, scene, item, streams(f"colour {item.figure.name}"))
        image.paste(large.reduce(sharp), box[:2])
        if alpha:
            alpha.paste(ImageChops.lighter(alpha.crop(box), mask.reduce(sharp)), box[:2])


def find_places(scene: Scene, analysis: ImageAnalysis, rng: Random, spot: Box | None = None) -> list[Placed]:
    """Return a place in the image for every figure, the far ones first; the first stands at the spot."""
    width, height = analysis.columns / analysis.unit, analysis.rows / analysis.unit
    items = [(figure, i) for figure in scene.figures for i in range(figure.count or 3)]
    items.sort(key=lambda item: _measure_figure(item[0])[1], reverse=True)
    crowd = max(1.0, math.sqrt(len(items) * 0.75))
    placed: list[Placed] = []
    for figure, index in items:
        if figure.name == "hat" and analysis.subject and index == 0:
            placed.append(_place_hat(figure, analysis))
            continue
        if spot and not placed:
            size = max(spot.height, min(spot.width, spot.height * 1.5))
            centre = spot.x + spot.width / 2, spot.y + spot.height - size / 2
            placed.append(Placed(figure, index, *centre, size, flip=rng.random() < 0.5))
            continue
        where, size = _measure_figure(figure)
        size = min(size * SCALES.get(figure.size, 1.0), 0.86 * min(width, height)) / crowd**0.9
        places = _list_places(where, size, width, height) or [(width / 2, height / 2)]

        def cost(place: tuple[float, float], size: float = size) -> float:
            here = Box(place[0] - size / 2, place[1] - size / 2, size, size)
            overlaps = (1 - 2 * math.dist(place, (p.x, p.y)) / (size + p.size) for p in placed)
            near = sum(max(0.0, overlap) for overlap in overlaps)
            return analysis.measure_busy(here) + 400 * near + rng.random() * 16

        x, y = min(places, key=cost)
        placed.append(Placed(figure, index, x, y, size, flip=rng.random() < 0.5))
    return sorted(placed, key=lambda item: (_measure_figure(item.figure)[0] == "ground", item.y))


def _measure_figure(figure: Figure) -> tuple[str, float]:
    """Return where a figure goes and how large it is."""
    thing = THINGS.get(figure.name)
    if thing is None or figure.name == "hat":
        return "air", 0.3
    return thing.where, SIZES[thing.where] * thing.size


def _list_places(where: str, size: float, width: float, height: float) -> list[tuple[float, float]]:
    half = size / 2
    low, high = {
        "sky": (half + 0.035, max(half + 0.035, height * 0.3)),
        "air": (half + 0.04, height - half - 0.08),
        "horizon": (height * 0.62 - half, height * 0.7 - half),
    }.get(where, (height * 0.9 - half, height * 0.955 - half))
    steps = 9
    return [
        (x, y)
        for x in (half + 0.03 + (width - size - 0.06) * i / steps for i in range(steps + 1))
        for y in {low + (max(high, low) - low) * j / steps for j in range(steps + 1)}
        if 0 <= y <= height
    ]


def _place_hat(figure: Figure, analysis: ImageAnalysis) -> Placed:
    """Return the place of a hat: on top of the subject, over the middle of its crown."""
    assert analysis.subject
    box = analysis.subject.box
    size = min(max(0.16, min(box.width * 0.62, box.height * 0.46)), 0.5) * SCALES.get(figure.size, 1.0)
    x = min(max(analysis.subject.crown, size / 2), analysis.columns / analysis.unit)
    return Placed(figure, 0, x, max(box.y + size * 0.02, size * 0.3), size)


def fill_mask(scene: Scene, area: Image.Image, streams: RandomStreams) -> list[Placed]:
    """Return places in the box of a mask, in units of its short edge, inside the area (L) if possible."""
    unit = min(area.size)
    width, height = area.width / unit, area.height / unit
    if sum(figure.count or 3 for figure in scene.figures) == 1:
        return [_place_largest(scene, area, width, height, streams)]
    return arrange_figures(scene.figures, Frame(width, height, height * 0.72), streams("layout"))


def _place_largest(
    scene: Scene, area: Image.Image, width: float, height: float, streams: RandomStreams
) -> Placed:
    """Return the place of a single figure, as large as the area (L) takes 98.5 % of its outline."""
    middle = Placed(scene.figures[0], 0, 0.0, 0.0, 1.0)
    outline = Image.new("L", (OUTLINE * 2, OUTLINE * 2))
    pens = tuple(Pen.on(Image.new("RGB", outline.size), OUTLINE, ink).at(1, 1) for ink in (outline, None))
    paint_figure(pens, scene, middle, streams(f"colour {middle.figure.name}"))
    bounds = outline.getbbox() or (64, 64, 192, 192)
    tight = outline.crop(bounds)
    x0, y0, x1, y1 = ((v - OUTLINE) / OUTLINE for v in bounds)
    reduced = max(8, round(OUTLINE * width)), max(8, round(OUTLINE * height))
    small = area.resize(reduced, Image.Resampling.BOX)
    size = 0.98 * min(width / (x1 - x0), height / (y1 - y0))
    placed = middle
    for _ in range(14):
        x, y = width / 2 - (x0 + x1) / 2 * size, height / 2 - (y0 + y1) / 2 * size
        placed = replace(middle, x=x, y=y, size=size)
        left, top = round((x + x0 * size) * OUTLINE), round((y + y0 * size) * OUTLINE)
        extent = max(1, round((x1 - x0) * size * OUTLINE)), max(1, round((y1 - y0) * size * OUTLINE))
        shape = tight.resize(extent, Image.Resampling.BOX)
        free = small.crop((left, top, left + extent[0], top + extent[1]))
        if ImageStat.Stat(ImageChops.multiply(shape, free)).sum[0] >= 0.985 * ImageStat.Stat(shape).sum[0]:
            break
        size *= 0.94
    return placed
