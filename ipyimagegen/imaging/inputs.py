"""Turn any image that a notebook holds into a file that a server accepts."""

from __future__ import annotations

import importlib
import io
import itertools
import os
import re
import stat
import unicodedata
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from ipyimagegen.core.errors import InvalidInput, find_nearest
from ipyimagegen.core.formats import BY_NAME, HEAD, INPUTS
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.text import truncate
from ipyimagegen.imaging.containers import BYTES, MOST_FILE_BYTES, unwrap_input
from ipyimagegen.imaging.errors import add_path, attempt, describe_error, refuse, to_label
from ipyimagegen.imaging.normalize import (
    MOST_BYTES,
    MOST_PIXELS,
    ORIENTATION,
    TURNS,
    EncodedImage,
    check_size,
    describe_floats,
    encode_within,
    find_turn,
    lay_on_white,
    to_eight_bits,
    to_ready_mode,
    to_size_text,
    turn_upright,
)
from ipyimagegen.imaging.objects import Decoded, decode_object
from ipyimagegen.imaging.scan import CUT, DAMAGED, scan_bytes
from ipyimagegen.imaging.sniff import PLUGINS, describe_other, sniff_format

_MOST_NAMES = 5000  # names of a folder that are searched for a similar name
_VARIABLE = re.compile(r"\$(\w+)(?=[/\\]|$)")
_SUPPORTED = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, PPM, ICO, TGA"
_TITLES = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}


@dataclass(frozen=True)
class _OpenedImage:
    """An image file whose header was read. Its frames are counted and its pixels not decoded.

    `sendable` is whether its own bytes can be sent: a whole upright PNG, JPEG or WebP of a single frame.
    """

    image: Image.Image
    kind: str
    frames: int
    sendable: bool


def encode_input(thing: object, name: str = "the image") -> EncodedImage:
    """Return a user's image ready to be sent: a whole upright PNG, JPEG or WebP file.

    `thing` is bytes or a path, a Pillow image, an array of shape (height, width), with 1, 3 or 4
    channels last or first, a tensor, a matplotlib figure or axes, or whatever `unwrap_input` takes. A file
    that can be sent as it is keeps its own bytes. Anything else becomes PNG without loss, scaled only above
    50 MB or 40 megapixels. `name` is how messages call it. Raises InvalidInput, beginning with `name`.
    """
    label = to_label(name)
    thing = unwrap_input(thing, label)[0]
    file = _read_file(thing, label)
    if file is None:
        image, notes = decode_object(thing, label)
    else:
        data, label, suffix = file
        opened = _open_file(data, label, suffix)
        width, height = opened.image.size
        if opened.sendable and len(data) <= MOST_BYTES and width * height <= MOST_PIXELS:
            return EncodedImage(data=data, mime=f"image/{opened.kind.lower()}", width=width, height=height)
        image, notes = _decode(opened, label)
        if opened.kind != "PNG":
            notes = (*notes, _describe_conversion(opened.kind, "PNG"))
    ready, profile = to_ready_mode(image, label)
    return encode_within(ready, (*notes, *describe_floats(image)), profile)


def decode_input(thing: object, label: str) -> Image.Image:
    """Return what `encode_input` takes, decoded and upright, in its own mode and size.

    Raises InvalidInput.
    """
    thing = unwrap_input(thing, label)[0]
    file = _read_file(thing, label)
    if file is None:
        return decode_object(thing, label)[0]
    data, label, suffix = file
    return _decode(_open_file(data, label, suffix), label)[0]


