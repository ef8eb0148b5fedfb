"""Keys: wherever one comes from and however it is echoed, it is in no record, message, screen or file."""

import base64
import copy
import json
import linecache
import logging
import pickle
import re
import sys
import time
import traceback
import types
from dataclasses import replace
from urllib.parse import quote

import pytest
from canary import traces, traces_in
from loopback import b64, image_bytes

from ipyimagegen import Settings, Studio, client
from ipyimagegen.core import errors as e
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.redact import Credentials, HiddenText, Redactor
from ipyimagegen.core.run import Status
from ipyimagegen.session import executors, keys
from ipyimagegen.session.credentials import Keychain

KEYS = {
    "with a prefix": "sk-Zq7vKx2mWp9RtB4yHc8Ld3gNf6Js5uXa1eQ0w",
    "hexadecimal": "7f3c9a1be4d24f0c8a6b5d1e2f907c34",
    "with signs": "dmx/Zq7vKx2m+Wp9RtB4yHc8Ld3g=",
    "with percent signs": "Zq%37vKx2m%25Wp9RtB4yHc8Ld3g",
}
SPELLINGS = {
    "raw": lambda key: key,
    "first character missing": lambda key: key[1:],
    "last character missing": lambda key: key[:-1],
    "masked": lambda key: f"{key[:9]}****{key[-9:]}",
    "JSON escapes": lambda key: "".join(f"\\u{ord(letter):04x}" for letter in key),
    "URL escapes": lambda key: "".join(f"%{ord(letter):02X}" for letter in key),
    "URL escapes where needed": lambda key: quote(key, safe=""),
    "HTML entities": lambda key: "".join(f"&#{ord(letter)};" for letter in key),
    "HTML hexadecimal": lambda key: "".join(f"&#x{ord(letter):x};" for letter in key),
    "base64": lambda key: b64(f"Bearer {key}".encode()),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(f"u:{key}".encode()).decode(),
    "JSON escapes of URL escapes": lambda key: json.dumps(quote(key, safe=""))[1:-1].replace("%", "\\u0025"),
}
PNG = image_bytes()


def readable(text, key):
    """Return whether a reader finds eight characters of the key in a row, escapes taken off."""
    forms = [text]
    for _ in range(2):
        forms.append(Unescaper(forms[-1]).text)
    return [form for form in forms if traces(form, (key,))]


class Unescaper:
    """JSON, URL and HTML escapes as a standard library reads them."""

    def __init__(self, text):
        import html
        import re
        from urllib.parse import unquote

        plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
        self.text = html.unescape(unquote(plain))


@pytest.fixture(params=KEYS)
def key(request):
    return KEYS[request.param]


@pytest.fixture(params=SPELLINGS)
def echo(request):
    return SPELLINGS[request.param]


def make_studio(home, server, key, **more):
    own = {"lab": {"base_url": server.base_url, "key_env": "LAB_KEY", "free": False}}
    settings = Settings(endpoints=own, options={"endpoint": "lab"})
    return Studio(home=home, environ={"LAB_KEY": key} if key else {}, settings=settings, **more)


# What a server echoes


def echoes(text):
    """Return bodies and headers that hold a text in every place that is shown or recorded."""
    image = {"b64_json": b64(PNG)}
    return {
        "prompt": (200, {}, {"data": [{**image, "revised_prompt": f"a fox, {text}"}]}),
        "facts": (200, {}, {"data": [image], "model": text, "size": text, "id": text, "quality": text}),
        "item": (200, {}, {"data": [image, {"error": {"message": text, "code": text}}]}),
        "request id": (200, {"x-request-id": text}, {"data": [image]}),
        "address": (200, {}, {"data": [image, {"url": f"https://{text[:40]}.example/{text}"}]}),
        "no image": (200, {}, {"data": [], "message": text}),
        "error": (401, {}, {"error": {"message": f"Incorrect API key provided: {text}", "code": text}}),
        "page": (502, {"Content-Type": "text/html"}, f"<html><title>{text}</title></html>".encode()),
        "no JSON": (200, {}, f"hello {text}".encode()),
        "broken base64": (200, {}, {"data": [{"b64_json": f"{b64(PNG)[:80]}!{text}"}]}),
    }


