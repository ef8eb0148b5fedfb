"""Prompts as scenes: the known English and Chinese words of a text, and what they name; pure.

English nouns take their modifiers in front ("three red circles") or after a verb or preposition ("a circle
that is red"); Chinese nouns alike with measure words (三个红色圆). Unknown words are ignored, so that
"three very shiny red circles" still counts three red circles.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any

MOST = 60  # figures of a kind: more would be specks
KINDS = 8  # different figures in an image
SOME = 0  # the count of a bare plural: the layout chooses

_PLURALS = {"children": "child", "men": "man", "women": "woman", "people": "people", "leaves": "leaf"}
_GRAMMAR = {"not", "cut", "stop", "join", "skip"}  # kinds of words that name nothing
_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_MEASURE_WORDS = "个只条朵颗张座棵辆艘本匹头架栋间把枚片块顶幅位名杯道根面"
_PUNCTUATION = re.compile(r"[,.;:!?，。；：！？、()\[\]\n]")
_TOKEN = re.compile(r"[a-z][a-z&'-]*|\d+[a-z]*|[零一二两三四五六七八九十]+|[㐀-鿿]|[^\s\w]")
_MONO = re.compile(
    r"black (?:and|&) white(?= *(?:photo|picture|drawing|image|illustration|art|style|$|[,.;]))"
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the vocabulary; `many` when it is in the plural."""

    kind: str
    value: str
    many: bool = False


@cache
def load_vocabulary(name: str = "vocabulary") -> dict[str, Word]:
    """Return the words of a table and what they mean; "edits" holds what only an edit understands."""
    table = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return {
        spelling: Word(kind, value)
        for kind, values in table.items()
        for value, spellings in values.items()
        for spelling in spellings
    }


def find_words(text: str, vocabulary: str = "vocabulary") -> list[Word]:
    """Return the known words of the text in order, and its punctuation as words of the kind "stop"."""
    known = load_vocabulary(vocabulary)
    text = unicodedata.normalize("NFKC", text).lower()
    text = _MONO.sub("black-and-white", text)
    for phrase in known:
        if "-" in phrase and phrase != "black-and-white":
            text = text.replace(phrase.replace("-", " "), phrase)
    words: list[Word] = []
    place = 0
    while match := _TOKEN.search(text, place):
        word, place = _read_token(text, match, known)
        if word:
            words.append(word)
    return words


def _read_token(text: str, match: re.Match[str], known: dict[str, Word]) -> tuple[Word | None, int]:
    """Return the word that begins at the match, if it is known, and where to go on."""
    term, start, end = match.group(), match.start(), match.end()
    if _PUNCTUATION.match(term):
        return Word("stop", term), end
    if term[0].isascii():
        return _read_english(term, known), end
    for length in range(5, 0, -1):
        piece = text[start : start + length]
        if len(piece) == length and piece in known:
            return known[piece], start + length
    number = _read_chinese_number(term)
    if number is None:
        return None, start + 1
    # "一起" and "三月" are no counts: only before a measure word or a known word
    measured = text[end:].startswith(tuple(_MEASURE_WORDS))
    if measured or any(text.startswith(word, end) for word in known if not word.isascii()):
        return Word("number", str(number)), end + measured
    return None, end


def _read_english(term: str, known: dict[str, Word]) -> Word | None:
    if term.isdigit():
        return Word("number", term) if 1 <= int(term) <= 100 else None
    term = term.removesuffix("'s").strip("'")
    if term in known:
        return replace(known[term], many=term in {"people", "village"})
    endings = (("ies", "y"), ("es", ""), ("s", ""))
    singulars = [term.removesuffix(end) + new for end, new in endings if term.endswith(end)]
    for base in (*singulars, _PLURALS.get(term, "")):
        if base in known:
            return replace(known[base], many=True)
    last = term.rpartition("-")[2]
    return _read_english(last, known) if last and last != term else None


def _read_chinese_number(term: str) -> int | None:
    tens, ten, ones = term.partition("十")
    if any(c not in _DIGITS for c in tens + ones) or len(tens) > 1 or len(ones) > 1:
        return None
    return (_DIGITS.get(tens, 1) * 10 if ten else _DIGITS.get(tens, 0)) + _DIGITS.get(ones, 0) or None


