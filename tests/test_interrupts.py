"""The stop button at every step of the thread that asks: nothing is paid twice, lost or left half begun."""

import signal
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest
from loopback import b64, image_bytes
from raising import raising

import ipyimagegen
from ipyimagegen import Settings, Studio
from ipyimagegen.core import errors as e
from ipyimagegen.core.messages import Remedy
from ipyimagegen.session.waiting import STOPPED_BEFORE, HeldInterrupts

SESSION = Path(ipyimagegen.__file__).parent / "session"
MODULES = ("studio", "scheduler", "ledger", "call", "waiting")
STEPS = {str(SESSION / f"{name}.py") for name in MODULES}
IMAGE = {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}


class Stop:
    """Presses the button at the nth call in our modules, where Python hears it: in this thread alone."""

    def __init__(self, nth):
        self.left = nth

    def __enter__(self):
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _look(self, frame, event, _):
        if event in ("call", "c_return") and frame.f_code.co_filename in STEPS:
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)


def test_an_interrupt_at_any_step_pays_once_and_loses_nothing(tmp_path, serve):
    server = serve(lambda seen: (200, {}, IMAGE))
    own = {"lab": {"base_url": server.base_url, "free": False}}
    settings = Settings(endpoints=own, options={"endpoint": "lab"}, max_images=1)
    for nth in count(1):
        studio = Studio(home=tmp_path / str(nth), environ={}, settings=settings)
        before = len(server.posts)
        try:
            with Stop(nth) as stop:
                studio.imagine("a fox")
        except KeyboardInterrupt as stopped:
            unsent = getattr(stopped, "args", ())[:1] == (STOPPED_BEFORE,)
        else:
            unsent = False
        if stop.left > 0:
            break
        assert not unsent or len(server.posts) == before, nth
        again = studio.imagine("a fox", timeout=20)
        assert len(again) == 1, nth
        assert again.number == 1, (nth, "the number of a call that was not sent is given back")
        assert len(server.posts) - before == 1, nth
        until = time.monotonic() + 10
        while studio.ledger.in_flight() and time.monotonic() < until:
            time.sleep(0.005)
        assert not studio.ledger.in_flight(), nth
    assert nth > 50


def test_an_interrupt_waits_for_the_end_of_what_must_not_be_torn():
    done = []

    def work():
        with HeldInterrupts() as hold:
            hold.take()
            signal.raise_signal(signal.SIGINT)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_asks_in_another_thread_is_not_touched():
    before, seen = signal.getsignal(signal.SIGINT), []

    def elsewhere():
        with HeldInterrupts() as hold:
            hold.take()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]


def test_stopped_before_it_was_sent_is_told_so(home, serve):
    server = serve(lambda seen: (200, {}, IMAGE))
    studio = Studio(home=home, environ={}, settings=Settings(options={"endpoint": server.base_url}))
    studio.store.probe = lambda need: signal.raise_signal(signal.SIGINT)
    with raising(e.Detached, billed=False, remedy=Remedy.RUN_AGAIN):
        studio.imagine("a fox")
    assert not server.posts


def test_an_interrupt_is_heard_while_another_process_holds_the_index(home, serve):
    server = serve(lambda seen: (200, {}, IMAGE))
    studio = Studio(home=home, environ={}, settings=Settings(options={"endpoint": server.base_url}))
    studio.imagine("a fox")
    hold = (
        f"import sqlite3; index = sqlite3.connect({str(home / 'index.sqlite')!r}, isolation_level=None)\n"
        "index.execute('BEGIN EXCLUSIVE'); print('held', flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as holder:
        assert holder.stdout.readline() == b"held\n"
        threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
        began = time.monotonic()
        with raising(e.Detached, billed=False, remedy=Remedy.RUN_AGAIN):
            studio.imagine("a cat")
        assert time.monotonic() - began < 1.3
        holder.communicate()
    assert len(server.posts) == 1
