"""The words of messages: each is provoked by its real situation, and compared with `messages.toml`.

No other test asserts words. Elsewhere tests assert the type of an error, its data, and the values that its
message names (`raising.py`). A message with one text is the same at the three front doors.
"""

import datetime as dt
import errno
import io
import json
import os
import re
import signal
import socket
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sockets
from loopback import b64, image_bytes
from PIL import Image
from sockets import reply
from words import MESSAGES

from ipyimagegen import Settings, Studio
from ipyimagegen.client import Timeouts
from ipyimagegen.core import errors as e
from ipyimagegen.core.messages import PYTHON, Remedy, RunLink, render, render_remedy
from ipyimagegen.core.run import ImageRecord, ImageState, Status
from ipyimagegen.core.template import fill, parse
from ipyimagegen.core.user_input import from_call
from ipyimagegen.imaging import encode_input, read_mask
from ipyimagegen.notebook.fronts import CELL, PANEL
from ipyimagegen.notebook.parser import check_call, check_line_prompt, parse_line
from ipyimagegen.results.saving import check_place
from ipyimagegen.session.waiting import ProgressDisplay
from ipyimagegen.store import Disk, Store

FRONTS = {"python": PYTHON, "cell": CELL, "panel": PANEL}
VARIES = {  # what is another value in each run of the tests
    "RUN": r"\d{4}-[a-z0-9]{4}/\d+",
    "PORT": r"(?<=127\.0\.0\.1:)\d+",
    "FOLDER": r"/\S*/test_\w+",
    "FREE": r"[\d,]+(?= MiB are free)",
    "SECONDS": r"\d+\.\d s\b",
}


def read(error):
    """Return the text of an error at each front door, with names in place of what varies."""
    texts = {}
    for name, front in FRONTS.items():
        error.front = front
        texts[name] = replace_varying(str(error))
    return texts


def replace_varying(text):
    for word, pattern in VARIES.items():
        text = re.sub(pattern, word, text)
    return text


def catch(function, *args, **named):
    with pytest.raises(e.ImagineError) as caught:
        function(*args, **named)
    return caught.value


def check(group, name, texts):
    row = MESSAGES[group][name]
    assert texts == {front: expect(row, front) for front in texts}


def expect(row, front):
    """Return the text of a row: one text, a text of each front door, or message, bill and remedy."""
    match row:
        case str():
            return row
        case [message, bill, remedy]:
            bill = MESSAGES["bill"][bill] + " " if bill else ""
            return f"{message}\n{bill}{MESSAGES['remedy'][remedy][front]}"
    return row[front]


def test_every_remedy_is_worded_at_every_front_door():
    for remedy in Remedy:
        for name, front in FRONTS.items():
            text = render_remedy(remedy, front, run=RunLink("1120-k7f2/1")).replace("1120-k7f2/1", "RUN")
            assert text == MESSAGES["remedy"][remedy][name]


# Lines and prompts of cells

NAMES = {
    "animal": "fox",
    "rows": ["a"],
    "table": {"a b": 1},
    "day": dt.date(2026, 11, 20),
    "x": 1.5,
    "ranged": "1..4",
    "nothing": None,
}


@pytest.mark.parametrize("line", MESSAGES["line"])
def test_lines(line):
    check("line", line, {"cell": read(catch(parse_line, line, NAMES))["cell"]})


@pytest.mark.parametrize("text", MESSAGES["text"])
def test_texts_that_are_hardly_a_prompt(text):
    check("text", text, {"cell": read(catch(check_line_prompt, text))["cell"]})


@pytest.mark.parametrize("call", MESSAGES["call"])
def test_calls_that_are_no_lines(call):
    check("call", call, {"cell": read(catch(check_call, *call.split(" ", 1)))["cell"]})


@pytest.mark.parametrize("template", MESSAGES["template"])
def test_templates(template):
    error = catch(lambda: fill(parse(template), NAMES))
    assert error.__cause__ is None
    check("template", template, read(error))


# Requests that are refused before anything is sent

