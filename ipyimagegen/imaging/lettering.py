"""Text on a sheet: what can be read, how it breaks into lines, and how it is written."""

from __future__ import annotations

import bisect
import itertools
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence

from PIL import ImageDraw

from ipyimagegen.core.text import sanitize
from ipyimagegen.imaging import fonts

LIKE = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "ß": "ss"}
)
font = fonts.own

# Where a line may break: at a blank, after a hyphen inside a word, and around every character of
# Chinese, Japanese and Korean; but a closing mark never begins a line, nor does an opening one end it.
_WIDE = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_OPENING, _CLOSING = "（「『《〈【［｛〔", "，。、；：！？）」』》〉】］｝〕ー々"
_PIECE = re.compile(
    rf" ?[{_OPENING}]*(?:[{_WIDE}]|[^ {_WIDE}]+?(?:(?<=\w[-/_])(?=\w)|(?=[ {_WIDE}]|$)))[{_CLOSING}]*"
)


def step(size: int) -> int:
    """Return the height of a line of text of that size."""
    return size * 3 // 2


def legible(text: str, otherwise: str, most: int = 120) -> str:
    """Return the first `most` characters of `text` as they can be drawn, or `otherwise`.

    Punctuation that is missing is replaced by what looks alike; accents are dropped if need be.
    """
    given = unicodedata.normalize("NFC", sanitize(text, most))
    shown = _drawn(given)
    if shown is None:
        shown = "".join(c if fonts.own_draws(c) else _bare(c) for c in given.translate(LIKE)).strip()
        return shown if shown and fonts.draws(shown) else otherwise
    return shown


def whole(text: str, size: int) -> str | None:
    """Return `text` as it can be drawn on one line, or None where anything of it would be lost."""
    given = sanitize(text, len(text) + 1)
    if given != " ".join(text.split()):
        return None  # it holds what is invisible, and may matter
    shown = _drawn(unicodedata.normalize("NFC", given))
    if not shown:
        return shown
    _, top, _, bottom = fonts.face(shown, size).getbbox(shown, anchor="lm")
    return shown if max(-top, bottom) <= step(size) / 2 else None  # piled up accents


def _drawn(text: str) -> str | None:
    """Return `text` as it is, or with punctuation that looks alike, where a font here has all of it."""
    alike = text.translate(LIKE)
    if fonts.own_draws(alike):
        return alike
    return text if fonts.draws(text) else None


def _bare(char: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c)) or char


def breadths(text: str, size: int) -> tuple[float, float]:
    """Return how wide `text` is in one line, and in two that are as even as it allows."""
    face = fonts.face(text, size)
    pieces = _PIECE.findall(text)

    def halves(count: int) -> tuple[float, float]:
        first, second = "".join(pieces[:count]), "".join(pieces[count:])
        return face.getlength(first.strip()), face.getlength(second.strip())

    def longer(count: int) -> bool:
        first, second = halves(count)
        return first >= second

    near = bisect.bisect_left(range(len(pieces)), True, key=longer)
    one = face.getlength(text)
    return one, min([one, *(max(halves(count)) for count in (near - 1, near) if count > 0)])


def cut(text: str, width: float, size: int) -> str:
    """Return `text`, shortened with an ellipsis to `width` pixels."""
    return _cut(text, width, fonts.face(text, size))


def _cut(text: str, width: float, face: fonts.Font) -> str:
    if face.getlength(text) <= width:
        return text
    fits = bisect.bisect_right(range(1, len(text) + 1), width, key=lambda n: face.getlength(text[:n] + "…"))
    return text[:fits].rstrip() + "…" if fits else ""


def wrapped(text: str, width: float, most: int, size: int) -> list[str]:
    """Return `text` in at most `most` lines of `width` pixels; the last one is cut."""
    face = fonts.face(text, size)
    most = max(0, most)
    lines = list(itertools.islice(_lines(text, width, face), most + 1))
    if len(lines) > most:
        rest = lines.pop()
        lines[-1:] = [f"{line} {rest}" for line in lines[-1:]]
    return [_cut(line, width, face) for line in lines]


def even(text: str, width: float, size: int) -> list[str]:
    """Return `text` in one line if it fits in `width` pixels, else in two that are much alike."""
    one, two = breadths(text, size)
    return wrapped(text, width if one <= width else min(width, math.ceil(two)), 2, size)


def _lines(text: str, width: float, face: fonts.Font) -> Iterator[str]:
    line = ""
    for piece in _PIECE.findall(" ".join(text.split())):
        if face.getlength((line + piece).strip()) <= width:
            line += piece
            continue
        if line:
            yield line.strip()
        line = piece.strip()
        while face.getlength(line) > width and len(line) > 1:  # an address, say, breaks anywhere
            end = bisect.bisect_right(range(2, len(line)), width, key=lambda n: face.getlength(line[:n])) + 1
            yield line[:end]
            line = line[end:]
    if line:
        yield line.strip()


def centred(
    draw: ImageDraw.ImageDraw,
    middle: tuple[float, float],
    lines: Sequence[str],
    *,
    width: float,
    size: int,
    ink: str,
    anchor: str = "mm",
) -> None:
    """Write the lines around `middle`, each cut to `width` pixels; with the anchor "lm" to its right."""
    face = fonts.face("".join(lines), size)
    top = middle[1] - step(size) * (len(lines) - 1) / 2
    for row, line in enumerate(lines):
        text = _cut(line, width, face)
        if text:
            draw.text((middle[0], top + row * step(size)), text, font=face, fill=ink, anchor=anchor)
