"""The one tokenizer: the words of a line, the pieces of a list, and values written as such words.

Words are split at blanks, alike on all systems, and lists at commas. Quotes around a word or a part of it
are taken off; a backslash is an ordinary character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.template import find_name_end
from ipyimagegen.core.text import truncate

QUOTES = "\"'"
LONG_DASHES = "—–"  # what an editor or a phone makes of two
DASHES = f"-－{LONG_DASHES}"
COMMAS = ",，"
_APART = f"[{COMMAS}{{}}]"  # what ends a piece of a list, or would join it to the next as one name


@dataclass(frozen=True)
class Word:
    """A word without its quotes, and where it stands in the line."""

    text: str
    start: int
    end: int


def tokenize(line: str, start: int = 0) -> Iterator[Word]:
    """Yield the words of a line, lazily. Raises InvalidOption for a quote that is not closed."""
    at = start
    while True:
        while at < len(line) and line[at].isspace():
            at += 1
        if at >= len(line):
            return
        word = read_word(line, at)
        yield word
        at = word.end


def read_word(line: str, start: int) -> Word:
    """Return the word that begins there. Raises InvalidOption for a quote that is not closed."""
    at, text = start, ""
    while at < len(line) and not line[at].isspace():
        bit, at = _bit(line, at)
        text += bit
    return Word(text, start, at)


def split_pieces(text: str) -> Iterator[str]:
    """Yield what stands between the commas that are neither in quotes nor in a name's brackets.

    Raises InvalidOption for a quote that is not closed.
    """
    at, piece = 0, ""
    while at < len(text):
        if text[at] in COMMAS:
            yield piece
            at, piece = at + 1, ""
        else:
            bit, at = _bit(text, at)
            piece += bit
    yield piece


def _bit(text: str, at: int) -> tuple[str, int]:
    """Return a name in braces, what stands in quotes, or else one character, and where it ends."""
    if text[at] in "{[" and (end := find_name_end(text, at)):  # its quotes belong to a key
        return text[at:end], end
    if text[at] not in QUOTES:
        return text[at], at + 1
    close = text.find(text[at], at + 1)
    if close < 0:
        raise InvalidOption(f"The quote in {truncate(text[at:], 30)} is not closed.")
    return text[at + 1 : close], close + 1


def write_word(value: object, *, apart: bool = False) -> str:
    """Return a value as a word of a line: quoted when it needs to be; `apart`, as one piece of a list."""
    text = str(value)
    plain = text and not re.search(r"[\s\"']", text) and not re.match(rf"[{DASHES}](?!\d)", text)
    if plain and not (apart and re.search(_APART, text)):
        return text
    if '"' in text and "'" not in text:
        return f"'{text}'"
    parts = re.findall(r'[^"]+|"+', text)  # quotes of one kind stand in quotes of the other
    return "".join(f"'{part}'" if '"' in part else f'"{part}"' for part in parts) or '""'
