"""The steps of an edit, each from easel to easel: what the prompt does not ask for is passed over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from ipyimagegen.sketch.drawing import abstract, mending
from ipyimagegen.sketch.drawing.canvas import gradient, luminance, mix
from ipyimagegen.sketch.drawing.engine import WORK, Look, render
from ipyimagegen.sketch.drawing.palette import INK, WHITE, named
from ipyimagegen.sketch.drawing.paper import PAPER, Print
from ipyimagegen.sketch.drawing.styles import STYLES
from ipyimagegen.sketch.editing import frames, hues, placing, plots, sight
from ipyimagegen.sketch.editing.lights import LIGHTS, View
from ipyimagegen.sketch.editing.placing import Sheet
from ipyimagegen.sketch.editing.sight import Box, Sight, Subject
from ipyimagegen.sketch.reading.reading import Scene
from ipyimagegen.sketch.reading.wishes import Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipyimagegen.sketch.drawing.dice import Dice


SMALLEST = 32  # pixels of the short edge: a smaller picture has no room for a frame


@dataclass(frozen=True, slots=True)
class Easel:
    """The picture while it is edited, or the box of its mask, with what the steps need to know.

    `spot` is where the subject was that shall make room for what is drawn, `subject` what was seen
    before the light changed: by night the moon is clearer than who shall wear the hat.
    """

    sheet: Sheet
    wish: Wish
    dice: Dice
    detail: float
    tone: float
    area: Image.Image | None
    spot: Box | None = None
    subject: Subject | None = None

    @property
    def scene(self) -> Scene:
        """What the prompt names."""
        return self.wish.scene

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.sheet.image.size

    def sight(self) -> Sight:
        """Look at the picture as it is now."""
        return Sight.of(self.sheet.image)

    def seen(self, image: Image.Image) -> Easel:
        """Return the easel with other colours."""
        return replace(self, sheet=replace(self.sheet, image=image))

    def done(self, **facts: Any) -> Easel:
        """Return the easel without those facts of the scene: they are on the picture."""
        return replace(self, wish=replace(self.wish, scene=replace(self.scene, **facts)))

    def picture(self, mode: str) -> Image.Image:
        """Return the picture as RGB or RGBA."""
        image = self.sheet.image.convert(mode)
        if mode == "RGBA" and self.sheet.alpha is not None:
            image.putalpha(self.sheet.alpha)
        return image


def sheet_of(image: Image.Image) -> Sheet:
    """Return a picture taken apart; under what is transparent lies paper, so that nothing dark bleeds in."""
    if image.mode == "RGB":
        return Sheet(image)
    alpha = image.getchannel("A")
    page = Image.new("RGB", image.size, PAPER)
    page.paste(image.convert("RGB"), (0, 0), alpha.point([0] + [255] * 255))
    return Sheet(page, None if alpha.getextrema()[0] == 255 else alpha)


def removed(easel: Easel) -> Easel:
    """Without a mask, grow over the subject if something shall go, or if a thing comes in its place."""
    if easel.area or not (easel.wish.remove or (easel.wish.replace and easel.scene.figures)):
        return easel
    subject = easel.sight().subject
    if easel.wish.replace and subject:
        easel = replace(easel, spot=subject.box)
    area = _subject(easel, wide=True).point([0] * 40 + [255] * 216)
    return easel.seen(mending.mend(easel.sheet.image, area))


def looked(easel: Easel) -> Easel:
    """Without a mask, look for who shall wear a hat while the light is as it was."""
    hats = not easel.area and any(figure.name == "hat" for figure in easel.scene.figures)
    return replace(easel, subject=easel.sight().subject) if hats else easel


def painted(easel: Easel) -> Easel:
    """With a mask, a place is painted into it, with all that the prompt names."""
    return _scene(easel) if easel.area and easel.scene.place not in ("", *LIGHTS) else easel


def _scene(easel: Easel) -> Easel:
    """Paint the scene of the prompt into the mask, its edge soft on the inside."""
    assert easel.area
    look = Look(easel.detail, easel.tone)
    image = render(easel.scene, easel.dice, (max(16, easel.size[0]), max(16, easel.size[1])), look)
    edge = easel.area.filter(ImageFilter.GaussianBlur(max(1.0, min(easel.size) * 0.022)))
    edge = ImageChops.darker(edge.point([max(0, (v - 128) * 2) + v // 255 for v in range(256)]), easel.area)
    sheet = _laid(easel.sheet, image.resize(easel.size), edge)
    return replace(easel, sheet=sheet, wish=Wish(), tone=1.0)


def grounded(easel: Easel) -> Easel:
    """Put a plain colour or a place behind what the picture shows."""
    scene = easel.scene
    if not (scene.backdrop or scene.place):
        return easel
    around = _around(easel)
    if around is None and scene.place in LIGHTS and not scene.backdrop:
        return easel  # a change of light is all that can be done
    if around is None:
        around = ImageChops.invert(_subject(easel))
    if scene.backdrop:
        colour = named(scene.backdrop)
        image = gradient(easel.size, (mix(colour, WHITE, 0.05), mix(colour, INK, 0.04)))
    else:
        image = render(Scene(place=scene.place), easel.dice, easel.size, Look(easel.detail))
    sheet = _laid(easel.sheet, image, around)
    sheet = replace(sheet, image=plots.readable(sheet.image, easel.sheet.image, plots.BLACK))
    return replace(easel, sheet=sheet).done(place="", backdrop="")


def cut_out(easel: Easel, whole: Sheet, box: tuple[int, int, int, int]) -> Easel:
    """Take the ground away, as the whole picture shows it; `box` is what of it is on the easel.

    Where there is neither a plain ground nor a subject, a round picture is left.
    """
    alpha = (whole.alpha or _outline(whole.image)).crop(box)
    alpha = ImageChops.darker(alpha, easel.sheet.alpha) if easel.sheet.alpha else alpha
    easel = replace(easel, sheet=replace(easel.sheet, alpha=alpha))
    if easel.area:
        return easel
    return easel.done(backdrop="", place=easel.scene.place if easel.scene.place in LIGHTS else "")


def _outline(image: Image.Image) -> Image.Image:
    """Return what a picture shows (L) without its ground; an oval of it where that is not clear."""
    around = sight.ground(image)
    if around:
        return ImageChops.invert(around)
    subject = Sight.of(image).subject
    shown = sight.cut(image, subject) if subject else None
    return shown if shown and sight.clear(image, shown) else _round(image.size)


def _round(size: tuple[int, int]) -> Image.Image:
    """Return an oval (L), as large as a transparent generation's without a figure."""
    large = Image.new("L", (size[0] * 2, size[1] * 2))
    rim = min(large.size) // 25
    ImageDraw.Draw(large).ellipse((rim, rim, large.width - rim, large.height - rim), fill=255)
    return large.reduce(2)


