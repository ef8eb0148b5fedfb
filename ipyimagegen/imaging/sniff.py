"""Recognise the format of a file by its first bytes."""

from __future__ import annotations

import re

from ipyimagegen.core.formats import HEAD, identify, read_brands
from ipyimagegen.core.messages import Message, _

# Pillow's names of the formats that can be converted, and the module that reads each.
PLUGINS = {
    "PNG": "PngImagePlugin",
    "JPEG": "JpegImagePlugin",
    "WEBP": "WebPImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "AVIF": "AvifImagePlugin",
    "PPM": "PpmImagePlugin",
    "ICO": "IcoImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "TGA": "TgaImagePlugin",
}
_SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x00\x00\x01\x00"), "ICO"),
    (re.compile(rb"P[1-6f]\s+[#\d]"), "PPM"),
)
_OTHERS: tuple[tuple[bytes, Message], ...] = (
    (b"%PDF", _("a PDF; save the page as PNG first")),
    (b"8BPS", _("a Photoshop file; save it as PNG first")),
    (b"%!PS", _("a PostScript file; save it as PNG first")),
    (b"\x93NUMPY", _("a NumPy file; pass the array that numpy.load returns")),
    (b"PK\3\4", _("a ZIP archive or an Office document, not an image")),
    (b"\x1f\x8b", _("a gzip archive, not an image")),
    (b"\x1aE\xdf\xa3", _("a video, not an image")),
    (b"version https://git-lfs", _("a Git LFS pointer; fetch the image with `git lfs pull`")),
)
# Formats of images that Pillow cannot read by itself.
_UNREADABLE = {
    "svg": _("an SVG; save it as PNG first"),
    "jxl": _("a JPEG XL image; save it as PNG first"),
    "heic": _("a HEIC photo; save it as PNG or JPEG first, or register pillow-heif"),
}
_TGA_END = b"TRUEVISION-XFILE.\0"
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def sniff_format(data: bytes, suffix: str = "") -> str | None:
    """Return Pillow's name of the format of an image file, or None; `suffix` is that of its name."""
    if file_format := identify(data):
        return file_format.pillow or None
    for signature, kind in _SIGNATURES:
        if signature.match(data):
            return kind
    # TGA has no signature at its beginning, and its first version none at all.
    if data.endswith(_TGA_END) or (suffix.lower() == ".tga" and describe_other(data) is None):
        return "TGA"
    return None


def describe_other(data: bytes) -> Message | None:
    """Return what a file is that is not an image, such as "a text file, not an image", or None."""
    for start, description in _OTHERS:
        if data.startswith(start):
            return description
    if file_format := identify(data):
        return _UNREADABLE.get(file_format.name)
    if read_brands(data):
        return _("a video, not an image")
    head = data[:HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    text = head.lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return _("an HTML page, not an image")
    return _("a text file, not an image") if head and _is_text(data[:HEAD]) else None


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, as Windows writes it
        return True
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # otherwise the head ends inside a character
            return False
    return not _CONTROLS.search(head)
