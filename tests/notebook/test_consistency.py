"""Every magic has help, completion and documentation; docs/options.md has the table of options."""

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import ipyimagegen
from ipyimagegen.core.messages import PYTHON, Message, Remedy, RunLink, render_remedy
from ipyimagegen.core.settings import Settings
from ipyimagegen.notebook import help_text
from ipyimagegen.notebook.completion import complete
from ipyimagegen.notebook.config import Imagine
from ipyimagegen.notebook.extension import load_ipython_extension, unload_ipython_extension
from ipyimagegen.notebook.fronts import CELL, PANEL
from ipyimagegen.notebook.help_text import PAGES, write_help
from ipyimagegen.notebook.magics import ImagineMagics

ROOT = Path(__file__).parent.parent.parent
EVERY = pytest.mark.parametrize("magic", PAGES)


def complete_line(line):
    return complete(line, line, ipyimagegen.default_studio(), {})[1]


@EVERY
def test_help(magic):
    page, text = PAGES[magic], write_help(magic)
    missing = [example for example in page.examples if f"  {example.splitlines()[0]}" not in text]
    assert len(page.examples) == 2
    assert not missing
    assert any(f"%{magic}" in example for example in page.examples)


@EVERY
def test_completion(magic):
    page = PAGES[magic]
    expected = {"--help", *page.own, *(["--size", "--set"] if page.options else [])}
    assert not expected - set(complete_line(f"%{magic} -"))
    if page.words in ("models", "endpoints"):
        assert "sketch" in complete_line(f"%{magic} ")


@EVERY
def test_documentation(magic):
    files = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    assert any(f"%{magic}" in file.read_text() for file in files), f"%{magic} is not documented"


def test_readme_has_the_table_of_options():
    lines = set((ROOT / "docs" / "options.md").read_text().splitlines())
    missing = [row for row in help_text.write_options_table().splitlines() if row not in lines]
    assert not missing


def test_every_page_is_a_magic_and_nothing_else_is():
    methods = {name for name in vars(ImagineMagics) if name.startswith("imagine")}
    assert methods == set(PAGES)
    shell = InteractiveShell.instance()
    load_ipython_extension(shell)
    registered = shell.magics_manager.magics
    lines, cells = (set(filter(PAGES.__contains__, registered[kind])) for kind in ("line", "cell"))
    unload_ipython_extension(shell)
    InteractiveShell.clear_instance()
    assert lines == set(PAGES)
    assert cells == {"imagine", "imagine_rerun"}


def test_settings_have_the_defaults_of_their_class():
    assert Settings(**Imagine().read_values()) == Settings()


@pytest.mark.parametrize("front", [CELL, PANEL])
def test_every_remedy_is_a_message_that_can_be_translated(front):
    assert set(front.remedies) == set(PYTHON.remedies)
    assert {type(text) for text in front.remedies.values()} == {Message}
    for remedy in Remedy:
        assert "{" not in render_remedy(remedy, front, run=RunLink("1120-k7f2/3"))
    assert render_remedy(Remedy.SHOW, front, run=RunLink("1120-k7f2/3")).count("%imagine_show 1120-k7f2/3")
