"""The store: its operations on runs, and the order in which files are written."""

from __future__ import annotations

import random
import shutil
import string
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.messages import _
from ipyimagegen.core.run import SCHEMA, Run
from ipyimagegen.core.text import list_some
from ipyimagegen.store.blobs import BlobStore, find_run_key, raises_store_error
from ipyimagegen.store.files import MARGIN, Disk
from ipyimagegen.store.index import Charge, Entry, Index, Query, Unusable, compute_hash
from ipyimagegen.store.records import Key, forget, list_hashes, parse_key

T = TypeVar("T")


@dataclass(frozen=True)
class Deletion:
    """What forgetting deletes: the prompts of these runs, and files that no other run uses."""

    runs: tuple[Run, ...]
    files: int
    bytes: int


CHECK_INTERVAL = 5.0  # seconds for which the index is taken to be complete after a check
SAMPLE = 4  # records that a check compares with the index: all differ where another store was copied here
_LETTERS = string.ascii_lowercase + string.digits
_RANDOM = random.SystemRandom()


class Store(BlobStore):
    """Runs and images in the folder `home`, which is not touched before it is needed.

    `wait` is how long another process may hold the index, in seconds, before the record files are read in
    its place; `disk` holds the system calls that write. Any thread and process may call any method. What
    cannot be written raises StoreError; a failing index never does.
    """

    def __init__(self, home: Path, *, wait: float = 10.0, disk: Disk | None = None) -> None:
        super().__init__(disk or Disk(home))
        self._wait = wait
        self._checked = 0.0  # when records and index were last compared

    def __repr__(self) -> str:
        return f"Store({str(self.home)!r})"

    @raises_store_error
    def probe(self, need: int = 0) -> None:
        """Raise StoreError unless `need` bytes can be stored: call it before anything is paid for."""
        self.disk.check_folders(close=True)
        with self.disk.create_part() as (file, part):
            self.disk.append(file, b"probe")
        part.unlink()
        free = shutil.disk_usage(self.home).free
        if free < need + MARGIN:
            raise StoreError(
                _(
                    "The history in {home} has no room: {free} MiB are free, {need} MiB are needed.\n"
                    "Free some space there, or set IPYIMAGEGEN_HOME to another folder.",
                    home=self.home,
                    free=f"{free >> 20:,}",
                    need=f"{need + MARGIN >> 20:,}",
                )
            )

    def is_private(self) -> bool:
        """Return whether other users cannot read the index; they can where the file system has no modes."""
        return self._index.is_private()

    @raises_store_error
    def new_session(self, today: date) -> str:
        """Create a session and return its name, such as 1120-k7f2: month, day, four letters or digits."""
        folder = self._records.folder
        self.disk.make_folder(folder)
        while True:
            name = f"{today:%m%d}-{''.join(_RANDOM.choices(_LETTERS, k=4))}"
            with suppress(FileExistsError):
                (folder / name).mkdir(mode=0o700)
                self.disk.fsync_dir(folder)
                return name

    # Writing

    @raises_store_error
    def create(self, run: Run) -> None:
        """Write the record of a new run; raises StoreError when its number is taken."""
        key = run.session, run.number
        self._journal.add(key)
        self._records.create(run)
        self._index_record(key)

    @raises_store_error
    def update(self, run: Run) -> None:
        """Replace the record of a run; raises StoreError when a newer version wrote it."""
        key = run.session, run.number
        noted = False
        with suppress(OSError):  # a note protects only what the index says of the cost, and that from a kill
            noted = self._journal.add(key)
        old, written = self._records.update(run)
        if written.forgotten:  # forgotten while it was in flight
            self._delete_unused(list_hashes(run))
        elif old and old.raw and old.raw != written.raw:  # the answer to a job has taken its place
            self._delete_unused({old.raw})
        if old is None or Entry.from_run(old) != Entry.from_run(written):
            self._index_record(key)
        elif noted:
            self._journal.remove([key])

    def withdraw(self, run: Run) -> None:
        """Delete the record of a run that was not sent and cannot be updated: pending means unknown."""
        with suppress(OSError):
            self.disk.delete(self._records.path((run.session, run.number)))

    @raises_store_error
    def preview_forget(self, ids: Iterable[str]) -> Deletion:
        """Return what `forget` would delete. It reads every record: any of them may use the same files."""
        runs = self._select_to_forget(ids)
        without = {(run.session, run.number) for run in runs}
        files = self._find_unused({sha256 for run in runs for sha256 in list_hashes(run)}, without)
        return Deletion(tuple(runs), len(files), sum(path.stat().st_size for _disk, path in files))

    def _select_to_forget(self, ids: Iterable[str]) -> list[Run]:
        """Return the runs of these ids, and the records that only reused them, unless already forgotten."""
        named = set(ids)
        return [
            run
            for run in self._records.read_all()
            if not named.isdisjoint({run.id, run.reused_from}) and not run.forgotten
        ]

    @raises_store_error
    def forget(self, ids: Iterable[str]) -> int:
        """Delete prompt, inputs and images of these runs, and return how many had any.

        Number, time and cost stay, and so do files that another run mentions. A record that only reused
        one of the runs is forgotten with it. Raises StoreError when a newer version wrote any of them; then
        none is forgotten. Raises StoreError that names files which are not the store's to delete; then all
        are forgotten.
        """
        runs = self._select_to_forget(ids)
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
            responses = [(disk, path) for disk, path in self._list_spooled() if find_run_key(path) == key]
            staying += [path for disk, path in responses if not disk.delete(path)]
        staying += self._delete_noted((run.session, run.number) for run in runs)
        with suppress(Unusable):
            self._catch_up(self._journal.list_keys())
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

    @raises_store_error
    def run(self, id_: str) -> Run | None:
        """Return the run of a lasting id such as 1120-k7f2/3, or None."""
        key = parse_key(id_)
        return None if key is None else self._records.read(key)

    def runs(self, **sought: Any) -> list[Run]:
        """Return the runs sought, the newest first; the members of a `Query` say which."""
        return self.find(Query(**sought))

    def find_identical(self, identity: str) -> list[Run]:
        """Return the runs of the same request, the newest first; not those that only reused a run."""
        runs = self.find(Query(identity=identity))
        # Where locks do nothing an index may err, and a stranger's record may claim another identity.
        return [run for run in runs if run.identity == identity == compute_hash(run, "identity")]

    def find_same_question(self, question: str) -> list[Run]:
        """Return the runs of the same request to any server, as `find_identical` does."""
        runs = self.find(Query(question=question))
        return [run for run in runs if compute_hash(run, "question") == question]

    @raises_store_error
    def find(self, query: Query) -> list[Run]:
        """Return the runs that a query seeks: from the index, or from the record files where it fails."""
        return self._ask(
            [],
            lambda: self._find_indexed(query),
            lambda: list(self._records.read_all(query.select(self._read_entries()))),
        )

    @raises_store_error
    def count(self, query: Query) -> int:
        """Return how many runs a query seeks, whatever its limit."""
        return self._ask(
            0,
            lambda: self._refreshed_index.count(query),
            lambda: sum(map(query.matches, self._read_entries())),
        )

    @raises_store_error
    def list_charges(self, query: Query) -> Counter[Charge]:
        """Return what the runs sought add to the spending, and how many add the same."""
        return self._ask(
            Counter(),
            lambda: self._refreshed_index.list_charges(query),
            lambda: Counter(entry.charge for entry in self._read_entries() if query.matches(entry)),
        )

    def _ask(self, nothing: T, index: Callable[[], T], records: Callable[[], T]) -> T:
        """Return an answer of the index, of the records where it fails, or `nothing` in an empty store."""
        self.disk.is_linked(self._records.folder)
        if not self._records.folder.is_dir():
            return nothing
        try:
            return index()
        except Unusable:
            return records()

    # Between files and index

    @cached_property
    def _index(self) -> Index:
        return Index(self.home / "index.sqlite", self._read_entries, self._wait)

    @property
    def _refreshed_index(self) -> Index:
        """The index with the records that it may lack. Raises Unusable."""
        if noted := self._journal.list_keys():
            self._catch_up(noted)
        if not self._checked:
            self._repair_index()
        return self._index

    def _find_indexed(self, query: Query) -> list[Run]:
        if noted := self._journal.list_keys():
            self._catch_up(noted)
        keys = self._index.find(query)
        runs = list(self._records.read_all(keys))
        # A request that is not found may be paid for again.
        missed = query.identity is not None and all(run.identity != query.identity for run in runs)
        due = not self._checked or (missed and time.monotonic() >= self._checked + CHECK_INTERVAL)
        if due and self._repair_index():
            keys = self._index.find(query)
            runs = list(self._records.read_all(keys))
        if len(runs) < len(keys):  # records were deleted, or damaged
            self._index.rebuild()
            runs = list(self._records.read_all(self._index.find(query)))
        return runs

    def _repair_index(self) -> bool:
        """Compare index and records, and return whether the index had to be repaired.

        It lacks records where locks do nothing, and holds those of another store when it was copied.
        """
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
        except (Unusable, OSError):  # the record itself is on disk
            with suppress(OSError):
                self._journal.add(key)
        else:
            self._journal.remove([key])

    def _catch_up(self, noted: Iterable[Key]) -> None:
        """Add records to the index that it may lack, and delete the files of forgotten records.

        Raises Unusable, and OSError when a file cannot be read or deleted.
        """
        existing = [key for key in noted if self._records.path(key).exists()]
        self._delete_noted(existing)
        if existing:
            self._index.add(lambda: self._read_entries(existing))
        self._journal.remove(key for key in noted if key in existing or self._journal.is_stale(key))

    def _read_entries(self, keys: Iterable[Key] | None = None) -> Iterator[Entry]:
        """Yield the index entries of these records, or of all."""
        return map(Entry.from_run, self._records.read_all(keys))

    def _delete_noted(self, keys: Iterable[Key]) -> list[Path]:
        """Delete what was noted with forgotten records; return the files that stay, as `_delete_unused`."""
        forgotten = [(run.session, run.number) for run in self._records.read_all(keys) if run.forgotten]
        return self._delete_unused({sha256 for key in forgotten for sha256 in self._journal.read_hashes(key)})

    def _delete_unused(self, hashes: set[str]) -> list[Path]:
        """Delete files that no record mentions; return those that are not the store's to delete."""
        return [path for disk, path in self._find_unused(hashes) if not disk.delete(path)]

    def _find_unused(self, hashes: set[str], without: Collection[Key] = ()) -> list[tuple[Disk, Path]]:
        """Return the files with these hashes that no record mentions; records `without` do not count."""
        stored = {sha256 for sha256 in hashes if self.path(sha256)}
        unused = stored - self._records.find_mentioned(stored, without)
        return [file for sha256 in unused for file in self._find_files(sha256)]


def _sample(population: Collection[T]) -> list[T]:
    """Return some of them by chance, all of a few."""
    return random.sample(list(population), min(SAMPLE, len(population)))
