"""Draws a prompt: reads it, paints background, figures and foreground, applies the style, adds the mark."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass, replace
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageStat

from ipyimagegen.sketch.drawing.abstract import paint_abstract
from ipyimagegen.sketch.drawing.canvas import Pen, add_glow, make_gradient, mend
from ipyimagegen.sketch.drawing.figures import LETTERS, THINGS, Placed, paint_figure, paint_lines
from ipyimagegen.sketch.drawing.landscapes import LAYERS, PLACES, Landscape, paint_landscape
from ipyimagegen.sketch.drawing.layout import Frame, arrange_figures
from ipyimagegen.sketch.drawing.palette import INK, WHITE, Skin, find_colour, luminance, mix, to_rgb, to_rgbs
from ipyimagegen.sketch.drawing.styles import PAPER, STYLES, Artwork
from ipyimagegen.sketch.reading.prompts import Scene, find_style, read_scene

DETAIL = {
    "low": 0.5, "standard": 1.0, "medium": 1.0, "auto": 1.0, "high": 1.4, "hd": 1.4, "xhigh": 1.7, "max": 2.0,
}  # fmt: skip
TONES = {"vivid": 1.25, "natural": 0.86}
PAINTED = 2_200_000  # pixels that are painted at most; larger images are enlarged from it
GAP = 0.2  # between the letters of the mark
SHARP = 4  # supersampling: the letters of the mark are small
CLOSER = 0.05  # share of an edge by which the camera of a GIF moves in, on each side
LONGEST_PAUSE = 655_350  # milliseconds that a frame of a GIF can last
COARSEST, FINEST = 9, 120  # spots along the short edge of a partial image, at the start and near the end


class RandomStreams:
    """Independent random streams by name, so that more detail never moves the composition."""

    def __init__(self, prompt: str, seed: int) -> None:
        self._key = f"{' '.join(prompt.split())}\0{seed}\0"

    def __call__(self, name: str) -> Random:
        """Return the stream of that name, from its beginning; it is the same on every machine."""
        digest = hashlib.sha256((self._key + name).encode("utf-8", "surrogatepass")).digest()
        return Random(int.from_bytes(digest))


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How much detail there is, how strong the colours are, and whether the background is transparent."""

    detail: float = 1.0
    tone: float = 1.0
    transparent: bool = False


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
    """Return the image of a prompt: RGB, or RGBA with background="transparent".

    `style` is "vivid", "natural" or the name of a style such as "watercolour". The same arguments give the
    same pixels on every machine.
    """
    scene = read_scene(prompt, negative=negative_prompt)
    scene = replace(scene, style=find_style(style) or scene.style)
    options = RenderOptions(DETAIL[quality], TONES.get(style or "", 1.0), background == "transparent")
    image = render(scene, RandomStreams(prompt, seed), (width, height), options)
    add_mark(image)
    return image


def render(
    scene: Scene, streams: RandomStreams, size: tuple[int, int], options: RenderOptions
) -> Image.Image:
    """Return the image of a scene without the mark: RGB, or RGBA if it is transparent."""
    sharp, (width, height) = _choose_resolution(*size)
    image = Image.new("RGB", (width * sharp, height * sharp), WHITE)
    mask = Image.new("L", image.size) if options.transparent else None
    _paint_scene(image, mask, scene, streams, options.detail)
    alpha = None
    if mask is None:
        image = image.reduce(sharp)
    else:
        cut = Image.merge("RGBA", (*image.split(), mask)).reduce(sharp)
        alpha = cut.getchannel("A")
        image = Image.new("RGB", cut.size, PAPER)
        image.paste(cut.convert("RGB"), (0, 0), alpha.point([0] + [255] * 255))
    if options.tone != 1.0:
        image = ImageEnhance.Color(image).enhance(options.tone)
    coloured = bool(scene.palette or scene.backdrop or any(figure.colours for figure in scene.figures))
    art = STYLES[scene.style or "flat"](Artwork(image, alpha, streams("style"), options.detail, coloured))
    if art.alpha is not None:
        art.image.putalpha(art.alpha)
    return art.image if art.image.size == size else art.image.resize(size, Image.Resampling.BICUBIC)


