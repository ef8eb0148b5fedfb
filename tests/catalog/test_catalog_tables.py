"""The tables load, and every row is well-formed."""

import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest

from ipyimagegen import catalog
from ipyimagegen.catalog import sizes, tables
from ipyimagegen.core.endpoints import Model
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.options import SENT, normalise

HERE = Path(catalog.__file__).parent
ENDPOINTS = tables.load_endpoints()
# Every row, as it stands and as it is behind each endpoint that has it.
ROWS = [pytest.param(row, id=row.name) for row in catalog.load_models()] + [
    pytest.param(catalog.find_model_row(one, name), id=f"{one.name}/{name}")
    for one in ENDPOINTS.values()
    for name in one.models
]
DATE = re.compile(r"20\d\d-\d\d(-\d\d)?")


def test_every_model_and_endpoint_is_there():
    names = {row.name for row in catalog.load_models()}
    assert {
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
        "seedream-3.0",
        "seedream-4.0",
        "seedream-4.5",
        "seedream-5.0-lite",
        "flux-kontext-pro",
        "flux-kontext-max",
        "flux-1.1-pro",
        "flux-schnell",
        "imagen4",
        "grok-imagine-image",
        "grok-imagine-image-quality",
        "sketch",
    } <= names
    known = "openai sketch xzbzq whatai dmxapi api000 ark together xai openrouter"
    assert {one.name for one in ENDPOINTS.values() if one.base_url} == set(known.split())
    waiting = "azure new-api litellm vllm-omni sglang localai sdcpp xinference lemonade"
    assert {one.name for one in ENDPOINTS.values() if not one.base_url} == set(waiting.split())


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_well_formed(row: Model):
    assert row.vendor
    assert row.source
    assert DATE.fullmatch(row.date)
    for names in (
        row.fields or (),
        row.edit_fields or (),
        row.reported,
        row.choices,
        row.limits,
        row.required,
    ):
        assert set(names) <= SENT.keys()
        assert "model" not in names
    for name, values in row.choices.items():
        assert [normalise(name, one) for one in values] == list(values)
    for name, value in row.required.items():
        assert normalise(name, value) == value
    for low, high in row.limits.values():
        assert low <= high
    for size in row.sizes:
        assert normalise("size", size) == size
        assert sizes.takes(row, size)
    assert [normalise("aspect_ratio", one) for one in row.ratios] == list(row.ratios)
    if row.retired:
        date.fromisoformat(row.retired)
    for one in row.prices:
        assert one.source
        assert DATE.fullmatch(one.date)
        assert one.currency in ("USD", "CNY")
        assert 0 < one.amount <= (one.amount_max or one.amount)
        assert one.size is None or one.size in row.sizes
        assert one.quality is None or one.quality in row.choices["quality"]
    if row.rates:
        assert DATE.fullmatch(row.rates.date)
        assert set(row.rates.detail) <= set(row.choices["quality"])


def test_a_successor_of_our_own_vendor_is_a_row():
    for row in catalog.load_models():
        if row.vendor == "openai" and row.successor:
            assert catalog.find_model(row.successor)


@pytest.mark.parametrize("one", ENDPOINTS.values(), ids=lambda one: one.name)
def test_an_endpoint_is_well_formed(one):
    assert one.source
    assert DATE.fullmatch(one.date)
    assert one.title
    for names in (one.fields or (), one.may_drop, one.required):
        assert set(names) <= SENT.keys()
        assert set(names) <= set(one.fields or names)
    if one.default_model:
        assert catalog.find_model_row(one, one.default_model)
    for name in one.models:
        assert name == "*" or catalog.find_model(name)
    assert one.key_env or one.key_optional or one.free
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", variable) for variable in one.key_env)


def test_names_and_aliases_are_unique():
    names = [n.casefold() for row in catalog.load_models() for n in (row.name, *row.aliases)]
    assert len(names) == len(set(names))


def test_a_model_is_found_by_alias_in_any_case():
    assert catalog.find_model("GPT-Image-2-2026-04-21").name == "gpt-image-2"
    assert catalog.find_model("gpt-image-9") is None
    assert catalog.suggest_model("gpt-imgae-2") == "gpt-image-2"
    assert catalog.suggest_model("xyz") is None


def test_like_passes_on_facts_but_not_what_is_a_models_own():
    flare, base = catalog.find_model("gpt-image-2.5-flare"), catalog.find_model("gpt-image-2")
    assert flare.size_rule == base.size_rule
    assert "gpt-image-2-2026-04-21" not in flare.aliases
    assert flare.prices == ()  # no table per image is published
    assert "reported, not confirmed" in flare.note
    assert catalog.find_model("gpt-image-1").retired == "2026-10-23"


def test_a_wrong_column_is_named_with_the_nearest():
    with pytest.raises(InvalidOption, match="Did you mean sizes"):
        tables.overlay(Model(name="x"), {"size": ["1x1"]})
    with pytest.raises(InvalidOption, match="cannot be read"):
        tables.overlay(Model(name="x"), {"price": {"any": 1}})


def test_no_column_of_the_tables_is_unknown_to_the_records():
    for file in ("models.toml", "endpoints.toml"):
        for columns in tomllib.loads((HERE / file).read_text("utf-8")).values():
            assert isinstance(columns, dict)
    assert catalog.load_models()


def test_importing_reads_no_table():
    code = (
        "import sys, tomllib; tomllib.loads = tomllib.load = None; import ipyimagegen.catalog; "
        "print('requests' in sys.modules, 'PIL' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
