"""Odd requests, and requests at odd times: asked once, sent as given, or refused here."""

import json
import re
import time

import pytest
from lab import PAINTED
from loopback import image_bytes
from sockets import images, reply

from ipyimagegen.core.run import Status

WHOLE = reply(images(of=PAINTED))


def as_asked(conn, seen):
    """Answer with as many images as were asked for."""
    count = json.loads(seen.body).get("n", 1) if seen.body.startswith(b"{") else 1
    conn.sendall(reply(images(count, of=PAINTED)))


@pytest.mark.parametrize("hours", [1, -1])
def test_55_clock_jumps_an_hour(lab, monkeypatch, hours):
    now = time.time

    def jump():
        monkeypatch.setattr(time, "time", lambda: now() + 3600 * hours)

    def slow(conn, _seen):
        jump()
        time.sleep(0.5)
        conn.sendall(WHOLE)

    def hanging(conn, _seen):
        jump()
        conn.recv(1)

    lab.limit(idle=9, whole=1)
    lab.serve([slow, hanging])
    lab.cell("%imagine a red fox")
    lab.cell("%imagine a cat")
    assert all(0.4 < run.elapsed < 2 for run in lab.runs)
    assert 1 <= lab.cells[1].seconds < 2
    by_the_clock = [Status.DONE, Status.UNKNOWN][::hours]
    lab.check(by_the_clock, 2, " 1 s", delivered=PAINTED[:1])


NOTEBOOK = (
    "%imagine a red fox",
    "%imagine -n 2 --seed 7 a cat",
    "%imagine --image @1 give it a hat",
    "%imagine --image @-1 and a scarf",
)


def test_56_run_all_twice(lab):
    lab.serve(as_asked)
    before, paid = [], []
    for _ in range(3):
        lab.new_session()
        lab.use(lab.servers[0].origin)
        shown = [lab.cell(code) for code in NOTEBOOK]
        before.append([(cell.images, cell.texts.rsplit("\n", 2)[0]) for cell in shown])
        paid.append(lab.posts)
    assert paid == [4, 4, 4]
    assert before[0] == before[1] == before[2]
    lab.cell(f"%imagine --new {NOTEBOOK[0].removeprefix('%imagine ')}")
    lab.check([Status.DONE] * 13, 5, delivered=PAINTED[:2])


SENT = {
    "100 kB": "a fox, " + "very red, " * 10_000,
    "right to left": "ثعلب أحمر \u202e xof der a \u2066",
    "braces": '{} {0} {"seed": 1}',
    "percent": "100 %s of %d and %(x)s",
    "a reserved name": "CON",
    "a path": "../../x",
    "markup": "<img src=x onerror=alert(1)> [x](file:///etc/passwd) $x^2$",
    "escapes": "a \x1b[31mred\x1b[0m fox \\ud800 \\x00",
    "no letters": "🦊",
}
REFUSED = {"NUL": "a\0fox", "half a character": "a \ud800 fox", "blank": " \u3000\n "}


def test_59_odd_prompts(lab):
    server = lab.serve(WHOLE)
    for prompt in SENT.values():
        lab.cell(f"%%imagine\n{prompt}")
    lab.shell.user_ns["prompts"] = SENT.values()  # the same from a variable, so from history
    again = lab.cell("for p in prompts:\n    get_ipython().run_line_magic('imagine', '{p}')")
    assert len(again.images) == len(SENT)
    assert [json.loads(seen.body)["prompt"] for seen in server.seen] == [
        prompt.strip() for prompt in SENT.values()
    ]
    for prompt in REFUSED.values():
        lab.shell.user_ns["p"] = prompt
        assert lab.cell("%imagine {p}").error
        assert lab.cell("from ipyimagegen import imagine\nimagine(p)").error
    lab.check([Status.DONE] * len(SENT), len(SENT), delivered=PAINTED[:1])


def test_60_inputs_that_change_or_cannot_be(lab):
    cat, given = lab.artefacts / "cat.png", image_bytes(80, 60)
    cat.write_bytes(given)

    def put_off(conn, _seen):
        cat.write_bytes(image_bytes(50, 50))
        conn.sendall(reply({"error": {"message": "slow down"}}, "429 Too Many Requests", "Retry-After: 0.01"))

    server = lab.serve([put_off, WHOLE])
    lab.cell(f"%imagine --image {cat} --mask 0,0,10,10 add a hat")
    first, second = server.seen
    assert given in first.body
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    mask, huge, folder = lab.artefacts / "mask.png", lab.artefacts / "huge.png", lab.artefacts / "folder.png"
    mask.write_bytes(image_bytes(30, 60, mode="L", colour=255))
    folder.mkdir()
    with huge.open("wb") as file:
        file.truncate(2 << 30)
    for options, says in {
        f"--image {cat} --mask {mask}": "mask.png.* 30x60",
        f"--image {folder}": "folder.png",
        f"--image {huge}": "2,147 MB",
        f"--image {cat} --mask {huge}": "2,147 MB",
    }.items():
        cell = lab.cell(f"%imagine {options} add a hat")
        assert re.search(says, cell.texts)
        assert cell.seconds < 1
    huge.unlink()
    lab.check(Status.DONE, 2, delivered=[given, PAINTED[0]])


BREAKS = ("\r\nX-Evil: 1", "\nX-Evil: 1", "\rX-Evil: 1", "\u2028X-Evil: 1", "\x85X-Evil: 1", "\x00X-Evil: 1")
CELLS = (
    "%imagine --model {bad} a red fox",
    "%imagine --set {bad}=1 a red fox",
    "%imagine --image {cat} --model {bad} a red fox",
    "%imagine --endpoint {url} a red fox",
    "imagine('a red fox', model=bad)",
    "imagine('a red fox', model='m', extra={bad: 1})",
    "imagine('a red fox', model='m', extra={bad: 1}, image=cat)",
)


def test_62_line_breaks_in_names(lab):
    server = lab.serve(as_asked)
    lab.cell("from ipyimagegen import imagine\n%imagine --model m a red fox")
    names = lab.shell.user_ns
    names["cat"] = image_bytes(80, 60)
    for dialect in ("openai", "azure", "xai"):  # a form, a path, JSON
        lab.use(server.origin, dialect=dialect)
        names["bad"], names["url"] = f"m{BREAKS[0]}", f"{server.origin}/v1{BREAKS[0]}"
        for code in CELLS:
            assert lab.cell(code).error, code
    for text in BREAKS[1:]:
        names["bad"] = f"m{text}"
        assert lab.cell(CELLS[0]).error, text
    lab.check(Status.DONE, 1, delivered=PAINTED[:1])
