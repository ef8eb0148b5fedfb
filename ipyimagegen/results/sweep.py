"""What users hold of a sweep: a `Sweep`, a sequence of `Generation`s along its axes.

Like a `Generation` it is immutable, and a pickle drops the handle to the studio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ipyimagegen import imaging
from ipyimagegen.core.axes import Axis, label_points
from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.run import Cost
from ipyimagegen.core.text import truncate
from ipyimagegen.results import saving, summary
from ipyimagegen.results.generation import Generation
from ipyimagegen.results.image import GONE, Bundle, Handle, make_bundle
from ipyimagegen.results.sheets import Sheet, sheets, shown_at_once

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


class Sweep(Sequence[Generation]):
    """The results of a sweep in order, the innermost axis running fastest; one that failed has no image.

    `axes` maps what varies to its values. `failed` are those without an image; each says why in `error`.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        generations: Sequence[Generation],
        *,
        prompt: str = "",
        asked: Mapping[int, Cost] | None = None,
        handle: Handle | None = None,
    ) -> None:
        self._axes, self._generations = tuple(axes), tuple(generations)
        self._prompt = prompt
        self._asked = dict(asked or {})  # the places that were asked for now, and what each may have cost
        self._handle = handle

    def __reduce__(self) -> tuple[Any, ...]:
        return (_unpickled, (self._axes, self._generations, self._prompt))

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
        """What varies, and its values, the outermost axis first; `{red|blue}` is called as it was typed."""
        return {axis.name: axis.values for axis in self._axes}

    @property
    def prompt(self) -> str:
        """The prompt as typed, alternatives and all; of several all of them."""
        return self._prompt

    @property
    def failed(self) -> tuple[Generation, ...]:
        """Those that brought no image."""
        return tuple(one for one in self if not one)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table: a row for each generation, in order.

        What varies and every other option as asked, then `size` (pixels, as it came; `asked_size` is the
        option), `images`, `seconds`, `cost` with `currency` (None: unknown), `mismatches`, `file` (the
        first image's; `files` has all), `id`, `status`, `error`, `from_history`.
        """
        made = [summary.make_row(one, axes) for one, axes in zip(self, self._coordinates, strict=True)]
        names = dict.fromkeys(name for row in made for name in row)
        return [{name: row.get(name) for name in names} for row in made]

    def to_dataframe(self) -> Any:
        """Return `rows` as a pandas DataFrame. Raises InvalidInput where pandas is not installed."""
        try:
            import pandas as pd  # noqa: PLC0415 - slow, and needed for nothing else
        except ImportError:
            problem = (
                "to_dataframe() needs pandas: pip install pandas. Without it: sweep.rows, a list of dicts."
            )
        else:
            return pd.DataFrame(self.rows)
        raise InvalidInput(problem)

    @cached_property
    def _coordinates(self) -> list[dict[str, Any]]:
        names = [axis.name for axis in self._axes]
        combined = product(*(axis.values for axis in self._axes))  # noqa: PD011 - no pandas here
        return [dict(zip(names, values, strict=True)) for values in combined]

    @property
    def labels(self) -> list[str]:
        """A name for each, by what varies: `red · seed 7`."""
        return label_points(self._axes)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of all images, in the store."""
        return tuple(file for one in self for file in one.files)

    def save(self, template: str | Path) -> tuple[Path, ...]:
        """Write every image and return the files; see `Generation.save`.

        {index} counts the images that the other fields do not tell apart; without it they get -1, -2
        and so on. What did not come leaves its number free, and takes it when the sweep is run again.
        """
        saving.check_template(str(template))
        images = {(place, image.index): image for place, one in enumerate(self) for image in one}
        if not images:
            raise saving.make_empty_error("The sweep", self[0].error)
        like = next(iter(images.values())).image  # what an image that did not come is taken to be
        places = {
            (place, index): (one.run, replace(like, index=index))
            for place, one in enumerate(self)
            for index in range(1, one.run.request.count + 1)
        }
        places |= {key: (image.run, image.image) for key, image in images.items()}
        order = sorted(places)
        files = dict(
            zip(order, saving.list_targets(str(template), [places[key] for key in order]), strict=True)
        )
        return tuple(saving.write_file(image.bytes, files[key]) for key, image in images.items())

    # What is shown

    @property
    def caption(self) -> str:
        """The words under the sheets."""
        pages, shown = self.pages, shown_at_once([page.sheet for page in self.pages])
        legend = [line for page in pages[:shown] for line in page.legend]
        if len(pages) > shown:
            which = f"sheets 1 to {shown}" if shown > 1 else "sheet 1"
            legend.append(f"{which} of {len(pages)}; the next is sweep.pages[{shown}]")
        return summary.write_sweep_caption(
            self, self._axes, self._asked, prompt=self._prompt, legend=list(dict.fromkeys(legend))
        )

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        """The contact sheets; each shows itself where a cell returns it."""
        made = sheets(self._axes)
        limit = imaging.LIMIT // shown_at_once(made)
        return tuple(
            Page(self, sheet, number, len(made), limit) for number, sheet in enumerate(made, start=1)
        )

    def bundles(self) -> list[Bundle]:
        """Return what a notebook shows: the first contact sheets, or each original if so configured."""
        if self._handle and self._handle.embed == "original":
            return [made for one in self if one for made in one.bundles()]
        return [page.bundle for page in self.pages[: shown_at_once([one.sheet for one in self.pages])]]

    def thumb(self, place: int, edge: int) -> PilImage | None:
        """Return the small image of one generation, several as one, or None when it has none."""
        thumbs = [one.thumb(edge) for one in self[place]]
        return imaging.make_tile([one for one in thumbs if one is not None], edge)

    def __repr__(self) -> str:
        return summary.write_sweep_title(self._prompt, self._axes)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        del include, exclude
        return self.bundles()[0]

    def _ipython_display_(self) -> None:
        if self._handle is None:
            raise NotImplementedError  # IPython then asks for the mimebundle
        self._handle.display(self)


def _unpickled(axes: Sequence[Axis], generations: Sequence[Generation], prompt: str) -> Sweep:
    return Sweep(axes, generations, prompt=prompt)


@dataclass(frozen=True, eq=False)
class Page:
    """One contact sheet of a sweep, drawn when it is first looked at."""

    sweep: Sweep
    sheet: Sheet
    number: int
    count: int
    limit: int  # bytes

    @cached_property
    def _drawn(self) -> imaging.ContactSheet:
        sheet, sweep = self.sheet, self.sweep
        edge = imaging.measure_tile_edge(len(sheet.rows), len(sheet.columns))
        return imaging.make_contact_sheet(
            [sweep.thumb(place, edge) for place in sheet.calls],
            sheet.rows,
            sheet.columns,
            notes=[
                truncate(
                    summary.join_lines(sweep[place].error or (GONE if sweep[place] else "no image")), 300
                )
                for place in sheet.calls
            ],
            title=sheet.title,
            mark=f"sheet {self.number}",
            limit=self.limit,
        )

    @property
    def legend(self) -> list[str]:
        """What the letters on the sheet stand for."""
        return [f"{letter} = {label}" for letter, label in self._drawn.legend]

    @property
    def bundle(self) -> Bundle:
        """The sheet as a notebook shows it."""
        made = self._drawn.preview
        return make_bundle(made.data, made.mime, (made.width, made.height), repr(self), self.sweep.prompt)

    def __repr__(self) -> str:
        which = f" · sheet {self.number} of {self.count}" if self.count > 1 else ""
        return f"{self.sweep!r}{which}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        del include, exclude
        return self.bundle
