"""Edits at a strict server: forms and JSON with images, read by another implementation than ours.

An `Edit` is a document of a route that takes images. Forms are read with the standard library's
`email`. What arrived keeps every image's bytes, so that tests can compare them with what was given.
"""

import base64
import functools
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from email.parser import BytesParser
from typing import Any

from PIL import Image, ImageChops
from strict import Document, default_size, header

MIB = 1 << 20
SUFFIXES = {"png": (".png",), "jpeg": (".jpg", ".jpeg"), "webp": (".webp",)}


class Refused(Exception):
    """A body that cannot be read as the document says."""


@dataclass(frozen=True)
class UploadedImage:
    """An image that arrived: its bytes, and in a form the name of its field and file, and its type."""

    data: bytes
    name: str = ""
    filename: str = ""
    mime: str = ""

    @functools.cached_property
    def image(self):
        with Image.open(io.BytesIO(self.data)) as opened:
            opened.load()
            return opened

    @property
    def kind(self):
        return self.image.format.lower()


class Asked(dict):
    """The fields of an edit, with its images in order and its mask."""

    images: tuple[UploadedImage, ...] = ()
    mask: UploadedImage | None = None


@dataclass(frozen=True, kw_only=True)
class Mask:
    """How a server wants its mask: `alpha` 0 may change, or in `grey` white may change."""

    form: str
    names: tuple[str, ...] = ("mask",)
    required: bool = False
    most_bytes: int = 4 * MIB
    same_kind: bool = False

    def faults(self, mask, first):
        """Yield what is wrong with a mask for the first image."""
        if mask.kind != "png" or len(mask.data) >= self.most_bytes:
            yield "the mask must be a PNG file, less than 4 MB"
        if self.same_kind and mask.kind != first.kind:
            yield "the image and mask must be of the same format"
        if mask.image.size != first.image.size:
            yield f"the mask is {mask.image.size}, the image {first.image.size}"
        if self.form == "alpha" and "A" not in mask.image.getbands():
            yield "the mask must have an alpha channel"
        if self.form == "grey" and mask.image.mode not in ("1", "L"):
            grey = mask.image.convert("L").convert("RGB")
            if mask.image.mode != "RGB" or ImageChops.difference(grey, mask.image).getbbox():
                yield f"the mask must be grey without an alpha channel, not {mask.image.mode}"

    def may_change(self, mask):
        """Return where the image may change: white in an image of one channel."""
        if self.form == "alpha":
            return ImageChops.invert(mask.image.getchannel("A"))
        return mask.image.convert("L")


def as_input(asked):
    """Return the size of the image for a request: as asked, or as its first input."""
    sized = re.match(r"\d+\D\d+$", str(asked.get("size")))
    return default_size(asked) if sized else asked.images[0].image.size


