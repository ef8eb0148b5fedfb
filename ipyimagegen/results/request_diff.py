"""What differs between two requests: values by name, and how a change of one is written.

seed: 7 → 8
prompt: a [-red-] {+blue+} fox
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from ipyimagegen.core.options import OPTIONS, Kind
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import Run
from ipyimagegen.core.text import measure_width, sanitize, truncate
from ipyimagegen.results.word_diff import mark_words, same_words

LINE = 60  # characters of a value
_CELL = 36  # columns of a value in a table; a longer one is compared word by word

Named: TypeAlias = Callable[[Input], str]


@dataclass(frozen=True)
class ComparedValue:
    """What a run has of something: its words, and the key by which two are equal."""

    text: str
    key: str


Values: TypeAlias = Sequence[ComparedValue | None]


def list_changes(before: Run, after: Run) -> list[str]:
    """Return what one run asked otherwise than another, a line for each value."""
    old, new = (
        list_request_values(run, attrgetter("name"), model=run.request.model) for run in (before, after)
    )
    lines = (_change(name, old.get(name), new.get(name)) for name in {**old, **new})
    return [line for line in lines if line]


def list_request_values(run: Run, named: Named, *, model: str | None) -> dict[str, ComparedValue]:
    """Return what was asked, and of whom, by name; `named` says what an input is called."""
    request = run.request
    told = {"endpoint": ComparedValue(request.endpoint, request.base_url)}
    if model:
        told["model"] = to_compared_value(model)
    told["prompt"] = to_compared_value(request.prompt)
    if request.inputs:
        told["image"] = _images(request.inputs, named)
    if request.mask:
        told["mask"] = _images([request.mask], named)
    return {**told, **{k: to_compared_value(v) for k, v in {**request.options, **request.extra}.items()}}


def to_compared_value(value: object) -> ComparedValue:
    """Return a JSON value as it is shown and compared: 1 is not "1"."""
    key = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return ComparedValue(key if isinstance(value, (dict, list)) else str(value), key)


def _images(some: Sequence[Input], named: Named) -> ComparedValue:
    return ComparedValue(" + ".join(map(named, some)), " + ".join(one.identity[:12] for one in some))


def _change(name: str, old: ComparedValue | None, new: ComparedValue | None) -> str:
    """Return what became of a value, as `seed: 7 → 8` or `prompt: a [-red-] {+blue+} fox`; empty if equal."""
    if (old and old.key) == (new and new.key):
        return ""
    if old and new and is_text(name, (old, new)):
        return f"{title_option(name)}: {mark_changes(old, new)}"
    before, after = distinguish((old, new), ("default", "default"))
    return f"{title_option(name)}: {before} → {after}"


def is_text(name: str, values: Values) -> bool:
    """Say whether values are compared word by word."""
    free = name == "prompt" or (name in OPTIONS and OPTIONS[name].kind is Kind.TEXT)
    return free or any(measure_width(one.text) > _CELL for one in values if one)


def mark_changes(base: ComparedValue, value: ComparedValue) -> str:
    """Return a text as a change of another one, word by word."""
    if same_words(base.text, value.text):
        return "the same but for blank space and what cannot be seen"
    return mark_words(base.text, value.text)


def distinguish(values: Values, unset: Sequence[str]) -> list[str]:
    """Return the words of each; where the same words stand for different things, their keys too."""
    keys: dict[str, set[str]] = {}
    for one in filter(None, values):
        keys.setdefault(one.text, set()).add(one.key)
    return [
        nothing
        if one is None
        else f"{truncate(one.text, 20)} ({sanitize(one.key)})"
        if len(keys[one.text]) > 1
        else truncate(one.text, LINE)
        for one, nothing in zip(values, unset, strict=True)
    ]


def title_option(name: str) -> str:
    """Return what an option is called in sentences; a field that we do not know keeps its name."""
    return truncate(name.replace("_", " ") if name in OPTIONS else name, _CELL)
