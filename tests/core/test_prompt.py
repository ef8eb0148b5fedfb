"""Templates: what is a name, what is a choice, what is an error, and what stays as typed."""

import datetime as dt
import decimal
import enum
import functools
import math
import pathlib
import types

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from raising import raising

from ipyimagegen.core.errors import CallError, InvalidInput
from ipyimagegen.core.template import Alternatives, fill, parse

TABLE = pd.DataFrame({"col": ["fox", "cat"], "x": [1, 2], "name": ["Ada", "Bo"]}, index=[3, 4])


class Plain:
    """A value without a text of its own."""


class Texted:
    """A value with a text of its own, and attributes."""

    items = (types.SimpleNamespace(name="inner"),)

    def __str__(self):
        return "texted"


class Colour(enum.Enum):
    RED = 1


NAMES = {
    "animal": "fox",
    "k": "b",
    "k2": "name",
    "n": 3,
    "x": 2.34567,
    "table": {"a b": 1, "b": 2, 3: "three"},
    "rows": ["first", "last"],
    "day": dt.date(2026, 11, 20),
    "braces": "{animal}",
    "名": "狐狸",
    "df": TABLE,
    "row": TABLE.iloc[0],
    "d": {"a": {"b": "deep"}, "it's": "its", (1, "b"): "pair", 1.5: "half", -1: "minus", None: "none"},
    "obj": Texted(),
    "i": 1,
    "w": 6,
    "name": "Ada",
    "plain": Plain(),
    "हिन्दी": "लोमड़ी",
    "ชื่อ": "จิ้งจอก",
    "اسم": "ثعلب",
    "été": "renard",
}

FILLED = [
    ("a {animal}", "a fox"),
    ("{table['a b']} {table[\"b\"]} {table[k]} {table[n]}", "1 2 2 three"),
    ("{rows[0]} {rows[-1]}", "first last"),
    ("{x:.2f} {n:03d} {animal!r} {animal:>5}|", "2.35 003 'fox'   fox|"),
    ("{x:.{n}f} {x:{n}.{table['b']}}| {n:0{table[k]}d}", "2.346 2.3| 03"),
    ("{sky: {animal}} {x: red {animal}}", "{sky: fox} {x: red fox}"),
    ("{day.year} {day:%d %b}", "2026 20 Nov"),
    ("{名}", "狐狸"),
    ("{braces}", "{animal}"),  # a value is never expanded again
    ("{{animal}} }} {{", "{animal} } {"),
    ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
    ('{{"a": {"b": {animal}}}}', '{"a": {"b": fox}}'),
    ("{} { } {a b} {1} {+}", "{} { } {a b} {1} {+}"),
    ("p {color: red} {if} {None} {class}", "p {color: red} {if} {None} {class}"),
    (r"\frac{animal}{n} x^{n} y_{n} \sqrt{animal}", r"\frac{animal}{n} x^{n} y_{n} \sqrt{animal}"),
    ("100% {% for %}", "100% {% for %}"),
    ("open { and close }", "open { and close }"),
    ("{df['col'][3]} {df.col[3]} {df.iloc[0]['x']} {df.iloc[0, 1]} {df.iloc[-1, -2]}", "fox fox 1 1 2"),
    ("{df.loc[3, 'name']} {df.loc[n, k2]} {row.col} {row['name']}", "Ada Ada fox Ada"),
    (
        '{d["a"]["b"]} {d["it\'s"]} {d[1, "b"]} {d[(i, k)]} {d[1.5]} {d[-1]} {d[None]}',
        "deep its pair pair half minus none",
    ),
    ("{obj.items[0].name} {rows[i]}", "inner last"),
    ("{name!r:>7} {x!s:.4} {x:{w}.1f} {x:>{w}} {x :.1f}", "  'Ada' 2.34    2.3 2.34567 2.3"),
    ("{day:%Y-%m-%d} {day!s} {day:%H:%M}", "2026-11-20 2026-11-20 00:00"),
    ("{हिन्दी} {ชื่อ} {اسم} {été} {e\u0301te\u0301} {ｎａｍｅ}", "लोमड़ी จิ้งจอก ثعلب renard renard Ada"),
    ("｛名｝ ｛name｝ ｛d['a']['b']｝ ｛x:.1f｝", "狐狸 Ada deep 2.3"),
    (
        "｛没有｝ ｛name.upper()｝ ｛红｜蓝｝ ｛｛name｝｝ ｛name} {name｝",
        "｛没有｝ ｛name.upper()｝ ｛红｜蓝｝ ｛｛name｝｝ ｛name} {name｝",
    ),
    ("{ name } { nobody } {d[“a”][‘b’]}", "Ada { nobody } deep"),
    (r"\{name\} \{x+1\} a^{x+1} b_{name.upper()} \frac{x+1}{name.upper()}",) * 2,
    ("{a+b} {f(x)} {red, blue} {print('a')} {1+n} {-n} {a: b} {a:bc} {foo:bar} {it's} {x #3}",) * 2,
    ('f = {"n": n, "x": [1]}; function g() { return n; }',) * 2,
]
EXPRESSIONS = [
    "{x+1}",
    "{name.upper()}",
    "{rows[i+1]}",
    "{rows[0:1]}",
    "{rows[table['b']]}",
    "{d.get('a')}",
    "{x if x else n}",
    "{x, n}",
    "{x=}",
    "{x != 1}",
    "{n|x[0]}",
    "{len(rows)}",
    "{round(x, 1):.1f}",
    "{', '.join(rows)}",
    "{name.upper()!r}",
]


