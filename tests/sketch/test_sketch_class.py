"""The server in a class: malformed, slow, endless and many requests, and what of them reaches the log."""

import contextlib
import io
import os
import re
import select
import signal
import socket
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from classroom import WAIT, connect, exchange, listening, parse, post, receive
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sketching import EDITS, call, serving

from ipyimagegen.sketch import create_app
from ipyimagegen.sketch.server import http_server, welcome
from ipyimagegen.sketch.server.http_server import ConnectionLimits, SketchServer
from ipyimagegen.sketch.server.quotas import Quota, ServerLimits, Ticket
from ipyimagegen.sketch.server.replies import Refusal

SMALL = {"prompt": "a fox", "size": "64x64", "quality": "low"}
HEAD = b"GET /v1/models HTTP/1.1\r\nHost: lab\r\n"
POST = b"POST /v1/images/generations HTTP/1.1\r\nHost: lab\r\n"
TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(1, 101))


@pytest.fixture(scope="module")
def logged():
    """Return a function that sends bytes to a server in a process of its own: response and log line."""
    with serving() as (url, process):
        address = ("127.0.0.1", int(re.search(r":(\d+)/", url)[1]))

        def send(data, *, end=False):
            response = exchange(address, data, end=end)
            return response, process.stderr.readline()

        yield send
        process.terminate()
        out, more = process.communicate(timeout=WAIT)
        assert more == ""  # one line a request, and nothing else
        assert "Traceback" not in out


