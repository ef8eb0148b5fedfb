"""A front end of a panel, by hand: the messages of the widget protocol to a real kernel."""

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


class Front:
    """One view of a panel. `state` is the newest that it was told, `tiles` the strip by key."""

    def __init__(self, kernel, base_url="", show="%imagine_panel"):
        self.kernel, self.state, self.tiles, self.told = kernel, {}, {}, []
        self.outputs = []  # under the panel
        self.traits, self._cells = {}, {}
        if base_url:
            assert kernel.run(CONFIG.format(base_url=base_url)).error is None
        self.comm, self.selected = None, None
        self.cell = kernel.client.execute(show)
        self.until(lambda: self.comm)
        self.do("hello")
        self.until(lambda: self.state and any(one["is"] == "tiles" for one, _ in self.told))

    def do(self, what, *buffers, **content):
        """Send a message as the page does."""
        data = {"method": "custom", "content": {"do": what, **content}}
        session, channel = self.kernel.client.session, self.kernel.client.shell_channel
        message = session.msg("comm_msg", {"comm_id": self.comm, "data": data})
        session.send(channel.socket, message, buffers=list(buffers))

    def generate(self, prompt, **options):
        """Press Generate."""
        self.do("generate", form=form(prompt, **options))

    def ask(self, prompt, **options):
        """Press Generate, and return the message when it is done."""
        before = self.count
        self.generate(prompt, **options)
        self.until(lambda: self.count > before)
        return self.done()

    @property
    def count(self):
        """The number of the newest message."""
        return (self.state.get("message") or {}).get("count", 0)

    def done(self):
        """Wait until nothing is under way, and return the message."""
        self.until(lambda: self.state["job"] is None and self.state["message"])
        return self.state["message"]

    def read(self, timeout=30):
        """Take in one message of the kernel."""
        got = self.kernel.client.get_iopub_msg(timeout=timeout)
        kind, content = got["msg_type"], got["content"]
        parent = got["parent_header"].get("msg_id")
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
            self._hear(content["data"], got["buffers"])
        elif kind in ("display_data", "execute_result", "error") and parent == self.cell:
            self.outputs.append(content.get("data") or content)

    def _hear(self, data, buffers):
        if data["method"] == "update":
            self.traits.update(data["state"])
        if data["method"] != "custom":
            return
        told = data["content"]
        json.dumps(told, allow_nan=False)
        self.told.append((told, [bytes(one) for one in buffers]))
        if told["is"] == "state":
            self.state = told
        elif told["is"] == "tiles":
            if told["reset"]:
                self.tiles.clear()
            self.tiles.update((one["key"], one) for one in told["tiles"])
            self.selected = told["select"] or self.selected
        elif told["is"] == "gone":
            self.tiles.pop(told["key"])

    def run(self, code):
        """Run a cell beside the panel, and return what it left."""
        return self.collect(self.kernel.client.execute(code))

    def collect(self, message):
        """Wait for a cell that was begun, and return what it left; the panel's messages are taken in."""
        self._cells[message] = []
        self.until(lambda: "idle" in self._cells[message])
        outputs = [one for one in self._cells.pop(message) if one != "idle"]
        return Cell([{"output_type": kind, **content} for kind, content in outputs])

    def _last(self):
        small = {
            key: value for key, value in self.state.items() if key in ("job", "message", "images", "mask")
        }
        return small, [str(one)[:200] for one, _ in self.told[-5:]]

    def until(self, met, seconds=30):
        """Take messages in until something holds, and return it."""
        ends = time.monotonic() + seconds
        while not (found := met()):
            assert time.monotonic() < ends, self._last()
            with contextlib.suppress(queue.Empty):
                self.read(timeout=0.5)
        return found

    def got(self, kind, **of):
        """Wait for a message of that kind and content, and return it with its bytes."""

        def met():
            for told, buffers in self.told:
                if told["is"] == kind and all(told.get(k) == v for k, v in of.items()):
                    return told, buffers
            return None

        return self.until(met)

    @property
    def images(self):
        """The plain images under the panel."""
        return [one for one in self.outputs if any(mime.startswith("image/") for mime in one)]


def form(prompt="", endpoint="", other="", **options):
    """Return a form as the page sends it."""
    return {"prompt": prompt, "endpoint": endpoint, "options": options, "other": other}