class Unreadable:
    """What raises whatever it is asked for."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __dir__(self):
        raise RuntimeError

    def __str__(self):
        raise RuntimeError


NOT_TEXTS = {
    "a module": math,
    "a class": Plain,
    "a function": len,
    "a lambda": lambda: 1,
    "a method": "fox".upper,
    "a function of NumPy": np.sin,
    "a partial function": functools.partial(len),
    "an array": np.arange(3),
    "a table": TABLE,
    "a series": TABLE["x"],
    "an index": TABLE.index,
    "a figure": Figure(),
    "axes": Figure().subplots(),
    "an object": Plain(),
    "a generator": (i for i in ()),
    "bytes": b"fox",
    "a list of objects": ["fox", Plain()],
    "a list of arrays": [np.arange(2)],
    "a table in a dictionary": {"a": [TABLE]},
    "nothing": None,
    "an object whose shape and texts raise": Unreadable(),
}
TEXTS = [
    (7, "7"),
    (0.5, "0.5"),
    (True, "True"),
    (np.float64(0.1), "0.1"),
    (np.int64(3), "3"),
    (np.bool_(True), "True"),
    (np.str_("fox"), "fox"),
    (np.datetime64("2026-11-20"), "2026-11-20"),
    (np.array(3), "3"),
    (pd.Timestamp("2026-11-20"), "2026-11-20 00:00:00"),
    (decimal.Decimal("1.50"), "1.50"),
    (pathlib.PurePosixPath("a/b"), "a/b"),
    (Colour.RED, "Colour.RED"),
    (Texted(), "texted"),
    (["a", 1], "['a', 1]"),
    ("at 0x7f00>", "at 0x7f00>"),
]


@pytest.mark.parametrize(("template", "text"), FILLED)
def test_filled(template, text):
    assert fill(parse(template), NAMES) == text


@pytest.mark.parametrize("template", EXPRESSIONS)
def test_an_expression_is_refused(template):
    with raising(InvalidInput, "raw"):
        fill(parse(f"a {template} fox"), NAMES)


@pytest.mark.parametrize("kind", NOT_TEXTS)
@pytest.mark.parametrize("template", ["{thing}", "{thing!r}", "{box.thing}", "{box['thing']!s:>9}"])
def test_a_value_that_is_no_text_is_refused(kind, template):
    class Box(dict):
        __getattr__ = dict.__getitem__

    names = {"thing": NOT_TEXTS[kind], "box": Box(thing=NOT_TEXTS[kind])}
    with raising(InvalidInput, template):
        fill(parse(template), names)


def test_an_attribute_that_fails_with_an_error_of_ours_raises_that():
    class Failed:
        prompt = property(lambda self: result())

    def result():
        raise CallError("The server is down.")

    with raising(CallError):
        fill(parse("{failed.prompt}"), {"failed": Failed()})


@pytest.mark.parametrize("template", ["{broken.size}", "{broken.names.x}", "{broken['x']}"])
def test_an_object_that_raises_whatever_it_is_asked_for_is_refused(template):
    with raising(InvalidInput, template):
        fill(parse(template), {"broken": Unreadable()})


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_a_value_with_a_text_is_filled_in(value, text):
    assert fill(parse("{value}"), {"value": value}) == text


@pytest.mark.parametrize("template", ["{nme}", "{nme.x}", "{nme[0]}", "{nme:>5}", "{naｍ}", "{หา}"])
def test_a_name_that_does_not_exist_is_refused(template):
    with raising(InvalidInput, template.replace("{", "{{").replace("}", "}}"), "raw"):
        fill(parse(template), NAMES)


@pytest.mark.parametrize(
    ("template", "choices"),
    [
        ("a {red|blue} fox", ("red", "blue")),
        ("a {红｜蓝} fox", ("红", "蓝")),
        ("{a|b|}", ("a", "b", "")),
        ("{|very }", ("", "very ")),
        ("{n|x}", ("n", "x")),
    ],
)
def test_alternatives(template, choices):
    (group,) = [part for part in parse(template) if isinstance(part, Alternatives)]
    assert group.choices == choices


@pytest.mark.parametrize("template", ["{a: 1 | b}", "{'a'|b}", "{x = a | b}", "{a\n|b}", "|x|", "{a[0]|b}"])
def test_no_alternatives(template):
    assert not [part for part in parse(template) if isinstance(part, Alternatives)]
    assert fill(parse(template), {}) == template
