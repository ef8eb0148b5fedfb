"""Which folder may import which, and which may use which package: read from the source itself."""

import ast
from functools import cache
from pathlib import Path

import pytest

import ipyimagegen

ROOT = Path(ipyimagegen.__file__).parent

# What each folder may import of ours besides itself; of the package itself, names.
MAY = {
    "core": set(),
    "catalog": {"core"},
    "client": {"core"},
    "imaging": {"core"},
    "store": {"core"},
    "results": {"core", "catalog", "client", "imaging", "store"},
    "session": {"core", "catalog", "client", "imaging", "store", "results", "sketch", "__version__"},
    "notebook": {"core", "catalog", "client", "imaging", "store", "results", "session", "default_studio"},
    "sketch": set(),
}
TOP = {"__init__": {"core", "results", "session", "notebook"}}

# A third-party package is imported in these folders only; elsewhere for types alone.
LIVES_IN = {
    "requests": {"client"},
    "urllib3": {"client"},
    "sqlite3": {"store"},
    "PIL": {"imaging", "sketch"},
    "IPython": {"notebook"},
    "traitlets": {"notebook"},
    "anywidget": {"notebook"},
    "ipywidgets": {"notebook"},
    "keyring": {"session"},
    "google": {"session"},
    "platformdirs": {"store"},
    "pandas": {"results"},
}


@cache
def parts():
    """Return (folder, file, its imports with whether they are for types only) of every file."""
    files = [(path, path.relative_to(ROOT)) for path in sorted(ROOT.rglob("*.py"))]
    return [
        (relative.parts[0].removesuffix(".py"), relative, list(imports(ast.parse(path.read_text()))))
        for path, relative in files
    ]


def imports(node, types_only=False):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from imports(child, types_only=True)
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, types_only) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, "relative imports hide the arrows"
            module = child.module
            names = (
                [f"{module}.{alias.name}" for alias in child.names] if module == "ipyimagegen" else [module]
            )
            yield from ((name, types_only) for name in names)
        yield from imports(child, types_only)


def test_every_folder_is_in_the_table():
    assert {folder for folder, _, _ in parts()} == MAY.keys() | TOP.keys()


@pytest.mark.parametrize("folder", sorted(MAY | TOP))
def test_arrows(folder):
    for here, path, names in parts():
        for name, _ in names if here == folder else ():
            if name.startswith("ipyimagegen."):
                assert name.split(".")[1] in {folder, *(MAY | TOP)[folder]}, f"{path} imports {name}"


@pytest.mark.parametrize("package", sorted(LIVES_IN))
def test_packages(package):
    for folder, path, names in parts():
        for name, types_only in names:
            if name.split(".")[0] == package and not types_only:
                assert folder in LIVES_IN[package], f"{path} imports {name}"
