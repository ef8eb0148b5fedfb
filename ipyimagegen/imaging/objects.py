"""Turn what a notebook holds besides files into Pillow images: arrays, tensors, figures of matplotlib.

NumPy, torch and matplotlib are recognised, never imported.
"""

from __future__ import annotations

import contextlib
import io
import numbers
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import Image

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.messages import _
from ipyimagegen.core.text import truncate
from ipyimagegen.core.variables import probe
from ipyimagegen.imaging.errors import attempt, refuse
from ipyimagegen.imaging.normalize import (
    check_size,
    describe_white,
    find_deep_white,
    find_white,
    to_size_text,
    turn_upright,
)

Decoded = tuple[Image.Image, tuple[str, ...]]
_READABLE = _(
    "a path, bytes, an open file, a Pillow image, a NumPy array, a tensor, a matplotlib figure or axes,"
    " an IPython.display.Image"
)
_MOST_BANDS = 16  # a last axis this short is channels, of a kind that no image has
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_SIDES = ("left", "right", "bottom", "top", "wspace", "hspace")  # the layout of subplots


def decode_object(thing: Any, label: str) -> Decoded:
    """Return what is not a file as a Pillow image, upright, with notes on what was done.

    Raises InvalidInput.
    """
    if isinstance(thing, Image.Image):
        return _decode_pillow(thing, label)
    part = _find_figure(thing)
    if part is not None:
        image, problem = attempt(lambda: _render(part))
        if image is None:
            raise refuse(_("{image} cannot be drawn by matplotlib ({error}).", image=label, error=problem))
        return image, ()
    if isinstance(thing, (list, tuple)):
        raise _refuse_list(thing, label)
    if _is_array(thing) and not isinstance(thing, type):
        return _decode_array(thing, label)
    if isinstance(thing, str):
        path = repr(truncate(thing, 60))
        raise refuse(
            _("{image} is text, a path or URL. Pass a path as pathlib.Path({path}).", image=label, path=path)
        )
    message = _(
        "{image} is a value of type {type}, not an image. Supported: {supported}.",
        image=label,
        type=_describe_type(thing),
        supported=_READABLE,
    )
    raise refuse(message)


def is_image_object(thing: object) -> bool:
    """Return whether it is a Pillow image, an array, a tensor, or a figure or axes of matplotlib."""
    if isinstance(thing, Image.Image):
        return True
    return (_is_array(thing) and not isinstance(thing, type)) or _find_figure(thing) is not None


def _decode_pillow(thing: Image.Image, label: str) -> Decoded:
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
        "type": _describe_type(things),
        "count": len(things),
        "example": _index_first(label),
    }
    if not things:
        return refuse(_("{image} is an empty {type}.", **values))
    if any(_find_figure(thing) is not None for thing in things):
        return refuse(
            _("{image} is a {type} of {count} axes or figures. Choose one, such as {example}.", **values)
        )
    if all(isinstance(thing, Image.Image) or _is_array(thing) for thing in things):
        return refuse(_("{image} is a {type} of {count} images. Choose one, such as {example}.", **values))
    if not all(isinstance(thing, (numbers.Number, list, tuple)) for thing in things):
        return refuse(_("{image} is a {type} of {count} things. Choose one, such as {example}.", **values))
    return refuse(
        _(
            "{image} is a {type} of {count} values, not an image. Convert numbers with numpy.array.",
            **values,
        )
    )


def _describe_type(value: object) -> str:
    """Return the type of a value as a person would write it, such as `pandas.DataFrame`."""
    kind = type(value)
    top = kind.__module__.partition(".")[0]
    return truncate(kind.__qualname__ if top in ("builtins", "__main__") else f"{top}.{kind.__qualname__}")


def _index_first(label: str, depth: int = 1) -> str:
    """Return how to choose the first of several: the variable's own name with [0], or `x[0]`."""
    if label.startswith("{") and label.endswith("}"):
        return label[:-1] + "[0]" * depth + "}"
    return (label if label.isidentifier() else "x") + "[0]" * depth


