"""Backgrounds: a table of places and the layers that paint them, far to near."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipyimagegen.sketch import nature
from ipyimagegen.sketch.canvas import Pen, fade, glow, gradient, mix, rgb
from ipyimagegen.sketch.palette import CREAM, WHITE, Skin

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from PIL import Image

    from ipyimagegen.sketch.canvas import RGB, Point

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
    "field": Place(("#9fd3ee", "#d9eef4", "#fbf3dc"), ("#a9cf8a", "#7fb869", "#5d9e55"), ("orb", "clouds", "hills", "trees", "ground", "tufts")),
    "autumn": Place(("#f3d9b8", "#f9e8cb", "#fdf4e0"), ("#e3b26a", "#cf8f4a", "#b36f3b"), ("orb", "hills", "russet", "ground", "leaves")),
    "snow": Place(("#a9c6dd", "#d3e2ec", "#f3eae4"), ("#e9f0f6", "#f4f8fb", "#fdfeff"), ("orb", "ridges", "firs", "ground", "drifts", "snowfall"), 0.6),
    "sea": Place(("#8ecdec", "#cbe8f2", "#fdf0d8"), ("#5fb0cf", "#2f86b3", "#1f6796"), ("orb", "clouds", "sea", "gulls"), 0.56),
    "beach": Place(("#8fd0ee", "#d2ecf3", "#fdf3dd"), ("#f3ddae", "#ecca92", "#e0b77c"), ("orb", "clouds", "strip", "ground", "gulls"), 0.66),
    "underwater": Place(("#8fdbe0", "#3fa5c4", "#1d5f94"), ("#e5d3a0", "#c9b181", "#a98f66"), ("rays", "weeds", "ground", "bubbles"), 0.86),
    "forest": Place(("#cfe6d4", "#e4f0d8", "#f6f4da"), ("#8dbb78", "#6aa261", "#4c8850"), ("orb", "woods", "ground", "tufts"), 0.66),
    "desert": Place(("#8fc9e4", "#f3dfbe", "#fbe3b8"), ("#eec07f", "#e2a765", "#d18f50"), ("orb", "mesas", "dunes", "ground", "cacti"), 0.62),
    "city": Place(("#a8cbe6", "#dbe5ee", "#fbe9d6"), ("#8d929e", "#747a88", "#5f6573"), ("orb", "clouds", "skyline", "street"), 0.74),
    "space": Place(("#0b1030", "#1b1c4e", "#3a2a6b"), ("#5d5a86", "#4a4773", "#3a3760"), ("nebula", "stars", "planets"), 0.9),
    "mountains": Place(("#9cc7e6", "#d7e6ef", "#fbeede"), ("#8fb98a", "#6a9f72", "#4c8560"), ("orb", "clouds", "peaks", "hills", "ground"), 0.66),
    "sky": Place(("#7fbfe8", "#b7dcf2", "#eaf5f4"), ("#9cca8e", "#7fb877", "#69a667"), ("orb", "clouds", "low", "ground"), 0.88),
    "table": Place(("#f2dcc0", "#f6e6cf", "#f8ecd9"), ("#b98358", "#a87349", "#94623c"), ("wall", "ground", "boards"), 0.66),
    "rain": Place(("#8b9db2", "#b3c0cc", "#cfd6d8"), ("#8ba08e", "#73897c", "#5f766d"), ("greys", "hills", "ground", "puddles"), 0.66),
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


def paint(stage: Stage) -> None:
    """Paint the place, far to near, without its foreground."""
    stage.picture.paste(gradient(stage.picture.size, stage.sky()))
    for name in stage.place.layers:
        LAYERS[name](stage)


def _haze(stage: Stage, colour: RGB | str, distance: float) -> RGB:
    return mix(stage.tone(colour), stage.sky()[-1], distance)


def orb(stage: Stage) -> None:
    """The sun, or the moon with stars."""
    if stage.time == "night":
        stars(stage)
    if not stage.moon:
        return
    x = stage.width * stage.rng.choice((0.2, 0.78, 0.84))
    low = {"sunset": 0.82, "night": 0.32}.get(stage.time, 0.36)
    y, r = stage.horizon * low, {"sunset": 0.1, "night": 0.065}.get(stage.time, 0.06)
    colour = rgb({"sunset": "#ffe9b0", "night": "#f7efcf"}.get(stage.time, "#fff6dd"))
    glow(stage.picture, (x * stage.unit, y * stage.unit), r * stage.unit * 5, colour, 0.7)
    stage.pen.disc(x, y, r, colour)


def stars(stage: Stage) -> None:
    """Stars over the whole sky."""
    for _ in range(stage.count(90)):
        x, y = stage.rng.random() * stage.width, stage.rng.random() ** 1.3 * stage.horizon
        r = stage.rng.choice((0.0014, 0.0018, 0.0026, 0.0036))
        stage.pen.disc(x, y, r, rgb(stage.rng.choice(("#ffffff", "#fdf1cf", "#cfdcff"))))


def clouds(stage: Stage) -> None:
    """A few clouds."""
    colour = stage.tone(WHITE, 0.35) if stage.time else rgb("#ffffff")
    for _ in range(max(2, int(2.5 * stage.width))):
        x, y = stage.rng.random() * stage.width, stage.rng.uniform(0.1, 0.62) * stage.horizon
        size = stage.rng.uniform(0.14, 0.3)
        tone = mix(colour, stage.sky()[1], stage.rng.uniform(0.25, 0.55))
        for dx, dy, r in ((-0.3, 0.05, 0.14), (-0.1, -0.04, 0.2), (0.13, -0.01, 0.17), (0.3, 0.06, 0.12)):
            stage.pen.disc(x + dx * size, y + dy * size, r * size, tone)
        stage.pen.box(x - 0.44 * size, y + 0.03 * size, 0.87 * size, 0.16 * size, tone, 0.08 * size)


def hills(stage: Stage) -> None:
    """Two lines of hills in the haze."""
    stage.ridge(stage.horizon - 0.05, 0.11, _haze(stage, stage.place.ground[1], 0.62), 0.9)
    stage.ridge(stage.horizon - 0.005, 0.07, _haze(stage, stage.place.ground[1], 0.36), 1.1)


def ridges(stage: Stage) -> None:
    """Far snowy mountains."""
    for base, height, colour, distance in ((0.1, 0.16, "#8fabc7", 0.45), (0.045, 0.1, "#a9c0d6", 0.3)):
        stage.ridge(stage.horizon - base, height, _haze(stage, colour, distance), 1.6)


def peaks(stage: Stage) -> None:
    """Snow-capped mountains along the horizon."""
    for distance, size in ((0.5, 0.42), (0.2, 0.55)):
        x = -0.1
        while x < stage.width + 0.2:
            scale = size * stage.rng.uniform(0.8, 1.25)
            skin = Skin(_haze(stage, "#66809f", distance), WHITE)
            nature.mountain(stage.pen.at(x, stage.horizon + 0.03 - scale * 0.42, scale), skin)
            x += scale * stage.rng.uniform(0.7, 1.0)


def _row(stage: Stage, y: float, colour: RGB, size: float, gap: float) -> None:
    """A row of firs standing about y."""
    x = -0.05
    while x < stage.width + 0.05:
        scale = size * stage.rng.uniform(0.65, 1.2)
        nature.pine(stage.pen.at(x, y - scale * 0.44, scale), Skin(colour, colour))
        x += gap * stage.rng.uniform(0.5, 1.7)


def firs(stage: Stage) -> None:
    """Two rows of firs at the edge of the snow."""
    _row(stage, stage.horizon + 0.0, _haze(stage, "#5f8a92", 0.5), 0.16, 0.075)
    _row(stage, stage.horizon + 0.03, _haze(stage, "#3f6f76", 0.22), 0.24, 0.2)


def woods(stage: Stage) -> None:
    """Three rows of wood, paler with distance."""
    for y, distance, size, gap in (
        (-0.06, 0.72, 0.42, 0.09),
        (-0.02, 0.45, 0.48, 0.15),
        (0.03, 0.15, 0.56, 0.3),
    ):
        _row(stage, stage.horizon + y, _haze(stage, "#3f7a55", distance), size, gap)


def trees(stage: Stage) -> None:
    """Small trees far off."""
    for _ in range(stage.count(4)):
        x, scale = stage.rng.random() * stage.width, stage.rng.uniform(0.09, 0.16)
        colour = _haze(stage, stage.rng.choice(("#5f9e5c", "#4f8f5a", "#7cb061")), 0.22)
        nature.tree(stage.pen.at(x, stage.horizon + 0.02 - scale * 0.45, scale), Skin(colour, colour))


def russet(stage: Stage) -> None:
    """Autumn trees."""
    for _ in range(stage.count(7)):
        x, scale = stage.rng.random() * stage.width, stage.rng.uniform(0.14, 0.3)
        colour = _haze(stage, stage.rng.choice(("#d9823b", "#c4572f", "#e3ac3f", "#a8763d")), 0.25)
        nature.tree(stage.pen.at(x, stage.horizon + 0.02 - scale * 0.45, scale), Skin(colour, colour))


def ground(stage: Stage) -> None:
    """The ground in three swells, nearer ones darker or brighter."""
    room = stage.height - stage.horizon
    for i, colour in enumerate(stage.place.ground):
        flat = stage.place is PLACES["table"]
        height = 0 if flat else 0.025 + 0.015 * i
        base = stage.horizon + room * (0.0, 0.34, 0.72)[i] + (0 if flat else 0.01)
        stage.ridge(base, height, stage.tone(colour), 0.8)


low = hills


def tufts(stage: Stage) -> None:
    """Grass and small flowers."""
    room = stage.height - stage.horizon
    for _ in range(stage.count(34)):
        depth = stage.rng.random()
        x, y = stage.rng.random() * stage.width, stage.horizon + room * (0.12 + 0.88 * depth)
        size = 0.018 + 0.03 * depth
        blade = stage.tone(mix(rgb(stage.place.ground[2]), rgb("#2f6b45"), 0.25 + 0.3 * stage.rng.random()))
        for lean in (-0.5, 0.0, 0.5):
            stage.pen.polygon([(x - size * 0.1, y), (x + size * 0.1, y), (x + size * lean, y - size)], blade)
        if stage.rng.random() < 0.3:
            colour = stage.tone(stage.rng.choice(("#fff6e0", "#f7cf5a", "#f0a0b4", "#c9a7e0")), 0.3)
            stage.pen.disc(x + size * 0.5, y - size, size * 0.2, colour)


def leaves(stage: Stage) -> None:
    """Fallen and falling leaves."""
    for _ in range(stage.count(46)):
        y = stage.height * (1 - 0.62 * stage.rng.random() ** 1.6)
        colour = stage.tone(stage.rng.choice(("#c4572f", "#e3ac3f", "#d9823b", "#8f4a2c")))
        turn = stage.rng.uniform(0, 180)
        stage.pen.oval(stage.rng.random() * stage.width, y, 0.011, 0.006, colour, turn=turn)


def drifts(stage: Stage) -> None:
    """Blue shadows on the snow."""
    room = stage.height - stage.horizon
    for _ in range(stage.count(9)):
        x, y = stage.rng.random() * stage.width, stage.horizon + room * stage.rng.uniform(0.1, 0.95)
        w = stage.rng.uniform(0.05, 0.16)
        stage.pen.blob(
            [(x - w, y), (x, y - 0.006), (x + w, y), (x, y + 0.008)], fade(stage.tone("#c9d9ea"), 0.55)
        )


def snowfall(stage: Stage) -> None:
    """Falling snow."""
    for _ in range(stage.count(80)):
        x, y = stage.rng.random() * stage.width, stage.rng.random() * stage.height
        stage.pen.disc(x, y, stage.rng.uniform(0.002, 0.0062), WHITE)


def sea(stage: Stage) -> None:
    """Water with bands of waves, and the light on it."""
    room = stage.height - stage.horizon
    colours = [stage.tone(c, 0.4) for c in stage.place.ground]
    rows = 7
    for i in range(rows):
        t = i / (rows - 1)
        colour = mix(colours[0], colours[1], t * 2) if t < 0.5 else mix(colours[1], colours[2], t * 2 - 1)
        y = stage.horizon + room * t**1.35 * 0.86
        crest = nature.wave_points(
            0, stage.width, y, 0.003 + 0.008 * t if i else 0.0, 0.12 + 0.16 * t, stage.rng.random()
        )
        stage.pen.polygon([*crest, (stage.width, stage.height + 0.1), (0, stage.height + 0.1)], colour)
    for _ in range(stage.count(22)):
        depth = stage.rng.random()
        x, y = stage.rng.random() * stage.width, stage.horizon + room * (0.03 + 0.92 * depth)
        w = 0.02 + 0.05 * depth
        stage.pen.stroke(
            [(x - w, y), (x, y - 0.003), (x + w, y)], 0.003 + 0.003 * depth, mix(colours[0], WHITE, 0.35)
        )


def strip(stage: Stage) -> None:
    """A band of sea behind the sand."""
    top = stage.height * 0.5
    for i, colour in enumerate(("#4d9fc4", "#6fb9d2", "#a5d8df")):
        y = top + (stage.horizon - top) * i / 3
        crest = nature.wave_points(0, stage.width, y, 0.004 * i, 0.3, stage.rng.random())
        stage.pen.polygon([*crest, (stage.width, stage.height), (0, stage.height)], stage.tone(colour, 0.4))
    foam = nature.wave_points(0, stage.width, stage.horizon - 0.02, 0.012, 0.7, stage.rng.random())
    stage.pen.polygon([*foam, (stage.width, stage.height), (0, stage.height)], stage.tone(WHITE, 0.3))


def gulls(stage: Stage) -> None:
    """A few birds far off."""
    for _ in range(max(2, int(3 * stage.width))):
        x, y = stage.rng.random() * stage.width, stage.rng.uniform(0.2, 0.7) * stage.horizon
        w = stage.rng.uniform(0.012, 0.022)
        line = [
            (x - w, y - w * 0.35),
            (x - w * 0.4, y - w * 0.5),
            (x, y),
            (x + w * 0.4, y - w * 0.5),
            (x + w, y - w * 0.35),
        ]
        stage.pen.stroke(line, 0.004, mix(stage.sky()[0], rgb("#2b3a55"), 0.6))


def rays(stage: Stage) -> None:
    """Light from the surface."""
    for _ in range(5):
        x, w = stage.rng.random() * stage.width, stage.rng.uniform(0.03, 0.09)
        points = [(x, -0.05), (x + w, -0.05), (x + w * 2.2 - 0.2, stage.height), (x - w - 0.2, stage.height)]
        stage.pen.polygon(points, fade(WHITE, 0.09))


def weeds(stage: Stage) -> None:
    """Waving plants on the sea floor."""
    for _ in range(stage.count(16)):
        x, h = stage.rng.random() * stage.width, stage.rng.uniform(0.08, 0.3)
        colour = rgb(stage.rng.choice(("#2f8f7f", "#27735f", "#d9736b", "#e3a857", "#3f7fa0")))
        bend = stage.rng.uniform(-0.04, 0.04)
        foot = stage.horizon + 0.03
        stage.pen.ribbon(
            [(x, foot), (x + bend, foot - h * 0.4), (x - bend, foot - h * 0.75), (x + bend, foot - h)],
            [0.026, 0.03, 0.022, 0.004],
            colour,
        )


def bubbles(stage: Stage) -> None:
    """Bubbles rising."""
    for _ in range(stage.count(22)):
        x, y = stage.rng.random() * stage.width, stage.rng.random() * stage.horizon
        r = stage.rng.uniform(0.004, 0.014)
        stage.pen.disc(x, y, r, fade(WHITE, 0.32))
        stage.pen.disc(x - r * 0.3, y - r * 0.3, r * 0.3, fade(WHITE, 0.7))


def mesas(stage: Stage) -> None:
    """Table mountains."""
    for _ in range(max(2, int(2 * stage.width))):
        x, w, h = (
            stage.rng.random() * stage.width,
            stage.rng.uniform(0.1, 0.22),
            stage.rng.uniform(0.06, 0.14),
        )
        y = stage.horizon
        points = [
            (x - w, y + 0.02),
            (x - w * 0.72, y - h * 0.4),
            (x - w * 0.6, y - h),
            (x + w * 0.55, y - h),
            (x + w * 0.7, y - h * 0.35),
            (x + w, y + 0.02),
        ]
        stage.pen.soft(points, _haze(stage, "#c47a50", 0.35), 0.08)


def dunes(stage: Stage) -> None:
    """Far dunes."""
    stage.ridge(stage.horizon - 0.02, 0.07, _haze(stage, "#eec07f", 0.35), 0.7)


def cacti(stage: Stage) -> None:
    """Cacti far off."""
    for _ in range(stage.count(4)):
        x, scale = stage.rng.random() * stage.width, stage.rng.uniform(0.06, 0.12)
        y = stage.horizon + stage.rng.uniform(0.03, 0.09)
        colour = _haze(stage, "#4f8a5c", 0.15)
        nature.cactus(stage.pen.at(x, y - scale * 0.5, scale), Skin(colour, colour))


def skyline(stage: Stage) -> None:
    """Three rows of houses with windows, paler with distance."""
    for distance, low_height, high in ((0.7, 0.3, 0.52), (0.45, 0.2, 0.4), (0.12, 0.1, 0.26)):
        x = -0.03
        while x < stage.width:
            w, h = stage.rng.uniform(0.08, 0.16), stage.rng.uniform(low_height, high)
            colour = _haze(stage, stage.rng.choice(("#5f708f", "#7a6f8a", "#8f7a78", "#50687f")), distance)
            stage.pen.box(x, stage.horizon - h, w, h + 0.05, colour)
            if distance < 0.6:
                _windows(stage, x, stage.horizon - h, w, h, colour)
            x += w + (0.0 if distance > 0.2 else stage.rng.choice((0.004, 0.03)))


def _windows(stage: Stage, x: float, y: float, w: float, h: float, wall: RGB) -> None:
    columns = max(2, int(w / 0.032))
    step = w / columns
    dark = mix(wall, WHITE, 0.24)
    for row in range(int((h - 0.02) / 0.04)):
        for column in range(columns):
            lit = stage.rng.random() < (0.6 if stage.time else 0.18)
            colour = rgb("#ffdf8f") if lit else dark
            stage.pen.box(x + (column + 0.28) * step, y + 0.018 + row * 0.04, step * 0.44, 0.019, colour)


def street(stage: Stage) -> None:
    """Pavement and road."""
    y, room = stage.horizon, stage.height - stage.horizon
    stage.pen.box(0, y, stage.width, room, stage.tone("#c9c4bd"))
    stage.pen.box(0, y + room * 0.28, stage.width, room, stage.tone("#6d7280"))
    x = 0.02
    while x < stage.width:
        stage.pen.box(x, y + room * 0.62, 0.09, room * 0.04, stage.tone("#efe6cf", 0.3))
        x += 0.17


def nebula(stage: Stage) -> None:
    """Soft clouds of light."""
    for colour in ("#7a4fb0", "#3f6fc0", "#c05a9a"):
        centre = (
            stage.rng.random() * stage.width * stage.unit,
            stage.rng.random() * stage.height * stage.unit,
        )
        glow(stage.picture, centre, stage.rng.uniform(0.35, 0.6) * stage.unit, rgb(colour), 0.55)


def planets(stage: Stage) -> None:
    """A ringed planet and a small one."""
    corners = [(0.16, 0.2), (0.85, 0.22), (0.14, 0.8)]
    stage.rng.shuffle(corners)
    (x, y), (u, v) = corners[0], corners[1]
    pen = stage.pen.at(x * stage.width, y * stage.height, 0.17, turn=-20)
    pen.oval(0, 0, 0.62, 0.15, rgb("#d9b98f"))
    pen.oval(0, 0, 0.5, 0.1, rgb("#2a2357"))
    pen.disc(0, 0, 0.36, rgb("#e8965a"))
    pen.polygon([(-0.355, -0.05), (0.355, -0.05), (0.34, 0.1), (-0.34, 0.1)], rgb("#d47f4c"))
    pen.polygon(
        [
            (-0.36, 0.0),
            (-0.5, 0.02),
            (-0.3, 0.13),
            (0.3, 0.13),
            (0.5, 0.02),
            (0.36, 0.0),
            (0.2, 0.07),
            (-0.2, 0.07),
        ],
        rgb("#ecd3a8"),
    )
    small = stage.pen.at(u * stage.width, v * stage.height, 0.08)
    small.disc(0, 0, 0.5, rgb("#6fb6c9"))
    small.disc(-0.1, -0.1, 0.36, rgb("#8fcdd9"))


def wall(stage: Stage) -> None:
    """A window's light on the wall."""
    centre = (stage.width * stage.unit * 0.3, stage.horizon * stage.unit * 0.35)
    glow(stage.picture, centre, stage.unit * 0.8, CREAM, 0.8)


