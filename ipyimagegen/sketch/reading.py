"""What a prompt says, as far as sketch understands it: text in, a frozen `Scene` out; pure.

English nouns take their modifiers in front ("three red circles") or after a verb or preposition
("a circle that is red"); Chinese ones alike with measure words (三个红色圆). Words outside the
vocabulary are passed over, so that "three very shiny red circles" still counts three red circles.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files

MOST = 60  # figures of one kind: more would be specks
KINDS = 8  # different figures in one picture
SOME = 0  # the count of a bare plural: the painter chooses

_LONE = {"children": "child", "men": "man", "women": "woman", "people": "people", "leaves": "leaf"}
_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_MEASURE = "个只条朵颗张座棵辆艘本匹头架栋间把枚片块顶幅位名杯道根面"
_PUNCTUATION = re.compile(r"[,.;:!?，。；：！？、()\[\]\n]")
_TOKEN = re.compile(r"[a-z][a-z&'-]*|\d+[a-z]*|[零一二两三四五六七八九十]+|[㐀-鿿]|[^\s\w]")
_MONO = re.compile(
    r"black (?:and|&) white(?= *(?:photo|picture|drawing|image|illustration|art|style|$|[,.;]))"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One kind of thing or shape; `count` 0 means "some", colours are names, none said is ()."""

    name: str
    count: int = 1
    colours: tuple[str, ...] = ()
    size: str = ""
    wears: Figure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that was understood; empty when nothing was."""

    figures: tuple[Figure, ...] = ()
    place: str = ""
    time: str = ""
    weather: str = ""
    season: str = ""
    style: str = ""
    backdrop: str = ""
    palette: tuple[str, ...] = ()
    avoid: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the vocabulary; `many` when it stood in the plural."""

    kind: str
    value: str
    many: bool = False


@cache
def vocabulary() -> dict[str, Word]:
    """Return every known word and what it means."""
    table = tomllib.loads(files(__package__).joinpath("vocabulary.toml").read_text(encoding="utf-8"))
    return {
        spelling: Word(kind, value)
        for kind, values in table.items()
        for value, spellings in values.items()
        for spelling in spellings
    }


@cache
def _phrases() -> list[tuple[str, str]]:
    return [(w.replace("-", " "), w) for w in vocabulary() if "-" in w and w != "black-and-white"]


def read(prompt: str, *, negative: str = "") -> Scene:
    """Return the scene that the prompt describes, without what `negative` names."""
    reader = _Reader()
    for word in words(prompt):
        reader.take(word)
    reader.end()
    avoid = reader.avoid | {
        w.value for w in words(negative) if w.kind not in {"number", "cut", "skip", "join", "stop", "not"}
    }
    return _without(reader.scene(), frozenset(avoid))


def _without(scene: Scene, avoid: frozenset[str]) -> Scene:
    if not avoid:
        return scene
    figures = tuple(
        replace(
            figure,
            colours=tuple(c for c in figure.colours if not _avoided(c, avoid)),
            wears=None if figure.wears and figure.wears.name in avoid else figure.wears,
        )
        for figure in scene.figures
        if figure.name not in avoid
    )
    named = {
        name: "" if _avoided(getattr(scene, name), avoid) else getattr(scene, name)
        for name in ("place", "time", "weather", "season", "style", "backdrop")
    }
    palette = tuple(c for c in scene.palette if not _avoided(c, avoid))
    return replace(scene, figures=figures, palette=palette, avoid=avoid, **named)


def _avoided(name: str, avoid: frozenset[str]) -> bool:
    return name in avoid or name.rpartition(" ")[2] in avoid


