"""How runs and images are named: `3`, `-1`, `3.2`, `1120-k7f2/3`, `1120-k7f2/3.2`, with or without `@`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.options import to_half_width

SESSION = r"[0-9]{4}-[a-z0-9]{4}"
_REF = re.compile(rf"@?(?:({SESSION})/)?(-?\d{{1,9}})(?:\.(\d{{1,3}}))?")
_RANGE = re.compile(r"(\d{1,9})(?:-|–|\.\.)(\d{1,9})")


@dataclass(frozen=True)
class Ref:
    """A run, or one image of it. Without a session it is a number of this one; negative counts back."""

    number: int
    image: int | None = None
    session: str | None = None

    def __str__(self) -> str:
        prefix = f"{self.session}/" if self.session else ""
        return f"{prefix}{self.number}" + (f".{self.image}" if self.image else "")


def parse_id(text: str) -> Ref:
    """Return the reference that `text` is. Raises InvalidInput."""
    found = _REF.fullmatch(to_half_width(text).strip())
    if not found or not int(found[2]) or found[3] == "0":
        raise InvalidInput(f"{text!r} is no id: 3, -1 (the last), 3.2 (an image) or 1120-k7f2/3.")
    return Ref(int(found[2]), int(found[3]) if found[3] else None, found[1])


def to_run_id(image_id: str) -> str:
    """Return the run of an image's lasting id: 1120-k7f2/3 of 1120-k7f2/3.1."""
    return image_id.partition(".")[0]


def parse_range(text: str) -> range | None:
    """Return the numbers of `2-5`, `2..5` or `5-2`, or None when `text` is no range."""
    found = _RANGE.fullmatch(to_half_width(text).strip())
    low, high = sorted(map(int, found.groups())) if found else (0, 0)
    return range(low, high + 1) if found else None


def format_numbers(numbers: Iterable[int]) -> str:
    """Return numbers in short: `3–5, 8`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{low}" if low == high else f"{low}–{high}" for low, high in found)


def format_ids(run_ids: Iterable[str]) -> str:
    """Return lasting ids in short, session by session: `1120-k7f2/3–5, 8`."""
    by_session: dict[str, list[int]] = {}
    for one in run_ids:
        session, _, number = one.partition("/")
        by_session.setdefault(session, []).append(int(number))
    return "; ".join(f"{session}/{format_numbers(numbers)}" for session, numbers in by_session.items())
