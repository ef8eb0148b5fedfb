"""The lab in which each fault is made; what it saw is told to whoever prints the table of all."""

from __future__ import annotations

import re

import pytest
from canary import KEY

pytest.register_assert_rewrite("lab")

from lab import Lab  # noqa: E402 - rewritten, so that its check tells what it found

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
    number, title = re.match(r"test_(\d+)_(\w+)", request.node.originalname).groups()
    request.node.user_properties.append(("fault", (int(number), title.replace("_", " "), *made.row)))
