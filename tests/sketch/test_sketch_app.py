"""The WSGI application: every field, every refusal, every fault; called as any WSGI server would."""

import base64
import time

import pytest
from sketching import call

from ipyimagegen.sketch import create_app

SMALL = {"prompt": "a fox", "size": "64x64"}


@pytest.mark.parametrize("path", ["/v1/images/generations", "/images/generations"])
def test_reply(app, path):
    answer = call(app, path=path, body={**SMALL, "n": 2})
    assert answer.status == 200
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["openai-processing-ms"].isdigit()
    assert int(answer.headers["content-length"]) == len(answer.body)
    reply = answer.json
    assert {k: reply[k] for k in ("background", "output_format", "size", "quality")} == {
        "background": "opaque", "output_format": "png", "size": "64x64", "quality": "medium",
    }  # fmt: skip
    assert abs(reply["created"] - time.time()) < 60
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert [image.size for image in answer.images()] == [(64, 64)] * 2


def test_image_k_has_seed_plus_k_and_no_seed_is_zero(app):
    def draw(**options):
        return [item["b64_json"] for item in call(app, body={**SMALL, **options}).json["data"]]

    assert draw(n=3) == draw(n=3, seed=0) == [*draw(seed=0), *draw(seed=1), *draw(seed=2)]
    assert draw(seed=-1) != draw(seed=-1)
    assert draw(model="any-name", user="x", moderation="low", partial_images=2, stream=False) == draw()
    assert draw(seed=None, quality=None, fault=None) == draw()


@pytest.mark.parametrize(
    ("options", "kind", "mode"),
    [
        ({"output_format": "jpeg", "output_compression": 40}, "JPEG", "RGB"),
        ({"output_format": "webp", "output_compression": 0}, "WEBP", "RGB"),
        ({"output_format": "webp", "background": "transparent"}, "WEBP", "RGBA"),
        ({"background": "transparent"}, "PNG", "RGBA"),
        ({"output_compression": 100}, "PNG", "RGB"),
        ({"quality": "high", "style": "vivid", "negative_prompt": "snow"}, "PNG", "RGB"),
    ],
)
def test_options(app, options, kind, mode):
    answer = call(app, body={**SMALL, **options})
    (image,) = answer.images()
    assert (image.format, image.mode) == (kind, mode)
    assert answer.json["quality"] == options.get("quality", "medium")
    assert answer.json["background"] == options.get("background", "opaque")


@pytest.mark.parametrize("size", ["64x96", "96x64", "auto"])
def test_sizes(app, size):
    (image,) = call(app, body={**SMALL, "size": size, "quality": "low"}).images()
    assert "{}x{}".format(*image.size) == (size if size != "auto" else "1024x1024")


