"""A server that makes a job of a request: the job is kept, asked for at no cost, and never started twice."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from canary import KEY
from lab import PAINTED
from raising import assert_names
from sockets import hang, images, reply, reset

from ipyimagegen.core import errors as e
from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Status
from ipyimagegen.core.user_input import from_call
from ipyimagegen.notebook.display import write_status
from ipyimagegen.session.waiting import ProgressDisplay

QUEUED = {"id": "task_1", "object": "generation.task", "status": "queued", "progress": 0}
RUNNING = reply({"id": "task_1", "status": "in_progress"}, "200 OK", "Retry-After-Ms: 20")
GOOD = reply({"status": "succeeded", **images(1, PAINTED)})
GONE = reply({"error": {"message": "no such task"}}, "404 Not Found")
ROUTE = "/images/generations/{id}"


class Jobs:
    """A server that makes a job of each POST; `looks` are its answers to GETs, the last one from then on."""

    def __init__(self, made, *looks):
        self.made, self.looks = made, list(looks)
        self.asked = threading.Event()

    def __call__(self, conn, seen):
        if seen.line.startswith("POST"):
            conn.sendall(self.made(seen) if callable(self.made) else self.made)
            return
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        self.asked.set()
        look(conn, seen) if callable(look) else conn.sendall(look)


def questions(server):
    """Return the paths of the GETs, each with whether it had the key."""
    gets = [seen for seen in server.seen if seen.line.startswith("GET")]
    return [(seen.line.split()[1], KEY in seen.headers.get("authorization", "")) for seen in gets]


SHAPES = [
    reply(QUEUED),
    reply({"success": True, "data": {"task_id": "task_1", "status": "submitted"}}, "202 Accepted"),
    reply({"code": 200, "data": [{"status": "submitted", "task_id": "task_1"}]}),
    reply({"request_id": "task_1", "task_status": "PENDING"}),
    reply({"taskId": "task_1", "state": "IN_QUEUE"}, "201 Created"),
]


def test_68_a_job_that_nobody_knows_how_to_ask_for(lab):
    server = lab.serve(list(SHAPES))
    cells = [f"%imagine --seed {seed} a red fox" for seed in range(len(SHAPES))]
    for code in cells:
        error = lab.cell(code).error
        assert isinstance(error, e.OutcomeUnknown)
        assert (error.billed, error.remedy) == (None, Remedy.SHOW_JOB)
        assert "task_1" in str(error)
    lab.new_session()
    for code in cells:  # the same again sends nothing
        error = lab.cell(code).error
        assert_names(error, "task_1")
        assert error.remedy is Remedy.SHOW_JOB
        assert "task_1" in lab.cell(f"%imagine_show {error.run}").texts
    assert questions(server) == []
    lab.check([Status.UNKNOWN] * len(SHAPES), len(SHAPES), "task_1", raw=b"task_1", images=0)


NAMED = {
    "by the row": (reply(QUEUED), "/v1/images/generations/task_1"),
    "Operation-Location": (
        reply(
            {"id": "task_1", "status": "notRunning"},
            "202 Accepted",
            "Operation-Location: {origin}/jobs/1?v=2",
        ),
        "/jobs/1?v=2",
    ),
    "relative Operation-Location": (
        reply({"status": "running"}, "202 Accepted", "operation-location: /jobs/2"),
        "/jobs/2",
    ),
    "Location without a body": (reply(b"", "202 Accepted", "Location: /v1/jobs/3"), "/v1/jobs/3"),
    "in the body": (reply({**QUEUED, "polling_url": "{origin}/v1/jobs/4"}), "/v1/jobs/4"),
}


@pytest.mark.parametrize("name", NAMED)
def test_68_a_job_is_asked_for_until_the_image_is_there(lab, clock, name):
    made, path = NAMED[name]
    jobs = Jobs(lambda _seen: whole(made, server), RUNNING, RUNNING, GOOD)
    server = lab.serve(jobs, **({"poll": ROUTE} if name == "by the row" else {}))
    lab.cell()
    assert questions(server) == [(path, True)] * 3
    assert clock.waited == [0.02, 0.02]
    assert lab.cell().error is None  # from the history
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])
    assert lab.runs[0].job.status == "succeeded"
    assert not list(lab.home.glob("quarantine/*"))  # the answer with the job is not needed any more


def test_68_a_job_of_modelscope(lab, clock):
    made = reply({"task_status": "SUCCEED", "task_id": "task_1", "request_id": "r"})
    looks = ["PENDING", "PROCESSING"]
    image = images(1, PAINTED)["data"][0]["b64_json"]
    done = {"task_status": "SUCCEED", "output_images": [image], "request_id": "r"}
    jobs = Jobs(made, *(reply({"task_id": "task_1", "task_status": look}) for look in looks), reply(done))
    server = lab.serve(jobs, dialect="modelscope")
    lab.cell("%imagine --model Qwen/Qwen-Image a red fox")
    assert questions(server) == [("/v1/tasks/task_1", True)] * 3
    assert {seen.headers.get("x-modelscope-task-type") for seen in server.seen[1:]} == {"image_generation"}
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


def whole(made, server):
    """Return an answer with the server's origin in its place, and the right length."""
    head, _, body = made.replace(b"{origin}", server.origin.encode()).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


