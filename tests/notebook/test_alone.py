"""What must hold when things go on at once or stop in the middle: interrupts, kills, two kernels."""

import os
import signal
import threading

import pytest
from kernels import Kernel, kernel_environ
from loopback import b64, image_bytes, records

from ipyimagegen.core.messages import Remedy
from ipyimagegen.notebook.fronts import CELL

IMAGE = {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}

WAIT = CELL.remedies[Remedy.WAIT].partition("{")[0]


@pytest.fixture
def gate(serve):
    """Return a server that answers only after `may_answer` is set; a request sets `asked`."""
    asked, may_answer = threading.Event(), threading.Event()

    def answer(seen):
        asked.set()
        assert may_answer.wait(30)
        return 200, {}, IMAGE

    server = serve(answer)
    server.asked, server.may_answer = asked, may_answer
    yield server
    may_answer.set()


def configure(kernel, server):
    entry = {"base_url": server.base_url, "free": False}
    done = kernel.run(
        "%load_ext ipyimagegen\n"
        f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n"
        "%config Imagine.endpoint = 'lab'"
    )
    assert done.error is None


@pytest.fixture
def other(home):
    """Return a second kernel on the same store."""
    kernel = Kernel(kernel_environ(home))
    yield kernel
    kernel.stop()


def test_an_interrupt_ends_the_cell_and_the_call_goes_on(kernel, gate, home):
    configure(kernel, gate)
    message = kernel.start("%imagine a fox")
    assert gate.asked.wait(20)
    kernel.interrupt()
    cell = kernel.collect(message, timeout=10)
    assert WAIT in cell.error
    assert len(cell.error.splitlines()) <= 2
    (record,) = records(home).values()
    assert record["status"] == "pending"
    gate.may_answer.set()
    again = kernel.run("%imagine a fox")  # waits for that call instead of sending
    assert again.error is None
    assert len(again.images) == 1
    assert len(gate.posts) == 1
    (record,) = records(home).values()
    assert record["status"] == "done"


def test_a_timeout_ends_the_wait_not_the_call(kernel, gate):
    configure(kernel, gate)
    cell = kernel.run("%imagine --timeout 0.5 a fox")
    assert " 0.5 s" in cell.error
    assert WAIT in cell.error
    gate.may_answer.set()
    assert kernel.run("%imagine a fox").error is None
    assert len(gate.posts) == 1


def test_a_second_interrupt_gives_the_call_up(kernel, gate, home):
    configure(kernel, gate)
    message = kernel.start("%imagine a fox")
    assert gate.asked.wait(20)
    kernel.interrupt()
    kernel.collect(message, timeout=10)
    message = kernel.start("print('waiting')\n%imagine a fox")
    waiting = kernel.client.get_iopub_msg(timeout=10)
    while waiting["msg_type"] != "stream":
        waiting = kernel.client.get_iopub_msg(timeout=10)
    kernel.interrupt()
    assert CELL.remedies[Remedy.RETRY] in kernel.collect(message, timeout=10).error
    assert kernel.run("%imagine a fox").error  # may have been billed, so not asked again
    assert {record["status"] for record in records(home).values()} == {"unknown"}
    assert len(gate.posts) == 1


def test_a_pending_run_of_another_kernel_may_have_been_billed(kernel, other, gate):
    configure(kernel, gate)
    configure(other, gate)
    message = kernel.start("%imagine a fox")
    assert gate.asked.wait(20)
    cell = other.run("%imagine a fox")
    assert cell.kind == "OutcomeUnknown"
    gate.may_answer.set()
    assert kernel.collect(message).error is None
    shown = other.run("%imagine a fox")
    assert shown.reused
    assert len(gate.posts) == 1


def test_a_killed_kernel_leaves_an_honest_status(home, gate):
    first = Kernel(kernel_environ(home))
    try:
        configure(first, gate)
        first.start("%imagine a fox")
        assert gate.asked.wait(20)
        os.kill(first.manager.provisioner.pid, signal.SIGKILL)
    finally:
        first.stop()
    (record,) = records(home).values()
    assert record["status"] == "pending"
    for path in home.glob("index.sqlite*"):
        path.unlink()  # the index is made anew from the files
    second = Kernel(kernel_environ(home))
    try:
        configure(second, gate)
        assert second.run("%imagine a fox").kind == "OutcomeUnknown"
        for listing in ("history --all", f"show {record['session']}/1"):
            assert "pending or cut off" in second.run(f"%imagine_{listing}").caption
        gate.may_answer.set()
        assert second.run("%imagine --retry a fox").error is None
        assert second.run("%imagine --retry a fox").reused
    finally:
        second.stop()
    assert len(gate.posts) == 2


