"""The images of a request: opened from whatever was given, and made fit for the server.

Ids are looked up and addresses fetched here; `imaging` makes bytes of everything else. What was given
is kept and is part of the request's identity; what a server wants instead (another format, another
form of the mask) is made from it afterwards, like any translation.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from ipyimagegen import catalog, client, imaging
from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.ids import Ref
from ipyimagegen.core.ids import parse_id as read_id
from ipyimagegen.core.options import to_half_width
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.run import Input, Run
from ipyimagegen.core.text import sanitize, truncate
from ipyimagegen.core.user_input import InputRef, InputRefs
from ipyimagegen.results import Generation, Image
from ipyimagegen.store import Store

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
FETCH = 60.0  # seconds that an address may take, while the cell waits
MOST = 16  # images of one request, at any server
BOX = re.compile(r"\s*[-－]?[\d０-９.]+(?:\s*[,，]\s*[-－]?[\d０-９.]+)+\s*")  # four numbers, or a slip
_DATA_URL = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
ADDRESS = re.compile(r"data:|[a-z][a-z0-9+.-]+://", re.IGNORECASE)


# What `imaging` can open (or a stored Input), what a caption calls it, and the id of the image it is.
Reached: TypeAlias = tuple[object, str, str | None]


class Library(Protocol):
    """Where ids are looked up, and what is on disk."""

    @property
    def store(self) -> Store:
        """The files."""

    def find(self, text: str) -> tuple[Run, int | None]:
        """Return the run of an id, and the number of the image if it names one."""


@dataclass(frozen=True, kw_only=True)
class ResolvedInput:
    """One image: its record, its file, and what was done to it."""

    input: Input
    source: imaging.EncodedImage = field(repr=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to it, as sentences for a caption."""
        return tuple(f"{self.input.name}: {note}" for note in self.source.notes)


@dataclass(frozen=True, kw_only=True)
class ResolvedInputs:
    """The images of a request, in order; the mask belongs to the first."""

    images: tuple[ResolvedInput, ...] = ()
    mask: ResolvedInput | None = None

    @property
    def all(self) -> tuple[ResolvedInput, ...]:
        """Every image."""
        return (*self.images, self.mask) if self.mask else self.images


def resolve_inputs(
    refs: InputRefs, library: Library, *, offline: bool, seconds: float = FETCH
) -> ResolvedInputs:
    """Open everything that was given. Raises InvalidInput, NotInHistory or StoreError.

    An address is fetched now, because the bytes decide what is asked: within `seconds`, and only from
    this machine when `offline`.
    """
    offered, masks = refs.get("image", ()), refs.get("mask", ())
    if masks and not offered:
        raise InvalidInput("A mask says where to edit, so it needs an image (--image). Nothing was sent.")
    if len(offered) > MOST:
        raise InvalidInput(f"At most {MOST} images go with a request, not {len(offered)}. Nothing was sent.")
    if not offered:
        return ResolvedInputs()
    opener = _Opener(library=library, offline=offline, seconds=min(seconds, FETCH))
    images = tuple(opener.image(one) for one in offered)
    if not masks:
        return ResolvedInputs(images=images)
    return ResolvedInputs(images=images, mask=opener.mask(masks[0], images[0].source))