# Arrays and tensors


def _is_array(thing: object) -> bool:
    """Return whether it is a NumPy array, a tensor, or can be converted to an array."""
    names = ("__array__", "__array_interface__")
    return _is_tensor(thing) or any(probe(thing, name) is not None for name in names)


def _is_tensor(thing: object) -> bool:
    return all(callable(probe(thing, name)) for name in ("detach", "cpu", "numpy"))


def _decode_array(thing: Any, label: str) -> Decoded:
    """Return an array or tensor as an image of mode 1, L, LA, RGB, RGBA or I;16, and notes."""
    grid = _to_grid(_to_array(thing, label), label)
    height, width, channels = grid.shape
    check_size(width, height, label)
    mode, kind = _MODES[channels], grid.dtype.kind
    notes: tuple[str, ...] = ()
    if kind == "b":
        grid, notes = grid.astype("uint8") * 255, (_("True is white"),)
    else:
        low, high = float(grid.min()), float(grid.max())
        deep = grid.dtype.name == "uint16"
        white = find_white(kind, low, high, label, deep=deep)
        if white == 65535 and channels == 1:
            mode, grid = "I;16", grid.astype("<u2")
        elif white == 65535 and (shallow := find_deep_white(high)) < white:
            grid, notes = (grid * (255 / shallow)).round(), (describe_white(high, shallow),)
        elif white == 65535:
            grid, notes = grid >> 8, (_("16 bits a channel reduced to 8"),)
        elif kind == "f":  # float16 cannot hold the products
            grid = (grid.astype("float32") * (255 / white)).round().clip(0, 255)
        if white == 255 and high and (deep or kind == "f"):
            notes = (describe_white(high, white),)
    pixels = grid if mode == "I;16" else grid.astype("uint8")
    image = Image.frombytes(mode, (width, height), pixels.tobytes())
    return image.convert("1") if kind == "b" and channels == 1 else image, notes


def _to_array(thing: Any, label: str) -> Any:
    """Return it as a NumPy array of numbers that is not empty."""
    values: dict[str, Any] = {"image": label, "type": _describe_type(thing)}
    if type(thing).__name__ in ("DataFrame", "Series") and type(thing).__module__.startswith(
        ("pandas", "polars")
    ):
        raise refuse(
            _("{image} is a table ({type}). If its values are pixels, pass its to_numpy().", **values)
        )
    array, problem = attempt(lambda: _convert(thing))
    if array is None:
        message = _("{image} is a {type} that cannot be read as an array ({error}).", **values, error=problem)
        raise refuse(message)
    if array.dtype.kind == "O":
        first = array.flat[0] if array.size else None
        if probe(first, "get_tightbbox") is not None:
            message = _(
                "{image} is an array of {count} axes. Choose one, such as {example}.",
                image=label,
                count=array.size,
                example=_index_first(label, array.ndim),
            )
            raise refuse(message)
        message = _(
            "{image} is an array of Python objects ({type}), not of numbers.",
            image=label,
            type=_describe_type(first),
        )
        raise refuse(message)
    if array.dtype.kind not in "biuf":
        raise refuse(_("{image} is an array of {type}, not of numbers.", image=label, type=str(array.dtype)))
    if not array.size:
        raise refuse(_("{image} is an empty array of shape {shape}.", image=label, shape=str(array.shape)))
    return array


def _convert(thing: Any) -> Any:
    if _is_tensor(thing):
        tensor = thing.detach().cpu()
        if str(tensor.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
            tensor = tensor.float()  # NumPy does not know these
        return tensor.numpy()
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
    if grid.ndim == 3 and grid.shape[2] in _MODES:
        return grid
    if grid.ndim == 3 and grid.shape[0] in (1, 3, 4):
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
            example=_index_first(label),
        )
        raise refuse(message)
    message = _(
        "{image} is an array of shape {shape}. Expected (height, width), with 1, 3 or 4 channels last or"
        " first.",
        image=label,
        shape=shape,
    )
    raise refuse(message)


# Figures


