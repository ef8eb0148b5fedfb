"""Looking back: the runs of this session, and those of every other one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, overload

from ipyimagegen import ids, imaging
from ipyimagegen.ledger import Ledger
from ipyimagegen.records import Run
from ipyimagegen.results import Generation
from ipyimagegen.safe import short
from ipyimagegen.store import Store


class Keeper(Protocol):
    """What looking back needs of a studio."""

    @property
    def ledger(self) -> Ledger:
        """What this session remembers."""

    @property
    def store(self) -> Store:
        """The files."""

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
        """Return the run of that number (from 1; -1 is the last) or id. Raises NotInHistory."""
        if isinstance(index, slice):
            return tuple(self)[index]
        return self._keeper.generation(self._keeper.ledger.find(str(index))[0])

    def __repr__(self) -> str:
        runs = self._keeper.ledger.numbered()
        lines = [f"{n}  {run.status}  {short(run.request.prompt, 60)!r}" for n, run in runs]
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
        numbers = ids.read_range(which) if which else None
        if which and numbers is None:
            run, _ = ledger.find(which)
            return [(ledger.number(run.id), run)]
        if everywhere:
            runs = self._keeper.store.runs(search=search, model=model, limit=limit, originals=True)
            return [(ledger.number(run.id), run) for run in reversed(runs)]
        found: list[tuple[int | None, Run]] = [
            (number, run)
            for number, run in ledger.numbered()
            if (numbers is None or number in numbers)
            and (not search or search.casefold() in run.request.prompt.casefold())
            and (not model or model in (run.request.model, run.sent.model))
        ]
        return found[-limit:]

    def sheet(self, found: Sequence[tuple[int | None, Run]]) -> imaging.Preview | None:
        """Return small pictures of these runs, the first of each, on one sheet."""
        generations = [(number, self._keeper.generation(run)) for number, run in found]
        shown = [(str(number or one.id), one[0].path) for number, one in generations if one]
        if not shown:
            return None
        thumbs = [imaging.inspect(path, edge=imaging.EDGE // 3).thumb for _, path in shown]
        return imaging.preview(thumbs, [label for label, _ in shown])

    def children(self, run: Run) -> list[Run]:
        """Return the runs of this session that were made from this one."""
        return [one for _, one in self._keeper.ledger.numbered() if one.rerun_of == run.id]

    def forget(self, texts: Sequence[str]) -> list[Run]:
        """Delete prompt and pictures of these runs; number, time and cost stay. Raises NotInHistory."""
        runs = [self._keeper.ledger.find(text)[0] for text in texts]
        self._keeper.store.forget([run.id for run in runs])
        return runs
