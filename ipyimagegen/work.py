"""One planned call carried through, by a thread of its own: pending, send, keep, done.

A `Job` stores what it gets by itself; showing never decides about keeping. The thread that waits for
it only waits, so an interrupt ends the cell while the job goes on. A `Gate` holds what the calls to
one endpoint share: how many run at once, and the pause after a 429.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ipyimagegen import catalog, imaging, wire
from ipyimagegen.errors import ImagineError, StoreError
from ipyimagegen.keys import Secret
from ipyimagegen.plan import Planned
from ipyimagegen.records import ERRORS, Fault, Picture, PictureState, Run, Status
from ipyimagegen.safe import plain
from ipyimagegen.store import Kept, Store
from ipyimagegen.verdicts import judge

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.rows import Endpoint

_BILL: Mapping[Status, tuple[bool | None, str]] = {
    Status.NEVER_SENT: (False, "Nothing was sent, nothing billed."),
    Status.REJECTED: (False, "It was not carried out, nothing billed."),
    Status.REFUSED: (False, "No picture was made."),
    Status.UNKNOWN: (None, "It may have been billed; --retry asks again."),
    Status.DONE: (None, "It was probably billed; %imagine_show {id} tries again to fetch it."),
}


class Gate:
    """What the calls to one endpoint share. `rest(seconds)` makes all of them wait before sending."""

    def __init__(self, parallel: int) -> None:
        self._places = threading.BoundedSemaphore(parallel)
        self._until = 0.0

    def rest(self, seconds: float) -> None:
        """Let no call be sent for that long."""
        self._until = max(self._until, time.monotonic() + seconds)

    def __enter__(self) -> None:
        self._places.acquire()

    def __exit__(self, *_: object) -> None:
        self._places.release()

    def wait(self, control: wire.Control) -> None:
        """Wait until calls may be sent, or the call is cancelled."""
        while (left := self._until - time.monotonic()) > 0 and not control.wait(min(left, 0.2)):
            pass


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What every job needs: where to keep, how to send, and how large its thumbs are (pixels)."""

    store: Store
    mounts: Mapping[str, Any] = field(default_factory=dict)
    timeouts: wire.Timeouts = field(default_factory=lambda: wire.Timeouts())  # noqa: PLW0108 - not at load
    edge: int = imaging.EDGE


class Job:
    """Work in flight. `run` is its newest record, `error` why it brought no picture."""

    def __init__(self, run: Run, carry: Callable[[Job], Run], told: Callable[[Job], None]) -> None:
        self.run = run
        self.error: ImagineError | None = None
        self.thumbs: dict[str, PilImage] = {}  # sha256 to the small picture made while checking
        self.control = wire.Control()
        self.started = time.monotonic()
        self.detached = False  # nobody waits for it any more
        self._carry, self._told = carry, told
        self._finished = threading.Event()

    def start(self) -> None:
        """Begin, in a daemon thread: a kernel that ends does not wait for a server."""
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
        """Seconds since it was begun."""
        return time.monotonic() - self.started

    def cancel(self) -> None:
        """Give it up: what was sent already may be billed."""
        self.control.cancel()

    def _run(self) -> None:
        try:
            self.run = self._carry(self)
            self.error = error_of(self.run)
        except ImagineError as fault:
            self.error = fault
        except Exception as fault:  # noqa: BLE001 - a thread has nobody to raise to
            told = f"{type(fault).__name__}: {plain(fault, 200)}"
            bill = "it may have been billed" if self.run.sent.attempts else "nothing was sent"
            self.error = StoreError(f"{self.run.id} failed in this program ({bill}): {told}")
        finally:
            self._told(self)
            self._finished.set()


def error_of(run: Run) -> ImagineError | None:
    """Return why the run has nothing to show, or None when it has."""
    if run.shown:
        return None
    billed, words = _BILL.get(run.status, _BILL[Status.UNKNOWN])
    if run.cost.basis == "free":
        billed, words = False, "It costs nothing: run the cell again."
    fault = run.error or Fault(message=_no_picture(run))
    kind = ERRORS.get(run.status, ERRORS[Status.UNKNOWN])
    return kind(
        f"{fault.message}\n{words.format(id=run.id)}",
        run=run.id,
        billed=billed,
        status=fault.status,
        code=fault.code,
        request_id=run.sent.request_id,
    )


def _no_picture(run: Run) -> str:
    notes = [plain(p.note, 300) for p in run.pictures if p.note]
    return "the reply held no usable picture" + (f" ({notes[0].rstrip('.')})" if notes else "") + "."


def call(planned: Planned, secret: Secret | None, gate: Gate, tools: Tools) -> Callable[[Job], Run]:
    """Return the work of one call: send it, keep what comes, and say what it was."""

    def carry(job: Job) -> Run:
        written = wire.write(planned.request, planned.sent, planned.endpoint)
        sent = replace(planned.sent, idempotency_key=os.urandom(16).hex(), body=written.json)
        job.run = job.run.but(sent=sent)
        tools.store.create(job.run)

        def post() -> wire.Outcome:
            return wire.exchange(
                written,
                planned.endpoint,
                secret,
                spool=tools.store.spool(),
                control=job.control,
                timeouts=tools.timeouts,
                mounts=tools.mounts,
                idempotency_key=sent.idempotency_key,
            )

        with gate:
            outcome = _repeated(job, gate, post)
        sent = replace(job.run.sent, request_id=outcome.request_id)
        run = job.run.but(sent=sent, elapsed=round(job.elapsed, 3))
        try:
            run = _kept(job, run, outcome, planned.endpoint, tools)
        finally:
            if outcome.spool:
                outcome.spool.unlink(missing_ok=True)
        tools.store.update(run)
        return run

    return carry