def boards(stage: Stage) -> None:
    """The grain of the table top, and its edge."""
    stage.pen.box(0, stage.horizon - 0.004, stage.width, 0.012, rgb("#c99669"))
    room = stage.height - stage.horizon
    for _ in range(stage.count(16)):
        x, y, w = (
            stage.rng.random() * stage.width,
            stage.horizon + room * stage.rng.uniform(0.08, 1),
            stage.rng.uniform(0.08, 0.3),
        )
        stage.pen.stroke([(x - w, y), (x, y + 0.003), (x + w, y)], 0.003, fade(rgb("#6e4527"), 0.22))


def greys(stage: Stage) -> None:
    """Low rain clouds."""
    for _ in range(max(4, int(6 * stage.width))):
        x, y, r = (
            stage.rng.random() * stage.width,
            stage.rng.uniform(-0.02, 0.12),
            stage.rng.uniform(0.1, 0.2),
        )
        stage.pen.oval(x, y, r * 1.6, r * 0.6, mix(stage.sky()[0], rgb("#66788f"), 0.5))


def puddles(stage: Stage) -> None:
    """Puddles on the ground."""
    room = stage.height - stage.horizon
    for _ in range(stage.count(5)):
        x, y, w = (
            stage.rng.random() * stage.width,
            stage.horizon + room * stage.rng.uniform(0.3, 0.95),
            stage.rng.uniform(0.06, 0.15),
        )
        stage.pen.oval(x, y, w, w * 0.2, stage.tone("#a9b9c6"))
        stage.pen.oval(x, y, w * 0.6, w * 0.1, stage.tone("#c3d0da"))