KEYS = {"ZHIPUAI_API_KEY": "z" * 30, "OPENAI_API_KEY": "sk-" + "a" * 40, "ARK_API_KEY": "k" * 30}
OPTIONS = {
    "an unknown option": {"sise": "1x1"},
    "an option of cells alone": {"raw": True},
    "an empty list": {"seed": []},
    "a value of another type": {"size": (64, 64, 3)},
    "a text for a number": {"seed": "1,x"},
    "a number out of bounds": {"n": 0},
    "a word that is misspelled": {"quality": "hihg"},
    "a size without a height": {"size": "12x"},
    "a size that the model does not make": {"size": "1000x1000"},
    "a size at a server of ratios": {"size": "2K", "model": "grok-4", "endpoint": "xai"},
    "a name of another tool": {"ratio": "16:9"},
    "a name of no tool": {"zzz": 1},
    "a name that another tool gives to save": {"outfile": "a.png"},
    "saving in a call": {"save": "a.png"},
    "an option that the server would bill and not answer": {"stream": True, "endpoint": "zhipu"},
    "a gif in a stream": {"model": "gpt-image-2.6-flare", "output_format": "gif", "stream": True},
    "frames of a png": {"model": "gpt-image-2.6-flare", "frame_count": 3},
    "a ratio without a height": {"aspect_ratio": "1:"},
    "a size and another ratio": {"size": "1024x1024", "aspect_ratio": "16:9"},
    "a transparent jpeg": {"background": "transparent", "output_format": "jpeg"},
    "compression of a png": {"output_compression": 85},
    "an option that the model does not have": {"negative_prompt": "red"},
    "an option of edits alone": {"model": "gpt-image-1", "input_fidelity": "high"},
    "more images than one call makes": {"n": 12},
    "an edit by a model without edits": {"model": "dall-e-3", "image": image_bytes()},
    "more input images than the model takes": {"model": "dall-e-2", "image": [image_bytes()] * 2},
    "a mask without an image": {"mask": (0, 0, 1, 1)},
    "an unknown endpoint": {"endpoint": "opnai"},
    "an endpoint without a base URL": {"endpoint": "azure"},
    "a base URL with a query": {"endpoint": "http://gpu.example/?a=b"},
    "a base URL with a password": {"endpoint": "http://me:secret@gpu.example"},
    "a base URL of another scheme": {"endpoint": "ftp://gpu.example"},
    "a deployment without its version": {"endpoint": "https://me.openai.azure.com/openai/deployments/D"},
    "extra that is no JSON": {"extra": {"a": float("nan")}},
    "extra that is no mapping": {"extra": 3},
    "extra in place of a list": {"extra": {"seed": 3}, "seed": [1, 2]},
    "send_key without an executor": {"send_key": True},
    "offline": {"offline": True},
    "a file that does not exist": {"image": "nowhere.png"},
    "a word that is no file": {"image": "cat"},
    "an id of no run": {"image": "@9"},
    "the same request twice": {"partial_images": [1, 2]},
    "a gap in a list": {"seed": [1, None]},
    "an empty prompt of a list": {"prompt": ["a", " "]},
    "too many combinations": {"seed": range(9000), "guidance_scale": range(1, 9001)},
    "a prompt that is too long for the model": {"model": "dall-e-2", "prompt": "x" * 1001},
    "a negative prompt besides that of the prompt": {
        "endpoint": "localai",
        "prompt": "a fox|red",
        "negative_prompt": "dogs",
    },
    "an empty prompt": {"prompt": ""},
    "a prompt with a NUL": {"prompt": "a\0b"},
    "a prompt that is a number": {"prompt": 3},
    "no prompts": {"prompt": []},
    "a prompt of a list that is a number": {"prompt": ["a", 3]},
    "a key in the prompt": {"prompt": KEYS["OPENAI_API_KEY"]},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_requests(home, name):
    options = {"prompt": "a fox", "endpoint": "openai", **OPTIONS[name]}
    own = {"localai": {"base_url": "http://127.0.0.1:9/v1"}}
    studio = Studio(home=home, environ=KEYS, settings=Settings(endpoints=own))
    check("request", name, read(catch(lambda: studio.plan(from_call(options.pop("prompt"), options)))))


def test_settings(home, serve, tmp_path):
    def fail(environ=None, _home=home, _options=None, **settings):
        studio = Studio(home=_home, environ=environ or {}, settings=Settings(**settings))
        return read(catch(studio.imagine, "a fox", **_options or {}))

    paid = {"lab": {"base_url": "http://127.0.0.1:1/v1", "free": False}}
    lab = {"endpoints": paid, "options": {"endpoint": "lab"}}
    (tmp_path / "file").write_text("in the way")
    texts = {
        "no key": fail(options={"endpoint": "openai"}),
        "no key for the model's server": fail(options={"model": "seedream-4.0"}),
        "a key with a blank": fail({"OPENAI_API_KEY": "a b"}, options={"endpoint": "openai"}),
        "more images than allowed": fail(**lab, max_images=3, _options={"n": 4}),
        "more calls than allowed": fail(**lab, max_calls=1, _options={"seed": [1, 2]}),
        "an unknown setting of an endpoint": fail(endpoints={"lab": {"keyenv": "X"}}),
        "an unknown dialect": fail(endpoints={"lab": {"base_url": "https://x.test", "dialect": "vlm-omni"}}),
        "a key sent unencrypted": fail(
            {"LAB_KEY": "k" * 20},
            endpoints={"lab": {"base_url": "http://gpu.example", "key_env": "LAB_KEY"}},
            options={"endpoint": "lab"},
        ),
        "a key of another server": fail(
            endpoints={"lab": {"base_url": "https://evil.example", "key_env": "OPENAI_API_KEY"}},
            options={"endpoint": "lab"},
        ),
        "a variable that names nothing": fail({"IPYIMAGEGEN_ENDPOINT": "opnai"}),
        "a variable that is no base URL": fail({"OPENAI_BASE_URL": "gpu example"}),
        "a home below a file": fail(_home=tmp_path / "file" / "home", **lab),
    }
    for name, text in texts.items():
        check("setting", name, text)
    assert texts.keys() == MESSAGES["setting"].keys()


# Images that cannot be sent

IMAGES = {
    "empty": b"",
    "text": b"a red fox in the snow\n",
    "svg": b"<svg/>",
    "html": b"<!DOCTYPE html><html></html>",
    "pdf": b"%PDF-1.7\n%\xe2\xe3",
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "video": b"\0\0\0\x18ftypisom\0\0\0\0mp42avc1",
    "numpy": b"\x93NUMPY\1\0",
    "lfs": b"version https://git-lfs.github.com/spec/v1\n",
    "unknown": bytes(range(256)),
    "cut short": image_bytes()[:-20],
    "damaged": image_bytes()[:40] + b"\0" + image_bytes()[41:],
    "a folder": Path("/"),
    "a device": Path("/dev/zero"),
    "no file": Path("/nowhere/cat.png"),
    "a number": 3,
    "several": [Image.new("L", (8, 8))] * 4,
    "floats out of range": Image.frombytes("F", (1, 1), struct.pack("f", 1300)),
}
MASKS = {
    "a mask that changes nothing": Image.new("L", (8, 6), 0),
    "a mask of another size": Image.new("L", (6, 8), 255),
    "a mask of many shades": Image.linear_gradient("L").resize((8, 6)),
    "a box that is none": "1,2,3",
    "a box outside the image": "0,0,9,9",
    "a box without area": "1,1,0,0",
}


@pytest.mark.parametrize("name", MESSAGES["image"])
def test_images(name):
    call = (encode_input, IMAGES[name]) if name in IMAGES else (read_mask, MASKS[name], (8, 6))
    check("image", name, read(catch(*call)))


# What a server answers

DATA = {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}


UNOPENED = [{"b64_json": b64(b"<svg/>")}, {"b64_json": b64(b"\0\0\0\x0cJXL \r\n\x87\n")}]


def animation():
    """Return a GIF of two frames."""
    out = io.BytesIO()
    frames = [Image.new("L", (64, 48), grey) for grey in (0, 200)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def refuse(status, message="no", code=None, **headers):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return reply({"error": {"message": message, "code": code}}, f"{status} No", *lines)


ANSWERS = {
    "bad request": refuse(400),
    "wrong key": refuse(401),
    "no credit": refuse(429, code="insufficient_quota"),
    "too large": refuse(413),
    "no such model": refuse(400, code="model_not_found"),
    "wait too long": refuse(429, "slow down", Retry_After=3600),
    "redirect": reply("", "308 Moved", "Location: https://other.example/v2/images/generations"),
    "server error": refuse(500, "try again"),
    "content policy": refuse(403, "Rejected by our safety system"),
    "another region": refuse(403, "Country, region, or territory not supported"),
    "unverified organization": refuse(403, "Your organization must be verified to use the model"),
    "forbidden": refuse(403),
    "wrong path": reply({"detail": "Not Found"}, "404 Not Found"),
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "reason in another member": reply({"success": False, "message": "out of memory"}),
    "credit in a 200": reply({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
    "unknown members": reply({"created": 1, "picture": "later"}),
    "web page": reply("<html>hello</html>", kind="text/html"),
    "no JSON": reply("hello"),
    "no list": reply({"created": 1}),
    "no data list": reply({"data": "x"}),
    "empty list": reply({"data": []}),
    "no image": reply({"data": [{}]}),
    "empty image": reply({"data": [{"b64_json": ""}]}),
    "damaged base64": reply({"data": [{"b64_json": "@@"}]}),
    "private address": reply({"data": [{"url": "https://127.0.0.1:1/a.png"}]}),
    "text at a URL": reply({"data": [{"url": "/a.png"}]}),
    "path on a disk": reply({"data": [{"url": "/tmp/a.png"}]}),
    "no image file": reply({"data": [{"b64_json": b64(b"<html>")}]}),
    "an SVG with another label": reply({"data": [{"b64_json": b64(b"<svg/>"), "output_format": "png"}]}),
    "cut short": reply(DATA)[:-200],
    "closed": b"",
    "reset": sockets.reset,
    "silent": sockets.hang,
    "too slow": sockets.trickle_body,
    "another encoding": reply(b"\x28\xb5\x2f\xfd" + bytes(99), "200 OK", "Content-Encoding: zstd"),
}


LIMITS = {"idle_timeout": 1, "call_timeout": 2}


def studio_at(home, origin, poll="", limits=LIMITS, **settings):
    own = {"lab": {"base_url": f"{origin}/v1", "free": False, "poll": poll, **limits}}
    settings = Settings(endpoints=own, options={"endpoint": "lab"}, **settings)
    studio = Studio(home=home, environ={}, settings=settings)
    studio.tools = replace(studio.tools, timeouts=Timeouts(connect=1))
    return studio


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(home, start, name):
    studio = studio_at(home, start(ANSWERS[name]).origin)
    check("answer", name, read(catch(studio.imagine, "a fox")))


FAILURES = {
    "not read": "ipyimagegen.client.response.read_response",
    "not processed": "ipyimagegen.imaging.choose_edge",
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_of_our_own(home, start, monkeypatch, name):
    def fail(*_args, **_options):
        raise KeyError("fox")

    monkeypatch.setattr(FAILURES[name], fail)
    studio = studio_at(home, start(reply({"data": []})).origin)
    check("answer", name, read(catch(studio.imagine, "a fox")))


def test_jobs(home, start):
    def ask(name, *answers, poll="", **more):
        made = reply({"id": "task_1", "status": "queued", **more})
        origin = start([made, *answers]).origin
        studio = studio_at(home / name, origin, poll=poll)
        check("job", name, read(catch(studio.imagine, "a fox")))
        return studio_at(home / name, origin, poll=poll)

    unknown = ask("unknown route")
    check("job", "unknown route, again", read(catch(unknown.imagine, "a fox")))
    assert unknown.plan(from_call("a fox", {"retry": True})).summary == MESSAGES["job"]["second"]
    ask("elsewhere", polling_url="https://other.example/jobs/1")
    ask("not a URL", polling_url="http://{host}:{port}/jobs/1")
    both = [{"id": name, "status": "queued"} for name in ("task_1", "task_2")]
    ask("two", id="", status="", data=both)
    ask("not finished", reply({"status": "running"}), poll="/tasks/{id}")
    ask("refused", refuse(401), poll="/tasks/{id}")
    failed = ask("failed", reply({"status": "failed", "error": {"message": "no foxes"}}), poll="/tasks/{id}")
    check("job", "failed, again", read(catch(failed.imagine, "a fox")))


def test_servers_that_are_not_reached(home, start, tls, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    plain = start(b"HTTP/1.1 400 Bad Request\r\n\r\n").origin.replace("http:", "https:")
    origins = {
        "nobody listens": closed,
        "unknown name": "http://images.invalid",
        "untrusted certificate": start(reply(DATA), tls).origin,
        "no TLS": plain,
    }
    texts = {name: read(catch(studio_at(home, origin).imagine, name)) for name, origin in origins.items()}
    proxies = {
        "proxy with a password": start(b"HTTP/1.1 407 No\r\n\r\n").origin,
        "proxy that refuses": start(b"HTTP/1.1 502 No\r\n\r\n").origin,
        "proxy that closes": start(b"").origin,
        "malformed proxy": "http://",
        "SOCKS proxy": "socks5h://127.0.0.1:9",
    }
    for name, proxy in proxies.items():
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        texts[name] = read(catch(studio_at(home, "https://images.example").imagine, name))
    for name, text in texts.items():
        check("network", name, text)


# What is known of a request that was sent before, and of one in flight


class Clicks(ProgressDisplay):
    """Presses the stop button as soon as the server has so many requests."""

    def __init__(self, server, posts):
        self.server, self.posts = server, posts

    def planned(self, plan):
        pass

    def working(self, batch):
        if self.server.posts >= self.posts:
            raise KeyboardInterrupt

    def failed(self, batch):
        pass


def test_waits_that_end_early(home, start):
    go = threading.Event()

    def answer(conn, seen):
        if b"fox" in seen.body or json.loads(seen.body).get("seed") == 9:
            go.wait(20)
        conn.sendall(reply(DATA))

    server = start(answer)
    studio = studio_at(home, server.origin, limits={}, max_parallel=1)
    single, sweep, short = (
        studio.plan(from_call(prompt, options))
        for prompt, options in (
            ("a fox", {}),
            ("a hen", {"seed": [1, 9, 3]}),
            ("a hen", {"seed": [1, 9, 3], "timeout": 3}),
        )
    )
    before = studio_at(home / "before", server.origin)
    before.store.probe = lambda need: signal.raise_signal(signal.SIGINT)
    texts = {
        "stopped before it was sent": read(catch(before.imagine, "a fox")),
        "timeout": read(catch(studio.imagine, "a fox", timeout=2)),
        "interrupt": read(catch(lambda: studio.carry_out(single, Clicks(server, 1)))),
        "second interrupt": read(catch(lambda: studio.carry_out(single, Clicks(server, 1)))),
        "sweep, timeout": read(catch(studio.carry_out, short)),
        "sweep, interrupt": read(catch(lambda: studio.carry_out(sweep, Clicks(server, 3)))),
        "sweep, second interrupt": read(catch(lambda: studio.carry_out(sweep, Clicks(server, 3)))),
    }
    go.set()
    for name, text in texts.items():
        check("wait", name, text)


def test_sweeps_of_which_nothing_came(home, start):
    refused = studio_at(home, start(refuse(400)).origin)
    lost = studio_at(home / "lost", start(b"").origin)
    check("sweep", "refused", read(catch(refused.imagine, "a fox", seed=[1, 2])))
    check("sweep", "unknown", read(catch(lost.imagine, "a fox", seed=[1, 2])))


def test_requests_that_were_sent_before(home, start):
    studio = studio_at(home, start(reply(DATA)).origin)
    run = studio.imagine("a fox").run

    def look(**changes):
        studio.store.update(studio.store.run(run.id).replace(**changes))
        return read(catch(studio_at(home, studio.default_endpoint().base_url[:-3]).imagine, "a fox"))

    unread = (ImageRecord(index=1, state=ImageState.UNREAD),)
    gone = (ImageRecord(index=1, sha256="0" * 64, mime="image/png"),)
    texts = {
        "unknown": look(status=Status.UNKNOWN, images=()),
        "unknown with an image": look(status=Status.UNKNOWN, images=run.images),
        "in progress elsewhere": look(status=Status.PENDING, images=()),
        "without its file": look(status=Status.DONE, images=gone),
        "not read": look(status=Status.DONE, images=unread),
    }
    studio.store.spool(studio.store.run(run.id)).write_bytes(b"{")
    texts["stored and not read"] = look(status=Status.DONE, images=unread)
    for name, text in texts.items():
        check("history", name, text)


def test_formats_that_are_not_opened(home, start):
    fox = studio_at(home, start(reply({"data": UNOPENED[:1]})).origin).imagine("a fox")
    text = replace_varying(str(catch(lambda: fox[0].pil)))
    assert text == MESSAGES["image_of_result"]["not opened"]


def test_ids(home, start):
    studio = studio_at(home, start(reply(DATA)).origin)
    texts = {"none": read(catch(lambda: studio.history[1]))}
    studio.imagine("a fox")
    texts |= {
        "no run": read(catch(lambda: studio.history[7])),
        "no image": read(catch(lambda: studio.history["1.2"])),
        "no id": read(catch(lambda: studio.history["x y"])),
        "one run to compare": read(catch(lambda: studio.history.compare(1))),
        "no session": read(catch(lambda: studio.history.select(session="9999-zzzz"))),
        "no date": read(catch(lambda: studio.history.search("fox", since="soon"))),
    }
    for name, text in texts.items():
        check("id", name, text)


def test_runs_that_a_table_leaves_out(home, start):
    origin = start(reply(DATA)).origin
    studio = studio_at(home, origin)
    studio.imagine(["a fox", "a cat"])
    other = studio_at(home, origin)
    tables = {
        "older": studio.history.to_table(studio.history.list_runs(limit=1)),
        "elsewhere": other.history.table,
    }
    for name, table in tables.items():
        (note,) = table.notes
        check("left_out", name, {door: render(note, front) for door, front in FRONTS.items()})


def test_files_to_save_to(home, start, tmp_path):
    made = studio_at(home, start(reply(DATA)).origin).imagine("a fox")
    texts = {
        "an unknown field": read(catch(made.save, tmp_path / "{modle}")),
        "a folder": read(catch(made.save, tmp_path)),
        "below a file": read(catch(made.save, "/dev/null/fox")),
        "not writable": read(catch(check_place, "/dev/null/fox")),
    }
    for name, text in texts.items():
        check("save", name, text)


def test_full_disks(home, start, monkeypatch):
    def write(file, data):
        if bytes(data[:4]) == b"\x89PNG":
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(file, data)

    monkeypatch.setattr("tempfile.tempdir", str(home))
    full = Disk(home, write=write)
    monkeypatch.setattr(
        "ipyimagegen.store.blobs.find_fallback", lambda *_, **__: replace(full, home=home / "other")
    )
    studio = studio_at(home, start(reply(DATA)).origin)
    studio.store = Store(home, disk=full)
    studio.tools = replace(studio.tools, store=studio.store)
    check("disk", "no room for the image", read(catch(studio.imagine, "a fox")))
    check("disk", "no room for a call", read(catch(studio.store.probe, 1 << 60)))


# Captions


def test_captions(home, start):
    def show(
        answer, prompt="a fox", _endpoint="lab", _configured=None, _at="/v1", _dialect="openai", **options
    ):
        server = answer if isinstance(answer, sockets.Server) else start(answer)
        entry = {"base_url": server.origin + _at, "dialect": _dialect, "free": False, "allow_key": True}
        own = {_endpoint: entry}
        configured = {"endpoint": _endpoint, **(_configured or {})}
        environ = {"DMXAPI_API_KEY": "k" * 30}
        studio = Studio(home=home, environ=environ, settings=Settings(endpoints=own, options=configured))
        return replace_varying(studio.imagine(prompt, **options).caption)

    def by_seed(conn, seen):
        conn.sendall({1: refuse(400), 2: b"", 3: good}[json.loads(seen.body)["seed"]])

    good, two = reply(DATA), reply({"created": 1, "data": DATA["data"] * 2})
    server = start(good)
    known = {"_endpoint": "dmxapi", "model": "gpt-image-1"}
    texts = {
        "a new image": show(server),
        "the same again": show(server),
        "other than asked": show(reply({**DATA, "quality": "low"}), n=2, size="512x512", quality="high"),
        "a seed that is not sent": show(good, "a cat", seed=7, **known),
        "configured and not supported": show(good, "a hen", _configured={"negative_prompt": "red"}, **known),
        "a deployment in the address": show(
            good, "a pig", _at="/openai/deployments/D", _dialect="azure", model="M"
        ),
        "an animation": show(reply({"data": [{"b64_json": b64(animation())}]}), "a wren"),
        "formats that are not opened": show(reply({"data": UNOPENED}), "an ox", n=2),
        "a vector image": show(reply({"data": UNOPENED[:1]}), "a cod", output_format="svg"),
        "cut inside the second image": show(two[:-60], "an owl", n=2),
        "a sweep": show(by_seed, "a cow", seed=[1, 2, 3], timeout=30),
    }
    for name, text in texts.items():
        assert text == MESSAGES["captions"][name]
    assert texts.keys() == MESSAGES["captions"].keys()
