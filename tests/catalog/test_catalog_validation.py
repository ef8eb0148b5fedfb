"""What is refused, what is left out, and who decides."""

import re
from datetime import date

import pytest
from catalog_requests import IMAGE, find_fields, find_row, make_request
from raising import assert_names

from ipyimagegen import catalog
from ipyimagegen.catalog.capabilities import EDITS
from ipyimagegen.core.errors import ImagineError, InvalidInput, InvalidOption

TODAY = date(2026, 11, 20)


def check(where, model=None, *, configured=(), today=TODAY, **requested):
    request, endpoint = make_request(where, model, **requested)
    return catalog.check(
        request, catalog.find_capabilities(request, endpoint), configured=frozenset(configured), today=today
    )


def refuse(*args, **requested):
    with pytest.raises(ImagineError) as caught:
        check(*args, **requested)
    text = str(caught.value)
    assert text.count("\n") <= 1
    assert len(text) < 320
    assert not text.startswith(" ")
    return caught.value


# --- who decides ------------------------------------------------------------------------------------


def test_the_endpoints_row_for_the_model_decides_first():
    own = {"xzbzq": {"models": {"gpt-image-1": {"fields": ["size"]}}}}
    endpoint = catalog.Registry(own).find("xzbzq")
    assert find_fields(endpoint, "gpt-image-1") == {"size"}


def test_then_the_endpoints_row():
    endpoint = catalog.Registry().find("dmxapi")
    assert "style" in find_fields(endpoint, "gpt-image-2")  # which its own vendor refuses
    assert find_fields(endpoint, "gpt-image-2") == find_fields(endpoint, "never-heard-of")
    assert find_fields(endpoint, "never-heard-of") == set(endpoint.fields)


def test_then_the_models_row_on_its_own_vendor_only():
    assert "style" in find_fields(catalog.Registry().find("openai"), "dall-e-3")
    assert "seed" not in find_fields(catalog.Registry().find("openai"), "gpt-image-2")
    assert find_fields(catalog.Registry().find("https://gpu.example"), "gpt-image-2") is None
    assert find_row(catalog.Registry().find("https://gpu.example"), "gpt-image-2") is None
    assert find_fields(catalog.Registry().find("ark"), "gpt-image-2") is None


def test_else_it_goes_as_typed():
    request, notes = check("openai", "gpt-image-9", seed=7, style="odd", size="7x7", n=99)
    assert request.options == {"seed": 7, "style": "odd", "size": "7x7", "n": 99}
    assert notes == ()
    request, endpoint = make_request("openai", "gpt-image-9", seed=7, style="odd", size="7x7", n=99)
    sent = catalog.translate(request, catalog.find_capabilities(request, endpoint))
    assert sent.options == {"seed": 7, "style": "odd", "size": "7x7", "n": 99}
    assert sent.model == "gpt-image-9"


def test_an_endpoints_columns_go_over_the_models_row():
    whatai = catalog.Registry().find("whatai")
    fields, row = find_fields(whatai, "gpt-image-1"), find_row(whatai, "gpt-image-1")
    assert fields == {"n", "aspect_ratio", "size", "seed", "response_format", "quality"}
    assert row.sizes == ("1024x1024", "1536x1024", "1024x1536", "auto")


def test_a_model_that_an_endpoint_lists_keeps_its_fields_unless_the_endpoint_has_its_own():
    entry = {"base_url": "https://gpu.example", "models": {"gpt-image-2": {}}}
    endpoint = catalog.Registry({"lab": entry}).find("lab")
    assert find_fields(endpoint, "gpt-image-2") == set(catalog.find_model("gpt-image-2").fields)
    assert find_fields(endpoint, "dall-e-3") is None
    with pytest.raises(InvalidOption):
        check("lab", "gpt-image-2", own={"lab": entry}, negative_prompt="red")
    own = {"lab": {**entry, "fields": ["negative_prompt"]}}
    assert find_fields(catalog.Registry(own).find("lab"), "gpt-image-2") == {"negative_prompt"}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [(["+user"], {"size", "style", "user"}), (["-style"], {"size"}), (["user"], {"user"}), ([], set()),
     (["+user", "-style"], {"size", "user"}), (None, {"size", "style"})],
)  # fmt: skip
def test_the_fields_of_edits_are_names_or_changes(changes, fields):
    base = {"base_url": "https://gpu.example", "fields": ["size", "style"], "edits": True}
    model = {"models": {"mine": {"edit_fields": changes}}}
    for own in ({**base, "edit_fields": changes}, {**base, **model}):
        endpoint = catalog.Registry({"lab": own}).find("lab")
        assert find_fields(endpoint, "mine", EDITS) == fields
        assert find_fields(endpoint, "mine") == {"size", "style"}


