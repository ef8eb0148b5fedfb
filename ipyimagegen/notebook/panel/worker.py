"""A thread that does one thing after another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress


class Thread:
    """Begins at the first thing to do. A kernel that ends does not wait for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._begun = False

    def do(self, work: Callable[[], None]) -> None:
        """Do it when what was told before is done. What it raises is lost: it has to tell by itself."""
        self._todo.put(work)
        with self._lock:
            if not self._begun:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._begun = True

    def end(self) -> None:
        """End it when what was told before is done."""
        self._todo.put(None)

    def _run(self) -> None:
        while work := self._todo.get():
            with suppress(Exception):
                work()
