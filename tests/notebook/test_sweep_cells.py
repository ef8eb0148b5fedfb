"""Sweeps in cells of a real kernel: the plan first, a sheet that fills up, what a stop or a kill leaves."""

import io
import json
import random
import re
import signal
import threading
import time

import pytest
from kernels import Kernel, kernel_environ
from loopback import b64, image_bytes, records
from PIL import Image

SHEET = 150 * 1024  # bytes that a result may take in a saved notebook


class Server:
    """Answers sweeps by seed; `held` ones wait until they are let go."""

    def __init__(self, serve, held=()):
        self.go, self.held, self.arrived = threading.Event(), set(held), threading.Condition()
        self.http = serve(self.answer)

    def answer(self, seen):
        with self.arrived:
            self.arrived.notify_all()
        if seen.json["seed"] in self.held:
            self.go.wait(30)
        image = image_bytes(96, 64, (seen.json["seed"] * 20 % 256, 80, 160))
        return 200, {}, {"created": 1, "data": [{"b64_json": b64(image)}]}

    @property
    def seeds(self):
        return [post.json["seed"] for post in self.http.posts]

    def configure(self, kernel, **settings):
        lab = {"base_url": self.http.base_url, "free": False}
        lines = [f"%config Imagine.endpoints = {{'lab': {lab!r}}}", "%config Imagine.endpoint = 'lab'"]
        done = kernel.run("\n".join([*lines, *(f"%config Imagine.{k} = {v}" for k, v in settings.items())]))
        assert done.error is None, done.error

    def wait_for(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.seeds) >= count, 20)


def done(home):
    """Return how many records are done."""
    return sum(record["status"] == "done" for record in records(home).values())


