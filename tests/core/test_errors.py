"""Errors carry data, are short, and hide nothing that they repeat."""

import pickle

from ipyimagegen.core import errors


def test_errors_are_short_picklable_and_of_the_promised_kinds():
    assert issubclass(errors.InvalidOption, ValueError)
    assert issubclass(errors.NotInHistory, LookupError)
    assert issubclass(errors.Detached, KeyboardInterrupt)
    lost = errors.OutcomeUnknown("It may be.", run="s/1", billed=None, status=502, code="x", request_id="r")
    again = pickle.loads(pickle.dumps(lost))
    assert (again.run, again.billed, again.status, again.code, again.request_id) == (
        "s/1",
        None,
        502,
        "x",
        "r",
    )
    assert str(errors.NotInHistory("no run")) == "no run"
    assert lost._render_traceback_() == ["It may be."]


def test_an_error_shows_what_it_repeats_and_no_control():
    shown = errors.InvalidOption("no \x1b[31m\u202e\x85\ud800 here\nwrite another")._render_traceback_()
    assert shown == [r"no \u001b[31m\u202e\u0085\ud800 here", "write another"]
