"""The waiting rule: what is repeated, after how long, and never for a nonsensical header."""

from email.utils import formatdate

import pytest

from ipyimagegen.client import Outcome, find_repeat_delay
from ipyimagegen.client.retry import LONGEST, format_wait, parse_retry_after
from ipyimagegen.core.run import Status


def wait(status, attempt=1, *, random=1.0, elapsed=0.0, **fields):
    return find_repeat_delay(
        Outcome(status=status, **fields), attempt, random=lambda: random, elapsed=elapsed
    )


@pytest.mark.parametrize("status", [Status.DONE, Status.REFUSED, Status.UNKNOWN])
@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_what_may_have_been_done_is_never_repeated(status, attempt):
    assert wait(status, attempt, retry_after=1) is None


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0.5), (2, 1.0), (3, None), (9, None)])
def test_never_sent_is_repeated_twice_with_jitter(attempt, seconds):
    assert wait(Status.NOT_SENT, attempt) == seconds
    if seconds:
        assert wait(Status.NOT_SENT, attempt, random=0.5) == seconds / 2
        assert wait(Status.NOT_SENT, attempt, elapsed=60) is None


@pytest.mark.parametrize(
    ("attempt", "asked", "seconds"),
    [
        (1, None, 1),
        (2, None, 2),
        (3, None, None),
        (1, 0.2, 0.2),
        (2, 60, 60),
        (1, 60.1, None),
        (1, 3600, None),
    ],
)
def test_rejected_waits_as_asked_or_stops(attempt, asked, seconds):
    assert wait(Status.RATE_LIMITED, attempt, retry_after=asked) == seconds


def test_final_is_final():
    assert wait(Status.NOT_SENT, final=True) is None
    assert wait(Status.RATE_LIMITED, final=True, retry_after=1) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "99999999999"}, 99999999999),
        *(
            ({"retry-after": text}, None)
            for text in ("", "0", "-5", "NaN", "inf", "-inf", "1s", "Wed", "1e999")
        ),
        ({"retry-after": formatdate(1000 + 30, usegmt=True)}, 30),
        ({"retry-after": formatdate(1000 - 30, usegmt=True)}, None),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert parse_retry_after(headers, now=lambda: 1000.0) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(61, "61 s"), (3600, "60 min"), (86400, "24 h"), (7e5, "8 days"), (1e300, "99 days")],
)
def test_a_time_to_wait_is_written_in_its_usual_unit(seconds, text):
    assert format_wait(seconds).endswith(text)


@pytest.mark.parametrize("text", ["1796055641000", "9" * 400, "1e9999", "Fri, 31 Dec 9999 23:59:59 -9999"])
def test_absurd_times_to_wait_raise_nothing(text):
    seconds = parse_retry_after({"retry-after": text})
    assert seconds is None or seconds > LONGEST
