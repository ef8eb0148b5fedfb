"""Try every magic in a terminal's shell and in a kernel, with what is installed here; print what failed.

Imports nothing but what the package itself and a kernel bring.
"""

import contextlib
import io
import os
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from IPython.core.getipython import get_ipython
from IPython.terminal.interactiveshell import TerminalInteractiveShell

sys.path.insert(0, str(Path(__file__).parent.parent))

from kernels import Kernel, kernel_environ

SETUP = """
from PIL import Image
whole = Image.new("L", (64, 64), 255); whole.save("mask.png")
animal, animals = "fox", ["fox"]
"""


@dataclass(frozen=True)
class Case:
    """A cell, and what it must leave: a pattern in its text, so many images, an error or none."""

    name: str
    code: str
    text: str = ""
    images: int = 0
    fails: bool = False
    notebook: bool = False  # for a kernel alone


CASES = [
    Case("load", "%load_ext ipyimagegen"),
    Case("load again", "%reload_ext ipyimagegen"),
    Case("setup", SETUP),
    Case("config", "%config Imagine", "quality"),
    Case("set config", "%config Imagine.size = '64x64'"),
    Case("draw", "%%imagine --seed 1\na red fox", "a red fox", 1),
    Case("draw in a line", "x = %imagine a {animal}", "a fox", 1),
    Case("use the value", "print(x[0].pil.size, x)", r"\(64, 64\)"),
    Case("Python", "from ipyimagegen import imagine\nimagine('a dog', size='64x64')", "a dog", 1),
    Case("from history", "%%imagine --seed 1\na red fox", "from history", 1),
    Case("several", "%%imagine -n 2\na cat", "2 images", 1),
    Case("edit", "%%imagine --image @1 --mask mask.png\nmake it night", "night", 1),
    Case("sweep", "%%imagine --seed 1,2,3\na bird", "3", 1),
    Case("alternatives", "%%imagine\na {red|blue} car", "car", 1),
    Case("save", "%%imagine --save out/owl\nan owl", "owl", 1),
    Case("saved", "print(Image.open('out/owl.png').size)", r"\(64, 64\)"),
    Case("dry run", "%%imagine --dry-run --endpoint openai\na whale", "a whale"),
    Case("history", "%imagine_history", "a red fox", 1),
    Case("search", "%imagine_history --search owl", "an owl", 1),
    Case("show", "%imagine_show 1", "a red fox", 2),  # and its line of descent
    Case("rerun", "%imagine_rerun 1 --seed 9", "a red fox", 1),
    Case("compare", "%imagine_compare 1 2", "fox", 1),
    Case("models", "%imagine_models", "gpt-image"),
    Case("model", "%imagine_models dall-e-3", "dall-e-3"),
    Case("endpoints", "%imagine_endpoints", "sketch"),
    Case("cost", "%imagine_cost", "nothing"),
    Case("forget", "%imagine_forget 2", "2"),
    Case("doctor", "%imagine_doctor --offline", re.escape(metadata.version("pillow"))),
    Case("help", "%imagine --help", "--seed"),
    Case("help of IPython", "%imagine_show?"),
    Case("wrong option", "%%imagine --sizee 3\na fox", "--size", fails=True),
    Case("no key", "%%imagine --endpoint openai\na fox", "OPENAI_API_KEY", fails=True),
    Case("no run", "%imagine_show 999", "999", fails=True),
    Case("panel", "%imagine_panel", "panel", notebook=True),
    Case("%%capture", "%%capture held\n%imagine a cow"),
    Case("captured", "print(len(held.outputs) > 0 or held.stdout != '')", "True"),
    Case("unload", "%unload_ext ipyimagegen"),
    Case("load after that", "%load_ext ipyimagegen"),
    Case("draw after that", "%imagine --size 64x64 --seed 1 a red fox", "a red fox", 1),
]
OFFERED = {
    "%imagine --asp": {"--aspect-ratio"},
    "x = %imagine --se": {"--seed", "--send-key", "--set"},
    "%imagine --quality hi": {"high"},
    "%imagine -m gpt-image-2": {"gpt-image-2"},
    "%imagine a {anim": {"animal", "animals"},
    "%imagine_rerun --no-w": {"--no-watermark"},
    "%imagine --image @": {"1", "3"},
}


def judge(case, text, images, error):
    """Return what is wrong with what a cell left, nothing if it is right. `error` is its printed error."""
    if bool(error) != case.fails:
        return f"{'failed' if error else 'did not fail'}: {(error or text)[-300:]}"
    if error and ("Traceback" in error or len(error.strip().splitlines()) > 2):
        return f"the error has more than two lines: {error[:300]}"
    if not re.search(case.text, error or text):
        return f"{case.text!r} is not in {text[-300:]!r}"
    return "" if images == case.images else f"{images} images instead of {case.images}"


def environ(home):
    """Return the environment of a shell whose files all lie beside `home`."""
    ipython = home.with_name("ipython")
    ipython.mkdir(exist_ok=True)
    return kernel_environ(home, IPYTHONDIR=str(ipython), PYDEVD_DISABLE_FILE_VALIDATION="1")


def in_kernel(home):
    """Yield the name of each case and what is wrong with it in a kernel."""
    kernel = Kernel(environ(home))
    try:
        for case in CASES:
            cell = kernel.collect(kernel.start(case.code, watched=not case.fails))
            images = sum(
                mime.startswith("image/") for output in cell.outputs for mime in output.get("data", {})
            )
            yield case.name, judge(case, "\n".join(cell.texts), images, cell.error or "")
        cell = kernel.run("%imagine_panel")
        views = [
            output
            for output in cell.outputs
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
        ]
        yield "panel is a widget", "" if views else f"no widget in {cell.outputs}"[:300]
        for code, offered in OFFERED.items():
            reply = kernel.client.complete(code, reply=True, timeout=20)["content"]
            yield f"complete {code}", missing(offered, reply["matches"])
    finally:
        kernel.stop()


def missing(offered, matches):
    """Return which candidates were not offered."""
    lacking = {
        completion for completion in offered if not any(match.lstrip("@") == completion for match in matches)
    }
    return f"{sorted(lacking)} not in {matches[:9]}" if lacking else ""


def in_terminal(home):
    """Yield the name of each case and what is wrong with it in a terminal's shell."""
    os.environ.update(environ(home))
    shell = TerminalInteractiveShell.instance(colors="NoColor", simple_prompt=True, term_title=False)
    for case in [case for case in CASES if not case.notebook]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            done = shell.run_cell(case.code)
        error = out.getvalue() if done.error_in_exec or done.error_before_exec else ""
        yield case.name, judge(case, out.getvalue(), case.images, error)  # a terminal shows no image
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        shell.run_cell("%imagine_panel")
    yield "panel says what it needs", "" if "requires a notebook" in out.getvalue() else out.getvalue()[-300:]
    for code, offered in OFFERED.items():
        _, matches = get_ipython().Completer.complete(line_buffer=code, cursor_pos=len(code))
        yield f"complete {code}", missing(offered, matches)


def main(folder):
    """Try everything in folders below `folder`; print a line for each place and each failure."""
    failed = 0
    for name, place in (("kernel", in_kernel), ("terminal", in_terminal)):
        work = Path(folder) / name
        work.mkdir(parents=True)
        os.chdir(work)
        results = list(place(work / "home"))
        wrong = [f"  {name}: {case}: {why}" for case, why in results if why]
        print(f"  {name}: {len(results) - len(wrong)} of {len(results)} passed", *wrong, sep="\n", flush=True)
        failed += len(wrong)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
