"""A Jupyter server, a browser and a page. Without Chromium, the tests are skipped, or fail when CI is set."""

from __future__ import annotations

import os
import shutil

import pytest

from browser.lab import Jupyter, browser_of, context_of


def missing(what: str) -> None:
    """Skip, or fail in CI, where a skipped test would go unnoticed."""
    reason = f"{what} is missing, so no browser test can run"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="package")
def browser():
    """Return a running Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the package playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("the program chromium")
    with sync_playwright() as playwright:
        running = browser_of(playwright, chromium)
        yield running
        running.close()


@pytest.fixture(scope="package")
def jupyter(browser, tmp_path_factory):
    """Return a running Jupyter server; `browser` comes first, so that the server is not started in vain."""
    with Jupyter(tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture
def page(browser):
    """Return an empty page of a fresh profile, 1280x900, light."""
    with context_of(browser) as context:
        yield context.new_page()