MALFORMED = {
    "one word": (b"HELLO\r\n\r\n", 400),
    "two words": (b"GET /\r\n\r\n", 400),
    "four words": (b"GET / x HTTP/1.1\r\n\r\n", 400),
    "two blanks": (b"GET  / HTTP/1.1\r\n\r\n", 400),
    "a leading blank": (b" GET / HTTP/1.1\r\n\r\n", 400),
    "empty lines": (b"\r\n\r\n\r\n", 400),
    "no method": (b"/ HTTP/1.1\r\n\r\n", 400),
    "a method with a colon": (b"GE:T / HTTP/1.1\r\n\r\n", 400),
    "NUL in the path": (b"GET /\0 HTTP/1.1\r\n\r\n", 400),
    "CR in the path": (b"GET /\rforged HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "escapes in the path": (b"GET /\x1b[2J HTTP/1.1\r\n\r\n", 400),
    "binary": (bytes(range(1, 10)) + b"\xff" * 40 + b"\r\n\r\n", 400),
    "version of letters": (b"GET / HTTP/9.x\r\n\r\n", 400),
    "version of one number": (b"GET / HTTP/1\r\n\r\n", 400),
    "negative version": (b"GET / HTTP/-1.1\r\n\r\n", 400),
    "version of many digits": (b"GET / HTTP/" + b"1" * 5000 + b".1\r\n\r\n", 400),
    "another protocol": (b"GET / FTP/1.1\r\n\r\n", 400),
    "version in small letters": (b"GET / http/1.1\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9 by name": (b"GET / HTTP/0.9\r\n\r\n", 505),
    "a long line": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    "a long method": (b"A" * 70_000 + b" / HTTP/1.1\r\n\r\n", 414),
    "a long header": (HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "a long header name": (HEAD + b"X" * 70_000 + b": a\r\n\r\n", 431),
    "many headers": (HEAD + b"X: a\r\n" * 200 + b"\r\n", 431),
    "headers long together": (HEAD + (b"X: " + b"a" * 9000 + b"\r\n") * 9 + b"\r\n", 431),
    "a header without a colon": (HEAD + b"nothing\r\n\r\n", 400),
    "a header without a name": (HEAD + b": a\r\n\r\n", 400),
    "a blank before the colon": (HEAD + b"X : a\r\n\r\n", 400),
    "a folded header": (HEAD + b"X: a\r\n b\r\n\r\n", 400),
    "a folded first header": (b"GET / HTTP/1.1\r\n X: a\r\n\r\n", 400),
    "CR in a header": (HEAD + b"X: a\rContent-Length: 5\r\n\r\n", 400),
    "NUL in a header": (HEAD + b"X: a\0\r\n\r\n", 400),
    "an escape in a header": (HEAD + b"X: \x1b[2J\r\n\r\n", 400),
    "negative length": (POST + b"Content-Length: -5\r\n\r\n", 400),
    "signed length": (POST + b"Content-Length: +5\r\n\r\nhello", 400),
    "length of letters": (POST + b"Content-Length: five\r\n\r\n", 400),
    "length with a point": (POST + b"Content-Length: 5.0\r\n\r\nhello", 400),
    "length in hexadecimal": (POST + b"Content-Length: 0x5\r\n\r\nhello", 400),
    "length with an underscore": (POST + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
    "length of other digits": (POST + "Content-Length: ٥\r\n\r\nhello".encode(), 400),
    "empty length": (POST + b"Content-Length:\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    "two lengths in one": (POST + b"Content-Length: 5, 6\r\n\r\nhello!", 400),
    "length of 5000 digits": (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    "length of 16 digits": (POST + b"Content-Length: 9999999999999999\r\n\r\n", 413),
    "two encodings": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "the same in the other order": (POST + b"transfer-encoding: x\r\nContent-Length: 3\r\n\r\n0\r\n", 400),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    "chunks in disguise": (POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 501),
    "no length": (POST + b"\r\n", 411),
    "a length with an underscore for its hyphen": (POST + b"Content_Length: 5\r\n\r\nhello", 411),
    "another method": (b"DELETE /v1/models HTTP/1.1\r\nHost: lab\r\n\r\n", 405),
    "an unknown method": (b"BREW /v1/models HTTP/1.1\r\nHost: lab\r\n\r\n", 405),
    "a proxy's request": (b"CONNECT lab:443 HTTP/1.1\r\nHost: lab:443\r\n\r\n", 404),
    "a body without JSON": (post(b"\x1b[2J\r\nforged 200\r\n"), 400),
}


@pytest.mark.parametrize(("data", "status"), MALFORMED.values(), ids=MALFORMED.keys())
def test_105_a_malformed_request_gets_an_error_of_the_api(logged, data, status):
    response, line = logged(data)
    answer = parse(response)
    assert answer.status == status
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")
    assert "Traceback" not in response.decode("latin-1")
    assert line.endswith(f" {status}\n")
    assert re.fullmatch(r"[\x20-\x7e]{1,500}\n", line)


@given(st.lists(st.sampled_from([*HEAD.split(b" "), b" ", b"\r\n", b"\n", b":"]) | st.binary(max_size=9)))
def test_any_bytes_are_a_request_or_refused(pieces):
    file = io.BytesIO(b"".join(pieces))
    with contextlib.suppress(Refusal):
        method, target = http_server.parse_request_line(http_server.read_request_line(file))
        headers = http_server.read_headers(file)
        length = http_server.find_body_length(method, headers)
        texts = [method, target, length, *headers.keys(), *headers.values()]
        assert not any(re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text) for text in texts)
        assert length == "" or int(length) >= 0


@pytest.mark.parametrize("cut", [4, 20, 30, len(HEAD)])
def test_a_request_that_ends_in_its_head_is_malformed(logged, cut):
    response, line = logged(HEAD[:cut], end=True)
    assert parse(response).status == 400
    assert line.endswith(" 400\n")


def test_a_request_that_ends_in_its_body_is_malformed(logged):
    response, line = logged(post(SMALL)[:-5], end=True)
    assert parse(response).status == 400
    assert line == "POST /v1/images/generations 400\n"


def test_a_tls_handshake_is_closed_with_one_line(logged):
    response, line = logged(TLS)
    assert response == b""
    assert "TLS" in line


@pytest.mark.parametrize(
    "data",
    [
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        b"GET /v1/models HTTP/1.0\r\nHost: lab\r\n\r\n",
        b"\r\nGET /v1/models HTTP/1.1\r\nHost:lab\r\n\r\n",
        b"GET /v1/models HTTP/1.1\nHost: lab\n\n",
        b"GET /v1/models HTTP/1.1\r\nX-Name: caf\xc3\xa9 \x85\t\r\nX-Empty:\r\n\r\n",
        b"GET /v1/models?q=1 HTTP/1.1\r\nHost: lab\r\nContent-Length: 5 \r\n\r\nhello",
    ],
)
def test_unusual_requests_that_are_allowed(logged, data):
    response, line = logged(data)
    assert parse(response).status == 200
    assert line == "GET /v1/models 200\n"


ESCAPES = b"\x1b]0;title\x07\x1b[2J\x1b[31mred\x9b31m\x9d0;t\x9c\xc2\x9b2J\x08\x7f\x0b\x0c\x85\xe2\x80\xae"
FIELDS = {
    "method": b"G%sET / HTTP/1.1\r\n\r\n",
    "path": b"GET /%s HTTP/1.1\r\n\r\n",
    "query": b"GET /?%s HTTP/1.1\r\n\r\n",
    "version": b"GET / HTTP/1.1%s\r\n\r\n",
    "protocol": b"GET / %s/1.1\r\n\r\n",
    "whole line": b"%s\r\n\r\n",
    "header name": b"GET / HTTP/1.1\r\nX%s: a\r\n\r\n",
    "header value": b"GET / HTTP/1.1\r\nX: %s\r\n\r\n",
    "host": b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
    "length": POST + b"Content-Length: %s\r\n\r\n",
}


@pytest.mark.parametrize("times", [1, 300])
@pytest.mark.parametrize(
    "text", [ESCAPES, b"\x80\x9b31m\xff", b"\\x1b[2J", b"a\r200 forged", b"<script>"], ids=str
)
@pytest.mark.parametrize("field", FIELDS)
def test_105_what_comes_from_outside_is_escaped_and_cut(logged, field, text, times):
    response, line = logged(FIELDS[field] % (text * times))
    assert re.fullmatch(r"[\x20-\x7e]{1,500}\n", line)
    assert re.search(r" [2-5]\d\d\n", line)
    answer = parse(response)
    assert answer.headers["content-type"] == "application/json" or b"<script>" not in answer.body
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\x9f]", answer.body)


def test_escapes_in_percent_encoding_stay_encoded(logged):
    response, line = logged(b"GET /%1b%5b2J%0d%0aforged HTTP/1.1\r\n\r\n")
    assert parse(response).status == 404
    assert line == "GET /%1b%5b2J%0d%0aforged 404\n"


def test_the_log_has_no_query_and_no_key(logged):
    _, line = logged(b"GET /v1/models?key=s3cret HTTP/1.1\r\nAuthorization: Bearer s3cret\r\n\r\n")
    assert line == "GET /v1/models 200\n"
    _, line = logged(b"GET /v1/models?key=s3cret HTTP/9.x\r\n\r\n")
    assert line == "GET /v1/models 400\n"


QUICK = ConnectionLimits(head=1, body=1, rate=1e6, linger=0.2)


def drip(connection, data):
    """Send byte after byte, the last one for ever, until the other side closes; return what came."""
    with contextlib.suppress(ConnectionError):
        for place in range(20 * WAIT):
            connection.sendall(data[min(place, len(data) - 1) :][:1])
            if select.select([connection], [], [], 0.05)[0]:
                break
        else:
            pytest.fail("the server listens for ever")
    return receive(connection)


def test_105_a_silent_connection_is_closed(app, capsys):
    with listening(app, QUICK) as address:
        assert exchange(address, b"") == b""
        assert parse(exchange(address, HEAD + b"\r\n")).status == 200
    assert capsys.readouterr().err == "GET /v1/models 200\n"


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"GET / HTTP/1.1\r\n",
        HEAD + b"X: ",
        POST + b"Content-Length: 50\r\n\r\n",
        POST + b"Content-Length: 50\r\n\r\nhalf",
        b"POST /v1/images/edits HTTP/1.1\r\nContent-Length: 9000000\r\n\r\nhalf",
    ],
)
@pytest.mark.parametrize("slowly", [False, True])
def test_105_a_client_that_stops_or_drips_is_answered_and_closed(app, data, slowly):
    with listening(app, QUICK) as address, connect(address) as connection:
        connection.sendall(data)
        # dripping makes a header that never ends, or a body that takes hours
        response = drip(connection, b"a") if slowly else receive(connection)
        assert not response or parse(response).status == 408
        assert slowly or response
        assert parse(exchange(address, HEAD + b"\r\n")).status == 200


def test_a_slow_body_that_keeps_up_its_rate_is_read(app):
    data = post({**SMALL, "user": "x" * 3000})
    with (
        listening(app, ConnectionLimits(head=9, body=2, rate=100)) as address,
        connect(address) as connection,
    ):
        for start in range(0, len(data), 250):  # longer in all than a body may pause
            connection.sendall(data[start : start + 250])
            time.sleep(0.2)
        assert parse(receive(connection)).status == 200


def test_a_client_that_takes_no_response_is_closed():
    ended = threading.Event()

    def app(_, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield bytes(1 << 20)
        finally:
            ended.set()

    with listening(app, QUICK) as address, connect(address) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert ended.wait(WAIT)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (POST + b"Content-Length: 999999999999\r\n\r\n", 413),
        (POST + b"Content-Length: 1048577\r\n\r\n", 413),
        (b"POST /v1/images/edits HTTP/1.1\r\nContent-Length: 268435457\r\n\r\n", 413),
        (b"POST /v1/elsewhere HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 404),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET /v1/models HTTP/1.1\r\n\r\n", 200),
        (b"", 414),
    ],
)
def test_90_an_endless_request_is_answered_and_closed(app, head, status):
    with listening(app) as address, connect(address) as connection:
        received = []
        reader = threading.Thread(target=lambda: received.append(receive(connection)))
        reader.start()
        sent = 0
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
            while sent < 4 << 30:
                sent += connection.send(b"x" * (1 << 20))
        reader.join(WAIT)
    assert sent < 4 << 30
    assert parse(received[0]).status == status


@pytest.mark.parametrize("awaited", [False, True])
def test_a_refusal_reaches_a_client_that_sends_all_of_its_body_first(awaited):
    body = bytes(60 << 20)
    data = post(body, EDITS, *(["Expect: 100-continue"] if awaited else []))
    with listening(create_app(key="s3cret")) as address:
        answer = parse(exchange(address, data))
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


class SlowDrawing:
    """Stands in for the drawing: counts, and waits until it may go on."""

    def __init__(self, monkeypatch):
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.drawn = self.now = self.most = 0
        self.error = None
        self._lock = threading.Lock()
        monkeypatch.setattr("ipyimagegen.sketch.drawing.engine.draw", self.draw)

    def draw(self, *_, width, height, **__):
        with self._lock:
            self.drawn += 1
            self.now += 1
            self.most = max(self.most, self.now)
        self.begun.release()
        assert self.go_on.acquire(timeout=WAIT)
        with self._lock:
            self.now -= 1
        if self.error:
            raise self.error
        return Image.new("RGB", (width, height))


@pytest.fixture
def drawing(monkeypatch):
    return SlowDrawing(monkeypatch)


@pytest.mark.parametrize("options", [{}, {"stream": True}, {"stream": True, "partial_images": 2}])
@pytest.mark.parametrize("reset", [False, True])
def test_105_drawing_ends_when_the_client_has_gone(drawing, options, reset, capsys):
    with listening(create_app(limits=ServerLimits(drawings=1))) as address:
        with connect(address) as gone:
            gone.sendall(post({**SMALL, "n": 10, **options}))
            assert drawing.begun.acquire(timeout=WAIT)
            if reset:
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        drawing.go_on.release(20)
        assert parse(exchange(address, post(SMALL))).status == 200
    assert drawing.drawn == 2
    assert "POST /v1/images/generations client gone\n" in capsys.readouterr().err


def test_a_client_that_goes_while_it_waits_is_forgotten(drawing, capsys):
    with listening(create_app(limits=ServerLimits(drawings=1))) as address, connect(address) as first:
        first.sendall(post(SMALL))
        assert drawing.begun.acquire(timeout=WAIT)
        with connect(address) as gone:
            gone.sendall(post({**SMALL, "n": 10}))
        give_up = time.monotonic() + WAIT
        while "client gone\n" not in capsys.readouterr().err:  # it leaves the queue while another draws
            assert time.monotonic() < give_up
            time.sleep(0.05)
        drawing.go_on.release(20)
        assert parse(exchange(address, post(SMALL))).status == 200
        assert parse(receive(first)).status == 200
    assert drawing.drawn == 2


@pytest.mark.parametrize("options", [{}, {"stream": True, "partial_images": 1}])
def test_105_only_so_many_drawings_at_once(drawing, options):
    clients = []
    with listening(create_app(limits=ServerLimits(drawings=2))) as address, contextlib.ExitStack() as stack:
        for _ in range(8):
            clients.append(stack.enter_context(connect(address)))
            clients[-1].sendall(post({**SMALL, **options}))
        for _ in range(8):
            assert drawing.begun.acquire(timeout=WAIT)
            drawing.go_on.release()
        assert [receive(client)[9:12] for client in clients] == [b"200"] * 8
    assert drawing.most <= 2


def test_a_slow_fault_holds_no_turn():
    app = create_app(limits=ServerLimits(drawings=1))
    with listening(app) as address, connect(address) as slow, connect(address) as stream:
        slow.sendall(post({**SMALL, "fault": "slow:600"}))
        stream.sendall(post({**SMALL, "fault": "slow:600", "stream": True}))
        assert parse(exchange(address, post(SMALL))).status == 200


def test_the_oldest_call_is_served_first():
    quota, served, waiting = Quota(1), [], threading.Semaphore(0)
    tickets = [Ticket(waiting.release) for _ in range(5)]

    def draw(ticket):
        with quota.claim(ticket):
            served.append(ticket.number)

    threads = [threading.Thread(target=draw, args=[ticket]) for ticket in reversed(tickets[1:])]
    with quota.claim(tickets[0]):
        for thread in threads:
            thread.start()
        for _ in tickets:
            assert waiting.acquire(timeout=WAIT)
    for thread in threads:
        thread.join(WAIT)
    assert served == [ticket.number for ticket in tickets[1:]]


@pytest.mark.timeout(60)
def test_a_waiting_call_leaves_the_queue_once_its_client_has_gone():
    quota, present = Quota(1), [True]

    def check():
        if not present:
            raise ConnectionAbortedError
        present.pop()  # gone from now on

    with quota.claim(Ticket(lambda: None)), pytest.raises(ConnectionAbortedError), quota.claim(Ticket(check)):
        pytest.fail("two calls at once")
    with quota.claim(Ticket(lambda: None)):
        pass


def test_105_only_so_many_bytes_of_inputs_at_once():
    size, continued = 2 << 20, b"HTTP/1.1 100 Continue\r\n\r\n"
    head, body = post(bytes(size), EDITS, "Expect: 100-continue").split(b"\0", 1)
    app = create_app(limits=ServerLimits(input_bytes=2 * size))
    with listening(app) as address, contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connect(address)) for _ in range(6)]
        for client in waiting:
            client.sendall(head)
        admitted = []
        while waiting:
            ready = select.select(waiting, [], [], 0.3 if admitted else WAIT)[0]
            for client in ready:
                assert client.recv(len(continued)) == continued
                waiting.remove(client)
                admitted.append(client)
            assert len(admitted) <= 2
            if len(admitted) < 2 and waiting:
                continue
            # a small request does not wait for the large ones
            assert parse(exchange(address, post(SMALL))).status == 200
            for client in admitted:
                client.sendall(b"\0" + body)
                assert parse(receive(client)).status == 400
            admitted = []


