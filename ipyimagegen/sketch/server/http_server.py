"""The HTTP server of a class: threads, time limits and a log line for each request.

Each connection carries a single request. Its head is read strictly: what is malformed, ambiguous or too slow
is refused in the API's error envelope. Nothing that a client sends reaches the log unescaped.
"""

from __future__ import annotations

import io
import math
import os
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from http.client import HTTPMessage
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, BinaryIO, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from ipyimagegen.sketch.server.quotas import CHECK
from ipyimagegen.sketch.server.replies import HttpReply, Refusal, describe_error, make_failure

PIECE = 64 << 10  # bytes that are read at once
DRAINED = 512 << 20  # bytes of a refused body that are read and dropped
SHOWN = 200  # characters of a field of a log line
MOST_HEAD = 64 << 10  # bytes of the request line, and of all header lines together
MOST_HEADERS = 100
TLS = b"\x16"  # the first byte of a TLS handshake
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/([0-9])\.[0-9]\r?\n")
_HEADER = re.compile(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r?\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_EMPTY = (b"\r\n", b"\n")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How long the server waits, in seconds, and for how many clients at once.

    The head must be complete in `head`. A body may pause for `body`, must arrive at `rate` bytes a second,
    and be complete in `whole`; a response must be read as fast. After the response the rest of the request
    is read until the client is silent for `linger`: closing on unread bytes would reset the connection, and
    the response would not arrive.
    """

    head: float = 10.0
    body: float = 20.0
    rate: float = 16 << 10
    whole: float = 300.0
    linger: float = 2.0
    connections: int = 256


def read_request_line(file: BinaryIO) -> bytes:
    """Return the request line as it arrives, b"" if there is none."""
    line = file.readline(MOST_HEAD + 1)
    return file.readline(MOST_HEAD + 1) if line in _EMPTY else line  # an empty line may precede it


def parse_request_line(line: bytes) -> tuple[str, str]:
    """Return method and target. Raises Refusal."""
    if len(line) > MOST_HEAD:
        raise Refusal(f"The request line is too long: at most {MOST_HEAD} bytes.", status=414)
    match = _REQUEST.fullmatch(line)
    if not match:
        raise Refusal("Malformed request line: expected METHOD TARGET HTTP/1.1.")
    if match[3] != b"1":
        raise Refusal("This server supports HTTP/1.0 and HTTP/1.1 only.", status=505)
    return match[1].decode("ascii"), match[2].decode("latin-1")


def read_headers(file: BinaryIO) -> Message:
    """Return the headers. Raises Refusal."""
    block, count = b"", 0
    while (line := file.readline(MOST_HEAD + 1)) not in _EMPTY:
        block, count = block + line, count + 1
        if len(block) > MOST_HEAD or count > MOST_HEADERS:
            message = f"Too many or too long headers: at most {MOST_HEADERS} lines and {MOST_HEAD} bytes."
            raise Refusal(message, status=431)
        if not _HEADER.fullmatch(line):
            raise Refusal(f"Malformed header: line {count}." if line else "The request ends in its head.")
    return HeaderParser(HTTPMessage).parsestr(block.decode("latin-1"))


def find_body_length(method: str, headers: Message) -> str:
    """Return the length of the body, "" if there is none. Raises Refusal where it is not certain."""
    lengths = [value.strip(" \t") for value in headers.get_all("Content-Length", [])]
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise Refusal("Malformed Content-Length: expected one decimal number.")
    if "Transfer-Encoding" in headers:
        message = "Transfer-Encoding is not supported. Send the body with a Content-Length."
        raise Refusal(message, status=400 if lengths else 501)
    if not lengths and method in {"POST", "PUT", "PATCH"}:
        raise Refusal("A request with a body requires a Content-Length.", status=411)
    return lengths[0] if lengths else ""


class _SocketStream(io.RawIOBase):
    """A socket as a file whose reads end at a deadline."""

    def __init__(self, connection: socket.socket, limits: ConnectionLimits) -> None:
        super().__init__()
        self._connection, self._limits = connection, limits
        self.limit_reads(limits.head)

    def limit_reads(self, seconds: float, rate: float = math.inf, greeting: bytes = b"") -> None:
        """Set the limits of the next reads; the time runs from the first read, after the greeting."""
        self._seconds, self._rate, self._greeting = seconds, rate, greeting
        self._deadline = self._latest = math.inf

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes. Raises TimeoutError for a client that is silent or slow."""
        if self._deadline == math.inf:
            self._deadline = time.monotonic() + self._seconds
            self._latest = time.monotonic() + self._limits.whole
            self.write(self._greeting)
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(min(left, self._seconds))
        size = self._connection.recv_into(buffer)
        self._deadline = min(self._deadline + size / self._rate, self._latest)
        return size

    def write(self, data: Any) -> int:
        """Write all bytes. Raises ConnectionError when the client does not read them."""
        self._connection.settimeout(self._limits.body)
        piece = int(self._limits.body * self._limits.rate)  # what a client reads in that time
        try:
            for start in range(0, len(data), piece):
                self._connection.sendall(data[start : start + piece])
        except OSError:
            raise ConnectionAbortedError from None
        return len(data)

    def check_client(self) -> None:
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


class _AppRunner(SimpleHandler):
    """Runs the application for a request; `outcome` is the status once the response is sent."""

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
        self.get_stderr().write(describe_error(exc_info[1]))

    def error_output(self, _: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Return the API's error envelope."""
        reply = HttpReply.from_json(make_failure(), 500)
        start_response(*reply.to_wsgi(), sys.exc_info())
        return list(reply.body)


class _RequestHandler(WSGIRequestHandler):
    server: SketchServer

    def setup(self) -> None:
        self.connection: socket.socket = self.request
        self.stream = _SocketStream(self.connection, self.server.limits)
        self.reader = io.BufferedReader(self.stream, PIECE)
        self.command = self.path = self.requestline = ""
        self.errors = io.StringIO()

    def handle(self) -> None:
        """Respond to a request and log it in one line."""
        try:
            outcome = self._respond()
        except ConnectionError:
            outcome = "client gone"
        if outcome:
            shown = f"{self.command} {self.path}" if self.command else self.requestline or "(no request)"
            write_log(shown.partition("?")[0], outcome, self.errors.getvalue())

    def _respond(self) -> str:
        """Respond to the request; return what to log, "" for a connection without a request."""
        try:
            first = self.reader.peek(1)[:1]
        except TimeoutError:
            return ""
        if first in (b"", TLS):
            return "closed: TLS on a plain HTTP port" if first else ""
        try:
            self._read_head()
        except TimeoutError:
            return self._refuse(Refusal("The request did not arrive in time.", status=408))
        except Refusal as refusal:
            return self._refuse(refusal)
        writer = cast("BinaryIO", self.stream)
        runner = _AppRunner(self.reader, writer, self.errors, self.get_environ(), multithread=True)
        runner.run(self.server.app)
        return runner.outcome

    def _read_head(self) -> None:
        """Read request line and headers, and set the limits of the body. Raises Refusal."""
        self.raw_requestline = read_request_line(self.reader)
        self.requestline = self.raw_requestline.decode("latin-1").rstrip("\r\n")
        self.command, self.path = parse_request_line(self.raw_requestline)
        self.request_version = "HTTP/1.1"
        self.headers = read_headers(self.reader)
        self.length = find_body_length(self.command, self.headers)
        awaited = self.headers.get("Expect", "").lower() == "100-continue"
        greeting = b"HTTP/1.1 100 Continue\r\n\r\n" if awaited else b""
        self.stream.limit_reads(self.server.limits.body, self.server.limits.rate, greeting)

    def _refuse(self, refusal: Refusal) -> str:
        """Send a refusal in the API's envelope; return its status."""
        status, headers = refusal.reply.to_wsgi()
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
            CHECK: self.stream.check_client,
        }

    def finish(self) -> None:
        """Read what the client is still sending, so that the response arrives."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.stream.limit_reads(self.server.limits.linger, self.server.limits.rate)
            for _ in range(DRAINED // PIECE):
                if not self.stream.read(PIECE):
                    break


class SketchServer(ThreadingMixIn, WSGIServer):
    """Serves an application on an address, in a thread for each connection."""

    daemon_threads = True  # a slow call must not keep the interpreter alive
    allow_reuse_address = os.name != "nt"  # there it would let two servers share the port
    allow_reuse_port = False  # newer versions of the base class let two servers share the port
    request_queue_size = 256  # connections that wait to be accepted

    def __init__(
        self, address: tuple[str, int], app: WSGIApplication, limits: ConnectionLimits = ConnectionLimits()
    ) -> None:
        self.app, self.limits = app, limits
        self._room = threading.Semaphore(limits.connections)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _RequestHandler)

    def server_bind(self) -> None:
        """Bind without a look-up of the host's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection, as soon as there is room for it."""
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
        write_log("(connection)", describe_error(error) if error else "error")


def write_log(*fields: str) -> None:
    """Write a line to the standard error: each field in ASCII, without control characters, and cut."""
    safe = [field.encode("unicode_escape").decode("ascii")[:SHOWN] for field in fields if field]
    with suppress(OSError, ValueError, AttributeError):  # a closed terminal must not end the server
        sys.stderr.write(" ".join(safe) + "\n")
        sys.stderr.flush()
