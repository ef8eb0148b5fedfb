"""What ten images add to the memory of a process: each way in a fresh process of its own.

python benchmarks/memory.py (raw|sdk|ours) BASE_URL N   # prints MiB over what the imports take
"""

import base64
import io
import resource
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from figures import Row

MIB = 1 << 20
HALF = 0.5  # of what the raw way adds
LARGE = 64  # MiB, for a reply of 240 MB


OURS = (
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "ipyimagegen.imaging.contact_sheet",
    "ipyimagegen.notebook",
    "ipyimagegen.sketch",
    "ipyimagegen.store.index",
    "ipyimagegen.client.transport",
)


def peak():
    """Return the most bytes that this process has had in memory.

    Linux counts the parent of a new process into ru_maxrss, but not into VmHWM.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def opened(texts):
    """Decode and open the images one after the other, and keep their bytes to be shown."""
    from PIL import Image

    shown = []
    for text in texts:
        shown.append(base64.b64decode(text))
        Image.open(io.BytesIO(shown[-1])).load()
    return shown


def raw():
    import requests
    from PIL import PngImagePlugin  # noqa: F401 - part of the baseline

    def ask(url, count):
        reply = requests.post(f"{url}/images/generations", json={"prompt": "a fox", "n": count}, timeout=600)
        return opened(item["b64_json"] for item in reply.json()["data"])

    return ask


def sdk():
    import openai
    from PIL import PngImagePlugin  # noqa: F401 - part of the baseline

    def ask(url, count):
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        return opened(item.b64_json for item in client.images.generate(prompt="a fox", n=count).data)

    return ask


def ours():
    for name in OURS:  # all that a call brings in
        import_module(name)
    from ipyimagegen import Studio

    def ask(url, count):
        with tempfile.TemporaryDirectory(prefix="memory-") as home:
            result = Studio(endpoint=url, home=home, environ={}).imagine("a fox", n=count)
            assert len(result) == count
            return result.to_bundles()

    return ask


def added(way, url, count):
    """Return MiB that a way adds in a fresh process."""
    command = [sys.executable, __file__, way, url, str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def memory(server):
    """Return rows for ten images of 1.5 MB, and for a reply of 240 MB."""
    rows = []
    for kind, title in (("photo", "10 images of 1.5 MB"), ("large", "10 of 18 MB, 6 megapixels")):
        mib = {way: added(way, f"{server}/{kind}/v1", 10) for way in ("raw", "sdk", "ours")}
        limit = mib["raw"] * HALF if kind == "photo" else LARGE
        rows += [
            Row(f"{title}: requests", mib["raw"], "MiB"),
            Row(f"{title}: official SDK", mib["sdk"], "MiB", f"{mib['sdk'] / mib['raw']:.2f} of requests"),
            Row(
                f"{title}: imagine",
                mib["ours"],
                "MiB",
                f"{mib['ours'] / mib['raw']:.2f} of requests",
                round(limit),
            ),
        ]
    return rows


def main(way, url, count):
    ask = {"raw": raw, "sdk": sdk, "ours": ours}[way]()
    before = peak()
    kept = ask(url, int(count))
    print((peak() - before) / MIB)
    del kept


if __name__ == "__main__":
    main(*sys.argv[1:])
