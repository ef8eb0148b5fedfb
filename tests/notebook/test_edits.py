"""Images that go with a prompt, from whatever a cell has at hand: what arrives, byte for byte."""

import base64
import hashlib
import io
import json
import re

import numpy as np
import pytest
from loopback import CANARY, b64, image_bytes, records
from PIL import Image

CAT = image_bytes(64, 48, (10, 120, 60))
HAT = image_bytes(32, 32, (250, 200, 0), mode="RGB")


def good(seen):
    data = image_bytes(64, 48, (0, 0, 250))
    return 200, {}, {"created": 1, "data": [{"b64_json": b64(data)}]}


@pytest.fixture
def paid(serve, kernel):
    """Return a server that counts as paid, under the name lab, and images in files and variables."""
    server = serve(good)
    entry = {"base_url": server.base_url, "key_env": "LAB_API_KEY", "free": False}
    done = kernel.run(
        f"import os, base64\nos.environ['LAB_API_KEY'] = {CANARY!r}\n"
        f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n"
        "%config Imagine.endpoint = 'lab'\n"
        f"cat_bytes = base64.b64decode({b64(CAT)!r})\n"
        f"hat_bytes = base64.b64decode({b64(HAT)!r})\n"
        "from pathlib import Path\n"
        "import io\nimport numpy as np\nfrom PIL import Image\nfrom IPython import display\n"
        "Path('cat.png').write_bytes(cat_bytes)\n"
        "os.makedirs('画', exist_ok=True)\nPath('画/猫 1.png').write_bytes(cat_bytes)\n"
        "os.environ['HOME'] = os.getcwd()\n"
        "import ipywidgets, datetime\nopened = open('cat.png', 'rb')\npair = ('a cat.png', cat_bytes)\n"
        "row = {'bytes': cat_bytes, 'path': None}\nwidget = ipywidgets.Image(value=cat_bytes)\n"
        "file = {'name': 'a.png', 'type': 'image/png', 'size': 9, 'content': memoryview(cat_bytes)}\n"
        "file['last_modified'] = datetime.datetime.now(datetime.UTC)\nuploads = (file,)\n"
        "upload = ipywidgets.FileUpload(); upload.value = uploads\n"
        "class Plot:\n    def _repr_png_(self): return cat_bytes\n"
        "plot = Plot()\n"
        "pil = Image.open(io.BytesIO(cat_bytes)); pil.load()\n"
        "array = np.asarray(pil)\n"
        "box = {'images': [pil]}\n"
    )
    assert done.error is None, done.error
    return server


BYTES = [
    "cat.png",
    "./cat.png",
    "~/cat.png",
    "'画/猫 1.png'",
    "cat_bytes",
    "{cat_bytes}",
    "{Path('nowhere')}",
    "$HOME/cat.png",
    "opened",
    "pair",
    "uploads",
    "upload.value",
    "widget",
    "row",
    "plot",
    f"data:image/png;base64,{b64(CAT)}",
]


@pytest.mark.parametrize("written", [image for image in BYTES if "nowhere" not in image])
def test_a_file_s_own_bytes_are_sent_untouched(kernel, paid, home, written):
    cell = kernel.run(f"%imagine --image {written} give it a hat")
    assert cell.error is None, cell.error
    (post,) = paid.posts
    assert post.path == "/v1/images/edits"
    (file,) = post.files
    assert (file.name, file.file_name, file.type) == ("image", "image-1.png", "image/png")
    assert file.data == CAT
    assert post.fields == {"prompt": "give it a hat"}
    sha256 = hashlib.sha256(CAT).hexdigest()
    assert (home / "images" / sha256[:2] / f"{sha256}.png").read_bytes() == CAT
    (record,) = records(home).values()
    assert [image["sha256"] for image in record["request"]["inputs"]] == [sha256]


VARIABLES = [
    "pil",
    "array",
    "box['images'][0]",
    "{box['images'][0]}",
    "shown",
    "path",
    "url",
]


