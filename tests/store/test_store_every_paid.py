"""A paid call on a disk that fails, or whose process is killed, at any call: none is lost or paid again."""

import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from failing import Calls, fails, kills
from loopback import b64, image_bytes
from store_story import check_files, found

from ipyimagegen import Settings, Studio
from ipyimagegen.core import errors as e
from ipyimagegen.core.run import Status
from ipyimagegen.store import Store

IMAGES = [image_bytes(40 + k, 30, (40 * k, 90, 10)) for k in range(2)]


def good(seen):
    count = seen.json.get("n", 1)
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(one)} for one in IMAGES[:count]]}


def studio(home, base_url):
    own = {"lab": {"base_url": base_url, "free": False}}
    return Studio(home=home, environ={}, settings=Settings(endpoints=own, options={"endpoint": "lab"}))


def asked(one):
    """Return the images that came, and what was said of them, or instead."""
    try:
        made = one.imagine("a fox", n=2)
        return [image.bytes for image in made], made.caption
    except e.ImagineError as fault:
        return [], str(fault)


def on_disk(*folders):
    """Say whether every delivered byte is there, as images or as the reply that holds them."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    return all(one in kept or b64(one).encode() in kept for one in IMAGES)


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_disk_that_fails_at_any_call(quick, tmp_path, serve, code, lasts):
    server = serve(good)
    for nth in itertools.count(1):
        home, before = quick / str(nth), len(server.posts)
        one = studio(home, server.base_url)
        with Calls(home, nth, fails(code, lasts=lasts)) as calls:
            one.store = Store(home, wait=0.2, disk=calls.disk())
            shown, said = asked(one)
        if calls.met is None:
            break
        where = (nth, calls.met, said)
        assert "failed in this program" not in said, where
        posts = len(server.posts) - before
        statuses = {run.status for run in check_files(home).values()}
        if not posts:  # refused before anything was paid
            assert "IPYIMAGEGEN_HOME" in said or "Nothing was sent" in said, where
            assert lasts or statuses <= {Status.NOT_SENT}, where
        else:
            assert on_disk(home, tmp_path / "temporary"), where
            unread = any(one in said for one in ("kept", str(home), "may have been charged"))
            assert shown == IMAGES or (code == errno.EIO and unread), where  # nor does it read any more
        # Once it is mended, a fresh session shows what was paid, and pays for what was not.
        again, told = asked(studio(home, server.base_url))
        if posts or not statuses - {Status.NOT_SENT}:
            assert again == IMAGES, (where, told)
        assert len(server.posts) - before <= 1, where
    assert shown == IMAGES
    assert nth > 50


def test_a_process_that_is_killed_at_any_call(quick, serve):
    server = serve(good)
    command = [sys.executable, Path(__file__).absolute(), quick, server.base_url]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environ, timeout=250)
    last, posts = int(done.stdout), len(server.posts)
    assert last > 50
    paid = posts
    for nth in range(1, last):
        home = quick / str(nth)
        runs = found(home) if (home / "records").is_dir() else {}
        assert {run.status for run in runs.values()} <= {Status.PENDING, Status.DONE}, nth
        came = on_disk(home)
        again, told = asked(studio(home, server.base_url))
        if came or not runs:
            assert again == IMAGES, (nth, told)
        else:
            assert "may have been charged" in told, nth
        paid += not runs
        assert len(server.posts) == paid, nth
        check_files(home)


def be_killed(folder, base_url):
    """Ask in forks that are killed, one at each call, and say which came through."""
    asked(studio(Path(folder, "first"), base_url))  # so that no fork has to import anything
    nth, killed = 0, True
    while killed:
        nth += 1
        child = os.fork()
        if not child:
            home = Path(folder, str(nth))
            one = studio(home, base_url)
            with Calls(home, nth, kills()) as calls:
                one.store = Store(home, disk=calls.disk())
                asked(one)
            os._exit(0)
        killed = os.waitpid(child, 0)[1]
    return nth


if __name__ == "__main__":
    sys.stdout.write(str(be_killed(*sys.argv[1:])))
