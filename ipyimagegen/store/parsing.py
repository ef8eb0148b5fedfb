"""JSON that others may have written, read so that nothing later trips over it."""

from __future__ import annotations

import json
import math

from ipyimagegen.core.options import Json

DEEPEST = 64  # lists and objects within each other; Python's own limit is near 1,000 calls


def parse_json(data: bytes) -> Json:
    """Return the JSON value of a record. NaN, infinite numbers and what is nested too deeply become None.

    Raises ValueError, or RecursionError for what is nested far too deeply.
    """
    value = json.loads(data, parse_constant=lambda _: None, parse_float=_finite)
    if data.count(b"[") + data.count(b"{") > DEEPEST:  # fewer cannot be nested as deeply
        return _pruned(value, DEEPEST)
    return value


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _pruned(value: Json, levels: int) -> Json:
    if not isinstance(value, (dict, list)):
        return value
    if not levels:
        return None
    if isinstance(value, list):
        return [_pruned(member, levels - 1) for member in value]
    return {name: _pruned(member, levels - 1) for name, member in value.items()}
