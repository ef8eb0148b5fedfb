"""What never reached a server: repeated twice where that may help, with the key shown to nobody."""

import re
import socket
import ssl
from urllib.parse import quote

import pytest
from lab import PAINTED
from sockets import hang, images, reply, reset

from ipyimagegen.client import Timeouts
from ipyimagegen.core.run import Status

GOOD = reply(images(1, PAINTED))
TWICE = [0.25, 0.5]  # the pauses before two repeats, when chance is one half
PASSWORD = "hQ8+wZ/3mVx=Kc5:Yt"  # of a proxy


@pytest.fixture
def crowded():
    """The address of a listener whose queue is full: it lets nobody in."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        yield full.getsockname()
        for client in waiting:
            client.close()


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_01_dns_failure(lab, clock, monkeypatch, code):
    real = socket.getaddrinfo

    def resolver(*arguments, **named):
        with pytest.raises(socket.gaierror):
            real(*arguments, **named)
        raise socket.gaierror(code, "no answer for images.invalid")

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    lab.use("https://images.invalid")
    lab.cell()
    assert (lab.names, lab.connects, clock.waited) == (["images.invalid"] * 3, [], TWICE)
    assert [run.sent.attempts for run in lab.runs] == [3]
    lab.check(Status.NOT_SENT, 0, "lab .*https://images.invalid")


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_02_connection_refused(lab, clock, chance):
    lab.wait_on(clock, lambda: chance)
    with socket.socket() as closed:  # its port is taken, and nobody listens there
        closed.bind(("127.0.0.1", 0))
        lab.use("http://{}:{}".format(*closed.getsockname()))
        lab.cell()
        assert lab.connects == [closed.getsockname()] * 3
    assert clock.waited == [0.5 * chance, 1.0 * chance]
    lab.check(Status.NOT_SENT, 0, r"lab .*http://127.0.0.1:\d+")


def test_03_connect_timeout(lab, clock, crowded):
    assert Timeouts().connect == 10
    lab.connects.clear()
    lab.limit(connect=0.2)
    lab.use("http://{}:{}".format(*crowded))
    lab.cell()
    assert (lab.connects, clock.waited) == ([crowded] * 3, TWICE)
    lab.check(Status.NOT_SENT, 0, within=3)


UNTRUSTED = r"\(self-signed certificate\).* REQUESTS_CA_BUNDLE"
# Servers with which no TLS comes about, whatever they are asked.
NO_TLS = [
    (GOOD, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),  # no certificate
    (reply("plain HTTP request to an HTTPS port", "400 Bad Request"), None),
    (reset, None),
    (b"", None),
    (hang, None),
]


def test_04_bad_tls(lab, clock, tls, certificate, monkeypatch):
    server = lab.other(GOOD, tls)
    lab.use(server.origin)
    assert re.search(UNTRUSTED, lab.cell().texts)
    # A trusted one that was made for another name.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    lab.use(server.origin.replace("127.0.0.1", "localhost"))
    assert "not valid for 'localhost')." in lab.cell().texts
    assert (server.accepted, server.seen, clock.waited) == (2, [], [])
    lab.limit(connect=0.2)
    for answer, context in NO_TLS:
        clock.waited.clear()
        server = lab.other(answer, context)
        lab.use(server.origin.replace("http:", "https:"))
        assert server.origin.replace("http:", "https:") in lab.cell().texts
        assert (server.accepted, server.posts, clock.waited) == (3, 0, TWICE)
    lab.check([Status.NOT_SENT] * (2 + len(NO_TLS)), 0)


# What a proxy does when it is asked for a connection, and the status that is named.
PROXIES = [
    (reply("", "407 Proxy Authentication Required"), "407"),
    (reply("<h1>blocked</h1>", "403 Forbidden"), "403"),
    (reply("", "502 Bad Gateway"), "502"),
    (b"220 smtp.example ESMTP\r\n", ""),
    (b"", ""),
    (reset, ""),
]


def test_05_proxy_refuses_connect(lab, clock, monkeypatch):
    lab.secrets.append(PASSWORD)
    lab.use("https://images.example")
    for answer, status in PROXIES:
        clock.waited.clear()
        lab.names.clear()
        proxy = lab.other(answer)
        login = f"teacher:{quote(PASSWORD, safe='')}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://{login}@127.0.0.1:{proxy.port}")
        assert status in lab.cell().texts
        assert [request.line for request in proxy.seen] == ["CONNECT images.example:443 HTTP/1.0"] * 3
        assert "proxy-authorization" in proxy.seen[0].headers
        assert (lab.names, clock.waited) == (["127.0.0.1"] * 3, TWICE)
    # One that is not there, and one whose address cannot be read: its password has a slash.
    monkeypatch.setenv("HTTPS_PROXY", f"http://{login}@127.0.0.1:1")
    lab.cell()
    monkeypatch.setenv("HTTPS_PROXY", f"http://teacher:{PASSWORD}@127.0.0.1:1")
    lab.cell()
    lab.check([Status.NOT_SENT] * (len(PROXIES) + 2), 0)
