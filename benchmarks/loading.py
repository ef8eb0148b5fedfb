"""What `%load_ext ipyimagegen` adds to a bare IPython shell: fresh processes, in turn."""

import json
import os
import subprocess
import sys
import tempfile

from figures import Row, above, interleaved, medians

LIMIT = 25  # ms
NEVER = ("requests", "PIL", "sqlite3", "ipywidgets")  # what must not come in by loading
OTHERS = ("urllib3", "tomllib", "anywidget", "numpy", "email", "uuid", "decimal")

SHELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
"""
LOAD = "shell.run_line_magic('load_ext', 'ipyimagegen')\n"
# A shell without its history file has no sqlite3 of its own that would hide ours.
NAMES = f"""
import json, sys
from traitlets.config import Config
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(config=Config(HistoryManager={{"enabled": False}}))
hidden = {{name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "sqlite3"}}
before = set(sys.modules)
{LOAD}
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(json.dumps([sorted(new & set({NEVER + OTHERS!r})), len(set(sys.modules) - before)]))
"""
READS = """
import sys
seen = []
def hear(event, given):
    if event in ("open", "os.listdir", "os.scandir", "sqlite3.connect"):
        seen.append(str(given[0]))
sys.addaudithook(hear)
"""


def python(script, environ):
    """Run a script in a fresh process and return what it printed."""
    return subprocess.run(
        [sys.executable, "-c", script], env=environ, check=True, capture_output=True, text=True
    ).stdout


def environ(folder):
    """Return an environment with a home, caches and IPython's folder of its own."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "PYTHONPYCACHEPREFIX": f"{folder}/cache",  # a checkout on a full or foreign disk has none
        "IPYTHONDIR": f"{folder}/ipython",
        "IPYIMAGEGEN_HOME": f"{folder}/home",
    }


def load(times):
    """Return rows of a shell without and with the extension, and what came in with it."""
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        given = environ(folder)
        taken = interleaved(
            {
                "bare": lambda: python(SHELL, given),
                "loaded": lambda: python(SHELL + LOAD, given),
                "requests and Pillow": lambda: python(SHELL + "import requests, PIL.Image", given),
                "official SDK": lambda: python(SHELL + "import openai", given),
            },
            times,
        )
        names, count = json.loads(python(NAMES, given).splitlines()[-1])
    middle, more = medians(taken), above(taken, "loaded", "bare")
    return [
        Row("a bare IPython shell", middle["bare"]),
        Row("with %load_ext ipyimagegen", middle["loaded"], "ms", f"{more:+.1f} ms", LIMIT, more),
        *(
            Row(f"with import of {name}", middle[name], against=f"{above(taken, name, 'bare'):+.1f} ms")
            for name in ("requests and Pillow", "official SDK")
        ),
        Row("modules that come in", count, "", ", ".join(set(names) - set(NEVER))),
        Row(f"of {', '.join(NEVER)}", len(set(names) & set(NEVER)), "", limit=0),
    ]


def touched(home):
    """Return how many files and folders of a store are opened by loading the extension."""
    with tempfile.TemporaryDirectory(prefix="touched-") as folder:
        given = {**environ(folder), "IPYIMAGEGEN_HOME": str(home)}
        script = f"{READS}{SHELL}{LOAD}print(sum({str(home)!r} in path for path in seen))"
        return int(python(script, given).split()[-1])
