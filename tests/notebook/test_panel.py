"""The panel without a browser: a real kernel, the widget protocol, a real server."""

import io
import subprocess
import sys
import threading

import pytest
from kernels import Kernel, kernel_environ
from loopback import b64, image_bytes
from panels import Front, form
from PIL import Image

from ipyimagegen import Studio
from ipyimagegen.notebook.panel.form import Form
from ipyimagegen.notebook.panel.gallery import Gallery

RED = image_bytes(64, 48, (200, 30, 30))


def images(seen):
    n = seen.json.get("n", 1) if "json" in seen.headers["Content-Type"] else int(seen.fields.get("n", 1))
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(RED)}] * n}


@pytest.fixture
def kernel(tmp_path):
    running = Kernel(kernel_environ(tmp_path / "home"))
    yield running
    running.stop()


def test_a_prompt_alone_sends_what_a_cell_without_options_sends(kernel, serve):
    server = serve(images)
    front = Front(kernel, server.base_url)
    assert front.ask("a red fox")["kind"] == "done"
    front.run("%%imagine --new\na red fox")
    first, second = (one.json for one in server.posts)
    assert first == second == {"prompt": "a red fox"}
    front.until(lambda: len(front.tiles) == 2)
    assert [one["label"] for one in front.tiles.values()] == ["1", "2"]
    front.until(lambda: front.images)
    assert "image/png" in front.images[0] or "image/jpeg" in front.images[0]


def test_copy_as_cell_is_served_from_history(kernel, serve):
    server = serve(images)
    front = Front(kernel, server.base_url)
    filled = form(
        'a {fox} | said "it\'s"', n="2", seed="-1", negative_prompt='it\'s "bad" {x}', other='a={"b": 1}'
    )
    front.do("generate", form=filled)
    front.until(lambda: len(front.tiles) == 2)
    front.do("cell", form=filled)
    text = front.got("cell")[0]["text"]
    done = front.run(text)
    assert done.error is None
    assert "from history" in done.caption
    assert len(server.posts) == 1


class Held:
    """A server whose answers wait until told."""

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
        return images(seen)


def test_the_same_twice_is_sent_once_and_another_waits(kernel, serve):
    server = Held(serve)
    front = Front(kernel, server.base_url)
    front.generate("a red fox")
    assert server.arrived.acquire(timeout=20)
    front.generate("a red fox")
    front.until(lambda: "nothing was sent" in str(front.state["message"]))
    front.generate("a blue fox")
    front.until(lambda: front.state["job"] and front.state["job"]["queued"] == 1)
    server.go.set()
    front.until(lambda: len(front.tiles) == 2)
    front.done()
    assert [one.json["prompt"] for one in server.posts] == ["a red fox", "a blue fox"]
    front.ask("a red fox")  # the button asks again, as --new does
    assert len(server.posts) == 3


def test_a_cell_computes_while_the_panel_waits(kernel, serve):
    server = Held(serve)
    front = Front(kernel, server.base_url)
    front.generate("a red fox")
    assert server.arrived.acquire(timeout=20)
    assert front.run("print(sum(range(10)))").texts == ["45\n"]
    assert front.state["job"] is not None
    server.go.set()
    front.done()


def test_cancel_gives_up_and_says_what_may_be_billed(kernel, serve):
    server = Held(serve)
    front = Front(kernel, server.base_url)
    front.generate("a red fox")
    assert server.arrived.acquire(timeout=20)
    front.generate("a blue fox")
    front.do("cancel")
    message = front.done()
    server.go.set()
    assert message["kind"] == "error"
    assert "may have been charged" in message["text"]
    assert len(server.posts) == 1
    refused = front.ask("a red fox")  # an outcome that is unknown is not paid twice by a press of a button
    assert refused["retry"] is True
    assert "may have been charged" in refused["text"]
    assert len(server.posts) == 1
    front.do("retry")
    front.until(lambda: front.tiles)
    assert len(server.posts) == 2


