"""What becomes of a POST when the network or the server fails: class, number of POSTs, time, no key."""

import contextlib
import errno
import gzip
import json
import os
import pickle
import socket
import threading
import time
from pathlib import Path

import pytest
import urllib3
from raising import assert_names
from sockets import (
    IMAGES,
    KEY,
    b64,
    cut_body,
    endpoint_at,
    hang,
    images,
    read_request,
    reply,
    reset,
    status_line_only,
    trickle_body,
    trickle_head,
)

from ipyimagegen.client import CancelToken, Timeouts, exchange, write_call
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Status

# Each of them ends an exchange with a silent server by one limit; the others are far away.
PATIENT = Timeouts(connect=60, idle=60, whole=120)
IDLE = Timeouts(connect=60, idle=0.3, whole=120)
DEADLINE = Timeouts(connect=60, idle=60, whole=1)


def read(image):
    return b"".join(image.chunks())


@contextlib.contextmanager
def early():
    """Fail when the body took nearly as long as the limits that are far away."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 30


def cancel_at_request(server, token):
    """Cancel as soon as the server has the request."""
    threading.Thread(target=lambda: server.requested.wait(60) and token.cancel(), daemon=True).start()


def clean(outcome):
    """No key, object or foreign exception is in an outcome."""
    text = repr(outcome) + pickle.dumps(outcome).decode("latin-1")
    assert KEY not in text
    assert "urllib3" not in text
    assert "0x" not in repr(outcome.error)
    if outcome.error:
        assert len(outcome.error.message.splitlines()) == 1
    if outcome.spool:
        assert KEY.encode() not in outcome.spool.read_bytes()
    return outcome


# What goes out and comes back when all is well


def test_one_post_with_the_key_and_the_body(serve, post):
    server = serve(reply(images(2), "200 OK", "X-Request-Id: req-7"))
    outcome = clean(post(server.origin, n=2))
    assert outcome.status is Status.DONE
    assert outcome.error is None
    assert outcome.request_id == "req-7"
    assert [read(image) for image in outcome.answer.images] == IMAGES[:2]
    (seen,) = server.seen
    assert seen.line == "POST /v1/images/generations HTTP/1.1"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["idempotency-key"] == "once-1"
    assert seen.headers["content-type"] == "application/json"
    assert json.loads(seen.body) == {"model": "m", "prompt": "a fox", "n": 2}


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_what_a_server_says_before_its_answer_is_not_the_answer(serve, post, status):
    word = f"HTTP/1.1 {status} Wait\r\nLink: </style.css>\r\n\r\n".encode()
    outcome = clean(post(serve(word * 3 + reply(images())).origin))
    assert outcome.status is Status.DONE
    assert read(outcome.answer.images[0]) == IMAGES[0]


def test_azure_takes_the_key_in_its_own_header(serve, post):
    server = serve(reply(images()))
    post(server.origin, dialect="azure")
    assert server.seen[0].headers["api-key"] == KEY
    assert "authorization" not in server.seen[0].headers


def test_without_a_key_there_is_no_header(serve, post):
    server = serve(reply(images()))
    assert post(server.origin, key=None).status is Status.DONE
    assert "authorization" not in server.seen[0].headers


@pytest.mark.parametrize("key", [KEY, None])
def test_netrc_does_not_replace_the_key_or_add_one(serve, post, tmp_path, key):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login who password netrc-secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    server = serve(reply(images()))
    post(server.origin, key=key)
    assert server.seen[0].headers.get("authorization") == (key and f"Bearer {key}")


def test_a_key_of_another_origin_is_not_sent(serve, post):
    server = serve(reply(images()))
    outcome = clean(post(server.origin, of="https://other.example/v1"))
    assert (outcome.status, outcome.final, server.accepted) == (Status.NOT_SENT, True, 0)


def test_it_counts_as_sent_before_the_answer_is_whole(serve, post):
    token, sent = CancelToken(), []

    def answer(conn, _):
        sent.append(token.sent)
        conn.sendall(reply(images()))

    assert post(serve(answer).origin, token=token).status is Status.DONE
    assert sent == [True]


@pytest.mark.parametrize("chunked", [True, False])
def test_gzip_and_chunked(serve, post, chunked):
    body = gzip.compress(json.dumps(images()).encode())
    if not chunked:
        server = serve(reply(body, "200 OK", "Content-Encoding: gzip"))
    else:
        parts = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:50], body[50:])) + b"0\r\n\r\n"
        headers = ("Content-Encoding: gzip", "Transfer-Encoding: chunked")
        server = serve(reply(parts, "200 OK", *headers, length=False))
    outcome = clean(post(server.origin))
    assert read(outcome.answer.images[0]) == IMAGES[0]


# Never sent


def test_nobody_listens(post):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = clean(post(f"http://127.0.0.1:{port}"))
    assert (outcome.status, outcome.final) == (Status.NOT_SENT, False)


def test_unknown_name(post):
    outcome = clean(post("http://no-such-host.invalid"))
    assert (outcome.status, outcome.final) == (Status.NOT_SENT, False)


def test_connect_timeout(post):
    with socket.socket() as full:  # a listener whose queue is full lets nobody in
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for waiter in waiting:
            waiter.setblocking(False)
            waiter.connect_ex(("127.0.0.1", port))
        with early():
            outcome = clean(post(f"http://127.0.0.1:{port}", timeouts=Timeouts(connect=0.3)))
        for waiter in waiting:
            waiter.close()
    assert (outcome.status, outcome.final) == (Status.NOT_SENT, False)


def test_untrusted_certificate_is_final_and_the_key_stays(serve, post, tls):
    server = serve(reply(images()), tls)
    outcome = clean(post(server.origin))
    assert (outcome.status, outcome.final) == (Status.NOT_SENT, True)
    assert server.seen == []


def test_trusted_certificate(serve, post, trusted):
    server = serve(reply(images()), trusted)
    assert post(server.origin).status is Status.DONE


def test_no_tls_where_tls_is_expected(serve, post):
    server = serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    outcome = clean(post(server.origin.replace("http:", "https:"), timeouts=Timeouts(connect=1, whole=3)))
    assert outcome.status is Status.NOT_SENT
    assert server.posts == 0


def test_proxy_refuses_connect(serve, post, monkeypatch):
    proxy = serve(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:proxy-password@127.0.0.1:{proxy.port}")
    outcome = clean(post("https://images.example"))
    assert (outcome.status, outcome.final) == (Status.NOT_SENT, False)
    assert "407" in outcome.error.message
    assert "proxy-password" not in repr(outcome)
    assert KEY not in repr(proxy.seen)


def test_an_http_proxy_from_the_environment_is_used(serve, post, monkeypatch):
    proxy = serve(reply(images()))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    assert post("http://images.example").status is Status.DONE
    assert proxy.seen[0].line.startswith("POST http://images.example/v1/")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "image.localhost"])
def test_no_proxy_stands_before_this_machine_itself(serve, post, monkeypatch, host):
    proxy, server = serve(reply(images())), serve(reply(images()))
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest: real("127.0.0.1", *rest))
    assert post(f"http://{host}:{server.port}").status is Status.DONE
    assert (server.posts, proxy.accepted) == (1, 0)


@pytest.mark.parametrize(
    "origin",
    [
        "http://",
        "http://a b",
        "http://[::1",
        "ftp://host",
        "http://x\nhost",
        "http://x\thost",
        "http://x\\host",
        "http://x\\@host",
        "http://\x7fx",
        "http://x host",
        "http:// x",
        "http://x ",
    ],
)
def test_malformed_address(post, origin):
    outcome = clean(post(origin, key=None))
    assert (outcome.status, outcome.final) == (Status.NOT_SENT, True)


# Unknown: exactly one POST


@pytest.mark.parametrize(
    ("answer", "timeouts", "named"),
    [
        (reset, PATIENT, ""),
        (b"", PATIENT, ""),
        (b"garbage\r\n\r\n", PATIENT, ""),
        (cut_body, PATIENT, ""),
        (hang, IDLE, ""),
        (hang, DEADLINE, " 1 s"),
        (status_line_only, DEADLINE, " 1 s"),
        (trickle_head, DEADLINE, " 1 s"),
        (trickle_body, DEADLINE, " 1 s"),
        (reply("<html><body>welcome</body></html>", kind="text/html"), PATIENT, "/v1"),
        (reply(b"\x89PNG\r\n", kind="image/png"), PATIENT, ""),
        (reply(b""), PATIENT, ""),
        (reply(b"not gzip", "200 OK", "Content-Encoding: gzip"), PATIENT, ""),
        (
            reply(gzip.compress(b"[1]" * 99)[:-12] + b"\xff" * 99, "200 OK", "Content-Encoding: gzip"),
            PATIENT,
            "",
        ),
        (reply(b"\x0b\x02\x80{}", "200 OK", "Content-Encoding: br"), PATIENT, " br"),
        (reply({"created": 1, "data": []}), PATIENT, ""),
        (reply({"created": 1, "data": None}), PATIENT, ""),
        (reply({"created": 1, "data": "x"}), PATIENT, ""),
        (reply({"created": 1}), PATIENT, ""),
        (reply({"id": "job-1"}, "202 Accepted"), PATIENT, ""),
        (reply({"data": [{"b64_json": "", "url": None}]}), PATIENT, ""),
        (reply({"error": {"message": "overloaded"}}), PATIENT, "overloaded"),
        (reply("", "302 Found", "Location: http://127.0.0.1:1/x"), PATIENT, "302"),
        (reply("", "307 Temporary Redirect", "Location: http://127.0.0.1:1/x"), PATIENT, "307"),
        (reply("", "304 Not Modified"), PATIENT, "304"),
    ],
)
def test_unknown_outcomes(serve, post, answer, timeouts, named):
    server = serve(answer)
    with early():
        outcome = clean(post(server.origin, timeouts=timeouts))
    assert outcome.status is Status.UNKNOWN
    assert named in outcome.error.message
    assert server.posts == server.accepted == 1


@pytest.mark.parametrize("status", [408, 409, 500, 501, 502, 503, 504, 520, 524, 529])
def test_statuses_after_which_it_may_have_been_done(serve, post, status):
    server = serve(reply({"error": {"message": "busy", "code": "server_error"}}, f"{status} Busy"))
    outcome = clean(post(server.origin))
    assert (outcome.status, server.posts) == (Status.UNKNOWN, 1)
    assert (outcome.error.code, outcome.error.status) == ("server_error", status)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(serve, post, status):
    other = serve(reply(images()))
    server = serve(reply("", f"{status} Moved", f"Location: {other.origin}/v1/images/generations"))
    assert clean(post(server.origin)).status is Status.UNKNOWN
    assert (server.posts, other.accepted) == (1, 0)


def test_an_endless_redirect_body_is_not_read(serve, post):
    def answer(conn, _):
        conn.sendall(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n")
        while True:
            conn.sendall(b"x" * 65536)

    server = serve(answer)
    with early():
        assert post(server.origin, timeouts=PATIENT).status is Status.UNKNOWN


def test_a_cut_inside_image_two_gives_image_one_and_keeps_the_rest(serve, post):
    whole = reply(images(3))
    server = serve(whole[: whole.index(b64(IMAGES[1]).encode()) + 5000])
    outcome = clean(post(server.origin, n=3))
    assert (outcome.status, server.posts) == (Status.UNKNOWN, 1)
    assert [read(image) for image in outcome.answer.images] == IMAGES[:1]
    assert_names(outcome.error.message, 1)
    assert b64(IMAGES[1])[:4000].encode() in outcome.spool.read_bytes()


def test_a_connection_that_breaks_after_the_whole_json_is_done(serve, post):
    server = serve(reply(images(), "200 OK", "Content-Length: 999999", length=False))
    assert clean(post(server.origin)).status is Status.DONE


# Refused and rejected


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "moderation_blocked"),
        (401, "invalid_api_key"),
        (403, "insufficient_user_quota"),
        (404, "not_found"),
        (413, "too_large"),
        (422, "bad"),
        (429, "insufficient_quota"),
        (429, "billing_hard_limit_reached"),
        (503, "model_not_found"),
    ],
)
def test_refused(serve, post, status, code):
    server = serve(reply({"error": {"message": "no", "code": code}}, f"{status} No", "Retry-After: 1"))
    outcome = clean(post(server.origin))
    assert (outcome.status, outcome.error.code, server.posts) == (Status.REFUSED, code, 1)


def test_refused_in_a_200(serve, post):
    server = serve(reply({"error": {"message": "no", "code": "insufficient_user_quota"}}))
    assert clean(post(server.origin)).status is Status.REFUSED


def test_rejected_says_how_long(serve, post):
    server = serve(reply({"error": {"message": "slow down"}}, "429 Too Many Requests", "Retry-After: 3600"))
    outcome = clean(post(server.origin))
    assert (outcome.status, outcome.retry_after) == (Status.RATE_LIMITED, 3600)
    assert_names(outcome.error.message, "slow down", "60 min")


def test_should_retry_false_is_heard(serve, post):
    server = serve(reply("", "429 Too Many Requests", "x-should-retry: false"))
    assert clean(post(server.origin)).final


def test_the_key_that_a_server_echoes(serve, post):
    echo = {"error": {"message": f"bad key {KEY}, {b64(KEY.encode())}, sk-can****cdef", "code": KEY}}
    server = serve(reply(echo, "401 Unauthorized", f"x-request-id: {KEY}"))
    assert "bad key [key]" in clean(post(server.origin)).error.message


def test_the_key_that_a_server_echoes_in_a_200(serve, post):
    body = {"data": [{"b64_json": b64(IMAGES[0]), "revised_prompt": f"fox {KEY}"}, {"url": f"/x?k={KEY}"}]}
    outcome = clean(post(serve(reply(body)).origin))
    assert outcome.answer.images[0].revised_prompt == f"fox {'*' * len(KEY)}"


def test_an_early_refusal_of_a_large_body_is_still_read(serve, post):
    server = serve(reply("<html><title>413 Too Large</title></html>", "413 Too Large", kind="text/html"))
    assert clean(post(server.origin)).error.message == "lab answered 413: Too Large"


def test_an_endless_error_body(serve, post):
    def answer(conn, _):
        conn.sendall(b"HTTP/1.1 500 Oops\r\n\r\n")
        while True:
            conn.sendall(b"x" * 65536)

    with early():
        assert clean(post(serve(answer).origin, timeouts=PATIENT)).status is Status.UNKNOWN


# Caps


def test_an_endless_reply_is_capped(serve, post):
    def answer(conn, _):
        conn.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"data":[{"b64_json":"')
        while True:
            conn.sendall(b"A" * 1_000_000)

    outcome = clean(post(serve(answer).origin))
    assert outcome.status is Status.UNKNOWN
    assert outcome.spool.stat().st_size < 90 << 20


def test_a_gzip_bomb_is_capped(serve, post):
    bomb = gzip.compress(b'{"data":[{"b64_json":"' + b"A" * (120 << 20), compresslevel=1)
    outcome = clean(post(serve(reply(bomb, "200 OK", "Content-Encoding: gzip")).origin))
    assert outcome.status is Status.UNKNOWN
    assert outcome.spool.stat().st_size < 90 << 20


def test_a_spool_that_cannot_be_written(serve, post, tmp_path):
    (tmp_path / "reply.part").mkdir()
    outcome = clean(post(serve(reply(images())).origin))
    assert outcome.status is Status.UNKNOWN
    assert_names(outcome.error.message, os.strerror(errno.EISDIR))


# Giving up


@pytest.mark.parametrize("answer", [hang, status_line_only, trickle_head, trickle_body])
@pytest.mark.parametrize("secure", [True, False])
def test_cancel_frees_a_blocked_call_at_once(serve, post, answer, secure, trusted):
    server, token = serve(answer, trusted if secure else None), CancelToken()
    cancel_at_request(server, token)
    with early():
        outcome = clean(post(server.origin, token=token, timeouts=PATIENT))
    assert (outcome.status, server.posts) == (Status.UNKNOWN, 1)


def test_cancel_during_the_tls_handshake_was_never_sent(serve, post):
    server, token = serve(hang), CancelToken()  # reads no TLS, answers nothing
    cancel_at_request(server, token)
    with early():
        outcome = clean(post(server.origin.replace("http:", "https:"), token=token, timeouts=PATIENT))
    assert (outcome.status, outcome.final, server.posts) == (Status.NOT_SENT, True, 0)


def test_cancelled_before_it_began(serve, post):
    server, token = serve(reply(images())), CancelToken()
    token.cancel()
    outcome = clean(post(server.origin, token=token))
    assert (outcome.status, outcome.final, server.accepted) == (Status.NOT_SENT, True, 0)


def test_a_wall_clock_that_jumps_moves_no_deadline(serve, post, monkeypatch):
    jumps = iter(range(0, 10**9, 3600))
    monkeypatch.setattr(time, "time", lambda: float(next(jumps)))
    assert post(serve(reply(images())).origin).status is Status.DONE


def test_urllib3_still_connects_where_we_listen():
    """The private name that the deadline depends on."""
    assert callable(urllib3.connection.HTTPConnection._new_conn)
    assert urllib3.connectionpool.HTTPConnectionPool.ConnectionCls is urllib3.connection.HTTPConnection


def test_nothing_stays_open(serve, post):
    server = serve(reply(images()))
    before = set(threading.enumerate())
    post(server.origin)
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()


def test_helpers_are_real(serve):
    """The test's own server reads a request with its body."""
    left, right = socket.socketpair()
    left.sendall(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
    assert read_request(right).body == b"abc"
    left.close()
    right.close()


@pytest.mark.parametrize(
    "prompt", ["\x00", "\ud800", "\u202eRTL", "{}", "%s", "CON", "../../x", "狐" * 100_000]
)
def test_any_prompt_arrives_as_given(serve, tmp_path, prompt):
    server = serve(reply(images()))
    endpoint = endpoint_at(server.origin)
    request = Request(endpoint="lab", base_url=endpoint.base_url, prompt=prompt)
    spool = tmp_path / "reply"
    call = write_call(request, PreparedRequest(), endpoint)
    exchange(call, endpoint, None, spool=spool, token=CancelToken(), idempotency_key="k")
    assert json.loads(server.seen[0].body) == {"prompt": prompt}


def test_an_endpoint_without_an_address(post):
    outcome = clean(post("", key=None))
    assert (outcome.status, outcome.final) == (Status.NOT_SENT, True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("size", [10, 200_000])
def test_a_full_disk_is_said_even_when_only_the_last_bytes_do_not_fit(serve, post, tmp_path, size):
    (tmp_path / "reply.part").symlink_to("/dev/full")
    outcome = clean(post(serve(reply({"data": [{"b64_json": "A" * size}]})).origin))
    assert outcome.status is Status.UNKNOWN
    assert "No space left" in outcome.error.message
