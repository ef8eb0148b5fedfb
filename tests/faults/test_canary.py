"""One notebook in a real kernel in which everything goes wrong, at debug log level: no trace of the key."""

import contextlib
import json
import os
import queue
import threading

import nbformat
import pytest
from canary import KEY, traces, traces_in
from kernels import Kernel, kernel_environ
from loopback import b64, image_bytes
from nbconvert import HTMLExporter
from sockets import Server, cut_body, reply, reset

from ipyimagegen import Settings, Studio
from ipyimagegen.client.spool import Spool
from ipyimagegen.core.redact import Redactor
from ipyimagegen.core.run import Status

ECHO = {
    "error": {"message": f"Incorrect key {KEY}, {b64(KEY.encode())}, {KEY[:12]}****{KEY[-4:]}", "code": KEY}
}
IMAGE = {"b64_json": b64(image_bytes()), "revised_prompt": f"a fox with {KEY} and {json.dumps(KEY)}"}
ANSWERS = [
    reply(ECHO, "401 Unauthorized", f"x-request-id: {KEY}", f"Set-Cookie: key={KEY}"),
    reset,
    cut_body,
    reply(f"<html><title>{KEY}</title></html>", "502 Bad Gateway", kind="text/html"),
    reply({"created": 1, "data": [IMAGE], "model": KEY, "usage": {"cost": KEY}}),
    reply({"created": 1, "data": [{"url": f"http://127.0.0.1:1/{KEY}"}]}),
    reply({"created": 1, "data": [{"b64_json": KEY * 400}, {"b64_json": f"@{KEY}@"}]}),
    reply("", "307 Temporary Redirect", f"Location: http://127.0.0.1:1/?key={KEY}"),
]
SETUP = """
import logging, os, pickle, sys, traceback
logging.basicConfig(level=logging.DEBUG, filename='debug.log', force=True)
%load_ext ipyimagegen
%xmode Verbose
%config Imagine.endpoints = {'lab': {'base_url': os.environ['LAB_URL'], 'key_env': 'LAB_KEY', 'free': False}}
%config Imagine.endpoint = 'lab'
from ipyimagegen import default_studio, history, imagine
def show_error(call):
    try:
        return call()
    except BaseException as error:
        with open('errors.pickle', 'ab') as file:
            pickle.dump(error, file)
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        print(''.join(lines), repr(error), vars(error))
"""
AFTER = [
    "imagine('a fox', model=os.environ['LAB_KEY'], new=True)",
    "%imagine --set 'key={os.environ[\"LAB_KEY\"]}' a fox",
    "import ipyimagegen.client as wire\nshow_error(lambda: imagine('a fox', extra={'x': object()}))",
    "print(default_studio(), vars(default_studio()), default_studio().keys, default_studio().settings)",
    "print([[made, made.run, vars(made), pickle.dumps(made)] for made in history])",
    *("%imagine_history --all", "%imagine_cost", "%imagine_endpoints", "%imagine_doctor", "%config Imagine"),
    *(f"%imagine_show {number}" for number in range(1, 1 + len(ANSWERS))),
    "%imagine --dry-run --new a fox",
    "%tb",
]


RING = """
import os
from keyring.backend import KeyringBackend

class Ring(KeyringBackend):
    priority = 1

    def get_password(self, service, user):
        return os.environ["RING"] if user == "lab" else None

    def set_password(self, *_): ...
"""
NO_RING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
WHERE = {
    "environment": {"LAB_KEY": KEY, **NO_RING},
    "keyring": {"RING": KEY, "PYTHON_KEYRING_BACKEND": "ring.Ring"},
    "prompt": NO_RING,
}


@pytest.fixture
def answering():
    server = Server(list(ANSWERS))
    yield server
    server.close()


@pytest.fixture
def left(home, serve):
    """Leave a response of an earlier kernel, which was killed before it read the response."""
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(image_bytes())}]}))
    own = {"lab": {"base_url": server.base_url, "free": False}}
    studio = Studio(home=home, environ={}, settings=Settings(endpoints=own))
    run = studio.imagine("a lost fox", endpoint="lab").run
    studio.store.update(run.replace(status=Status.PENDING, images=(), response={}, mismatches=()))
    spool = studio.store.spool(run)
    with Spool(spool, 1 << 20, Redactor([KEY])) as written:  # that kernel knew the key
        for letter in json.dumps({"data": [IMAGE], "model": KEY}):
            written.write(letter.encode())
    return run


class Notebook:
    """Cells in a real kernel; what is typed at a question is the key."""

    def __init__(self, environ):
        self.kernel = Kernel(environ)
        self.cells = []

    def run(self, code):
        """Run a cell, and keep it as a notebook does."""
        message = self.kernel.start(code, watched=True)
        stopped = threading.Event()
        answering = threading.Thread(target=self._answer, args=(stopped,))
        answering.start()
        outputs = self.kernel.collect(message).outputs
        stopped.set()
        answering.join()
        cell = nbformat.v4.new_code_cell(code)
        kept = ({k: v for k, v in output.items() if k != "transient"} for output in outputs)
        cell.outputs = [
            nbformat.from_dict({"metadata": {}, **path} if "data" in path else path) for path in kept
        ]
        self.cells.append(cell)
        return cell

    def _answer(self, stopped):
        while not stopped.is_set():
            with contextlib.suppress(queue.Empty):
                self.kernel.client.get_stdin_msg(timeout=0.1)
                self.kernel.client.input(KEY)


@pytest.mark.parametrize("where", WHERE)
def test_no_trace_of_the_key_in_anything_that_a_notebook_leaves(home, tmp_path, answering, left, where):
    run = left
    (tmp_path / "ring.py").write_text(RING)
    environ = kernel_environ(home, LAB_URL=f"{answering.origin}/v1", PYTHONPATH=str(tmp_path), **WHERE[where])
    made = Notebook(environ)
    asked = [f"%imagine --seed {number} a fox" for number in range(len(ANSWERS))]
    asked[1::3] = [
        f"show_error(lambda: imagine('a fox', seed={number}))" for number in range(1, len(ANSWERS), 3)
    ]
    after = [code.replace("os.environ['LAB_KEY']", repr(KEY)) for code in AFTER]
    after += [f"%imagine_show {run.id}", f"%imagine a fox {KEY}", f"%imagine --size {KEY} a fox"]
    for code in (SETUP, *asked, *after):
        made.run(code)
    made.kernel.stop()
    assert answering.posts == len(ANSWERS)
    assert answering.seen[0].headers["authorization"] == f"Bearer {KEY}"  # it was there to be lost
    shown = {cell.source: traces(json.dumps(cell.outputs)) for cell in made.cells}
    assert {source: kinds for source, kinds in shown.items() if kinds} == {}
    assert sum(output.output_type == "error" for cell in made.cells for output in cell.outputs) >= 5
    for cell in made.cells:  # what a cell itself holds is the user's
        cell.source = cell.source.replace(KEY, "")
    notebook = nbformat.v4.new_notebook(cells=made.cells)
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    for template in ("lab", "classic"):
        html, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
        (tmp_path / f"{template}.html").write_text(html)
    assert (tmp_path / "debug.log").stat().st_size > 0
    assert (tmp_path / "errors.pickle").stat().st_size > 0
    assert {"records", "spool", "quarantine", "index.sqlite"} <= set(os.listdir(home))
    recovered = json.loads((home / "records" / f"{run.id}.json").read_text())
    assert (recovered["status"], recovered["images"][0]["state"]) == ("done", "stored")
    assert traces_in(tmp_path) == {}
