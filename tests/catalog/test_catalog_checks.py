"""What is refused, what is left out, and who decides."""

from datetime import date

import pytest

from ipyimagegen import catalog
from ipyimagegen.core.errors import ImagineError, InvalidInput, InvalidOption
from ipyimagegen.core.request import Input, Request

TODAY = date(2026, 11, 20)
IMAGE = Input(sha256="00", mime="image/png", width=64, height=64)


def ask(where, model=None, *, prompt="a fox", extra=None, inputs=(), mask=None, own=None, **options):
    endpoint = catalog.find_endpoint(where, own or {})
    request = Request(
        operation="edits" if inputs else "generations",
        endpoint=endpoint.name,
        base_url=endpoint.base_url,
        model=model,
        prompt=prompt,
        options=options,
        extra=extra or {},
        inputs=inputs,
        mask=mask,
    )
    return request, endpoint


def check(where, model=None, *, configured=(), today=TODAY, **asked):
    request, endpoint = ask(where, model, **asked)
    return catalog.check(request, endpoint, configured=frozenset(configured), today=today)


def refusal(*args, **asked):
    with pytest.raises(ImagineError) as caught:
        check(*args, **asked)
    text = str(caught.value)
    assert text.count("\n") <= 1
    assert len(text) < 320
    assert not text.startswith(" ")
    return text


# --- who decides ------------------------------------------------------------------------------------


def test_the_endpoints_row_for_the_model_decides_first():
    own = {"xzbzq": {"models": {"gpt-image-1": {"fields": ["size"]}}}}
    endpoint = catalog.find_endpoint("xzbzq", own)
    assert catalog.list_fields(endpoint, "gpt-image-1") == {"size"}


def test_then_the_endpoints_row():
    endpoint = catalog.find_endpoint("dmxapi")
    assert "style" in catalog.list_fields(endpoint, "gpt-image-1")  # as its documents have it
    assert catalog.list_fields(endpoint, "gpt-image-1") == catalog.list_fields(endpoint, "never-heard-of")
    assert catalog.list_fields(endpoint, None) == set(endpoint.fields)


def test_then_the_models_row_on_its_own_vendor_only():
    assert "style" in catalog.list_fields(catalog.find_endpoint("openai"), "dall-e-3")
    assert "seed" not in catalog.list_fields(catalog.find_endpoint("openai"), "gpt-image-2")
    assert catalog.list_fields(catalog.find_endpoint("https://gpu.example"), "gpt-image-2") is None
    assert catalog.find_model_row(catalog.find_endpoint("https://gpu.example"), "gpt-image-2") is None
    assert catalog.list_fields(catalog.find_endpoint("ark"), "gpt-image-2") is None


def test_else_it_goes_as_typed():
    request, said = check("openai", "gpt-image-9", seed=7, style="odd", size="7x7", n=99)
    assert request.options == {"seed": 7, "style": "odd", "size": "7x7", "n": 99}
    assert said == ()
    sent = catalog.translate(*ask("openai", "gpt-image-9", seed=7, style="odd", size="7x7", n=99))
    assert sent.options == {"seed": 7, "style": "odd", "size": "7x7", "n": 99}
    assert sent.model == "gpt-image-9"


def test_the_effective_row_says_which_fields_may_be_sent():
    row = catalog.find_model_row(catalog.find_endpoint("whatai"), "gpt-image-1")
    assert set(row.fields) == {"n", "aspect_ratio", "size", "seed", "response_format", "quality"}
    assert row.sizes == ("1024x1024", "1536x1024", "1024x1536", "auto")


def test_the_vendors_prices_stay_at_the_vendor():
    assert catalog.find_model_row(catalog.find_endpoint("dmxapi"), "gpt-image-1").prices == ()
    assert catalog.find_model_row(catalog.find_endpoint("dmxapi"), "gpt-image-1").rates is None
    (price,) = catalog.find_model_row(catalog.find_endpoint("xzbzq"), "gpt-image-1").prices
    assert (price.amount, price.currency, price.at_least) == (1, "CNY", True)