@pytest.mark.parametrize("how", ["goes", "stops"])
def test_the_bytes_of_a_client_that_sends_no_more_are_free_again(how):
    size = 2 << 20
    data = post(bytes(size), EDITS)
    with (
        listening(create_app(limits=ServerLimits(input_bytes=size)), replace(QUICK, rate=1e9)) as address,
        connect(address) as first,
        connect(address) as waiting,
    ):
        first.sendall(data[:-1])
        waiting.sendall(data[:-1])
        if how == "goes":
            first.close()
            waiting.close()
        assert parse(exchange(address, data)).status == 400


@pytest.mark.parametrize("options", [{"n": 10, "size": "4096x4096"}, {"n": 3, "size": "3000x3000"}])
def test_a_call_that_draws_too_many_pixels_is_refused(options):
    app = create_app(limits=ServerLimits(pixels=16e6))
    with listening(app) as address:
        answer = parse(exchange(address, post({**SMALL, **options})))
    assert (answer.status, answer.error["param"]) == (400, "n")


@pytest.mark.parametrize("options", [{}, {"stream": True}])
def test_90_an_error_of_its_own_is_one_line_without_the_request(drawing, capsys, options):
    drawing.error = ValueError("a secret prompt")
    drawing.go_on.release(9)
    with listening(create_app()) as address:
        response = exchange(address, post({**SMALL, **options}))
    assert parse(response).status == (200 if options else 500)
    assert b"server_error" in response
    assert b"secret" not in response
    log = capsys.readouterr().err
    assert re.fullmatch(r"POST /v1/images/generations [25]00 ValueError at test_sketch_class.py:\d+\n", log)


