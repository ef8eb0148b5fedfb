"""`%imagine_doctor`: what it finds, that it costs and changes nothing, and that its text may be pasted."""

import base64
import contextlib
import json
import re
import socket
import sqlite3
import subprocess
import sys
import time
from email.utils import formatdate

import pytest
from loopback import CANARY, image_bytes
from sockets import Server, hang, reply, reset
from words import MESSAGES

from ipyimagegen import Settings, Studio, default_studio
from ipyimagegen.core.errors import OutcomeUnknown
from ipyimagegen.session import probing
from ipyimagegen.session.diagnostics import Report, State

LIST = {"object": "list", "data": [{"id": "m"}]}
OK, WARNING, PROBLEM, UNKNOWN = State

DOCTOR = MESSAGES["doctor"]


@pytest.fixture
def listen():
    """Return a function that starts a raw server."""
    servers = []

    def start(answer, tls=None):
        servers.append(Server(answer, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def asking(_question):
    raise AssertionError("nobody is asked for a key")


def studio_at(base_url, **entry):
    entry = {"base_url": base_url, "key_env": "LAB_API_KEY", **entry}
    return Studio("lab", settings=Settings(endpoints={"lab": entry}), ask=asking)


def checked(report):
    """Return the findings by name, after what must hold of every report."""
    lines = repr(report).splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80 or any(" " not in line[22:] for line in lines if len(line) > 80)
    assert all(re.match(r"(ok|warning|problem|unknown) +\S| {22}\S", line) for line in lines[:-1])
    assert lines[-1].endswith("no check cost anything")
    for private in (CANARY, CANARY[3:14], "proxy-password", socket.gethostname(), "Traceback"):
        assert private not in repr(report)
    return {finding.name: finding for finding in report}


def everything(home):
    return {
        path: (path.read_bytes() if path.is_file() else b"", path.lstat().st_mtime_ns)
        for path in sorted([home, *home.rglob("*")])
    }


# In a notebook


def test_the_first_thing_somebody_tries(kernel, home):
    cell = kernel.run("%imagine_doctor")
    (output,) = cell.outputs
    assert (cell.error, output["output_type"], list(output["data"])) == (None, "display_data", ["text/plain"])
    lines = cell.caption.splitlines()
    assert len(lines) <= 25
    assert {line.split()[0] for line in lines if not line.startswith(" ")} == {"ok", "no"}
    assert f"sketch · {DOCTOR['sketch']} {DOCTOR['default without a key']}" in re.sub(
        r"\s+", " ", cell.caption
    )
    assert not home.exists()


ANSWERS = [
    (200, LIST, "ok", DOCTOR["key that is not refused"]),
    (200, b"<html><title>Welcome</title></html>", "warning", DOCTOR["web page"]),
    (200, {"success": False, "message": f"bad token {CANARY}"}, "problem", DOCTOR["refused with 200"]),
    (
        401,
        {"error": {"message": f"wrong key {CANARY}"}},
        "problem",
        "wrong key [key]",
    ),
    (403, {"error": {"message": "not from here"}}, "problem", "not from here"),
    (404, {"detail": "Not Found"}, "unknown", DOCTOR["no list of models"]),
    (200, b"hello", "warning", DOCTOR["text"]),
    (200, b"", "warning", DOCTOR["empty response"]),
    (204, b"", "warning", DOCTOR["empty response"]),
    (200, {"status": "ok"}, "warning", DOCTOR["JSON without a list"]),
    (200, {"error": {"message": "bad token"}, "data": [{"id": "m"}]}, "problem", "bad token"),
    (
        400,
        {"error": {"message": "No connected db.", "code": "no_db_connection"}},
        "problem",
        DOCTOR["wrong key"],
    ),
    (405, b"", "unknown", DOCTOR["no list of models"]),
    (418, b"", "warning", DOCTOR["another status"]),
    (429, {"error": {"code": "insufficient_quota"}}, "warning", "quota"),
    (500, b"<title>Oops</title>", "problem", DOCTOR["server error"]),
    (502, b"", "problem", DOCTOR["server error"]),
]


@pytest.mark.parametrize(("status", "body", "state", "meaning"), ANSWERS)
def test_what_a_server_answers(kernel, serve, home, status, body, state, meaning):
    server = serve(lambda seen: (status, {"X-Echo": CANARY}, body))
    entry = {"base_url": server.base_url, "key_env": "LAB_API_KEY", "free": False}
    kernel.run(f"os.environ['LAB_API_KEY'] = {CANARY!r}\n%config Imagine.endpoints = {{'lab': {entry!r}}}")
    cell = kernel.run("%imagine_doctor lab")
    assert cell.error is None
    text = re.sub(r"\s+", " ", cell.caption)
    assert re.search(rf"{state} answer {status} to GET /models after \d+ ms: .*{re.escape(meaning)}", text)
    assert "ok key LAB_API_KEY (environment) ok host " in text
    assert ("no problem" in text) == (state == "ok")
    assert CANARY not in json.dumps(cell.outputs)
    assert [request.method for request in server.requests] == ["GET"]
    assert server.requests[0].headers["Authorization"] == f"Bearer {CANARY}"
    assert not home.exists()


def test_a_server_that_wants_a_key_of_which_nothing_is_known(kernel, serve):
    server = serve(lambda seen: (401, {}, {"error": {"message": "no key"}}))
    cell = kernel.run(f"%imagine_doctor {server.base_url}")
    text = re.sub(r"\s+", " ", cell.caption)
    assert re.search(r"problem answer 401 .*'key_env': 'MY_KEY'", text)
    assert "no problem" not in text


def test_wrong_settings_are_findings(kernel, serve):
    server = serve(lambda seen: (200, {}, LIST))
    kernel.run("%config Imagine.n = 99999\n%config Imagine.size = 'blue'")
    cell = kernel.run(f"%imagine_doctor {server.base_url}")
    assert cell.error is None
    assert len(re.findall("^problem +settings", cell.caption, re.MULTILINE)) == 2
    assert len(server.requests) == 1
    kernel.run("%config Imagine.max_calls = 'many'")
    cell = kernel.run(f"%imagine_doctor {server.base_url}")
    assert cell.error is None
    assert DOCTOR["wrong setting"] in cell.caption
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("setting", "meaning"),
    [
        ("%config Imagine.endpoints = {'lab': {'base_ulr': 'x'}}", "base_url"),
        ("%config Imagine.endpoint = 'azure'", "azure"),
        (
            "%config Imagine.endpoint = 'https://me:s3cret@gpu.example/v1?t=s3cret'",
            "gpu.example",
        ),
        (
            "os.environ['OPENAI_BASE_URL'] = 'https://me:s3cret@gpu.example/v1'",
            "OPENAI_BASE_URL",
        ),
        ("os.environ['IPYIMAGEGEN_BASE_URL'] = 'https://gpu.example/v1?t=s3cret'", "gpu.example"),
        ("%config Imagine.endpoint = 'opnai'", "openai"),
    ],
)
def test_an_endpoint_that_is_none_is_a_finding(kernel, setting, meaning):
    kernel.run(setting)
    cell = kernel.run("%imagine_doctor")
    assert cell.error is None
    assert meaning in re.sub(r"\s+", " ", cell.caption)
    assert "problem endpoint" in re.sub(r" +", " ", cell.caption)
    assert "ok store" in re.sub(r" +", " ", cell.caption)
    assert "s3cret" not in json.dumps(cell.outputs)


def test_a_line_that_is_wrong_is_refused(kernel):
    assert "'b'" in kernel.run("%imagine_doctor sketch b").error
    assert "--ofline" in kernel.run("%imagine_doctor --ofline").error
    cell = kernel.run(f"%imagine_doctor {CANARY}")
    assert cell.kind == "InvalidOption"
    assert CANARY not in json.dumps(cell.outputs)
    assert "Examples:" in kernel.run("%imagine_doctor --help").caption
    assert kernel.run("%imagine_doctor sketch --offline").error is None


def test_a_folder_that_was_deleted_stops_nothing(kernel, tmp_path):
    gone = tmp_path / "gone"
    kernel.run(f"os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})")
    cell = kernel.run("%imagine_doctor")
    drawn = kernel.run("%imagine --size 64x64 a fox")
    kernel.run(f"os.chdir({str(tmp_path)!r})")
    assert cell.error is None
    assert "no problem" in cell.caption
    assert drawn.error is None


# In Python


def test_the_value_is_its_text():
    report = default_studio().doctor()
    assert isinstance(report, tuple)
    assert repr(report) == str(report)
    assert [finding.name for finding in report][:2] == ["settings", "endpoint"]
    checked(report)


def test_without_ipython_and_in_a_terminal():
    code = (
        "import sys, ipyimagegen\nsys.modules['IPython'] = None\nprint(ipyimagegen.default_studio().doctor())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "no problem" in done.stdout
    assert not done.stderr


# The server


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [(hang, DOCTOR["no answer"]), (reset, DOCTOR["reset"]), (b"", DOCTOR["closed"])],
)
def test_a_server_without_an_answer(listen, monkeypatch, answer, meaning):
    monkeypatch.setattr(probing, "SERVER_SECONDS", 1.0)
    server = listen(answer)
    began = time.monotonic()
    findings = checked(studio_at(f"{server.origin}/v1", key_optional=True).doctor())
    assert time.monotonic() - began < 4
    assert (findings["answer"].state, findings["answer"].text) == (PROBLEM, f"none: {meaning}")
    assert findings["host"].state is OK
    assert (server.posts, len(server.seen)) == (0, 1)


def test_a_name_server_that_hangs(monkeypatch):
    monkeypatch.setattr(probing, "SERVER_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(6))
    began = time.monotonic()
    findings = checked(studio_at("http://gpu.example/v1", key_optional=True).doctor())
    assert time.monotonic() - began < 4
    assert (findings["host"].state, findings["host"].text) == (UNKNOWN, DOCTOR["too slow"])
    assert findings["store"].state is OK


def test_nobody_listens_and_nobody_has_the_name():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    findings = checked(studio_at(f"http://127.0.0.1:{port}/v1").doctor())
    assert findings["host"].state is PROBLEM
    assert DOCTOR["nobody listens"] in findings["host"].text
    findings = checked(studio_at("http://no-such-host.invalid/v1").doctor())
    assert DOCTOR["unknown name"] in findings["host"].text
    assert "answer" not in findings


def test_a_certificate_that_nobody_trusts(listen, tls, monkeypatch):
    server = listen(reply(LIST), tls)
    monkeypatch.setenv("LAB_API_KEY", CANARY)
    findings = checked(studio_at(f"{server.origin}/v1").doctor())
    assert findings["host"].state is PROBLEM
    assert "REQUESTS_CA_BUNDLE" in findings["host"].text
    assert server.seen == []


def test_a_certificate_that_is_trusted(listen, trusted):
    findings = checked(studio_at(f"{listen(reply(LIST), trusted).origin}/v1", key_optional=True).doctor())
    assert findings["host"].text == DOCTOR["trusted certificate"]


def test_a_redirect_is_told_and_not_followed(listen, monkeypatch):
    monkeypatch.setenv("LAB_API_KEY", CANARY)
    other = listen(reply(LIST))
    server = listen(reply("", "308 Permanent Redirect", f"Location: {other.origin}/v1/models?k={CANARY}"))
    findings = checked(studio_at(f"{server.origin}/v1").doctor())
    assert findings["answer"].state is PROBLEM
    assert f" {other.origin}/v1/models." in findings["answer"].text
    assert other.accepted == 0


@pytest.mark.parametrize(("hours", "meaning"), [(-1, "fast clock"), (1, "slow clock"), (-72, "fast clock")])
def test_a_clock_that_is_wrong(listen, hours, meaning):
    date = formatdate(time.time() + hours * 3600, usegmt=True)
    server = listen(reply(LIST, "200 OK", f"Date: {date}"))
    findings = checked(studio_at(f"{server.origin}/v1", key_optional=True).doctor())
    assert findings["clock"].state is WARNING
    span = "72 h" if hours == -72 else "60 min"
    assert findings["clock"].text.startswith(f"{span} {DOCTOR[meaning]}")


def test_a_clock_that_is_right(listen):
    server = listen(reply(LIST, "200 OK", f"Date: {formatdate(usegmt=True)}"))
    findings = checked(studio_at(f"{server.origin}/v1", key_optional=True).doctor())
    assert findings["clock"].text == DOCTOR["right clock"]


def test_a_proxy_that_refuses(listen, monkeypatch):
    proxy = listen(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:proxy-password@127.0.0.1:{proxy.port}")
    monkeypatch.setenv("LAB_API_KEY", CANARY)
    findings = checked(studio_at("https://gpu.example/v1").doctor())
    assert re.search(rf" http://127.0.0.1:{proxy.port}: .*407", findings["host"].text)
    assert CANARY not in repr(proxy.seen)


def test_no_proxy_before_this_machine_itself(listen, monkeypatch):
    proxy, server = listen(reply(LIST)), listen(reply(LIST))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    findings = checked(studio_at(f"{server.origin}/v1", key_optional=True).doctor())
    assert (findings["host"].state, findings["host"].text) == (OK, DOCTOR["reached"])
    assert (proxy.accepted, server.accepted) == (0, 1)


def test_offline_looks_at_this_machine_alone(listen, monkeypatch):
    proxy, server = listen(reply(LIST)), listen(reply(LIST))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    away, here = studio_at("http://gpu.example/v1"), studio_at(f"{server.origin}/v1")
    assert checked(away.doctor(offline=True))["host"].text == DOCTOR["offline"]
    assert checked(here.doctor(offline=True))["answer"].state is OK
    monkeypatch.setenv("IPYIMAGEGEN_OFFLINE", "1")
    assert checked(away.doctor())["host"].state is UNKNOWN
    assert (proxy.accepted, server.accepted) == (0, 1)


# The key


def test_a_key_that_is_missing(listen):
    server = listen(reply({"error": {"message": "no key"}}, "401 Unauthorized"))
    findings = checked(studio_at(f"{server.origin}/v1").doctor())
    assert findings["key"].state is PROBLEM
    assert "LAB_API_KEY" in findings["key"].text
    assert DOCTOR["refused without a key"] in findings["answer"].text


def test_where_a_key_comes_from(listen, tmp_path):
    server = listen(reply(LIST))
    (tmp_path / ".env").write_text(f"LAB_API_KEY={CANARY}\n")
    assert checked(studio_at(f"{server.origin}/v1").doctor())["key"].text == "LAB_API_KEY in .env"
    assert server.seen[0].headers["authorization"] == f"Bearer {CANARY}"
    (tmp_path / ".env").unlink()
    studio = studio_at(f"{server.origin}/v1")
    studio.keys.ask = lambda _question: CANARY
    studio.keys.obtain(studio.default_endpoint())
    studio.keys.ask = asking
    assert checked(studio.doctor())["key"].text == DOCTOR["typed key"]
    assert server.seen[1].headers["authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize("spoilt", [f"{CANARY}\n", f"{CANARY} x", f'"{CANARY}"', f"Bearer {CANARY}"])
def test_a_key_that_can_be_none_is_a_problem_and_is_not_sent(listen, monkeypatch, spoilt):
    server = listen(reply(LIST))
    monkeypatch.setenv("LAB_API_KEY", spoilt)
    findings = checked(studio_at(f"{server.origin}/v1").doctor())
    assert findings["key"].state is PROBLEM
    assert "LAB_API_KEY " in findings["key"].text
    assert "authorization" not in server.seen[0].headers


def test_a_key_does_not_travel_unencrypted(listen, monkeypatch):
    proxy = listen(reply(LIST))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("LAB_API_KEY", CANARY)
    findings = checked(studio_at("http://gpu.example/v1").doctor())
    assert findings["key"].state is PROBLEM
    assert "allow_http" in findings["key"].text
    findings = checked(studio_at("http://gpu.example/v1", allow_http=True).doctor())
    assert (findings["key"].state, findings["key"].text) == (
        WARNING,
        DOCTOR["key sent unencrypted"],
    )
    assert [CANARY in repr(request) for request in proxy.seen] == [False, True]


def test_why_an_endpoint_is_the_default(monkeypatch):
    def describe(**options):
        return checked(Studio(settings=Settings(options=options)).doctor(offline=True))["endpoint"].text

    assert describe().endswith(DOCTOR["default without a key"])
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    assert describe().endswith(DOCTOR["default with a key"])
    monkeypatch.setenv("IPYIMAGEGEN_ENDPOINT", "whatai")
    assert describe().endswith(DOCTOR["default by a variable"])
    assert describe(endpoint="xzbzq").endswith(DOCTOR["default as configured"])


def test_a_model_that_is_shut_down_is_told_before_it_is_paid_for():
    def look(**options):
        options = {"endpoint": "openai", **options}
        return checked(Studio(settings=Settings(options=options)).doctor(offline=True))

    finding = look(model="gpt-image-1")["model"]
    assert finding.state is WARNING
    assert "2026-10-23" in finding.text
    assert "model" not in look()


# The store


@pytest.fixture
def drawn(home):
    """A studio with a run in its store."""
    studio = Studio()
    studio.imagine("a fox", size="64x64")
    return studio


def newer(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "state", "meaning"),
    [
        (lambda path: None, OK, "1 run"),
        (lambda path: path.unlink(), OK, DOCTOR["no index"]),
        (lambda path: path.write_bytes(b"no database" * 999), WARNING, DOCTOR["damaged index"]),
        (newer, WARNING, DOCTOR["newer index"]),
    ],
)
def test_how_the_index_is_and_that_it_stays_so(drawn, home, spoil, state, meaning):
    spoil(home / "index.sqlite")
    before = everything(home)
    findings = checked(Studio().doctor())
    assert everything(home) == before
    assert findings["index"].state is state
    assert findings["index"].text.startswith(meaning)


def test_an_index_that_is_locked_holds_nobody_up(drawn, home):
    code = (
        "import sqlite3, sys\nconnection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE')\nprint('held', flush=True)\nsys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(home / "index.sqlite")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        began = time.monotonic()
        findings = checked(Studio().doctor())
        assert time.monotonic() - began < 4
        holder.stdin.close()
    assert (findings["index"].state, findings["store"].state) == (WARNING, OK)
    assert DOCTOR["locked index"] in findings["index"].text


def test_a_store_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    findings = checked(Studio(home=tmp_path / "file" / "home").doctor())
    assert findings["store"].state is PROBLEM
    assert "IPYIMAGEGEN_HOME" in findings["store"].text


def test_what_lies_about(drawn, home):
    (home / "quarantine").mkdir()
    (home / "quarantine" / "x.bin").write_bytes(bytes(3 << 20))
    (home / "index.damaged").touch()
    findings = checked(Studio().doctor())
    assert "3.0 MiB" in findings["unfinished"].text
    assert "index.damaged" in findings["index"].text


def test_an_index_of_another_program(drawn, home):
    index = home / "index.sqlite"
    index.unlink()
    with contextlib.closing(sqlite3.connect(index)) as base:
        base.execute("CREATE TABLE runs (km REAL)")
    findings = checked(Studio().doctor())
    assert findings["index"].state is WARNING
    assert DOCTOR["index of another program"] in findings["index"].text


def test_a_machine_that_is_thrown_away(monkeypatch, tmp_path):
    monkeypatch.delenv("IPYIMAGEGEN_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("COLAB_RELEASE_TAG", "r1")
    findings = checked(Studio().doctor())
    assert findings["store"].state is WARNING
    assert "/content/drive/" in findings["store"].text
    assert "Colab" in findings["python"].text


# What may be pasted


def test_no_user_is_named(monkeypatch, tmp_path):
    mine = tmp_path / "people" / "alice"
    mine.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(mine))
    monkeypatch.setenv("USER", "bob")
    for place, text in [
        (mine / "images", "~/images"),
        (tmp_path / "data" / "alice", f"{tmp_path}/data/USER"),
        (tmp_path / "bob" / "x", f"{tmp_path}/USER/x"),
        (tmp_path / "people" / "alice2", f"{tmp_path}/people/alice2"),
    ]:
        assert checked(Studio(home=place).doctor())["store"].text.startswith(f"{text} ")


def test_what_goes_wrong_inside_stops_nothing_and_tells_nothing(monkeypatch):
    def fail(*_):
        raise RuntimeError(CANARY)

    monkeypatch.setattr("ipyimagegen.store.location.describe_impermanence", fail)
    findings = checked(Studio().doctor())
    assert (findings["store"].state, findings["store"].text) == (UNKNOWN, DOCTOR["failed check"])
    assert findings["python"].state is OK


def test_a_key_in_an_address_is_not_shown(listen, monkeypatch):
    monkeypatch.setenv("OTHER_API_KEY", CANARY)
    server = listen(reply(LIST))
    settings = Settings(
        endpoints={"lab": {"base_url": f"{server.origin}/{CANARY}/v1", "key_env": "OTHER_API_KEY"}}
    )
    findings = checked(Studio("lab", settings=settings).doctor())
    assert "/[key]" in findings["endpoint"].text


def test_nothing_that_could_be_paid_is_ever_sent(serve, home):
    """Also after images were paid for: one question, free, and no more."""
    good = {"created": 1, "data": [{"b64_json": base64.b64encode(image_bytes()).decode()}]}
    server = serve(lambda seen: (200, {}, good if seen.method == "POST" else LIST))
    studio = studio_at(server.base_url, key_optional=True, free=False)
    studio.imagine("a fox")
    before = everything(home)
    checked(studio.doctor())
    assert [request.method for request in server.requests] == ["POST", "GET"]
    assert everything(home) == before
    assert isinstance(studio.doctor("sketch"), Report)
    assert len(server.requests) == 2


def test_what_records_leave_open_is_counted(serve, home):
    """A record cut short, an outcome that nobody knows, and one that a later run settled."""
    good = {"created": 1, "data": [{"b64_json": base64.b64encode(image_bytes()).decode()}]}
    replies = [(500, {}, b""), (500, {}, b""), (200, {}, good), (200, {}, good)]
    server = serve(lambda seen: replies.pop(0) if seen.method == "POST" else (200, {}, LIST))
    studio = studio_at(server.base_url, key_optional=True, free=False)
    assert checked(studio.doctor())["records"].state is OK
    for prompt, options in [("a fox", {}), ("a hen", {}), ("a hen", {"retry": True}), ("a cow", {})]:
        with contextlib.suppress(OutcomeUnknown):
            studio.imagine(prompt, **options)
    (damaged,) = (home / "records").glob("*/4.json")
    damaged.write_bytes(damaged.read_bytes()[:99])
    findings = checked(Studio("lab", settings=studio.settings).doctor())
    (unknown,) = (run for run in studio.store.runs() if run.request.prompt == "a fox")
    assert findings["records"].state is WARNING
    assert re.fullmatch(
        rf"1 {DOCTOR['damaged record']}; 1 {DOCTOR['unknown outcome']}: {unknown.id}",
        findings["records"].text,
    )
