"""Forms come out as they went in, whatever is in them; broken ones are refused."""

import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sketching import form

from ipyimagegen.sketch.server.replies import Refusal
from ipyimagegen.sketch.server.request_bodies import MOST_PARTS, PART_HEAD, is_form, split_form

# contents that come as near to a boundary line as may be
NEAR = [
    b"\r\n--bound",
    b"--bound\r\n",
    b"\r\n--boun",
    b"\r\n",
    b"\n--bound\r\n",
    b"\r\n\r\n",
    b"--",
    b"\r\n--boundX\r\n",
    b"\r\n--bound x",
    b"-",
]
contents = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(NEAR))).map(b"".join)
names = st.text("abcdefghij[]_ é图", min_size=1, max_size=12)


def whole(data):
    """Whether the content holds no boundary line of its own; blanks may end such a line."""
    return not re.search(rb"\r\n--bound([ \t]*\r\n|--)", b"\r\n" + data + b"\r\n")


@given(
    st.lists(st.tuples(names, contents.filter(whole)), min_size=1, max_size=8),
    st.binary(max_size=30).filter(whole),
)
def test_random_forms_come_out_as_they_went_in(fields, preamble):
    raw, kind = form(*fields, boundary="bound")
    for body in (raw, raw + b"epilogue", preamble + b"\r\n" + raw, raw.removesuffix(b"\r\n")):
        assert split_form(body, kind) == fields


@given(
    st.lists(
        st.tuples(st.sampled_from(["prompt", "image[]"]), st.binary(max_size=80).filter(whole)), min_size=1
    )
)
def test_it_agrees_with_the_email_package(fields):
    raw, kind = form(*fields, boundary="bound")
    head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.message_from_bytes(head + raw, policy=email.policy.HTTP)
    theirs = [
        (part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
        for part in message.iter_parts()
    ]
    ours = split_form(raw, kind)
    # email takes a bare line end for a line's end too, and gives back its own
    plain = [k for k, (_, data) in enumerate(fields) if not {10, 13} & set(data)]
    assert [ours[k] for k in plain] == [theirs[k] for k in plain]
    assert ours == fields


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ('form-data; name="image"; filename="a.png"', "image"),
        ("form-data; name=image", "image"),
        ('form-data; filename="x; name=\\"y\\".png"; name="image"', "image"),
        ('FORM-DATA; NAME="image[]"', "image[]"),
    ],
)
def test_names(head, name):
    raw = f"--b\r\nContent-Type: image/png\r\ncontent-disposition: {head}\r\n\r\ndata\r\n--b--".encode()
    assert split_form(raw, "multipart/form-data; boundary=b") == [(name, b"data")]


RAW, KIND = form(("prompt", b"a fox"), ("n", b"2"))


@pytest.mark.parametrize("length", range(len(RAW) - 4))
def test_a_form_that_was_cut_anywhere_is_refused(length):
    with pytest.raises(Refusal, match="could not parse"):
        split_form(RAW[:length], KIND)


@pytest.mark.parametrize(
    ("raw", "kind", "why"),
    [
        (RAW, "multipart/form-data", "names no boundary"),
        (RAW, "multipart/form-data; boundary=other", "has no boundary"),
        (b"--b\r\n\r\ndata\r\n--b--", "multipart/form-data; boundary=b", "no name"),
        (
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
            "multipart/form-data; boundary=b",
            "no name",
        ),
        (
            b"--b\r\nX: " + b"y" * PART_HEAD + b"\r\n\r\nx\r\n--b--",
            "multipart/form-data; boundary=b",
            "header lines",
        ),
        (*form(*[("n", b"1")] * (MOST_PARTS + 1)), f"more than {MOST_PARTS} parts"),
    ],
)
def test_broken_forms(raw, kind, why):
    with pytest.raises(Refusal, match=why):
        split_form(raw, kind)


def test_what_is_a_form():
    assert is_form("multipart/form-data; boundary=x")
    assert is_form(" Multipart/Form-Data")
    assert not any(map(is_form, ("", "application/json", "multipart/mixed; boundary=x")))
