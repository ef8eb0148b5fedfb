"""Recover responses that lie in the spool because their process was killed, or its disk was full.

A response holds what was delivered; here it becomes the images of its run. That happens in the background,
and once: a response whose reader died is left for `%imagine_show`, since reading it again might end that
process too.
"""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen import client
from ipyimagegen.core.background import POLL, run_in_background
from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.messages import _
from ipyimagegen.core.run import Run
from ipyimagegen.session.processing import ResponseProcessor, measure_changes

if TYPE_CHECKING:
    from ipyimagegen.session.studio import Studio

NOTE = _("the response was saved when its notebook ended, and read later")
CUT_OFF = _("The notebook that sent this request ended before the response was complete")
WAIT = 2.0  # seconds that a cell waits for responses: enough for some ordinary images


class Recovery:
    """Recovers the responses of a studio's store, in a background thread.

    There is no lock, which an interrupt could leave closed: should two threads start at once, the claim files
    of the responses keep them apart.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to recover what there is, and wait a moment for it; usually there is nothing."""
        if self._is_running():
            return  # whoever started it has waited
        if responses := self._list_responses():
            self._start(responses).join(WAIT)

    def retry(self, run: Run) -> None:
        """Recover the response to a run that the user asked for, also where its last reader died.

        An interrupt ends the wait; the recovery goes on.
        """
        while self._is_running():
            time.sleep(POLL)
        responses = [(spool, other) for spool, other in self._list_responses() if other.id == run.id]
        thread = self._start(responses, again=True)
        while thread.is_alive():
            thread.join(POLL)

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self, responses: list[tuple[Path, Run]], *, again: bool = False) -> threading.Thread:
        self._thread = run_in_background(lambda: self._recover_all(responses, again=again), "recovery")
        return self._thread

    def _list_responses(self) -> list[tuple[Path, Run]]:
        with suppress(StoreError):  # reported when something has to be written
            in_flight = self._studio.ledger.in_flight()
            return [
                (spool, run) for spool, run in self._studio.store.list_responses() if run.id not in in_flight
            ]
        return []

    def _recover_all(self, responses: list[tuple[Path, Run]], *, again: bool) -> None:
        """Recover responses; the claim file of one stays if it kills this process, or cannot be read."""
        store = self._studio.store
        for spool, run in responses:
            with suppress(StoreError, OSError):  # the disk may take it later
                if not store.claim(spool) and not again:
                    continue
                release = partial(store.release, spool)
                atexit.register(release)  # an ordinary end of the process is no failure of the response
                try:
                    with suppress(Exception):  # what cannot be read is not read again by each cell
                        with suppress(StoreError, OSError):
                            _recover(self._studio, run, spool)
                        release()
                finally:
                    atexit.unregister(release)


def _recover(studio: Studio, run: Run, spool: Path) -> None:
    """Recover a response.

    An incomplete response may still grow in another process: it is left for as long as a call may be silent.
    The file stays, since that process may be about to read it; it is deleted after a day.
    """
    original, last_write = run, spool.stat().st_mtime
    context, endpoint = studio.tools, studio.registry.find_of_request(run.request)
    redactor, token = studio.keys.redactor_of(endpoint), context.control()
    response = client.StoredResponse(
        path=spool, n=run.request.count, endpoint=endpoint, problem=CUT_OFF, redactor=redactor, token=token
    )
    outcome, complete = response.read({})
    silence = context.timeouts.limit(endpoint).idle
    abandoned = time.time() - last_write >= (context.timeouts.idle if isinf(silence) else silence)
    if not complete and not abandoned:
        return
    if run.awaits_job and not (outcome.answer and outcome.answer.images):
        if abandoned:  # what a server says of a job that goes on, it says again
            spool.unlink(missing_ok=True)
        return
    processor = ResponseProcessor(
        context=context, endpoint=endpoint, token=token, redactor=redactor, downloads=False
    )
    notes = run.sent.notes if NOTE in run.sent.notes else (*run.sent.notes, NOTE)
    run = run.replace(
        raw=None,
        elapsed=round(max(last_write - run.created, 0), 3),
        sent=replace(run.sent, attempts=max(run.sent.attempts, 1), notes=notes),
    )
    run = measure_changes(processor.process(run, outcome), context.store, token)
    current = context.store.run(run.id)
    if current == original or (current and current.forgotten):  # its images go, too
        context.store.update(run)