REFUSED = [
    ({"size": "64x64"}, "prompt", "missing_required_parameter"),
    ({"prompt": None}, "prompt", "missing_required_parameter"),
    ({"prompt": 5}, "prompt", "invalid_type"),
    ({"prompt": "  "}, "prompt", "invalid_value"),
    ({"prompt": "x" * 32_001}, "prompt", "invalid_value"),
    ({**SMALL, "colour": "red"}, "colour", "unknown_parameter"),
    ({**SMALL, "model": 3}, "model", "invalid_type"),
    ({**SMALL, "n": 0}, "n", "invalid_value"),
    ({**SMALL, "n": 11}, "n", "invalid_value"),
    ({**SMALL, "n": "2"}, "n", "invalid_type"),
    ({**SMALL, "n": True}, "n", "invalid_type"),
    ({**SMALL, "n": 1.0}, "n", "invalid_type"),
    ({**SMALL, "size": "63x64"}, "size", "invalid_value"),
    ({**SMALL, "size": "4097x64"}, "size", "invalid_value"),
    ({**SMALL, "size": "16:9"}, "size", "invalid_value"),
    ({**SMALL, "size": "٦٤x٦٤"}, "size", "invalid_value"),
    ({**SMALL, "size": 64}, "size", "invalid_type"),
    ({**SMALL, "seed": -2}, "seed", "invalid_value"),
    ({**SMALL, "seed": "7"}, "seed", "invalid_type"),
    ({**SMALL, "quality": "best"}, "quality", "invalid_value"),
    ({**SMALL, "quality": "\ud800"}, "quality", "invalid_value"),
    ({**SMALL, "style": "oil"}, "style", "invalid_value"),
    ({**SMALL, "background": 1}, "background", "invalid_type"),
    ({**SMALL, "output_format": "svg"}, "output_format", "invalid_value"),
    ({**SMALL, "output_format": "gif", "stream": True}, "stream", "invalid_value"),
    ({**SMALL, "output_format": "gif", "output_compression": 50}, "output_compression", "invalid_value"),
    ({**SMALL, "output_format": "gif", "background": "transparent"}, "background", "invalid_value"),
    ({**SMALL, "output_format": "gif", "frame_count": 1}, "frame_count", "invalid_value"),
    ({**SMALL, "output_format": "gif", "frame_count": 17}, "frame_count", "invalid_value"),
    ({**SMALL, "output_format": "gif", "frame_duration_ms": 19}, "frame_duration_ms", "invalid_value"),
    ({**SMALL, "frame_count": 4}, "frame_count", "invalid_value"),
    ({**SMALL, "frame_duration_ms": 100}, "frame_duration_ms", "invalid_value"),
    ({**SMALL, "svg": {"model": "x"}}, "svg", "unknown_parameter"),
    ({**SMALL, "complexity": "max"}, "complexity", "invalid_value"),
    ({**SMALL, "safety_identifier": 7}, "safety_identifier", "invalid_type"),
    ({**SMALL, "input_fidelity": "low"}, "input_fidelity", "unknown_parameter"),
    *(
        ({**SMALL, "model": model, name: value}, name, "unknown_parameter")
        for model in ("gpt-image-1", "gpt-image-2-2026-04-21", "gpt-image-2.6-flare", "chatgpt-image-latest")
        for name, value in {
            "seed": 1,
            "negative_prompt": "x",
            "style": "vivid",
            "response_format": None,
        }.items()
    ),
    *(
        ({**SMALL, "model": "dall-e-3", name: value}, name, "unknown_parameter")
        for name, value in {"seed": 1, "background": "auto", "output_format": "png", "stream": False}.items()
    ),
    ({**SMALL, "model": "gpt-image-2", "quality": "max"}, "quality", "invalid_value"),
    ({**SMALL, "model": "gpt-image-2.5-flare", "quality": "hd"}, "quality", "invalid_value"),
    ({**SMALL, "model": "dall-e-3", "n": 2}, "n", "invalid_value"),
    ({**SMALL, "model": "dall-e-2", "prompt": "x" * 1001}, "prompt", "invalid_value"),
    ({**SMALL, "fault": "429:0"}, "fault", "invalid_value"),
    ({**SMALL, "fault": "cut:2"}, "fault", "invalid_value"),
    ({**SMALL, "output_compression": 50}, "output_compression", "invalid_value"),
    ({**SMALL, "output_format": "jpeg", "output_compression": 101}, "output_compression", "invalid_value"),
    ({**SMALL, "output_format": "jpeg", "background": "transparent"}, "background", "invalid_value"),
    ({**SMALL, "moderation": "off"}, "moderation", "invalid_value"),
    ({**SMALL, "response_format": "file"}, "response_format", "invalid_value"),
    ({**SMALL, "stream": 1}, "stream", "invalid_type"),
    ({**SMALL, "stream": "yes"}, "stream", "invalid_type"),
    ({**SMALL, "partial_images": 4}, "partial_images", "invalid_value"),
    ({**SMALL, "fault": "flood"}, "fault", "invalid_value"),
    ({**SMALL, "fault": "slow:nan"}, "fault", "invalid_value"),
]


@pytest.mark.parametrize(("body", "param", "code"), REFUSED)
def test_refusals(app, body, param, code):
    answer = call(app, body=body)
    assert answer.status == 400
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert (answer.error["type"], answer.error["param"], answer.error["code"]) == (
        "invalid_request_error",
        param,
        code,
    )
    assert len(answer.error["message"]) < 400


