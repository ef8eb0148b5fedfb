"""Runs side by side: their images on one sheet, and in words what is equal, once, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipyimagegen import imaging
from ipyimagegen.core.run import ImageRecord, Run, Status
from ipyimagegen.core.text import format_table, measure_width, pad, sanitize, truncate
from ipyimagegen.results import Bundle, make_bundle
from ipyimagegen.results.captions import OUTSIDE, describe_state, format_percent
from ipyimagegen.results.request_diff import (
    LINE,
    ComparedValue,
    Named,
    Values,
    distinguish,
    is_text,
    list_request_values,
    mark_changes,
    title_option,
    to_compared_value,
)

if TYPE_CHECKING:  # Pillow comes in when an image is first looked at
    from PIL.Image import Image as PilImage

MOST = 12  # runs that are compared at a time
ABREAST = 3  # images that stand side by side, whatever their shape
_TILES = 24  # images on a sheet: of runs that made more, the first ones
_WIDE = 100  # columns of a table; a wider one has a line for each run
_WHOLE = 1200  # characters of the first prompt
_GOT = "size got"


@dataclass(frozen=True)
class Side:
    """A run under the label that a caption has for it, or one image of it."""

    run_label: str
    run: Run
    image: int | None = None

    @property
    def label(self) -> str:
        """What it is called: `3`, or `3.2` for an image."""
        return f"{self.run_label}.{self.image}" if self.image else self.run_label

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """The images that are meant."""
        return tuple(one for one in self.run.images if self.image in (None, one.index))


# The words


@dataclass(frozen=True)
class ComparisonRow:
    """What each side has of something. `unset` is said of one that has nothing."""

    name: str
    sides: Sequence[Side]
    values: Values
    is_asked: bool

    @property
    def unset(self) -> list[str]:
        """What is said of each side that has nothing."""
        return ["(forgotten)" if side.run.forgotten else "–" for side in self.sides]

    @property
    def differs(self) -> bool:
        """Whether two sides differ, as far as is known."""
        return len({one and one.key for one in self.values}) > 1

    @property
    def is_text(self) -> bool:
        """Whether it is compared word by word."""
        return self.is_asked and is_text(self.name, self.values)

    @property
    def first(self) -> ComparedValue:
        """What the first side has that has something."""
        return next(one for one in self.values if one)

    @property
    def cells(self) -> list[str]:
        """The row of a table."""
        return [title_option(self.name), *distinguish(self.values, self.unset)]


def _text(sides: Sequence[Side], named: Named) -> str:
    rows = list(_rows(sides, named))
    others = [row for row in rows if not row.is_text]
    same = [f"{title_option(row.name)} {truncate(row.first.text, LINE)}" for row in others if not row.differs]
    errors = [
        f"! {side.label}: {sanitize(side.run.error.message)}"
        for side in sides
        if side.run.error and not side.run.forgotten
    ]
    forgotten = [side.label for side in sides if side.run.forgotten]
    parts = [
        *(_block(row) for row in rows if row.is_text),
        _table([row for row in others if row.differs], sides),
        f"same: {', '.join(same)}" if same else "",
        f"forgotten: {', '.join(forgotten)}" if forgotten else "",
        "\n".join(errors),
    ]
    return "\n\n".join(filter(None, parts))


def _rows(sides: Sequence[Side], named: Named) -> Iterator[ComparisonRow]:
    wanted, came = [_wanted(side, named) for side in sides], [_came(side) for side in sides]
    for told in (wanted, came):
        for name in dict.fromkeys(name for one in told for name in one):
            values = tuple(one.get(name) for one in told)
            if not _goes_without_saying(name, values, wanted):
                yield ComparisonRow(name, sides, values, told is wanted)


def _goes_without_saying(name: str, values: Values, wanted: Sequence[Mapping[str, ComparedValue]]) -> bool:
    if name == _GOT:
        return list(values) == [one.get("size") for one in wanted]
    return name == "status" and all(one == to_compared_value(str(Status.DONE)) for one in values)


def _wanted(side: Side, named: Named) -> dict[str, ComparedValue]:
    run = side.run
    model = run.sent.model or run.request.model
    told = list_request_values(run, named, model=model if model != run.request.endpoint else None)
    if run.forgotten:
        del told["prompt"]
    for name in told.keys() & set(run.sent.unsent):
        told[name] = ComparedValue(f"{told[name].text} (not sent)", f"{told[name].key} (not sent)")
    return told


def _came(side: Side) -> dict[str, ComparedValue]:
    """Return what came, by name; what a run does not have is left out."""
    run, shown = side.run, [one for one in side.images if one.viewable]
    shares = [one.changed_outside for one in shown if one.changed_outside is not None]
    told = {
        "status": str(run.status).replace("_", " "),
        _GOT: ", ".join(sorted({f"{one.width}x{one.height}" for one in shown if one.width})),
        OUTSIDE: ", ".join(map(format_percent, shares)),
    }
    for one in run.mismatches:
        if one.subject != OUTSIDE:
            name, said = f"! {one.subject}", f"asked {one.asked}, got {one.got}"
            told[name] = f"{told[name]}; {said}" if name in told else said
    told["seconds"] = f"{run.elapsed:.1f}" if run.elapsed is not None else ""
    told["cost"] = str(run.cost).removeprefix("cost ")
    return {name: to_compared_value(said) for name, said in told.items() if said}


def _block(row: ComparisonRow) -> str:
    """Return a text of the first side, and what the others have instead."""
    if not row.differs:
        return f"{title_option(row.name)}: the same\n  {truncate(row.first.text, _WHOLE)}"
    room = max(measure_width(side.label) for side in row.sides)
    seen: dict[str, str] = {}  # key to the side that had it first
    lines = []
    for side, value, unset in zip(row.sides, row.values, row.unset, strict=True):
        if value is None:
            said = unset
        elif value.key in seen:
            said = f"as {seen[value.key]}"
        else:
            said = mark_changes(row.first, value) if seen else truncate(value.text, _WHOLE)
            seen[value.key] = side.label
        lines.append(f"  {pad(side.label, room)}  {said}")
    base = f", against {next(iter(seen.values()))}" if len(seen) > 1 else ""
    return "\n".join([f"{title_option(row.name)}{base}:", *lines])


def _table(rows: Sequence[ComparisonRow], sides: Sequence[Side]) -> str:
    """Return a column for each side; a line for each where columns would be too wide for a page."""
    if not rows:
        return ""
    cells = [["", *(side.label for side in sides)], *(row.cells for row in rows)]
    upright, lying = format_table(cells), format_table(zip(*cells, strict=True))
    return min((upright, lying), key=_across) if _across(upright) > _WIDE else upright


def _across(text: str) -> int:
    return max(map(measure_width, text.splitlines()))


# The images


def _sheet(sides: Sequence[Side], path: Callable[[str], Path | None]) -> imaging.Preview:
    most = max(1, _TILES // len(sides))
    tiles = [tile for side in sides for tile in _tiles(side, most)]
    edge = imaging.EDGE if len(tiles) <= 4 else imaging.EDGE // 2
    looked = [_looked_at(image, why, path, edge) for _, image, why in tiles]
    return imaging.make_preview(
        [thumb for thumb, _ in looked],
        [one for one, *_ in tiles],
        [why for _, why in looked],
        rows=-(-len(tiles) // ABREAST),
    )


def _tiles(side: Side, most: int) -> Iterator[tuple[str, ImageRecord | None, str]]:
    """Yield label, image, and why there is none."""
    run, images = side.run, side.images
    if not images:
        status = str(run.status).replace("_", " ")
        error = f": {run.error.message}" if run.error else ""
        yield side.label, None, "forgotten" if run.forgotten else f"{status}{error}"
    for place, one in enumerate(images[:most], 1):
        several = len(run.images) > 1
        label = f"{side.run_label}.{one.index}" if several else side.label
        more = f" of {len(images)}" if place == most < len(images) else ""
        yield label + more, one if one.viewable else None, describe_state(one)


def _looked_at(
    image: ImageRecord | None, why: str, path: Callable[[str], Path | None], edge: int
) -> tuple[PilImage | None, str]:
    file = path(image.sha256 or "") if image else None
    if file is None:
        return None, "its file is gone" if image else why
    try:
        seen = imaging.inspect(file, edge=edge)
    except OSError:
        return None, "its file cannot be read"
    return seen.thumb, seen.note


@dataclass(frozen=True)
class Comparison:
    """What a notebook shows: one image, and the words under it."""

    sheet: imaging.Preview
    text: str
    name: str

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        del include, exclude
        sheet = self.sheet
        return make_bundle(sheet.data, sheet.mime, (sheet.width, sheet.height), self.text, self.name)


def compare(sides: Sequence[Side], *, named: Named, path: Callable[[str], Path | None]) -> Comparison:
    """Compare with the first side. `named` says what an input is called, `path` where a file is."""
    labels = ", ".join(side.label for side in sides)
    return Comparison(_sheet(sides, path), _text(sides, named), f"{labels} side by side")
