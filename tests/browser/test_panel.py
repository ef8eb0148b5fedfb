"""The panel in JupyterLab and Notebook 7, as a person uses it: mouse, keyboard, reload, themes, languages."""

import io
import json
import os
import re
from pathlib import Path

import axe_playwright_python
import pytest
from loopback import image_bytes
from PIL import Image

from browser.hostile import TEXTS, Trap
from browser.lab import LAB, NOTEBOOK, context_of, expect
from browser.panels import LOAD, HeldMessage, Painter, Panel

pytestmark = pytest.mark.browser
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
FOCUSED = """(({activeElement: it}) =>
    (it.ariaLabel || it.textContent || it.labels?.[0]?.textContent || "").trim())(document)"""
HINTS = "all => all.map(it => getComputedStyle(it, '::placeholder').color)"
FRONTS = pytest.mark.parametrize("front", [LAB, NOTEBOOK], ids=["lab", "notebook7"])
BOTH = pytest.fixture(scope="module", params=[LAB, NOTEBOOK], ids=["lab", "notebook7"])


@pytest.fixture(scope="module")
def painter():
    with Painter() as running:
        yield running


def shown(jupyter, page, painter, name, front=LAB, more=""):
    """Return a panel in a fresh notebook, whose cells have run."""
    load = LOAD.format(base_url=painter.base_url) + more
    file = jupyter.write(name, load, "%imagine_panel", "print(sum(range(10)))", "")
    notebook = jupyter.open(page, file, front)
    notebook.run_all()
    notebook.finished(2)
    return Panel(notebook, 1).shown()


@BOTH
def panel(request, jupyter, browser, painter):
    """Return a panel that the tests of a module share, one after the other."""
    name = f"panel-{request.param.partition('/')[0]}.ipynb"
    with context_of(browser, permissions=["clipboard-read", "clipboard-write"]) as context:
        yield shown(jupyter, context.new_page(), painter, name, request.param)


def fields(painter, count):
    """Return the fields of the requests from that one on."""
    return [sent for sent, _ in painter.posts[count:]]


def test_generate_from_the_prompt_field_by_keys(panel, painter):
    before, tiles = len(painter.posts), panel.tiles.count()
    panel.prompt.fill("a red fox")
    panel.page.keyboard.press("Control+Enter")
    panel.has_tiles(tiles + 1)
    assert fields(painter, before) == [{"prompt": "a red fox"}]
    expect(panel.large).to_have_js_property("naturalWidth", 320)
    expect(panel.notebook.images(1).last).to_be_visible()  # and as a plain image under the panel
    assert {"image/png", "image/jpeg"} & set(panel.notebook.mimes(1))
    expect(panel.prompt).to_have_value("a red fox")  # the keys ran no cell


def test_a_double_click_pays_once(panel, painter):
    before, tiles = len(painter.posts), panel.tiles.count()
    panel.prompt.fill("a green fox")
    panel.button("Generate").dblclick()
    panel.has_tiles(tiles + 1)
    panel.settle()
    assert fields(painter, before) == [{"prompt": "a green fox"}]


def test_every_tool_of_the_painter(panel):
    panel.tiles.first.click()
    panel.button("Paint mask…").last.click()
    canvas = panel.root.locator(".imagegen-canvas")
    status = panel.root.locator(".imagegen-painter [role=status]")
    expect(canvas).to_be_visible()

    def drag(*points):
        canvas.hover(trial=True)  # waits until it stands still in the page
        box = canvas.bounding_box()
        x, y = points[0]
        panel.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        panel.page.mouse.down()
        for x, y in points[1:]:
            panel.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        panel.page.mouse.up()

    panel.button("Invert").click()
    expect(status).to_contain_text("100.0 %")
    panel.button("Undo").click()
    expect(status).to_contain_text("0.0 %")
    panel.button("Use mask").click()
    expect(canvas).to_be_visible()  # as nothing is painted
    panel.root.get_by_label("Box", exact=True).check()
    drag((0.25, 0.25), (0.75, 0.75))
    expect(status).to_contain_text(re.compile(r"2[45]\.\d %"))
    panel.root.get_by_label("Erase", exact=True).check()
    drag((0.3, 0.5), (0.7, 0.5))
    expect(status).not_to_contain_text(re.compile(r"2[45]\.\d %"))
    panel.button("Undo").click()
    expect(status).to_contain_text(re.compile(r"2[45]\.\d %"))
    panel.button("Clear").click()
    expect(status).to_contain_text("0.0 %")
    panel.root.locator(".imagegen-painter").get_by_role("button", name="Close").click()
    expect(canvas).to_be_hidden()
    panel.root.locator(".imagegen-chip button").click()
    expect(panel.root.locator(".imagegen-chip")).to_have_count(0)