def test_an_application_that_fails_is_a_500_of_the_api(capsys):
    def app(*_):
        raise ValueError("secret")

    with listening(app) as address:
        answer = parse(exchange(address, HEAD + b"\r\n"))
    assert (answer.status, answer.error["type"]) == (500, "server_error")
    assert re.fullmatch(r"GET /v1/models 500 ValueError at \w+.py:\d+\n", capsys.readouterr().err)


def test_90_thirty_at_the_same_second_three_times():
    barrier = threading.Barrier(30)
    statuses = []

    def ask(url):
        for _ in range(3):
            barrier.wait(WAIT)
            request = urllib.request.Request(f"{url}/images/generations", post(SMALL).split(b"\r\n\r\n")[1])
            request.add_header("Content-Type", "application/json")
            with urllib.request.urlopen(request, timeout=5 * WAIT) as response:
                response.read()
                statuses.append(response.status)

    with serving() as (url, _):
        clients = [threading.Thread(target=ask, args=[url]) for _ in range(30)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert statuses == [200] * 90


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
def test_90_thirty_among_those_who_send_nothing_or_too_much():
    with serving("--parallel", "2") as (url, process), contextlib.ExitStack() as stack:
        address = ("127.0.0.1", int(re.search(r":(\d+)/", url)[1]))
        head = b"POST /v1/images/edits HTTP/1.1\r\nContent-Length: 250000000\r\n\r\n"
        for data in [b"", b"GET /", HEAD + b"X: ", head + bytes(1 << 20), TLS] * 8:
            stack.enter_context(connect(address)).sendall(data)
        barrier, responses = threading.Barrier(30), []

        def ask():
            body = {**SMALL, "size": "256x256", "response_format": "url"}
            barrier.wait(WAIT)
            responses.append(parse(exchange(address, post(body))))

        clients = [threading.Thread(target=ask) for _ in range(30)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.terminate()
        log = process.stderr.read()
    assert [response.status for response in responses] == [200] * 30
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) < 400_000
    assert "Traceback" not in log


def test_connections_wait_for_a_server_that_is_busy(app):
    with SketchServer(("127.0.0.1", 0), app) as server, contextlib.ExitStack() as stack:
        for _ in range(128):
            stack.enter_context(socket.create_connection(server.server_address, 5))


def test_more_connections_than_threads_wait_and_are_answered(app):
    limits = ConnectionLimits(head=1, linger=0.2, connections=4)
    with listening(app, limits) as address, contextlib.ExitStack() as stack:
        before = threading.active_count()
        clients = [stack.enter_context(connect(address)) for _ in range(20)]
        assert threading.active_count() <= before + 4
        assert parse(exchange(address, HEAD + b"\r\n")).status == 200
        for client in clients:
            assert receive(client) == b""


@pytest.mark.skipif(os.name == "nt", reason="no signals to another process there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_whatever_is_under_way(number):
    with serving("--parallel", "1", "--fault", "slow:600") as (url, process), contextlib.ExitStack() as stack:
        address = ("127.0.0.1", int(re.search(r":(\d+)/", url)[1]))
        for data in (b"", b"GET /", post(SMALL), POST + b"Content-Length: 50\r\n\r\nhalf"):
            stack.enter_context(connect(address)).sendall(data)
        assert parse(exchange(address, HEAD + b"\r\n")).status == 200
        process.send_signal(number)
        out, log = process.communicate(timeout=5)
    assert process.returncode == 0
    assert out.endswith("sketch stopped\n")
    assert log == "GET /v1/models 200\n"


HOSTS = {
    b"lab": "http://lab/v1",
    b"lab.example:80": "http://lab.example:80/v1",
    b"192.168.1.5:8080": "http://192.168.1.5:8080/v1",
    b"[fe80::1]:8080": "http://[fe80::1]:8080/v1",
    b'"><script>alert(1)</script>': None,
    b"lab/evil": None,
    b"user@lab": None,
    b'lab"\n%config': None,
    b"a" * 300: None,
    b"": None,
}


@pytest.mark.parametrize(("host", "base_url"), HOSTS.items())
@pytest.mark.parametrize("path", ["/", "/v1/images/generations"])
def test_the_host_of_a_request_is_shown_only_if_it_is_one(app, path, host, base_url):
    environ = {"HTTP_HOST": host.decode(), "SERVER_NAME": "10.0.0.1", "SERVER_PORT": "8080"}
    if path == "/":
        answer = call(app, "GET", path, **environ)
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        shown = re.search(r'Imagine.endpoint = "(.*)"', answer.body.decode())[1]
    else:
        answer = call(app, path=path, body={**SMALL, "response_format": "url"}, **environ)
        shown = answer.json["data"][0]["url"].partition("/images")[0]
    assert shown == (base_url or "http://10.0.0.1:8080/v1")
    assert b"script" not in answer.body


def test_the_page_says_what_to_paste_and_that_no_model_is_used():
    with serving("--key-env", "LAB_KEY", LAB_KEY="s3cret") as (url, process):
        with urllib.request.urlopen(url.removesuffix("v1"), timeout=WAIT) as response:
            page = response.read().decode()
        process.terminate()
        out = process.stdout.read()
    assert "No AI model is used" in page
    for text in (page, out):
        assert "%load_ext ipyimagegen" in text
        assert url in text
        assert "%%imagine" in text
        assert "s3cret" not in text
        assert "key_env" in text


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/v1/models", "/nowhere"])
def test_other_methods_of_browsers(logged, method, path):
    response, _ = logged(f"{method} {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode())
    head, _, body = response.partition(b"\r\n\r\n")
    assert head[9:12] in (b"404", b"405")
    assert bool(body) == (method != "HEAD")


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "localhost"])
def test_the_printed_addresses_answer(host):
    with serving("--host", host) as (url, process):
        with urllib.request.urlopen(f"{url}/models", timeout=WAIT) as response:
            assert response.status == 200
        process.terminate()
        rest = process.stdout.read()
    assert f'%config Imagine.endpoint = "{url}"' in rest
    assert "0.0.0.0" not in url


def test_the_cell_of_every_network_is_printed(monkeypatch):
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "lan0"), (3, "docker0")])
    assert welcome.list_origins("0.0.0.0", 80)[-1] == "http://127.0.0.1:80"
    assert welcome.list_origins("::", 80)[-1] == "http://127.0.0.1:80"
    assert welcome.list_origins("192.168.1.5", 80) == ["http://192.168.1.5:80"]
    assert welcome.list_origins("fe80::1", 80) == ["http://[fe80::1]:80"]
    with serving("--host", "0.0.0.0") as (base_url, process):
        urllib.request.urlopen(f"{base_url}/models").close()  # by then all of it is printed
        process.terminate()
        out = process.stdout.read()
    origins = welcome.list_origins("0.0.0.0", 80)
    assert out.count("%load_ext ipyimagegen") >= max(1, len(origins) - 1)


@pytest.mark.parametrize("key", [None, "s3cret"])
def test_the_printed_cells_make_an_image(kernel, key):
    arguments, environ = (["--key-env", "LAB_KEY"], {"LAB_KEY": key}) if key else ([], {})
    with serving(*arguments, **environ) as (_, process):
        printed = process.stdout.readline()
        while "%%imagine" not in printed:
            printed += process.stdout.readline()
        setup = re.search(r"%load_ext.*?(?=\n\n)", printed, re.DOTALL)[0]
        if key:
            kernel.run(f"import os; os.environ['SKETCH_KEY'] = {key!r}")
        assert kernel.run(setup).error is None
        made = kernel.run("%%imagine --size 64x64\na red fox under a tree")
    assert made.error is None
    assert made.images
