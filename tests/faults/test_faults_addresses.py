"""Addresses that a server gives, and the key: who is asked, and what they get to see."""

import re
import socket
from base64 import b64encode

import pytest
from canary import KEY
from lab import Clock
from loopback import image_bytes
from sockets import items, reply

from ipyimagegen.core.run import Status

GOOD = image_bytes()
IMAGE = reply(GOOD, kind="image/png")
PUBLIC = "93.184.216.34"
PRIVATE = [
    "https://127.0.0.1:{}/x", "https://127.1:{}/x", "https://2130706433:{}/x", "https://0x7f.0.0.1:{}/x",
    "https://localhost:{}/x", "https://[::1]:{}/x", "https://[::ffff:127.0.0.1]:{}/x", "https://0.0.0.0:{}/x",
    "https://images.test@127.0.0.1:{}/x", "http://127.0.0.1:{}/x", "https://169.254.169.254/latest/meta-data",
    "http://169.254.169.254/latest/meta-data", "https://[fd00:ec2::254]/", "https://100.100.100.200/",
    "https://metadata.test/",
]  # fmt: skip


def urls(*addresses):
    return reply(
        {"data": [{"url": address} for address in addresses]}, "200 OK", "Set-Cookie: session=s3; Path=/"
    )


def moved(target, status="302 Found"):
    return reply("", status, f"Location: {target}", "Set-Cookie: hop=h4; Domain=images.test; Path=/")


class Internet:
    """A resolver of names, and a network that brings one public address to a port on loopback."""

    def __init__(self):
        self.names = {"metadata.test": ["169.254.169.254"]}
        self.port = None
        self._real = socket.getaddrinfo

    def __call__(self, host, port, *args, **kwargs):
        addresses = self.names.get(host)
        if addresses and isinstance(addresses[0], list):
            addresses = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        if addresses:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
        if host == PUBLIC:
            return self._real("127.0.0.1", self.port, *args, **kwargs)
        return self._real(host, port, *args, **kwargs)

    def has(self, name, server, *answers):
        """Let a name lead to the public address, or to these, one after the other."""
        self.names[name], self.port = list(answers) or [PUBLIC], server.port


@pytest.fixture
def internet(monkeypatch):
    made = Internet()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    return made


def netrc(lab, *hosts):
    lab.put(".netrc", "".join(f"machine {host} login who password Netrc-9kQ2vT7x\n" for host in hosts))
    lab.secrets.append("Netrc-9kQ2vT7x")


def test_37_addresses_of_this_machine_and_its_network(lab, trusted, internet):
    inside = lab.other(IMAGE, trusted)
    hostile = ["file:///etc/passwd", *(url.format(inside.port) for url in PRIVATE)]
    server = lab.serve(urls(*hostile))
    cell = lab.cell()
    lab.cell(re.search(r"%imagine_show \S+", cell.texts)[0])
    (run,) = lab.runs
    assert [image.url for image in run.images] == [None, *hostile[1:]]
    assert inside.accepted == 0
    assert {port for _, port in lab.connects} == {server.port}
    states = ["quarantined", *["url_pending"] * len(PRIVATE)]
    lab.check(Status.DONE, 1, "--response-format b64_json", raw=b"file:///etc/passwd", states=states, at=0)


def test_38_redirects_to_loopback(lab, trusted, internet):
    inside = lab.other(IMAGE, trusted)
    targets = [f"https://127.1:{inside.port}/x", f"http://127.0.0.1:{inside.port}/x", "file:///etc/passwd"]

    def hop(conn, seen):
        conn.sendall(moved(targets[int(seen.line.split()[1][1:])]))

    public, server = lab.other(hop, trusted), lab.serve([])
    internet.has("images.test", public)
    given = [f"{origin}/{k}" for origin in ("https://images.test", server.origin) for k in range(3)]
    server.answer = lambda conn, seen: conn.sendall(urls(*given)) if seen.body else hop(conn, seen)
    lab.cell("%imagine -n 6 a red fox")
    assert inside.accepted == 0
    assert [len(host.seen) for host in (public, server)] == [3, 4]
    lab.check(Status.DONE, 1, states=["url_pending"] * 6)