@pytest.mark.parametrize("written", VARIABLES)
def test_a_variable_arrives_as_the_same_pixels(kernel, paid, written):
    kernel.run(
        "shown = display.Image(cat_bytes); path = Path('cat.png')\n"
        "url = 'data:image/png;base64,' + base64.b64encode(cat_bytes).decode()"
    )
    cell = kernel.run(f'%imagine --image "{written}" give it a hat')
    assert cell.error is None, cell.error
    (file,) = paid.posts[0].files
    assert np.array_equal(np.asarray(file.image.convert("RGB")), np.asarray(Image.open(io.BytesIO(CAT))))


def test_figures_arrive_as_they_look(kernel, paid):
    kernel.run(
        "import matplotlib; matplotlib.use('agg')\nimport matplotlib.pyplot as plt\n"
        "fig, ax = plt.subplots(figsize=(4, 3), dpi=100)\nax.plot([1, 2, 4])"
    )
    cell = kernel.run("%imagine --image fig make it a mountain\n")
    assert cell.error is None, cell.error
    assert kernel.run("%imagine --image ax make it a mountain").error is None
    (post,) = paid.posts  # an axes of a figure with one axes is that figure, so the second was reused
    assert post.files[0].image.size == (400, 300)


def test_a_figure_arrives_as_the_notebook_shows_it(kernel, paid):
    shown = kernel.run(
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.close('all')\n"
        "figure, axes = plt.subplots(figsize=(4, 3))\n"
        "axes.plot([1, 2])\naxes.text(1.2, 0.5, 'NOTE', transform=axes.transAxes, fontsize=30);"
    ).images[0]
    for written in ("figure", "axes"):
        cell = kernel.run(f"%imagine --image {written} as a watercolour of {written}")
        assert cell.error is None, cell.error
        sent = paid.posts[-1].files[0].image
        assert sent.size == shown.size
        assert np.array_equal(np.asarray(sent.convert("RGB")), np.asarray(shown.convert("RGB")))


def test_what_was_scaled_or_cut_is_in_the_caption(kernel, paid):
    kernel.run(
        "scan = np.linspace(0, 4095, 64 * 48).reshape(48, 64).astype('uint16')\n"
        "soft = Image.new('RGBA', (64, 48)); soft.putalpha(Image.linear_gradient('L').resize((64, 48)))"
    )
    cell = kernel.run("%imagine --image scan --mask soft make it blue")
    notes = [line for line in cell.texts[-1].splitlines() if line.startswith("- ")]
    assert {note.split(":")[0] for note in notes} == {"- scan", "- soft"}
    assert "4095" in "".join(notes)
    assert paid.posts[0].files[0].image.convert("L").getextrema() == (0, 255)


def test_our_own_results_are_known_with_their_parent(kernel, paid, home):
    kernel.run("fox = %imagine a red fox")
    made = kernel.run("print(fox.id, fox[0].id)").texts[0].split()
    for written in ("@-1", "fox", "fox[0]", "{fox}", "@1", "@1.1", f"@{made[0]}", f"@{made[1]}"):
        cell = kernel.run(f"hat = %imagine --new --image {written} add a hat")
        assert cell.error is None, (written, cell.error)
        assert f"{made[1]} 'a red fox'" in cell.caption
        assert kernel.run("print(hat.parents)").texts == [f"('{made[1]}',)\n"]
        kernel.run("%imagine_forget -1")
    sent = [post.files[0].data for post in paid.posts[1:]]
    assert sent == [image_bytes(64, 48, (0, 0, 250))] * 8


def test_several_images_and_a_mask(kernel, paid):
    kernel.run("mask = np.zeros((48, 64), bool); mask[10:20, 5:25] = True")
    for written in ("mask", "5,10,20,10", "５，１０，２０，１０"):
        cell = kernel.run(f"%imagine --new --image cat.png --image hat_bytes --mask {written} wear it")
        assert cell.error is None, cell.error
        post = paid.posts[-1]
        assert [(part.name, part.file_name) for part in post.files] == [
            ("image[]", "image-1.png"),
            ("image[]", "image-2.png"),
            ("mask", "mask.png"),
        ]
        assert [part.data for part in post.files[:2]] == [CAT, HAT]
        drawn = post.files[2].image
        assert (drawn.mode, drawn.size) == ("RGBA", (64, 48))
        clear = np.asarray(drawn)[..., 3] == 0
        assert clear[10:20, 5:25].all()
        assert clear.sum() == 200
    assert cell.caption.count("100.0%") == 1  # of the pixels outside the mask
    kernel.run("from ipyimagegen import history")
    texts = kernel.run("print(len(history[-1].mismatches), history[-1][0].changed_outside)").texts
    assert texts == ["1 1.0\n"]


