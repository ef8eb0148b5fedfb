"""The steps of a day in the life of a home, and what must be true of it at any time."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from store_samples import run

from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.run import ImageRecord, Run, Status, from_json
from ipyimagegen.store import Store
from ipyimagegen.store.index import Entry, Query

SHARED, OWN, LATE, ODD = (b"\x89PNG\r\n\x1a\n" + name * 9 for name in (b"shared", b"own", b"late", b"odd"))
ODD = ODD[1:]  # no image: goes into quarantine
SESSION = "1120-aaaa"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def keep(store, data):
    return store.keep([data[:20], data[20:]], cap=9999)


def image(data, index=1):
    return ImageRecord(index=index, sha256=sha256(data), mime="image/png")


def pending(number, prompt="a red fox", **changes):
    return run(number, prompt, SESSION, **changes)


def done(number, *datas, prompt="a red fox"):
    images = tuple(image(data, k) for k, data in enumerate(datas, start=1))
    return pending(number, prompt, status=Status.DONE, images=images)


def spooled(store):
    path = store.spool()
    with suppress(OSError):
        path.unlink()


STEPS = {
    "session": lambda store: store.new_session(date(2025, 11, 20)),
    "probe": lambda store: store.probe(9),
    "create 1": lambda store: store.create(pending(1)),
    "spool": spooled,
    "keep shared": lambda store: keep(store, SHARED),
    "keep own": lambda store: keep(store, OWN),
    "keep odd": lambda store: keep(store, ODD),
    "done 1": lambda store: store.update(done(1, SHARED, OWN)),
    "create 2": lambda store: store.create(pending(2, "a cat")),
    "keep shared again": lambda store: keep(store, SHARED),
    "done 2": lambda store: store.update(done(2, SHARED, prompt="a cat")),
    "create 3": lambda store: store.create(pending(3)),
    "ask identity": lambda store: store.find_identical(run().identity),
    "ask": lambda store: (store.runs(search="fox"), store.runs(), store.verify(sha256(SHARED))),
    "forget 1": lambda store: store.forget([f"{SESSION}/1"]),
    "forget 3": lambda store: store.forget([f"{SESSION}/3"]),
    "keep late": lambda store: keep(store, LATE),
    "late 3": lambda store: store.update(done(3, LATE)),
}


@dataclass
class Log:
    """Which steps were begun, which succeeded, and the errors of the others."""

    begun: set = field(default_factory=set)
    went: set = field(default_factory=set)
    faults: dict = field(default_factory=dict)


def live(store, log=None, steps=tuple(STEPS)):
    """Take the steps in order; a failed step does not stop the next."""
    log = log or Log()
    for name in steps:
        if "done" in name and log.faults.keys() & {"keep shared", "keep own", "create 1", "create 2"}:
            continue  # nobody says so of what was not kept
        log.begun.add(name)
        try:
            STEPS[name](store)
        except StoreError as fault:
            log.faults[name] = str(fault)
        else:
            log.went.add(name)
    return log


def read_records(home):
    """Return every record of a home by its id; each must make sense."""
    runs = {}
    for path in Path(home, "records").glob("*/*"):
        assert path.suffix == ".json", path
        record = from_json(Run, json.loads(path.read_bytes()))
        assert (record.session, str(record.number)) == (path.parent.name, path.stem)
        runs[record.id] = record
    return runs


def check_files(home):
    """No half file has a final name; what is done has its files."""
    for path in [*Path(home, "images").glob("*/*"), *Path(home, "quarantine").glob("*")]:
        assert sha256(path.read_bytes()) == path.stem, path
    runs = read_records(home)
    store = Store(home)
    for record in runs.values():
        assert all(store.verify(p.sha256) for p in record.images if p.sha256), record.id
    return runs


def check_index(home):
    """A fresh store answers from the index what the files say."""
    runs = read_records(home)
    store = Store(home)
    if not store._records.folder.is_dir():
        return
    for query in (Query(), Query(search="fox"), Query(identity=run().identity)):
        keys = query.select(map(Entry.from_run, runs.values()))
        assert store._find_indexed(query) == [runs[f"{session}/{number}"] for session, number in keys], query


# What may be deleted by a step that was begun, whatever became of it.
KEEPS = {
    "keep odd": (ODD, set()),
    "keep own": (OWN, {"forget 1"}),
    "keep shared": (SHARED, {"forget 1"}),
    "keep shared again": (SHARED, {"forget 1"}),
    "keep late": (LATE, {"late 3"}),
}


def check_log(home, log):
    """What went through is there."""
    runs = check_files(home)
    store = Store(home)
    for name, (data, takes) in KEEPS.items():
        used = data is SHARED and "done 2" in log.went
        if name in log.went and (used or not log.begun & takes):
            assert store.verify(sha256(data)), name
    for number in (1, 2, 3):
        _check_run(runs.get(f"{SESSION}/{number}"), number, log)
    for last, data in {"forget 1": OWN, "late 3": LATE}.items():
        if {last, f"forget {last[-1]}", f"create {last[-1]}"} <= log.went and "done 1" in log.went:
            assert not store.path(sha256(data)), last


def _check_run(record, number, log):
    if f"create {number}" not in log.went:
        return
    assert record is not None, number
    if f"done {number}" in log.went:
        assert record.status is Status.DONE
    if f"forget {number}" in log.went:
        assert record.forgotten
        assert not record.images


def check_forgotten(home, log):
    """Whoever forgets again what failed has it forgotten with its files."""
    store = Store(home)
    store.forget([f"{SESSION}/1", f"{SESSION}/3"])
    assert "done 1" not in log.went or not store.path(sha256(OWN))
    runs = check_files(home)
    assert all(runs[record].forgotten for record in runs if record != f"{SESSION}/2")
    assert "done 2" not in log.went or store.verify(sha256(SHARED))