def test_exact_messages(app):
    assert call(app, body={**SMALL, "x": 1}).error["message"] == "Unknown parameter: 'x'."
    message = call(app, body={**SMALL, "fault": "flood"}).error["message"]
    assert all(name in message for name in ("slow:SECONDS", "429", "refusal", "wrong_size", "fewer", "cut"))


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'"x"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object(app, raw):
    answer = call(app, body=raw)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


def test_a_body_too_large(app):
    answer = call(app, body=b" " * ((1 << 20) + 1))
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/images/generations", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/chat/completions", 404),
        ("POST", "/v1/images/variations", 404),
        ("GET", "/v1/images/edits", 405),
        ("POST", "/", 405),
        ("GET", "/index.html", 404),
        ("GET", "/v1/images/files/0.png", 404),
        ("GET", "/v1/images/files/../../etc/passwd", 404),
    ],
)
def test_wrong_addresses(app, method, path, status):
    answer = call(app, method, path)
    assert answer.status == status
    assert answer.error["message"]
    assert ("allow" in answer.headers) == (status == 405)


def test_models(app):
    assert [model["id"] for model in call(app, "GET", "/v1/models").json["data"]] == ["sketch"]
    for name in ("sketch", "gpt-image-2", "gpt-image-2.6-flare", "dall-e-3"):
        model = call(app, "GET", f"/v1/models/{name}").json
        assert (model["id"], model["object"], model["owned_by"]) == (name, "model", "ipyimagegen")
    for name in ("gpt-5", "no/such", ""):
        refused = call(app, "GET", f"/v1/models/{name}")
        assert (refused.status, refused.error["code"]) == (404, "model_not_found")
    assert call(app, "DELETE", "/v1/models/sketch").status == 405


def test_every_response_says_that_no_model_was_used(app):
    stream = call(app, body={**SMALL, "model": "gpt-image-2", "stream": True})
    whole = call(app, body={**SMALL, "model": "gpt-image-2"})
    for answer in (stream, whole, call(app, "GET", "/v1/models"), call(app, body={})):
        assert "no AI model" in answer.headers["x-sketch-notice"]
    assert whole.json["model"] == "sketch"
    assert b'"model":"sketch"' in stream.body


def test_the_safety_identifier_goes_before_the_user(app):
    def identify(**fields):
        return call(app, body={**SMALL, **fields}).json.get("safety_identifier")

    assert identify(safety_identifier="a", user="b") == "a"
    assert identify(safety_identifier="", user="b") == identify(user="b") == "b"
    assert identify() is None


def test_urls_lead_to_the_same_bytes(app):
    (item,) = call(app, body={**SMALL, "response_format": "url"}, HTTP_HOST="lab:9").json["data"]
    assert item["url"].startswith("http://lab:9/v1/images/files/")
    answer = call(app, "GET", item["url"].removeprefix("http://lab:9"))
    assert answer.headers["content-type"] == "image/png"
    (inline,) = call(app, body=SMALL).json["data"]
    assert answer.body == base64.b64decode(inline["b64_json"])


@pytest.mark.parametrize("model", ["dall-e-2", "dall-e-3"])
def test_models_that_answer_with_urls(app, model):
    def draw(**fields):
        (item,) = call(app, body={**SMALL, "model": model, **fields}).json["data"]
        return item

    assert set(draw()) == {"url"}
    assert set(draw(response_format="b64_json")) == {"b64_json"}
    assert set(draw(model="gpt-image-2")) == set(draw(model="sketch")) == {"b64_json"}


def open_gif(app, **fields):
    (image,) = call(app, body={**SMALL, "output_format": "gif", **fields}).images()
    frames = []
    for k in range(image.n_frames):
        image.seek(k)
        frames.append(image.convert("RGB").tobytes())
    return image, frames


@pytest.mark.parametrize("prompt", ["a fox", "justice", "a blue background"])
@pytest.mark.parametrize("count", [2, 3, 9, 16])
def test_a_gif_moves(app, prompt, count):
    image, frames = open_gif(app, prompt=prompt, frame_count=count, frame_duration_ms=104)
    assert (image.format, image.size, image.info["duration"], image.info["loop"]) == ("GIF", (64, 64), 100, 0)
    assert len(set(frames)) == len(frames) == count
    assert open_gif(app, prompt=prompt, frame_count=count)[1] == frames


