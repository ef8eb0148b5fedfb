"""The errors that users see, as a tree of exceptions that carry data.

ImagineError
├── InvalidOption      a wrong option, value or combination (also ValueError)
├── InvalidInput       a prompt, variable or image that cannot be used (also ValueError)
├── MissingKey         the endpoint requires an API key and none is set
├── OverBudget         more paid calls or images than the settings allow
├── NotInHistory       no such run or image (also LookupError)
├── StoreError         the store cannot be written or read
├── CallError          a call was planned and brought no image
│   ├── NotSent        nothing reached the server
│   ├── RateLimited    the server postponed the call (429) and did not execute it
│   ├── RequestRefused the server refused the request
│   └── OutcomeUnknown the server may have executed the call, and billed it
└── Detached           the wait was interrupted; a call that was sent goes on (also KeyboardInterrupt)

The text of an error is one or two lines: what happened, whether it was billed, what to do. The last part is
a `Remedy`, which each front door words for its own users: it sets `front` on the error that it shows.
Notebooks show the text without a traceback, and the cell fails.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from ipyimagegen.core.messages import OF_UNKNOWN, PYTHON, Front, Remedy, RunLink, _, render, render_remedy
from ipyimagegen.core.text import escape_hidden

_PACKAGE = __name__.partition(".")[0]
_BILLED: Mapping[bool | None, str] = {
    False: _("Nothing was billed."),
    True: _("You were charged."),
    None: _("You may have been charged."),
}


class ImagineError(Exception):
    """The base of all errors raised on purpose.

    `billed` is True, False or None (unknown). `run` is the lasting id of the record, `status` the HTTP
    status, `code` the error code and `request_id` the server's id, each None where absent.
    """

    front: Front = PYTHON

    def __init__(
        self,
        message: str,
        *,
        billed: bool | None = False,
        remedy: Remedy | None = None,
        run: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.billed = billed
        self.remedy = remedy
        self.run = run
        self.status = status
        self.code = code
        self.request_id = request_id

    def __str__(self) -> str:
        text = render(self.args[0], self.front)
        if not self.remedy:
            return text
        remedy = render_remedy(self.remedy, self.front, run=RunLink(self.run or ""))
        return f"{text}\n{self._describe_bill()}{remedy}"

    def _describe_bill(self) -> str:
        return f"{render(_BILLED[self.billed], self.front)} "

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: value for name, value in self.__dict__.items() if name != "front"}
        return (type(self), self.args, state)

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython prints in place of a traceback.

        IPython calls it before its debugger, which opens at the last frame: the line of the user.
        """
        end_at_user(self.__traceback__)
        return escape_hidden(str(self)).splitlines() or [type(self).__name__]


class InvalidOption(ImagineError, ValueError):
    """An option, value or combination that is refused before anything is sent."""


class InvalidInput(ImagineError, ValueError):
    """A prompt, variable or image that cannot be used; nothing was sent."""


class MissingKey(ImagineError):
    """The endpoint requires an API key and none is set; the message names the variable."""


class OverBudget(ImagineError):
    """The plan is larger than `max_calls` or `max_images`; nothing was sent."""


class NotInHistory(ImagineError, LookupError):
    """No run or image of that id."""


class StoreError(ImagineError):
    """The store cannot be written or read."""

    def unsent(self) -> StoreError:
        """Return the same error, stating that nothing was sent."""
        problem = self.args[0]
        if "Nothing was sent" in problem:
            return self
        return StoreError(
            _("{problem} Nothing was sent.", problem=problem), billed=self.billed, remedy=self.remedy
        )


class CallError(ImagineError):
    """A call that brought no image."""


class NotSent(CallError):
    """Nothing reached the server."""


class RateLimited(CallError):
    """The server postponed the call and did not execute it."""


class RequestRefused(CallError):
    """The server refused the request."""


class OutcomeUnknown(CallError):
    """The server may have executed the call, and billed it."""


class Detached(ImagineError, KeyboardInterrupt):
    """The wait was interrupted; a call that was sent goes on and its images arrive in the history."""

    def _describe_bill(self) -> str:
        """Return nothing for calls that go on: what they cost is not known yet."""
        return super()._describe_bill() if self.remedy in OF_UNKNOWN else ""


def end_at_user(traceback: TracebackType | None) -> None:
    """Cut off the frames of this package, and of IPython that called it, unless no user's frame is left."""
    user = None
    while traceback and (name := str(traceback.tb_frame.f_globals.get("__name__"))).split(".")[0] != _PACKAGE:
        user = user if name.startswith("IPython.") else traceback
        traceback = traceback.tb_next
    if user:
        user.tb_next = None


def find_nearest(word: str, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the candidate most like `word`, or None when none is nearer than `cutoff`, from 0 to 1."""
    by_fold = {candidate.casefold(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=cutoff)
    return by_fold[matches[0]] if matches else None


def suggest_name(word: str, candidates: Iterable[str]) -> str:
    """Return " Did you mean X?", or nothing when no candidate is near."""
    nearest = find_nearest(word, candidates)
    return _(" Did you mean {name}?", name=nearest) if nearest else ""
