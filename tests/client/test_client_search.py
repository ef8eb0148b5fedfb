"""Images are found wherever a server puts them, and texts are taken for what they are."""

import json

import pytest
from loopback import b64, image_bytes

from ipyimagegen.client.search import find_images, find_job

PNG, JPEG, WEBP = (b64(image_bytes(8, 8, (9, 9, 9), form)) for form in ("PNG", "JPEG", "WEBP"))
URL, OTHER = "https://cdn.example/a/1?sig=x", "https://cdn.example/a/2.png"
DATA = f"data:image/jpeg;base64,{JPEG}"


def list_contents(body):
    return [item.get("b64_json") or item.get("url") for item in find_images(body)]


@pytest.mark.parametrize("content", [PNG, JPEG, WEBP, DATA, URL])
@pytest.mark.parametrize(
    "shape",
    [
        lambda x: {"data": [{"b64_json": x}]},
        lambda x: {"data": [{"url": x}]},
        lambda x: {"data": [{"url": [x]}]},
        lambda x: {"data": [{"url": {"url": x}}]},
        lambda x: {"data": [{"image": x}]},
        lambda x: {"data": [x]},
        lambda x: {"data": x},
        lambda x: {"data": {"url": x}},
        lambda x: {"data": {"images": [{"url": x}]}},
        lambda x: {"data": {"image_urls": [x], "image_base64": []}},
        lambda x: {"data": {"image_base64": [x]}},
        lambda x: {"data": {"task_result": {"images": [{"url": x}]}}},
        lambda x: {"images": [{"url": x}], "timings": {"inference": 1.2}, "seed": 7},
        lambda x: {"images": [x], "warnings": []},
        lambda x: {"image": x, "format": "png"},
        lambda x: {"output": [{"type": "image_generation_call", "result": x}]},
        lambda x: {"output": [x]},
        lambda x: {"output": {"results": [{"url": x}]}, "request_id": "7"},
        lambda x: {"result": {"sample": x}},
        lambda x: {"choices": [{"message": {"images": [{"image_url": {"url": x}}]}}]},
        lambda x: {"created": 1, "data": [], "images": [{"b64": x}]},
        lambda x: {"created": 1, "data": None, "base64": x},
        lambda x: [{"b64_json": x}],
        lambda x: [x],
        lambda x: {"images": [[x]]},
    ],
)
def test_an_image_is_found_once(shape, content):
    assert list_contents(shape(content)) == [content]


@pytest.mark.parametrize(
    ("body", "contents"),
    [
        ({"candidates": [{"inlineData": {"mimeType": "image/png", "whatever": PNG}}]}, [PNG]),
        ({"data": {"thing": DATA}}, [DATA]),
        ({"assets": [{"link": OTHER}]}, [OTHER]),
        ({"data": [{"url": URL}, {"url": OTHER}], "url": "https://host/self"}, [URL, OTHER]),
        ({"images": [{"url": URL}], "urls": [URL]}, [URL]),
        ({"data": {"img_url": URL}}, [URL]),
        ({"result": {"generatedImageUrls": [URL, OTHER]}}, [URL, OTHER]),
        ({"data": [{"link": "https://cdn.example/a/3.heic?sig=x"}]}, ["https://cdn.example/a/3.heic?sig=x"]),
        ({"data": [{"url": PNG, "thumbnail": JPEG}]}, [PNG]),
        ({"input": {"image": JPEG}, "output": {"image": PNG}}, [PNG]),
        ({"input": {"image": JPEG}}, [JPEG]),
        ({"data": [{"b64_json": PNG, "error": {"code": "x"}}]}, [PNG]),
        ({"data": [{"b64_json": PNG}], "images": [{"b64_json": JPEG}]}, [PNG, JPEG]),
        ({"choices": [{"message": {"content": f"Here: ![a]({OTHER}) and ![b]({URL})."}}]}, [OTHER, URL]),
        ({"data": [{"url": f"![image]({OTHER})"}]}, [OTHER]),
        ({"code": 0, "data": json.dumps({"images": [PNG]})}, [PNG]),
        ({"resultJson": json.dumps({"resultUrls": [OTHER]})}, [OTHER]),
        ({"prompt": f"like ![a]({OTHER})", "images": [PNG]}, [PNG]),
    ],
)
def test_what_counts(body, contents):
    assert list_contents(body) == contents