def test_sketch_changes_nothing_outside_the_mask(kernel):
    kernel.run("%imagine --endpoint sketch --size 256x256 a red fox in the snow")
    cell = kernel.run("hat = %imagine --endpoint sketch --image @1 --mask 80,40,90,90 a yellow moon")
    assert cell.error is None, cell.error
    assert " 0% " in cell.caption
    assert kernel.run("print(hat[0].changed_outside, hat.mismatches)").texts == ["0.0 ()\n"]
    code = (
        "import numpy as np\nfrom ipyimagegen import history\n"
        "before, after = (np.asarray(x[0].pil.convert('RGB')).astype(int) for x in (history[1], hat))\n"
        "changed = (before != after).any(axis=-1); inside = changed[40:130, 80:170].sum()\n"
        "print(changed.sum() - inside, inside > 500)"
    )
    assert kernel.run(code).texts == ["0 True\n"]


def test_the_same_images_are_not_paid_twice_and_others_are(kernel, paid):
    for written in ("cat.png", "cat_bytes", "./cat.png", "pil"):
        kernel.run(f"%imagine --image {written} add a hat")
    assert len(paid.posts) == 2  # the file's bytes, and the pixels of the variable
    kernel.run("%imagine --image cat.png --image hat_bytes add a hat")
    kernel.run("%imagine --image hat_bytes --image cat.png add a hat")
    kernel.run("%imagine --image cat.png --mask 1,1,9,9 add a hat")
    kernel.run("%imagine add a hat")
    assert len(paid.posts) == 6
    kernel.run("%imagine --image cat.png --mask 1,1,9,9 add a hat")
    assert len(paid.posts) == 6


def test_rerun_takes_the_images_from_the_store(kernel, paid):
    kernel.run("%imagine --image cat.png --mask 1,1,9,9 add a hat")
    kernel.run("os.remove('cat.png')")
    assert kernel.run("%imagine_rerun 1").error is None
    again = kernel.run("%%imagine_rerun 1\nadd a scarf")
    assert again.error is None, again.error
    first, second, third = (post.files for post in paid.posts)
    assert [part.data for part in first] == [part.data for part in second] == [part.data for part in third]
    assert paid.posts[2].fields == {"prompt": "add a scarf"}
    other = kernel.run("%imagine_rerun 1 --image hat_bytes --mask default")
    assert other.error is None, other.error
    assert [part.data for part in paid.posts[3].files] == [HAT]
    assert "image: cat.png → hat_bytes" in other.texts[-1]
    assert kernel.run("%imagine_rerun 1 --image default --mask default").error is None
    assert paid.posts[4].path == "/v1/images/generations"


def test_an_address_is_fetched_once_a_request_and_never_offline(kernel, paid, serve):
    files = serve(lambda seen: (200, {"Content-Type": "image/png"}, CAT))
    url = files.base_url + "/cat.png?token=secret"
    cell = kernel.run(f"%imagine --image {url} add a hat")
    assert cell.error is None, cell.error
    assert paid.posts[0].files[0].data == CAT
    assert "127.0.0.1/…/cat.png" in cell.caption
    assert "secret" not in json.dumps(cell.outputs)
    assert "Authorization" not in files.requests[0].headers
    assert kernel.run(f"%imagine --offline --image {url} add a hat").error is None  # of this machine
    elsewhere = kernel.run("%imagine --offline --image https://images.example/cat.png add a scarf")
    assert "images.example/…/cat.png" in elsewhere.error


