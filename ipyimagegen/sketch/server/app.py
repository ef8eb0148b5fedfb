"""The engine as a WSGI application that speaks the OpenAI Images API.

`create_app()` serves, with or without `/v1`, `POST images/generations` (JSON), `POST images/edits` (a form or
JSON with `data:` URLs), both with `stream: true` as server-sent events that are drawn while they are sent,
`GET models` and `GET models/ID`, the files to which URLs of images point, and at `GET /` a page that explains
it all. Everything else, and everything wrong, is refused with the API's error envelope.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from ipyimagegen.sketch.server.fields import Fault, find_model_row
from ipyimagegen.sketch.server.quotas import CHECK, Quota, ServerLimits, Ticket
from ipyimagegen.sketch.server.replies import HttpReply, Refusal, describe_error, make_failure, refuse_value
from ipyimagegen.sketch.server.welcome import find_origin, make_page

LARGEST = 1 << 20  # bytes of a body: the longest prompt in any script, with room
LARGEST_EDIT = 256 << 20  # of an edit's: several photographs; 16 of the largest do not fit in a call
KEPT = 64 << 20  # bytes of images that are kept for their URLs
ATTEMPTS = 10_000  # calls whose repeats are counted
FILES, MODELS = "/images/files/", "/models/"
MODEL = {"id": "sketch", "object": "model", "created": 1_767_225_600, "owned_by": "ipyimagegen"}
NOTICE = {"x-sketch-notice": "drawn by the sketch engine by fixed rules; no AI model was used"}
UNLIMITED = ServerLimits()


@dataclass(frozen=True, slots=True)
class RecentFiles:
    """Files by name for a while: the oldest go when there are too many bytes."""

    most: int
    files: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, data: bytes, suffix: str) -> str:
        """Keep the bytes; return their name."""
        name = f"{hashlib.sha256(data).hexdigest()}.{suffix}"
        with self.lock:
            self.files[name] = data
            self.files.move_to_end(name)
            while len(self.files) > 1 and sum(map(len, self.files.values())) > self.most:
                self.files.popitem(last=False)
        return name

    def get(self, name: str) -> bytes | None:
        """Return the bytes of that name, None if they are gone."""
        with self.lock:
            return self.files.get(name)


@dataclass(frozen=True, slots=True)
class AppState:
    """What all calls share."""

    key: str | None
    fault: Fault
    files: RecentFiles
    attempts: Counter[bytes]
    pixels: float
    drawings: Quota
    input_bytes: Quota


@dataclass(frozen=True, slots=True)
class AppCall:
    """A request to the application, and its place in the queues."""

    state: AppState
    environ: WSGIEnvironment
    ticket: Ticket

    def wait_for_turn(self) -> AbstractContextManager[None]:
        """Wait for the turn to draw, and hold it. Raises ConnectionError once the client has gone."""
        return self.state.drawings.claim(self.ticket)

    def count_before(self, body: bytes) -> int:
        """Return how often this call has come before: the same key of repeats, or client and body."""
        environ = self.environ
        sent = environ.get("REMOTE_ADDR", "").encode() + environ["PATH_INFO"].encode() + body
        call = hashlib.sha256(environ.get("HTTP_IDEMPOTENCY_KEY", "").encode() or sent).digest()
        if len(attempts := self.state.attempts) >= ATTEMPTS:
            attempts.clear()
        attempts[call] += 1
        return attempts[call] - 1

    def report(self, error: Exception) -> None:
        """Write an error of the server's own to the log."""
        self.environ["wsgi.errors"].write(describe_error(error))

    @contextmanager
    def read_body(self, most: int) -> Iterator[bytes]:
        """Yield the body, held in memory until the end. Raises Refusal."""
        text = self.environ.get("CONTENT_LENGTH") or ""
        length = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
        if length > most:
            message = f"Request body too large: at most {most} bytes."
            raise Refusal(message, status=413, code="request_too_large")
        small = length <= LARGEST  # a small body must not wait for the large ones
        with nullcontext() if small else self.state.input_bytes.claim(self.ticket, length):
            try:
                raw: bytes = self.environ["wsgi.input"].read(length) if length else b""
            except TimeoutError:
                raise Refusal("The request body did not arrive in time.", status=408) from None
            if len(raw) < length:
                raise Refusal(f"The request body is incomplete: {len(raw)} of {length} bytes.")
            yield raw


def create_app(
    *, key: str | None = None, fault: str | None = None, limits: ServerLimits = UNLIMITED
) -> WSGIApplication:
    """Return the WSGI application; `key` is required of every client, `fault` goes wrong in every call.

    A server that knows whether its client is still there sets `quotas.CHECK` in the environment. Raises
    ValueError for an unknown fault.
    """
    usual = Fault.from_text(fault) if fault is not None else Fault()
    drawings, input_bytes = Quota(limits.drawings), Quota(limits.input_bytes)
    state = AppState(key, usual, RecentFiles(KEPT), Counter(), limits.pixels, drawings, input_bytes)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        call = AppCall(state, environ, Ticket(environ.get(CHECK, lambda: None)))
        try:
            reply = _respond(call)
        except Refusal as refusal:
            reply = refusal.reply
        except ConnectionError:  # the client has gone
            raise
        except Exception as error:  # noqa: BLE001 - a server responds whatever happens inside it
            call.report(error)
            reply = HttpReply.from_json(make_failure(), 500)
        spent = str(int((time.perf_counter() - started) * 1000))
        reply = replace(reply, headers={**NOTICE, "openai-processing-ms": spent, **reply.headers})
        start_response(*reply.to_wsgi())
        return () if environ["REQUEST_METHOD"] == "HEAD" else reply.body

    return app


