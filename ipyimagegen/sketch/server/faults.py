"""Faults on request, for lessons and tests: what a server may do wrong, done reliably."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ipyimagegen.sketch.server.replies import Refusal, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipyimagegen.sketch.server.replies import Reply

NAMES = ("slow:SECONDS", "429", "refusal", "wrong_size", "fewer", "cut")
LONGEST = 60.0  # seconds: a class waits for it
ALIVE = 4.0  # seconds after which a slow stream says that it lives


@dataclass(frozen=True, slots=True)
class Fault:
    """The rule of the field `fault`."""

    default: str | None = None

    def __call__(self, name: str, value: Any) -> str:
        """Return the fault."""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # --set fault=429 is read as a number
        if not isinstance(value, str) or not known(value):
            message = f"Invalid value: '{str(value)[:80]}'. Supported values are: {listed(NAMES)}."
            raise Refusal(message, param=name, code="invalid_value")
        return value


def known(fault: str) -> bool:
    """Return whether there is such a fault."""
    return fault in NAMES[1:] or seconds(fault) is not None


def seconds(fault: str | None) -> float | None:
    """Return how long a slow call waits, at most 60 s; None for other faults."""
    word, _, number = (fault or "").partition(":")
    try:
        wait = float(number)
    except ValueError:
        return None
    return min(wait, LONGEST) if word == "slow" and math.isfinite(wait) and wait >= 0 else None


def before(fault: str | None) -> None:
    """Refuse what is refused before anything is drawn. Raises Refusal."""
    if fault == "429":
        raise Refusal(
            "Rate limit reached for images per minute. Please try again in 1s.",
            status=429, kind="requests", code="rate_limit_exceeded", headers={"Retry_After": "1"},
        )  # fmt: skip
    if fault == "refusal":
        raise Refusal(
            "Your request was rejected by the safety system.",
            kind="image_generation_user_error", code="moderation_blocked",
            details={"moderation_details": {"moderation_stage": "input", "categories": ["sketch_fault"]}},
        )  # fmt: skip


def wait(fault: str | None, share: float = 1.0) -> Iterator[bytes]:
    """Wait a share of the time of a slow call; yield a comment of a stream every few seconds of it."""
    left = (seconds(fault) or 0.0) * share
    while left > 0:
        threading.Event().wait(min(left, ALIVE))
        left -= ALIVE
        if left > 0:
            yield b": keep-alive\n\n"


def size(fault: str | None, asked: tuple[int, int]) -> tuple[int, int]:
    """Return the size that is drawn: half as wide, or twice if that is too small, when it shall be wrong."""
    width, height = asked
    return (width // 2 if width >= 128 else width * 2, height) if fault == "wrong_size" else asked


def count(fault: str | None, asked: int) -> int:
    """Return how many pictures are drawn."""
    return asked - 1 if fault == "fewer" else asked


def after(fault: str | None, reply: Reply) -> Reply:
    """Return the reply as it goes out; cut in the middle, it promises more bytes than follow."""
    if fault != "cut":
        return reply
    whole = b"".join(reply.body)
    return replace(reply, body=(whole[: len(whole) // 2],), length=len(whole))
