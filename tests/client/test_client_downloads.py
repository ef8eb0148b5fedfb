"""Images fetched by address: no key goes along, no private address is asked, the cap holds."""

import errno
import os
import socket

import pytest
from raising import assert_names
from sockets import IMAGES, KEY, endpoint_at, reply

from ipyimagegen.client import CancelToken, download
from ipyimagegen.core.endpoints import Endpoint

PUBLIC = Endpoint(name="lab", base_url="https://api.example/v1")
IMAGE = reply(IMAGES[0], kind="image/png")


@pytest.fixture
def fetch(tmp_path):
    def run(url, endpoint=None, **options):
        into = tmp_path / "image.part"
        error = download(
            url, endpoint or PUBLIC, into=into, token=options.pop("token", CancelToken()), **options
        )
        assert (error is None) == into.exists()
        return error or into.read_bytes()

    return run


def test_the_endpoints_own_origin_over_http(serve, fetch):
    server = serve(IMAGE)
    assert fetch(f"{server.origin}/x.png", endpoint_at(server.origin)) == IMAGES[0]


def test_no_key_cookie_or_netrc_goes_along(serve, fetch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login who password netrc-secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    answers = [reply("", "302 Found", "Location: /y", "Set-Cookie: a=b"), IMAGE]
    server = serve(lambda conn, _: conn.sendall(answers.pop(0)))
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin)) == IMAGES[0]
    assert len(server.seen) == 2
    for seen in server.seen:
        assert not {"authorization", "cookie", "api-key", "idempotency-key"} & set(seen.headers)
        assert KEY not in repr(seen)


LOOPBACK = [
    "https://127.0.0.1:{}/x", "https://127.1:{}/x", "https://2130706433:{}/x", "https://0x7f.0.0.1:{}/x",
    "https://localhost:{}/x", "https://[::1]:{}/x", "https://[::ffff:127.0.0.1]:{}/x", "https://0.0.0.0:{}/x",
    "https://0177.0.0.1:{}/x", "https://[::]:{}/x",
]  # fmt: skip


@pytest.mark.parametrize("url", LOOPBACK)
def test_loopback_in_every_spelling(serve, fetch, url):
    server = serve(IMAGE)
    assert fetch(url.format(server.port)).message
    assert server.accepted == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://100.100.100.200/",
        "https://10.0.0.1/",
        "https://[fd00:ec2::254]/",
        "https://metadata.test/",
    ],
)
def test_metadata_addresses(fetch, url):
    error = fetch(url, resolver=lambda host, _: ["169.254.169.254" if host == "metadata.test" else host])
    assert error == fetch("https://127.0.0.1/x")  # refused alike, not tried in vain


@pytest.mark.parametrize(
    "url",
    [
        "http://public.example/x", "file:///etc/passwd", "ftp://public.example/x", "https://u:p@public.example/x",
        "https://u@public.example/x", "//public.example/x", "https://", "x", "", "https://[::1", "https://h:99999/x",
        "https://a\nb/x", "https://a\tb/x", "https://a b/x", "https://a\\b/x", "https://a\x7f/x",
    ],
)  # fmt: skip
def test_addresses_that_are_never_asked(fetch, url):
    asked = []
    assert fetch(url, resolver=lambda *a: asked.append(a) or ["127.0.0.1"], whole=2).message
    assert asked == []


def test_a_redirect_to_loopback(serve, fetch):
    inner = serve(IMAGE)
    server = serve(reply("", "302 Found", f"Location: https://127.0.0.1:{inner.port}/x"))
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin)).message
    assert inner.accepted == 0


def test_a_redirect_away_from_https(serve, fetch):
    inner = serve(IMAGE)
    server = serve(reply("", "302 Found", f"Location: {inner.origin}/x"))
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin)).message
    assert inner.accepted == 0


def test_redirects_end(serve, fetch):
    server = serve(reply("", "302 Found", "Location: /again"))
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin)).message
    assert len(server.seen) == 4


def test_a_name_that_changes_its_mind_is_blocked_at_connect(serve, fetch, trusted):
    """The address that was checked is the one that is connected to."""
    server = serve(IMAGE, trusted)
    answers = iter([["93.184.216.34", "127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]])
    assert fetch(f"https://rebind.test:{server.port}/x", resolver=lambda *_: next(answers)).message
    assert server.accepted == 0


def test_503_twice_and_then_the_image(serve, fetch):
    answers = [reply("", "503 Busy"), reply("", "503 Busy"), IMAGE]
    server = serve(lambda conn, _: conn.sendall(answers.pop(0)))
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin)) == IMAGES[0]


@pytest.mark.parametrize(("status", "tries"), [("403 Forbidden", 1), ("404 Not Found", 1), ("500 Oops", 3)])
def test_a_download_that_is_refused(serve, fetch, status, tries):
    server = serve(reply("no", status))
    error = fetch(f"{server.origin}/x", endpoint_at(server.origin))
    assert error.status == int(status[:3])
    assert len(server.seen) == tries


def test_a_cut_download_is_tried_again_and_leaves_no_half_file(serve, fetch):
    server = serve(IMAGE[:-100])
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin)).message
    assert len(server.seen) == 3


def test_the_cap(serve, fetch):
    server = serve(IMAGE)
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin), cap=1000).message
    assert len(server.seen) == 1


def test_cancel_and_deadline(serve, fetch):
    server = serve(lambda conn, _: conn.recv(1))
    token = CancelToken()
    token.cancel()
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin), token=token).message
    assert fetch(f"{server.origin}/x", endpoint_at(server.origin), whole=0.3).message


def test_through_a_mounted_application(fetch):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "image/png")])
        return [IMAGES[0]]

    here = endpoint_at("http://sketch.invalid")
    assert fetch("http://sketch.invalid/x", here, mounts={"http://sketch.invalid/": app}) == IMAGES[0]


def test_the_systems_resolver_gives_numbers():
    from ipyimagegen.client.connections import resolve

    for address in resolve("localhost", 443):
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def test_a_file_that_cannot_be_written(serve, tmp_path):
    server = serve(IMAGE)
    into = tmp_path / "missing" / "image"
    error = download(f"{server.origin}/x", endpoint_at(server.origin), into=into, token=CancelToken())
    assert_names(error.message, os.strerror(errno.ENOENT))
    assert len(server.seen) == 1
