"""An image that is cheap to send and costly to decode is stored, and nothing ever opens it."""

import io
import re
import struct
import zlib

import pytest
from loopback import b64, image_bytes
from PIL import Image, ImageFile
from sockets import reply

from ipyimagegen.core.run import Status

GOOD = image_bytes()


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*extra):
    return GOOD[:33] + b"".join(extra) + GOOD[33:]


def jpeg(scans, segments=b"", size=(2000, 2000), **options):
    """A JPEG with its last scan repeated, and with segments behind its first marker."""
    out = io.BytesIO()
    Image.new("L", size, 128).save(out, "JPEG", **options)
    data = out.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:2] + segments + data[2:-2] + data[last:-2] * (scans - 1) + b"\xff\xd9"


def webp(count):
    out = io.BytesIO()
    Image.new("RGB", (9, 9)).save(out, "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    body = out.getvalue()[8:] + b"teSt\0\0\0\0" * count
    return b"RIFF" + struct.pack("<I", len(body)) + body


EXIF = b"II*\0\x08\0\0\0" + struct.pack("<H", 500)
EXIF += b"".join(struct.pack("<HHII", 40_000 + at, 7, 60_000, 0) for at in range(500)) + bytes(55_000)
COSTLY = {
    "progressive scans": lambda: jpeg(3000, progressive=True),
    "baseline scans": lambda: jpeg(300, size=(600, 600)),
    "comments": lambda: jpeg(1, b"\xff\xfe\0\2" * 300_000),
    "fill bytes": lambda: jpeg(1, b"\xff" * 2_000_000),
    "chunks": lambda: png(chunk(b"teSt") * 300_000),
    "empty pixels": lambda: png(chunk(b"IDAT") * 300_000),
    "packed text": lambda: png(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 20), 9)) * 64),
    "EXIF of JPEG": lambda: jpeg(1, b"\xff\xe1" + struct.pack(">H", len(EXIF) + 8) + b"Exif\0\0" + EXIF),
    "EXIF of PNG": lambda: png(chunk(b"eXIf", EXIF)),
    "chunks of WebP": lambda: webp(300_000),
}


@pytest.fixture
def opened(monkeypatch):
    """The bytes of each file that Pillow opens."""
    files = []
    begin = ImageFile.ImageFile.__init__

    def watched(image, file=None, *args, **options):
        if hasattr(file, "read"):
            files.append(file.read())
            file.seek(0)
        begin(image, file, *args, **options)

    monkeypatch.setattr(ImageFile.ImageFile, "__init__", watched)
    return files


@pytest.mark.parametrize("name", COSTLY)
def test_97_an_image_that_is_costly_to_decode(lab, opened, name):
    costly = COSTLY[name]()
    lab.serve(reply({"data": [{"b64_json": b64(image)} for image in (GOOD, costly)]}))
    assert lab.cell("%imagine -n 2 a red fox").error is None
    for code in ("%imagine_show 1", "%imagine_history", "%imagine --endpoint sketch --size 64x64 a hat"):
        assert lab.cell(code).error is None
    says = "image 2: "
    assert re.search(says, lab.cells[0].texts)
    lab.check([Status.DONE, Status.DONE], 1, delivered=[GOOD, costly], at=0)
    assert GOOD in opened
    assert costly not in opened


def test_75_an_honest_progressive_image_is_shown(lab, opened):
    honest = jpeg(10, progressive=True)
    lab.serve(reply({"data": [{"b64_json": b64(honest)}]}))
    assert lab.cell().error is None
    lab.check(Status.DONE, 1, delivered=[honest], states=["stored"])
    assert honest in opened