def test_errors_are_told_in_place(kernel, serve):
    def refuse(seen):
        return 400, {}, {"error": {"message": "<b>no</b>", "code": "content_policy_violation"}}

    front = Front(kernel, serve(refuse).base_url)
    message = front.ask("a red fox")
    assert message["kind"] == "error"
    assert message["text"].count("\n") <= 1
    for wrong, said in [({"n": "0"}, "1 to"), ({"size": "big"}, "is no size")]:
        front.do("generate", form=form("a fox", **wrong))
        front.until(lambda said=said: said in str(front.state["message"]))
    front.do("generate", form=form(""))
    front.until(lambda: "prompt" in str(front.state["message"]))
    front.do("generate", form=form("a fox sk-canary-0123456789abcdefXYZ"))
    front.until(lambda: "key" in str(front.state["message"]))
    assert "sk-canary" not in str(front.told)
    assert front.state["job"] is None


def edited(seen):
    if "json" in seen.headers["Content-Type"]:
        return images(seen)
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes(64, 48, (30, 30, 200)))}]}


def test_an_edit_with_an_upload_and_a_painted_mask_and_its_cell(kernel, serve):
    server = serve(edited)
    front = Front(kernel, server.base_url)
    front.do("upload", RED, target="image", name="fox.png")
    front.until(lambda: front.state["images"])
    assert front.state["images"][0] | {"key": ""} == {"key": "", "name": "fox.png", "width": 64, "height": 48}
    mask = b"\xff\xc0\0\0\0\0\0\0" * 48  # a bit for each pixel: the ten at the left
    front.do("mask", mask, width=64, height=48)
    front.until(lambda: front.state["mask"])
    assert front.ask("a hat")["kind"] == "done"
    (post,) = server.posts
    sent = {one.name: one for one in post.files}
    assert sent["image"].data == RED
    alpha = sent["mask"].image.getchannel("A")
    assert [alpha.getpixel((x, 20)) for x in (0, 9, 10, 63)] == [0, 0, 255, 255]
    front.do("cell", form=form("a hat"))
    done = front.run(front.got("cell")[0]["text"])
    assert done.error is None
    assert "from history" in done.caption
    assert len(server.posts) == 1


def test_a_image_of_the_strip_is_used_recalled_saved_and_taken_out_of_view(kernel, serve, tmp_path):
    server = serve(edited)
    front = Front(kernel, server.base_url)
    front.run("%imagine -n 2 --seed 7 --set k=v a red fox")
    front.until(lambda: len(front.tiles) == 2)
    first, second = front.tiles
    assert [one["label"] for one in front.tiles.values()] == ["1.1", "1.2"]
    front.do("view", key=first)
    told, data = front.got("image", key=first)
    assert data == [RED]
    assert (told["mime"], told["width"], told["for"]) == ("image/png", 64, "view")
    front.do("thumbs", keys=[first, second, "gone"])
    told, data = front.got("thumbs")
    assert [one["key"] for one in told["thumbs"]] == [first, second]
    assert len(data) == 2
    front.do("use", key=first)
    front.until(lambda: front.state["images"])
    front.ask("a hat")
    front.until(lambda: len(front.tiles) == 3)
    edit = list(front.tiles)[-1]
    assert front.tiles[edit]["parents"] == [first]
    front.until(lambda: front.tiles[first]["children"] == [edit])
    front.do("recall", key=second)
    recalled = front.until(
        lambda: next((one for one, _ in front.told if one.get("form", {}).get("prompt")), None)
    )
    assert recalled["form"] == form("a red fox", endpoint="lab", other="k=v", n="2", seed="7")
    front.until(lambda: not front.state["images"])
    front.do("recall", key=edit)
    front.until(lambda: front.state["images"])
    before = len(server.posts)
    front.do("rerun", key=first)
    front.until(lambda: len(front.tiles) == 5 and front.state["job"] is None)
    assert server.posts[before].json == server.posts[0].json
    front.do("save", key=first, path=str(tmp_path / "mine.png"))
    front.until(lambda: "saved" in str(front.state["message"]))
    assert (tmp_path / "mine.png").read_bytes() == RED
    front.do("hide", key=first)
    front.until(lambda: first not in front.tiles)
    front.told.clear()
    front.do("hello")  # another view, or the same page loaded again
    front.until(lambda: any(one["is"] == "tiles" and one["reset"] for one, _ in front.told))
    assert next(iter(front.tiles)) == second
    assert len(front.tiles) == 4


