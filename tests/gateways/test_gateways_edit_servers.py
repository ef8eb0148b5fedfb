"""The strict edit servers themselves: the official client's form is read exactly, every other refused."""

import base64
import io
import json
import os
import random

import edit_documents as docs
import edit_local_documents as own
import openai
import pytest
import requests
from loopback import Seen
from strict import KEY, strict
from strict_edits import parts
from typed_edits import mask, same_pixels, scene


def file_of(image, kind="PNG"):
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


CAT, TALL, CLEAR = file_of(scene()), file_of(scene(size=(48, 64))), file_of(mask(white=False))
WHITE, JPEG = file_of(mask(white=True)), file_of(scene(), "JPEG")
OPENAI = docs.OPENAI_ITSELF, docs.OPENAI_FORM, docs.OPENAI_JSON
FIELDS = {"model": "gpt-image-1", "prompt": "a hat"}


def client(server):
    return openai.OpenAI(api_key=KEY, base_url=server.base_url, max_retries=0)


def png(data, name="cat.png", kind="image/png"):
    return name, data, kind


def data_url(data, kind="png"):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def ask(server, path="/v1/images/edits", **kwargs):
    url = server.base_url.removesuffix("/v1") + path
    return requests.post(url, headers={"Authorization": f"Bearer {KEY}"}, timeout=10, **kwargs)


@pytest.mark.parametrize("several", [False, True])
def test_the_official_client_is_understood(serve, several):
    server = serve(strict(*OPENAI))
    image = [png(CAT), png(TALL)] if several else png(CAT)
    given = {"model": "gpt-image-1", "prompt": "ein Hütchen 帽", "n": 2, "size": "1024x1024"}
    reply = client(server).images.edit(image=image, mask=png(CLEAR), output_compression=50, **given)
    assert len(reply.data) == 2
    asked = docs.OPENAI_FORM.read(server.posts[0])
    assert asked == {**given, "output_compression": 50}
    assert [image.data for image in asked.images] == ([CAT, TALL] if several else [CAT])
    assert [image.name for image in asked.images] == (["image[]"] * 2 if several else ["image"])
    assert asked.mask.data == CLEAR
    assert docs.OPENAI_FORM.mask.may_change(asked.mask).tobytes() == mask(white=True).tobytes()


def test_forms_are_read_byte_for_byte():
    numbers = random.Random(7)
    for end in (b"", b"\r", b"\n", b"\r\n", b"\n\r", b"--", b"\r\n--", b"\x00", b"\r\r\n"):
        data = numbers.randbytes(20_011) + os.linesep.encode() + end
        sent = requests.Request("POST", "http://h", data={"prompt": "é\r\nb"}, files={"image": png(data)})
        ready = sent.prepare()
        form = parts(Seen("POST", "/", dict(ready.headers), ready.body))
        assert form == [
            ("prompt", None, "", "é\r\nb".encode()),
            ("image", "cat.png", "image/png", data),
        ]


# What is wrong · status · how it is told
BAD_FORMS = [
    ({"data": FIELDS, "files": {"mask": png(CLEAR)}}, 400, "images are required"),
    ({"data": FIELDS, "files": {"image": png(b"GIF89a")}}, 400, "not an image"),
    ({"data": FIELDS, "files": {"image": png(CAT, kind="application/octet-stream")}}, 400, "mimetype"),
    ({"data": FIELDS, "files": {"image": png(JPEG)}}, 400, "mimetype"),
    ({"data": FIELDS, "files": {"image": png(CAT, name="cat")}}, 400, "is no png's"),
    ({"data": FIELDS, "files": {"image": png(CAT, name='a"b.png')}}, 400, "cannot be relayed"),
    ({"data": FIELDS, "files": {"images": png(CAT)}}, 400, "Unknown parameter: 'images'"),
    ({"data": FIELDS, "files": {"mask_image": png(CAT)}}, 400, "Unknown parameter"),
    (
        {"data": FIELDS, "files": [("image", png(CAT)), ("image", png(CAT))]},
        400,
        "Unknown parameter: 'image'",
    ),
    ({"data": FIELDS, "files": [("image", png(CAT)), ("image[]", png(CAT))]}, 400, "both"),
    ({"data": FIELDS, "files": [("image[]", png(CAT))] * 17}, 400, "from 1 to 16"),
    ({"data": {**FIELDS, "moderation": "low"}, "files": {"image": png(CAT)}}, 400, "'moderation'"),
    ({"data": {**FIELDS, "seed": "1"}, "files": {"image": png(CAT)}}, 400, "'seed'"),
    ({"data": {**FIELDS, "n": "two"}, "files": {"image": png(CAT)}}, 400, "'n'"),
    ({"data": {**FIELDS, "n": "0"}, "files": {"image": png(CAT)}}, 400, "'n'"),
    ({"data": {"model": "gpt-image-1"}, "files": {"image": png(CAT)}}, 400, "prompt is required"),
    ({"json": {**FIELDS, "image": data_url(CAT)}}, 400, "Invalid image"),
    ({"json": {**FIELDS, "images": data_url(CAT)}}, 400, "a list was expected"),
    ({"json": {**FIELDS, "images": [data_url(CAT)]}}, 400, "Invalid image"),
    ({"json": {**FIELDS, "images": [{"image_url": base64.b64encode(CAT).decode()}]}}, 400, "no data URL"),
    ({"json": {**FIELDS, "images": [{"image_url": data_url(JPEG)}]}}, 400, "mimetype"),
    ({"data": json.dumps(FIELDS)}, 400, "Content-Type"),
]
BAD_MASKS = [
    ("openai", TALL, "the mask is"),
    ("openai", WHITE, "alpha channel"),
    ("openai", JPEG, "must be a PNG"),
    ("sdcpp", CLEAR, "grey without an alpha channel"),
    ("sdcpp", TALL, "the mask is"),
    ("vllm-omni", CLEAR, "grey without an alpha channel"),
    ("lemonade", CAT, "grey without"),
]
SERVERS = {
    "openai": OPENAI,
    "sdcpp": (own.SDCPP,),
    "vllm-omni": (own.VLLM_OMNI,),
    "lemonade": (own.LEMONADE,),
    "litellm": (docs.LITELLM,),
    "sglang": (own.SGLANG,),
    "xinference": (own.XINFERENCE,),
    "xzbzq": (docs.XZBZQ,),
    "localai": (own.LOCALAI, own.LOCALAI_INPAINT),
    "xai": (docs.XAI,),
}


