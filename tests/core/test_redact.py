"""No spelling of a key survives, and what looks like a key is found."""

import pytest

from ipyimagegen.core.redact import Redactor

KEY = "sk-canary-0123456789abcdefXYZ"


@pytest.mark.parametrize("text", [f"key {KEY}", "Bearer abcdefghijklmnop1234", "api_key=abcdef0123456789xyz"])
def test_what_looks_like_a_key(text):
    assert Redactor().holds(text)


@pytest.mark.parametrize("text", ["a skier in the alps", "sk-8 board", "bearer of light", "api key lime pie"])
def test_what_does_not_look_like_a_key(text):
    assert not Redactor().holds(text)
