"""Templates: what is a name, what is a choice, and what stays as typed."""

import datetime as dt

import pytest

from ipyimagegen.core.template import Alternatives, fill, parse

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
    assert not [part for part in parse(template) if isinstance(part, Alternatives)]
    assert fill(parse(template), {}) == template
