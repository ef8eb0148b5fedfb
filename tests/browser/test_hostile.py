"""Hostile texts stay text in a browser: a malicious server, odd prompts and names, an edited store.

JupyterLab itself makes links of URLs in a text output, and of paths in errors. They do nothing until they
are clicked, and the browser opens no `file:` or `data:` from a page; so these are allowed below, and no
other link, element or attribute.
"""

import functools
import http.server
import json
import re
import threading
import unicodedata
from urllib.parse import urlsplit

import pytest

from browser.hostile import TEXTS, Malicious, Trap, texts
from browser.hostile_cells import ASKED, cells
from browser.lab import LAB, NOTEBOOK, SLOW, context_of, expect
from ipyimagegen.core.text import sanitize

pytestmark = pytest.mark.browser

SECRET = "what-stands-in-the-file-that-nobody-may-read"
# Every element below the outputs that is not known to be harmless, as text.
ODD = """outputs => {
    const harmless = {
        PRE: [], SPAN: [], DIV: ["tabindex", "id", "style"],
        TABLE: [], THEAD: [], TBODY: [], TR: [], TH: ["style"], TD: ["style"], P: [], CODE: [],
        IMG: ["src", "width", "height", "alt", "style"], A: ["href", "rel", "target", "tabindex"],
    };
    const aligned = /^text-align:left(;white-space:nowrap)?$/;
    const ours = (name) => ["class", "data-mime-type"].includes(name);
    const right = (it) => it.tagName in harmless
        && it.getAttributeNames().every(name => ours(name) || harmless[it.tagName].includes(name))
        && (!/^T[HD]$/.test(it.tagName) || aligned.test(it.getAttribute("style") || "text-align:left"))
        && (it.tagName !== "IMG" || /^data:image\\/(png|jpeg);base64,/.test(it.src))
        && (it.tagName !== "A" || /^$|^(https?|file|data):/.test(it.href))
        && !/ansi/.test(it.className);
    return outputs.flatMap(output => [...output.querySelectorAll("*")]).filter(it => !right(it))
        .map(it => it.outerHTML.slice(0, 200));
}"""
# A table scrolls sideways inside of its output.
WIDE = """outputs => outputs.filter(it => it.scrollWidth > it.clientWidth + 1 && !it.querySelector("table"))
    .map(it => it.innerText.slice(0, 90))"""
LEFT_TO_RIGHT = """outputs => outputs.filter(it => getComputedStyle(it).direction !== "ltr").length"""


class Watch:
    """A browser profile that records everything a text may do."""

    def __init__(self, browser):
        self.fired, self.requests = [], []
        self.context = context_of(browser)
        self.context.expose_binding("pwn", lambda _source, what=None: self.fired.append(what))
        self.context.route(lambda url: urlsplit(url).hostname != "127.0.0.1", lambda route: route.abort())
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", self._dialog)

    def _dialog(self, dialog):
        self.fired.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()

    @property
    def globals(self):
        """Return the names on `window`."""
        return set(self.page.evaluate("Object.keys(window)"))

    @property
    def elsewhere(self):
        """Return the requests to other servers than that of the page."""
        own = urlsplit(self.page.url).netloc
        return {url for url in self.requests if urlsplit(url).netloc not in ("", own)}


class Shown:
    """Everything in the outputs of a page."""

    def __init__(self, page, outputs):
        page.wait_for_function("() => [...document.images].every(it => it.complete)")
        self.outputs = page.locator(outputs)
        self.odd = self.outputs.evaluate_all(ODD)
        self.wide = self.outputs.evaluate_all(WIDE)
        self.texts = self.outputs.evaluate_all("all => all.map(it => it.textContent)")
        self.reversed = self.outputs.evaluate_all(LEFT_TO_RIGHT)
        self.commands = page.locator(f":is({outputs}) [data-commandlinker-command]").count()


@pytest.fixture(scope="module")
def world(jupyter):
    """Return the texts, the trap and the server, which both front ends share."""
    canary = jupyter.root.with_name("canary.txt")
    canary.write_text(SECRET)
    with Trap() as trap:
        written = texts(trap, canary)
        with Malicious(list(written.values())) as server:
            yield written, trap, server


@pytest.fixture(scope="module", params=[LAB, NOTEBOOK], ids=["lab", "notebook7"])
def ran(request, jupyter, browser, world):
    """Return a notebook whose cells were all run once, with its watch."""
    written, _, server = world
    name = f"hostile-{request.param.partition('/')[0]}"
    given = jupyter.root / f"{name}.json"
    places = {folder: str(jupyter.root.with_name(f"hostile-{folder}")) for folder in ("home", "files")}
    where = {**places, "base_url": server.base_url, "url": written["url"]}
    given.write_text(json.dumps({"texts": written, **where}))
    rows = cells(str(given))
    file = jupyter.write(f"{name}.ipynb", *rows.values(), "pass")
    watch = Watch(browser)
    with watch.context:
        notebook = jupyter.open(watch.page, file, request.param)
        before = watch.globals
        notebook.run_all()
        expect(notebook.prompt(len(rows))).to_have_text(re.compile(r"\[\d+\]:"), timeout=3 * SLOW)
        notebook.save()
        yield notebook, watch, Shown(watch.page, ".jp-OutputArea-output"), watch.globals - before


