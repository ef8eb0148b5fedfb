"""Edits over HTTP: the official SDK, forms and JSON, and every refusal."""

import base64
import io

import openai
import pytest
from PIL import Image, ImageChops
from sketching import EDITS, call, call_form, edit, form, hole, opened, saved, scenery, url

from ipyimagegen.sketch.server.uploads import MOST_BYTES

IMAGE, OTHER = saved(scenery()), saved(scenery((90, 60)))
MASK = saved(hole())
FIRST = ("image", IMAGE)
ASK = ("prompt", b"a red heart")
FIDELITY = ("input_fidelity", b"high")
WANT = {"prompt": "a red heart", "images": [{"image_url": url(IMAGE)}]}


def expected(prompt, *others, mask=False, **options):
    area = hole().getchannel("A").point([255] + [0] * 255) if mask else None
    return edit([scenery(), *others], prompt, mask=area, **options).convert("RGB").tobytes()


def pixels(item):
    return opened(item).convert("RGB").tobytes()


def test_one_file_as_bytes_or_tuple_or_open_file(images, tmp_path):
    path = tmp_path / "image.bin"
    path.write_bytes(IMAGE)
    with path.open("rb") as file:
        replies = [
            images.edit(image=image, prompt="a red heart")
            for image in (IMAGE, ("a.png", IMAGE), ("a.txt", IMAGE, "text/plain"), file)
        ]
    for reply in replies:
        (item,) = reply.data
        assert pixels(item) == expected("a red heart")
        assert (reply.size, reply.output_format, reply.background) == ("160x120", "png", "opaque")
        assert reply.usage.input_tokens_details.image_tokens > 0
        assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


def test_several_files_and_a_mask(images):
    reply = images.edit(image=[("a.png", IMAGE), ("b.png", OTHER)], mask=("m.png", MASK), prompt="night")
    assert pixels(reply.data[0]) == expected("night", scenery((90, 60)), mask=True)
    after = opened(reply.data[0])
    inside = ImageChops.difference(after, scenery()).getbbox()
    assert inside == (30, 20, 111, 91)


def test_only_what_is_wholly_transparent_in_the_mask_is_edited(app):
    mask = hole()
    mask.paste((0, 0, 0, 1), (30, 20, 70, 91))
    parts = (FIRST, ("mask", saved(mask)), ("prompt", b"night"))
    apart = ImageChops.difference(call_form(app, *parts).images()[0], scenery())
    assert apart.getbbox() == (70, 20, 111, 91)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_markup_says_where_to_edit(app, as_json):
    markup = Image.new("RGBA", (160, 120))
    markup.paste((255, 0, 0, 255), (40, 30, 45, 60))
    markup.paste((255, 0, 0, 90), (90, 50, 100, 80))
    data = saved(markup)
    if as_json:
        answer = call(app, path=EDITS, body={**WANT, "prompt": "night", "markup": {"image_url": url(data)}})
    else:
        answer = call_form(app, FIRST, ("markup", data), ("prompt", b"night"))
    assert ImageChops.difference(answer.images()[0], scenery()).getbbox() == (40, 30, 100, 80)
    none = call_form(app, FIRST, ("markup", saved(Image.new("RGBA", (160, 120)))), ("prompt", b"night"))
    assert none.images()[0].tobytes() == scenery().tobytes()


@pytest.mark.parametrize(
    ("parts", "param", "code"),
    [
        ([("markup", IMAGE)], "markup", "invalid_markup_image_format"),
        ([("markup", saved(Image.new("RGBA", (160, 120), "red")))], "markup", "invalid_markup_image_format"),
        ([("markup", saved(hole((80, 60))))], "markup", "invalid_markup_image_format"),
        ([("markup", MASK), ("mask", MASK)], "markup", "invalid_value"),
        ([("markup", MASK), ("markup", MASK)], "markup", "duplicate_parameter"),
        ([("mask", MASK), ("output_format", b"gif")], "mask", "invalid_value"),
        ([("markup", MASK), ("output_format", b"gif")], "markup", "invalid_value"),
        ([("model", b"gpt-image-2"), FIDELITY], "input_fidelity", "invalid_input_fidelity_model"),
        ([("model", b"gpt-image-1-mini"), FIDELITY], "input_fidelity", "invalid_value"),
        ([("model", b"gpt-image-2"), ("seed", b"1")], "seed", "unknown_parameter"),
    ],
)  # fmt: skip
def test_refusals_of_guides_and_models(app, parts, param, code):
    answer = call_form(app, FIRST, ("prompt", b"night"), *parts)
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)


