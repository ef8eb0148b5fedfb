"""The result of one call: a `Generation`, a sequence of `Image`s.

It is immutable and can be pickled. A pickle has no studio: its result can be shown and saved wherever the
store's files are, but not run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ipyimagegen import imaging
from ipyimagegen.core.errors import ImagineError, InvalidInput, StoreError
from ipyimagegen.core.messages import PYTHON, Front, _
from ipyimagegen.core.run import Cost, Mismatch, Run, Status
from ipyimagegen.core.text import DOT, truncate
from ipyimagegen.results import saving
from ipyimagegen.results.captions import GONE, list_facts, list_inputs, write_caption
from ipyimagegen.results.image import Bundle, Handle, Image, frame_bundle, list_files, make_bundle

if TYPE_CHECKING:
    from ipyimagegen.results.sweep import Sweep


class Generation(Sequence[Image]):
    """The result of one call: its images in order, and everything known of its run."""

    __slots__ = ("_failure", "_handle", "_images", "_number", "_reused", "_run")

    _run: Run
    _images: tuple[Image, ...]
    _number: int | None
    _reused: bool
    _failure: ImagineError | str | None
    _handle: Handle | None

    def __init__(
        self,
        run: Run,
        images: Sequence[Image],
        *,
        number: int | None = None,
        reused: bool = False,
        failure: ImagineError | str | None = None,
        handle: Handle | None = None,
    ) -> None:
        values = {"_run": run, "_images": tuple(images), "_number": number, "_reused": reused}
        for name, value in {**values, "_failure": failure, "_handle": handle}.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Generation cannot be changed; {name} was not set")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_unpickle, (self._run, self._images, self._number, self._reused, self._failure))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Generation) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Image, ...]: ...
    def __getitem__(self, index: int | slice) -> Image | tuple[Image, ...]:
        return self._images[index]

    def __iter__(self) -> Iterator[Image]:
        return iter(self._images)

    @property
    def run(self) -> Run:
        """The record."""
        return self._run

    @property
    def number(self) -> int | None:
        """The number of the run in the session that shows it."""
        return self._number

    @property
    def reused(self) -> bool:
        """Whether it is from the history."""
        return self._reused

    @property
    def failure(self) -> ImagineError | str | None:
        """Why it has no image, in a sweep that shows other images; else None."""
        return self._failure

    @property
    def error(self) -> str | None:
        """The text of `failure`."""
        return str(self._failure) if self._failure else None

    @property
    def id(self) -> str:
        """The lasting id of the run that made the images, as 1120-k7f2/3."""
        return self._run.id

    @property
    def prompt(self) -> str:
        """The prompt as sent."""
        return self._run.request.prompt

    @property
    def template(self) -> str:
        """The prompt as typed, names in braces and all."""
        return self._run.request.template or self.prompt

    @property
    def model(self) -> str | None:
        """The model as sent."""
        return self._run.sent.model or self._run.request.model

    @property
    def endpoint(self) -> str:
        """The name of the endpoint."""
        return self._run.request.endpoint

    @property
    def options(self) -> Mapping[str, Any]:
        """The options as requested, with `extra`."""
        request = self._run.request
        return {**request.options, **({"extra": dict(request.extra)} if request.extra else {})}

    @property
    def status(self) -> Status:
        """The outcome of the run."""
        return self._run.status

    @property
    def mismatches(self) -> tuple[Mismatch, ...]:
        """What was requested and not returned."""
        return self._run.mismatches

    @property
    def elapsed(self) -> float | None:
        """Seconds from sending to stored."""
        return self._run.elapsed

    @property
    def cost(self) -> Cost:
        """The cost, as far as known."""
        return self._run.cost

    @property
    def usage(self) -> Mapping[str, Any]:
        """Tokens as the server counted them; empty where it counted none."""
        usage: Mapping[str, Any] = self._run.response.get("usage") or {}
        return usage

    @property
    def created(self) -> float:
        """The time of the request, in seconds since the epoch."""
        return self._run.created

    @property
    def parents(self) -> tuple[str, ...]:
        """The lasting ids of its input images."""
        return tuple(source.parent for source in self._run.request.inputs if source.parent)

    @property
    def revised_prompts(self) -> tuple[str | None, ...]:
        """The prompts as the server rewrote them, one for each image."""
        return tuple(image.revised_prompt for image in self._images)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its images, in the store."""
        return tuple(image.path for image in self)

    @property
    def edit_of(self) -> list[str]:
        """The inputs of an edit, in words; empty for other runs."""
        return list_inputs(self._run, self._handle.name_input) if self._handle else list_inputs(self._run)

    @property
    def caption(self) -> str:
        """The words under the image, for Python."""
        return self.write_caption()

    def write_caption(self, front: Front = PYTHON) -> str:
        """Return the words under the image, for a front door."""
        name_input = self._handle.name_input if self._handle else attrgetter("name")
        return write_caption(
            self._run, self._number, from_history=self._reused, name_input=name_input, front=front
        )

    def rerun(self, prompt: str | Sequence[str] | None = None, **options: Any) -> Generation | Sweep:
        """Run the request again, with prompt or options changed; unchanged it is sent, and billed, anew."""
        if self._handle is None:
            raise InvalidInput(
                _("An unpickled result has no server. Use history['{run}'].rerun().", run=self.id)
            )
        return self._handle.rerun(self._run, prompt, **options)

    def edit(self, prompt: str, **options: Any) -> Generation | Sweep:
        """Edit its image; see `Image.edit`. Raises InvalidInput unless there is exactly one."""
        if len(self) != 1:
            raise InvalidInput(
                _("This result has {count} images. Choose one, such as result[0].edit(…).", count=len(self))
            )
        return self[0].edit(prompt, **options)

    def save(self, template: str | Path) -> tuple[Path, ...]:
        """Write every image and return the files.

        The template takes {id} {index} {model} {endpoint} {seed} {size} {date}. Several images without
        {index} get -1, -2. A different existing file is never overwritten, and the suffix follows the bytes.
        Raises InvalidOption for an unknown field, StoreError when a file cannot be written or there is no
        image.
        """
        saving.check_template(str(template))
        if not self:
            raise saving.make_empty_error(self.id, self.error)
        several = len(self) > 1
        return tuple(
            saving.write_file(
                image.bytes, saving.find_target(str(template), self._run, image.image, several=several)
            )
            for image in self
        )

    def __repr__(self) -> str:
        return DOT.join([self._summary, *list_files(self.files)])

    @property
    def _summary(self) -> str:
        """Its `text/plain`: equal in every run of the same request."""
        return f"Generation: {truncate(self.prompt, 60)!r}{DOT}{DOT.join(list_facts(self._run))}"

    def preview(self) -> imaging.Preview:
        """Return one image of at most 768 px and 100 KiB: its image, or a contact sheet."""
        edge = imaging.choose_edge(len(self))
        labels = [f"{self._number or self.id}.{image.index}" for image in self]
        thumbs = [image.thumb(edge) for image in self]
        return imaging.make_preview(thumbs, labels, [GONE if thumb is None else "" for thumb in thumbs])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        del include, exclude
        return self.to_bundles()[0]

    def to_bundles(self) -> list[Bundle]:
        """Return what a notebook shows: a preview, or each original if so configured."""
        if not self:
            return [({"text/plain": self._summary}, {})]
        if self._handle and self._handle.embed == "original":
            with suppress(StoreError):  # the preview shows that a file is missing
                return [
                    make_bundle(image.bytes, image.mime, image.size, self._summary, self.prompt)
                    for image in self
                ]
        preview = self.preview()
        if len(self) == 1:
            return [frame_bundle(preview, self._summary, self.prompt)]
        size = preview.width, preview.height
        return [make_bundle(preview.data, preview.mime, size, self._summary, self.prompt)]

    def _ipython_display_(self) -> None:
        if self._handle is None:
            raise NotImplementedError  # IPython then uses the mimebundle
        self._handle.display(self)


def _unpickle(
    run: Run,
    images: Sequence[Image],
    number: int | None,
    reused: bool,
    failure: ImagineError | str | None,
) -> Generation:
    return Generation(run, images, number=number, reused=reused, failure=failure)
