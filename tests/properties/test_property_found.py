"""A whole image in a response is found under any name of servers, however it is nested, written or cut."""

import base64
import json
import time
from functools import cache

from hypothesis import given
from hypothesis import strategies as st
from loopback import image_bytes
from tape import tapes

from ipyimagegen.client import StoredResponse
from ipyimagegen.core.endpoints import Endpoint

HERE = Endpoint(name="lab", base_url="https://lab.example/v1")
NAMES = [
    "b64_json",
    "url",
    "b64",
    "image",
    "base64",
    "image_base64",
    "image_url",
    "result",
    "b64Json",
    "Image",
]
LISTS = ["data", "images", "image_urls", "image_base64", "output", "url", "results", "imageUrls"]
OUTER = ["data", "message", "response", "task_result", "choices", "x", "结果", "", "data"]
BESIDE = [
    ("created", 1),
    ("status", "success"),
    ("error", None),
    ("error", {}),
    ("usage", {"total_tokens": 7}),
    ("seed", 10**300),
    ("text", 'a fox: {"b64_json": "x"} ]}'),
    ("url", ""),
    ("b64_json", None),
    ("revised_prompt", "狐\\\n" * 40),
    ("docs", "https://docs.example/errors"),
    ("size", [64, 48]),
]


@cache
def image(number):
    """Return one of a few images, some small, some longer than a text that is kept in memory."""
    form = ("PNG", "JPEG", "WEBP")[number % 3]
    size = (8, 300)[number // 3 % 2]
    data = image_bytes(size, size, (40 * number % 256, 90, 10), form)
    return data if size == 8 else data + bytes(range(256)) * 60


WRITINGS = {
    "plain": lambda text: text,
    "data": lambda text: f"data:image/png;base64,{text}",
    "typeless": lambda text: f"data:;base64,{text}",
    "urlsafe": lambda text: text.replace("+", "-").replace("/", "_").rstrip("="),
    "lines": lambda text: "\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
    "blank": lambda text: f" \n{text}\n",
}


def place(tape, depth):
    """Return a JSON value with images in it, and those images in their order."""
    number = tape.below(6)
    data = image(number)
    text = WRITINGS[tape.choose(list(WRITINGS))](base64.b64encode(data).decode())
    kind = tape.below(5) if depth else tape.below(2)
    if kind == 0:
        value, images = {tape.choose(NAMES): text}, [data]
    elif kind == 1:
        value, images = {tape.choose(LISTS): [text]}, [data]
    elif kind == 2:
        inner, images = place(tape, depth - 1)
        value = {tape.choose(OUTER): inner}
    elif kind == 3:
        inner, images = place(tape, depth - 1)
        value = {tape.choose(NAMES): inner}
    else:
        parts = [place(tape, depth - 1) for _ in range(1 + tape.below(2))]
        value = {tape.choose(LISTS): [part for part, _ in parts]}
        images = [data for _, inside in parts for data in inside]
    beside = tape.several(lambda: tape.choose(BESIDE), 3)
    return {**{name: v for name, v in beside if name not in value}, **value}, images


def write(tape, value):
    """Return the bytes of a body with that value, as some server writes it."""
    text = json.dumps(value, ensure_ascii=bool(tape.below(2)), indent=tape.choose([None, None, 2]))
    text = tape.choose([text, text.replace("/", "\\/"), text.replace("+", "\\u002B"), text])
    if tape.below(4) == 1:
        ending = tape.choose(["", "data: [DONE]\n\n", ": bye\n"])
        return "".join(f"data: {line}\n" for line in text.split("\n")).encode() + f"\n{ending}".encode()
    before = tape.choose(["", "\ufeff", "\n \n", ": wait\n\n", "\ufeff: wait\r\n"])
    after = tape.choose(["", "\n", '\n{"done": true}', " trailing text", "\n[]"])
    return f"{before}{text}{after}".encode()


@given(tapes(60), st.none() | st.integers(0, 2**17))
def test_a_whole_image_in_a_response_is_found(tmp_path_factory, tape, cut):
    value, images = place(tape, 4)
    raw = write(tape, value)
    path = tmp_path_factory.getbasetemp() / "found"
    path.write_bytes(raw if cut is None else raw[: cut % len(raw)])
    began = time.process_time()
    outcome, whole = StoredResponse(path=path, n=len(images), endpoint=HERE).read({})
    assert time.process_time() - began < 5  # it takes some milliseconds
    read = [b"".join(item.chunks()) for item in outcome.answer.images] if outcome.answer else []
    if cut is None:
        assert whole
        assert read == images
    else:
        assert set(read) <= set(images)
