"""A view of a panel without a browser: the messages of the widget protocol to a real kernel."""

import contextlib
import json
import queue
import time

from kernels import Cell

CONFIG = """
%load_ext ipyimagegen
%config Imagine.endpoints = {{"lab": {{"base_url": "{base_url}", "free": False}}}}
%config Imagine.endpoint = "lab"
"""


class View:
    """A view of a panel. `state` is the newest state, `tiles` the gallery by key.

    `messages` holds every message of the panel with its buffers, `outputs` what stands under the cell.
    """

    def __init__(self, kernel, base_url="", show="%imagine_panel"):
        self.kernel, self.state, self.tiles, self.messages = kernel, {}, {}, []
        self.outputs, self.traits, self._cells = [], {}, {}
        if base_url:
            assert kernel.run(CONFIG.format(base_url=base_url)).error is None
        self.comm, self.selected = None, None
        self.cell = kernel.client.execute(show)
        self.until(lambda: self.comm)
        self.do("hello")
        self.until(lambda: self.state and any(message["is"] == "tiles" for message, _ in self.messages))

    def do(self, action, *buffers, **content):
        """Send a message as the page does."""
        data = {"method": "custom", "content": {"do": action, **content}}
        session, channel = self.kernel.client.session, self.kernel.client.shell_channel
        message = session.msg("comm_msg", {"comm_id": self.comm, "data": data})
        session.send(channel.socket, message, buffers=list(buffers))

    def generate(self, prompt, **options):
        """Press Generate."""
        self.do("generate", form=form(prompt, **options))

    def generate_and_wait(self, prompt, **options):
        """Press Generate, and return the message when nothing is in progress any more."""
        before = self.message_count
        self.generate(prompt, **options)
        self.until(lambda: self.message_count > before)
        return self.wait()

    @property
    def message_count(self):
        """The number of the newest message."""
        return (self.state.get("message") or {}).get("count", 0)

    @property
    def text(self):
        """The text of the newest message, or nothing."""
        return (self.state["message"] or {}).get("text", "")

    def wait(self):
        """Wait until nothing is in progress, and return the message."""
        self.until(lambda: self.state["job"] is None and self.state["message"])
        return self.state["message"]

    def wait_for_text(self, words):
        """Wait for a message that contains these words, and return its text."""
        self.until(lambda: words in self.text)
        return self.text

    def wait_for_form(self):
        """Wait for a form with a prompt, and return it."""

        def find():
            forms = [message["form"] for message, _ in self.messages if message["is"] == "form"]
            return next((filled for filled in forms if filled["prompt"]), None)

        return self.until(find)

    def read(self, timeout=30):
        """Read one message of the kernel."""
        message = self.kernel.client.get_iopub_msg(timeout=timeout)
        kind, content = message["msg_type"], message["content"]
        parent = message["parent_header"].get("msg_id")
        if parent in self._cells:
            if kind in ("display_data", "execute_result", "error", "stream"):
                self._cells[parent].append((kind, content))
            elif kind == "status" and content["execution_state"] == "idle":
                self._cells[parent].append("idle")
        if kind == "comm_open":
            state = content["data"].get("state", {})
            if "_esm" in state or state.get("_model_module") == "anywidget":
                self.comm, self.traits = content["comm_id"], state
        elif kind == "comm_msg" and content["comm_id"] == self.comm:
            self._receive(content["data"], message["buffers"])
        elif kind in ("display_data", "execute_result", "error") and parent == self.cell:
            self.outputs.append(content.get("data") or content)

    def _receive(self, data, buffers):
        if data["method"] == "update":
            self.traits.update(data["state"])
        if data["method"] != "custom":
            return
        message = data["content"]
        json.dumps(message, allow_nan=False)
        self.messages.append((message, [bytes(buffer) for buffer in buffers]))
        if message["is"] == "state":
            self.state = message
        elif message["is"] == "tiles":
            if message["reset"]:
                self.tiles.clear()
            self.tiles.update((tile["key"], tile) for tile in message["tiles"])
            self.selected = message["select"] or self.selected
        elif message["is"] == "gone":
            self.tiles.pop(message["key"])

    def run(self, code):
        """Run a cell beside the panel, and return what it left."""
        return self.collect(self.kernel.client.execute(code))

    def collect(self, cell):
        """Wait for a cell that was begun, and return what it left; meanwhile, read the panel's messages."""
        self._cells[cell] = []
        self.until(lambda: "idle" in self._cells[cell])
        outputs = [output for output in self._cells.pop(cell) if output != "idle"]
        return Cell([{"output_type": kind, **content} for kind, content in outputs])

    def until(self, condition, seconds=30):
        """Read messages until a condition holds, and return its value."""
        ends = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < ends, self._describe()
            with contextlib.suppress(queue.Empty):
                self.read(timeout=0.5)
        return value

    def _describe(self):
        state = {name: self.state.get(name) for name in ("job", "message", "images", "mask")}
        return state, [str(message)[:200] for message, _ in self.messages[-5:]]

    def wait_for(self, kind, **content):
        """Wait for a message of that kind and content, and return it with its buffers."""

        def matches(message):
            return message["is"] == kind and all(message.get(k) == v for k, v in content.items())

        return self.until(lambda: next((pair for pair in self.messages if matches(pair[0])), None))

    @property
    def images(self):
        """The plain images under the panel."""
        return [output for output in self.outputs if any(mime.startswith("image/") for mime in output)]


def form(prompt="", endpoint="", other="", **options):
    """Return a form as the page sends it."""
    return {"prompt": prompt, "endpoint": endpoint, "options": options, "other": other}