def make_partial(image: Image.Image, share: float) -> Image.Image:
    """Return the image as it is after a share (0..1) of the way: in large spots, then in small ones."""
    edge = min(image.size)
    spots = min(COARSEST * (FINEST / COARSEST) ** share, edge / 2)
    width, height = (max(1, round(side * spots / edge)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)


def encode(image: Image.Image, output_format: str = "png", output_compression: int = 100) -> bytes:
    """Return the image as png, jpeg or webp bytes; compression 0..100 is the quality of jpeg and webp."""
    options = {"compress_level": 4} if output_format == "png" else {"quality": output_compression}
    buffer = io.BytesIO()
    image.save(buffer, output_format.upper(), **options)
    return buffer.getvalue()


def encode_gif(image: Image.Image, count: int, duration: int) -> bytes:
    """Return an endless animation of `count` frames (2 or more) of `duration` milliseconds each.

    The camera moves into the image, which is the first frame, and back; the mark stays in place.
    """
    plain, (width, height), frames = remove_mark(image), image.size, [image]
    corner, plate = _find_corner(image), _draw_mark(image)[0]
    mark = image.crop((*corner, corner[0] + plate.width, corner[1] + plate.height))
    for k in range(1, count):
        turn = math.tau * k / count
        inset, aside = CLOSER * (1 - math.cos(turn)) / 2, math.sin(turn)
        left, top = round(width * inset * (1 + aside), 3), round(height * inset, 3)
        right, bottom = width - round(width * inset * (1 - aside), 3), height - top
        frames.append(plain.resize(image.size, Image.Resampling.BICUBIC, (left, top, right, bottom)))
        frames[-1].paste(mark, corner, plate)
    few = image.quantize(256, dither=Image.Dither.NONE)
    frames = [frame.quantize(palette=few, dither=Image.Dither.NONE) for frame in frames]
    buffer, pause = io.BytesIO(), min(round(duration, -1), LONGEST_PAUSE)
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=pause, loop=0)
    return buffer.getvalue()


def _choose_resolution(width: int, height: int) -> tuple[int, tuple[int, int]]:
    """Return the supersampling factor and the size before a last enlargement."""
    shrink = math.sqrt(min(1.0, PAINTED / (width * height)))
    size = max(16, int(width * shrink)), max(16, int(height * shrink))
    area = size[0] * size[1]
    return (4 if area < 150_000 else 3 if area < 600_000 else 2), size


def _paint_scene(
    image: Image.Image, mask: Image.Image | None, scene: Scene, streams: RandomStreams, detail: float
) -> None:
    """Paint everything, in place; the mask (L) becomes white where figures are."""
    land = _choose_landscape(image, scene, streams, detail)
    if land:
        paint_landscape(land)
    elif scene.figures:
        _paint_plain(image, scene, streams("ground"))
    else:
        named = (*filter(None, [scene.backdrop]), *scene.palette)
        paint_abstract(image, streams("abstract"), named=named, avoid=scene.avoid, detail=detail)
    if mask and not scene.figures:  # nothing to cut out: the image itself becomes round
        rim = min(mask.size) // 25
        ImageDraw.Draw(mask).ellipse((rim, rim, mask.width - rim, mask.height - rim), fill=255)
    scale = min(image.size)
    width, height = image.width / scale, image.height / scale
    frame = Frame(width, height, land.horizon if land else height * 0.72, landscape=land is not None)
    pens = Pen.on(image, scale, mask), Pen.on(image, scale)
    for item in arrange_figures(scene.figures, frame, streams("layout")):
        paint_figure(pens, scene, item, streams(f"colour {item.figure.name}"))
        if land and land.place in (PLACES["sea"], PLACES["beach"]):
            _paint_waterline(pens[0], item, land)
    if land and mask is None:
        _paint_foreground(land, scene)


