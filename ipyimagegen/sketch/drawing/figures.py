"""Figures: things and shapes put down in the colours that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import RGB, Pen, fade, luminance, mix, rgb
from ipyimagegen.sketch.drawing.objects import hat
from ipyimagegen.sketch.drawing.palette import CREAM, INK, NAMED, WHITE, Skin, named, nearest
from ipyimagegen.sketch.drawing.shapes import SHAPES
from ipyimagegen.sketch.drawing.stage import PLACES, Stage
from ipyimagegen.sketch.drawing.things import THINGS, skin

if TYPE_CHECKING:
    from random import Random

    from ipyimagegen.sketch.drawing.layout import Placed
    from ipyimagegen.sketch.reading.reading import Scene

NATURAL = {"heart": "red", "star": "gold", "crescent": "gold"}
BRIGHT = ("#e4572e", "#2e86ab", "#f2b134", "#4a9d6f", "#8e5ea2", "#ef8fa3", "#3fb8af")


def paint(pens: tuple[Pen, Pen], scene: Scene, item: Placed, stage: Stage | None, rng: Random) -> None:
    """Paint one figure with its shadow, its hat and the water before it.

    The first pen also cuts out where the background is transparent, the second only paints.
    `rng` gives the colours of shapes whose colour is not said; it is alike for all of one kind.
    """
    figure = item.figure
    pen = pens[0].at(item.x, item.y, item.size, turn=item.turn, flip=item.flip)
    if figure.name in SHAPES:
        SHAPES[figure.name](pen, _shape_skin(scene, item, rng))
        return
    row = THINGS[figure.name]
    if row.where == "ground":
        shadow = pens[1].at(item.x, item.y, item.size)
        shadow.oval(0, 0.49, 0.4, 0.05, fade(rgb("#2a3050"), 0.2))
    colours = figure.colours
    if len(colours) > 1 and figure.count != 1:
        colours = (colours[item.index % len(colours)],)
    row.paint(pen, skin(figure.name, colours, _spare(rgb(row.main), scene.avoid)))
    if figure.wears and row.head:
        x, y, size = row.head
        worn = figure.wears.colours
        hat(pen.at(x, y - size * 0.3, size), skin("hat", worn))
    if row.where == "water" and stage and stage.place in (PLACES["sea"], PLACES["beach"]):
        _waterline(pen, stage, deep=figure.name == "whale")


def _waterline(pen: Pen, stage: Stage, *, deep: bool) -> None:
    """Water in front of a hull."""
    water = stage.tone(mix(rgb("#2f86b3"), rgb("#1f6796"), 0.45), 0.4)
    top = 0.27 if deep else 0.42
    pen.blob(
        [
            (-0.62, 0.52),
            (-0.4, top),
            (-0.2, top + 0.025),
            (0, top),
            (0.2, top + 0.025),
            (0.4, top),
            (0.62, 0.52),
            (0, 0.58),
        ],
        water,
    )
    for x in (-0.4, -0.02, 0.34):
        pen.stroke([(x - 0.1, top + 0.02), (x, top), (x + 0.1, top + 0.02)], 0.014, mix(water, WHITE, 0.6))


def _shape_skin(scene: Scene, item: Placed, rng: Random) -> Skin:
    colours = item.figure.colours
    if colours:
        main = named(colours[item.index % len(colours)])
        if scene.backdrop == colours[item.index % len(colours)]:
            main = mix(main, INK if luminance(main) > 120 else CREAM, 0.35)
        return Skin(main, main, said=True)
    natural = NATURAL.get(item.figure.name) if item.figure.count == 1 else None
    if natural and natural not in scene.avoid and natural != scene.backdrop:
        return Skin(named(natural), named(natural))
    own = [rgb(c) for c in BRIGHT if nearest(rgb(c)) not in scene.avoid and nearest(rgb(c)) != scene.backdrop]
    rng.shuffle(own)
    main = own[item.index % len(own)] if own else rgb("#8f949c")
    return Skin(main, main)


def _spare(own: RGB, avoid: frozenset[str]) -> RGB | None:
    """Return another colour where the thing's own is one that was not wanted."""
    if nearest(own) not in avoid:
        return None
    free = [rgb(c) for c in BRIGHT if nearest(rgb(c)) not in avoid]
    return free[0] if free else rgb(NAMED["grey"])
