"""Sweeps: each combination once, planned before it is paid, failures in their place, resumed at no cost."""

import errno
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from loopback import b64, image_bytes, records
from raising import raising, values_of
from studios import make_studio
from words import MESSAGES

from ipyimagegen import Generation, Settings, Studio, Sweep, client
from ipyimagegen.core import errors as e
from ipyimagegen.core.axes import Axis, expand
from ipyimagegen.core.messages import Remedy
from ipyimagegen.core.run import Status
from ipyimagegen.core.template import looks_like_alternatives, parse
from ipyimagegen.core.user_input import UserInput, from_call
from ipyimagegen.notebook import reports
from ipyimagegen.results.sweep import layout_sheets
from ipyimagegen.session.call import STOPPED
from ipyimagegen.session.waiting import ProgressDisplay

CAPTION, WAIT = MESSAGES["caption"], MESSAGES["fate"]


def image_for(asked):
    """Return an image that tells what it was asked for."""
    seed = asked.get("seed", 0)
    return image_bytes(64, 48, (seed * 17 % 256, len(asked["prompt"]) * 5 % 256, seed // 15))


def good(seen):
    return (
        200,
        {},
        {"created": 1, "data": [{"b64_json": b64(image_for(seen.json))}] * seen.json.get("n", 1)},
    )


def asked(server, *names):
    return [tuple(post.json.get(name) for name in names) for post in server.posts]


# What varies


def points(prompt, namespace=None, **options):
    axes, requests = expand(UserInput(prompt=prompt, options=options, namespace=namespace))
    return [axis.name for axis in axes], requests


def test_nothing_varies():
    axes, (request,) = points("a fox", seed=1)
    assert not axes
    assert request.options == {"seed": 1}


def test_the_axis_that_is_costliest_to_change_is_the_outer_one():
    options = {
        "seed": (1, 2),
        "size": ("1x1", "2x2"),
        "quality": ("a", "b"),
        "endpoint": ("p", "q"),
        "model": ("m", "k"),
    }
    axes, requests = points("a {red|blue} fox", {}, **options)
    assert axes == ["endpoint", "model", "size", "{red|blue}", "quality", "seed"]
    assert len(requests) == 64
    assert [request.options["endpoint"] for request in requests] == ["p"] * 32 + ["q"] * 32
    assert [request.options["seed"] for request in requests] == [1, 2] * 32


def test_alternatives_are_found_before_values_are_filled_in():
    axes, requests = points("a {red|blue} {thing} and {big|small|} one", {"thing": "{x|y}"})
    assert axes == ["{red|blue}", "{big|small|}"]
    assert [request.chosen for request in requests[:4]] == [
        ("red", "big"),
        ("red", "small"),
        ("red", ""),
        ("blue", "big"),
    ]


@pytest.mark.parametrize(
    ("text", "likely"),
    [
        ('{"a": "b|c"}', True),
        ("{a|b:c}", True),
        ("{{red|blue}}", True),
        (r"\frac{a|b}{c}", True),
        ("x^{a|b}", True),
        ("{a\n|b}", True),
        ("{red,blue}", True),
        ("{dark red, blue}", True),
        ("{红，蓝}", True),
        ("｛red｜blue｝", True),
        ("x_{1,2}", False),
        (r"\frac{a,b}{c,d}", False),
        ('{"a": [1, 2]}', False),
        ("{ red }", False),
    ],
)
def test_other_braces_stay_as_typed_and_where_alternatives_may_be_meant_that_is_told(text, likely):
    assert points(f"a {text} fox", {})[0] == []
    assert looks_like_alternatives(parse(f"a {text} fox")) == likely


def test_alternatives_are_for_templates_alone():
    assert points("a {red|blue} fox", None)[0] == []
    assert points("a {red|blue} fox", {}, raw=True)[0] == []


def test_too_many_combinations_are_refused_before_they_are_made():
    with pytest.raises(e.InvalidOption, match=r"9000 n × 9000 seed .* 81,000,000 "):
        points("a fox", seed=tuple(range(9000)), n=tuple(range(9000)))


def test_python_lists(home, serve):
    typed = from_call(["a", "b"], {"seed": range(2), "size": "64x64"})
    assert (typed.prompt, typed.options) == (("a", "b"), {"seed": (0, 1), "size": "64x64"})
    import numpy as np

    assert from_call("a", {"seed": np.arange(3)}).options["seed"] == (0, 1, 2)
    assert from_call("a", {"seed": np.int64(3)}).options["seed"] == 3
    assert from_call("a", {"size": (64, 48)}).options["size"] == "64x48"
    assert from_call("a", {"size": [(64, 48), [32, np.int64(16)]]}).options["size"] == ("64x48", "32x16")
    assert from_call("a", {"size": np.array([64, 48])}).options["size"] == "64x48"
    assert from_call("a", {"aspect_ratio": (16, 9)}).options["aspect_ratio"] == "16:9"
    assert from_call((text for text in "ab"), {"seed": {5: "x"}.keys()}).prompt == ("a", "b")
    with raising(e.InvalidOption, "size", "64 (int)"):
        from_call("a", {"size": (64, 64, 3)})
    with raising(e.InvalidOption, "seed", "7.5 (float)"):
        from_call("a", {"seed": np.array([7, 7.5])})
    with pytest.raises(e.InvalidInput):
        from_call([], {})
    for wrong, kind in (([3], "int"), ([None], 1), (3, "int")):
        with raising(e.InvalidInput, kind):
            from_call(wrong, {})


def test_the_same_group_twice_is_two_axes():
    axes, requests = points("a {red|blue} fox, a {red|blue} hat", {})
    assert axes == ["{red|blue}", "{red|blue} (2)"]
    assert [request.chosen for request in requests] == [
        (a, b) for a in ("red", "blue") for b in ("red", "blue")
    ]


def test_long_prompts_are_told_by_what_differs():
    long = "a very detailed image of a small red fox in deep snow, by night, "
    axis = Axis("prompt", tuple(f"{long}{colour}, film grain" for colour in ("red", "blue", "red and blue")))
    assert axis.labels == ("… red, …", "… blue, …", "… red and blue, …")
    assert Axis("prompt", ("a fox", "a cat")).labels == ("a fox", "a cat")
    assert Axis("prompt", (long.strip(), f"{long}asleep")).labels == (long.strip(), "… asleep")


# Sheets


def test_every_tile_stands_on_one_sheet():
    for lengths in ((1,), (48,), (49,), (1000,), (3, 4), (7, 9), (20, 20), (2, 3, 4), (2, 2, 7, 9)):
        axes = [axis_of(f"x{k}", n) for k, n in enumerate(lengths)]
        made = layout_sheets(axes)
        places = [place for tile in made for place in tile.calls]
        count = 1
        for n in lengths:
            count *= n
        assert sorted(places) == list(range(count))
        for tile in made:
            assert len(tile.calls) == (len(tile.rows) or 1) * len(tile.columns)
            assert bool(tile.title) == (len(lengths) > 2)


def axis_of(name, count):
    return Axis(name, tuple(range(count)))


# Asking


def test_every_combination_is_asked_once_and_each_tile_is_a_generation(home, serve):
    server = serve(good)
    studio = make_studio(home, server, max_parallel=1)
    made = studio.imagine(["a fox", "a cat"], seed=[1, 2, 3], model=["x", "y"])
    assert isinstance(made, Sweep)
    assert asked(server, "model", "prompt", "seed") == [
        (model, prompt, seed) for model in "xy" for prompt in ("a fox", "a cat") for seed in (1, 2, 3)
    ]
    assert len(made) == 12
    for tile, row in zip(made, made.rows, strict=True):
        assert isinstance(tile, Generation)
        assert tile[0].bytes == image_for({"prompt": tile.prompt, "seed": tile.options["seed"]})
        assert (row["model"], row["prompt"], row["seed"]) == (tile.model, tile.prompt, tile.options["seed"])
        assert row["file"] == str(tile[0].path)
        assert row["size"] == "64x48"
    assert [tile.number for tile in made] == list(range(1, 13))
    assert made.axes == {"model": ("x", "y"), "prompt": ("a fox", "a cat"), "seed": (1, 2, 3)}
    assert made.caption.startswith("12 of 12 · ")
    assert not made.failed
    assert isinstance(made[0].rerun(seed=9), Generation)


def test_the_table_as_a_dataframe(home, serve):
    import pandas as pd

    made = make_studio(home, serve(good)).imagine("a fox", seed=[1, 2], quality=["low", "default"])
    frame = made.to_dataframe()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["seed"]) == [1, 2, 1, 2]
    assert list(frame["quality"]) == ["low", "low", "default", "default"]
    assert set(frame) >= {"size", "seconds", "cost", "mismatches", "file", "error", "from_history"}


def test_run_again_nothing_is_asked(home, serve):
    server = serve(good)
    first = make_studio(home, server).imagine("a fox", seed=[1, 2, 3])
    other = make_studio(home, server).imagine("a fox", seed=[1, 2, 3])
    assert len(server.posts) == 3
    assert [tile.id for tile in other] == [tile.id for tile in first]
    assert all(tile.reused for tile in other)
    assert other.caption.splitlines()[:-1] == first.caption.splitlines()[:-1]
    assert other.caption.endswith(CAPTION["from history"])
    more = make_studio(home, server).imagine("a fox", seed=[0, 1, 2, 3, 4])
    assert sorted(asked(server, "seed")[3:]) == [(0,), (4,)]
    assert [tile.reused for tile in more] == [False, True, True, True, False]
    assert [tile.number for tile in more] == [1, 2, 3, 4, 5]
    assert "2 calls" in more.caption
    assert more.caption.endswith(f"3 {CAPTION['from history']}")


def test_a_caption_tells_this_cells_prompt_though_another_asked_first(home, serve):
    studio = make_studio(home, serve(good))
    studio.imagine(["a red cat", "a blue cat"])
    made = studio.imagine(["a red cat", "a green cat"])
    assert made.caption.startswith("2 of 2 · a red cat | a green cat\n")
    assert pickle.loads(pickle.dumps(made)).prompt == made.prompt == "a red cat | a green cat"


def test_sketch_does_not_fill_the_gaps_of_another_servers_history(home, serve):
    server = serve(good)
    make_studio(home, server).imagine("a fox", seed=[1, 2])
    nobody = Studio(
        home=home, environ={}, settings=Settings(endpoints={"lab": {"base_url": server.base_url}})
    )
    assert len(nobody.imagine("a fox", seed=[1, 2])) == 2
    with raising(e.MissingKey, 2, 3, "lab"):
        nobody.imagine("a fox", seed=[1, 2, 3])


def test_what_the_history_has_from_several_servers_is_shown_without_a_key(home, serve):
    servers = [serve(good), serve(good)]
    studio = make_studio(home, servers[0], others=servers[1:])
    for seed, endpoint in ((1, "lab"), (2, "lab2")):
        studio.imagine("a fox", seed=seed, endpoint=endpoint)
    own = {name: {"base_url": it.base_url} for name, it in zip(("lab", "lab2"), servers, strict=True)}
    nobody = Studio(home=home, environ={}, settings=Settings(endpoints=own))
    assert [tile.endpoint for tile in nobody.imagine("a fox", seed=[1, 2])] == ["lab", "lab2"]
    with raising(e.MissingKey, 2, 3, "lab", "lab2"):
        nobody.imagine("a fox", seed=[1, 2, 3])


def test_two_combinations_that_are_one_request_are_refused(home, serve):
    server = serve(good)
    studio = make_studio(home, server)
    for again in ({"response_format": ["url", "b64_json"]}, {"endpoint": ["lab", server.base_url]}):
        with raising(e.InvalidOption, "new"):
            studio.imagine("a fox", **again)
    assert not server.posts


def test_all_combinations_are_checked_before_the_first_call(home, serve):
    server = serve(good)
    with pytest.raises(e.InvalidOption):
        make_studio(home, server).imagine("a fox", size=["64x64", "0x0"])
    with raising(e.InvalidOption, "nowhere"):
        make_studio(home, server).imagine("a fox", endpoint=["lab", "nowhere"])
    assert not server.posts
    assert not records(home)


@pytest.mark.parametrize(
    ("caps", "says"), [({"max_calls": 3}, "max_calls"), ({"max_images": 7}, "max_images")]
)
def test_over_a_cap_nothing_is_sent(home, serve, caps, says):
    server = serve(good)
    studio = make_studio(home, server, **caps)
    studio.cell = lambda: 1
    with pytest.raises(e.OverBudget, match=says) as caught:
        studio.imagine("a fox", seed=[1, 2, 3, 4], n=2)
    assert len(str(caught.value).splitlines()) == 2
    assert values_of(caught.value)[:2] == ["4", "8"]
    assert not server.posts
    studio.imagine("a fox", seed=[1, 2, 3])
    with pytest.raises(e.OverBudget):
        studio.imagine("a fox", seed=[1, 2, 3, 4, 5], n=2)
    assert len(server.posts) == 3


def test_what_failed_gives_its_budget_back(home, serve):
    server = serve(lambda seen: (400, {}, b"no") if seen.json["seed"] > 2 else good(seen))
    studio = make_studio(home, server, max_images=4)
    assert len(studio.imagine("a fox", seed=[1, 2, 3, 4]).failed) == 2
    assert len(studio.imagine("a cat", seed=[1, 2])) == 2


# Failures


def three_fail(seen):
    seed = seen.json["seed"]
    if seed == 3:
        return 400, {}, {"error": {"message": "not this fox", "code": "moderation_blocked"}}
    if seed == 6:
        return (
            429,
            {"Retry-After-ms": "40"},
            {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
        )
    if seed == 9:
        raise ConnectionResetError
    return good(seen)


def calls_of(server, before):
    return sorted({post.json["seed"] for post in server.posts[before:]})


def test_nine_of_twelve(home, serve):
    server = serve(three_fail)
    seeds = list(range(1, 13))
    made = make_studio(home, server).imagine("a fox", seed=seeds)
    assert made.caption.startswith("9 of 12; 3 failed · ")
    assert [place for place, tile in enumerate(made, start=1) if not tile] == [3, 6, 9]
    assert [tile.run.error.status for tile in made.failed] == [400, 429, None]
    failures = [line for line in made.caption.splitlines() if line.startswith("! ")]
    assert [line.split(":")[0] for line in failures] == ["! seed 3", "! seed 6", "! seed 9"]
    alone = [[line for line in tile.caption.splitlines() if line.startswith("! ")] for tile in made.failed]
    assert [len(lines) for lines in alone] == [1, 1, 1]
    assert "12 calls" in made.caption.splitlines()[-1]
    sweep = make_studio(home, serve(three_fail)).imagine("a fox", seed=[21, 3])
    assert sweep.caption.splitlines()[1:3] == [
        "lab · 64x48",
        "seed: 21, 3",
    ]  # the seed of the only one is no fact
    assert [tile[0].bytes for tile in made if tile] == [
        image_for({"prompt": "a fox", "seed": k}) for k in seeds if k not in (3, 6, 9)
    ]
    rows = made.rows
    assert [row["status"] for row in rows if row["error"]] == ["refused", "rate_limited", "unknown"]
    before = len(server.posts)
    again = make_studio(home, server).imagine("a fox", seed=seeds)
    assert calls_of(server, before) == [3, 6]
    assert again[8].error
    assert again.caption.startswith("9 of 12; 3 failed")
    before = len(server.posts)
    make_studio(home, server).imagine("a fox", seed=seeds, retry=True)
    assert calls_of(server, before) == [3, 6, 9]


def test_what_was_kept_here_of_every_value_is_told_once(home, serve):
    server = serve(good)
    own = {"dmxapi": {"base_url": server.base_url, "free": True, "allow_key": True}}
    made = Studio(
        home=home, environ={"DMXAPI_API_KEY": "none-but-long-enough"}, settings=Settings(endpoints=own)
    ).imagine("a fox", endpoint="dmxapi", model="gpt-image-1", seed=range(5))
    (note,) = [line for line in made.caption.splitlines() if line.startswith("- seed ")]
    assert "gpt-image-1 on dmxapi" in note


def test_a_sweep_of_which_nothing_came_fails(home, serve):
    server = serve(lambda seen: (401, {}, {"error": {"message": "no such key", "code": "invalid_api_key"}}))
    with raising(e.RequestRefused, 3, "lab", status=401, remedy=Remedy.CHECK_KEY) as caught:
        make_studio(home, server).imagine("a fox", seed=[1, 2, 3])
    assert len(str(caught.value).splitlines()) == 2


def test_a_429_slows_all_of_them_down(home, serve):
    times, lock = [], threading.Lock()

    def answer(seen):
        with lock:
            times.append(time.monotonic())
            first = len(times) == 1
        return (429, {"Retry-After-ms": "600"}, b"") if first else good(seen)

    server = serve(answer)
    made = make_studio(home, server, max_parallel=1).imagine("a fox", seed=[1, 2, 3])
    assert not made.failed
    assert times[1] - times[0] >= 0.6


def test_no_more_than_max_parallel_at_once_and_servers_beside_each_other(home, serve):
    most, now, lock = {}, {}, threading.Lock()

    def counting(*names):
        def answer(seen):
            with lock:
                for name in names:
                    now[name] = now.get(name, 0) + 1
                    most[name] = max(most.get(name, 0), now[name])
            time.sleep(0.15)
            with lock:
                for name in names:
                    now[name] -= 1
            return good(seen)

        return answer

    first, second = serve(counting("first", "both")), serve(counting("second", "both"))
    studio = make_studio(home, first, others=[second], max_parallel=3, max_calls=40)
    assert not studio.imagine("a fox", seed=range(12), endpoint=["lab", "lab2"]).failed
    assert (most["first"], most["second"]) == (3, 3)
    assert most["both"] > 3


def test_images_to_start_from_are_opened_once_for_all(home, serve):
    server = serve(lambda seen: (200, {}, {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}))
    studio = make_studio(home, server)
    plan = studio.plan(from_call("a hat", {"image": image_bytes(80, 60, kind="BMP"), "seed": range(3)}))
    files = [call.files for call in plan.calls]
    assert all(file[name] is files[0][name] for file in files for name in files[0])
    assert not studio.carry_out(plan).failed
    assert [post.path.endswith("/edits") for post in server.posts] == [True] * 3


def test_a_single_call_waits_for_its_turn_not_for_the_end_of_a_sweep(home, serve):
    server = serve(lambda seen: (time.sleep(0.05), good(seen))[1])
    studio = make_studio(home, server, max_parallel=1)
    sweep = threading.Thread(target=lambda: studio.imagine("a fox", seed=range(12)))
    sweep.start()
    while not server.posts:
        time.sleep(0.005)
    studio.imagine("a cat", seed=99)
    sweep.join()
    assert asked(server, "seed").index((99,)) < 6


# Interrupts


class Stops(ProgressDisplay):
    """Presses the stop button once so many have come, and something else is so."""

    def __init__(self, after, also=lambda: True):
        self.after, self.also, self.lines = after, also, []

    def planned(self, plan):
        pass

    def working(self, batch):
        self.lines.append(sum(call.has_images for call in batch.calls))
        if sum(call.has_images for call in batch.calls) >= self.after and self.also():
            raise KeyboardInterrupt

    def failed(self, batch):
        self.last = batch.snapshot()


def test_an_interrupt_starts_no_more_and_keeps_what_came(home, serve):
    go = threading.Event()

    def answer(seen):
        if seen.json["seed"] > 3:
            go.wait(10)
        return good(seen)

    server = serve(answer)
    studio = make_studio(home, server, max_parallel=2)
    plan = studio.plan(from_call("a fox", {"seed": range(1, 11)}))
    painter = Stops(after=3, also=lambda: len(server.posts) == 5)
    with raising(e.Detached, remedy=Remedy.RUN_MISSING) as caught:
        studio.carry_out(plan, painter)
    assert values_of(caught.value) == ["10", "3", "2", "5"]  # done, in progress, not sent
    assert len(str(caught.value).splitlines()) == 2
    assert [bool(tile) for tile in painter.last] == [True] * 3 + [False] * 7
    assert [tile.error for tile in painter.last][3:5] == [WAIT["in progress"]] * 2
    assert painter.last[5].error.startswith(STOPPED)
    go.set()
    made = studio.imagine("a fox", seed=range(1, 11))
    assert not made.failed
    assert sorted(asked(server, "seed")) == [(seed,) for seed in range(1, 11)]
    assert studio.ledger.in_flight() == frozenset()


def test_a_painter_that_fails_lets_no_more_be_sent(home, serve):
    server = serve(lambda seen: (time.sleep(0.1), good(seen))[1])

    class Fails(Stops):
        def working(self, batch):
            raise IndexError

    studio = make_studio(home, server, max_parallel=1)
    with pytest.raises(IndexError):
        studio.carry_out(studio.plan(from_call("a fox", {"seed": range(10)})), Fails(0))
    time.sleep(0.6)
    assert len(server.posts) <= 4
    assert studio.ledger.in_flight() == frozenset()


def test_the_seconds_of_a_tile_are_its_own(home, serve):
    busy = [2]

    def answer(seen):
        if seen.json["seed"] in busy:
            busy.clear()
            return 429, {"Retry-After": "2"}, b""
        return good(seen)

    made = make_studio(home, serve(answer), max_parallel=2).imagine("a fox", seed=range(1, 6))
    assert not made.failed
    assert sum(row["seconds"] for row in made.rows) < 2  # of the pause, which all of them kept


def test_a_stopped_sweep_sends_nothing_more_once_a_pause_is_over(home, serve):
    busy = [True]
    server = serve(lambda seen: (429, {"Retry-After": "1"}, b"") if busy[0] else good(seen))
    studio = make_studio(home, server, max_parallel=4)
    painter = Stops(after=0, also=lambda: bool(server.posts))
    with raising(e.Detached, 6) as caught:
        studio.carry_out(studio.plan(from_call("a fox", {"seed": range(6)})), painter)
    assert caught.value.billed is False
    assert studio.ledger.in_flight() == frozenset()
    assert {tile.error.splitlines()[0].partition(":")[0] for tile in painter.last} <= {
        WAIT["postponed"],
        WAIT["not sent"],
        STOPPED,
    }
    before, busy[0] = len(server.posts), False
    time.sleep(1.5)
    assert len(server.posts) == before
    assert not studio.imagine("a fox", seed=range(6)).failed
    assert len(server.posts) == before + 6
    assert {run.status for run in studio.store.runs()} <= {Status.DONE, Status.RATE_LIMITED, Status.NOT_SENT}


@pytest.mark.parametrize("among", [True, False])
def test_a_call_that_somebody_else_waits_for_is_carried_through(home, serve, among):
    go, busy = threading.Event(), {1, 2}

    def answer(seen):
        go.wait(20)
        if seen.json["seed"] in busy:
            busy.discard(seen.json["seed"])
            return 429, {"Retry-After-ms": "100"}, b""
        return good(seen)

    server = serve(answer)
    studio, made = make_studio(home, server, max_parallel=4), []
    waits = threading.Thread(target=lambda: made.append(studio.imagine("a fox", seed=[1, 2] if among else 1)))

    def also():
        if len(server.posts) == 2 and not among and not waits.is_alive():
            waits.start()  # before the sweep is stopped
            while not [job for job in studio.ledger._calls.values() if job.shared]:
                time.sleep(0.01)
        return len(server.posts) == 2

    with raising(e.Detached, billed=False, remedy=Remedy.RUN_MISSING) as caught:
        studio.carry_out(studio.plan(from_call("a fox", {"seed": [1, 2]})), Stops(0, also))
    assert values_of(caught.value) == ["2", "2"]
    if among:
        waits.start()  # the cell that was stopped, run again
        while len([job for job in studio.ledger._calls.values() if job.shared]) < 2:
            time.sleep(0.01)
    go.set()
    waits.join()
    assert made
    assert not among or not made[0].failed
    assert len(server.posts) == (4 if among else 3)


def test_the_only_missing_call_of_a_sweep_is_not_sent_once_that_is_stopped(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (seen.json["seed"] == 9 and go.wait(20), good(seen))[1])
    studio = make_studio(home, server, max_parallel=1)
    studio.imagine("a fox", seed=1)
    other = threading.Thread(target=lambda: studio.imagine("a fox", seed=9))
    other.start()
    while len(server.posts) < 2:
        time.sleep(0.01)
    with raising(e.Detached, billed=False) as caught:
        studio.carry_out(studio.plan(from_call("a fox", {"seed": [1, 2]})), Stops(after=1))
    assert values_of(caught.value) == ["2", "1", "1"]  # done, not sent
    go.set()
    other.join()
    time.sleep(0.5)
    assert sorted(asked(server, "seed")) == [(1,), (9,)]
    assert studio.imagine("a fox", seed=2).number == 3  # as if it had never been asked for


def test_what_is_given_up_is_what_was_given_up(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (go.wait(20), good(seen))[1])
    studio = make_studio(home, server, max_parallel=4)
    for seeds, counts, billed in (
        (range(2), ["2", "2"], False),  # in progress
        (range(4), ["4", "2", "2"], None),  # cancelled, in progress
    ):
        also = lambda seeds=seeds: len(server.posts) == len(seeds)  # noqa: E731
        with raising(e.Detached, billed=billed) as caught:
            studio.carry_out(studio.plan(from_call("a fox", {"seed": seeds})), Stops(0, also))
        assert values_of(caught.value) == counts
    go.set()
    assert not studio.imagine("a fox", seed=[2, 3]).failed
    assert len(server.posts) == 4


def test_another_interrupt_while_it_stops_leaves_nothing_behind(home, serve, monkeypatch):
    server = serve(lambda seen: (time.sleep(0.05), good(seen))[1])
    studio = make_studio(home, server, max_parallel=1, max_calls=500, max_images=500)
    settle, calls = studio.ledger.settle, []

    def interrupted(job):
        calls.append(job)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        settle(job)

    monkeypatch.setattr(studio.ledger, "settle", interrupted)
    with raising(e.Detached, 100):
        studio.carry_out(studio.plan(from_call("a fox", {"seed": range(100)})), Stops(after=1))
    assert len(studio.ledger.in_flight()) <= 2
    assert not studio.imagine("a fox", seed=range(100), timeout=60).failed
    assert len(server.posts) == 100


def test_a_second_interrupt_gives_up_what_is_under_way(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (go.wait(10), good(seen))[1])
    studio = make_studio(home, server, max_parallel=2)
    for billed in (False, None):  # in progress, then cancelled
        with raising(e.Detached, 4, 2, billed=billed):
            studio.carry_out(studio.plan(from_call("a fox", {"seed": range(4)})), Waits())
    go.set()
    assert len(server.posts) == 2


def test_a_painter_hears_of_every_sweep_also_of_one_that_is_over_at_once(home, serve):
    studio, painter = make_studio(home, serve(good), max_parallel=8), Stops(after=99)
    studio.carry_out(studio.plan(from_call("a fox", {"seed": range(2)})), painter)
    assert painter.lines


class Waits(Stops):
    """Presses it as soon as calls are at the server."""

    def __init__(self):
        super().__init__(0)

    def working(self, batch):
        if sum(call.token.sent for call in batch.calls) >= 2:
            raise KeyboardInterrupt


def test_a_sweep_waits_for_a_call_that_is_under_way_already(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (go.wait(10), good(seen))[1])
    studio = make_studio(home, server)
    thread = threading.Thread(target=lambda: studio.imagine("a fox", seed=1))
    thread.start()
    while not server.posts:
        time.sleep(0.01)
    threading.Timer(0.3, go.set).start()
    made = studio.imagine("a fox", seed=[1, 2])
    thread.join()
    assert not made.failed
    assert len(server.posts) == 2


def test_a_call_that_was_under_way_is_the_last_one_once_it_is_shown(home, serve):
    go = threading.Event()
    server = serve(lambda seen: ("fox" in seen.json["prompt"] and go.wait(10), good(seen))[1])
    studio = make_studio(home, server)
    thread = threading.Thread(target=lambda: studio.imagine("a fox", seed=1))
    thread.start()
    while not server.posts:
        time.sleep(0.01)
    studio.imagine("an owl", seed=1)
    assert studio.find("-1")[0].request.prompt == "an owl"
    threading.Timer(0.2, go.set).start()
    studio.imagine("a fox", seed=1)
    thread.join()
    assert studio.find("-1")[0].request.prompt == "a fox"
    assert len(server.posts) == 2


def test_where_no_thread_is_to_be_had_nothing_is_sent(home, serve, monkeypatch):
    server = serve(good)
    studio, start = make_studio(home, server), threading.Thread.start

    def refused(thread):
        if thread.name.startswith("imagine"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    for seed in (1, [1, 2]):
        with pytest.raises(e.Detached, match="can't start new thread"):
            studio.imagine("a fox", seed=seed)
    monkeypatch.undo()
    assert studio.imagine("a fox", seed=1).number == 1


def test_numbers_that_no_run_took_do_not_count(home, serve):
    go = threading.Event()
    servers = [serve(lambda seen: (seen.json["seed"] > 1 and go.wait(10), good(seen))[1]) for _ in range(2)]
    studio = make_studio(home, servers[0], others=servers[1:], max_parallel=1, max_calls=20)
    swept = {"seed": range(1, 9), "endpoint": ["lab", "lab2"]}
    with pytest.raises(e.Detached):
        studio.carry_out(studio.plan(from_call("a fox", swept)), Stops(after=2))
    go.set()
    numbers = [generation.number for generation in studio.history]
    assert numbers != list(range(1, len(numbers) + 1))
    assert [studio.history[-k].number for k in range(1, len(numbers) + 1)] == numbers[::-1]
    with pytest.raises(e.NotInHistory):
        studio.history[-len(numbers) - 1]


def test_the_time_that_a_cell_waits_is_for_the_whole_sweep(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (seen.json["seed"] and go.wait(20), good(seen))[1])
    studio = make_studio(home, server, max_parallel=1)
    with raising(e.Detached, billed=False) as caught:
        studio.imagine("a fox", seed=range(5), timeout=3)
    assert values_of(caught.value) == ["3", "5", "1", "1", "3"]  # seconds, calls, done, in progress, not sent
    go.set()


def test_what_may_have_been_billed_comes_first_and_is_counted(home, serve):
    server = serve(three_fail)
    with raising(e.OutcomeUnknown, 3, 1, billed=None, status=None):
        make_studio(home, server).imagine("a fox", seed=[3, 9, 6])


def test_what_cannot_be_read_back_may_have_been_billed(home, serve, monkeypatch):
    server = serve(lambda seen: three_fail(seen) if seen.json["seed"] == 3 else good(seen))
    send = client.exchange

    def unreadable(call, *rest, **how):
        outcome = send(call, *rest, **how)
        if outcome.status is Status.DONE:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return outcome

    monkeypatch.setattr(client, "exchange", unreadable)
    with raising(e.StoreError, 2, 1, billed=None, remedy=Remedy.FREE_SPACE):
        make_studio(home, server).imagine("a fox", seed=[3, 1])


def test_a_stop_counts_what_may_have_been_billed(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (seen.json["seed"] == 4 and go.wait(20), three_fail(seen))[1])
    with raising(e.Detached, billed=None, remedy=Remedy.RETRY_UNKNOWN) as caught:
        make_studio(home, server).imagine("a fox", seed=[9, 3, 4], timeout=2)
    go.set()
    assert values_of(caught.value) == ["2", "3", "1", "1", "1"]  # in progress, unknown, failed


def test_calls_that_were_under_way_are_not_asked_again(home, serve):
    go = threading.Event()
    server = serve(lambda seen: (go.wait(20), good(seen))[1])
    studio = make_studio(home, server)
    with pytest.raises(e.Detached):
        studio.imagine("a fox", seed=[1, 2], timeout=1)
    plan = studio.plan(from_call("a fox", {"seed": [1, 2, 3]}))
    assert plan.summary.startswith("1 call · 1 image · 2 ")
    assert reports.report_plan(plan, studio.write_calls(plan)).count(CAPTION["in flight"]) == 2
    threading.Timer(0.5, go.set).start()
    made = studio.imagine("a fox", seed=[1, 2, 3])
    assert "1 call " in made.caption.splitlines()[-1]
    assert len(server.posts) == 3


@pytest.mark.parametrize(
    "swept",
    [
        {"prompt": ["a", "a "]},
        {"prompt": "a fox", "model": ["b", "b"]},
        {"prompt": "a fox", "quality": ["low", "LOW"]},
        {"prompt": "a fox", "seed": [1, 2, 1]},
        {"prompt": "a fox", "endpoint": ["lab", "lab"]},
    ],
    ids=str,
)
def test_a_value_given_twice_is_asked_once_and_has_two_rows(home, serve, swept):
    server = serve(good)
    made = make_studio(home, server).imagine(**swept)
    (values,) = (value for value in swept.values() if isinstance(value, list))
    assert len(server.posts) == len(made) == len(values) - 1
    assert len(made.rows) == len(values)
    assert made.rows[0]["id"] == made.rows[-1]["id"]


def test_a_column_keeps_its_rows_and_its_index(home, serve):
    import pandas as pd

    server = serve(good)
    prompts = pd.Series(["a fox", "a cat", "a fox"], index=pd.Index(["r", "s", "t"], name="row"))
    made = make_studio(home, server).imagine(prompts, seed=pd.Series([4.0, None, 5.0]).dropna())
    assert len(server.posts) == len(made) == 4
    frame = pickle.loads(pickle.dumps(made)).to_dataframe()
    assert list(frame.index) == ["r", "r", "s", "s", "t", "t"]
    assert frame.index.name == "row"
    assert list(frame["seed"]) == [4, 5] * 3
    assert list(frame["prompt"]) == ["a fox", "a fox", "a cat", "a cat", "a fox", "a fox"]
    assert list(frame["id"][:2]) == list(frame["id"][4:])
    single = make_studio(home, server).imagine(prompts, size="64x48").to_dataframe()
    assert single["prompt"].equals(prompts.rename("prompt"))


def test_a_gap_in_a_column_names_its_row(home, serve):
    import numpy as np
    import pandas as pd

    server = serve(good)
    for gap in (None, np.nan, pd.NA, " "):
        with raising(e.InvalidInput, 2, "k9"):
            make_studio(home, server).imagine(pd.Series(["a fox", gap, "a cat"], index=["k7", "k9", "k8"]))
    for seeds in ([7, None], np.array([7, np.nan]), pd.array([7, pd.NA], dtype="Int64")):
        with raising(e.InvalidOption, "seed", 2):
            make_studio(home, server).imagine("a fox", seed=seeds)
    assert not server.posts


def test_values_of_other_libraries_are_values(home, serve):
    import enum

    import numpy as np

    class Look(enum.Enum):
        CHEAP = "low"
        WIDE = (64, 48)

    server = serve(good)
    studio = make_studio(home, server)
    typed = {"n": np.int32(2), "guidance_scale": np.float32(0.1), "quality": Look.CHEAP, "size": Look.WIDE}
    more = {"extra": {"a": np.int64(3), "b": [np.float32(0.5), np.str_("x")]}, "watermark": np.True_}
    fox = studio.imagine(np.str_("a fox"), **typed, **more, timeout=np.float64(60))
    (sent,) = (post.json for post in server.posts)
    assert (sent["n"], sent["guidance_scale"], sent["quality"], sent["size"]) == (2, 0.1, "low", "64x48")
    assert (sent["a"], sent["b"], sent["watermark"]) == (3, [0.5, "x"], True)
    plain = {"n": 2, "guidance_scale": 0.1, "quality": "low", "size": "64x48", "watermark": True}
    again = studio.imagine("a fox", **plain, extra={"a": 3, "b": [0.5, "x"]})
    assert again.id == fox.id
    assert again.reused


@pytest.mark.parametrize("name", ["seed", "model", "prompt"])
def test_nothing_stands_in_place_of_a_list(home, serve, name):
    server = serve(good)
    swept = {"prompt": "a fox", name: [1, 2] if name == "seed" else ["a hen", "an owl"]}
    with raising(e.InvalidOption, "extra", name):
        make_studio(home, server).imagine(**swept, extra={name: 3})
    assert not server.posts


# Keeping


def test_what_comes_later_takes_the_name_that_was_left_for_it(home, serve, tmp_path):
    failing = {3}
    server = serve(lambda seen: three_fail(seen) if seen.json["seed"] in failing else good(seen))
    templates = {
        "a/{index}": "2.png",
        "b/fox": "fox-2.png",
        "c/{seed}-{index}": "3-1.png",
        "d/{seed}": "3.png",
    }
    part = make_studio(home, server).imagine("a fox", seed=[1, 3, 2])
    before = {template: part.save(tmp_path / template) for template in templates}
    failing.clear()
    whole = make_studio(home, server).imagine("a fox", seed=[1, 3, 2])
    for template, added in templates.items():
        files = whole.save(tmp_path / template)
        assert [file.name for file in files if file not in before[template]] == [added]
        assert [file.read_bytes() for file in files] == [tile[0].bytes for tile in whole]
        assert len(list(files[0].parent.iterdir())) == 3


def test_what_did_not_come_is_not_saved_in_silence(home, serve, tmp_path):
    made = make_studio(home, serve(three_fail)).imagine("a fox", seed=[1, 3])
    with pytest.raises(e.StoreError, match=r"lab .*400"):
        made[1].save(tmp_path / "fox")
    with raising(e.InvalidOption, tmp_path, tmp_path / "{id}"):
        made.save(tmp_path)
    assert not list(tmp_path.glob("*.png"))


def test_a_folder_that_nobody_may_write_in_is_told_before_anything_is_paid():
    code = """
import os, sys
from ipyimagegen.results import saving
if os.getuid() == 0:  # who may do anything
    os.setuid(65534)
saving.check_place(sys.argv[1])
"""
    for template in ("/{model}/fox", "/etc/new/{seed}"):
        done = subprocess.run(
            [sys.executable, "-c", code, template], capture_output=True, text=True, check=False
        )
        place = template[: template.index("/", 1)].partition("{")[0]
        *_, error = done.stderr.splitlines()
        assert error.startswith("ipyimagegen.core.errors.InvalidOption")
        assert re.search(rf"{re.escape(template)}: .* {place}\.", error)


def test_a_sweep_is_compared_as_its_runs(home, serve):
    studio = make_studio(home, serve(good))
    made = studio.imagine(["a fox", "an owl"], seed=[1, 2])
    assert str(studio.history.compare(made)) == str(studio.history.compare(*made))
    with raising(e.InvalidOption, 1, 12):
        studio.history.compare(made[0])


def test_only_what_would_have_one_name_is_numbered(home, serve, tmp_path):
    made = make_studio(home, serve(good)).imagine(["a fox", "an owl"], seed=[1, 2], n=2)
    names = [file.name for file in made.save(tmp_path / "{seed}")]
    assert names == [f"{seed}-{k}.png" for half in ((1, 2), (3, 4)) for seed in (1, 2) for k in half]


def test_a_sweep_is_pickled_and_saved_by_template(home, serve, tmp_path):
    made = make_studio(home, serve(good)).imagine("a fox", seed=[1, 2, 3])
    back = pickle.loads(pickle.dumps(made))
    assert [tile[0].bytes for tile in back] == [tile[0].bytes for tile in made]
    assert back.caption.splitlines()[0] == made.caption.splitlines()[0]
    for template, names in (
        ("by/{seed}", ["1.png", "2.png", "3.png"]),
        ("at/fox", ["fox-1.png", "fox-2.png", "fox-3.png"]),
        ("to/{index}-{model}", ["1-default.png", "2-default.png", "3-default.png"]),
    ):
        files = made.save(tmp_path / template)
        assert [file.name for file in files] == names
        assert [file.read_bytes() for file in files] == [tile[0].bytes for tile in made]
        assert made.save(tmp_path / template) == files


def test_costs_are_added_up_apart_from_the_estimate(home, serve):
    usage = {"input_tokens": 10, "output_tokens": 1000, "input_tokens_details": {"image_tokens": 0}}
    server = serve(lambda seen: (200, {}, {**good(seen)[2], "usage": usage}))
    studio = Studio(
        home=home,
        environ={"OPENAI_API_KEY": "sk-" + "a" * 40},
        settings=Settings(
            endpoints={
                "openai": {"base_url": server.base_url, "vendor": "openai", "free": False, "allow_key": True}
            }
        ),
    )
    made = studio.imagine(
        "a fox", model="gpt-image-1.5", quality=["low", "medium"], size="1024x1024", endpoint="openai"
    )
    last = made.caption.splitlines()[-1]
    spent = sum(tile.cost.amount for tile in made)
    assert {tile.cost.basis for tile in made} == {"usage"}
    assert "2 calls" in last
    assert f"estimate ${0.009 + 0.034:.3f}" in last
    assert f"spent ${spent:.4f}".rstrip("0") in last
