"""Where the store is, and whether that place is permanent."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.messages import _
from ipyimagegen.core.text import truncate

VARIABLE = "IPYIMAGEGEN_HOME"
_AROUND = " \t\r\n\u00a0\u3000\"'“”‘’"  # what configuration files leave around a value
# A variable as a shell writes it; forms that only a shell can expand have no name, so they are refused.
_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)\}|[{(])", re.ASCII)
_WINDOWS_REFERENCE = re.compile(rf"{_REFERENCE.pattern}|%(\w+)%", re.ASCII)


def find_folder(
    named: str | Path | None, environ: Mapping[str, str], *, windows: bool = os.name == "nt"
) -> Path | None:
    """Return the folder of the store: `named`, else `IPYIMAGEGEN_HOME`; None where neither is set.

    The path is absolute and its links are resolved, so that it stays the same when the notebook changes
    its folder. A relative `named` is taken from the current folder. Raises InvalidOption for a relative
    `IPYIMAGEGEN_HOME`, a variable that is not set, and a path that cannot be resolved.
    """
    if isinstance(named, Path):
        return _resolve(str(named), "home")
    if text := (named or "").strip(_AROUND):
        return _resolve(_expand(text, "home", environ, windows=windows), "home")
    if text := environ.get(VARIABLE, "").strip(_AROUND):
        path = Path(_expand(text, VARIABLE, environ, windows=windows))
        absolute = _resolve(str(path), VARIABLE)
        if path.is_absolute() or text.startswith("~"):
            return absolute
        raise InvalidOption(
            _(
                "{variable} is the relative path {path}, which changes with the notebook's folder. "
                "Nothing was sent.\nSet it to an absolute path such as {absolute} and restart the kernel.",
                variable=VARIABLE,
                path=repr(truncate(text, 80)),
                absolute=absolute,
            )
        )
    return None


def find_folder_or_reason(named: str | Path | None, environ: Mapping[str, str]) -> Path | str | None:
    """Return the folder of the store as `find_folder` does, or why it cannot be used."""
    try:
        return find_folder(named, environ)
    except InvalidOption as error:
        return str(error)


def _expand(text: str, name: str, environ: Mapping[str, str], *, windows: bool) -> str:
    """Return `text` with its variables expanded once. Raises InvalidOption for a variable that is not set."""

    def expand(match: re.Match[str]) -> str:
        variable = next((group for group in match.groups() if group), "")
        if value := environ.get(variable):
            return value
        raise InvalidOption(
            _(
                "{name} is {path}, and {variable} is not set. Nothing was sent.\n"
                "Set {name} to an absolute path and restart the kernel.",
                name=name,
                path=repr(truncate(text, 80)),
                variable=truncate(match[0], 40),
            )
        )

    return (_WINDOWS_REFERENCE if windows else _REFERENCE).sub(expand, text)


def _resolve(text: str, name: str) -> Path:
    """Return the absolute path without links. Raises InvalidOption where there is none."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # no such user, a loop of links, a NUL
        reason = truncate(str(error), 80).rstrip(".")
    raise InvalidOption(
        _(
            "{name} is {path}, which is not a usable path ({reason}). Nothing was sent.\n"
            "Set {name} to an absolute path.",
            name=name,
            path=repr(truncate(text, 80)),
            reason=reason,
        )
    )


def describe_impermanence(home: Path, environ: Mapping[str, str]) -> str | None:
    """Return that the store does not outlive this machine, and the cure; None where it does."""
    if VARIABLE in environ:
        return None
    if "COLAB_RELEASE_TAG" in environ:
        return _(
            "Colab deletes {home} when its machine ends. To keep it, mount Drive and, before %load_ext, set "
            "os.environ['IPYIMAGEGEN_HOME'] = '/content/drive/MyDrive/ipyimagegen'",
            home=home,
        )
    if "KAGGLE_KERNEL_RUN_TYPE" in environ:
        return _(
            "Kaggle deletes {home} when its machine ends. Keep a result: .save('/kaggle/working/{{id}}')",
            home=home,
        )
    if "BINDER_SERVICE_HOST" in environ:
        return _(
            "Binder deletes {home} when its machine ends. Keep a result: .save('{{id}}'), and download it",
            home=home,
        )
    return None


def find_user_folder() -> Path:
    """Return the default folder of the store."""
    return _resolve(platformdirs.user_data_dir("ipyimagegen", appauthor=False), "The user data folder")
