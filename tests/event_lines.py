"""Event streams read by the standard, slowly and plainly: what the tests hold the real reader against."""

import json

from hypothesis import strategies as st
from loopback import b64

LINES = ["data: x", "data:y:z", "data", "data:  two", "data: 狐", "datax: no", " data: no"]
LINES += ["event: a", "event:b", "event", ": keep-alive", ":", "id: 1", "retry: 5", "", "", ""]
lines = st.sampled_from([*(line.encode() for line in LINES), b"data: " + b"long" * 100])
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


def event(kind, image=None, **more):
    """Return an event of an image stream as a server sends it."""
    data = {"type": kind, **({"b64_json": b64(image)} if image else {}), **more}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def by_the_standard(text):
    """The standard's way, on the whole text: the name and the data of each event."""
    events, name, data = [], "", []
    text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for line in text.split(b"\n")[:-1]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            events += [(name, b"\n".join(data))] if data else []
            name, data = "", []
        elif field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return events


def cut_up(text, cuts):
    """Yield the text in pieces that end at these places, None: byte by byte."""
    at = 0
    for cut in range(len(text)) if cuts is None else sorted(cuts):
        yield text[at:cut]
        at = max(at, cut)
    yield text[at:]
