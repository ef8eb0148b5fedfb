"""Edits a picture as its prompt asks, by rule: what is understood is done to it, in a fixed order.

Things that are named are drawn onto the picture; a place or colour behind it changes its ground;
hours, weathers and seasons change its light; colours without a thing tint it; styles restyle it.
Where nothing is understood a thin frame is put around it, or a mask filled with a composition, in
the colours of the prompt's hash.

A mask bounds all of it: outside, every pixel stays exactly as it was. So the "sketch" mark goes
inside the masked area, in its lowest right place where it covers little of it; where there is none,
the picture carries no mark, for it could only be put where nothing may change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from ipyimagegen.sketch.drawing import mending
from ipyimagegen.sketch.drawing.dice import Dice
from ipyimagegen.sketch.drawing.engine import DETAIL, TONES, style_named
from ipyimagegen.sketch.drawing.mark import extent, stamp, unsigned
from ipyimagegen.sketch.drawing.palette import WHITE
from ipyimagegen.sketch.editing import gathering
from ipyimagegen.sketch.editing.fitting import fitted
from ipyimagegen.sketch.editing.steps import STEPS, Easel, composed, cut_out, sheet_of
from ipyimagegen.sketch.reading.wishes import Wish, wish

if TYPE_CHECKING:
    from collections.abc import Sequence


SPARE = 60  # the masked area is at least so many times that of the mark


def edit(
    images: Sequence[Image.Image],
    prompt: str,
    *,
    mask: Image.Image | None = None,
    width: int | None = None,
    height: int | None = None,
    seed: int = 0,
    quality: str = "auto",
    background: str = "auto",
    style: str | None = None,
    negative_prompt: str = "",
) -> Image.Image:
    """Return the first picture (RGB or RGBA), edited; the others are brought into it.

    `mask` (L, of the first picture's size) is 255 where may be edited. The size is that of the
    first picture if none is given. The same arguments give the same pixels on every machine.
    """
    first = images[0]
    size = (width or first.width, height or first.height)
    sitting = Sitting.of(
        images, prompt, mask=mask, size=size, quality=quality, background=background, style=style,
        negative_prompt=negative_prompt,
    )  # fmt: skip
    return sitting.paint(seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """What the pictures of one call share. `images` are RGB or RGBA, the first at the size of the result."""

    images: tuple[Image.Image, ...]
    mask: Image.Image | None
    prompt: str
    wish: Wish
    detail: float
    tone: float
    background: str

    @classmethod
    def of(
        cls,
        images: Sequence[Image.Image],
        prompt: str,
        *,
        mask: Image.Image | None,
        size: tuple[int, int],
        quality: str = "auto",
        background: str = "auto",
        style: str | None = None,
        negative_prompt: str = "",
        opaque: bool = False,
    ) -> Sitting:
        """Read the prompt and bring the first picture to size; `opaque` where the format wants it."""
        base = fitted(images[0] if mask else unsigned(images[0]), size)
        if mask is not None and mask.size != size:
            frame = Image.merge("RGBA", [*Image.new("RGB", mask.size).split(), mask])
            mask = fitted(frame, size).getchannel("A").point([0] * 128 + [255] * 128)
        if base.mode == "RGBA" and (opaque or background == "opaque"):
            base = Image.alpha_composite(Image.new("RGBA", base.size, WHITE), base).convert("RGB")
        if background == "transparent" and base.mode == "RGB":
            base = base.convert("RGBA")
        return cls(
            images=(base, *map(unsigned, images[1:])), mask=mask, prompt=prompt, detail=DETAIL[quality],
            wish=wish(prompt, negative=negative_prompt, style=style_named(style), filling=mask is not None),
            tone=TONES.get(style or "", 1.0), background=background,
        )  # fmt: skip

    @property
    def transparent(self) -> bool:
        """Whether the results have an alpha channel."""
        return self.images[0].mode == "RGBA"

    def paint(self, seed: int) -> Image.Image:
        """Return the edited picture of a seed, signed where that may be."""
        dice = Dice(self.prompt, seed)
        picture = self.images[0].copy()
        box = (0, 0, *picture.size) if self.mask is None else self.mask.getbbox()
        if box is None:  # a mask that lets nothing be edited
            return picture
        area = None if self.mask is None else self.mask.crop(box)
        easel = Easel(sheet_of(self._gathered(box, dice)), self.wish, dice, self.detail, self.tone, area)
        understood = not self.wish.empty or len(self.images) > 1 or self.background == "transparent"
        if self.background == "transparent":
            whole = easel.sheet if area is None else sheet_of(self.images[0])
            easel = cut_out(easel, whole, box)
        for step in STEPS if understood else (composed,):
            easel = step(easel)
        picture.paste(easel.picture(picture.mode), box[:2])
        return self._signed(self.kept(picture))

    def kept(self, picture: Image.Image) -> Image.Image:
        """Return the picture with everything outside the mask exactly as it was."""
        return picture if self.mask is None else Image.composite(picture, self.images[0], self.mask)

    def _gathered(self, box: tuple[int, int, int, int], dice: Dice) -> Image.Image:
        """Return what is edited: the first picture, with the others in it; with a mask, in its box."""
        first, others = self.images[0], self.images[1:]
        if self.mask is not None and (self.wish.remove or self.wish.replace):
            mended = mending.mend(first.convert("RGB"), self.mask)
            return mended.crop(box) if first.mode == "RGB" else _masked(mended, first).crop(box)
        if not others:
            return first.crop(box)
        if self.mask is None:
            return gathering.ARRANGE[self.wish.arrange](self.images, first.size, dice("gathering"))
        return gathering.into(first.crop(box), others, dice("gathering"))

    def _signed(self, picture: Image.Image) -> Image.Image:
        if self.mask is None:
            stamp(picture)
        elif corner := _room(self.mask, extent(picture)):
            stamp(picture, corner)
        return picture


def _masked(image: Image.Image, like: Image.Image) -> Image.Image:
    """Return the picture (RGB) with the transparency of another."""
    image.putalpha(like.getchannel("A"))
    return image


def _room(mask: Image.Image, mark: tuple[int, int]) -> tuple[int, int] | None:
    """Return the lowest right corner at which the mark lies wholly in the mask, if it covers little of it."""
    grid = 4
    cells = mask.crop((0, 0, mask.width // grid * grid, mask.height // grid * grid)).reduce(grid)
    width, height = -(-mark[0] // grid) + 1, -(-mark[1] // grid) + 1
    inside = cells.histogram()[255]
    if inside < SPARE * width * height:
        return None
    free = cells.tobytes()
    runs = [0] * cells.width
    for j in range(cells.height - 1, -1, -1):
        row = free[j * cells.width : (j + 1) * cells.width]
        runs = [runs[i] + 1 if row[i] == 255 else 0 for i in range(cells.width)]
        tall = bytes(run >= height for run in runs)
        i = tall.rfind(b"\1" * width)
        if i >= 0:
            return i * grid, j * grid
    return None
