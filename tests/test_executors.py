"""Calls carried out elsewhere, by real processes and clusters: every image is stored here."""

import errno
import os
import pickle
import signal
import tempfile
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from foreign import PREPARED
from loopback import CANARY, b64, image_bytes, records
from raising import raising

from ipyimagegen import Settings, Studio
from ipyimagegen.core import errors as e
from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Status
from ipyimagegen.core.user_input import from_call
from ipyimagegen.session import executors
from ipyimagegen.session.waiting import ProgressDisplay

KEY = CANARY


def good(seen):
    image = image_bytes(colour=(seen.json.get("seed", 0) * 9 % 256, 30, 200))
    return 200, {"x-request-id": "r-1"}, {"created": 1, "data": [{"b64_json": b64(image)}]}


def make_studio(home, server, *, environ=None, **entry):
    own = {"lab": {"base_url": server.base_url, "free": False, **entry}}
    return Studio(
        home=home,
        environ=environ or {},
        settings=Settings(endpoints=own, options={"endpoint": "lab"}, max_calls=40),
    )


def check(made, server, count):
    """So many POSTs, each image in its place and in the store here, and no two alike."""
    assert not made.failed, [failure.error for failure in made.failed]
    assert len(server.posts) == count == len(made)
    assert [tile[0].bytes for tile in made] == [
        image_bytes(colour=(k * 9 % 256, 30, 200)) for k in range(count)
    ]
    assert len({tile[0].sha256 for tile in made}) == count
    assert len({post.headers["Idempotency-Key"] for post in server.posts}) == count


@pytest.fixture
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def test_processes_make_the_calls_and_images_are_stored_here(home, serve, processes):
    server = serve(good)
    studio = make_studio(home, server)
    made = studio.imagine("a fox", seed=range(12), executor=processes)
    check(made, server, 12)
    assert len(records(home)) == 12
    assert all(tile.run.sent.request_id == "r-1" for tile in made)
    again = studio.imagine("a fox", seed=range(12), executor=processes)
    assert all(tile.reused for tile in again)
    assert len(server.posts) == 12


def test_a_single_call_and_the_sketch_engine_go_there_too(home, serve, processes):
    studio = make_studio(home, serve(good))
    assert len(studio.imagine("a fox", endpoint="sketch", size="64x64", executor=processes)) == 1


def test_a_job_of_a_call_that_went_there_is_asked_for_here(home, serve, processes):
    def answer(seen):
        image = {"data": [{"b64_json": b64(image_bytes())}]}
        return (202, {}, {"task_id": "task_1"}) if seen.method == "POST" else (200, {}, image)

    server = serve(answer)
    studio = make_studio(home, server, poll="/jobs/{id}")
    assert studio.imagine("a fox", executor=processes)[0].bytes == image_bytes()
    assert [seen.path for seen in server.requests] == ["/v1/images/generations", "/v1/jobs/task_1"]


class Odd(ThreadPoolExecutor):
    """Runs calls in threads; its kin do what some executors do."""


class Deduping(Odd):
    """Takes calls with equal arguments for one, as Dask does."""

    def __init__(self):
        super().__init__(4)
        self.known = {}

    def submit(self, fn, /, *args):
        name = pickle.dumps((fn, args))
        if name not in self.known:
            self.known[name] = super().submit(fn, *args)
        return self.known[name]


class Broadcasting(Odd):
    """Runs every call twice, as a view of all engines does."""

    def submit(self, fn, /, *args):
        return super().submit(lambda: [fn(*args), fn(*args)])


class Losing(Odd):
    """Answers the first question, and loses what comes after it."""

    def submit(self, fn, /, *args):
        if fn is executors.probe_worker:
            return super().submit(fn, *args)
        lost = Future()
        lost.set_exception(RuntimeError("a worker died"))
        return lost


