"""Feed the reader of `.env` files: `python fuzzing/fuzz_env_file.py CORPUS`.

Whatever the file holds, reading it raises nothing but the refusal of a key that can be none, shows
nothing of it, takes time in proportion, and finds the key of a well-formed line among anything else. The
arguments are those of libFuzzer, such as `-max_total_time=1200`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ipyimagegen"]):
    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.core.errors import InvalidOption
    from ipyimagegen.session import keys

SECONDS = 1.0  # for one file of some kilobytes, instrumented
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
LAB = Endpoint(name="lab", base_url="https://lab.example/v1", key_env=("LAB_KEY",))
GOOD = "sk-Zq7vKx2mWp9RtB4yHc8Ld3gNf6Js5uXa"
LINES = ("LAB_KEY={}", "export LAB_KEY={}", '  LAB_KEY = "{}"  # mine', "LAB_KEY='{}'\r", "\tLAB_KEY={} # x")


def check(condition: object, promise: str) -> None:
    """Raise RuntimeError with the promise that was broken."""
    if not condition:
        raise RuntimeError(promise)


def find() -> keys.ApiKey | None:
    """Return what is found; a refusal shows nothing of what the file holds."""
    try:
        return keys.find_key(LAB, environ={}, folder=FOLDER)
    except InvalidOption as refusal:
        check(str(refusal).startswith("The key from LAB_KEY in .env contains a blank"), "a refusal is ours")
        return None


def read_file(data: bytes) -> None:
    """Read one file, alone and with a good line behind it, and check the promises."""
    path = FOLDER / ".env"
    path.write_bytes(data)
    began = time.process_time()
    secret = find()
    check(secret is None or secret.possible, "what is found can be a key")
    known = list(keys.list_known_keys([LAB], environ={}, folder=FOLDER))
    check(secret is None or secret in known, "what is found is known to the redactor")
    check(time.process_time() - began < SECONDS, "a file of some kilobytes is read in time")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return
    line = LINES[len(data) % len(LINES)].format(GOOD)
    path.write_bytes(data + b"\n" + line.encode() + b"\n")
    secret = find()
    check(secret and secret.reveal(LAB.base_url) == GOOD, "the last well-formed line counts")


def main() -> None:
    """Run the fuzzer; the keyring of this machine is not asked."""
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    atheris.Setup(sys.argv, read_file)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
