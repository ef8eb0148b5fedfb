"""The results of a sweep: a `Sweep`, a sequence of `Generation`s along its axes, and its contact sheets.

Like a `Generation` it is immutable, and a pickle has no studio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate, product
from pathlib import Path
from typing import Any, TypeAlias, overload

from ipyimagegen import imaging
from ipyimagegen.core.axes import PROMPT, Axis, label_points
from ipyimagegen.core.errors import ImagineError, InvalidInput
from ipyimagegen.core.messages import PYTHON, Front, Message, _
from ipyimagegen.core.run import Cost, Run
from ipyimagegen.core.text import DOT, Table, truncate
from ipyimagegen.results import saving
from ipyimagegen.results.captions import GONE, write_sweep_caption
from ipyimagegen.results.generation import Generation
from ipyimagegen.results.image import Bundle, Handle, bundle_preview, to_html

ROWS, COLUMNS = 6, 8  # of a sheet, so that its tiles can be seen in a notebook
STRIP = ROWS * COLUMNS
SHEETS, TILES = 4, 64  # that a cell shows at most
_OUTCOME = ("size", "images", "seconds", "cost", "mismatches", "status", "id")  # columns of the table


class Sweep(Sequence[Generation]):
    """The results of a sweep in order, the innermost axis running fastest; a failed result has no image.

    `axes` maps what varies to its values. `failed` holds the results without an image, with their `error`.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        generations: Sequence[Generation],
        *,
        prompt: str = "",
        estimates: Mapping[int, Cost] | None = None,
        handle: Handle | None = None,
    ) -> None:
        self._axes, self._generations = tuple(axes), tuple(generations)
        self._prompt = prompt
        self._estimates = dict(estimates or {})  # by place, the costs expected of the calls sent now
        self._handle = handle

    def __reduce__(self) -> tuple[Any, ...]:
        return (partial(Sweep, prompt=self._prompt), (self._axes, self._generations))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sweep) and self._generations == other._generations

    def __hash__(self) -> int:
        return hash(self._generations)

    def __len__(self) -> int:
        return len(self._generations)

    @overload
    def __getitem__(self, index: int) -> Generation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Generation, ...]: ...
    def __getitem__(self, index: int | slice) -> Generation | tuple[Generation, ...]:
        return self._generations[index]

    def __iter__(self) -> Iterator[Generation]:
        return iter(self._generations)

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """What varies with its values, the outermost axis first; `{red|blue}` is named as typed."""
        return {axis.name: axis.values for axis in self._axes}

    @property
    def prompt(self) -> str:
        """The prompt with names filled in and alternatives as typed; of several prompts all of them."""
        return self._prompt

    @property
    def failed(self) -> tuple[Generation, ...]:
        """The results without an image."""
        return tuple(generation for generation in self if not generation)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table: a row for each combination as it was given, in order; duplicates share a generation.

        What varies and every other option as requested, then `size` (pixels, as returned; `requested_size`
        is the option), `images`, `seconds`, `cost` with `currency` (None: unknown), `mismatches`, `file` (of
        the first image; `files` has all), `id`, `status`, `error`, `from_history`.
        """
        rows = []
        for given in product(*(range(len(axis.rows)) for axis in self._axes)):
            place, point = 0, {}
            for axis, row in zip(self._axes, given, strict=True):
                place = place * len(axis.values) + axis.rows[row]
                point[axis.name] = axis.values[axis.rows[row]]
            rows.append(_make_row(self[place], point))
        names = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name) for name in names} for row in rows]

    def to_dataframe(self) -> Any:
        """Return `rows` as a pandas DataFrame, with the index of the column of prompts or values, if any.

        Raises InvalidInput where pandas is not installed.
        """
        return make_dataframe(self.rows, "sweep.rows", index=self._make_index())

    @property
    def table(self) -> Table:
        """What varied, and what came of it; a notebook shows it as HTML."""
        axes = ["requested_size" if axis.name == "size" else axis.name for axis in self._axes]
        names = [*axes, *_OUTCOME, *(["error"] if self.failed else [])]
        rows = [
            [_write_cell({**row, "cost": generation.cost}.get(name)) for name in names]
            for generation, row in zip(self, self.rows, strict=True)
        ]
        return Table(rows=[names, *rows])

    def _make_index(self) -> Any:
        """Return the index of the table: that of the first pandas column that was given, else None."""
        axis = next((axis for axis in self._axes if axis.index is not None), None)
        if axis is None:
            return None
        points = product(*(range(len(other.rows)) for other in self._axes))
        return axis.index.take([point[self._axes.index(axis)] for point in points])

    @property
    def labels(self) -> list[str]:
        """A name for each result, by what varies: `red · seed 7`."""
        return label_points(self._axes)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The records of its runs, in order."""
        return tuple(generation.run for generation in self)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all images, in the store."""
        return tuple(file for generation in self for file in generation.files)

    def save(self, template: str | Path) -> tuple[Path, ...]:
        """Write every image and return the files; see `Generation.save`.

        {index} counts the images whose other fields are equal; without {index} they get -1, -2 and so on.
        A missing image leaves its number free, and gets it when the sweep is run again.
        """
        files, notes = self.save_silently(template)
        saving.warn(notes)
        return files

    def save_silently(self, path: object) -> tuple[tuple[Path, ...], tuple[Message, ...]]:
        """Write every image, and return the files and what was converted."""
        template = saving.read_template(path)
        sample = next((image.image for generation in self for image in generation), None)
        if sample is None:
            raise saving.make_empty_error(_("The sweep"), self[0].error)
        places, images = [], []
        for generation in self:
            by_index = {image.number: image for image in generation}
            for index in sorted({*range(1, generation.run.request.count + 1), *by_index}):
                image = by_index.get(index)  # the sample stands for a missing image
                places.append((generation.run, image.image if image else replace(sample, index=index)))
                images.append(image)
        targets = saving.list_targets(template, places)
        return saving.write_images(
            (image, file) for image, file in zip(images, targets, strict=True) if image
        )

    # What is shown

    @property
    def caption(self) -> str:
        """The words under the sheets, for Python."""
        return self.write_caption()

    def write_caption(self, front: Front = PYTHON) -> str:
        """Return the words under the sheets, for a front door."""
        shown = self._shown_pages
        legend = list(dict.fromkeys(line for page in shown for line in page.legend))
        values = {"last": len(shown), "count": len(self.pages)}
        if len(self.pages) > len(shown) > 1:
            legend.append(_("sheets 1 to {last} of {count}; the next is sweep.pages[{last}]", **values))
        elif len(self.pages) > len(shown):
            legend.append(_("sheet 1 of {count}; the next is sweep.pages[1]", **values))
        return write_sweep_caption(
            self, self._axes, self._estimates, prompt=self._prompt, legend=legend, front=front
        )

    @cached_property
    def pages(self) -> tuple[SheetPage, ...]:
        """The contact sheets; each is displayed where a cell returns it."""
        sheets = layout_sheets(self._axes)
        limit = imaging.LIMIT // _count_shown(sheets)
        return tuple(
            SheetPage(self, sheet, number, len(sheets), limit) for number, sheet in enumerate(sheets, start=1)
        )

    @property
    def _shown_pages(self) -> tuple[SheetPage, ...]:
        return self.pages[: _count_shown([page.sheet for page in self.pages])]

    def to_bundles(self) -> list[Bundle]:
        """Return what a notebook shows: the first contact sheets, or each original if so configured."""
        if self._handle and self._handle.embed == "original":
            return [bundle for generation in self if generation for bundle in generation.to_bundles()]
        return [page.bundle for page in self._shown_pages]

    def __repr__(self) -> str:
        dimensions = " × ".join(f"{len(axis.values)} {truncate(axis.title, 30)}" for axis in self._axes)
        return f"Sweep: {truncate(self._prompt, 60)!r}{DOT}{dimensions}"

    def _repr_mimebundle_(self, **_options: Any) -> Bundle:
        return self.to_bundles()[0]

    def _mime_(self) -> tuple[str, str]:
        return to_html(self.to_bundles(), self.caption)

    def _ipython_display_(self) -> None:
        if self._handle is None:
            raise NotImplementedError  # IPython then uses the mimebundle
        self._handle.display(self)


Result: TypeAlias = Generation | Sweep


@dataclass(frozen=True, eq=False)
class SheetPage:
    """A contact sheet of a sweep, drawn when it is first shown."""

    sweep: Sweep
    sheet: Sheet
    number: int
    count: int
    limit: int  # bytes

    @cached_property
    def _drawn(self) -> imaging.ContactSheet:
        sheet, sweep = self.sheet, self.sweep
        edge = imaging.measure_tile_edge(len(sheet.rows), len(sheet.columns))
        thumbs = ([image.thumb(edge) for image in sweep[place]] for place in sheet.calls)
        return imaging.make_contact_sheet(
            [imaging.make_tile([thumb for thumb in tile if thumb is not None], edge) for tile in thumbs],
            sheet.rows,
            sheet.columns,
            notes=[_describe_tile(sweep[place]) for place in sheet.calls],
            title=sheet.title,
            mark=f"sheet {self.number}",
            limit=self.limit,
        )

    @property
    def legend(self) -> list[str]:
        """The meaning of the letters on the sheet."""
        return [f"{letter} = {label}" for letter, label in self._drawn.legend]

    @property
    def bundle(self) -> Bundle:
        """The sheet as a notebook shows it."""
        return bundle_preview(self._drawn.preview, repr(self), self.sweep.prompt)

    def __repr__(self) -> str:
        which = f" · sheet {self.number} of {self.count}" if self.count > 1 else ""
        return f"{self.sweep!r}{which}"

    def _repr_mimebundle_(self, **_options: Any) -> Bundle:
        return self.bundle


def _describe_tile(generation: Generation) -> str:
    """Return why a tile has no image, on one line."""
    if generation:
        return GONE
    failure = generation.failure
    reason = str(failure.args[0] if isinstance(failure, ImagineError) else failure or "no image")
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return truncate(" ".join(line if line[-1] in ".!?:…。！？" else f"{line}." for line in lines), 300)


def _write_cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "; ".join(value) if isinstance(value, list) else "" if value is None else str(value)


def make_dataframe(
    rows: Sequence[Mapping[str, Any]], name: str, *, columns: list[str] | None = None, index: Any = None
) -> Any:
    """Return rows as a pandas DataFrame; `name` is where to find them without pandas. Raises InvalidInput."""
    try:
        import pandas as pd  # noqa: PLC0415 - slow, and needed for nothing else
    except ImportError:
        message = _(
            "to_dataframe() requires pandas: pip install pandas. "
            "Without pandas, use {rows}, a list of dicts.",
            rows=name,
        )
    else:
        return pd.DataFrame(rows, index=index, columns=columns)
    raise InvalidInput(message)


def list_outcomes(run: Run) -> dict[str, Any]:
    """Return what became of a run, by the names of the columns that every table has.

    `size` is in pixels, as returned, or None; a `cost` of None is unknown.
    """
    sizes = dict.fromkeys(f"{image.width}x{image.height}" for image in run.shown if image.width)
    return {
        "size": ", ".join(sizes) or None,
        "cost": run.cost.amount if run.cost.basis not in ("free", "none") else 0.0,
        "currency": run.cost.currency or None,
        "status": str(run.status),
    }


def _make_row(generation: Generation, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a generation in the table; see `Sweep.rows`."""
    options = {**generation.run.request.options, **generation.run.request.extra}
    if "size" in options:
        options["requested_size"] = options.pop("size")
    varied = {name: value for name, value in point.items() if name not in (*options, PROMPT, "size")}
    outcomes = list_outcomes(generation.run)
    return {
        **varied,
        "prompt": generation.prompt,
        "endpoint": generation.endpoint,
        "model": generation.model,
        **options,
        "size": outcomes["size"],
        "images": len(generation),
        "seconds": generation.elapsed,
        "cost": outcomes["cost"],
        "currency": outcomes["currency"],
        "mismatches": [str(mismatch) for mismatch in generation.mismatches],
        "file": str(generation[0].path) if generation else None,
        "files": [str(image.path) for image in generation],
        "id": generation.id,
        "status": outcomes["status"],
        "error": generation.error,
        "from_history": generation.reused,
    }


