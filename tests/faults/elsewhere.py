"""The lab's cells in a real kernel on the same store, which is watched as this process is."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from lab import Cell

from ipyimagegen.core import errors

SETUP = """
import json, logging, os, sys
os.environ.update({environ!r})
sys.path[:0] = [{here!r}]
import watching
logging.getLogger().addHandler(logging.FileHandler({log!r}))
logging.getLogger().setLevel(logging.DEBUG)
_writes, _unwatch = watching.watched_writes({allowed!r})
_memory = watching.Peak()
"""
USE = "_unwatch(); print(json.dumps([_writes, _memory.grown()]))"
PASSED_ON = ("LAB_KEY", "HOME", "REQUESTS_CA_BUNDLE")


class Elsewhere:
    """A kernel with the lab's server and store."""

    def __init__(self, lab, kernel):
        self._lab, self._kernel = lab, kernel
        setup = SETUP.format(
            environ={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            here=str(Path(__file__).parent),
            log=str(lab.artefacts / "kernel.log"),
            allowed=(str(lab.home), str(lab.artefacts)),
        )
        self.do(f"{setup}\n{lab.configured}")
        lab.elsewhere.append(self)

    def do(self, code):
        """Run code that is no cell of the test; return what it printed."""
        done = self._kernel.run(code)
        assert done.error is None, done.error
        return "".join(done.texts)

    def start(self, code):
        """Begin a cell without waiting for it."""
        return self._kernel.start(code), code

    def cell(self, code):
        """Run a cell, and keep what it leaves."""
        return self.ended(self.start(code))

    def stop(self, started):
        """Press the stop button; the seconds of the cell are those from then to its end."""
        began = time.monotonic()
        self._kernel.interrupt()
        return self.ended(started, began)

    def ended(self, started, began=None):
        """Wait for a cell, and keep what it left."""
        began, (message, code) = began or time.monotonic(), started
        left = self._kernel.collect(message)
        took = time.monotonic() - began
        kinds = {"stream": [], "error": [], "display_data": [], "execute_result": []}
        for output in left.outputs:
            kinds[output["output_type"]].append(output)
        printed = "".join(kind["text"] for kind in kinds["stream"])
        error = next(map(_error, kinds["error"]), None)
        cell = Cell(code, kinds["display_data"] + kinds["execute_result"], printed, error, took)
        self._lab.add(cell)
        return cell

    def describe_use(self):
        """Return what was written outside the store, and by how many bytes the memory grew."""
        return json.loads(self.do(USE))


def _error(output):
    """Return the error as it is shown: one of ours is a message alone, others come with a traceback."""
    kind = getattr(errors, output["ename"], RuntimeError)
    return kind("\n".join(output["traceback"]))
