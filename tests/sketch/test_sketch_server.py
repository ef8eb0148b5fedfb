"""The server as its users run it, spoken to by the official SDK."""

import io
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import openai
import pytest
from PIL import Image
from sketching import opened, serving
from studios import make_studio
from words import MESSAGES

PROMPT = "two red hearts"


def test_generate(images):
    reply = images.generate(prompt=PROMPT, model="gpt-image-2", n=2, size="128x64", quality="low")
    assert [opened(item).size for item in reply.data] == [(128, 64)] * 2
    assert (reply.size, reply.quality, reply.output_format, reply.background) == (
        "128x64",
        "low",
        "png",
        "opaque",
    )
    assert reply.usage.total_tokens > 0


def test_formats_and_background(images):
    jpeg = images.generate(prompt=PROMPT, size="64x64", output_format="jpeg", output_compression=30)
    webp = images.generate(prompt=PROMPT, size="64x64", output_format="webp", background="transparent")
    assert (opened(jpeg.data[0]).format, opened(webp.data[0]).format) == ("JPEG", "WEBP")
    assert opened(webp.data[0]).convert("RGBA").getpixel((0, 0))[3] == 0


def test_url(images):
    reply = images.generate(prompt=PROMPT, size="64x64", response_format="url")
    with urllib.request.urlopen(reply.data[0].url, timeout=10) as answer:
        assert Image.open(io.BytesIO(answer.read())).size == (64, 64)
        assert answer.headers["Content-Type"] == "image/png"


def test_todays_fields(images):
    more = {"safety_identifier": "a1", "complexity": "low", "output_format": "gif", "frame_count": 3}
    reply = images.generate(prompt=PROMPT, model="gpt-image-2.6-flare", size="64x64", extra_body=more)
    assert (opened(reply.data[0]).format, opened(reply.data[0]).n_frames) == ("GIF", 3)
    assert (reply.output_format, reply.safety_identifier) == ("gif", "a1")


@pytest.mark.parametrize("model", ["dall-e-2", "dall-e-3"])
def test_models_that_answer_with_urls(images, model):
    (item,) = images.generate(prompt=PROMPT, model=model, size="64x64").data
    assert item.b64_json is None
    with urllib.request.urlopen(item.url, timeout=10) as answer:
        assert Image.open(io.BytesIO(answer.read())).size == (64, 64)
    assert opened(images.generate(prompt=PROMPT, model=model, response_format="b64_json").data[0])


def test_models(base_url):
    with openai.OpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
        assert [client.models.retrieve(name).id for name in ("sketch", "gpt-image-2")] == [
            "sketch",
            "gpt-image-2",
        ]
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("no-such-model")
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": PROMPT}])
        assert "/v1/images/generations" in str(caught.value)


@pytest.mark.parametrize("stream", [False, True])
def test_the_notice_is_a_header_of_every_response(images, stream):
    raw = images.with_raw_response.generate(prompt=PROMPT, model="gpt-image-2", size="64x64", stream=stream)
    assert "no AI model" in raw.headers["x-sketch-notice"]


def test_the_retries_of_the_sdk_outlast_a_fault_that_recovers(base_url):
    client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=2)
    more = {"fault": "429:2"}
    assert client.images.generate(prompt="one of its own", size="64x64", extra_body=more).data
    with pytest.raises(openai.RateLimitError):
        client.images.generate(prompt="another", size="64x64", extra_body={"fault": "429:3"})


