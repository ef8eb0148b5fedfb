"""Server-sent events of the known servers, as bytes, and what is read of them."""

import json

from sockets import PICTURES, b64, reply

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"
PING = b": keep-alive\n\n"
ERROR = {"message": "overloaded", "code": "server_error"}


def event(kind, picture=None, **fields):
    """Return one event; `picture` is a number in PICTURES."""
    said = {"type": kind, **fields}
    if picture is not None:
        said["b64_json"] = b64(PICTURES[picture])
    return f"event: {kind}\ndata: {json.dumps(said, ensure_ascii=False)}\n\n".encode()


def partial(picture, **fields):
    return event("image_generation.partial_image", picture, **fields)


def completed(picture, **fields):
    return event("image_generation.completed", picture, **fields)


def made(picture, **fields):
    """Ark's finished picture."""
    return event("image_generation.partial_succeeded", picture, **fields)


def failed(code):
    """Ark's failed picture."""
    return event("image_generation.partial_failed", error={"code": code, "message": "no"})


def ark_end(**usage):
    return event("image_generation.completed", model="seedream", created=7, usage=usage)


def stream(*events, done=False):
    """Return the whole answer of a server that closes the connection at its end."""
    return HEAD + b"".join(events) + (DONE if done else b"")


def framed(*events):
    """Return the whole answer of a server that says how long it is."""
    return reply(b"".join(events), kind="text/event-stream")


def number(found):
    """Return which of PICTURES it is, and whether it is partial."""
    return PICTURES.index(b"".join(found.chunks())), found.partial


def numbers(outcome):
    return [number(one) for one in outcome.answer.found]


def local(parts):
    """Return a WSGI application that answers with an iterable of bytes."""

    def app(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return iter(parts)

    return app


LOCAL = "http://local.invalid"


def mounted(parts):
    return {f"{LOCAL}/": local(parts)}
