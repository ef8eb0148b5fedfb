"""The tables load, and every row is well-formed."""

import contextlib
import re
import subprocess
import sys
from datetime import date

import pytest
from catalog_requests import find_row
from hypothesis import given
from hypothesis import strategies as st
from raising import raising

from ipyimagegen import catalog, client
from ipyimagegen.catalog import sizes, tables
from ipyimagegen.core.endpoints import Endpoint, Model
from ipyimagegen.core.errors import ImagineError, InvalidOption
from ipyimagegen.core.options import SENT, SIZE_WORDS, normalise
from ipyimagegen.core.request import PreparedRequest, Request

ENDPOINTS = tables.load_endpoints()
# Every row, as it stands and as it is behind each endpoint that has it.
ROWS = [pytest.param(row, id=row.name) for row in catalog.load_models()] + [
    pytest.param(find_row(endpoint, name), id=f"{endpoint.name}/{name}")
    for endpoint in ENDPOINTS.values()
    for name in endpoint.models
]
DATE = re.compile(r"20\d\d-\d\d(-\d\d)?")


def test_every_model_and_endpoint_is_there():
    names = {row.name for row in catalog.load_models()}
    assert {
        "gpt-image-2.6-flare",
        "gpt-image-2.6-sunburst",
        "gpt-image-2.5-flare",
        "gpt-image-2.5-sunburst",
        "gpt-image-2",
        "gpt-image-1.5",
        "gpt-image-1",
        "gpt-image-1-mini",
        "chatgpt-image-latest",
        "dall-e-3",
        "dall-e-2",
        "doubao-seedream-3-0-t2i",
        "seedream-4.0",
        "seedream-4.5",
        "seedream-5.0-lite",
        "seedream-5.0-pro",
        "grok-imagine-image-2.0",
        "glm-image",
        "flux-kontext-pro",
        "flux-kontext-max",
        "flux-1.1-pro",
        "flux-schnell",
        "imagen4",
        "grok-imagine-image",
        "grok-imagine-image-quality",
        "sketch",
    } <= names
    known = (
        "openai sketch xzbzq whatai dmxapi api000 ark together xai openrouter siliconflow zhipu modelscope"
    )
    assert set(known.split()) <= {endpoint.name for endpoint in ENDPOINTS.values() if endpoint.base_url}
    waiting = "azure new-api litellm vllm-omni sglang localai sdcpp xinference lemonade"
    assert set(waiting.split()) <= {endpoint.name for endpoint in ENDPOINTS.values() if not endpoint.base_url}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_well_formed(row: Model):
    if row.name != "*":  # what holds for any model there has the endpoint's own source and date
        assert row.vendor
        assert row.source
        assert DATE.fullmatch(row.date)
    for name, values in (*row.choices.items(), *row.edit_choices.items()):
        assert [normalise(name, value) for value in values] == list(values)
    for name, value in row.required.items():
        assert normalise(name, value) == value
    for low, high in row.limits.values():
        assert low <= high
    for size in row.sizes:
        assert normalise("size", size) == size
        assert sizes.takes_size(row, size)
    assert [normalise("aspect_ratio", ratio) for ratio in row.ratios] == list(row.ratios)
    if row.retired:
        date.fromisoformat(row.retired)
    for price in row.prices:
        assert price.source
        assert DATE.fullmatch(price.date)
        assert price.currency in ("USD", "CNY")
        assert 0 < price.amount <= (price.amount_max or price.amount)
        assert price.size is None or price.size in row.sizes
        assert price.quality is None or price.quality in row.choices["quality"]
    if row.rates:
        assert DATE.fullmatch(row.rates.date)
        assert set(row.rates.detail) <= set(row.choices["quality"])


def test_a_successor_of_our_own_vendor_is_a_row():
    for row in catalog.load_models():
        if row.vendor == "openai" and row.successor:
            assert all(map(catalog.find_model, row.successor.split(" or ")))


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.name)
def test_an_endpoint_is_well_formed(endpoint):
    assert endpoint.source
    assert DATE.fullmatch(endpoint.date)
    assert endpoint.title
    for names in (endpoint.unreliable_fields, endpoint.required):
        assert set(names) <= set(endpoint.fields or names)
    if endpoint.default_model:
        assert find_row(endpoint, endpoint.default_model)
    assert endpoint.key_env or endpoint.key_optional or endpoint.free
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", variable) for variable in endpoint.key_env)


# --- consistency: each test names what is missing ---------------------------------------------------


def test_every_model_that_an_endpoint_lists_is_a_row():
    listed = {(endpoint.name, name) for endpoint in ENDPOINTS.values() for name in endpoint.models}
    assert [pair for pair in listed if pair[1] != "*" and not catalog.find_model(pair[1])] == []


def test_every_dialect_of_the_table_exists_and_every_dialect_is_in_the_table():
    assert {endpoint.dialect for endpoint in ENDPOINTS.values()} == set(client.DIALECTS)


def test_every_word_for_a_size_has_a_shape_but_auto():
    assert {*sizes.WORDS, "auto"} == set(SIZE_WORDS)


