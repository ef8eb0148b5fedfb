#!/usr/bin/env python3
"""Ask sketch for images through a real LiteLLM proxy, in an environment of its own.

    python tests/versions/proxy.py [FOLDER]

Installs what litellm.txt lists, once where a folder is given to keep it in. Prints a line for each check and
ends with 1 where one fails. Everything runs on 127.0.0.1, and nothing is billed.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from check import ROOT, make_environment
from PIL import Image

sys.path.insert(0, str(ROOT))
from ipyimagegen import Settings, Studio
from ipyimagegen.core.errors import ImagineError, InvalidOption, OutcomeUnknown, RateLimited, RequestRefused

KEY = "sk-proxy-0123456789"
CONFIG = """
model_list:
  - model_name: painter
    litellm_params: {{model: openai/gpt-image-2, api_base: {sketch}/v1, api_key: sk-sketch, max_retries: 0}}
router_settings: {{num_retries: 0}}
general_settings: {{master_key: {key}}}
"""
BLUE = (10, 120, 200)


def find_port():
    """Return a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(url, log, command, **environ):
    """Start a server and wait until it answers. Ends the check where it does not."""
    process = subprocess.Popen(
        [*map(str, command)], stdout=log, stderr=log, env={**os.environ, **environ}, cwd=tempfile.gettempdir()
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.5)
        else:
            return process
    process.kill()
    sys.exit(f"{command[0]} does not answer at {url}")


def list_checks(url, home):
    """Yield name, request and what must come of it: a function of the result, or an error's type."""

    def ask(prompt, *, key=KEY, **options):
        entry = {"litellm": {"base_url": url}}
        settings = Settings(endpoints=entry, options={"endpoint": "litellm", "model": "painter"})
        studio = Studio(home=home, environ={"LITELLM_API_KEY": key}, settings=settings)
        return lambda: studio.imagine(prompt, **options)

    scene, other = Image.new("RGB", (256, 256), BLUE), Image.new("RGB", (128, 128))

    def keeps_the_rest(result):
        return bool((np.asarray(result[0].pil.convert("RGB"))[:20, :20] == BLUE).all())

    yield "generation", ask("a red fox"), lambda result: result[0].size == (1024, 1024)
    yield "cost", ask("a red fox"), lambda result: result.cost.amount
    yield "n", ask("a red fox in snow", n=2), lambda result: len(result) == 2
    yield "size", ask("a blue bird", size="1536x1024"), lambda result: result[0].size == (1536, 1024)
    yield (
        "format",
        ask("a frog", quality="low", output_format="webp", output_compression=60, user="me"),
        lambda result: result[0].mime == "image/webp",
    )
    transparent = ask("a frog", background="transparent", moderation="low")
    yield "background", transparent, lambda result: "A" in result[0].pil.mode
    yield "edit", ask("add a hat", image=scene), lambda result: result[0].size == (256, 256)
    yield "edit of two", ask("add a hat", image=[scene, other], n=2), lambda result: len(result) == 2
    yield (
        "edit with a format",
        ask("add a hat", image=scene, output_format="jpeg"),
        lambda result: result[0].mime == "image/jpeg",
    )
    yield "masked edit", ask("a red sun", image=scene, mask=(32, 32, 64, 64)), keeps_the_rest
    yield "refusal", ask("a cat", extra={"fault": "refusal"}), RequestRefused
    yield "429", ask("a dog", extra={"fault": "429"}), RateLimited
    yield "cut off", ask("a cow", extra={"fault": "cut"}), OutcomeUnknown
    yield "too few", ask("a pig", n=2, extra={"fault": "fewer"}), lambda result: len(result) == 1
    yield "stream", ask("a hen", stream=True), InvalidOption
    yield "response_format", ask("an owl", response_format="b64_json"), InvalidOption
    yield "response_format, sent", ask("an owl", extra={"response_format": "b64_json"}), RequestRefused
    yield "seed, sent", ask("an elk", extra={"seed": 3}), RequestRefused
    yield "stream, sent", ask("an emu", extra={"stream": True}), OutcomeUnknown
    yield "wrong key", ask("an ant", key="sk-proxy-wrong"), RequestRefused
    yield "wrong model", ask("a bat", model="nobody"), RequestRefused


def check(name, request, expected):
    """Print whether a request ends as expected; return whether it does."""
    try:
        result = request()
        passed, what = not isinstance(expected, type) and bool(expected(result)), repr(result)
    except ImagineError as error:
        passed, what = (
            isinstance(expected, type) and type(error) is expected,
            f"{type(error).__name__}: {error}",
        )
    print(f"{'passed' if passed else 'FAILED'}  {name}: {what.splitlines()[0][:150]}", flush=True)
    return passed


def main(folder):
    """Start sketch and the proxy, and run all checks."""
    python = folder / "bin/python"
    if not python.exists():
        python = make_environment("litellm", folder)
    sketch, proxy = (f"http://127.0.0.1:{find_port()}" for _ in range(2))
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(sketch=sketch, key=KEY))
    servers = []
    with (folder / "servers.log").open("w") as log, tempfile.TemporaryDirectory() as home:
        try:
            command = [sys.executable, "-m", "ipyimagegen.sketch", "--port", sketch.rpartition(":")[2]]
            servers.append(start(f"{sketch}/v1/models", log, command, PYTHONPATH=str(ROOT)))
            command = [python.with_name("litellm"), "--config", config, "--host", "127.0.0.1"]
            command += ["--port", proxy.rpartition(":")[2]]
            alive = f"{proxy}/health/liveliness"
            servers.append(start(alive, log, command, LITELLM_LOCAL_MODEL_COST_MAP="True"))
            passed = [check(*entry) for entry in list_checks(f"{proxy}/v1", home)]
        finally:
            for server in servers:
                server.kill()
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return not all(passed)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1]).absolute()))
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(Path(temporary)))
