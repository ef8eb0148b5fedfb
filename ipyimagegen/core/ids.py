"""The ids of runs and images: `3`, `-1`, `3.2`, `1120-k7f2/3`, `1120-k7f2/3.2`, with or without `@`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import to_half_width

SESSION = r"[0-9]{4}-[a-z0-9]{4}"
_REF = re.compile(rf"@?(?:({SESSION})/)?(-?\d{{1,9}})(?:\.(\d{{1,3}}))?")
_RANGE = re.compile(r"(\d{1,9})(?:-|–|\.\.)(\d{1,9})")


@dataclass(frozen=True)
class Ref:
    """A run, or an image of it. Without a session: of the current session; negative numbers count back."""

    number: int
    image: int | None = None
    session: str | None = None

    def __str__(self) -> str:
        prefix = f"{self.session}/" if self.session else ""
        return f"{prefix}{self.number}" + (f".{self.image}" if self.image else "")


def parse_id(text: str) -> Ref:
    """Return the reference that `text` spells. Raises InvalidInput."""
    match = _REF.fullmatch(to_half_width(text).strip())
    if not match or not int(match[2]) or match[3] == "0":
        raise InvalidInput(
            _(
                "Invalid id {text!r}: use a number such as 3, -1 (the last run), 3.2 (an image of run 3) "
                "or 1120-k7f2/3 (run 3 of that session).",
                text=text,
            )
        )
    return Ref(int(match[2]), int(match[3]) if match[3] else None, match[1])


def to_run_id(image_id: str) -> str:
    """Return the run of an image's lasting id: 1120-k7f2/3 of 1120-k7f2/3.1."""
    return image_id.partition(".")[0]


def parse_range(text: str) -> range | None:
    """Return the numbers of `2-5`, `2..5` or `5-2`, or None when `text` is not a range."""
    match = _RANGE.fullmatch(to_half_width(text).strip())
    low, high = sorted(map(int, match.groups())) if match else (0, 0)
    return range(low, high + 1) if match else None


def format_numbers(numbers: Iterable[int]) -> str:
    """Return numbers in short: `3–5, 8`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{low}" if low == high else f"{low}–{high}" for low, high in ranges)


def format_ids(run_ids: Iterable[str]) -> str:
    """Return lasting ids in short, session by session: `1120-k7f2/3–5, 8`."""
    by_session: dict[str, list[int]] = {}
    for run_id in run_ids:
        session, _slash, number = run_id.partition("/")
        by_session.setdefault(session, []).append(int(number))
    return "; ".join(f"{session}/{format_numbers(numbers)}" for session, numbers in by_session.items())