def fit_input(
    source: EncodedImage,
    formats: tuple[str, ...],
    limit: int,
    *,
    square: bool = False,
    name: str = "the image",
) -> EncodedImage:
    """Return the image as a server accepts it: in one of `formats` (png, jpeg, webp), in `limit` bytes.

    The same object when it fits already. Otherwise without loss where a format allows it, as JPEG on
    white where only that is left, and scaled down; the notes name each change. Raises InvalidInput when
    it is not square and must be, or fits at no size.
    """
    label = to_label(name)
    if square and source.width != source.height:
        message = _(
            "{image} is {size}. This server accepts only square images. Crop it with"
            " PIL.ImageOps.fit(image, ({edge}, {edge})).",
            image=label,
            size=to_size_text((source.width, source.height)),
            edge=min(source.width, source.height),
        )
        raise refuse(message)
    form = source.mime.removeprefix("image/")
    # Bit depth and colour type: servers that use Pillow read 16-bit grey as white.
    deep_grey = form == "png" and source.data[24] == 16 and source.data[25] in (0, 4)
    if form in formats and len(source.data) <= limit and not deep_grey:
        return source
    image, profile = to_ready_mode(_decode(_open_file(source.data, label), label)[0], label)
    image, reduced = to_eight_bits(image)
    notes = (*source.notes, *reduced)
    target = next((option for option in formats if option in ("png", "webp")), "jpeg")
    if target != form:
        notes = (*notes, _describe_conversion(form.upper(), target.upper()))
    if target == "jpeg" and image.mode == "RGBA":
        image, laid = lay_on_white(image)
        notes = (*notes, *laid)
    fitted = encode_within(image, notes, profile, form=target, limit=limit)
    if len(fitted.data) > limit:
        raise refuse(
            _("{image} does not fit into {limit} bytes at any size.", image=label, limit=f"{limit:,}")
        )
    return replace(fitted, scaled_from=fitted.scaled_from and (source.scaled_from or fitted.scaled_from))


def _describe_conversion(before: str, after: str) -> Message:
    return _("converted from {before} to {after}", before=_to_title(before), after=_to_title(after))


# Reading


def _read_file(thing: Any, label: str) -> tuple[bytes, str, str] | None:
    """Return the bytes of a file, its label and its suffix; None when `thing` is not a file."""
    if isinstance(thing, io.BytesIO):
        thing = thing.getbuffer()
    if isinstance(thing, BYTES):
        length = memoryview(thing).nbytes
        if length > MOST_FILE_BYTES:
            raise refuse(_describe_excess(length, label))
        return bytes(thing), label, ""
    if isinstance(thing, os.PathLike):
        path = Path(os.fsdecode(thing))
        label = add_path(label, path)
        return _read_path(path, label), label, path.suffix
    return None


def expand_path(text: str) -> Path:
    """Return a path with folders for `~`, and for a variable at its beginning that holds an absolute path.

    As typed where there is no such user. No key is such a path.
    """
    variable = _VARIABLE.match(text)
    folder = os.environ.get(variable[1], "") if variable else ""
    if variable and Path(folder).is_absolute():
        text = folder + text[variable.end() :]
    path = Path(text)
    return attempt(path.expanduser)[0] or path


