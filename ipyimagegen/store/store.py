"""The store: what may be asked of it, and in which order things are written."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.run import SCHEMA, Run, Status
from ipyimagegen.store.backlog import Journal
from ipyimagegen.store.disk import Disk
from ipyimagegen.store.entries import Entry, Query, Unusable, identity_of, question_of
from ipyimagegen.store.images import Images, StoredBlob
from ipyimagegen.store.ownership import is_own_file
from ipyimagegen.store.records import Key, Records, forgotten, hashes, parse

if TYPE_CHECKING:
    from ipyimagegen.store.index import Index


T = TypeVar("T")
COUNTED = 5.0  # seconds for which the index is taken to be whole, once it was
SAMPLE = 4  # records that are compared with the index then: in one that was copied here all differ


class Store:
    """Runs and images in the folder `home`, which is not touched before it is needed.

    `wait` is how long another process may hold the index, in seconds, before the files are read in its
    place; `disk` holds the calls that write. Any thread and process may call any method. What cannot
    be written raises StoreError; a failing index never does.
    """

    def __init__(self, home: Path, *, wait: float = 10.0, disk: Disk | None = None) -> None:
        self._disk = disk or Disk(home)
        self.home = self._disk.home
        self._wait = wait
        self._counted = 0.0  # when records and index were last compared
        self._records = Records(self._disk)
        self._images = Images(self._disk)
        self._backlog = Journal(self._disk)

    def __repr__(self) -> str:
        return f"Store({str(self.home)!r})"

    def probe(self, need: int = 0) -> None:
        """Raise StoreError unless `need` bytes can be stored: to be called before anything is paid."""
        self._disk.probe(need)

    def is_private(self) -> bool:
        """Return whether our index is closed to other users: it is not where the file system has no modes."""
        from ipyimagegen.store.indexfile import state_of  # noqa: PLC0415 - brings sqlite3

        path = self.home / "index.sqlite"
        with suppress(OSError):
            info = path.lstat()
            opened = os.name != "nt" and is_own_file(info) and bool(info.st_mode & 0o077)
            return not (opened and state_of(path) == "ours")
        return True

    def new_session(self, today: date) -> str:
        """Take a session that nobody has, such as 1120-k7f2: month, day and four letters or digits."""
        return self._records.new_session(today)

    # Writing

    def create(self, run: Run) -> None:
        """Write the record of a new run; raises StoreError when its number is taken."""
        key = run.session, run.number
        self._backlog.add(key)
        self._records.create(run)
        self._enter(key)

    def update(self, run: Run) -> None:
        """Replace the record of a run; raises StoreError when a newer version wrote it."""
        old, written = self._records.update(run)
        if written.forgotten:  # somebody forgot it while it was under way
            self._release(hashes(run))
        if old is None or Entry.of(old) != Entry.of(written):  # no status in it
            self._enter((run.session, run.number))

    def withdraw(self, run: Run) -> None:
        """Delete the record of a run that was not sent, and cannot be updated: pending would be doubt."""
        self._records.remove((run.session, run.number))

    def keep(
        self,
        chunks: Iterable[bytes],
        *,
        cap: int,
        suffix_of: Callable[[bytes], str | None],
        aside: bool = False,
        clean: Callable[[Path], bool] = lambda _: False,
    ) -> StoredBlob:
        """Stream bytes into a file that is named by their hash; the same bytes are stored once.

        `suffix_of` gets the first 64 bytes (or less) and returns a suffix such as `.png`; None puts
        the file into quarantine, as `.bin`. `aside` keeps it in the refuge, for a day. `clean` may change
        the file in place before it is named, and returns whether it did. Raises
        StoreError when there are more than `cap` bytes or the disk fails, and whatever `chunks`
        raises; then nothing is left.
        """
        return self._images.keep(chunks, cap, suffix_of, aside=aside, told=self._backlog.keep, clean=clean)

    def spool(self, run: Run | None = None) -> Path:
        """Return a path of its own for bytes on their way, deleting what has lain there for a day.

        Named after the run whose reply it will be; `left` finds it should nobody live to read it.
        """
        return self._images.spool(
            (run.session, run.number) if run else None, lambda key: bool(self._left(key))
        )

    def spare(self, run: Run) -> Path | None:
        """Return a path in the refuge where the reply to a run may go on, if the home takes no more of it."""
        return self._images.spare((run.session, run.number))

    def left(self) -> list[tuple[Path, Run]]:
        """Return the replies in the spool of which the store does not have everything yet, and their runs.

        Such a call is under way, or its process was killed, or the disk took no more.
        """
        return [(path, run) for path, key in self._images.replies() if (run := self._left(key))]

    def _left(self, key: Key) -> Run | None:
        run = self._records.read(key)
        unstored = run and any(image.unstored for image in run.images)
        return run if run and (run.status is Status.PENDING or unstored) else None

    def claim(self, spool: Path) -> bool:
        """Mark a response in the spool as being read; return False where another reader has begun.

        The mark of a reader that died stays: what ended one process is not read again unasked.
        """
        return self._images.claim(spool)

    def release(self, spool: Path) -> None:
        """Take that mark away."""
        self._images.release(spool)

    def forget(self, ids: Iterable[str]) -> int:
        """Delete prompt, inputs and images of these runs, and return how many had any.

        Number, time and cost stay, and so do files that another run mentions. A record that only
        reused one of them is forgotten with it. Raises StoreError when a newer version wrote one of
        them; then none is forgotten. Raises StoreError that names files which are not the store's to
        delete; then all are forgotten.
        """
        named = set(ids)
        runs = [
            run
            for run in self._records.runs()
            if not named.isdisjoint({run.id, run.reused_from}) and not run.forgotten
        ]
        newer = [run.id for run in runs if run.schema > SCHEMA]
        if newer:
            raise StoreError(f"A newer version of ipyimagegen wrote {', '.join(newer)}: nothing forgotten.")
        staying = []
        for run in runs:
            self._backlog.add((run.session, run.number), hashes(run))
            self._records.update(forgotten(run))
            staying += self._images.drop_replies((run.session, run.number))
        staying += self._release_noted((run.session, run.number) for run in runs)
        with suppress(Unusable):
            self._catch_up()
            self._index.tidy()
        if staying:
            raise StoreError(
                f"Forgotten, but {', '.join(map(str, staying))} cannot be deleted: another user's, "
                "or behind a link. Delete such files yourself."
            )
        return len(runs)

    # Reading

    def path(self, sha256: str) -> Path | None:
        """Return where the bytes with that hash are, also in quarantine, or None."""
        return self._images.path(sha256)

    def verify(self, sha256: str) -> bool:
        """Say whether the stored bytes still have that hash."""
        return self._images.verify(sha256)

    def run(self, id_: str) -> Run | None:
        """Return the run of a lasting id such as 1120-k7f2/3, or None."""
        key = parse(id_)
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

        `originals` leaves out those that only reused another, and forgotten ones.
        """
        return self._found(
            Query(
                session=session,
                search=search,
                model=model,
                limit=limit,
                newest_first=newest_first,
                originals=originals,
            )
        )

    def numbered(self, number: int, *, other_than: str | None = None, limit: int | None = None) -> list[Run]:
        """Return the runs of that number, the newest first, without those of one session."""
        return self._found(Query(number=number, other_than=other_than, limit=limit))

    def with_identity(self, identity: str, *, limit: int | None = None) -> list[Run]:
        """Return the runs that asked for just this, the newest first; not those that only reused one."""
        found = self._found(Query(identity=identity, limit=limit))
        # Where locks do nothing an index may err, and a record of a stranger may lie.
        return [run for run in found if run.identity == identity == identity_of(run)]

    def with_question(self, question: str, *, limit: int | None = None) -> list[Run]:
        """Return the runs that asked for this, of whatever server, as `with_identity` does."""
        found = self._found(Query(question=question, limit=limit))
        return [run for run in found if question_of(run) == question]

    # Between files and index

    @cached_property
    def _index(self) -> Index:
        from ipyimagegen.store.index import Index  # noqa: PLC0415 - brings sqlite3

        return Index(self.home / "index.sqlite", self._everything, self._wait)

    def _everything(self) -> Iterator[Entry]:
        return map(Entry.of, self._records.runs())

    def _found(self, query: Query) -> list[Run]:
        self._disk.is_linked(self._records.folder)
        with self._disk.told():
            if not self._records.folder.is_dir():
                return []
            try:
                return self._looked_up(query)
            except Unusable:
                return self._read(query.order(self._everything()))

    def _looked_up(self, query: Query) -> list[Run]:
        self._catch_up()
        keys = self._index.find(query)
        runs = self._read(keys)
        # What is not found may be paid for again.
        unfound = query.identity is not None and all(run.identity != query.identity for run in runs)
        if self._mended(now=unfound):
            keys = self._index.find(query)
            runs = self._read(keys)
        if len(runs) < len(keys):  # records were deleted, or damaged
            self._index.rebuild()
            runs = self._read(self._index.find(query))
        return runs

    def _mended(self, *, now: bool) -> bool:
        """Compare index and records, at first and if `now`; return whether the index had to be mended.

        It lacks records where locks do nothing, and knows those of another store when it was copied.
        """
        if self._counted and (not now or time.monotonic() < self._counted + COUNTED):
            return False
        self._counted = time.monotonic()
        known, there = self._index.numbers(), self._records.numbers()
        lost = [(session, int(n)) for session in there for n in there[session] - known.get(session, set())]
        if lost:  # a damaged record is among them each time
            self._index.add(lambda: self._entries(lost))
        sessions = _sample(there.keys() & known.keys())
        both = [(session, int(n)) for session in sessions for n in there[session] & known[session]]
        agrees = self._index.agrees(self._entries(_sample(both)))
        if not agrees:
            self._index.rebuild()
        return bool(lost) or not agrees

    def _read(self, keys: Iterable[Key]) -> list[Run]:
        return [run for run in map(self._records.read, keys) if run is not None]

    def _enter(self, key: Key) -> None:
        try:
            self._index.add(lambda: self._entries([key]))
        except (Unusable, StoreError):  # the record itself is on disk
            with suppress(StoreError):
                self._backlog.add(key)
        else:
            self._backlog.done([key])

    def _catch_up(self) -> None:
        """Bring records into the index that it may not have, and delete what was forgotten with them.

        Raises Unusable, and StoreError when a file cannot be read or deleted.
        """
        noted = self._backlog.keys()
        with self._disk.told():
            there = [key for key in noted if self._records.path(key).exists()]
        self._release_noted(there)
        if there:
            self._index.add(lambda: self._entries(there))
        self._backlog.done(key for key in noted if key in there or self._backlog.stale(key))

    def _entries(self, keys: Iterable[Key]) -> Iterator[Entry]:
        return (Entry.of(run) for run in map(self._records.read, keys) if run is not None)

    def _gone(self, key: Key) -> bool:
        run = self._records.read(key)
        return run is not None and run.forgotten

    def _release_noted(self, keys: Iterable[Key]) -> list[Path]:
        """Delete what was noted with forgotten records; return the files that stay, as `_release`."""
        return self._release({one for key in keys if self._gone(key) for one in self._backlog.files(key)})

    def _release(self, files: set[str]) -> list[Path]:
        """Delete files that no record mentions; return those that are not the store's to delete."""
        left = {one for one in files if self._images.path(one)}
        unused = left - self._records.mentioned(left)
        return [path for sha256 in unused for path in self._images.remove(sha256)]


def _sample(population: Collection[T]) -> list[T]:
    """Return some of them by chance, all of a few."""
    return random.sample(list(population), min(SAMPLE, len(population)))
