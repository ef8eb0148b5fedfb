"""The difference of two texts, word by word, as `git diff --word-diff` writes it.

a [-red-] {+blue+} fox
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

from ipyimagegen.core.text import sanitize

_ALONE = "\u0e00-\u0eff \u2e80-\u9fff \uf900-\ufaff \U00020000-\U0003ffff"  # written without blanks
_RANGES = tuple(part.split("-") for part in _ALONE.split())
_JOINERS = "'’-.:_"
_CONTEXT = 40  # characters of an unchanged stretch that are shown on each side of a change
_SHOWN = 300  # characters of a changed stretch that are shown at its beginning, and at its end
# Up to so many words every word is compared (0.1 s); in a longer text frequent words are ignored when
# sequences are matched, and a text beyond the second figure counts as changed as a whole.
_EVERY, _MOST = 2000, 20_000


@dataclass(frozen=True)
class DiffWord:
    """A word, a Chinese character, or a punctuation mark; and whether a blank precedes it."""

    text: str
    spaced: bool = False


@dataclass(frozen=True)
class Stretch:
    """Consecutive words: of both texts (no sign), only of the old (`-`) or only of the new (`+`)."""

    sign: str
    words: tuple[DiffWord, ...]


def split_words(text: str) -> list[DiffWord]:
    """Return the words of a text; scripts without blanks between words are split by character."""
    words = []
    for place, part in enumerate(text.split()):
        start = 0
        for at in range(1, len(part) + 1):
            if at == len(part) or not _continues(part, at):
                words.append(DiffWord(part[start:at], spaced=place > 0 and start == 0))
                start = at
    return words


def _continues(text: str, at: int) -> bool:
    """Return whether the character at an index belongs to the word before it."""
    char, before = text[at], text[at - 1]
    if unicodedata.category(char)[0] == "M":
        return True
    if char in _JOINERS:
        return _joins(text, at)
    if before in _JOINERS:
        return _joins(text, at - 1)
    return _is_letter(before) and _is_letter(char)


def _joins(text: str, at: int) -> bool:
    """Return whether a punctuation mark is part of a word: in dog's, 1.2 and 16:9, not in (fog:1.2)."""
    if not 0 < at < len(text) - 1 or (text[at] == ":" and not text[at - 1].isdigit()):
        return False
    return _is_letter(text[at - 1]) and _is_letter(text[at + 1])


def _is_letter(char: str) -> bool:
    """Return whether words consist of such characters; a combining accent counts as a letter."""
    return unicodedata.category(char)[0] in "LNM" and not any(a <= char <= z for a, z in _RANGES)


def diff_words(old: Sequence[DiffWord], new: Sequence[DiffWord]) -> list[Stretch]:
    """Return both texts as a list of stretches: without `-` it is the new text, without `+` the old.

    A word of both texts is spaced where it is spaced in either.
    """
    a, b = [word.text for word in old], [word.text for word in new]
    stretches: list[Stretch] = []
    for kind, i, i_end, j, j_end in _find_opcodes(a, b):
        if kind == "equal":
            pairs = zip(old[i:i_end], new[j:j_end], strict=True)
            both = tuple(DiffWord(y.text, x.spaced or y.spaced) for x, y in pairs)
            stretches.append(Stretch("", both))
            continue
        if i < i_end:
            stretches.append(Stretch("-", tuple(old[i:i_end])))
        if j < j_end:
            stretches.append(Stretch("+", tuple(new[j:j_end])))
    return stretches


def _find_opcodes(a: list[str], b: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield opcodes as difflib does; texts that are mostly equal take little time."""
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
    """Return whether two texts differ only in blanks and invisible characters."""
    first, second = split_words(_sanitize(old)), split_words(_sanitize(new))
    return [word.text for word in first] == [word.text for word in second]


def mark_words(old: str, new: str, *, shortened: bool = True) -> str:
    """Return the new text on one line, with `{+…+}` around additions and `[-…-]` for deletions.

    Long unchanged stretches are shortened with … . Where a text itself holds such marks, those of the
    difference get more signs: `[--red--]`.
    """
    old, new = _sanitize(old), _sanitize(new)
    stretches = diff_words(split_words(old), split_words(new))
    both, signs = f"{old}\n{new}", 1
    while any(
        mark in both
        for mark in (f"[{'-' * signs}", f"{'-' * signs}]", f"{{{'+' * signs}", f"{'+' * signs}}}")
    ):
        signs += 1
    marked = []
    for place, stretch in enumerate(stretches):
        at_start = place == 0 or (place == 1 and stretches[0].sign == "-" and stretch.sign == "+")
        blank = " " if stretch.words[0].spaced or (place and at_start) else ""
        last = place == len(stretches) - 1
        text = _shorten(stretch, place == 0, last) if shortened else _join(stretch.words)
        sign = stretch.sign * signs
        opening, closing = {"": ("", ""), "-": ("[", "]"), "+": ("{", "}")}[stretch.sign]
        marked.append(f"{blank}{opening}{sign}{text}{sign}{closing}")
    return "".join(marked)


def _sanitize(text: str) -> str:
    return sanitize(text, len(text) + 1)


def _join(words: Sequence[DiffWord]) -> str:
    return "".join(f" {word.text}" if word.spaced and k else word.text for k, word in enumerate(words))


def _shorten(stretch: Stretch, first: bool, last: bool) -> str:
    """Return the text of a stretch: of a long stretch the words beside a change."""
    text = _join(stretch.words)
    keep = _SHOWN if stretch.sign else _CONTEXT
    if len(text) <= 2 * keep + 20:  # shortening saves enough
        return text
    before = "" if first and not stretch.sign else _take(stretch.words, keep)
    after = "" if last and not stretch.sign else _take(stretch.words[::-1], keep, back=True)
    return " ".join(part for part in (before, "…", after) if part)


def _take(words: Sequence[DiffWord], room: int, *, back: bool = False) -> str:
    """Return as many words as fit; where none fits, a part of the first."""
    widths = accumulate(len(word.text) + word.spaced for word in words)
    taken = words[: sum(width <= room for width in widths)]
    if not taken:
        return words[0].text[-room:] if back else words[0].text[:room]
    return _join(taken[::-1] if back else taken)
