"""The identity of a request."""

from samples import request

from ipyimagegen.core.request import Input


def test_identity_of_existing_records_stays():
    mask = Input(sha256="ef", mime="image/png", width=1, height=2)
    image = Input(sha256="cd", mime="image/png", width=1, height=2, pixels="ab")
    asked = request(model="m", options={"n": 2}, extra={"é": [1.5, None]}, inputs=(image,), mask=mask)
    assert asked.identity == "2cf29e990a21f719a6ddef01a934f01b12a99dc316e3ec7178880b4faa1360c3"


def test_identity_covers_what_was_asked_alone():
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
    assert len({each.identity for each in [base, *different]}) == 6
    assert different[3].question == base.question
