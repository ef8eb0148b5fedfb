"""Ids of runs and images in every form."""

import pytest

from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.run import Ref, parse_id, parse_ids


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("3", Ref(3)),
        ("-1", Ref(-1)),
        ("@3.2", Ref(3, 2)),
        ("３", Ref(3)),
        ("1120-k7f2/3", Ref(3, None, "1120-k7f2")),
        ("1120-k7f2/3.2", Ref(3, 2, "1120-k7f2")),
    ],
)
def test_ids(text, ref):
    assert parse_id(text) == ref


@pytest.mark.parametrize("text", ["", "fox", "0", "3.0", "1120/3", "3.2.1", "../3", "1-2"])
def test_invalid_ids(text):
    with pytest.raises(InvalidInput):
        parse_id(text)


@pytest.mark.parametrize(
    ("text", "refs"),
    [
        ("3", [Ref(3)]),
        ("3, -1 3.2", [Ref(3), Ref(-1), Ref(3, 2)]),
        ("２－５，７", [Ref(2, last=5), Ref(7)]),
        ("5-2", [Ref(2, last=5)]),
        ("2..5 2–5", [Ref(2, last=5), Ref(2, last=5)]),
        ("@1120-k7f2/2-5", [Ref(2, session="1120-k7f2", last=5)]),
        ("", []),
    ],
)
def test_several_ids(text, refs):
    assert list(parse_ids(text)) == refs
    assert list(parse_ids(" ".join(map(str, refs)))) == refs


@pytest.mark.parametrize("text", ["fox", "1-2-3", "3 0", "1120/2-5", "2-", "1.2-3"])
def test_invalid_among_several(text):
    with pytest.raises(InvalidInput):
        parse_ids(text)
