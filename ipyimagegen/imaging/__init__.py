"""Image files: inspect what came, prepare what is sent, and draw what a notebook shows.

Every file from outside is untrusted: the format is known by its first bytes and the size by its header
before it is decoded. Names are loaded when they are first used: most modules load Pillow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipyimagegen.imaging.contact_sheet import (
        ContactSheet,
        make_contact_sheet,
        make_preview,
        make_tile,
        measure_tile_edge,
    )
    from ipyimagegen.imaging.inputs import encode_input, fit_input
    from ipyimagegen.imaging.inspection import EDGE, ImageInfo, choose_edge, inspect, open_image, to_png
    from ipyimagegen.imaging.masks import convert_mask, measure_changed_outside, read_mask, to_mask_image
    from ipyimagegen.imaging.metadata import mask_keys
    from ipyimagegen.imaging.normalize import EncodedImage
    from ipyimagegen.imaging.preview import LIMIT, Preview, preview_partial

_NAMES = {
    "contact_sheet": "ContactSheet make_contact_sheet make_preview make_tile measure_tile_edge",
    "inputs": "encode_input fit_input",
    "inspection": "EDGE ImageInfo choose_edge inspect open_image to_png",
    "masks": "convert_mask measure_changed_outside read_mask to_mask_image",
    "metadata": "mask_keys",
    "normalize": "EncodedImage",
    "preview": "LIMIT Preview preview_partial",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "EDGE",
    "LIMIT",
    "ContactSheet",
    "EncodedImage",
    "ImageInfo",
    "Preview",
    "choose_edge",
    "convert_mask",
    "encode_input",
    "fit_input",
    "inspect",
    "make_contact_sheet",
    "make_preview",
    "make_tile",
    "mask_keys",
    "measure_changed_outside",
    "measure_tile_edge",
    "open_image",
    "preview_partial",
    "read_mask",
    "to_mask_image",
    "to_png",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
