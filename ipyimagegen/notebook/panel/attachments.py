"""The input images and the mask of a panel, read when they are attached and unchanged from then on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from ipyimagegen import imaging
from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.messages import _
from ipyimagegen.core.run import Run
from ipyimagegen.core.text import escape_hidden, truncate
from ipyimagegen.core.user_input import InputRef, InputRefs
from ipyimagegen.notebook.parser import resolve_image
from ipyimagegen.session import inputs
from ipyimagegen.session.studio import Studio


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """The bytes of an image, with what the front end shows about them."""

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    name: str

    @property
    def for_view(self) -> ImageFile:
        """The file as a browser shows it: upright, or the placeholder of a format that is not decoded."""
        if not imaging.can_decode(self.mime):
            drawn = imaging.make_preview([imaging.make_thumb(self.data, self.name, imaging.EDGE)])
            return ImageFile(
                data=drawn.data, mime=drawn.mime, width=drawn.width, height=drawn.height, name=self.name
            )
        if imaging.is_turned(self.data):
            return replace(self, data=imaging.to_png(self.data), mime="image/png")
        return self

    @property
    def for_download(self) -> ImageFile:
        """The file as it came. A browser does not open what is not opened here."""
        return self if imaging.can_decode(self.mime) else replace(self, mime="application/octet-stream")


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """An input image or a mask. `word` names it in a cell; empty for bytes that have no name yet."""

    name: str
    word: str
    resolved: inputs.ResolvedInput = field(repr=False)
    key: str = field(default_factory=lambda: os.urandom(8).hex())

    @property
    def ref(self) -> InputRef:
        """The image as it was when it was attached, whatever its name refers to now."""
        return InputRef(self.resolved, self.name)

    @property
    def file(self) -> ImageFile:
        """Its bytes."""
        source = self.resolved.source
        return ImageFile(
            data=source.data, mime=source.mime, width=source.width, height=source.height, name=self.name
        )

    def to_message(self) -> dict[str, Any]:
        """Return the form in which the front end receives it."""
        source = self.resolved.source
        name = escape_hidden(truncate(self.name, 60))
        return {"key": self.key, "name": name, "width": source.width, "height": source.height}


class Attachments:
    """The input images and the mask of a panel; a single thread changes them.

    Methods raise InvalidInput, NotInHistory or StoreError, and then nothing has changed.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.images: tuple[Attachment, ...] = ()
        self.mask: Attachment | None = None

    def add_text(self, target: str, text: str, names: Mapping[str, Any]) -> None:
        """Attach what a text refers to: an id, a variable, a file, a URL; for a mask also a box."""
        self._add(target, resolve_image(text, names, target), text.strip())

    def add_image(self, image_id: str) -> None:
        """Attach an image of the history."""
        self.add_text("image", f"@{image_id}", {})

    def put_first(self, image_id: str) -> None:
        """Make an image of the history the first image, to which the mask applies."""
        attachment = next((image for image in self.images if image.resolved.input.parent == image_id), None)
        if attachment is None:
            self.add_image(image_id)
            attachment = self.images[-1]
        if attachment is not self.images[0]:
            others = (image for image in self.images if image is not attachment)
            self.images, self.mask = (attachment, *others), None

    def upload(self, target: str, name: str, data: bytes) -> None:
        """Attach a file of the browser's machine."""
        name = truncate(name, 60) or "upload"
        resolved = self._resolve(target, InputRef(data, name))
        if resolved.source.data != data:  # converted now, so that a cell names the bytes that are sent
            resolved = self._resolve(target, InputRef(resolved.source.data, name))
        self._attach(target, name, "", resolved)

    def paint_mask(self, data: bytes, size: tuple[int, int]) -> None:
        """Attach a painted mask: a bit for each pixel, as `imaging.to_mask_image` reads them."""
        if not self.images:
            raise InvalidInput(_("The image of this mask was removed."))
        self._add("mask", InputRef(imaging.to_mask_image(data, size), "painted mask"), "")

    def replace_by_run(self, run: Run) -> None:
        """Attach the inputs of a run in place of all others."""
        fresh = Attachments(self._studio)
        for image in run.request.inputs:
            fresh._add("image", InputRef(image, image.name), "")
        if run.request.mask:
            fresh._add("mask", InputRef(run.request.mask, run.request.mask.name), "")
        self.images, self.mask = fresh.images, fresh.mask

    def remove(self, target: str, key: str) -> None:
        """Remove an image or the mask; with the first image the mask goes, too."""
        if target == "mask" or (self.images and self.images[0].key == key):
            self.mask = None
        if target == "image":
            self.images = tuple(image for image in self.images if image.key != key)

    @property
    def by_target(self) -> dict[str, tuple[Attachment, ...]]:
        """The inputs by the name of their option; what is not attached is left out."""
        given = {"image": self.images, "mask": (self.mask,) if self.mask else ()}
        return {target: attachments for target, attachments in given.items() if attachments}

    def to_refs(self) -> InputRefs:
        """Return the inputs of a request."""
        return {
            target: tuple(attachment.ref for attachment in attachments)
            for target, attachments in self.by_target.items()
        }

    def to_words(self) -> dict[str, list[str]]:
        """Return the names of the inputs in a cell; bytes without a name are written to the store now."""
        return {
            target: [attachment.word or self._store(attachment) for attachment in attachments]
            for target, attachments in self.by_target.items()
        }

    def _store(self, attachment: Attachment) -> str:
        data = attachment.resolved.source.data
        return str(self._studio.store.keep([data], cap=len(data)).path)

    def find(self, key: str) -> Attachment | None:
        """Return the attachment of that key; of an empty key the first image."""
        if not key:
            return self.images[0] if self.images else None
        attachments = chain(*self.by_target.values())
        return next((attachment for attachment in attachments if attachment.key == key), None)

    def _add(self, target: str, ref: InputRef, word: str) -> None:
        self._attach(target, ref.name, word, self._resolve(target, ref))

    def _resolve(self, target: str, ref: InputRef) -> inputs.ResolvedInput:
        first = tuple(image.ref for image in self.images[:1])
        refs = {"image": (ref,)} if target == "image" else {"image": first, "mask": (ref,)}
        resolved = inputs.resolve_inputs(refs, self._studio, offline=self._studio.offline)
        result = resolved.images[0] if target == "image" else resolved.mask
        assert result is not None  # it was given
        return result

    def _attach(self, target: str, name: str, word: str, resolved: inputs.ResolvedInput) -> None:
        lasting = f"@{resolved.input.parent}" if resolved.input.parent else ""
        attachment = Attachment(name=lasting or name, word=lasting or word, resolved=resolved)
        if target == "mask":
            self.mask = attachment
        else:
            self.images = (*self.images, attachment)