def test_an_edit_as_a_gif(app):
    transparent = ("image", saved(scenery(mode="RGBA")))
    for first in (FIRST, transparent):
        answer = call_form(app, first, ASK, ("output_format", b"gif"), ("frame_count", b"3"))
        (image,) = answer.images()
        assert (image.format, image.n_frames, image.size) == ("GIF", 3, (160, 120))
        assert answer.json["background"] == "opaque"


def test_options_come_through_a_form_as_what_they_are(images):
    reply = images.edit(
        image=IMAGE, prompt="a red heart", n=2, size="96x64", quality="low", background="opaque",
        output_format="jpeg", output_compression=40, input_fidelity="high", user="me", model="any-model",
        extra_body={"seed": 7, "style": "vivid", "negative_prompt": "blue", "moderation": "low"},
    )  # fmt: skip
    assert [(opened(item).size, opened(item).format) for item in reply.data] == [((96, 64), "JPEG")] * 2
    assert (reply.quality, reply.output_format) == ("low", "jpeg")
    same = images.edit(
        image=IMAGE, prompt="a red heart", size="96x64", quality="low", output_format="jpeg",
        output_compression=40, background="opaque",
        extra_body={"seed": 8, "style": "vivid", "negative_prompt": "blue"},
    )  # fmt: skip
    assert same.data[0].b64_json == reply.data[1].b64_json != reply.data[0].b64_json


def test_url(images):
    item = images.edit(image=IMAGE, prompt="blue", response_format="url").data[0]
    assert item.b64_json is None
    assert item.url.endswith(".png")


@pytest.mark.parametrize("path", [EDITS, "/images/edits"])
def test_a_form_and_json_give_the_same(app, path):
    parts = (("image[]", IMAGE), ("image[]", OTHER), ("mask", MASK), ASK, ("n", b"2"), ("seed", b"3"))
    body, kind = form(*parts)
    first = call(app, path=path, body=body, CONTENT_TYPE=kind).json
    images = [{"image_url": url(IMAGE)}, {"image_url": url(OTHER, "image/jpeg")}]
    body = {"prompt": "a red heart", "images": images, "mask": {"image_url": url(MASK)}, "n": 2, "seed": 3}
    second = call(app, path=path, body=body).json
    for reply in (first, second):
        del reply["created"]
    assert first == second
    assert len(first["data"]) == 2


def test_jpeg_webp_palette_grey_and_turned_images_are_taken(app):
    photo = Image.new("RGB", (120, 80), "#a05030")
    turned = Image.Exif()
    turned[0x0112] = 6
    files = [
        saved(photo, "JPEG"), saved(photo, "WEBP"), saved(photo.quantize(8)), saved(photo.convert("L")),
        saved(photo.convert("LA")), saved(photo.convert("1")), saved(photo.convert("CMYK"), "JPEG"),
        saved(Image.new("I;16", (120, 80), 40_000)),
    ]  # fmt: skip
    for data in files:
        assert call_form(app, ("image", data), ("prompt", b"warmer")).images()[0].size == (120, 80)
    deep = call_form(app, ("image", files[-1]), ("prompt", b"mirror it")).images()[0]
    assert deep.getpixel((2, 2)) == (156, 156, 156)  # 40000 / 256
    upright = ("image", saved(photo, "JPEG", exif=turned))
    assert call_form(app, upright, ("prompt", b"warmer")).images()[0].size == (80, 120)
    for size in ((120, 80), (80, 120)):
        mask = ("mask", saved(hole(size, (10, 10, 40, 40))))
        assert call_form(app, upright, mask, ("prompt", b"warmer")).images()[0].size == (80, 120)


