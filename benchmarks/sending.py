"""An edit of an image of 4 MB, answered at once with a small one: what is added to the raw way."""

import itertools
import tempfile
from pathlib import Path

import openai
import requests
import samples
from figures import Row, above, interleaved, medians
from speed import opened, studio

LIMIT = 15  # ms over the raw way
NUMBERS = itertools.count()


def raw(url, path):
    """Send the file as a form with requests, and open what comes."""
    with path.open("rb") as file:
        files = {"image": (path.name, file, "image/png")}
        reply = requests.post(f"{url}/images/edits", data={"prompt": "add a hat"}, files=files, timeout=60)
    opened([item["b64_json"] for item in reply.json()["data"]])


def by_sdk(client, path):
    """Send it with the official SDK."""
    reply = client.images.edit(image=path, prompt="add a hat")
    opened([item.b64_json for item in reply.data])


def ours(made, path):
    """Send it for another prompt each time; input and result are stored, checked and shown."""
    assert made.imagine(f"add hat {next(NUMBERS)}", image=path).to_bundles()


def stored(made, image):
    """Keep an image that nobody has seen, as is done before it is sent."""
    data = samples.several(image, 1)[0] + next(NUMBERS).to_bytes(8, "big")
    made.store.keep([data], cap=len(data))


def fresh(folder, image):
    """Return a file that nobody has seen, of the same size."""
    path = Path(folder, f"{next(NUMBERS)}.png")
    path.write_bytes(samples.several(image, next(NUMBERS) + 1)[-1])
    return path


def sending(server, times):
    """Return rows of the whole path beside the raw way and the SDK."""
    url = f"{server}/small/v1"
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    with tempfile.TemporaryDirectory(prefix="sending-") as folder:
        image = samples.photo(1700)
        path = Path(folder, "input.png")
        path.write_bytes(image)
        asked = studio(url, Path(folder, "home"))
        taken = interleaved(
            {
                "raw": lambda: raw(url, path),
                "sdk": lambda: by_sdk(client, path),
                "ours": lambda: ours(asked, path),
            },
            times,
            warm=3,
        )
        # By themselves: what they write keeps the disk busy for the others.
        unseen = iter([fresh(folder, image) for _ in range(times + 3)])
        writing = interleaved(
            {
                "raw": lambda: raw(url, path),
                "unseen": lambda: ours(asked, next(unseen)),
                "stored": lambda: stored(asked, image),
            },
            times,
            warm=3,
        )
    return [
        Row(
            f"requests, a file of {len(image) / 1e6:.1f} MB",
            medians(taken)["raw"],
            against="nothing kept or shown",
        ),
        row("official SDK", taken, "sdk"),
        row("imagine: an image that it knows", taken, "ours", LIMIT),
        row("imagine: an image that is new", writing, "unseen"),
        Row("… of which its hash, file and fsync", medians(writing)["stored"]),
    ]


def row(name, taken, key, limit=None):
    more = above(taken, key, "raw")
    return Row(name, medians(taken)[key], against=f"{more:+.1f} ms over raw", limit=limit, measured=more)