def test_what_would_be_sent_is_shown(kernel, serve):
    server = serve(images)
    front = Front(kernel, server.base_url)
    front.do("dry_run", form=form("a red fox", n="3"))
    text = front.until(lambda: front.state["message"])["text"]
    assert '"n": 3' in text
    assert not server.posts


def test_a_key_is_not_asked_for_in_a_thread(kernel):
    front = Front(kernel, show="%load_ext ipyimagegen\n%config Imagine.endpoint = 'openai'\n%imagine_panel")
    message = front.ask("a red fox")
    assert "OPENAI_API_KEY" in message["text"]


def test_a_variable_and_a_result_by_name(kernel, serve):
    server = serve(edited)
    front = Front(kernel, server.base_url)
    front.run("fox = %imagine a red fox")
    front.do("add", target="image", text="fox")
    front.until(lambda: front.state["images"])
    front.do("add", target="mask", text="0,0,10,10")
    front.until(lambda: front.state["mask"])
    front.ask("a hat", as_="hat")
    assert front.run("print(len(hat), hat.parents == (fox[0].id,))").texts == ["1 True\n"]
    front.do("add", target="image", text="nothing_here")
    front.until(lambda: "nothing_here" in str(front.state["message"]))
    front.do("remove", target="image", key=front.state["images"][0]["key"])
    front.until(lambda: not front.state["images"] and not front.state["mask"])


def test_what_is_pressed_in_a_row_counts_in_that_order(kernel, serve):
    server = serve(edited)
    front = Front(kernel, server.base_url)
    front.do("upload", RED, target="image", name="fox.png")
    front.do("mask", b"\xff" * 8 * 48, width=64, height=48)
    front.generate("a hat")  # before the page has heard of either
    front.until(lambda: front.tiles)
    (post,) = server.posts
    assert {one.name for one in post.files} == {"image", "mask"}


def test_a_image_stays_what_it_was_when_it_was_added(kernel, serve):
    server = serve(edited)
    front = Front(kernel, server.base_url)
    front.run("%imagine a red fox")
    front.do("add", target="image", text="@-1")
    front.until(lambda: front.state["images"])
    front.ask("a hat")
    front.ask("a scarf")
    first, second = ([one.data for one in post.files] for post in server.posts[1:])
    assert first == second == [RED]
    front.do("cell", form=form("a scarf"))
    assert "@-1" not in front.got("cell")[0]["text"]


def test_what_may_have_been_billed_is_asked_again_as_it_was(kernel, serve):
    answers = iter([(502, {}, {}), images])

    def answer(seen):
        one = next(answers)
        return one(seen) if callable(one) else one

    server = serve(answer)
    front = Front(kernel, server.base_url)
    assert front.ask("a red fox", n="2")["retry"] is True
    front.do("form", form=form("something else"))
    front.do("retry")
    front.until(lambda: len(front.tiles) == 2)
    assert [one.json for one in server.posts] == [{"prompt": "a red fox", "n": 2}] * 2


def test_no_key_reaches_page_cell_or_server(kernel, serve):
    key = "sk-canary-0123456789abcdefXYZ"
    server = serve(images)
    front = Front(kernel, server.base_url)
    front.do("add", target="image", text=f"{server.base_url}/x.png?key={key}")
    front.until(lambda: front.state["message"])
    front.do("cell", form=form("a fox", user=key))
    front.do("save", key="x", path=f"/nowhere/{key}.png")
    front.run(f'%config Imagine.user = "{key}"')
    front.do("form", form=form("a fox"))
    front.do("dry_run", form=form("a fox"))
    front.until(lambda: "key" in str(front.state["message"]))
    assert key not in str(front.told)
    assert "canary" not in str(front.told)
    assert not server.requests


