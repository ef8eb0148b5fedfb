"""Work in the background: daemon threads, which no exit of a kernel waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable

POLL = 0.2  # seconds that a waiting thread sleeps at a time, so that an interrupt is heard on every system


def run_in_background(work: Callable[[], object], name: str) -> threading.Thread:
    """Start the work in a daemon thread. Raises RuntimeError where the system has no thread left."""
    thread = threading.Thread(target=work, name=f"imagine: {name}", daemon=True)
    thread.start()
    return thread