def test_a_dry_run_shows_the_images_in_words(kernel, paid, home):
    cell = kernel.run("%imagine --dry-run --image cat.png --mask 0,0,9,9 -m gpt-image-2 add a hat")
    assert cell.error is None, cell.error
    assert f"POST {paid.base_url}/images/edits" in cell.texts[0]
    assert "<png 64x48" in cell.texts[0]
    assert '"mask": "<png 64x48' in cell.texts[0]
    assert not paid.requests
    assert not records(home)


def test_show_tells_inputs_and_descent(kernel, paid):
    kernel.run("%imagine a red fox\n")
    kernel.run("%imagine --image @1 --mask 1,1,9,9 add a hat")
    kernel.run("%imagine --image @2 add a scarf")
    cell = kernel.run("%imagine_show 2")
    assert cell.error is None, cell.error
    assert len(cell.images) == 2
    text = cell.texts[-1]
    for line in ("'a red fox' · 64x48", "'add a scarf'"):
        assert line in text


def test_python_has_the_same_verb(kernel, paid):
    cell = kernel.run(
        "from ipyimagegen import imagine\n"
        "fox = imagine('a fox')\n"
        "hat = fox.edit('add a hat', mask=(1, 1, 9, 9))\n"
        "both = imagine('together', image=[fox[0], hat, 'cat.png', pil], mask=array > 200)\n"
        "print(hat.parents == (fox[0].id,), both.parents == (fox[0].id, hat[0].id), hat[0].changed_outside)"
    )
    assert cell.error is not None  # nothing in the array is brighter than 200
    assert cell.kind == "InvalidInput"
    cell = kernel.run(
        "both = imagine('together', image=[fox[0], hat, 'cat.png', pil], mask=array[..., 1] > 100)\n"
        "print(hat.parents == (fox[0].id,), both.parents == (fox[0].id, hat[0].id), hat[0].changed_outside)"
    )
    assert cell.error is None, cell.error
    assert cell.texts == ["True True 0.0\n"]
    assert len(paid.posts[-1].files) == 5


REFUSED = [
    ("--image nowhere.png", "nowhere.png"),
    ("--image ca.png", "cat.png?"),
    ("--image .", ""),
    ("--image huge.png", "2,147 MB"),
    ("--image text.png", "text.png"),
    ("--image cut.png", "cut.png"),
    ("--image drawing.svg", "SVG"),
    ("--image empty.png", "empty.png"),
    ("--image nothing", "nothing"),
    ("--image {nothing}", "'nothing'"),
    ("--image number", "int"),
    ("--image @7", "7"),
    ("--image cat.png --mask 0,0,99,99", "64x48"),
    ("--image cat.png --mask 0,0,0,5", "0"),
    ("--image cat.png --mask hat_bytes", "32x32"),
    ("--image cat.png --mask nothing_white", "nothing_white"),
    ("--mask 0,0,1,1", "--image"),
    ("--image two", "two[0]"),
    ("--image cat.png --image cat.png --mask 1,1,2,2 --mask 1,1,2,2", "--mask"),
    (" ".join(["--image cat.png"] * 17), "16"),
    ("--image cat.png -m dall-e-3 --endpoint openai", "dall-e-3"),
    ("--image cat.png --endpoint dmxapi", "dmxapi"),
    ("--image cat.png --mask 1,1,2,2 --endpoint xai", "--mask"),
    ("--image cat.png --image cat.png --endpoint lemonade", "base_url"),
    ("--image wide.png -m dall-e-2 --endpoint openai", "ImageOps.fit"),
    ("--image animal", "animal[0]"),
    ("--image pil.png", "{pil.png}"),
    ("--image http://example.com/cat.png", "https"),
    ("--image plt", "plot"),
    ("--image uplaods[0]", "uploads"),
    ("--image none", "none"),
    ("--mask none", "none"),
    ("--image cat.png --mask none", "none"),
    ("--image both", "both[0]"),
]


