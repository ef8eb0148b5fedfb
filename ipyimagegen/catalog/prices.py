"""What a call may cost, and what it did: always with the source and date of the figure, or unknown.

Before: the published price per image, or the published formula for output tokens. After: the
server's own amount, or its token counts times the rates, or the table for what came back. Input
tokens are not in the published prices, so an edit's estimate is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ipyimagegen.catalog.rows import find_model_row, resolve_model_name
from ipyimagegen.catalog.sizes import Pixels, pixels
from ipyimagegen.core.endpoints import Endpoint, Model, Price, Rates
from ipyimagegen.core.options import Json
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Cost

MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What is known of the images: any member may be None, and then every price counts."""

    quality: str | None
    size: str | None
    count: int


def estimate_cost(sent: PreparedRequest, request: Request, endpoint: Endpoint) -> Cost:
    """Return what the call may cost: an amount, a range or lower bound, free, or unknown."""
    known = find_model_row(endpoint, sent.model)
    options = {**sent.options, **request.extra}
    images = ImageFacts(
        quality=_fixed(options.get("quality")), size=_fixed(options.get("size")), count=request.count
    )
    cost = _from_table(known, images, endpoint)
    if cost.amount is None or known is None or known.rates is None:
        return cost
    cost = _plus(cost, count_partial_tokens(sent, request, endpoint) * known.rates.image_out / MILLION)
    if request.inputs and cost.amount_max is None:
        return Cost(**{**vars(cost), "at_least": True})
    return cost


def count_partial_tokens(sent: PreparedRequest, request: Request, endpoint: Endpoint) -> int:
    """Return the output tokens that partial images add at most; 0 without any, or where not known."""
    known = find_model_row(endpoint, sent.model)
    options = {**sent.options, **request.extra}
    partials = _number(options, "partial_images") or 0
    if not options.get("stream") or known is None or known.rates is None:
        return 0
    return partials * known.rates.partial_tokens * request.count


def compute_cost(
    facts: Mapping[str, Any], images: int, sent: PreparedRequest, request: Request, endpoint: Endpoint
) -> Cost:
    """Return what the call cost, from the facts of the reply.

    `facts` may hold `cost` (a number in US$, or `{amount, currency, source}`: what the server says),
    `usage` (token counts under OpenAI's names), `size` and `quality`; `images` is how many came.
    """
    if endpoint.free:
        return Cost(basis="free")
    told = _told(facts.get("cost"), endpoint)
    if told:
        return told
    usage = facts.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    known = find_model_row(endpoint, sent.model or resolve_model_name(request, endpoint))
    if known and known.rates:
        cost = _from_usage(usage, known.rates)
        if cost:
            return cost
    options = {**sent.options, **request.extra}
    came = ImageFacts(
        quality=_fixed(facts.get("quality")) or _fixed(options.get("quality")),
        size=_fixed(facts.get("size")) or _fixed(options.get("size")),
        count=_number(usage, "generated_images") or images,
    )
    return _from_table(known, came, endpoint) if came.count else Cost()


def estimate_seconds(
    sent: PreparedRequest, request: Request, endpoint: Endpoint
) -> tuple[float, float] | None:
    """Return how long the call may take, shortest and longest, or None when that is not known."""
    known = find_model_row(endpoint, sent.model or resolve_model_name(request, endpoint))
    return known.seconds if known else None


def count_output_tokens(factor: int, size: Pixels) -> int:
    """Return the output tokens of one image; `factor` is the quality's entry in `Rates.detail`.

    Source: community.openai.com topic 1382699; it reproduces OpenAI's published price table.
    """
    width, height = size
    long, short = max(size), min(size)
    across = (2 * factor * short + long) // (2 * long)
    return -(-factor * across * (2 * MILLION + width * height) // (4 * MILLION))


def _told(cost: Json, endpoint: Endpoint) -> Cost | None:
    """Return the amount that the server itself named, or None."""
    table = cost if isinstance(cost, Mapping) else {"amount": cost}
    amount = table.get("amount")
    if not isinstance(amount, (int, float)) or isinstance(amount, bool) or amount < 0:
        return None
    source = f"{endpoint.name}, {table.get('source', 'its reply')}"
    return Cost(
        amount=float(amount), currency=str(table.get("currency", "USD")), basis="server", source=source
    )


def _fixed(value: Json) -> str | None:
    """Return a value that decides a price; `auto` and nothing leave it open."""
    return value if isinstance(value, str) and value != "auto" else None


def _from_table(known: Model | None, images: ImageFacts, endpoint: Endpoint) -> Cost:
    if endpoint.free:
        return Cost(basis="free")
    if known is None:
        return Cost()
    prices = tuple(_matching(known.prices, images))
    if prices:
        return _spread(prices, images.count, "table")
    return _by_formula(known.rates, images) if known.rates else Cost()


def _matching(prices: Iterable[Price], images: ImageFacts) -> Iterable[Price]:
    for one in prices:
        quality_fits = one.quality is None or images.quality in (None, one.quality)
        size_fits = one.size is None or images.size in (None, one.size)
        if quality_fits and size_fits:
            yield one


def _by_formula(rates: Rates, images: ImageFacts) -> Cost:
    size = pixels(images.size)
    factors = [f for quality, f in rates.detail.items() if images.quality in (None, quality)]
    if size is None or not factors:
        return Cost()
    amounts = [count_output_tokens(factor, size) * rates.image_out / MILLION for factor in factors]
    prices = [
        Price(amount=one, currency=rates.currency, source=rates.source, date=rates.date) for one in amounts
    ]
    return _spread(prices, images.count, "tokens")


def _spread(prices: Iterable[Price], count: int, basis: str) -> Cost:
    """Return one cost for prices that may all be meant: from the least to the most."""
    prices = tuple(prices)
    low = min(one.amount for one in prices)
    high = max(one.amount if one.amount_max is None else one.amount_max for one in prices)
    at_least = any(one.at_least for one in prices)
    return Cost(
        amount=round(low * count, 6),
        amount_max=round(high * count, 6) if high > low and not at_least else None,
        at_least=at_least,
        currency=prices[0].currency,
        basis=basis,
        source=prices[0].source,
        date=prices[0].date,
    )


def _plus(cost: Cost, extra: float) -> Cost:
    assert cost.amount is not None
    most = None if cost.amount_max is None else round(cost.amount_max + extra, 6)
    return Cost(**{**vars(cost), "amount": round(cost.amount + extra, 6), "amount_max": most})


def _from_usage(usage: Mapping[str, Json], rates: Rates) -> Cost | None:
    """Return the cost of the server's own token counts, or None when it gave none."""
    out = _number(usage, "output_tokens")
    if not out:
        return None
    given = _number(usage, "input_tokens") or 0
    details = usage.get("input_tokens_details")
    images = (_number(details, "image_tokens") or 0) if isinstance(details, Mapping) else 0
    text = max(given - images, 0)
    amount = (text * rates.text_in + images * rates.image_in + out * rates.image_out) / MILLION
    return Cost(
        amount=round(amount, 6),
        currency=rates.currency,
        basis="usage",
        source=rates.source,
        date=rates.date,
    )


def _number(table: Mapping[str, Json], name: str) -> int | None:
    value = table.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
