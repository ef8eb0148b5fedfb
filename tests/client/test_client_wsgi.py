"""One WSGI application, through the adapter and through a real server: the same outcomes."""

import json
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from sockets import IMAGES, KEY, images

from ipyimagegen.client import Timeouts
from ipyimagegen.core.run import Status


def app(environ, start_response):
    """Behave as the prompt's model name asks."""
    asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    way = environ["PATH_INFO"].split("/")[1]
    if way == "echo":
        seen = [environ[k] for k in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE")]
        seen += [environ["HTTP_AUTHORIZATION"], environ["HTTP_IDEMPOTENCY_KEY"], asked["prompt"]]
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [json.dumps({"error": {"message": " ".join(seen), "code": "echo"}}).encode()]
    if way == "busy":
        start_response("429 Too Many Requests", [("Retry-After", "2"), ("Content-Length", "0")])
        return []
    body = json.dumps(images(3)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    if way == "cut":
        return iter([body[:80_000]])
    if way == "fails":
        return failing(body[:80_000])
    return iter([body[at : at + 7000] for at in range(0, len(body), 7000)])


def failing(first):
    yield first
    raise RuntimeError("the application broke")


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def through(request, post, monkeypatch):
    """Return a function that posts to the application in either way."""
    if request.param == "adapter":

        def ask(way):
            return post(f"http://local.invalid/{way}", n=3, mounts={"http://local.invalid/": app})

        yield ask
        return
    monkeypatch.setattr("wsgiref.handlers.SimpleHandler.log_exception", lambda *_: None)
    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lambda way: post(f"http://127.0.0.1:{server.server_port}/{way}", n=3)
    server.shutdown()
    server.server_close()


BOTH = pytest.mark.parametrize("through", ["adapter", "wsgiref"], indirect=True)


@BOTH
def test_done(through):
    outcome = through("done")
    assert outcome.status is Status.DONE
    assert [b"".join(image.chunks()) for image in outcome.answer.images] == IMAGES[:3]


@BOTH
def test_the_request_arrives_whole(through):
    outcome = through("echo")
    assert outcome.status is Status.REFUSED
    assert outcome.error.code == "echo"
    text = outcome.error.message.partition("answered 400: ")[2]
    assert text == "POST /echo/v1/images/generations application/json Bearer [key] once-1 a fox"


@BOTH
def test_rejected(through):
    outcome = through("busy")
    assert (outcome.status, outcome.retry_after) == (Status.RATE_LIMITED, 2)


@BOTH
@pytest.mark.parametrize("way", ["cut", "fails"])
def test_cut_off(through, way):
    outcome = through(way)
    assert outcome.status is Status.UNKNOWN
    assert [b"".join(image.chunks()) for image in outcome.answer.images] == IMAGES[:1]


def test_the_body_streams(post):
    made = []

    def lazy(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        yield b" "
        while len(made) < 200_000:
            made.append(1)
            yield b"x" * 1_000_000

    outcome = post("http://local.invalid", mounts={"http://local.invalid/": lazy})
    assert outcome.status is Status.UNKNOWN
    assert len(made) < 200


@pytest.mark.parametrize("bad", [lambda *_: 1 / 0, lambda *_: [b"no start_response"]])
def test_an_application_that_fails_at_once(post, bad):
    outcome = post("http://local.invalid", mounts={"http://local.invalid/": bad})
    assert outcome.status is Status.UNKNOWN


def test_a_local_application_needs_no_network_settings(post, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    timeouts = Timeouts(connect=0.1, idle=1, whole=5)
    outcome = post("http://local.invalid/done", mounts={"http://local.invalid/": app}, timeouts=timeouts)
    assert outcome.status is Status.DONE
    assert KEY not in repr(outcome)
