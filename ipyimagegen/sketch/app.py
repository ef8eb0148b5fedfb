"""The engine as a WSGI application that speaks the OpenAI Images API.

`create_app()` serves `POST /v1/images/generations`, `GET /v1/models` and the files that
`response_format: "url"` points to, with or without `/v1`. Everything else, and everything wrong,
is answered with the API's error envelope.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from wsgiref.util import application_uri

from ipyimagegen.sketch import faults
from ipyimagegen.sketch.fields import GENERATION, check
from ipyimagegen.sketch.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LARGEST = 1 << 20  # bytes of a body: the longest prompt in any script, with room
DRAINED = 64 << 20  # bytes of a larger body that are read and dropped, so that the refusal arrives
KEPT = 64 << 20  # bytes of pictures that are kept for their urls
CREATED = 1_767_225_600  # of the model list: a fixed date


@dataclass(frozen=True, slots=True)
class Shelf:
    """Pictures by name for a while: the oldest go when there are too many bytes."""

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
            message = "The server had an error while processing your request."
            reply = Refusal(message, status=500, kind="server_error", code="server_error").reply
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
    raw = _read(environ)
    _authorize(server, environ)
    methods = ROUTES.get(route)
    if methods is None:
        raise Refusal(f"Invalid URL ({method} {path[:200]})", status=404)
    if method not in methods:
        allowed = ", ".join(methods)
        message = f"Not allowed to {method} on {path}. (HINT: perhaps you meant to use {allowed}?)"
        raise Refusal(message, status=405, headers={"Allow": allowed})
    return methods[method](server, environ, raw)


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


def _read(environ: WSGIEnvironment) -> bytes:
    """Return the body. Raises Refusal.

    It is read before any other refusal: closing on unread bytes would reset the connection.
    """
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > LARGEST:
        left = min(length, DRAINED)
        while left > 0 and (piece := environ["wsgi.input"].read(min(left, 1 << 16))):
            left -= len(piece)
        raise Refusal(
            f"Request body too large: at most {LARGEST} bytes.", status=413, code="request_too_large"
        )
    return environ["wsgi.input"].read(length) if length > 0 else b""


def _body(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of the request. Raises Refusal."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refusal("We could not parse the JSON body of your request. The API expects a JSON object.")
    return body


def _generate(server: Server, environ: WSGIEnvironment, raw: bytes) -> Reply:
    asked = check(_body(raw), GENERATION)
    fault = asked["fault"] or server.fault
    faults.before(fault)
    pictures = _pictures(asked, fault)
    if asked["response_format"] == "url":
        base = application_uri(environ).rstrip("/") + "/v1" + FILES
        data = [{"url": base + server.shelf.put(picture, asked["output_format"])} for picture in pictures]
    else:
        data = [{"b64_json": base64.b64encode(picture).decode()} for picture in pictures]
    return faults.after(fault, Reply.of({"created": int(time.time()), "data": data, **_facts(asked, fault)}))


def _pictures(asked: dict[str, Any], fault: str | None) -> list[bytes]:
    # here and not above: Pillow comes in at the first drawing
    from ipyimagegen.sketch.engine import draw, encode  # noqa: PLC0415

    width, height = faults.size(fault, asked["size"])
    seed = secrets.randbelow(2**31) if asked["seed"] == -1 else asked["seed"]
    compression = 100 if asked["output_compression"] is None else asked["output_compression"]
    return [
        encode(
            draw(
                asked["prompt"],
                width=width,
                height=height,
                seed=seed + k,
                quality=asked["quality"],
                background=asked["background"],
                style=asked["style"],
                negative_prompt=asked["negative_prompt"],
            ),
            asked["output_format"],
            compression,
        )
        for k in range(faults.count(fault, asked["n"]))
    ]


def _facts(asked: dict[str, Any], fault: str | None) -> dict[str, Any]:
    """Return what the API says beside the pictures; tokens are counted as if a model had drawn."""
    width, height = faults.size(fault, asked["size"])
    text = -(-len(asked["prompt"].encode("utf-8", "replace")) // 4)
    image = -(-width // 32) * -(-height // 32) * faults.count(fault, asked["n"])
    return {
        "background": "transparent" if asked["background"] == "transparent" else "opaque",
        "output_format": asked["output_format"],
        "size": f"{width}x{height}",
        "quality": "medium" if asked["quality"] == "auto" else asked["quality"],
        "usage": {
            "input_tokens": text,
            "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
            "output_tokens": image,
            "output_tokens_details": {"image_tokens": image, "text_tokens": 0},
            "total_tokens": text + image,
        },
    }


def _edit(*_: object) -> Reply:
    raise Refusal("sketch does not edit pictures yet; it only draws new ones.", status=404)


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
ROUTES: dict[str, dict[str, Callable[[Server, WSGIEnvironment, bytes], Reply]]] = {
    "/images/generations": {"POST": _generate},
    "/images/edits": {"POST": _edit},
    "/models": {"GET": _models},
}
