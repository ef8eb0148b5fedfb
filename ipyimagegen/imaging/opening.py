"""Open an image file of the user: read it, check its header, and decode its first frame."""

from __future__ import annotations

import importlib
import itertools
import os
import stat
import unicodedata
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from ipyimagegen.core.errors import InvalidInput, find_nearest
from ipyimagegen.core.formats import FORMATS
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.text import truncate
from ipyimagegen.imaging.normalize import ORIENTATION, TURNS, find_turn, to_size_text, turn_upright
from ipyimagegen.imaging.refusal import add_path, attempt, describe_error, refuse
from ipyimagegen.imaging.scan import CUT, DAMAGED, scan_bytes
from ipyimagegen.imaging.sniff import PLUGINS, describe_other, sniff_format

_MOST_FILE_BYTES = 512 * 1024 * 1024  # a larger file is refused unread
_MOST_DECODED = 120_000_000  # pixels; a larger image is never decoded
_MOST_NAMES = 5000  # names of a folder that are searched for a similar name
_SUPPORTED = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, PPM, ICO, TGA"
_TITLES = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}


@dataclass(frozen=True)
class OpenedImage:
    """An image file whose header was read. Its frames are counted and its pixels not decoded.

    `sendable` is whether its own bytes can be sent: a whole upright PNG, JPEG or WebP of a single frame.
    """

    image: Image.Image
    kind: str
    frames: int
    sendable: bool


def read_file(path: Path, label: str) -> bytes:
    """Return the bytes of a regular file of bounded size. Raises InvalidInput."""
    path = attempt(path.expanduser)[0] or path  # no such user, or no home
    label = add_path(label, path)
    status, problem = _read_status(path, label)
    if status is None and (other := _find_other_spelling(path)) is not None:
        path = other
        status, problem = _read_status(path, label)
    if status is None:
        assert problem
        raise refuse(problem)
    if stat.S_ISDIR(status.st_mode):
        raise refuse(_("{image} is a folder. Choose an image in it.", image=label))
    if not stat.S_ISREG(status.st_mode):
        raise refuse(_("{image} is not a regular file.", image=label))
    check_bytes(status.st_size, label)
    try:
        return path.read_bytes()
    except OSError as error:
        failure = _explain(error, label)
    raise refuse(failure)


def open_file(data: bytes, label: str, suffix: str = "") -> OpenedImage:
    """Return the file, opened. Raises InvalidInput for what is not an image, too large or cut short."""
    kind = sniff_format(data, suffix)
    if kind is None:
        raise refuse(_describe_unsupported(data, label))
    late, size = False, None
    scan = scan_bytes(data)
    if scan is not None:
        check_size(scan.width, scan.height, label)
        if scan.flaw:
            raise _refuse_flaw(scan.flaw, label)
        if scan.refusal:
            message = _("{image} {problem}. Save it with another program.", image=label, problem=scan.refusal)
            raise refuse(message)
        late, size = scan.late, (scan.width, scan.height)
    image, problem = attempt(lambda: _open_header(data, kind))
    if image is None:
        raise _refuse_undecodable(kind, problem, label)
    if size not in (None, image.size):  # a second header behind the first
        raise _refuse_flaw(DAMAGED, label)
    check_size(image.width, image.height, label)
    if kind == "TIFF" and _is_raw(image, data):
        raise refuse(_("{image} is a camera's raw file. Export it as JPEG or PNG.", image=label))
    frames = attempt(lambda: int(getattr(image, "n_frames", 1)))[0] or 1  # a broken second frame is ignored
    own = kind in {file_format.pillow for file_format in FORMATS} and frames == 1 and image.mode != "CMYK"
    if own and late:
        _load(image, kind, label)
    return OpenedImage(image, image.format or kind, frames, own and find_turn(image) is None)


