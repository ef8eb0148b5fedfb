"""The two calls that draw: a request's fields become a `Work`, a `Work` becomes pictures one by one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipyimagegen.sketch.server import bodies, faults
from ipyimagegen.sketch.server.fields import EDIT, GENERATION, check, fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import Image

    from ipyimagegen.sketch.server.originals import Originals


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One call, checked: what its pictures need, and what is told beside them.

    `size` is (width, height); `paint` makes the picture of a seed, `partial` one on its way to the
    picture (a share of 0..1 of the way); `viewed` are the pixels of the input pictures.
    """

    kind: str
    asked: dict[str, Any]
    fault: str | None
    size: tuple[int, int]
    paint: Callable[[int], Image.Image]
    partial: Callable[[Image.Image, float], Image.Image]
    transparent: bool
    viewed: int = 0

    def pictures(self) -> Iterator[Image.Image]:
        """Draw the pictures, each when it is asked for; picture k has the seed + k."""
        seed = secrets.randbelow(2**31) if self.asked["seed"] == -1 else self.asked["seed"]
        for k in range(faults.count(self.fault, self.asked["n"])):
            yield self.paint(seed + k)

    def encoded(self, picture: Image.Image) -> bytes:
        """Return the picture in the format that was asked for."""
        from ipyimagegen.sketch.drawing.engine import encode  # noqa: PLC0415 - Pillow comes in at the first drawing

        compression = self.asked["output_compression"]
        return encode(picture, self.asked["output_format"], 100 if compression is None else compression)

    @property
    def facts(self) -> dict[str, Any]:
        """What the API says of every picture."""
        quality = self.asked["quality"]
        return {
            "background": "transparent" if self.transparent else "opaque",
            "output_format": self.asked["output_format"],
            "size": f"{self.size[0]}x{self.size[1]}",
            "quality": "medium" if quality == "auto" else quality,
        }

    def usage(self, pictures: int, partials: int = 0) -> dict[str, Any]:
        """Return the tokens of so many pictures, counted as if a model had drawn."""
        text = -(-len(self.asked["prompt"].encode("utf-8", "replace")) // 4)
        seen = -(-self.viewed // 1024)
        drawn = -(-self.size[0] // 32) * -(-self.size[1] // 32) * pictures + 100 * partials
        return {
            "input_tokens": text + seen,
            "input_tokens_details": {"text_tokens": text, "image_tokens": seen},
            "output_tokens": drawn,
            "output_tokens_details": {"image_tokens": drawn, "text_tokens": 0},
            "total_tokens": text + seen + drawn,
        }


LOOKS = ("quality", "background", "style", "negative_prompt")


def generation(raw: bytes, fault: str | None) -> Work:
    """Return the work of a generation. Raises Refusal."""
    asked = check(bodies.json_object(raw), GENERATION)
    fault = asked["fault"] or fault
    faults.before(fault)
    width, height = size = faults.size(fault, asked["size"])
    looks = {name: asked[name] for name in LOOKS}

    def paint(seed: int) -> Image.Image:
        from ipyimagegen.sketch.drawing.engine import draw  # noqa: PLC0415 - see `encoded`

        return draw(asked["prompt"], width=width, height=height, seed=seed, **looks)

    def partial(picture: Image.Image, share: float) -> Image.Image:
        from ipyimagegen.sketch.drawing.engine import make_partial  # noqa: PLC0415 - see `encoded`

        return make_partial(picture, share)

    return Work(
        kind="image_generation", asked=asked, fault=fault, size=size, paint=paint, partial=partial,
        transparent=asked["background"] == "transparent",
    )  # fmt: skip


def edit(raw: bytes, content_type: str, fault: str | None) -> Work:
    """Return the work of an edit. Raises Refusal."""
    from ipyimagegen.sketch.server.originals import opened  # noqa: PLC0415 - see `Work.encoded`

    body = bodies.edit(raw, content_type, EDIT)
    asked = check(body.fields, EDIT)
    fault = asked["fault"] or fault
    originals = opened(bodies.counted(body))
    faults.before(fault)
    return _edit(asked, fault, originals)


def _edit(asked: dict[str, Any], fault: str | None, originals: Originals) -> Work:
    from ipyimagegen.sketch.drawing.engine import make_partial  # noqa: PLC0415
    from ipyimagegen.sketch.editing.edit import ImageEdit  # noqa: PLC0415 - see `Work.encoded`

    size = faults.size(fault, asked["size"] or fitting(originals.images[0].size))
    sitting = ImageEdit.of(
        originals.images, asked["prompt"], mask=originals.mask, size=size,
        opaque=asked["output_format"] == "jpeg", **{name: asked[name] for name in LOOKS},
    )  # fmt: skip

    def partial(picture: Image.Image, share: float) -> Image.Image:
        return sitting.keep_outside(make_partial(picture, share))

    return Work(
        kind="image_edit", asked=asked, fault=fault, size=size, paint=sitting.paint, partial=partial,
        transparent=sitting.transparent, viewed=sum(originals.areas),
    )  # fmt: skip
