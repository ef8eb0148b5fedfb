"""What this room hands out: facts of a file, a preview, and an image ready to be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipyimagegen.core.run import ImageState

if TYPE_CHECKING:
    from PIL.Image import Image

EDGE = 768  # pixels: the longest edge of a preview
LIMIT = 100 * 1024  # bytes of a preview, so that a saved notebook stays small


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """What is known of a file.

    `state` is STORED when it can be shown (`note` says what is wrong with it, if anything), DAMAGED
    when nothing of it can be decoded, QUARANTINED when it must not be opened. `width` and `height`
    are those of its header in pixels. `alpha` is whether any pixel is transparent, None when not
    every pixel is known. `thumb` is RGB or RGBA, upright, and None unless the state is STORED.
    """

    state: ImageState
    mime: str | None = None
    width: int | None = None
    height: int | None = None
    alpha: bool | None = None
    note: str = ""
    thumb: Image | None = None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """An image for a notebook: its bytes, image/jpeg or image/png, and its size in pixels."""

    data: bytes
    mime: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class ContactSheet:
    """The labelled sheet of a sweep, and what its letters stand for.

    `legend` is (letter, label) of each axis whose labels do not stand on the sheet themselves: first
    ("", title), then columns, then rows. Empty when everything stands on the sheet.
    """

    preview: Preview
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """An image ready to go with a request: a whole PNG, JPEG or WebP file, upright.

    `width` and `height` are in pixels. `pixels` is the sha256 in hex over mode, size and pixels where
    the bytes are our own encoding, None where they are the user's file as it is. `notes` say what was
    done to it, in short phrases for a caption. `scaled_from` is its size before it was scaled.
    """

    data: bytes = field(repr=False)
    mime: str
    width: int
    height: int
    pixels: str | None = None
    notes: tuple[str, ...] = ()
    scaled_from: tuple[int, int] | None = None
