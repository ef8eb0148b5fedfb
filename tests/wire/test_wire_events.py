"""Event streams of the known servers: finished pictures, partial ones, errors in the midst of a 200."""

import json

import pytest
from sockets import PICTURES, b64, reply

from ipyimagegen.records import Status


def stream(*events, done=True):
    lines = [f"event: {e.get('type', 'x')}\ndata: {json.dumps(e)}\n\n" for e in events]
    body = ": keep-alive\n\n" + "".join(lines) + ("data: [DONE]\n\n" if done else "")
    return reply(body, length=False, kind="text/event-stream")


def partial(index, picture=0):
    return {
        "type": "image_generation.partial_image",
        "partial_image_index": index,
        "b64_json": b64(PICTURES[picture]),
    }


def completed(picture, **more):
    return {"type": "image_generation.completed", "b64_json": b64(PICTURES[picture]), "created_at": 5, **more}


def read(outcome):
    return [(b"".join(one.chunks()), one.partial) for one in outcome.answer.found]


@pytest.mark.parametrize("done", [True, False])
def test_openai_partials_then_the_picture(serve, post, done):
    usage = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}
    server = serve(stream(partial(0), partial(1), completed(1, usage=usage, size="1x1"), done=done))
    outcome = post(server.origin)
    assert outcome.status is Status.DONE
    assert read(outcome) == [(PICTURES[1], False)]
    assert outcome.answer.facts == {"created": 5, "size": "1x1", "usage": usage}


def test_ark_pictures_and_a_failed_one(serve, post):
    made = {"type": "image_generation.partial_succeeded", "b64_json": b64(PICTURES[2]), "image_index": 0}
    failed = {"type": "image_generation.partial_failed", "error": {"code": "Blocked", "message": "no"}}
    last = {"type": "image_generation.completed", "usage": {"generated_images": 1}}
    outcome = post(serve(stream(made, failed, last)).origin, n=2)
    assert read(outcome) == [(PICTURES[2], False)]
    assert outcome.status is Status.DONE
    assert [one.code for one in outcome.answer.errors] == ["Blocked"]
    assert outcome.answer.facts["usage"] == {"generated_images": 1}


def test_an_error_event_keeps_the_last_partial(serve, post):
    error = {"type": "error", "error": {"message": "overloaded", "code": "server_error"}}
    outcome = post(serve(stream(partial(0), partial(1, 3), error)).origin)
    assert outcome.status is Status.UNKNOWN
    assert "overloaded" in outcome.fault.message
    assert read(outcome) == [(PICTURES[3], True)]


def test_a_stream_cut_inside_an_event(serve, post):
    whole = stream(partial(0), completed(1))
    outcome = post(serve(whole[:-3000]).origin)
    assert outcome.status is Status.UNKNOWN
    assert read(outcome) == [(PICTURES[0], True)]


def test_a_stream_without_events(serve, post):
    outcome = post(serve(reply(": ping\n\n: ping\n\n", length=False, kind="text/event-stream")).origin)
    assert outcome.status is Status.UNKNOWN
