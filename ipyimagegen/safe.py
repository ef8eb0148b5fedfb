"""Make text and names from outside harmless: keys redacted, controls stripped, file names cleaned."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

REDACTED = "[key]"
TEXT_LIMIT = 2000
NAME_BYTES = 120

# What keys of the known servers look like: sk-…, sk-proj-…, xai-…, a bearer header, a key assignment.
_KEY = re.compile(
    r"\b(?:sk|pk|xai)-[A-Za-z0-9*_\-.]{12,}|\b(?:sk|pk|xai|gsk|r8|hf|tgp)_[A-Za-z0-9*]{16,}"
    r"|\bAIza[A-Za-z0-9_\-]{20,}"
    r"|\b[Bb]earer\s+(?=\S*\d)[A-Za-z0-9_\-.=+/]{12,}"
    r"|(?i:\bapi[-_ ]?key\W{1,3}(?=\S*\d)[A-Za-z0-9_\-.]{16,})"
)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
_UNSAFE_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def holds_key(text: str, secrets: Iterable[str] = ()) -> bool:
    """Say whether `text` contains something that looks like a key, or one of `secrets`."""
    return bool(_KEY.search(text)) or any(secret in text for secret in secrets if len(secret) >= 8)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without keys: each secret raw, URL-, base64- and JSON-escaped, and masked forms.

    A masked form is what servers echo, such as `sk-ab***yz`.
    """
    for secret in secrets:
        for form in forms(secret):
            text = text.replace(form, REDACTED)
    return _KEY.sub(REDACTED, text)


def forms(secret: str) -> list[str]:
    """Return how a secret may stand in a text: raw, URL-, JSON- and base64-escaped, longest first."""
    if len(secret) < 4:
        return []  # replacing every "a" would hide nothing and spoil the text
    raw = secret.encode()
    encoded = [base64.b64encode(b"x" * pad + raw).decode() for pad in range(3)]
    # The first and last characters of a base64 run depend on the neighbours; its core does not.
    cores = [one[4 if pad else 0 : (len(one) // 4 - 1) * 4] for pad, one in enumerate(encoded)]
    forms = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], *(c for c in cores if len(c) >= 8)}
    return sorted(forms, key=len, reverse=True)


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


def file_name(text: str) -> str:
    """Return `text` as one portable file name: no separators, no reserved word, at most 120 bytes."""
    name = _UNSAFE_IN_NAMES.sub("_", unicodedata.normalize("NFC", text))
    name = "".join(c for c in name if not unicodedata.category(c).startswith("C"))
    stem, dot, suffix = name.rpartition(".")
    tail = dot + suffix if stem and len(suffix) <= 5 else ""
    head = (stem if tail else name).encode()[: NAME_BYTES - len(tail.encode())].decode(errors="ignore")
    name = (head + tail).strip(" .") or "_"
    return f"_{name}" if _RESERVED.fullmatch(name) else name
