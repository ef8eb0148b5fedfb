"""What a call may cost, and what it did cost: with the source and date of the figure, or unknown.

Before the call: the published price per image, or the published formula for output tokens. After it: the
server's own amount, or its token counts times the rates, or the table for the images that came. Input
tokens are not in the published prices, so an edit's estimate is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ipyimagegen.catalog.capabilities import Capabilities
from ipyimagegen.catalog.sizes import Pixels, parse_pixels
from ipyimagegen.core.endpoints import Endpoint, Model, Price, Rates
from ipyimagegen.core.options import Json
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Cost

_MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What is known of the images; quality or size may be None, and then every price counts."""

    quality: str | None
    size: str | None
    count: int


def estimate_cost(sent: PreparedRequest, request: Request, capabilities: Capabilities) -> Cost:
    """Return what the call may cost: an amount, a range or lower bound, free, or unknown."""
    row, endpoint = capabilities.row, capabilities.endpoint
    options = {**sent.options, **request.extra}
    images = ImageFacts(
        quality=_pin(options.get("quality")), size=_pin(options.get("size")), count=request.count
    )
    cost = _look_up(row, images, endpoint)
    if cost.amount is None or row.rates is None:
        return cost
    partials = count_partial_tokens(sent, request, capabilities) * row.rates.image_out / _MILLION
    cost = replace(
        cost,
        amount=round(cost.amount + partials, 6),
        amount_max=None if cost.amount_max is None else round(cost.amount_max + partials, 6),
    )
    return replace(cost, at_least=True) if request.inputs and cost.amount_max is None else cost


def count_partial_tokens(sent: PreparedRequest, request: Request, capabilities: Capabilities) -> int:
    """Return the output tokens that partial images add at most; 0 without any, or where not known."""
    rates = capabilities.row.rates
    options = {**sent.options, **request.extra}
    partials = _read_count(options, "partial_images") or 0
    return partials * rates.partial_tokens * request.count if options.get("stream") and rates else 0


def compute_cost(
    facts: Mapping[str, Any], images: int, sent: PreparedRequest, request: Request, capabilities: Capabilities
) -> Cost:
    """Return what the call cost, from the facts of the response.

    `facts` may hold `cost` (the server's amount: a number in US$, or `{amount, currency, source}`), `usage`
    (token counts under OpenAI's names), `size` and `quality`; `images` is how many came.
    """
    row, endpoint = capabilities.row, capabilities.endpoint
    stated = _read_cost(facts.get("cost"), endpoint)
    if stated and (stated.amount or not endpoint.free):  # who names a cost is not free
        return stated
    if endpoint.free:
        return Cost(basis="free")
    usage = facts.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    options = {**sent.options, **request.extra}
    if row.rates and (cost := _price_usage(usage, row.rates)):
        # The tokens of the model that writes an SVG are counted apart, at rates of its own.
        return replace(cost, at_least=options.get("output_format") == "svg")
    received = ImageFacts(
        quality=_pin(facts.get("quality")) or _pin(options.get("quality")),
        size=_pin(facts.get("size")) or _pin(options.get("size")),
        count=_read_count(usage, "generated_images") or images,
    )
    return _look_up(row, received, endpoint) if received.count else Cost()


def count_output_tokens(factor: int, size: Pixels) -> int:
    """Return the output tokens of an image; `factor` is the quality's entry in `Rates.detail`.

    Source: community.openai.com topic 1382699; it reproduces OpenAI's published price table.
    """
    width, height = size
    long, short = max(size), min(size)
    across = (2 * factor * short + long) // (2 * long)
    return -(-factor * across * (2 * _MILLION + width * height) // (4 * _MILLION))


def _read_cost(cost: Json, endpoint: Endpoint) -> Cost | None:
    """Return the amount that the server stated, or None."""
    table = cost if isinstance(cost, Mapping) else {"amount": cost}
    amount = table.get("amount")
    if not isinstance(amount, (int, float)) or isinstance(amount, bool) or amount < 0:
        return None
    source = f"{endpoint.name}, {table.get('source', 'its reply')}"
    return Cost(
        amount=float(amount), currency=str(table.get("currency", "USD")), basis="server", source=source
    )


def _pin(value: Json) -> str | None:
    """Return a value that decides a price; None where it is open: unset or `auto`."""
    return value if isinstance(value, str) and value != "auto" else None


def _look_up(row: Model, images: ImageFacts, endpoint: Endpoint) -> Cost:
    """Return the cost by the table of prices, else by the formula for tokens."""
    if endpoint.free:
        return Cost(basis="free")
    prices = [
        price
        for price in row.prices
        if (price.quality is None or images.quality in (None, price.quality))
        and (price.size is None or images.size in (None, price.size))
    ]
    if prices:
        return _combine(prices, images.count, "table")
    prices = list(_apply_formula(row.rates, images)) if row.rates else []
    return _combine(prices, images.count, "tokens") if prices else Cost()


def _apply_formula(rates: Rates, images: ImageFacts) -> Iterator[Price]:
    """Yield the price of an image for each quality that is possible; nothing where the size is open."""
    size = parse_pixels(images.size)
    for quality, factor in rates.detail.items():
        if size and images.quality in (None, quality):
            amount = count_output_tokens(factor, size) * rates.image_out / _MILLION
            yield Price(amount=amount, currency=rates.currency, source=rates.source, date=rates.date)


def _combine(prices: Sequence[Price], count: int, basis: str) -> Cost:
    """Return the cost for prices each of which may hold: from the least to the most."""
    low = min(price.amount for price in prices)
    high = max(price.amount if price.amount_max is None else price.amount_max for price in prices)
    at_least = any(price.at_least for price in prices)
    return Cost(
        amount=round(low * count, 6),
        amount_max=round(high * count, 6) if high > low and not at_least else None,
        at_least=at_least,
        currency=prices[0].currency,
        basis=basis,
        source=prices[0].source,
        date=prices[0].date,
    )


def _price_usage(usage: Mapping[str, Json], rates: Rates) -> Cost | None:
    """Return the cost of the server's own token counts, or None when there are none."""
    output = _read_count(usage, "output_tokens")
    if not output:
        return None
    total = _read_count(usage, "input_tokens") or 0
    details = usage.get("input_tokens_details")
    images = (_read_count(details, "image_tokens") or 0) if isinstance(details, Mapping) else 0
    text = max(total - images, 0)
    amount = (text * rates.text_in + images * rates.image_in + output * rates.image_out) / _MILLION
    return Cost(
        amount=round(amount, 6),
        currency=rates.currency,
        basis="usage",
        source=rates.source,
        date=rates.date,
    )


def _read_count(table: Mapping[str, Json], name: str) -> int | None:
    value = table.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
