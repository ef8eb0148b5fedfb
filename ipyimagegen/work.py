"""One planned call carried through, by a thread of its own: pending, send, keep, done.

A `Job` stores what it gets by itself; showing never decides about keeping. The thread that waits for
it only waits, so an interrupt ends the cell while the job goes on. A `Gate` holds what the calls to
one endpoint share: how many run at once, and the pause after a 429.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ipyimagegen import catalog, imaging, keys, wire
from ipyimagegen.errors import CallError, ImagineError, StoreError
from ipyimagegen.plan import Planned
from ipyimagegen.records import ERRORS, Fault, Picture, PictureState, Run, Status
from ipyimagegen.safe import plain, redact
from ipyimagegen.store import Store
from ipyimagegen.verdicts import judge

_BILLED = {Status.UNKNOWN: None, Status.DONE: None}
_STATE_OF_BILL = {
    Status.NEVER_SENT: "Nothing was sent, nothing was billed.",
    Status.REJECTED: "It was not executed, so nothing was billed.",
    Status.REFUSED: "Nothing was billed for a picture.",
    Status.UNKNOWN: "It may have been billed; --retry asks again.",
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

    def wait(self, cancelled: threading.Event) -> None:
        """Wait until calls may be sent, or the call is cancelled."""
        while (left := self._until - time.monotonic()) > 0 and not cancelled.wait(min(left, 0.2)):
            pass


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What every job needs: where to keep, how to send."""

    store: Store
    mounts: Mapping[str, Any] = field(default_factory=dict)
    timeouts: wire.Timeouts | None = None
    edge: int = 768  # pixels of the thumbs that are made while the picture is decoded anyway


class Job:
    """A call in flight. `run` is its newest record, `error` why it brought no picture."""

    def __init__(
        self, planned: Planned, run: Run, secret: keys.Secret | None, gate: Gate, tools: Tools
    ) -> None:
        self.planned = planned
        self.run = run
        self.thumbs: dict[str, Any] = {}  # sha256 to a small Pillow image
        self.error: ImagineError | None = None
        self.control = wire.Control()
        self.started = time.monotonic()
        self._secret = secret
        self._gate = gate
        self._tools = tools
        self._finished = threading.Event()
        self._cancelled = threading.Event()

    def start(self) -> None:
        """Begin, in a daemon thread: a kernel that ends does not wait for a server."""
        threading.Thread(target=self._carry, name=f"imagine {self.run.id}", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait that long at most; say whether it has finished."""
        return self._finished.wait(seconds)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self._finished.is_set()

    def cancel(self) -> None:
        """Give the call up: what was sent may be billed."""
        self._cancelled.set()
        self.control.cancel()

    def _carry(self) -> None:
        try:
            with self._gate:
                self._send_and_keep()
        except ImagineError as fault:
            self.error = fault
        except Exception as fault:  # noqa: BLE001 - a thread has nobody to raise to
            self.error = StoreError(f"{self.run.id}: {plain(type(fault).__name__)}: {plain(fault, 200)}")
        finally:
            self._finished.set()

    def _send_and_keep(self) -> None:
        call = wire.write(self.run.request, self.planned.sent, self.planned.endpoint)
        key = uuid.uuid4().hex
        self.run = self.run.but(
            sent=_sent(self.planned, idempotency_key=key, body=wire.shown(call)),
        )
        self._tools.store.create(self.run)
        outcome = self._repeat(lambda: self._exchange(call, key))
        elapsed = time.monotonic() - self.started
        run = self.run.but(elapsed=elapsed, sent=_sent(self.run, request_id=outcome.request_id))
        if outcome.answer is None or outcome.fault:
            self.run = run.but(status=outcome.status, error=outcome.fault)
        else:
            self.run = self._kept(run, outcome.answer)
        if outcome.answer:
            outcome.answer.close()
        self._tools.store.update(self.run)
        if self.run.status is not Status.DONE or not self.run.shown:
            self.error = error_of(self.run)

    def _exchange(self, call: wire.Call, key: str) -> wire.Outcome:
        self._gate.wait(self._cancelled)
        self.run = self.run.but(sent=_sent(self.run, attempts=self.run.sent.attempts + 1))
        return wire.exchange(
            call,
            self.planned.endpoint,
            self._secret,
            spool=self._tools.store.spool(),
            control=self.control,
            timeouts=self._tools.timeouts or wire.Timeouts(),
            mounts=self._tools.mounts,
            idempotency_key=key,
        )

    def _repeat(self, exchange: Callable[[], wire.Outcome]) -> wire.Outcome:
        attempt = 0
        while True:
            outcome = exchange()
            pause = wire.repeat_after(
                outcome, attempt, random=random.random, elapsed=time.monotonic() - self.started
            )
            if pause is None or self._cancelled.is_set():
                return outcome
            if outcome.status is Status.REJECTED:
                self._gate.rest(pause)  # the others of this endpoint slow down too
            elif self._cancelled.wait(pause):
                return outcome
            attempt += 1

    def _kept(self, run: Run, answer: wire.Answer) -> Run:
        pictures = tuple(self._picture(i, found) for i, found in enumerate(answer.found, start=1))
        if not pictures:
            text = "; ".join(plain(one.message, 300) for one in answer.errors) or "the reply holds no picture"
            return run.but(status=Status.UNKNOWN, error=Fault(message=text), reply=answer.facts)
        request, facts = run.request, answer.facts
        shown = sum(1 for p in pictures if p.state is PictureState.STORED)
        return run.but(
            status=Status.DONE,
            pictures=pictures,
            reply=facts,
            verdicts=judge(request, run.sent, pictures, facts),
            cost=catalog.actual(facts, shown, run.sent, request, self.planned.endpoint),
        )

    def _picture(self, index: int, found: wire.Found) -> Picture:
        base = Picture(index=index, revised_prompt=found.revised_prompt)
        if found.url:
            return fetched(base_with(base, url=found.url), self.planned, self._tools, self.thumbs)
        try:
            kept = self._tools.store.keep(found.chunks(), cap=wire.PICTURE_CAP, suffix_of=imaging.suffix)
        except ValueError as fault:
            return base_with(base, state=PictureState.QUARANTINED, note=plain(fault, 200))
        return looked_at(base, kept, self._tools, self.thumbs)


def base_with(picture: Picture, **changes: Any) -> Picture:
    """Return the picture with these fields changed."""
    return Picture(**{**vars(picture), **changes})
