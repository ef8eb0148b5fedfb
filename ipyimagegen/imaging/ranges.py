"""What numbers mean as brightness: which value is white."""

from __future__ import annotations

import math
from enum import Enum

SLACK = 1 / 512  # half a step of 8 bits: what arithmetic adds to 0..1 without changing a pixel


class Scale(Enum):
    """Which value is white."""

    UNIT = "1.0"
    BYTE = "255"
    DEEP = "65535"


def scale_of(kind: str, low: float, high: float, *, deep: bool = False) -> Scale:
    """Return how numbers from `low` to `high` are read; `kind` is NumPy's: i, u or f.

    `deep` allows whole numbers to 65535. Raises ValueError in words for a person.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("has NaN or infinite values; images take finite ones. See numpy.nan_to_num.")
    found = f"has values from {_number(low)} to {_number(high)}"
    if kind != "f":
        if low >= 0 and high <= 255:
            return Scale.BYTE
        if deep and low >= 0 and high <= 65535:
            return Scale.DEEP
        raise ValueError(f"{found}; whole numbers are read as 0 to 255. Scale or clip them.")
    if low >= -SLACK and high <= 1 + SLACK:
        return Scale.UNIT
    if low >= -SLACK and 2 <= high <= 255.5:
        return Scale.BYTE
    hint = " (x + 1) / 2 brings -1..1 there." if -1 - SLACK <= low < 0 and high <= 1 + SLACK else ""
    raise ValueError(f"{found}; floats are read as 0..1 or 0..255. Scale or clip them.{hint}")


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 100_000 or value % 1 else f"{value:.0f}"