def test_the_same_of_a_cell_is_not_sent_twice_and_cancel_leaves_it_alone(kernel, serve):
    server = Held(serve)
    front = Front(kernel, server.base_url)
    cell = kernel.client.execute("%imagine a red fox")
    assert server.arrived.acquire(timeout=20)
    server.go.set()
    front.collect(cell)
    server.go.clear()
    front.generate("a red fox ")
    assert server.arrived.acquire(timeout=20)
    front.generate(" a red fox")
    front.until(lambda: "nothing was sent" in str(front.state["message"]))
    server.go.set()
    front.done()
    assert len(server.posts) == 2


def test_the_panel_leaves_the_calls_of_a_cell_uncounted(kernel, serve):
    front = Front(kernel, serve(images).base_url)
    front.run("%config Imagine.max_calls = 1")
    for k in range(3):
        assert front.ask(f"fox {k}")["kind"] == "done"
    told = front.run("%imagine one\n%imagine two")
    assert "max_calls" in told.error
    front.do("dry_run", form=form("another fox"))
    front.until(lambda: "dry run" in str(front.state["message"]))
    assert "max_calls" not in front.state["message"]["text"]


def test_a_cell_that_runs_again_shows_one_panel(kernel, serve):
    front = Front(kernel, serve(images).base_url)
    session, channel = kernel.client.session, kernel.client.shell_channel
    for _ in range(3):  # as a page runs a cell: it says which
        content = {"code": "%imagine_panel", "silent": False, "store_history": True, "user_expressions": {}}
        channel.send(session.msg("execute_request", content, metadata={"cellId": "a"}))
    counted = front.run("from ipyimagegen import default_studio\nprint(len(default_studio().watchers))")
    assert counted.texts == ["2\n"]  # that one, and the one of another cell


def test_forgotten_images_are_gone_from_a_new_view(kernel, serve):
    front = Front(kernel, serve(images).base_url)
    front.ask("my grandmother's kitchen")
    front.until(lambda: front.tiles)
    front.run("%imagine_forget 1")
    front.told.clear()
    front.do("hello")
    front.until(lambda: any(one["is"] == "tiles" and one["reset"] for one, _ in front.told))
    assert not front.tiles


def test_a_recall_is_complete_or_nothing(kernel, serve):
    server = serve(edited)
    front = Front(kernel, server.base_url)
    front.run("%config Imagine.n = 2")
    front.run("%imagine --n default --set 'note=\"a\\nk=5\"' a red fox")
    front.until(lambda: len(front.tiles) == 1)
    front.do("recall", key=next(iter(front.tiles)))
    told = front.until(
        lambda: next((one for one, _ in front.told if one.get("form", {}).get("prompt")), None)
    )
    assert told["form"]["options"]["n"] == "default"
    front.do("generate", form=told["form"])
    front.until(lambda: len(front.tiles) == 2)
    assert server.posts[0].json == server.posts[1].json
    front.do("upload", RED, target="image", name="fox.png")
    front.until(lambda: front.state["images"])
    front.do("recall", key="1/1")
    front.until(lambda: front.state["message"])
    assert front.state["images"]


def test_half_a_character_spoils_nothing():
    told = Form.of({"prompt": "a \ud83e\udd8a \ud800 fox", "options": {"user": "\udc00"}})
    assert told == Form(prompt="a \U0001f98a \ufffd fox", options={"user": "\ufffd"})


