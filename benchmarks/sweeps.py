"""What a sweep takes beside the same by hand, and what a large one takes.

    python benchmarks/sweeps.py [--times 3] [--tiles 1000] [parallel fresh tiles]

`parallel`: 32 images of 1.5 MB from a server that takes a second for each, 16 at once; photos, and
images that are decoded in a third of the time. `fresh`: the same from a Python that has loaded nothing
yet, as the first cell of a notebook finds it. `tiles`: a sweep of a hundred and of a thousand images,
drawn by sketch. Ends with 1 when a limit is missed.
"""

import argparse
import base64
import io
import itertools
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import figures
import openai
import requests
from figures import Row, interleaved, medians
from PIL import Image
from server import serving

from ipyimagegen import Settings, Studio

IMAGES, AT_ONCE, WAIT = 32, 16, 1000  # WAIT in ms
NUMBERS = itertools.count()
TILE = 200  # px of the thumbnails that are made by hand
PREVIEW = 150 * 1024  # bytes of a sheet in a saved notebook


def in_threads(work):
    prompt = f"a fox {next(NUMBERS)}"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda seed: work(prompt, seed), range(IMAGES)))


def asked(url, prompt, seed):
    reply = requests.post(f"{url}/images/generations", json={"prompt": prompt, "seed": seed}, timeout=60)
    return base64.b64decode(reply.json()["data"][0]["b64_json"])


def kept(data, folder, prompt, seed):
    """Write the file and a thumbnail of it."""
    path = folder / f"{prompt}-{seed}.png"
    path.write_bytes(data)
    with Image.open(path) as image:
        image.thumbnail((TILE, TILE))
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG")
    path.with_suffix(".jpg").write_bytes(out.getvalue())


def by_sdk(client, prompt, seed):
    reply = client.images.generate(prompt=prompt, n=1, extra_body={"seed": seed})
    return base64.b64decode(reply.data[0].b64_json)


def by_sweep(studio):
    made = studio.imagine(f"a fox {next(NUMBERS)}", seed=range(IMAGES))
    assert not made.failed
    assert made.to_bundles()
    assert made.caption


def parallel(times, kind):
    """Return rows: ours beside the raw ways and the official SDK, in turn."""
    with serving() as server, tempfile.TemporaryDirectory(prefix="sweeps-") as home:
        url = f"{server}/{kind}-{WAIT}/v1"
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        studio = Studio(
            endpoint=url, home=Path(home, "home"), environ={}, settings=Settings(max_parallel=AT_ONCE)
        )
        folder = Path(home, "by hand")
        folder.mkdir()
        taken = interleaved(
            {
                "raw": lambda: in_threads(lambda *which: asked(url, *which)),
                "kept": lambda: in_threads(lambda *which: kept(asked(url, *which), folder, *which)),
                "sdk": lambda: in_threads(lambda *which: by_sdk(client, *which)),
                "sdk, kept": lambda: in_threads(lambda *which: kept(by_sdk(client, *which), folder, *which)),
                "ours": lambda: by_sweep(studio),
            },
            times,
        )
    middle = {name: seconds / 1000 for name, seconds in medians(taken).items()}
    ours = middle["ours"]
    rows = [
        Row("requests in 16 threads", middle["raw"], "s"),
        Row("the same, files and thumbnails written", middle["kept"], "s"),
        Row("official SDK in 16 threads", middle["sdk"], "s"),
        Row("the same, files and thumbnails written", middle["sdk, kept"], "s"),
        Row("sweep: stored, checked, on one sheet", ours, "s"),
    ]
    for name, base, limit in (
        ("requests, files and thumbnails", "kept", 105),
        ("bare requests", "raw", 120),
        ("the SDK, files and thumbnails", "sdk, kept", 100),
        ("the bare SDK", "sdk", 100),  # which neither keeps an image nor looks at one
    ):
        rows.append(Row(f"sweep over {name}", ours / middle[base] * 100, "%", limit=limit))
    return rows


FRESH = {
    "raw": """
import base64, sys
from concurrent.futures import ThreadPoolExecutor
import requests
url, _, prompt, many, at_once = sys.argv[1:]
def work(seed):
    reply = requests.post(f"{url}/images/generations", json={"prompt": prompt, "seed": seed}, timeout=60)
    return base64.b64decode(reply.json()["data"][0]["b64_json"])
with ThreadPoolExecutor(int(at_once)) as pool:
    assert len(set(pool.map(work, range(int(many))))) == int(many)
""",
    "sdk": """
import base64, sys
from concurrent.futures import ThreadPoolExecutor
import openai
url, _, prompt, many, at_once = sys.argv[1:]
client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
def work(seed):
    reply = client.images.generate(prompt=prompt, n=1, extra_body={"seed": seed})
    return base64.b64decode(reply.data[0].b64_json)
with ThreadPoolExecutor(int(at_once)) as pool:
    assert len(set(pool.map(work, range(int(many))))) == int(many)
""",
    "ours": """
import sys
from ipyimagegen import Settings, Studio
url, home, prompt, many, at_once = sys.argv[1:]
studio = Studio(endpoint=url, home=home, environ={}, settings=Settings(max_parallel=int(at_once)))
made = studio.imagine(prompt, seed=range(int(many)))
assert len({row["file"] for row in made.rows}) == int(many) and made.to_bundles() and made.caption
""",
}


