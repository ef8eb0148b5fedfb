"""What the server answers with: replies, refusals, and the API's error envelope."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; `body` goes out in pieces, each as soon as it is there.

    `length` is what is promised: of a tuple the whole, if None; of anything else nothing, if None.
    """

    status: int
    body: Iterable[bytes]
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        """Return a JSON reply."""
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, (json.dumps(value).encode(),), headers=names)

    def start(self) -> tuple[str, list[tuple[str, str]]]:
        """Return the WSGI status line and headers."""
        length = self.length
        if length is None and isinstance(self.body, tuple):
            length = sum(map(len, self.body))
        promised = {} if length is None else {"Content-Length": str(length)}
        known = {"Content-Type": self.content_type, "x-request-id": f"req_{secrets.token_hex(16)}"}
        headers = {**known, **promised, **self.headers}
        return f"{self.status} {HTTPStatus(self.status).phrase}", list(headers.items())

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""
        yield from self.body


class Refusal(Exception):
    """A request that is answered with an error envelope."""

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
        self.reply = Reply.of({"error": error}, status, **(headers or {}))


def failure(
    message: str = "The server had an error while processing your request.",
) -> dict[str, Any]:
    """Return the envelope of an error of the server's own."""
    return {"error": {"message": message, "type": "server_error", "param": None, "code": "server_error"}}


def describe(error: BaseException) -> str:
    """Return the type and place of an error for the log. Its message may hold a prompt."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" at {PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return type(error).__name__ + place


def listed(words: Iterable[str]) -> str:
    """Return words as the API lists them: 'a', 'b', and 'c'."""
    quoted = [f"'{word}'" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