def test_what_a_server_echoes_is_nowhere(home, serve, key, echo, tmp_path):
    answers = list(echoes(echo(key)).items())
    server = serve(lambda seen: answers[len(server.posts) - 1][1])
    studio = make_studio(home, server, key)
    shown = []
    for number, (place, _) in enumerate(answers):
        try:
            result = studio.imagine("a fox", seed=number)
            shown.append(f"{place}: {result!r} {result.caption} {result.run!r} {pickle.dumps(result)!r}")
        except e.ImagineError as error:
            shown.append(f"{place}: {error} {vars(error)} {pickle.dumps(error)!r}")
    assert len(server.posts) == len(answers)
    assert [text for text in shown if readable(text, key)] == []
    assert traces_in(tmp_path, (key,)) == {}
    records = "".join(path.read_text() for path in (home / "records").rglob("*.json"))
    assert not readable(records, key)


def test_what_is_recovered_is_searched_like_what_is_read_at_once(home, serve, key, echo, tmp_path):
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(PNG)}]}))
    first = make_studio(home, server, key)
    run = first.store.run(first.imagine("a fox").id)
    first.store.update(run.replace(status=Status.PENDING, images=(), response={}, mismatches=()))
    body = {"data": [{"b64_json": b64(PNG), "revised_prompt": f"asked with {echo(key)}"}], "model": echo(key)}
    spool = first.store.spool(run)
    spool.write_text(json.dumps(body))  # as a killed process may leave it
    second = make_studio(home, server, key)
    runs = second.history.search("fox")
    shown = f"{runs!r} {[run.caption for run in runs]} {[run.run for run in runs]}"
    assert [run.status for run in runs] == ["done"]
    assert runs[0][0].bytes == PNG
    assert not readable(shown, key)
    spool.unlink()
    assert traces_in(tmp_path, (key,)) == {}


def check_download(home, serve, folder, key, fetched):
    """Check that nothing shows the key where the URL of an image answers with it."""

    def answer(seen):
        url = f"{server.base_url}/1.png"
        return fetched if seen.method == "GET" else (200, {}, {"data": [{"url": url}]})

    server = serve(answer)
    with pytest.raises(e.ImagineError) as caught:
        make_studio(home, server, key).imagine("a fox")
    assert any(seen.method == "GET" for seen in server.requests)
    assert not readable(str(caught.value), key)
    assert traces_in(folder, (key,)) == {}


def test_a_page_at_a_result_url_is_kept_without_the_key(home, serve, key, echo, tmp_path):
    page = 200, {"Content-Type": "text/html"}, f"<html>{echo(key)}</html>".encode()
    check_download(home, serve, tmp_path, key, page)


def test_a_redirect_of_a_result_url_does_not_spread_the_key(home, serve, echo, tmp_path):
    key = KEYS["with a prefix"]
    location = f"https://{key.lower()}.example/{quote(echo(key))}"
    check_download(home, serve, tmp_path, key, (302, {"Location": location}, b""))


def test_the_key_of_another_entry_is_taken_out_too(home, serve):
    other = KEYS["hexadecimal"]
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(PNG), "revised_prompt": other}]}))
    own = {
        "lab": {"base_url": server.base_url, "key_env": "LAB_KEY"},
        "twin": {"base_url": server.base_url, "key_env": "TWIN_KEY"},
    }
    environ = {"LAB_KEY": KEYS["with a prefix"], "TWIN_KEY": other}
    studio = Studio(home=home, environ=environ, settings=Settings(endpoints=own))
    assert other[:8] not in studio.imagine("a fox", endpoint="lab").caption
    assert traces_in(home, (other,)) == {}


def test_a_key_with_words_in_it_spoils_no_url(home, serve):
    """Parts of it that stand in the server's own name or address are no secret."""
    key = "campus-gpu-7-secret-2026"

    def answer(seen):
        if seen.method == "GET":
            return (
                (200, {"Content-Type": "image/png"}, PNG) if "campus-gpu-7" in seen.path else (404, {}, b"")
            )
        return 200, {}, {"data": [{"url": f"{server.base_url}/campus-gpu-7/out.png"}]}

    server = serve(answer)
    own = {"campus-gpu-7": {"base_url": server.base_url, "key_env": "LAB_KEY", "free": False}}
    studio = Studio(home=home, environ={"LAB_KEY": key}, settings=Settings(endpoints=own))
    assert studio.imagine("a fox", endpoint="campus-gpu-7")[0].bytes == PNG
    assert not traces(studio.keys.hidden(f"echo {key}")[13:], ("secret-2026",))


