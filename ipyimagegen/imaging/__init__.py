"""Image files: inspect what came, prepare what is sent, and draw what a notebook shows.

Every file from outside is untrusted: the format is known by its first bytes and the size by its header
before it is decoded.
"""

from ipyimagegen.imaging.contact_sheet import (
    ContactSheet,
    make_contact_sheet,
    make_preview,
    make_tile,
    measure_tile_edge,
)
from ipyimagegen.imaging.containers import unwrap_input
from ipyimagegen.imaging.inputs import encode_input, expand_path, fit_input
from ipyimagegen.imaging.inspection import (
    ImageInfo,
    can_convert,
    can_decode,
    convert_file,
    inspect,
    is_turned,
    make_thumb,
    open_image,
    preview_partial,
    to_colour,
    to_png,
)
from ipyimagegen.imaging.masks import convert_mask, measure_changed_outside, read_mask, to_mask_image
from ipyimagegen.imaging.metadata import mask_keys
from ipyimagegen.imaging.normalize import EncodedImage
from ipyimagegen.imaging.preview import EDGE, LIMIT, Preview, choose_edge
from ipyimagegen.imaging.scan import DECODED

__all__ = [
    "DECODED",
    "EDGE",
    "LIMIT",
    "ContactSheet",
    "EncodedImage",
    "ImageInfo",
    "Preview",
    "can_convert",
    "can_decode",
    "choose_edge",
    "convert_file",
    "convert_mask",
    "encode_input",
    "expand_path",
    "fit_input",
    "inspect",
    "is_turned",
    "make_contact_sheet",
    "make_preview",
    "make_thumb",
    "make_tile",
    "mask_keys",
    "measure_changed_outside",
    "measure_tile_edge",
    "open_image",
    "preview_partial",
    "read_mask",
    "to_colour",
    "to_mask_image",
    "to_png",
    "unwrap_input",
]
