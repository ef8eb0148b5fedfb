"""The result of a call: a `Generation`, a sequence of `Image`s.

It is immutable and can be pickled. A pickle has no studio: its result can be shown and saved wherever the
store's files are, but not run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ipyimagegen import imaging
from ipyimagegen.core.errors import ImagineError, InvalidInput, StoreError
from ipyimagegen.core.messages import PYTHON, Front, Message, _
from ipyimagegen.core.request import copy_plain
from ipyimagegen.core.run import Cost, Mismatch, Run, Status
from ipyimagegen.core.text import DOT, truncate
from ipyimagegen.results import saving
from ipyimagegen.results.captions import GONE, NameInput, list_facts, list_inputs, write_caption
from ipyimagegen.results.image import Bundle, Handle, Image, bundle_preview, list_files, make_bundle, to_html

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from ipyimagegen.results.pending import Returned


@dataclass(frozen=True, eq=False, repr=False)
class Generation(Sequence[Image]):
    """The result of a call: its images in order, and everything known of its run.

    `run` is the record, `number` its number in the session that shows it, and `reused` tells that it is from
    the history. `failure` is why it has no image, in a sweep that shows other images. `handle` is the studio,
    None in a pickle.
    """

    run: Run
    images: tuple[Image, ...]
    number: int | None = None
    reused: bool = False
    failure: ImagineError | str | None = None
    handle: Handle | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (Generation, (self.run, self.images, self.number, self.reused, self.failure))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Generation) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Image, ...]: ...
    def __getitem__(self, index: int | slice) -> Image | tuple[Image, ...]:
        return self.images[index]

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images)

    @property
    def error(self) -> str | None:
        """The text of `failure`."""
        return str(self.failure) if self.failure else None

    @property
    def id(self) -> str:
        """The lasting id of the run that made the images, as 1120-k7f2/3."""
        return self.run.id

    @property
    def prompt(self) -> str:
        """The prompt as sent."""
        return self.run.request.prompt

    @property
    def template(self) -> str:
        """The prompt as typed, names in braces and all."""
        return self.run.request.template or self.prompt

    @property
    def model(self) -> str | None:
        """The model as sent."""
        return self.run.sent.model or self.run.request.model

    @property
    def endpoint(self) -> str:
        """The name of the endpoint."""
        return self.run.request.endpoint

    @property
    def options(self) -> Mapping[str, Any]:
        """The options as requested, with `extra`."""
        request = self.run.request
        return {**request.options, **({"extra": copy_plain(dict(request.extra))} if request.extra else {})}

    @property
    def status(self) -> Status:
        """The outcome of the run."""
        return self.run.status

    @property
    def mismatches(self) -> tuple[Mismatch, ...]:
        """What was requested and not returned."""
        return self.run.mismatches

    @property
    def elapsed(self) -> float | None:
        """Seconds from sending to stored."""
        return self.run.elapsed

    @property
    def cost(self) -> Cost:
        """The cost, as far as known."""
        return self.run.cost

    @property
    def usage(self) -> Mapping[str, Any]:
        """Tokens as the server counted them; empty where it counted none."""
        usage: Mapping[str, Any] = self.run.response.get("usage") or {}
        return dict(usage)

    @property
    def created(self) -> datetime:
        """The time of the request, in the time zone of this machine."""
        return datetime.fromtimestamp(self.run.created).astimezone()

    @property
    def parents(self) -> tuple[str, ...]:
        """The lasting ids of its input images."""
        return tuple(source.parent for source in self.run.request.inputs if source.parent)

    @property
    def revised_prompts(self) -> tuple[str | None, ...]:
        """The prompts as the server rewrote them, a prompt for each image."""
        return tuple(image.revised_prompt for image in self.images)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The record of its run, alone."""
        return (self.run,)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its images, in the store."""
        return tuple(image.path for image in self)

    def _get_only(self, attribute: str) -> Image:
        """Return its only image. Raises InvalidInput for none or several."""
        if not self:
            reason = self.error or _("the run is {status}", status=self.status)
            raise InvalidInput(_("{result} has no image: {reason}", result=self.id, reason=reason))
        if len(self) > 1:
            raise InvalidInput(
                _(
                    "This result has {count} images. Choose one, such as result[0].{attribute}.",
                    count=len(self),
                    attribute=attribute,
                )
            )
        return self[0]

    @property
    def pil(self) -> PilImage:
        """Its only image as a Pillow image; see `Image.pil`."""
        return self._get_only("pil").pil

    @property
    def bytes(self) -> bytes:
        """The bytes of its only image; see `Image.bytes`."""
        return self._get_only("bytes").bytes

    @property
    def size(self) -> tuple[int, int]:
        """The width and height of its only image; see `Image.size`."""
        return self._get_only("size").size

    @property
    def mime(self) -> str:
        """The type of its only image; see `Image.mime`."""
        return self._get_only("mime").mime

    @property
    def sha256(self) -> str:
        """The hash of its only image; see `Image.sha256`."""
        return self._get_only("sha256").sha256

    @property
    def path(self) -> Path:
        """The file of its only image, in the store."""
        return self._get_only("path").path

    @property
    def edit_of(self) -> list[str]:
        """The inputs of an edit, in words; empty for other runs."""
        return list_inputs(self.run, self._name_input)

    @property
    def _name_input(self) -> NameInput:
        return self.handle.name_input if self.handle else attrgetter("name")

    @property
    def caption(self) -> str:
        """The words under the image, for Python."""
        return self.write_caption()

    def write_caption(self, front: Front = PYTHON) -> str:
        """Return the words under the image, for a front door."""
        return write_caption(
            self.run,
            self.number,
            from_history=self.reused,
            name_input=self._name_input,
            files={image.number: image.path for image in self},
            front=front,
        )

    def rerun(self, prompt: str | Sequence[str] | None = None, **options: Any) -> Returned:
        """Run the request again, with prompt or options changed; unchanged it is sent, and billed, anew."""
        if self.handle is None:
            raise InvalidInput(
                _("An unpickled result has no server. Use history['{run}'].rerun().", run=self.id)
            )
        return self.handle.rerun(self.run, prompt, **options)

    def edit(self, prompt: str, **options: Any) -> Returned:
        """Edit its image; see `Image.edit`. Raises InvalidInput unless there is exactly 1 image."""
        return self._get_only("edit(…)").edit(prompt, **options)

    def save(self, template: str | Path) -> tuple[Path, ...]:
        """Write every image and return the files.

        The template takes {id} {index} {model} {endpoint} {seed} {size} {date} {prompt}, with formats as in
        f-strings: {index:02d}, {date:%Y}. Several images without {index} get -1, -2. A suffix of another
        format converts the image, with a warning that says so. A different existing file is never
        overwritten. Raises InvalidOption for what is not a path, an unknown field or a format that cannot be
        applied, StoreError when a file cannot be written or there is no image.
        """
        files, notes = self.save_silently(template)
        saving.warn(notes)
        return files

    def save_silently(self, path: object) -> tuple[tuple[Path, ...], tuple[Message, ...]]:
        """Write every image, and return the files and what was converted."""
        template = saving.read_template(path)
        if not self:
            raise saving.make_empty_error(self.id, self.error)
        several = len(self) > 1
        targets = [saving.find_target(template, self.run, image.image, several=several) for image in self]
        return saving.write_images(zip(self, targets, strict=True))

    def __repr__(self) -> str:
        return DOT.join([self._summary, *list_files(self.files)])

    @property
    def _summary(self) -> str:
        """Its `text/plain`: equal in every run of the same request."""
        return f"Generation: {truncate(self.prompt, 60)!r}{DOT}{DOT.join(list_facts(self.run))}"

    def _repr_mimebundle_(self, **_options: Any) -> Bundle:
        return self.to_bundles()[0]

    def _mime_(self) -> tuple[str, str]:
        return to_html(self.to_bundles(), self.caption)

    def to_bundles(self) -> list[Bundle]:
        """Return what a notebook shows: each original if so configured, else an image of at most 768 px.

        Several images are shown as a contact sheet. It has at most 100 KiB.
        """
        if not self:
            return [({"text/plain": self._summary}, {})]
        if self.handle and self.handle.embed == "original":
            with suppress(StoreError, OSError):  # the preview shows that a file is missing or not opened
                return [
                    make_bundle(image.bytes, image.mime, image.size, self._summary, self.prompt)
                    for image in self
                ]
        edge = imaging.choose_edge(len(self))
        labels = [f"{self.number or self.id}.{image.number}" for image in self]
        thumbs = [image.thumb(edge) for image in self]
        preview = imaging.make_preview(thumbs, labels, [GONE if thumb is None else "" for thumb in thumbs])
        return [bundle_preview(preview, self._summary, self.prompt, framed=len(self) == 1)]

    def _ipython_display_(self) -> None:
        if self.handle is None:
            raise NotImplementedError  # IPython then uses the mimebundle
        self.handle.display(self)
