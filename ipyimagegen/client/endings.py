"""Notice that a response is whole although its connection stays open.

Some servers send all that was requested, and then neither close the connection nor end the body; some go on
with signs of life. Ordinary responses cost nothing: only the last bytes are looked at, once a second, and the
response is read when they may be its end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

from ipyimagegen.client.dialects import OPENAI, Dialect
from ipyimagegen.client.reasons import BODY, parse_body, states_error
from ipyimagegen.client.response import find_bare_image, is_whole_image
from ipyimagegen.client.search import find_images
from ipyimagegen.client.spool import Spool, read_blocks
from ipyimagegen.client.streaming import find_start, load_body

TAIL = 4096  # bytes that are looked at
PATIENCE = 3.0  # seconds for which a stream may go on after the last image that was requested
# Seconds of silence after JSON with fewer images than requested, or with none: it may be a line of progress.
FEWER, NONE = 30.0, 600.0
REST = 4  # reading may take a fifth of the time
ERROR_SECONDS = 10.0  # the body of a refusal is not worth more


class SpooledEnd:
    """Tells whether a spooled response is whole and no more of it is expected."""

    def __init__(self, spool: Spool, n: int, dialect: Dialect = OPENAI) -> None:
        self._spool, self._n, self._dialect = spool, n, dialect
        self._end = 0  # of what was read last
        self._patience: float | None = None  # for what may follow; None: it is not whole
        self._whole_since = self._resume_at = 0.0

    def __call__(self) -> bool:
        """Look once; raises nothing."""
        began, end = time.monotonic(), 0
        with suppress(OSError):
            end = find_end(self._spool)
        if not end or (end != self._end and began < self._resume_at):
            return False
        moved, self._end = end != self._end, end
        if moved:
            before, self._patience = self._patience, self._find_patience()
            if before != self._patience or self._patience != PATIENCE:  # what is not enough has to be silent
                self._whole_since = began
            self._resume_at = time.monotonic() + REST * (time.monotonic() - began)
        if self._patience is None:
            return False
        enough = self._patience == PATIENCE and not moved
        return enough or began - self._whole_since >= self._patience

    def _find_patience(self) -> float | None:
        path = self._spool.path
        with suppress(Exception):  # what is wrong with it is found when it is read as a whole
            if image := find_bare_image(path):
                return PATIENCE if is_whole_image(image) else None
            body, whole = load_body(path, self._n, self._dialect, clean=False)
            if not whole:
                return None
            images = sum(not image["partial"] for image in find_images(body))
            failed = isinstance(body, Mapping) and states_error(body.get("error"))
            enough = failed or images >= self._n or find_start(path)[1]  # a stream says when it is whole
            return PATIENCE if enough else FEWER if images else NONE
        return None


def find_end(spool: Spool) -> int:
    """Return where a response may end: behind a bracket that only blanks and comments follow; else 0.

    A response that is an image may end anywhere. Raises OSError.
    """
    size = spool.size
    if size and find_bare_image(spool.path):
        return size
    tail = b"".join(read_blocks(spool.path, max(size - TAIL, 0), size))
    lines = tail.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].startswith(b":")):
        lines.pop()
    kept = b"".join(lines).rstrip()
    return size - len(tail) + len(kept) if kept.endswith((b"}", b"]")) else 0


class ErrorEnd:
    """Tells whether the body of a refusal is whole, or took too long."""

    def __init__(self, body: bytearray) -> None:
        self._body, self._began = body, time.monotonic()

    def __call__(self) -> bool:
        """Look once; raises nothing."""
        late = time.monotonic() - self._began >= ERROR_SECONDS
        return late or not isinstance(parse_body(bytes(self._body[:BODY])), str)
