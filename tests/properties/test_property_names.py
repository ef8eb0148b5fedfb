"""File names from any text, and files from any template: portable, short, and never out of their folder."""

import unicodedata
from pathlib import PurePosixPath

from hypothesis import example, given
from hypothesis import strategies as st
from tape import tapes

from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import ImageRecord, Run
from ipyimagegen.core.text import to_file_name
from ipyimagegen.imaging import can_decode
from ipyimagegen.results.saving import FIELDS, find_target

DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
DEVICES |= {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
SUFFIXES = {"image/png": (".png",), "image/jpeg": (".jpg", ".jpeg"), "image/webp": (".webp",)}

WORDS = ("con", "NUL", "com1", "LPT¹", "CONIN$", "x" * 60, "狐" * 39, "😀", "e", "\u0301", "\u212a")
SIGNS = (".", "..", " ", "/", "\\", ":", "*?", "~", "-", "\u200b", "\u202e", "\x00", "\ud800", "{seed}")
PIECES = [*WORDS, *SIGNS, ".png", ".jpeg", ".tar.gz", "x" * 200]
texts = tapes(8).map(lambda tape: "".join(tape.several(lambda: tape.choose(PIECES), 6))) | st.text(
    max_size=200
)


def is_portable(name):
    """What Windows, macOS and Linux all take as one name, and give back as it was."""
    return (
        name
        and not set(name) & set('<>:"/\\|?*')
        and not any(unicodedata.category(c).startswith("C") for c in name)
        and len(name.encode()) <= 120
        and name == unicodedata.normalize("NFC", name)
        and name == name.strip(" ").rstrip(".")
        and name.split(".")[0].rstrip(" ").upper() not in DEVICES
    )


@given(texts)
@example("con .png")
@example("con." + "x" * 200)
@example("con" + " " * 200 + "x")
@example("e\u200b\u0301")
@example("x" * 119 + " y")
def test_any_text_becomes_one_portable_name(text):
    name = to_file_name(text)
    assert is_portable(name)
    assert to_file_name(name) == name
    if is_portable(text) and not text.startswith("."):
        assert name == text


PARTS = [
    *(f"{{{name}}}" for name in FIELDS),
    *WORDS,
    *(sign for sign in SIGNS if sign not in "/{seed}"),
    ".JPG",
]
FOLDERS = ["out", "{model}", "v{seed}.{size}", "{endpoint}-x"]


@given(tapes(60), st.text(max_size=12))
def test_any_template_stays_in_its_folder(tape, model):
    folders = tape.several(lambda: tape.choose(FOLDERS), 3)
    name = "".join([tape.choose(PARTS), *tape.several(lambda: tape.choose(PARTS), 4)])
    mime, index, several = tape.choose([*SUFFIXES, None]), tape.below(12), tape.below(2)
    model += "".join(tape.several(lambda: tape.choose(PIECES), 5))
    endpoint, seed = ("".join(tape.several(lambda: tape.choose(PIECES), 5)) for _ in "12")
    run = Run(
        session="1120-k7f2",
        number=3,
        identity="x",
        created=1.0,
        request=Request(endpoint=endpoint, base_url="https://x/v1", prompt="", options={"seed": seed}),
        sent=PreparedRequest(model=model),
    )
    image = ImageRecord(index=index, mime=mime, width=10, height=20)
    template = "/".join(["top", *folders, name])
    path = find_target(template, run, image, several=several)
    typed = PurePosixPath("top", *folders).parts
    assert len(path.parts) == len(typed) + 1
    for part, asked in zip(path.parts, typed, strict=False):
        assert part == asked if "{" not in asked else is_portable(part)
    assert path.parts[0] == "top"
    assert is_portable(path.name)
    converted = (".jpg",) if name.endswith(".JPG") and can_decode(mime or "image/png") else ()
    assert path.suffix in (*SUFFIXES[mime or "image/png"], *converted)
