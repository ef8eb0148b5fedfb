"""Where the store lives, and whether that place lasts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.core.text import truncate

VARIABLE = "IPYIMAGEGEN_HOME"
_AROUND = " \t\r\n\u00a0\u3000\"'“”‘’"  # what settings files leave around a value
# A variable as a shell writes it; the forms that only a shell can fill in have no name, so they are refused.
_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)\}|[{(])", re.ASCII)
_WINDOWS_REFERENCE = re.compile(rf"{_REFERENCE.pattern}|%(\w+)%", re.ASCII)

# Machines that are thrown away: the variable that tells one, and what to do.
_PASSING: Mapping[str, str] = {
    "COLAB_RELEASE_TAG": "Colab forgets {home}. To keep it, mount Drive and, before %load_ext, set "
    "os.environ['IPYIMAGEGEN_HOME'] = '/content/drive/MyDrive/ipyimagegen'",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle forgets {home}. Keep a result: .save('/kaggle/working/{{id}}')",
    "BINDER_SERVICE_HOST": "Binder forgets {home}. Keep a result: .save('{{id}}'), and download it",
}


def find_folder(
    named: str | Path | None, environ: Mapping[str, str], *, windows: bool = os.name == "nt"
) -> Path | None:
    """Return the folder of the store: as named, else as `IPYIMAGEGEN_HOME` says; None where neither is set.

    The path is absolute and its links are resolved, so that it stays the same when the notebook changes
    its folder. A relative `named` is taken from the current folder. Raises InvalidOption for a relative
    `IPYIMAGEGEN_HOME`, a variable that is not set, and a path that cannot be resolved.
    """
    if isinstance(named, Path):
        return _resolved(str(named), "home")
    if text := (named or "").strip(_AROUND):
        return _resolved(_expanded(text, "home", environ, windows=windows), "home")
    if text := environ.get(VARIABLE, "").strip(_AROUND):
        path = Path(_expanded(text, VARIABLE, environ, windows=windows))
        absolute = _resolved(str(path), VARIABLE)
        if path.is_absolute() or text.startswith("~"):
            return absolute
        raise InvalidOption(
            f"{VARIABLE} is the relative path {truncate(text, 80)!r}, which changes with the "
            f"notebook's folder. "
            f"Nothing was sent.\nSet it to an absolute path such as {absolute} and restart the kernel."
        )
    return None


def find_folder_or_reason(named: str | Path | None, environ: Mapping[str, str]) -> Path | str | None:
    """Return the folder of the store as `find_folder` does, or why it cannot be used."""
    try:
        return find_folder(named, environ)
    except InvalidOption as fault:
        return str(fault)


def _expanded(text: str, name: str, environ: Mapping[str, str], *, windows: bool) -> str:
    """Return `text` with its variables filled in, once. Raises InvalidOption for one that is not set."""

    def value(found: re.Match[str]) -> str:
        variable = next((group for group in found.groups() if group), "")
        if filled := environ.get(variable):
            return filled
        raise InvalidOption(
            f"{name} is {truncate(text, 80)!r}, and {truncate(found[0], 40)} is not set. Nothing was sent.\n"
            f"Set {name} to an absolute path and restart the kernel."
        )

    return (_WINDOWS_REFERENCE if windows else _REFERENCE).sub(value, text)


def _resolved(text: str, name: str) -> Path:
    """Return the absolute path without links. Raises InvalidOption where there is none."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as fault:  # no such user, a loop of links, a NUL
        problem = truncate(str(fault), 80).rstrip(".")
    raise InvalidOption(
        f"{name} is {truncate(text, 80)!r}, which is not a usable path ({problem}). Nothing was sent.\n"
        f"Set {name} to an absolute path."
    )


def describe_impermanence(home: Path, environ: Mapping[str, str]) -> str | None:
    """Return that the store does not outlive this machine, and the cure; None where it does."""
    found = next((told for name, told in _PASSING.items() if name in environ), None)
    return found.format(home=home) if found and VARIABLE not in environ else None


def find_user_folder() -> Path:
    """Return the folder of the store where nobody named one."""
    import platformdirs  # noqa: PLC0415 - only where nobody named a folder

    return _resolved(platformdirs.user_data_dir("ipyimagegen", appauthor=False), "The user data folder")
