"""Responses that are framed or labelled otherwise than HTTP says, and whole responses without an end."""

import contextlib
import gzip
import json
import socket
import time
import zlib
from base64 import b64encode

import pytest
from canary import KEY
from event_lines import event
from lab import PAINTED
from loopback import image_bytes
from sockets import hang, items, reply, trickle_body

from ipyimagegen.core.run import Status

GOOD = image_bytes(width=300, height=200)
WHOLE = json.dumps(items(GOOD)).encode()
REFUSAL = json.dumps({"error": {"message": "Not this one.", "code": "moderation_blocked"}}).encode()
BROTLI = b"\x1b\x9f\x04\x00\x8c\xd4\x8a\x16" + bytes(range(200))  # begins as Brotli does
ZSTD = b"\x28\xb5\x2f\xfd" + bytes(range(200))


def deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def labelled(label, body, status="200 OK"):
    return reply(body, status, *([f"Content-Encoding: {label}"] if label else []))


PLAIN = ("gzip", "deflate", "br", "zstd", "gzip, gzip", "br, gzip", "compress")
PACKED = {
    "no label": ("", gzip.compress),
    "a label of another encoding": ("br", gzip.compress),
    "deflate that is gzip": ("deflate", gzip.compress),
    "gzip that is deflate": ("gzip", zlib.compress),
    "bare deflate": ("deflate", deflate),
    "twice, packed once": ("gzip, gzip", gzip.compress),
    "once, packed twice": ("gzip", lambda body: gzip.compress(gzip.compress(body))),
}


@pytest.mark.parametrize("label", PLAIN)
def test_64_a_label_and_a_body_that_is_plain(lab, label):
    lab.serve([labelled(label, WHOLE), labelled(label, REFUSAL, "400 Bad Request")])
    lab.cell()
    lab.cell("%imagine an owl")
    lab.check([Status.DONE, Status.REFUSED], 2, "Not this one", delivered=[GOOD])


@pytest.mark.parametrize("kind", PACKED)
def test_64_a_body_that_is_packed_otherwise(lab, kind):
    label, pack = PACKED[kind]
    lab.serve([labelled(label, pack(WHOLE)), labelled(label, pack(REFUSAL), "400 Bad Request")])
    lab.cell()
    lab.cell("%imagine an owl")
    lab.check([Status.DONE, Status.REFUSED], 2, "Not this one", delivered=[GOOD])


@pytest.mark.parametrize(("label", "body", "name"), [("br", BROTLI, "br"), ("", ZSTD, "zstd")])
def test_64_an_encoding_that_was_not_asked_for(lab, label, body, name):
    lab.serve([labelled(label, body), labelled(label, body, "400 Bad Request")])
    assert name in lab.cell().texts
    lab.cell("%imagine an owl")
    lab.check([Status.UNKNOWN, Status.REFUSED], 2, name, raw=body)


def test_64_a_packed_body_that_is_damaged(lab):
    """What cannot be unpacked is kept as it came."""
    packed = gzip.compress(WHOLE)
    body = packed[:60] + b"\xff" * 400
    lab.serve(labelled("gzip", body))
    lab.cell()
    lab.check(Status.UNKNOWN, 1, "damaged", raw=b"\xff" * 300)


