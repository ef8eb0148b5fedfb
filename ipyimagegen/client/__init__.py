"""The wire: one call is written, sent once, and its answer read. Only here are requests and urllib3.

`write` makes a request into a `Call`, `exchange` posts it exactly once and says what became of it,
`repeat_after` says whether and when it may be sent again, `download` fetches an image's address,
`probe` asks a server something that is free, `Spooled` reads a reply again that lies on disk.
Nothing here raises for what a network or server does. Modules come in at the first use of a name,
requests with `exchange` and `download`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipyimagegen.client.answers import Answer
    from ipyimagegen.client.control import Control, Progress
    from ipyimagegen.client.dialects import DIALECTS, Call, write
    from ipyimagegen.client.downloads import download
    from ipyimagegen.client.found import Found
    from ipyimagegen.client.outcome import Outcome, Timeouts, never_sent, repeat_after
    from ipyimagegen.client.parcels import Parcel, packed, unpacked
    from ipyimagegen.client.probing import Probe, probe
    from ipyimagegen.client.reply import IMAGE
    from ipyimagegen.client.spooled import Spooled
    from ipyimagegen.client.transport import exchange

__all__ = [
    "DIALECTS",
    "IMAGE",
    "Answer",
    "Call",
    "Control",
    "Found",
    "Outcome",
    "Parcel",
    "Probe",
    "Progress",
    "Spooled",
    "Timeouts",
    "download",
    "exchange",
    "never_sent",
    "packed",
    "probe",
    "repeat_after",
    "unpacked",
    "write",
]

_LATER = {
    "Answer": "answers",
    "Control": "control",
    "Progress": "control",
    "DIALECTS": "dialects",
    "Call": "dialects",
    "write": "dialects",
    "download": "downloads",
    "Found": "found",
    "Outcome": "outcome",
    "Timeouts": "outcome",
    "never_sent": "outcome",
    "repeat_after": "outcome",
    "Parcel": "parcels",
    "packed": "parcels",
    "unpacked": "parcels",
    "Probe": "probing",
    "probe": "probing",
    "IMAGE": "reply",
    "Spooled": "spooled",
    "exchange": "transport",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
