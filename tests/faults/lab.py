"""A place to break things: a real shell with the extension, servers that misbehave, and the one check.

Every fault ends with `Lab.check`, which asserts everything that must hold after any fault.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import logging
import pickle
import re
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import nbformat
from canary import KEY, traces, traces_in
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.ultratb import VerboseTB
from loopback import image_bytes
from nbconvert import HTMLExporter
from sockets import Server
from traitlets import Type
from traitlets.config import Config
from watching import Peak, watched_network, watched_writes

import ipyimagegen
from ipyimagegen.client import CancelToken, Timeouts
from ipyimagegen.core import errors as e
from ipyimagegen.session.studio import Studio

MIB = 1 << 20
SLACK = 2.0  # seconds after the deadline
IMAGE = 64 * MIB  # the cap of one image, and of a reply for each image asked for
BILL = re.compile(r"(?i)billed|charged|costs? nothing|nothing was sent|not sent|not used|goes on")
NEXT = re.compile(
    r"(?i)run the cell again|--retry|%imagine_|add credit|choose another|"
    r"\b(set|use|write|choose|give|remove|send|describe|save)\b"
)
# What a server delivers when all is well.
PAINTED = [image_bytes(64, 48, (40 * i, 90, 10)) for i in range(4)]
# What a fresh process reads of a store.
READ = """
import json, sys
from pathlib import Path
from ipyimagegen.store import Store
store = Store(Path(sys.argv[1]))
def describe(run):
    images = [[image.state, store.verify(image.sha256) if image.sha256 else None] for image in run.images]
    return [run.id, run.status, images]
print(json.dumps([describe(run) for run in reversed(store.runs())]))
"""


class Shell(InteractiveShell):
    """A real shell with a notebook's outputs, which are kept; nobody is there to answer a question."""

    display_pub_class = Type(CapturingDisplayPublisher)
    kernel = None  # there is one, so images are shown


class Clock:
    """Seconds that pass when somebody waits for them, and only then."""

    def __init__(self):
        self.now, self.waited = 1000.0, []

    def __call__(self):
        return self.now

    def pause(self, event, seconds):
        """Stand for waiting for an event."""
        if not event.is_set():
            self.now += seconds
            self.waited.append(seconds)
        return event.is_set()


@dataclass
class Cell:
    """What a cell left: outputs as a notebook keeps them, printed text, the error, seconds it took."""

    code: str
    outputs: list
    printed: str
    error: BaseException | None
    seconds: float

    @property
    def texts(self):
        """Everything that can be read under the cell."""
        plain = [output["data"].get("text/plain", "") for output in self.outputs]
        return "\n".join([*plain, str(self.error or "")])

    @property
    def images(self):
        """The outputs that are images."""
        return [
            output for output in self.outputs if any(mime.startswith("image/") for mime in output["data"])
        ]


