"""What a server may send to keep its reader busy: time in proportion to what came, and few items taken."""

import contextlib
import json
import time

import pytest
from raising import assert_names
from sockets import b64

from ipyimagegen.catalog import compute_cost, find_capabilities
from ipyimagegen.catalog.sizes import parse_pixels
from ipyimagegen.client import StoredResponse, errors, reasons
from ipyimagegen.client.response import ERRORS, limit_items, read_response
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Status
from ipyimagegen.core.template import looks_like_alternatives, parse
from ipyimagegen.notebook.parser import check_line_prompt

HERE = Endpoint(name="here", base_url="https://host/v1")
PNG = b64(b"\x89PNG")


def seconds(work, text):
    """Return the least of three times that some work takes, in seconds of this thread."""
    times = []
    for _ in range(3):
        began = time.thread_time()
        work(text)
        times.append(time.thread_time() - began)
    return min(times)


def in_proportion(work, begin, unit, times, end=""):
    """Say whether four times the input takes at most ten times as long; a few milliseconds do not count."""
    once = seconds(work, begin + unit * times + end)
    return seconds(work, begin + unit * times * 4 + end) <= 10 * max(once, 0.005)


HTML = [
    "<title",
    "<title ",
    "<title>",
    "<title>x",
    "<script",
    "<script>",
    "<style ",
    "</script ",
    "<div>",
    "<",
]
HTML += [" ", "\n<", "<!--", "<a href='", "&lt;", "</title", "<title><script>"]


@pytest.mark.parametrize("unit", HTML)
def test_error_pages_take_time_in_proportion(monkeypatch, unit):
    monkeypatch.setattr(reasons, "BODY", 1 << 30)
    assert in_proportion(errors.parse_error, "<html>", unit, 100_000 // len(unit))


BRACES = [
    "{",
    "}",
    "{{",
    "{a:",
    "{a|",
    "|",
    "^{",
    "\\a{",
    "{a[",
    "{a['",
    "{a,b}",
    "{a.b",
    "{a:{b}",
    "{a!r:",
    "{ ,",
]


@pytest.mark.parametrize("unit", BRACES)
@pytest.mark.parametrize("begin", ["", "{"])
def test_prompts_take_time_in_proportion(begin, unit):
    assert in_proportion(lambda text: looks_like_alternatives(parse(text)), begin, unit, 4000)


@pytest.mark.parametrize("unit", [" ", ") ", ");", "(a, ", "a=1 ", "--n ", "{a", "'"])
def test_line_prompts_take_time_in_proportion(unit):
    def check(text):
        with contextlib.suppress(ValueError):
            check_line_prompt(text)

    assert in_proportion(check, "(a, ", unit, 4000, "x")


@pytest.mark.parametrize(
    ("begin", "unit", "end"),
    [
        ('{"data":[', "{},", "{}]}"),
        ('{"data":[', '{"b64_json":"iVBORw0KGgo="},', "{}]}"),
        ('{"data":[', '{"error":{"message":"x"}},', "{}]}"),
        ('{"data":[', "[", ""),
        ('{"a":', '{"a":', ""),
        ('{"data":["', '\\"', '"]}'),
        ('{"x":', "9", "}"),
        ("", "data: [DONE\n\n", ""),
        ("", "data: {}\n\n", ""),
        ("data: {", "data: {\n", ""),
        ("", "event: error\ndata: x\n\n", ""),
        ("", "\n", ""),
    ],
)
def test_responses_take_time_in_proportion(tmp_path, begin, unit, end):
    path = tmp_path / "spool"

    def outcome(text):
        path.write_text(text)
        StoredResponse(path=path, n=1, endpoint=HERE).read({})

    assert in_proportion(outcome, begin, unit, 60_000 // len(unit), end)


@pytest.mark.parametrize("n", [1, 8, 9, 128])
def test_a_few_more_items_than_asked_are_taken(n):
    items = [item for k in range(300) for item in ({"b64_json": PNG}, {"url": f"https://host/{k}.png"})]
    answer = read_response({"data": items}, HERE, n=n)
    assert len(answer.images) == limit_items(n) == max(2 * n, 16)
    assert answer.facts["items"] == 600
    as_many = read_response({"data": items[: 2 * n]}, HERE, n=n)
    assert (len(as_many.images), "items" in as_many.facts) == (2 * n, False)


def test_of_many_errors_a_few_are_told():
    body = {"data": [{"b64_json": PNG}, *[{"error": {"message": f"no {k}"}} for k in range(1000)]]}
    answer = read_response(body, HERE)
    *named, rest = [error.message for error in answer.errors]
    assert named == [f"no {k}" for k in range(ERRORS)]
    assert_names(rest, 1000 - ERRORS)


def nested(depth, key="error"):
    return f'{{"{key}":' * depth + '"x"' + "}" * depth


@pytest.mark.parametrize("depth", [1, 30, 100, 400, 900, 3000])
@pytest.mark.parametrize(
    "begin",
    [
        "%s",
        '{"error": %s}',
        '{"detail": [%s]}',
        '{"detail": [{"loc": [%s], "msg": %s}]}',
        '{"error": {"code": %s, "message": %s}}',
        '{"error": {"message": "no", "moderation_details": {"moderation_stage": "x", "categories": [%s]}}}',
    ],
)
@pytest.mark.parametrize("key", ["error", "detail", "errors"])
def test_nested_errors_are_read_or_shown_as_text(tmp_path, depth, begin, key):
    text = begin.replace("%s", nested(depth, key))
    assert errors.parse_error(reasons.parse_body(text.encode()), 400).message
    path = tmp_path / "spool"
    path.write_text(text)
    outcome, _ = StoredResponse(path=path, n=1, endpoint=HERE).read({})
    assert outcome.status in (Status.UNKNOWN, Status.REFUSED)


def test_a_number_of_thousands_of_digits_costs_no_image(tmp_path):
    path = tmp_path / "spool"
    path.write_text(f'{{"created": {"9" * 5000}, "data": [{{"b64_json": {json.dumps(PNG)}}}]}}')
    outcome, whole = StoredResponse(path=path, n=1, endpoint=HERE).read({})
    assert (outcome.status, whole, len(outcome.answer.images)) == (Status.DONE, True, 1)


@pytest.mark.parametrize("size", ["0x0", "0x64", "64x0", "9" * 5000 + "x1", "x", ""])
def test_a_size_that_is_none_has_no_price(size):
    assert parse_pixels(size) is None
    request = Request(
        endpoint="openai", base_url="https://api.openai.com/v1", model="gpt-image-1", prompt="a fox"
    )
    openai = Endpoint(name="openai", base_url=request.base_url, vendor="openai")
    capabilities = find_capabilities(request, openai)
    sent = PreparedRequest(model="gpt-image-1")
    compute_cost({"size": size, "quality": "low"}, 1, sent, request, capabilities)
