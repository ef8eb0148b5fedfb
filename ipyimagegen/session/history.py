"""Looking back: the runs of this session, and those of every other one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, overload

from ipyimagegen import imaging
from ipyimagegen.core import ids
from ipyimagegen.core.errors import InvalidOption, NotInHistory
from ipyimagegen.core.run import Input, Run
from ipyimagegen.core.text import truncate
from ipyimagegen.results import Generation, Image, Sweep
from ipyimagegen.results import compare as comparison
from ipyimagegen.results.compare import Comparison, Side
from ipyimagegen.session.ledger import Ledger
from ipyimagegen.store import Store

DESCENT = 12  # images in a line of descent, the newest


def list_parents(run: Run) -> set[str]:
    """Return the ids of the runs whose images a run began with."""
    return {ids.to_run_id(one.parent) for one in run.request.inputs if one.parent}


class Keeper(Protocol):
    """What looking back needs of a studio."""

    @property
    def ledger(self) -> Ledger:
        """What this session remembers."""

    @property
    def store(self) -> Store:
        """The files."""

    def find(self, text: str) -> tuple[Run, int | None]:
        """Return the run of an id, and the number of the image if it names one."""

    def generation(self, run: Run, *, reused: bool = False) -> Generation:
        """Return a stored run as users hold it."""


class History(Sequence[Generation]):
    """The runs of this session, oldest first, counted from 1; ids of other sessions work too.

    history[3], history[-1], history["1120-k7f2/3"], history.search("fox")
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def __len__(self) -> int:
        return len(self._keeper.ledger.numbered())

    def __iter__(self) -> Iterator[Generation]:
        return (self._keeper.generation(run) for _, run in self._keeper.ledger.numbered())

    @overload
    def __getitem__(self, index: int | str) -> Generation: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Generation, ...]: ...
    def __getitem__(self, index: int | str | slice) -> Generation | tuple[Generation, ...]:
        """Return the run of that number (from 1; -1 is the highest) or id. Raises NotInHistory."""
        if isinstance(index, slice):
            return tuple(self)[index]
        return self._keeper.generation(self._keeper.find(self._text(index))[0])

    def _text(self, index: int | str) -> str:
        """Return a number as an id: counted from the highest one where it is negative."""
        if isinstance(index, int) and index < 0:
            numbers = [number for number, _ in self._keeper.ledger.numbered()]
            index = numbers[index] if -index <= len(numbers) else index
        return str(index)

    def __repr__(self) -> str:
        runs = self._keeper.ledger.numbered()
        lines = [f"{n}  {run.status}  {truncate(run.request.prompt, 60)!r}" for n, run in runs]
        return "\n".join(lines) or "History: nothing yet in this session"

    def search(self, text: str, *, model: str | None = None, limit: int = 20) -> tuple[Generation, ...]:
        """Return the newest runs of every session whose prompt contains the text."""
        runs = self._keeper.store.runs(search=text, model=model, limit=limit, originals=True)
        return tuple(self._keeper.generation(run) for run in runs)

    def listed(
        self, which: str, *, everywhere: bool, search: str | None, model: str | None, limit: int
    ) -> list[tuple[int | None, Run]]:
        """Return runs with their numbers here, oldest first: `3`, `2-5`, `-1`, or all when empty."""
        ledger = self._keeper.ledger
        if everywhere:
            runs = self._keeper.store.runs(search=search, model=model, limit=limit, originals=True)
            return [(ledger.number(run.id), run) for run in reversed(runs)]
        numbers = ids.parse_range(which) if which else None
        meant = [ledger.find(which)[0]] if which and numbers is None else None
        here = [(ledger.number(run.id), run) for run in meant] if meant else ledger.numbered()
        found: list[tuple[int | None, Run]] = [
            (number, run)
            for number, run in here
            if (numbers is None or number in numbers)
            and (not search or search.casefold() in run.request.prompt.casefold())
            and (not model or model in (run.request.model, run.sent.model))
        ]
        return found[-limit:]

    def sheet(self, found: Sequence[tuple[int | None, Run]]) -> imaging.Preview | None:
        """Return small images of these runs, the first of each, on one sheet."""
        generations = [(number, self._keeper.generation(run)) for number, run in found]
        shown = [(str(number or one.id), one[0].path) for number, one in generations if one]
        if not shown:
            return None
        thumbs = [imaging.inspect(path, edge=imaging.EDGE // 3).thumb for _, path in shown]
        return imaging.make_preview(thumbs, [label for label, _ in shown])

    def compare(self, *which: int | str | Generation | Image | Sweep) -> Comparison:
        """Return runs, or single images, side by side with what differs: history.compare(1, "3.2", fox).

        The first is what the others are compared with. Raises InvalidOption unless they are 2 to 12,
        NotInHistory for one that is not there.
        """
        single = [tile for one in which for tile in (one if isinstance(one, Sweep) else (one,))]
        chosen = list(dict.fromkeys(pair for one in single for pair in self._chosen(one)))
        if not 2 <= len(chosen) <= comparison.MOST:
            counts = {0: "none is", 1: "one is"}
            raise InvalidOption(
                f"Compare 2 to {comparison.MOST} runs or images, as 1 2, 2-5 or 3.1 3.2; "
                f"{counts.get(len(chosen), f'{len(chosen)} are')} named here."
            )
        found = [(self._keeper.find(id_)[0], index) for id_, index in chosen]
        sides = [Side(self._label(run.id), self._keeper.ledger.as_it_is(run), k) for run, k in found]
        return comparison.compare(sides, name_input=self._named, find_path=self._keeper.store.path)

    def _chosen(self, one: int | str | Generation | Image) -> Iterator[tuple[str, int | None]]:
        """Yield the runs that are meant, each with the number of the image if one is named."""
        text = one.id if isinstance(one, (Generation, Image)) else self._text(one)
        numbers = ids.parse_range(text)
        if numbers is None:
            run, index = self._keeper.find(text)
            yield run.id, index
            return
        here = self._keeper.ledger.numbered()
        found = [run for number, run in here if number in numbers]
        if not found or numbers[-1] > here[-1][0]:
            raise NotInHistory(f"There is no run of {text}: this session has {len(self) or 'none yet'}.")
        yield from ((run.id, None) for run in found)

    def _named(self, one: Input) -> str:
        return self._label(one.parent) if one.parent else one.name

    def reruns(self, run: Run) -> list[Run]:
        """Return the runs of this session that asked this one again."""
        return [one for _, one in self._keeper.ledger.numbered() if one.rerun_of == run.id]

    def edits(self, run: Run) -> list[Run]:
        """Return the runs of this session that began with an image of this one."""
        return [one for _, one in self._keeper.ledger.numbered() if run.id in list_parents(one)]

    def descent(self, run: Run) -> imaging.Preview | None:
        """Return the line of descent as small images, the oldest first, or None when there is none.

        Before the run stand the images that it began with, and what those began with; after it, the
        edits of it that this session made, and its reruns.
        """
        before = list(self._before(run, set()))
        label, path = self._own(run)
        after = [(f"› {label}", path) for label, path in map(self._own, self.edits(run))]
        line = [*before, (f"› {label} (this)" if before else f"{label} (this)", path), *after]
        if len(line) > 1:
            line += [(f"rerun {label}", path) for label, path in map(self._own, self.reruns(run))]
        shown = [(label, path) for label, path in line if path is not None]
        if len(shown) < 2:
            return None
        kept = shown[-DESCENT:]
        if len(kept) < len(shown):
            kept[0] = (f"… {kept[0][0]}", kept[0][1])
        edge = max(120, imaging.EDGE // max(len(kept), 3) - 10)  # in one row, if there are not too many
        thumbs = [imaging.inspect(path, edge=edge).thumb for _, path in kept]
        return imaging.make_preview(thumbs, [label for label, _ in kept])

    def _before(self, run: Run, seen: set[str], deep: int = 0) -> Iterator[tuple[str, Path | None]]:
        """Yield what a run began with, after what that began with; each image once."""
        sign = ""
        for one in run.request.inputs if deep < DESCENT else ():
            if (one.parent or one.sha256) in seen:
                continue
            seen.add(one.parent or one.sha256)
            parent = self._keeper.store.run(ids.to_run_id(one.parent)) if one.parent else None
            older = list(self._before(parent, seen, deep + 1)) if parent else []
            yield from older
            label = self._label(one.parent) if one.parent else one.label
            yield f"{sign or ('› ' if older else '')}{label}", self._keeper.store.path(one.sha256)
            sign = "+ "

    def _own(self, run: Run) -> tuple[str, Path | None]:
        first = next(iter(run.shown), None)
        path = self._keeper.store.path(first.sha256 or "") if first else None
        return self._label(f"{run.id}.{first.index}" if first else run.id), path

    def _label(self, id_: str) -> str:
        """Return the number of an image here, `2.1`, or its lasting id in another session."""
        number = self._keeper.ledger.number(ids.to_run_id(id_))
        return id_.replace(ids.to_run_id(id_), str(number), 1) if number else id_

    def forget(self, texts: Sequence[str]) -> list[Run]:
        """Delete prompt and images of these runs; number, time and cost stay. Raises NotInHistory."""
        runs = [self._keeper.find(text)[0] for text in texts]
        self._keeper.store.forget([run.id for run in runs])
        return runs
