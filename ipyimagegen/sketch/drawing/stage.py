"""The stage that scenes are painted on: the table of places, the light of the hour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import Pen, mix, rgb

if TYPE_CHECKING:
    from random import Random

    from PIL import Image

    from ipyimagegen.sketch.drawing.canvas import RGB, Point

NIGHT = rgb("#16224a")
DUSK = rgb("#b4553f")


@dataclass(frozen=True, slots=True)
class Place:
    """One row: sky from top to horizon, ground from far to near, and the layers by name.

    `horizon` is a share of the height.
    """

    sky: tuple[str, ...]
    ground: tuple[str, ...]
    layers: tuple[str, ...]
    horizon: float = 0.62


PLACES: dict[str, Place] = {
    "field": Place(
        ("#9fd3ee", "#d9eef4", "#fbf3dc"), ("#a9cf8a", "#7fb869", "#5d9e55"),
        ("orb", "clouds", "hills", "trees", "ground", "tufts"),
    ),
    "autumn": Place(
        ("#f3d9b8", "#f9e8cb", "#fdf4e0"), ("#e3b26a", "#cf8f4a", "#b36f3b"),
        ("orb", "hills", "russet", "ground", "leaves"),
    ),
    "snow": Place(
        ("#a9c6dd", "#d3e2ec", "#f3eae4"), ("#e9f0f6", "#f4f8fb", "#fdfeff"),
        ("orb", "ridges", "firs", "ground", "drifts", "snowfall"), 0.6,
    ),
    "sea": Place(
        ("#8ecdec", "#cbe8f2", "#fdf0d8"), ("#5fb0cf", "#2f86b3", "#1f6796"),
        ("orb", "clouds", "sea", "gulls"), 0.56,
    ),
    "beach": Place(
        ("#8fd0ee", "#d2ecf3", "#fdf3dd"), ("#f3ddae", "#ecca92", "#e0b77c"),
        ("orb", "clouds", "strip", "ground", "gulls"), 0.66,
    ),
    "underwater": Place(
        ("#8fdbe0", "#3fa5c4", "#1d5f94"), ("#e5d3a0", "#c9b181", "#a98f66"),
        ("rays", "weeds", "ground", "bubbles"), 0.86,
    ),
    "forest": Place(
        ("#cfe6d4", "#e4f0d8", "#f6f4da"), ("#8dbb78", "#6aa261", "#4c8850"),
        ("orb", "woods", "ground", "tufts"), 0.66,
    ),
    "desert": Place(
        ("#8fc9e4", "#f3dfbe", "#fbe3b8"), ("#eec07f", "#e2a765", "#d18f50"),
        ("orb", "mesas", "dunes", "ground", "cacti"), 0.62,
    ),
    "city": Place(
        ("#a8cbe6", "#dbe5ee", "#fbe9d6"), ("#8d929e", "#747a88", "#5f6573"),
        ("orb", "clouds", "skyline", "street"), 0.74,
    ),
    "space": Place(
        ("#0b1030", "#1b1c4e", "#3a2a6b"), ("#5d5a86", "#4a4773", "#3a3760"),
        ("nebula", "stars", "planets"), 0.9,
    ),
    "mountains": Place(
        ("#9cc7e6", "#d7e6ef", "#fbeede"), ("#8fb98a", "#6a9f72", "#4c8560"),
        ("orb", "clouds", "peaks", "hills", "ground"), 0.66,
    ),
    "sky": Place(
        ("#7fbfe8", "#b7dcf2", "#eaf5f4"), ("#9cca8e", "#7fb877", "#69a667"),
        ("orb", "clouds", "hills", "ground"), 0.88,
    ),
    "table": Place(
        ("#f2dcc0", "#f6e6cf", "#f8ecd9"), ("#b98358", "#a87349", "#94623c"),
        ("wall", "ground", "boards"), 0.66,
    ),
    "rain": Place(
        ("#8b9db2", "#b3c0cc", "#cfd6d8"), ("#8ba08e", "#73897c", "#5f766d"),
        ("greys", "hills", "ground", "puddles"), 0.66,
    ),
}  # fmt: skip

SKIES: dict[str, tuple[str, ...]] = {
    "night": ("#0e1a40", "#1f3166", "#47558c"),
    "sunset": ("#4b4a86", "#c8648a", "#f5975f", "#fbd48a"),
}


@dataclass(slots=True)
class Stage:
    """Where layers paint: the picture at drawing size, its pen, its extent in units, and the mood.

    One unit is the short edge of the picture.
    """

    picture: Image.Image
    pen: Pen
    width: float
    height: float
    rng: Random
    place: Place
    time: str
    detail: float
    unit: float
    moon: bool = True

    @property
    def horizon(self) -> float:
        """The y of the horizon, in units."""
        return self.height * self.place.horizon

    def tone(self, colour: RGB | str, share: float = 0.5) -> RGB:
        """Return the colour in the light of the hour."""
        colour = rgb(colour) if isinstance(colour, str) else colour
        if self.time == "night":
            return mix(colour, NIGHT, min(share * 1.25, 0.8))
        return mix(colour, DUSK, share * 0.55) if self.time == "sunset" else colour

    def sky(self) -> tuple[RGB, ...]:
        """Return the colours of the sky, top to bottom."""
        fixed = self.place in (PLACES["space"], PLACES["underwater"], PLACES["table"])
        return tuple(rgb(c) for c in (self.place.sky if fixed else SKIES.get(self.time, self.place.sky)))

    def haze(self, colour: RGB | str, distance: float) -> RGB:
        """Return the colour as it looks from afar, 0..1."""
        return mix(self.tone(colour), self.sky()[-1], distance)

    def count(self, usual: float) -> int:
        """Return how many of a detail to draw, by quality and width."""
        return max(1, int(usual * self.detail * max(1.0, self.width) + 0.5))

    def ridge(
        self, base: float, height: float, fill: RGB, rough: float = 1.0, slope: float = 0.0
    ) -> list[Point]:
        """Fill a rolling line of hills down to the lower edge; return its crest."""
        waves = [(self.rng.uniform(0.7, 1.3) * k * rough, self.rng.random(), 1 / k) for k in (1, 2.3, 4.1)]
        steps = 60
        crest: list[Point] = []
        for i in range(steps + 1):
            x = self.width * i / steps
            swell = sum(a * math.sin(2 * math.pi * (x * f * 0.8 + p)) for f, p, a in waves)
            crest.append((x, base - height * swell / 2 - slope * x))
        self.pen.polygon([*crest, (self.width, self.height + 0.1), (0, self.height + 0.1)], fill)
        return crest
