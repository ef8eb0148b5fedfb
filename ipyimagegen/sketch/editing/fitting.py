"""A picture brought to another ratio, whole: its ground goes on, or it is matted in its own colour."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw, ImageStat

from ipyimagegen.sketch.drawing.canvas import luminance, mix
from ipyimagegen.sketch.drawing.palette import INK, WHITE

SAME = 0.02  # by which ratios may differ and count as one
STRAY = 16  # levels that a side strays from its smooth course at most where ground goes on
CELLS = 7  # of that course
FEW = 0.02  # of a side's pixels may stray further


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the picture at that size, whole; one with transparency is transparent beside it."""
    if image.size == size:
        return image
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    whole = image.resize(inner, Image.Resampling.LANCZOS)
    if inner == size:
        return whole
    if abs(image.width * size[1] / (image.height * size[0]) - 1) < SAME:
        return image.resize(size, Image.Resampling.LANCZOS)
    corner = ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
    if image.mode == "RGBA":
        page = Image.new("RGBA", size)
    else:
        page = _continued(whole, size, corner) or _matted(whole, size, corner)
    page.paste(whole, corner)
    return page


def _continued(whole: Image.Image, size: tuple[int, int], corner: tuple[int, int]) -> Image.Image | None:
    """Return a page on which the ground at the picture's sides goes on; None where it is not plain."""
    page = Image.new("RGB", size)
    for box, side in _beside(whole, size, corner):
        course = _course(side)
        if course is None:
            return None
        page.paste(course.resize((box[2] - box[0], box[3] - box[1])), box[:2])
    return page


def _beside(
    whole: Image.Image, size: tuple[int, int], corner: tuple[int, int]
) -> list[tuple[tuple[int, int, int, int], Image.Image]]:
    """Return each area of the page beside the picture, with the side of the picture that meets it."""
    (width, height), (x, y) = whole.size, corner
    areas = [
        ((0, 0, size[0], y), (0, 0, width, 1)),
        ((0, y + height, size[0], size[1]), (0, height - 1, width, height)),
        ((0, 0, x, size[1]), (0, 0, 1, height)),
        ((x + width, 0, size[0], size[1]), (width - 1, 0, width, height)),
    ]
    return [(box, whole.crop(side)) for box, side in areas if box[0] < box[2] and box[1] < box[3]]


def _course(side: Image.Image) -> Image.Image | None:
    """Return the smooth course of a line of pixels, None if they stray from it."""
    length = max(side.size)
    few = tuple(min(edge, CELLS) for edge in side.size)
    course = side.resize((few[0], few[1]), Image.Resampling.BOX).resize(side.size, Image.Resampling.BICUBIC)
    red, green, blue = ImageChops.difference(side, course).split()
    apart = ImageChops.lighter(ImageChops.lighter(red, green), blue).histogram()
    return course if sum(apart[STRAY + 1 :]) <= FEW * length else None


def _matted(whole: Image.Image, size: tuple[int, int], corner: tuple[int, int]) -> Image.Image:
    """Return a page in the colour of the picture's sides, with a fine line around the picture."""
    sides = [ImageStat.Stat(side).mean for _, side in _beside(whole, size, corner)]
    red, green, blue = (round(sum(side[i] for side in sides) / len(sides)) for i in range(3))
    colour = red, green, blue
    page = Image.new("RGB", size, colour)
    thick = max(1, min(size) // 200)
    (x, y), (width, height) = corner, whole.size
    ImageDraw.Draw(page).rectangle(
        (x - thick, y - thick, x + width + thick - 1, y + height + thick - 1),
        fill=mix(colour, INK if luminance(colour) > 128 else WHITE, 0.25),
    )
    return page
