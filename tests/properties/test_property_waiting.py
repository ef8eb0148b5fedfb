"""Retry-After against dates and numbers that were written on purpose, and against any text."""

import email.utils
import math
import os
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ipyimagegen.client import Outcome, find_repeat_delay
from ipyimagegen.client.retry import parse_retry_after
from ipyimagegen.core.run import Status

NOW = 1_700_000_000  # seconds; a day of any year would do
ZONES = ("UTC", "Asia/Shanghai", "America/Los_Angeles")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pytest.fixture
def _own_zone(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    yield
    monkeypatch.undo()
    time.tzset()


def fixdate(at):
    return email.utils.formatdate(at, usegmt=True)


def rfc850(at):
    then = time.gmtime(at)
    return f"{DAYS[then.tm_wday]}, {time.strftime('%d-%b-%y %H:%M:%S GMT', then)}"


def asctime(at):
    return time.asctime(time.gmtime(at))


def offset(at):
    return email.utils.formatdate(at + 8 * 3600).replace("-0000", "+0800")


blanks = st.sampled_from(["", " ", "  "])
seconds = st.integers(1, 10**12) | st.integers(1, 90) | st.integers(1, 10**6).map(lambda n: n / 1000)
dates = st.tuples(st.sampled_from([fixdate, rfc850, asctime, offset]), st.integers(-(10**6), 10**8))
nothing = st.sampled_from(["", "0", "-3", "NaN", "-Infinity", "1e999", "soon", "Wed", "0.0"])


def value(spelled):
    """What a header says: number, or the date's distance from now; None for nothing."""
    if isinstance(spelled, tuple):
        return spelled[1] if spelled[1] > 0 else None
    return None if isinstance(spelled, str) else spelled


def text(spelled):
    return spelled[0](NOW + spelled[1]) if isinstance(spelled, tuple) else str(spelled)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it only puts back what was
@given(seconds | nothing | dates, seconds | nothing | st.none(), blanks, st.sampled_from(ZONES))
@example((asctime, 30), None, "", "Asia/Shanghai")
@pytest.mark.usefixtures("_own_zone")
def test_every_form_means_what_it_says_on_every_machine(plain, milliseconds, blank, zone):
    os.environ["TZ"] = zone
    time.tzset()
    headers = {"retry-after": f"{blank}{text(plain)}{blank}"}
    if milliseconds is not None:
        headers["retry-after-ms"] = f"{blank}{text(milliseconds)}"
    first = None if milliseconds is None else value(milliseconds)
    meant = value(plain) if first is None else first / 1000
    wait = parse_retry_after(headers, now=lambda: float(NOW))
    assert wait == meant or math.isclose(wait, meant)


noise = st.text(max_size=30) | st.floats().map(str) | st.integers().map(str) | st.datetimes().map(str)
mixed = st.lists(
    st.sampled_from(["Wed", ",", " 21 ", "Oct", "2015", "07:28:00", "GMT", "-", "٣", "１", "99999"])
)


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms"]), noise | mixed.map(" ".join) | seconds.map(str)
    ),
    st.integers(1, 4),
    st.floats(0, 1),
    st.floats(0, 1e6),
)
def test_no_header_makes_a_sleep_that_is_long_or_none_at_all(headers, attempt, random, elapsed):
    asked = parse_retry_after(headers, now=time.time)
    assert asked is None or 0 < asked < math.inf
    for status in Status:
        outcome = Outcome(status=status, retry_after=asked)
        wait = find_repeat_delay(outcome, attempt, random=lambda: random, elapsed=elapsed)
        if status not in (Status.RATE_LIMITED, Status.NOT_SENT) or attempt > 2:
            assert wait is None
        elif status is Status.RATE_LIMITED:
            assert wait == (attempt if asked is None else asked if asked <= 60 else None)
        else:
            assert wait is None or (0 <= wait <= 1 and elapsed + wait <= 60)
