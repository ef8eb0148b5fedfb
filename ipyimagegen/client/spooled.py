"""What a reply of 2xx means, read from its spool: an answer, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from ipyimagegen.client.answers import Answer, Reply, bare, read
from ipyimagegen.client.assembly import body
from ipyimagegen.client.control import CancelToken, Stopped
from ipyimagegen.client.faults import classify
from ipyimagegen.client.found import ResponseImage
from ipyimagegen.client.outcome import Outcome, told_in_200
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Status
from ipyimagegen.core.text import sanitize


@dataclass(frozen=True, kw_only=True)
class StoredResponse:
    """A reply on disk: `n` images were asked of `endpoint`; `trouble` is why it may not be whole."""

    path: Path
    n: int
    endpoint: Endpoint
    trouble: str = ""
    redactor: Redactor = NO_KEYS
    control: CancelToken | None = None

    @property
    def name(self) -> str:
        """What messages call the server."""
        return sanitize(self.endpoint.name, 80)

    def outcome(self, headers: Mapping[str, str], status: int = HTTPStatus.OK) -> tuple[Outcome, bool]:
        """Return what it says, and whether it came to its end; `headers` have lower-case names.

        A body that holds its whole JSON is an answer even when the connection broke after it. One that is
        not read to its end, because the control is over, counts as one image that was not read. Raises
        OSError when the disk does not give back what it took: somebody may read it later.
        """
        try:
            return self._read(headers, status)
        except Stopped:
            why = ErrorInfo(message=f"{self.trouble or f'The answer of {self.name} was not read in time'}.")
            unread = Answer(found=(ResponseImage(),))
            return Outcome(status=Status.UNKNOWN, answer=unread, fault=why, spool=self._kept()), False
        except OSError:
            if not self.trouble:
                raise
            why = ErrorInfo(message=f"{self.trouble}.", status=status)
            return Outcome(status=Status.UNKNOWN, fault=why), False

    def _read(self, headers: Mapping[str, str], status: int) -> tuple[Outcome, bool]:
        answer, whole, trouble = None, False, self.trouble
        try:
            json, whole = body(self.path, self.n, clean=not trouble, control=self.control)
            reply = Reply(body=json, headers=headers, spool=self.path, n=self.n)
            answer = read(reply, self.endpoint, self.redactor)
        except ValueError:
            answer, whole = bare(self.path) if self.path.is_file() else None, not trouble
            no_json = (
                f"{self.name} answered with something that is no JSON (is its base URL whole, with /v1?)"
            )
            trouble = trouble or ("" if answer else no_json)
        made = answer.finished if answer else 0
        if answer and whole:
            why = self._lacking(answer)
        else:
            why = ErrorInfo(message=f"{trouble or f'The answer of {self.name} was cut short'}{_more(made)}.")
        if why:
            why = replace(why, status=status)
        kind = Status.UNKNOWN if why else Status.DONE
        if why and not (answer and answer.found):  # a partial image shows that work was done, and billed
            kind = told_in_200(why.code) if answer and answer.failed else classify(500, why.code)
        return Outcome(status=kind, answer=answer, fault=why, spool=self._kept()), whole

    def _lacking(self, answer: Answer) -> ErrorInfo | None:
        """Return why a whole answer has no image, or not all: its own errors, or its shape."""
        if answer.failed and answer.found and answer.finished < self.n:
            said, made = answer.failed, _more(answer.finished)
            return replace(said, message=f"{self.name} broke off: {said.message.rstrip('.')}{made}.")
        if not answer.note:
            return None
        said = answer.errors[0] if answer.errors else ErrorInfo(message=answer.note)
        return replace(said, message=f"{self.name} answered without an image: {said.message}")

    def _kept(self) -> Path | None:
        """Return the spool if anything is in it; an empty one may be about to be written by its owner."""
        try:
            return self.path if self.path.stat().st_size else None
        except OSError:
            return None


def _more(made: int) -> str:
    return f"; images that arrived whole: {made}" if made else ""
