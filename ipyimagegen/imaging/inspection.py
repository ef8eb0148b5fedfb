"""Inspect an untrusted image file: its format, size and transparency, and a thumbnail, from a single decode.

The format is known by the first bytes and the size by the header before anything is decoded. PNG, JPEG, WebP,
GIF and AVIF are decoded, of an animation only the first frame. A file of another known format is never
opened: its thumbnail is a drawn placeholder. Sizes and pixels are those that are shown, after a rotation by
EXIF.
"""

from __future__ import annotations

import io
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import AvifImagePlugin, Image, WebPImagePlugin  # noqa: F401 - see below

from ipyimagegen.core.formats import BY_MIME, HEAD, identify
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.run import ImageState
from ipyimagegen.imaging.normalize import (
    DEEP,
    ENCODERS,
    OPAQUE,
    encode_file,
    find_turn,
    lay_on_white,
    to_eight_bits,
    to_ready_mode,
    to_srgb,
    turn_size,
    turn_upright,
)
from ipyimagegen.imaging.placeholder import draw_placeholder
from ipyimagegen.imaging.preview import EDGE, LIMIT, Preview, encode_preview, make_opaque, scale_into
from ipyimagegen.imaging.scan import DECODED, Scan, scan_bytes, scan_file

# Pillow would load its common formats when a file is opened: in a call's thread, where nothing may load.
Image.preinit()

# Seconds of CPU for an image. The dearest that pass the scan take 1 to 3 s (benchmarks/decoding.py).
# This stops what the scan cannot see, such as a PNG whose compressed data are millions of empty blocks.
MOST_SECONDS = 4.0
_MOST_WAITED_FOR = 16_000_000  # pixels of an image that is decoded while somebody waits
_TRUNCATED = _("the file is cut short")
_UNKNOWN = _("not an image of a known format")
_clock = getattr(time, "thread_time", time.process_time)


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """What a file contains.

    `state` is STORED when it can be shown (`note` is what is wrong with it, if anything), DAMAGED when
    nothing of it can be decoded, QUARANTINED when it must not be opened. `width` and `height` are in pixels
    as it is shown, those of its header where it is not decoded, None where only a placeholder is shown.
    `alpha` is whether any pixel is transparent, None when not every pixel is known. `frames` is the number of
    frames of an animation. `thumb` is RGB or RGBA, upright, and None unless the state is STORED.
    """

    state: ImageState
    mime: str | None = None
    width: int | None = None
    height: int | None = None
    alpha: bool | None = None
    frames: int | None = None
    note: str = ""
    thumb: Image.Image | None = None


def can_decode(mime: str | None) -> bool:
    """Return whether images of that type are decoded; AVIF where Pillow was built with it."""
    return mime in DECODED and (mime != "image/avif" or AvifImagePlugin.SUPPORTED)


def inspect(path: Path, *, edge: int = EDGE) -> ImageInfo:
    """Return what the file contains, with a thumbnail of at most `edge` pixels.

    Raises OSError when the file cannot be read. Nothing in the file raises.
    """
    with path.open("rb") as file:
        file_format = identify(file.read(HEAD))
        scan = scan_file(file) if file_format and can_decode(file_format.mime) else None
    if file_format is None:
        return ImageInfo(state=ImageState.QUARANTINED, note=_UNKNOWN)
    if scan is None:
        placeholder = draw_placeholder(file_format.title, path.name, edge)
        return ImageInfo(state=ImageState.STORED, mime=file_format.mime, thumb=placeholder)
    return _inspect_scanned(path, scan, edge)


def _inspect_scanned(path: Path, scan: Scan, edge: int) -> ImageInfo:
    info = ImageInfo(state=ImageState.QUARANTINED, note=scan.excess)
    if scan.width and scan.height:
        info = replace(info, mime=scan.mime, width=scan.width, height=scan.height, frames=scan.frames or None)
    if scan.excess:
        return info
    try:
        decoded = _decode(path.open("rb", buffering=0), scan, edge)
    except _Refused as refused:
        return replace(info, note=refused.args[0])
    except Exception as error:  # decoders of hostile files raise anything
        if _comes_from_disk(error):
            raise
        if scan.flaw:
            return replace(info, state=ImageState.DAMAGED, note=_TRUNCATED)
        return replace(info, note=_("cannot be opened ({error})", error=type(error).__name__))
    return replace(
        info,
        state=ImageState.STORED,
        width=decoded.size[0],
        height=decoded.size[1],
        alpha=None if decoded.note else decoded.transparent,
        note=decoded.note,
        thumb=decoded.thumb,
    )


def preview_partial(data: bytes) -> Preview | None:
    """Return the preview of a partial image, or None when nothing of it can be shown.

    A partial image over some megapixels is left out: it is decoded while somebody waits.
    """
    scan = scan_bytes(data)
    if scan is None or scan.excess or scan.width * scan.height > _MOST_WAITED_FOR:
        return None
    thumb: Image.Image | None = None
    with suppress(Exception):  # decoders of hostile files raise anything
        thumb = _decode(io.BytesIO(data), scan, EDGE).thumb
    return encode_preview(make_opaque(thumb, thumb.size), LIMIT) if thumb else None


def open_image(data: bytes) -> Image.Image:
    """Return a file's bytes as a decoded Pillow image in its own mode: upright, the first frame.

    Raises OSError for a format that is not decoded, and for what is too costly to decode.
    """
    with _open_scanned(data) as image:
        image.load()
        return turn_upright(image)


