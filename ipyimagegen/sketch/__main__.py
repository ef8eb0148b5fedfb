"""`python -m ipyimagegen.sketch`: the engine as a server for any client of the OpenAI Images API."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import socket
import sys
from socketserver import TCPServer, ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from ipyimagegen.sketch.app import create_app


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a slow call must not keep the interpreter alive
    allow_reuse_address = os.name != "nt"  # there it would let two servers share the port

    def server_bind(self) -> None:
        """Bind without asking the name service who we are: that can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, *_: object) -> None:
        """Stay quiet when a client goes away; say the rest in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            print(f"sketch: {type(error).__name__} while answering", file=sys.stderr, flush=True)


class _Handler(WSGIRequestHandler):
    def parse_request(self) -> bool:
        """Ask for a body that waits to be asked for: curl would hold a picture back for a second."""
        good = super().parse_request()
        if good and self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return good

    def log_request(self, code: int | str = "-", *_: object) -> None:
        """Print method, path and status; never the body, so no prompt."""
        path = self.path.partition("?")[0][:120]
        print(f"{self.command} {path} {int(code)}", file=sys.stderr, flush=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Print nothing else."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ipyimagegen.sketch", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8080, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--key-env", metavar="NAME", help="environment variable that holds the key clients must send"
    )
    parser.add_argument(
        "--fault", metavar="F", help="go wrong in every call: slow:5, 429, refusal, wrong_size, fewer, cut"
    )
    options = parser.parse_args(arguments)
    key = os.environ.get(options.key_env) if options.key_env else None
    if options.key_env and not key:
        return _fail(f"the environment variable {options.key_env} is not set")
    try:
        app = create_app(key=key, fault=options.fault)
        server = _listen(options.host, options.port)
    except (ValueError, OverflowError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"cannot listen on {options.host}:{options.port}: {error.strerror or error}")
    server.set_app(app)
    if not key and not _loopback(options.host):
        print(
            "Warning: anyone who reaches this address can draw here; --key-env NAME asks for a key.",
            file=sys.stderr,
        )
    _serve(server, options.host)
    return 0


def _listen(host: str, port: int) -> _Server:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = type("Server", (_Server,), {"address_family": family})
    server: _Server = kind((host, port), _Handler)
    return server


def _serve(server: _Server, host: str) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shown = f"[{host}]" if ":" in host else host
    try:
        print(f"sketch draws at http://{shown}:{server.server_port}/v1 (Ctrl-C stops it)", flush=True)
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        print("sketch stopped", flush=True)
    finally:
        server.server_close()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fail(message: str) -> int:
    print(f"sketch: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
