"""What the tests of the class server share: a server in this process, raw connections to it."""

import contextlib
import json
import re
import socket
import threading
from dataclasses import dataclass

from ipyimagegen.sketch.server.http_server import ConnectionLimits, SketchServer

WAIT = 60  # seconds after which a test gives up
ORDINARY = ConnectionLimits()


class JoinedServer(SketchServer):
    """Waits for its threads when it is closed, so that none logs into the next test."""

    daemon_threads = False


@contextlib.contextmanager
def listening(app, limits=ORDINARY):
    """Serve an application in a thread; yield the address."""
    with JoinedServer(("127.0.0.1", 0), app, limits) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address
        finally:
            server.shutdown()
            thread.join(WAIT)


def post(body, path="/v1/images/generations", *headers):
    """Return the bytes of a POST."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: lab", f"Content-Length: {len(raw)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


def connect(address):
    return socket.create_connection(address, WAIT)


def receive(connection):
    """Return everything that comes until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            data += piece
    return data


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self):
        return json.loads(self.body)["error"]


def parse(data):
    """Return a raw response; it must be one whole HTTP response."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.[01] (\d{3}) .+", line)
    assert status, data[:200]
    headers = dict(header.lower().split(": ", 1) for header in rest)
    assert int(headers.get("content-length", len(body))) == len(body)
    return Response(int(status[1]), headers, body)


def exchange(address, data, *, end=False):
    """Send bytes and return all that is answered; `end` says that nothing more will be sent."""
    with connect(address) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return receive(connection)
