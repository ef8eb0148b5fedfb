"""Text from outside made harmless, and text laid out: counts, lists, columns, file names."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ipyimagegen.core.messages import PYTHON, Front, Message, _, join, render

DOT = " · "  # between the facts of a line
NAMED = 4  # names of a long list that are shown
TEXT_LIMIT = 2000
NAME_BYTES = 120
_CELL = 80  # characters of a cell of a table
_UNBROKEN = 24  # characters of a cell that stays on one line

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
# Windows compares what stands before the first dot, without the blanks at its end.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?")
_UNSAFE_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def sanitize(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return outside text as inert single-spaced text of at most `limit` characters.

    ANSI sequences, control, bidi and other invisible format characters are removed; line breaks become
    blanks, so that a message cannot forge lines of its own.
    """
    flat = _ANSI.sub("", str(text)[: limit * 4])
    visible = (c if not unicodedata.category(c).startswith("C") else " " if c.isspace() else "" for c in flat)
    words = " ".join("".join(visible).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def fold(text: str) -> str:
    """Return text as a search compares it: without case, and with composed characters."""
    return unicodedata.normalize("NFC", text.casefold())


def truncate(text: str, limit: int = 80) -> str:
    """Return the first `limit` characters of `text` on one line, with an ellipsis when cut."""
    return sanitize(text, limit)


def escape_hidden(text: str) -> str:
    """Return `text` with the characters that hide, reorder or overwrite text escaped as in JSON.

    Line breaks and the joiners of emoji and Persian stay. JSON stays the same JSON.
    """
    return "".join(json.dumps(c)[1:-1] if _is_hidden(c) else c for c in text)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\u200c\u200d"


def format_count(count: int, noun: str) -> str:
    """Return `1 image`, `2 images`."""
    return f"{count} {noun}" + ("s" if count != 1 else "")


def list_some(names: Sequence[str]) -> Message:
    """Return the first of many names, and how many more there are."""
    shown = join([truncate(name, 40) for name in names[:NAMED]], ", ")
    more = len(names) - NAMED
    return _("{names} and {count} more", names=shown, count=more) if more > 0 else shown


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells, the first of which is the header, and the lines below them; notebooks show HTML."""

    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def to_text(self, front: Front = PYTHON) -> str:
        """Return the table in columns of a fixed-width font."""
        table = (
            [format_table([render(cell, front) for cell in row] for row in self.rows)] if self.rows else []
        )
        return "\n".join([*table, *(render(note, front) for note in self.notes)])

    def to_html(self, front: Front = PYTHON) -> str:
        """Return the table as HTML; every text in it is escaped."""
        rows = ([render(cell, front) for cell in row] for row in self.rows)
        table = [format_html_table(rows)] if self.rows else []
        lines = (escape_html(render(note, front)) for note in self.notes)
        return "\n".join([*table, *(f"<p>{line}</p>" for line in lines)])

    def __repr__(self) -> str:
        return escape_hidden(self.to_text())

    def _repr_html_(self) -> str:
        return self.to_html()


def format_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as columns of a fixed-width font, left-aligned."""
    cells = [[truncate(cell, _CELL) for cell in row] for row in rows]
    widths = [max(map(measure_width, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(pad, row, widths)).rstrip() for row in cells)


def format_html_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as an HTML table; the first row is its header.

    Only the alignment is styled, in each cell: notebooks align to the right, and break ids at their hyphen.
    """
    header, *body = [[truncate(cell, _CELL) for cell in row] for row in rows]

    def join_row(row: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(write_cell(cell, tag) for cell in row)}</tr>"

    def write_cell(cell: str, tag: str) -> str:
        short = len(cell) <= _UNBROKEN and re.search(r"[\s-]", cell)
        style = f"text-align:left{';white-space:nowrap' if short else ''}"
        return f'<{tag} style="{style}">{escape_html(cell)}</{tag}>'

    lines = "\n".join(join_row(row, "td") for row in body)
    return f"<table>\n<thead>{join_row(header, 'th')}</thead>\n<tbody>{lines}</tbody>\n</table>"


def escape_html(text: str) -> str:
    """Return the text as HTML. A notebook typesets LaTeX in HTML, links and all, but not inside of `code`."""
    escaped = html.escape(sanitize(text))
    return f"<code>{escaped}</code>" if "$" in text or "\\" in text else escaped


def pad(text: str, width: int) -> str:
    """Return the text with blanks behind it, `width` columns wide."""
    return text + " " * (width - measure_width(text))


def measure_width(text: str) -> int:
    """Return the columns that a text takes on a screen: Chinese characters take two."""
    return sum(2 if "\u1100" <= c <= "\uffe6" and c not in "·–…" else 1 for c in text)


def to_slug(text: str, limit: int) -> str:
    """Return the words of a text as a part of a file name: `a-red-fox`, at most `limit` characters."""
    composed = unicodedata.normalize("NFC", text.lower())
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in composed)
    slug = "-".join(kept.split())
    if len(slug) > limit and "-" in slug[: limit + 1]:
        return slug[: limit + 1].rpartition("-")[0]
    return slug[:limit]


def to_file_name(text: str, suffix: str = "") -> str:
    """Return `text` as a portable file name: no separators, no reserved word, at most 120 bytes.

    `suffix` is kept whatever has to be cut.
    """
    visible = "".join(c for c in text if not unicodedata.category(c).startswith("C"))
    name = _cut(_UNSAFE_IN_NAMES.sub("_", unicodedata.normalize("NFC", visible)), suffix)
    return (_cut(f"_{name}", suffix) if _RESERVED.fullmatch(name) else name) + suffix


def _cut(name: str, suffix: str) -> str:
    room = NAME_BYTES - len(suffix.encode())
    return name.strip(" .").encode()[:room].decode(errors="ignore").strip(" .") or "_"
