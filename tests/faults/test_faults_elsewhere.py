"""A server says 200, and the image is where nobody would look for it."""

import json

import pytest
from loopback import b64, image_bytes
from sockets import reply

from ipyimagegen.core.run import Status

PNG, JPEG, WEBP = (image_bytes(64, 48, (40, 90, 10), form) for form in ("PNG", "JPEG", "WEBP"))


def serve(lab, *responses):
    """Serve each response once, in order."""
    return lab.serve([*responses])


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP])
def test_63_base64_where_a_url_belongs(lab, data):
    server = serve(lab, reply({"data": [{"url": b64(data)}]}))
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[data], states=["stored"])
    assert len(server.seen) == 1  # base64 is never requested


def test_63_a_url_where_base64_belongs(lab):
    server = lab.serve([])
    server.answer = [
        reply({"data": [{"b64_json": f"{server.origin}/image"}]}),
        reply(PNG, kind="image/png"),
    ]
    lab.cell()
    lab.check(Status.DONE, 1, delivered=[PNG], states=["stored"])


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "200 OK"])
def test_63_a_response_is_kept_while_an_image_of_it_is_missing(lab, status):
    server = lab.serve([])
    body = {"data": [{"b64_json": b64(PNG)}, {"url": f"{server.origin}/gone?signature=7"}]}
    server.answer = [reply(body), reply(b"", status)]
    lab.cell("%imagine -n 2 a red fox")
    states = ["stored", "url_pending"]
    lab.check(Status.DONE, 1, delivered=[PNG], states=states, raw=json.dumps(body).encode())


def responses_of(url):
    """Return the bodies of servers that put their image elsewhere, by what they are."""
    text = b64(JPEG)
    return {
        "images": {"images": [{"url": url}], "timings": {"inference": 1.2}, "seed": 7},
        "texts": {"images": [text], "warnings": []},
        "image_urls": {
            "data": {"image_urls": [url]},
            "base_resp": {"status_code": 0, "status_msg": "success"},
        },
        "image_base64": {"id": "7", "data": {"image_base64": [text]}, "base_resp": {"status_code": 0}},
        "list of URLs": {"created": 1, "data": [{"url": [url]}]},
        "data of URLs": {"created": 1, "data": [url]},
        "chat": {
            "choices": [{"message": {"images": [{"image_url": {"url": f"data:image/jpeg;base64,{text}"}}]}}]
        },
        "responses": {"output": [{"type": "reasoning"}, {"type": "image_generation_call", "result": text}]},
        "prose": {"choices": [{"message": {"content": f"Here: ![x](data:image/jpeg;base64,{text}) Enjoy!"}}]},
        "text of a URL": {"choices": [{"message": {"content": f"![x]({url}) Enjoy!"}}]},
        "JSON in a text": {"code": 0, "data": json.dumps({"images": [text]})},
        "another name": {"code": 0, "msg": "ok", "res": {"picture": {"content": text}}},
    }


@pytest.mark.parametrize("shape", responses_of(""))
def test_66_an_image_outside_data(lab, shape):
    server = lab.serve([])
    body = responses_of(f"{server.origin}/a.png")[shape]
    server.answer = [reply(body), reply(JPEG, kind="image/jpeg")]
    assert len(lab.cell().images) == 1
    lab.check(Status.DONE, 1, delivered=[JPEG], states=["stored"])


def event(**fields):
    return f"data: {json.dumps(fields)}\n\n".encode()


STREAMS = {
    "responses": event(type="response.image_generation_call.partial_image", partial_image_b64=b64(PNG))
    + event(type="response.output_item.done", item={"type": "image_generation_call", "result": b64(JPEG)})
    + event(type="response.completed", response={"output": [], "usage": {"total_tokens": 7}}),
    "images": event(type="image.completed", images=[{"url": f"data:image/jpeg;base64,{b64(JPEG)}"}]),
    "lines of JSON": b'{"status": "running"}\n{"images": [{"b64": "%s"}]}\n' % b64(JPEG).encode(),
}


@pytest.mark.parametrize("shape", STREAMS)
def test_66_an_image_elsewhere_in_a_stream(lab, shape):
    serve(lab, reply(STREAMS[shape], kind="text/event-stream"))
    assert len(lab.cell("%imagine --stream a red fox").images) == 1
    lab.check(Status.DONE, 1, delivered=[JPEG], states=["stored"])


BODY = json.dumps({"created": 1, "data": [{"b64_json": b64(PNG)}]})
DRESSED = {
    "empty error": json.dumps(
        {"error": {}, "data": [{"b64_json": b64(PNG), "error": {"code": "", "message": ""}}]}
    ),
    "comments": f": keep-alive\n\n: keep-alive\r\n{BODY}",
    "a long comment": ":" + "x" * 300_000 + f"\n{BODY}",
    "BOM": f"\ufeff\n\n  {BODY}",
    "BOM and comment": f"\ufeff: wait\n{BODY}",
    "line breaks in a text": BODY.replace('"created": 1', '"created": 1, "note": "a\nb\tc"'),
    "lines of base64": BODY.replace(
        b64(PNG), "\n".join(b64(PNG)[at : at + 76] for at in range(0, len(b64(PNG)), 76))
    ),
    "a second document": f'{BODY}\n{{"done": true, "usage": {{"total_tokens": 7}}}}',
    "the second document": f'{{"status": "running"}}\n{BODY}',
    "text behind": f"{BODY}\nHTTP/1.1 200 OK",
    "trailing commas": BODY.replace("}]", "},]").replace("]}", "],}"),
    "NaN": BODY.replace('"created": 1', '"created": NaN, "seed": -Infinity'),
}


@pytest.mark.parametrize("way", DRESSED)
def test_67_json_that_is_not_quite(lab, way):
    serve(lab, reply(DRESSED[way].encode()))
    assert len(lab.cell().images) == 1
    lab.check(Status.DONE, 1, delivered=[PNG], states=["stored"])


@pytest.mark.parametrize("body", [b64(PNG), f'"{b64(PNG)}"\n', f"data:image/png;base64,{b64(PNG)}"])
def test_67_base64_without_json(lab, body):
    serve(lab, reply(body.encode(), kind="text/plain"))
    assert len(lab.cell().images) == 1
    lab.check(Status.DONE, 1, delivered=[PNG], states=["stored"])


def test_67_an_error_beside_an_image(lab):
    serve(lab, reply({"error": {"message": "one of the filters is slow"}, "data": [{"b64_json": b64(PNG)}]}))
    assert len(lab.cell().images) == 1
    lab.check(Status.DONE, 1, delivered=[PNG], states=["stored"])
