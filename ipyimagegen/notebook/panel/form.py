"""The form of the panel: its fields as a request, and as the cell that sends the same request.

Its controls are the table of options, as far as the chosen model and endpoint support them: the rows of the
catalog decide. An option of which nothing is known is shown: a cell may send it, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ipyimagegen import catalog
from ipyimagegen.catalog.capabilities import EDITS, GENERATIONS, INPAINTING
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import ImagineError, InvalidInput, InvalidOption
from ipyimagegen.core.messages import _, render
from ipyimagegen.core.options import (
    DEFAULT,
    OPTIONS,
    SENT,
    SIZE_WORDS,
    Kind,
    Value,
    Values,
    find_option,
    normalise,
    to_half_width,
)
from ipyimagegen.core.plan import SKETCH
from ipyimagegen.core.request import read_setting
from ipyimagegen.core.run import Run
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.template import Literal, list_groups, parse
from ipyimagegen.core.text import escape_hidden, truncate
from ipyimagegen.core.user_input import InputRefs, UserInput, parse_values
from ipyimagegen.notebook.fronts import NEGATED, PANEL, SETTING
from ipyimagegen.notebook.tokenizer import split_pieces, write_word
from ipyimagegen.session.inputs import MOST
from ipyimagegen.session.studio import Studio

BRACES = _("braces sent as typed: the panel does not expand {{red|blue}}, a cell does")
BASIC = ("size", "aspect_ratio", "n", "seed", "quality")  # the others stand under "More options"
_WITH_BRACES = ("save", "as_")  # options whose values have braces of their own
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
# Line ends to a cell that JSON leaves as they are.
_LINES = {ord(char): f"\\u{ord(char):04x}" for char in "\x85\u2028\u2029"}


@dataclass(frozen=True, kw_only=True)
class Form:
    """The texts of the fields; an empty field is not set. `other` holds further fields, as lines `key=value`.

    A field may hold a list, as on the line of a magic: `1..4`, `low,high`, a value with a comma in quotes.
    """

    prompt: str = ""
    endpoint: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    other: str = ""

    @classmethod
    def from_message(cls, content: object) -> Self:
        """Return the form that a front end sent, without what is not text."""
        fields = _read_texts(content)
        options = _read_texts(content.get("options") if isinstance(content, Mapping) else None)
        return cls(
            **{name: fields[name] for name in ("prompt", "endpoint", "other") if name in fields},
            options={name: text for name, text in options.items() if text.strip()},
        )

    @classmethod
    def from_run(cls, run: Run, endpoint: str, configured: Iterable[str]) -> Self:
        """Return the form that repeats a request at that endpoint; options that are configured are unset."""
        model = {"model": run.request.model} if run.request.model else {}
        unset = {name: DEFAULT for name in configured if name in SENT}
        options = {**unset, **model, **run.request.options}
        return cls(
            prompt=run.request.prompt,
            endpoint=endpoint,
            options={
                name: write_word(_to_text(value), apart=True) if OPTIONS[name].lists else _to_text(value)
                for name, value in options.items()
            },
            other="\n".join(f"{key}={_to_json(value)}" for key, value in run.request.extra.items()),
        )

    def to_user_input(self, images: InputRefs, **local: Value) -> UserInput:
        """Return the request of the form, its prompt literal. Raises InvalidOption."""
        return UserInput(
            prompt=self.prompt,
            options={**self._read_values(), **local},
            extra=self._read_extra(),
            inputs=images,
            notes=(BRACES,) if list_groups(parse(self.prompt)) else (),
        )

    def to_cell(self, images: Mapping[str, Iterable[str]]) -> str:
        """Return the cell that sends the same request; `images` holds the words of `image` and `mask`.

        Raises InvalidOption, or InvalidInput for an empty prompt.
        """
        if not self.prompt.strip():
            raise InvalidInput(_("The prompt is empty. Nothing was sent. Describe the image."))
        words = [_write_option(name, value) for name, value in self._read_values().items()]
        extra = (f"{key}={_to_json(value)}" for key, value in self._read_extra().items())
        words += [f"{SETTING} {write_word(_escape_braces(setting))}" for setting in extra]
        words += [f"{OPTIONS[name].flag} {write_word(word)}" for name in images for word in images[name]]
        if any(brace in self.prompt for brace in "{}｛"):
            words.append(OPTIONS["raw"].flag)
        return " ".join(["%%imagine", *words]) + f"\n{self.prompt.strip()}"

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the field, none where it is empty; an unfinished list is a single name."""
        text = self.options.get("model")
        if text is None:
            return ()
        try:
            models = _read_field("model", text)
        except InvalidOption:
            models = text
        return tuple(map(str, models if isinstance(models, tuple) else (models,)))

    def _read_values(self) -> dict[str, Values]:
        endpoint = {"endpoint": normalise("endpoint", self.endpoint)} if self.endpoint else {}
        return {**endpoint, **{name: _read_field(name, text) for name, text in self.options.items()}}

    def _read_extra(self) -> dict[str, Any]:
        return dict(read_setting(line.strip()) for line in self.other.splitlines() if line.strip())


def _read_field(name: str, text: str) -> Values:
    """Return the value of a field: the line of a magic without names in braces. Raises InvalidOption."""
    return parse_values(name, tuple(split_pieces(text))) if find_option(name).lists else normalise(name, text)


