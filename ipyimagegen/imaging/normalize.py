"""Normalize decoded images: upright, in a mode that servers read, encoded within their limits.

The modes that are sent are L, RGB, RGBA, and I;16 for grey of 16 bits. Pixels change only where a limit
requires it.
"""

from __future__ import annotations

import hashlib
import io
import math
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from PIL import Image

from ipyimagegen.core.messages import Message, _
from ipyimagegen.imaging.errors import refuse

MOST_BYTES = 50_000_000  # that the API accepts for an image
MOST_PIXELS = 40_000_000
_MOST_DECODED = 120_000_000  # pixels; a larger image is never decoded
_MOST_PROFILE = 8_000_000  # bytes; those of printing presses have 3 million at most
_COSTLY_PROFILE = b"mpet"  # a type of table: any number of steps for each colour
READY_MODES = ("L", "RGB", "RGBA", "I;16")
ORIENTATION = 0x0112  # the EXIF tag
# EXIF orientation to the turn that shows the image upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = tuple(TURNS[orientation] for orientation in (5, 6, 7, 8))
_SHALLOW, _DEEP = (255, 1023, 4095, 16383), 65535  # white, by the bits that 16-bit data use
_SLACK = 1 / 512  # half a step of 8 bits: what arithmetic adds to 0..1 without changing a pixel
ENCODERS: Mapping[str, Mapping[str, Any]] = {  # by the names of `core.formats`
    "png": {"format": "PNG", "transparency": None},
    "webp": {"format": "WEBP", "lossless": True, "exact": True},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    "gif": {"format": "GIF"},
    "avif": {"format": "AVIF", "quality": 90},
    "tiff": {"format": "TIFF", "compression": "tiff_lzw"},
    "bmp": {"format": "BMP"},
    "jp2": {"format": "JPEG2000"},
}
OPAQUE, DEEP = ("jpeg", "bmp"), ("png", "tiff", "jp2")  # without transparency, with 16 bits


@dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """An image ready to go with a request: a whole PNG, JPEG or WebP file, upright.

    `width` and `height` are in pixels. `pixels` is the sha256 in hex over mode, size and pixels where
    the bytes are our own encoding, None where they are the user's file as it is. `notes` are what was
    done to it, in short phrases for a caption. `scaled_from` is its size before it was scaled.
    """

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    pixels: str | None = None
    notes: tuple[str, ...] = ()
    scaled_from: tuple[int, int] | None = None


def find_turn(image: Image.Image) -> Image.Transpose | None:
    """Return the turn that shows the image upright by its EXIF orientation, or None; decodes nothing.

    The base class's own method: that of PNG files decodes every pixel to look behind them.
    """
    with suppress(Exception):  # an EXIF block from outside raises anything
        return TURNS.get(Image.Image.getexif(image).get(ORIENTATION, 1))
    return None


def turn_size(size: tuple[int, int], turn: Image.Transpose | None) -> tuple[int, int]:
    """Return the size of an image in pixels after a turn."""
    return (size[1], size[0]) if turn in _SIDEWAYS else size


def turn_upright(image: Image.Image) -> Image.Image:
    """Return the image turned by its EXIF orientation; the same object where nothing has to be turned."""
    turn = find_turn(image)
    return image if turn is None else image.transpose(turn)


def check_size(width: int, height: int, label: str) -> None:
    """Raise InvalidInput when an image of that size in pixels is never decoded."""
    if width * height > _MOST_DECODED:
        message = _(
            "{image} is {size} pixels, more than {limit} megapixels. Scale it down first.",
            image=label,
            size=to_size_text((width, height)),
            limit=_MOST_DECODED // 1_000_000,
        )
        raise refuse(message)