def test_68_a_network_that_fails_while_a_job_is_asked_for(lab, clock):
    looks = [reset, b"", GONE, reply(b"", "503 Busy", "Retry-After: 1"), GOOD[:-50], reply(QUEUED), GOOD]
    lab.limit(whole=40)
    server = lab.serve(Jobs(reply(QUEUED), *looks), poll=ROUTE)
    lab.cell()
    assert len(questions(server)) == len(looks)
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


FAILED = {
    "failed": ({"id": "task_1", "status": "failed", "error": {"message": "no foxes today"}}, Remedy.SEND_NEW),
    "cancelled": ({"id": "task_1", "state": "Cancelled"}, Remedy.SEND_NEW),
    "expired": ({"data": {"task_id": "task_1", "task_status": "EXPIRED"}}, Remedy.SEND_NEW),
    "moderated": ({"id": "task_1", "status": "Content Moderated"}, Remedy.CHANGE_PROMPT),
    "no foxes": (
        {"task_id": "task_1", "data": {"state": "FAILURE", "msg": "no foxes today"}},
        Remedy.SEND_NEW,
    ),
    "today": (
        {"status": "success", "data": {"status": "ERROR"}, "message": "no foxes today"},
        Remedy.SEND_NEW,
    ),
}


@pytest.mark.parametrize("says", FAILED)
def test_68_a_job_that_fails(lab, says):
    body, remedy = FAILED[says]
    server = lab.serve(Jobs(reply(QUEUED), RUNNING, reply(body)), poll=ROUTE)
    for _time in range(2):  # it is final: the same cell asks nothing any more
        error = lab.cell().error
        assert isinstance(error, e.OutcomeUnknown)
        assert (error.billed, error.remedy) == (None, remedy)
        assert "task_1" in str(error)
    assert len(questions(server)) == 2
    lab.check(Status.UNKNOWN, 1, says, images=0)


def test_68_a_job_that_names_the_key(lab, clock):
    made = {"id": KEY, "status": f"queued {KEY}", "polling_url": f"/v1/jobs/{KEY}"}
    server = lab.serve(Jobs(reply(made), reply({"status": KEY}), GOOD), poll=ROUTE)
    lab.cell()
    assert all(KEY not in path for path, _has_key in questions(server))
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


def test_68_a_job_at_another_server(lab):
    other = lab.other(GOOD)
    made = {**QUEUED, "polling_url": f"{other.origin}/jobs/1"}
    server = lab.serve(Jobs(reply(made), GOOD))
    for _time in range(2):
        error = lab.cell().error
        assert error.remedy is Remedy.SHOW_JOB
    assert f"{other.origin}/jobs/1" in lab.cell(f"%imagine_show {error.run}").texts
    assert (other.seen, questions(server)) == ([], [])
    lab.check(Status.UNKNOWN, 1, other.origin.partition("//")[2], images=0, at=0)


