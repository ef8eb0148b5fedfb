"""What is costly to decode is counted before decoding: stored, never opened. What is honest passes."""

import io
import re
import struct
import subprocess
import sys
import time
import zlib

import pytest
from image_files import SIGNATURE, chunk, header, save
from PIL import Image, ImageFile, PngImagePlugin

from ipyimagegen import imaging
from ipyimagegen.core.errors import InvalidInput
from ipyimagegen.core.run import ImageState as State
from ipyimagegen.imaging import inspect
from ipyimagegen.imaging.scan import scan_bytes

MIB = 1 << 20
PIECES = 65_536


# Files


def saved(kind, size=(40, 24), mode="RGB", **options):
    noise = Image.effect_noise(size, 90) if max(size) < 1000 else Image.radial_gradient("L").resize(size)
    noise = Image.frombytes("I;16", size, noise.tobytes() * 2) if mode == "I;16" else noise.convert(mode)
    return save(noise, kind, **options)


def png(*extra, width=2, height=1, behind=(), body=None):
    body = zlib.compress((b"\0" + b"\1\2\3" * width) * height) if body is None else body
    return b"".join([SIGNATURE, header(width, height), *extra, chunk(b"IDAT", body), *behind, chunk(b"IEND")])


def segment(marker, data=b""):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg(*extra, **options):
    """A JPEG with segments behind its first marker."""
    data = saved("JPEG", **options)
    return data[:2] + b"".join(extra) + data[2:]


def jpeg_of_scans(count, size=(40, 24), mode="L", progressive=True):
    """A JPEG that repeats its last scan, with so many in all."""
    data = saved("JPEG", size, mode, progressive=progressive)
    at = [match.start() for match in re.finditer(rb"\xff\xda", data)]
    return data[:-2] + data[at[-1] : -2] * (count - len(at)) + data[-2:]


def webp(*extra):
    body = saved("WEBP")[12:]
    header = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + bytes([39, 0, 0, 23, 0, 0])
    body = b"WEBP" + header + body + b"".join(extra)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def riff(kind, data=b""):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def gif(*extensions):
    """A GIF with extensions before its image."""
    data = saved("GIF")
    at = data.index(b",\0\0\0\0\x28\0\x18\0")
    return data[:at] + b"".join(extensions) + data[at:]


def blocks(data, size):
    """An extension with that comment in blocks of that size."""
    parts = (data[at : at + size] for at in range(0, len(data), size))
    return b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def box(kind, body=b""):
    return struct.pack(">I4s", 8 + len(body), kind) + body


def avif(*more, change=lambda sequence, frame: sequence + frame, size=(40, 24)):
    """An AVIF with other pieces of its coded image, and with more boxes behind its own."""
    data = saved("AVIF", size)
    at = data.index(b"mdat") + 4
    length = data[at + 3] + 2  # of the sequence header, behind two bytes for the temporal unit
    coded = data[at : at + 2] + change(data[at + 2 : at + 2 + length], data[at + 2 + length :])
    head = data[: at - 8].replace(struct.pack(">I", len(data) - at), struct.pack(">I", len(coded)))
    return head + box(b"mdat", coded) + b"".join(more)


def sequence(width, height):
    """The header of a still image of that size, as a piece of it."""
    bits = f"00011{0:05b}{15:04b}{15:04b}{width - 1:016b}{height - 1:016b}".ljust(64, "0")
    return bytes([0x0A, 8]) + int(bits, 2).to_bytes(8, "big")


def items(count):
    rows = b"".join(box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", at, 0, b"mime")) for at in range(count))
    return box(b"meta", bytes(4) + box(b"iinf", bytes(6) + rows))


def exif(entries, length=0):
    """An EXIF block with values (type, number) that all begin at its first byte."""
    rows = b"".join(struct.pack("<HHII", 40_000 + at, *entry, 0) for at, entry in enumerate(entries))
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + rows + b"\0\0\0\0"
    return block + bytes(max(length - len(block), 0))


def profile(block):
    return f"\nexif\n{len(block)}\n{block.hex()}\n".encode()


def packed_text(keyword, text):
    return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(text, 9))


