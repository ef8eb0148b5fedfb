"""How soon the panel is seen, and how quick it stays with 500 images, in a real JupyterLab.

    python benchmarks/panel.py [--images 500] [--times 5]

Needs Chromium and the packages of the extra `test`. Prints one table; ends with 1 when a limit is missed.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import figures
from figures import Row

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from browser.lab import Jupyter, browser_of, context_of, expect
from browser.panels import LOAD, Painter
from playwright.sync_api import sync_playwright

SHOWN, LARGE = 300, 200  # ms: from the start of the cell to the panel, from a click to the large image
BARE = "import ipywidgets\nipywidgets.Button(description='bare')"
# From the key that runs a cell to the first sight of what it shows.
WATCH = """what => {
    window.began = undefined;
    document.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && event.ctrlKey) window.began ??= performance.now();
    }, {capture: true, once: false});
    window.seen = new Promise((done) => {
        new MutationObserver((_, watching) => {
            if (!document.querySelector(what)) return;
            watching.disconnect();
            requestAnimationFrame(() => done(performance.now() - window.began));
        }).observe(document.body, {childList: true, subtree: true});
    });
}"""
# From the click on a tile to the large image, decoded.
CLICK = """async (tile) => {
    const began = performance.now(), image = document.querySelector(".imagegen-large"), before = image.src;
    tile.click();
    const whole = (it) => it.src.startsWith("blob:") && it.src !== before && it.naturalWidth > 400;
    while (!whole(image)) await new Promise((done) => image.addEventListener("load", done, {once: true}));
    await image.decode();
    return performance.now() - began;
}"""


def timed(jupyter, browser, cells, what):
    """Return the ms from running the last cell to the sight of what it shows, in a fresh kernel and page."""
    with context_of(browser) as context:
        page = context.new_page()
        notebook = jupyter.open(page, jupyter.write(f"{abs(hash((cells, what)))}.ipynb", *cells))
        for index in range(len(cells) - 1):
            notebook.run(index)
            notebook.finished(index)
        page.evaluate(WATCH, what)
        notebook.run(len(cells) - 1)
        return page.evaluate("window.seen")


def shown(jupyter, browser, load, times):
    """Return the medians of a bare widget, of the panel at first, and of another one in the same kernel."""
    bare, first, again = [], [], []
    for _ in range(times):
        bare.append(timed(jupyter, browser, ("1", BARE), ".jupyter-button"))
        first.append(timed(jupyter, browser, (load, "%imagine_panel"), ".imagegen-panel option"))
        panels = (load, "import ipyimagegen; ipyimagegen.Panel()\nNone", "%imagine_panel")
        again.append(timed(jupyter, browser, panels, ".imagegen-panel option"))
    return [statistics.median(seconds) for seconds in (bare, first, again)]


def clicks(jupyter, browser, load, images):
    """Return the ms from the click on each of twelve tiles of so many to the large image."""
    ask = f"from ipyimagegen import imagine\nfor k in range({images // 10}): imagine(f'red {{k}}', n=10);"
    with context_of(browser) as context:
        notebook = jupyter.open(context.new_page(), jupyter.write("many.ipynb", load, ask, "%imagine_panel"))
        notebook.run_all()
        notebook.finished(2)
        tiles = notebook.page.locator(".imagegen-tile")
        expect(tiles).to_have_count(images)
        notebook.page.wait_for_timeout(3000)  # the thumbs that are in view
        step = images // 12
        return [tiles.nth(k).evaluate(CLICK) for k in range(step // 2, images, step)]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        Painter((768, 512)) as painter,
    ):
        browser = browser_of(playwright, shutil.which("chromium") or "")
        load = LOAD.format(base_url=painter.base_url)
        load += "\n%config Imagine.max_calls = 1000\n%config Imagine.max_images = 100000"
        with Jupyter(Path(folder, "jupyter")) as jupyter:
            bare, first, again = shown(jupyter, browser, load, given.times)
            taken = clicks(jupyter, browser, load, given.images)
        browser.close()
    rows = [
        Row("a bare ipywidgets button, its import included", bare),
        Row("the panel, its imports included", first, against=f"{first - bare:+.0f} ms over bare"),
        Row("the panel, once widgets are imported", again, limit=SHOWN),
        Row(f"click to large view, of {given.images}: median", statistics.median(taken), limit=LARGE),
        Row("click to large view: the slowest of twelve", max(taken)),
    ]
    figures.show("The panel in JupyterLab", rows)
    sys.exit(bool(figures.MISSED))


if __name__ == "__main__":
    main()
