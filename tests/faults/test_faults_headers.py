"""Headers of the user's own: sent to their server alone, and their secret values shown nowhere."""

import json

import pytest
from canary import KEY
from loopback import image_bytes
from sockets import items, reply

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.run import Status

GOOD = image_bytes()
SECRET = "Tq8vJx3nXq0StC5zId9Me4hOg"
HEADERS = {"OpenAI-Project": "p1", "X-Auth": {"env": "LAB_AUTH"}}


@pytest.fixture
def auth(lab, monkeypatch):
    """Set the secret, and look for it in all that is kept."""
    monkeypatch.setenv("LAB_AUTH", SECRET)
    lab.secrets.append(SECRET)
    return SECRET


def test_87_headers_go_to_their_server_alone(lab, auth):
    elsewhere = lab.other(reply(GOOD, kind="image/png"))
    server = lab.serve([], headers=HEADERS)
    server.answer = [
        reply({"data": [{"url": "/x.png"}, {"url": f"{elsewhere.origin}/x.png"}]}),
        reply(GOOD, kind="image/png"),
        reply("", "302 Found", f"Location: {elsewhere.origin}/v1/images/generations"),
    ]
    lab.cell("%imagine -n 2 a red fox")
    lab.cell("%imagine an owl")
    posted, fetched, moved = (seen.headers for seen in server.seen)
    for headers in (posted, moved):
        assert (headers["openai-project"], headers["x-auth"]) == ("p1", SECRET)
        assert headers["authorization"] == f"Bearer {KEY}"
    assert not {"openai-project", "x-auth", "authorization"} & fetched.keys()
    assert elsewhere.accepted == 0
    lab.check([Status.DONE, Status.UNKNOWN], 2, delivered=[GOOD])


@pytest.mark.parametrize("value", [SECRET, f"Bearer {SECRET}", f"Basic {SECRET}"])
def test_87_authorization_takes_the_place_of_the_key(lab, auth, monkeypatch, value):
    """Also where no key is set."""
    monkeypatch.setenv("LAB_AUTH", value)
    server = lab.serve(reply(items(GOOD)), headers={"authorization": {"env": "LAB_AUTH"}})
    lab.cell()
    monkeypatch.delenv("LAB_KEY")
    lab.cell("%imagine an owl")
    assert [seen.headers["authorization"] for seen in server.seen] == [value, value]
    lab.check([Status.DONE] * 2, 2, delivered=[GOOD])


@pytest.mark.parametrize("value", [SECRET, f"Bearer {SECRET}"])
def test_88_a_secret_header_that_a_server_echoes(lab, auth, monkeypatch, value):
    monkeypatch.setenv("LAB_AUTH", value)
    echoed = {"error": {"message": f"Wrong: {SECRET} {SECRET[1:]} {json.dumps(SECRET)}", "code": SECRET}}
    image = {**items(GOOD), "id": SECRET, "model": SECRET}
    lab.serve([reply(echoed, "401 Unauthorized", f"X-Request-Id: {SECRET}"), reply(image)], headers=HEADERS)
    lab.cell()
    with pytest.raises(InvalidOption):
        lab.studio.imagine(f"a fox named {SECRET}")
    lab.cell("%imagine an owl")
    for magic in ("%imagine_show -1", "%imagine_endpoints", "%imagine_doctor"):
        lab.cell(magic)
    for cell in lab.cells[-2:]:
        assert "OpenAI-Project, X-Auth (LAB_AUTH)" in cell.texts + cell.printed
    lab.check([Status.REFUSED, Status.DONE], 2, delivered=[GOOD], images=0)


WRONG = ["", " ", "a\nb", "a\r\nX-Injected: yes", "schlüssel", "\udcff\udcfe", "a\x00b"]


@pytest.mark.parametrize("wrong", WRONG[:-1])
def test_95_a_header_without_a_value_that_can_be_sent(lab, monkeypatch, wrong):
    server = lab.serve(reply(items(GOOD)), headers=HEADERS)
    monkeypatch.setenv("LAB_AUTH", wrong)
    text = lab.cell().texts
    assert "X-Auth" in text
    assert wrong.strip() == "" or wrong not in text
    monkeypatch.delenv("LAB_AUTH")
    lab.cell()
    assert server.accepted == 0
    lab.check(None, 0, "LAB_AUTH")


NAMES = [
    "Host",
    "content-type",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "idempotency-key",
    "a b",
    "a:b",
]


@pytest.mark.parametrize("name", NAMES)
def test_87_headers_that_are_not_the_users(lab, name):
    server = lab.serve(reply(items(GOOD)), headers={name: "x"})
    assert "headers" in lab.cell().texts
    assert server.accepted == 0
    lab.cells.clear()
    lab.use(server.origin)
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[GOOD])


def test_87_a_vendors_key_in_a_header_for_another_server(lab, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    lab.secrets.append(SECRET)
    entry = {"headers": {"X-Auth": {"env": "OPENAI_API_KEY"}}}
    server = lab.serve(reply(items(GOOD)), **entry)
    text = lab.cell().texts
    assert "OPENAI_API_KEY" in text
    assert "allow_key" in text
    assert server.accepted == 0
    lab.use(server.origin, allow_key=True, **entry)
    lab.cell()
    assert server.seen[0].headers["x-auth"] == SECRET
    lab.check(Status.DONE, 1, delivered=[GOOD])
