"""Text from outside is inert, and file names are portable."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ipyimagegen.core.text import escape_hidden, sanitize


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
