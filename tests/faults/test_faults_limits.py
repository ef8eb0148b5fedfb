"""More than was asked for, and longer than was waited for: bounded, and nothing that came is lost."""

import json
import os
import tracemalloc
from datetime import date
from decimal import Decimal

import pytest
from client.sse import DONE, HEAD
from lab import PAINTED, Clock
from loopback import b64, image_bytes
from sockets import reply

from ipyimagegen import imagine
from ipyimagegen.client import CancelToken
from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.messages import PYTHON, Remedy, RunLink, render_remedy
from ipyimagegen.core.request import Input, PreparedRequest, Request
from ipyimagegen.core.run import ErrorInfo, ImageRecord, ImageState, Mismatch, Run, Status
from ipyimagegen.core.template import Literal, fill, parse
from ipyimagegen.core.user_input import from_call
from ipyimagegen.results.captions import write_caption

MIB = 1 << 20
MANY, TAKEN = 400, 16


def image(number):
    """Return a small image like no other."""
    return image_bytes(8, 8, (number % 251, number // 251, 3))


def as_base64(_, count):
    return reply({"data": [{"b64_json": b64(image(number))} for number in range(count)]})


def as_data_urls(_, count):
    return reply({"data": [{"url": "data:image/png;base64," + b64(image(k))} for k in range(count)]})


def as_addresses(server, count):
    return reply({"data": [{"url": f"{server.origin}/{number}.png"} for number in range(count)]})


def as_events(_, count):
    events = (
        {"type": "image_generation.completed", "b64_json": b64(image(number))} for number in range(count)
    )
    return HEAD + b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events) + DONE


def as_one_event(_, count):
    items = [{"b64_json": b64(image(number))} for number in range(count)]
    return HEAD + f"data: {json.dumps({'type': 'image', 'data': items})}\n\n".encode() + DONE


SHAPES = [as_base64, as_data_urls, as_addresses, as_events, as_one_event]


def answering(server, shape, count):
    """Return an answer that lists `count` images, and gives those that are addresses."""

    def answer(conn, seen):
        if seen.line.startswith("GET"):
            number = int(seen.line.split()[1].strip("/").removesuffix(".png"))
            conn.sendall(reply(image(number), kind="image/png"))
        else:
            conn.sendall(shape(server, count))

    return answer


def gets(server):
    return sum(seen.line.startswith("GET") for seen in server.seen)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("asked", [1, 12])
def test_98_more_items_than_asked(lab, shape, asked):
    server = lab.serve([])
    server.answer, taken = answering(server, shape, MANY), max(2 * asked, TAKEN)
    cell = lab.cell(f"%imagine -n {asked} a red fox")
    shown = lab.cell("%imagine_show -1")
    assert gets(server) == (taken if shape is as_addresses else 0)
    assert len(lab.runs[0].images) == taken
    assert max(len(cell.texts), len(shown.texts)) < 4000
    assert len(cell.outputs[-1]["data"]["text/plain"]) < 2000
    body = shape(server, MANY).partition(b"\r\n\r\n")[2]
    delivered = [image(number) for number in range(taken)]
    says = f" {MANY}.* {taken} "
    lab.check(Status.DONE, 1, says, raw=body, delivered=delivered, at=0)


def test_98_addresses_that_hold_nothing(lab):
    server = lab.serve([])

    def answer(conn, seen):
        if seen.line.startswith("GET"):
            conn.sendall(reply(b"none", "410 Gone"))
        else:
            conn.sendall(as_addresses(server, MANY))

    server.answer = answer
    for cell in ("%imagine a red fox", "%imagine_show -1"):
        before = gets(server)
        assert len(lab.cell(cell).texts) < 4000
        assert gets(server) - before == TAKEN
    lab.check(Status.DONE, 1, "answered 410", states=["url_pending"] * TAKEN, at=0)


@pytest.mark.parametrize(
    ("asked", "sent", "kept"), [(1, "AAA", 1), (2, "AAB", 2), (2, "AA", 2), (1, "AB", 2)]
)
def test_75_equal_bytes_beyond_what_was_asked_for_are_taken_once(lab, asked, sent, kept):
    painted = dict(zip("AB", PAINTED, strict=False))
    lab.serve(reply({"data": [{"b64_json": b64(painted[name])} for name in sent]}))
    lab.cell(f"%imagine -n {asked} a red fox")
    assert [image.index for image in lab.runs[0].images] == list(range(1, kept + 1))
    lab.check(Status.DONE, 1, delivered=[painted[name] for name in set(sent)], states=["stored"] * kept)


def test_75_millions_of_tiny_items(lab):
    body = b'{"data":[' + b"{}," * (16 << 20) + b"{}]}"
    lab.limit(whole=30)
    lab.serve(reply(body))
    lab.cell()
    lab.check(Status.UNKNOWN, 1, "--retry", raw=body[:1000])


def test_a_caption_is_short_whatever_came():
    states = [*ImageState] * 30
    long = "an error of many words " * 50
    run = Run(
        session="1129-abcd",
        number=1,
        identity="0",
        created=0.0,
        status=Status.UNKNOWN,
        request=Request(
            endpoint=long,
            base_url="https://host/v1",
            model=long,
            prompt=long,
            options=dict.fromkeys(("seed", "quality", "style", "background", "negative_prompt"), long),
            inputs=tuple(
                Input(sha256="0", mime="image/png", width=1, height=1, label=long) for _ in range(16)
            ),
        ),
        sent=PreparedRequest(notes=(long,) * 20),
        images=tuple(
            ImageRecord(index=k, state=state, sha256="0", width=k, height=9, note=long, changed_outside=0.5)
            for k, state in enumerate(states, start=1)
        ),
        mismatches=tuple(Mismatch(long, long, long) for _ in range(20)),
        error=ErrorInfo(message=long),
    )
    words = write_caption(run, 1, from_history=False)
    assert len(words) < 2000
    assert f"history['{run.id}']" in words
    assert render_remedy(Remedy.SHOW, PYTHON, run=RunLink(run.id)) in words


# What came is read until the deadline, or until somebody gives up


class Stored(Clock):
    """A clock that goes on by two seconds with each image that is stored."""

    def __init__(self, home):
        super().__init__()
        self.home = home

    def stored(self):
        """Return how many images are in the store."""
        return len(list(self.home.glob("images/*/*")))

    def __call__(self):
        return super().__call__() + 2 * self.stored()


class GivenUp(Stored):
    """A clock that stands still, and gives the call up once two images are stored."""

    control = None

    def __call__(self):
        if self.control and self.stored() >= 2:
            self.control.cancel()
        return self.now


def controls(clock):
    """Return what makes the control of a call that goes by a clock."""

    def control():
        clock.control = CancelToken(clock, clock.pause)
        return clock.control

    return control


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("clock", [Stored, GivenUp])
def test_99_reading_ends_in_time_and_goes_on_later(lab, shape, clock):
    server = lab.serve([])
    server.answer = answering(server, shape, 8)
    lab.tools(control=controls(clock(lab.home)))
    lab.cell("%imagine -n 8 a red fox")
    stored, run = clock(lab.home).stored(), lab.runs[0]
    assert 2 <= stored <= 4
    left = "url_pending" if shape is as_addresses else "unread"
    assert [image.state for image in run.images] == ["stored"] * stored + [left] * (8 - stored)
    lab.tools(control=CancelToken)
    lab.cell("%imagine_show -1")
    lab.cell("%imagine -n 8 a red fox")
    assert gets(server) == (8 if shape is as_addresses else 0)
    lab.check(Status.DONE, 1, delivered=[image(number) for number in range(8)], states=["stored"] * 8)


def test_99_a_run_with_unread_images_offers_no_retry(lab):
    clock = Clock()

    def late(conn, _):
        clock.now += 3600
        conn.sendall(as_base64(None, 2))

    lab.serve(late)
    lab.wait_on(clock)
    assert lab.cell().error.remedy is not Remedy.RETRY
    assert [image.state for image in lab.runs[0].images] == [ImageState.UNREAD] * 2
    lab.tools(control=CancelToken)
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[image(0), image(1)])