UNFOLDING = exif([(7, 60_000)] * 100, 60_000)  # 6 MB of values in 60 kB
MARKS = b"Exif\0\0" * 100 + exif([])
APP1 = b"Exif\0\0"
BIG = b"Exif\0\0II\x2b\0\x08\0\0\0" + bytes(20)

# name: (a file below or at a limit, a file above it)
LIMITS = {
    "scans": lambda: (jpeg_of_scans(64), jpeg_of_scans(65)),
    "scans, baseline": lambda: (jpeg_of_scans(64, progressive=False), jpeg_of_scans(3000, progressive=False)),
    "scans, colour": lambda: (jpeg_of_scans(64, mode="RGB"), jpeg_of_scans(65, mode="RGB")),
    "empty chunks": lambda: (
        png(behind=[chunk(b"teSt")] * (PIECES - 3)),
        png(behind=[chunk(b"teSt")] * (PIECES - 2)),
    ),
    "empty IDAT": lambda: (png(chunk(b"IDAT") * (PIECES - 3)), png(chunk(b"IDAT") * (PIECES - 2))),
    "comments": lambda: (jpeg(segment(0xFE) * 60_000), jpeg(segment(0xFE) * PIECES)),
    "segments": lambda: (jpeg(segment(0xEB, b"x") * 60_000), jpeg(segment(0xEB, b"x") * PIECES)),
    "restarts": lambda: (jpeg(b"\xff\xd0" * 60_000), jpeg(b"\xff\xd0" * PIECES)),
    "fill bytes": lambda: (jpeg(b"\xff" * 60_000), jpeg(b"\xff" * PIECES)),
    "chunks of WebP": lambda: (webp(riff(b"teSt") * 60_000), webp(riff(b"teSt") * PIECES)),
    "plain text": lambda: (
        png(chunk(b"tEXt", b"parameters\0" + b"x" * (15 * MIB))),
        png(chunk(b"tEXt", b"parameters\0" + b"x" * (16 * MIB))),
    ),
    "texts that add up": lambda: (
        png(chunk(b"tEXt", b"k\0" + b"x" * MIB) * 15),
        png(chunk(b"tEXt", b"k\0" + b"x" * MIB) * 16),
    ),
    "international text": lambda: (
        png(chunk(b"iTXt", b"k\0\0\0\0\0" + b"x" * (15 * MIB))),
        png(chunk(b"iTXt", b"k\0\0\0\0\0" + b"x" * (16 * MIB))),
    ),
    "packed texts": lambda: (
        png(packed_text(b"k", bytes(MIB)) * 15),
        png(packed_text(b"k", bytes(MIB)) * 16),
    ),
    "packed texts behind the pixels": lambda: (
        png(behind=[packed_text(b"k", bytes(MIB)) * 15]),
        png(behind=[packed_text(b"k", bytes(MIB)) * 16]),
    ),
    "packed international text": lambda: (
        png(chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(MIB)))),
        png(chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(16 * MIB)))),
    ),
    "colour profile": lambda: (
        png(chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(MIB)))),
        png(chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(16 * MIB)))),
    ),
    "broken packed texts": lambda: (
        png(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(MIB))[:-4] + b"\xff" * 4)),
        png(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(MIB))[:-4] + b"\xff" * 4) * 70),
    ),
    "EXIF of PNG": lambda: (png(chunk(b"eXIf", exif([], MIB))), png(chunk(b"eXIf", exif([], MIB + 1)))),
    "EXIF of JPEG": lambda: (
        jpeg(segment(0xE1, APP1 + exif([], 60_000)), segment(0xE1, APP1 + bytes(60_000)) * 16),
        jpeg(segment(0xE1, APP1 + exif([], 60_000)), segment(0xE1, APP1 + bytes(60_000)) * 17),
    ),
    "EXIF of WebP": lambda: (webp(riff(b"EXIF", exif([], MIB))), webp(riff(b"EXIF", exif([], MIB + 1)))),
    "Photoshop": lambda: (
        jpeg(segment(0xED, b"Photoshop 3.0\0" + bytes(60_000)) * 17),
        jpeg(segment(0xED, b"Photoshop 3.0\0" + bytes(60_000)) * 18),
    ),
    "MPF": lambda: (
        jpeg(segment(0xE2, b"MPF\0" + exif([(4, 10_000)], 60_000))),
        jpeg(segment(0xE2, b"MPF\0" + exif([(4, 10_000)] * 60, 60_000))),
    ),
    "EXIF of JPEG that unfolds": lambda: (
        jpeg(segment(0xE1, APP1 + exif([(7, 50_000)], 60_000))),
        jpeg(segment(0xE1, APP1 + UNFOLDING)),
    ),
    "EXIF of JPEG in two segments that unfolds": lambda: (
        jpeg(segment(0xE1, APP1 + UNFOLDING[:300]), segment(0xE1, APP1 + bytes(9000))),
        jpeg(segment(0xE1, APP1 + UNFOLDING[:700]), segment(0xE1, APP1 + UNFOLDING[700:])),
    ),
    "EXIF of JPEG behind MPF": lambda: (
        jpeg(segment(0xE2, b"MPF\0" + exif([])), segment(0xE1, APP1 + exif([]))),
        jpeg(segment(0xE2, b"MPF\0" + exif([])), segment(0xE1, APP1 + UNFOLDING)),
    ),
    "EXIF of PNG that unfolds": lambda: (png(chunk(b"eXIf", exif([]))), png(chunk(b"eXIf", UNFOLDING))),
    "EXIF of WebP that unfolds": lambda: (webp(riff(b"EXIF", exif([]))), webp(riff(b"EXIF", UNFOLDING))),
    "EXIF in hexadecimal that unfolds": lambda: (
        png(packed_text(b"Raw profile type exif", profile(APP1 + exif([])))),
        png(packed_text(b"Raw profile type exif", profile(APP1 + UNFOLDING))),
    ),
    "EXIF in a plain text that unfolds": lambda: (
        png(chunk(b"tEXt", b"exif\0" + exif([]))),
        png(chunk(b"tEXt", b"exif\0" + UNFOLDING)),
    ),
    "a text of line ends": lambda: (
        png(chunk(b"tEXt", b"Raw profile type exif\0" + b"\n" * MIB)),
        png(chunk(b"tEXt", b"Raw profile type exif\0" + b"\n" * (3 * MIB))),
    ),
    "EXIF with many marks": lambda: (png(chunk(b"eXIf", APP1 * 3 + exif([]))), png(chunk(b"eXIf", MARKS))),
    "EXIF of 64 bits": lambda: (jpeg(segment(0xE1, APP1 + exif([]))), jpeg(segment(0xE1, BIG))),
    "quantization tables": lambda: (
        jpeg(segment(0xDB, (b"\0" + b"\1" * 64) * 1000)),
        jpeg(segment(0xDB, (b"\0" + b"\1" * 64) * 1000) * 2),
    ),
    "blocks of GIF": lambda: (gif(blocks(bytes(500_000), 1)), gif(blocks(bytes(530_000), 1))),
    "comments of GIF": lambda: (gif(blocks(bytes(15 * MIB), 255)), gif(blocks(bytes(17 * MIB), 255))),
    "extensions of GIF": lambda: (gif(blocks(b"", 1) * 60_000), gif(blocks(b"", 1) * PIECES)),
    "boxes of AVIF": lambda: (avif(box(b"free") * 60_000), avif(box(b"free") * PIECES)),
    "items of AVIF": lambda: (avif(), avif(items(2100))),
    "hidden frames of AVIF": lambda: (
        avif(size=(2000, 2000)),
        avif(size=(2000, 2000), change=lambda sequence, frame: sequence + frame * 25),
    ),
    "a small AVIF with a large frame": lambda: (
        avif(),
        avif(change=lambda _, frame: sequence(8000, 5001) + frame),
    ),
    "palette": lambda: (png(chunk(b"PLTE", bytes(768))), png(chunk(b"PLTE", bytes(4098)))),
    "chromaticities": lambda: (png(chunk(b"cHRM", bytes(32))), png(chunk(b"cHRM", bytes(8000)))),
    "headers of PNG": lambda: (png(), png(chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)))),
    "headers of JPEG": lambda: (jpeg(), jpeg(segment(0xC0, b"\x08\0\x18\0\x28\x01\x01\x11\0"))),
}


