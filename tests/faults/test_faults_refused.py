"""What a server turns away: waited for where it says later, never asked again where it says no."""

import random
import re
import socket
import time
from email.utils import formatdate

import pytest
from canary import KEY
from lab import PAINTED
from PIL import Image
from sockets import b64, images, reply

from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Status
from ipyimagegen.notebook.fronts import CELL

GOOD = reply(images(1, PAINTED))


def later(*headers):
    return reply(
        {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "429 Too Many Requests", *headers
    )


def test_16_status_429_then_200(lab, clock):
    server = lab.serve(GOOD)
    for code in ("%imagine a red fox", "%imagine --image @1 make it blue"):
        server.answer = [later("Retry-After: 7"), GOOD]
        lab.cell(code)
        first, second = server.seen[-2:]
        assert (first.line, first.headers, first.body) == (second.line, second.headers, second.body)
        sent = lab.runs[-1].sent
        assert (sent.attempts, sent.idempotency_key) == (2, first.headers["idempotency-key"])
    assert sum(clock.waited) == pytest.approx(7 + 7)
    lab.check([Status.DONE] * 2, 4, delivered=PAINTED[:1])


# What a server asks for, and how long is waited before the one repeat.
WAITED = [
    (("Retry-After: 60",), 60),
    (("Retry-After-Ms: 1500", "Retry-After: 30"), 1.5),
    (("Retry-After: Sat, 21 Nov 2015 07:28:00 GMT",), 1),
    *(((f"Retry-After: {text}",), 1) for text in ("NaN", "-5", "0", "inf", "1e999", "soon", "", "1s")),
]
# What is not waited for, and the time that is named.
TOO_LONG = [
    ("Retry-After: 61", "61 s"),
    ("Retry-After: 3600", "60 min"),
    ("Retry-After-Ms: 1e9", "12 days"),
    ("Retry-After: 99999999999999999999", "99 days"),
    ("Retry-After: Sat, 21 Nov 2099 07:28:00 GMT", "99 days"),
]


@pytest.mark.parametrize("waited", [True, False])
def test_17_retry_after_of_no_sense(lab, clock, waited):
    server = lab.serve(GOOD)
    soon = (f"Retry-After: {formatdate(time.time() + 40, usegmt=True)}",)
    for seed, (headers, seconds) in enumerate([*WAITED, (soon, 35)] if waited else ()):
        clock.waited.clear()
        server.answer = [later(*headers), GOOD]
        assert lab.cell(f"%imagine --seed {seed} a red fox").error is None
        assert sum(clock.waited) == pytest.approx(seconds, abs=5 if headers is soon else 1e-6), headers
    if waited:
        return lab.check([Status.DONE] * (len(WAITED) + 1), 2 * (len(WAITED) + 1))
    for header, wait in TOO_LONG:
        server.answer = later(header)
        assert re.search(rf"429: slow down\. .*{wait}\.", lab.cell().texts)
    assert clock.waited == []
    return lab.check([Status.RATE_LIMITED] * len(TOO_LONG), len(TOO_LONG), CELL.remedies[Remedy.RUN_LATER])


# How servers say that the money is used up.
QUOTA = [
    ("429", {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}),
    ("429", {"error": {"message": "You exceeded it.", "type": "insufficient_quota", "code": 429}}),
    (
        "403",
        {"error": {"message": "用户额度不足", "type": "new_api_error", "code": "insufficient_user_quota"}},
    ),
    ("400", {"error": {"message": "Limit reached.", "code": "billing_hard_limit_reached"}}),
    ("402", {"error": {"message": "Insufficient credits", "code": 402}}),
]


def test_18_quota_is_used_up(lab, clock):
    server = lab.serve(GOOD)
    for status, body in QUOTA:
        server.answer = reply(body, f"{status} No", "Retry-After: 1")
        says = rf"(?s){status}: {body['error']['message']}.*{CELL.remedies[Remedy.ADD_CREDIT]}"
        assert re.search(says, lab.cell().texts), lab.cells[-1].texts
    assert clock.waited == []
    lab.check([Status.REFUSED] * len(QUOTA), len(QUOTA))


def test_19_status_429_for_ever(lab, clock):
    server = lab.serve(later())
    lab.cell()
    assert sum(clock.waited) == pytest.approx(1 + 2)
    assert len({request.headers["idempotency-key"] for request in server.seen}) == 1
    says = f"(?s)429: slow down.*{CELL.remedies[Remedy.RUN_LATER]}"
    lab.check(Status.RATE_LIMITED, 3, says)


# How a refusal may hold the key that it was sent.
ECHOES = [
    KEY,
    f"Authorization: Bearer {KEY}",
    KEY.replace("/", "\\/"),
    KEY.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D"),
    b64(KEY.encode()),
    b64(b"Bearer " + KEY.encode()),
    f"{KEY[:7]}{'*' * 20}{KEY[-4:]}",
    f"{KEY[:20]}...{KEY[-12:]}",
    "\u200b".join(KEY),
    "".join(f"\\u{ord(letter):04x}" for letter in KEY),
]


def test_20_refusal_that_echoes_the_key(lab):
    server = lab.serve(GOOD)
    for echo in ECHOES:
        body = {"error": {"message": f"Incorrect API key provided: {echo}.", "code": echo, "type": echo}}
        headers = (f"X-Request-Id: {echo!a}", f"Set-Cookie: key={echo!a}", f"WWW-Authenticate: {echo!a}")
        server.answer = reply(body, "401 Unauthorized", *headers)
        says = f"(?s)401: Incorrect API key provided.*{CELL.remedies[Remedy.CHECK_KEY]}"
        assert re.search(says, lab.cell().texts), lab.cells[-1].texts
    server.answer = reply(f"<h1>No: {KEY}</h1>", f"401 Unauthorized {KEY}", kind="text/html")
    lab.cell()
    for code in ("%imagine_show -1", "%imagine_history", "%imagine_cost"):
        assert lab.cell(code).error is None
    lab.check([Status.REFUSED] * (len(ECHOES) + 1), len(ECHOES) + 1, at=-4)


# What a message may hold that is more than text, and what is shown of it.
HOSTILE = [
    ("<img src=x onerror=alert(1)><script>alert(1)</script>", "<img src=x onerror"),
    ("\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x1b[2J\x9b1mend", "red link"),
    ("safe\u202egnp.exe\u2066 \u200b\ufeff\u00ad end", "safegnp.exe"),
    ("no\r\nNothing billed: all is well\u2028one more line\x0bend", "no Nothing billed: all is well one"),
    ("a\x00b\x07c\x08d", "abcd"),
    ("$$\\href{javascript:alert(1)}{x}$$ [x](javascript:alert(1)) ![](https://evil.example/p.png)", "href"),
    ("{unclosed} %s %(x)s {0.__class__} \\N{BULLET}", "{unclosed} %s"),
    ("x" * 60_000, "xxx…"),
    ("狐" * 5_000, "狐…"),
    ({"deep": ["<b>"] * 3}, ""),
]


def test_21_refusal_with_more_than_text(lab):
    server = lab.serve(GOOD)
    for message, shown in HOSTILE:
        server.answer = reply({"error": {"message": message, "code": "bad_request"}}, "400 Bad Request")
        cell = lab.cell()
        first = str(cell.error).splitlines()[0]
        assert first.startswith("lab ")
        assert shown in first
        assert len(first) <= 320
        assert cell.outputs == []
    lab.check([Status.REFUSED] * len(HOSTILE), len(HOSTILE), CELL.remedies[Remedy.CHANGE_REQUEST])
    exported = "".join(path.read_text() for path in lab.artefacts.glob("*.html"))
    assert "<img src=x" not in exported
    assert "<script>alert" not in exported
    assert "\x1b" not in "".join(cell.printed for cell in lab.cells)


NGINX = (
    """<html>
<head><title>413 Request Entity Too Large</title></head>
<body><center><h1>413 Request Entity Too Large</h1></center><hr><center>nginx/1.18.0</center></body>
</html>
"""
    + "<!-- a padding to disable MSIE and Chrome friendly error page -->\n" * 6
)
PAGE = (
    f"<!doctype html><html><style>p{{}}</style><p>Your upload is too big</p>{'<p>filler</p>' * 9000}</html>"
)


def without_reading(answer):
    """Return what a proxy does that has enough: it answers in the middle of an upload, and closes."""

    def answers(conn, _):
        conn.sendall(answer)
        conn.shutdown(socket.SHUT_WR)
        conn.settimeout(1)
        while conn.recv(1 << 20):
            pass

    return answers


def test_22_page_of_a_proxy_with_413(lab):
    side = 1800  # 3 MB of noise: more than sockets take before somebody reads
    lab.shell.push({"big": Image.frombytes("L", (side, side), random.Random(1).randbytes(side * side))})
    page = reply(NGINX, "413 Request Entity Too Large", kind="text/html")
    server = lab.serve(page)
    says = r"413: Request Entity Too Large\n"
    assert re.search(says, str(lab.cell().error))
    server.answer = reply(PAGE, "413 Request Entity Too Large", kind="text/html")
    first = str(lab.cell().error).splitlines()[0]
    assert "413: Your upload is too big filler" in first
    assert len(first) < 330
    server.early = True
    server.answer = without_reading(page)
    assert re.search(says, str(lab.cell("%imagine --image big make it blue").error))
    assert len(server.seen[-1].body) < 2 << 20  # the rest of it was never read
    server.answer = lambda conn, seen: (conn.sendall(page), conn.close())
    lab.cell("%imagine --image big make it green")
    lab.check([Status.REFUSED] * 4, 4, CELL.remedies[Remedy.SEND_LESS])
