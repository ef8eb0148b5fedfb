"""What the index knows of a run, and a question to it; both also without an index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ipyimagegen.core.run import Run
from ipyimagegen.store.records import Key

# What a request raises that a newer version or a stranger wrote.
_UNHASHABLE = (AttributeError, KeyError, TypeError, ValueError, RecursionError)


class Unusable(Exception):
    """The index cannot answer now, or take a run; the files can."""


class Entry(NamedTuple):
    """A row of the index, cut down to what never changes: the status is in the record alone.

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
    def of(cls, run: Run) -> Entry:
        """Return the entry of a run."""
        hidden = run.forgotten or run.reused_from is not None
        return cls(
            run.session,
            run.number,
            float(run.created),
            "" if hidden else clean(run.identity),
            "" if hidden else question_of(run),
            clean(run.request.model or run.sent.model or ""),
            "" if run.forgotten else fold(run.request.prompt),
        )


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which runs, in which order of time, and how many at most; unset members ask nothing."""

    session: str | None = None
    other_than: str | None = None  # a session that does not count
    number: int | None = None
    model: str | None = None
    identity: str | None = None
    question: str | None = None
    search: str | None = None
    originals: bool = False  # without those that only reused another, and without forgotten ones
    limit: int | None = None
    newest_first: bool = True

    def matches(self, entry: Entry) -> bool:
        """Say whether an entry is one of those asked for."""
        asked = (self.session, self.number, self.model, self.identity, self.question)
        had = (entry.session, entry.number, entry.model, entry.identity, entry.question)
        return (
            all(want is None or want == has for want, has in zip(asked, had, strict=True))
            and entry.session != self.other_than
            and (not self.originals or entry.identity != "")
            and fold(self.search or "") in entry.prompt
        )

    def order(self, entries: Iterable[Entry]) -> list[Key]:
        """Return the keys of those asked for among the entries, in order."""
        rows = sorted(
            ((e.created, e.session, e.number) for e in entries if self.matches(e)), reverse=self.newest_first
        )
        return [(session, number) for _, session, number in rows[: self.limit]]


def clean(text: object) -> str:
    """Return what a record may hold as text that SQLite can: no lone surrogates, no NUL."""
    return str(text).replace("\0", " ").encode(errors="replace").decode()


def fold(text: object) -> str:
    """Return text as it is searched, without case."""
    return clean(text).casefold()


def identity_of(run: Run) -> str:
    """Return the identity of what a run asked, whatever its record claims; empty where it has none."""
    try:
        return run.request.identity
    except _UNHASHABLE:
        return ""


def question_of(run: Run) -> str:
    """Return the question of what a run asked; empty where it has none."""
    try:
        return run.request.question
    except _UNHASHABLE:
        return ""
