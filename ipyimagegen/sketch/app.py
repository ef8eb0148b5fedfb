"""The engine as a WSGI application that speaks the OpenAI Images API.

`create_app()` serves, with or without `/v1`:

- `POST /v1/images/generations`: JSON;
- `POST /v1/images/edits`: a multipart form or JSON with `data:` URLs, 1 to 16 pictures and a mask;
- both with `stream: true` as server-sent events, drawn while they are sent;
- `GET /v1/models`, and the files that `response_format: "url"` points to.

Everything else, and everything wrong, is answered with the API's error envelope.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from wsgiref.util import application_uri

from ipyimagegen.sketch import calls, faults
from ipyimagegen.sketch.replies import Refusal, Reply, failure
from ipyimagegen.sketch.shelf import Shelf
from ipyimagegen.sketch.streams import stream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from ipyimagegen.sketch.calls import Work

LARGEST = 1 << 20  # bytes of a body: the longest prompt in any script, with room
LARGEST_EDIT = 256 << 20  # of an edit's: several photos; 16 of the largest ones do not go in one call
DRAINED = 512 << 20  # bytes of a refused body that are read and dropped, so that the refusal arrives
KEPT = 64 << 20  # bytes of pictures that are kept for their urls
CREATED = 1_767_225_600  # of the model list: a fixed date


@dataclass(frozen=True, slots=True)
class Server:
    """What all calls share."""

    key: str | None
    fault: str | None
    shelf: Shelf


def create_app(*, key: str | None = None, fault: str | None = None) -> WSGIApplication:
    """Return the WSGI application; `key` is required of every client, `fault` goes wrong in every call.

    Raises ValueError for a fault that is none.
    """
    if fault is not None and not faults.known(fault):
        raise ValueError(f"unknown fault {fault!r}; there are {', '.join(faults.NAMES)}")
    server = Server(key, fault, Shelf(KEPT))

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        try:
            reply = _answer(server, environ)
        except Refusal as refusal:
            reply = refusal.reply
        except Exception:  # noqa: BLE001 - a server answers whatever happens inside it
            reply = Reply.of(failure(), 500)
        spent = str(int((time.perf_counter() - started) * 1000))
        headers = {"x-request-id": f"req_{secrets.token_hex(16)}", "openai-processing-ms": spent}
        start_response(*replace(reply, headers={**headers, **reply.headers}).start())
        return reply.pieces()

    return app


def _answer(server: Server, environ: WSGIEnvironment) -> Reply:
    """Find the route and follow it. Raises Refusal."""
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    route = path.removeprefix("/v1")
    if method == "GET" and route.startswith(FILES):
        return _file(server, route.removeprefix(FILES))
    unread = _Unread(environ)
    try:
        _authorize(server, environ)
        answer = _route(method, path, route)
        raw = unread.take(LARGEST_EDIT if answer is _edit else LARGEST)
    except Refusal:
        unread.drop()
        raise
    return answer(server, environ, raw)


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
        message = "Incorrect API key provided. This server wants the key that it was started with."
        raise Refusal(message, status=401, code="invalid_api_key")


class _Unread:
    """A body that waits to be read: taken if it is welcome, else dropped.

    Closing on unread bytes would reset the connection, and the refusal would not arrive.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        length = environ.get("CONTENT_LENGTH") or ""
        plain = length.isascii() and length.isdigit() and len(length) < 19
        self._left = int(length) if plain else 0
        self._input = environ["wsgi.input"]

    def take(self, most: int) -> bytes:
        """Return the body. Raises Refusal if it has more bytes."""
        if self._left > most:
            message = f"Request body too large: at most {most} bytes."
            raise Refusal(message, status=413, code="request_too_large")
        length, self._left = self._left, 0
        raw: bytes = self._input.read(length) if length else b""
        return raw

    def drop(self) -> None:
        """Read to the end, at least of what can be expected."""
        left = min(self._left, DRAINED)
        while left > 0 and (piece := self._input.read(min(left, 1 << 16))):
            left -= len(piece)


def _generate(server: Server, environ: WSGIEnvironment, raw: bytes) -> Reply:
    return _drawn(server, environ, calls.generation(raw, server.fault))


def _edit(server: Server, environ: WSGIEnvironment, raw: bytes) -> Reply:
    return _drawn(server, environ, calls.edit(raw, environ.get("CONTENT_TYPE", ""), server.fault))


def _drawn(server: Server, environ: WSGIEnvironment, work: Work) -> Reply:
    """Return the pictures of a call, streamed if that was asked for."""
    if work.asked["stream"]:
        return stream(work)
    for _ in faults.wait(work.fault):
        pass
    pictures = [work.encoded(picture) for picture in work.pictures()]
    if work.asked["response_format"] == "url":
        base = application_uri(environ).rstrip("/") + "/v1" + FILES
        data = [
            {"url": base + server.shelf.put(picture, work.asked["output_format"])} for picture in pictures
        ]
    else:
        data = [{"b64_json": base64.b64encode(picture).decode()} for picture in pictures]
    facts = {**work.facts, "usage": work.usage(len(pictures))}
    return faults.after(work.fault, Reply.of({"created": int(time.time()), "data": data, **facts}))


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
Answer = Callable[[Server, "WSGIEnvironment", bytes], Reply]
ROUTES: dict[str, dict[str, Answer]] = {
    "/images/generations": {"POST": _generate},
    "/images/edits": {"POST": _edit},
    "/models": {"GET": _models},
}