def test_sketch_takes_any_model_name():
    row = catalog.find_model_row(catalog.find_endpoint("sketch"), "gpt-image-2")
    assert "seed" in row.fields
    assert row.name == "gpt-image-2"
    check("sketch", "never-heard-of", size="64x4096", seed=1, quality="hd", negative_prompt="red")
    assert "64" in refusal("sketch", size="63x64")


# --- refusals: one or two lines, naming the right thing -------------------------------------------------

REFUSED = [
    (("openai",), {"response_format": "url"}, "gpt-image-2 on openai does not take --response-format"),
    (("openai",), {"negative_prompt": "red"}, "--set negative_prompt=…"),
    (("openai",), {"n": 12}, "--seed 1..12"),
    (("openai", "dall-e-3"), {"n": 4}, "--seed 1..4"),
    (("ark",), {"n": 4}, "--seed 1..4"),
    (("openai",), {"size": "1000x1000"}, "nearest: 992x992 or 1008x1008"),
    (("openai",), {"size": "1920x1080"}, "nearest: 1920x1088 or 1920x1072"),
    (("openai",), {"size": "64x64"}, "nearest: 816x816"),
    (("openai",), {"size": "9999x9999"}, "nearest: 2880x2880"),
    (("openai",), {"size": "2K"}, "pixels from 655,360 up to 8,294,400, auto"),
    (("openai", "dall-e-3"), {"size": "1920x1080"}, "nearest: 1792x1024"),
    (("openai", "gpt-image-1"), {"size": "512x512"}, "nearest: 1024x1024"),
    (("ark", "seedream-4.5"), {"size": "1024x1024"}, "nearest: 1920x1920 or 1920x1936"),
    (("ark", "seedream-4.5"), {"size": "1K"}, "2K, 4K"),
    (("openai",), {"quality": "hd"}, "auto, low, medium, high"),
    (("openai",), {"quality": "hihg"}, "Did you mean high?"),
    (("openai", "dall-e-3"), {"quality": "high"}, "standard, hd"),
    (("openai", "dall-e-3"), {"background": "opaque"}, "does not take --background"),
    (("openai",), {"background": "transparent", "output_format": "jpeg"}, "png or webp"),
    (("openai",), {"output_compression": 85}, "--output-format jpeg or webp"),
    (("openai",), {"output_compression": 85, "output_format": "png"}, "--output-format jpeg or webp"),
    (("openai",), {"size": "1024x1024", "aspect_ratio": "16:9"}, "contradict"),
    (("openai",), {"size": "portrait", "aspect_ratio": "16:9"}, "contradict"),
    (("ark", "doubao-seedream-3-0-t2i"), {"seed": 2**31}, "-1 to 2147483647"),
    (("ark", "doubao-seedream-3-0-t2i"), {"guidance_scale": 0.5}, "1 to 10"),
    (("xzbzq", "seedream-3.0"), {"response_format": "url"}, "takes b64_json"),
    (("xzbzq", "imagen4"), {"size": "1000x999"}, "nearest: --aspect-ratio 1:1"),
    (("xai",), {"size": "2K"}, "--aspect-ratio"),
    (("xai",), {"quality": "high"}, "does not take --quality"),
    (("api000",), {"stream": True}, "does not take --stream"),
    (("together",), {}, "--model NAME"),
    (("openai", "dall-e-3"), {"inputs": (IMAGE,)}, "takes no --image"),
    (("openai", "dall-e-2"), {"inputs": (IMAGE, IMAGE)}, "at most 1 --image, not 2"),
    (("xzbzq", "flux-kontext-pro"), {"inputs": (IMAGE,), "mask": IMAGE}, "takes no --mask"),
    (("openai", "dall-e-2"), {"prompt": "x" * 1001}, "1,001 characters; dall-e-2 takes 1,000"),
    (("openai",), {"inputs": (IMAGE,), "style": "vivid"}, "does not take --style for edits"),
    (("openai", "gpt-image-1"), {"input_fidelity": "high"}, "only for edits, with --image"),
    (("openai",), {"input_fidelity": "high", "inputs": (IMAGE,)}, "does not take --input-fidelity"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "asked", "says"), REFUSED)
