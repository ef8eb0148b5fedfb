"""The panel without a browser: a real kernel, the widget protocol, a real server."""

import io
import subprocess
import sys
import threading

import pytest
from kernels import Kernel, kernel_environ
from loopback import b64, image_bytes
from panels import View, form
from PIL import Image

from ipyimagegen import Studio
from ipyimagegen.core.messages import Remedy
from ipyimagegen.notebook.fronts import PANEL
from ipyimagegen.notebook.panel.form import Form
from ipyimagegen.notebook.panel.gallery import Gallery
from ipyimagegen.notebook.panel.widget import IN_PROGRESS

RED = image_bytes(64, 48, (200, 30, 30))


def answer_red(seen):
    """Answer with as many red images as requested."""
    n = seen.json.get("n", 1) if "json" in seen.headers["Content-Type"] else int(seen.fields.get("n", 1))
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(RED)}] * n}


@pytest.fixture
def kernel(tmp_path):
    running = Kernel(kernel_environ(tmp_path / "home"))
    yield running
    running.stop()


def test_a_prompt_alone_sends_what_a_cell_without_options_sends(kernel, serve):
    server = serve(answer_red)
    view = View(kernel, server.base_url)
    assert view.generate_and_wait("a red fox")["kind"] == "done"
    view.run("%%imagine --new\na red fox")
    first, second = (post.json for post in server.posts)
    assert first == second == {"prompt": "a red fox"}
    view.until(lambda: len(view.tiles) == 2)
    assert [tile["label"] for tile in view.tiles.values()] == ["1", "2"]
    view.until(lambda: view.images)
    assert "image/png" in view.images[0] or "image/jpeg" in view.images[0]


def test_copy_as_cell_is_served_from_history(kernel, serve):
    server = serve(answer_red)
    view = View(kernel, server.base_url)
    filled = form(
        'a {fox} | said "it\'s"', n="2", seed="-1", negative_prompt='it\'s "bad" {x}', other='a={"b": 1}'
    )
    view.do("generate", form=filled)
    view.until(lambda: len(view.tiles) == 2)
    view.do("cell", form=filled)
    text = view.wait_for("cell")[0]["text"]
    done = view.run(text)
    assert done.error is None
    assert done.reused
    assert len(server.posts) == 1


class HeldServer:
    """A server that answers when `go` is set. `arrived` counts the requests."""

    def __init__(self, serve):
        self.go, self.arrived = threading.Event(), threading.Semaphore(0)
        self.server = serve(self.answer)
        self.base_url = self.server.base_url

    @property
    def posts(self):
        return self.server.posts

    def answer(self, seen):
        self.arrived.release()
        assert self.go.wait(20)
        return answer_red(seen)


def test_the_same_twice_is_sent_once_and_another_waits(kernel, serve):
    server = HeldServer(serve)
    view = View(kernel, server.base_url)
    view.generate("a red fox")
    assert server.arrived.acquire(timeout=20)
    view.generate("a red fox")
    view.wait_for_text(IN_PROGRESS)
    view.generate("a blue fox")
    view.until(lambda: view.state["job"] and view.state["job"]["queued"] == 1)
    server.go.set()
    view.until(lambda: len(view.tiles) == 2)
    view.wait()
    assert [post.json["prompt"] for post in server.posts] == ["a red fox", "a blue fox"]
    view.generate_and_wait("a red fox")  # Generate sends a stored request again, as --new does
    assert len(server.posts) == 3


def test_a_cell_computes_while_the_panel_waits(kernel, serve):
    server = HeldServer(serve)
    view = View(kernel, server.base_url)
    view.generate("a red fox")
    assert server.arrived.acquire(timeout=20)
    assert view.run("print(sum(range(10)))").texts == ["45\n"]
    assert view.state["job"] is not None
    server.go.set()
    view.wait()


