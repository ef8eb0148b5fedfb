"""What the calls to a server share: how many run at once, in which order, and the pause after a 429."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from ipyimagegen import client

STEP = 0.2  # seconds between two looks at whether a waiting call was given up
# Images processed at once: a slot more than there are cores, since an image waits for the disk.
PROCESSING_SLOTS = (os.cpu_count() or 1) + 1
PATIENCE = 1.0  # seconds for which processing lets calls be sent first


class Limiter:
    """Lets `parallel` calls to a server run at once, in the order of arrival."""

    def __init__(self) -> None:
        self.parallel = 1
        self._running = 0
        self._queue: deque[object] = deque()
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._resume_at = 0.0
        self._about_to_send, self._free_slots = 0, PROCESSING_SLOTS
        self._slot_freed = threading.Condition(lock)

    def acquire(self, given_up: Callable[[], bool]) -> Permit:
        """Wait for a permit and return it; a call that is given up gets a permit that does not count."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            while (self._queue[0] is not ticket or self._running >= self.parallel) and not given_up():
                self._changed.wait(STEP)
            counts = self._queue[0] is ticket and self._running < self.parallel
            self._queue.remove(ticket)
            self._running += counts
            self._changed.notify_all()
        return Permit(self._release if counts else _ignore)

    def _release(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def back_off(self, token: client.CancelToken, seconds: float) -> None:
        """Let no call be sent for that long."""
        with self._changed:
            self._resume_at = max(self._resume_at, token.clock() + seconds)

    def wait_for_back_off(self, token: client.CancelToken) -> None:
        """Wait until calls may be sent, or this call is not to be sent any more."""
        while (left := self._resume_at - token.clock()) > 0 and not token.wait_to_send(min(left, STEP)):
            pass

    @contextmanager
    def prepare_sending(self) -> Iterator[None]:
        """Let no image be processed meanwhile: a call is about to be sent."""
        with self._changed:
            self._about_to_send += 1
        try:
            yield
        finally:
            with self._changed:
                self._about_to_send -= 1
                self._slot_freed.notify(self._free_slots)

    @contextmanager
    def processing_slot(self) -> Iterator[None]:
        """Wait for a slot to process an image in, and hold it.

        Calls that are about to be sent come first, for a while: images can be processed while the server
        works.
        """
        patient_until = time.monotonic() + PATIENCE
        with self._changed:
            while not self._free_slots or (self._sends_next and time.monotonic() < patient_until):
                self._slot_freed.wait(STEP)
            self._free_slots -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free_slots += 1
                self._slot_freed.notify()

    @property
    def _sends_next(self) -> bool:
        return self._about_to_send > 0 or bool(self._queue and self._running < self.parallel)


class Permit:
    """A permit to send, which is returned once, however often `give` is called."""

    def __init__(self, give: Callable[[], None]) -> None:
        self._give = give

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give()

    def give(self) -> None:
        """Let the next call run."""
        give, self._give = self._give, _ignore
        give()


def _ignore() -> None:
    """Do nothing."""