def wait_until(holds, seconds=20):
    """Wait until a condition holds."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def every_message(kernel, message, between=lambda imaged, text: None, timeout=30):
    """Return each output and update of a cell in order, as (kind, has an image, text).

    `between` gets the last two of each as it comes.
    """
    messages = []
    while True:
        got = kernel.client.get_iopub_msg(timeout=timeout)
        if got["parent_header"].get("msg_id") != message:
            continue
        if got["msg_type"] == "status" and got["content"]["execution_state"] == "idle":
            kernel.client.get_shell_msg(timeout=5)
            return messages
        data = got["content"].get("data", {})
        if data:
            imaged = any(mime.startswith("image/") for mime in data)
            messages.append((got["msg_type"], imaged, data.get("text/plain", "")))
            between(*messages[-1][1:])


def test_one_sheet_and_its_caption(kernel):
    cell = kernel.run("x = %imagine --endpoint sketch --size 128x128 --seed 1..3 a {red|blue} fox")
    assert cell.error is None, cell.error
    assert len(cell.images) == 1
    assert max(cell.images[0].size) <= 768
    assert cell.texts[0].startswith("Sweep: 'a {red|blue} fox'")
    assert cell.caption.startswith("6 of 6 · a {red|blue} fox\nsketch · 128x128\n")
    assert kernel.run("print(len(x), type(x).__name__)").texts == ["6 Sweep\n"]
    assert [len(kernel.run(code).images) for code in ("x", "x[1]", "_", "y = x", "x.pages[0]")] == [1] * 3 + [
        0,
        1,
    ]
    again = kernel.run("%imagine --endpoint sketch --size 128x128 --seed 1..3 a {red|blue} fox")
    assert again.caption.splitlines()[:-1] == cell.caption.splitlines()[:-1]
    assert again.reused


def test_the_caption_shows_names_filled_in_and_what_differs_as_typed(kernel):
    kernel.run("%config Imagine.endpoint = 'sketch'\nname, style = 'Anna {x}', 'ink'")
    prompts = {
        "--seed 1,2 {name} in {style} {{a}}": "Anna {x} in ink {a}",
        "a {young|old} {name} in {style}": "a {young|old} Anna {x} in ink",
        "--raw --seed 1,2 {name} in {style}": "{name} in {style}",
    }
    for typed, shown in prompts.items():
        cell = kernel.run(f"made = %imagine --size 64x64 {typed}")
        assert f"2 of 2 · {shown}\n" in cell.caption
        assert kernel.run("print(made.prompt)").texts == [f"{shown}\n"]
        assert repr(shown) in kernel.run("made").outputs[0]["data"]["text/plain"]


def test_the_options_of_a_cell_hold_for_all_of_it(kernel, tmp_path):
    seeds = "seeds = [4, 5]\n"
    line = "%imagine --endpoint sketch --size 96x96 --seed {seeds} --as both --save out/{seed} a fox"
    cell = kernel.run(f"{seeds}{line}")
    assert cell.error is None, cell.error
    assert cell.texts[-1] == "saved: out/4.png, out/5.png"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"4.png", "5.png"}
    assert kernel.run("print(both.axes)").texts == ["{'seed': (4, 5)}\n"]
    pool = "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\n"
    assert kernel.run(
        f"{pool}%imagine --executor pool --endpoint sketch --size 96x96 --seed 6,7 a fox"
    ).images
    dry = kernel.run("%imagine --dry-run --endpoint sketch --size 96x96 --seed 4..8 a fox")
    assert "1 call · 1 image · 4 " in dry.texts[0]
    assert not dry.images
    rerun = kernel.run("%imagine_rerun -1 --seed 8..10")
    sheet, changes = (output["data"]["text/plain"] for output in rerun.outputs[-2:])
    assert sheet.startswith("3 of 3")
    assert changes.splitlines()[1:] == ["seed: 7 → 8", "seed: 7 → 9", "seed: 7 → 10"]


def test_help_and_completion_know_lists(kernel):
    assert "1..4" in kernel.run("%imagine --help").texts[0]


def test_the_plan_comes_first_and_the_sheet_fills_up(kernel, serve):
    server = Server(serve, held={3, 4})
    server.configure(kernel, max_parallel=1)
    message = kernel.start("%imagine --seed 1..4 a fox", watched=True)
    shown = []

    def go_on(imaged, text):
        """Let the last calls end after a sheet and the status line of the first two were shown."""
        shown.append(imaged)
        if any(shown) and "2 of 4 · about" in text:
            server.go.set()

    seen = every_message(kernel, message, go_on)
    assert seen[0][:2] == ("display_data", False)
    assert seen[0][2].startswith("4 calls · 4 images")
    lines = [text for _, imaged, text in seen if not imaged and text.startswith("lab · ")]
    assert any("2 of 4" in text for text in lines), lines
    sheets = [place for place, (_, imaged, _) in enumerate(seen) if imaged]
    assert len(sheets) >= 2, "a partial sheet and the whole sheet"
    assert [kind for kind, *_ in seen].count("display_data") == 2, "each in its place"
    assert seen[-1][2].startswith("4 of 4 · a fox")


def test_a_stopped_sweep_keeps_what_came(kernel, home, serve):
    server = Server(serve, held={3})
    server.configure(kernel, max_parallel=1)
    message = kernel.start("%imagine --seed 1..5 a fox", watched=True)
    server.wait_for(3)
    wait_until(lambda: done(home) == 2)
    began = time.monotonic()
    kernel.interrupt()
    cell = kernel.collect(message)
    assert time.monotonic() - began < 5
    assert re.search(r"2 \D+1 \D+2 ", cell.error)  # done, in progress, not sent
    assert len(cell.error.splitlines()) == 2
    assert len(cell.images) == 1
    server.go.set()
    cell = kernel.run("%imagine --seed 1..5 a fox")
    assert cell.caption.startswith("5 of 5")
    assert sorted(server.seeds) == [1, 2, 3, 4, 5]


def test_a_kernel_killed_in_the_middle_pays_nothing_twice(home, serve):
    server = Server(serve, held={4, 5})
    first = Kernel(kernel_environ(home))
    try:
        assert first.run("%load_ext ipyimagegen").error is None
        server.configure(first, max_parallel=2)
        first.start("%imagine --seed 1..8 a fox")
        server.wait_for(5)
        wait_until(lambda: done(home) == 3)
        first.manager.provisioner.process.send_signal(signal.SIGKILL)
    finally:
        first.stop()
    assert sorted(server.seeds) == [1, 2, 3, 4, 5]
    server.go.set()
    second = Kernel(kernel_environ(home))
    try:
        assert second.run("%load_ext ipyimagegen").error is None
        server.configure(second)
        cell = second.run("%imagine --seed 1..8 a fox")
        assert cell.caption.startswith("6 of 8; 2 failed"), cell.error
        assert "! seed 4: " in cell.caption
        assert "--retry" in cell.caption
        assert sorted(server.seeds) == [1, 2, 3, 4, 5, 6, 7, 8]
        assert second.run("%imagine --seed 1..8 --retry a fox").caption.startswith("8 of 8")
        assert sorted(server.seeds) == [1, 2, 3, 4, 4, 5, 5, 6, 7, 8]
    finally:
        second.stop()


@pytest.mark.parametrize("count", [12, 200])
def test_a_saved_sweep_stays_small(kernel, serve, count):
    draw = random.Random(5)

    def noise(_):
        image = Image.frombytes("RGB", (192, 128), draw.randbytes(192 * 128 * 3))
        out = io.BytesIO()
        image.save(out, "PNG")
        return 200, {}, {"created": 1, "data": [{"b64_json": b64(out.getvalue())}]}

    lab = {"base_url": serve(noise).base_url, "free": True}
    kernel.run(f"%config Imagine.endpoints = {{'lab': {lab!r}}}")
    cell = kernel.run(f"%imagine --endpoint lab --seed 1..{count} a fox")
    assert cell.error is None, cell.error
    assert len(cell.images) == 1
    assert len(json.dumps(cell.outputs)) < SHEET
    assert ("sweep.pages[1]" in cell.caption) == (count == 200)
