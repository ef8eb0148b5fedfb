"""The state of a session: the numbers of its runs, its calls in flight, and what it spent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from ipyimagegen.core.errors import NotInHistory, StoreError
from ipyimagegen.core.messages import Message, _, ngettext
from ipyimagegen.core.plan import PlannedCall, check_caps
from ipyimagegen.core.request import Request
from ipyimagegen.core.run import Cost, ImageRecord, ImageState, Ref, Run, Status, parse_id
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.text import truncate
from ipyimagegen.session.call import Call
from ipyimagegen.store import Store

_NOT_BILLED = (Status.NOT_SENT, Status.RATE_LIMITED, Status.REFUSED)


class Ledger:
    """Numbers, calls and spending of a session."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._open = store
        self._lock = threading.RLock()
        self._session: str | None = None
        self._numbers: list[str] = []  # lasting ids; number 1 is the first
        self._recorded: set[str] = set()  # those with a record of this session
        self._recent: dict[str, None] = {}  # the same ids, the last shown at the end
        self._calls: dict[str, Call] = {}  # in flight, by lasting id
        self._paid: dict[
            str, tuple[object, int]
        ] = {}  # lasting id to its cell and the number of requested images
        self._reused = 0

    @property
    def _store(self) -> Store:
        return self._open()

    def _find_session(self) -> str:
        """Return the session, created with its first run. Call with the lock held."""
        if self._session is None:
            self._session = self._store.new_session(datetime.now().astimezone().date())
        return self._session

    @property
    def session(self) -> str | None:
        """The session's name, or None before its first run."""
        return self._session

    # Numbers

    def check_caps(self, calls: Sequence[PlannedCall], settings: Settings, cell: object) -> None:
        """Raise OverBudget when these calls exceed the limits of this cell or session."""
        with self._lock:
            paid = list(self._paid.values())
        before = sum(cell is not None and cell == paid_cell for paid_cell, _images in paid)
        check_caps(calls, settings, before=before, spent_images=sum(images for _cell, images in paid))

    def take(self, calls: Sequence[PlannedCall], settings: Settings, cell: object = None) -> list[Run]:
        """Give each call the next number, in order, and return a pending run for each that is to be sent.

        `cell` identifies the running cell; None where there are no cells. The limits are checked under the
        same lock, so that two threads cannot both use the rest of the budget. Raises OverBudget; then no
        number was taken.
        """
        with self._lock:
            self.check_caps(calls, settings, cell)
            runs = []
            for call in calls:
                if not call.asks:
                    if call.answered:
                        self.recall(call.answered)
                    continue
                session = self._find_session()
                run = Run(
                    session=session,
                    number=len(self._numbers) + 1,
                    identity=call.request.identity,
                    request=call.request,
                    sent=call.sent,
                    created=time.time(),
                    cost=call.estimate if call.endpoint.free else Cost(),
                    rerun_of=call.rerun_of,
                )
                self._numbers.append(run.id)
                self._recorded.add(run.id)
                self._touch(run.id)
                if call.paid:
                    self._paid[run.id] = (cell, call.request.count)
                runs.append(run)
            return runs

    def show(self, run: Run) -> tuple[int, Run | None]:
        """Return the number of a stored run in this session, and the reuse record if it is new here."""
        with self._lock:
            session = self._find_session()
            self._reused += 1
            if run.id not in self._numbers:
                self.recall(run.id)
            number = self._numbers.index(run.id) + 1
            if run.id in self._recorded:
                return number, None
            self._recorded.add(run.id)
            again = run.replace(session=session, number=number, created=time.time(), reused_from=run.id)
            return number, again

    def recall(self, run_id: str) -> None:
        """Make a run that is shown the last run; its number stays the same.

        So `@3` is the same image at every Run All; otherwise another edit would be billed.
        """
        with self._lock:
            self._touch(run_id)
            if run_id not in self._numbers:
                self._numbers.append(run_id)

    def _touch(self, run_id: str) -> None:
        """Make a run the last run, which `-1` names. Call with the lock held.

        `-1` is not the highest number: a second Run All shows stored results, and `@-1` in a cell has to name
        the same image as the first time; otherwise another edit would be billed.
        """
        self._recent.pop(run_id, None)
        self._recent[run_id] = None

    def number(self, run_id: str) -> int | None:
        """Return the number under which this session shows a run."""
        return self._numbers.index(run_id) + 1 if run_id in self._numbers else None

    def numbered(self) -> Sequence[tuple[int, Run]]:
        """Return the runs of this session in order of number."""
        runs = ((number, self._store.run(id_)) for number, id_ in enumerate(list(self._numbers), start=1))
        return [(number, run) for number, run in runs if run]

    def spending(self) -> tuple[list[Run], int]:
        """Return the runs that this session sent, and how many results it reused."""
        return [run for _n, run in self.numbered() if run.session == self.session], self._reused

    # Calls in flight

    def add(self, call: Call) -> None:
        """Remember a call while it is in flight."""
        with self._lock:
            self._calls[call.run.id] = call

    def settle(self, call: Call) -> None:
        """Forget a call that has finished; what was certainly not billed is free to spend again.

        A call that never came to its record gives its number back, if no other was taken since.
        """
        run = call.run
        with self._lock:
            self._calls.pop(run.id, None)
            if run.status in _NOT_BILLED or not call.recorded:
                self._paid.pop(run.id, None)
            if run.status is Status.NOT_SENT:
                self._recent.pop(run.id, None)  # `-1` is what was shown before
            if not call.recorded:
                self._recorded.discard(run.id)
                self._recent.pop(run.id, None)
                if self._numbers[-1:] == [run.id]:
                    self._numbers.pop()

    def abandon_after_fork(self) -> None:
        """In a fork: let go of the calls in flight. They belong to the parent."""
        for call in tuple(self._calls.values()):
            call.token.abandon()

    def live(self, request: Request) -> Call | None:
        """Return the call in flight for the same request, if any."""
        identity = request.identity
        with self._lock:
            return next((call for call in self._calls.values() if call.run.identity == identity), None)

    # Earlier runs of a request

    def find_identical(self, identity: str) -> Sequence[Run]:
        """Return the runs of that identity, newest first, without reuse records."""
        return self._store.find_identical(identity)

    def find_same_question(self, question: str) -> Sequence[Run]:
        """Likewise, whatever server was asked."""
        return self._store.find_same_question(question)

    def usable(self, run: Run) -> bool:
        """Return whether some image of the run can be shown or still be fetched; files are hashed again."""
        pending = (ImageState.URL_PENDING, ImageState.UNREAD)
        return any(self._is_stored(image) or image.state in pending for image in run.images)

    def _is_stored(self, image: ImageRecord) -> bool:
        sha256 = image.sha256 if image.whole else None
        return bool(sha256 and self._store.verify(sha256))

    def as_it_is(self, run: Run) -> Run:
        """Return the run with those images marked whose files are missing or changed."""
        damaged = {
            image.index: replace(image, state=ImageState.DAMAGED, note="")
            for image in run.images
            if image.state is ImageState.STORED and not self._is_stored(image)
        }
        return run.replace(images=tuple(damaged.get(image.index, image) for image in run.images))

    def in_flight(self) -> frozenset[str]:
        """Return the ids of the runs that this process is sending."""
        with self._lock:
            return frozenset(self._calls)

    def has_response(self, run: Run) -> bool:
        """Return whether the store holds an unread response to the run."""
        try:
            return any(
                other.id == run.id and spool.stat().st_size for spool, other in self._store.list_responses()
            )
        except (OSError, StoreError):
            return False

    # Finding

    def find(self, text: str) -> tuple[Run, int | None]:
        """Return the run of an id, and the number of the image if it names an image.

        Raises NotInHistory, naming the newest runs of that number in other sessions.
        """
        ref = parse_id(text)
        if ref.session:
            run = self._store.run(f"{ref.session}/{ref.number}")
            if not run:
                raise NotInHistory(_("There is no run {ref}.", ref=str(ref)))
        else:
            run = self._find_own(ref)
        if run.reused_from:
            run = self._store.run(run.reused_from) or run
        if ref.image and not 1 <= ref.image <= len(run.images):
            raise NotInHistory(
                ngettext(
                    "Run {run} has {count} image; there is no image {image}.",
                    "Run {run} has {count} images; there is no image {image}.",
                    len(run.images),
                    run=run.id,
                    image=ref.image,
                )
            )
        return run, ref.image

    def _find_own(self, ref: Ref) -> Run:
        run_ids = self._numbers if ref.number > 0 else list(self._recent)
        index = ref.number - 1 if ref.number > 0 else len(run_ids) + ref.number
        run = self._store.run(run_ids[index]) if 0 <= index < len(run_ids) else None
        if run:
            return run
        raise NotInHistory(self._describe_missing(ref.number))

    def _describe_missing(self, number: int) -> Message:
        others = self._store.runs(number=number, limit=3) if number > 0 else []
        runs = "; ".join(f"{run.id} {truncate(run.request.prompt, 40)!r}" for run in others)
        values = {"number": number, "count": len(self._numbers) or _("none yet"), "runs": runs}
        if runs:
            return _(
                "There is no run {number}; this session has {count}.\nIn other sessions: {runs}.", **values
            )
        return _("There is no run {number}; this session has {count}.", **values)