def test_a_cancelled_request_is_sent_again_only_by_retry(kernel, serve):
    server = HeldServer(serve)
    view = View(kernel, server.base_url)
    view.generate("a red fox")
    assert server.arrived.acquire(timeout=20)
    view.generate("a blue fox")
    view.do("cancel")
    message = view.wait()
    server.go.set()
    assert (message["kind"], message["retry"]) == ("error", True)
    assert len(server.posts) == 1
    message = view.generate_and_wait("a red fox")  # which may have been billed
    assert (message["kind"], message["retry"]) == ("error", True)
    assert len(server.posts) == 1
    view.do("retry")
    view.until(lambda: view.tiles)
    assert len(server.posts) == 2


def test_generate_asks_for_a_job_that_was_started(kernel, serve):
    looks = [(401, {}, {"error": "no"}), (200, {}, {"data": [{"b64_json": b64(RED)}]})]
    job = {"task_id": "task_1", "status": "queued", "polling_url": "/v1/jobs/1"}
    server = serve(lambda seen: (202, {}, job) if seen.method == "POST" else looks.pop(0))
    view = View(kernel, server.base_url)
    assert "task_1" in view.generate_and_wait("a red fox")["text"]
    assert view.generate_and_wait("a red fox")["kind"] == "done"
    assert [seen.method for seen in server.requests] == ["POST", "GET", "GET"]


def test_errors_are_shown_in_the_panel(kernel, serve):
    def refuse(seen):
        return 400, {}, {"error": {"message": "<b>no</b>", "code": "content_policy_violation"}}

    view = View(kernel, serve(refuse).base_url)
    message = view.generate_and_wait("a red fox")
    assert message["kind"] == "error"
    assert message["text"].count("\n") <= 1
    assert PANEL.remedies[Remedy.CHANGE_PROMPT] in message["text"]
    for prompt, options in [("a fox", {"n": "0"}), ("a fox", {"size": "big"}), ("", {})]:
        assert view.generate_and_wait(prompt, **options)["kind"] == "error"
    view.generate("a fox sk-canary-0123456789abcdefXYZ")
    view.wait_for_text("key")
    assert "sk-canary" not in str(view.messages)
    assert view.state["job"] is None


def answer_edit(seen):
    """Answer an edit with a blue image, other requests as `answer_red`."""
    if "json" in seen.headers["Content-Type"]:
        return answer_red(seen)
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes(64, 48, (30, 30, 200)))}]}


def test_an_edit_with_an_upload_and_a_painted_mask_and_its_cell(kernel, serve):
    server = serve(answer_edit)
    view = View(kernel, server.base_url)
    view.do("upload", RED, target="image", name="fox.png")
    view.until(lambda: view.state["images"])
    assert view.state["images"][0] | {"key": ""} == {"key": "", "name": "fox.png", "width": 64, "height": 48}
    mask = b"\xff\xc0\0\0\0\0\0\0" * 48  # a bit for each pixel: ten at the left
    view.do("mask", mask, width=64, height=48)
    view.until(lambda: view.state["mask"])
    assert view.generate_and_wait("a hat")["kind"] == "done"
    (post,) = server.posts
    sent = {file.name: file for file in post.files}
    assert sent["image"].data == RED
    alpha = sent["mask"].image.getchannel("A")
    assert [alpha.getpixel((x, 20)) for x in (0, 9, 10, 63)] == [0, 0, 255, 255]
    view.do("cell", form=form("a hat"))
    done = view.run(view.wait_for("cell")[0]["text"])
    assert done.error is None
    assert done.reused
    assert len(server.posts) == 1


