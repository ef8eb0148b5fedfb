"""Make text and names from outside harmless: keys redacted, controls stripped, file names cleaned."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import quote

REDACTED = "[key]"
TEXT_LIMIT = 2000
NAME_BYTES = 120

RUN = 8  # characters of a key: fewer in a row tell nothing of it
CODED = 10  # characters of base64 that eight alone decide

# What keys of the known servers look like: sk-…, sk-proj-…, xai-…, a bearer header, a key assignment;
# the last one is the beginning of a key where the text was cut.
_KEY = re.compile(
    r"\b(?:sk|pk|xai)-[A-Za-z0-9*_\-.]{12,}|\b(?:sk|pk|xai|gsk|r8|hf|tgp)_[A-Za-z0-9*]{16,}"
    r"|\bAIza[A-Za-z0-9_\-]{20,}"
    r"|\b[Bb]earer\s+(?=\S*\d)[A-Za-z0-9_\-.=+/]{12,}"
    r"|(?i:\bapi[-_ ]?key\W{1,3}(?=\S*\d)[A-Za-z0-9_\-.]{16,})"
    r"|\b(?:(?:sk|pk|xai|gsk|r8|hf|tgp)[-_]|AIza)[A-Za-z0-9*_\-.]{4,}…\Z"
)
# One escape: JSON's (\u002f, \/), or a URL's (%2F).
_ESCAPE = re.compile(r"""\\u00([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|\\([\\/"'])""")
_ALL = re.compile(r".+", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}")
_URL_SAFE = str.maketrans("-_", "+/")
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
# Windows looks at what stands before the first dot, without the blanks at its end.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?")
_UNSAFE_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def holds_key(text: str, secrets: Iterable[str] = ()) -> bool:
    """Say whether `text` contains something that looks like a key, or one of `secrets` in any form."""
    return bool(_KEY.search(text)) or any(form in text for secret in secrets for form in forms(secret))


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without keys: of a secret no eight characters in a row stay, however they are written.

    Raw, URL-, JSON- and base64-escaped, cut short, or masked as servers echo them: `sk-ab***yz`.
    """
    spans: set[tuple[int, int]] = set()
    readings = list(_readings(text))
    for secret in secrets:
        if len(secret) < 4:
            continue  # replacing every "a" would hide nothing and spoil the text
        cores = list(_cores(secret))
        for reading, begins in readings:
            spans.update(_spans(_ALL, reading, begins, secret, RUN))
            for core in cores:
                spans.update(_spans(_BASE64, reading.translate(_URL_SAFE), begins, core, CODED))
    kept: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if start > end or not kept:
            kept += [text[end:start], REDACTED]
        end = max(end, stop)
    return _KEY.sub(REDACTED, "".join(kept) + text[end:])


def _cores(secret: str) -> Iterator[str]:
    """Yield the characters of base64 that a secret alone decides, for each place in a group of three."""
    raw = secret.encode("utf-8", "replace")
    for before in range(3):
        coded = base64.b64encode(bytes(before) + raw).decode()
        core = coded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(core) >= 8:
            yield core


def _readings(text: str) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield the text as it is, and its escapes taken off once and twice; and where each character begins."""
    begins: Sequence[int] = range(len(text) + 1)
    yield text, begins
    for _ in range(2):
        if not _ESCAPE.search(text):
            return
        text, begins = _unescaped(text, begins)
        yield text, begins


def _unescaped(text: str, begins: Sequence[int]) -> tuple[str, Sequence[int]]:
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for found in _ESCAPE.finditer(text):
        code = found[1] or found[2]
        parts += [text[end : found.start()], chr(int(code, 16)) if code else found[3]]
        places += begins[end : found.start() + 1]
        end = found.end()
    return "".join(parts) + text[end:], [*places, *begins[end:]]


def _spans(
    where: re.Pattern[str], text: str, begins: Sequence[int], secret: str, run: int
) -> Iterator[tuple[int, int]]:
    """Yield where so many characters of a secret in a row, or a short one whole, stand in a text read."""
    size = min(run, len(secret))
    for found in where.finditer(text):
        for at in range(found.start(), found.end() - size + 1):
            if text[at : at + size] in secret:
                yield begins[at], begins[at + size]


def forms(secret: str) -> list[str]:
    """Return how a whole secret may stand in a reply: raw, URL-, JSON- and base64-escaped, longest first.

    None of a dummy such as `none` or `EMPTY`: it stands in base64 and in addresses by chance.
    """
    if len(secret) < RUN:
        return []
    url = {quote(secret, safe=safe) for safe in ("", "/")}
    url |= {re.sub("%..", lambda found: found[0].lower(), one) for one in url}
    said = json.dumps(secret)[1:-1]
    escaped = {re.sub(f"[{some}]", _code(as_), said) for some in _MARKUP for as_ in ("04x", "04X")}
    cores = [*_cores(secret)]
    cores += [core.replace("+", "-").replace("/", "_") for core in cores]
    return sorted({secret, said, said.replace("/", "\\/"), *url, *escaped, *cores}, key=len, reverse=True)


_MARKUP = ("<>&", "<>&'+", "<>&'=")  # what Go, .NET and Java write as \u003c for the sake of HTML


def _code(as_: str) -> Callable[[re.Match[str]], str]:
    return lambda found: f"\\u{ord(found[0]):{as_}}"


def told(text: object, secrets: Iterable[str] = (), limit: int = TEXT_LIMIT) -> str:
    """Return outside text as `plain` does, without keys.

    Looked for when nothing invisible splits a key any more; what is cut afterwards holds none.
    """
    return plain(redact(plain(text), secrets), limit)


def plain(text: object, limit: int = TEXT_LIMIT) -> str:
    """Return outside text as inert single-spaced text of at most `limit` characters.

    ANSI sequences, control, bidi and other invisible format characters are taken out; line breaks
    become blanks, so that a message cannot forge lines of its own.
    """
    flat = _ANSI.sub("", str(text)[: limit * 4])
    kept = (c if not unicodedata.category(c).startswith("C") else " " if c.isspace() else "" for c in flat)
    words = " ".join("".join(kept).split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def short(text: str, limit: int = 80) -> str:
    """Return the first `limit` characters of `text` on one line, with an ellipsis when cut."""
    return plain(text, limit)


def visible(text: str) -> str:
    """Return `text` with what would hide, reorder or overwrite something written out, as JSON writes it.

    Line breaks and the joiners of emoji and Persian stay. JSON stays the same JSON.
    """
    return "".join(json.dumps(c)[1:-1] if _is_hidden(c) else c for c in text)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\u200c\u200d"


def file_name(text: str, suffix: str = "") -> str:
    """Return `text` as one portable file name: no separators, no reserved word, at most 120 bytes.

    `suffix` is kept whatever has to be cut.
    """
    seen = "".join(c for c in text if not unicodedata.category(c).startswith("C"))
    name = _cut(_UNSAFE_IN_NAMES.sub("_", unicodedata.normalize("NFC", seen)), suffix)
    return (_cut(f"_{name}", suffix) if _RESERVED.fullmatch(name) else name) + suffix


def _cut(name: str, suffix: str) -> str:
    room = NAME_BYTES - len(suffix.encode())
    return name.strip(" .").encode()[:room].decode(errors="ignore").strip(" .") or "_"
