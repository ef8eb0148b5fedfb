"""An outcome that travels between processes: what was read of the reply, and the reply's own bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ipyimagegen.options import Json
from ipyimagegen.records import Fault, Status
from ipyimagegen.redact import NO_KEYS, Redactor
from ipyimagegen.wire.causes import disk
from ipyimagegen.wire.found import Found
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


def unpacked(
    parcel: Parcel, spool: Path, spare: Callable[[], Path | None], redactor: Redactor = NO_KEYS
) -> Outcome:
    """Return the outcome with its reply in the file `spool`, or in what `spare` returns; see `exchange`."""
    outcome, reply = parcel.outcome, parcel.reply
    if reply is None:
        return cleaned(replace(outcome, spool=None), redactor)
    try:
        with Spool(spool, len(reply), redactor, spare) as written:
            written.write(reply)
    except OSError as error:
        why = Fault(message=f"The answer {disk(error)}.")
        return replace(outcome, status=Status.UNKNOWN, answer=None, fault=why, spool=None)
    path, answer = written.path, outcome.answer
    if answer:
        answer = replace(answer, found=tuple(replace(one, spool=one.spool and path) for one in answer.found))
    return cleaned(replace(outcome, answer=answer, spool=path), redactor)


def cleaned(outcome: Outcome, redactor: Redactor) -> Outcome:
    """Return an outcome whose texts hold no key: where it was made only that of its call was known."""
    answer = outcome.answer
    if answer:
        answer = replace(
            answer,
            found=tuple(_clean_found(found, redactor) for found in answer.found),
            facts=_clean(answer.facts, redactor),
            errors=tuple(_clean_fault(fault, redactor) for fault in answer.errors),
            failed=answer.failed and _clean_fault(answer.failed, redactor),
            note=redactor.redact(answer.note),
        )
    fault = outcome.fault and _clean_fault(outcome.fault, redactor)
    request_id = outcome.request_id and redactor.redact(outcome.request_id)
    return replace(outcome, answer=answer, fault=fault, request_id=request_id)


def _clean_fault(fault: Fault, redactor: Redactor) -> Fault:
    code = redactor.redact(fault.code) if fault.code else fault.code
    return replace(fault, message=redactor.redact(fault.message), code=code)


def _clean_found(found: Found, redactor: Redactor) -> Found:
    url, prompt = found.url, found.revised_prompt
    return replace(
        found,
        url=None if url and redactor.holds_part(url) else url,
        revised_prompt=redactor.redact(prompt) if prompt else prompt,
        facts=_clean(found.facts, redactor),
        note=redactor.redact(found.note),
    )


def _clean(value: Json, redactor: Redactor) -> Any:
    if isinstance(value, Mapping):
        return {name: _clean(member, redactor) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(member, redactor) for member in value]
    return redactor.redact(value) if isinstance(value, str) else value