def test_what_can_be_done_with_an_image_of_the_gallery(kernel, serve, tmp_path):
    server = serve(answer_edit)
    view = View(kernel, server.base_url)
    view.run("%imagine -n 2 --seed 7 --set k=v a red fox")
    view.until(lambda: len(view.tiles) == 2)
    first, second = view.tiles
    assert [tile["label"] for tile in view.tiles.values()] == ["1.1", "1.2"]
    view.do("view", key=first)
    message, data = view.wait_for("image", key=first)
    assert data == [RED]
    assert (message["mime"], message["width"], message["for"]) == ("image/png", 64, "view")
    view.do("thumbs", keys=[first, second, "gone"])
    message, data = view.wait_for("thumbs")
    assert [thumb["key"] for thumb in message["thumbs"]] == [first, second]
    assert len(data) == 2
    view.do("use", key=first)
    view.until(lambda: view.state["images"])
    view.generate_and_wait("a hat")
    view.until(lambda: len(view.tiles) == 3)
    edit = list(view.tiles)[-1]
    assert view.tiles[edit]["parents"] == [first]
    view.until(lambda: view.tiles[first]["children"] == [edit])
    view.do("recall", key=second)
    assert view.wait_for_form() == form("a red fox", endpoint="lab", other="k=v", n="2", seed="7")
    view.until(lambda: not view.state["images"])
    view.do("recall", key=edit)
    view.until(lambda: view.state["images"])
    before = len(server.posts)
    view.do("rerun", key=first)
    view.until(lambda: len(view.tiles) == 5 and view.state["job"] is None)
    assert server.posts[before].json == server.posts[0].json
    view.do("save", key=first, path=str(tmp_path / "mine.png"))
    view.wait_for_text("mine.png")
    assert (tmp_path / "mine.png").read_bytes() == RED
    view.do("hide", key=first)
    view.until(lambda: first not in view.tiles)
    view.messages.clear()
    view.do("hello")  # as another view does, or the same page loaded again
    view.wait_for("tiles", reset=True)
    assert next(iter(view.tiles)) == second
    assert len(view.tiles) == 4


def test_show_request_sends_nothing(kernel, serve):
    server = serve(answer_red)
    view = View(kernel, server.base_url)
    view.do("dry_run", form=form("a red fox", n="3"))
    text = view.until(lambda: view.state["message"])["text"]
    assert '"n": 3' in text
    assert not server.posts


def test_a_missing_key_is_an_error(kernel):
    view = View(kernel, show="%load_ext ipyimagegen\n%config Imagine.endpoint = 'openai'\n%imagine_panel")
    message = view.generate_and_wait("a red fox")
    assert "OPENAI_API_KEY" in message["text"]


def test_a_variable_and_a_result_by_name(kernel, serve):
    server = serve(answer_edit)
    view = View(kernel, server.base_url)
    view.run("fox = %imagine a red fox")
    view.do("add", target="image", text="fox")
    view.until(lambda: view.state["images"])
    view.do("add", target="mask", text="0,0,10,10")
    view.until(lambda: view.state["mask"])
    view.generate_and_wait("a hat", as_="hat")
    assert view.run("print(len(hat), hat.parents == (fox[0].id,))").texts == ["1 True\n"]
    view.do("add", target="image", text="nothing_here")
    view.wait_for_text("nothing_here")
    view.do("remove", target="image", key=view.state["images"][0]["key"])
    view.until(lambda: not view.state["images"] and not view.state["mask"])


def test_actions_are_handled_in_their_order(kernel, serve):
    server = serve(answer_edit)
    view = View(kernel, server.base_url)
    view.do("upload", RED, target="image", name="fox.png")
    view.do("mask", b"\xff" * 8 * 48, width=64, height=48)
    view.generate("a hat")  # before the page has an answer to either
    view.until(lambda: view.tiles)
    (post,) = server.posts
    assert {file.name for file in post.files} == {"image", "mask"}


def test_an_input_image_stays_what_it_was_when_it_was_added(kernel, serve):
    server = serve(answer_edit)
    view = View(kernel, server.base_url)
    view.run("%imagine a red fox")
    view.do("add", target="image", text="@-1")
    view.until(lambda: view.state["images"])
    view.generate_and_wait("a hat")
    view.generate_and_wait("a scarf")
    first, second = ([file.data for file in post.files] for post in server.posts[1:])
    assert first == second == [RED]
    view.do("cell", form=form("a scarf"))
    assert "@-1" not in view.wait_for("cell")[0]["text"]


