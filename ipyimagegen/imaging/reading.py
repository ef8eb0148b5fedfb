"""Open a picture file that nobody vouches for, once: thumbnail and transparency from one decode."""

from __future__ import annotations

import io
from pathlib import Path

# Pillow would load these when such a file is opened, in a call's thread, where nothing is to be loaded.
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

from ipyimagegen.imaging.headers import MEGAPIXELS, Header, read_header, sniff
from ipyimagegen.imaging.modes import UPRIGHT, orientation
from ipyimagegen.imaging.values import Inspected
from ipyimagegen.records import PictureState

TRUNCATED = "the file is cut short"
WAITED = 16_000_000  # pixels of a picture that is decoded while somebody waits


def inspect(path: Path, edge: int) -> Inspected:
    """Return what is in the file; only a file that cannot be read raises (OSError)."""
    header = read_header(path)
    if header is None:
        return Inspected(state=PictureState.QUARANTINED, note=_unknown(path))
    if header.width * header.height > MEGAPIXELS * 1_000_000:
        note = f"{header.width}×{header.height} px, over {MEGAPIXELS} megapixels"
        return _described(header, PictureState.QUARANTINED, note)
    try:
        return _decoded(path, header, edge)
    except Exception as error:  # decoders of hostile files raise anything
        if _of_the_disk(error):
            raise
        if header.whole:
            return _described(header, PictureState.QUARANTINED, f"cannot be opened ({type(error).__name__})")
        return _described(header, PictureState.DAMAGED, TRUNCATED)


def small(data: bytes, edge: int) -> Image.Image | None:
    """Return a small upright picture of a file's bytes; None for what is none, or over `WAITED` pixels."""
    if sniff(data[:16]) is None:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
            if image.width * image.height > WAITED:
                return None
            image.draft(None, (2 * edge, 2 * edge))
            _load(image)
            return _thumb(flat(image)[0], edge, orientation(image))
    except Exception:  # noqa: BLE001 - decoders of hostile files raise anything
        return None


def _unknown(path: Path) -> str:
    with path.open("rb") as file:
        known = sniff(file.read(16))
    return "its header is damaged or cut short" if known else "not a PNG, JPEG or WebP picture"


def _described(header: Header, state: PictureState, note: str) -> Inspected:
    return Inspected(state=state, mime=header.mime, width=header.width, height=header.height, note=note)


def _decoded(path: Path, header: Header, edge: int) -> Inspected:
    with Image.open(path, formats=[header.mime.removeprefix("image/")]) as image:
        if image.size != (header.width, header.height):  # a second header behind the first
            return _described(header, PictureState.QUARANTINED, "its headers contradict each other")
        image.draft(None, (2 * edge, 2 * edge))  # a large JPEG is decoded at a half, quarter or eighth
        note = _load(image) or ("" if header.whole else TRUNCATED)
        shown, transparent = flat(image)
        thumb = _thumb(shown, edge, orientation(image))
    return Inspected(
        state=PictureState.STORED,
        mime=header.mime,
        width=header.width,
        height=header.height,
        alpha=transparent if not note else None,
        note=note,
        thumb=thumb,
    )


def _load(image: Image.Image) -> str:
    """Decode all pixels, or those that are there; return what is wrong, or nothing."""
    try:
        image.load()
    except Exception as error:  # decoders of hostile files raise anything
        if _of_the_disk(error):
            raise
        # Pillow goes on with the pixels that it has once no tiles are left to be read. Its own
        # switch for this, LOAD_TRUNCATED_IMAGES, is global and belongs to the user.
        image.tile = []  # type: ignore[attr-defined]
        image.load()  # raises again when there are none
        return "the file is damaged or cut short"
    return ""


def _of_the_disk(error: Exception) -> bool:
    """Say whether the file could not be read; Pillow's own OSErrors have no number."""
    return isinstance(error, OSError) and error.errno is not None


def flat(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the picture as RGB or RGBA with 8 bits, and whether a pixel of it is transparent."""
    if image.mode.startswith("I") or image.mode == "F":
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB"), False
    image = image if image.mode == "RGBA" else image.convert("RGBA")
    opaque = image.getchannel("A").histogram()[255]
    return (image, True) if opaque < image.width * image.height else (image.convert("RGB"), False)


def _thumb(image: Image.Image, edge: int, turned: int) -> Image.Image:
    scale = min(1.0, edge / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    turn = UPRIGHT.get(turned)
    return small if turn is None else small.transpose(turn)