# How many are asked for, however it is written

COUNTS = [3, 3.0, "3", " 3 ", "３", "3.0", "3e0", "+3", 300, "1e2"]
NO_COUNTS = [0, -1, 2.5, True, False, None, "", "three", "0x3", "2.5", [3], {"a": 3}, 10**30, "1e400", "nan"]
ELSEWHERE = [
    {"N": 3},
    {"num_images": 3},
    {"numImages": "3"},
    {"batch_size": 3.0},
    {"images_per_prompt": "3"},
    {"num_outputs": 3},
    {"sequential_image_generation_options": {"max_images": 3}},
    {"sequential_image_generation": "auto"},
    {"n": 1, "parameters": {"n": "3"}},
    {"n": 1, "kwargs": '{"n": 3}'},
    {"instances": [{"sampleCount": 3}]},
]


@pytest.mark.parametrize("extra", [*({"n": value} for value in COUNTS), *ELSEWHERE], ids=repr)
def test_102_every_spelling_of_a_number_counts(lab, extra):
    lab.serve(as_base64(None, 3))
    lab.cell("%config Imagine.max_images = 2")
    lab.shell.user_ns.update(imagine=imagine, extra=extra)
    lab.cell("imagine('a red fox', extra=extra)")
    settings = " ".join(f"--set '{key}={json.dumps(value)}'" for key, value in extra.items())
    lab.cell(f"%imagine {settings} a red fox")
    assert "max_images" in lab.cells[1].texts
    lab.check(None, 0, "max_images", images=0)


