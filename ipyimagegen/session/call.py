"""A call of a plan: send its request in the background, store what comes, record the outcome.

A call stores what it receives by itself: showing a result never decides whether it is kept. The thread that
waits for a call only waits, so an interrupt ends the cell while the call goes on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ipyimagegen import client
from ipyimagegen.core.errors import CallError, Detached, ImagineError, StoreError
from ipyimagegen.core.messages import OF_UNKNOWN, Message, Remedy, _
from ipyimagegen.core.plan import PlannedCall
from ipyimagegen.core.redact import Credentials
from ipyimagegen.core.run import ERRORS, ErrorInfo, ImageState, Job, Run, Status
from ipyimagegen.core.text import sanitize, truncate
from ipyimagegen.session.processing import (
    CallContext,
    ResponseProcessor,
    Thumbs,
    is_complete,
    measure_changes,
)
from ipyimagegen.store import Store

if TYPE_CHECKING:
    from ipyimagegen.session.scheduler import Limiter

STOPPED = _("The call was stopped before it was sent.")
_BILLABLE = (Status.PENDING, Status.UNKNOWN, Status.DONE)
_BILL_AND_REMEDY: Mapping[Status, tuple[bool | None, Remedy]] = {
    Status.NOT_SENT: (False, Remedy.DIAGNOSE),
    Status.RATE_LIMITED: (False, Remedy.RUN_LATER),
    Status.REFUSED: (False, Remedy.CHANGE_REQUEST),
    Status.UNKNOWN: (None, Remedy.RETRY),
    Status.DONE: (None, Remedy.RETRY),
}
_RETRIES = (*OF_UNKNOWN, Remedy.SEND_NEW)  # what a free server needs no word for
# The remedy where an image exists and is not shown yet; the last that applies counts.
_WITHOUT_HASH = (ImageState.URL_PENDING, ImageState.UNREAD, ImageState.UNWRITTEN)
_STORED_REMEDIES: Mapping[ImageState, Remedy] = {
    ImageState.QUARANTINED: Remedy.SHOW_KEPT,
    ImageState.URL_PENDING: Remedy.FETCH,
    ImageState.UNREAD: Remedy.SHOW,
    ImageState.UNWRITTEN: Remedy.FREE_SPACE,
}


class Call:
    """A call of a batch: a request that is being sent, or the cached result that makes it needless.

    `error` is the reason why there is no image. The scheduler gives a new call its `token`, `work` and
    `done`, the ledger its run, and a single thread carries it out.
    """

    run: Run  # the newest record; a call of unknown outcome has none
    token: client.CancelToken  # stops a call that has work
    done: Callable[[Call], None]  # called when its work has ended

    def __init__(
        self,
        planned: PlannedCall,
        *,
        cached: Run | None = None,
        known: frozenset[str] = frozenset(),
    ) -> None:
        self.planned = planned
        self.known = known  # ids of the runs of the same request that existed before it was sent
        self.cached = cached
        self.error: ImagineError | None = planned.unknown_outcome
        self.thumbs: Thumbs = {}  # thumbnails made while the images were checked
        self.partial: bytes | None = None  # the newest partial image of a stream, as it came
        self.job: Job | None = None  # that the server made of it, while it is asked for
        self.interrupted = False  # the wait for it was interrupted once
        self.recorded = False  # its record is on disk
        self.sending = False  # it can no longer be kept from being sent
        self.holders = 1  # batches that wait for it
        self.began: float | None = None  # when its clock was started
        self.work: Callable[[Call, ExitStack], Run] | None = None
        self._settled = threading.Event()
        if cached:
            self.run = cached
        if cached or self.error:
            self._settled.set()

    def carry_out(self, permit: ExitStack) -> None:
        """Carry the call out in this thread. The permit is closed when nothing more is sent."""
        assert self.work is not None
        if self.began is None:
            self.began = self.token.clock()
        try:
            self.run = self.work(self, permit)
            self.error = make_error(self.run)
        except StoreError as error:
            self.error = error if self.recorded else error.unsent()
        except ImagineError as error:
            self.error = error
        except BaseException as error:  # noqa: BLE001 - a thread has nobody to raise to
            cause = f"{type(error).__name__}: {sanitize(error, 200)}"
            billed = None if self.run.sent.attempts else False
            self.error = StoreError(
                _("{run} failed inside ipyimagegen: {cause}", run=self.run.id, cause=cause), billed=billed
            )
        finally:
            permit.close()
            try:
                self.done(self)
            finally:  # whatever happens, nobody waits for ever
                self.partial = self.job = None
                self._settled.set()

    def call_off(self, reason: ImagineError) -> None:
        """End the call before its work begins; whoever waits for it gets the reason."""
        self.error = reason
        self._settled.set()

    def wait(self, seconds: float) -> bool:
        """Wait that long at most; return whether it has settled."""
        return self._settled.wait(seconds)

    @property
    def shared(self) -> bool:
        """Whether several batches wait for it."""
        return self.holders > 1

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen."""
        return self._settled.is_set()

    @property
    def elapsed(self) -> float:
        """Seconds since it began; 0 before, and for a moment where clocks are coarse."""
        return 0.0 if self.began is None else self.token.clock() - self.began

    @property
    def has_images(self) -> bool:
        """Whether it has settled with images."""
        return self.settled and not self.error and bool(self.run.shown)

    @property
    def may_be_billed(self) -> bool:
        """Whether it ended without an image and may have been billed."""
        if isinstance(self.error, CallError):
            return self.error.billed is not False
        if not isinstance(self.error, StoreError):
            return False
        return self.run.sent.attempts > 0 and not self.planned.endpoint.free

    @property
    def unsent(self) -> bool:
        """Whether it was stopped before it was sent."""
        if isinstance(self.error, Detached):
            return True
        stopped = self.work is not None and self.token.detached
        return stopped and self.error is not None and self.run.status is Status.NOT_SENT


