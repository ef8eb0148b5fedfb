"""`%load_ext ipyimagegen`: registers magics, settings and completion.

Loading imports only the table of options. The session, and everything that it needs, is imported when a
magic or its completion is first used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from IPython.core import completer
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import no_var_expand

from ipyimagegen import default_studio
from ipyimagegen.notebook.config import Imagine
from ipyimagegen.notebook.help_text import PAGES, write_help

if TYPE_CHECKING:
    from ipyimagegen.notebook.magics import ImagineMagics

_LOADED = "_ipyimagegen"  # the attribute of a shell that holds its extension


class Extension:
    """Magics, settings and completion, registered with a shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self._settings = Imagine(parent=shell)
        self._matcher = _make_matcher(self)
        shell.configurables.append(self._settings)
        shell.Completer.custom_matchers.append(self._matcher)
        for name, page in PAGES.items():
            kind = "line_cell" if any(usage.startswith("%%") for usage in page.usage) else "line"
            shell.magics_manager.register_function(_make_magic(self, name), kind, name)

    @cached_property
    def magics(self) -> ImagineMagics:
        """The magics of the default studio; the first use imports the session."""
        from ipyimagegen.notebook.magics import ImagineMagics  # noqa: PLC0415 - the lazy boundary

        return ImagineMagics(self.shell, default_studio())

    def unregister(self) -> None:
        """Remove what was registered."""
        self.shell.configurables.remove(self._settings)
        self.shell.Completer.custom_matchers.remove(self._matcher)
        for registered in self.shell.magics_manager.magics.values():
            for name in PAGES:
                registered.pop(name, None)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magics to a shell: `%load_ext ipyimagegen`. Loading again replaces them."""
    unload_ipython_extension(shell)
    setattr(shell, _LOADED, Extension(shell))


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove the magics: `%unload_ext ipyimagegen`."""
    if extension := getattr(shell, _LOADED, None):
        delattr(shell, _LOADED)
        extension.unregister()


def _make_magic(extension: Extension, name: str) -> Callable[..., Any]:
    """Return the function that IPython calls for a magic; its docstring is what `%%imagine?` shows."""

    @no_var_expand
    def magic(line: str, cell: str | None = None) -> Any:
        return extension.magics.run(name, line, cell)

    magic.__name__ = name
    magic.__doc__ = write_help(name)
    return magic


def _make_matcher(extension: Extension) -> Callable[[Any], Any]:
    """Return a matcher for the shell's completer.

    Before IPython 8.6 there is no `context_matcher`: a matcher gets the last token alone, which its
    results replace, and only the line of the cursor can be read from the completer.
    """

    def complete(until: str, whole: str) -> tuple[str, list[str], bool]:
        return extension.magics.complete(until, whole) if "%imagine" in whole else ("", [], False)

    def match_token(token: str) -> list[str]:
        line = extension.shell.Completer.text_until_cursor
        fragment, candidates, _ours = complete(line, line)
        skipped = len(fragment) - len(token)  # characters of the fragment before the token
        return [candidate[skipped:] if skipped >= 0 else fragment for candidate in candidates]

    if not hasattr(completer, "context_matcher"):
        return match_token

    @completer.context_matcher()  # type: ignore[untyped-decorator]  # IPython's
    def imagine_matcher(context: completer.CompletionContext) -> dict[str, Any]:
        fragment, candidates, is_ours = complete(context.text_until_cursor, context.full_text)
        return {
            "completions": [completer.SimpleCompletion(text=text, type="option") for text in candidates],
            "suppress": is_ours,
            "matched_fragment": fragment,
        }

    matcher: Callable[[Any], Any] = imagine_matcher
    return matcher
