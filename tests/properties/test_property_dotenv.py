"""Keys from any `.env`: what a plain reader finds in well-formed lines, and nothing from the others."""

import contextlib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tape import Tape, tapes

from ipyimagegen.core.endpoints import ANY_SERVER, Endpoint
from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.session import keys

LAB = Endpoint(name="lab", base_url="https://lab.example/v1", key_env=("LAB_KEY", "OTHER_KEY"))
NAMES = [
    "LAB_KEY",
    "LAB_KEY",
    "OTHER_KEY",
    "IPYIMAGEGEN_API_KEY",
    "LAB_KEY_2",
    "XLAB_KEY",
    "lab_key",
    "export",
]
NAMES += ["LAB_BASE_URL", "IPYIMAGEGEN_BASE_URL", "OPENAI_BASE_URL", "IPYIMAGEGEN_ENDPOINT", "LABＫEY", "_"]
TOKENS = ["abc", "sk-0123456789", "a#b", "x=y=", "https://evil.example/v1", "", "$HOME", "\\n", "ü", "a\\"]
INNER = [*TOKENS, " two words ", "# no comment", "a\tb"]
NOISE = [
    "",
    "   ",
    "# LAB_KEY=old",
    "LAB_KEY",
    "=LAB_KEY",
    "LAB_KEY: abc",
    "\x00",
    "LAB-KEY=abc",
    "'",
    "if [ x ]",
]
NOISE += [
    "# page\x0cLAB_KEY=a",
    "#\u2028LAB_KEY=b",
    "#\x85LAB_KEY=c",
    "2LAB_KEY=abc",
    "export LAB_KEY",
    "\ufeff",
]
BLANKS = ["", "", " ", "\t", "  "]


def line(tape):
    """Return a line as somebody may write it, and the name and value that it means, or None."""
    if not tape.below(4):
        return tape.choose(NOISE), None
    name, kind = tape.choose(NAMES), tape.choose(["", '"', "'"])
    value = tape.choose(INNER if kind else TOKENS)
    written = tape.choose(BLANKS) + tape.choose(["", "", "export ", "export\t "]) + name
    written += f"{tape.choose(BLANKS)}={tape.choose(BLANKS)}{kind}{value}{kind}"
    return written + tape.choose(["", "", " ", " # mine", "\t#'\""]), (name, value)


def file(tape):
    lines = tape.several(lambda: line(tape), 8)
    end = tape.choose(["\n", "\r\n"])
    text = tape.choose(["", "\ufeff"]) + end.join(written for written, _ in lines) + tape.choose([end, ""])
    return text.encode(), dict(meant for _, meant in lines if meant)


@pytest.fixture
def _no_keyring(monkeypatch):
    monkeypatch.setattr(keys, "_keyring", lambda _: None)  # it is asked when nothing else was found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tapes(80), st.binary(max_size=30))
@example(Tape([1, 1, 0, 1, 0]), b"\xff\xfe")
@pytest.mark.usefixtures("_no_keyring")
def test_a_dotenv_says_what_its_well_formed_lines_say(tmp_path, tape, garbage):
    content, meant = file(tape)
    (tmp_path / ".env").write_bytes(content + b"\n\xff" + garbage.replace(b"KEY", b""))
    value = next((meant[name] for name in LAB.key_env if meant.get(name)), None)
    problem = None
    try:
        secret = keys.find_key(LAB, environ={}, folder=tmp_path)
    except InvalidOption as fault:
        problem = str(fault)
    if value is None:
        assert problem is None
        assert secret is None
    elif value.isascii() and not set(value) & set(" \t'\""):
        assert problem is None
        assert (secret.reveal(LAB.base_url), secret.origin) == (value, "https://lab.example")
        assert secret.reveal("https://evil.example/v1") is None
    else:
        assert problem
        assert value not in problem
    known = {meant.get(name) for name in (*LAB.key_env, ANY_SERVER)}
    assert {name.strip() for name in known if name} == {
        str.__str__(key.clear) for key in keys.list_known_keys([LAB], environ={}, folder=tmp_path)
    }
    with contextlib.suppress(StopIteration):
        name = next(name for name in LAB.key_env if meant.get(name))
        assert keys.find_key_source(LAB, environ={}, folder=tmp_path) == f"{name} in .env"
