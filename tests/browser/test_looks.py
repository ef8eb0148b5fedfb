"""Captions and errors can be read in light and dark themes, and nothing is cut."""

import pytest

from browser.lab import context_of

pytestmark = pytest.mark.browser

CELLS = [
    '%load_ext ipyimagegen\n%config Imagine.endpoint = "sketch"',
    "%%imagine --size landscape\na lighthouse at night, in a prompt of many more words than a title can hold",
    "%imagine -n 3 a cat",
    "%imagine --qualty high a cat",
]


@pytest.fixture(scope="module", params=["light", "dark"])
def looked_at(request, jupyter, browser, tmp_path_factory):
    """Return the notebook in that theme, with an image of each cell kept in pytest's folder."""
    with context_of(browser, request.param, viewport={"width": 1280, "height": 2600}) as context:
        notebook = jupyter.open(context.new_page(), jupyter.write(f"{request.param}.ipynb", *CELLS))
        notebook.run_all()
        notebook.finished(3)
        shots = tmp_path_factory.mktemp(request.param)
        for place in range(1, len(CELLS)):
            notebook.cell(place).screenshot(path=shots / f"{place}.png")
        yield notebook


def contrast(text):
    """Return how much a text stands out from what is behind it: 1 (not at all) to 21 (black on white)."""
    ink, ground = text.evaluate(
        """it => {
            const behind = node => {
                const colour = getComputedStyle(node).backgroundColor;
                return colour.startsWith("rgba(") ? behind(node.parentElement) : colour;
            };
            const colours = [getComputedStyle(it).color, behind(it)];
            return colours.map(colour => colour.match(/[\\d.]+/g).map(Number));
        }"""
    )
    dark, light = sorted((luminance(ink), luminance(ground)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    """Return the relative luminance of red, green and blue, as WCAG defines it."""
    red, green, blue = (c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("place", [1, 2, 3])
def test_text_stands_out_from_its_ground(looked_at, place):
    assert contrast(looked_at.texts(place)) >= 4.5  # WCAG 2.2, level AA


@pytest.mark.parametrize("place", [1, 2, 3])
def test_nothing_is_cut(looked_at, place):
    for output in looked_at.cell(place).locator(".jp-OutputArea-output").all():
        wide, room = output.evaluate("it => [it.scrollWidth, it.clientWidth]")
        assert wide <= room


def test_the_theme_is_the_one_that_was_asked(looked_at, request):
    theme = "true" if request.node.callspec.params["looked_at"] == "light" else "false"
    assert looked_at.page.locator("body").get_attribute("data-jp-theme-light") == theme
