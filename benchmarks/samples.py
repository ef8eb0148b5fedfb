"""Images as servers send them: PNG files of a known size, each with different bytes."""

import io
import random
import struct
import zlib

from PIL import Image


def photo(edge=1024, *, grain=0.025):
    """Return a PNG of clouds with film grain; at 1024 px and the usual grain it has some 1.5 MB."""
    draw = random.Random(7)
    image = Image.new("RGB", (edge, edge))
    for octave, share in ((4, 1.0), (16, 0.4), (64, 0.2), (256, 0.1), (edge, grain)):
        noise = Image.frombytes("RGB", (octave, octave), draw.randbytes(octave * octave * 3))
        image = Image.blend(image, noise.resize((edge, edge), Image.Resampling.BICUBIC), share)
    return _png(image)


def noise(edge):
    """Return a PNG of pure noise, 3 bytes a pixel: the worst that an image can be."""
    return _png(_noise(edge, edge))


def half(edge=1024):
    """Return a PNG with noise in its upper half; 1.5 MB, decoded three times as fast as a photo."""
    image = Image.new("RGB", (edge, edge))
    image.paste(_noise(edge, edge // 2))
    return _png(image)


def several(png, count):
    """Return that many files of the same pixels, each with a comment of its own after the header."""
    return [png[:33] + _chunk(b"tEXt", b"Comment\0%d" % number) + png[33:] for number in range(count)]


def _noise(width, height):
    return Image.frombytes("RGB", (width, height), random.Random(7).randbytes(width * height * 3))


def _png(image):
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=4)
    return out.getvalue()


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
