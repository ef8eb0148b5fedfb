"""What a server's list of models says: the names, and which entries say themselves that they make images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ipyimagegen.core.options import Json
from ipyimagegen.core.redact import Redactor

MOST = 10_000  # models that are read
NAME = 120  # characters
_LISTS = ("data", "models", "result", "results", "items")
_NAMES = ("id", "name", "model", "model_id", "model_name")
# Where entries say what a model does: OpenRouter, Together, new-api, Xinference, Hugging Face, Mistral.
_TASKS = (
    *("type", "task", "model_type", "pipeline_tag", "modality", "output_modalities", "architecture"),
    *("supported_endpoint_types", "capabilities"),
)
_IMAGES = re.compile(r"(?i)^images?$|->.*image|to[-_ ]?image|image[-_ ]?(?:gen|edit)|images/|diffusion")


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """A model of a server's list. `makes_images`: its entry says so; else nothing is known."""

    name: str
    owner: str = ""
    makes_images: bool = False


def parse_models(raw: bytes, redactor: Redactor) -> tuple[ListedModel, ...] | None:
    """Return the models in a response, each once, in the server's order; None where it holds no list."""
    entries = None
    with suppress(ValueError, RecursionError):
        entries = _find_list(json.loads(raw))
    if entries is None:
        return None
    models: dict[str, ListedModel] = {}
    for entry in entries[:MOST]:
        if model := _read_entry(entry, redactor):
            models.setdefault(model.name, model)
    return tuple(models.values()) if models or not entries else None


def _find_list(body: Json, depth: int = 3) -> list[Json] | None:
    if isinstance(body, list):
        return body
    nested = (body.get(name) for name in _LISTS) if depth and isinstance(body, Mapping) else ()
    return next((models for value in nested if (models := _find_list(value, depth - 1)) is not None), None)


def _read_entry(entry: Json, redactor: Redactor) -> ListedModel | None:
    members = entry if isinstance(entry, Mapping) else {"id": entry}
    given = next((value for name in _NAMES if isinstance(value := members.get(name), str) and value), "")
    name = redactor.clean(given, NAME)
    if not name:
        return None
    owner = members.get("owned_by")
    return ListedModel(
        name=name,
        owner=redactor.clean(owner, NAME) if isinstance(owner, str) else "",
        makes_images=any(map(_IMAGES.search, _list_tasks(members))),
    )


def _list_tasks(value: Json, depth: int = 3) -> Iterator[str]:
    """Yield the words of an entry on what a model does; a capability is a key whose value is true."""
    if isinstance(value, str):
        yield value[:NAME]
    elif isinstance(value, list) and depth:
        for member in value[:NAME]:
            yield from _list_tasks(member, depth - 1)
    elif isinstance(value, Mapping) and depth:
        yield from (str(name)[:NAME] for name, member in value.items() if member is True)
        for name in _TASKS:
            yield from _list_tasks(value.get(name), depth - 1)