def test_a_terminal_is_told_what_there_is_instead(tmp_path):
    cell = "%load_ext ipyimagegen\n%imagine_panel"
    environ = kernel_environ(tmp_path / "home", IPYTHONDIR=str(tmp_path / "ipython"))
    command = [sys.executable, "-m", "IPython", "--no-banner", "-c", cell]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "in a terminal there is %imagine" in done.stdout + done.stderr


def test_a_file_that_cannot_be_written_hides_no_image(kernel, serve, tmp_path):
    front = Front(kernel, serve(images).base_url)
    message = front.ask("a fox", save=str(tmp_path / ("deep" * 80) / "fox.png"))  # too long for a folder
    assert message["kind"] == "error"
    front.until(lambda: front.images and front.tiles)


def test_a_stream_shows_images_on_their_way(kernel):
    front = Front(kernel, show="%load_ext ipyimagegen\n%imagine_panel")
    front.do("generate", form=form("a red fox", "sketch", "fault=slow:2", stream="true"))
    front.until(lambda: any(one["is"] == "progress" and one["mime"] for one, _ in front.told))
    (told, (data,)) = next(one for one in front.told if one[0]["is"] == "progress" and one[0]["mime"])
    assert Image.open(io.BytesIO(data)).size
    assert told["line"].startswith("sketch")
    front.until(lambda: front.tiles)


def test_a_panel_is_shown_again_in_another_kernel_of_the_same_history(kernel, serve, tmp_path):
    """What is remembered is the store's; the strip is the session's."""
    server = serve(images)
    Front(kernel, server.base_url).ask("a red fox")
    other = Kernel(kernel_environ(tmp_path / "home"))
    try:
        front = Front(other, server.base_url)
        assert not front.tiles
        front.run("%imagine a red fox")
        front.until(lambda: front.tiles)
        assert "from history" not in str(front.state["message"])
        assert len(server.posts) == 1
    finally:
        other.stop()


# Sweeps


def painted(seen):
    """Answer with an image that tells its seed."""
    colour = (int(seen.json.get("seed", 0)) * 20 % 256, 90, 90)
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes(64, 48, colour))}]}


def seeds(server, since=0):
    return sorted(one.json["seed"] for one in server.posts[since:])


def captions(front):
    """Return the captions under the panel."""
    texts = [one["text/plain"] for one in front.outputs if set(one) == {"text/plain"}]
    return [one for one in texts if " of " in one]


def test_lists_in_fields_are_a_sweep_with_its_sheet_under_the_panel(kernel, serve):
    server = serve(painted)
    front = Front(kernel, server.base_url)
    filled = {"seed": "1..3", "quality": "low, 'high'"}
    message = front.ask("a red fox", **filled)
    assert message["kind"] == "done"
    assert message["text"].startswith("6 of 6")
    assert sorted((one.json["quality"], one.json["seed"]) for one in server.posts) == [
        (quality, seed) for quality in ("high", "low") for seed in (1, 2, 3)
    ]
    front.until(lambda: len(front.tiles) == 6 and front.selected)
    assert front.tiles[front.selected]["number"] == 1
    front.until(lambda: captions(front))
    assert len(front.images) == 1  # one sheet
    lines = [one["line"] for one, _ in front.told if one["is"] == "progress"]
    assert lines[0].startswith("6 calls · 6 images"), lines  # the plan comes first
    front.do("cell", form=form("a red fox", **filled))
    text = front.got("cell")[0]["text"]
    assert text == "%%imagine --seed 1,2,3 --quality low,high\na red fox"
    done = front.run(text)
    assert done.error is None
    assert "from history" in done.caption
    assert len(server.posts) == 6


def test_a_plan_is_shown_and_only_what_is_missing_is_asked(kernel, serve):
    server = serve(painted)
    front = Front(kernel, server.base_url)
    front.ask("a red fox", seed="2")
    front.do("dry_run", form=form("a red fox", seed="1..4"))
    plan = front.until(lambda: "seed 4" in str(front.state["message"]) and front.state["message"]["text"])
    assert "3 calls" in plan
    assert "1 from history" in plan
    assert len(server.posts) == 1
    assert front.ask("a red fox", seed="1..4")["text"].startswith("4 of 4")
    assert seeds(server, 1) == [1, 3, 4]
    front.ask("a red fox", seed="1..4")  # all is stored: the button asks, and pays, again
    assert seeds(server, 4) == [1, 2, 3, 4]


