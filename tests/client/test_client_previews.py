"""The images of a stream while it is still on its way: each at once, readable, and never in the way."""

import itertools
import json
import socket
import threading
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sockets import KEY, b64, credentials_of, endpoint_at, images, reply
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
    made,
    mounted,
    number,
    numbers,
    partial,
    stream,
)

from ipyimagegen.client import CancelToken, Timeouts, exchange, write_call
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Status

SLOW = Timeouts(whole=10**9)  # for clocks that run


def ticking():
    """Return a token whose clock is a second later each time anybody looks."""
    return CancelToken(clock=itertools.count().__next__)


class Recorder:
    """Records the previews of a call, read at once; its server waits for them."""

    def __init__(self):
        self.seen = []
        self.thread = None
        self._event = threading.Event()

    def __call__(self, image):
        self.seen.append(number(image))
        self.thread = threading.current_thread()
        self._event.set()

    def wait(self):
        """Wait until it was called; for a server between two events."""
        assert self._event.wait(10)
        self._event.clear()


@pytest.fixture
def recorder():
    return Recorder()


def test_each_image_is_shown_before_the_server_sends_more(serve, post, recorder):
    heard = []

    def answer(conn, _):
        conn.sendall(HEAD)
        for part in (partial(0), partial(1), completed(2)):
            conn.sendall(part)
            recorder.wait()
            heard.append(len(recorder.seen))
        conn.sendall(completed(3))

    outcome = post(serve(answer).origin, n=2, partial=recorder)
    assert outcome.status is Status.DONE
    assert heard == [1, 2, 3]
    assert recorder.seen == [(0, True), (1, True), (2, False)]
    assert numbers(outcome) == [(2, False), (3, False)]
    assert recorder.thread is threading.current_thread()


def test_arks_finished_images_are_shown(serve, post, recorder):
    def answer(conn, _):
        conn.sendall(HEAD)
        for part in (made(0), failed("Blocked") + made(1)):
            conn.sendall(part)
            recorder.wait()
        conn.sendall(ark_end(generated_images=2) + DONE)

    assert post(serve(answer).origin, n=3, partial=recorder).status is Status.DONE
    assert recorder.seen == [(0, False), (1, False)]


def test_addresses_are_shown_too(post):
    seen = []
    parts = [event("image_generation.partial_succeeded", url=f"https://cdn/{k}.png") for k in range(2)]
    post(
        LOCAL,
        mounts=mounted([*parts, ark_end()]),
        partial=lambda image: seen.append((image.url, image.partial)),
    )
    assert seen == [("https://cdn/0.png", False), ("https://cdn/1.png", False)]


def bytewise(conn, _):
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    conn.sendall(HEAD)
    for byte in TINY:
        conn.sendall(bytes([byte]))


def tiny(kind, data, **fields):
    return event(kind, b64_json=b64(data), revised_prompt="狐 in the 雪", **fields)


TINY = tiny("image_edit.partial_image", b"one") + PING + tiny("image_edit.partial_image", b"two")
TINY += tiny("image_edit.completed", b"three")
TINY = TINY.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("answer", [bytewise, HEAD + TINY])
def test_one_byte_at_a_time_and_several_events_at_once(serve, post, answer):
    seen = []
    outcome = post(
        serve(answer).origin,
        partial=lambda image: seen.append((b"".join(image.chunks()), image.revised_prompt)),
    )
    assert seen == [(b"one", "狐 in the 雪"), (b"two", "狐 in the 雪")]
    assert outcome.answer.images[0].revised_prompt == "狐 in the 雪"
    assert b"".join(outcome.answer.images[0].chunks()) == b"three"


STREAMS = {
    "openai": (
        2,
        [partial(0), partial(1), completed(2), PING, partial(3), completed(0, usage={"total_tokens": 3})],
    ),
    "ark": (3, [made(0), failed("Blocked"), made(2), ark_end(generated_images=2), DONE]),
    "error": (1, [partial(0), partial(1), event("error", error=ERROR)]),
    "omni": (2, [event("ar_delta", delta=f"{KEY} is the 钥匙"), event("image", **images(2)), DONE]),
    "keys": (1, [partial(0, revised_prompt=KEY), partial(1, revised_prompt=f"狐{KEY}"), completed(2)]),
    "windows": (1, [part.replace(b"\n", b"\r\n") for part in (PING, partial(0), completed(1))]),
    "old": (1, [part.replace(b"\n", b"\r") for part in (PING, partial(0), completed(1))]),
}


def asked(parts, n, spool):
    """Return the answer to a stream in these parts, and its previews."""
    endpoint = endpoint_at(LOCAL)
    request = Request(endpoint="lab", base_url=endpoint.base_url, prompt="a fox", options={"n": n})
    seen = []
    outcome = exchange(
        write_call(request, PreparedRequest(model="m", options={"n": n}), endpoint),
        endpoint,
        credentials_of(KEY, endpoint.base_url),
        spool=spool,
        token=ticking(),
        timeouts=SLOW,
        idempotency_key="once-1",
        mounts=mounted(parts),
        partial=lambda image: seen.append((number(image), image)),
    )
    assert KEY.encode() not in outcome.spool.read_bytes()
    return outcome, seen