def test_seed(images):
    seven, again, eight = (
        images.generate(prompt=PROMPT, size="64x64", extra_body={"seed": seed}).data[0].b64_json
        for seed in (7, 7, 8)
    )
    assert seven == again != eight


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"n": 11}, openai.BadRequestError, "invalid_value"),
        ({"extra_body": {"x": 1}}, openai.BadRequestError, "unknown_parameter"),
        ({"extra_body": {"fault": "429"}}, openai.RateLimitError, "rate_limit_exceeded"),
        ({"extra_body": {"fault": "refusal"}}, openai.BadRequestError, "moderation_blocked"),
        ({"stream": True, "partial_images": 4}, openai.BadRequestError, "invalid_value"),
        ({"stream": True, "extra_body": {"fault": "refusal"}}, openai.BadRequestError, "moderation_blocked"),
        ({"stream": True, "extra_body": {"fault": "429"}}, openai.RateLimitError, "rate_limit_exceeded"),
        ({"prompt": "x" * 2_000_000}, openai.APIStatusError, "request_too_large"),
    ],
)
def test_errors_are_the_classes_of_the_sdk(images, options, error, code):
    with pytest.raises(error) as caught:
        images.generate(**{"prompt": PROMPT, "size": "64x64", **options})
    assert caught.value.code == code
    assert caught.value.request_id.startswith("req_")


def test_a_reply_that_is_cut_is_a_connection_error(images):
    with pytest.raises(openai.APIConnectionError):
        images.generate(prompt=PROMPT, size="64x64", extra_body={"fault": "cut"})


def test_a_slow_reply_times_out_and_does_not_keep_the_server_alive(base_url):
    with serving("--fault", "slow:600") as (url, process):
        client = openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=0.5)
        with pytest.raises(openai.APITimeoutError):
            client.images.generate(prompt=PROMPT, size="64x64")
        process.terminate()
        assert process.wait(5) == 0


def test_key():
    with serving("--key-env", "LAB_KEY", LAB_KEY="s3cret") as (url, _):
        good, bad = (openai.OpenAI(base_url=url, api_key=key, max_retries=0) for key in ("s3cret", "guess"))
        assert opened(good.images.generate(prompt=PROMPT, size="64x64").data[0]).size == (64, 64)
        with pytest.raises(openai.AuthenticationError) as caught:
            bad.images.generate(prompt=PROMPT, size="64x64")
        assert caught.value.code == "invalid_api_key"
        assert [model.id for model in good.models.list()] == ["sketch"]


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to another process there")
def test_it_stops_cleanly_and_logs_no_prompt():
    with serving("--host", "127.0.0.1") as (url, process):
        openai.OpenAI(base_url=url, api_key="any").images.generate(prompt=PROMPT, size="64x64")
        log = process.stderr.readline()  # written after the answer
        process.send_signal(signal.SIGINT)
        out, more = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "stopped" in out
    assert log + more == "POST /v1/images/generations 200\n"


@pytest.mark.parametrize("fields", [{}, {"model": "gpt-image-2"}, {"model": "dall-e-3"}, {"stream": True}])
def test_our_client_says_that_no_model_was_used(base_url, tmp_path, fields):
    studio = make_studio(tmp_path, base_url, paid=False)
    assert MESSAGES["caption"]["sketch"] in studio.imagine("a fox", size="64x64", **fields).caption
    again = make_studio(tmp_path, base_url, paid=False).imagine("a fox", size="64x64", **fields)
    assert again.caption.count(MESSAGES["caption"]["sketch"]) == 1


def test_our_client_recovers_from_a_fault(base_url, tmp_path):
    made = make_studio(tmp_path, base_url).imagine("a fox", size="64x64", extra={"fault": "429:2"})
    assert made.images


def run(*arguments):
    command = [sys.executable, "-m", "ipyimagegen.sketch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_short_errors_at_the_start():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        busy = run("--port", str(port))
    assert busy.returncode == 1
    assert str(port) in busy.stderr
    for arguments, word in (
        (("--key-env", "NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (("--fault", "flood"), "flood"),
        (("--port", "99999"), "port"),
        (("--parallel", "0"), "--parallel"),
    ):
        failed = run(*arguments)
        assert failed.returncode == 1
        assert word in failed.stderr
        assert failed.stderr.count("\n") == 1


def test_an_open_host_without_a_key_is_warned_of():
    with serving("--host", "0.0.0.0") as (_, process):
        process.terminate()
        assert "--key-env" in process.communicate(timeout=10)[1]