@pytest.mark.parametrize(("written", "named"), REFUSED)
def test_bad_input_is_refused_before_sending(kernel, paid, home, written, named):
    done = kernel.run(
        "os.environ.update({f'{name}_API_KEY': 'key-0123456789' for name in ('OPENAI', 'DMXAPI', 'XAI')})\n"
        "Path('huge.png').touch(); os.truncate('huge.png', 2 << 30)\n"
        "Path('text.png').write_text('hello')\n"
        "Path('cut.png').write_bytes(cat_bytes[:-20])\n"
        "Path('drawing.svg').write_text('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')\n"
        "Path('empty.png').touch(); Path('pil.png').write_bytes(cat_bytes)\n"
        "Image.new('RGB', (64, 32)).save('wide.png')\n"
        "number = 7; nothing_white = np.zeros((48, 64), bool)\n"
        "animal = np.zeros((4, 48, 64, 3), np.uint8); none = None; both = (file, file)\n"
    )
    assert done.error is None, done.error
    if "two" in written:
        kernel.run("two = %imagine --endpoint sketch -n 2 --size 64x64 a fox")
    before = set(records(home))
    cell = kernel.run(f"%imagine {written} add a hat")
    assert cell.error is not None, cell.texts
    assert named in cell.error
    assert len(cell.error.splitlines()) <= 2
    assert not paid.posts
    assert set(records(home)) == before


def test_what_goes_along_is_on_disk_before_it_is_sent(kernel, serve, home):
    seen_on_disk = []

    def answer(seen):
        data = base64.b64decode(b64(seen.files[0].data))
        sha256 = hashlib.sha256(data).hexdigest()
        seen_on_disk.append((home / "images" / sha256[:2] / f"{sha256}.png").is_file())
        return good(seen)

    server = serve(answer)
    kernel.run(f"%config Imagine.endpoint = {server.base_url!r}")
    kernel.run("from PIL import Image\nimage = Image.new('RGB', (64, 48), 'teal')")
    assert kernel.run("%imagine --image image add a hat").error is None
    assert seen_on_disk == [True]


def test_names_in_a_path_are_filled_in(kernel, paid):
    kernel.run("animal = 'cat'")
    assert kernel.run("%imagine --image ./{animal}.png give it a hat").error is None
    assert paid.posts[0].files[0].data == CAT


def test_a_repeat_sends_the_same_bytes_though_the_file_changed(kernel, serve, tmp_path):
    file = tmp_path / "cat.png"
    file.write_bytes(CAT)

    def answer(seen):
        file.write_bytes(HAT)
        if len(server.posts) == 1:
            return 429, {"Retry-After": "0.01"}, {"error": {"message": "slow down"}}
        return good(seen)

    server = serve(answer)
    kernel.run(f"%config Imagine.endpoint = {server.base_url!r}")
    assert kernel.run("%imagine --image cat.png add a hat").error is None
    first, second = server.posts
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert second.files[0].data == CAT


def test_forgetting_takes_the_images_along_unless_another_run_has_them(kernel, paid, home):
    kernel.run("%imagine --image cat.png --mask 1,1,9,9 add a hat\n")
    kernel.run("%imagine --image cat.png add a scarf")
    sha256 = hashlib.sha256(CAT).hexdigest()
    path = home / "images" / sha256[:2] / f"{sha256}.png"
    masks = {image["sha256"] for record in records(home).values() for image in _masks(record)}
    assert len(masks) == 2  # as it was meant, and as it was sent
    kernel.run("%imagine_forget 1")
    assert path.is_file()
    assert not [path for path in (home / "images").rglob("*.png") if path.stem in masks]
    kernel.run("%imagine_forget 2")
    assert not path.exists()


def _masks(record):
    return [part["mask"] for part in (record["request"], record["sent"]) if "mask" in part]


