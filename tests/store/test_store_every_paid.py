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
from store_story import check_files, read_records
from studios import make_studio

from ipyimagegen.core import errors as e
from ipyimagegen.core.run import Status
from ipyimagegen.store import Store

IMAGES = [image_bytes(40 + k, 30, (40 * k, 90, 10)) for k in range(2)]


def good(seen):
    count = seen.json.get("n", 1)
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(image)} for image in IMAGES[:count]]}


def imagine(studio):
    """Return the images, and their caption or the error."""
    try:
        result = studio.imagine("a fox", n=2)
        return [image.bytes for image in result], result.caption
    except e.ImagineError as fault:
        return [], fault


def on_disk(*folders):
    """Return whether every delivered byte is there, as images or as the response that holds them."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    stored = b"".join(path.read_bytes() for path in files)
    return all(image in stored or b64(image).encode() in stored for image in IMAGES)


@pytest.mark.parametrize("lasts", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=errno.errorcode.get)
def test_a_disk_that_fails_at_any_call(quick, tmp_path, serve, code, lasts):
    server = serve(good)
    for nth in itertools.count(1):
        home, before = quick / str(nth), len(server.posts)
        studio = make_studio(home, server.base_url)
        with Calls(home, nth, fails(code, lasts=lasts)) as calls:
            studio.store = Store(home, wait=0.2, disk=calls.disk())
            shown, text = imagine(studio)
        if calls.met is None:
            break
        where = (nth, calls.met, text)
        posts = len(server.posts) - before
        statuses = {run.status for run in check_files(home).values()}
        if not posts:  # refused before anything was paid
            assert text.billed is False, where
            assert lasts or statuses <= {Status.NOT_SENT}, where
        else:
            assert on_disk(home, tmp_path / "temporary"), where
            unread = isinstance(text, e.ImagineError) and (text.billed is not False or str(home) in str(text))
            assert shown == IMAGES or (code == errno.EIO and unread), where  # nor does it read any more
        # Once it is mended, a fresh session shows what was paid, and pays for what was not.
        again, text = imagine(make_studio(home, server.base_url))
        if posts or not statuses - {Status.NOT_SENT}:
            assert again == IMAGES, (where, text)
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
        runs = read_records(home) if (home / "records").is_dir() else {}
        assert {run.status for run in runs.values()} <= {Status.PENDING, Status.DONE}, nth
        came = on_disk(home)
        again, text = imagine(make_studio(home, server.base_url))
        if came or not runs:
            assert again == IMAGES, (nth, text)
        else:
            assert text.billed is None, nth
        paid += not runs
        assert len(server.posts) == paid, nth
        check_files(home)


def be_killed(folder, base_url):
    """Send requests in forks that are killed, each at another call; return the first call not reached."""
    imagine(make_studio(Path(folder, "first"), base_url))  # so that no fork has to import anything
    nth, killed = 0, True
    while killed:
        nth += 1
        child = os.fork()
        if not child:
            home = Path(folder, str(nth))
            studio = make_studio(home, base_url)
            with Calls(home, nth, kills()) as calls:
                studio.store = Store(home, disk=calls.disk())
                imagine(studio)
            os._exit(0)
        killed = os.waitpid(child, 0)[1]
    return nth


if __name__ == "__main__":
    sys.stdout.write(str(be_killed(*sys.argv[1:])))