def test_retry_sends_the_same_request(kernel, serve):
    server = serve(lambda seen: (502, {}, {}) if len(server.posts) == 1 else answer_red(seen))
    view = View(kernel, server.base_url)
    assert view.generate_and_wait("a red fox", n="2")["retry"] is True
    view.do("form", form=form("something else"))
    view.do("retry")
    view.until(lambda: len(view.tiles) == 2)
    assert [post.json for post in server.posts] == [{"prompt": "a red fox", "n": 2}] * 2


def test_no_key_reaches_page_cell_or_server(kernel, serve):
    key = "sk-canary-0123456789abcdefXYZ"
    server = serve(answer_red)
    view = View(kernel, server.base_url)
    view.do("add", target="image", text=f"{server.base_url}/x.png?key={key}")
    view.until(lambda: view.state["message"])
    view.do("cell", form=form("a fox", user=key))
    view.do("save", key="x", path=f"/nowhere/{key}.png")
    view.run(f'%config Imagine.user = "{key}"')
    view.do("form", form=form("a fox"))
    view.do("dry_run", form=form("a fox"))
    view.wait_for_text("key")
    assert key not in str(view.messages)
    assert "canary" not in str(view.messages)
    assert not server.requests


def test_the_request_of_a_cell_is_sent_again_once(kernel, serve):
    server = HeldServer(serve)
    view = View(kernel, server.base_url)
    cell = kernel.client.execute("%imagine a red fox")
    assert server.arrived.acquire(timeout=20)
    server.go.set()
    view.collect(cell)
    server.go.clear()
    view.generate("a red fox ")
    assert server.arrived.acquire(timeout=20)
    view.generate(" a red fox")
    view.wait_for_text(IN_PROGRESS)
    server.go.set()
    view.wait()
    assert len(server.posts) == 2


def test_calls_of_the_panel_do_not_count_for_a_cell(kernel, serve):
    view = View(kernel, serve(answer_red).base_url)
    view.run("%config Imagine.max_calls = 1")
    for k in range(3):
        assert view.generate_and_wait(f"fox {k}")["kind"] == "done"
    assert "max_calls" in view.run("%imagine one\n%imagine two").error
    view.do("dry_run", form=form("another fox"))
    view.until(lambda: view.text and view.state["message"]["kind"] == "plan")
    assert "max_calls" not in view.text


def test_a_cell_that_runs_again_shows_one_panel(kernel, serve):
    view = View(kernel, serve(answer_red).base_url)
    session, channel = kernel.client.session, kernel.client.shell_channel
    for _ in range(3):  # as a page runs a cell, with its id
        content = {"code": "%imagine_panel", "silent": False, "store_history": True, "user_expressions": {}}
        channel.send(session.msg("execute_request", content, metadata={"cellId": "a"}))
    counted = view.run("from ipyimagegen import default_studio\nprint(len(default_studio().watchers))")
    assert counted.texts == ["2\n"]  # this panel and that of another cell


def test_forgotten_images_are_gone_from_a_new_view(kernel, serve):
    view = View(kernel, serve(answer_red).base_url)
    view.generate_and_wait("my grandmother's kitchen")
    view.until(lambda: view.tiles)
    view.run("%imagine_forget 1")
    view.messages.clear()
    view.do("hello")
    view.wait_for("tiles", reset=True)
    assert not view.tiles


def test_reused_settings_are_complete_or_nothing_changes(kernel, serve):
    server = serve(answer_edit)
    view = View(kernel, server.base_url)
    view.run("%config Imagine.n = 2")
    view.run("%imagine --n default --set 'note=\"a\\nk=5\"' a red fox")
    view.until(lambda: len(view.tiles) == 1)
    view.do("recall", key=next(iter(view.tiles)))
    filled = view.wait_for_form()
    assert filled["options"]["n"] == "default"
    view.do("generate", form=filled)
    view.until(lambda: len(view.tiles) == 2)
    assert server.posts[0].json == server.posts[1].json
    view.do("upload", RED, target="image", name="fox.png")
    view.until(lambda: view.state["images"])
    view.do("recall", key="1/1")
    view.until(lambda: view.state["message"])
    assert view.state["images"]


