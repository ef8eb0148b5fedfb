"""Server-sent events of the known servers, as bytes, and what is read of them."""

import json

from sockets import IMAGES, b64, reply

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"
PING = b": keep-alive\n\n"
ERROR = {"message": "overloaded", "code": "server_error"}


def event(kind, image=None, **fields):
    """Return one event; `image` is a number in IMAGES."""
    data = {"type": kind, **fields}
    if image is not None:
        data["b64_json"] = b64(IMAGES[image])
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def partial(image, **fields):
    return event("image_generation.partial_image", image, **fields)


def completed(image, **fields):
    return event("image_generation.completed", image, **fields)


def made(image, **fields):
    """Ark's finished image."""
    return event("image_generation.partial_succeeded", image, **fields)


def failed(code):
    """Ark's failed image."""
    return event("image_generation.partial_failed", error={"code": code, "message": "no"})


def ark_end(**usage):
    return event("image_generation.completed", model="seedream", created=7, usage=usage)


def stream(*events, done=False):
    """Return the whole answer of a server that closes the connection at its end."""
    return HEAD + b"".join(events) + (DONE if done else b"")


def framed(*events):
    """Return the whole answer of a server that says how long it is."""
    return reply(b"".join(events), kind="text/event-stream")


def number(image):
    """Return which of IMAGES it is, and whether it is partial."""
    return IMAGES.index(b"".join(image.chunks())), image.partial


def numbers(outcome):
    return [number(image) for image in outcome.answer.images]


def local(parts):
    """Return a WSGI application that answers with an iterable of bytes."""

    def app(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return iter(parts)

    return app


LOCAL = "http://local.invalid"


def mounted(parts):
    return {f"{LOCAL}/": local(parts)}
