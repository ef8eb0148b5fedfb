"""What two texts share and what only one of them has, word by word, as `git diff --word-diff` writes it.

a [-red-] {+blue+} fox
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import count

from ipyimagegen.core.text import sanitize

_ALONE = "\u0e00-\u0eff \u2e80-\u9fff \uf900-\ufaff \U00020000-\U0003ffff"  # written without blanks
_RANGES = tuple(part.split("-") for part in _ALONE.split())
_JOINS = "'’-.:_"
_KEPT = 40  # characters of an unchanged stretch that are shown on each side of a change
_SHOWN = 300  # characters of a changed stretch that are shown at its beginning, and at its end
# Words of a text up to which every word counts (0.1 s); of a longer one the frequent ones are left out
# when its order is looked for, and one over the second figure is changed as a whole.
_EVERY, _MOST = 2000, 20_000


@dataclass(frozen=True)
class Word:
    """A word, a Chinese character, or a sign; and whether a blank stands before it."""

    text: str
    spaced: bool = False


@dataclass(frozen=True)
class Stretch:
    """Words that follow one another: in both texts (no sign), in the old (`-`) or the new alone (`+`)."""

    sign: str
    words: tuple[Word, ...]


def split_words(text: str) -> list[Word]:
    """Return the words of a text. What has no blanks between its words is taken character by character."""
    return [
        Word(one, spaced=place > 0 and at == 0)
        for place, part in enumerate(text.split())
        for at, one in enumerate(_parts(part))
    ]


def _parts(text: str) -> Iterator[str]:
    start = 0
    for at in range(1, len(text)):
        if not _goes_on(text, at):
            yield text[start:at]
            start = at
    yield text[start:]


def _goes_on(text: str, at: int) -> bool:
    """Say whether the character there belongs to the word before it."""
    char, before = text[at], text[at - 1]
    if unicodedata.category(char)[0] == "M":
        return True
    if char in _JOINS:
        return _joins(text, at)
    if before in _JOINS:
        return _joins(text, at - 1)
    return _is_letter(before) and _is_letter(char)


def _joins(text: str, at: int) -> bool:
    """Say whether the sign there is part of a word: dog's, 1.2, 16:9; in (fog:1.2) it is none."""
    if not 0 < at < len(text) - 1 or (text[at] == ":" and not text[at - 1].isdigit()):
        return False
    return _is_letter(text[at - 1]) and _is_letter(text[at + 1])


def _is_letter(char: str) -> bool:
    """Say whether words are made of it; an accent that follows a letter counts as one."""
    return unicodedata.category(char)[0] in "LNM" and not any(a <= char <= z for a, z in _RANGES)


def diff_words(old: Sequence[Word], new: Sequence[Word]) -> list[Stretch]:
    """Return both texts as one row of stretches: without `-` it is the new text, without `+` the old.

    A word of both is spaced where it is in one of them.
    """
    a, b = [one.text for one in old], [one.text for one in new]
    found: list[Stretch] = []
    for kind, i, i_end, j, j_end in _changes(a, b):
        if kind == "equal":
            pairs = zip(old[i:i_end], new[j:j_end], strict=True)
            both = tuple(Word(y.text, x.spaced or y.spaced) for x, y in pairs)
            found.append(Stretch("", both))
            continue
        if i < i_end:
            found.append(Stretch("-", tuple(old[i:i_end])))
        if j < j_end:
            found.append(Stretch("+", tuple(new[j:j_end])))
    return found


def _changes(a: list[str], b: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield what is equal and what is not, as difflib does; a text that is mostly the same is quick."""
    shorter = min(len(a), len(b))
    head = next((k for k in range(shorter) if a[k] != b[k]), shorter)
    tail = next((k for k in range(shorter - head) if a[-1 - k] != b[-1 - k]), shorter - head)
    a_end, b_end = len(a) - tail, len(b) - tail
    if head:
        yield "equal", 0, head, 0, head
    longer = max(a_end, b_end) - head
    if longer > _MOST:
        yield "replace", head, a_end, head, b_end
    elif longer:
        matcher = SequenceMatcher(None, a[head:a_end], b[head:b_end], autojunk=longer > _EVERY)
        for kind, *places in matcher.get_opcodes():
            i, i_end, j, j_end = (place + head for place in places)
            yield kind, i, i_end, j, j_end
    if tail:
        yield "equal", a_end, len(a), b_end, len(b)


def same_words(old: str, new: str) -> bool:
    """Say whether two texts differ in nothing but blanks, and characters that cannot be seen."""
    return [one.text for one in split_words(_whole(old))] == [one.text for one in split_words(_whole(new))]


def mark_words(old: str, new: str, *, shortened: bool = True) -> str:
    """Return the new text on one line, with `{+…+}` around what the old has not, and `[-…-]` what it had.

    Long unchanged stretches are shortened with … . Where one of the texts holds such marks itself, ours
    get more signs than those: `[--red--]`.
    """
    old, new = _whole(old), _whole(new)
    row = diff_words(split_words(old), split_words(new))
    signs = _signs(old, new)
    said = []
    for place, one in enumerate(row):
        at_start = place == 0 or (place == 1 and row[0].sign == "-" and one.sign == "+")
        blank = " " if one.words[0].spaced or (place and at_start) else ""
        text = _short(one, place == 0, place == len(row) - 1) if shortened else _joined(one.words)
        sign = one.sign * signs
        opening, closing = {"": ("", ""), "-": ("[", "]"), "+": ("{", "}")}[one.sign]
        said.append(f"{blank}{opening}{sign}{text}{sign}{closing}")
    return "".join(said)


def _whole(text: str) -> str:
    return sanitize(text, len(text) + 1)


def _signs(old: str, new: str) -> int:
    """Return how many signs a mark needs, so that neither text holds one."""
    both = f"{old}\n{new}"
    return next(
        k
        for k in count(1)
        if not any(mark in both for mark in ("[" + "-" * k, "-" * k + "]", "{" + "+" * k, "+" * k + "}"))
    )


def _joined(some: Sequence[Word]) -> str:
    return "".join(f" {one.text}" if one.spaced and k else one.text for k, one in enumerate(some))


def _short(stretch: Stretch, first: bool, last: bool) -> str:
    """Return the text of a stretch: of a long one the words that stand beside a change."""
    text = _joined(stretch.words)
    keep = _SHOWN if stretch.sign else _KEPT
    if len(text) <= 2 * keep + 20:  # what is left out is worth a sign
        return text
    before = "" if first and not stretch.sign else _fitting(stretch.words, keep)
    after = "" if last and not stretch.sign else _fitting(stretch.words[::-1], keep, back=True)
    return " ".join(part for part in (before, "…", after) if part)


def _fitting(some: Sequence[Word], room: int, *, back: bool = False) -> str:
    """Return as many words as there is room for; one that has none is cut."""
    kept: list[Word] = []
    used = 0
    for one in some:
        used += len(one.text) + one.spaced
        if used > room:
            break
        kept.append(one)
    if not kept:
        return some[0].text[-room:] if back else some[0].text[:room]
    return _joined(kept[::-1] if back else kept)
