"""Cancel a call from another thread, and end it at its deadline: both shut its sockets down.

Nothing else ends a blocked read at once. A socket is kept as a duplicate: the duplicate still works when TLS
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
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.hosts import is_loopback_host


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds: to connect, without a byte, and for the whole exchange."""

    connect: float = 10
    idle: float = 600
    whole: float = 900

    def limit(self, endpoint: Endpoint) -> Timeouts:
        """Return what holds for an endpoint: its settings first; a server on this machine has no limit.

        A model on a processor takes longer than any limit that suits a network.
        """
        local = is_loopback_host(urlsplit(endpoint.base_url).hostname or "")
        idle, whole = (math.inf, math.inf) if local else (self.idle, self.whole)
        return replace(self, idle=endpoint.idle_timeout or idle, whole=endpoint.call_timeout or whole)


LOOK = 1.0  # seconds between two looks at whether what arrived is enough
GRACE = 1.0  # seconds after the deadline in which what has arrived may still be read


class Stopped(Exception):
    """The response is not read further: the deadline has passed, or the call was cancelled."""


class CancelToken:
    """The hold on a call in flight, for any thread.

    `cancel` gives the call up, and is final. `detach` prevents only that it is sent: a call that was sent
    goes on. `abandon` closes the copies that a fork has of the connections.

    `sent` is whether bytes of the newest exchange may have left, `ends` the deadline on `clock`. `clock`
    counts seconds and never jumps; `pause` waits at most so many of them for an event and returns whether it
    is set.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self.clock, self._pause = clock, pause
        self.sent = False
        self.ends = math.inf
        self.exchanges: set[Deadline] = set()
        self._cancelled, self._detached = threading.Event(), threading.Event()
        self._listeners: list[Callable[[], None]] = []

    def on_stop(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the call is detached or cancelled, in the thread that does it."""
        self._listeners.append(listener)

    def start(self, seconds: float) -> None:
        """Set the deadline for the call and for reading its response."""
        self.ends = self.clock() + seconds

    @property
    def over(self) -> bool:
        """Whether nothing more of a response is to be read, decoded or fetched."""
        return self.cancelled or self.clock() >= self.ends + GRACE

    @property
    def cancelled(self) -> bool:
        """Whether the call was given up."""
        return self._cancelled.is_set()

    @property
    def detached(self) -> bool:
        """Whether the call must not be sent any more."""
        return self._detached.is_set()

    def detach(self) -> None:
        """Prevent sending; a call that was sent goes on."""
        self._detached.set()
        self._tell_listeners()

    def _tell_listeners(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def attach(self) -> None:
        """Allow sending again, unless the call was cancelled."""
        if not self.cancelled:
            self._detached.clear()

    def cancel(self) -> None:
        """Give the call up: shut down its connections, and open no other."""
        self._cancelled.set()
        self._detached.set()
        for exchange in tuple(self.exchanges):
            exchange.stop()
        self._tell_listeners()

    def abandon(self) -> None:
        """Close the connections in a fork without a word to the server: they belong to the parent."""
        for exchange in tuple(self.exchanges):
            exchange.abandon()

    def wait(self, seconds: float) -> bool:
        """Wait until the call is cancelled, at most so long; return whether it is."""
        return self._pause(self._cancelled, seconds)

    def wait_to_send(self, seconds: float) -> bool:
        """Wait until the call is detached, at most so long; return whether it is."""
        return self._pause(self._detached, seconds)


class Deadline:
    """A context for an exchange, which ends at the token's deadline or after `seconds`, if that is sooner.

    A thread ends what blocks. Between two reads `stopped` also follows the token's clock. Leaving the
    context closes the duplicates of the sockets.
    """

    def __init__(self, token: CancelToken, seconds: float = math.inf) -> None:
        self.token = token
        self.proxy: str | None = None  # the address of the proxy before the server
        self._ends = min(token.ends, token.clock() + seconds)
        self._sockets: list[tuple[socket.socket, int]] = []  # a duplicate, and the number of the original
        self._lock = threading.Lock()
        self._is_enough: Callable[[], bool] | None = None
        self._over, self._changed = False, threading.Event()
        self._thread = threading.Thread(target=self._watch, name="deadline", daemon=True)

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.left <= 0

    @property
    def stopped(self) -> bool:
        """Whether the deadline has passed or the call was cancelled."""
        return self.expired or self.token.cancelled

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self._ends - self.token.clock()

    def __enter__(self) -> Self:
        self.token.sent = False
        self.token.exchanges.add(self)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._changed.set()
        self.token.exchanges.discard(self)
        with self._lock:
            while self._sockets:
                self._sockets.pop()[0].close()

    def add_connection(self, connected: socket.socket) -> None:
        """Register a new connection. Raises OSError when the exchange is stopped already."""
        with self._lock:
            self._sockets.append((connected.dup(), connected.fileno()))
        if self.stopped:
            self.stop()
            raise OSError("stopped while connecting")

    def mark_sent(self) -> None:
        """Record that bytes of the request may leave from now on."""
        self.token.sent = True

    def stop(self) -> None:
        """Shut the connections down; reads and writes on them end at once."""
        with self._lock:
            for duplicate, _original in self._sockets:
                with contextlib.suppress(OSError):  # already closed by the other side
                    duplicate.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Close the connections in a fork. The lock may be held by a thread that the fork does not have."""
        null = os.open(os.devnull, os.O_RDWR)
        for duplicate, original in self._sockets:
            with contextlib.suppress(OSError):
                if os.fstat(duplicate.fileno()).st_ino == os.fstat(original).st_ino:
                    os.dup2(null, original)  # closes it, while its number stays taken
            duplicate.close()
        os.close(null)

    def end_when(self, is_enough: Callable[[], bool]) -> None:
        """Stop reading as soon as `is_enough`, which is called once a second in another thread."""
        self._is_enough = is_enough
        self._changed.set()

    def _watch(self) -> None:
        ends = time.monotonic() + max(self.left, 0)
        while not self._over:
            step = LOOK if self._is_enough else math.inf
            if self._changed.wait(min(step, ends - time.monotonic(), threading.TIMEOUT_MAX)):
                self._changed.clear()
            elif time.monotonic() >= ends:
                self._ends = min(self._ends, self.token.clock())
                self.stop()
                return
            elif self._is_enough and self._is_enough():
                self.stop()
                return
