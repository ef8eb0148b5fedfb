"""Paper and brush: noise, grain, bent outlines, ragged borders; what the styles share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from ipyimagegen.sketch.drawing.canvas import rgb

if TYPE_CHECKING:
    from random import Random

PAPER = rgb("#fdfaf3")
RICE = rgb("#f4ecd9")


@dataclass(frozen=True, slots=True)
class Print:
    """The picture on its way, with what styles need to know."""

    image: Image.Image
    alpha: Image.Image | None
    rng: Random
    detail: float
    coloured: bool

    @property
    def edge(self) -> int:
        """The short edge, pixels."""
        return min(self.image.size)


def clouds(size: tuple[int, int], cells: int, rng: Random) -> Image.Image:
    """Return smooth noise (L) with about `cells` cells along the short edge."""
    short = min(size)
    grid = tuple(max(2, side * cells // short) for side in size)
    noise = Image.frombytes("L", (grid[0], grid[1]), rng.randbytes(grid[0] * grid[1]))
    return noise.resize(size, Image.Resampling.BICUBIC)


def grain(size: tuple[int, int], rng: Random, depth: int, cells: int = 512) -> Image.Image:
    """Return a paper texture (L) around white, `depth` levels deep."""
    tile = Image.frombytes("L", (cells, cells), rng.randbytes(cells * cells)).filter(ImageFilter.BoxBlur(0.7))
    tile = tile.point([max(0, min(255, 255 - int(depth * (1 + (128 - v) / 48) / 2))) for v in range(256)])
    sheet = Image.new("L", size)
    for x in range(0, size[0], cells):
        for y in range(0, size[1], cells):
            sheet.paste(tile, (x, y))
    return sheet


def tint(sheet: Image.Image) -> Image.Image:
    """Return a grey sheet as RGB, for chops."""
    return Image.merge("RGB", (sheet, sheet, sheet))


def wobble(picture: Print, cells: int, amount: float) -> Print:
    """Bend every outline a little, as a hand does; `amount` is a share of the short edge."""
    width, height = picture.image.size
    step = max(4, picture.edge // cells)
    reach = amount * picture.edge
    columns, rows = -(-width // step), -(-height // step)
    nodes = {
        (i, j): (
            i * step + (0 if i in (0, columns) else picture.rng.uniform(-reach, reach)),
            j * step + (0 if j in (0, rows) else picture.rng.uniform(-reach, reach)),
        )
        for j in range(rows + 1)
        for i in range(columns + 1)
    }
    mesh = [
        (
            (i * step, j * step, min((i + 1) * step, width), min((j + 1) * step, height)),
            tuple(
                min(max(v, 0.0), limit)
                for corner in ((i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j))
                for v, limit in zip(nodes[corner], (width, height), strict=True)
            ),
        )
        for j in range(rows)
        for i in range(columns)
    ]

    def bend(image: Image.Image) -> Image.Image:
        return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)

    return replace(picture, image=bend(picture.image), alpha=bend(picture.alpha) if picture.alpha else None)


def gather(image: Image.Image, radius: float, strength: float) -> Image.Image:
    """Darken the darker side of every edge: pigment gathers where a wash ends."""
    halo = ImageChops.subtract(image.filter(ImageFilter.GaussianBlur(radius)), image)
    return ImageChops.subtract(image, halo.point([min(255, int(v * strength)) for v in range(256)] * 3))


def deckle(picture: Print) -> Image.Image:
    """Return a mask of the painted area: the paper stays bare along a ragged edge."""
    width, height = picture.image.size
    small = (max(8, width * 256 // picture.edge), max(8, height * 256 // picture.edge))
    mask = Image.new("L", small)
    ImageDraw.Draw(mask).rectangle((8, 8, small[0] - 9, small[1] - 9), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(3))
    for cells, depth in ((9, 0.3), (34, 0.4), (90, 0.3)):
        ragged = clouds(small, cells, picture.rng).point([int(128 + (v - 128) * depth) for v in range(256)])
        mask = ImageChops.add(mask, ragged, 1.0, -128)
    mask = mask.resize((width, height), Image.Resampling.BICUBIC)
    return mask.point([max(0, min(255, (v - 112) * 8)) for v in range(256)])
