"""Turn any image that a notebook holds into a file that a server accepts."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.text import truncate
from ipyimagegen.imaging import arrays, plots
from ipyimagegen.imaging.normalize import (
    MOST_BYTES,
    MOST_PIXELS,
    EncodedImage,
    encode_within,
    to_eight_bits,
    to_ready_mode,
    to_size_text,
    turn_upright,
)
from ipyimagegen.imaging.opening import check_bytes, check_size, decode, open_file, read_file, to_title
from ipyimagegen.imaging.refusal import add_path, attempt, describe_type, index_first, refuse, to_label

_Decoded = tuple[Image.Image, tuple[str, ...]]
_PNG_DEPTH = 24  # offset of the bit depth in a PNG; the colour type follows
_READABLE = _(
    "a path, bytes, a Pillow image, a NumPy array, a tensor, a matplotlib figure or axes,"
    " an IPython.display.Image"
)


def encode_input(thing: object, name: str = "the image") -> EncodedImage:
    """Return a user's image ready to be sent: a whole upright PNG, JPEG or WebP file.

    `thing` is bytes or a path, a Pillow image, an array of shape (height, width), with 1, 3 or 4
    channels last or first, a tensor, a matplotlib figure or axes, or an IPython Image. A file that can
    be sent as it is keeps its own bytes. Anything else becomes PNG without loss, scaled only above 50 MB
    or 40 megapixels. `name` is how messages call it. Raises InvalidInput, beginning with `name`.
    """
    label = to_label(name)
    file = _read_file(thing, label)
    if file is None:
        return _encode(*_decode_object(thing, label), label)
    data, label, suffix = file
    opened = open_file(data, label, suffix)
    width, height = opened.image.size
    if opened.sendable and len(data) <= MOST_BYTES and width * height <= MOST_PIXELS:
        return EncodedImage(data=data, mime=f"image/{opened.kind.lower()}", width=width, height=height)
    image, notes = decode(opened, label)
    if opened.kind != "PNG":
        notes = (*notes, _describe_conversion(opened.kind, "PNG"))
    return _encode(image, notes, label)


def decode_input(thing: object, label: str) -> Image.Image:
    """Return what `encode_input` takes, decoded and upright, in its own mode and size.

    Raises InvalidInput.
    """
    file = _read_file(thing, label)
    if file is None:
        return _decode_object(thing, label)[0]
    data, label, suffix = file
    return decode(open_file(data, label, suffix), label)[0]


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
    if form in formats and len(source.data) <= limit and not _is_deep_grey(source):
        return source
    image, profile = to_ready_mode(decode(open_file(source.data, label), label)[0], label)
    notes = source.notes
    if image.mode == "I;16":
        image = to_eight_bits(image)
        notes = (*notes, _("16-bit grey reduced to 8 bits"))
    target = next((option for option in formats if option in ("png", "webp")), "jpeg")
    if target != form:
        notes = (*notes, _describe_conversion(form.upper(), target.upper()))
    if target == "jpeg" and image.mode == "RGBA":
        image = _lay_on_white(image)
        notes = (*notes, _("laid on white"))
    fitted = encode_within(image, notes, profile, form=target, limit=limit)
    if len(fitted.data) > limit:
        raise refuse(
            _("{image} does not fit into {limit} bytes at any size.", image=label, limit=f"{limit:,}")
        )
    return replace(fitted, scaled_from=fitted.scaled_from and (source.scaled_from or fitted.scaled_from))


def _read_file(thing: Any, label: str) -> tuple[bytes, str, str] | None:
    """Return the bytes of a file, its label and its suffix; None when `thing` is not a file."""
    if any(
        kind.__name__ == "Image" and kind.__module__.startswith("IPython") for kind in type(thing).__mro__
    ):
        thing = _unwrap_ipython(thing, label)
    if isinstance(thing, io.BytesIO):
        thing = thing.getbuffer()
    if isinstance(thing, (bytes, bytearray, memoryview)):
        check_bytes(memoryview(thing).nbytes, label)
        return bytes(thing), label, ""
    if isinstance(thing, os.PathLike):
        path = Path(os.fsdecode(thing))
        return read_file(path, label), add_path(label, path), path.suffix
    return None


def _unwrap_ipython(thing: Any, label: str) -> object:
    """Return the bytes or the path of an IPython Image."""
    data, path = getattr(thing, "data", None), getattr(thing, "filename", None)
    if isinstance(data, (bytes, bytearray)) and data:
        return data
    if path:
        return Path(path)
    raise refuse(_("{image} is an IPython Image that holds only a URL. Pass the URL itself.", image=label))


def _decode_object(thing: Any, label: str) -> _Decoded:
    """Return what is not a file as a Pillow image, upright, with notes on what was done."""
    if isinstance(thing, Image.Image):
        return _decode_pillow(thing, label)
    part = plots.find_figure(thing)
    if part is not None:
        return plots.to_image(part, label), ()
    if isinstance(thing, (list, tuple)):
        raise _refuse_list(thing, label)
    if arrays.is_array(thing) and not isinstance(thing, type):
        return arrays.to_image(thing, label)
    if isinstance(thing, str):
        path = repr(truncate(thing, 60))
        raise refuse(_("{image} is text. Pass a path as pathlib.Path({path}).", image=label, path=path))
    message = _(
        "{image} is a value of type {type}, not an image. Supported: {supported}.",
        image=label,
        type=describe_type(thing),
        supported=_READABLE,
    )
    raise refuse(message)


def _decode_pillow(thing: Image.Image, label: str) -> _Decoded:
    check_size(thing.width, thing.height, label)
    if not thing.width or not thing.height:
        raise refuse(_("{image} is empty: {size} pixels.", image=label, size=to_size_text(thing.size)))
    _loaded, problem = attempt(thing.load)  # its file may be closed
    if problem:
        message = _(
            "{image} is a Pillow image that cannot be read ({error}). Call load() while its file is open.",
            image=label,
            error=problem,
        )
        raise refuse(message)
    image = turn_upright(thing)
    return image, (_("turned upright"),) if image is not thing else ()


def _refuse_list(things: Any, label: str) -> InvalidInput:
    values: dict[str, Any] = {
        "image": label,
        "type": describe_type(things),
        "count": len(things),
        "example": index_first(label),
    }
    if not things:
        return refuse(_("{image} is an empty {type}.", **values))
    if any(plots.find_figure(thing) is not None for thing in things):
        return refuse(
            _("{image} is a {type} of {count} axes or figures. Choose one, such as {example}.", **values)
        )
    if all(isinstance(thing, Image.Image) or arrays.is_array(thing) for thing in things):
        return refuse(_("{image} is a {type} of {count} images. Choose one, such as {example}.", **values))
    return refuse(
        _(
            "{image} is a {type} of {count} values, not an image. Convert numbers with numpy.array.",
            **values,
        )
    )


def _encode(image: Image.Image, notes: tuple[str, ...], label: str) -> EncodedImage:
    ready, profile = to_ready_mode(image, label)
    return encode_within(ready, notes, profile)


def _describe_conversion(before: str, after: str) -> Message:
    return _("converted from {before} to {after}", before=to_title(before), after=to_title(after))


def _is_deep_grey(source: EncodedImage) -> bool:
    """Return whether it is a PNG of 16-bit grey, which servers that use Pillow read as white."""
    depth, colour_type = _PNG_DEPTH, _PNG_DEPTH + 1
    return source.mime == "image/png" and source.data[depth] == 16 and source.data[colour_type] in (0, 4)


def _lay_on_white(image: Image.Image) -> Image.Image:
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper
