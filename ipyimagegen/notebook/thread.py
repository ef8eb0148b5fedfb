"""A thread that does one thing after another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Thread:
    """Begins at the first thing to do. A kernel that ends does not wait for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._running: threading.Thread | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Do it when what was told before is done. It must not raise."""
        self._todo.put(work)
        if self._running is None:
            self._running = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._running.start()

    def _run(self) -> None:
        while True:
            self._todo.get()()
