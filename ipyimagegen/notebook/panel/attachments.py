"""The images that a panel holds to start from: opened when they are added, and as they were then."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ipyimagegen import imaging
from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.options import INPUTS
from ipyimagegen.core.run import Run
from ipyimagegen.core.text import escape_hidden, truncate
from ipyimagegen.core.user_input import InputRef, InputRefs
from ipyimagegen.notebook.image_arguments import resolve_argument
from ipyimagegen.session import inputs
from ipyimagegen.session.studio import Studio


@dataclass(frozen=True, kw_only=True)
class File:
    """An image's bytes, and what a page has to know of them."""

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    name: str

    def thumb(self, edge: int) -> imaging.Preview:
        """Return it small."""
        image = imaging.open_image(self.data)
        image.thumbnail((edge, edge))
        return imaging.make_preview([image])


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """One of them. `word` names it in a cell; what has none is named by its file in the store."""

    name: str
    word: str
    opened: inputs.ResolvedInput = field(repr=False)
    key: str = field(default_factory=lambda: os.urandom(8).hex())

    @property
    def offered(self) -> InputRef:
        """The image as it was when it was added, whatever its name stands for now."""
        return InputRef(self.opened, self.name)

    @property
    def file(self) -> File:
        """Its bytes."""
        source = self.opened.source
        return File(
            data=source.data, mime=source.mime, width=source.width, height=source.height, name=self.name
        )

    def as_message(self) -> dict[str, Any]:
        """Return it as a front end takes it."""
        source = self.opened.source
        name = escape_hidden(truncate(self.name, 60))
        return {"key": self.key, "name": name, "width": source.width, "height": source.height}

    def cell_word(self, studio: Studio) -> str:
        """Return how a cell names it; bytes without a name are put into the store now."""
        if self.word:
            return self.word
        data = self.opened.source.data
        return str(studio.store.keep([data], cap=len(data), suffix_of=imaging.find_suffix).path)


class Attachments:
    """The images and the mask of one panel; one thread changes them.

    Its methods raise InvalidInput, NotInHistory or StoreError, and then nothing has changed.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.images: tuple[Attachment, ...] = ()
        self.mask: Attachment | None = None

    def type(self, target: str, text: str, names: Mapping[str, Any]) -> None:
        """Add what a word stands for: an id, a variable, a file, an address; for a mask also a box."""
        self._put(target, resolve_argument(text, names, INPUTS[target].flag), text.strip())

    def use(self, image_id: str) -> None:
        """Add an image of the history."""
        word = f"@{image_id}"
        self._put("image", resolve_argument(word, {}, "--image"), word)

    def use_first(self, image_id: str) -> None:
        """Put an image of the history first, where the image of a mask stands."""
        held = next((one for one in self.images if one.opened.input.parent == image_id), None)
        if held is None:
            self.use(image_id)
            held = self.images[-1]
        if held is not self.images[0]:
            self.images, self.mask = (held, *(one for one in self.images if one is not held)), None

    def upload(self, target: str, name: str, data: bytes) -> None:
        """Add a file of the browser's machine."""
        name = truncate(name, 60) or "upload"
        opened = self._opened(target, InputRef(data, name))
        if opened.source.data != data:  # converted now, so that a cell names the bytes that are sent
            opened = self._opened(target, InputRef(opened.source.data, name))
        self._hold(target, name, "", opened)

    def paint(self, data: bytes, size: tuple[int, int]) -> None:
        """Take a mask that was painted: a bit for each pixel, as `imaging.painted` takes them."""
        if not self.images:
            raise InvalidInput("The image that the mask was painted on was taken out.")
        self._put("mask", InputRef(imaging.to_mask_image(data, size), "painted mask"), "")

    def recall(self, run: Run) -> None:
        """Hold what a run was asked with, and nothing else."""
        again = Attachments(self._studio)
        for one in run.request.inputs:
            again._put("image", InputRef(one, one.name), "")
        if run.request.mask:
            again._put("mask", InputRef(run.request.mask, run.request.mask.name), "")
        self.images, self.mask = again.images, again.mask

    def remove(self, target: str, key: str) -> None:
        """Take one out; a mask goes with the image that it is for."""
        if target == "mask" or (self.images and self.images[0].key == key):
            self.mask = None
        if target == "image":
            self.images = tuple(one for one in self.images if one.key != key)

    def to_refs(self) -> InputRefs:
        """Return them as a request takes them; what is not there unsets nothing."""
        return {name: tuple(one.offered for one in some) for name, some in self._held().items() if some}

    def words(self) -> dict[str, list[str]]:
        """Return how a cell names them."""
        return {name: [one.cell_word(self._studio) for one in some] for name, some in self._held().items()}

    def find(self, key: str) -> Attachment | None:
        """Return the one with that key, by default the first image."""
        if not key:
            return self.images[0] if self.images else None
        return next((one for some in self._held().values() for one in some if one.key == key), None)

    def _held(self) -> dict[str, tuple[Attachment, ...]]:
        return {"image": self.images, "mask": (self.mask,) if self.mask else ()}

    def _put(self, target: str, offered: InputRef, word: str) -> None:
        self._hold(target, offered.name, word, self._opened(target, offered))

    def _opened(self, target: str, offered: InputRef) -> inputs.ResolvedInput:
        first = tuple(one.offered for one in self.images[:1])
        given = {"image": (offered,)} if target == "image" else {"image": first, "mask": (offered,)}
        attached = inputs.resolve_inputs(given, self._studio, offline=self._studio.offline)
        opened = attached.images[0] if target == "image" else attached.mask
        assert opened is not None  # it was given
        return opened

    def _hold(self, target: str, name: str, word: str, opened: inputs.ResolvedInput) -> None:
        lasting = f"@{opened.input.parent}" if opened.input.parent else ""
        one = Attachment(name=lasting or name, word=lasting or word, opened=opened)
        if target == "mask":
            self.mask = one
        else:
            self.images = (*self.images, one)
