"""What must never happen: paid twice by accident, a delivered image lost, a key let out."""

import contextlib
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from loopback import CANARY, b64, image_bytes, records
from raising import raising
from studios import make_studio

from ipyimagegen import Settings, Studio
from ipyimagegen.core import errors as e
from ipyimagegen.core.messages import PYTHON, Remedy
from ipyimagegen.core.user_input import from_call
from ipyimagegen.notebook.fronts import CELL
from ipyimagegen.store import Disk, Store

IMAGES = [image_bytes(64, 48, (40 * i, 90, 10)) for i in range(4)]
HASHES = {hashlib.sha256(image).hexdigest() for image in IMAGES}


def good(seen):
    count = seen.json.get("n", 1)
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(image)} for image in IMAGES[:count]]}


def everything(home):
    """Return all bytes that a store holds."""
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "data",
    [
        [{"b64_json": b64(b"<html onload='alert(1)'>")}],
        [{"b64_json": "@@@ no base64 @@@"}],
        [{"b64_json": b64(IMAGES[0][:40])}],
        [],
    ],
)
def test_a_reply_without_a_usable_image_is_not_paid_for_again(home, serve, data):
    server = serve(lambda seen: (200, {}, {"created": 1, "data": data}))
    for _ in range(3):
        with pytest.raises(e.CallError):
            make_studio(home, server).imagine("a fox")
    assert len(server.posts) == 1
    assert any(
        json.dumps({"created": 1, "data": data}).encode() == kept for kept in everything(home).values()
    )
    with pytest.raises(e.CallError):
        make_studio(home, server).imagine("a fox", retry=True)
    assert len(server.posts) == 2


def test_a_lost_file_is_told_and_not_paid_for_again(home, serve):
    server = serve(good)
    four = make_studio(home, server).imagine("a fox", n=4)
    four[1].path.unlink()
    three = make_studio(home, server).imagine("a fox", n=4)
    assert [image.number for image in three] == [1, 3, 4]
    assert "! image 2: " in three.caption
    for image in three:
        image.path.write_bytes(b"damaged")
    with raising(e.OutcomeUnknown, run=four.id):
        make_studio(home, server).imagine("a fox", n=4)
    assert len(server.posts) == 1


def test_a_download_that_fails_takes_nothing_back_that_another_notebook_got(home, serve):
    answers = [(403, {}, b"not yet")]

    def answer(seen):
        if seen.method == "POST":
            url = f"{server.base_url}/1.png"
            return 200, {}, {"created": 1, "data": [{"url": url}]}
        if answers:
            return answers.pop()
        answers.append((200, {}, IMAGES[0]))
        make_studio(home, server).imagine("a fox")  # the other one, while this one waits
        return 403, {}, b"gone"

    server = serve(answer)
    with raising(e.CallError, remedy=Remedy.FETCH):
        make_studio(home, server).imagine("a fox")
    for _ in range(2):
        assert make_studio(home, server).imagine("a fox")[0].bytes == IMAGES[0]
    assert len(server.posts) == 1


def test_images_keep_their_place_in_the_reply(home, serve):
    data = [{"b64_json": b64(b"<html>")}, *({"b64_json": b64(image)} for image in IMAGES[:2])]
    server = serve(lambda seen: (200, {}, {"created": 1, "data": data}))
    made = make_studio(home, server).imagine("a fox", n=3)
    assert [image.id.split(".")[1] for image in made] == ["2", "3"]
    assert made.caption.count("image 1") == 1


def test_every_failing_write_leaves_every_delivered_byte(tmp_path, serve):
    server = serve(good)
    for nth in range(1, 60):
        home = tmp_path / str(nth)
        left = [nth]

        def write(fd, data, left=left):
            left[0] -= 1
            if left[0] <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return os.write(fd, data)

        studio = make_studio(home, server)
        studio.store = Store(home, disk=Disk(home, write=write))
        before = len(server.posts)
        shown = None
        with contextlib.suppress(e.ImagineError):
            shown = studio.imagine("a fox", n=2)
        posts = len(server.posts) - before
        if posts and not (shown and len(shown) == 2):
            kept = b"".join(everything(home).values())
            assert all(image in kept or b64(image).encode() in kept for image in IMAGES[:2]), nth
        status = (
            [record.get("status") for record in records(home).values()] if (home / "records").is_dir() else []
        )
        assert set(status) <= {"pending", "done", "unknown", "not_sent"}
        if left[0] > 0:
            assert shown is not None
            assert nth > 4  # some writes did fail before
            return
    raise AssertionError("never went through")


