"""Which row decides: what is known of a model behind an endpoint, and the options that it takes there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ipyimagegen.catalog.tables import find_model
from ipyimagegen.core.endpoints import Endpoint, Model
from ipyimagegen.core.options import SENT
from ipyimagegen.core.request import Request

GENERATIONS, EDITS, INPAINTING = "generations", "edits", "inpainting"  # the last: edits with a mask


def resolve_model_name(request: Request, endpoint: Endpoint) -> str | None:
    """Return the model's name: that of `extra`, else as typed, else the endpoint's default."""
    extra = request.extra.get("model")
    return extra if isinstance(extra, str) and extra else request.model or endpoint.default_model


def find_operation(request: Request) -> str:
    """Return the operation whose fields count: generations, edits, or edits with a mask."""
    return INPAINTING if request.mask else EDITS if request.inputs else GENERATIONS


def find_model_row(endpoint: Endpoint, model_name: str | None) -> Model | None:
    """Return what is known of a model behind an endpoint, or None.

    The model's row counts at its own vendor, and where the endpoint lists the model; the endpoint's columns
    for the model go over it. Prices, rates and durations of the model's row are the vendor's: elsewhere
    only those of the endpoint's columns count. `fields` is the result of `list_fields`.
    """
    if not model_name:
        return None
    listed, own = _find_rows(endpoint, model_name)
    at_vendor = _is_at_vendor(own, endpoint)
    if listed is None and not at_vendor:
        return None
    base = own or Model(name=model_name)
    if not at_vendor:
        base = replace(base, prices=(), rates=None, seconds=None)
    allowed = list_fields(endpoint, model_name)
    fields = None if allowed is None else tuple(option for option in SENT if option in allowed)
    columns = {column: value for column, value in (listed or {}).items() if column != "base"}
    return replace(base, **{**columns, "name": model_name, "fields": fields})


def list_fields(
    endpoint: Endpoint, model_name: str | None, operation: str = GENERATIONS
) -> frozenset[str] | None:
    """Return the options that may be sent, or None where the server decides.

    Those of the endpoint's columns for the model count; else those of the endpoint's row; else those of
    the model's row, at its own vendor and where the endpoint lists the model.
    """
    listed, own = _find_rows(endpoint, model_name) if model_name else (None, None)
    columns = listed or {}
    if operation != GENERATIONS and columns.get("edit_fields") is not None:
        return _select(EDITS, list_fields(endpoint, model_name), columns["edit_fields"])
    if columns.get("fields") is not None:
        return frozenset(columns["fields"])
    allowed = _select(operation, endpoint.fields, endpoint.edit_fields, endpoint.mask_fields)
    if allowed is None and own and (listed is not None or _is_at_vendor(own, endpoint)):
        allowed = _select(operation, own.fields, own.edit_fields)
    return allowed


def _select(
    operation: str,
    fields: Iterable[str] | None,
    edit_fields: Iterable[str] | None,
    mask_fields: Iterable[str] | None = None,
) -> frozenset[str] | None:
    """Return the options of an operation; changes such as `+user` are made to `fields`."""
    names = mask_fields if operation == INPAINTING and mask_fields is not None else edit_fields
    base = None if fields is None else frozenset(fields)
    if operation == GENERATIONS or names is None:
        return base
    changes = {sign: frozenset(name[1:] for name in names if name[0] == sign) for sign in "+-"}
    if not any(changes.values()):
        return frozenset(names)
    return None if base is None else (base | changes["+"]) - changes["-"]


def _is_at_vendor(model: Model | None, endpoint: Endpoint) -> bool:
    return model is not None and bool(model.vendor) and model.vendor == endpoint.vendor


def _find_rows(endpoint: Endpoint, model_name: str) -> tuple[Mapping[str, Any] | None, Model | None]:
    """Return the endpoint's columns for a model (None: not listed), and the row that they go over.

    They stand under the model's name, an alias, or `*`; `base` names another row to go over.
    """
    own = find_model(model_name)
    names = {name.casefold() for name in (model_name, *((own.name, *own.aliases) if own else ()))}
    listed = next((columns for name, columns in endpoint.models.items() if name.casefold() in names), None)
    if listed is None:
        listed = endpoint.models.get("*")
    return listed, find_model(listed["base"]) if listed and "base" in listed else own


def describe_model(endpoint: Endpoint, model_name: str | None) -> str:
    """Return a model behind an endpoint as messages name it: `dall-e-3 on openai`."""
    return f"{model_name} on {endpoint.name}" if model_name not in (None, endpoint.name) else endpoint.name
