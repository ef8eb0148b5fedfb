"""The key that must not be found again: whole, in part, or in any form that a text may give it."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from urllib.parse import quote, quote_plus

# No eight characters in a row of it stand in any other text; escapes change its slashes and signs.
KEY = "sk-Zq7vKx2mWp9/RtB4+yHc8=Ld3gNf6_Js5uXa1eQ0w"
BLOCK = 1 << 16
PART = 8  # characters that are already too much
KEPT = {".env", ".netrc"}  # where a test itself puts a key


def _windows(text: str) -> set[str]:
    return {text[at : at + PART] for at in range(len(text) - PART + 1)}


@cache
def written(key: str = KEY) -> dict[str, set[str]]:
    """Return each form of the key as it would be written."""
    encoded = [base64.b64encode(b"x" * pad + key.encode()).decode()[4 if pad else 0 :] for pad in range(3)]
    whole = [form[: len(form) // 4 * 4 - 4] for form in encoded]
    return {
        "raw": {key},
        "JSON-escaped": {json.dumps(key)[1:-1], key.replace("/", "\\/")},
        "URL-encoded": {quote(key, safe=""), quote_plus(key).lower()},
        "base64": {*whole, *(form.replace("+", "-").replace("/", "_") for form in whole)},
    }


@cache
def forms(key: str = KEY) -> dict[str, set[str]]:
    """Return every eight characters of each form of the key."""
    return {form: set().union(*map(_windows, texts)) for form, texts in written(key).items()}


@cache
def anchors(key: str = KEY) -> set[str]:
    """Return pieces of which any eight characters of any form hold at least one: four, every five."""
    texts = set().union(*written(key).values())
    return {text[at : at + 4] for text in texts for at in range(0, len(text) - 3, PART - 3)}


def traces(data: bytes | str, secrets=(KEY,)) -> list[str]:
    """Return what of the secrets stands in some data: the form and the characters."""
    text = data.decode("latin-1") if isinstance(data, bytes) else data
    # Overlapping, and each content once: what a server fills up with takes no time.
    blocks = {text[at : at + BLOCK + PART - 1] for at in range(0, len(text), BLOCK)}
    if not any(piece in block for block in blocks for secret in secrets for piece in anchors(secret)):
        return []
    ways = [way for secret in secrets for way in forms(secret).items()]
    return [
        f"{form}: {part!r}"
        for form, parts in ways
        for part in sorted(parts)
        if any(part in block for block in blocks)
    ]


def traces_in(folder: Path, secrets=(KEY,)) -> dict[str, list[str]]:
    """Return what of the secrets stands in the files of a folder, and in their names."""
    places = {}
    for path in folder.rglob("*"):
        held = path.read_bytes() if path.is_file() and path.name not in KEPT else b""
        if kinds := traces(held, secrets) + traces(str(path), secrets):
            places[str(path)] = kinds
    return places
