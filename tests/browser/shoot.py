"""Photograph notebooks for the README: `PYTHONPATH=tests python -m browser.shoot` in the project's folder.

Writes the images in docs/ from real notebooks, so that the README shows what is true.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from browser.lab import NOTEBOOK, Jupyter, Notebook, browser_of, context_of, expect
from browser.panels import Panel

DOCS = Path(__file__).parents[2] / "docs"
PLOT = """import matplotlib.pyplot as plt
fig, ax = plt.subplots(figsize=(6, 3.2), dpi=120)
ax.plot([2, 4, 3, 6, 5, 8], linewidth=3)
ax.set_title("visitors at the harbour")
plt.close(fig)"""
NOTEBOOKS = {
    "quickstart": [
        "%load_ext ipyimagegen",
        "%%imagine --size landscape\na red fox in the snow, watercolour",
        "%imagine -n 4 --seed 7 --size landscape three red circles on a blue background",
    ],
    "sweep": [
        "%load_ext ipyimagegen",
        "%%imagine --size 384x288 --seed 1..3\na {fox|owl|cat} at night",
    ],
    "edits": [
        f"%load_ext ipyimagegen\n{PLOT}",
        "%%imagine --image fig\nadd a red boat, at sunset",
        "%%imagine --image @1 --mask 60,40,300,140\na hot air balloon",
    ],
}
PROMPTS = ("a lighthouse at sunset", "three balloons over hills", "a red fox in the snow, watercolour")
WIDE, SCALE = 960, 1.3  # CSS pixels of the page, and pixels of the image in each
MARGIN = 8  # CSS pixels around the cells
THUMBNAILS = "[...document.querySelectorAll('.imagegen-thumb')].every(it => it.src && it.complete)"
COLOURS = 256  # a palette: a third of the bytes, below 400 KB


def main() -> None:
    """Run the cells and keep an image of them."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = browser_of(playwright, shutil.which("chromium") or "")
        view = {"width": WIDE, "height": 2400}
        page = context_of(chromium, viewport=view, device_scale_factor=SCALE).new_page()
        with Jupyter(Path(folder, "jupyter")) as jupyter:
            for name, cells in NOTEBOOKS.items():
                file = jupyter.write(f"{name}.ipynb", *cells, "", "")  # the last takes the selection
                keep(photograph(jupyter.open(page, file, NOTEBOOK), len(cells)), DOCS / f"{name}.png")
            file = jupyter.write("panel.ipynb", "%load_ext ipyimagegen", "%imagine_panel")
            keep(panel(jupyter.open(page.context.new_page(), file, NOTEBOOK)), DOCS / "panel.png")


def keep(shot: bytes, path: Path) -> None:
    """Write the image with a palette."""
    image = Image.open(io.BytesIO(shot)).convert("RGB")
    path.parent.mkdir(exist_ok=True)
    image.quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, image.size, path.stat().st_size, "bytes")


def panel(notebook: Notebook) -> bytes:
    """Make some images with the panel and return a PNG of it."""
    notebook.run_all()
    shown = Panel(notebook, 1).shown()
    shown.root.get_by_label("Size", exact=True).fill("768x512")
    for count, prompt in enumerate(PROMPTS, start=1):
        shown.generate(prompt)
        shown.has_tiles(count)
    expect(shown.large).to_have_js_property("naturalWidth", 768)
    notebook.page.wait_for_function(THUMBNAILS)
    return shown.root.screenshot()


def photograph(notebook: Notebook, count: int) -> bytes:
    """Run so many cells and return a PNG of them."""
    notebook.run_all()
    last = count - 1
    notebook.finished(last)
    for place in range(1, count):
        notebook.loaded(notebook.images(place))
    first, final = notebook.cell(0).bounding_box(), notebook.cell(last).bounding_box()
    area = {
        "x": first["x"] - MARGIN,
        "y": first["y"] - MARGIN,
        "width": first["width"] + 2 * MARGIN,
        "height": final["y"] + final["height"] - first["y"] + MARGIN,
    }
    return notebook.page.screenshot(clip=area)


if __name__ == "__main__":
    main()