LINES = {
    "many": [f"X-Trace-{number}: {number}" for number in range(300)],
    "cookies": [f"Set-Cookie: a{number}={number}; Path=/" for number in range(300)],
    "long": [f"Content-Security-Policy: {'a' * 70_000}"],
    "a blank before the colon": ["X-Trace : 1"],
    "a name that is not ASCII": ["X-Größe: 1"],
    "no colon": ["this is no header"],
    "no name": [": 1"],
    "a line that is continued": ["X-Trace: 1", "  2", "\t3"],
    "a continuation of nothing": [" 1"],
    "a line break": ["X-Trace: a\rb"],
}
CHUNKED = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (WHOLE[:99], WHOLE[99:], b""))
FRAMES = {
    "chunked": ("Transfer-Encoding: chunked", CHUNKED),
    "of a length": (f"Content-Length: {len(WHOLE)}", WHOLE),
    "two lengths": (f"Content-Length: {len(WHOLE)}\r\nContent-Length: 7", WHOLE),
    "a coding before": ("Transfer-Encoding: identity, chunked", CHUNKED),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("kind", LINES)
def test_65_header_lines_that_are_none(lab, kind, frame):
    """They come before the line that says how the body is framed; the connection stays open."""
    header, body = FRAMES[frame]
    head = ["HTTP/1.1 200 OK", *LINES[kind], header, "Content-Type: application/json", "X-Request-Id: r-7"]

    def answer(conn, _seen):
        conn.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        conn.recv(1)

    lab.serve(answer)
    lab.cell()
    assert lab.runs[0].sent.request_id == ("r-7" if kind != "many" else None)
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


UNCHUNKED = {
    "JSON": (f"Content-Length: {len(WHOLE)}", WHOLE),
    "JSON of no length": ("Connection: close", WHOLE),
    "a stream": ("Content-Type: text/event-stream", b"data: " + WHOLE + b"\n\n"),
    "an image": (f"Content-Type: image/jpeg\r\nContent-Length: {len(GOOD)}", GOOD),
    "a rest without chunks": ("Connection: close", CHUNKED[: CHUNKED.index(b"\r\n") + 103] + WHOLE[99:]),
}


@pytest.mark.parametrize("kind", UNCHUNKED)
def test_65_chunks_that_are_none(lab, kind):
    header, body = UNCHUNKED[kind]

    def answer(conn, _seen):
        conn.sendall(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{header}\r\n\r\n".encode() + body)
        if "Length" in header:  # the connection stays open
            conn.recv(1)

    lab.serve(answer)
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


def test_65_a_status_line_of_another_version(lab):
    lab.serve(reply(WHOLE).replace(b"HTTP/1.1", b"HTTP/2", 1))
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[GOOD])


def test_65_headers_without_an_end(lab):
    def answer(conn, _seen):
        conn.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            conn.sendall(b"X-Trace: 1\r\n" * 1000)

    lab.serve(answer)
    lab.cell()
    lab.check(Status.UNKNOWN, 1)


def moved(target, status):
    return reply("", status, f"Location: {target}")


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("query", ["", "?token=abc"])
def test_80_a_redirect_to_the_path_with_a_slash(lab, status, whole, query):
    server = lab.serve([])
    target = f"/v1/images/generations/{query}"
    server.answer = [moved(server.origin * whole + target, status), reply(items(GOOD))]
    lab.cell()
    first, second = server.seen
    assert second.line == f"POST {target} HTTP/1.1"
    assert second.body == first.body
    assert second.headers["authorization"] == first.headers["authorization"] == f"Bearer {KEY}"
    assert second.headers["idempotency-key"] == first.headers["idempotency-key"]
    lab.check(Status.DONE, 2, delivered=[GOOD])


def test_80_a_redirect_between_two_spellings_of_a_path(lab):
    """It is followed once; that it was never executed is certain."""
    server = lab.serve([])
    paths = ("/v1/images/generations/", "/v1/images/generations")
    server.answer = [moved(path, "307 Temporary Redirect") for path in paths]
    lab.cell()
    lab.check(Status.REFUSED, 2, "307")


def test_80_a_redirect_to_the_same_path(lab):
    """No router writes it, so whether the request was executed is not known."""
    server = lab.serve([])
    server.answer = moved("/v1/images/generations", "307 Temporary Redirect")
    lab.cell()
    lab.check(Status.UNKNOWN, 1, "307")


def test_80_the_advice_for_another_redirect_can_be_followed(lab):
    other = lab.other(reply(items(GOOD)))
    lab.serve(moved(f"{other.origin}/api/v2/images/generations/", "308 Permanent Redirect"))
    cell = lab.cell()
    assert other.accepted == 0
    assert f"set {other.origin}/api/v2 as the base URL" in cell.texts
    lab.check(Status.UNKNOWN, 1, "308", at=0)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other"])
def test_80_a_slash_that_is_not_followed_can_be_set(lab, status):
    path = "/v1/images/generations/"
    server = lab.serve(lambda conn, seen: conn.sendall(reply(items(GOOD)) if path in seen.line else there))
    there = moved(path, status)
    assert f"set {server.origin}{path} as the base URL" in lab.cell().texts
    lab.use(server.origin, base_url=f"{server.origin}{path}")
    lab.cell("%imagine an owl")
    assert [seen.line.split()[1] for seen in server.seen] == [path.rstrip("/"), path]
    lab.check([Status.UNKNOWN, Status.DONE], 2, delivered=[GOOD], at=0)


def test_80_a_redirect_that_no_base_url_prevents(lab):
    server = lab.serve([])
    targets = (f"{server.origin}/login", "/v1/images/generations")
    server.answer = [moved(targets[0], "302 Found"), moved(targets[1], "301 Moved")]
    for seed, target in enumerate(targets):
        cell = lab.cell(f"%imagine --seed {seed} a red fox")
        assert target in cell.texts
        assert "base URL" not in cell.texts
    lab.check([Status.UNKNOWN] * 2, 2)


FINAL = [event("image_generation.completed", image) for image in PAINTED]
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"type": "usage", "usage": {"total_tokens": 7}}\n\n'
SSE = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked"
JSON = "Content-Type: application/json\r\n"
LONGER = f"{JSON}Content-Length: {len(WHOLE) + 500}"
ENDS = {  # what a server sends before it holds the connection, and what it goes on with
    "[DONE]": (SSE, FINAL[0] + DONE, b""),
    "[DONE] and comments": (SSE, FINAL[0] + DONE, b": keep-alive\n\n"),
    "the last image": (SSE, FINAL[0], b""),
    "the last image and comments": (SSE, FINAL[0], b": ping\n\n"),
    "the last image and events": (SSE, FINAL[0], b'event: ping\ndata: {"type": "ping"}\n\n'),
    "a length that is too large": (LONGER, WHOLE, b""),
    "no length": (JSON + "Connection: keep-alive", WHOLE, b""),
    "no length, and blanks": (JSON + "Connection: keep-alive", WHOLE, b"\n"),
    "no last chunk": (JSON + "Transfer-Encoding: chunked", WHOLE, b""),
    "no last chunk, and blanks": (JSON + "Transfer-Encoding: chunked", WHOLE, b" \r\n"),
}


