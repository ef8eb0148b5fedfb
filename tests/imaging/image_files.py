"""Make image files, read them back, and read refusals of them, for the tests of `imaging`."""

import io
import struct
import zlib

import pytest
from PIL import Image

from ipyimagegen.core.errors import InvalidInput

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def save(image, form="PNG", **options):
    """Return the image as the bytes of a file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def load(data, form=None):
    """Return the bytes of a file as a decoded image."""
    image = Image.open(io.BytesIO(data), formats=form and [form])
    image.load()
    return image


def open_preview(preview):
    """Return the image of a preview, whose facts must be right."""
    image = load(preview.data, preview.mime.removeprefix("image/"))
    assert image.size == (preview.width, preview.height)
    return image


def chunk(kind, data=b""):
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width, height, bits=8, colour=2):
    """Return the first chunk of a PNG file."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def read_refusal(name, call):
    """Return what is wrong with an image that `call` refuses, without its name and what was sent."""
    with pytest.raises(InvalidInput) as caught:
        call()
    text = str(caught.value)
    assert text.startswith(f"{name} ")
    assert text.endswith(" Nothing was sent.")
    assert len(text.splitlines()) == 1
    assert caught.value.__context__ is None
    return text.removeprefix(f"{name} ").removesuffix(" Nothing was sent.")
