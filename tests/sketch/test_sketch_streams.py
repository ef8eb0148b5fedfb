"""Streams: the events, that they are drawn while they are sent, and what goes wrong with them."""

import base64
import io
import json
import re
import socket
import time
from urllib.parse import urlsplit

import openai
import pytest
from PIL import Image, ImageChops
from sketching import EDITS, begin, call, form, hole, opened, saved, scenery

from ipyimagegen.sketch.drawing.engine import draw
from ipyimagegen.sketch.server import fields

PROMPT = "a red fox in the snow"
SMALL = {"prompt": PROMPT, "size": "96x64", "stream": True}
IMAGE, MASK = saved(scenery()), saved(hole())
KINDS = {
    "partial_image": openai.types.ImageGenPartialImageEvent,
    "completed": openai.types.ImageGenCompletedEvent,
}


def events(body):
    """Return [(event line, data)] of a whole stream, comments left out."""
    seen = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        if block.startswith(":"):
            assert "\n" not in block
            continue
        match = re.fullmatch(r"event: (\S+)\ndata: (\{.*\})", block)
        seen.append((match[1], json.loads(match[2])))
    return seen


def names(body):
    return [name for name, _ in events(body)]


def test_the_sdk_reads_a_generation(images):
    answers = list(images.generate(prompt=PROMPT, size="96x64", stream=True, partial_images=2, quality="low"))
    assert [event.type for event in answers] == [
        "image_generation.partial_image", "image_generation.partial_image", "image_generation.completed",
    ]  # fmt: skip
    assert [type(event) for event in answers] == [KINDS["partial_image"]] * 2 + [KINDS["completed"]]
    assert [event.partial_image_index for event in answers[:2]] == [0, 1]
    last = answers[-1]
    for event in answers:
        assert opened(event).size == (96, 64)
        facts = event.size, event.quality, event.background, event.output_format
        assert facts == ("96x64", "low", "opaque", "png")
        assert abs(event.created_at - time.time()) < 60
    whole = images.generate(prompt=PROMPT, size="96x64", quality="low")
    assert last.b64_json == whole.data[0].b64_json
    assert last.usage.output_tokens == whole.usage.output_tokens + 200
    assert last.usage.total_tokens == last.usage.input_tokens + last.usage.output_tokens


def test_the_sdk_reads_an_edit(images):
    answers = list(
        images.edit(
            image=IMAGE, mask=MASK, prompt="a hat", stream=True, partial_images=3, output_format="webp"
        )
    )
    assert [event.type for event in answers] == ["image_edit.partial_image"] * 3 + ["image_edit.completed"]
    assert {opened(event).format for event in answers} == {"WEBP"}
    assert (
        answers[-1].b64_json
        == images.edit(image=IMAGE, mask=MASK, prompt="a hat", output_format="webp").data[0].b64_json
    )


def test_partial_images_come_nearer_and_keep_to_the_mask(images):
    frames = [
        opened(e) for e in images.edit(image=IMAGE, mask=MASK, prompt="night", stream=True, partial_images=3)
    ]
    outside = hole().getchannel("A")
    distances = []
    for image in frames:
        apart = ImageChops.difference(image, scenery())
        assert Image.composite(apart, Image.new("RGB", apart.size), outside).getbbox() is None
        distances.append(sum(ImageChops.difference(image, frames[-1]).convert("L").tobytes()))
    assert distances == sorted(distances, reverse=True)
    assert distances[2] > distances[3] == 0


@pytest.mark.parametrize("partials", [None, 0, 1, 3])
@pytest.mark.parametrize("n", [1, 3])
def test_one_completed_for_each_image_in_order(app, n, partials):
    answer = call(app, body={**SMALL, "n": n, "seed": 4, "partial_images": partials})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert "content-length" not in answer.headers
    each = ["image_generation.partial_image"] * (partials or 0) + ["image_generation.completed"]
    answers = events(answer.body)
    assert [name for name, _ in answers] == each * n
    assert all(name == data["type"] for name, data in answers)
    done = [data for _, data in answers if "usage" in data]
    plain = call(app, body={**SMALL, "stream": False, "n": n, "seed": 4}).json["data"]
    assert [data["b64_json"] for data in done] == [item["b64_json"] for item in plain]
    fields = {"type", "model", "b64_json", "created_at", "size", "quality", "background", "output_format"}
    assert all(
        set(data) == fields | {"usage" if "usage" in data else "partial_image_index"} for _, data in answers
    )


def test_a_url_is_not_given_in_a_stream(app):
    ((_, data),) = events(call(app, body={**SMALL, "response_format": "url"}).body)
    assert Image.open(io.BytesIO(base64.b64decode(data["b64_json"]))).size == (96, 64)
    assert "url" not in data


def test_events_leave_before_the_next_image_is_drawn(app, monkeypatch):
    from ipyimagegen.sketch.drawing import engine

    drawn = []

    def counting(*args, **options):
        drawn.append(options["seed"])
        return draw(*args, **options)

    monkeypatch.setattr(engine, "draw", counting)
    started, result = begin(app, body={**SMALL, "n": 3, "partial_images": 1})
    pieces = iter(result)
    seen = []
    for _ in range(6):
        next(pieces)
        seen.append(len(drawn))
    assert started[0][0] == "200 OK"
    assert seen == [1, 1, 2, 2, 3, 3]
    result.close()


