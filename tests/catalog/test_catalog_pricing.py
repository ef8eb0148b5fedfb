"""What a call may cost, and what it did."""

import pytest
from catalog_requests import IMAGE, make_request

from ipyimagegen import catalog
from ipyimagegen.catalog.pricing import count_output_tokens
from ipyimagegen.core.run import Cost

SIZES = ("1024x1024", "1024x1536", "1536x1024")
GUIDE = {  # OpenAI image guide, 2026-10-02: low, medium, high for the three sizes
    "gpt-image-2": [(0.006, 0.005, 0.005), (0.053, 0.041, 0.041), (0.211, 0.165, 0.165)],
    "gpt-image-1.5": [(0.009, 0.013, 0.013), (0.034, 0.050, 0.050), (0.133, 0.200, 0.200)],
    "gpt-image-1": [(0.011, 0.016, 0.016), (0.042, 0.063, 0.063), (0.167, 0.250, 0.250)],
    "gpt-image-1-mini": [(0.005, 0.006, 0.006), (0.011, 0.015, 0.015), (0.036, 0.052, 0.052)],
}
CELLS = [
    (model, quality, size, amount)
    for model, rows in GUIDE.items()
    for quality, amounts in zip(("low", "medium", "high"), rows, strict=True)
    for size, amount in zip(SIZES, amounts, strict=True)
]
TOKENS = {  # low, medium, high: the formula's own examples
    (1024, 1024): (196, 1756, 7024),
    (1536, 1024): (158, 1372, 5488),
    (2048, 2048): (397, 3568, 14272),
    (2560, 1440): (205, 1843, 7370),
    (3840, 2160): (371, 3336, 13342),
}


def prepare(*args, **requested):
    request, endpoint = make_request(*args, **requested)
    capabilities = catalog.find_capabilities(request, endpoint)
    return catalog.translate(request, capabilities), request, capabilities


def estimate(*args, **requested) -> Cost:
    return catalog.estimate_cost(*prepare(*args, **requested))


def compute(facts, images, *args, **requested) -> Cost:
    return catalog.compute_cost(facts, images, *prepare(*args, **requested))


@pytest.mark.parametrize(("model", "quality", "size", "amount"), CELLS)
def test_the_published_table(model, quality, size, amount):
    cost = estimate("openai", model, quality=quality, size=size)
    assert (cost.amount, cost.amount_max, cost.basis) == (amount, None, "table")
    assert (cost.currency, cost.source, cost.date) == ("USD", "OpenAI image guide", "2026-10-02")


@pytest.mark.parametrize(("size", "tokens"), TOKENS.items())
def test_the_formula_and_its_examples(size, tokens):
    factors = catalog.find_model("gpt-image-2").rates.detail
    assert tuple(count_output_tokens(factors[q], size) for q in ("low", "medium", "high")) == tokens


@pytest.mark.parametrize("row", [0, 1, 2], ids=["low", "medium", "high"])
def test_the_formula_reproduces_the_table(row):
    quality, amounts = ("low", "medium", "high")[row], GUIDE["gpt-image-2"][row]
    rates = catalog.find_model("gpt-image-2").rates
    for size, amount in zip(((1024, 1024), (1024, 1536), (1536, 1024)), amounts, strict=True):
        tokens = count_output_tokens(rates.detail[quality], size)
        assert round(tokens * rates.image_out / 1e6, 3) == amount


def test_sizes_outside_the_table_by_the_formula():
    cost = estimate("openai", quality="high", size="3840x2160")
    assert cost.basis == "tokens"
    assert cost.amount == pytest.approx(13342 * 30 / 1e6)
    assert estimate("openai", quality="high", aspect_ratio="16:9").basis == "tokens"


def test_dall_e_prices():
    assert estimate("openai", "dall-e-3", quality="hd", size="1792x1024").amount == 0.12
    assert estimate("openai", "dall-e-2", size="256x256").amount == 0.016
    assert str(estimate("openai", "dall-e-2")) == "$0.016–0.02"


@pytest.mark.parametrize("options", [{}, {"quality": "auto"}, {"size": "auto"}])
def test_what_is_open_makes_a_range(options):
    assert str(estimate("openai", **options)) == "$0.005–0.211"


def test_an_open_quality_outside_the_table():
    cost = estimate("openai", size="2048x2048", n=2)
    assert cost.amount == pytest.approx(2 * 397 * 30 / 1e6)
    assert cost.amount_max == pytest.approx(2 * 14272 * 30 / 1e6)


def test_images_are_counted():
    assert estimate("openai", n=4, quality="low", size="1024x1024").amount == 0.024
    assert estimate("openai", quality="low", size="1024x1024", extra={"n": 3}).amount == 0.018
    assert estimate("openai", size="1024x1024", extra={"quality": "high"}).amount == 0.211


