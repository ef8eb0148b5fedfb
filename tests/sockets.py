"""Raw socket servers on loopback that misbehave on purpose; each counts what it was sent."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loopback import b64

from ipyimagegen.core.endpoints import Endpoint, to_origin
from ipyimagegen.core.redact import ApiKey, Credentials

KEY = "sk-canary-0123456789abcdef"
IMAGES = [b"\x89PNG\r\n\x1a\n" + bytes([i]) * (40_000 + i) for i in range(4)]


@dataclass
class Seen:
    """One request as the server read it."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A socket server; `answer` is bytes, or a function of the connection and the request.

    A list of answers is given one by one, the last one from then on. An `early` one comes as soon as
    the head of the request is read. A TLS hello to a server without TLS counts as a request.
    """

    answer: bytes | Callable[[socket.socket, Seen], None] | list
    tls: ssl.SSLContext | None = None
    early: bool = False
    seen: list[Seen] = field(default_factory=list)
    accepted: int = 0
    received: bytearray = field(default_factory=bytearray)  # every byte, also of what is no request
    requested: threading.Event = field(default_factory=threading.Event)  # there is something in `seen`
    done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def origin(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def posts(self):
        return sum(request.line.startswith("POST") for request in self.seen)

    def _run(self):
        while not self.done.is_set():
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        conn.settimeout(20)
        try:
            if self.tls:
                conn = self.tls.wrap_socket(conn, server_side=True)
            seen = read_request(conn, self.received, early=self.early)
            if seen is None:
                return
            self.seen.append(seen)
            self.requested.set()
            answer = self.answer
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            if callable(answer):
                answer(conn, seen)
            else:
                conn.sendall(answer)
        except OSError:
            pass
        finally:
            conn.close()

    def close(self):
        self.done.set()
        # Waking the blocked accept: closing alone leaves it asleep on Linux.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def read_request(conn, received=None, *, early=False):
    """Return a request, None when the connection ends before its head; `received` collects all bytes.

    `early`: with as much of its body as came along with the head.
    """
    received, data = bytearray() if received is None else received, b""
    while b"\r\n\r\n" not in data:
        if not (more := conn.recv(65536)):
            return None
        received += more
        data += more
        if data.startswith(b"\x16\x03"):
            return Seen("TLS hello", {}, data)
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
    while not early and len(body) < int(headers.get("content-length", 0)):
        if not (more := conn.recv(65536)):
            return None
        received += more
        body += more
    return Seen(line, headers, body)


def reply(body, status="200 OK", *headers, length=True, kind="application/json"):
    """Return the bytes of an HTTP response."""
    if not isinstance(body, bytes):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *headers]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def items(*images):
    """Return the JSON of a response with these images."""
    return {"created": 1, "data": [{"b64_json": b64(image)} for image in images]}


def images(count=1, of=IMAGES):
    return items(*of[:count])


def reset(conn, _seen=None):
    """Close with RST."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    conn.close()


def cut_body(conn, _):
    """End 500 bytes too early."""
    conn.sendall(reply(images())[:-500])


def hang(conn, _seen=None):
    """Say nothing until the other side is gone."""
    conn.recv(1)


def trickle_head(conn, _):
    """Answer a byte at a time."""
    for byte in reply(images()):
        conn.sendall(bytes([byte]))
        time.sleep(0.05)


def trickle_body(conn, _):
    """Answer with blanks, one at a time, for ever."""
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
    while True:
        conn.sendall(b" ")
        time.sleep(0.05)


def status_line_only(conn, _):
    """Begin an answer, and no more."""
    conn.sendall(b"HTTP/1.1 200 OK\r\n")
    conn.recv(1)


def endpoint_at(origin, **fields):
    return Endpoint(name="lab", base_url=f"{origin}/v1", **fields)


def credentials_of(key, base_url, **headers):
    """Return what the server at a base URL gets: a key, and headers."""
    key = ApiKey(key, base_url) if key else None
    return Credentials(origin=to_origin(base_url), key=key, headers=headers)
