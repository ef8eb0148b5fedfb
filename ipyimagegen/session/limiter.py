"""What the calls to one server share: how many run at once, in which order, and the pause after a 429."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from ipyimagegen import client

STEP = 0.2  # seconds between two looks at whether a waiting call is given up
# Who takes images in: one more than there are cores, since one of them waits for the disk. With more
# they would only take turns.
DESKS = (os.cpu_count() or 1) + 1
PATIENCE = 1.0  # seconds for which they let calls go first


class Limiter:
    """What the calls to one server share: `parallel` at once, in the order in which they came.

    `rest(seconds)` makes all of them wait before sending.
    """

    def __init__(self) -> None:
        self.parallel = 1
        self._held = 0
        self._line: deque[object] = deque()
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._until = 0.0
        self._leaving, self._desks = 0, DESKS
        self._free = threading.Condition(lock)  # told of desks alone: many wait for one

    def rest(self, control: client.CancelToken, seconds: float) -> None:
        """Let no call be sent for that long."""
        with self._changed:
            self._until = max(self._until, control.clock() + seconds)

    def permit(self, given_up: Callable[[], bool]) -> Permit:
        """Wait for a place and return it; one that is given up meanwhile goes on without any."""
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            while (self._line[0] is not ticket or self._held >= self.parallel) and not given_up():
                self._changed.wait(STEP)
            held = self._line[0] is ticket and self._held < self.parallel
            self._line.remove(ticket)
            self._held += held
            self._changed.notify_all()
        return Permit(self._give if held else _nothing)

    def _give(self) -> None:
        with self._changed:
            self._held -= 1
            self._changed.notify_all()

    @property
    def _sends(self) -> bool:
        return self._leaving > 0 or bool(self._line and self._held < self.parallel)

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Keep the desks free meanwhile: a call is about to be sent."""
        with self._changed:
            self._leaving += 1
        try:
            yield
        finally:
            with self._changed:
                self._leaving -= 1
                self._free.notify(self._desks)

    @contextmanager
    def desk(self) -> Iterator[None]:
        """Wait for a desk, where an image is taken in, and hold it.

        There is none while calls are about to be sent, for a while: images can be taken in while the
        server works.
        """
        patient = time.monotonic() + PATIENCE
        with self._changed:
            while not self._desks or (self._sends and time.monotonic() < patient):
                self._free.wait(STEP)
            self._desks -= 1
        try:
            yield
        finally:
            with self._changed:
                self._desks += 1
                self._free.notify()

    def wait(self, control: client.CancelToken) -> None:
        """Wait until calls may be sent, or the call is not to be sent any more."""
        while (left := self._until - control.clock()) > 0 and not control.wait_to_send(min(left, STEP)):
            pass


class Permit:
    """A place at a gate, which is given back once, however often it is asked for."""

    def __init__(self, give: Callable[[], None]) -> None:
        self._give = give

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give()

    def give(self) -> None:
        """Let the next one in."""
        give, self._give = self._give, _nothing
        give()


def _nothing() -> None:
    """Do nothing."""
