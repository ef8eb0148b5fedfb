"""The file formats of images: a table of names, MIME types, suffixes and first bytes.

Sources: the specification of each format; for the brands of ISO media files, ISO/IEC 23008-12 (HEIF) and the
AVIF specification.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD = 4096  # bytes of a file that are enough to know its format


@dataclass(frozen=True)
class Format:
    """A file format. Files are written with the first suffix.

    `name` is the API's, `title` is how people write it, `pillow` is Pillow's name, empty where Pillow has
    none. A file of the format matches `start`, or is an ISO media file with one of the `brands`. A whole file
    has `end` as its last bytes; empty where the format has no such mark.
    """

    name: str
    title: str
    mime: str
    pillow: str
    suffixes: tuple[str, ...]
    start: re.Pattern[bytes] | None = None
    brands: frozenset[bytes] = frozenset()
    end: bytes = b""


# Before the root element of an SVG stand a byte order mark, a declaration, comments, a document type. Nothing
# of them is read again (`*+`, `(?>`), so that the search is linear.
_SVG_START = re.compile(
    rb"""(?:\xef\xbb\xbf)? \s*+
    (?: (?: <\?(?>.*?\?>) | <!--(?>.*?-->) | <!DOCTYPE\s(?>[^[>]*+(?:\[.*?\]\s*+)?>) ) \s*+ )*+
    <(?:[A-Za-z_][\w.-]{0,99}:)? svg [\s/>]""",
    re.DOTALL | re.VERBOSE,
)
_BMP_START = re.compile(rb"BM.{12}[\x0c\x10(48@l|]\0\0\0", re.DOTALL)  # with the size of its header
_JP2_START = re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51")
_AVIF_BRANDS = frozenset({b"avif", b"avis"})  # before HEIC, whose brands an AVIF file may have too
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

FORMATS = (
    Format(
        "png", "PNG", "image/png", "PNG", (".png",), re.compile(rb"\x89PNG\r\n\x1a\n"), end=b"IEND\xaeB`\x82"
    ),
    Format(
        "jpeg", "JPEG", "image/jpeg", "JPEG", (".jpg", ".jpeg"), re.compile(rb"\xff\xd8\xff"), end=b"\xff\xd9"
    ),
    Format("webp", "WebP", "image/webp", "WEBP", (".webp",), re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    Format("gif", "GIF", "image/gif", "GIF", (".gif",), re.compile(rb"GIF8[79]a"), end=b"\0;"),
    Format("avif", "AVIF", "image/avif", "AVIF", (".avif",), brands=_AVIF_BRANDS),
    Format("svg", "SVG", "image/svg+xml", "", (".svg",), _SVG_START),
    Format("jxl", "JPEG XL", "image/jxl", "", (".jxl",), re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n")),
    Format("heic", "HEIC", "image/heic", "", (".heic", ".heif"), brands=_HEIC_BRANDS),
    Format("tiff", "TIFF", "image/tiff", "TIFF", (".tif", ".tiff"), re.compile(rb"II[*+]\0|MM\0[*+]")),
    Format("bmp", "BMP", "image/bmp", "BMP", (".bmp",), _BMP_START),
    Format("jp2", "JPEG 2000", "image/jp2", "JPEG2000", (".jp2",), _JP2_START),
)
BY_MIME = {file_format.mime: file_format for file_format in FORMATS}
BY_NAME = {file_format.name: file_format for file_format in FORMATS}
SVG = BY_NAME["svg"]
OUTPUTS = ("png", "jpeg", "webp", "gif", "svg")  # that `output_format` takes
_UNPROVEN = ("svg", "jxl")  # a text, and a mark of two bytes that other data begin with
INPUTS = ("png", "jpeg", "webp")  # that servers accept


def identify(head: bytes) -> Format | None:
    """Return the format that the first `HEAD` bytes of a file prove, or None."""
    brands = read_brands(head)
    for file_format in FORMATS:
        start = file_format.start
        if file_format.brands & brands or (start and start.match(head[:HEAD])):
            return file_format
    return None


def is_whole(head: bytes, tail: bytes, size: int) -> bool:
    """Return whether a file of so many bytes ends as its format says; False where no format can be told."""
    file_format = identify(head)
    if file_format is None:
        return False
    if file_format.name == "webp":  # says its length
        return size >= int.from_bytes(head[4:8], "little") + 8
    return bool(file_format.end) and tail.endswith(file_format.end)


def sniff(head: bytes) -> str | None:
    """Return the MIME type that the first bytes of a file prove, or None."""
    file_format = identify(head)
    return file_format.mime if file_format and file_format.name not in _UNPROVEN else None


def find_suffix(head: bytes) -> str | None:
    """Return the file name suffix of the format that the first bytes prove, such as `.png`, or None."""
    file_format = identify(head)
    return file_format.suffixes[0] if file_format else None


def read_brands(head: bytes) -> frozenset[bytes]:
    """Return the brands of an ISO media file (AVIF, HEIC, MP4), four letters each."""
    if head[4:8] != b"ftyp":
        return frozenset()
    box = head[8 : min(int.from_bytes(head[:4], "big"), 256)]
    return frozenset(box[at : at + 4] for at in range(0, len(box) - 3, 4) if at != 4)  # 4: the minor version
