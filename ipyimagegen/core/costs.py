"""Costs added up: by currency, with ranges and lower bounds kept, and what is unknown counted apart."""

from __future__ import annotations

from collections.abc import Iterable

from ipyimagegen.core.run import Cost


def sum_costs(costs: Iterable[Cost]) -> dict[str, Cost]:
    """Return the sum of the known amounts in each currency."""
    known = [one for one in costs if one.amount is not None and one.currency]
    return {
        currency: _sum([one for one in known if one.currency == currency], currency)
        for currency in sorted({one.currency for one in known})
    }


def _sum(costs: list[Cost], currency: str) -> Cost:
    low = sum(one.amount or 0 for one in costs)
    high = sum(one.amount_max or one.amount or 0 for one in costs)
    at_least = any(one.at_least for one in costs)
    return Cost(
        amount=round(low, 6),
        amount_max=round(high, 6) if high > low and not at_least else None,
        at_least=at_least,
        currency=currency,
        basis="table",
    )


def format_costs(costs: Iterable[Cost]) -> str:
    """Return the sum in words: `$0.48`, `$0.20–0.40 + ¥1.20 + 2 of unknown cost`, `free`."""
    costs = list(costs)
    unknown = sum(one.basis == "unknown" for one in costs)
    words = [str(one) for one in sum_costs(costs).values()]
    if unknown and not words:
        return "cost unknown"
    words += [f"{unknown} of unknown cost"] if unknown else []
    return " + ".join(words) or ("free" if any(one.basis == "free" for one in costs) else "nothing billed")


def list_price_sources(costs: Iterable[Cost]) -> str:
    """Return where the prices come from, and of what date; empty where none is known."""
    return ", ".join(dict.fromkeys(f"{one.source}, {one.date}" for one in costs if one.source and one.date))
