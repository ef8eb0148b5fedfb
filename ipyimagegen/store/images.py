"""Images by the hash of their bytes: each content once, never re-encoded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ipyimagegen.core.errors import StoreError
from ipyimagegen.store.disk import Disk, Occupied
from ipyimagegen.store.layout import HASH, REPLY
from ipyimagegen.store.records import Key, parse
from ipyimagegen.store.refuge import find_fallback, make_fallback

HEAD = 64  # bytes, enough for any magic number
DAY = 86_400.0  # seconds


@dataclass(frozen=True, kw_only=True)
class StoredBlob:
    """A stored file: the hash of its bytes, where it is, its size in bytes, and its first 64 bytes.

    `altered`: it is not what came, since `clean` changed it.
    """

    sha256: str
    path: Path
    size: int
    head: bytes
    altered: bool = False


@dataclass(frozen=True)
class Images:
    """The files of a store that are not records."""

    disk: Disk

    def keep(
        self,
        chunks: Iterable[bytes],
        cap: int,
        suffix_of: Callable[[bytes], str | None],
        *,
        aside: bool,
        told: Callable[[str], None],
        clean: Callable[[Path], bool] = lambda _: False,
    ) -> StoredBlob:
        """Stream bytes into a file that is named by their hash; see `Store.keep`.

        `told` gets the hash before the file has its name.
        """
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

        disk = find_fallback(self.disk.home) if aside else self.disk
        if disk is None or (aside and not make_fallback(disk)):
            raise StoreError("There is no second place that others cannot reach.")
        digest, size, head = hashlib.sha256(), 0, b""
        with disk.fresh() as (file, part):
            for chunk in chunks:
                size += len(chunk)
                if size > cap:
                    raise StoreError(f"More than {cap:,} bytes for an image: not kept.")
                head += chunk[: HEAD - len(head)]
                digest.update(chunk)
                disk.append(file, chunk)
            if altered := clean(part):
                with self.disk.told(), part.open("rb") as changed:
                    digest = hashlib.file_digest(changed, "sha256")
            name = digest.hexdigest()
            if not aside:
                told(name)
        suffix = suffix_of(head)
        path = self._folder(name) / f"{name}{suffix}" if suffix else self._quarantined(name)
        if aside:
            path = disk.scratch / path.name
        try:
            disk.move(part, path)  # also over the same content: that heals a damaged file
        except Occupied:
            with disk.told():
                if not disk.is_file(path) or _hash_of(path) != name:
                    raise
        return StoredBlob(sha256=name, path=path, size=size, head=head, altered=altered)

    def path(self, sha256: str) -> Path | None:
        """Return where those bytes are, also in quarantine or in the refuge, or None."""
        return next((path for _, path in self._places(sha256)), None)

    def _places(self, sha256: str) -> Iterator[tuple[Disk, Path]]:
        if not HASH.fullmatch(sha256):
            return
        yield from _named(sha256, self.disk, self._folder(sha256))
        if self.disk.is_file(path := self._quarantined(sha256)):
            yield self.disk, path
        for disk in self._aside():
            yield from _named(sha256, disk, disk.scratch)

    def verify(self, sha256: str) -> bool:
        """Say whether the stored bytes still have that hash."""
        path = self.path(sha256)
        if path is None:
            return False
        with self.disk.told():
            return _hash_of(path) == sha256

    def remove(self, sha256: str) -> list[Path]:
        """Delete the files of those bytes; return those that are not the store's to delete."""
        return [path for disk, path in self._places(sha256) if not disk.delete(path)]

    def spool(self, key: Key | None, wanted: Callable[[Key], bool]) -> Path:
        """Return a path for bytes on their way: the reply to the run of that key, if there is one.

        What has lain there for a day is deleted, but for replies to runs that are `wanted`.
        """
        path = self.disk.part(_reply_to(key) if key else "part")
        self.disk.claim(path)
        with suppress(StoreError):  # a later call may see to it
            self._tidy(wanted)
        return path

    def spare(self, key: Key) -> Path | None:
        """Return a path in the refuge for the reply to the run of that key; see `Store.spare`."""
        disk = find_fallback(self.disk.home)
        path = disk.part(_reply_to(key)) if disk and make_fallback(disk) else None
        try:
            return path if disk and path and disk.claim(path) else None
        except StoreError:
            return None

    def _tidy(self, wanted: Callable[[Key], bool]) -> None:
        for disk, old in self._on_their_way():
            with suppress(OSError, StoreError):  # another process deletes it too
                if time.time() - old.lstat().st_mtime > DAY and not ((of := _run_of(old)) and wanted(of)):
                    disk.delete(old)

    def replies(self) -> list[tuple[Path, Key]]:
        """Return the replies in scratch folder and refuge, and the runs that they belong to."""
        responses = (path for _, path in self._on_their_way() if path.suffix == ".reply")
        return [(path, key) for path in responses if (key := _run_of(path))]

    def drop_replies(self, key: Key) -> list[Path]:
        """Delete the replies that lie there for the run of that key; return those that stay, as `remove`."""
        return [path for disk, path in self._on_their_way() if _run_of(path) == key and not disk.delete(path)]

    def claim(self, path: Path) -> bool:
        """Mark a response as being read; return False where another reader has begun."""
        return self.disk.claim(_claim_of(path))

    def release(self, path: Path) -> None:
        """Take the mark away."""
        for disk in (*self._aside(), self.disk):
            if disk.scratch == path.parent:
                disk.delete(_claim_of(path))

    def _on_their_way(self) -> list[tuple[Disk, Path]]:
        """Return what is not in its final place; first what moved to the refuge, since it is more whole."""
        return [(disk, path) for disk in (*self._aside(), self.disk) for path in disk.files(disk.scratch)]

    def _aside(self) -> tuple[Disk, ...]:
        disk = find_fallback(self.disk.home)
        return (disk,) if disk else ()

    def _folder(self, sha256: str) -> Path:
        return self.disk.home / "images" / sha256[:2]

    def _quarantined(self, sha256: str) -> Path:
        return self.disk.home / "quarantine" / f"{sha256}.bin"


def _claim_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.claim")


def _reply_to(key: Key) -> str:
    return f"{key[0]}.{key[1]}.reply"


def _run_of(path: Path) -> Key | None:
    """Return whose reply a file in the scratch folder is, None for any other file."""
    reply = REPLY.fullmatch(path.name)
    return parse(f"{reply[1]}/{reply[2]}") if reply else None


def _named(sha256: str, disk: Disk, folder: Path) -> Iterator[tuple[Disk, Path]]:
    return ((disk, path) for path in disk.files(folder) if path.stem == sha256)


def _hash_of(path: Path) -> str:
    import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
