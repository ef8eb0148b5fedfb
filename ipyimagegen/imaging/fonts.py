"""Which font draws a text: Pillow's own, which has little more than ASCII, else the first one found here.

`ImageFont.truetype` looks for a file name in the system's own font folders. Nothing is looked for
before a text needs it, and a file that is damaged counts as absent.
"""

from __future__ import annotations

import contextlib
import functools
import re

from PIL import ImageFont, features

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Name = tuple[str, int]  # of a file, and which of its fonts

OWN: Name = ("", 0)
PROBE = 16  # pixels: the size at which glyphs are compared
MISSING = "\U0010ffff"  # never a character, so it is drawn as the box for missing ones

# The usual ones of Debian, Fedora, Windows and macOS, Latin first. Of a Noto collection the third is
# the one of simplified Chinese; each holds all of Chinese, Japanese and Korean.
FONTS: tuple[Name, ...] = (
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

# Scripts that are written from right to left, or whose letters change with their neighbours, and
# marks that stand above and below letters: a glyph for each character, one after the other, is wrong.
_SHAPED = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0590-\u109f\u1100-\u11ff\u1700-\u1cff\u1dc0-\u1dff\u20d0-\u20ff"
    "\ua800-\uabff\ud7b0-\ud7ff\ufb1d-\ufdff\ufe20-\ufe2f\ufe70-\ufeff\U00010800-\U00011fff"
    "\U0001e800-\U0001efff]"
)


def own(size: int) -> Font:
    """Return Pillow's own font at that size in pixels."""
    return _own(size)


def draws(text: str) -> bool:
    """Say whether some font here has every character of `text`, and can set them as its script wants."""
    return _choice(text) is not None


def own_draws(text: str) -> bool:
    """Say whether Pillow's own font has every character of `text`."""
    return all(_has(OWN, char) for char in text)


def face(text: str, size: int) -> Font:
    """Return the font for a text at that size in pixels; Pillow's own where none has all of it."""
    name = _choice(text) or OWN
    with contextlib.suppress(OSError):  # gone since it was found
        if name != OWN:
            return _sized(name, size, _SHAPED.search(text) is not None)
    return _own(size)


def _choice(text: str) -> Name | None:
    """Return the first font that has every character, and the ellipsis that it may be cut with."""
    if own_draws(text):
        return OWN
    if _SHAPED.search(text) and not features.check("raqm"):
        return None
    chars = {*text, "…"}
    return next((name for name in FONTS if all(_has(name, char) for char in chars)), None)


@functools.lru_cache(20_000)
def _has(name: Name, char: str) -> bool:
    """Say whether a font draws that character as something else than the box for missing ones."""
    font = _probe(name)
    if char == " " or font is None:
        return font is not None
    try:
        glyph, box = font.getmask(char), font.getmask(MISSING)
    except OSError:  # a font file that is damaged further on
        return False
    return glyph.getbbox() is not None and bytes(glyph) != bytes(box)


@functools.cache
def _probe(name: Name) -> Font | None:
    """Return a font that maps one character to one glyph, or None where there is none of that name."""
    if name == OWN:
        return _own(PROBE)
    try:
        return ImageFont.truetype(name[0], PROBE, name[1], layout_engine=ImageFont.Layout.BASIC)
    except OSError:
        return None


@functools.cache
def _own(size: int) -> Font:
    return ImageFont.load_default(size)


@functools.cache
def _sized(name: Name, size: int, shaped: bool) -> Font:
    """Return a font that was found; shaping takes ten times as long, so only who needs it has it."""
    found = _probe(name)
    if not isinstance(found, ImageFont.FreeTypeFont):
        raise OSError(name)
    layout = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    font = found.font_variant(size=size, layout_engine=layout)
    # One that has all weights in a file may begin with a hairline; most have one, and raise OSError.
    with contextlib.suppress(OSError, ValueError, NotImplementedError):
        font.set_variation_by_name("Regular")
    return font