def _find_figure(thing: object) -> Any:
    """Return the matplotlib figure, subfigure or axes that `thing` is or belongs to, or None.

    Grids of seaborn have a `figure`, and so has what a plotting function returns, such as an AxesImage.
    """
    kinds = _load_kinds()
    if not kinds:
        return None
    if isinstance(thing, kinds):
        return thing
    for attribute in ("axes", "figure", "fig"):
        if isinstance(inner := probe(thing, attribute), kinds):
            return inner
    return None


def _load_kinds() -> tuple[Any, ...]:
    """Return the types of figures, subfigures and axes; none where matplotlib is not loaded."""
    figure, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    return (figure.Figure, figure.SubFigure, axes.Axes) if figure and axes else ()


def _render(part: Any) -> Image.Image:
    """Return a figure, subfigure or axes in its figure's own size and resolution, as RGB or RGBA."""
    figure = part
    while getattr(figure, "figure", figure) is not figure:  # a figure is its own
        figure = figure.figure
    out = io.BytesIO()
    with _reset_layout(figure):
        # All options are the figure's own, whatever the user's settings for saved files are.
        figure.savefig(
            out,
            format="png",
            dpi="figure",
            facecolor="auto",
            edgecolor="auto",
            transparent=False,
            backend="agg",
            bbox_inches=_choose_box(part, figure),
            pad_inches=_read_inline().get("pad_inches"),
            pil_kwargs={"compress_level": 1},  # read again at once
        )
    with Image.open(out, formats=["PNG"]) as image:
        image.load()
    opaque = image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255
    return image.convert("RGB") if opaque else image


@contextlib.contextmanager
def _reset_layout(figure: Any) -> Iterator[None]:
    """Reset a tight layout to where it began at first, and restore it.

    It starts from what the last drawing left and ends a fraction of a pixel beside it, so that a figure
    would be another image, and paid for again, each time that it is drawn.
    """
    engine = figure.get_layout_engine()
    if engine is None or not engine.adjust_compatible:
        yield
        return
    defaults = sys.modules["matplotlib"].rcParams
    before = {side: getattr(figure.subplotpars, side) for side in _SIDES}
    figure.subplots_adjust(**{side: defaults[f"figure.subplot.{side}"] for side in _SIDES})
    try:
        yield
    finally:
        figure.subplots_adjust(**before)


def _choose_box(part: Any, figure: Any) -> Any:
    """Return what to show of the figure: a box in inches, or "tight"."""
    inches = figure.dpi_scale_trans.inverted()
    _figure, subfigure, axes = _load_kinds()
    if isinstance(part, subfigure):
        return part.bbox.transformed(inches)
    if isinstance(part, axes):
        figure.draw_without_rendering()  # computes the layout
        bounds = part.get_position().bounds
        # Twins have the same bounds: the right scale belongs to the image of the left scale.
        twins = [other for other in figure.axes if other.get_position().bounds == bounds]
        boxes = [box for twin in twins if (box := twin.get_tightbbox()) is not None]
        if boxes and len(twins) < len(figure.axes):
            return boxes[0].union(boxes).transformed(inches)
    return _choose_whole_box(figure)


def _choose_whole_box(figure: Any) -> Any:
    """Return what to show of a whole figure: what the notebook shows, elsewhere all that is drawn.

    The inline backend cuts the empty border off. Where nothing else shows the figure, its border stays.
    """
    box = _read_inline().get("bbox_inches", ...)
    if box is not ...:
        return figure.bbox_inches if box is None else box
    figure.draw_without_rendering()  # computes the layout
    drawn, frame = figure.get_tightbbox(), figure.bbox_inches
    return frame.union([frame, drawn]) if drawn.width and drawn.height else frame


def _read_inline() -> Mapping[str, Any]:
    """Return the options with which the inline backend draws figures; none where it is not in use."""
    module = sys.modules.get("matplotlib_inline.config")
    if not (module and module.InlineBackend.initialized()):
        return {}
    return {"bbox_inches": "tight", **module.InlineBackend.instance().print_figure_kwargs}
