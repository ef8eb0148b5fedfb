"""One planned call carried through, by a thread of its own: pending, send, keep, done.

A `Job` stores what it gets by itself; showing never decides about keeping. The thread that waits for
it only waits, so an interrupt ends the cell while the job goes on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen import client, imaging
from ipyimagegen.core.api_key import ApiKey
from ipyimagegen.core.errors import Detached, ImagineError, StoreError
from ipyimagegen.core.plan import PlannedCall
from ipyimagegen.core.redact import Redactor
from ipyimagegen.core.run import ERRORS, ErrorInfo, ImageState, Run, Status
from ipyimagegen.core.text import sanitize
from ipyimagegen.session.arrivals import (
    CallContext,
    ResponseProcessor,
    Thumbs,
    is_complete,
    load_modules,
    measure_changes,
)
from ipyimagegen.session.limiter import Limiter, Permit
from ipyimagegen.store import Store

if TYPE_CHECKING:
    from ipyimagegen.core.endpoints import Endpoint

NOT_SENT = "not sent: it was stopped before\nRun the cell again."
_MAY_BE_BILLED = (Status.PENDING, Status.UNKNOWN, Status.DONE)
_BILL: Mapping[Status, tuple[bool | None, str]] = {
    Status.NOT_SENT: (
        False,
        "Nothing was sent, nothing billed: run the cell again, or see %imagine_doctor.",
    ),
    Status.RATE_LIMITED: (False, "It was not carried out, nothing billed: run the cell again later."),
    Status.REFUSED: (False, "No image was made: change what it complains of, and run the cell again."),
    Status.UNKNOWN: (None, "It may have been billed; --retry asks again."),
    Status.DONE: (None, "It was probably billed; --retry asks again."),
}
# What a refusal asks for, by the server's code or, where it says nothing more, its HTTP status.
_KEY = "No image was made: check the key, %imagine_doctor tells where it comes from."
_CREDIT = "No image was made: the account at that server needs credit."
_LESS = "No image was made: send smaller images or fewer of them, and run the cell again."
_CURES: Mapping[str | int | None, str] = {
    "insufficient_quota": _CREDIT,
    "insufficient_user_quota": _CREDIT,
    "pre_consume_token_quota_failed": _CREDIT,
    "billing_hard_limit_reached": _CREDIT,
    "model_not_found": "No image was made: it has no such model; name another, see %imagine_models.",
    HTTPStatus.UNAUTHORIZED: _KEY,
    HTTPStatus.PAYMENT_REQUIRED: _CREDIT,
    HTTPStatus.FORBIDDEN: _KEY,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _LESS,
}


class Job:
    """Work in flight. `run` is its newest record, `error` why it brought no image."""

    def __init__(
        self,
        run: Run,
        carry: Callable[[Job], Run],
        told: Callable[[Job], None],
        *,
        control: client.CancelToken,
        recorded: bool = False,
    ) -> None:
        self.run = run
        self.error: ImagineError | None = None
        self.thumbs: Thumbs = {}  # the small images made while checking
        self.partial: bytes | None = None  # the newest image of a stream, as it came
        self.control = control
        self.permit: Permit | None = None  # a place at its gate, where it begins with one
        self.ended: Callable[[], None] = _nothing  # called when it has finished
        self.interrupted = False  # the person who waited for it stopped the cell
        self.recorded = recorded  # its record is on disk
        self.leaving = False  # nobody can keep it from being sent any more
        self.shared = False  # somebody else waits for it, too
        self._carry, self._told = carry, told
        self._began: float | None = None
        self._finished = threading.Event()

    def start(self) -> None:
        """Begin, in a daemon thread: a kernel that ends does not wait for a server."""
        self._began = self.control.clock()
        threading.Thread(target=self._run, name=f"imagine {self.run.id}", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait that long at most; say whether it has finished."""
        return self._finished.wait(seconds)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self._finished.is_set()

    @property
    def elapsed(self) -> float:
        """Seconds since it was begun; 0 before."""
        return 0.0 if self._began is None else self.control.clock() - self._began

    def cancel(self) -> None:
        """Give it up: what was sent already may be billed."""
        self.control.cancel()

    def call_off(self, why: ImagineError) -> None:
        """Let it end before it was begun: whoever waits for it is told."""
        self.error = why
        self._finished.set()

    def _run(self) -> None:
        try:
            self.run = self._carry(self)
            self.error = error_of(self.run)
        except StoreError as fault:
            self.error = fault if self.recorded else fault.unsent()
        except ImagineError as fault:
            self.error = fault
        except BaseException as fault:  # noqa: BLE001 - a thread has nobody to raise to
            told = f"{type(fault).__name__}: {sanitize(fault, 200)}"
            bill = "it may have been billed" if self.run.sent.attempts else "nothing was sent"
            self.error = StoreError(f"{self.run.id} failed in this program ({bill}): {told}")
        finally:
            try:
                self._told(self)
            finally:  # whatever happens, nobody waits for ever
                self.partial = None
                self._finished.set()
                if self.permit:
                    self.permit.give()
                self.ended()


