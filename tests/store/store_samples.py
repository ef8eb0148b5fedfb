"""Runs to be stored, for the tests of this folder."""

from pathlib import Path

from ipyimagegen.core.request import Request
from ipyimagegen.core.run import Run

MEMORY = Path("/dev/shm")  # a disk that costs nothing to wait for, where there is one
SESSION = "1120-k7f2"


def run(number=1, prompt="a red fox", session=SESSION, **changes):
    asked = {"endpoint": "openai", "base_url": "https://api.example/v1", "model": changes.pop("model", None)}
    request = Request(prompt=prompt, **asked)
    made = {"created": 1000.0 + number, "identity": request.identity, "request": request}
    return Run(session=session, number=number, **{**made, **changes})


def ids(runs):
    return [record.id for record in runs]


def files(store):
    """The files of a store but its index, relative to its home."""
    paths = (path.relative_to(store.home) for path in store.home.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.name != "index.sqlite")