@dataclass
class Lab:
    """One fault: the servers, the store, the shell, and what is seen of them."""

    folder: Path
    home: Path
    timeouts: Timeouts = field(default_factory=lambda: Timeouts(connect=2, idle=3, whole=4))  # seconds
    servers: list[Server] = field(default_factory=list)  # those that are asked
    others: list[Server] = field(default_factory=list)  # those that must never see the key
    secrets: list[str] = field(default_factory=lambda: [KEY])  # what nothing that is kept may hold
    cells: list[Cell] = field(default_factory=list)
    elsewhere: list = field(default_factory=list)  # real kernels in which cells run too
    _unwritten: list = field(default_factory=list)  # cells whose traces are not yet in files
    entry: dict = field(default_factory=dict)  # of the server that is asked
    took: float | None = None  # seconds that the table shows, if not those of the longest cell
    checked: bool = False
    row: tuple = ()

    def __enter__(self):
        self.artefacts = self.folder / "artefacts"
        self.artefacts.mkdir()
        self._log = logging.FileHandler(self.artefacts / "debug.log")
        logging.getLogger().addHandler(self._log)
        logging.getLogger().setLevel(logging.DEBUG)
        InteractiveShell.clear_instance()
        quiet = Config({"HistoryManager": {"enabled": False}, "InteractiveShell": {"colors": "nocolor"}})
        self.shell = Shell.instance(config=quiet)
        self.new_session()
        self._before = self._outside()
        self._writes, self._stop_watching = watched_writes((self.home, self.artefacts))
        # The addresses connected to, and the names looked up.
        self.connects, self.names, self._stop_listening = watched_network()
        self.memory = Peak()
        return self

    def __exit__(self, *failed):
        self._stop_watching()
        self._stop_listening()
        logging.getLogger().removeHandler(self._log)
        logging.getLogger().setLevel(logging.WARNING)
        for server in (*self.servers, *self.others):
            server.close()
        ipyimagegen._DEFAULT.clear()
        self.shell.restore_sys_module_state()
        Shell.clear_instance()

    # What a test does

    def new_session(self):
        """Begin as after a restart of the kernel: a new studio on the same store."""
        self.studio = Studio(home=self.home)
        ipyimagegen._DEFAULT[:] = [self.studio]
        ipyimagegen.attach(self.studio, self.shell)  # as default_studio() does, also before the first magic
        ipyimagegen.load_ipython_extension(self.shell)
        self.tools(timeouts=self.timeouts)

    def tools(self, **changes):
        """Change what calls are made with: timeouts, clock, chance."""
        self.studio.tools = replace(self.studio.tools, **changes)

    def limit(self, **seconds):
        """Set the seconds to connect, without a byte, and for a whole call."""
        self.timeouts = replace(self.timeouts, **seconds)
        self.tools(timeouts=self.timeouts)
        if self.entry:
            self.configure()

    def wait_on(self, clock, random=lambda: 0.5):
        """Let calls wait on this clock, and take this for chance."""
        self.tools(control=lambda: CancelToken(clock, clock.pause), random=random)

    def serve(self, answer, tls=None, **entry):
        """Start the server that cells ask; `entry` adds to its entry in the settings."""
        self.servers.append(Server(answer, tls))
        return self.use(self.servers[-1].origin, **entry)

    def use(self, origin, **entry):
        """Ask the server at an address from now on."""
        self.entry = {"base_url": f"{origin}/v1", "key_env": "LAB_KEY", "free": False, **entry}
        self.configure()
        return self.servers[-1] if self.servers else None

    def configure(self):
        """Set the endpoint, with the limits of time that a server on this machine lacks."""
        own = {"idle_timeout": self.timeouts.idle, "call_timeout": self.timeouts.whole, **self.entry}
        self.configured = f"%config Imagine.endpoints = {{'lab': {own!r}}}\n%config Imagine.endpoint = 'lab'"
        self.shell.run_cell(self.configured)

    def other(self, answer, tls=None):
        """Start a server that must never see the key."""
        self.others.append(Server(answer, tls))
        return self.others[-1]

    def put(self, name, text):
        """Write a file of the user's own beside the store, such as .netrc."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        self._writes[:] = [write for write in self._writes if not write.endswith(f" {path}")]
        self._before = self._outside()

    def cell(self, code="%imagine a red fox"):
        """Run a cell, and keep what it leaves."""
        publisher, printed, began = self.shell.display_pub, io.StringIO(), time.monotonic()
        publisher.outputs.clear()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            done = self.shell.run_cell(code, store_history=True)
        error = done.error_before_exec or done.error_in_exec
        took = time.monotonic() - began
        return self.add(Cell(code, list(publisher.outputs), printed.getvalue(), error, took), done.result)

    def add(self, cell, result=None):
        """Keep what a cell left, wherever it ran; written out when it is checked, which takes memory."""
        self.cells.append(cell)
        self._unwritten.append((len(self.cells), cell, result))
        return cell

    @property
    def posts(self):
        """How many POSTs arrived."""
        return sum(server.posts for server in self.servers)

    @property
    def runs(self):
        """The runs on disk, oldest first."""
        return list(reversed(self.studio.store.runs()))

    # What is kept of each cell, to be looked through for the key

    def _keep(self, number, cell, result):
        place = self.artefacts / f"cell-{number}"
        place.with_suffix(".txt").write_text(cell.printed + cell.texts, errors="replace")
        outputs = [
            nbformat.v4.new_output("display_data", data=_encoded(output["data"]), metadata=output["metadata"])
            for output in cell.outputs
        ]
        if cell.error:
            lines = getattr(cell.error, "_render_traceback_", lambda: [str(cell.error)])()
            fields = {"ename": type(cell.error).__name__, "evalue": str(cell.error), "traceback": lines}
            outputs.append(nbformat.v4.new_output("error", **fields))
            place.with_suffix(".traceback").write_text(_verbose(cell.error), errors="replace")
            place.with_suffix(".pickle").write_bytes(pickle.dumps(cell.error))
        elif isinstance(result, ipyimagegen.Generation):
            place.with_suffix(".pickle").write_bytes(pickle.dumps(result))
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.code, outputs=outputs)])
        place.with_suffix(".ipynb").write_text(json.dumps(notebook))
        html, _ = _exporter().from_notebook_node(notebook)
        place.with_suffix(".html").write_text(html)

    # The check

    def check(
        self, status, posts, says="", *, delivered=(), raw=b"", states=None, within=None, images=None, at=-1
    ):
        """Assert everything that must hold after any fault.

        `status` is that of the only run, a list of them in order, or None where nothing was recorded;
        `posts` the POSTs that arrived; `says` a pattern in what cell `at` showed. `delivered` are the
        images that the server got through whole, `raw` bytes of a reply that must be kept, `states`
        those of the images of the last run, `images` how many outputs with images the cell has.
        """
        self.checked = True
        cell, seconds = self.cells[at], max(other.seconds for other in self.cells)
        expected = [] if status is None else status if isinstance(status, list) else [status]
        statuses = [str(state) for state in expected] or ["refused here"]
        each = self.posts // len(statuses) if self.posts % len(statuses) == 0 else self.posts
        self.row = (", ".join(dict.fromkeys(statuses)), each, self.took or seconds)
        assert self.posts == posts, [request.line for server in self.servers for request in server.seen]
        self._settled()
        grown = self.memory.grown()  # before this check takes memory of its own
        while self._unwritten:
            self._keep(*self._unwritten.pop(0))
        fresh = self._fresh()
        assert [status for _, status, _ in fresh] == [str(state) for state in expected]
        assert [run.status for run in self.runs] == expected
        self._nothing_lost(delivered, raw, fresh, states)
        self._check_cells(cell, says, shown=images if images is not None else int(cell.error is None))
        self._no_key()
        limit = within if within is not None else self.timeouts.whole + SLACK
        assert seconds <= limit, f"{seconds:.1f} s"
        assert self._outside() == self._before, "written outside the store"
        for written, taken in ((self._writes, grown), *(kernel.describe_use() for kernel in self.elsewhere)):
            assert written == [], "written outside the store"
            assert taken < IMAGE + 64 * MIB

    def _settled(self):
        """Wait until no call is in flight: what is read then is what stays."""
        until = time.monotonic() + 20
        while self.studio.ledger.in_flight() and time.monotonic() < until:
            time.sleep(0.02)
        assert not self.studio.ledger.in_flight()

    def _fresh(self):
        done = subprocess.run(
            [sys.executable, "-c", READ, self.home], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _nothing_lost(self, delivered, raw, fresh, states):
        kept = {
            path.stem: path for part in ("images/*", "quarantine") for path in self.home.glob(f"{part}/*")
        }
        for image in delivered:
            path = kept.get(hashlib.sha256(image).hexdigest())
            assert path, "an image that was delivered is not in the store"
            assert path.read_bytes() == image
        for name, path in kept.items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == name, f"{path} does not hold its hash"
        if raw:
            files = (path.read_bytes() for path in self.home.rglob("*") if path.is_file())
            assert any(raw in data for data in files), "what the server sent is not kept"
        for run_id, status, images in fresh:
            for state, intact in images:
                assert intact or state not in ("stored", "partial"), f"{run_id} is {status} without its files"
        if states is not None:
            assert [state for state, _ in fresh[-1][2]] == states

    def _check_cells(self, cell, says, shown):
        assert re.search(says, cell.texts, re.IGNORECASE), cell.texts
        assert len(cell.images) == shown, cell.texts
        for other in self.cells:
            if other.error:
                assert isinstance(other.error, e.ImagineError), _verbose(other.error)
                _can_be_acted_on(str(other.error))

    def _no_key(self):
        self._log.flush()
        assert traces_in(self.folder, self.secrets) == {}
        assert not traces("\n".join(f"{run!r}" for run in self.runs), self.secrets)
        for server in self.others:
            assert not traces(bytes(server.received)), "the key came to another server"

    def _outside(self):
        """Return the files beside the store and what this test keeps itself."""
        return sorted(
            path
            for path in self.folder.rglob("*")
            if self.home not in (path, *path.parents) and self.artefacts not in (path, *path.parents)
        )


@cache
def _exporter():
    """Return what makes HTML: one for all cells, for it compiles its templates."""
    return HTMLExporter(template_name="basic")


def _can_be_acted_on(message):
    """Assert that a message is one or two lines with the state of the bill and the next step."""
    assert 1 <= len(message.splitlines()) <= 2, message
    assert message.replace("\n", " ").isprintable(), message
    assert BILL.search(message), f"no word of the bill: {message}"
    assert NEXT.search(message), f"no next step: {message}"


def _verbose(error):
    """Return the tracebacks with all variables of all frames, causes and contexts too."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = VerboseTB(theme_name="nocolor").text(type(error), error, error.__traceback__)
    return "".join(shown.format()) + ours


def _encoded(data):
    """Return the data of an output with its images as base64, as a file has them."""
    return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in data.items()}
