"""The axes of a sweep: what varies in a `UserInput`, and the single requests that it stands for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Self

from ipyimagegen.core import template
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.messages import OptionName, _, join
from ipyimagegen.core.options import OPTIONS, Value
from ipyimagegen.core.request import unify
from ipyimagegen.core.text import DOT, truncate
from ipyimagegen.core.user_input import MOST, UserInput

PROMPT = "prompt"
_NAMED = 6  # axes that a message names
_LONG = 60  # characters of a prompt beyond which only what differs is shown
# The prompt costs a server that encodes it more to change than a seed, and less than a size.
_PROMPT_CHANGE_COST = 2
_UNNAMED = {PROMPT, "model", "endpoint", "size", "aspect_ratio"}  # values that are clear without a name


@dataclass(frozen=True)
class Axis:
    """What varies, an option, `prompt` or a group of alternatives as typed, and its values, each once.

    `rows` holds the place among `values` of each value as it was given, duplicates and all; `index` names
    these rows where they are a pandas column.
    """

    name: str
    values: tuple[Value, ...]
    rows: tuple[int, ...] = ()
    index: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", self.rows or tuple(range(len(self.values))))

    @classmethod
    def from_values(cls, name: str, given: Sequence[Value], index: Any = None) -> Self:
        """Return the axis of values that may occur more than once."""
        places: dict[object, int] = {}
        values: list[Value] = []
        rows = []
        for value in given:
            rows.append(places.setdefault(_identify(value), len(values)))
            values += [value] if rows[-1] == len(values) else []
        return cls(name, tuple(values), tuple(rows), index)

    @property
    def change_cost(self) -> int:
        """How expensive a change of it is for a server."""
        return OPTIONS[self.name].change_cost if self.name in OPTIONS else _PROMPT_CHANGE_COST

    def choose(self, typed: UserInput, value: Value) -> UserInput:
        """Return what was typed with a single value of this axis."""
        if self.name in OPTIONS:
            return replace(typed, options={**typed.options, self.name: value})
        if self.name == PROMPT:
            return replace(typed, prompt=str(value))
        return replace(typed, chosen=(*typed.chosen, str(value)))

    @property
    def title(self) -> str:
        """What it is called: `seed`, `aspect ratio`, `{red|blue}`."""
        return self.name.rstrip("_").replace("_", " ") if self.name in OPTIONS else self.name

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as text; long prompts without the words that all of them begin or end with."""
        texts = [str(value).strip() or "(nothing)" for value in self.values]
        return tuple(_drop_common_words(texts) if self.name == PROMPT else texts)

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each value: `seed 7`, `1024x1024`, `red`."""
        clear = self.name in _UNNAMED or self.name not in OPTIONS
        return tuple(text if clear and text != "default" else f"{self.title} {text}" for text in self.texts)


def _identify(value: Value) -> object:
    """Return what is equal for values that make the same request."""
    return (type(value), unify(value.strip()) if isinstance(value, str) else value)


def _drop_common_words(texts: list[str]) -> list[str]:
    """Return long texts without the words with which all of them begin, or end."""
    words = [text.split() for text in texts]
    if len(texts) < 2 or max(map(len, texts)) <= _LONG:
        return texts
    first = _count_common(words)
    tails = [text_words[first:] for text_words in words]
    last = _count_common([tail[::-1] for tail in tails])
    middles = [" ".join(tail[: len(tail) - last]) for tail in tails]
    return [
        f"{'… ' if first else ''}{middle}{' …' if last else ''}" if middle else text  # others begin with it
        for middle, text in zip(middles, texts, strict=True)
    ]


def _count_common(lists: list[list[str]]) -> int:
    """Return how many words all of these begin with."""
    low, high = min(lists), max(lists)  # what these two share, all do
    return next((k for k, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))


def label_points(axes: Sequence[Axis]) -> list[str]:
    """Return a name for each combination, in order: `red · seed 7`."""
    return [DOT.join(labels) for labels in product(*(axis.labels for axis in axes))]


def expand(typed: UserInput) -> tuple[tuple[Axis, ...], tuple[UserInput, ...]]:
    """Return the axes of a sweep, the most expensive to change first, and each combination in that order.

    Without anything that varies: no axes, and the single request. Raises InvalidOption for too many
    combinations.
    """
    axes = sorted(_find_axes(typed), key=lambda axis: axis.change_cost, reverse=True)
    for name in (axis.name if axis.name in OPTIONS else PROMPT for axis in axes):
        if name in typed.extra:
            raise InvalidOption(
                _(
                    "{extra} has a field {name}, which would replace every value of the list; "
                    "nothing was sent. Use the list alone.",
                    extra=OptionName("extra"),
                    name=name,
                )
            )
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST:
        factors = [f"{len(axis.values)} {truncate(axis.title, 40)}" for axis in axes[:_NAMED]]
        factors += [_("{count} more", count=len(axes) - _NAMED)] if len(axes) > _NAMED else []
        raise InvalidOption(
            _(
                "{factors} makes {runs} runs, and a sweep has at most {most:,}. Nothing was sent. "
                "Give fewer values.",
                factors=join(factors, " × "),
                runs=f"{count:,}" if count < 10**12 else _("far too many"),
                most=MOST,
            )
        )
    points = []
    for values in product(*(axis.values for axis in axes)):
        point = typed
        for axis, value in zip(axes, values, strict=True):
            point = axis.choose(point, value)
        points.append(point)
    return tuple(axes), tuple(points)


def _make_axis(name: str, values: tuple[Value, ...], typed: UserInput) -> Axis:
    """Return an axis. A value that is typed twice stays twice, and is refused with its plan."""
    return (
        Axis.from_values(name, values, typed.columns[name]) if name in typed.columns else Axis(name, values)
    )


def _find_axes(typed: UserInput) -> Iterator[Axis]:
    for name, values in typed.options.items():
        if isinstance(values, tuple):
            yield _make_axis(name, values, typed)
    if not isinstance(typed.prompt, str):
        yield _make_axis(PROMPT, typed.prompt, typed)
    elif typed.namespace is not None and not typed.options.get("raw"):
        seen: Counter[str] = Counter()
        for group in template.list_groups(template.parse(typed.prompt)):
            seen[group.source] += 1
            nth = seen[group.source]  # the same group may occur twice
            yield Axis(group.source if nth == 1 else f"{group.source} ({nth})", group.choices)
