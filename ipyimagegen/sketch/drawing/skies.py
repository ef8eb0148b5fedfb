"""Layers of the air: sun, clouds, stars, weather, and what hangs or flies there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing.canvas import fade, glow, mix, rgb
from ipyimagegen.sketch.drawing.palette import CREAM, WHITE
from ipyimagegen.sketch.drawing.stage import Stage

if TYPE_CHECKING:
    pass


def orb(stage: Stage) -> None:
    """Paint the sun, or the moon with stars."""
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
    """Paint a few clouds."""
    colour = stage.tone(WHITE, 0.35) if stage.time else rgb("#ffffff")
    for _ in range(max(2, int(2.5 * stage.width))):
        x, y = stage.rng.random() * stage.width, stage.rng.uniform(0.1, 0.62) * stage.horizon
        size = stage.rng.uniform(0.14, 0.3)
        tone = mix(colour, stage.sky()[1], stage.rng.uniform(0.25, 0.55))
        for dx, dy, r in ((-0.3, 0.05, 0.14), (-0.1, -0.04, 0.2), (0.13, -0.01, 0.17), (0.3, 0.06, 0.12)):
            stage.pen.disc(x + dx * size, y + dy * size, r * size, tone)
        stage.pen.box(x - 0.44 * size, y + 0.03 * size, 0.87 * size, 0.16 * size, tone, r=0.08 * size)


def gulls(stage: Stage) -> None:
    """Paint a few birds far off."""
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


def bubbles(stage: Stage) -> None:
    """Bubbles rising."""
    for _ in range(stage.count(22)):
        x, y = stage.rng.random() * stage.width, stage.rng.random() * stage.horizon
        r = stage.rng.uniform(0.004, 0.014)
        stage.pen.disc(x, y, r, fade(WHITE, 0.32))
        stage.pen.disc(x - r * 0.3, y - r * 0.3, r * 0.3, fade(WHITE, 0.7))


def nebula(stage: Stage) -> None:
    """Soft clouds of light."""
    for colour in ("#7a4fb0", "#3f6fc0", "#c05a9a"):
        centre = (
            stage.rng.random() * stage.width * stage.unit,
            stage.rng.random() * stage.height * stage.unit,
        )
        glow(stage.picture, centre, stage.rng.uniform(0.35, 0.6) * stage.unit, rgb(colour), 0.55)


def planets(stage: Stage) -> None:
    """Paint a ringed planet and a small one."""
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
    """Paint a window's light on the wall."""
    centre = (stage.width * stage.unit * 0.3, stage.horizon * stage.unit * 0.35)
    glow(stage.picture, centre, stage.unit * 0.8, CREAM, 0.8)


def greys(stage: Stage) -> None:
    """Low rain clouds."""
    for _ in range(max(4, int(6 * stage.width))):
        x, y, r = (
            stage.rng.random() * stage.width,
            stage.rng.uniform(-0.02, 0.12),
            stage.rng.uniform(0.1, 0.2),
        )
        stage.pen.oval(x, y, r * 1.6, r * 0.6, mix(stage.sky()[0], rgb("#66788f"), 0.5))


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


def snowfall(stage: Stage) -> None:
    """Falling snow."""
    for _ in range(stage.count(80)):
        x, y = stage.rng.random() * stage.width, stage.rng.random() * stage.height
        stage.pen.disc(x, y, stage.rng.uniform(0.002, 0.0062), WHITE)
