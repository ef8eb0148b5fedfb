"""The wire: one call is written, sent once, and its answer read. Only here are requests and urllib3.

`write_call` makes a request into a `HttpCall`, `exchange` posts it exactly once and says what became of it,
`find_repeat_delay` says whether and when it may be sent again, `download` fetches an image's address,
`probe` asks a server something that is free, `StoredResponse` reads a reply again that lies on disk.
Nothing here raises for what a network or server does. Modules come in at the first use of a name,
requests with `exchange` and `download`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipyimagegen.client.answers import Answer
    from ipyimagegen.client.control import CancelToken, Progress
    from ipyimagegen.client.dialects import DIALECTS, HttpCall, write_call
    from ipyimagegen.client.downloads import download
    from ipyimagegen.client.found import ResponseImage
    from ipyimagegen.client.outcome import Outcome, Timeouts, find_repeat_delay, make_not_sent
    from ipyimagegen.client.parcels import PackedOutcome, pack_outcome, unpack_outcome
    from ipyimagegen.client.probing import ProbeResult, probe
    from ipyimagegen.client.reply import IMAGE_LIMIT
    from ipyimagegen.client.spooled import StoredResponse
    from ipyimagegen.client.transport import exchange

__all__ = [
    "DIALECTS",
    "IMAGE_LIMIT",
    "Answer",
    "CancelToken",
    "HttpCall",
    "Outcome",
    "PackedOutcome",
    "ProbeResult",
    "Progress",
    "ResponseImage",
    "StoredResponse",
    "Timeouts",
    "download",
    "exchange",
    "find_repeat_delay",
    "make_not_sent",
    "pack_outcome",
    "probe",
    "unpack_outcome",
    "write_call",
]

_LATER = {
    "Answer": "answers",
    "CancelToken": "control",
    "Progress": "control",
    "DIALECTS": "dialects",
    "HttpCall": "dialects",
    "write_call": "dialects",
    "download": "downloads",
    "ResponseImage": "found",
    "Outcome": "outcome",
    "Timeouts": "outcome",
    "make_not_sent": "outcome",
    "find_repeat_delay": "outcome",
    "PackedOutcome": "parcels",
    "pack_outcome": "parcels",
    "unpack_outcome": "parcels",
    "ProbeResult": "probing",
    "probe": "probing",
    "IMAGE_LIMIT": "reply",
    "StoredResponse": "spooled",
    "exchange": "transport",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
