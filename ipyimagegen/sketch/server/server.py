"""The HTTP server of a class: threads, time limits and a log line for each request.

Each connection carries one request. What arrives too slowly, or is no request, is refused in the
API's error envelope; nothing that a client sends reaches the log unescaped.
"""

from __future__ import annotations

import io
import math
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from ipyimagegen.sketch.server import heads
from ipyimagegen.sketch.server.limits import CHECK
from ipyimagegen.sketch.server.replies import Refusal, Reply, describe, failure

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PIECE = 64 << 10  # bytes that are read at once
DRAINED = 512 << 20  # bytes of a refused body that are read and dropped
SHOWN = 200  # characters of one field of a log line


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the server waits, in seconds, and for how many clients at once.

    The head must be complete in `head`. A body may pause for `body`, must arrive at `rate` bytes a second,
    and be complete in `whole`; a response must be taken as fast. After the response the rest of the request
    is read until the client has been silent for `linger`: closing on unread bytes would reset the
    connection, and the response would not arrive.
    """

    head: float = 10.0
    body: float = 20.0
    rate: float = 16 << 10
    whole: float = 300.0
    linger: float = 2.0
    connections: int = 256


class _Stream(io.RawIOBase):
    """A socket as a file whose reads end at a deadline."""

    def __init__(self, connection: socket.socket, patience: Patience) -> None:
        super().__init__()
        self._connection, self._patience = connection, patience
        self.allow(patience.head)

    def allow(self, seconds: float, rate: float = math.inf, greeting: bytes = b"") -> None:
        """Set the limits of what is read next; the time runs from the first read, after the greeting."""
        self._seconds, self._rate, self._greeting = seconds, rate, greeting
        self._deadline = self._latest = math.inf

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes. Raises TimeoutError for a client that is silent or slow."""
        if self._deadline == math.inf:
            self._deadline = time.monotonic() + self._seconds
            self._latest = time.monotonic() + self._patience.whole
            self.write(self._greeting)
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(min(left, self._seconds))
        size = self._connection.recv_into(buffer)
        self._deadline = min(self._deadline + size / self._rate, self._latest)
        return size

    def write(self, data: Any) -> int:
        """Write all bytes. Raises ConnectionError when they are not taken."""
        self._connection.settimeout(self._patience.body)
        piece = int(self._patience.body * self._patience.rate)  # what is taken in that time
        try:
            for start in range(0, len(data), piece):
                self._connection.sendall(data[start : start + piece])
        except OSError:
            raise ConnectionAbortedError from None
        return len(data)

    def check(self) -> None:
        """Raise ConnectionError if the client has closed the connection."""
        self._connection.settimeout(0)
        try:
            gone = not self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            raise ConnectionAbortedError