class Confused(Odd):
    """Hands out answers to other calls."""

    def submit(self, fn, /, *args):
        if fn is executors.probe_worker:
            return super().submit(fn, *args)
        return super().submit(lambda: ("another", None))


class Interrupted(Odd):
    """Its worker gets the notebook's Ctrl-C."""

    def submit(self, fn, /, *args):
        if fn is executors.probe_worker:
            return super().submit(fn, *args)
        ended = Future()
        ended.set_exception(KeyboardInterrupt())
        return ended


class Closed(Odd):
    """Takes no calls after the first question."""

    def submit(self, fn, /, *args):
        if fn is executors.probe_worker:
            return super().submit(fn, *args)
        raise RuntimeError("cannot schedule new futures after shutdown")


def test_an_executor_that_takes_equal_calls_for_one_gives_every_image(home, serve):
    server = serve(good)
    check(make_studio(home, server).imagine("a fox", seed=range(4), executor=Deduping()), server, 4)
    assert make_studio(home, server).imagine("a fox", seed=1, new=True, executor=Deduping())[0]
    assert len(server.posts) == 5


def test_an_executor_that_broadcasts_is_refused_before_paying(home, serve):
    server = serve(good)
    with raising(e.InvalidOption, 2, billed=False):
        make_studio(home, server).imagine("a fox", seed=range(4), executor=Broadcasting(2))
    assert not server.posts
    assert not records(home)


@pytest.mark.parametrize("nothing", [3, "pool", object()])
def test_what_is_no_executor_is_refused(home, serve, nothing):
    server = serve(good)
    with raising(e.InvalidOption, "executor", type(nothing).__name__, billed=False):
        make_studio(home, server).imagine("a fox", executor=nothing)
    assert not server.posts


@pytest.mark.parametrize(
    ("kind", "error", "cause"),
    [
        (Losing, e.OutcomeUnknown, "a worker died"),
        (Interrupted, e.OutcomeUnknown, "KeyboardInterrupt"),
        (Confused, e.OutcomeUnknown, ""),
        (Closed, e.NotSent, ""),
    ],
)
def test_what_an_executor_loses_may_have_been_billed(home, serve, kind, error, cause):
    server = serve(good)
    studio = make_studio(home, server)
    with pytest.raises(error, match=cause):
        studio.imagine("a fox", executor=kind(1))
    if error is e.OutcomeUnknown:
        with raising(e.OutcomeUnknown, remedy=Remedy.RETRY):
            studio.imagine("a fox")
    else:
        assert studio.imagine("a fox")


def test_keys_are_found_where_the_calls_run(home, serve, monkeypatch):
    server = serve(good)
    studio = make_studio(home, server, key_env="LAB_KEY")
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        raising(e.MissingKey, "LAB_KEY"),
    ):
        studio.imagine("a fox", executor=pool)
    assert not server.posts
    monkeypatch.setenv("LAB_KEY", KEY)  # workers that are begun now have it; this studio does not
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        studio.imagine("a fox", executor=pool)
    assert [post.headers.get("Authorization") for post in server.posts] == [f"Bearer {KEY}"]


