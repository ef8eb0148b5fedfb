"""Results that nobody waits for: `imagine(…, wait=False)` and what a `Pending` can do."""

import asyncio
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from loopback import b64, image_bytes, records
from raising import raising
from studios import make_studio

from ipyimagegen import Pending
from ipyimagegen.core import errors as e
from ipyimagegen.core.run import Status

IMAGE = {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}


class Held:
    """A server that answers when it is let go; `most` is how many requests it held at once."""

    def __init__(self, serve, status=200, body=IMAGE):
        self.go, self.most, self._now, self._lock = threading.Event(), 0, 0, threading.Lock()
        self.came = threading.Semaphore(0)
        self._reply = status, {}, body
        self.server = serve(self._answer)
        self.base_url, self.requests = self.server.base_url, self.server.requests

    def _answer(self, _seen):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self.came.release()
        assert self.go.wait(60)
        with self._lock:
            self._now -= 1
        return self._reply


@pytest.fixture
def held(serve):
    server = Held(serve)
    yield server
    server.go.set()


def test_it_is_returned_before_the_server_answers(held, home):
    studio = make_studio(home, held)
    pending = studio.imagine("a fox", wait=False)
    assert isinstance(pending, Pending)
    assert (pending.done(), pending.status) == (False, Status.PENDING)
    with pytest.raises(TimeoutError):
        pending.result(timeout=0.01)
    held.go.set()
    fox = pending.result(timeout=60)
    assert (pending.done(), pending.status, fox.prompt, len(fox)) == (True, Status.DONE, "a fox", 1)
    assert pending.result() is fox


def test_what_a_result_has_waits_for_it(held, home):
    studio = make_studio(home, held)
    pending = studio.imagine("a fox", wait=False)
    threading.Timer(0.2, held.go.set).start()
    assert pending[0].bytes == image_bytes()
    assert (pending.prompt, len(pending), [image.size for image in pending]) == ("a fox", 1, [(64, 48)])


def test_it_is_awaited(held, home):
    studio = make_studio(home, held)

    async def ask():
        pending = [studio.imagine(f"fox {number}", wait=False) for number in range(3)]
        held.go.set()
        return await asyncio.gather(*pending)

    assert [fox.prompt for fox in asyncio.run(ask())] == ["fox 0", "fox 1", "fox 2"]


def test_an_await_that_is_cancelled_leaves_the_call_alone(held, home):
    studio = make_studio(home, held)

    async def ask():
        pending = studio.imagine("a fox", wait=False)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pending, 0.01)
        held.go.set()
        return await pending

    assert len(asyncio.run(ask())) == 1
    assert len(held.requests) == 1


@pytest.mark.parametrize(
    "give", [lambda fox: fox, lambda fox: [fox], lambda _fox: "@1", lambda _fox: "@-1.1"]
)
def test_as_an_input_it_is_waited_for(held, home, give):
    studio = make_studio(home, held)
    pending = studio.imagine("a fox", wait=False)
    threading.Timer(0.2, held.go.set).start()
    hat = studio.imagine("a hat", image=give(pending))
    assert [parent.rpartition(".")[0] for parent in hat.parents] == [pending.id]


def test_by_id_it_is_waited_for(held, home):
    studio = make_studio(home, held)
    studio.imagine("a fox", wait=False)
    threading.Timer(0.2, held.go.set).start()
    assert len(studio.history[1]) == 1


def test_the_same_request_is_sent_once(held, home):
    studio = make_studio(home, held)
    first, second = (studio.imagine("a fox", wait=False) for _ in range(2))
    held.go.set()
    assert first.result().id == second.result().id == studio.imagine("a fox", wait=False).id
    assert len(held.requests) == 1


def test_a_hundred_are_sent_a_few_at_a_time(held, home):
    studio = make_studio(home, held, max_parallel=4, max_calls=100)
    pending = [studio.imagine(f"fox {number}", wait=False) for number in range(100)]
    for _ in range(4):
        assert held.came.acquire(timeout=60)
    held.go.set()
    assert [fox.result(timeout=60).prompt for fox in pending] == [f"fox {number}" for number in range(100)]
    assert (held.most, len(held.requests)) == (4, 100)


def test_a_call_without_an_image_raises_where_its_result_is_wanted(serve, home):
    server = serve(lambda seen: (400, {}, {"error": {"message": "no foxes", "code": "policy"}}))
    pending = make_studio(home, server).imagine("a fox", wait=False)
    for _ in range(2):
        with raising(e.RequestRefused, "no foxes"):
            pending.result()
    assert pending.status is Status.REFUSED


def test_it_is_cancelled(held, home):
    studio = make_studio(home, held)
    pending = studio.imagine("a fox", wait=False)
    assert held.came.acquire(timeout=60)
    pending.cancel()
    with raising(e.OutcomeUnknown):
        pending.result(timeout=60)
    assert pending.status is Status.UNKNOWN


def test_it_is_a_sweep(held, home):
    studio = make_studio(home, held)
    pending = studio.imagine("a fox", seed=[1, 2], wait=False)
    held.go.set()
    assert [fox.options["seed"] for fox in pending.result(timeout=60)] == [1, 2]


