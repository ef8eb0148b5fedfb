"""Turn arrays and tensors into images; NumPy and torch are recognised, never imported."""

from __future__ import annotations

import sys
from typing import Any

from PIL import Image

from ipyimagegen.imaging.opening import check_size
from ipyimagegen.imaging.ranges import Scale, scale_of
from ipyimagegen.imaging.refusing import cause, indexed, refused, typed

SHAPES = "(height, width), with 1, 3 or 4 channels last or first"
MOST_BANDS = 16  # a last axis this short is channels, of a kind that no image has
_TABLES = ("DataFrame", "Series")
_CHANNELS = (1, 2, 3, 4)
_FIRST = (1, 3, 4)  # channels that may come first
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def is_array(thing: object) -> bool:
    """Say whether it is a NumPy array, a tensor, or can be made an array of."""
    return _is_tensor(thing) or hasattr(thing, "__array__") or hasattr(thing, "__array_interface__")


def image(thing: object, name: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Return an array or tensor as a Pillow image of mode 1, L, LA, RGB, RGBA or I;16, and notes.

    Raises InvalidInput for other shapes, types and values, saying what is expected.
    """
    array = _array(thing, name)
    grid = _upright(array, name)
    check_size(grid.shape[1], grid.shape[0], name)
    if grid.dtype.kind == "b":
        if grid.shape[2] == 1:
            return _image(grid.astype("uint8") * 255).convert("1"), ()
        return _image(grid.astype("uint8") * 255), ()
    return _coloured(grid, name)


def _is_tensor(thing: object) -> bool:
    torch = sys.modules.get("torch")
    kind = getattr(torch, "Tensor", None)
    return isinstance(kind, type) and isinstance(thing, kind)


def _array(thing: Any, name: str) -> Any:
    """Return it as a NumPy array of numbers that is not empty."""
    if type(thing).__name__ in _TABLES and type(thing).__module__.startswith(("pandas", "polars")):
        table = f"is a table ({typed(thing)}), no image."
        raise refused(name, f"{table} If its values are pixels, give its .to_numpy().")
    problem = ""
    array: Any = None
    try:
        array = _tensor(thing) if _is_tensor(thing) else _plain(thing)
    except Exception as error:  # noqa: BLE001 - a library from outside raises anything
        problem = cause(error)
    if problem:
        raise refused(name, f"is a {typed(thing)} that cannot be read as an array ({problem}).")
    kind = array.dtype.kind
    if kind == "O":
        raise refused(name, _objects(array, name))
    if kind not in "biuf":
        raise refused(name, f"is an array of {array.dtype}; images are arrays of numbers.")
    if not array.size:
        raise refused(name, f"is an empty array, of shape {_shape(array)}.")
    return array


def _tensor(thing: Any) -> Any:
    tensor = thing.detach().cpu()
    if str(tensor.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
        tensor = tensor.float()  # NumPy does not know these
    return tensor.numpy()


def _plain(thing: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:  # then whoever made it brings NumPy by answering
        array = thing.__array__()
        numpy = sys.modules["numpy"]
    else:
        array = thing
    if isinstance(array, numpy.ma.MaskedArray):
        array = array.filled(False if array.dtype.kind == "b" else 0)
    array = numpy.asarray(array)
    if array.dtype.kind == "V" and "float" in array.dtype.name:  # ml_dtypes' bfloat16, as JAX has it
        array = array.astype("float32")
    return array


def _upright(array: Any, name: str) -> Any:
    """Return the array as (height, width, channels)."""
    grid = array
    while grid.ndim > 3 and grid.shape[0] == 1:
        grid = grid[0]
    if grid.ndim == 2:
        return grid[:, :, None]
    if grid.ndim == 3:
        if grid.shape[2] in _CHANNELS:
            return grid
        if grid.shape[0] in _FIRST:
            return grid.transpose(1, 2, 0)
    shape = _shape(array)
    if not shape.strip("()"):
        raise refused(name, f"is a single number ({array.dtype}), no image.")
    many = grid.ndim == 3 and (grid.shape[2] > MOST_BANDS or grid.shape[2] >= grid.shape[0] > 1)
    if grid.ndim == 4 or many:
        count = grid.shape[0]
        raise refused(
            name, f"is an array of {count} images, of shape {shape}: choose one, such as {indexed(name)}."
        )
    raise refused(name, f"is an array of shape {shape}; an image is {SHAPES}.")


def _coloured(grid: Any, name: str) -> tuple[Image.Image, tuple[str, ...]]:
    kind, channels = grid.dtype.kind, grid.shape[2]
    low, high = float(grid.min()), float(grid.max())
    problem, scale = "", Scale.BYTE
    try:
        scale = scale_of(kind, low, high, deep=grid.dtype.name == "uint16")
    except ValueError as error:
        problem = str(error)
    if problem:
        raise refused(name, problem)
    if scale is Scale.DEEP:
        if channels == 1:
            return _image(grid.astype("<u2"), "I;16"), ()
        return _image((grid >> 8).astype("uint8")), ("16 bits a channel brought down to 8",)
    if kind == "f":
        # Float16 cannot hold what is in between.
        grid = grid.astype("float32") * (255 if scale is Scale.UNIT else 1)
        grid = grid.round().clip(0, 255)
    return _image(grid.astype("uint8")), ()


def _image(grid: Any, mode: str = "") -> Image.Image:
    height, width, channels = grid.shape
    return Image.frombytes(mode or _MODES[channels], (width, height), grid.tobytes())


def _shape(array: Any) -> str:
    return "(" + ", ".join(str(one) for one in array.shape) + ("," if array.ndim == 1 else "") + ")"


def _objects(array: Any, name: str) -> str:
    first = array.flat[0] if array.size else None
    if hasattr(first, "get_tightbbox"):
        return f"is an array of {array.size} axes: choose one, such as {indexed(name, array.ndim)}."
    return f"is an array of Python objects ({typed(first)}); images are arrays of numbers."
