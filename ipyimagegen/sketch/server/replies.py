"""What the server responds with: replies, refusals, and the API's error envelope."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import PurePath
from typing import Any


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An HTTP response; `body` is sent in pieces, each as soon as it is there.

    `length` is the announced length; the default is that of a tuple, and none for anything else.
    """

    status: int
    body: Iterable[bytes]
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None

    @classmethod
    def from_json(cls, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> HttpReply:
        """Return a JSON reply."""
        return cls(status, (json.dumps(value).encode(),), headers=headers or {})

    def to_wsgi(self) -> tuple[str, list[tuple[str, str]]]:
        """Return the WSGI status line and headers."""
        length = self.length
        if length is None and isinstance(self.body, tuple):
            length = sum(map(len, self.body))
        headers = {"Content-Type": self.content_type, "x-request-id": f"req_{secrets.token_hex(16)}"}
        if length is not None:
            headers["Content-Length"] = str(length)
        return f"{self.status} {HTTPStatus(self.status).phrase}", [*{**headers, **self.headers}.items()]


class Refusal(Exception):
    """A request that is refused with an error envelope."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        error = {"message": message, "type": kind, "param": param, "code": code, **(details or {})}
        self.reply = HttpReply.from_json({"error": error}, status, headers)


def refuse_value(name: str, message: str, code: str = "invalid_value") -> Refusal:
    """Return the refusal of a field's value."""
    return Refusal(message, param=name, code=code)


def refuse_missing(name: str) -> Refusal:
    """Return the refusal of a request without a field that it must have."""
    message = f"Missing required parameter: '{name}'."
    return Refusal(message, param=name, code="missing_required_parameter")


def make_failure(message: str = "The server had an error while processing your request.") -> dict[str, Any]:
    """Return the envelope of an error of the server's own."""
    return {"error": {"message": message, "type": "server_error", "param": None, "code": "server_error"}}


def describe_error(error: BaseException) -> str:
    """Return the type and place of an error for the log. Its message may hold a prompt."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return type(error).__name__ + place


def join_words(words: Iterable[str]) -> str:
    """Return words as the API lists them: 'a', 'b', and 'c'."""
    *first, last = (f"'{word}'" for word in words)
    return f"{', '.join(first)}, and {last}" if first else last
