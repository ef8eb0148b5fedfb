"""Draw text on an image: choose a font that has its characters, break it into lines, write it.

Pillow's own font has little more than ASCII. For other characters the first suitable font of `FONTS` is
used that the system has: `ImageFont.truetype` looks for a file name in the system's font folders. No font
is looked for before a text needs it, and a damaged file counts as absent.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import itertools
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence

from PIL import ImageDraw, ImageFont, features

from ipyimagegen.core.text import sanitize

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_FontFile = tuple[str, int]  # name of a file, and which of its fonts

# The usual fonts of Debian, Fedora, Windows and macOS, Latin first. The third font of a Noto collection is
# that of simplified Chinese; each holds all of Chinese, Japanese and Korean.
FONTS: tuple[_FontFile, ...] = (
    ("DejaVuSans.ttf", 0), ("NotoSans-Regular.ttf", 0), ("NotoSans[wght].ttf", 0),
    ("LiberationSans-Regular.ttf", 0), ("segoeui.ttf", 0), ("arial.ttf", 0), ("Arial.ttf", 0),
    ("NotoSansCJK-Regular.ttc", 2), ("NotoSansCJKsc-Regular.otf", 0), ("NotoSansSC-Regular.otf", 0),
    ("SourceHanSansSC-Regular.otf", 0), ("SourceHanSansCN-Regular.otf", 0), ("NotoSansCJK-VF.ttc", 2),
    ("wqy-microhei.ttc", 0), ("wqy-zenhei.ttc", 0), ("DroidSansFallbackFull.ttf", 0),
    ("DroidSansFallback.ttf", 0), ("msyh.ttc", 0), ("simhei.ttf", 0), ("simsun.ttc", 0), ("msjh.ttc", 0),
    ("PingFang.ttc", 0), ("Hiragino Sans GB.ttc", 0), ("STHeiti Medium.ttc", 0), ("STHeiti Light.ttc", 0),
    ("YuGothM.ttc", 0), ("YuGothic-Medium.ttf", 0), ("meiryo.ttc", 0), ("msgothic.ttc", 0),
    ("ipaexg.ttf", 0), ("ipag.ttf", 0), ("TakaoGothic.ttf", 0), ("fonts-japanese-gothic.ttf", 0),
    ("malgun.ttf", 0), ("AppleSDGothicNeo.ttc", 0), ("NanumGothic.ttf", 0), ("uming.ttc", 0),
    ("NotoSansArabic-Regular.ttf", 0), ("NotoNaskhArabic-Regular.ttf", 0),
    ("NotoSansHebrew-Regular.ttf", 0), ("NotoSansDevanagari-Regular.ttf", 0),
    ("NotoSansThai-Regular.ttf", 0), ("Loma.ttf", 0), ("Nirmala.ttc", 0), ("Nirmala.ttf", 0),
    ("LeelawUI.ttf", 0), ("FreeSans.ttf", 0), ("seguisym.ttf", 0), ("seguiemj.ttf", 0),
    ("NotoEmoji-Regular.ttf", 0), ("Symbola.ttf", 0), ("Arial Unicode.ttf", 0), ("unifont.otf", 0),
    ("unifont.ttf", 0),
)  # fmt: skip
_OWN: _FontFile = ("", 0)  # Pillow's own
_PROBE_SIZE = 16  # pixels, at which glyphs are compared
_NO_CHARACTER = "\U0010ffff"  # never assigned, so it is drawn as the box for missing characters

# Scripts that are written from right to left, or whose letters change with their neighbours, and
# marks that stand above and below letters: a glyph for each character, side by side, is wrong.
_SHAPED = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0590-\u109f\u1100-\u11ff\u1700-\u1cff\u1dc0-\u1dff\u20d0-\u20ff"
    "\ua800-\uabff\ud7b0-\ud7ff\ufb1d-\ufdff\ufe20-\ufe2f\ufe70-\ufeff\U00010800-\U00011fff"
    "\U0001e800-\U0001efff]"
)
_SIMILAR = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "ß": "ss"}
)
# Where a line may break: at a blank, after a hyphen inside a word, and around every character of
# Chinese, Japanese and Korean; but a closing mark never begins a line, nor does an opening mark end it.
_WIDE = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_OPENING, _CLOSING = "（「『《〈【［｛〔", "，。、；：！？）」』》〉】］｝〕ー々"
_PIECE = re.compile(
    rf" ?[{_OPENING}]*(?:[{_WIDE}]|[^ {_WIDE}]+?(?:(?<=\w[-/_])(?=\w)|(?=[ {_WIDE}]|$)))[{_CLOSING}]*"
)


def measure_line(size: int) -> int:
    """Return the height in pixels of a line of text of that font size."""
    return size * 3 // 2


def to_legible(text: str, fallback: str, limit: int = 120) -> str:
    """Return the first `limit` characters of `text` as they can be drawn, or `fallback`.

    Missing punctuation is replaced by similar characters; accents are dropped if need be.
    """
    normal = unicodedata.normalize("NFC", sanitize(text, limit))
    drawable = _to_drawable(normal)
    if drawable is None:
        bare = (char if _own_font_has(char) else _strip_accent(char) for char in normal.translate(_SIMILAR))
        drawable = "".join(bare).strip()
        return drawable if drawable and can_draw(drawable) else fallback
    return drawable


def to_exact(text: str, size: int) -> str | None:
    """Return `text` as it can be drawn on one line, or None where anything of it would be lost."""
    visible = sanitize(text, len(text) + 1)
    if visible != " ".join(text.split()):
        return None  # it holds what is invisible, and may matter
    drawable = _to_drawable(unicodedata.normalize("NFC", visible))
    if not drawable:
        return drawable
    _left, top, _right, bottom = choose_font(drawable, size).getbbox(drawable, anchor="lm")
    return drawable if max(-top, bottom) <= measure_line(size) / 2 else None  # piled up accents


def measure_breadths(text: str, size: int) -> tuple[float, float]:
    """Return the width of `text` in one line, and in two that are as even as it allows."""
    font = choose_font(text, size)
    pieces = _PIECE.findall(text)

    def measure_halves(count: int) -> tuple[float, float]:
        first, second = "".join(pieces[:count]), "".join(pieces[count:])
        return font.getlength(first.strip()), font.getlength(second.strip())

    def is_longer(count: int) -> bool:
        first, second = measure_halves(count)
        return first >= second

    near = bisect.bisect_left(range(len(pieces)), True, key=is_longer)
    whole = font.getlength(text)
    return whole, min([whole, *(max(measure_halves(count)) for count in (near - 1, near) if count > 0)])


def wrap(text: str, width: float, most: int, size: int) -> list[str]:
    """Return `text` in at most `most` lines of `width` pixels; the last is cut with an ellipsis."""
    font = choose_font(text, size)
    most = max(0, most)
    lines = list(itertools.islice(_break_lines(text, width, font), most + 1))
    if len(lines) > most:
        rest = lines.pop()
        lines[-1:] = [f"{line} {rest}" for line in lines[-1:]]
    return [_cut(line, width, font) for line in lines]


def wrap_evenly(text: str, width: float, size: int) -> list[str]:
    """Return `text` in one line if it fits in `width` pixels, else in two of similar length."""
    whole, halves = measure_breadths(text, size)
    return wrap(text, width if whole <= width else min(width, math.ceil(halves)), 2, size)


def draw_lines(
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
    font = choose_font("".join(lines), size)
    top = middle[1] - measure_line(size) * (len(lines) - 1) / 2
    for row, line in enumerate(lines):
        text = _cut(line, width, font)
        if text:
            y = top + row * measure_line(size)
            draw.text((middle[0], y), text, font=font, fill=ink, anchor=anchor)


def can_draw(text: str) -> bool:
    """Return whether an installed font has every character of `text`, set as its script requires."""
    return _find_font(text) is not None


def choose_font(text: str, size: int) -> Font:
    """Return the font for a text at that size in pixels; Pillow's own where none has all of it."""
    file = _find_font(text) or _OWN
    with contextlib.suppress(OSError):  # removed since it was found
        if file != _OWN:
            return _load_sized(file, size, _SHAPED.search(text) is not None)
    return load_own_font(size)


