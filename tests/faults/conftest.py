"""The lab in which each fault is made, and the table of all of them at the end."""

from __future__ import annotations

import re

import pytest
from canary import KEY

pytest.register_assert_rewrite("lab")

from lab import Lab  # noqa: E402 - rewritten, so that its check tells what it found

ROWS = pytest.StashKey()
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def lab(request, home, tmp_path, monkeypatch):
    """Return the lab of one fault. The test that uses it has to call its check."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LAB_KEY", KEY)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")  # not the machine's
    with Lab(tmp_path, home) as made:
        yield made
    assert made.checked, "this test did not check what must hold after every fault"
    number, title = re.match(r"test_(\d\d)_(\w+)", request.node.originalname).groups()
    request.config.stash.setdefault(ROWS, []).append((int(number), title.replace("_", " "), *made.row))


def pytest_terminal_summary(terminalreporter, config):
    """Print the table: fault, class, POSTs, seconds."""
    rows = {}
    for number, title, status, posts, seconds in sorted(config.stash.get(ROWS, [])):
        one = rows.setdefault((number, title), ([], [], []))
        for column, value in zip(one, (status, str(posts), seconds), strict=True):
            column.append(value)
    if rows:
        terminalreporter.section("faults")
    for (number, title), (statuses, posts, seconds) in rows.items():
        told = " / ".join(dict.fromkeys(statuses)), " / ".join(dict.fromkeys(posts))
        terminalreporter.write_line(
            f"{number:2}  {title:52.52}  {told[0]:24}  P={told[1]:6} {max(seconds):6.2f} s"
        )