def test_68_a_job_that_takes_longer_than_a_call(lab, clock):
    server = lab.serve(Jobs(reply(QUEUED), reply(QUEUED)), poll=ROUTE)
    error = lab.cell().error
    assert isinstance(error, e.OutcomeUnknown)
    assert (error.billed, error.remedy) == (None, Remedy.ASK_JOB)
    assert clock.waited == [1.0, 2.0]
    lab.new_session()
    shown = lab.cell(f"%imagine_show {error.run}")  # asks once
    assert shown.error is None
    assert len(questions(server)) == 4
    server.answer.looks[:] = [GOOD]
    lab.shell.run_cell("%config Imagine.max_images = 0")  # nothing is sent
    lab.cell()
    lab.check([Status.DONE, Status.DONE], 1, delivered=PAINTED[:1])  # and its reuse
    assert lab.runs[0].error is None


@pytest.mark.parametrize("look", [reply({"error": "no"}, "401 No"), reply("<html>", kind="text/html"), GONE])
def test_68_a_job_that_cannot_be_asked_for(lab, clock, look):
    lab.limit(whole=100)
    server = lab.serve(Jobs(reply(QUEUED), look), poll=ROUTE)
    error = lab.cell().error
    assert (error.billed, error.remedy) == (None, Remedy.ASK_JOB)
    server.answer.looks[:] = [GOOD]
    lab.cell()
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


def kill_at(lab, server, place, come=None):
    """Let a process ask for two foxes, and kill it where it stops, or as soon as `come` is set."""
    script = Path(__file__).with_name("killed.py")
    where, nth, when = place.rsplit(" ", 2)
    command = [sys.executable, script, lab.home, f"{server.origin}/v1", where, nth, when]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=lab.folder)
    try:
        assert come.wait(20) if come else child.stdout.readline() == "here\n"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()


def test_68_a_kernel_that_is_killed_before_it_reads_of_the_job(lab):
    server = lab.serve(reply(QUEUED))
    kill_at(lab, server, "ipyimagegen.client.response:StoredResponse.read 1 before")
    for _time in range(2):
        assert lab.cell("%imagine -n 2 a red fox").error.remedy is Remedy.SHOW_JOB
    lab.check(Status.UNKNOWN, 1, "task_1", raw=b"task_1", images=0)


@pytest.mark.parametrize("place", [None, "ipyimagegen.client.response:StoredResponse.read 2 before"])
def test_68_a_kernel_that_is_killed_while_it_asks(lab, place):
    made = {**QUEUED, "polling_url": "/v1/jobs/1"}
    jobs = Jobs(reply(made), GOOD if place else RUNNING)
    server = lab.serve(jobs)
    kill_at(lab, server, place or " 0 before", None if place else jobs.asked)
    jobs.looks[:] = [GONE if place else GOOD]  # some servers forget a result once it has been sent
    lab.cell("%imagine -n 2 a red fox")
    lab.check([Status.DONE, Status.DONE], 1, delivered=PAINTED[:1])


def test_68_jobs_of_a_sweep(lab, clock):
    server = lab.serve(Jobs(reply(QUEUED), reply(QUEUED)), poll=ROUTE)
    cell = "%imagine --seed 1,2 a red fox"
    assert isinstance(lab.cell(cell).error, e.OutcomeUnknown)
    server.answer.looks[:] = [GOOD]
    lab.new_session()
    lab.cell(cell)
    lab.check([Status.DONE] * 4, 2, delivered=PAINTED[:1])  # and their reuse


class Lines(ProgressDisplay):
    """The plans and status lines that a front door shows; `shown` is set with each status line."""

    def __init__(self):
        self.texts, self.shown = [], threading.Event()

    def planned(self, plan):
        self.texts.append(plan.summary)

    def working(self, batch):
        self.texts.append(str(write_status(batch)))
        self.shown.set()

    def failed(self, batch):
        pass


def test_68_retry_says_that_it_starts_a_second_job(lab):
    server = lab.serve([reply(QUEUED), GOOD])
    lab.cell()
    assert "task_1" in lab.cell("%imagine --retry --dry-run a red fox").texts
    assert server.posts == 1
    lines = Lines()
    lab.studio.carry_out(lab.studio.plan(from_call("a red fox", {"retry": True})), lines)
    assert "task_1" in lines.texts[0]  # before it is sent
    lab.cell()
    lab.check([Status.UNKNOWN, Status.DONE], 2, delivered=PAINTED[:1])


