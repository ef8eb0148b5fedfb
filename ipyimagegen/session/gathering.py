"""What came of the calls of a sweep, put together: as it is now, and once all is settled."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from ipyimagegen.core.errors import Detached, ImagineError
from ipyimagegen.core.run import Run
from ipyimagegen.results import Generation, Handle, Sweep
from ipyimagegen.session.batch import Batch, CallSlot
from ipyimagegen.store import Store


class House(Handle, Protocol):
    """What this needs of a studio."""

    @property
    def store(self) -> Store:
        """The files."""

    def generation(self, run: Run, *, reused: bool = False, error: str | None = None) -> Generation:
        """Return a stored run as users hold it; `error` says why it has no image."""

    def reuse(
        self, run: Run, painter: None = None, timeout: float | None = None, *, offline: bool
    ) -> Generation:
        """Return what is stored of a run, its pending downloads fetched."""


def gather_sweep(batch: Batch, house: House, places: Sequence[Generation] | None = None) -> Sweep:
    """Return a sweep as it is now, or of these results."""
    asked = {
        k: slot.planned.estimate
        for k, slot in enumerate(batch.slots)
        if slot.job and not slot.joined and not slot.unsent and slot.job.run.sent.attempts
    }
    made = places or [_place(slot, house) for slot in batch.slots]
    return Sweep(batch.plan.axes, made, prompt=batch.plan.prompt, asked=asked, handle=house)


def gather_final(batch: Batch, house: House, ends: float | None, *, offline: bool) -> Sweep:
    """Return a sweep of which all is settled: what is stored is shown, and fetched until `ends` at most.

    Raises Detached when that is interrupted or takes longer, and the last error when nothing can be shown.
    """
    places: list[Generation] = []
    fault: ImagineError | None = None
    for slot in batch.slots:
        if slot.stored is None:
            places.append(_place(slot, house))
            continue
        left = None if ends is None else max(ends - time.monotonic(), 0.0)
        try:
            places.append(house.reuse(slot.stored, None, left, offline=offline))
        except Detached:
            fault = Detached("Stopped. What came is in the history: run the cell again to show it.")
            break
        except ImagineError as why:
            fault = why
            places.append(house.generation(slot.stored.replace(images=()), error=str(why)))
    if fault and (isinstance(fault, Detached) or not [one for one in places if one]):
        raise fault
    return gather_sweep(batch, house, places)


def _place(slot: CallSlot, house: House) -> Generation:
    run = slot.run or house.store.run(slot.planned.answered or "")
    assert run is not None  # what is in doubt was recorded
    if slot.came:
        return house.generation(run, reused=slot.job is None)
    return house.generation(run.replace(images=()), error=str(slot.error or slot.status))
