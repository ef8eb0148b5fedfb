"""Open an image file that nobody vouches for, once: thumbnail and transparency from one decode."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, WebPImagePlugin  # noqa: F401 - see below

from ipyimagegen.core.run import ImageState
from ipyimagegen.imaging.metering import DecodingTooSlow, metered
from ipyimagegen.imaging.modes import UPRIGHT, orientation
from ipyimagegen.imaging.scan import Scan, scan_bytes, scan_path
from ipyimagegen.imaging.values import ImageInfo

# Pillow would load its common formats when a file is opened: in a call's thread, where nothing may load.
Image.preinit()

TRUNCATED = "the file is cut short"
UNKNOWN = "not a PNG, JPEG or WebP image"
WAITED = 16_000_000  # pixels of an image that is decoded while somebody waits


def inspect(path: Path, edge: int) -> ImageInfo:
    """Return what is in the file; only a file that cannot be read raises (OSError)."""
    scan = scan_path(path)
    if scan is None:
        return ImageInfo(state=ImageState.QUARANTINED, note=UNKNOWN)
    if scan.excess:
        return _described(scan, ImageState.QUARANTINED, scan.excess)
    try:
        return _decoded(path, scan, edge)
    except DecodingTooSlow:
        return _described(scan, ImageState.QUARANTINED, "takes too long to decode; it is stored, not decoded")
    except Exception as error:  # decoders of hostile files raise anything
        if _of_the_disk(error):
            raise
        if scan.whole:
            return _described(scan, ImageState.QUARANTINED, f"cannot be opened ({type(error).__name__})")
        return _described(scan, ImageState.DAMAGED, TRUNCATED)


def small(data: bytes, edge: int) -> Image.Image | None:
    """Return a small upright image of a file's bytes; None for what is none, or over `WAITED` pixels."""
    scan = scan_bytes(data)
    if scan is None or scan.excess or scan.width * scan.height > WAITED:
        return None
    try:
        with metered(io.BytesIO(data)) as file, Image.open(file, formats=_formats(scan)) as image:
            if image.size != (scan.width, scan.height):
                return None
            image.draft(None, _drafted(image.size, edge))
            _load(image)
            return _thumb(flat(image)[0], edge, orientation(image))
    except Exception:  # noqa: BLE001 - decoders of hostile files raise anything
        return None


def opened(data: bytes) -> Image.Image:
    """Return a file's bytes as a Pillow image that is not decoded yet; see `ipyimagegen.imaging.opened`."""
    scan = scan_bytes(data)
    if scan is None or scan.refusal:
        raise OSError(scan.refusal if scan else UNKNOWN)
    return Image.open(io.BytesIO(data), formats=_formats(scan))


def _described(scan: Scan, state: ImageState, note: str) -> ImageInfo:
    if not scan.width or not scan.height:
        return ImageInfo(state=state, note=note)
    return ImageInfo(state=state, mime=scan.mime, width=scan.width, height=scan.height, note=note)


def _decoded(path: Path, scan: Scan, edge: int) -> ImageInfo:
    with metered(path.open("rb", buffering=0)) as file, Image.open(file, formats=_formats(scan)) as image:
        if image.size != (scan.width, scan.height):  # a second header behind the first
            return _described(scan, ImageState.QUARANTINED, "its headers contradict each other")
        image.draft(None, _drafted(image.size, edge))
        note = _load(image) or ("" if scan.whole else TRUNCATED)
        shown, transparent = flat(image)
        thumb = _thumb(shown, edge, orientation(image))
    return ImageInfo(
        state=ImageState.STORED,
        mime=scan.mime,
        width=scan.width,
        height=scan.height,
        alpha=transparent if not note else None,
        note=note,
        thumb=thumb,
    )


def _load(image: Image.Image) -> str:
    """Decode all pixels, or those that are there; return what is wrong, or nothing."""
    try:
        image.load()
    except DecodingTooSlow:
        raise
    except Exception as error:  # decoders of hostile files raise anything
        if _of_the_disk(error):
            raise
        # Pillow goes on with the pixels that it has once no tiles are left to be read. Its own
        # switch for this, LOAD_TRUNCATED_IMAGES, is global and belongs to the user.
        image.tile = []  # type: ignore[attr-defined]
        image.load()  # raises again when there are none
        return "the file is damaged or cut short"
    return ""


def _formats(scan: Scan) -> list[str]:
    return [scan.mime.removeprefix("image/")]


def _drafted(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """Return the least size at which to decode a JPEG, which can be a half, quarter or eighth of its own."""
    width, height = _reduced(size, edge)
    return 2 * width, 2 * height


def _reduced(size: tuple[int, int], edge: int) -> tuple[int, int]:
    scale = min(1.0, edge / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _of_the_disk(error: Exception) -> bool:
    """Say whether the file could not be read; Pillow's own OSErrors have no number."""
    return isinstance(error, OSError) and error.errno is not None


def flat(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the image as RGB or RGBA with 8 bits, and whether a pixel of it is transparent."""
    if image.mode.startswith("I") or image.mode == "F":
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB"), False
    image = image if image.mode == "RGBA" else image.convert("RGBA")
    opaque = image.getchannel("A").histogram()[255]
    return (image, True) if opaque < image.width * image.height else (image.convert("RGB"), False)


def _thumb(image: Image.Image, edge: int, turned: int) -> Image.Image:
    small = image.resize(_reduced(image.size, edge), Image.Resampling.BILINEAR, reducing_gap=2.0)
    turn = UPRIGHT.get(turned)
    return small if turn is None else small.transpose(turn)
