"""The table of things: who paints each, in which colours, where it stands and where it lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipyimagegen.sketch.drawing import animals, nature, objects, wings_and_fins
from ipyimagegen.sketch.drawing.canvas import luminance, mix, rgb
from ipyimagegen.sketch.drawing.palette import CREAM, WHITE, Skin, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipyimagegen.sketch.drawing.canvas import RGB, Pen


@dataclass(frozen=True, slots=True)
class Thing:
    """One row; `where` is ground, water, air (flies), sky (hangs high) or horizon (stands far off).

    `size` is relative to an animal, `home` the place that is drawn when none is said, `head` where
    a hat goes (x, y, width).
    """

    paint: Callable[[Pen, Skin], None]
    main: str
    second: str
    where: str = "ground"
    home: str = "field"
    size: float = 1.0
    head: tuple[float, float, float] | None = None


THINGS: dict[str, Thing] = {
    "fox": Thing(animals.fox, "#d9622b", "#fff8ec", home="autumn", head=(-0.03, -0.31, 0.3)),
    "cat": Thing(animals.cat, "#e39b4b", "#fff3df", head=(0, -0.31, 0.34)),
    "dog": Thing(animals.dog, "#c98f57", "#fbeedb", head=(0, -0.4, 0.34)),
    "rabbit": Thing(animals.rabbit, "#b9a08a", "#f7efe4", size=0.92, head=(0, -0.2, 0.26)),
    "bear": Thing(animals.bear, "#8b5e3c", "#e6c8a0", home="forest", size=1.08, head=(0, -0.42, 0.34)),
    "panda": Thing(animals.panda, "#33323c", "#fff8ec", home="forest", size=1.05, head=(0, -0.42, 0.34)),
    "bird": Thing(wings_and_fins.bird, "#3f86c8", "#f7cfa0", size=0.8, head=(-0.15, -0.33, 0.22)),
    "owl": Thing(wings_and_fins.owl, "#8d6748", "#f0dcb8", home="night", size=0.9, head=(0, -0.36, 0.3)),
    "duck": Thing(wings_and_fins.duck, "#f7cf4a", "#f2a13a", size=0.8, head=(-0.17, -0.37, 0.24)),
    "penguin": Thing(wings_and_fins.penguin, "#2f3a52", "#fff8ec", home="snow", head=(0, -0.42, 0.28)),
    "fish": Thing(wings_and_fins.fish, "#f28a3c", "#fff3df", "air", "underwater", 0.8),
    "whale": Thing(wings_and_fins.whale, "#3c6fa3", "#d7e6ee", "water", "sea", 1.25),
    "elephant": Thing(animals.elephant, "#8e9bae", "#c8d0da", size=1.2, head=(-0.24, -0.34, 0.24)),
    "butterfly": Thing(wings_and_fins.butterfly, "#ef8a3c", "#f7c558", "air", size=0.62),
    "person": Thing(objects.person, "#e2a63b", "#3e5c86", head=(0, -0.42, 0.34)),
    "robot": Thing(objects.robot, "#5f93ad", "#e4574c", home="city", head=(0, -0.38, 0.36)),
    "snowman": Thing(objects.snowman, "#f7fafd", "#d8453e", home="snow", size=1.05),
    "house": Thing(objects.house, "#f0dcb5", "#c2553f", size=1.35),
    "lighthouse": Thing(objects.lighthouse, "#cf443c", "#fff8ec", home="beach", size=1.65),
    "tree": Thing(nature.tree, "#5aa457", "#7a5238", size=1.4),
    "pine": Thing(nature.pine, "#2f7a5a", "#7a5238", size=1.45),
    "cactus": Thing(nature.cactus, "#4f9a63", "#ef6f9a", home="desert", size=1.2),
    "flower": Thing(nature.flower, "#ea6a8a", "#f7c84b", size=0.85),
    "mushroom": Thing(nature.mushroom, "#d2413a", "#fff8ec", home="forest", size=0.85),
    "car": Thing(objects.car, "#3f8fc4", "#e4574c", home="city", size=1.15),
    "boat": Thing(objects.boat, "#fbf3e2", "#a8503c", "water", "sea", 1.2),
    "rocket": Thing(objects.rocket, "#f2efe8", "#dc4b3e", "air", "space", 1.2),
    "balloon": Thing(objects.balloon, "#e5484d", "#ffffff", "air", "sky", 0.9),
    "sun": Thing(nature.sun, "#f7b733", "#ffd873", "sky", "field", 0.7),
    "moon": Thing(nature.moon, "#efe2b4", "#fdf6dc", "sky", "night", 0.55),
    "cloud": Thing(nature.cloud, "#ffffff", "#dfe9f5", "sky", "sky", 0.75),
    "mountain": Thing(nature.mountain, "#7286a3", "#ffffff", "horizon", "field", 1.5),
    "apple": Thing(objects.apple, "#d6392f", "#4f9d4a", home="table", size=0.85),
    "cup": Thing(objects.cup, "#e8734a", "#fff8ec", home="table"),
    "hat": Thing(objects.hat, "#4a5a86", "#e4574c", home="table"),
    "cake": Thing(objects.cake, "#f39ab4", "#fff8ec", home="table", size=1.1),
    "book": Thing(objects.book, "#3f6fae", "#e4574c", home="table", size=1.1),
    "umbrella": Thing(objects.umbrella, "#dd4a48", "#fbf0dc", home="rain"),
}

# an animal asked for in a colour name keeps its natural hue of that name
NATURAL: dict[tuple[str, str], str] = {
    ("fox", "red"): "#d4532a", ("fox", "orange"): "#e3782f", ("cat", "orange"): "#e8923a",
    ("dog", "gold"): "#d9a352", ("rabbit", "brown"): "#a5805f", ("bear", "brown"): "#8b5e3c",
}  # fmt: skip


def skin(name: str, colours: tuple[str, ...], spare: RGB | None = None) -> Skin:
    """Return the skin of a thing in the colours asked for; `spare` replaces an unwanted own colour."""
    row = THINGS[name]
    own, second = rgb(row.main), rgb(row.second)
    if not colours:
        return Skin(spare or own, second)
    main = rgb(NATURAL[name, colours[0]]) if (name, colours[0]) in NATURAL else named(colours[0])
    if len(colours) > 1:
        second = named(colours[1])
    elif abs(luminance(main) - luminance(second)) < 28:
        second = mix(
            main, CREAM if luminance(main) < 150 else rgb("#8a8494"), 0.45 if luminance(main) < 150 else 0.16
        )
    if name == "house" and luminance(main) > 225 and len(colours) < 2:
        second = rgb(row.second)
    return Skin(main, second if name != "moon" else mix(main, WHITE, 0.4), said=True)