def hold(head, body, then=b"", status="200 OK", held=None):
    """Return an answer that sends a body and then keeps the connection open, with signs of life."""
    frame = (lambda data: b"%x\r\n%s\r\n" % (len(data), data)) if "chunked" in head else bytes

    def answer(conn, _seen):
        conn.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode() + frame(body))
        with contextlib.suppress(OSError):
            conn.settimeout(0.3)
            while True:
                try:
                    if not conn.recv(1):
                        return
                except TimeoutError:
                    conn.sendall(frame(then) if then else b"")

    return answer


@pytest.mark.parametrize(
    ("kind", "streamed"), [*((kind, "") for kind in ENDS), *((kind, "--stream") for kind in list(ENDS)[:5])]
)
def test_69_a_whole_response_and_then_an_open_connection(lab, kind, streamed):
    head, body, then = ENDS[kind]
    lab.limit(idle=30, whole=30)
    lab.serve(hold(head, body, then))
    lab.cell(f"%imagine {streamed} a red fox")
    lab.check(Status.DONE, 1, delivered=[GOOD if JSON in head else PAINTED[0]], states=["stored"], within=6)


IMAGES = {kind: image_bytes(300, 200, kind=kind.upper()) for kind in ("png", "jpeg", "webp", "gif")}


@pytest.mark.parametrize("base64", [False, True])
@pytest.mark.parametrize("kind", IMAGES)
def test_69_a_whole_image_and_then_an_open_connection(lab, kind, base64):
    image = IMAGES[kind]
    head = f"Content-Type: {'text/plain' if base64 else f'image/{kind}'}\r\nContent-Length: 999999"
    lab.limit(idle=30, whole=30)
    lab.serve(hold(head, b64encode(image) if base64 else image))
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[image], states=["stored"], within=6)


def test_69_a_pause_within_an_image_is_no_end(lab):
    def answer(conn, _seen):
        conn.sendall(reply(b"", length=False, kind="image/jpeg") + GOOD[:-40])
        time.sleep(3.5)
        conn.sendall(GOOD[-40:])

    lab.limit(idle=30, whole=30)
    lab.serve(answer)
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


def test_69_a_whole_download_and_then_an_open_connection(lab):
    server = lab.serve([])
    held = hold("Content-Type: image/jpeg\r\nContent-Length: 999999", GOOD)
    server.answer = [reply({"data": [{"url": f"{server.origin}/x.jpg"}]}), held]
    lab.limit(idle=30, whole=30)
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"], within=6)


def test_69_several_images_and_what_follows_them(lab):
    """The usage behind the last image still counts."""
    parts = [*FINAL[:3], USAGE]

    def answer(conn, seen):
        conn.sendall(reply(b"", length=False, kind="text/event-stream"))
        for part in parts:
            conn.sendall(part)
            time.sleep(0.7)
        conn.recv(1)

    lab.limit(idle=30, whole=30)
    lab.serve(answer)
    lab.cell("%imagine -n 3 --stream a red fox")
    assert lab.runs[0].response["usage"] == {"total_tokens": 7}
    lab.check(Status.DONE, 1, delivered=PAINTED[:3], states=["stored"] * 3, within=9)