def test_partial_images_cost_tokens():
    plain = estimate("openai", quality="low", size="1024x1024", n=2)
    streamed = estimate("openai", quality="low", size="1024x1024", n=2, stream=True, partial_images=3)
    assert streamed.amount == pytest.approx(plain.amount + 2 * 3 * 100 * 30 / 1e6)
    assert catalog.count_partial_tokens(*prepare("openai", stream=True)) == 200
    assert catalog.count_partial_tokens(*prepare("openai")) == 0
    assert catalog.count_partial_tokens(*prepare("sketch", stream=True)) == 0


def test_an_edit_is_at_least():
    cost = estimate("openai", quality="low", size="1024x1024", inputs=(IMAGE,))
    assert str(cost) == "at least $0.006"


@pytest.mark.parametrize(
    ("where", "model", "text"),
    [
        ("xzbzq", "gpt-image-1", "at least ¥1.00"),
        ("whatai", "seedream-3.0", "¥0.08"),
        ("ark", "doubao-seedream-3-0-t2i", "¥0.259"),
        ("ark", "seedream-4.0", "¥0.20"),
        ("ark", None, "cost unknown"),
        ("ark", "seedream-4.5", "¥0.25"),
        ("ark", "seedream-5.0-lite", "¥0.22"),
        ("xai", None, "$0.02"),
        ("xai", "grok-imagine-image-2.0", "$0.04–0.08"),
        ("zhipu", None, "¥0.10"),
        ("openai", "gpt-image-2.6-flare", "cost unknown"),
        ("dmxapi", None, "cost unknown"),
        ("xzbzq", "flux-kontext-pro", "cost unknown"),
        ("openai", "gpt-image-2.5-flare", "cost unknown"),
        ("openai", "chatgpt-image-latest", "cost unknown"),
        ("openai", "never-heard-of", "cost unknown"),
        ("https://gpu.example", "gpt-image-2", "cost unknown"),
        ("http://localhost:8000", "x", "free"),
        ("sketch", None, "free"),
        ("sketch", "gpt-image-2", "free"),
    ],
)
def test_estimates_by_server(where, model, text):
    assert str(estimate(where, model)) == text


def test_the_generic_gateway_documents_prices():
    own = catalog.Registry({"new-api": {"base_url": "https://gate.example"}}).find("new-api")
    assert str(estimate(own, "gpt-image-1")) == "$0.02–0.08"


def test_usage_times_rates():
    usage = {
        "input_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens": 196,
    }
    cost = compute({"usage": usage}, 1, "openai")
    assert cost.basis == "usage"
    assert cost.amount == pytest.approx((10 * 5 + 40 * 8 + 196 * 30) / 1e6)
    assert cost.date == "2026-10-02"
    assert compute({"usage": usage}, 1, "openai", "gpt-image-2.5-flare").amount == cost.amount
    svg = compute({"usage": usage}, 1, "openai", "gpt-image-2.6-flare", output_format="svg")
    assert (svg.amount, svg.at_least, cost.at_least) == (cost.amount, True, False)


def test_usage_is_no_price_at_a_gateway():
    assert compute({"usage": {"input_tokens": 9, "output_tokens": 196}}, 1, "dmxapi").basis == "unknown"


def test_the_servers_own_amount_wins():
    cost = compute(
        {"cost": {"amount": 0.0125, "currency": "USD", "source": "usage.cost"}}, 1, "openrouter", "x"
    )
    assert (cost.amount, cost.currency, cost.basis) == (0.0125, "USD", "server")
    assert cost.source == "openrouter, usage.cost"
    assert compute({"cost": 0.5, "usage": {"output_tokens": 196}}, 1, "openai").amount == 0.5


def test_without_usage_the_table_for_what_came():
    facts = {"quality": "low", "size": "1024x1024"}
    assert compute(facts, 2, "openai", n=3).amount == 0.012
    assert compute({}, 2, "openai").amount_max == 0.422
    assert compute({}, 1, "xzbzq", "seedream-3.0").amount == 0.08
    assert compute({"usage": {"generated_images": 3}}, 2, "ark", "seedream-4.0").amount == pytest.approx(0.6)


def test_unknown_is_unknown():
    assert compute({}, 0, "openai") == Cost()
    assert compute({"usage": "?", "cost": "?"}, 1, "dmxapi") == Cost()
    assert compute({"cost": True}, 1, "dmxapi") == Cost()


def test_who_names_a_cost_is_not_free():
    assert compute({"usage": {"output_tokens": 5}}, 1, "sketch").basis == "free"
    assert compute({"cost": 0.0}, 1, "http://localhost:8000", "x").basis == "free"
    cost = compute({"cost": 0.04}, 1, "http://localhost:8000", "x")
    assert (cost.amount, cost.basis, cost.is_stated) == (0.04, "server", True)


def test_seconds_only_where_known():
    assert prepare("openai")[2].row.seconds is None
    own = {"lab": {"base_url": "http://localhost:1", "models": {"mine": {"seconds": [2, 9]}}}}
    assert prepare(catalog.Registry(own).find("lab"), "mine")[2].row.seconds == (2, 9)
