"""A server that takes what its document names and refuses everything else.

A `Document` is what a provider publishes: fields with their values, models and what differs for
them, the form of replies and of errors. `strict(document)` answers requests by it. Images have the
size that was asked for; those given by address are served from the same origin, and only without a key.
"""

import functools
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loopback import CANARY as KEY
from loopback import b64
from PIL import Image

Check = Callable[[Any], bool]


def text(longest=None):
    return lambda v: isinstance(v, str) and bool(v) and (longest is None or len(v) <= longest)


def one_of(*values):
    return lambda v: isinstance(v, str) and v in values


def whole(low, high):
    return lambda v: type(v) is int and low <= v <= high


def number(low, high):
    return lambda v: type(v) in (int, float) and low <= v <= high


def flag(value):
    return type(value) is bool


def never(_):
    """Stand for a field that the document does not give to this model."""
    return False


def pixels(low=1, high=10_000, sign="x"):
    """Take `WxH` with edges between two numbers; `×` is not `x`."""

    def check(value):
        size = re.fullmatch(rf"(\d+){re.escape(sign)}(\d+)", value) if isinstance(value, str) else None
        return bool(size) and all(low <= int(edge) <= high for edge in size.groups())

    return check


def ratio(value):
    return isinstance(value, str) and bool(re.fullmatch(r"\d+:\d+", value))


def envelope(kind, *, status_as_code=False):
    """Return the writer of `{error: {message, type, param, code}}`."""

    def write(status, code, message):
        code = status if status_as_code else code
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    return write


def detail(status, code, message):
    """Write the error of a FastAPI server: a text, or for a bad body a list."""
    return {"detail": [{"loc": ["body"], "msg": message}] if status == 422 else message}


@dataclass(frozen=True)
class Drawn:
    """One image, and the ways to hand it over; each `number` has a colour of its own."""

    asked: Mapping[str, Any]
    origin: str
    width: int
    height: int
    kind: str = "png"
    number: int = 1

    @property
    def name(self):
        clear = "-clear" if self.asked.get("background") == "transparent" else ""
        number = f"-{self.number}" if self.number > 1 else ""
        return f"{self.width}x{self.height}{clear}{number}.{self.kind}"

    @property
    def url(self):
        return f"{self.origin}/files/{self.name}"

    @property
    def base64(self):
        return b64(draw(self.name))


@functools.cache
def draw(name):
    """Return the file of that name, as 64x48-clear-2.webp."""
    match = re.fullmatch(r"(\d+)x(\d+)(-clear)?(?:-(\d+))?\.(\w+)", name)
    width, height, clear, number, kind = match.groups()
    colour = (200, 30, 20 * int(number or 1), *((90,) if clear else ()))
    out = io.BytesIO()
    Image.new("RGBA" if clear else "RGB", (int(width), int(height)), colour).save(out, kind)
    return out.getvalue()


def default_size(asked):
    """Return the size of the image for a request: as asked, or 256 pixels high in the ratio asked."""
    across, down = (int(v) for v in asked.get("aspect_ratio", "1:1").split(":"))
    size = re.match(r"(\d+)\D(\d+)$", str(asked.get("size")))
    return (int(size[1]), int(size[2])) if size else (256 * across // down, 256)


def as_asked(default):
    """Return the writer of items that follow `response_format`; `default` is for when it is absent."""

    def item(drawn):
        if drawn.asked.get("response_format", default) == "url":
            return {"url": drawn.url}
        return {"b64_json": drawn.base64}

    return item


def header(seen, name):
    """Return the value of a header, whatever the case of its name."""
    return next((v for k, v in seen.headers.items() if k.lower() == name.lower()), None)


def plain_reply(asked, items):
    return {"created": 1_780_000_000, "data": items}


def event(data, name=None):
    """Write one server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "") + f"data: {text}\n\n"


OPENAI_ERROR = envelope("invalid_request_error")
AS_BASE64 = as_asked("b64_json")


@dataclass(frozen=True, kw_only=True)
class Document:
    """What is published of one server.

    `models` gives what differs for a model (empty: any model is taken). `key` says whether a key is
    needed. `default_model` answers for a request without one. `events` writes a stream, where there is.
    """

    fields: Mapping[str, Check]
    models: Mapping[str, Mapping[str, Check]] = field(default_factory=dict)
    required: tuple[str, ...] = ("model", "prompt")
    default_model: str = ""
    path: str = "/v1/images/generations"
    key: bool = True
    key_header: str = "Authorization"
    error: Callable[[int, str, str], Any] = OPENAI_ERROR
    bad_value: int = 400
    no_model: int = 400
    item: Callable[[Drawn], Mapping[str, Any]] = AS_BASE64
    reply: Callable[[Mapping[str, Any], list], Any] = plain_reply
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "png"
    size: Callable[[Mapping[str, Any]], tuple[int, int]] = default_size
    events: Callable[[Mapping[str, Any], list], list] | None = None

    def takes(self, seen):
        """Say whether a request to this route is one of those described here."""
        return seen.path == self.path

    def read(self, seen):
        """Return the fields of a request, as they are asked for."""
        return seen.json

    def refusals(self, seen):
        """Yield status, code and message of everything that is wrong with a request, worst first."""
        key = f"Bearer {KEY}" if self.key_header == "Authorization" else KEY
        if seen.method != "POST" or seen.path != self.path:
            yield 404, "not_found", f"Invalid URL ({seen.method} {seen.path})"
        if header(seen, self.key_header) != (key if self.key else None):
            yield 401, "invalid_api_key", "Invalid token"
        yield from self.faults(self.read(seen))

    def faults(self, asked):
        """Yield what is wrong with the fields."""
        model = asked.get("model", self.default_model)
        if self.models and model not in self.models:
            yield self.no_model, "model_not_found", f"No available channel for model {model}"
        checks = {**self.fields, **self.models.get(model, {})}
        for name in self.required:
            if name not in asked:
                yield self.bad_value, "missing_required_parameter", f"{name} is required"
        for name, value in asked.items():
            if checks.get(name, never) is never:
                yield self.bad_value, "unknown_parameter", f"Unknown parameter: '{name}'."
            elif not checks[name](value):
                yield self.bad_value, "invalid_value", f"Invalid value for '{name}'."


def strict(*documents):
    """Return the `answer` of a server that keeps to the documents: the first that takes a request."""

    def answer(seen):
        if seen.method == "GET":
            keyed = KEY in str(seen.headers)
            return (403, {}, b"no keys here") if keyed else (200, {}, draw(seen.path.split("/")[-1]))
        candidates = [document for document in documents if document.path == seen.path]
        fitting = (document for document in candidates if document.takes(seen))
        document = next(fitting, [*candidates, documents[0]][0])
        for refusal in document.refusals(seen):
            return refusal[0], {}, document.error(*refusal)
        asked = document.read(seen)
        kind = asked.get("output_format", document.kind)
        shape = asked, f"http://{header(seen, 'Host')}", *document.size(asked), kind
        count = asked.get("n", asked.get("batch_size", 1))
        items = [document.item(Drawn(*shape, number)) for number in range(1, count + 1)]
        if asked.get("stream") is True and document.events:
            sent = "".join(document.events(asked, items))
            return 200, {"Content-Type": "text/event-stream", **document.headers}, sent.encode()
        return 200, dict(document.headers), document.reply(asked, items)

    return answer
