"""Unwrap what holds an image: widgets, uploads, open files, tuples and mappings of other libraries.

IPython and ipywidgets are recognised, never imported.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from ipyimagegen.core.messages import _
from ipyimagegen.core.user_input import is_named_file
from ipyimagegen.core.variables import probe
from ipyimagegen.imaging.errors import attempt, refuse, to_label
from ipyimagegen.imaging.objects import is_image_object

BYTES = (bytes, bytearray, memoryview)
MOST_FILE_BYTES = 512 * 1024 * 1024  # a larger file is refused unread
_DATA = {"bytes", "content"}  # keys of the data in a mapping

_Held: TypeAlias = tuple[Any, str | None]


def unwrap_input(value: Any, name: str) -> _Held:
    """Return what is in a container of an image, and its file name if it has one; other values as they are.

    Containers are an IPython Image, an ipywidgets Image or FileUpload and its value, a tuple of a client
    library, a mapping with `bytes`, an open binary file, which is read from its beginning and left where it
    was, and, where nothing else is known, an object that shows itself as PNG. They hold bytes, a path, or a
    URL as text. `name` is how messages call the value. Raises InvalidInput.
    """
    if is_image_object(value) or isinstance(value, (io.BytesIO, *BYTES)):
        return value, None
    label = to_label(name)
    for unwrap in _UNWRAPPERS:
        held, problem = attempt(partial(unwrap, value, label))
        if problem:
            raise refuse(_("{image} cannot be read ({error}).", image=label, error=problem))
        if held is not None:
            return held
    return value, None


def _unwrap_shown(value: Any, label: str) -> _Held | None:
    """Return what an Image of IPython or ipywidgets shows."""
    if _is_kind(value, "IPython", "Image"):
        data, path = getattr(value, "data", None), getattr(value, "filename", None)
        if isinstance(data, BYTES) and len(data):
            return data, None
        if path:
            return Path(path), None
        if url := getattr(value, "url", None):
            return url, None
        raise refuse(_("{image} is an IPython Image without data.", image=label))
    if _is_kind(value, "ipywidgets", "Image"):
        data = bytes(value.value)
        return (data.decode(errors="replace") if value.format == "url" else data), None
    return None


def _is_kind(value: object, package: str, name: str) -> bool:
    """Return whether it is of a class of a library that is not imported here."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] == package for kind in type(value).__mro__
    )


def _unwrap_uploads(value: Any, label: str) -> _Held | None:
    """Return the only file of a FileUpload, or of its value: a tuple in ipywidgets 8, by name in 7."""
    if _is_kind(value, "ipywidgets", "FileUpload"):
        value, label = value.value, f"{label}.value"
    if isinstance(value, tuple):
        files: Mapping[Any, Any] = dict(enumerate(value))
    elif isinstance(value, Mapping) and not _DATA & value.keys():
        files = value
    else:
        return None
    if not all(isinstance(file, Mapping) and "content" in file for file in files.values()):
        return None
    if not files:
        raise refuse(_("{image} is empty: it holds no file.", image=label))
    first, file = next(iter(files.items()))
    if len(files) == 1:
        return _unwrap_mapping({"name": first, **file}, label)
    raise refuse(
        _(
            "{image} holds {count} files. Choose one, such as {example}.",
            image=label,
            count=len(files),
            example=f"{label}[{first!r}]",
        )
    )


def _unwrap_pair(value: Any, label: str) -> _Held | None:
    """Return the file of `("name.png", data)`."""
    return (unwrap_input(value[1], label)[0], value[0]) if is_named_file(value) else None


def _unwrap_mapping(value: Any, label: str) -> _Held | None:
    """Return the bytes, or the file, in a mapping as data sets and uploads have it."""
    if not (isinstance(value, Mapping) and _DATA & value.keys()):
        return None
    data, path = value.get("bytes", value.get("content")), value.get("path") or value.get("name")
    path = Path(path) if isinstance(path, str) else None
    if data is None and path:  # a data set of files
        return path, None
    if isinstance(data, BYTES):
        return data, path.name if path else None
    kind = type(data).__name__
    raise refuse(_("{image} is a mapping whose data are of type {type}, not bytes.", image=label, type=kind))


def _unwrap_file(value: Any, label: str) -> _Held | None:
    """Return the bytes of an open file from its beginning, and restore its position, where it has one."""
    if isinstance(value, type) or not callable(probe(value, "read")):
        return None
    if isinstance(value, io.TextIOBase):
        raise refuse(_("{image} is a file opened as text. Open it with mode 'rb'.", image=label))
    data, problem = attempt(lambda: _read(value))
    if not isinstance(data, BYTES):
        kind = type(data).__name__
        reason = problem or _("its read() returns {type}, not bytes", type=kind)
        raise refuse(_("{image} is a file that cannot be read ({error}).", image=label, error=reason))
    name = probe(value, "name")
    return data, Path(name).name if isinstance(name, str) else None


def _read(file: Any) -> Any:
    if not (callable(probe(file, "seekable")) and file.seekable()):
        return file.read(MOST_FILE_BYTES + 1)
    position = file.tell()
    file.seek(0)
    try:
        return file.read(MOST_FILE_BYTES + 1)
    finally:
        file.seek(position)


def _unwrap_drawn(value: Any, label: str) -> _Held | None:
    """Return the PNG as which an object shows itself in a notebook."""
    draw = None if isinstance(value, type) else probe(value, "_repr_png_")
    if not callable(draw):
        return None
    drawn, problem = attempt(draw)
    data: Any = drawn[0] if isinstance(drawn, tuple) and drawn else drawn  # with its metadata
    if isinstance(data, str):
        data = attempt(lambda: base64.b64decode(data))[0]
    if problem:
        raise refuse(_("{image} cannot show itself as PNG ({error}).", image=label, error=problem))
    return (data, None) if isinstance(data, bytes) else None


_UNWRAPPERS = (_unwrap_shown, _unwrap_uploads, _unwrap_pair, _unwrap_mapping, _unwrap_file, _unwrap_drawn)
