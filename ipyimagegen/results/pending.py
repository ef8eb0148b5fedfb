"""The result of a request that nobody waits for: its calls run in the background."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import Any, TypeAlias

from ipyimagegen.core.background import POLL, run_in_background
from ipyimagegen.core.messages import _
from ipyimagegen.core.plan import Plan
from ipyimagegen.core.run import Status
from ipyimagegen.core.text import DOT, truncate
from ipyimagegen.results.sweep import Result


class Pending:
    """The result of a request while its calls run in the background; it becomes the result itself.

    Whatever a result has waits for it: `pending.prompt`, `pending[0].pil`, `pending.save(…)`. It can be used
    as an input image, and its attributes in a prompt. The call goes on whether or not anybody waits.

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

        Raises TimeoutError after `timeout` seconds; otherwise what `imagine` raises. An interrupt ends the
        wait; the calls go on.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        while not self.batch.wait(POLL if ends is None else max(0.0, min(POLL, ends - time.monotonic()))):
            if ends is not None and time.monotonic() >= ends:
                raise TimeoutError(_("The images are not there after {seconds:g} s.", seconds=timeout))
        with self._lock:
            if self._result is None:
                self._result = self._gather()
            return self._result

    def cancel(self) -> None:
        """Give the calls up. Those that were sent may be billed; what has arrived is kept."""
        self.batch.cancel()

    @property
    def status(self) -> Status:
        """`pending` until the calls have ended; then the outcome, of a sweep `done` if an image came."""
        if not self.done():
            return Status.PENDING
        statuses = [call.run.status for call in self.batch.calls if not call.planned.unknown_outcome]
        return Status.DONE if Status.DONE in statuses else next(iter(statuses), Status.UNKNOWN)

    def __await__(self) -> Generator[Any, None, Result]:
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()  # so that a cancelled await leaves it alone

        def wait() -> None:
            try:
                future.set_result(self.result())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
                future.set_exception(error)

        run_in_background(wait, "await")
        return asyncio.wrap_future(future).__await__()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what IPython and pickle look for is not worth a wait
            raise AttributeError(name)
        return getattr(self.result(), name)

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
            raise NotImplementedError  # IPython then shows the text
        self._show(self)


Returned: TypeAlias = Result | Pending | Plan  # by a Python call: a plan for a dry run
