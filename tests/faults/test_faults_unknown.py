"""What was sent and has no certain end: it is never repeated, and may have been charged."""

import hashlib
import json
import re
import threading
import time

import pytest
from lab import PAINTED
from sockets import b64, hang, images, reply, reset, status_line_only, trickle_body

from ipyimagegen.core import errors as e
from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Status
from ipyimagegen.notebook.fronts import CELL

GOOD = reply(images(1, PAINTED))
KEEP_ALIVE = GOOD.replace(b"Connection: close", b"Connection: keep-alive")


def unknown(lab, answers, says, **kept):
    """Ask a server once for each answer; a new session that asks the same sends nothing any more."""
    lab.serve(list(answers))
    cells = [f"%imagine --seed {seed} a red fox" for seed in range(len(answers))]
    for code in cells:
        assert re.search(says, lab.cell(code).texts), lab.cells[-1].texts
    lab.new_session()
    for code in cells:
        again = lab.cell(code).error
        assert isinstance(again, e.OutcomeUnknown)
        assert (again.billed, again.remedy) == (None, Remedy.RETRY)
    lab.check([Status.UNKNOWN] * len(cells), len(cells), **kept)


def after(data, end=reset):
    """Return an answer that begins with some data."""

    def answer(conn, seen):
        conn.sendall(data)
        time.sleep(0.1)  # a reset drops what was not read yet
        end(conn, seen)

    return answer


def slowly(conn, _):
    """Answer a byte at a time."""
    for byte in GOOD:
        conn.sendall(bytes([byte]))
        time.sleep(0.2)


def test_06_reset_after_sending(lab):
    unknown(lab, [reset, after(b"HTTP/1.1 200 OK\r\n")], "lab")


def test_07_eof_without_a_reply(lab):
    answers = [b"", b"HTTP/1.1 2", b"\r\n\r\n", b"NO HTTP AT ALL\r\n\r\n"]
    unknown(lab, answers, "lab")


def test_08_stale_keep_alive(lab):
    asked_again = []
    stale = after(KEEP_ALIVE, lambda conn, _: asked_again.append(conn.recv(1)))
    server = lab.serve([stale, stale, reset])
    for seed in range(3):
        lab.cell(f"%imagine --seed {seed} a red fox")
    assert [json.loads(request.body)["seed"] for request in server.seen] == [0, 1, 2]
    assert server.accepted == 3
    lab.check([Status.DONE, Status.DONE, Status.UNKNOWN], 3, delivered=PAINTED[:1])
    assert asked_again == [b"", b""]


def test_09_read_timeout_and_the_server_finishes_later(lab):
    finished = threading.Event()

    def answer(conn, _):
        time.sleep(0.8)
        conn.sendall(GOOD)
        finished.set()

    lab.limit(idle=0.3, whole=3)
    lab.serve(answer)
    lab.cell()
    assert finished.wait(5)
    lab.check(Status.UNKNOWN, 1)


def test_10_status_line_then_nothing(lab):
    lab.limit(idle=9, whole=0.8)
    unknown(lab, [hang, status_line_only, after(GOOD[:-900], hang)], "lab .*0.8 s")


def test_11_one_byte_every_fifth_of_a_second(lab):
    lab.limit(idle=9, whole=0.8)
    unknown(lab, [slowly, trickle_body], "lab .*0.8 s")


def chunked(body):
    """Return a response in chunks, without its end."""
    head = reply(b"", "200 OK", "Transfer-Encoding: chunked", length=False)
    return head + b"%x\r\n%b\r\n" % (len(body), body)


def test_12_body_cut_short(lab):
    body = json.dumps(images(1, PAINTED))[:-40].encode()
    counted = reply(body, "200 OK", "Content-Length: 9999", length=False)
    endless = reply(body, length=False)
    answers = [counted, endless, chunked(body), after(counted), after(endless), after(chunked(body))]
    unknown(lab, answers, "lab", raw=body)
    assert {run.raw for run in lab.runs} == {hashlib.sha256(body).hexdigest()}


def test_13_cut_inside_image_two_of_three(lab):
    whole = reply(images(3, PAINTED))
    cut = whole[: whole.index(b64(PAINTED[1]).encode()) + 50]
    lab.serve([cut, after(cut)])
    lab.cell("%imagine -n 3 a red fox")
    lab.cell("%imagine -n 3 --seed 1 a red fox")
    says = rf"(?s)3 images.* 1 image.*: 1\. .*{CELL.remedies[Remedy.RETRY]}"
    assert re.search(says, lab.cells[0].texts)
    raw = cut.partition(b"\r\n\r\n")[2]
    lab.check([Status.UNKNOWN] * 2, 2, says, delivered=PAINTED[:1], raw=raw, states=["stored"])


@pytest.fixture
def clock(clock):
    """Seconds of which none may pass here: nothing is waited for."""
    yield clock
    assert clock.waited == []


def test_14_status_after_which_it_may_be_done(lab, clock):
    body = {"error": {"message": "try again later", "code": "busy"}}
    statuses = (408, 409, 500, 501, 502, 504, *range(520, 525), 529, 599)
    answers = [reply(body, f"{status} Later", "Retry-After: 1") for status in statuses]
    unknown(lab, answers, r"(408|409|5\d\d).*try again later")


def test_15_status_503(lab, clock):
    body = {"error": {"message": "No available channel", "code": "get_channel_failed"}}
    headers = [(), ("Retry-After: 1",), ("x-should-retry: true",)]
    answers = [reply(body, "503 Service Unavailable", *header) for header in headers]
    unknown(lab, answers, "503.*No available channel")
    no_model = [  # new-api's ways to say so
        {"error": {"message": "No available channel for model red", "code": "model_not_found"}},
        {"error": {"message": "No channel (model_not_found)", "type": "new_api_error", "code": 503}},
    ]
    says = f"(?s)503.*No .*channel.*{CELL.remedies[Remedy.CHANGE_MODEL]}"
    for body in no_model:
        lab.servers[0].answer = reply(body, "503 Service Unavailable", "Retry-After: 1")
        assert re.search(says, lab.cell("%imagine --model red a fox").texts)
    lab.check([Status.UNKNOWN] * 3 + [Status.REFUSED] * 2, 5, says)
