"""A process that is killed at any point of the way: what was delivered is there, and its status is honest."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback import b64, image_bytes
from raising import assert_names
from sockets import reply

from ipyimagegen.core.run import Status

IMAGES = [image_bytes(300 + 20 * k, 200, (200, 60 * k, 30)) for k in range(2)]
BODY = json.dumps({"created": 1, "data": [{"b64_json": b64(image)} for image in IMAGES]}).encode()
WHOLE = reply(BODY)
IDLE = 600  # seconds that a call may be silent


def stalled_after(count):
    """Send so many bytes of the body, and no more."""

    def answer(conn, _seen):
        conn.sendall(WHOLE[: len(WHOLE) - len(BODY) + count])
        conn.recv(1)

    return answer


IN_ONE = BODY.index(b64(IMAGES[0]).encode()) + 200
IN_TWO = BODY.index(b64(IMAGES[1]).encode()) + 200
NEVER, CUT, ONE, BOTH = None, (), IMAGES[:1], IMAGES

# where it is killed · the place in the program or the bytes that came · its status after · images there
POINTS = {
    "before_the_record": ("ipyimagegen.store:Store.create 1 before", NEVER, ()),
    "record_written": ("ipyimagegen.store:Store.create 1 after", Status.PENDING, ()),
    "connected": ("ipyimagegen.client.cancel:Deadline.mark_sent 1 before", Status.PENDING, ()),
    "sent": (None, Status.PENDING, ()),
    "in_the_head": (-20, Status.PENDING, ()),
    "in_image_one": (IN_ONE, Status.UNKNOWN, CUT),
    "in_image_two": (IN_TWO, Status.UNKNOWN, ONE),
    "reply_not_read": ("ipyimagegen.client.response:StoredResponse.read 1 before", Status.DONE, BOTH),
    "first_image_without_its_name": ("ipyimagegen.store.files:Disk.move 1 before", Status.DONE, BOTH),
    "between_the_images": ("ipyimagegen.store:Store.keep 2 before", Status.DONE, BOTH),
    "before_it_is_done": ("ipyimagegen.store:Store.update 1 before", Status.DONE, BOTH),
    "before_anybody_is_told": ("ipyimagegen.store:Store.update 1 after", Status.DONE, BOTH),
}


@pytest.mark.parametrize("point", POINTS)
def test_47_kill_at_a_marked_point(lab, point):
    place, status, delivered = POINTS[point]
    answer = WHOLE
    if not isinstance(place, str):
        answer = stalled_after(place) if place else lambda conn, _: conn.recv(1)
    server = lab.serve([answer, WHOLE])
    child = start(lab, server, place if isinstance(place, str) else " 0 before")
    try:
        come_to(child, server, lab.home, place)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    spools = list(lab.home.glob("spool/*.reply"))
    posts = server.posts
    for spool in spools if status is Status.UNKNOWN else ():
        os.utime(spool, (time.time() - IDLE - 1,) * 2)  # nobody reads it any more
    # A fresh session asks the same.
    cell = lab.cell("%imagine -n 2 a red fox")
    if status is NEVER:
        lab.check(Status.DONE, 1, delivered=IMAGES)
    elif status is Status.DONE:
        lab.check([status, status], 1, delivered=IMAGES, states=["stored", "stored"])  # and its reuse
    elif delivered:
        assert_names(cell.error, 1)
        assert cell.error.billed is None
        lab.check(status, 1, delivered=delivered, raw=BODY[:IN_TWO])
    else:
        assert posts <= 1
        raw = BODY[:IN_ONE] if status is Status.UNKNOWN else b""
        assert cell.error.billed is None
        lab.check(status, posts, raw=raw)


def start(lab, server, place):
    script = Path(__file__).with_name("killed.py")
    where, nth, when = place.rsplit(" ", 2)
    command = [sys.executable, script, lab.home, f"{server.origin}/v1", where, nth, when]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=lab.folder)


def come_to(child, server, home, place):
    """Wait until the child is at its point."""
    if isinstance(place, str):
        assert child.stdout.readline() == "here\n"
        return
    until = time.monotonic() + 20
    wanted = max(place or 0, 0)
    while not server.posts or sum(path.stat().st_size for path in home.glob("spool/*.reply")) < wanted:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.05)
