"""A call's pictures as server-sent events, each made when its turn comes.

For every picture come its partial ones and then `completed`, for n > 1 one after another, and the
stream ends; the API sends no `[DONE]`. Pictures are always base64 here, as the API's models have
it, so `response_format: "url"` changes nothing.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from ipyimagegen.sketch import faults
from ipyimagegen.sketch.replies import Reply, failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipyimagegen.sketch.calls import Work


def stream(work: Work) -> Reply:
    """Return the reply whose body draws as it goes."""
    return Reply(200, _guarded(work), "text/event-stream", {"Cache-Control": "no-cache"})


def _guarded(work: Work) -> Iterator[bytes]:
    """Yield the events; what fails on the way is told as an event, for the status has gone out."""
    try:
        yield from _events(work)
    except Exception:  # noqa: BLE001 - a server answers whatever happens inside it
        yield _event("error", failure())


def _events(work: Work) -> Iterator[bytes]:
    asked, partials = work.asked, work.asked["partial_images"]
    count = faults.count(work.fault, asked["n"])
    share = 1 / max(1, count * (partials + 1))
    if not count:
        yield _event("error", failure("No image was generated."))
    for k, picture in enumerate(work.pictures(), 1):
        for index in range(partials):
            yield from faults.wait(work.fault, share)
            sketchy = work.partial(picture, (index + 1) / (partials + 1))
            yield _picture(work, "partial_image", work.encoded(sketchy), partial_image_index=index)
        yield from faults.wait(work.fault, share)
        if work.fault == "cut" and k == count:
            return
        yield _picture(work, "completed", work.encoded(picture), usage=work.usage(1, partials))


def _picture(work: Work, state: str, data: bytes, **more: Any) -> bytes:
    payload = {"b64_json": base64.b64encode(data).decode(), "created_at": int(time.time())}
    return _event(f"{work.kind}.{state}", {**payload, **work.facts, **more})


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    text = json.dumps({"type": kind, **payload}, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()
