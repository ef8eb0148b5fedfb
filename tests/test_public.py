"""The public names, and the signature of `imagine` against the table of options."""

import base64
import html
import inspect
import io
import os
import pickle
import re
import subprocess
import sys

import pytest
from PIL import Image

import ipyimagegen
from ipyimagegen.core.options import INPUTS, LOCAL, SENT


def test_public_names():
    assert set(ipyimagegen.__all__) == {
        *("imagine", "history", "default_studio", "Studio", "Settings", "Generation", "Image", "Sweep"),
        *("Panel", "Pending", "Plan"),
        *("ImagineError", "InvalidOption", "InvalidInput", "MissingKey", "OverBudget", "NotInHistory"),
        *(
            "StoreError",
            "CallError",
            "NotSent",
            "RateLimited",
            "RequestRefused",
            "OutcomeUnknown",
            "Detached",
        ),
    }
    for name in ipyimagegen.__all__:
        assert getattr(ipyimagegen, name) is not None


def test_the_signature_is_the_table():
    parameters = inspect.signature(ipyimagegen.imagine).parameters
    expected = [
        "prompt",
        *SENT,
        "extra",
        *INPUTS,
        *(name for name, option in LOCAL.items() if option.python),
        "progress",
    ]
    *parameters, unknown = parameters.values()
    assert unknown.kind is inspect.Parameter.VAR_KEYWORD  # refused, naming the right keyword
    parameters = {parameter.name: parameter for parameter in parameters}
    assert set(parameters) == set(expected)
    assert list(parameters)[: len(SENT) + 1] == ["prompt", *SENT]
    for name, parameter in list(parameters.items())[1:]:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name
        # An image that is None is stated: its loader may have failed.
        assert parameter.default is (... if name in INPUTS else None), name


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, ipyimagegen\n"
        "heavy = ('requests', 'PIL', 'sqlite3', 'ipywidgets', 'anywidget', 'IPython', 'tomllib')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_the_extension_loads_no_room_that_works():
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "import sys\nshell = InteractiveShell.instance()\nbefore = set(sys.modules)\n"
        "shell.run_line_magic('load_ext', 'ipyimagegen')\n"
        "new = set(sys.modules) - before\n"
        "late = ('requests', 'urllib3', 'PIL', 'sqlite3', 'ipywidgets', 'anywidget')\n"
        "print(sorted(new & set(late)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_results_are_immutable_and_picklable():
    fox = ipyimagegen.imagine("a red fox", size="256x256", n=2)
    again = pickle.loads(pickle.dumps(fox))
    assert again == fox
    assert again[1].bytes == fox[1].bytes
    assert again.caption == fox.caption
    assert [image.size for image in again] == [(256, 256)] * 2
    for name in ("prompt", "run"):
        try:
            setattr(again, name, "x")
        except AttributeError:
            continue
        raise AssertionError(name)


def test_it_works_without_ipython():
    code = (
        "import sys\nsys.modules['IPython'] = None\n"
        "from ipyimagegen import imagine, history\n"
        "fox = imagine('a red fox', size='128x128')\n"
        "print(fox[0].path.is_file(), len(history), history[-1] == fox, history.search('FOX')[0] == fox)\n"
        "print(fox, str(fox[0]).endswith(str(fox[0].path)), fox.to_bundles()[0][0]['text/plain'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    facts, shown = done.stdout.strip().splitlines()
    assert facts == "True 1 True True"
    text = "Generation: 'a red fox' · sketch · 128x128"
    assert re.fullmatch(rf"{text} · \S+\.png True {text}", shown)  # where it is, but not beside the image


def test_plain_python_shows_its_progress_where_that_is_asked_for():
    code = (
        "import sys\nsys.modules['IPython'] = None\n"
        "from ipyimagegen import imagine\n"
        "options = {{'size': '64x64', 'extra': {{'fault': 'slow:1'}}, 'new': True}}\n"
        "print(len(imagine('a red fox', **options, progress={})))"
    )
    for progress, lines in ((None, 0), (False, 0), (True, 1)):
        command = [sys.executable, "-c", code.format(progress)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "1\n"
        assert len(done.stderr.splitlines()) == lines
        assert done.stderr.startswith("sketch · " if lines else "")


def test_a_plan_is_a_value():
    plan = ipyimagegen.imagine("a red fox", seed=range(3), dry_run=True)
    again = pickle.loads(pickle.dumps(plan))
    assert (again.images, again.estimate, len(again.calls)) == (3, plan.estimate, 3)
    assert repr(again) == str(again) == repr(plan)
    with pytest.raises(AttributeError):
        plan.calls = ()


def test_help_describes_every_argument():
    text = inspect.getdoc(ipyimagegen.imagine)
    *names, _unknown = inspect.signature(ipyimagegen.imagine).parameters
    assert not [name for name in names if not re.search(rf"\b{name}\b", text)]


def test_a_terminal_names_files_and_prints_no_empty_value(home):
    typed = (
        "%load_ext ipyimagegen\n%imagine --size 128x128 a fox\nx = %imagine --size 128x128 a fox\nx\nx[0]\n"
        "%imagine --size 128x128 --seed 1,2 a cat\n%imagine_history\n%imagine_compare 1 2\n"
        "%imagine --sise 3 a\n"
    )
    arguments = ("-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "--no-confirm-exit")
    done = subprocess.run(
        [sys.executable, *arguments],
        input=typed,
        env={**os.environ, "IPYTHONDIR": str(home.parent / "ipython")},
        capture_output=True,
        text=True,
        check=True,
    )
    shown = re.split(r"In \[\d+\]: ", done.stdout)
    magic, bound, value, image, sweep, table, compared, error = [text.strip() for text in shown[2:10]]
    fox = "Generation: 'a fox' · sketch · 128x128"
    assert magic.startswith(str(home))
    assert magic.endswith(f"Out[2]: {fox}")
    assert "Out" not in bound
    assert value.startswith("Out[4]: \n" + str(home))
    assert value.endswith("from history")
    assert image == f"Out[5]: Image: 'a fox' · 128x128 · {magic.splitlines()[0]}"
    assert sweep.endswith("Out[6]: Sweep: 'a cat' · 2 seed")
    assert table.startswith("number ")
    assert compared.startswith("prompt, against 1:")
    assert len(error.splitlines()) == 1


def test_what_marimo_asks_for_holds_images_and_caption():
    fox = ipyimagegen.imagine("a <b>fox</b> & \u202eco", size="128x96")
    sweep = ipyimagegen.imagine(["a fox", "a cat"], size="128x96")
    for result, count in ((fox, 1), (sweep, 1), (ipyimagegen.history.compare(1, 2), 1)):
        mime, page = result._mime_()
        assert mime == "text/html"
        assert page.count("<img ") == count
        assert page.count("<pre") == 1
        assert not set(re.findall(r"<\s*(\w+)", page)) - {"img", "pre"}
        assert "\u202e" not in page
        (data,) = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
        assert Image.open(io.BytesIO(base64.b64decode(data))).width >= 128
    assert html.escape(fox.caption.splitlines()[1]) in fox._mime_()[1]
