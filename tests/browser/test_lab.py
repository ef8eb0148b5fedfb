"""A notebook in JupyterLab and Notebook 7: run, seen, saved, opened again."""

import json

import pytest
from loopback import records

from browser.lab import LAB, NOTEBOOK, context_of, expect

pytestmark = pytest.mark.browser

CELLS = {
    "load": "%load_ext ipyimagegen",
    "config": '%config Imagine.endpoint = "sketch"',
    "fox": "%%imagine\na red fox in the snow, watercolour",
    "circles": "%imagine -n 4 --seed 7 three red circles on a blue background",
    "chinese": "%%imagine\n雪中的红狐狸，水彩",
    "error": "%imagine --si 3 a fox",
    "empty": "",
}
PLACE = {name: place for place, name in enumerate(CELLS)}
DRAWN = ("fox", "circles", "chinese")
PLAIN = {"image/png", "image/jpeg", "text/plain"}


@pytest.fixture(scope="module", params=[LAB, NOTEBOOK], ids=["lab", "notebook7"])
def ran(request, jupyter, browser):
    """Return a notebook in a page, with all its cells run once by Run All."""
    name = f"{request.param.partition('/')[0]}.ipynb"
    file = jupyter.write(name, *CELLS.values())
    with context_of(browser) as context:
        notebook = jupyter.open(context.new_page(), file, request.param)
        notebook.run_all()
        notebook.finished(PLACE["error"])
        yield notebook


@pytest.fixture(scope="module")
def saved(ran):
    """Return that notebook saved: once, as Control-S does nothing when nothing has changed."""
    ran.save()
    return ran


@pytest.mark.parametrize("cell", DRAWN)
def test_an_image_is_under_the_cell(ran, cell):
    image = ran.images(PLACE[cell])
    expect(image).to_have_count(1)
    width, height = ran.loaded(image)
    assert 256 <= max(width, height) <= 768


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("fox", ["a red fox in the snow, watercolour", "sketch · 1024x1024", "free"]),
        ("circles", ["three red circles", "4 images · seed 7", "tiles: 2.1  2.2  2.3  2.4", "free"]),
        ("chinese", ["雪中的红狐狸，水彩", "sketch · 1024x1024", "free"]),
    ],
)
def test_the_caption_is_under_the_image(ran, cell, words):
    texts = ran.texts(PLACE[cell])
    expect(texts).to_have_count(1)
    for text in words:
        expect(texts).to_contain_text(text)
    image, caption = ran.images(PLACE[cell]).bounding_box(), texts.bounding_box()
    assert caption["y"] >= image["y"] + image["height"]


def test_there_is_nothing_but_images_and_text(ran):
    for cell in DRAWN:
        assert set(ran.mimes(PLACE[cell])) <= PLAIN
    expect(ran.page.locator(".jp-OutputArea iframe, .jp-OutputArea .jupyter-widgets")).to_have_count(0)


def test_an_error_is_told_in_two_lines_without_a_traceback(ran):
    error = ran.texts(PLACE["error"])
    expect(error).to_have_count(1)
    expect(error).to_contain_text("Did you mean --size?")
    expect(error).not_to_contain_text("Traceback")
    assert len(error.inner_text().strip().splitlines()) <= 2
    assert ran.images(PLACE["error"]).count() == 0


def test_tab_proposes_options(ran):
    proposals = ran.complete(PLACE["empty"], "%imagine --asp")
    expect(proposals).to_contain_text("--aspect-ratio")
    ran.page.keyboard.press("Enter")
    expect(ran.cell(PLACE["empty"]).locator(".cm-content")).to_have_text("%imagine --aspect-ratio")


def test_the_saved_notebook_is_small_and_plain(saved):
    cells = json.loads(saved.file.read_text(encoding="utf-8"))["cells"]
    assert [cell["id"] for cell in cells] == [f"cell-{place}" for place in range(len(CELLS))]
    for name in DRAWN:
        outputs = cells[PLACE[name]]["outputs"]
        assert [output["output_type"] for output in outputs] == ["display_data", "display_data"]
        assert all(set(output["data"]) <= PLAIN for output in outputs)
        assert len(json.dumps(cells[PLACE[name]])) < 150 * 1024
    whole = saved.file.read_text(encoding="utf-8")
    assert "display_id" not in whole
    assert "transient" not in whole
    assert "widget" not in whole


def test_opened_again_it_shows_its_images_without_running(saved, jupyter, browser):
    copy = saved.file.with_name(f"again-{saved.file.name}")
    copy.write_bytes(saved.file.read_bytes())
    before = records(jupyter.home)
    with context_of(browser) as context:
        again = jupyter.open(context.new_page(), copy, saved.front)
        for cell in DRAWN:
            width, height = again.loaded(again.images(PLACE[cell]))
            assert max(width, height) > 0
            expect(again.texts(PLACE[cell])).to_contain_text("free")
    assert records(jupyter.home) == before


def test_reloaded_the_page_shows_its_images(saved):
    saved.page.reload()
    saved.ready()
    for cell in DRAWN:
        assert max(saved.loaded(saved.images(PLACE[cell]))) > 0
    expect(saved.prompt(PLACE["empty"])).to_have_text("[ ]:")
