"""Where the figures of an edit go in a picture that is there already, and painting them there.

Without a mask each kind looks for a calm place at its height; a hat looks for a head. With a mask
a single figure fills the mask's area as far as its outline lets it, several are arranged in its box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from ipyimagegen.sketch.drawing import figures, layout
from ipyimagegen.sketch.drawing.canvas import Pen, glow
from ipyimagegen.sketch.drawing.layout import SIZES, Frame, Placed
from ipyimagegen.sketch.drawing.things import THINGS, skin
from ipyimagegen.sketch.editing.sight import Box, Sight

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from ipyimagegen.sketch.drawing.dice import Dice
    from ipyimagegen.sketch.reading.reading import Figure, Scene

OUTLINE = 128  # pixels of the drawing that tells a figure's outline
INSIDE = 0.985  # share of a figure that must lie in the mask


@dataclass(frozen=True, slots=True)
class Sheet:
    """The picture that is painted on (RGB), and where it is opaque (L), None where it is all over."""

    image: Image.Image
    alpha: Image.Image | None = None


def put(sheet: Sheet, placed: Sequence[Placed], scene: Scene, dice: Dice) -> Sheet:
    """Return the sheet with the figures on it; one unit is its short edge."""
    image = sheet.image.copy()
    alpha = sheet.alpha.copy() if sheet.alpha else None
    unit = min(image.size)
    for item in placed:
        x, y, reach = item.x * unit, item.y * unit, item.size * unit * 0.64
        box = (
            max(0, int(x - reach)), max(0, int(y - reach)),
            min(image.width, int(x + reach) + 2), min(image.height, int(y + reach) + 2),
        )  # fmt: skip
        if box[0] >= box[2] or box[1] >= box[3]:
            continue
        if item.figure.name in {"sun", "moon"}:
            colour = skin(item.figure.name, item.figure.colours).light
            around = image.crop(box).resize((1, 1), Image.Resampling.BOX).convert("L").tobytes()[0]
            glow(image, (x, y), reach * 1.25, colour, max(0.0, 0.6 - around / 340))
        sharp = max(1, min(4, int(math.sqrt(2_400_000 / ((box[2] - box[0]) * (box[3] - box[1]))))))
        part = image.crop(box)
        large = part.resize((part.width * sharp, part.height * sharp), Image.Resampling.NEAREST)
        cut = Image.new("L", large.size)
        pens = tuple(
            Pen.on(large, unit * sharp, ink).at(-box[0] / unit, -box[1] / unit) for ink in (cut, None)
        )
        figures.paint((pens[0], pens[1]), scene, item, None, dice(f"colour {item.figure.name}"))
        image.paste(large.reduce(sharp), box[:2])
        if alpha:
            alpha.paste(ImageChops.lighter(alpha.crop(box), cut.reduce(sharp)), box[:2])
    return Sheet(image, alpha)


def find(scene: Scene, sight: Sight, rng: Random, spot: Box | None = None) -> list[Placed]:
    """Return a place in the picture for every figure, the far ones first; the first stands at the spot."""
    width, height = sight.columns / sight.unit, sight.rows / sight.unit
    items = [(f, i) for f in scene.figures for i in range(f.count or 3)]
    items.sort(key=lambda item: _row(item[0])[1], reverse=True)
    crowd = max(1.0, math.sqrt(len(items) * 0.75))
    placed: list[Placed] = []
    for figure, index in items:
        if figure.name == "hat" and sight.subject and index == 0:
            placed.append(_on_head(figure, sight))
            continue
        if spot and not placed:
            size = max(spot.height, min(spot.width, spot.height * 1.5))
            centre = spot.x + spot.width / 2, spot.y + spot.height - size / 2
            placed.append(Placed(figure, index, *centre, size, flip=rng.random() < 0.5))
            continue
        where, size = _row(figure)
        size = min(size * SIZES.get(figure.size, 1.0), 0.86 * min(width, height)) / crowd**0.9
        places = list(_places(where, size, width, height))
        if not places:
            places = [(width / 2, height / 2)]

        def cost(place: tuple[float, float], size: float = size) -> float:
            here = Box(place[0] - size / 2, place[1] - size / 2, size, size)
            near = sum(_overlap(size, place, other) for other in placed)
            return sight.busy(here) + 400 * near + rng.random() * 16

        x, y = min(places, key=cost)
        placed.append(Placed(figure, index, x, y, size, flip=rng.random() < 0.5))
    return sorted(placed, key=lambda p: (_row(p.figure)[0] == "ground", p.y))


WHERE = {"sky": 0.36, "air": 0.42, "horizon": 0.42, "water": 0.36, "ground": 0.4}


def _row(figure: Figure) -> tuple[str, float]:
    """Return where a figure goes and how large it is."""
    row = THINGS.get(figure.name)
    if row is None or figure.name == "hat":
        return "air", 0.3
    return row.where, WHERE[row.where] * row.size


def _places(where: str, size: float, width: float, height: float) -> list[tuple[float, float]]:
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


def _overlap(size: float, place: tuple[float, float], other: Placed) -> float:
    room = (size + other.size) * 0.5
    return max(0.0, 1 - math.dist(place, (other.x, other.y)) / room) if room else 0.0


def _on_head(figure: Figure, sight: Sight) -> Placed:
    """Return the place of a hat: on top of the subject, over the middle of its crown."""
    assert sight.subject
    box = sight.subject.box
    size = min(max(0.16, min(box.width * 0.62, box.height * 0.46)), 0.5) * SIZES.get(figure.size, 1.0)
    y = max(box.y + size * 0.02, size * 0.3)
    return Placed(figure, 0, min(max(sight.subject.crown, size / 2), sight.columns / sight.unit), y, size)


def fill(scene: Scene, area: Image.Image, dice: Dice) -> list[Placed]:
    """Return places in the box of a mask, in units of its short edge, inside the area (L) if it can be."""
    unit = min(area.size)
    width, height = area.width / unit, area.height / unit
    if sum(f.count or 3 for f in scene.figures) == 1:
        return [_largest(scene, area, width, height, dice)]
    return layout.arrange(scene.figures, Frame(width, height, height * 0.72), dice("layout"))


def _largest(scene: Scene, area: Image.Image, width: float, height: float, dice: Dice) -> Placed:
    """Return the one figure, as large as the area (L) takes its outline."""
    figure = scene.figures[0]
    outline = Image.new("L", (OUTLINE * 2, OUTLINE * 2))
    sketchy = Image.new("RGB", outline.size)
    pens = tuple(Pen.on(sketchy, OUTLINE, ink).at(1, 1) for ink in (outline, None))
    middle = Placed(figure, 0, 0.0, 0.0, 1.0)
    figures.paint((pens[0], pens[1]), scene, middle, None, dice(f"colour {figure.name}"))
    x0, y0, x1, y1 = ((v - OUTLINE) / OUTLINE for v in outline.getbbox() or (64, 64, 192, 192))
    size = 0.98 * min(width / (x1 - x0), height / (y1 - y0))
    tight = outline.crop(outline.getbbox())
    small = area.resize(
        (max(8, round(OUTLINE * width)), max(8, round(OUTLINE * height))), Image.Resampling.BOX
    )
    placed = middle
    for _ in range(14):
        x, y = width / 2 - (x0 + x1) / 2 * size, height / 2 - (y0 + y1) / 2 * size
        placed = replace(middle, x=x, y=y, size=size)
        corner = round((x + x0 * size) * OUTLINE), round((y + y0 * size) * OUTLINE)
        extent = max(1, round((x1 - x0) * size * OUTLINE)), max(1, round((y1 - y0) * size * OUTLINE))
        shape = tight.resize(extent, Image.Resampling.BOX)
        free = small.crop((*corner, corner[0] + extent[0], corner[1] + extent[1]))
        if _sum(ImageChops.multiply(shape, free)) >= INSIDE * _sum(shape):
            break
        size *= 0.94
    return placed


def _sum(image: Image.Image) -> int:
    return sum(value * count for value, count in enumerate(image.histogram()))
