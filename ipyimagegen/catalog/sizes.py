"""Sizes: what a ratio or a word becomes, which sizes are right, and which is nearest.

Arithmetic is exact (fractions), so that a tie is a tie. A free size is found on a grid of the rule's
multiple, or of 16 pixels where the rule has none finer to ask for: models like it, and people expect
16:9 to be 1280x720.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import product

from ipyimagegen.core.endpoints import Model, SizeRule
from ipyimagegen.core.options import parse_size

Pixels = tuple[int, int]

AREA = 1024 * 1024  # pixels; what a translated size comes near to
WORDS = {"square": Fraction(1), "landscape": Fraction(3, 2), "portrait": Fraction(2, 3)}
FREE = SizeRule(multiple=16)  # for a server that takes sizes of which nothing is known
_GRID = 16
_TIER = re.compile(r"(\d{1,3})K")


def pixels(size: object) -> Pixels | None:
    """Return width and height of `WxH`; None for anything else, such as a word or `2K`."""
    return parse_size(size) if isinstance(size, str) else None


def tier_area(size: object) -> int | None:
    """Return the pixels of a tier such as `2K` (2048 squared); None for anything else."""
    found = _TIER.fullmatch(size) if isinstance(size, str) else None
    return (int(found[1]) * 1024) ** 2 if found else None


def ratio(text: str) -> Fraction:
    """Return `16:9` as a fraction."""
    width, _, height = text.partition(":")
    return Fraction(width) / Fraction(height)


def written(value: Fraction) -> str:
    """Return a fraction as `16:9`."""
    return f"{value.numerator}:{value.denominator}"


def distance(one: Fraction, other: Fraction) -> Fraction:
    """Return how unlike two ratios are: 1 when equal, and the same upright as lying."""
    return max(one / other, other / one)


def obeys(rule: SizeRule, size: Pixels) -> bool:
    """Say whether a size obeys the rule."""
    width, height = size
    return (
        width % rule.multiple == 0
        and height % rule.multiple == 0
        and min(size) >= rule.min_edge
        and max(size) <= rule.max_edge
        and Fraction(max(size), min(size)) <= Fraction(rule.max_ratio)
        and rule.min_pixels <= width * height <= rule.max_pixels
    )


def takes(row: Model, size: str) -> bool:
    """Say whether a row takes that `WxH`, tier or word as it stands."""
    found = pixels(size)
    if found and row.size_rule:
        return obeys(row.size_rule, found)
    return size in row.sizes or not (row.sizes or row.size_rule)


def for_ratio(row: Model | None, wanted: Fraction, area: int = AREA) -> Pixels | None:
    """Return the size that comes nearest to a ratio; None when the row lists no size at all.

    Free sizes: the exact ratio with the area nearest to `area`. Listed ones: the nearest in ratio,
    ties to the larger.
    """
    if row is None or row.size_rule:
        return _free(row.size_rule if row and row.size_rule else FREE, wanted, area)
    listed = [found for found in map(pixels, row.sizes) if found]
    if not listed:
        return None if row.sizes else _free(FREE, wanted, area)
    return min(listed, key=lambda s: (distance(Fraction(*s), wanted), -s[0] * s[1]))


def nearest_ratio(listed: Iterable[str], wanted: Fraction) -> str:
    """Return the listed ratio nearest to the wanted one, in its listed spelling."""
    return min(listed, key=lambda text: distance(ratio(text), wanted))


def nearest(row: Model, size: Pixels) -> list[Pixels]:
    """Return the size nearest to one that the row refuses (two where sizes are free); [] if it lists none."""
    wanted = Fraction(*size)
    if row.size_rule:
        free = _around(row.size_rule, size, _step(row.size_rule)) or _around(row.size_rule, size)
        return sorted(free, key=lambda s: (_apart(s, size), distance(Fraction(*s), wanted)))[:2]
    listed = (found for found in map(pixels, row.sizes) if found)
    return sorted(listed, key=lambda s: (distance(Fraction(*s), wanted), _apart(s, size)))[:1]


def describe_sizes(row: Model) -> str:
    """Return the sizes of a row in words."""
    rule = row.size_rule
    if not rule:
        return ", ".join(row.sizes)
    default = SizeRule()
    parts = [
        f"multiples of {rule.multiple}" if rule.multiple > 1 else "",
        _span("edges", rule.min_edge, rule.max_edge, default.max_edge),
        f"ratios up to {rule.max_ratio:g}:1" if rule.max_ratio < default.max_ratio else "",
        _span("pixels", rule.min_pixels, rule.max_pixels, default.max_pixels),
        *(one for one in row.sizes if not pixels(one)),
    ]
    return ", ".join(part for part in parts if part)


def _span(what: str, low: int, high: int, unbounded: int) -> str:
    ends = [f"from {low:,}" if low > 1 else "", f"up to {high:,}" if high < unbounded else ""]
    return " ".join([what, *filter(None, ends)]) if any(ends) else ""


def _apart(one: Pixels, other: Pixels) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _free(rule: SizeRule, wanted: Fraction, area: int) -> Pixels:
    """Return the free size for a ratio: exact if there is one of about that area, else the nearest."""
    area = min(max(area, rule.min_pixels), rule.max_pixels)
    wanted = _within(rule, wanted)
    for step in (_step(rule), rule.multiple):
        exact = [s for s in _exact(rule, wanted, step) if area <= 2 * s[0] * s[1] <= 4 * area]
        if exact:
            return min(exact, key=lambda s: (abs(s[0] * s[1] - area), -s[0]))
    height = math.sqrt(area / wanted)
    ideal = (max(1, round(height * wanted)), max(1, round(height)))
    return min(
        _around(rule, ideal),
        key=lambda s: (distance(Fraction(*s), wanted), abs(s[0] * s[1] - area)),
        default=ideal,
    )


def _step(rule: SizeRule) -> int:
    return math.lcm(rule.multiple, _GRID)


def _within(rule: SizeRule, wanted: Fraction) -> Fraction:
    """Return the ratio nearest to `wanted` that any size within the rule's bounds can have."""
    most = min(
        Fraction(rule.max_ratio),
        Fraction(rule.max_edge, rule.min_edge),
        Fraction(rule.max_edge**2, rule.min_pixels),
        Fraction(rule.max_pixels, rule.min_edge**2),
    )
    return min(max(wanted, 1 / most), most)


