"""Event streams of the known servers: finished images, partial ones, errors in the midst of a 200."""

import json
import threading
import time
import tracemalloc

import pytest
from event_lines import by_the_standard, cut_up, ends, lines
from hypothesis import given
from hypothesis import strategies as st
from raising import assert_names
from sockets import IMAGES, b64, images, reply, reset
from sse import (
    DONE,
    ERROR,
    HEAD,
    LOCAL,
    PING,
    ark_end,
    completed,
    event,
    failed,
    framed,
    made,
    mounted,
    numbers,
    partial,
    stream,
)

from ipyimagegen.client import CancelToken, Timeouts
from ipyimagegen.client.streaming import LINES, StreamSplitter, load_body
from ipyimagegen.core.run import Status

# How a stream is split


@given(st.booleans(), st.lists(st.tuples(lines, ends), max_size=30), st.data())
def test_events_by_the_standard_whatever_the_chunks(bom, written, data):
    text = b"\xef\xbb\xbf" * bom + b"".join(line + end for line, end in written)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12))
    splitter = StreamSplitter()
    events = [event for chunk in cut_up(text, cuts) for event in splitter.feed(chunk)]
    read = [(event.name, b"\n".join(text[start:stop] for start, stop in event.spans)) for event in events]
    assert read == by_the_standard(text)


def test_a_line_that_a_return_ended_is_no_half_of_the_next():
    chunks = (b"data: 1\r:", b"\n", b"", b"\n", b"data: 2\r", b"", b"\n\n")
    splitter = StreamSplitter()
    assert len([event for chunk in chunks for event in splitter.feed(chunk)]) == 2


def test_an_event_of_too_many_lines_is_none():
    text = b"data: 1\n" * (LINES + 1) + b"\ndata: 2\n\n"
    assert len(list(StreamSplitter().feed(text))) == 1


# What streams mean


USAGE = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}
SAID = {"size": "1x1", "quality": "low", "background": "opaque", "output_format": "png"}


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_openai_partials_then_the_image(serve, post, done, kind):
    events = [
        event(f"{kind}.partial_image", 0, partial_image_index=0, **SAID),
        event(f"{kind}.partial_image", 1, partial_image_index=1, **SAID),
        event(f"{kind}.completed", 2, created_at=5, usage=USAGE, **SAID),
    ]
    outcome = post(serve(stream(PING, *events, done=done)).origin)
    assert outcome.status is Status.DONE
    assert numbers(outcome) == [(2, False)]
    assert outcome.answer.facts == {"created": 5, "usage": USAGE, **SAID}


def test_each_image_says_its_own_usage(serve, post):
    usages = [USAGE | {"input_tokens_details": {"text_tokens": k}} for k in (1, 2)]
    events = [completed(0, usage=usages[0]), partial(1, usage=USAGE), completed(1, usage=usages[1])]
    events += [completed(2)]
    outcome = post(serve(stream(*events)).origin, n=3)
    assert outcome.answer.facts["usage"] == {
        "input_tokens": 10,
        "output_tokens": 12,
        "total_tokens": 22,
        "input_tokens_details": {"text_tokens": 3},
    }


