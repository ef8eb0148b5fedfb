"""`--no-wait` in cells: a cell ends at once, and its outputs become the image when it arrives."""

import threading
from types import SimpleNamespace

import pytest
from loopback import b64, image_bytes, records

FOX, CAT = image_bytes(64, 48, (200, 30, 30)), image_bytes(64, 48, (30, 30, 200))


@pytest.fixture
def lab(kernel, serve):
    """A kernel and a server that answers when it is let go, red for foxes and blue for others."""
    asked, go = threading.Event(), threading.Event()

    def answer(seen):
        asked.set()
        assert go.wait(60)
        if "refused" in prompt(seen):
            return 400, {}, {"error": {"message": "no such thing", "code": "policy"}}
        return 200, {}, {"created": 1, "data": [{"b64_json": b64(FOX if "fox" in prompt(seen) else CAT)}]}

    server = serve(answer)
    entry = {"lab": {"base_url": server.base_url, "allow_http": True, "free": False}}
    kernel.run(f"%config Imagine.endpoints = {entry!r}\n%config Imagine.endpoint = 'lab'")
    yield SimpleNamespace(kernel=kernel, server=server, asked=asked, go=go)
    go.set()


def prompt(seen):
    """Return the prompt of a request, JSON or multipart."""
    return seen.json["prompt"] if seen.body[:1] == b"{" else seen.fields["prompt"]


def run(lab, code, *, updates=True):
    """Run a cell as JupyterLab does, and keep what arrives for it later, too."""
    return lab.kernel.collect(lab.kernel.start(code, watched=True, updates=updates))


def wait_for_all(lab, *names):
    """Wait until these variables have their results, and their outputs are updated."""
    lab.go.set()
    done = run(lab, f"for it in ({', '.join(names)},):\n    it.result()\n" + FOLLOWED)
    assert done.error is None, done.error


FOLLOWED = (
    "import threading\n"
    "for thread in threading.enumerate():\n"
    "    if thread.name == 'imagine: follow':\n"
    "        thread.join()"
)


def test_the_cell_ends_before_the_server_answers_and_becomes_the_image(lab):
    cell = run(lab, "fox = %imagine --no-wait a red fox")
    assert (cell.error, cell.images, len(cell.outputs)) == (None, [], 2)
    assert run(lab, "print(fox.status, fox.done())").texts == ["pending False\n"]
    wait_for_all(lab, "fox")
    assert [sorted(output["data"]) for output in cell.outputs] == [
        ["image/png", "text/plain"],
        ["text/plain"],
    ]
    assert cell.images[0].convert("RGB").getpixel((5, 5)) == (200, 30, 30)
    assert "a red fox" in cell.caption
    assert len(lab.server.requests) == 1


def test_a_cell_that_nobody_watches_waits(lab):
    lab.go.set()
    cell = lab.kernel.run("fox = %imagine --no-wait a red fox")
    assert (len(cell.images), len(cell.outputs)) == (1, 2)
    assert lab.kernel.run("print(type(fox).__name__, fox.done(), fox.prompt)").texts == [
        "Pending True a red fox\n"
    ]


def test_a_front_end_that_cannot_update_waits(lab):
    lab.go.set()
    cell = run(lab, "%imagine --no-wait a red fox", updates=False)
    assert len(cell.images) == 1


def test_later_cells_wait_for_what_they_use(lab):
    run(lab, "%imagine --no-wait --as fox a red fox")
    threading.Timer(0.3, lab.go.set).start()
    cat = run(lab, "%imagine a cat beside {fox.prompt}")
    assert len(cat.images) == 1
    hat = run(lab, "%imagine --image fox a hat\n")
    assert len(hat.images) == 1
    assert [prompt(seen) for seen in lab.server.requests] == ["a red fox", "a cat beside a red fox", "a hat"]


def test_an_error_stands_in_place_of_the_image(lab):
    cell = run(lab, "fox = %imagine --no-wait something refused")
    lab.go.set()
    run(lab, "import contextlib\nwith contextlib.suppress(Exception):\n    fox.result()\n" + FOLLOWED)
    assert cell.images == []
    assert "no such thing" in cell.texts[0]
    assert set(cell.texts[1:]) == {""}


def test_what_the_history_holds_is_there_at_once(lab):
    lab.go.set()
    run(lab, "%imagine a red fox")
    cell = run(lab, "%imagine --no-wait a red fox")
    assert (len(cell.images), cell.reused, len(lab.server.requests)) == (1, True, 1)