def words(text: str) -> list[Word]:
    """Return the known words of the text in order; unknown ones are left out, punctuation is kept."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = _MONO.sub("black-and-white", text)
    for spaced, joined in _phrases():
        text = text.replace(spaced, joined)
    found: list[Word] = []
    place = 0
    while match := _TOKEN.search(text, place):
        word, place = _word_at(text, match)
        if word:
            found.append(word)
    return found


def _word_at(text: str, match: re.Match[str]) -> tuple[Word | None, int]:
    """Return the word that begins at the match, if it is known, and where to go on."""
    token, start = match.group(), match.start()
    if _PUNCTUATION.match(token):
        return Word("stop", token), match.end()
    if token[0].isascii():
        return _english(token), match.end()
    for length in range(5, 0, -1):
        piece = text[start : start + length]
        if len(piece) == length and piece in vocabulary():
            return vocabulary()[piece], start + length
    number = _chinese_number(token)
    if number is None:
        return None, start + 1
    # "一起" and "三月" are no counts: only before a measure word or a known word
    after = text[match.end() : match.end() + 1]
    if after and (
        after in _MEASURE or any(text.startswith(w, match.end()) for w in vocabulary() if not w.isascii())
    ):
        return Word("number", str(number)), match.end() + (after in _MEASURE)
    return None, match.end()


def _english(token: str) -> Word | None:
    if token.isdigit():
        return Word("number", token) if 1 <= int(token) <= 100 else None
    known = vocabulary()
    token = token.removesuffix("'s").strip("'")
    if token in known:
        return replace(known[token], many=token == "people")
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if token.endswith(ending) and (base := token.removesuffix(ending) + instead) in known:
            return replace(known[base], many=True)
    base = _LONE.get(token, "")
    if base in known:
        return replace(known[base], many=True)
    parts = token.split("-")
    return _english(parts[-1]) if len(parts) > 1 and parts[-1] else None


def _chinese_number(token: str) -> int | None:
    tens, ten, ones = token.partition("十")
    if any(c not in _DIGITS for c in tens + ones) or len(tens) > 1 or len(ones) > 1:
        return None
    return (_DIGITS.get(tens, 1) * 10 if ten else _DIGITS.get(tens, 0)) + _DIGITS.get(ones, 0) or None


@dataclass(slots=True)
class _Pending:
    """Modifiers that wait for their noun."""

    number: int | None = None
    colours: list[str] = field(default_factory=list)
    shade: str = ""
    size: str = ""


class _Reader:
    """Takes words one by one; nouns collect the modifiers before them."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []
        self.avoid: set[str] = set()
        self._facts: dict[str, str] = {}
        self._palette: list[str] = []
        self._pending = _Pending()
        self._after = ""
        self._noun = ""
        self._negated = False
        self._background_of = False
        self._waiting_hat: Figure | None = None

    def take(self, word: Word) -> None:
        """Take the next word."""
        handler = getattr(self, f"_{word.kind}", self._fact)
        if self._negated and word.kind not in {"not", "cut", "stop", "number", "join", "skip"}:
            self.avoid.add(word.value)
            self._negated = word.kind in {"colour", "shade", "size"}
            return
        handler(word)
        if word.kind not in {"shape", "thing", "skip"}:
            self._noun = ""

    def end(self) -> None:
        """Settle what is left over."""
        self._flush()

    def scene(self) -> Scene:
        """Return what was understood."""
        return Scene(figures=tuple(self.figures[:KINDS]), palette=tuple(self._palette), **self._facts)

    def _number(self, word: Word) -> None:
        number, before = int(word.value), self._pending.number
        self._pending.number = before * 12 if number == 12 and before and before > 1 else number

    def _colour(self, word: Word) -> None:
        name = f"{self._pending.shade} {word.value}".strip()
        self._pending.shade = ""
        if self._background_of:
            self._facts["backdrop"], self._background_of = name, False
        else:
            self._pending.colours.append(name)

    def _shade(self, word: Word) -> None:
        self._pending.shade = word.value

    def _size(self, word: Word) -> None:
        self._pending.size = word.value

    def _shape(self, word: Word) -> None:
        pending, self._pending = self._pending, _Pending()
        if word.value == self._noun:  # "a cup of coffee" is one cup
            return
        self._noun = word.value
        count = pending.number or 1
        if word.many and pending.number in (None, 1):
            count = SOME
        figure = Figure(word.value, min(count, MOST), tuple(pending.colours), pending.size)
        if word.value == "hat" and self._after == "wear":
            if self.figures and self.figures[-1].wears is None:
                self.figures[-1] = replace(self.figures[-1], wears=figure)
            else:
                self._waiting_hat = figure
            return
        self.figures.append(replace(figure, wears=self._waiting_hat))
        self._waiting_hat = None

    _thing = _shape

    def _background(self, _: Word) -> None:
        if self._pending.colours:
            self._facts["backdrop"] = self._pending.colours[0]
        else:
            self._background_of = True
        self._pending = _Pending()

    def _fact(self, word: Word) -> None:
        self._facts.setdefault(word.kind, word.value)
        if word.kind != "style":
            self._pending = _Pending()

    def _join(self, _: Word) -> None:
        if not self._pending.colours:
            self._pending = _Pending()

    def _skip(self, _: Word) -> None:
        pass

    def _cut(self, word: Word) -> None:
        self._flush()
        self._after, self._negated = word.value, False

    def _not(self, _: Word) -> None:
        self._negated = True

    def _stop(self, word: Word) -> None:
        if word.value == ":" and self._background_of:
            return
        self._flush()
        self._after, self._background_of, self._negated = "", False, False

    def _flush(self) -> None:
        """Give colours without a noun to the background, to the last figure, or to the palette."""
        colours = tuple(self._pending.colours)
        if colours and self._after == "on":
            self._facts.setdefault("backdrop", colours[0])
        elif colours and self.figures and not self.figures[-1].colours:
            self.figures[-1] = replace(self.figures[-1], colours=colours)
        else:
            self._palette.extend(colours)
        self._pending = _Pending()
