"""Make text and names from outside harmless: controls stripped, file names cleaned."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

DOT = " · "  # between the facts of a line
NAMED = 4  # of many, so many are named
TEXT_LIMIT = 2000
NAME_BYTES = 120

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
# Windows looks at what stands before the first dot, without the blanks at its end.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?")
_UNSAFE_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def sanitize(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return outside text as inert single-spaced text of at most `limit` characters.

    ANSI sequences, control, bidi and other invisible format characters are taken out; line breaks
    become blanks, so that a message cannot forge lines of its own.
    """
    flat = _ANSI.sub("", str(text)[: limit * 4])
    kept = (c if not unicodedata.category(c).startswith("C") else " " if c.isspace() else "" for c in flat)
    words = " ".join("".join(kept).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def truncate(text: str, limit: int = 80) -> str:
    """Return the first `limit` characters of `text` on one line, with an ellipsis when cut."""
    return sanitize(text, limit)


def format_count(count: int, noun: str) -> str:
    """Return `1 image`, `2 images`."""
    return f"{count} {noun}" + ("s" if count != 1 else "")


def list_some(names: Sequence[str]) -> str:
    """Return the first of many names, and how many more there are."""
    more = len(names) - NAMED
    told = ", ".join(truncate(one, 40) for one in names[:NAMED])
    return f"{told} and {more} more" if more > 0 else told


def escape_hidden(text: str) -> str:
    """Return `text` with what would hide, reorder or overwrite something written out, as JSON writes it.

    Line breaks and the joiners of emoji and Persian stay. JSON stays the same JSON.
    """
    return "".join(json.dumps(c)[1:-1] if _is_hidden(c) else c for c in text)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\u200c\u200d"


def to_file_name(text: str, suffix: str = "") -> str:
    """Return `text` as one portable file name: no separators, no reserved word, at most 120 bytes.

    `suffix` is kept whatever has to be cut.
    """
    seen = "".join(c for c in text if not unicodedata.category(c).startswith("C"))
    name = _cut(_UNSAFE_IN_NAMES.sub("_", unicodedata.normalize("NFC", seen)), suffix)
    return (_cut(f"_{name}", suffix) if _RESERVED.fullmatch(name) else name) + suffix


def _cut(name: str, suffix: str) -> str:
    room = NAME_BYTES - len(suffix.encode())
    return name.strip(" .").encode()[:room].decode(errors="ignore").strip(" .") or "_"


_CELL = 80  # characters


def format_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of words in columns, left-aligned."""
    cells = [[truncate(cell, _CELL) for cell in row] for row in rows]
    widths = [max(map(measure_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(pad, row, widths)).rstrip() for row in cells)


def pad(text: str, to: int) -> str:
    """Return the text with blanks behind it, so many columns wide."""
    return text + " " * (to - measure_width(text))


def measure_width(text: str) -> int:
    """Return columns on a screen: Chinese characters take two."""
    return sum(2 if "\u1100" <= c <= "\uffe6" and c not in "·–…" else 1 for c in text)
