"""Draws a prompt: reads it, paints background, figures and foreground, applies the style, signs it."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace

from PIL import Image, ImageDraw, ImageEnhance

from ipyimagegen.sketch.drawing import abstract, figures, layout, scenes, skies, styles
from ipyimagegen.sketch.drawing.canvas import Pen, glow, gradient, luminance, mix, rgb
from ipyimagegen.sketch.drawing.dice import Dice
from ipyimagegen.sketch.drawing.mark import stamp
from ipyimagegen.sketch.drawing.palette import INK, WHITE, named
from ipyimagegen.sketch.drawing.paper import PAPER, Print
from ipyimagegen.sketch.drawing.stage import PLACES, Stage
from ipyimagegen.sketch.drawing.things import THINGS
from ipyimagegen.sketch.reading.reading import Scene, read
from ipyimagegen.sketch.reading.words import words

DETAIL = {
    "low": 0.5,
    "standard": 1.0,
    "medium": 1.0,
    "auto": 1.0,
    "high": 1.4,
    "hd": 1.4,
    "xhigh": 1.7,
    "max": 2.0,
}
TONES = {"vivid": 1.25, "natural": 0.86}
WORK = 2_200_000  # pixels that are painted at most; larger pictures are enlarged from it


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The surfaces at drawing size: `scale` pixels are one unit, the short edge of the picture."""

    picture: Image.Image
    mask: Image.Image | None
    scale: float

    @property
    def pen(self) -> Pen:
        return Pen.on(self.picture, self.scale, self.mask)


def draw(
    prompt: str,
    *,
    width: int = 1024,
    height: int = 1024,
    seed: int = 0,
    quality: str = "auto",
    background: str = "auto",
    style: str | None = None,
    negative_prompt: str = "",
) -> Image.Image:
    """Return the picture of a prompt: RGB, or RGBA with background="transparent".

    `width` and `height` are pixels, 16 to 8192. `style` is "vivid", "natural" or the name of a
    style such as "watercolour". The same arguments give the same pixels on every machine.
    Raises ValueError for a size, quality or background that is none.
    """
    if not (16 <= width <= 8192 and 16 <= height <= 8192):
        raise ValueError(f"sketch draws 16 to 8192 pixels an edge, not {width}x{height}")
    if quality not in DETAIL:
        raise ValueError(f"quality is one of {', '.join(DETAIL)}, not {quality!r}")
    if background not in {"auto", "opaque", "transparent"}:
        raise ValueError(f"background is auto, opaque or transparent, not {background!r}")
    scene = read(prompt, negative=negative_prompt)
    scene = replace(scene, style=style_named(style) or scene.style)
    dice = Dice(prompt, seed)
    look = Look(DETAIL[quality], TONES.get(style or "", 1.0), cut=background == "transparent")
    image = render(scene, dice, (width, height), look)
    stamp(image)
    return image


@dataclass(frozen=True, slots=True)
class Look:
    """How much detail there is, how strong the colours are, and if the ground is cut out."""

    detail: float = 1.0
    tone: float = 1.0
    cut: bool = False


def render(scene: Scene, dice: Dice, size: tuple[int, int], look: Look) -> Image.Image:
    """Return the picture of a scene, unsigned: RGB, or RGBA if it is cut out."""
    sharp, work = _resolution(*size)
    large = work[0] * sharp, work[1] * sharp
    sheet = _Sheet(
        Image.new("RGB", large, WHITE), Image.new("L", large) if look.cut else None, min(large) / 1.0
    )
    _paint(sheet, scene, dice, look.detail)
    image = _finish(sheet, sharp, scene, dice, look.detail, tone=look.tone)
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)


def encode(image: Image.Image, output_format: str = "png", output_compression: int = 100) -> bytes:
    """Return the picture as png, jpeg or webp bytes; compression 0..100 is the quality of jpeg and webp.

    Raises ValueError for another format, and for a transparent picture as jpeg.
    """
    if output_format not in {"png", "jpeg", "webp"}:
        raise ValueError(f"sketch writes png, jpeg and webp, not {output_format!r}")
    if output_format == "jpeg" and image.mode == "RGBA":
        raise ValueError("jpeg has no transparency")
    options: dict[str, int] = (
        {"compress_level": 4} if output_format == "png" else {"quality": output_compression}
    )
    buffer = io.BytesIO()
    image.save(buffer, output_format.upper(), **options)
    return buffer.getvalue()


def style_named(name: str | None) -> str:
    """Return the style that a word names, "" if it names none."""
    found = [word.value for word in words(name or "") if word.kind == "style"]
    return found[0] if found else ""


def _resolution(width: int, height: int) -> tuple[int, tuple[int, int]]:
    """Return the supersampling factor and the size before a last enlargement."""
    shrink = math.sqrt(min(1.0, WORK / (width * height)))
    work = max(16, int(width * shrink)), max(16, int(height * shrink))
    area = work[0] * work[1]
    return (4 if area < 150_000 else 3 if area < 600_000 else 2), work


