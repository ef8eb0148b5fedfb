"""Clocks that jump, file times of whole seconds, and a power cut: the store survives all of them."""

import os
import time
from pathlib import Path

import pytest
from failing import Calls
from store_samples import run
from store_story import SESSION, STEPS, Log, check_forgotten, check_index, check_log, live, pending

from ipyimagegen.store import Store

HOUR = 3600


@pytest.fixture
def jump(monkeypatch):
    """Return a function that moves the clock by so many seconds from now on."""
    real, off = time.time, [0]
    monkeypatch.setattr(time, "time", lambda: real() + off[0])

    def move(seconds):
        off[0] += seconds

    return move


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_clock_that_jumps_at_any_step(quick, jump, seconds):
    for at in STEPS:
        home, steps = quick / at.replace(" ", "-"), Log()
        for name in STEPS:
            if name == at:
                jump(seconds)
            live(Store(home), steps, [name])
            for path in home.rglob("*"):  # as a file system of whole seconds has it
                os.utime(path, (int(path.stat().st_mtime),) * 2)
            Store(home).list_responses()
        jump(-seconds)
        assert steps.faults == {}
        assert steps.went == set(STEPS)
        check_log(home, steps)
        check_index(home)
        check_forgotten(home, steps)


def test_a_note_outlives_a_clock_that_jumps(quick, jump):
    """Another process reads after the jump, and the writer dies before the index has its record."""
    store, key = Store(quick), (SESSION, 1)
    store.create(pending(2))
    store._journal.add(key)
    jump(HOUR + 60)
    assert len(Store(quick).runs()) == 1
    store._records.create(pending(1))
    assert len(Store(quick).find_identical(run().identity)) == 2


def test_every_name_is_on_the_disk_before_its_step_is_over(quick):
    """After a power cut a file is there if its bytes were synced, and its folder after it got its name."""
    with Calls(quick) as calls:
        store = Store(quick / "home", disk=calls.disk())
        for name in STEPS:
            before = len(calls.log)
            live(store, steps=[name])
            _check_synced(calls.log[before:])


def _check_synced(log):
    named = {"link", "replace", "mkdir"}
    for at, (kind, path, source) in enumerate(log):
        if kind in named and "index" not in path and "unindexed" not in path:
            assert ("settle", str(Path(path).parent)) in [entry[:2] for entry in log[at:]], (kind, path)
        if kind in {"link", "replace"} and "index" not in path:
            assert ("fsync", source) in [entry[:2] for entry in log[:at]], (kind, path)
