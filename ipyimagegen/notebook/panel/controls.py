"""The panel's controls: the table of options, as far as a model behind an endpoint takes them.

What is shown follows from the catalog's rows. What is not known is shown: a cell may send it too.
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
from ipyimagegen.core.options import OPTIONS, SIZE_WORDS, Kind, Option
from ipyimagegen.core.plan import SKETCH, Settings
from ipyimagegen.core.text import escape_hidden
from ipyimagegen.notebook.panel.form import Form
from ipyimagegen.session.inputs import MOST
from ipyimagegen.session.studio import Studio

BASIC = ("size", "aspect_ratio", "n", "seed", "quality")  # the others stand behind "More options"
_CARRIED = {"size", "aspect_ratio"}  # each is translated into the other where need be
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
    """One field of the form. `kind`: text, number, suggest (words such as `choices`) or flag.

    `lists` says that it takes a list; `configured` is what `%config Imagine` sends while it is empty;
    `basic` that it is always seen.
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


def choices(studio: Studio, form: Form, *, inputs: int, mask: bool) -> dict[str, Any]:
    """Return what may be chosen, as a front end takes it: endpoints, models, controls for the chosen two."""
    listed: tuple[Endpoint, ...] = ()
    default, configured = "", Settings().options
    endpoint = catalog.find_endpoint(SKETCH)
    with suppress(ImagineError):  # said when something is asked
        settings, listed = studio.settings, studio.endpoints()
        configured, default = settings.options, studio.default_endpoint().name
        configured = {name: studio.keys.hidden(str(value)) for name, value in configured.items()}
        endpoint = studio.endpoint_named(form.endpoint or default)
    asked = form.models or (str(configured.get("model") or ""),)
    takes = [accepts(endpoint, one) for one in asked]
    made, *others = (controls(endpoint, one, configured, inputs=inputs, mask=mask) for one in asked)
    shared = [one for one in made if all(one.name in {its.name for its in other} for other in others)]
    named = [{"name": one.name, "label": escape_hidden(one.title or one.name)} for one in listed]
    return {
        "endpoints": [{"name": "", "label": f"({default})"}, *named],
        "models": list(models(endpoint)),
        "model": str(configured.get("model") or endpoint.default_model or ""),
        "controls": [asdict(one) for one in shared],
        "accepts": {"images": min(many for many, _ in takes), "mask": all(masked for _, masked in takes)},
    }


def controls(
    endpoint: Endpoint,
    model: str | None,
    configured: Mapping[str, Any],
    *,
    inputs: int = 0,
    mask: bool = False,
) -> tuple[Control, ...]:
    """Return the controls for a request of so many images, in the order of the table of options."""
    operation = INPAINTING if mask else EDITS if inputs else GENERATIONS
    known = catalog.find_model_row(endpoint, model or endpoint.default_model)
    taken = catalog.list_fields(endpoint, model or endpoint.default_model, operation)
    if taken is not None and taken & _CARRIED:
        taken |= _CARRIED
    shown = [
        option
        for name, option in OPTIONS.items()
        if option.panel and (taken is None or not option.sent or name in taken)
    ]
    return tuple(_control(option, known, configured.get(option.name)) for option in shown)


def accepts(endpoint: Endpoint, model: str | None) -> tuple[int, bool]:
    """Return how many images to start from an edit there may take, and whether a mask."""
    known = catalog.find_model_row(endpoint, model or endpoint.default_model)
    if endpoint.edits is False or (known is not None and known.edit == 0):
        return 0, False
    most = MOST if known is None or known.edit is None else min(known.edit, MOST)
    return most, endpoint.mask is not False and not (known is not None and known.mask is False)


def models(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the models that are known behind an endpoint, those that are retired left out."""
    listed = [name for name in endpoint.models if name != "*"]
    own = [
        one.name
        for one in catalog.load_models()
        if one.vendor and one.vendor == endpoint.vendor and not one.retired
    ]
    first = [endpoint.default_model] if endpoint.default_model else []
    return tuple(dict.fromkeys([*first, *listed, *own]))


def _control(option: Option, known: Model | None, configured: Any) -> Control:
    low, high = option.low, option.high
    if low is not None and known:
        low, high = known.limits.get(option.name, (low, high))
    return Control(
        name=option.name,
        kind=_KINDS.get(option.kind, "text"),
        help=option.help,
        choices=_choices(option, known),
        low=low,
        high=high,
        configured="" if configured is None else str(configured),
        basic=option.name in BASIC,
        lists=option.lists,
    )


def _choices(option: Option, known: Model | None) -> tuple[str, ...]:
    if known is None:
        return option.choices
    if option.kind is Kind.SIZE and known.sizes:
        return (*(one for one in SIZE_WORDS if one != "auto" or one in known.sizes), *known.sizes)
    if option.kind is Kind.RATIO and known.ratios:
        return known.ratios
    return known.choices.get(option.name, option.choices)