def _around(easel: Easel) -> Image.Image | None:
    """Return the ground (L): what is transparent, else what is plain; None if there is no telling."""
    if easel.sheet.alpha is not None:
        return ImageChops.invert(easel.sheet.alpha)
    ink = plots.ink(easel.sheet.image)
    return ImageChops.invert(ink.whole) if ink else sight.ground(easel.sheet.image)


def _subject(easel: Easel, *, wide: bool = False) -> Image.Image:
    """Return where the subject is (L), with a soft rim; an oval in the middle if none is found."""
    subject = easel.sight().subject
    if subject and wide:
        cells = subject.cells.filter(ImageFilter.MaxFilter(5)).resize(easel.size, Image.Resampling.BICUBIC)
        return cells.filter(ImageFilter.GaussianBlur(min(easel.size) / 60))
    if subject:
        return sight.cut(easel.sheet.image, subject)
    oval = Image.radial_gradient("L").resize(easel.size, Image.Resampling.BILINEAR)
    return oval.point([max(0, min(255, (150 - v) * 5)) for v in range(256)])


def _laid(sheet: Sheet, image: Image.Image, where: Image.Image) -> Sheet:
    """Return the sheet with the picture over it where the mask (L) says."""
    alpha = ImageChops.add(sheet.alpha, where) if sheet.alpha else None
    return Sheet(Image.composite(image, sheet.image, where), alpha)


def lit(easel: Easel) -> Easel:
    """Change the hour and the season."""
    return _relit(easel, easel.scene.time, easel.scene.season, easel.scene.place)


