"""Feed the redactor with texts and bytes around a key: `python fuzzing/fuzz_redactor.py CORPUS`.

The first bytes choose a key and how it is spelled; the rest is what stands around it. Whatever comes out
shows no eight characters of the key in a row, in any reading by the standard library; what held no key
stays as it was. The arguments are those of libFuzzer, such as `-max_total_time=1200`.
"""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote, unquote

import atheris

with atheris.instrument_imports(include=["ipyimagegen"]):
    from ipyimagegen.client.spool import Spool
    from ipyimagegen.core.redact import Redactor

RUN = 8
SECONDS = 2.0  # for one text of some kilobytes, instrumented
PATH = Path(tempfile.mkdtemp(prefix="fuzz-"), "spool")
KEYS = ("sk-Zq7vKx2mWp9RtB4yHc8Ld3gNf6Js5uXa", "7f3c9a1be4d24f0c8a6b5d1e2f907c34", "dmx/Zq7v%37+m=Wp9Rt")
REDACTORS = [Redactor([key]) for key in KEYS]
EVERY = Redactor(KEYS)
SPELLINGS = (
    lambda key: key,
    lambda key: key[:-1],
    lambda key: key[1:],
    lambda key: f"{key[:9]}***{key[-8:]}",
    lambda key: quote(key, safe=""),
    lambda key: "".join(f"%{ord(letter):02x}" for letter in key),
    lambda key: "".join(f"\\u{ord(letter):04x}" for letter in key),
    lambda key: "".join(f"&#{ord(letter)};" for letter in key),
    lambda key: base64.b64encode(f"u:{key}".encode()).decode(),
    lambda key: base64.urlsafe_b64encode(f"Bearer {key}!".encode()).decode(),
    lambda key: json.dumps(quote(key, safe=""))[1:-1],
    lambda _: "",
)


def unescape(text: str) -> str:
    """Return a text without JSON's escapes."""
    return re.sub(r"\\u00([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text)


def decode(text: str) -> list[str]:
    """Return what base64 in a text may mean, whichever of its characters is the first."""
    leaks = []
    for run in re.findall(r"[A-Za-z0-9+/_-]{10,}", text):
        for start in range(4):
            part = run[start:].replace("-", "+").replace("_", "/")
            part = part[: len(part) // 4 * 4]
            leaks.append(base64.b64decode(part).decode("latin-1"))
    return leaks


def shows(text: str, key: str) -> bool:
    """Return whether a reader of the text finds eight characters of the key in a row."""
    readings = {text, unquote(text, "latin-1"), unescape(text), html.unescape(text)}
    readings |= {meant for reading in (text, unescape(text)) for meant in decode(reading)}
    return any(key[at : at + RUN] in reading for reading in readings for at in range(len(key) - RUN + 1))


def check(condition: object, promise: str) -> None:
    """Raise RuntimeError with the promise that was broken."""
    if not condition:
        raise RuntimeError(promise)


def redact(data: bytes) -> None:
    """Search one text, as text and as bytes that come in pieces, and check the promises."""
    if len(data) < 4:
        return
    key = KEYS[data[0] % len(KEYS)]
    redactor = REDACTORS[data[0] % len(KEYS)] if data[0] & 64 else EVERY
    cut = 3 + data[2] % (len(data) - 2)
    before, after = data[3:cut].decode("utf-8", "replace"), data[cut:].decode("utf-8", "replace")
    text = before + SPELLINGS[data[1] % len(SPELLINGS)](key) + after
    began = time.process_time()
    clean = redactor.redact(text)
    check(redactor.redact(clean) == clean, "a clean text stays as it is")
    check(not redactor.holds_part(clean), "a clean text holds no part of a key")
    check(not shows(clean, key), "no eight characters survive in a text")
    raw = text.encode("utf-8", "surrogateescape")
    with Spool(PATH, 1 << 20, redactor) as spool:
        for at in range(0, len(raw), data[2] + 1):
            spool.write(raw[at : at + data[2] + 1])
    kept = PATH.read_bytes()
    check(len(kept) == len(raw), "bytes keep their length")
    # In what begins as an image does only a key in clear is looked for.
    check(key[1:-1].encode() not in kept, "no key survives in clear")
    check(time.process_time() - began < SECONDS, "a text of some kilobytes is searched in time")


def main() -> None:
    """Run the fuzzer."""
    atheris.Setup(sys.argv, redact)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