def test_a_refusal_names_the_right_thing(where, asked, says):
    assert says in refusal(*where, **asked)


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
    (("openai", "gpt-image-2.5-flare"), {"size": "1000x1000", "quality": "max"}),  # only reported
    (("openai", "gpt-image-2.5-flare"), {"quality": "ultra"}),
    (("xzbzq", "flux-kontext-pro"), {"size": "1280x720"}),
    (("dmxapi", "gpt-image-2"), {"size": "7x7"}),  # not listed there: as typed
    (("openai",), {"prompt": "x" * 32_000}),
]  # fmt: skip


@pytest.mark.parametrize(("where", "asked"), TAKEN)
def test_what_may_be_sent_passes(where, asked):
    request, _ = check(*where, **asked)
    assert catalog.translate(request, catalog.find_endpoint(where[0])).model


def test_set_is_never_checked_and_replaces_the_option():
    request, _ = check("openai", n=99, size="7x7", extra={"n": 99, "size": "7x7", "seed": 1})
    assert request.extra == {"n": 99, "size": "7x7", "seed": 1}
    sent = catalog.translate(request, catalog.find_endpoint("openai"))
    assert sent.options == {}
    refusal("openai", n=99, extra={"size": "7x7"})


def test_a_model_by_set_decides_too():
    refusal("openai", "gpt-image-2", style="vivid")
    check("openai", "gpt-image-2", style="vivid", extra={"model": "dall-e-3"})


def test_a_configured_value_is_left_out_and_said():
    request, said = check(
        "openai",
        configured={"quality", "style", "n", "size"},
        quality="hd",
        style="vivid",
        n=20,
        size="1000x1000",
        background="opaque",
    )
    assert request.options == {"background": "opaque"}
    assert len(said) == 4
    assert "the configured quality hd was left out: gpt-image-2 on openai takes auto, low" in " ".join(said)


def test_of_a_pair_the_configured_one_goes():
    request, said = check(
        "openai", configured={"output_format"}, background="transparent", output_format="jpeg"
    )
    assert request.options == {"background": "transparent"}
    assert said == ("the configured output_format jpeg was left out: a jpeg cannot be transparent",)
    with pytest.raises(InvalidOption):
        check("openai", configured={"output_format"}, output_compression=5, output_format="png")


def test_a_configured_seed_stays_and_tells_runs_apart():
    request, said = check("openai", configured={"seed"}, seed=7)
    assert request.options == {"seed": 7}
    assert said == ()


@pytest.mark.parametrize(
    ("where", "model", "says"),
    [
        ("openai", "gpt-image-1", "gpt-image-1 was shut down on 2026-10-23; gpt-image-2 replaces it"),
        ("openai", "gpt-image-1.5", "gpt-image-1.5 will be shut down on 2026-12-01; gpt-image-2 replaces it"),
        ("xzbzq", "imagen4", "imagen4 was shut down by its vendor (google) on 2026-08-17"),
    ],
)
def test_retirement_refuses_nothing(where, model, says):
    assert check(where, model)[1] == (says,)


def test_a_living_model_says_nothing():
    assert check("openai")[1] == ()


def test_a_vendors_advice_on_length_refuses_nothing():
    assert check("xzbzq", "seedream-3.0", prompt="狐" * 301)[1] == (
        "the prompt has 301 Chinese characters; seedream-3.0 is made for 300",
    )
    assert check("xzbzq", "seedream-3.0", prompt="fox " * 601)[1] == (
        "the prompt has 601 words; seedream-3.0 is made for 600",
    )
    with pytest.raises(InvalidInput):
        check("openai", prompt="x" * 32_001)
