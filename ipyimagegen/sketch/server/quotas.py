"""What the calls of a server share: how much there is of it, and whose turn it is."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CHECK = "ipyimagegen.check_client"  # in a WSGI environment: raises ConnectionError once the client has gone


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How much the calls of an application may use: drawings and bytes at once, pixels in a call."""

    drawings: float = math.inf
    input_bytes: float = math.inf
    pixels: float = math.inf


@dataclass(frozen=True, slots=True)
class Ticket:
    """The place of a call in every queue; `check` raises ConnectionError once the client has gone."""

    check: Callable[[], None]
    number: int = field(default_factory=itertools.count().__next__)


class Quota:
    """An amount that calls divide among themselves. The oldest waiting call is served first.

    A call that has begun is therefore finished before the next call begins, which bounds how many calls hold
    decoded images.
    """

    def __init__(self, total: float) -> None:
        self._total = self._free = total
        self._waiting: list[int] = []
        self._changed = threading.Condition()

    @contextmanager
    def claim(self, ticket: Ticket, amount: float = 1) -> Iterator[None]:
        """Wait until the amount is free, and hold it. Raises ConnectionError once the client has gone."""
        amount = min(amount, self._total)
        with self._changed:
            self._waiting.append(ticket.number)
            try:
                ticket.check()
                while ticket.number != min(self._waiting) or amount > self._free:
                    self._changed.wait(0.5)  # and check that the client is still there
                    ticket.check()
                self._free -= amount
            finally:
                self._waiting.remove(ticket.number)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()
