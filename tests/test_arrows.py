"""The arrows between rooms, and which room may use which package: read from the source itself."""

import ast
from functools import cache
from pathlib import Path

import pytest

import ipyimagegen

ROOT = Path(ipyimagegen.__file__).parent
FLOOR = {"errors", "safe", "redact", "ownership", "options", "lists", "records", "rows", "ids", "caption"}
FLOOR |= {"costs", "counting", "hosts", "extra", "verdicts", "prompt", "columns", "differences", "changes"}
ROOMS = {"catalog", "keys", "wire", "imaging", "store", "sketch"}

# What each part may import of ours; a room may import the floor and itself.
MAY = {
    "errors": {"safe"},
    "safe": set(),
    "redact": {"safe"},
    "ownership": set(),
    "options": {"errors"},
    "lists": {"errors", "options", "safe"},
    "extra": {"errors", "options"},
    "ids": {"errors", "options"},
    "counting": {"errors", "options"},
    "records": {"counting", "errors", "options"},
    "rows": {"options"},
    "hosts": set(),
    "verdicts": {"caption", "records"},
    "caption": {"records", "safe"},
    "costs": {"records"},
    "columns": {"safe"},
    "differences": {"safe"},
    "changes": {"columns", "differences", "options", "records", "safe"},
    "prompt": {"errors"},
    **{room: {*FLOOR, room} for room in ROOMS - {"sketch"}},
    "sketch": {"sketch"},
    "saving": FLOOR,
    "homes": {"errors", "safe"},
    "waiting": FLOOR | {"batch", "plan"},
    "typed": FLOOR,
    "axes": FLOOR | {"typed"},
    "plan": FLOOR | {"axes"},
    "planning": FLOOR | {"catalog", "typed", "axes", "plan"},
    "arrivals": FLOOR | {"catalog", "imaging", "keys", "store", "wire"},
    "work": FLOOR | ROOMS - {"sketch"} | {"plan", "arrivals", "gate"},
    "gate": {"wire"},
    "batch": FLOOR | {"gate", "plan", "work", "results"},
    "gathering": FLOOR | {"batch", "results", "store"},
    "errands": FLOOR | {"catalog", "keys", "wire", "sketch", "__version__"},
    "sending": FLOOR
    | {"errands", "catalog", "imaging", "store", "keys", "keychain", "arrivals", "plan", "planning", "work"}
    | {"ledger", "batch", "gate", "waiting", "results"},
    "recovery": FLOOR | {"wire", "store", "arrivals"},
    "keychain": FLOOR | {"keys"},
    "trust": FLOOR | {"catalog", "plan", "typed"},
    "inputs": FLOOR | {"catalog", "imaging", "store", "wire", "plan", "results", "typed"},
    "ledger": FLOOR | {"store", "plan", "work"},
    "doctor": FLOOR
    | {"catalog", "keys", "wire", "store", "keychain", "typed", "plan", "planning", "homes", "doctor"},
    "results": FLOOR | {"imaging", "saving", "axes", "results"},
    "comparison": FLOOR | {"imaging", "results"},
    "archive": FLOOR | {"imaging", "store", "ledger", "results", "comparison"},
    "studio": FLOOR
    | ROOMS
    | {
        "keychain",
        "trust",
        "typed",
        "inputs",
        "plan",
        "planning",
        "arrivals",
        "recovery",
        "work",
        "batch",
        "sending",
        "gathering",
        "ledger",
        "archive",
        "results",
        "saving",
        "homes",
        "waiting",
        "doctor",
    },
    "notebook": FLOOR
    | {"catalog", "imaging", "wire", "typed", "inputs", "plan", "archive", "results", "studio", "notebook"}
    | {"axes", "comparison"}
    | {"batch", "default_studio"},  # of the package itself: the one that `Panel()` is for
    "__init__": {"errors", "plan", "archive", "results", "studio", "notebook"},
}

# A third-party package lives in one room; for types alone it may come elsewhere.
TYPES_ONLY = {("PIL", part) for part in ("results", "arrivals", "comparison", "sending", "studio")}
TYPES_ONLY |= {("IPython", "__init__")}
LIVES_IN = {
    "requests": {"wire"},
    "urllib3": {"wire"},
    "sqlite3": {"store"},
    "PIL": {"imaging", "sketch", *(part for package, part in TYPES_ONLY if package == "PIL")},
    "IPython": {"notebook", "__init__"},
    "traitlets": {"notebook"},
    "anywidget": {"notebook"},
    "ipywidgets": {"notebook"},
    "keyring": {"keys"},
    "google": {"keys"},
    "platformdirs": {"homes"},
    "pandas": {"results"},
}


@cache
def parts():
    """Return (part, file, its imports with whether they are for types only) of every file."""
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


def test_every_part_is_in_the_table():
    assert {part for part, _, _ in parts()} == set(MAY)


@pytest.mark.parametrize("part", sorted(MAY))
def test_arrows(part):
    for here, path, found in parts():
        for name, _ in found if here == part else ():
            if name.startswith("ipyimagegen."):
                assert name.split(".")[1] in MAY[part], f"{path} imports {name}"


@pytest.mark.parametrize("package", sorted(LIVES_IN))
def test_packages(package):
    for part, path, found in parts():
        for name, types_only in found:
            if name.split(".")[0] == package:
                assert part in LIVES_IN[package], f"{path} imports {name}"
                assert types_only or (package, part) not in TYPES_ONLY, f"{path} imports {name} at run time"


def test_modules_are_small():
    long = {
        str(path): count for path in ROOT.rglob("*.py") if (count := len(path.read_text().splitlines())) > 450
    }
    assert not long