@dataclass(frozen=True, kw_only=True)
class Edit(Document):
    """What is published of a route that takes images.

    `single` and `several` are the fields in which a form may hold one image, or more; `most` is how
    many (for a model: `model_most`), `kinds` their formats, `most_text` how long a data URL. For JSON
    `place` gives back images and mask as their texts, and the other fields. `both` is the status for
    two such fields at once.
    """

    path: str = "/v1/images/edits"
    single: tuple[str, ...] = ("image", "image[]")
    several: tuple[str, ...] = ("image[]",)
    by_model: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    place: Callable[[dict], tuple[list, Any, dict]] | None = None
    places: tuple[str, ...] = ()
    most: int = 16
    model_most: Mapping[str, int] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("png", "jpeg", "webp")
    most_bytes: int = 50 * MIB
    most_text: int | None = None
    mask: Mask | None = None
    both: int = 400
    size: Callable[[Mapping[str, Any]], tuple[int, int]] = as_input

    def takes(self, seen):
        if seen.path != self.path or (self.place is None) != is_form(seen):
            return False
        return self.place is None or any(name in seen.json for name in self.places)

    def read(self, seen):
        return self._json(seen) if self.place else self._form(seen)

    def refusals(self, seen):
        try:
            yield from super().refusals(seen)
            yield from ((self.bad_value, "invalid_image", problem) for problem in self._image_faults(seen))
        except Refused as refused:
            status, code, *more = refused.args
            yield status, code, *more

    def _form(self, seen):
        if not is_form(seen):
            raise Refused(400, "unsupported_content_type", "Content-Type must be multipart/form-data")
        texts, by_name = {}, {}
        for name, filename, mime, data in parts(seen):
            if filename is not None:
                by_name.setdefault(name, []).append(UploadedImage(data, name, filename, mime))
            elif name in texts or mime:
                raise Refused(self.bad_value, "invalid_value", f"Duplicate or typed field '{name}'.")
            else:
                texts[name] = data.decode()
        asked = Asked({name: self._typed(name, text, texts) for name, text in texts.items()})
        masks = [part for name in (self.mask.names if self.mask else ()) for part in by_name.pop(name, [])]
        images = [part for group in by_name.values() for part in group]
        names = self.several if len(images) > 1 else self.single
        names = self.by_model.get(asked.get("model", self.default_model), names)
        if len(masks) > 1 or (len(by_name) > 1 and set(by_name) <= {*self.single, *self.several}):
            raise Refused(self.both, "invalid_value", f"Cannot specify both of {sorted(by_name)}")
        for name in by_name:
            if name not in names:
                raise Refused(self.bad_value, "unknown_parameter", f"Unknown parameter: '{name}'.")
        asked.images, asked.mask = tuple(images), masks[0] if masks else None
        return asked

    def _typed(self, name, text, asked):
        """Return a field's text as the number or truth it spells, where that is what is wanted."""
        check = {**self.fields, **self.models.get(asked.get("model"), {})}.get(name)
        plain = re.fullmatch(r"true|false|-?(0|[1-9]\d*)(\.\d+)?", text)
        return json.loads(text) if plain and check and not check(text) else text

    def _json(self, seen):
        if header(seen, "Content-Type") != "application/json":
            raise Refused(self.bad_value, "unsupported_content_type", "Content-Type must be application/json")
        try:
            texts, mask, rest = self.place(dict(seen.json))
            asked = Asked(rest)
            asked.images = tuple(self._decoded(text) for text in texts)
            asked.mask = None if mask is None else self._decoded(mask)
        except (KeyError, TypeError, ValueError) as wrong:
            raise Refused(self.bad_value, "invalid_image", f"Invalid image: {wrong!r}") from wrong
        return asked

    def _decoded(self, text):
        match = re.fullmatch(r"data:(image/(?:png|jpeg|webp));base64,(.+)", text)
        if not match:
            raise ValueError(f"no data URL: {text[:40]}")
        if self.most_text and len(text) > self.most_text:
            raise ValueError(f"{len(text)} characters are too long")
        return UploadedImage(base64.b64decode(match[2], validate=True), mime=match[1])

    def _image_faults(self, seen):
        asked = self.read(seen)
        model = asked.get("model", self.default_model)
        most = self.model_most.get(model, self.most)
        if not 1 <= len(asked.images) <= most:
            yield f"from 1 to {most} images are required, not {len(asked.images)}"
        for file in (*asked.images, *([asked.mask] if asked.mask else [])):
            yield from self._file_faults(file)
        if asked.mask and asked.images:
            yield from self.mask.faults(asked.mask, asked.images[0])
        if self.mask and self.mask.required and not asked.mask:
            yield "missing mask file"

    def _file_faults(self, file):
        try:
            kind = file.kind
        except OSError:
            yield "not an image"
            return
        if kind not in self.kinds or len(file.data) >= self.most_bytes:
            yield f"unsupported file: {kind}, {len(file.data)} bytes"
        if file.mime != f"image/{kind}":
            yield f"unsupported mimetype ('{file.mime}')"
        if self.place is None and not file.filename.endswith(SUFFIXES.get(kind, ())):
            yield f"the name {file.filename!r} is no {kind}'s"
        if self.place is None and not re.fullmatch(r"[\w.-]+", file.filename, re.ASCII):
            yield f"the name {file.filename!r} cannot be relayed"


@dataclass(frozen=True, kw_only=True)
class BareEdit(Edit):
    """JSON whose images are base64 alone: with a `data:` prefix they are dropped."""

    def _decoded(self, text):
        data = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(data)) as opened:
            return UploadedImage(data, mime=f"image/{opened.format.lower()}")


def edit(document, kind=Edit, **more):
    """Return the document of an edit: what `document` says, and what `more` says differently."""
    inherited = {member.name: getattr(document, member.name) for member in fields(Document)}
    own = {"path": Edit.path, "size": as_input}
    return kind(**{**inherited, **own, **more})


def is_form(seen):
    return (header(seen, "Content-Type") or "").startswith("multipart/form-data")


def parts(seen):
    """Return name, file name or None, type and bytes of each part of a form; Refused for a bad one."""
    head = f"Content-Type: {header(seen, 'Content-Type')}\r\n\r\n".encode()
    whole = BytesParser().parsebytes(head + seen.body)
    if not whole.is_multipart() or whole.defects or whole.preamble or whole.epilogue:
        raise Refused(400, "invalid_body", f"bad form: {whole.defects}")
    parts_of_form = []
    for part in whole.get_payload():
        name = part.get_param("name", header="content-disposition")
        disposition = part.get_content_disposition()
        known = {"content-disposition", "content-type"}
        if part.defects or disposition != "form-data" or not name or set(map(str.lower, part)) - known:
            raise Refused(400, "invalid_body", f"bad part: {part.items()}")
        data = part.get_payload(decode=True)
        parts_of_form.append((name, part.get_filename(), part.get("Content-Type", ""), data))
    return parts_of_form
