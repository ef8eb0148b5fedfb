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
from ipyimagegen.core.run import Input, Run
from ipyimagegen.core.text import plain, short
from ipyimagegen.core.text_table import width
from ipyimagegen.results.word_diff import marked, same_words

LINE = 60  # characters of a value
_CELL = 36  # columns of a value in a table; a longer one is compared word by word

Named: TypeAlias = Callable[[Input], str]


@dataclass(frozen=True)
class Value:
    """What a run has of something: its words, and the key by which two are equal."""

    text: str
    key: str


Values: TypeAlias = Sequence[Value | None]


def changed(before: Run, after: Run) -> list[str]:
    """Return what one run asked otherwise than another, a line for each value."""
    old, new = (asked(run, attrgetter("name"), model=run.request.model) for run in (before, after))
    lines = (_change(name, old.get(name), new.get(name)) for name in {**old, **new})
    return [line for line in lines if line]


def asked(run: Run, named: Named, *, model: str | None) -> dict[str, Value]:
    """Return what was asked, and of whom, by name; `named` says what an input is called."""
    request = run.request
    told = {"endpoint": Value(request.endpoint, request.base_url)}
    if model:
        told["model"] = value_of(model)
    told["prompt"] = value_of(request.prompt)
    if request.inputs:
        told["image"] = _images(request.inputs, named)
    if request.mask:
        told["mask"] = _images([request.mask], named)
    return {**told, **{k: value_of(v) for k, v in {**request.options, **request.extra}.items()}}


def value_of(value: object) -> Value:
    """Return a JSON value as it is shown and compared: 1 is not "1"."""
    key = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return Value(key if isinstance(value, (dict, list)) else str(value), key)


def _images(some: Sequence[Input], named: Named) -> Value:
    return Value(" + ".join(map(named, some)), " + ".join(one.identity[:12] for one in some))


def _change(name: str, old: Value | None, new: Value | None) -> str:
    """Return what became of a value, as `seed: 7 → 8` or `prompt: a [-red-] {+blue+} fox`; empty if equal."""
    if (old and old.key) == (new and new.key):
        return ""
    if old and new and is_text(name, (old, new)):
        return f"{titled(name)}: {against(old, new)}"
    before, after = told_apart((old, new), ("default", "default"))
    return f"{titled(name)}: {before} → {after}"


def is_text(name: str, values: Values) -> bool:
    """Say whether values are compared word by word."""
    free = name == "prompt" or (name in OPTIONS and OPTIONS[name].kind is Kind.TEXT)
    return free or any(width(one.text) > _CELL for one in values if one)


def against(base: Value, value: Value) -> str:
    """Return a text as a change of another one, word by word."""
    if same_words(base.text, value.text):
        return "the same but for blank space and what cannot be seen"
    return marked(base.text, value.text)


def told_apart(values: Values, unset: Sequence[str]) -> list[str]:
    """Return the words of each; where the same words stand for different things, their keys too."""
    keys: dict[str, set[str]] = {}
    for one in filter(None, values):
        keys.setdefault(one.text, set()).add(one.key)
    return [
        nothing
        if one is None
        else f"{short(one.text, 20)} ({plain(one.key)})"
        if len(keys[one.text]) > 1
        else short(one.text, LINE)
        for one, nothing in zip(values, unset, strict=True)
    ]


def titled(name: str) -> str:
    """Return what an option is called in sentences; a field that we do not know keeps its name."""
    return short(name.replace("_", " ") if name in OPTIONS else name, _CELL)
