"""Images and other files by the hash of their bytes: each content once, never re-encoded."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.messages import _
from ipyimagegen.store.fallback import find_fallback, make_fallback
from ipyimagegen.store.files import DAY, HASH, RESPONSE, Disk, Occupied
from ipyimagegen.store.records import Key, parse_key

HEAD = 64  # bytes, enough for any magic number


@dataclass(frozen=True, kw_only=True)
class StoredBlob:
    """A stored file: the hash of its bytes, where it is, its size in bytes, and its first 64 bytes.

    `altered`: `clean` changed what was received.
    """

    sha256: str
    path: Path
    size: int
    head: bytes
    altered: bool = False


@dataclass(frozen=True)
class Blobs:
    """The files of a store that are not records."""

    disk: Disk

    def keep(
        self,
        chunks: Iterable[bytes],
        cap: int,
        suffix_of: Callable[[bytes], str | None],
        *,
        fallback: bool,
        announce: Callable[[str], None],
        clean: Callable[[Path], bool],
    ) -> StoredBlob:
        """Stream bytes into a file that is named by their hash; see `Store.keep`.

        `announce` gets the hash before the file has its name.
        """
        disk = find_fallback(self.disk.home) if fallback else self.disk
        if disk is None or (fallback and not make_fallback(disk)):
            raise StoreError(_("No folder for temporary files is private to you."))
        digest, size, head = hashlib.sha256(), 0, b""
        with disk.create_part() as (file, part):
            for chunk in chunks:
                size += len(chunk)
                if size > cap:
                    raise StoreError(_("The image has more than {cap} bytes: not stored.", cap=f"{cap:,}"))
                head += chunk[: HEAD - len(head)]
                digest.update(chunk)
                disk.append(file, chunk)
            altered = clean(part)
            with self.disk.translate_errors():
                name = _hash_file(part) if altered else digest.hexdigest()
            if not fallback:
                announce(name)
        suffix = suffix_of(head)
        path = self._folder(name) / f"{name}{suffix}" if suffix else self._quarantine(name)
        if fallback:
            path = disk.spool / path.name
        try:
            disk.move(part, path)  # also over the same content: that heals a damaged file
        except Occupied:
            with disk.translate_errors():
                if not disk.is_file(path) or _hash_file(path) != name:
                    raise
        return StoredBlob(sha256=name, path=path, size=size, head=head, altered=altered)

    def path(self, sha256: str) -> Path | None:
        """Return where those bytes are, also in quarantine or in the fallback, or None."""
        return next((path for _disk, path in self._find_files(sha256)), None)

    def verify(self, sha256: str) -> bool:
        """Return whether the stored bytes still have that hash."""
        path = self.path(sha256)
        with self.disk.translate_errors():
            return path is not None and _hash_file(path) == sha256

    def delete(self, sha256: str) -> list[Path]:
        """Delete the files of those bytes; return those that are not the store's to delete."""
        return [path for disk, path in self._find_files(sha256) if not disk.delete(path)]

    def _find_files(self, sha256: str) -> Iterator[tuple[Disk, Path]]:
        if not HASH.fullmatch(sha256):
            return
        yield from _list_named(sha256, self.disk, self._folder(sha256))
        if self.disk.is_file(path := self._quarantine(sha256)):
            yield self.disk, path
        for disk in self._fallbacks():
            yield from _list_named(sha256, disk, disk.spool)

    # Responses while they are received

    def spool(self, key: Key | None, is_needed: Callable[[Key], bool]) -> Path:
        """Return a new file for bytes that are being received: the response of that run, if there is a run.

        Files that are older than a day are deleted, except responses of runs that still need them.
        """
        path = self.disk.make_spool_path(_name_response(key) if key else "part")
        self.disk.create_exclusive(path)
        with suppress(StoreError):  # a later call deletes them
            self._delete_old(is_needed)
        return path

    def spool_fallback(self, key: Key) -> Path | None:
        """Return a new file in the fallback for the response of that run; None where there is none."""
        disk = find_fallback(self.disk.home)
        if disk and make_fallback(disk):
            path = disk.make_spool_path(_name_response(key))
            with suppress(StoreError):
                return path if disk.create_exclusive(path) else None
        return None

    def _delete_old(self, is_needed: Callable[[Key], bool]) -> None:
        for disk, path in self._list_spooled():
            with suppress(OSError, StoreError):  # another process deletes it too
                if time.time() - path.lstat().st_mtime > DAY:
                    key = _find_key(path)
                    if key is None or not is_needed(key):
                        disk.delete(path)

    def list_responses(self) -> list[tuple[Path, Key]]:
        """Return the responses in spool and fallback, and the runs that they belong to."""
        responses = (path for _disk, path in self._list_spooled() if path.suffix == ".reply")
        return [(path, key) for path in responses if (key := _find_key(path))]

    def delete_responses(self, key: Key) -> list[Path]:
        """Delete the responses of a run; return those that are not the store's to delete."""
        return [
            path for disk, path in self._list_spooled() if _find_key(path) == key and not disk.delete(path)
        ]

    def claim(self, response: Path) -> bool:
        """Mark a response as being read; return False where another reader has begun."""
        return self.disk.create_exclusive(_claim_of(response))

    def release(self, response: Path) -> None:
        """Remove that mark."""
        for disk in self._disks():
            if disk.spool == response.parent:
                disk.delete(_claim_of(response))

    def _list_spooled(self) -> list[tuple[Disk, Path]]:
        return [(disk, path) for disk in self._disks() for path in disk.list_files(disk.spool)]

    def _disks(self) -> tuple[Disk, ...]:
        """Return fallback and home: a response that moved to the fallback is more whole there."""
        return (*self._fallbacks(), self.disk)

    def _fallbacks(self) -> tuple[Disk, ...]:
        disk = find_fallback(self.disk.home)
        return (disk,) if disk else ()

    def _folder(self, sha256: str) -> Path:
        return self.disk.home / "images" / sha256[:2]

    def _quarantine(self, sha256: str) -> Path:
        return self.disk.home / "quarantine" / f"{sha256}.bin"


def _claim_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.claim")


def _name_response(key: Key) -> str:
    return f"{key[0]}.{key[1]}.reply"


def _find_key(path: Path) -> Key | None:
    """Return the run whose response, or mark of a reader, a file in the spool is; None for other files."""
    response = RESPONSE.fullmatch(path.name)
    return parse_key(f"{response[1]}/{response[2]}") if response else None


def _list_named(sha256: str, disk: Disk, folder: Path) -> Iterator[tuple[Disk, Path]]:
    return ((disk, path) for path in disk.list_files(folder) if path.stem == sha256)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
