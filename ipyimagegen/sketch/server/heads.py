"""The head of a request, read strictly: what is malformed or ambiguous is refused, never guessed."""

from __future__ import annotations

import re
from email.parser import HeaderParser
from http.client import HTTPMessage
from typing import TYPE_CHECKING, BinaryIO

from ipyimagegen.sketch.server.replies import Refusal

if TYPE_CHECKING:
    from email.message import Message

LINE = 64 << 10  # bytes of the request line, and of all header lines together
FIELDS = 100  # header lines
TLS = b"\x16"  # the first byte of a TLS handshake
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/([0-9])\.[0-9]\r?\n")
_FIELD = re.compile(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*\r?\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_EMPTY = (b"\r\n", b"\n")


def read_line(file: BinaryIO) -> bytes:
    """Return the request line as it came, b"" if there is none."""
    line = file.readline(LINE + 1)
    return file.readline(LINE + 1) if line in _EMPTY else line  # one empty line may precede it


def parse_line(line: bytes) -> tuple[str, str]:
    """Return method and target. Raises Refusal."""
    if len(line) > LINE:
        raise Refusal(f"The request line is too long: at most {LINE} bytes.", status=414)
    match = _REQUEST.fullmatch(line)
    if not match:
        raise Refusal("Malformed request line: expected METHOD TARGET HTTP/1.1.")
    if match[3] != b"1":
        raise Refusal("This server supports HTTP/1.0 and HTTP/1.1 only.", status=505)
    return match[1].decode("ascii"), match[2].decode("latin-1")


def read_fields(file: BinaryIO) -> Message:
    """Return the headers. Raises Refusal."""
    block, count = b"", 0
    while (line := file.readline(LINE + 1)) not in _EMPTY:
        block, count = block + line, count + 1
        if len(block) > LINE or count > FIELDS:
            message = f"Too many or too long headers: at most {FIELDS} lines and {LINE} bytes."
            raise Refusal(message, status=431)
        if not _FIELD.fullmatch(line):
            raise Refusal(f"Malformed header: line {count}." if line else "The request ends in its head.")
    return HeaderParser(HTTPMessage).parsestr(block.decode("latin-1"))


def body_length(method: str, headers: Message) -> str:
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