def test_sixteen_interleaved_partials_of_four_images(serve, post):
    events = [partial(k % 4, partial_image_index=k // 4) for k in range(16)]
    events = [*events[:10], completed(2), *events[10:], completed(0), completed(3), completed(1)]
    outcome = post(serve(stream(*events)).origin, n=4)
    assert outcome.status is Status.DONE
    assert numbers(outcome) == [(2, False), (0, False), (3, False), (1, False)]


def test_ark_images_and_a_failed_one(serve, post):
    events = [made(2, image_index=0, size="2x2"), failed("Blocked"), ark_end(generated_images=1)]
    outcome = post(serve(stream(*events, done=True)).origin, n=2)
    assert numbers(outcome) == [(2, False)]
    assert (outcome.status, outcome.error) == (Status.DONE, None)
    assert [error.code for error in outcome.answer.errors] == ["Blocked"]
    assert outcome.answer.facts == {
        "model": "seedream",
        "created": 7,
        "size": "2x2",
        "usage": {"generated_images": 1},
    }


def test_ark_makes_more_than_were_asked_for_and_only_its_own_end_counts(serve, post):
    whole = stream(made(0), made(1), made(2), ark_end(generated_images=3))
    outcome = post(serve(whole).origin, n=1)
    assert outcome.status is Status.DONE
    assert numbers(outcome) == [(0, False), (1, False), (2, False)]
    outcome = post(serve(stream(made(0), made(1))).origin, n=1)
    assert outcome.status is Status.UNKNOWN
    assert numbers(outcome) == [(0, False), (1, False)]


@pytest.mark.parametrize("code", ["Blocked", "OutputImageSensitiveContentDetected"])
def test_ark_when_all_failed(serve, post, code):
    outcome = post(serve(stream(failed(code), ark_end(generated_images=0), done=True)).origin)
    assert (outcome.status, outcome.error.code) == (Status.UNKNOWN, code)
    assert_names(outcome.error.message, "no")


@pytest.mark.parametrize("ending", [[], [DONE]])
def test_one_event_with_a_list_of_images(serve, post, ending):
    """vLLM-Omni's own stream, and a gateway that wraps a whole reply."""
    text = event("ar_delta", object="image.edit.chunk", delta="a fox")
    items = images(2) | {"output_format": "png"}
    outcome = post(serve(stream(text, event("image", **items), *ending)).origin, n=2)
    assert outcome.status is Status.DONE
    assert numbers(outcome) == [(0, False), (1, False)]
    assert outcome.answer.facts == {"created": 1, "output_format": "png"}


def test_addresses_instead_of_base64(serve, post):
    events = [
        event("image_generation.completed", url="/7.png", b64_json=""),
        event("x.completed", url="https://cdn/8.png"),
    ]
    server = serve(stream(*events))
    outcome = post(server.origin, n=2)
    assert outcome.status is Status.DONE
    assert [image.url for image in outcome.answer.images] == [f"{server.origin}/7.png", "https://cdn/8.png"]


def test_without_a_type_it_is_a_image_unless_it_says_partial(serve, post):
    untyped = [
        f"data: {json.dumps({'b64_json': b64(IMAGES[k]), **more})}\n\n".encode()
        for k, more in ((0, {"partial_image_index": 0}), (1, {}))
    ]
    outcome = post(serve(stream(*untyped, done=True)).origin)
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(1, False)])


def test_the_type_may_stand_in_the_event_line_alone(serve, post):
    data = [json.dumps({"b64_json": b64(IMAGES[k])}) for k in range(2)]
    kinds = ("image_edit.partial_image", "image_edit.completed")
    events = "".join(f"event: {kind}\ndata: {text}\n\n" for kind, text in zip(kinds, data, strict=True))
    assert numbers(post(serve(stream(events.encode())).origin)) == [(1, False)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "head",
    [
        "",
        "\ufeff",
        "\n\n",
        'id: 1\nretry: 5\n: it"s alive\n\n',
    ],
)
def test_every_spelling_of_lines(serve, post, end, head):
    pretty = json.dumps({"type": "image_generation.completed", "b64_json": b64(IMAGES[1])}, indent=2)
    joined = "".join(f"data: {line}\n" for line in pretty.splitlines())
    text = head + f': say "hello\nid: 7\nevent: x\n{joined}retry: 3\n\n'
    outcome = post(serve(stream(text.replace("\n", end).encode())).origin)
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(1, False)])


def test_a_server_that_leaves_out_the_blank_lines(serve, post):
    text = b"".join((partial(0), completed(1), DONE)).replace(b"\n\n", b"\n")
    outcome = post(serve(stream(text)).origin)
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(1, False)])


