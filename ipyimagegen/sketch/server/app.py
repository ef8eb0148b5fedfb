"""The engine as a WSGI application that speaks the OpenAI Images API.

`create_app()` serves, with or without `/v1`:

- `POST /v1/images/generations`: JSON;
- `POST /v1/images/edits`: a multipart form or JSON with `data:` URLs, 1 to 16 pictures and a mask;
- both with `stream: true` as server-sent events, drawn while they are sent;
- `GET /v1/models`, and the files that `response_format: "url"` points to;
- `GET /`: a page that says how to use it.

Everything else, and everything wrong, is answered with the API's error envelope.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ipyimagegen.sketch.server import calls, faults, welcome
from ipyimagegen.sketch.server.limits import CHECK, UNLIMITED, Limits, Quota, Ticket
from ipyimagegen.sketch.server.replies import Refusal, Reply, describe, failure
from ipyimagegen.sketch.server.shelf import Shelf
from ipyimagegen.sketch.server.streams import stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from ipyimagegen.sketch.server.calls import Work

LARGEST = 1 << 20  # bytes of a body: the longest prompt in any script, with room
LARGEST_EDIT = 256 << 20  # of an edit's: several photos; 16 of the largest ones do not go in one call
KEPT = 64 << 20  # bytes of pictures that are kept for their urls
CREATED = 1_767_225_600  # of the model list: a fixed date


@dataclass(frozen=True, slots=True)
class Server:
    """What all calls share."""

    key: str | None
    fault: str | None
    shelf: Shelf
    pixels: float
    drawings: Quota
    input_bytes: Quota


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the server, and its place in the queues."""

    server: Server
    environ: WSGIEnvironment
    ticket: Ticket

    def turn(self) -> AbstractContextManager[None]:
        """Wait for the turn to draw, and hold it. Raises ConnectionError once the client has gone."""
        return self.server.drawings.claim(self.ticket)

    def report(self, error: Exception) -> None:
        """Write an error of the server's own to the log."""
        self.environ["wsgi.errors"].write(describe(error))

    @contextmanager
    def body(self, most: int) -> Iterator[bytes]:
        """Yield the body, held in memory until the end. Raises Refusal."""
        given = self.environ.get("CONTENT_LENGTH") or ""
        plain = given.isascii() and given.isdigit() and len(given) < 19
        length = int(given) if plain else 0
        if length > most:
            message = f"Request body too large: at most {most} bytes."
            raise Refusal(message, status=413, code="request_too_large")
        small = length <= LARGEST  # a small body must not wait for the large ones
        with nullcontext() if small else self.server.input_bytes.claim(self.ticket, length):
            yield self._read(length)

    def _read(self, length: int) -> bytes:
        try:
            raw: bytes = self.environ["wsgi.input"].read(length) if length else b""
        except TimeoutError:
            raise Refusal("The request body did not arrive in time.", status=408) from None
        if len(raw) < length:
            raise Refusal(f"The request body is incomplete: {len(raw)} of {length} bytes.")
        return raw


def create_app(
    *, key: str | None = None, fault: str | None = None, limits: Limits = UNLIMITED
) -> WSGIApplication:
    """Return the WSGI application; `key` is required of every client, `fault` goes wrong in every call.

    A server that can tell whether its client is still there sets `limits.CHECK` in the environment.
    Raises ValueError for a fault that is none.
    """
    if fault is not None and not faults.known(fault):
        raise ValueError(f"unknown fault {fault!r}; there are {', '.join(faults.NAMES)}")
    server = Server(key, fault, Shelf(KEPT), limits.pixels, Quota(limits.drawings), Quota(limits.input_bytes))

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        call = Call(server, environ, Ticket(environ.get(CHECK, _assume_present)))
        try:
            reply = _answer(call)
        except Refusal as refusal:
            reply = refusal.reply
        except ConnectionError:  # the client has gone
            raise
        except Exception as error:  # noqa: BLE001 - a server answers whatever happens inside it
            call.report(error)
            reply = Reply.of(failure(), 500)
        spent = str(int((time.perf_counter() - started) * 1000))
        start_response(*replace(reply, headers={"openai-processing-ms": spent, **reply.headers}).start())
        return () if environ["REQUEST_METHOD"] == "HEAD" else reply.pieces()

    return app


