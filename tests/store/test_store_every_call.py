"""Every call of the file system and of SQLite fails once, or is the last of its process."""

import errno
import itertools
import os
import sqlite3
from contextlib import suppress

import pytest
from failing import ANSWERS, Calls, Death, dies, fails, raises, sqlite_fails
from store_story import Log, check_forgotten, check_index, check_log, live

from ipyimagegen.store import Store


def every_time(quick, fate, first=1):
    """Yield a home and its log for each call that meets its fate, until no call does."""
    for nth in itertools.count(first):
        home = quick / str(nth)
        log = Log()
        with Calls(home, nth, fate) as calls:
            store = Store(home, wait=0.2, disk=calls.disk())
            with suppress(Death, KeyboardInterrupt):
                live(store, log)
        if calls.met is None:
            assert nth > 20
            return
        yield home, log, calls


def spool(home):
    return [str(path) for path in home.glob("spool/*")]


@pytest.mark.parametrize("code", ANSWERS, ids=errno.errorcode.get)
def test_a_call_that_fails_is_reported_and_leaves_nothing_half(quick, code):
    for home, log, calls in every_time(quick, fails(code)):
        words = [os.strerror(code), str(home), "IPYIMAGEGEN_HOME"]
        where = (calls.nth, calls.met, log.faults)
        assert all(word in fault for fault in log.faults.values() for word in words), where
        assert len(log.faults) <= 1, where
        check_log(home, log)
        check_index(home)
        check_forgotten(home, log)
        assert calls.met == "unlink" or not spool(home), where


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_disk_that_fails_from_some_call_on_leaves_nothing_half(quick, code):
    for home, log, calls in every_time(quick, fails(code, lasts=True)):
        check_log(home, log)
        check_index(home)
        check_forgotten(home, log)
        assert code != errno.ENOSPC or not spool(home), calls.nth


SQLITE = ["FULL", "IOERR", "IOERR_FSYNC", "BUSY", "LOCKED", "READONLY", "CANTOPEN", "CORRUPT", "NOTADB"]
SQLITE += ["PROTOCOL", "ERROR"]


@pytest.mark.parametrize("name", SQLITE)
def test_no_error_of_sqlite_is_reported(quick, name):
    fate = sqlite_fails(getattr(sqlite3, f"SQLITE_{name}"))
    for home, log, _ in every_time(quick, fate):
        assert log.faults == {}, home
        check_log(home, log)
        check_index(home)


def test_a_process_that_dies_at_any_call_leaves_what_it_reported(quick):
    for home, log, _ in every_time(quick, dies()):
        assert log.faults == {}
        check_log(home, log)
        check_index(home)
        check_forgotten(home, log)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interrupt_at_any_call_leaves_what_it_reported(quick, after):
    for home, log, _ in every_time(quick, raises(KeyboardInterrupt, after=after)):
        check_log(home, log)
        check_index(home)
