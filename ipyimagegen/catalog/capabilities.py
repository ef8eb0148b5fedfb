"""What a model behind an endpoint accepts: the rows that count there, its options, its input images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ipyimagegen.catalog.sizes import parse_pixels, parse_tier
from ipyimagegen.catalog.tables import find_model, list_names
from ipyimagegen.core.endpoints import Endpoint, Model, sends_edits_as_json
from ipyimagegen.core.formats import INPUTS
from ipyimagegen.core.request import PreparedRequest, Request

GENERATIONS, EDITS, INPAINTING = "generations", "edits", "inpainting"  # the last: edits with a mask
_BY_OPTION = ("choices", "edit_choices", "limits")  # columns of which an endpoint overrides single options
_JSON_LIMIT = 15_700_000  # bytes, so that a data URL stays below OpenAI's 20,971,520 characters
_LIMIT = 50_000_000  # bytes of an image at OpenAI, which no server is known to exceed


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an endpoint accepts for an operation with a model.

    `label` names both in messages: `dall-e-3 on openai`. `sent_as` is the model's name there. `row` is what
    is known of the model there, and `known` whether that is anything. `fields` are the options that may be
    sent, `edit_fields` those of edits; None where the server decides. `by_size` and `by_ratio`: which fields
    carry an image's shape; `by_tier`: whether the size may be a tier such as `2K`.
    """

    endpoint: Endpoint
    model: str | None
    sent_as: str | None
    label: str
    operation: str
    row: Model
    known: bool
    fields: frozenset[str] | None
    edit_fields: frozenset[str] | None
    by_size: bool
    by_ratio: bool
    by_tier: bool

    def accepts(self, option: str) -> bool | None:
        """Return whether an option may be sent; None where the server decides."""
        return None if self.fields is None else option in self.fields

    def has_auto(self, option: str) -> bool:
        """Return whether the server has the word `auto` for an option, which it has unless a row tells."""
        if option == "size":
            return "auto" in self.row.sizes or not self.known
        return "auto" in self.row.choices.get(option, ("auto",))


def find_capabilities(request: Request, endpoint: Endpoint) -> Capabilities:
    """Return what the endpoint accepts for this request; a model in `extra` counts."""
    extra = request.extra.get("model")
    model = extra if isinstance(extra, str) and extra else request.model
    return describe_capabilities(
        endpoint, model, INPAINTING if request.mask else EDITS if request.inputs else GENERATIONS
    )


def describe_capabilities(endpoint: Endpoint, model: str | None, operation: str) -> Capabilities:
    """Return what the endpoint accepts for an operation; without a model, with its default model.

    The model's row counts at its own vendor, and where the endpoint lists the model; the endpoint's columns
    for the model go over it. Prices, rates and durations of the model's row are the vendor's: elsewhere
    only those of the endpoint's columns count.
    """
    model = model or endpoint.default_model
    listed, own = _find_rows(endpoint, model or "")
    at_vendor = own is not None and bool(own.vendor) and own.vendor == endpoint.vendor
    known = own if listed is not None or at_vendor else None
    columns = dict(listed or {})
    columns.pop("base", None)
    fields = _select_fields(endpoint, columns, known, operation)
    row = known or Model(name=model or "")
    if not at_vendor:
        row = replace(row, prices=(), rates=None, seconds=None)
    by_option = {name: {**getattr(row, name), **columns[name]} for name in _BY_OPTION if name in columns}
    row = replace(row, **{**columns, **by_option, "name": model or ""})
    if operation != GENERATIONS:
        row = replace(row, choices={**row.choices, **row.edit_choices})
    sizes, ratios = bool(row.sizes or row.size_rule), bool(row.ratios)
    pixels = bool(row.size_rule) or any(map(parse_pixels, row.sizes))
    tiers = any(map(parse_tier, row.sizes)) or not (sizes or ratios)
    return Capabilities(
        endpoint=endpoint,
        model=model,
        sent_as=own.vendor_id or model if own and at_vendor else model,
        label=f"{model} on {endpoint.name}" if model not in (None, endpoint.name) else endpoint.name,
        operation=operation,
        row=row,
        known=listed is not None or known is not None,
        fields=fields,
        edit_fields=_select_fields(endpoint, columns, known, EDITS),
        by_size=(pixels or not ratios) and (fields is None or "size" in fields),
        by_ratio=(ratios or not sizes) and (fields is None or "aspect_ratio" in fields),
        by_tier=tiers and (fields is None or "size" in fields),
    )


