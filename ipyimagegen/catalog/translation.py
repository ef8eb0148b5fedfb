"""From what is requested to what is sent: sizes and ratios, required values, what is not sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ipyimagegen.catalog.lookup import (
    describe_model,
    find_model_row,
    find_operation,
    list_fields,
    resolve_model_name,
)
from ipyimagegen.catalog.sizes import (
    AREA,
    WORDS,
    find_ratio,
    find_size,
    format_ratio,
    parse_pixels,
    parse_ratio,
    parse_tier,
)
from ipyimagegen.core.endpoints import Endpoint, Model
from ipyimagegen.core.messages import _
from ipyimagegen.core.request import PreparedRequest, Request

# What servers do anyway: it is neither an error nor worth a note that they have no field for it.
_DEFAULTS: Mapping[str, object] = {"n": 1, "size": "auto", "stream": False, "partial_images": 0}
_PARTIAL_IMAGES = 2  # with `stream`, unless typed


@dataclass(frozen=True, kw_only=True)
class ShapeFields:
    """Which fields carry the shape of an image: `size`, `aspect_ratio`, both, or none."""

    size: bool
    ratio: bool


def find_shape_fields(row: Model | None, fields: frozenset[str] | None) -> ShapeFields:
    """Return which fields carry the shape, from the fields and from what the model lists."""
    by_size = row is None or bool(row.sizes or row.size_rule) or not row.ratios
    by_ratio = row is None or bool(row.ratios) or not (row.sizes or row.size_rule)
    return ShapeFields(
        size=by_size and (fields is None or "size" in fields),
        ratio=by_ratio and (fields is None or "aspect_ratio" in fields),
    )


def translate(request: Request, endpoint: Endpoint) -> PreparedRequest:
    """Return what is sent, with a note for the caption wherever that is not what was requested.

    The request has passed `check`. Options that `extra` replaces are left out.
    """
    name = resolve_model_name(request, endpoint)
    row = find_model_row(endpoint, name)
    fields = list_fields(endpoint, name, find_operation(request))
    options = {option: value for option, value in request.options.items() if option not in request.extra}
    shape, notes = _translate_shape(options, row, find_shape_fields(row, fields))
    options = {k: v for k, v in options.items() if k not in ("size", "aspect_ratio")} | shape
    sent = {option: value for option, value in options.items() if fields is None or option in fields}
    unsent = tuple(k for k, v in options.items() if k not in sent and not is_default(k, v))
    for option in unsent:
        values = {"option": option, "value": options[option], "model": describe_model(endpoint, name)}
        notes.append(_("{option}={value} not sent: {model} does not support {option}", **values))
    if uncertain := ", ".join(option for option in endpoint.unreliable_fields if option in sent):
        values = {"endpoint": endpoint.name, "options": uncertain}
        notes.append(_("it is not known whether {endpoint} passes on {options}", **values))
    required = {**endpoint.required, **(row.required if row else {})}
    if request.mask and endpoint.mask_needs_size:
        required["size"] = f"{request.inputs[0].width}x{request.inputs[0].height}"
    required = {option: value for option, value in required.items() if option not in request.extra}
    return PreparedRequest(
        model=name,
        options={**required, **_complete_stream(sent, fields, request.extra)},
        notes=tuple(notes),
        unsent=unsent,
    )


def is_default(option: str, value: object) -> bool:
    """Return whether a value requests no more than what a server without that option does."""
    return option in _DEFAULTS and _DEFAULTS[option] == value


def _complete_stream(
    sent: Mapping[str, Any], fields: frozenset[str] | None, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options with `stream` and `partial_images`, each of which implies the other."""
    options = dict(sent)
    if options.get("partial_images") and "stream" not in extra and (fields is None or "stream" in fields):
        options["stream"] = True
    has_partials = fields is not None and "partial_images" in fields and "partial_images" not in extra
    if options.get("stream") and has_partials:
        options.setdefault("partial_images", _PARTIAL_IMAGES)
    return options


def _translate_shape(
    options: Mapping[str, Any], row: Model | None, carriers: ShapeFields
) -> tuple[dict[str, Any], list[str]]:
    """Return `size` and `aspect_ratio` as they are sent, and notes on what is not exact."""
    size, ratio = options.get("size"), options.get("aspect_ratio")
    pixels = parse_pixels(size)
    if pixels:
        if carriers.size or not carriers.ratio:
            return {"size": size}, []
        sent = _find_listed(row, Fraction(*pixels)) or format_ratio(Fraction(*pixels))
        return {"aspect_ratio": sent}, [_("{size} was sent as {ratio}", size=size, ratio=sent)]
    if ratio is not None:
        return _translate_ratio(ratio, parse_ratio(ratio), parse_tier(size), row, carriers)
    if size in WORDS:
        by_size = ShapeFields(size=carriers.size, ratio=carriers.ratio and not carriers.size)
        return _translate_ratio(size, WORDS[size], None, row, by_size)
    if size is None or (size == "auto" and row is not None and size not in row.sizes):
        return {}, []
    return {"size": size}, []


def _translate_ratio(
    typed: str, ratio: Fraction, area: int | None, row: Model | None, carriers: ShapeFields
) -> tuple[dict[str, Any], list[str]]:
    if carriers.ratio:
        sent = _choose_ratio(typed, ratio, row)
        return {"aspect_ratio": sent}, _note_inexact(typed, ratio, parse_ratio(sent), sent)
    pixels = find_size(row, ratio, area or AREA) if carriers.size else None
    if pixels is None:
        return {"aspect_ratio": format_ratio(ratio)}, []
    size = f"{pixels[0]}x{pixels[1]}"
    return {"size": size}, _note_inexact(typed, ratio, Fraction(*pixels), size)


def _choose_ratio(typed: str, ratio: Fraction, row: Model | None) -> str:
    """Return the ratio that is sent: as listed, as typed where any is taken, else the nearest listed."""
    as_typed = typed if ":" in typed else format_ratio(ratio)
    if row is None or not row.ratios:
        return as_typed
    listed = _find_listed(row, ratio)
    if listed or takes_ratio(row, ratio) or "aspect_ratio" in row.reported:
        return listed or as_typed
    return find_ratio(row.ratios, ratio)


def _find_listed(row: Model | None, ratio: Fraction) -> str | None:
    return next((text for text in row.ratios if parse_ratio(text) == ratio), None) if row else None


def takes_ratio(row: Model, ratio: Fraction) -> bool:
    """Return whether the row takes any ratio between two bounds, and this ratio is between them."""
    low, high = row.limits.get("aspect_ratio", (1.0, 0.0))
    return low <= ratio <= high


def _note_inexact(typed: str, requested: Fraction, sent: Fraction, text: str) -> list[str]:
    """Return the note on a translation. A word is exact when it names the orientation."""
    same = (requested > 1) == (sent > 1) and (requested < 1) == (sent < 1)
    if sent == requested or (typed in WORDS and same):
        return []
    if ":" in text:
        return [_("{typed} became {sent}", typed=typed, sent=text)]
    return [_("{typed} became {sent} ({ratio})", typed=typed, sent=text, ratio=_shorten(sent))]


def _shorten(ratio: Fraction) -> str:
    """Return a ratio as people write it: 3:2, or 1.75:1 where the terms are large."""
    large = max(ratio.numerator, ratio.denominator) > 32
    return f"{float(ratio):.2f}:1" if large else format_ratio(ratio)
