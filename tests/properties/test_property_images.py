"""Image files, real, mutated, cut and forged: never an exception, and what is said of them is so."""

import contextlib
import io
import struct
import zlib
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageFile
from tape import Tape, tapes

from ipyimagegen import imaging
from ipyimagegen.core.formats import BY_MIME, FORMATS, sniff
from ipyimagegen.core.run import ImageState
from ipyimagegen.imaging.scan import Scan, scan_bytes
from ipyimagegen.imaging.sniff import PLUGINS, describe_other, sniff_format

MOST = 40_000_000  # pixels that may be decoded
SIZES = [(40, 24), (1, 1), (123, 45), (3, 200)]
SORTS = [("PNG", mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")]
SORTS += [("JPEG", "RGB", {}), ("JPEG", "L", {"progressive": True}), ("JPEG", "CMYK", {"quality": 30})]
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\3\0\1\0\0\0\6\0\0\0\0\0\0\0"  # to be turned by 90 degrees
SORTS += [("JPEG", "RGB", {"exif": EXIF})]
SORTS += [
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("WEBP", "RGBA", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
]
SORTS += [
    ("GIF", "P", {}),
    ("GIF", "L", {"frames": 3}),
    ("AVIF", "RGB", {}),
    ("AVIF", "RGBA", {"quality": 40}),
]
SORTS += [("AVIF", "RGB", {"frames": 3}), ("AVIF", "L", {"exif": EXIF})]
SIDEWAYS = (5, 6, 7, 8)  # orientations
MIMES = {file_format.pillow: file_format.mime for file_format in FORMATS}


@cache
def saved(kind, mode, size, options):
    out = io.BytesIO()
    noise = Image.effect_noise(size, 90)
    if mode == "I;16":
        noise = Image.frombytes("I;16", size, bytes(2 * size[0] * size[1]))
    else:
        noise = noise.convert(mode)
    options = dict(options)
    count = options.pop("frames", 1)
    more = [noise.transpose(Image.Transpose.ROTATE_180) for _ in range(count - 1)]
    noise.save(out, kind, **({"save_all": True, "append_images": more} if more else {}), **options)
    return out.getvalue()


def real(tape):
    kind, mode, options = tape.choose(SORTS)
    size = tape.choose(SIZES)
    return kind, size, turn(options, size), saved(kind, mode, size, tuple(options.items()))


decoded = []


@pytest.fixture(scope="module", autouse=True)
def _watched():
    """Every decoding by Pillow, with the size of the image."""
    load = ImageFile.ImageFile.load

    def watched(image):
        decoded.append(image.size[0] * image.size[1])
        return load(image)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageFile.ImageFile, "load", watched)
        patch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # our own limit has to do
        yield


def turn(options, size):
    return size[::-1] if options.get("exif") is EXIF else size


def resized(tape, kind, data):
    """The same file, whose header says that it is as large as can be written."""
    width, height = tape.choose(
        [(30_000, 30_000), (16_000, 2_501), (8_000, 5_001), (1, 1), (2**16 - 1, 1000)]
    )
    if kind == "PNG":
        head = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
        return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    if kind == "JPEG":
        at = next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC2))
        return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]
    return data


def flipped(tape, _, data):
    out = bytearray(data)
    for _ in range(1 + tape.below(4)):
        out[(tape.below(256) * 256 + tape.below(256)) % min(len(out), tape.choose([40, 700, 10**6]))] ^= (
            1 + tape.below(255)
        )
    return bytes(out)


def spliced(tape, _, data):
    other = real(tape)[3]
    at = tape.below(256) % len(data)
    return data[:at] + other[at // 2 :]


def inserted(tape, _, data):
    at = tape.below(256) % len(data)
    return data[:at] + bytes(tape.several(lambda: tape.below(256), 30)) + data[at:]


def cut(tape, _, data):
    return data[: (tape.below(256) * 256 + tape.below(256)) % len(data)]


CHANGES = [None, flipped, cut, resized, spliced, inserted]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("images") / "it"


@given(tapes(24))
@example(Tape([0, 0, 3, 1]))
@example(Tape([7, 0, 3, 0]))
def test_what_is_said_of_a_file_is_so(path, tape):
    kind, _, size, data = real(tape)
    change = tape.choose(CHANGES)
    data = data if change is None else change(tape, kind, data)
    path.write_bytes(data)
    decoded.clear()
    seen = imaging.inspect(path, edge=32)
    assert all(pixels <= MOST for pixels in decoded)
    header = scan_bytes(data)
    if header is None and seen.mime is not None:  # a format that is not opened
        assert not imaging.can_decode(seen.mime)
        assert not decoded
        assert (seen.width, seen.height, seen.alpha) == (None, None, None)
        return
    if header is not None and not (header.width and header.height):
        header = None
    assert (seen.thumb is None) == (seen.state is not ImageState.STORED)
    assert seen.note or seen.state is ImageState.STORED
    assert (header is None) == (seen.mime is None)
    if header is not None:
        assert seen.mime == header.mime
        assert {seen.width, seen.height} == {header.width, header.height}
        assert seen.width * seen.height <= MOST or (seen.state is ImageState.QUARANTINED and not decoded)
    if seen.thumb is not None:
        assert max(seen.thumb.size) <= 32
        with Image.open(path) as image:
            turned = False
            with contextlib.suppress(SyntaxError):  # Pillow's own, for EXIF that is broken
                turned = Image.Image.getexif(image).get(0x0112) in SIDEWAYS
            shown = image.size[::-1] if turned else image.size
            assert (MIMES[image.format], shown) == (seen.mime, (seen.width, seen.height))
    if change is None:
        assert (seen.state, seen.mime, (seen.width, seen.height)) == (ImageState.STORED, MIMES[kind], size)
        assert (seen.note, header.flaw) == ("", "")
    if change is cut:
        assert seen.note
        assert header is None or header.flaw


@given(tapes(24), st.binary(max_size=20))
@example(Tape([12, 0, 1, 0, 23]), b"")  # a WebP cut within its size
@example(Tape([13, 0, 1, 0, 26]), b"")
def test_the_structure_of_a_file_proves_that_it_is_whole(tape, noise):
    kind, size, _, data = real(tape)
    change = tape.choose([None, cut, flipped, inserted, spliced])
    changed = data if change is None else change(tape, kind, data)
    scan = scan_bytes(changed) or Scan("", flaw="none")
    if change is None:
        assert (scan.flaw, (scan.width, scan.height)) == ("", size)
        assert scan_bytes(data + noise).flaw == ""
    if change is cut:
        assert scan.flaw
        assert (scan.width, scan.height) in ((0, 0), size)
    marked = changed[:8] == data[:8] and (b"PLTE" in changed) == (b"PLTE" in data)
    if change is flipped and kind == "PNG" and marked and changed != data:
        assert scan.flaw
    assert sniff_format(changed) in (None, *PLUGINS)
    assert sniff_format(noise) in (None, *PLUGINS)
    assert (sniff(changed) is None) or sniff_format(changed) == (BY_MIME[sniff(changed)].pillow or None)
    assert describe_other(noise) is None or len(describe_other(noise)) < 60
