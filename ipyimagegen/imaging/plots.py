"""Render matplotlib figures and axes as they are, without changing them."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

from PIL import Image

from ipyimagegen.core.messages import _
from ipyimagegen.imaging.refusal import attempt, refuse

_SIDES = ("left", "right", "bottom", "top", "wspace", "hspace")  # the layout of subplots


def find_figure(thing: object) -> Any:
    """Return the matplotlib figure, subfigure or axes that `thing` is or belongs to, or None.

    Grids of seaborn have a `figure`, and so has what a plotting function returns, such as an AxesImage.
    """
    kinds = _load_kinds()
    if not kinds:
        return None
    if isinstance(thing, kinds):
        return thing
    for attribute in ("axes", "figure", "fig"):
        with contextlib.suppress(Exception):  # a property of a foreign object raises anything
            inner = getattr(thing, attribute, None)
            if isinstance(inner, kinds):
                return inner
    return None


def to_image(part: Any, label: str) -> Image.Image:
    """Return a figure, subfigure or axes in its figure's own size and resolution, as RGB or RGBA.

    Raises InvalidInput when matplotlib cannot draw it.
    """
    image, problem = attempt(lambda: _render(part))
    if image is None:
        raise refuse(_("{image} cannot be drawn by matplotlib ({error}).", image=label, error=problem))
    return image


def _load_kinds() -> tuple[Any, ...]:
    """Return the types of figures, subfigures and axes; none where matplotlib is not loaded."""
    figure, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    return (figure.Figure, figure.SubFigure, axes.Axes) if figure and axes else ()


def _render(part: Any) -> Image.Image:
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
    """Return what to show of the figure, in inches; None is all of it."""
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
    return figure.bbox_inches if sys.modules["matplotlib"].rcParams["savefig.bbox"] else None
