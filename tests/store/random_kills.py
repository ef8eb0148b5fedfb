"""Three writers on one home, each killed at a random time and replaced by another.

    python tests/store/random_kills.py nursery HOME BASE_URL   # forks a writer for each line of stdin
    python tests/store/random_kills.py look HOME BASE_URL      # says what a fresh session finds

`Game` plays it: a server that knows what it delivered, and what must be there in the end.
"""

import contextlib
import hashlib
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from ipyimagegen import Settings, Studio
from ipyimagegen.core import errors as e
from ipyimagegen.core.run import Run, Status, from_json

WRITERS = 3
SHARED = 4  # prompts that all writers ask for, of each hundred
LIFE = (0.01, 0.4)  # seconds between two kills


def image(*what):
    """Return a small PNG file that is this one's alone."""
    seed = hashlib.sha256(repr(what).encode()).digest()
    out = io.BytesIO()
    Image.frombytes("RGB", (8, 8), seed * 6).save(out, "PNG")
    return out.getvalue()


def make_studio(home, base_url):
    lab = {"base_url": base_url, "free": False}
    settings = Settings(
        max_images=1_000_000,  # a writer may live long: where machines are quick, it asks for hundreds
        endpoints={"lab": lab},
        options={"endpoint": "lab"},
    )
    return Studio(home=home, environ={}, settings=settings)


# A writer


def write(home, base_url, name):
    """Ask for one image after another until killed."""
    writer, draw = make_studio(home, base_url), random.Random(name)
    given = image("given", name)
    for turn in itertools.count():
        shared = draw.random() < SHARED / 100
        prompt = f"all {draw.randrange(50)}" if shared else f"{name} {turn}"
        options = {"n": draw.randint(1, 3)} if not shared else {}
        if not shared and draw.random() < 0.3:
            options["stream"] = True
        if not shared and draw.random() < 0.3:
            options["image"] = given
        with contextlib.suppress(e.NotSent, e.OutcomeUnknown):  # another writer has it, or had
            writer.imagine(prompt, **options)


