"""Edits an image by rule: what the prompt names and sketch understands is done, in a fixed order.

Named things are drawn onto the image; places and colours change its background, hours, weathers and seasons
its light; colours without a thing tint it, styles restyle it. Where nothing is understood the image is tinted
a little, or the mask filled with a composition, in colours that depend on the prompt.
Outside a mask every pixel stays as it is. So the "sketch" mark goes inside the masked area, as low and right
as possible, where it covers little of it; otherwise the image carries no mark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from ipyimagegen.sketch.drawing import engine
from ipyimagegen.sketch.drawing.abstract import choose_palette
from ipyimagegen.sketch.drawing.canvas import make_curve, make_gradient, mend
from ipyimagegen.sketch.drawing.palette import WHITE, find_colour, mix, to_rgb
from ipyimagegen.sketch.drawing.styles import PAPER, STYLES, Artwork
from ipyimagegen.sketch.editing import effects
from ipyimagegen.sketch.editing.analysis import Box, ImageAnalysis, Subject, find_ground, find_ink
from ipyimagegen.sketch.editing.placement import fill_mask, find_places, paint_figures
from ipyimagegen.sketch.reading.edit_prompts import EditPrompt, read_edit
from ipyimagegen.sketch.reading.prompts import Scene, find_style

MARKS = 60  # the masked area is at least so many times that of the mark


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEdit:
    """An edit without its seed. `images` are RGB or RGBA, the first at the size of the result.

    `mask` (L) is 255 where the image may change.
    """

    images: tuple[Image.Image, ...]
    mask: Image.Image | None
    prompt: str
    request: EditPrompt
    detail: float
    tone: float
    background: str

    @classmethod
    def of(
        cls,
        images: Sequence[Image.Image],
        prompt: str,
        *,
        mask: Image.Image | None,
        size: tuple[int, int],
        quality: str = "auto",
        background: str = "auto",
        style: str | None = None,
        negative_prompt: str = "",
        opaque: bool = False,
    ) -> ImageEdit:
        """Read the prompt and bring the first image to size; `opaque` is for formats without transparency."""
        base = fit_image(images[0] if mask else engine.remove_mark(images[0]), size)
        if mask is not None and mask.size != size:
            frame = Image.merge("RGBA", [*Image.new("RGB", mask.size).split(), mask])
            mask = fit_image(frame, size).getchannel("A").point([0] * 128 + [255] * 128)
        if base.mode == "RGBA" and (opaque or background == "opaque"):
            base = Image.alpha_composite(Image.new("RGBA", base.size, WHITE), base).convert("RGB")
        if background == "transparent" and base.mode == "RGB":
            base = base.convert("RGBA")
        masked = mask is not None
        request = read_edit(prompt, negative=negative_prompt, style=find_style(style), masked=masked)
        return cls(
            images=(base, *map(engine.remove_mark, images[1:])), mask=mask, prompt=prompt, request=request,
            detail=engine.DETAIL[quality], tone=engine.TONES.get(style or "", 1.0), background=background,
        )  # fmt: skip

    @property
    def transparent(self) -> bool:
        """Whether the results have an alpha channel."""
        return self.images[0].mode == "RGBA"

    def paint(self, seed: int) -> Image.Image:
        """Return the edited image of a seed, with the mark where that is possible."""
        streams = engine.RandomStreams(self.prompt, seed)
        image = self.images[0].copy()
        box = (0, 0, *image.size) if self.mask is None else self.mask.getbbox()
        if box is None:  # an empty mask
            return image
        area = self.mask and self.mask.crop(box)
        base, alpha = _split_alpha(self._combine_images(box, streams("gathering")))
        subject = None if area else ImageAnalysis.of(base).subject
        state = _State(base, alpha, self.request, streams, self.detail, self.tone, area, subject)
        understood = not self.request.empty or len(self.images) > 1 or self.background == "transparent"
        if self.background == "transparent":
            state = _remove_background(state, *_split_alpha(self.images[0]), box)
        for step in STEPS if understood else (_compose,):
            state = step(state)
        edited = state.image.convert(image.mode)
        if image.mode == "RGBA" and state.alpha is not None:
            edited.putalpha(state.alpha)
        image.paste(edited, box[:2])
        image = self.keep_outside(image)
        corner = _find_room(self.mask, engine.measure_mark(image)) if self.mask else None
        if corner or not self.mask:
            engine.add_mark(image, corner)
        return image

    def keep_outside(self, image: Image.Image) -> Image.Image:
        """Return the image with everything outside the mask as it was."""
        return image if self.mask is None else Image.composite(image, self.images[0], self.mask)

    def _combine_images(self, box: tuple[int, int, int, int], rng: Random) -> Image.Image:
        """Return what is edited: the first image or a collage; with a mask, its box or the other images."""
        first, others = self.images[0], self.images[1:]
        if self.mask is None:
            return make_collage(self.images, first.size, rng) if others else first
        if self.request.remove or self.request.replace:
            mended = mend(first.convert("RGB"), self.mask)
            if first.mode == "RGBA":
                mended.putalpha(first.getchannel("A"))
            return mended.crop(box)
        size = box[2] - box[0], box[3] - box[1]
        if len(others) > 1:
            return make_collage(others, size, rng)
        return ImageOps.fit(others[0], size, Image.Resampling.LANCZOS) if others else first.crop(box)


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return an image as RGB and alpha; paper lies under what is transparent: nothing dark bleeds in."""
    if image.mode == "RGB":
        return image.copy(), None
    alpha = image.getchannel("A")
    page = Image.new("RGB", image.size, PAPER)
    page.paste(image.convert("RGB"), (0, 0), alpha.point([0] + [255] * 255))
    return page, None if alpha.getextrema()[0] == 255 else alpha