def test_base64_and_url_side_by_side_are_the_same_image():
    (item,) = find_images({"data": [{"b64_json": PNG, "url": URL, "revised_prompt": "a fox", "size": "8x8"}]})
    assert (item["b64_json"], item["url"], item["revised_prompt"], item["size"]) == (PNG, URL, "a fox", "8x8")
    assert list_contents({"image_urls": [URL, OTHER], "image_base64": [PNG, JPEG]}) == [PNG, JPEG]


@pytest.mark.parametrize(
    "body",
    [
        {"id": "img_7", "status": "succeeded", "result": "success", "data": "none"},
        {"docs": "https://docs.example/errors", "message": f"see {URL}", "data": []},
        {"data": [{"text": "I cannot create this.", "url": "", "b64_json": None}]},
        {
            "urls": {
                "get": "https://api.example/v1/tasks/7",
                "cancel": "https://api.example/v1/tasks/7/cancel",
            }
        },
        {"polling_url": "https://api.example/v1/tasks/7"},
        {},
        [],
        7,
        None,
    ],
)
def test_what_is_no_image(body):
    assert find_images(body) == []


def test_a_text_longer_than_a_url_is_never_one():
    assert find_images({"data": [{"url": "A" * 9000}]})[0]["b64_json"] == "A" * 9000


@pytest.mark.parametrize(
    ("body", "job"),
    [
        ({"id": "t1", "object": "generation.task", "status": "queued", "progress": 0}, ("t1", "", "queued")),
        ({"success": True, "data": {"task_id": "t2", "status": "submitted"}}, ("t2", "", "submitted")),
        ({"code": 200, "data": [{"status": "submitted", "task_id": "t3"}]}, ("t3", "", "submitted")),
        ({"task_id": "t4"}, ("t4", "", "")),
        ({"output": {"task_id": "t5", "task_status": "PENDING"}, "request_id": "r"}, ("t5", "", "PENDING")),
        (
            {"id": "t6", "status": "starting", "urls": {"get": "https://api.example/t6"}},
            ("t6", "https://api.example/t6", "starting"),
        ),
        ({"request_id": "t7", "status": "IN_QUEUE", "status_url": "/t7"}, ("t7", "/t7", "IN_QUEUE")),
        (
            {"id": "t8", "polling_url": "/t8", "status": "Task-Status-Running"},
            ("t8", "/t8", "Task-Status-Running"),
        ),
        ({"id": 9, "state": "in progress"}, ("9", "", "in progress")),
        ({"id": "img_1", "status": "succeeded", "data": []}, None),
        ({"id": "img_1", "data": []}, None),
        ({"task_id": "t10", "task_status": "SUCCEED"}, ("t10", "", "SUCCEED")),
        ({"id": "t11", "polling_url": "/t11"}, ("t11", "/t11", "")),
        ({"id": "t12", "polling_url": "/t12", "status": "生成中"}, ("t12", "/t12", "生成中")),
        ({"id": "t", "polling_url": "/t", "status": "succeeded"}, None),
        ({"task_id": "t", "status": "failed"}, None),
        ({"input": {"id": "x", "status": "queued"}}, None),
        ({"id": {"a": 1}, "status": "queued"}, None),
    ],
)
def test_a_job_is_found(body, job):
    identifier, *rest = job or ("",)
    assert find_job(body) == (job and ([identifier], *rest))


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"id": "t1"}, ["t1"]),
        ({"data": {"id": 7, "created": 1}}, ["7"]),
        ({"request_id": "r", "data": {"task_id": "t2", "status": "queued"}}, ["t2"]),
        ({"id": "t3", "status": "succeeded"}, None),
        ({"message": "accepted"}, None),
    ],
)
def test_an_id_in_an_accepted_response_is_that_of_a_job(body, ids):
    job = find_job(body, accepted=True)
    assert (job and job[0]) == ids


def test_jobs_in_the_same_list_are_found():
    jobs = [{"task_id": "A", "status": "queued"}, {"task_id": "B", "status": "queued"}, {"task_id": "A"}]
    assert find_job({"data": jobs}) == (["A", "B"], "", "queued")
    assert find_job({"id": "A", "status": "queued", "data": {"task_id": "B"}}) == (["A"], "", "queued")
