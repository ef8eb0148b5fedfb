"""Split a line into words and a list into pieces, and write values as such words.

Words are split at blanks, alike on all systems, and lists at commas. Quotes around a word or a part of it
are removed; a backslash is an ordinary character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.messages import _
from ipyimagegen.core.template import find_name_end
from ipyimagegen.core.text import truncate

QUOTES = "\"'"
LONG_DASHES = "—–"  # editors and phones put them in place of two hyphens
DASHES = f"-－{LONG_DASHES}"
COMMAS = ",，、"
NON_BLANK = re.compile(r"\S")
_CURLY = re.compile("“[^“”\"']*”")
_QUOTED_IN_LISTS = f"[{COMMAS}{{}}]"


@dataclass(frozen=True)
class Token:
    """A word without its quotes, as typed, and where it ends in the line."""

    text: str
    typed: str
    end: int


def tokenize(line: str, start: int = 0) -> Iterator[Token]:
    """Yield the words of a line, lazily. Raises InvalidOption for a quote that is not closed."""
    while match := NON_BLANK.search(line, start):
        word = read_word(line, match.start())
        yield word
        start = word.end


def read_word(line: str, start: int) -> Token:
    """Return the word that begins there. Raises InvalidOption for a quote that is not closed."""
    at, text = start, ""
    while at < len(line) and not line[at].isspace():
        # Curly quotes hold a word with blanks together, and stay: they may be part of a text.
        curly = _CURLY.match(line, at) if at == start or line[at - 1] in "=＝" else None
        part, at = (curly[0], curly.end()) if curly else _read_part(line, at)
        text += part
    return Token(text, line[start:at], at)


def split_pieces(text: str) -> Iterator[str]:
    """Yield the pieces between commas; commas in quotes or in the brackets of a name do not split.

    Raises InvalidOption for a quote that is not closed.
    """
    at, piece = 0, ""
    while at < len(text):
        if text[at] in COMMAS:
            yield piece
            at, piece = at + 1, ""
        else:
            part, at = _read_part(text, at)
            piece += part
    yield piece


def _read_part(text: str, at: int) -> tuple[str, int]:
    """Return a name in braces, a quoted text without its quotes or a single character, and its end."""
    if text[at] in "{[｛" and (end := find_name_end(text, at)):  # its quotes belong to a key
        return text[at:end], end
    if text[at] not in QUOTES:
        return text[at], at + 1
    close = text.find(text[at], at + 1)
    if close < 0:
        raise InvalidOption(_("The quote in {text} is not closed.", text=truncate(text[at:], 30)))
    return text[at + 1 : close], close + 1


def write_word(value: object, *, apart: bool = False) -> str:
    """Return a value as a word of a line, quoted where needed; `apart` makes it a piece of a list."""
    text = str(value)
    plain = text and not re.search(r"[\s\"']", text) and not re.match(rf"[{DASHES}](?!\d)", text)
    if plain and not (apart and re.search(_QUOTED_IN_LISTS, text)):
        return text
    if '"' in text and "'" not in text:
        return f"'{text}'"
    parts = re.findall(r'[^"]+|"+', text)  # each kind of quote is quoted by the other
    return "".join(f"'{part}'" if '"' in part else f'"{part}"' for part in parts) or '""'
