"""Cells that pass hostile texts to everything that shows something. Each row is a cell."""

from __future__ import annotations

from ipyimagegen.notebook.help_text import PAGES

# `tried` shows an error as IPython shows that of a cell, so that a cell can have many.
_SETUP = """
import itertools, json, os, pathlib
GIVEN = json.loads(pathlib.Path({given!r}).read_text())
TEXTS, FILES = list(GIVEN["texts"].values()), pathlib.Path(GIVEN["files"])
os.environ["IPYIMAGEGEN_HOME"] = GIVEN["home"]
os.environ["LAB_KEY"] = TEXTS[0]
FILES.mkdir(exist_ok=True)
shell = get_ipython()

def tried(magic, line="", body=None):
    try:
        if body is None:
            return shell.run_line_magic(magic, line)
        return shell.run_cell_magic(magic, line, body)
    except BaseException:
        shell.showtraceback()

def quoted(text):
    return f'"{{text}}"' if '"' not in text else "'" + text.replace("'", "`") + "'"

def answered(case, some=TEXTS):
    for turn in map(TEXTS.index, some):
        tried("imagine", f"--set case={{case}} --set turn={{turn}} {{case}} {{turn}}")

from IPython.display import display
%load_ext ipyimagegen
from ipyimagegen import history, imagine
%config Imagine.endpoints = {{"lab": {{"base_url": GIVEN["base_url"]}}}}
%config Imagine.endpoint = "lab"
"""

# What is typed, and the answers of a server.
ASKED = {
    "body": "for text in TEXTS:\n    tried('imagine', '--raw', text)",
    "line": "for text in TEXTS[::3]:\n    tried('imagine', '-- ' + text)",
    "template": "for text in TEXTS[1::3]:\n    tried('imagine', '', 'a fox: {text}')",
    "facts": "answered('facts', TEXTS[::2])",
    "refused": "answered('refused')",
    "code": "answered('code', TEXTS[::3])",
    "addresses": "answered('addresses', TEXTS[1::2])",
    "partly": "answered('partly', TEXTS[::3])",
    "others": "for case in ('page', 'listed', 'no_json', 'moved', 'stream'):\n    answered(case, TEXTS[::7])",
    "model": "for text in TEXTS[::3]:\n    tried('imagine', f'-m {quoted(text)} a fox')",
    "options": """
names = "--size --user --seed --quality --style --negative-prompt --as --timeout --output-format".split()
for name, text in zip(itertools.cycle(names), TEXTS):
    tried("imagine", f"{name} {quoted(text)} options")
for text in TEXTS[::3]:
    tried("imagine", f"--set {quoted(text + '=1')} options")
""",
    "flags": """
for text in TEXTS[::2]:
    tried("imagine", f"--{text} a fox")
for text in TEXTS:
    if text != GIVEN["url"]:  # a URL that is typed is requested
        tried("imagine", f"--endpoint {quoted(text)} a fox")
""",
    "settings": """
%config Imagine.style = TEXTS[0]
tried("imagine", "a fox")
%config Imagine.style = None
lab = {"base_url": GIVEN["base_url"]}
for k, text in enumerate(TEXTS):
    bad = ({text: 1}, {"base_url": text}, {"dialect": text}, {"key_env": text}, {"fields": text})[k % 5]
    %config Imagine.endpoints = {"lab": lab, "bad": bad}
    tried("imagine", "a fox")
%config Imagine.endpoints = {"lab": lab}
""",
    "endpoint": """
def under(text):
    word = "/" + text.split()[0]
    return word if word.isprintable() and not set(word) & set("#?") else ""

named = {text: {"base_url": GIVEN["base_url"] + under(text), "title": text} for text in TEXTS}
%config Imagine.endpoints = {"lab": {"base_url": GIVEN["base_url"]}, **named}
%imagine_endpoints
for text in TEXTS[::3]:
    tried("imagine", f"--endpoint {quoted(text)} an endpoint")
""",
    "inputs": """
from PIL import Image
fine = Image.new("RGB", (8, 8), "red")
table = {}
for k, text in enumerate(TEXTS):
    name = text.replace("/", "∕").replace("\\0", "").encode("utf-8", "ignore").decode()[:60] + ".png"
    fine.save(FILES / name)
    chosen, table[name], missing = FILES / name, fine, FILES / ("no " + name)
    if k % 3:
        tried("imagine", "--image {chosen} a file")
    elif text != GIVEN["url"]:  # a URL that is typed is fetched
        tried("imagine", (
            "--image {missing} no file",
            "--image {table[name]} a variable",
            f"--image {quoted(text)} as typed",
            f"--image fine --mask {quoted(text)} a mask",
        )[k // 3 % 4])
""",
    "saved": """
for k, text in enumerate(TEXTS[::2]):
    names = (str(FILES / text), str(FILES / "a") + text + "{index}", "{" + text + "}")
    tried("imagine", f"--save {quoted(names[k % 3])} saved")
""",
}