def test_a_gif_of_every_kind(app):
    image, frames = open_gif(app)
    assert (len(frames), image.info["duration"]) == (9, 200)
    assert open_gif(app, frame_duration_ms=10**9)[0].info["duration"] == 655_350
    two = call(app, body={**SMALL, "n": 2, "output_format": "gif", "frame_count": 2})
    assert two.json["output_format"] == "gif"
    assert [image.n_frames for image in two.images()] == [2, 2]
    item = call(app, body={**SMALL, "output_format": "gif", "response_format": "url"}).json["data"][0]
    path = "/v1/images/files/" + item["url"].rpartition("/")[2]
    assert call(app, "GET", path).headers["content-type"] == "image/gif"


def test_the_files_forgets_the_oldest():
    from ipyimagegen.sketch.server.app import RecentFiles

    files = RecentFiles(10)
    names = [files.put(bytes([k]) * 4, "png") for k in range(4)]
    assert [files.get(name) is not None for name in names] == [False, False, True, True]
    assert files.get(files.put(b"x" * 40, "png")) is not None


def test_key():
    app = create_app(key="s3cret-é")
    for value in (None, "Bearer wrong", "Bearer ", "Basic s3cret", "Bearer \xff"):
        answer = call(app, body=SMALL, **({} if value is None else {"HTTP_AUTHORIZATION": value}))
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        assert b"s3cret" not in answer.body
        assert b"wrong" not in answer.body
    given = "Bearer " + "s3cret-é".encode().decode("latin-1")
    assert call(app, body=SMALL, HTTP_AUTHORIZATION=given).status == 200
    assert call(app, "GET", "/v1/models").status == 401


def test_faults(app):
    def fault(name, **options):
        return call(app, body={**SMALL, "fault": name, **options})

    limited = fault("429")
    assert (limited.status, limited.error["code"], limited.headers["retry-after"]) == (
        429,
        "rate_limit_exceeded",
        "1",
    )
    assert fault(429).status == 429
    refused = fault("refusal")
    assert (refused.status, refused.error["type"]) == (400, "image_generation_user_error")
    assert refused.error["code"] == "moderation_blocked"
    assert refused.error["moderation_details"]["moderation_stage"] == "input"
    wrong = fault("wrong_size")
    assert wrong.images()[0].size == (128, 64)
    assert wrong.json["size"] == "128x64"
    assert len(fault("fewer", n=3).json["data"]) == 2
    assert fault("fewer").json["data"] == []
    started = time.monotonic()
    assert fault("slow:0.2").status == 200
    assert time.monotonic() - started >= 0.2
    cut = fault("cut")
    assert cut.status == 200
    assert 0 < len(cut.body) < int(cut.headers["content-length"])


def test_a_fault_that_recovers(app):
    def send(fault="429:2", app=app, **environ):
        return call(app, body={**SMALL, **({"fault": fault} if fault else {})}, **environ).status

    assert [send() for _ in range(6)] == [429, 429, 200, 429, 429, 200]
    assert [send("429:1", REMOTE_ADDR="10.0.0.1") for _ in range(2)] == [429, 200]
    # a class behind one address: repeats carry the key of their call
    keys = ["a", "b", "c"] * 3
    assert [send(HTTP_IDEMPOTENCY_KEY=key) for key in keys] == [429] * 6 + [200] * 3
    of_all = create_app(fault="429:1")
    assert [send(None, of_all) for _ in range(2)] == [429, 200]
    assert send(None, of_all, REMOTE_ADDR="10.0.0.1") == 429


def test_a_fault_of_the_server_holds_for_every_call_and_one_in_the_body_goes_first():
    app = create_app(fault="429")
    assert call(app, body=SMALL).status == 429
    assert call(app, body={**SMALL, "fault": "fewer"}).json["data"] == []
    with pytest.raises(ValueError, match="flood"):
        create_app(fault="flood")
