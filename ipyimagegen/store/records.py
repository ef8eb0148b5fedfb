"""Runs as files, one each, written whole and read whatever they are."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import SCHEMA, ErrorInfo, ImageState, Run, from_json, to_json
from ipyimagegen.store.disk import Disk
from ipyimagegen.store.layout import HASH, NUMBER, SESSION
from ipyimagegen.store.parsing import parse_json

Key = tuple[str, int]  # session and number

NUMBERS = 2**53  # the largest number of a run
YEAR_9999 = 253_370_764_800  # seconds since the epoch: no date can be written from here on
FORGOTTEN = "(forgotten)"  # in place of a text that a record must have
_LETTERS = string.ascii_lowercase + string.digits
_DRAW = random.SystemRandom()


@dataclass(frozen=True)
class Records:
    """The record files of a store."""

    disk: Disk

    @property
    def folder(self) -> Path:
        """The folder of all sessions."""
        return self.disk.home / "records"

    def new_session(self, today: date) -> str:
        """Take a session of that day that nobody has: month, day and four letters or digits."""
        self.disk.make(self.folder)
        while True:
            name = f"{today:%m%d}-{''.join(_DRAW.choices(_LETTERS, k=4))}"
            with self.disk.told(), suppress(FileExistsError):
                (self.folder / name).mkdir(mode=0o700)
                self.disk.settle(self.folder)
                return name

    def path(self, key: Key) -> Path:
        """Return where the record of that session and number is, or would be."""
        return self.folder / key[0] / f"{key[1]}.json"

    def create(self, run: Run) -> None:
        """Write a record whose number is free; raises StoreError when it is not."""
        if not self.disk.put_new(self.path((run.session, run.number)), _dumped(run)):
            raise StoreError(f"Run {run.id} is already in the history in {self.disk.home}.")

    def update(self, run: Run) -> tuple[Run | None, Run]:
        """Replace a record; return what it was, if it could be read, and what was written.

        One that is forgotten stays forgotten, and an image that is stored stays stored: two processes
        may take in the same reply, and one of them fetch what the other could not. Raises StoreError
        when a newer version wrote it.
        """
        key = (run.session, run.number)
        old = self.read(key)
        if old is not None and old.schema > SCHEMA:
            raise StoreError(f"Run {run.id} was written by a newer version of ipyimagegen: left as it is.")
        if old is not None:
            run = forgotten(run) if old.forgotten else _still_stored(old, run)
        self.disk.put(self.path(key), _dumped(run), known=old is not None)
        return old, run

    def remove(self, key: Key) -> None:
        """Delete a record, if the disk lets us."""
        with suppress(StoreError):
            self.disk.delete(self.path(key))

    def read(self, key: Key) -> Run | None:
        """Return the run, or None when there is no record or it makes no sense.

        Raises StoreError when nobody can tell: what is taken for absent is paid for again, or deleted.
        """
        data = self.disk.read(self.path(key))
        try:
            run = from_json(Run, parse_json(data or b""))
            sound = (run.session, run.number) == key and 0 <= run.created < YEAR_9999
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
            return None
        whole = isinstance(run.request, Request) and isinstance(run.sent, PreparedRequest)
        return run if sound and whole and run.number <= NUMBERS else None

    def numbers(self) -> dict[str, set[str]]:
        """Return the numbers of the record files, as text, by session, without looking into them."""
        return {
            folder.name: {
                stem
                for name in self.disk.names(folder)
                if name.endswith(".json") and NUMBER.fullmatch(stem := name[:-5])
            }
            for folder in self.disk.listed(self.folder)
            if SESSION.fullmatch(folder.name)
        }

    def keys(self) -> Iterator[Key]:
        """Yield session and number of every record file, in no order."""
        for session, numbers in self.numbers().items():
            yield from ((session, int(number)) for number in numbers)

    def runs(self) -> Iterator[Run]:
        """Yield every run that can be read, in no order."""
        for key in self.keys():
            run = self.read(key)
            if run is not None:
                yield run

    def mentioned(self, hashes: set[str]) -> set[str]:
        """Return those of the hashes that some record mentions; any version's records count."""
        left = {one.encode() for one in hashes}
        for key in self.keys() if left else ():
            data = self.disk.read(self.path(key)) or b""
            left = {one for one in left if one not in data}
        return hashes - {one.decode() for one in left}


def _still_stored(old: Run, run: Run) -> Run:
    stored = {one.index: one for one in old.images if one.state is ImageState.STORED}
    pending = ImageState.URL_PENDING
    kept = (stored.get(one.index, one) if one.state is pending else one for one in run.images)
    return run.replace(images=tuple(kept))


def parse(text: str) -> Key | None:
    """Return session and number of a lasting id such as 1120-k7f2/3, or None."""
    session, _, number = text.partition("/")
    known = SESSION.fullmatch(session) and NUMBER.fullmatch(number)
    return (session, int(number)) if known else None


def hashes(run: Run) -> set[str]:
    """Return the hashes of all files that a run uses."""
    asked, sent = run.request, run.sent
    inputs = (*asked.inputs, *sent.inputs, *(one for one in (asked.mask, sent.mask) if one))
    kept = [*(one.sha256 for one in inputs), *(one.sha256 for one in run.images), run.raw]
    return {sha256 for sha256 in kept if sha256 and HASH.fullmatch(sha256)}


def forgotten(run: Run) -> Run:
    """Return the run without anything that was asked or came back; number, time and cost stay."""
    asked = run.request
    return replace(
        run,
        identity=FORGOTTEN,
        request=Request(
            operation=asked.operation,
            endpoint=asked.endpoint,
            base_url=asked.base_url,
            dialect=asked.dialect,
            model=asked.model,
            prompt=FORGOTTEN,
            options={"n": asked.count} if asked.count > 1 else {},  # what was asked for goes on to count
        ),
        sent=PreparedRequest(model=run.sent.model, attempts=run.sent.attempts),
        images=(),
        response={},
        raw=None,
        mismatches=(),
        error=run.error and ErrorInfo(message=FORGOTTEN, code=run.error.code, status=run.error.status),
        forgotten=True,
    )


def _dumped(run: Run) -> bytes:
    if run.schema > SCHEMA:
        raise StoreError(f"Run {run.id} was written by a newer version of ipyimagegen: left as it is.")
    return json.dumps(to_json(run), indent=1).encode()  # ASCII, so lone surrogates survive
