"""The result of one call: a `Generation`, a sequence of `Image`s.

It is immutable and can be pickled; a pickle drops the handle to the studio, so that it can be
shown and saved wherever the store's files are, but not re-run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ipyimagegen import imaging
from ipyimagegen.core.errors import InvalidInput, StoreError
from ipyimagegen.core.run import Cost, Mismatch, Run, Status
from ipyimagegen.core.text import DOT, truncate
from ipyimagegen.results import saving
from ipyimagegen.results.captions import list_facts, list_inputs, write_caption
from ipyimagegen.results.image import GONE, Bundle, Handle, Image, describe_files, frame_bundle, make_bundle

if TYPE_CHECKING:
    from ipyimagegen.results.sweep import Sweep


class Generation(Sequence[Image]):
    """The result of one call: its images in order, and everything known of the run."""

    __slots__ = ("_error", "_handle", "_images", "_number", "_reused", "_run")

    _run: Run
    _images: tuple[Image, ...]
    _number: int | None
    _reused: bool
    _error: str | None
    _handle: Handle | None

    def __init__(
        self,
        run: Run,
        images: Sequence[Image],
        *,
        number: int | None = None,
        reused: bool = False,
        error: str | None = None,
        handle: Handle | None = None,
    ) -> None:
        values = {"_run": run, "_images": tuple(images), "_number": number, "_reused": reused}
        for name, value in {**values, "_error": error, "_handle": handle}.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Generation cannot be changed; {name} was not set")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_unpickled, (self._run, self._images, self._number, self._reused, self._error))

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
        """The number in the session that shows it."""
        return self._number

    @property
    def reused(self) -> bool:
        """Whether the history gave it."""
        return self._reused

    @property
    def error(self) -> str | None:
        """Why it has no image, in a sweep of which others came; else None."""
        return self._error

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
        """The server's name."""
        return self._run.request.endpoint

    @property
    def options(self) -> Mapping[str, Any]:
        """The options as asked, `extra` included."""
        asked = {**self._run.request.options}
        return {**asked, "extra": dict(self._run.request.extra)} if self._run.request.extra else asked

    @property
    def status(self) -> Status:
        """What became of the run."""
        return self._run.status

    @property
    def mismatches(self) -> tuple[Mismatch, ...]:
        """What was asked and not given."""
        return self._run.mismatches

    @property
    def elapsed(self) -> float | None:
        """Seconds from sending to stored."""
        return self._run.elapsed

    @property
    def cost(self) -> Cost:
        """What it cost, as far as known."""
        return self._run.cost

    @property
    def usage(self) -> Mapping[str, Any]:
        """Tokens as the server counted them; empty when it did not."""
        usage: Mapping[str, Any] = self._run.response.get("usage") or {}
        return usage

    @property
    def created(self) -> float:
        """When it was asked, in seconds since the epoch."""
        return self._run.created

    @property
    def parents(self) -> tuple[str, ...]:
        """The lasting ids of the images that it was made from."""
        return tuple(one.parent for one in self._run.request.inputs if one.parent)

    @property
    def revised_prompts(self) -> tuple[str | None, ...]:
        """The prompts as the server rewrote them, one for each image."""
        return tuple(image.revised_prompt for image in self._images)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its images, in the store."""
        return tuple(one.path for one in self)

    @property
    def edit_of(self) -> list[str]:
        """What an edit started from, in words; empty for what is none."""
        return list_inputs(self._run, self._handle.named) if self._handle else list_inputs(self._run)

    @property
    def caption(self) -> str:
        """The words under the image."""
        if self._handle is None:
            return write_caption(self._run, self._number, from_history=self._reused)
        return write_caption(self._run, self._number, from_history=self._reused, named=self._handle.named)

    def rerun(self, prompt: str | Sequence[str] | None = None, **options: Any) -> Generation | Sweep:
        """Ask the same again with prompt or options changed; with nothing, ask again and pay again."""
        if self._handle is None:
            raise InvalidInput(f"An unpickled result has no server; use history[{self.id!r}].rerun().")
        return self._handle.rerun(self._run, prompt, **options)

    def edit(self, prompt: str, **options: Any) -> Generation | Sweep:
        """Change its image; see `Image.edit`. Raises InvalidInput when there are several."""
        if len(self) != 1:
            raise InvalidInput(f"This result has {len(self)} images; choose one, such as result[0].edit(…).")
        return self[0].edit(prompt, **options)

    def save(self, template: str | Path) -> tuple[Path, ...]:
        """Write every image and return the files.

        The template takes {id} {index} {model} {endpoint} {seed} {size} {date}. Several images
        without {index} get -1, -2. Another existing file is never overwritten, and the suffix
        follows the bytes. Raises InvalidOption for an unknown field, StoreError when it fails or where
        no image came.
        """
        saving.check_template(str(template))
        if not self:
            raise saving.make_empty_error(self.id, self.error)
        several = len(self) > 1
        return tuple(
            saving.write_file(
                one.bytes, saving.find_target(str(template), self._run, one.image, several=several)
            )
            for one in self
        )

    def __repr__(self) -> str:
        return DOT.join([self._said, *describe_files(self.files)])

    @property
    def _said(self) -> str:
        """What stands beside its image: equal in every run."""
        return f"Generation: {truncate(self.prompt, 60)!r}{DOT}{DOT.join(list_facts(self._run))}"

    def preview(self) -> imaging.Preview:
        """Return one image of at most 768 px and 100 KiB: the image, or a contact sheet."""
        edge = imaging.choose_edge(len(self))
        shown = self._number or self.id
        labels = [f"{shown}.{one.index}" for one in self]
        thumbs = [one.thumb(edge) for one in self]
        return imaging.make_preview(thumbs, labels, [GONE if thumb is None else "" for thumb in thumbs])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        del include, exclude
        return self.bundles()[0]

    def bundles(self) -> list[Bundle]:
        """Return what a notebook shows: one preview, or each original if so configured."""
        if not self:
            return [({"text/plain": self._said}, {})]
        if self._handle and self._handle.embed == "original":
            with suppress(StoreError):  # what is gone is shown as that
                return [make_bundle(one.bytes, one.mime, one.size, self._said, self.prompt) for one in self]
        made = self.preview()
        if len(self) == 1:
            return [frame_bundle(made, self._said, self.prompt)]
        return [make_bundle(made.data, made.mime, (made.width, made.height), self._said, self.prompt)]

    def _ipython_display_(self) -> None:
        if self._handle is None:
            raise NotImplementedError  # IPython then asks for the mimebundle
        self._handle.display(self)


def _unpickled(
    run: Run, images: Sequence[Image], number: int | None, reused: bool, error: str | None = None
) -> Generation:
    return Generation(run, images, number=number, reused=reused, error=error)
