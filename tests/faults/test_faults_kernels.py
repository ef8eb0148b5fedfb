"""What only a real kernel can show: interrupts, nobody to answer, reloading."""

import time

import pytest
from elsewhere import Elsewhere
from lab import PAINTED
from sockets import pictures, reply

from ipyimagegen.records import Status

WHOLE = reply(pictures(of=PAINTED))
SOON = 1.0  # seconds
# In the kernel: once the server has answered, the disk takes its time, but for the thread that waits.
SLOW_DISK = """
import os, threading, time
from pathlib import Path
from ipyimagegen import default_studio
from ipyimagegen.store import Disk, Store

def slow(file, folder=Path({folder!r})):
    if threading.current_thread() is not threading.main_thread() and (folder / "answered").exists():
        (folder / "reached").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
    os.fsync(file)

studio = default_studio()
studio.store = Store(studio.home, disk=Disk(studio.home, fsync=slow))
"""


class Held:
    """A server, or a disk, that stops at a stage of the way until it may go on."""

    def __init__(self, lab, stage, tls):
        self._folder, self._stage, self._tls = lab.artefacts, stage, tls
        lab.serve(self._answer, self if stage == "before sending" else None)

    def wrap_socket(self, conn, **how):
        """Stand for a TLS context that takes its time."""
        self._stop_at("before sending")
        return self._tls.wrap_socket(conn, **how)

    def _answer(self, conn, _seen):
        self._stop_at("while waiting")
        conn.sendall(WHOLE[: len(WHOLE) // 2])
        self._stop_at("in the body")
        (self._folder / "answered").touch()
        conn.sendall(WHOLE[len(WHOLE) // 2 :])

    def _stop_at(self, stage):
        if stage == self._stage:
            (self._folder / "reached").touch()
            _until((self._folder / "go").exists)

    def reached(self):
        """Wait until it has come there."""
        _until((self._folder / "reached").exists)

    def go_on(self):
        """Let it go on."""
        (self._folder / "go").touch()


def _until(so):
    until = time.monotonic() + 20
    while not so() and time.monotonic() < until:
        time.sleep(0.01)
    assert so()


@pytest.mark.parametrize("stage", ["before sending", "while waiting", "in the body", "while storing"])
def test_46_interrupt_at_any_stage(lab, kernel, trusted, stage):
    way, shell = Held(lab, stage, trusted), Elsewhere(lab, kernel)
    shell.do(SLOW_DISK.format(folder=str(lab.artefacts)))
    started = shell.start("%imagine a red fox")
    way.reached()
    stopped = shell.stop(started)
    assert stopped.seconds < SOON
    assert [run.status for run in lab.runs] == [Status.PENDING]
    way.go_on()
    assert len(shell.cell("%imagine a red fox").pictures) == 1  # waits for it
    assert len(shell.cell("%imagine_history").pictures) == 1
    lab.took = stopped.seconds
    print(f"{stage}: {stopped.seconds:.3f} s")
    lab.check(Status.DONE, 1, "The call goes on", delivered=PAINTED[:1], states=["stored"], at=0)
