"""Format and size are known from a few bytes, and truncation from the end of the file."""

import struct

import pytest
from image_files import save
from PIL import Image

from ipyimagegen.imaging import find_suffix, inspect
from ipyimagegen.imaging.scan import scan_path
from ipyimagegen.imaging.sniff import FORMATS, sniff_mime

SNIFF = [
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", ".png"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg", ".jpg"),
    (b"\xff\xd8\xff\xdb", "image/jpeg", ".jpg"),
    (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp", ".webp"),
    (b"RIFF\x24\0\0\0WAVEfmt ", None, None),
    (b"GIF89a", None, None),
    (b"\x89PNG", None, None),
    (b"<svg xmlns='http://www.w3.org/2000/svg'>", None, None),
    (b"<!DOCTYPE html>", None, None),
    (b"%PDF-1.7", None, None),
    (b"BM\0\0\0\0", None, None),
    (b"", None, None),
]


@pytest.mark.parametrize(("head", "mime", "suffix"), SNIFF)
def test_the_first_bytes_decide(head, mime, suffix):
    assert sniff_mime(head) == mime
    assert find_suffix(head) == suffix


def test_every_mime_has_a_suffix():
    assert set(FORMATS) == {mime for _, mime, _ in SNIFF if mime}


SAVED = {
    "png": {},
    "jpeg": {},
    "jpeg-progressive": {"progressive": True, "exif": b"Exif\0\0" + b"\0" * 60_000},
    "webp": {},
    "webp-lossless": {"lossless": True},
    "webp-extended": {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"},
}


def saved(name, size=(123, 45), mode="RGB"):
    return save(Image.effect_noise(size, 90).convert(mode), name.partition("-")[0], **SAVED[name])


@pytest.mark.parametrize("name", SAVED)
def test_size_comes_from_the_header(tmp_path, name):
    path = tmp_path / "it"
    path.write_bytes(saved(name))
    header = scan_path(path)
    assert (header.width, header.height, header.whole) == (123, 45, True)
    path.write_bytes(saved(name)[:-2])
    assert not scan_path(path).whole


@pytest.mark.parametrize("name", SAVED)
def test_a_file_cut_anywhere_raises_nothing(tmp_path, name):
    data, path = saved(name, (9, 9)), tmp_path / "it"
    for end in range(0, len(data), max(1, len(data) // 300)):
        path.write_bytes(data[:end])
        header = scan_path(path)
        assert header is None or (header.width, header.height) in ((9, 9), (0, 0))


def test_bytes_behind_the_end_do_no_harm(tmp_path):
    for name in ("png", "jpeg", "webp"):
        path = tmp_path / name
        path.write_bytes(saved(name) + b"\0" * 500)
        assert scan_path(path).whole


def test_a_jpeg_of_segments_without_an_end_is_given_up(tmp_path):
    path = tmp_path / "it.jpg"
    for data in (b"\xff\xd8" + b"\xff\xe0\0\x02" * 100_000, b"\xff\xd8" + b"\xff" * 100_000):
        path.write_bytes(data)
        assert scan_path(path).refusal == "has more than 65,536 chunks or segments"


def test_no_size_is_no_image(tmp_path):
    path = tmp_path / "it.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 0, 5) + b"\0" * 30)
    assert scan_path(path).width == 0
    assert inspect(path).mime is None
