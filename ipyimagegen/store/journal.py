"""Which records the index may lack: a file for each, made before the record.

So a record whose writer was killed, or could not reach the index, is found by the next reader. The file
is empty, except for a record that is about to be forgotten: then it holds the hashes of its files, so that
they are deleted even if the process ends first.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ipyimagegen.store.files import DAY, Disk
from ipyimagegen.store.records import Key, parse_key


class Journal:
    """The names in HOME/unindexed. Its methods raise OSError."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.folder = disk.home / "unindexed"

    def path(self, key: Key) -> Path:
        """Return where a record is noted."""
        return self.folder / f"{key[0]}.{key[1]}"

    def add(self, key: Key, hashes: Iterable[str] = ()) -> bool:
        """Note a record, and the hashes of the files that go when it is forgotten.

        Return whether the note is new.
        """
        if not hashes:
            return self.disk.create_exclusive(self.path(key))
        self.disk.put(self.path(key), "\n".join(hashes).encode())
        return True

    def list_keys(self) -> list[Key]:
        """Return the key of every record noted."""
        paths = self.disk.list_files(self.folder)
        return [key for path in paths if (key := parse_key(path.name.replace(".", "/"))) is not None]

    def read_hashes(self, key: Key) -> set[str]:
        """Return the hashes that were noted for a record."""
        return set((self.disk.read(self.path(key)) or b"").decode("ascii", "replace").split())

    def drop_hash(self, sha256: str) -> None:
        """Let a file stay that was to be deleted: the same bytes are stored anew."""
        for key in self.list_keys():
            hashes = self.read_hashes(key)
            if sha256 in hashes:
                self.disk.put(self.path(key), "\n".join(hashes - {sha256}).encode())

    def is_stale(self, key: Key) -> bool:
        """Return whether a record was noted so long ago that it will not be written any more."""
        try:
            return time.time() - self.path(key).stat().st_mtime > DAY  # whatever the clock did since
        except OSError:
            return False

    def remove(self, keys: Iterable[Key]) -> None:
        """Remove the notes of records that the index has."""
        for key in keys:
            with suppress(OSError):  # another process did, or its next reader will
                self.disk.delete(self.path(key))
