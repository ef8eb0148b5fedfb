"""The floor: safe texts, ids, mismatches, captions, records, file names."""

import base64
import json
import pickle
import unicodedata
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipyimagegen.core import errors, ids
from ipyimagegen.core.mismatches import find_mismatches
from ipyimagegen.core.redact import Redactor
from ipyimagegen.core.request import Input, PreparedRequest, Request
from ipyimagegen.core.run import Cost, ImageRecord, ImageState, Mismatch, Run, Status, from_json, to_json
from ipyimagegen.core.text import escape_hidden, sanitize, to_file_name
from ipyimagegen.results import saving
from ipyimagegen.results.captions import write_caption

KEY = "sk-canary-0123456789abcdefXYZ"


def request(**changes):
    return Request(**{"endpoint": "lab", "base_url": "http://127.0.0.1/v1", "prompt": "a fox", **changes})


def image(index=1, **changes):
    whole = {"sha256": "ab" * 32, "mime": "image/png", "width": 1024, "height": 1024, "alpha": False}
    return ImageRecord(index=index, **{**whole, **changes})


def run(**changes):
    whole = {"session": "1120-k7f2", "number": 3, "identity": "x", "request": request(), "created": 1.0}
    return Run(**{**whole, **changes})


# safe


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_form_of_a_key_survives(before, after):
    raw = KEY.encode()
    forms = [KEY, urllib.parse.quote(KEY, safe=""), json.dumps(KEY)[1:-1]]
    forms += [base64.b64encode(b"x" * pad + raw).decode() for pad in range(3)]
    for form in forms:
        redacted = Redactor([KEY]).redact(f"{before}{form}{after}")
        assert KEY[8:] not in redacted
        assert base64.b64encode(raw[3:15]).decode() not in redacted


@pytest.mark.parametrize("text", [f"key {KEY}", "Bearer abcdefghijklmnop1234", "api_key=abcdef0123456789xyz"])
def test_what_looks_like_a_key(text):
    assert Redactor().holds(text)


@pytest.mark.parametrize("text", ["a skier in the alps", "sk-8 board", "bearer of light", "api key lime pie"])
def test_what_does_not(text):
    assert not Redactor().holds(text)


@given(st.text(max_size=200))
def test_plain_text_is_inert(text):
    shown = sanitize(text)
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200f\x00")


@given(st.text(max_size=200))
def test_visible_json_is_the_same_and_hides_nothing(text):
    shown = escape_hidden(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == json.loads(json.dumps(text))
    assert not {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs")} - set("\u200c\u200d")
    shown.encode()


def test_an_error_shows_what_it_repeats_and_no_control():
    shown = errors.InvalidOption("no \x1b[31m\u202e\x85\ud800 here\nwrite another")._render_traceback_()
    assert shown == [r"no \u001b[31m\u202e\u0085\ud800 here", "write another"]


@given(st.text(max_size=200))
def test_file_names_are_names(text):
    name = to_file_name(text)
    assert name
    assert len(name.encode()) <= 121
    assert not set(name) & set('/\\:*?"<>|\x00')
    assert name not in (".", "..")
    assert name.split(".")[0].upper() not in ("CON", "NUL", "COM1")


# ids


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("3", ids.Ref(3)),
        ("-1", ids.Ref(-1)),
        ("@3.2", ids.Ref(3, 2)),
        ("３", ids.Ref(3)),
        ("1120-k7f2/3", ids.Ref(3, None, "1120-k7f2")),
        ("1120-k7f2/3.2", ids.Ref(3, 2, "1120-k7f2")),
    ],
)
def test_ids(text, ref):
    assert ids.parse_id(text) == ref


@pytest.mark.parametrize("text", ["", "fox", "0", "3.0", "1120/3", "3.2.1", "../3", "1-2"])
def test_no_ids(text):
    with pytest.raises(errors.InvalidInput, match="Invalid id"):
        ids.parse_id(text)


# errors


def test_errors_are_short_picklable_and_of_the_promised_kinds():
    assert issubclass(errors.InvalidOption, ValueError)
    assert issubclass(errors.NotInHistory, LookupError)
    assert issubclass(errors.Detached, KeyboardInterrupt)
    lost = errors.OutcomeUnknown("It may be.", run="s/1", billed=None, status=502, code="x", request_id="r")
    again = pickle.loads(pickle.dumps(lost))
    assert (again.run, again.billed, again.status, again.code, again.request_id) == (
        "s/1",
        None,
        502,
        "x",
        "r",
    )
    assert str(errors.NotInHistory("no run")) == "no run"
    assert lost._render_traceback_() == ["It may be."]


# mismatches: asked, what came, what is said


JUDGED = [
    ({}, {}, [image()], {}, []),
    ({"n": 2}, {"n": 2}, [image()], {}, ["count: asked 2 images, got 1 image"]),
    ({"size": "512x512"}, {"size": "512x512"}, [image()], {}, ["size: asked 512x512, got 1024x1024"]),
    ({"size": "auto"}, {"size": "auto"}, [image()], {}, []),
    (
        {"aspect_ratio": "16:9"},
        {"aspect_ratio": "16:9"},
        [image()],
        {},
        ["ratio: asked 16:9, got 1024x1024"],
    ),
    ({"aspect_ratio": "16:9"}, {"aspect_ratio": "16:9"}, [image(width=1280, height=720)], {}, []),
    ({"aspect_ratio": "16:9"}, {"size": "1024x1024"}, [image()], {}, []),
    ({"output_format": "webp"}, {"output_format": "webp"}, [image()], {}, ["format: asked webp, got png"]),
    ({"background": "transparent"}, {}, [image()], {}, ["background: asked transparent, got opaque"]),
    ({"background": "transparent"}, {}, [image(alpha=True)], {}, []),
    ({"quality": "high"}, {}, [image()], {"quality": "low"}, ["quality: asked high, got low"]),
    ({"quality": "auto"}, {}, [image()], {"quality": "low"}, []),
    ({}, {}, [image(note="cut off")], {}, ["image 1: asked a whole image, got cut off"]),
]