def test_68_the_status_line_names_the_job(lab):
    lines = Lines()

    def wait(conn, _seen):
        lines.shown.clear()
        lines.shown.wait(20)
        conn.sendall(RUNNING)

    lab.limit(whole=20)
    lab.serve(Jobs(reply(QUEUED), wait, wait, GOOD), poll=ROUTE)
    lab.studio.carry_out(lab.studio.plan(from_call("a red fox", {})), lines)
    assert any("task_1" in line and "in_progress" in line for line in lines.texts)
    lab.cell()
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


def test_68_interrupts_while_a_job_is_asked_for(lab):
    go = threading.Event()

    def interrupt(conn, _seen):
        os.kill(os.getpid(), signal.SIGINT)
        conn.sendall(RUNNING)

    def interrupt_again(conn, seen):
        go.wait(20)
        interrupt(conn, seen)
        hang(conn, seen)

    lab.limit(whole=20, idle=20)
    jobs = Jobs(reply(QUEUED), interrupt, interrupt_again, GOOD)
    server = lab.serve(jobs, poll=ROUTE)
    first = lab.cell().error
    assert (type(first), first.remedy) == (e.Detached, Remedy.WAIT)  # it goes on
    threading.Timer(0.5, go.set).start()
    second = lab.cell().error  # waits for it, and gives it up
    assert (type(second), second.remedy) == (e.Detached, Remedy.ASK_JOB)
    lab.new_session()
    lab.cell()
    lab.check([Status.DONE, Status.DONE], 1, delivered=PAINTED[:1])  # and its reuse
    assert len(questions(server)) == 3


def test_68_offline_asks_nothing(lab, network):
    lab.serve(Jobs(reply(QUEUED), reply(QUEUED)), poll=ROUTE)
    lab.limit(whole=0.5)
    lab.cell()
    (run,) = lab.runs
    away = replace(run.request, base_url="https://images.example/v1")
    lab.studio.store.create(run.replace(number=2, request=away, identity=away.identity))
    lab.use("https://images.example", poll=ROUTE)
    lab.new_session()
    for _time in range(2):
        assert lab.cell("%imagine --offline a red fox").error.remedy is Remedy.ASK_JOB
    assert network[0] == []
    lab.check([Status.UNKNOWN, Status.UNKNOWN], 1, "offline", images=0)


@pytest.mark.parametrize(
    "address", ["http://{host}:{port}/j", "http://a b/j", "http://127.0.0.1:99999/j", "http://h\\@x/j", "//"]
)
@pytest.mark.parametrize("place", ["polling_url", "Location"])
def test_68_a_url_that_cannot_be_requested_is_none(lab, address, place):
    if place == "Location":
        made = reply(QUEUED, "202 Accepted", f"Location: {address}")
    else:
        made = reply({**QUEUED, "polling_url": address})
    server = lab.serve(made)
    error = lab.cell().error
    assert_names(error, "task_1")
    assert error.remedy is Remedy.SHOW_JOB
    assert lab.runs[0].job.url is None
    assert questions(server) == []
    lab.check(Status.UNKNOWN, 1, "task_1", raw=b"task_1", images=0)


@pytest.mark.parametrize(
    "place",
    [
        "ipyimagegen.imaging.choose_edge",
        "ipyimagegen.client.response.read_response",
    ],
)
def test_68_a_failure_of_our_own_loses_no_response(lab, monkeypatch, place):
    def fail(*_args, **_options):
        raise KeyError("fox")

    monkeypatch.setattr(place, fail)
    lab.serve(reply(images(1, PAINTED)))
    error = lab.cell().error
    assert isinstance(error, e.OutcomeUnknown)
    lab.check(
        Status.UNKNOWN, 1, "KeyError", raw=reply(images(1, PAINTED)).partition(b"\r\n\r\n")[2], images=0
    )


WORDLESS = {
    "polling URL": reply({"id": "task_1", "polling_url": "/v1/get_result?id=task_1", "cost": 5.0}),
    "202": reply({"id": "task_1"}, "202 Accepted"),
}


@pytest.mark.parametrize("name", WORDLESS)
def test_68_a_job_without_a_word_for_its_state(lab, clock, name):
    server = lab.serve(Jobs(WORDLESS[name], RUNNING, GOOD), poll=ROUTE)
    lab.cell()
    path = "/v1/get_result?id=task_1" if name == "polling URL" else "/v1/images/generations/task_1"
    assert questions(server) == [(path, True)] * 2
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