def make_error(run: Run) -> ImagineError | None:
    """Return why the run has nothing to show, or None when it has."""
    if run.shown:
        return None
    billed, remedy = _BILL_AND_REMEDY.get(run.status, _BILL_AND_REMEDY[Status.UNKNOWN])
    remedy = run.remedy if run.status is Status.UNKNOWN else remedy
    error = run.error or ErrorInfo(message=_describe_lack(run))
    if run.status is not Status.RATE_LIMITED:
        remedy = error.remedy or remedy
    states = {image.state for image in run.images if image.sha256 or image.state in _WITHOUT_HASH}
    for state, stored in _STORED_REMEDIES.items():
        remedy = stored if state in states else remedy
    if remedy is Remedy.FETCH:
        remedy = next((image.remedy for image in run.images if image.remedy), remedy)
    if run.cost.basis == "free":
        billed, remedy = False, Remedy.RUN_AGAIN if remedy in _RETRIES else remedy
    return ERRORS.get(run.status, ERRORS[Status.UNKNOWN])(
        error.message,
        billed=billed,
        remedy=remedy,
        run=run.id,
        status=error.status,
        code=error.code,
        request_id=run.sent.request_id,
    )


def _describe_lack(run: Run) -> str:
    note = next((image.note for image in run.images if image.note), "")
    note = note if isinstance(note, Message) else sanitize(note, 300)  # a message is worded for each front
    endpoint = sanitize(run.request.endpoint, 80)
    url = next((image.url for image in run.images if image.remedy is Remedy.ASK_B64), None)
    if url:
        return _("{reason} {url}", reason=note, url=truncate(url, 200))
    if note.endswith("."):
        return note
    if note:
        return _("{endpoint} returned no image that can be shown: {reason}.", endpoint=endpoint, reason=note)
    return _("{endpoint} returned no image that can be shown.", endpoint=endpoint)


