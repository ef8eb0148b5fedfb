"""Text on a sheet, with the one font that Pillow brings: few scripts, so what it lacks is replaced."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

from PIL import ImageDraw, ImageFont

from ipyimagegen.safe import plain

LIKE = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "ß": "ss"}
)
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@functools.cache
def font(size: int) -> Font:
    """Return Pillow's own font at that size in pixels."""
    return ImageFont.load_default(size)


def legible(text: str, otherwise: str) -> str:
    """Return `text` in characters that the font has, accents dropped if need be, or `otherwise`."""
    shown = "".join(c if _has(c) else _bare(c) for c in plain(text, 120).translate(LIKE))
    return shown if all(map(_has, shown)) else otherwise


def _bare(char: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c)) or char


@functools.cache
def _has(char: str) -> bool:
    missing = "\U0010ffff"  # never a character, so it is drawn as the box for missing ones
    return char == " " or bytes(font(16).getmask(char)) != bytes(font(16).getmask(missing))


def cut(text: str, width: float, size: int) -> str:
    """Return `text`, shortened with an ellipsis to `width` pixels."""
    face = font(size)
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…" if text else ""


def wrapped(text: str, width: float, most: int, size: int) -> list[str]:
    """Return `text` in at most `most` lines of `width` pixels; the last one is cut."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most:
        line = words.pop(0)
        while words and font(size).getlength(f"{line} {words[0]}") <= width:
            line = f"{line} {words.pop(0)}"
        lines.append(line)
    if words and lines:
        lines[-1] = f"{lines[-1]} {words[0]}"
    return [cut(line, width, size) for line in lines]


def centred(
    draw: ImageDraw.ImageDraw,
    middle: tuple[float, float],
    lines: Sequence[str],
    *,
    width: float,
    size: int,
    ink: str,
) -> None:
    """Write the lines around `middle`, each cut to `width` pixels."""
    step = size * 3 // 2
    top = middle[1] - step * (len(lines) - 1) / 2
    for row, line in enumerate(lines):
        text = cut(line, width, size)
        if text:
            draw.text((middle[0], top + row * step), text, font=font(size), fill=ink, anchor="mm")