def test_what_fails_on_the_way_is_an_event(app, monkeypatch):
    from ipyimagegen.sketch.drawing import engine

    def failing(*args, seed, **options):
        if seed == 1:
            raise RuntimeError("secret")
        return draw(*args, seed=seed, **options)

    monkeypatch.setattr(engine, "draw", failing)
    body = call(app, body={**SMALL, "n": 3}).body
    assert names(body) == ["image_generation.completed", "error"]
    assert events(body)[-1][1]["error"]["code"] == "server_error"
    assert b"secret" not in body


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"fault": "429"}, 429, "rate_limit_exceeded"),
        ({"fault": "refusal"}, 400, "moderation_blocked"),
        ({"n": 0}, 400, "invalid_value"),
        ({"partial_images": 4}, 400, "invalid_value"),
        ({"size": "5x5"}, 400, "invalid_value"),
    ],
)
def test_what_is_refused_is_refused_before_the_stream(app, options, status, code):
    answer = call(app, body={**SMALL, **options})
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"


def test_a_broken_image_is_refused_before_the_stream(app):
    body, kind = form(("image", b"no image"), ("prompt", b"x"), ("stream", b"true"))
    answer = call(app, path=EDITS, body=body, CONTENT_TYPE=kind)
    assert (answer.status, answer.error["code"]) == (400, "invalid_image_file")


def test_a_cut_ends_before_the_last_completed(app, images):
    each = ["image_generation.partial_image"] * 2
    body = call(app, body={**SMALL, "n": 2, "partial_images": 2, "fault": "cut"}).body
    assert names(body) == [*each, "image_generation.completed", *each]
    assert call(app, body={**SMALL, "fault": "cut"}).body == b""
    answers = list(
        images.generate(
            prompt=PROMPT, size="64x64", stream=True, partial_images=1, extra_body={"fault": "cut"}
        )
    )
    assert [event.type for event in answers] == ["image_generation.partial_image"]


def test_fewer_and_wrong_size(app):
    assert (
        names(call(app, body={**SMALL, "n": 3, "fault": "fewer"}).body) == ["image_generation.completed"] * 2
    )
    for partials in (0, 2):
        none = call(app, body={**SMALL, "fault": "fewer", "partial_images": partials}).body
        ((name, data),) = events(none)
        assert (name, data["type"], data["error"]["code"]) == ("error", "error", "server_error")
        assert "No image" in data["error"]["message"]
    ((_, data),) = events(call(app, body={**SMALL, "size": "128x64", "fault": "wrong_size"}).body)
    assert data["size"] == "64x64"
    assert Image.open(io.BytesIO(base64.b64decode(data["b64_json"]))).size == (64, 64)


@pytest.fixture
def waits(monkeypatch):
    """The seconds that faults wait, without waiting."""
    seen = []

    class Event:
        def wait(self, timeout):
            seen.append(timeout)

    monkeypatch.setattr(fields.threading, "Event", Event)
    return seen


def test_a_slow_stream_spreads_its_seconds_over_the_events_and_says_that_it_lives(app, waits):
    body = call(app, body={**SMALL, "n": 2, "partial_images": 1, "fault": "slow:36"}).body
    assert sum(waits) == pytest.approx(36)
    assert max(waits) <= 5
    blocks = body.decode().removesuffix("\n\n").split("\n\n")
    kinds = ["." if block == ": keep-alive" else block.split()[1].rpartition(".")[2] for block in blocks]
    assert kinds == [".", ".", "partial_image", ".", ".", "completed"] * 2
    assert names(body) == ["image_generation.partial_image", "image_generation.completed"] * 2


def test_a_slow_reply_without_a_stream_waits_once_for_all(app, waits):
    assert call(app, body={**SMALL, "stream": False, "n": 2, "fault": "slow:3"}).status == 200
    assert waits == [3]


@pytest.fixture
def connection(base_url):
    address = urlsplit(base_url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        yield client


def ask(client, body):
    raw = json.dumps(body).encode()
    lines = (
        "POST /v1/images/generations HTTP/1.1", "Host: x", "Content-Type: application/json",
        f"Content-Length: {len(raw)}", "", "",
    )  # fmt: skip
    client.sendall("\r\n".join(lines).encode() + raw)


def test_the_bytes_on_the_wire(connection, app):
    ask(connection, {**SMALL, "partial_images": 1, "output_format": "jpeg"})
    raw = b""
    while piece := connection.recv(1 << 16):
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0].split()[1] == b"200"
    assert b"content-type: text/event-stream" in lines
    assert not any(line.startswith((b"content-length", b"transfer-encoding")) for line in lines)
    theirs = events(call(app, body={**SMALL, "partial_images": 1, "output_format": "jpeg"}).body)
    ours = events(body)
    for _, data in (*theirs, *ours):
        del data["created_at"]
    assert ours == theirs
    assert body.endswith(b"}\n\n")


def test_events_are_flushed_as_they_are_made(connection):
    ask(connection, {**SMALL, "partial_images": 1, "fault": "slow:9"})
    seen = []
    raw = b""
    begun = time.monotonic()
    while piece := connection.recv(1 << 16):
        raw += piece
        for word in (b": keep-alive", b"partial_image\n", b"completed\n"):
            if word in raw and word not in seen:
                seen.append(word)
                if word == b"partial_image\n":  # the finished image is not there yet
                    assert b"completed" not in raw
    assert seen == [b": keep-alive", b"partial_image\n", b"completed\n"]
    assert time.monotonic() - begun > 8  # the fault's own promise, not a speed


def test_a_client_that_goes_away_stops_the_drawing(base_url, images):
    address = urlsplit(base_url)
    client = socket.create_connection((address.hostname, address.port), timeout=30)
    ask(client, {**SMALL, "n": 10, "fault": "slow:600"})
    client.close()
    assert images.generate(prompt=PROMPT, size="64x64").data  # the server lives
