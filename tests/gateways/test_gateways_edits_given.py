"""Edits given in every way: results, addresses, Python, other formats; and what is sent again."""

import base64

import edit_documents as docs
import edit_local_documents as own
import pytest
from PIL import Image
from strict import KEY, draw, strict
from test_gateways_edits import AZURE, FORM, GPT, JSON, NEW_API, SDCPP, VLLM, XINFERENCE
from typed_edits import PROMPT, EditExample, check_arrived, hat, mask, same_pixels, scene

ONE, BOX = "--image cat.png", "--mask 8,8,16,16"


def openai(**more):
    return EditExample(**{**FORM, "cell": "", "fields": GPT} | more)


def bare(form, fields=None):
    return EditExample(**form, cell="", fields=fields or {})


def test_a_result_goes_as_the_server_sent_it(kernel, start):
    server = start(openai())
    assert kernel.run("fox = %imagine -m gpt-image-1 --size 1024x1024 a fox").error is None
    for given in ("fox", "@1", "{fox[0]}", "@-1.1"):
        cell = kernel.run(f"%imagine -m gpt-image-1 --image {given} give {given[0]} a hat")
        assert cell.error is None, given
    for post in server.posts[1:3]:
        (image,) = docs.OPENAI_FORM.read(post).images
        assert image.data == draw("1024x1024.png")


def test_a_data_url_goes_as_its_bytes(kernel, start, tmp_path):
    server = start(openai())
    data = (tmp_path / "glass.png").read_bytes()
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    cell = kernel.run(f"%imagine -m gpt-image-1 --image {url} give it a hat")
    assert cell.error is None
    assert docs.OPENAI_FORM.read(server.posts[0]).images[0].data == data
    assert url[22:] not in str(cell.outputs)


@pytest.mark.parametrize("form", [FORM, JSON])
def test_the_python_call_sends_what_the_cell_sends(kernel, start, tmp_path, form):
    moderation = {"moderation": "low"} if form is JSON else {}
    example = openai(
        **form, fields={**GPT, **moderation}, given=("cat.png", "hat"), masked=True, prompt=PROMPT
    )
    server = start(example)
    code = (
        "from ipyimagegen import imagine\nfrom PIL import Image\n"
        "mask = Image.open('white.png')\n"
        f"x = imagine('{PROMPT}', image=['cat.png', hat], mask=mask, model='gpt-image-1', **{moderation})\n"
        "print(len(x), x.model)"
    )
    assert kernel.run(code).texts[-1] == "1 gpt-image-1\n"
    check_arrived(server.posts[0], example, tmp_path)


TRICKY = 'say "hi";\n  name="image"; filename="x.png"\n--帽子 é \\ 100 %\n42'


@pytest.mark.parametrize("form", [FORM, JSON, NEW_API, SDCPP])
def test_any_prompt_arrives_as_typed(kernel, start, form):
    example = bare(form)
    server = start(example)
    model = "" if form is SDCPP else "-m gpt-image-1 "
    more = " --moderation low" if form is JSON else ""
    assert kernel.run(f"%%imagine {model}{ONE}{more}\n{TRICKY}").error is None
    assert example.document.read(server.posts[0])["prompt"] == TRICKY


def test_numbers_truths_and_objects_by_set_are_texts_in_a_form(kernel, start):
    example = bare(VLLM)
    server = start(example)
    more = "--set num_inference_steps=9 --set true_cfg_scale=2.5 --set size=auto"
    assert kernel.run(f"%imagine {ONE} {more} {PROMPT}").error is None
    wanted = {"prompt": PROMPT, "num_inference_steps": 9, "true_cfg_scale": 2.5, "size": "auto"}
    assert example.document.read(server.posts[0]) == wanted


def test_a_jpeg_with_a_mask_becomes_a_png_of_the_same_pixels(kernel, start, tmp_path):
    """OpenAI's guide wants image and mask in one format, and a mask needs an alpha channel."""
    server = start(openai())
    assert kernel.run(f"%imagine -m gpt-image-1 --image photo.jpg {BOX} {PROMPT}").error is None
    asked = docs.OPENAI_FORM.read(server.posts[0])
    assert asked.images[0].kind == asked.mask.kind == "png"
    assert same_pixels(asked.images[0].image, Image.open(tmp_path / "photo.jpg"))


