"""What a file is by its first bytes: an image of some kind, or something else that has a name."""

from __future__ import annotations

import re

from ipyimagegen.core.formats import BY_MIME, sniff

# Pillow's names for the kinds that are converted; the module that reads each.
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
_MARKS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"BM.{12}[\x0c\x10(48@l|]\0\0\0", re.DOTALL), "BMP"),  # with the size of its header
    (re.compile(rb"II[*+]\0|MM\0[*+]"), "TIFF"),
    (re.compile(rb"\x00\x00\x01\x00"), "ICO"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "JPEG2000"),
    (re.compile(rb"P[1-6f]\s+[#\d]"), "PPM"),
)
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF; save the page as PNG first"),
    (b"8BPS", "a Photoshop file; save it as PNG first"),
    (b"%!PS", "a PostScript file; save it as PNG first"),
    (b"\xff\x0a", "a JPEG XL image; save it as PNG first"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image; save it as PNG first"),
    (b"\x93NUMPY", "a NumPy file; give what numpy.load reads from it"),
    (b"PK\3\4", "a ZIP archive or an Office document, no image"),
    (b"\x1f\x8b", "a gzip archive, no image"),
    (b"\x1aE\xdf\xa3", "a video, no image"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the image with `git lfs pull`"),
)
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_HEAD = 4096  # bytes in which a text shows what it is
_TGA_END = b"TRUEVISION-XFILE.\0"
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def kind_of(data: bytes, suffix: str = "") -> str | None:
    """Return Pillow's name of the image's kind, or None; `suffix` is that of its file, if any."""
    head = data[:32]
    own = sniff(head)
    if own is not None:
        return BY_MIME[own].pillow
    for mark, kind in _MARKS:
        if mark.match(head):
            return kind
    if brands(data) & {b"avif", b"avis"}:
        return "AVIF"
    # TGA has no mark at its beginning, and an old one none at all.
    if data.endswith(_TGA_END) or (suffix.lower() == ".tga" and what_else(data) is None):
        return "TGA"
    return None


def brands(data: bytes) -> set[bytes]:
    """Return the brands of an ISO media file (AVIF, HEIC, MP4): four letters each."""
    if data[4:8] != b"ftyp":
        return set()
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return {box[at : at + 4] for at in range(0, len(box) - 3, 4) if at != 4}


def what_else(data: bytes) -> str | None:
    """Return what bytes that are no image are, as "a text file, no image", or None."""
    for start, words in _OTHERS:
        if data.startswith(start):
            return words
    if found := brands(data):
        return "a HEIC photo; save it as PNG or JPEG first" if found & _HEIC else "a video, no image"
    head = data[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    text = head.lower()
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return "an SVG; save it as PNG first"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page, no image"
    return "a text file, no image" if head and _textual(data[:_HEAD]) else None


def _textual(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, as Windows writes it
        return True
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not just cut in the middle of a character
            return False
    return not _CONTROLS.search(head)
