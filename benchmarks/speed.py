"""One image from a server that answers at once: what is added to the raw way, and where it goes."""

import base64
import contextlib
import io
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

import openai
import requests
from figures import Row, above, interleaved, medians
from PIL import Image

from ipyimagegen import imaging
from ipyimagegen.client import streaming, transport
from ipyimagegen.client.response import ResponseImage
from ipyimagegen.imaging import contact_sheet, inspection
from ipyimagegen.results import Generation
from ipyimagegen.session.ledger import Ledger
from ipyimagegen.session.studio import Studio
from ipyimagegen.store import Disk, Store
from ipyimagegen.store.index import Index

LIMIT = 30  # ms over the raw way
NUMBERS = itertools.count()


def raw(url):
    """Ask and open with requests, base64 and Pillow."""
    reply = requests.post(f"{url}/images/generations", json={"prompt": "a fox", "n": 1}, timeout=60)
    opened([item["b64_json"] for item in reply.json()["data"]])


def opened(texts):
    for text in texts:
        Image.open(io.BytesIO(base64.b64decode(text))).load()


def by_sdk(client):
    """Ask with the official SDK, and open."""
    reply = client.images.generate(prompt="a fox", n=1)
    opened([item.b64_json for item in reply.data])


def ours(studio):
    """Ask, store, check and make what the notebook shows; each time for another prompt."""
    result = studio.imagine(f"a fox {next(NUMBERS)}")
    assert result.to_bundles()[0][0]["image/jpeg"]


def studio(url, home, fsync=os.fsync):
    """Return a studio whose store brings its files to the disk by this function."""
    made = Studio(endpoint=url, home=home, environ={})
    made.store = Store(made.home, disk=Disk(made.home, fsync=fsync))
    return made


def speed(server, times):
    """Return rows of the whole path beside the raw way and the SDK."""
    url, hard = f"{server}/photo/v1", f"{server}/noise/v1"
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    with tempfile.TemporaryDirectory(prefix="speed-") as folder:
        synced = studio(url, Path(folder, "synced"))
        unsynced = studio(url, Path(folder, "unsynced"), fsync=lambda _: None)
        noisy = studio(hard, Path(folder, "noisy"))
        taken = interleaved(
            {
                "raw": lambda: raw(url),
                "sdk": lambda: by_sdk(client),
                "ours": lambda: ours(synced),
                "unsynced": lambda: ours(unsynced),
                "raw, noise": lambda: raw(hard),
                "ours, noise": lambda: ours(noisy),
            },
            times,
            warm=3,
        )
    middle = medians(taken)

    def row(name, key, limit=None, base="raw"):
        more = above(taken, key, base)
        return Row(name, middle[key], against=f"{more:+.1f} ms over raw", limit=limit, measured=more)

    return [
        Row("requests + base64 + Pillow", middle["raw"], against="nothing kept or shown"),
        row("official SDK + base64 + Pillow", "sdk"),
        row("imagine: stored, checked, previewed", "ours", LIMIT),
        row("imagine, store without fsync", "unsynced"),
        Row("pure noise, 1.5 MB: raw", middle["raw, noise"]),
        row("pure noise: imagine", "ours, noise", base="raw, noise"),
    ]


class Stopwatch:
    """Adds up what each step takes itself, without the steps inside it."""

    def __init__(self):
        self.taken = defaultdict(float)
        self.calls = Counter()
        self._open = threading.local()

    @contextlib.contextmanager
    def step(self, name):
        outer, start = getattr(self._open, "inner", None), time.perf_counter()
        self._open.inner = inner = [0.0]
        try:
            yield
        finally:
            whole = (time.perf_counter() - start) * 1000
            self.taken[name] += whole - inner[0]
            self.calls[name] += 1
            self._open.inner = outer
            if outer is not None:
                outer[0] += whole

    def timed(self, name, work):
        def inner(*args, **kwargs):
            with self.step(name):
                return work(*args, **kwargs)

        return inner

    def timed_items(self, name, work):
        def inner(*args, **kwargs):
            items = work(*args, **kwargs)
            while True:
                with self.step(name):
                    item = next(items, None)
                if item is None:
                    return
                yield item

        return inner


STEPS = (  # from first to last
    ("plan", Studio, "plan"),
    ("probe the disk", Store, "probe"),
    ("take a number", Ledger, "take"),
    ("record: pending", Store, "create"),
    ("name a spool file", Store, "spool"),
    ("request until its status line", transport, "send"),
    ("body into the spool", transport._Exchange, "write_spool"),  # noqa: SLF001
    ("scan the JSON", streaming, "load_json"),
    ("base64", ResponseImage, "chunks"),
    ("hash and write the image", Store, "keep"),
    ("decode", inspection, "_load"),
    ("thumbnail", Image.Image, "resize"),
    ("inspect, the rest", imaging, "inspect"),
    ("record: done", Store, "update"),
    ("index, its syncs included", Index, "_execute"),
    ("JPEG of the preview", contact_sheet, "encode_preview"),
    ("preview, the rest", Generation, "to_bundles"),
)
FSYNC, REST = "fsync of files and folders", "threads, everything else"
RAW = ("raw: request and JSON", "raw: base64", "raw: decode")


def where(server, times):
    """Return rows of where the time of one image goes: means of calls that are timed inside."""
    watch, url = Stopwatch(), f"{server}/photo/v1"
    with tempfile.TemporaryDirectory(prefix="where-") as folder, contextlib.ExitStack() as undo:
        asked = studio(url, Path(folder), fsync=watch.timed(FSYNC, os.fsync))
        ours(asked)
        for name, owner, member in STEPS:
            plain = getattr(owner, member)
            wrap = watch.timed_items if owner is ResponseImage else watch.timed
            setattr(owner, member, wrap(name, plain))
            undo.callback(setattr, owner, member, plain)
        rounds = []
        watch.calls.clear()
        for _ in range(times):
            watch.taken.clear()
            start = time.perf_counter()
            ours(asked)
            whole = (time.perf_counter() - start) * 1000
            rounds.append({**watch.taken, REST: whole - sum(watch.taken.values()), "whole": whole})
        beside = [dict(zip(RAW, raw_steps(url), strict=True)) for _ in range(times)]
    names = (*(name for name, *_ in STEPS), FSYNC, REST, "whole")
    notes = {FSYNC: f"{watch.calls[FSYNC] / times:.0f} calls"}
    return [
        Row(name, statistics.median(figure.get(name, 0.0) for figure in figures), against=notes.get(name, ""))
        for figures, names in ((rounds, names), (beside, RAW))
        for name in names
    ]


def raw_steps(url):
    """Return the milliseconds of each step of the raw way."""
    times = [time.perf_counter()]
    reply = requests.post(f"{url}/images/generations", json={"prompt": "a fox"}, timeout=60).json()
    times.append(time.perf_counter())
    data = base64.b64decode(reply["data"][0]["b64_json"])
    times.append(time.perf_counter())
    Image.open(io.BytesIO(data)).load()
    times.append(time.perf_counter())
    return [(end - start) * 1000 for start, end in itertools.pairwise(times)]