@pytest.mark.parametrize(("bad", "status", "says"), BAD_FORMS)
def test_openai_refuses(serve, bad, status, says):
    answered = ask(serve(strict(*OPENAI)), **bad)
    assert answered.status_code == status
    assert says in answered.json()["error"]["message"]


@pytest.mark.parametrize(("at", "data", "says"), BAD_MASKS)
def test_a_wrong_mask_is_refused(serve, at, data, says):
    field = "mask_image" if at == "vllm-omni" else "mask"
    named = png(data, "m.jpg", "image/jpeg") if data is JPEG else png(data)
    fields = {"prompt": "a hat"} if at == "sdcpp" else FIELDS
    answered = keyless(serve, at, data=fields, files={"image": png(CAT), field: named})
    assert answered.status_code in (400, 422)
    assert says in answered.text


def keyless(serve, at, path="/v1/images/edits", **kwargs):
    server = serve(strict(*SERVERS[at]))
    if SERVERS[at][0].key:
        return ask(server, path, **kwargs)
    return requests.post(server.base_url.removesuffix("/v1") + path, timeout=10, **kwargs)


TWO = [("image", png(CAT)), ("image", png(TALL))]
BRACKETS = [("image[]", png(CAT)), ("image[]", png(TALL))]
MASKED = [("image", png(CAT)), ("mask", png(WHITE))]
BARE = base64.b64encode(CAT).decode()
THERE = "/v1/images/generations"
MORE = [
    ("litellm", {"data": FIELDS, "files": [TWO[0], BRACKETS[0]]}, 422),
    ("litellm", {"data": FIELDS, "files": TWO}, 200),
    ("litellm", {"json": {**FIELDS, "image": data_url(CAT)}}, 400),
    ("sdcpp", {"data": {"prompt": "a hat"}, "files": TWO}, 400),
    ("sdcpp", {"data": {"prompt": "a hat"}, "files": BRACKETS}, 200),
    ("sdcpp", {"data": {"prompt": "a hat"}, "files": MASKED}, 200),
    ("sdcpp", {"data": {"prompt": "a hat", "output_format": "webp"}, "files": BRACKETS}, 400),
    ("sdcpp", {"data": {"prompt": "a hat", "seed": "1"}, "files": BRACKETS}, 400),
    ("sdcpp", {"json": {"prompt": "a hat", "image": data_url(CAT)}}, 400),
    ("sglang", {"data": FIELDS, "files": MASKED}, 400),
    ("sglang", {"data": {**FIELDS, "seed": "7"}, "files": TWO}, 200),
    ("vllm-omni", {"data": FIELDS, "files": MASKED}, 422),
    ("vllm-omni", {"data": {**FIELDS, "quality": "high"}, "files": TWO}, 422),
    ("xinference", {"data": FIELDS, "files": MASKED}, 500),
    ("xinference", {"data": {**FIELDS, "size": "64*48"}, "files": MASKED}, 200),
    ("xinference", {"data": {**FIELDS, "kwargs": "{}"}, "files": TWO}, 400),
    ("lemonade", {"data": FIELDS, "files": TWO}, 400),
    ("lemonade", {"data": FIELDS, "files": MASKED}, 200),
    ("xzbzq", {"data": FIELDS, "files": TWO}, 200),
    ("xzbzq", {"data": FIELDS, "files": BRACKETS}, 400),
    ("xzbzq", {"data": FIELDS, "files": MASKED}, 400),
    ("xzbzq", {"data": {**FIELDS, "model": "flux-kontext-pro"}, "files": BRACKETS}, 200),
    ("xzbzq", {"data": {**FIELDS, "model": "flux-kontext-pro"}, "files": TWO}, 400),
    ("xai", {"data": FIELDS, "files": TWO}, 422),
    ("localai", {"path": THERE, "json": {**FIELDS, "file": BARE}}, 200),
    ("localai", {"path": THERE, "json": {**FIELDS, "file": data_url(CAT)}}, 400),
    ("localai", {"path": THERE, "json": {**FIELDS, "ref_images": [BARE, BARE]}}, 200),
    ("localai", {"path": "/v1/images/inpainting", "data": FIELDS, "files": MASKED}, 200),
    ("localai", {"path": "/v1/images/inpainting", "data": FIELDS, "files": TWO[:1]}, 400),
    ("localai", {"path": "/v1/images/inpainting", "data": {**FIELDS, "n": "2"}, "files": MASKED}, 400),
    ("localai", {"data": FIELDS, "files": TWO}, 404),
]


@pytest.mark.parametrize(("at", "request_", "status"), MORE)
def test_each_server_takes_its_own_form_only(serve, at, request_, status):
    assert keyless(serve, at, **request_).status_code == status


def test_a_image_is_compared_with_its_alpha():
    assert same_pixels(scene(2, "RGBA"), scene(2, "RGBA"))
    assert not same_pixels(scene(2), scene(2, "RGBA"))
