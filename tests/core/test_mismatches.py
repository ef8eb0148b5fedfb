"""What was asked and not delivered, and costs in words."""

from unittest.mock import ANY

import pytest
from samples import image, request

from ipyimagegen.core.mismatches import find_mismatches
from ipyimagegen.core.request import PreparedRequest
from ipyimagegen.core.run import Cost

# What was asked, what was sent, the images, the facts of the response, and the mismatches.
CASES = [
    ({}, {}, [image()], {}, []),
    ({"n": 2}, {"n": 2}, [image()], {}, [("count", "2 images", "1 image")]),
    ({"size": "512x512"}, {"size": "512x512"}, [image()], {}, [("size", "512x512", "1024x1024")]),
    ({}, {"size": "512*512"}, [image(width=512, height=512)], {}, []),
    ({"size": "auto"}, {"size": "auto"}, [image()], {}, []),
    (
        {"aspect_ratio": "16:9"},
        {"aspect_ratio": "16:9"},
        [image()],
        {},
        [("ratio", "16:9", "1024x1024")],
    ),
    ({"aspect_ratio": "16:9"}, {"aspect_ratio": "16:9"}, [image(width=1280, height=720)], {}, []),
    ({"aspect_ratio": "16:9"}, {"size": "1024x1024"}, [image()], {}, []),
    ({"output_format": "webp"}, {"output_format": "webp"}, [image()], {}, [("format", "webp", "png")]),
    ({"background": "transparent"}, {}, [image()], {}, [("background", "transparent", "opaque")]),
    ({"background": "transparent"}, {}, [image(alpha=True)], {}, []),
    ({"quality": "high"}, {}, [image()], {"quality": "low"}, [("quality", "high", "low")]),
    ({"quality": "auto"}, {}, [image()], {"quality": "low"}, []),
    ({}, {}, [image(note="cut off")], {}, [("image 1", ANY, "cut off")]),
]


@pytest.mark.parametrize(("asked", "sent", "images", "facts", "mismatches"), CASES)
def test_mismatches(asked, sent, images, facts, mismatches):
    differences = find_mismatches(request(options=asked), PreparedRequest(options=sent), images, facts)
    assert [(mismatch.subject, mismatch.asked, mismatch.got) for mismatch in differences] == mismatches


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
