"""Draw what stands in place of an image that is not opened: its format and the name of its file."""

from __future__ import annotations

from PIL import Image, ImageDraw

from ipyimagegen.imaging.lettering import draw_lines, measure_line, wrap

_PAPER, _SHEET, _FOLD, _EDGE = "#f4f5f7", "#ffffff", "#e4e6ea", "#b6bcc6"
_INK, _SOFT = "#3c424b", "#7a828e"
_SMALL = 11  # pixels: smaller letters are not drawn
_SHORT = 16  # characters of a name


def draw_placeholder(title: str, name: str, edge: int) -> Image.Image:
    """Return the drawing of a file, `edge` pixels wide, with the title of its format and its name.

    A long name is shortened to its beginning and its suffix, and left out where the drawing is small.
    """
    size = edge, max(1, edge * 3 // 4)
    image = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=_FOLD)
    line = max(_SMALL, edge // 40)
    named = size[1] >= 8 * measure_line(line)
    room = size[1] - 2 * measure_line(line) * named
    height, width = room * 7 // 10, room * 11 // 20
    left, top = (size[0] - width) // 2, (room - height) // 2 + size[1] // 40
    right, bottom, fold = left + width, top + height, width // 4
    outline = [(left, top), (right - fold, top), (right, top + fold), (right, bottom), (left, bottom)]
    draw.polygon(outline, fill=_SHEET, outline=_EDGE)
    draw.polygon(
        [(right - fold, top), (right - fold, top + fold), (right, top + fold)], fill=_FOLD, outline=_EDGE
    )
    letters = max(_SMALL, width // max(4, len(title)))
    middle = ((left + right) / 2, top + height * 0.58)
    draw_lines(draw, middle, [title], width=width, size=letters, ink=_INK)
    if named:
        stem, dot, suffix = name.rpartition(".")
        short = f"{stem[:_SHORT]}…{dot}{suffix}"
        text = name if wrap(name, size[0] * 0.9, 1, line) == [name] else short
        draw_lines(draw, (size[0] / 2, (bottom + size[1]) / 2), [text], width=size[0], size=line, ink=_SOFT)
    return image