def _read_path(path: Path, label: str) -> bytes:
    """Return the bytes of a regular file of bounded size."""
    path = path if attempt(path.exists)[0] else expand_path(str(path))
    # Systems differ in the Unicode form of accents.
    forms = [path, *(Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD"))]
    path = next((form for form in forms if attempt(form.exists)[0]), path)
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= MOST_FILE_BYTES:
            return path.read_bytes()
    except (OSError, ValueError) as error:  # missing, too long, a loop of links, a NUL
        problem = _explain_unread(error, path, label)
    else:
        if stat.S_ISDIR(status.st_mode):
            problem = _("{image} is a folder. Choose an image in it.", image=label)
        elif not stat.S_ISREG(status.st_mode):
            problem = _("{image} is not a regular file.", image=label)
        else:
            problem = _describe_excess(status.st_size, label)
    raise refuse(problem)


def _describe_excess(length: int, label: str) -> Message:
    return _(
        "{image} has {size} MB. The limit is {limit} MB. Use a smaller file.",
        image=label,
        size=f"{length / 1e6:,.0f}",
        limit=f"{MOST_FILE_BYTES / 1e6:,.0f}",
    )


def _explain_unread(error: Exception, path: Path, label: str) -> Message:
    if isinstance(error, PermissionError):
        return _("{image} cannot be read: permission denied.", image=label)
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return _("{image} cannot be read ({error}).", image=label, error=describe_error(error))
    folder = truncate(str(path.parent))
    try:
        names = [entry.name for entry in itertools.islice(os.scandir(path.parent), _MOST_NAMES)]
    except NotADirectoryError:
        return _("{image} does not exist: {folder} is not a folder.", image=label, folder=folder)
    except OSError:
        return _("{image} does not exist: there is no folder {folder}.", image=label, folder=folder)
    folder = truncate(str(path.parent.absolute()))
    similar = find_nearest(path.name, names)
    if similar is None:
        return _("{image} does not exist in {folder}.", image=label, folder=folder)
    return _(
        "{image} does not exist in {folder}. Did you mean {name}?",
        image=label,
        folder=folder,
        name=truncate(similar, 160),
    )


# Opening


def _open_file(data: bytes, label: str, suffix: str = "") -> _OpenedImage:
    """Return the file, opened. Raises InvalidInput for what is not an image, too large or cut short."""
    kind = sniff_format(data, suffix) or _find_plugin(data)
    if kind is None:
        raise refuse(_describe_unsupported(data, label))
    late, size = False, None
    scan = scan_bytes(data)
    if scan is not None:
        check_size(scan.width, scan.height, label)
        if scan.flaw and kind != "GIF":  # many GIF files lack their last byte
            raise _refuse_flaw(scan.flaw, label)
        if scan.refusal:
            message = _("{image} {problem}. Save it with another program.", image=label, problem=scan.refusal)
            raise refuse(message)
        late, size = scan.late, (scan.width, scan.height)
    if kind in PLUGINS:
        importlib.import_module(f"PIL.{PLUGINS[kind]}")
    # Image.open would warn of large images, or refuse them, by a limit that is the user's own.
    opener: Any = Image.OPEN[kind][0]
    image, problem = attempt(lambda: opener(io.BytesIO(data), ""))
    if image is None:
        raise _refuse_undecodable(kind, problem, label)
    if size not in (None, image.size):  # a second header behind the first
        raise _refuse_flaw(DAMAGED, label)
    check_size(image.width, image.height, label)
    # Of a camera's raw file Pillow opens the small preview.
    if kind == "TIFF" and (data[8:10] == b"CR" or 50706 in image.tag_v2 or image.tag_v2.get(254) == 1):
        raise refuse(_("{image} is a camera's raw file. Export it as JPEG or PNG.", image=label))
    frames = attempt(lambda: int(getattr(image, "n_frames", 1)))[0] or 1  # a broken second frame is ignored
    own = kind in {BY_NAME[name].pillow for name in INPUTS} and frames == 1 and image.mode != "CMYK"
    if own and late:
        _load(image, kind, label)
    return _OpenedImage(image, image.format or kind, frames, own and find_turn(image) is None)


def _find_plugin(data: bytes) -> str | None:
    """Return the format of a plugin that the user registered with Pillow, such as HEIF, and that takes it."""
    for kind, (factory, accepts) in Image.OPEN.items():
        own = getattr(factory, "__module__", "PIL").partition(".")[0] == "PIL"
        if not own and accepts and attempt(partial(accepts, data[:HEAD]))[0] is True:
            return kind
    return None


def _decode(opened: _OpenedImage, label: str) -> Decoded:
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


def _to_title(kind: str) -> str:
    """Return Pillow's name of a format as people write it."""
    return _TITLES.get(kind, kind)


def _describe_first(opened: _OpenedImage) -> Message:
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
        format=_to_title(kind),
        error=error,
    )
    return refuse(message)
