"""The format of a file is known by its first bytes."""

import pytest

from ipyimagegen.core.formats import BY_MIME, BY_NAME, FORMATS, HEAD, find_suffix, identify, sniff

FILES = [
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", ".png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg", ".jpg"),
    (b"\xff\xd8\xff\xdb", "image/jpeg", ".jpg"),
    (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp", ".webp"),
    (b"RIFF\x24\0\0\0WAVEfmt ", None, None),
    (b"RIFF", None, None),
    (b"GIF89a", "image/gif", ".gif"),
    (b"GIF88a", None, None),
    (b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif", ".avif"),
    (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif", "image/avif", ".avif"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic", ".heic"),
    (b"\0\0\0\x18ftypisom\0\0\0\0mp41avc1", None, None),
    (b"\0\0\0\x10ftypisom\0\0\0\0avif", None, None),  # behind the box
    (b"\0\0\0\x0cJXL \r\n\x87\n", None, ".jxl"),
    (b"\xff\x0a\0", None, ".jxl"),
    (b"II*\0", "image/tiff", ".tif"),
    (b"BM" + bytes(12) + b"(\0\0\0", "image/bmp", ".bmp"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2", ".jp2"),
    (b"\x89PNG", None, None),
    (b"<svg xmlns='http://www.w3.org/2000/svg'>", None, ".svg"),
    (b"<!DOCTYPE html>", None, None),
    (b"%PDF-1.7", None, None),
    (b"BM\0\0\0\0", None, None),
    (b"", None, None),
]


@pytest.mark.parametrize(("first_bytes", "mime", "suffix"), FILES)
def test_first_bytes_decide(first_bytes, mime, suffix):
    assert sniff(first_bytes) == mime
    assert find_suffix(first_bytes) == suffix


def test_names_types_and_suffixes_are_unique():
    assert len(BY_MIME) == len(BY_NAME) == len(FORMATS)
    suffixes = [suffix for file_format in FORMATS for suffix in file_format.suffixes]
    assert len(set(suffixes)) == len(suffixes)


SVGS = [
    b"<svg>",
    b"<svg/>",
    b"\xef\xbb\xbf\n <svg\n width='1'>",
    b"<?xml version='1.0'?><svg:svg xmlns:svg='s'>",
    b"<?xml version='1.0'?>\n<!-- <html> --><!-- a -->\n<?x y?>\n<svg >",
    b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://x'><svg >",
    b"<!DOCTYPE svg [\n<!ENTITY ns 'http://x'>\n<!ENTITY b 'c'>\n]>\n<svg >",
]
NO_SVGS = [
    b"<svgx>",
    b"<html><svg>",
    b"<!doctype html><svg>",
    b"<!-- <svg> -->",
    b"<?xml version='1.0'?><html><svg>",
    b"x<svg>",
    b"<!--" + b" " * HEAD + b"--><svg>",
    b"<" + b"a" * 200 + b":svg>",
]


@pytest.mark.parametrize("text", SVGS)
def test_an_svg_is_known_by_its_first_element(text):
    assert identify(text).name == "svg"
    assert sniff(text) is None  # it goes through no scan, and proves nothing


@pytest.mark.parametrize("text", NO_SVGS)
def test_other_texts_are_no_svg(text):
    assert identify(text) is None


@pytest.mark.parametrize("piece", [b"<?a?>", b"<!-- -->", b"<!--", b"<?", b"<!DOCTYPE a[]>", b"<!DOCTYPE a["])
def test_what_precedes_an_svg_is_read_once(piece):
    """A search that tries every way to divide 600 pieces would not end."""
    assert identify(b"<?x?>" + piece * 10_000) is None