def test_the_key_of_another_entry_in_the_response_to_a_remote_call(home, serve, echo):
    from concurrent.futures import ThreadPoolExecutor

    other = KEYS["hexadecimal"]
    body = {
        "data": [{"b64_json": b64(PNG), "revised_prompt": echo(other)}, {"error": {"message": echo(other)}}]
    }
    server = serve(lambda seen: (200, {"x-request-id": other}, {**body, "model": echo(other)}))
    own = {"lab": {"base_url": server.base_url, "key_env": "LAB_KEY", "free": False}}
    own["twin"] = {**own["lab"], "key_env": "TWIN_KEY"}
    environ = {"LAB_KEY": KEYS["with a prefix"], "TWIN_KEY": other}
    studio = Studio(home=home, environ=environ, settings=Settings(endpoints=own))
    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patched:
        patched.setenv("LAB_KEY", KEYS["with a prefix"])
        sweep = studio.imagine("a fox", endpoint="lab", seed=[1, 2], executor=pool)
    assert len(sweep[0]) == 1
    assert not readable(f"{sweep!r} {[tile.run for tile in sweep]}", other)
    assert traces_in(home, (other,)) == {}


def test_an_image_with_a_key_in_its_texts_is_kept_without_it(home, serve):
    from io import BytesIO

    from PIL import Image, PngImagePlugin

    key, out, info = KEYS["with a prefix"], BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("parameters", f"Authorization: Bearer {key}")
    Image.new("RGB", (30, 20), (200, 90, 30)).save(out, "PNG", pnginfo=info)
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(out.getvalue())}]}))
    result = make_studio(home, server, key).imagine("a fox")
    assert len(result) == 1
    assert result[0].pil.tobytes() == Image.new("RGB", (30, 20), (200, 90, 30)).tobytes()
    assert result.run.images[0].altered == "key"
    assert result[0].path.stem == result[0].sha256
    assert traces_in(home, (key,)) == {}
    again = make_studio(home, server, key).imagine("a fox")
    assert (again.reused, again[0].sha256) == (True, result[0].sha256)


# Where a key comes from


LAB = Endpoint(name="lab", base_url="https://lab.example/v1", key_env=("LAB_KEY",))


def typed(key, tmp_path, monkeypatch):
    chain = Keychain({}, lambda _: key, lambda: [LAB])
    chain.obtain(LAB)
    return chain


def in_keyring(key, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", types.SimpleNamespace(get_password=lambda *_: key))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr(keys, "find_spec", lambda name: name)
    monkeypatch.setattr(keys, "KEYRING_SECONDS", 60)  # its limit is tested elsewhere
    chain = Keychain({}, None, lambda: [LAB])
    chain.obtain(LAB)
    monkeypatch.delitem(sys.modules, "keyring")
    return chain


def in_a_former_folder(key, tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(f"LAB_KEY={key}\n")
    chain = Keychain({}, None, lambda: [LAB])
    chain.obtain(LAB)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return chain


def gone_from_the_environment(key, tmp_path, monkeypatch):
    environ = {"LAB_KEY": key}
    chain = Keychain(environ, None, lambda: [LAB])
    chain.source(LAB)
    environ.clear()
    return chain


def of_an_entry_that_is_gone(key, tmp_path, monkeypatch):
    endpoints = [LAB]
    chain = Keychain({"LAB_KEY": key}, None, lambda: endpoints)
    chain.refuse("a fox")
    endpoints.clear()
    return chain


@pytest.mark.parametrize(
    "leave", [typed, in_keyring, in_a_former_folder, gone_from_the_environment, of_an_entry_that_is_gone]
)
def test_every_key_that_was_ever_found_is_recognised(leave, key, tmp_path, monkeypatch):
    chain = leave(key, tmp_path, monkeypatch)
    for text in (f"a fox {key}", f'{{"key": "{key}"}}', b64(f"x{key}".encode()), quote(key, safe="")):
        with pytest.raises(e.InvalidOption) as caught:
            chain.refuse(text)
        assert key[:8] not in str(caught.value)
        assert not readable(chain.hidden(text), key)


@pytest.mark.parametrize("bad", [b"\xff", b" ", b'"', b"'", b"\n", b"\xc3\xa9", "狐".encode()])
def test_a_key_that_can_be_none_is_refused_for_its_own_endpoint_alone(home, serve, bad):
    raw = KEYS["with a prefix"].encode() + bad + b"tail"
    key = raw.decode("utf-8", "surrogateescape")
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(PNG)}]}))
    studio = make_studio(home, server, key)
    with pytest.raises(e.InvalidOption, match="LAB_KEY") as caught:
        studio.imagine("a fox")
    assert not traces(str(caught.value), (KEYS["with a prefix"],))
    assert server.posts == []
    assert studio.imagine("a fox", endpoint="sketch", size="64x64")
    assert not traces(repr(studio.doctor("lab", offline=True)), (KEYS["with a prefix"],))
    with pytest.raises(e.InvalidOption):
        studio.imagine(f"a fox {key}", endpoint="sketch")


