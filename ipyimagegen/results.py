"""What users hold: a `Generation`, which is a sequence of `Image`s.

Both are immutable and can be pickled; a pickle drops the handle to the studio, so that it can be
shown and saved wherever the store's files are, but not re-run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, overload

from ipyimagegen import imaging, saving
from ipyimagegen.caption import DOT, caption, facts
from ipyimagegen.errors import InvalidInput, StoreError
from ipyimagegen.records import Cost, Input, Picture, Run, Status, Verdict
from ipyimagegen.safe import short

if TYPE_CHECKING:  # Pillow comes in when a picture is first looked at
    from PIL.Image import Image as PilImage

Bundle: TypeAlias = tuple[dict[str, Any], dict[str, Any]]  # data and metadata, by MIME type

HEIGHT = 560  # pixels at which one picture is shown, so that its caption fits on the screen with it
ALT_LIMIT = 300  # characters of the prompt that become the picture's alternative text


class Handle(Protocol):
    """What a result asks of its studio."""

    @property
    def embed(self) -> str:
        """`preview` or `original`."""

    def rerun(self, run: Run, prompt: str | None = None, **options: Any) -> Generation:
        """Ask the same again, with prompt or options changed."""

    def edit(self, run: Run, image: Image, prompt: str, options: Mapping[str, Any]) -> Generation:
        """Edit a picture of a run, asking its server and model unless others are named."""

    def named(self, one: Input) -> str:
        """Return what a picture is called that an edit began with."""

    def thumb(self, sha256: str, edge: int) -> PilImage | None:
        """Return the small picture that was made while the file was checked, if still there."""

    def display(self, generation: Generation) -> None:
        """Show it as the front end does. Raises NotImplementedError where there is none."""


class Image:
    """One picture of a result. The bytes are as the server sent them."""

    __slots__ = ("_handle", "_path", "_picture", "_run")

    def __init__(self, run: Run, picture: Picture, path: Path, handle: Handle | None = None) -> None:
        object.__setattr__(self, "_run", run)
        object.__setattr__(self, "_picture", picture)
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_handle", handle)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Image cannot be changed; {name} was not set")

    def __reduce__(self) -> tuple[Any, ...]:
        return (Image, (self._run, self._picture, self._path))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and (self.id, self.sha256) == (other.id, other.sha256)

    def __hash__(self) -> int:
        return hash((self.id, self.sha256))

    _run: Run
    _picture: Picture
    _path: Path
    _handle: Handle | None

    @property
    def id(self) -> str:
        """The lasting id, as 1120-k7f2/3.1."""
        return f"{self._run.id}.{self._picture.index}"

    @property
    def index(self) -> int:
        """Its place in the reply, from 1."""
        return self._picture.index

    @property
    def path(self) -> Path:
        """The file in the store."""
        return self._path

    @property
    def bytes(self) -> bytes:
        """The bytes as they came. Raises StoreError when the file is gone, or holds others."""
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms, which loading has no need of

        try:
            data = self._path.read_bytes()
        except OSError as fault:
            problem = f"cannot be read: {fault.strerror or type(fault).__name__}"
        else:
            if hashlib.sha256(data).hexdigest() == self.sha256:
                return data
            problem = "is damaged: it holds other bytes than came"
        raise StoreError(f"The file of {self.id} {problem}. {self._path}")

    @property
    def pil(self) -> PilImage:
        """The picture as a Pillow image."""
        return imaging.opened(self.bytes)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return (self._picture.width or 0, self._picture.height or 0)

    @property
    def mime(self) -> str:
        """`image/png`, `image/jpeg` or `image/webp`, by the bytes."""
        return self._picture.mime or ""

    @property
    def sha256(self) -> str:
        """The hash of the bytes (hex)."""
        return self._picture.sha256 or ""

    @property
    def revised_prompt(self) -> str | None:
        """The prompt as the server rewrote it, if it said so."""
        return self._picture.revised_prompt

    @property
    def prompt(self) -> str:
        """The prompt that it was made for."""
        return self._run.request.prompt

    @property
    def changed_outside(self) -> float | None:
        """The share of the pixels outside the mask that an edit changed (by more than 8 of 255), 0 to 1.

        None without a mask, or where the pictures cannot be compared. Not a judgement: models redraw.
        """
        return self._picture.changed_outside

    def edit(self, prompt: str, **options: Any) -> Generation:
        """Change this picture as the prompt says, asking the same server and model unless told.

        Options are those of `imagine`, `mask` among them; none is taken over from this picture's run.
        `image` adds others behind this one.
        """
        if self._handle is None:
            raise InvalidInput(f"An unpickled picture has no server; use imagine(…, image='@{self.id}').")
        return self._handle.edit(self._run, self, prompt, options)

    def save(self, path: str | Path) -> Path:
        """Write the picture; see `Generation.save`."""
        return saving.write(self.bytes, saving.target(str(path), self._run, self._picture, several=False))

    def __repr__(self) -> str:
        return f"Image: {short(self._run.request.prompt, 60)!r}{DOT}{self.size[0]}x{self.size[1]}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        del include, exclude
        made = imaging.preview([imaging.inspect(self._path).thumb])
        return framed(made, repr(self), self.prompt)


class Generation(Sequence[Image]):
    """The result of one call: its pictures in order, and everything known of the run."""

    __slots__ = ("_handle", "_images", "_number", "_reused", "_run")

    _run: Run
    _images: tuple[Image, ...]
    _number: int | None
    _reused: bool
    _handle: Handle | None

    def __init__(
        self,
        run: Run,
        images: Sequence[Image],
        *,
        number: int | None = None,
        reused: bool = False,
        handle: Handle | None = None,
    ) -> None:
        values = {"_run": run, "_images": tuple(images), "_number": number, "_reused": reused}
        for name, value in {**values, "_handle": handle}.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Generation cannot be changed; {name} was not set")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_unpickled, (self._run, self._images, self._number, self._reused))

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
    def id(self) -> str:
        """The lasting id of the run that made the pictures, as 1120-k7f2/3."""
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
    def verdicts(self) -> tuple[Verdict, ...]:
        """What was asked and not given."""
        return self._run.verdicts

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
        usage: Mapping[str, Any] = self._run.reply.get("usage") or {}
        return usage

    @property
    def created(self) -> float:
        """When it was asked, in seconds since the epoch."""
        return self._run.created

    @property
    def parents(self) -> tuple[str, ...]:
        """The lasting ids of the pictures that it was made from."""
        return tuple(one.parent for one in self._run.request.inputs if one.parent)

    @property
    def revised_prompts(self) -> tuple[str | None, ...]:
        """The prompts as the server rewrote them, one for each picture."""
        return tuple(image.revised_prompt for image in self._images)

    @property
    def caption(self) -> str:
        """The words under the picture."""
        if self._handle is None:
            return caption(self._run, self._number, from_history=self._reused)
        return caption(self._run, self._number, from_history=self._reused, named=self._handle.named)

    def rerun(self, prompt: str | None = None, **options: Any) -> Generation:
        """Ask the same again with prompt or options changed; with nothing, ask again and pay again."""
        if self._handle is None:
            raise InvalidInput(f"An unpickled result has no server; use history[{self.id!r}].rerun().")
        return self._handle.rerun(self._run, prompt, **options)

    def edit(self, prompt: str, **options: Any) -> Generation:
        """Change its picture; see `Image.edit`. Raises InvalidInput when there are several."""
        if len(self) != 1:
            raise InvalidInput(
                f"This result has {len(self)} pictures; choose one, such as result[0].edit(…)."
            )
        return self[0].edit(prompt, **options)

    def save(self, template: str | Path) -> tuple[Path, ...]:
        """Write every picture and return the files.

        The template takes {id} {index} {model} {endpoint} {seed} {size} {date}. Several pictures
        without {index} get -1, -2. Another existing file is never overwritten, and the suffix
        follows the bytes. Raises InvalidOption for an unknown field, StoreError when it fails.
        """
        several = len(self) > 1
        return tuple(
            saving.write(one.bytes, saving.target(str(template), self._run, one._picture, several=several))  # noqa: SLF001 - one module's two classes
            for one in self
        )

    def __repr__(self) -> str:
        return f"Generation: {short(self.prompt, 60)!r}{DOT}{DOT.join(facts(self._run))}"

    def preview(self) -> imaging.Preview:
        """Return one picture of at most 768 px and 100 KiB: the picture, or a contact sheet."""
        edge = imaging.edge_of(len(self))
        shown = self._number or self.id
        labels = [f"{shown}.{one.index}" for one in self]
        return imaging.preview([self._thumb(one, edge) for one in self], labels)

    def _thumb(self, image: Image, edge: int) -> PilImage | None:
        kept = self._handle.thumb(image.sha256, edge) if self._handle else None
        return kept or imaging.inspect(image.path, edge=edge).thumb

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        del include, exclude
        if not self:
            return ({"text/plain": repr(self)}, {})
        return self.bundles()[0]

    def bundles(self) -> list[Bundle]:
        """Return what a notebook shows: one preview, or each original if so configured."""
        if self._handle and self._handle.embed == "original":
            said = repr(self)
            return [bundle(one.bytes, one.mime, one.size, said, self.prompt) for one in self]
        made = self.preview()
        if len(self) == 1:
            return [framed(made, repr(self), self.prompt)]
        return [bundle(made.data, made.mime, (made.width, made.height), repr(self), self.prompt)]

    def _ipython_display_(self) -> None:
        if self._handle is None:
            raise NotImplementedError  # IPython then asks for the mimebundle
        self._handle.display(self)


def _unpickled(run: Run, images: Sequence[Image], number: int | None, reused: bool) -> Generation:
    return Generation(run, images, number=number, reused=reused)


def framed(made: imaging.Preview, text: str, prompt: str) -> Bundle:
    """Return one picture as a bundle, no higher than a screen has room for with its caption."""
    scale = min(1.0, HEIGHT / made.height)
    size = round(made.width * scale), round(made.height * scale)
    return bundle(made.data, made.mime, size, text, prompt)


def bundle(data: bytes, mime: str, size: tuple[int, int], text: str, prompt: str) -> Bundle:
    """Return a plain picture as a mimebundle and its metadata: no widget, no script, no HTML.

    A WebP original travels as PNG: notebooks have no renderer for it.
    """
    if mime not in ("image/png", "image/jpeg"):
        data, mime = imaging.as_png(data), "image/png"
    alt = short(prompt, ALT_LIMIT)
    return {mime: data, "text/plain": text}, {mime: {"width": size[0], "height": size[1], "alt": alt}}
