"""The format of a file is known by its first bytes."""

import pytest

from ipyimagegen.core.formats import BY_MIME, BY_NAME, FORMATS, find_suffix, sniff

FILES = [
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", ".png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg", ".jpg"),
    (b"\xff\xd8\xff\xdb", "image/jpeg", ".jpg"),
    (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp", ".webp"),
    (b"RIFF\x24\0\0\0WAVEfmt ", None, None),
    (b"RIFF", None, None),
    (b"GIF89a", None, None),
    (b"\x89PNG", None, None),
    (b"<svg xmlns='http://www.w3.org/2000/svg'>", None, None),
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
