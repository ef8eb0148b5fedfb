"""The notebook's door: magics, settings, completion and painting. IPython lives here only."""

from __future__ import annotations

import threading
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

from ipyimagegen.notebook.completion import register_matcher
from ipyimagegen.notebook.config import Imagine
from ipyimagegen.notebook.display import Screen, is_watched, show_comparison
from ipyimagegen.notebook.magics import OWN, ImagineMagics
from ipyimagegen.results.compare import Comparison
from ipyimagegen.session.studio import Studio

_LOADED = "_ipyimagegen"  # the attribute of a shell that remembers what was registered


def attach(studio: Studio, shell: InteractiveShell | None = None) -> Screen | None:
    """Let results of this studio show themselves in the running shell, if there is one."""
    shell = shell or get_ipython()
    if shell is None:
        return None
    screen = Screen(shell)
    studio.painter = screen.show_once
    studio.cell = lambda: shell.execution_count
    # What `history.compare` returns: of one output with image and text a notebook shows the image alone.
    assert shell.display_formatter is not None  # every shell has one
    shell.display_formatter.ipython_display_formatter.for_type(Comparison, show_comparison)
    return screen


def load(shell: InteractiveShell, studio: Studio) -> None:
    """Register magics, settings and completion; loading twice registers them once."""
    unload(shell)
    screen = attach(studio, shell)
    assert screen is not None  # a shell was given
    settings = Imagine(parent=shell)
    studio.configure(settings.settings, ask=lambda question: _ask(shell, question))
    shell.configurables.append(settings)
    magics = ImagineMagics(shell, studio, screen)
    shell.register_magics(magics)
    remove_matcher = register_matcher(shell.Completer, lambda: studio, lambda: shell.user_ns, OWN)
    setattr(shell, _LOADED, (studio, settings, magics, remove_matcher))


def unload(shell: InteractiveShell) -> None:
    """Take away what `load` registered."""
    loaded = getattr(shell, _LOADED, None)
    if loaded is None:
        return
    studio, settings, magics, remove_matcher = loaded
    delattr(shell, _LOADED)
    studio.configure(None, ask=None)
    _remove(shell.configurables, settings)
    remove_matcher()
    _remove(shell.configurables, magics)
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)


def _remove(items: list[Any], item: Any) -> None:
    items[:] = [one for one in items if one is not item]


def _ask(shell: InteractiveShell, question: str) -> str:
    """Ask for a key where a person is there to answer, hidden; otherwise return nothing at once.

    Only a cell can ask: the panel's thread has no place for the question.
    """
    if not is_watched(shell) or threading.current_thread() is not threading.main_thread():
        return ""
    from getpass import getpass  # noqa: PLC0415 - 4 ms that loading has no need of

    return getpass(question)
