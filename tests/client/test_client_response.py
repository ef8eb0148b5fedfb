"""What is read out of replies: images, addresses, facts, usage, cost, errors of items."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sockets import b64

from ipyimagegen.client import DIALECTS
from ipyimagegen.client.response import ON_DISK, read_response
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.redact import Redactor

HERE = Endpoint(name="e", base_url="https://host/v1")
PNG = b64(b"\x89PNG")


def answer(body, *, endpoint=HERE, headers=None, secrets=()):
    body = DIALECTS[endpoint.dialect].read_body(body)
    return read_response(body, endpoint, Redactor(secrets), headers=headers or {})


def read_item(item, **more):
    (image,) = answer({"data": [item]}, **more).images
    return image


@pytest.mark.parametrize(
    ("item", "base64", "url"),
    [
        ({"b64_json": PNG}, PNG, None),
        ({"b64_json": PNG, "url": ""}, PNG, None),
        ({"b64_json": "", "url": "https://cdn/x.png"}, None, "https://cdn/x.png"),
        ({"b64_json": None, "url": " https://cdn/x.png\n"}, None, "https://cdn/x.png"),
        ({"b64_json": PNG, "url": "https://cdn/x.png"}, PNG, "https://cdn/x.png"),
        ({"url": f"data:image/png;base64,{PNG}"}, f"data:image/png;base64,{PNG}", None),
        ({"b64_json": f"data:image/png;base64,{PNG}", "url": None}, f"data:image/png;base64,{PNG}", None),
        ({"url": "/v1/images/7/content"}, None, "https://host/v1/images/7/content"),
        ({"url": "7.png"}, None, "https://host/v1/7.png"),
        ({"url": "//cdn/7.png"}, None, "https://cdn/7.png"),
        (
            {"url": "http://localhost:8080/generated-images/7.png"},
            None,
            "http://localhost:8080/generated-images/7.png",
        ),
    ],
)
def test_where_the_image_is(item, base64, url):
    image = read_item(item)
    assert (image.base64, image.url, image.note) == (base64, url, "")


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("/root/.xinference/image/7.jpg", "openai"),
        ("/any/where/7.jpg", "xinference"),
        ("file:///etc/passwd", "openai"),
        ("C:\\images\\7.png", "openai"),
        ("/tmp/7.png", "sglang"),
    ],
)
def test_a_path_on_the_servers_disk(url, dialect):
    image = read_item({"url": url}, endpoint=Endpoint(name="e", base_url="https://host/v1", dialect=dialect))
    assert (image.url, image.base64, image.note) == (None, None, ON_DISK)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "ftp://host/x", "http://", "https://[x", "https://a/\u202ex"]
)
def test_an_address_that_is_none(url):
    image = read_item({"url": url})
    assert image.url is None
    assert "\u202e" not in image.note
    assert image.note


def test_an_address_with_the_key_is_not_used():
    image = read_item({"url": "https://host/?k=pass-phrase-77"}, secrets=["pass-phrase-77"])
    assert image.url is None
    assert "pass-phrase" not in repr(image)


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": None},
        {"data": "x"},
        {"data": 7},
        {},
        [],
        {"data": [{}]},
        {"data": [None, 3, "x", []]},
    ],
)
def test_no_image_is_said(body):
    result = answer(body)
    assert result.images == ()
    assert result.note


def test_a_single_item_and_a_bare_list_are_understood():
    assert len(answer({"data": {"b64_json": PNG}}).images) == 1
    assert len(answer([{"b64_json": PNG}, {"b64_json": PNG}]).images) == 2


def test_items_that_are_errors_in_a_200():
    body = {
        "model": "doubao-seedream-4-0",
        "data": [
            {"url": "https://cdn/1.jpg", "size": "2048x2048"},
            {"error": {"code": "OutputImageSensitiveContentDetected", "message": "blocked"}},
        ],
        "usage": {"generated_images": 1, "output_tokens": 16384, "total_tokens": 16384},
    }
    result = answer(body)
    assert len(result.images) == 1
    assert [(e.code, e.message) for e in result.errors] == [
        ("OutputImageSensitiveContentDetected", "blocked")
    ]
    assert result.facts["usage"] == {"output_tokens": 16384, "total_tokens": 16384, "generated_images": 1}
    assert result.facts["size"] == "2048x2048"


FACTS = {"size": "1536x1024", "quality": "low", "background": "opaque", "output_format": "png"}


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        ({"created": 5, **FACTS, "data": [{"b64_json": PNG}]}, {"created": 5, **FACTS}),
        (
            {"created": 5, "background": "opaque", "data": [{"b64_json": PNG, **FACTS}]},
            {"created": 5, **FACTS},
        ),
        ({"size": "", "data": [{"b64_json": PNG, "size": "2x2", "seed": 0}]}, {"size": "2x2", "seed": 0}),
        ({"model": "m\x1b[31m", "created": True, "size": [1], "data": []}, {"model": "m"}),
        ({"seed": 1e400, "id": None, "data": []}, {}),
        ({"seed": 10**4000, "created": float("nan"), "data": []}, {}),
    ],
)
def test_facts_at_the_top_or_in_the_item(body, facts):
    assert answer(body).facts == facts


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens": 196,
                "output_tokens_details": {"image_tokens": 196, "text_tokens": 0},
                "total_tokens": 246,
            },
            {
                "input_tokens": 50,
                "output_tokens": 196,
                "total_tokens": 246,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens_details": {"text_tokens": 0, "image_tokens": 196},
            },
        ),
        (
            {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 2}},
            {"input_tokens": 5, "output_tokens": 6, "input_tokens_details": {"cached_tokens": 2}},
        ),
        ({"input_tokens": "5", "output_tokens": -1, "total_tokens": None}, None),
        ("many", None),
        (None, None),
    ],
)
def test_usage_in_both_forms(usage, expected):
    assert answer({"data": [], "usage": usage}).facts.get("usage") == expected


@pytest.mark.parametrize(
    ("body", "headers", "cost"),
    [
        ({"usage": {"cost": 0.04}}, {}, {"amount": 0.04, "currency": "USD", "source": "usage.cost"}),
        (
            {},
            {"x-litellm-response-cost": "0.05"},
            {"amount": 0.05, "currency": "USD", "source": "x-litellm-response-cost"},
        ),
        ({"usage": {"cost": "0.04"}}, {"x-litellm-response-cost": "None"}, None),
        ({"usage": {"cost": -1}}, {"x-litellm-response-cost": "nan"}, None),
    ],
)
def test_cost_that_the_server_says(body, headers, cost):
    assert answer(body, headers=headers).facts.get("cost") == cost


def test_text_of_the_server_is_inert_and_redacted():
    image = read_item(
        {"b64_json": PNG, "revised_prompt": "<b>\x1b[1mfox\u202e</b> pass-phrase-77"},
        secrets=["pass-phrase-77"],
    )
    assert image.revised_prompt == "<b>fox</b> [key]"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "b64_json", "url", "error", "usage", "cost", "size", "seed"]), inner
        )
    ),
)


@given(json_values)
def test_any_json_is_read(body):
    answer(body)