def _nothing() -> None:
    """Do nothing."""


def error_of(run: Run) -> ImagineError | None:
    """Return why the run has nothing to show, or None when it has."""
    if run.shown:
        return None
    billed, words = _BILL.get(run.status, _BILL[Status.UNKNOWN])
    free = run.cost.basis == "free"
    if free:
        billed, words = False, "It costs nothing: run the cell again."
    if any(one.state is ImageState.URL_PENDING for one in run.images):
        bill = "It costs nothing" if free else "It was probably billed"
        words = f"{bill}; %imagine_show {run.id} tries again to fetch it, --new asks for another."
    if any(one.state is ImageState.UNREAD for one in run.images):
        words = f"The response is stored, and reading it costs nothing: %imagine_show {run.id}."
    if any(one.state is ImageState.UNWRITTEN for one in run.images):
        words = "What came is kept: once that is mended, the same cell shows it at no cost."
    fault = run.error or ErrorInfo(message=_no_image(run))
    if run.status is Status.REFUSED:
        words = _CURES.get(fault.code) or _CURES.get(fault.status) or words
    kind = ERRORS.get(run.status, ERRORS[Status.UNKNOWN])
    return kind(
        f"{fault.message}\n{words}",
        run=run.id,
        billed=billed,
        status=fault.status,
        code=fault.code,
        request_id=run.sent.request_id,
    )


def _no_image(run: Run) -> str:
    note = next((sanitize(p.note, 300) for p in run.images if p.note), "")
    if note.endswith("."):
        return note
    said = f"{sanitize(run.request.endpoint, 80)} sent no image that can be shown"
    return f"{said}: {note}." if note else f"{said}."


def call(
    planned: PlannedCall,
    secret: ApiKey | None,
    gate: Limiter,
    tools: CallContext,
    known: Collection[str] = (),
    *,
    edge: int | None = None,
    exchange: Callable[..., client.Outcome] | None = None,
) -> Callable[[Job], Run]:
    """Return the work of one call: send it, keep what comes, and say what it was.

    `known` are the ids of the runs of the same request that were looked at when it was planned; `edge`
    is how large the small images of a sweep are made; `exchange` sends in place of `client.exchange`.
    """
    load_modules()

    def carry(job: Job) -> Run:
        with job.permit or gate.permit(lambda: job.control.detached):
            gate.wait(job.control)
            if job.control.detached:
                raise Detached(NOT_SENT)
            with gate.leaving():
                written = client.write_call(planned.request, planned.sent, planned.endpoint, planned.files)
                key = os.urandom(16).hex()
                send = exchange or client.exchange
                post = partial(_post, send, job, planned.endpoint, written, secret, key=key, tools=tools)
                job.run = job.run.replace(
                    sent=replace(planned.sent, idempotency_key=key, body=written.summary)
                )
                tools.store.create(job.run)
                job.recorded = True
                outcome = _hindered(job.run, planned, known, tools.store)
            with _readable():
                outcome = outcome or _repeated(job, gate, post, tools.random)
        sent = replace(job.run.sent, request_id=outcome.request_id)
        job.run = job.run.replace(sent=sent)
        receiver = ResponseProcessor(
            tools=tools,
            endpoint=planned.endpoint,
            control=job.control,
            redactor=tools.redactor(secret),
            thumbs=job.thumbs,
            edge=edge,
            desk=gate.desk,
        )
        return _taken_in(job.run, receiver, outcome)

    return carry


def _post(
    exchange: Callable[..., client.Outcome],
    job: Job,
    endpoint: Endpoint,
    written: client.HttpCall,
    secret: ApiKey | None,
    *,
    key: str,
    tools: CallContext,
) -> client.Outcome:
    """Send the call once; images of a stream are noted on the way."""

    def glimpse(found: client.ResponseImage) -> None:
        if found.base64 is not None:  # whoever paints decodes it: this thread has to read on
            job.partial = b"".join(found.chunks())

    try:
        spool = tools.store.spool(job.run)
    except StoreError as fault:
        return client.make_not_sent(sanitize(fault, 300))
    outcome = exchange(
        written,
        endpoint,
        secret,
        spool=spool,
        control=job.control,
        timeouts=tools.timeouts,
        mounts=tools.mounts,
        idempotency_key=key,
        partial=glimpse if written.streams else None,
        fallback=lambda: tools.store.spare(job.run),
        redactor=tools.redactor(secret),
        offline=tools.offline,
    )
    if outcome.spool is None:
        _drop(spool)
    return outcome


