"""Photograph a notebook for the README: `PYTHONPATH=tests python -m browser.shoot` in the project's folder.

Writes docs/quickstart.png from what a real notebook shows, so that the README never shows what is not so.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from browser.lab import NOTEBOOK, Jupyter, Notebook, browser_of, context_of

TARGET = Path(__file__).parents[2] / "docs" / "quickstart.png"
CELLS = [
    "%load_ext ipyimagegen",
    "%%imagine --size landscape\na red fox in the snow, watercolour",
    "%imagine -n 4 --seed 7 --size landscape three red circles on a blue background",
]
WIDE, SCALE = 960, 1.3  # CSS pixels of the page, and pixels of the picture in each
MARGIN = 8  # CSS pixels around the cells
COLOURS = 256  # a palette: a third of the bytes, below 400 KB


def main() -> None:
    """Run the cells and keep a picture of them."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = browser_of(playwright, shutil.which("chromium") or "")
        view = {"width": WIDE, "height": 2400}
        page = context_of(chromium, viewport=view, device_scale_factor=SCALE).new_page()
        with Jupyter(Path(folder, "jupyter")) as jupyter:
            file = jupyter.write("quickstart.ipynb", *CELLS, "", "")  # the last takes the selection
            shot = photograph(jupyter.open(page, file, NOTEBOOK))
    picture = (
        Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE)
    )
    TARGET.parent.mkdir(exist_ok=True)
    picture.save(TARGET, optimize=True)
    print(TARGET, picture.size, TARGET.stat().st_size, "bytes")


def photograph(notebook: Notebook) -> bytes:
    """Run all cells and return a PNG of them."""
    notebook.run_all()
    last = len(CELLS) - 1
    notebook.finished(last)
    for place in range(1, len(CELLS)):
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
