"""Any body, of an error or of a 200 without an image: a short inert message, soon, and no key in it."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from words import is_inert

from ipyimagegen.client import StoredResponse
from ipyimagegen.client.errors import parse_error
from ipyimagegen.client.reasons import MESSAGE, parse_body, read_reason
from ipyimagegen.client.response import read_response
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.redact import Redactor
from ipyimagegen.core.run import Status

HERE = Endpoint(name="here", base_url="https://host/v1")
KEY = "pass-phrase/7734+gold"
NAMES = ["error", "errors", "message", "msg", "detail", "code", "type", "data", "choices", "text", "refusal"]
NAMES += ["categories", "moderation_details", "retryDelay", "loc", "status", "b64_json", "x"]
TEXTS = [
    "no",
    "",
    "success",
    "{",
    '{"a',
    "{'a': None}",
    "\\",
    '\\"',
    "a\nb",
    "\x1b[31m",
    "\u202e",
    KEY,
    KEY[:12],
]
TEXTS += [
    "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    "try again in 8s",
    "x" * 900,
    "<html>",
    "\ud800",
]

texts = st.sampled_from(TEXTS) | st.text(max_size=9)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts


def nest(inner):
    """Return lists and objects of values, and values as JSON or Python's repr inside a text."""
    members = st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    return (
        st.lists(inner, max_size=3) | members | members.map(json.dumps) | members.map(lambda m: f"E - {m!r}")
    )


bodies = st.recursive(scalars, nest, max_leaves=12)


def check(message):
    """Assert that a message is inert, plain and without eight characters of the key in a row."""
    assert message
    assert is_inert(message)
    assert "\\" not in message
    assert not any(KEY[at : at + 8] in message for at in range(len(KEY) - 7))


@given(bodies, st.integers(100, 999))
def test_any_json_of_an_error(body, status):
    error = parse_error(body, status, Redactor([KEY]))
    check(error.message)
    assert len(error.message) <= MESSAGE
    assert error.code is None or is_inert(error.code)


@given(st.binary(max_size=200))
def test_any_bytes_of_an_error(raw):
    check(parse_error(parse_body(raw), 500).message)


@given(bodies)
def test_any_json_of_a_200_without_an_image(body):
    answer = read_response(body, HERE, Redactor([KEY]))
    if not answer.images:
        check(answer.note)
        for error in answer.errors:
            check(error.message)
            assert len(error.message) <= MESSAGE


@pytest.mark.parametrize("begin", ["", "litellm.BadRequestError: OpenAIException - ", "Error code: 400 - "])
@pytest.mark.parametrize("write", [json.dumps, repr])
def test_json_inside_of_json_says_the_same(begin, write):
    text = 'It\'s no "size" of ours'
    for _level in range(7):
        text = begin + write({"error": {"message": text, "code": "400"}})
        assert read_reason({"message": text}).text == 'It\'s no "size" of ours'


@pytest.mark.parametrize("raw", [b"", b"\0\xff" * 99, b"no", b"{", b'{"a": 1}', b"<html>", b"data: {}\n\n"])
@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_bytes_of_a_200(tmp_path, raw, status):
    path = tmp_path / "spool"
    path.write_bytes(raw)
    outcome, _whole = StoredResponse(path=path, n=1, endpoint=HERE, redactor=Redactor([KEY])).read({}, status)
    assert outcome.status is Status.UNKNOWN
    check(outcome.error.message)


# Twice the input takes at most 2.5 times as long.

UNITS = [
    "{",
    "[",
    "'",
    '"',
    "\\'",
    '\\"',
    "\\",
    "{'",
    '{"a":',
    '{"message":"',
    '{\\"a\\":\\"',
    "try again in 1s ",
]
UNITS += [
    "1m",
    "model ",
    "no api key ",
    "insufficient ",
    "<html>",
    "{}",
    "[{",
    "a: {'b': 'c'} ",
    "余额",
    "\\u0041",
]


def seconds(work, value):
    times = []
    for _ in range(3):
        began = time.thread_time()
        work(value)
        times.append(time.thread_time() - began)
    return min(times)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("place", ["message", "list", "body"])
def test_texts_take_time_in_proportion(unit, place):
    def read(size):
        text = unit * (size // len(unit))
        bodies = {"message": {"error": {"message": text}}, "list": [{"msg": text[:99]}] * (size // 99)}
        read_reason(bodies.get(place, text), Redactor([KEY]))

    assert seconds(read, 40_000) <= 2.5 * max(seconds(read, 20_000), 0.01)


@pytest.mark.parametrize("begin", ["[", '{"error":', '{"message":[', '{"data":[{"error":'])
def test_nesting_takes_time_in_proportion(begin):
    def read(size):
        check(parse_error(parse_body(begin.encode() * size), 500).message)
        value = "x"
        for _level in range(size):
            value = {"error": [value]}
        check(parse_error(value, 500).message)

    assert seconds(read, 8000) <= 2.5 * max(seconds(read, 4000), 0.01)
