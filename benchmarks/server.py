"""A server of images on loopback, in a process of its own, that answers at once.

    with serving() as url:  # f"{url}/photo/v1", f"{url}/noise/v1", f"{url}/large/v1", f"{url}/small/v1"

f"{url}/photo-1000/v1" takes a second for each, and has 32 different ones, chosen by the seed.

It ends with the process that started it: when its standard input does, or after an hour.
"""

import base64
import contextlib
import json
import subprocess
import sys
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import samples

LIFE = 3600  # seconds
MOST = 10  # images in one answer
SEEDS = 32  # images of those that are asked for by seed
KINDS = {
    "photo": samples.photo,  # 1024 px, 1.5 MB
    "half": samples.half,  # the same, decoded in a third of the time
    "noise": lambda: samples.noise(720),  # 1.5 MB that no JPEG makes small
    "large": lambda: samples.noise(2450),  # 18 MB
    "small": lambda: samples.photo(64),  # 10 kB: what it costs is the request
}


@cache
def _texts(kind):
    return [
        base64.b64encode(image)
        for image in samples.several(KINDS[kind](), SEEDS if kind in ("photo", "half") else MOST)
    ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(body) if self.headers["Content-Type"] == "application/json" else {}
        kind, _, wait = self.path.split("/")[1].partition("-")
        first = asked.get("seed", 0) % SEEDS if wait else 0
        time.sleep(int(wait or 0) / 1000)
        parts = [b'{"created": 1700000000, "data": [']
        for ordinal, text in enumerate(_texts(kind)[first : first + (asked.get("n") or 1)]):
            parts += [b", " if ordinal else b"", b'{"b64_json": "', text, b'"}']
        parts.append(b'], "usage": {"input_tokens": 9, "output_tokens": 1056, "total_tokens": 1065}}')
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(sum(map(len, parts))))
        self.end_headers()
        for part in parts:
            self.wfile.write(part)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # five, as http.server has it, refuse some of sixteen that come at once


@contextlib.contextmanager
def serving():
    """Run the server and yield its address."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def main():
    for kind in KINDS:
        _texts(kind)
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    for stop in (sys.stdin.read, lambda: time.sleep(LIFE)):
        threading.Thread(target=lambda stop=stop: (stop(), server.shutdown()), daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever(0.1)


if __name__ == "__main__":
    main()
