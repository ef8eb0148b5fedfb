"""How large images may be, how many edges they may have; and images that LocalAI takes by lists."""

import io
import random
import re
from pathlib import Path

import edit_documents as docs
import edit_local_documents as own
import pytest
from loopback import image_bytes
from PIL import Image
from strict import KEY, strict
from test_gateways_edits import ARK, BOTH, FORM, GPT, JSON, LOCALAI, OPENAI, TWO
from typed_edits import PROMPT, EditExample, check_edit

DALLE2 = {**OPENAI, "document": docs.DALLE2}


def noise(edge):
    """Return a PNG file that no encoder makes smaller: three bytes a pixel."""
    out = io.BytesIO()
    Image.frombytes("RGB", (edge, edge), random.Random(edge).randbytes(3 * edge * edge)).save(out, "PNG")
    return out.getvalue()


# The form, an image's edge (its bytes are above the limit), options
TOO_LARGE = [
    (ARK, 2000, ""),
    (DALLE2, 1300, "-m dall-e-2"),
    (JSON, 2600, "-m gpt-image-1 --moderation low"),
]


@pytest.mark.parametrize(("form", "edge", "options"), TOO_LARGE)
def test_what_is_too_large_arrives_smaller_and_the_caption_says_so(kernel, start, form, edge, options):
    """The strict server has taken it, so it is within the limit."""
    example = EditExample(**form, cell="", fields={})
    server = start(example, strict(form["document"]))
    Path("noise.png").write_bytes(noise(edge))
    cell = kernel.run(f"%imagine {options} --image noise.png {PROMPT}")
    assert cell.error is None
    (image,) = example.document.read(server.posts[0]).images
    assert re.search(f"noise.png.* {edge}x{edge} .*{'x'.join(map(str, image.image.size))}", cell.caption)
    assert image.image.width > edge * 0.8


def test_a_large_image_arrives_byte_for_byte(kernel, start, tmp_path):
    server = start(EditExample(**FORM, cell="", fields=GPT))
    (tmp_path / "noise.png").write_bytes(data := noise(2600))
    assert len(data) > 16_000_000
    assert kernel.run(f"%imagine -m gpt-image-1 --image noise.png {PROMPT}").error is None
    assert docs.OPENAI_FORM.read(server.posts[0]).images[0].data == data


def test_dall_e_2_takes_one_square_png(kernel, start, tmp_path):
    example = EditExample(
        **DALLE2,
        cell="-m dall-e-2 --image square.png --size 256x256",
        fields={"model": "dall-e-2", "size": "256x256"},
        given=("square.png",),
        names=("image",),
    )
    server = start(example, strict(docs.DALLE2))
    for bad in ("cat.png", "square.png --image square.png"):
        assert kernel.run(f"%imagine -m dall-e-2 --image {bad} {PROMPT}").error is not None
        assert not server.requests
    check_edit(kernel, server, example, tmp_path)


def test_a_image_by_address_is_fetched_without_the_key_and_goes_as_its_bytes(kernel, start, serve):
    elsewhere = serve(lambda seen: (200, {"Content-Type": "image/png"}, image_bytes(40, 30)))
    server = start(EditExample(**FORM, cell="", fields=GPT))
    address = f"{elsewhere.base_url}/cat.png"
    cell = kernel.run(f"%imagine -m gpt-image-1 --image {address} {PROMPT}")
    if cell.error:  # plain http may be refused, but not sent
        assert "http" in cell.error
        assert not server.requests
        return
    assert docs.OPENAI_FORM.read(server.posts[0]).images[0].data == image_bytes(40, 30)
    assert not any(KEY in str(request.headers) for request in elsewhere.requests)


def test_a_result_is_edited_by_its_method(kernel, start):
    server = start(EditExample(**FORM, cell="", fields=GPT))
    code = (
        "fox = %imagine -m gpt-image-1 --size 1024x1024 a fox\n"
        f"hat = fox[0].edit({PROMPT!r}, mask=(8, 8, 16, 16))"
    )
    assert kernel.run(code).error is None
    asked = docs.OPENAI_FORM.read(server.posts[1])
    assert asked["model"] == "gpt-image-1"
    assert asked.mask.image.size == (1024, 1024)
    assert docs.OPENAI_FORM.mask.may_change(asked.mask).getbbox() == (8, 8, 24, 24)


def test_localai_takes_several_as_ref_images(kernel, start, tmp_path):
    example = EditExample(
        **LOCALAI, cell=f"-m flux.1-kontext-dev {TWO}", fields={"model": "flux.1-kontext-dev"}, given=BOTH
    )
    check_edit(kernel, start(example), example, tmp_path)


def test_localai_is_sent_bare_base64(kernel, start, tmp_path):
    example = EditExample(**LOCALAI, cell="--image cat.png", fields={})
    server = start(example)
    check_edit(kernel, server, example, tmp_path)
    (name,) = set(server.posts[0].json) & set(own.LOCALAI.places)
    assert "data:" not in str(server.posts[0].json[name])