def test_an_own_server_may_want_json_another_field_or_a_white_mask(kernel, paid):
    entry = {"base_url": paid.base_url, "free": False}
    for more in ({"edit_form": "json"}, {"image_field": {"*": "image"}, "mask_as": "white"}):
        kernel.run(f"%config Imagine.endpoints = {{'lab': { ({**entry, **more})!r}}}")
        cell = kernel.run(f"%imagine --new --image cat.png --mask 1,1,9,9 add {len(more)} hats")
        assert cell.error is None, cell.error
    body = paid.posts[0].json
    assert body["images"] == [{"image_url": f"data:image/png;base64,{b64(CAT)}"}]
    assert body["mask"]["image_url"].startswith("data:image/png;base64,")
    image, mask = paid.posts[1].files
    assert (image.name, mask.name, mask.image.mode) == ("image", "mask", "L")
    assert np.asarray(mask.image)[1:10, 1:10].min() == 255
    assert np.asarray(mask.image).sum() == 81 * 255
    wrong = kernel.run(
        f"%config Imagine.endpoints = {{'lab': { ({**entry, 'mask_as': 'black'})!r}}}\n%imagine a fox"
    )
    assert "mask_as" in wrong.error


def test_a_image_is_known_by_its_pixels_whatever_encoder_wrote_it(kernel, paid):
    kernel.run("%imagine --image pil add a hat")
    kernel.run("import PIL.Image; from ipyimagegen import history; before = history[1].run.request")
    code = (
        "from dataclasses import replace\n"
        "other = replace(before, inputs=(replace(before.inputs[0], sha256='0' * 64),))\n"
        "print(other.identity == before.identity)"
    )
    assert kernel.run(code).texts == ["True\n"]


def test_a_dry_run_names_what_partial_images_add(kernel):
    kernel.run("import os; os.environ['OPENAI_API_KEY'] = 'key-0123456789'")
    cell = kernel.run("%imagine --dry-run -m gpt-image-2 --endpoint openai -n 2 --stream a fox")
    assert '"partial_images": 2' in cell.texts[0]
    assert " 400 " in cell.texts[0]


def test_moderation_at_openai_turns_the_form_into_json(kernel, paid):
    kernel.run("import os; os.environ['OPENAI_API_KEY'] = 'key-0123456789'")
    cell = kernel.run(
        "%imagine --dry-run -m gpt-image-2 --endpoint openai --moderation low --image cat.png a hat"
    )
    assert cell.error is None, cell.error
    assert '"images"' in cell.texts[0]
    assert '"moderation": "low"' in cell.texts[0]


def test_a_image_that_is_too_large_is_scaled_and_its_mask_with_it(kernel, paid):
    kernel.run("large = Image.new('L', (8000, 6000), 90)")
    cell = kernel.run("%imagine --image large --mask 0,0,4000,3000 add a hat")
    assert cell.error is None, cell.error
    image, mask = (part.image for part in paid.posts[0].files)
    assert image.size == mask.size
    assert image.width * image.height <= 40_000_000
    clear = np.asarray(mask)[..., 3] == 0
    assert abs(clear.mean() - 0.25) < 0.001
    assert re.search(f"large.* 8000x6000 .*{image.width}x{image.height}", cell.caption)


def test_run_all_a_second_time_means_the_same_images(kernel, paid):
    cells = [
        "%imagine a fox",
        "%imagine --image @-1 make it night",
        "%imagine a cat",
        "%imagine --image @-3 a hat",
    ]
    captions = [[kernel.run(cell).caption for cell in cells] for _ in range(2)]
    assert len(paid.posts) == 4
    first, second = ([text.rsplit("\n", 1)[0] for text in texts] for texts in captions)
    assert first == second


def test_an_edit_by_method_takes_more_images_behind_it(kernel, paid):
    kernel.run("fox = %imagine a fox")
    cell = kernel.run("cat = fox.edit('together', image='cat.png'); print(len(cat.run.request.inputs))")
    assert cell.texts == ["2\n"]
    assert paid.posts[1].files[1].data == CAT


SLIPS = [
    ("--image 1", "@1"),
    ("--image -1", "@-1"),
    ("--image cat.png,dog.png", "--image"),
    ("--image cat.png --mask 1,2,3", "(1,2,3)"),
    ("--image cat.png --mask 1,2,3.5,4", "(1,2,3.5,4)"),
    ("--image None", "--image None"),
]