def _exact(rule: SizeRule, wanted: Fraction, step: int) -> Iterator[Pixels]:
    """Yield the sizes of exactly that ratio whose edges are multiples of `step`, smallest first."""
    across, down = wanted.numerator, wanted.denominator
    unit = math.lcm(step // math.gcd(step, across), step // math.gcd(step, down))
    longest = max(across, down) * unit
    for k in range(1, rule.max_edge // longest + 1):
        size = (across * unit * k, down * unit * k)
        if obeys(rule, size):
            yield size


def _around(rule: SizeRule, ideal: Pixels, step: int | None = None) -> list[Pixels]:
    """Return sizes that obey the rule, near `ideal` once it is brought within the rule's bounds."""
    step = step or rule.multiple
    wanted = float(_within(rule, Fraction(*ideal)))
    area = min(max(ideal[0] * ideal[1], rule.min_pixels), rule.max_pixels)
    height = math.sqrt(area / wanted)
    scale = min(1.0, rule.max_edge / (height * max(wanted, 1.0)))
    scale = max(scale, rule.min_edge / (height * min(wanted, 1.0)))
    across, down = (round(edge * scale / step) for edge in (height * wanted, height))
    sizes = product(range(max(1, across - 8), across + 9), range(max(1, down - 8), down + 9))
    return [size for x, y in sizes if obeys(rule, size := (x * step, y * step))]