@pytest.fixture
def opened(monkeypatch):
    """The names of the formats that Pillow opens."""
    names = []
    begin = ImageFile.ImageFile.__init__

    def watched(image, *args, **options):
        names.append(image.format)
        begin(image, *args, **options)

    monkeypatch.setattr(ImageFile.ImageFile, "__init__", watched)
    return names


@pytest.fixture
def look(tmp_path):
    def look(data, **options):
        path = tmp_path / "image"
        path.write_bytes(data)
        return inspect(path, **options)

    return look


# Limits


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_image_at_a_limit_passes_and_one_above_it_is_never_opened(name, look, opened):
    below, above = LIMITS[name]()
    assert scan_bytes(below).excess == ""
    assert look(below).state is State.STORED
    assert opened
    opened.clear()
    seen = look(above)
    assert (seen.state, seen.thumb) == (State.QUARANTINED, None)
    assert seen.note
    assert imaging.preview_partial(above) is None
    with pytest.raises(OSError):
        imaging.open_image(above)
    with pytest.raises(OSError):
        imaging.to_png(above)
    with pytest.raises(InvalidInput):
        imaging.encode_input(above)
    assert opened == []


def test_a_refused_image_is_not_compared_with_what_was_sent(tmp_path, opened):
    before, path = saved("PNG", (40, 24), "L"), tmp_path / "after"
    mask = saved("PNG", (40, 24), "1")
    path.write_bytes(jpeg_of_scans(64))
    assert imaging.measure_changed_outside(before, path, mask) is not None
    path.write_bytes(jpeg_of_scans(65))
    opened.clear()
    assert imaging.measure_changed_outside(before, path, mask) is None
    assert "JPEG" not in opened