def test_a_sweep_pressed_twice_is_sent_once(kernel, serve):
    server = Held(serve)
    front = Front(kernel, server.base_url)
    front.generate("a red fox", seed="1..6")
    for _ in range(4):
        assert server.arrived.acquire(timeout=20)
    for again in ("1..6", "6..1", "2,4,6,1,3,5"):
        front.state["message"] = None
        front.generate("a red fox", seed=again)
        front.until(lambda: "nothing was sent" in str(front.state["message"]))
    server.go.set()
    front.until(lambda: "6 of 6" in str(front.state["message"]))
    assert seeds(server) == [1, 2, 3, 4, 5, 6]


def test_cancel_gives_a_sweep_up_and_sends_no_more(kernel, serve):
    go, arrived = threading.Event(), threading.Semaphore(0)

    def answer(seen):
        arrived.release()
        if seen.json["seed"] > 2:
            assert go.wait(20)
        return painted(seen)

    server = serve(answer)
    front = Front(kernel, server.base_url)
    front.generate("a red fox", seed="1..10")
    for _ in range(6):
        assert arrived.acquire(timeout=20)
    front.until(lambda: len(front.tiles) == 2)  # they are seen as they come
    assert front.state["job"] is not None
    front.until(lambda: any("2 of 10" in one.get("line", "") for one, _ in front.told))
    front.do("cancel")
    front.until(lambda: "2 of 10; 8 failed" in str(front.state["message"]))
    message = front.done()
    go.set()
    assert seeds(server) == [1, 2, 3, 4, 5, 6]
    assert "! seed 10: not sent" in message["text"]
    assert "4 calls of unknown outcome, perhaps billed: the button below asks again." in message["text"]
    assert message["retry"] is True
    front.until(lambda: captions(front))
    assert captions(front)[0].startswith("2 of 10; 8 failed")
    front.ask("a red fox", seed="1..10")  # asks for what was not sent, and leaves the doubtful alone
    assert seeds(server, 6) == [7, 8, 9, 10]
    message = front.state["message"]
    assert message["text"].startswith("6 of 10; 4 failed")
    assert message["retry"] is True
    front.do("retry")
    front.until(lambda: "10 of 10" in str(front.state["message"]))
    assert seeds(server, 10) == [3, 4, 5, 6]


def test_what_failed_says_why_and_what_is_in_doubt_is_asked_again_alone(kernel, serve):
    broken = {3, 5}

    def answer(seen):
        if seen.json["seed"] == 2:
            return 400, {}, {"error": {"message": "not this fox", "code": "content_policy_violation"}}
        return (502, {}, {}) if seen.json["seed"] in broken else painted(seen)

    server = serve(answer)
    front = Front(kernel, server.base_url)
    message = front.ask("a red fox", seed="1..5")
    assert message["text"].startswith("2 of 5; 3 failed")
    assert message["kind"] == "note"
    assert "! seed 2: lab answered 400" in message["text"]
    assert "! seed 3: lab answered 502" in message["text"]
    assert "2 calls of unknown outcome" in message["text"]
    front.do("dry_run", form=form("a red fox", seed="1..5"))
    plan = front.until(lambda: "seed 4" in str(front.state["message"]) and front.state["message"]["text"])
    assert "--retry" not in plan
    for what in ("cell", "dry_run", "form"):  # what may be asked again stays at hand
        front.do(what, form=form("a red fox", seed="1..5"))
    front.do("cell", form=form("a blue fox"))
    front.until(
        lambda: any("a blue fox" in one.get("text", "") for one, _ in front.told if one["is"] == "cell")
    )
    assert front.state["message"]["retry"] is True
    broken.clear()
    front.generate("a red fox", seed="3")  # one place of it alone: refused as ever
    front.until(lambda: "may have been charged" in str(front.state["message"]))
    front.ask("a red fox", seed="1,3,5")
    assert seeds(server, 5) == []
    front.do("retry")
    front.until(lambda: "3 of 3" in str(front.state["message"]))
    assert seeds(server, 5) == [3, 5]


