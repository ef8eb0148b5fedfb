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
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ipyimagegen import catalog, imaging, wire
from ipyimagegen.errors import ImagineError, StoreError
from ipyimagegen.keys import Secret
from ipyimagegen.plan import Planned
from ipyimagegen.records import ERRORS, Cost, Fault, Picture, PictureState, Run, Status
from ipyimagegen.safe import plain
from ipyimagegen.store import Kept, Store
from ipyimagegen.verdicts import judge

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.rows import Endpoint

SAME_MOMENT = 1.0  # seconds between two runs that may not have seen each other when they were planned
REPLY = 1 << 30  # bytes: no reply is larger, the wire sees to that
STEP = 0.2  # seconds between two looks at whether a waiting call is cancelled

_BILL: Mapping[Status, tuple[bool | None, str]] = {
    Status.NEVER_SENT: (False, "Nothing was sent, nothing billed."),
    Status.REJECTED: (False, "It was not carried out, nothing billed."),
    Status.REFUSED: (False, "No picture was made."),
    Status.UNKNOWN: (None, "It may have been billed; --retry asks again."),
    Status.DONE: (None, "It was probably billed; --retry asks again."),
}


# The bytes' hash and the longest edge in pixels, to a small picture.
Thumbs: TypeAlias = "dict[tuple[str, int], PilImage]"


class Gate:
    """What the calls to one endpoint share. `rest(seconds)` makes all of them wait before sending."""

    def __init__(self, parallel: int) -> None:
        self._places = threading.BoundedSemaphore(parallel)
        self._until = 0.0

    def rest(self, seconds: float) -> None:
        """Let no call be sent for that long."""
        self._until = max(self._until, time.monotonic() + seconds)

    @contextmanager
    def place(self, control: wire.Control) -> Iterator[None]:
        """Hold one of the places; a call that is cancelled while it waits goes on without one."""
        held = False
        while not held and not control.cancelled:
            held = self._places.acquire(timeout=STEP)
        try:
            yield
        finally:
            if held:
                self._places.release()

    def wait(self, control: wire.Control) -> None:
        """Wait until calls may be sent, or the call is cancelled."""
        while (left := self._until - time.monotonic()) > 0 and not control.wait(min(left, STEP)):
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

    def __init__(
        self, run: Run, carry: Callable[[Job], Run], told: Callable[[Job], None], *, recorded: bool = False
    ) -> None:
        self.run = run
        self.error: ImagineError | None = None
        self.thumbs: Thumbs = {}  # the small pictures made while checking
        self.control = wire.Control()
        self.started = time.monotonic()
        self.interrupted = False  # the person who waited for it stopped the cell
        self.recorded = recorded  # its record is on disk
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
            try:
                self._told(self)
            finally:  # whatever happens, nobody waits for ever
                self._finished.set()