@pytest.mark.parametrize(("scans", "state"), [(20, State.STORED), (30, State.QUARANTINED)])
def test_scans_weigh_as_much_as_the_pixels_that_they_pass_over(look, scans, state):
    assert look(jpeg_of_scans(scans, (6000, 5000))).state is state
    assert look(jpeg_of_scans(scans, (600, 500))).state is State.STORED


SIZES = {"PNG": (6400, 6250), "JPEG": (6400, 6250), "GIF": (6400, 6250), "WEBP": (6400, 5000)}


def headers(kind, width, height):
    """A file of that size with a header only: what is refused by its size needs no pixels."""
    if kind == "PNG":
        return png(width=width, height=height, body=b"")
    if kind == "JPEG":
        data = bytearray(saved("JPEG"))
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", height, width)
        return bytes(data)
    if kind == "GIF":
        data = saved("GIF")
        return data[:6] + struct.pack("<HH", width, height) + data[10:]
    bits = (width - 1) | (height - 1) << 14
    return (
        b"RIFF" + struct.pack("<I", 22) + b"WEBP" + riff(b"VP8L", b"\x2f" + struct.pack("<I", bits) + b"\0")
    )


@pytest.mark.parametrize("kind", SIZES)
def test_as_many_megapixels_as_a_decoder_has_memory_for(look, kind, opened):
    width, height = SIZES[kind]
    assert scan_bytes(headers(kind, width, height)).excess == ""
    seen = look(headers(kind, width, height + 1))
    assert (seen.state, seen.width, seen.height) == (State.QUARANTINED, width, height + 1)
    assert re.fullmatch(rf"{width}×{height + 1} px.* (40|32) .*", seen.note)
    assert opened == []


# What a scan costs


def cpu_seconds(*files):
    """The least of five for each file, in turns: other programs run beside."""
    taken = [[] for _ in files]
    for _ in range(5):
        for data, times in zip(files, taken, strict=True):
            began = time.process_time()
            scan_bytes(data)
            times.append(time.process_time() - began)
    return [min(times) for times in taken]


