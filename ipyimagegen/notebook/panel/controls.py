"""The controls of the panel: the table of options, as far as the chosen model and endpoint support them.

The rows of the catalog decide. An option of which nothing is known is shown: a cell may send it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ipyimagegen import catalog
from ipyimagegen.catalog.lookup import EDITS, GENERATIONS, INPAINTING
from ipyimagegen.core.endpoints import Endpoint, Model
from ipyimagegen.core.errors import ImagineError
from ipyimagegen.core.messages import render
from ipyimagegen.core.options import OPTIONS, SIZE_WORDS, Kind, Option
from ipyimagegen.core.plan import SKETCH, Settings
from ipyimagegen.core.text import escape_hidden
from ipyimagegen.notebook.messages import PANEL
from ipyimagegen.notebook.panel.form import Form
from ipyimagegen.session.inputs import MOST
from ipyimagegen.session.studio import Studio

BASIC = ("size", "aspect_ratio", "n", "seed", "quality")  # the others stand under "More options"
_TRANSLATED = {"size", "aspect_ratio"}  # where either is supported, the other is translated into it
_KINDS: Mapping[Kind, str] = {
    Kind.INTEGER: "number",
    Kind.NUMBER: "number",
    Kind.CHOICE: "suggest",
    Kind.WORD: "suggest",
    Kind.SIZE: "suggest",
    Kind.RATIO: "suggest",
    Kind.FLAG: "flag",
}


@dataclass(frozen=True, kw_only=True)
class Control:
    """A field of the form. `kind`: text, number, suggest (words such as `choices`) or flag.

    `lists`: it may hold a list. `configured`: what `%config Imagine` sends while it is empty. `basic`: it
    is always visible.
    """

    name: str
    kind: str
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    configured: str = ""
    basic: bool = False
    lists: bool = False


def describe_choices(studio: Studio, form: Form, *, inputs: int, mask: bool) -> dict[str, Any]:
    """Return what the front end offers: endpoints, models, and the controls that all chosen models support.

    `inputs` is the number of input images, `mask` whether there is a mask.
    """
    endpoints: tuple[Endpoint, ...] = ()
    default, configured = "", Settings().options
    endpoint = catalog.find_endpoint(SKETCH)
    with suppress(ImagineError):  # a wrong setting is reported by the next request
        settings, endpoints = studio.settings, studio.endpoints()
        configured, default = settings.options, studio.default_endpoint().name
        configured = {name: studio.keys.hidden(str(value)) for name, value in configured.items()}
        endpoint = studio.endpoint_named(form.endpoint or default)
    models = form.models or (str(configured.get("model") or ""),)
    limits = [find_input_limits(endpoint, model) for model in models]
    first, *others = (
        list_controls(endpoint, model, configured, inputs=inputs, mask=mask) for model in models
    )
    shared = {control.name for control in first}.intersection(
        *({control.name for control in controls} for controls in others)
    )
    labels = [{"name": other.name, "label": escape_hidden(other.title or other.name)} for other in endpoints]
    return {
        "endpoints": [{"name": "", "label": f"({default})"}, *labels],
        "models": list(list_models(endpoint)),
        "model": str(configured.get("model") or endpoint.default_model or ""),
        "controls": [asdict(control) for control in first if control.name in shared],
        "accepts": {"images": min(count for count, _ in limits), "mask": all(masked for _, masked in limits)},
    }


def list_controls(
    endpoint: Endpoint,
    model: str | None,
    configured: Mapping[str, Any],
    *,
    inputs: int = 0,
    mask: bool = False,
) -> tuple[Control, ...]:
    """Return the controls for a request with that many input images, in the order of the option table."""
    operation = INPAINTING if mask else EDITS if inputs else GENERATIONS
    row = catalog.find_model_row(endpoint, model or endpoint.default_model)
    fields = catalog.list_fields(endpoint, model or endpoint.default_model, operation)
    if fields is not None and fields & _TRANSLATED:
        fields |= _TRANSLATED
    return tuple(
        _make_control(option, row, configured.get(option.name))
        for name, option in OPTIONS.items()
        if option.panel and (fields is None or not option.sent or name in fields)
    )


def find_input_limits(endpoint: Endpoint, model: str | None) -> tuple[int, bool]:
    """Return how many input images an edit may have, and whether it may have a mask."""
    row = catalog.find_model_row(endpoint, model or endpoint.default_model)
    if endpoint.edits is False or (row is not None and row.edit == 0):
        return 0, False
    images = MOST if row is None or row.edit is None else min(row.edit, MOST)
    return images, endpoint.mask is not False and not (row is not None and row.mask is False)


def list_models(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the models that are known at an endpoint, without those that are retired."""
    first = [endpoint.default_model] if endpoint.default_model else []
    listed = [name for name in endpoint.models if name != "*"]
    own = [
        model.name
        for model in catalog.load_models()
        if model.vendor and model.vendor == endpoint.vendor and not model.retired
    ]
    return tuple(dict.fromkeys([*first, *listed, *own]))


def _make_control(option: Option, row: Model | None, configured: Any) -> Control:
    low, high = option.low, option.high
    if low is not None and row:
        low, high = row.limits.get(option.name, (low, high))
    return Control(
        name=option.name,
        kind=_KINDS.get(option.kind, "text"),
        help=render(option.help, PANEL),
        choices=_list_choices(option, row),
        low=low,
        high=high,
        configured="" if configured is None else str(configured),
        basic=option.name in BASIC,
        lists=option.lists,
    )


def _list_choices(option: Option, row: Model | None) -> tuple[str, ...]:
    if row is None:
        return option.choices
    if option.kind is Kind.SIZE and row.sizes:
        return (*(word for word in SIZE_WORDS if word != "auto" or word in row.sizes), *row.sizes)
    if option.kind is Kind.RATIO and row.ratios:
        return row.ratios
    return row.choices.get(option.name, option.choices)
