"""What tests share: a store of their own, a real kernel, a real HTTP server on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sockets
from hypothesis import HealthCheck, settings
from kernels import OURS, Kernel, kernel_environ
from loopback import Seen, Server

# A property is tried with the same cases in every run; `--hypothesis-profile thorough` tries many others.
_ANY = {
    "deadline": None,
    "database": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("everyone", **_ANY, max_examples=200, derandomize=True)
settings.register_profile("thorough", **_ANY, max_examples=10_000)
settings.load_profile("everyone")


HERE = Path(__file__).parent

# What takes longest: everything else runs in ten minutes on two cores (`-m "not slow"`).
SLOW = (
    "browser/",
    "faults/test_faults_disk.py",
    "faults/test_faults_keys.py",
    "faults/test_faults_strangers.py",
    "store/test_store_every_call.py",
    "store/test_store_every_paid.py",
)
# What a change is first tried with: no kernel, no browser, no kills (`-m fast`).
FAST = (
    "catalog/",
    "core/",
    "results/",
    "client/test_client_dialects.py",
    "client/test_client_errors.py",
    "imaging/test_imaging_masks.py",
    "imaging/test_imaging_sniff.py",
    "notebook/test_consistency.py",
    "notebook/test_line.py",
    "properties/test_property_forms.py",
    "properties/test_property_lines.py",
    "test_arrows.py",
    "test_messages.py",
    "test_public.py",
    "test_studio.py",
)


def pytest_collection_modifyitems(items):
    """Mark tests by their file, so that the two lists are in one place."""
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        path = item.path.relative_to(HERE).as_posix()
        for mark, files in (("slow", SLOW), ("fast", FAST)):
            if path.startswith(files):
                item.add_marker(mark)


def pytest_terminal_summary(terminalreporter):
    """Print the table of faults, in whichever process each was made: fault, class, POSTs, seconds."""
    reports = (
        report
        for some in terminalreporter.stats.values()
        for report in some
        if hasattr(report, "user_properties")
    )
    faults = [row for report in reports for name, row in report.user_properties if name == "fault"]
    rows = {}
    for number, title, status, posts, seconds in sorted(faults):
        columns = rows.setdefault((number, title), ([], [], []))
        for column, value in zip(columns, (status, str(posts), seconds), strict=True):
            column.append(value)
    if rows:
        terminalreporter.section("faults")
    for (number, title), (statuses, posts, seconds) in rows.items():
        texts = " / ".join(dict.fromkeys(statuses)), " / ".join(dict.fromkeys(posts))
        terminalreporter.write_line(
            f"{number:2}  {title:52.52}  {texts[0]:24}  P={texts[1]:6} {max(seconds):6.2f} s"
        )


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Give every test a store, and no keys or addresses of the machine's own."""
    for name in list(os.environ):
        if OURS.match(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("IPYIMAGEGEN_HOME", str(tmp_path / "home"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


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


@pytest.fixture
def start():
    """Return a function that starts a raw server and stops it at the end of the test."""
    with contextlib.ExitStack() as stack:

        def run(answer, tls=None):
            server = sockets.Server(answer, tls)
            stack.callback(server.close)
            return server

        yield run


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A self-signed certificate that nobody trusts, as a file of key and certificate."""
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=IP:127.0.0.1,DNS:images.test"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        f"/CN=127.0.0.1 -addext {names} -keyout {folder}/key.pem -out {folder}/cert.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return folder


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.fixture
def trusted(tls, certificate, monkeypatch):
    """The same certificate, trusted by the client."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    return tls


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
        "ipyimagegen._DEFAULT.clear()\n"
        "get_ipython().config.pop('Imagine', None)  # what %config set survives a reload\n"
        "%reload_ext ipyimagegen\n"
    )
    assert done.error is None, done.error
    return _one_kernel
