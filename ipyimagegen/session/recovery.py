"""Responses that lie in the spool because the process that asked was killed, or its disk was full.

Whatever was delivered is in that file; here it becomes the images of its run. That happens in the
background, and once: a response whose reader died is left for `%imagine_show`, since reading it again
might end that process too.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen import client
from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.redact import Redactor
from ipyimagegen.core.run import Run
from ipyimagegen.session.arrivals import CallContext, ResponseProcessor, load_modules, measure_changes
from ipyimagegen.store import Store

if TYPE_CHECKING:
    from ipyimagegen.core.endpoints import Endpoint

NOTE = "the response was saved when its notebook ended; it was read later"
CUT = "The notebook that asked ended before the answer was whole"
STEP = 0.2  # seconds between two looks at an interrupt
WAIT = 2.0  # seconds that a cell waits for what lies there: enough for some ordinary images


class Recovery:
    """Takes in what lies in the spool of one store, in a thread of its own. A fork gets a new one.

    There is no lock, which an interrupt could leave closed: should two threads begin at once, the marks of
    the responses keep them apart.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        in_flight: Callable[[], Collection[str]],
        endpoint_of: Callable[[Run], Endpoint],
        tools: Callable[[], CallContext],
        redactor_of: Callable[[Endpoint], Redactor],
    ) -> None:
        self._store, self._in_flight, self._endpoint_of, self._tools = store, in_flight, endpoint_of, tools
        self._redactor_of = redactor_of
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take in what lies there, and wait a moment for it; usually there is nothing."""
        if self._is_busy():
            return  # whoever began it has waited
        if left := self._left():
            self._begin(left).join(WAIT)

    def retry(self, run: Run) -> None:
        """Take in the response to a run that a person asks for, also where its last reader died.

        An interrupt ends the wait; the reading goes on.
        """
        while self._is_busy():
            time.sleep(STEP)
        thread = self._begin([(spool, one) for spool, one in self._left() if one.id == run.id], again=True)
        while thread.is_alive():
            thread.join(STEP)

    def _is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _begin(self, left: list[tuple[Path, Run]], *, again: bool = False) -> threading.Thread:
        load_modules()
        thread = threading.Thread(
            target=self._take_in_all, args=(left, again), name="imagine recovery", daemon=True
        )
        thread.start()
        self._thread = thread
        return thread

    def _left(self) -> list[tuple[Path, Run]]:
        with suppress(StoreError):  # reported when something has to be written
            in_flight = self._in_flight()
            return [(spool, run) for spool, run in self._store().left() if run.id not in in_flight]
        return []

    def _take_in_all(self, left: list[tuple[Path, Run]], again: bool) -> None:
        for spool, run in left:
            with suppress(StoreError, OSError):  # the disk may take it later
                if self._store().claim(spool) or again:
                    self._take_in_claimed(spool, run)

    def _take_in_claimed(self, spool: Path, run: Run) -> None:
        """Take in one response; its mark stays if that kills this process, or cannot be done."""
        store = self._store()
        release = partial(store.release, spool)
        atexit.register(release)  # an ordinary end of the process is no failure of the response
        try:
            endpoint = self._endpoint_of(run)
            _take_in(run, spool, endpoint, self._tools(), self._redactor_of(endpoint))
        except (StoreError, OSError):
            pass
        except Exception:  # noqa: BLE001 - what cannot be read is not read again by each cell
            return
        finally:
            atexit.unregister(release)
        store.release(spool)


def _take_in(run: Run, spool: Path, endpoint: Endpoint, tools: CallContext, redactor: Redactor) -> None:
    """Take in one response.

    One that is not whole may still be growing in another process: it is left for as long as a call may
    be silent. The file stays, since that process may be about to read it; it is deleted after a day.
    """
    last, found = spool.stat().st_mtime, run
    control = tools.control()
    reply = client.StoredResponse(
        path=spool, n=run.request.count, endpoint=endpoint, problem=CUT, redactor=redactor, control=control
    )
    outcome, whole = reply.read({})
    if not whole and time.time() - last < tools.timeouts.idle:
        return
    # Nothing is downloaded now, but when somebody wants to see it.
    receiver = ResponseProcessor(
        tools=tools, endpoint=endpoint, control=control, redactor=redactor, downloads=False
    )
    noted = run.sent.notes if NOTE in run.sent.notes else (*run.sent.notes, NOTE)
    run = run.replace(
        elapsed=round(max(last - run.created, 0), 3),
        sent=replace(run.sent, attempts=max(run.sent.attempts, 1), notes=noted),
    )
    run = measure_changes(receiver.received(run, outcome), tools.store, control)
    now = tools.store.run(run.id)
    if now == found or (now and now.forgotten):  # nobody else did it; what was forgotten goes with the update
        tools.store.update(run)