def weathered(easel: Easel) -> Easel:
    """Let it rain or snow, in front of everything."""
    return _relit(easel, easel.scene.weather)


def _relit(easel: Easel, *names: str) -> Easel:
    wanted = [name for name in dict.fromkeys(names) if name in LIGHTS]
    if not wanted:
        return easel
    bare = bool(
        ({f.name for f in easel.scene.figures} | easel.scene.avoid) & {"sun", "moon", "crescent", "star"}
    )
    sky = easel.sheet.alpha is None
    view = View(easel.sheet.image, easel.sight(), easel.dice("light"), easel.detail, bare, sky)
    for name in wanted:
        view = LIGHTS[name](view)
    return easel.seen(plots.readable(view.image, easel.sheet.image, plots.DIM))


def drawn(easel: Easel) -> Easel:
    """Draw the things that are named."""
    scene = easel.scene
    if not scene.figures:
        return easel
    if easel.area:
        placed = placing.fill(scene, easel.area, easel.dice)
    else:
        seen = replace(easel.sight(), subject=easel.subject)
        placed = placing.find(scene, seen, easel.dice("places"), easel.spot)
    return replace(easel, sheet=placing.put(easel.sheet, placed, scene, easel.dice))


def coloured(easel: Easel) -> Easel:
    """Tint it in the colours that belong to no thing, and adjust it."""
    image = easel.sheet.image
    if easel.scene.palette:
        image = hues.tinted(image, easel.scene.palette)
    sheet = easel.sheet
    for name in easel.wish.adjust:
        adjust = hues.ADJUST[name]
        image = adjust(image)
        if name in hues.MOVING and sheet.alpha:
            sheet = replace(sheet, alpha=adjust(sheet.alpha))
    return replace(easel, sheet=replace(sheet, image=image))


def styled(easel: Easel) -> Easel:
    """Paint it over in the style, at most at the size at which sketch paints."""
    image, alpha, size = easel.sheet.image, easel.sheet.alpha, easel.size
    if easel.tone != 1.0:
        image = ImageEnhance.Color(image).enhance(easel.tone)
    if not easel.scene.style:
        return easel.seen(image)
    if easel.area and not alpha:  # no ragged border of the paper inside a picture
        alpha = Image.new("L", size, 255)
    ink = plots.ink(image) if easel.scene.style == "neon" else None
    if ink:
        return easel.seen(plots.neon(image, ink.thin))
    shrink = min(1.0, (WORK / (size[0] * size[1])) ** 0.5)
    work = max(16, round(size[0] * shrink)), max(16, round(size[1] * shrink))
    image, alpha = image.resize(work), alpha.resize(work) if alpha else None
    asked = bool(easel.scene.palette or easel.scene.backdrop)
    image = hues.prepared(image, easel.scene.style)
    printed = Print(image, alpha, easel.dice("style"), easel.detail, asked)
    printed = (hues.poster if easel.scene.style == "flat" else STYLES[easel.scene.style])(printed)
    after = printed.alpha.resize(size) if printed.alpha and easel.sheet.alpha else None
    return replace(easel, sheet=Sheet(printed.image.resize(size), after))


def composed(easel: Easel) -> Easel:
    """Where nothing was understood: a composition in the mask, else a frame or a tint; the picture stays."""
    if easel.area:
        return _scene(easel)
    rng, image = easel.dice("abstract"), easel.sheet.image
    colours = abstract.palette(rng, (), easel.scene.avoid)
    if not easel.sheet.alpha and min(image.size) >= SMALLEST:
        return easel.seen(frames.framed(image, colours, rng))
    tones = sorted(colours, key=luminance)
    toned = ImageOps.colorize(
        ImageOps.grayscale(image), mix(tones[0], INK, 0.4), mix(tones[-1], WHITE, 0.5),
        mid=tones[len(tones) // 2],
    )  # fmt: skip
    return easel.seen(Image.blend(image, toned, 0.3))


STEPS: tuple[Callable[[Easel], Easel], ...] = (
    removed, looked, painted, grounded, lit, drawn, weathered, coloured, styled,
)  # fmt: skip
