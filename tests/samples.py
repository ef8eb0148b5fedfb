"""A request, an image and a run with the few members that a test needs."""

from ipyimagegen.core.request import Request
from ipyimagegen.core.run import ImageRecord, Run


def request(**changes):
    return Request(**{"endpoint": "lab", "base_url": "http://127.0.0.1/v1", "prompt": "a fox", **changes})


def image(index=1, **changes):
    members = {"sha256": "ab" * 32, "mime": "image/png", "width": 1024, "height": 1024, "alpha": False}
    return ImageRecord(index=index, **{**members, **changes})


def run(**changes):
    members = {"session": "1120-k7f2", "number": 3, "identity": "x", "request": request(), "created": 1.0}
    return Run(**{**members, **changes})
