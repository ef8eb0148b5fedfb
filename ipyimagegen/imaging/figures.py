"""Render matplotlib figures and axes as they are, leaving no trace on them."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

from PIL import Image

from ipyimagegen.imaging.refusing import cause, refused

SIDES = ("left", "right", "bottom", "top", "wspace", "hspace")  # what a layout of subplots is made of


def drawn_in(thing: object) -> Any:
    """Return the matplotlib figure, subfigure or axes that `thing` is, or in which it stands, or None.

    Grids of seaborn have a `figure`, and so has what a plotting function returns, such as an AxesImage.
    """
    kinds = _kinds()
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


def image(part: Any, name: str) -> Image.Image:
    """Return a figure, subfigure or axes in its figure's own size and resolution, as RGB or RGBA.

    Raises InvalidInput when matplotlib cannot draw it.
    """
    problem = ""
    try:
        return _drawn(part)
    except Exception as error:  # noqa: BLE001 - a figure runs foreign code
        problem = cause(error)
    raise refused(name, f"cannot be drawn by matplotlib ({problem}).")


def _kinds() -> tuple[Any, ...]:
    figure, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    return (figure.Figure, figure.SubFigure, axes.Axes) if figure and axes else ()


def _drawn(part: Any) -> Image.Image:
    figure = _root(part)
    out = io.BytesIO()
    with _laid_out_afresh(figure):
        # Each is what the figure itself says, against the user's settings for saved files.
        figure.savefig(
            out,
            format="png",
            dpi="figure",
            facecolor="auto",
            edgecolor="auto",
            transparent=False,
            backend="agg",
            bbox_inches=_box(part, figure),
            pil_kwargs={"compress_level": 1},  # read again at once
        )
    with Image.open(out, formats=["PNG"]) as image:
        image.load()
    opaque = image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255
    return image.convert("RGB") if opaque else image


@contextlib.contextmanager
def _laid_out_afresh(figure: Any) -> Iterator[None]:
    """Begin a tight layout where it began at first, and put it back.

    It starts from what the last drawing left and lands a fraction of a pixel beside it, so that a
    figure would be another image, and paid for again, each time that it is drawn.
    """
    engine = figure.get_layout_engine()
    if engine is None or not engine.adjust_compatible:
        yield
        return
    usual = sys.modules["matplotlib"].rcParams
    kept = {side: getattr(figure.subplotpars, side) for side in SIDES}
    figure.subplots_adjust(**{side: usual[f"figure.subplot.{side}"] for side in SIDES})
    try:
        yield
    finally:
        figure.subplots_adjust(**kept)


def _root(part: Any) -> Any:
    while getattr(part, "figure", part) is not part:  # a figure is its own
        part = part.figure
    return part


def _box(part: Any, figure: Any) -> Any:
    """Return what to show of the figure, in inches; None is all of it."""
    inches = figure.dpi_scale_trans.inverted()
    _, subfigure, axes = _kinds()
    if isinstance(part, subfigure):
        return part.bbox.transformed(inches)
    if isinstance(part, axes):
        figure.draw_without_rendering()  # lays out
        place = part.get_position().bounds
        # Twins share a place: the right scale belongs to the left one's image.
        here = [one for one in figure.axes if one.get_position().bounds == place]
        boxes = [box for one in here if (box := one.get_tightbbox()) is not None]
        if boxes and len(here) < len(figure.axes):
            return boxes[0].union(boxes).transformed(inches)
    return figure.bbox_inches if sys.modules["matplotlib"].rcParams["savefig.bbox"] else None