@pytest.mark.parametrize(("written", "named"), SLIPS)
def test_slips_are_told_what_was_meant(kernel, paid, written, named):
    cell = kernel.run(f"%imagine {written} add a hat")
    assert named in cell.error
    assert not paid.posts


LEAKS = [
    "%imagine --image key x",
    "%imagine --image {key} x",
    "%imagine --image cat.png --mask key x",
    "%imagine --size {key} x",
    "%imagine -n {key} x",
    "%imagine --model {key} x",
    "%imagine --model {key} --image cat.png x",
    "%imagine --endpoint {key} x",
    "%imagine --endpoint http://{key}.example/v1 x",
    "%imagine_show {key}",
    "imagine('x', image=key)",
    "imagine('x', image=[key])",
    "imagine('x', image='cat.png', mask=key)",
    "imagine('x', model=key)",
    "imagine('x', size=key)",
    "imagine('x', endpoint=key)",
    "history[key]",
]


@pytest.mark.parametrize("code", LEAKS)
def test_a_key_in_a_variable_is_neither_told_nor_kept(kernel, paid, home, code):
    kernel.run("from ipyimagegen import imagine, history; key = os.environ['LAB_API_KEY']")
    cell = kernel.run(code)
    assert cell.error is not None
    assert CANARY not in json.dumps(cell.outputs)
    assert not paid.posts
    assert not [path for path in home.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "written", ['{table["cat"]}', 'table["cat"]', "table['cat']", '{table["a b"]}', '{table["deep"]["er"]}']
)
def test_keys_in_brackets_keep_their_quotes(kernel, paid, written):
    kernel.run("table = {'cat': cat_bytes, 'a b': cat_bytes, 'deep': {'er': cat_bytes}}")
    cell = kernel.run(f"%imagine --image {written} give it a hat")
    assert cell.error is None, cell.error
    assert paid.posts[0].files[0].data == CAT


def test_ids_in_a_loop(kernel, paid):
    kernel.run("for i in (1, 2):\n    %imagine a fox {i}")
    cell = kernel.run(
        "for i in (1, 2):\n    %imagine --image @{i} add hat {i}\n    %imagine_rerun {i} --user ann\n"
        "    %imagine_show {i}\n"
    )
    assert cell.error is None, cell.error
    assert [post.fields["prompt"] for post in paid.posts if post.path.endswith("edits")] == [
        "add hat 1",
        "add hat 2",
    ]


def test_images_are_not_lost_on_the_way(kernel, paid):
    assert "image=" in kernel.run("from ipyimagegen import imagine\nimagine('x', image=[])").error
    assert "@2" in kernel.run("%imagine --image @1 @2 combine").error
    assert not paid.posts
    kernel.run("%imagine a fox")
    cell = kernel.run("%imagine_rerun --image cat.png 1 --image hat_bytes")
    assert cell.error is None, cell.error
    assert [part.data for part in paid.posts[1].files] == [CAT, HAT]
    twice = kernel.run("%imagine_rerun --image cat.png --mask 1,1,2,2 1 --mask 1,1,3,3")
    assert "--mask" in twice.error


def test_forgetting_takes_a_prompt_out_of_the_edits_too(kernel, paid, home):
    kernel.run("%imagine the secret garden of zebras")
    kernel.run("%imagine --image @1 add a hat")
    assert kernel.run("%imagine_forget 1").error is None
    for path in home.rglob("*"):
        assert not path.is_file() or b"zebras" not in path.read_bytes(), path
    assert "zebras" not in json.dumps(kernel.run("%imagine_show 2").outputs)


def test_what_cannot_be_compared_is_said(kernel, serve):
    server = serve(lambda seen: (200, {}, {"data": [{"b64_json": b64(image_bytes(64, 64))}]}))
    kernel.run(f"%config Imagine.endpoint = {server.base_url!r}")
    kernel.run("from PIL import Image\nimage = Image.new('RGB', (64, 48), 'teal')")
    cell = kernel.run("%imagine --image image --mask 1,1,9,9 add a hat")
    assert re.search("64x48 .* 64x64", cell.caption)


