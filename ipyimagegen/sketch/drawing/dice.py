"""Chance that is the same on every machine."""

from __future__ import annotations

import hashlib
from random import Random


class Dice:
    """Independent random streams by name, so that more detail never moves the composition."""

    def __init__(self, prompt: str, seed: int) -> None:
        self._key = f"{' '.join(prompt.split())}\0{seed}\0"

    def __call__(self, name: str) -> Random:
        """Return the stream of that name, from its beginning."""
        digest = hashlib.sha256((self._key + name).encode("utf-8", "surrogatepass")).digest()
        return Random(int.from_bytes(digest))  # noqa: S311 - a composition, no secret