def test_an_edit_with_a_painted_mask(panel, painter):
    before, tiles = len(painter.posts), panel.tiles.count()
    panel.button("Paint mask…").last.click()
    canvas = panel.root.locator(".imagegen-canvas")
    canvas.hover(trial=True)  # waits until it stands still in the page
    box = canvas.bounding_box()
    left, top, scale = box["x"], box["y"], box["width"] / 320
    panel.page.mouse.move(left + 40 * scale, top + 40 * scale)
    panel.page.mouse.down()
    panel.page.mouse.move(left + 120 * scale, top + 40 * scale, steps=8)
    panel.page.mouse.up()
    panel.root.get_by_label("x", exact=True).fill("200")
    panel.root.get_by_label("y", exact=True).fill("100")
    panel.root.get_by_label("width", exact=True).fill("50")
    panel.root.get_by_label("height", exact=True).fill("60")
    panel.button("Add box").click()
    panel.button("Use mask").click()
    expect(panel.root.get_by_text("painted mask")).to_be_visible()
    panel.generate("a blue hat")
    panel.has_tiles(tiles + 1)
    ((_, files),) = painter.posts[before:]
    alpha = Image.open(io.BytesIO(files["mask"])).getchannel("A")
    assert alpha.size == (320, 240)
    inside = [(40, 40), (80, 40), (120, 40), (200, 100), (249, 159)]
    outside = [(5, 5), (160, 40), (199, 100), (250, 159), (80, 80)]
    assert [alpha.getpixel(point) for point in inside] == [0] * 5
    assert [alpha.getpixel(point) for point in outside] == [255] * 5
    expect(panel.root.locator(".imagegen-lineage")).to_contain_text("@")


def test_copy_as_cell_inserts_a_cell_that_is_served_from_history(panel, painter):
    before, cells = len(painter.posts), panel.page.locator(".jp-Notebook .jp-Cell").count()
    panel.button("Copy as cell").click()
    text = panel.root.locator(".imagegen-code")
    expect(text).to_have_value(re.compile(r"^%%imagine --image @\S+ --mask \S+\na blue hat$"))
    expect(panel.page.locator(".jp-Notebook .jp-Cell")).to_have_count(cells + 1)
    assert panel.page.evaluate("navigator.clipboard.readText()") == text.input_value()
    panel.notebook.run(2)
    panel.notebook.finished(2)
    expect(panel.notebook.texts(2).last).to_contain_text("from history")
    assert fields(painter, before) == []


def test_settings_are_reused_and_a_request_runs_again(panel, painter):
    before, tiles = len(painter.posts), panel.tiles.count()
    panel.tiles.first.click()
    panel.button("Reuse settings").click()
    expect(panel.prompt).to_have_value("a red fox")
    panel.button("Run again").click()
    panel.has_tiles(tiles + 1)
    assert fields(painter, before) == [{"prompt": "a red fox"}]


def test_a_slow_call_leaves_the_kernel_free_and_is_cancelled(panel, painter):
    before = len(painter.posts)
    painter.go.clear()
    prompt = f"a slow red fox of {panel.notebook.front}"  # the kernels of both have one history
    panel.generate(prompt)
    expect(panel.button("Cancel")).to_be_enabled()
    place = panel.page.locator(".jp-Notebook .jp-Cell").count() - 2
    panel.notebook.cell(place).locator(".cm-content").click()
    panel.page.keyboard.press("Control+Enter")
    expect(panel.notebook.texts(place).last).to_have_text("45\n")
    panel.generate(prompt)
    panel.shows("in progress")
    panel.button("Cancel").click()
    expect(panel.button("Retry (may be charged again)")).to_be_visible()
    expect(panel.button("Cancel")).to_be_disabled()
    painter.go.set()
    assert len(fields(painter, before)) == 1


