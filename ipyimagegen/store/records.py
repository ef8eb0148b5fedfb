"""The record files: a run each, written whole, and read whatever they hold; and what is searched of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.messages import _
from ipyimagegen.core.options import Json
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import SCHEMA, ErrorInfo, ImageState, Run, from_json, to_json
from ipyimagegen.store.files import HASH, NUMBER, SESSION, Disk

Key = tuple[str, int]  # session and number

NUMBERS = 2**53  # the largest number of a run
YEAR_9999 = 253_370_764_800  # seconds since the epoch: no date can be written from here on
DEEPEST = 64  # lists and objects within each other; Python's own limit is near 1,000 calls
FORGOTTEN = "(forgotten)"  # in place of a text that a record must have
# What a record raises that a newer version or a stranger wrote.
INVALID = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)


class Records:
    """The record files of a store, in a folder for each session. Its methods raise OSError."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.folder = disk.home / "records"

    def path(self, key: Key) -> Path:
        """Return where the record of that session and number is, or would be."""
        return self.folder / key[0] / f"{key[1]}.json"

    def create(self, run: Run) -> None:
        """Write a new record; raises StoreError when its number is taken."""
        if not self.disk.put_exclusive(self.path((run.session, run.number)), _to_bytes(run)):
            raise StoreError(
                _("Run {run} is already in the history in {home}.", run=run.id, home=self.disk.home)
            )

    def update(self, run: Run) -> tuple[Run | None, Run]:
        """Replace a record; return what it was, if it could be read, and what was written.

        A forgotten record stays forgotten, and a stored image stays stored: two processes may read the same
        response, and only one process may succeed in a download. Raises StoreError when a newer version
        wrote the record.
        """
        key = (run.session, run.number)
        old = self.read(key)
        if old is not None:
            _check_schema(old)
            stored = {image.index: image for image in old.images if image.state is ImageState.STORED}
            images = tuple(
                stored.get(image.index, image) if image.state is ImageState.URL_PENDING else image
                for image in run.images
            )
            run = forget(run) if old.forgotten else run.replace(images=images)
        self.disk.put(self.path(key), _to_bytes(run), known=old is not None)
        return old, run

    def read(self, key: Key) -> Run | None:
        """Return the run, or None when there is no record or it is not valid.

        Raises OSError when that cannot be known: what is taken for absent is paid for again, or deleted.
        """
        data = self.disk.read(self.path(key))
        if data is None:
            return None
        try:
            value = json.loads(data, parse_constant=lambda _: None, parse_float=_to_finite)
            if data.count(b"[") + data.count(b"{") > DEEPEST:  # fewer cannot be nested as deeply
                value = _prune(value, DEEPEST)
            run = from_json(Run, value)
            sound = (run.session, run.number) == key and 0 <= run.created < YEAR_9999
        except INVALID:
            return None
        whole = isinstance(run.request, Request) and isinstance(run.sent, PreparedRequest)
        return run if sound and whole and run.number <= NUMBERS else None

    def list_numbers(self) -> dict[str, set[str]]:
        """Return the numbers of the record files, as text, by session; the files are not opened."""
        return {
            session: {
                stem
                for name in self.disk.list_names(self.folder / session)
                if name.endswith(".json") and NUMBER.fullmatch(stem := name[:-5])
            }
            for session in self.disk.list_names(self.folder)
            if SESSION.fullmatch(session)
        }

    def list_keys(self) -> Iterator[Key]:
        """Yield the key of every record file, in no order."""
        for session, numbers in self.list_numbers().items():
            yield from ((session, int(number)) for number in numbers)

    def read_all(self, keys: Iterable[Key] | None = None) -> Iterator[Run]:
        """Yield the runs of these keys, or of all in no order; what cannot be read is left out."""
        runs = map(self.read, self.list_keys() if keys is None else keys)
        return (run for run in runs if run is not None)

    def find_mentioned(self, hashes: set[str], without: Collection[Key] = ()) -> set[str]:
        """Return those of the hashes that any record mentions, whichever version wrote it.

        Records `without` do not count.
        """
        left = {sha256.encode() for sha256 in hashes}
        for key in self.list_keys() if left else ():
            if key in without:
                continue
            data = self.disk.read(self.path(key)) or b""
            left = {sha256 for sha256 in left if sha256 not in data}
        return hashes - {sha256.decode() for sha256 in left}


def parse_key(text: str) -> Key | None:
    """Return session and number of a lasting id such as 1120-k7f2/3, or None."""
    session, _slash, number = text.partition("/")
    valid = SESSION.fullmatch(session) and NUMBER.fullmatch(number)
    return (session, int(number)) if valid else None


def list_hashes(run: Run) -> set[str]:
    """Return the hashes of all files that a run uses."""
    request, sent = run.request, run.sent
    inputs = (*request.inputs, *sent.inputs, *(mask for mask in (request.mask, sent.mask) if mask))
    hashes = (*(image.sha256 for image in inputs), *(image.sha256 for image in run.images), run.raw)
    return {sha256 for sha256 in hashes if sha256 and HASH.fullmatch(sha256)}


def forget(run: Run) -> Run:
    """Return the run without anything that was requested or received; number, time and cost stay."""
    request = run.request
    return replace(
        run,
        identity=FORGOTTEN,
        request=Request(
            operation=request.operation,
            endpoint=request.endpoint,
            base_url=request.base_url,
            dialect=request.dialect,
            model=request.model,
            prompt=FORGOTTEN,
            options={"n": request.count} if request.count > 1 else {},  # still counts for the limits
        ),
        sent=PreparedRequest(model=run.sent.model, attempts=run.sent.attempts),
        images=(),
        response={},
        raw=None,
        mismatches=(),
        job=None,
        error=run.error and ErrorInfo(message=FORGOTTEN, code=run.error.code, status=run.error.status),
        forgotten=True,
    )


def _to_bytes(run: Run) -> bytes:
    _check_schema(run)
    return json.dumps(to_json(run), indent=1).encode()  # ASCII, so lone surrogates survive


def _check_schema(run: Run) -> None:
    if run.schema > SCHEMA:
        raise StoreError(
            _("Run {run} was written by a newer version of ipyimagegen: not changed.", run=run.id)
        )


def _to_finite(text: str) -> float | None:
    """Return the number, or None for what is infinite."""
    number = float(text)
    return number if math.isfinite(number) else None


def _prune(value: Json, levels: int) -> Json:
    """Return the value with None in place of what is nested more deeply."""
    if not isinstance(value, (dict, list)):
        return value
    if not levels:
        return None
    if isinstance(value, list):
        return [_prune(member, levels - 1) for member in value]
    return {name: _prune(member, levels - 1) for name, member in value.items()}
