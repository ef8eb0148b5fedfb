"""The lab in which each fault is made; what it saw goes into the table of all."""

from __future__ import annotations

import re
import socket

import pytest
from canary import KEY

pytest.register_assert_rewrite("lab")

from lab import Clock, Lab  # noqa: E402 - rewritten, so that its check shows what it compares

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


@pytest.fixture
def clock(lab):
    """Seconds that pass by themselves, and chance that is one half."""
    made = Clock()
    lab.wait_on(made)
    return made


@pytest.fixture
def network(monkeypatch):
    """Note every name that is looked up, and find none, and every host that is connected to."""
    looked_up, connected = [], []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def noted(host, *args, **kwargs):
        if host not in ("127.0.0.1", "::1"):
            looked_up.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "no network in this test")
        return look_up(host, *args, **kwargs)

    def dialled(self, address):
        connected.append(address[0])
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    monkeypatch.setattr(socket.socket, "connect", dialled)
    return looked_up, connected
