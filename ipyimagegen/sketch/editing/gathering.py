"""Several pictures brought into one: inset, side by side, as a collage, merged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from ipyimagegen.sketch.drawing.canvas import gradient, mix, rgb
from ipyimagegen.sketch.drawing.palette import WHITE
from ipyimagegen.sketch.editing.fitting import fitted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

PLATE = rgb("#efe9df")


def cover(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the middle of the picture at that size."""
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def side_by_side(images: Sequence[Image.Image], size: tuple[int, int], _: Random) -> Image.Image:
    """Return the pictures in rows as few as keep them large, on a plain page."""
    page = Image.new("RGB", size, PLATE)
    gap = max(2, round(min(size) * 0.02))
    wide = sum(i.width / i.height for i in images) / len(images)

    def cell(columns: int) -> float:
        rows = -(-len(images) // columns)
        return min((size[0] - gap) / columns - gap, ((size[1] - gap) / rows - gap) * wide)

    columns = max(range(1, len(images) + 1), key=cell)
    rows = -(-len(images) // columns)
    for row in range(rows):
        shown = images[row * columns : (row + 1) * columns]
        room = (size[1] - gap) / rows - gap
        height = min(room, (size[0] - gap * (len(shown) + 1)) / sum(i.width / i.height for i in shown))
        left = (size[0] - sum(height * i.width / i.height + gap for i in shown) + gap) / 2
        top = gap + row * (room + gap) + (room - height) / 2
        for image in shown:
            extent = max(1, int(height * image.width / image.height)), max(1, int(height))
            small = image.resize(extent, Image.Resampling.LANCZOS)
            page.paste(small.convert("RGB"), (round(left), round(top)), _alpha(small))
            left += extent[0] + gap
    return page


def collage(images: Sequence[Image.Image], size: tuple[int, int], rng: Random) -> Image.Image:
    """Return the pictures as prints strewn over a table in rows."""
    page = gradient(size, (rgb("#d9cdbb"), rgb("#c8b9a3")))
    columns = max(1, round(math.sqrt(len(images) * size[0] / size[1])))
    rows = -(-len(images) // columns)
    for row in range(rows):
        shown = images[row * columns : (row + 1) * columns]
        for k, image in enumerate(shown):
            room = size[0] / len(shown), size[1] / rows
            edge = min(room) * 0.93 if len(images) > 1 else min(room) * 0.8
            scale = min(
                min(room[0] * 0.86, edge * 1.25) / image.width, min(room[1] * 0.8, edge) / image.height
            )
            centre = (room[0] * (k + 0.5), room[1] * (row + 0.5))
            _print(page, image, scale, centre, rng.uniform(-5, 5))
    return page


def merged(images: Sequence[Image.Image], size: tuple[int, int], _: Random) -> Image.Image:
    """Return all pictures exposed over each other."""
    page = cover(images[0], size).convert("RGB")
    for k, image in enumerate(images[1:], 2):
        over = cover(image, size)
        mixed = Image.blend(page, over.convert("RGB"), 1 / k)
        page = Image.composite(
            Image.blend(mixed, ImageChops.soft_light(page, over.convert("RGB")), 0.35), page,
            _alpha(over) or Image.new("L", size, 255),
        )  # fmt: skip
    return page


def inset(images: Sequence[Image.Image], size: tuple[int, int], rng: Random) -> Image.Image:
    """Return the first picture with the others in it: prints up its right side, cut-outs on its ground."""
    page = fitted(images[0], size).copy()
    cuts = [i for i in images[1:] if _cut_out(i)]
    prints = [i for i in images[1:] if not _cut_out(i)]
    edge = min(size)
    if cuts:
        room = size[0] * 0.94 / len(cuts)
        for k, image in enumerate(cuts):
            image = image.crop(image.getchannel("A").getbbox())  # noqa: PLW2901 - the same without its margin
            scale = min(room * 0.92 / image.width, edge * 0.56 / image.height)
            extent = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            small = image.resize(extent, Image.Resampling.LANCZOS)
            left = size[0] * 0.03 + room * (k + 0.5) if len(cuts) > 1 else size[0] * rng.choice((0.26, 0.74))
            _over(page, small, (round(left - extent[0] / 2), round(size[1] * 0.95 - extent[1])))
    places = _margins(len(prints), size)
    for image, (centre, room) in zip(prints, places, strict=True):
        scale = min(room / image.width, room / image.height)
        _print(page, image, scale, centre, rng.uniform(-4, 4))
    return page


def into(page: Image.Image, others: Sequence[Image.Image], rng: Random) -> Image.Image:
    """Return the others at the size of the page: one covers it, a cut-out stands on it, more are strewn."""
    if len(others) > 1:
        return collage(others, page.size, rng)
    if not _cut_out(others[0]):
        return cover(others[0], page.size)
    whole = others[0].crop(others[0].getchannel("A").getbbox())
    scale = min(page.width / whole.width, page.height / whole.height)
    extent = max(1, round(whole.width * scale)), max(1, round(whole.height * scale))
    page = page.copy()
    corner = (page.width - extent[0]) // 2, page.height - extent[1]
    _over(page, whole.resize(extent, Image.Resampling.LANCZOS), corner)
    return page


def _margins(count: int, size: tuple[int, int]) -> list[tuple[tuple[float, float], float]]:
    """Return centre and room of prints: one in the corner, a few in a column, many in two columns."""
    edge = min(size)
    sides = 1 if count <= 4 else 2
    rows = -(-count // sides)
    room = min(edge * (0.42 if count == 1 else 0.31), size[1] * 0.84 / max(rows, 1))
    found = []
    for k in range(count):
        side, row = k // rows, k % rows
        here = min(rows, count - side * rows)
        x = size[0] - room * 0.62 if side == 0 else room * 0.62
        y = size[1] * (row + 0.5) / here if count > 1 else size[1] - room * 0.62
        found.append(((x, y), room))
    return found


def _cut_out(image: Image.Image) -> bool:
    """Return whether the picture is a figure on nothing."""
    return image.mode == "RGBA" and image.getchannel("A").histogram()[0] > 0.12 * image.width * image.height


def _alpha(image: Image.Image) -> Image.Image | None:
    return image.getchannel("A") if image.mode == "RGBA" else None


def _print(
    page: Image.Image, image: Image.Image, scale: float, centre: tuple[float, float], turn: float
) -> None:
    """Lay a print with its white border and shadow on the page, in place."""
    extent = max(8, round(image.width * scale)), max(8, round(image.height * scale))
    rim = max(2, round(min(extent) * 0.045))
    card = Image.new("RGBA", (extent[0] + 6 * rim, extent[1] + 6 * rim))
    ImageDraw.Draw(card).rectangle(
        (2 * rim, 2 * rim, extent[0] + 4 * rim - 1, extent[1] + 4 * rim - 1),
        fill=(*mix(WHITE, PLATE, 0.2), 255),
    )
    small = image.resize(extent, Image.Resampling.LANCZOS)
    card.paste(small.convert("RGB"), (3 * rim, 3 * rim), _alpha(small))
    shadow = Image.new("RGBA", card.size, (24, 20, 30, 0))
    shadow.putalpha(card.getchannel("A").point([v * 110 // 255 for v in range(256)]))
    shadow = shadow.filter(ImageFilter.GaussianBlur(rim * 0.7))
    corner = round(centre[0] - card.width / 2), round(centre[1] - card.height / 2)
    for piece, drop in ((shadow, rim // 2 + 1), (card, 0)):
        turned = piece.rotate(turn, Image.Resampling.BICUBIC)
        _over(page, turned, (corner[0] + drop // 2, corner[1] + drop))


def _over(page: Image.Image, image: Image.Image, corner: tuple[int, int]) -> None:
    """Lay a picture with transparency on the page, in place; what sticks out is left out."""
    if page.mode == "RGBA":
        layer = Image.new("RGBA", page.size)
        layer.paste(image, corner)
        page.alpha_composite(layer)
    else:
        page.paste(image.convert("RGB"), corner, image.getchannel("A"))


ARRANGE = {"beside": side_by_side, "collage": collage, "merged": merged, "": inset}
