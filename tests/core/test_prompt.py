"""Templates: what is a name, what is a choice, and what stays as typed."""

import datetime as dt

import pytest

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.template import Alternatives, Literal, fill, parse
from ipyimagegen.notebook.messages import CELL

NAMES = {
    "animal": "fox",
    "k": "b",
    "n": 3,
    "x": 2.34567,
    "table": {"a b": 1, "b": 2, 3: "three"},
    "rows": ["first", "last"],
    "day": dt.date(2026, 11, 20),
    "braces": "{animal}",
    "名": "狐狸",
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
]


@pytest.mark.parametrize(("template", "text"), FILLED)
def test_filled(template, text):
    assert fill(parse(template), NAMES) == text


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("a {animl}", "there is no variable 'animl'. Did you mean animal?"),
        ("a {animl}", "write {{animl}} or use --raw"),
        ("{animal.colour}", "has no .colour"),
        ("{rows[7]}", "has no [7]"),
        ("{table[nokey]}", "there is no variable 'nokey'; the text is written ['nokey']"),
        ("{animal:d}", "cannot be written as text"),
        ("{animal:d}", "write {{animal:d}} or use --raw"),
        ("{x:{m}.1f}", "there is no variable 'm'."),
        ("{x:{m}.1f}", "write {{x:{{m}}.1f}} or use --raw"),
        ("{day.yeer}", "{day.yeer}: day has no .yeer (AttributeError). Did you mean year?"),
        ("{table['a c']}", "Did you mean a b?"),
    ],
)
def test_refused(template, says):
    with pytest.raises(InvalidInput) as caught:
        fill(parse(template), NAMES)
    caught.value.front = CELL
    assert says in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("template", "choices"),
    [
        ("a {red|blue} fox", ("red", "blue")),
        ("a {红｜蓝} fox", ("红", "蓝")),
        ("{a|b|}", ("a", "b", "")),
    ],
)
def test_alternatives(template, choices):
    (group,) = [part for part in parse(template) if isinstance(part, Alternatives)]
    assert group.choices == choices


@pytest.mark.parametrize("template", ["{a: 1 | b}", "{'a'|b}", "{x = a | b}", "{a\n|b}", "|x|", "{a[0]|b}"])
def test_no_alternatives(template):
    assert parse(template) == (Literal(template),)
