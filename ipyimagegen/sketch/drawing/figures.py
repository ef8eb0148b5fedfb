"""The figures: things and shapes, read from figures.toml and painted in the colours of the prompt."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from random import Random
from typing import Any

from ipyimagegen.sketch.drawing import palette
from ipyimagegen.sketch.drawing.canvas import Pen, Point, trace_arc
from ipyimagegen.sketch.drawing.palette import CREAM, INK, RGB, WHITE, Colour, Skin, luminance, mix, to_rgb
from ipyimagegen.sketch.reading.prompts import Figure, Scene

Numbers = tuple[float, ...]

USUAL = {"heart": "red", "star": "gold", "crescent": "gold"}  # of a single shape without a colour
BRIGHT = palette.to_rgbs("#e4572e #2e86ab #f2b134 #4a9d6f #8e5ea2 #ef8fa3 #3fb8af")  # of several
NO_NAMES: Mapping[str, str] = {}
MEASURED = {"soft", "stroke", "ribbon"}  # operations whose first number is a roundness or widths
LISTED = {"disc", "oval", "box", "eyes", "smile"}  # operations that take lists of numbers, not of points


@dataclass(frozen=True, slots=True)
class DrawingLine:
    """A line of a drawing: an operation, a colour expression, and its numbers in units.

    `spin` is how often it is painted around a point, and from which angle.
    """

    operation: str
    colour: str
    measure: Numbers
    groups: tuple[Any, ...]
    both: bool
    spin: Numbers

    @classmethod
    def from_text(cls, text: str) -> DrawingLine:
        """Return the line as figures.toml explains it."""
        words = text.split()
        spin = _to_numbers(words[1]) if words[0] == "spin" else ()
        words = words[2 if spin else 0 :]
        both = words[0] == "both"
        operation, colour, *rest = words[1 if both else 0 :]
        measure = _to_numbers(rest.pop(0)) if operation in MEASURED else ()
        if operation in LISTED:
            groups: list[Any] = [_to_numbers(word) for word in rest]
        else:
            groups = [[_to_numbers(word) for word in part.split()] for part in " ".join(rest).split(" | ")]
        return cls(operation, colour, measure, tuple(groups), both, spin)

    def pens(self, pen: Pen) -> Iterator[Pen]:
        """Yield the pens that paint the line."""
        if self.spin:
            count, x, y, start = self.spin
            for k in range(round(100 * count)):
                turned = pen.at(x, y, turn=100 * start + 360 * k / (100 * count))
                yield turned.at(-x, -y)
            return
        if self.both:
            yield pen.at(0, 0, flip=True)
        yield pen


def _to_numbers(text: str) -> Numbers:
    return tuple(float(number) / 100 for number in text.split(","))


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing as figures.toml describes it; colours are #rrggbb."""

    main: str
    second: str
    drawing: tuple[DrawingLine, ...]
    where: str = "ground"
    home: str = "field"
    size: float = 1.0
    head: Sequence[float] = ()
    natural: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)


def _to_lines(drawing: str) -> tuple[DrawingLine, ...]:
    return tuple(DrawingLine.from_text(line) for line in drawing.strip().splitlines())


_TABLE = tomllib.loads(files(__package__).joinpath("figures.toml").read_text(encoding="utf-8"))
COLOURS: dict[str, str] = _TABLE["colours"]
THINGS = {
    name: Thing(**{**row, "drawing": _to_lines(row["drawing"])}) for name, row in _TABLE["things"].items()
}
_OUTLINES = {name: _to_lines(drawing) for name, drawing in _TABLE["shapes"].items()}
PLANETS = [(row["size"] / 100, row["turn"], _to_lines(row["drawing"])) for row in _TABLE["planets"].values()]
LETTERS = [(row["width"] / 100, _to_lines(row["drawing"])) for row in _TABLE["letters"].values()]


def paint_thing(pen: Pen, name: str, skin: Skin) -> None:
    """Paint a thing in the unit square around the origin."""
    thing = THINGS[name]
    paint_lines(pen, thing.drawing, skin, thing.named)


def paint_lines(
    pen: Pen, drawing: tuple[DrawingLine, ...], skin: Skin, named: Mapping[str, str] = NO_NAMES
) -> None:
    """Paint a drawing in the unit square around the origin; `named` are its own names of colours."""
    for line in drawing:
        fill = _to_fill(line.colour, skin, named)
        for part in line.pens(pen):
            for group in line.groups:
                _OPERATIONS[line.operation](part, group, line.measure, fill)


