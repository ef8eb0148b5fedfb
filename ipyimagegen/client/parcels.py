"""An outcome that travels between processes: what was read of the reply, and the reply's own bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from ipyimagegen.client.causes import disk
from ipyimagegen.client.outcome import Outcome
from ipyimagegen.client.reply import Spool
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Status


@dataclass(frozen=True, kw_only=True)
class PackedOutcome:
    """An outcome without its file, and what was in the file; None when there was none."""

    outcome: Outcome
    reply: bytes | None = field(default=None, repr=False)


def pack_outcome(outcome: Outcome) -> PackedOutcome:
    """Return the outcome with its reply in memory. Raises OSError when that cannot be read."""
    if outcome.spool is None:
        return PackedOutcome(outcome=outcome)
    return PackedOutcome(outcome=outcome, reply=outcome.spool.read_bytes())


def unpack_outcome(
    parcel: PackedOutcome, spool: Path, spare: Callable[[], Path | None], redactor: Redactor = NO_KEYS
) -> Outcome:
    """Return the outcome with its reply in the file `spool`, or in what `spare` returns; see `exchange`."""
    outcome, reply = replace(parcel.outcome, spool=None), parcel.reply
    if reply is not None:
        try:
            with Spool(spool, len(reply), redactor, spare) as written:
                written.write(reply)
        except OSError as error:
            why = ErrorInfo(message=f"The answer {disk(error)}.")
            return replace(outcome, status=Status.UNKNOWN, answer=None, fault=why)
        outcome = _found_in(outcome, written.path)
    cleaned: Outcome = _clean(outcome, redactor)
    return cleaned


def _found_in(outcome: Outcome, path: Path) -> Outcome:
    """Return the outcome with the file that its images are read from."""
    answer = outcome.answer
    if answer:
        answer = replace(answer, found=tuple(replace(one, spool=one.spool and path) for one in answer.found))
    return replace(outcome, answer=answer, spool=path)


def _clean(value: Any, redactor: Redactor) -> Any:
    """Return an outcome without keys in its texts: where it was made only the key of its call was known."""
    if type(value) is str:
        return redactor.redact(value)
    if isinstance(value, Mapping):
        return {name: _clean(member, redactor) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_clean(member, redactor) for member in value)
    if is_dataclass(value) and not isinstance(value, type):
        # The bytes of an image are searched when it is stored.
        names = (field.name for field in fields(value) if field.name != "base64")
        return replace(value, **{name: _clean(getattr(value, name), redactor) for name in names})
    return value
