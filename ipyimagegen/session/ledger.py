"""The state of a session: the numbers of its runs, its calls in flight, and what it spent."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from ipyimagegen.core.background import POLL
from ipyimagegen.core.errors import NotInHistory, StoreError
from ipyimagegen.core.messages import _, ngettext
from ipyimagegen.core.plan import PlannedCall, check_caps
from ipyimagegen.core.request import Request
from ipyimagegen.core.run import Cost, ImageState, Ref, Run, Status, parse_id, parse_ids
from ipyimagegen.core.settings import Settings
from ipyimagegen.core.text import truncate
from ipyimagegen.session.call import Call
from ipyimagegen.store import Charge, Query, Store

_NOT_BILLED = (Status.NOT_SENT, Status.RATE_LIMITED, Status.REFUSED)
_PENDING = (ImageState.URL_PENDING, ImageState.UNREAD)


class Ledger:
    """Numbers, calls and spending of a session."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._session: str | None = None
        self._numbers: list[str] = []  # lasting ids; number 1 is the first
        self._recorded: set[str] = set()  # those with a record of this session
        self._recent: dict[str, None] = {}  # the same ids, the last shown at the end
        self._calls: dict[str, Call] = {}  # in flight, by lasting id
        self._paid: dict[str, tuple[object, int]] = {}  # lasting id to cell and number of requested images
        self._reused: Counter[str] = Counter()  # results shown again, by endpoint
        self._charging: set[str] = set()  # base URLs of servers whose responses named a cost

    def _find_session(self) -> str:
        """Return the session, created with its first run. Call with the lock held."""
        if self._session is None:
            self._session = self._store().new_session(datetime.now().astimezone().date())
        return self._session

    # Numbers

    def check_caps(self, calls: Sequence[PlannedCall], settings: Settings, cell: object) -> None:
        """Raise OverBudget when these calls exceed the limits of this cell or session."""
        with self._lock:
            paid = list(self._paid.values())
        before = sum(cell is not None and cell == paid_cell for paid_cell, _images in paid)
        check_caps(calls, settings, before=before, spent_images=sum(images for _cell, images in paid))

    def take(self, call: Call, cell: object = None) -> None:
        """Give a call that is to be sent the next number and its pending run; it is in flight from now on.

        `cell` identifies the running cell; None where there are no cells.
        """
        planned = call.planned
        with self._lock:
            call.run = run = Run(
                session=self._find_session(),
                number=len(self._numbers) + 1,
                identity=planned.request.identity,
                request=planned.request,
                sent=planned.sent,
                created=time.time(),
                cost=planned.estimate if planned.endpoint.free else Cost(),
                rerun_of=planned.rerun_of,
            )
            self.recall(run.id)
            self._recorded.add(run.id)
            self._calls[run.id] = call
            if planned.paid:
                self._paid[run.id] = (cell, planned.request.count)

    def resume(self, call: Call) -> None:
        """Take a stored run as in flight again: its job is asked for, and nothing is sent."""
        with self._lock:
            self._calls[call.run.id] = call

    def show(self, run: Run) -> Run | None:
        """Give a stored run that is shown a number; return its reuse record if it is new in this session."""
        with self._lock:
            self._reused[run.request.endpoint] += 1
            if run.id not in self._numbers:
                self.recall(run.id)
            if run.id in self._recorded:
                return None
            session, number = self._find_session(), self._numbers.index(run.id) + 1
            self._recorded.add(run.id)
            return run.replace(session=session, number=number, created=time.time(), reused_from=run.id)

    def recall(self, run_id: str) -> None:
        """Make a run that is shown the last run, which `-1` names; its number stays the same.

        So `@3` is the same image at every Run All. `-1` is not the highest number: a second Run All shows
        stored results, and `@-1` in a cell has to name the same image as the first time. Otherwise another
        edit would be billed.
        """
        with self._lock:
            # One assignment: an interrupt between two would lose the run.
            self._recent = {**{other: None for other in self._recent if other != run_id}, run_id: None}
            if run_id not in self._numbers:
                self._numbers.append(run_id)

    def number(self, run_id: str) -> int | None:
        """Return the number under which this session shows a run."""
        return self._numbers.index(run_id) + 1 if run_id in self._numbers else None

    def numbered(self) -> Sequence[tuple[int, Run]]:
        """Return the runs of this session in order of number."""
        runs = ((number, self._read(id_)) for number, id_ in enumerate(list(self._numbers), start=1))
        return [(number, run) for number, run in runs if run]

    def spending(self) -> tuple[Counter[Charge], Counter[str]]:
        """Return what the runs of this session add to the spending, and its reused results by endpoint."""
        charges = self._store().list_charges(Query(session=self._session)) if self._session else Counter()
        return Counter(
            {charge: count for charge, count in charges.items() if not charge.reused}
        ), self._reused

    @property
    def session(self) -> str | None:
        """The name of this session; None before its first run."""
        return self._session

    # Calls in flight

    def settle(self, call: Call) -> None:
        """Forget a call that has finished; what was certainly not billed is free to spend again.

        A call that never came to its record gives its number back, if no other was taken since.
        """
        run = call.run
        with self._lock:
            if run.cost.is_stated:
                self._charging.add(run.request.base_url)
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

    def wait_for_all(self) -> None:
        """Wait until no call is in flight."""
        for call in tuple(self._calls.values()):
            while not call.wait(POLL):
                pass

    def abandon_after_fork(self) -> None:
        """Abandon the calls in flight after a fork: they belong to the parent process."""
        for call in tuple(self._calls.values()):
            call.token.abandon()

    def live(self, request: Request) -> Call | None:
        """Return the call in flight for the same request, if any."""
        identity = request.identity
        with self._lock:
            return next((call for call in self._calls.values() if call.run.identity == identity), None)

    # Earlier runs of a request

    def has_cost(self, request: Request) -> bool:
        """Return whether a server named a cost: for this request, or in this session for any."""
        if request.base_url in self._charging:
            return True
        return any(run.cost.is_stated for run in self.find_identical(request.identity))

    def find_identical(self, identity: str) -> Sequence[Run]:
        """Return the runs of that identity, newest first, without reuse records."""
        return self._store().find_identical(identity)

    def find_same_question(self, question: str) -> Sequence[Run]:
        """Return the runs of the same request to any server, newest first, without reuse records."""
        return self._store().find_same_question(question)

    def usable(self, run: Run) -> bool:
        """Return whether some image of the run can be shown or still be fetched; files are hashed again."""
        return any(
            image.state in _PENDING or (image.whole and self._store().verify(image.sha256 or ""))
            for image in run.images
        )

    def as_it_is(self, run: Run) -> Run:
        """Return the run with those images marked whose files are missing or changed."""
        images = tuple(
            replace(image, state=ImageState.DAMAGED, note="")
            if image.state is ImageState.STORED and not self._store().verify(image.sha256 or "")
            else image
            for image in run.images
        )
        return run if images == run.images else run.replace(images=images)

    def in_flight(self) -> frozenset[str]:
        """Return the ids of the runs that this process is sending."""
        with self._lock:
            return frozenset(self._calls)

    def has_response(self, run: Run) -> bool:
        """Return whether the store holds an unread response to the run."""
        try:
            return any(
                other.id == run.id and spool.stat().st_size for spool, other in self._store().list_responses()
            )
        except (OSError, StoreError):
            return False

    # Finding

    def find_all(self, text: str, *, wait: bool = False) -> list[tuple[Run, int | None]]:
        """Return the runs of ids and ranges, which blanks or commas separate; see `find`.

        A range holds the runs of its session between its ends. Raises NotInHistory where an end does not
        exist.
        """
        return [pair for ref in parse_ids(text) for pair in self._find_range(ref, wait=wait)]

    def _find_range(self, ref: Ref, *, wait: bool) -> list[tuple[Run, int | None]]:
        first = self._find(replace(ref, last=None), wait=wait)
        if not ref.last or ref.last == ref.number:
            return [first]
        last = self._find(Ref(ref.last, session=ref.session), wait=wait)
        if not ref.session:
            between = [run for number, run in self.numbered() if ref.number < number < ref.last]
        else:
            runs = reversed(self._store().find(Query(session=ref.session)))
            between = [run for run in runs if ref.number < run.number < ref.last]
        return [first, *((self._resolve(run, wait=wait), None) for run in between), last]

    def find(self, text: str, *, wait: bool = False) -> tuple[Run, int | None]:
        """Return the run of an id, and the number of the image if it names an image.

        With `wait`, a run in flight is returned once its call has ended. Raises NotInHistory, naming the
        newest runs of that number in other sessions.
        """
        return self._find(parse_id(text), wait=wait)

    def _find(self, ref: Ref, *, wait: bool) -> tuple[Run, int | None]:
        if ref.session:
            run = self._read(f"{ref.session}/{ref.number}")
            if not run:
                raise NotInHistory(_("There is no run {ref}.", ref=str(ref)))
        else:
            run = self._find_own(ref.number)
        run = self._resolve(run, wait=wait)
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

    def _read(self, run_id: str) -> Run | None:
        """Return a run of the store, or of a call that waits to be sent and has no record yet."""
        call = self._calls.get(run_id)
        return self._store().run(run_id) or (call.run if call else None)

    def _resolve(self, run: Run, *, wait: bool) -> Run:
        """Return the run itself in place of a record that only reused it; with `wait`, as it has ended."""
        while wait and (call := self._calls.get(run.id)):
            call.wait(POLL)
        return (self._read(run.reused_from or run.id) if wait or run.reused_from else None) or run

    def _find_own(self, number: int) -> Run:
        run_ids = self._numbers if number > 0 else list(self._recent)
        index = number - 1 if number > 0 else len(run_ids) + number
        if 0 <= index < len(run_ids) and (run := self._read(run_ids[index])):
            return run
        others = self._store().runs(number=number, limit=3) if number > 0 else []
        runs = "; ".join(f"{run.id} {truncate(run.request.prompt, 40)!r}" for run in others)
        values = {"number": number, "count": len(self._numbers) or _("none yet"), "runs": runs}
        message = _("There is no run {number}; this session has {count}.", **values)
        if runs:
            message = _(
                "There is no run {number}; this session has {count}.\nIn other sessions: {runs}.", **values
            )
        raise NotInHistory(message)
