"""The strict servers themselves: each takes its documented fields and refuses every other."""

import pytest
import requests
from gateway_documents import GATEWAYS, ONE_API
from strict import KEY, never, strict

DOCUMENTS = {**GATEWAYS, "one-api": ONE_API}
ALL_FIELDS = {
    "aspect_ratio": "16:9",
    "size": "1024x1024",
    "n": 1,
    "seed": 7,
    "quality": "standard",
    "style": "vivid",
    "background": "opaque",
    "output_format": "png",
    "output_compression": 50,
    "moderation": "low",
    "response_format": "b64_json",
    "input_fidelity": "high",
    "negative_prompt": "dogs",
    "guidance_scale": 2.5,
    "watermark": False,
    "stream": True,
    "partial_images": 1,
    "user": "me",
    "surprise": 1,
}
MODELS = [(name, model) for name, document in DOCUMENTS.items() for model in document.models]


def ask(server, body, key=KEY):
    url = f"{server.base_url}/images/generations"
    return requests.post(url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=10)


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_every_undocumented_field_is_refused(serve, name, model):
    document = DOCUMENTS[name]
    server = serve(strict(document))
    checks = {**document.fields, **document.models[model]}
    for field, value in ALL_FIELDS.items():
        answered = ask(server, {"model": model, "prompt": "a fox", field: value})
        if checks.get(field, never) is never:
            assert answered.status_code == 400, field
            assert answered.json()["error"]["code"] == "unknown_parameter"


WRONG = {"n": "1", "seed": 1.5, "size": "1024×1024", "watermark": "no", "prompt": "", "guidance_scale": True}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_wrong_types_values_models_and_keys_are_refused(serve, name):
    document = DOCUMENTS[name]
    server = serve(strict(document))
    for model in document.models:
        for field, value in WRONG.items():
            answered = ask(server, {"model": model, "prompt": "a fox", field: value})
            assert answered.status_code == 400, (model, field)
    assert ask(server, {"model": model, "prompt": "a fox"}, key="sk-other").status_code == 401
    assert ask(server, {"model": "gpt-4", "prompt": "a fox"}).status_code == document.no_model
    assert ask(server, {"model": model}).status_code == 400
