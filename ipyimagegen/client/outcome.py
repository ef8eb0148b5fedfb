"""The outcome of a POST, and what its response on disk means for the call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ipyimagegen.client.cancel import CancelToken, Stopped
from ipyimagegen.client.dialects import DIALECTS, OPENAI
from ipyimagegen.client.errors import BODY, classify_error_in_200, classify_status, is_page
from ipyimagegen.client.response import Answer, HttpResponse, ResponseImage, read_bare_image, read_response
from ipyimagegen.client.spool import Spool, describe_disk_failure
from ipyimagegen.client.streaming import load_body
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import ErrorInfo, Status
from ipyimagegen.core.text import sanitize


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a POST.

    `status` is never PENDING. `answer` is there when a response was read, also with UNKNOWN when it was cut
    after some images. `retry_after` is the seconds that the server requests to wait. `spool` is the file of
    the response while it is kept; the caller deletes it. `final`: not to be repeated whatever the status (bad
    certificate, cancelled, or the server forbids it).
    """

    status: Status
    answer: Answer | None = None
    error: ErrorInfo | None = None
    request_id: str | None = None
    retry_after: float | None = None
    spool: Path | None = None
    final: bool = False


def make_not_sent(reason: str, *, final: bool = True) -> Outcome:
    """Return the outcome of a call of which nothing left this machine."""
    return Outcome(status=Status.NOT_SENT, error=ErrorInfo(message=reason), final=final)


# A response on disk


@dataclass(frozen=True, kw_only=True)
class StoredResponse:
    """A response of 2xx on disk: `n` images were requested from `endpoint`.

    `problem` is why it may not be whole: a message without a full stop, or "".
    """

    path: Path
    n: int
    endpoint: Endpoint
    problem: str = ""
    redactor: Redactor = NO_KEYS
    token: CancelToken | None = None

    @property
    def server(self) -> str:
        """What messages call the server."""
        return sanitize(self.endpoint.name, 80)

    def read(self, headers: Mapping[str, str], status: int = HTTPStatus.OK) -> tuple[Outcome, bool]:
        """Return what it means for the call, and whether it is whole; `headers` have lower-case names.

        A body that contains its whole JSON is an answer even when the connection broke after it. A body that
        is not read to its end, because `token` is over, counts as one image that was not read. Raises
        OSError when the disk does not return what it took: it may be read later.
        """
        try:
            return self._read(headers, status)
        except Stopped:
            late = _("The response of {server} was not read in time", server=self.server)
            error = ErrorInfo(message=_("{problem}.", problem=self.problem or late))
            unread = Answer(images=(ResponseImage(),))
            return Outcome(status=Status.UNKNOWN, answer=unread, error=error, spool=self._find_spool()), False
        except OSError:
            if not self.problem:
                raise
            error = ErrorInfo(message=_("{problem}.", problem=self.problem), status=status)
            return Outcome(status=Status.UNKNOWN, error=error), False

    def _read(self, headers: Mapping[str, str], status: int) -> tuple[Outcome, bool]:
        problem = self.problem
        try:
            answer, whole = self._read_json(headers)
        except ValueError:
            answer, whole = read_bare_image(self.path) if self.path.is_file() else None, not problem
            problem = problem or ("" if answer else self._describe_no_json())
        if answer and whole:
            error = self._find_error(answer)
        else:
            problem = problem or _("The response of {server} was cut short", server=self.server)
            error = ErrorInfo(message=_add_count(problem, answer.finished if answer else 0))
        if error:
            error = replace(error, status=status)
        kind = Status.UNKNOWN if error else Status.DONE
        if error and not (answer and answer.images):  # a partial image shows that work was done, and billed
            in_body = answer is not None and answer.failed is not None
            kind = classify_error_in_200(error.code) if in_body else classify_status(500, error.code)
        return Outcome(status=kind, answer=answer, error=error, spool=self._find_spool()), whole

    def _read_json(self, headers: Mapping[str, str]) -> tuple[Answer | None, bool]:
        """Return the answer, and whether it is whole. Raises ValueError for what is no JSON."""
        dialect = DIALECTS.get(self.endpoint.dialect, OPENAI)  # a record may name an unknown dialect
        clean = not self.problem
        body, whole = load_body(self.path, self.n, dialect, clean=clean, token=self.token)
        response = HttpResponse(body=body, headers=headers, spool=self.path, n=self.n)
        return read_response(response, self.endpoint, self.redactor), whole

    def _describe_no_json(self) -> Message:
        if self.path.is_file():
            with self.path.open("rb") as file:
                if is_page(file.read(BODY).decode("utf-8", "replace")):
                    return _(
                        "{server} returned a web page, no JSON. Check that the base URL includes /v1",
                        server=self.server,
                    )
        return _("{server} returned something that is no JSON", server=self.server)

    def _find_error(self, answer: Answer) -> ErrorInfo | None:
        """Return why a whole answer has no image, or not all: its own errors, or its shape."""
        failed = answer.failed
        if failed and answer.images and answer.finished < self.n:
            reason = failed.message.rstrip(".")
            problem = _("{server} broke off: {reason}", server=self.server, reason=reason)
            return replace(failed, message=_add_count(problem, answer.finished))
        if not answer.note:
            return None
        error = answer.errors[0] if answer.errors else ErrorInfo(message=answer.note)
        message = _("{server} answered without an image: {reason}", server=self.server, reason=error.message)
        return replace(error, message=message)

    def _find_spool(self) -> Path | None:
        """Return the file if anything is in it; its owner may be about to write to an empty file."""
        try:
            return self.path if self.path.stat().st_size else None
        except OSError:
            return None