def test_the_vendors_prices_stay_at_the_vendor():
    assert find_row(catalog.Registry().find("dmxapi"), "gpt-image-1").prices == ()
    assert find_row(catalog.Registry().find("dmxapi"), "gpt-image-1").rates is None
    (price,) = find_row(catalog.Registry().find("xzbzq"), "gpt-image-1").prices
    assert (price.amount, price.currency, price.at_least) == (1, "CNY", True)


def test_sketch_takes_any_model_name():
    row = find_row(catalog.Registry().find("sketch"), "gpt-image-2")
    assert "seed" in row.fields
    assert row.name == "gpt-image-2"
    check("sketch", "never-heard-of", size="64x4096", seed=1, quality="hd", negative_prompt="red")
    assert "64" in str(refuse("sketch", size="63x64"))


# --- refusals: one or two lines, naming the right thing -------------------------------------------------

REFUSED = [
    (("openai",), {"response_format": "url"}, "gpt-image-2 on openai … response_format="),
    (("openai",), {"negative_prompt": "red"}, "extra={'negative_prompt': 'red'}"),
    (("openai",), {"n": 12}, "seed=range(1, 13)"),
    (("openai", "dall-e-3"), {"n": 4}, "seed=range(1, 5)"),
    (("ark",), {"n": 4}, "seed=range(1, 5)"),
    (("openai",), {"size": "1000x1000"}, "992x992, 1008x1008"),
    (("openai",), {"size": "1920x1080"}, "1920x1088, 1920x1072"),
    (("openai",), {"size": "64x64"}, "816x816"),
    (("openai",), {"size": "9999x9999"}, "2880x2880"),
    (("openai",), {"size": "2K"}, "655,360 … 8,294,400 "),
    (("openai", "dall-e-3"), {"size": "1920x1080"}, "1792x1024"),
    (("openai", "gpt-image-1"), {"size": "512x512"}, "1024x1024"),
    (("ark", "seedream-4.5"), {"size": "1024x1024"}, "1920x1920, 1920x1936"),
    (("ark", "seedream-4.5"), {"size": "1K"}, "2K, 4K"),
    (("openai",), {"quality": "hd"}, "auto, low, medium, high"),
    (("openai",), {"quality": "hihg"}, "high?"),
    (("openai", "dall-e-3"), {"quality": "high"}, "standard, hd"),
    (("openai", "dall-e-3"), {"background": "opaque"}, "background="),
    (("openai",), {"background": "transparent", "output_format": "jpeg"}, "output_format='webp'"),
    (("openai",), {"output_compression": 85}, "output_format='jpeg'"),
    (("openai",), {"output_compression": 85, "output_format": "png"}, "output_format='jpeg'"),
    (("openai",), {"size": "1024x1024", "aspect_ratio": "16:9"}, "aspect_ratio='16:9'"),
    (("openai",), {"size": "portrait", "aspect_ratio": "16:9"}, "aspect_ratio='16:9'"),
    (("ark", "doubao-seedream-3-0-t2i"), {"seed": 2**31}, "-1 … 2147483647"),
    (("ark", "doubao-seedream-3-0-t2i"), {"guidance_scale": 0.5}, "1 … 10"),
    (("xzbzq", "seedream-3.0"), {"response_format": "url"}, "b64_json"),
    (("xzbzq", "imagen4"), {"size": "1000x999"}, "aspect_ratio='1:1'"),
    (("xai",), {"size": "4K"}, "1K, 2K, ratios 1:1"),
    (("xai", "grok-4"), {"size": "2K"}, "aspect_ratio="),
    (("xai", "grok-imagine-image-2.0"), {"quality": "high"}, "auto, low, medium"),
    (("zhipu",), {"size": "1000x1000"}, "1024x1024"),
    (("zhipu",), {"quality": "standard"}, "hd"),
    (("together", "x"), {"output_format": "webp"}, "jpeg, png"),
    (("openai", "gpt-image-2"), {"output_format": "gif"}, "png, jpeg, webp"),
    (("openai", "gpt-image-2.6-flare"), {"output_format": "gif", "stream": True}, "output_format='gif'"),
    (("openai", "gpt-image-2.6-flare"), {"output_format": "gif", "mask": IMAGE, "inputs": (IMAGE,)}, "mask="),
    (("openai", "gpt-image-2.6-flare"), {"output_format": "svg", "n": 2}, "n= … output_format='svg'"),
    (("openai", "gpt-image-2.6-flare"), {"output_format": "svg", "output_compression": 5}, "output_"),
    (("openai", "gpt-image-2.6-flare"), {"frame_count": 3}, "frame_count=3 … output_format='gif'"),
    (("openai", "gpt-image-2.5-flare"), {"complexity": "low"}, "extra={'complexity': 'low'}"),
    (("openai", "gpt-image-2.5-flare"), {"quality": "ultra"}, "xhigh, max"),
    (("openai", "gpt-image-2.5-flare"), {"size": "1000x1000"}, "992x992"),
    (("xai",), {"quality": "high"}, "quality="),
    (("api000",), {"stream": True}, "stream="),
    (("together",), {}, "model="),
    (("openai", "dall-e-3"), {"inputs": (IMAGE,)}, "dall-e-3"),
    (("openai", "dall-e-2"), {"inputs": (IMAGE, IMAGE)}, "dall-e-2 … 1 … 2"),
    (("xzbzq", "flux-kontext-pro"), {"inputs": (IMAGE,), "mask": IMAGE}, "mask="),
    (("openai", "dall-e-2"), {"prompt": "x" * 1001}, "1,001 … dall-e-2 … 1,000"),
    (("openai",), {"inputs": (IMAGE,), "style": "vivid"}, "style="),
    (("openai", "gpt-image-1"), {"input_fidelity": "high"}, "image="),
    (("openai",), {"input_fidelity": "high", "inputs": (IMAGE,)}, "input_fidelity="),
]  # fmt: skip