def test_half_a_surrogate_pair_is_replaced():
    filled = Form.from_message({"prompt": "a \ud83e\udd8a \ud800 fox", "options": {"user": "\udc00"}})
    assert filled == Form(prompt="a \U0001f98a \ufffd fox", options={"user": "\ufffd"})


def test_a_terminal_refuses_the_panel(tmp_path):
    cell = "%load_ext ipyimagegen\n%imagine_panel"
    environ = kernel_environ(tmp_path / "home", IPYTHONDIR=str(tmp_path / "ipython"))
    command = [sys.executable, "-m", "IPython", "--no-banner", "-c", cell]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "%imagine" in done.stdout + done.stderr


def test_a_file_that_cannot_be_written_hides_no_image(kernel, serve, tmp_path):
    view = View(kernel, serve(answer_red).base_url)
    too_long = tmp_path / ("deep" * 80) / "fox.png"
    message = view.generate_and_wait("a fox", save=str(too_long))
    assert message["kind"] == "error"
    view.until(lambda: view.images and view.tiles)


def test_a_stream_shows_partial_images(kernel):
    view = View(kernel, show="%load_ext ipyimagegen\n%imagine_panel")
    view.do("generate", form=form("a red fox", "sketch", "fault=slow:2", stream="true"))

    def find():
        progress = (pair for pair in view.messages if pair[0]["is"] == "progress")
        return next((pair for pair in progress if pair[0]["mime"]), None)

    message, (data,) = view.until(find)
    assert Image.open(io.BytesIO(data)).size
    assert message["line"].startswith("sketch")
    view.until(lambda: view.tiles)


def test_a_panel_is_shown_again_in_another_kernel_of_the_same_history(kernel, serve, tmp_path):
    """The store remembers; the gallery is that of the session."""
    server = serve(answer_red)
    View(kernel, server.base_url).generate_and_wait("a red fox")
    other = Kernel(kernel_environ(tmp_path / "home"))
    try:
        view = View(other, server.base_url)
        assert not view.tiles
        view.run("%imagine a red fox")
        view.until(lambda: view.tiles)
        assert len(server.posts) == 1
    finally:
        other.stop()


# Sweeps


def answer_by_seed(seen):
    """Answer with an image whose colour depends on the seed."""
    colour = (int(seen.json.get("seed", 0)) * 20 % 256, 90, 90)
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes(64, 48, colour))}]}


def seeds(server, since=0):
    """Return the seeds of the requests from that one on, sorted."""
    return sorted(post.json["seed"] for post in server.posts[since:])


def captions(view):
    """Return the captions under the panel."""
    texts = [output["text/plain"] for output in view.outputs if set(output) == {"text/plain"}]
    return [text for text in texts if " of " in text]


def test_lists_in_fields_are_a_sweep_with_its_sheet_under_the_panel(kernel, serve):
    server = serve(answer_by_seed)
    view = View(kernel, server.base_url)
    filled = {"seed": "1..3", "quality": "low, 'high'"}
    message = view.generate_and_wait("a red fox", **filled)
    assert message["kind"] == "done"
    assert message["text"].startswith("6 of 6")
    assert sorted((post.json["quality"], post.json["seed"]) for post in server.posts) == [
        (quality, seed) for quality in ("high", "low") for seed in (1, 2, 3)
    ]
    view.until(lambda: len(view.tiles) == 6 and view.selected)
    assert view.tiles[view.selected]["number"] == 1
    view.until(lambda: captions(view))
    assert len(view.images) == 1  # the sheet
    lines = [message["line"] for message, _ in view.messages if message["is"] == "progress"]
    assert lines[0].startswith("6 calls · 6 images"), lines  # the plan comes first
    view.do("cell", form=form("a red fox", **filled))
    text = view.wait_for("cell")[0]["text"]
    assert text == "%%imagine --seed 1,2,3 --quality low,high\na red fox"
    done = view.run(text)
    assert done.error is None
    assert done.reused
    assert len(server.posts) == 6


