"""Where the store lives, in every spelling of a path that settings and container files hold."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ipyimagegen.core.errors import InvalidOption
from ipyimagegen.session.studio import Studio
from ipyimagegen.store import location

CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()
results = []
for cell in json.load(sys.stdin):
    with capture_output() as captured:
        done = shell.run_cell(cell)
    error = done.error_before_exec or done.error_in_exec
    shown = " ".join(output.data.get("text/plain", "") for output in captured.outputs)
    results.append([type(error).__name__ if error else "", f"{captured.stdout}{shown}{error or ''}"])
print(json.dumps(results))
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A user whose home is not the current folder."""
    (tmp_path / "user").mkdir()
    (tmp_path / "notebooks").mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path / "user"


def run_cells(*cells, **environ):
    """Run cells in an IPython of their own; return what each printed, with the name of its error."""
    done = subprocess.run(
        [sys.executable, "-c", CELLS],
        input=json.dumps(cells),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=environ,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "value",
    [
        "{}/pics", " {}/pics ", "\t{}/pics\n", '"{}/pics"', "'{}/pics'", '" {}/pics "', "“{}/pics”",
        "\u3000{}/pics", "$HOME/pics", "${{HOME}}/pics", '"$HOME/pics"', " ${{HOME}}/pics", "~/pics",
        "'~/pics'", "$LAB_FOLDER/pics",
        "{}/x/../pics", "{}/pics/",
    ],
)  # fmt: skip
def test_a_home_in_every_spelling(user, value):
    environ = {"IPYIMAGEGEN_HOME": value.format(user), "HOME": str(user), "LAB_FOLDER": str(user)}
    assert Studio(environ=environ).home == user / "pics"


def test_a_home_of_another_user(user, monkeypatch):
    pytest.importorskip("pwd")
    assert (
        location.find_folder(None, {"IPYIMAGEGEN_HOME": "~root/pics"})
        == (Path("~root").expanduser() / "pics").resolve()
    )


def test_percent_signs_name_variables_on_windows_alone(user):
    environ = {"IPYIMAGEGEN_HOME": f"{user}/%PICS%", "PICS": "pics"}
    assert location.find_folder(None, environ, windows=True) == user / "pics"
    assert location.find_folder(None, environ, windows=False) == user / "%PICS%"


@pytest.mark.parametrize("value", ["", " ", '""', "' '", "\t\n"])
def test_nothing_but_blanks_and_quotes_is_no_home(user, value):
    assert location.find_folder(None, {"IPYIMAGEGEN_HOME": value}) is None


@pytest.mark.parametrize(
    "value", ["store", "./store", "../store", '"store"', "data/store", ".", "$PART/store"]
)
def test_a_relative_home_is_refused_with_the_absolute_one(user, value):
    studio = Studio(environ={"IPYIMAGEGEN_HOME": value, "PART": "part"})
    absolute = Path(value.strip('"').replace("$PART", "part")).resolve()
    for _ in range(2):
        with pytest.raises(InvalidOption, match=f"(?s)IPYIMAGEGEN_HOME.* {re.escape(str(absolute))} "):
            studio.imagine("a fox", endpoint="sketch")
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [
        "$NOBODY/pics",
        "${NOBODY}/pics",
        "/x/$NOBODY",
        "$EMPTY/pics",
        "${HOME:-/x}/pics",
        "$(pwd)/pics",
        "~nobody-here/x",
    ],
)
def test_a_variable_that_is_not_set_is_refused(user, value):
    studio = Studio(environ={"IPYIMAGEGEN_HOME": value, "EMPTY": "", "HOME": str(user)})
    with pytest.raises(InvalidOption, match="IPYIMAGEGEN_HOME"):
        studio.imagine("a fox", endpoint="sketch")
    assert list(Path.cwd().iterdir()) == list(user.iterdir()) == []


def test_a_loop_of_links_is_refused(user):
    (user / "a").symlink_to(user / "b")
    (user / "b").symlink_to(user / "a")
    studio = Studio(environ={"IPYIMAGEGEN_HOME": str(user / "a" / "pics")})
    try:
        home = studio.home  # newer Pythons resolve a loop to itself
    except InvalidOption:
        return
    assert home.is_absolute()


def test_the_home_does_not_move_with_the_folder_or_a_link(user, monkeypatch):
    first, second = user / "first", user / "second"
    first.mkdir()
    second.mkdir()
    (user / "link").symlink_to(first)
    named = (
        Studio(home="store"),
        Studio(home=Path("store")),
        Studio(environ={"IPYIMAGEGEN_HOME": f"{user}/link/x"}),
    )
    here = Path.cwd()
    monkeypatch.chdir(user)
    (user / "link").unlink()
    (user / "link").symlink_to(second)
    assert [studio.home for studio in named] == [here / "store", here / "store", first / "x"]


def test_loading_and_what_needs_no_store_work_with_a_bad_home(user):
    environ = {**os.environ, "IPYIMAGEGEN_HOME": "store", "IPYTHONDIR": str(user / "ipython")}
    harmless = ["%imagine --help", "%imagine_endpoints", "%imagine_doctor"]
    needing = ["%imagine --endpoint sketch a fox", "%imagine_history", "%imagine_show 1", "%imagine_cost"]
    results = run_cells("%load_ext ipyimagegen", *harmless, "%cd ..", *needing, **environ)
    assert [name for name, _ in results[: len(harmless) + 2]] == [""] * (len(harmless) + 2)
    assert "IPYIMAGEGEN_HOME" in results[3][1]
    for name, text in results[len(harmless) + 2 :]:
        assert name in ("InvalidOption", "")
        assert "IPYIMAGEGEN_HOME" in text or not name
    assert results[len(harmless) + 2][0] == "InvalidOption"
    assert not list(user.parent.rglob("store"))
