"""Format and size are known from a few bytes, and truncation from the end of the file."""

import struct

import pytest
from image_files import save
from PIL import Image

from ipyimagegen.imaging import inspect
from ipyimagegen.imaging.scan import scan_bytes

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
    header = scan_bytes(path.read_bytes())
    assert (header.width, header.height, header.flaw) == (123, 45, "")
    path.write_bytes(saved(name)[:-2])
    assert scan_bytes(path.read_bytes()).flaw


@pytest.mark.parametrize("name", SAVED)
def test_a_file_cut_anywhere_raises_nothing(tmp_path, name):
    data, path = saved(name, (9, 9)), tmp_path / "it"
    for end in range(0, len(data), max(1, len(data) // 300)):
        path.write_bytes(data[:end])
        header = scan_bytes(path.read_bytes())
        assert header is None or (header.width, header.height) in ((9, 9), (0, 0))


def test_bytes_behind_the_end_do_no_harm(tmp_path):
    for name in ("png", "jpeg", "webp"):
        path = tmp_path / name
        path.write_bytes(saved(name) + b"\0" * 500)
        assert scan_bytes(path.read_bytes()).flaw == ""


def test_a_jpeg_of_segments_without_an_end_is_given_up(tmp_path):
    path = tmp_path / "it.jpg"
    for data in (b"\xff\xd8" + b"\xff\xe0\0\x02" * 100_000, b"\xff\xd8" + b"\xff" * 100_000):
        path.write_bytes(data)
        assert "65,536" in scan_bytes(path.read_bytes()).refusal


def test_no_size_is_no_image(tmp_path):
    path = tmp_path / "it.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 0, 5) + b"\0" * 30)
    assert scan_bytes(path.read_bytes()).width == 0
    assert inspect(path).mime is None
