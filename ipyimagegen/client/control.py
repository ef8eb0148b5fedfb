"""Giving up a call from another thread, and its deadline: both shut the socket down.

Nothing else ends a blocked read at once. The socket is kept as a duplicate: it still works when TLS
has taken the original over, and closing it does not close the original.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

GRACE = 1.0  # seconds beyond the deadline in which what came in time may still be read


class Stopped(Exception):
    """The response is not read further: the deadline has passed, or the call was cancelled."""


@dataclass
class Progress:
    """How far the newest exchange is: `sent` once its bytes may have left."""

    sent: bool = False


class CancelToken:
    """What the caller holds of a call in flight; `cancel` may come from any thread, and is final.

    `withdraw` asks for less: that it is not sent, where it has not been; what was sent goes on.

    `clock` counts seconds and never jumps; `pause` waits that many of them for an event, and says
    whether it came.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self.clock, self._pause = clock, pause
        self.progress = Progress()
        self._cancelled, self._withdrawn = threading.Event(), threading.Event()
        self._watches: set[Deadline] = set()
        self._ends = math.inf

    def begin(self, seconds: float) -> None:
        """Set the deadline of the call, and of what is made of its response, so many seconds from now."""
        self._ends = self.clock() + seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline; infinite before `begin`."""
        return self._ends - self.clock()

    @property
    def over(self) -> bool:
        """Whether nothing more of a response is to be read, decoded or fetched."""
        return self.cancelled or self.left + GRACE <= 0

    @property
    def cancelled(self) -> bool:
        """Whether the caller gave up."""
        return self._cancelled.is_set()

    @property
    def withdrawn(self) -> bool:
        """Whether it is not to be sent any more."""
        return self._withdrawn.is_set()

    def withdraw(self) -> None:
        """Let it not be sent, if it was not yet; what was sent goes on."""
        self._withdrawn.set()

    def wanted(self) -> None:
        """Let it be sent after all, unless it was given up."""
        if not self.cancelled:
            self._withdrawn.clear()

    def cancel(self) -> None:
        """Give up: shut down what is open, and let nothing start any more."""
        self._cancelled.set()
        self._withdrawn.set()
        for watch in tuple(self._watches):
            watch.stop()

    def abandon_after_fork(self) -> None:
        """In a fork: let go of the connections, without a word to the server. They are the parent's."""
        for watch in tuple(self._watches):
            watch.abandon_after_fork()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until given up; return whether given up."""
        return self._pause(self._cancelled, seconds)

    def rest(self, seconds: float) -> bool:
        """Wait so long before sending, or until it is not to be sent any more; return whether so."""
        return self._pause(self._withdrawn, seconds)


class Deadline:
    """One exchange under a deadline and a control; leaving the context closes what it held.

    A timer ends what blocks; `expired` also holds as soon as the control's clock is past the end, for
    what looks between two reads.
    """

    def __init__(self, control: CancelToken, whole: float) -> None:
        self.control = control
        self.ends = control.clock() + whole
        self.proxied = False  # a proxy stands before the server
        self._expired = False
        self._sockets: list[socket.socket] = []
        self._numbers: list[int] = []  # descriptors of the sockets of which those are duplicates
        self._lock = threading.Lock()
        self._timer = threading.Timer(whole, self._expire)
        self._timer.daemon = True

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._expired or self.left <= 0

    @property
    def stopped(self) -> bool:
        """Whether the exchange was ended from here."""
        return self.expired or self.control.cancelled

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.ends - self.control.clock()

    def __enter__(self) -> Self:
        self.control.progress = Progress()
        self.control._watches.add(self)  # noqa: SLF001 - the two classes are one mechanism
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self.control._watches.discard(self)  # noqa: SLF001
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()

    def opened(self, connected: socket.socket) -> None:
        """Take note of a new connection. Raises OSError when it is too late for one."""
        with self._lock:
            self._sockets.append(connected.dup())
            self._numbers.append(connected.fileno())
        if self.stopped:
            self.stop()
            raise OSError("given up while connecting")

    def sending(self) -> None:
        """Take note that the request's bytes may leave from now on."""
        self.control.progress.sent = True

    def stop(self) -> None:
        """Shut the connections down; reads and writes on them end at once."""
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):  # already closed by the other side
                    one.shutdown(socket.SHUT_RDWR)

    def abandon_after_fork(self) -> None:
        """Let go of the connections in a fork; the lock may be held by a thread that is not here."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for one, number in zip(self._sockets, self._numbers, strict=False):
            with contextlib.suppress(OSError):
                if os.fstat(one.fileno()).st_ino == os.fstat(number).st_ino:
                    os.dup2(nothing, number)  # closed, and yet nobody gets its number
            one.close()
        os.close(nothing)

    def _expire(self) -> None:
        self._expired = True
        self.stop()
