"""Error envelopes: message and code of each known form, inert whatever a server writes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from words import is_inert

from ipyimagegen.client.errors import classify_status, parse_error
from ipyimagegen.client.reasons import BODY, parse_body
from ipyimagegen.core.redact import Redactor
from ipyimagegen.core.run import Status

ENVELOPES = [
    # body, message, code
    ({"error": {"message": "no", "type": "t", "param": None, "code": "c"}}, "no", "c"),
    (
        {"error": {"message": "no", "type": "invalid_request_error", "code": None}},
        "no",
        "invalid_request_error",
    ),
    (
        {"error": {"message": "no", "type": "", "param": "", "code": "insufficient_user_quota"}},
        "no",
        "insufficient_user_quota",
    ),
    ({"error": {"message": "no", "type": "insufficient_quota", "code": "429"}}, "no", "insufficient_quota"),
    (
        {"error": {"message": "{'code': 'insufficient_quota'}", "code": "429"}},
        "{'code': 'insufficient_quota'}",
        "insufficient_quota",
    ),
    ({"error": {"message": "no", "code": 400}}, "no", "400"),
    ({"error": {"message": "no", "code": "400", "type": "bad"}}, "no", "bad"),
    ({"error": "no model"}, "no model", None),
    ({"error": "server_error", "message": "out of memory"}, "out of memory", "server_error"),
    ({"code": "InvalidParameter", "error": "no"}, "no", "InvalidParameter"),
    ({"detail": "no"}, "no", None),
    ({"detail": [{"loc": ["body", "size"], "msg": "bad"}, {"msg": "worse"}]}, "body.size: bad; worse", None),
    ({"detail": {"error": {"message": "no", "code": "c"}}}, "no", "c"),
    ({"message": "no"}, "no", None),
    ({"msg": "no", "code": 7}, "no", "7"),
    ([{"error": {"code": 400, "message": "no", "status": "INVALID"}}], "no", "400"),
    ({"errors": ["one", "two"]}, "one; two", None),
    (
        {
            "error": {
                "message": "blocked",
                "code": "moderation_blocked",
                "moderation_details": {"moderation_stage": "input", "categories": ["violence"]},
            }
        },
        "blocked (input: violence)",
        "moderation_blocked",
    ),
    (
        "<html><head><title>413 Request Entity Too Large</title></head><body>x</body></html>",
        "413 Request Entity Too Large",
        None,
    ),
    (
        "<html><style>b{}</style><body><h1>Bad</h1> gateway<script>alert(1)</script></body></html>",
        "Bad gateway",
        None,
    ),
    ("upstream timed out", "upstream timed out", None),
    ("", "Bad Gateway", None),
    ({}, "Bad Gateway", None),
    ([], "Bad Gateway", None),
    (None, "Bad Gateway", None),
    ({"error": {}}, "Bad Gateway", None),
    ({"error": None, "message": "no"}, "no", None),
    ({"error": {"message": "\x1b[31mred\x1b[0m \u202etxt\u2066 a\nb\x00"}}, "red txt a b", None),
    ({"error": {"message": "wrong key sk-canary-0123456789abcdef!"}}, "wrong key [key]!", None),
    ({"error": {"message": "wrong key sk-can**********cdef"}}, "wrong key [key]", None),
    ({"error": {"message": "key p\u202eass-phrase-77"}}, "key [key]", None),
]


@pytest.mark.parametrize(("body", "message", "code"), ENVELOPES)
def test_envelope(body, message, code):
    error = parse_error(body, 502, Redactor(["pass-phrase-77"]))
    assert (error.message, error.code, error.status) == (message, code, 502)


@pytest.mark.parametrize(("body", "message", "code"), ENVELOPES)
def test_envelope_as_it_arrives(body, message, code):
    raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    error = parse_error(parse_body(raw), 502, Redactor(["pass-phrase-77"]))
    assert (error.message if body is not None else message, error.code) == (message, code)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "detail", "message", "code", "type", "errors", "moderation_details"]),
            inner,
        )
    ),
)


@given(values, st.integers(100, 999))
def test_any_json_is_short_inert_text(body, status):
    error = parse_error(body, status)
    assert 0 < len(error.message) <= 300
    assert is_inert(error.message)
    assert error.code is None or is_inert(error.code)


@given(st.binary(max_size=300))
def test_any_bytes_are_read(raw):
    assert parse_error(parse_body(raw), 500).message


def test_a_deep_or_endless_body():
    assert parse_error(parse_body(b"[" * BODY), 500).message
    assert len(parse_body(b"x" * (BODY + 5))) == BODY


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        *((s, None, Status.REFUSED) for s in (400, 401, 402, 403, 404, 413, 422, 451)),
        (429, None, Status.RATE_LIMITED),
        (429, "rate_limit_exceeded", Status.RATE_LIMITED),
        (429, "insufficient_quota", Status.REFUSED),
        (403, "insufficient_user_quota", Status.REFUSED),
        (503, "model_not_found", Status.REFUSED),
        (500, "billing_hard_limit_reached", Status.REFUSED),
        *((s, None, Status.UNKNOWN) for s in (301, 302, 307, 308, 408, 409, 500, 501, 502, 503, 504)),
        *((s, None, Status.UNKNOWN) for s in (520, 524, 529, 599)),
    ],
)
def test_classify(status, code, expected):
    error = parse_error({"error": {"message": "no", "code": code}}, status)
    assert classify_status(status, error) is expected