@pytest.mark.parametrize(
    ("size", "got"),
    [
        ((160, 120), "160x120"),
        ((30, 60), "64x128"),
        ((5000, 1000), "4096x819"),
        ((2, 500), "64x4096"),
        ((1, 1), "64x64"),
    ],
)
def test_the_size_is_the_first_images_within_limits(app, size, got):
    data = saved(Image.new("RGB", size, "#306090"))
    for more in ((), (("size", b"auto"),)):
        assert call_form(app, ("image", data), ("prompt", b"brighter"), *more).json["size"] == got


def test_transparency_stays_unless_the_format_has_none(app):
    data = saved(scenery(mode="RGBA"))
    reply = call_form(app, ("image", data), ("prompt", b"warmer"))
    assert reply.images()[0].mode == "RGBA"
    assert reply.json["background"] == "transparent"
    assert reply.images()[0].getpixel((80, 3))[3] == 0
    jpeg = call_form(app, ("image", data), ("prompt", b"mirror it"), ("output_format", b"jpeg"))
    assert (jpeg.images()[0].format, jpeg.json["background"]) == ("JPEG", "opaque")
    assert min(jpeg.images()[0].getpixel((80, 3))) > 240
    cut = call_form(app, FIRST, ("prompt", b"warmer"), ("background", b"transparent"))
    assert cut.images()[0].mode == "RGBA"