def test_a_damaged_image_of_the_history_is_not_sent(kernel, paid, home):
    kernel.run("fox = %imagine a fox")
    (path,) = (home / "images").rglob("*.png")
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    for written in ("@1", "fox"):
        assert kernel.run(f"%imagine --image {written} add a hat").kind == "InvalidInput"
    kernel.run("%imagine --image cat.png add a hat")
    for path in (home / "images").rglob(f"{hashlib.sha256(CAT).hexdigest()}.png"):
        path.write_bytes(b"x" * len(CAT))
    assert "cat.png" in kernel.run("%imagine_rerun 2 --user ann --new").error
    assert len(paid.posts) == 2


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::ffff:10.0.0.1]", "192.168.0.1"])
def test_private_addresses_are_not_fetched(kernel, paid, host):
    cell = kernel.run(f"%imagine --image https://{host}/cat.png add a hat")
    assert cell.kind == "InvalidInput"
    assert not paid.posts


def test_a_server_that_answers_with_the_image_itself(kernel, serve):
    server = serve(lambda seen: (200, {"Content-Type": "image/png"}, CAT))
    entry = {"base_url": server.base_url, "free": False}
    kernel.run(f"%config Imagine.endpoints = {{'lab': {entry!r}}}\n%config Imagine.endpoint = 'lab'")
    cell = kernel.run("cat = %imagine --response-format b64_json a cat")
    assert cell.error is None, cell.error
    assert cell.images[0].size == (64, 48)
    texts = kernel.run(f"print(cat[0].sha256 == {hashlib.sha256(CAT).hexdigest()!r}, cat.mismatches)").texts
    assert texts == ["True ()\n"]
    assert kernel.run("%imagine a cat").reused
    assert len(server.posts) == 1


def test_timeout_default_and_names_that_look_like_keys(kernel, paid):
    assert kernel.run("%imagine --timeout default a fox").error is None
    assert kernel.run("from ipyimagegen import imagine\nimagine('a cat', timeout='default')").error is None
    kernel.run("Path('hf_dataset_sample_01.png').write_bytes(cat_bytes)")
    for code in (
        "%imagine --image hf_dataset_sample_01.png a hat",
        "imagine('a dog', model='hf-internal-testing/tiny-stable-diffusion-pipe')",
    ):
        cell = kernel.run(code)
        assert cell.error is None, cell.error
    entry = {"base_url": paid.base_url, "key_env": "LM_KEY", "free": False}
    kernel.run(f"os.environ['LM_KEY'] = 'lm-studio'\n%config Imagine.endpoints = {{'lm-studio': {entry!r}}}")
    assert kernel.run("%imagine --endpoint lm-studio a cow").error is None


def test_a_forgotten_prompt_does_not_come_back(kernel, paid, home):
    kernel.run("%imagine zebras in the secret garden\n")
    kernel.run("%imagine --image cat.png --mask @1 add a hat")
    shown = kernel.run("%imagine --image @1 add a scarf").caption
    assert "'zebras in the secret garden'" in shown
    others = [record for name, record in records(home).items() if not name.endswith("/1")]
    assert "zebras" not in json.dumps(others)
    kernel.run("%imagine_forget 1")
    again = kernel.run("%imagine_show 2").texts[-1]
    assert "zebras" not in again


def test_a_run_that_was_never_sent_is_not_the_last(kernel, serve):
    server = serve(good)
    kernel.run(f"%config Imagine.endpoint = {server.base_url!r}\n%imagine a fox\n")
    kernel.run("%config Imagine.endpoint = 'http://127.0.0.1:9/v1'")
    assert kernel.run("%imagine --timeout 20 a cat").kind == "NotSent"
    kernel.run(f"%config Imagine.endpoint = {server.base_url!r}")
    assert "'a fox'" in kernel.run("%imagine --image @-1 add a hat").caption


def test_a_name_that_was_filled_in_is_not_read_again(kernel, paid):
    kernel.run("cat = 7; name = 'cat'")
    cell = kernel.run("%imagine --image {name}.png make it red")
    assert cell.error is None, cell.error
    assert paid.posts[0].files[0].data == CAT