def test_a_key_travels_only_when_told_to(home, serve, processes):
    server = serve(good)
    studio = make_studio(home, server, key_env="LAB_KEY", environ={"LAB_KEY": KEY})
    taken = []

    class Looking(Odd):
        def submit(self, fn, /, *args):
            taken.append(pickle.dumps((fn, args)) + repr(args).encode())
            return processes.submit(fn, *args)

    with raising(e.MissingKey, "send_key", True):
        studio.imagine("a fox", executor=Looking(1))
    assert not any(KEY.encode() in data for data in taken)
    studio.imagine("a fox", executor=Looking(1), send_key=True)
    assert [post.headers.get("Authorization") for post in server.posts] == [f"Bearer {KEY}"]
    assert KEY.encode() not in repr(taken[-1][-400:]).encode()  # its repr hides it
    for file in home.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def test_secret_headers_travel_only_when_told_to(home, serve, processes, monkeypatch):
    server = serve(good)
    headers = {"X-Team": "lab", "X-Auth": {"env": "LAB_AUTH"}}
    studio = make_studio(home, server, headers=headers, environ={"LAB_AUTH": KEY})
    taken = []

    class Looking(Odd):
        def submit(self, fn, /, *args):
            taken.append(pickle.dumps((fn, args)) + repr(args).encode())
            return processes.submit(fn, *args)

    with raising(e.MissingKey, "send_key", True) as caught:
        studio.imagine("a fox", executor=Looking(1))
    assert "LAB_AUTH" in str(caught.value)
    assert not any(KEY.encode() in data for data in taken)
    studio.imagine("a fox", executor=Looking(1), send_key=True)
    sent = [(post.headers.get("X-Team"), post.headers.get("X-Auth")) for post in server.posts]
    assert sent == [("lab", KEY)]
    assert KEY.encode() not in repr(taken[-1][-400:]).encode()


def test_what_travels_is_small(home, serve):
    sizes = []

    class Weighing(Odd):
        def submit(self, fn, /, *args):
            sizes.append(len(pickle.dumps((fn, args))))
            return super().submit(fn, *args)

    make_studio(home, serve(good)).imagine("a fox", seed=range(3), executor=Weighing(2))
    assert max(sizes) < 4096


def test_a_429_there_is_repeated_from_here(home, serve):
    answers = [(429, {"Retry-After-ms": "50"}, b"")]
    server = serve(lambda seen: answers.pop() if answers else good(seen))
    assert make_studio(home, server).imagine("a fox", executor=Odd(1))
    assert len(server.posts) == 2


class GivesUp(ProgressDisplay):
    """Presses Cancel as soon as the server was asked."""

    def __init__(self, server):
        self.server = server

    def working(self, batch):
        if self.server.posts:
            batch.cancel()

    def failed(self, batch):
        pass


def test_a_call_that_is_given_up_may_have_been_billed_whatever_its_future_says(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (go.wait(10), good(seen))[1])

    class Pretending(Odd):
        """Its futures say that they were cancelled, as Dask's do while the call runs."""

        def submit(self, fn, /, *args):
            future = super().submit(fn, *args)
            future.cancel = lambda: True
            return future

    studio = make_studio(home, server)
    with raising(e.OutcomeUnknown, billed=None):
        studio.carry_out(studio.plan(from_call("a fox", {"executor": Pretending(1)})), GivesUp(server))
    with raising(e.OutcomeUnknown, remedy=Remedy.RETRY):
        studio.imagine("a fox")
    go.set()
    assert len(server.posts) == 1


class Stops(GivesUp):
    """Presses Stop as soon as the server was asked."""

    def working(self, batch):
        if self.server.posts:
            raise KeyboardInterrupt


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_what_a_pool_has_not_begun_is_not_sent_when_the_sweep_is_stopped(home, serve, pool):
    go = threading.Event()
    server = serve(lambda seen: (go.wait(20), good(seen))[1])
    studio = make_studio(home, server)
    with pool(1) as executor:
        asked = from_call("a fox", {"seed": range(4), "executor": executor})
        with raising(e.Detached, 4, 1, 3, billed=False, remedy=Remedy.RUN_MISSING):
            studio.carry_out(studio.plan(asked), Stops(server))
        (first,) = server.posts
        # While the pool is busy with it, and would answer no question, it is waited for.
        asked = from_call("a fox", {"seed": [first.json["seed"]], "executor": executor})
        waiting = threading.Thread(target=lambda: joined.append(studio.carry_out(studio.plan(asked))))
        joined = []
        waiting.start()
        waiting.join(0.5)
        go.set()
        waiting.join(20)
        assert len(joined[0]) == 1
        executor.submit(int).result(20)  # behind whatever it had queued
        assert len(server.posts) == 1
        made = studio.imagine("a fox", seed=range(4), executor=executor)
        assert not made.failed
    assert sorted(post.json["seed"] for post in server.posts) == [0, 1, 2, 3]