def test_another_request_is_not_offered_what_an_older_one_left_in_doubt(kernel, serve):
    server = serve(lambda seen: (502, {}, {}))
    front = Front(kernel, server.base_url)
    assert front.ask("a red fox", seed="1")["retry"] is True
    front.generate("a red fox", seed="abc")
    front.until(lambda: "whole number" in str(front.state["message"]))
    assert front.state["message"]["retry"] is False
    front.do("retry")
    front.until(lambda: "under way already" in str(front.state["message"]))
    assert len(server.posts) == 1


def test_alternatives_are_sent_as_typed_and_that_is_told(kernel, serve):
    front = Front(kernel, serve(painted).base_url)
    front.ask("a {red|blue} fox", seed="1,2")
    front.until(lambda: captions(front))
    assert "- braces were sent as typed: {one|other} stands for several in a cell" in captions(front)[0]


def test_a_strip_that_is_told_anew_never_lacks_a_image(tmp_path):
    one = Studio("sketch", home=tmp_path, environ={})
    made = [one.imagine("a fox", size="64x64", seed=seed) for seed in range(3)]
    strip, going, missed = Gallery(), threading.Event(), []
    strip.renew(made)

    def look():
        while not going.is_set():
            missed.extend(1 for generation in made if strip.file(generation[0].id) is None)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(300):
        strip.renew(made)
    going.set()
    looking.join()
    assert not missed


def test_of_a_sweep_asked_anew_only_what_is_in_doubt_is_asked_again(kernel, serve):
    broken = set()
    server = serve(lambda seen: (502, {}, {}) if seen.json["seed"] in broken else painted(seen))
    front = Front(kernel, server.base_url)
    front.ask("a red fox", seed="1..4")
    front.do("dry_run", form=form("a red fox", seed="1..4"))
    front.until(lambda: "Generate asks for it anew" in str(front.state["message"]))
    broken.add(3)
    assert front.ask("a red fox", seed="1..4")["retry"] is True  # all is stored, so all is asked
    assert seeds(server, 4) == [1, 2, 3, 4]
    broken.clear()
    front.do("retry")
    front.until(lambda: "4 of 4" in str(front.state["message"]))
    assert seeds(server, 8) == [3]


def test_a_sweep_of_which_nothing_came_offers_what_is_in_doubt(kernel, serve):
    def answer(seen):
        return (502, {}, {}) if seen.json["seed"] == 2 else (400, {}, {"error": {"message": "no"}})

    server = serve(answer)
    front = Front(kernel, server.base_url)
    message = front.ask("a red fox", seed="1..3")
    assert message["kind"] == "error"
    assert message["text"].startswith("None of 3 came; 1 may have been charged; the first: lab answered 502")
    assert "the button below asks again" in message["text"]
    assert message["retry"] is True
    assert len(server.posts) == 3


def test_a_list_that_is_none_or_too_dear_sends_nothing(kernel, serve):
    server = serve(painted)
    front = Front(kernel, server.base_url)
    for filled, said in [
        ({"seed": "1,"}, "empty place"),
        ({"seed": "1..x"}, "whole number"),
        ({"seed": "1..20"}, "max_calls"),
        ({"seed": "1,1"}, "the same request"),
        ({"model": "'a,b"}, "not closed"),
        ({"background": "opaque,blue"}, "is none of"),
    ]:
        front.generate("a red fox", **filled)
        front.until(lambda said=said: said in str(front.state["message"]))
        assert front.done()["kind"] == "error"
    assert not server.posts
