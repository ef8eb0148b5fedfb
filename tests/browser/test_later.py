"""`--no-wait` in a page: cells end at once, other cells run, and each image appears in its place."""

import json
import threading

import pytest
from loopback import b64, image_bytes

from browser.lab import LAB, NOTEBOOK, expect

pytestmark = pytest.mark.browser

LOAD = '%load_ext ipyimagegen\n%config Imagine.endpoint = "sketch"\nimport time\nbegan = time.monotonic()'
COLOURS = ("red", "green", "blue", "yellow")
TOOK = "print(time.monotonic() - began)"
IMAGE = {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}


@pytest.mark.parametrize("front", [LAB, NOTEBOOK], ids=["lab", "notebook7"])
def test_four_cells_end_at_once_and_become_their_images(jupyter, page, front, tmp_path):
    asked = [f"%imagine --no-wait --set fault=slow:5 a {colour} boat, {front}" for colour in COLOURS]
    file = jupyter.write(f"later-{front.replace('/', '-')}.ipynb", LOAD, *asked, TOOK)
    notebook = jupyter.open(page, file, front)
    notebook.run_all()
    notebook.finished(len(COLOURS) + 1)
    assert float(notebook.texts(len(COLOURS) + 1).inner_text()) < 5  # of the 20 that the images take
    notebook.cell(2).screenshot(path=tmp_path / "waiting.png")
    for index, colour in enumerate(COLOURS, start=1):
        expect(notebook.images(index)).to_have_count(1)
        expect(notebook.texts(index)).to_have_count(1)
        expect(notebook.texts(index)).to_contain_text(f"a {colour} boat, {front}")
    notebook.cell(2).screenshot(path=tmp_path / "done.png")
    notebook.save()
    for cell in json.loads(file.read_text())["cells"][1 : len(COLOURS) + 1]:
        image, caption = (set(output["data"]) for output in cell["outputs"])
        assert image in ({"image/png", "text/plain"}, {"image/jpeg", "text/plain"})
        assert caption == {"text/plain"}


def test_a_kernel_that_is_restarted_meanwhile_pays_once(jupyter, page, serve):
    go = threading.Event()
    server = serve(lambda seen: go.wait(60) and (200, {}, IMAGE))
    entry = {"lab": {"base_url": server.base_url, "allow_http": True, "free": False}}
    load = f"%load_ext ipyimagegen\n%config Imagine.endpoints = {entry!r}\n%config Imagine.endpoint = 'lab'"
    notebook = jupyter.open(page, jupyter.write("restarted.ipynb", load, "%imagine --no-wait a violet boat"))
    notebook.run_all()
    notebook.finished(1)
    page.wait_for_function("() => document.querySelectorAll('.jp-OutputArea-output pre').length == 2")
    while not server.requests:
        page.wait_for_timeout(50)
    notebook.restart_and_run_all()
    expect(notebook.texts(1).last).to_contain_text("may have been charged")
    go.set()
    assert len(server.requests) == 1