@pytest.mark.parametrize("answers", [([PUBLIC], ["127.0.0.1"]), ([PUBLIC, "127.0.0.1"],)])
def test_39_a_name_that_changes_its_mind(lab, trusted, internet, answers):
    """What was checked is what is connected to, at each try anew."""
    public, inside = lab.other(reply("", "503 Busy"), trusted), lab.other(IMAGE, trusted)
    internet.has("images.test", public, *answers)
    lab.wait_on(Clock())
    lab.serve(urls(f"https://images.test:{inside.port}/x"))
    lab.cell()
    assert (len(public.seen), inside.accepted) == (len(answers) - 1, 0)
    lab.check(Status.DONE, 1, states=["url_pending"])


def test_40_a_download_that_works_the_third_time(lab):
    clock, busy = Clock(), reply("", "503 Busy")
    server = lab.serve([])
    server.answer = [urls(f"{server.origin}/x.png"), busy, busy, IMAGE]
    lab.wait_on(clock)
    lab.cell()
    assert clock.waited == [0.5, 1.0]
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


def test_41_a_download_that_works_later(lab):
    no, server = reply("", "403 Forbidden"), lab.serve([])
    server.answer = [urls(f"{server.origin}/x.png"), no, no, no, no, IMAGE]  # each time with the key too
    cell = lab.cell()
    assert "403" in cell.texts
    assert "403" in lab.cell().texts
    assert [image.state for image in lab.runs[0].images] == ["url_pending"]
    assert len(lab.cell(re.search(r"%imagine_show \S+", cell.texts)[0]).images) == 1
    assert lab.cell().images
    lab.check(Status.DONE, 1, "403", delivered=[GOOD], states=["stored"], at=0)


@pytest.mark.parametrize("early", [b"<html>Being made</html>", b'{"status": "running"}', b"not yet"])
def test_41_a_download_that_is_text_at_first(lab, early):
    """The address stays, and no advice to pay again is given."""
    server = lab.serve([])
    server.answer = [urls(f"{server.origin}/x.png"), *[reply(early, kind="text/html")] * 2, IMAGE]
    cell = lab.cell()
    assert "--retry" not in cell.texts
    assert f"{server.origin}/x.png" in lab.cell(re.search(r"%imagine_show \S+", cell.texts)[0]).texts
    assert [image.state for image in lab.runs[0].images] == ["url_pending"]
    assert lab.cell().images
    lab.check(Status.DONE, 1, "text", delivered=[GOOD], states=["stored"], at=0)


def test_41_a_download_of_base64(lab):
    server = lab.serve([])
    server.answer = [urls(f"{server.origin}/x.png"), reply(b64encode(GOOD), kind="text/plain")]
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


def test_42_what_a_download_host_sees(lab, trusted, internet):
    public, server = lab.other([moved("/y"), IMAGE], trusted), lab.serve(urls("https://images.test/x"))
    internet.has("images.test", public)
    netrc(lab, "images.test", "127.0.0.1")
    lab.cell()
    assert [request.line for request in public.seen] == ["GET /x HTTP/1.1", "GET /y HTTP/1.1"]
    for seen in public.seen:
        assert set(seen.headers) == {"host", "user-agent", "accept", "accept-encoding"}
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


def test_43_a_redirected_post(lab):
    elsewhere = lab.other(IMAGE)
    there = f"{elsewhere.origin}/v1/images/generations"
    statuses = ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
    lab.serve([moved(f"{there}?key={KEY}", status) for status in statuses])
    for seed in range(5):
        lab.cell(f"%imagine --seed {seed} a red fox")
    assert elsewhere.accepted == 0
    lab.check([Status.UNKNOWN] * 5, 5, f"308.* {there}")


