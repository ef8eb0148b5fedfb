"""Bytes are stored once, whole, under their hash, or not at all."""

import hashlib
import os
import time

import pytest
from store_samples import files

from ipyimagegen.core.errors import StoreError
from ipyimagegen.store import Store

PNG = b"\x89PNG\r\n\x1a\n" + b"not quite an image" * 1000
MIB = 1 << 20


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def keep(store, data, cap=MIB):
    return store.keep((data[i : i + 999] for i in range(0, len(data), 999)), cap=cap)


def test_bytes_are_kept_under_their_hash(store):
    kept = keep(store, PNG)
    name = hashlib.sha256(PNG).hexdigest()
    assert (kept.sha256, kept.size) == (name, len(PNG))
    assert files(store) == [f"images/{name[:2]}/{name}.png"]
    assert kept.path.read_bytes() == PNG
    assert store.path(name) == kept.path
    assert store.verify(name)


def test_the_same_bytes_are_stored_once(store):
    assert keep(store, PNG) == keep(store, PNG)
    assert len(files(store)) == 1


def test_short_and_empty_bytes(store):
    assert keep(store, b"").size == 0
    assert store.keep([b"", b"\x89PNG\r\n", b"\x1a\nxy"], cap=99).path.suffix == ".png"


def test_bytes_that_are_not_an_image_go_into_quarantine(store):
    kept = keep(store, b"<html onload='alert(1)'>")
    assert files(store) == [f"quarantine/{kept.sha256}.bin"]
    assert store.path(kept.sha256) == kept.path
    assert store.verify(kept.sha256)


def test_more_than_the_cap_leaves_nothing(store):
    with pytest.raises(StoreError, match="5,000"):
        keep(store, PNG, cap=5000)
    assert files(store) == []


def test_a_failing_source_leaves_nothing_and_keeps_its_error(store):
    def broken():
        yield PNG
        raise ConnectionResetError("peer")

    with pytest.raises(ConnectionResetError, match="peer"):
        store.keep(broken(), cap=MIB)
    assert files(store) == []


def test_a_flipped_bit_is_detected_and_healed(store):
    kept = keep(store, PNG)
    data = bytearray(PNG)
    data[500] ^= 1
    kept.path.write_bytes(data)
    assert not store.verify(kept.sha256)
    keep(store, PNG)
    assert store.verify(kept.sha256)


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd", "0" * 63, "0" * 64, "A" * 64])
def test_no_such_bytes(store, name):
    keep(store, PNG)
    assert store.path(name) is None
    assert not store.verify(name)


def test_spool_files_are_their_own_and_old_ones_go(store):
    first, second = store.spool(), store.spool()
    assert first != second
    assert first.parent == second.parent == store.home / "spool"
    first.write_bytes(b"half a reply")
    old = time.time() - 90_000
    os.utime(first, (old, old))
    third = store.spool()
    assert not first.exists()
    assert second.exists()
    assert third.exists()


def test_the_home_is_private(store):
    keep(store, PNG)
    if os.name != "nt":
        assert store.home.stat().st_mode & 0o077 == 0
