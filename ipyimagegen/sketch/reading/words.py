"""The words of a prompt that sketch knows, English and Chinese, in order."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

_LONE = {"children": "child", "men": "man", "women": "woman", "people": "people", "leaves": "leaf"}
_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_MEASURE = "个只条朵颗张座棵辆艘本匹头架栋间把枚片块顶幅位名杯道根面"
_PUNCTUATION = re.compile(r"[,.;:!?，。；：！？、()\[\]\n]")
_TOKEN = re.compile(r"[a-z][a-z&'-]*|\d+[a-z]*|[零一二两三四五六七八九十]+|[㐀-鿿]|[^\s\w]")
_MONO = re.compile(
    r"black (?:and|&) white(?= *(?:photo|picture|drawing|image|illustration|art|style|$|[,.;]))"
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the vocabulary; `many` when it stood in the plural."""

    kind: str
    value: str
    many: bool = False


Vocabulary = dict[str, Word]


@cache
def vocabulary(name: str = "vocabulary") -> Vocabulary:
    """Return every word of a table and what it means; "edits" holds what only an edit understands."""
    table = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return {
        spelling: Word(kind, value)
        for kind, values in table.items()
        for value, spellings in values.items()
        for spelling in spellings
    }


@cache
def _phrases(name: str) -> list[tuple[str, str]]:
    return [(w.replace("-", " "), w) for w in vocabulary(name) if "-" in w and w != "black-and-white"]


def words(text: str, name: str = "vocabulary") -> list[Word]:
    """Return the known words of the text in order; unknown ones are left out, punctuation is kept."""
    known = vocabulary(name)
    text = unicodedata.normalize("NFKC", text).lower()
    text = _MONO.sub("black-and-white", text)
    for spaced, joined in _phrases(name):
        text = text.replace(spaced, joined)
    found: list[Word] = []
    place = 0
    while match := _TOKEN.search(text, place):
        word, place = _word_at(text, match, known)
        if word:
            found.append(word)
    return found


def _word_at(text: str, match: re.Match[str], known: Vocabulary) -> tuple[Word | None, int]:
    """Return the word that begins at the match, if it is known, and where to go on."""
    term, start = match.group(), match.start()
    if _PUNCTUATION.match(term):
        return Word("stop", term), match.end()
    if term[0].isascii():
        return _english(term, known), match.end()
    for length in range(5, 0, -1):
        piece = text[start : start + length]
        if len(piece) == length and piece in known:
            return known[piece], start + length
    number = _chinese_number(term)
    if number is None:
        return None, start + 1
    # "一起" and "三月" are no counts: only before a measure word or a known word
    after = text[match.end() : match.end() + 1]
    if after and (
        after in _MEASURE or any(text.startswith(w, match.end()) for w in known if not w.isascii())
    ):
        return Word("number", str(number)), match.end() + (after in _MEASURE)
    return None, match.end()


def _english(term: str, known: Vocabulary) -> Word | None:
    if term.isdigit():
        return Word("number", term) if 1 <= int(term) <= 100 else None
    term = term.removesuffix("'s").strip("'")
    if term in known:
        return replace(known[term], many=term in {"people", "village"})
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if term.endswith(ending) and (base := term.removesuffix(ending) + instead) in known:
            return replace(known[base], many=True)
    base = _LONE.get(term, "")
    if base in known:
        return replace(known[base], many=True)
    parts = term.split("-")
    return _english(parts[-1], known) if len(parts) > 1 and parts[-1] else None


def _chinese_number(term: str) -> int | None:
    tens, ten, ones = term.partition("十")
    if any(c not in _DIGITS for c in tens + ones) or len(tens) > 1 or len(ones) > 1:
        return None
    return (_DIGITS.get(tens, 1) * 10 if ten else _DIGITS.get(tens, 0)) + _DIGITS.get(ones, 0) or None
