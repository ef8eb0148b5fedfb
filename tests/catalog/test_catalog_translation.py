"""What becomes of sizes, ratios, words, seeds and fills on the way to a server."""

from fractions import Fraction

import pytest
from catalog_requests import IMAGE, find_row, make_request
from hypothesis import given
from hypothesis import strategies as st
from raising import assert_names, values_of

from ipyimagegen import catalog
from ipyimagegen.catalog import sizes
from ipyimagegen.core.errors import InvalidOption

PAIRS = [
    (endpoint, name)
    for endpoint in tuple(catalog.Registry())
    if endpoint.base_url
    for name in [row.name for row in catalog.load_models()] + ["never-heard-of"]
    if "edit" not in name.lower()  # an edit has the size of its input: it takes neither size nor ratio
    if find_row(endpoint, name) or name == "never-heard-of"
]
RATIOS = ["1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "21:9", "9:21", "5:4", "2.39:1", "4:1", "1:20"]


def translate(where, model=None, **requested):
    request, endpoint = make_request(where, model, **requested)
    request, _ = catalog.check(request, catalog.find_capabilities(request, endpoint))
    return catalog.translate(request, catalog.find_capabilities(request, endpoint))


SHAPES = [
    ("openai", "gpt-image-2", {"aspect_ratio": "16:9"}, {"size": "1280x720"}, ""),
    ("sketch", None, {"aspect_ratio": "16:9"}, {"size": "1280x720"}, ""),
    ("openai", "gpt-image-2", {"size": "square"}, {"size": "1024x1024"}, ""),
    ("openai", "gpt-image-2", {"size": "1008x1008"}, {"size": "1008x1008"}, ""),
    ("openai", "gpt-image-2", {"size": "auto"}, {"size": "auto"}, ""),
    ("openai", "gpt-image-2", {"aspect_ratio": "4:1"}, {"size": "1776x592"}, "4:1 1776x592 3:1"),
    ("openai", "gpt-image-1", {"aspect_ratio": "16:9"}, {"size": "1536x1024"}, "16:9 1536x1024 3:2"),
    ("openai", "gpt-image-1", {"aspect_ratio": "3:2"}, {"size": "1536x1024"}, ""),
    ("openai", "gpt-image-1", {"size": "portrait"}, {"size": "1024x1536"}, ""),
    ("openai", "dall-e-3", {"size": "landscape"}, {"size": "1792x1024"}, ""),
    ("openai", "dall-e-3", {"aspect_ratio": "9:16"}, {"size": "1024x1792"}, "9:16 1024x1792 4:7"),
    ("openai", "dall-e-3", {"size": "auto"}, {}, ""),
    ("openai", "dall-e-2", {"size": "portrait"}, {"size": "1024x1024"}, "portrait 1024x1024 1:1"),
    ("ark", "seedream-4.5", {"aspect_ratio": "16:9"}, {"size": "2560x1440"}, ""),
    ("ark", "seedream-4.0", {"size": "4K"}, {"size": "4K"}, ""),
    ("ark", "seedream-3.0", {"aspect_ratio": "1:20"}, {"size": "512x2048"}, "1:20 512x2048 1:4"),
    ("xai", None, {"size": "1280x720"}, {"aspect_ratio": "16:9"}, "1280x720 16:9"),
    ("xai", None, {"size": "portrait"}, {"aspect_ratio": "2:3"}, ""),
    ("xai", None, {"aspect_ratio": "32:18"}, {"aspect_ratio": "16:9"}, ""),
    ("together", "x", {"aspect_ratio": "16:9"}, {"size": "1280x720"}, ""),
    ("together", "x", {"size": "auto"}, {}, ""),
    ("xai", None, {"size": "2K", "aspect_ratio": "21:9"}, {"size": "2K", "aspect_ratio": "21:9"}, ""),
    ("xai", None, {"size": "2K"}, {"size": "2K"}, ""),
    ("xai", "grok-4", {"size": "1280x720"}, {"aspect_ratio": "16:9"}, "1280x720 16:9"),
    ("openrouter", "x", {"size": "4K", "aspect_ratio": "16:9"}, {"size": "4K", "aspect_ratio": "16:9"}, ""),
    ("openrouter", "x", {"aspect_ratio": "16:9"}, {"aspect_ratio": "16:9"}, ""),
    ("ark", "seedream-4.0", {"size": "2K", "aspect_ratio": "16:9"}, {"size": "2816x1584"}, ""),
    ("ark", "seedream-5.0-pro", {"size": "1.5K"}, {"size": "1.5K"}, ""),
    ("siliconflow", None, {}, {"size": "1024x1024"}, ""),
    ("siliconflow", None, {"size": "auto"}, {"size": "1024x1024"}, ""),
    ("siliconflow", None, {"aspect_ratio": "3:4"}, {"size": "960x1280"}, ""),
    ("zhipu", None, {"size": "1728x960"}, {"size": "1728x960"}, ""),
    ("zhipu", None, {"quality": "auto", "background": "auto"}, {}, ""),
    (
        "https://gpu.example",
        "x",
        {"size": "2K", "aspect_ratio": "1:1"},
        {"size": "2K", "aspect_ratio": "1:1"},
        "",
    ),
    ("together", "x", {"size": "landscape"}, {"size": "1248x832"}, ""),
    ("https://gpu.example", "x", {"aspect_ratio": "16:9"}, {"aspect_ratio": "16:9"}, ""),
    ("https://gpu.example", "x", {"size": "auto"}, {"size": "auto"}, ""),
]


@pytest.mark.parametrize(("where", "model", "requested", "options", "note"), SHAPES)
def test_shapes(where, model, requested, options, note):
    sent = translate(where, model, **requested)
    assert sent.options == options
    assert [" ".join(values_of(text)) for text in sent.notes] == ([note] if note else [])


@pytest.mark.parametrize(
    ("requested", "ratio", "notes"),
    [
        ({"aspect_ratio": "16:9"}, "16:9", []),
        ({"aspect_ratio": "5:4"}, "5:4", []),  # any ratio from 9:21 to 21:9
        ({"aspect_ratio": "4:1"}, "21:9", ["4:1 21:9"]),
        ({"size": "1280x720"}, "16:9", ["1280x720 16:9"]),
        ({"size": "1000x800"}, "5:4", ["1000x800 5:4"]),
    ],
)
def test_where_a_model_takes_only_ratios(requested, ratio, notes):
    sent = translate("whatai", "flux-kontext-max", **requested)
    assert sent.options == {"aspect_ratio": ratio}
    assert [" ".join(values_of(note)) for note in sent.notes[:-1]] == notes
    assert "whatai" in sent.notes[-1]


@pytest.mark.parametrize(("endpoint", "name"), PAIRS, ids=lambda value: getattr(value, "name", value))
def test_every_ratio_becomes_something_that_the_model_takes(endpoint, name):
    row = find_row(endpoint, name)
    for ratio in RATIOS:
        sent = translate(endpoint, name, aspect_ratio=ratio).options
        assert ("size" in sent) != ("aspect_ratio" in sent), ratio
        (option,) = sent.keys() & {"size", "aspect_ratio"}
        again = translate(endpoint, name, **{option: sent[option]}).options
        assert again[option] == sent[option]  # what was sent is translated to itself
        if option == "size":
            width, height = sizes.parse_pixels(sent["size"])
            assert row is None or sizes.takes_size(row, sent["size"]), ratio
            assert (width - height) * (sizes.parse_ratio(ratio) - 1) >= 0  # never lying for standing


EDGE = st.integers(min_value=1, max_value=5000)


@given(pair=st.sampled_from(PAIRS), width=EDGE, height=EDGE, multiple=st.sampled_from([1, 16, 64]))
def test_a_typed_size_is_sent_as_typed_or_refused(pair, width, height, multiple):
    typed = f"{width * multiple}x{height * multiple}"
    try:
        sent = translate(*pair, size=typed).options
    except InvalidOption:
        return
    if "size" in sent:
        assert sent["size"] == typed
    else:
        assert sizes.parse_ratio(sent["aspect_ratio"]) == Fraction(width, height)


@given(width=EDGE, height=EDGE)
def test_the_nearest_sizes_are_sizes(width, height):
    for name in ("gpt-image-2", "seedream-4.5", "doubao-seedream-3-0-t2i", "dall-e-3"):
        row = catalog.find_model(name)
        near = sizes.find_nearest_sizes(row, (width, height))
        assert near
        assert all(sizes.takes_size(row, f"{w}x{h}") for w, h in near)


def test_ties_go_to_the_larger():
    row = catalog.find_model("dall-e-2")
    assert sizes.find_size(row, Fraction(1)) == (1024, 1024)


def test_a_seed_without_a_channel_is_not_sent():
    sent = translate("openai", seed=7)
    assert sent.options == {}
    assert sent.unsent == ("seed",)
    (note,) = sent.notes
    assert_names(note, "seed", 7, "gpt-image-2 on openai")


@pytest.mark.parametrize(
    ("where", "model"),
    [("ark", "doubao-seedream-3-0-t2i"), ("sketch", None), ("together", "x"), ("https://gpu.example", "x")],
)
def test_a_seed_with_a_channel_is_sent(where, model):
    sent = translate(where, model, seed=7)
    assert sent.options == {"seed": 7}
    assert sent.unsent == ()


def test_a_relay_that_may_drop_a_seed_is_named():
    (note,) = translate("xzbzq", seed=7).notes
    assert_names(note, "xzbzq", "seed")


def test_what_a_server_cannot_do_without_is_filled_in():
    for where in ("xzbzq", "whatai"):
        assert translate(where, "seedream-3.0").options == {"response_format": "b64_json"}
        assert translate(where, "seedream-3.0", extra={"response_format": "url"}).options == {}
        assert translate(where, "gpt-image-1").options == {}
    own = catalog.Registry({"xinference": {"base_url": "http://localhost:9997"}}).find("xinference")
    assert translate(own, "sd3").options == {"response_format": "b64_json"}
    assert translate(own, "sd3", response_format="url").options == {"response_format": "url"}


def test_nothing_else_is_ever_filled_in():
    for endpoint, name in PAIRS:
        assert set(translate(endpoint, name).options) <= {"response_format", "size"}, (endpoint.name, name)


def test_the_model_is_filled_in_and_sent_as_typed():
    assert translate("openai").model == "gpt-image-2"
    assert translate("openai", "GPT-image-2-2026-04-21").model == "GPT-image-2-2026-04-21"
    assert translate("xzbzq").model == "flux-kontext-pro"


@pytest.mark.parametrize(
    ("where", "typed", "sent"),
    [
        ("ark", "seedream-4.0", "doubao-seedream-4-0-250828"),
        ("ark", "Seedream-3.0", "doubao-seedream-3-0-t2i-250415"),
        ("ark", "doubao-seedream-3-0-t2i", "doubao-seedream-3-0-t2i-250415"),
        ("ark", "seedream-5.0-pro", "doubao-seedream-5-0-pro-260628"),
        ("ark", "doubao-seedream-5-0-260128", "doubao-seedream-5-0-lite-260128"),
        ("ark", "ep-20260101-abcde", "ep-20260101-abcde"),
        ("xzbzq", "seedream-3.0", "seedream-3.0"),
        ("dmxapi", None, "seedream-4.0"),
    ],
)
def test_a_vendor_gets_its_own_id_of_a_model(where, typed, sent):
    assert translate(where, typed).model == sent


def test_what_a_server_ignores_is_not_sent():
    entry = {"base_url": "https://gpu.example", "fields": ["size"], "ignored_fields": ["style", "quality"]}
    edits = {**entry, "edits": True, "edit_fields": ["+quality"]}
    lab = catalog.Registry({"lab": edits}).find("lab")
    sent = translate(lab, "x", style="vivid", quality="high", size="64x64")
    assert (sent.options, sent.unsent) == ({"size": "64x64"}, ("style", "quality"))
    assert_names(sent.notes[0], "style", "vivid", "x on lab")
    assert translate(lab, "x", quality="high", inputs=(IMAGE,)).options == {"quality": "high"}


def test_streaming_requests_partial_images_where_there_are_some():
    assert translate("openai", stream=True).options == {"stream": True, "partial_images": 2}
    assert translate("openai", stream=True, partial_images=0).options["partial_images"] == 0
    assert translate("openai", partial_images=3).options == {"stream": True, "partial_images": 3}
    assert translate("ark", "seedream-4.0", stream=True).options == {"stream": True}
    assert translate("https://gpu.example", "x", stream=True).options == {"stream": True}


def test_one_image_needs_no_field():
    assert translate("ark", n=1).options == {}
    assert translate("ark", n=1).unsent == ()
    assert translate("openai", n=1).options == {"n": 1}


def test_an_edit_has_its_own_fields():
    sent = translate("openai", "gpt-image-1", inputs=(IMAGE,), input_fidelity="high")
    assert sent.options == {"input_fidelity": "high"}
