"""The same question many ways: what was typed, taken apart into single requests along its axes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

from ipyimagegen.core import template
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.options import OPTIONS, Value
from ipyimagegen.core.text import DOT, truncate
from ipyimagegen.core.user_input import MOST, UserInput

PROMPT = "prompt"
_NAMED = 6  # axes that a message names
LONG = 60  # characters of a prompt beyond which it is told by what differs
_DEAR = 2  # a prompt: dearer to change than a seed, for servers that encode it, and less than a size
_BY_ITSELF = {PROMPT, "model", "endpoint", "size", "aspect_ratio"}  # what their values are needs no name


@dataclass(frozen=True)
class Axis:
    """One thing that varies, an option, `prompt` or a group of alternatives as typed, and its values."""

    name: str
    values: tuple[Value, ...]

    @property
    def title(self) -> str:
        """What it is called: `seed`, `aspect ratio`, `{red|blue}`."""
        return self.name.rstrip("_").replace("_", " ") if self.name in OPTIONS else self.name

    @property
    def values_told(self) -> tuple[str, ...]:
        """The values as text; of long prompts that begin or end alike what differs."""
        told = [str(one) or "(nothing)" for one in self.values]
        return tuple(_apart(told) if self.name == PROMPT else told)

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each value: `seed 7`, `1024x1024`, `red`."""
        alone = self.name in _BY_ITSELF or self.name not in OPTIONS
        return tuple(
            f"{self.title} {one}" if not alone or one == "default" else one for one in self.values_told
        )


def _apart(texts: list[str]) -> list[str]:
    """Return long texts without the words with which all of them begin, or end."""
    words = [text.split() for text in texts]
    if len(texts) < 2 or max(map(len, texts)) <= LONG:
        return texts
    first = _common(words)
    tails = [one[first:] for one in words]
    last = _common([one[::-1] for one in tails])
    told = [" ".join(one[: len(one) - last]) for one in tails]
    return [
        f"{'… ' if first else ''}{one}{' …' if last else ''}" if one else text  # others begin with it
        for one, text in zip(told, texts, strict=True)
    ]


def _common(lists: list[list[str]]) -> int:
    """Return with how many words all of these begin."""
    low, high = min(lists), max(lists)  # what these two share, all do
    return next((k for k, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))


def label_points(axes: Sequence[Axis]) -> list[str]:
    """Return a name for each combination, in order: `red · seed 7`."""
    return [DOT.join(some) for some in product(*(axis.labels for axis in axes))]


# How an axis sets one of its values in what was typed.
_Set: TypeAlias = Callable[[UserInput, Value], UserInput]


def expand(typed: UserInput) -> tuple[tuple[Axis, ...], tuple[UserInput, ...]]:
    """Return the axes of a sweep, the one dearest to change first, and each combination, in that order.

    No axes and the one request where nothing varies. Raises InvalidOption for too many combinations.
    """
    found = sorted(_found(typed), key=lambda one: -one[0])
    axes, setters = [axis for _, axis, _ in found], [setter for _, _, setter in found]
    for name in (axis.name if axis.name in OPTIONS else PROMPT for axis in axes):
        if name in typed.extra:
            raise InvalidOption(
                f"--set {name} would stand in place of every value of the list; nothing was sent."
            )
    if (count := math.prod(len(axis.values) for axis in axes)) > MOST:
        told = " × ".join(f"{len(axis.values)} {truncate(axis.title, 40)}" for axis in axes[:_NAMED])
        told += f" × {len(axes) - _NAMED} more" if len(axes) > _NAMED else ""
        runs = f"{count:,}" if count < 10**12 else "far too many"
        raise InvalidOption(
            f"{told} makes {runs} runs, and at most {MOST:,} are one sweep. Nothing was sent. "
            "Give fewer values."
        )
    points = (_at(typed, setters, values) for values in product(*(axis.values for axis in axes)))
    return tuple(axes), tuple(points)


def _at(typed: UserInput, setters: Sequence[_Set], values: Sequence[Value]) -> UserInput:
    for setter, value in zip(setters, values, strict=True):
        typed = setter(typed, value)
    return typed


def _found(typed: UserInput) -> Iterator[tuple[int, Axis, _Set]]:
    for name, values in typed.options.items():
        if isinstance(values, tuple):
            yield OPTIONS[name].change_cost, Axis(name, values), _of_option(name)
    if not isinstance(typed.prompt, str):
        yield _DEAR, Axis(PROMPT, typed.prompt), lambda one, value: replace(one, prompt=str(value))
    elif typed.namespace is not None and not typed.options.get("raw"):
        seen: Counter[str] = Counter()
        for group in template.list_groups(template.parse(typed.prompt)):
            seen[group.source] += 1
            which = seen[group.source]  # the same group may stand there twice
            name = group.source if which == 1 else f"{group.source} ({which})"
            yield _DEAR, Axis(name, group.choices), _choose


def _of_option(name: str) -> _Set:
    return lambda typed, value: replace(typed, options={**typed.options, name: value})


def _choose(typed: UserInput, value: Value) -> UserInput:
    return replace(typed, chosen=(*typed.chosen, str(value)))