def test_nothing_is_sent_for_a_request_that_is_refused_here(serve, home):
    server = serve(lambda seen: (200, {}, IMAGE))
    studio = make_studio(home, server, max_images=1)
    with pytest.raises(e.OverBudget):
        studio.imagine("a fox", n=2, wait=False)
    assert server.requests == []


def test_an_edit_and_a_rerun_need_not_be_waited_for(held, home):
    held.go.set()
    studio = make_studio(home, held)
    fox = studio.imagine("a fox")
    hat, again = fox.edit("a hat", wait=False), fox.rerun(wait=False)
    assert isinstance(hat, Pending)
    assert isinstance(again, Pending)
    assert (hat.result().parents, again.result().prompt) == ((f"{fox.id}.1",), "a fox")


SCRIPT = """
import sys
from ipyimagegen import Settings, Studio
own = {"lab": {"base_url": sys.argv[2], "free": False}}
settings = Settings(endpoints=own, options={"endpoint": "lab"})
Studio(home=sys.argv[1], settings=settings).imagine("a fox", wait=False)
print("sent", flush=True)
"""


def test_a_script_ends_when_its_calls_have_ended(held, home):
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home), held.base_url], stdout=subprocess.PIPE, text=True
    ) as script:
        assert script.stdout.readline() == "sent\n"
        assert held.came.acquire(timeout=60)
        held.go.set()
        assert script.wait(60) == 0
    (record,) = records(home).values()
    assert record["status"] == "done"


def test_what_is_cancelled_goes_on_for_another(held, home):
    studio = make_studio(home, held)
    first, second = (studio.imagine("a fox", wait=False) for _ in range(2))
    assert held.came.acquire(timeout=60)
    first.cancel()
    first.cancel()
    held.go.set()
    assert len(second.result(timeout=60)) == 1
    assert len(held.requests) == 1


def test_what_is_cancelled_before_it_is_sent_raises_no_interrupt(held, home):
    studio = make_studio(home, held, max_parallel=1)
    sent, queued = (studio.imagine(text, wait=False) for text in ("one", "two"))
    assert held.came.acquire(timeout=60)
    queued.cancel()

    async def ask():
        return await asyncio.gather(queued, return_exceptions=True)

    (error,) = asyncio.run(ask())
    assert isinstance(error, e.NotSent)
    assert (error.billed, queued.status) == (False, Status.NOT_SENT)
    held.go.set()
    assert len(sent.result(timeout=60)) == 1
    assert len(held.requests) == 1


def test_only_what_a_result_has_is_waited_for(held, home):
    pending = make_studio(home, held).imagine("a fox", wait=False)
    assert not hasattr(pending, "savefig")
    assert not hasattr(pending, "__array__")
    assert {"prompt", "images", "run", "save", "done"} <= set(dir(pending))
    assert not pending.done()


def test_a_result_that_failed_can_be_forgotten_and_pickled_when_done(serve, home):
    replies = [(200, {}, IMAGE), (400, {}, {"error": {"message": "no foxes", "code": "policy"}})]
    server = serve(lambda seen: replies[seen.json["prompt"] == "refused"])
    studio = make_studio(home, server)
    fox, refused = (studio.imagine(text, wait=False) for text in ("a fox", "refused"))
    with pytest.raises(e.RequestRefused):
        refused.result(timeout=60)
    assert len(fox.result(timeout=60)) == 1
    assert pickle.loads(pickle.dumps(fox)) == fox.result()
    assert [run.status for run, _image in studio.history.choose(fox, refused)] == ["done", "refused"]


def test_numbers_are_those_of_the_history(held, home):
    studio = make_studio(home, held, max_parallel=1)
    held.go.set()
    foxes = [studio.imagine(f"fox {number}") for number in range(3)]
    assert [studio.history.index(fox) for fox in foxes] == [fox.number for fox in foxes]
    assert studio.history[np.int64(-1)] == studio.history[-1] == foxes[-1]
    assert studio.history.choose(np.int64(-1)) == studio.history.choose(-1)


def test_forgetting_nothing_forgets_nothing(held, home):
    held.go.set()
    studio = make_studio(home, held)
    foxes = [studio.imagine(f"fox {number}") for number in range(3)]
    assert studio.history.forget() == studio.history.forget([]) == []
    assert studio.history.forget("2") == [foxes[1].id]
    assert studio.history.forget([foxes[0], foxes[2]]) == [foxes[0].id, foxes[2].id]


def test_a_sweep_of_unknown_outcome_has_a_status(serve, home):
    server = serve(lambda seen: (500, {}, {"error": {"message": "broken"}}))
    studio = make_studio(home, server)
    with pytest.raises(e.OutcomeUnknown):
        studio.imagine("a fox", seed=[1, 2])
    again = studio.imagine("a fox", seed=[1, 2], wait=False)
    assert (again.status, again.runs, again.done()) == (Status.UNKNOWN, (), True)
    assert len(server.posts) == 2


def test_a_queued_call_goes_on_for_another_and_is_sent_once(held, home):
    studio = make_studio(home, held, max_parallel=1)
    _first, *queued = [studio.imagine(text, wait=False) for text in ("one", "two", "two")]
    assert held.came.acquire(timeout=60)
    queued[0].cancel()
    held.go.set()
    assert len(queued[1].result(timeout=60)) == 1
    assert len(held.requests) == 2