def test_what_nobody_can_read_is_passed_over(serve, post):
    noise = (
        b'data: {"b64_json": "AAAA\n\ndata: hello "\n\ndata: [1, 2]\n\ndata: 7\n\ndata: '
        + b"[" * 9999
        + b"\n\n"
    )
    outcome = post(serve(stream(noise, completed(1), noise)).origin)
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(1, False)])


def test_what_comes_after_done_is_not_read(serve, post):
    outcome = post(serve(stream(completed(1), DONE, event("error", error=ERROR), completed(2))).origin, n=2)
    assert (outcome.status, numbers(outcome), outcome.answer.errors) == (Status.DONE, [(1, False)], ())


@pytest.mark.parametrize("pad", [b"", b"\n" * 3000, b" \r\n" * 40])
def test_plain_json_where_a_stream_was_asked_for(serve, post, pad):
    outcome = post(serve(reply(pad + json.dumps(images(2), indent=1).encode())).origin, n=2)
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(0, False), (1, False)])


# Errors in the midst of a 200


ERRORS = {
    "typed": event("error", error=ERROR),
    "flat": event("error", **ERROR),
    "text": b"event: error\ndata: overloaded\n\n",
    "named": b'event: error\ndata: {"message": "overloaded"}\n\n',
    "any": event("image_generation.whatever", error=ERROR),
    "omni": b'data: {"object": "error", "error": {"message": "overloaded", "code": 500}}\n\n',
    "string": b'data: {"error": "overloaded"}\n\n',
}


@pytest.mark.parametrize("way", ERRORS)
@pytest.mark.parametrize("done", [True, False])
def test_an_error_event_keeps_the_last_partial(serve, post, way, done):
    server = serve(stream(partial(0), partial(3), ERRORS[way], done=done))
    outcome = post(server.origin)
    assert (outcome.status, server.posts) == (Status.UNKNOWN, 1)
    assert "overloaded" in outcome.error.message
    assert numbers(outcome) == [(3, True)]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("moderation_blocked", Status.REFUSED),
        ("content_policy_violation", Status.REFUSED),
        ("invalid_value", Status.REFUSED),
        ("InvalidParameter", Status.REFUSED),
        ("InputTextSensitiveContentDetected", Status.REFUSED),
        ("OutputImageSensitiveContentDetected", Status.UNKNOWN),
        ("insufficient_quota", Status.REFUSED),
        ("server_error", Status.UNKNOWN),
        ("rate_limit_exceeded", Status.UNKNOWN),
        (None, Status.UNKNOWN),
    ],
)
@pytest.mark.parametrize("plain", [True, False])
def test_what_an_error_in_a_200_means(serve, post, code, status, plain):
    error = {"message": "no", "code": code}
    server = serve(reply({"error": error}) if plain else stream(event("error", error=error)))
    outcome = post(server.origin)
    assert (outcome.status, outcome.error.code, outcome.error.status) == (status, code, 200)
    assert numbers(outcome) == []
    assert server.posts == 1


def test_an_error_after_a_partial_image_is_never_a_refusal(serve, post):
    error = {"message": "blocked.", "code": "moderation_blocked"}
    outcome = post(serve(stream(partial(1), event("error", error=error))).origin)
    assert (outcome.status, outcome.error.code) == (Status.UNKNOWN, "moderation_blocked")
    assert numbers(outcome) == [(1, True)]


def test_an_error_after_a_finished_image_is_never_a_refusal(serve, post):
    error = {"message": "blocked.", "code": "moderation_blocked"}
    outcome = post(serve(stream(completed(0), partial(1), event("error", error=error))).origin, n=3)
    assert (outcome.status, outcome.error.code) == (Status.UNKNOWN, "moderation_blocked")
    assert_names(outcome.error.message, "lab", "blocked", 1)
    assert numbers(outcome) == [(0, False), (1, True)]


def test_an_error_when_all_images_are_there_is_only_noted(serve, post):
    outcome = post(serve(stream(completed(0), completed(1), event("error", error=ERROR))).origin, n=2)
    assert (outcome.status, outcome.error) == (Status.DONE, None)
    assert [error.message for error in outcome.answer.errors] == ["overloaded"]