@pytest.mark.parametrize(("where", "requested", "named"), REFUSED)
def test_a_refusal_names_the_right_thing(where, requested, named):
    text = str(refuse(*where, **requested))
    assert all(part in text for part in named.split("…")), text


def test_streaming_is_refused_where_it_would_cost_an_image():
    own = {"litellm": {"base_url": "https://proxy.example"}}
    for options in ({"stream": True}, {"partial_images": 2}):
        text = str(refuse("litellm", "gpt-image-2", own=own, **options))
        assert "extra=" not in text  # no advice to send it anyway
    request, notes = check("litellm", "gpt-image-2", own=own, configured={"stream"}, stream=True)
    assert (request.options, len(notes)) == ({}, 1)


TAKEN = [
    (("openai",), {"size": "1024x1024", "aspect_ratio": "1:1"}),
    (("openai",), {"size": "landscape", "aspect_ratio": "16:9"}),
    (("openai",), {"size": "auto", "aspect_ratio": "16:9"}),
    (("openai",), {"seed": 7}),
    (("openai",), {"seed": 2**40}),
    (("openai", "gpt-image-1"), {"size": "auto"}),
    (("openai", "dall-e-3"), {"size": "auto"}),
    (("openai", "dall-e-3"), {"n": 1}),
    (("ark",), {"n": 1}),
    (("ark",), {"size": "2K", "aspect_ratio": "16:9"}),
    (("api000",), {"stream": False}),
    (("openai",), {"output_compression": 85, "output_format": "webp"}),
    (("openai",), {"background": "transparent"}),
    (("openai", "gpt-image-1"), {"input_fidelity": "high", "inputs": (IMAGE,)}),
    (("openai",), {"inputs": (IMAGE,) * 16, "mask": IMAGE}),
    (("openai", "gpt-image-2.5-flare"), {"size": "1008x1008", "quality": "max", "background": "opaque"}),
    (("openai", "gpt-image-2.6-flare"), {"output_format": "gif", "frame_count": 3, "complexity": "low"}),
    (("openai", "gpt-image-2.6-sunburst"), {"output_format": "svg", "n": 1, "stream": False}),
    (("ark", "seedream-5.0-pro"), {"size": "1000x1000"}),  # only reported
    (("openai", "dall-e-3"), {"quality": "auto", "background": "auto"}),
    (("xzbzq", "flux-kontext-pro"), {"size": "1280x720"}),
    (("dmxapi", "gpt-image-2"), {"size": "7x7"}),  # not listed there: as typed
    (("openai",), {"prompt": "x" * 32_000}),
]  # fmt: skip


