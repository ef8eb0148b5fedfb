"""Bring a decoded image of any Pillow mode to one that every server reads, without changing pixels.

The modes that go out are L, RGB, RGBA, and I;16 for grey of 16 bits.
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import cast

from PIL import Image

from ipyimagegen.imaging.ranges import Scale, scale_of

READY = ("L", "RGB", "RGBA", "I;16")
ORIENTATION = 0x0112  # the EXIF tag
# EXIF orientation to the turn that shows the image upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation from 1 to 8, 1 where it makes no sense; decodes nothing.

    The base class's own method: that of PNG files decodes every pixel to look behind them.
    """
    try:
        value = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - an EXIF block from outside raises anything
        return 1
    return value if value in UPRIGHT else 1


def upright(image: Image.Image) -> Image.Image:
    """Return the image as its EXIF orientation means it; the same object where it stands already."""
    turn = UPRIGHT.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def ready(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """Return the image in one of the modes of `READY`, and the ICC profile that still holds for it.

    Raises ValueError, in words for a person, for values of which nobody knows what is white.
    """
    profile = image.info.get("icc_profile") or None
    space = profile[16:20] if profile else b""
    if image.mode == "CMYK" and space == b"CMYK":
        done = _managed(image, profile)
        if done is not None:
            return done, None
    done = _plain(image)
    holds = {"RGB": b"RGB ", "RGBA": b"RGB ", "L": b"GRAY", "I;16": b"GRAY"}[done.mode] == space
    return done, profile if holds else None


def shallow(image: Image.Image) -> Image.Image:
    """Return an image of one of the modes of `READY` with 8 bits; Pillow's own way clips at 255."""
    return image.point(lambda value: value / 256).convert("L") if image.mode == "I;16" else image


def _plain(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode in ("I", "F"):
        return _measured(image)
    if mode == "I;16N":  # Pillow 11 clips it at 255, whatever the way
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
    return image if mode in READY else image.convert("RGB")


def _measured(image: Image.Image) -> Image.Image:
    """Return numbers of 32 bits as grey, by the range in which they lie."""
    low, high = cast("tuple[float, float]", image.getextrema())
    scale = scale_of("f" if image.mode == "F" else "i", low, high, deep=True)
    if scale is Scale.DEEP:
        return image.convert("I;16")
    factor = 255.0 if scale is Scale.UNIT else 1.0
    # Rounded, as for arrays: Pillow itself cuts fractions off.
    return image.convert("F").point(lambda value: value * factor + 0.5).convert("L")


def _managed(image: Image.Image, profile: bytes | None) -> Image.Image | None:
    """Return ink as light by the image's own profile, or None when that cannot be followed."""
    try:
        from PIL import ImageCms  # noqa: PLC0415 - only for print files

        theirs = ImageCms.getOpenProfile(BytesIO(profile or b""))
        return ImageCms.profileToProfile(image, theirs, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # noqa: BLE001 - a profile from outside raises anything
        return None