def test_two_kernels_write_to_one_store(kernel, other, home):
    code = (
        "%load_ext ipyimagegen\n"
        "for s in range({0}, {0} + 12):\n"
        "    get_ipython().run_line_magic('imagine', f'--size 64x64 --seed {{s}} a cat')"
    )
    first, second = kernel.start(code.format(0)), other.start(code.format(6))
    cells = [kernel.collect(first, timeout=120), other.collect(second, timeout=120)]
    assert [cell.error for cell in cells] == [None, None]
    runs = records(home)
    assert len(runs) == 24
    assert len({name.split("/")[0] for name in runs}) == 2
    assert {record["status"] for record in runs.values()} == {"done"}
    listed = kernel.run("%imagine_history --all -l 50").caption
    asked = [name for name, record in runs.items() if "reused_from" not in record]
    assert 18 <= len(asked) <= 24  # six seeds are the same in both
    assert len(listed.splitlines()) == 1 + len(asked)  # under a header


def test_one_status_line_becomes_the_image(kernel, gate):
    configure(kernel, gate)
    message = kernel.start("%imagine -m m-1 a fox", watched=True)
    assert gate.asked.wait(20)
    seen = []
    while len(seen) < 3:
        got = kernel.client.get_iopub_msg(timeout=10)
        if got["msg_type"] in ("display_data", "update_display_data"):
            seen.append(got)
            if len(seen) == 2:
                gate.may_answer.set()
    first, second, last = (message["content"] for message in seen)
    assert seen[0]["msg_type"] == "display_data"
    assert first["data"]["text/plain"].startswith("lab · m-1 · ")
    assert first["transient"] == second["transient"] == last["transient"]
    assert {message["msg_type"] for message in seen[1:]} == {"update_display_data"}
    while "image/png" not in last["data"] and "image/jpeg" not in last["data"]:
        last = kernel.client.get_iopub_msg(timeout=10)["content"]
    assert kernel.collect(message).error is None


@pytest.fixture
def watched(kernel, gate):
    """Return a function that runs a cell that a person watches: the server answers after two status lines."""

    def run(code):
        lines = []

        def watch(kind, content):
            if "text/plain" in content.get("data", {}) and kind != "execute_result":
                lines.append(content["data"]["text/plain"])
            if len(lines) == 2:
                gate.may_answer.set()

        return kernel.collect(kernel.start(code, watched=True), watch=watch), lines

    configure(kernel, gate)
    return run


@pytest.mark.parametrize("studio", ["default_studio()", "Studio(settings=default_studio().settings)"])
def test_a_python_call_shows_its_progress_and_leaves_nothing_of_it(kernel, watched, studio):
    code = f"from ipyimagegen import *\nprint('before')\nfox = {studio}.imagine('a fox')\nprint(len(fox))"
    cell, lines = watched(code)
    assert len(lines) >= 2
    assert all(line.startswith("lab · ") for line in lines)
    assert [output.get("text") for output in cell.outputs] == ["before\n", None, "1\n"]
    assert cell.outputs[1]["data"] == {}
    shown = kernel.run("fox")
    assert (len(shown.images), len(shown.outputs)) == (1, 2)


def test_a_python_call_that_fails_leaves_its_error_alone(kernel, watched, gate):
    cell, lines = watched("from ipyimagegen import imagine\nimagine('a fox', timeout=0.6)")
    gate.may_answer.set()
    assert lines
    assert cell.kind == "Detached"
    assert not any(output.get("data") for output in cell.outputs)


@pytest.mark.parametrize("is_watched", [True, False])
def test_progress_is_shown_where_a_person_watches_and_wants_it(kernel, gate, is_watched):
    configure(kernel, gate)
    code = f"from ipyimagegen import imagine\nfox = imagine('a fox', progress={None if is_watched else True})"
    if is_watched:
        code = code.replace("None", "False")
    message = kernel.start(code, watched=is_watched)
    assert gate.asked.wait(20)
    gate.may_answer.set()
    assert kernel.collect(message).outputs == []


def test_the_plan_of_a_sweep_is_shown_first_in_python_too(watched):
    cell, lines = watched("from ipyimagegen import imagine\nfoxes = imagine('a fox', seed=[1, 2, 3])")
    assert lines[0].startswith("3 calls · 3 images · ")
    assert cell.error is None