OPTION_COLUMNS = (
    "fields",
    "edit_fields",
    "mask_fields",
    "ignored_fields",
    "unreliable_fields",
    "json_only",
    "reported",
)


def list_option_names(rows):
    for place, row in rows:
        for column in (*OPTION_COLUMNS, "required", "choices", "limits"):
            for name in row.get(column) or ():
                yield place, column, name.lstrip("+-")


def test_every_column_that_names_options_names_existing_options():
    rows = [(name, vars(row)) for name, row in ENDPOINTS.items()]
    rows += [(row.name, vars(row)) for row in catalog.load_models()]
    rows += [
        (f"{name}/{model}", columns)
        for name, row in ENDPOINTS.items()
        for model, columns in row.models.items()
    ]
    names = list(list_option_names(rows))
    assert len(names) > 400
    assert [place for place in names if place[2] not in SENT or place[2] == "model"] == []


def find_vendor(model):
    """Return an endpoint that is the model's own vendor: of the table, else as a user may declare it."""
    own = next((endpoint for endpoint in ENDPOINTS.values() if endpoint.vendor == model.vendor), None)
    return own or Endpoint(name="own", base_url="https://gpu.example/v1", vendor=model.vendor)


def price_of(endpoint, model, **options):
    request = Request(endpoint=endpoint.name, base_url=endpoint.base_url, model=model, prompt="a fox")
    sent = PreparedRequest(model=model, options=options)
    return catalog.estimate_cost(sent, request, catalog.find_capabilities(request, endpoint))


def test_every_price_and_rate_of_the_tables_is_reached():
    reached, unreached, without_endpoint = 0, [], set()
    places = [(find_vendor(model), model.name, model) for model in catalog.load_models()]
    for endpoint in ENDPOINTS.values():
        for name, columns in endpoint.models.items():
            if "prices" in columns or "rates" in columns:
                places.append((endpoint, name, find_row(endpoint, name)))
    for endpoint, name, model in places:
        for price in model.prices:
            shape = {"quality": price.quality, "size": price.size}
            cost = price_of(endpoint, name, **{option: value for option, value in shape.items() if value})
            if (cost.amount, cost.source, cost.date) != (price.amount, price.source, price.date):
                unreached.append((endpoint.name, name, price))
            reached += 1
        if model.rates:
            request = Request(endpoint=endpoint.name, base_url=endpoint.base_url, model=name, prompt="a fox")
            usage = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
            cost = catalog.compute_cost(
                {"usage": usage},
                1,
                PreparedRequest(model=name),
                request,
                catalog.find_capabilities(request, endpoint),
            )
            if cost.amount != model.rates.text_in + model.rates.image_out:
                unreached.append((endpoint.name, name, model.rates))
        if (model.prices or model.rates) and endpoint.name == "own":
            without_endpoint.add(model.vendor)
    assert unreached == []
    assert reached > 60
    # These vendors have no endpoint in the table: a user's entry that names the vendor reaches them.
    assert without_endpoint == {"bfl", "google"}


def test_names_and_aliases_are_unique():
    names = [n.casefold() for row in catalog.load_models() for n in tables.list_names(row)]
    assert len(names) == len(set(names))


def test_a_model_is_found_by_alias_in_any_case():
    assert catalog.find_model("GPT-Image-2-2026-04-21").name == "gpt-image-2"
    assert catalog.find_model("gpt-image-9") is None
    assert catalog.suggest_model("gpt-imgae-2") == "gpt-image-2"
    assert catalog.suggest_model("xyz") is None


def test_a_base_passes_on_facts_but_not_what_is_a_models_own():
    flare, base = catalog.find_model("gpt-image-2.5-flare"), catalog.find_model("gpt-image-2")
    assert flare.size_rule == base.size_rule
    assert "gpt-image-2-2026-04-21" not in flare.aliases
    assert flare.prices == ()  # no table per image is published
    assert catalog.find_model("gpt-image-1").retired == "2026-10-23"


# --- a user's entry: every column may be set, and a wrong one is named ------------------------------

