"""How large a notebook is once its cells have run and it is saved, with one image and with ten."""

import os
import tempfile

import nbformat
from figures import Row
from nbclient import NotebookClient

LIMIT = 150  # KiB
RAW = """
import base64, requests
from IPython.display import Image, display
asked = {{"prompt": "a red fox in the snow", "n": {count}}}
reply = requests.post("{url}/images/generations", json=asked, timeout=60).json()
for item in reply["data"]:
    display(Image(data=base64.b64decode(item["b64_json"])))
"""
OURS = ("%load_ext ipyimagegen", "%%imagine -n {count} --endpoint {url}\na red fox in the snow")


def size(cells, folder):
    """Return the KiB of a notebook after its cells have run."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    given = {**os.environ, "IPYIMAGEGEN_HOME": f"{folder}/home", "IPYTHONDIR": f"{folder}/ipython"}
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(env=given)
    return len(nbformat.writes(notebook).encode()) / 1024


def notebooks(server):
    """Return rows for images like photographs, and for noise that no JPEG makes small."""
    rows = []
    for kind in ("photo", "noise"):
        for count in (1, 10):
            filled = {"count": count, "url": f"{server}/{kind}/v1"}
            with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
                plain = size([RAW.format(**filled)], folder)
                small = size([code.format(**filled) for code in OURS], folder)
            title = f"{kind}, n={count}"
            rows.append(Row(f"{title}: display(Image(data=png))", plain, "KiB"))
            rows.append(Row(f"{title}: %%imagine", small, "KiB", f"{plain / small:.0f} times smaller", LIMIT))
    return rows
