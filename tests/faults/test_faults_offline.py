"""Offline, nothing but this machine is contacted, and no name is looked up."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from loopback import image_bytes
from raising import raising
from sockets import reply

from ipyimagegen import InvalidInput, Settings, Studio
from ipyimagegen.core.errors import CallError, InvalidOption
from ipyimagegen.core.run import ImageState

IMAGE = reply(image_bytes(), kind="image/png")
AWAY = [
    "https://images.example/1.png", "https://127.0.0.1.images.example/1.png", "https://localhost.example/1.png",
    "https://93.184.216.34/1.png", "https://[2606:2800:220:1::1]/1.png", "https://x.localhost/1.png",
]  # fmt: skip


def studio_at(server, home, environ=None, host="127.0.0.1"):
    entry = {"base_url": f"http://{host}:{server.port}/v1", "free": False}
    return Studio("lab", home, settings=Settings(endpoints={"lab": entry}), environ=environ or {})


def urls(*addresses):
    return reply({"data": [{"url": address} for address in addresses]})


def ask(studio, **options):
    with pytest.raises(CallError):
        studio.imagine("a fox", **options)


OFFLINE = [({}, {"offline": True}), ({"IPYIMAGEGEN_OFFLINE": "1"}, {})]


@pytest.mark.parametrize("url", AWAY)
@pytest.mark.parametrize(("environ", "options"), OFFLINE)
def test_urls_of_a_response(start, home, network, url, environ, options):
    studio = studio_at(start(urls(url)), home, environ)
    ask(studio, **options)
    (image,) = studio.find("1")[0].images
    assert (image.state, image.url) == (ImageState.URL_PENDING, url)
    assert network[0] == []
    assert set(network[1]) <= {"127.0.0.1"}


def test_what_was_left_is_fetched_once_it_may_be(start, home, network):
    server = start(
        lambda conn, seen: conn.sendall(urls(f"{server.origin}/x") if seen.body else answers.pop(0))
    )
    answers = [reply("", "403 Forbidden"), IMAGE]
    studio = studio_at(server, home)
    ask(studio)
    assert len(studio.imagine("a fox", offline=True)) == 1  # it is on this machine
    assert network[0] == []


@pytest.mark.parametrize(
    "target", ["https://images.example/y", "http://images.example/y", "//images.example/y"]
)
def test_redirects_of_downloads(start, home, network, target):
    moved = reply("", "302 Found", f"Location: {target}")
    server = start(lambda conn, seen: conn.sendall(urls(f"{server.origin}/x") if seen.body else moved))
    ask(studio_at(server, home), offline=True)
    assert network[0] == []


def test_a_redirected_input(start, home, network):
    server = start(reply("", "302 Found", "Location: https://images.example/y"))
    with raising(InvalidInput, "images.example"):
        studio_at(server, home).imagine("a hat", image=f"{server.origin}/x.png", offline=True)
    assert network[0] == []


@pytest.mark.parametrize("url", AWAY)
def test_inputs_by_url(start, home, network, url):
    server = start(IMAGE)
    with pytest.raises(InvalidInput):
        studio_at(server, home).imagine("a hat", image=url, offline=True)
    assert network[0] == []
    assert server.posts == 0


def test_a_look_at_what_is_pending(start, home, network):
    studio = studio_at(start(urls("https://images.example/1.png")), home, {"IPYIMAGEGEN_OFFLINE": "1"})
    ask(studio)
    before = {path: path.read_bytes() for path in home.rglob("*.json")}
    (image,) = studio.fetch(studio.find("1")[0]).images
    assert "images.example" in image.note
    assert {path: path.read_bytes() for path in home.rglob("*.json")} == before
    assert network[0] == []


def test_a_caption_says_why_an_image_is_missing(start, home, network):
    both = json.loads(urls("https://images.example/1.png").partition(b"\r\n\r\n")[2])["data"]
    server = start(lambda conn, seen: conn.sendall(answer if seen.body else IMAGE))
    answer = reply({"data": [{"url": f"{server.origin}/x.png"}, *both]})
    made = studio_at(server, home).imagine("a fox", n=2, offline=True)
    assert "images.example" in made.caption
    assert network[0] == []


@pytest.mark.parametrize(
    "host", ["localhost", "lab.localhost", "a.b.localhost", "127.1", "0x7f.1", "LOCALHOST."]
)
def test_every_name_of_this_machine_works_without_a_look_up(start, home, network, host):
    server = start(lambda conn, seen: conn.sendall(urls("/x.png") if seen.body else IMAGE))
    assert len(studio_at(server, home, host=host).imagine("a fox", offline=True)) == 1
    assert network[0] == []


@pytest.mark.parametrize(
    "host", ["gpu.example", "localhost.example", "127.0.0.1.nip.example", "0.0.0.0", "10.0.0.1"]
)
def test_other_servers_are_not_asked(start, home, network, host):
    server = start(IMAGE)
    with raising(InvalidOption, "offline"):
        studio_at(server, home, host=host).imagine("a fox", offline=True)
    assert network == ([], [])


def test_the_doctor(start, home, network):
    server = start(reply({"data": []}))
    environ = {"IPYIMAGEGEN_OFFLINE": "1"}
    for host in ("gpu.example", "lab.localhost", "127.0.0.1"):
        studio_at(server, home, environ, host=host).doctor()
    assert len(server.seen) == 2
    assert network[0] == []


@pytest.mark.parametrize("environ", [{}, {"IPYIMAGEGEN_OFFLINE": "1"}])
def test_calls_that_an_executor_runs(start, home, network, monkeypatch, environ):
    """What runs elsewhere is offline when the caller or that place is."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    server = start(urls("https://images.example/1.png"))
    studio = studio_at(server, home, host="lab.localhost")
    with ThreadPoolExecutor(1) as pool:
        ask(studio, executor=pool, offline=True)
    assert server.posts == 1
    assert network[0] == []


def test_a_response_left_by_a_killed_kernel(start, home, network):
    server = start(urls("https://images.example/1.png"))
    studio = studio_at(server, home)
    ask(studio, offline=True)
    run = studio.find("1")[0]
    studio.store.update(run.replace(status="pending", images=()))
    studio.store.spool(run).write_bytes(urls("https://images.example/1.png").partition(b"\r\n\r\n")[2])
    later = studio_at(server, home, {"IPYIMAGEGEN_OFFLINE": "1"})
    taken = later.find(run.id)[0]
    assert [image.state for image in taken.images] == [ImageState.URL_PENDING]
    ask(later)
    assert server.posts == 1
    assert network[0] == []
