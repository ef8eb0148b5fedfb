"""Streams in cells: images while waiting, and what stays when a stream breaks."""

import contextlib
import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from event_lines import event
from loopback import image_bytes, records

from ipyimagegen.core.messages import Remedy
from ipyimagegen.notebook.fronts import CELL

PARTIALS = [image_bytes(64, 48, (60 * k, 0, 0)) for k in (1, 2)]
FINAL = image_bytes(64, 48, (0, 0, 250))
USAGE = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}


def whole(family="image_generation"):
    partials = [event(f"{family}.partial_image", p, partial_image_index=k) for k, p in enumerate(PARTIALS)]
    return [b": keep-alive\n\n", *partials, event(f"{family}.completed", FINAL, usage=USAGE, size="64x48")]


class Streaming:
    """A server that sends pieces; before each it waits for `go`, unless that is None."""

    def __init__(self, pieces):
        self.posts = []
        self.go = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for piece in pieces(self.path) if callable(pieces) else pieces:
                    if outer.go is not None:
                        outer.go.acquire(timeout=30)
                    with contextlib.suppress(ConnectionError):
                        self.wfile.write(piece)
                        self.wfile.flush()

            def log_message(self, *args):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        threading.Thread(target=self.httpd.serve_forever, daemon=True, args=(0.05,)).start()
        self.base_url = f"http://127.0.0.1:{self.httpd.server_port}/v1"


@pytest.fixture
def streaming(kernel):
    running = []

    def start(pieces, **entry):
        server = Streaming(pieces)
        running.append(server)
        settings = {"base_url": server.base_url, "free": False, **entry}
        done = kernel.run(
            f"%config Imagine.endpoints = {{'lab': {settings!r}}}\n%config Imagine.endpoint = 'lab'"
        )
        assert done.error is None, done.error
        return server

    yield start
    for server in running:
        server.httpd.shutdown()
        server.httpd.server_close()


def run_watched(kernel, code, between=lambda message: None):
    """Run a cell with somebody watching; return its display messages; `between` gets each as it comes."""
    sent = kernel.start(code, watched=True)
    messages = []
    while True:
        got = kernel.client.get_iopub_msg(timeout=30)
        if got["parent_header"].get("msg_id") != sent:
            continue
        kind, content = got["msg_type"], got["content"]
        if kind == "status" and content["execution_state"] == "idle":
            with contextlib.suppress(queue.Empty):
                kernel.client.get_shell_msg(timeout=0.01)
            return messages
        if kind in ("display_data", "update_display_data", "error"):
            messages.append((kind, content))
            between(messages[-1])


def image_in(message):
    return next((v for k, v in message[1].get("data", {}).items() if k.startswith("image/")), None)


def test_partial_images_are_painted_in_the_place_of_the_result(kernel, streaming):
    server = streaming(whole())
    server.go = threading.Semaphore(2)  # the keep-alive and the first partial; the rest when it was seen

    def between(message):
        if message[0] == "update_display_data" and image_in(message):
            server.go.release()

    messages = run_watched(kernel, "%imagine --stream a fox", between)
    assert json.loads(server.posts[0][2])["stream"] is True
    painted = [message for message in messages if image_in(message)]
    assert len(painted) == 3  # two partials, and the result
    assert len({image_in(message) for message in painted}) == 3
    places = [message[1]["transient"]["display_id"] for message in messages]
    assert len(set(places)) == 2
    assert {message[1]["transient"]["display_id"] for message in painted} == {places[0]}
    last = {message[1]["transient"]["display_id"]: message for message in messages}
    assert image_in(last[places[0]])
    caption = next(message for place, message in last.items() if place != places[0])[1]["data"]["text/plain"]
    assert caption.startswith("1 · ")
    assert "64x48" in caption


