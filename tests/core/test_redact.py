"""No spelling of a key survives, and what looks like a key is found."""

import base64
import json
import urllib.parse

import pytest

from ipyimagegen.core.redact import Redactor

KEY = "sk-canary-0123456789abcdefXYZ"


@pytest.mark.parametrize("text", [f"key {KEY}", "Bearer abcdefghijklmnop1234", "api_key=abcdef0123456789xyz"])
def test_what_looks_like_a_key(text):
    assert Redactor().holds(text)


@pytest.mark.parametrize("text", ["a skier in the alps", "sk-8 board", "bearer of light", "api key lime pie"])
def test_what_does_not_look_like_a_key(text):
    assert not Redactor().holds(text)


@pytest.mark.parametrize(
    "spell",
    [
        str,
        lambda key: urllib.parse.quote(key, safe=""),
        lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
        lambda key: json.dumps(key).replace("/", r"\/"),
        lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
        lambda key: json.dumps(urllib.parse.quote(key)),
        lambda key: base64.urlsafe_b64encode(f"user:{key}".encode()).decode(),
    ],
)
@pytest.mark.parametrize("key", ["dmx/Zq7v+m=Wp9Rt", "a%2Fb\\Zq7v<Wp9Rt>", "狐狸Zq7v的Wp9Rt"])
def test_a_whole_key_is_found_in_any_spelling(key, spell):
    assert Redactor([key]).holds_known(f"a fox {spell(key)} %20")
    assert not Redactor([key]).holds_known(f"a fox {spell(key[1:])} %20")
