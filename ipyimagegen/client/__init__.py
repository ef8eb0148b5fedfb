"""An HTTP exchange: write a call, send it once, read its response. Only this folder uses requests.

`write_call` turns a request into an `HttpCall`, `exchange` posts it exactly once and returns its `Outcome`,
`find_repeat_delay` decides whether and when it may be sent again, `download` fetches the URL of an image,
`probe` sends a free request, `poll` asks what became of a job, `StoredResponse` reads a response again that
is on disk. Nothing here raises for what a network or server does.
"""

from ipyimagegen.client.body import HttpCall
from ipyimagegen.client.cancel import CancelToken, Timeouts
from ipyimagegen.client.dialects import DIALECTS, write_call
from ipyimagegen.client.downloads import FRESH, download
from ipyimagegen.client.jobs import explain_job, find_poll_url, poll
from ipyimagegen.client.listing import ListedModel
from ipyimagegen.client.response import (
    Outcome,
    ResponseImage,
    StoredResponse,
    find_bare_image,
    make_not_sent,
)
from ipyimagegen.client.retry import find_repeat_delay
from ipyimagegen.client.spool import IMAGE_LIMIT
from ipyimagegen.client.transport import (
    PackedOutcome,
    ProbeResult,
    exchange,
    pack_outcome,
    probe,
    unpack_outcome,
)

__all__ = [
    "DIALECTS",
    "FRESH",
    "IMAGE_LIMIT",
    "CancelToken",
    "HttpCall",
    "ListedModel",
    "Outcome",
    "PackedOutcome",
    "ProbeResult",
    "ResponseImage",
    "StoredResponse",
    "Timeouts",
    "download",
    "exchange",
    "explain_job",
    "find_bare_image",
    "find_poll_url",
    "find_repeat_delay",
    "make_not_sent",
    "pack_outcome",
    "poll",
    "probe",
    "unpack_outcome",
    "write_call",
]
