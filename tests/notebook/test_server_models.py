"""`%imagine_models --server`: what a server lists itself, in a real kernel."""

import html
import re
import time

import pytest
from loopback import CANARY
from raising import raising
from sockets import hang, reply
from words import MESSAGES

from ipyimagegen import Settings, Studio
from ipyimagegen.core.errors import InvalidOption, NotSent, RequestRefused
from ipyimagegen.session import probing

LISTED = ["gpt-5", "gpt-image-1", "whisper-1", "gpt-image-2", "my-diffusion"]
HOSTILE = f"<img src=x onerror=alert(1)> {CANARY} \x1b[31m\u202e|`$x$"


def list_of(*names):
    return {"object": "list", "data": [{"id": name, "owned_by": "them"} for name in names]}


@pytest.fixture
def lab(kernel, serve):
    """Return a function that makes a server with a list the endpoint `lab`."""

    def make(body, status=200):
        server = serve(lambda seen: (status, {}, body))
        entry = {"base_url": server.base_url, "key_env": "LAB_API_KEY", "free": False}
        kernel.run(
            f"os.environ['LAB_API_KEY'] = {CANARY!r}\n%config Imagine.endpoints = {{'lab': {entry!r}}}"
        )
        return server

    return make


def show(kernel, line):
    cell = kernel.run(f"%imagine_models {line}")
    assert cell.error is None, cell.error
    (output,) = cell.outputs
    return output["data"]


@pytest.mark.parametrize("line", ["--server lab", "lab --server", "--server=lab"])
def test_what_looks_like_an_image_model_comes_first(kernel, lab, line):
    server = lab(list_of(*LISTED))
    data = show(kernel, line)
    rows = [row.split()[0] for row in data["text/plain"].splitlines()]
    assert rows[1:6] == ["gpt-image-1", "gpt-image-2", "my-diffusion", "gpt-5", "whisper-1"]
    assert re.search(r"gpt-image-2 +yes +gpt-image-2 +them", data["text/plain"])
    assert [request.method for request in server.requests] == ["GET"]
    assert server.requests[0].headers["Authorization"] == f"Bearer {CANARY}"
    cells = re.findall(r"<td[^>]*>(.*?)</td>", data["text/html"])
    assert cells[0::4] == rows[1:6]
    assert set(data) == {"text/plain", "text/html"}


def test_a_long_list_is_cut_with_a_count(kernel, lab):
    lab(list_of(*(f"m{number}" for number in range(3000))))
    data = show(kernel, "--server lab")
    assert len(data["text/plain"].splitlines()) == 43
    assert "3,000" in data["text/plain"]
    assert "2,960" in data["text/plain"]
    assert "%imagine_models --server lab -l 3000" in html.unescape(data["text/html"])
    assert len(show(kernel, "--server lab -l 3000")["text/plain"].splitlines()) == 3002
    assert "'x'" in kernel.run("%imagine_models --server lab -l x").error


def test_names_are_inert_and_without_keys(kernel, lab):
    lab(list_of(HOSTILE))
    data = show(kernel, "--server lab")
    for text in data.values():
        assert CANARY not in text
        assert not set("\x1b\u202e") & set(text)
    assert "<img" not in data["text/html"]
    assert "&lt;img" in data["text/html"]


def test_the_list_of_sketch_and_of_the_default(kernel):
    assert "sketch" in show(kernel, "--server sketch")["text/plain"]
    assert "sketch" in show(kernel, "--server")["text/plain"]
    assert "'openai'" in kernel.run("%imagine_models --server sketch openai").error
    assert "openai" in kernel.run("%imagine_models --server opnai").error


def studio_at(base_url, **entry):
    return Studio("lab", settings=Settings(endpoints={"lab": {"base_url": base_url, **entry}}))


REFUSALS = [
    (401, {"error": {"message": f"bad {CANARY}"}}, "wrong key"),
    (403, {"error": {"message": "not from here"}}, "access refused"),
    (403, {"error": {"code": "unsupported_country_region_territory", "message": "no"}}, "wrong country"),
    (403, b"<html><title>Just a moment...</title></html>", "firewall"),
    (404, {"detail": "Not Found"}, "no list of models"),
    (405, b"", "no list of models"),
    (500, b"", "server error"),
    (200, b"<html><title>Welcome</title></html>", "web page"),
    (200, b"hello", "text"),
    (200, {"status": "ok"}, "JSON without a list"),
    (200, {"success": False, "message": "bad token"}, "refused with 200"),
]


@pytest.mark.parametrize(("status", "body", "words"), REFUSALS)
def test_a_refusal_has_words_of_its_own(serve, monkeypatch, status, body, words):
    monkeypatch.setenv("LAB_API_KEY", CANARY)
    server = serve(lambda seen: (status, {}, body))
    with raising(RequestRefused, "lab", status, billed=False, status=status) as caught:
        studio_at(server.base_url, key_env="LAB_API_KEY").list_models()
    assert MESSAGES["doctor"][words] in str(caught.value)
    assert CANARY not in str(caught.value)
    assert [request.method for request in server.requests] == ["GET"]


def test_no_answer_in_time_and_nobody_there(start, monkeypatch):
    monkeypatch.setattr(probing, "SERVER_SECONDS", 0.5)
    began = time.monotonic()
    with raising(NotSent, "lab", billed=False):
        studio_at(f"{start(hang).origin}/v1").list_models()
    assert time.monotonic() - began < 10
    with raising(NotSent, "127.0.0.1:9"):
        Studio("http://127.0.0.1:9/v1").list_models()


def test_offline_asks_this_machine_alone(start, monkeypatch):
    monkeypatch.setenv("IPYIMAGEGEN_OFFLINE", "1")
    with raising(InvalidOption, "openai"):
        Studio().list_models("openai")
    _lab, (model,) = studio_at(start(reply(list_of("m"))).origin).list_models()
    assert model.name == "m"
