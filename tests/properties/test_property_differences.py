"""A difference is exact: both texts can be restored from it, word for word."""

import re
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipyimagegen.core.text import sanitize
from ipyimagegen.results.word_diff import diff_words, mark_words, same_words, split_words

MARKED = [
    ("a red fox", "a blue fox", "a [-red-] {+blue+} fox"),
    ("red fox", "blue fox", "[-red-] {+blue+} fox"),
    ("a fox", "a fox at night", "a fox {+at night+}"),
    ("a big red fox", "a red fox", "a [-big-] red fox"),
    ("fox, snow", "fox snow", "fox[-,-] snow"),
    ("snow, oil", "snow, ink, oil", "snow, {+ink,+} oil"),
    ("(fog:1.2), 16:9", "(fog:1.4), 4:3", "(fog:[-1.2-]{+1.4+}), [-16:9-] {+4:3+}"),
    ("一只红狐狸在雪地里", "一只蓝狐狸在雪地里，水彩", "一只[-红-]{+蓝+}狐狸在雪地里{+，水彩+}"),
    ("赤い狐", "青い狐", "[-赤-] {+青+}い狐"),
    ("빨간 여우", "파란 여우", "[-빨간-] {+파란+} 여우"),
    ("a dog's bone", "a cat's bone", "a [-dog's-] {+cat's+} bone"),
    ("", "a fox", "{+a fox+}"),
    ("a fox", "", "[-a fox-]"),
    ("a {+red+} fox", "a {+blue+} fox", "a {+[--red--]{++blue++}+} fox"),
    ("a \x1b[31mred\x1b[0m\nfox", "a \u202eblue\x00 fox", "a [-red-] {+blue+} fox"),
]


@pytest.mark.parametrize(("old", "new", "marked"), MARKED)
def test_changes_are_marked(old, new, marked):
    assert mark_words(old, new) == marked


def test_one_word_of_two_thousand_is_readable():
    some = [f"word{k}" for k in range(2000)]
    other = [*some[:1000], "changed", *some[1001:]]
    marked = mark_words(" ".join(some), " ".join(other))
    assert "word999 [-word1000-] {+changed+} word1001" in marked
    assert marked[:2] + marked[-2:] == "…  …"
    assert len(marked) < 150


def test_a_long_text_without_blanks_is_cut_beside_the_change():
    marked = mark_words("狐" * 3000, "狐" * 1500 + "猫" + "狐" * 1499)
    assert "狐{+猫+}狐" in marked or "狐[-狐-]{+猫+}狐" in marked
    assert len(marked) < 150


def test_a_new_text_that_is_long_is_cut_in_its_middle():
    marked = mark_words("a fox", "a " + "very " * 2000 + "red fox")
    assert marked.startswith("a {+very very")
    assert marked.endswith("very red+} fox")
    assert len(marked) < 700


def test_only_blanks_and_what_cannot_be_seen():
    assert same_words("a fox,  a cat", "a fox,a\u200b cat\n")
    assert not same_words("a fox", "a f ox")


@pytest.mark.timeout(60)
def test_texts_of_a_hundred_thousand_characters_do_not_block_the_notebook():
    old, new = ("".join(f"{(k * k + shift) % 97} " for k in range(35_000)) for shift in (1, 2))
    assert len(mark_words(old, new)) < 100_000
    few, other = ("".join("狐猫"[hash((k, shift)) % 2] for k in range(19_000)) for shift in (1, 2))
    assert mark_words(few, other)


PIECES = ["a", "red", "fox", "狐", "狸", "，", ",", "'", "-", "[", "]", "{", "+", "}", "[-", "{+", "-]", "+}"]
PIECES += [" ", " ", "  ", "\n", "1.2", ":", ".", "é", "e\u0301", "\u0301", "…", "\x1b[31m", "\u202e", "กิ่"]
TEXT = st.one_of(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.text(max_size=40))


def split_sanitized(text):
    return [word.text for word in split_words(sanitize(text, len(text) + 1))]


@given(TEXT, TEXT)
def test_stretches_hold_both_texts(old, new):
    row = diff_words(split_words(old), split_words(new))
    old_words = [word for stretch in row if stretch.sign != "+" for word in stretch.words]
    new_words = [word for stretch in row if stretch.sign != "-" for word in stretch.words]
    assert [word.text for word in old_words] == [word.text for word in split_words(old)]
    assert [word.text for word in new_words] == [word.text for word in split_words(new)]
    assert all(stretch.words for stretch in row)
    assert all(stretch.sign != after.sign for stretch, after in pairwise(row))


@given(TEXT, TEXT)
def test_both_texts_can_be_restored_from_the_marks(old, new):
    marked = mark_words(old, new, shortened=False)
    known = sanitize(old, len(old) + 1) + "\n" + sanitize(new, len(new) + 1)
    signs = next(
        k
        for k in count(1)
        if not any(m in known for m in ("[" + k * "-", k * "-" + "]", "{" + k * "+", k * "+" + "}"))
    )
    gone = re.compile(rf"\[-{{{signs}}}(.*?)-{{{signs}}}\]")
    came = re.compile(rf"\{{\+{{{signs}}}(.*?)\+{{{signs}}}\}}")
    assert split_sanitized(came.sub(r"\1", gone.sub("", marked))) == split_sanitized(new)
    assert split_sanitized(gone.sub(r"\1", came.sub("", marked))) == split_sanitized(old)


@given(TEXT)
def test_nothing_is_marked_in_equal_texts(text):
    row = diff_words(split_words(text), split_words(text))
    assert [stretch.sign for stretch in row] == ([""] if split_words(text) else [])
    assert same_words(text, text)
