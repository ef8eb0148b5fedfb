"""The panel's form: the cell that it copies asks exactly the same."""

import json

from hypothesis import given
from hypothesis import strategies as st
from test_property_lines import prompts

from ipyimagegen.errors import InvalidInput, InvalidOption
from ipyimagegen.notebook.form import Form
from ipyimagegen.notebook.line import read
from ipyimagegen.options import OPTIONS, Kind, normalise

TEXT = st.text(st.sampled_from("ab {}|'\"\\-—=,.@狐%$#?~\t\n\x85\u2028"), min_size=1, max_size=12)
NUMBERS = {Kind.INTEGER: st.integers(1, 3).map(str), Kind.NUMBER: st.sampled_from(["1", "2.5"])}
FIELDS = [name for name, one in OPTIONS.items() if one.kind is not Kind.INPUT and name != "raw"]


def texts(name):
    option = OPTIONS[name]
    if option.choices:
        return st.sampled_from(option.choices)
    if option.kind is Kind.FLAG:
        return st.sampled_from(["true", "false"])
    return NUMBERS.get(option.kind, TEXT)


filled = st.lists(st.sampled_from(FIELDS), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: texts(name) for name in names})
)
values = st.recursive(
    TEXT | st.integers() | st.booleans() | st.none(),
    lambda one: st.lists(one, max_size=2) | st.dictionaries(TEXT, one, max_size=2),
    max_leaves=4,
)
words = st.lists(st.sampled_from(["@3.1", "@1120-k7f2/3.2", "a file.png", "it's.png", "data:,x"]), max_size=2)


@given(prompts, filled, st.dictionaries(st.sampled_from(["a", "key", "extra.b"]), values, max_size=2), words)
def test_the_cell_of_a_form_asks_the_same(prompt, options, extra, images):
    other = "\n".join(f"{key}={json.dumps(value)}" for key, value in extra.items())
    form = Form(prompt=prompt, options=options, other=other)
    try:
        asked, cell = form.typed({}), form.cell({"image": images})
    except InvalidInput:
        assert not prompt.strip()
        return
    except InvalidOption as fault:
        assert "cannot be written" in fault.args[0] or not all(map(passes, options.items())), fault  # noqa: PT017
        return
    line, _, body = cell.removeprefix("%%imagine").partition("\n")
    found = read(line, {"fox": "filled in", "a": "filled in", "b": "filled in"})
    assert found.rest == ""
    raw = found.values.get("raw", False)
    assert {k: v for k, v in found.values.items() if k != "raw"} == asked.options
    assert found.extra == asked.extra == extra
    assert list(found.pictures.get("image", ())) == images
    assert raw or not set("{}") & set(prompt)
    assert body.strip() == prompt.strip()


def passes(pair):
    try:
        normalise(*pair)
    except InvalidOption:
        return False
    return True