def send_call(
    call: Call,
    permit: ExitStack,
    *,
    credentials: Credentials | None,
    limiter: Limiter,
    context: CallContext,
    edge: int | None,
    exchange: Callable[..., client.Outcome],
) -> Run:
    """Send a call, store what arrives and return its final record.

    `edge` is the size of thumbnails for a sweep's sheet in pixels; `exchange` is `client.exchange`, or sends
    in its place. Raises Detached when the call was stopped before it was sent, StoreError when the record or
    the response cannot be written or read.
    """
    planned, store = call.planned, context.store
    limiter.wait_for_back_off(call.token)
    if call.token.detached:
        raise Detached(STOPPED, remedy=Remedy.RUN_AGAIN)
    with limiter.prepare_sending():
        http_call = client.write_call(planned.request, planned.sent, planned.endpoint, planned.files)
        sent = replace(planned.sent, idempotency_key=os.urandom(16).hex(), body=http_call.summary)
        call.run = call.run.replace(sent=sent)
        store.create(call.run)
        call.recorded = True
        obstacle = _prepare_inputs(call, store)
    try:
        if obstacle:
            outcome = client.make_not_sent(obstacle)
        else:
            outcome = _send(
                call, http_call, credentials=credentials, limiter=limiter, context=context, exchange=exchange
            )
        cause = ""
    except OSError as error:
        cause = error.strerror or type(error).__name__
    if cause:
        message = _("The response of the server cannot be read back from the disk: {cause}.", cause=cause)
        raise StoreError(message, billed=None, remedy=Remedy.FREE_SPACE, run=call.run.id)
    if outcome.answer is None or outcome.answer.job is None:  # a server that works on a job is busy
        permit.close()  # while this response is processed, the next call is sent
    call.run = call.run.replace(sent=replace(call.run.sent, request_id=outcome.request_id))
    processor = ResponseProcessor(
        context=context,
        endpoint=planned.endpoint,
        token=call.token,
        redactor=context.redactor(credentials),
        credentials=credentials,
        thumbs=call.thumbs,
        edge=edge,
        slot=limiter.processing_slot,
    )
    call.run = _process(call.run, processor, outcome)
    return finish_job(call, processor, credentials, after=outcome.retry_after)


def finish_job(
    call: Call,
    processor: ResponseProcessor,
    credentials: Credentials | None,
    *,
    after: float | None = None,
) -> Run:
    """Return the run of a call with the result of its job, if the server has it before the call is over.

    It is first asked for `after` these seconds.

    A run that awaits no job, or whose server must not or cannot be asked, stays as it is. Nothing is posted.
    Another process may ask too: what it stored stays.
    """
    run, context, endpoint = call.run, processor.context, processor.endpoint
    if not (run.job and run.awaits_job and processor.trusted and client.find_poll_url(run.job, endpoint)):
        return run
    began = call.token.clock()

    def note(job: Job) -> None:
        call.job = job

    note(run.job)
    spool = context.store.spool(run)
    job, outcome = client.poll(
        run.job,
        endpoint,
        credentials,
        n=run.request.count,
        token=call.token,
        timeouts=context.timeouts.limit(endpoint),
        redactor=processor.redactor,
        note=note,
        patient=context.patient,
        after=after,
        spool=spool,
        fallback=lambda: context.store.spool_fallback(run),
        mounts=context.mounts,
        offline=context.offline,
    )
    run = context.store.run(run.id) or run
    if run.awaits_job:
        job = replace(job, url=client.find_poll_url(job, endpoint))
        run = run.replace(job=job, elapsed=round((run.elapsed or 0) + call.token.clock() - began, 3))
        if outcome.answer:
            if others := ", ".join(job.others):
                unasked = _("the server made other jobs, which were not asked for: {jobs}", jobs=others)
                run = run.replace(sent=replace(run.sent, notes=(*run.sent.notes, unasked)))
            return _process(run, processor, outcome)  # the response that holds the result
        run = run.replace(error=outcome.error)
        _record(run, context.store)
    _delete(outcome.spool or spool)
    return run


