"""Saved notebooks: run again and again, they stay equal, small, plain and free."""

import json

import nbformat
import pytest
from kernels import kernel_environ
from loopback import CANARY, b64, image_bytes
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELLS = [
    "%load_ext ipyimagegen",
    "%%imagine\na red fox in the snow",
    "%%imagine -n 3 --size 640x480\na harbour at dusk, watercolour",
    "cat = %imagine --seed 7 a cat\nprint(cat.id.split('/')[1])",
    "%imagine_history",
]


def run(cells, environ, *, allow_errors=False):
    """Run a notebook in a fresh kernel and return it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=allow_errors)
    client.execute(env=environ)
    return notebook


def texts(notebook):
    """Return the text of every output, cell by cell."""
    return [
        [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]
        for cell in notebook.cells
    ]


def without_last_lines(captions):
    """Return captions without the line that holds what changes."""
    return [[text.rsplit("\n", 1)[0] for text in cell] for cell in captions]


@pytest.fixture
def answers(serve):
    def answer(seen):
        asked = seen.json
        width, height = (int(v) for v in asked.get("size", "64x48").split("x"))
        data = [
            {"b64_json": b64(image_bytes(width, height, (i * 40, 9, 9)))} for i in range(asked.get("n", 1))
        ]
        return 200, {}, {"created": 1, "data": data}

    return serve(answer)


def test_three_runs(home, answers):
    environ = kernel_environ(
        home, IPYIMAGEGEN_BASE_URL=answers.base_url, IPYIMAGEGEN_API_KEY=CANARY, IPYTHONDIR=str(home.parent)
    )
    first, second, third = (run(CELLS, environ) for _ in range(3))
    assert len(answers.posts) == 3  # from the second run on, no call
    first_texts, second_texts, third_texts = texts(first), texts(second), texts(third)
    assert without_last_lines(first_texts[1:4]) == without_last_lines(second_texts[1:4])
    assert second_texts[:4] == third_texts[:4]
    for a, b in zip(second.cells[1:4], third.cells[1:4], strict=True):
        assert [o.get("data") for o in a.outputs] == [o.get("data") for o in b.outputs]
    for notebook in (first, second, third):
        whole = json.dumps(notebook)
        assert CANARY not in whole
        assert "application/vnd.jupyter.widget" not in whole
        tables = [
            o["data"]["text/html"] for cell in notebook.cells for o in cell.outputs if "text/html" in str(o)
        ]
        assert len(tables) == 1  # of %imagine_history
        assert "<script" not in tables[0]
        for cell in notebook.cells:
            assert len(json.dumps(cell)) < 150 * 1024


def test_nothing_is_asked_without_the_key_either(home, answers):
    base = {"IPYIMAGEGEN_BASE_URL": answers.base_url, "IPYTHONDIR": str(home.parent)}
    run(CELLS, kernel_environ(home, IPYIMAGEGEN_API_KEY=CANARY, **base))
    again = run(CELLS, kernel_environ(home, IPYIMAGEGEN_OFFLINE="1", **base))
    assert len(answers.posts) == 3
    assert texts(again)[1][1].endswith("from history")


def test_run_all_stops_at_an_error(home, answers):
    environ = kernel_environ(home, IPYTHONDIR=str(home.parent))
    with pytest.raises(CellExecutionError) as caught:
        run(["%load_ext ipyimagegen", "%imagine --si 3 a fox", "%imagine a fox"], environ)
    assert "--size" in str(caught.value)
    assert "Traceback" not in str(caught.value).split("------------------")[-1]
    assert not answers.posts
