"""What a front door hands over: a prompt, options and inputs as typed, and what is run again.

A magic, a Python call and the panel differ only in how they obtain a `UserInput`. `axes.expand` takes it
apart into single requests.
"""

from __future__ import annotations

import operator
import re
import reprlib
from collections import deque
from collections.abc import Callable, Iterator, KeysView, Mapping, Sequence, ValuesView
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias

from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.messages import Message, OptionName, _
from ipyimagegen.core.options import (
    DEFAULT,
    INPUTS,
    SENT,
    Json,
    Kind,
    Value,
    Values,
    exemplify_list,
    find_option,
    is_pair,
    normalise,
    to_half_width,
    to_plain,
)
from ipyimagegen.core.request import check_extra
from ipyimagegen.core.run import Run
from ipyimagegen.core.text import truncate
from ipyimagegen.core.variables import probe

MOST = 10_000  # runs of a sweep, and values of an option
# What a Python call has in place of options of cells.
_PROGRESS = OptionName("progress")
_CALL_ONLY = ("extra", "progress")  # keywords of a Python call that are no options
_INSTEAD = {
    "save": _(" Use {option}.", option=OptionName("save")),
    "as_": _(" Use {option}.", option=OptionName("as_")),
    "raw": _(" The prompt of a Python call is always sent as it is."),
}
_TO_LIST = ("tolist", "to_list", "to_pylist")  # of NumPy and pandas, of Polars, of Arrow
_RANGE = re.compile(r"\s*(-?\d{1,19})\s*\.\.\s*(-?\d{1,19})\s*")


@dataclass(frozen=True)
class InputRef:
    """An image as it was given, not yet opened; `name` is what messages call it."""

    value: Any
    name: str


InputRefs: TypeAlias = Mapping[str, tuple[InputRef, ...]]