# The type that holds a key


def test_a_hidden_text_shows_itself_nowhere(caplog):
    hidden = HiddenText(KEYS["with a prefix"])
    logging.getLogger("any").warning("%s %r", hidden, [hidden])
    shown = (
        f"{hidden} {hidden!r} {hidden!s:>3} {[hidden]} {'%s' % hidden} {'{}'.format(hidden)} {caplog.text}"  # noqa: UP031, UP032
    )
    assert not traces(shown, KEYS.values())
    for spread in (pickle.dumps, copy.copy, copy.deepcopy, lambda text: pickle.dumps({"key": [text]})):
        with pytest.raises(TypeError):
            spread(hidden)
    assert "Bearer " + hidden == f"Bearer {KEYS['with a prefix']}"


@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: [it], lambda it: {"a": it}, lambda it: (1, it)])
def test_nothing_that_holds_a_key_is_pickled(wrap, home):
    secret = keys.ApiKey(HiddenText(KEYS["with a prefix"]), "https://lab.example/v1")
    own = Credentials(origin=secret.origin, headers={"X-Auth": secret.clear})
    for held in (
        secret,
        secret.clear,
        secret.reveal("https://lab.example/v1/x"),
        own,
        replace(own, key=secret),
    ):
        with pytest.raises(TypeError):
            pickle.dumps(wrap(held))


def errand(**more):
    call = client.HttpCall(url="https://lab.example/v1/images/generations", body={"prompt": "a fox"})
    return executors.RemoteTask(
        nonce="n", call=call, endpoint=LAB, idempotency_key="i", timeouts=client.Timeouts(), **more
    )


def test_a_key_travels_in_a_remote_task_alone_and_shows_nowhere_there():
    secret = keys.ApiKey(HiddenText(KEYS["with a prefix"]), LAB.base_url)
    headers = {"X-Team": "lab", "X-Auth": HiddenText(KEYS["with signs"])}
    task = errand(credentials=Credentials(origin=secret.origin, key=secret, headers=headers))
    assert not traces(f"{task!r} {task} {vars(task)}", KEYS.values())
    there = pickle.loads(pickle.dumps(task))
    assert there.credentials == task.credentials
    assert [type(value) for value in there.credentials.headers.values()] == [str, HiddenText]
    assert not traces(f"{there!r} {vars(there)}", KEYS.values())
    assert not traces(pickle.dumps(errand()), KEYS.values())


# Interrupts: whatever line one comes at, no traceback shows a key


def interrupted(work, at):
    """Interrupt `work` at a line of the package; return the number of lines, and the traceback."""
    count = 0

    def line(frame, event, _):
        nonlocal count
        if event == "line":
            count += 1
            if count == at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return line

    def call(frame, *_):
        return line if "ipyimagegen" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        work()
    except KeyboardInterrupt as stop:
        sys.settrace(None)
        lines = traceback.TracebackException.from_exception(stop, capture_locals=True)
        return count, "".join(lines.format()) + attributes(stop.__traceback__)
    finally:
        sys.settrace(before)
    return count, ""