def test_unwatched_it_leaves_two_outputs_and_is_reused(kernel, streaming):
    server = streaming(whole())
    cell = kernel.run("%imagine --stream a fox")
    assert [output["output_type"] for output in cell.outputs] == ["display_data", "display_data"]
    assert cell.images[0].getpixel((9, 9))[2] > 200
    assert kernel.run("%imagine a fox").reused
    assert kernel.run("%imagine --partial-images 1 a fox").reused
    assert len(server.posts) == 1


@pytest.mark.parametrize(
    ("typed", "partials"), [("--stream", 2), ("--partial-images 3", 3), ("--stream --partial-images 0", 0)]
)
def test_what_is_sent_where_the_server_is_known(kernel, streaming, typed, partials):
    server = streaming(whole(), fields=["n", "size", "stream", "partial_images"])
    assert kernel.run(f"%imagine {typed} a fox").error is None
    sent = json.loads(server.posts[0][2])
    assert (sent["stream"], sent["partial_images"]) == (True, partials)


def test_an_edit_streams_too(kernel, streaming):
    server = streaming(whole("image_edit"))
    kernel.run("from PIL import Image\nimage = Image.new('RGB', (64, 48), 'teal')")
    cell = kernel.run("%imagine --stream --image image --mask 0,0,8,8 add a hat")
    assert cell.error is None, cell.error
    path, _, body = server.posts[0]
    assert path == "/v1/images/edits"
    assert b'name="stream"\r\n\r\ntrue' in body
    assert "100.0%" in cell.caption


FELL = event("error", error={"message": "the model fell over", "code": "server_error"})
CUT = [([], ""), ([FELL], "the model fell over")]


@pytest.mark.parametrize(("more", "stated"), CUT)
def test_a_stream_that_breaks_leaves_its_last_partial(kernel, streaming, home, more, stated):
    server = streaming([*whole()[:-1], *more])
    cell = kernel.run("%imagine --stream a fox")
    assert cell.error is None, cell.error  # a partial passes, with a word
    assert cell.images[0].getpixel((9, 9))[0] > 100
    assert stated in cell.caption
    assert CELL.remedies[Remedy.RETRY] in cell.caption
    (record,) = records(home).values()
    assert record["status"] == "unknown"
    assert [image["state"] for image in record["images"]] == ["partial"]
    again = kernel.run("%imagine --stream a fox")
    assert "--retry" in again.error
    assert len(server.posts) == 1


def test_an_error_event_alone_fails_the_cell(kernel, streaming):
    server = streaming([event("error", error={"message": "no", "code": "moderation_blocked"})])
    cell = kernel.run("%imagine --stream a fox")
    assert "no" in cell.error
    assert len(cell.error.splitlines()) <= 2
    assert len(server.posts) == 1


def test_ark_sends_finished_images_one_by_one(kernel, streaming):
    pieces = [
        event("image_generation.partial_succeeded", PARTIALS[0], image_index=0),
        event("image_generation.partial_failed", image_index=1, error={"code": "x", "message": "blocked"}),
        event("image_generation.partial_succeeded", FINAL, image_index=2),
        event("image_generation.completed", usage={"generated_images": 2}),
        b"data: [DONE]\n\n",
    ]
    streaming(pieces, dialect="ark")
    cell = kernel.run(
        "%imagine -m doubao-seedream-4-0-250828 --stream --set sequential_image_generation=auto a fox"
    )
    assert cell.error is None, cell.error
    assert "2 images" in cell.caption
    assert "blocked" in cell.caption


def test_sketch_streams_and_keeps_a_partial_when_cut(kernel):
    assert kernel.run("%imagine --endpoint sketch --size 256x256 --stream a fox").error is None
    line = "%imagine --endpoint sketch --size 256x256 --stream --set fault=slow:2 a cat"
    assert sum(image_in(message) is not None for message in run_watched(kernel, line)) >= 2
    cut = kernel.run("%imagine --endpoint sketch --size 256x256 --stream --set fault=cut a dog")
    assert cut.error is None, cut.error
    assert "cut" in cut.caption