@dataclass(frozen=True, kw_only=True)
class UserInput:
    """What a front door hands over. Values are normalised; `default` unsets what is configured.

    A tuple, of prompts or of values of an option, makes a sweep: a run for each. `chosen` are the
    choices for the alternatives in the prompt, in order, once they are made. `executor` runs the calls.
    `progress` is whether a Python call shows its progress; None leaves that to the front end.
    `inputs` holds `image` and `mask`; a name that is absent was not given, an empty tuple unsets it.
    `namespace` holds the notebook's variables; None means that the prompt is literal. A rerun stands
    `alone`: what is configured now does not change it. Unless another server is typed, that of the run
    `like` is used. `notes` go into the caption. `columns` names the lists of a Python call, of which
    each value is requested once however often it occurs, with the index of each that is a pandas column.
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
    progress: bool | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


def from_call(prompt: Any, options: Mapping[str, Any]) -> UserInput:
    """Return a Python call's arguments as typed options. Raises InvalidInput or InvalidOption.

    None, and `...` for an input, is what was not given. An input that is None may be the failure of a loader:
    a note tells it.
    """
    given = {name: value for name, value in options.items() if value is not None and value is not ...}
    missing = [name for name in INPUTS if name in options and options[name] is None]
    executor, extra = given.pop("executor", None), given.pop("extra", {})
    progress = to_plain(given.pop("progress", None))
    if not isinstance(progress, bool | None):
        raise InvalidOption(
            _(
                "{progress} takes True or False, not {given:.40}.",
                progress=_PROGRESS,
                given=reprlib.repr(progress),
            )
        )
    if not isinstance(extra, Mapping) or not all(isinstance(key, str) for key in extra):
        mapping = '{"key": "value"}'
        raise InvalidOption(_("{extra} takes a mapping such as {x}.", extra=OptionName("extra"), x=mapping))
    check_extra(extra)
    inputs = {name: _to_input_refs(name, given.pop(name)) for name in INPUTS if name in given}
    if "mask" in missing:
        inputs["mask"] = (InputRef(None, "mask"),)  # refused where there is an image
    values: dict[str, Values] = {}
    for name, value in given.items():
        option = find_option(name, _CALL_ONLY)
        if not option.python:
            raise InvalidOption(
                _(
                    "A Python call has no {name}=.{hint}",
                    name=name,
                    hint=_INSTEAD.get(name, ""),
                )
            )
        elements = _list_values(name, _to_list(value)) if option.lists else None
        if elements is None:
            values[name] = normalise(name, list_elements(value) or value)
        else:
            values[name] = _read_column(name, value, elements)
    prompts = _read_prompts(prompt)
    lists = {"prompt": prompts, **values}
    return UserInput(
        prompt=prompts,
        options=values,
        extra=dict(extra),
        inputs=inputs,
        executor=executor,
        notes=tuple(map(_note_none, missing)),
        progress=progress,
        columns={
            name: _find_index({"prompt": prompt, **given}[name])
            for name, value in lists.items()
            if isinstance(value, tuple)
        },
    )


def _note_none(name: str) -> Message:
    return _("{name}=None counts as not given", name=name)


def _read_prompts(prompt: Any) -> str | tuple[str, ...]:
    """Return the prompt, or the prompts of a sweep."""
    plain = to_plain(prompt)
    if isinstance(plain, str):
        return plain
    prompts = list_elements(_to_list(prompt))
    if prompts == []:
        raise InvalidInput(_("The list of prompts is empty; nothing was sent."))
    if prompts is None:
        kind = type(prompt).__name__
        hint = _(" Give one of its columns.") if probe(prompt, "columns") is not None else ""
        raise InvalidInput(_("A prompt is text, or a list of texts, not {kind}.{hint}", kind=kind, hint=hint))
    texts = [to_plain(text) for text in prompts]
    for place, text in enumerate(texts):
        values = {"row": _name_row(prompt, place), "count": len(texts)}
        if _is_empty(text):
            raise InvalidInput(
                _("The prompt in {row} of {count} is empty. Nothing was sent. Remove the row.", **values)
            )
        if not isinstance(text, str):
            raise InvalidInput(
                _(
                    "A prompt is text; the one in {row} of {count} is {kind}: {text:.40}.",
                    kind=type(text).__name__,
                    text=reprlib.repr(text),  # an object whose own raises has one too
                    **values,
                )
            )
    return tuple(texts)


def _read_column(name: str, value: object, elements: Sequence[object]) -> tuple[Value, ...]:
    """Return the elements of a list as option `name` keeps them. Raises InvalidOption, also for a gap."""
    gap = next((place for place, element in enumerate(elements) if _is_empty(element)), None)
    if gap is not None:
        raise InvalidOption(
            _(
                "{option} has no value in {row} of {count}. Nothing was sent. Remove the row.",
                option=OptionName(name),
                row=_name_row(value, gap),
                count=len(elements),
            )
        )
    return normalise_all(name, elements)


def _is_empty(value: Any) -> bool:
    """Return whether a value stands for a gap in a table: None, NaN, NaT, NA, blank text."""
    if isinstance(value, str):
        return not value.strip()
    with suppress(Exception):  # an array or a tensor, which has no single answer, is no gap
        try:
            return value is None or bool(operator.ne(value, value))  # NaN differs from itself
        except TypeError:  # pandas' NA is neither
            return True
    return False


def _find_index(value: Any) -> Any:
    """Return the index of a pandas column, or None."""
    index = probe(value, "index")
    return None if probe(index, "take") is None else index


def _name_row(value: Any, place: int) -> Message:
    """Return the name of a row: its number from 1, and its label where it has one."""
    index = _find_index(value)
    if index is None:
        return _("row {number}", number=place + 1)
    return _("row {number} (index {label!r:.40})", number=place + 1, label=to_plain(index[place]))


def _to_list(value: Any) -> Any:
    """Return the values of a generator, a view or a deque as a list; other values as they are."""
    once = isinstance(value, (Iterator, KeysView, ValuesView, deque))
    return list(islice(value, MOST + 1)) if once else value


def _to_input_refs(name: str, value: object) -> tuple[InputRef, ...]:
    """Return the inputs of an argument: `image` takes a list, a mask is a single thing (or a box of four)."""
    if isinstance(value, str) and value == DEFAULT:
        return ()
    if INPUTS[name].repeats and isinstance(value, (list, tuple)) and not is_named_file(value):
        if not value:
            raise InvalidInput(
                _(
                    "{option} is an empty list; nothing was sent. Without an image, leave it out.",
                    option=OptionName(name),
                )
            )
        return tuple(InputRef(item, f"{name}[{index}]") for index, item in enumerate(value))
    return (InputRef(value, name),)


def is_named_file(thing: object) -> bool:
    """Return whether it is an image as client libraries take it: `("name.png", data)`, or with its type."""
    if not isinstance(thing, tuple) or not 2 <= len(thing) <= 4:
        return False
    name, data, kind = (*thing, None)[:3]
    is_data = isinstance(data, (bytes, bytearray, memoryview)) or callable(probe(data, "read"))
    return is_data and all(isinstance(text, (str, type(None))) for text in (name, kind))


def from_run(run: Run, typed: UserInput, *, same_server: bool) -> UserInput:
    """Return the stored request of a run as typed options, with those of `typed` over them.

    `same_server` is whether the endpoint in `typed`, if any, is that of the run. With nothing changed,
    `new` is among the options: a new request is sent. Raises InvalidInput.
    """
    if run.forgotten:
        raise InvalidInput(_("Run {run} was forgotten; its prompt is gone.", run=run.id))
    if not run.request.inputs and not typed.inputs.get("image"):  # then a mask that is None means nothing
        given = {
            name: refs for name, refs in typed.inputs.items() if not any(ref.value is None for ref in refs)
        }
        typed = replace(typed, inputs=given)
    stored: dict[str, Values] = {name: value for name, value in run.request.options.items() if name in SENT}
    if run.request.model:
        stored["model"] = run.request.model
    base = dict(stored)
    if "size" in typed.options or "aspect_ratio" in typed.options:
        base.pop("size", None)
        base.pop("aspect_ratio", None)
    options = {**base, **typed.options}
    extra = {**run.request.extra, **typed.extra}
    to_send = {name: value for name, value in options.items() if name in SENT and value != DEFAULT}
    prompt = typed.prompt.strip() if isinstance(typed.prompt, str) else None
    same = to_send == stored and extra == run.request.extra and prompt == run.request.prompt
    if same and same_server and not typed.inputs:
        options["new"] = True
    inputs: dict[str, tuple[InputRef, ...]] = {
        "image": tuple(InputRef(image, image.name) for image in run.request.inputs)
    }
    if mask := run.request.mask:
        inputs["mask"] = (InputRef(mask, mask.name),)
    inputs |= typed.inputs
    if not inputs["image"] and "mask" not in typed.inputs:
        inputs.pop("mask", None)  # of the image that was taken out
    return replace(typed, options=options, extra=extra, inputs=inputs, alone=True, like=run, rerun_of=run)


def from_image(run: Run, image: Any, prompt: str, options: Mapping[str, Any]) -> UserInput:
    """Return an edit of an image of that run, at its server and model unless others are named.

    Images in `options` come after it.
    """
    more = options.get("image", ...)
    several = isinstance(more, (list, tuple)) and not is_named_file(more)
    others = [*more] if several else [] if more is None or more is ... else [more]
    typed = from_call(prompt, {**options, "image": [image, *others]})
    if more is None:
        typed = replace(typed, notes=(*typed.notes, _note_none("image")))
    if "endpoint" in typed.options:
        return typed
    model: Value = run.request.model or DEFAULT  # the server's own, whatever is configured now
    return replace(typed, options={"model": model, **typed.options}, like=run)


def list_elements(thing: Any) -> list[Any] | None:
    """Return the elements of a list, tuple, range, one-dimensional array or column, else None."""
    if isinstance(thing, (list, tuple, range)):
        return list(thing[: MOST + 1])
    method = next((name for name in _TO_LIST if callable(probe(thing, name))), None)
    if method is None:
        return None
    with suppress(Exception):  # a scalar cannot be sliced
        thing = getattr(thing, "iloc", thing)[: MOST + 1]
    with suppress(Exception):  # a method of a foreign object raises anything
        elements = getattr(thing, method)()
        return elements if isinstance(elements, list) else None
    return None


def _list_values(name: str, value: object) -> list[Any] | None:
    """Return the elements of a list of values of option `name`; None for a single value, also (512, 768)."""
    elements = list_elements(value)
    return None if elements is None or is_pair(find_option(name), elements) else elements


def parse_values(name: str, pieces: Sequence[str], resolve: Callable[[str], object] = str) -> Values:
    """Return what was typed for option `name`, split at commas; `1..4` is a range. Raises InvalidOption.

    `resolve` returns what a piece stands for, such as the list that a variable holds. Only what was typed
    is a range: a resolved value is not parsed again.
    """
    elements: list[object] = []
    is_list = len(pieces) > 1
    for piece in pieces:
        value = resolve(piece)
        if (inner := _list_values(name, value)) is not None:
            is_list = True
            elements += inner
        else:
            literal = isinstance(value, str) and value == piece
            elements += _expand_range(name, piece) if literal else [list_elements(value) or value]
        if len(elements) > MOST:
            raise _refuse_count(name)
    return normalise_all(name, elements) if is_list or len(elements) > 1 else normalise(name, elements[0])


def normalise_all(name: str, elements: Sequence[object]) -> tuple[Value, ...]:
    """Return the elements of a list, each as option `name` keeps it. Raises InvalidOption."""
    if not elements:
        raise InvalidOption(_("{option} is an empty list; nothing was sent.", option=OptionName(name)))
    if len(elements) > MOST:
        raise _refuse_count(name)
    if any(isinstance(element, str) and not element.strip() for element in elements):
        raise InvalidOption(
            _(
                "{option} has an empty place. Write the list without blanks: {example}.",
                option=OptionName(name),
                example=exemplify_list(find_option(name)),
            )
        )
    return tuple(normalise(name, element) for element in elements)


def _expand_range(name: str, piece: str) -> Iterator[object]:
    """Yield what a piece of a typed list stands for: itself, or the whole numbers of `1..4`."""
    is_number = find_option(name).kind in (Kind.INTEGER, Kind.NUMBER)
    match = _RANGE.fullmatch(to_half_width(piece)) if is_number else None
    if match is None:
        yield piece
        return
    first, last = int(match[1]), int(match[2])
    if abs(last - first) >= MOST:
        raise _refuse_count(name, truncate(piece, 40))
    yield from range(first, last + 1) if first <= last else range(first, last - 1, -1)


def _refuse_count(name: str, given: str | None = None) -> InvalidOption:
    return InvalidOption(
        _(
            "{option} has more than {most:,} values; nothing was sent. Give fewer.",
            option=OptionName(name, given),
            most=MOST,
        )
    )