RIGHT = {
    "base_url": "https://gpu.example", "title": "Lab", "dialect": "vllm-omni", "vendor": "openai",
    "key_env": "LAB_KEY", "key_optional": True, "free": True, "allow_key": True, "allow_http": True,
    "default_model": "mine", "model_required": True, "fields": ["size"], "unreliable_fields": ["seed"],
    "ignored_fields": ["style"], "required": {"response_format": "b64_json"}, "query": {"api-version": "1"},
    "negative_sign": "|", "edits": True,
    "headers": {"X-Team": "lab", "X-Auth": {"env": "LAB_AUTH"}}, "idle_timeout": 1800, "call_timeout": 3600.5,
    "edit_fields": ["+user"], "mask_fields": ["user"], "edit_form": "json", "json_only": ["user"],
    "poll": "/jobs/{id}", "image_field": {"*": "image"}, "most_inputs": {"*": 2}, "mask": True,
    "mask_as": "white", "mask_needs_size": True, "mask_needs_model": True,
    "input_formats": ["png"], "input_bytes": 5, "note": "a", "source": "b", "date": "2026", "base": "xzbzq",
    "models": {"mine": {
        "vendor": "openai", "aliases": ["a"], "vendor_id": "b", "fields": ["size"],
        "edit_fields": ["+user"], "sizes": ["1x1"],
        "size_rule": {"multiple": 16, "max_ratio": 3}, "ratios": ["16:9"], "choices": {"quality": ["low"]},
        "edit_choices": {"quality": ["low"]}, "limits": {"seed": [1, 2.5]}, "reported": ["size"],
        "compression_formats": ["webp"],
        "required": {"size": "1x1"}, "edit": 0, "mask": False, "input_formats": ["png"], "input_bytes": 5,
        "input_square": True, "prompt_chars": 5, "prompt_cjk": 5, "prompt_words": 5, "seconds": [1, 2],
        "price": {"currency": "USD", "source": "us", "date": "2026", "low": {"1x1": [1, 2]}},
        "rates": {"currency": "USD", "source": "us", "date": "2026", "text_in": 1, "image_in": 1,
                  "image_out": 1, "detail": {"low": 16}},
        "retired": "2026-11-29", "successor": "b", "note": "c", "source": "d", "date": "e",
        "base": "dall-e-3",
    }},
}  # fmt: skip
MODEL = RIGHT["models"]["mine"]
OPTIONS = {"size": "1x1", "aspect_ratio": "1:1", "n": 2, "seed": 1, "quality": "low", "stream": True}
CYCLE = []
CYCLE.append(CYCLE)
VALUES = [
    None, True, 5, -5, 1.5, float("nan"), float("inf"), 10**400, "text", "", b"bytes", object(), CYCLE,
    [], [5], [None], ["text"], [[]], ["size", "nothing"], ["+user", "size"], {1, 2},
    {}, {"text": 5}, {"text": object()}, {5: 5}, {"mine": 5}, {"mine": {"text": 5}}, {"size": [5]},
    {"any": "5"},
]  # fmt: skip


def use_entry(entry):
    """Read an entry, and use what was accepted: only errors of ours may come of it."""
    endpoint = catalog.Registry({"lab": entry}).find("lab")
    request = Request(
        endpoint="lab", base_url=endpoint.base_url, model="mine", prompt="a fox", options=OPTIONS
    )
    capabilities = catalog.find_capabilities(request, endpoint)
    try:
        request, _ = catalog.check(request, capabilities, configured=frozenset(OPTIONS))
    except ImagineError:
        return
    sent = catalog.translate(request, capabilities)
    catalog.estimate_cost(sent, request, capabilities)
    catalog.find_input_requirements(request, sent, endpoint)
    catalog.describe_sizes(find_row(endpoint, "mine") or Model(name="mine"))


def test_every_column_of_the_tables_may_be_set_by_a_user():
    assert tables.list_columns(Endpoint).keys() == RIGHT.keys()
    assert tables.list_columns(Model).keys() == MODEL.keys()
    use_entry(RIGHT)


def list_refusals(make_entry):
    refusals = []
    for value in VALUES:
        try:
            use_entry(make_entry(value))
        except InvalidOption as error:
            refusals.append(str(error))
    assert len(refusals) >= len(VALUES) // 2
    return refusals


@pytest.mark.parametrize("column", sorted(RIGHT))
def test_a_wrong_value_of_an_entry_is_refused_by_name(column):
    for refusal in list_refusals(lambda value: {**RIGHT, column: value}):
        assert "'lab'" in refusal
        assert column in refusal


@pytest.mark.parametrize("column", sorted(MODEL))
def test_a_wrong_value_of_a_model_in_an_entry_is_refused_by_name(column):
    for refusal in list_refusals(lambda value: {**RIGHT, "models": {"mine": {**MODEL, column: value}}}):
        assert "'lab'" in refusal
        assert f"models.mine.{column}" in refusal


NAMES = st.sampled_from(
    ["mine", "*", "size", "n", "low", "any", "currency", "base", "price", "rates", "multiple"]
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(column=st.sampled_from(sorted(RIGHT)), value=JUNK)
def test_no_entry_causes_an_error_of_another_kind(column, value):
    with contextlib.suppress(InvalidOption):
        use_entry({**RIGHT, column: value})


@given(column=st.sampled_from(sorted(MODEL)), value=JUNK)
def test_no_model_in_an_entry_causes_an_error_of_another_kind(column, value):
    with contextlib.suppress(InvalidOption):
        use_entry({**RIGHT, "models": {"mine": {**MODEL, column: value}}})


def test_a_wrong_column_is_named_with_the_nearest():
    for entry, nearest in (({"titel": "x"}, "title"), ({"models": {"mine": {"size": ["1x1"]}}}, "sizes")):
        with raising(InvalidOption, "endpoints", "'lab'", nearest):
            catalog.Registry({"lab": entry}).find("lab")
    with raising(InvalidOption, "endpoints"):
        catalog.Registry({5: {}}).find("lab")


def test_importing_reads_no_table():
    code = (
        "import sys, tomllib; tomllib.loads = tomllib.load = None; import ipyimagegen.catalog; "
        "print('requests' in sys.modules, 'PIL' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