@dataclass(frozen=True, kw_only=True)
class _Opener:
    """From things to images; what they are is found out one step at a time."""

    library: Library
    offline: bool
    seconds: float

    def image(self, offered: InputRef) -> ResolvedInput:
        if isinstance(offered.thing, ResolvedInput):
            return offered.thing
        thing, label, parent = self._reached(offered)
        if isinstance(thing, Input):
            return ResolvedInput(input=thing, source=self._source(thing))
        return _opened(imaging.encode_input(thing, offered.name), label, parent)

    def mask(self, offered: InputRef, first: imaging.EncodedImage) -> ResolvedInput:
        if isinstance(
            offered.thing, ResolvedInput
        ):  # looked at again: it may have been made for another image
            one = offered.thing.input
            thing: object = offered.thing.source.data
            label, parent = one.label, one.parent
        else:
            thing, label, parent = self._reached(offered)
        if isinstance(thing, Input):
            label, parent, thing = thing.label, thing.parent, self._source(thing).data
        size = (first.width, first.height)
        return _opened(
            imaging.read_mask(thing, size, offered.name, scaled_from=first.scaled_from), label, parent
        )

    def _reached(self, offered: InputRef) -> Reached:
        """Return what is behind a result, an id, an address or a path."""
        thing = _unwrapped(offered.thing)
        if isinstance(thing, Generation):
            thing = _only(thing, offered.name)
        if isinstance(thing, Image):
            return _whole(thing.path, thing.sha256, thing.id), "", thing.id
        if isinstance(thing, Ref):
            return self._by_id(thing, offered.name)
        if isinstance(thing, str):
            return self._by_text(thing, offered.name)
        return thing, truncate(thing.name if isinstance(thing, Path) else offered.name, 60), None

    def _by_text(self, text: str, name: str) -> Reached:
        if text.lstrip().startswith("@"):
            return self._by_id(read_id(text), name)
        if _DATA_URL.match(text):
            return _of_data_url(text, name), "a data URL", None
        if ADDRESS.match(text):
            return self._fetched(text), _called(text), None
        if BOX.fullmatch(text):
            return text, f"the box {to_half_width(text).strip()}", None
        if not text.strip() or (text.isidentifier() and not exists(Path(text))):
            told = (
                f"there is no file {truncate(text, 60)!r}; a variable is given without quotes"
                if text.strip()
                else "empty"
            )
            raise InvalidInput(f"{name}: {told}. Nothing was sent.")
        return Path(text), truncate(Path(text).name, 60), None

    def _by_id(self, ref: Ref, name: str) -> Reached:
        run, index = self.library.find(str(ref))
        if run.forgotten:
            raise InvalidInput(f"{name}: run {run.id} was forgotten. Nothing was sent.")
        shown = run.shown
        if index is None and len(shown) > 1:
            raise InvalidInput(f"{name} has {len(shown)} images; choose one, such as @{ref}.1.")
        image = next((one for one in shown if index in (None, one.index)), None)
        if image is None:
            raise InvalidInput(f"{name}: there is no image to start from in run {run.id}.")
        path = self.library.store.path(image.sha256 or "")
        if path is None:
            raise InvalidInput(f"The file of {run.id}.{image.index} is gone from the store.")
        id_ = f"{run.id}.{image.index}"
        return _whole(path, image.sha256 or "", id_), "", id_

    def _source(self, kept: Input) -> imaging.EncodedImage:
        """Return an image that an earlier run was asked with, its bytes as they were."""
        path = self.library.store.path(kept.sha256)
        if path is None or not self.library.store.verify(kept.sha256):
            raise InvalidInput(f"{kept.name} is gone from the store; give it again.")
        return imaging.EncodedImage(
            data=path.read_bytes(), mime=kept.mime, width=kept.width, height=kept.height, pixels=kept.pixels
        )

    def _fetched(self, url: str) -> bytes:
        where = _called(url)
        from ipyimagegen.core.endpoints import Endpoint  # noqa: PLC0415 - a tenth of the time that loading may take

        # A server on this machine may be asked: the person who typed the address sits at it.
        there = Endpoint(name="the image", base_url=url)
        here = catalog.is_loopback(there)
        if self.offline and not here:
            raise InvalidInput(f"Offline: {where} was not fetched. Nothing was sent.")
        if not here and urlsplit(url).scheme.lower() != "https":
            how = "write the path without file://" if url[:5].lower() == "file:" else "it has to be https:"
            raise InvalidInput(f"{where}: {how}. Nothing was sent.")
        into = self.library.store.spool()
        try:
            fault = client.download(
                url,
                there if here else None,
                into=into,
                token=client.CancelToken(),
                whole=self.seconds,
                offline=self.offline,
            )
            if fault is None:
                return into.read_bytes()
        finally:
            into.unlink(missing_ok=True)
        raise InvalidInput(f"{where}: {fault.message} Nothing was sent.")


def exists(path: Path) -> bool:
    """Say whether something is there."""
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be read
        return False


def _unwrapped(thing: Any) -> object:
    """Return the address of an IPython.display.Image that holds nothing else; other things as they are."""
    shown = any(
        kind.__name__ == "Image" and kind.__module__.startswith("IPython.") for kind in type(thing).__mro__
    )
    if not shown or getattr(thing, "data", None) or getattr(thing, "filename", None):
        return thing
    return getattr(thing, "url", None) or thing


