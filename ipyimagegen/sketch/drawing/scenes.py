"""Landscapes: the layers by name, and a stage painted with those of its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing import grounds, skies
from ipyimagegen.sketch.drawing.canvas import gradient
from ipyimagegen.sketch.drawing.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable


def paint(stage: Stage) -> None:
    """Paint the place, far to near, without its foreground."""
    stage.picture.paste(gradient(stage.picture.size, stage.sky()))
    for name in stage.place.layers:
        LAYERS[name](stage)


_PAINTERS: tuple[Callable[[Stage], None], ...] = (
    skies.orb, skies.stars, skies.clouds, skies.gulls, skies.rays, skies.bubbles, skies.nebula, skies.planets,
    skies.wall, skies.greys, skies.rain, skies.fog, skies.snowfall,
    grounds.hills, grounds.ridges, grounds.peaks, grounds.firs, grounds.woods, grounds.trees, grounds.russet,
    grounds.ground, grounds.tufts, grounds.leaves, grounds.drifts, grounds.sea, grounds.strip, grounds.weeds,
    grounds.mesas, grounds.dunes, grounds.cacti, grounds.skyline, grounds.street, grounds.boards,
    grounds.puddles,
)  # fmt: skip
LAYERS = {painter.__name__: painter for painter in _PAINTERS}