def test_a_webp_at_azure_becomes_a_format_it_takes(kernel, start, tmp_path):
    server = start(bare(AZURE))
    cell = kernel.run(f"%imagine -m my-gpt --image web.webp {PROMPT}")
    assert cell.error is None
    (image,) = docs.AZURE.read(server.posts[0]).images
    assert same_pixels(image.image, scene(5))


@pytest.mark.parametrize(
    "given", ["white.png", "clear.png", "{shade}", "{hole}", "8,8,16,16", "８，８，16,16"]
)
@pytest.mark.parametrize("form", [FORM, SDCPP, VLLM])
def test_every_way_to_give_a_mask_means_the_same(kernel, start, tmp_path, form, given):
    fields = GPT if form is FORM else {}
    example = EditExample(**form, cell="", fields=fields, masked=True)
    server = start(example)
    kernel.run("shade, hole = Image.open('white.png').copy(), Image.open('clear.png').copy()")
    model = "-m gpt-image-1 " if form is FORM else ""
    cell = kernel.run(f"%imagine {model}{ONE} --mask {given} {PROMPT}")
    assert cell.error is None
    check_arrived(server.posts[0], example, tmp_path)


def test_run_again_it_is_from_history_until_a_image_changes(kernel, start, tmp_path):
    server = start(openai())
    cell = f"%imagine -m gpt-image-1 {ONE} --image {{hat}} {BOX} {PROMPT}"
    first, second = kernel.run(cell), kernel.run(cell)
    assert second.reused
    assert second.caption.startswith(f"{first.caption} · ")
    assert len(server.posts) == 1
    scene(9).save(tmp_path / "cat.png")
    assert kernel.run(cell).error is None
    assert len(server.posts) == 2
    kernel.run("hat.putpixel((0, 0), (1, 1, 1, 1))")
    assert kernel.run(cell).error is None
    assert len(server.posts) == 3
    assert kernel.run("%imagine_rerun 1 -n 2").error is None
    again = docs.OPENAI_FORM.read(server.posts[3])
    assert again["n"] == 2
    assert [image.data for image in again.images] == [
        image.data for image in docs.OPENAI_FORM.read(server.posts[0]).images
    ]


def test_a_repeat_after_a_429_sends_the_same_bytes(kernel, start):
    good = strict(*own.EDITS["openai"])
    busy = [True, True]

    def answer(seen):
        if busy:
            busy.pop()
            error = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}
            return 429, {"retry-after-ms": "1"}, {"error": error}
        return good(seen)

    server = start(openai(), answer)
    assert kernel.run(f"%imagine -m gpt-image-1 {ONE} {BOX} {PROMPT}").error is None
    assert len(server.posts) == 3
    assert len({post.body for post in server.posts}) == 1


def test_a_dry_run_shows_images_in_words_and_sends_nothing(kernel, start, tmp_path):
    server = start(openai())
    plan = kernel.run(f"%imagine --dry-run -m gpt-image-1 {ONE} {BOX} {PROMPT}").caption
    assert "/images/edits" in plan
    assert base64.b64encode((tmp_path / "cat.png").read_bytes()[:30]).decode()[:30] not in plan
    assert KEY not in plan
    assert not server.requests


STREAMS = [
    (FORM, f"-m gpt-image-1 {ONE} --stream"),
    (VLLM, f"{ONE} --set stream=true"),
    (XINFERENCE, f"-m sd3 {ONE} --set stream=true"),
]


@pytest.mark.parametrize(("form", "cell"), STREAMS, ids=["openai", "vllm-omni", "xinference"])
def test_each_servers_own_stream_is_read(kernel, start, form, cell):
    example = EditExample(**form, cell=cell, fields={})
    server = start(example)
    done = kernel.run(f"%imagine {cell} {PROMPT}")
    assert done.error is None
    assert len(done.images) == 1
    assert example.document.read(server.posts[0])["stream"] is True


def test_what_arrives_of_a_variable_is_what_it_held(kernel, start):
    server = start(openai())
    kernel.run("import numpy\narray = numpy.asarray(hat)")
    assert kernel.run(f"%imagine -m gpt-image-1 --image array {PROMPT}").error is None
    (image,) = docs.OPENAI_FORM.read(server.posts[0]).images
    assert same_pixels(image.image, hat())
    assert not same_pixels(image.image, mask(white=True))