def _respond(call: AppCall) -> HttpReply:
    """Find the route and follow it. Raises Refusal."""
    method, path = call.environ["REQUEST_METHOD"], call.environ.get("PATH_INFO", "")
    route = path.removeprefix("/v1")
    route = next((prefix for prefix in (FILES, MODELS) if route.startswith(prefix)), route)
    methods = ROUTES.get(route)
    if methods is None:
        hint = "This server makes images only, at /v1/images/generations and /v1/images/edits."
        raise Refusal(f"Invalid URL ({method} {path[:200]}). {hint}", status=404)
    if method not in methods:
        allowed = ", ".join(methods)
        message = f"Not allowed to {method} on {path}. (HINT: perhaps you meant to use {allowed}?)"
        raise Refusal(message, status=405, headers={"Allow": allowed})
    # the name of a file is the hash of it, so only its recipient knows it
    if call.state.key is not None and route not in {"/", FILES}:
        _authorize(call.state.key, call.environ)
    return methods[method](call)


def _authorize(key: str, environ: WSGIEnvironment) -> None:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    sent = token.strip().encode("latin-1", "replace")
    # compared as bytes and in constant time; the key that was sent is never repeated
    if scheme.lower() != "bearer" or not hmac.compare_digest(sent, key.encode()):
        message = "Incorrect API key provided. This server requires the key that it was started with."
        raise Refusal(message, status=401, code="invalid_api_key")


def _draw(call: AppCall, *, edit: bool = False) -> HttpReply:
    """Return the images of a call, streamed if the request asks for it."""
    from ipyimagegen.sketch.server import jobs  # noqa: PLC0415 - it imports Pillow

    fault, content_type = call.state.fault, call.environ.get("CONTENT_TYPE", "")
    with call.read_body(LARGEST_EDIT if edit else LARGEST) as raw, call.wait_for_turn():
        job = jobs.prepare_edit(raw, content_type, fault) if edit else jobs.prepare_generation(raw, fault)
        job.fault.check_request(partial(call.count_before, raw))
        del raw
    (width, height), n = job.size, job.fields["n"] * job.frames
    if width * height * n > call.state.pixels:
        most_pixels = f"at most {call.state.pixels} pixels in all"
        message = f"Invalid 'n': {n} images or frames of {width}x{height} are too many: {most_pixels}."
        raise refuse_value("n", message)
    if job.fields["stream"]:
        events = jobs.stream_images(job, call.wait_for_turn, call.report)
        return HttpReply(200, events, "text/event-stream", {"Cache-Control": "no-cache"})
    for _ in job.fault.wait():
        call.ticket.check()
    images = []
    with call.wait_for_turn():
        for image in job.draw():
            images.append(job.encode(image))
            call.ticket.check()
    if job.fields["response_format"] == "url":
        files = f"{find_origin(call.environ)}/v1{FILES}"
        suffix = job.fields["output_format"]
        data = [{"url": files + call.state.files.put(image, suffix)} for image in images]
    else:
        data = [{"b64_json": base64.b64encode(image).decode()} for image in images]
    facts = {**job.facts, "usage": job.count_tokens(len(images))}
    return job.fault.cut(HttpReply.from_json({"created": int(time.time()), "data": data, **facts}))


def _show_model(call: AppCall) -> HttpReply:
    name = call.environ["PATH_INFO"].rpartition("/")[2]
    if name != MODEL["id"] and not find_model_row(name):
        message = f"The model '{name[:200]}' does not exist or you do not have access to it."
        raise Refusal(message, status=404, param="model", code="model_not_found")
    return HttpReply.from_json({**MODEL, "id": name})  # whoever the name belongs to, sketch draws


def _show_page(call: AppCall) -> HttpReply:
    page = make_page(find_origin(call.environ), has_key=call.state.key is not None)
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HttpReply(200, (page,), "text/html; charset=utf-8", headers)


def _send_file(call: AppCall) -> HttpReply:
    name = call.environ["PATH_INFO"].rpartition("/")[2]
    data = call.state.files.get(name)
    if data is None:
        raise Refusal("No such image: URLs are kept for a short while only.", status=404)
    return HttpReply(200, (data,), f"image/{name.rpartition('.')[2]}")


ROUTES: dict[str, dict[str, Callable[[AppCall], HttpReply]]] = {
    "/": {"GET": _show_page},
    "/images/generations": {"POST": _draw},
    "/images/edits": {"POST": lambda call: _draw(call, edit=True)},
    "/models": {"GET": lambda _: HttpReply.from_json({"object": "list", "data": [MODEL]})},
    MODELS: {"GET": _show_model},
    FILES: {"GET": _send_file},
}