def test_a_rerun_leaves_out_options_that_a_newer_version_stored(home, serve):
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(IMAGES[0])}]}))
    studio = make_studio(home, server)
    run = studio.imagine("a fox").run
    path = home / "records" / f"{run.id}.json"
    record = json.loads(path.read_text())
    record["request"]["options"] = {"warp": "9"}
    path.write_text(json.dumps(record))
    again = studio.rerun(studio.store.run(run.id))
    assert "warp" not in again.run.request.options
    assert len(server.posts) == 2


def test_a_rerun_asks_the_server_of_its_run(home, serve):
    server = serve(good)
    address = server.base_url.replace("/v1", "/api/v3")
    studio = Studio(home=home, environ={})
    first = studio.imagine("a fox", endpoint=address)
    first.rerun(seed=2)
    first.rerun("a cat")
    assert [seen.path for seen in server.posts] == ["/api/v3/images/generations"] * 3
    moved = Studio(
        home=home, environ={}, settings=Settings(endpoints={"lab": {"base_url": serve(good).base_url}})
    )
    with raising(e.InvalidOption, "endpoint", address):  # nobody named it since
        moved.history[first.id].rerun(seed=3)
    assert len(server.posts) == 3
    moved.history[first.id].rerun(seed=3, endpoint=address)
    assert len(server.posts) == 4


def test_no_door_sends_or_records_a_key(home, serve, kernel):
    server = serve(good)
    bare = CANARY.removeprefix("sk-")  # a key that is known by its value alone
    environ = {"IPYIMAGEGEN_API_KEY": bare}
    studio = Studio(home=home, environ=environ, settings=Settings(options={"endpoint": server.base_url}))
    with pytest.raises(e.InvalidOption):
        studio.imagine(f"a fox {bare}")
    for options in ({"user": CANARY}, {"extra": {"a": CANARY}}, {"negative_prompt": f"x {CANARY}"}):
        with pytest.raises(e.InvalidOption):
            studio.imagine("a fox", **options)
    with pytest.raises(e.InvalidOption):
        studio.imagine(f"a fox {CANARY}")
    kernel.run(f"v = {CANARY!r}\n%config Imagine.endpoint = {server.base_url!r}")
    cells = ["%imagine a fox {v}", "%imagine --user {v} a fox", "%imagine --set a={v} a fox"]
    cells += [
        f"%imagine_{name} {CANARY}" for name in ("models", "show", "history", "forget", "cost", "endpoints")
    ]
    for code in cells:
        cell = kernel.run(code)
        assert "key" in cell.error
        assert CANARY not in json.dumps(cell.outputs)
    assert not server.posts
    assert not records(home)


