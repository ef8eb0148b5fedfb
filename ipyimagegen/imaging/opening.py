"""Open a user's image file: its header first, its pixels only when they are wanted."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

from ipyimagegen.imaging import modes
from ipyimagegen.imaging.kinds import PLUGINS, kind_of, what_else
from ipyimagegen.imaging.refusing import article, cause, refused
from ipyimagegen.imaging.scan import scan_bytes
from ipyimagegen.imaging.scan_formats import CUT, DAMAGED

MOST_PIXELS = 120_000_000  # more than this is never decoded
READABLE = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, PPM, ICO or TGA"
UNREADABLE = "that cannot be decoded: cut short, damaged or of a rare sort"
_SHOWN = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}


@dataclass(frozen=True)
class Opened:
    """An image file whose header was read: not decoded, its frames counted.

    `plain` is whether its own bytes can be sent: a whole upright PNG, JPEG or WebP of one frame.
    """

    image: Image.Image
    kind: str
    frames: int
    plain: bool

    @property
    def shown(self) -> str:
        """The kind as people write it."""
        return _SHOWN.get(self.kind, self.kind)


def opened(data: bytes, name: str, suffix: str = "") -> Opened:
    """Return the file, opened. Raises InvalidInput for what is no image, too large or cut short."""
    kind = kind_of(data, suffix)
    if kind is None:
        raise refused(name, _no_image(data))
    late, size = False, None
    scan = scan_bytes(data)
    if scan is not None:
        check_size(scan.width, scan.height, name)
        if scan.flaw or scan.refusal:
            raise refused(name, scan.flaw or f"{scan.refusal}. Save it again with another program.")
        late, size = scan.late, (scan.width, scan.height)
    image, problem = _header(data, kind)
    if image is None:
        raise refused(name, f"is {article(_SHOWN.get(kind, kind))} file {UNREADABLE} ({problem}).")
    if size not in (None, image.size):  # a second header behind the first
        raise refused(name, DAMAGED)
    check_size(image.width, image.height, name)
    if kind == "TIFF" and _raw(image, data):
        raise refused(name, "is a camera's raw file; export it as JPEG or PNG first.")
    frames = _frames(image)
    own = kind in ("PNG", "JPEG", "WEBP") and frames == 1 and image.mode != "CMYK"
    if own and late:
        _load(image, kind, name)
    return Opened(image, image.format or kind, frames, own and modes.orientation(image) == 1)


def decoded(one: Opened, name: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the first frame with all its pixels, upright, and what was done. Raises InvalidInput."""
    turned = one.kind == "TIFF" and _turned(one.image)
    _load(one.image, one.shown, name)
    image = modes.upright(one.image)
    if one.kind == "PPM" and image.mode == "I":  # always 0..65535, however dark
        image = image.convert("I;16")
    notes = ("turned upright",) if turned or modes.orientation(one.image) != 1 else ()
    if one.frames > 1:
        sort = {"TIFF": "pages", "MPO": "images"}.get(one.kind, "frames")
        notes = (f"the first of {one.frames} {sort}", *notes)
    return image, notes


def check_size(width: int, height: int, name: str) -> None:
    """Raise InvalidInput when so many pixels are never decoded."""
    if width * height > MOST_PIXELS:
        most = f"{MOST_PIXELS // 1_000_000} megapixels"
        raise refused(name, f"is {width}x{height} pixels, more than {most}. Scale it down first.")


def _header(data: bytes, kind: str) -> tuple[Image.Image | None, str]:
    # Image.open would warn of large images, or refuse them, by a limit that is the user's own.
    try:
        importlib.import_module(f"PIL.{PLUGINS[kind]}")
        factory: Any = Image.OPEN[kind][0]
        image: Image.Image = factory(BytesIO(data), "")
    except Exception as error:  # noqa: BLE001 - decoders raise anything
        return None, cause(error)
    return image, ""


def _load(image: Image.Image, shown: str, name: str) -> None:
    problem = ""
    try:
        if image.format == "TIFF":
            # Given room for its pixels, Pillow does not hold them against the user's own limit.
            image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size)).im
        image.load()
    except Exception as error:  # noqa: BLE001 - decoders raise anything
        problem = cause(error)
    if problem:
        cut = "truncated" in problem or "EOF" in problem
        raise refused(name, CUT if cut else f"is {article(shown)} file {UNREADABLE} ({problem}).")


def _frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 - a broken second frame does not spoil the first
        return 1


def _raw(image: Any, data: bytes) -> bool:
    """Say whether a TIFF is a camera's: what Pillow finds in it is the small preview."""
    return data[8:10] == b"CR" or 50706 in image.tag_v2 or image.tag_v2.get(254) == 1


def _turned(image: Any) -> bool:
    """Say whether a TIFF is going to be turned: Pillow does so while it decodes, and forgets."""
    return image.tag_v2.get(modes.ORIENTATION, 1) in modes.UPRIGHT


def _no_image(data: bytes) -> str:
    if not data:
        return "is empty: 0 bytes."
    known = what_else(data)
    return f"is {known}." if known else f"is no image that can be read; {READABLE} can."