class _Exchange(SimpleHandler):
    """Runs the application for one request; `outcome` is the status once the response is sent."""

    os_environ: dict[str, str] = {}  # noqa: RUF012 - instead of the variables of the process
    wsgi_multiprocess = False
    status: str | None = None
    outcome = "client gone"

    def close(self) -> None:
        if self.status:
            self.outcome = self.status[:3]
        super().close()

    def log_exception(self, exc_info: Any) -> None:
        """Note the error for the log line, without a traceback."""
        self.get_stderr().write(describe(exc_info[1]))

    def error_output(self, _: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Return the API's error envelope."""
        reply = Reply.of(failure(), 500)
        start_response(*reply.start(), sys.exc_info())
        return list(reply.body)


class _Handler(WSGIRequestHandler):
    server: Server

    def setup(self) -> None:
        self.connection: socket.socket = self.request
        self.stream = _Stream(self.connection, self.server.patience)
        self.reader = io.BufferedReader(self.stream, PIECE)
        self.command = self.path = self.requestline = ""
        self.errors = io.StringIO()

    def handle(self) -> None:
        """Answer one request and log it in one line."""
        try:
            outcome = self._answer()
        except ConnectionError:
            outcome = "client gone"
        if outcome:
            shown = f"{self.command} {self.path}" if self.command else self.requestline or "(no request)"
            log(shown.partition("?")[0], outcome, self.errors.getvalue())

    def _answer(self) -> str:
        """Answer the request; return what to log, "" for a connection that brings nothing."""
        try:
            first = self.reader.peek(1)[:1]
        except TimeoutError:
            return ""
        if first in (b"", heads.TLS):
            return "closed: TLS on a plain HTTP port" if first else ""
        try:
            self._read_head()
        except TimeoutError:
            return self._refuse(Refusal("The request did not arrive in time.", status=408))
        except Refusal as refusal:
            return self._refuse(refusal)
        writer = cast("BinaryIO", self.stream)
        exchange = _Exchange(self.reader, writer, self.errors, self.get_environ(), multithread=True)
        exchange.run(self.server.app)
        return exchange.outcome

    def _read_head(self) -> None:
        """Read request line and headers, and set the limits of the body. Raises Refusal."""
        self.raw_requestline = heads.read_line(self.reader)
        self.requestline = self.raw_requestline.decode("latin-1").rstrip("\r\n")
        self.command, self.path = heads.parse_line(self.raw_requestline)
        self.request_version = "HTTP/1.1"
        self.headers = heads.read_fields(self.reader)
        self.length = heads.body_length(self.command, self.headers)
        awaited = self.headers.get("Expect", "").lower() == "100-continue"
        patience = self.server.patience
        self.stream.allow(patience.body, patience.rate, b"HTTP/1.1 100 Continue\r\n\r\n" if awaited else b"")

    def _refuse(self, refusal: Refusal) -> str:
        """Send a refusal in the API's envelope; return its status."""
        status, headers = refusal.reply.start()
        lines = [f"HTTP/1.0 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.stream.write("\r\n".join(lines).encode("latin-1") + b"".join(refusal.reply.body))
        return status[:3]

    def get_environ(self) -> WSGIEnvironment:
        """Return PEP 3333's environment, with the address that the client has reached."""
        host, port = self.connection.getsockname()[:2]
        return {
            **super().get_environ(),
            "CONTENT_LENGTH": self.length,
            "SERVER_NAME": f"[{host}]" if ":" in host else host,
            "SERVER_PORT": str(port),
            CHECK: self.stream.check,
        }

    def finish(self) -> None:
        """Read what the client is still sending, so that the response arrives."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.stream.allow(self.server.patience.linger, self.server.patience.rate)
            for _ in range(DRAINED // PIECE):
                if not self.stream.read(PIECE):
                    break


class Server(ThreadingMixIn, WSGIServer):
    """Serves an application on an address, in a thread for each connection."""

    daemon_threads = True  # a slow call must not keep the interpreter alive
    allow_reuse_address = os.name != "nt"  # there it would let two servers share the port
    allow_reuse_port = False  # newer versions of the base class let two servers share the port
    request_queue_size = 256  # connections that wait to be accepted

    def __init__(
        self, address: tuple[str, int], app: WSGIApplication, patience: Patience = Patience()
    ) -> None:
        self.app, self.patience = app, patience
        self._room = threading.Semaphore(patience.connections)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking the name service who we are: that can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection, as soon as there is room for one more."""
        while not self._room.acquire(timeout=0.5):
            pass  # an endless wait could not be interrupted on Windows
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve the connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, *_: object) -> None:
        """Log an error of the server's own in one line."""
        error = sys.exc_info()[1]
        log("(connection)", describe(error) if error else "error")


def log(*fields: str) -> None:
    """Write one line to the standard error: each field in ASCII, without control characters, and cut."""
    safe = [field.encode("unicode_escape").decode("ascii")[:SHOWN] for field in fields if field]
    with suppress(OSError, ValueError, AttributeError):  # a closed terminal must not end the server
        sys.stderr.write(" ".join(safe) + "\n")
        sys.stderr.flush()
