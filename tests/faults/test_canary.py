"""One notebook in a real kernel in which everything goes wrong, at debug log level: no trace of the key."""

import json
import os

import nbformat
import pytest
from canary import KEY, traces, traces_in
from kernels import kernel_environ
from loopback import b64, picture_bytes
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from sockets import Server, cut_body, reply, reset

ECHO = {
    "error": {"message": f"Incorrect key {KEY}, {b64(KEY.encode())}, {KEY[:12]}****{KEY[-4:]}", "code": KEY}
}
PICTURE = {"b64_json": b64(picture_bytes()), "revised_prompt": f"a fox with {KEY} and {json.dumps(KEY)}"}
ANSWERS = [
    reply(ECHO, "401 Unauthorized", f"x-request-id: {KEY}", f"Set-Cookie: key={KEY}"),
    reset,
    cut_body,
    reply(f"<html><title>{KEY}</title></html>", "502 Bad Gateway", kind="text/html"),
    reply({"created": 1, "data": [PICTURE], "model": KEY, "usage": {"cost": KEY}}),
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
def told(call):
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
    "import ipyimagegen.wire as wire\ntold(lambda: imagine('a fox', extra={'x': object()}))",
    "print(default_studio(), vars(default_studio()), default_studio().keys, default_studio().settings)",
    "print([[one, one.run, vars(one), pickle.dumps(one)] for one in history])",
    *("%imagine_history --all", "%imagine_cost", "%imagine_endpoints", "%imagine_doctor", "%config Imagine"),
    *(f"%imagine_show {number}" for number in range(1, 1 + len(ANSWERS))),
    "%imagine --dry-run --new a fox",
    "%tb",
]


@pytest.fixture
def answering():
    server = Server(list(ANSWERS))
    yield server
    server.close()


def test_no_trace_of_the_key_in_anything_that_a_notebook_leaves(home, tmp_path, answering):
    asked = [f"%imagine --seed {number} a fox" for number in range(len(ANSWERS))]
    asked[1::3] = [f"told(lambda: imagine('a fox', seed={number}))" for number in range(1, len(ANSWERS), 3)]
    cells = [nbformat.v4.new_code_cell(code) for code in (SETUP, *asked, *AFTER)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    environ = kernel_environ(home, LAB_KEY=KEY, LAB_URL=f"{answering.origin}/v1")
    client = NotebookClient(
        notebook, allow_errors=True, timeout=60, resources={"metadata": {"path": tmp_path}}
    )
    client.execute(env=environ)
    assert answering.posts == len(ANSWERS)
    assert answering.seen[0].headers["authorization"] == f"Bearer {KEY}"  # it was there to be lost
    failed = [one for one in notebook.cells if any(out.output_type == "error" for out in one.outputs)]
    assert len(failed) >= 5
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    for template in ("lab", "classic"):
        html, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
        (tmp_path / f"{template}.html").write_text(html)
    shown = {one.source: traces(json.dumps(one.outputs)) for one in notebook.cells}
    assert {source: found for source, found in shown.items() if found} == {}
    assert (tmp_path / "debug.log").stat().st_size > 0
    assert (tmp_path / "errors.pickle").stat().st_size > 0
    assert {"records", "spool", "quarantine", "index.sqlite"} <= set(os.listdir(home))
    assert traces_in(tmp_path) == {}
