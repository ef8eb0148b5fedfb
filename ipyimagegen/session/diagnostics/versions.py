"""What runs here: Python, the system, the packages that matter."""

from __future__ import annotations

import platform
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import metadata

from ipyimagegen.core.text import DOT
from ipyimagegen.session.diagnostics.findings import Finding, State
from ipyimagegen.session.diagnostics.visit import Visit

PACKAGES = (
    *("ipyimagegen", "ipython", "ipykernel", "ipywidgets", "anywidget", "requests", "urllib3", "pillow"),
    *("jupyterlab", "notebook"),
)
_FRONT_ENDS: Mapping[str, str] = {
    "COLAB_RELEASE_TAG": "Colab",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle",
    "BINDER_SERVICE_HOST": "Binder",
    "DATABRICKS_RUNTIME_VERSION": "Databricks",
    "JUPYTERHUB_USER": "JupyterHub",
    "VSCODE_PID": "VS Code",
}


def look(visit: Visit) -> Iterator[Finding]:
    """Yield what runs here."""
    runs_in = [
        told for name, told in (("ipykernel", "a kernel"), ("IPython", "IPython")) if name in sys.modules
    ]
    front = [told for name, told in _FRONT_ENDS.items() if name in visit.environ]
    where = f" in {', '.join([*runs_in[:1], *front])}" if runs_in or front else ""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    openssl = " ".join(ssl.OPENSSL_VERSION.split()[:2])
    yield Finding("python", State.OK, DOT.join([platform.python_version() + where, system, openssl]))
    yield Finding("packages", State.OK, DOT.join(_installed()))


def _installed() -> Iterator[str]:
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            yield f"{package} {metadata.version(package)}"
