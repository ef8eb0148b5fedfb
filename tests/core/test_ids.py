"""Ids of runs and images in every form."""

import pytest

from ipyimagegen.core import ids
from ipyimagegen.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("3", ids.Ref(3)),
        ("-1", ids.Ref(-1)),
        ("@3.2", ids.Ref(3, 2)),
        ("３", ids.Ref(3)),
        ("1120-k7f2/3", ids.Ref(3, None, "1120-k7f2")),
        ("1120-k7f2/3.2", ids.Ref(3, 2, "1120-k7f2")),
    ],
)
def test_ids(text, ref):
    assert ids.parse_id(text) == ref


@pytest.mark.parametrize("text", ["", "fox", "0", "3.0", "1120/3", "3.2.1", "../3", "1-2"])
def test_invalid_ids(text):
    with pytest.raises(InvalidInput):
        ids.parse_id(text)