def _choose_landscape(
    image: Image.Image, scene: Scene, streams: RandomStreams, detail: float
) -> Landscape | None:
    """Return the landscape behind the figures, or None where a plain background is right."""
    things = {figure.name: THINGS[figure.name] for figure in scene.figures if figure.name in THINGS}
    homes = [thing.home for thing in things.values()]
    place, time = scene.place, scene.time or ("night" if scene.style == "neon" else "")
    if not place and (scene.backdrop or not (homes or scene.time or scene.weather or scene.season)):
        return None
    if not place and set(homes) <= {"field", "forest", "autumn"}:
        place = scene.season
    place = place or {"rain": "rain", "snowfall": "snow"}.get(scene.weather) or [*homes, "field"][0]
    if place == "night":
        place, time = "forest", time or "night"
    grounded = {name for name, thing in things.items() if thing.where == "ground"}
    if place == "sea" and grounded - {"lighthouse"}:
        place = "beach"
    drawn = scene.avoid | {figure.name for figure in scene.figures}
    moon = not drawn & {"sun", "moon", "star", "crescent"}
    return Landscape(image, streams("scene"), PLACES[place], time, detail, moon=moon)


def _paint_plain(image: Image.Image, scene: Scene, rng: Random) -> None:
    """Paint a plain ground in the colour of the prompt, or in a quiet colour that sets the figures off."""
    if scene.backdrop:
        colour = find_colour(scene.backdrop)
    elif scene.style == "neon":
        colour = to_rgb("#241a4a")
    else:
        tones = [luminance(find_colour(name)) for figure in scene.figures for name in figure.colours]
        dark = bool(tones) and min(tones) > 205
        quiet = "#33475f #4a3f5c #2f5a5a" if dark else "#f8f1e4 #eef3f1 #f6ece6 #edf0f6 #f4f2e3"
        colour = rng.choice(to_rgbs(quiet))
    image.paste(make_gradient(image.size, shade_plain(colour)))
    centre = (image.width * 0.5, image.height * 0.42)
    add_glow(image, centre, min(image.size) * 0.95, mix(colour, WHITE, 0.4), 0.35)


