"""Sizes: what a ratio or a word becomes, which sizes a model takes, and which is nearest.

Arithmetic is exact (fractions), so that a tie is a tie. A free size is found on a grid of 16 pixels where
the rule allows it: models prefer it, and people expect 16:9 to be 1280x720.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import product

from ipyimagegen.core.endpoints import Model, SizeRule
from ipyimagegen.core.messages import _, join
from ipyimagegen.core.options import TIER, parse_size

Pixels = tuple[int, int]

AREA = 1024 * 1024  # pixels; a translated size comes near to it
WORDS = {"square": Fraction(1), "landscape": Fraction(3, 2), "portrait": Fraction(2, 3)}
_FREE = SizeRule(multiple=16)  # for a server whose sizes are not known
_GRID = 16
_UNBOUNDED = SizeRule()


def parse_pixels(size: object) -> Pixels | None:
    """Return width and height of `WxH`; None for anything else, such as a word or `2K`."""
    return parse_size(size) if isinstance(size, str) else None


def parse_tier(size: object) -> int | None:
    """Return the pixels of a tier such as `2K` (2048 squared); None for anything else."""
    match = TIER.fullmatch(size) if isinstance(size, str) else None
    return int((float(match[1]) * 1024) ** 2) if match else None


def parse_ratio(text: str) -> Fraction:
    """Return `16:9` as a fraction."""
    width, _colon, height = text.partition(":")
    return Fraction(width) / Fraction(height)


def format_ratio(ratio: Fraction) -> str:
    """Return a fraction as `16:9`."""
    return f"{ratio.numerator}:{ratio.denominator}"


def compare_ratios(first: Fraction, second: Fraction) -> Fraction:
    """Return how unlike two ratios are: 1 when equal, and the same for 2:1 and 1:2 beside 1:1."""
    return max(first / second, second / first)


def obeys_rule(rule: SizeRule, size: Pixels) -> bool:
    """Return whether a size obeys the rule."""
    width, height = size
    return (
        width % rule.multiple == 0
        and height % rule.multiple == 0
        and min(size) >= rule.min_edge
        and max(size) <= rule.max_edge
        and Fraction(max(size), min(size)) <= Fraction(rule.max_ratio)
        and rule.min_pixels <= width * height <= rule.max_pixels
    )


def takes_size(row: Model, size: str) -> bool:
    """Return whether a row takes that `WxH`, tier or word as it is."""
    pixels = parse_pixels(size)
    if size in row.sizes or not (row.sizes or row.size_rule):
        return True
    return bool(pixels and row.size_rule and obeys_rule(row.size_rule, pixels))


def find_size(row: Model, ratio: Fraction, area: int = AREA) -> Pixels | None:
    """Return the size that comes nearest to a ratio; None when the row lists no size in pixels.

    Free sizes: the exact ratio with the area nearest to `area`. Listed sizes: the nearest in ratio, ties to
    the larger.
    """
    if row.size_rule or not row.sizes:
        return _find_free(row.size_rule or _FREE, ratio, area)
    listed = _list_pixels(row)
    if not listed:
        return None
    return min(listed, key=lambda size: (compare_ratios(Fraction(*size), ratio), -size[0] * size[1]))


def find_ratio(listed: Iterable[str], ratio: Fraction) -> str:
    """Return the listed ratio nearest to `ratio`, in its listed spelling."""
    return min(listed, key=lambda text: compare_ratios(parse_ratio(text), ratio))


def find_nearest_sizes(row: Model, size: Pixels) -> list[Pixels]:
    """Return the nearest sizes that the row takes: two where sizes are free, else a single size or none."""

    def rank_ratio(other: Pixels) -> Fraction:
        return compare_ratios(Fraction(*other), Fraction(*size))

    def rank_edges(other: Pixels) -> int:
        return abs(other[0] - size[0]) + abs(other[1] - size[1])

    if row.size_rule:
        step = math.lcm(row.size_rule.multiple, _GRID)
        free = _list_around(row.size_rule, size, step) or _list_around(row.size_rule, size)
        return sorted(free, key=lambda other: (rank_edges(other), rank_ratio(other)))[:2]
    return sorted(_list_pixels(row), key=lambda other: (rank_ratio(other), rank_edges(other)))[:1]


def _list_pixels(row: Model) -> list[Pixels]:
    return [pixels for pixels in map(parse_pixels, row.sizes) if pixels]


def describe_sizes(row: Model) -> str:
    """Return in words which sizes and ratios a row takes; "" where that is not known."""
    ratios = _("ratios {ratios}", ratios=row.ratios) if row.ratios else ""
    listed = join(filter(None, (", ".join(row.sizes), ratios)), ", ")
    if not row.size_rule:
        return listed
    rule = _describe_rule(row.size_rule)
    free = _("any WIDTHxHEIGHT ({rule})", rule=rule) if rule else _("any WIDTHxHEIGHT")
    return _("{listed}, or {free}", listed=listed, free=free) if listed else free


def _describe_rule(rule: SizeRule) -> str:
    edges = _describe_span(rule.min_edge, rule.max_edge, _UNBOUNDED.max_edge)
    pixels = _describe_span(rule.min_pixels, rule.max_pixels, _UNBOUNDED.max_pixels)
    parts: list[str] = [
        _("multiples of {multiple}", multiple=rule.multiple) if rule.multiple > 1 else "",
        _("edges {span}", span=edges) if edges else "",
        _("ratios up to {ratio}:1", ratio=f"{rule.max_ratio:g}")
        if rule.max_ratio < _UNBOUNDED.max_ratio
        else "",
        _("{span} pixels", span=pixels) if pixels else "",
    ]
    return join((part for part in parts if part), ", ")


def _describe_span(low: int, high: int, unbounded: int) -> str:
    least, most = f"{low:,}", f"{high:,}"
    if low > 1 and high < unbounded:
        return _("{least} to {most}", least=least, most=most)
    if high < unbounded:
        return _("up to {most}", most=most)
    return _("from {least}", least=least) if low > 1 else ""


def _find_free(rule: SizeRule, wanted: Fraction, area: int) -> Pixels:
    """Return the free size for a ratio: exact if such a size of about that area exists, else the nearest."""
    area = min(max(area, rule.min_pixels), rule.max_pixels)
    wanted = _clamp_ratio(rule, wanted)
    grid = math.lcm(rule.multiple, _GRID)
    for step in (grid, rule.multiple):
        exact = [s for s in _list_exact(rule, wanted, step) if area <= 2 * s[0] * s[1] <= 4 * area]
        if exact:
            return min(exact, key=lambda s: (abs(s[0] * s[1] - area), -s[0]))
    height = math.sqrt(area / wanted)
    ideal = (max(1, round(height * wanted)), max(1, round(height)))
    return min(
        _list_around(rule, ideal, grid) or _list_around(rule, ideal),
        key=lambda s: (compare_ratios(Fraction(*s), wanted), abs(s[0] * s[1] - area)),
        default=ideal,
    )


def _clamp_ratio(rule: SizeRule, wanted: Fraction) -> Fraction:
    """Return the ratio nearest to `wanted` that any size within the rule's bounds can have."""
    most = min(
        Fraction(rule.max_ratio),
        Fraction(rule.max_edge, rule.min_edge),
        Fraction(rule.max_edge**2, rule.min_pixels),
        Fraction(rule.max_pixels, rule.min_edge**2),
    )
    return min(max(wanted, 1 / most), most)


