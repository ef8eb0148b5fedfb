"""The store: its operations, and the order in which files are written."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.messages import _
from ipyimagegen.core.run import SCHEMA, Run, Status
from ipyimagegen.core.text import list_some
from ipyimagegen.store.blobs import Blobs, StoredBlob
from ipyimagegen.store.entries import Entry, Query, Unusable, compute_identity, compute_question
from ipyimagegen.store.files import Disk
from ipyimagegen.store.journal import Journal
from ipyimagegen.store.records import Key, Records, forget, list_hashes, parse_key

if TYPE_CHECKING:
    from ipyimagegen.store.index import Index

T = TypeVar("T")
CHECK_INTERVAL = 5.0  # seconds for which the index is taken to be complete after a check
SAMPLE = 4  # records that a check compares with the index: all differ where another store was copied here


class Store:
    """Runs and images in the folder `home`, which is not touched before it is needed.

    `wait` is how long another process may hold the index, in seconds, before the record files are read in
    its place; `disk` holds the system calls that write. Any thread and process may call any method. What
    cannot be written raises StoreError; a failing index never does.
    """

    def __init__(self, home: Path, *, wait: float = 10.0, disk: Disk | None = None) -> None:
        self._disk = disk or Disk(home)
        self.home = self._disk.home
        self._records = Records(self._disk)
        self._blobs = Blobs(self._disk)
        self._journal = Journal(self._disk)
        self._wait = wait
        self._checked = 0.0  # when records and index were last compared

    def __repr__(self) -> str:
        return f"Store({str(self.home)!r})"

    def probe(self, need: int = 0) -> None:
        """Raise StoreError unless `need` bytes can be stored: call it before anything is paid for."""
        self._disk.probe(need)

    def is_private(self) -> bool:
        """Return whether other users cannot read the index; they can where the file system has no modes."""
        return self._index.is_private()

    def new_session(self, today: date) -> str:
        """Create a session and return its name, such as 1120-k7f2: month, day, four letters or digits."""
        return self._records.new_session(today)

    # Writing

    def create(self, run: Run) -> None:
        """Write the record of a new run; raises StoreError when its number is taken."""
        key = run.session, run.number
        self._journal.add(key)
        self._records.create(run)
        self._index_record(key)

    def update(self, run: Run) -> None:
        """Replace the record of a run; raises StoreError when a newer version wrote it."""
        old, written = self._records.update(run)
        if written.forgotten:  # forgotten while it was in flight
            self._delete_unused(list_hashes(run))
        if old is None or Entry.from_run(old) != Entry.from_run(written):  # an entry has no status
            self._index_record((run.session, run.number))

    def withdraw(self, run: Run) -> None:
        """Delete the record of a run that was not sent and cannot be updated: pending means unknown."""
        self._records.delete((run.session, run.number))

    def keep(
        self,
        chunks: Iterable[bytes],
        *,
        cap: int,
        suffix_of: Callable[[bytes], str | None],
        fallback: bool = False,
        clean: Callable[[Path], bool] = lambda _: False,
    ) -> StoredBlob:
        """Stream bytes into a file that is named by their hash; the same bytes are stored once.

        `suffix_of` gets the first 64 bytes (or less) and returns a suffix such as `.png`; None puts
        the file into quarantine, as `.bin`. `fallback` stores it in the fallback, for a day. `clean` may
        change the file in place before it is named, and returns whether it did. Raises StoreError when
        there are more than `cap` bytes or the disk fails, and whatever `chunks` raises; then no file is left.
        """
        return self._blobs.keep(
            chunks, cap, suffix_of, fallback=fallback, announce=self._journal.drop_hash, clean=clean
        )

    def spool(self, run: Run | None = None) -> Path:
        """Return a new file for bytes that are being received, and delete files that are a day old.

        It is named after the run whose response it will be: `list_responses` finds it should the process end.
        """
        key = (run.session, run.number) if run else None
        return self._blobs.spool(key, lambda key: self._read_incomplete(key) is not None)

    def spool_fallback(self, run: Run) -> Path | None:
        """Return a new file in the fallback for the rest of a response that the home cannot hold."""
        return self._blobs.spool_fallback((run.session, run.number))

    def list_responses(self) -> list[tuple[Path, Run]]:
        """Return the responses in the spool that are not completely stored yet, and their runs.

        Such a call is in flight, or its process was killed, or the disk was full.
        """
        return [
            (path, run)
            for path, key in self._blobs.list_responses()
            if (run := self._read_incomplete(key)) is not None
        ]

    def claim(self, response: Path) -> bool:
        """Mark a response in the spool as being read; return False where another reader has begun.

        The mark of a reader that died stays: a response that ended a process is not read again by itself.
        """
        return self._blobs.claim(response)

    def release(self, response: Path) -> None:
        """Remove that mark."""
        self._blobs.release(response)

    def forget(self, ids: Iterable[str]) -> int:
        """Delete prompt, inputs and images of these runs, and return how many had any.

        Number, time and cost stay, and so do files that another run mentions. A record that only reused
        one of the runs is forgotten with it. Raises StoreError when a newer version wrote any of them; then
        none is forgotten. Raises StoreError that names files which are not the store's to delete; then all
        are forgotten.
        """
        named = set(ids)
        runs = [
            run
            for run in self._records.read_all()
            if not named.isdisjoint({run.id, run.reused_from}) and not run.forgotten
        ]
        newer = [run.id for run in runs if run.schema > SCHEMA]
        if newer:
            raise StoreError(
                _(
                    "A newer version of ipyimagegen wrote {runs}. No run was forgotten.",
                    runs=list_some(newer),
                )
            )
        staying = []
        for run in runs:
            key = run.session, run.number
            self._journal.add(key, list_hashes(run))
            self._records.update(forget(run))
            staying += self._blobs.delete_responses(key)
        staying += self._delete_noted((run.session, run.number) for run in runs)
        with suppress(Unusable):
            self._catch_up()
            self._index.delete_damaged()
        if staying:
            raise StoreError(
                _(
                    "Forgotten, but these files belong to another user or are behind a link, and were not "
                    "deleted: {files}. Delete them yourself.",
                    files=", ".join(map(str, staying)),
                )
            )
        return len(runs)

    # Reading

    def path(self, sha256: str) -> Path | None:
        """Return where the bytes with that hash are, also in quarantine, or None."""
        return self._blobs.path(sha256)

    def verify(self, sha256: str) -> bool:
        """Return whether the stored bytes still have that hash."""
        return self._blobs.verify(sha256)

    def run(self, id_: str) -> Run | None:
        """Return the run of a lasting id such as 1120-k7f2/3, or None."""
        key = parse_key(id_)
        return None if key is None else self._records.read(key)

    def runs(
        self,
        *,
        session: str | None = None,
        search: str | None = None,
        model: str | None = None,
        limit: int | None = None,
        newest_first: bool = True,
        originals: bool = False,
    ) -> list[Run]:
        """Return the runs of a session and a model whose prompts contain a text, in order of time.

        `originals` leaves out runs that only reused another, and forgotten ones.
        """
        return self.find(
            Query(
                session=session,
                search=search,
                model=model,
                limit=limit,
                newest_first=newest_first,
                originals=originals,
            )
        )

    def find_numbered(
        self, number: int, *, other_than: str | None = None, limit: int | None = None
    ) -> list[Run]:
        """Return the runs of that number, the newest first, without those of a session."""
        return self.find(Query(number=number, other_than=other_than, limit=limit))

    def find_identical(self, identity: str, *, limit: int | None = None) -> list[Run]:
        """Return the runs of the same request, the newest first; not those that only reused a run."""
        runs = self.find(Query(identity=identity, limit=limit))
        # Where locks do nothing an index may err, and a stranger's record may claim another identity.
        return [run for run in runs if run.identity == identity == compute_identity(run)]

    def find_same_question(self, question: str, *, limit: int | None = None) -> list[Run]:
        """Return the runs of the same request to any server, as `find_identical` does."""
        runs = self.find(Query(question=question, limit=limit))
        return [run for run in runs if compute_question(run) == question]

    def find(self, query: Query) -> list[Run]:
        """Return the runs that a query seeks: from the index, or from the record files where it fails."""
        self._disk.is_linked(self._records.folder)
        with self._disk.translate_errors():
            if not self._records.folder.is_dir():
                return []
            try:
                return self._find_indexed(query)
            except Unusable:
                return self._read_runs(query.select(self._read_entries()))

    # Between files and index

    @cached_property
    def _index(self) -> Index:
        from ipyimagegen.store.index import Index  # noqa: PLC0415 - imports sqlite3

        return Index(self.home / "index.sqlite", self._read_entries, self._wait)

    def _find_indexed(self, query: Query) -> list[Run]:
        self._catch_up()
        keys = self._index.find(query)
        runs = self._read_runs(keys)
        # A request that is not found may be paid for again.
        missed = query.identity is not None and all(run.identity != query.identity for run in runs)
        if self._check_index(now=missed):
            keys = self._index.find(query)
            runs = self._read_runs(keys)
        if len(runs) < len(keys):  # records were deleted, or damaged
            self._index.rebuild()
            runs = self._read_runs(self._index.find(query))
        return runs

    def _check_index(self, *, now: bool) -> bool:
        """Compare index and records, the first time and if `now`; return whether the index was repaired.

        It lacks records where locks do nothing, and holds those of another store when it was copied.
        """
        if self._checked and (not now or time.monotonic() < self._checked + CHECK_INTERVAL):
            return False
        self._checked = time.monotonic()
        known, existing = self._index.list_numbers(), self._records.list_numbers()
        lost = [
            (session, int(n)) for session in existing for n in existing[session] - known.get(session, set())
        ]
        if lost:  # a damaged record is among them each time
            self._index.add(lambda: self._read_entries(lost))
        sessions = _sample(existing.keys() & known.keys())
        both = [(session, int(n)) for session in sessions for n in existing[session] & known[session]]
        agrees = self._index.has(self._read_entries(_sample(both)))
        if not agrees:
            self._index.rebuild()
        return bool(lost) or not agrees

    def _index_record(self, key: Key) -> None:
        try:
            self._index.add(lambda: self._read_entries([key]))
        except (Unusable, StoreError):  # the record itself is on disk
            with suppress(StoreError):
                self._journal.add(key)
        else:
            self._journal.remove([key])

    def _catch_up(self) -> None:
        """Add records to the index that it may lack, and delete the files of forgotten records.

        Raises Unusable, and StoreError when a file cannot be read or deleted.
        """
        noted = self._journal.list_keys()
        with self._disk.translate_errors():
            existing = [key for key in noted if self._records.path(key).exists()]
        self._delete_noted(existing)
        if existing:
            self._index.add(lambda: self._read_entries(existing))
        self._journal.remove(key for key in noted if key in existing or self._journal.is_stale(key))

    def _read_entries(self, keys: Iterable[Key] | None = None) -> Iterator[Entry]:
        """Yield the index entries of these records, or of all."""
        return map(Entry.from_run, self._records.read_all(keys))

    def _read_runs(self, keys: Iterable[Key]) -> list[Run]:
        return list(self._records.read_all(keys))

    def _read_incomplete(self, key: Key) -> Run | None:
        """Return a run whose response is still needed, or None."""
        run = self._records.read(key)
        needed = run and (run.status is Status.PENDING or any(image.unstored for image in run.images))
        return run if needed else None

    def _delete_noted(self, keys: Iterable[Key]) -> list[Path]:
        """Delete what was noted with forgotten records; return the files that stay, as `_delete_unused`."""
        forgotten = [(run.session, run.number) for run in self._records.read_all(keys) if run.forgotten]
        return self._delete_unused({sha256 for key in forgotten for sha256 in self._journal.read_hashes(key)})

    def _delete_unused(self, hashes: set[str]) -> list[Path]:
        """Delete files that no record mentions; return those that are not the store's to delete."""
        stored = {sha256 for sha256 in hashes if self._blobs.path(sha256)}
        unused = stored - self._records.find_mentioned(stored)
        return [path for sha256 in unused for path in self._blobs.delete(sha256)]


def _sample(population: Collection[T]) -> list[T]:
    """Return some of them by chance, all of a few."""
    return random.sample(list(population), min(SAMPLE, len(population)))