def _repeated(job: Job, gate: Gate, post: Callable[[], wire.Outcome]) -> wire.Outcome:
    """Send, and repeat only what certainly was not carried out."""
    attempt = 1
    while True:
        gate.wait(job.control)
        job.run = job.run.but(sent=replace(job.run.sent, attempts=attempt))
        outcome = post()
        pause = wire.repeat_after(outcome, attempt, random=random.random, elapsed=job.elapsed)
        if pause is None or job.control.cancelled:
            return outcome
        if outcome.status is Status.REJECTED:
            gate.rest(pause)  # the other calls to this endpoint slow down too
        elif job.control.wait(pause):
            return outcome
        attempt += 1


def _kept(job: Job, run: Run, outcome: wire.Outcome, endpoint: Endpoint, tools: Tools) -> Run:
    answer = outcome.answer
    if answer is None:
        return run.but(status=outcome.status, error=outcome.fault)
    many = max(len(answer.found), 1)
    edge = tools.edge if many == 1 else tools.edge // 2  # tiles of a sheet are small
    pictures = tuple(
        _picture(job, found, index, endpoint, replace(tools, edge=edge))
        for index, found in enumerate(answer.found, start=1)
    )
    errors = [one.message for one in answer.errors]
    facts = {**answer.facts, "errors": errors} if errors else answer.facts
    run = run.but(pictures=pictures, reply=facts)
    if not pictures:
        told = "; ".join(errors) or answer.note
        fault = outcome.fault or Fault(message=told or "the reply holds no picture.")
        return run.but(status=Status.UNKNOWN, error=fault)
    # What could not be fetched yet was made, and paid for, all the same.
    made = sum(one.state in (PictureState.STORED, PictureState.URL_PENDING) for one in pictures)
    return run.but(
        status=outcome.status,
        error=outcome.fault,
        verdicts=judge(run.request, run.sent, pictures, facts),
        cost=catalog.actual(facts, made, run.sent, run.request, endpoint),
    )


def _picture(job: Job, found: wire.Found, index: int, endpoint: Endpoint, tools: Tools) -> Picture:
    picture = Picture(index=index, revised_prompt=found.revised_prompt, url=found.url)
    if found.base64 is not None:
        problem: list[str] = []
        kept = _keep(tools, _until_bad(found, problem))
        if not problem:
            return _looked_at(job, picture, kept, tools)
        picture = replace(picture, state=PictureState.QUARANTINED, sha256=kept.sha256, note=problem[0])
    if found.url:  # the way out when the base64 is absent or bad
        return _download(job, picture, endpoint, tools)
    return replace(picture, state=PictureState.QUARANTINED, note=picture.note or found.note)


def _until_bad(found: wire.Found, problem: list[str]) -> Iterator[bytes]:
    """Yield what can be decoded, and note why there is no more: every byte delivered is kept."""
    try:
        yield from found.chunks()
    except ValueError as fault:
        problem.append(plain(fault, 200))


def _keep(tools: Tools, chunks: Iterable[bytes]) -> Kept:
    return tools.store.keep(chunks, cap=wire.PICTURE, suffix_of=imaging.suffix_of)


def _download(job: Job, picture: Picture, endpoint: Endpoint, tools: Tools) -> Picture:
    into = tools.store.spool()
    try:
        url = picture.url or ""
        fault = wire.download(url, endpoint, into=into, control=job.control, mounts=tools.mounts)
        if fault:
            return replace(picture, state=PictureState.URL_PENDING, note=fault.message)
        with into.open("rb") as file:
            kept = _keep(tools, iter(lambda: file.read(1 << 16), b""))
    finally:
        into.unlink(missing_ok=True)
    return _looked_at(job, replace(picture, note=""), kept, tools)


def _looked_at(job: Job, picture: Picture, kept: Kept, tools: Tools) -> Picture:
    seen = imaging.inspect(kept.path, edge=tools.edge)
    if seen.thumb is not None:
        job.thumbs[kept.sha256] = seen.thumb
    return replace(
        picture,
        sha256=kept.sha256,
        bytes=kept.size,
        state=seen.state,
        mime=seen.mime,
        width=seen.width,
        height=seen.height,
        alpha=seen.alpha,
        note=seen.note,
    )


def fetch(endpoint: Endpoint, tools: Tools) -> Callable[[Job], Run]:
    """Return the work of fetching downloads that are still pending; the addresses cost nothing."""

    def carry(job: Job) -> Run:
        pictures = tuple(
            _download(job, one, endpoint, tools) if one.state is PictureState.URL_PENDING else one
            for one in job.run.pictures
        )
        if pictures == job.run.pictures:
            return job.run
        run = job.run.but(pictures=pictures)
        run = run.but(verdicts=judge(run.request, run.sent, pictures, run.reply))
        tools.store.update(run)
        return run

    return carry