def _list_exact(rule: SizeRule, wanted: Fraction, step: int) -> Iterator[Pixels]:
    """Yield the sizes of exactly that ratio whose edges are multiples of `step`, smallest first."""
    across, down = wanted.numerator, wanted.denominator
    unit = math.lcm(step // math.gcd(step, across), step // math.gcd(step, down))
    longest = max(across, down) * unit
    for k in range(1, rule.max_edge // longest + 1):
        size = (across * unit * k, down * unit * k)
        if obeys_rule(rule, size):
            yield size


def _list_around(rule: SizeRule, ideal: Pixels, step: int | None = None) -> list[Pixels]:
    """Return sizes that obey the rule, near `ideal` once it is brought within the rule's bounds."""
    step = step or rule.multiple
    wanted = float(_clamp_ratio(rule, Fraction(*ideal)))
    area = min(max(ideal[0] * ideal[1], rule.min_pixels), rule.max_pixels)
    height = math.sqrt(area / wanted)
    scale = min(1.0, rule.max_edge / (height * max(wanted, 1.0)))
    scale = max(scale, rule.min_edge / (height * min(wanted, 1.0)))
    across, down = (round(edge * scale / step) for edge in (height * wanted, height))
    sizes = product(range(max(1, across - 8), across + 9), range(max(1, down - 8), down + 9))
    return [size for x, y in sizes if obeys_rule(rule, size := (x * step, y * step))]
