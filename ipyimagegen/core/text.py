"""Text from outside made harmless, and text laid out: counts, lists, columns, file names."""

from __future__ import annotations

import html
import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from unicodedata import category, east_asian_width

from ipyimagegen.core.messages import PYTHON, Front, Message, _, join, render

DOT = " · "  # between the facts of a line
NAMED = 4  # names of a long list that are shown
TEXT_LIMIT = 2000
NAME_BYTES = 120
_NO_WIDTH = ("Mn", "Me", "Cf")  # categories of characters that take no column
_CELL = 80  # characters of a cell of a table
_UNBROKEN = 24  # characters of a cell that stays on one line

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
# Windows compares what stands before the first dot, without the blanks at its end.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?")
# Format characters that shape what a reader sees: the tags of a flag, the joiner of two emoji, and joiners
# behind a letter of a script that joins its letters, from Arabic to Adlam.
_EMOJI = "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001fbff"
_JOINED_LETTERS = (
    "\u0610-\u061a\u0620-\u06dc\u06de-\u070e\u0710-\u088f\u0898-\u08e1\u08e3-\u109f\u1700-\u180d\u180f-\u18af"
    "\u1900-\u1cff\ua800-\ua95f\ua980-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00010fff\U00011000-\U000110bc\U000110c2-\U000110cc\U000110ce-\U00011fff\U0001e900-\U0001e95f"
)
_SHAPING = re.compile(
    "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
    f"|(?<=[\ufe0f{_EMOJI}])\u200d(?=[{_EMOJI}])"
    f"|(?<=[{_JOINED_LETTERS}])[\u200c\u200d]"
)
_LONGEST_CLUSTER = 32  # characters; nothing that is longer is a single character to a reader
_UNSAFE_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def sanitize(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return outside text as inert single-spaced text of at most `limit` characters.

    ANSI sequences, control, bidi and other invisible format characters are removed; line breaks become
    blanks, so that a message cannot forge lines of its own. Joiners stay where they join.
    """
    flat = _ANSI.sub("", str(text)[: limit * 4 + _LONGEST_CLUSTER])
    visible = _replace_hidden(flat, lambda char: " " if char.isspace() else "")
    return clip(" ".join(visible.split()), limit)


def clip(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, with an ellipsis when cut, but never through an emoji."""
    if len(text) <= limit:
        return text
    end = limit - 1
    while limit - end < _LONGEST_CLUSTER and end > 0 and _continues(text, end):
        end -= 1
    return text[: end if not _continues(text, end) else limit - 1] + "…"


def _continues(text: str, at: int) -> bool:
    """Return whether the character at `at` belongs to what is before it: a mark, a joiner, half a flag."""
    char, before = text[at], text[at - 1 : at]
    if _is_regional(char):
        letters = itertools.takewhile(_is_regional, reversed(text[max(0, at - _LONGEST_CLUSTER) : at]))
        return sum(1 for _letter in letters) % 2 == 1
    is_part = category(char) in ("Mn", "Mc", "Me", "Cf") or "\U0001f3fb" <= char <= "\U0001f3ff"
    return is_part or before == "\u200d"


def _is_regional(char: str) -> bool:
    """Return whether this is one of the two letters of a country's flag."""
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def fold(text: str) -> str:
    """Return text as a search compares it: without case, and with composed characters."""
    return unicodedata.normalize("NFC", text.casefold())


def truncate(text: str, limit: int = 80) -> str:
    """Return the first `limit` characters of `text` on one line, with an ellipsis when cut."""
    return sanitize(text, limit)


def escape_hidden(text: str) -> str:
    """Return `text` with the characters that hide, reorder or overwrite text escaped as in JSON.

    Line breaks stay, and joiners where they join. JSON stays the same JSON.
    """
    return _replace_hidden(text, lambda char: char if char == "\n" else json.dumps(char)[1:-1])


def _replace_hidden(text: str, replace: Callable[[str], str]) -> str:
    """Return `text` with each character replaced that hides, reorders or overwrites text."""
    parts, at = [], 0
    for shaping in _SHAPING.finditer(text):
        parts += [replace(char) if _is_hidden(char) else char for char in text[at : shaping.start()]]
        parts.append(shaping[0])
        at = shaping.end()
    return "".join([*parts, *(replace(char) if _is_hidden(char) else char for char in text[at:])])


def _is_hidden(char: str) -> bool:
    kind = category(char)
    if kind == "Cn":  # not assigned, as far as this Python knows: an emoji newer than it is
        return not "\U0001f000" <= char <= "\U0001fbff"
    return kind in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


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
    """Return the columns that a text takes on a screen: Chinese characters and emoji take two, marks none."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text if category(char) not in _NO_WIDTH)


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
    visible = "".join(c for c in text if not category(c).startswith("C"))
    name = _cut(_UNSAFE_IN_NAMES.sub("_", unicodedata.normalize("NFC", visible)), suffix)
    return (_cut(f"_{name}", suffix) if _RESERVED.fullmatch(name) else name) + suffix


def _cut(name: str, suffix: str) -> str:
    room = NAME_BYTES - len(suffix.encode())
    return name.strip(" .").encode()[:room].decode(errors="ignore").strip(" .") or "_"
