"""Sums of costs: by currency, with ranges and lower bounds, and unknown costs counted apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ipyimagegen.core.messages import _
from ipyimagegen.core.run import Cost


def sum_costs(costs: Iterable[Cost]) -> Mapping[str, Cost]:
    """Return the sum of the known amounts in each currency, in the order of the currencies' names."""
    by_currency: dict[str, list[Cost]] = {}
    for cost in costs:
        if cost.amount is not None and cost.currency:
            by_currency.setdefault(cost.currency, []).append(cost)
    return {currency: _sum(by_currency[currency], currency) for currency in sorted(by_currency)}


def _sum(costs: list[Cost], currency: str) -> Cost:
    low = sum(cost.amount or 0 for cost in costs)
    high = sum(cost.amount_max or cost.amount or 0 for cost in costs)
    at_least = any(cost.at_least for cost in costs)
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
    unknown = sum(cost.basis == "unknown" for cost in costs)
    sums = [str(cost) for cost in sum_costs(costs).values()]
    if unknown and not sums:
        return _("cost unknown")
    sums += [_("{count} of unknown cost", count=unknown)] if unknown else []
    if sums:
        return " + ".join(sums)
    return _("free") if any(cost.basis == "free" for cost in costs) else _("nothing billed")


def list_price_sources(costs: Iterable[Cost]) -> str:
    """Return where the prices come from, and of what date; empty where none is known."""
    return ", ".join(
        dict.fromkeys(f"{cost.source}, {cost.date}" for cost in costs if cost.source and cost.date)
    )