# Cuts


def test_a_cut_inside_the_second_partial_keeps_the_first(serve, post):
    whole = stream(partial(0), partial(1))
    server = serve(whole[:-20_000])
    outcome = post(server.origin)
    assert (outcome.status, server.posts) == (Status.UNKNOWN, 1)
    assert numbers(outcome) == [(0, True)]
    assert b64(IMAGES[1])[:4000].encode() in outcome.spool.read_bytes()


def test_a_reset_keeps_the_last_partial(serve, post):
    def answer(conn, _):
        conn.sendall(stream(partial(0), partial(1)))
        previewed.wait(10)
        reset(conn)

    previewed = threading.Event()
    outcome = post(serve(answer).origin, partial=lambda image: number_is(image, 1) and previewed.set())
    assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, [(1, True)])


def number_is(image, which):
    return b"".join(image.chunks()) == IMAGES[which]


def test_a_image_whose_event_was_cut_behind_it_is_finished(serve, post):
    last = completed(1, created_at=5)
    moved = json.loads(last.partition(b"data: ")[2])
    text = json.dumps({"type": moved.pop("type"), "b64_json": moved.pop("b64_json"), "usage": USAGE})
    outcome = post(serve(stream(partial(0), f"data: {text[:-9]}".encode())).origin, n=2)
    assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, [(1, False)])
    assert_names(outcome.error.message, 1)


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        ([partial(0), completed(1), partial(2)], [(1, False), (2, True)]),
        ([partial(0), completed(1), partial(2)[:-9000]], [(1, False)]),
        ([partial(0), completed(1), b"event: image_gen"], [(1, False)]),
        ([partial(0), partial(3), completed(1)[:-9000]], [(3, True)]),
        ([partial(2)], [(2, True)]),
    ],
)
@pytest.mark.parametrize("way", [stream, framed])
def test_without_its_last_completed_a_stream_is_cut(serve, post, events, kept, way):
    outcome = post(serve(way(*events)).origin, n=3)
    assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, kept)


@pytest.mark.parametrize("way", [stream, framed])
@pytest.mark.parametrize("done", [True, False])
def test_fewer_than_asked_for_are_no_cut(serve, post, way, done):
    outcome = post(serve(way(partial(0), completed(1), completed(2), *[DONE] * done)).origin, n=3)
    assert (outcome.status, outcome.error) == (Status.DONE, None)
    assert numbers(outcome) == [(1, False), (2, False)]


def test_fewer_than_asked_for_and_a_broken_connection_are_a_cut(serve, post):
    length = "Content-Length: 999999"
    outcome = post(serve(reply(completed(1), "200 OK", length, length=False)).origin, n=2)
    assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, [(1, False)])
    assert_names(outcome.error.message, 1)
    assert post(serve(reply(completed(1), "200 OK", length, length=False)).origin, n=1).status is Status.DONE


@pytest.mark.parametrize("text", [PING * 2, DONE, b"data: {}\n\n", b"event: x\n\n" + PING])
def test_a_stream_without_images(serve, post, text):
    outcome = post(serve(stream(text)).origin)
    assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, [])
    assert "JSON" not in outcome.error.message


def test_the_cap_keeps_the_last_partial(serve, post):
    def answer(conn, _):
        conn.sendall(stream(partial(0)) + b'data: {"b64_json":"')
        while True:
            conn.sendall(b"A" * 1_000_000)

    outcome = post(serve(answer).origin)
    assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, [(0, True)])


def test_more_events_than_images_need_end_the_reading(serve, post, monkeypatch):
    monkeypatch.setattr("ipyimagegen.client.streaming.EVENTS", 100)
    for first, partial_ in ((partial(0), True), (completed(0), False)):
        outcome = post(serve(stream(first, event("step") * 200, completed(1))).origin, n=2)
        assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, [(0, partial_)])


