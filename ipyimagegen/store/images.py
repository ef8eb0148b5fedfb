"""Pictures by the hash of their bytes: each content once, never re-encoded."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ipyimagegen.errors import StoreError
from ipyimagegen.store.disk import Disk

HEAD = 64  # bytes, enough for any magic number
DAY = 86_400.0  # seconds
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A stored file: the hash of its bytes, where it is, its size in bytes, and its first 64 bytes."""

    sha256: str
    path: Path
    size: int
    head: bytes


@dataclass(frozen=True)
class Images:
    """The files of a store that are not records."""

    disk: Disk

    def keep(self, chunks: Iterable[bytes], cap: int, suffix_of: Callable[[bytes], str | None]) -> Kept:
        """Stream bytes into a file that is named by their hash; see `Store.keep`."""
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

        digest, size, head = hashlib.sha256(), 0, b""
        with self.disk.fresh() as (file, part):
            for chunk in chunks:
                size += len(chunk)
                if size > cap:
                    raise StoreError(f"More than {cap:,} bytes for a picture: not kept.")
                head += chunk[: HEAD - len(head)]
                digest.update(chunk)
                self.disk.append(file, chunk)
        name = digest.hexdigest()
        suffix = suffix_of(head)
        path = self._folder(name) / f"{name}{suffix}" if suffix else self._quarantined(name)
        self.disk.move(part, path)  # also over the same content: that heals a damaged file
        return Kept(sha256=name, path=path, size=size, head=head)

    def path(self, sha256: str) -> Path | None:
        """Return where those bytes are, also in quarantine, or None."""
        if not _HASH.fullmatch(sha256):
            return None
        with suppress(OSError):
            for path in self._folder(sha256).iterdir():
                if path.name.startswith(sha256):
                    return path
        path = self._quarantined(sha256)
        return path if path.is_file() else None

    def intact(self, sha256: str) -> bool:
        """Say whether the stored bytes still have that hash."""
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

        path = self.path(sha256)
        if path is None:
            return False
        with self.disk.told(), path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def remove(self, sha256: str) -> None:
        """Delete the file of those bytes, if there is one."""
        path = self.path(sha256)
        if path is not None:
            with self.disk.told():
                path.unlink(missing_ok=True)

    def spool(self) -> Path:
        """Return a path for bytes on their way, and delete what has lain there for a day."""
        path = self.disk.part()
        self.disk.claim(path)
        for old in self.disk.scratch.iterdir():
            with suppress(OSError):  # another process deletes it too
                if time.time() - old.stat().st_mtime > DAY:
                    old.unlink()
        return path

    def _folder(self, sha256: str) -> Path:
        return self.disk.home / "images" / sha256[:2]

    def _quarantined(self, sha256: str) -> Path:
        return self.disk.home / "quarantine" / f"{sha256}.bin"
