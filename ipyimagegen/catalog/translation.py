"""From what is requested to what is sent: sizes and ratios, required values, what is not sent."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ipyimagegen.catalog.capabilities import Capabilities
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
from ipyimagegen.core.endpoints import Model, find_deployment
from ipyimagegen.core.messages import _
from ipyimagegen.core.request import PreparedRequest, Request

# What servers do anyway: it is neither an error nor worth a note that they have no field for it.
_AUTO = "auto"
_DEFAULTS: Mapping[str, object] = {"n": 1, "stream": False, "partial_images": 0}
_PARTIAL_IMAGES = 2  # with `stream`, unless typed


def translate(request: Request, capabilities: Capabilities) -> PreparedRequest:
    """Return what is sent, with a note for the caption wherever that is not what was requested.

    The request has passed `check`. Options that `extra` replaces are left out.
    """
    row, endpoint, fields, extra = capabilities.row, capabilities.endpoint, capabilities.fields, request.extra
    options = {option: value for option, value in request.options.items() if option not in extra}
    shape, notes = _translate_shape(options, capabilities)
    options = {k: v for k, v in options.items() if k not in ("size", "aspect_ratio")} | shape
    sent = {
        option: value
        for option, value in options.items()
        if (fields is None or option in fields) and (value != _AUTO or capabilities.has_auto(option))
    }
    unsent = tuple(k for k, v in options.items() if k not in sent and not is_default(k, v))
    for option in unsent:
        values = {"option": option, "value": options[option], "model": capabilities.label}
        if option in endpoint.ignored_fields:
            notes.append(_("{option}={value} not sent: {model} ignores it", **values))
        else:
            notes.append(_("{option}={value} not sent: {model} does not support {option}", **values))
    deployment = find_deployment(endpoint.base_url) if endpoint.dialect == "azure" else None
    if deployment and capabilities.model != deployment:
        values = {"model": capabilities.model, "deployment": deployment}
        notes.append(_("model={model} not sent: the address names the deployment {deployment}", **values))
    if uncertain := ", ".join(option for option in endpoint.unreliable_fields if option in sent):
        values = {"endpoint": endpoint.name, "options": uncertain}
        notes.append(_("it is not known whether {endpoint} passes on {options}", **values))
    if sent.get("partial_images") and "stream" not in extra and (fields is None or "stream" in fields):
        sent["stream"] = True
    if sent.get("stream") and "partial_images" in (fields or ()) and "partial_images" not in extra:
        sent.setdefault("partial_images", _PARTIAL_IMAGES)
    required = {**endpoint.required, **row.required}
    if request.mask and endpoint.mask_needs_size:
        required["size"] = f"{request.inputs[0].width}x{request.inputs[0].height}"
    required = {option: value for option, value in required.items() if option not in extra}
    return PreparedRequest(
        model=capabilities.sent_as, options={**required, **sent}, notes=tuple(notes), unsent=unsent
    )


def is_default(option: str, value: object) -> bool:
    """Return whether a value requests no more than what a server without that option does."""
    return value == _AUTO or (option in _DEFAULTS and _DEFAULTS[option] == value)


def _translate_shape(
    options: Mapping[str, Any], capabilities: Capabilities
) -> tuple[dict[str, Any], list[str]]:
    """Return `size` and `aspect_ratio` as they are sent, and notes on what is not exact."""
    row, by_size, by_ratio = capabilities.row, capabilities.by_size, capabilities.by_ratio
    size, typed = options.get("size"), options.get("aspect_ratio")
    pixels = parse_pixels(size)
    if pixels:
        if by_size or not by_ratio:
            return {"size": size}, []
        sent = find_listed_ratio(row, Fraction(*pixels)) or format_ratio(Fraction(*pixels))
        return {"aspect_ratio": sent}, [_("{size} was sent as {ratio}", size=size, ratio=sent)]
    tier = {"size": size} if parse_tier(size) and capabilities.by_tier else {}
    if typed is not None:
        ratio = parse_ratio(typed)
    elif size in WORDS:
        typed, ratio, by_ratio = size, WORDS[size], by_ratio and not by_size
    else:
        return ({} if size is None else {"size": size}), []
    if by_ratio:
        sent = _choose_ratio(typed, ratio, row)
        return {**tier, "aspect_ratio": sent}, _note_inexact(typed, ratio, parse_ratio(sent), sent)
    pixels = find_size(row, ratio, parse_tier(size) or AREA) if by_size else None
    if pixels is None:
        return {"aspect_ratio": format_ratio(ratio)}, []
    sent = f"{pixels[0]}x{pixels[1]}"
    return {"size": sent}, _note_inexact(typed, ratio, Fraction(*pixels), sent)


def _choose_ratio(typed: str, ratio: Fraction, row: Model) -> str:
    """Return the ratio that is sent: as listed, as typed where any is taken, else the nearest listed."""
    as_typed = typed if ":" in typed else format_ratio(ratio)
    if not row.ratios or takes_ratio(row, ratio):
        return find_listed_ratio(row, ratio) or as_typed
    return find_ratio(row.ratios, ratio)


def find_listed_ratio(row: Model, ratio: Fraction) -> str | None:
    """Return a ratio in the spelling in which the row lists it, or None."""
    return next((text for text in row.ratios if parse_ratio(text) == ratio), None)


def takes_ratio(row: Model, ratio: Fraction) -> bool:
    """Return whether the row takes that ratio: as listed, between two bounds, or nobody knows for sure."""
    low, high = row.limits.get("aspect_ratio", (1.0, 0.0))
    return low <= ratio <= high or "aspect_ratio" in row.reported or bool(find_listed_ratio(row, ratio))


def _note_inexact(typed: str, requested: Fraction, sent: Fraction, text: str) -> list[str]:
    """Return the note on a translation. A word is exact when it names the orientation."""
    same = (requested > 1) == (sent > 1) and (requested < 1) == (sent < 1)
    if sent == requested or (typed in WORDS and same):
        return []
    if ":" in text:
        return [_("{typed} became {sent}", typed=typed, sent=text)]
    # As people write it: 3:2, or 1.75:1 where the terms are large.
    ratio = f"{float(sent):.2f}:1" if max(sent.as_integer_ratio()) > 32 else format_ratio(sent)
    return [_("{typed} became {sent} ({ratio})", typed=typed, sent=text, ratio=ratio)]
