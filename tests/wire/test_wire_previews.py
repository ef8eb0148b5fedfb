"""The pictures of a stream while it is still on its way: each at once, readable, and never in the way."""

import itertools
import json
import threading

import pytest
from sockets import PICTURES, b64

from ipyimagegen.records import Status
from ipyimagegen.wire import Control

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def event(kind, picture=None, **fields):
    said = {"type": kind, **fields}
    if picture is not None:
        said["b64_json"] = b64(PICTURES[picture])
    return f"event: {kind}\ndata: {json.dumps(said)}\n\n".encode()


def partial(picture, **fields):
    return event("image_generation.partial_image", picture, **fields)


def completed(picture, **fields):
    return event("image_generation.completed", picture, **fields)


def made(picture, **fields):
    return event("image_generation.partial_succeeded", picture, **fields)


def whole(*events):
    return HEAD + b"".join(events)


class Told:
    """Collects what a call tells of, read at once, and what its server waits for."""

    def __init__(self):
        self.seen = []
        self.event = threading.Event()

    def __call__(self, found):
        self.seen.append((PICTURES.index(b"".join(found.chunks())), found.partial))
        self.event.set()

    def heard(self):
        """Wait until it was called; for a server between two events."""
        assert self.event.wait(10)
        self.event.clear()


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def ticking():
    """A control whose clock is a second later each time anybody looks."""
    return Control(clock=itertools.count().__next__)


def kept(outcome):
    return [(PICTURES.index(b"".join(one.chunks())), one.partial) for one in outcome.answer.found]


def test_each_picture_is_told_before_the_server_sends_more(serve, post, told):
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
    assert kept(outcome) == [(2, False), (3, False)]
