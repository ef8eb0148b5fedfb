"""Each image of a stream, shown while the rest is still on its way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from ipyimagegen.client.assembly import EVENTS
from ipyimagegen.client.events import Splitter, said
from ipyimagegen.client.found import ResponseImage
from ipyimagegen.client.reply import Spool
from ipyimagegen.core.options import Json

A_SECOND = 4  # images; the newest one wins


class Previews:
    """Reads along what goes into a spool and tells of each image whose event is whole.

    Of `n` images the last finished one is not told of: it comes with the answer. A failure in here,
    or in `tell`, ends the telling and nothing else.
    """

    def __init__(
        self,
        tell: Callable[[ResponseImage], None],
        look: Callable[[Mapping[str, Json]], ResponseImage | None],
        *,
        spool: Spool,
        n: int,
        clock: Callable[[], float],
    ) -> None:
        self._tell, self._look, self._spool, self._clock = tell, look, spool, clock
        self._left = n
        self._splitter = Splitter()
        self._told: deque[float] = deque(maxlen=A_SECOND)
        self._waiting: ResponseImage | None = None
        self._events = 0
        self._over = False

    def feed(self, written: bytes) -> None:
        """Take in what the spool's file got; raises nothing."""
        if self._over:
            return
        try:
            self._read(written)
        except Exception:  # noqa: BLE001 - what is shown on the way never decides about the call
            self._over, self._waiting = True, None

    def _read(self, written: bytes) -> None:
        self._told_of(self._waiting)
        for event in self._splitter.feed(written):
            self._events += 1
            for one in said(event, self._spool.path):
                self._over |= one.done or self._events > EVENTS
                for image in one.images if not self._over else ():
                    self._left -= not image["partial"] and not one.kind.endswith("succeeded")
                    if self._left > 0 or image["partial"]:
                        self._told_of(self._look(image))

    def _told_of(self, found: ResponseImage | None) -> None:
        """Tell of an image now or, when it is too early, with what comes next."""
        if found is None:
            return
        now = self._clock()
        if len(self._told) == A_SECOND and now - self._told[0] < 1:
            self._waiting = found
            return
        self._told.append(now)
        self._waiting = None
        self._tell(found)
