"""Everything that can go wrong, as one tree.

ImagineError
├── InvalidOption      a wrong option, value or combination (also ValueError)
├── InvalidInput       a prompt, variable or image that cannot be used (also ValueError)
├── MissingKey         the endpoint wants a key and none is set
├── OverBudget         more paid calls or images than the settings allow
├── NotInHistory       no such run or image (also LookupError)
├── StoreError         the history cannot be written or read
├── CallError          a call was planned and brought no image
│   ├── NotSent        it certainly did not reach the server
│   ├── RateLimited    the server put it off (429) and did not execute it
│   ├── RequestRefused the server answered no
│   └── OutcomeUnknown it may have been executed, and billed
└── Detached           the cell was stopped; a call that was sent goes on (also KeyboardInterrupt)

A message is one or two lines: what happened, whether money may have been spent, what to do.
Notebooks show just that, without a traceback, and the cell fails.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from ipyimagegen.core.text import escape_hidden


class ImagineError(Exception):
    """The base of all errors raised on purpose; shown as its message alone."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython prints in place of a traceback."""
        return escape_hidden(str(self)).splitlines() or [type(self).__name__]


class InvalidOption(ImagineError, ValueError):
    """An option, value or combination that is refused before anything is sent."""


class InvalidInput(ImagineError, ValueError):
    """A prompt, variable or image that cannot be used; nothing was sent."""


class MissingKey(ImagineError):
    """The endpoint wants a key and none is set; the message names the variable."""


class OverBudget(ImagineError):
    """The plan is larger than `max_calls` or `max_images`; nothing was sent."""


class NotInHistory(ImagineError, LookupError):
    """No run or image of that id."""

    __str__ = Exception.__str__


class StoreError(ImagineError):
    """The store cannot be written or read."""

    def unsent(self) -> StoreError:
        """Return the same, saying that nothing was sent."""
        said = str(self)
        return self if "Nothing was sent" in said else StoreError(f"{said} Nothing was sent.")


class CallError(ImagineError):
    """A call that brought no image.

    `run` is the lasting id of its record, `billed` is True, False or None (unknown), `status` the
    HTTP status if there was one, `code` the server's error code, `request_id` the server's own id.
    """

    def __init__(
        self,
        message: str,
        *,
        run: str | None = None,
        billed: bool | None = False,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.run = run
        self.billed = billed
        self.status = status
        self.code = code
        self.request_id = request_id

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), self.args, self.__dict__)


class NotSent(CallError):
    """Nothing reached the server."""


class RateLimited(CallError):
    """The server put the call off and did not execute it."""


class RequestRefused(CallError):
    """The server answered no."""


class OutcomeUnknown(CallError):
    """The server may have executed the call, and billed it."""


class Detached(ImagineError, KeyboardInterrupt):
    """The cell was stopped; a call that was sent goes on and its images land in the history."""


def find_nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate most like `word`, or None when none is near."""
    by_fold = {candidate.casefold(): candidate for candidate in candidates}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def suggest_name(word: str, candidates: Iterable[str]) -> str:
    """Return " Did you mean X?", or nothing when no candidate is near."""
    found = find_nearest(word, candidates)
    return f" Did you mean {found}?" if found else ""