def fresh(times, kind):
    """Return rows: the same from a fresh interpreter, what it loads included."""
    with serving() as server, tempfile.TemporaryDirectory(prefix="fresh-") as home:
        url = f"{server}/{kind}-{WAIT}/v1"

        def alone(code):
            given = [url, home, f"a fox {next(NUMBERS)}", str(IMAGES), str(AT_ONCE)]
            subprocess.run([sys.executable, "-c", code, *given], check=True)

        ways = {name: lambda code=code: alone(code) for name, code in FRESH.items()}
        middle = {name: seconds / 1000 for name, seconds in medians(interleaved(ways, times)).items()}
    return [
        Row("requests in 16 threads", middle["raw"], "s"),
        Row("official SDK in 16 threads", middle["sdk"], "s"),
        Row("sweep: stored, checked, on one sheet", middle["ours"], "s"),
        Row("sweep over the bare SDK", middle["ours"] / middle["sdk"] * 100, "%", limit=100),
    ]


MEASURE = """
import re, sys, time
from pathlib import Path
from ipyimagegen import Settings, Studio
count, home = int(sys.argv[1]), sys.argv[2]
def peak():  # KiB; what getrusage says begins with the parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
studio = Studio("sketch", home=home, environ={})
studio.imagine("a red fox in the snow", size="128x128", seed=[-1, 0])  # loads what is needed
before = peak()
began = time.perf_counter()
made = studio.imagine("a blue boat", size="128x128", seed=range(count))
asked = time.perf_counter()
bundles, caption = made.to_bundles(), made.caption
shown = time.perf_counter()
rows = made.rows
after = peak()
assert len(rows) == len({row["file"] for row in rows}) == count
assert [row["seed"] for row in rows] == list(range(count))
size = sum(len(data) for bundle, _ in bundles for kind, data in bundle.items() if kind.startswith("image/"))
again = time.perf_counter()
assert all(tile.reused for tile in studio.imagine("a blue boat", size="128x128", seed=range(count)))
print(asked - began, shown - asked, (after - before) / 1024, size, time.perf_counter() - again)
"""


def tiles(count):
    """Return rows of a sweep of a tenth, and of all: time for each tile, memory, and the sheet's bytes."""
    rows, each = [], {}
    for many in (count // 10, count):
        with tempfile.TemporaryDirectory(prefix="tiles-") as home:
            done = subprocess.run(
                [sys.executable, "-c", MEASURE, str(many), home], capture_output=True, text=True, check=True
            )
        seconds, shown, memory, size, again = map(float, done.stdout.split())
        each[many] = seconds / many * 1000
        rows += [
            Row(f"{many:,} tiles: each", each[many], "ms"),
            Row(f"{many:,} tiles: sheets and caption", shown * 1000, "ms"),
            Row(f"{many:,} tiles: memory at the peak", memory, "MiB"),
            Row(f"{many:,} tiles: bytes shown, in base64", size * 4 / 3 / 1024, "KiB", limit=PREVIEW / 1024),
            Row(f"{many:,} tiles: from history, each", again / many * 1000, "ms"),
        ]
    rows.append(Row("a tile of many over one of few", each[count] / each[count // 10], "x", limit=1.2))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--tiles", type=int, default=1000)
    parser.add_argument("tables", nargs="*", choices=[[], "parallel", "fresh", "tiles"], metavar="TABLE")
    given = parser.parse_args()
    for name, table, note in (("parallel", parallel, ""), ("fresh", fresh, ", from a fresh Python")):
        if not given.tables or name in given.tables:
            for kind, what in (("photo", "photos"), ("half", "images decoded in a third of the time")):
                title = f"32 {what}, 1.5 MB and a second each, 16 at once{note}"
                figures.show(title, table(given.times, kind))
    if not given.tables or "tiles" in given.tables:
        figures.show("Large sweeps drawn by sketch", tiles(given.tiles))
    if figures.MISSED:
        print("\nMissed:", *figures.MISSED, sep="\n  ")
    sys.exit(bool(figures.MISSED))


if __name__ == "__main__":
    main()
