"""Runs that the index lost silently, and runs that were certainly not sent."""

import sqlite3
from contextlib import closing

from store_samples import SESSION, ids, run

from ipyimagegen.store import Store


def lose(store, number):
    """Remove a run from the index, as when two processes write where locks do nothing."""
    with closing(sqlite3.connect(store.home / "index.sqlite", isolation_level=None)) as connection:
        connection.execute("DELETE FROM runs WHERE number = ?", [number])


def test_a_run_that_the_index_lost_is_found_by_the_next_process(tmp_path):
    for number in (1, 2, 3):
        Store(tmp_path).create(run(number, f"fox {number}"))
    lose(Store(tmp_path), 2)
    assert ids(Store(tmp_path).runs()) == [f"{SESSION}/{number}" for number in (3, 2, 1)]


def test_a_request_that_the_index_lost_is_found_again(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("ipyimagegen.store.store.time.monotonic", lambda: now[0])
    store = Store(tmp_path)
    for number in (1, 2):
        store.create(run(number, f"fox {number}"))
    assert len(store.find_identical(run(2, "fox 2").identity)) == 1
    lose(store, 2)
    now[0] += 10  # the index is not checked at every search
    assert ids(store.find_identical(run(2, "fox 2").identity)) == [f"{SESSION}/2"]


def test_a_run_that_was_not_sent_is_withdrawn(tmp_path):
    store = Store(tmp_path)
    for number in (1, 2):
        store.create(run(number))
    store.withdraw(run(2))
    assert ids(store.runs()) == ids(Store(tmp_path).runs()) == [f"{SESSION}/1"]
    store.withdraw(run(2))