@pytest.mark.parametrize("inner", ['{"a":' * 900 + "1" + "}" * 900, "1e999", "-1e999", "9" * 4000])
def test_hostile_usage_hurts_nobody(serve, post, inner):
    more = f'"usage":{{"total_tokens":1,"input_tokens":{inner}}}'
    image = completed(0).replace(b'"type"', f'{more},"type"'.encode(), 1)
    outcome = post(serve(stream(image, image, image)).origin, n=3)
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(0, False)] * 3)
    assert outcome.answer.facts["usage"] == {"total_tokens": 3}


def test_small_events_cannot_fill_the_memory(serve, post, monkeypatch):
    monkeypatch.setattr("ipyimagegen.client.streaming.SKELETON", 10_000)
    many = event("image_generation.completed", url="https://cdn/" + "x" * 900) * 200
    outcome = post(serve(stream(many)).origin, n=500)
    assert outcome.status is Status.UNKNOWN
    assert len(outcome.answer.images) < 20


# Time


class Clock:
    """Seconds that pass only when somebody lets them."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def pings(self, count, each=10):
        for _ in range(count):
            self.now += each
            yield PING


def test_200_seconds_of_comments_and_then_the_image(post):
    clock = Clock()

    def parts():
        yield from clock.pings(20)
        yield completed(1)

    outcome = post(LOCAL, mounts=mounted(parts()), token=CancelToken(clock), timeouts=Timeouts())
    assert clock.now == 200
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(1, False)])


def test_comments_beyond_the_whole_time(post):
    clock = Clock()

    def parts():
        yield partial(2)
        yield from clock.pings(1000)
        yield completed(1)

    outcome = post(LOCAL, mounts=mounted(parts()), token=CancelToken(clock), timeouts=Timeouts())
    assert clock.now == 900
    assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, [(2, True)])
    assert_names(outcome.error.message, 900)


def test_comments_for_longer_than_the_idle_time(serve, post):
    def answer(conn, _):
        conn.sendall(HEAD)
        for _ in range(25):
            time.sleep(0.1)
            conn.sendall(PING)
        conn.sendall(completed(1))

    outcome = post(serve(answer).origin, timeouts=Timeouts(connect=60, idle=2, whole=120))
    assert (outcome.status, numbers(outcome)) == (Status.DONE, [(1, False)])


def trickle(conn, _):
    conn.sendall(stream(partial(0), partial(2)))
    while True:
        conn.sendall(PING)
        time.sleep(0.01)  # a flood of them takes longer to read than there is time after the deadline


def test_the_deadline_in_the_midst_keeps_the_last_partial(serve, post):
    server = serve(trickle)
    outcome = post(server.origin, timeouts=Timeouts(connect=2, idle=5, whole=3))
    assert (outcome.status, numbers(outcome), server.posts) == (Status.UNKNOWN, [(2, True)], 1)
    assert_names(outcome.error.message, 3)


@pytest.mark.parametrize("through", ["socket", "adapter"])
def test_cancel_in_the_midst_keeps_the_last_partial(serve, post, through):
    token = CancelToken()

    def show(image):
        if number_is(image, 2):
            token.cancel()

    def parts():
        yield partial(0)
        yield partial(2)
        while True:
            yield PING

    where = (
        {"origin": LOCAL, "mounts": mounted(parts())}
        if through == "adapter"
        else {"origin": serve(trickle).origin}
    )
    outcome = post(**where, token=token, partial=show)
    assert (outcome.status, numbers(outcome)) == (Status.UNKNOWN, [(2, True)])


def test_an_event_of_many_items_and_members_is_read_without_copies(tmp_path):
    members = {f"k{n}": 0 for n in range(3000)}
    value = {"type": "x.completed", "b64_json": b64(IMAGES[0]), **members, "data": [{}] * 3000}
    path = tmp_path / "stream"
    path.write_bytes(b"data: " + json.dumps(value).encode() + b"\n\n")
    tracemalloc.start()
    try:
        load_body(path, 1, clean=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20
