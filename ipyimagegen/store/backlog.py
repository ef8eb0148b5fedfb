"""Which records the index may not have: a file for each, made before the record.

So a record whose writer was killed, or could not reach the index, is found by the next reader. The
file is empty, but for a record that is about to be forgotten: then it holds the hashes of its files,
so that they go even if the process does not come that far.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ipyimagegen.core.errors import StoreError
from ipyimagegen.store.disk import Disk
from ipyimagegen.store.records import Key, parse

DAY = 86_400.0  # seconds after which a name without a record means nothing, whatever the clock did


@dataclass(frozen=True)
class Journal:
    """The names in HOME/unindexed."""

    disk: Disk

    def add(self, key: Key, files: Iterable[str] = ()) -> None:
        """Note a record, and the hashes of files that go when it is forgotten; raises StoreError."""
        if files:
            self.disk.put(self._path(key), "\n".join(files).encode())
        else:
            self.disk.claim(self._path(key))

    def files(self, key: Key) -> set[str]:
        """Return the hashes that were noted for a record; raises StoreError."""
        return set((self.disk.read(self._path(key)) or b"").decode("ascii", "replace").split())

    def keep(self, sha256: str) -> None:
        """Let a file stay that was to go: the same bytes are stored anew. Raises StoreError."""
        for key in self.keys():
            files = self.files(key)
            if sha256 in files:
                self.disk.put(self._path(key), "\n".join(files - {sha256}).encode())

    def done(self, keys: Iterable[Key]) -> None:
        """Take records out that the index has."""
        for key in keys:
            with suppress(StoreError):  # another process did, or its next reader will
                self.disk.delete(self._path(key))

    def keys(self) -> list[Key]:
        """Return session and number of every record noted."""
        found = []
        for path in self.disk.files(self._folder):
            key = parse(path.name.replace(".", "/"))
            if key is not None:
                found.append(key)
        return found

    def stale(self, key: Key) -> bool:
        """Say whether a record was noted so long ago that it will not be written any more."""
        try:
            return time.time() - self._path(key).stat().st_mtime > DAY
        except OSError:
            return False

    @property
    def _folder(self) -> Path:
        return self.disk.home / "unindexed"

    def _path(self, key: Key) -> Path:
        return self._folder / f"{key[0]}.{key[1]}"