TWO = {"data": [{"task_id": name, "status": "submitted"} for name in ("task_1", "task_2")]}


@pytest.mark.parametrize("poll", ["", ROUTE])
def test_68_two_jobs_of_a_request(lab, clock, poll):
    server = lab.serve(Jobs(reply(TWO), GOOD), poll=poll)
    shown = lab.cell("%imagine -n 2 a red fox")
    assert all(name in shown.texts for name in (["task_2"] if poll else ["task_1", "task_2"]))
    (run,) = lab.runs
    assert (run.job.id, run.job.others) == ("task_1", ("task_2",))
    assert "task_2" in lab.cell(f"%imagine_show {run.id}").texts
    assert len(questions(server)) == len(poll[:1])
    if poll:
        lab.check(Status.DONE, 1, raw=b"task_2", delivered=PAINTED[:1])
    else:
        lab.check(Status.UNKNOWN, 1, "task_2", raw=b"task_2", images=0, at=0)


MOVED = [
    reply(b"", "303 See Other", "Location: /result"),
    reply(b"", "307 Temporary Redirect", "Location: result"),
    reply({"status": "COMPLETED", "response_url": "{origin}/result"}),
]


@pytest.mark.parametrize("look", MOVED)
def test_68_a_result_at_another_url_of_the_same_server(lab, clock, look):
    def answer(conn, seen):
        if seen.line.startswith("POST"):
            conn.sendall(reply(QUEUED, "202 Accepted", "Location: /job"))
        else:
            conn.sendall(whole(look, server) if seen.line.split()[1] == "/job" else GOOD)

    server = lab.serve(answer)
    lab.cell()
    assert questions(server) == [("/job", True), ("/result", True)]
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


@pytest.mark.parametrize(
    "look", ["302 Found", {"status": "COMPLETED", "response_url": "{other}/result"}, "303 See Other"]
)
def test_68_a_result_at_another_server_is_not_fetched(lab, clock, look):
    other = lab.other(GOOD)
    if isinstance(look, str):
        answers = [reply(b"", look, f"Location: {other.origin}/result")]
    else:
        answers = [reply({**look, "response_url": f"{other.origin}/result"})]
    lab.serve(Jobs(reply(QUEUED), *answers), poll=ROUTE)
    lab.cell()
    assert other.seen == []
    lab.check(Status.UNKNOWN, 1, images=0)


def test_68_redirects_without_an_end(lab, clock):
    loop = reply(b"", "303 See Other", "Location: /v1/images/generations/task_1")
    server = lab.serve(Jobs(reply(QUEUED), loop), poll=ROUTE)
    assert lab.cell().error.remedy is Remedy.ASK_JOB
    assert len(questions(server)) == 4
    lab.check(Status.UNKNOWN, 1, "task_1", images=0)


@pytest.mark.parametrize("look", [{"progress": 0.3}, {"done": False}, {}, {"data": []}, {"data": None}])
def test_68_an_answer_without_a_word_is_no_end(lab, clock, look):
    lab.limit(whole=20)
    server = lab.serve(Jobs(reply(QUEUED), reply(look), reply(look), GOOD), poll=ROUTE)
    lab.cell()
    assert len(questions(server)) == 3
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


@pytest.mark.parametrize("look", [{"status": "succeeded", "data": []}, {"error": {"message": "no foxes"}}])
def test_68_an_end_without_an_image(lab, clock, look):
    server = lab.serve(Jobs(reply(QUEUED), reply(look), GOOD), poll=ROUTE)
    assert isinstance(lab.cell().error, e.OutcomeUnknown)
    assert len(questions(server)) == 1
    lab.check(Status.UNKNOWN, 1, images=0)


@pytest.mark.parametrize(("header", "waited"), [("3", 3.0), ("1796055641000", 60.0)])
def test_68_a_server_says_when_to_ask_for_a_job(lab, clock, header, waited):
    lab.limit(whole=900)
    wait = f"Retry-After: {header}"
    lab.serve(Jobs(reply(QUEUED, "202 Accepted", wait), reply(QUEUED, "200 OK", wait), GOOD), poll=ROUTE)
    lab.cell()
    assert clock.waited == [waited, waited]
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])