def rain(stage: Stage) -> None:
    """Falling rain."""
    for _ in range(stage.count(130)):
        x, y, h = (
            stage.rng.random() * stage.width * 1.1,
            stage.rng.random() * stage.height,
            stage.rng.uniform(0.02, 0.045),
        )
        stage.pen.polygon([(x, y), (x + 0.0022, y), (x - h * 0.2 + 0.001, y + h)], fade(rgb("#e6f0f7"), 0.75))


def fog(stage: Stage) -> None:
    """Banks of mist."""
    for _ in range(6):
        y = stage.rng.uniform(0.35, 0.9) * stage.height
        x = stage.rng.random() * stage.width
        stage.pen.oval(x, y, stage.rng.uniform(0.5, 0.9), 0.045, fade(mix(stage.sky()[-1], WHITE, 0.4), 0.4))


LAYERS: dict[str, Callable[[Stage], None]] = {
    layer.__name__: layer
    for layer in (
        orb, stars, clouds, hills, ridges, peaks, firs, woods, trees, russet, ground, tufts, leaves, drifts, snowfall, sea,
        strip, gulls, rays, weeds, bubbles, mesas, dunes, cacti, skyline, street, nebula, planets, wall, boards, greys,
        puddles, rain, fog,
    )
} | {"low": hills}  # fmt: skip