def decode(opened: OpenedImage, label: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Return the first frame with all its pixels, upright, and notes on what was done.

    Raises InvalidInput when it cannot be decoded.
    """
    # Pillow turns a TIFF while it decodes, and forgets that.
    tags: Any = getattr(opened.image, "tag_v2", {}) if opened.kind == "TIFF" else {}
    turned = tags.get(ORIENTATION, 1) in TURNS
    _load(opened.image, opened.kind, label)
    image = turn_upright(opened.image)
    if opened.kind == "PPM" and image.mode == "I":  # always 0..65535, however dark
        image = image.convert("I;16")
    notes: tuple[Message, ...] = ()
    if opened.frames > 1:
        notes = (_describe_first(opened),)
    if turned or find_turn(opened.image) is not None:
        notes = (*notes, _("turned upright"))
    return image, notes


def check_bytes(length: int, label: str) -> None:
    """Raise InvalidInput when a file of that length is never read."""
    if length > _MOST_FILE_BYTES:
        message = _(
            "{image} has {size} MB. The limit is {limit} MB. Use a smaller file.",
            image=label,
            size=f"{length / 1e6:,.0f}",
            limit=f"{_MOST_FILE_BYTES / 1e6:,.0f}",
        )
        raise refuse(message)


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


def to_title(kind: str) -> str:
    """Return Pillow's name of a format as people write it."""
    return _TITLES.get(kind, kind)


def _read_status(path: Path, label: str) -> tuple[os.stat_result | None, Message | None]:
    try:
        return path.stat(), None
    except (FileNotFoundError, NotADirectoryError):
        return None, _explain_missing(path, label)
    except (OSError, ValueError) as error:  # too long, a loop of links, a NUL
        return None, _explain(error, label)


def _explain(error: Exception, label: str) -> Message:
    if isinstance(error, PermissionError):
        return _("{image} cannot be read: permission denied.", image=label)
    return _("{image} cannot be read ({error}).", image=label, error=describe_error(error))


def _explain_missing(path: Path, label: str) -> Message:
    folder = path.parent
    try:
        names = [entry.name for entry in itertools.islice(os.scandir(folder), _MOST_NAMES)]
    except NotADirectoryError:
        return _(
            "{image} does not exist: {folder} is not a folder.", image=label, folder=truncate(str(folder))
        )
    except OSError:
        return _(
            "{image} does not exist: there is no folder {folder}.", image=label, folder=truncate(str(folder))
        )
    folder_text = truncate(str(folder.absolute()))
    similar = find_nearest(path.name, names)
    if similar is None:
        return _("{image} does not exist in {folder}.", image=label, folder=folder_text)
    return _(
        "{image} does not exist in {folder}. Did you mean {name}?",
        image=label,
        folder=folder_text,
        name=truncate(similar, 160),
    )


def _find_other_spelling(path: Path) -> Path | None:
    """Return the path in the other Unicode form of its accents, if that exists: systems differ."""
    for form in ("NFC", "NFD"):
        other = Path(unicodedata.normalize(form, str(path)))
        if other != path and attempt(other.exists)[0]:
            return other
    return None


def _open_header(data: bytes, kind: str) -> Image.Image:
    # Image.open would warn of large images, or refuse them, by a limit that is the user's own.
    importlib.import_module(f"PIL.{PLUGINS[kind]}")
    factory: Any = Image.OPEN[kind][0]
    image: Image.Image = factory(BytesIO(data), "")
    return image


def _load(image: Image.Image, kind: str, label: str) -> None:
    problem = attempt(lambda: _load_pixels(image))[1]
    if problem:
        if "truncated" in problem or "EOF" in problem:
            raise _refuse_flaw(CUT, label)
        raise _refuse_undecodable(kind, problem, label)


def _load_pixels(image: Image.Image) -> None:
    if image.format == "TIFF":
        # Given room for its pixels, Pillow does not compare them with the user's own limit.
        image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size)).im
    image.load()


def _is_raw(image: Any, data: bytes) -> bool:
    """Return whether a TIFF is a camera's raw file, of which Pillow opens the small preview."""
    return data[8:10] == b"CR" or 50706 in image.tag_v2 or image.tag_v2.get(254) == 1


def _describe_first(opened: OpenedImage) -> Message:
    match opened.kind:
        case "TIFF":
            return _("the first of {count} pages", count=opened.frames)
        case "MPO":
            return _("the first of {count} images", count=opened.frames)
    return _("the first of {count} frames", count=opened.frames)


def _describe_unsupported(data: bytes, label: str) -> Message:
    if not data:
        return _("{image} is empty: 0 bytes.", image=label)
    description = describe_other(data)
    if description:
        return _("{image} is {description}.", image=label, description=description)
    return _(
        "{image} is not a supported image. Supported formats: {formats}.", image=label, formats=_SUPPORTED
    )


def _refuse_flaw(flaw: str, label: str) -> InvalidInput:
    return refuse(_("{image} {flaw}. Download or save it again.", image=label, flaw=flaw))


def _refuse_undecodable(kind: str, error: str, label: str) -> InvalidInput:
    message = _(
        "{image} cannot be decoded as {format} ({error}). It may be damaged or of a rare variant.",
        image=label,
        format=to_title(kind),
        error=error,
    )
    return refuse(message)
