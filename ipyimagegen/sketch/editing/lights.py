"""Another hour, weather or season over a finished picture. Each takes and returns a `View`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from ipyimagegen.sketch.drawing import grounds, nature, skies
from ipyimagegen.sketch.drawing.canvas import Pen, fade, glow, gradient, rgb
from ipyimagegen.sketch.drawing.palette import WHITE, Skin
from ipyimagegen.sketch.drawing.paper import clouds
from ipyimagegen.sketch.drawing.stage import PLACES, Stage
from ipyimagegen.sketch.editing.hues import levels
from ipyimagegen.sketch.editing.sight import Box, Sight

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


@dataclass(frozen=True, slots=True)
class View:
    """The picture (RGB) with what lights need to know.

    `bare` keeps moon and sun out, for they are drawn otherwise; without `sky` nothing stands in it.
    """

    image: Image.Image
    sight: Sight
    rng: Random
    detail: float
    bare: bool = False
    sky: bool = True


def _painted(view: View, place: str, *painters: Callable[[Stage], None], time: str = "") -> View:
    """Return the view with layers of a landscape painted over it, smooth; other pixels stay exactly."""
    sharp = 2 if view.image.width * view.image.height <= 4_500_000 else 1
    large = view.image.resize((view.image.width * sharp, view.image.height * sharp), Image.Resampling.NEAREST)
    unit = min(large.size)
    stage = Stage(
        large, Pen.on(large, unit), large.width / unit, large.height / unit,
        view.rng, PLACES[place], time, view.detail, unit,
    )  # fmt: skip
    for paint in painters:
        paint(stage)
    return replace(view, image=large.reduce(sharp) if sharp > 1 else large)


def _calm(view: View, size: float, bottom: float) -> tuple[float, float]:
    """Return the calmest place (its centre) for something of that size above `bottom`, a share."""
    width, height = view.sight.columns / view.sight.unit, view.sight.rows / view.sight.unit
    places = [
        (x * width, size * 0.7 + y * max(height * bottom - size * 1.4, 0.0))
        for x in (0.16, 0.3, 0.5, 0.7, 0.84)
        for y in (0.0, 0.5, 1.0)
    ]
    view.rng.shuffle(places)
    return min(
        places,
        key=lambda p: view.sight.busy(Box(p[0] - size / 2, p[1] - size / 2, size, size)) + 40 * p[1] / height,
    )


def _sky(view: View) -> Image.Image:
    """Return (L) where stars may stand: high up, and calm before the light changed."""
    size = view.image.size
    edges = (
        view.image.filter(ImageFilter.FIND_EDGES).convert("L").point([min(255, v * 6) for v in range(256)])
    )
    calm = edges.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.BoxBlur(min(size) / 60))
    calm = calm.point([max(0, min(255, (90 - v) * 5)) for v in range(256)])
    high = Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(calm, high.point([max(0, min(255, (150 - v) * 4)) for v in range(256)]))


def night(view: View) -> View:
    """Blue dark with stars in the calm of the sky, and the moon."""
    dim = ImageEnhance.Color(view.image).enhance(0.62)
    dim = levels(dim, (0.29, 4), (0.35, 9), (0.52, 30))
    if not view.sky:
        return replace(view, image=dim)
    starry = _painted(replace(view, image=dim), "field", skies.stars, time="night").image
    image = Image.composite(starry, dim, _sky(view))
    if not view.bare:
        size, unit = 0.15, min(image.size)
        x, y = _calm(view, size * 1.6, 0.42)
        glow(image, (x * unit, y * unit), size * unit * 1.7, rgb("#f7efcf"), 0.5)
        image = _painted(
            replace(view, image=image), "field",
            lambda stage: nature.moon(stage.pen.at(x, y, size), Skin(rgb("#efe2b4"), rgb("#fdf6dc"))),
        ).image  # fmt: skip
    return replace(view, image=image)


def sunset(view: View) -> View:
    """Low orange light under a violet sky, and the sun."""
    warm = levels(view.image, (0.98, 10), (0.8, 2), (0.68, 6))
    wash = gradient(warm.size, [rgb(c) for c in ("#5a4a94", "#d0648a", "#ff9a58", "#e8743f", "#7a3a4a")])
    image = Image.blend(ImageChops.soft_light(warm, wash), ImageChops.multiply(warm, wash), 0.3)
    image = Image.blend(image, wash, 0.16)
    if view.sky and not view.bare:
        unit, size = min(image.size), 0.13
        x, y = _calm(view, size * 1.8, 0.62)
        glow(image, (x * unit, y * unit), unit * 0.75, rgb("#ffd28a"), 0.75)
        image = _painted(
            replace(view, image=image), "field", lambda stage: stage.pen.disc(x, y, size / 2, rgb("#fff0c4"))
        ).image
    return replace(view, image=image)


def day(view: View) -> View:
    """Clear light."""
    bright = view.image.point([int(255 * (v / 255) ** 0.7 + 0.5) for v in range(256)] * 3)
    return replace(
        view, image=levels(ImageEnhance.Color(bright).enhance(1.18), (1.02, 4), (1.02, 3), (0.98, 0))
    )


def rain(view: View) -> View:
    """Grey and wet, with long drops."""
    grey = levels(ImageEnhance.Color(view.image).enhance(0.5), (0.66, 12), (0.72, 16), (0.8, 26))
    mist = Image.new("RGB", grey.size, rgb("#9fb0bf"))
    grey = Image.composite(mist, grey, Image.linear_gradient("L").resize(grey.size).point(_ramp(70, 0)))
    return _painted(replace(view, image=grey), "rain", _drops)


def _drops(stage: Stage) -> None:
    for _ in range(stage.count(210)):
        x, y = stage.rng.random() * stage.width * 1.15, stage.rng.uniform(-0.1, 1.0) * stage.height
        near = stage.rng.random()
        h, w = 0.03 + 0.07 * near, 0.0016 + 0.0026 * near
        stage.pen.polygon(
            [(x, y), (x + w, y), (x - h * 0.22 + w / 2, y + h)], fade(rgb("#eaf2f8"), 0.35 + 0.35 * near)
        )


def snowfall(view: View) -> View:
    """Cold light, and flakes near and far."""
    image = ImageEnhance.Color(view.image).enhance(0.62)
    image = levels(image, (0.78, 34), (0.81, 40), (0.82, 50))
    frost = Image.linear_gradient("L").resize(image.size, Image.Resampling.BILINEAR)
    frost = ImageChops.multiply(frost.point(_ramp(-130, 430)), _lights(view.image))
    image = Image.composite(Image.new("RGB", image.size, rgb("#f3f7fb")), image, frost)
    return _painted(replace(view, image=image), "snow", _flakes)


def _lights(image: Image.Image) -> Image.Image:
    """Return (L) how much snow would lie: on what is light, less on what is dark."""
    return image.convert("L").filter(ImageFilter.BoxBlur(min(image.size) / 160)).point(_ramp(40, 245))


def _flakes(stage: Stage) -> None:
    for _ in range(stage.count(170)):
        x, y, near = stage.rng.random() * stage.width, stage.rng.random() * stage.height, stage.rng.random()
        r = 0.0022 + 0.0085 * near**3
        stage.pen.disc(x, y, r * 1.9, fade(WHITE, 0.28))
        stage.pen.disc(x, y, r, WHITE)


def fog(view: View) -> View:
    """Banks of mist, thickest in the middle of the picture and below."""
    size = view.image.size
    pale = gradient(size, [rgb(c) for c in ("#dfe5e8", "#e9edee", "#e3e7e6")])
    banks = Image.blend(clouds(size, 3, view.rng), clouds(size, 7, view.rng), 0.35)
    deep = Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR).point(_ramp(70, 250))
    veil = ImageChops.add(deep.point(_ramp(25, 120)), banks.point(_ramp(-60, 110)))
    soft = view.image.filter(ImageFilter.GaussianBlur(min(size) / 240))
    return replace(view, image=Image.composite(pale, ImageEnhance.Color(soft).enhance(0.6), veil))


def autumn(view: View) -> View:
    """Greens turn to gold and rust, and leaves fall."""
    hue, saturation, value = view.image.convert("HSV").split()
    turned = hue.point([18 + (v - 42) // 8 if 42 <= v <= 125 else v for v in range(256)])
    rich = saturation.point([min(255, int(v * 1.12)) for v in range(256)])
    image = levels(Image.merge("HSV", (turned, rich, value)).convert("RGB"), (1.04, 10), (0.97, 2), (0.84, 0))
    return _painted(replace(view, image=image), "autumn", _leaves)


def _leaves(stage: Stage) -> None:
    grounds.leaves(stage)
    for _ in range(stage.count(26)):
        x, y = stage.rng.random() * stage.width, stage.rng.random() * stage.height
        size = stage.rng.uniform(0.018, 0.038)
        colour = rgb(stage.rng.choice(("#c4572f", "#e3ac3f", "#d9823b", "#8f4a2c", "#b5392b")))
        leaf = stage.pen.at(x, y, size, turn=stage.rng.uniform(0, 360))
        leaf.blob([(0, -0.5), (0.3, -0.1), (0.14, 0.34), (0, 0.44), (-0.14, 0.34), (-0.3, -0.1)], colour)
        leaf.stroke([(0, -0.3), (0, 0.62)], 0.06, rgb("#7a4526"))


def underwater(view: View) -> View:
    """Blue-green depth, rays and bubbles."""
    depth = gradient(view.image.size, [rgb(c) for c in ("#a8ecec", "#4fb3cc", "#1d5f94", "#143f70")])
    image = Image.blend(ImageChops.multiply(view.image, depth), depth, 0.2)
    return _painted(replace(view, image=image), "underwater", skies.rays, skies.bubbles, skies.bubbles)


def space(view: View) -> View:
    """Night without a ground: nebulae, stars all over, two planets."""
    dim = levels(ImageEnhance.Color(view.image).enhance(0.8), (0.4, 8), (0.36, 4), (0.56, 34))
    deep = _painted(
        replace(view, image=Image.new("RGB", dim.size, rgb("#0a0c22"))), "space", skies.nebula, skies.stars
    )
    image = ImageChops.screen(dim, deep.image)
    return _painted(replace(view, image=image), "space", skies.planets)


def _ramp(low: float, high: float) -> list[int]:
    """Return a table from `low` at black to `high` at white."""
    return [max(0, min(255, int(low + (high - low) * v / 255 + 0.5))) for v in range(256)]


LIGHTS: dict[str, Callable[[View], View]] = {
    light.__name__: light for light in (night, sunset, day, rain, snowfall, fog, autumn, underwater, space)
}
LIGHTS["snow"] = snowfall
