"""Where the store lives, and whether that place lasts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# Machines that are thrown away: the variable that tells one, and what to do.
_PASSING: Mapping[str, str] = {
    "COLAB_RELEASE_TAG": "Colab forgets {home}. To keep it, mount Drive and, before %load_ext, set "
    "os.environ['IPYIMAGEGEN_HOME'] = '/content/drive/MyDrive/ipyimagegen'",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle forgets {home}. Keep a result: .save('/kaggle/working/{{id}}')",
    "BINDER_SERVICE_HOST": "Binder forgets {home}. Keep a result: .save('{{id}}'), and download it",
}


def folder(named: str | Path | None, environ: Mapping[str, str]) -> Path:
    """Return the folder of the store: as named, else `IPYIMAGEGEN_HOME`, else the user data folder.

    Absolute, so that it stays the same when the notebook changes its folder.
    """
    return Path(named or environ.get("IPYIMAGEGEN_HOME") or _user_folder()).expanduser().absolute()


def passing(home: Path, environ: Mapping[str, str]) -> str | None:
    """Return that the store does not outlive this machine, and the cure; None where it does."""
    found = next((told for name, told in _PASSING.items() if name in environ), None)
    return found.format(home=home) if found and "IPYIMAGEGEN_HOME" not in environ else None


def _user_folder() -> str:
    import platformdirs  # noqa: PLC0415 - only where nobody named a folder

    return platformdirs.user_data_dir("ipyimagegen", appauthor=False)