def test_69_a_pause_is_no_end(lab):
    """Neither a bracket inside the response nor a pause between two images, or after progress, ends it."""
    cut = WHOLE.index(b"[{") + 1
    parts = [
        (WHOLE[:cut] + b"{},", WHOLE[cut:]),
        (FINAL[0], FINAL[1] + DONE),
        (b'{"status": "running"}\n', WHOLE),
    ]

    def answer(conn, seen):
        first, second = parts.pop(0)
        conn.sendall(reply(b"", length=False, kind="text/event-stream") + first)
        time.sleep(3.5)
        conn.sendall(second)

    lab.limit(idle=30, whole=30)
    lab.serve(answer)
    lab.cell()
    lab.cell("%imagine -n 2 --stream a red fox")
    lab.cell("%imagine a red fox that takes its time")
    lab.check([Status.DONE] * 3, 3, delivered=[GOOD, *PAINTED[:2]], within=9)


LINES_OF_JSON = {
    "a job": ([{"id": "task_1", "status": "queued"}, items(GOOD)], [GOOD]),
    "images": ([items(image) for image in PAINTED[:2]], PAINTED[:2]),
}


@pytest.mark.parametrize("kind", LINES_OF_JSON)
def test_69_a_pause_between_lines_of_json_is_no_end(lab, kind):
    values, images = LINES_OF_JSON[kind]

    def answer(conn, _seen):
        conn.sendall(reply(b"", length=False) + json.dumps(values[0]).encode() + b"\n")
        time.sleep(3.5)
        conn.sendall(json.dumps(values[1]).encode() + b"\n")

    lab.limit(idle=30, whole=30)
    lab.serve(answer)
    lab.cell(f"%imagine -n {len(images)} a red fox")
    lab.check(Status.DONE, 1, delivered=images)


@pytest.mark.parametrize("then", [b"", b"\n"])
def test_69_a_refusal_and_then_an_open_connection(lab, then):
    head = f"{JSON}Content-Length: {len(REFUSAL) + 99}"
    lab.limit(idle=30, whole=30)
    lab.serve(hold(head, REFUSAL, then, "400 Bad Request"))
    lab.cell()
    lab.check(Status.REFUSED, 1, "Not this one", within=6)


def test_70_every_connection_is_kept_alive(lab, monkeypatch):
    """That of the call, of a download, and through a proxy."""
    options = []
    set_option = socket.socket.setsockopt

    def note(self, *given):
        options.append(given)
        return set_option(self, *given)

    monkeypatch.setattr(socket.socket, "setsockopt", note)
    server = lab.serve([])
    server.answer = [reply({"data": [{"url": f"{server.origin}/x.png"}]}), reply(GOOD, kind="image/png")]
    lab.cell()
    proxy = lab.other(lambda conn, _seen: conn.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"))
    monkeypatch.setenv("HTTP_PROXY", proxy.origin)
    lab.use("http://gpu.test", allow_http=True)
    lab.cell("%imagine an owl")
    wanted = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 60),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5),
    ]
    assert [options.count(option) for option in wanted] == [3, 3, 3, 3]
    lab.others.clear()
    lab.check([Status.DONE, Status.UNKNOWN], 1, delivered=[GOOD])


@pytest.mark.parametrize(
    ("setting", "value", "answer"),
    [("idle_timeout", 1, hang), ("call_timeout", 2, trickle_body), ("call_timeout", 1.5, hang)],
)
def test_70_limits_of_an_endpoint_are_named(lab, setting, value, answer):
    lab.serve(answer, **{"idle_timeout": 30, "call_timeout": 30, setting: value})
    lab.cell()
    lab.check(Status.UNKNOWN, 1, f"{value} s, its {setting}", within=value + 3)


def test_70_a_server_on_this_machine_may_be_silent(lab, monkeypatch):
    """Only its own settings limit it; elsewhere there are limits."""

    def answer(conn, _seen):
        time.sleep(2)
        conn.sendall(reply(items(GOOD)))

    lab.limit(idle=0.5, whole=1)
    lab.serve(answer, idle_timeout=None, call_timeout=None)
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[GOOD], within=6)
