#!/usr/bin/env python3
"""Install the wheel where hosted notebooks' versions are installed, and try every magic there.

    python tests/versions/check.py [colab] [kaggle] [lowest] [newest]

Fails if installing changes an installed package, or if a magic fails. Uses uv where there is one. The Python
that a list names is used if it is found, else the one that runs this.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def run(*command, **options):
    """Run a command and return what it printed. Ends the check with its errors if it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def find_python(version):
    """Return a Python of that version if there is one, else the one that runs this."""
    python = shutil.which(f"python{version}") or ""
    works = python and not subprocess.run([python, "-V"], capture_output=True, check=False).returncode
    return python if works else sys.executable


def make_environment(name, folder):
    """Make an environment with what a list names and return its Python."""
    wanted = HERE / f"{name}.txt"
    base = find_python(re.search(r"^# python (\S+)$", wanted.read_text(), re.MULTILINE)[1])
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if shutil.which("uv"):
        run("uv", "venv", "-q", "-p", base, folder)
        run("uv", "pip", "install", "-q", "-p", python, "-r", wanted)
    else:
        run(base, "-m", "venv", folder)
        run(python, "-m", "pip", "install", "-q", "-r", wanted)
    return python


def installed(python):
    """Return the version of each installed package."""
    lines = run(python, "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check").split()
    return dict(line.split("==") for line in lines)


def check_bounds():
    """Return complaints if the list of the lowest versions is not that of pyproject.toml."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    lowest = (HERE / "lowest.txt").read_text().splitlines()
    exact = [re.sub(r"==(\d+\.\d+)\.0$", r"==\1", line) for line in lowest]
    return [
        f"{requirement} is not in lowest.txt"
        for requirement in declared
        if requirement.replace(">=", "==") not in (*lowest, *exact)
    ]


def check(name, wheel, folder):
    """Return what is wrong with the wheel in one environment."""
    python = make_environment(name, folder / name)
    before = installed(python)
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    after = installed(python)
    changed = [
        f"{package} {version} became {after.get(package)}"
        for package, version in before.items()
        if after.get(package) != version
    ]
    added = [f"{package} {version}" for package, version in after.items() if package not in before]
    version = run(python, "-V").strip()
    print(f"{name}: {version}, {len(before)} packages, changed: {len(changed)}, added: {', '.join(added)}")
    done = subprocess.run([python, "-W", "ignore", HERE / "magics.py", folder / f"{name}-files"], check=False)
    return [f"{name}: {package}" for package in changed] + (
        [f"{name}: a magic failed"] if done.returncode else []
    )


def main(names):
    """Check the named environments, or all."""
    wrong = check_bounds()
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT)
        wheel = next(Path(folder).glob("*.whl"))
        for name in names or ["colab", "kaggle", "lowest", "newest"]:
            wrong += check(name, wheel, Path(folder))
    print("\n".join(wrong) or "all right")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