def is_turned(data: bytes) -> bool:
    """Return whether EXIF rotates a file's image. Raises OSError, like `open_image`."""
    with _open_scanned(data) as image:
        return find_turn(image) is not None


def make_thumb(data: bytes, name: str, edge: int) -> Image.Image:
    """Return a file's bytes as an image of at most `edge` pixels, or the placeholder that names the file.

    Raises OSError, like `open_image`.
    """
    file_format = identify(data)
    if file_format and not can_decode(file_format.mime):
        return draw_placeholder(file_format.title, name, edge)
    image = open_image(data)
    image.thumbnail((edge, edge))
    profile = image.info.get("icc_profile")
    return to_srgb(image if image.mode == "CMYK" else flatten_mode(image)[0], profile)


def _open_scanned(data: bytes) -> Image.Image:
    scan = scan_bytes(data)
    if scan is None or scan.refusal or not can_decode(scan.mime):
        raise OSError(scan.refusal if scan else _UNKNOWN)
    return Image.open(io.BytesIO(data), formats=[BY_MIME[scan.mime].pillow])


def to_png(data: bytes) -> bytes:
    """Return a file as a PNG file of the pixels that are shown. Raises OSError, like `open_image`."""
    out = io.BytesIO()
    open_image(data).save(out, "PNG")
    return out.getvalue()


def can_convert(mime: str | None, name: str) -> bool:
    """Return whether images of that type can be written in the format of that name."""
    is_written = name in ENCODERS and (name != "avif" or AvifImagePlugin.SUPPORTED)
    return is_written and can_decode(mime or "image/png")


def convert_file(data: bytes, name: str) -> tuple[bytes, tuple[Message, ...]]:
    """Return a file in the format of that name, upright, and notes on what that changes.

    Raises OSError, like `open_image`, and whatever an encoder raises.
    """
    with _open_scanned(data) as opened:
        frames = getattr(opened, "n_frames", 1)
    notes: tuple[Message, ...] = (_("the first of {count} frames", count=frames),) if frames > 1 else ()
    image, profile = to_ready_mode(open_image(data), "The image")
    if image.mode == "I;16" and name not in DEEP:
        image, reduced = to_eight_bits(image)
        notes = (*notes, *reduced)
    if image.mode == "RGBA" and name in OPAQUE:
        image, laid = lay_on_white(image)
        notes = (*notes, *laid)
    return encode_file(image, name, profile), notes


def to_colour(image: Image.Image) -> Image.Image:
    """Return the image as RGB, or as RGBA where it has transparency, with 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def flatten_mode(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the image as RGB or RGBA with 8 bits, and whether a pixel of it is transparent."""
    image = to_colour(image)
    if image.mode == "RGB":
        return image, False
    opaque = image.getchannel("A").histogram()[255]
    return (image, True) if opaque < image.width * image.height else (image.convert("RGB"), False)


class _Refused(Exception):
    """The image must not be decoded; the argument is why."""


class _MeteredFile(io.BufferedReader):
    """A file that can be read for some seconds of CPU time of this thread. Decoders read piece by piece."""

    def __init__(self, raw: Any) -> None:
        super().__init__(raw)
        self._end = _clock() + MOST_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        if _clock() > self._end:
            raise _Refused(_("takes too long to decode; it is stored, not decoded"))
        return super().read(size)


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """A thumbnail, and what is known of the image: its size as shown, and what is wrong with its file."""

    thumb: Image.Image
    size: tuple[int, int]
    transparent: bool
    note: str


def _decode(raw: io.RawIOBase | io.BytesIO, scan: Scan, edge: int) -> _Decoded:
    """Decode the image. Raises _Refused, and anything else when no pixel can be decoded."""
    with _MeteredFile(raw) as file, Image.open(file, formats=[BY_MIME[scan.mime].pillow]) as image:
        if image.size != (scan.width, scan.height):  # a second header behind the first
            raise _Refused(_("its headers contradict each other"))
        # A JPEG can be decoded to a half, quarter or eighth of its size; twice the thumbnail's is enough.
        width, height = scale_into(image.size, (edge, edge))
        image.draft(None, (2 * width, 2 * height))
        note = _load(image) or (_TRUNCATED if scan.flaw else "")
        flat, transparent = flatten_mode(image)
        profile = image.info.get("icc_profile")
        shown = (
            image if image.mode == "CMYK" and profile else flat
        )  # the profile tells what its inks look like
        small = shown.resize(
            scale_into(shown.size, (edge, edge)), Image.Resampling.BILINEAR, reducing_gap=2.0
        )
        thumb = to_srgb(small, profile)
        turn = find_turn(image)
        return _Decoded(
            thumb=thumb if turn is None else thumb.transpose(turn),
            size=turn_size((scan.width, scan.height), turn),
            transparent=transparent,
            note=note,
        )


def _load(image: Image.Image) -> Message | None:
    """Decode all pixels, or those that the file has; return what is wrong, or None."""
    try:
        image.load()
    except _Refused:
        raise
    except Exception as error:  # decoders of hostile files raise anything
        if _comes_from_disk(error):
            raise
        # Pillow keeps the pixels that it has once no tiles are left to be read. Its own switch for this,
        # LOAD_TRUNCATED_IMAGES, is global and belongs to the user.
        image.tile = []  # type: ignore[attr-defined]
        image.load()  # raises again when there are none
        return _("the file is damaged or cut short")
    return None


def _comes_from_disk(error: Exception) -> bool:
    """Return whether the file could not be read; Pillow's own OSErrors have no number."""
    return isinstance(error, OSError) and error.errno is not None
