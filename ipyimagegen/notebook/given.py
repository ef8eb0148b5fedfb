"""The pictures that a panel holds to start from: chips with a size, and a word for a cell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ipyimagegen import imaging, inputs
from ipyimagegen.notebook.sources import named
from ipyimagegen.options import INPUTS
from ipyimagegen.records import Input, Run
from ipyimagegen.safe import short, visible
from ipyimagegen.studio import Studio
from ipyimagegen.typed import Offered, Pictures


@dataclass(frozen=True, kw_only=True)
class Given:
    """One of them. `word` names it in a cell; what has none is named by its file in the store."""

    offered: Offered
    word: str
    opened: inputs.Opened = field(repr=False)
    key: str = field(default_factory=lambda: os.urandom(8).hex())

    def as_message(self) -> dict[str, Any]:
        """Return it as a front end takes it."""
        source = self.opened.source
        name = visible(short(self.offered.name, 60))
        return {"key": self.key, "name": name, "width": source.width, "height": source.height}

    def cell_word(self, studio: Studio) -> str:
        """Return how a cell names it; bytes without a name are put into the store now."""
        if self.word:
            return self.word
        data = self.opened.source.data
        return str(studio.store.keep([data], cap=len(data), suffix_of=imaging.suffix_of).path)


class Tray:
    """The pictures and the mask of one panel. Raises InvalidInput, NotInHistory or StoreError."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.images: tuple[Given, ...] = ()
        self.mask: Given | None = None

    def type(self, target: str, text: str, names: Mapping[str, Any]) -> None:
        """Add what a word stands for: an id, a variable, a file, an address; for a mask also a box."""
        self._put(target, named(text, names, INPUTS[target].flag), text.strip())

    def use(self, picture_id: str) -> None:
        """Add a picture of the history."""
        word = f"@{picture_id}"
        self._put("image", named(word, {}, "--image"), word)

    def use_first(self, picture_id: str) -> None:
        """Put a picture of the history first, where the picture of a mask stands."""
        word = f"@{picture_id}"
        if not any(one.word == word for one in self.images):
            self.use(picture_id)
        first = next(one for one in self.images if one.word == word)
        if first is not self.images[0]:
            self.mask = None
        self.images = (first, *(one for one in self.images if one is not first))

    def upload(self, target: str, name: str, data: bytes) -> None:
        """Add a file of the browser's machine."""
        self._put(target, Offered(data, short(name, 60) or "upload"), "")

    def paint(self, data: bytes, size: tuple[int, int]) -> None:
        """Take a mask that was painted: a bit for each pixel, as `imaging.painted` takes them."""
        self._put("mask", Offered(imaging.painted(data, size), "painted mask"), "")

    def recall(self, run: Run) -> None:
        """Hold what a run was asked with, and nothing else."""
        self.images, self.mask = (), None
        for one in run.request.inputs:
            self._put("image", Offered(one, one.name), _word(one))
        if run.request.mask:
            self._put("mask", Offered(run.request.mask, run.request.mask.name), _word(run.request.mask))

    def remove(self, target: str, key: str) -> None:
        """Take one out; a mask goes with the picture that it is for."""
        if target == "mask" or (self.images and self.images[0].key == key):
            self.mask = None
        if target == "image":
            self.images = tuple(one for one in self.images if one.key != key)

    def pictures(self) -> Pictures:
        """Return them as a request takes them; what is not there unsets nothing."""
        return {name: tuple(one.offered for one in some) for name, some in self._held().items() if some}

    def words(self) -> dict[str, list[str]]:
        """Return how a cell names them."""
        return {name: [one.cell_word(self._studio) for one in some] for name, some in self._held().items()}

    def keys(self) -> tuple[str, ...]:
        """Return what tells these pictures from others."""
        return tuple(one.key for some in self._held().values() for one in some)

    def find(self, key: str) -> Given | None:
        """Return the one with that key, by default the first picture."""
        if not key:
            return self.images[0] if self.images else None
        return next((one for some in self._held().values() for one in some if one.key == key), None)

    def _held(self) -> dict[str, tuple[Given, ...]]:
        return {"image": self.images, "mask": (self.mask,) if self.mask else ()}

    def _put(self, target: str, offered: Offered, word: str) -> None:
        first = tuple(one.offered for one in self.images[:1])
        given = {"image": (offered,)} if target == "image" else {"image": first, "mask": (offered,)}
        attached = inputs.attach(given, self._studio, offline=self._studio.offline)
        if target == "mask":
            assert attached.mask is not None  # it was given
            self.mask = Given(offered=offered, word=word, opened=attached.mask)
        else:
            self.images = (*self.images, Given(offered=offered, word=word, opened=attached.images[0]))


def _word(one: Input) -> str:
    return f"@{one.parent}" if one.parent else ""


def thumb(given: Given, edge: int) -> imaging.Preview:
    """Return a small picture of it."""
    image = imaging.opened(given.opened.source.data)
    image.thumbnail((edge, edge))
    return imaging.preview([image])