def _find_room(mask: Image.Image, mark: tuple[int, int]) -> tuple[int, int] | None:
    """Return the lowest right corner at which the mark lies in the mask, if it covers little of it."""
    grid = 4
    cells = mask.crop((0, 0, mask.width // grid * grid, mask.height // grid * grid)).reduce(grid)
    width, height = -(-mark[0] // grid) + 1, -(-mark[1] // grid) + 1
    if cells.histogram()[255] < MARKS * width * height:
        return None
    for j in range(cells.height - height, -1, -1):
        for i in range(cells.width - width, -1, -1):
            if cells.crop((i, j, i + width, j + height)).getextrema()[0] == 255:
                return i * grid, j * grid
    return None


@dataclass(frozen=True, slots=True)
class _State:
    """The image while it is edited, or the box of its mask (`area`), with what the steps need to know.

    `subject` is who wears a hat, found before the light changes: by night the moon is clearer. `spot` is
    where a removed subject was, which makes room for what is drawn.
    """

    image: Image.Image
    alpha: Image.Image | None
    request: EditPrompt
    streams: engine.RandomStreams
    detail: float
    tone: float
    area: Image.Image | None
    subject: Subject | None
    spot: Box | None = None

    @property
    def scene(self) -> Scene:
        """What the prompt names."""
        return self.request.scene

    def without(self, **facts: Any) -> _State:
        """Return the state without those facts of the scene: they are done."""
        return replace(self, request=replace(self.request, scene=replace(self.scene, **facts)))

    def cover(self, image: Image.Image, where: Image.Image) -> _State:
        """Return the state with another image over it where the mask (L) says."""
        alpha = ImageChops.add(self.alpha, where) if self.alpha else None
        return replace(self, image=Image.composite(image, self.image, where), alpha=alpha)


def _remove_subject(state: _State) -> _State:
    """Without a mask, fill the subject from its surroundings if it goes, or if a thing comes in its place."""
    request = state.request
    if state.area or not (request.remove or (request.replace and state.scene.figures)):
        return state
    area = _find_subject_area(state).point([0] * 40 + [255] * 216)
    spot = state.subject.box if request.replace and state.subject else None
    return replace(state, image=mend(state.image, area), spot=spot)


def _paint_scene(state: _State) -> _State:
    """With a mask, paint the scene of the prompt into it, its edge soft on the inside."""
    if not state.area:
        return state
    size = state.image.size
    options = engine.RenderOptions(state.detail, state.tone)
    image = engine.render(state.scene, state.streams, (max(16, size[0]), max(16, size[1])), options)
    edge = state.area.filter(ImageFilter.GaussianBlur(max(1.0, min(size) * 0.022)))
    edge = edge.point([max(0, (v - 128) * 2) + v // 255 for v in range(256)])
    state = state.cover(image.resize(size), ImageChops.darker(edge, state.area))
    return replace(state, request=EditPrompt(), tone=1.0)


def _change_background(state: _State) -> _State:
    """Put a plain colour or a place behind what the image shows."""
    scene = state.scene
    if not (scene.backdrop or scene.place):
        return state
    shown = state.alpha or find_ink(state.image)[0]
    around = ImageChops.invert(shown) if shown else find_ground(state.image)
    if around is None and scene.place in effects.LIGHTS and not scene.backdrop:
        return state  # the light is all that changes
    if around is None:
        around = ImageChops.invert(_find_subject_area(state))
    if scene.backdrop:
        image = make_gradient(state.image.size, engine.shade_plain(find_colour(scene.backdrop)))
    else:
        options = engine.RenderOptions(state.detail)
        image = engine.render(Scene(place=scene.place), state.streams, state.image.size, options)
    covered = state.cover(image, around).without(place="", backdrop="")
    return replace(covered, image=effects.keep_ink_readable(covered.image, state.image, effects.NEW_GROUND))


def _find_subject_area(state: _State) -> Image.Image:
    """Return where the subject is (L), with a soft rim; an oval in the middle if there is none."""
    size = state.image.size
    if state.subject:
        area = state.subject.area.filter(ImageFilter.MaxFilter(5)).resize(size, Image.Resampling.BICUBIC)
        return area.filter(ImageFilter.GaussianBlur(min(size) / 60))
    return _make_oval(size, 150)


def _remove_background(
    state: _State, image: Image.Image, alpha: Image.Image | None, box: tuple[int, int, int, int]
) -> _State:
    """Make the background transparent; if it is not plain, a round image is left.

    `image` and `alpha` are the whole image, `box` its part that is edited.
    """
    if alpha is None:
        ground = find_ground(image)
        alpha = ImageChops.invert(ground) if ground else _make_oval(image.size, 195)
    alpha = alpha.crop(box)
    state = replace(state, alpha=ImageChops.darker(alpha, state.alpha) if state.alpha else alpha)
    if state.area:
        return state
    return state.without(backdrop="", place=state.scene.place if state.scene.place in effects.LIGHTS else "")


def _make_oval(size: tuple[int, int], reach: int) -> Image.Image:
    """Return a soft oval (L) in the middle; a `reach` of 207 goes to the sides."""
    oval = Image.radial_gradient("L").resize(size, Image.Resampling.BILINEAR)
    return oval.point(make_curve(lambda v: (reach - v) * 5))


def _relight(state: _State, *names: str) -> _State:
    """Change the light to the named hour, weather or season."""
    known = [name for name in dict.fromkeys(names) if name in effects.LIGHTS]
    if not known:
        return state
    named = {figure.name for figure in state.scene.figures} | state.scene.avoid
    moon = not named & {"sun", "moon", "crescent", "star"}
    analysis, rng = ImageAnalysis.of(state.image), state.streams("light")
    lit = effects.LitImage(state.image, analysis, rng, state.detail, moon=moon, sky=state.alpha is None)
    for name in known:
        lit = replace(lit, image=effects.LIGHTS[name](lit))
    return replace(state, image=effects.keep_ink_readable(lit.image, state.image, effects.DIM_GROUND))


def _draw_figures(state: _State) -> _State:
    scene = state.scene
    if not scene.figures:
        return state
    if state.area:
        placed = fill_mask(scene, state.area, state.streams)
    else:
        analysis = replace(ImageAnalysis.of(state.image), subject=state.subject)
        placed = find_places(scene, analysis, state.streams("places"), state.spot)
    image, alpha = state.image.copy(), state.alpha and state.alpha.copy()
    paint_figures(image, alpha, placed, scene, state.streams)
    return replace(state, image=image, alpha=alpha)


def _change_colours(state: _State) -> _State:
    """Tint it in the colours that belong to no thing, and adjust it."""
    image, alpha = state.image, state.alpha
    if state.scene.palette:
        image = effects.tint(image, [find_colour(name) for name in state.scene.palette], 0.88)
    for name in state.request.adjust:
        image = effects.ADJUSTMENTS[name](image)
        if name == "mirrored" and alpha:
            alpha = effects.ADJUSTMENTS[name](alpha)
    return replace(state, image=image, alpha=alpha)


def _apply_style(state: _State) -> _State:
    """Paint it over in the style, at most at the size at which sketch paints."""
    image, alpha, size = state.image, state.alpha, state.image.size
    if state.tone != 1.0:
        image = ImageEnhance.Color(image).enhance(state.tone)
    style = state.scene.style
    if not style:
        return replace(state, image=image)
    if style == "flat":
        few = image.quantize(12, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        return replace(state, image=few.convert("RGB"))
    if state.area and not alpha:  # no ragged border of the paper inside an image
        alpha = Image.new("L", size, 255)
    shrink = min(1.0, (engine.PAINTED / (size[0] * size[1])) ** 0.5)
    work = max(16, round(size[0] * shrink)), max(16, round(size[1] * shrink))
    coloured, rng = bool(state.scene.palette or state.scene.backdrop), state.streams("style")
    art = STYLES[style](
        Artwork(image.resize(work), alpha and alpha.resize(work), rng, state.detail, coloured)
    )
    after = art.alpha.resize(size) if art.alpha and state.alpha else None
    return replace(state, image=art.image.resize(size), alpha=after)


def _compose(state: _State) -> _State:
    """Where nothing is understood, fill the mask with a composition or tint the image a little."""
    if state.area:
        return _paint_scene(state)
    palette = choose_palette(state.streams("abstract"), (), state.scene.avoid)
    return replace(state, image=effects.tint(state.image, palette, 0.3))


STEPS: tuple[Callable[[_State], _State], ...] = (
    _remove_subject,
    lambda state: state if state.scene.place in {"", *effects.LIGHTS} else _paint_scene(state),
    _change_background,
    lambda state: _relight(state, state.scene.time, state.scene.season, state.scene.place),
    _draw_figures,
    lambda state: _relight(state, state.scene.weather),
    _change_colours,
    _apply_style,
)


def fit_image(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the image at that size, whole; the page beside it has its mean colour, or is transparent."""
    if image.size == size:
        return image
    if abs(image.width * size[1] / (image.height * size[0]) - 1) < 0.02:  # the same ratio
        return image.resize(size, Image.Resampling.LANCZOS)
    mean: Any = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    colour = "#00000000" if image.mode == "RGBA" else mean
    return ImageOps.pad(image, size, Image.Resampling.LANCZOS, color=colour)


def make_collage(images: Sequence[Image.Image], size: tuple[int, int], rng: Random) -> Image.Image:
    """Return the images as prints strewn over a table in rows."""
    page = make_gradient(size, (to_rgb("#d9cdbb"), to_rgb("#c8b9a3")))
    columns = max(1, round(math.sqrt(len(images) * size[0] / size[1])))
    rows = -(-len(images) // columns)
    for row in range(rows):
        shown = images[row * columns : (row + 1) * columns]
        width, height = size[0] / len(shown), size[1] / rows
        edge = min(width, height) * (0.93 if len(images) > 1 else 0.8)
        for k, image in enumerate(shown):
            room = min(width * 0.86, edge * 1.25), min(height * 0.8, edge)
            scale = min(room[0] / image.width, room[1] / image.height)
            _lay_print(page, image, scale, (width * (k + 0.5), height * (row + 0.5)), rng.uniform(-5, 5))
    return page


def _lay_print(
    page: Image.Image, image: Image.Image, scale: float, centre: tuple[float, float], turn: float
) -> None:
    """Lay a print with its white border and shadow on the page, in place."""
    extent = max(8, round(image.width * scale)), max(8, round(image.height * scale))
    rim = max(2, round(min(extent) * 0.045))
    card = Image.new("RGBA", (extent[0] + 6 * rim, extent[1] + 6 * rim))
    border = (2 * rim, 2 * rim, extent[0] + 4 * rim - 1, extent[1] + 4 * rim - 1)
    ImageDraw.Draw(card).rectangle(border, fill=(*mix(WHITE, to_rgb("#efe9df"), 0.2), 255))
    small = image.resize(extent, Image.Resampling.LANCZOS)
    alpha = small.getchannel("A") if small.mode == "RGBA" else None
    card.paste(small.convert("RGB"), (3 * rim, 3 * rim), alpha)
    shadow = Image.new("RGBA", card.size, (24, 20, 30, 0))
    shadow.putalpha(card.getchannel("A").point([v * 110 // 255 for v in range(256)]))
    shadow = shadow.filter(ImageFilter.GaussianBlur(rim * 0.7))
    left, top = round(centre[0] - card.width / 2), round(centre[1] - card.height / 2)
    for piece, drop in ((shadow, rim // 2 + 1), (card, 0)):
        turned = piece.rotate(turn, Image.Resampling.BICUBIC)
        page.paste(turned.convert("RGB"), (left + drop // 2, top + drop), turned.getchannel("A"))
