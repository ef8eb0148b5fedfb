"""What the index holds of a run, and what is searched: both also without an index, and without sqlite3."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ipyimagegen.core.run import Run
from ipyimagegen.store.records import Key

# What a request raises that a newer version or a stranger wrote.
_UNHASHABLE = (AttributeError, KeyError, TypeError, ValueError, RecursionError)


class Unusable(Exception):
    """The index cannot be searched now, or take a run; the record files can."""


class Entry(NamedTuple):
    """A row of the index, reduced to what never changes: the status is in the record alone.

    The hashes are empty where the run must not be found by them (a reuse, or forgotten); `prompt` is
    casefolded, and empty when forgotten.
    """

    session: str
    number: int
    created: float
    identity: str
    question: str
    model: str
    prompt: str

    @classmethod
    def from_run(cls, run: Run) -> Entry:
        """Return the entry of a run."""
        hidden = run.forgotten or run.reused_from is not None
        return cls(
            run.session,
            run.number,
            float(run.created),
            "" if hidden else to_sql_text(run.identity),
            "" if hidden else compute_question(run),
            to_sql_text(run.request.model or run.sent.model or ""),
            "" if run.forgotten else fold(run.request.prompt),
        )


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which runs, in which order of time, and how many at most; unset members restrict nothing."""

    session: str | None = None
    other_than: str | None = None  # a session to leave out
    number: int | None = None
    model: str | None = None
    identity: str | None = None
    question: str | None = None
    search: str | None = None
    originals: bool = False  # without runs that only reused another, and without forgotten ones
    limit: int | None = None
    newest_first: bool = True

    def matches(self, entry: Entry) -> bool:
        """Return whether an entry is among the runs sought."""
        sought = (self.session, self.number, self.model, self.identity, self.question)
        values = (entry.session, entry.number, entry.model, entry.identity, entry.question)
        return (
            all(want is None or want == value for want, value in zip(sought, values, strict=True))
            and entry.session != self.other_than
            and (not self.originals or entry.identity != "")
            and fold(self.search or "") in entry.prompt
        )

    def select(self, entries: Iterable[Entry]) -> list[Key]:
        """Return the keys of the entries sought, in order."""
        rows = sorted(
            ((e.created, e.session, e.number) for e in entries if self.matches(e)), reverse=self.newest_first
        )
        return [(session, number) for _, session, number in rows[: self.limit]]


def compute_identity(run: Run) -> str:
    """Return the identity of a run's request, whatever its record claims; empty where it has none."""
    try:
        return run.request.identity
    except _UNHASHABLE:
        return ""


def compute_question(run: Run) -> str:
    """Return the question of a run's request; empty where it has none."""
    try:
        return run.request.question
    except _UNHASHABLE:
        return ""


def to_sql_text(text: object) -> str:
    """Return text that SQLite can hold: no lone surrogates, no NUL."""
    return str(text).replace("\0", " ").encode(errors="replace").decode()


def fold(text: object) -> str:
    """Return text without case, as it is searched."""
    return to_sql_text(text).casefold()
