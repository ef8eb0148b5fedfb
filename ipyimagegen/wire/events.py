"""An event stream as the JSON body it stands for, so that one reader does for both.

OpenAI: image_generation.partial_image, .completed; Ark: .partial_succeeded is a finished picture,
.partial_failed one that failed, .completed has usage alone. An error may come in the midst of a 200.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ipyimagegen.options import Json

_STREAM = re.compile(r"\s*(?:data|event|id|retry)?:")
_FINISHED = ("completed", "succeeded")


def is_stream(text: str) -> bool:
    """Say whether `text` begins like server-sent events and not like JSON."""
    return bool(_STREAM.match(text))


def assemble(text: str, load: Callable[[str], Json]) -> tuple[Json, bool]:
    """Return {data, usage, …} of a whole stream, and whether it came to its end.

    Each `data:` line holds one JSON object, as all known servers write it. Without a finished
    picture the last partial one stands in `data` with `partial` true.
    """
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    events: list[Mapping[str, Json]] = []
    for line in lines:
        try:
            event = load(line)
        except ValueError:  # [DONE], or a line that was cut
            continue
        if isinstance(event, Mapping):
            events.append(event)
    if not events:
        raise ValueError("no events")
    pictures = [one for one in events if one.get("b64_json") or one.get("url")]
    finished = [one for one in pictures if str(one.get("type", "")).endswith(_FINISHED)]
    partial = [{**one, "partial": True} for one in pictures[-1:]] if not finished else []
    failed = [one for one in events if one.get("error")]
    usage = next((one["usage"] for one in reversed(events) if one.get("usage")), None)
    last = events[-1]
    ended = (
        lines[-1] == "[DONE]" or str(last.get("type", "")).endswith("completed") or bool(last.get("error"))
    )
    body = {"data": finished + partial + failed, "usage": usage, "created": last.get("created_at")}
    return body, ended
