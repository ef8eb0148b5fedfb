"""What somebody found who looked whether all is well: facts with a state, and their text."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from enum import StrEnum

from ipyimagegen.core.text import DOT, format_count

WIDTH = 80  # columns: a terminal's, and fewer than a notebook's


class State(StrEnum):
    """How something is; `unknown` is what was not or could not be looked at."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One fact: how `name` is, and what is told of it."""

    name: str
    state: State
    told: str


class Report(tuple[Finding, ...]):
    """Findings in order; its text is a line for each."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = []
        for one in self:
            head = f"{one.state:<9}{one.name:<13}"
            after = " " * len(head)
            text = textwrap.TextWrapper(WIDTH, head, after, break_long_words=False, break_on_hyphens=False)
            lines.append(text.fill(one.told))
        counts = [
            (sum(one.state is state for one in self), state) for state in (State.PROBLEM, State.WARNING)
        ]
        said = [format_count(count, str(state)) for count, state in counts if count]
        return "\n".join(
            [*lines, DOT.join([*(said or ["no problem"]), "nothing was asked that costs money"])]
        )
