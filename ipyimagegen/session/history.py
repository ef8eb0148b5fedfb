"""The history as users hold it: the runs of this session, and those of all earlier ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from ipyimagegen import imaging
from ipyimagegen.core.errors import InvalidOption, NotInHistory
from ipyimagegen.core.messages import _
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import Run, parse_range, to_run_id
from ipyimagegen.core.text import fold, truncate
from ipyimagegen.results import Generation, Image, Sweep
from ipyimagegen.results import compare as comparison
from ipyimagegen.results.compare import Comparison, Side

if TYPE_CHECKING:
    from ipyimagegen.session.studio import Studio

MOST_ANCESTORS = 12  # images in a line of descent, the newest


class History(Sequence[Generation]):
    """The runs of this session, oldest first, counted from 1; ids of other sessions work too.

    history[3], history[-1], history["1120-k7f2/3"], history.search("fox")
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def __len__(self) -> int:
        return len(self._studio.ledger.numbered())

    def __iter__(self) -> Iterator[Generation]:
        return (self._studio.generation(run) for _, run in self._studio.ledger.numbered())

    @overload
    def __getitem__(self, index: int | str) -> Generation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Generation, ...]: ...
    def __getitem__(self, index: int | str | slice) -> Generation | tuple[Generation, ...]:
        """Return the run of that number (from 1; -1 is the highest) or id. Raises NotInHistory."""
        if isinstance(index, slice):
            return tuple(self)[index]
        return self._studio.generation(self._studio.find(self._to_id(index), wait=True)[0])

    def _to_id(self, index: int | str) -> str:
        """Return a number as an id; a negative number counts from the highest."""
        if isinstance(index, int) and index < 0:
            numbers = [number for number, _run in self._studio.ledger.numbered()]
            index = numbers[index] if -index <= len(numbers) else index
        return str(index)

    def __repr__(self) -> str:
        runs = self._studio.ledger.numbered()
        lines = [f"{n}  {run.status}  {truncate(run.request.prompt, 60)!r}" for n, run in runs]
        return "\n".join(lines) or str(_("History: nothing yet in this session"))

    def search(self, text: str, *, model: str | None = None, limit: int = 20) -> tuple[Generation, ...]:
        """Return the newest runs of every session whose prompt contains the text."""
        runs = self._studio.store.runs(search=text, model=model, limit=limit, originals=True)
        return tuple(self._studio.generation(run) for run in runs)

    def list_runs(
        self, ids_text: str, *, everywhere: bool, search: str | None, model: str | None, limit: int
    ) -> list[tuple[int | None, Run]]:
        """Return runs with their numbers, oldest first: `3`, `2-5`, `-1`, or all when empty."""
        ledger = self._studio.ledger
        if everywhere:
            runs = self._studio.store.runs(search=search, model=model, limit=limit, originals=True)
            return [(ledger.number(run.id), run) for run in reversed(runs)]
        numbers = parse_range(ids_text) if ids_text else None
        numbered: Sequence[tuple[int | None, Run]] = ledger.numbered()
        if ids_text and numbers is None:
            run, _index = ledger.find(ids_text)
            numbered = [(ledger.number(run.id), run)]
        matches = [
            (number, run)
            for number, run in numbered
            if (numbers is None or number in numbers)
            and (not search or fold(search) in fold(run.request.prompt))
            and (not model or model in (run.request.model, run.sent.model))
        ]
        return matches[-limit:]

    def make_sheet(self, runs: Sequence[tuple[int | None, Run]]) -> imaging.Preview | None:
        """Return the first image of each of these runs on a contact sheet."""
        generations = [(number, self._studio.generation(run)) for number, run in runs]
        shown = [(str(number or made.id), made[0].path) for number, made in generations if made]
        if not shown:
            return None
        thumbs = [imaging.inspect(path, edge=imaging.EDGE // 3).thumb for _label, path in shown]
        return imaging.make_preview(thumbs, [label for label, _path in shown])

    def compare(self, *which: int | str | Generation | Image | Sweep) -> Comparison:
        """Return runs, or single images, side by side with their differences: history.compare(1, "3.2", fox).

        The others are compared with the first. Raises InvalidOption unless they are 2 to 12, NotInHistory for
        an id that does not exist.
        """
        items = [item for value in which for item in (value if isinstance(value, Sweep) else (value,))]
        chosen = list(dict.fromkeys(pair for item in items for pair in self._choose(item)))
        if not 2 <= len(chosen) <= comparison.MOST:
            raise InvalidOption(
                _(
                    "Give 2 to {limit} runs or images to compare, not {count}: such as 1 2, 2-5 or 3.1 3.2.",
                    count=len(chosen),
                    limit=comparison.MOST,
                )
            )
        runs = [(self._studio.find(id_, wait=True)[0], index) for id_, index in chosen]
        sides = [Side(self._label(run.id), self._studio.ledger.as_it_is(run), index) for run, index in runs]
        return comparison.compare(sides, name_input=self._name_input, find_path=self._studio.store.path)

    def _choose(self, item: int | str | Generation | Image) -> Iterator[tuple[str, int | None]]:
        """Yield the ids of the runs, each with the number of the image, if any."""
        text = item.id if isinstance(item, (Generation, Image)) else self._to_id(item)
        numbers = parse_range(text)
        if numbers is None:
            run, index = self._studio.find(text)
            yield run.id, index
            return
        numbered = self._studio.ledger.numbered()
        runs = [run for number, run in numbered if number in numbers]
        if not runs or numbers[-1] > numbered[-1][0]:
            raise NotInHistory(
                _("There is no run of {ids}: this session has {count}.", ids=text, count=len(self))
            )
        yield from ((run.id, None) for run in runs)

    def _name_input(self, image: Input) -> str:
        return self._label(image.parent) if image.parent else image.name

    def list_reruns(self, run: Run) -> list[Run]:
        """Return the reruns of this run in this session."""
        return [other for _n, other in self._studio.ledger.numbered() if other.rerun_of == run.id]

    def list_edits(self, run: Run) -> list[Run]:
        """Return the runs of this session that edited an image of this run."""
        return [
            other
            for _n, other in self._studio.ledger.numbered()
            if run.id in {to_run_id(image.parent or "") for image in other.request.inputs}
        ]

    def make_descent_sheet(self, run: Run) -> imaging.Preview | None:
        """Return the line of descent as a contact sheet, the oldest first, or None when there is none.

        Before the run stand its inputs and their inputs; after it, its edits and reruns of this session.
        """
        before = list(self._list_ancestors(run, set()))
        label, path = self._find_first_image(run)
        after = [(f"› {label}", path) for label, path in map(self._find_first_image, self.list_edits(run))]
        line = [*before, (f"› {label} (this)" if before else f"{label} (this)", path), *after]
        if len(line) > 1:
            line += [
                (f"rerun {label}", path) for label, path in map(self._find_first_image, self.list_reruns(run))
            ]
        shown = [(label, path) for label, path in line if path is not None]
        if len(shown) < 2:
            return None
        kept = shown[-MOST_ANCESTORS:]
        if len(kept) < len(shown):
            kept[0] = (f"… {kept[0][0]}", kept[0][1])
        edge = max(120, imaging.EDGE // max(len(kept), 3) - 10)  # in a single row, if there are not too many
        thumbs = [imaging.inspect(path, edge=edge).thumb for _label, path in kept]
        return imaging.make_preview(thumbs, [label for label, _path in kept])

    def _list_ancestors(self, run: Run, seen: set[str], depth: int = 0) -> Iterator[tuple[str, Path | None]]:
        """Yield the inputs of a run, each after its own ancestors and only once."""
        sign = ""
        for image in run.request.inputs if depth < MOST_ANCESTORS else ():
            if (image.parent or image.sha256) in seen:
                continue
            seen.add(image.parent or image.sha256)
            parent = self._studio.store.run(to_run_id(image.parent)) if image.parent else None
            older = list(self._list_ancestors(parent, seen, depth + 1)) if parent else []
            yield from older
            label = self._label(image.parent) if image.parent else image.label
            yield f"{sign or ('› ' if older else '')}{label}", self._studio.store.path(image.sha256)
            sign = "+ "

    def _find_first_image(self, run: Run) -> tuple[str, Path | None]:
        first = next(iter(run.shown), None)
        path = self._studio.store.path(first.sha256 or "") if first else None
        return self._label(f"{run.id}.{first.index}" if first else run.id), path

    def _label(self, id_: str) -> str:
        """Return the number of an image here, `2.1`, or its lasting id in another session."""
        number = self._studio.ledger.number(to_run_id(id_))
        return id_.replace(to_run_id(id_), str(number), 1) if number else id_

    def forget(self, texts: Sequence[str]) -> list[Run]:
        """Delete prompt and images of these runs; number, time and cost stay. Raises NotInHistory."""
        runs = [self._studio.find(text)[0] for text in texts]
        self._studio.store.forget([run.id for run in runs])
        return runs