# How the tiles of a sweep are laid out: a strip, rows and columns, or pages of them


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The layout of a contact sheet. `calls` are the places in the sweep, row by row.

    A strip has no rows: `columns` are then the labels of its tiles, which flow. `title` holds the values of
    the outer axes.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...] = ()
    title: str = ""
    calls: tuple[int, ...]


def layout_sheets(axes: Sequence[Axis]) -> tuple[Sheet, ...]:
    """Return the sheets of a sweep in order; a page for each combination of the axes before the last two.

    A page that is larger than a sheet continues on the next sheet.
    """
    *outer, columns = [axis.labels for axis in axes]
    *pages, rows = outer or [("",)]  # a strip is a row without a name
    size = len(rows) * len(columns)
    high, wide = _divide(len(rows), ROWS), _divide(len(columns), COLUMNS if outer else STRIP)
    return tuple(
        Sheet(
            title=DOT.join(titles),
            rows=rows[down : down + high] if outer else (),
            columns=columns[across : across + wide],
            calls=tuple(
                number * size + row * len(columns) + column
                for row in range(down, min(down + high, len(rows)))
                for column in range(across, min(across + wide, len(columns)))
            ),
        )
        for number, titles in enumerate(product(*pages))
        for down in range(0, len(rows), high)
        for across in range(0, len(columns), wide)
    )


def _divide(count: int, most: int) -> int:
    """Return the size of parts of about equal size, none larger than `most`."""
    return -(-count // -(-count // most))


def _count_shown(sheets: Sequence[Sheet]) -> int:
    """Return how many sheets a cell shows: together as small as a single sheet, and each legible."""
    totals = accumulate(len(sheet.calls) for sheet in sheets[:SHEETS])
    return max(1, sum(total <= TILES for total in totals))


def measure_shape(axes: Sequence[Axis]) -> tuple[int, int]:
    """Return the numbers of rows and columns of the first sheet; a strip has no rows."""
    first = layout_sheets(axes[-2:])[0]
    return len(first.rows), len(first.columns)
