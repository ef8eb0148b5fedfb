"""An image as users hold it, and the mimebundle of an image that a notebook shows."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ipyimagegen import imaging
from ipyimagegen.core.errors import InvalidInput, StoreError
from ipyimagegen.core.messages import Message, _
from ipyimagegen.core.request import Input
from ipyimagegen.core.run import ImageRecord, Run
from ipyimagegen.core.text import DOT, escape_hidden, truncate
from ipyimagegen.results import saving
from ipyimagegen.results.captions import GONE, describe_unopened

if TYPE_CHECKING:  # Pillow is imported when an image is first opened
    from PIL.Image import Image as PilImage

    from ipyimagegen.results.pending import Returned
    from ipyimagegen.results.sweep import Result

Bundle: TypeAlias = tuple[dict[str, Any], dict[str, Any]]  # data and metadata, by MIME type

HEIGHT = 560  # pixels at which a single image is shown, so that its caption fits on the screen with it
ALT_LIMIT = 300  # characters of the prompt that become the image's alternative text


class Handle(Protocol):
    """What a result needs of its studio."""

    @property
    def embed(self) -> str:
        """`preview` or `original`."""

    def rerun(self, run: Run, prompt: str | Sequence[str] | None = None, **options: Any) -> Returned:
        """Run the request again, with prompt or options changed."""

    def edit(self, run: Run, image: Image, prompt: str, options: Mapping[str, Any]) -> Returned:
        """Edit an image of a run, by its server and model unless others are given."""

    def name_input(self, source: Input) -> str:
        """Return the name of an input image."""

    def thumb(self, image: Image, edge: int) -> PilImage | None:
        """Return a small image, or None when it cannot be shown."""

    def display(self, result: Result) -> None:
        """Show a result as the front end does. Raises NotImplementedError where there is no front end."""


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """An image of a result. Its bytes are as the server sent them.

    `run` is the record of its run, `image` its part of that record, `path` its file in the store. `handle` is
    the studio, None in a pickle.
    """

    run: Run
    image: ImageRecord
    path: Path
    handle: Handle | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (Image, (self.run, self.image, self.path))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and (self.id, self.sha256) == (other.id, other.sha256)

    def __hash__(self) -> int:
        return hash((self.id, self.sha256))

    @property
    def id(self) -> str:
        """The lasting id, as 1120-k7f2/3.1."""
        return f"{self.run.id}.{self.image.index}"

    @property
    def number(self) -> int:
        """Its number in the run, from 1."""
        return self.image.index

    @property
    def bytes(self) -> bytes:
        """The bytes as received. Raises StoreError when the file is missing or damaged."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            values = {"image": self.id, "reason": error.strerror or type(error).__name__, "path": self.path}
            message = _("The file of {image} cannot be read: {reason}. {path}", **values)
        else:
            if hashlib.sha256(data).hexdigest() == self.sha256:
                return data
            message = _("The file of {image} is damaged. {path}", image=self.id, path=self.path)
        raise StoreError(message)

    @property
    def pil(self) -> PilImage:
        """The image as a Pillow image, upright; of an animation the first frame.

        Raises StoreError when its format is not decoded.
        """
        if not imaging.can_decode(self.mime):
            raise StoreError(
                _("{image} cannot be opened: {problem}.", image=self.id, problem=self._describe_unopened())
            )
        return imaging.open_image(self.bytes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Return its pixels as a NumPy array of shape (height, width, 3 or 4), uint8 without `dtype`.

        The array is new each time: `copy=False` raises ValueError, as NumPy's protocol requires.
        """
        if copy is False:
            raise ValueError("The pixels of an image are decoded into a new array: copy=False is impossible.")
        return importlib.import_module("numpy").array(imaging.to_colour(self.pil), dtype=dtype)

    def _describe_unopened(self) -> str:
        return describe_unopened(self.image, {self.number: self.path})

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels as it is shown, after EXIF rotation; (0, 0) where it is not decoded."""
        return (self.image.width or 0, self.image.height or 0)

    @property
    def mime(self) -> str:
        """`image/png`, `image/jpeg`, `image/webp`, `image/gif` and so on, by the bytes."""
        return self.image.mime or ""

    @property
    def sha256(self) -> str:
        """The hash of the bytes (hex)."""
        return self.image.sha256 or ""

    @property
    def revised_prompt(self) -> str | None:
        """The prompt as the server rewrote it, if it returned that."""
        return self.image.revised_prompt

    @property
    def prompt(self) -> str:
        """The prompt as sent."""
        return self.run.request.prompt

    @property
    def changed_outside(self) -> float | None:
        """The share of the pixels outside the mask that an edit changed (by more than 8 of 255), 0 to 1.

        None without a mask, or where the images cannot be compared. Not a judgement: models redraw.
        """
        return self.image.changed_outside

    def edit(self, prompt: str, **options: Any) -> Returned:
        """Edit this image, by the same server and model unless others are given.

        Options are those of `imagine`, with `mask`; none is taken over from this image's run. `image` adds
        more inputs after this image.
        """
        if self.handle is None:
            raise InvalidInput(
                _("An unpickled image has no server. Use imagine(…, image='@{image}').", image=self.id)
            )
        return self.handle.edit(self.run, self, prompt, options)

    def thumb(self, edge: int) -> PilImage | None:
        """Return a Pillow image of at most `edge` pixels, or None when the image cannot be shown."""
        with suppress(OSError):  # forgotten, or in a store that is not here
            if self.handle:
                return self.handle.thumb(self, edge)
            return imaging.inspect(self.path, edge=edge).thumb
        return None

    def save(self, path: str | Path) -> Path:
        """Write the image; see `Generation.save`."""
        file, notes = self.save_silently(path)
        saving.warn(notes)
        return file

    def save_silently(self, path: object) -> tuple[Path, tuple[Message, ...]]:
        """Write the image, and return what was converted."""
        file = saving.find_target(saving.read_template(path), self.run, self.image, several=False)
        written, note = saving.write_image(self.bytes, self.mime, file)
        return written, (note,) if note else ()

    def __repr__(self) -> str:
        return DOT.join([self._summary, *list_files([self.path])])

    @property
    def _summary(self) -> str:
        """Its `text/plain`: equal in every run of the same request."""
        size = [] if self.image.unopened else [f"{self.size[0]}x{self.size[1]}"]
        return DOT.join([f"Image: {truncate(self.run.request.prompt, 60)!r}", *size])

    def _repr_mimebundle_(self, **_options: Any) -> Bundle:
        thumb = self.thumb(imaging.EDGE)
        preview = imaging.make_preview([thumb], notes=[GONE if thumb is None else ""])
        return bundle_preview(preview, repr(self), self.prompt, framed=True)


def list_files(files: Iterable[Path]) -> list[str]:
    """Return the files as text where no images are shown: nothing in a notebook."""
    ipython = sys.modules.get("IPython")
    return [] if ipython and hasattr(ipython.get_ipython(), "kernel") else [str(file) for file in files]


def bundle_preview(preview: imaging.Preview, text: str, prompt: str, *, framed: bool = False) -> Bundle:
    """Return a preview as a bundle; `framed`, so high that a screen has room for its caption too."""
    scale = min(1.0, HEIGHT / preview.height) if framed else 1.0
    size = round(preview.width * scale), round(preview.height * scale)
    return make_bundle(preview.data, preview.mime, size, text, prompt)


def make_bundle(data: bytes, mime: str, size: tuple[int, int], text: str, prompt: str) -> Bundle:
    """Return a plain image as a mimebundle and its metadata: no widget, no script, no HTML.

    Originals of other formats become PNG: notebooks do not render them. So do those that EXIF rotates: not
    every front end does. Raises OSError for a format that is not decoded.
    """
    if mime not in ("image/png", "image/jpeg") or imaging.is_turned(data):
        data, mime = imaging.to_png(data), "image/png"
    alt = truncate(prompt, ALT_LIMIT)
    encoded = base64.b64encode(data).decode("ascii")  # as Jupyter's messages have it
    return {mime: encoded, "text/plain": text}, {mime: {"width": size[0], "height": size[1], "alt": alt}}


def to_html(bundles: Iterable[Bundle], caption: str) -> tuple[str, str]:
    """Return images with the words below them as HTML and its type: what `_mime_` returns to marimo."""
    images = [
        f'<img src="data:{mime};base64,{data[mime]}" width="{shown["width"]}" '
        f'height="{shown["height"]}" alt="{html.escape(shown["alt"])}">'
        for data, metadata in bundles
        for mime, shown in metadata.items()
    ]
    words = f'<pre style="white-space: pre-wrap">{html.escape(escape_hidden(caption))}</pre>'
    return "text/html", "\n".join([*images, words])