def _write_option(name: str, value: Values) -> str:
    """Return an option as the line of a cell has it."""
    option = OPTIONS[name]
    if option.lists:
        values = value if isinstance(value, tuple) else (value,)
        words = (write_word(_escape_braces(_to_text(item)), apart=True) for item in values)
        return f"{option.flag} {','.join(words)}"
    if option.kind is not Kind.FLAG or value == DEFAULT:
        text = str(value) if name in _WITH_BRACES else _escape_braces(_to_text(value))
        return f"{option.flag} {write_word(text)}"
    if value is True:
        return option.flag
    negated = next((flag for flag, negative in NEGATED.items() if negative is option), None)
    return negated or f"{option.flag}=false"


def _escape_braces(text: str) -> str:
    """Return the text as a line has to write it so that its braces are read literally."""
    for written in (text, text.replace("{", "{{").replace("}", "}}")):
        parts = parse(written)
        literals = [part.text for part in parts if isinstance(part, Literal)]
        if len(literals) == len(parts) and "".join(literals) == text:
            return written
    value = repr(truncate(text, 60))
    raise InvalidOption(_("{value} cannot be written in a cell: its braces would be filled in.", value=value))


def _read_texts(content: object) -> dict[str, str]:
    """Return the texts of a message; half a surrogate pair, which a browser may send, is replaced."""
    fields = content.items() if isinstance(content, Mapping) else ()
    return {
        name: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for name, text in fields
        if isinstance(text, str)
    }


def _to_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _to_json(value: object) -> str:
    """Return a value as `--set` reads it back: text without quotes, unless it would be read as JSON."""
    if isinstance(value, str) and value == value.strip() and len(value.splitlines()) < 2:
        try:
            json.loads(to_half_width(value))
        except ValueError:
            if value[:1] not in ("{", "["):
                return value
    return json.dumps(value, ensure_ascii=False).translate(_LINES)


# Controls


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
    endpoint: Endpoint | None = None
    with suppress(ImagineError):  # a wrong setting is reported by the next request
        settings, endpoints = studio.settings, tuple(studio.registry)
        configured, default = settings.options, studio.default_endpoint().name
        configured = {name: studio.keys.hidden(str(value)) for name, value in configured.items()}
        endpoint = studio.registry.find(form.endpoint or default)
    endpoint = endpoint or catalog.Registry().find(SKETCH)
    models = form.models or (str(configured.get("model") or ""),)
    limits = [find_input_limits(endpoint, model) for model in models]
    rows = [catalog.describe_capabilities(endpoint, model, GENERATIONS) for model in models]
    retirements = dict.fromkeys(filter(None, map(catalog.describe_retirement, rows)))
    by_model = [list_controls(endpoint, model, configured, inputs=inputs, mask=mask) for model in models]
    shared = set.intersection(*({control.name for control in controls} for controls in by_model))
    labels = [{"name": other.name, "label": escape_hidden(other.title or other.name)} for other in endpoints]
    return {
        "endpoints": [{"name": "", "label": f"({default})"}, *labels],
        "models": list(list_models(endpoint)),
        "notice": "\n".join(render(retirement, PANEL) for retirement in retirements),
        "model": str(configured.get("model") or endpoint.default_model or ""),
        "controls": [asdict(control) for control in by_model[0] if control.name in shared],
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
    capabilities = catalog.describe_capabilities(endpoint, model, operation)
    row, fields = capabilities.row, capabilities.fields
    if fields is not None and fields & _TRANSLATED:
        fields |= _TRANSLATED
    controls = []
    for name, option in OPTIONS.items():
        if not option.panel or (fields is not None and option.sent and name not in fields):
            continue
        low, high, choices = option.low, option.high, option.choices
        if low is not None:
            low, high = row.limits.get(name, (low, high))
        if option.kind is Kind.SIZE and row.sizes:
            choices = (*(word for word in SIZE_WORDS if word != "auto" or word in row.sizes), *row.sizes)
        elif option.kind is Kind.RATIO and row.ratios:
            choices = row.ratios
        else:
            choices = row.choices.get(name, choices)
        set_to = configured.get(name)
        control = Control(
            name=name,
            kind=_KINDS.get(option.kind, "text"),
            help=render(option.help, PANEL),
            choices=choices,
            low=low,
            high=high,
            configured="" if set_to is None else str(set_to),
            basic=name in BASIC,
            lists=option.lists,
        )
        controls.append(control)
    return tuple(controls)


def find_input_limits(endpoint: Endpoint, model: str | None) -> tuple[int, bool]:
    """Return how many input images an edit may have, and whether it may have a mask."""
    row = catalog.describe_capabilities(endpoint, model, EDITS).row
    if endpoint.edits is False or row.edit == 0:
        return 0, False
    images = MOST if row.edit is None else min(row.edit, MOST)
    return images, endpoint.mask is not False and row.mask is not False


def list_models(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the models that are known at an endpoint, without those that their vendor has retired."""
    first = [endpoint.default_model] if endpoint.default_model else []
    rows = {name: catalog.find_model(name) for name in endpoint.models if name != "*"}
    listed = [name for name, row in rows.items() if not (row and row.retired)]
    own = [
        model.name
        for model in catalog.load_models()
        if model.vendor and model.vendor == endpoint.vendor and not model.retired
    ]
    return tuple(dict.fromkeys([*first, *listed, *own]))