def _to_fill(text: str, skin: Skin, named: Mapping[str, str]) -> Any:
    """Return the colour of an expression such as "main+pink*70", "lamp@8" or "#ffffff/main"."""
    usual, _, chosen = text.partition("/")
    text, _, alpha = (chosen if chosen and skin.chosen else usual).partition("@")
    first, *others = text.split("+")
    colour = _find_tone(first, skin, named)
    for other in others:
        name, _, percent = other.partition("*")
        colour = mix(colour, _find_tone(name, skin, named), float(percent) / 100)
    return (*colour, int(alpha)) if alpha else colour


def _find_tone(name: str, skin: Skin, named: Mapping[str, str]) -> RGB:
    if name.startswith("#"):
        return to_rgb(name)
    if name in named:
        colour: RGB = _to_fill(named[name], skin, named)
        return colour
    return to_rgb(COLOURS[name]) if name in COLOURS else skin.tone(name)


def _paint_eyes(pen: Pen, x: float, y: float, gap: float, r: float, *, ink: Colour) -> None:
    """Paint two round eyes with a spark; on a dark face they are amber."""
    for side in (-1, 1):
        if ink != INK:
            pen.oval(x + side * gap, y, r * 1.3, r * 1.5, to_rgb(COLOURS["amber"]))
        pen.oval(x + side * gap, y, r, r * 1.25, INK)
        pen.disc(x + side * gap + r * 0.3, y - r * 0.45, r * 0.36, WHITE)


def _paint_smile(pen: Pen, x: float, y: float, w: float, *, ink: Colour) -> None:
    """Paint a smile under a nose at (x, y), `w` to each side."""
    for side in (-1, 1):
        pen.stroke([(x, y), (x + side * w * 0.5, y + w * 0.32), (x + side * w, y + w * 0.1)], w * 0.16, ink)


# what paints a group of points or numbers; the third argument is the measure
_OPERATIONS: dict[str, Callable[[Pen, Any, Numbers, Any], None]] = {
    "blob": lambda pen, points, _, fill: pen.blob(points, fill),
    "polygon": lambda pen, points, _, fill: pen.polygon(points, fill),
    "soft": lambda pen, points, measure, fill: pen.soft(points, fill, measure[0]),
    "stroke": lambda pen, points, measure, fill: pen.stroke(points, measure[0], fill),
    "ribbon": lambda pen, points, measure, fill: pen.ribbon(points, measure, fill),
    "disc": lambda pen, row, _, fill: pen.disc(row[0], row[1], row[2], fill),
    "oval": lambda pen, row, _, fill: pen.oval(row[0], row[1], row[2], row[3], fill, turn=100 * sum(row[4:])),
    "box": lambda pen, row, _, fill: pen.box(row[0], row[1], row[2], row[3], fill, r=sum(row[4:])),
    "eyes": lambda pen, row, _, fill: _paint_eyes(pen, *row, ink=fill),
    "smile": lambda pen, row, _, fill: _paint_smile(pen, *row, ink=fill),
}


def _paint_heart(pen: Pen, skin: Skin) -> None:
    points: list[Point] = []
    for i in range(64):
        t = 2 * math.pi * i / 64
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 34, -y / 34 - 0.04))
    pen.polygon(points, skin.main)


def _paint_crescent(pen: Pen, skin: Skin) -> None:
    outer = trace_arc(0, 0, 0.46, 0.42 * math.pi, 1.58 * math.pi, steps=40)
    (x0, y0), (x1, y1) = outer[-1], outer[0]
    inner = []
    for i in range(41):
        t = i / 40
        inner.append((x0 + (x1 - x0) * t - 0.19 * math.sin(math.pi * t), y0 + (y1 - y0) * t))
    pen.at(0.16, 0, turn=-18).polygon([*outer, *inner], skin.main)


def _paint_sphere(pen: Pen, skin: Skin) -> None:
    dark = skin.tone("dark")
    pen.disc(0, 0, 0.47, dark)
    for i in range(1, 7):
        pen.disc(-0.012 * i, -0.014 * i, 0.47 - 0.025 * i, mix(dark, skin.main, i / 6))
    for i in range(1, 5):
        pen.oval(-0.15, -0.18, 0.15 - 0.03 * i, 0.12 - 0.025 * i, mix(skin.main, WHITE, 0.14 * i), turn=-40)


