"""Replies that lie in the spool because the process that asked was killed, or its disk was full.

Whatever was delivered is in that file; here it becomes the pictures of its run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen import wire
from ipyimagegen.arrivals import Receiver, Tools, compared
from ipyimagegen.errors import StoreError
from ipyimagegen.records import Run
from ipyimagegen.store import Store

if TYPE_CHECKING:
    from ipyimagegen.rows import Endpoint

NOTE = "the notebook that asked did not get to keep the answer; it was read later"
SECONDS = 2.0  # for all that was left; a later look goes on
CUT = "The notebook that asked ended before the answer was whole"


def take_in_left(
    store: Store,
    in_flight: Callable[[], Collection[str]],
    endpoint_of: Callable[[Run], Endpoint],
    tools: Callable[[], Tools],
) -> None:
    """Take in every reply that was left; what cannot be taken in now stays where it is."""
    left: list[tuple[Path, Run]] = []
    with suppress(StoreError):  # said when something has to be written
        left = store.left()
    if not left:
        return
    control = tools().control()
    control.begin(SECONDS)
    for spool, run in left:
        if run.id not in in_flight() and not control.over:
            with suppress(Exception):  # nor does one that cannot be read stop every cell from now on
                _take_in(run, spool, endpoint_of(run), tools(), control)


def _take_in(run: Run, spool: Path, endpoint: Endpoint, tools: Tools, control: wire.Control) -> None:
    """Take in one reply.

    One that is not whole may still be growing in another process: it is left for as long as a call may
    be silent. The file stays, since that process may be about to read it; it is deleted after a day.
    """
    last, found = spool.stat().st_mtime, run
    reply = wire.Spooled(path=spool, n=run.request.count, endpoint=endpoint, trouble=CUT, control=control)
    outcome, whole = reply.outcome({})
    if control.over:
        return
    if not whole and time.time() - last < tools.timeouts.idle:
        return
    # Nothing is downloaded now, but when somebody wants to see it.
    receiver = Receiver(tools=tools, endpoint=endpoint, control=control, downloads=False)
    noted = run.sent.notes if NOTE in run.sent.notes else (*run.sent.notes, NOTE)
    run = run.but(
        elapsed=round(max(last - run.created, 0), 3),
        sent=replace(run.sent, attempts=max(run.sent.attempts, 1), notes=noted),
    )
    run = compared(receiver.received(run, outcome), tools.store, control)
    if tools.store.run(run.id) == found:  # nobody else did it meanwhile
        tools.store.update(run)
