"""A requests adapter that calls a WSGI application in this process: no socket, the same behaviour.

The body streams as the application yields it. An application that fails, or yields less than it announced,
looks like a cut connection. There is no socket to shut down: a deadline or `CancelToken.cancel` takes effect
between two chunks of the body.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class WsgiAdapter(HTTPAdapter):
    """Sends requests to `app`; `mark_sent` is called before the application is."""

    def __init__(self, app: WSGIApplication, mark_sent: Callable[[], None]) -> None:
        super().__init__()
        self._app, self._mark_sent = app, mark_sent

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Return the application's response with its body unread.

        Raises requests.ConnectionError when the application fails before its status line.
        """
        self._mark_sent()
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if head and exc_info is None:
                raise AssertionError("start_response was called twice")
            head[:] = [status, headers, []]
            return head[2].append  # the old write(); its bytes come first

        failed = True
        with suppress(Exception):  # like a dropped connection
            result = self._app(_make_environ(request), start_response)
            parts = iter(result)
            first = [] if head else [next(parts, b"")]
            failed = not head
        if failed:
            raise requests.ConnectionError("the application failed")
        status, headers, written = head
        body = _Body(result, parts, [*written, *first])
        code, _space, reason = status.partition(" ")
        raw = HTTPResponse(
            body=body,
            headers=HTTPHeaderDict(headers),
            status=int(code),
            reason=reason,
            preload_content=False,
            decode_content=False,
            request_method=request.method,
        )
        return self.build_response(request, raw)


class _Body(io.RawIOBase):
    """An application's iterable as a file that returns bytes as they arrive."""

    def __init__(self, result: Iterable[bytes], parts: Iterator[bytes], first: list[bytes]) -> None:
        self._result, self._parts = result, chain(first, parts)
        self._held = b""

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        """Return some bytes, or none at the end. Raises ConnectionResetError when the application fails."""
        failed = True
        with suppress(Exception):  # like a dropped connection
            self._held = self._held or next(filter(None, self._parts), b"")
            failed = False
        if failed:
            raise ConnectionResetError("the application failed")
        cut = len(self._held) if size < 0 else size
        data, self._held = self._held[:cut], self._held[cut:]
        return data

    def close(self) -> None:
        if not self.closed and hasattr(self._result, "close"):
            self._result.close()
        super().close()


def _make_environ(request: requests.PreparedRequest) -> dict[str, Any]:
    """Return PEP 3333's environment of a request."""
    url = urlsplit(request.url or "")
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    assert isinstance(body, bytes)
    headers = {f"HTTP_{k.upper().replace('-', '_')}": v for k, v in request.headers.items()}
    return headers | {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "QUERY_STRING": url.query,
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": url.hostname or "",
        "SERVER_PORT": str(url.port or (443 if url.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": url.netloc.rpartition("@")[2],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