_CURVES: dict[str, Callable[[Pen, Skin], None]] = {
    "heart": _paint_heart,
    "ring": lambda pen, skin: pen.ring(0, 0, 0.48, 0.17, skin.main),
    "crescent": _paint_crescent,
    "sphere": _paint_sphere,
}
SHAPES = (*_OUTLINES, *_CURVES)


@dataclass(frozen=True, slots=True)
class Placed:
    """A figure at (x, y), its centre; `index` counts within its kind."""

    figure: Figure
    index: int
    x: float
    y: float
    size: float
    turn: float = 0.0
    flip: bool = False


def paint_figure(pens: Sequence[Pen], scene: Scene, item: Placed, rng: Random) -> None:
    """Paint a placed figure with its shadow and its hat.

    The first pen also cuts out where the background is transparent, the second only paints. `rng` chooses
    the colours of shapes without a colour; it begins alike for all figures of a kind.
    """
    figure = item.figure
    pen = pens[0].at(item.x, item.y, item.size, turn=item.turn, flip=item.flip)
    if figure.name in SHAPES:
        skin = _choose_shape_skin(scene, item, rng)
        if figure.name in _CURVES:
            _CURVES[figure.name](pen, skin)
        else:
            paint_lines(pen, _OUTLINES[figure.name], skin)
        return
    thing = THINGS[figure.name]
    if thing.where == "ground":
        shadow = pens[1].at(item.x, item.y, item.size)
        shadow.oval(0, 0.49, 0.4, 0.05, palette.fade(to_rgb("#2a3050"), 0.2))
    colours = figure.colours
    if len(colours) > 1 and figure.count != 1:
        colours = (colours[item.index % len(colours)],)
    paint_thing(pen, figure.name, choose_skin(figure.name, colours, scene.avoid))
    if figure.wears and thing.head:
        x, y, size = (number / 100 for number in thing.head)
        paint_thing(pen.at(x, y - size * 0.3, size), "hat", choose_skin("hat", figure.wears.colours))


def choose_skin(name: str, colours: tuple[str, ...], avoid: frozenset[str] = frozenset()) -> Skin:
    """Return the skin of a thing in the colours of the prompt; `avoid` are colours that it must not have."""
    thing = THINGS[name]
    second = to_rgb(thing.second)
    if not colours:
        return Skin(_replace_avoided(to_rgb(thing.main), avoid), second)
    natural = thing.natural.get(colours[0])
    main = to_rgb(natural) if natural else palette.find_colour(colours[0])
    bright = luminance(main)
    if len(colours) > 1:
        second = palette.find_colour(colours[1])
    elif abs(bright - luminance(second)) < 28 and not (name == "house" and bright > 225):
        second = mix(main, CREAM, 0.45) if bright < 150 else mix(main, to_rgb("#8a8494"), 0.16)
    return Skin(main, second, chosen=True)


def _replace_avoided(colour: RGB, avoid: frozenset[str]) -> RGB:
    """Return the colour, or another where the prompt excludes it."""
    if palette.find_name(colour) not in avoid:
        return colour
    free = [other for other in BRIGHT if palette.find_name(other) not in avoid]
    return free[0] if free else to_rgb(palette.NAMED["grey"])


def _choose_shape_skin(scene: Scene, item: Placed, rng: Random) -> Skin:
    colours = item.figure.colours
    if colours:
        name = colours[item.index % len(colours)]
        main = palette.find_colour(name)
        if scene.backdrop == name:
            main = mix(main, INK if luminance(main) > 120 else CREAM, 0.35)
        return Skin(main, main, chosen=True)
    usual = USUAL.get(item.figure.name) if item.figure.count == 1 else None
    if usual and usual not in scene.avoid and usual != scene.backdrop:
        return Skin(palette.find_colour(usual), palette.find_colour(usual))
    free = [colour for colour in BRIGHT if palette.find_name(colour) not in {*scene.avoid, scene.backdrop}]
    rng.shuffle(free)
    main = free[item.index % len(free)] if free else to_rgb("#8f949c")
    return Skin(main, main)