def test_threads_that_come_first_share_one_studio(home, serve):
    server = serve(good)
    code = (
        "import sys; sys.setswitchinterval(1e-6)\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from ipyimagegen import imagine\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        f"    done = list(pool.map(lambda _: imagine('a fox', endpoint={server.base_url!r}).id, range(8)))\n"
        "print(len(set(done)))"
    )
    environ = {**os.environ, "IPYIMAGEGEN_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stdout == "1\n"
    assert len(server.posts) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_a_fork_begins_anew(home, serve):
    may_answer = threading.Event()

    def answer(seen):
        assert seen.json["prompt"] == "a cat" or may_answer.wait(30)
        return good(seen)

    server = serve(answer)
    code = (
        "import os, sys, threading\n"
        "from ipyimagegen import Settings, Studio\n"
        f"own = {{'lab': {{'base_url': {server.base_url!r}, 'free': False}}}}\n"
        f"studio = Studio('lab', {str(home)!r}, settings=Settings(endpoints=own, max_parallel=1))\n"
        "try: studio.imagine('a fox', timeout=3)\n"
        "except BaseException as error: print(type(error).__name__, flush=True)\n"
        "if os.fork() == 0:\n"
        "    print(len(studio.history), studio.imagine('a cat', timeout=20).id.split('/')[1], flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    may_answer.set()
    assert done.stdout.split() == ["Detached", "0", "1"]
    assert len({record["session"] for record in records(home).values()}) == 2


def test_the_thread_of_a_call_loads_no_module(home, serve):
    """A fork has no other thread: what one was loading then is locked there for ever."""

    def answer(seen):
        if seen.method == "GET":
            return 200, {}, IMAGES[0]
        webp = image_bytes(kind="WEBP")
        url = {"url": f"{server.base_url}/image.png"}
        return 200, {}, {"created": 1, "data": [{"b64_json": b64(IMAGES[1])}, {"b64_json": b64(webp)}, url]}

    server = serve(answer)
    code = (
        "import sys, threading\n"
        "loaded = set()\n"
        "def hear(event, arguments):\n"
        "    if event == 'import' and threading.current_thread().name.startswith('imagine '):\n"
        "        loaded.add(arguments[0])\n"
        "sys.addaudithook(hear)\n"
        "from ipyimagegen import Settings, Studio\n"
        f"own = {{'lab': {{'base_url': {server.base_url!r}, 'free': False}}}}\n"
        f"studio = Studio('lab', {str(home)!r}, settings=Settings(endpoints=own))\n"
        "fox = studio.imagine('a fox', n=3)\n"
        "studio.imagine('a hat', n=3, image=fox[0], mask='1,1,9,9', stream=True)\n"
        "print(len(fox), *sorted(loaded))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["3"], done.stderr


def test_a_server_that_names_a_cost_is_not_free_any_more(home, serve):
    server = serve(lambda seen: (200, {"x-litellm-response-cost": "0.04"}, good(seen)[2]))
    studio = make_studio(home, server, paid=False, max_images=2)

    def is_paid(prompt, **options):
        (call,) = studio.plan(from_call(prompt, options)).calls
        return call.paid

    assert not is_paid("a fox")
    fox = studio.imagine("a fox")
    assert (fox.cost.basis, fox.cost.amount) == ("server", 0.04)
    assert is_paid("a fox", new=True)
    assert is_paid("a hat")
    with pytest.raises(e.OverBudget):
        studio.imagine("a hat", n=3)
    studio = make_studio(home, server, paid=False)  # tomorrow, only what it named a cost for is known
    assert is_paid("a fox", new=True)
    assert not is_paid("a hat")
    assert len(server.posts) == 1


def test_what_was_not_billed_leaves_the_calls_of_its_cell(kernel, serve):
    server = serve(lambda seen: (401, {}, b"") if "cat" in seen.json["prompt"] else good(seen))
    entry = {"base_url": server.base_url, "free": False}
    kernel.run(
        f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n%config Imagine.endpoint = 'lab'\n"
        "%config Imagine.max_calls = 2\nfrom ipyimagegen import ImagineError, imagine"
    )
    loop = (
        "for k in range(4):\n    try:\n        imagine(f'a cat {k}')\n"
        "    except ImagineError as fault:\n        failure = str(fault)\n"
        "for k in range(3):\n    imagine(f'a fox {k}')"
    )
    assert "max_calls" in kernel.run(loop).error
    assert "401" in kernel.run("print(failure)").caption
    assert len(server.posts) == 6


def test_max_calls_holds_for_a_cell_with_a_loop(kernel, serve):
    server = serve(good)
    entry = {"base_url": server.base_url, "free": False}
    kernel.run(
        f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n%config Imagine.endpoint = 'lab'\n"
        "%config Imagine.max_calls = 3\nip = get_ipython()"
    )
    loop = "for i in range(9):\n    ip.run_line_magic('imagine', f'--new a fox {i}')"
    assert "max_calls" in kernel.run(loop).error
    assert len(server.posts) == 3
    python = "from ipyimagegen import imagine\nfor i in range(9):\n    imagine(f'a cat {i}')"
    assert "max_calls" in kernel.run(python).error
    assert len(server.posts) == 6
    assert kernel.run("%imagine one more").error is None


@pytest.mark.parametrize("options", [{}, {"retry": True}], ids=str)
def test_two_notebooks_that_begin_at_once_never_both_pay(home, serve, options):
    server = serve(good)
    for attempt in range(5):
        studios = [make_studio(home, server) for _ in range(2)]
        plans = [
            studio.plan(from_call(f"a fox {attempt}", options)) for studio in studios
        ]  # neither sees the other
        together = threading.Barrier(2)
        outcomes = []

        def begin(studio, plan, together=together, outcomes=outcomes):
            together.wait(10)
            try:
                outcomes.append(studio.carry_out(plan))
            except (e.NotSent, e.OutcomeUnknown) as fault:
                outcomes.append(str(fault))

        threads = [threading.Thread(target=begin, args=pair) for pair in zip(studios, plans, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(outcomes) == 2
    prompts = [seen.json["prompt"] for seen in server.posts]
    assert len(prompts) == len(set(prompts))


def test_a_refusal_inside_a_200_is_a_refusal(home, serve):
    body = {"error": {"code": "insufficient_quota", "message": "no money"}}
    server = serve(lambda seen: (200, {}, body))
    for _ in range(2):
        with pytest.raises(e.RequestRefused):
            make_studio(home, server).imagine("a fox")
    assert len(server.posts) == 2


def test_a_cut_reply_says_what_that_means(home, serve):
    whole = json.dumps({"created": 1, "data": [{"b64_json": b64(image)} for image in IMAGES[:2]]}).encode()
    cut = whole[: len(whole) - 60]
    server = serve(lambda seen: (200, {"Content-Length": str(len(whole)), "Connection": "close"}, cut))
    made = make_studio(home, server).imagine("a fox", n=2, timeout=20)
    assert len(made) == 1
    assert cut in everything(home).values()  # the reply as it came
    assert PYTHON.remedies[Remedy.RETRY] in made.caption
    with pytest.raises(e.OutcomeUnknown):
        make_studio(home, server).imagine("a fox", n=2)
    assert len(server.posts) == 1


def test_offline_fetches_nothing(home, serve):
    studio = Studio(home=home, environ={})
    server = serve(
        lambda seen: (
            (403, {}, b"")
            if seen.method == "GET"
            else (200, {}, {"data": [{"url": f"http://{seen.headers['Host']}/1.png"}]})
        )
    )
    with pytest.raises(e.CallError):
        studio.imagine("a fox", endpoint=server.base_url)
    before = len(server.requests)
    run, _ = studio.ledger.find("1")
    elsewhere = run.replace(request=replace(run.request, base_url="https://gpu.example/v1"))
    assert [image.state for image in studio.fetch(elsewhere, offline=True).images] == ["url_pending"]
    assert len(server.requests) == before


def test_a_wait_counts_from_its_own_beginning(home, serve):
    may_answer = threading.Event()
    server = serve(lambda seen: (may_answer.wait(30), good(seen))[1])
    studio = make_studio(home, server)
    with pytest.raises(e.Detached):
        studio.imagine("a fox", timeout=0.3)
    threading.Timer(0.6, may_answer.set).start()
    assert studio.imagine("a fox", timeout=20)
    assert len(server.posts) == 1


def test_after_a_timeout_the_first_interrupt_does_not_give_up(kernel, serve, home):
    asked, may_answer = threading.Event(), threading.Event()
    server = serve(lambda seen: (asked.set(), may_answer.wait(30), good(seen))[2])
    entry = {"base_url": server.base_url, "free": False}
    kernel.run(f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n%config Imagine.endpoint = 'lab'")
    assert CELL.remedies[Remedy.WAIT].partition("{")[0] in kernel.run("%imagine --timeout 0.3 a fox").error
    message = kernel.start("print('again')\n%imagine a fox")
    while kernel.client.get_iopub_msg(timeout=10)["msg_type"] != "stream":
        pass
    os.kill(kernel.manager.provisioner.pid, signal.SIGINT)
    assert CELL.remedies[Remedy.WAIT].partition("{")[0] in kernel.collect(message).error
    may_answer.set()
    assert kernel.run("%imagine a fox").error is None
    assert {record["status"] for record in records(home).values()} == {"done"}


@pytest.mark.parametrize(
    ("spelling", "other"),
    [
        ({"guidance_scale": 7}, {"guidance_scale": 7.0}),
        ({"aspect_ratio": "16:9"}, {"aspect_ratio": "16.0:9"}),
    ],
)
def test_the_same_value_is_the_same_request(home, serve, spelling, other):
    server = serve(good)
    make_studio(home, server).imagine("a fox", **spelling)
    assert make_studio(home, server).imagine("a fox", **other).reused


def test_a_stored_result_is_found_without_the_key_and_with_what_was_left_out(home, serve, monkeypatch):
    server = serve(good)
    configured = {"style": "vivid"}  # gpt-image-2 takes none
    with_key = {"OPENAI_API_KEY": CANARY}
    own = {"openai": {"base_url": server.base_url, "vendor": "openai", "free": False, "allow_key": True}}
    settings = Settings(options=configured, endpoints=own)
    asked = Studio(home=home, environ=with_key, settings=settings).imagine("a fox", model="gpt-image-2")
    again = Studio(home=home, environ={}, settings=settings).imagine("a fox", model="gpt-image-2")
    assert again.id == asked.id
    assert len(server.posts) == 1


def test_who_waited_for_a_place_does_not_pay_for_what_another_got(home, serve):
    may_answer = threading.Event()

    def answer(seen):
        if seen.json["prompt"] == "slow":
            assert may_answer.wait(20)
        return good(seen)

    server = serve(answer)
    first, second = make_studio(home, server), make_studio(home, server, max_parallel=1)
    holds = threading.Thread(target=lambda: second.imagine("slow"))
    holds.start()
    while not server.posts:
        time.sleep(0.01)
    results = []

    def waits():
        try:
            results.append(second.imagine("a fox"))
        except e.NotSent as fault:
            results.append(fault)

    waiting = threading.Thread(target=waits)
    waiting.start()
    while not second.ledger.in_flight() or len(second.ledger.in_flight()) < 2:
        time.sleep(0.01)
    first.imagine("a fox")
    may_answer.set()
    waiting.join(20)
    holds.join(20)
    assert [seen.json["prompt"] for seen in server.posts] == ["slow", "a fox"]
    assert results[0].remedy is Remedy.DIAGNOSE
    assert second.imagine("a fox").reused
