"""What an error states besides its words: its data, and the values that its message names."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pytest

from ipyimagegen.core.errors import ImagineError
from ipyimagegen.core.messages import PYTHON, Message, OptionName, Remedy, RunLink, Setting


def values_of(stated):
    """Return the values that an error or a message names, as texts in their order; its words are left out."""
    match stated:
        case BaseException():
            return values_of(stated.args[0])
        case Message():
            return [text for value in stated.values.values() for text in _read(value)]
    return []


def _read(value):
    match value:
        case Message():
            return values_of(value)
        case OptionName() | Setting():
            return [value.name, *([] if value.value is None else _read(value.value))]
        case RunLink():
            return [value.id]
        case list() | tuple():
            return [text for item in value for text in _read(item)]
        case Mapping():
            return [text for item in value.items() for text in _read(item)]
    return [str(value)]


def assert_names(stated, *values):
    """Assert that an error or a message names all of these values."""
    named = values_of(stated)
    assert not [value for value in values if str(value) not in named and repr(value) not in named], named


@contextlib.contextmanager
def raising(kind, *values, **data):
    """Expect an error of that kind with this data, whose message names these values."""
    with pytest.raises(kind) as caught:
        yield caught
    assert {name: getattr(caught.value, name) for name in data} == data
    assert_names(caught.value, *values)


def write_bill(*, billed):
    """Return the sentence on the bill that stands before a remedy, as every front door words it."""
    text = str(ImagineError("", billed=billed, remedy=Remedy.RETRY))
    return text.strip().removesuffix(PYTHON.remedies[Remedy.RETRY])


UNBILLED = write_bill(billed=False)
