"""The reader of replies against json.loads, for any text, any chunking and any cut."""

import base64
import contextlib
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipyimagegen.client.response import ResponseImage, read_response
from ipyimagegen.client.spool import Slice, Spool, TooLarge, load_json
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.redact import Redactor

LIFTED = 24


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_value_error(noise):
    for text in (noise, b'{"data":[' + noise, b'[{"a":"' + noise):
        with contextlib.suppress(ValueError):
            load_json([text], lifted=LIFTED)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"a":' * 50_000, b"[[]," * 2_000_000, b"", b"null", b'"text"']
)
def test_hostile_shapes_are_refused(text):
    with pytest.raises(ValueError):
        load_json([text])


def test_what_a_server_sends_cannot_pass_for_a_slice():
    (value,), _, _ = load_json([b'{"data":[{"b64_json":{"start":0,"stop":9,"head":""}}]}'])
    assert value == {"data": [{"b64_json": {"start": 0, "stop": 9, "head": ""}}]}


def test_a_byte_order_mark_and_leading_keep_alive_blanks():
    assert load_json([b"\xef\xbb\xbf", b" \n" * 500, b'{"a":NaN}'])[:2] == ([{"a": None}], True)


@st.composite
def spelled(draw):
    """Some bytes, and a JSON string's content that means their base64."""
    data = draw(st.binary(min_size=1, max_size=120))
    text = base64.b64encode(data).decode()
    if draw(st.booleans()):
        text = text.rstrip("=")
    if draw(st.booleans()):
        text = text.replace("+", "-").replace("/", "_")
    wild = random.Random(draw(st.integers(0, 1000)))
    text = "".join(wild.choice(["", "", "", "\\n", " ", "\\r\\n"]) + escaped(c, wild) for c in text)
    prefix = draw(st.sampled_from(["", "data:image/png;base64,", "data:image\\/png;base64,"]))
    return data, prefix + text


def escaped(character, wild):
    return wild.choice([character, character, f"\\u{ord(character):04x}", character.replace("/", "\\/")])


@settings(deadline=None)
@given(spelled())
def test_base64_in_every_spelling(tmp_path_factory, case):
    data, text = case
    path = tmp_path_factory.mktemp("spool") / "reply"
    path.write_text("xx" + text + "yy")
    sliced = ResponseImage(base64=Slice(2, 2 + len(text), ""), spool=path)
    inline = ResponseImage(base64=json.loads(f'"{text}"'))
    assert b"".join(sliced.chunks()) == b"".join(inline.chunks()) == data


def test_escapes_across_blocks(tmp_path):
    data = random.Random(1).randbytes(150_000)
    text = base64.b64encode(data).decode().replace("+", "\\u002B").replace("/", "\\/")
    path = tmp_path / "reply"
    path.write_text(text)
    assert b"".join(ResponseImage(base64=Slice(0, len(text), ""), spool=path).chunks()) == data


@pytest.mark.parametrize(
    "bad", ["QUJD!UFB", "QUJD=QUJD", "QUJD=", "QUJDQ", "QUJDQQ===", "QUJD\u00e9AAA", "QUJDQQ==QQ=="]
)
def test_bad_base64_gives_what_was_good_and_then_an_error(bad):
    got = []
    with pytest.raises(ValueError):
        got.extend(ResponseImage(base64=bad).chunks())
    assert b"".join(got) == b"ABC"


@pytest.mark.parametrize("empty", ["data:image/png;base64,", "  \n"])
def test_nothing_is_no_image(empty):
    with pytest.raises(ValueError):
        list(ResponseImage(base64=empty).chunks())


def test_a_image_has_a_cap(tmp_path):
    path = tmp_path / "reply"
    path.write_bytes(b"A" * (90 << 20))
    sizes = []
    with pytest.raises(ValueError, match="64 MiB"):
        sizes.extend(map(len, ResponseImage(base64=Slice(0, 90 << 20, ""), spool=path).chunks()))
    assert sum(sizes) <= 64 << 20


def test_the_spool_has_a_limit(tmp_path):
    with Spool(tmp_path / "reply", 10) as spool, pytest.raises(TooLarge):
        spool.write(b"x" * 11)


@pytest.mark.parametrize("cut", range(1, 19))
def test_a_part_of_a_key_waits_for_nothing_and_goes_when_more_of_it_comes(tmp_path, cut):
    """What was delivered outlives a kill, so nothing is held back."""
    key, path = "sk-canary-0123456789", tmp_path / "reply"
    with Spool(path, 1000, Redactor([key])) as spool:
        for chunk in (f'{{"error":"{key[:cut]}', f'{key[cut:]}"}}'):
            size = path.stat().st_size
            spool.write(chunk.encode())
            assert path.stat().st_size == size + len(chunk)
            text = path.read_text()
            assert not any(key[at : at + 8] in text for at in range(len(key) - 7))
    assert path.read_text() == f'{{"error":"{"*" * len(key)}"}}'


@pytest.mark.parametrize("head", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP"])
def test_what_begins_as_an_image_is_written_as_it_comes(tmp_path, head):
    """Its texts are searched when it is stored, where their checksums can be mended."""
    with Spool(tmp_path / "image", 1000, Redactor(["sk-canary-0123456789"])) as spool:
        assert spool.write(head + b"sk-canary-0123456789") == head + b"sk-canary-0123456789"


@pytest.mark.parametrize("dummy", ["none", "test", "EMPTY", "secret7"])
def test_a_word_as_key_damages_no_image_and_no_address(tmp_path, dummy):
    """Base64 of some megabytes holds nearly any word of four letters: the image was paid for."""
    path = tmp_path / "reply"
    text = (
        f'{{"data": [{{"b64_json": "iVBORw{dummy}AAAA"}}, {{"url": "https://cdn.example/{dummy}/1.png"}}]}}'
    )
    with Spool(path, 1000, Redactor([dummy])) as spool:
        spool.write(text.encode())
    assert path.read_text() == text
    answer = read_response(
        json.loads(text),
        Endpoint(name="lab", base_url="https://x.example"),
        Redactor([dummy]),
    )
    assert answer.images[1].url == f"https://cdn.example/{dummy}/1.png"
