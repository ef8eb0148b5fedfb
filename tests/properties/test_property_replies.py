"""Any JSON in any pieces, cut anywhere, is what a slow and plain reader makes of it."""

import base64
import json
import random
import re
import tracemalloc
from functools import cache

from event_lines import cut_up
from hypothesis import example, given
from hypothesis import strategies as st
from tape import tapes

from ipyimagegen.client.response import read_response
from ipyimagegen.client.spool import Slice, load_json
from ipyimagegen.client.streaming import load_body
from ipyimagegen.core.endpoints import Endpoint

LIFTED = 64
BOM = "\ufeff"

# JSON as servers may write it, character by character: json.dumps knows only one way.

LETTERS = ["a", "é", "狐", "😀", " ", "/", ":", "{", "]", ",", r"\"", r"\\", r"\/", r"\n"]
LETTERS += [r"\u002B", r"\u72d0", r"\ud83d\ude00", r"\ud800"]
NAMES = ["a", "b", r"\u0061", "data", "", r"\ud800", "狐"]  # "a" may come twice
WORDS = [
    "0",
    "-0",
    "12.5e3",
    "1E+2",
    "1e999",
    "9" * 300,
    "-7",
    "2.50",
    "true",
    "false",
    "null",
    "NaN",
    "-Infinity",
]
BLANKS = ["", "", "", " ", "\n\t", "\r\n  "]


def string(tape):
    return f'"{"".join(tape.several(lambda: tape.choose(LETTERS), 6)) * tape.choose([1, 1, 2, 40])}"'


def container(tape, depth):
    def value():
        kind = tape.below(8)
        if kind > 5 and depth:
            return container(tape, depth - 1)
        return tape.choose(BLANKS) + (string(tape) if kind % 2 else tape.choose(WORDS)) + tape.choose(BLANKS)

    if tape.below(2):
        return f"[{','.join(tape.several(value, 4))}]"
    members = tape.several(lambda: f'{tape.choose(BLANKS)}"{tape.choose(NAMES)}":{value()}', 4)
    return f"{{{','.join(members)}}}"


texts = tapes(100).map(
    lambda tape: tape.choose(["", BOM]) + tape.choose(BLANKS) + container(tape, 6) + tape.choose(BLANKS)
)


def loads(text):
    return json.loads(text.removeprefix(BOM), parse_constant=lambda _: None)


def restored(value, text):
    """Put the slices of the text's bytes back."""
    if isinstance(value, Slice):
        return json.loads(b'"' + text[value.start : value.stop] + b'"')
    if isinstance(value, list):
        return [restored(item, text) for item in value]
    return {k: restored(v, text) for k, v in value.items()} if isinstance(value, dict) else value


def slices(value):
    """Return the strings that were lifted, and those that were not."""
    if isinstance(value, (Slice, str)):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [part for item in inner for part in slices(item)]


cuts = st.lists(st.integers(0, 150), max_size=8) | st.none()


@given(texts, cuts)
@example(BOM + '{"a": "' + "狐" * 40 + '", "a": [1e999, NaN, "\\ud800"]}', [7, 8, 9])
def test_any_json_in_any_pieces_is_what_json_loads_says(text, cuts):
    raw = text.encode()
    (body,), whole, _ = load_json(cut_up(raw, cuts), lifted=LIFTED)
    assert whole
    assert restored(body, raw) == loads(text)
    assert all(
        (part.stop - part.start > LIFTED) if isinstance(part, Slice) else True for part in slices(body)
    )
    assert (
        sum(isinstance(part, str) and len(part.encode("utf-8", "replace")) > LIFTED for part in slices(body))
        == 0
    )


