"""The file formats of images: a table of names, MIME types, suffixes and first bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A file format. `name` is the API's, `pillow` that of Pillow; files are written with the first suffix.

    `magic` holds the bytes at fixed offsets that every file of the format begins with.
    """

    name: str
    mime: str
    pillow: str
    suffixes: tuple[str, ...]
    magic: tuple[tuple[int, bytes], ...]


FORMATS = (
    Format("png", "image/png", "PNG", (".png",), ((0, b"\x89PNG\r\n\x1a\n"),)),
    Format("jpeg", "image/jpeg", "JPEG", (".jpg", ".jpeg"), ((0, b"\xff\xd8\xff"),)),
    Format("webp", "image/webp", "WEBP", (".webp",), ((0, b"RIFF"), (8, b"WEBP"))),
)
BY_MIME = {file_format.mime: file_format for file_format in FORMATS}
BY_NAME = {file_format.name: file_format for file_format in FORMATS}


def sniff(first_bytes: bytes) -> str | None:
    """Return the MIME type that the first bytes of a file (16 are enough) prove, or None."""
    for file_format in FORMATS:
        if all(first_bytes.startswith(mark, offset) for offset, mark in file_format.magic):
            return file_format.mime
    return None


def find_suffix(first_bytes: bytes) -> str | None:
    """Return the file name suffix that the first bytes prove, such as `.png`, or None."""
    mime = sniff(first_bytes)
    return BY_MIME[mime].suffixes[0] if mime else None