def _add_count(problem: str, whole: int) -> Message:
    """Return the sentence of a problem, with the number of images that are whole nevertheless."""
    if not whole:
        return _("{problem}.", problem=problem)
    return _("{problem}; images that arrived whole: {count}.", problem=problem, count=whole)


# Outcomes that travel between processes


@dataclass(frozen=True, kw_only=True)
class PackedOutcome:
    """An outcome without its file, and the bytes of that file; None where there was none."""

    outcome: Outcome
    response: bytes | None = field(default=None, repr=False)


def pack_outcome(outcome: Outcome) -> PackedOutcome:
    """Return the outcome with its response in memory. Raises OSError when that cannot be read."""
    if outcome.spool is None:
        return PackedOutcome(outcome=outcome)
    return PackedOutcome(outcome=outcome, response=outcome.spool.read_bytes())


def unpack_outcome(
    packed: PackedOutcome, spool: Path, fallback: Callable[[], Path | None], redactor: Redactor = NO_KEYS
) -> Outcome:
    """Return the outcome with its response in the file `spool`, or in what `fallback` returns."""
    outcome = replace(packed.outcome, spool=None)
    if packed.response is not None:
        try:
            with Spool(spool, len(packed.response), redactor, fallback) as file:
                file.write(packed.response)
        except OSError as error:
            problem = _("The response {problem}.", problem=describe_disk_failure(error))
            return replace(outcome, status=Status.UNKNOWN, answer=None, error=ErrorInfo(message=problem))
        outcome = _set_spool(outcome, file.path)
    redacted: Outcome = _redact(outcome, redactor)
    return redacted


def _set_spool(outcome: Outcome, path: Path) -> Outcome:
    """Return the outcome with the file from which its images are read."""
    answer = outcome.answer
    if answer:
        images = (replace(image, spool=image.spool and path) for image in answer.images)
        answer = replace(answer, images=tuple(images))
    return replace(outcome, answer=answer, spool=path)


def _redact(value: Any, redactor: Redactor) -> Any:
    """Return an outcome without keys in its texts: where it was made only the key of its call was known."""
    if type(value) in (str, Message):
        clear = redactor.redact(value)
        return value if clear == value else clear
    if isinstance(value, Mapping):
        return {name: _redact(member, redactor) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_redact(member, redactor) for member in value)
    if is_dataclass(value) and not isinstance(value, type):
        # The bytes of an image are searched when it is stored.
        names = (member.name for member in fields(value) if member.name != "base64")
        return replace(value, **{name: _redact(getattr(value, name), redactor) for name in names})
    return value
