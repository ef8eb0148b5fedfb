"""Figures with limits, and the table they are printed as."""

import statistics
import time
from dataclasses import dataclass

MISSED: list[str] = []


@dataclass(frozen=True)
class Row:
    """A figure; `against` says what it is beside the contender, `limit` is what it may be at most."""

    name: str
    figure: float
    unit: str = "ms"
    against: str = ""
    limit: float | None = None
    measured: float | None = None  # what the limit holds for, when that is not the figure itself

    @property
    def verdict(self):
        if self.limit is None:
            return ""
        value = self.figure if self.measured is None else self.measured
        return "ok" if value <= self.limit else "MISSED"


def show(title, rows):
    """Print a table, and remember what it misses."""
    print(f"\n{title}\n")
    print(f"| {'':44} | {'figure':>12} | {'compared with':26} | {'limit':>10} |        |")
    print(f"|{'-' * 46}|{'-' * 13}:|{'-' * 28}|{'-' * 11}:|--------|")
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g} {row.unit}"
        figure = f"{row.figure:,.1f} {row.unit}"
        print(
            f"| {row.name:44} | {figure:>12} | {row.against:26} | {limit:>10} | {row.verdict:6} |", flush=True
        )
        if row.verdict == "MISSED":
            MISSED.append(f"{title}: {row.name}")


def interleaved(contenders, times, *, warm=1):
    """Return the milliseconds of each contender, all of them in turn, `times` over."""
    taken = {name: [] for name in contenders}
    for turn in range(-warm, times):
        for name, work in contenders.items():
            start = time.perf_counter()
            work()
            if turn >= 0:
                taken[name].append((time.perf_counter() - start) * 1000)
    return taken


def medians(taken):
    """Return the median of each contender."""
    return {name: statistics.median(values) for name, values in taken.items()}


def above(taken, name, base):
    """Return the median of how much longer one took than another in the same turn."""
    pairs = zip(taken[name], taken[base], strict=True)
    return statistics.median(ours - other for ours, other in pairs)