def test_44_a_netrc_entry_for_the_server(lab):
    server = lab.serve([urls("/x.png"), IMAGE, urls("/x.png"), IMAGE])
    netrc(lab, "127.0.0.1")
    lab.cell()
    lab.use(server.origin, key_env=[])
    lab.cell("%imagine a cat")
    sent = [request.headers.get("authorization") for request in server.seen]
    assert sent == [f"Bearer {KEY}", None, None, None]
    lab.check([Status.DONE] * 2, 2, delivered=[GOOD])


WRONG = ["{}\nX-Injected: yes", "{}\r\n", '"{}"', "'{}'", "{} {}", "{}\u200b", "ключ{}"]


def test_45_keys_that_cannot_be_one(lab, monkeypatch):
    lab.serve(IMAGE)
    for number, wrong in enumerate(WRONG):
        monkeypatch.setenv("LAB_KEY", wrong.format(KEY, KEY))
        assert "LAB_KEY" in lab.cell(f"%imagine --seed {number} a red fox").texts
    monkeypatch.delenv("LAB_KEY")
    lab.put(".env", f"LAB_KEY={KEY} {KEY}\n")
    assert "LAB_KEY in .env" in lab.cell().texts
    lab.put(".env", "")
    lab.studio.keys.ask = lambda _: f"{KEY} {KEY}"
    lab.cell()
    assert lab.servers[0].accepted == 0
    lab.check(None, 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_104_a_name_below_localhost_that_leads_elsewhere(lab, trusted, internet, scheme):
    """No key and no request goes there, whatever the scheme."""
    elsewhere = lab.other(IMAGE, trusted if scheme == "https" else None)
    internet.has("x.localhost", elsewhere)
    lab.use(f"{scheme}://x.localhost:{elsewhere.port}")
    lab.cell()
    assert elsewhere.accepted == 0
    lab.check(Status.NOT_SENT, 0, "x.localhost")


@pytest.mark.parametrize("known", [True, False])
def test_104_a_name_below_localhost_that_leads_here(lab, internet, known):
    """Also where the system does not know the name: RFC 6761 says where it leads."""
    server = lab.serve(reply({"data": [{"url": "/x.png"}]}))
    server.answer = [urls("/x.png"), IMAGE]
    if known:
        internet.names["x.localhost"] = ["127.0.0.1"]
    lab.use(f"http://x.localhost:{server.port}")
    lab.cell()
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
    lab.check(Status.DONE, 1, delivered=[GOOD])


def want_key(conn, seen):
    """Serve an image to those alone that have the key."""
    allowed = seen.headers.get("authorization") == f"Bearer {KEY}"
    conn.sendall(IMAGE if allowed else reply("", "401 Unauthorized"))


def test_71_a_url_that_wants_the_key_of_its_origin(lab):
    server = lab.serve([])
    server.answer = [urls("/v1/files/a/content"), want_key, want_key]
    lab.cell()
    first, second = server.seen[1:]
    assert "authorization" not in first.headers
    assert second.headers["authorization"] == f"Bearer {KEY}"
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


def test_71_no_key_after_a_redirect_from_elsewhere(lab, trusted, internet):
    """Nor for a URL that another server calls the endpoint's own."""
    server = lab.serve([], trusted)
    away = lab.other(moved(f"{server.origin}/secret"), trusted)
    internet.has("images.test", away)
    server.answer = [urls("/a"), moved("https://images.test/b"), reply("", "401 Unauthorized")]
    lab.cell()
    assert [seen.line.split()[1] for seen in server.seen[1:]] == ["/a", "/secret"]
    assert not any("authorization" in seen.headers for seen in server.seen[1:])
    lab.check(Status.DONE, 1, states=["url_pending"])


def test_71_no_key_for_another_port(lab):
    """The URL is shown, and how to get the image itself."""
    elsewhere = lab.other(want_key)
    server = lab.serve(urls(f"{elsewhere.origin}/generated/a.png?X=%7E"))
    cell = lab.cell()
    assert elsewhere.accepted == 0
    assert f"{elsewhere.origin}/generated/a.png?X=%7E" in cell.texts
    shown = lab.cell(re.search(r"%imagine_show \S+", cell.texts)[0])
    assert f"{elsewhere.origin}/generated/a.png?X=%7E" in shown.texts
    server.answer = reply(items(GOOD))
    lab.cell("%imagine --response-format b64_json --new a red fox")
    lab.check([Status.DONE] * 2, 2, "--response-format b64_json --new", delivered=[GOOD], images=0, at=0)


def test_71_http_at_the_servers_host_is_asked_as_https(lab, trusted):
    """A server behind a proxy that adds TLS does not know that it has it."""
    server = lab.serve([], trusted)
    server.answer = [urls(f"http://127.0.0.1:{server.port}/a.png"), IMAGE]
    lab.cell()
    assert server.seen[1].line == "GET /a.png HTTP/1.1"
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


@pytest.mark.parametrize("own", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_71_another_name_of_the_same_server(lab, own, host):
    """It is asked at the address that the user gave, and gets its key there."""
    server = lab.serve([])
    server.answer = [urls(f"http://{host}:{server.port}/x.png"), want_key, want_key]
    lab.use(f"http://{own}:{server.port}")
    lab.cell()
    assert {seen.headers["host"] for seen in server.seen} == {f"{own}:{server.port}"}
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


SPELLED = [
    "/p?s=a%2Fb%3D%3D&x=%7Eabc",
    "/a%7e%2f+b/../c//d?x=%c3%a9&y=~",
    "/p?",
    "/p;v=1?a=b?c=/d&&",
    "/p?q=a'b(c)*",
]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("spelled", SPELLED)
def test_72_a_url_is_requested_as_it_is_given(lab, spelled, relative):
    server = lab.serve([])
    origin = "" if relative else server.origin
    server.answer = [urls(origin + spelled), moved(origin + spelled), IMAGE]
    lab.cell()
    assert [seen.line for seen in server.seen[1:]] == [f"GET {spelled} HTTP/1.1"] * 2
    assert lab.runs[0].images[0].url == server.origin + spelled
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


def test_72_through_a_proxy_too(lab, monkeypatch):
    """A proxy gets whole URLs where it does not pass TLS on."""
    proxy = lab.other([reply(items(GOOD))])
    monkeypatch.setenv("HTTP_PROXY", proxy.origin)
    lab.use("http://gpu.test", key_env=[], query={"x": "a"})
    lab.cell()
    assert proxy.seen[0].line == "POST http://gpu.test/v1/images/generations?x=a HTTP/1.1"
    lab.check(Status.DONE, 0, delivered=[GOOD])


def test_72_an_ampersand_that_is_escaped_as_html(lab):
    server = lab.serve([])
    server.answer = [urls(f"{server.origin}/p?a=1&amp;b=2&amp;amp;c"), IMAGE]
    lab.cell()
    assert server.seen[1].line == "GET /p?a=1&b=2&amp;c HTTP/1.1"
    lab.check(Status.DONE, 1, delivered=[GOOD])


@pytest.mark.parametrize("status", ["404 Not Found", "425 Too Early"])
def test_72_a_url_that_is_not_there_yet(lab, status):
    clock, none = Clock(), reply("", status)
    lab.limit(idle=60, whole=60)
    server = lab.serve([])
    server.answer = [urls(f"{server.origin}/x.png"), *[none] * 9, IMAGE]
    lab.wait_on(clock)
    lab.cell()
    assert sum(clock.waited) <= 30
    lab.check(Status.DONE, 1, delivered=[GOOD], states=["stored"])


def test_72_a_url_that_is_never_there(lab):
    """It is waited for once, also where there are several; later looks do not wait."""
    clock = Clock()
    lab.limit(idle=60, whole=60)
    server = lab.serve([])
    server.answer = [urls("/a", "/b", "/c"), reply("", "404 Not Found")]
    lab.wait_on(clock)
    cell = lab.cell("%imagine -n 3 a red fox")
    assert 28 <= sum(clock.waited) <= 32
    before = len(server.seen)
    lab.cell(re.search(r"%imagine_show \S+", cell.texts)[0])
    assert len(server.seen) == before + 3
    lab.check(Status.DONE, 1, "404", states=["url_pending"] * 3, at=0)
