"""The panel's form: the cell that it copies asks exactly the same."""

import json

from hypothesis import given
from hypothesis import strategies as st
from test_property_lines import prompts

from ipyimagegen.core.errors import InvalidInput, InvalidOption
from ipyimagegen.core.options import OPTIONS, SENT, Kind, normalise
from ipyimagegen.core.request import PreparedRequest, Request
from ipyimagegen.core.run import Run
from ipyimagegen.notebook.panel.form import Form
from ipyimagegen.notebook.parser import parse_line

TEXT = st.text(st.sampled_from("ab {}|'\"\\-—=,.@狐%$#?~\t\n\x85\u2028３＝“”、"), min_size=1, max_size=12)
NUMBERS = {Kind.INTEGER: st.integers(1, 3).map(str), Kind.NUMBER: st.sampled_from(["1", "2.5"])}
FIELDS = [
    name for name, option in OPTIONS.items() if option.kind not in (Kind.INPUT, Kind.OBJECT) and name != "raw"
]


ENDPOINTS = st.sampled_from(["lab", "a,b", "http://127.0.0.1:1/it's,/v1"])
LISTS = [name for name in FIELDS if OPTIONS[name].lists]
RANGES = st.tuples(st.integers(1, 3), st.integers(1, 3)).map("{0[0]}..{0[1]}".format)


def texts(name):
    """Return what is typed into a field: one value, or a list in a field that takes one."""
    if name not in LISTS:
        return single(name)
    element = single(name) | (RANGES if OPTIONS[name].kind in NUMBERS else single(name).map("'{}'".format))
    return single(name) | st.lists(element, min_size=2, max_size=4).flatmap(
        lambda some: st.sampled_from([",", ", ", "，"]).map(lambda comma: comma.join(some))
    )


def single(name):
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
    lambda value: st.lists(value, max_size=2) | st.dictionaries(TEXT, value, max_size=2),
    max_leaves=4,
)
words = st.lists(st.sampled_from(["@3.1", "@1120-k7f2/3.2", "a file.png", "it's.png", "data:,x"]), max_size=2)


def one_value(name):
    """Return an option and one of its values, as it is kept."""

    def kept(text):
        try:
            return name, normalise(name, text)
        except InvalidOption:
            return None

    return single(name).map(kept).filter(bool)


@given(prompts, filled, st.dictionaries(st.sampled_from(["a", "key", "extra.b"]), values, max_size=2), words)
def test_the_cell_of_a_form_asks_the_same(prompt, options, extra, images):
    other = "\n".join(f"{key}={json.dumps(value)}" for key, value in extra.items())
    form = Form(prompt=prompt, options=options, other=other)
    try:
        asked, cell = form.to_user_input({}), form.to_cell({"image": images})
    except InvalidInput:
        assert not prompt.strip()
        return
    except InvalidOption as fault:
        assert "value" in fault.args[0].values or not all(map(passes, options.items())), fault  # noqa: PT017
        return
    line, _, body = cell.removeprefix("%%imagine").partition("\n")
    parsed = parse_line(line, {"fox": "filled in", "a": "filled in", "b": "filled in"})
    assert parsed.rest == ""
    raw = parsed.values.get("raw", False)
    assert {k: v for k, v in parsed.values.items() if k != "raw"} == asked.options
    assert parsed.extra == asked.extra == extra
    assert list(parsed.images.get("image", ())) == images
    assert raw or not set("{}") & set(prompt)
    assert body.strip() == prompt.strip()


def passes(pair):
    """Say whether a field alone is taken."""
    try:
        Form(prompt="a", options=dict([pair])).to_user_input({})
    except InvalidOption:
        return False
    return True


@given(st.sampled_from(LISTS).flatmap(lambda name: st.tuples(st.just(name), texts(name))))
def test_a_field_is_read_as_the_line_reads_it(field):
    """Behind "=" a line takes everything up to a blank; names in braces are for cells alone."""
    name, text = field
    text = "".join(c for c in text if not c.isspace() and c not in "{}")
    if not text:
        return
    try:
        meant = parse_line(f"{OPTIONS[name].flag}={text}", {}).values[name]
    except InvalidOption:
        assert not passes((name, text))
        return
    assert Form(prompt="a", options={name: text}).to_user_input({}).options == {name: meant}


@given(st.sampled_from([name for name in LISTS if name in SENT]).flatmap(one_value), ENDPOINTS)
def test_a_run_that_is_brought_back_is_one_run(value, endpoint):
    name, value = value
    model = {"model": value} if name == "model" else {}
    options = {} if model else {name: value}
    request = Request(endpoint="lab", base_url="https://x/v1", prompt="a", options=options, **model)
    run = Run(session="s", number=1, identity="", request=request, sent=PreparedRequest(), created=0)
    form = Form.from_run(run, endpoint, ["quality"])
    asked = {"quality": "default", name: value, "endpoint": endpoint}
    assert form.to_user_input({}).options == asked
    assert parse_line(form.to_cell({}).partition("\n")[0].removeprefix("%%imagine"), {}).values == asked
