"""Landscapes: the table of places, and the layers of air and ground that they are painted with."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from random import Random
from typing import Any

from PIL import Image

from ipyimagegen.sketch.drawing import palette
from ipyimagegen.sketch.drawing.canvas import Pen, Point, add_glow, make_gradient
from ipyimagegen.sketch.drawing.figures import PLANETS, paint_lines, paint_thing
from ipyimagegen.sketch.drawing.palette import CREAM, RGB, WHITE, Skin, fade, mix, mix_along, to_rgb

Row = Sequence[Any]  # of a layer that places.toml describes


@dataclass(frozen=True, slots=True)
class Place:
    """A row of places.toml: sky from top to horizon, ground from far to near, and the names of its layers.

    `horizon` is a share of the height; `fixed_sky` means that the sky is the same at any hour.
    """

    sky: Sequence[str]
    ground: Sequence[str]
    layers: Sequence[str]
    horizon: float = 0.62
    fixed_sky: bool = False


_TABLE = tomllib.loads(files(__package__).joinpath("places.toml").read_text(encoding="utf-8"))
PLACES = {name: Place(**row) for name, row in _TABLE["places"].items()}
SKIES: dict[str, list[str]] = _TABLE["skies"]
NIGHT = to_rgb("#16224a")
DUSK = to_rgb("#b4553f")


class Landscape:
    """Where layers paint: the image at drawing size, its pen, the place and the time, and extents in units.

    A unit is the short edge, `scale` its pixels; `horizon` is a y, `depth` the height of the ground.
    """

    def __init__(
        self, image: Image.Image, rng: Random, place: Place, time: str, detail: float, *, moon: bool = True
    ) -> None:
        self.image, self.rng, self.place, self.time = image, rng, place, time
        self.detail, self.moon = detail, moon
        self.scale = min(image.size)
        self.width, self.height = image.width / self.scale, image.height / self.scale
        self.horizon = self.height * place.horizon
        self.depth = self.height - self.horizon
        self.pen = Pen.on(image, self.scale)
        self.sky = palette.to_rgbs(" ".join(place.sky if place.fixed_sky else SKIES.get(time, place.sky)))

    def tone(self, colour: RGB | str, share: float = 0.5) -> RGB:
        """Return the colour in the light of the hour."""
        colour = to_rgb(colour) if isinstance(colour, str) else colour
        if self.time == "night":
            return mix(colour, NIGHT, min(share * 1.25, 0.8))
        return mix(colour, DUSK, share * 0.55) if self.time == "sunset" else colour

    def haze(self, colour: RGB | str, distance: float) -> RGB:
        """Return the colour as it looks from afar, 0..1."""
        return mix(self.tone(colour), self.sky[-1], distance)

    def count(self, usual: float) -> int:
        """Return how many of a detail to draw, by quality and width."""
        return max(1, int(usual * self.detail * max(1.0, self.width) + 0.5))

    def spread(self, count: int) -> Iterator[float]:
        """Yield random x positions."""
        for _ in range(count):
            yield self.rng.random() * self.width

    def choose(self, colours: str) -> RGB:
        """Return a random colour of "#rrggbb #rrggbb ..."."""
        return to_rgb(self.rng.choice(colours.split()))

    def fill_below(self, crest: list[Point], fill: RGB) -> None:
        """Fill everything below a line that runs from the left to the right edge."""
        self.pen.polygon([*crest, (self.width, self.height + 0.1), (0, self.height + 0.1)], fill)

    def paint_ridge(self, base: float, height: float, fill: RGB, rough: float = 1.0) -> None:
        """Fill a rolling line of hills down to the lower edge."""
        waves = [(self.rng.uniform(0.7, 1.3) * k * rough, self.rng.random(), 1 / k) for k in (1, 2.3, 4.1)]
        crest: list[Point] = []
        for i in range(61):
            x = self.width * i / 60
            swell = sum(a * math.sin(2 * math.pi * (x * f * 0.8 + p)) for f, p, a in waves)
            crest.append((x, base - height * swell / 2))
        self.fill_below(crest, fill)

    def trace_waves(self, y: float, height: float, length: float) -> list[Point]:
        """Return the crest line of a regular sea."""
        phase, steps = self.rng.random(), max(int(self.width / length * 10), 8)
        xs = [self.width * i / steps for i in range(steps + 1)]
        return [(x, y + height * math.sin(2 * math.pi * (x / length + phase))) for x in xs]

    def plant(self, name: str, x: float, foot: float, size: float, colour: RGB) -> None:
        """Paint a far thing in a single colour."""
        paint_thing(self.pen.at(x, foot, size), name, Skin(colour, colour))


def paint_landscape(land: Landscape) -> None:
    """Paint the place, far to near, without its foreground."""
    land.image.paste(make_gradient(land.image.size, land.sky))
    for name in land.place.layers:
        LAYERS[name](land)


def _paint_sun(land: Landscape) -> None:
    if land.time == "night":
        _paint_stars(land)
    if not land.moon:
        return
    x = land.width * land.rng.choice((0.2, 0.78, 0.84))
    low, r, colour = {
        "sunset": (0.82, 0.1, to_rgb("#ffe9b0")),
        "night": (0.32, 0.065, to_rgb("#f7efcf")),
    }.get(land.time, (0.36, 0.06, to_rgb("#fff6dd")))
    y = land.horizon * low
    add_glow(land.image, (x * land.scale, y * land.scale), r * land.scale * 5, colour, 0.7)
    land.pen.disc(x, y, r, colour)


def _paint_stars(land: Landscape) -> None:
    for x in land.spread(land.count(90)):
        y = land.rng.random() ** 1.3 * land.horizon
        r = land.rng.choice((0.0014, 0.0018, 0.0026, 0.0036))
        land.pen.disc(x, y, r, land.choose("#ffffff #fdf1cf #cfdcff"))


def _paint_clouds(land: Landscape) -> None:
    colour = land.tone(WHITE, 0.35)
    for x in land.spread(max(2, int(2.5 * land.width))):
        y, size = land.rng.uniform(0.1, 0.62) * land.horizon, land.rng.uniform(0.14, 0.3)
        tone = mix(colour, land.sky[1], land.rng.uniform(0.25, 0.55))
        for dx, dy, r in ((-0.3, 0.05, 0.14), (-0.1, -0.04, 0.2), (0.13, -0.01, 0.17), (0.3, 0.06, 0.12)):
            land.pen.disc(x + dx * size, y + dy * size, r * size, tone)
        land.pen.box(x - 0.44 * size, y + 0.03 * size, 0.87 * size, 0.16 * size, tone, r=0.08 * size)


def _paint_gulls(land: Landscape) -> None:
    for x in land.spread(max(2, int(3 * land.width))):
        y, w = land.rng.uniform(0.2, 0.7) * land.horizon, land.rng.uniform(0.012, 0.022)
        wings = (-1, -0.35), (-0.4, -0.5), (0, 0), (0.4, -0.5), (1, -0.35)
        line = [(x + dx * w, y + dy * w) for dx, dy in wings]
        land.pen.stroke(line, 0.004, mix(land.sky[0], to_rgb("#2b3a55"), 0.6))


def _paint_rays(land: Landscape) -> None:
    for x in land.spread(5):
        w = land.rng.uniform(0.03, 0.09)
        points = [(x, -0.05), (x + w, -0.05), (x + w * 2.2 - 0.2, land.height), (x - w - 0.2, land.height)]
        land.pen.polygon(points, fade(WHITE, 0.09))


def _paint_bubbles(land: Landscape) -> None:
    for x in land.spread(land.count(22)):
        y, r = land.rng.random() * land.horizon, land.rng.uniform(0.004, 0.014)
        land.pen.disc(x, y, r, fade(WHITE, 0.32))
        land.pen.disc(x - r * 0.3, y - r * 0.3, r * 0.3, fade(WHITE, 0.7))


def _paint_nebula(land: Landscape) -> None:
    for colour in ("#7a4fb0", "#3f6fc0", "#c05a9a"):
        centre = land.rng.random() * land.image.width, land.rng.random() * land.image.height
        add_glow(land.image, centre, land.rng.uniform(0.35, 0.6) * land.scale, to_rgb(colour), 0.55)


def _paint_planets(land: Landscape) -> None:
    corners = [(0.16, 0.2), (0.85, 0.22), (0.14, 0.8)]
    land.rng.shuffle(corners)
    for (x, y), (size, turn, planet) in zip(corners[:2], PLANETS, strict=True):
        paint_lines(land.pen.at(x * land.width, y * land.height, size, turn=turn), planet, Skin(WHITE, WHITE))


def _paint_window_light(land: Landscape) -> None:
    centre = (land.image.width * 0.3, land.horizon * land.scale * 0.35)
    add_glow(land.image, centre, land.scale * 0.8, CREAM, 0.8)


def _paint_rain_clouds(land: Landscape) -> None:
    for x in land.spread(max(4, int(6 * land.width))):
        y, r = land.rng.uniform(-0.02, 0.12), land.rng.uniform(0.1, 0.2)
        land.pen.oval(x, y, r * 1.6, r * 0.6, mix(land.sky[0], to_rgb("#66788f"), 0.5))


def _paint_rain(land: Landscape) -> None:
    for x0 in land.spread(land.count(130)):
        x, y, h = x0 * 1.1, land.rng.random() * land.height, land.rng.uniform(0.02, 0.045)
        drop = [(x, y), (x + 0.0022, y), (x - h * 0.2 + 0.001, y + h)]
        land.pen.polygon(drop, fade(to_rgb("#e6f0f7"), 0.75))


def _paint_fog(land: Landscape) -> None:
    for _ in range(6):
        y, x = land.rng.uniform(0.35, 0.9) * land.height, land.rng.random() * land.width
        land.pen.oval(x, y, land.rng.uniform(0.5, 0.9), 0.045, fade(mix(land.sky[-1], WHITE, 0.4), 0.4))


def _paint_snowfall(land: Landscape) -> None:
    for x in land.spread(land.count(80)):
        y = land.rng.random() * land.height
        land.pen.disc(x, y, land.rng.uniform(0.002, 0.0062), WHITE)


def _paint_peaks(land: Landscape) -> None:
    for distance, size in ((0.5, 0.42), (0.2, 0.55)):
        x = -0.1
        while x < land.width + 0.2:
            scale = size * land.rng.uniform(0.8, 1.25)
            foot = land.horizon + 0.03 - scale * 0.42
            land.plant("mountain", x, foot, scale, land.haze("#66809f", distance))
            x += scale * land.rng.uniform(0.7, 1.0)


def _paint_undergrowth(land: Landscape) -> None:
    land.pen.box(0, land.horizon - 0.05, land.width, 0.12, land.haze(land.place.ground[0], 0.3))


def _add_ridge(land: Landscape, row: Row) -> None:
    base, height, colour, distance, rough = row
    land.paint_ridge(land.horizon - base, height, land.haze(colour or land.place.ground[1], distance), rough)


def _plant_pines(land: Landscape, row: Row) -> None:
    y, colour, distance, size, gap = row
    x = -0.05
    while x < land.width + 0.05:
        scale = size * land.rng.uniform(0.65, 1.2)
        land.plant("pine", x, land.horizon + y - scale * 0.44, scale, land.haze(colour, distance))
        x += gap * land.rng.uniform(0.5, 1.7)


def _plant_trees(land: Landscape, row: Row) -> None:
    count, least, most, colours, distance = row
    for x in land.spread(land.count(count)):
        size = land.rng.uniform(least, most)
        foot = land.horizon + 0.02 - size * 0.45
        land.plant("tree", x, foot, size, land.haze(land.choose(colours), distance))


def _add_rows(land: Landscape, paint: Callable[[Landscape, Row], None], rows: Sequence[Row]) -> None:
    for row in rows:
        paint(land, row)


def _paint_ground(land: Landscape) -> None:
    """Paint the ground in three swells, level on a table."""
    level = land.place is PLACES["table"]
    for i, colour in enumerate(land.place.ground):
        height = 0 if level else 0.025 + 0.015 * i
        base = land.horizon + land.depth * (0.0, 0.34, 0.72)[i] + (0 if level else 0.01)
        land.paint_ridge(base, height, land.tone(colour), 0.8)


def _paint_grass(land: Landscape) -> None:
    for _ in range(land.count(34)):
        depth = land.rng.random()
        x, y = land.rng.random() * land.width, land.horizon + land.depth * (0.12 + 0.88 * depth)
        size = 0.018 + 0.03 * depth
        share = 0.25 + 0.3 * land.rng.random()
        blade = land.tone(mix(to_rgb(land.place.ground[2]), to_rgb("#2f6b45"), share))
        for lean in (-0.5, 0.0, 0.5):
            land.pen.polygon([(x - size * 0.1, y), (x + size * 0.1, y), (x + size * lean, y - size)], blade)
        if land.rng.random() < 0.3:
            colour = land.tone(land.choose("#fff6e0 #f7cf5a #f0a0b4 #c9a7e0"), 0.3)
            land.pen.disc(x + size * 0.5, y - size, size * 0.2, colour)


def _paint_leaves(land: Landscape) -> None:
    for _ in range(land.count(46)):
        y = land.height * (1 - 0.62 * land.rng.random() ** 1.6)
        colour, turn = land.tone(land.choose("#c4572f #e3ac3f #d9823b #8f4a2c")), land.rng.uniform(0, 180)
        land.pen.oval(land.rng.random() * land.width, y, 0.011, 0.006, colour, turn=turn)


def _paint_drifts(land: Landscape) -> None:
    for x in land.spread(land.count(9)):
        y, w = land.horizon + land.depth * land.rng.uniform(0.1, 0.95), land.rng.uniform(0.05, 0.16)
        drift = [(x - w, y), (x, y - 0.006), (x + w, y), (x, y + 0.008)]
        land.pen.blob(drift, fade(land.tone("#c9d9ea"), 0.55))


def _paint_sea(land: Landscape) -> None:
    colours = [land.tone(c, 0.4) for c in land.place.ground]
    for i in range(7):
        t = i / 6
        y = land.horizon + land.depth * t**1.35 * 0.86
        crest = land.trace_waves(y, 0.003 + 0.008 * t if i else 0.0, 0.12 + 0.16 * t)
        land.fill_below(crest, mix_along(colours, t))
    for _ in range(land.count(22)):
        depth = land.rng.random()
        x, y = land.rng.random() * land.width, land.horizon + land.depth * (0.03 + 0.92 * depth)
        w = 0.02 + 0.05 * depth
        line = [(x - w, y), (x, y - 0.003), (x + w, y)]
        land.pen.stroke(line, 0.003 + 0.003 * depth, mix(colours[0], WHITE, 0.35))


def _paint_shore(land: Landscape) -> None:
    top = land.height * 0.5
    for i, colour in enumerate(("#4d9fc4", "#6fb9d2", "#a5d8df")):
        y = top + (land.horizon - top) * i / 3
        land.fill_below(land.trace_waves(y, 0.004 * i, 0.3), land.tone(colour, 0.4))
    land.fill_below(land.trace_waves(land.horizon - 0.02, 0.012, 0.7), land.tone(WHITE, 0.3))


def _paint_weeds(land: Landscape) -> None:
    for x in land.spread(land.count(16)):
        h = land.rng.uniform(0.08, 0.3)
        colour = land.choose("#2f8f7f #27735f #d9736b #e3a857 #3f7fa0")
        bend, foot = land.rng.uniform(-0.04, 0.04), land.horizon + 0.03
        line = [(x, foot), (x + bend, foot - h * 0.4), (x - bend, foot - h * 0.75), (x + bend, foot - h)]
        land.pen.ribbon(line, [0.026, 0.03, 0.022, 0.004], colour)


def _paint_mesas(land: Landscape) -> None:
    for x in land.spread(max(2, int(2 * land.width))):
        w, h = land.rng.uniform(0.1, 0.22), land.rng.uniform(0.06, 0.14)
        slopes = (-0.72, 0.4), (-0.6, 1), (0.55, 1), (0.7, 0.35)
        top = [(x + dx * w, land.horizon - dy * h) for dx, dy in slopes]
        points = [(x - w, land.horizon + 0.02), *top, (x + w, land.horizon + 0.02)]
        land.pen.soft(points, land.haze("#c47a50", 0.35), 0.08)


def _paint_cacti(land: Landscape) -> None:
    for x in land.spread(land.count(4)):
        size = land.rng.uniform(0.06, 0.12)
        y = land.horizon + land.rng.uniform(0.03, 0.09)
        land.plant("cactus", x, y - size * 0.5, size, land.haze("#4f8a5c", 0.15))


def _paint_skyline(land: Landscape) -> None:
    for distance, least, most in ((0.7, 0.3, 0.52), (0.45, 0.2, 0.4), (0.12, 0.1, 0.26)):
        x = -0.03
        while x < land.width:
            w, h = land.rng.uniform(0.08, 0.16), land.rng.uniform(least, most)
            colour = land.haze(land.choose("#5f708f #7a6f8a #8f7a78 #50687f"), distance)
            land.pen.box(x, land.horizon - h, w, h + 0.05, colour)
            if distance < 0.6:
                _add_windows(land, x, land.horizon - h, w, h, wall=colour)
            x += w + (0.0 if distance > 0.2 else land.rng.choice((0.004, 0.03)))


def _add_windows(land: Landscape, x: float, y: float, w: float, h: float, *, wall: RGB) -> None:
    columns = max(2, int(w / 0.032))
    step = w / columns
    for row in range(int((h - 0.02) / 0.04)):
        for column in range(columns):
            lit = land.rng.random() < (0.6 if land.time else 0.18)
            colour = to_rgb("#ffdf8f") if lit else mix(wall, WHITE, 0.24)
            land.pen.box(x + (column + 0.28) * step, y + 0.018 + row * 0.04, step * 0.44, 0.019, colour)


def _paint_street(land: Landscape) -> None:
    x, y, depth = 0.02, land.horizon, land.depth
    land.pen.box(0, y, land.width, depth, land.tone("#c9c4bd"))
    land.pen.box(0, y + depth * 0.28, land.width, depth, land.tone("#6d7280"))
    while x < land.width:
        land.pen.box(x, y + depth * 0.62, 0.09, depth * 0.04, land.tone("#efe6cf", 0.3))
        x += 0.17


def _paint_boards(land: Landscape) -> None:
    land.pen.box(0, land.horizon - 0.004, land.width, 0.012, to_rgb("#c99669"))
    for x in land.spread(land.count(16)):
        y, w = land.horizon + land.depth * land.rng.uniform(0.08, 1), land.rng.uniform(0.08, 0.3)
        land.pen.stroke([(x - w, y), (x, y + 0.003), (x + w, y)], 0.003, fade(to_rgb("#6e4527"), 0.22))


def _paint_puddles(land: Landscape) -> None:
    for x in land.spread(land.count(5)):
        y, w = land.horizon + land.depth * land.rng.uniform(0.3, 0.95), land.rng.uniform(0.06, 0.15)
        land.pen.oval(x, y, w, w * 0.2, land.tone("#a9b9c6"))
        land.pen.oval(x, y, w * 0.6, w * 0.1, land.tone("#c3d0da"))


# every function above whose name begins with _paint_, by the rest of its name; and those of rows
LAYERS: dict[str, Callable[[Landscape], None]] = {
    name.removeprefix("_paint_"): value for name, value in globals().items() if name.startswith("_paint_")
} | {
    name: partial(_add_rows, paint=paint, rows=rows)
    for kind, paint in {"ridges": _add_ridge, "pines": _plant_pines, "trees": _plant_trees}.items()
    for name, rows in _TABLE["rows"][kind].items()
}
