"""Real kernels: cells are run in them, and their outputs kept as a notebook would."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import queue
import re
from dataclasses import dataclass

from jupyter_client.manager import start_new_kernel
from PIL import Image
from words import MESSAGES

OURS = re.compile(r"IPYIMAGEGEN_|OPENAI_|.*_API_KEY$")


@dataclass
class Cell:
    """What a cell left in the notebook."""

    outputs: list

    @property
    def error(self):
        """Return the error's text as the notebook shows it, or None."""
        errors = [output for output in self.outputs if output["output_type"] == "error"]
        return "\n".join(errors[0]["traceback"]) if errors else None

    @property
    def kind(self):
        """Return the name of the error's class, or None."""
        return next((output["ename"] for output in self.outputs if output["output_type"] == "error"), None)

    @property
    def reused(self):
        """Whether the caption says that nothing was sent, for the result was in the history."""
        return self.caption.endswith(MESSAGES["caption"]["from history"])

    @property
    def texts(self):
        """Return the text of every output, errors left out."""
        return [
            output["text"] if output["output_type"] == "stream" else output["data"].get("text/plain", "")
            for output in self.outputs
            if output["output_type"] != "error"
        ]

    @property
    def caption(self):
        """Return the last text."""
        return self.texts[-1]

    @property
    def images(self):
        """Return the images shown, as Pillow images."""
        images = []
        for output in self.outputs:
            for mime, data in output.get("data", {}).items():
                if mime.startswith("image/"):
                    images.append(Image.open(io.BytesIO(base64.b64decode(data))))
        return images


class Kernel:
    """A real IPython kernel; `run` runs a cell and keeps outputs as a notebook would."""

    def __init__(self, environ):
        self.manager, self.client = start_new_kernel(kernel_name="python3", env=environ)
        self._outputs = {}  # by the message that started their cell
        self._displays = {}  # outputs by their display id, which later cells and threads may update

    def start(self, code, *, watched=False, updates=True):
        """Begin a cell without waiting for it; `watched` by a person, whose front end knows `updates`."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": watched}
        metadata = {"cellId": "a"} if watched and updates else {}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def run(self, code, timeout=60):
        """Run a cell and return what it left."""
        return self.collect(self.start(code), timeout)

    def collect(self, message, timeout=60, watch=lambda kind, content: None):
        """Wait for a cell and return what it left; `watch` gets each of its messages.

        What comes for earlier cells meanwhile is added to their outputs.
        """
        while True:
            got = self.client.get_iopub_msg(timeout=timeout)
            kind, content, cell = got["msg_type"], got["content"], got["parent_header"].get("msg_id")
            outputs = self._outputs.setdefault(cell, [])
            if cell == message:
                watch(kind, content)
            if kind == "update_display_data":
                self._displays[content["transient"]["display_id"]].update(content)
            if cell == message and kind == "status" and content["execution_state"] == "idle":
                break
            if kind in ("display_data", "execute_result", "error"):
                outputs.append({"output_type": kind, **content})
                if display_id := content.get("transient", {}).get("display_id"):
                    self._displays[display_id] = outputs[-1]
            elif kind == "stream":
                before = outputs[-1] if outputs else {}
                if before.get("name") == content["name"]:  # one print may come in pieces
                    before["text"] += content["text"]
                else:
                    outputs.append({"output_type": kind, **content})
        with contextlib.suppress(queue.Empty):
            self.client.get_shell_msg(timeout=0.01)
        return Cell(self._outputs[message])

    def interrupt(self):
        """Press the stop button."""
        self.manager.interrupt_kernel()

    def stop(self):
        """End the kernel at once."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def kernel_environ(home, **more):
    """Return the environment of a fresh kernel."""
    kept = {k: v for k, v in os.environ.items() if not OURS.match(k)}
    return {**kept, "IPYIMAGEGEN_HOME": str(home), "PYTHONFAULTHANDLER": "1", **more}
