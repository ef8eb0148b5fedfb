"""What the costliest images that are still decoded take: each in a fresh process of its own.

python benchmarks/decoding.py            # the table; a limit that is missed ends the program with 1
python benchmarks/decoding.py one FILE   # seconds of CPU, MiB of the whole process, the state
"""

import io
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import figures
from figures import Row
from memory import MIB, peak

SECONDS, MEMORY = 5, 600
WIDTH, HEIGHT = 6320, 6320  # 39.9 megapixels
UP = 4  # the filter of PNG that takes longest, Paeth


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows, bits, colour, interlaced=0, empty=0):
    """Return a PNG of rows of bytes, with so many bytes of empty blocks before them."""
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row) for row in rows) + packer.flush()
    if empty:
        block = empty_blocks()
        body = body[:2] + block * (empty // len(block)) + body[2:]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND")


def empty_blocks():
    """Return eight deflate blocks that hold nothing but codes, for which a decoder builds tables."""
    fields = [(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)]
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1]
    fields += [(length in (1, 18), 3) for length in order]
    fields += [(1, 1), (138 - 11, 7), (1, 1), (118 - 11, 7), (0, 2), (0, 1)]
    bits = "".join(format(value, f"0{size}b")[::-1] for value, size in fields) * 8
    return int(bits[::-1], 2).to_bytes(len(bits) // 8, "little")


def row(length):
    return bytes([UP]) + (os.urandom(64) * (length // 64 + 1))[:length]


def plain(size):
    return [row(WIDTH * size)] * HEIGHT


def interlaced(size):
    for x, y, right, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        yield from [row((WIDTH - x + right - 1) // right * size)] * ((HEIGHT - y + down - 1) // down)


def photo(mode, width=WIDTH, height=HEIGHT):
    """Return an image without any flat place."""
    from PIL import Image

    noise = Image.effect_noise((1580, 1580), 60)
    bands = [noise.rotate(90 * at).resize((width, height), 0) for at in range(len(mode))]
    return bands[0] if mode == "L" else Image.merge(mode, bands)


def written(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def scanned(data, count):
    """Return a progressive JPEG with its costliest scan repeated, so that it has so many."""
    from re import finditer

    at = [match.start() for match in finditer(rb"\xff\xda", data)]
    return data[:-2] + data[at[-1] : -2] * (count - len(at)) + b"\xff\xd9"


def paletted():
    return written(photo("RGB").quantize(255), "PNG", compress_level=1, transparency=bytes(range(255)))


SAVED = {"quality": 75, "subsampling": 0}
PROGRESSIVE = {**SAVED, "progressive": True}
FILES = {
    "PNG, RGBA": lambda: written(photo("RGBA"), "PNG", compress_level=1),
    "PNG, RGBA of 16 bits": lambda: png(plain(8), 16, 6),
    "PNG, grey of 16 bits": lambda: png(plain(2), 16, 0),
    "PNG, grey and alpha of 16 bits": lambda: png(plain(4), 16, 4),
    "PNG, interlaced RGBA": lambda: png(interlaced(4), 8, 6, 1),
    "PNG, interlaced RGBA of 16 bits": lambda: png(interlaced(8), 16, 6, 1),
    "PNG, palette and transparency": paletted,
    "PNG, 60 MiB of empty deflate blocks": lambda: png(plain(8), 16, 6, empty=60 * MIB),
    "JPEG, baseline 4:4:4": lambda: written(photo("RGB"), "JPEG", **SAVED),
    "JPEG, progressive 4:4:4": lambda: written(photo("RGB"), "JPEG", **PROGRESSIVE),
    "JPEG, progressive, long and narrow": lambda: written(photo("RGB", 650, 61_500), "JPEG", **PROGRESSIVE),
    "JPEG, CMYK": lambda: written(photo("CMYK"), "JPEG", **SAVED),
    "JPEG, progressive CMYK": lambda: written(photo("CMYK"), "JPEG", **PROGRESSIVE),
    "JPEG, progressive CMYK, 20 scans": lambda: scanned(written(photo("CMYK"), "JPEG", **PROGRESSIVE), 20),
    "JPEG, 64 scans of 12 megapixels": lambda: scanned(
        written(photo("RGB", 3530, 3530), "JPEG", **PROGRESSIVE), 64
    ),
    "WebP, lossless RGBA, 32 megapixels": lambda: written(
        photo("RGBA", 6400, 4990), "WEBP", lossless=True, quality=0, method=0
    ),
    "compared: PNG, RGBA": lambda: written(photo("RGBA"), "PNG", compress_level=1),
    "WebP, lossy, 32 megapixels": lambda: written(photo("RGB", 6400, 4990), "WEBP", quality=70, method=0),
}


def measure(path):
    """Print seconds, MiB and the state of one file, opened as what a server sent is."""
    from PIL import Image

    from ipyimagegen.imaging import inspect

    small = Path(tempfile.mkdtemp(prefix="decoding-")) / "small"
    for kind in ("PNG", "JPEG", "WEBP"):
        Image.new("RGB", (9, 9)).save(small, kind)
        inspect(small)
    began = time.process_time()
    seen = inspect(Path(path))
    print(time.process_time() - began, peak() / MIB, seen.state, seen.note)


def compare(path):
    """Print the same of a comparison with the smaller input of a masked edit."""
    from PIL import Image

    from ipyimagegen import imaging

    mask = written(Image.new("L", (1024, 1024)), "PNG")
    given = written(photo("RGBA", 1024, 1024), "PNG")
    began = time.process_time()
    share = imaging.measure_changed_outside(given, Path(path), mask)
    print(time.process_time() - began, peak() / MIB, f"{share:.0%} changed")


def decoding():
    """Return the rows of all files."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="decoding-") as folder:
        for name, make in FILES.items():
            path = Path(folder) / "image"
            path.write_bytes(make())
            word = "compare" if name.startswith("compared") else "one"
            command = [sys.executable, __file__, word, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            seconds, mib, *state = done.split(maxsplit=3)
            note = f"{path.stat().st_size / MIB:.0f} MiB, {' '.join(state).strip()}"
            rows.append(Row(f"{name}: time", float(seconds), "s", note, SECONDS))
            rows.append(Row(f"{name}: memory", float(mib), "MiB", "", MEMORY))
    return rows


if __name__ == "__main__":
    if sys.argv[1:]:
        {"one": measure, "compare": compare}[sys.argv[1]](sys.argv[2])
    else:
        figures.show("The costliest images that are decoded", decoding())
        sys.exit(bool(figures.MISSED))
