"""A free question to a server: what it shows of itself, that nothing is posted, and no key strays."""

import base64
import math
import pickle
import socket
import time
from dataclasses import replace
from email.utils import formatdate
from urllib.parse import quote

import pytest
from sockets import (
    KEY,
    credentials_of,
    endpoint_at,
    hang,
    reply,
    reset,
    status_line_only,
    trickle_body,
    trickle_head,
)

from ipyimagegen.client import probe
from ipyimagegen.client.transport import LIST

LIST_OF_ONE = {"object": "list", "data": [{"id": "m"}]}


@pytest.fixture
def ask():
    """Probe an origin, and check what holds of every probe."""

    def send(origin, *, key=KEY, seconds=5.0, mounts=None, **fields):
        endpoint = endpoint_at(origin, **fields)
        secret = credentials_of(key, endpoint.base_url) if key else None
        began = time.monotonic()
        result = probe(endpoint, secret, seconds=seconds, mounts=mounts or {})
        assert time.monotonic() - began < seconds + 20  # servers of these tests are silent for ever
        text = repr(result) + pickle.dumps(result).decode("latin-1")
        assert KEY not in text
        assert "urllib3" not in text
        assert result.message.isprintable()
        return result

    return send


def test_a_server_that_answers(serve, ask):
    server = serve(reply(LIST_OF_ONE, "200 OK", f"Date: {formatdate(usegmt=True)}"))
    result = ask(server.origin)
    assert (result.reached, result.status, result.form, result.message) == (True, 200, "json", "")
    assert [model.name for model in result.models] == ["m"]
    assert abs(result.clock_offset) < 5
    assert 0 < result.seconds < 5
    (seen,) = server.seen
    assert seen.line == "GET /v1/models HTTP/1.1"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.body == b""


def test_the_question_is_in_the_dialect_of_the_server(serve, ask):
    server = serve(reply(LIST_OF_ONE))
    ask(server.origin, dialect="azure", query={"api-version": "2025-04-01"})
    (seen,) = server.seen
    assert seen.line == "GET /v1/models?api-version=2025-04-01 HTTP/1.1"
    assert seen.headers["api-key"] == KEY
    assert "authorization" not in seen.headers


def test_without_a_key_none_goes_not_even_that_of_a_netrc(serve, ask, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login who password netrc-secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    server = serve(reply(LIST_OF_ONE))
    assert ask(server.origin, key=None).status == 200
    assert "authorization" not in server.seen[0].headers


def test_a_key_of_another_origin_stays(serve):
    server = serve(reply(LIST_OF_ONE))
    probe(endpoint_at(server.origin), credentials_of(KEY, "https://other.example/v1"), seconds=10)
    assert KEY not in repr(server.seen)


ECHO = f"no: {KEY} {quote(KEY)} {base64.b64encode(KEY.encode()).decode()} sk-can**********cdef \x1b[31m\u202e"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 429, 500, 503])
@pytest.mark.parametrize("kind", ["json", "html"])
def test_refusals_are_reported_without_the_key(serve, ask, status, kind):
    page = f"<html><head><title>{ECHO}</title></head></html>"
    body = {"error": {"message": ECHO, "code": KEY}} if kind == "json" else page
    server = serve(reply(body, f"{status} {KEY}", f"X-Echo: {KEY}", f"Date: {KEY}"))
    result = ask(server.origin)
    assert (result.reached, result.status, result.form) == (True, status, {"html": "page"}.get(kind, kind))
    assert (result.refused, result.models) == (True, None)
    assert result.message.startswith("no: [key]")
    assert "***" not in result.message
    assert math.isnan(result.clock_offset)
    assert server.posts == 0


def test_a_refusal_that_comes_with_200(serve, ask):
    assert ask(serve(reply({"error": {"message": "bad token"}})).origin).message == "bad token"
    assert ask(serve(reply({"success": False, "message": "bad token"})).origin).message == "bad token"


def test_a_page_is_no_api(serve, ask):
    result = ask(serve(reply("<!doctype html><title>Welcome</title>", kind="text/html")).origin)
    assert (result.status, result.form, result.models) == (200, "page", None)
    assert ask(serve(reply("hello")).origin).form == "text"
    assert ask(serve(reply("", "204 No Content")).origin).form == "empty"