@functools.cache
def load_own_font(size: int) -> Font:
    """Return Pillow's own font at that size in pixels."""
    return ImageFont.load_default(size)


def _to_drawable(text: str) -> str | None:
    """Return `text`, possibly with similar punctuation, where a font has all of it."""
    similar = text.translate(_SIMILAR)
    if _own_font_has(similar):
        return similar
    return text if can_draw(text) else None


def _strip_accent(char: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c)) or char


def _cut(text: str, width: float, font: Font) -> str:
    if font.getlength(text) <= width:
        return text
    fits = bisect.bisect_right(range(1, len(text) + 1), width, key=lambda n: font.getlength(text[:n] + "…"))
    return text[:fits].rstrip() + "…" if fits else ""


def _break_lines(text: str, width: float, font: Font) -> Iterator[str]:
    line = ""
    for piece in _PIECE.findall(" ".join(text.split())):
        if font.getlength((line + piece).strip()) <= width:
            line += piece
            continue
        if line:
            yield line.strip()
        line = piece.strip()
        while font.getlength(line) > width and len(line) > 1:  # a URL, say, breaks anywhere
            end = bisect.bisect_right(range(2, len(line)), width, key=lambda n: font.getlength(line[:n])) + 1
            yield line[:end]
            line = line[end:]
    if line:
        yield line.strip()


def _own_font_has(text: str) -> bool:
    return all(_has_glyph(_OWN, char) for char in text)


def _find_font(text: str) -> _FontFile | None:
    """Return the first font that has every character, and the ellipsis that it may be cut with."""
    if _own_font_has(text):
        return _OWN
    if _SHAPED.search(text) and not features.check("raqm"):
        return None
    chars = {*text, "…"}
    return next((file for file in FONTS if all(_has_glyph(file, char) for char in chars)), None)


@functools.lru_cache(20_000)
def _has_glyph(file: _FontFile, char: str) -> bool:
    """Return whether a font draws that character other than as the box for missing characters."""
    font = _load_probe(file)
    if char == " " or font is None:
        return font is not None
    try:
        glyph, box = font.getmask(char), font.getmask(_NO_CHARACTER)
    except OSError:  # a font file that is damaged further on
        return False
    return glyph.getbbox() is not None and bytes(glyph) != bytes(box)


@functools.cache
def _load_probe(file: _FontFile) -> Font | None:
    """Return a font that maps each character to a single glyph, or None where no font has that name."""
    if file == _OWN:
        return load_own_font(_PROBE_SIZE)
    try:
        return ImageFont.truetype(file[0], _PROBE_SIZE, file[1], layout_engine=ImageFont.Layout.BASIC)
    except OSError:
        return None


@functools.cache
def _load_sized(file: _FontFile, size: int, shaped: bool) -> Font:
    """Return a font at that size. Shaping takes ten times as long, so only a text that needs it has it."""
    probe = _load_probe(file)
    if not isinstance(probe, ImageFont.FreeTypeFont):
        raise OSError(file)
    layout = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    font = probe.font_variant(size=size, layout_engine=layout)
    # A font with all weights in a file may begin with a hairline; most fonts have a single weight, and raise.
    with contextlib.suppress(OSError, ValueError, NotImplementedError):
        font.set_variation_by_name("Regular")
    return font
