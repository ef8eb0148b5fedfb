"""What tests share: a store of their own, a real kernel, a real HTTP server on loopback."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import queue
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel
from PIL import Image

CANARY = "sk-canary-0123456789abcdefXYZ"
_OURS = re.compile(r"IPYIMAGEGEN_|OPENAI_|.*_API_KEY$")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give every test a store, and no keys or addresses of the machine's own."""
    for name in list(os.environ):
        if _OURS.match(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("IPYIMAGEGEN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def picture_bytes(width=64, height=48, colour=(200, 30, 30), kind="PNG", mode="RGB"):
    """Return a real picture file."""
    out = io.BytesIO()
    Image.new(mode, (width, height), colour).save(out, kind)
    return out.getvalue()


def b64(data):
    """Return bytes as the API sends them."""
    return base64.b64encode(data).decode()


@dataclass
class Seen:
    """One request that a server got."""

    method: str
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass
class Server:
    """A server on loopback; `answer(seen)` returns (status, headers, bytes or JSON)."""

    base_url: str
    requests: list[Seen] = field(default_factory=list)

    @property
    def posts(self):
        """Return the POSTs that arrived: what may have cost money."""
        return [one for one in self.requests if one.method == "POST"]


@pytest.fixture
def serve():
    """Return a function that starts a server for `answer` and stops it at the end of the test."""
    running = []

    def start(answer):
        server = Server("")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("Content-Length") or 0)
                seen = Seen(self.command, self.path, dict(self.headers), self.rfile.read(length))
                server.requests.append(seen)
                status, headers, body = answer(seen)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(data)

            do_GET = do_POST  # noqa: N815 - the standard library's name

            def log_message(self, *args):
                pass

        httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        httpd.daemon_threads = True
        threading.Thread(target=httpd.serve_forever, daemon=True, args=(0.05,)).start()
        running.append(httpd)
        server.base_url = f"http://127.0.0.1:{httpd.server_port}/v1"
        return server

    yield start
    for httpd in running:
        httpd.shutdown()
        httpd.server_close()


@dataclass
class Cell:
    """What a cell left in the notebook."""

    outputs: list

    @property
    def error(self):
        """Return the error's text as the notebook shows it, or None."""
        found = [one for one in self.outputs if one["output_type"] == "error"]
        return "\n".join(found[0]["traceback"]) if found else None

    @property
    def texts(self):
        """Return the text of every output, errors left out."""
        return [
            one["text"] if one["output_type"] == "stream" else one["data"].get("text/plain", "")
            for one in self.outputs
            if one["output_type"] != "error"
        ]

    @property
    def caption(self):
        """Return the last text."""
        return self.texts[-1]

    @property
    def pictures(self):
        """Return the pictures shown, as Pillow images."""
        found = []
        for one in self.outputs:
            for mime, data in one.get("data", {}).items():
                if mime.startswith("image/"):
                    found.append(Image.open(io.BytesIO(base64.b64decode(data))))
        return found


class Kernel:
    """A real IPython kernel; `run` runs a cell and keeps outputs as a notebook would."""

    def __init__(self, environ):
        self.manager, self.client = start_new_kernel(kernel_name="python3", env=environ)

    def start(self, code):
        """Begin a cell without waiting for it."""
        return self.client.execute(code, allow_stdin=False)

    def run(self, code, timeout=60):
        """Run a cell and return what it left."""
        return self.collect(self.start(code), timeout)

    def collect(self, message, timeout=60):
        """Wait for a cell and return what it left."""
        outputs, by_id = [], {}
        while True:
            got = self.client.get_iopub_msg(timeout=timeout)
            if got["parent_header"].get("msg_id") != message:
                continue
            kind, content = got["msg_type"], got["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind in ("display_data", "execute_result", "error"):
                outputs.append({"output_type": kind, **content})
                if display_id := content.get("transient", {}).get("display_id"):
                    by_id[display_id] = outputs[-1]
            elif kind == "stream":
                outputs.append({"output_type": kind, **content})
            elif kind == "update_display_data":
                by_id[content["transient"]["display_id"]].update(content)
        with contextlib.suppress(queue.Empty):
            self.client.get_shell_msg(timeout=0.01)
        return Cell(outputs)

    def interrupt(self):
        """Press the stop button."""
        self.manager.interrupt_kernel()

    def stop(self):
        """End the kernel at once."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def kernel_environ(home, **more):
    """Return the environment of a fresh kernel."""
    kept = {k: v for k, v in os.environ.items() if not _OURS.match(k)}
    return {**kept, "IPYIMAGEGEN_HOME": str(home), "PYTHONFAULTHANDLER": "1", **more}


@pytest.fixture(scope="module")
def _one_kernel(tmp_path_factory):
    kernel = Kernel(kernel_environ(tmp_path_factory.mktemp("unused")))
    yield kernel
    kernel.stop()


@pytest.fixture
def kernel(_one_kernel, home, tmp_path):
    """Return a kernel with the extension freshly loaded, a new session and an empty store."""
    done = _one_kernel.run(
        "%reset -f\n"
        "import os, ipyimagegen\n"
        "for name in list(os.environ):\n"
        "    if name.startswith(('IPYIMAGEGEN_', 'OPENAI_')) or name.endswith('_API_KEY'):\n"
        "        del os.environ[name]\n"
        f"os.environ['IPYIMAGEGEN_HOME'] = {str(home)!r}\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "ipyimagegen.default_studio.cache_clear()\n"
        "get_ipython().config.pop('Imagine', None)  # what %config set survives a reload\n"
        "%reload_ext ipyimagegen\n"
    )
    assert done.error is None, done.error
    return _one_kernel


def records(home):
    """Return every record in a store as JSON, by lasting id."""
    found = {}
    for path in sorted(Path(home, "records").glob("*/*.json")):
        found[f"{path.parent.name}/{path.stem}"] = json.loads(path.read_text())
    return found
