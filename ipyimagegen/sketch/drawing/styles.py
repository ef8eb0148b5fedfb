"""Styles: each turns a flat image into an image that looks painted, drawn or printed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps, ImageStat

from ipyimagegen.sketch.drawing.canvas import make_curve
from ipyimagegen.sketch.drawing.palette import to_rgb

PAPER = to_rgb("#fdfaf3")
RICE = to_rgb("#f4ecd9")


@dataclass(frozen=True, slots=True)
class Artwork:
    """What a style takes and returns: the image (RGB) and, where it is transparent, its alpha (L).

    `coloured` is whether the prompt names colours.
    """

    image: Image.Image
    alpha: Image.Image | None
    rng: Random
    detail: float
    coloured: bool

    @property
    def edge(self) -> int:
        """The short edge, pixels."""
        return min(self.image.size)

    @property
    def unit(self) -> float:
        """Pixels for a pixel of an image of 1024."""
        return self.edge / 1024

    def fill(self, colour: tuple[int, int, int]) -> Image.Image:
        """Return an even image of the same size."""
        return Image.new("RGB", self.image.size, colour)

    def noise(self, cells: int) -> Image.Image:
        """Return smooth noise (L) of the same size."""
        return make_noise(self.image.size, cells, self.rng)

    def grain(self, depth: int, cells: int = 512) -> Image.Image:
        """Return a paper texture (L) around white, `depth` levels deep, in tiles of `cells` pixels."""
        noise = Image.frombytes("L", (cells, cells), self.rng.randbytes(cells * cells))
        tile = noise.filter(ImageFilter.BoxBlur(0.7))
        tile = tile.point(make_curve(lambda v: 255 - int(depth * (1 + (128 - v) / 48) / 2)))
        sheet = Image.new("L", self.image.size)
        for x in range(0, sheet.width, cells):
            for y in range(0, sheet.height, cells):
                sheet.paste(tile, (x, y))
        return sheet

    def bend(self, cells: int, amount: float) -> Artwork:
        """Return it with outlines bent a little, as a hand does; `amount` is a share of the short edge."""
        width, height = self.image.size
        step = max(4, self.edge // cells)
        reach = amount * self.edge
        columns, rows = -(-width // step), -(-height // step)
        nodes = {
            (i, j): (
                i * step + (0 if i in (0, columns) else self.rng.uniform(-reach, reach)),
                j * step + (0 if j in (0, rows) else self.rng.uniform(-reach, reach)),
            )
            for j in range(rows + 1)
            for i in range(columns + 1)
        }
        mesh = []
        for j in range(rows):
            for i in range(columns):
                box = (i * step, j * step, min((i + 1) * step, width), min((j + 1) * step, height))
                corners = (nodes[k] for k in ((i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)))
                quad = [(min(max(x, 0.0), width), min(max(y, 0.0), height)) for x, y in corners]
                mesh.append((box, tuple(value for point in quad for value in point)))
        bent = [
            band and band.transform(band.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
            for band in (self.image, self.alpha)
        ]
        assert bent[0]
        return replace(self, image=bent[0], alpha=bent[1])


def make_noise(size: tuple[int, int], cells: int, rng: Random) -> Image.Image:
    """Return smooth noise (L) with about `cells` cells along the short edge."""
    short = min(size)
    width, height = (max(2, side * cells // short) for side in size)
    noise = Image.frombytes("L", (width, height), rng.randbytes(width * height))
    return noise.resize(size, Image.Resampling.BICUBIC)


def _to_rgb_image(sheet: Image.Image) -> Image.Image:
    return Image.merge("RGB", (sheet, sheet, sheet))


def _multiply(image: Image.Image, sheet: Image.Image) -> Image.Image:
    """Return the image darkened by a grey sheet."""
    return ImageChops.multiply(image, _to_rgb_image(sheet))


def _darken_edges(image: Image.Image, radius: float, strength: float) -> Image.Image:
    """Darken the darker side of every edge: pigment gathers where a wash ends."""
    halo = ImageChops.subtract(image.filter(ImageFilter.GaussianBlur(radius)), image)
    return ImageChops.subtract(image, halo.point(make_curve(lambda v: v * strength) * 3))


def _find_edges(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius)).filter(ImageFilter.FIND_EDGES)


def _make_ragged_mask(art: Artwork) -> Image.Image:
    """Return a mask of the painted area: the paper stays bare along a ragged edge."""
    small = max(8, art.image.width * 256 // art.edge), max(8, art.image.height * 256 // art.edge)
    mask = Image.new("L", small)
    ImageDraw.Draw(mask).rectangle((8, 8, small[0] - 9, small[1] - 9), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(3))
    for cells, depth in ((9, 0.3), (34, 0.4), (90, 0.3)):
        ragged = make_noise(small, cells, art.rng)
        ragged = ragged.point([int(128 + (v - 128) * depth) for v in range(256)])
        mask = ImageChops.add(mask, ragged, 1.0, -128)
    mask = mask.resize(art.image.size, Image.Resampling.BICUBIC)
    return mask.point(make_curve(lambda v: (v - 112) * 8))


def apply_watercolour(art: Artwork) -> Artwork:
    """Paint washes on rough paper: bent outlines, blooms, pigment along the edges, a ragged border."""
    art = art.bend(22, 0.0075).bend(64, 0.0028)
    image, paper = ImageEnhance.Color(art.image).enhance(1.12), art.fill(PAPER)
    image = Image.blend(image, paper, 0.12)
    soft = image.filter(ImageFilter.GaussianBlur(5 * art.unit))
    image = Image.composite(soft, image, art.noise(9).point(make_curve(lambda v: min(150, (v - 160) * 3))))
    blooms = ImageChops.blend(art.noise(5), art.noise(17), 0.42).point(make_curve(lambda v: (v - 84) * 2))
    image = Image.composite(Image.blend(image, paper, 0.4), image, blooms)
    if art.alpha is None:
        image = Image.composite(image, paper, _make_ragged_mask(art))
    image = _darken_edges(image, 5 * art.unit, 0.62)
    image = _darken_edges(image, 1.6 * art.unit, 0.5)
    return replace(art, image=_multiply(image, ImageChops.multiply(art.grain(12), art.grain(6, 300))))


def _draw_hatching(art: Artwork, angle: float, gap: float) -> Image.Image:
    """Return a sheet (L) of pencil strokes at an angle of degrees, neither level nor upright."""
    width, height = art.image.size
    sheet = Image.new("L", (width, height), 255)
    graphite = ImageDraw.Draw(sheet)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    reach = (width * abs(sin) + height * abs(cos)) / 2
    for k in range(int(2 * reach / gap) + 1):
        offset = -reach + k * gap + art.rng.uniform(-gap, gap) * 0.35
        # the part of the line that lies on the sheet
        across = sorted((side * width / 2 + offset * sin) / cos for side in (-1, 1))
        down = sorted((side * height / 2 - offset * cos) / sin for side in (-1, 1))
        along, end = max(across[0], down[0]) - gap, min(across[1], down[1])
        while along < end:
            length = max(24.0, art.edge * art.rng.uniform(0.05, 0.16))
            ends = []
            for t in (along, along + length * 0.94):
                bend = offset + art.rng.uniform(-gap, gap) * 0.3
                x, y = width / 2 + t * cos - bend * sin, height / 2 + t * sin + bend * cos
                ends.append((round(round(x, 3)), round(round(y, 3))))
            tone = art.rng.choice((70, 95, 120, 150))
            graphite.line(ends, fill=tone, width=max(1, round(gap * 0.42)))
            along += length
    return sheet.filter(ImageFilter.GaussianBlur(0.7))


def apply_pencil(art: Artwork) -> Artwork:
    """Draw hatching and outlines: crayons where the prompt names colours, graphite otherwise."""
    art = art.bend(30, 0.003)
    size, unit = art.image.size, art.unit
    grey = ImageOps.autocontrast(ImageOps.grayscale(art.image), cutoff=1)
    grey = grey.point([int(255 * (v / 255) ** 0.72) for v in range(256)])
    gap = max(3.0, 6.5 * unit)
    hatchings = [
        (_draw_hatching(art, angle, width), level)
        for angle, width, level in ((-52, gap, 205), (-34, gap, 120), (40, gap * 0.8, 62))
    ]
    white = Image.new("L", size, 255)
    tone = white
    for sheet, level in hatchings:
        depth = grey.point([max(0, min(255, int((level + 40 - v) * 2.4))) for v in range(256)])
        tone = ImageChops.darker(tone, Image.composite(sheet, white, depth))
    edges = ImageOps.grayscale(_find_edges(art.image, 1.2 * unit + 0.3))
    outline = ImageOps.invert(edges.point(make_curve(lambda v: min(235, v * 7))))
    ImageDraw.Draw(outline).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=255, width=3)
    if art.coloured:
        paper = art.fill(PAPER)
        dense, thin = Image.blend(art.image, paper, 0.22), Image.blend(art.image, paper, 0.62)
        image = _multiply(Image.composite(dense, thin, ImageOps.invert(tone)), outline)
    else:
        lines = ImageChops.multiply(tone.point([int(255 - (255 - v) * 0.8) for v in range(256)]), outline)
        shade = grey.point([200 + v * 55 // 255 for v in range(256)])
        image = _multiply(ImageOps.colorize(lines, to_rgb("#3a3a40"), PAPER), shade)
    return replace(art, image=_multiply(image, art.grain(22)))


# length, how many, and between which levels of detail, coarse strokes first
STROKES = ((0.05, 1800, 0, 6), (0.026, 4200, 0, 14), (0.011, 9000, 7, 255), (0.006, 9000, 26, 255))


def apply_oil(art: Artwork) -> Artwork:
    """Paint thick strokes in the colours beneath: coarse where it is calm, fine where there is detail."""
    vivid = ImageEnhance.Color(art.image).enhance(1.18)
    source = vivid.filter(ImageFilter.GaussianBlur(art.edge / 900))
    width, height = source.size
    flow = art.noise(4).tobytes()
    busy = ImageOps.grayscale(source.filter(ImageFilter.FIND_EDGES))
    calm = busy.filter(ImageFilter.BoxBlur(art.edge / 100)).tobytes()
    colours, canvas = source.tobytes(), source.copy()
    brush = ImageDraw.Draw(canvas)
    density = min(width * height / art.edge**2, 4.0) * min(art.detail, 1.6)
    for length, count, least, most in STROKES:
        reach = length * art.edge / 2
        for _ in range(int(count * density)):
            x, y = int(art.rng.random() * width), int(art.rng.random() * height)
            lift, here = art.rng.randrange(-13, 14), y * width + x
            if not least <= calm[here] <= most:
                continue
            angle = flow[here] / 255 * math.pi * 1.6
            dx, dy = round(math.cos(angle) * reach, 3), round(math.sin(angle) * reach * 0.8, 3)
            red, green, blue = (max(0, min(255, c + lift)) for c in colours[here * 3 : here * 3 + 3])
            ends = [(round(x - dx), round(y - dy)), (round(x + dx), round(y + dy))]
            brush.line(ends, fill=(red, green, blue), width=max(1, round(reach * 0.55)))
    relief = ImageOps.grayscale(canvas).filter(ImageFilter.EMBOSS)
    relief = relief.point([128 + int((v - 128) * 0.4) for v in range(256)])
    calmed = canvas.filter(ImageFilter.GaussianBlur(art.edge / 1500))
    return replace(art, image=ImageChops.overlay(calmed, _to_rgb_image(relief)))


def apply_pixel(art: Artwork) -> Artwork:
    """Paint large pixels in few colours."""
    size = art.image.size
    fine = 96 if art.detail > 1 else 72
    grid = max(8, size[0] * fine // art.edge), max(8, size[1] * fine // art.edge)
    small = ImageEnhance.Color(art.image.resize(grid, Image.Resampling.BOX)).enhance(1.15)
    small = small.quantize(28, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    alpha = art.alpha
    if alpha:
        alpha = alpha.resize(grid, Image.Resampling.BOX).point([0] * 128 + [255] * 128)
        alpha = alpha.resize(size, Image.Resampling.NEAREST)
    return replace(art, image=small.resize(size, Image.Resampling.NEAREST), alpha=alpha)


def apply_ink(art: Artwork) -> Artwork:
    """Paint washes of black ink on rice paper; colours that the prompt names stay as pale tints."""
    art = art.bend(16, 0.01).bend(60, 0.0035)
    unit, rice = art.unit, art.fill(RICE)
    grey = ImageOps.autocontrast(ImageOps.grayscale(art.image), cutoff=2)
    grey = grey.point([int(255 * (v / 255) ** 0.8) for v in range(256)])
    wash = ImageOps.colorize(grey, to_rgb("#1d1f24"), RICE, mid=to_rgb("#8d8b86"))
    if art.coloured:
        tint = ImageChops.multiply(ImageEnhance.Color(art.image).enhance(1.2), rice)
        wash = Image.blend(wash, tint, 0.72)
    soft = wash.filter(ImageFilter.GaussianBlur(7 * unit))
    wash = Image.composite(soft, wash, art.noise(5).point(make_curve(lambda v: (v - 150) * 3)))
    dry = ImageChops.blend(art.noise(4), art.noise(22), 0.4).point(make_curve(lambda v: (v - 100) * 2))
    wash = Image.composite(Image.blend(wash, rice, 0.42), wash, dry)
    if art.alpha is None:
        wash = Image.composite(wash, rice, _make_ragged_mask(art))
    wash = _darken_edges(_darken_edges(wash, 6 * unit, 0.7), 2 * unit, 0.6)
    return replace(art, image=_multiply(wash, art.grain(14)))


def apply_neon(art: Artwork) -> Artwork:
    """Draw glowing outlines on the dark."""
    size = art.image.size
    lively = ImageEnhance.Color(art.image).enhance(1.9)
    red, green, blue = _find_edges(art.image, 1.5 * art.unit).split()
    mask = ImageChops.lighter(ImageChops.lighter(red, green), blue).filter(ImageFilter.MaxFilter(5))
    mask = mask.point(make_curve(lambda v: (v - 7) * 6))
    ImageDraw.Draw(mask).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=0, width=5)
    bright = lively.filter(ImageFilter.MaxFilter(5)).point(make_curve(lambda v: v * 1.9 + 10) * 3)
    tubes = Image.composite(bright, art.fill((0, 0, 0)), mask)
    # a light image is dimmed more, so that the tubes are always the brightest
    dim = min(1.0, 70 / (ImageStat.Stat(ImageOps.grayscale(art.image)).mean[0] + 1))
    image = ImageChops.multiply(lively, art.fill((int(96 * dim), int(80 * dim), int(128 * dim))))
    image = ImageChops.screen(image, tubes)
    for radius, share in ((4, 0.9), (14, 0.8), (40, 0.7)):
        halo = tubes.filter(ImageFilter.GaussianBlur(radius * art.unit))
        image = ImageChops.screen(image, halo.point([min(255, int(v * share)) for v in range(256)] * 3))
    return replace(art, image=image)


def apply_mono(art: Artwork) -> Artwork:
    """Return it in black and white."""
    grey = ImageOps.autocontrast(ImageOps.grayscale(art.image), cutoff=0.5)
    return replace(art, image=grey.convert("RGB"))


def apply_sepia(art: Artwork) -> Artwork:
    """Return it as an old photograph."""
    grey = ImageOps.autocontrast(ImageOps.grayscale(art.image), cutoff=1)
    toned = ImageOps.colorize(grey, to_rgb("#2f2117"), to_rgb("#f8ecd4"), mid=to_rgb("#a98660"))
    return replace(art, image=_multiply(toned, art.grain(14)))


# every function above whose name begins with apply_, by the rest of its name
STYLES: dict[str, Callable[[Artwork], Artwork]] = {
    name.removeprefix("apply_"): value for name, value in globals().items() if name.startswith("apply_")
} | {"flat": lambda art: art}
