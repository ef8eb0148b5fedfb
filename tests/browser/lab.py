"""A Jupyter server of its own on loopback, and notebooks in its pages."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kernels import kernel_environ

if TYPE_CHECKING:  # without Playwright the tests are collected all the same, and skipped
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, Response

VIEW = {"width": 1280, "height": 900}
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# Settings that keep pages alike: no toast about news, the theme of the browser, every cell in the page.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension/themes": {"adaptive-theme": True},
    # An automatic save that meets a save by Control-S opens a dialog over the whole page.
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none", "maxNumberOutputs": 1000},
}
LAB, NOTEBOOK = "lab/tree", "notebooks"  # the two front ends, by the path of their pages
BEGUN = "() => [...document.querySelectorAll('.jp-InputPrompt')].some((it) => /[\\d*]/.test(it.innerText))"
STARTED = 60  # seconds for the server
SLOW = (
    60_000  # milliseconds for a page, a kernel, a cell: generous, as nothing waits that long when all is well
)


class Jupyter:
    """A running Jupyter server. `root` holds its notebooks, `home` the images of its kernels."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home = folder / "root", folder / "home"
        self.root.mkdir(parents=True)
        self.log = folder / "server.log"
        self._token = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._environ = _environ(folder, self.home)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *self._arguments()],
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(ready,), daemon=True).start()
        ready.wait(STARTED)
        if "is running at" not in self.log.read_text():
            self.__exit__()
            raise RuntimeError(f"Jupyter did not start:\n{self.log.read_text()}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session, kernels and all
            self._process.wait()

    def _arguments(self) -> list[str]:
        return [
            "--no-browser",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self._port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.root}",
            f"--IdentityProvider.token={self._token}",
            "--ServerApp.shutdown_no_activity_timeout=300",  # should this process die first
            "--MappingKernelManager.cull_idle_timeout=200",
            "--LabApp.extension_manager=readonly",
            *(["--allow-root"] if os.geteuid() == 0 else []),
        ]

    def _read(self, ready: threading.Event) -> None:
        """Write the log, and set `ready` when the server listens or has ended."""
        with self.log.open("w", buffering=1) as log:
            for line in self._process.stdout or ():
                log.write(line)
                if "is running at" in line:
                    ready.set()
        ready.set()

    def write(self, name: str, *cells: str) -> Path:
        """Write a notebook of code cells and return its file."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": kernel},
            "cells": [{**code, "id": f"cell-{i}", "source": cell} for i, cell in enumerate(cells)],
        }
        path = self.root / name
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return path

    def open(self, page: Page, file: Path, front: str = LAB) -> Notebook:
        """Open a notebook of `root` in a page, and wait for its kernel."""
        reset = "&reset" if front == LAB else ""
        page.goto(f"http://127.0.0.1:{self._port}/{front}/{file.name}?token={self._token}{reset}")
        notebook = Notebook(page, file, front)
        notebook.ready()
        return notebook


class Notebook:
    """A notebook in a page: its cells, and the actions of a person."""

    def __init__(self, page: Page, file: Path, front: str) -> None:
        self.page, self.file, self.front = page, file, front

    def ready(self) -> None:
        """Wait until the kernel accepts cells: before that, Run All does nothing."""
        if self.front == LAB:  # the toolbar shows idle before the kernel exists; the status bar does not
            expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        else:
            expect(self.page.locator(".jp-NotebookKernelStatus-fade")).to_be_attached(timeout=SLOW)

    def cell(self, index: int) -> Locator:
        """Return a cell by its place from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def prompt(self, index: int) -> Locator:
        """Return the brackets before a cell: [*] while it runs, then its number."""
        return self.cell(index).locator(".jp-InputPrompt")

    def images(self, index: int) -> Locator:
        """Return the images under a cell."""
        return self.cell(index).locator(".jp-OutputArea-output img")

    def loaded(self, image: Locator) -> tuple[int, int]:
        """Wait until an image is drawn and return its own width and height in pixels."""
        return tuple(image.evaluate("it => it.decode().then(() => [it.naturalWidth, it.naturalHeight])"))

    def mimes(self, index: int) -> list[str]:
        """Return the MIME type of each output under a cell."""
        outputs = self.cell(index).locator(".jp-OutputArea-output")
        return outputs.evaluate_all("all => all.map(it => it.dataset.mimeType)")

    def texts(self, index: int) -> Locator:
        """Return the texts under a cell: status lines, captions, errors."""
        return self.cell(index).locator(".jp-OutputArea-output pre")

    def finished(self, index: int) -> None:
        """Wait until a cell has run."""
        expect(self.prompt(index)).to_have_text(re.compile(r"\[\d+\]:"))

    def run_all(self) -> None:
        """Press Run > Run All Cells, again if it did nothing, which happens before the kernel exists."""
        from playwright.sync_api import Error

        for seconds in (5, 10, 60):
            self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
            self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            with contextlib.suppress(Error):
                return self.page.wait_for_function(BEGUN, timeout=seconds * 1000)
        raise AssertionError("Run All Cells ran nothing.")

    def restart_and_run_all(self) -> None:
        """Press the button of the toolbar that restarts the kernel and runs all cells, and confirm."""
        self.page.locator("[data-command='notebook:restart-run-all']").first.click()
        self.page.locator(".jp-Dialog .jp-mod-accept").click()

    def run(self, index: int) -> None:
        """Click into a cell and press Control-Enter."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def stop(self) -> None:
        """Press the stop button of the toolbar."""
        self.page.locator("[data-command='notebook:interrupt-kernel']").first.click()

    def complete(self, index: int, text: str) -> Locator:
        """Type into a cell, press Tab and return the box of proposals."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Tab")
        return self.page.locator(".jp-Completer")

    def save(self) -> None:
        """Press Control-S in the first cell and wait until the server has the file."""

        def stored(answer: Response) -> bool:
            return answer.request.method == "PUT" and "/api/contents" in answer.url

        self.cell(0).locator(".cm-content").click()
        with self.page.expect_response(stored):
            self.page.keyboard.press("Control+s")


def expect(locator: Locator) -> Any:
    """Return Playwright's assertions on it: each waits until it holds, or until SLOW."""
    from playwright.sync_api import expect as waiting

    waiting.set_options(timeout=SLOW)
    return waiting(locator)


def browser_of(playwright: Playwright, chromium: str) -> Browser:
    """Start the machine's own Chromium."""
    return playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)


def context_of(browser: Browser, scheme: str = "light", **more: Any) -> BrowserContext:
    """Return a fresh browser profile in a light or dark theme."""
    context = browser.new_context(**{"viewport": VIEW, "color_scheme": scheme, "locale": "en-GB", **more})
    context.set_default_timeout(SLOW)
    return context


def _environ(folder: Path, home: Path) -> dict[str, str]:
    """Return an environment in which no file of the user is read or written."""
    own = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    for name, values in SETTINGS.items():
        path = Path(own["JUPYTER_CONFIG_DIR"], "lab", "user-settings", f"{name}.jupyterlab-settings")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    return {**kernel_environ(home), **own}