def _taken_in(run: Run, receiver: ResponseProcessor, outcome: client.Outcome) -> Run:
    """Return the run with what came, written before anything is measured or deleted."""
    tools = receiver.tools
    run = receiver.received(run, outcome)
    whole = _written(run, tools)
    if whole and (measured := measure_changes(run, tools.store, receiver.control)) != run:
        run, whole = measured, _written(measured, tools)
    if outcome.spool and whole and is_complete(run):  # only now is everything that it held in the store
        _drop(outcome.spool)
    elif outcome.spool:
        run = _noted(run, f"what the server sent is kept in {outcome.spool}")
    return run


@contextmanager
def _readable() -> Iterator[None]:
    """Say what it means that the disk does not give back what it took: the record stays pending."""
    try:
        yield
    except OSError as fault:
        why = fault.strerror or type(fault).__name__
        told = f"What the server sent cannot be read back from the disk: {why}."
    else:
        return
    raise StoreError(f"{told}\nIt is kept: once that is mended, the same cell shows it at no cost.")


def _drop(spool: Path) -> None:
    with suppress(OSError):  # what it held is stored; the store tidies up in a day
        spool.unlink(missing_ok=True)


def _hindered(run: Run, planned: PlannedCall, known: Collection[str], store: Store) -> client.Outcome | None:
    """Store what goes with the request, before it is sent; return why it cannot be, so nothing was sent.

    Its record is there already, so that nobody who forgets another run takes a file of this one away.
    """
    try:
        _keep_files(planned.files, store)
        rival = _rival(run, planned, known, store)
    except (StoreError, OSError) as fault:
        return client.make_not_sent(sanitize(fault, 300))
    return client.make_not_sent(rival) if rival else None


def _keep_files(files: Mapping[str, bytes], store: Store) -> None:
    for sha256, data in files.items():
        there = store.path(sha256)
        if there is None or there.stat().st_size != len(data):  # hashing 4 MB again would take 2 ms
            store.keep([data], cap=len(data), suffix_of=imaging.find_suffix)


def _rival(run: Run, planned: PlannedCall, known: Collection[str], store: Store) -> str:
    """Return what to say when another notebook asked for the same since this was planned.

    Both records are on disk before either is sent, so at least one of the two sees the other.
    """
    if not planned.paid or planned.force:
        return ""
    for one in store.with_identity(run.identity):
        if one.session != run.session and one.id not in known and one.status in _MAY_BE_BILLED:
            if one.status is Status.DONE:
                return f"Another notebook got the same just now ({one.id}). Run the cell again to show it."
            return f"Another notebook asks for the same at this moment ({one.id}). Run the cell again later."
    return ""


def _repeated(
    job: Job, gate: Limiter, post: Callable[[], client.Outcome], random: Callable[[], float]
) -> client.Outcome:
    """Send, and repeat only what certainly was not carried out."""
    attempt, outcome = 1, client.make_not_sent("Stopped before it was sent.")
    while True:
        gate.wait(job.control)
        if job.control.detached:
            return outcome
        job.leaving = True
        job.run = job.run.replace(sent=replace(job.run.sent, attempts=attempt))
        began = job.control.clock()
        outcome = post()
        job.run = job.run.replace(elapsed=round(job.control.clock() - began, 3))
        pause = client.find_repeat_delay(outcome, attempt, random=random, elapsed=job.elapsed)
        if pause is None or job.control.cancelled:
            return outcome
        job.leaving = False
        if outcome.status is Status.RATE_LIMITED:
            gate.rest(job.control, pause)  # the other calls to this endpoint slow down too
        else:
            job.control.wait_to_send(pause)
        attempt += 1


def _written(run: Run, tools: CallContext) -> bool:
    """Write the record, and say whether it and every image reached the disk."""
    for _ in range(2):  # not every disk that fails once fails again
        with suppress(StoreError):
            tools.store.update(run)
            return not any(image.unstored for image in run.images)
    if run.status is Status.NOT_SENT:
        tools.store.withdraw(run)
    return False


def _noted(run: Run, note: str) -> Run:
    return run.replace(sent=replace(run.sent, notes=(*run.sent.notes, note)))


def fetch(
    endpoint: Endpoint, tools: CallContext, redactor: Redactor, *, trusted: bool
) -> Callable[[Job], Run]:
    """Return the work of fetching downloads that are still pending; see `Receiver.trusted`."""
    load_modules()

    def carry(job: Job) -> Run:
        job.control.start(tools.timeouts.whole)
        receiver = ResponseProcessor(
            tools=tools,
            endpoint=endpoint,
            control=job.control,
            redactor=redactor,
            thumbs=job.thumbs,
            trusted=trusted,
        )
        return receiver.fetched(job.run)

    return carry