def test_it_is_saved_when_it_comes(lab, tmp_path):
    cell = run(lab, "fox = %imagine --no-wait --save fox.png a red fox")
    assert not (tmp_path / "fox.png").exists()
    wait_for_all(lab, "fox")
    assert (tmp_path / "fox.png").read_bytes() == FOX
    assert "fox.png" in cell.texts[-1]


def test_a_sweep_becomes_its_sheet(lab):
    cell = run(lab, "foxes = %imagine --no-wait --seed 1..3 a red fox")
    wait_for_all(lab, "foxes")
    assert len(cell.images) == 1
    assert len(lab.server.requests) == 3


def test_python_calls_show_what_they_return(lab):
    cell = run(lab, "from ipyimagegen import imagine\nfox = imagine('a red fox', wait=False)\nfox")
    assert (cell.images, len(cell.outputs)) == ([], 2)
    wait_for_all(lab, "fox")
    assert len(cell.images) == 1
    again = run(lab, "fox")
    assert len(again.images) == 1


def test_a_pending_result_can_be_awaited(lab):
    threading.Timer(0.3, lab.go.set).start()
    cell = run(lab, "from ipyimagegen import imagine\n(await imagine('a red fox', wait=False)).prompt")
    assert cell.texts == ["'a red fox'"]


def test_a_file_that_cannot_be_written_hides_no_image(lab, tmp_path):
    cell = run(lab, "fox = %imagine --no-wait --save folder/fox.png a red fox")
    (tmp_path / "folder").write_text("not a folder")
    wait_for_all(lab, "fox")
    assert len(cell.images) == 1
    assert "a red fox" in cell.texts[1]
    assert "folder" in cell.texts[2]


def test_the_image_appears_in_its_cell_while_another_is_captured(lab):
    cell = run(lab, "fox = %imagine --no-wait a red fox")
    lab.go.set()
    run(lab, f"%%capture captured\nfox.result()\n{FOLLOWED}")
    assert run(lab, "print(len(captured.outputs))").texts == ["0\n"]
    assert len(cell.images) == 1


def test_originals_are_embedded_in_their_cell(lab):
    run(lab, "%config Imagine.embed = 'original'")
    cell = run(lab, "foxes = %imagine --no-wait --seed 1..3 a red fox")
    other = run(lab, "print('meanwhile')")
    wait_for_all(lab, "foxes")
    assert len(cell.images) >= 1
    assert len(other.outputs) == 1
    assert "a red fox" in cell.texts[-1]


@pytest.mark.parametrize("magic", ["%imagine_show fox", "%imagine_history fox", "%imagine_compare fox cat"])
def test_it_is_an_id(lab, magic):
    run(lab, "fox = %imagine --no-wait a red fox\ncat = %imagine --no-wait a cat")
    lab.go.set()
    assert run(lab, magic).error is None


def test_a_rerun_shows_what_differs(lab):
    lab.go.set()
    run(lab, "%imagine a red fox")
    assert "seed" in run(lab, "again = %imagine_rerun --no-wait --seed 3 -1").texts[-1]


def test_a_python_call_that_nobody_watches_ends_with_its_cell(lab, home):
    threading.Timer(0.3, lab.go.set).start()
    lab.kernel.run(
        "from ipyimagegen import imagine\nfoxes = [imagine(f'fox {n}', wait=False) for n in range(3)]"
    )
    assert [record["status"] for record in records(home).values()] == ["done"] * 3


def test_a_cancelled_call_ends_no_other_and_no_kernel(lab):
    code = (
        "import asyncio\nfrom ipyimagegen import imagine\n%config Imagine.max_parallel = 1\n"
        "first, second, third = (imagine(text, wait=False) for text in ('one', 'two', 'two'))\n"
        "second.cancel()\nprint(third.done())"
    )
    assert run(lab, code).texts == ["False\n"]
    run(lab, "third.cancel()")
    lab.go.set()
    ended = run(lab, "print(await asyncio.gather(first, third, return_exceptions=True))")
    assert ended.error is None
    assert "NotSent" in ended.texts[0]
    assert run(lab, "print(third.status)").texts == ["not_sent\n"]


def test_an_interrupt_ends_an_await(lab):
    message = lab.kernel.start(
        "from ipyimagegen import imagine\nawait imagine('a fox', wait=False)", watched=True
    )
    assert lab.asked.wait(20)
    lab.kernel.interrupt()
    assert lab.kernel.collect(message, timeout=20).kind == "CancelledError"
    assert not lab.go.is_set()


def test_under_a_display_id_it_is_waited_for(lab):
    threading.Timer(0.3, lab.go.set).start()
    code = "from ipyimagegen import imagine\nhandle = display(imagine('a fox', wait=False), display_id=True)"
    assert len(run(lab, code).images) == 1
