"""Every magic has help, completion and documentation; docs/options.md has the table of options."""

from pathlib import Path

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

import ipyimagegen
from ipyimagegen.core.errors import ImagineError
from ipyimagegen.core.messages import PYTHON, Message, Remedy, RunLink, render_remedy
from ipyimagegen.core.options import OPTIONS
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


def test_settings_have_types_and_choices():
    text = Imagine.class_get_help()
    assert "<Any>" not in text
    words = " ".join(text.split())
    for option in OPTIONS.values():
        if option.config:
            assert not [choice for choice in option.choices if f'"{choice}"' not in words]
    for bound in ("from 1 to 128", "from 0.1 to 86,400", "True or False"):
        assert bound in words


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("n", 200), ("background", "clear"), ("seed", [1, 2]), ("stream", "maybe"), ("size", "12x")),
        *(("max_calls", -1), ("embed", "all"), ("reuse", 3), ("endpoints", {"lab": {"base_ur": "x"}})),
    ],
)
def test_a_wrong_setting_is_named_at_once_and_stops_the_next_cell(name, value, capsys):
    shell = InteractiveShell.instance()
    try:
        load_ipython_extension(shell)
        shell.user_ns["value"] = value
        shell.run_line_magic("config", f"Imagine.{name} = value")
        assert f"Imagine.{name}" in capsys.readouterr().err
        with pytest.raises(ImagineError):
            shell.run_line_magic("imagine", "--dry-run a fox")
    finally:
        unload_ipython_extension(shell)
        InteractiveShell.clear_instance()


def test_a_right_setting_is_taken_in_silence(capsys):
    settings = Imagine()
    settings.size, settings.n, settings.max_calls = (512, 384), np.int64(2), np.int32(5)
    settings.endpoints = {"lab": {"base_url": "http://127.0.0.1:9/v1"}}
    settings.n = None
    assert capsys.readouterr() == ("", "")
    assert Settings(**settings.read_values()).max_calls == 5


@pytest.mark.parametrize("front", [CELL, PANEL])
def test_every_remedy_is_a_message_that_can_be_translated(front):
    assert set(front.remedies) == set(PYTHON.remedies)
    assert {type(text) for text in front.remedies.values()} == {Message}
    for remedy in Remedy:
        assert "{" not in render_remedy(remedy, front, run=RunLink("1120-k7f2/3"))
    assert render_remedy(Remedy.SHOW, front, run=RunLink("1120-k7f2/3")).count("%imagine_show 1120-k7f2/3")