def test_a_list_longer_than_what_is_read(serve, ask):
    many = {"data": [{"id": "m" * (LIST >> 4)} for i in range(20)]}
    result = ask(serve(reply(many)).origin, seconds=20)
    assert (result.status, result.form, result.message, result.models) == (200, "json", "", None)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("{other}/elsewhere?key=" + KEY, "{other}/elsewhere"),
        ("//{there}/x", "{other}/x"),
        ("/v1/models/", "{here}/v1/models/"),
        ("http://[", ""),
    ],
)
def test_a_redirect_is_named_and_not_followed(serve, ask, location, target):
    other = serve(reply(LIST_OF_ONE))
    there = other.origin.removeprefix("http://")
    where = location.format(other=other.origin, there=there)
    server = serve(reply("", "307 Temporary Redirect", f"Location: {where}"))
    result = ask(server.origin)
    expected = target.format(other=other.origin, here=server.origin)
    assert (result.status, result.redirect) == (307, expected)
    assert (len(server.seen), other.accepted) == (1, 0)


def endless(conn, _):
    conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n[")
    while True:
        conn.sendall(b" " * 65536)


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (hang, None, " 0.6 s"),
        (trickle_head, None, " 0.6 s"),
        (status_line_only, None, " 0.6 s"),
        (reset, None, ""),
        (b"", None, ""),
        (b"garbage\r\n\r\n", None, ""),
        (trickle_body, 200, ""),
        (endless, 200, ""),
        (reply(b"not gzip", "200 OK", "Content-Encoding: gzip"), 200, ""),
    ],
)
def test_what_goes_wrong_on_the_way(serve, ask, answer, status, message):
    server = serve(answer)
    result = ask(server.origin, seconds=0.6)
    assert (result.reached, result.status) == (True, status)
    assert message in result.message
    assert (server.posts, server.accepted) == (0, 1)