@pytest.mark.parametrize(("where", "requested"), TAKEN)
def test_what_may_be_sent_passes(where, requested):
    request, _ = check(*where, **requested)
    assert catalog.translate(
        request, catalog.find_capabilities(request, catalog.Registry().find(where[0]))
    ).model


def test_set_is_never_checked_and_replaces_the_option():
    request, _ = check("openai", n=99, size="7x7", extra={"n": 99, "size": "7x7", "seed": 1})
    assert request.extra == {"n": 99, "size": "7x7", "seed": 1}
    sent = catalog.translate(request, catalog.find_capabilities(request, catalog.Registry().find("openai")))
    assert sent.options == {}
    refuse("openai", n=99, extra={"size": "7x7"})


def test_a_model_by_set_decides_too():
    refuse("openai", "gpt-image-2", style="vivid")
    check("openai", "gpt-image-2", style="vivid", extra={"model": "dall-e-3"})


def test_a_configured_value_is_left_out_with_a_note():
    request, notes = check(
        "openai",
        configured={"quality", "style", "n", "size"},
        quality="hd",
        style="vivid",
        n=20,
        size="1000x1000",
        background="opaque",
    )
    assert request.options == {"background": "opaque"}
    assert len(notes) == 4
    assert any(re.search("quality=hd.*gpt-image-2 on openai .*auto, low", note) for note in notes)


def test_of_a_pair_the_configured_one_goes():
    request, notes = check(
        "openai", configured={"output_format"}, background="transparent", output_format="jpeg"
    )
    assert request.options == {"background": "transparent"}
    (note,) = notes
    assert "output_format=jpeg" in note
    with pytest.raises(InvalidOption):
        check("openai", configured={"output_format"}, output_compression=5, output_format="png")


def test_a_configured_seed_stays_and_tells_runs_apart():
    request, notes = check("openai", configured={"seed"}, seed=7)
    assert request.options == {"seed": 7}
    assert notes == ()


@pytest.mark.parametrize(
    ("where", "model", "named"),
    [
        ("openai", "gpt-image-1", "gpt-image-1 2026-10-23"),
        ("xai", "grok-imagine-image-quality", "grok-imagine-image-quality 2026-11-02 grok-imagine-image-2.0"),
        ("openai", "gpt-image-1.5", "gpt-image-1.5 2026-12-01 gpt-image-2"),
        ("xzbzq", "imagen4", "imagen4 google 2026-08-17"),
    ],
)
def test_retirement_refuses_nothing(where, model, named):
    (note,) = check(where, model)[1]
    assert_names(note, *named.split())


def test_a_model_that_is_not_retired_has_no_note():
    assert check("openai")[1] == ()


def test_a_vendors_advice_on_length_refuses_nothing():
    for prompt, length in (("狐" * 301, 301), ("fox " * 601, 601)):
        (note,) = check("xzbzq", "seedream-3.0", prompt=prompt)[1]
        assert_names(note, length, length - 1, "seedream-3.0")
    with pytest.raises(InvalidInput):
        check("openai", prompt="x" * 32_001)


def test_limits_of_a_text_refuse_nothing():
    own = {"lab": {"base_url": "https://gpu.example", "models": {"mine": {"limits": {"quality": [1, 2]}}}}}
    assert check("lab", "mine", own=own, quality="high")[0].options == {"quality": "high"}
