"""The exact body of each dialect, for options that all of them treat differently, and responses of others."""

import json

import pytest
from raising import raising
from sockets import IMAGES, b64, reply
from sse import number, numbers, stream

from ipyimagegen.client import DIALECTS, write_call
from ipyimagegen.client.dialects import Dialect
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Status

OPTIONS = {
    "size": "1536x1024",
    "n": 2,
    "seed": 7,
    "negative_prompt": "dogs",
    "guidance_scale": 2.5,
    "steps": 20,
    "response_format": "b64_json",
}
PLAIN = {"model": "m", "prompt": "a fox", **OPTIONS}


def without(*names):
    return {k: v for k, v in PLAIN.items() if k not in names}


TAG = (
    '{"seed": 7, "negative_prompt": "dogs", "response_format": "b64_json", '
    '"sample_params": {"sample_steps": 20, "guidance": {"txt_cfg": 2.5}}}'
)
BODIES = {
    "openai": PLAIN,
    "azure": without("model"),
    "new-api": PLAIN,
    "litellm": PLAIN,
    "ark": PLAIN,
    "together": {**without("size"), "width": 1536, "height": 1024, "response_format": "base64"},
    "xai": {**without("size"), "resolution": "1536x1024"},
    "openrouter": PLAIN,
    "siliconflow": {
        **without("size", "n", "steps"),
        "image_size": "1536x1024",
        "batch_size": 2,
        "num_inference_steps": 20,
    },
    "zhipu": PLAIN,
    "modelscope": {**without("guidance_scale"), "guidance": 2.5},
    "localai": {**without("negative_prompt", "steps"), "prompt": "a fox|dogs", "step": 20},
    "sdcpp": {
        "model": "m",
        "prompt": f"a fox <sd_cpp_extra_args>{TAG}</sd_cpp_extra_args>",
        "size": "1536x1024",
        "n": 2,
    },
    "sglang": {**without("steps"), "num_inference_steps": 20},
    "vllm-omni": {**without("steps"), "num_inference_steps": 20},
    "xinference": {
        **without("seed", "negative_prompt", "guidance_scale", "steps"),
        "size": "1536*1024",
        "kwargs": '{"seed": 7, "negative_prompt": "dogs", "guidance_scale": 2.5, "num_inference_steps": 20}',
    },
    "lemonade": {**without("guidance_scale"), "cfg_scale": 2.5},
}


def written(dialect, options=OPTIONS, *, base="https://host/v1", model="m", extra=None, query=None):
    sign = "|" if dialect == "localai" else ""
    endpoint = Endpoint(name="e", base_url=base, dialect=dialect, query=query or {}, negative_sign=sign)
    request = Request(endpoint="e", base_url=base, prompt="a fox", options=options, extra=extra or {})
    return write_call(request, PreparedRequest(model=model, options=options), endpoint)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_body_of_each_dialect(dialect):
    base = "https://host/openai" if dialect == "azure" else "https://host/v1"
    assert written(dialect, base=base).body == BODIES[dialect]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_is_sent_that_was_not_asked_for(dialect):
    assert list_values(written(dialect, {}, model=None).body) == ["a fox"]


def list_values(body):
    """Return the values of a body at any depth."""
    return [
        value for item in body.values() for value in (list_values(item) if isinstance(item, dict) else [item])
    ]


@pytest.mark.parametrize(
    ("dialect", "base", "query", "url"),
    [
        ("openai", "https://api.openai.com/v1", {}, "https://api.openai.com/v1/images/generations"),
        ("ark", "https://ark.example/api/v3", {}, "https://ark.example/api/v3/images/generations"),
        ("openrouter", "https://openrouter.ai/api/v1", {}, "https://openrouter.ai/api/v1/images"),
        (
            "azure",
            "https://x.example/openai",
            {"api-version": "2025-04-01-preview"},
            "https://x.example/openai/deployments/m/images/generations?api-version=2025-04-01-preview",
        ),
        (
            "azure",
            "https://x.example/openai/v1",
            {"api-version": "preview"},
            "https://x.example/openai/v1/images/generations?api-version=preview",
        ),
    ],
)
def test_url(dialect, base, query, url):
    assert written(dialect, base=base, query=query).url == url


def test_azure_newer_base_has_the_model_in_the_body_and_its_own_header():
    call = written("azure", base="https://x.example/openai/v1")
    assert (call.body["model"], call.key_header) == ("m", "api-key")