def nursery(home, base_url):
    """Fork a writer for each name on stdin, and say its process id; they die with this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with tempfile.TemporaryDirectory() as folder:  # once, so that no writer spends its life importing
        make_studio(folder, base_url).imagine("first")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
            try:
                write(home, base_url, line.strip())
            except BaseException:  # noqa: BLE001 - it must not go on as a second nursery
                traceback.print_exc()
            os._exit(3)  # killing it is then an error
        print(child, flush=True)


def _die_with(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


# A fresh session


def look(home, base_url):
    """Print what is there: runs by prompt, files that are damaged, what the index does not know."""
    home = Path(home)
    fresh = make_studio(home, base_url)
    fresh.recover_responses()
    runs, damaged = [], []
    for path in home.glob("records/*/*"):
        try:
            run = from_json(Run, json.loads(path.read_bytes()))
            assert (run.session, f"{run.number}.json", run.schema) == (path.parent.name, path.name, 1)
            runs.append(run)
        except (ValueError, TypeError, KeyError, AssertionError) as fault:
            damaged.append(f"{path}: {fault!r}")
    damaged += [
        str(path)
        for path in home.glob("images/*/*")
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
    ]
    indexed = {run.id for run in fresh.store.runs()}
    listed = [
        {
            "prompt": run.request.prompt,
            "status": run.status,
            "reused": bool(run.reused_from),
            "images": [p.sha256 for p in run.shown if p.sha256 and fresh.store.verify(p.sha256)],
            "listed": len(run.images),
        }
        for run in runs
    ]
    missing = sorted({run.id for run in runs} ^ indexed)
    json.dump({"runs": listed, "damaged": damaged, "missing": missing}, sys.stdout)


# The game


@dataclass
class Game:
    """A server and what it delivered: by prompt the hashes of the images, the body, and the POSTs."""

    home: Path
    serve: object
    seed: int = 0
    images: dict = field(default_factory=dict)
    bodies: dict = field(default_factory=dict)
    posts: list = field(default_factory=list)

    def answer(self, seen):
        """Return distinct images for each prompt, as JSON or as a stream."""
        form = "multipart" in seen.headers["Content-Type"]
        asked = seen.fields if form else seen.json
        prompt, count = asked["prompt"], int(asked.get("n", 1))
        made = [image(prompt, k) for k in range(count)]
        texts = [_b64(item) for item in made]
        kind = "application/json"
        body = json.dumps({"created": 1, "data": [{"b64_json": item} for item in texts]}).encode()
        if asked.get("stream") in (True, "true"):
            kind = "text/event-stream"
            what = "image_edit" if form else "image_generation"
            body = b"".join(
                f"data: {json.dumps({'type': f'{what}.completed', 'b64_json': item})}\n\n".encode()
                for item in texts
            )
        if prompt != "first":
            self.posts.append(prompt)
        self.images[prompt] = [hashlib.sha256(item).hexdigest() for item in made]
        self.bodies[prompt] = body
        time.sleep(random.random() * 0.02)
        return 200, {"Content-Type": kind}, body

    def play(self, kills):
        """Kill so many writers, a new one for each, and the last ones with them; return seconds."""
        server, draw, began = self.serve(self.answer), random.Random(self.seed), time.monotonic()
        names = (f"{self.seed}-{number}" for number in itertools.count())
        with _script("nursery", self.home, server.base_url, stdin=subprocess.PIPE) as nurse:
            try:
                living = [_born(nurse, next(names)) for _ in range(WRITERS)]
                for left in range(kills, 0, -1):
                    time.sleep(draw.uniform(*LIFE))
                    os.kill(living.pop(draw.randrange(len(living))), signal.SIGKILL)
                    if left > WRITERS:
                        living.append(_born(nurse, next(names)))
                assert not living
            finally:
                nurse.stdin.close()
                nurse.wait(20)
        self.base_url = server.base_url
        return time.monotonic() - began

    def left_whole(self):
        """Return the prompts whose whole reply lies in the spool, or an image of which is a file."""
        replies = {path.read_bytes() for path in self.home.glob("spool/*.reply")}
        files = {path.stem for path in self.home.glob("images/*/*")}
        return {
            prompt
            for prompt, body in self.bodies.items()
            if body in replies or files & set(self.images[prompt])
        }

    def inspect(self):
        """Return what a fresh process finds."""
        with _script("look", self.home, self.base_url) as process:
            text = process.stdout.read()
        assert process.returncode == 0
        return json.loads(text)


def check(game):
    """Return figures, after nothing was found damaged, lost, paid twice or said wrongly."""
    whole = game.left_whole()
    before = len(list(game.home.glob("spool/*.reply")))
    state = game.inspect()
    assert state["damaged"] == []
    assert state["missing"] == []
    runs = [run for run in state["runs"] if not run["reused"]]
    done = [run for run in runs if run["status"] == Status.DONE]
    assert {run["status"] for run in runs} <= {"pending", "unknown", "done", "not_sent"}
    for run in done:  # whole, and not another's
        assert run["images"] == game.images[run["prompt"]], run
    lost = whole - {run["prompt"] for run in done}
    assert not lost, lost
    twice = {prompt for prompt in game.posts if game.posts.count(prompt) > 1}
    assert not twice, twice
    assert set(game.posts) <= {run["prompt"] for run in runs}
    assert len(game.posts) <= len(runs)
    return {
        "runs": len(runs),
        "posts": len(game.posts),
        "done": len(done),
        "images": sum(len(run["images"]) for run in done),
        "replies left": before,
        "pending": sum(run["status"] == Status.PENDING for run in runs),
    }


def _born(nurse, name):
    nurse.stdin.write(f"{name}\n")
    nurse.stdin.flush()
    return int(nurse.stdout.readline())


def _script(*words, **options):
    command = [sys.executable, __file__, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def _b64(data):
    import base64

    return base64.b64encode(data).decode()


if __name__ == "__main__":
    {"nursery": nursery, "look": look}[sys.argv[1]](*sys.argv[2:])
