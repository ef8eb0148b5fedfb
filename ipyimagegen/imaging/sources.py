"""Take an image in any form that a notebook holds, and make it ready to be sent."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from ipyimagegen.core.text import truncate
from ipyimagegen.imaging import arrays, figures, files, modes
from ipyimagegen.imaging.opening import check_size, decoded, opened
from ipyimagegen.imaging.packing import MOST_BYTES, MOST_PIXELS, pack
from ipyimagegen.imaging.refusing import TAKEN, cause, indexed, labelled, refused, typed
from ipyimagegen.imaging.values import EncodedImage

Decoded = tuple[Image.Image, tuple[str, ...]]


def source(thing: object, name: str) -> EncodedImage:
    """Return the image ready to be sent; see `ipyimagegen.imaging.source`."""
    file = _file(thing, name)
    if file is None:
        return _packed(*_living(thing, name), name)
    data, name, suffix = file
    one = opened(data, name, suffix)
    small = len(data) <= MOST_BYTES and one.image.width * one.image.height <= MOST_PIXELS
    if one.plain and small:
        mime = f"image/{one.kind.lower()}"
        return EncodedImage(data=data, mime=mime, width=one.image.width, height=one.image.height)
    image, notes = decoded(one, name)
    if one.kind != "PNG":
        notes = (*notes, f"converted from {one.shown} to PNG")
    return _packed(image, notes, name)


def image(thing: object, name: str) -> Image.Image:
    """Return the image decoded and upright, in its own mode and size. Raises InvalidInput."""
    file = _file(thing, name)
    if file is None:
        return _living(thing, name)[0]
    data, name, suffix = file
    return decoded(opened(data, name, suffix), name)[0]


def _file(thing: Any, name: str) -> tuple[bytes, str, str] | None:
    """Return the bytes of a file, what to call it, and its suffix; None when it is no file."""
    if _from_ipython(thing):
        thing = _shown(thing, name)
    if isinstance(thing, io.BytesIO):
        thing = thing.getbuffer()
    if isinstance(thing, (bytes, bytearray, memoryview)):
        files.check_bytes(memoryview(thing).nbytes, name)
        return bytes(thing), name, ""
    if isinstance(thing, os.PathLike):
        path = Path(os.fsdecode(thing))
        return files.read(path, name), labelled(name, path), path.suffix
    return None


def _from_ipython(thing: object) -> bool:
    return any(c.__name__ == "Image" and c.__module__.startswith("IPython") for c in type(thing).__mro__)


def _shown(thing: Any, name: str) -> object:
    data, path = getattr(thing, "data", None), getattr(thing, "filename", None)
    if isinstance(data, (bytes, bytearray)) and data:
        return data
    if path:
        return Path(path)
    raise refused(name, "is an IPython Image that holds only an address; give the address itself.")


def _living(thing: Any, name: str) -> Decoded:
    """Return what is no file, decoded and upright, with what was done to it."""
    if isinstance(thing, Image.Image):
        return _pillow(thing, name)
    part = figures.drawn_in(thing)
    if part is not None:
        return figures.image(part, name), ()
    if isinstance(thing, (list, tuple)):
        raise refused(name, _list(thing, name))
    if arrays.is_array(thing) and not isinstance(thing, type):
        return arrays.image(thing, name)
    if isinstance(thing, str):
        raise refused(name, f"is text; a path is given as pathlib.Path({truncate(thing, 60)!r}).")
    raise refused(name, f"is a value of type {typed(thing)}, no image. What is taken: {TAKEN}.")


def _pillow(thing: Image.Image, name: str) -> Decoded:
    check_size(thing.width, thing.height, name)
    if not thing.width or not thing.height:
        raise refused(name, f"is an empty image, {thing.width}x{thing.height}.")
    problem = ""
    try:
        thing.load()
        image = modes.upright(thing)
    except Exception as error:  # noqa: BLE001 - decoders, and files closed meanwhile, raise anything
        problem = cause(error)
    if problem:
        hint = "Call its .load() while its file is open."
        raise refused(name, f"is a Pillow image that cannot be read ({problem}). {hint}")
    return image, ("turned upright",) if image is not thing else ()


def _list(thing: Any, name: str) -> str:
    if not thing:
        return f"is an empty {typed(thing)}, no image."
    what = f"is a {typed(thing)} of {len(thing)}"
    if any(figures.drawn_in(one) is not None for one in thing):
        return f"{what} axes or figures: choose one, such as {indexed(name)}."
    if _images(thing):
        return f"{what} images: choose one, such as {indexed(name)}."
    return f"{what} values, no image; of numbers make an array, with numpy.array."


def _images(things: Any) -> bool:
    return all(isinstance(one, Image.Image) or arrays.is_array(one) for one in things)


def _packed(image: Image.Image, notes: tuple[str, ...], name: str) -> EncodedImage:
    problem = ""
    try:
        ready, profile = modes.ready(image)
    except ValueError as error:
        problem = str(error)
    if problem:
        raise refused(name, problem)
    return pack(ready, notes, profile)
