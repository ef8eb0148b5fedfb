"""What came: images into the store, looked at, judged, and what they cost.

Whatever a server delivered is on disk before anybody decides whether it can be shown.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from ipyimagegen import catalog, client, imaging
from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.mismatches import find_mismatches
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import Cost, ErrorInfo, ImageRecord, ImageState, Mismatch, Run, Status
from ipyimagegen.core.text import sanitize
from ipyimagegen.results.captions import OUTSIDE, changed_outside
from ipyimagegen.store import Store, StoredBlob

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.session.keys import ApiKey

_PENDING = (ImageState.URL_PENDING, ImageState.UNREAD)  # made, and to be had later
REPLY = 1 << 30  # bytes: no reply is larger, the wire sees to that

# What the thread of a call needs, loaded before it begins: a fork stops threads, and a module that one
# of them was loading stays locked in the new process for ever.
_NEEDED = (
    "client.transport",
    "client.downloads",
    "store.index",
    "imaging.metadata",
    "imaging.inspection",
    "imaging.masks",
)

# The bytes' hash and the longest edge in pixels, to a small image.
Thumbs: TypeAlias = "dict[tuple[str, int], PilImage]"


@dataclass(frozen=True, kw_only=True)
class CallContext:
    """What every job needs: where to keep, and how to send."""

    store: Store
    mounts: Mapping[str, Any] = field(default_factory=dict)
    offline: bool = False  # only this machine may be asked
    timeouts: client.Timeouts = field(default_factory=lambda: client.Timeouts())  # noqa: PLW0108 - not at load
    control: Callable[[], client.CancelToken] = lambda: client.CancelToken()  # noqa: PLW0108 - not at load
    redactor: Callable[[ApiKey | None], Redactor] = lambda _: NO_KEYS
    random: Callable[[], float] = random.random


@dataclass(frozen=True, kw_only=True)
class ResponseProcessor:
    """Takes in what one call brings. `thumbs` collects the small images that were made on the way.

    They are `edge` pixels, or as a result of so many images shows them. `desk` is held while an image
    is stored, and while it is looked at.
    """

    tools: CallContext
    endpoint: Endpoint
    control: client.CancelToken
    redactor: Redactor
    thumbs: Thumbs = field(default_factory=dict)
    edge: int | None = None
    desk: Callable[[], AbstractContextManager[object]] = nullcontext
    trusted: bool = True  # the user configured the endpoint: it may serve its own URLs, wherever it is
    downloads: bool = True  # whether addresses are fetched now
    known: Mapping[str, ImageRecord] = field(default_factory=dict)  # by the hash of their bytes

    def received(self, run: Run, outcome: client.Outcome) -> Run:
        """Return the run with what the outcome brought: images in the store, mismatches, cost."""
        answer = outcome.answer
        if answer is None:
            cost = run.cost if outcome.status is Status.UNKNOWN else Cost(basis="none")
            return self._with_raw(run.replace(status=outcome.status, error=outcome.fault, cost=cost), outcome)
        known = {one.sha256: one for one in run.images if one.sha256 and not one.unstored}
        here = replace(self, edge=self.edge or imaging.choose_edge(len(answer.found)), known=known)
        taken = [here._image(found, k) for k, found in enumerate(answer.found, start=1)]  # noqa: SLF001 - its own
        images = drop_duplicates(taken, run.request.count)
        # The error of the whole reply is told as the run's own.
        errors = [one.message for one in answer.errors if one is not answer.failed or not answer.found]
        facts = {**answer.facts, "errors": errors} if errors else answer.facts
        run = run.replace(images=images, response=facts)
        if not images:
            told = "; ".join(errors) or answer.note
            fault = outcome.fault or ErrorInfo(message=told or "the reply holds no image.")
            status = Status.UNKNOWN if outcome.status is Status.DONE else outcome.status
            return self._with_raw(run.replace(status=status, error=fault), outcome)
        # What could not be fetched yet was made, and paid for, all the same.
        made = sum(one.whole or one.state in _PENDING for one in images)
        run = run.replace(
            status=outcome.status,
            error=outcome.fault,
            mismatches=find_mismatches(run.request, run.sent, images, facts),
            cost=catalog.compute_cost(facts, made, run.sent, run.request, self.endpoint),
        )
        return self._with_raw(run, outcome)

    def fetched(self, run: Run) -> Run:
        """Return the run with its pending downloads fetched; the addresses cost nothing.

        Another process may fetch them too: what it got stays.
        """
        pending = [one for one in run.images if one.state is ImageState.URL_PENDING]
        got = {one.index: self._download(one) for one in pending}
        run = self.tools.store.run(run.id) or run
        images = tuple(
            got.get(one.index, one) if one.state is ImageState.URL_PENDING else one for one in run.images
        )
        if all(one.state is ImageState.URL_PENDING for one in got.values()):
            return run.replace(images=images)  # why nothing came is shown, and not worth a write
        run = run.replace(
            images=images, mismatches=find_mismatches(run.request, run.sent, images, run.response)
        )
        self.tools.store.update(run)
        measured = measure_changes(run, self.tools.store, self.control)
        if measured != run:
            self.tools.store.update(measured)
        return measured

    def _with_raw(self, run: Run, outcome: client.Outcome) -> Run:
        """Return the run with its reply kept, unopened, where not all of it became images."""
        unread = any(one.state is ImageState.UNREAD for one in run.images)
        if outcome.spool is None or is_complete(run) or unread:  # what is unread is read from the spool later
            return run
        try:
            with outcome.spool.open("rb") as file:
                kept = self.tools.store.keep(_blocks(file), cap=REPLY, suffix_of=lambda _: None)
        except (StoreError, OSError):
            return run
        return run.replace(raw=kept.sha256)

    def _image(self, found: client.ResponseImage, index: int) -> ImageRecord:
        image = ImageRecord(index=index, revised_prompt=found.revised_prompt, url=found.url)
        if self.control.over:
            state = ImageState.UNREAD if found.delivered or not found.url else ImageState.URL_PENDING
            return replace(image, state=state)
        told = ""
        for aside in (False, False, True):  # not every disk that fails once fails again
            try:
                seen = self._stored(found, image, aside=aside)
            except (StoreError, OSError) as fault:
                told = told or sanitize(str(fault).partition("\n")[0], 200)
            else:
                if not aside:
                    return seen
                image = seen if seen.viewable else image
        return replace(image, state=ImageState.UNWRITTEN, note=told)  # the next may find its place

    def _stored(self, found: client.ResponseImage, image: ImageRecord, *, aside: bool) -> ImageRecord:
        if found.delivered:
            problem: list[str] = []
            kept = self._keep(_until_bad(found, problem), aside=aside)
            if not problem:
                seen = self._looked_at(image, kept)
                if found.partial and seen.state is ImageState.STORED:
                    return replace(
                        seen, state=ImageState.PARTIAL, note="the stream ended before it was finished"
                    )
                return seen
            image = replace(image, state=ImageState.QUARANTINED, sha256=kept.sha256, note=problem[0])
        if found.url:  # the way out when the base64 is absent or bad
            return self._download(image)
        return replace(image, state=ImageState.QUARANTINED, note=image.note or found.note)

    def _keep(self, chunks: Iterable[bytes], *, aside: bool = False) -> StoredBlob:
        store, suffix_of = self.tools.store, imaging.find_suffix
        with self.desk():
            clean = partial(imaging.mask_keys, redactor=self.redactor)
            return store.keep(chunks, cap=client.IMAGE_LIMIT, suffix_of=suffix_of, aside=aside, clean=clean)

    def _download(self, image: ImageRecord) -> ImageRecord:
        if self.control.over or not self.downloads:
            return replace(image, state=ImageState.URL_PENDING)
        into = self.tools.store.spool()
        try:
            fault = client.download(
                image.url or "",
                self.endpoint if self.trusted else None,
                into=into,
                control=self.control,
                mounts=self.tools.mounts,
                offline=self.tools.offline,
                redactor=self.redactor,
            )
            if fault:
                return replace(image, state=ImageState.URL_PENDING, note=fault.message)
            with into.open("rb") as file:
                kept = self._keep(_blocks(file))
        finally:
            with suppress(OSError):
                into.unlink(missing_ok=True)
        return self._looked_at(replace(image, note=""), kept)

    def _looked_at(self, image: ImageRecord, kept: StoredBlob) -> ImageRecord:
        if before := self.known.get(kept.sha256):
            return replace(before, index=image.index)
        edge = self.edge or imaging.EDGE
        with self.desk():
            seen = imaging.inspect(kept.path, edge=edge)
        if seen.thumb is not None:
            self.thumbs[kept.sha256, edge] = seen.thumb
        return replace(
            image,
            sha256=kept.sha256,
            altered="key" if kept.altered else "",
            bytes=kept.size,
            state=seen.state,
            mime=seen.mime,
            width=seen.width,
            height=seen.height,
            alpha=seen.alpha,
            note=seen.note,
        )


def load_modules() -> None:
    """Load what a thread that takes in images needs."""
    for module in _NEEDED:
        import_module(f"ipyimagegen.{module}")


def is_complete(run: Run) -> bool:
    """Say whether all that the reply of a run held is in its images, or is kept as it came."""
    whole = all(one.state in (ImageState.STORED, ImageState.URL_PENDING) for one in run.images)
    return run.raw is not None or (run.status is Status.DONE and whole and "items" not in run.response)


def drop_duplicates(images: Sequence[ImageRecord], n: int) -> tuple[ImageRecord, ...]:
    """Return the images, numbered from 1, without repeated bytes beyond the `n` that were asked for."""
    seen: set[str | None] = set()
    surplus, kept = len(images) - n, list[ImageRecord]()
    for image in images:
        if image.sha256 in seen and surplus > 0:
            surplus -= 1
            continue
        seen |= {image.sha256} - {None}
        kept.append(replace(image, index=len(kept) + 1))
    return tuple(kept)


def measure_changes(run: Run, store: Store, control: client.CancelToken) -> Run:
    """Return the run of a masked edit with how much changed outside the mask, image by image.

    Nothing more is measured once `control` is over.
    """
    mask, inputs = run.request.mask, run.request.inputs
    if mask is None or not inputs:
        return run
    given, where = store.path(inputs[0].sha256), store.path(mask.sha256)
    if given is None or where is None:
        return run

    def share(image: ImageRecord) -> float | None:
        measured = image.state is ImageState.STORED and not control.over
        path = store.path(image.sha256 or "") if measured else None
        with suppress(OSError):
            return (
                imaging.measure_changed_outside(given.read_bytes(), path, where.read_bytes())
                if path
                else None
            )
        return None

    run = run.replace(images=tuple(replace(one, changed_outside=share(one)) for one in run.images))
    if not any(one.changed_outside for one in run.images):
        return run
    return run.replace(mismatches=(*run.mismatches, Mismatch(OUTSIDE, "no change", changed_outside(run))))


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(1 << 16), b"")


def _until_bad(found: client.ResponseImage, problem: list[str]) -> Iterator[bytes]:
    """Yield what can be decoded, and note why there is no more: every byte delivered is kept."""
    try:
        yield from found.chunks()
    except ValueError as fault:
        problem.append(sanitize(fault, 200))