def test_a_list_in_a_field_is_a_sweep(panel, painter):
    before, tiles = len(painter.posts), panel.tiles.count()
    painter.go.set()
    seed = panel.root.get_by_label("Seed", exact=True)
    seed.fill("1..4")
    prompt = f"a blue fox of {panel.notebook.front}"
    panel.generate(prompt)
    panel.shows("4 of 4")
    panel.has_tiles(tiles + 4)
    numbers = panel.tiles.evaluate_all("all => all.map(it => parseInt(it.textContent))")
    assert numbers == sorted(numbers)  # in whatever order they came
    assert sorted(sent["seed"] for sent in fields(painter, before)) == [1, 2, 3, 4]
    expect(panel.tiles.nth(tiles)).to_have_attribute("aria-pressed", "true")
    sheet = panel.notebook.images(1).last
    expect(sheet).to_be_visible()
    assert panel.notebook.loaded(sheet)[0] > 320
    expect(panel.notebook.texts(1).last).to_contain_text("4 of 4")
    panel.button("Copy as cell").click()
    written = re.compile(rf"^%%imagine .*--seed 1,2,3,4\n{prompt}$")
    expect(panel.root.locator(".imagegen-code")).to_have_value(written)
    expect(seed).to_have_value("1..4")


def test_a_sweep_is_cancelled(panel, painter):
    before = len(painter.posts)
    painter.go.clear()
    panel.root.get_by_label("Seed", exact=True).fill("1..9")
    panel.generate(f"a slow blue fox of {panel.notebook.front}")
    expect(panel.root.locator(".imagegen-job")).to_contain_text("0 of 9")
    panel.button("Generate").click()
    panel.shows("in progress")
    panel.button("Cancel").click()
    expect(panel.button("Retry (may be charged again)")).to_be_visible()
    assert len(fields(painter, before)) == 4
    painter.go.set()
    panel.button("Retry (may be charged again)").click()
    panel.shows("9 of 9")
    expect(panel.button("Retry (may be charged again)")).to_be_hidden()
    assert len(fields(painter, before)) == 13
    panel.root.get_by_label("Seed", exact=True).fill("")


def test_words_are_offered_again_after_a_comma(panel):
    quality = panel.root.get_by_label("Quality", exact=True)
    offered = "it => [...it.list.options].map(option => option.value)"
    quality.fill("lo")
    assert {"low", "high"} <= set(quality.evaluate(offered))
    quality.fill("low, ")
    words = quality.evaluate(offered)
    assert "low, high" in words
    assert "low, low" not in words
    quality.fill("")
    assert "high" in quality.evaluate(offered)


def test_an_error_is_shown(panel):
    panel.generate("refuse this")
    panel.shows("Error")
    panel.shows("Your prompt was refused.")


def test_a_click_saves_and_downloads(panel, tmp_path):
    panel.tiles.first.click()
    with panel.page.expect_download() as download:
        panel.button("Download").click()
    assert Image.open(download.value.path()).size == (320, 240)
    panel.button("Save…").click()
    panel.root.get_by_label("File name").fill(str(tmp_path / "fox"))
    panel.button("Save").click()
    panel.shows("fox.png")
    assert Image.open(tmp_path / "fox.png").size == (320, 240)


def test_the_page_loaded_again_has_everything_and_the_file_plain_images(panel):
    tiles = panel.tiles.count()
    panel.prompt.fill("half a thought")
    panel.settle()
    panel.notebook.save()
    saved = json.loads(panel.notebook.file.read_text())
    outputs = saved["cells"][1]["outputs"]
    images = [output for output in outputs if {"image/png", "image/jpeg"} & set(output.get("data", {}))]
    assert len(images) >= 4
    assert "imagegen-panel" not in json.dumps(saved)
    panel.page.reload()
    panel.notebook.ready()
    panel.shown()
    panel.has_tiles(tiles)
    expect(panel.prompt).to_have_value("half a thought")
    expect(panel.notebook.images(1).first).to_be_attached()


def test_the_notebook_opened_in_another_page_has_everything(panel, jupyter, browser):
    panel.notebook.save()
    with context_of(browser) as context:
        again = jupyter.open(context.new_page(), panel.notebook.file, panel.notebook.front)
        other = Panel(again, 1).shown()
        other.has_tiles(panel.tiles.count())
        expect(again.images(1).last).to_be_visible()


def test_a_lost_hello_is_sent_again_and_undoes_nothing(panel, jupyter, browser):
    panel.notebook.save()
    with context_of(browser) as context:
        page = context.new_page()
        hello = HeldMessage(page, b'"hello"')
        other = Panel(jupyter.open(page, panel.notebook.file, panel.notebook.front), 1).shown()
        other.has_tiles(panel.tiles.count())
        other.prompt.fill("typed meanwhile")
        hello.release()  # late
        other.settle()
        expect(other.prompt).to_have_value("typed meanwhile")


# Looks


