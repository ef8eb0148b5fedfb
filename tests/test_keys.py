"""Where keys come from, and that they go nowhere else."""

import contextlib
import copy
import pickle
import subprocess
import sys
import threading
import time
import types
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raising import assert_names, raising

from ipyimagegen import Settings, Studio
from ipyimagegen.core.endpoints import Endpoint, to_host
from ipyimagegen.core.errors import InvalidOption, MissingKey
from ipyimagegen.core.user_input import from_call
from ipyimagegen.notebook.display import write_status
from ipyimagegen.session import keys
from ipyimagegen.session.call import Call
from ipyimagegen.session.credentials import Keychain
from ipyimagegen.session.scheduler import Batch

LAB = Endpoint(
    name="lab", title="The lab", base_url="https://lab.example/v1", key_env=("LAB_KEY", "OTHER_KEY")
)
KEY = "sk-canary-0123456789"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """A keychain looks into the working folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch):
    """The machine's own keyring is nobody's business here."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    if keyring := sys.modules.get("keyring"):
        from keyring.backends.null import Keyring

        keyring.set_keyring(Keyring())


def find(tmp_path, environ=None, endpoint=LAB):
    return keys.find_key(endpoint, environ=environ or {}, folder=tmp_path)


def keychain(ask=None, environ=None, endpoints=(LAB,)):
    return Keychain(environ or {}, ask, lambda: endpoints)


def value(secret):
    return secret and secret.reveal(LAB.base_url)


def test_a_secret_shows_itself_to_its_origin_alone():
    secret = keys.ApiKey(KEY, "https://lab.example/v1")
    for url in ("https://lab.example/v1/images/generations", "https://LAB.example:443/x"):
        assert secret.reveal(url) == KEY
    for url in (
        "http://lab.example/v1",
        "https://lab.example:8443/",
        "https://lab.example.evil/",
        "x",
        "https://[x",
    ):
        assert secret.reveal(url) is None


def test_a_secret_hides():
    secret = keys.ApiKey(KEY, "https://lab.example/v1")
    assert KEY not in f"{secret!r} {secret} {[secret]}"
    assert "https://lab.example" in repr(secret)
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            spread(secret)
        assert KEY not in str(caught.value)
    with pytest.raises(TypeError):
        vars(secret)


def test_the_order_of_places(tmp_path):
    (tmp_path / ".env").write_text("OTHER_KEY=from-file\n")
    assert value(find(tmp_path, {"OTHER_KEY": "second", "LAB_KEY": "first"})) == "first"
    assert value(find(tmp_path, {"OTHER_KEY": "second", "LAB_KEY": ""})) == "second"
    assert value(find(tmp_path)) == "from-file"
    (tmp_path / ".env").unlink()
    assert find(tmp_path) is None
    assert value(keychain(lambda _: " typed\n").obtain(LAB).key) == "typed"
    with pytest.raises(MissingKey):
        keychain(lambda _: "").obtain(LAB)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("LAB_KEY=abc", "abc"),
        ("  export LAB_KEY = abc  ", "abc"),
        ('LAB_KEY="abc"', "abc"),
        ("LAB_KEY='abc' # mine", "abc"),
        ("LAB_KEY=abc # mine", "abc"),
        ("LAB_KEY=a#b", "a#b"),
        ("\ufeffLAB_KEY=abc\r", "abc"),
        ("# LAB_KEY=abc", None),
        ("LAB_KEY=", None),
        ("LAB_KEY=''", None),
        ("XLAB_KEY=abc", None),
        ("lab_key=abc", None),
        ("LAB_KEY", None),
        ("base_url=https://evil.example", None),
    ],
)
def test_dotenv(tmp_path, line, key):
    (tmp_path / ".env").write_text(f"FIRST=1\n{line}\nLAST=2\n", encoding="utf-8")
    text = line if line.startswith("\ufeff") else f"FIRST=1\n{line}\nLAST=2\n"
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    assert value(find(tmp_path)) == key


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_a_dotenv_that_powershell_wrote(tmp_path, order):
    (tmp_path / ".env").write_bytes("\ufeffFIRST=1\r\nLAB_KEY=abc\r\n".encode(order))
    assert value(find(tmp_path)) == "abc"
    assert [key.clear for key in keys.list_known_keys([LAB], environ={}, folder=tmp_path)] == ["abc"]


