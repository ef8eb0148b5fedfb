"""Layers of the ground: hills, woods, water, sand and streets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing import nature
from ipyimagegen.sketch.drawing.canvas import fade, mix, rgb
from ipyimagegen.sketch.drawing.palette import WHITE, Skin
from ipyimagegen.sketch.drawing.stage import PLACES, Stage

if TYPE_CHECKING:
    from ipyimagegen.sketch.drawing.canvas import RGB


def hills(stage: Stage) -> None:
    """Two lines of hills in the haze."""
    stage.ridge(stage.horizon - 0.05, 0.11, stage.haze(stage.place.ground[1], 0.62), 0.9)
    stage.ridge(stage.horizon - 0.005, 0.07, stage.haze(stage.place.ground[1], 0.36), 1.1)


def ridges(stage: Stage) -> None:
    """Far snowy mountains."""
    for base, height, colour, distance in ((0.1, 0.16, "#8fabc7", 0.45), (0.045, 0.1, "#a9c0d6", 0.3)):
        stage.ridge(stage.horizon - base, height, stage.haze(colour, distance), 1.6)


def peaks(stage: Stage) -> None:
    """Snow-capped mountains along the horizon."""
    for distance, size in ((0.5, 0.42), (0.2, 0.55)):
        x = -0.1
        while x < stage.width + 0.2:
            scale = size * stage.rng.uniform(0.8, 1.25)
            skin = Skin(stage.haze("#66809f", distance), WHITE)
            nature.mountain(stage.pen.at(x, stage.horizon + 0.03 - scale * 0.42, scale), skin)
            x += scale * stage.rng.uniform(0.7, 1.0)


def _row(stage: Stage, y: float, colour: RGB, size: float, gap: float) -> None:
    """Paint a row of firs standing about y."""
    x = -0.05
    while x < stage.width + 0.05:
        scale = size * stage.rng.uniform(0.65, 1.2)
        nature.pine(stage.pen.at(x, y - scale * 0.44, scale), Skin(colour, colour))
        x += gap * stage.rng.uniform(0.5, 1.7)


def firs(stage: Stage) -> None:
    """Two rows of firs at the edge of the snow."""
    _row(stage, stage.horizon + 0.0, stage.haze("#5f8a92", 0.5), 0.16, 0.075)
    _row(stage, stage.horizon + 0.03, stage.haze("#3f6f76", 0.22), 0.24, 0.2)


def woods(stage: Stage) -> None:
    """Three rows of wood, paler with distance, on one bed."""
    stage.pen.box(0, stage.horizon - 0.05, stage.width, 0.12, stage.haze(stage.place.ground[0], 0.3))
    for y, distance, size, gap in (
        (-0.06, 0.72, 0.42, 0.09),
        (-0.02, 0.45, 0.48, 0.15),
        (0.03, 0.15, 0.56, 0.3),
    ):
        _row(stage, stage.horizon + y, stage.haze("#3f7a55", distance), size, gap)


def trees(stage: Stage) -> None:
    """Small trees far off."""
    for _ in range(stage.count(4)):
        x, scale = stage.rng.random() * stage.width, stage.rng.uniform(0.09, 0.16)
        colour = stage.haze(stage.rng.choice(("#5f9e5c", "#4f8f5a", "#7cb061")), 0.22)
        nature.tree(stage.pen.at(x, stage.horizon + 0.02 - scale * 0.45, scale), Skin(colour, colour))


def russet(stage: Stage) -> None:
    """Autumn trees."""
    for _ in range(stage.count(7)):
        x, scale = stage.rng.random() * stage.width, stage.rng.uniform(0.14, 0.3)
        colour = stage.haze(stage.rng.choice(("#d9823b", "#c4572f", "#e3ac3f", "#a8763d")), 0.25)
        nature.tree(stage.pen.at(x, stage.horizon + 0.02 - scale * 0.45, scale), Skin(colour, colour))


def ground(stage: Stage) -> None:
    """Paint the ground in three swells, nearer ones darker or brighter."""
    room = stage.height - stage.horizon
    for i, colour in enumerate(stage.place.ground):
        flat = stage.place is PLACES["table"]
        height = 0 if flat else 0.025 + 0.015 * i
        base = stage.horizon + room * (0.0, 0.34, 0.72)[i] + (0 if flat else 0.01)
        stage.ridge(base, height, stage.tone(colour), 0.8)


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
            0, stage.width, y, 0.003 + 0.008 * t if i else 0.0, 0.12 + 0.16 * t, phase=stage.rng.random()
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
    """Paint a band of sea behind the sand."""
    top = stage.height * 0.5
    for i, colour in enumerate(("#4d9fc4", "#6fb9d2", "#a5d8df")):
        y = top + (stage.horizon - top) * i / 3
        crest = nature.wave_points(0, stage.width, y, 0.004 * i, 0.3, phase=stage.rng.random())
        stage.pen.polygon([*crest, (stage.width, stage.height), (0, stage.height)], stage.tone(colour, 0.4))
    foam = nature.wave_points(0, stage.width, stage.horizon - 0.02, 0.012, 0.7, phase=stage.rng.random())
    stage.pen.polygon([*foam, (stage.width, stage.height), (0, stage.height)], stage.tone(WHITE, 0.3))


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
        stage.pen.soft(points, stage.haze("#c47a50", 0.35), 0.08)


def dunes(stage: Stage) -> None:
    """Far dunes."""
    stage.ridge(stage.horizon - 0.02, 0.07, stage.haze("#eec07f", 0.35), 0.7)


def cacti(stage: Stage) -> None:
    """Cacti far off."""
    for _ in range(stage.count(4)):
        x, scale = stage.rng.random() * stage.width, stage.rng.uniform(0.06, 0.12)
        y = stage.horizon + stage.rng.uniform(0.03, 0.09)
        colour = stage.haze("#4f8a5c", 0.15)
        nature.cactus(stage.pen.at(x, y - scale * 0.5, scale), Skin(colour, colour))


def skyline(stage: Stage) -> None:
    """Three rows of houses with windows, paler with distance."""
    for distance, low_height, high in ((0.7, 0.3, 0.52), (0.45, 0.2, 0.4), (0.12, 0.1, 0.26)):
        x = -0.03
        while x < stage.width:
            w, h = stage.rng.uniform(0.08, 0.16), stage.rng.uniform(low_height, high)
            colour = stage.haze(stage.rng.choice(("#5f708f", "#7a6f8a", "#8f7a78", "#50687f")), distance)
            stage.pen.box(x, stage.horizon - h, w, h + 0.05, colour)
            if distance < 0.6:
                _windows(stage, x, stage.horizon - h, w, h, wall=colour)
            x += w + (0.0 if distance > 0.2 else stage.rng.choice((0.004, 0.03)))


def _windows(stage: Stage, x: float, y: float, w: float, h: float, *, wall: RGB) -> None:
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


def boards(stage: Stage) -> None:
    """Paint the grain of the table top, and its edge."""
    stage.pen.box(0, stage.horizon - 0.004, stage.width, 0.012, rgb("#c99669"))
    room = stage.height - stage.horizon
    for _ in range(stage.count(16)):
        x, y, w = (
            stage.rng.random() * stage.width,
            stage.horizon + room * stage.rng.uniform(0.08, 1),
            stage.rng.uniform(0.08, 0.3),
        )
        stage.pen.stroke([(x - w, y), (x, y + 0.003), (x + w, y)], 0.003, fade(rgb("#6e4527"), 0.22))


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
