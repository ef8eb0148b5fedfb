"""Values of options that are lists: one run for each element."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.options import Kind, Value, Values, find_option, normalise, to_half_width
from ipyimagegen.core.text import truncate

MOST = 10_000  # runs of one sweep, and values of one option
_RANGE = re.compile(r"\s*(-?\d{1,19})\s*\.\.\s*(-?\d{1,19})\s*")


def list_elements(thing: Any) -> list[Any] | None:
    """Return the elements of a list, tuple, range, one-dimensional array or series, else None."""
    if isinstance(thing, (list, tuple, range)):
        return list(thing[: MOST + 1])
    if not hasattr(thing, "tolist"):
        return None
    with suppress(Exception):  # what has no first elements is small, or no list
        thing = thing[: MOST + 1]
    told = thing.tolist()
    return told if isinstance(told, list) else None


def read_values(name: str, thing: object) -> Values:
    """Return what code gave for option `name`: one value, or several of a list. Raises InvalidOption."""
    several = list_elements(thing) if find_option(name).lists else None
    return normalise(name, thing) if several is None else normalise_all(name, several)


def parse_values(name: str, pieces: Sequence[str], value: Callable[[str], object] = str) -> Values:
    """Return what was typed for option `name`, split at commas; `1..4` counts. Raises InvalidOption.

    `value` returns what a piece stands for, such as the list that a variable holds. That is never looked
    at again: only what was typed is a range.
    """
    found: list[object] = []
    alone = len(pieces) == 1
    for piece in pieces:
        meant = value(piece)
        if (several := list_elements(meant)) is not None:
            alone = False
            found += several
        else:
            found += expand_range(name, piece) if meant == piece else [meant]
        if len(found) > MOST:
            raise InvalidOption(
                f"{find_option(name).flag} has more than {MOST:,} values; nothing was sent. Give fewer."
            )
    return normalise(name, found[0]) if alone and len(found) == 1 else normalise_all(name, found)


def normalise_all(name: str, several: Sequence[object]) -> tuple[Value, ...]:
    """Return the elements of a list, each as option `name` keeps it. Raises InvalidOption."""
    flag = find_option(name).flag
    if not several:
        raise InvalidOption(f"{flag} is an empty list; nothing was sent.")
    if len(several) > MOST:
        raise InvalidOption(f"{flag} has more than {MOST:,} values; nothing was sent. Give fewer.")
    if any(isinstance(one, str) and not one.strip() for one in several):
        raise InvalidOption(
            f"{flag}: the list has an empty place. Write it without blanks: 1,2,3 or low,high."
        )
    return tuple(normalise(name, one) for one in several)


def expand_range(name: str, piece: str) -> Iterator[object]:
    """Yield what one piece of a typed list stands for: itself, or the whole numbers of `1..4`."""
    found = (
        _RANGE.fullmatch(to_half_width(piece))
        if find_option(name).kind in (Kind.INTEGER, Kind.NUMBER)
        else None
    )
    if found is None:
        yield piece
        return
    first, last = int(found[1]), int(found[2])
    if abs(last - first) >= MOST:
        given = f"{find_option(name).flag} {truncate(piece, 40)}"
        raise InvalidOption(f"{given} has more than {MOST:,} values; nothing was sent. Give fewer.")
    yield from range(first, last + 1) if first <= last else range(first, last - 1, -1)
