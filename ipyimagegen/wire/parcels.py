"""An outcome that travels between processes: what was read of the reply, and the reply's own bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ipyimagegen.records import Fault, Status
from ipyimagegen.wire.causes import disk
from ipyimagegen.wire.outcome import Outcome
from ipyimagegen.wire.reply import Spool


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """An outcome without its file, and what was in the file; None when there was none."""

    outcome: Outcome
    reply: bytes | None = field(default=None, repr=False)


def packed(outcome: Outcome) -> Parcel:
    """Return the outcome with its reply in memory. Raises OSError when that cannot be read."""
    if outcome.spool is None:
        return Parcel(outcome=outcome)
    return Parcel(outcome=outcome, reply=outcome.spool.read_bytes())


def unpacked(parcel: Parcel, spool: Path, spare: Callable[[], Path | None]) -> Outcome:
    """Return the outcome with its reply in the file `spool`, or in what `spare` returns; see `exchange`."""
    outcome, reply = parcel.outcome, parcel.reply
    if reply is None:
        return replace(outcome, spool=None)
    try:
        with Spool(spool, len(reply), spare=spare) as written:
            written.write(reply)
    except OSError as error:
        why = Fault(message=f"The answer {disk(error)}.")
        return replace(outcome, status=Status.UNKNOWN, answer=None, fault=why, spool=None)
    path, answer = written.path, outcome.answer
    if answer:
        found = tuple(replace(one, spool=one.spool and path) for one in answer.found)
        answer = replace(answer, found=found)
    return replace(outcome, answer=answer, spool=path)
