"""Records of strangers: a store that was handed over, edited, or made to do harm."""

import contextlib
import hashlib
import json
from dataclasses import replace

import pytest
from lab import Shell
from loopback import image_bytes
from raising import raising
from sockets import reply
from traitlets.config import Config

import ipyimagegen
from ipyimagegen import ImagineError, InvalidOption, Settings, Studio, default_studio
from ipyimagegen.core.run import ImageState
from ipyimagegen.core.user_input import from_call

KEY = "sk-lab-0123456789abcdef"
IMAGE = image_bytes()
STRANGER = "https://evil.example/v1"


@pytest.fixture(autouse=True)
def _one_try(monkeypatch):
    monkeypatch.setattr("ipyimagegen.client.downloads.TRIES", 1)


@pytest.fixture
def shell(home):
    """Return a shell with the extension on the test's store."""
    Shell.clear_instance()
    made = Shell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    ipyimagegen._DEFAULT[:] = [Studio(home=home)]
    ipyimagegen.load_ipython_extension(made)
    made.run_cell("from ipyimagegen import history")
    yield made
    ipyimagegen._DEFAULT.clear()
    made.restore_sys_module_state()
    Shell.clear_instance()


@pytest.fixture
def handed(home):
    """A store with one result of sketch; return what writes a stranger's record into it."""
    studio = Studio(home=home, environ={})
    mine = studio.imagine("a fox", endpoint="sketch", seed=7, n=2)
    (path,) = home.glob("records/*/1.json")
    record = json.loads(path.read_text())
    record["session"] = "1120-evil"
    folder = home / "records" / "1120-evil"
    folder.mkdir()

    def write(change=None, **parts):
        made = json.loads(json.dumps(record))
        for name, value in parts.items():
            made[name] = {**made.get(name, {}), **value} if isinstance(value, dict) else value
        if change:
            change(made)
        (folder / "1.json").write_text(json.dumps(made))
        for index in home.glob("index.sqlite*"):
            index.unlink()
        return "1120-evil/1"

    write.mine, write.record = mine, record
    return write


def studio_with(home, server=None, **entry):
    """Return a new studio on the store that knows the server as `lab`."""
    own = {"lab": {"base_url": f"{server.origin}/v1", "key_env": "LAB_KEY", **entry}} if server else {}
    return Studio(home=home, environ={"LAB_KEY": KEY}, settings=Settings(endpoints=own))


def pending(*urls):
    return [{"index": k, "state": "url_pending", "url": url} for k, url in enumerate(urls, start=1)]


# Requests that the user did not configure


@pytest.mark.parametrize("base_url", ["{}/v1", "{}/other/v1", "{}", "http://localhost:{port}/v1"])
def test_urls_at_a_server_that_only_the_record_names(handed, home, start, network, base_url):
    server, configured = start(reply(IMAGE, kind="image/png")), start(reply(IMAGE, kind="image/png"))
    server_url = base_url.format(server.origin, port=server.port)
    urls = [f"{server.origin}/x", "/etc/passwd", "file:///etc/passwd", f"http://localhost:{server.port}/x"]
    id_ = handed(request={"base_url": server_url, "endpoint": "lab"}, images=pending(*urls))
    studio = studio_with(home, configured)
    run = studio.fetch(studio.find(id_)[0])
    assert {image.state for image in run.images} == {ImageState.URL_PENDING}
    assert (server.accepted, network[0]) == (0, [])


def test_urls_at_a_configured_server_are_fetched(handed, home, start, network):
    server = start(reply(IMAGE, kind="image/png"))
    id_ = handed(
        request={"base_url": f"{server.origin}/v1", "endpoint": "x"}, images=pending(f"{server.origin}/x")
    )
    studio = studio_with(home, server)
    assert [image.state for image in studio.fetch(studio.find(id_)[0]).images] == [ImageState.STORED]