def many_scans(count):
    """Return a progressive JPEG that passes over its pixels so many times more."""
    data = saved(scenery(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


BROKEN = (
    (IMAGE[: len(IMAGE) // 2], "a half image"), (IMAGE[:-12], "no end"), (b"", "nothing"),
    (saved(scenery(), "GIF"), "a whole gif"), (saved(scenery(), "JPEG")[:600], "a half jpeg"),
    (many_scans(100), "a jpeg of a hundred scans"),
    (saved(scenery(), "WEBP")[:300], "a half webp"), (b"<svg/>", "svg"), (b"\0" * 500, "zeros"),
)  # fmt: skip


@pytest.mark.parametrize("data", [pair[0] for pair in BROKEN], ids=[pair[1] for pair in BROKEN])
def test_broken_images(app, data):
    for parts, param in (
        ((("image", data), ASK), "image"),
        ((FIRST, ("image", data), ASK), "image[1]"),
        ((FIRST, ("mask", data), ASK), "mask"),
    ):
        answer = call_form(app, *parts)
        assert (answer.status, answer.error["code"], answer.error["param"]) == (
            400,
            "invalid_image_file",
            param,
        )
    body = {**WANT, "images": [{"image_url": url(IMAGE)}, {"image_url": url(data)}]}
    answer = call(app, path=EDITS, body=body)
    assert (answer.status, answer.error["param"]) == (400, "images[1]")


def test_images_that_are_too_large(app):
    pixels = saved(Image.new("1", (8000, 5001)))
    answer = call_form(app, ("image", pixels), ASK)
    assert (answer.status, answer.error["code"]) == (400, "invalid_image_file")
    assert "8000x5001" in answer.error["message"]
    bomb = saved(Image.new("1", (20_000, 12_000)))
    assert call_form(app, ("image", bomb), ASK).error["code"] == "invalid_image_file"
    answer = call_form(app, ("image", IMAGE + b"\0" * MOST_BYTES), ASK)
    assert "bytes" in answer.error["message"]
    assert (
        call_form(app, ("image", saved(Image.new("1", (8000, 5000)))), ASK, ("size", b"64x64")).status == 200
    )


REFUSED = [
    ((FIRST,), "prompt", "missing_required_parameter"),
    ((ASK,), "image", "missing_required_parameter"),
    ((ASK, ("mask", MASK)), "image", "missing_required_parameter"),
    ((ASK, *[FIRST] * 17), "image", "invalid_value"),
    ((FIRST, ("prompt", b" ")), "prompt", "invalid_value"),
    ((FIRST, ("prompt", b"\xff")), "prompt", "invalid_value"),
    ((FIRST, ASK, ("n", b"two")), "n", "invalid_type"),
    ((FIRST, ASK, ("n", b"1.0")), "n", "invalid_type"),
    ((FIRST, ASK, ("n", "２".encode())), "n", "invalid_type"),
    ((FIRST, ASK, ("n", b"11")), "n", "invalid_value"),
    ((FIRST, ASK, ("n", b"1"), ("n", b"2")), "n", "duplicate_parameter"),
    ((FIRST, ASK, ("seed", b"-2")), "seed", "invalid_value"),
    ((FIRST, ASK, ("stream", b"yes")), "stream", "invalid_type"),
    ((FIRST, ASK, ("partial_images", b"4")), "partial_images", "invalid_value"),
    ((FIRST, ASK, ("size", b"63x64")), "size", "invalid_value"),
    ((FIRST, ASK, ("input_fidelity", b"medium")), "input_fidelity", "invalid_value"),
    ((FIRST, ASK, ("colour", b"red")), "colour", "unknown_parameter"),
    ((FIRST, ASK, ("images", b"x")), "images", "unknown_parameter"),
    ((FIRST, ASK, ("image[0]", IMAGE)), "image[0]", "unknown_parameter"),
    ((FIRST, ASK, ("fault", b"flood")), "fault", "invalid_value"),
    ((FIRST, ASK, ("mask", MASK), ("mask", MASK)), "mask", "duplicate_parameter"),
    ((FIRST, ASK, ("mask", IMAGE)), "mask", "invalid_mask_image_format"),
    ((FIRST, ASK, ("mask", saved(scenery(), "JPEG"))), "mask", "invalid_mask_image_format"),
    ((FIRST, ASK, ("mask", saved(hole((120, 160))))), "mask", "invalid_mask_image_format"),
    ((("image", OTHER), FIRST, ASK, ("mask", MASK)), "mask", "invalid_mask_image_format"),
    ((FIRST, ASK, ("output_format", b"jpeg"), ("background", b"transparent")), "background", "invalid_value"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "param", "code"), REFUSED)
def test_refusals_of_a_form(app, parts, param, code):
    answer = call_form(app, *parts)
    assert answer.status == 400
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert (answer.error["type"], answer.error["param"], answer.error["code"]) == (
        "invalid_request_error",
        param,
        code,
    )
    assert len(answer.error["message"]) < 300


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"images": WANT["images"]}, "prompt", "missing_required_parameter"),
        ({"prompt": "x"}, "images", "missing_required_parameter"),
        ({**WANT, "images": []}, "images", "invalid_value"),
        ({**WANT, "images": WANT["images"] * 17}, "images", "invalid_value"),
        ({**WANT, "images": {"image_url": "x"}}, "images", "invalid_type"),
        ({**WANT, "images": [url(IMAGE)]}, "images[0]", "invalid_type"),
        ({**WANT, "images": [{}]}, "images[0].image_url", "missing_required_parameter"),
        ({**WANT, "images": [{"image_url": 3}]}, "images[0].image_url", "invalid_type"),
        (
            {**WANT, "images": [{"image_url": "https://a.example/b.png"}]},
            "images[0].image_url",
            "unsupported_value",
        ),
        ({**WANT, "images": [{"image_url": "/etc/passwd"}]}, "images[0].image_url", "unsupported_value"),
        (
            {**WANT, "images": [{"image_url": "data:image/png;base64,§"}]},
            "images[0].image_url",
            "invalid_value",
        ),
        (
            {**WANT, "images": [{"image_url": "data:image/png;base64,abc"}]},
            "images[0].image_url",
            "invalid_value",
        ),
        ({**WANT, "images": [{"image_url": url(IMAGE) + "!"}]}, "images[0].image_url", "invalid_value"),
        ({**WANT, "images": [{"file_id": "file-1"}]}, "images[0].file_id", "unsupported_value"),
        ({**WANT, "images": [{"image_url": url(IMAGE), "x": 1}]}, "images[0].x", "unknown_parameter"),
        ({**WANT, "mask": url(MASK)}, "mask", "invalid_type"),
        ({**WANT, "mask": {"image_url": url(IMAGE)}}, "mask", "invalid_mask_image_format"),
        ({**WANT, "image": "x"}, "image", "unknown_parameter"),
        ({**WANT, "n": "2"}, "n", "invalid_type"),
    ],
)
def test_refusals_of_json(app, body, param, code):
    answer = call(app, path=EDITS, body=body)
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)
    assert "base64,iVBOR" not in answer.error["message"]


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json", "multipart/form-data", "multipart/form-data; boundary=x"]
)
@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff"])
def test_bodies_that_are_neither(app, kind, raw):
    answer = call(app, path=EDITS, body=raw, CONTENT_TYPE=kind)
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")


