"""Homes in memory, where there is room: thousands of them are made and thrown away."""

import tempfile
from pathlib import Path

import pytest
from store_samples import MEMORY

from ipyimagegen.store import Store


@pytest.fixture
def quick(tmp_path):
    """Return a folder on a disk that costs nothing to wait for."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="homes-") as folder:
        yield Path(folder)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home", wait=0.2)
