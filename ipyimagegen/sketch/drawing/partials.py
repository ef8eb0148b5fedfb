"""Pictures on their way: what a stream shows before the finished one."""

from __future__ import annotations

from PIL import Image

COARSEST, FINEST = 9, 120  # spots along the short edge at the start and near the end


def coarse(picture: Image.Image, share: float) -> Image.Image:
    """Return the picture as far as it is known after a share (0..1) of the way: large spots, then small."""
    edge = min(picture.size)
    spots = min(COARSEST * (FINEST / COARSEST) ** share, edge / 2)
    small = [max(1, round(side * spots / edge)) for side in picture.size]
    few = picture.resize((small[0], small[1]), Image.Resampling.BOX)
    return few.resize(picture.size, Image.Resampling.BICUBIC)