def test_an_edits_body_may_be_larger_than_a_generations_and_not_endless(app):
    padding = ("user", b"x" * (2 << 20))
    assert call_form(app, FIRST, ASK, padding).status == 200
    body, kind = form(FIRST, ASK, padding)
    assert call(app, body=body, CONTENT_TYPE=kind).status == 413
    huge = call(app, path=EDITS, body=b"", CONTENT_LENGTH=str((256 << 20) + 1))
    assert (huge.status, huge.error["code"]) == (413, "request_too_large")
    assert str(256 << 20) in huge.error["message"]


def test_nothing_is_read_of_a_body_without_the_key():
    from ipyimagegen.sketch import create_app

    body, kind = form(FIRST, ASK, ("user", b"x" * 900_000))
    unread = io.BytesIO(body)
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": EDITS, "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": kind,
        "wsgi.input": unread, "wsgi.url_scheme": "http",
    }  # fmt: skip
    started = []
    list(create_app(key="secret")(environ, lambda *given: started.append(given)))
    assert started[0][0].startswith("401")
    assert unread.tell() == 0


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"image": b"nothing"}, openai.BadRequestError, "invalid_image_file"),
        ({"mask": IMAGE}, openai.BadRequestError, "invalid_mask_image_format"),
        ({"image": [IMAGE] * 17}, openai.BadRequestError, "invalid_value"),
        ({"n": 11}, openai.BadRequestError, "invalid_value"),
        ({"extra_body": {"x": 1}}, openai.BadRequestError, "unknown_parameter"),
        ({"extra_body": {"fault": "429"}}, openai.RateLimitError, "rate_limit_exceeded"),
        ({"extra_body": {"fault": "refusal"}}, openai.BadRequestError, "moderation_blocked"),
    ],
)
def test_errors_are_the_classes_of_the_sdk(images, options, error, code):
    with pytest.raises(error) as caught:
        images.edit(**{"image": IMAGE, "prompt": "a hat", **options})
    assert caught.value.code == code
    assert caught.value.request_id.startswith("req_")


def test_faults_of_an_edit(app, images):
    wrong = call_form(app, FIRST, ASK, ("fault", b"wrong_size"))
    assert wrong.json["size"] == "80x120"
    assert wrong.images()[0].size == (80, 120)
    assert len(call_form(app, FIRST, ASK, ("n", b"3"), ("fault", b"fewer")).json["data"]) == 2
    with pytest.raises(openai.APIConnectionError):
        images.edit(image=IMAGE, prompt="a hat", extra_body={"fault": "cut"})


def test_base64_of_a_json_edit_is_exact(app):
    answer = call(app, path=EDITS, body=WANT)
    image = Image.open(io.BytesIO(base64.b64decode(answer.json["data"][0]["b64_json"])))
    assert image.convert("RGB").tobytes() == expected("a red heart")
