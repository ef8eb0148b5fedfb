"""A cell that waits: its status line, and the stop button."""

import re

import pytest
from loopback import records

from browser.lab import expect

pytestmark = pytest.mark.browser

SECONDS = re.compile(r"· (\d+\.\d) s$")  # the end of a status line
LOAD = '%load_ext ipyimagegen\n%config Imagine.endpoint = "sketch"'


@pytest.fixture
def waiting(jupyter, page, request):
    """Return a function that opens a notebook with this slow cell, number 1, and runs it."""

    def start(code):
        notebook = jupyter.open(page, jupyter.write(f"{request.node.name}.ipynb", LOAD, code))
        notebook.run_all()
        expect(notebook.texts(1)).to_have_text(SECONDS)
        return notebook

    return start


def seconds(line):
    """Return the elapsed time of the status line that is shown now."""
    return float(SECONDS.search(line.inner_text().strip())[1])


def test_the_status_line_counts_and_gives_way_to_the_image(waiting):
    notebook = waiting("%imagine --set fault=slow:4 a slow red boat")
    line = notebook.texts(1)
    expect(notebook.prompt(1)).to_have_text("[*]:")
    expect(line).to_contain_text("sketch · free")
    first = seconds(line)
    expect(line).not_to_have_text(line.inner_text())
    assert seconds(line) > first
    expect(notebook.images(1)).to_have_count(1)
    expect(line).to_have_count(1)  # the caption; the status line is gone
    expect(line).to_contain_text("a slow red boat")
    assert notebook.mimes(1)[-1] == "text/plain"
    assert not SECONDS.search(line.inner_text().strip())


def test_stop_ends_the_cell_and_the_next_run_waits_for_the_same_call(waiting, jupyter):
    before = set(records(jupyter.home))
    notebook = waiting("%imagine --set fault=slow:10 a very slow blue boat")
    expect(notebook.texts(1)).to_have_text(re.compile(r"· (?!0|1\.)\d+\.\d s$"))
    notebook.stop()
    notebook.finished(1)
    (sent,) = set(records(jupyter.home)) - before
    assert records(jupyter.home)[sent]["status"] == "pending"  # the cell has ended long before the call
    expect(notebook.images(1)).to_have_count(0)
    line, error = notebook.texts(1).first, notebook.texts(1).last
    expect(line).to_have_text(SECONDS)
    expect(error).to_contain_text("Stopped waiting for sketch.")
    expect(error).to_contain_text("again to wait")
    assert len(error.inner_text().strip().splitlines()) <= 2

    notebook.run(1)
    expect(notebook.texts(1)).to_have_text(SECONDS)
    assert seconds(notebook.texts(1)) > 2  # of the call that goes on, not from 0
    expect(notebook.images(1)).to_have_count(1)
    expect(notebook.texts(1)).to_contain_text("a very slow blue boat")
    assert set(records(jupyter.home)) - before == {sent}
    assert records(jupyter.home)[sent]["status"] == "done"


def test_a_stream_shows_images_above_the_status_line(waiting, tmp_path):
    notebook = waiting("%imagine --stream --size 512x512 --set fault=slow:6 a slow green boat")
    expect(notebook.images(1)).to_have_count(1)  # a partial image, while the status line counts under it
    expect(notebook.prompt(1)).to_have_text("[*]:")
    expect(notebook.texts(1)).to_have_text(SECONDS)
    assert notebook.mimes(1)[0].startswith("image/")
    partial = notebook.images(1).get_attribute("src")
    notebook.cell(1).screenshot(path=tmp_path / "partial.png")
    notebook.finished(1)
    expect(notebook.images(1)).to_have_count(1)
    assert notebook.images(1).get_attribute("src") != partial
    expect(notebook.texts(1)).to_have_count(1)
    expect(notebook.texts(1)).to_contain_text("a slow green boat")
    assert not SECONDS.search(notebook.texts(1).inner_text().strip())
    notebook.cell(1).screenshot(path=tmp_path / "whole.png")
