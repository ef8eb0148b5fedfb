"""A server on loopback whose replies are written whole, head and all."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Serving:
    """A server that runs while its block runs; `reply` writes the answers."""

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(outer.reply(self.headers["Content-Type"], raw))

            def do_GET(self) -> None:
                self.send_error(410)  # the URLs in its answers do not exist, and never will

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, kind: str, raw: bytes) -> bytes:
        """Return head and body for a request of that content type."""
        raise NotImplementedError