def test_a_plan_is_shown_and_only_what_is_missing_is_sent(kernel, serve):
    server = serve(answer_by_seed)
    view = View(kernel, server.base_url)
    view.generate_and_wait("a red fox", seed="2")
    view.do("dry_run", form=form("a red fox", seed="1..4"))
    plan = view.wait_for_text("seed 4")
    assert "3 calls" in plan
    assert len(server.posts) == 1
    assert view.generate_and_wait("a red fox", seed="1..4")["text"].startswith("4 of 4")
    assert seeds(server, 1) == [1, 3, 4]
    view.generate_and_wait("a red fox", seed="1..4")  # all is stored: Generate sends it again
    assert seeds(server, 4) == [1, 2, 3, 4]


def test_a_sweep_pressed_twice_is_sent_once(kernel, serve):
    server = HeldServer(serve)
    view = View(kernel, server.base_url)
    view.generate("a red fox", seed="1..6")
    for _ in range(4):
        assert server.arrived.acquire(timeout=20)
    for seed in ("1..6", "6..1", "2,4,6,1,3,5"):
        view.state["message"] = None
        view.generate("a red fox", seed=seed)
        view.wait_for_text(IN_PROGRESS)
    server.go.set()
    view.wait_for_text("6 of 6")
    assert seeds(server) == [1, 2, 3, 4, 5, 6]


def test_cancel_stops_a_sweep_and_retry_sends_what_is_unknown(kernel, serve):
    go, arrived = threading.Event(), threading.Semaphore(0)

    def answer(seen):
        arrived.release()
        if seen.json["seed"] > 2:
            assert go.wait(20)
        return answer_by_seed(seen)

    server = serve(answer)
    view = View(kernel, server.base_url)
    view.generate("a red fox", seed="1..10")
    for _ in range(6):
        assert arrived.acquire(timeout=20)
    view.until(lambda: len(view.tiles) == 2)  # before the sweep has ended
    assert view.state["job"] is not None
    view.until(lambda: any("2 of 10" in message.get("line", "") for message, _ in view.messages))
    view.do("cancel")
    view.wait_for_text("2 of 10; 8 failed")
    message = view.wait()
    go.set()
    assert seeds(server) == [1, 2, 3, 4, 5, 6]
    assert "! seed 10: " in message["text"]
    assert "4 calls" in message["text"]  # of unknown outcome
    assert message["retry"] is True
    view.until(lambda: captions(view))
    assert captions(view)[0].startswith("2 of 10; 8 failed")
    view.generate_and_wait("a red fox", seed="1..10")  # sends what was not sent, and nothing else
    assert seeds(server, 6) == [7, 8, 9, 10]
    message = view.state["message"]
    assert message["text"].startswith("6 of 10; 4 failed")
    assert message["retry"] is True
    view.do("retry")
    view.wait_for_text("10 of 10")
    assert seeds(server, 10) == [3, 4, 5, 6]


def test_failures_have_reasons_and_retry_sends_what_is_unknown(kernel, serve):
    broken = {3, 5}

    def answer(seen):
        if seen.json["seed"] == 2:
            return 400, {}, {"error": {"message": "not this fox", "code": "content_policy_violation"}}
        return (502, {}, {}) if seen.json["seed"] in broken else answer_by_seed(seen)

    server = serve(answer)
    view = View(kernel, server.base_url)
    message = view.generate_and_wait("a red fox", seed="1..5")
    view.until(lambda: captions(view))
    assert "Press Retry to send again." in captions(view)[-1]  # the words of the panel, not of a cell
    assert message["text"].startswith("2 of 5; 3 failed")
    assert message["kind"] == "note"
    assert "! seed 2: " in message["text"]
    assert "! seed 3: " in message["text"]
    assert "2 calls" in message["text"]  # of unknown outcome
    view.do("dry_run", form=form("a red fox", seed="1..5"))
    assert "--retry" not in view.wait_for_text("seed 4")
    for what in ("cell", "dry_run", "form"):  # Retry stays
        view.do(what, form=form("a red fox", seed="1..5"))
    view.do("cell", form=form("a blue fox"))
    view.until(lambda: any("a blue fox" in message.get("text", "") for message, _ in view.messages))
    assert view.state["message"]["retry"] is True
    broken.clear()
    view.generate_and_wait("a red fox", seed="3")  # a part of it is refused like the whole
    view.generate_and_wait("a red fox", seed="1,3,5")
    assert seeds(server, 5) == []
    view.do("retry")
    view.wait_for_text("3 of 3")
    assert seeds(server, 5) == [3, 5]