def _whole(path: Path, sha256: str, id_: str) -> Path:
    """Return the file of an image if it is as it came: what is damaged is not sent, and paid for."""
    import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return path
        problem = "is damaged"
    except OSError:
        problem = "cannot be read"
    raise InvalidInput(f"The file of {id_} {problem}. Nothing was sent.")


def _only(made: Generation, name: str) -> Image:
    if len(made) == 1:
        return made[0]
    bare = name.removeprefix("{").removesuffix("}")
    which = f"choose one, such as {bare}[0]" if made else "there is nothing to start from"
    raise InvalidInput(f"{name} has {len(made)} images; {which}.")


def _of_data_url(url: str, name: str) -> bytes:
    head, _, body = url.partition(",")
    try:
        if not head.lower().endswith(";base64"):
            return unquote_to_bytes(body)
        return base64.b64decode("".join(unquote_to_bytes(body).decode("ascii").split()), validate=True)
    except (binascii.Error, ValueError):
        problem = f"{truncate(name, 40)}: the base64 of the data URL is damaged. Nothing was sent."
    raise InvalidInput(problem)


def _called(url: str) -> str:
    """Return host and file name of an address; what else stands in it may be a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if not host and not url.lower().startswith("file:"):
        raise InvalidInput("That address has no host. Nothing was sent.")
    name = Path(parts.path).name if host else ""
    told = f"/…/{name}" if Path(name).suffix.lower() in SUFFIXES else "/…" if parts.path[1:] else ""
    return truncate(f"{host or 'a file'}{told}", 60)


def _opened(source: imaging.EncodedImage, label: str, parent: str | None) -> ResolvedInput:
    return ResolvedInput(input=_recorded(source, label, parent), source=source)


def _recorded(source: imaging.EncodedImage, label: str, parent: str | None) -> Input:
    import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

    return Input(
        sha256=hashlib.sha256(source.data).hexdigest(),
        mime=source.mime,
        width=source.width,
        height=source.height,
        label=sanitize(label, 120),
        parent=parent,
        pixels=source.pixels,
    )


def fit_inputs(attached: ResolvedInputs, wanted: catalog.InputRequirements) -> ResolvedInputs:
    """Return the images in the form that a server takes. Raises InvalidInput for one that cannot be."""
    images = []
    for position, one in enumerate(attached.images):
        formats = wanted.formats if position else wanted.first
        source = imaging.fit_input(
            one.source, formats, wanted.limit, square=wanted.square, name=one.input.name
        )
        images.append(one if source is one.source else _opened(source, one.input.label, one.input.parent))
    mask = attached.mask
    if mask:
        drawn = imaging.convert_mask(_scaled(mask.source, images[0].source), wanted.mask_as)
        mask = _opened(drawn, mask.input.label, mask.input.parent)
    return ResolvedInputs(images=tuple(images), mask=mask)


def _scaled(mask: imaging.EncodedImage, first: imaging.EncodedImage) -> imaging.EncodedImage:
    """Return the mask in the size in which the first image goes out."""
    size, before = (first.width, first.height), (mask.width, mask.height)
    return mask if size == before else imaging.read_mask(mask.data, size, scaled_from=before)


def fit_plan(plan: Plan, attached: ResolvedInputs) -> Plan:
    """Return the plan with the images of every call as its server takes them. Raises InvalidInput."""
    if not attached.images:
        return plan
    shown = bool(plan.local.get("dry_run"))
    once = cache(lambda wanted: fit_inputs(attached, wanted))  # the calls of a sweep mostly want the same

    def with_images(call: PlannedCall) -> PlannedCall:
        if call.reused and not shown:
            return call
        taken = once(catalog.find_input_requirements(call.request, call.sent, call.endpoint))
        notes = [note for one in (*attached.all, *taken.images) for note in one.notes]
        sent = replace(
            call.sent,
            inputs=tuple(one.input for one in taken.images),
            mask=taken.mask.input if taken.mask else None,
            notes=(*call.sent.notes, *dict.fromkeys(notes)),
        )
        files = {one.input.sha256: one.source.data for one in (*attached.all, *taken.all)}
        return replace(call, sent=sent, files=files)

    return replace(plan, calls=tuple(map(with_images, plan.calls)))
