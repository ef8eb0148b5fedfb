"""The result of a request that nobody waits for: its calls run in the background."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Awaiting
from numbers import Integral
from typing import Any, TypeAlias

from ipyimagegen.core.background import POLL
from ipyimagegen.core.errors import Detached, ImagineError, InvalidInput
from ipyimagegen.core.messages import Remedy, _
from ipyimagegen.core.plan import Plan
from ipyimagegen.core.run import Run, Status
from ipyimagegen.core.text import DOT, truncate
from ipyimagegen.core.user_input import list_elements
from ipyimagegen.results.generation import Generation
from ipyimagegen.results.image import Bundle, Image
from ipyimagegen.results.sweep import Result, Sweep


class Pending:
    """The result of a request whose calls run in the background.

    The attributes and methods of the result wait for it: `pending.prompt`, `pending[0].pil`. A pending result
    can be an input image, and its attributes can stand in a prompt. The calls go on if nobody waits.

        pending = imagine("a red fox", wait=False)
        fox = await pending                # or pending.result(timeout=60)
    """

    def __init__(
        self, batch: Any, gather: Callable[[], Result], show: Callable[[Pending], None] | None
    ) -> None:
        self.batch = batch  # the calls: a Batch of the session, which results do not import
        self._gather = gather
        self._show = show
        self._lock = threading.Lock()
        self._result: Result | None = None

    def done(self) -> bool:
        """Return whether the calls have ended, with images or without."""
        return bool(self.batch.settled)

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result and return it, a `Generation` or a `Sweep`.

        Raises TimeoutError after `timeout` seconds, Detached when the wait is interrupted: the calls go on.
        Otherwise it raises what `imagine` raises.
        """
        ends, is_stopped = math.inf if timeout is None else time.monotonic() + timeout, False
        try:
            while not self.batch.wait(max(0.0, min(POLL, ends - time.monotonic()))):
                if time.monotonic() >= ends:
                    seconds = max(0.0, timeout or 0.0)
                    raise TimeoutError(_("No result after {seconds:g} s. The call goes on.", seconds=seconds))
        except KeyboardInterrupt:
            is_stopped = True
        if is_stopped:
            message = _("Stopped waiting. The call goes on.")
            raise Detached(message, billed=None, remedy=Remedy.WAIT, run=self.runs[0].id)
        with self._lock:
            if self._result is None:
                self._result = self._gather()
            return self._result

    def cancel(self) -> None:
        """Abandon the calls, unless another result waits for them.

        Those that were sent may be billed; what has arrived is kept.
        """
        self.batch.cancel()

    @property
    def runs(self) -> tuple[Run, ...]:
        """The current records of its runs, which have a number before they are sent."""
        return tuple(call.run for call in self.batch.calls if not call.planned.unknown_outcome)

    @property
    def status(self) -> Status:
        """`pending` until the calls have ended; then the outcome, of a sweep `done` if an image came."""
        if not self.done():
            return Status.PENDING
        statuses = [run.status for run in self.runs]
        if Status.DONE in statuses:
            return Status.DONE
        if any(call.unsent for call in self.batch.calls):
            return Status.NOT_SENT
        return next(iter(statuses), Status.UNKNOWN)

    def __await__(self) -> Awaiting[Any, None, Result]:
        while not self.done():  # an interrupt or a cancelled task ends the wait after one step
            yield from asyncio.sleep(POLL).__await__()
        return self.result()

    def __getattr__(self, name: str) -> Any:
        if name not in _MEMBERS:  # what libraries look for in any object is not worth a wait
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.result(), name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_MEMBERS})

    def __reduce__(self) -> Any:
        if not self.done():
            raise InvalidInput(_("A pending result cannot be pickled. Wait for it first: pending.result()."))
        return self.result().__reduce__()

    def __getitem__(self, index: Any) -> Any:
        return self.result()[index]

    def __len__(self) -> int:
        return len(self.result())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.result())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        if self._result is not None:
            return repr(self._result)
        prompt = truncate(self.batch.plan.calls[0].request.prompt, 60)
        return f"Pending: {prompt!r}{DOT}{self.status}"

    def _ipython_display_(self) -> None:
        if self._show is None:
            raise NotImplementedError  # IPython then uses the mimebundle
        self._show(self)

    def _repr_mimebundle_(self, **options: Any) -> Bundle:
        """Wait, and return what the result shows; for an output of a display id, which is saved as it is."""
        try:
            return self.result()._repr_mimebundle_(**options)
        except ImagineError as error:
            return {"text/plain": str(error)}, {}


_MEMBERS = {
    name
    for kind in (Generation, Sweep)
    for name in (*dir(kind), *getattr(kind, "__dataclass_fields__", ()))
    if not name.startswith("_")
}
Returned: TypeAlias = Result | Pending | Plan  # by a Python call: a plan for a dry run


def list_ids(value: object) -> list[str]:
    """Return the ids of runs and images that a value holds: a result, a text, a number or a list of them.

    Raises TypeError for a value of another kind.
    """
    if isinstance(value, (Generation, Image)):
        return [value.id]
    if isinstance(value, Pending):
        return [run.id for run in value.runs]
    if isinstance(value, str):
        return [value]
    if isinstance(value, Integral) and not isinstance(value, bool):
        return [str(int(value))]
    is_sequence = isinstance(value, Sequence) and not isinstance(value, bytes)
    elements: Any = value if is_sequence else list_elements(value)
    if elements is None:
        raise TypeError(type(value).__name__)
    return [id_ for element in elements for id_ in list_ids(element)]
