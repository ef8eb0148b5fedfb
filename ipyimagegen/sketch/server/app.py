"""The engine as a WSGI application that speaks the OpenAI Images API.

`create_app()` serves, with or without `/v1`, `POST images/generations` (JSON), `POST images/edits` (a form or
JSON with `data:` URLs), both with `stream: true` as server-sent events that are drawn while they are sent,
`GET models`, the files to which `response_format: "url"` points, and at `GET /` a page that explains it all.
Everything else, and everything wrong, is refused with the API's error envelope.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from ipyimagegen.sketch.server.fields import Fault
from ipyimagegen.sketch.server.quotas import CHECK, Quota, ServerLimits, Ticket
from ipyimagegen.sketch.server.replies import HttpReply, Refusal, describe_error, make_failure
from ipyimagegen.sketch.server.welcome import find_origin, make_page

LARGEST = 1 << 20  # bytes of a body: the longest prompt in any script, with room
LARGEST_EDIT = 256 << 20  # of an edit's: several photographs; 16 of the largest do not fit in a call
KEPT = 64 << 20  # bytes of images that are kept for their URLs
FILES = "/images/files/"
MODEL = {"id": "sketch", "object": "model", "created": 1_767_225_600, "owned_by": "ipyimagegen"}
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
    state = AppState(key, usual, RecentFiles(KEPT), limits.pixels, drawings, input_bytes)

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
        reply = replace(reply, headers={"openai-processing-ms": spent, **reply.headers})
        start_response(*reply.to_wsgi())
        return () if environ["REQUEST_METHOD"] == "HEAD" else reply.send_pieces()

    return app


def _respond(call: AppCall) -> HttpReply:
    """Find the route and follow it. Raises Refusal."""
    method, path = call.environ["REQUEST_METHOD"], call.environ.get("PATH_INFO", "")
    route = path.removeprefix("/v1")
    if method == "GET" and route.startswith(FILES):
        return _send_file(call.state, route.removeprefix(FILES))
    methods = ROUTES.get(route)
    if methods is None:
        raise Refusal(f"Invalid URL ({method} {path[:200]})", status=404)
    if method not in methods:
        allowed = ", ".join(methods)
        message = f"Not allowed to {method} on {path}. (HINT: perhaps you meant to use {allowed}?)"
        raise Refusal(message, status=405, headers={"Allow": allowed})
    if route != "/":
        _authorize(call.state, call.environ)
    return methods[method](call)


def _authorize(state: AppState, environ: WSGIEnvironment) -> None:
    if state.key is None:
        return
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    # compared as bytes and in constant time; the key that was sent is never repeated
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        token.strip().encode("latin-1", "replace"), state.key.encode()
    ):
        message = "Incorrect API key provided. This server requires the key that it was started with."
        raise Refusal(message, status=401, code="invalid_api_key")


def _draw(call: AppCall, *, edit: bool = False) -> HttpReply:
    """Return the images of a call, streamed if the request asks for it."""
    from ipyimagegen.sketch.server import jobs  # noqa: PLC0415 - it imports Pillow

    fault, content_type = call.state.fault, call.environ.get("CONTENT_TYPE", "")
    with call.read_body(LARGEST_EDIT if edit else LARGEST) as raw, call.wait_for_turn():
        job = jobs.prepare_edit(raw, content_type, fault) if edit else jobs.prepare_generation(raw, fault)
        del raw
    (width, height), n = job.size, job.fields["n"]
    if width * height * n > call.state.pixels:
        most_pixels = f"at most {call.state.pixels} pixels in all"
        message = f"Invalid 'n': {n} images of {width}x{height} are too many: {most_pixels}."
        raise Refusal(message, param="n", code="invalid_value")
    if job.fields["stream"]:
        return jobs.stream_images(job, call.wait_for_turn, call.report)
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


def _show_page(call: AppCall) -> HttpReply:
    page = make_page(find_origin(call.environ), has_key=call.state.key is not None)
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return HttpReply(200, (page,), "text/html; charset=utf-8", headers)


def _send_file(state: AppState, name: str) -> HttpReply:
    # no key: a name is the hash of what it names, so only its recipient knows it
    data = state.files.get(name)
    if data is None:
        raise Refusal("No such image: URLs are kept for a short while only.", status=404)
    return HttpReply(200, (data,), f"image/{name.rpartition('.')[2]}")


ROUTES: dict[str, dict[str, Callable[[AppCall], HttpReply]]] = {
    "/": {"GET": _show_page},
    "/images/generations": {"POST": _draw},
    "/images/edits": {"POST": lambda call: _draw(call, edit=True)},
    "/models": {"GET": lambda _: HttpReply.from_json({"object": "list", "data": [MODEL]})},
}
