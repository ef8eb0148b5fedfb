"""What only a real kernel can show: interrupts, nobody to answer, reloading."""

import hashlib
import json
import time

import pytest
from elsewhere import Elsewhere
from lab import PAINTED
from loopback import image_bytes
from sockets import images, reply

from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Status
from ipyimagegen.notebook.fronts import CELL

WHOLE = reply(images(of=PAINTED))
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


def _until(so, seconds=20):
    until = time.monotonic() + seconds
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
    assert len(shell.cell("%imagine a red fox").images) == 1  # waits for it
    assert len(shell.cell("%imagine_history").images) == 1
    lab.took = stopped.seconds
    print(f"{stage}: {stopped.seconds:.3f} s")
    lab.check(
        Status.DONE,
        1,
        CELL.remedies[Remedy.WAIT].partition("{")[0],
        delivered=PAINTED[:1],
        states=["stored"],
        at=0,
    )


HANGING_KEYRING = """
import time
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 1

    def get_password(self, *_):
        time.sleep(60)

    set_password = get_password

import keyring
keyring.set_keyring(Keyring())
"""


NO_KEYRING = "import keyring\nfrom keyring.backends.null import Keyring\nkeyring.set_keyring(Keyring())"


@pytest.mark.parametrize("keyring", [NO_KEYRING, HANGING_KEYRING], ids=["none", "that hangs"])
def test_57_no_stdin_and_no_key(lab, kernel, keyring):
    lab.serve(WHOLE)
    shell = Elsewhere(lab, kernel)
    shell.do(f"import os\ndel os.environ['LAB_KEY']\nimport ipyimagegen.session.studio\n{keyring}")
    for code in (
        "%imagine a red fox",
        "%imagine -n 2 a cat",
        "from ipyimagegen import imagine\nimagine('a fox')",
    ):
        assert shell.cell(code).seconds < SOON
    lab.check(None, 0, "Set LAB_KEY", within=SOON)


REGISTERED = """
shell = get_ipython()
shell.run_line_magic("config", "Imagine")
names = sorted(name for kind in shell.magics_manager.magics.values() for name in kind if "imagine" in name)
ours = [entry for entry in shell.configurables if "ipyimagegen" in type(entry).__module__]
matchers = [entry for entry in shell.Completer.custom_matchers if "ipyimagegen" in entry.__module__]
hooks = [it for some in shell.events.callbacks.values() for it in some if "ipyimagegen" in it.__module__]
print(f"{len(names)} {len(set(names))} {len(ours)} {len(matchers)} {len(hooks)}")
"""


def test_58_loaded_twice_reloaded_unloaded(lab, kernel):
    lab.serve(WHOLE)
    shell = Elsewhere(lab, kernel)
    once = shell.do(REGISTERED)
    shell.do("%load_ext ipyimagegen\nimport ipyimagegen\nipyimagegen.load_ipython_extension(get_ipython())")
    shell.do("%reload_ext ipyimagegen\n%reload_ext ipyimagegen")
    assert shell.do(REGISTERED) == once
    assert len(shell.cell("%imagine a red fox").images) == 1
    shell.do("%unload_ext ipyimagegen\n%unload_ext ipyimagegen")
    assert shell.do(REGISTERED.replace('shell.run_line_magic("config", "Imagine")', "")) == "0 0 0 0 0\n"
    shell.do(f"%load_ext ipyimagegen\n{lab.configured}")
    assert shell.do(REGISTERED) == once
    assert len(shell.cell("%imagine a red fox").images) == 1
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])


# Calls in flight, threads that look into the index without a pause, and forks among them that ask too.
FORKS = """
import os, socket, threading, time
from pathlib import Path
from ipyimagegen import default_studio, imagine

def held(port={port}):
    holders = []
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            what = os.readlink(f"/proc/self/fd/{{number}}")
            holders += [what] if "index.sqlite" in what else []
            if not what.startswith("socket:"):
                continue  # a duplicate of it would stay open
            with socket.socket(fileno=os.dup(number)) as opened:
                holders += [port] if opened.getpeername()[1:] == (port,) else []
        except OSError:
            pass
    return holders

def child(number):
    problems = ""
    try:
        problems += f"holds {{held()}}" if held() else ""
        assert len(imagine(f"a fork {{number}}")) == 1
        problems += f"holds {{held()}}" if held() else ""
    except BaseException as fault:
        problems += repr(fault)
    Path({folder!r}, f"fork-{{number}}").write_text(problems)
    os._exit(0)

def ended(pid, until):
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > until:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return False
        time.sleep(0.01)
    return True

calls = [threading.Thread(target=imagine, args=(f"a thread {{number}}",)) for number in range(3)]
over, looks = threading.Event(), default_studio().store
def look():
    while not over.is_set():
        looks.runs(search="fox")
lookers = [threading.Thread(target=look) for _ in range(3)]
for thread in (*calls, *lookers):
    thread.start()
while len(list(Path({folder!r}).glob("asked-*"))) < 3:
    time.sleep(0.01)
assert held().count({port}) >= 3
hung = []
for number in range({forks}):
    if (pid := os.fork()) == 0:
        child(number)
    hung += [] if ended(pid, time.monotonic() + 10) else [number]
over.set()
Path({folder!r}, "go").touch()
for thread in (*calls, *lookers):
    thread.join()
print("hung:", hung)
"""
FORKED = 12


def test_61_forks_and_threads(lab, kernel):
    of = {f"a {kind} {k}": image_bytes(64 + k, 48) for kind in ("thread", "fork") for k in range(FORKED)}

    def answer(conn, seen):
        prompt = json.loads(seen.body)["prompt"]
        if "thread" in prompt:
            (lab.artefacts / f"asked-{prompt}").touch()
            _until((lab.artefacts / "go").exists, 60)
        conn.sendall(reply(images(of=[of.get(prompt, PAINTED[0])])))

    lab.limit(idle=60, whole=60)
    server = lab.serve(answer)
    shell = Elsewhere(lab, kernel)
    shell.cell("%imagine a red fox")
    cell = shell.cell(FORKS.format(port=server.port, folder=str(lab.artefacts), forks=FORKED))
    assert cell.printed == "hung: []\n"
    assert [(lab.artefacts / f"fork-{k}").read_text() for k in range(FORKED)] == [""] * FORKED
    assert server.accepted == len(server.seen) == 1 + 3 + FORKED  # a connection for each call
    for run in lab.runs:
        due = of.get(run.request.prompt, PAINTED[0])
        assert [image.sha256 for image in run.images] == [hashlib.sha256(due).hexdigest()]
    assert len({run.session for run in lab.runs}) == 1 + FORKED
    delivered = [of[prompt] for prompt in of if prompt.startswith("a fork") or prompt[-1] in "012"]
    lab.check([Status.DONE] * 16, 16, delivered=delivered, images=0, within=60)