def find_white(kind: str, low: float, high: float, label: str, *, deep: bool = False) -> int:
    """Return the value that means white in numbers from `low` to `high`: 1, 255 or 65535.

    `kind` is NumPy's: i, u or f. `deep` allows whole numbers to 65535. Raises InvalidInput for other ranges.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise refuse(
            _("{image} has NaN or infinite values. Replace them, such as with numpy.nan_to_num.", image=label)
        )
    advice = _("Scale or clip them.")
    if kind == "f":
        if low >= -_SLACK and high <= 1 + _SLACK:
            return 1
        if low >= -_SLACK and 2 <= high <= 255.5:
            return 255
        if -1 - _SLACK <= low < 0 and high <= 1 + _SLACK:
            advice = _("Scale them with (x + 1) / 2.")
        allowed = _("Floats must be 0..1 or 0..255.")
    else:
        if low >= 0 and high <= (65535 if deep else 255):
            return 255 if high <= 255 else 65535
        allowed = _("Whole numbers must be 0 to 255.")
    message = _(
        "{image} has values from {low} to {high}. {allowed} {advice}",
        image=label,
        low=_to_text(low),
        high=_to_text(high),
        allowed=allowed,
        advice=advice,
    )
    raise refuse(message)


def to_ready_mode(image: Image.Image, label: str) -> tuple[Image.Image, bytes | None]:
    """Return the image in one of `READY_MODES`, and the ICC profile that still holds for it.

    Raises InvalidInput for values of an unknown scale.
    """
    profile = image.info.get("icc_profile") or None
    space = profile[16:20] if profile else b""
    if image.mode == "CMYK" and space == b"CMYK":
        managed = _apply_profile(image, profile or b"")
        if managed is not None:
            return managed, None
    ready = _convert_mode(image, label)
    holds = {"RGB": b"RGB ", "RGBA": b"RGB ", "L": b"GRAY", "I;16": b"GRAY"}[ready.mode] == space
    return ready, profile if holds else None


def to_eight_bits(image: Image.Image) -> tuple[Image.Image, tuple[Message, ...]]:
    """Return an image of one of `READY_MODES` with 8 bits a channel, and notes on what was done."""
    if image.mode != "I;16":
        return image, ()
    high = cast("tuple[int, int]", image.getextrema())[1]
    white = find_deep_white(high)
    if white == _DEEP:  # Pillow's own conversion clips at 255
        grey = image.point(lambda value: value / 256).convert("L")
        return grey, (_("16-bit grey reduced to 8 bits"),)
    factor = 255 / white
    grey = image.convert("I").convert("F").point(lambda value: value * factor + 0.5).convert("L")
    return grey, (describe_white(high, white),)


def lay_on_white(image: Image.Image) -> tuple[Image.Image, tuple[Message, ...]]:
    """Return an RGBA image as RGB, and a note."""
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper, (_("laid on white"),)


def find_deep_white(high: float) -> int:
    """Return the value that means white in numbers of 16 bits up to `high`.

    Cameras, microscopes and scanners store 8, 10, 12 or 14 bits in them.
    """
    return next((white for white in _SHALLOW if 0 < high <= white), _DEEP)


def describe_white(high: float, white: int) -> Message:
    """Return the note on data whose largest value is not the largest of its type."""
    return _("scaled so that {white} is white (largest value {high})", white=white, high=_to_text(high))


def describe_floats(image: Image.Image) -> tuple[Message, ...]:
    """Return a note on grey of floats above 1, nothing for other images."""
    high = cast("tuple[float, float]", image.getextrema())[1] if image.mode == "F" else 0
    return (describe_white(high, 255),) if high > 1 + _SLACK else ()


def encode_within(
    image: Image.Image,
    notes: tuple[str, ...] = (),
    profile: bytes | None = None,
    *,
    form: str = "png",
    limit: int = MOST_BYTES,
) -> EncodedImage:
    """Return an image of one of `READY_MODES` in at most `limit` bytes and `MOST_PIXELS` pixels."""
    small = _scale_down(image, (MOST_PIXELS / (image.width * image.height)) ** 0.5)
    data = encode_file(small, form, profile)
    while len(data) > limit and max(small.size) > 1:
        # Bytes go with the area, roughly. Scaled from the image itself, so that it blurs once.
        share = min(0.95, 0.98 * (limit / len(data)) ** 0.5)
        small = _scale_down(image, small.width * share / image.width)
        data = encode_file(small, form, profile)
    digest = hashlib.sha256(f"{small.mode} {to_size_text(small.size)}\n".encode())
    digest.update(small.tobytes())
    digest.update(profile or b"")  # gives the pixels a meaning
    scaled_from = image.size if small.size != image.size else None
    if scaled_from:
        before, after = to_size_text(image.size), to_size_text(small.size)
        notes = (*notes, _("scaled from {before} to {after}", before=before, after=after))
    return EncodedImage(
        data=data,
        mime=f"image/{form}",
        width=small.width,
        height=small.height,
        pixels=digest.hexdigest(),
        notes=notes,
        scaled_from=scaled_from,
    )


def encode_file(image: Image.Image, form: str = "png", profile: bytes | None = None, **options: Any) -> bytes:
    """Return the image as a file that contains nothing but pixels and colour profile."""
    out = io.BytesIO()
    image.save(out, **{**ENCODERS[form], **options, "icc_profile": profile})
    return out.getvalue()


def to_size_text(size: tuple[int, int]) -> str:
    """Return a size as `1024x768`."""
    return f"{size[0]}x{size[1]}"


def _scale_down(image: Image.Image, share: float) -> Image.Image:
    if share >= 1:
        return image
    size = (max(1, int(image.width * share)), max(1, int(image.height * share)))
    return image.resize(size, Image.Resampling.LANCZOS)


def _convert_mode(image: Image.Image, label: str) -> Image.Image:
    mode = image.mode
    if mode in ("I", "F"):
        return _to_grey(image, label)
    if mode == "I;16N":  # Pillow 11 clips it at 255 in every conversion
        mode = "I;16" if sys.byteorder == "little" else "I;16B"
        image = Image.frombytes(mode, image.size, image.tobytes())
    if mode.startswith("I;16"):
        # Between kinds of 16 bits Pillow clips at 255; by way of 32 it does not.
        return image if mode == "I;16" else image.convert("I").convert("I;16")
    if mode == "La":
        return image.convert("LA").convert("RGBA")
    if mode in ("LA", "PA", "RGBa") or (mode != "RGBA" and image.has_transparency_data):
        return image.convert("RGBA")
    if mode in ("1", "L"):
        return image.convert("L")
    return image if mode in READY_MODES else image.convert("RGB")


def _to_grey(image: Image.Image, label: str) -> Image.Image:
    """Return numbers of 32 bits as grey, by the range of their values."""
    low, high = cast("tuple[float, float]", image.getextrema())
    white = find_white("f" if image.mode == "F" else "i", low, high, label, deep=True)
    if white == 65535:
        return image.convert("I;16")
    factor = 255 / white
    # Rounded, as for arrays: Pillow itself cuts fractions off.
    return image.convert("F").point(lambda value: value * factor + 0.5).convert("L")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image of mode RGB, RGBA or CMYK as RGB or RGBA in the colours of sRGB, without a profile.

    `profile` is that of its file, which may be grey. A profile that is broken or costly is left out.
    """
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    mode = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}.get((profile or b"")[16:20])
    managed = None
    if profile and mode and (mode == "CMYK") == (image.mode == "CMYK"):
        managed = _apply_profile(image.convert(mode), profile)
    shown = managed or image.convert("RGB")
    if alpha:
        shown.putalpha(alpha)
    shown.info.pop("icc_profile", None)
    return shown


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Return the image as RGB in the colours of sRGB, or None when that is not possible."""
    if len(profile) > _MOST_PROFILE or _COSTLY_PROFILE in profile:
        return None
    with suppress(Exception):  # a profile from outside raises anything
        from PIL import ImageCms  # noqa: PLC0415 - for few images

        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return None


def _to_text(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 100_000 or value % 1 else f"{value:.0f}"