def test_an_endless_body_is_not_read_to_its_end(serve, ask):
    sent = []

    def answer(conn, _):
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n[")
        while len(sent) < 10_000:
            conn.sendall(b" " * 8192)
            sent.append(1)

    result = ask(serve(answer).origin)
    assert result.status == 200
    assert result.seconds < 2
    assert len(sent) < 5000  # 8 KiB each: the list and what the sockets' buffers hold, and no more


def test_nobody_listens(ask):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = ask(f"http://127.0.0.1:{port}")
    assert (result.reached, result.status) == (False, None)


def test_an_unknown_name(ask):
    result = ask("http://no-such-host.invalid")
    assert (result.reached, result.status) == (False, None)


def test_a_wrong_certificate_and_a_trusted_one(serve, ask, tls, certificate, monkeypatch):
    server = serve(reply(LIST_OF_ONE), tls)
    result = ask(server.origin)
    assert (result.reached, result.untrusted, result.status) == (False, True, None)
    assert server.seen == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    assert ask(server.origin).status == 200


def test_a_proxy_is_named_without_its_password(serve, ask, monkeypatch):
    proxy = serve(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:proxy-password@127.0.0.1:{proxy.port}/?q=1")
    result = ask("https://images.example")
    assert (result.reached, result.status, result.proxy) == (False, None, f"http://127.0.0.1:{proxy.port}")
    assert "407" in result.message
    assert "proxy-password" not in repr(result)
    assert KEY not in repr(proxy.seen)


def test_a_proxy_for_http_answers_in_place_of_the_server(serve, ask, monkeypatch):
    proxy = serve(reply(LIST_OF_ONE))
    monkeypatch.setenv("HTTP_PROXY", f"http://user:proxy-password@127.0.0.1:{proxy.port}")
    result = ask("http://images.example")
    assert (result.status, result.proxy) == (200, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert ask(serve(reply(LIST_OF_ONE)).origin).proxy is None


PROXIES = [
    ("socks5h://user:proxy-password@127.0.0.1:9", "socks5h://127.0.0.1:9", "pip install pysocks"),
    ("http://", "an invalid address", ""),
    ("user:proxy-password@127.0.0.1:9", "http://127.0.0.1:9", ""),
    ("http://user:1#proxy-password@127.0.0.1:9", "an invalid address", ""),
    ("http://user:proxy-password@[::1", "an invalid address", ""),
]


@pytest.mark.parametrize(("address", "named", "message"), PROXIES)
def test_an_unusable_proxy_is_named(ask, monkeypatch, address, named, message):
    monkeypatch.setenv("ALL_PROXY", address)
    result = ask("https://images.example")
    assert (result.reached, result.proxy) == (False, named)
    assert message in result.message
    assert "proxy-password" not in repr(result)


def test_certificates_that_are_missing_are_told(ask, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    assert "REQUESTS_CA_BUNDLE" in ask("https://127.0.0.1:9").message


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_clock_of_the_server(serve, ask, hours):
    date = formatdate(time.time() + hours * 3600, usegmt=True)
    result = ask(serve(reply(LIST_OF_ONE, "200 OK", f"Date: {date}")).origin)
    assert result.clock_offset == pytest.approx(hours * 3600, abs=5)


@pytest.mark.parametrize("origin", ["http://", "http://a b", "http://[::1", "ftp://host", "http://x\nhost"])
def test_an_address_that_is_none(ask, origin):
    result = ask(origin, key=None)
    assert (result.reached, result.status) == (False, None)
    assert result.message


def test_an_application_in_this_process_is_asked_without_a_socket(ask, monkeypatch):
    from ipyimagegen.sketch import create_app

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    result = ask("http://sketch.invalid", key=None, mounts={"http://sketch.invalid/v1": create_app()})
    assert (result.status, result.proxy) == (200, None)
    assert [model.name for model in result.models] == ["sketch"]


LISTS = {
    "OpenAI's": ({"object": "list", "data": [{"id": "a", "owned_by": "x"}, {"id": "b"}]}, ["a", "b"]),
    "texts": (["a", "b", "a"], ["a", "b"]),
    "names": ({"models": [{"name": "a"}, {"model": "b"}, {"nothing": 1}]}, ["a", "b"]),
    "nested": ({"success": True, "data": {"items": [{"model_name": "a"}]}}, ["a"]),
    "no model": ({"data": []}, []),
    "no list": ({"status": "ok"}, None),
    "no names": ({"data": [1, None, {}]}, None),
    "an error beside it": ({"error": {"message": "bad token"}, "data": [{"id": "a"}]}, None),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_models_in_any_shape(serve, ask, name):
    body, names = LISTS[name]
    models = ask(serve(reply(body)).origin).models
    assert (models and [model.name for model in models]) == (names or models)
    assert (models is None) == (names is None)


def test_names_of_models_are_plain_and_without_keys(serve, ask):
    body = {"data": [{"id": f"m{ECHO}", "owned_by": ECHO}, {"id": "x" * 5000}]}
    first, second = ask(serve(reply(body)).origin).models
    assert "[key]" in first.name
    assert first.name.isprintable()
    assert "[key]" in first.owner
    assert len(second.name) <= 120


DRAWING = [
    {"type": "image"},
    {"output_modalities": ["image"]},
    {"architecture": {"modality": "text+image->text+image"}},
    {"supported_endpoint_types": ["openai", "image-generation"]},
    {"pipeline_tag": "text-to-image"},
    {"capabilities": {"image_generation": True}},
]
SPEAKING = [
    {"type": "chat"},
    {"architecture": {"modality": "text+image->text", "input_modalities": ["image"]}},
    {"capabilities": {"image_generation": False, "vision": True}},
    {"description": "an image model"},
]


def test_entries_that_say_that_their_model_makes_images(serve, ask):
    entries = [{"id": f"m{number}", **entry} for number, entry in enumerate([*DRAWING, *SPEAKING])]
    models = ask(serve(reply({"data": entries})).origin).models
    assert [model.makes_images for model in models] == [True] * len(DRAWING) + [False] * len(SPEAKING)


@pytest.mark.parametrize(
    ("base_url", "dialect", "target"),
    [
        ("/openai/deployments/d", "azure", "/openai/models?api-version=2025-04-01"),
        ("/openai/v1", "azure", "/openai/v1/models?api-version=2025-04-01"),
        ("/api/v1", "openrouter", "/api/v1/images/models?api-version=2025-04-01"),
    ],
)
def test_where_a_server_has_its_list(serve, base_url, dialect, target):
    server = serve(reply(LIST_OF_ONE))
    endpoint = replace(endpoint_at(server.origin, dialect=dialect), base_url=server.origin + base_url)
    endpoint = replace(endpoint, query={"api-version": "2025-04-01"})
    assert probe(endpoint, None, seconds=10).models[0].makes_images is (dialect == "openrouter")
    assert server.seen[0].line == f"GET {target} HTTP/1.1"