@dataclass(frozen=True, slots=True)
class Figure:
    """A kind of thing or shape; `count` 0 means "some", `colours` are names."""

    name: str
    count: int = 1
    colours: tuple[str, ...] = ()
    size: str = ""
    wears: Figure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that was understood of a prompt; empty when nothing was."""

    figures: tuple[Figure, ...] = ()
    place: str = ""
    time: str = ""
    weather: str = ""
    season: str = ""
    style: str = ""
    backdrop: str = ""
    palette: tuple[str, ...] = ()
    avoid: frozenset[str] = frozenset()


def find_style(text: str | None) -> str:
    """Return the first style that a text names, "" if it names none."""
    return next((word.value for word in find_words(text or "") if word.kind == "style"), "")


def read_scene(prompt: str, *, negative: str = "") -> Scene:
    """Return the scene that the prompt describes, without what `negative` names."""
    reader = _SceneReader()
    for word in find_words(prompt):
        reader.take(word)
    reader.flush()
    scene = Scene(figures=tuple(reader.figures[:KINDS]), palette=tuple(reader.palette), **reader.facts)
    unwanted = {word.value for word in find_words(negative) if word.kind not in {"number", *_GRAMMAR}}
    return _remove_avoided(scene, frozenset(reader.avoid | unwanted))


def _remove_avoided(scene: Scene, avoid: frozenset[str]) -> Scene:
    def is_free(name: str) -> bool:
        return name not in avoid and name.rpartition(" ")[2] not in avoid

    figures = tuple(
        replace(
            figure,
            colours=tuple(filter(is_free, figure.colours)),
            wears=None if figure.wears and figure.wears.name in avoid else figure.wears,
        )
        for figure in scene.figures
        if figure.name not in avoid
    )
    names = ("place", "time", "weather", "season", "style", "backdrop")
    facts = {name: getattr(scene, name) for name in names if is_free(getattr(scene, name))}
    return Scene(figures=figures, palette=tuple(filter(is_free, scene.palette)), avoid=avoid, **facts)


@dataclass(slots=True)
class _Modifiers:
    """Modifiers that wait for their noun."""

    number: int | None = None
    colours: list[str] = field(default_factory=list)
    shade: str = ""
    size: str = ""


class _SceneReader:
    """Takes words in order; nouns collect the modifiers before them."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.palette: list[str] = []
        self.avoid: set[str] = set()
        self.facts: dict[str, Any] = {}
        self._pending = _Modifiers()
        self._after = ""  # the preposition before what follows
        self._noun = ""  # the noun just before
        self._negated = False
        self._background_of = False  # "background: blue"
        self._waiting_hat: Figure | None = None  # "wearing a hat, a fox"

    def take(self, word: Word) -> None:
        """Take the next word."""
        if word.kind == "skip":
            return
        if self._negated and word.kind not in {"number", *_GRAMMAR}:
            self.avoid.add(word.value)
            self._negated = word.kind in {"colour", "shade", "size"}
            return
        if word.kind in {"shade", "size"}:
            setattr(self._pending, word.kind, word.value)
        else:
            getattr(self, f"_take_{word.kind}", self._take_fact)(word)
        if word.kind not in {"shape", "thing"}:
            self._noun = ""

    def flush(self) -> None:
        """Give colours without a noun to the background, to the last figure, or to the palette."""
        colours = tuple(self._pending.colours)
        if colours and self._after == "on":
            self.facts.setdefault("backdrop", colours[0])
        elif colours and self.figures and not self.figures[-1].colours:
            self.figures[-1] = replace(self.figures[-1], colours=colours)
        else:
            self.palette.extend(colours)
        self._pending = _Modifiers()

    def _take_number(self, word: Word) -> None:
        number, before = int(word.value), self._pending.number
        self._pending.number = before * 12 if number == 12 and before and before > 1 else number

    def _take_colour(self, word: Word) -> None:
        name = f"{self._pending.shade} {word.value}".strip()
        self._pending.shade = ""
        if self._background_of:
            self.facts["backdrop"], self._background_of = name, False
        else:
            self._pending.colours.append(name)

    def _take_shape(self, word: Word) -> None:
        pending, self._pending = self._pending, _Modifiers()
        if word.value == self._noun:  # "a cup of coffee" is one cup
            return
        self._noun = word.value
        count = SOME if word.many and pending.number in (None, 1) else pending.number or 1
        figure = Figure(word.value, min(count, MOST), tuple(pending.colours), pending.size)
        if word.value == "hat" and self._after == "wear":
            if self.figures and self.figures[-1].wears is None:
                self.figures[-1] = replace(self.figures[-1], wears=figure)
            else:
                self._waiting_hat = figure
            return
        self.figures.append(replace(figure, wears=self._waiting_hat))
        self._waiting_hat = None

    _take_thing = _take_shape

    def _take_background(self, _: Word) -> None:
        if self._pending.colours:
            self.facts["backdrop"] = self._pending.colours[0]
        else:
            self._background_of = True
        self._pending = _Modifiers()

    def _take_fact(self, word: Word) -> None:
        self.facts.setdefault(word.kind, word.value)
        if word.kind != "style":
            self._pending = _Modifiers()

    def _take_join(self, _: Word) -> None:
        if not self._pending.colours:
            self._pending = _Modifiers()

    def _take_cut(self, word: Word) -> None:
        self.flush()
        self._after, self._negated = word.value, False

    def _take_not(self, _: Word) -> None:
        self._negated = True

    def _take_stop(self, word: Word) -> None:
        if word.value == ":" and self._background_of:
            return
        self.flush()
        self._after, self._background_of, self._negated = "", False, False
