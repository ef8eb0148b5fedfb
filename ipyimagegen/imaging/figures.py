"""Render matplotlib figures and axes as they are, leaving no trace on them."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Any

from PIL import Image

from ipyimagegen.imaging.refusing import cause, refused


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


def picture(part: Any, name: str) -> Image.Image:
    """Return a figure, subfigure or axes in its figure's own size and resolution, as RGB or RGBA.

    Raises InvalidInput when matplotlib cannot draw it.
    """
    problem = ""
    try:
        return _drawn(part)
    except Exception as error:  # noqa: BLE001 - a figure runs foreign code
        problem = cause(error)
    raise refused(name, f"cannot be drawn by matplotlib ({problem}).")


def _kinds() -> tuple[type, ...]:
    figure, axes = sys.modules.get("matplotlib.figure"), sys.modules.get("matplotlib.axes")
    return (figure.Figure, figure.SubFigure, axes.Axes) if figure and axes else ()


def _drawn(part: Any) -> Image.Image:
    figure = _root(part)
    out = io.BytesIO()
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
        metadata={"Software": None},
        pil_kwargs={"compress_level": 1},
    )
    with Image.open(out, formats=["PNG"]) as image:
        image.load()
    image.info.clear()
    opaque = image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255
    return image.convert("RGB") if opaque else image


def _root(part: Any) -> Any:
    while getattr(part, "figure", part) is not part:  # a figure is its own
        part = part.figure
    return part


def _box(part: Any, figure: Any) -> Any:
    """Return what to show of the figure, in inches; None is all of it."""
    whole = figure.bbox_inches if sys.modules["matplotlib"].rcParams["savefig.bbox"] else None
    if part is figure:
        return whole
    inches = figure.dpi_scale_trans.inverted()
    if not hasattr(part, "get_tightbbox") or not hasattr(part, "get_position"):  # a subfigure
        return part.bbox.transformed(inches)
    if len(figure.axes) == 1:
        return whole
    figure.draw_without_rendering()  # lays out
    return part.get_tightbbox().transformed(inches)
