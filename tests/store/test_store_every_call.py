"""Whichever call of the file system or of SQLite fails, or is the last of its process: all of them."""

import errno
import itertools
import os
import sqlite3
from contextlib import suppress

import pytest
from failing import ANSWERS, Calls, Death, dies, fails, raises, sqlite_fails
from store_story import Told, check_forgotten, check_index, check_told, live

from ipyimagegen.store import Store


def every_time(quick, fate, first=1):
    """Yield a home and what was told of it, for each call that meets its fate, until none does."""
    for nth in itertools.count(first):
        home = quick / str(nth)
        told = Told()
        with Calls(home, nth, fate) as calls:
            store = Store(home, wait=0.2, disk=calls.disk())
            with suppress(Death, KeyboardInterrupt):
                live(store, told)
        if calls.met is None:
            assert nth > 20
            return
        yield home, told, calls


def spool(home):
    return [str(path) for path in home.glob("spool/*")]


@pytest.mark.parametrize("code", ANSWERS, ids=errno.errorcode.get)
def test_one_call_that_fails_is_told_and_leaves_nothing_half(quick, code):
    for home, told, calls in every_time(quick, fails(code)):
        words = [os.strerror(code), str(home), "IPYIMAGEGEN_HOME"]
        where = (calls.nth, calls.met, told.faults)
        assert all(word in fault for fault in told.faults.values() for word in words), where
        assert len(told.faults) <= 1, where
        check_told(home, told)
        check_index(home)
        check_forgotten(home, told)
        assert calls.met == "unlink" or not spool(home), where


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_disk_that_fails_from_some_call_on_leaves_nothing_half(quick, code):
    for home, told, calls in every_time(quick, fails(code, lasts=True)):
        check_told(home, told)
        check_index(home)
        check_forgotten(home, told)
        assert code != errno.ENOSPC or not spool(home), calls.nth


SQLITE = ["FULL", "IOERR", "IOERR_FSYNC", "BUSY", "LOCKED", "READONLY", "CANTOPEN", "CORRUPT", "NOTADB"]
SQLITE += ["PROTOCOL", "ERROR"]


@pytest.mark.parametrize("name", SQLITE)
def test_whatever_sqlite_says_nobody_is_told(quick, name):
    fate = sqlite_fails(getattr(sqlite3, f"SQLITE_{name}"))
    for home, told, _ in every_time(quick, fate):
        assert told.faults == {}, home
        check_told(home, told)
        check_index(home)


def test_a_process_that_dies_at_any_call_leaves_what_it_said(quick):
    for home, told, _ in every_time(quick, dies()):
        assert told.faults == {}
        check_told(home, told)
        check_index(home)
        check_forgotten(home, told)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interrupt_at_any_call_leaves_what_it_said(quick, after):
    for home, told, _ in every_time(quick, raises(KeyboardInterrupt, after=after)):
        check_told(home, told)
        check_index(home)
