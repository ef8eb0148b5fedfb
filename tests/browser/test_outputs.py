"""Images where the output of a cell goes: Output widgets, tabs, callbacks, threads, and `display`."""

import pytest

from browser.lab import LAB, NOTEBOOK, context_of, expect

pytestmark = pytest.mark.browser

# The slow ones take long enough for a status line.
CELLS = {
    "load": "%load_ext ipyimagegen\n%config Imagine.endpoint = 'sketch'\n%config Imagine.reuse = False\n"
    "import ipywidgets, threading\n"
    "from IPython.display import clear_output\nfrom ipyimagegen import imagine",
    "slow": "%imagine --set fault=slow:1 a white horse",
    "output": "out = ipywidgets.Output()\ndisplay(out)\n"
    "with out:\n    fox = %imagine --set fault=slow:1 a red fox",
    "sweep": "sheet = ipywidgets.Output()\ndisplay(sheet)\nwith sheet:\n"
    "    %imagine --set fault=slow:1 --seed 1..3 a brown dog",
    "tab": "pages = [ipywidgets.Output(), ipywidgets.Output()]\ndisplay(ipywidgets.Tab(pages))\n"
    "with pages[1]:\n    %imagine --set fault=slow:1 a tree\n"
    "with pages[0]:\n    %imagine --set fault=slow:1 a house",
    "nested": "outer, inner = ipywidgets.Output(), ipywidgets.Output()\ndisplay(outer)\nwith outer:\n"
    "    display(inner)\n    with inner:\n        %imagine --set fault=slow:1 a boat",
    "interact": "@ipywidgets.interact(seed=(1, 5))\ndef draw(seed=2):\n"
    "    return imagine('a green cat', seed=seed, extra={'fault': 'slow:1'})",
    "thread": "def draw():\n    get_ipython().run_line_magic('imagine', '--set fault=slow:1 a lamp')\n"
    "thread = threading.Thread(target=draw)\nthread.start()\nthread.join()",
    "by hand": "bird = %imagine a bird\nclear_output()\ndisplay(bird)",
    "replaced": "handle = display(imagine('a red circle'), display_id=True)\n"
    "handle.update(imagine('a blue square'))",
    "button": "box, button = ipywidgets.Output(), ipywidgets.Button(description='draw')\n"
    "@button.on_click\ndef click(button):\n    with box:\n"
    "        get_ipython().run_line_magic('imagine', '--set fault=slow:1 a blue owl')\ndisplay(button, box)",
}
PLACE = {name: place for place, name in enumerate(CELLS)}
WITH_CAPTION = {
    "slow": "a white horse",
    "output": "a red fox",
    "sweep": "3 of 3",
    "nested": "a boat",
    "interact": "a green cat",
    "thread": "a lamp",
    "by hand": "a bird",
}


@pytest.fixture(scope="module", params=[LAB, NOTEBOOK], ids=["lab", "notebook7"])
def ran(request, jupyter, browser):
    """Return a notebook in a page, with all its cells run once by Run All."""
    name = f"outputs-{request.param.partition('/')[0]}.ipynb"
    file = jupyter.write(name, *CELLS.values())
    with context_of(browser, viewport={"width": 1280, "height": 9000}) as context:
        notebook = jupyter.open(context.new_page(), file, request.param)
        notebook.run_all()
        notebook.finished(PLACE["button"])
        yield notebook


@pytest.mark.parametrize("cell", WITH_CAPTION)
def test_the_image_and_its_caption_are_shown_once(ran, cell):
    images = ran.images(PLACE[cell])
    expect(images).to_have_count(1)
    assert max(ran.loaded(images)) > 0
    captions = ran.texts(PLACE[cell])
    expect(captions).to_have_count(1)  # and no status line
    expect(captions).to_contain_text(WITH_CAPTION[cell])


def test_each_page_of_a_tab_has_its_own_image(ran):
    for page, prompt in enumerate(("a house", "a tree")):
        ran.cell(PLACE["tab"]).get_by_role("tab").nth(page).click()
        expect(ran.texts(PLACE["tab"]).locator("visible=true")).to_contain_text(prompt)
        assert max(ran.loaded(ran.images(PLACE["tab"]).locator("visible=true"))) > 0


def test_an_image_is_replaced_by_its_display_id(ran):
    images = ran.images(PLACE["replaced"])
    expect(images).to_have_count(1)
    expect(ran.texts(PLACE["replaced"])).to_have_count(0)
    assert max(ran.loaded(images)) > 0


def test_a_button_draws_into_its_output(ran):
    ran.cell(PLACE["button"]).get_by_role("button", name="draw").click()
    expect(ran.images(PLACE["button"])).to_have_count(1)
    expect(ran.texts(PLACE["button"])).to_have_count(1)
    expect(ran.texts(PLACE["button"])).to_contain_text("a blue owl")
