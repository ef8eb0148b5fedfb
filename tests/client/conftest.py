"""Sockets that misbehave, certificates, and one way to post."""

import pytest
from sockets import KEY, credentials_of, endpoint_at

from ipyimagegen.client import CancelToken, Timeouts, exchange, write_call
from ipyimagegen.core.request import PreparedRequest, Request


@pytest.fixture
def serve(start):
    """Return what starts a raw server: here no other is needed."""
    return start


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def post(tmp_path):
    """Post one request to an origin and return the outcome; `of` is whose the key is."""

    def send(
        origin, *, n=1, token=None, timeouts=None, key=KEY, of=None, mounts=None, partial=None, **fields
    ):
        endpoint = endpoint_at(origin, **fields)
        request = Request(endpoint="lab", base_url=endpoint.base_url, prompt="a fox", options={"n": n})
        call = write_call(request, PreparedRequest(model="m", options={"n": n}), endpoint)
        return exchange(
            call,
            endpoint,
            credentials_of(key, of or endpoint.base_url) if key else None,
            spool=tmp_path / "reply.part",
            token=token or CancelToken(),
            timeouts=timeouts or Timeouts(connect=20, idle=20, whole=60),
            idempotency_key="once-1",
            mounts=mounts or {},
            partial=partial,
        )

    return send