# Edited records: every text in them is replaced, in the last two every number, too.
EDITED = """
home, evil = pathlib.Path(GIVEN["home"]), pathlib.Path(GIVEN["home"], "records", "0101-evil")
KEPT = ("session", "status", "state", "sha256", "operation", "base_url", "basis")
NUMBERS = ("width", "height", "elapsed")

def spoiled(value, texts, numbers=(), name=""):
    if isinstance(value, dict):
        more = {next(texts): next(texts)} if name in ("extra", "reply", "body", "options") else {}
        return {k: spoiled(v, texts, numbers, k) for k, v in value.items()} | more
    if isinstance(value, list):
        return [spoiled(item, texts, numbers, name) for item in value]
    return next(texts) if name in numbers or (isinstance(value, str) and name not in KEPT) else value

records = [json.loads(path.read_text()) for path in sorted(home.glob("records/*/*.json"))]
best = max(records, key=lambda run: (run["status"] == "done", "inputs" in run["request"], len(str(run))))
best["error"] = {"message": "x", "code": "x"}
best["mismatches"] = [{"subject": "size", "asked": "x", "got": "x"}]
best["cost"] = {"amount": 1, "currency": "x", "basis": "table", "source": "x", "date": "x"}
best["rerun_of"] = best["raw"] = best["request"]["template"] = "x"
best["sent"]["notes"] = best["sent"]["unsent"] = ["x", "x"]
evil.mkdir(exist_ok=True)
runs = range(1, 8)
for k in runs:
    texts = itertools.cycle(TEXTS[5 * k:] + TEXTS[:5 * k])
    run = spoiled(best, texts, NUMBERS if k > 5 else ()) | {"session": evil.name, "number": k}
    (evil / f"{k}.json").write_text(json.dumps(run))
(home / "index.sqlite").unlink(missing_ok=True)
for k in runs:
    %config Imagine.embed = "original" if k % 2 else "preview"
    tried("imagine_show", f"0101-evil/{k}")
    tried("imagine_rerun", f"0101-evil/{k} --dry-run")
    tried("imagine_rerun", f"0101-evil/{k} --endpoint lab --seed {k}")
    tried("imagine", f"--image @0101-evil/{k} an edit")
    try:
        display(history[f"0101-evil/{k}"], *history[f"0101-evil/{k}"])
    except BaseException:
        shell.showtraceback()
"""

# The calls of a magic besides `_ANY`, which every magic with a help page gets.
MAGICS = {
    "imagine": """
for text in TEXTS[::3]:
    tried("imagine", f"--dry-run -m {quoted(text)} --user {quoted(text)} --set {quoted('x=' + text)} " + text)
tried("imagine", "--help")
""",
    "imagine_history": """
tried("imagine_history", "-l 30")
tried("imagine_history", "--all -l 60")
for k, text in enumerate(TEXTS):
    tried("imagine_history", f"{('--all --search', '--model', '-l')[k % 3]} {quoted(text)}")
""",
    "imagine_show": """
pending = [run for run in history if not run]
for run in [*[run for run in history if run][::20], *pending[:1]]:
    tried("imagine_show", str(run.number))
""",
    "imagine_compare": """
some = [str(run.number) for run in history]
for at in range(0, len(some) - 1, 11):
    tried("imagine_compare", " ".join(some[at : at + 12]))
""",
    "imagine_rerun": """
for run in list(history)[::40]:
    tried("imagine_rerun", f"{run.number} --dry-run")
    tried("imagine_rerun", f"{run.number} --user {quoted(TEXTS[run.number % len(TEXTS)])}")
""",
    "imagine_forget": """
tried("imagine_forget", "1 2 0101-evil/1-2 --yes")
tried("imagine_show", "1")
""",
}
_ANY = """
tried({name!r})
tried({name!r}, "--help")
tried({name!r}, "-1")
for k, text in enumerate(TEXTS[::3]):
    tried({name!r}, text if k % 2 else quoted(text))
"""
LOOKED_AT = {
    "repr": "repr(history[10]), history[12].revised_prompts, history[14].caption, history[12].run",
    "result": "history[12]",
    "image": "history[12][0]",
    "history": "history",
    "search": "history.search('')",
    "displayed": "display(history, *history[-9:])",
    "python": """
for text in TEXTS[::4]:
    try:
        fox = imagine(text, user=text, extra={text: text}, model=text)
        fox.save(str(FILES / "{model}-{endpoint}"))
        display(fox, fox[0])
        fox.edit(text, mask=text if text != GIVEN["url"] else None)
    except BaseException:
        shell.showtraceback()
""",
}


def cells(given: str) -> dict[str, str]:
    """Return every cell by its name; `given` is the JSON file with texts, folders and URLs."""
    rows = {"setup": _SETUP.format(given=given), **ASKED, "edited": EDITED, **LOOKED_AT}
    shown = {
        name: MAGICS.get(name, "") + _ANY.format(name=name) for name in PAGES if name != "imagine_forget"
    }
    last = {"imagine_forget": MAGICS["imagine_forget"] + _ANY.format(name="imagine_forget")}
    return {name: code.strip() for name, code in {**rows, **shown, **last}.items()}
