"""What a door hands over: a prompt, options and inputs as they were typed, and how to ask again.

A magic, a Python call and the panel differ only in how they come to a `UserInput`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.options import (
    DEFAULT,
    INPUTS,
    SENT,
    Json,
    Value,
    Values,
    find_option,
    list_elements,
    read_values,
)
from ipyimagegen.core.request import check_extra
from ipyimagegen.core.run import Run

_NOT_IN_PYTHON = ("as_", "save", "dry_run", "raw")


@dataclass(frozen=True)
class InputRef:
    """An image as it was given, not yet opened; `name` is what messages call it."""

    thing: Any
    name: str


InputRefs: TypeAlias = Mapping[str, tuple[InputRef, ...]]


@dataclass(frozen=True, kw_only=True)
class UserInput:
    """What a door hands over. Values are normalised; `default` unsets what is configured.

    A tuple, of prompts or of values of an option, makes a sweep: one run for each. `chosen` are the
    choices for the alternatives in the prompt, in order, once they were made. `executor` runs the calls.
    `inputs` holds `image` and `mask`; a name that is absent was not given, an empty one unsets it.
    `namespace` holds the notebook's variables; None means that the prompt is literal. A rerun stands
    `alone`: what is configured now does not change it. Unless another is typed, the server of the run
    `like` is asked. `notes` go into the caption.
    """

    prompt: str | tuple[str, ...]
    options: Mapping[str, Values] = field(default_factory=dict)
    extra: Mapping[str, Json] = field(default_factory=dict)
    inputs: InputRefs = field(default_factory=dict)
    namespace: Mapping[str, Any] | None = None
    alone: bool = False
    like: Run | None = None
    rerun_of: Run | None = None
    notes: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    executor: Any = None


def from_call(prompt: Any, options: Mapping[str, Any]) -> UserInput:
    """Return a Python call's arguments as typed options. Raises InvalidInput or InvalidOption."""
    given = {k: v for k, v in options.items() if v is not None}
    executor, extra = given.pop("executor", None), given.pop("extra", {})
    if not isinstance(extra, Mapping) or not all(isinstance(k, str) for k in extra):
        raise InvalidOption('extra takes a mapping such as {"key": "value"}.')
    check_extra(extra)
    inputs = {name: _offered(name, given.pop(name)) for name in INPUTS if name in given}
    for name in given:
        if name in _NOT_IN_PYTHON:
            raise InvalidOption(f"{name} is an option of the magic; a Python call has no {name}=.")
        find_option(name)
    values = {name: read_values(name, value) for name, value in given.items()}
    return UserInput(
        prompt=_prompts(prompt), options=values, extra=dict(extra), inputs=inputs, executor=executor
    )


def _prompts(prompt: Any) -> str | tuple[str, ...]:
    """Return the prompt, or the prompts of a sweep."""
    if isinstance(prompt, str):
        return prompt
    several = list_elements(prompt)
    if several == []:
        raise InvalidInput("The list of prompts is empty; nothing was sent.")
    if several is None:
        raise InvalidInput(f"A prompt is text, or a list of texts, not {type(prompt).__name__}.")
    for place, one in enumerate(several, start=1):
        if not isinstance(one, str):
            kind = type(one).__name__
            raise InvalidInput(f"A prompt is text; number {place} of {len(several)} is {kind}: {one!r:.40}.")
    return tuple(several)


def _offered(name: str, value: object) -> tuple[InputRef, ...]:
    """Return the inputs of an argument: `image` takes a list, a mask is one (or a box of four)."""
    if isinstance(value, str) and value == DEFAULT:
        return ()
    if INPUTS[name].repeats and isinstance(value, (list, tuple)):
        if not value:
            raise InvalidInput(f"{name} is an empty list; nothing was sent. Without an image, leave it out.")
        return tuple(InputRef(one, f"{name}[{k}]") for k, one in enumerate(value))
    return (InputRef(value, name),)


def from_run(run: Run, typed: UserInput, *, same_server: bool) -> UserInput:
    """Return the stored request of a run as typed options, with those of `typed` over them.

    `same_server` says that the endpoint in `typed`, if any, is the one that the run asked. With
    nothing changed the answer has `new` among its options: it asks again. Raises InvalidInput.
    """
    if run.forgotten:
        raise InvalidInput(f"Run {run.id} was forgotten; its prompt is gone.")
    stored: dict[str, Values] = {k: v for k, v in run.request.options.items() if k in SENT}
    if run.request.model:
        stored["model"] = run.request.model
    kept = dict(stored)
    if "size" in typed.options or "aspect_ratio" in typed.options:
        kept.pop("size", None)
        kept.pop("aspect_ratio", None)
    options = {**kept, **typed.options}
    extra = {**run.request.extra, **typed.extra}
    asked = {k: v for k, v in options.items() if k in SENT and v != DEFAULT}
    prompt = typed.prompt.strip() if isinstance(typed.prompt, str) else None
    same = asked == stored and extra == run.request.extra and prompt == run.request.prompt
    if same and same_server and not typed.inputs:
        options["new"] = True
    inputs = {**_stored(run), **typed.inputs}
    if not inputs["image"] and "mask" not in typed.inputs:
        inputs.pop("mask", None)  # of the image that was taken out
    return replace(typed, options=options, extra=extra, inputs=inputs, alone=True, like=run, rerun_of=run)


def _stored(run: Run) -> InputRefs:
    """Return the inputs that a run was asked with."""
    request = run.request
    mask = {"mask": (InputRef(request.mask, request.mask.name),)} if request.mask else {}
    return {"image": tuple(InputRef(one, one.name) for one in request.inputs), **mask}


def from_image(run: Run, image: Any, prompt: str, options: Mapping[str, Any]) -> UserInput:
    """Return an edit of an image of that run: asked of its server and model unless others are named.

    Images in `options` come after it.
    """
    more = options.get("image")
    others = list(more) if isinstance(more, (list, tuple)) else [] if more is None else [more]
    typed = from_call(prompt, {**options, "image": [image, *others]})
    if "endpoint" in typed.options:
        return typed
    model: Value = run.request.model or DEFAULT  # the server's own, whatever is configured now
    return replace(typed, options={"model": model, **typed.options}, like=run)
