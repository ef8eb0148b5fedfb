"""The two calls that draw: a request's fields become a `DrawingJob`, whose images are a reply or a stream."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ipyimagegen.sketch.drawing import engine
from ipyimagegen.sketch.editing.edit import ImageEdit
from ipyimagegen.sketch.server.fields import EDIT, GENERATION, USUAL_SIZE, Fault, check_fields, fit_size
from ipyimagegen.sketch.server.replies import make_failure, refuse_value
from ipyimagegen.sketch.server.request_bodies import parse_edit, parse_json
from ipyimagegen.sketch.server.uploads import open_images

LOOKS = ("quality", "background", "style", "negative_prompt")
Turn = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingJob:
    """A checked call: its fields, the size of its images, and its edit with the pixels of the inputs."""

    fields: dict[str, Any]
    fault: Fault
    size: tuple[int, int]
    edit: ImageEdit | None = None
    input_pixels: int = 0

    @property
    def count(self) -> int:
        """How many images are drawn."""
        return int(self.fields["n"]) - (self.fault.name == "fewer")

    def draw(self) -> Iterator[Image.Image]:
        """Draw the images, each when it is asked for; image k has the seed + k."""
        (width, height), seed = self.size, self.fields["seed"]
        first = secrets.randbelow(2**31) if seed == -1 else seed
        looks = {name: self.fields[name] for name in LOOKS}
        for k in range(first, first + self.count):
            if self.edit:
                yield self.edit.paint(k)
            else:
                yield engine.draw(self.fields["prompt"], width=width, height=height, seed=k, **looks)

    def make_partial(self, image: Image.Image, share: float) -> Image.Image:
        """Return an image as it is after a share (0..1) of the way."""
        partial = engine.make_partial(image, share)
        return self.edit.keep_outside(partial) if self.edit else partial

    def encode(self, image: Image.Image) -> bytes:
        """Return the image in the format of the request."""
        compression, output_format = self.fields["output_compression"], self.fields["output_format"]
        if output_format == "gif":
            return engine.encode_gif(image, self.frames, self.fields["frame_duration_ms"])
        return engine.encode(image, output_format, 100 if compression is None else compression)

    @property
    def frames(self) -> int:
        """How many frames an image has."""
        return int(self.fields["frame_count"]) if self.fields["output_format"] == "gif" else 1

    @property
    def facts(self) -> dict[str, Any]:
        """What the API reports with every image, and the model that drew it: none of OpenAI's."""
        quality, owner = self.fields["quality"], self.fields["safety_identifier"] or self.fields["user"]
        transparent = self.edit.transparent if self.edit else self.fields["background"] == "transparent"
        return {
            "model": "sketch",
            "background": "transparent" if transparent else "opaque",
            "output_format": self.fields["output_format"],
            "size": f"{self.size[0]}x{self.size[1]}",
            "quality": "medium" if quality == "auto" else quality,
            **({"safety_identifier": owner} if owner else {}),
        }

    def count_tokens(self, images: int, partials: int = 0) -> dict[str, Any]:
        """Return the usage of so many images, counted as if a model had drawn."""
        text = -(-len(self.fields["prompt"].encode("utf-8", "replace")) // 4)
        seen = -(-self.input_pixels // 1024)
        drawn = -(-self.size[0] // 32) * -(-self.size[1] // 32) * images + 100 * partials
        return {
            "input_tokens": text + seen,
            "input_tokens_details": {"text_tokens": text, "image_tokens": seen},
            "output_tokens": drawn,
            "output_tokens_details": {"image_tokens": drawn, "text_tokens": 0},
            "total_tokens": text + seen + drawn,
        }


def prepare_generation(raw: bytes, fault: Fault) -> DrawingJob:
    """Return the job of a generation. Raises Refusal."""
    fields = check_fields(parse_json(raw), GENERATION)
    fault = fields["fault"] or fault
    return DrawingJob(fields=fields, fault=fault, size=fault.change_size(fields["size"] or USUAL_SIZE))


def prepare_edit(raw: bytes, content_type: str, fault: Fault) -> DrawingJob:
    """Return the job of an edit. Raises Refusal."""
    body = parse_edit(raw, content_type, EDIT)
    fields = check_fields(body.fields, EDIT)
    fault = fields["fault"] or fault
    if fields["output_format"] == "gif" and body.guides:
        name = next(iter(body.guides))
        raise refuse_value(name, f"A {name} is not supported for GIF output format")
    images, mask, pixels = open_images(body)
    size = fault.change_size(fields["size"] or fit_size(images[0].size))
    edit = ImageEdit.of(
        images, fields["prompt"], mask=mask, size=size,
        opaque=fields["output_format"] in {"jpeg", "gif"}, **{name: fields[name] for name in LOOKS},
    )  # fmt: skip
    return DrawingJob(fields=fields, fault=fault, size=size, edit=edit, input_pixels=pixels)


def stream_images(job: DrawingJob, turn: Turn, report: Callable[[Exception], None]) -> Iterator[bytes]:
    """Draw, in turn, and yield the events; a failure becomes an event, for the status has been sent.

    Images are always base64 here, as in the API's models; the API sends no `[DONE]`.
    """
    try:
        yield from _make_events(job, turn)
    except ConnectionError:  # the client has gone
        raise
    except Exception as error:  # noqa: BLE001 - a server responds whatever happens inside it
        report(error)
        yield _to_event("error", make_failure())


def _make_events(job: DrawingJob, turn: Turn) -> Iterator[bytes]:
    partials = job.fields["partial_images"]
    share = 1 / max(1, job.count * (partials + 1))
    if not job.count:
        yield _to_event("error", make_failure("No image was generated."))
    images = job.draw()
    for k in range(1, job.count + 1):
        with turn():
            image = next(images)
        for index in range(partials):
            yield from job.fault.wait(share)
            with turn():
                partial = job.encode(job.make_partial(image, (index + 1) / (partials + 1)))
            yield _to_image_event(job, "partial_image", partial, partial_image_index=index)
        yield from job.fault.wait(share)
        if job.fault.name == "cut" and k == job.count:
            return
        with turn():
            data = job.encode(image)
        yield _to_image_event(job, "completed", data, usage=job.count_tokens(1, partials))


def _to_image_event(job: DrawingJob, state: str, data: bytes, **more: Any) -> bytes:
    payload = {"b64_json": base64.b64encode(data).decode(), "created_at": int(time.time())}
    kind = "image_edit" if job.edit else "image_generation"
    return _to_event(f"{kind}.{state}", {**payload, **job.facts, **more})


def _to_event(kind: str, payload: dict[str, Any]) -> bytes:
    text = json.dumps({"type": kind, **payload}, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()
