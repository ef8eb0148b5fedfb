"""What became of one POST, and whether it may be sent again."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

from ipyimagegen.client.answers import Answer
from ipyimagegen.client.faults import classify
from ipyimagegen.core.run import ErrorInfo, Status

# A refusal that came with 200: what another server says with 4xx. What Ark finds in its output was made.
_REFUSAL = re.compile(
    r"(?i)moderation|content_(?:policy|filter)|^input\w+sensitive|^(?:invalid|unsupported|unknown_parameter)"
)
REPEATS = 2
LONGEST = 60.0  # seconds: of one Retry-After, and of all repeats of what was never sent


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds: to connect, without a byte, and for the whole exchange."""

    connect: float = 10
    idle: float = 600
    whole: float = 900


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one POST.

    `status` is never PENDING. `answer` is there when a reply was read, also with UNKNOWN when it was
    cut after some images. `retry_after` is seconds that the server asks for. `spool` is the reply's
    file while it is kept; the caller deletes it. `final`: not to be repeated whatever the status says
    (bad certificate, given up, or the server says so).
    """

    status: Status
    answer: Answer | None = None
    fault: ErrorInfo | None = None
    request_id: str | None = None
    retry_after: float | None = None
    spool: Path | None = None
    final: bool = False


def make_not_sent(why: str, *, final: bool = True) -> Outcome:
    """Return the outcome of what did not leave this place."""
    return Outcome(status=Status.NOT_SENT, fault=ErrorInfo(message=why), final=final)


def told_in_200(code: str | None) -> Status:
    """Return what the error of a whole reply of 200 means for the call: refused, or nobody knows."""
    kind = classify(HTTPStatus.INTERNAL_SERVER_ERROR, code)
    return Status.REFUSED if _REFUSAL.search(code or "") else kind


def find_repeat_delay(
    outcome: Outcome, attempt: int, *, random: Callable[[], float], elapsed: float
) -> float | None:
    """Return the seconds to wait before the same call may be sent again, or None: never.

    `attempt` counts from 1 and is the one that brought `outcome`; `elapsed` is seconds since the
    first began; `random` gives 0 to 1. Only what certainly was not executed is repeated.
    """
    if outcome.final or attempt > REPEATS:
        return None
    if outcome.status is Status.NOT_SENT:
        wait = random() * min(8.0, 0.5 * 2 ** (attempt - 1))
        return wait if elapsed + wait <= LONGEST else None
    if outcome.status is Status.RATE_LIMITED:
        asked = outcome.retry_after
        if asked is None:
            return float(attempt)
        return asked if asked <= LONGEST else None
    return None


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds a server asks to wait: milliseconds, seconds or an HTTP date.

    None for what is absent, past, not finite or no time at all. `headers` has lower-case names.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) * unit
        except ValueError:
            seconds = until(text, now) if unit == 1.0 else math.nan
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return None


def spoken(seconds: float) -> str:
    """Return a time to wait as one says it: 90 s, 60 min, 5 h, 3 days."""
    day = 86400
    if seconds > 99 * day:
        return "more than 99 days"
    for unit, size in (("days", day), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def until(date: str, now: Callable[[], float] = time.time) -> float:
    """Return the seconds from now to an HTTP date; NaN for what is none."""
    try:
        when = parsedate_to_datetime(date)
        if when.tzinfo is None:  # the oldest of the three forms names no zone: it is GMT
            when = when.replace(tzinfo=UTC)
        return when.timestamp() - now()
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        return math.nan
