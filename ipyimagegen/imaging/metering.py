"""Stop a decoder that takes too long, whatever the reason."""

from __future__ import annotations

import io
import time
from typing import Any

# Seconds of CPU for one image. The dearest that pass the scan take 1 to 3 s (benchmarks/decoding.py).
# What the scan cannot see is stopped here, such as a PNG whose compressed data are millions of empty blocks.
MOST_SECONDS = 4.0
_clock = getattr(time, "thread_time", time.process_time)


class DecodingTooSlow(Exception):
    """The image takes more CPU time than one image may."""


class _Metered(io.BufferedReader):
    """A file that can be read for some seconds of CPU time only. PNG and JPEG are decoded piece by piece."""

    def __init__(self, raw: Any) -> None:
        super().__init__(raw)
        self._end = _clock() + MOST_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        if _clock() > self._end:
            raise DecodingTooSlow
        return super().read(size)


def metered(raw: io.RawIOBase | io.BytesIO) -> io.BufferedReader:
    """Return a file to decode from in this thread; reading raises DecodingTooSlow when the time is over."""
    return _Metered(raw)
