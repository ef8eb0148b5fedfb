"""Turn the response to a call into images in the store, with mismatches and cost.

Every byte that a server delivered is on disk before it is decided whether it can be shown.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from ipyimagegen import catalog, client, imaging
from ipyimagegen.core.errors import StoreError
from ipyimagegen.core.formats import BY_MIME, BY_NAME, FORMATS, HEAD, SVG, Format, identify
from ipyimagegen.core.messages import _
from ipyimagegen.core.mismatches import find_mismatches
from ipyimagegen.core.plan import SKETCH, SKETCH_NOTE
from ipyimagegen.core.redact import NO_KEYS, Redactor
from ipyimagegen.core.run import Cost, ErrorInfo, ImageRecord, ImageState, Mismatch, Run, Status
from ipyimagegen.core.text import sanitize
from ipyimagegen.results.captions import OUTSIDE, describe_changes_outside
from ipyimagegen.store import Store, StoredBlob

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.client.response import Answer
    from ipyimagegen.core.endpoints import Endpoint
    from ipyimagegen.core.redact import Credentials

_PENDING = (ImageState.URL_PENDING, ImageState.UNREAD)  # billed, and available later
_UNOPENED = ".bin"  # the suffix of a file in quarantine
_MISLABELLED = _("an SVG that the server calls another format")
LARGEST_RESPONSE = 1 << 30  # bytes: the client reads no more

# The hash of the bytes and the longest edge in pixels, to a thumbnail.
Thumbs: TypeAlias = "dict[tuple[str, int], PilImage]"


@dataclass(frozen=True, kw_only=True)
class CallContext:
    """What every call needs: where to store, and how to send."""

    store: Store
    mounts: Mapping[str, Any] = field(default_factory=dict)
    offline: bool = False  # only this machine may be contacted
    patient: bool = True  # a job is asked for until it has ended
    timeouts: client.Timeouts = field(default_factory=client.Timeouts)
    control: Callable[[], client.CancelToken] = client.CancelToken
    redactor: Callable[[Credentials | None], Redactor] = lambda _credentials: NO_KEYS
    random: Callable[[], float] = random.random


@dataclass(frozen=True, kw_only=True)
class ResponseProcessor:
    """Processes the response to a call. `thumbs` collects the thumbnails that are made on the way.

    They have `edge` pixels, or the size in which a result of so many images shows them. `slot` is held while
    an image is stored, and while it is inspected.
    """

    context: CallContext
    endpoint: Endpoint
    token: client.CancelToken
    redactor: Redactor
    thumbs: Thumbs = field(default_factory=dict)
    edge: int | None = None
    slot: Callable[[], AbstractContextManager[object]] = nullcontext
    trusted: bool = True  # the user configured the endpoint: it may serve its own URLs, wherever it is
    downloads: bool = True  # whether URLs are fetched now
    credentials: Credentials | None = None  # for URLs of the endpoint that ask for them
    fresh_until: float = -math.inf  # when URLs are no longer new, on the token's clock
    known: Mapping[str, ImageRecord] = field(default_factory=dict)  # by the hash of their bytes
    declared: Format | None = None  # of the images, by the response

    def process(self, run: Run, outcome: client.Outcome) -> Run:
        """Return the run with its images in the store, mismatches and cost.

        The response is kept too, unopened, where not all of it became images.
        """
        # The response that ends a job replaces the response that began it, unless that names other jobs.
        before = run.raw if run.job and run.job.others else None
        run = run.replace(status=outcome.status, error=outcome.error, raw=None)
        if outcome.answer is not None:
            try:
                run = self._store_images(run, outcome.answer)
            except Exception as error:  # noqa: BLE001 - whatever it is, the response is kept
                message = _(
                    "The response of {server} could not be processed: {cause}.",
                    server=sanitize(self.endpoint.name, 80),
                    cause=f"{type(error).__name__}: {self.redactor.clean(str(error), 200)}",
                )
                run = run.replace(status=Status.UNKNOWN, error=ErrorInfo(message=message))
        elif run.status is not Status.UNKNOWN:
            run = run.replace(cost=Cost(basis="none"))
        unread = any(image.state is ImageState.UNREAD for image in run.images)
        if is_complete(run):
            return run.replace(raw=before)
        if outcome.spool is None or unread:  # what is unread is read from the spool later
            return run
        with suppress(StoreError, OSError), outcome.spool.open("rb") as file:
            blob = self.context.store.keep(_blocks(file), cap=LARGEST_RESPONSE, raw=True)
            return run.replace(raw=blob.sha256)
        return run

    def _store_images(self, run: Run, answer: Answer) -> Run:
        known = {image.sha256: image for image in run.images if image.sha256 and not image.unstored}
        processor = replace(
            self,
            edge=self.edge or imaging.choose_edge(len(answer.images)),
            fresh_until=self.token.clock() + client.FRESH,
            known=known,
            declared=_find_declared(run, answer),
        )
        stored = [processor.store_image(item, index) for index, item in enumerate(answer.images, start=1)]
        images = _drop_duplicates(stored, run.request.count)
        # The error of the whole response is reported as the run's own.
        errors = [error.message for error in answer.errors if error is not answer.failed or not answer.images]
        facts = {**answer.facts, "errors": errors} if errors else answer.facts
        run = run.replace(images=images, response=facts)
        if answer.job and not images and run.job is None:  # not what was said of a job that has ended
            job = replace(answer.job, url=client.find_poll_url(answer.job, self.endpoint) or answer.job.url)
            error = client.explain_job(job, self.endpoint)
            return run.replace(status=Status.UNKNOWN, job=job, error=error)
        if not images:
            message = "; ".join(errors) or answer.note or _("The response contains no image.")
            status = Status.UNKNOWN if run.status is Status.DONE else run.status
            return run.replace(status=status, error=run.error or ErrorInfo(message=message))
        if facts.get("model") == SKETCH and SKETCH_NOTE not in run.sent.notes:  # at whatever address
            run = run.replace(sent=replace(run.sent, notes=(*run.sent.notes, SKETCH_NOTE)))
        # An image that could not be fetched yet is billed all the same.
        billed = sum(image.whole or image.state in _PENDING for image in images)
        # The default model may be another one by now.
        request = replace(run.request, model=run.sent.model or run.request.model)
        capabilities = catalog.find_capabilities(request, self.endpoint)
        return run.replace(
            mismatches=find_mismatches(run.request, run.sent, images, facts),
            cost=catalog.compute_cost(facts, billed, run.sent, run.request, capabilities),
        )

    def fetch_pending(self, run: Run) -> Run:
        """Return the run with its pending downloads fetched, at no cost.

        Another process may fetch them too: what it stored stays.
        """
        fetched = {
            image.index: self._download(image)
            for image in run.images
            if image.state is ImageState.URL_PENDING
        }
        run = self.context.store.run(run.id) or run
        images = tuple(
            fetched.get(image.index, image) if image.state is ImageState.URL_PENDING else image
            for image in run.images
        )
        if all(image.state is ImageState.URL_PENDING for image in fetched.values()):
            return run.replace(images=images)  # the reason is shown, and not worth a write
        run = run.replace(
            images=images, mismatches=find_mismatches(run.request, run.sent, images, run.response)
        )
        self.context.store.update(run)
        measured = measure_changes(run, self.context.store, self.token)
        if measured != run:
            self.context.store.update(measured)
        return measured

    def store_image(self, item: client.ResponseImage, index: int) -> ImageRecord:
        """Store an image of the response and return its record; raises no error of the disk."""
        image = ImageRecord(index=index, revised_prompt=item.revised_prompt, url=item.url)
        if self.token.over:
            state = ImageState.UNREAD if item.delivered or not item.url else ImageState.URL_PENDING
            return replace(image, state=state)
        reason = ""
        for aside in (False, False, True):  # a disk that fails once may take the second try
            try:
                stored = self._store(item, image, aside=aside)
            except (StoreError, OSError) as error:
                reason = reason or sanitize(str(error).partition("\n")[0], 200)
            else:
                if not aside:
                    return stored
                image = stored if stored.viewable else image
        return replace(image, state=ImageState.UNWRITTEN, note=reason)

    def _store(self, item: client.ResponseImage, image: ImageRecord, *, aside: bool) -> ImageRecord:
        if item.delivered:
            problem: list[str] = []
            blob = self._keep(_decode(item, problem), self.declared or _read_label(item), aside=aside)
            if not problem:
                inspected = self._inspect(image, blob)
                if item.partial and inspected.state is ImageState.STORED:
                    note = _("the stream ended before this image was complete")
                    return replace(inspected, state=ImageState.PARTIAL, note=note)
                return inspected
            image = replace(image, state=ImageState.QUARANTINED, sha256=blob.sha256, note=problem[0])
        if item.url:  # the other way where the base64 is absent or damaged
            return self._download(image)
        return replace(image, state=ImageState.QUARANTINED, note=image.note or item.note)

    def _keep(self, chunks: Iterable[bytes], declared: Format | None, *, aside: bool = False) -> StoredBlob:
        """Store an image; an SVG that the server calls another format goes into quarantine."""
        clean = partial(imaging.mask_keys, redactor=self.redactor)
        chunks = iter(chunks)
        head = b"".join(_take_head(chunks))
        raw = declared not in (None, SVG) and identify(head) is SVG
        with self.slot():
            return self.context.store.keep(
                chain([head], chunks), cap=client.IMAGE_LIMIT, raw=raw, fallback=aside, clean=clean
            )

    def _download(self, image: ImageRecord) -> ImageRecord:
        if self.token.over or not self.downloads:
            return replace(image, state=ImageState.URL_PENDING)
        into = self.context.store.spool()
        try:
            error = client.download(
                image.url or "",
                self.endpoint if self.trusted else None,
                into=into,
                token=self.token,
                mounts=self.context.mounts,
                offline=self.context.offline,
                redactor=self.redactor,
                credentials=self.credentials,
                fresh_until=self.fresh_until,
            )
            if error:
                return replace(image, state=ImageState.URL_PENDING, note=error.message, remedy=error.remedy)
            item = client.find_bare_image(into) or client.ResponseImage(spool=into, bare=True)
            problem: list[str] = []
            blob = self._keep(_decode(item, problem), self.declared or _read_suffix(image.url or ""))
            if problem:
                return replace(image, state=ImageState.URL_PENDING, note=problem[0])
        finally:
            with suppress(OSError):
                into.unlink(missing_ok=True)
        return self._inspect(replace(image, note="", remedy=None), blob)

    def _inspect(self, image: ImageRecord, blob: StoredBlob) -> ImageRecord:
        if known := self.known.get(blob.sha256):
            return replace(known, index=image.index)
        edge = self.edge or imaging.EDGE
        with self.slot():
            info = imaging.inspect(blob.path, edge=edge)
        if blob.path.suffix == _UNOPENED and info.state is ImageState.STORED:
            info = imaging.ImageInfo(state=ImageState.QUARANTINED, note=_MISLABELLED)
        if info.thumb is not None:
            self.thumbs[blob.sha256, edge] = info.thumb
        return replace(
            image,
            sha256=blob.sha256,
            altered="key" if blob.altered else "",
            bytes=blob.size,
            state=info.state,
            mime=info.mime,
            width=info.width,
            height=info.height,
            alpha=info.alpha,
            frames=info.frames,
            note=info.note,
        )


def is_complete(run: Run) -> bool:
    """Return whether all that the response to a run held is in its images, or is kept as it came."""
    whole = all(image.state is ImageState.STORED for image in run.images)
    return run.raw is not None or (run.status is Status.DONE and whole and "items" not in run.response)


def _drop_duplicates(images: Sequence[ImageRecord], n: int) -> tuple[ImageRecord, ...]:
    """Return the images, numbered from 1, without repeated bytes beyond the `n` that were requested."""
    seen: set[str | None] = set()
    surplus, kept = len(images) - n, list[ImageRecord]()
    for image in images:
        if image.sha256 in seen and surplus > 0:
            surplus -= 1
            continue
        seen |= {image.sha256} - {None}
        kept.append(replace(image, index=len(kept) + 1))
    return tuple(kept)


def measure_changes(run: Run, store: Store, token: client.CancelToken) -> Run:
    """Return the run of a masked edit with how much changed outside the mask, image by image.

    Nothing more is measured once the token is over.
    """
    mask, inputs = run.request.mask, run.request.inputs
    if mask is None or not inputs:
        return run
    original, area = store.path(inputs[0].sha256), store.path(mask.sha256)
    if original is None or area is None:
        return run

    def share(image: ImageRecord) -> float | None:
        measured = image.state is ImageState.STORED and not token.over
        path = store.path(image.sha256 or "") if measured else None
        with suppress(OSError):
            if path:
                return imaging.measure_changed_outside(original.read_bytes(), path, area.read_bytes())
        return None

    run = run.replace(images=tuple(replace(image, changed_outside=share(image)) for image in run.images))
    if not any(image.changed_outside for image in run.images):
        return run
    return run.replace(
        mismatches=(*run.mismatches, Mismatch(OUTSIDE, "no change", describe_changes_outside(run)))
    )


def _find_declared(run: Run, answer: Answer) -> Format | None:
    """Return the format that the images have by request or response; an SVG that was requested is one."""
    requested = {**run.request.options, **run.request.extra}.get("output_format")
    return SVG if requested == SVG.name else BY_NAME.get(str(answer.facts.get("output_format")))


def _read_label(item: client.ResponseImage) -> Format | None:
    """Return the format that a data URL names."""
    text = item.base64 if isinstance(item.base64, str) else item.base64.head if item.base64 else ""
    return BY_MIME.get(text[5:].partition(";")[0].lower()) if text[:5].lower() == "data:" else None


def _read_suffix(url: str) -> Format | None:
    """Return the format that the name of a file in a URL has."""
    suffix = PurePosixPath(re.split("[?#]", url, maxsplit=1)[0]).suffix.lower()
    return next((known for known in FORMATS if suffix in known.suffixes), None)


def _take_head(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks with the first bytes of a file."""
    left = HEAD
    while left > 0 and (chunk := next(chunks, b"")):
        left -= len(chunk)
        yield chunk


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(1 << 16), b"")


def _decode(item: client.ResponseImage, problem: list[str]) -> Iterator[bytes]:
    """Yield what can be decoded, and note why there is no more: every delivered byte is kept."""
    try:
        yield from item.chunks()
    except ValueError as error:
        problem.append(sanitize(error, 200))
