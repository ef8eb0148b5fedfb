"""A call's pictures as server-sent events, each made when its turn comes.

For every picture come its partial ones and then `completed`, for n > 1 one after another, and the
stream ends; the API sends no `[DONE]`. Pictures are always base64 here, as the API's models have
it, so `response_format: "url"` changes nothing.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ipyimagegen.sketch.server import faults
from ipyimagegen.sketch.server.replies import Reply, failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipyimagegen.sketch.server.calls import Work


Turn = Callable[[], AbstractContextManager[None]]


def stream(work: Work, turn: Turn, report: Callable[[Exception], None]) -> Reply:
    """Return the reply whose body draws as it goes: in its turn, but never while it waits or sends."""
    events = _guarded(work, turn, report)
    return Reply(200, events, "text/event-stream", {"Cache-Control": "no-cache"})


def _guarded(work: Work, turn: Turn, report: Callable[[Exception], None]) -> Iterator[bytes]:
    """Yield the events; what fails on the way is told as an event, for the status has gone out."""
    try:
        yield from _events(work, turn)
    except ConnectionError:  # the client has gone
        raise
    except Exception as error:  # noqa: BLE001 - a server answers whatever happens inside it
        report(error)
        yield _event("error", failure())


def _events(work: Work, turn: Turn) -> Iterator[bytes]:
    asked, partials = work.asked, work.asked["partial_images"]
    count = faults.count(work.fault, asked["n"])
    share = 1 / max(1, count * (partials + 1))
    if not count:
        yield _event("error", failure("No image was generated."))
    pictures = work.pictures()
    for k in range(1, count + 1):
        with turn():
            picture = next(pictures)
        for index in range(partials):
            yield from faults.wait(work.fault, share)
            with turn():
                sketchy = work.encoded(work.partial(picture, (index + 1) / (partials + 1)))
            yield _picture(work, "partial_image", sketchy, partial_image_index=index)
        yield from faults.wait(work.fault, share)
        if work.fault == "cut" and k == count:
            return
        with turn():
            data = work.encoded(picture)
        yield _picture(work, "completed", data, usage=work.usage(1, partials))


def _picture(work: Work, state: str, data: bytes, **more: Any) -> bytes:
    payload = {"b64_json": base64.b64encode(data).decode(), "created_at": int(time.time())}
    return _event(f"{work.kind}.{state}", {**payload, **work.facts, **more})


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    text = json.dumps({"type": kind, **payload}, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()