TOKENS = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[-+.\w]+)(?=[\s,\]}])|(?P<mark>[{}\[\]:,]))""", re.DOTALL
)


def whole_members(text):
    """What of a cut JSON arrived whole, container by container; None when not even its first mark did."""
    root, open_, key = None, [], None
    for token in iter(TOKENS.scanner(text.removeprefix(BOM)).match, None):
        mark = token["mark"]
        if mark in ("}", "]"):
            open_.pop()
            continue
        if mark in (":", ","):
            continue
        into = open_[-1] if open_ else None
        if isinstance(into, dict) and key is None:
            key = (json.loads(token["string"]),)
            continue
        value = {"{": {}, "[": []}.get(mark) if mark else loads(token["string"] or token["word"])
        if isinstance(into, dict):
            into[key[0]], key = value, None
        elif into is not None:
            into.append(value)
        root = value if root is None else root
        open_ += [value] if mark else []
    return root


@given(texts, st.integers(0, 300), cuts)
@example('{"usage": {"total_tokens": 1234}}', 29, [])
@example('[["a"], "b", 12.5]', 16, [])
def test_a_cut_reply_is_every_member_that_arrived_whole(text, cut, cuts):
    raw = text.encode()
    cut %= len(raw)
    arrived = raw[:cut].decode("utf-8", "ignore")
    expected = whole_members(arrived)
    try:
        (body,), whole, _ = load_json(cut_up(raw[:cut], cuts), lifted=LIFTED)
    except ValueError:
        assert expected is None
        return
    assert restored(body, raw) == expected
    assert whole == (not raw[cut:].strip())


ENDPOINT = Endpoint(name="lab", base_url="https://lab.example/v1")


@cache
def spelled(at, size, way):
    """One of the images, and how a server may write it."""
    data = NOISE[at : at + size]
    text = base64.b64encode(data).decode()
    return data, {
        "plain": text,
        "php": text.replace("/", r"\/"),
        "net": text.replace("+", r"\u002B"),
        "url": f"data:image/png;base64,{text}".replace("+", "-").replace("/", "_"),
        "lines": r"\n".join(text[at : at + 76] for at in range(0, len(text), 76)).rstrip("="),
    }[way]


WAYS = ("plain", "php", "net", "lines")
PROMPTS = ("", '狐\\"', "\\u72d0" * 300)
NOISE = random.Random(1).randbytes(20_000)


@given(tapes(10), st.none() | st.integers(1, 2**17))
def test_a_image_that_is_whole_before_the_cut_is_recovered(tmp_path_factory, tape, cut):
    images = tape.several(lambda: (tape.choose([9, 300, 13_000]), tape.choose(WAYS)), 3)
    first, prompt = tape.below(2), tape.choose(PROMPTS)
    items, ends, text = [], [], '{"created": 1, "data": ['
    for at, (size, way) in enumerate(images):
        data, written = spelled(at, size, way)
        text += ", " if at else ""
        text += f'{{"revised_prompt": "{prompt}", "b64_json": "' if first else '{"b64_json": "'
        text += written + '"'
        items.append(data)
        ends.append(len(text.encode()))
        text += "}" if first else f', "revised_prompt": "{prompt}"}}'
    raw = (text + '], "usage": {"total_tokens": 12345}}').encode()
    cut = len(raw) if cut is None else cut % len(raw) or 1
    path = tmp_path_factory.getbasetemp() / "reply.json"
    path.write_bytes(raw[:cut])
    answer = read_response(load_body(path, len(items), clean=True)[0], ENDPOINT, spool=path)
    arrived = [data for data, end in zip(items, ends, strict=True) if end <= cut]
    assert [b"".join(image.chunks()) for image in answer.images] == arrived
    assert answer.facts.get("usage", {}).get("total_tokens") in (None, 12345)
    if cut == len(raw):
        assert answer.facts["usage"] == {"total_tokens": 12345}


def test_a_reply_of_any_length_takes_little_memory():
    def endless():
        yield b'{"data": [{"b64_json": "'
        for _ in range(200):
            yield b"QUJD" * 16384
        yield b'"}, {"revised_prompt": "'
        for _ in range(200):
            yield rb"\u72d0\\" * 8192
        yield b'"}]}'

    tracemalloc.start()
    (body,) = load_json(endless())[0]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [len(item) for item in body["data"]] == [1, 1]
    assert peak < 2 << 20
