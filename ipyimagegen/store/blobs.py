"""The files of a store that are not records: images by the hash of their bytes, and responses on their way.

What a full disk refuses is kept in the fallback: a folder among the system's temporary files that only its
owner can read. What lies there goes into the history as soon as that can be written again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from zlib import crc32

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.formats import HEAD, find_suffix
from ipyimagegen.core.messages import _
from ipyimagegen.core.run import Run, Status
from ipyimagegen.store.files import (
    DAY,
    HASH,
    RESPONSE,
    Disk,
    Occupied,
    is_private_folder,
    make_private_folder,
)
from ipyimagegen.store.journal import Journal
from ipyimagegen.store.records import Key, Records, parse_key

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="BlobStore")


@dataclass(frozen=True, kw_only=True)
class StoredBlob:
    """A stored file: the hash of its bytes, where it is, and its size in bytes.

    `altered`: `clean` changed what was received.
    """

    sha256: str
    path: Path
    size: int
    altered: bool = False


def raises_store_error(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Let a method of a store raise StoreError where it would raise OSError."""

    @wraps(method)
    def translated(store: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(store, *args, **kwargs)
        except OSError as error:
            raise store.disk.explain(error) from error

    return translated


class BlobStore:
    """The images of a store, each content once and never re-encoded, and its responses."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.home = disk.home
        self._records = Records(disk)
        self._journal = Journal(disk)

    def keep(
        self,
        chunks: Iterable[bytes],
        *,
        cap: int,
        raw: bool = False,
        fallback: bool = False,
        clean: Callable[[Path], bool] = lambda _: False,
    ) -> StoredBlob:
        """Stream bytes into a file that is named by their hash; the same bytes are stored once.

        What does not begin as an image does, and what is `raw`, goes into quarantine, as `.bin`. `fallback`
        stores it in the fallback, for a day. `clean` may change the file in place before it is named, and
        returns whether it did. Raises StoreError when there are more than `cap` bytes or the disk fails, and
        whatever `chunks` raises; then no file is left.
        """
        disk = find_fallback(self.home, make=True) if fallback else self.disk
        if disk is None:
            raise StoreError(_("No folder for temporary files is private to you."))
        digest, size, head = hashlib.sha256(), 0, b""
        with ExitStack() as stack:
            with disk.translate_errors():
                file, part = stack.enter_context(disk.create_part())
            for chunk in chunks:
                size += len(chunk)
                if size > cap:
                    raise StoreError(_("The image has more than {cap} bytes: not stored.", cap=f"{cap:,}"))
                head += chunk[: HEAD - len(head)]
                digest.update(chunk)
                with disk.translate_errors():
                    disk.append(file, chunk)
            with disk.translate_errors():
                altered = clean(part)
                sha256 = _hash_file(part) if altered else digest.hexdigest()
                if not fallback:
                    self._journal.drop_hash(sha256)
                stack.close()
                suffix = None if raw else find_suffix(head)
                folder = self.home / (f"images/{sha256[:2]}" if suffix else "quarantine")
                path = (disk.spool if fallback else folder) / f"{sha256}{suffix or '.bin'}"
                try:
                    disk.move(part, path)  # also over the same content: that heals a damaged file
                except Occupied:
                    if path not in disk.list_files(path.parent, sha256) or _hash_file(path) != sha256:
                        raise
        return StoredBlob(sha256=sha256, path=path, size=size, altered=altered)

    @raises_store_error
    def path(self, sha256: str) -> Path | None:
        """Return where the bytes with that hash are, also in quarantine or in the fallback, or None."""
        return next((path for _disk, path in self._find_files(sha256)), None)

    @raises_store_error
    def verify(self, sha256: str) -> bool:
        """Return whether the stored bytes still have that hash."""
        path = self.path(sha256)
        return path is not None and _hash_file(path) == sha256

    def _find_files(self, sha256: str) -> Iterator[tuple[Disk, Path]]:
        if not HASH.fullmatch(sha256):
            return
        for path in self.disk.list_files(self.home / "images" / sha256[:2], sha256):
            yield self.disk, path
        quarantine = self.home / "quarantine"
        self.disk.is_linked(quarantine)
        if self.disk.is_file(path := quarantine / f"{sha256}.bin"):
            yield self.disk, path
        if fallback := find_fallback(self.home):
            yield from ((fallback, path) for path in fallback.list_files(fallback.spool, sha256))

    # Responses while they are received

    @raises_store_error
    def spool(self, run: Run | None = None) -> Path:
        """Return a new file for bytes that are being received: the response of the run, if there is a run.

        Files that are older than a day are deleted, except responses of runs that still need them.
        """
        path = _make_spool_path(self.disk, run)
        self.disk.create_exclusive(path)
        with suppress(OSError):  # a later call deletes them
            for disk, old in self._list_spooled():
                with suppress(OSError):  # another process deletes it too
                    if time.time() - old.lstat().st_mtime > DAY and not self._find_waiting(old):
                        disk.delete(old)
        return path

    def spool_fallback(self, run: Run) -> Path | None:
        """Return a new file in the fallback for the rest of a response that the home cannot hold."""
        if disk := find_fallback(self.home, make=True):
            path = _make_spool_path(disk, run)
            with suppress(OSError):
                return path if disk.create_exclusive(path) else None
        return None

    @raises_store_error
    def list_responses(self) -> list[tuple[Path, Run]]:
        """Return the responses in the spool that are not completely stored yet, and their runs.

        Such a call is in flight, or its process was killed, or the disk was full.
        """
        paths = [path for _disk, path in self._list_spooled() if path.suffix == ".reply"]
        return [(path, run) for path in paths if (run := self._find_waiting(path))]

    @raises_store_error
    def claim(self, response: Path) -> bool:
        """Mark a response in the spool as being read; return False where another reader has begun.

        The mark of a reader that died stays: a response that ended a process is not read again by itself.
        """
        return self.disk.create_exclusive(_claim_of(response))

    @raises_store_error
    def release(self, response: Path) -> None:
        """Remove that mark."""
        for disk in (self.disk, find_fallback(self.home)):
            if disk and disk.spool == response.parent:
                disk.delete(_claim_of(response))

    def _find_waiting(self, path: Path) -> Run | None:
        """Return the run that still needs a response, or the mark of its reader; None for other files."""
        key = find_run_key(path)
        run = self._records.read(key) if key else None
        if run is None:
            return None
        waits = run.status is Status.PENDING or run.awaits_job
        return run if waits or any(image.unstored for image in run.images) else None

    def _list_spooled(self) -> list[tuple[Disk, Path]]:
        """Return what lies in the spools, first that of the fallback: a response is more whole there."""
        disks = (find_fallback(self.home), self.disk)
        return [(disk, path) for disk in disks if disk for path in disk.list_files(disk.spool)]


def find_fallback(home: Path, *, make: bool = False) -> Disk | None:
    """Return the fallback of a store; None where there is none, or no place can be trusted.

    The folder of temporary files is everybody's, and the names in it are known: somebody else may have
    put a folder or a link there.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0  # elsewhere the temporary folder is the user's own
    try:
        shared = Path(tempfile.gettempdir()).resolve()
    except OSError:
        return None
    owned = shared / f"ipyimagegen-{user}"
    place = owned / f"{crc32(os.fsencode(home)):08x}"
    check = make_private_folder if make else is_private_folder
    return Disk(place) if check(owned) and check(place) else None


def find_run_key(path: Path) -> Key | None:
    """Return the run whose response, or mark of a reader, a file in the spool is; None for other files."""
    response = RESPONSE.fullmatch(path.name)
    return parse_key(f"{response[1]}/{response[2]}") if response else None


def _claim_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.claim")


def _make_spool_path(disk: Disk, run: Run | None) -> Path:
    end = f"{run.session}.{run.number}.reply" if run else "part"
    return disk.spool / f"{os.urandom(16).hex()}.{end}"


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