@given(st.binary(max_size=200))
def test_any_dotenv_is_read(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("env")
    (folder / ".env").write_bytes(b"LAB_KEY=" + content)
    with contextlib.suppress(InvalidOption):
        keys.find_key(LAB, environ={}, folder=folder)


def test_a_folder_called_dotenv(tmp_path):
    (tmp_path / ".env").mkdir()
    assert find(tmp_path) is None


@pytest.mark.parametrize(
    "bad", ["a b", 'a"b', "a'b", "a\nb", "abc\n", "\nabc", "a\tb", "\x00", "kéy", "ab\u200bc", "密钥"]
)
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(tmp_path, bad):
    with raising(InvalidOption, "LAB_KEY") as caught:
        find(tmp_path, {"LAB_KEY": f"canary{bad}canary" if bad[0] != "\n" else bad})
    assert "canary" not in str(caught.value)


def test_what_was_typed_is_checked_too():
    chain = keychain(lambda _: "two words")
    with pytest.raises(InvalidOption):
        chain.obtain(LAB)
    assert chain.source(LAB) is None


def test_the_prompt_names_the_endpoint_and_the_host_that_gets_the_key():
    asked = []
    chain = keychain(lambda text: asked.append(text) or "abc")
    assert value(chain.obtain(LAB).key) == value(chain.obtain(LAB).key) == "abc"
    (question,) = asked
    assert all(name in question for name in ("The lab", "LAB_KEY", "lab.example"))
    assert chain.source(LAB)


def test_a_typed_key_belongs_to_the_origin_that_it_was_typed_for():
    asked = []
    chain = keychain(lambda text: asked.append(text) or f"key-number-{len(asked)}")
    first = chain.obtain(LAB).key
    for base_url in ("https://evil.example/v1", "http://lab.example/v1", "https://lab.example:444/v1"):
        moved = replace(LAB, base_url=base_url)
        assert chain.find(moved).key is None
        assert chain.obtain(moved).key.reveal(base_url) != first.clear
        assert to_host(base_url) in asked[-1]
    assert chain.find(replace(LAB, base_url="https://LAB.example:443/other")).key == first
    chain.forget(moved)
    assert chain.find(LAB).key == first
    chain.forget(LAB)
    assert chain.find(LAB).key is None
    for number in range(1, 5):
        with pytest.raises(InvalidOption):
            chain.refuse(f"a fox key-number-{number}")


def test_nobody_is_asked_where_no_key_is_needed():
    def ask(_):
        raise AssertionError

    for endpoint in (
        Endpoint(name="sketch", base_url="http://sketch.invalid/v1"),
        Endpoint(name="local", base_url="http://localhost/v1", key_env=("LAB_KEY",), key_optional=True),
    ):
        assert keychain(ask).obtain(endpoint).key is None


def test_missing_key_names_the_cure():
    with pytest.raises(MissingKey) as caught:
        keychain().obtain(LAB)
    assert all(name in str(caught.value) for name in LAB.key_env)
    assert_names(caught.value, "endpoint", "sketch")
    assert len(str(caught.value).splitlines()) == 2


def test_source_says_the_place_and_no_part_of_the_key(tmp_path):
    def source(environ):
        return keys.find_key_source(LAB, environ=environ, folder=tmp_path)

    assert source({"LAB_KEY": KEY}) == "LAB_KEY"
    assert source({}) is None
    (tmp_path / ".env").write_text(f"OTHER_KEY={KEY}")
    assert source({}) == "OTHER_KEY in .env"


def test_known_for_redaction(tmp_path):
    (tmp_path / ".env").write_text("OTHER_KEY=file-key\nUNRELATED=x")
    known = keys.list_known_keys(
        [LAB], environ={"LAB_KEY": " longer-env-key ", "PATH": "/bin"}, folder=tmp_path
    )
    assert {key.clear for key in known} == {"longer-env-key", "file-key"}


def backend(tmp_path, monkeypatch, body):
    """Install a keyring backend of the test's own."""
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class Ours(KeyringBackend):
        priority = 1
        get_password = body

        def set_password(self, *_): ...

    keyring.set_keyring(Ours())
    monkeypatch.setattr("sys.modules", dict(sys.modules))


def test_keyring(tmp_path, monkeypatch):
    backend(tmp_path, monkeypatch, lambda _, service, user: f"{service}/{user}")
    assert value(find(tmp_path)) == "ipyimagegen/lab"
    assert keys.find_key_source(LAB, environ={}, folder=tmp_path) == "the system keyring"
    assert value(find(tmp_path, {"LAB_KEY": "env"})) == "env"


def test_a_keyring_that_waits_for_somebody_is_waited_for_once(tmp_path, monkeypatch):
    unlocked = threading.Event()
    backend(tmp_path, monkeypatch, lambda *_: unlocked.wait(20) and "typed-elsewhere")
    began = time.monotonic()
    assert [find(tmp_path) for _ in range(10)] == [None] * 10
    assert time.monotonic() - began < 1.5
    unlocked.set()
    until = time.monotonic() + 5
    while (key := find(tmp_path)) is None and time.monotonic() < until:
        time.sleep(0.01)
    assert value(key) == "typed-elsewhere"


@pytest.mark.parametrize("body", [lambda *_: 1 / 0, lambda *_: None, lambda *_: time.sleep(2)])
def test_a_keyring_that_fails_or_hangs_is_no_key(tmp_path, monkeypatch, body):
    backend(tmp_path, monkeypatch, body)
    began = time.monotonic()
    assert find(tmp_path) is None
    assert time.monotonic() - began < 3


def test_colab(tmp_path, monkeypatch):
    def get(name):
        if name != "OTHER_KEY":
            raise KeyError(name)
        return "colab-key"

    colab = types.ModuleType("google.colab")
    colab.userdata = types.SimpleNamespace(get=get)
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert value(find(tmp_path)) == "colab-key"
    assert keys.find_key_source(LAB, environ={}, folder=tmp_path) == "OTHER_KEY in Colab's secrets"


def test_importing_keys_imports_no_keyring():
    check = "import sys, ipyimagegen.session.keys; assert 'keyring' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_a_vendors_key_that_may_go_elsewhere_is_named_before_it_goes(serve, home):
    """The doctor and the status line say which host gets it; unasked it goes nowhere."""
    server = serve(lambda seen: (200, {}, {"data": []}))
    host = server.base_url.split("/")[2]
    entry = {"base_url": server.base_url, "key_env": "OPENAI_API_KEY", "free": False}
    environ = {"OPENAI_API_KEY": "sk-" + "a" * 40}
    refused = Studio("lab", home, settings=Settings(endpoints={"lab": entry}), environ=environ)
    with pytest.raises(InvalidOption, match="OPENAI_API_KEY"):
        refused.imagine("a fox")
    assert server.requests == []
    allowed = {"lab": {**entry, "allow_key": True}}
    studio = Studio("lab", home, settings=Settings(endpoints=allowed), environ=environ)
    (key,) = [finding for finding in studio.doctor() if finding.name == "key"]
    assert host in key.text
    plan = studio.plan(from_call("a fox", {}))
    assert host in write_status(Batch(plan, [Call(planned) for planned in plan.calls]))


def test_an_env_file_gives_no_address(home, tmp_path):
    lines = "OPENAI_API_KEY=sk-0123456789\nOPENAI_BASE_URL=https://evil.example/v1\n"
    lines += "IPYIMAGEGEN_BASE_URL=https://evil.example/v1\nIPYIMAGEGEN_ENDPOINT=https://evil.example/v1\n"
    (tmp_path / ".env").write_text(lines)
    studio = Studio(home=home, environ={})
    assert studio.default_endpoint().base_url == "https://api.openai.com/v1"
    assert not studio.trusts("https://evil.example/v1")