def _prepare_inputs(call: Call, store: Store) -> str | None:
    """Store the input files before the request is sent; return why it must not be sent, if so.

    The record exists already, so that forgetting another run deletes no file of this run, and so that of two
    notebooks which send the same request at least one reads the other's record.
    """
    planned = call.planned
    try:
        for sha256, data in planned.files.items():
            path = store.path(sha256)
            if path is None or path.stat().st_size != len(data):  # hashing 4 MB again would take 2 ms
                store.keep([data], cap=len(data))
        for run in store.find_identical(call.run.identity) if planned.paid and not planned.force else ():
            if run.session == call.run.session or run.id in call.known or run.status not in _BILLABLE:
                continue
            if run.status is Status.DONE:
                return _("Another notebook has just received the result of this request: {run}.", run=run.id)
            return _("Another notebook is sending this request at this moment: {run}.", run=run.id)
    except (StoreError, OSError) as error:
        return sanitize(error, 300)
    return None


def _send(
    call: Call,
    http_call: client.HttpCall,
    *,
    credentials: Credentials | None,
    limiter: Limiter,
    context: CallContext,
    exchange: Callable[..., client.Outcome],
) -> client.Outcome:
    """Send the request, and repeat only what the server certainly did not execute."""

    def note_partial(image: client.ResponseImage) -> None:
        if image.base64 is not None:  # it is decoded where it is shown: this thread goes on reading
            call.partial = b"".join(image.chunks())

    token, attempt, outcome = call.token, 1, client.make_not_sent(STOPPED)
    while True:
        limiter.wait_for_back_off(token)
        if token.detached:
            return outcome
        call.sending = True
        call.run = call.run.replace(sent=replace(call.run.sent, attempts=attempt))
        began = token.clock()
        try:
            spool = context.store.spool(call.run)
        except StoreError as error:
            return client.make_not_sent(sanitize(error, 300))
        outcome = exchange(
            http_call,
            call.planned.endpoint,
            credentials,
            spool=spool,
            token=token,
            timeouts=context.timeouts.limit(call.planned.endpoint),
            mounts=context.mounts,
            idempotency_key=call.run.sent.idempotency_key,
            partial=note_partial if http_call.streams else None,
            fallback=lambda: context.store.spool_fallback(call.run),
            redactor=context.redactor(credentials),
            offline=context.offline,
        )
        if outcome.spool is None:
            _delete(spool)
        call.run = call.run.replace(elapsed=round(token.clock() - began, 3))
        pause = client.find_repeat_delay(outcome, attempt, random=context.random, elapsed=call.elapsed)
        if pause is None or token.cancelled:
            return outcome
        call.sending = False
        if outcome.status is Status.RATE_LIMITED:
            limiter.back_off(token, pause)  # the other calls to this endpoint slow down too
        else:
            token.wait_to_send(pause)
        attempt += 1


def _delete(spool: Path) -> None:
    with suppress(OSError):  # the store deletes old files after a day
        spool.unlink(missing_ok=True)


def _process(run: Run, processor: ResponseProcessor, outcome: client.Outcome) -> Run:
    """Return the run with what came, recorded before anything is measured or deleted."""
    context = processor.context
    run = processor.process(run, outcome)
    complete = _record(run, context.store)
    if complete and (measured := measure_changes(run, context.store, processor.token)) != run:
        run, complete = measured, _record(measured, context.store)
    if outcome.spool and complete and is_complete(run):  # all that the response held is in the store
        _delete(outcome.spool)
    elif outcome.spool:
        note = _("the server's response is kept in {path}", path=outcome.spool)
        run = run.replace(sent=replace(run.sent, notes=(*run.sent.notes, note)))
    return run


def _record(run: Run, store: Store) -> bool:
    """Write the record; return whether it and every image reached the disk."""
    for _attempt in range(2):  # a disk that fails once may take the second try
        with suppress(StoreError):
            store.update(run)
            return not any(image.unstored for image in run.images)
    if run.status is Status.NOT_SENT:
        store.withdraw(run)
    return False