SPELLINGS = [
    STRANGER, "http://127.0.0.1:{port}/v1", "http://127.0.0.1:{port}/v1/", "127.0.0.1:{port}", "evil", "//x",
    "HTTP://127.0.0.1:{port}/v1", "http://u:p@127.0.0.1:{port}/v1", "ftp://x/v1", "", "https://[", "\ud800",
    "http://127.0.0.1:99999999/v1", "http://lab.localhost:{port}/v1",
]  # fmt: skip


@pytest.mark.parametrize("base_url", SPELLINGS)
@pytest.mark.parametrize("dialect", ["openai", "azure", "no-dialect"])
def test_a_rerun_sends_nothing_to_a_server_that_only_the_record_names(
    handed, home, start, network, base_url, dialect
):
    server, configured = start(reply({"data": []})), start(reply({"data": []}))
    for name in ("lab", "openai", "stranger"):
        asked = {"base_url": base_url.format(port=server.port), "endpoint": name, "dialect": dialect}
        studio = studio_with(home, configured)
        run = studio.find(handed(request=asked))[0]
        for options in ({}, {"seed": 9}, {"retry": True}):
            with pytest.raises(ImagineError):
                studio.rerun(run, **options)
        with pytest.raises(ImagineError):
            studio.edit(run, studio.generation(run)[0], "a hat", {})
    assert (server.accepted, configured.accepted, network[0]) == (0, 0, [])


def test_a_rerun_at_a_server_that_is_named_takes_no_key_along(handed, home, start, network):
    server = start(reply({"data": [{"b64_json": "AAAA"}]}))
    studio = studio_with(home, start(reply({"data": []})))
    run = studio.find(handed(request={"base_url": f"{server.origin}/v1", "endpoint": "lab"}))[0]
    with raising(InvalidOption, "endpoint", f"{server.origin}/v1"):
        studio.rerun(run)
    with contextlib.suppress(ImagineError):
        studio.rerun(run, endpoint=f"{server.origin}/v1")
    assert server.posts == 1
    assert KEY.encode() not in server.received


def test_a_stored_result_of_a_stranger_answers_without_a_call(handed, home, network):
    """An edit or a changed rerun that the store already holds needs no server."""
    (image,) = [image for image in handed.record["images"] if image["index"] == 1]
    handed(request={"base_url": STRANGER, "endpoint": "gpu"}, images=[image])
    studio = Studio(home=home, environ={})
    run = studio.find("1120-evil/1")[0]
    studio.store.update(run.replace(identity=run.request.identity))
    again = studio.carry_out(
        studio.plan(replace(studio.again(run, _typed(run)), options={"seed": 7, "n": 2}))
    )
    assert again.reused
    assert network == ([], [])


def _typed(run):
    return from_call(run.request.prompt, {})


def test_a_record_that_lies_about_its_identity_answers_nothing(handed, home, start, network):
    lab = start(reply({"data": [{"b64_json": "AAAA"}]}))
    studio = studio_with(home, lab, free=False)
    plan = studio.plan(replace(_typed(handed.mine.run), prompt="a cat", options={"endpoint": "lab"}))
    handed(identity=plan.calls[0].request.identity)
    assert studio.plan(replace(_typed(handed.mine.run), prompt="a cat", options={"endpoint": "lab"})).to_send


# Values that no record has


def values():
    nested = 1
    for _ in range(500):
        nested = [nested]
    return [
        None, -1, 10**400, 1e308, float("nan"), "", "\ud800\x00\x1b[31m", [[1]], {"\ud800": {}}, nested,
        "../../x", 2**63,
    ]  # fmt: skip


def places(node, at=()):
    yield at
    members = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, member in members:
        yield from places(member, (*at, name))


def with_value(record, at, value):
    *above, last = at
    for name in above:
        record = record[name]
    record[last] = value


