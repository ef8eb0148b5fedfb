"""From what was asked to what goes to the server: sizes and ratios, fills, and what is kept back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ipyimagegen.catalog import sizes
from ipyimagegen.catalog.rows import (
    describe_model,
    find_model_row,
    find_operation,
    list_fields,
    resolve_model_name,
)
from ipyimagegen.core.endpoints import Endpoint, Model
from ipyimagegen.core.request import PreparedRequest, Request

# What servers do anyway: it is never an error, and not worth a note, that there is no field for it.
UNASKED: Mapping[str, object] = {"n": 1, "size": "auto", "stream": False, "partial_images": 0}
PARTIAL_IMAGES = 2  # what --stream asks for unless typed


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Where the shape of an image goes: as `size`, as `aspect_ratio`, both, or nowhere."""

    size: bool
    ratio: bool


def shape(known: Model | None, fields: frozenset[str] | None) -> Shape:
    """Return which of the two options carry the shape, from the fields and from what the model lists."""
    by_size = known is None or bool(known.sizes or known.size_rule) or not known.ratios
    by_ratio = known is None or bool(known.ratios) or not (known.sizes or known.size_rule)
    return Shape(
        size=by_size and (fields is None or "size" in fields),
        ratio=by_ratio and (fields is None or "aspect_ratio" in fields),
    )


def translate(request: Request, endpoint: Endpoint) -> PreparedRequest:
    """Return what goes to the server, with a note for the caption wherever that is not what was asked.

    The request has passed `check`. `--set` wins over everything: its options are left out here.
    """
    name = resolve_model_name(request, endpoint)
    known = find_model_row(endpoint, name)
    fields = list_fields(endpoint, name, find_operation(request))
    asked = {k: v for k, v in request.options.items() if k not in request.extra}
    placed, notes = _place(asked, known, shape(known, fields))
    rest = {k: v for k, v in asked.items() if k not in ("size", "aspect_ratio")}
    wanted = {**rest, **placed}
    kept_back = [k for k in wanted if fields is not None and k not in fields]
    sent = {k: v for k, v in wanted.items() if k not in kept_back}
    unsent = tuple(k for k in kept_back if not is_unasked(k, wanted[k]))
    where = describe_model(endpoint, name)
    notes += [f"{k} {wanted[k]} was kept here: {where} has no {k}" for k in unsent]
    doubtful = [k for k in endpoint.may_drop if k in sent]
    if doubtful:
        words = " and ".join(doubtful)
        notes.append(f"{endpoint.name} documents {words}; whether its relay passes that on is not known")
    required = {**endpoint.required, **(known.required if known else {})}
    if request.mask and endpoint.mask_needs_size:
        required["size"] = f"{request.inputs[0].width}x{request.inputs[0].height}"
    fills = {k: v for k, v in required.items() if k not in request.extra}
    return PreparedRequest(
        model=name,
        options={**fills, **_streamed(sent, fields, request.extra)},
        notes=tuple(notes),
        unsent=unsent,
    )


def is_unasked(name: str, value: object) -> bool:
    """Say whether a value asks for no more than what a server without that option does."""
    return name in UNASKED and UNASKED[name] == value


def _streamed(
    sent: Mapping[str, Any], fields: frozenset[str] | None, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options with the two halves of streaming: each asks for the other where it exists."""
    options = dict(sent)
    if options.get("partial_images") and "stream" not in extra and (fields is None or "stream" in fields):
        options["stream"] = True
    has_partials = fields is not None and "partial_images" in fields and "partial_images" not in extra
    if options.get("stream") and has_partials:
        options.setdefault("partial_images", PARTIAL_IMAGES)
    return options


def _place(asked: Mapping[str, Any], known: Model | None, where: Shape) -> tuple[dict[str, Any], list[str]]:
    """Return `size` and `aspect_ratio` as they are sent, and notes on what is not exact."""
    size, text = asked.get("size"), asked.get("aspect_ratio")
    found = sizes.pixels(size)
    if found:
        if where.size or not where.ratio:
            return {"size": size}, []
        as_ratio = _listed_ratio(known, Fraction(*found)) or sizes.written(Fraction(*found))
        return {"aspect_ratio": as_ratio}, [f"{size} was sent as {as_ratio}"]
    if text is not None:
        return _place_ratio(text, sizes.ratio(text), sizes.tier_area(size), known, where)
    if size in sizes.WORDS:
        by_size = Shape(size=where.size, ratio=where.ratio and not where.size)
        return _place_ratio(size, sizes.WORDS[size], None, known, by_size)
    if size is None or (size == "auto" and known is not None and size not in known.sizes):
        return {}, []
    return {"size": size}, []


def _place_ratio(
    asked: str, wanted: Fraction, area: int | None, known: Model | None, where: Shape
) -> tuple[dict[str, Any], list[str]]:
    if where.ratio:
        sent = _ratio(asked, wanted, known)
        return {"aspect_ratio": sent}, _inexact(asked, wanted, sizes.ratio(sent), sent)
    found = sizes.for_ratio(known, wanted, area or sizes.AREA) if where.size else None
    if found is None:
        return {"aspect_ratio": sizes.written(wanted)}, []
    size = f"{found[0]}x{found[1]}"
    return {"size": size}, _inexact(asked, wanted, Fraction(*found), size)


def _ratio(asked: str, wanted: Fraction, known: Model | None) -> str:
    """Return the ratio that is sent: as listed, as typed where any is taken, else the nearest listed."""
    typed = asked if ":" in asked else sizes.written(wanted)
    if known is None or not known.ratios:
        return typed
    listed = _listed_ratio(known, wanted)
    if listed or in_bounds(known, wanted) or "aspect_ratio" in known.reported:
        return listed or typed
    return sizes.nearest_ratio(known.ratios, wanted)


def _listed_ratio(known: Model | None, wanted: Fraction) -> str | None:
    return next((one for one in known.ratios if sizes.ratio(one) == wanted), None) if known else None


def in_bounds(known: Model, wanted: Fraction) -> bool:
    """Say whether the row takes any ratio between two, and this one is."""
    low, high = known.limits.get("aspect_ratio", (1.0, 0.0))
    return low <= wanted <= high


def _inexact(asked: str, wanted: Fraction, got: Fraction, sent: str) -> list[str]:
    """Return the note on a translation. A word is exact when the image lies or stands as it says."""
    same = (wanted > 1) == (got > 1) and (wanted < 1) == (got < 1)
    if got == wanted or (asked in sizes.WORDS and same):
        return []
    what = sent if ":" in sent else f"{sent} ({_plain(got)})"
    return [f"{asked} became {what}"]


def _plain(value: Fraction) -> str:
    """Return a ratio as people write it: 3:2, or 1.75:1 where the terms are large."""
    return sizes.written(value) if max(value.numerator, value.denominator) <= 32 else f"{float(value):.2f}:1"
