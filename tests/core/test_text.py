"""Text from outside is inert, and file names are portable."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipyimagegen.core.text import clip, escape_hidden, measure_width, sanitize, truncate

ASTRONAUT = "\U0001f469\u200d\U0001f680"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
FRANCE = "\U0001f1eb\U0001f1f7"
JOINED = [
    ASTRONAUT,
    FAMILY,
    SCOTLAND,
    "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire: a variation selector before the joiner
    "\U0001f642\u200d\u2194\ufe0f",  # a head that shakes: an arrow behind the joiner
    "\U0001f9d1\U0001f3fd\u200d\U0001f91d\u200d\U0001f9d1\U0001f3fb",  # two people of two skins
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian
    "\u0647\u200d",  # an Arabic letter in the form that joins, at the end of a word
    "\u0915\u094d\u200d\u0937",  # Devanagari
    "\u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala
    "\u0d28\u0d4d\u200d",  # Malayalam, at the end of a word
    "e\u0301\u0323",  # combining marks
    "\U0001fae9",  # newer than the tables of Python 3.11
]
DECEIVING = [
    "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",  # change the direction
    "\u200b\u2060\ufeff\u00ad",  # invisible
    "\x00\x07\x08\x1b\x7f\x85\x9b",  # control a terminal
    "\u200c\u200d",  # join nothing
    "\U000e0067\U000e0062\U000e007f",  # tags without a flag
    "\U000e0001\U000e01f5",  # a language tag, and a character that is not assigned
    "\ufff9\ufffb",
]


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
    hidden = {c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs")}
    assert not hidden - set("\u200c\u200d")
    shown.encode()


@pytest.mark.parametrize("text", JOINED, ids=ascii)
def test_joiners_stay_where_they_join(text):
    for sentence in (text, f"{text} and {text}", f"before {text}, after"):
        assert sanitize(sentence) == sentence
        assert escape_hidden(sentence) == sentence


@pytest.mark.parametrize("hidden", DECEIVING, ids=ascii)
def test_what_deceives_is_taken_out_or_escaped(hidden):
    for char in hidden:
        assert sanitize(f"pay{char}pal") in ("paypal", "pay pal")
        assert escape_hidden(f"pay{char}pal").isascii()
        assert char not in escape_hidden(f"{char} x{char} {char}")


@pytest.mark.parametrize(
    "text", [ASTRONAUT, FAMILY, SCOTLAND, FRANCE, "e\u0301\u0323", "\U0001f44d\U0001f3fd"], ids=ascii
)
def test_nothing_that_is_one_character_to_a_reader_is_cut_apart(text):
    for length in range(1, 4 * len(text)):
        cut = truncate(text * 5, length)
        assert len(cut) <= length
        whole = cut.removesuffix("…")
        assert whole == text * (len(whole) // len(text))


@given(st.text(max_size=40), st.integers(1, 50))
def test_a_cut_text_begins_as_the_whole(text, limit):
    cut = clip(text, limit)
    assert len(cut) <= limit
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


def test_a_heap_of_marks_is_cut_all_the_same():
    assert len(clip("a" + "\u0301" * 500, 80)) == 80


def test_the_width_of_a_text_counts_what_is_seen():
    assert [measure_width(text) for text in ("fox", "狐狸", "e\u0301", "a · b–…", "\U0001f98a")] == [
        3,
        4,
        1,
        7,
        2,
    ]
