"""The history in cells and in Python: ids, tables, filters, spending, and what is forgotten."""

import datetime as dt
import re
import sys
import time
from html.parser import HTMLParser

import pytest
from raising import raising
from studios import make_studio

from ipyimagegen.core.errors import InvalidInput, InvalidOption, NotInHistory
from ipyimagegen.core.request import Request
from ipyimagegen.core.run import Cost, Run, Status
from ipyimagegen.notebook.reports import report_cost
from ipyimagegen.session.history import COLUMNS, read_date
from ipyimagegen.store import Query

HEADER = [
    "number",
    "id",
    "date and time",
    "endpoint",
    "model",
    "size",
    "n",
    "seed",
    "status",
    "cost",
    "prompt",
]
NFC, NFD = "caf\u00e9", "cafe\u0301"


class Cells(HTMLParser):
    """The cells of an HTML table, and every tag and attribute in it."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.tags, self.attributes = [], set(), set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data.strip()


def list_rows(cell):
    """Return the rows of the table that a cell shows last, each a mapping."""
    parsed = Cells(cell.outputs[-1]["data"]["text/html"])
    header, *rows = parsed.rows
    return [dict(zip(header, row, strict=True)) for row in rows]


def list_numbers(cell):
    assert cell.error is None, cell.error
    return [int(row["number"]) for row in list_rows(cell)]


def make_run(number, prompt="a red fox", session="1120-k7f2", *, endpoint="openai", model="m", **changes):
    request = Request(endpoint=endpoint, base_url="https://api.example/v1", model=model, prompt=prompt)
    values = {"created": 1000.0 + number, "status": Status.DONE, **changes}
    return Run(session=session, number=number, identity=request.identity, request=request, **values)


@pytest.fixture
def drawn(kernel):
    """A kernel with six runs: a fox, two foxes, an owl in four variants."""
    done = kernel.run(
        "%config Imagine.endpoint = 'sketch'\n%config Imagine.size = '64x64'\n"
        "from ipyimagegen import history, default_studio\n"
        "fox = %imagine --seed 7 a red fox\n"
        "foxes = %imagine -n 2 two blue foxes\n"
        "owls = %imagine --seed 1..4 an owl\n"
        "session, two, both = fox.run.session, 2, [fox, foxes]"
    )
    assert done.error is None, done.error
    return kernel


IDS = {
    "2": [2],
    "1-3": [1, 2, 3],
    "3–1": [1, 2, 3],
    "1..2, 4": [1, 2, 4],
    "１，２": [1, 2],
    "1 1 1-2": [1, 2],
    "-1": [6],
    "2.2": [2],
    "fox": [1],
    "{fox}": [1],
    "foxes[1]": [2],
    "fox,foxes": [1, 2],
    "{fox}，{foxes[0]}": [1, 2],
    "both": [1, 2],
    "owls": [3, 4, 5, 6],
    "owls[0] 1": [3, 1],
    "two": [2],
    "{two}": [2],
    "{session}/{two}": [2],
    "{session}/2-4": [2, 3, 4],
    "history[-1]": [6],
}


@pytest.mark.parametrize("ids", IDS)
def test_every_form_of_an_id(drawn, ids):
    assert list_numbers(drawn.run(f"%imagine_history {ids}")) == IDS[ids]


ONE = ["fox", "{fox}", "foxes[0]", "1", "{session}/1", "both[0]"]


@pytest.mark.parametrize("id_", ONE)
def test_the_same_ids_for_every_magic(drawn, id_):
    for code in (
        f"%imagine_show {id_}",
        f"%imagine_rerun {id_} --seed 9 --dry-run",
        f"%imagine_compare {id_} 3",
        f"%imagine_compare {id_},owls[1]",
    ):
        cell = drawn.run(code)
        assert cell.error is None, (code, cell.error)
    assert drawn.run(f"%imagine_forget {id_}").error is None


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        ("1-7", "7"),
        ("9-12", "9"),
        ("{session}/2-9", "/9"),
        ("fxo", "'fxo'"),
        ("{fxo}", "fox"),
        ("two.real.imag.x", "x"),
        ("session", "'"),
        ("1-2-3", "'1-2-3'"),
    ],
)
def test_ids_that_name_nothing(drawn, ids, named):
    for magic in ("history", "compare", "forget"):
        assert named in drawn.run(f"%imagine_{magic} {ids}").error
    assert len(list_rows(drawn.run("%imagine_history"))) == 6


def test_a_number_of_another_session_names_its_runs(drawn):
    drawn.run("default_studio().start_session()")
    session = drawn.run("print(session, end='')").texts[0]
    for line in ("show 2", "rerun 2", "compare 2 1", "history 2", "history 2-3", "forget 2"):
        assert f"{session}/2" in drawn.run(f"%imagine_{line}").error, line
    listed = drawn.run("%imagine_history")
    assert "6" in listed.caption
    assert "--all" in listed.caption
    assert not listed.images
    assert [row["id"] for row in list_rows(drawn.run("%imagine_history --all"))][:2] == [
        f"{session}/1",
        f"{session}/2",
    ]


def test_columns_and_what_is_left_out(drawn):
    cell = drawn.run("%imagine_history -l 2")
    assert len(cell.images) == 1
    data = cell.outputs[-1]["data"]
    assert set(data) == {"text/plain", "text/html"}
    parsed = Cells(data["text/html"])
    assert parsed.rows[0] == HEADER
    assert re.split(r" {2,}", data["text/plain"].splitlines()[0]) == HEADER
    assert parsed.tags <= {"table", "thead", "tbody", "tr", "th", "td", "p", "code"}
    assert parsed.attributes <= {"style"}
    assert "color" not in data["text/html"]
    assert [row["seed"] for row in list_rows(cell)] == ["3", "4"]
    assert re.findall(r"\d+", data["text/plain"].splitlines()[-1])[0] == "4"
    assert list_numbers(drawn.run("%imagine_history --all --limit=2")) == [5, 6]
    assert list_numbers(drawn.run("%imagine_history")) == [1, 2, 3, 4, 5, 6]
    first = list_rows(drawn.run("%imagine_history 1"))[0]
    assert {name: first[name] for name in ("endpoint", "size", "n", "seed", "status", "prompt")} == {
        "endpoint": "sketch",
        "size": "64x64",
        "n": "1",
        "seed": "7",
        "status": "done",
        "prompt": "a red fox",
    }


FILTERS = {
    "--search FOX": [1, 2],
    "--search '{animal}'": [3, 4, 5, 6],
    "--search owl --since today": [3, 4, 5, 6],
    "--model SKETCH 1-2": [1, 2],
    "-m dall-e-3": [],
    "--endpoint Sketch --search fox": [1, 2],
    "--endpoint openai": [],
    "--since 2h -l 1": [6],
    "--since '1 day ago' --endpoint=sketch -l=2": [5, 6],
    "--search zebra": [],
}


@pytest.mark.parametrize("line", FILTERS)
def test_filters_here_and_everywhere(drawn, line):
    drawn.run("animal = 'owl'")
    for everywhere in ("", " --all"):
        if everywhere and "1-2" in line:
            continue
        cell = drawn.run(f"%imagine_history {line}{everywhere}")
        assert cell.error is None, cell.error
        html = cell.outputs[-1]["data"]["text/html"]
        assert (list_numbers(cell) if "<table" in html else []) == FILTERS[line]


@pytest.mark.parametrize("typed", [NFC, NFD, NFC.upper(), NFD.title()])
@pytest.mark.parametrize("everywhere", ["", "--all"])
def test_a_search_finds_both_forms_in_any_case(kernel, typed, everywhere):
    kernel.run("%config Imagine.endpoint = 'sketch'\n%config Imagine.size = '64x64'")
    kernel.run(f"%imagine a {NFC} in Paris\n%imagine a small {NFD} in Lyon\n%imagine a fox")
    assert list_numbers(kernel.run(f"%imagine_history {everywhere} --search {typed}")) == [1, 2]


def at(*moment):
    """Return a moment in local time, as people write it."""
    return dt.datetime(*moment)  # noqa: DTZ001


def now():
    return dt.datetime.now()  # noqa: DTZ005


DATES = {
    "2026-11-29": at(2026, 11, 29),
    "2026/11/29": at(2026, 11, 29),
    "2026年11月29日": at(2026, 11, 29),
    "２０２６-１１-２９": at(2026, 11, 29),
    "2026-11-29 14:30": at(2026, 11, 29, 14, 30),
    "2026-11-29T14:30": at(2026, 11, 29, 14, 30),
    "2026-11-29T14:30:05": at(2026, 11, 29, 14, 30, 5),
    "2026-2": at(2026, 2, 1),
    dt.date(2026, 11, 29): at(2026, 11, 29),
    at(2026, 11, 29, 8): at(2026, 11, 29, 8),
}


@pytest.mark.parametrize("typed", DATES)
def test_dates(typed):
    assert read_date(typed, "since") == DATES[typed].timestamp()


@pytest.mark.parametrize(
    ("typed", "days"), [("3d", 3), ("12h", 0.5), ("2 weeks", 14), ("1 day ago", 1), ("3天前", 3)]
)
def test_dates_that_count_back(typed, days):
    assert time.time() - read_date(typed, "since") == pytest.approx(days * 86400, abs=60)


def test_dates_of_this_year():
    midnight = at(*now().timetuple()[:3])
    assert read_date("today", "since") >= midnight.timestamp()
    assert 0 < now().timestamp() - read_date("today", "since") < 26 * 3600
    assert 0 < now().timestamp() - read_date("Yesterday", "since") < 50 * 3600
    for day in (now(), now() + dt.timedelta(days=2)):
        moment = dt.datetime.fromtimestamp(read_date(f"{day.month}-{day.day}", "since"))  # noqa: DTZ006
        assert (moment.month, moment.day) == (day.month, day.day)
        assert moment <= now()
    leap = dt.datetime.fromtimestamp(read_date("02-29", "since"))  # noqa: DTZ006
    assert (leap.month, leap.day) == (2, 29)


@pytest.mark.parametrize("typed", ["", "soon", "2026-13-01", "02-30", "3", "tomorrow", "99999-01-01"])
def test_what_is_no_date(typed):
    with raising(InvalidOption, "since", typed):
        read_date(typed, "since")


# The spending


def test_spending_by_month_and_endpoint(home):
    studio = make_studio(home)
    old, new = (at(2026, month, 15).timestamp() for month in (3, 4))
    costs = [
        (old, "openai", Cost(amount=0.04, currency="USD", basis="table")),
        (old, "openai", Cost(amount=0.05, currency="USD", basis="table")),
        (old, "ark", Cost(amount=2, currency="CNY", basis="server")),
        (new, "openai", Cost(amount=0.1, amount_max=0.2, currency="USD", basis="table")),
        (new, "openai", Cost()),
        (new, "sketch", Cost(amount=0.0, basis="free")),
    ]
    for number, (created, endpoint, cost) in enumerate(costs, 1):
        studio.store.create(make_run(number, endpoint=endpoint, created=created, cost=cost))
    studio.store.create(make_run(7, created=new, status=Status.REFUSED, cost=Cost()))
    studio.store.create(make_run(8, created=new, cost=Cost(), reused_from="1120-k7f2/1"))
    table = report_cost(studio.store.list_charges(Query()), monthly=True)
    assert [tuple(row) for row in table.rows[1:]] == [
        ("2026-03", "ark", "1", "0 of 1", "", "¥2.00", ""),
        ("2026-03", "openai", "2", "0 of 2", "", "$0.09", ""),
        ("2026-04", "openai", "3", "0 of 3", "1", "$0.10–0.20", "1 call"),
        ("2026-04", "sketch", "1", "0 of 1", "", "nothing", ""),
        ("total", "", "7", "0 of 7", "1", "¥2.00 + $0.19–0.29", "1 call"),
    ]


def test_spending_of_a_session(drawn):
    drawn.run("%imagine --seed 7 a red fox\n%imagine --seed 7 a red fox")
    (row,) = list_rows(drawn.run("%imagine_cost"))
    assert row["endpoint"] == "sketch"
    assert [row[name] for name in ("requests", "images", "reused")] == ["6", "7", "2"]
    drawn.run("default_studio().start_session()")
    (row,) = list_rows(drawn.run("%imagine_cost"))
    assert [row[name] for name in ("requests", "images", "reused")] == ["0", "0", ""]
    (row,) = list_rows(drawn.run("%imagine_cost --all"))
    assert re.fullmatch(r"20\d\d-\d\d", row["month"])
    assert [row[name] for name in ("requests", "images")] == ["6", "7"]


# Forgetting


def count_files(home):
    return len([path for path in (home / "images").rglob("*") if path.is_file()])


def test_several_runs_are_forgotten_only_when_confirmed(drawn, home):
    before = count_files(home)
    asked = drawn.run("%imagine_forget 2-4 foxes")
    assert asked.error is None
    assert {"3", "4"} <= set(re.findall(r"\d+", asked.caption))  # runs and images
    assert "--yes" in asked.caption
    assert count_files(home) == before
    assert drawn.run("%imagine_forget 2-4 foxes --yes").error is None
    assert count_files(home) == before - 4
    listed = list_rows(drawn.run("%imagine_history"))
    assert [row["number"] for row in listed if "owl" not in row["prompt"] and "fox" not in row["prompt"]] == [
        "2",
        "3",
        "4",
    ]
    assert drawn.run("%imagine_forget 2").error is None  # nothing is left to forget


def test_a_session_is_forgotten_but_not_what_others_use(drawn, home):
    drawn.run("default_studio().start_session()\nhat = %imagine --image {fox} give it a hat")
    drawn.run("%imagine --seed 7 a red fox")  # from the first session
    assert drawn.run("%imagine_forget --session {session} --yes").error is None
    assert drawn.run("print(fox[0].path.is_file(), foxes[0].path.is_file())").texts == ["True False\n"]
    assert drawn.run("%imagine_forget --session {hat.run.session} --yes").error is None
    assert count_files(home) == 0
    assert "fox" not in b"".join(path.read_bytes() for path in home.rglob("*.json")).decode()


def test_a_session_without_a_name_is_this_one(drawn, home):
    drawn.run("first = session\ndefault_studio().start_session()")
    assert drawn.run("%imagine_forget --session --yes").error is None
    drawn.run("%imagine --seed 9 a cat\n%imagine --seed 10 a cat")
    before = count_files(home)
    assert drawn.run("%imagine_forget --session").error is None
    assert count_files(home) == before
    assert drawn.run("%imagine_forget --yes --session").error is None
    assert count_files(home) == before - 2


def test_runs_from_before_a_date(home):
    studio = make_studio(home)
    for number, created in enumerate([1e9, 1.5e9, time.time()], 1):
        studio.store.create(make_run(number, created=created))
        studio.store.create(make_run(number, session="1121-aaaa", created=created))
    runs = studio.history.select(before="2020-01-01")
    assert sorted(run.id for run in runs) == ["1120-k7f2/1", "1120-k7f2/2", "1121-aaaa/1", "1121-aaaa/2"]
    assert [run.id for run in studio.history.select(session="1121-aaaa", before="2010-01-01")] == [
        "1121-aaaa/1"
    ]
    with raising(NotInHistory, "9999-zzzz"):
        studio.history.select(session="9999-zzzz")


@pytest.mark.parametrize(
    "line", ["", "--yes", "--session 1120-k7f2", "1 --before today", "--before soon", "--session a b"]
)
def test_what_cannot_be_forgotten(drawn, line):
    assert drawn.run(f"%imagine_forget {line}").error
    assert len(list_rows(drawn.run("%imagine_history --search o"))) == 6


# Python


def test_history_in_python(home):
    studio = make_studio(home)
    made = [studio.imagine(f"a fox {k}", endpoint="sketch", size="64x64", seed=k) for k in range(3)]
    history = studio.history
    assert (len(history), list(history), list(reversed(history))) == (3, made, made[::-1])
    assert (history[1], history[-1], history[made[1].id], history[-2:]) == (
        made[0],
        made[2],
        made[1],
        tuple(made[1:]),
    )
    assert history.index(made[1]) == 2
    assert made[1] in history
    assert "a fox 2" in repr(history)
    assert Cells(history._repr_html_()).rows[0] == HEADER
    other = make_studio(home)
    assert other.history.search("FOX 1") == (made[1],)
    assert other.history.search("fox", endpoint="openai") == ()
    assert other.history.search("fox", since="1h", limit=2) == (made[2], made[1])
    assert other.history.search("fox", since=dt.date(2999, 1, 1)) == ()
    assert len(other.history.to_dataframe()) == 0


def test_history_as_a_dataframe(home, monkeypatch):
    studio = make_studio(home)
    made = studio.imagine("a fox", endpoint="sketch", size="64x64", n=2, seed=7)
    studio.store.create(make_run(1, "an owl", cost=Cost(amount=0.04, currency="USD", basis="table")))
    frame = studio.history.to_dataframe()
    assert list(frame.columns) == list(COLUMNS)
    assert frame.loc[0, ["number", "id", "size", "n", "seed", "cost"]].tolist() == [
        1,
        made.id,
        "64x64",
        2,
        7,
        0,
    ]
    assert abs(frame.loc[0, "created"].to_pydatetime() - now()) < dt.timedelta(minutes=5)
    everything = studio.history.to_dataframe(all=True)
    assert everything["prompt"].tolist() == ["an owl", "a fox"]
    assert everything["cost"].tolist() == [0.04, 0]
    assert studio.history.to_dataframe(all=True, search="OWL")["currency"].tolist() == ["USD"]
    assert studio.history.rows[0]["prompt"] == "a fox"
    monkeypatch.setitem(sys.modules, "pandas", None)
    with raising(InvalidInput, "history.rows"):
        studio.history.to_dataframe()


def test_the_table_of_a_sweep(home):
    sweep = make_studio(home).imagine(
        "a fox", endpoint="sketch", size="64x64", seed=[1, 2], quality=["low", "high"]
    )
    header, *rows = Cells(sweep.table._repr_html_()).rows
    assert {"seed", "quality", "size", "id"} <= set(header)
    assert [row[header.index("id")] for row in rows] == [made.id for made in sweep]
    assert all(made.id in repr(sweep.table) for made in sweep)
