"""An HTTP exchange: write a call, send it once, read its response. Only this folder uses requests.

`write_call` turns a request into an `HttpCall`, `exchange` posts it exactly once and returns its `Outcome`,
`find_repeat_delay` decides whether and when it may be sent again, `download` fetches the URL of an image,
`probe` sends a free request, `StoredResponse` reads a response again that is on disk. Nothing here raises for
what a network or server does. Modules are imported at the first use of a name, requests with `exchange`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipyimagegen.client.cancel import CancelToken, Timeouts
    from ipyimagegen.client.dialects import DIALECTS, HttpCall, write_call
    from ipyimagegen.client.downloads import download
    from ipyimagegen.client.outcome import (
        Outcome,
        PackedOutcome,
        StoredResponse,
        make_not_sent,
        pack_outcome,
        unpack_outcome,
    )
    from ipyimagegen.client.probing import ProbeResult, probe
    from ipyimagegen.client.response import ResponseImage
    from ipyimagegen.client.retry import find_repeat_delay
    from ipyimagegen.client.spool import IMAGE_LIMIT
    from ipyimagegen.client.transport import exchange

__all__ = [
    "DIALECTS",
    "IMAGE_LIMIT",
    "CancelToken",
    "HttpCall",
    "Outcome",
    "PackedOutcome",
    "ProbeResult",
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

_MODULES = {
    "DIALECTS": "dialects",
    "IMAGE_LIMIT": "spool",
    "CancelToken": "cancel",
    "HttpCall": "dialects",
    "Outcome": "outcome",
    "PackedOutcome": "outcome",
    "ProbeResult": "probing",
    "ResponseImage": "response",
    "StoredResponse": "outcome",
    "Timeouts": "cancel",
    "download": "downloads",
    "exchange": "transport",
    "find_repeat_delay": "retry",
    "make_not_sent": "outcome",
    "pack_outcome": "outcome",
    "probe": "probing",
    "unpack_outcome": "outcome",
    "write_call": "dialects",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
