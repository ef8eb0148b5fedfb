"""Know the format of a file by its first bytes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MEGAPIXELS = 40  # more than this is kept, and never decoded
SUFFIX: Mapping[str, str] = MappingProxyType(
    {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}
)

_PNG = b"\x89PNG\r\n\x1a\n"


def sniff(head: bytes) -> str | None:
    """Return the MIME type that the first bytes (16 are enough) prove, or None."""
    if head.startswith(_PNG):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def find_suffix(head: bytes) -> str | None:
    """Return the file name suffix that the first bytes prove, such as `.png`, or None."""
    return SUFFIX.get(sniff(head) or "")
