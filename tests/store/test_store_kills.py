"""Writers that are killed at random times: nothing damaged, lost, or paid twice."""

import json
import os

import pytest
from loopback import b64, image_bytes
from random_kills import Game, check, make_studio
from store_story import pending

from ipyimagegen.core.request import PreparedRequest
from ipyimagegen.core.run import Status
from ipyimagegen.session.processing import ResponseProcessor
from ipyimagegen.store import Store

KILLS = 24  # benchmarks/kills.py does as many as one likes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("seed", [1])
def test_random_kills_of_three_writers(quick, serve, seed):
    game = Game(home=quick / "home", serve=serve, seed=seed)
    game.play(KILLS)
    figures = check(game)
    assert figures["done"] > KILLS


@pytest.mark.parametrize("came", [b"", b'{"data": [{"b64_json": "aGFsZi'], ids=["nothing", "a part"])
def test_a_look_leaves_a_reply_that_another_process_still_writes(quick, came):
    fresh = make_studio(quick, "http://127.0.0.1:9/v1")
    run = pending(1)
    fresh.store.create(run)
    reply = fresh.store.spool(run)
    reply.write_bytes(came)
    make_studio(quick, "http://127.0.0.1:9/v1").recover_responses()
    assert reply.read_bytes() == came
    assert fresh.store.run(run.id) == run


def test_a_look_changes_no_record_that_its_owner_has_written_meanwhile(quick, monkeypatch):
    fresh = make_studio(quick, "http://127.0.0.1:9/v1")
    run = pending(1)
    fresh.store.create(run)
    body = {"created": 1, "data": [{"b64_json": b64(image_bytes())}]}
    fresh.store.spool(run).write_text(json.dumps(body))
    owned = run.replace(status=Status.DONE, sent=PreparedRequest(request_id="its own"))
    process = ResponseProcessor.process

    def slowly(*arguments):
        Store(quick).update(owned)  # the owner was faster
        return process(*arguments)

    monkeypatch.setattr(ResponseProcessor, "process", slowly)
    fresh.recover_responses()
    assert fresh.store.run(run.id) == owned
