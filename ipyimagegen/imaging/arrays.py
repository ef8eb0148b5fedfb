"""Turn arrays and tensors into images; NumPy and torch are recognised, never imported."""

from __future__ import annotations

import sys
from typing import Any

from PIL import Image

from ipyimagegen.core.messages import Message, _
from ipyimagegen.imaging.normalize import Scale, choose_scale
from ipyimagegen.imaging.opening import check_size
from ipyimagegen.imaging.refusal import attempt, describe_type, index_first, refuse

_MOST_BANDS = 16  # a last axis this short is channels, of a kind that no image has
_TABLE_TYPES = ("DataFrame", "Series")
_CHANNELS = (1, 2, 3, 4)
_CHANNELS_FIRST = (1, 3, 4)
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def is_array(thing: object) -> bool:
    """Return whether it is a NumPy array, a tensor, or can be converted to an array."""
    return _is_tensor(thing) or hasattr(thing, "__array__") or hasattr(thing, "__array_interface__")


def to_image(thing: object, label: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Return an array or tensor as a Pillow image of mode 1, L, LA, RGB, RGBA or I;16, and notes.

    Raises InvalidInput for other shapes, types and values.
    """
    array = _to_array(thing, label)
    grid = _to_grid(array, label)
    check_size(grid.shape[1], grid.shape[0], label)
    if grid.dtype.kind == "b":
        image = _from_grid(grid.astype("uint8") * 255)
        return image.convert("1") if grid.shape[2] == 1 else image, ()
    return _scale_values(grid, label)


def _is_tensor(thing: object) -> bool:
    kind = getattr(sys.modules.get("torch"), "Tensor", None)
    return isinstance(kind, type) and isinstance(thing, kind)


def _to_array(thing: Any, label: str) -> Any:
    """Return it as a NumPy array of numbers that is not empty."""
    if type(thing).__name__ in _TABLE_TYPES and type(thing).__module__.startswith(("pandas", "polars")):
        message = _(
            "{image} is a table ({type}). If its values are pixels, pass its to_numpy().",
            image=label,
            type=describe_type(thing),
        )
        raise refuse(message)
    array, problem = attempt(lambda: _from_tensor(thing) if _is_tensor(thing) else _from_array_like(thing))
    if array is None:
        message = _(
            "{image} is a {type} that cannot be read as an array ({error}).",
            image=label,
            type=describe_type(thing),
            error=problem,
        )
        raise refuse(message)
    if array.dtype.kind == "O":
        raise refuse(_describe_objects(array, label))
    if array.dtype.kind not in "biuf":
        raise refuse(_("{image} is an array of {type}, not of numbers.", image=label, type=str(array.dtype)))
    if not array.size:
        raise refuse(_("{image} is an empty array of shape {shape}.", image=label, shape=str(array.shape)))
    return array


def _from_tensor(thing: Any) -> Any:
    tensor = thing.detach().cpu()
    if str(tensor.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
        tensor = tensor.float()  # NumPy does not know these
    return tensor.numpy()


def _from_array_like(thing: Any) -> Any:
    if "numpy" not in sys.modules:  # then its own conversion imports NumPy
        thing = thing.__array__()
    numpy = sys.modules["numpy"]
    if isinstance(thing, numpy.ma.MaskedArray):
        thing = thing.filled(False if thing.dtype.kind == "b" else 0)
    array = numpy.asarray(thing)
    if array.dtype.kind == "V" and "float" in array.dtype.name:  # ml_dtypes' bfloat16, as JAX has it
        array = array.astype("float32")
    return array


def _to_grid(array: Any, label: str) -> Any:
    """Return the array as (height, width, channels)."""
    grid = array
    while grid.ndim > 3 and grid.shape[0] == 1:
        grid = grid[0]
    if grid.ndim == 2:
        return grid[:, :, None]
    if grid.ndim == 3:
        if grid.shape[2] in _CHANNELS:
            return grid
        if grid.shape[0] in _CHANNELS_FIRST:
            return grid.transpose(1, 2, 0)
    if not array.shape:
        raise refuse(_("{image} is a single number ({type}).", image=label, type=str(array.dtype)))
    shape = str(array.shape)
    many = grid.ndim == 3 and (grid.shape[2] > _MOST_BANDS or grid.shape[2] >= grid.shape[0] > 1)
    if grid.ndim == 4 or many:
        message = _(
            "{image} is an array of {count} images, of shape {shape}. Choose one, such as {example}.",
            image=label,
            count=grid.shape[0],
            shape=shape,
            example=index_first(label),
        )
        raise refuse(message)
    message = _(
        "{image} is an array of shape {shape}. Expected (height, width), with 1, 3 or 4 channels last or"
        " first.",
        image=label,
        shape=shape,
    )
    raise refuse(message)


def _scale_values(grid: Any, label: str) -> tuple[Image.Image, tuple[str, ...]]:
    low, high = float(grid.min()), float(grid.max())
    scale = choose_scale(grid.dtype.kind, low, high, label, deep=grid.dtype.name == "uint16")
    if scale is Scale.DEEP:
        if grid.shape[2] == 1:
            return _from_grid(grid.astype("<u2"), "I;16"), ()
        return _from_grid((grid >> 8).astype("uint8")), (_("16 bits a channel reduced to 8"),)
    if grid.dtype.kind == "f":
        # Float16 cannot hold the products.
        grid = grid.astype("float32") * (255 if scale is Scale.UNIT else 1)
        grid = grid.round().clip(0, 255)
    return _from_grid(grid.astype("uint8")), ()


def _from_grid(grid: Any, mode: str = "") -> Image.Image:
    height, width, channels = grid.shape
    return Image.frombytes(mode or _MODES[channels], (width, height), grid.tobytes())


def _describe_objects(array: Any, label: str) -> Message:
    first = array.flat[0] if array.size else None
    if hasattr(first, "get_tightbbox"):
        return _(
            "{image} is an array of {count} axes. Choose one, such as {example}.",
            image=label,
            count=array.size,
            example=index_first(label, array.ndim),
        )
    return _(
        "{image} is an array of Python objects ({type}), not of numbers.",
        image=label,
        type=describe_type(first),
    )
