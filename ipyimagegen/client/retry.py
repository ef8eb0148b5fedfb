"""Decide whether and when a call may be sent again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from ipyimagegen.client.response import Outcome
from ipyimagegen.core.messages import _
from ipyimagegen.core.run import Status

REPEATS = 2
# In which a server names the time to wait, and LiteLLM that of the server behind it (1.108.7), in seconds.
_WAITS = (
    ("retry-after-ms", 0.001),
    ("retry-after", 1.0),
    ("llm_provider-retry-after-ms", 0.001),
    ("llm_provider-retry-after", 1.0),
)
LONGEST = 60.0  # seconds: of a single Retry-After, and of all repeats of what was never sent


def find_repeat_delay(
    outcome: Outcome, attempt: int, *, random: Callable[[], float], elapsed: float
) -> float | None:
    """Return the seconds to wait before the same call may be sent again, or None: never.

    `attempt` counts from 1 and ended with `outcome`; `elapsed` is seconds since the first attempt began;
    `random` returns 0 to 1. Only what certainly was not executed is repeated.
    """
    if outcome.final or attempt > REPEATS:
        return None
    if outcome.status is Status.NOT_SENT:
        wait = random() * min(8.0, 0.5 * 2 ** (attempt - 1))
        return wait if elapsed + wait <= LONGEST else None
    if outcome.status is Status.RATE_LIMITED:
        requested = outcome.retry_after
        if requested is None:
            return float(attempt)
        return requested if requested <= LONGEST else None
    return None


def parse_retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds a server requests to wait: from milliseconds, seconds or an HTTP date.

    None for what is absent, past, not finite or no time at all. `headers` has lower-case names.
    """
    for name, unit in _WAITS:
        text = headers.get(name, "")
        try:
            seconds = float(text) * unit
        except ValueError:
            seconds = count_seconds_until(text, now) if unit == 1.0 else math.nan
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return None


def format_wait(seconds: float) -> str:
    """Return a time to wait in the unit that people use for it: 90 s, 60 min, 5 h, 3 days."""
    day = 86400
    if seconds > 99 * day:
        return _("more than 99 days")
    if seconds >= 2 * day:
        return _("{days} days", days=f"{seconds / day:.0f}")
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def count_seconds_until(date: str, now: Callable[[], float] = time.time) -> float:
    """Return the seconds from now to an HTTP date; NaN for what is none."""
    try:
        when = parsedate_to_datetime(date)
        if when.tzinfo is None:  # the oldest of the three forms names no zone: it is GMT
            when = when.replace(tzinfo=UTC)
        return when.timestamp() - now()
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        return math.nan