def error_of(run: Run) -> ImagineError | None:
    """Return why the run has nothing to show, or None when it has."""
    if run.shown:
        return None
    billed, words = _BILL.get(run.status, _BILL[Status.UNKNOWN])
    if run.cost.basis == "free":
        billed, words = False, "It costs nothing: run the cell again."
    if any(one.state is PictureState.URL_PENDING for one in run.pictures):
        words = f"It was probably billed; %imagine_show {run.id} tries again to fetch it."
    fault = run.error or Fault(message=_no_picture(run))
    kind = ERRORS.get(run.status, ERRORS[Status.UNKNOWN])
    return kind(
        f"{fault.message}\n{words}",
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
        key = os.urandom(16).hex()

        def post() -> wire.Outcome:
            spool = tools.store.spool()
            outcome = wire.exchange(
                written,
                planned.endpoint,
                secret,
                spool=spool,
                control=job.control,
                timeouts=tools.timeouts,
                mounts=tools.mounts,
                idempotency_key=key,
            )
            if outcome.spool is None:
                spool.unlink(missing_ok=True)
            return outcome

        with gate.place(job.control):
            job.run = job.run.but(sent=replace(planned.sent, idempotency_key=key, body=written.shown))
            tools.store.create(job.run)
            job.recorded = True
            began = time.monotonic()
            outcome = _rival(job.run, planned, tools.store) or _repeated(job, gate, post)
        sent = replace(job.run.sent, request_id=outcome.request_id)
        job.run = job.run.but(sent=sent, elapsed=round(time.monotonic() - began, 3))
        run = _with_raw(_received(job, outcome, planned.endpoint, tools), outcome, tools)
        whole = _written(run, tools)
        if outcome.spool and whole:  # only now is everything that it held in the store
            outcome.spool.unlink(missing_ok=True)
        elif outcome.spool:
            run = _noted(run, f"what the server sent is kept in {outcome.spool}")
        return run

    return carry


def _rival(run: Run, planned: Planned, store: Store) -> wire.Outcome | None:
    """Return that nothing was sent when another notebook began the same paid call at this moment.

    Both records are on disk before either is sent, so at least one of the two sees the other.
    """
    if not planned.paid or planned.insists:
        return None
    for one in store.with_identity(run.identity):
        apart = abs(one.created - run.created)
        if one.session != run.session and one.status is Status.PENDING and apart < SAME_MOMENT:
            told = f"Another notebook asks for the same at this moment ({one.id}). Run the cell again later."
            return wire.Outcome(status=Status.NEVER_SENT, fault=Fault(message=told), final=True)
    return None


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


def _with_raw(run: Run, outcome: wire.Outcome, tools: Tools) -> Run:
    """Return the run with its reply kept, unopened, where not all of it became pictures."""
    whole = all(one.state in (PictureState.STORED, PictureState.URL_PENDING) for one in run.pictures)
    if outcome.spool is None or (run.status is Status.DONE and whole):
        return run
    try:
        with outcome.spool.open("rb") as file:
            chunks = iter(lambda: file.read(1 << 16), b"")
            kept = tools.store.keep(chunks, cap=REPLY, suffix_of=lambda _: None)
    except (StoreError, OSError):
        return run
    return run.but(raw=kept.sha256)


def _written(run: Run, tools: Tools) -> bool:
    """Write the record, and say whether it and every picture reached the disk."""
    try:
        tools.store.update(run)
    except StoreError:
        return False
    return not any(one.state is PictureState.UNWRITTEN for one in run.pictures)


def _noted(run: Run, note: str) -> Run:
    return run.but(sent=replace(run.sent, notes=(*run.sent.notes, note)))


def _received(job: Job, outcome: wire.Outcome, endpoint: Endpoint, tools: Tools) -> Run:
    """Return the run with what the outcome brought: pictures in the store, verdicts, cost."""
    answer, run = outcome.answer, job.run
    if answer is None:
        cost = run.cost if outcome.status is Status.UNKNOWN else Cost(basis="none")
        return run.but(status=outcome.status, error=outcome.fault, cost=cost)
    edge = imaging.edge_of(len(answer.found))
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
        status = Status.UNKNOWN if outcome.status is Status.DONE else outcome.status
        return run.but(status=status, error=fault)
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
    try:
        return _stored(job, found, picture, endpoint, tools)
    except StoreError as fault:  # the next one may still find its place
        return replace(picture, state=PictureState.UNWRITTEN, note=plain(fault, 200))


def _stored(job: Job, found: wire.Found, picture: Picture, endpoint: Endpoint, tools: Tools) -> Picture:
    if found.base64 is not None:
        problem: list[str] = []
        kept = _keep(tools, _until_bad(found, problem))
        if not problem:
            seen = _looked_at(job, picture, kept, tools)
            if found.partial and seen.state is PictureState.STORED:
                return replace(
                    seen, state=PictureState.PARTIAL, note="the stream ended before it was finished"
                )
            return seen
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
        job.thumbs[kept.sha256, tools.edge] = seen.thumb
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