@pytest.mark.parametrize("value", NO_COUNTS, ids=repr)
def test_102_what_is_no_number_of_images_is_refused(lab, value):
    lab.serve(as_base64(None, 3))
    lab.shell.user_ns.update(imagine=imagine, value=value)
    lab.cell("imagine('a red fox', extra={'n': value})")
    if value != "":
        lab.cell(f"%imagine --set 'n={json.dumps(value)}' a red fox")
    lab.check(None, 0, images=0)


def test_102_as_many_as_further_fields_allow_may_come(lab):
    lab.serve([as_base64(None, 2), as_base64(None, 4)])
    few = lab.cell("%imagine --set num_images=4 a red fox")
    lab.cell("%imagine --set num_images=3 a cat")
    assert "count:" not in few.texts
    lab.check([Status.DONE] * 2, 2, "count: asked 3 images, got 4 images")


# What would take memory before anybody can refuse it


def circular():
    made = {}
    made["again"] = made
    return made


def shared():
    """Return 10**12 texts in a list that is small, since it holds the same lists."""
    made = ["a fox"]
    for _ in range(12):
        made = [made] * 10
    return made


def deep():
    made = []
    for _ in range(50_000):
        made = [made]
    return made


EXPLOSIVE = [
    "{x:2000000000}",
    "{x:{w}}",
    "{x:>{w}}",
    "{x!r:>999999999}",
    "{x:.999999999}",
    "{f:.999999999f}",
    "{f:٢٠٠٠٠٠٠٠٠٠}",
    "{f:{wide}}",
    "{i}",
    "{i:d}",
    "{i:x}",
    "{i:b}",
    "{d:f}",
    "{d:,}",
    "{tiny:f}",
    "{t}",
    "{shared}",
    "{shared!r}",
    "{loop}",
    "{line}{line}{line}",
    "{when:%Y%1999999999d}",
]
VALUES = {
    "x": "fox",
    "w": 2_000_000_000,
    "f": 0.5,
    "wide": "9" * 5000,
    "i": 10**100_000 << 4_000_000,
    "d": Decimal("1e900000000"),
    "tiny": Decimal("1e-900000000"),
    "t": "fox" * 1_000_000,
    "shared": shared(),
    "loop": [circular()],
    "line": "fox " * 100_000,
    "when": date(2026, 1, 1),
}


def peak_of(refused, kind):
    """Return how many bytes were taken until something was refused with that kind of error."""
    tracemalloc.start()
    try:
        with pytest.raises(kind) as error:
            refused()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(str(error.value)) < 400
    return peak