@pytest.mark.parametrize(("asked", "sent", "came", "facts", "said"), JUDGED)
def test_mismatches(asked, sent, came, facts, said):
    found = find_mismatches(request(options=asked), PreparedRequest(options=sent), came, facts)
    assert [str(mismatch) for mismatch in found] == said


# captions


def test_a_caption_keeps_what_changes_in_its_last_line():
    one = run(
        images=(image(1), image(2)),
        elapsed=2.04,
        cost=Cost(amount=0.053, currency="USD", basis="usage"),
        mismatches=(Mismatch("size", "1x1", "2x2"),),
        sent=PreparedRequest(model="m-1", notes=("16:9 became 1536x1024",)),
        request=request(options={"seed": 7}),
    )
    lines = write_caption(one, 5, from_history=False).splitlines()
    assert lines == [
        "5 · 1120-k7f2/3 · a fox",
        "lab · m-1 · 1024x1024 · 2 images · seed 7",
        "tiles: 5.1  5.2",
        "! size: asked 1x1, got 2x2",
        "- 16:9 became 1536x1024",
        "2.0 s · $0.053",
    ]
    assert write_caption(one, 5, from_history=True).splitlines() == [
        *lines[:-1],
        "2.0 s · $0.053 · from history",
    ]


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (Cost(), "cost unknown"),
        (Cost(basis="free"), "free"),
        (Cost(amount=0.2, currency="CNY", basis="table"), "¥0.20"),
        (Cost(amount=0.006, amount_max=0.211, currency="USD", basis="table"), "$0.006–0.211"),
        (Cost(amount=1, currency="CNY", basis="table", at_least=True), "at least ¥1.00"),
        (Cost(amount=0.0127, currency="EUR", basis="usage"), "EUR 0.0127"),
        (Cost(amount=12, currency="USD", basis="usage"), "$12.00"),
    ],
)
def test_costs(cost, text):
    assert str(cost) == text


# records


def test_a_record_comes_back_whole():
    one = run(
        status=Status.DONE,
        images=(image(), ImageRecord(index=2, state=ImageState.URL_PENDING, url="https://x/y")),
        request=request(
            options={"n": 2},
            extra={"a": [1, {"b": None}]},
            inputs=(Input(sha256="cd", mime="image/png", width=1, height=2),),
        ),
        mismatches=(Mismatch("size", "a", "b"),),
        cost=Cost(amount=1.5, currency="CNY", basis="table"),
    )
    text = json.dumps(to_json(one))
    again = from_json(Run, {**json.loads(text), "from_a_newer_version": 1})
    assert to_json(again) == to_json(one)
    assert again.request.inputs == one.request.inputs


def test_identity_is_of_the_question_alone():
    base = request(options={"n": 2, "size": "1024x1024"})
    assert (
        request(options={"size": "1024x1024", "n": 2}, endpoint="other", template="{x}").identity
        == base.identity
    )
    assert request(prompt="  a fox\n", options=base.options).identity == base.identity
    for name in ("stream", "partial_images", "user", "response_format"):
        assert request(options={**base.options, name: "x"}).identity == base.identity
    different = [
        request(options=base.options, prompt="a cat"),
        request(options=base.options, model="m"),
        request(options=base.options, extra={"a": 1}),
        request(options=base.options, base_url="http://127.0.0.1:81/v1"),
        request(options={**base.options, "seed": 1}),
    ]
    assert len({one.identity for one in [base, *different]}) == 6
    assert different[3].question == base.question


# saving


@pytest.mark.parametrize(
    ("template", "several", "path"),
    [
        ("fox", False, "fox.png"),
        ("fox.PNG", False, "fox.png"),
        ("fox.jpg", False, "fox.png"),
        ("out/{model}-{seed}-{index}", True, "out/m_1-7-1.png"),
        ("fox.png", True, "fox-1.png"),
        ("{id}", False, "1120-k7f2-3.png"),
        ("{size}/{endpoint}", False, "1024x1024/lab.png"),
        ("v1.5-fox", False, "v1.5-fox.png"),
        ("con", False, "_con.png"),
    ],
)
def test_targets(template, several, path):
    one = run(images=(image(),), request=request(options={"seed": 7}), sent=PreparedRequest(model="m:1"))
    assert saving.find_target(template, one, one.images[0], several=several).as_posix() == path


def test_a_value_never_leaves_its_folder():
    one = run(images=(image(),), sent=PreparedRequest(model="../../etc/passwd"))
    assert (
        saving.find_target("out/{model}", one, one.images[0], several=False).as_posix()
        == "out/-..-etc-passwd.png"
    )


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "deep" / "fox.png"
    assert saving.write_file(b"one", path) == path
    assert saving.write_file(b"one", path) == path
    assert saving.write_file(b"two", path) == path.with_stem("fox-2")
    assert path.read_bytes() == b"one"
    with pytest.raises(errors.StoreError, match="is in the history"):
        saving.write_file(b"x", path / "below-a-file.png")
    for name in ("a\0b", "\ud800", "W" * 3000):
        with pytest.raises(errors.StoreError, match="is in the history"):
            saving.write_file(b"x", tmp_path / name / "fox.png")
