"""No promise of SECURITY.md without ways tried, and no way without its test."""

import subprocess
import sys

import pytest
from promises import HERE, WAYS, functions_in, promises


def test_each_promise_has_ways_and_nothing_else_has():
    assert promises() == list(WAYS)


@pytest.mark.parametrize("name", WAYS)
def test_each_way_is_a_test(name):
    assert WAYS[name]
    for file, tests in WAYS[name].items():
        assert (HERE / file).is_file()
        assert set(tests) <= set(functions_in(file))


def test_the_table_is_printed():
    done = subprocess.run([sys.executable, HERE / "promises.py"], capture_output=True, text=True, check=True)
    assert all(f"\n{name}\n" in done.stdout for name in WAYS)