def _assume_present() -> None:
    """Stand in for the check of a server that has none."""


def _answer(call: Call) -> Reply:
    """Find the route and follow it. Raises Refusal."""
    method, path = call.environ["REQUEST_METHOD"], call.environ.get("PATH_INFO", "")
    route = path.removeprefix("/v1")
    if method == "GET" and route.startswith(FILES):
        return _file(call.server, route.removeprefix(FILES))
    answer = _route(method, path, route)
    if answer is not _page:
        _authorize(call.server, call.environ)
    return answer(call)


def _route(method: str, path: str, route: str) -> Answer:
    methods = ROUTES.get(route)
    if methods is None:
        raise Refusal(f"Invalid URL ({method} {path[:200]})", status=404)
    if method not in methods:
        allowed = ", ".join(methods)
        message = f"Not allowed to {method} on {path}. (HINT: perhaps you meant to use {allowed}?)"
        raise Refusal(message, status=405, headers={"Allow": allowed})
    return methods[method]


def _authorize(server: Server, environ: WSGIEnvironment) -> None:
    if server.key is None:
        return
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    # compared as bytes and in constant time; the key given is never repeated
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        token.strip().encode("latin-1", "replace"), server.key.encode()
    ):
        message = "Incorrect API key provided. This server requires the key that it was started with."
        raise Refusal(message, status=401, code="invalid_api_key")


def _generate(call: Call) -> Reply:
    return _drawn(call, LARGEST, lambda raw: calls.generation(raw, call.server.fault))


def _edit(call: Call) -> Reply:
    content_type = call.environ.get("CONTENT_TYPE", "")
    return _drawn(call, LARGEST_EDIT, lambda raw: calls.edit(raw, content_type, call.server.fault))


def _drawn(call: Call, most: int, prepare: Callable[[bytes], Work]) -> Reply:
    """Return the pictures of a call, streamed if that was asked for."""
    with call.body(most) as raw, call.turn():
        work = prepare(raw)
        del raw
    _check_pixels(work, call.server.pixels)
    if work.asked["stream"]:
        return stream(work, call.turn, call.report)
    for _ in faults.wait(work.fault):
        call.ticket.check()
    images = []
    with call.turn():
        for image in work.pictures():
            images.append(work.encoded(image))
            call.ticket.check()
    if work.asked["response_format"] == "url":
        data = [{"url": _keep(call, image, work.asked["output_format"])} for image in images]
    else:
        data = [{"b64_json": base64.b64encode(image).decode()} for image in images]
    facts = {**work.facts, "usage": work.usage(len(images))}
    return faults.after(work.fault, Reply.of({"created": int(time.time()), "data": data, **facts}))


def _check_pixels(work: Work, most: float) -> None:
    """Refuse a call that draws more pixels than this server allows. Raises Refusal."""
    width, height = work.size
    count = work.asked["n"]
    if width * height * count > most:
        message = f"Invalid 'n': {count} images of {width}x{height} are more than {most} pixels in all."
        raise Refusal(message, param="n", code="invalid_value")


def _keep(call: Call, image: bytes, suffix: str) -> str:
    """Keep an image for a while; return its URL."""
    return f"{welcome.requested_origin(call.environ)}/v1{FILES}{call.server.shelf.put(image, suffix)}"


def _page(call: Call) -> Reply:
    page = welcome.page(welcome.requested_origin(call.environ), has_key=call.server.key is not None)
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Reply(200, (page,), "text/html; charset=utf-8", headers)


def _models(*_: object) -> Reply:
    model = {"id": "sketch", "object": "model", "created": CREATED, "owned_by": "ipyimagegen"}
    return Reply.of({"object": "list", "data": [model]})


def _file(server: Server, name: str) -> Reply:
    # no key: a name is the hash of what it names, so it is known only to who was told
    data = server.shelf.get(name)
    if data is None:
        raise Refusal("No such picture: urls are kept for a short while only.", status=404)
    return Reply(200, (data,), f"image/{name.rpartition('.')[2]}")


FILES = "/images/files/"
Answer = Callable[[Call], Reply]
ROUTES: dict[str, dict[str, Answer]] = {
    "/": {"GET": _page},
    "/images/generations": {"POST": _generate},
    "/images/edits": {"POST": _edit},
    "/models": {"GET": _models},
}
