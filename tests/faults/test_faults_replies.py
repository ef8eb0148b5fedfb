"""A server says 200, and what comes is not what was asked for."""

import json
import re
import threading
import time

import pytest
from event_lines import event
from lab import Clock
from loopback import b64, image_bytes
from sockets import hang, items, reply, reset

from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Status
from ipyimagegen.notebook.fronts import CELL

IMAGES = [image_bytes(64, 48, (40 * k, 90, 10)) for k in range(5)]
PAGE = "<!doctype html><title>Welcome</title><script>document.body.append('hello')</script>"
UNUSABLE = [{"data": []}, {"data": None}, {"data": "an image"}, {"created": 1}]


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_23_a_page_with_status_200(lab, kind):
    lab.serve(reply(PAGE, kind=kind))
    lab.cell()
    lab.check(Status.UNKNOWN, 1, "/v1", raw=PAGE.encode())


def test_24_no_list_of_images(lab):
    lab.serve([reply(body) for body in UNUSABLE])
    for seed in range(4):
        lab.cell(f"%imagine --seed {seed} a red fox")
    lab.check([Status.UNKNOWN] * 4, 4, raw=json.dumps(UNUSABLE[2]).encode())


def test_25_base64_or_address_is_empty(lab):
    server = lab.serve([])
    there = {"url": f"{server.origin}/image"}
    taken = [
        ({"b64_json": "", **there}, IMAGES[0]),
        ({"b64_json": "@@@", **there}, IMAGES[1]),
        ({"b64_json": b64(IMAGES[2]), "url": ""}, None),
        ({"b64_json": b64(IMAGES[3]), "url": "https://127.0.0.1:1/x"}, None),
    ]
    for seed, (item, fetched) in enumerate(taken):
        server.answer = [reply({"data": [item]}), reply(fetched or b"", kind="image/png")]
        assert len(lab.cell(f"%imagine --seed {seed} a red fox").images) == 1
    lab.check([Status.DONE] * 4, 4, delivered=IMAGES[:4], states=["stored"])
    assert len(server.seen) == 6


def test_26_base64_that_is_damaged_or_dressed_up(lab):
    text = b64(IMAGES[1])
    blanks = " \n".join(text[at : at + 76] for at in range(0, len(text), 76))
    dressed = f"data:image/png;base64,{b64(IMAGES[2])}"
    damaged = b64(IMAGES[0][:60]) + "@@@@"
    lab.serve(reply({"data": [{"b64_json": text} for text in (damaged, blanks, dressed)]}))
    lab.cell("%imagine -n 3 a red fox")
    states = ["quarantined", "stored", "stored"]
    lab.check(Status.DONE, 1, "image 1: ", delivered=[IMAGES[0][:60], *IMAGES[1:3]], states=states)


def test_27_fewer_or_more_images_than_asked(lab):
    lab.serve([reply(items(*IMAGES[:3])), reply(items(*IMAGES))])
    assert re.search("4 images.* 3", lab.cell("%imagine -n 4 a red fox").texts)
    lab.cell("%imagine -n 4 a cat")
    lab.check([Status.DONE] * 2, 2, "4 images.* 5", delivered=IMAGES, states=["stored"] * 5)


AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor, as_completed
from ipyimagegen import imagine
with ThreadPoolExecutor(4) as pool:
    for future in as_completed(pool.submit(imagine, prompt) for prompt in ("hang", "busy", "reset", "good")):
        error = future.exception()
        display({"text/plain": str(error)} if error else future.result(), raw=bool(error))
        shown.set()
"""
BECAME = {"good": Status.DONE, "busy": Status.RATE_LIMITED, "reset": Status.UNKNOWN, "hang": Status.UNKNOWN}


def test_28_four_calls_at_once_and_three_fail(lab):
    """The image is shown while the others still wait."""
    shown = lab.shell.user_ns["shown"] = threading.Event()

    def answer(conn, seen):
        prompt = json.loads(seen.body)["prompt"]
        if prompt == "good":
            conn.sendall(reply(items(IMAGES[0])))
        elif shown.wait(3):
            {"busy": lambda *_: conn.sendall(reply("", "429 Busy")), "reset": reset, "hang": hang}[prompt](
                conn
            )

    lab.limit(idle=2)
    lab.wait_on(Clock())
    lab.serve(answer)
    cell = lab.cell(AT_ONCE)
    assert cell.images[0] is cell.outputs[0]
    assert sorted(run.request.prompt for run in lab.runs) == sorted(BECAME)
    statuses = [BECAME[run.request.prompt] for run in lab.runs]
    lab.check(statuses, 6, "429", delivered=IMAGES[:1], images=1)


def stream(*events):
    return reply(b"".join(events), length=False, kind="text/event-stream")


PARTIALS = [event("image_generation.partial_image", image) for image in IMAGES[:2]]
FINAL = event("image_generation.completed", IMAGES[2])
FELL = event("error", error={"message": "the model fell over", "code": "server_error"})
CUTS = {"between": (b"", ""), "inside": (FINAL[:-40], ""), "stated": (FELL, "the model fell over")}


@pytest.mark.parametrize("cut", CUTS)
def test_29_a_stream_that_breaks_off(lab, cut):
    more, says = CUTS[cut]
    lab.serve(stream(*PARTIALS, more))
    lab.cell("%imagine --stream a red fox")
    lab.check(
        Status.UNKNOWN,
        1,
        rf"{says}.*{CELL.remedies[Remedy.RETRY]}",
        delivered=[IMAGES[1]],
        states=["partial"],
        raw=PARTIALS[0],
    )


@pytest.mark.parametrize(
    ("kind", "waiting", "end"),
    [
        ("text/event-stream", b": keep-alive\n\n", FINAL),
        ("application/json", b" \n", json.dumps(items(IMAGES[2])).encode()),
    ],
)
def test_30_signs_of_life_for_200_seconds(lab, kind, waiting, end):
    clock = Clock()

    def answer(conn, _):
        conn.sendall(reply(b"", length=False, kind=kind))
        for _ in range(8):
            clock.now += 25
            time.sleep(0.2)
            conn.sendall(waiting)
        conn.sendall(end)

    lab.limit(idle=1.4, whole=900)
    lab.wait_on(clock)
    lab.serve(answer)
    lab.cell("%imagine --stream a red fox")
    lab.check(Status.DONE, 1, "", delivered=[IMAGES[2]], states=["stored"], within=8)