@pytest.mark.parametrize("template", EXPLOSIVE)
def test_names_that_would_fill_the_memory(template):
    parts = parse(template)
    assert not isinstance(parts[0], Literal)
    assert peak_of(lambda: fill(parts, VALUES), InvalidInput) < 16 * MIB


@pytest.mark.parametrize("template", ["{x:2000000000}", "{x:{w}}", "{f:.999999999f}", "{line}{line}{line}"])
def test_106_formats_that_would_fill_the_memory(lab, template):
    lab.serve(as_base64(None, 1))
    lab.shell.user_ns.update({name: VALUES[name] for name in ("x", "w", "f", "line")})
    lab.cell(f'%imagine --negative-prompt "{template}" a red fox')
    lab.cell(f"%imagine a red {template}")
    assert all(cell.error for cell in lab.cells)
    lab.check(None, 0, images=0)


def test_106_ordinary_formats_are_filled_in(lab):
    lab.serve(as_base64(None, 1))
    lab.shell.user_ns.update({name: VALUES[name] for name in "xfwd"}, when=VALUES["when"])
    lab.cell("%imagine {x:>8}, {x!r}, {f:.3f}, {w:,}, {w:#x}, {when:%Y-%m}, {d}")
    assert lab.runs[0].request.prompt == "fox, 'fox', 0.500, 2,000,000,000, 0x77359400, 2026-01, 1E+900000000"
    lab.check(Status.DONE, 1, delivered=[image(0)])


NOT_JSON = {
    "set": {1, 2},
    "bytes": b"abc",
    "object": object(),
    "complex": 1j,
    "nan": float("nan"),
    "inf": [1, {"a": float("-inf")}],
    "circular": circular(),
    "shared": shared(),
    "deep": deep(),
    "keys": {"a": {1: "x"}},
    "tuple keys": {(1, 2): 3},
    "digits": 10**5000,
    "surrogate": ["\ud800"],
    "range": range(10**9),
    "decimal": Decimal(1),
    "path": os,
}


@pytest.mark.parametrize("kind", NOT_JSON)
def test_extra_that_is_no_json_is_refused_before_it_takes_memory(kind):
    def refused():
        from_call("a red fox", {"extra": {"a": NOT_JSON[kind]}})

    assert peak_of(refused, InvalidOption) < 16 * MIB


@pytest.mark.parametrize("kind", ["set", "bytes", "nan", "keys", "surrogate", "circular"])
@pytest.mark.parametrize(
    "door", ["imagine('a fox', extra={'a': value})", "fox.edit('a hat', extra={'a': value})"]
)
def test_106_extra_that_is_no_json(lab, kind, door):
    lab.serve(as_base64(None, 1))
    lab.shell.user_ns.update(imagine=imagine, value=NOT_JSON[kind])
    lab.cell("fox = %imagine a red fox")
    lab.cell(door)
    assert isinstance(lab.cells[1].error, InvalidOption)
    lab.check(Status.DONE, 1, "extra", images=0)


@pytest.mark.parametrize(
    "line",
    [
        "--seed 1..1000000000",
        "--seed 1..9999999999999999999",
        "--seed " + ",".join(["1..9000"] * 200),
        "--seed 1..9000 --size {sizes}",
        "{a|b}" * 3000,
        "--set 'a=" + "[" * 5000 + "'",
        "--set 'a=" + "[" * 500 + "]" * 500 + "'",
    ],
    ids=lambda line: line[:40],
)
def test_106_lists_that_would_fill_the_memory(lab, line):
    lab.serve(as_base64(None, 1))
    lab.shell.user_ns.update(sizes=["64x64"] * 20_000)
    lab.cell(f"%imagine {line} a red fox")
    lab.check(None, 0, images=0, within=4)


@pytest.mark.parametrize("line", ["%imagine {word}", "%%imagine\n{word}", "imagine(word)"])
def test_106_a_prompt_far_above_any_limit(lab, line):
    lab.serve(as_base64(None, 1))
    lab.shell.user_ns.update(imagine=imagine, word="fox " * 300_000)
    lab.cell(line)
    lab.check(None, 0, "1,000,000", images=0)