def test_a_model_name_cannot_leave_its_place_in_the_path():
    assert "/deployments/..%2F..%3Fx/images" in written("azure", base="https://x/openai", model="../..?x").url


@pytest.mark.parametrize(
    ("dialect", "extra", "expected"),
    [
        ("openai", {"size": "9x9"}, {**PLAIN, "size": "9x9"}),
        ("openai", {"model": "other"}, {**PLAIN, "model": "other"}),
        ("openai", {"seed": None}, {**PLAIN, "seed": None}),
        # the option's name, where the wire has another: the option is replaced, not sent as well
        ("together", {"size": "9x9"}, {**without("size"), "size": "9x9", "response_format": "base64"}),
        ("together", {"width": 5}, {**BODIES["together"], "width": 5}),
        (
            "xinference",
            {"seed": 1},
            {
                **BODIES["xinference"],
                "seed": 1,
                "kwargs": '{"negative_prompt": "dogs", "guidance_scale": 2.5, "num_inference_steps": 20}',
            },
        ),
        ("xinference", {"kwargs": "{}"}, {**BODIES["xinference"], "kwargs": "{}"}),
        ("lemonade", {"cfg_scale": 9}, {**BODIES["lemonade"], "cfg_scale": 9}),
        ("lemonade", {"guidance_scale": 9}, {**without("guidance_scale"), "guidance_scale": 9}),
        ("sdcpp", {"cache": 4}, {**BODIES["sdcpp"], "cache": 4}),
        ("openai", {"svg": {"model": "m"}}, {**PLAIN, "svg": {"model": "m"}}),
    ],
)
def test_set_replaces_the_field_of_that_name(dialect, extra, expected):
    assert written(dialect, extra=extra).body == expected


def test_set_gives_the_expected_count_and_streams():
    call = written("openai", extra={"n": 3, "stream": True})
    assert (call.n, call.streams) == (3, True)


def test_tiers_get_the_servers_own_words():
    assert written("xai", {"size": "2K"}).body["resolution"] == "2k"


def test_tier_words_stay_as_they_are():
    assert written("xinference", {"size": "auto"}).body["size"] == "auto"
    assert written("together", {"size": "2K"}).body["size"] == "2K"


@pytest.mark.parametrize("dialect", ["opnai", ""])
def test_unknown_dialect(dialect):
    with raising(InvalidOption, dialect):
        written(dialect)


def test_bodies_are_json():
    for dialect in DIALECTS:
        json.dumps(written(dialect).body, allow_nan=False)


# A server with responses of its own: one row and two functions


def read_other_body(body):
    return {"data": [{"b64_json": item["image"]} for item in body["output"]], "usage": body["tokens"]}


def read_other_event(value):
    kinds = {"step": "image.partial_image", "end": "image.completed"}
    return {"type": kinds[value["kind"]], "b64_json": value["image"]}


OTHER = Dialect(read_body=read_other_body, read_event=read_other_event)


def test_a_body_of_its_own(serve, post, monkeypatch):
    monkeypatch.setitem(DIALECTS, "other", OTHER)
    body = {"output": [{"image": b64(image)} for image in IMAGES[:2]], "tokens": {"total_tokens": 7}}
    outcome = post(serve(reply(body)).origin, n=2, dialect="other")
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(0, False), (1, False)])
    assert outcome.answer.facts["usage"] == {"total_tokens": 7}


def test_events_of_its_own(serve, post, monkeypatch):
    monkeypatch.setitem(DIALECTS, "other", OTHER)
    events = [
        {"kind": kind, "image": b64(image)} for kind, image in zip(["step", "end"], IMAGES, strict=False)
    ]
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    seen = []
    outcome = post(
        serve(stream(text.encode())).origin,
        n=2,
        dialect="other",
        partial=lambda image: seen.append(number(image)),
    )
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(1, False)])
    assert seen == [(0, True), (1, False)]


@pytest.mark.parametrize("body", [{}, {"output": 7}, {"data": []}, {"error": {"message": "no"}}, [], 7])
def test_a_body_that_its_dialect_cannot_read_is_read_as_it_is(serve, post, monkeypatch, body):
    monkeypatch.setitem(DIALECTS, "other", OTHER)
    outcome = post(serve(reply(body)).origin, dialect="other")
    assert outcome.status is Status.UNKNOWN
    assert outcome.error.message