def of_its_own(folder):
    tempfile.tempdir = tempfile.mkdtemp(dir=folder)


def test_what_is_taken_back_is_not_sent_whatever_folder_the_workers_have(home, serve, tmp_path):
    go = threading.Event()
    server = serve(lambda seen: (go.wait(20), good(seen))[1])
    studio = make_studio(home, server)
    with ProcessPoolExecutor(1, initializer=of_its_own, initargs=(tmp_path,)) as executor:
        asked = from_call("a fox", {"seed": range(4), "executor": executor})
        with raising(e.Detached, 4, 1, 3, billed=False, remedy=Remedy.RUN_MISSING):
            studio.carry_out(studio.plan(asked), Stops(server))
        go.set()
        executor.submit(int).result(20)
        assert len(server.posts) == 1


def test_calls_that_a_pool_did_not_begin_before_it_died_were_not_sent(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (go.wait(20), good(seen))[1])
    studio = make_studio(home, server)
    with ProcessPoolExecutor(1) as executor:

        def kill():
            while not server.posts:
                time.sleep(0.01)
            os.kill(next(iter(executor._processes)), signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        with raising(e.OutcomeUnknown, 4, 1, billed=None):
            studio.imagine("a fox", seed=range(4), executor=executor)
    go.set()
    assert sorted(run.status for run in studio.store.runs()) == [Status.NOT_SENT] * 3 + [Status.UNKNOWN]
    made = studio.imagine("a fox", seed=range(4))
    assert len(made.failed) == 1
    assert len(server.posts) == 4


def test_a_image_is_not_lost_where_a_folder_cannot_be_removed(home, serve, monkeypatch):
    rmdir = os.rmdir

    def busy(path, **kwargs):
        if "ipyimagegen-" in str(path):
            raise OSError(errno.EBUSY, "Device or resource busy")
        rmdir(path, **kwargs)

    monkeypatch.setattr(os, "rmdir", busy)
    assert make_studio(home, serve(good)).imagine("a fox", executor=Odd(1))


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_where_no_mark_can_be_left_calls_are_sent_all_the_same(home, serve, tmp_path, monkeypatch, pool):
    (tmp_path / f"ipyimagegen-begun-{os.getuid()}").write_text("no folder")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server = serve(good)
    with pool(1) as executor:
        check(make_studio(home, server).imagine("a fox", seed=range(2), executor=executor), server, 2)


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, Odd])
@pytest.mark.parametrize("make", PREPARED)
def test_a_folder_for_marks_that_others_prepared_is_not_used(home, serve, tmp_path, monkeypatch, make, pool):
    documents = tmp_path / "documents"
    documents.mkdir(mode=0o700)
    for name in ("thesis.docx", "0" * 16):
        (documents / name).write_text("mine")
        os.utime(documents / name, (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    taken = tmp_path / f"ipyimagegen-begun-{os.getuid()}"
    make(taken, documents)
    before = [sorted(documents.iterdir()), sorted(taken.iterdir())]
    server = serve(good)
    with pool(2) as executor:
        check(make_studio(home, server).imagine("a fox", seed=range(2), executor=executor), server, 2)
    assert [sorted(documents.iterdir()), sorted(taken.iterdir())] == before
    assert [path.read_text() for path in documents.iterdir()] == ["mine", "mine"]


def test_old_marks_go_and_what_else_lies_there_stays(home, serve, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"ipyimagegen-begun-{os.getuid()}"
    folder.mkdir(mode=0o700)
    for name in ("0" * 16, "thesis.docx"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    with ThreadPoolExecutor(1) as executor:
        assert make_studio(home, serve(good)).imagine("a fox", executor=executor)
    assert not (folder / ("0" * 16)).exists()
    assert (folder / "thesis.docx").exists()


def test_nothing_is_sent_once_the_time_is_over(home, serve):
    class Slow(Odd):
        def submit(self, fn, /, *args):
            future = super().submit(fn, *args)
            future.result()
            time.sleep(1.2)
            return future

    server = serve(good)
    with raising(e.Detached, billed=False, remedy=Remedy.RUN_AGAIN):
        make_studio(home, server).imagine("a fox", seed=[1, 2], executor=Slow(1), timeout=1)
    assert not server.posts


def test_where_a_reply_has_no_room_nothing_is_sent(home, serve, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    server = serve(good)
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(e.NotSent, match="No space left on device"):
        make_studio(home, server).imagine("a fox", executor=Odd(1))
    assert not server.posts


def test_the_time_that_a_cell_waits_counts_from_the_first_question(home, serve):
    class Slow(Odd):
        def submit(self, fn, /, *args):
            if fn is executors.probe_worker:
                time.sleep(1.5)
            return super().submit(fn, *args)

    studio = make_studio(home, serve(lambda seen: (time.sleep(1.3), good(seen))[1]))
    with raising(e.Detached, 2, remedy=Remedy.WAIT):
        studio.imagine("a fox", executor=Slow(1), timeout=2)


def test_a_call_that_is_given_up_before_it_is_sent_is_not_sent(home, serve):
    server = serve(lambda seen: (429, {"Retry-After-ms": "5000"}, b""))

    studio = make_studio(home, server)
    with raising(e.RateLimited, status=429):
        studio.carry_out(studio.plan(from_call("a fox", {"executor": Odd(1)})), GivesUp(server))
    assert len(server.posts) == 1


def test_a_call_that_is_brought_twice_is_sent_once(home, serve):
    server = serve(good)

    class Repeating(Odd):
        """Runs a call again whose answer it lost, as clusters do when a worker dies."""

        def submit(self, fn, /, *args):
            super().submit(fn, *args).result()
            return super().submit(fn, *args)

    with raising(e.OutcomeUnknown, billed=None):
        make_studio(home, server).imagine("a fox", executor=Repeating(1))
    assert len(server.posts) == 1


def test_what_an_executor_complains_of_holds_no_key(home, serve):
    class Telling(Odd):
        def submit(self, fn, /, *args):
            if fn is executors.probe_worker:
                return super().submit(fn, *args)
            raise RuntimeError("cannot take " + args[0].credentials.key.clear)

    studio = make_studio(home, serve(good), key_env="LAB_KEY", environ={"LAB_KEY": KEY})
    with pytest.raises(e.NotSent, match="cannot take") as caught:
        studio.imagine("a fox", executor=Telling(1), send_key=True)
    assert KEY not in str(caught.value)
    assert not any(KEY.encode() in path.read_bytes() for path in home.rglob("*") if path.is_file())


# Real clusters


def test_dask(home, serve, tmp_path):
    import distributed

    server = serve(good)
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        studio = make_studio(home, server)
        check(studio.imagine("a fox", seed=range(8), executor=client.get_executor()), server, 8)
        check_again(studio, server, client.get_executor())


def check_again(studio, server, executor):
    """The same request asked anew is asked anew, though the executor knows its arguments."""
    before = len(server.posts)
    assert studio.imagine("a fox", seed=1, new=True, executor=executor)
    assert len(server.posts) == before + 1


def test_ipyparallel(home, serve, tmp_path, monkeypatch):
    import ipyparallel

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    server = serve(good)
    with ipyparallel.Cluster(n=2, log_level=40) as engines:
        studio = make_studio(home, server)
        with raising(e.InvalidOption, 2):
            studio.imagine("a fox", executor=engines[:].executor)
        assert not server.posts
        balanced = engines.load_balanced_view().executor
        check(studio.imagine("a fox", seed=range(8), executor=balanced), server, 8)
        check_again(studio, server, balanced)