def shade_plain(colour: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Return the colours of a plain ground from top to bottom."""
    return [mix(colour, WHITE, 0.05), mix(colour, INK, 0.04)]


def _paint_waterline(pen: Pen, item: Placed, land: Landscape) -> None:
    """Paint water in front of what floats."""
    thing = THINGS.get(item.figure.name)
    if not thing or thing.where != "water":
        return
    pen = pen.at(item.x, item.y, item.size, turn=item.turn, flip=item.flip)
    water = land.tone(mix(to_rgb("#2f86b3"), to_rgb("#1f6796"), 0.45), 0.4)
    top = 0.27 if item.figure.name == "whale" else 0.42
    crest = [(-0.4, top), (-0.2, top + 0.025), (0, top), (0.2, top + 0.025), (0.4, top)]
    pen.blob([(-0.62, 0.52), *crest, (0.62, 0.52), (0, 0.58)], water)
    for x in (-0.4, -0.02, 0.34):
        pen.stroke([(x - 0.1, top + 0.02), (x, top), (x + 0.1, top + 0.02)], 0.014, mix(water, WHITE, 0.6))


def _paint_foreground(land: Landscape, scene: Scene) -> None:
    """Paint what falls in front of the figures."""
    if scene.weather == "snowfall" or land.place is PLACES["snow"]:
        LAYERS["snowfall"](Landscape(land.image, land.rng, land.place, land.time, land.detail * 0.4))
    if scene.weather == "rain" or land.place is PLACES["rain"]:
        LAYERS["rain"](land)
    if scene.weather == "fog":
        LAYERS["fog"](land)


def measure_mark(image: Image.Image) -> tuple[int, int]:
    """Return width and height of the mark on an image, pixels."""
    height, pad = _measure_letters(image)
    width = sum(advance + GAP for advance, _ in LETTERS) * height - GAP * height
    return int(width + 2 * pad + 0.5), int(height + 1.6 * pad + 0.5)


def _measure_letters(image: Image.Image) -> tuple[float, float]:
    height = max(7.0, min(image.size) * 0.019)
    return height, height * 0.5


def _find_corner(image: Image.Image) -> tuple[int, int]:
    """Return the upper left corner of the mark in the lower right of the image."""
    box, margin = measure_mark(image), max(2, int(min(image.size) * 0.014))
    return image.width - box[0] - margin, image.height - box[1] - margin


def add_mark(image: Image.Image, corner: tuple[int, int] | None = None) -> None:
    """Put the mark into the image (RGB or RGBA), in place.

    `corner` is its upper left corner in pixels; without it the mark goes to the lower right.
    """
    corner = corner or _find_corner(image)
    width, height = box = measure_mark(image)
    area = (*corner, corner[0] + width, corner[1] + height)
    behind = image.crop(area).convert("RGB")
    red, green, blue = (int(mean) for mean in ImageStat.Stat(behind).mean)
    dark = luminance((red, green, blue)) < 128
    if image.mode == "RGBA" and image.getpixel(corner)[3] == 0:  # type: ignore[index]
        dark = False
    ink, paper = (WHITE, INK) if dark else (INK, WHITE)
    plate, letters = _draw_mark(image)
    image.paste(Image.new("RGB", box, paper), corner, plate.point(lambda v: v * 0.62))
    if image.mode == "RGBA":  # a paste through a mask mixes alpha too: the mark must be seen on nothing
        alpha = image.getchannel("A")
        shown = plate.point([v * 235 // 255 for v in range(256)])
        alpha.paste(ImageChops.lighter(alpha.crop(area), shown), corner)
        image.putalpha(alpha)
    image.paste(Image.new("RGB", box, ink), corner, letters)


def remove_mark(image: Image.Image) -> Image.Image:
    """Return the image (RGB or RGBA) without its mark, if any, in the lower right.

    An image that is put into another would bring a second mark along.
    """
    corner, box = _find_corner(image), measure_mark(image)
    if min(corner) < 0:
        return image
    area = (*corner, corner[0] + box[0], corner[1] + box[1])
    plate, letters = _draw_mark(image)
    if _correlate(image.crop(area).convert("L"), letters) < 0.6:  # the letters are not there
        return image
    covered = Image.new("L", image.size)
    covered.paste(plate.point([0] + [255] * 255), corner)
    clean = mend(image.convert("RGB"), covered)
    if image.mode == "RGBA":
        alpha = image.getchannel("A")
        around = alpha.crop((area[0] - 1, area[1] - 1, area[2] + 1, area[3] + 1))
        around.paste(0, (1, 1, around.width - 1, around.height - 1))
        if not around.histogram()[255]:  # nothing solid is about it
            alpha.paste(0, area)
        clean.putalpha(alpha)
    return clean


def _correlate(first: Image.Image, second: Image.Image) -> float:
    """Return the absolute correlation of two grey images, 0..1."""
    pairs = list(zip(first.tobytes(), second.tobytes(), strict=True))
    means = sum(a for a, _ in pairs) / len(pairs), sum(b for _, b in pairs) / len(pairs)
    both = sum((a - means[0]) * (b - means[1]) for a, b in pairs)
    spreads = sum((a - means[0]) ** 2 for a, _ in pairs) * sum((b - means[1]) ** 2 for _, b in pairs)
    return abs(both) / math.sqrt(spreads) if spreads else 0.0


def _draw_mark(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the plate of the mark and its letters (L)."""
    width, height = measure_mark(image)
    letter, pad = _measure_letters(image)
    plate, letters = (Image.new("L", (width * SHARP, height * SHARP)) for _ in range(2))
    Pen.on(Image.new("RGB", (1, 1)), SHARP, plate).box(0, 0, width, height, WHITE, r=pad)
    pen = Pen.on(Image.new("RGB", (1, 1)), SHARP, letters).at(pad, pad * 0.8, letter)
    x = 0.0
    for advance, drawing in LETTERS:
        paint_lines(pen.at(x, 0), drawing, Skin(WHITE, WHITE))
        x += advance + GAP
    return plate.reduce(SHARP), letters.reduce(SHARP)
