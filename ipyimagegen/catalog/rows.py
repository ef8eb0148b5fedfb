"""Who decides: the row of a model behind an endpoint, and the options it takes there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ipyimagegen.catalog.tables import find_model, overlay
from ipyimagegen.core.endpoints import Endpoint, Model
from ipyimagegen.core.options import SENT, Json
from ipyimagegen.core.request import Request

GENERATIONS, EDITS, INPAINTING = "generations", "edits", "inpainting"  # the last: edits with a mask


def resolve_model_name(request: Request, endpoint: Endpoint) -> str | None:
    """Return the name of the model that is asked: `--set model=…`, as typed, or the endpoint's default."""
    told = request.extra.get("model")
    return told if isinstance(told, str) and told else request.model or endpoint.default_model


def find_operation(request: Request) -> str:
    """Return which fields count: those of generations, of edits, or of edits with a mask."""
    return INPAINTING if request.mask else EDITS if request.inputs else GENERATIONS


def find_model_row(endpoint: Endpoint, model_name: str | None) -> Model | None:
    """Return what is known of that model behind that endpoint; None when nothing is.

    The model's row counts on its own vendor's server, and elsewhere where the endpoint lists the
    model; what the endpoint says of it goes over it. The vendor's prices hold at the vendor only.
    `fields` is what `list_fields` answers.
    """
    if not model_name:
        return None
    listed, own = _listed(endpoint, model_name)
    at_vendor = own is not None and bool(own.vendor) and own.vendor == endpoint.vendor
    if listed is None and not at_vendor:
        return None
    base = own or Model(name=model_name)
    if not at_vendor:
        base = replace(base, prices=(), rates=None, seconds=None)
    allowed = list_fields(endpoint, model_name)
    return replace(
        overlay(base, listed or {}),
        name=model_name,
        fields=None if allowed is None else tuple(name for name in SENT if name in allowed),
    )


def list_fields(
    endpoint: Endpoint, model_name: str | None, operation: str = GENERATIONS
) -> frozenset[str] | None:
    """Return the options that may be sent, or None when the server decides.

    The endpoint's row for that model; else the endpoint's row; else the model's row, on the model's
    own vendor only.
    """
    listed, own = _listed(endpoint, model_name) if model_name else (None, None)
    edits = operation != GENERATIONS
    if listed and "fields" in listed:
        return frozenset(listed["edit_fields" if edits and "edit_fields" in listed else "fields"])
    if operation == INPAINTING and endpoint.mask_fields is not None:
        return frozenset(endpoint.mask_fields)
    if edits and endpoint.edit_fields is not None:
        return frozenset(endpoint.edit_fields)
    if endpoint.fields is not None:
        return frozenset(endpoint.fields)
    if own is None or not own.vendor or own.vendor != endpoint.vendor:
        return None
    allowed = own.edit_fields if edits and own.edit_fields is not None else own.fields
    return None if allowed is None else frozenset(allowed)


def _listed(endpoint: Endpoint, model_name: str) -> tuple[Mapping[str, Json] | None, Model | None]:
    """Return the endpoint's columns for a model (None: not listed), and the row that they go over.

    They stand under the model's name, an alias, or `*`; `like` names another row to go over.
    """
    own = find_model(model_name)
    names = {one.casefold() for one in (model_name, *((own.name, *own.aliases) if own else ()))}
    listed = next((columns for name, columns in endpoint.models.items() if name.casefold() in names), None)
    if listed is None:
        listed = endpoint.models.get("*")
    return listed, find_model(str(listed["like"])) if listed and "like" in listed else own


def describe_model(endpoint: Endpoint, model_name: str | None) -> str:
    """Return how a message names a model behind an endpoint, as `dall-e-3 on openai`."""
    return f"{model_name} on {endpoint.name}" if model_name not in (None, endpoint.name) else endpoint.name