@pytest.fixture(scope="module")
def kept(ran):
    """Return the outputs of the saved file by the name of their cell."""
    stored = json.loads(ran[0].file.read_text(encoding="utf-8"))["cells"]
    return dict(zip(cells(""), (cell["outputs"] for cell in stored), strict=False))


def inert(watch, shown):
    """Assert that nothing ran, nothing was requested, and all outputs are text and images."""
    assert watch.fired == []
    assert shown.commands == 0
    assert shown.odd == []
    assert not any(SECRET in text for text in shown.texts)
    assert SECRET not in watch.page.content()


def test_nothing_runs(ran, world):
    _, watch, shown, new = ran
    inert(watch, shown)
    assert new <= {"MathJax"}  # the front end loads it for any table
    assert watch.elsewhere == set()
    assert world[1].contacts == []


def test_every_output_is_in_the_page(ran, kept):
    assert len(ran[2].texts) == sum(map(len, kept.values()))
    for name, outputs in kept.items():
        assert outputs or name == "setup", name


def test_outputs_are_images_and_text(kept):
    for name, outputs in kept.items():
        for output in outputs:
            assert set(output.get("data", {})) <= {"image/png", "image/jpeg", "text/plain", "text/html"}, name
            for about in output.get("metadata", {}).values():
                assert isinstance(about["width"], int), name
                assert isinstance(about["height"], int), name


def test_nothing_hides_reorders_or_overwrites(ran, kept):
    for name, outputs in kept.items():
        for output in outputs:
            plain = output.get("data", {}).get("text/plain")
            texts = [output.get("text"), *output.get("traceback", ()), plain]
            text = "".join(part for parts in texts if parts for part in parts)
            hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
            assert hidden <= {"\n"}, (name, text[:300])
            assert "Traceback" not in text, (name, text[-300:])
    assert ran[2].reversed == 0


def test_long_words_stay_in_their_column(ran):
    assert ran[2].wide == []


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_was_there(kept, world, name):
    """Otherwise, these tests would pass for a page that shows nothing."""
    for cell in ("body", "refused"):
        shown = "\n".join(map(str, kept[cell])).replace("\\'", "'")
        expected = sanitize(world[0][name], 40).rstrip("…")
        assert re.sub(r"[\\/]+", "/", expected) in re.sub(r"[\\/]+", "/", shown), cell


def test_the_server_answered_every_case(world):
    cases = [case for case, _ in world[2].requests]
    for case in ("facts", "refused", "code", "addresses", "partly", "page", "listed", "no_json", "moved"):
        assert case in cases
    assert len(ASKED) > 10


def test_links_that_jupyterlab_makes_open_no_file_and_no_script(ran):
    watch = ran[1]
    for scheme in ("file", "data"):
        watch.page.locator(f".jp-OutputArea-output a[href^='{scheme}:']").first.click()
    with watch.context.expect_page():  # after any page that the links open
        watch.page.evaluate("() => void window.open('about:blank')")
    opened = [page for page in watch.context.pages if page != watch.page]
    assert all(page.url.startswith("about:blank") for page in opened)
    assert watch.fired == []


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
def test_opened_again_nothing_runs(ran, jupyter, browser, world, trusted):
    notebook = ran[0]
    copy = notebook.file.with_name(f"again-{trusted}-{notebook.file.name}")
    content = notebook.file.read_text(encoding="utf-8")
    if not trusted:  # another content has another signature
        content = content.replace('"source": [\n    "pass"\n   ]', '"source": [\n    "passed"\n   ]')
        assert '"passed"' in content
    copy.write_text(content, encoding="utf-8")
    watch = Watch(browser)
    with watch.context:
        jupyter.open(watch.page, copy, notebook.front)
        shown = Shown(watch.page, ".jp-OutputArea-output")
        inert(watch, shown)
        assert len(shown.texts) == len(ran[2].texts)
        assert watch.elsewhere == set()
    assert world[1].contacts == []


@pytest.mark.parametrize("ran", [LAB], ids=["lab"], indirect=True)
@pytest.mark.parametrize("template", ["classic", "lab"])
def test_exported_nothing_runs(ran, browser, world, template, tmp_path):
    from nbconvert import HTMLExporter  # a second to import

    pages = {"hostile": ran[0].file, "empty": tmp_path / "empty.ipynb"}
    pages["empty"].write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}')
    requests, names, counts = {}, {}, {}
    with served(tmp_path) as address:
        for name, file in pages.items():
            html, _ = HTMLExporter(template_name=template).from_filename(str(file))
            (tmp_path / f"{name}.html").write_text(html, encoding="utf-8")
            watch = Watch(browser)
            with watch.context:
                watch.page.goto(f"{address}/{name}.html")
                shown = Shown(watch.page, ".output_subarea, .jp-OutputArea-output")
                inert(watch, shown)
                requests[name], names[name], counts[name] = watch.elsewhere, watch.globals, len(shown.texts)
    assert requests["hostile"] == requests["empty"]  # what the template itself fetches
    assert names["hostile"] == names["empty"]
    assert counts["hostile"] >= len(ran[2].texts)
    assert world[1].contacts == []


class served:  # noqa: N801 - reads as a verb
    """A folder behind a web server on loopback."""

    def __init__(self, folder):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args):
                pass

        handler = functools.partial(Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
