"""The input images of a request: opened from whatever the user gave, and made fit for the server.

Ids are looked up and URLs fetched here; `imaging` turns everything else into bytes. The given bytes are kept
and are part of the request's identity; what a server requires instead (another format, another form of the
mask) is made from them afterwards, like any translation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from ipyimagegen import catalog, client, imaging
from ipyimagegen.core.endpoints import Endpoint
from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.messages import Message, OptionName, _
from ipyimagegen.core.options import to_half_width
from ipyimagegen.core.plan import Plan, PlannedCall
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import Ref, parse_id
from ipyimagegen.core.text import sanitize, truncate
from ipyimagegen.core.user_input import InputRef, InputRefs
from ipyimagegen.results import Generation, Image, Pending, Sweep

if TYPE_CHECKING:
    from ipyimagegen.session.studio import Studio

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
FETCH = 60.0  # seconds that a URL may take, while the cell waits
MOST = 16  # images of a request, at any server
BOX = re.compile(r"\s*[-－]?[\d０-９.]+(?:\s*[,，]\s*[-－]?[\d０-９.]+)+\s*")  # or a typing error
_DATA_URL = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
ADDRESS = re.compile(r"data:|[a-z][a-z0-9+.-]+://", re.IGNORECASE)

_CHOOSE = _("Choose another image.")

# What `imaging` can open (or a stored Input), its label in a caption, and the id of the image that it is.
_Found: TypeAlias = tuple[object, str, str | None]


@dataclass(frozen=True, kw_only=True)
class ResolvedInput:
    """An input image: its record, and its file."""

    input: Input
    source: imaging.EncodedImage = field(repr=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to it, as sentences for a caption."""
        return tuple(f"{self.input.name}: {note}" for note in self.source.notes)


@dataclass(frozen=True, kw_only=True)
class ResolvedInputs:
    """The input images of a request, in order; the mask belongs to the first."""

    images: tuple[ResolvedInput, ...] = ()
    mask: ResolvedInput | None = None

    @property
    def all(self) -> tuple[ResolvedInput, ...]:
        """Every image."""
        return (*self.images, self.mask) if self.mask else self.images


def resolve_inputs(
    refs: InputRefs, studio: Studio, *, offline: bool, seconds: float = FETCH
) -> ResolvedInputs:
    """Open everything that was given. Raises InvalidInput, NotInHistory or StoreError.

    A URL is fetched now, because its bytes are part of the request: within `seconds`, and only from this
    machine when `offline`.
    """
    image_refs, mask_refs = refs.get("image", ()), refs.get("mask", ())
    if not image_refs and all(ref.value is None for ref in mask_refs):
        return ResolvedInputs()
    if mask_refs and not image_refs:
        options = {"mask": OptionName("mask"), "image": OptionName("image")}
        raise _refuse(_("{mask} requires an image ({image}).", **options), _("Add one, or remove the mask."))
    if len(image_refs) > MOST:
        problem = _("A request takes at most {limit} images, not {count}.", limit=MOST, count=len(image_refs))
        raise _refuse(problem, _("Use fewer images."))
    resolver = _Resolver(studio=studio, offline=offline, seconds=min(seconds, FETCH))
    images = tuple(resolver.resolve_image(ref) for ref in image_refs)
    mask = resolver.resolve_mask(mask_refs[0], images[0].source) if mask_refs else None
    return ResolvedInputs(images=images, mask=mask)


def _refuse(problem: Message, remedy: Message) -> InvalidInput:
    return InvalidInput(_("{problem} Nothing was sent. {remedy}", problem=problem, remedy=remedy))


