"""File names from any text, and files from any template: portable, short, and never out of their folder."""

import unicodedata
from pathlib import PurePosixPath

from hypothesis import example, given
from hypothesis import strategies as st

from ipyimagegen.records import Picture, Request, Run, Sent
from ipyimagegen.safe import file_name
from ipyimagegen.saving import FIELDS, target

DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
DEVICES |= {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
SUFFIXES = {"image/png": (".png",), "image/jpeg": (".jpg", ".jpeg"), "image/webp": (".webp",)}

WORDS = ("con", "NUL", "com1", "LPT¹", "CONIN$", "x" * 60, "狐" * 39, "😀", "e", "\u0301", "\u212a")
SIGNS = (".", "..", " ", "/", "\\", ":", "*?", "~", "-", "\u200b", "\u202e", "\x00", "\ud800", "{seed}")
pieces = st.sampled_from([*WORDS, *SIGNS, ".png", ".jpeg", ".tar.gz"])
texts = st.lists(pieces | st.text(max_size=4), max_size=6).map("".join) | st.text(max_size=200)


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
def test_any_text_becomes_one_portable_name(text):
    name = file_name(text)
    assert is_portable(name)
    assert file_name(name) == name
    if is_portable(text) and not text.startswith("."):
        assert name == text


fields = st.sampled_from([f"{{{name}}}" for name in FIELDS])
parts = st.lists(fields | pieces.filter(lambda t: "/" not in t and "{" not in t), min_size=1, max_size=4)
folders = st.lists(st.sampled_from(["out", "{model}", "v{seed}.{size}", "{endpoint}-x"]), max_size=3)
mimes = st.sampled_from([*SUFFIXES, None])


@given(folders, parts.map("".join), texts, texts, texts, mimes, st.integers(1, 12), st.booleans())
@example([], "{model}", "\u200b", "", "", None, 1, False)
@example([], "{model}.jpg", "x" * 200, "", "", "image/jpeg", 12, True)
def test_any_template_stays_in_its_folder(folders, name, model, endpoint, seed, mime, index, several):
    run = Run(
        session="1120-k7f2",
        number=3,
        identity="x",
        created=1.0,
        request=Request(endpoint=endpoint, base_url="https://x/v1", prompt="", options={"seed": seed}),
        sent=Sent(model=model),
    )
    picture = Picture(index=index, mime=mime, width=10, height=20)
    template = "/".join(["top", *folders, name])
    path = target(template, run, picture, several=several)
    typed = PurePosixPath("top", *folders).parts
    assert len(path.parts) == len(typed) + 1
    for part, asked in zip(path.parts, typed, strict=False):
        assert part == asked if "{" not in asked else is_portable(part)
    assert path.parts[0] == "top"
    assert is_portable(path.name)
    assert path.suffix in SUFFIXES[mime or "image/png"]