def test_retry_belongs_to_the_newest_request(kernel, serve):
    server = serve(lambda seen: (502, {}, {}))
    view = View(kernel, server.base_url)
    assert view.generate_and_wait("a red fox", seed="1")["retry"] is True
    assert view.generate_and_wait("a red fox", seed="abc")["retry"] is False
    view.do("retry")
    view.wait_for_text(IN_PROGRESS)
    assert len(server.posts) == 1


def test_alternatives_are_sent_as_typed_with_a_note(kernel, serve):
    view = View(kernel, serve(answer_by_seed).base_url)
    view.generate_and_wait("a {red|blue} fox", seed="1,2")
    view.until(lambda: captions(view))
    assert "{red|blue}" in captions(view)[0].split("\n- ")[1]


def test_a_gallery_that_is_reset_never_lacks_an_image(tmp_path):
    studio = Studio("sketch", home=tmp_path, environ={})
    generations = [studio.imagine("a fox", size="64x64", seed=seed) for seed in range(3)]
    gallery, done, missing = Gallery(), threading.Event(), []
    gallery.reset(generations)

    def look_up():
        while not done.is_set():
            missing.extend(1 for generation in generations if gallery.find_file(generation[0].id) is None)

    thread = threading.Thread(target=look_up)
    thread.start()
    for _ in range(300):
        gallery.reset(generations)
    done.set()
    thread.join()
    assert not missing


def test_of_a_sweep_sent_again_retry_sends_what_is_unknown(kernel, serve):
    broken = set()
    server = serve(lambda seen: (502, {}, {}) if seen.json["seed"] in broken else answer_by_seed(seen))
    view = View(kernel, server.base_url)
    view.generate_and_wait("a red fox", seed="1..4")
    view.do("dry_run", form=form("a red fox", seed="1..4"))
    view.wait_for_text("Generate sends it as a new request")
    broken.add(3)
    assert view.generate_and_wait("a red fox", seed="1..4")["retry"] is True  # all is stored, so all is sent
    assert seeds(server, 4) == [1, 2, 3, 4]
    broken.clear()
    view.do("retry")
    view.wait_for_text("4 of 4")
    assert seeds(server, 8) == [3]


def test_a_sweep_without_an_image_offers_retry(kernel, serve):
    def answer(seen):
        return (502, {}, {}) if seen.json["seed"] == 2 else (400, {}, {"error": {"message": "no"}})

    server = serve(answer)
    view = View(kernel, server.base_url)
    message = view.generate_and_wait("a red fox", seed="1..3")
    assert message["kind"] == "error"
    assert "502" in message["text"]  # the error of the call that may have been billed comes first
    assert message["retry"] is True
    assert len(server.posts) == 3


def test_a_wrong_list_and_a_large_sweep_send_nothing(kernel, serve):
    server = serve(answer_by_seed)
    view = View(kernel, server.base_url)
    for options in (
        {"seed": "1,"},
        {"seed": "1..x"},
        {"seed": "1..20"},  # above max_calls
        {"seed": "1,1"},
        {"model": "'a,b"},
        {"background": "opaque,blue"},
    ):
        assert view.generate_and_wait("a red fox", **options)["kind"] == "error", options
    assert not server.posts