@dataclass(frozen=True, kw_only=True)
class _Resolver:
    """Resolves references to images, step by step."""

    studio: Studio
    offline: bool
    seconds: float

    def resolve_image(self, ref: InputRef) -> ResolvedInput:
        if isinstance(ref.value, ResolvedInput):
            return ref.value
        thing, label, parent = self._find(ref)
        if isinstance(thing, Input):
            return ResolvedInput(input=thing, source=self._read_stored(thing))
        return _resolved(imaging.encode_input(thing, ref.name), label, parent)

    def resolve_mask(self, ref: InputRef, first: imaging.EncodedImage) -> ResolvedInput:
        if isinstance(ref.value, ResolvedInput):  # read again: it may have been made for another image
            record = ref.value.input
            thing: object = ref.value.source.data
            label, parent = record.label, record.parent
        else:
            thing, label, parent = self._find(ref)
        if isinstance(thing, Input):
            label, parent, thing = thing.label, thing.parent, self._read_stored(thing).data
        size = (first.width, first.height)
        mask = imaging.read_mask(thing, size, ref.name, scaled_from=first.scaled_from)
        return _resolved(mask, label, parent)

    def _find(self, ref: InputRef) -> _Found:
        """Return what is behind a result, an id, a URL or a path."""
        thing: Any = ref.value.result() if isinstance(ref.value, Pending) else ref.value
        while isinstance(thing, (Generation, Sweep)):
            if len(thing) != 1:
                variable = ref.name.removeprefix("{").removesuffix("}")
                raise _refuse_count(ref.name, len(thing), f"{variable}[0]")
            thing = thing[0]
        if isinstance(thing, Image):
            return _verify(thing.path, thing.sha256, thing.id), "", thing.id
        if isinstance(thing, Ref):
            return self._find_by_id(thing, ref.name)
        if thing is None:
            raise _refuse(_("{name} is None, not an image.", name=ref.name), _("Check that it was loaded."))
        if isinstance(thing, str):
            return self._find_by_text(thing, ref.name)
        thing, file_name = imaging.unwrap_input(thing, ref.name)
        if isinstance(thing, str):  # a container that holds a URL
            return self._find_by_text(thing, ref.name)
        name = thing.name if isinstance(thing, Path) else file_name or ref.name
        return thing, truncate(name, 60), None

    def _find_by_text(self, text: str, name: str) -> _Found:
        if text.lstrip().startswith("@"):
            return self._find_by_id(parse_id(text), name)
        if _DATA_URL.match(text):
            return _decode_data_url(text, name), _("a data URL"), None
        if ADDRESS.match(text):
            return self._fetch(text), _name_url(text), None
        if BOX.fullmatch(text):
            return text, _("the box {box}", box=to_half_width(text).strip()), None
        if not text.strip():
            raise _refuse(_("{name} is empty.", name=name), _("Give a file, a URL or an id such as @3."))
        if text.isidentifier() and not exists(Path(text)):
            problem = _("{name}: no file {file!r} exists.", name=name, file=truncate(text, 60))
            raise _refuse(problem, _("A variable is given without quotes."))
        return Path(text), truncate(Path(text).name, 60), None

    def _find_by_id(self, ref: Ref, name: str) -> _Found:
        run, index = self.studio.find(str(ref), wait=True)
        if run.forgotten:
            raise _refuse(_("{name}: run {run} was forgotten.", name=name, run=run.id), _CHOOSE)
        images = run.shown
        if index is None and len(images) > 1:
            raise _refuse_count(name, len(images), f"@{ref}.1")
        image = next((image for image in images if index in (None, image.index)), None)
        if image is None:
            raise _refuse(_("{name}: run {run} has no such image.", name=name, run=run.id), _CHOOSE)
        id_ = f"{run.id}.{image.index}"
        sha256 = image.sha256 or ""
        return _verify(self.studio.store.path(sha256), sha256, id_), "", id_

    def _read_stored(self, record: Input) -> imaging.EncodedImage:
        """Return an input of an earlier run, with the same bytes."""
        store = self.studio.store
        path = store.path(record.sha256)
        if path is None or not store.verify(record.sha256):
            raise _refuse(_("{name} is missing in the store.", name=record.name), _("Give it again."))
        return imaging.EncodedImage(
            data=path.read_bytes(),
            mime=record.mime,
            width=record.width,
            height=record.height,
            pixels=record.pixels,
        )

    def _fetch(self, url: str) -> bytes:
        name = _name_url(url)
        # A server on this machine may be asked: the person who typed the URL sits at it.
        server = Endpoint(name="the image", base_url=url)
        local = catalog.is_loopback(server)
        if self.offline and not local:
            raise _refuse(_("Offline: {url} was not fetched.", url=name), _("Use a file of this machine."))
        if url[:5].lower() == "file:":
            raise _refuse(_("{url}: the URL names a file.", url=name), _("Write its path without file://."))
        if not local and urlsplit(url).scheme.lower() != "https":
            problem = _("{url}: the URL has to begin with https:.", url=name)
            raise _refuse(problem, _("Use an https: URL or a file."))
        into = self.studio.store.spool()
        try:
            error = client.download(
                url,
                server if local else None,
                into=into,
                token=client.CancelToken(),
                whole=self.seconds,
                offline=self.offline,
            )
            if error is None:
                return into.read_bytes()
        finally:
            into.unlink(missing_ok=True)
        problem = _("{url}: {cause}", url=name, cause=error.message)
        raise _refuse(problem, _("Check the URL, or use a file."))