GROWING = {
    "chunks": lambda n: png(chunk(b"teSt") * (n * 7_500)),
    "too many chunks": lambda n: png(chunk(b"teSt") * (n * 250_000)),
    "large chunks": lambda n: png(chunk(b"IDAT", bytes(65_536)) * (n * 100)),
    "segments": lambda n: jpeg(segment(0xFE) * (n * 7_500)),
    "segments behind a scan": lambda n: saved("JPEG")[:-2] + segment(0xFE) * (n * 7_500) + b"\xff\xd9",
    "pixels": lambda n: saved("JPEG")[:-2] + b"\x12\xff\x00" * (n * 5 * MIB) + b"\xff\xd9",
    "restarts": lambda n: saved("JPEG")[:-2] + b"\xff\xd0" * (n * 6 * MIB) + b"\xff\xd9",
    "fill bytes": lambda n: saved("JPEG")[:-2] + b"\xff" * (n * 6 * MIB) + b"\xff\xd9",
    "EXIF in short segments": lambda n: jpeg(segment(0xE1, APP1 + bytes(20)) * (n * 5_000)),
    "marks": lambda n: png(chunk(b"eXIf", APP1 * (n * 30_000))),
    "broken texts": lambda n: png(chunk(b"zTXt", b"k\0\0\xff\xff") * (n * 7_500)),
    "blocks of GIF": lambda n: gif(blocks(bytes(n * 25_000), 1)),
    "boxes of AVIF": lambda n: avif(box(b"free") * (n * 7_500)),
    "WebP": lambda n: webp(riff(b"teSt") * (n * 7_500)),
}


@pytest.mark.parametrize("name", GROWING)
def test_the_time_of_a_scan_grows_with_the_file_and_not_with_its_square(name):
    once, four_times = cpu_seconds(GROWING[name](1), GROWING[name](4))
    assert four_times <= 8 * once + 0.02  # a square is 16; some milliseconds are lost in the clock


