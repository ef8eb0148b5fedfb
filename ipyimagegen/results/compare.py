"""What differs between runs: as lines, or side by side with their images on a sheet.

seed: 7 → 8
prompt: a [-red-] {+blue+} fox
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ipyimagegen import imaging
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import OPTIONS, Kind
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import ImageRecord, Run, Status
from ipyimagegen.core.text import format_table, measure_width, pad, sanitize, truncate
from ipyimagegen.results.captions import OUTSIDE, NameInput, describe_state, format_percent
from ipyimagegen.results.image import Bundle, bundle_preview, to_html
from ipyimagegen.results.word_diff import mark_words, same_words

if TYPE_CHECKING:  # Pillow is imported when an image is first opened
    from PIL.Image import Image as PilImage

MOST = 12  # runs that are compared at a time
LINE = 60  # characters of a value
_CELL = 36  # columns of a value in a table; a longer value is compared word by word
_ABREAST = 3  # images that stand side by side, whatever their shape
_TILES = 24  # images on a sheet: of runs with more, the first ones
_WIDE = 100  # columns of a table; a wider table gets a line for each run
_PROMPT = 1200  # characters of the first prompt
_GOT = "size got"

FindPath: TypeAlias = Callable[[str], Path | None]


@dataclass(frozen=True)
class ComparedValue:
    """A value of a run: its text, and the key by which two values are equal."""

    text: str
    key: str


Values: TypeAlias = Sequence[ComparedValue | None]


# Two requests


def list_changes(before: Run, after: Run) -> list[str]:
    """Return what differs between two requests: `seed: 7 → 8` or `prompt: a [-red-] {+blue+} fox`."""
    old, new = (
        _list_request_values(run, attrgetter("name"), model=run.request.model) for run in (before, after)
    )
    lines = []
    for name in {**old, **new}:
        first, second = pair = old.get(name), new.get(name)
        if (first and first.key) == (second and second.key):
            continue
        if first and second and _is_text(name, pair):
            lines.append(f"{_title_option(name)}: {_mark_changes(first, second)}")
        else:
            lines.append(f"{_title_option(name)}: {' → '.join(_distinguish(pair, ('default', 'default')))}")
    return lines


def _list_request_values(run: Run, name_input: NameInput, *, model: str | None) -> dict[str, ComparedValue]:
    """Return the values of a request by name, the endpoint first."""
    request = run.request
    values = {"endpoint": ComparedValue(request.endpoint, request.base_url)}
    if model:
        values["model"] = _to_value(model)
    values["prompt"] = _to_value(request.prompt)
    if request.inputs:
        values["image"] = _compare_inputs(request.inputs, name_input)
    if request.mask:
        values["mask"] = _compare_inputs([request.mask], name_input)
    options = {**request.options, **request.extra}
    return {**values, **{name: _to_value(value) for name, value in options.items()}}


def _to_value(value: object) -> ComparedValue:
    """Return a JSON value as it is shown and compared: 1 is not "1"."""
    key = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return ComparedValue(key if isinstance(value, (dict, list)) else str(value), key)


def _compare_inputs(inputs: Sequence[Input], name_input: NameInput) -> ComparedValue:
    keys = " + ".join(source.identity[:12] for source in inputs)
    return ComparedValue(" + ".join(map(name_input, inputs)), keys)


def _is_text(name: str, values: Values) -> bool:
    """Return whether values are compared word by word."""
    free = name == "prompt" or (name in OPTIONS and OPTIONS[name].kind is Kind.TEXT)
    return free or any(measure_width(value.text) > _CELL for value in values if value)


def _mark_changes(base: ComparedValue, value: ComparedValue) -> str:
    """Return a text as a change of another text, word by word."""
    if same_words(base.text, value.text):
        return _("the same, except for blanks and invisible characters")
    return mark_words(base.text, value.text)


def _distinguish(values: Values, unset: Sequence[str]) -> list[str]:
    """Return the texts of values; where a text stands for different values, with their keys."""
    keys: dict[str, set[str]] = {}
    for value in filter(None, values):
        keys.setdefault(value.text, set()).add(value.key)
    return [
        nothing
        if value is None
        else f"{truncate(value.text, 20)} ({sanitize(value.key)})"
        if len(keys[value.text]) > 1
        else truncate(value.text, LINE)
        for value, nothing in zip(values, unset, strict=True)
    ]


def _title_option(name: str) -> str:
    """Return the name of an option in sentences; an unknown field keeps its name."""
    return truncate(name.replace("_", " ") if name in OPTIONS else name, _CELL)


# Several runs, in words


@dataclass(frozen=True)
class Side:
    """A run under the label that a caption has for it, or an image of it."""

    run_label: str
    run: Run
    image: int | None = None

    @property
    def label(self) -> str:
        """The label: `3`, or `3.2` for an image."""
        return f"{self.run_label}.{self.image}" if self.image else self.run_label

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """The images to compare."""
        return tuple(image for image in self.run.images if self.image in (None, image.index))


def _describe(sides: Sequence[Side], name_input: NameInput) -> str:
    requested = [_list_requested(side, name_input) for side in sides]
    returned = [_list_returned(side) for side in sides]
    unset = ["(forgotten)" if side.run.forgotten else "–" for side in sides]
    texts, same, table = [], [], [["", *(side.label for side in sides)]]
    for by_side in (requested, returned):
        for name in dict.fromkeys(name for values in by_side for name in values):
            row, title = [values.get(name) for values in by_side], _title_option(name)
            if name == _GOT and row == [values.get("size") for values in requested]:
                continue
            if name == "status" and all(value == _to_value(str(Status.DONE)) for value in row):
                continue
            if by_side is requested and _is_text(name, row):
                texts.append(_format_text(title, row, sides, unset))
            elif len({value and value.key for value in row}) > 1:
                table.append([title, *_distinguish(row, unset)])
            else:
                same.append(f"{title} {truncate(_get_first(row).text, LINE)}")
    errors = [
        f"! {side.label}: {sanitize(side.run.error.message)}"
        for side in sides
        if side.run.error and not side.run.forgotten
    ]
    forgotten = [side.label for side in sides if side.run.forgotten]
    parts = [
        *texts,
        _format_rows(table) if len(table) > 1 else "",
        f"same: {', '.join(same)}" if same else "",
        f"forgotten: {', '.join(forgotten)}" if forgotten else "",
        "\n".join(errors),
    ]
    return "\n\n".join(filter(None, parts))


def _get_first(values: Values) -> ComparedValue:
    return next(value for value in values if value)


def _list_requested(side: Side, name_input: NameInput) -> dict[str, ComparedValue]:
    run = side.run
    model = run.sent.model or run.request.model
    values = _list_request_values(run, name_input, model=model if model != run.request.endpoint else None)
    if run.forgotten:
        del values["prompt"]
    for name in values.keys() & set(run.sent.unsent):
        values[name] = ComparedValue(f"{values[name].text} (not sent)", f"{values[name].key} (not sent)")
    return values


def _list_returned(side: Side) -> dict[str, ComparedValue]:
    """Return the results of a side by name, without those that it lacks."""
    run, shown = side.run, [image for image in side.images if image.viewable]
    shares = [image.changed_outside for image in shown if image.changed_outside is not None]
    texts = {
        "status": str(run.status).replace("_", " "),
        _GOT: ", ".join(sorted({f"{image.width}x{image.height}" for image in shown if image.width})),
        OUTSIDE: ", ".join(map(format_percent, shares)),
    }
    for mismatch in run.mismatches:
        if mismatch.subject != OUTSIDE:
            name, text = f"! {mismatch.subject}", f"asked {mismatch.asked}, got {mismatch.got}"
            texts[name] = f"{texts[name]}; {text}" if name in texts else text
    texts["seconds"] = f"{run.elapsed:.1f}" if run.elapsed is not None else ""
    texts["cost"] = str(run.cost).removeprefix("cost ")
    return {name: _to_value(text) for name, text in texts.items() if text}


def _format_text(title: str, values: Values, sides: Sequence[Side], unset: Sequence[str]) -> str:
    """Return a text of the first side, and what the other sides have instead."""
    first, labels = _get_first(values), [side.label for side in sides]
    if all(value and value.key == first.key for value in values):
        return f"{title}: the same\n  {truncate(first.text, _PROMPT)}"
    room = max(map(measure_width, labels))
    first_labels: dict[str, str] = {}  # by key, the side that has the value first
    lines = []
    for label, value, nothing in zip(labels, values, unset, strict=True):
        if value is None:
            text = nothing
        elif value.key in first_labels:
            text = f"same as {first_labels[value.key]}"
        else:
            text = _mark_changes(first, value) if first_labels else truncate(value.text, _PROMPT)
            first_labels[value.key] = label
        lines.append(f"  {pad(label, room)}  {text}")
    base = f", against {next(iter(first_labels.values()))}" if len(first_labels) > 1 else ""
    return "\n".join([f"{title}{base}:", *lines])


def _format_rows(rows: Sequence[Sequence[str]]) -> str:
    """Return a table with a column for each side; with a line for each where columns would be too wide."""
    upright, lying = format_table(rows), format_table(list(zip(*rows, strict=True)))
    width = _measure_table(upright)
    return lying if width > _WIDE and _measure_table(lying) < width else upright


def _measure_table(text: str) -> int:
    return max(map(measure_width, text.splitlines()))


# Several runs, as images


def _draw_sheet(sides: Sequence[Side], find_path: FindPath) -> imaging.Preview:
    most = max(1, _TILES // len(sides))
    tiles = [tile for side in sides for tile in _list_tiles(side, most)]
    edge = imaging.EDGE if len(tiles) <= 4 else imaging.EDGE // 2
    thumbs: list[PilImage | None] = []
    notes = []
    for _label, image, reason in tiles:
        file, thumb, note = find_path(image.sha256 or "") if image else None, None, reason
        if file:
            try:
                inspected = imaging.inspect(file, edge=edge)
                thumb, note = inspected.thumb, inspected.note
            except OSError:
                note = _("its file cannot be read")
        elif image:
            note = _("its file is missing")
        thumbs.append(thumb)
        notes.append(note)
    labels = [label for label, _image, _reason in tiles]
    return imaging.make_preview(thumbs, labels, notes, rows=-(-len(tiles) // _ABREAST))


def _list_tiles(side: Side, most: int) -> Iterator[tuple[str, ImageRecord | None, str]]:
    """Yield label, image, and the reason where there is none."""
    run, images = side.run, side.images
    if not images:
        status = str(run.status).replace("_", " ")
        error = f": {run.error.message}" if run.error else ""
        yield side.label, None, "forgotten" if run.forgotten else f"{status}{error}"
    for place, image in enumerate(images[:most], 1):
        label = f"{side.run_label}.{image.index}" if len(run.images) > 1 else side.label
        more = f" of {len(images)}" if place == most < len(images) else ""
        yield label + more, image if image.viewable else None, describe_state(image)


@dataclass(frozen=True)
class Comparison:
    """What a notebook shows: an image, and the words under it."""

    sheet: imaging.Preview
    text: str
    name: str

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_options: Any) -> Bundle:
        return bundle_preview(self.sheet, self.text, self.name)

    def _mime_(self) -> tuple[str, str]:
        return to_html([self._repr_mimebundle_()], self.text)


def compare(sides: Sequence[Side], *, name_input: NameInput, find_path: FindPath) -> Comparison:
    """Compare runs with the first. `name_input` returns the name of an input, `find_path` a stored file."""
    labels = ", ".join(side.label for side in sides)
    name = _("{labels} side by side", labels=labels)
    return Comparison(_draw_sheet(sides, find_path), _describe(sides, name_input), name)