def attributes(trace):
    """Return what IPython's verbose tracebacks show besides: attributes that a line of the package names."""
    events = []
    while trace:
        owner = trace.tb_frame.f_locals.get("self")
        if "/ipyimagegen/" in trace.tb_frame.f_code.co_filename and owner is not None:
            line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
            names = re.findall(r"self\.(\w+)", line)
            events += [f"  File /ipyimagegen/,{getattr(owner, name, None)!r}" for name in names]
        trace = trace.tb_next
    return "".join(events)


def chain_of(key):
    return Keychain(keys.Environment({"LAB_KEY": key}), lambda _: KEYS["with a prefix"], lambda: [LAB])


WORKS = {
    "refuse": lambda chain: chain.refuse("a fox"),
    "hidden": lambda chain: chain.hidden("a \\u0041 fox %41"),
    "secret": lambda chain: chain.obtain(LAB),
    "source": lambda chain: chain.source(LAB),
    "typed": lambda chain: replace_environment(chain).obtain(LAB),
    "mask": lambda chain: chain.redactor.mask(b'{"a": "b", "c": "%41"}' * 9),
    "clean": lambda chain: chain.redactor.clean("a fox, escaped \\u0041"),
    "write": lambda chain: chain.redactor_for(chain.obtain(LAB)).holds_part("a fox"),
}


def replace_environment(chain):
    chain._environ = keys.Environment({})
    return chain


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_an_interrupt_at_any_line_shows_no_key(name, where, tmp_path):
    key = KEYS["with a prefix"]
    if where == ".env":
        (tmp_path / ".env").write_text(f"# mine\nLAB_KEY={key}\nOTHER=1\n")

    def attempt(at):
        chain = chain_of("" if where == ".env" else key)
        return interrupted(lambda: WORKS[name](chain), at)

    lines, _ = attempt(-1)
    assert lines > 5
    for at in range(1, lines + 1):
        _, shown = attempt(at)
        # The test's own frames hold it, on purpose.
        ours = "".join(part for part in shown.split("  File ") if "/ipyimagegen/" in part.split(",")[0])
        assert not traces(ours, (key,)), at


# Time: twice the input takes about twice as long


def grows_in_proportion(work, length):
    """Return whether twice the length takes at most 2.5 times as long; a busy machine gets some tries."""

    def seconds(work):
        began = time.process_time()
        work()
        return time.process_time() - began

    short, long = work(length), work(2 * length)
    short()
    return any(seconds(long) <= 2.5 * seconds(short) + 0.005 for _ in range(20))


REDACTOR = Redactor(KEYS.values())
SLOW = {
    "api_key:": "api_key:",
    "bearer blanks": "Bearer  ",
    "prefixes": "sk-sk-hf-hf-",
    "prefix with a cut": "hf-abcd…",
    "escapes": "\\u0041%41&#65;",
    "backslashes": "\\",
    "percent": "%25",
    "runs of base64": "A" * 511 + " ",
    "the key": f"{KEYS['with a prefix']} ",
    "half of it": f"{KEYS['with a prefix'][:16]} ",
    "digits": "1",
    "blanks": " ",
}


@pytest.mark.parametrize("text", SLOW)
@pytest.mark.parametrize("method", ["redact", "holds", "holds_part", "clean", "mask"])
def test_a_search_takes_time_in_proportion_to_the_text(method, text):
    def search(length):
        whole = (SLOW[text] * (length // len(SLOW[text]) + 1))[:length]
        return lambda: getattr(REDACTOR, method)(whole.encode() if method == "mask" else whole)

    assert grows_in_proportion(search, 50_000)


@pytest.mark.parametrize(
    "line", ["OPENAI_API_KEY=x{}y", "{}OPENAI_API_KEY=x", "MOTD={}hello{}world", "a{}=b{}=c"]
)
@pytest.mark.parametrize("filler", [" ", "\t", "#", "='", '"'])
def test_a_long_line_of_the_env_file_takes_time_in_proportion(tmp_path, line, filler):
    openai = replace(LAB, key_env=("OPENAI_API_KEY",))

    def read(length):
        text = line.replace("{}", filler * (length // len(filler)))

        def work():
            (tmp_path / ".env").write_text(f"A=1\n{text}\nB=2\n")
            keys.find_key_source(openai, environ={}, folder=tmp_path)

        return work

    assert grows_in_proportion(read, 100_000)
