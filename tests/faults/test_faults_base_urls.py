"""Addresses as people have them, and the same request in another spelling: the right URL, paid once."""

import json

import pytest
from lab import PAINTED
from sockets import images, reply

from ipyimagegen.core.run import Status

VERSION = "api-version=2025-04-01-preview"
ROUTE = "/openai/deployments/gpt-image-1.5/images/generations"
AZURE = {
    f"{ROUTE}?{VERSION}": f"{ROUTE}?{VERSION}",
    f"{ROUTE.replace('generations', 'edits')}/?{VERSION}": f"{ROUTE}?{VERSION}",
    "/openai/deployments/gpt-image-1.5/": ROUTE,
    f"/openai?{VERSION}": f"{ROUTE}?{VERSION}",
    "/openai": "/openai/v1/images/generations",
    "/openai/v1?api-version=preview": "/openai/v1/images/generations?api-version=preview",
    "/": "/openai/v1/images/generations",
}
PATHS = {
    "/v2": "/v2/images/generations",
    "/api/paas/v4/": "/api/paas/v4/images/generations",
    "/openai/v1beta": "/openai/v1beta/images/generations",
    "/api/v3/chat/completions/": "/api/v3/images/generations",
    "/compatible-mode/v1/models": "/compatible-mode/v1/images/generations",
    "/v1/embeddings": "/v1/images/generations",
    "/v1/responses": "/v1/images/generations",
    "": "/v1/images/generations",
}


def as_asked(conn, seen):
    """Answer with as many images as were asked for, at whatever path."""
    conn.sendall(reply(images(json.loads(seen.body).get("n", 1), of=PAINTED)))


def list_targets(server):
    return [request.line.split()[1] for request in server.seen]


def test_81_addresses_of_azure(lab):
    server = lab.serve(as_asked)
    for number, given in enumerate(AZURE):
        lab.use(server.origin, base_url=server.origin + given, dialect="azure")
        lab.cell(f"%imagine -m gpt-image-1.5 a fox {number}")
    assert list_targets(server) == list(AZURE.values())
    given = f"{server.origin}/v1/images/edits?api-version=preview"  # it is no part of a record
    for code in (f"%imagine --endpoint {given} an owl", "%imagine_rerun -1"):
        lab.cell(code)
    assert list_targets(server)[-2:] == ["/v1/images/generations?api-version=preview"] * 2
    assert {request.headers.get("api-key") for request in server.seen[:-2]} == {lab.secrets[0]}
    lab.cell("%imagine --endpoint https://me.openai.azure.com/openai/deployments/my-images a fox")
    lab.check([Status.DONE] * (len(AZURE) + 2), len(AZURE) + 2, VERSION, images=0)


def test_82_base_urls_with_a_path_of_their_own(lab):
    server = lab.serve(as_asked)
    for number, given in enumerate(PATHS):
        lab.use(server.origin, base_url=f"  “{server.origin}{given}” ")
        lab.cell(f"%imagine -m m a fox {number}")
    assert list_targets(server) == list(PATHS.values())
    lab.check([Status.DONE] * len(PATHS), len(PATHS))


@pytest.mark.parametrize("typed", ["a cafe\u0301 in Paris\r\nby night", "a caf\u00e9 in Paris\nby night"])
def test_83_the_same_request_in_another_spelling(lab, typed):
    server = lab.serve(as_asked)
    lab.cell(f"from ipyimagegen import imagine\nimagine({typed!r}, extra={{'mood': 'caf\\u00e9'}})")
    for prompt in ("  a caf\u00e9 in Paris\r\nby night\n", "a cafe\u0301 in Paris\rby night", typed):
        lab.cell(f"imagine({prompt!r}, extra={{'mood': 'cafe\\u0301'}})")
    upper = server.origin.replace("http", "HTTP")
    for address in (f"{upper}/", f"{server.origin}/v1/", f"{server.origin}/v1/images/generations"):
        lab.use(server.origin, base_url=address)
        lab.cell(f"imagine({typed!r}, extra={{'mood': 'caf\\u00e9'}})")
    lab.cell(f"imagine([{typed!r}, 'a hen'], extra={{'mood': 'caf\\u00e9'}})")
    assert [json.loads(request.body)["prompt"] for request in server.seen] == [typed, "a hen"]
    lab.check([Status.DONE] * 2, 2, "from history", images=1)