WHOLE = {
    "mismatches": [{"subject": "size", "asked": "a", "got": "b"}],
    "cost": {
        "amount": 0.1,
        "amount_max": 0.2,
        "currency": "USD",
        "basis": "table",
        "source": "s",
        "date": "d",
    },
    "error": {"message": "m", "code": "c", "status": 500},
    "response": {"usage": {"input_tokens": 1}, "errors": ["x"]},
    "rerun_of": "1120-evil/1",
    "raw": "ab" * 32,
}
COMMANDS = [
    "%imagine_show {}", "%imagine_history --all", "%imagine_rerun {} --dry-run --seed 8 --endpoint sketch",
    "%imagine_compare {} 1", "history['{}'].created, history.search('fox'), repr(history['{}'].cost)",
]  # fmt: skip
LAST = [
    "%imagine_rerun {} --dry-run", "%imagine --dry-run --endpoint sketch --image @{}.1 a hat",
    "%imagine_cost", "%imagine_show -1", "%imagine_forget {}",
]  # fmt: skip
OWN_KINDS = ("request", "images", "created", "cost")  # what most commands look at


@pytest.mark.parametrize("number", range(len(values())))
def test_no_value_at_any_place_raises_what_is_not_ours(handed, home, shell, network, number):
    """Each place gets every third value, which is each kind of them."""
    value = values()[number]
    studio = default_studio()
    studio.imagine("a fox", endpoint="sketch", seed=7, n=2)
    input_ = {"sha256": handed.record["images"][0]["sha256"], "mime": "image/png", "width": 9, "height": 9}
    request = {"inputs": [input_], "mask": input_, "options": {"n": 2, "seed": 7}, "extra": {"key": [1]}}
    handed(request=request, images=[*handed.record["images"], *pending(STRANGER)], **WHOLE)
    path = home / "records" / "1120-evil" / "1.json"
    record, wrong = json.loads(path.read_text()), []
    for at in list(places(record))[1 + number % 3 :: 3]:
        made = json.loads(json.dumps(record))
        with_value(made, at, value)
        path.write_text(json.dumps(made))
        for command in COMMANDS + LAST * (at[0] in OWN_KINDS):
            error = shell.run_cell(command.replace("{}", "1120-evil/1")).error_in_exec
            if error is not None and not isinstance(error, ImagineError):
                wrong.append((at, command, repr(error)))
    assert wrong == []
    assert studio.imagine("a fox", endpoint="sketch", seed=7, n=2).reused
    assert set(network[0]) <= {"evil.example"}


HASHES = [
    "../../outside",
    "/etc/passwd",
    "..",
    "",
    "*",
    "0" * 63,
    "0" * 64 + "/../x",
    "A" * 64,
    "ab" * 32,
    "\ud800",
]


@pytest.mark.parametrize("sha256", HASHES)
def test_hashes_that_lead_out_of_the_store(handed, home, network, sha256):
    outside = home.parent / "outside"
    outside.write_bytes(IMAGE)
    image = {"index": 1, "state": "stored", "sha256": sha256, "mime": "../../x", "note": ""}
    id_ = handed(images=[image], raw=sha256)
    studio = Studio(home=home, environ={})
    assert [image.path for image in studio.generation(studio.find(id_)[0])] == []
    for command in (
        lambda: studio.imagine("a hat", image=f"@{id_}.1", endpoint="sketch"),
        lambda: studio.history.compare(id_, "1"),
    ):
        with contextlib.suppress(ImagineError):
            command()
    assert studio.history.forget(id_)
    assert outside.read_bytes() == IMAGE
    assert {path.stem for path in home.glob("images/*/*")} == {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in home.glob("images/*/*")
    }


def test_a_file_that_is_not_what_its_record_says_is_not_shown(handed, home):
    """Its type comes from its bytes; a file whose bytes have another hash is damaged."""
    image = dict(handed.record["images"][0], mime="text/html")
    run = Studio(home=home, environ={}).find(handed(images=[image]))[0]
    (path,) = home.glob(f"images/*/{image['sha256']}*")
    path.write_bytes(b"<script>alert(1)</script>")
    studio = Studio(home=home, environ={})
    assert [image.state for image in studio.ledger.as_it_is(run).images] == [ImageState.DAMAGED]
