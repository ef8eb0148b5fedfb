"""What a prompt says, as far as sketch understands it: text in, a frozen `Scene` out; pure.

English nouns take their modifiers in front ("three red circles") or after a verb or preposition
("a circle that is red"); Chinese ones alike with measure words (三个红色圆). Words outside the
vocabulary are passed over, so that "three very shiny red circles" still counts three red circles.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ipyimagegen.sketch.reading.words import Word, words

MOST = 60  # figures of one kind: more would be specks
KINDS = 8  # different figures in one picture
SOME = 0  # the count of a bare plural: the painter chooses


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
        self._facts: dict[str, Any] = {}
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
