"""Three writers on one store, killed at random times: one table of what was found in the end.

    python benchmarks/kills.py [--kills 240] [--seed 0]

The game and its rules are those of tests/store/test_store_kills.py; it ends with an error when anything
was damaged, lost or paid twice.
"""

import argparse
import contextlib
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from figures import Row, show

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "store")]


def serve(answer):
    """Start a server on loopback that ends with this process."""
    from loopback import Seen, Server

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            _, headers, data = answer(Seen(self.command, self.path, dict(self.headers), body))
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def handle(self):
            with contextlib.suppress(ConnectionError):  # whoever asked was killed
                super().handle()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return Server(f"http://127.0.0.1:{server.server_port}/v1")


def main():
    from random_kills import Game, check

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        game = Game(home=Path(folder, "home"), serve=serve, seed=asked.seed)
        seconds = game.play(asked.kills)
        problems = check(game)
    rows = [Row("kills", asked.kills, unit=""), Row("seconds", seconds, unit="s")]
    show("Random kills", [*rows, *(Row(name, figure, unit="") for name, figure in problems.items())])


if __name__ == "__main__":
    main()