def violations(page):
    """Return what axe-core finds in the panel."""
    page.evaluate(AXE.read_text())
    violations = page.evaluate("axe.run('.imagegen-panel')")["violations"]
    return [(violation["id"], [node["target"] for node in violation["nodes"]]) for violation in violations]


def sideways(panel):
    """Return by how many pixels the content is wider than the panel."""
    return panel.root.evaluate("it => it.scrollWidth - it.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_inaccessible(jupyter, browser, painter, scheme):
    with context_of(browser, scheme) as context:
        panel = shown(jupyter, context.new_page(), painter, f"axe-{scheme}.ipynb")
        panel.root.get_by_text("More options").click()
        assert violations(panel.page) == []
        hints = panel.root.locator("[placeholder]").evaluate_all(HINTS)
        assert len(set(hints)) == 1, hints  # the front end's own colour for some is too faint
        panel.generate("a red fox")
        panel.has_tiles(1)
        panel.button("Copy as cell").click()
        panel.button("Save…").click()
        assert violations(panel.page) == []
        panel.generate("refuse this")
        panel.shows("Error")
        assert violations(panel.page) == []
        panel.root.get_by_label("Background", exact=True).fill("auto,opaque")
        panel.generate("a red fox")
        panel.shows("2 of 2")
        assert violations(panel.page) == []
        panel.root.get_by_label("Seed", exact=True).fill("1..40")
        panel.button("Show request").click()
        panel.shows("seed 40")
        assert violations(panel.page) == []
        panel.button("Paint mask…").last.click()
        expect(panel.root.locator(".imagegen-canvas")).to_be_visible()
        panel.button("Invert").click()
        assert violations(panel.page) == []


@pytest.mark.parametrize(
    "screen",
    [
        {"viewport": {"width": 420, "height": 800}},
        {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2},
    ],
    ids=["narrow", "200 %"],
)
def test_it_fits_where_there_is_little_room(jupyter, browser, painter, screen):
    with context_of(browser, **screen) as context:
        name = f"narrow-{screen['viewport']['width']}.ipynb"
        panel = shown(jupyter, context.new_page(), painter, name, NOTEBOOK)
        panel.generate("a red fox")
        panel.has_tiles(1)
        assert sideways(panel) <= 0
        panel.button("Paint mask…").last.click()
        expect(panel.root.locator(".imagegen-canvas")).to_be_visible()
        assert sideways(panel) <= 0


def test_chinese_to_a_chinese_browser(jupyter, browser, painter):
    with context_of(browser, locale="zh-CN") as context:
        page = context.new_page()
        load = LOAD.format(base_url=painter.base_url)
        notebook = jupyter.open(page, jupyter.write("chinese.ipynb", load, "%imagine_panel"))
        notebook.run_all()
        notebook.finished(1)
        root = notebook.cell(1).locator(".imagegen-panel")
        expect(root).to_have_attribute("lang", "zh")
        assert not re.search(r"\b(Generate|Cancel|Prompt|Size|Seed)\b", root.inner_text())


def test_the_keyboard_alone_suffices(jupyter, browser, painter):
    with context_of(browser) as context:
        panel = shown(jupyter, context.new_page(), painter, "keys.ipynb")
        page, names = panel.page, []
        panel.prompt.focus()
        page.keyboard.type("a red fox")
        for _ in range(40):
            page.keyboard.press("Tab")
            names.append(page.evaluate(FOCUSED))
            if names[-1] == "Generate":
                break
        assert names[-1] == "Generate", names
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        page.keyboard.press("Enter")
        panel.has_tiles(1)
        panel.prompt.focus()
        for count, prompt in enumerate(("a blue fox", "a green fox"), start=2):
            page.keyboard.press("Control+a")
            page.keyboard.type(prompt)
            page.keyboard.press("Control+Enter")
            panel.shows("lab")
            panel.has_tiles(count)
        panel.tiles.last.focus()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        expect(panel.tiles.nth(1)).to_have_attribute("aria-pressed", "true")
        panel.button("Paint mask…").last.focus()
        page.keyboard.press("Enter")
        expect(panel.root.locator(".imagegen-canvas")).to_be_visible()
        for label, value in [("x", "10"), ("y", "10"), ("width", "20"), ("height", "20")]:
            panel.root.get_by_label(label, exact=True).focus()
            page.keyboard.type(value)
        panel.button("Add box").focus()
        page.keyboard.press("Enter")
        panel.button("Use mask").focus()
        page.keyboard.press("Enter")
        expect(panel.root.get_by_text("painted mask")).to_be_visible()


@FRONTS
def test_hostile_text_does_nothing(jupyter, browser, painter, front):
    """Prompts, revised prompts, errors, models, names of files and endpoints stay text everywhere."""
    with Trap() as trap, context_of(browser) as context:
        page, dialogs = context.new_page(), []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.add_init_script("window.pwned = []; window.pwn = (name) => window.pwned.push(name)")
        panel = shown(jupyter, page, painter, f"panel-hostile-{front.partition('/')[0]}.ipynb", front)
        places = {"trap": f"http://{trap.host}", "host": trap.host, "canary": "/etc/passwd"}
        texts = [text.format(**places) for text in TEXTS.values()]
        texts = ["".join(c for c in text if c >= " " and not 0xD800 <= ord(c) < 0xE000) for text in texts]
        for count, start in enumerate(range(0, len(texts), 8), start=1):
            panel.generate("red " + " ".join(texts[start : start + 8]))
            panel.has_tiles(count)
        panel.button("Copy as cell").click()
        for start in range(0, len(texts), 8):
            panel.generate("refuse " + " ".join(texts[start : start + 8]))
            panel.shows("Your prompt was refused.")
        red = {"mimeType": "image/png", "buffer": image_bytes()}
        files = [{**red, "name": text.replace("/", "_")[:200]} for text in texts[:12]]
        panel.root.locator("input[type=file]").first.set_input_files(files)
        expect(panel.root.locator(".imagegen-chip")).to_have_count(12)
        for text in (text for text in texts if not text.startswith("http")):  # a URL would be fetched
            panel.root.get_by_label("Model", exact=True).fill(text)
            panel.root.get_by_label("Variable, id, file or URL").fill(text)
            panel.button("Add").first.click()
        panel.button("Show request").click()
        panel.root.get_by_label("Model", exact=True).fill("")
        panel.settle()
        assert dialogs == []
        assert page.evaluate("window.pwned") == []
        assert trap.contacts == []


@FRONTS
def test_what_is_typed_while_the_kernel_is_busy_stays(jupyter, browser, painter, front):
    with context_of(browser) as context:
        load = LOAD.format(base_url=painter.base_url)
        name = f"busy-{front.partition('/')[0]}"
        go = jupyter.root / f"{name}.fifo"
        os.mkfifo(go)  # the cell reads it until it is written
        file = jupyter.write(f"{name}.ipynb", load, "%imagine_panel", f"print(open({str(go)!r}).read())")
        notebook = jupyter.open(context.new_page(), file, front)
        notebook.run_all()
        panel = Panel(notebook, 1).shown()
        panel.prompt.fill("a red fox")
        assert notebook.prompt(2).inner_text() == "[*]:"
        go.write_text("go")
        notebook.finished(2)
        panel.settle()
        expect(panel.prompt).to_have_value("a red fox")
        panel.button("Generate").click()
        panel.has_tiles(1)
        panel.button("Reuse settings").click()
        panel.prompt.fill("another")
        panel.button("Reuse settings").click()
        expect(panel.prompt).to_have_value("a red fox")


@FRONTS
def test_a_late_answer_leaves_the_focus_to_who_types(jupyter, browser, painter, front):
    with context_of(browser) as context:
        page = context.new_page()
        cell = HeldMessage(page, b'"cell"')
        panel = shown(jupyter, page, painter, f"late-{front.partition('/')[0]}.ipynb", front)
        panel.prompt.fill("a red fox")
        panel.button("Copy as cell").click()
        panel.prompt.fill("another")
        cell.release()
        expect(panel.root.get_by_label("The request as a cell")).to_have_value(re.compile("a red fox"))
        page.keyboard.type(" fox")
        expect(panel.prompt).to_have_value("another fox")
        panel.button("Copy as cell").click()
        expect(panel.root.get_by_label("The request as a cell")).to_be_focused()


@FRONTS
def test_a_restarted_kernel_is_reported(jupyter, browser, painter, front):
    with context_of(browser) as context:
        name = f"restart-{front.partition('/')[0]}.ipynb"
        panel = shown(jupyter, context.new_page(), painter, name, front)
        panel.notebook.cell(0).locator(".jp-InputPrompt").click()
        panel.page.keyboard.press("0")
        panel.page.keyboard.press("0")
        panel.page.locator(".jp-Dialog-button.jp-mod-accept").click()
        expect(panel.root.get_by_role("alert")).to_contain_text("restarted")
        expect(panel.button("Generate")).to_be_disabled()