def _paint(sheet: _Sheet, scene: Scene, dice: Dice, detail: float) -> None:
    width, height = sheet.picture.width / sheet.scale, sheet.picture.height / sheet.scale
    stage = _stage(sheet, scene, dice, detail, (width, height))
    if stage is None and not scene.figures:
        asked = (*((scene.backdrop,) if scene.backdrop else ()), *scene.palette)
        abstract.compose(
            sheet.picture, sheet.scale, dice("abstract"), asked=asked, avoid=scene.avoid, detail=detail
        )  # fmt: skip
    elif stage is None:
        _plain(sheet, scene, dice)
    else:
        scenes.paint(stage)
    if sheet.mask is not None and not scene.figures:
        _medallion(sheet)
    horizon = stage.horizon if stage else height * 0.72
    frame = layout.Frame(width, height, horizon, landscape=stage is not None)
    placed = layout.arrange(scene.figures, frame, dice("layout"))
    pens = sheet.pen, Pen.on(sheet.picture, sheet.scale)
    for item in placed:
        figures.paint(pens, scene, item, stage, dice(f"colour {item.figure.name}"))
    if stage and sheet.mask is None:
        _foreground(stage, scene)


def _stage(
    sheet: _Sheet, scene: Scene, dice: Dice, detail: float, extent: tuple[float, float]
) -> Stage | None:
    """Return the landscape behind the figures, or None where a plain background is right."""
    homes = [THINGS[f.name].home for f in scene.figures if f.name in THINGS]
    place, time = scene.place, scene.time or ("night" if scene.style == "neon" else "")
    if scene.backdrop and not place:
        return None
    if not place and not homes and not (scene.time or scene.weather or scene.season):
        return None
    place = place or (scene.season if scene.season and set(homes) <= {"field", "forest", "autumn"} else "")
    place = (
        place
        or {"rain": "rain", "snowfall": "snow"}.get(scene.weather, "")
        or (homes[0] if homes else "field")
    )
    if place == "night":
        place, time = "forest", time or "night"
    grounded = {f.name for f in scene.figures if f.name in THINGS and THINGS[f.name].where == "ground"}
    if place == "sea" and grounded - {"lighthouse"}:
        place = "beach"
    drawn = scene.avoid | {f.name for f in scene.figures}
    return Stage(
        sheet.picture, Pen.on(sheet.picture, sheet.scale), *extent, dice("scene"), PLACES[place],
        time, detail, sheet.scale, moon=not drawn & {"sun", "moon", "star", "crescent"},
    )  # fmt: skip


def _foreground(stage: Stage, scene: Scene) -> None:
    """Paint what falls in front of the figures."""
    if scene.weather == "snowfall" or stage.place is PLACES["snow"]:
        skies.snowfall(replace(stage, detail=stage.detail * 0.4))
    if scene.weather == "rain" or stage.place is PLACES["rain"]:
        skies.rain(stage)
    if scene.weather == "fog":
        skies.fog(stage)


def _plain(sheet: _Sheet, scene: Scene, dice: Dice) -> None:
    """Paint a plain ground in the colour asked for, or in a quiet one that sets the figures off."""
    if scene.backdrop:
        colour = named(scene.backdrop)
    elif scene.style == "neon":
        colour = rgb("#241a4a")
    else:
        pale = [rgb(c) for c in ("#f8f1e4", "#eef3f1", "#f6ece6", "#edf0f6", "#f4f2e3")]
        colour = dice("ground").choice(pale)
        tones = [luminance(named(c)) for f in scene.figures for c in f.colours]
        if tones and min(tones) > 205:
            colour = dice("ground").choice([rgb(c) for c in ("#33475f", "#4a3f5c", "#2f5a5a")])
    sheet.picture.paste(gradient(sheet.picture.size, (mix(colour, WHITE, 0.05), mix(colour, INK, 0.04))))
    centre = (sheet.picture.width * 0.5, sheet.picture.height * 0.42)
    glow(sheet.picture, centre, sheet.scale * 0.95, mix(colour, WHITE, 0.4), 0.35)


def _medallion(sheet: _Sheet) -> None:
    """With nothing to cut out, the picture itself becomes a round one."""
    assert sheet.mask is not None
    w, h = sheet.picture.size
    inset = min(w, h) // 25
    ImageDraw.Draw(sheet.mask).ellipse((inset, inset, w - inset, h - inset), fill=255)


def _finish(
    sheet: _Sheet, sharp: int, scene: Scene, dice: Dice, detail: float, *, tone: float
) -> Image.Image:
    """Reduce to size, apply the style, and cut out where the background is transparent."""
    alpha = None
    if sheet.mask is None:
        image = sheet.picture.reduce(sharp)
    else:
        cut = Image.merge("RGBA", (*sheet.picture.split(), sheet.mask)).reduce(sharp)
        alpha = cut.getchannel("A")
        image = Image.new("RGB", cut.size, PAPER)
        image.paste(cut.convert("RGB"), (0, 0), alpha.point([0] + [255] * 255))
    if tone != 1.0:
        image = ImageEnhance.Color(image).enhance(tone)
    coloured = bool(scene.palette or scene.backdrop or any(f.colours for f in scene.figures))
    printed = Print(image, alpha, dice("style"), detail, coloured)
    printed = styles.STYLES[scene.style or "flat"](printed)
    if printed.alpha is not None:
        printed.image.putalpha(printed.alpha)
    return printed.image