def _find_rows(endpoint: Endpoint, model: str) -> tuple[Mapping[str, Any] | None, Model | None]:
    """Return the endpoint's columns for a model (None: not listed), and the row that they go over.

    They stand under the model's name, an alias, or `*`, which is no claim to know the model; `base` names
    another row to go over.
    """
    own = find_model(model)
    names = {name.casefold() for name in (model, *(list_names(own) if own else ()))}
    listed = next((columns for name, columns in endpoint.models.items() if name.casefold() in names), None)
    if listed is None and (listed := endpoint.models.get("*")) is not None:
        own = own if own and own.vendor == endpoint.vendor else None
    return listed, find_model(listed["base"]) if listed and "base" in listed else own


def _select_fields(
    endpoint: Endpoint, columns: Mapping[str, Any], known: Model | None, operation: str
) -> frozenset[str] | None:
    """Return the options that may be sent, or None where the server decides.

    Those of the endpoint's columns for the model count; else those of the endpoint's row; else those of
    the model's row.
    """
    if operation != GENERATIONS and columns.get("edit_fields") is not None:
        fields = _select_fields(endpoint, columns, known, GENERATIONS)
        return _apply_changes(fields, columns["edit_fields"])
    if columns.get("fields") is not None:
        return frozenset(columns["fields"])
    changes = {GENERATIONS: None, EDITS: endpoint.edit_fields}.get(
        operation, endpoint.edit_fields if endpoint.mask_fields is None else endpoint.mask_fields
    )
    fields = _apply_changes(endpoint.fields, changes)
    if fields is None and known:
        fields = _apply_changes(known.fields, None if operation == GENERATIONS else known.edit_fields)
    return fields


def _apply_changes(fields: Iterable[str] | None, changes: Iterable[str] | None) -> frozenset[str] | None:
    """Return the fields of an operation: `changes` are its names, or such as `+user` to those of `fields`."""
    base = None if fields is None else frozenset(fields)
    if changes is None:
        return base
    added, removed = (frozenset(name[1:] for name in changes if name[0] == sign) for sign in "+-")
    if not added and not removed:
        return frozenset(changes)
    return None if base is None else (base | added) - removed


@dataclass(frozen=True, kw_only=True)
class InputRequirements:
    """What input images have to be: formats, bytes of each, whether square; `mask_as` is alpha or white.

    `first` are the formats of the first image with a mask: OpenAI requires the same format for both.
    """

    formats: tuple[str, ...] = INPUTS
    first: tuple[str, ...] = INPUTS
    limit: int = _LIMIT
    square: bool = False
    mask_as: str = "alpha"


def find_input_requirements(request: Request, sent: PreparedRequest, endpoint: Endpoint) -> InputRequirements:
    """Return what the model's row requires there, else the endpoint's row, else any server."""
    row = find_capabilities(request, endpoint).row
    formats = row.input_formats or endpoint.input_formats or INPUTS
    limit = row.input_bytes or endpoint.input_bytes or _LIMIT
    if sends_edits_as_json(endpoint, sent.options):
        limit = min(limit, _JSON_LIMIT)
    as_alpha = request.mask is not None and endpoint.mask_as == "alpha" and "png" in formats
    return InputRequirements(
        formats=formats,
        first=("png",) if as_alpha else formats,
        limit=limit,
        square=row.input_square,
        mask_as=endpoint.mask_as,
    )