MEMORY = """
import sys
from pathlib import Path
from ipyimagegen.imaging.scan import scan_file

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

paths = [Path(name) for name in sys.argv[1:]]
scan_file(paths[0].open("rb"))
before = peak()
excesses = [scan_file(path.open("rb")).excess for path in paths]
print(peak() - before, *excesses)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
def test_a_scan_takes_the_same_memory_for_any_file(tmp_path):
    files = {
        "small": png(),
        "pixels.png": png(body=bytes(48 * MIB)),
        "pixels.jpg": saved("JPEG")[:-2] + b"\x12\xff\0" * (16 * MIB) + b"\xff\xd9",
        "comments.jpg": jpeg(segment(0xFE, bytes(65_000)) * 700),
        "chunk.webp": webp(riff(b"teSt", bytes(48 * MIB))),
        "unknown.png": png(chunk(b"teSt", bytes(48 * MIB))),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", MEMORY, *(tmp_path / name for name in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, *excesses = done.stdout.split()
    assert excesses == []
    assert int(grown) < 4 * 1024


# Files that lie or end early


def boundaries(data):
    """Every place at which a chunk, segment or field of them begins or ends, and one byte next to it."""
    marks = [match.start() for match in re.finditer(rb"IHDR|IDAT|IEND|\xff[\xc0-\xfe]|VP8[ LX]|EXIF", data)]
    places = {at + beside for at in marks for beside in (-5, -4, -1, 0, 1, 2, 3, 4, 5, 8, 9, 13)}
    return sorted(at for at in places if 0 < at < len(data))


WHOLE = {
    "PNG": saved("PNG"),
    "JPEG": saved("JPEG"),
    "progressive JPEG": saved("JPEG", progressive=True),
    "WebP": saved("WEBP"),
    "extended WebP": webp(riff(b"EXIF", exif([]))),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_at_any_boundary_is_not_whole(name, look):
    data = WHOLE[name]
    assert scan_bytes(data).flaw == ""
    for at in boundaries(data):
        scan = scan_bytes(data[:at])
        assert scan is None or scan.flaw
        seen = look(data[:at])
        assert seen.note
        assert (seen.thumb is None) is (seen.state is not State.STORED)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("length", [b"\0\0\0\0", b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"])
def test_a_length_that_lies_raises_nothing(name, length, look):
    data = WHOLE[name]
    for at in boundaries(data):
        changed = data[:at] + length[: 2 if "JPEG" in name else 4] + data[at + (2 if "JPEG" in name else 4) :]
        seen = look(changed)
        assert (seen.thumb is None) is (seen.state is not State.STORED)


@pytest.mark.parametrize(
    "between", [b"\0" * 30, b"\xff\xff\xff", b"\xff\0\xff\0", b"\xff\xd0\xff\xd7", b"junk"]
)
def test_what_stands_between_scans_hides_none(between, look, opened):
    data = jpeg_of_scans(10)
    at = data.rindex(b"\xff\xda")
    hidden = data[:at] + between + (data[at:-2] + between) * 3000 + b"\xff\xd9"
    assert look(hidden).note == look(jpeg_of_scans(100)).note
    assert opened == []


def test_no_wrong_length_of_a_segment_hides_scans(look, opened):
    data = jpeg_of_scans(10)
    at = data.rindex(b"\xff\xda")
    for length in (0, 1, 2):
        comment = b"\xff\xfe" + struct.pack(">H", length)
        hidden = data[:at] + (comment + data[at:-2]) * 3000 + b"\xff\xd9"
        assert look(hidden).note == look(jpeg_of_scans(100)).note
    assert opened == []


@pytest.mark.parametrize(
    "junk", [b"\0", b"junk", b"\xff\0", b"\xff\x02", b"\xff\xf0", b"\xff\xc8", b"\xff\xd8"]
)
@pytest.mark.parametrize("before", [b"\xff\xdb", b"\xff\xc2", b"\xff\xc4", b"\xff\xda"])
def test_nothing_behind_damage_of_the_header_is_opened(junk, before, look, opened):
    data = jpeg_of_scans(3000)
    at = data.index(before)
    hidden = data[:at] + junk + data[at:]
    assert look(hidden).state is State.QUARANTINED
    assert imaging.preview_partial(hidden) is None
    with pytest.raises(InvalidInput):
        imaging.encode_input(hidden)
    assert opened == []


def test_scans_behind_the_end_do_not_count(look):
    data = saved("JPEG")
    assert look(data + jpeg_of_scans(3000)).state is State.STORED


def test_a_wrong_checksum_of_the_pixels_is_said(look):
    data = bytearray(png())
    data[-13] ^= 1
    seen = look(bytes(data))
    assert (seen.state, bool(seen.note), seen.alpha) == (State.STORED, True, None)


def empty_blocks():
    """Eight deflate blocks that hold nothing but their codes, for which a decoder builds its tables."""
    fields = [(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)]
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1]
    fields += [(length in (1, 18), 3) for length in order]  # code lengths: 1 is written 0, 18 is written 1
    fields += [(1, 1), (138 - 11, 7), (1, 1), (118 - 11, 7), (0, 2)]  # 256 unused codes, two of one bit
    fields += [(0, 1)]  # the end of the block
    bits = "".join(format(value, f"0{size}b")[::-1] for value, size in fields) * 8
    return int(bits[::-1], 2).to_bytes(len(bits) // 8, "little")


def test_what_passes_the_scan_and_takes_too_long_is_stopped(look, monkeypatch):
    data = png(body=b"\x78\x01" + empty_blocks() * 100_000 + zlib.compress(b"\0" + b"\1\2\3" * 2)[2:])
    assert scan_bytes(data).excess == ""
    began = time.process_time()
    assert look(data).state is State.STORED
    whole = time.process_time() - began
    monkeypatch.setattr("ipyimagegen.imaging.inspection.MOST_SECONDS", whole / 8)
    began = time.process_time()
    seen = look(data)
    assert seen.state is State.QUARANTINED
    assert time.process_time() - began < whole / 2
    assert imaging.preview_partial(data) is None


def test_text_within_a_text_is_inflated_once(look):
    nested = zlib.compress(zlib.compress(bytes(200 * MIB), 9), 9)
    assert look(png(chunk(b"zTXt", b"k\0\0" + nested))).state is State.STORED


# Honest files


HONEST = {
    "baseline": ("JPEG", "RGB", {}),
    "optimised": ("JPEG", "RGB", {"optimize": True, "quality": 95, "subsampling": 0}),
    "progressive": ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    "with restarts": ("JPEG", "RGB", {"restart_marker_blocks": 1}),
    "progressive CMYK": ("JPEG", "CMYK", {"progressive": True}),
    "grey JPEG": ("JPEG", "L", {}),
    "RGB": ("PNG", "RGB", {"compress_level": 1}),
    "RGBA": ("PNG", "RGBA", {"compress_level": 1}),
    "palette": ("PNG", "P", {"compress_level": 1}),
    "16 bits": ("PNG", "I;16", {"compress_level": 1}),
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_image_of_40_megapixels_is_decoded(name, look):
    kind, mode, options = HONEST[name]
    seen = look(saved(kind, (8000, 5000), mode, **options))
    assert (seen.state, seen.note, seen.width, seen.height) == (State.STORED, "", 8000, 5000)
    assert seen.thumb.size == (768, 480)


def test_an_honest_webp_of_32_megapixels_is_decoded(look):
    seen = look(saved("WEBP", (6400, 5000), quality=50, method=0))
    assert (seen.state, seen.note, seen.thumb.size) == (State.STORED, "", (768, 600))


def test_64_mib_in_the_usual_chunks_pass():
    assert scan_bytes(png(chunk(b"IDAT", bytes(8192)) * 8192)).excess == ""


def test_a_photo_of_a_phone_passes():
    """With EXIF, a colour profile of several segments, a depth map in XMP, and other images behind it."""
    extra = [segment(0xE1, APP1 + exif([(3, 1), (7, 30_000)], 40_000))]
    extra += [segment(0xE2, b"ICC_PROFILE\0" + bytes([at + 1, 9]) + bytes(60_000)) for at in range(9)]
    extra += [segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(60_000))] * 300
    extra += [segment(0xE2, b"MPF\0" + exif([(7, 4), (4, 1), (7, 48)]))]
    data = jpeg(*extra) + jpeg_of_scans(20)
    assert (scan_bytes(data).excess, scan_bytes(data).flaw) == ("", "")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_long_animation_passes(kind, look):
    frames = [Image.effect_noise((16, 16), 90) for _ in range(300)]
    out = io.BytesIO()
    frames[0].convert("RGB").save(out, kind, save_all=True, append_images=frames[1:])
    assert look(out.getvalue()).state is State.STORED


def test_the_texts_of_a_user_interface_pass(look):
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "{}" * 2 * MIB)
    info.add_text("prompt", "a red fox" * 50_000, zip=True)
    info.add_itxt("parameters", "狐" * 100_000, zip=True)
    out = io.BytesIO()
    Image.new("RGB", (9, 9)).save(out, "PNG", pnginfo=info)
    assert look(out.getvalue()).note == ""


def test_limits_of_pillow_that_belong_to_the_user_stay(look):
    names = ("MAX_TEXT_CHUNK", "MAX_TEXT_MEMORY")
    before = [getattr(PngImagePlugin, name) for name in names]
    look(LIMITS["packed texts"]()[1])
    look(png())
    assert [getattr(PngImagePlugin, name) for name in names] == before
    assert Image.MAX_IMAGE_PIXELS is not None


def test_a_height_that_stands_behind_the_pixels_is_not_believed(look, opened):
    data = bytearray(saved("JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 7] = b"\0\0"
    seen = look(bytes(data[:-2]) + segment(0xDC, b"\0\x18") + b"\xff\xd9")
    assert (seen.state, seen.thumb) == (State.QUARANTINED, None)
    assert opened == []