@pytest.fixture(scope="module")
def in_one_piece(tmp_path_factory):
    spool = tmp_path_factory.mktemp("spool") / "reply"
    return spool, {name: asked([b"".join(parts)], n, spool) for name, (n, parts) in STREAMS.items()}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(STREAMS)), st.data())
def test_any_split_gives_the_same_answer_and_the_same_images_on_the_way(in_one_piece, name, data):
    spool, expected = in_one_piece
    n, parts = STREAMS[name]
    text = b"".join(parts)
    ends = list(itertools.accumulate(map(len, parts)))
    near = st.builds(lambda end, by: end + by, st.sampled_from(ends), st.integers(-30, 30))
    cuts = data.draw(st.lists(near | st.integers(0, len(text)), max_size=12))
    cuts = sorted(min(max(cut, 0), len(text)) for cut in cuts)
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
    assert asked(pieces, n, spool) == expected[name]


def test_the_streams_of_the_test_above_tell_of_images(in_one_piece):
    told_of = {name: [which for which, _ in seen] for name, (_, seen) in in_one_piece[1].items()}
    assert told_of == {
        "openai": [(0, True), (1, True), (2, False), (3, True)],
        "ark": [(0, False), (2, False)],
        "error": [(0, True), (1, True)],
        "omni": [(0, False)],
        "keys": [(0, True), (1, True)],
        "windows": [(0, True)],
        "old": [(0, True)],
    }


def test_the_key_is_redacted_before_anybody_sees_the_image(serve, post, recorder, tmp_path):
    seen = []

    def show(image):
        seen.append((number(image), image.revised_prompt))
        assert KEY.encode() not in (tmp_path / "reply.part").read_bytes()
        recorder(image)

    def answer(conn, _):
        text = partial(1, revised_prompt=f"fox {KEY} fox")
        at = text.index(KEY.encode()) + 9  # in the midst of the key
        conn.sendall(HEAD + text[:at])
        conn.sendall(text[at:])
        recorder.wait()
        conn.sendall(completed(2))

    outcome = post(serve(answer).origin, partial=show)
    assert seen == [((1, True), f"fox {'*' * len(KEY)} fox")]
    assert KEY not in repr(outcome)


# How often, and what goes wrong


def test_four_a_second_and_the_newest_wins(post, recorder):
    seconds = iter([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    now = 0.0

    def parts():
        nonlocal now
        for k in range(16):
            now = next(seconds, now)
            yield partial(k % 4)
        assert len(recorder.seen) == 4
        now = 1.05
        yield PING
        assert recorder.seen[4:] == [(3, True)]
        yield PING + partial(1)
        yield partial(2)
        yield completed(0)

    outcome = post(LOCAL, mounts=mounted(parts()), token=CancelToken(lambda: now), partial=recorder)
    assert outcome.status is Status.DONE
    assert recorder.seen == [(0, True), (1, True), (2, True), (3, True), (3, True)]


def test_what_it_raises_ends_the_calling_and_nothing_else(serve, post):
    calls = []

    def show(image):
        calls.append(image)
        raise RuntimeError("the notebook is gone")

    outcome = post(serve(stream(partial(0), partial(1), completed(2))).origin, partial=show)
    assert (outcome.status, outcome.error, numbers(outcome)) == (Status.DONE, None, [(2, False)])
    assert len(calls) == 1


def test_nobody_is_called_for_plain_json_or_a_refusal(serve, post, recorder):
    body = json.dumps(images(2), indent=1).encode()
    assert post(serve(reply(b"\n\n" + body)).origin, n=2, partial=recorder).status is Status.DONE
    refused = reply(partial(0), "400 Bad Request", kind="text/event-stream")
    assert post(serve(refused).origin, partial=recorder).status is Status.REFUSED
    assert recorder.seen == []


def test_nobody_is_called_after_done_or_for_ever(post, recorder, monkeypatch):
    post(LOCAL, mounts=mounted([DONE, partial(0)]), partial=recorder)
    monkeypatch.setattr("ipyimagegen.client.streaming.EVENTS", 10)
    post(LOCAL, mounts=mounted([event("step") * 10 + partial(0)]), partial=recorder)
    assert recorder.seen == []


def test_a_large_stream_takes_no_memory(post):
    """Some 60 MB of base64 in one line, read on the way and in the end."""
    block, count = b64(bytes(49152)).encode(), 900
    sizes = []

    def parts():
        for kind in ("partial_image", "completed"):
            yield f'data: {{"type": "image_generation.{kind}", "b64_json": "'.encode()
            for _ in range(count // (9 if kind == "completed" else 1)):
                yield block
            yield b'"}\n\n'

    tracemalloc.start()
    try:
        outcome = post(
            LOCAL,
            mounts=mounted(parts()),
            partial=lambda image: sizes.append(sum(map(len, image.chunks()))),
        )
        sizes += [sum(map(len, image.chunks())) for image in outcome.answer.images]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcome.status is Status.DONE
    assert sizes == [count * 49152, count // 9 * 49152]
    assert outcome.spool.stat().st_size > 60 << 20
    assert peak < 4 << 20