def exists(path: Path) -> bool:
    """Return whether something is there."""
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder without permission
        return False


def _verify(path: Path | None, sha256: str, id_: str) -> Path:
    """Return the file of an image if it is unchanged: a damaged file is neither sent nor paid for."""
    problem = _("The file of {id} is missing in the store.", id=id_)
    if path is not None:
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                    return path
            problem = _("The file of {id} is damaged.", id=id_)
        except OSError:
            problem = _("The file of {id} cannot be read.", id=id_)
    raise _refuse(problem, _CHOOSE)


def _refuse_count(name: str, count: int, example: str) -> InvalidInput:
    if not count:
        return _refuse(_("{name} has no image.", name=name), _CHOOSE)
    problem = _("{name} has {count} images.", name=name, count=count)
    return _refuse(problem, _("Choose one, such as {example}.", example=example))


def _decode_data_url(url: str, name: str) -> bytes:
    head, _comma, body = url.partition(",")
    try:
        if not head.lower().endswith(";base64"):
            return unquote_to_bytes(body)
        return base64.b64decode("".join(unquote_to_bytes(body).decode("ascii").split()), validate=True)
    except (binascii.Error, ValueError):
        problem = _("{name}: the base64 of the data URL is damaged.", name=truncate(name, 40))
    raise _refuse(problem, _("Copy the whole URL, or use a file."))


def _name_url(url: str) -> str:
    """Return host and file name of a URL; the rest of it may be a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if not host and not url.lower().startswith("file:"):
        raise _refuse(_("The URL has no host."), _("Write it in full, as https://example.org/fox.png."))
    name = Path(parts.path).name if host else ""
    path = f"/…/{name}" if Path(name).suffix.lower() in SUFFIXES else "/…" if parts.path[1:] else ""
    return truncate(f"{host or 'a file'}{path}", 60)


def _resolved(source: imaging.EncodedImage, label: str, parent: str | None) -> ResolvedInput:
    record = Input(
        sha256=hashlib.sha256(source.data).hexdigest(),
        mime=source.mime,
        width=source.width,
        height=source.height,
        label=sanitize(label, 120),
        parent=parent,
        pixels=source.pixels,
    )
    return ResolvedInput(input=record, source=source)


def _fit_inputs(resolved: ResolvedInputs, required: catalog.InputRequirements) -> ResolvedInputs:
    """Return the images in the form that a server requires. Raises InvalidInput where that is impossible."""
    images = []
    for position, image in enumerate(resolved.images):
        formats = required.formats if position else required.first
        source = imaging.fit_input(
            image.source, formats, required.limit, square=required.square, name=image.input.name
        )
        unchanged = source is image.source
        images.append(image if unchanged else _resolved(source, image.input.label, image.input.parent))
    mask = resolved.mask
    if mask:
        first, source = images[0].source, mask.source
        size, before = (first.width, first.height), (source.width, source.height)
        if size != before:  # the mask has the size in which the first image is sent
            source = imaging.read_mask(source.data, size, scaled_from=before)
        converted = imaging.convert_mask(source, required.mask_as)
        mask = _resolved(converted, mask.input.label, mask.input.parent)
    return ResolvedInputs(images=tuple(images), mask=mask)


def fit_plan(plan: Plan, resolved: ResolvedInputs) -> Plan:
    """Return the plan with the images of every call as its server requires them. Raises InvalidInput."""
    if not resolved.images:
        return plan
    dry_run = bool(plan.local.get("dry_run"))
    fit_once = cache(lambda required: _fit_inputs(resolved, required))  # mostly the same for a whole sweep

    def add_images(call: PlannedCall) -> PlannedCall:
        if call.reused and not dry_run:
            return call
        fitted = fit_once(catalog.find_input_requirements(call.request, call.sent, call.endpoint))
        notes = [note for image in (*resolved.all, *fitted.images) for note in image.notes]
        sent = replace(
            call.sent,
            inputs=tuple(image.input for image in fitted.images),
            mask=fitted.mask.input if fitted.mask else None,
            notes=(*call.sent.notes, *dict.fromkeys(notes)),
        )
        files = {image.input.sha256: image.source.data for image in (*resolved.all, *fitted.all)}
        return replace(call, sent=sent, files=files)

    return replace(plan, calls=tuple(map(add_images, plan.calls)))
