"""The images of a stream while it is still on its way: each at once, readable, and never in the way."""

import itertools
import json
import socket
import threading
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sockets import KEY, b64, endpoint_at, images, reply
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
from ipyimagegen.core.api_key import ApiKey
from ipyimagegen.core.run import PreparedRequest, Request, Status

SLOW = Timeouts(whole=10**9)  # for clocks that run


def ticking():
    """Return a token whose clock is a second later each time anybody looks."""
    return CancelToken(clock=itertools.count().__next__)


class Told:
    """Collects what a call tells of, read at once, and what its server waits for."""

    def __init__(self):
        self.seen = []
        self.thread = None
        self._event = threading.Event()

    def __call__(self, found):
        self.seen.append(number(found))
        self.thread = threading.current_thread()
        self._event.set()

    def heard(self):
        """Wait until it was called; for a server between two events."""
        assert self._event.wait(10)
        self._event.clear()


@pytest.fixture
def told():
    return Told()


def test_each_image_is_told_of_before_the_server_sends_more(serve, post, told):
    heard = []

    def answer(conn, _):
        conn.sendall(HEAD)
        for one in (partial(0), partial(1), completed(2)):
            conn.sendall(one)
            told.heard()
            heard.append(len(told.seen))
        conn.sendall(completed(3))

    outcome = post(serve(answer).origin, n=2, partial=told)
    assert outcome.status is Status.DONE
    assert heard == [1, 2, 3]
    assert told.seen == [(0, True), (1, True), (2, False)]
    assert numbers(outcome) == [(2, False), (3, False)]
    assert told.thread is threading.current_thread()


def test_arks_finished_images_are_told_of(serve, post, told):
    def answer(conn, _):
        conn.sendall(HEAD)
        for one in (made(0), failed("Blocked") + made(1)):
            conn.sendall(one)
            told.heard()
        conn.sendall(ark_end(generated_images=2) + DONE)

    assert post(serve(answer).origin, n=3, partial=told).status is Status.DONE
    assert told.seen == [(0, False), (1, False)]


def test_addresses_are_told_of_too(post):
    seen = []
    parts = [event("image_generation.partial_succeeded", url=f"https://cdn/{k}.png") for k in range(2)]
    post(
        LOCAL,
        mounts=mounted([*parts, ark_end()]),
        partial=lambda found: seen.append((found.url, found.partial)),
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
        partial=lambda found: seen.append((b"".join(found.chunks()), found.revised_prompt)),
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
    "windows": (1, [one.replace(b"\n", b"\r\n") for one in (PING, partial(0), completed(1))]),
    "old": (1, [one.replace(b"\n", b"\r") for one in (PING, partial(0), completed(1))]),
}


def asked(parts, n, spool):
    """Return the answer to a stream in these parts, and what was told of on the way."""
    endpoint = endpoint_at(LOCAL)
    request = Request(endpoint="lab", base_url=endpoint.base_url, prompt="a fox", options={"n": n})
    seen = []
    outcome = exchange(
        write_call(request, PreparedRequest(model="m", options={"n": n}), endpoint),
        endpoint,
        ApiKey(KEY, endpoint.base_url),
        spool=spool,
        token=ticking(),
        timeouts=SLOW,
        idempotency_key="once-1",
        mounts=mounted(parts),
        partial=lambda found: seen.append((number(found), found)),
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


def test_the_key_is_redacted_before_anybody_sees_the_image(serve, post, told, tmp_path):
    seen = []

    def tell(found):
        seen.append((number(found), found.revised_prompt))
        assert KEY.encode() not in (tmp_path / "reply.part").read_bytes()
        told(found)

    def answer(conn, _):
        text = partial(1, revised_prompt=f"fox {KEY} fox")
        at = text.index(KEY.encode()) + 9  # in the midst of the key
        conn.sendall(HEAD + text[:at])
        conn.sendall(text[at:])
        told.heard()
        conn.sendall(completed(2))

    outcome = post(serve(answer).origin, partial=tell)
    assert seen == [((1, True), f"fox {'*' * len(KEY)} fox")]
    assert KEY not in repr(outcome)


# How often, and what goes wrong


def test_four_a_second_and_the_newest_wins(post, told):
    seconds = iter([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    now = 0.0

    def parts():
        nonlocal now
        for k in range(16):
            now = next(seconds, now)
            yield partial(k % 4)
        assert len(told.seen) == 4
        now = 1.05
        yield PING
        assert told.seen[4:] == [(3, True)]
        yield PING + partial(1)
        yield partial(2)
        yield completed(0)

    outcome = post(LOCAL, mounts=mounted(parts()), token=CancelToken(lambda: now), partial=told)
    assert outcome.status is Status.DONE
    assert told.seen == [(0, True), (1, True), (2, True), (3, True), (3, True)]


def test_what_it_raises_ends_the_calling_and_nothing_else(serve, post):
    calls = []

    def tell(found):
        calls.append(found)
        raise RuntimeError("the notebook is gone")

    outcome = post(serve(stream(partial(0), partial(1), completed(2))).origin, partial=tell)
    assert (outcome.status, outcome.error, numbers(outcome)) == (Status.DONE, None, [(2, False)])
    assert len(calls) == 1


def test_nobody_is_called_for_plain_json_or_a_refusal(serve, post, told):
    body = json.dumps(images(2), indent=1).encode()
    assert post(serve(reply(b"\n\n" + body)).origin, n=2, partial=told).status is Status.DONE
    refused = reply(partial(0), "400 Bad Request", kind="text/event-stream")
    assert post(serve(refused).origin, partial=told).status is Status.REFUSED
    assert told.seen == []


def test_nobody_is_called_after_done_or_for_ever(post, told, monkeypatch):
    post(LOCAL, mounts=mounted([DONE, partial(0)]), partial=told)
    monkeypatch.setattr("ipyimagegen.client.streaming.EVENTS", 10)
    post(LOCAL, mounts=mounted([event("step") * 10 + partial(0)]), partial=told)
    assert told.seen == []


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
            partial=lambda found: sizes.append(sum(map(len, found.chunks()))),
        )
        sizes += [sum(map(len, one.chunks())) for one in outcome.answer.images]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcome.status is Status.DONE
    assert sizes == [count * 49152, count // 9 * 49152]
    assert outcome.spool.stat().st_size > 60 << 20
    assert peak < 4 << 20
